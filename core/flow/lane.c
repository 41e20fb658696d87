/*
 * lane.c - what stands before one endpoint: piles by priority, bucket, breaker, concurrency, park.
 *
 * lane_pump() is the only place that starts anything (what was left by the process before and is
 * resumed aside). It runs when something may have changed and arms one timer for the next moment at
 * which time alone changes something.
 */
#include <assert.h>
#include <stdlib.h>
#include <string.h>
#include "base/clock.h"
#include "base/mem.h"
#include "flow/chain.h"
#include "flow/failover.h"

static const uint32_t weights[PRIORITY__COUNT] = { 8, 4, 2, 1 };

#define NEVER UINT64_MAX

/* ---- life ---- */

static int64_t timer_key(const void *item)
{
    return ((const struct delivery *)item)->next_ms;
}

static void timer_moved(void *item, size_t place)
{
    ((struct delivery *)item)->heap_at = place;
}

void lane_init(struct lane *l, struct flow *f, struct adapter *a)
{
    uint64_t now = uv_now(f->loop);

    l->flow = f;
    l->adapter = a;
    l->conf = a ? a->conf : NULL;
    l->config = a ? config_ref(f->config) : NULL;
    l->name = mem_str(a ? a->conf->name : "");
    l->log = (struct logger){ .room = "lane", .name = a ? l->name : "(none)" };
    l->waiting = l->asking = (struct heap){ .key = timer_key, .moved = timer_moved };
    list_init(&l->piles);
    list_init(&l->batches);
    list_init(&l->paced);
    list_init(&l->confirming);
    memcpy(l->credits, weights, sizeof(weights));
    uv_timer_init(f->loop, &l->timer);
    uv_handle_set_data((uv_handle_t *)&l->timer, f);
    f->handles++;
    if (!a)
        return;
    const struct conf_breaker *b = &a->conf->breaker;
    budget_init(&l->budget, a->conf->retry_percent);
    bucket_init(&l->bucket, a->conf->rate_milli_per_s, a->conf->burst, now);
    breaker_init(&l->breaker, &(struct breaker_conf){
                                  .window_ms = (uint64_t)b->window_ms,
                                  .min_calls = b->min_calls,
                                  .failure_percent = b->failure_percent,
                                  .open_ms = (uint64_t)b->open_ms,
                                  .open_max_ms = (uint64_t)b->open_max_ms,
                                  .probes = b->probes,
                              });
}

void lane_finish(struct lane *l)
{
    while (!list_empty(&l->piles)) {
        struct pile *p = list_entry(l->piles.next, struct pile, node);
        list_remove(&p->node);
        free(p);
    }
    for (int p = 0; p < PRIORITY__COUNT; p++)
        lane_window_finish(&l->windows[p]);
    free(l->waiting.at);
    free(l->asking.at);
    free(l->name);
    config_unref(l->config);
    uv_close((uv_handle_t *)&l->timer, flow_on_closed);
}

/* ---- piles ---- */

static void pile_limits(struct pile *p)
{
    const sl_action *a = &p->target->endpoint->plugin->actions[p->target->action];
    const struct conf_endpoint *e = p->lane->conf;

    p->max_records = a->batch_records ? a->batch_records : 1;
    p->max_bytes = a->batch_bytes;
    if (p->max_records == 1)
        return;
    if (e->batch_records && e->batch_records < p->max_records)
        p->max_records = e->batch_records;
    if (e->batch_bytes && (!p->max_bytes || e->batch_bytes < p->max_bytes))
        p->max_bytes = e->batch_bytes;
    p->age_ms = (uint64_t)e->batch_age_ms;
}

struct pile *lane_pile(struct lane *l, const struct conf_route *r, const struct conf_target *t)
{
    list_each (i, &l->piles) {
        struct pile *p = list_entry(i, struct pile, node);
        if (p->target == t)
            return p;
    }
    struct pile *p = mem_zero(sizeof(*p));
    p->route = r;
    p->target = t;
    p->lane = l;
    p->priority = (uint8_t)r->priority;
    list_init(&p->ready);
    list_append(&l->piles, &p->node);
    pile_limits(p);
    return p;
}

/** Milliseconds until the pile may leave: 0 now, NEVER when it is empty. */
static uint64_t pile_ripe_in(const struct pile *p, uint64_t now)
{
    if (p->n == 0)
        return NEVER;
    if (p->n >= p->max_records || (p->max_bytes && p->bytes >= p->max_bytes))
        return 0;
    return now >= p->since_ms + p->age_ms ? 0 : p->since_ms + p->age_ms - now;
}

static uint64_t pile_head(const struct pile *p)
{
    return list_entry(p->ready.next, struct delivery, pile_node)->num;
}

