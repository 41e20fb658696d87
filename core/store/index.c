/*
 * index.c - opening the index, its statements, its transactions.
 */
#include "store/index_int.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <uv.h>
#include "base/digest.h"
#include "store/detail.h"
#include "store/reason.h"
#include "store/schema.h"

#define WAL_IDLE_PAGES 256 /* 1 MiB */
#define WAL_MOST_PAGES 512 /* 2 MiB: what one checkpoint syncs at once is a wait for the log */

#define DELIVERY_COLUMNS                                                                     \
    "num, id, state, priority, attempts, generation, next_ms, received_ms, first_sent_ms,"   \
    " batch, body_bytes, route, piece, endpoint, action, subject, topic, hold_type, reason," \
    " version, detail, arrival, since_ms"

#define DELIVERY_MOVE                                               \
    "UPDATE deliveries SET state = ?2,"                             \
    " attempts = CASE ?3 WHEN 2 THEN 0 ELSE attempts + ?3 END,"     \
    " generation = ?4, next_ms = ?5, updated_ms = ?6, reason = ?7," \
    " hold_type = ?8, endpoint = ?9,"                               \
    " reference = CASE WHEN ?10 = '' THEN reference ELSE ?10 END,"  \
    " priority = CASE WHEN ?11 = 0 THEN priority ELSE ?11 - 1 END," \
    " detail = CASE WHEN ?12 = '' THEN detail"                      \
    " WHEN instr(detail, '\"fallback\"') THEN"                      \
    " detail_follow(detail, ?12) ELSE ?12 END,"                     \
    " body_bytes = CASE WHEN ?13 = 0 THEN body_bytes ELSE ?13 END," \
    " arrival = CASE WHEN ?9 <> endpoint THEN 0 WHEN ?14 = 0 THEN arrival ELSE ?14 END"

#define DEADLINE_COLUMNS                                                                    \
    "l.num, l.state, l.next_ms, l.due_ms, l.expect, l.topic, l.owner, l.route, l.subject, " \
    "l.endpoint, coalesce(d.piece, '') FROM deadlines l LEFT JOIN deliveries d ON d.num = l.num"

