/*
 * index_retain.c - letting go of what is old: rows by ranges of their keys, a slice at a time, each
 * a transaction that moves position.kept_from. A kill between two of them loses nothing, and the
 * next goes on where it stopped; an event half of whose rows have gone is one that goes.
 *
 * What is still needed of an old event stays, all its rows and a copy of its receipt (wanted()).
 * All else goes when the log's segment that it came in goes; what is said of it later, with it.
 */
#include "store/index_int.h"

#include <uv.h>
#include "base/clock.h"
#include "base/log.h"

#define SLICE_ROWS    256u
#define SLICE_US      5000
#define DELIVERY_ROWS 7 /* what one that went well has, in all tables */
#define KEEP_TRIES    3 /* to read a receipt that a disk does not give */

static const struct logger logger = { .room = "store" };

/* Some rows of a range of events or deliveries. */
#define DELETE_SOME(table, key, by)                                                     \
    "DELETE FROM " table " WHERE (" key ") IN (SELECT " key " FROM " table " WHERE " by \
    " BETWEEN ?1 AND ?2 LIMIT ?3)"

/* Resolved, and nothing of it since. */
#define OLD_ISSUES(what)                                                        \
    "SELECT " what                                                              \
    " FROM issues WHERE resolved_ms <> 0 AND resolved_ms < ?1 AND last_ms < ?1" \
    " AND dead + live = 0 ORDER BY resolved_ms LIMIT ?2"

static const char *const retain_sql[RETAIN__COUNT] = {
    [RETAIN_EVENTS] =
        "SELECT id, routed, routed_ms, origin, duplicate_of, n_deliveries, erased FROM events"
        " WHERE id BETWEEN ? AND ? ORDER BY id LIMIT ?",
    [RETAIN_WANTED] =
        "SELECT 1 FROM deliveries NOT INDEXED WHERE num BETWEEN ?1 AND ?2"
        " AND (state < 6 OR state = 7 OR updated_ms >= ?3)"
        " UNION ALL SELECT 1 FROM deadlines NOT INDEXED WHERE num BETWEEN ?1 AND ?2"
        " AND state = 0 LIMIT 1",
    [RETAIN_ABOUTS] = DELETE_SOME("abouts", "event, n", "event"),
    [RETAIN_WAITS] = DELETE_SOME("waits", "event, n", "event"),
    [RETAIN_MOVES] = DELETE_SOME("moves", "num, seq, n", "num"),
    [RETAIN_ATTEMPTS] = DELETE_SOME("attempts", "num, batch", "num"),
    [RETAIN_LINKS] =
        "DELETE FROM links WHERE hash IN (SELECT hash FROM links"
        " WHERE num BETWEEN ?1 AND ?2 AND at_ms < ?4 LIMIT ?3)",
    [RETAIN_DELIVERIES] =
        "SELECT num, endpoint, route, state FROM deliveries"
        " WHERE num BETWEEN ? AND ? ORDER BY num LIMIT ?",
    [RETAIN_DELIVERIES_GO] = "DELETE FROM deliveries WHERE num BETWEEN ? AND ?",
    [RETAIN_BODIES_GO] = "DELETE FROM bodies WHERE num BETWEEN ? AND ?",
    [RETAIN_DEADLINES_GO] = "DELETE FROM deadlines WHERE num BETWEEN ? AND ?",
    [RETAIN_EVENTS_GO] = "DELETE FROM events WHERE id BETWEEN ? AND ?",
    [RETAIN_BATCHES] =
        "SELECT id, members FROM batches WHERE id BETWEEN ? AND ? ORDER BY id LIMIT ?",
    [RETAIN_BATCHES_GO] = "DELETE FROM batches WHERE id BETWEEN ? AND ?",
    [RETAIN_BATCHES_OF] =
        "SELECT b.id, b.members FROM attempts a JOIN batches b ON b.id = a.batch"
        " WHERE a.num BETWEEN ? AND ? AND a.batch < ? LIMIT ?",
    [RETAIN_RECEIPT_ADD] = "INSERT OR REPLACE INTO receipts(event, payload) VALUES(?, ?)",
    [RETAIN_RECEIPT_GO] = "DELETE FROM receipts WHERE event = ?",
    [RETAIN_RECEIPT_NEXT] = "SELECT event FROM receipts WHERE event > ? ORDER BY event LIMIT 1",
    [RETAIN_RECEIPT_IN] = "SELECT 1 FROM receipts WHERE event BETWEEN ? AND ? LIMIT 1",
    [RETAIN_LINKS_LEFT] =
        "SELECT hash, num, at_ms FROM links INDEXED BY links_num"
        " WHERE num BETWEEN ? AND ? ORDER BY num LIMIT ?",
    [RETAIN_LINK_GO] = "DELETE FROM links WHERE hash = ?",
    [RETAIN_EDITS] = DELETE_SOME("edits", "num, seq", "num"),
    [RETAIN_FACTS] =
        "DELETE FROM state WHERE (space, key) IN (SELECT space, key FROM state"
        " WHERE space >= 'aged/' AND space < 'aged0' AND at_ms < ? LIMIT ?)",
    [RETAIN_ISSUES] = "DELETE FROM issues WHERE id IN (" OLD_ISSUES("id") ")",
    [RETAIN_ISSUE_STATES] =
        "DELETE FROM state WHERE space = 'issue'"
        " AND key IN (" OLD_ISSUES("printf('%012x', id)") ")",
};

