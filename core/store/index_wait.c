/*
 * index_wait.c - what waits for something: deadlines as they begin and end, what is due next, what
 * an event may end, and which events came before.
 */
#include "store/index_int.h"

#include <stdlib.h>
#include <string.h>
#include <uv.h>
#include "store/reply.h"

#define CAUSES_MOST 16 /* how far back an event is followed to the delivery it comes from */
#define HELD_MOST   1000

/* ---- applying ---- */

static int begin_deadline(struct index *ix, int64_t at_ms, const struct rec_deadline *d)
{
    sqlite3_stmt *st = ix->st[IX_DEADLINE_BEGIN];

    sql_bind_u64(st, 1, d->num);
    sqlite3_bind_int64(st, 2, at_ms);
    sqlite3_bind_int64(st, 3, d->next_ms);
    sqlite3_bind_int64(st, 4, d->due_ms);
    sql_bind_text(st, 5, d->expect);
    sql_bind_text(st, 6, d->topic);
    sql_bind_text(st, 7, d->owner);
    sql_bind_text(st, 8, d->route);
    sql_bind_text(st, 9, d->subject);
    sql_bind_text(st, 10, d->endpoint);
    return sql_run(st);
}

static int move_deadline(struct index *ix, int64_t at_ms, const struct rec_deadline *d)
{
    sqlite3_stmt *st = ix->st[d->what == DEADLINE_WARNED ? IX_DEADLINE_WARN : IX_DEADLINE_END];

    sql_bind_u64(st, 1, d->num);
    if (d->what == DEADLINE_WARNED) {
        sqlite3_bind_int64(st, 2, d->next_ms);
    } else {
        sqlite3_bind_int(st, 2, d->what);
        sqlite3_bind_int64(st, 3, at_ms);
        sql_bind_u64(st, 4, d->event);
    }
    return sql_run(st);
}

int index_apply_deadlines(struct index *ix, sl_str payload)
{
    struct rec_deadlines rec;
    int r = rec_deadlines_decode(payload, &rec);

    if (r < 0)
        return r;
    for (size_t i = 0; r == 0 && i < rec.n_items; i++)
        r = rec.items[i].what == DEADLINE_BEGINS ? begin_deadline(ix, rec.at_ms, &rec.items[i])
                                                 : move_deadline(ix, rec.at_ms, &rec.items[i]);
    rec_deadlines_finish(&rec);
    return r;
}

/* ---- growing answers ---- */

static int push_due(struct query *q, sqlite3_stmt *st, bool deadline)
{
    int r = index_grow((void **)&q->dues, q->n, sizeof(*q->dues));

    if (r == 0)
        q->dues[q->n++] = (struct store_due){ .at_ms = sqlite3_column_int64(st, 0),
                                              .num = sql_u64(st, 1),
                                              .deadline = deadline };
    return r;
}

/* Columns as DEADLINE_COLUMNS in index.c; once each. */
static int push_deadline(struct query *q, sqlite3_stmt *st, bool linked)
{
    struct arena *a = &q->arena;
    int r;

    for (size_t i = 0; i < q->n_deadlines; i++)
        if (q->deadlines[i].num == sql_u64(st, 0))
            return 0;
    r = index_grow((void **)&q->deadlines, q->n_deadlines, sizeof(*q->deadlines));
    if (r < 0)
        return r;
    q->deadlines[q->n_deadlines++] = (struct store_deadline){
        .num = sql_u64(st, 0),
        .open = sqlite3_column_int(st, 1) == DEADLINE_BEGINS,
        .linked = linked,
        .next_ms = sqlite3_column_int64(st, 2),
        .due_ms = sqlite3_column_int64(st, 3),
        .expect = arena_str(a, sql_view(st, 4)),
        .topic = arena_str(a, sql_view(st, 5)),
        .owner = arena_str(a, sql_view(st, 6)),
        .route = arena_str(a, sql_view(st, 7)),
        .subject = arena_str(a, sql_view(st, 8)),
        .endpoint = arena_str(a, sql_view(st, 9)),
        .piece = arena_str(a, sql_view(st, 10)),
    };
    return 0;
}

/* ---- what is due next ---- */

static int due_of(struct index *ix, struct query *q, enum index_stmt which, bool deadline)
{
    sqlite3_stmt *st = ix->st[which];
    uint32_t n = 0;
    int r;

    sql_bind_u64(st, 1, q->limit);
    while ((r = sql_row(st)) > 0) {
        n++;
        if ((r = push_due(q, st, deadline)) < 0)
            break;
    }
    sqlite3_reset(st);
    /* What is beyond the last row of a full page is not known. */
    if (n == q->limit && q->dues[q->n - 1].at_ms < q->horizon_ms)
        q->horizon_ms = q->dues[q->n - 1].at_ms;
    return r;
}

int index_due(struct index *ix, struct query *q)
{
    int r;

    q->horizon_ms = INT64_MAX;
    r = due_of(ix, q, IX_DUE_HELD, false);
    return r < 0 ? r : due_of(ix, q, IX_DUE_DEADLINES, true);
}

