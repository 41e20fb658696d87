/*
 * backfill.c - see backfill.h.
 *
 *   the shop's clock - the bulk operation - [ up to 20 orders of its file - their fulfilments and
 *   refunds, in one question - what happened to each, one a turn - checkpoint ] ...
 *
 * The file has lines, shipping lines and discounts as lines of their own; fulfilments and refunds
 * hold connections within lists, which a bulk operation refuses: they are asked for, where there
 * are any. The checkpoint is where the next order begins in the file, so a restart goes on there.
 */
#include "bulk/backfill.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "admin/admin.h"
#include "bulk/bulk.h"
#include "feeds/feeds.h"
#include "feeds/order.h"
#include "feeds/render.h"
#include "feeds/shift_time.h"
#include "shopify.h"

#define AT_ONCE  20 /* orders between two checkpoints */
#define SHARE    50 /* percent of the points that come back, at most */
#define AGAIN_MS 1000
#define TRIES    20 /* in a row, while the points are spent */
#define QUERY    512

static const char ask_clock[] = "query ShopClock { shop { timezoneOffsetMinutes } }";
static const char ask_parts[] =
    "query OrderParts($ids:[ID!]!,$few:Int!){nodes(ids:$ids){...on Order{id " ORDER_PARTS "}}}";
static const char ask_one[] = "query WholeOrder($id:ID!,$few:Int!){order(id:$id){" ORDER_SELECTION
                              "}}";
static const char bulk_orders[] =
    "edges{node{" ORDER_HEAD ORDER_PAYMENTS
    "fulfillments(first:1){id}refunds(first:1){id}"
    "discountApplications{edges{node{" ORDER_DISCOUNT
    "}}}"
    "lineItems{edges{node{__typename " ORDER_LINE
    "}}}"
    "shippingLines(includeRemovals:true){edges{node{__typename " ORDER_SHIPPING "}}}}}";

static const struct jsonl_child children[] = {
    { NULL, "LineItem", "lineItems" },
    { NULL, "ShippingLine", "shippingLines" },
    { NULL, "DiscountCodeApplication", "discountApplications" },
    { NULL, "ManualDiscountApplication", "discountApplications" },
    { NULL, "AutomaticDiscountApplication", "discountApplications" },
    { NULL, "ScriptDiscountApplication", "discountApplications" },
    { 0 },
};

struct past {
    struct shopify *s;
    const sl_backfill *what;
    const sl_poll_out *out;
    struct past *next, **link; /* in shopify.pasts */
    struct bulk *bulk;         /* own; NULL: not begun */
    char *query;               /* own: of it */
    struct bulk_mark mark;     /* as it is stored with what is in `orders` */
    json_t *orders[AT_ONCE];   /* own */
    size_t n, at;
    int ends;       /* the file has no more */
    int whole;      /* the order at `at` was asked for alone */
    json_t *body;   /* own: its body; NULL: not rendered yet */
    size_t told;    /* of what happened to it */
    uint64_t done;  /* orders, durable ... */
    uint64_t total; /* ... of so many; 0: not known */
    int offset_min; /* of the shop's clock */
    unsigned tries;
    int64_t pause_ms;
    int over;         /* after the checkpoint it ends */
    sl_status status; /* then, with this */
    int64_t after_ms;
    char why[300];
    uint64_t timer;
};

/* ---- life ----------------------------------------------------------------------------------- */

static void past_free(struct past *p)
{
    const sl_host *h = p->s->host;

    if (p->timer)
        h->timer_cancel(h->ctx, p->timer);
    if (p->bulk)
        bulk_close(p->bulk);
    *p->link = p->next;
    if (p->next)
        p->next->link = p->link;
    for (size_t i = 0; i < p->n; i++)
        json_decref(p->orders[i]);
    json_decref(p->body);
    free(p->query);
    free(p);
}

void backfill_close(struct shopify *s)
{
    while (s->pasts)
        past_free(s->pasts);
}

static void finish(struct past *p, sl_status status, const char *why, int64_t after_ms)
{
    const sl_poll_out *out = p->out;
    char text[300];

    snprintf(text, sizeof(text), "%s", why);
    past_free(p);
    out->finish(out->ctx, status, (sl_str){ text, strlen(text) }, after_ms);
}

