/*
 * index_report.c - what the index says to people, as JSON.
 */
#include "store/index_int.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <uv.h>
#include "base/digest.h"
#include "store/reply.h"

/* ---- summary ---- */

/* {"<name>":{"<state>":N}} from rows of (name, state, n). */
static int count_rows(struct index *ix, const char *sql, json_t **ret)
{
    json_t *all = json_object();
    sqlite3_stmt *st = NULL;
    int r = sql_prepare(ix->db, &st, sql);

    while (r == 0 && (r = sql_row(st)) > 0) {
        json_t *name = reply_text(sql_view(st, 0), NULL), *one;
        int state = sqlite3_column_int(st, 1);

        one = json_object_get(all, json_string_value(name));
        if (!one) {
            reply_put(all, json_string_value(name), json_object());
            one = json_object_get(all, json_string_value(name)); /* not there: no memory */
        }
        if (state >= 0 && state < DS__COUNT)
            reply_set_int(one, delivery_state_names[state], sqlite3_column_int64(st, 2));
        json_decref(name);
        r = 0;
    }
    sqlite3_finalize(st);
    if (r < 0)
        json_decref(all);
    else
        *ret = all;
    return r;
}

static int count_one(struct index *ix, json_t *o, const char *name, const char *sql)
{
    sqlite3_stmt *st = NULL;
    int r = sql_prepare(ix->db, &st, sql);

    if (r == 0)
        r = sql_row(st);
    if (r > 0)
        reply_set_int(o, name, sqlite3_column_int64(st, 0));
    sqlite3_finalize(st);
    return r < 0 ? r : 0;
}

/* Of those that retention has not come to; what stayed of older ones is shown by its states. */
static int set_oldest(struct index *ix, json_t *o)
{
    sqlite3_stmt *st = NULL;
    int r = sql_prepare(ix->db, &st,
                        "SELECT received_ms FROM events WHERE id >= ? ORDER BY id LIMIT 1");

    if (r == 0) {
        sql_bind_u64(st, 1, ix->now.kept_from);
        r = sql_row(st);
        reply_set_time(o, "oldest_event_at", r > 0 ? sqlite3_column_int64(st, 0) : 0);
    }
    sqlite3_finalize(st);
    return r < 0 ? r : 0;
}

static int report_summary(struct index *ix, struct query *q)
{
    json_t *o = json_object(), *same = json_object(), *part = NULL;
    int r;

    reply_set_int(o, "events", (int64_t)ix->now.events);
    reply_set_int(same, "by_id", (int64_t)ix->now.same_id);
    reply_set_int(same, "by_content", (int64_t)ix->now.same_event);
    reply_put(o, "duplicates", same);
    r = count_rows(ix, "SELECT endpoint, state, sum(n) FROM counts GROUP BY 1, 2 HAVING sum(n) > 0",
                   &part);
    if (r == 0) {
        reply_put(o, "deliveries", part);
        r = count_rows(ix,
                       "SELECT route, state, sum(n) FROM counts GROUP BY 1, 2"
                       " HAVING sum(n) > 0",
                       &part);
    }
    if (r == 0) {
        reply_put(o, "routes", part);
        r = count_one(ix, o, "unrouted",
                      "SELECT count(*) FROM events WHERE routed = 0 AND routed <> 1");
    }
    if (r == 0)
        r = count_one(ix, o, "waiting_for_link",
                      "SELECT count(*) FROM events WHERE routed = 2 AND routed <> 1");
    if (r == 0)
        r = set_oldest(ix, o);
    reply_set_int(o, "watermark", (int64_t)ix->now.watermark);
    return reply_finish(q, o, r);
}

static json_t *place_row(struct index *ix, sqlite3_stmt *st)
{
    json_t *o = json_object();

    (void)ix;
    reply_set_column(o, "endpoint", st, 0);
    reply_set_column(o, "route", st, 1);
    reply_set_state(o, st, 2);
    reply_set_int(o, "deliveries", sqlite3_column_int64(st, 3));
    return o;
}

