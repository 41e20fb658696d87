/*
 * router.c - committed events become deliveries, durably; and can be routed again.
 *
 * Events of one subject are routed one after the other, in the order they were received; others
 * pass them. What does not fit in memory waits in the index and is claimed when there is room.
 *
 * Routing has a share of each turn of the loop, a small one while webhooks come in: they are
 * answered first, and what they bring can wait.
 */
#include "flow/routing.h"

#include <stdlib.h>
#include <string.h>
#include "base/clock.h"
#include "base/mem.h"
#include "flow/find.h"
#include "flow/missed.h"
#include "flow/program.h"

#define MAX_UNDER_WAY    256  /* events with the mapper or the store at once */
#define MAX_QUEUED       4000 /* events in memory; the rest waits in the index */
#define MAX_QUEUED_BYTES (8u << 20)
#define EQUAL_ERRORS     20   /* in a row: the route is paused */
#define AGAIN_MS         1000 /* a store that had no room is asked again */
#define CLAIM_EVENTS     500
#define FETCHES          16 /* events read from the store at once, for each claim */

/* The router's share of a turn of the loop: while requests come in, and else. The former grows with
 * what waits: in a flood that lasts the queue settles where as many are routed as come in, before
 * it is full and the rest has to be read back from the disk. */
#define BUSY_EVENTS 8
#define BUSY_US     300
#define BUSY_PART   32 /* of the queue, besides */
#define CALM_EVENTS 64
#define CALM_US     2000

static void routing_begin(struct routing *rt);
static void claims_close(struct router *r);
static void refill(struct router *r);
static void claim_waiting(struct router *r, uint64_t after);

/* ---- life ---- */

static void routes_free(struct route_state *routes, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        map_program_put(routes[i].program);
        map_program_put(routes[i].keys);
    }
    free(routes);
}

/** The program of its keys. False: no memory. */
static bool route_keys(struct flow *f, const struct conf_route *r, struct route_state *s)
{
    struct buf text = { 0 };

    if (!r->n_with)
        return true;
    program_compose_keys(&text, r);
    s->keys = map_program_get(f->mapper, buf_view(&text), program_vars);
    buf_finish(&text);
    return s->keys;
}

static int routes_open(struct flow *f, const struct config *c, struct route_state **ret,
                       struct fail *fail)
{
    struct route_state *routes = mem_array(c->n_routes ? c->n_routes : 1, sizeof(*routes));

    for (size_t i = 0; i < c->n_routes; i++) {
        const struct conf_route *cr = &c->routes[i];
        struct buf text = { 0 };
        if (!program_needed(cr))
            continue;
        program_compose(&text, cr);
        routes[i].program = map_program_get(f->mapper, buf_view(&text), program_vars);
        buf_finish(&text);
        if (!routes[i].program || !route_keys(f, cr, &routes[i])) {
            routes_free(routes, i + 1);
            return fail_set(fail, UV_ENOMEM, "no memory for the program of route %s", cr->name);
        }
    }
    *ret = routes;
    return 0;
}

/** What was learnt of a route holds as long as its program is the same: the workers know it by its
 *  text, so the same text is the same program. */
static void routes_carry_over(struct router *r, const struct config *next,
                              struct route_state *routes)
{
    const struct config *before = r->flow->config;

    for (size_t i = 0; i < before->n_routes; i++) {
        struct route_state *was = &r->routes[i];
        const struct conf_route *now = config_route(next, str_of(before->routes[i].name));
        struct route_state *is = now ? &routes[now->index] : NULL;
        if (is && is->program == was->program && is->keys == was->keys) {
            is->errors_in_row = was->errors_in_row;
            memcpy(is->last_error, was->last_error, sizeof(is->last_error));
            is->paused = was->paused;
        } else if (was->paused) {
            flow_notice(r->flow, NOTICE_ROUTE_RESUMED, NULL, NULL, &before->routes[i],
                        now ? STR("its program is another now") : STR("removed"));
        }
    }
}

int router_change(struct router *r, const struct config *next, struct fail *fail)
{
    struct route_state *routes;
    int err = routes_open(r->flow, next, &routes, fail);

    if (err < 0)
        return err;
    routes_carry_over(r, next, routes);
    routes_free(r->routes, r->flow->config->n_routes);
    r->routes = routes;
    return 0;
}

int router_open(struct router *r, struct flow *f, struct fail *fail)
{
    r->flow = f;
    r->log = (struct logger){ .room = "router" };
    list_init(&r->queue);
    list_init(&r->ready);
    list_init(&r->claims);
    list_init(&r->after);
    uv_idle_init(f->loop, &r->idle);
    uv_handle_set_data((uv_handle_t *)&r->idle, f);
    f->handles++;
    int err = routes_open(f, f->config, &r->routes, fail);
    if (err < 0)
        return err;
    r->spilled = true; /* whatever the process before left unrouted */
    recover_step(f);
    refill(r);
    claim_waiting(r, 0);
    recover_step_done(f);
    return 0;
}

