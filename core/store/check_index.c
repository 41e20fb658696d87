/*
 * check_index.c - sluice.db: whole by SQLite's own check, where it stands, and whether it says what
 * the log says. While the log goes back to its first record, and nothing has gone from the index, a
 * second index is made of it and the two compared row by row; else what the index knows of the
 * events that the log still holds and retention has not come to.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <uv.h>
#include "base/buf.h"
#include "store/check_int.h"
#include "store/schema.h"
#include "store/sql.h"

#define INDEX        "sluice.db"
#define BATCH        4096u
#define WRONG_EVENTS 20u /* told one by one */

#define EVENT_GET(erased)                                                          \
    "SELECT received_ms, endpoint, topic, sender_id, body_bytes, subject, routed," \
    " n_deliveries, " erased " FROM events WHERE id = ?"

static void index_path(const struct checker *c, const char *suffix, char out[CHECK_PATH])
{
    snprintf(out, CHECK_PATH, "%s/" INDEX "%s", c->path, suffix);
}

static bool is_there(const struct checker *c, const char *suffix)
{
    char path[CHECK_PATH];

    index_path(c, suffix, path);
    return access(path, F_OK) == 0;
}

static void damaged(struct checker *c, const char *what, const char *text)
{
    c->db_bad = true;
    check_add(c, INDEX, NO_OFFSET, 0, 0, todo_index, "%s: %s", what, text);
}

/* ---- opening ---- */

/* An older index than this program makes, or one that was: it is good, and not what the log alone
 * would give. */
static int read_migrated(struct checker *c)
{
    sqlite3_stmt *st = NULL;
    int r = sql_prepare(c->db, &st, "PRAGMA user_version");

    if (r == 0)
        r = sql_row(st);
    c->migrated = r > 0 && sqlite3_column_int(st, 0) < schema_index.version;
    sqlite3_finalize(st);
    if (r < 0 || c->migrated)
        return r;
    if ((r = sql_prepare(c->db, &st, "SELECT migrated FROM position")) == 0)
        r = sql_row(st);
    c->migrated = r > 0 && sqlite3_column_int64(st, 0) != 0;
    sqlite3_finalize(st);
    return r;
}

static int read_position(struct checker *c)
{
    sqlite3_stmt *st = NULL;
    int r = sql_prepare(c->db, &st, "SELECT log_id, watermark, kept_from FROM position");

    if (r == 0)
        r = sql_row(st);
    if (r > 0) {
        sl_str id = sql_view(st, 0);

        c->db_named = id.len == 16;
        if (c->db_named)
            memcpy(c->db_log_id, id.ptr, 16);
        c->watermark = sql_u64(st, 1);
        c->kept_from = sql_u64(st, 2);
    }
    sqlite3_finalize(st);
    if (r > 0)
        r = read_migrated(c);
    return r > 0 ? 0 : r < 0 ? r : UV_EILSEQ;
}

static void drop_db(struct checker *c)
{
    sqlite3_finalize(c->event);
    sql_close(c->db);
    c->event = NULL;
    c->db = NULL;
}

int check_index_open(struct checker *c, struct fail *fail)
{
    char path[CHECK_PATH];
    struct fail why = { 0 };
    int r;

    (void)fail;
    index_path(c, "", path);
    c->db_there = is_there(c, "");
    c->had_wal = is_there(c, "-wal");
    c->had_shm = is_there(c, "-shm");
    if (!c->db_there)
        return 0;
    r = sql_open(&c->db, path, SQL_READER, false, &why);
    if (r < 0) {
        c->db = NULL;
        damaged(c, "cannot be opened", why.text);
        return r == UV_ENOMEM ? r : 0;
    }
    if ((r = read_position(c)) < 0) {
        damaged(c, "cannot be read", sqlite3_errmsg(c->db));
        c->watermark = 0;
        c->db_named = false;
        drop_db(c);
        return r == UV_ENOMEM ? r : 0;
    }
    r = sql_prepare(c->db, &c->event, EVENT_GET("erased"));
    if (r < 0 && c->migrated) /* before it was known that one could be */
        r = sql_prepare(c->db, &c->event, EVENT_GET("0"));
    if (r < 0)
        damaged(c, "cannot be read", sqlite3_errmsg(c->db));
    return r == UV_ENOMEM ? r : 0;
}

bool check_index_log_id(const struct checker *c, uint8_t out[16])
{
    if (c->db_named)
        memcpy(out, c->db_log_id, 16);
    return c->db_named;
}

