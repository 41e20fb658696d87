/*
 * index_apply.c - what each record does to the tables.
 *
 * A record that names a delivery or event the index does not know changes nothing there: the
 * flow decides what is right, the index writes it down.
 */
#include "store/index_int.h"

#include <stdlib.h>
#include <string.h>
#include <uv.h>

/* ---- help ---- */

/* One line of a delivery's timeline. */
struct line {
    uint64_t num, seq;
    size_t n;
    int64_t at_ms;
    int state;
    sl_str who, reason, endpoint;
};

static int add_line(struct index *ix, const struct line *l)
{
    sqlite3_stmt *st = ix->st[IX_MOVE_ADD];

    sql_bind_u64(st, 1, l->num);
    sql_bind_u64(st, 2, l->seq);
    sql_bind_u64(st, 3, l->n);
    sqlite3_bind_int64(st, 4, l->at_ms);
    sqlite3_bind_int(st, 5, l->state);
    sql_bind_text(st, 6, l->who);
    sql_bind_text(st, 7, l->reason);
    sql_bind_text(st, 8, l->endpoint);
    return sql_run(st);
}

/* How a delivery stands before a change; the views are valid until the next stand_of(). */
struct stand {
    int state;
    sl_str endpoint, route;
    uint64_t batch, issue, job;
};

static int write_sent(struct index *ix, const struct index_sent *sent);

/* 1: found; 0: there is none; or a code. */
static int stand_of(struct index *ix, uint64_t num, struct stand *ret)
{
    const struct index_sent *sent = index_sent_take(ix, num, 0);
    sqlite3_stmt *st = ix->st[IX_DELIVERY_STAND];
    struct buf *copy = &ix->scratch;
    sl_str endpoint, route;
    int r;

    if (sent && (r = write_sent(ix, sent)) < 0)
        return r;
    sql_bind_u64(st, 1, num);
    r = sql_row(st);
    if (r <= 0)
        return r;
    ret->state = sqlite3_column_int(st, 0);
    endpoint = sql_view(st, 1);
    route = sql_view(st, 2);
    ret->batch = sql_u64(st, 3);
    ret->issue = sql_u64(st, 4);
    ret->job = sql_u64(st, 5);
    buf_clear(copy);
    buf_str(copy, endpoint);
    buf_str(copy, route);
    ret->endpoint = (sl_str){ .ptr = copy->data, .len = endpoint.len };
    ret->route = (sl_str){ .ptr = copy->data ? copy->data + endpoint.len : NULL, .len = route.len };
    sqlite3_reset(st);
    return copy->failed ? UV_ENOMEM : 1;
}

static int move_count(struct index *ix, const struct stand *from, sl_str endpoint, int state)
{
    int r;

    if (from->state == state && str_eq(from->endpoint, endpoint))
        return 0;
    r = index_count(ix, from->endpoint, from->route, from->state, -1);
    return r < 0 ? r : index_count(ix, endpoint, from->route, state, 1);
}

/* ---- receipt ---- */

static int apply_receipt(struct index *ix, const struct reclog_record *from)
{
    struct rec_receipt rec;
    int r = rec_receipt_decode(from->payload, &rec);

    return r < 0 ? r : index_event_receipt(ix, from, &rec);
}

static int apply_duplicate(struct index *ix, const struct reclog_record *from)
{
    struct rec_duplicate rec;
    int r = rec_duplicate_decode(from->payload, &rec);

    return r < 0 ? r : index_event_duplicate(ix, from, &rec);
}

/* ---- routed ---- */

static int add_body(struct index *ix, const struct rec_delivery *d)
{
    sqlite3_stmt *st = ix->st[IX_BODY_ADD];

    sql_bind_u64(st, 1, d->num);
    sql_bind_bytes(st, 2, d->body);
    return sql_run(st);
}

static int born_dead(struct index *ix, const struct rec_routed *rec, const struct rec_delivery *d)
{
    struct index_death death = {
        .num = d->num,
        .from = DS_DISCARDED, /* it counted nowhere before */
        .at_ms = rec->at_ms,
        .route = d->route,
        .endpoint = d->endpoint,
        .reason = d->reason,
    };
    uint64_t issue;

    return index_issue_died(ix, &death, &issue);
}

