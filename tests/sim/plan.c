/*
 * plan.c - what a seed means: endpoints, routes, how the remotes misbehave, what comes when.
 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include "sim.h"

#define PICK(rng, ...) \
    ((const int[]){ __VA_ARGS__ }[rng_below(rng, sizeof((int[]){ __VA_ARGS__ }) / sizeof(int))])

static void plan_endpoint(struct sim *s, unsigned i)
{
    static const char *const names[ENDPOINTS] = { "shop", "crm", "supplier", "desk" };
    struct rng *g = &s->rng;
    int rate = PICK(g, 0, 500, 2000, 2000, 10000, 50000);

    s->endpoints[i] = (struct conf_endpoint){
        .name = (char *)names[i],
        .adapter = "sim",
        .plugin = &sim_plugin,
        .rate_milli_per_s = (uint64_t)rate,
        .burst = (uint32_t)PICK(g, 1, 1, 2, 5, 40),
        .concurrency = (uint32_t)PICK(g, 1, 2, 4, 8),
        .batch_age_ms = PICK(g, 0, 0, 300, 2000),
        .breaker = { .window_ms = 60000,
                     .min_calls = (uint32_t)PICK(g, 2, 5, 10),
                     .failure_percent = 50,
                     .slow_ms = PICK(g, 0, 2000),
                     .open_ms = PICK(g, 2000, 5000, 30000),
                     .open_max_ms = 60000,
                     .probes = (uint32_t)PICK(g, 1, 3) },
        .park_probe_ms = PICK(g, 1500, 10000, 60000),
        .confirm_after_ms = PICK(g, 10, 500, 2000),
        .confirm_for_ms = PICK(g, 5000, 600000),
        .index = i,
    };
}

static void plan_remote(struct sim *s, unsigned i)
{
    struct remote *r = &s->remotes[i];
    struct rng *g = &s->rng;
    unsigned bad = (unsigned)PICK(g, 0, 1, 1, 3);

    *r = (struct remote){ .sim = s, .index = i, .conf = &s->endpoints[i] };
    world_rng(&s->w, 8 + i, &r->rng);
    list_init(&r->calls);
    for (int d = 1; d < DEED__COUNT; d++)
        r->deeds[d] = one_in(g, 3) ? 0 : bad * (unsigned)between(g, 1, d == DEED_PARK ? 15 : 45);
    r->slow_ms = PICK(g, 1, 20, 200, 2000);
    r->vague = (unsigned)PICK(g, 0, 100, 500);
    r->emits = i == CRM && one_in(g, 2);
    r->links = i == CRM;
}

static struct conf_hold approval = { .type = "approval" };

/** Endpoints that can do the same job; one of them may be dead for a while. */
static void plan_group(struct sim *s)
{
    struct rng *g = &s->rng;
    unsigned first = (unsigned)between(g, CRM, DESK);
    size_t n = one_in(g, 3) ? 3 : 2;
    struct remote *dead = &s->remotes[first];

    for (size_t i = 0; i < n; i++)
        s->members[i] =
            (struct conf_member){ .endpoint = &s->endpoints[CRM + (first - CRM + i) % MEMBERS],
                                  .weight = (uint32_t)PICK(g, 1, 1, 2, 5) };
    s->group = (struct conf_group){
        .name = "group",
        .policy = (enum group_policy)rng_below(g, GROUP_POLICY__COUNT),
        .members = s->members,
        .n_members = n,
        .failover_after_ms = PICK(g, 0, 1000, 10000),
        .back_after_ms = PICK(g, 0, 2000, 20000),
        .ask_after_ms = PICK(g, 0, 5000, 60000),
    };
    s->config.groups = &s->group;
    s->config.n_groups = 1;
    if (one_in(g, 3))
        return;
    dead->dead_from = world_now() + between(g, 0, s->span_ms);
    dead->dead_until = dead->dead_from + between(g, 0, 2 * s->span_ms);
}

static void send_to_group(struct sim *s, size_t route)
{
    struct conf_target *t = &s->targets[route];

    for (size_t i = 0; i < s->group.n_members; i++)
        s->parts[route][i] = (struct conf_target){ .kind = TARGET_SEND,
                                                   .endpoint = s->members[i].endpoint,
                                                   .action = t->action,
                                                   .group = &s->group };
    *t = (struct conf_target){ .kind = TARGET_GROUP,
                               .group = &s->group,
                               .members = s->parts[route],
                               .n_members = s->group.n_members };
}