const char *const index_sql[IX__COUNT] = {
    [IX_BEGIN] = "BEGIN IMMEDIATE",
    [IX_COMMIT] = "COMMIT",
    [IX_POSITION] =
        "UPDATE position SET watermark = ?, events = ?, same_id = ?,"
        " same_event = ?, kept_from = ?, restored_to = ?, restored_ms = ?, doubled = ?"
        " WHERE one = 1",

    [IX_EVENT_ADD] =
        "INSERT INTO events(id, pos, received_ms, origin, cause, endpoint, topic, sender_id,"
        " subject, version, body_bytes, routed, routed_ms, n_deliveries, duplicate_of, note)"
        " VALUES(?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
    [IX_EVENT_GET] =
        "SELECT received_ms, topic, routed, n_deliveries, subject, version, origin, duplicate_of"
        " FROM events WHERE id = ?",
    [IX_EVENT_ROUTED] =
        "UPDATE events SET routed = ?2, routed_ms = ?3, n_deliveries = ?4,"
        " duplicate_of = ?5, note = ?6, subject = ?7, version = ?8 WHERE id = ?1",
    [IX_ABOUT_ADD] = "INSERT OR REPLACE INTO abouts(event, n, subject, version) VALUES(?, ?, ?, ?)",
    [IX_ABOUT_CLEAR] = "DELETE FROM abouts WHERE event = ? AND n >= 0",
    [IX_ABOUT_FORGET] = "DELETE FROM abouts WHERE event = ?",
    [IX_WAIT_ADD] = "INSERT INTO waits(event, n, endpoint, kind, id) VALUES(?, ?, ?, ?, ?)",
    [IX_WAIT_CLEAR] = "DELETE FROM waits WHERE event = ?",
    [IX_DELIVERY_ADD] =
        "INSERT OR IGNORE INTO deliveries(num, id, state, priority, received_ms,"
        " updated_ms, body_bytes, endpoint, route, piece, action, subject, topic,"
        " hold_type, reason, next_ms, version, detail)"
        " VALUES(?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
    [IX_BODY_ADD] = "INSERT OR REPLACE INTO bodies(num, body) VALUES(?, ?)",
    /* The request of an earlier generation is not the one of this key. */
    [IX_BODY_FREEZE] =
        "UPDATE bodies SET request = CASE WHEN length(?2) > 0 THEN ?2"
        " WHEN generation = ?5 THEN request ELSE NULL END,"
        " key = ?3, digest = ?4, generation = ?5 WHERE num = ?1",
    [IX_DELIVERY_STAND] =
        "SELECT state, endpoint, route, batch, issue, job FROM deliveries WHERE num = ?",
    [IX_DELIVERY_SENT] =
        "UPDATE deliveries SET state = 1, batch = ?2, generation = ?3,"
        " updated_ms = ?4, next_ms = 0, reason = '', hold_type = '',"
        " first_sent_ms = CASE first_sent_ms WHEN 0 THEN ?4 ELSE first_sent_ms END,"
        " since_ms = CASE since_ms WHEN 0 THEN ?4 ELSE since_ms END WHERE num = ?1",
    [IX_DELIVERY_MOVE] = DELIVERY_MOVE
    ", first_sent_ms = CASE WHEN ?9 <> endpoint THEN 0 ELSE first_sent_ms END,"
    " since_ms = CASE WHEN ?9 <> endpoint OR ?17 THEN 0 ELSE since_ms END"
    " WHERE num = ?1",
    /* the same after IX_DELIVERY_SENT, as one */
    [IX_DELIVERY_DONE] = DELIVERY_MOVE
    ", first_sent_ms = CASE WHEN ?9 <> endpoint THEN 0"
    " WHEN first_sent_ms = 0 THEN ?15 ELSE first_sent_ms END, batch = ?16,"
    " since_ms = CASE WHEN ?9 <> endpoint OR ?17 THEN 0"
    " WHEN since_ms = 0 THEN ?15 ELSE since_ms END"
    " WHERE num = ?1",
    [IX_ATTEMPT_ADD] =
        "INSERT OR REPLACE INTO attempts(num, batch, attempt, generation, key,"
        " digest, endpoint, sent_ms) VALUES(?, ?, ?, ?, ?, ?, ?, ?)",
    [IX_ATTEMPT_END] =
        "UPDATE attempts SET ended_ms = ?3, state = ?4, burnt = ?5, status = ?6,"
        " latency_ms = ?7, reason = ?8 WHERE num = ?1 AND batch = ?2",
    /* IX_ATTEMPT_ADD and IX_ATTEMPT_END as one */
    [IX_ATTEMPT_DONE] =
        "INSERT OR REPLACE INTO attempts(num, batch, attempt, generation, key,"
        " digest, endpoint, sent_ms, ended_ms, state, burnt, status, latency_ms, reason)"
        " VALUES(?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
    [IX_MOVE_ADD] =
        "INSERT OR REPLACE INTO moves(num, seq, n, at_ms, state, who, reason, endpoint)"
        " VALUES(?, ?, ?, ?, ?, ?, ?, ?)",
    [IX_DEADLINE_BEGIN] =
        "INSERT INTO deadlines(num, began_ms, next_ms, due_ms, expect, topic, owner, route,"
        " subject, endpoint) VALUES(?, ?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT(num) DO UPDATE"
        " SET state = 0, began_ms = excluded.began_ms, next_ms = excluded.next_ms,"
        " due_ms = excluded.due_ms, expect = excluded.expect, topic = excluded.topic,"
        " owner = excluded.owner, endpoint = excluded.endpoint, ended_ms = 0, event = 0"
        " WHERE state <> 0",
    [IX_DEADLINE_WARN] = "UPDATE deadlines SET next_ms = ?2 WHERE num = ?1 AND state = 0",
    [IX_DEADLINE_END] =
        "UPDATE deadlines SET state = ?2, ended_ms = ?3, event = ?4"
        " WHERE num = ?1 AND state = 0",
    [IX_STATE_SET] =
        "INSERT OR REPLACE INTO state(space, key, value, at_ms, who, why)"
        " VALUES(?, ?, ?, ?, ?, ?)",
    [IX_STATE_CLEAR] = "DELETE FROM state WHERE space = ? AND key = ?",
    [IX_ISSUE_ADD] =
        "INSERT INTO issues VALUES(?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?8, ?8, 1, 1, 0, 0, 0, '', '',"
        " 0, '', '') ON CONFLICT(id) DO UPDATE SET example = ?6, example_num = ?7, last_ms = ?8,"
        " n = n + 1, dead = dead + 1, reopened = reopened + (resolved_ms <> 0),"
        " opened_ms = CASE resolved_ms WHEN 0 THEN opened_ms ELSE ?8 END,"
        " ack_ms = CASE resolved_ms WHEN 0 THEN ack_ms ELSE 0 END,"
        " resolved_ms = 0, resolved_who = '', resolved_why = ''",
    [IX_ISSUE_CHANGE] =
        "UPDATE issues SET dead = dead + ?2, live = live + ?3,"
        " resolved_who = CASE WHEN resolved_ms = 0 AND dead + live + ?2 + ?3 = 0"
        " THEN 'sluice' ELSE resolved_who END,"
        " resolved_why = CASE WHEN resolved_ms = 0 AND dead + live + ?2 + ?3 = 0"
        " THEN 'no dead letter of it is left' ELSE resolved_why END,"
        " resolved_ms = CASE WHEN resolved_ms = 0 AND dead + live + ?2 + ?3 = 0"
        " THEN ?4 ELSE resolved_ms END WHERE id = ?1",
    [IX_ISSUE_ACK] = "UPDATE issues SET ack_ms = ?2, ack_who = ?3, ack_why = ?4 WHERE id = ?1",
    [IX_ISSUE_RESOLVE] =
        "UPDATE issues SET resolved_ms = ?2, resolved_who = ?3, resolved_why = ?4 WHERE id = ?1",
    [IX_ISSUE_REOPEN] =
        "UPDATE issues SET opened_ms = ?2, resolved_ms = 0, resolved_who = '', resolved_why = '',"
        " ack_ms = 0, ack_who = ?3, ack_why = ?4 WHERE id = ?1",
    [IX_ISSUE_STANDING] =
        "SELECT sum(ack_ms = 0), sum(ack_ms <> 0), sum(dead) FROM issues WHERE resolved_ms = 0",
    [IX_DELIVERY_ISSUE] = "UPDATE deliveries SET issue = ?2 WHERE num = ?1",
    [IX_DELIVERY_JOB] = "UPDATE deliveries SET job = ?2 WHERE num = ?1",
    [IX_TWINS] =
        "SELECT num FROM deliveries WHERE num BETWEEN ? AND ? AND id = ?"
        " AND NOT (state = 9 AND hold_type = 'remapped') AND NOT (state = 7 AND endpoint = '')",
    [IX_TWIN_GO] = "DELETE FROM deliveries WHERE num = ?",
    [IX_TWIN_BODY_GO] = "DELETE FROM bodies WHERE num = ?",
    [IX_TWIN_MOVES_GO] = "DELETE FROM moves WHERE num = ?",
    [IX_REMAPPED] =
        "SELECT d.num, d.state, d.issue FROM deliveries d JOIN moves m ON m.num = d.num AND m.seq = ?3"
        " WHERE d.num > ?1 AND d.num <= ?2",
    [IX_REPLAY_COUNT] =
        "INSERT INTO replays(job, issue, n) VALUES(?, ?, 1) ON CONFLICT DO UPDATE SET n = n + 1",
    [IX_REPLAY_FORGET] = "DELETE FROM replays WHERE job = ?",
    [IX_EDIT_KEEP] =
        "INSERT OR IGNORE INTO edits(num, seq, body) SELECT num, ?2, body FROM bodies"
        " WHERE num = ?1",
    [IX_BODY_THAW] = "UPDATE bodies SET request = NULL, generation = NULL WHERE num = ?",
    [IX_BODY_EDIT] = "UPDATE bodies SET body = ?2 WHERE num = ?1",
    [IX_LINK_ADD] =
        "INSERT OR REPLACE INTO links(hash, endpoint, kind, id, subject, num, at_ms)"
        " VALUES(?, ?, ?, ?, ?, ?, ?)",
    [IX_LINK_LEARN] =
        "INSERT INTO links(hash, endpoint, kind, id, subject, num, at_ms) VALUES(?, ?, ?, ?, ?, ?, ?)"
        " ON CONFLICT DO UPDATE SET subject = excluded.subject, at_ms = excluded.at_ms",
    [IX_BATCH_ADD] =
        "INSERT INTO batches(id, at_ms, endpoint, route, members)"
        " VALUES(?, ?, ?, ?, ?)",
    /* of one: nobody asks for it again */
    [IX_BATCH_OVER] = "DELETE FROM batches WHERE id = ? AND length(members) = 8",
    [IX_BATCH_TOKEN] = "UPDATE batches SET token = ?2, done = ?3 WHERE id = ?1",
    [IX_COUNT] =
        "INSERT INTO counts(endpoint, route, state, n) VALUES(?, ?, ?, ?)"
        " ON CONFLICT DO UPDATE SET n = n + excluded.n",

    [IX_PRIVACY_ASK] =
        "INSERT OR IGNORE INTO privacy(event, kind, state, endpoint, topic, asked, asked_ms,"
        " due_ms, last) VALUES(?, ?, 0, ?, ?, ?, ?, ?, ?)",
    [IX_PRIVACY_ERASED] =
        "UPDATE privacy SET events = events + ?2, deliveries = deliveries + ?3, last = ?4"
        " WHERE event = ?1",
    [IX_PRIVACY_DONE] =
        "UPDATE privacy SET state = CASE ?2 WHEN 0 THEN 3 ELSE 2 END, log_due_ms = ?2,"
        " done_ms = ?3, ended_ms = CASE ?2 WHEN 0 THEN ?3 ELSE 0 END, who = ?4, why = ?5,"
        " last = ?6 WHERE event = ?1 AND state = 0",
    [IX_PRIVACY_ENDED] = "UPDATE privacy SET state = 3, ended_ms = ?2 WHERE event = ?1",
    [IX_ERASE_EVENT] =
        "UPDATE events SET erased = 1, routed = 1, subject = '', version = '', sender_id = '', body_bytes = 0,"
        " note = 'erased' WHERE id = ? AND erased = 0",
    [IX_ERASE_RECEIPT] = "UPDATE receipts SET payload = x'' WHERE event = ?",
    [IX_ERASE_DELIVERIES] =
        "UPDATE deliveries SET subject = '', version = '', detail = '', reference = '',"
        " reason = '', hold_type = '" HOLD_ERASED "', body_bytes = 0 WHERE num BETWEEN ? AND ?",
    [IX_ERASE_BODIES] = "DELETE FROM bodies WHERE num BETWEEN ? AND ?",
    [IX_ERASE_EDITS] = "DELETE FROM edits WHERE num BETWEEN ? AND ?",
    [IX_ERASE_LINKS] =
        "DELETE FROM links WHERE hash IN (SELECT hash FROM links INDEXED BY links_num"
        " WHERE num BETWEEN ? AND ?)",
    [IX_ERASE_MOVES] = "UPDATE moves SET reason = '' WHERE num BETWEEN ? AND ?",
    [IX_ERASE_ATTEMPTS] = "UPDATE attempts SET reason = '' WHERE num BETWEEN ? AND ?",
    [IX_ERASE_DEADLINES] = "UPDATE deadlines SET subject = '' WHERE num BETWEEN ? AND ?",
    [IX_ERASE_EXAMPLES] = "UPDATE issues SET example = '' WHERE example_num BETWEEN ? AND ?",
    /* that of several says no more of one than of another */
    [IX_ERASE_ISSUES] =
        "UPDATE issues SET reason = 'erased', example = '' WHERE dead + live = 0"
        " AND id IN (SELECT issue FROM deliveries WHERE num BETWEEN ? AND ? AND issue <> 0)",

    [IX_READ] = "BEGIN",
    [IX_CLAIM] = "SELECT " DELIVERY_COLUMNS
                 " FROM deliveries WHERE endpoint = ? AND priority = ?"
                 " AND num > ? AND state < 6 ORDER BY num LIMIT ?",
    [IX_DELIVERY_GET] = "SELECT " DELIVERY_COLUMNS " FROM deliveries WHERE num = ?",
    [IX_BODY_GET] =
        "SELECT b.body, CASE WHEN b.generation = d.generation THEN b.request END,"
        " EXISTS (SELECT 1 FROM edits e WHERE e.num = b.num)"
        " FROM bodies b JOIN deliveries d ON d.num = b.num WHERE b.num = ?",
    [IX_EVENT_DELIVERIES] = "SELECT n_deliveries FROM events WHERE id = ?",
    [IX_EVENT_POS] = "SELECT pos FROM events WHERE id = ? AND erased = 0",
    [IX_RECEIPT_GET] =
        "SELECT payload FROM receipts WHERE event = ?1"
        " AND NOT EXISTS (SELECT 1 FROM events WHERE id = ?1 AND erased = 1)",
    [IX_UNROUTED] =
        "SELECT id FROM events WHERE routed = 0 AND routed <> 1 AND id > ?"
        " ORDER BY id LIMIT ?",
    [IX_WAITING] =
        "SELECT id FROM events WHERE routed = 2 AND routed <> 1 AND id > ?"
        " ORDER BY id LIMIT ?",
    [IX_LINK_GET] = "SELECT subject FROM links WHERE hash = ?",
    [IX_BATCH_GET] = "SELECT token, members FROM batches WHERE id = ?",
    [IX_DUE_HELD] =
        "SELECT next_ms, num FROM deliveries INDEXED BY deliveries_due"
        " WHERE state = 5 AND next_ms > 0 ORDER BY next_ms, num LIMIT ?",
    [IX_DUE_DEADLINES] =
        "SELECT next_ms, num FROM deadlines INDEXED BY deadlines_due"
        " WHERE state = 0 ORDER BY next_ms, num LIMIT ?",
    [IX_HELD_ABOUT] = "SELECT " DELIVERY_COLUMNS
                      " FROM deliveries INDEXED BY deliveries_held"
                      " WHERE state = 5 AND subject = ? ORDER BY num LIMIT ?",
    [IX_DEADLINE_GET] = "SELECT " DEADLINE_COLUMNS " WHERE l.num = ?",
    [IX_DEADLINES_ABOUT] = "SELECT " DEADLINE_COLUMNS
                           " WHERE l.state = 0 AND l.subject = ? ORDER BY l.due_ms, l.num LIMIT ?",
    [IX_EVENT_CAUSE] = "SELECT cause FROM events WHERE id = ?",
    [IX_PIECE_GET] = "SELECT piece FROM deliveries WHERE num = ?",
    [IX_LINK_NUM] = "SELECT num FROM links WHERE hash = ?",
    [IX_CAME] =
        "SELECT id, topic, origin, endpoint, version FROM events"
        " WHERE routed = 1 AND duplicate_of = 0"
        " AND id IN (" INDEX_EVENTS_ABOUT ") ORDER BY id DESC LIMIT ?2",
    [IX_STATE_LIST] = "SELECT key, value, at_ms, who, why FROM state WHERE space = ? ORDER BY key",
    [IX_STATE_PAGE] =
        "SELECT key, value, at_ms, who, why FROM state"
        " WHERE space = ?1 AND key > ?2 AND key >= ?3 AND key < ?4 ORDER BY key LIMIT ?5",
    [IX_SIBLINGS] = "SELECT " DELIVERY_COLUMNS
                    " FROM deliveries WHERE num BETWEEN ?1 AND ?2 ORDER BY num",
    [IX_DEAD] = "SELECT " DELIVERY_COLUMNS
                " FROM deliveries INDEXED BY deliveries_blocks"
                " WHERE route = ? AND num > ? AND state = 7"
                " ORDER BY num LIMIT ?",
    [IX_SPANS] =
        "SELECT (SELECT min(num) FROM deliveries) >> 28,"
        " (SELECT max(num) FROM deliveries) >> 28",
    /* one span, from its newest on */
    [IX_ABOUT_ROUTE] = "SELECT " DELIVERY_COLUMNS
                       " FROM deliveries WHERE num >> 28 = ?1 AND subject = ?2 AND route = ?3"
                       " AND (?4 OR piece = ?5) AND (NOT ?6 OR state < 7)"
                       " ORDER BY num DESC LIMIT ?7",
    [IX_CHAIN] = "SELECT " DELIVERY_COLUMNS
                 " FROM deliveries INDEXED BY deliveries_subject"
                 " WHERE num >> 28 = ?1 AND subject = ?2 AND num >= ?3 AND (NOT ?4 OR num < ?4)"
                 " AND route = ?5 AND piece = ?6 AND state < 6 ORDER BY num LIMIT ?7",
    [IX_PRIVACY_LIST] =
        "SELECT event, kind, state, endpoint, topic, asked, asked_ms, due_ms, events, deliveries,"
        " last, log_due_ms, done_ms, ended_ms, who, why FROM privacy WHERE event > ?"
        " AND (NOT ?2 OR state < 3) ORDER BY event LIMIT ?3",
    [IX_PRIVACY_LOG] =
        "SELECT max(CASE WHEN log_due_ms <= ?1 THEN last END), min(log_due_ms) FROM privacy"
        " WHERE kind = 1 AND state = 2",
    [IX_PRIVACY_EVENTS] =
        "SELECT id, endpoint, subject, cause, origin, routed FROM events"
        " WHERE id BETWEEN ?1 AND ?2 AND erased = 0 AND NOT (?3 AND id IN"
        " (SELECT event FROM privacy WHERE kind = 1 AND state = 0)) ORDER BY id",
    [IX_PRIVACY_ABOUTS] = "SELECT subject FROM abouts WHERE event = ?",
    [IX_PRIVACY_BODIES] =
        "SELECT b.body, b.request, d.reason, d.reference, d.detail FROM deliveries d"
        " LEFT JOIN bodies b ON b.num = d.num WHERE d.num BETWEEN ? AND ?",
    [IX_PRIVACY_EDITS] = "SELECT body FROM edits WHERE num BETWEEN ? AND ?",
    [IX_PRIVACY_CAUSE] = "SELECT erased, endpoint FROM events WHERE id = ?",
    [IX_BATCH_OPEN] = "SELECT 1 FROM deliveries WHERE num = ? AND state = 1 AND batch = ?",
};

