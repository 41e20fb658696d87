#include "flow/flow.h"
#include "flow/find.h"
#include "flow/lookup.h"
#include "flow/with.h"

#include <stdlib.h>
#include <string.h>
#include "base/clock.h"
#include "base/mem.h"
#include "flow/await.h"
#include "flow/behind.h"
#include "flow/due.h"
#include "flow/feed.h"
#include "flow/group.h"
#include "flow/hold.h"
#include "flow/intake.h"
#include "flow/order.h"
#include "flow/parents.h"
#include "flow/pause.h"
#include "flow/privacy.h"
#include "flow/reconcile.h"
#include "flow/replay.h"
#include "flow/resolve.h"
#include "flow/state.h"

const char *const notice_names[NOTICE__COUNT] = {
    "dead-letter",       "breaker-open", "breaker-closed",  "endpoint-parked",
    "endpoint-unparked", "held",         "route-paused",    "route-resumed",
    "intake-refusing",   "store-failed", "store-damaged",   "disk-low",
    "backlog",           "lag",          "hold-unattended", "bad-signatures",
    "deadline",          "feed-failing", "quota-forecast",  "endpoint-stopped",
    "feed-finding",      "privacy",
};

/* ---- commits ---- */

struct commit *commit_new(struct flow *f, void (*cb)(struct flow *, struct commit *, int),
                          void *ctx)
{
    struct commit *c = mem_zero(sizeof(*c));
    c->flow = f;
    c->cb = cb;
    c->ctx = ctx;
    return c;
}

struct store_record *commit_record(struct commit *c, enum record_type type)
{
    if (c->append.n == c->cap) {
        c->cap = c->cap ? c->cap * 2 : 2;
        c->records = mem_grow(c->records, c->cap * sizeof(*c->records));
    }
    struct store_record *r = &c->records[c->append.n++];
    *r = (struct store_record){ .type = type };
    return r;
}

static void commit_end(struct commit *c, int status)
{
    struct flow *f = c->flow;

    f->appends--;
    if (status == 0 && !f->first_seq)
        f->first_seq = c->records[0].seq;
    c->cb(f, c, status);
    store_append_finish(&c->append);
    free(c->records);
    free(c);
    flow_check_idle(f);
}

static void on_append(struct store_append *a, int status)
{
    commit_end(container_of(a, struct commit, append), status);
}

static void on_refused(void *ctx, bool closing)
{
    struct commit *c = ctx;

    (void)closing;
    commit_end(c, c->append.status);
}

void commit_go(struct commit *c)
{
    struct flow *f = c->flow;
    int r = f->closing ? UV_ECANCELED : 0;

    c->append.records = c->records;
    c->append.cb = on_append;
    f->appends++;
    for (size_t i = 0; i < c->append.n; i++)
        if (c->records[i].payload.failed)
            r = UV_ENOMEM;
    if (r == 0)
        r = store_append(f->store, &c->append, true);
    if (r < 0) {
        c->append.status = r;
        flow_later(f, 0, on_refused, c);
    }
}

/* ---- notices ---- */

void flow_notice(struct flow *f, enum notice_kind kind, const struct lane *lane,
                 const struct delivery *d, const struct conf_route *route, sl_str text)
{
    if (!route && d)
        route = d->route;
    flow_notice_to(f, kind, lane, d, route, str_of(route ? route->owner : NULL), text);
}

void hold_notice(struct flow *f, const struct lane *lane, const struct delivery *d,
                 const struct conf_route *route, sl_str type, sl_str detail, sl_str text)
{
    char *owner;

    if (str_eq(type, STR(HOLD_WAIT_FOR)) || str_eq(type, STR(HOLD_LOOK_UP)))
        return;
    owner = hold_owner(detail);
    flow_notice_to(f, NOTICE_HELD, lane, d, route,
                   str_of(owner   ? owner
                          : route ? route->owner
                                  : NULL),
                   text);
    free(owner);
}

