/*
 * log.c - the log on SQLite, in WAL mode with a file of its own: a commit is one write and one
 * fsync of the -wal file. The only writing connection also checkpoints, never another.
 */
#include "store/log.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <uv.h>
#include "base/clock.h"
#include "store/schema.h"
#include "store/sql.h"
#include "store/store.h"

/* Fold the -wal file into the main one when nothing else is to do; under load later and seldom, for
 * it waits for the disk. */
#define WAL_IDLE_PAGES 1024 /* 4 MiB */
#define WAL_MOST_PAGES 8192 /* 32 MiB */

enum { ST_BEGIN, ST_COMMIT, ST_RECORD, ST_KEY_ADD, ST_KEY_FIND, ST__COUNT };

static const char *const st_sql[ST__COUNT] = {
    [ST_BEGIN] = "BEGIN IMMEDIATE",
    [ST_COMMIT] = "COMMIT",
    [ST_RECORD] = "INSERT INTO records(seq, type, payload) VALUES(?, ?, ?)",
    [ST_KEY_ADD] = "INSERT OR IGNORE INTO keys(hash, seq, value) VALUES(?, ?, ?)",
    [ST_KEY_FIND] = "SELECT seq, value FROM keys WHERE hash = ?",
};

/* What a decision wrote over, should the group fail: its owner may append the same again. */
struct undo {
    struct store_key *key; /* whose value it was, or NULL: a payload's byte */
    uint64_t value;
    uint8_t *at;
    uint8_t was;
};

struct reclog {
    sqlite3 *db;
    sqlite3_stmt *st[ST__COUNT];
    uint8_t id[16];
    uint64_t last; /* durable */
    uint64_t next; /* of the open group */
    int wal_pages;
    bool failed; /* a sync or a write was lost: nothing is synced again by this process */
    struct undo *undo;
    size_t n_undo, cap_undo;
};

static void path_of(char *out, size_t size, const char *dir)
{
    snprintf(out, size, "%s/log.db", dir);
}

/* ---- open, close ---- */

static int on_wal(void *ctx, sqlite3 *db, const char *name, int pages)
{
    struct reclog *l = ctx;

    (void)db;
    (void)name;
    l->wal_pages = pages;
    return SQLITE_OK;
}

/* The log's name and where it ends. Gaps would make numbers meaningless: refuse them. */
static int load_state(struct reclog *l, const char *path, struct fail *fail)
{
    sqlite3_stmt *st = NULL;
    uint64_t first = 0;
    int r = sql_prepare(l->db, &st,
                        "SELECT id, (SELECT min(seq) FROM records), (SELECT max(seq) FROM records)"
                        " FROM identity");

    if (r == 0)
        r = sql_row(st);
    if (r > 0) {
        sl_str id = sql_view(st, 0);

        first = sql_u64(st, 1);
        l->last = sql_u64(st, 2);
        r = id.len == sizeof(l->id) && (l->last == 0 || first == 1) ? 1 : 0;
        if (r)
            memcpy(l->id, id.ptr, id.len);
    }
    sqlite3_finalize(st);
    if (r < 0)
        return fail_set(fail, r, "%s: %s", path, sqlite3_errmsg(l->db));
    return r ? 0 : fail_set(fail, UV_EIO, "%s is damaged: no identity, or records missing", path);
}

int reclog_open(struct reclog **ret, const char *dir, struct fail *fail)
{
    struct reclog *l = calloc(1, sizeof(*l));
    char path[4096];
    int r;

    if (!l)
        return fail_set(fail, UV_ENOMEM, "no memory");
    path_of(path, sizeof(path), dir);
    if ((r = sql_open(&l->db, path, SQL_WRITER, true, fail)) < 0)
        goto out;
    if ((r = schema_apply(&schema_log, l->db, path, fail)) < 0)
        goto out;
    sqlite3_wal_hook(l->db, on_wal, l);
    /* What an earlier process wrote and did not sync is visible now; sync it before the index
     * can take it over. */
    r = sqlite3_wal_checkpoint_v2(l->db, NULL, SQLITE_CHECKPOINT_TRUNCATE, NULL, NULL);
    if (r != SQLITE_OK) {
        r = fail_set(fail, sql_code(l->db, r), "%s: %s", path, sqlite3_errmsg(l->db));
        goto out;
    }
    if ((r = load_state(l, path, fail)) < 0)
        goto out;
    for (int i = 0; i < ST__COUNT; i++)
        if ((r = sql_prepare(l->db, &l->st[i], st_sql[i])) < 0) {
            fail_set(fail, r, "%s: %s", path, sqlite3_errmsg(l->db));
            goto out;
        }
    *ret = l;
    return 0;
out:
    l->failed = true; /* perhaps a sync: closing tries none again */
    reclog_close(l);
    return r;
}