static void later(struct past *p, int64_t ms, sl_timer_cb cb)
{
    p->timer = p->s->host->timer(p->s->host->ctx, ms, cb, p);
}

static sl_status tell_progress(const struct past *p)
{
    return p->out->progress(p->out->ctx, p->done, p->total, (sl_str){ "orders", 6 });
}

/* ---- the checkpoint ------------------------------------------------------------------------- */

static void on_stored(void *ctx, sl_status status)
{
    struct past *p = ctx;

    if (status != SL_OK) {
        finish(p, status, "what was found could not be stored", 0);
        return;
    }
    for (size_t i = 0; i < p->n; i++)
        json_decref(p->orders[i]);
    p->done += p->n;
    p->n = p->at = 0;
    tell_progress(p);
    if (p->over)
        finish(p, p->status, p->why, p->after_ms);
    else
        bulk_next(p->bulk);
}

static void store(struct past *p)
{
    char cursor[160] = "";

    if (p->mark.operation[0])
        snprintf(cursor, sizeof(cursor), "{\"operation\":\"%s\",\"offset\":%lld,\"done\":%llu}",
                 p->mark.operation, (long long)p->mark.offset,
                 (unsigned long long)(p->done + p->n));
    p->out->checkpoint(p->out->ctx, (sl_str){ cursor, strlen(cursor) }, on_stored, p);
}

static void read_cursor(struct past *p, sl_str cursor)
{
    json_t *o = json_loadb(cursor.len ? cursor.ptr : "", cursor.len, 0, NULL);
    const char *operation = json_string_value(json_object_get(o, "operation"));

    if (operation && strlen(operation) < sizeof(p->mark.operation)) {
        snprintf(p->mark.operation, sizeof(p->mark.operation), "%s", operation);
        p->mark.offset = json_integer_value(json_object_get(o, "offset"));
        p->done = (uint64_t)json_integer_value(json_object_get(o, "done"));
    }
    json_decref(o);
}

/* ---- what happened -------------------------------------------------------------------------- */

/* Is it one of "orders/create refunds/... *"? */
static int is_wanted(sl_str topics, const char *topic)
{
    const char *p = topics.ptr, *end = p + topics.len;
    size_t len = strlen(topic);

    while (p < end) {
        const char *stop = memchr(p, ' ', (size_t)(end - p));
        size_t n = (size_t)((stop ? stop : end) - p);

        if (n > 0 && p[n - 1] == '*' ? n - 1 <= len && memcmp(p, topic, n - 1) == 0
                                     : n == len && memcmp(p, topic, n) == 0)
            return 1;
        p += n + 1;
    }
    return 0;
}

static sl_status on_event(void *ctx, const struct order_event *e)
{
    struct past *p = ctx;
    sl_status r = SL_OK;
    char *body;

    if (is_wanted(p->what->topics, e->topic)) {
        body = json_dumps(e->body, JSON_COMPACT | JSON_REAL_PRECISION(15));
        if (!body)
            return SL_E_NO_MEMORY;
        sl_missed m = { .size = sizeof(m),
                        .topic = { e->topic, strlen(e->topic) },
                        .body = { body, strlen(body) },
                        .unless = { e->unless, strlen(e->unless) },
                        .since = { e->since, strlen(e->since) } };
        r = p->out->emit_missed(p->out->ctx, &m);
        free(body);
    }
    p->told += r == SL_OK;
    return r;
}

static void tell_orders(void *ctx);
static void ask_whole(void *ctx);

static void next_order(struct past *p)
{
    json_decref(p->body);
    p->body = NULL;
    p->told = 0;
    p->whole = 0;
    p->at++;
    later(p, 0, tell_orders);
}

static void log_skipped(const struct past *p, const json_t *order)
{
    char text[200];

    snprintf(text, sizeof(text),
             "order %.60s has more lines, refunds or fulfilments than one question can read: it is "
             "not back-filled",
             graph_text(order, "name"));
    p->s->host->log(p->s->host->ctx, SL_LOG_WARN, (sl_str){ text, strlen(text) });
}