void flow_notice_to(struct flow *f, enum notice_kind kind, const struct lane *lane,
                    const struct delivery *d, const struct conf_route *route, sl_str owner,
                    sl_str text)
{
    if (!route && d)
        route = d->route;
    if (!lane && d)
        lane = d->lane;
    if (kind == NOTICE_BREAKER_OPEN || kind == NOTICE_BREAKER_CLOSED || kind == NOTICE_PARKED ||
        kind == NOTICE_UNPARKED)
        groups_wake(f);
    if (!f->watch.notice)
        return;
    struct notice n = {
        .kind = kind,
        .endpoint = str_of(lane ? lane->name : NULL),
        .route = str_of(route ? route->name : NULL),
        .owner = owner,
        .subject = str_of(d ? d->subject : NULL),
        .num = d ? d->num : 0,
        .text = text,
        .critical = route && route->priority == PRIORITY_CRITICAL,
        .of_alert = route && !strcmp(route->from_endpoint, CONFIG_SELF),
    };
    f->watch.notice(f->watch.ctx, &n);
}

/* ---- life ---- */

struct delivery *flow_delivery(struct flow *f, uint64_t num)
{
    struct delivery *d;

    HASH_FIND(hh, f->deliveries, &num, sizeof(num), d);
    return d;
}

struct lane *flow_lane(struct flow *f, sl_str endpoint)
{
    struct conf_endpoint *e = config_endpoint(f->config, endpoint);

    return e ? f->lanes[e->index] : NULL;
}

int flow_open(struct flow **ret, const struct flow_conf *conf, struct fail *fail)
{
    struct flow *f = mem_zero(sizeof(*f));
    uint64_t seed = conf->seed;

    f->loop = conf->loop;
    f->store = conf->store;
    f->mapper = conf->mapper;
    f->config = config_ref(conf->config);
    f->watch = conf->watch;
    f->in_hand = conf->in_hand;
    f->log = (struct logger){ .room = "flow" };
    list_init(&f->laters);
    list_init(&f->decide_waits);
    list_init(&f->latest_used);
    list_init(&f->earlier);
    list_init(&f->remaps);
    list_init(&f->replays);
    list_init(&f->withs);
    if (seed == 0)
        rng_system(&seed, sizeof(seed));
    rng_seed(&f->rng, seed);

    f->n_lanes = f->n_all_lanes = conf->config->n_endpoints;
    f->lanes = mem_array(f->n_lanes ? f->n_lanes : 1, sizeof(*f->lanes));
    for (size_t i = 0; i < f->n_lanes; i++) {
        f->lanes[i] = mem_zero(sizeof(struct lane));
        lane_init(f->lanes[i], f, conf->adapters[i]);
        conf->adapters[i]->lane = f->lanes[i];
    }
    lane_init(&f->nowhere, f, NULL);
    groups_open(f);
    uv_timer_init(f->loop, &f->drain_timer);
    uv_handle_set_data((uv_handle_t *)&f->drain_timer, f);
    f->handles++;
    int r = router_open(&f->router, f, fail);
    if (r < 0)
        return r;
    replays_open(f); /* asked for before the lanes' deliveries, so answered before they set out */
    recover_start(f);
    privacy_open(f);
    due_open(f);
    feeds_open(f);
    *ret = f;
    return 0;
}

bool flow_recovered(const struct flow *f)
{
    return f->recovered;
}

static uint32_t under_way(const struct flow *f)
{
    uint32_t n = 0;

    for (size_t i = 0; i < f->n_all_lanes; i++)
        n += f->lanes[i]->under_way;
    return n;
}

void flow_check_idle(struct flow *f)
{
    if (!f->draining || !f->idle || f->appends || under_way(f))
        return;
    void (*idle)(void *) = f->idle;
    f->idle = NULL;
    uv_timer_stop(&f->drain_timer);
    idle(f->idle_ctx);
}

