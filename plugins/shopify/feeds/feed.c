/*
 * feed.c - one poll of the orders that have changed.
 *
 *   ASKING a page - TELLING its orders, one a turn - STORING - (a pause) - ASKING ... - (told)
 *
 * Rows move while pages are read, so what is stored meanwhile carries the cursor as it was, and
 * only the end moves it. An order whose lists do not fit in the page's answer is asked for alone.
 */
#include "feeds.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "admin/admin.h"
#include "order.h"
#include "render.h"
#include "shift_time.h"
#include "shopify.h"

#define MOST_OF_A_QUERY 20000 /* the platform's pages end at 25,000 */
#define THROTTLED_TRIES 20    /* in a row */
#define STORE_EVENTS    200
#define LAG_MS          120000 /* a webhook that was longer under way lags behind */
#define LAG_POLL_MS     5000   /* then the sweeps are polled so soon ... */
#define LAG_TELL_MS     1000   /* ... and this is said no more often */
#define LITERAL(s)      ((sl_str){ (s), sizeof(s) - 1 })

#define ASK_PAGE                                                                               \
    "query ChangedOrders($query:String!,$after:String,$first:Int!,$few:Int!){"                 \
    "shop{timezoneOffsetMinutes}"                                                              \
    "orders(first:$first,after:$after,query:$query,sortKey:UPDATED_AT){nodes{" ORDER_SELECTION \
    "}pageInfo{hasNextPage endCursor}}}"
#define ASK_ONE "query WholeOrder($id:ID!,$few:Int!){order(id:$id){" ORDER_SELECTION "}}"

enum next { NEXT_GO_ON, NEXT_FINISH }; /* after a checkpoint */

struct feed_poll {
    struct shopify *s;
    const struct feed *feed;
    const sl_poll_out *out;
    struct feed_poll *prev, *next_poll; /* s->polls */
    struct feed_mark mark;              /* as it was at the beginning */
    int64_t from_ms, newest_ms;
    size_t read;    /* orders of this query */
    char *after;    /* own: its cursor; NULL: from its beginning */
    int more;       /* there is another page */
    int offset_min; /* of the shop's clock */
    int64_t pause_ms;
    unsigned throttled;
    json_t *page;   /* own: its orders */
    size_t at;      /* of them */
    json_t *whole;  /* own: the order at `at`, asked for alone; NULL: it is as in the page */
    json_t *body;   /* own: its body; NULL: not rendered yet */
    char *text;     /* own: that as text */
    size_t told;    /* of what happened to it */
    size_t emitted; /* since the last checkpoint */
    enum next next;
    uint64_t timer;
};

/* ---- life ---------------------------------------------------------------------------------- */

static void poll_free(struct feed_poll *p)
{
    const sl_host *h = p->s->host;

    if (p->timer)
        h->timer_cancel(h->ctx, p->timer);
    if (p->prev)
        p->prev->next_poll = p->next_poll;
    else
        p->s->polls = p->next_poll;
    if (p->next_poll)
        p->next_poll->prev = p->prev;
    json_decref(p->page);
    json_decref(p->whole);
    json_decref(p->body);
    free(p->text);
    free(p->after);
    free(p);
}

void feed_close(struct shopify *s)
{
    while (s->polls)
        poll_free(s->polls);
}

static void finish(struct feed_poll *p, sl_status status, const char *why, int64_t after_ms)
{
    const sl_poll_out *out = p->out;
    char text[512];

    snprintf(text, sizeof(text), "%s", why);
    poll_free(p);
    out->finish(out->ctx, status, (sl_str){ text, strlen(text) }, after_ms);
}

static void go_on(struct feed_poll *p);
static void ask_page(struct feed_poll *p);

static void on_turn(void *ctx)
{
    struct feed_poll *p = ctx;

    p->timer = 0;
    go_on(p);
}

static void later(struct feed_poll *p, int64_t ms, sl_timer_cb cb)
{
    p->timer = p->s->host->timer(p->s->host->ctx, ms, cb, p);
}

/* ---- STORING ------------------------------------------------------------------------------- */

static void on_stored(void *ctx, sl_status status)
{
    struct feed_poll *p = ctx;

    p->emitted = 0;
    if (status != SL_OK)
        finish(p, status, "what was found could not be stored", 0);
    else if (p->next == NEXT_FINISH)
        finish(p, SL_OK, "", 0);
    else
        go_on(p);
}

static void store(struct feed_poll *p, const struct feed_mark *mark, enum next next)
{
    char *cursor = feed_mark_write(mark);

    if (!cursor) {
        finish(p, SL_E_NO_MEMORY, "no memory for the cursor", 0);
        return;
    }
    p->next = next;
    p->out->checkpoint(p->out->ctx, (sl_str){ cursor, strlen(cursor) }, on_stored, p);
    free(cursor);
}

/* All pages were read. */
static void store_last(struct feed_poll *p)
{
    struct feed_mark mark = p->mark;

    mark.upto_ms = p->newest_ms > mark.upto_ms ? p->newest_ms : mark.upto_ms;
    store(p, &mark, NEXT_FINISH);
}