static int report_places(struct index *ix, struct query *q)
{
    json_t *list = NULL;
    int r = reply_rows(
        ix, "SELECT endpoint, route, state, sum(n) FROM counts GROUP BY 1, 2, 3 HAVING sum(n) > 0",
        NULL, 0, place_row, &list);

    return reply_finish(q, list, r);
}

/* ---- events ---- */

#define EVENT_COLUMNS                                                                           \
    "id, received_ms, origin, endpoint, topic, subject, sender_id, routed, duplicate_of, note," \
    " cause, body_bytes"

static const char *const origin_names[EO__COUNT] = { "webhook", "emitted", "polled", "duplicate",
                                                     "reconciliation" };
static const char *const routed_names[] = { "unrouted", "routed", "waiting" };

static json_t *delivery_counts(struct index *ix, uint64_t event)
{
    json_t *o = json_object();
    sqlite3_stmt *st = NULL;
    int r = sql_prepare(ix->db, &st,
                        "SELECT state, count(*) FROM deliveries WHERE num BETWEEN ? AND ?"
                        " GROUP BY state");

    if (r == 0) {
        sql_bind_u64(st, 1, delivery_num(event, 0));
        sql_bind_u64(st, 2, delivery_num(event, DELIVERY_ORDINAL_MAX));
        while ((r = sql_row(st)) > 0) {
            int state = sqlite3_column_int(st, 0);

            if (state >= 0 && state < DS__COUNT)
                reply_set_int(o, delivery_state_names[state], sqlite3_column_int64(st, 1));
        }
    }
    if (r < 0)
        reply_lack();
    sqlite3_finalize(st);
    return o;
}

static json_t *event_row(struct index *ix, sqlite3_stmt *st)
{
    json_t *o = json_object();
    uint64_t id = sql_u64(st, 0), duplicate_of = sql_u64(st, 8);
    int origin = sqlite3_column_int(st, 2), routed = sqlite3_column_int(st, 7);

    reply_set_int(o, "id", (int64_t)id);
    reply_set_time(o, "received_at", sqlite3_column_int64(st, 1));
    reply_set_text(o, "origin",
                   str_of(origin >= 0 && origin < EO__COUNT ? origin_names[origin] : "?"));
    reply_set_column(o, "endpoint", st, 3);
    reply_set_column(o, "topic", st, 4);
    reply_set_column(o, "subject", st, 5);
    reply_set_column(o, "sender_id", st, 6);
    reply_set_text(o, "routed", str_of(routed >= 0 && routed < 3 ? routed_names[routed] : "?"));
    reply_put(o, "duplicate_of",
              duplicate_of ? json_integer((json_int_t)duplicate_of) : json_null());
    reply_set_column(o, "note", st, 9);
    reply_set_num(o, "cause", sql_u64(st, 10));
    reply_set_int(o, "body_bytes", sqlite3_column_int64(st, 11));
    reply_put(o, "deliveries", delivery_counts(ix, id));
    return o;
}

static int report_events(struct index *ix, struct query *q)
{
    const struct store_filter *f = &q->filter;
    sqlite3_stmt *st = NULL;
    struct buf sql = { 0 };
    int r;

    buf_cstr(&sql, "SELECT " EVENT_COLUMNS " FROM events WHERE id < ?2");
    if (f->endpoint)
        buf_cstr(&sql, " AND endpoint = ?3");
    if (f->topic)
        buf_cstr(&sql, " AND topic = ?4");
    if (f->subject)
        buf_cstr(&sql, " AND id IN (" INDEX_EVENTS_ABOUT ")");
    if (f->duplicates)
        buf_cstr(&sql, " AND duplicate_of <> 0");
    buf_cstr(&sql, " ORDER BY id DESC LIMIT ?5");
    r = sql.failed ? UV_ENOMEM : sql_prepare(ix->db, &st, sql.data);
    buf_finish(&sql);
    if (r == 0) {
        sql_bind_text(st, 1, str_of(f->subject ? f->subject : ""));
        sqlite3_bind_int64(st, 2, f->after ? (sqlite3_int64)f->after : INT64_MAX);
        sql_bind_text(st, 3, str_of(f->endpoint ? f->endpoint : ""));
        sql_bind_text(st, 4, str_of(f->topic ? f->topic : ""));
        sql_bind_u64(st, 5, index_limit(f->limit));
    }
    return reply_list(ix, q, st, r, event_row);
}