static int add_delivery(struct index *ix, uint64_t seq, size_t n, const struct rec_routed *rec,
                        const struct index_event *ev)
{
    const struct rec_delivery *d = &rec->deliveries[n];
    const int state = d->state == DS_PARKED ? DS_READY : d->state;
    sqlite3_stmt *st = ix->st[IX_DELIVERY_ADD];
    int r;

    sql_bind_u64(st, 1, d->num);
    sql_bind_bytes(st, 2, (sl_str){ (const char *)d->id, sizeof(d->id) });
    sqlite3_bind_int(st, 3, state);
    sqlite3_bind_int(st, 4, d->priority);
    sqlite3_bind_int64(st, 5, ev->received_ms);
    sqlite3_bind_int64(st, 6, rec->at_ms);
    sql_bind_u64(st, 7, d->body.len);
    sql_bind_text(st, 8, d->endpoint);
    sql_bind_text(st, 9, d->route);
    sql_bind_text(st, 10, d->piece);
    sql_bind_text(st, 11, d->action);
    sql_bind_text(st, 12, d->subject);
    sql_bind_text(st, 13, ev->topic);
    sql_bind_text(st, 14, d->hold_type);
    sql_bind_text(st, 15, d->reason);
    sqlite3_bind_int64(st, 16, d->next_ms);
    sql_bind_text(st, 17, d->version);
    sql_bind_text(st, 18, d->detail);
    if ((r = sql_run(st)) < 0)
        return r;
    if (sqlite3_changes(ix->db) == 0) { /* its number is there already: the first one holds */
        index_twin_refused(ix, d->num);
        return 0;
    }
    if ((r = add_body(ix, d)) < 0 || (r = index_count(ix, d->endpoint, d->route, state, 1)) < 0)
        return r;
    if (state == DS_DEAD && (r = born_dead(ix, rec, d)) < 0)
        return r;
    return add_line(ix, &(struct line){ .num = d->num,
                                        .seq = seq,
                                        .n = n,
                                        .at_ms = rec->at_ms,
                                        .state = state,
                                        .who = STR("router"),
                                        .reason = d->reason,
                                        .endpoint = d->endpoint });
}

static int apply_routed(struct index *ix, uint64_t seq, sl_str payload)
{
    struct index_event *ev = NULL;
    struct rec_routed rec;
    bool before;
    int r = rec_routed_decode(payload, &rec);

    if (r < 0)
        return r;
    r = index_event_find(ix, rec.event, &ev);
    before = r > 0 && ev->n_deliveries > 0;
    if (r > 0)
        r = index_event_describe(ix, ev, &rec);
    for (size_t i = 0; ev && r == 0 && i < rec.n_deliveries; i++) {
        uint64_t next = delivery_ordinal(rec.deliveries[i].num) + 1u;

        r = index_twin_check(ix, seq, &rec, i, before);
        if (r > 0)
            index_twin_refused(ix, rec.deliveries[i].num);
        r = r == 0 ? add_delivery(ix, seq, i, &rec, ev) : r > 0 ? 0 : r;
        if (next > ev->n_deliveries)
            ev->n_deliveries = next;
    }
    if (ev && r == 0)
        r = index_event_routed(ix, ev, &rec);
    rec_routed_finish(&rec);
    return r;
}

/* ---- sent ---- */

static int add_batch(struct index *ix, uint64_t seq, const struct rec_sent *rec)
{
    sqlite3_stmt *st = ix->st[IX_BATCH_ADD];
    struct buf members = { 0 };
    int r;

    for (size_t i = 0; i < rec->n_items; i++)
        pack_u64(&members, rec->items[i].num);
    if (members.failed) {
        buf_finish(&members);
        return UV_ENOMEM;
    }
    sql_bind_u64(st, 1, seq);
    sqlite3_bind_int64(st, 2, rec->at_ms);
    sql_bind_text(st, 3, rec->endpoint);
    sql_bind_text(st, 4, rec->route);
    sql_bind_bytes(st, 5, buf_view(&members));
    r = sql_run(st);
    buf_finish(&members);
    return r;
}