void reclog_close(struct reclog *l)
{
    if (!l)
        return;
    for (int i = 0; i < ST__COUNT; i++)
        sqlite3_finalize(l->st[i]);
    /* A failure leaves the -wal file as it is: the next opening reads it and writes it anew. */
    if (l->db && !l->failed)
        sqlite3_wal_checkpoint_v2(l->db, NULL, SQLITE_CHECKPOINT_TRUNCATE, NULL, NULL);
    sql_close(l->db);
    free(l->undo);
    free(l);
}

const uint8_t *reclog_id(const struct reclog *l)
{
    return l->id;
}

uint64_t reclog_last(const struct reclog *l)
{
    return l->last;
}

/* ---- append ---- */

static int push_undo(struct reclog *l, struct undo undo)
{
    if (l->n_undo == l->cap_undo) {
        size_t cap = l->cap_undo ? 2 * l->cap_undo : 64;
        struct undo *more = realloc(l->undo, cap * sizeof(*more));

        if (!more)
            return UV_ENOMEM;
        l->undo = more;
        l->cap_undo = cap;
    }
    l->undo[l->n_undo++] = undo;
    return 0;
}

static void undo_all(struct reclog *l)
{
    while (l->n_undo > 0) {
        const struct undo *u = &l->undo[--l->n_undo];

        if (u->key)
            u->key->value = u->value;
        else
            *u->at = u->was;
    }
}

/* 1: known, with `first` and `value` filled; 0: not; or a code. */
static int find_key(struct reclog *l, struct store_key *k)
{
    sqlite3_stmt *st = l->st[ST_KEY_FIND];
    int r;

    sql_bind_bytes(st, 1, (sl_str){ (const char *)k->hash, sizeof(k->hash) });
    r = sql_row(st);
    if (r <= 0)
        return r;
    r = push_undo(l, (struct undo){ .key = k, .value = k->value });
    if (r == 0) {
        k->known = true;
        k->first = sql_u64(st, 0);
        k->value = sql_u64(st, 1);
    }
    sqlite3_reset(st);
    return r < 0 ? r : 1;
}

/* Enter a key for the record `seq`, or learn who brought it. */
static int take_key(struct reclog *l, struct store_key *k, uint64_t seq)
{
    sqlite3_stmt *st = l->st[ST_KEY_ADD];
    int r;

    sql_bind_bytes(st, 1, (sl_str){ (const char *)k->hash, sizeof(k->hash) });
    sql_bind_u64(st, 2, seq);
    sql_bind_u64(st, 3, k->value);
    r = sql_run(st);
    if (r < 0)
        return r;
    if (sqlite3_changes(l->db) == 0)
        return find_key(l, k);
    k->known = false;
    k->first = seq;
    return 0;
}

static int write_mark(struct reclog *l, struct store_record *rec, const struct store_key *k)
{
    uint8_t *at = (uint8_t *)rec->payload.data + k->mark_at;
    int r = push_undo(l, (struct undo){ .at = at, .was = *at });

    if (r == 0)
        *at = k->mark_value;
    return r;
}

/* Is a `refuse` key known? A single one is entered by the same step: nearly all records have one,
 * and one look at the tree is cheaper than two. */
static int decide_refusal(struct reclog *l, struct store_record *rec)
{
    size_t n = 0;
    int r = 0;

    for (size_t i = 0; i < rec->n_keys; i++)
        n += rec->keys[i].refuse;
    for (size_t i = 0; i < rec->n_keys && r >= 0; i++) {
        struct store_key *k = &rec->keys[i];

        if (!k->refuse)
            continue;
        r = n == 1 ? take_key(l, k, l->next) : find_key(l, k);
        if (r > 0)
            rec->refused = true;
    }
    if (r < 0 || rec->refused || n < 2)
        return r < 0 ? r : 0;
    for (size_t i = 0; i < rec->n_keys && r >= 0; i++)
        if (rec->keys[i].refuse)
            r = take_key(l, &rec->keys[i], l->next);
    return r < 0 ? r : 0;
}

static int put_record(struct reclog *l, struct store_record *rec)
{
    sqlite3_stmt *st = l->st[ST_RECORD];
    int r = decide_refusal(l, rec);

    if (r < 0 || rec->refused)
        return r;
    for (size_t i = 0; i < rec->n_keys; i++) {
        struct store_key *k = &rec->keys[i];

        if (k->refuse)
            continue;
        r = take_key(l, k, l->next);
        if (r > 0)
            r = write_mark(l, rec, k);
        if (r < 0)
            return r;
    }
    sql_bind_u64(st, 1, l->next);
    sqlite3_bind_int(st, 2, (int)rec->type);
    sql_bind_bytes(st, 3, buf_view(&rec->payload));
    r = sql_run(st);
    if (r == 0)
        rec->seq = l->next++;
    return r;
}

