/*
 * plan_budget.c - a plan about nothing but paces: remotes that count for themselves, alone or
 * beside a second client, always something to send to them, and now and then something critical;
 * crashes and reloads between.
 */
#include <inttypes.h>
#include "base/clock.h"
#include "sim.h"

#define MILLION INT64_C(1000000)
#define PICK(rng, ...) \
    ((const int[]){ __VA_ARGS__ }[rng_below(rng, sizeof((int[]){ __VA_ARGS__ }) / sizeof(int))])

/** What it bears. */
static void plan_bucket(struct allowance *a, struct rng *g)
{
    a->on = true;
    a->kind = (enum allow_kind)PICK(g, ALLOW_SILENT, ALLOW_REQUESTS, ALLOW_LEAKY, ALLOW_LEAKY,
                                    ALLOW_POINTS, ALLOW_POINTS);
    a->cost = 1;
    a->rate_milli = PICK(g, 500, 2000, 2000, 5000, 10000);
    a->size = PICK(g, 1, 2, 5, 10, 40) * MILLION;
    if (a->kind == ALLOW_LEAKY)
        a->size = PICK(g, 10, 40, 80) * MILLION;
    if (a->kind == ALLOW_POINTS) {
        a->cost = (uint32_t)PICK(g, 1, 10, 20);
        a->rate_milli = PICK(g, 20000, 50000, 100000);
        a->size = PICK(g, 200, 1000, 2000) * MILLION;
    }
    a->way_ms = PICK(g, 0, 5, 30, 80);
    a->spread_ms = PICK(g, 0, 5, 10);
    a->more_ms = PICK(g, 0, 0, 500, 8000);
    a->level = a->size;
    a->at_ms = world_now();
}

/** Calls in a window: by contract, or as its headers say. In a window of a day it must be spent
 * soon, and the next day must do for the rest. */
static void plan_quota(struct allowance *a, struct conf_endpoint *e, struct rng *g)
{
    a->spread_ms = 0; /* a count of calls takes them for as many in the order in which they left */
    if (one_in(g, 2)) {
        a->quota = a->other.on ? PICK(g, 280, 320) : PICK(g, 170, 200);
        a->quota_ms = QUOTA_DAY_MS;
        a->rate_milli = a->kind == ALLOW_POINTS ? 100000 : 10000;
        a->quota_untold = one_in(g, 2);
        e->quota_per_day = a->quota;
        return;
    }
    a->quota = PICK(g, 20, 60);
    a->quota_ms = PICK(g, 15000, 60000);
    a->quota_as_requests = one_in(g, 3);
    if (a->quota_as_requests)
        a->kind = ALLOW_ALL; /* and nothing but that */
}

/** What we are told of it beforehand: as it is, or less. */
static void plan_conf(const struct allowance *a, struct conf_endpoint *e, struct rng *g)
{
    int share = a->kind == ALLOW_LEAKY || a->kind == ALLOW_POINTS ? PICK(g, 1, 1, 2) : 1;

    e->rate_kind = a->kind == ALLOW_LEAKY ? 1 : a->kind == ALLOW_POINTS ? 2 : 0;
    e->rate_milli_per_s = (uint64_t)a->rate_milli;
    if (a->kind == ALLOW_POINTS)
        e->rate_milli_per_s /= (uint64_t)share;
    e->burst = (uint32_t)(a->size / MILLION / share);
    if (a->kind == ALLOW_ALL)
        e->rate_milli_per_s = 0;
}

static void say_plan(struct sim *s, const struct remote *r)
{
    static const char *const kinds[] = { "no bucket", "silent", "requests", "leaky", "points" };
    const struct allowance *a = &r->allow;
    const struct conf_endpoint *e = r->conf;

    world_say(&s->w,
              "%s: %s, %" PRId64 " in 1000 s, at most %" PRId64
              ", a delivery up to %u; quota %" PRId64 " in %" PRId64 " s; %s; configured %" PRIu64
              ", %u, reserve %u",
              e->name, kinds[a->kind], a->rate_milli, a->size / MILLION, a->cost, a->quota,
              a->quota_ms / 1000,
              !a->other.on    ? "alone"
              : a->other.even ? "beside an even client"
                              : "beside another client",
              e->rate_milli_per_s, e->burst, e->rate_reserve);
}

