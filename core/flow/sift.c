/*
 * sift.c - a window that is full of what cannot go.
 *
 * A window has its places for what can go, or will by itself. What waits behind another of its
 * subject, at a gate whose other side waits for a person, or for a route that is paused, is set
 * aside: it stays in memory and takes no place, so the window reads on. Of those set aside there
 * are as many as the window has places; of more, the youngest are left to the index: followers by
 * their chain (behind.c), the first of a chain by the window, which remembers from which number on
 * something was left out and reads it again when what it may have waited for has moved.
 *
 * Nobody looks while there is work in reach: a window is looked at when next to nothing in it can
 * go, and then from time to time.
 */
#include <stdlib.h>
#include <string.h>
#include "base/mem.h"
#include "flow/behind.h"
#include "flow/order.h"
#include "flow/pause.h"

#define SIFT_MS      20
#define SIFT_MOST_MS 2000
#define LOOK_MS      1000  /* from one look at what was left out to the next ... */
#define LOOK_MOST_MS 30000 /* ... or so, while the one before is not through */
#define DEEP         8     /* who waits for whom who waits ... */

/* ---- who cannot go ---- */

bool sift_idle(const struct delivery *d)
{
    return d->state == DS_READY && !d->batch && !d->settling && !d->deciding && !d->loading &&
           !d->stale && !d->trial && d->route && d->target;
}

static struct delivery *first_of(const struct chain *c)
{
    return list_empty(&c->members) ? NULL
                                   : list_entry(c->members.next, struct delivery, chain_node);
}

static bool is_follower(const struct delivery *d)
{
    return d->chain && first_of(d->chain) != d;
}

static bool is_paused(const struct delivery *d)
{
    return d->lane->flow->pauses && d->route &&
           pause_of(d->lane->flow, true, str_of(d->route->name));
}

static bool is_stuck(const struct delivery *d, int depth);

static struct lane *lane_at(struct flow *f, size_t i)
{
    return i < f->n_all_lanes ? f->lanes[i] : &f->nowhere;
}

/** Something was left out there: since it was stuck. */
static bool is_out(struct flow *f, uint64_t num)
{
    for (size_t i = 0; i <= f->n_all_lanes; i++)
        for (int p = 0; p < PRIORITY__COUNT; p++) {
            uint64_t from = lane_at(f, i)->windows[p].out_from;
            if (from && from <= num)
                return true;
        }
    return false;
}

/** What it waits for at its gate, which need not be in memory. */
static bool waits_in_vain(const struct delivery *d, int depth)
{
    struct flow *f = d->lane->flow;
    const struct gate_row *row = gate_waits_for(d);
    const struct delivery *other = row ? flow_delivery(f, row->num) : NULL;
    const struct chain *c;

    if (!row)
        return false;
    if (other)
        return is_stuck(other, depth);
    if (row->state == DS_DEAD || row->state == DS_HELD)
        return true;
    c = chain_find(f, row->route, str_of(d->subject), str_of(row->piece));
    if (c && c->behind && c->behind->from <= row->num && first_of(c))
        return is_stuck(first_of(c), depth);
    /* What came to memory ahead of its window may wait for what the window has not come to. */
    return is_out(f, row->num) || d->num > d->lane->windows[d->priority].last;
}

/** Does it wait for a person, or for what does? */
static bool is_stuck(const struct delivery *d, int depth)
{
    const struct chain *c = d->chain;

    if (d->state == DS_HELD)
        return true;
    if (d->state != DS_READY || d->settling || d->deciding || depth == 0)
        return false;
    if (is_follower(d))
        return is_stuck(first_of(c), depth - 1);
    if (c && c->dead && c->dead < d->num && d->route && d->route->on_dead == ON_DEAD_BLOCK)
        return true;
    return is_paused(d) || waits_in_vain(d, depth - 1);
}

/* ---- which windows ---- */