static int add_attempt(sqlite3_stmt *st, uint64_t seq, const struct rec_sent *rec,
                       const struct rec_sent_item *item)
{
    sql_bind_u64(st, 1, item->num);
    sql_bind_u64(st, 2, seq);
    sql_bind_u64(st, 3, item->attempt);
    sql_bind_u64(st, 4, item->generation);
    sql_bind_text(st, 5, item->key);
    sql_bind_bytes(st, 6, (sl_str){ (const char *)item->digest, sizeof(item->digest) });
    sql_bind_text(st, 7, rec->endpoint);
    sqlite3_bind_int64(st, 8, rec->at_ms);
    return sql_run(st);
}

static int freeze_body(struct index *ix, const struct rec_sent_item *item)
{
    sqlite3_stmt *st = ix->st[IX_BODY_FREEZE];

    sql_bind_u64(st, 1, item->num);
    sql_bind_bytes(st, 2, item->request);
    sql_bind_text(st, 3, item->key);
    sql_bind_bytes(st, 4, (sl_str){ (const char *)item->digest, sizeof(item->digest) });
    sql_bind_u64(st, 5, item->generation);
    return sql_run(st);
}

static int sent_line(struct index *ix, uint64_t seq, size_t n, const struct rec_sent *rec)
{
    return add_line(ix, &(struct line){ .num = rec->items[n].num,
                                        .seq = seq,
                                        .n = n,
                                        .at_ms = rec->at_ms,
                                        .state = DS_INFLIGHT,
                                        .who = STR("lane"),
                                        .reason = STR(""),
                                        .endpoint = rec->endpoint });
}

static int send_one(struct index *ix, uint64_t seq, size_t n, const struct rec_sent *rec)
{
    const struct rec_sent_item *item = &rec->items[n];
    sqlite3_stmt *st = ix->st[IX_DELIVERY_SENT];
    struct stand from;
    int r = stand_of(ix, item->num, &from);

    if (r <= 0)
        return r;
    r = move_count(ix, &from, from.endpoint, DS_INFLIGHT);
    if (r < 0)
        return r;
    sql_bind_u64(st, 1, item->num);
    sql_bind_u64(st, 2, seq);
    sql_bind_u64(st, 3, item->generation);
    sqlite3_bind_int64(st, 4, rec->at_ms);
    if ((r = sql_run(st)) < 0 || (r = add_attempt(ix->st[IX_ATTEMPT_ADD], seq, rec, item)) < 0 ||
        (r = freeze_body(ix, item)) < 0)
        return r;
    return sent_line(ix, seq, n, rec);
}

static int send_all(struct index *ix, uint64_t seq, const struct rec_sent *rec)
{
    int r = add_batch(ix, seq, rec);

    for (size_t i = 0; r == 0 && i < rec->n_items; i++)
        r = send_one(ix, seq, i, rec);
    return r;
}

static int write_sent(struct index *ix, const struct index_sent *sent)
{
    return send_all(ix, sent->seq, &sent->rec);
}

int index_sent_write(struct index *ix)
{
    const struct index_sent *sent;
    int r = 0;

    while (r == 0 && (sent = index_sent_first(ix)))
        r = write_sent(ix, sent);
    return r;
}

static int apply_sent(struct index *ix, uint64_t seq, sl_str payload)
{
    const struct index_sent *before;
    struct rec_sent rec;
    int r = rec_sent_decode(payload, &rec);

    if (r < 0)
        return r;
    if (rec.n_items != 1)
        r = send_all(ix, seq, &rec);
    else if ((before = index_sent_take(ix, rec.items[0].num, 0)))
        r = write_sent(ix, before);
    if (r == 0 && rec.n_items == 1)
        r = index_sent_keep(ix, seq, &rec);
    rec_sent_finish(&rec);
    return r;
}