/* ---- a second one ---- */

static int fresh_begin(struct checker *c, struct fail *fail)
{
    const char *tmp = getenv("TMPDIR");
    int r;

    snprintf(c->fresh_dir, sizeof(c->fresh_dir), "%.400s/sluice-check-XXXXXX",
             tmp && *tmp ? tmp : "/var/tmp");
    if (!mkdtemp(c->fresh_dir)) {
        r = uv_translate_sys_error(errno);
        c->fresh_dir[0] = '\0';
        return fail_set(fail, r, "cannot make a folder for a second index (TMPDIR): %s",
                        uv_strerror(r));
    }
    return index_open(&c->fresh, c->fresh_dir, NULL, c->log_id, c->watermark, fail);
}

static void fresh_drop(struct checker *c)
{
    static const char *const suffixes[] = { "", "-wal", "-shm" };
    char path[CHECK_PATH];

    index_close(c->fresh);
    c->fresh = NULL;
    if (!c->fresh_dir[0])
        return;
    for (size_t i = 0; i < 3; i++) {
        snprintf(path, sizeof(path), "%s/" INDEX "%s", c->fresh_dir, suffixes[i]);
        unlink(path);
    }
    rmdir(c->fresh_dir);
    c->fresh_dir[0] = '\0';
}

/* What was before the log's first record is in the index alone. An index that does not reach it
 * cannot follow; all it says of deliveries may be older than what became of them, so it is no
 * beginning to go on from. */
static void check_reach(struct checker *c)
{
    const uint64_t first = c->report->first;

    if (!c->db_there && first <= 1) {
        check_add(c, INDEX, NO_OFFSET, 0, 0, "start the daemon: it is made again from the log",
                  "the file is missing");
    } else if (!c->db_there) {
        c->db_behind = true;
        check_add(c, INDEX, NO_OFFSET, 1, first - 1, todo_behind,
                  "the file is missing, and the log begins with record %" PRIu64
                  ": what was open, held or dead of the events before is lost with it, and links",
                  first);
    } else if (c->db && c->watermark + 1 < first) {
        c->db_behind = true;
        check_add(c, INDEX, NO_OFFSET, c->watermark + 1, first - 1, todo_behind,
                  "it stands at record %" PRIu64 ", but the log begins with %" PRIu64
                  ": it cannot follow, and what it says may be older than what was sent",
                  c->watermark, first);
    } else if (!c->db && first > 1) {
        c->db_behind = true; /* what is wrong with it has been said */
    }
}

int check_index_begin(struct checker *c, struct fail *fail)
{
    check_reach(c);
    if (!c->db)
        return 0;
    if (c->db_named && memcmp(c->db_log_id, c->log_id, 16) != 0) {
        damaged(c, "was made of another log", "restore both together");
        c->watermark = 0;
        drop_db(c);
        return 0;
    }
    return c->report->first == 1 && !c->kept_from && !c->migrated && !c->db_bad
               ? fresh_begin(c, fail)
               : 0;
}

static int fresh_apply(struct checker *c, uint64_t pos, const struct segment_record *rec)
{
    struct reclog_record r = {
        .seq = rec->seq, .pos = pos, .type = (enum record_type)rec->type, .payload = rec->payload
    };
    int err = 0;

    /* Damage before it, or an index that may know what was written off: nothing to compare. */
    if (rec->seq != index_watermark(c->fresh) + 1 || rec->type == REC_VOID) {
        fresh_drop(c);
        return 0;
    }
    if (c->fresh_open++ == 0)
        err = index_begin(c->fresh);
    if (err == 0)
        err = index_apply(c->fresh, &r);
    if (err == UV_EINVAL) {
        char name[80];

        check_segment_name((uint32_t)(pos >> 32), name);
        check_add(c, name, pos & UINT32_MAX, rec->seq, rec->seq, "use the newer program",
                  "the record cannot be understood");
        fresh_drop(c);
        return 0;
    }
    if (err == 0 && c->fresh_open >= BATCH && !index_mid_append(c->fresh)) {
        c->fresh_open = 0;
        err = index_commit(c->fresh);
    }
    return err;
}

/* ---- event by event ---- */

static bool same_text(sqlite3_stmt *st, int column, sl_str s)
{
    sl_str v = sql_view(st, column);

    return v.len == s.len && (s.len == 0 || memcmp(v.ptr, s.ptr, s.len) == 0);
}

