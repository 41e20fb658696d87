/*
 * keytable.h - the keys of one segment in memory: entries in the order they came, and a hash table
 * of places over them. What came last can be taken back. Locks nothing.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include "store/keys.h"

struct keytable {
    uint32_t segment; /* 0: of the one being written */
    struct key_entry *entries;
    size_t n, cap;
    size_t kept;     /* the first of them can not be taken back */
    uint64_t *slots; /* bits of the hash << 32 | place + 1; 0: free */
    size_t n_slots;  /* a power of two, at least twice `cap` */
};

/** With room for `cap` keys. 0 or UV_ENOMEM. */
int keytable_create(struct keytable **ret, size_t cap);
void keytable_destroy(struct keytable *t); /* NULL is fine */
int keytable_reserve(struct keytable *t, size_t n);
/** Reserved before; not in it yet. */
void keytable_add(struct keytable *t, const struct key_entry *e);
bool keytable_find(const struct keytable *t, const uint8_t hash[16], struct key_entry *ret);
/** Forget all but the kept ones. */
void keytable_take_back(struct keytable *t);
size_t keytable_bytes(const struct keytable *t);