void router_close(struct router *r)
{
    list_splice(&r->queue, &r->after);
    while (!list_empty(&r->queue)) {
        struct routing *rt = list_entry(r->queue.next, struct routing, node);
        list_remove(&rt->node);
        routing_free(rt);
    }
    claims_close(r);
    links_close(r);
    uv_close((uv_handle_t *)&r->idle, flow_on_closed);
    routes_free(r->routes, r->flow->config->n_routes);
}

/* ---- the queue ---- */

static bool router_full(const struct router *r)
{
    return r->queued >= MAX_QUEUED || r->queued_bytes >= MAX_QUEUED_BYTES;
}

static void enqueue(struct router *r, struct list *queue, struct routing *rt)
{
    rt->router = r;
    r->queued++;
    r->queued_bytes += rt->event->held_bytes;
    list_append(queue, &rt->node);
    router_wake(r);
}

/* It is durable: a claim finds it. */
static void leave_it(struct router *r, struct event *e)
{
    r->spilled = true;
    r->skipped++;
    event_free(e);
    refill(r);
}

void router_submit(struct router *r, struct event *e)
{
    struct routing *rt;

    if (e && e->id <= r->last) { /* they come in order: a claim has seen it before we heard of it */
        event_free(e);
        return;
    }
    if (!e || r->spilled || router_full(r) || !(rt = routing_try_new(r->flow, e))) {
        leave_it(r, e);
        return;
    }
    r->last = e->id;
    enqueue(r, r->claiming ? &r->after : &r->queue, rt); /* what is being read is older */
}

int64_t router_oldest(const struct router *r)
{
    list_each (i, &r->queue) {
        const struct routing *rt = list_entry(i, struct routing, node);
        if (!rt->remap) /* an old event, and yet it does not wait for long */
            return rt->event->received_ms;
    }
    return 0;
}

void router_receipt(struct router *r, uint64_t id, struct buf *payload)
{
    router_submit(r, r->spilled ? NULL : event_take(id, payload));
}

void router_remap(struct router *r, struct event *e, struct remap *m)
{
    struct routing *rt;

    if (r->flow->draining) {
        event_free(e);
        remap_routed(m, 0, UV_ECANCELED);
        return;
    }
    rt = routing_new(r->flow, e);
    rt->remap = m;
    enqueue(r, &r->queue, rt);
    list_remove(&rt->node); /* older than all that is new here; there is one of a subject */
    list_prepend(&r->queue, &rt->node);
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
    while (!list_empty(&r->ready)) {
        struct routing *rt = list_entry(r->ready.next, struct routing, node);
        list_remove(&rt->node);
        rt->cancelled = true;
        rt->done(rt);
    }
}

/* ---- what waits in the index ---- */

/** Events that are read from the store, one after the other and a few at once. */
struct event_claim {
    struct list node; /* router.claims */
    struct router *router;
    uint64_t after;
    uint64_t skipped_then;
    uint64_t *ids;
    size_t n, next;
    size_t pending; /* being read */
    bool asked;     /* `ids` are awaited */
    bool more;      /* waited: there may be further ones behind these */
    bool waited;    /* those that wait for a link; else those not routed */
    bool starts;    /* waited: those from before the start */
};

/** One of them. */
struct event_fetch {
    struct event_claim *claim;
    uint64_t id;
};

static void claim_go(struct event_claim *c);
static void claim_step(struct event_claim *c);
static void fetch_go(struct event_fetch *fe);

static void claim_free(struct event_claim *c)
{
    list_remove(&c->node);
    free(c->ids);
    free(c);
}

/* All of it is in the router: further ones? */
static void claim_end(struct event_claim *c)
{
    struct router *r = c->router;
    uint64_t last = c->after;
    bool more = c->more, starts = c->starts;

    if (!c->waited) {
        r->claiming = false;
        list_splice(&r->queue, &r->after);
        router_wake(r);
    }
    claim_free(c);
    if (more)
        claim_waiting(r, last);
    else if (starts)
        links_looked(r);
    recover_step_done(r->flow);
    refill(r);
}

static void on_fetch_again(void *ctx, bool closing)
{
    struct event_fetch *fe = ctx;

    if (!closing) {
        fetch_go(fe);
        return;
    }
    fe->claim->pending--;
    free(fe);
}

