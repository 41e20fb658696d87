/*
 * router.c - committed events become deliveries, durably; and can be routed again.
 *
 * Events of one subject are routed one after the other, in the order they were received; others
 * pass them. What does not fit in memory waits in the index and is claimed when there is room.
 */
#include "flow/routing.h"

#include <stdlib.h>
#include <string.h>
#include "base/mem.h"
#include "flow/program.h"

#define MAX_UNDER_WAY    64   /* events with the mapper or the store at once */
#define MAX_QUEUED       4000 /* events in memory; the rest waits in the index */
#define MAX_QUEUED_BYTES (32u << 20)
#define EQUAL_ERRORS     20   /* in a row: the route is paused */
#define AGAIN_MS         1000 /* a store that had no room is asked again */
#define CLAIM_EVENTS     500

static void router_pump(struct router *r);
static void routing_begin(struct routing *rt);

/* ---- life ---- */

int router_open(struct router *r, struct flow *f, struct fail *fail)
{
    r->flow = f;
    r->log = (struct logger){ .room = "router" };
    list_init(&r->queue);
    r->routes = mem_array(f->config->n_routes ? f->config->n_routes : 1, sizeof(*r->routes));
    for (size_t i = 0; i < f->config->n_routes; i++) {
        const struct conf_route *cr = &f->config->routes[i];
        struct buf text = { 0 };
        if (!program_needed(cr))
            continue;
        program_compose(&text, cr);
        r->routes[i].program = map_program_get(f->mapper, buf_view(&text), program_vars);
        buf_finish(&text);
        if (!r->routes[i].program)
            return fail_set(fail, UV_ENOMEM, "no memory for the program of route %s", cr->name);
    }
    r->spilled = true; /* whatever the process before left unrouted */
    recover_step(f);
    router_refill(r);
    router_claim_waiting(r, 0);
    recover_step_done(f);
    return 0;
}

void router_close(struct router *r)
{
    while (!list_empty(&r->queue)) {
        struct routing *rt = list_entry(r->queue.next, struct routing, node);
        list_remove(&rt->node);
        routing_free(rt);
    }
    links_close(r);
    for (size_t i = 0; i < r->flow->config->n_routes; i++)
        map_program_put(r->routes[i].program);
    free(r->routes);
}

/* ---- the queue ---- */

static void enqueue(struct router *r, struct event *e, struct remap *m)
{
    struct routing *rt = routing_new(r->flow, e);

    rt->router = r;
    rt->remap = m;
    r->queued++;
    r->queued_bytes += e->body_len;
    list_append(&r->queue, &rt->node);
    router_pump(r);
}

void router_submit(struct router *r, struct event *e)
{
    bool full = r->queued >= MAX_QUEUED || r->queued_bytes >= MAX_QUEUED_BYTES;

    if (e->id <= r->last) { /* they come in order: a claim has seen it before we heard of it */
        event_free(e);
        return;
    }
    if (r->spilled || full) {
        r->spilled = true; /* a claim finds it */
        r->skipped++;
        event_free(e);
        return;
    }
    r->last = e->id;
    enqueue(r, e, NULL);
}

void router_remap(struct router *r, struct event *e, struct remap *m)
{
    if (r->flow->draining) {
        event_free(e);
        remap_routed(m, 0, UV_ECANCELED);
        return;
    }
    enqueue(r, e, m);
}

void router_cancel(struct router *r)
{
    list_each (i, &r->queue) {
        struct routing *rt = list_entry(i, struct routing, node);
        struct remap *m = rt->remap;
        rt->remap = NULL;
        if (m)
            remap_routed(m, 0, UV_ECANCELED);
    }
}

/** Events that are read from the store together. */
struct event_claim {
    struct router *router;
    uint64_t after;
    uint64_t skipped_then;
    size_t pending;
    bool waited; /* those that wait for a link; else those not routed */
};

/** One of them. */
struct event_fetch {
    struct event_claim *claim;
    uint64_t id;
};

static void claim_go(struct event_claim *c);
static void fetch_go(struct event_fetch *fe);

static void event_claim_end(struct event_claim *c)
{
    struct flow *f = c->router->flow;

    if (--c->pending)
        return;
    if (!c->waited)
        c->router->claiming = false;
    free(c);
    recover_step_done(f);
    router_refill(&f->router);
}

static void on_fetch_again(void *ctx, bool closing)
{
    struct event_fetch *fe = ctx;

    if (!closing) {
        fetch_go(fe);
        return;
    }
    if (--fe->claim->pending == 0)
        free(fe->claim);
    free(fe);
}

static void on_event(void *ctx, int status, const struct store_event *se)
{
    struct event_fetch *fe = ctx;
    struct event_claim *c = fe->claim;

    if (status < 0 && status != UV_ENOENT && status != UV_ECANCELED) {
        flow_later(c->router->flow, AGAIN_MS, on_fetch_again, fe);
        return;
    }
    if (status == 0) {
        struct event *e = event_from_receipt(se->id, &se->receipt);
        e->waited = c->waited;
        e->first_ordinal = se->n_deliveries;
        enqueue(c->router, e, NULL);
    } else if (status == UV_ENOENT) {
        log_error(&c->router->log, "event %" PRIu64 " is not in the log any more", fe->id);
    }
    free(fe);
    event_claim_end(c);
}

static void fetch_go(struct event_fetch *fe)
{
    int r = store_event_get(fe->claim->router->flow->store, fe->id, on_event, fe);

    if (r == UV_ECANCELED) /* closing: it is routed at the next start */
        on_event(fe, r, NULL);
    else if (r < 0)
        flow_later(fe->claim->router->flow, AGAIN_MS, on_fetch_again, fe);
}