/** The ripe pile whose turn it is: priorities by weight, the oldest head within one. Its credit is
 *  spent when something leaves, not when it is looked at: a lane that waits for tokens looks as
 *  often as it is woken, and who is last in the round would never have its turn. */
static struct pile *choose_pile(struct lane *l, uint64_t now)
{
    struct pile *best[PRIORITY__COUNT] = { NULL };
    bool any = false;

    list_each (i, &l->piles) {
        struct pile *p = list_entry(i, struct pile, node);
        if (pile_ripe_in(p, now) != 0)
            continue;
        if (!best[p->priority] || pile_head(p) < pile_head(best[p->priority]))
            best[p->priority] = p;
        any = true;
    }
    if (!any)
        return NULL;
    for (int round = 0; round < 2; round++) {
        for (int i = 0; i < PRIORITY__COUNT; i++)
            if (best[i] && l->credits[i])
                return best[i];
        memcpy(l->credits, weights, sizeof(weights));
    }
    return NULL; /* not reached: full credits serve whoever is there */
}

/* ---- a delivery's place ---- */

static const unsigned legal_moves[DS__COUNT] = {
#define TO(s) (1u << DS_##s)
    [DS_READY] = TO(INFLIGHT) | TO(HELD) | TO(DEAD) | TO(DISCARDED) | TO(SUPERSEDED),
    [DS_INFLIGHT] = TO(READY) | TO(WAITING) | TO(UNKNOWN) | TO(HELD) | TO(DELIVERED) | TO(DEAD),
    [DS_WAITING] = TO(READY) | TO(HELD) | TO(DISCARDED) | TO(DEAD),
    [DS_UNKNOWN] = TO(READY) | TO(WAITING) | TO(UNKNOWN) | TO(HELD) | TO(DELIVERED) | TO(DEAD),
    [DS_HELD] = TO(READY) | TO(DEAD) | TO(DISCARDED) | TO(DELIVERED) | TO(HELD),
#undef TO
};

void lane_enter(struct delivery *d, enum delivery_state next)
{
    if (d->state != next)
        assert(legal_moves[d->state] & 1u << next);
    log_trace(&d->lane->log, "delivery %" PRIu64 ".%u %s -> %s", delivery_event(d->num),
              delivery_ordinal(d->num), delivery_state_names[d->state], delivery_state_names[next]);
    struct window *w = &d->lane->windows[d->priority];
    w->n -= d->state != DS_HELD;
    w->n += next != DS_HELD;
    d->trial = d->trial && (next == DS_READY || next == DS_INFLIGHT);
    d->lane->counts[d->state]--;
    d->lane->counts[next]++;
    d->indexed &= next == DS_INFLIGHT; /* what it was when it was claimed, it still is */
    d->over_budget = false;
    d->state = next;
}

void lane_add(struct lane *l, struct delivery *d)
{
    struct flow *f = l->flow;

    d->lane = l;
    l->counts[d->state]++;
    l->windows[d->priority].n += d->state != DS_HELD;
    list_init(&d->pile_node);
    d->deciding = decide_under_way(f, d->num);
    HASH_ADD(hh, f->deliveries, num, sizeof(d->num), d);
    chain_join(d);
    lane_place(d);
}

static void timer_stop(struct delivery *d)
{
    if (d->heap_at)
        heap_remove(d->heap, d->heap_at);
}

static void timer_start(struct delivery *d, struct heap *h)
{
    d->heap = h;
    heap_push(h, d);
}

void lane_place(struct delivery *d)
{
    struct lane *l = d->lane;

    timer_stop(d);
    if (delivery_state_final(d->state)) {
        lane_remove(d);
        return;
    }
    if (d->stale && !d->batch && !d->settling && !d->deciding) {
        delivery_orphan(d);
        if (d->state != DS_HELD)
            recover_orphan(d);
        return;
    }
    if (d->state == DS_READY)
        pile_add(d);
    else
        pile_take(d);
    if (l->outs && !d->doubt && (d->state == DS_READY || d->state == DS_WAITING))
        failover_again(l);
    if (d->state == DS_WAITING)
        timer_start(d, &l->waiting);
    else if (d->state == DS_UNKNOWN)
        timer_start(d, &l->asking);
}

void lane_drop_bytes(struct delivery *d)
{
    if (d->kept)
        d->lane->flow->kept_bytes -= d->body_len;
    d->kept = false;
    if (!d->loading)
        d->fetch = 0; /* what is under way may be what it was before */
    delivery_drop_bytes(d);
}

