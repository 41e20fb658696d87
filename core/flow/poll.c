/*
 * poll.c - one poll: what the adapter finds is gathered, bounded, and becomes durable with the
 * cursor that goes with it, in one append.
 */
#include <stdlib.h>
#include <string.h>
#include "base/clock.h"
#include "base/digest.h"
#include "base/mem.h"
#include "flow/backfill.h"
#include "flow/feed.h"
#include "flow/in_hand.h"
#include "flow/missed.h"
#include "flow/routing.h"

#define ROOM_MS      250 /* the store has no room: it is asked again */
#define MOST_FINDING 1000

/** One event that is not durable yet. */
struct found {
    struct buf payload; /* its receipt */
    uint8_t event_key[16], key[16];
    bool keyed;
    char *subject; /* own; NULL: it has none */
    bool unless;   /* its headers say what else would make it known; else its key alone does */
    bool known;    /* it was not missed: not stored */
};

struct poll {
    struct feed *feed;
    struct flow *flow;
    struct adapter *adapter;     /* share */
    const struct config *config; /* share: what the handle is of */
    sl_poll_out out;
    bool sweep;
    struct found *found; /* own */
    size_t n, cap;
    uint64_t bytes; /* topics and bodies of these */
    bool storing;   /* a checkpoint is under way */
    size_t asked;   /* of `found`: up to here it was asked whether they are known */
    sl_str cursor;  /* own: of it */
    sl_durable_cb cb;
    void *cb_ctx;
    bool finished; /* while that was under way */
    sl_status status;
    struct buf why, finding;
    int64_t after_ms;
    uint64_t rows, known;
    uint64_t in_hand; /* its feed's number there */
};

uint64_t poll_rows(const struct poll *p)
{
    return p->rows;
}

uint64_t poll_known(const struct poll *p)
{
    return p->known;
}

/** It is of a back-fill that a person has ended, or whose endpoint has another adapter since a
 *  reload, or is gone: where it goes on, it goes on with that one. */
static bool is_cancelled(const struct poll *p)
{
    return p->feed->job && (p->feed->job->state == BACKFILL_CANCELLED || p->adapter->retired);
}

static void forget_found(struct poll *p)
{
    for (size_t i = 0; i < p->n; i++) {
        buf_finish(&p->found[i].payload);
        free(p->found[i].subject);
    }
    p->n = p->asked = 0;
    p->bytes = 0;
}

void poll_drop(struct poll *p)
{
    in_hand_end(p->flow->in_hand, IN_HAND_FEED, p->in_hand);
    forget_found(p);
    free(p->found);
    free((char *)p->cursor.ptr);
    buf_finish(&p->why);
    buf_finish(&p->finding);
    adapter_unref(p->adapter);
    config_unref(p->config);
    free(p);
}

/* ---- the end ---- */

static void end(struct poll *p)
{
    struct feed *d = p->feed;
    struct polled told = { .status = p->status,
                           .why = buf_view(&p->why),
                           .after_ms = p->after_ms,
                           .rows = p->rows,
                           .known = p->known,
                           .finding = buf_view(&p->finding) };

    d->poll = NULL;
    feed_polled(d, &told); /* the feed may be gone after it */
    poll_drop(p);
}

static void on_finish(void *ctx, sl_status status, sl_str why, int64_t after_ms)
{
    struct poll *p = ctx;

    if (p->finished)
        return;
    p->finished = true;
    p->status = status;
    p->after_ms = after_ms;
    buf_str(&p->why, why);
    if (!p->storing)
        end(p);
}

static void on_finding(void *ctx, sl_str text)
{
    struct poll *p = ctx;

    if (p->finished)
        return;
    buf_finish(&p->finding);
    p->finding = (struct buf){ 0 };
    if (text.len > MOST_FINDING)
        text.len = MOST_FINDING;
    buf_str(&p->finding, text);
}

/* ---- what was found ---- */

/** The same hash space as receipts of webhooks, from which "polled" sets it apart. */
static void key_of(struct poll *p, struct event *e, struct found *found)
{
    uint8_t full[DIGEST_SHA256];
    sl_str parts[] = { STR("polled"), { (const char *)found->event_key, 16 } };

    found->keyed = routing_key_of(p->flow, e, found->event_key, &found->subject);
    digest_parts(parts, 2, full);
    memcpy(found->key, full, 16);
}

