/*
 * reload.c - the flow goes over to another configuration, in one turn of the loop.
 *
 * Lanes stay who they are, by their endpoint's name: with queue, breaker, park and the level of the
 * bucket; their settings and perhaps their adapter are others. What is under way ends with the
 * adapter and the route that it began with and holds on to both; what waits is pointed to its route
 * and target of the new configuration, and is held as `orphaned` where there is none any more.
 *
 * The lane of a removed endpoint stays, without an adapter: what was under way in it ends there,
 * what waits for it in the index is found by its windows and held, and the endpoint may come back.
 * Too much points to a lane for it to be freed while the process runs; what it keeps of other
 * configurations is let go at the next reload, so that some KB for each name are what remains.
 */
#include <stdlib.h>
#include <string.h>
#include "base/mem.h"
#include "flow/behind.h"
#include "flow/chain.h"
#include "flow/feed.h"
#include "flow/group.h"
#include "flow/intake.h"
#include "flow/order.h"
#include "flow/pace.h"
#include "flow/parents.h"
#include "flow/pause.h"

#define HOLD_AT_ONCE  500 /* moves in a record */
#define READ_AGAIN_MS 50

/* ---- lanes ---- */

struct lane *lane_named(struct flow *f, sl_str name)
{
    for (size_t i = 0; i < f->n_all_lanes; i++)
        if (str_eq(str_of(f->lanes[i]->name), name))
            return f->lanes[i];
    return NULL;
}

static void lane_configure(struct lane *l, struct adapter *a)
{
    const struct conf_endpoint *e = a->conf;

    if (l->adapter && l->adapter != a)
        adapter_retire(l->adapter);
    if (l->conf && l->conf->plugin != e->plugin)
        lane_breakers_drop(l);
    config_unref(l->config);
    l->config = config_ref(l->flow->config);
    l->adapter = a;
    l->conf = e;
    l->removed = false;
    a->lane = l;
    l->budget.percent = e->retry_percent;
    pace_change(l);
    lane_breakers(l);
}

/** Its endpoint is gone: nothing leaves it any more, and nobody need be told of its health. */
static void withdraw(struct lane *l)
{
    log_info(&l->log, "removed from the configuration; what it has not got yet is held");
    l->removed = true;
    lane_unpark(l);
    if (l->breaker.state != BREAKER_CLOSED)
        flow_notice(l->flow, NOTICE_BREAKER_CLOSED, l, NULL, NULL, STR("removed"));
    breaker_reset(&l->breaker);
    adapter_retire(l->adapter);
    l->adapter = NULL;
    lane_unsend(l, NULL, "its endpoint was removed from the configuration");
    lane_pump_soon(l); /* calls that wait go now */
}

static struct lane *lane_added(struct flow *f, struct adapter *a)
{
    struct lane *l = mem_zero(sizeof(*l));

    lane_init(l, f, a);
    a->lane = l;
    for (int p = 0; p < PRIORITY__COUNT; p++)
        l->windows[p].spilled = true; /* what is held for it from before stands first in order */
    l->unread = PRIORITY__COUNT;
    l->pause = pause_of(f, false, str_of(l->name));
    return l;
}

static bool is_among(struct lane *const *lanes, size_t n, const struct lane *l)
{
    for (size_t i = 0; i < n; i++)
        if (lanes[i] == l)
            return true;
    return false;
}

/** f->config is the new one already. */
static void change_lanes(struct flow *f, struct adapter **adapters)
{
    size_t n = f->config->n_endpoints, all = n;
    struct lane **lanes = mem_array(n + f->n_all_lanes + 1, sizeof(struct lane *));

    for (size_t i = 0; i < n; i++) {
        adapters[i]->conf = &f->config->endpoints[i];
        lanes[i] = lane_named(f, str_of(f->config->endpoints[i].name));
        if (lanes[i])
            lane_configure(lanes[i], adapters[i]);
        else
            lanes[i] = lane_added(f, adapters[i]);
    }
    for (size_t i = 0; i < f->n_all_lanes; i++) {
        struct lane *l = f->lanes[i];
        if (is_among(lanes, n, l))
            continue;
        lanes[all++] = l;
        if (!l->removed)
            withdraw(l);
    }
    free(f->lanes);
    f->lanes = lanes;
    f->n_lanes = n;
    f->n_all_lanes = all;
}

/* ---- piles: made of routes and targets, so they are made anew ---- */

struct swap {
    struct flow *flow;
    const struct config *before, *next;
    struct delivery **ripe; /* that stood in a pile */
    size_t n_ripe, cap;
};

static void take_pile(struct swap *s, struct pile *p)
{
    while (!list_empty(&p->ready)) {
        struct delivery *d = list_entry(p->ready.next, struct delivery, pile_node);
        if (s->n_ripe == s->cap) {
            s->cap = s->cap ? s->cap * 2 : 256;
            s->ripe = mem_grow(s->ripe, s->cap * sizeof(*s->ripe));
        }
        s->ripe[s->n_ripe++] = d;
        pile_take(d);
    }
    list_remove(&p->node);
    free(p);
}