static void add_route(struct sim *s, const char *endpoint, const char *topic)
{
    struct rng *g = &s->rng;
    size_t i = s->config.n_routes++;
    char *name = arena_alloc(&s->arena, 8);
    char **topics = arena_alloc(&s->arena, sizeof(*topics));
    unsigned to = (unsigned)between(g, CRM, DESK);
    uint32_t action = (uint32_t)rng_below(g, ACTIONS);

    snprintf(name, 8, "r%zu", i);
    topics[0] = (char *)arena_str(&s->arena, str_of(topic)).ptr;
    if (!strcmp(topic, "done") || !strcmp(topic, "late"))
        to = DESK; /* what it emits does not come back to it */
    s->targets[i] = (struct conf_target){ .kind = TARGET_SEND,
                                          .endpoint = &s->endpoints[to],
                                          .action = action };
    s->routes[i] = (struct conf_route){
        .name = name,
        .from_endpoint = (char *)endpoint,
        .topics = topics,
        .n_topics = 1,
        .targets = &s->targets[i],
        .n_targets = 1,
        .priority = (enum priority)rng_below(g, PRIORITY__COUNT),
        .ordered = !one_in(g, 5),
        .once = action == ACT_ONCE,
        .retry = { .first_ms = PICK(g, 100, 1000),
                   .cap_ms = PICK(g, 2000, 60000),
                   .max_age_ms = PICK(g, 20000, 86400000, 86400000),
                   .max_attempts = (uint32_t)PICK(g, 0, 0, 3) },
        .hold = one_in(g, 20) ? &approval : NULL,
        .index = i,
    };
    if (s->config.n_groups && strcmp(topic, "done") != 0 && strcmp(topic, "late") != 0 &&
        one_in(g, 2))
        send_to_group(s, i);
}

/** Retry budgets, and another endpoint for what is given up: from a source of their own, so that
 *  what else a seed brings stays as it was. */
static void plan_retries(struct sim *s)
{
    struct rng own, *g = &own;

    world_rng(&s->w, 40, g);
    for (unsigned i = CRM; i < ENDPOINTS; i++)
        s->endpoints[i].retry_percent = (uint32_t)PICK(g, 0, 20, 20, 50);
    for (size_t i = 0; i < s->config.n_routes; i++) {
        struct conf_route *r = &s->routes[i];
        unsigned to = (unsigned)between(g, CRM, DESK);
        bool some = one_in(g, 3);
        if (!some || r->targets->kind != TARGET_SEND || !strcmp(r->topics[0], "done") ||
            !strcmp(r->topics[0], "late") || r->targets->endpoint == &s->endpoints[to])
            continue;
        s->fallbacks[i] = (struct conf_target){ .kind = TARGET_SEND,
                                                .endpoint = &s->endpoints[to],
                                                .action = r->targets->action,
                                                .retry = r->retry,
                                                .has_retry = true };
        r->fallback = &s->fallbacks[i];
        r->fallback_on = (unsigned)PICK(g, FALLBACK_EXHAUSTED, FALLBACK_REJECTED,
                                        FALLBACK_EXHAUSTED | FALLBACK_REJECTED);
        r->retry.max_attempts = (uint32_t)PICK(g, 2, 3);
        s->fallbacks[i].retry.max_attempts = (uint32_t)PICK(g, 0, 2);
        world_say(&s->w, "route %s falls back to %s on %u after %u", r->name,
                  s->fallbacks[i].endpoint->name, r->fallback_on, r->retry.max_attempts);
    }
}

/** What the deliveries of a route wait for, by clocks and by events; and what must follow them. */
static void plan_waits(struct sim *s, size_t i)
{
    static char *risk[] = { "risk" }, *first[] = { "t0" }, *expected[] = { "t1" },
                *done[] = { "done" };
    struct rng *g = &s->waiting;
    struct conf_route *r = &s->routes[i];

    bool newest = r->coalesce || r->latest; /* those: plan_newest_waits() */

    if (!newest && !r->hold && one_in(g, 6)) {
        s->holds[i] = (struct conf_hold){ .type = "fraud",
                                          .until = risk,
                                          .n_until = one_in(g, 3) ? 0 : 1,
                                          .for_ms = PICK(g, 0, 200, 3000, 30000),
                                          .escalate_to = one_in(g, 2) ? "another" : NULL };
        if (s->holds[i].for_ms)
            s->holds[i].then = (enum hold_then)PICK(g, HOLD_RELEASE, HOLD_REJECT, HOLD_ESCALATE);
        r->hold = &s->holds[i];
    }
    if (!newest && one_in(g, 6) && !(r->hold && r->hold->n_until)) {
        s->joins[i] = (struct conf_hold){ .type = HOLD_WAIT_FOR,
                                          .until = first,
                                          .n_until = 1,
                                          .for_ms = PICK(g, 100, 3000, 30000),
                                          .then = (enum hold_then)PICK(g, HOLD_REJECT, HOLD_RELEASE,
                                                                       HOLD_RELEASE, HOLD_LOOKUP) };
        r->wait = &s->joins[i];
    }
    r->overtakes_amends = r->overtakes && !r->hold && !r->wait && one_in(g, 2);
    if (one_in(g, 4)) {
        s->deadlines[i] = (struct conf_deadline){ .expect = one_in(g, 2) ? expected : done,
                                                  .n_expect = 1,
                                                  .within_ms = PICK(g, 300, 3000, 30000),
                                                  .topic = "late",
                                                  .warn_percent = one_in(g, 2) ? 80 : 0 };
        r->deadline = &s->deadlines[i];
    }
}

