/*
 * router.c - committed events become deliveries, durably; and can be routed again.
 *
 * Events of one subject are routed one after the other, in the order they were received; others
 * pass them. What does not fit in memory waits in the index and is claimed when there is room.
 */
#include "flow/routing.h"

#include <stdlib.h>
#include <string.h>
#include "base/clock.h"
#include "base/digest.h"
#include "base/mem.h"
#include "flow/chain.h"
#include "flow/program.h"

#define MAX_UNDER_WAY    64   /* events with the mapper or the store at once */
#define MAX_QUEUED       4000 /* events in memory; the rest waits in the index */
#define MAX_QUEUED_BYTES (32u << 20)
#define EQUAL_ERRORS     20 /* in a row: the route is paused */
#define KEEP_BYTES       (32u << 20) /* of bodies that stay in memory until they are sent */

struct waiting_ref {
    UT_hash_handle hh;
    uint8_t key[16];
    uint64_t *events;
    size_t n;
};

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
    router_claim_waiting(r);
    recover_step_done(f);
    return 0;
}

void router_close(struct router *r)
{
    struct waiting_ref *w, *tmp;

    while (!list_empty(&r->queue)) {
        struct routing *rt = list_entry(r->queue.next, struct routing, node);
        list_remove(&rt->node);
        routing_free(rt);
    }
    HASH_ITER(hh, r->waiting, w, tmp)
    {
        HASH_DEL(r->waiting, w);
        free(w->events);
        free(w);
    }
    for (size_t i = 0; i < r->flow->config->n_routes; i++)
        map_program_put(r->routes[i].program);
    free(r->routes);
}

/* ---- the queue ---- */

void router_submit(struct router *r, struct event *e)
{
    struct routing *rt;

    bool full = r->queued >= MAX_QUEUED || r->queued_bytes >= MAX_QUEUED_BYTES;
    bool fresh = !e->only && !e->waited;
    if (fresh && e->id > r->last && (r->spilled || full)) {
        r->spilled = true; /* a claim finds it */
        r->skipped++;
        event_free(e);
        return;
    }
    if (fresh && e->id > r->last)
        r->last = e->id;
    rt = routing_new(r->flow, e);
    rt->router = r;
    r->queued++;
    r->queued_bytes += e->body_len;
    list_append(&r->queue, &rt->node);
    router_pump(r);
}

void router_remap(struct router *r, struct event *e, void (*done)(struct routing *rt, int status),
                  void *ctx)
{
    struct routing *rt = routing_new(r->flow, e);

    rt->router = r;
    rt->remapped = done;
    rt->remapped_ctx = ctx;
    r->queued++;
    r->queued_bytes += e->body_len;
    list_append(&r->queue, &rt->node);
    router_pump(r);
}

struct event_claim {
    struct router *router;
    uint64_t skipped_then;
    uint32_t limit;
    size_t pending;
    bool waited;
};

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

static void on_event(void *ctx, int status, const struct store_event *se)
{
    struct event_claim *c = ctx;
    struct router *r = c->router;

    if (status == 0) {
        struct event *e = event_from_receipt(se->id, &se->receipt);
        struct routing *rt = routing_new(r->flow, e);
        e->waited = c->waited;
        e->first_ordinal = se->n_deliveries;
        rt->router = r;
        r->queued++;
        r->queued_bytes += e->body_len;
        list_append(&r->queue, &rt->node);
        router_pump(r);
    }
    event_claim_end(c);
}

static void on_unrouted(void *ctx, int status, const uint64_t *ids, size_t n)
{
    struct event_claim *c = ctx;
    struct router *r = c->router;

    c->pending = 1;
    for (size_t i = 0; status == 0 && i < n; i++) {
        if (!c->waited && ids[i] > r->last)
            r->last = ids[i];
        if (store_event_get(r->flow->store, ids[i], on_event, c) == 0)
            c->pending++;
    }
    if (status == 0 && !c->waited && n < c->limit && r->skipped == c->skipped_then)
        r->spilled = false;
    event_claim_end(c);
}

void router_refill(struct router *r)
{
    if (!r->spilled || r->claiming || r->queued > MAX_QUEUED / 2 ||
        r->queued_bytes > MAX_QUEUED_BYTES / 2)
        return;
    struct event_claim *c = mem_zero(sizeof(*c));
    c->router = r;
    c->skipped_then = r->skipped;
    c->limit = 500;
    if (store_unrouted(r->flow->store, false, r->last, c->limit, on_unrouted, c) < 0) {
        free(c);
        return;
    }
    r->claiming = true;
    recover_step(r->flow);
}