static void on_event(void *ctx, int status, const struct store_event *se)
{
    struct event_fetch *fe = ctx;
    struct event_claim *c = fe->claim;
    struct router *r = c->router;
    struct event *e = NULL;
    struct routing *rt = NULL;

    if (status == 0 &&
        (!(e = event_from_receipt(se->id, &se->receipt)) || !(rt = routing_try_new(r->flow, e)))) {
        event_free(e);
        status = UV_ENOMEM;
    }
    if (status < 0 && status != UV_ENOENT && status != UV_EILSEQ && status != UV_ECANCELED) {
        flow_later(r->flow, AGAIN_MS, on_fetch_again, fe);
        return;
    }
    if (rt && c->waited && se->n_deliveries) { /* a link was faster than this claim: it is routed */
        routing_free(rt);
        rt = NULL;
    }
    if (rt) {
        e->waited = c->waited;
        e->first_ordinal = se->n_deliveries;
        enqueue(r, &r->queue, rt);
    } else if (status == UV_ENOENT) {
        log_error(&r->log, "event %" PRIu64 " is not in the log any more", fe->id);
    } else if (status == UV_EILSEQ) { /* it stays as it is, and is tried at the next start */
        log_error(&r->log,
                  "event %" PRIu64
                  " cannot be read, its record is damaged: it is not routed; "
                  "see `sluice db check`",
                  fe->id);
    }
    free(fe);
    c->pending--;
    claim_step(c);
}

static void fetch_go(struct event_fetch *fe)
{
    int r = store_event_get(fe->claim->router->flow->store, fe->id, on_event, fe);

    if (r == UV_ECANCELED) /* closing: it is routed at the next start */
        on_event(fe, r, NULL);
    else if (r < 0)
        flow_later(fe->claim->router->flow, AGAIN_MS, on_fetch_again, fe);
}

/* Read as many as there is room for; the last one ends the claim. */
static void claim_step(struct event_claim *c)
{
    struct router *r = c->router;

    if (c->asked)
        return;
    c->asked = true; /* a fetch that fails at once comes back here */
    while (c->next < c->n && c->pending < FETCHES && !router_full(r)) {
        struct event_fetch *fe = mem_zero(sizeof(*fe));

        *fe = (struct event_fetch){ c, c->ids[c->next++] };
        c->pending++;
        fetch_go(fe);
    }
    c->asked = false;
    if (c->next == c->n && !c->pending)
        claim_end(c);
}

static void on_claim_again(void *ctx, bool closing)
{
    if (!closing)
        claim_go(ctx);
}

static void on_unrouted(void *ctx, int status, const uint64_t *ids, size_t n)
{
    struct event_claim *c = ctx;
    struct router *r = c->router;

    if (status == UV_ECANCELED)
        return; /* the router's end frees it */
    if (status < 0) {
        log_error(&r->log, "cannot read unrouted events, asking again: err=%s",
                  uv_strerror(status));
        flow_later(r->flow, AGAIN_MS, on_claim_again, c);
        return;
    }
    c->more = c->waited && n == CLAIM_EVENTS;
    /* What came while a failed question was asked again has found its own way here. */
    for (; c->waited && n && ids[n - 1] > r->begun; n--)
        c->more = false;
    c->ids = mem_array(n + 1, sizeof(*c->ids));
    c->after = n ? ids[n - 1] : c->after;
    for (size_t i = 0; i < n; i++) /* nor what was routed as the start found it, and waits since */
        if (!c->waited || !links_begun_here(r, ids[i]))
            c->ids[c->n++] = ids[i];
    if (!c->waited && n && ids[n - 1] > r->last)
        r->last = ids[n - 1];
    if (!c->waited && n < CLAIM_EVENTS && r->skipped == c->skipped_then)
        r->spilled = false;
    c->asked = false;
    claim_step(c);
}

static void claim_go(struct event_claim *c)
{
    struct router *r = c->router;

    c->asked = true;
    c->skipped_then = r->skipped;
    int err = store_unrouted(r->flow->store, c->waited, c->after, CLAIM_EVENTS, on_unrouted, c);
    if (err < 0 && err != UV_ECANCELED) /* closing: the router's end frees it */
        flow_later(r->flow, AGAIN_MS, on_claim_again, c);
}

static struct event_claim *claim_new(struct router *r, bool waited, uint64_t after)
{
    struct event_claim *c = mem_zero(sizeof(*c));

    *c = (struct event_claim){ .router = r, .waited = waited, .after = after };
    list_append(&r->claims, &c->node);
    recover_step(r->flow);
    return c;
}

static void claims_close(struct router *r)
{
    while (!list_empty(&r->claims))
        claim_free(list_entry(r->claims.next, struct event_claim, node));
}

/* There is room in the router, perhaps. */
static void claims_step(struct router *r)
{
    list_each_safe (i, tmp, &r->claims)
        claim_step(list_entry(i, struct event_claim, node));
}

/** Claim unrouted events when there is room. */
static void refill(struct router *r)
{
    if (!r->spilled || r->claiming || r->flow->draining || r->queued > MAX_QUEUED / 2 ||
        r->queued_bytes > MAX_QUEUED_BYTES / 2)
        return;
    r->claiming = true;
    claim_go(claim_new(r, false, r->last));
}

