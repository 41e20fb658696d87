/*
 * keys_keep.c - the keeper's steps: write a sealed segment's run, merge, let go.
 */
#include <assert.h>
#include <stdlib.h>
#include <string.h>
#include "store/disk.h"
#include "store/keys_int.h"

static int by_hash(const void *a, const void *b)
{
    return memcmp(((const struct key_entry *)a)->hash, ((const struct key_entry *)b)->hash, 16);
}

static void remove_run(const struct keys *k, const struct keyrun *run)
{
    char path[KEYRUN_PATH];
    int r;

    if (run->aside)
        return;
    keyrun_path(k->dir, run->first, run->last, path);
    if ((r = store_disk->remove(path)) < 0 && r != UV_ENOENT)
        log_warn(&keys_logger, "cannot remove a run: file=%s err=%s", path, uv_err_name(r));
}

/* ---- a sealed table becomes a run ---- */

/* Sorted keys of the table, in new memory: the table itself is still being asked. */
static struct key_entry *sorted(const struct keytable *t)
{
    struct key_entry *e = malloc(t->n ? t->n * sizeof(*e) : 1);

    if (e && t->n) {
        memcpy(e, t->entries, t->n * sizeof(*e));
        qsort(e, t->n, sizeof(*e), by_hash);
    }
    return e;
}

static int write_table(const struct keys *k, const struct keytable *t, struct keyrun **ret)
{
    struct key_entry *e = sorted(t);
    struct keyrun_writer *w = NULL;
    int r = UV_ENOMEM;

    if (!e || (r = keyrun_begin(&w, k->dir, t->segment, t->segment, t->n)) < 0)
        goto out;
    for (size_t i = 0; r == 0 && i < t->n; i++)
        if (i == 0 || by_hash(&e[i - 1], &e[i]) != 0)
            r = keyrun_add(w, &e[i]);
    if (r == 0)
        r = keyrun_finish(w, ret);
out:
    keyrun_abandon(w);
    free(e);
    return r;
}

/* The oldest sealed table; NULL: none. Only the keeper takes one out, so it stays. */
static struct keytable *oldest_table(struct keys *k)
{
    struct keytable *t;

    uv_mutex_lock(&k->lock);
    t = k->n_tables ? k->tables[0] : NULL;
    uv_mutex_unlock(&k->lock);
    return t;
}

/* Under the lock. */
static void take_table(struct keys *k, const struct keytable *t)
{
    size_t i = 0;

    while (k->tables[i] != t)
        i++;
    k->n_tables--;
    memmove(k->tables + i, k->tables + i + 1, (k->n_tables - i) * sizeof(*k->tables));
}

static int table_step(struct keys *k, struct keytable *t)
{
    struct keyrun *run;
    int r;

    if ((r = keys_reserve_run(k)) < 0 || (r = write_table(k, t, &run)) < 0)
        return r;
    uv_mutex_lock(&k->lock);
    take_table(k, t);
    keys_put_run(k, run);
    if (run->last > k->newest_sealed)
        k->newest_sealed = run->last;
    uv_mutex_unlock(&k->lock);
    keytable_destroy(t);
    return 1;
}

/* ---- runs become one ---- */

static void set_merge(struct keys *k, struct keymerge *m)
{
    uv_mutex_lock(&k->lock);
    k->merge = m;
    uv_mutex_unlock(&k->lock);
}

static void drop_merge(struct keys *k)
{
    struct keymerge *m = k->merge;

    set_merge(k, NULL);
    keymerge_end(m);
}

/* The new run is in place of those it was made of. */
static void merge_done(struct keys *k, struct keyrun *run)
{
    struct keyrun *old[KEYS_FAN];
    size_t n = 0;

    uv_mutex_lock(&k->lock);
    for (size_t i = 0; i < k->n_runs;) {
        if (k->runs[i].run->first < run->first || k->runs[i].run->last > run->last) {
            i++;
            continue;
        }
        assert(n < KEYS_FAN);
        old[n++] = keys_take_run(k, i);
    }
    keys_put_run(k, run);
    uv_mutex_unlock(&k->lock);
    for (size_t i = 0; i < n; i++) {
        remove_run(k, old[i]);
        keyrun_close(old[i]);
    }
}

static int merge_begin(struct keys *k)
{
    struct keyrun *of[KEYS_FAN];
    struct keymerge *m;
    size_t i, n;
    int r;

    if (!keymerge_pick(k, &i, &n))
        return 0;
    for (size_t j = 0; j < n; j++)
        of[j] = k->runs[i + j].run;
    if ((r = keymerge_begin(&m, k->dir, of, n)) < 0)
        return r;
    set_merge(k, m);
    return 1;
}

static int merge_step(struct keys *k)
{
    struct keyrun *run;
    int r;

    if (!k->merge)
        return merge_begin(k);
    r = keymerge_step(k->merge, &run);
    if (r == 1)
        return 1;
    drop_merge(k);
    if (r == 0)
        merge_done(k, run);
    return r < 0 ? r : 1;
}

/* ---- damage met since opening ---- */

static struct keyrun *find_bad(const struct keys *k)
{
    for (size_t i = 0; i < k->n_runs; i++)
        if (!k->runs[i].run->aside &&
            atomic_load_explicit(&k->runs[i].run->bad, memory_order_relaxed))
            return k->runs[i].run;
    return NULL;
}

static int bad_step(struct keys *k, struct keyrun *bad)
{
    drop_merge(k);
    keys_set_aside(k->dir, bad->first, bad->last, UV_EILSEQ);
    uv_mutex_lock(&k->lock);
    bad->aside = true;
    uv_mutex_unlock(&k->lock);
    return 1;
}

/* ---- steps ---- */

int keys_work(struct keys *k)
{
    struct keytable *t = oldest_table(k);
    struct keyrun *bad;
    int r;

    if (t)
        return table_step(k, t);
    if ((bad = find_bad(k)))
        return bad_step(k, bad);
    r = merge_step(k);
    return r < 0 && find_bad(k) ? 1 : r; /* it met a damaged page: that is the next step's */
}

bool keys_work_due(struct keys *k)
{
    size_t i, n;
    bool due;

    uv_mutex_lock(&k->lock);
    due = k->n_tables > 0 || k->merge || keymerge_pick(k, &i, &n) || find_bad(k);
    uv_mutex_unlock(&k->lock);
    return due;
}

static void retire_tables(struct keys *k, uint32_t first)
{
    for (struct keytable *t; (t = oldest_table(k)) && t->segment < first;) {
        uv_mutex_lock(&k->lock);
        take_table(k, t);
        uv_mutex_unlock(&k->lock);
        keytable_destroy(t);
    }
}

void keys_retire(struct keys *k, uint32_t first)
{
    uv_mutex_lock(&k->lock);
    if (first > k->first)
        k->first = first;
    uv_mutex_unlock(&k->lock);
    retire_tables(k, first);
    while (k->n_runs && k->runs[0].run->last < first) {
        struct keyrun *run;

        drop_merge(k); /* it may be reading it */
        uv_mutex_lock(&k->lock);
        run = keys_take_run(k, 0);
        uv_mutex_unlock(&k->lock);
        remove_run(k, run);
        keyrun_close(run);
    }
}
