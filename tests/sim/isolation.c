/*
 * isolation.c - one remote that hangs must not make the others wait: the same traffic twice, by the
 * simulated clock, once with all three remotes well and once with one that answers nothing.
 */
#include <stdio.h>
#include <stdlib.h>
#include "sim.h"

#define WEBHOOKS 3000
#define SPAN_MS  60000

static void plan(struct sim *s, bool dead)
{
    static const char *const names[ENDPOINTS] = { "shop", "crm", "supplier", "desk" };
    static const char *const routes[] = { "r0", "r1", "r2" };
    static char *topics[] = { "t0", "t1", "t2" };

    world_rng(&s->w, 0, &s->rng);
    world_rng(&s->w, 41, &s->waiting);
    s->config = (struct config){ .window = 200, /* the lane of the one that hangs overflows */
                                 .endpoints = s->endpoints,
                                 .n_endpoints = ENDPOINTS,
                                 .routes = s->routes,
                                 .n_routes = 3 };
    for (unsigned i = 0; i < ENDPOINTS; i++) {
        struct conf_endpoint *e = &s->endpoints[i];
        struct remote *r = &s->remotes[i];
        *e = (struct conf_endpoint){ .name = (char *)names[i],
                                     .adapter = "sim",
                                     .plugin = &sim_plugin,
                                     .burst = 1,
                                     .concurrency = 8,
                                     .breaker = { .window_ms = 60000,
                                                  .min_calls = 10,
                                                  .failure_percent = 50,
                                                  .slow_ms = 30000,
                                                  .open_ms = 5000,
                                                  .open_max_ms = 60000,
                                                  .probes = 3 },
                                     .park_probe_ms = 10000,
                                     .confirm_after_ms = 2000,
                                     .confirm_for_ms = 3600000,
                                     .index = i };
        *r = (struct remote){ .sim = s, .index = i, .conf = e, .slow_ms = 40 };
        r->hangs = dead && i == SUPPLIER;
        world_rng(&s->w, 8 + i, &r->rng);
        list_init(&r->calls);
    }
    for (unsigned i = 0; i < 3; i++) {
        s->targets[i] = (struct conf_target){ .kind = TARGET_SEND,
                                              .endpoint = &s->endpoints[CRM + i] };
        s->routes[i] = (struct conf_route){
            .name = (char *)routes[i],
            .from_endpoint = s->endpoints[SHOP].name,
            .topics = &topics[i],
            .n_topics = 1,
            .targets = &s->targets[i],
            .n_targets = 1,
            .priority = PRIORITY_NORMAL,
            .retry = { .first_ms = 1000, .cap_ms = 60000, .max_age_ms = 86400000 },
            .index = i
        };
    }
    s->store = store_sim_create(&s->w, &(struct store_plan){ .slow_ms = 5 }, check_record, s);
    s->t = store_sim_tables(s->store);
    s->coming = WEBHOOKS;
    s->subjects = 26;
    s->span_ms = SPAN_MS;
    s->waits = mem_array(ISOLATION_MOST, sizeof(*s->waits));
}

void plan_isolation(struct sim *s)
{
    plan(s, false);
}

void plan_isolation_dead(struct sim *s)
{
    plan(s, true);
}

static int by_value(const void *a, const void *b)
{
    uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;

    return x < y ? -1 : x > y;
}

static double p99(struct sim *s)
{
    uint32_t p = 0;

    if (s->n_waits) {
        qsort(s->waits, s->n_waits, sizeof(*s->waits), by_value);
        p = s->waits[s->n_waits * 99 / 100];
    }
    free(s->waits);
    s->waits = NULL;
    return p;
}

double sim_isolation(struct sim *s, uint64_t seed)
{
    double well, dead;

    sim_run_plan(s, seed, false, plan_isolation);
    well = p99(s);
    if (s->w.failure[0])
        return 0;
    sim_run_plan(s, seed, false, plan_isolation_dead);
    dead = p99(s);
    printf("seed %llu: p99 %.0f ms, with one remote that hangs %.0f ms\n", (unsigned long long)seed,
           well, dead);
    return well > 0 ? (dead - well) * 100 / well : 100;
}