static void plan_remote(struct sim *s, unsigned i, struct rng *g)
{
    static const char *const names[ENDPOINTS] = { "shop", "crm", "supplier", "desk" };
    struct conf_endpoint *e = &s->endpoints[i];
    struct remote *r = &s->remotes[i];
    int client = PICK(g, 0, 0, 1, 2);

    *e = (struct conf_endpoint){ .name = (char *)names[i],
                                 .adapter = "sim",
                                 .plugin = &sim_plugin,
                                 .burst = 1,
                                 .concurrency = 8,
                                 .rate_reserve = (uint32_t)PICK(g, 0, 10, 10, 25),
                                 .breaker = { .window_ms = 60000,
                                              .min_calls = 10,
                                              .failure_percent = 90,
                                              .open_ms = 5000,
                                              .open_max_ms = 60000,
                                              .probes = 3 },
                                 .park_probe_ms = 10000,
                                 .confirm_after_ms = 500,
                                 .confirm_for_ms = 3600000,
                                 .index = i };
    *r = (struct remote){ .sim = s, .index = i, .conf = e, .slow_ms = PICK(g, 1, 20, 100) };
    r->deeds[DEED_RETRY] = (unsigned)PICK(g, 0, 0, 20);
    r->deeds[DEED_LOST] = (unsigned)PICK(g, 0, 0, 20);
    world_rng(&s->w, 8 + i, &r->rng);
    list_init(&r->calls);
    if (i != CRM && i != SUPPLIER)
        return;
    plan_bucket(&r->allow, g);
    r->allow.other =
        (struct other_client){ .on = client, .even = client == 1, .next_ms = world_now() };
    world_rng(&s->w, 52 + i, &r->allow.other.rng);
    if (one_in(g, 4))
        plan_quota(&r->allow, e, g);
    plan_conf(&r->allow, e, g);
    say_plan(s, r);
}

static void add_route(struct sim *s, const char *name, char **topic, unsigned to,
                      enum priority priority, struct rng *g)
{
    size_t i = s->config.n_routes++;

    s->targets[i] = (struct conf_target){ .kind = TARGET_SEND,
                                          .endpoint = &s->endpoints[to],
                                          .action = one_in(g, 2) ? ACT_SAFE : ACT_SEND };
    s->routes[i] = (struct conf_route){
        .name = (char *)name,
        .from_endpoint = s->endpoints[SHOP].name,
        .topics = topic,
        .n_topics = 1,
        .targets = &s->targets[i],
        .n_targets = 1,
        .priority = priority,
        .ordered = one_in(g, 2),
        .retry = { .first_ms = 500, .cap_ms = 2000, .max_age_ms = 86400000 },
        .index = i,
    };
}

void plan_budget(struct sim *s)
{
    static char *topics[] = { "t0", "t1", "t2" };
    struct rng own, *g = &own;
    struct store_plan store;

    world_rng(&s->w, 0, &s->rng);
    world_rng(&s->w, 41, &s->waiting);
    world_rng(&s->w, 44, &s->stopping);
    world_rng(&s->w, 50, g);
    world_set_wall(QUOTA_DAY_MS - clock_wall_ms() % QUOTA_DAY_MS - between(g, 40000, 120000));
    s->budgets = true;
    s->config = (struct config){ .alerts = { .repeat_ms = 5000 },
                                 .window = (uint64_t)PICK(g, 40, WIDE, WIDE),
                                 .endpoints = s->endpoints,
                                 .n_endpoints = ENDPOINTS,
                                 .routes = s->routes };
    for (unsigned i = 0; i < ENDPOINTS; i++)
        plan_remote(s, i, g);
    add_route(s, "r0", &topics[0], CRM, PRIORITY_LOW, g);
    add_route(s, "r1", &topics[1], CRM, PRIORITY_CRITICAL, g);
    add_route(s, "r2", &topics[2], SUPPLIER, PRIORITY_NORMAL, g);
    if (one_in(g, 2))
        add_route(s, "r3", &topics[1], SUPPLIER, PRIORITY_CRITICAL, g);
    store = (struct store_plan){ .slow_ms = PICK(g, 0, 3, 10) };
    s->store = store_sim_create(&s->w, &store, check_record, s);
    s->t = store_sim_tables(s->store);
    s->late_ms = 2000;
    s->coming = 450;
    s->subjects = 26;
    s->span_ms = PICK(g, 60000, 120000);
    s->crashes = (unsigned)PICK(g, 0, 0, 1, 2);
    s->reloads = (unsigned)PICK(g, 0, 0, 2);
}