void lane_remove(struct delivery *d)
{
    struct lane *l = d->lane;

    pile_take(d);
    lane_drop_bytes(d);
    timer_stop(d);
    lane_gone(l, d->priority, d->num);
    l->counts[d->state]--;
    l->windows[d->priority].n -= d->state != DS_HELD;
    chain_leave(d);
    HASH_DELETE(hh, l->flow->deliveries, d);
    delivery_free(d);
}

/* ---- park ---- */

void lane_park(struct lane *l, sl_str why, int64_t ms)
{
    bool before = l->parked;

    l->parked = true;
    l->parked_until = uv_now(l->flow->loop) + (uint64_t)(ms > 0 ? ms : l->conf->park_probe_ms);
    snprintf(l->park_why, sizeof(l->park_why), STR_FMT, STR_ARG(why));
    if (before)
        return;
    log_warn(&l->log, "parked: %s", l->park_why);
    flow_notice(l->flow, NOTICE_PARKED, l, NULL, NULL, str_of(l->park_why));
}

void lane_park_on(struct lane *l)
{
    l->parked_until = uv_now(l->flow->loop) + (uint64_t)l->conf->park_probe_ms;
}

void lane_unpark(struct lane *l)
{
    if (!l->parked)
        return;
    l->parked = false;
    log_info(&l->log, "no longer parked");
    flow_notice(l->flow, NOTICE_UNPARKED, l, NULL, NULL, str_of(l->park_why));
}

/* ---- the breaker ---- */

void lane_forget(struct lane *l, uint64_t trips_then)
{
    if (l->breaker.trips == trips_then)
        breaker_forget(&l->breaker);
}

void lane_result(struct lane *l, uint64_t trips_then, bool good)
{
    if (l->breaker.trips != trips_then)
        return; /* it left before the breaker last opened */
    enum breaker_state before = l->breaker.state;
    if (breaker_result(&l->breaker, good, uv_now(l->flow->loop), &l->flow->rng)) {
        log_warn(&l->log, "breaker opened, next try in %" PRIu64 " ms",
                 l->breaker.open_until - uv_now(l->flow->loop));
        if (before == BREAKER_CLOSED)
            flow_notice(l->flow, NOTICE_BREAKER_OPEN, l, NULL, NULL,
                        STR("too many failures or slow answers"));
    } else if (before == BREAKER_HALF_OPEN && l->breaker.state == BREAKER_CLOSED) {
        log_info(&l->log, "breaker closed");
        budget_relax(&l->budget);
        flow_notice(l->flow, NOTICE_BREAKER_CLOSED, l, NULL, NULL, STR(""));
    }
}

/* ---- the pump ---- */

static void start_batch(struct lane *l, struct pile *p)
{
    struct delivery **members = mem_array(p->n < p->max_records ? p->n : p->max_records,
                                          sizeof(struct delivery *));
    size_t n = 0;
    uint64_t bytes = 0;

    while (p->n && n < p->max_records) {
        struct delivery *d = list_entry(p->ready.next, struct delivery, pile_node);
        if (n && p->max_bytes && bytes + d->body_len > p->max_bytes)
            break;
        bytes += d->body_len;
        pile_take(d);
        lane_enter(d, DS_INFLIGHT);
        members[n++] = d;
    }
    p->since_ms = uv_now(l->flow->loop);
    budget_call(&l->budget, p->since_ms);
    batch_start(l, members, n);
    free(members);
}