/* ---- outcome, decision ---- */

static int end_attempt(struct index *ix, uint64_t batch, int64_t at_ms, const struct rec_move *m)
{
    sqlite3_stmt *st = ix->st[IX_BATCH_OVER];
    int r;

    sql_bind_u64(st, 1, batch);
    if ((r = sql_run(st)) < 0)
        return r;
    st = ix->st[IX_ATTEMPT_END];
    sql_bind_u64(st, 1, m->num);
    sql_bind_u64(st, 2, batch);
    sqlite3_bind_int64(st, 3, at_ms);
    sqlite3_bind_int(st, 4, m->state);
    sqlite3_bind_int(st, 5, m->burnt);
    sql_bind_u64(st, 6, m->status);
    sql_bind_u64(st, 7, m->latency_ms);
    sql_bind_text(st, 8, m->reason);
    return sql_run(st);
}

/* What was sent, and its end, as one. */
static int whole_attempt(struct index *ix, const struct index_sent *sent, int64_t at_ms,
                         const struct rec_move *m)
{
    const struct rec_sent_item *item = &sent->item;
    sqlite3_stmt *st = ix->st[IX_ATTEMPT_DONE];
    int r;

    sqlite3_bind_int64(st, 9, at_ms);
    sqlite3_bind_int(st, 10, m->state);
    sqlite3_bind_int(st, 11, m->burnt);
    sql_bind_u64(st, 12, m->status);
    sql_bind_u64(st, 13, m->latency_ms);
    sql_bind_text(st, 14, m->reason);
    if ((r = add_attempt(st, sent->seq, &sent->rec, item)) < 0 || (r = freeze_body(ix, item)) < 0)
        return r;
    return sent_line(ix, sent->seq, 0, &sent->rec);
}

/* `sent`: what has not been written of the batch that it ends; NULL: nothing. `anew`: the retry
 * policy's age begins with the next attempt. */
static int move_row(struct index *ix, int64_t at_ms, const struct rec_move *m, bool anew, int state,
                    sl_str endpoint, const struct index_sent *sent)
{
    sqlite3_stmt *st = ix->st[sent ? IX_DELIVERY_DONE : IX_DELIVERY_MOVE];

    if (sent) {
        sqlite3_bind_int64(st, 15, sent->rec.at_ms);
        sql_bind_u64(st, 16, sent->seq);
    }
    sql_bind_u64(st, 1, m->num);
    sqlite3_bind_int(st, 2, state);
    sqlite3_bind_int(st, 3, m->burnt);
    sql_bind_u64(st, 4, m->generation);
    sqlite3_bind_int64(st, 5, m->next_ms);
    sqlite3_bind_int64(st, 6, at_ms);
    sql_bind_text(st, 7, m->reason);
    sql_bind_text(st, 8, m->hold_type);
    sql_bind_text(st, 9, endpoint);
    sql_bind_text(st, 10, m->reference);
    sqlite3_bind_int(st, 11, m->set_priority);
    sql_bind_text(st, 12, m->detail);
    sql_bind_u64(st, 13, m->body.len);
    sqlite3_bind_int(st, 14, m->arrival);
    sqlite3_bind_int(st, 17, anew);
    return sql_run(st);
}

/* What the body was is kept with the record that changes it. */
static int edit_body(struct index *ix, uint64_t seq, const struct rec_move *m)
{
    sqlite3_stmt *st = ix->st[IX_EDIT_KEEP];
    int r;

    if (!m->body.len)
        return 0;
    sql_bind_u64(st, 1, m->num);
    sql_bind_u64(st, 2, seq);
    if ((r = sql_run(st)) < 0)
        return r;
    st = ix->st[IX_BODY_EDIT];
    sql_bind_u64(st, 1, m->num);
    sql_bind_bytes(st, 2, m->body);
    return sql_run(st);
}

