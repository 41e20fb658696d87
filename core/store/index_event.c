/*
 * index_event.c - rows of events, as records make and change them.
 *
 * Most events are routed within the transaction that brings them, so their rows are gathered in
 * memory and written once, in order, before it ends. The same goes for the counts of a summary.
 */
#include "store/index_int.h"

#include <stdlib.h>
#include <string.h>
#include <uv.h>

/* ---- gathering ---- */

static struct index_event *add(struct index *ix, uint64_t seq, uint64_t pos)
{
    struct index_event *rows;
    size_t cap;

    if (ix->n_fresh == ix->fresh_cap) {
        cap = ix->fresh_cap ? 2 * ix->fresh_cap : 256;
        rows = realloc(ix->fresh, cap * sizeof(*rows));
        if (!rows)
            return NULL;
        ix->fresh = rows;
        ix->fresh_cap = cap;
    }
    rows = &ix->fresh[ix->n_fresh++];
    *rows = (struct index_event){ .id = seq, .pos = pos };
    return rows;
}

static int verdict(const struct index *ix)
{
    return ix->texts.failed ? UV_ENOMEM : 0;
}

int index_event_receipt(struct index *ix, const struct reclog_record *from,
                        const struct rec_receipt *rec)
{
    struct index_event *e = add(ix, from->seq, from->pos);

    if (!e)
        return UV_ENOMEM;
    e->received_ms = rec->received_ms;
    e->origin = rec->origin;
    e->cause = rec->cause;
    e->body_bytes = rec->body.len;
    e->endpoint = arena_str(&ix->texts, rec->endpoint);
    e->topic = arena_str(&ix->texts, rec->topic);
    e->sender_id = arena_str(&ix->texts, rec->sender_id);
    e->subject = arena_str(&ix->texts, rec->subject);
    ix->now.events++;
    return verdict(ix);
}

int index_event_duplicate(struct index *ix, const struct reclog_record *from,
                          const struct rec_duplicate *rec)
{
    struct index_event *e = add(ix, from->seq, from->pos);

    if (!e)
        return UV_ENOMEM;
    e->received_ms = e->routed_ms = rec->received_ms;
    e->origin = EO_DUPLICATE;
    e->routed = 1;
    e->duplicate_of = rec->original;
    e->body_bytes = rec->body_bytes;
    e->endpoint = arena_str(&ix->texts, rec->endpoint);
    e->topic = arena_str(&ix->texts, rec->topic);
    e->sender_id = arena_str(&ix->texts, rec->sender_id);
    e->note = rec->same_body ? STR("same id") : STR("same id, another body");
    ix->now.same_id++;
    return verdict(ix);
}

/* ---- finding ---- */

static struct index_event *find_fresh(struct index *ix, uint64_t id)
{
    size_t low = 0, high = ix->n_fresh;

    while (low < high) {
        size_t mid = low + (high - low) / 2;

        if (ix->fresh[mid].id < id)
            low = mid + 1;
        else
            high = mid;
    }
    return low < ix->n_fresh && ix->fresh[low].id == id ? &ix->fresh[low] : NULL;
}

int index_event_find(struct index *ix, uint64_t id, struct index_event **ret)
{
    sqlite3_stmt *st = ix->st[IX_EVENT_GET];
    struct index_event *e = find_fresh(ix, id);
    int r;

    if (e) {
        *ret = e;
        return 1;
    }
    sql_bind_u64(st, 1, id);
    r = sql_row(st);
    if (r <= 0)
        return r;
    e = &ix->stored;
    *e = (struct index_event){ .id = id, .stored = true };
    e->received_ms = sqlite3_column_int64(st, 0);
    e->topic = arena_str(&ix->texts, sql_view(st, 1));
    e->routed = (uint8_t)sqlite3_column_int(st, 2);
    e->n_deliveries = sql_u64(st, 3);
    e->subject = arena_str(&ix->texts, sql_view(st, 4));
    e->version = arena_str(&ix->texts, sql_view(st, 5));
    e->origin = (uint8_t)sqlite3_column_int(st, 6);
    e->duplicate_of = sql_u64(st, 7);
    sqlite3_reset(st);
    *ret = e;
    return ix->texts.failed ? UV_ENOMEM : 1;
}

/* ---- what routing says ---- */

static int update(struct index *ix, const struct index_event *e)
{
    sqlite3_stmt *st = ix->st[IX_EVENT_ROUTED];

    sql_bind_u64(st, 1, e->id);
    sqlite3_bind_int(st, 2, e->routed);
    sqlite3_bind_int64(st, 3, e->routed_ms);
    sql_bind_u64(st, 4, e->n_deliveries);
    sql_bind_u64(st, 5, e->duplicate_of);
    sql_bind_text(st, 6, e->note);
    sql_bind_text(st, 7, e->subject);
    sql_bind_text(st, 8, e->version);
    return sql_run(st);
}

int index_event_routed(struct index *ix, struct index_event *e, const struct rec_routed *rec)
{
    int r;

    ix->now.same_event += (rec->duplicate_of != 0) - (e->duplicate_of != 0);
    e->routed = rec->n_waits ? 2 : 1;
    e->routed_ms = rec->at_ms;
    e->duplicate_of = rec->duplicate_of;
    e->note = arena_str(&ix->texts, rec->note);
    if (rec->n_abouts && rec->abouts[0].subject.len) {
        e->subject = arena_str(&ix->texts, rec->abouts[0].subject);
        e->version = arena_str(&ix->texts, rec->abouts[0].version);
    }
    if ((r = verdict(ix)) < 0)
        return r;
    return e->stored ? update(ix, e) : 0;
}

