/*
 * flood.c - a flood of low work must not be felt by what is critical: the longest wait of 99 in 100
 * critical deliveries, with thousands of low ones pending and without, differs by less than one
 * service time. Once where slots are scarce, once where tokens are. And what is low has its turns
 * in a flood of critical work, as the weights say.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "base/clock.h"
#include "base/mem.h"
#include "flow/state.h"
#include "store_sim.h"
#include "world.h"

enum { SHOP, ERP, ENDPOINTS };

#define CRITICAL 400
#define EVERY_MS 500
#define LOW      6000

struct flood {
    struct world w;
    struct store *store;
    struct flow *flow;
    struct config config;
    struct conf_endpoint endpoints[ENDPOINTS];
    struct conf_route routes[2];
    struct conf_target targets[2];
    struct adapter adapters[ENDPOINTS], *table[ENDPOINTS];
    struct rng rng;
    int64_t service_ms;
    int64_t waits[CRITICAL];
    unsigned n_waits, low_done, out, most_out;
    struct list calls; /* that are out */
};

void __wrap_log_line(const struct logger *l, enum log_level level, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));

void __wrap_log_line(const struct logger *l, enum log_level level, const char *fmt, ...)
{
    (void)l;
    (void)level;
    (void)fmt;
}

/* ---- the remote: each call takes its time, that is all ---- */

struct call {
    struct list node; /* flood.calls */
    struct flood *f;
    const sl_done *done;
    bool critical;
};

static void on_answer(void *ctx)
{
    struct call *c = ctx;
    const sl_done *done = c->done;
    sl_outcome o = { .size = sizeof(o), .kind = SL_DELIVERED };

    c->f->out--;
    c->f->low_done += !c->critical;
    list_remove(&c->node);
    free(c);
    done->outcome(done->ctx, 0, &o);
    done->finish(done->ctx);
}

static void deliver(void *self, void *handle, const sl_batch *b, const sl_done *done)
{
    struct flood *f = self;
    const sl_record *r = b->records;
    struct call *c = mem_zero(sizeof(*c));
    char text[40];

    (void)handle;
    *c = (struct call){ .f = f, .done = done, .critical = str_eq(r->topic, STR("critical")) };
    list_append(&f->calls, &c->node);
    snprintf(text, sizeof(text), STR_FMT, STR_ARG(r->body));
    if (c->critical && f->n_waits < CRITICAL)
        f->waits[f->n_waits++] = world_now() - strtoll(text, NULL, 10);
    if (++f->out > f->most_out)
        f->most_out = f->out;
    world_in(&f->w, f->service_ms, on_answer, c);
}

static sl_status describe(void *self, const sl_event *e, const sl_describe_out *out, sl_fail *fail)
{
    (void)self;
    (void)e;
    (void)out;
    (void)fail;
    return SL_OK;
}

static const sl_action actions[] = { { .name = "send", .batch_records = 1 }, { 0 } };

static const sl_plugin plugin = {
    .size = sizeof(plugin),
    .name = "flood",
    .actions = actions,
    .describe = describe,
    .deliver = deliver,
};

/* ---- what comes ---- */

static void on_taken(struct flow *f, struct commit *c, int status)
{
    if (status < 0)
        abort(); /* this store has no faults */
    router_receipt(&f->router, c->records[0].seq, &c->records[0].payload);
}

static void come(struct flood *f, const char *topic)
{
    char body[40];
    struct rec_receipt r = { .origin = EO_WEBHOOK,
                             .received_ms = clock_wall_ms(),
                             .endpoint = STR("shop"),
                             .topic = str_of(topic) };
    struct commit *c = commit_new(f->flow, on_taken, f);

    snprintf(body, sizeof(body), "%" PRId64, world_now());
    r.body = str_of(body);
    rec_receipt_encode(&commit_record(c, REC_RECEIPT)->payload, &r);
    commit_go(c);
}

static void on_critical(void *ctx)
{
    struct flood *f = ctx;

    come(f, "critical");
    if (f->n_waits < CRITICAL)
        world_in(&f->w, EVERY_MS / 2 + (int64_t)rng_below(&f->rng, EVERY_MS), on_critical, f);
}

static void on_low(void *ctx)
{
    for (int i = 0; i < LOW / 100; i++)
        come(ctx, "low");
}

static void on_many_critical(void *ctx)
{
    for (int i = 0; i < LOW / 100; i++)
        come(ctx, "critical");
}

/* ---- a run ---- */

static void add_route(struct flood *f, const char *name, enum priority priority)
{
    size_t i = f->config.n_routes++;
    static char *topics[2];

    topics[i] = (char *)name;
    f->targets[i] = (struct conf_target){ .kind = TARGET_SEND, .endpoint = &f->endpoints[ERP] };
    f->routes[i] = (struct conf_route){
        .name = (char *)name,
        .from_endpoint = "shop",
        .topics = &topics[i],
        .n_topics = 1,
        .targets = &f->targets[i],
        .n_targets = 1,
        .priority = priority,
        .retry = { .first_ms = 1000, .cap_ms = 2000, .max_age_ms = 86400000 },
        .index = i,
    };
}

static void nobody_looks(void *ctx, uint64_t seq, enum record_type type, sl_str payload)
{
    (void)ctx;
    (void)seq;
    (void)type;
    (void)payload;
}

