/*
 * keytable.c - the keys of one segment in memory.
 *
 * Linear probing, at most half full. Only the newest entry is ever removed, and no other can have
 * been pushed aside by it: clearing its slot is all there is to taking it back.
 */
#include "store/keytable.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>
#include <uv.h>
#include "store/bytes.h"

#define TABLE_LEAST 64u

static uint64_t tag_of(const uint8_t hash[16])
{
    return (uint64_t)bytes_get32(hash + 8) << 32;
}

static size_t home_of(const uint8_t hash[16], size_t n_slots)
{
    return (size_t)bytes_get64(hash) & (n_slots - 1);
}

static void enter(uint64_t *slots, size_t n_slots, const uint8_t hash[16], size_t place)
{
    size_t i = home_of(hash, n_slots);

    while (slots[i])
        i = (i + 1) & (n_slots - 1);
    slots[i] = tag_of(hash) | (place + 1);
}

static int grow(struct keytable *t, size_t cap)
{
    size_t n_slots = 2 * cap;
    struct key_entry *entries;
    uint64_t *slots;

    if (cap > UINT32_MAX / 2)
        return UV_ENOMEM;
    entries = realloc(t->entries, cap * sizeof(*entries));
    if (!entries)
        return UV_ENOMEM;
    t->entries = entries;
    slots = calloc(n_slots, sizeof(*slots));
    if (!slots)
        return UV_ENOMEM; /* the entries' larger room is not used */
    for (size_t i = 0; i < t->n; i++)
        enter(slots, n_slots, entries[i].hash, i);
    free(t->slots);
    t->slots = slots;
    t->n_slots = n_slots;
    t->cap = cap;
    return 0;
}

static size_t capacity_for(size_t n)
{
    size_t cap = TABLE_LEAST;

    while (cap < n)
        cap *= 2;
    return cap;
}

int keytable_create(struct keytable **ret, size_t cap)
{
    struct keytable *t = calloc(1, sizeof(*t));

    if (!t || grow(t, capacity_for(cap)) < 0) {
        keytable_destroy(t);
        return UV_ENOMEM;
    }
    *ret = t;
    return 0;
}

void keytable_destroy(struct keytable *t)
{
    if (!t)
        return;
    free(t->entries);
    free(t->slots);
    free(t);
}

int keytable_reserve(struct keytable *t, size_t n)
{
    if (n <= t->cap - t->n)
        return 0;
    if (n > UINT32_MAX / 4)
        return UV_ENOMEM;
    return grow(t, capacity_for(t->n + n));
}

void keytable_add(struct keytable *t, const struct key_entry *e)
{
    assert(t->n < t->cap);
    t->entries[t->n] = *e;
    enter(t->slots, t->n_slots, e->hash, t->n);
    t->n++;
}

bool keytable_find(const struct keytable *t, const uint8_t hash[16], struct key_entry *ret)
{
    size_t i = home_of(hash, t->n_slots);
    uint64_t tag = tag_of(hash);

    for (; t->slots[i]; i = (i + 1) & (t->n_slots - 1)) {
        const struct key_entry *e;

        if ((t->slots[i] ^ tag) >> 32)
            continue;
        e = &t->entries[(uint32_t)t->slots[i] - 1];
        if (memcmp(e->hash, hash, 16) == 0) {
            *ret = *e;
            return true;
        }
    }
    return false;
}

void keytable_take_back(struct keytable *t)
{
    while (t->n > t->kept) {
        size_t place = --t->n;
        size_t i = home_of(t->entries[place].hash, t->n_slots);

        while ((uint32_t)t->slots[i] != place + 1)
            i = (i + 1) & (t->n_slots - 1);
        t->slots[i] = 0;
    }
}

size_t keytable_bytes(const struct keytable *t)
{
    return sizeof(*t) + t->cap * sizeof(*t->entries) + t->n_slots * sizeof(*t->slots);
}