/* One transaction's work. */
struct slice {
    struct index *ix;
    unsigned left; /* rows that it may still take */
    uint64_t until_us;
    int64_t before_ms; /* what was written before goes */
};

static int slice_begin(struct slice *s, struct index *ix, int64_t before_ms)
{
    int r;

    *s = (struct slice){
        .ix = ix, .left = SLICE_ROWS, .until_us = clock_mono_us() + SLICE_US, .before_ms = before_ms
    };
    for (int i = 0; i < RETAIN__COUNT; i++)
        if (!ix->retain[i] && (r = sql_prepare(ix->db, &ix->retain[i], retain_sql[i])) < 0)
            return r;
    s->until_us = clock_mono_us() + SLICE_US; /* preparing is no part of it */
    return index_begin(ix);
}

static bool slice_goes_on(const struct slice *s)
{
    return s->left && clock_mono_us() < s->until_us;
}

static int slice_end(struct slice *s, int r)
{
    if (r < 0) {
        index_rollback(s->ix);
        return r;
    }
    return index_commit(s->ix);
}

static sqlite3_stmt *bind_range(struct slice *s, enum index_retain_stmt which, uint64_t a,
                                uint64_t b)
{
    sqlite3_stmt *st = s->ix->retain[which];

    sql_bind_u64(st, 1, a);
    sql_bind_u64(st, 2, b);
    return st;
}

static void took(struct slice *s, uint64_t rows)
{
    s->left -= rows < s->left ? (unsigned)rows : s->left;
}

static int run(struct slice *s, sqlite3_stmt *st)
{
    int r = sql_run(st);

    if (r == 0)
        took(s, (uint64_t)sqlite3_changes64(s->ix->db));
    return r;
}

/* A statement of DELETE_SOME. 1: the range has none any more; 0: the slice is full; or a code. */
static int delete_some(struct slice *s, enum index_retain_stmt which, uint64_t a, uint64_t b)
{
    sqlite3_stmt *st = bind_range(s, which, a, b);
    int r;

    if (!s->left)
        return 0;
    sql_bind_u64(st, 3, s->left);
    if (which == RETAIN_LINKS)
        sqlite3_bind_int64(st, 4, s->before_ms);
    r = run(s, st);
    return r < 0 ? r : s->left > 0;
}

/* ---- what stays ---- */

/* Has the event a delivery that is open, may be replayed, or was moved after a time? 1, 0 or a
 * code. */
static int has_wanted(struct slice *s, uint64_t event, int64_t since_ms)
{
    sqlite3_stmt *st = bind_range(s, RETAIN_WANTED, delivery_num(event, 0),
                                  delivery_num(event, DELIVERY_ORDINAL_MAX));
    int r;

    sqlite3_bind_int64(st, 3, since_ms);
    r = sql_row(st);
    sqlite3_reset(st);
    return r;
}

struct old_event {
    uint64_t id, n_deliveries;
    uint8_t routed, origin;
    bool repeats, erased;
    int64_t routed_ms;
};

static struct old_event as_row(sqlite3_stmt *st)
{
    return (struct old_event){ .id = sql_u64(st, 0),
                               .routed = (uint8_t)sqlite3_column_int(st, 1),
                               .routed_ms = sqlite3_column_int64(st, 2),
                               .origin = (uint8_t)sqlite3_column_int(st, 3),
                               .repeats = sql_u64(st, 4) != 0,
                               .n_deliveries = sql_u64(st, 5),
                               .erased = sqlite3_column_int(st, 6) != 0 };
}