void index_link_hash(sl_str endpoint, sl_str kind, sl_str id, uint8_t out[16])
{
    uint8_t full[DIGEST_SHA256];
    sl_str parts[] = { endpoint, kind, id };

    digest_parts(parts, 3, full);
    memcpy(out, full, 16);
}

/* ---- open, close ---- */

static int on_wal(void *ctx, sqlite3 *db, const char *name, int pages)
{
    struct index *ix = ctx;

    (void)db;
    (void)name;
    ix->wal_pages = pages;
    return SQLITE_OK;
}

/* An index that never applied anything takes the name of the log it is opened with. */
static int adopt_log(struct index *ix, const uint8_t log_id[16])
{
    sqlite3_stmt *st = NULL;
    int r = sql_prepare(ix->db, &st, "UPDATE position SET log_id = ?");

    if (r < 0)
        return r;
    sql_bind_bytes(st, 1, (sl_str){ (const char *)log_id, 16 });
    r = sql_run(st);
    sqlite3_finalize(st);
    return r;
}

static int load_position(struct index *ix, const char *path, const uint8_t log_id[16],
                         uint64_t log_last, struct fail *fail)
{
    sqlite3_stmt *st = NULL;
    bool named = false, same = false;
    int r = sql_prepare(ix->db, &st,
                        "SELECT log_id, watermark, events, same_id, same_event, kept_from,"
                        " restored_to, restored_ms, doubled FROM position");

    if (r == 0)
        r = sql_row(st);
    if (r > 0) {
        sl_str id = sql_view(st, 0);

        named = id.len > 0;
        same = id.len == 16 && memcmp(id.ptr, log_id, 16) == 0;
        ix->now = (struct index_position){ .watermark = sql_u64(st, 1),
                                           .events = sql_u64(st, 2),
                                           .same_id = sql_u64(st, 3),
                                           .same_event = sql_u64(st, 4),
                                           .kept_from = sql_u64(st, 5),
                                           .restored_to = sql_u64(st, 6),
                                           .restored_ms = sqlite3_column_int64(st, 7),
                                           .doubled = sql_u64(st, 8) };
        ix->committed = ix->now;
    }
    sqlite3_finalize(st);
    if (r == 0)
        return fail_set(fail, UV_EIO, "%s is damaged: it has no position", path);
    if (r > 0)
        r = named || ix->now.watermark ? 0 : adopt_log(ix, log_id);
    if (r < 0)
        return fail_set(fail, r, "%s: %s", path, sqlite3_errmsg(ix->db));
    if (named && !same)
        return fail_set(fail, UV_EINVAL,
                        "%s was built from another log; remove it to build it anew from this "
                        "one",
                        path);
    if (ix->now.watermark > log_last)
        return fail_set(fail, UV_EINVAL,
                        "%s stands at record %" PRIu64 ", but the log ends at %" PRIu64
                        ": the log is older than its index or was cut; restore both together",
                        path, ix->now.watermark, log_last);
    return 0;
}

