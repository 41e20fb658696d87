/*
 * index_backfill.c - events that a route might have been given and was not: a new route over old
 * events. A part of the events at a time, so that nobody waits long however many there are.
 */
#include "store/index_int.h"

#include <string.h>

#define PART_IDS 20000            /* that one question looks through */
#define LATE_MS  (10 * 60 * 1000) /* that an event may be received before one of a smaller id */

/* The event from `id` on: its id and time. 1, 0 or a code. */
static int event_from(sqlite3_stmt *st, uint64_t id, uint64_t *ret_id, int64_t *ret_ms)
{
    int r;

    sql_bind_u64(st, 1, id);
    r = sql_row(st);
    if (r > 0) {
        *ret_id = sql_u64(st, 0);
        *ret_ms = sqlite3_column_int64(st, 1);
    }
    sqlite3_reset(st);
    return r;
}

/* By halves: ids rise with the time, all but. */
int index_first_since(struct index *ix, int64_t since_ms, uint64_t *ret)
{
    uint64_t low = *ret, high = ix->now.watermark + 1, id;
    sqlite3_stmt *st = NULL;
    int64_t ms;
    int r = sql_prepare(ix->db, &st,
                        "SELECT id, received_ms FROM events WHERE id >= ? ORDER BY id LIMIT 1");

    while (r == 0 && low < high) {
        uint64_t middle = low + (high - low) / 2;
        if ((r = event_from(st, middle, &id, &ms)) < 0)
            break;
        if (r == 0 || ms >= since_ms - LATE_MS)
            high = middle;
        else
            low = id + 1;
        r = 0;
    }
    sqlite3_finalize(st);
    *ret = low;
    return r;
}

static void put_topics(struct buf *sql, const struct store_backfill *b)
{
    for (size_t i = 0; i < b->n_topics; i++) {
        buf_cstr(sql, i ? " OR " : " AND (");
        buf_cstr(sql, strchr(b->topics[i], '*') ? "(instr(topic, ?) = 1" : "(topic = ?");
        buf_cstr(sql, b->endpoints ? " AND endpoint = ?)" : ")");
    }
    buf_cstr(sql, b->n_topics ? ")" : "");
}

/* Where "*" stands alone the prefix is empty, which instr() finds at 1 everywhere. */
static int bind_topics(sqlite3_stmt *st, int at, const struct store_backfill *b)
{
    for (size_t i = 0; i < b->n_topics; i++) {
        sql_bind_text(st, at++, (sl_str){ b->topics[i], strcspn(b->topics[i], "*") });
        if (b->endpoints)
            sql_bind_text(st, at++, str_of(b->endpoints[i]));
    }
    return at;
}

static int part(struct index *ix, struct query *q, uint64_t from, uint64_t to)
{
    const struct store_backfill *b = &q->backfill;
    sqlite3_stmt *st = NULL;
    struct buf sql = { 0 };
    int r, at = 1;

    buf_cstr(&sql,
             "SELECT id FROM events WHERE id BETWEEN ? AND ? AND routed = 1"
             " AND duplicate_of = 0 AND origin <> 3 AND received_ms >= ? AND received_ms < ?");
    buf_cstr(&sql, b->endpoint ? " AND endpoint = ?" : "");
    put_topics(&sql, b);
    buf_cstr(&sql,
             " AND NOT EXISTS (SELECT 1 FROM deliveries d WHERE d.num BETWEEN"
             " events.id << 12 AND (events.id << 12) + 4095 AND d.route = ?)"
             " ORDER BY id LIMIT ?");
    r = sql.failed ? UV_ENOMEM : sql_prepare(ix->db, &st, sql.data);
    buf_finish(&sql);
    if (r < 0)
        return r;
    sql_bind_u64(st, at++, from);
    sql_bind_u64(st, at++, to);
    sqlite3_bind_int64(st, at++, b->since_ms);
    sqlite3_bind_int64(st, at++, b->until_ms ? b->until_ms : INT64_MAX);
    if (b->endpoint)
        sql_bind_text(st, at++, str_of(b->endpoint));
    at = bind_topics(st, at, b);
    sql_bind_text(st, at++, str_of(b->route));
    sql_bind_u64(st, at, index_limit(b->limit));
    r = index_collect_nums(q, st);
    sqlite3_finalize(st);
    return r;
}

int index_backfill(struct index *ix, struct query *q)
{
    uint64_t from = q->backfill.after + 1, to;
    int r = 0;

    if (q->backfill.since_ms && (r = index_first_since(ix, q->backfill.since_ms, &from)) < 0)
        return r;
    to = from + PART_IDS - 1;
    r = part(ix, q, from, to);
    if (q->n == index_limit(q->backfill.limit))
        q->next = q->nums[q->n - 1];
    else
        q->next = to < ix->now.watermark ? to : 0;
    return r;
}