/* Unrouted, or it waits for a link, or its deliveries want it: 1, 0 or a code. */
static int wanted(struct slice *s, const struct old_event *e, int64_t since_ms)
{
    if (e->routed != 1)
        return 1;
    if (e->erased)
        return 0; /* there is nothing to keep of it, and nothing under way */
    return e->n_deliveries ? has_wanted(s, e->id, since_ms) : 0;
}

static int store_receipt(struct slice *s, uint64_t id, sl_str payload)
{
    sqlite3_stmt *st = s->ix->retain[RETAIN_RECEIPT_ADD];

    sql_bind_u64(st, 1, id);
    sql_bind_bytes(st, 2, payload);
    return run(s, st);
}

struct copy {
    struct slice *slice;
    int r;
};

static int on_receipt(void *ctx, const struct reclog_record *rec)
{
    struct copy *copy = ctx;

    if (rec->type != REC_RECEIPT)
        return UV_ENOENT;
    copy->r = store_receipt(copy->slice, rec->seq, rec->payload);
    return 0;
}

/* Why a receipt could not be read: is that for ever? Only what is damaged or gone is; all else may
 * pass. A disk that gives nothing says so a few times before it is believed. */
static bool is_lost(struct index *ix, uint64_t id, int r)
{
    if (r != UV_EIO)
        return r == UV_EILSEQ || r == UV_ENOENT;
    if (ix->unread != id)
        ix->unread_times = 0;
    ix->unread = id;
    return ++ix->unread_times >= KEEP_TRIES;
}

/* Copy it out of the log. Of one that is lost an empty copy stays, which says so: waiting for it
 * would keep every segment behind it. UV_EAGAIN for UV_EIO: that would be the index's own. */
static int keep_receipt(struct slice *s, uint64_t id)
{
    sqlite3_stmt *st = s->ix->st[IX_EVENT_POS];
    struct copy copy = { .slice = s };
    uint64_t pos;
    int r;

    sql_bind_u64(st, 1, id);
    r = sql_row(st);
    if (r <= 0)
        return r;
    pos = sql_u64(st, 0);
    sqlite3_reset(st);
    r = reclog_read_at(s->ix->log, pos, id, on_receipt, &copy);
    if (r >= 0) {
        s->ix->unread = 0;
        return copy.r;
    }
    if (!is_lost(s->ix, id, r))
        return r == UV_EIO ? UV_EAGAIN : r;
    log_error(&logger, "the body of an old event cannot be read, it is lost: event=%llu err=%s",
              (unsigned long long)id, uv_err_name(r));
    return store_receipt(s, id, STR(""));
}

/* ---- what goes ---- */

/* Events one after the other, none of which is wanted; `to` is the last record before what follows
 * them. */
struct going {
    struct old_event at[SLICE_ROWS];
    size_t n;
    uint64_t from, to;
    uint64_t stays; /* the event that follows, if it was looked at and stays; 0: none */
    bool deliveries;
};

/* As many as the slice may take with all their rows, one at least. */
static int read_going(struct slice *s, uint64_t last, int64_t late_ms, struct going *g)
{
    uint64_t rows = 0;
    sqlite3_stmt *st;
    int r;

    *g = (struct going){ .from = s->ix->now.kept_from, .to = last };
    st = bind_range(s, RETAIN_EVENTS, g->from, last);
    sql_bind_u64(st, 3, SLICE_ROWS);
    while ((r = sql_row(st)) > 0) {
        struct old_event e = as_row(st);

        if ((r = wanted(s, &e, late_ms)) < 0)
            break;
        if (r) {
            g->stays = e.id;
            g->to = e.id - 1;
            break;
        }
        rows += 1 + DELIVERY_ROWS * e.n_deliveries;
        if (g->n && rows > s->left) {
            g->to = g->at[g->n - 1].id;
            break;
        }
        g->at[g->n++] = e;
        g->deliveries |= e.n_deliveries > 0;
        if (g->n == SLICE_ROWS)
            g->to = e.id;
    }
    sqlite3_reset(st);
    return r < 0 ? r : 0;
}