/** What is held on a route that sends the newest alone may be outdated when it is released: from a
 *  source of its own, so that what else a seed brings stays as it was. */
static void plan_newest_waits(struct sim *s)
{
    static char *risk[] = { "risk" }, *first[] = { "t0" };
    struct rng own, *g = &own;

    world_rng(&s->w, 54, g);
    for (size_t i = 0; i < s->config.n_routes; i++) {
        struct conf_route *r = &s->routes[i];
        if (!(r->coalesce || r->latest) || r->overtakes_amends)
            continue;
        if (!r->hold && one_in(g, 4)) {
            s->holds[i] =
                (struct conf_hold){ .type = "fraud",
                                    .until = risk,
                                    .n_until = one_in(g, 3) ? 0 : 1,
                                    .for_ms = PICK(g, 200, 3000, 30000),
                                    .then = (enum hold_then)PICK(g, HOLD_RELEASE, HOLD_RELEASE,
                                                                 HOLD_REJECT, HOLD_ESCALATE) };
            r->hold = &s->holds[i];
        } else if (!r->wait && one_in(g, 4) && !(r->hold && r->hold->n_until)) {
            s->joins[i] = (struct conf_hold){ .type = HOLD_WAIT_FOR,
                                              .until = first,
                                              .n_until = 1,
                                              .for_ms = PICK(g, 100, 3000, 30000),
                                              .then = (enum hold_then)PICK(
                                                  g, HOLD_REJECT, HOLD_RELEASE, HOLD_LOOKUP) };
            r->wait = &s->joins[i];
        }
    }
}

static void plan_routes(struct sim *s)
{
    int n = (int)between(&s->rng, 1, 6);
    char topic[8];

    for (int i = 0; i < n; i++) {
        snprintf(topic, sizeof(topic), "t%d", i < 3 ? i : (int)rng_below(&s->rng, 3));
        add_route(s, s->endpoints[SHOP].name, topic);
    }
    if (one_in(&s->rng, 2))
        add_route(s, s->endpoints[CRM].name, "ref");
    if (one_in(&s->rng, 2))
        add_route(s, s->endpoints[CRM].name, "done");
    add_route(s, s->endpoints[CRM].name, "late");
}

/** Of two that take the same events the first in the file may wait for the second, or the other way
 *  round: never both, so that no circle comes of it. */
static void plan_order(struct sim *s)
{
    struct rng *g = &s->rng;
    bool back = one_in(g, 2);
    size_t n = s->config.n_routes;

    for (size_t k = 0; k < n; k++) {
        size_t i = back ? n - 1 - k : k;
        struct conf_route *r = &s->routes[i];
        if (r->ordered && one_in(g, 5))
            r->on_dead = ON_DEAD_BLOCK;
        if (r->ordered && !r->once && one_in(g, 4))
            r->coalesce = COALESCE_SUBJECT;
        r->latest = one_in(g, 4);
        for (size_t j = 0; j < n && !r->overtaken && one_in(g, 4); j++) {
            struct conf_route *other = &s->routes[j];
            if (j == i || other->overtakes || strcmp(other->from_endpoint, r->from_endpoint) != 0 ||
                strcmp(other->topics[0], r->topics[0]) == 0)
                continue;
            r->overtakes = other;
            other->overtaken = true;
            break;
        }
        for (size_t j = 0; j < n && one_in(g, 2); j++) {
            struct conf_route *other = &s->routes[j];
            if ((back ? j <= i : j >= i) || strcmp(other->from_endpoint, r->from_endpoint) != 0 ||
                strcmp(other->topics[0], r->topics[0]) != 0)
                continue;
            s->after[i] = other;
            r->after = &s->after[i];
            r->n_after = 1;
            r->rank = other->rank + 1;
            break;
        }
    }
}