static uint64_t least(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

/** The next one whose time has come; what is being moved or decided is put back by that. NULL:
 * none; then *ret_wait says when. It stays in the heap. */
static struct delivery *due(struct heap *h, int64_t wall, uint64_t *ret_wait)
{
    struct delivery *d;

    while ((d = heap_first(h)) && d->next_ms <= wall) {
        if (!d->settling && !d->deciding)
            return d;
        timer_stop(d);
    }
    *ret_wait = d ? (uint64_t)(d->next_ms - wall) : NEVER;
    return NULL;
}

/** A retry that the endpoint's budget does not bear waits on: nothing is burnt, in the log its time
 *  stays as it was. While the breaker is not closed it decides who goes; where an action batches, a
 *  retry is no call of its own. */
static bool wait_for_budget(struct lane *l, struct delivery *d, int64_t wall)
{
    if (!d->attempts || !d->since_ms || l->breaker.state != BREAKER_CLOSED ||
        lane_pile(l, d->route, d->target)->max_records > 1)
        return false;
    uint64_t wait = budget_take(&l->budget, uv_now(l->flow->loop));
    if (!wait)
        return false;
    l->retries_delayed += !d->over_budget;
    d->over_budget = true;
    timer_stop(d);
    d->next_ms = wall + (int64_t)wait + (int64_t)rng_below(&l->flow->rng, 1000);
    timer_start(d, &l->waiting);
    return true;
}

/** Those that waited for their next attempt. Returns the milliseconds until the next, or NEVER. */
static uint64_t wake_waiting(struct lane *l, int64_t wall)
{
    struct delivery *d;
    uint64_t wait;

    while ((d = due(&l->waiting, wall, &wait))) {
        if (wait_for_budget(l, d, wall))
            continue;
        lane_enter(d, DS_READY);
        lane_place(d);
    }
    return wait;
}

/** May one more set out? Its token is only promised here and taken where it leaves: what lies
 * between
 *  - bodies, requests, the disk - takes now longer, now shorter, and the remote counts arrivals. 0,
 *  or the milliseconds to wait. */
static uint64_t take_leave(struct lane *l, uint64_t now)
{
    const struct bucket *b = &l->bucket;

    if (b->rate_milli && l->promised && (l->promised + 1) * INT64_C(1000) > b->capacity)
        return NEVER; /* not before one of those has left */
    uint64_t wait = bucket_wait(&l->bucket, 1 + l->promised, now);
    if (wait == 0)
        wait = breaker_ask(&l->breaker, now);
    if (wait)
        return wait;
    l->promised++;
    return 0;
}

/** Batches that are ready to leave do so as they get their tokens. Returns the milliseconds until
 *  the next one can. */
static uint64_t serve_paced(struct lane *l)
{
    uint64_t now = uv_now(l->flow->loop);

    while (!list_empty(&l->paced)) {
        uint64_t wait = bucket_take(&l->bucket, 1, now);
        if (wait)
            return wait;
        l->prepaid++;
        batch_go(list_entry(l->paced.next, struct batch, paced_node));
    }
    return NEVER;
}

void lane_unsend(struct lane *l, const char *route, const char *why)
{
    list_each_safe (i, tmp, &l->paced) {
        struct batch *b = list_entry(i, struct batch, paced_node);
        if (!route || strcmp(b->route->name, route) == 0)
            batch_unsend(b, why);
    }
}

/** Ask about unknown ones, as slots allow. Returns the milliseconds until there is more to do. */
static uint64_t ask_unknown(struct lane *l, uint32_t slots, uint64_t now, int64_t wall)
{
    struct delivery *d;
    uint64_t wait = NEVER;

    while (l->under_way < slots && (d = due(&l->asking, wall, &wait))) {
        wait = take_leave(l, now);
        if (wait)
            return wait;
        timer_stop(d);
        confirm_start(d);
        wait = NEVER;
    }
    return wait;
}

/** Starts all that may leave now; returns the milliseconds until time changes something. */
static uint64_t pump_once(struct lane *l)
{
    uint64_t now = uv_now(l->flow->loop);
    int64_t wall = clock_wall_ms();
    uint32_t slots = l->parked ? 1 : l->conf->concurrency;
    struct pile *p;

    if (l->parked && now < l->parked_until)
        return l->parked_until - now;
    if (l->parked && l->under_way)
        return NEVER; /* the probe is out */
    uint64_t next = wake_waiting(l, wall);
    if (!l->parked)
        next = least(next, ask_unknown(l, slots, now, wall));
    while (l->under_way < slots && (p = choose_pile(l, now))) {
        uint64_t wait = take_leave(l, now);
        if (wait)
            return least(next, wait);
        l->credits[p->priority]--;
        start_batch(l, p);
    }
    if (l->parked) /* a question is a probe only where there is nothing to send */
        next = least(next, ask_unknown(l, slots, now, wall));
    list_each (i, &l->piles) {
        uint64_t ripe = pile_ripe_in(list_entry(i, struct pile, node), now);
        if (ripe) /* 0: it waits for a slot, not for time */
            next = least(next, ripe);
    }
    return next;
}

static void on_timer(uv_timer_t *t)
{
    lane_pump(container_of(t, struct lane, timer));
}

void lane_pump(struct lane *l)
{
    if (l->flow->draining)
        return;
    if (!l->conf || l->removed || l->unread || !l->flow->started) {
        lane_refill(l);
        return;
    }
    if (l->pumping) {
        l->pump_again = true;
        return;
    }
    l->pumping = true;
    uint64_t next;
    do {
        l->pump_again = false;
        next = serve_paced(l);
        next = least(next, pump_once(l));
    } while (l->pump_again);
    l->pumping = false;
    if (next == NEVER)
        uv_timer_stop(&l->timer);
    else
        uv_timer_start(&l->timer, on_timer, next ? next : 1, 0);
    lane_refill(l);
}

void lane_pump_soon(struct lane *l)
{
    if (l->conf && l->flow->started && !l->flow->draining)
        uv_timer_start(&l->timer, on_timer, 0, 0);
}