/* Deliveries with their bodies and places in the counts. As delete_some(). */
static int delete_deliveries(struct slice *s, uint64_t a, uint64_t b)
{
    sqlite3_stmt *st = bind_range(s, RETAIN_DELIVERIES, a, b);
    unsigned n = 0, most = (s->left + 1) / 2;
    uint64_t last = 0;
    int r;

    if (!s->left)
        return 0;
    sql_bind_u64(st, 3, most);
    while ((r = sql_row(st)) > 0 && n++ < most) {
        last = sql_u64(st, 0);
        r = index_count(s->ix, sql_view(st, 1), sql_view(st, 2), sqlite3_column_int(st, 3), -1);
        if (r < 0)
            break;
    }
    sqlite3_reset(st);
    if (r < 0 || n == 0)
        return r < 0 ? r : 1;
    if ((r = run(s, bind_range(s, RETAIN_DELIVERIES_GO, a, last))) < 0 ||
        (r = run(s, bind_range(s, RETAIN_BODIES_GO, a, last))) < 0 ||
        (r = run(s, bind_range(s, RETAIN_DEADLINES_GO, a, last))) < 0)
        return r;
    return n < most;
}

/* All that hangs from a range of events but their own rows. As delete_some(). */
static int delete_children(struct slice *s, uint64_t from, uint64_t to, bool deliveries)
{
    static const enum index_retain_stmt of_events[] = { RETAIN_ABOUTS, RETAIN_WAITS };
    static const enum index_retain_stmt of_deliveries[] = { RETAIN_LINKS, RETAIN_MOVES,
                                                            RETAIN_ATTEMPTS, RETAIN_EDITS };
    const uint64_t a = delivery_num(from, 0), b = delivery_num(to, DELIVERY_ORDINAL_MAX);
    int r = 1;

    for (size_t i = 0; r > 0 && i < 2; i++)
        r = delete_some(s, of_events[i], from, to);
    for (size_t i = 0; r > 0 && deliveries && i < 4; i++)
        r = delete_some(s, of_deliveries[i], a, b);
    return r > 0 && deliveries ? delete_deliveries(s, a, b) : r;
}

static void uncount(struct index *ix, const struct old_event *e)
{
    if (e->origin == EO_DUPLICATE) {
        ix->now.same_id--;
        return;
    }
    ix->now.events--;
    if (e->repeats)
        ix->now.same_event--;
}

/* Is a member still in flight with it? All its events have been looked at: one that has a delivery
 * under way is among the receipts. */
static int batch_is_open(struct slice *s, uint64_t id, sl_str members)
{
    struct unpack u = unpack_of(members);
    uint64_t least = UINT64_MAX, most = 0;
    sqlite3_stmt *st;
    int r;

    while (u.p < u.end && !u.bad) {
        uint64_t event = delivery_event(unpack_u64(&u));

        least = event < least ? event : least;
        most = event > most ? event : most;
    }
    st = bind_range(s, RETAIN_RECEIPT_IN, least, most);
    r = least <= most ? sql_row(st) : 0;
    sqlite3_reset(st);
    for (u = unpack_of(members); r > 0 && u.p < u.end && !u.bad;) {
        st = s->ix->st[IX_BATCH_OPEN];
        sql_bind_u64(st, 1, unpack_u64(&u));
        sql_bind_u64(st, 2, id);
        r = sql_row(st);
        sqlite3_reset(st);
        if (r != 0)
            return r;
        r = 1;
    }
    return r < 0 ? r : 0;
}

/* Some of the batches from now.batches_from to `to`, which moves past what was looked at. */
static int delete_some_batches(struct slice *s, uint64_t to)
{
    uint64_t *next = &s->ix->now.batches_from;
    sqlite3_stmt *st = bind_range(s, RETAIN_BATCHES, *next, to);
    uint64_t closed = 0, first = *next;
    unsigned n = 0;
    int r;

    sql_bind_u64(st, 3, s->left);
    while ((r = sql_row(st)) > 0) {
        uint64_t id = sql_u64(st, 0);

        n++;
        *next = id + 1;
        if ((r = batch_is_open(s, id, sql_view(st, 1))) < 0)
            break;
        if (r) { /* it stays, those before it go, and the rest is for the next time */
            sqlite3_reset(st);
            took(s, 1);
            return closed ? run(s, bind_range(s, RETAIN_BATCHES_GO, first, id - 1)) : 0;
        }
        closed = id;
    }
    sqlite3_reset(st);
    if (r < 0)
        return r;
    if (n < s->left)
        *next = to + 1;
    return closed ? run(s, bind_range(s, RETAIN_BATCHES_GO, first, closed)) : 0;
}