static void take_piles(struct swap *s)
{
    for (size_t i = 0; i < s->flow->n_all_lanes; i++) {
        struct lane *l = s->flow->lanes[i];
        parents_scatter(l);
        while (!list_empty(&l->piles))
            take_pile(s, list_entry(l->piles.next, struct pile, node));
    }
}

static void put_piles(struct swap *s)
{
    for (size_t i = 0; i < s->n_ripe; i++)
        pile_add(s->ripe[i]);
    free(s->ripe);
}

/* ---- deliveries ---- */

/** Where `t` of another configuration leads in this one: the same choice, if it still leads to the
 *  same action, else any that does. */
static const struct conf_target *target_like(const struct conf_route *r, const struct lane *l,
                                             const struct conf_target *t)
{
    sl_str action = str_of(t->endpoint->plugin->actions[t->action].name);
    sl_str group = str_of(t->group ? t->group->name : NULL);
    const struct conf_target *x;

    for (size_t i = 0; r && (x = conf_route_send(r, i)); i++)
        if (x->endpoint == l->conf && str_eq(str_of(x->when), str_of(t->when)) &&
            str_eq(str_of(x->group ? x->group->name : NULL), group) &&
            str_eq(str_of(x->endpoint->plugin->actions[x->action].name), action))
            return x;
    return find_group_target(r, l, action, group);
}

bool delivery_repoint(struct delivery *d)
{
    const struct config *c = d->lane->flow->config;
    const struct conf_route *r = d->route ? config_route(c, str_of(d->route->name)) : NULL;
    const struct conf_target *t = d->target ? target_like(r, d->lane, d->target) : NULL;

    if (d->fallen && r && conf_fallback_at(r, d->lane->conf))
        t = conf_fallback_at(r, d->lane->conf);
    if (!r || (d->target && !t))
        return false;
    d->route = r;
    d->target = t;
    parents_unlearn(d); /* the route's parameters may say otherwise */
    config_unref(d->stale);
    d->stale = NULL;
    return true;
}

void delivery_orphan(struct delivery *d)
{
    config_unref(d->stale);
    d->stale = NULL;
    d->route = NULL;
    d->target = NULL;
}

static bool is_busy(const struct delivery *d)
{
    return d->batch || d->settling || d->deciding;
}

/** It goes on by the new configuration, or it loses its route and target: at once, or when what is
 *  under way with it has ended (see lane_place). True: it is to be held now. */
static bool go_over(struct swap *s, struct delivery *d)
{
    if (!d->route || delivery_repoint(d))
        return false;
    if (is_busy(d)) {
        if (!d->stale)
            d->stale = config_ref(s->before);
        return false;
    }
    delivery_orphan(d);
    return d->state != DS_HELD;
}

/** Order may have been switched on or off. */
static void mend_chain(struct delivery *d)
{
    bool ordered = d->route && d->route->ordered && d->subject[0];

    if (!d->route || d->stale || ordered == (d->chain != NULL))
        return;
    if (ordered)
        chain_join(d);
    else
        chain_leave(d);
}

static void hold_some(struct lane *l, struct delivery **list, size_t n)
{
    struct rec_move *moves = mem_array(n, sizeof(*moves));
    struct extras none = { 0 };

    for (size_t i = 0; i < n; i++) {
        list[i]->settling = true;
        orphan_move(list[i], &moves[i]);
    }
    settle_write(l, 0, "reload", moves, n, &none, NULL, NULL);
}

static size_t hold_lane(struct lane *l, struct delivery **orphans, size_t n)
{
    struct delivery *some[HOLD_AT_ONCE];
    size_t k = 0, held = 0;

    for (size_t i = 0; i < n; i++) {
        if (orphans[i]->lane != l)
            continue;
        some[k++] = orphans[i];
        held++;
        if (k < HOLD_AT_ONCE)
            continue;
        hold_some(l, some, k);
        k = 0;
    }
    if (k)
        hold_some(l, some, k);
    return held;
}

/** Returns how many are held. */
static size_t go_over_all(struct swap *s)
{
    struct flow *f = s->flow;
    struct delivery **orphans = mem_array(HASH_COUNT(f->deliveries) + 1, sizeof(*orphans));
    struct delivery *d, *tmp;
    size_t n = 0, held = 0;

    HASH_ITER (hh, f->deliveries, d, tmp)
        if (go_over(s, d))
            orphans[n++] = d;
    behind_change(f);
    HASH_ITER (hh, f->deliveries, d, tmp)
        mend_chain(d);
    for (size_t i = 0; n && i < f->n_all_lanes; i++)
        held += hold_lane(f->lanes[i], orphans, n);
    if (held < n)
        hold_lane(&f->nowhere, orphans, n);
    free(orphans);
    return n;
}