static size_t can_go(const struct lane *l, int priority)
{
    size_t n = l->parents_waiting[priority]; /* as soon as another batch is over */

    for (struct list *i = l->piles.next; i != &l->piles; i = i->next) {
        const struct pile *p = list_entry(i, struct pile, node);
        n += p->priority == priority && !p->pause ? p->n : 0;
    }
    return n;
}

static bool is_crowded(const struct lane *l, int priority)
{
    const struct window *w = &l->windows[priority];

    return w->spilled && !w->claiming && w->n > l->flow->config->window / 2 &&
           can_go(l, priority) <= l->flow->config->window / 4;
}

static bool find_crowded(struct flow *f)
{
    bool any = false;

    for (size_t i = 0; i <= f->n_all_lanes; i++)
        for (int p = 0; p < PRIORITY__COUNT; p++)
            any |= lane_at(f, i)->windows[p].crowded = is_crowded(lane_at(f, i), p);
    return any;
}

/* ---- set aside ---- */

static bool set_aside(struct flow *f)
{
    struct delivery *d, *tmp;
    bool any = false;

    HASH_ITER (hh, f->deliveries, d, tmp) {
        if (d->aside || !d->lane->windows[d->priority].crowded || d->state != DS_READY ||
            (!list_empty(&d->pile_node) && !is_paused(d)) || !(is_follower(d) || is_stuck(d, DEEP)))
            continue;
        d->trial = false; /* what cannot go tries nothing out */
        if (!sift_idle(d))
            continue;
        window_aside(d, true);
        any = true;
    }
    return any;
}

/* ---- left out ---- */

static int youngest_first(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

    return x < y ? 1 : x > y ? -1 : 0;
}

/** Nums of those set aside in this window, the youngest first; own. */
static uint64_t *those_aside(struct lane *l, int priority, size_t *ret_n)
{
    struct window *w = &l->windows[priority];
    uint64_t *nums = mem_array(w->aside, sizeof(*nums));
    struct delivery *d, *tmp;
    size_t n = 0;

    HASH_ITER (hh, l->flow->deliveries, d, tmp)
        if (d->aside && d->lane == l && d->priority == priority && n < w->aside)
            nums[n++] = d->num;
    qsort(nums, n, sizeof(*nums), youngest_first);
    *ret_n = n;
    return nums;
}

static void leave_from(struct window *w, uint64_t num)
{
    if (!w->out_from || num < w->out_from)
        w->out_from = num;
}

/** May the lane have deliveries of this route? */
static bool is_of(const struct lane *l, const struct conf_route *r)
{
    const struct conf_target *t;

    if (!r || !l->conf || l->removed || conf_fallback_at(r, l->conf))
        return true;
    for (size_t i = 0; (t = conf_route_send(r, i)); i++)
        if (t->endpoint == l->conf)
            return true;
    return false;
}

/** What the chain has in the index alone is the windows' again: also of one that has read all there
 *  is, and has not come so far since its chain was told. */
static void leave_behind(struct flow *f, const struct behind *b)
{
    const struct conf_route *r = config_route(f->config, str_of(b->route));

    for (size_t i = 0; i <= f->n_all_lanes; i++)
        for (int p = 0; p < PRIORITY__COUNT; p++) {
            struct window *w = &lane_at(f, i)->windows[p];
            if (w->last >= b->from || (!w->spilled && is_of(lane_at(f, i), r)))
                leave_from(w, b->from);
        }
}

static void out(struct delivery *d)
{
    leave_from(&d->lane->windows[d->priority], d->num);
    d->lane->flow->lowered |= d->route && d->priority != (uint8_t)d->route->priority;
    d->lane->outside++;
    list_remove(&d->chain_node);
    d->chain = NULL;
    lane_remove(d);
}

/** With all of its chain: what is read of it later asks the index first. */
static void leave_out(struct delivery *d)
{
    struct flow *f = d->lane->flow;
    struct chain *c = d->chain;

    if (!c) {
        out(d);
        return;
    }
    list_each (i, &c->members)
        if (!sift_idle(list_entry(i, struct delivery, chain_node)))
            return;
    if (c->behind) {
        if (c->behind->asking)
            return;
        leave_behind(f, c->behind);
        behind_forget(c);
    }
    while (!list_empty(&c->members))
        out(list_entry(c->members.next, struct delivery, chain_node));
    chain_free_if_empty(f, c);
}

