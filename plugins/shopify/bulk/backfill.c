/*
 * backfill.c - see backfill.h.
 *
 *   the shop's clock - the bulk operation - [ up to 20 orders of its file - their fulfilments and
 *   refunds, in one question - each rendered, and what happened to it, in turns - checkpoint ] ...
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
#define TURN     32768 /* bytes emitted in one turn, and one event more */
#define YIELDED  1     /* on_event()'s: the rest in the next turn; no sl_status */

static const char needs[] =
    "it needs admin: { token: ... } or client_id and client_secret, and the "
    "scope read_orders";
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

enum then { THEN_TELL, THEN_READ, THEN_END }; /* after a checkpoint */

struct past {
    struct shopify *s;
    const sl_backfill *what;
    const sl_poll_out *out;
    struct past *next, **link; /* in shopify.pasts */
    struct bulk *bulk;         /* own; NULL: not begun */
    char *query;               /* own: of it */
    struct bulk_mark mark;     /* behind what is in `orders` ... */
    struct bulk_mark before;   /* ... and before it */
    json_t *orders[AT_ONCE];   /* own */
    size_t n, at;
    int ends;       /* the file has no more */
    int whole;      /* the order at `at` was asked for alone */
    json_t *body;   /* own: its body; NULL: not rendered yet */
    char *text;     /* own: that as text */
    size_t told;    /* of what happened to it */
    size_t emitted; /* since the last checkpoint */
    size_t turn;    /* bytes emitted in this turn */
    uint64_t done;  /* orders, durable ... */
    uint64_t total; /* ... of so many; 0: not known */
    int offset_min; /* of the shop's clock */
    unsigned tries;
    int64_t pause_ms;
    enum then then;
    sl_status status; /* THEN_END: with this */
    int64_t after_ms;
    char why[300];
    uint64_t timer;
};

/* ---- life ----------------------------------------------------------------------------------- */

/* What was made of the order at `at`. */
static void forget_order(struct past *p)
{
    json_decref(p->body);
    free(p->text);
    p->body = NULL;
    p->text = NULL;
    p->told = 0;
    p->whole = 0;
}

static void forget_orders(struct past *p)
{
    for (size_t i = 0; i < p->n; i++)
        json_decref(p->orders[i]);
    p->n = p->at = 0;
}

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
    forget_order(p);
    forget_orders(p);
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

static void tell_orders(void *ctx);

static void on_stored(void *ctx, sl_status status)
{
    struct past *p = ctx;

    p->emitted = 0;
    if (status != SL_OK) {
        finish(p, status, "what was found could not be stored", 0);
        return;
    }
    if (p->then == THEN_TELL) {
        tell_orders(p);
        return;
    }
    p->before = p->mark;
    p->done += p->n;
    forget_orders(p);
    tell_progress(p);
    if (p->then == THEN_END)
        finish(p, p->status, p->why, p->after_ms);
    else
        bulk_next(p->bulk);
}

/* THEN_TELL: not all of `orders` are told, so they are read again after a restart; what was told
 * of them is known then. */