/* ---- lanes of endpoints that are gone ---- */

/** Is there something that is not held yet, or is not read? */
static bool has_more(const struct flow *f, const struct lane *l)
{
    struct delivery *d, *tmp;

    for (int p = 0; p < PRIORITY__COUNT; p++)
        if (l->windows[p].spilled || l->windows[p].claiming || l->windows[p].out_from)
            return true;
    HASH_ITER (hh, f->deliveries, d, tmp)
        if (d->lane == l && (is_busy(d) || d->target || d->state != DS_HELD))
            return true;
    return false;
}

/** Nothing is under way any more: what waits is held and knows it by its name alone. Settings, and
 *  with them the whole configuration that they are of, are no longer asked for. */
static void let_go(struct flow *f)
{
    for (size_t i = f->n_lanes; i < f->n_all_lanes; i++) {
        struct lane *l = f->lanes[i];

        if (!l->config || l->under_way || has_more(f, l))
            continue;
        lane_breakers_drop(l);
        config_unref(l->config);
        l->config = NULL;
        l->conf = NULL;
    }
}

/* ---- held ones whose place is back: only their row names it ---- */

struct placeless {
    struct flow *flow;
    uint64_t num;
};

static void read_held(struct placeless *p);

static void on_read_again(void *ctx, bool closing)
{
    if (closing)
        free(ctx);
    else
        read_held(ctx);
}

static void on_held_row(void *ctx, int status, const struct store_delivery *row, sl_str body,
                        sl_str request)
{
    struct placeless *p = ctx;
    struct flow *f = p->flow;
    struct delivery *d = flow_delivery(f, p->num);
    struct lane *l = status == 0 ? lane_named(f, row->endpoint) : NULL;

    (void)body;
    (void)request;
    if (status == UV_ECANCELED) {
        free(p);
        return;
    }
    if (d && !d->route && (status < 0 || is_busy(d) || row->state != d->state)) {
        /* that it is held is being written, or was as this was read */
        flow_later(f, READ_AGAIN_MS, on_read_again, p);
        return;
    }
    free(p);
    if (l && d && d->state == DS_HELD && !d->route) {
        lane_remove(d);
        recover_row(f, l, row);
        order_moved(f, &(struct order_move){ .num = row->num, /* who waits for it did not hear */
                                             .route = config_route(f->config, row->route),
                                             .subject = row->subject,
                                             .piece = row->piece,
                                             .state = DS_HELD });
    }
    recover_read(f);
}

static void read_held(struct placeless *p)
{
    int r = store_delivery_get(p->flow->store, p->num, on_held_row, p);

    if (r == UV_ECANCELED)
        free(p);
    else if (r < 0)
        flow_later(p->flow, READ_AGAIN_MS, on_read_again, p);
}

static bool adds_something(const struct swap *s)
{
    for (size_t i = 0; i < s->next->n_routes; i++)
        if (!config_route(s->before, str_of(s->next->routes[i].name)))
            return true;
    for (size_t i = 0; i < s->next->n_endpoints; i++)
        if (!config_endpoint(s->before, str_of(s->next->endpoints[i].name)))
            return true;
    return false;
}

/** They stay held, and stand before what comes of their subject again: nothing leaves until they
 *  do. */
static void find_places(struct swap *s)
{
    struct flow *f = s->flow;
    struct delivery *d, *tmp;

    if (!adds_something(s))
        return;
    HASH_ITER (hh, f->deliveries, d, tmp) {
        if (d->route || d->batch)
            continue;
        struct placeless *p = mem_zero(sizeof(*p));
        *p = (struct placeless){ f, d->num };
        f->unread++;
        read_held(p);
    }
    if (f->unread)
        f->started = false; /* recover_read() starts it again */
}

/* ---- all of it ---- */

int flow_reconfigure(struct flow *f, const struct config *next, struct adapter **adapters,
                     size_t *ret_orphaned)
{
    struct swap s = { .flow = f, .before = f->config, .next = next };
    struct fail fail = { 0 };
    int r = router_change(&f->router, next, &fail);

    if (r < 0)
        return r;
    take_piles(&s); /* by the routes and targets that they were made of */
    f->config = config_ref(next);
    change_lanes(f, adapters);
    groups_change(f);
    *ret_orphaned = go_over_all(&s);
    order_change(f, s.before);
    earlier_changed(f);
    let_go(f);
    put_piles(&s);
    find_places(&s);
    intake_forget_keys(f); /* secrets may be others */
    feeds_change(f);
    config_unref(s.before);
    sift_look(f); /* what was left out may wait for nothing any more */
    for (size_t i = 0; i < f->n_all_lanes; i++)
        lane_pump_soon(f->lanes[i]);
    return 0;
}