/** At start: events that wait for a link are described again, so that the link finds them. */
void router_claim_waiting(struct router *r)
{
    struct event_claim *c = mem_zero(sizeof(*c));

    c->router = r;
    c->waited = true;
    c->limit = 10000;
    if (store_unrouted(r->flow->store, true, 0, c->limit, on_unrouted, c) < 0)
        free(c);
    else
        recover_step(r->flow);
}

/* ---- one event ---- */

static void routing_end(struct routing *rt)
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

/* ---- links ---- */

static void ref_key(const char *endpoint, sl_str kind, sl_str id, uint8_t out[16])
{
    uint8_t full[DIGEST_SHA256];
    sl_str parts[] = { str_of(endpoint), kind, id };

    digest_parts(parts, 3, full);
    memcpy(out, full, 16);
}

static void wait_for_link(struct routing *rt)
{
    struct router *r = rt->router;

    r->n_waiting++;
    for (size_t i = 0; i < rt->n_refs; i++) {
        struct waiting_ref *w;
        uint8_t key[16];
        ref_key(rt->event->endpoint, str_of(rt->refs[i].kind), str_of(rt->refs[i].id), key);
        HASH_FIND(hh, r->waiting, key, sizeof(key), w);
        if (!w) {
            w = mem_zero(sizeof(*w));
            memcpy(w->key, key, sizeof(key));
            HASH_ADD(hh, r->waiting, key, sizeof(w->key), w);
        }
        w->events = mem_grow(w->events, (w->n + 1) * sizeof(*w->events));
        w->events[w->n++] = rt->event->id;
    }
}

void router_link_written(struct router *r, sl_str endpoint, sl_str kind, sl_str id)
{
    struct waiting_ref *w;
    uint8_t key[16];

    if (!r->waiting)
        return;
    char *name = mem_dup(endpoint);
    ref_key(name, kind, id, key);
    free(name);
    HASH_FIND(hh, r->waiting, key, sizeof(key), w);
    if (!w)
        return;
    HASH_DEL(r->waiting, w);
    struct event_claim *c = mem_zero(sizeof(*c));
    c->router = r;
    c->waited = true;
    c->pending = 1;
    recover_step(r->flow);
    for (size_t i = 0; i < w->n; i++) {
        r->n_waiting -= r->n_waiting > 0;
        if (store_event_get(r->flow->store, w->events[i], on_event, c) == 0)
            c->pending++;
    }
    free(w->events);
    free(w);
    event_claim_end(c);
}

static void on_links(void *ctx, int status, const sl_str *subjects, size_t n)
{
    struct routing *rt = ctx;

    for (size_t i = 0; status == 0 && i < n && !rt->n_abouts; i++)
        if (subjects[i].len)
            routing_about(rt, subjects[i]);
    if (!rt->n_abouts)
        rt->waits = true;
    if (rt->waits)
        router_store(rt);
    else
        routing_map(rt);
}

/** Only references are known: their links say what the event is about. */
static bool ask_links(struct routing *rt)
{
    struct rec_ref *refs;

    if (rt->n_abouts || !rt->n_refs)
        return false;
    refs = mem_array(rt->n_refs, sizeof(*refs));
    for (size_t i = 0; i < rt->n_refs; i++)
        refs[i] = (struct rec_ref){ str_of(rt->event->endpoint), str_of(rt->refs[i].kind),
                                    str_of(rt->refs[i].id) };
    int err = store_links(rt->flow->store, refs, rt->n_refs, on_links, rt);
    free(refs);
    return err == 0;
}

static void routing_begin(struct routing *rt)
{
    rt->done = router_store;
    if (rt->undescribed) {
        rt->flow->stats.routing_errors++;
        log_warn(&rt->router->log, "event %" PRIu64 " is not understood: %s", rt->event->id,
                 rt->note ? rt->note : "no reason given");
        routing_refuse(rt);
        router_store(rt);
    } else if (!ask_links(rt)) {
        routing_map(rt);
    }
}

/* ---- the `routed` record ---- */

static void hold_type_of(const struct piece *p, struct rec_delivery *rd)
{
    rd->state = DS_HELD;
    if (p->target->kind == TARGET_HOLD) {
        rd->hold_type = str_of(p->target->text);
        rd->reason = STR("held by the route's choice");
    } else {
        rd->hold_type = str_of(p->route->hold);
        rd->reason = STR("the route holds every delivery");
    }
}

static void fill_delivery(const struct routing *rt, const struct piece *p, unsigned ordinal,
                          struct rec_delivery *rd)
{
    const struct conf_target *t = p->target;