/* The batches among the records from `from` to `to`. As delete_some(), but out of time, too, it is
 * 0. */
static int delete_batches(struct slice *s, uint64_t from, uint64_t to)
{
    uint64_t *next = &s->ix->now.batches_from;
    int r = 0;

    if (*next < from)
        *next = from;
    if (*next > to)
        return 1;
    do
        r = delete_some_batches(s, to);
    while (r == 0 && *next <= to && slice_goes_on(s));
    return r < 0 ? r : *next > to && s->left > 0;
}

/* What hangs from them first, the batches among it; then as many of them as the slice has room for,
 * with which kept_from moves: no event has gone that is not before it. */
static int delete_going(struct slice *s, const struct going *g)
{
    uint64_t to = g->to;
    size_t n = g->n;
    int r = delete_batches(s, g->from, to);

    if (r > 0 && n)
        r = delete_children(s, g->from, to, g->deliveries);
    if (r <= 0)
        return r;
    if (n > s->left) {
        n = s->left;
        if (!n)
            return 0;
        to = g->at[n - 1].id;
    }
    if (n && (r = run(s, bind_range(s, RETAIN_EVENTS_GO, g->from, to))) < 0)
        return r;
    for (size_t i = 0; i < n; i++)
        uncount(s->ix, &g->at[i]);
    s->ix->now.kept_from = to + 1;
    return 0;
}

int index_retain(struct index *ix, uint64_t last, int64_t ended_ms, int64_t late_ms)
{
    struct going g;
    struct slice s;
    int r = slice_begin(&s, ix, ended_ms);

    if (r < 0)
        return r;
    if (!ix->now.kept_from)
        ix->now.kept_from = 1; /* from the first row that goes on, the log says more than these */
    while (r == 0 && ix->now.kept_from <= last && slice_goes_on(&s)) {
        r = read_going(&s, last, late_ms, &g);
        if (r == 0 && g.stays && g.stays == g.from) {
            r = keep_receipt(&s, g.stays);
            ix->now.kept_from++;
        } else if (r == 0) {
            r = delete_going(&s, &g);
        }
    }
    r = slice_end(&s, r);
    ix->retained_rows += r == 0 ? SLICE_ROWS - s.left : 0;
    return r < 0 ? r : ix->now.kept_from <= last;
}

/* ---- a round through what stayed ---- */

/* Batches of an event that goes, as far as they are old and nothing else of them is in flight. */
static int delete_batches_of(struct slice *s, uint64_t a, uint64_t b)
{
    int r = 1;

    while (s->left) {
        sqlite3_stmt *st = bind_range(s, RETAIN_BATCHES_OF, a, b);
        uint64_t id = 0;

        sql_bind_u64(st, 3, s->ix->now.kept_from);
        sql_bind_u64(st, 4, SLICE_ROWS);
        while (!id && (r = sql_row(st)) > 0) {
            r = batch_is_open(s, sql_u64(st, 0), sql_view(st, 1));
            if (r < 0)
                break;
            if (r == 0)
                id = sql_u64(st, 0);
        }
        sqlite3_reset(st);
        if (r < 0)
            return r;
        if (!id)
            return 1;
        if ((r = run(s, bind_range(s, RETAIN_BATCHES_GO, id, id))) < 0)
            return r;
    }
    return 0;
}

/* As delete_some(). */
static int delete_kept(struct slice *s, const struct old_event *e)
{
    uint64_t a = delivery_num(e->id, 0), b = delivery_num(e->id, DELIVERY_ORDINAL_MAX);
    int r = e->n_deliveries ? delete_batches_of(s, a, b) : 1;

    if (r > 0)
        r = delete_children(s, e->id, e->id, e->n_deliveries > 0);
    if (r <= 0 || !s->left)
        return r < 0 ? r : 0;
    uncount(s->ix, e);
    return run(s, bind_range(s, RETAIN_EVENTS_GO, e->id, e->id));
}

/* The next event of those that stayed: does it go now? *at moves past it when it is dealt with. 1:
 * there was one; 0: that was the last; or a code. */