static void fetch(struct event_claim *c, uint64_t id)
{
    struct event_fetch *fe = mem_zero(sizeof(*fe));

    *fe = (struct event_fetch){ c, id };
    c->pending++;
    fetch_go(fe);
}

static void on_claim_again(void *ctx, bool closing)
{
    if (closing)
        free(ctx);
    else
        claim_go(ctx);
}

static void on_unrouted(void *ctx, int status, const uint64_t *ids, size_t n)
{
    struct event_claim *c = ctx;
    struct router *r = c->router;

    if (status == UV_ECANCELED) {
        free(c);
        return;
    }
    if (status < 0) {
        log_error(&r->log, "cannot read unrouted events, asking again: err=%s",
                  uv_strerror(status));
        flow_later(r->flow, AGAIN_MS, on_claim_again, c);
        return;
    }
    c->pending = 1;
    for (size_t i = 0; i < n; i++) {
        if (!c->waited && ids[i] > r->last)
            r->last = ids[i];
        fetch(c, ids[i]);
    }
    if (!c->waited && n < CLAIM_EVENTS && r->skipped == c->skipped_then)
        r->spilled = false;
    if (c->waited && n == CLAIM_EVENTS)
        router_claim_waiting(r, ids[n - 1]);
    event_claim_end(c);
}

static void claim_go(struct event_claim *c)
{
    struct router *r = c->router;

    c->skipped_then = r->skipped;
    int err = store_unrouted(r->flow->store, c->waited, c->after, CLAIM_EVENTS, on_unrouted, c);
    if (err == UV_ECANCELED)
        free(c); /* closing */
    else if (err < 0)
        flow_later(r->flow, AGAIN_MS, on_claim_again, c);
}

static struct event_claim *claim_new(struct router *r, bool waited, uint64_t after)
{
    struct event_claim *c = mem_zero(sizeof(*c));

    *c = (struct event_claim){ .router = r, .waited = waited, .after = after };
    recover_step(r->flow);
    return c;
}

void router_refill(struct router *r)
{
    if (!r->spilled || r->claiming || r->flow->draining || r->queued > MAX_QUEUED / 2 ||
        r->queued_bytes > MAX_QUEUED_BYTES / 2)
        return;
    r->claiming = true;
    claim_go(claim_new(r, false, r->last));
}

/** At start: events that wait for a link are described again, so that the link finds them. */
void router_claim_waiting(struct router *r, uint64_t after)
{
    claim_go(claim_new(r, true, after));
}

void router_fetch(struct router *r, uint64_t id)
{
    struct event_claim *c = claim_new(r, true, 0);

    c->pending = 1;
    fetch(c, id);
    event_claim_end(c);
}

/* ---- one event ---- */

void routing_end(struct routing *rt)
{
    struct router *r = rt->router;

    if (rt->turn)
        HASH_DEL(r->by_subject, rt);
    /* Those behind it come first again, in their order. */
    while (!list_empty(&rt->behind)) {
        struct list *last = rt->behind.prev;
        list_remove(last);
        list_prepend(&r->queue, last);
    }
    r->under_way--;
    r->queued--;
    r->queued_bytes -= rt->event->body_len;
    routing_free(rt);
    router_pump(r);
    router_refill(r);
}

/** Its subject's turn, or behind the one that has it. */
static bool take_turn(struct routing *rt)
{
    struct router *r = rt->router;
    const char *subject = routing_subject(rt);
    struct routing *other;

    if (!subject[0])
        return true;
    HASH_FIND_STR(r->by_subject, subject, other);
    if (other) {
        list_append(&other->behind, &rt->node);
        return false;
    }
    rt->turn = mem_str(subject);
    HASH_ADD_KEYPTR(hh, r->by_subject, rt->turn, strlen(rt->turn), rt);
    return true;
}

static void router_pump(struct router *r)
{
    if (r->pumping || r->flow->draining)
        return;
    r->pumping = true;
    while (r->under_way < MAX_UNDER_WAY && !list_empty(&r->queue)) {
        struct routing *rt = list_entry(r->queue.next, struct routing, node);
        list_remove(&rt->node);
        if (!rt->described && !rt->note && routing_describe(rt) < 0)
            rt->undescribed = true;
        rt->described = true;
        if (!take_turn(rt))
            continue;
        r->under_way++;
        routing_begin(rt);
    }
    r->pumping = false;
}

static void routing_begin(struct routing *rt)
{
    rt->done = router_store;
    if (rt->undescribed)
        log_warn(&rt->router->log, "event %" PRIu64 " is not understood: %s", rt->event->id,
                 rt->note ? rt->note : "no reason given");
    if (rt->undescribed || !links_ask(rt))
        routing_map(rt);
}

/* ---- when a route's program keeps failing ---- */

void router_route_result(struct router *r, const struct conf_route *route, sl_str why)
{
    struct route_state *s = &r->routes[route->index];

    if (!why.len) {
        s->errors_in_row = 0;
        return;
    }
    if (!str_eq(str_of(s->last_error), why))
        s->errors_in_row = 0;
    snprintf(s->last_error, sizeof(s->last_error), STR_FMT, STR_ARG(why));
    if (++s->errors_in_row != EQUAL_ERRORS)
        return;
    s->paused = true;
    log_error(&r->log, "route %s failed %d times in a row and is paused: %s", route->name,
              EQUAL_ERRORS, s->last_error);
    flow_notice(r->flow, NOTICE_ROUTE_PAUSED, NULL, NULL, route, why);
}