static sl_status take(struct poll *p, sl_str topic, sl_str body, bool sweep,
                      const struct missed *unless)
{
    struct buf headers = { 0 };
    uint64_t bytes = topic.len + body.len;
    struct rec_receipt receipt = {
        .origin = sweep ? EO_RECONCILED : EO_POLLED,
        .received_ms = clock_wall_ms(),
        .endpoint = str_of(p->feed->lane ? p->feed->lane->name : NULL),
        .topic = topic,
        .body = body,
    };
    struct event e = { .origin = receipt.origin,
                       .received_ms = receipt.received_ms,
                       .endpoint = receipt.endpoint,
                       .topic = topic,
                       .body = body };

    if (!topic.len || bytes > SL_FEED_MAX_BYTES || p->storing || p->finished)
        return SL_E_INVALID;
    if (!receipt.endpoint.len || p->flow->closing || is_cancelled(p))
        return SL_E_CANCELLED;
    if (p->n >= SL_FEED_MAX_EVENTS || p->bytes + bytes > SL_FEED_MAX_BYTES)
        return SL_E_LIMIT;
    if (p->n == p->cap) {
        p->cap = p->cap ? p->cap * 2 : 16;
        p->found = mem_grow(p->found, p->cap * sizeof(*p->found));
    }
    struct found *found = &p->found[p->n++];
    *found = (struct found){ 0 };
    key_of(p, &e, found);
    found->unless = unless;
    if (unless) {
        missed_encode(unless, &headers);
        receipt.headers = buf_view(&headers);
    }
    rec_receipt_encode(&found->payload, &receipt);
    buf_finish(&headers);
    p->bytes += bytes;
    return SL_OK;
}

static sl_status on_emit(void *ctx, sl_str topic, sl_str body)
{
    struct poll *p = ctx;

    return take(p, topic, body, p->sweep, NULL);
}

static sl_status on_emit_missed(void *ctx, const sl_missed *m)
{
    struct missed unless = { m->unless, m->since };

    if (m->since.len && !m->unless.len)
        return SL_E_INVALID;
    return take(ctx, m->topic, m->body, true, m->since.len ? &unless : NULL);
}

/* ---- which of it is known ---- */

static void ask_known(struct poll *p);

/** Those that are asked about with one question: they follow each other. */
static bool same_question(const struct found *a, const struct found *b)
{
    return b->subject && strcmp(a->subject, b->subject) == 0;
}

static void on_ask_again(void *ctx, bool closing)
{
    if (!closing) /* else feeds_close() frees it */
        ask_known(ctx);
}

static void on_came(void *ctx, int status, const struct store_came *came, size_t n)
{
    struct poll *p = ctx;
    const struct found *first = &p->found[p->asked];
    sl_str endpoint = str_of(p->feed->lane ? p->feed->lane->name : NULL);

    if (status == UV_ECANCELED)
        return;
    if (status < 0) {
        flow_later(p->flow, ROOM_MS, on_ask_again, p);
        return;
    }
    for (; p->asked < p->n && same_question(first, &p->found[p->asked]); p->asked++) {
        struct found *found = &p->found[p->asked];
        struct rec_receipt receipt;

        if (rec_receipt_decode(buf_view(&found->payload), &receipt) < 0)
            continue;
        struct missed unless = missed_decode(receipt.headers);
        found->known = unless.since.len && missed_known(&unless, endpoint, came, n);
    }
    ask_known(p);
}

static void store_it(struct poll *p);

/** One subject after the other; then what is new is stored. */
static void ask_known(struct poll *p)
{
    while (p->asked < p->n && (!p->found[p->asked].subject || !p->found[p->asked].unless))
        p->asked++;
    if (p->asked == p->n) {
        store_it(p);
        return;
    }
    int r = store_came(p->flow->store, str_of(p->found[p->asked].subject), MISSED_LOOK, on_came, p);
    if (r < 0 && r != UV_ECANCELED)
        flow_later(p->flow, ROOM_MS, on_ask_again, p);
}

/* ---- a checkpoint ---- */

static void stored(struct poll *p, int status)
{
    sl_durable_cb cb = p->cb;

    forget_found(p);
    p->storing = false;
    if (p->finished)
        end(p);
    else if (p->adapter->open)
        cb(p->cb_ctx, status == 0              ? SL_OK
                      : status == UV_ECANCELED ? SL_E_CANCELLED
                      : status == UV_E2BIG     ? SL_E_LIMIT
                                               : SL_E_INTERNAL);
}

/** What is new goes to the router; what was known was refused by the log. */
static void take_over(struct poll *p, struct commit *c)
{
    for (size_t i = 0; i < p->n; i++)
        p->known += p->found[i].known;
    for (size_t i = 0; i + 1 < c->append.n; i++) {
        struct store_record *rec = &c->records[i];

        if (rec->refused) {
            p->known++;
            continue;
        }
        p->rows++;
        p->flow->stats.polled++;
        router_receipt(&p->flow->router, rec->seq, &rec->payload);
    }
    if (p->feed->conf || p->feed->job)
        feed_stored(p->feed, p->cursor);
}