/* Of one that is erased the log has it still, for a while. */
static bool same_event(sqlite3_stmt *st, const struct rec_receipt *e)
{
    if (sqlite3_column_int(st, 8))
        return sqlite3_column_int64(st, 0) == e->received_ms && same_text(st, 1, e->endpoint);
    return sqlite3_column_int64(st, 0) == e->received_ms && same_text(st, 1, e->endpoint) &&
           same_text(st, 2, e->topic) && same_text(st, 3, e->sender_id) &&
           sql_u64(st, 4) == e->body.len;
}

static int check_event(struct checker *c, uint64_t seq, sl_str payload)
{
    struct rec_receipt e;
    int r = rec_receipt_decode(payload, &e);

    if (r < 0)
        return r == UV_ENOMEM ? r : 0;
    sql_bind_u64(c->event, 1, seq);
    r = sql_row(c->event);
    if (r == 0 && seq < c->kept_from)
        return 0; /* it was old */
    if (r >= 0 && (r == 0 || !same_event(c->event, &e)) && c->events_wrong++ < WRONG_EVENTS)
        check_add(c, INDEX, NO_OFFSET, seq, seq, todo_index, "event %" PRIu64 " is %s", seq,
                  r ? "not as the log has it" : "not in it");
    else if (r < 0 && c->events_wrong++ < WRONG_EVENTS)
        check_add(c, INDEX, NO_OFFSET, seq, seq, todo_index, "event %" PRIu64 " cannot be read: %s",
                  seq, sqlite3_errmsg(c->db));
    c->db_bad = c->db_bad || c->events_wrong;
    sqlite3_reset(c->event);
    return r == UV_ENOMEM ? r : 0;
}

int check_index_record(struct checker *c, uint32_t segment, uint64_t offset,
                       const struct segment_record *rec)
{
    int r = 0;

    if (rec->seq > c->watermark)
        return 0;
    if (rec->type == REC_RECEIPT)
        c->report->events++;
    if (c->fresh)
        r = fresh_apply(c, (uint64_t)segment << 32 | offset, rec);
    else if (c->event && rec->type == REC_RECEIPT)
        r = check_event(c, rec->seq, rec->payload);
    return r;
}

/* ---- the two compared ---- */

static char *select_all(const char *table)
{
    struct buf sql = { 0 };

    /* a count of 0 is none: how often one was written depends on the batches */
    buf_printf(&sql, "SELECT * FROM \"%s\"%s ORDER BY 1, 2, 3", table,
               strcmp(table, "counts") == 0 ? " WHERE n <> 0" : "");
    return buf_steal(&sql, NULL);
}

static bool same_value(sqlite3_stmt *a, sqlite3_stmt *b, int i)
{
    sl_str x, y;

    if (sqlite3_column_type(a, i) != sqlite3_column_type(b, i))
        return false;
    x = sql_view(a, i);
    y = sql_view(b, i);
    return x.len == y.len && (x.len == 0 || memcmp(x.ptr, y.ptr, x.len) == 0);
}

/* The first column that differs; -1: none. */
static int difference(sqlite3_stmt *a, sqlite3_stmt *b)
{
    int n = sqlite3_column_count(a);

    if (n != sqlite3_column_count(b))
        return 0;
    for (int i = 0; i < n; i++)
        if (!same_value(a, b, i))
            return i;
    return -1;
}

static void tell_difference(struct checker *c, const char *table, sqlite3_stmt *ours,
                            sqlite3_stmt *logs, int more, int column, uint64_t row)
{
    char where[80] = "";

    c->db_bad = true;
    if (more == SQLITE_ROW && sqlite3_column_type(logs, 0) == SQLITE_INTEGER)
        snprintf(where, sizeof(where), ", %s %lld", sqlite3_column_name(logs, 0),
                 sqlite3_column_int64(logs, 0));
    check_add(c, INDEX, NO_OFFSET, 0, 0, todo_index,
              "table %s differs from what the log says, from row %" PRIu64 " on%s%s%s", table, row,
              where, column >= 0 ? ", column " : "",
              column >= 0 ? sqlite3_column_name(ours, column) : "");
}