static int look_at_kept(struct slice *s, struct index_round *at)
{
    sqlite3_stmt *st = s->ix->retain[RETAIN_RECEIPT_NEXT];
    struct old_event e = { 0 };
    uint64_t id;
    int r, stays = 0;

    sql_bind_u64(st, 1, at->event);
    if ((r = sql_row(st)) <= 0)
        return r;
    id = sql_u64(st, 0);
    sqlite3_reset(st);
    st = bind_range(s, RETAIN_EVENTS, id, id);
    sql_bind_u64(st, 3, 1);
    if ((r = sql_row(st)) < 0)
        return r;
    if (r > 0)
        e = as_row(st);
    sqlite3_reset(st);
    if (r > 0 && (stays = e.routed_ms >= s->before_ms ? 1 : wanted(s, &e, s->before_ms)) < 0)
        return stays;
    took(s, 1);
    if (!stays && e.id) {
        r = delete_kept(s, &e);
        if (r < 0 || !s->left) /* or the rest of it in the next slice */
            return r < 0 ? r : 1;
    }
    st = s->ix->retain[RETAIN_RECEIPT_GO];
    sql_bind_u64(st, 1, id);
    if (!stays && (r = run(s, st)) < 0)
        return r;
    at->event = id;
    return 1;
}

static int delivery_is_there(struct slice *s, uint64_t num)
{
    sqlite3_stmt *st = s->ix->st[IX_DELIVERY_STAND];
    int r;

    sql_bind_u64(st, 1, num);
    r = sql_row(st);
    sqlite3_reset(st);
    return r;
}

static int look_at_link(struct slice *s, sqlite3_stmt *row)
{
    sqlite3_stmt *st = s->ix->retain[RETAIN_LINK_GO];
    int r = sqlite3_column_int64(row, 2) < s->before_ms ? delivery_is_there(s, sql_u64(row, 1)) : 1;

    if (r != 0)
        return r < 0 ? r : 0;
    sql_bind_bytes(st, 1, sql_view(row, 0));
    return sql_run(st);
}

/* Links that were younger than their delivery, from at->num on. As look_at_kept(). */
static int look_at_links(struct slice *s, struct index_round *at)
{
    sqlite3_stmt *st = bind_range(s, RETAIN_LINKS_LEFT, at->num,
                                  delivery_num(s->ix->now.kept_from, 0));
    uint64_t last = at->num;
    unsigned n = 0, most = s->left;
    int r;

    sql_bind_u64(st, 3, most);
    while ((r = sql_row(st)) > 0) {
        last = sql_u64(st, 1);
        n++;
        if ((r = look_at_link(s, st)) < 0)
            break;
    }
    sqlite3_reset(st);
    took(s, n);
    /* More of the last one's may follow; if all were, they wait for the next round. */
    at->num = last > at->num ? last : last + 1;
    return r < 0 ? r : n == most;
}

/* At the end of a round: issues that were resolved long ago, what was said of them, and facts that
 * nobody has told for as long. */
static int delete_issues(struct slice *s)
{
    static const enum index_retain_stmt what[] = { RETAIN_ISSUE_STATES, RETAIN_ISSUES,
                                                   RETAIN_FACTS };
    int r = 0;

    for (size_t i = 0; r == 0 && s->ix->now.kept_from > 1 && i < sizeof(what) / sizeof(*what);
         i++) {
        sqlite3_stmt *st = s->ix->retain[what[i]];
        sqlite3_bind_int64(st, 1, s->before_ms);
        sql_bind_u64(st, 2, SLICE_ROWS);
        r = run(s, st);
    }
    return r;
}

int index_retain_round(struct index *ix, struct index_round *at, int64_t before_ms)
{
    const struct index_round was = *at;
    struct slice s;
    int r = slice_begin(&s, ix, before_ms), more = 1;

    if (r < 0)
        return r;
    while (r == 0 && more && slice_goes_on(&s)) {
        r = at->links ? look_at_links(&s, at) : look_at_kept(&s, at);
        more = r > 0 || !at->links;
        at->links |= r == 0;
        r = r < 0 ? r : 0;
    }
    if (r == 0 && !more)
        r = delete_issues(&s);
    r = slice_end(&s, r);
    ix->retained_rows += r == 0 ? SLICE_ROWS - s.left : 0;
    if (r < 0)
        *at = was;
    return r < 0 ? r : more;
}

void index_retain_finish(struct index *ix)
{
    for (int i = 0; i < RETAIN__COUNT; i++)
        sqlite3_finalize(ix->retain[i]);
}
