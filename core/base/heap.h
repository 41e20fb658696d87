/*
 * heap.h - a binary min-heap of pointers, ordered by a key the owner keeps. Each element stores its
 * own place (from 1; 0: not in the heap), so that removal costs log n.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "base/mem.h"

struct heap {
    void **at; /* at[1..n] */
    size_t n, cap;
    int64_t (*key)(const void *item);
    void (*moved)(void *item, size_t place);
};

static inline void heap_put_(struct heap *h, size_t i, void *item)
{
    h->at[i] = item;
    h->moved(item, i);
}

static inline void heap_up_(struct heap *h, size_t i)
{
    void *item = h->at[i];
    int64_t k = h->key(item);

    for (; i > 1 && h->key(h->at[i / 2]) > k; i /= 2)
        heap_put_(h, i, h->at[i / 2]);
    heap_put_(h, i, item);
}

static inline void heap_down_(struct heap *h, size_t i)
{
    void *item = h->at[i];
    int64_t k = h->key(item);

    for (size_t c; (c = 2 * i) <= h->n; i = c) {
        if (c < h->n && h->key(h->at[c + 1]) < h->key(h->at[c]))
            c++;
        if (h->key(h->at[c]) >= k)
            break;
        heap_put_(h, i, h->at[c]);
    }
    heap_put_(h, i, item);
}

static inline void heap_push(struct heap *h, void *item)
{
    if (h->n + 2 > h->cap) {
        h->cap = h->cap ? h->cap * 2 : 64;
        h->at = mem_grow(h->at, h->cap * sizeof(*h->at));
    }
    h->at[++h->n] = item;
    heap_up_(h, h->n);
}

static inline void *heap_first(const struct heap *h)
{
    return h->n ? h->at[1] : NULL;
}

static inline void heap_remove(struct heap *h, size_t place)
{
    h->moved(h->at[place], 0);
    void *last = h->at[h->n--];
    if (place > h->n)
        return;
    heap_put_(h, place, last);
    heap_up_(h, place);
    heap_down_(h, place);
}