static int clear_event(struct index *ix, enum index_stmt which, uint64_t event)
{
    sql_bind_u64(ix->st[which], 1, event);
    return sql_run(ix->st[which]);
}

static int add_wait(struct index *ix, uint64_t event, size_t n, const struct rec_ref *ref)
{
    sqlite3_stmt *st = ix->st[IX_WAIT_ADD];

    sql_bind_u64(st, 1, event);
    sql_bind_u64(st, 2, n);
    sql_bind_text(st, 3, ref->endpoint);
    sql_bind_text(st, 4, ref->kind);
    sql_bind_text(st, 5, ref->id);
    return sql_run(st);
}

static int add_about(struct index *ix, uint64_t event, int64_t n, sl_str subject, sl_str version)
{
    sqlite3_stmt *st = ix->st[IX_ABOUT_ADD];

    sql_bind_u64(st, 1, event);
    sqlite3_bind_int64(st, 2, n);
    sql_bind_text(st, 3, subject);
    sql_bind_text(st, 4, version);
    return sql_run(st);
}

/* The subject that came with an emitted event, if routing names another. */
static int keep_first_subject(struct index *ix, const struct index_event *ev,
                              const struct rec_routed *rec)
{
    if (ev->origin != EO_EMITTED || ev->routed == 1 || !ev->subject.len || !rec->n_abouts ||
        str_eq(ev->subject, rec->abouts[0].subject))
        return 0;
    return add_about(ix, ev->id, -1, ev->subject, STR(""));
}

int index_event_describe(struct index *ix, const struct index_event *ev,
                         const struct rec_routed *rec)
{
    int r = 0;

    if (ev->routed && rec->n_abouts)
        r = clear_event(ix, IX_ABOUT_CLEAR, rec->event);
    if (r == 0 && ev->routed)
        r = clear_event(ix, IX_WAIT_CLEAR, rec->event);
    if (r == 0)
        r = keep_first_subject(ix, ev, rec);
    for (size_t i = 1; r == 0 && i < rec->n_abouts; i++)
        r = add_about(ix, rec->event, (int64_t)i, rec->abouts[i].subject, rec->abouts[i].version);
    for (size_t i = 0; r == 0 && i < rec->n_waits; i++)
        r = add_wait(ix, rec->event, i, &rec->waits[i]);
    return r;
}

/* ---- counts ---- */

static int write_count(struct index *ix, const struct index_count *c)
{
    sqlite3_stmt *st = ix->st[IX_COUNT];

    sql_bind_text(st, 1, c->endpoint);
    sql_bind_text(st, 2, c->route);
    sqlite3_bind_int(st, 3, c->state);
    sqlite3_bind_int64(st, 4, c->n);
    return sql_run(st);
}

static int write_counts(struct index *ix)
{
    int r = 0;

    for (size_t i = 0; r == 0 && i < ix->n_counts; i++)
        if (ix->counts[i].n)
            r = write_count(ix, &ix->counts[i]);
    ix->n_counts = 0;
    return r;
}

int index_count(struct index *ix, sl_str endpoint, sl_str route, int state, int n)
{
    struct index_count *c = ix->counts;
    int r;

    for (; c < ix->counts + ix->n_counts; c++)
        if (c->state == state && str_eq(c->route, route) && str_eq(c->endpoint, endpoint)) {
            c->n += n;
            return 0;
        }
    if (ix->n_counts == INDEX_COUNTS) {
        if ((r = write_counts(ix)) < 0)
            return r;
        c = ix->counts;
    }
    *c = (struct index_count){ .endpoint = arena_str(&ix->texts, endpoint),
                               .route = arena_str(&ix->texts, route),
                               .state = state,
                               .n = n };
    ix->n_counts++;
    return verdict(ix);
}

/* ---- writing ---- */

static int write_event(struct index *ix, const struct index_event *e)
{
    sqlite3_stmt *st = ix->st[IX_EVENT_ADD];

    sql_bind_u64(st, 1, e->id);
    sql_bind_u64(st, 2, e->pos);
    sqlite3_bind_int64(st, 3, e->received_ms);
    sqlite3_bind_int(st, 4, e->origin);
    sql_bind_u64(st, 5, e->cause);
    sql_bind_text(st, 6, e->endpoint);
    sql_bind_text(st, 7, e->topic);
    sql_bind_text(st, 8, e->sender_id);
    sql_bind_text(st, 9, e->subject);
    sql_bind_text(st, 10, e->version);
    sql_bind_u64(st, 11, e->body_bytes);
    sqlite3_bind_int(st, 12, e->routed);
    sqlite3_bind_int64(st, 13, e->routed_ms);
    sql_bind_u64(st, 14, e->n_deliveries);
    sql_bind_u64(st, 15, e->duplicate_of);
    sql_bind_text(st, 16, e->note);
    return sql_run(st);
}

int index_fresh_write(struct index *ix)
{
    int r = index_sent_write(ix);

    if (r == 0)
        r = write_counts(ix);

    for (size_t i = 0; r == 0 && i < ix->n_fresh; i++)
        r = write_event(ix, &ix->fresh[i]);
    index_fresh_drop(ix);
    return r;
}

void index_fresh_drop(struct index *ix)
{
    ix->n_fresh = 0;
    ix->n_counts = 0;
    index_sent_drop(ix);
    arena_finish(&ix->texts);
}
