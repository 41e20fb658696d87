/*
 * arena.c - memory that lives as long as one query.
 */
#include "store/arena.h"

#include <stdalign.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#define BLOCK_BYTES 4096

struct arena_block {
    struct arena_block *next;
    size_t used, cap;
    alignas(max_align_t) char data[];
};

void *arena_alloc(struct arena *a, size_t n)
{
    struct arena_block *b = a->blocks;
    const size_t align = alignof(max_align_t);
    size_t cap;
    void *p;

    if (n > SIZE_MAX / 2) {
        a->failed = true;
        return NULL;
    }
    n = n ? (n + align - 1) / align * align : align;
    if (!b || b->cap - b->used < n) {
        cap = n > BLOCK_BYTES ? n : BLOCK_BYTES;
        b = malloc(sizeof(*b) + cap);
        if (!b) {
            a->failed = true;
            return NULL;
        }
        *b = (struct arena_block){ .next = a->blocks, .cap = cap };
        a->blocks = b;
    }
    p = b->data + b->used;
    b->used += n;
    return p;
}

sl_str arena_str(struct arena *a, sl_str s)
{
    char *p = arena_alloc(a, s.len + 1);

    if (!p)
        return (sl_str){ .ptr = "" };
    if (s.len)
        memcpy(p, s.ptr, s.len);
    p[s.len] = '\0';
    return (sl_str){ .ptr = p, .len = s.len };
}

void arena_finish(struct arena *a)
{
    for (struct arena_block *b = a->blocks, *next; b; b = next) {
        next = b->next;
        free(b);
    }
    *a = (struct arena){ 0 };
}