static void on_durable(struct flow *f, struct commit *c, int status)
{
    struct poll *p = c->ctx;

    (void)f;
    if (status == 0)
        take_over(p, c);
    stored(p, status);
}

static void on_room(void *ctx, bool closing)
{
    if (!closing) /* else feeds_close() frees it */
        store_it(ctx);
}

static void add_found(struct commit *c, struct found *found)
{
    struct store_record *rec = commit_record(c, REC_RECEIPT);

    rec->payload = found->payload;
    found->payload = (struct buf){ 0 };
    if (!found->keyed)
        return;
    rec->keys = mem_array(2, sizeof(*rec->keys));
    rec->n_keys = 2;
    rec->keys[0] = (struct store_key){ .refuse = true };
    memcpy(rec->keys[0].hash, found->key, sizeof(found->key));
    rec->keys[1] = (struct store_key){ .refuse = true, .only_asked = true };
    memcpy(rec->keys[1].hash, found->event_key, sizeof(found->event_key));
}

/** New work waits until there is room for it, as a webhook would be refused. */
static void store_it(struct poll *p)
{
    struct buf value = { 0 };
    int r = store_admits(p->flow->store, p->bytes + p->cursor.len);

    if (r < 0 && r != UV_EIO && r != UV_ECANCELED) {
        flow_later(p->flow, ROOM_MS, on_room, p);
        return;
    }
    feed_fact(p->feed, p->cursor, &value);
    struct rec_state_item item = { STR(FEED_SPACE), str_of(p->feed->key), buf_view(&value) };
    struct rec_state state = {
        .at_ms = clock_wall_ms(), .who = STR("feed"), .items = &item, .n_items = 1
    };
    struct commit *c = commit_new(p->flow, on_durable, p);
    for (size_t i = 0; i < p->n; i++)
        if (!p->found[i].known)
            add_found(c, &p->found[i]);
    rec_state_encode(&commit_record(c, REC_STATE)->payload, &state);
    buf_finish(&value);
    commit_go(c);
}

static void on_too_long(void *ctx, bool closing)
{
    if (!closing)
        stored(ctx, UV_E2BIG);
}

static void on_cancelled(void *ctx, bool closing)
{
    if (!closing)
        stored(ctx, UV_ECANCELED);
}

static void on_checkpoint(void *ctx, sl_str cursor, sl_durable_cb cb, void *cb_ctx)
{
    struct poll *p = ctx;

    if (p->storing || p->finished)
        return;
    p->storing = true;
    p->cb = cb;
    p->cb_ctx = cb_ctx;
    free((char *)p->cursor.ptr);
    p->cursor = (sl_str){ mem_dup(cursor), cursor.len };
    if (is_cancelled(p))
        flow_later(p->flow, 0, on_cancelled, p);
    else if (cursor.len > SL_FEED_MAX_CURSOR)
        flow_later(p->flow, 0, on_too_long, p);
    else
        ask_known(p);
}

static sl_status on_progress(void *ctx, uint64_t done, uint64_t total, sl_str of)
{
    struct poll *p = ctx;

    if (p->feed->job && !p->finished)
        backfill_progress(p->feed->job, done, total, of);
    return is_cancelled(p) ? SL_E_CANCELLED : SL_OK;
}

/* ---- the beginning ---- */

void poll_start(struct feed *d)
{
    struct poll *p = mem_zero(sizeof(*p));
    struct adapter *a = adapter_ref(d->lane->adapter);
    void *handle = d->conf->handle;
    char *cursor = mem_str(d->cursor ? d->cursor : "");
    uint64_t began;

    *p = (struct poll){
        .feed = d,
        .flow = d->flow,
        .adapter = adapter_ref(a),
        .config = config_ref(d->flow->config),
        .sweep = d->job || a->plugin->feeds[d->conf->kind].flags & SL_FEED_SWEEP,
        .out = { .size = sizeof(p->out),
                 .ctx = p,
                 .feed = str_of(d->conf->name),
                 .emit = on_emit,
                 .checkpoint = on_checkpoint,
                 .finish = on_finish,
                 .emit_missed = on_emit_missed,
                 .progress = on_progress,
                 .finding = on_finding },
    };
    d->poll = p;
    p->in_hand = in_hand_num(str_of(d->key));
    in_hand_take(d->flow->in_hand, IN_HAND_FEED, &p->in_hand, 1);
    began = clock_mono_us();
    if (d->job) /* p may be gone after either */
        a->plugin->backfill(a->self, &d->job->what, str_of(cursor), &p->out);
    else
        a->plugin->poll(a->self, handle, str_of(cursor), &p->out);
    adapter_measure(a, began, "poll");
    adapter_unref(a);
    free(cursor);
}