static void store(struct past *p, enum then then)
{
    const struct bulk_mark *mark = then == THEN_TELL ? &p->before : &p->mark;
    unsigned long long done = p->done + (then == THEN_TELL ? 0 : p->n);
    char cursor[160] = "";

    p->then = then;
    if (mark->operation[0])
        snprintf(cursor, sizeof(cursor), "{\"operation\":\"%s\",\"offset\":%lld,\"done\":%llu}",
                 mark->operation, (long long)mark->offset, done);
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
        p->before = p->mark;
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

static char *text_of(const json_t *body)
{
    return json_dumps(body, JSON_COMPACT | JSON_REAL_PRECISION(15));
}

static sl_status emit(struct past *p, const struct order_event *e, const char *body)
{
    sl_missed m = { .size = sizeof(m),
                    .topic = { e->topic, strlen(e->topic) },
                    .body = { body, strlen(body) },
                    .unless = { e->unless, strlen(e->unless) },
                    .since = { e->since, strlen(e->since) } };

    p->turn += m.body.len;
    return p->out->emit_missed(p->out->ctx, &m);
}

static sl_status on_event(void *ctx, const struct order_event *e)
{
    struct past *p = ctx;
    char *part = NULL;
    sl_status r;

    if (e->at_ms >= p->what->until_ms || !is_wanted(p->what->topics, e->topic)) {
        p->told++;
        return SL_OK;
    }
    if (p->turn >= TURN)
        return YIELDED;
    if (e->body != p->body) /* most are told with all of the order */
        part = text_of(e->body);
    r = e->body == p->body ? emit(p, e, p->text) : part ? emit(p, e, part) : SL_E_NO_MEMORY;
    free(part);
    p->told += r == SL_OK;
    p->emitted += r == SL_OK;
    return r;
}

static void ask_whole(void *ctx);

static void next_order(struct past *p)
{
    forget_order(p);
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

/* A turn's work. */
static void render_order(struct past *p, const json_t *order)
{
    p->body = order_render(order, p->offset_min);
    p->text = p->body ? text_of(p->body) : NULL;
    if (p->text)
        later(p, 0, tell_orders);
    else
        finish(p, SL_E_NO_MEMORY, "no memory for an order's body", 0);
}

/* Another one. */
static void tell_order(struct past *p, const json_t *order)
{
    sl_status r;

    p->turn = 0;
    r = order_happened(order, p->body, p->what->since_ms, p->told, on_event, p);
    if (r == SL_OK)
        next_order(p);
    else if (r == YIELDED)
        later(p, 0, tell_orders);
    else if (r == SL_E_LIMIT && p->emitted > 0)
        store(p, THEN_TELL); /* and the rest of them after it */
    else
        finish(p, r, "what an order tells could not be taken over", 0);
}

static void tell_orders(void *ctx)
{
    struct past *p = ctx;
    const json_t *order = p->at < p->n ? p->orders[p->at] : NULL;

    p->timer = 0;
    if (!order) {
        store(p, p->ends ? THEN_END : THEN_READ);
    } else if (json_is_null(order)) { /* it is gone meanwhile */
        next_order(p);
    } else if (order_is_whole(order)) {
        if (p->text)
            tell_order(p, order);
        else
            render_order(p, order);
    } else if (!p->whole) {
        p->whole = 1;
        ask_whole(p);
    } else {
        log_skipped(p, order);
        next_order(p);
    }
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

/* Asked with less urgency than what is live. */
static void ask(struct past *p, const char *document, json_t *variables, admin_cb cb)
{
    sl_status r = admin_ask_as(p->s, SL_PRIORITY_LOW, document, variables, cb, p);

    if (r < 0)
        finish(p, r, "the question could not be asked", 0);
}

static void replace_order(struct past *p, size_t i, json_t *order)
{
    json_decref(p->orders[i]);
    p->orders[i] = order;
}

static void ask_for_parts(void *ctx);

/* Those that have parts and come with none were deleted since the file was made. */
static void take_parts(struct past *p, const json_t *nodes)
{
    for (size_t k = 0; k < p->n; k++) {
        const char *id = graph_text(p->orders[k], "id");
        json_t *found = NULL;

        for (size_t i = 0; i < json_array_size(nodes) && !found; i++)
            if (strcmp(graph_text(json_array_get(nodes, i), "id"), id) == 0)
                found = json_array_get(nodes, i);
        if (found) {
            json_object_set(p->orders[k], "fulfillments", json_object_get(found, "fulfillments"));
            json_object_set(p->orders[k], "refunds", json_object_get(found, "refunds"));
        } else if (has_parts(p->orders[k])) {
            replace_order(p, k, json_null());
        }
    }
}

static void on_parts(void *ctx, const struct admin_answer *a)
{
    struct past *p = ctx;
    const json_t *nodes = json_object_get(a->data, "nodes");

    if (!answered(p, a, ask_for_parts))
        return;
    if (!json_is_array(nodes)) {
        finish(p, SL_E_PROTOCOL, "the shop's answer holds no orders", 0);
        return;
    }
    take_parts(p, nodes);
    later(p, p->pause_ms, tell_orders);
}

static void ask_for_parts(void *ctx)
{
    struct past *p = ctx;
    json_t *ids = json_array();

    p->timer = 0;
    for (size_t i = 0; i < p->n; i++)
        if (has_parts(p->orders[i]))
            json_array_append(ids, json_object_get(p->orders[i], "id"));
    if (json_array_size(ids) == 0) {
        json_decref(ids);
        later(p, 0, tell_orders);
        return;
    }
    ask(p, ask_parts, json_pack("{s:o,s:i}", "ids", ids, "few", ORDER_FEW), on_parts);
}

/* One with more of something than the others' question reads. */
static void on_whole(void *ctx, const struct admin_answer *a)
{
    struct past *p = ctx;
    json_t *order = json_object_get(a->data, "order");

    if (!answered(p, a, ask_whole))
        return;
    replace_order(p, p->at, json_is_object(order) ? json_incref(order) : json_null());
    later(p, p->pause_ms, tell_orders);
}

static void ask_whole(void *ctx)
{
    struct past *p = ctx;

    p->timer = 0;
    ask(p, ask_one,
        json_pack("{s:s,s:i}", "id", graph_text(p->orders[p->at], "id"), "few", ORDER_MANY),
        on_whole);
}

/* ---- the bulk operation --------------------------------------------------------------------- */

static void on_bulk(void *ctx, const struct bulk_told *t)
{
    struct past *p = ctx;

    if (t->objects > 0)
        p->total = (uint64_t)t->objects;
    switch (t->what) {
    case BULK_STARTED:
        p->mark = p->before = t->mark;
        store(p, THEN_READ);
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
        forget_orders(p); /* the next operation's file has them */
        memset(&p->mark, 0, sizeof(p->mark));
        p->done = 0;
        p->status = SL_E_NETWORK;
        p->after_ms = t->after_ms;
        store(p, THEN_END);
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

    p->timer = 0;
    ask(p, ask_clock, json_object(), on_clock);
}

void shopify_backfill(void *self, const sl_backfill *what, sl_str cursor, const sl_poll_out *out)
{
    struct shopify *s = self;
    struct past *p = s->admin ? calloc(1, sizeof(*p)) : NULL;

    if (!p) {
        const char *why = s->admin ? "no memory for a back-fill" : needs;

        out->finish(out->ctx, SL_E_INVALID, (sl_str){ why, strlen(why) }, 0);
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
        return shopify_fail(fail, SL_E_INVALID, "%s", needs);
    return SL_OK;
}