static bool contains_nocase(sl_str s, const char *what)
{
    size_t n = strlen(what);

    for (size_t i = 0; i + n <= s.len; i++)
        if (strncasecmp(s.ptr + i, what, n) == 0)
            return true;
    return false;
}

static bool is_secret(sl_str header)
{
    static const char *const parts[] = { "hmac", "signature", "authorization", "cookie", "token" };

    for (size_t i = 0; i < sizeof(parts) / sizeof(parts[0]); i++)
        if (contains_nocase(header, parts[i]))
            return true;
    return false;
}

static json_t *headers(sl_str packed)
{
    json_t *list = json_array();
    sl_header *h = NULL;
    size_t n = 0;

    if (rec_headers_decode(packed, &h, &n) == UV_ENOMEM)
        reply_lack();
    for (size_t i = 0; i < n; i++) {
        json_t *o = json_object();
        bool hide = is_secret(h[i].name);

        reply_set_text(o, "name", h[i].name);
        reply_set_text(o, "value", hide ? STR("(hidden)") : h[i].value);
        if (hide)
            reply_set_bool(o, "hidden", true);
        reply_add(list, o);
    }
    free(h);
    return list;
}

static json_t *about_row(struct index *ix, sqlite3_stmt *st)
{
    json_t *o = json_object();

    (void)ix;
    reply_set_column(o, "subject", st, 0);
    reply_set_column(o, "version", st, 1);
    return o;
}

static json_t *ref_row(struct index *ix, sqlite3_stmt *st)
{
    json_t *o = json_object();

    (void)ix;
    reply_set_column(o, "endpoint", st, 0);
    reply_set_column(o, "kind", st, 1);
    reply_set_column(o, "id", st, 2);
    return o;
}

/* ---- deliveries ---- */

#define DELIVERY_REPORT_COLUMNS                                                                     \
    "num, route, piece, endpoint, action, subject, topic, state, reason, attempts, generation,"     \
    " next_ms, hold_type, reference, updated_ms, received_ms, first_sent_ms, priority, body_bytes," \
    " version, detail, issue, arrival"

/* Written by the flow as a JSON object; anything else is shown as no detail. */
static void set_detail(json_t *o, sl_str detail)
{
    json_t *j = detail.len ? json_loadb(detail.ptr, detail.len, 0, NULL) : NULL;

    reply_put(o, "detail", json_is_object(j) ? json_incref(j) : json_null());
    json_decref(j);
}

/* As store_in_doubt(); what is delivered is in no doubt. */
static void set_arrival(json_t *o, sqlite3_stmt *st)
{
    int arrival = sqlite3_column_int(st, 22), state = sqlite3_column_int(st, 7);
    bool sent = sqlite3_column_int64(st, 16) != 0;
    bool perhaps = arrival == ARRIVAL_PERHAPS || (sent && arrival != ARRIVAL_NO);

    reply_put(o, "may_have_arrived", json_boolean(perhaps && state != DS_DELIVERED));
}

/** The log marks what `once` finds as it is written, when no reason can be added to it any more. */
static void set_reason(json_t *o, sqlite3_stmt *st, int state, int reason)
{
    if (sqlite3_column_int(st, state) == DS_SUPERSEDED && sqlite3_column_bytes(st, reason) == 0)
        json_object_set_new(
            o, "reason", json_string("once: its route has had an event of this subject already"));
    else
        reply_set_column(o, "reason", st, reason);
}