    *rd = (struct rec_delivery){
        .num = delivery_num(rt->event->id, ordinal),
        .state = DS_READY,
        .priority = (uint8_t)p->route->priority,
        .route = str_of(p->route->name),
        .piece = str_of(p->key),
        .subject = str_of(routing_subject(rt)),
        .body = { p->body, p->body_len },
    };
    delivery_hash(rt->event->id, rd->route, rd->piece, rd->id);
    if (t && t->kind == TARGET_SEND) {
        rd->endpoint = str_of(t->endpoint->name);
        rd->action = str_of(t->endpoint->plugin->actions[t->action].name);
    }
    if (p->paused) {
        rd->state = DS_HELD;
        rd->hold_type = STR("route-paused");
        rd->reason = str_of(p->error);
    } else if (p->error) {
        rd->state = DS_DEAD;
        rd->reason = str_of(p->error);
    } else if (t->kind == TARGET_DEAD) {
        rd->state = DS_DEAD;
        rd->reason = str_of(t->text);
    } else if (t->kind == TARGET_HOLD || p->route->hold) {
        hold_type_of(p, rd);
    }
}

/** once: subject - the log marks a delivery whose key is known as superseded. */
static void add_once_keys(struct routing *rt, const struct rec_routed *routed,
                          struct store_record *rec, size_t payload_at)
{
    for (size_t i = 0; i < routed->n_deliveries; i++) {
        const struct rec_delivery *rd = &routed->deliveries[i];
        const struct conf_route *r = config_route(rt->flow->config, rd->route);
        uint8_t full[DIGEST_SHA256];
        sl_str parts[] = { STR("once"), rd->route, rd->subject, rd->piece };
        if (!r->once || !rd->subject.len || rd->state == DS_DEAD || rt->event->again)
            continue;
        digest_parts(parts, 4, full);
        struct store_key *k = &rec->keys[rec->n_keys++];
        *k = (struct store_key){ .mark_at = rd->state_at + (uint32_t)payload_at,
                                 .mark_value = DS_SUPERSEDED };
        memcpy(k->hash, full, 16);
    }
}

struct routed_ctx {
    struct routing *rt;
    struct rec_routed routed; /* arrays owned, views into rt */
};

static void routed_free(struct routed_ctx *rc)
{
    free(rc->routed.abouts);
    free(rc->routed.waits);
    free(rc->routed.deliveries);
    free(rc);
}

static void deliver_to_lane(struct flow *f, const struct routing *rt, const struct rec_delivery *rd,
                            const struct piece *p)
{
    struct lane *l = rd->endpoint.len ? flow_lane(f, rd->endpoint) : &f->nowhere;

    if (!lane_admits(l, rd->priority, rd->num))
        return;
    struct delivery *d = mem_zero(sizeof(*d));
    d->num = rd->num;
    memcpy(d->id, rd->id, sizeof(d->id));
    d->state = rd->state;
    d->priority = rd->priority;
    d->received_ms = rt->event->received_ms;
    d->route = p->route;
    d->target = p->target && p->target->kind == TARGET_SEND ? p->target : NULL;
    d->subject = mem_dup(rd->subject);
    d->piece = mem_dup(rd->piece);
    d->topic = mem_str(rt->event->topic);
    d->body_len = rd->body.len;
    if (d->state == DS_READY && f->kept_bytes + rd->body.len <= KEEP_BYTES) {
        delivery_set_body(d, rd->body);
        d->kept = true;
        f->kept_bytes += rd->body.len;
    }
    lane_add(l, d);
    if (d->state == DS_HELD)
        flow_notice(f, NOTICE_HELD, l, d, NULL, rd->reason);
    lane_pump_soon(l);
}

static void on_routed(struct flow *f, struct commit *c, int status);

/** The same event was routed before under another sender's id. */
static void store_duplicate(struct routing *rt, uint64_t original)
{
    struct routed_ctx *rc = mem_zero(sizeof(*rc));
    struct commit *c = commit_new(rt->flow, on_routed, rc);

    rt->flow->stats.same_events++;
    rc->rt = rt;
    rc->routed = (struct rec_routed){
        .event = rt->event->id, .at_ms = clock_wall_ms(), .duplicate_of = original
    };
    rec_routed_encode(&commit_record(c, REC_ROUTED)->payload, &rc->routed);
    commit_go(c);
}

/** Deliveries of the record, in memory where there is room; `c` has what the log marked. */
static void routed_apply(struct flow *f, struct routed_ctx *rc, const struct store_record *rec)
{
    struct routing *rt = rc->rt;
    size_t n = 0;

    f->stats.routed++;
    if (rc->routed.duplicate_of)
        return; /* its pieces were delivered as the original's */
    for (size_t i = 0; i < rt->n_pieces; i++) {
        const struct piece *p = &rt->pieces[i];
        if (p->target && p->target->kind == TARGET_DROP)
            continue;
        struct rec_delivery *rd = &rc->routed.deliveries[n++];
        uint8_t state = (uint8_t)rec->payload.data[rd->state_at];
        if (state == DS_DEAD) {
            struct delivery gone = { .num = rd->num, .subject = (char *)rd->subject.ptr };
            f->stats.routing_errors++;
            flow_notice(f, NOTICE_DEAD, NULL, &gone, p->route, rd->reason);
        }
        if (state == DS_READY || state == DS_HELD)
            deliver_to_lane(f, rt, rd, p);
    }
}