/* ---- TELLING ------------------------------------------------------------------------------- */

static int is_wanted(const struct feed *f, const char *topic)
{
    char word[64];

    snprintf(word, sizeof(word), " %s ", topic);
    return !f->only || strstr(f->only, word);
}

static char *text_of(const json_t *body)
{
    return json_dumps(body, JSON_COMPACT | JSON_REAL_PRECISION(15));
}

static sl_status on_event(void *ctx, const struct order_event *e)
{
    struct feed_poll *p = ctx;
    char *part = NULL;
    const char *body = p->text; /* most are told with all of the order */
    sl_status r;

    if (!is_wanted(p->feed, e->topic)) {
        p->told++;
        return SL_OK;
    }
    if (e->body != p->body)
        body = part = text_of(e->body);
    if (!body)
        return SL_E_NO_MEMORY;
    sl_missed m = { .size = sizeof(m),
                    .topic = { e->topic, strlen(e->topic) },
                    .body = { body, strlen(body) },
                    .unless = { e->unless, strlen(e->unless) },
                    .since = { e->since, strlen(e->since) } };
    r = p->out->emit_missed(p->out->ctx, &m);
    free(part);
    p->told += r == SL_OK;
    p->emitted += r == SL_OK;
    return r;
}

static void next_order(struct feed_poll *p)
{
    json_decref(p->whole);
    json_decref(p->body);
    free(p->text);
    p->whole = p->body = NULL;
    p->text = NULL;
    p->told = 0;
    p->at++;
}

static void log_skipped(struct feed_poll *p, const json_t *order)
{
    char text[200];

    snprintf(text, sizeof(text),
             "order %.60s has more lines, refunds or fulfilments than one question can read: it is "
             "not reconciled",
             graph_text(order, "name"));
    p->s->host->log(p->s->host->ctx, SL_LOG_WARN, (sl_str){ text, strlen(text) });
}

static void ask_whole(struct feed_poll *p, const char *id);

/* A turn's work: render an order, or say what must have happened to it. */
static void tell_order(struct feed_poll *p)
{
    const json_t *order = p->whole ? p->whole : json_array_get(p->page, p->at);
    const char *changed = graph_text(order, "updatedAt");
    sl_status r;
    int64_t ms;

    if (!order_is_whole(order) && !p->whole) {
        ask_whole(p, graph_text(order, "id"));
        return;
    }
    if (!json_is_object(order) || !graph_id(graph_text(order, "id")) || !order_is_whole(order)) {
        log_skipped(p, order);
        next_order(p);
        later(p, 0, on_turn);
        return;
    }
    if (!p->text) { /* a turn's work by itself */
        p->body = order_render(order, p->offset_min);
        p->text = p->body ? text_of(p->body) : NULL;
        if (p->text)
            later(p, 0, on_turn);
        else
            finish(p, SL_E_NO_MEMORY, "no memory for an order's body", 0);
        return;
    }
    r = order_happened(order, p->body, p->from_ms, p->told, on_event, p);
    if (r == SL_E_LIMIT && p->emitted > 0) {
        store(p, &p->mark, NEXT_GO_ON); /* and the rest of them after it */
        return;
    }
    if (r != SL_OK) {
        finish(p, r, "what an order tells could not be taken over", 0);
        return;
    }
    if (time_ms((sl_str){ changed, strlen(changed) }, &ms) == SL_OK && ms > p->newest_ms)
        p->newest_ms = ms;
    next_order(p);
    later(p, 0, on_turn);
}

static void on_pause(void *ctx)
{
    struct feed_poll *p = ctx;

    p->timer = 0;
    ask_page(p);
}

/* A page is told: it is stored, then the next one is asked for, or it was the last. */
static void page_over(struct feed_poll *p)
{
    if (p->emitted > 0 && p->more) {
        store(p, &p->mark, NEXT_GO_ON);
        return;
    }
    json_decref(p->page);
    p->page = NULL;
    if (!p->more) {
        store_last(p);
        return;
    }
    if (p->read >= MOST_OF_A_QUERY && p->newest_ms > p->from_ms) {
        p->from_ms = p->newest_ms; /* sorted by it: what was read is before */
        p->read = 0;
        free(p->after);
        p->after = NULL;
    }
    later(p, p->pause_ms, on_pause);
}

static void go_on(struct feed_poll *p)
{
    if (p->emitted >= STORE_EVENTS)
        store(p, &p->mark, NEXT_GO_ON);
    else if (p->at < json_array_size(p->page))
        tell_order(p);
    else
        page_over(p);
}

/* ---- ASKING -------------------------------------------------------------------------------- */

static sl_status status_of(enum admin_verdict verdict)
{
    return verdict == ADMIN_REFUSED || verdict == ADMIN_PARK ? SL_E_INVALID : SL_E_NETWORK;
}