static json_t *delivery_row(struct index *ix, sqlite3_stmt *st)
{
    static const char *const priorities[] = { "critical", "high", "normal", "low" };
    int priority = sqlite3_column_int(st, 17);
    json_t *o = json_object();

    (void)ix;
    reply_set_num(o, "id", sql_u64(st, 0));
    reply_set_int(o, "event", (int64_t)delivery_event(sql_u64(st, 0)));
    reply_set_column(o, "route", st, 1);
    reply_set_column(o, "piece", st, 2);
    reply_set_column(o, "endpoint", st, 3);
    reply_set_column(o, "action", st, 4);
    reply_set_column(o, "subject", st, 5);
    reply_set_column(o, "topic", st, 6);
    reply_set_state(o, st, 7);
    set_reason(o, st, 7, 8);
    reply_set_int(o, "attempts", sqlite3_column_int64(st, 9));
    reply_set_int(o, "generation", sqlite3_column_int64(st, 10));
    reply_set_time(o, "next_at", sqlite3_column_int64(st, 11));
    reply_set_column(o, "hold_type", st, 12);
    reply_set_column(o, "reference", st, 13);
    reply_set_time(o, "updated_at", sqlite3_column_int64(st, 14));
    reply_set_time(o, "received_at", sqlite3_column_int64(st, 15));
    reply_set_time(o, "first_sent_at", sqlite3_column_int64(st, 16));
    reply_set_text(o, "priority",
                   str_of(priority >= 0 && priority < 4 ? priorities[priority] : "?"));
    reply_set_int(o, "body_bytes", sqlite3_column_int64(st, 18));
    reply_set_column(o, "version", st, 19);
    set_detail(o, sql_view(st, 20));
    reply_set_issue(o, "issue", sql_u64(st, 21));
    set_arrival(o, st);
    return o;
}

/* As received; or, when it is not there any more, why. */
static int set_received(struct index *ix, struct query *q, json_t *o)
{
    const char *origin = json_string_value(json_object_get(o, "origin"));
    bool duplicate = origin && strcmp(origin, "duplicate") == 0;
    struct rec_receipt rec;
    int r = duplicate ? UV_ENOENT : index_receipt(ix, q->filter.id, &q->arena, &rec);

    if (r == 0) {
        reply_put(o, "headers", headers(rec.headers));
        reply_set_body(o, "body", rec.body);
        return 0;
    }
    if (r != UV_ENOENT && r != UV_EILSEQ)
        return r;
    reply_put(o, "body", json_null());
    reply_set_text(o, "body_missing",
                   duplicate ? STR("what comes again under the same id is not kept")
                   : r == UV_ENOENT
                       ? STR("older than the store keeps bodies; nothing of it is open")
                   : q->filter.id < ix->now.kept_from
                       ? STR("its record was damaged on disk when old events went: it is lost")
                       : STR("its record is damaged on disk: see sluice db check"));
    return 0;
}

/* Of a duplicate: the event it repeats, with how its deliveries stand. Of others: what repeats
 * them. */
static int set_relatives(struct index *ix, json_t *o, uint64_t id)
{
    json_t *original = json_object_get(o, "duplicate_of"), *list = NULL;
    uint64_t ids[] = { json_is_integer(original) ? (uint64_t)json_integer_value(original) : 0 };
    int r = 0;

    if (ids[0]) {
        r = reply_rows(ix, "SELECT " EVENT_COLUMNS " FROM events WHERE id = ?", ids, 1, event_row,
                       &list);
        if (r == 0)
            reply_put(o, "original",
                      json_array_size(list) ? json_incref(json_array_get(list, 0))
                                            : json_null()); /* it is not kept any more */
        json_decref(list);
    }
    if (r == 0)
        r = reply_set_rows(ix, o, "duplicates",
                           "SELECT " EVENT_COLUMNS
                           " FROM events WHERE duplicate_of <> 0 AND duplicate_of = ?"
                           " ORDER BY id LIMIT 1000",
                           id, 0, event_row);
    return r;
}