int index_open(struct index **ret, const char *dir, struct reclog_reader *log,
               const uint8_t log_id[16], uint64_t log_last, struct fail *fail)
{
    struct index *ix = calloc(1, sizeof(*ix));
    char path[4096];
    int r;

    if (!ix)
        return fail_set(fail, UV_ENOMEM, "no memory");
    ix->log = log;
    index_sent_drop(ix);
    snprintf(path, sizeof(path), "%s/sluice.db", dir);
    if ((r = sql_open(&ix->db, path, SQL_WRITER, false, fail)) < 0)
        goto out;
    if ((r = schema_apply(&schema_index, ix->db, path, fail)) < 0)
        goto out;
    if ((r = reason_register(ix->db)) < 0 || (r = detail_register(ix->db)) < 0) {
        fail_set(fail, r, "%s: %s", path, sqlite3_errmsg(ix->db));
        goto out;
    }
    sqlite3_wal_hook(ix->db, on_wal, ix);
    if ((r = load_position(ix, path, log_id, log_last, fail)) < 0)
        goto out;
    for (int i = 0; i < IX__COUNT; i++)
        if ((r = sql_prepare(ix->db, &ix->st[i], index_sql[i])) < 0) {
            fail_set(fail, r, "%s: %s", path, sqlite3_errmsg(ix->db));
            goto out;
        }
    if ((r = index_privacy_open(ix)) < 0 || (r = index_issues_count(ix)) < 0) {
        fail_set(fail, r, "%s: %s", path, sqlite3_errmsg(ix->db));
        goto out;
    }
    *ret = ix;
    return 0;
out:
    index_close(ix);
    return r;
}