static void on_drain_over(uv_timer_t *t)
{
    struct flow *f = container_of(t, struct flow, drain_timer);
    void (*idle)(void *) = f->idle;

    if (under_way(f))
        log_warn(&f->log,
                 "drain time is over: %u under way count as unknown and are asked for at "
                 "the next start",
                 under_way(f));
    f->idle = NULL;
    if (idle)
        idle(f->idle_ctx);
}

void flow_drain(struct flow *f, uint64_t ms, void (*idle)(void *ctx), void *ctx)
{
    bool busy = f->appends || under_way(f);

    f->draining = true;
    f->idle = idle;
    f->idle_ctx = ctx;
    for (size_t i = 0; i < f->n_all_lanes; i++) {
        lane_unsend(f->lanes[i], NULL, "the gateway was stopped");
        lane_pump_soon(f->lanes[i]);
    }
    /* By a timer even when all is idle: the callback never runs before this returns. */
    uv_timer_start(&f->drain_timer, on_drain_over, busy ? ms : 0, 0);
}

void flow_destroy(struct flow *f)
{
    struct delivery *d, *tmp;

    if (!f)
        return;
    f->draining = f->closing = true;
    f->idle = NULL;
    with_close(f);
    router_cancel(&f->router);
    laters_close(f);
    for (size_t i = 0; i < f->n_all_lanes; i++) {
        struct lane *l = f->lanes[i];
        confirm_drop_all(l);
        while (!list_empty(&l->batches))
            batch_free(list_entry(l->batches.next, struct batch, node));
    }
    HASH_ITER (hh, f->deliveries, d, tmp)
        lane_remove(d);
    behinds_finish(f);
    recover_finish(f);
    pause_finish(f);
    due_close(f);
    await_close(f);
    lookups_close(f);
    resolvers_close(f);
    feeds_close(f);
    reconcile_close(f);
    privacy_close(f);
    dead_finish(f);
    replays_close(f);
    latest_finish(f);
    router_close(&f->router);
    finds_close(f); /* those who ask are gone */
    groups_close(f);
    for (size_t i = 0; i < f->n_all_lanes; i++)
        lane_finish(f->lanes[i]);
    lane_finish(&f->nowhere);
    intake_forget_keys(f);
    uv_close((uv_handle_t *)&f->drain_timer, flow_on_closed);
}

void flow_release(struct flow *f)
{
    if (--f->handles)
        return;
    for (size_t i = 0; i < f->n_all_lanes; i++)
        free(f->lanes[i]);
    free(f->lanes);
    config_unref(f->config);
    free(f);
}

void flow_on_closed(uv_handle_t *h)
{
    flow_release(uv_handle_get_data(h));
}

/* ---- statistics ---- */

void flow_stats(const struct flow *f, struct flow_stats *ret)
{
    *ret = f->stats;
    ret->router_queue = f->router.queued + f->router.under_way;
    ret->waiting_for_link = router_waiting(&f->router);
    ret->router_oldest_ms = router_oldest(&f->router);
}

size_t flow_lanes(const struct flow *f)
{
    return f->n_lanes;
}

static int64_t lane_oldest(const struct lane *l)
{
    int64_t oldest = parents_oldest(l);

    for (struct list *i = l->piles.next; i != &l->piles; i = i->next) {
        const struct pile *p = list_entry(i, struct pile, node);
        if (p->ready.next == &p->ready)
            continue;
        const struct delivery *d = list_entry(p->ready.next, struct delivery, pile_node);
        if (!oldest || d->received_ms < oldest)
            oldest = d->received_ms;
    }
    return oldest;
}

static int64_t wall_after(const struct lane *l, uint64_t mono_ms)
{
    uint64_t now = uv_now(l->flow->loop);

    return mono_ms > now ? clock_wall_ms() + (int64_t)(mono_ms - now) : 0;
}