/** At start: events that wait for a link are described again, so that the link finds them. */
static void claim_waiting(struct router *r, uint64_t after)
{
    struct store_stats stats;

    if (!after) {
        store_stats(r->flow->store, &stats);
        r->begun = stats.log_seq;
        r->looking = true;
    }
    struct event_claim *c = claim_new(r, true, after);
    c->starts = true;
    claim_go(c);
}

void router_fetch(struct router *r, uint64_t id)
{
    struct event_claim *c = claim_new(r, true, 0);

    c->ids = mem_array(1, sizeof(*c->ids));
    c->ids[0] = id;
    c->n = 1;
    claim_step(c);
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
    r->queued_bytes -= rt->event->held_bytes;
    routing_free(rt);
    router_wake(r);
    claims_step(r);
    refill(r);
}

/** Its subject's turn, or behind the one that has it: what is made again first, the events behind
 * it are newer. */
static bool take_turn(struct routing *rt)
{
    struct router *r = rt->router;
    const char *subject = routing_subject(rt);
    struct routing *other;

    if (!subject[0])
        return true;
    HASH_FIND_STR(r->by_subject, subject, other);
    if (other) {
        if (rt->remap)
            list_prepend(&other->behind, &rt->node);
        else
            list_append(&other->behind, &rt->node);
        return false;
    }
    rt->turn = mem_str(subject);
    HASH_ADD_KEYPTR(hh, r->by_subject, rt->turn, strlen(rt->turn), rt);
    return true;
}

bool routing_turn(struct routing *rt)
{
    if (rt->turn || take_turn(rt))
        return true;
    rt->router->under_way--;
    return false;
}

/* ---- turns ---- */

static bool may_begin(const struct router *r)
{
    return !r->flow->draining && !r->resting && r->under_way < MAX_UNDER_WAY &&
           !list_empty(&r->queue);
}

static void on_rested(void *ctx, bool closing)
{
    struct router *r = ctx;

    r->resting = false;
    if (!closing)
        router_wake(r);
}

/* No memory: no fault of the event's. It and all behind it wait, so that the order stays. */
static void rest(struct router *r, struct routing *rt)
{
    log_warn(&r->log, "no memory to read event %" PRIu64 ": routing waits for %d ms", rt->event->id,
             AGAIN_MS);
    list_prepend(&r->queue, &rt->node);
    r->resting = true;
    flow_later(r->flow, AGAIN_MS, on_rested, r);
}

static void begin_next(struct router *r)
{
    struct routing *rt = list_entry(r->queue.next, struct routing, node);

    list_remove(&rt->node);
    if (!rt->described && !rt->note) {
        int err = routing_describe(rt);

        if (err == UV_ENOMEM) {
            rest(r, rt);
            return;
        }
        rt->undescribed = err < 0;
    }
    if (!rt->described)
        find_purge(r->flow, rt->event->topic);
    rt->described = true;
    if (!take_turn(rt))
        return;
    r->under_way++;
    routing_begin(rt);
}

static void end_ready(struct router *r)
{
    struct list ready = LIST_INIT(ready);

    list_splice(&ready, &r->ready); /* what becomes ready meanwhile waits a turn */
    while (!list_empty(&ready)) {
        struct routing *rt = list_entry(ready.next, struct routing, node);
        list_remove(&rt->node);
        rt->done(rt);
    }
}

static void on_turn(uv_idle_t *idle)
{
    struct router *r = container_of(idle, struct router, idle);
    const struct flow_stats *st = &r->flow->stats;
    bool busy = st->requests != r->requests_then;
    size_t n = busy ? BUSY_EVENTS + r->queued / BUSY_PART : CALM_EVENTS;
    uint64_t until_us = clock_mono_us() + (busy ? BUSY_US + r->queued : CALM_US);

    r->requests_then = st->requests;
    do {
        if (!may_begin(r))
            break;
        begin_next(r);
    } while (--n && clock_mono_us() < until_us);
    end_ready(r);
    if (!may_begin(r) && list_empty(&r->ready))
        uv_idle_stop(idle);
}

void router_wake(struct router *r)
{
    if (!r->flow->closing && (may_begin(r) || !list_empty(&r->ready)))
        uv_idle_start(&r->idle, on_turn);
}

void routing_go(struct routing *rt)
{
    if (rt->undescribed || !links_ask(rt))
        routing_map(rt);
}

static void routing_begin(struct routing *rt)
{
    rt->done = router_store;
    if (rt->undescribed)
        log_warn(&rt->router->log, "event %" PRIu64 " is not understood: %s", rt->event->id,
                 rt->note ? rt->note : "no reason given");
    if (!missed_ask(rt))
        routing_go(rt);
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