/* One order a turn. */
static void tell_order(struct past *p)
{
    const json_t *order = p->orders[p->at];
    sl_status r = SL_OK;

    if (!order_is_whole(order) && !p->whole) {
        p->whole = 1;
        ask_whole(p);
        return;
    }
    if (!order_is_whole(order)) {
        log_skipped(p, order);
        next_order(p);
        return;
    }
    if (!p->body)
        p->body = order_render(order, p->offset_min);
    r = p->body ? order_happened(order, p->body, p->what->since_ms, p->told, on_event, p)
                : SL_E_NO_MEMORY;
    if (r != SL_OK) {
        finish(p, r, "what an order tells could not be taken over", 0);
        return;
    }
    next_order(p);
}

static void tell_orders(void *ctx)
{
    struct past *p = ctx;

    p->timer = 0;
    if (p->at < p->n) {
        tell_order(p);
        return;
    }
    p->over = p->ends;
    store(p);
}

/* ---- their fulfilments and refunds ---------------------------------------------------------- */

static int has_parts(const json_t *order)
{
    return json_array_size(json_object_get(order, "fulfillments")) +
               json_array_size(json_object_get(order, "refunds")) >
           0;
}

static sl_status status_of(enum admin_verdict verdict)
{
    return verdict == ADMIN_REFUSED || verdict == ADMIN_PARK ? SL_E_INVALID : SL_E_NETWORK;
}

/* 1: there is an answer. 0: it is asked again, or it is over. */
static int answered(struct past *p, const struct admin_answer *a, sl_timer_cb again)
{
    static const struct feed share = { .share = SHARE };

    if (a->verdict == ADMIN_OK) {
        p->tries = 0;
        p->pause_ms = feed_pause_ms(&share, a->cost);
        return 1;
    }
    if (a->verdict == ADMIN_THROTTLED && ++p->tries < TRIES)
        later(p, a->after_ms > AGAIN_MS ? a->after_ms : AGAIN_MS, again);
    else
        finish(p, status_of(a->verdict), a->why, a->after_ms);
    return 0;
}

static void ask_for_parts(void *ctx);

static void on_parts(void *ctx, const struct admin_answer *a)
{
    struct past *p = ctx;
    const json_t *nodes = json_object_get(a->data, "nodes");

    if (!answered(p, a, ask_for_parts))
        return;
    for (size_t i = 0; i < json_array_size(nodes); i++) {
        const json_t *node = json_array_get(nodes, i);
        const char *id = graph_text(node, "id");

        for (size_t k = 0; k < p->n; k++)
            if (strcmp(graph_text(p->orders[k], "id"), id) == 0) {
                json_object_set(p->orders[k], "fulfillments",
                                json_object_get(node, "fulfillments"));
                json_object_set(p->orders[k], "refunds", json_object_get(node, "refunds"));
            }
    }
    later(p, p->pause_ms, tell_orders);
}

static void ask_for_parts(void *ctx)
{
    struct past *p = ctx;
    json_t *ids = json_array();
    sl_status r;

    p->timer = 0;
    for (size_t i = 0; i < p->n; i++)
        if (has_parts(p->orders[i]))
            json_array_append(ids, json_object_get(p->orders[i], "id"));
    if (json_array_size(ids) == 0) {
        json_decref(ids);
        later(p, 0, tell_orders);
        return;
    }
    r = admin_ask(p->s, ask_parts, json_pack("{s:o,s:i}", "ids", ids, "few", ORDER_FEW), on_parts,
                  p);
    if (r < 0)
        finish(p, r, "the question could not be asked", 0);
}

/* One with more of something than the others' question reads. */
static void on_whole(void *ctx, const struct admin_answer *a)
{
    struct past *p = ctx;
    json_t *order = json_object_get(a->data, "order");

    if (!answered(p, a, ask_whole))
        return;
    if (json_is_object(order)) {
        json_decref(p->orders[p->at]);
        p->orders[p->at] = json_incref(order);
    }
    later(p, p->pause_ms, tell_orders);
}

static void ask_whole(void *ctx)
{
    struct past *p = ctx;
    sl_status r;

    p->timer = 0;
    r = admin_ask(
        p->s, ask_one,
        json_pack("{s:s,s:i}", "id", graph_text(p->orders[p->at], "id"), "few", ORDER_MANY),
        on_whole, p);
    if (r < 0)
        finish(p, r, "the question could not be asked", 0);
}

/* ---- the bulk operation --------------------------------------------------------------------- */