/** What its pace and its health say. */
static void lane_pace_stats(const struct lane *l, struct lane_stats *ret)
{
    ret->parked_until = l->parked ? wall_after(l, l->parked_until) : 0;
    ret->tripped = l->breaker.by_hand;
    ret->trip_who = l->trip_who;
    ret->trip_why = l->trip_why;
    ret->tripped_ms = l->tripped_ms;
    if (l->breaker.state == BREAKER_OPEN && !l->breaker.by_hand)
        ret->breaker_until = wall_after(l, l->breaker.open_until);
    for (size_t i = 0; l->actions && l->conf->plugin->actions[i].name; i++)
        if (l->conf->breaker.per_action && l->actions[i].state != BREAKER_CLOSED) {
            size_t at = strlen(ret->open_actions);
            snprintf(ret->open_actions + at, sizeof(ret->open_actions) - at, "%s%s", at ? " " : "",
                     l->conf->plugin->actions[i].name);
        }
    ret->blocked_until = wall_after(l, l->bucket.blocked_until);
    ret->rate_kind = bucket_kind_names[l->conf->rate_kind];
    ret->rate_milli = l->bucket.rate_milli;
    ret->rate_level = l->bucket.level;
    ret->rate_capacity = l->bucket.capacity;
    ret->rate_others = l->bucket.foreign;
    ret->quota_limit = l->day.limit;
    ret->quota_used = l->day.used;
    ret->quota_reset = l->day.reset_ms;
    ret->quota_reserve = l->has_critical ? l->day.limit * l->conf->rate_reserve / 100 : 0;
}

void flow_lane_stats(const struct flow *f, size_t i, struct lane_stats *ret)
{
    const struct lane *l = f->lanes[i];

    *ret = (struct lane_stats){
        .endpoint = l->name,
        .concurrency = l->conf->concurrency,
        .ready = l->counts[DS_READY],
        .inflight = l->counts[DS_INFLIGHT],
        .waiting = l->counts[DS_WAITING],
        .unknown = l->counts[DS_UNKNOWN],
        .held = l->counts[DS_HELD],
        .delivered = l->delivered,
        .dead = l->dead,
        .retries = l->retries,
        .throttled = l->throttled,
        .unknowns = l->unknowns,
        .confirms = l->confirms,
        .attempts = l->attempts,
        .calls = l->calls,
        .breaker = breaker_state_names[l->breaker.state],
        .breaker_trips = l->breaker.trips,
        .parked = l->parked,
        .park_why = l->parked ? l->park_why : "",
        .oldest_ms = lane_oldest(l),
        .lag_ms_sum = l->lag_ms_sum,
        .bad_signatures = l->bad_signatures,
    };
    ret->retries_delayed = l->retries_delayed;
    ret->retry_percent = l->budget.percent;
    budget_counts(&l->budget, uv_now(f->loop), &ret->window_retries, &ret->window_calls);
    lane_pace_stats(l, ret);
    flow_pause_status(f, false, str_of(l->name), &ret->pause);
    for (int p = 0; p < PRIORITY__COUNT; p++)
        ret->spilled |= l->windows[p].spilled || l->windows[p].out_from;
    memcpy(ret->lag_ms_buckets, l->lag_ms_buckets, sizeof(ret->lag_ms_buckets));
    memcpy(ret->signed_by, l->signed_by, sizeof(ret->signed_by));
    ret->n_secrets = l->n_secrets;
    ret->resolving = resolve_wanted(f, str_of(l->name), &ret->resolve_why, &ret->unresolved_ms);
}

/* ---- by hand ---- */

int flow_resume_route(struct flow *f, sl_str route)
{
    struct conf_route *r = config_route(f->config, route);

    if (!r)
        return UV_ENOENT;
    struct route_state *s = &f->router.routes[r->index];
    s->errors_in_row = 0;
    if (s->paused)
        flow_notice(f, NOTICE_ROUTE_RESUMED, NULL, NULL, r, STR(""));
    s->paused = false;
    return 0;
}

bool flow_route_fails(const struct flow *f, sl_str route)
{
    const struct conf_route *r = config_route(f->config, route);

    return r && f->router.routes[r->index].paused;
}

sl_str flow_route_owner(const struct flow *f, sl_str route)
{
    const struct conf_route *r = config_route(f->config, route);

    return str_of(r ? r->owner : NULL);
}