int index_deadlines(struct index *ix, struct query *q)
{
    sqlite3_stmt *st = ix->st[IX_DEADLINE_GET];
    int r = 0;

    for (size_t i = 0; r >= 0 && i < q->n_asked; i++) {
        sql_bind_u64(st, 1, q->asked[i]);
        r = sql_row(st);
        if (r > 0)
            r = push_deadline(q, st, true);
        sqlite3_reset(st);
    }
    return r < 0 ? r : 0;
}

/* ---- what an event may end ---- */

static int held_about(struct index *ix, struct query *q, sl_str subject)
{
    sqlite3_stmt *st = ix->st[IX_HELD_ABOUT];
    int r;

    sql_bind_text(st, 1, subject);
    sql_bind_u64(st, 2, HELD_MOST);
    while ((r = sql_row(st)) > 0)
        if ((r = index_push_delivery(q, st)) < 0)
            break;
    sqlite3_reset(st);
    return r;
}

/* The open deadline of this delivery. */
static int linked_deadline(struct index *ix, struct query *q, uint64_t num)
{
    sqlite3_stmt *st = ix->st[IX_DEADLINE_GET];
    int r;

    sql_bind_u64(st, 1, num);
    r = sql_row(st);
    if (r > 0 && sqlite3_column_int(st, 1) == DEADLINE_BEGINS)
        r = push_deadline(q, st, true);
    sqlite3_reset(st);
    return r < 0 ? r : 0;
}

/* The deliveries that the event comes from, the nearest first. */
static int by_cause(struct index *ix, struct query *q)
{
    sqlite3_stmt *st = ix->st[IX_EVENT_CAUSE];
    uint64_t num = q->id;
    int r = 0;

    for (int i = 0; num && r >= 0 && i < CAUSES_MOST; i++) {
        r = linked_deadline(ix, q, num);
        if (r < 0)
            break;
        sql_bind_u64(st, 1, delivery_event(num));
        r = sql_row(st);
        num = r > 0 ? sql_u64(st, 0) : 0;
        sqlite3_reset(st);
    }
    return r < 0 ? r : 0;
}

static int by_links(struct index *ix, struct query *q)
{
    sqlite3_stmt *st = ix->st[IX_LINK_NUM];
    int r = 0;

    for (size_t i = 0; r >= 0 && i < q->n_refs; i++) {
        uint8_t hash[16];
        uint64_t num = 0;

        index_link_hash(q->refs[i].endpoint, q->refs[i].kind, q->refs[i].id, hash);
        sql_bind_bytes(st, 1, (sl_str){ (const char *)hash, sizeof(hash) });
        r = sql_row(st);
        if (r > 0)
            num = sql_u64(st, 0);
        sqlite3_reset(st);
        if (num)
            q->linked = true;
        if (r > 0 && num)
            r = linked_deadline(ix, q, num);
    }
    return r < 0 ? r : 0;
}

/* The piece of the delivery that caused it; empty: it has none, or nobody knows. */
static int piece_of(struct index *ix, struct query *q, sl_str *ret)
{
    sqlite3_stmt *st = ix->st[IX_PIECE_GET];
    int r;

    *ret = STR("");
    if (!q->id)
        return 0;
    sql_bind_u64(st, 1, q->id);
    r = sql_row(st);
    if (r > 0)
        *ret = arena_str(&q->arena, sql_view(st, 0));
    sqlite3_reset(st);
    return r < 0 ? r : 0;
}

static int deadlines_about(struct index *ix, struct query *q, sl_str subject, sl_str piece)
{
    sqlite3_stmt *st = ix->st[IX_DEADLINES_ABOUT];
    int r;

    sql_bind_text(st, 1, subject);
    sql_bind_u64(st, 2, HELD_MOST);
    while ((r = sql_row(st)) > 0) {
        sl_str its = sql_view(st, 10);
        if (piece.len && its.len && !str_eq(piece, its))
            continue;
        if ((r = push_deadline(q, st, false)) < 0)
            break;
    }
    sqlite3_reset(st);
    return r;
}

int index_ends(struct index *ix, struct query *q)
{
    sl_str piece;
    int r = piece_of(ix, q, &piece);

    for (size_t i = 0; r == 0 && i < q->n_about; i++)
        r = held_about(ix, q, q->about[i]);
    if (r == 0)
        r = by_cause(ix, q);
    if (r == 0)
        r = by_links(ix, q);
    /* An event that says which delivery it is about is about no other. */
    for (size_t i = 0; r == 0 && !q->linked && i < q->n_about; i++)
        r = deadlines_about(ix, q, q->about[i], piece);
    return r;
}

/* ---- which events came before ---- */

