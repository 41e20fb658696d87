/*
 * keys.c - adding, finding, sealing.
 *
 * A look-up holds the lock from its first glance to its last, and nobody else holds it for more
 * than a few stores: what the keeper has ready is swapped in.
 */
#include "store/keys_int.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

const struct logger keys_logger = { .room = "store", .name = "keys" };

void keys_close(struct keys *k)
{
    if (!k)
        return;
    keymerge_end(k->merge);
    for (size_t i = 0; i < k->n_runs; i++) {
        struct keyrun *run = k->runs[i].run;

        /* The keeper may not have come to it: the next opening must not meet it again. */
        if (atomic_load(&run->bad) && !run->aside)
            keys_set_aside(k->dir, run->first, run->last, UV_EILSEQ);
        keyrun_close(run);
    }
    for (size_t i = 0; i < k->n_tables; i++)
        keytable_destroy(k->tables[i]);
    keytable_destroy(k->newest);
    free(k->runs);
    free(k->tables);
    free(k->page);
    free(k->dir);
    uv_mutex_destroy(&k->lock);
    free(k);
}

/* ---- the list of runs ---- */

int keys_reserve_run(struct keys *k)
{
    size_t cap = k->cap_runs ? 2 * k->cap_runs : 16;
    struct keys_run *more;

    if (k->n_runs < k->cap_runs)
        return 0;
    more = calloc(cap, sizeof(*more));
    if (!more)
        return UV_ENOMEM;
    uv_mutex_lock(&k->lock);
    if (k->n_runs)
        memcpy(more, k->runs, k->n_runs * sizeof(*more));
    free(k->runs);
    k->runs = more;
    k->cap_runs = cap;
    uv_mutex_unlock(&k->lock);
    return 0;
}

void keys_put_run(struct keys *k, struct keyrun *run)
{
    size_t i = k->n_runs;

    assert(k->n_runs < k->cap_runs);
    while (i > 0 && k->runs[i - 1].run->first > run->first)
        i--;
    memmove(k->runs + i + 1, k->runs + i, (k->n_runs - i) * sizeof(*k->runs));
    k->runs[i] = (struct keys_run){ run->filter, run->n_blocks, run };
    k->n_runs++;
}

struct keyrun *keys_take_run(struct keys *k, size_t i)
{
    struct keyrun *run = k->runs[i].run;

    k->n_runs--;
    memmove(k->runs + i, k->runs + i + 1, (k->n_runs - i) * sizeof(*k->runs));
    return run;
}

/* ---- a group of appends ---- */

static void publish_newest(struct keys *k)
{
    atomic_store_explicit(&k->newest_n, k->newest->n, memory_order_relaxed);
    atomic_store_explicit(&k->newest_bytes, keytable_bytes(k->newest), memory_order_relaxed);
}

int keys_reserve(struct keys *k, size_t n)
{
    return keytable_reserve(k->newest, n);
}

void keys_add(struct keys *k, const struct key_entry *e)
{
    keytable_add(k->newest, e);
}

void keys_commit(struct keys *k)
{
    k->newest->kept = k->newest->n;
    publish_newest(k);
}

void keys_rollback(struct keys *k)
{
    keytable_take_back(k->newest);
    publish_newest(k);
}

size_t keys_newest(const struct keys *k)
{
    return k->newest->n;
}

/* ---- finding ---- */

/* So that the filters' cache lines are on their way while the tables are asked. */
static void fetch_blocks(const struct keys *k, const uint8_t hash[16])
{
    for (size_t i = 0; i < k->n_runs; i++)
        __builtin_prefetch(bloom_block(k->runs[i].filter, k->runs[i].n_blocks, hash));
}

static int find_in_runs(struct keys *k, const uint8_t hash[16], struct key_entry *ret)
{
    for (size_t i = k->n_runs; i-- > 0;) {
        const struct keys_run *x = &k->runs[i];
        int r;

        if (!bloom_maybe(bloom_block(x->filter, x->n_blocks, hash), hash))
            continue;
        k->maybes++;
        r = keyrun_find(x->run, hash, k->page, ret, &k->reads);
        if (r < 0)
            atomic_store_explicit(&x->run->bad, true, memory_order_relaxed);
        if (r != 0)
            return r;
    }
    return 0;
}

static int find_locked(struct keys *k, const uint8_t hash[16], struct key_entry *ret)
{
    fetch_blocks(k, hash);
    k->finds++;
    if (keytable_find(k->newest, hash, ret))
        return 1;
    for (size_t i = k->n_tables; i-- > 0;)
        if (keytable_find(k->tables[i], hash, ret))
            return 1;
    return find_in_runs(k, hash, ret);
}

int keys_find(struct keys *k, const uint8_t hash[16], struct key_entry *ret)
{
    int r;

    uv_mutex_lock(&k->lock);
    r = find_locked(k, hash, ret);
    uv_mutex_unlock(&k->lock);
    return r;
}

/* ---- sealing ---- */

static int reserve_table(struct keys *k)
{
    size_t cap = k->cap_tables ? 2 * k->cap_tables : 8;
    struct keytable **more;
    int r = 0;

    uv_mutex_lock(&k->lock);
    if (k->n_tables == k->cap_tables) {
        more = realloc(k->tables, cap * sizeof(struct keytable *));
        if (more) {
            k->tables = more;
            k->cap_tables = cap;
        } else {
            r = UV_ENOMEM;
        }
    }
    uv_mutex_unlock(&k->lock);
    return r;
}

int keys_seal(struct keys *k, uint32_t segment)
{
    struct keytable *next;
    size_t i;
    int r;

    assert(k->newest->kept == k->newest->n); /* no group is open */
    /* As large as this one became: growing costs the log's own thread. */
    if ((r = reserve_table(k)) < 0 || (r = keytable_create(&next, k->newest->n)) < 0)
        return r;
    k->newest->segment = segment;
    uv_mutex_lock(&k->lock);
    for (i = k->n_tables; i > 0 && k->tables[i - 1]->segment > segment; i--)
        k->tables[i] = k->tables[i - 1];
    k->tables[i] = k->newest;
    k->n_tables++;
    k->newest = next;
    uv_mutex_unlock(&k->lock);
    publish_newest(k);
    return 0;
}

/* ---- what is there ---- */

void keys_stats(struct keys *k, struct keys_stats *ret)
{
    struct keys_stats s = { 0 };

    s.keys = atomic_load_explicit(&k->newest_n, memory_order_relaxed);
    s.bytes = atomic_load_explicit(&k->newest_bytes, memory_order_relaxed);
    uv_mutex_lock(&k->lock);
    s.runs = (uint32_t)k->n_runs;
    s.tables = (uint32_t)k->n_tables;
    for (size_t i = 0; i < k->n_runs; i++) {
        s.keys += k->runs[i].run->n;
        s.bytes += keyrun_bytes(k->runs[i].run);
    }
    for (size_t i = 0; i < k->n_tables; i++) {
        s.keys += k->tables[i]->n;
        s.bytes += keytable_bytes(k->tables[i]);
    }
    s.finds = k->finds;
    s.filter_maybes = k->maybes;
    s.reads = k->reads;
    uv_mutex_unlock(&k->lock);
    *ret = s;
}