static void on_again_closed(uv_handle_t *h)
{
    router_store(container_of((uv_timer_t *)h, struct routing, again));
}

static void on_again(uv_timer_t *t)
{
    uv_close((uv_handle_t *)t, on_again_closed);
}

static void store_again(struct routing *rt)
{
    uv_timer_init(rt->flow->loop, &rt->again);
    uv_timer_start(&rt->again, on_again, 1000, 0);
}

static void on_routed(struct flow *f, struct commit *c, int status)
{
    struct routed_ctx *rc = c->ctx;
    struct routing *rt = rc->rt;
    const struct store_record *rec = &c->records[0];

    if (status == 0 && rec->refused) {
        routed_free(rc);
        store_duplicate(rt, rec->keys[0].value);
        return;
    }
    if (status == 0) {
        if (rt->waits)
            wait_for_link(rt);
        routed_apply(f, rc, rec);
    } else if (status == UV_ENOSPC || status == UV_ENOBUFS || status == UV_ENOMEM) {
        routed_free(rc);
        store_again(rt);
        return;
    }
    /* Any other failure latched the store: it stays unrouted, and the next start routes it. */
    if (rt->remapped) {
        rt->remapped_num = rc->routed.n_deliveries ? rc->routed.deliveries[0].num : 0;
        rt->remapped(rt, status);
    }
    routed_free(rc);
    routing_end(rt);
}

void router_store(struct routing *rt)
{
    struct routed_ctx *rc = mem_zero(sizeof(*rc));
    struct rec_routed *routed = &rc->routed;
    uint8_t key[16];

    if (rt->cancelled) { /* closing: it is routed at the next start */
        free(rc);
        if (rt->remapped)
            rt->remapped(rt, UV_ECANCELED);
        routing_end(rt);
        return;
    }
    if (rt->waits && rt->event->waited) { /* nothing new: it goes on waiting */
        free(rc);
        wait_for_link(rt);
        routing_end(rt);
        return;
    }
    rc->rt = rt;
    *routed = (struct rec_routed){
        .event = rt->event->id,
        .at_ms = clock_wall_ms(),
        .note = str_of(rt->note),
        .abouts = mem_array(rt->n_abouts + 1, sizeof(*routed->abouts)),
        .n_abouts = rt->n_abouts,
        .deliveries = mem_array(rt->n_pieces + 1, sizeof(*routed->deliveries)),
    };
    for (size_t i = 0; i < rt->n_abouts; i++)
        routed->abouts[i] = (struct rec_about){ str_of(rt->abouts[i].subject),
                                                str_of(rt->abouts[i].version) };
    if (rt->waits) {
        routed->waits = mem_array(rt->n_refs, sizeof(*routed->waits));
        for (size_t i = 0; i < rt->n_refs; i++)
            routed->waits[routed->n_waits++] = (struct rec_ref){
                str_of(rt->event->endpoint), str_of(rt->refs[i].kind), str_of(rt->refs[i].id)
            };
    }
    for (size_t i = 0; i < rt->n_pieces; i++) {
        const struct piece *p = &rt->pieces[i];
        unsigned ordinal = rt->event->first_ordinal + (unsigned)routed->n_deliveries;
        if (p->target && p->target->kind == TARGET_DROP)
            continue;
        if (ordinal > DELIVERY_ORDINAL_MAX)
            break;
        fill_delivery(rt, p, ordinal, &routed->deliveries[routed->n_deliveries++]);
    }

    struct commit *c = commit_new(rt->flow, on_routed, rc);
    struct store_record *rec = commit_record(c, REC_ROUTED);
    rec_routed_encode(&rec->payload, routed);
    rec->keys = mem_array(routed->n_deliveries + 1, sizeof(*rec->keys));
    if (!rt->waits && !rt->undescribed && routing_event_key(rt, key)) {
        struct store_key *k = &rec->keys[rec->n_keys++];
        *k = (struct store_key){ .refuse = true, .value = rt->event->id };
        memcpy(k->hash, key, sizeof(key));
    }
    add_once_keys(rt, routed, rec, 0);
    commit_go(c);
}

/* ---- when a route's program keeps failing ---- */

void router_route_result(struct router *r, const struct conf_route *route, sl_str why)
{
    struct route_state *s = &r->routes[route->index];

    if (!why.len) {
        s->errors_in_row = 0;
        return;
    }
    r->flow->stats.routing_errors++;
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