static void on_bulk(void *ctx, const struct bulk_told *t)
{
    struct past *p = ctx;

    if (t->objects > 0)
        p->total = (uint64_t)t->objects;
    switch (t->what) {
    case BULK_STARTED:
        p->mark = t->mark;
        store(p);
        return;
    case BULK_RUNS:
        if (tell_progress(p) == SL_OK)
            bulk_next(p->bulk);
        else
            finish(p, SL_E_CANCELLED, "", 0);
        return;
    case BULK_ROOT:
        p->orders[p->n++] = json_incref((json_t *)t->root);
        p->mark = t->mark;
        if (p->n < AT_ONCE)
            bulk_next(p->bulk);
        else
            ask_for_parts(p);
        return;
    case BULK_ENDS:
        p->ends = 1;
        p->status = SL_OK;
        ask_for_parts(p);
        return;
    case BULK_FAILS:
        snprintf(p->why, sizeof(p->why), "%s", t->why);
        if (!t->lost) {
            finish(p, t->park ? SL_E_INVALID : SL_E_NETWORK, p->why, t->after_ms);
            return;
        }
        p->n = 0; /* of the next operation's file */
        memset(&p->mark, 0, sizeof(p->mark));
        p->done = 0;
        p->over = 1;
        p->status = SL_E_NETWORK;
        p->after_ms = t->after_ms;
        store(p);
        return;
    }
}

static int make_query(struct past *p)
{
    char since[32], until[32];
    size_t size = sizeof(bulk_orders) + QUERY;

    time_text(p->what->since_ms, since);
    time_text(p->what->until_ms, until);
    p->query = malloc(size);
    if (!p->query)
        return -1;
    snprintf(p->query, size,
             "{orders(query:\"updated_at:>='%s' AND created_at:<'%s'\",sortKey:CREATED_AT){%s}}",
             since, until, bulk_orders);
    return 0;
}

static void begin(void *ctx);

static void on_clock(void *ctx, const struct admin_answer *a)
{
    struct past *p = ctx;

    if (!answered(p, a, begin))
        return;
    p->offset_min = (int)json_integer_value(graph_at(a->data, "shop.timezoneOffsetMinutes")) %
                    (24 * 60);
    if (make_query(p) == 0)
        p->bulk = bulk_open(p->s, p->query, children, &p->mark, on_bulk, p);
    if (!p->bulk)
        finish(p, SL_E_NO_MEMORY, "no memory for a bulk operation", 0);
}

static void begin(void *ctx)
{
    struct past *p = ctx;
    sl_status r;

    p->timer = 0;
    r = admin_ask(p->s, ask_clock, json_object(), on_clock, p);
    if (r < 0)
        finish(p, r, "the question could not be asked", 0);
}

void shopify_backfill(void *self, const sl_backfill *what, sl_str cursor, const sl_poll_out *out)
{
    static const char none[] = "no memory for a back-fill";
    struct shopify *s = self;
    struct past *p = calloc(1, sizeof(*p));

    if (!p) {
        out->finish(out->ctx, SL_E_NO_MEMORY, (sl_str){ none, sizeof(none) - 1 }, 0);
        return;
    }
    *p = (struct past){ .s = s, .what = what, .out = out, .next = s->pasts, .link = &s->pasts };
    if (p->next)
        p->next->link = &p->next;
    s->pasts = p;
    read_cursor(p, cursor);
    begin(p);
}

/* ---- can it? -------------------------------------------------------------------------------- */

sl_status shopify_can_backfill(const sl_values *settings, const sl_values_api *values,
                               sl_str topics, sl_fail *fail)
{
    static const char *const known[] = { "orders/create",       "orders/updated",
                                         "orders/paid",         "orders/cancelled",
                                         "orders/fulfilled",    "orders/partially_fulfilled",
                                         "fulfillments/create", "fulfillments/update",
                                         "refunds/create",      NULL };
    size_t n = 0;

    for (size_t i = 0; known[i]; i++)
        n += is_wanted(topics, known[i]) != 0;
    if (n == 0)
        return shopify_fail(fail, SL_E_UNSUPPORTED,
                            "topics: of a shop orders/*, fulfillments/* and refunds/create can be "
                            "back-filled");
    if (!admin_is_set(settings, values))
        return shopify_fail(fail, SL_E_INVALID,
                            "it needs admin: { token: ... } or client_id and client_secret, and "
                            "the scope read_orders");
    return SL_OK;
}