/* What it died of, and the replay that sent it again. */
static int follow_issue(struct index *ix, uint64_t seq, const struct rec_moves *rec,
                        const struct rec_move *m, const struct stand *from, int state,
                        sl_str endpoint)
{
    struct index_move moved = {
        .num = m->num,
        .seq = seq,
        .from = from->state,
        .to = state,
        .issue = from->issue,
        .job = from->job,
        .by_job = index_replay_of(rec->who),
        .remapped = state == DS_DISCARDED && str_eq(m->hold_type, STR("remapped")),
        .at_ms = rec->at_ms,
    };
    struct index_death death = {
        .num = m->num,
        .was = from->issue,
        .from = from->state,
        .moved = true,
        .by_hand = from->state == DS_HELD && !m->attempt,
        .status = m->status,
        .at_ms = rec->at_ms,
        .route = from->route,
        .endpoint = endpoint,
        .reason = m->reason,
    };
    bool dies = state == DS_DEAD && from->state != DS_DEAD;
    int r = 0;

    if (dies)
        r = index_issue_died(ix, &death, &moved.issue);
    if (r == 0 && (moved.remapped || moved.job || moved.by_job))
        r = index_replay_moved(ix, &moved); /* first: what is handed over keeps an issue open */
    if (r == 0 && !dies && from->issue)
        r = index_issue_left(ix, from->issue, from->state, state, rec->at_ms);
    return r;
}

/** What was frozen for one endpoint is not for another. */
static int thaw_body(struct index *ix, const struct rec_move *m, sl_str endpoint_before)
{
    sqlite3_stmt *st = ix->st[IX_BODY_THAW];

    if (!m->endpoint.len || str_eq(m->endpoint, endpoint_before))
        return 0;
    sql_bind_u64(st, 1, m->num);
    return sql_run(st);
}

static int move_one(struct index *ix, uint64_t seq, size_t n, const struct rec_moves *rec,
                    bool decided)
{
    const struct rec_move *m = &rec->moves[n];
    const int state = m->state == DS_PARKED ? DS_READY : m->state;
    const bool anew = m->burnt == BURNT_ANEW || (decided && state == DS_READY);
    struct line line = { .num = m->num,
                         .seq = seq,
                         .n = n,
                         .at_ms = rec->at_ms,
                         .state = state,
                         .who = rec->who,
                         .reason = m->reason };
    const struct index_sent *sent = m->attempt && rec->batch
                                        ? index_sent_take(ix, m->num, rec->batch)
                                        : NULL;
    struct stand from;
    sl_str endpoint;
    int r = stand_of(ix, m->num, &from);

    if (r <= 0)
        return r == 0 && sent ? write_sent(ix, sent) : r;
    /* `once` has marked what a replay made, in the same append: it stays as it is. */
    if (from.state == DS_SUPERSEDED && index_replay_of(rec->who))
        return 0;
    endpoint = m->endpoint.len ? m->endpoint : from.endpoint;
    line.endpoint = endpoint;
    r = move_count(ix, &from, endpoint, state);
    if (sent)
        from.state = DS_INFLIGHT; /* as it stood in between */
    if (r == 0 && sent)
        r = whole_attempt(ix, sent, rec->at_ms, m);
    else if (r == 0 && m->attempt)
        r = end_attempt(ix, rec->batch ? rec->batch : from.batch, rec->at_ms, m);
    if (r == 0)
        r = add_line(ix, &line);
    if (r == 0)
        r = move_row(ix, rec->at_ms, m, anew, state, endpoint, sent);
    if (r == 0)
        r = thaw_body(ix, m, from.endpoint);
    if (r == 0)
        r = edit_body(ix, seq, m);
    if (r == 0)
        r = follow_issue(ix, seq, rec, m, &from, state, endpoint);
    return r;
}

static int add_link(struct index *ix, const struct rec_link *link, int64_t at_ms)
{
    bool learnt = delivery_ordinal(link->num) == REC_LINK_LEARNT;
    sqlite3_stmt *st = ix->st[learnt ? IX_LINK_LEARN : IX_LINK_ADD];
    uint8_t hash[16];

    index_link_hash(link->endpoint, link->kind, link->id, hash);
    sql_bind_bytes(st, 1, (sl_str){ (const char *)hash, sizeof(hash) });
    sql_bind_text(st, 2, link->endpoint);
    sql_bind_text(st, 3, link->kind);
    sql_bind_text(st, 4, link->id);
    sql_bind_text(st, 5, link->subject);
    sql_bind_u64(st, 6, link->num);
    sqlite3_bind_int64(st, 7, at_ms);
    return sql_run(st);
}