/* 1: there is an answer. 0: it is asked again, or it is over. */
static int answered(struct feed_poll *p, const struct admin_answer *a, sl_timer_cb again)
{
    if (a->verdict == ADMIN_OK) {
        p->throttled = 0;
        p->pause_ms = feed_pause_ms(p->feed, a->cost);
        return 1;
    }
    if (a->verdict == ADMIN_THROTTLED && ++p->throttled < THROTTLED_TRIES)
        later(p, a->after_ms > 1000 ? a->after_ms : 1000, again);
    else
        finish(p, status_of(a->verdict), a->why, a->after_ms);
    return 0;
}

static void on_page(void *ctx, const struct admin_answer *a)
{
    struct feed_poll *p = ctx;
    json_t *nodes = json_object_get(json_object_get(a->data, "orders"), "nodes");
    const json_t *info = graph_at(a->data, "orders.pageInfo");
    const char *cursor = graph_text(info, "endCursor");

    if (!answered(p, a, on_pause))
        return;
    p->more = json_is_true(json_object_get(info, "hasNextPage"));
    if (!json_is_array(nodes) || (p->more && (!*cursor || json_array_size(nodes) == 0))) {
        finish(p, SL_E_PROTOCOL, "the shop's answer holds no page of orders", 0);
        return;
    }
    free(p->after);
    p->after = *cursor ? strdup(cursor) : NULL;
    p->offset_min = (int)json_integer_value(graph_at(a->data, "shop.timezoneOffsetMinutes")) %
                    (24 * 60);
    p->page = json_incref(nodes);
    p->at = 0;
    p->read += json_array_size(nodes);
    later(p, 0, on_turn); /* reading it was this turn's work */
}

static void ask(struct feed_poll *p, const char *document, json_t *variables, admin_cb cb)
{
    sl_status r = admin_ask_as(p->s, SL_PRIORITY_LOW, document, variables, cb, p);

    if (r < 0)
        finish(p, r, "the question could not be asked", 0);
}

static void ask_page(struct feed_poll *p)
{
    char query[64], from[32];

    time_text(p->from_ms, from);
    snprintf(query, sizeof(query), "updated_at:>='%s'", from);
    ask(p, ASK_PAGE,
        json_pack("{s:s,s:s?,s:I,s:i}", "query", query, "after", p->after, "first",
                  (json_int_t)p->feed->page, "few", ORDER_FEW),
        on_page);
}

static void on_whole_again(void *ctx);

static void on_whole(void *ctx, const struct admin_answer *a)
{
    struct feed_poll *p = ctx;
    json_t *order = json_object_get(a->data, "order");

    if (!answered(p, a, on_whole_again))
        return;
    if (json_is_object(order))
        p->whole = json_incref(order);
    else
        next_order(p); /* it is gone meanwhile */
    later(p, p->pause_ms, on_turn);
}

static void ask_whole(struct feed_poll *p, const char *id)
{
    ask(p, ASK_ONE, json_pack("{s:s,s:i}", "id", id, "few", ORDER_MANY), on_whole);
}

static void on_whole_again(void *ctx)
{
    struct feed_poll *p = ctx;

    p->timer = 0;
    ask_whole(p, graph_text(json_array_get(p->page, p->at), "id"));
}

/* ---- the beginning ------------------------------------------------------------------------- */

void feed_start(void *self, void *handle, sl_str cursor, const sl_poll_out *out)
{
    struct shopify *s = self;
    struct feed_poll *p = calloc(1, sizeof(*p));

    if (!p || !s->version.len || !SL_HAS(sl_poll_out, out, emit_missed)) {
        const char *why = !p               ? "no memory for a poll"
                          : s->version.len ? "the host is too old: it cannot tell what was missed"
                                           : "it needs \"admin\": { version: 2026-10, token: ... } "
                                             "to ask the shop";
        free(p);
        out->finish(out->ctx, SL_E_INVALID, (sl_str){ why, strlen(why) }, 0);
        return;
    }
    *p = (struct feed_poll){ .s = s, .feed = handle, .out = out, .next_poll = s->polls };
    if (s->polls)
        s->polls->prev = p;
    s->polls = p;
    p->mark = feed_mark_read(cursor);
    p->from_ms = feed_from(p->feed, &p->mark, s->host->wall_ms(s->host->ctx));
    if (p->from_ms)
        ask_page(p);
    else
        store_last(p);
}

/* ---- webhooks that lag ---------------------------------------------------------------------- */

void feed_saw(struct shopify *s, const sl_event *event)
{
    size_t times;
    const sl_header *h = shopify_header(event->headers, event->n_headers, "X-Shopify-Triggered-At",
                                        &times);
    int64_t at, now;

    if (!h || time_ms(h->value, &at) < 0 || event->received_ms - at < LAG_MS ||
        !SL_HAS(sl_host, s->host, poll_soon))
        return;
    now = s->host->wall_ms(s->host->ctx);
    if (now - s->lag_told_ms < LAG_TELL_MS && now >= s->lag_told_ms)
        return;
    s->lag_told_ms = now;
    s->host->poll_soon(s->host->ctx, LAG_POLL_MS);
}