static void reset_results(struct list *group)
{
    list_each (node, group) {
        struct store_append *a = list_entry(node, struct store_append, node);

        for (size_t i = 0; i < a->n; i++) {
            a->records[i].seq = 0;
            a->records[i].refused = false;
            for (size_t k = 0; k < a->records[i].n_keys; k++) {
                a->records[i].keys[k].known = false;
                a->records[i].keys[k].first = 0;
            }
        }
    }
}

static int put_group(struct reclog *l, struct list *group, struct reclog_result *res)
{
    list_each (node, group) {
        struct store_append *a = list_entry(node, struct store_append, node);

        for (size_t i = 0; i < a->n; i++) {
            int r = put_record(l, &a->records[i]);

            if (r < 0)
                return r;
            res->refused += a->records[i].refused;
            res->records += !a->records[i].refused;
        }
    }
    return 0;
}

int reclog_append(struct reclog *l, struct list *group, struct reclog_result *ret)
{
    struct reclog_result res = { 0 };
    uint64_t started;
    int r;

    l->next = l->last + 1;
    l->n_undo = 0;
    reset_results(group);
    r = sql_run(l->st[ST_BEGIN]);
    if (r == 0)
        r = put_group(l, group, &res);
    if (r == 0) {
        started = clock_mono_us();
        r = sql_run(l->st[ST_COMMIT]);
        res.commit_us = clock_mono_us() - started;
    }
    if (r < 0) {
        l->failed |= r == UV_EIO;
        sql_rollback(l->db);
        undo_all(l);
        reset_results(group);
        return r;
    }
    l->last = l->next - 1;
    *ret = res;
    return 0;
}

/* ---- checkpoints ---- */

int reclog_tidy_due(const struct reclog *l)
{
    return l->wal_pages >= WAL_MOST_PAGES ? 2 : l->wal_pages >= WAL_IDLE_PAGES ? 1 : 0;
}

/* Passive: waits for nobody. When no reader is in the -wal file, the next commit starts it anew. */
int reclog_tidy(struct reclog *l)
{
    int rc = sqlite3_wal_checkpoint_v2(l->db, NULL, SQLITE_CHECKPOINT_PASSIVE, NULL, NULL);
    int r = rc == SQLITE_OK ? 0 : sql_code(l->db, rc);

    l->failed |= r == UV_EIO;
    l->wal_pages = 0; /* the next commit's hook says how much there really is */
    return r == UV_EBUSY ? 0 : r;
}

/* ---- reading ---- */

struct reclog_reader {
    sqlite3 *db;
    sqlite3_stmt *read;
};

int reclog_reader_open(struct reclog_reader **ret, const char *dir, struct fail *fail)
{
    struct reclog_reader *r = calloc(1, sizeof(*r));
    char path[4096];
    int err;

    if (!r)
        return fail_set(fail, UV_ENOMEM, "no memory");
    path_of(path, sizeof(path), dir);
    err = sql_open(&r->db, path, SQL_READER, false, fail);
    if (err == 0) {
        err = sql_prepare(r->db, &r->read,
                          "SELECT seq, type, payload FROM records WHERE seq >= ? ORDER BY seq"
                          " LIMIT ?");
        if (err < 0)
            fail_set(fail, err, "%s: %s", path, sqlite3_errmsg(r->db));
    }
    if (err < 0)
        reclog_reader_close(r);
    else
        *ret = r;
    return err;
}

void reclog_reader_close(struct reclog_reader *r)
{
    if (!r)
        return;
    sqlite3_finalize(r->read);
    sql_close(r->db);
    free(r);
}

int reclog_read(struct reclog_reader *r, uint64_t first, uint32_t limit, reclog_fn *fn, void *ctx)
{
    int n = 0, err = 0;

    sql_bind_u64(r->read, 1, first);
    sql_bind_u64(r->read, 2, limit);
    while (err == 0) {
        int row = sql_row(r->read);

        if (row <= 0)
            return row < 0 ? row : n;
        if (sql_u64(r->read, 0) != first + (uint64_t)n)
            err = UV_EIO;
        else
            err = fn(ctx, &(struct reclog_record){
                              .seq = first + (uint64_t)n,
                              .pos = first + (uint64_t)n,
                              .type = (enum record_type)sqlite3_column_int(r->read, 1),
                              .payload = sql_view(r->read, 2),
                          });
        n++;
    }
    sqlite3_reset(r->read);
    return err;
}

int reclog_read_at(struct reclog_reader *r, uint64_t pos, uint64_t seq, reclog_fn *fn, void *ctx)
{
    int n = reclog_read(r, pos, 1, fn, ctx);

    (void)seq;
    return n < 0 ? n : n == 0 ? UV_ENOENT : 0;
}