static int apply_moves(struct index *ix, uint64_t seq, bool decided, sl_str payload)
{
    struct rec_moves rec;
    int r = rec_moves_decode(payload, &rec);

    if (r < 0)
        return r;
    for (size_t i = 0; r == 0 && i < rec.n_moves; i++)
        r = move_one(ix, seq, i, &rec, decided);
    for (size_t i = 0; r == 0 && i < rec.n_links; i++)
        r = add_link(ix, &rec.links[i], rec.at_ms);
    if (r == 0 && str_eq(rec.who, STR(REC_WHO_RESTORE))) {
        ix->now.restored_to = seq;
        ix->now.restored_ms = rec.at_ms;
    }
    rec_moves_finish(&rec);
    return r;
}

/* ---- checkpoint ---- */

static int apply_checkpoint(struct index *ix, sl_str payload)
{
    sqlite3_stmt *st = ix->st[IX_BATCH_TOKEN];
    struct rec_checkpoint rec;
    int r = rec_checkpoint_decode(payload, &rec);

    if (r == 0)
        r = index_sent_write(ix);
    if (r < 0)
        return r;
    sql_bind_u64(st, 1, rec.batch);
    sql_bind_bytes(st, 2, rec.token);
    sql_bind_u64(st, 3, rec.done);
    return sql_run(st);
}

/* ---- state ---- */

static int apply_state(struct index *ix, sl_str payload)
{
    struct rec_state rec;
    int r = rec_state_decode(payload, &rec);

    if (r < 0)
        return r;
    for (size_t i = 0; r == 0 && i < rec.n_items; i++) {
        const struct rec_state_item *it = &rec.items[i];
        sqlite3_stmt *st = ix->st[it->value.len ? IX_STATE_SET : IX_STATE_CLEAR];

        sql_bind_text(st, 1, it->space);
        sql_bind_text(st, 2, it->key);
        if (it->value.len) {
            sql_bind_text(st, 3, it->value);
            sqlite3_bind_int64(st, 4, rec.at_ms);
            sql_bind_text(st, 5, rec.who);
            sql_bind_text(st, 6, rec.why);
        }
        r = sql_run(st);
        if (r == 0)
            r = index_issue_state(ix, &rec, it);
    }
    rec_state_finish(&rec);
    return r;
}

int index_apply(struct index *ix, const struct reclog_record *rec)
{
    const uint64_t seq = rec->seq;
    const sl_str payload = rec->payload;
    int r = seq == ix->now.watermark + 1 ? index_twin_settle(ix, rec) : UV_EINVAL;

    if (r < 0)
        return r;
    r = UV_EINVAL;
    switch (rec->type) {
    case REC_RECEIPT:
        r = apply_receipt(ix, rec);
        break;
    case REC_ROUTED:
        r = apply_routed(ix, seq, payload);
        break;
    case REC_SENT:
        r = apply_sent(ix, seq, payload);
        break;
    case REC_OUTCOME:
    case REC_DECISION:
        r = apply_moves(ix, seq, rec->type == REC_DECISION, payload);
        break;
    case REC_CHECKPOINT:
        r = apply_checkpoint(ix, payload);
        break;
    case REC_DUPLICATE:
        r = apply_duplicate(ix, rec);
        break;
    case REC_STATE:
        r = apply_state(ix, payload);
        break;
    case REC_DEADLINE:
        r = index_apply_deadlines(ix, payload);
        break;
    case REC_PRIVACY:
        r = index_apply_privacy(ix, seq, payload);
        break;
    case REC_VOID:
        r = 0;
        break;
    }
    if (r == 0)
        ix->now.watermark = seq;
    return r;
}