/* What routing understood of it and made of it. */
static int set_routed(struct index *ix, json_t *o, uint64_t id)
{
    uint64_t first = delivery_num(id, 0), last = delivery_num(id, DELIVERY_ORDINAL_MAX);
    int r = reply_set_rows(
        ix, o, "abouts",
        "SELECT subject, version FROM (SELECT 0 AS n, subject, version FROM events"
        " WHERE id = ?1 AND subject <> '' UNION ALL SELECT n, subject, version"
        " FROM abouts WHERE event = ?1 AND n > 0) ORDER BY n",
        id, 0, about_row);

    if (r == 0)
        r = reply_set_rows(ix, o, "waits",
                           "SELECT endpoint, kind, id FROM waits WHERE event = ? ORDER BY n", id, 0,
                           ref_row);
    if (r == 0)
        r = reply_set_rows(ix, o, "deliveries",
                           "SELECT " DELIVERY_REPORT_COLUMNS
                           " FROM deliveries WHERE num BETWEEN ? AND ? ORDER BY num",
                           first, last, delivery_row);
    if (r == 0)
        r = reply_set_rows(ix, o, "emitted",
                           "SELECT " EVENT_COLUMNS
                           " FROM events WHERE cause <> 0"
                           " AND cause BETWEEN ? AND ? ORDER BY id LIMIT 1000",
                           first, last, event_row);
    return r;
}

static int report_event(struct index *ix, struct query *q)
{
    uint64_t id = q->filter.id;
    json_t *o = NULL;
    int r = reply_one(ix, "SELECT " EVENT_COLUMNS " FROM events WHERE id = ?", q->filter.id,
                      event_row, &o);

    if (r < 0)
        return r;
    r = set_received(ix, q, o);
    if (r == 0)
        r = set_routed(ix, o, id);
    if (r == 0)
        r = set_relatives(ix, o, id);
    return reply_finish(q, o, r);
}

static int report_deliveries(struct index *ix, struct query *q)
{
    sqlite3_stmt *st = NULL;
    int r = index_filter_deliveries(ix, DELIVERY_REPORT_COLUMNS, &q->filter, &st, " ORDER BY num");

    return reply_list(ix, q, st, r, delivery_row);
}

static json_t *attempt_row(struct index *ix, sqlite3_stmt *st)
{
    json_t *o = json_object();
    sl_str digest = sql_view(st, 4);
    char hex[2 * DIGEST_SHA256 + 1] = "";

    (void)ix;
    if (digest.len == DIGEST_SHA256)
        hex_encode(digest.ptr, digest.len, hex);
    reply_set_int(o, "attempt", sqlite3_column_int64(st, 0));
    reply_set_int(o, "batch", sqlite3_column_int64(st, 1));
    reply_set_int(o, "generation", sqlite3_column_int64(st, 2));
    reply_set_column(o, "key", st, 3);
    reply_set_text(o, "request_sha256", str_of(hex));
    reply_set_column(o, "endpoint", st, 5);
    reply_set_time(o, "sent_at", sqlite3_column_int64(st, 6));
    reply_set_time(o, "ended_at", sqlite3_column_int64(st, 7));
    reply_set_state(o, st, 8);
    reply_set_bool(o, "burnt", sqlite3_column_int(st, 9) != 0);
    reply_set_int(o, "status", sqlite3_column_int64(st, 10));
    reply_set_int(o, "latency_ms", sqlite3_column_int64(st, 11));
    reply_set_column(o, "error", st, 12);
    return o;
}

static json_t *move_row(struct index *ix, sqlite3_stmt *st)
{
    json_t *o = json_object();

    (void)ix;
    reply_set_int(o, "record", sqlite3_column_int64(st, 0));
    reply_set_time(o, "at", sqlite3_column_int64(st, 1));
    reply_set_state(o, st, 2);
    reply_set_column(o, "who", st, 3);
    set_reason(o, st, 2, 4);
    reply_set_column(o, "endpoint", st, 5);
    return o;
}

static json_t *edit_row(struct index *ix, sqlite3_stmt *st)
{
    json_t *o = json_object();
    sl_str body = sql_view(st, 1);
    uint8_t digest[DIGEST_SHA256];
    char hex[2 * DIGEST_SHA256 + 1];

    (void)ix;
    digest_sha256(body.ptr, body.len, digest);
    hex_encode(digest, sizeof(digest), hex);
    reply_set_int(o, "record", sqlite3_column_int64(st, 0));
    reply_set_text(o, "body_sha256", str_of(hex));
    reply_set_body(o, "body", body);
    return o;
}

