/*
 * poll.c - one poll: what the adapter finds is gathered, bounded, and becomes durable with the
 * cursor that goes with it, in one append.
 */
#include <stdlib.h>
#include <string.h>
#include "base/clock.h"
#include "base/digest.h"
#include "base/mem.h"
#include "flow/feed.h"
#include "flow/routing.h"

#define ROOM_MS 250 /* the store has no room: it is asked again */

/** One event that is not durable yet. */
struct found {
    struct buf payload; /* its receipt */
    uint8_t key[16];
    bool keyed;
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
    sl_str cursor;  /* own: of it */
    sl_durable_cb cb;
    void *cb_ctx;
    bool finished; /* while that was under way */
    sl_status status;
    struct buf why;
    int64_t after_ms;
    uint64_t rows, known;
};

uint64_t poll_rows(const struct poll *p)
{
    return p->rows;
}

static void forget_found(struct poll *p)
{
    for (size_t i = 0; i < p->n; i++)
        buf_finish(&p->found[i].payload);
    p->n = 0;
    p->bytes = 0;
}

void poll_drop(struct poll *p)
{
    forget_found(p);
    free(p->found);
    free((char *)p->cursor.ptr);
    buf_finish(&p->why);
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
                           .known = p->known };

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

/* ---- what was found ---- */

/** The same hash space as receipts of webhooks, from which "polled" sets it apart. */
static bool key_of(struct poll *p, struct event *e, uint8_t out[16])
{
    uint8_t key[16], full[DIGEST_SHA256];
    sl_str parts[] = { STR("polled"), { (const char *)key, sizeof(key) } };

    if (!routing_key_of(p->flow, e, key))
        return false;
    digest_parts(parts, 2, full);
    memcpy(out, full, 16);
    return true;
}

static sl_status on_emit(void *ctx, sl_str topic, sl_str body)
{
    struct poll *p = ctx;
    uint64_t bytes = topic.len + body.len;
    struct rec_receipt receipt = {
        .origin = p->sweep ? EO_RECONCILED : EO_POLLED,
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
    if (!receipt.endpoint.len || p->flow->closing)
        return SL_E_CANCELLED;
    if (p->n >= SL_FEED_MAX_EVENTS || p->bytes + bytes > SL_FEED_MAX_BYTES)
        return SL_E_LIMIT;
    if (p->n == p->cap) {
        p->cap = p->cap ? p->cap * 2 : 16;
        p->found = mem_grow(p->found, p->cap * sizeof(*p->found));
    }
    struct found *found = &p->found[p->n++];
    *found = (struct found){ 0 };
    found->keyed = key_of(p, &e, found->key);
    rec_receipt_encode(&found->payload, &receipt);
    p->bytes += bytes;
    return SL_OK;
}

/* ---- a checkpoint ---- */

static void store_it(struct poll *p);

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
    if (p->feed->conf)
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
    rec->keys = mem_zero(sizeof(*rec->keys));
    rec->n_keys = 1;
    rec->keys->refuse = true;
    memcpy(rec->keys->hash, found->key, sizeof(found->key));
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
    if (cursor.len > SL_FEED_MAX_CURSOR)
        flow_later(p->flow, 0, on_too_long, p);
    else
        store_it(p);
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
        .sweep = a->plugin->feeds[d->conf->kind].flags & SL_FEED_SWEEP,
        .out = { .size = sizeof(p->out),
                 .ctx = p,
                 .feed = str_of(d->conf->name),
                 .emit = on_emit,
                 .checkpoint = on_checkpoint,
                 .finish = on_finish },
    };
    d->poll = p;
    began = clock_mono_us();
    a->plugin->poll(a->self, handle, str_of(cursor), &p->out); /* p may be gone after it */
    adapter_measure(a, began, "poll");
    adapter_unref(a);
    free(cursor);
}
