/*
 * pump.c - who leaves a lane now: priorities by weight, slots, tokens, breaker, park.
 *
 * lane_pump() is the only place that starts anything (what was left by the process before and is
 * resumed aside). It runs when something may have changed and arms one timer for the next moment at
 * which time alone changes something.
 */
#include <stdlib.h>
#include <string.h>
#include "base/clock.h"
#include "base/mem.h"
#include "flow/chain.h"
#include "flow/pace.h"
#include "flow/parents.h"
#include "flow/pause.h"

static const uint32_t weights[PRIORITY__COUNT] = { 8, 4, 2, 1 };

#define NEVER           UINT64_MAX
#define PACED_MOST_MS   5000 /* who would wait longer for its token is ready again, not in flight */
#define OVERTAKEN_PACED 8    /* batches that pass one which waits for its token */

static uint64_t least(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

/* ---- whose turn is it ---- */

/** Milliseconds until the pile may leave: 0 now, NEVER when it is empty. */
static uint64_t pile_ripe_in(const struct pile *p, uint64_t now)
{
    if (p->n == 0 || p->pause)
        return NEVER;
    if (p->n >= p->max_records || (p->max_bytes && p->bytes >= p->max_bytes))
        return 0;
    uint64_t ripe = pile_since(p) + pile_gathers_ms(p);
    return now >= ripe ? 0 : ripe - now;
}

static uint64_t pile_head(const struct pile *p)
{
    return list_entry(p->ready.next, struct delivery, pile_node)->num;
}

/** May one of this priority have a slot? All but one is what others may have at a time, where
 *  something may be critical, or a flood of slow ones would have them all. In a flood of critical
 *  ones they have their turn at each slot that comes free. */
static bool has_slot(const struct lane *l, uint8_t priority, uint32_t slots)
{
    if (l->under_way >= slots)
        return false;
    return priority == PRIORITY_CRITICAL || !l->has_critical || slots == 1 ||
           l->under_way - l->critical < slots - 1;
}

/** Milliseconds that its action's own breaker stops it: others of the lane pass. */
static uint64_t action_waits(const struct pile *p, uint64_t now)
{
    const struct breaker *b = lane_breaker(p->lane, p->target);

    return b != &p->lane->breaker ? breaker_wait(b, now) : 0;
}

/** The ripe pile whose turn it is: priorities by weight, the oldest head within one. Its credit is
 *  spent when something leaves, not when it is looked at: a lane that waits for tokens looks as
 *  often as it is woken, and who is last in the round would never have its turn. A round is not
 * over while one has its turn and no slot: what is critical goes on by the slot that is kept for
 * it. */
static struct pile *choose_pile(struct lane *l, uint32_t slots, uint64_t now)
{
    struct pile *best[PRIORITY__COUNT] = { NULL };
    bool any = false, turns_left = false;

    l->critical_waits = false;
    list_each (i, &l->piles) {
        struct pile *p = list_entry(i, struct pile, node);
        if (pile_ripe_in(p, now) != 0 || action_waits(p, now) || (p->narrow && l->narrow_out))
            continue;
        l->critical_waits |= p->priority == PRIORITY_CRITICAL;
        if (!has_slot(l, p->priority, slots)) {
            turns_left |= l->credits[p->priority] > 0;
            continue;
        }
        if (!best[p->priority] || pile_head(p) < pile_head(best[p->priority]))
            best[p->priority] = p;
        any = true;
    }
    if (!any)
        return NULL;
    for (int round = 0; round < 2; round++) {
        for (int i = 0; i < PRIORITY__COUNT; i++)
            if (best[i] && (l->credits[i] || (turns_left && i == PRIORITY_CRITICAL)))
                return best[i];
        memcpy(l->credits, weights, sizeof(weights));
    }
    return NULL; /* not reached: full credits serve whoever is there */
}

/** A pile that cannot go, whatever is kept for it. */
static bool pile_stands(const struct pile *p, uint64_t now)
{
    return p->pause || action_waits(p, now);
}

/** Is its first one free to go? Those at the front whose parents other batches have go and wait for
 *  these; then the pile may not be ripe any more. */
static bool head_is_free(struct pile *p)
{
    bool all = true;

    while (p->n && parents_stop(list_entry(p->ready.next, struct delivery, pile_node)))
        all = false;
    return all;
}

/** Its first one is free. */
static void start_batch(struct lane *l, struct pile *p)
{
    size_t n = 0, most = p->n < p->max_records ? p->n : p->max_records;
    struct delivery **members = mem_array(most, sizeof(*members));
    uint64_t bytes = 0;

    list_each_safe (i, tmp, &p->ready) {
        struct delivery *d = list_entry(i, struct delivery, pile_node);
        if (parents_stop(d))
            continue;
        if (n && p->max_bytes && bytes + d->body_len > p->max_bytes)
            break;
        bytes += d->body_len;
        pile_take(d);
        lane_enter(d, DS_INFLIGHT);
        members[n++] = d;
        if (n == most)
            break;
    }
    budget_call(&l->budget, uv_now(l->flow->loop));
    batch_start(l, members, n, p);
    free(members);
}

/* ---- those that wait for a time ---- */

/** The next one whose time has come; what is being moved or decided is put back by that. NULL:
 * none; then *ret_wait says when. It stays in the heap. */
static struct delivery *due(struct heap *h, int64_t wall, uint64_t *ret_wait)
{
    struct delivery *d;

    while ((d = heap_first(h)) && d->next_ms <= wall) {
        if (!d->settling && !d->deciding)
            return d;
        lane_timer_stop(d);
    }
    *ret_wait = d ? (uint64_t)(d->next_ms - wall) : NEVER;
    return NULL;
}

/** A retry that the endpoint's budget does not bear waits on: nothing is burnt, in the log its time
 *  stays as it was. While the breaker is not closed it decides who goes; where an action batches, a
 *  retry is no call of its own. */
static bool wait_for_budget(struct lane *l, struct delivery *d, int64_t wall)
{
    if (!d->attempts || !d->since_ms || lane_breaker(l, d->target)->state != BREAKER_CLOSED ||
        lane_pile(d)->max_records > 1)
        return false;
    uint64_t wait = budget_take(&l->budget, uv_now(l->flow->loop));
    if (!wait)
        return false;
    l->retries_delayed += !d->over_budget;
    d->over_budget = true;
    lane_timer_stop(d);
    d->next_ms = wall + (int64_t)wait + (int64_t)rng_below(&l->flow->rng, 1000);
    lane_timer_start(d, &l->waiting);
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

/* ---- tokens ---- */

/** May one more set out? Its tokens are only promised here and taken where it leaves: what lies
 *  between - bodies, requests, the disk - takes now longer, now shorter, and the remote counts
 *  arrivals. 0, or the milliseconds to wait. */
static uint64_t take_leave(struct lane *l, struct breaker *b, uint32_t cost, uint8_t priority,
                           uint64_t now)
{
    uint64_t wait = pace_wait(l, cost, priority, now);

    if (wait == 0)
        wait = l->breaker.by_hand ? breaker_wait(&l->breaker, now) : 0;
    if (wait == 0)
        wait = breaker_ask(b, now);
    if (wait)
        return wait;
    l->promised += cost;
    return 0;
}

void lane_pace(struct batch *b)
{
    struct list *at = &b->lane->paced;

    while (at->prev != &b->lane->paced) {
        struct batch *before = list_entry(at->prev, struct batch, paced_node);
        if (before->priority <= b->priority || before->overtaken >= OVERTAKEN_PACED)
            break;
        before->overtaken++;
        at = at->prev;
    }
    list_insert_before(at, &b->paced_node);
}

/** Back to where they came from: nobody knows when they could leave. */
static void put_off(struct lane *l, uint64_t wait)
{
    char why[80];

    snprintf(why, sizeof(why), "no token for another %" PRIu64 " s", (wait + 999) / 1000);
    lane_unsend(l, NULL, why);
}

/** The call that leaves next, unless a batch is more urgent; NULL: none. Steps of what has begun go
 *  before what begins. */
static struct lane_call *next_call(struct lane *l, const struct batch *b)
{
    struct lane_call *c;

    if (list_empty(&l->calling))
        return NULL;
    c = list_entry(l->calling.next, struct lane_call, node);
    if (b && b->priority < c->priority && c->overtaken < OVERTAKEN_PACED) {
        c->overtaken++;
        return NULL;
    }
    return c;
}

/** It leaves, or milliseconds to wait. */
static uint64_t serve_call(struct lane *l, struct lane_call *c, uint64_t now)
{
    struct lane_ticket ticket;
    uint64_t wait = pace_call(l, c, now, &ticket);

    if (wait)
        return wait;
    pace_called(l, c);
    c->go(c, &ticket);
    return 0;
}

/** Calls and batches that are ready to leave do so as they get their tokens. Returns the
 *  milliseconds until the next one can. */
static uint64_t serve_paced(struct lane *l)
{
    uint64_t now = uv_now(l->flow->loop), wait;

    while (!list_empty(&l->paced) || !list_empty(&l->calling)) {
        struct batch *b = list_empty(&l->paced)
                              ? NULL
                              : list_entry(l->paced.next, struct batch, paced_node);
        struct lane_call *c = next_call(l, b);
        if (c) {
            wait = serve_call(l, c, now);
            if (wait)
                return wait;
            continue;
        }
        wait = pace_take(l, b->cost, now);
        if (wait > PACED_MOST_MS) {
            put_off(l, wait);
            return list_empty(&l->calling) ? NEVER : wait;
        }
        if (wait)
            return wait;
        batch_go(b);
    }
    return NEVER;
}

/** Nothing is paced here any more: what waited leaves. */
static void let_calls_go(struct lane *l)
{
    while (!list_empty(&l->calling))
        lane_call_now(l, list_entry(l->calling.next, struct lane_call, node));
}

void lane_unsend(struct lane *l, const char *route, const char *why)
{
    list_each_safe (i, tmp, &l->paced) {
        struct batch *b = list_entry(i, struct batch, paced_node);
        if (!route || strcmp(b->route->name, route) == 0)
            batch_unsend(b, why);
    }
}

/* ---- the pump ---- */

/** Ask about unknown ones, as slots allow. Returns the milliseconds until there is more to do. */
static uint64_t ask_unknown(struct lane *l, uint32_t slots, uint64_t now, int64_t wall)
{
    struct delivery *d;
    uint64_t wait = NEVER;

    while (l->under_way < slots && (d = due(&l->asking, wall, &wait))) {
        wait = take_leave(l, lane_breaker(l, d->target), 1, d->priority, now);
        if (wait)
            return wait;
        lane_timer_stop(d);
        confirm_start(d);
        wait = NEVER;
    }
    return wait;
}

/** What is ripe leaves, as slots and tokens allow. Returns the milliseconds until more can. */
static uint64_t start_ripe(struct lane *l, uint32_t slots, uint64_t now)
{
    struct pile *p;

    if (parents_unread(l)) /* woken when they are */
        return NEVER;
    parents_sweep(l, pile_stands, now);
    while ((p = choose_pile(l, slots, now))) {
        if (!head_is_free(p))
            continue;
        uint64_t wait = take_leave(l, lane_breaker(l, p->target), p->cost, p->priority, now);
        if (wait)
            return wait;
        if (l->credits[p->priority])
            l->credits[p->priority]--;
        start_batch(l, p);
    }
    return NEVER;
}

/** Starts all that may leave now; returns the milliseconds until time changes something. */
static uint64_t pump_once(struct lane *l)
{
    uint64_t now = uv_now(l->flow->loop);
    int64_t wall = clock_wall_ms();
    uint32_t slots = l->parked ? 1 : l->conf->concurrency;

    if (l->pause) {
        uint64_t next = wake_waiting(l, wall);
        return l->pause->drain && !l->parked ? least(next, ask_unknown(l, slots, now, wall)) : next;
    }
    if (l->parked && now < l->parked_until)
        return l->parked_until - now;
    if (l->parked && l->under_way)
        return NEVER; /* the probe is out */
    uint64_t next = wake_waiting(l, wall);
    if (!l->parked)
        next = least(next, ask_unknown(l, slots, now, wall));
    next = least(next, start_ripe(l, slots, now));
    if (l->parked) /* a question is a probe only where there is nothing to send */
        next = least(next, ask_unknown(l, slots, now, wall));
    list_each (i, &l->piles) {
        uint64_t ripe = pile_ripe_in(list_entry(i, struct pile, node), now);
        if (ripe == 0) /* it waits for a slot, unless its action's breaker stops it */
            ripe = action_waits(list_entry(i, struct pile, node), now);
        if (ripe)
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
    if (!l->conf || l->removed || !l->flow->started)
        let_calls_go(l);
    if (l->flow->draining) { /* what has begun may end */
        uint64_t wait = serve_paced(l);
        if (wait != NEVER)
            uv_timer_start(&l->timer, on_timer, wait, 0);
        return;
    }
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
    if (l->conf && l->flow->started && (!l->flow->draining || !list_empty(&l->calling)))
        uv_timer_start(&l->timer, on_timer, 0, 0);
}