/* What `sql` gives in both. */
static void compare_rows(struct checker *c, sqlite3 *fresh, const char *table, const char *sql)
{
    sqlite3_stmt *a = NULL, *b = NULL;
    int x = SQLITE_ROW, y = SQLITE_ROW, column = -1;
    uint64_t row = 0;

    if (!sql || sql_prepare(c->db, &a, sql) < 0 || sql_prepare(fresh, &b, sql) < 0) {
        damaged(c, table, sqlite3_errmsg(c->db));
        goto out;
    }
    while (x == SQLITE_ROW && y == SQLITE_ROW && column < 0) {
        x = sqlite3_step(a);
        y = sqlite3_step(b);
        row++;
        if (x == SQLITE_ROW && y == SQLITE_ROW)
            column = difference(a, b);
    }
    if (x != SQLITE_ROW && x != SQLITE_DONE)
        damaged(c, table, sqlite3_errmsg(c->db));
    else if (x != y || column >= 0)
        tell_difference(c, table, a, b, y, column, row);
out:
    sqlite3_finalize(a);
    sqlite3_finalize(b);
}

static void compare_table(struct checker *c, sqlite3 *fresh, const char *table)
{
    char *sql = select_all(table);

    compare_rows(c, fresh, table, sql);
    free(sql);
}

/* Every table but those whose rows come from elsewhere than the log. */
static int compare(struct checker *c, struct fail *fail)
{
    char path[CHECK_PATH];
    sqlite3_stmt *st = NULL;
    sqlite3 *fresh;
    int r;

    snprintf(path, sizeof(path), "%s/" INDEX, c->fresh_dir);
    if ((r = sql_open(&fresh, path, SQL_READER, false, fail)) < 0)
        return r;
    r = sql_prepare(fresh, &st,
                    "SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE"
                    " 'sqlite_%' AND name <> 'receipts' AND name <> 'wipe'");
    while (r == 0 && sqlite3_step(st) == SQLITE_ROW)
        compare_table(c, fresh, (const char *)sqlite3_column_text(st, 0));
    sqlite3_finalize(st);
    /* a wrong byte in a constraint or a type is one that SQLite takes as it is */
    compare_rows(c, fresh, "sqlite_schema",
                 "SELECT type, name, tbl_name, sql FROM sqlite_schema ORDER BY type, name");
    sql_close(fresh);
    c->report->compared = r == 0;
    return r;
}

static void integrity(struct checker *c)
{
    sqlite3_stmt *st = NULL;
    int r = sql_prepare(c->db, &st, "PRAGMA integrity_check(20)");

    while (r == 0 && (r = sqlite3_step(st)) == SQLITE_ROW) {
        const char *text = (const char *)sqlite3_column_text(st, 0);

        r = 0;
        if (text && strcmp(text, "ok") != 0)
            damaged(c, "SQLite says", text);
    }
    if (r != SQLITE_DONE)
        damaged(c, "SQLite says", sqlite3_errmsg(c->db));
    sqlite3_finalize(st);
}

int check_index_end(struct checker *c, struct fail *fail)
{
    int r = 0;

    c->report->watermark = c->watermark;
    if (!c->db)
        return 0;
    integrity(c);
    if (c->fresh && c->fresh_open)
        r = index_commit(c->fresh);
    if (r == 0 && c->fresh && index_watermark(c->fresh) == c->watermark) {
        index_close(c->fresh);
        c->fresh = NULL;
        r = compare(c, fail);
    }
    return r;
}

/* ---- what it knows ---- */

void check_index_tell(struct checker *c, uint64_t seq, char *out, size_t size)
{
    out[0] = '\0';
    if (!c->event)
        return;
    sql_bind_u64(c->event, 1, seq);
    if (sql_row(c->event) == 1) {
        sl_str endpoint = sql_view(c->event, 1), topic = sql_view(c->event, 2);
        sl_str id = sql_view(c->event, 3), subject = sql_view(c->event, 5);

        snprintf(out, size, "event %.*s %.*s, sender's id %.*s, %.*s%s%lld deliveries",
                 (int)endpoint.len, endpoint.ptr, (int)topic.len, topic.ptr, (int)id.len, id.ptr,
                 (int)subject.len, subject.ptr, subject.len ? ", " : "",
                 sqlite3_column_int64(c->event, 7));
    }
    sqlite3_reset(c->event);
}

void check_index_close(struct checker *c)
{
    char path[CHECK_PATH];
    struct stat st;

    fresh_drop(c);
    drop_db(c);
    /* A reader makes these two; what was not there before is not left behind. */
    index_path(c, "-wal", path);
    if (c->db_there && !c->had_wal && stat(path, &st) == 0 && st.st_size == 0)
        unlink(path);
    index_path(c, "-shm", path);
    if (c->db_there && !c->had_shm)
        unlink(path);
}