static void say_group(struct sim *s)
{
    for (size_t i = 0; i < s->group.n_members; i++) {
        const struct conf_endpoint *e = s->members[i].endpoint;
        world_say(&s->w, "group %s: %s, weight %u, dead from %" PRId64 " to %" PRId64,
                  group_policy_names[s->group.policy], e->name, s->members[i].weight,
                  s->remotes[e->index].dead_from, s->remotes[e->index].dead_until);
    }
}

static void say_routes(struct sim *s)
{
    for (size_t i = 0; i < s->config.n_routes; i++) {
        const struct conf_route *r = &s->routes[i];
        const struct conf_target *t = conf_route_send(r, 0);
        const struct conf_endpoint *e = t->endpoint;
        world_say(&s->w,
                  "route %s: %s to %s%s %s, %s%s%s%s%s%s%s%s%s, rate %" PRIu64
                  " burst %u, concurrency %u",
                  r->name, r->topics[0], e->name, t->group ? " and its group" : "",
                  sim_plugin.actions[t->action].name, priority_names[r->priority],
                  r->ordered ? ", ordered" : "", r->on_dead ? ", blocks" : "",
                  r->coalesce ? ", coalesce" : "", r->latest ? ", latest" : "",
                  r->overtakes ? ", overtakes " : "", r->overtakes ? r->overtakes->name : "",
                  r->n_after ? ", after " : "", r->n_after ? r->after[0]->name : "",
                  e->rate_milli_per_s, e->burst, e->concurrency);
    }
}

void plan_make(struct sim *s)
{
    struct store_plan store;
    struct rng *g = &s->rng;

    world_rng(&s->w, 0, g);
    world_rng(&s->w, 41, &s->waiting);
    world_rng(&s->w, 44, &s->stopping);
    world_rng(&s->w, 52, &s->replaying);
    s->config = (struct config){
        .alerts = { .repeat_ms = 5000 },
        .window = (uint64_t)PICK(g, 1, 2, 5, 20, WIDE, WIDE),
        .endpoints = s->endpoints,
        .n_endpoints = ENDPOINTS,
        .routes = s->routes,
    };
    for (unsigned i = 0; i < ENDPOINTS; i++) {
        plan_endpoint(s, i);
        plan_remote(s, i);
    }
    s->span_ms = PICK(g, 500, 10000, 60000, 300000);
    if (one_in(g, 2))
        plan_group(s);
    plan_routes(s);
    plan_order(s);
    plan_retries(s);
    plan_stand_ins(s);
    for (size_t i = 0; i < s->config.n_routes; i++)
        plan_waits(s, i);
    plan_newest_waits(s);
    fill_plan(s);
    store = (struct store_plan){ .slow_ms = PICK(g, 0, 3, 20, 100),
                                 .full_per_mille = (unsigned)PICK(g, 0, 0, 0, 20),
                                 .deaf_per_mille = (unsigned)PICK(g, 0, 0, 0, 20) };
    s->late_ms = 1000 + 20 * store.slow_ms +
                 (store.full_per_mille || store.deaf_per_mille ? 10000 : 0);
    world_say(&s->w, "window %" PRIu64 ", disk %" PRId64 " ms, full %u, deaf %u", s->config.window,
              store.slow_ms, store.full_per_mille, store.deaf_per_mille);
    say_routes(s);
    say_group(s);
    s->store = store_sim_create(&s->w, &store, check_record, s);
    s->t = store_sim_tables(s->store);
    s->coming = (unsigned)PICK(g, 5, 20, 50, 100);
    s->subjects = (unsigned)PICK(g, 1, 3, 10, 40);
    s->crashes = (unsigned)PICK(g, 0, 0, 1, 3);
    s->decisions = (unsigned)PICK(g, 0, 5, 20);
    s->pauses = (unsigned)PICK(&s->stopping, 0, 0, 3, 12);
    s->reloads = (unsigned)PICK(&s->stopping, 0, 0, 2, 6);
    s->replays = (unsigned)PICK(&s->replaying, 0, 0, 1, 3);
    replay_plan_doubt(s);
    plan_batches(s);
}

void plan_finish(struct sim *s)
{
    store_sim_destroy(s->store);
    HASH_CLEAR(hh, s->books);
    free(s->acked);
    arena_finish(&s->arena);
}