static int push_came(struct query *q, sqlite3_stmt *st)
{
    int r = index_grow((void **)&q->came, q->n, sizeof(*q->came));

    if (r == 0)
        q->came[q->n++] = (struct store_came){
            .id = sql_u64(st, 0),
            .topic = arena_str(&q->arena, sql_view(st, 1)),
            .origin = (uint8_t)sqlite3_column_int(st, 2),
            .endpoint = arena_str(&q->arena, sql_view(st, 3)),
            .version = arena_str(&q->arena, sql_view(st, 4)),
        };
    return r;
}

int index_came(struct index *ix, struct query *q)
{
    sqlite3_stmt *st = ix->st[IX_CAME];
    int r;

    sql_bind_text(st, 1, q->space);
    sql_bind_u64(st, 2, q->limit);
    while ((r = sql_row(st)) > 0)
        if ((r = push_came(q, st)) < 0)
            break;
    sqlite3_reset(st);
    return r;
}

/* ---- for people ---- */

#define REPORT_COLUMNS                                                                       \
    "num, route, endpoint, subject, expect, topic, owner, state, began_ms, next_ms, due_ms," \
    " ended_ms, event"

static json_t *topics(sl_str lines)
{
    json_t *list = json_array();

    while (lines.len) {
        const char *end = memchr(lines.ptr, '\n', lines.len);
        size_t n = end ? (size_t)(end - lines.ptr) : lines.len;
        reply_add(list, reply_text((sl_str){ lines.ptr, n }, NULL));
        n += end != NULL;
        lines.ptr += n;
        lines.len -= n;
    }
    return list;
}

static json_t *deadline_row(struct index *ix, sqlite3_stmt *st)
{
    static const char *const states[] = { "open", "open", "met", "missed" };
    int state = sqlite3_column_int(st, 7);
    uint64_t event = sql_u64(st, 12);
    json_t *o = json_object();

    (void)ix;
    reply_set_num(o, "delivery", sql_u64(st, 0));
    reply_set_column(o, "route", st, 1);
    reply_set_column(o, "endpoint", st, 2);
    reply_set_column(o, "subject", st, 3);
    reply_put(o, "expect", topics(sql_view(st, 4)));
    reply_set_column(o, "topic", st, 5);
    reply_set_column(o, "owner", st, 6);
    reply_set_text(o, "state", str_of(state >= 0 && state < 4 ? states[state] : "?"));
    reply_set_time(o, "began_at", sqlite3_column_int64(st, 8));
    reply_set_time(o, "next_at", state ? 0 : sqlite3_column_int64(st, 9));
    reply_set_time(o, "due_at", sqlite3_column_int64(st, 10));
    reply_set_time(o, "ended_at", sqlite3_column_int64(st, 11));
    reply_put(o, "event", event ? json_integer((json_int_t)event) : json_null());
    return o;
}

int index_set_deadline(struct index *ix, json_t *o, uint64_t num)
{
    json_t *list = NULL;
    int r = reply_rows(ix, "SELECT " REPORT_COLUMNS " FROM deadlines WHERE num = ?", &num, 1,
                       deadline_row, &list);

    if (r < 0)
        return r;
    reply_put(o, "deadline",
              json_array_size(list) ? json_incref(json_array_get(list, 0)) : json_null());
    json_decref(list);
    return 0;
}

int index_report_deadlines(struct index *ix, struct query *q)
{
    const struct store_filter *f = &q->filter;
    const struct {
        const char *condition, *value;
    } equal[] = { { "owner = ?", f->owner },
                  { "route = ?", f->route },
                  { "endpoint = ?", f->endpoint },
                  { "subject = ?", f->subject } };
    json_t *list = json_array();
    sqlite3_stmt *st = NULL;
    struct buf sql = { 0 };
    int r, at = 1;

    buf_cstr(&sql, f->overdue
                       ? "SELECT " REPORT_COLUMNS " FROM deadlines WHERE state = 3 AND num > ?"
                       : "SELECT " REPORT_COLUMNS " FROM deadlines WHERE state = 0 AND num > ?");
    for (size_t i = 0; i < sizeof(equal) / sizeof(equal[0]); i++)
        if (equal[i].value)
            buf_printf(&sql, " AND %s", equal[i].condition);
    buf_cstr(&sql,
             f->after || f->overdue ? " ORDER BY num LIMIT ?" : " ORDER BY due_ms, num LIMIT ?");
    r = sql.failed ? UV_ENOMEM : sql_prepare(ix->db, &st, sql.data);
    buf_finish(&sql);
    if (r == 0) {
        sql_bind_u64(st, at++, f->after);
        for (size_t i = 0; i < sizeof(equal) / sizeof(equal[0]); i++)
            if (equal[i].value)
                sql_bind_text(st, at++, str_of(equal[i].value));
        sql_bind_u64(st, at, index_limit(f->limit));
    }
    while (r == 0 && (r = sql_row(st)) > 0) {
        reply_add(list, deadline_row(ix, st));
        r = 0;
    }
    sqlite3_finalize(st);
    return reply_finish(q, list, r);
}