static void set_up(struct flood *f, const struct conf_endpoint *erp)
{
    static const struct conf_breaker breaker = { .window_ms = 60000,
                                                 .min_calls = 1000,
                                                 .failure_percent = 50,
                                                 .open_ms = 30000,
                                                 .open_max_ms = 60000,
                                                 .probes = 1 };
    struct store_plan plan = { .slow_ms = 1 };
    struct fail fail;

    f->endpoints[SHOP] = f->endpoints[ERP] = *erp;
    f->endpoints[SHOP].name = "shop";
    f->endpoints[ERP].name = "erp";
    for (size_t i = 0; i < ENDPOINTS; i++) {
        f->endpoints[i].adapter = "flood";
        f->endpoints[i].plugin = &plugin;
        f->endpoints[i].breaker = breaker;
        f->endpoints[i].park_probe_ms = 60000;
        f->endpoints[i].index = i;
        f->adapters[i] = (struct adapter){
            .plugin = &plugin, .self = f, .open = true, .conf = &f->endpoints[i]
        };
        f->table[i] = &f->adapters[i];
    }
    f->config = (struct config){
        .window = 10000, .endpoints = f->endpoints, .n_endpoints = ENDPOINTS, .routes = f->routes
    };
    add_route(f, "critical", PRIORITY_CRITICAL);
    add_route(f, "low", PRIORITY_LOW);
    f->store = store_sim_create(&f->w, &plan, nobody_looks, NULL);
    store_sim_start(f->store);
    if (flow_open(&f->flow,
                  &(struct flow_conf){ .loop = &f->w.loop,
                                       .store = f->store,
                                       .config = &f->config,
                                       .adapters = f->table,
                                       .seed = 1 },
                  &fail) < 0)
        abort();
}

static int by_time(const void *a, const void *b)
{
    int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;

    return x < y ? -1 : x > y;
}

enum coming { CRITICAL_ALONE, FLOOD_OF_LOW, FLOOD_OF_BOTH };

/** The p99 of the waits, in milliseconds; *ret_low: low ones that were delivered meanwhile. */
static int64_t run(const struct conf_endpoint *erp, int64_t service_ms, enum coming coming,
                   unsigned *ret_low)
{
    static struct flood f;

    memset(&f, 0, sizeof(f));
    f.service_ms = service_ms;
    list_init(&f.calls);
    world_init(&f.w, 1, false);
    world_rng(&f.w, 1, &f.rng);
    set_up(&f, erp);
    for (int i = 0; coming != CRITICAL_ALONE && i < 100; i++)
        world_in(&f.w, i * 10, on_low, &f);
    for (int i = 0; coming == FLOOD_OF_BOTH && i < 100; i++)
        world_in(&f.w, i * 10, on_many_critical, &f);
    world_in(&f.w, 3000, on_critical, &f);
    while (f.n_waits < CRITICAL)
        world_turn(&f.w);
    qsort(f.waits, CRITICAL, sizeof(f.waits[0]), by_time);
    *ret_low = f.low_done;
    for (size_t i = 0; i < ENDPOINTS; i++)
        f.adapters[i].open = false;
    f.flow->draining = true;
    store_sim_crash(f.store);
    flow_destroy(f.flow);
    while (!list_empty(&f.calls)) { /* their answers are never heard */
        struct call *c = list_entry(f.calls.next, struct call, node);
        list_remove(&c->node);
        free(c);
    }
    for (int i = 0; i < 3; i++)
        uv_run(&f.w.loop, UV_RUN_NOWAIT);
    store_sim_destroy(f.store);
    world_finish(&f.w);
    return f.waits[CRITICAL * 99 / 100];
}

static int check(const char *name, const struct conf_endpoint *erp, int64_t service_ms,
                 int64_t time_ms)
{
    unsigned low, none;
    int64_t calm = run(erp, service_ms, CRITICAL_ALONE, &none),
            wild = run(erp, service_ms, FLOOD_OF_LOW, &low);
    bool good = wild - calm < time_ms && low > 100;

    printf("%s: p99 wait of critical %" PRId64 " ms alone, %" PRId64
           " ms in a flood of low (%u delivered); %" PRId64 " ms allowed: %s\n",
           name, calm, wild, low, calm + time_ms, good ? "ok" : "FAILED");
    return !good;
}

/** Eight critical ones for each low one. */
static int check_turns(const char *name, const struct conf_endpoint *erp)
{
    unsigned low;

    run(erp, 200, FLOOD_OF_BOTH, &low);
    bool good = low >= CRITICAL / 10 && low <= CRITICAL / 6;
    printf("%s: %u low ones went beside %u critical ones in a flood of both: %s\n", name, low,
           CRITICAL, good ? "ok" : "FAILED");
    return !good;
}

int main(void)
{
    int bad = 0;

    log_setup(LOG_ERROR, LOG_TEXT);
    bad |= check("4 slots", &(struct conf_endpoint){ .concurrency = 4, .burst = 1 }, 200, 200);
    bad |= check("1 slot", &(struct conf_endpoint){ .concurrency = 1, .burst = 1 }, 200, 200);
    bad |= check("10 a second, burst 20, a tenth kept",
                 &(struct conf_endpoint){
                     .concurrency = 8, .rate_milli_per_s = 10000, .burst = 20, .rate_reserve = 10 },
                 20, 100);
    bad |= check_turns("1 slot", &(struct conf_endpoint){ .concurrency = 1, .burst = 1 });
    bad |= check_turns("2 slots", &(struct conf_endpoint){ .concurrency = 2, .burst = 1 });
    bad |= check_turns("8 slots", &(struct conf_endpoint){ .concurrency = 8, .burst = 1 });
    return bad;
}