void index_close(struct index *ix)
{
    if (!ix)
        return;
    for (int i = 0; i < IX__COUNT; i++)
        sqlite3_finalize(ix->st[i]);
    index_retain_finish(ix);
    if (ix->db && !ix->failed)
        sqlite3_wal_checkpoint_v2(ix->db, NULL, SQLITE_CHECKPOINT_TRUNCATE, NULL, NULL);
    sql_close(ix->db);
    buf_finish(&ix->scratch);
    index_fresh_drop(ix);
    free(ix->fresh);
    free(ix);
}

uint64_t index_watermark(const struct index *ix)
{
    return ix->now.watermark;
}

struct index_issues index_issues(const struct index *ix)
{
    return ix->issues;
}

uint64_t index_restored_to(const struct index *ix)
{
    return ix->now.restored_to;
}

/* ---- transactions ---- */

int index_begin(struct index *ix)
{
    return sql_run(ix->st[IX_BEGIN]);
}

int index_commit(struct index *ix)
{
    sqlite3_stmt *st = ix->st[IX_POSITION];
    int r = index_twin_settle(ix, NULL);

    if (r == 0)
        r = index_fresh_write(ix);

    sql_bind_u64(st, 1, ix->now.watermark);
    sql_bind_u64(st, 2, ix->now.events);
    sql_bind_u64(st, 3, ix->now.same_id);
    sql_bind_u64(st, 4, ix->now.same_event);
    sql_bind_u64(st, 5, ix->now.kept_from);
    sql_bind_u64(st, 6, ix->now.restored_to);
    sqlite3_bind_int64(st, 7, ix->now.restored_ms);
    sql_bind_u64(st, 8, ix->now.doubled);
    if (r == 0)
        r = sql_run(st);
    if (r == 0)
        r = sql_run(ix->st[IX_COMMIT]);
    if (r < 0) {
        ix->failed |= r == UV_EIO;
        index_rollback(ix);
        return r;
    }
    ix->committed = ix->now;
    return ix->issues_changed ? index_issues_count(ix) : 0;
}