static void leave_some(struct lane *l, int priority)
{
    struct window *w = &l->windows[priority];
    size_t most = l->flow->config->window, n;

    if (w->aside <= most)
        return;
    uint64_t *nums = those_aside(l, priority, &n);
    for (size_t i = 0; i < n && w->aside > most; i++) {
        struct delivery *d = flow_delivery(l->flow, nums[i]);
        if (d && sift_idle(d) && is_follower(d))
            behind_leave(d);
    }
    for (size_t i = 0; i < n && w->aside > most; i++) {
        struct delivery *d = flow_delivery(l->flow, nums[i]);
        if (d && sift_idle(d))
            leave_out(d);
    }
    free(nums);
}

/* ---- read again ---- */

static bool look_again(struct flow *f)
{
    uint64_t now = uv_now(f->loop);
    bool any = false;

    if (now < f->looked_ms + LOOK_MS)
        return true;
    f->look = false;
    for (size_t i = 0; i <= f->n_all_lanes; i++)
        for (int p = 0; p < PRIORITY__COUNT; p++) {
            struct window *w = &lane_at(f, i)->windows[p];
            if (!w->out_from)
                continue;
            if (w->claiming || (w->spilled && now < f->looked_ms + LOOK_MOST_MS)) {
                f->look = true;
                continue;
            }
            window_look_from(lane_at(f, i), p, w->out_from);
            w->out_from = 0;
            any = true;
        }
    if (any)
        f->looked_ms = now;
    return any || f->look;
}

static bool any_out(struct flow *f)
{
    return is_out(f, UINT64_MAX);
}

void sift_look(struct flow *f)
{
    if (f->look || !any_out(f))
        return;
    f->look = true;
    sift_soon(f);
}

/** By `after`, or what stands in for that. `r` may be of a configuration before this one. */
static bool is_awaited(const struct flow *f, const struct conf_route *r)
{
    const struct conf_route *a;

    for (size_t i = 0; i < f->config->n_routes; i++)
        for (size_t k = 0; k < f->config->routes[i].n_after; k++)
            for (a = f->config->routes[i].after[k]; a; a = a->fallback_route)
                if (!strcmp(a->name, r->name))
                    return true;
    return false;
}

void sift_moved(struct flow *f, const struct conf_route *r)
{
    if (f->look || !f->sift_ms)
        return;
    if (r->overtaken || r->on_dead == ON_DEAD_BLOCK || is_awaited(f, r))
        sift_look(f);
}

/* ---- from time to time ---- */

static void on_sift(void *ctx, bool closing)
{
    struct flow *f = ctx;
    bool crowded, found;

    f->sifting = false;
    if (closing || f->draining)
        return;
    crowded = find_crowded(f);
    found = crowded && set_aside(f);
    for (size_t i = 0; found && i <= f->n_all_lanes; i++)
        for (int p = 0; p < PRIORITY__COUNT; p++)
            if (lane_at(f, i)->windows[p].crowded)
                leave_some(lane_at(f, i), p);
    bool looks = f->look && look_again(f);
    f->sift_ms = found ? SIFT_MS : f->sift_ms < SIFT_MOST_MS / 2 ? 2 * f->sift_ms : SIFT_MOST_MS;
    for (size_t i = 0; (found || looks) && i <= f->n_all_lanes; i++)
        lane_refill(lane_at(f, i));
    if (crowded || looks || any_out(f))
        sift_soon(f);
    else
        f->sift_ms = 0;
}

void sift_soon(struct flow *f)
{
    if (f->sifting || f->draining)
        return;
    if (!f->sift_ms)
        f->sift_ms = SIFT_MS;
    f->sifting = true;
    flow_later(f, f->sift_ms, on_sift, f);
}