static json_t *link_row(struct index *ix, sqlite3_stmt *st)
{
    json_t *o = ref_row(ix, st);

    reply_set_column(o, "subject", st, 3);
    return o;
}

/* Body, request and key. */
static int set_bodies(struct index *ix, json_t *o, uint64_t num)
{
    sqlite3_stmt *st = NULL;
    int r = sql_prepare(ix->db, &st, "SELECT body, request, key FROM bodies WHERE num = ?");

    if (r == 0) {
        sql_bind_u64(st, 1, num);
        r = sql_row(st);
    }
    if (r > 0) {
        reply_set_body(o, "body", sql_view(st, 0));
        if (sqlite3_column_type(st, 1) == SQLITE_NULL)
            reply_put(o, "request", json_null());
        else
            reply_set_body(o, "request", sql_view(st, 1));
        reply_set_column(o, "key", st, 2);
    }
    sqlite3_finalize(st);
    return r < 0 ? r : 0;
}

static int report_delivery(struct index *ix, struct query *q)
{
    uint64_t num = q->filter.id;
    json_t *o = NULL;
    int r = reply_one(ix, "SELECT " DELIVERY_REPORT_COLUMNS " FROM deliveries WHERE num = ?",
                      q->filter.id, delivery_row, &o);

    if (r < 0)
        return r;
    reply_put(o, "attempts_burnt", json_incref(json_object_get(o, "attempts")));
    r = set_bodies(ix, o, num);
    if (r == 0)
        r = reply_set_rows(
            ix, o, "attempts",
            "SELECT attempt, batch, generation, key, digest, endpoint, sent_ms, ended_ms,"
            " state, burnt, status, latency_ms, reason FROM attempts WHERE num = ?"
            " ORDER BY batch LIMIT 1000",
            num, 0, attempt_row);
    if (r == 0)
        r = reply_set_rows(
            ix, o, "moves",
            "SELECT seq, at_ms, state, who, reason, endpoint FROM moves WHERE num = ?"
            " ORDER BY seq, n LIMIT 1000",
            num, 0, move_row);
    if (r == 0)
        r = reply_set_rows(ix, o, "edits",
                           "SELECT seq, body FROM edits WHERE num = ? ORDER BY seq LIMIT 100", num,
                           0, edit_row);
    if (r == 0)
        r = index_set_deadline(ix, o, num);
    if (r == 0)
        r = reply_set_rows(ix, o, "links",
                           "SELECT endpoint, kind, id, subject FROM links WHERE num = ? LIMIT 1000",
                           num, 0, link_row);
    if (r == 0)
        r = reply_set_rows(ix, o, "emitted",
                           "SELECT " EVENT_COLUMNS
                           " FROM events WHERE cause <> 0 AND cause = ?"
                           " ORDER BY id LIMIT 1000",
                           num, 0, event_row);
    return reply_finish(q, o, r);
}

int index_report(struct index *ix, struct query *q)
{
    reply_begin();
    switch (q->what) {
    case REPORT_SUMMARY:
        return report_summary(ix, q);
    case REPORT_EVENTS:
        return report_events(ix, q);
    case REPORT_EVENT:
        return report_event(ix, q);
    case REPORT_DELIVERIES:
        return report_deliveries(ix, q);
    case REPORT_DEADLINES:
        return index_report_deadlines(ix, q);
    case REPORT_DELIVERY:
        return report_delivery(ix, q);
    case REPORT_ISSUES:
        return report_issues(ix, q);
    case REPORT_ISSUE:
        return report_issue(ix, q);
    case REPORT_REPLAY:
        return report_replay(ix, q);
    case REPORT_REPLAYABLE:
        return report_replayable(ix, q);
    case REPORT_PLACES:
        return report_places(ix, q);
    case REPORT_CAME:
        return report_came(ix, q);
    }
    return UV_EINVAL;
}