void index_rollback(struct index *ix)
{
    sql_rollback(ix->db);
    index_fresh_drop(ix);
    ix->twin = (struct index_twin){ 0 };
    ix->now = ix->committed;
}

int index_tidy_due(const struct index *ix)
{
    return ix->wal_pages >= WAL_MOST_PAGES ? 2 : ix->wal_pages >= WAL_IDLE_PAGES ? 1 : 0;
}

int index_tidy(struct index *ix)
{
    int rc = sqlite3_wal_checkpoint_v2(ix->db, NULL, SQLITE_CHECKPOINT_PASSIVE, NULL, NULL);
    int r = rc == SQLITE_OK ? 0 : sql_code(ix->db, rc);

    ix->failed |= r == UV_EIO;
    ix->wal_pages = 0;
    return r == UV_EBUSY ? 0 : r;
}

int index_settle(struct index *ix)
{
    int pages = 0, done = 0;
    int rc = sqlite3_wal_checkpoint_v2(ix->db, NULL, SQLITE_CHECKPOINT_PASSIVE, &pages, &done);
    int r = rc == SQLITE_OK ? 0 : sql_code(ix->db, rc);

    ix->failed |= r == UV_EIO;
    if (r < 0)
        return r == UV_EBUSY ? 0 : r;
    ix->wal_pages = 0;
    return pages == done; /* else somebody still reads an older state */
}

uint64_t index_kept_from(const struct index *ix)
{
    return ix->now.kept_from;
}

int index_start_at(struct index *ix, uint64_t first)
{
    int r = ix->now.watermark || !first ? UV_EINVAL : index_begin(ix);

    if (r < 0)
        return r;
    ix->now.watermark = first - 1;
    ix->now.kept_from = first;
    return index_commit(ix);
}
