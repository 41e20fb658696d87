/*
 * dump.c - the index compared row by row.
 */
#include "dump.h"

#include <inttypes.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <uv.h>
#include "base/buf.h"
#include "box.h"
#include "journal_int.h"

/* ---- the log alone ---- */

bool log_open_alone(struct opened_log *l, const char *dir, struct fail *fail)
{
    struct reclog_conf conf = { .dir = dir, .segment_bytes = BOX_SEGMENT_BYTES };

    *l = (struct opened_log){ 0 };
    if (reclog_open(&l->log, &conf, fail) < 0)
        return false;
    l->first = reclog_first(l->log);
    if (reclog_reader_open(&l->reader, l->log) < 0) {
        reclog_close(l->log);
        return false;
    }
    l->last = reclog_last(l->log);
    return true;
}

void log_close_alone(struct opened_log *l)
{
    reclog_reader_close(l->reader);
    reclog_close(l->log);
}

/* ---- building ---- */

bool builder_start(struct index_builder *b, struct opened_log *l, struct fail *fail)
{
    *b = (struct index_builder){ 0 };
    scratch_make(b->dir);
    if (index_open(&b->index, b->dir, l->reader, reclog_id(l->log), l->last, fail) < 0) {
        scratch_remove(b->dir);
        return false;
    }
    return true;
}

int builder_apply(struct index_builder *b, const struct reclog_record *rec)
{
    int r = b->open++ ? 0 : index_begin(b->index);

    if (r == 0)
        r = index_apply(b->index, rec);
    if (r == 0 && b->open == 4096) {
        b->open = 0;
        r = index_commit(b->index);
    }
    return r;
}

void builder_end(struct index_builder *b)
{
    if (b->open && index_commit(b->index) < 0)
        die("cannot commit", b->dir);
    index_close(b->index);
    b->index = NULL;
}

void builder_remove(struct index_builder *b)
{
    scratch_remove(b->dir);
}

/* ---- comparing ---- */

static sqlite3 *open_index(const char *dir)
{
    char path[512];
    sqlite3 *db;

    snprintf(path, sizeof(path), "%s/sluice.db", dir);
    if (sqlite3_open_v2(path, &db, SQLITE_OPEN_READWRITE, NULL) != SQLITE_OK)
        die("cannot open", path);
    return db;
}

static sqlite3_stmt *prepare(sqlite3 *db, const char *sql)
{
    sqlite3_stmt *st;

    if (sqlite3_prepare_v2(db, sql, -1, &st, NULL) != SQLITE_OK)
        die(sql, sqlite3_errmsg(db));
    return st;
}

static void render(sqlite3_stmt *st, struct buf *b)
{
    buf_clear(b);
    for (int i = 0; i < sqlite3_column_count(st); i++) {
        const uint8_t *p = sqlite3_column_blob(st, i);

        if (i)
            buf_char(b, '|');
        for (int k = 0; k < sqlite3_column_bytes(st, i); k++)
            if (p[k] >= ' ' && p[k] < 127)
                buf_char(b, (char)p[k]);
            else
                buf_printf(b, "\\%02x", p[k]);
    }
    buf_char(b, '\0');
}

/* "SELECT id, endpoint, ... FROM events ORDER BY 1, 2, 3", own. */
static char *select_all(sqlite3 *db, const char *table, bool places)
{
    struct buf sql = { 0 };
    sqlite3_stmt *st;

    buf_printf(&sql, "SELECT name FROM pragma_table_info('%s')", table);
    st = prepare(db, sql.data);
    buf_clear(&sql);
    while (sqlite3_step(st) == SQLITE_ROW) {
        const char *name = (const char *)sqlite3_column_text(st, 0);

        if (places || strcmp(name, "pos") != 0)
            buf_printf(&sql, "%s%s", sql.len ? ", " : "SELECT ", name);
    }
    sqlite3_finalize(st);
    /* a count of 0 is none: how often one was written depends on the batches */
    buf_printf(&sql, " FROM %s%s ORDER BY 1, 2", table,
               strcmp(table, "counts") == 0 ? " WHERE n <> 0" : "");
    return buf_steal(&sql, NULL);
}

static bool same_table(sqlite3 *a, sqlite3 *b, const char *table, bool places, char *why,
                       size_t size)
{
    char *sql = select_all(b, table, places);
    sqlite3_stmt *x = prepare(a, sql), *y = prepare(b, sql);
    struct buf row_x = { 0 }, row_y = { 0 };
    bool ok = true;
    int more_x, more_y;

    free(sql);
    do {
        more_x = sqlite3_step(x);
        more_y = sqlite3_step(y);
        if (more_x == SQLITE_ROW)
            render(x, &row_x);
        if (more_y == SQLITE_ROW)
            render(y, &row_y);
        ok = more_x == more_y &&
             (more_x != SQLITE_ROW || (row_x.len == row_y.len && !strcmp(row_x.data, row_y.data)));
    } while (ok && more_x == SQLITE_ROW);
    if (!ok)
        snprintf(why, size, "index, table %s: has %.200s, from the log comes %.200s", table,
                 more_x == SQLITE_ROW ? row_x.data : sqlite3_errstr(more_x),
                 more_y == SQLITE_ROW ? row_y.data : sqlite3_errstr(more_y));
    buf_finish(&row_x);
    buf_finish(&row_y);
    sqlite3_finalize(x);
    sqlite3_finalize(y);
    return ok;
}

static bool integrity(sqlite3 *db, char *why, size_t size)
{
    sqlite3_stmt *st = prepare(db, "PRAGMA quick_check");
    bool ok = sqlite3_step(st) == SQLITE_ROW &&
              strcmp((const char *)sqlite3_column_text(st, 0), "ok") == 0;

    if (!ok)
        snprintf(why, size, "sluice.db: %s", sqlite3_column_text(st, 0));
    sqlite3_finalize(st);
    return ok;
}

bool dump_same(const char *dir, const char *other, bool places, char *why, size_t size)
{
    sqlite3 *a = open_index(dir), *b = open_index(other);
    /* `wipe` is about the pages of the one file, not about what it says */
    sqlite3_stmt *tables = prepare(b,
                                   "SELECT name FROM sqlite_schema WHERE type = 'table' AND"
                                   " name NOT LIKE 'sqlite_%' AND name <> 'wipe'");
    bool ok = integrity(a, why, size);

    while (ok && sqlite3_step(tables) == SQLITE_ROW)
        ok = same_table(a, b, (const char *)sqlite3_column_text(tables, 0), places, why, size);
    sqlite3_finalize(tables);
    sqlite3_close(a);
    sqlite3_close(b);
    return ok;
}

bool dump_deliveries_match(const char *dir, const struct standing *want, size_t n, char *why,
                           size_t size)
{
    sqlite3 *db = open_index(dir);
    sqlite3_stmt *st = prepare(db, "SELECT num, state, batch FROM deliveries ORDER BY num");
    bool ok = true;
    size_t i = 0;

    for (; ok && sqlite3_step(st) == SQLITE_ROW; i++)
        ok = i < n && (uint64_t)sqlite3_column_int64(st, 0) == want[i].num &&
             sqlite3_column_int(st, 1) == want[i].state &&
             (uint64_t)sqlite3_column_int64(st, 2) == want[i].batch;
    if (ok && i < n)
        ok = false;
    else if (!ok)
        i--;
    if (!ok)
        snprintf(why, size, "delivery %zu of %zu: num %" PRIu64 " state %d", i, n,
                 i < n ? want[i].num : 0, i < n ? want[i].state : -1);
    sqlite3_finalize(st);
    sqlite3_close(db);
    return ok;
}
