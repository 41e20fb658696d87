/*
 * sim.c - one seed from its first webhook to the end: the process lives, dies and lives again until
 * everything has come; then all remotes are well, and all that is left must come to rest.
 */
#include "sim.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "base/clock.h"

#define BEAT_MS      1000
#define REST_MOST_MS (3 * 3600 * 1000) /* within so long all comes to rest */
#define TURNS_MOST   3000000

/* ---- the process ---- */

static void process_begin(struct sim *s)
{
    struct adapter *adapters[ENDPOINTS];
    struct fail fail = { 0 };

    world_say(&s->w, "the process begins");
    s->life_ms = world_now();
    store_sim_start(s->store);
    for (unsigned i = 0; i < ENDPOINTS; i++)
        check_begin(&s->remotes[i]);
    stop_begin(s);
    reload_adapters(s, adapters);
    if (flow_open(&s->flow,
                  &(struct flow_conf){ .loop = &s->w.loop,
                                       .store = s->store,
                                       .config = s->current,
                                       .adapters = adapters,
                                       .watch = { s, check_notice },
                                       .seed = 1 + rng_next(&s->rng) },
                  &fail) < 0)
        world_fail(&s->w, "the flow does not open: %s", fail.text);
}

/** Cut off first from the world and from the store, so that nothing it does any more is seen. */
static void process_end(struct sim *s)
{
    struct flow *f = s->flow;

    world_say(&s->w, "the process ends");
    s->deaths++;
    s->end = END_NONE;
    reload_closed(s);
    for (unsigned i = 0; i < ENDPOINTS; i++)
        remote_forget(&s->remotes[i]);
    f->draining = true;
    store_sim_crash(s->store);
    s->flow = NULL;
    flow_destroy(f);
    for (int i = 0; i < 3; i++) /* until its handles are closed */
        uv_run(&s->w.loop, UV_RUN_NOWAIT);
}

static void turn(struct sim *s)
{
    world_turn(&s->w);
    if (++s->turns == TURNS_MOST)
        world_fail(&s->w, "stuck: %d turns of the loop and no rest", TURNS_MOST);
}

static void on_idle(void *ctx)
{
    ((struct sim *)ctx)->ended = true;
}

/** As by a signal: what is under way may end, then the store is closed. */
static void process_drain(struct sim *s)
{
    world_say(&s->w, "the process drains");
    s->ended = false;
    flow_drain(s->flow, (uint64_t)between(&s->rng, 0, 5000), on_idle, s);
    while (!s->ended && !s->w.failure[0] && !store_sim_stopped(s->store))
        turn(s);
    if (!store_sim_stopped(s->store)) {
        s->ended = false;
        store_close(s->store, on_idle, s);
        while (!s->ended && !s->w.failure[0] && !store_sim_stopped(s->store))
            turn(s);
    }
    process_end(s);
}

/* ---- what comes ---- */

struct coming { /* a webhook, until it is taken */
    struct sim *sim;
    const char *endpoint;
    char topic[8], sender_id[16], body[64];
};

static void on_coming(void *ctx);

static void on_taken(struct flow *f, struct commit *c, int status)
{
    struct coming *in = c->ctx;
    struct sim *s = in->sim;
    struct store_record *rec = &c->records[0];

    if (status < 0) { /* it was told 503, or nothing: the sender tries again */
        world_in(&s->w, 1000, on_coming, in);
        return;
    }
    s->coming--;
    if (rec->refused)
        return;
    s->acked = mem_grow(s->acked, (s->n_acked + 1) * sizeof(*s->acked));
    s->acked[s->n_acked++] = rec->seq;
    router_receipt(&f->router, rec->seq, &rec->payload);
}

static void on_coming(void *ctx)
{
    struct coming *in = ctx;
    struct sim *s = in->sim;
    struct rec_receipt receipt = { .origin = EO_WEBHOOK,
                                   .received_ms = clock_wall_ms(),
                                   .endpoint = str_of(in->endpoint),
                                   .topic = str_of(in->topic),
                                   .sender_id = str_of(in->sender_id),
                                   .body = str_of(in->body) };

    if (!s->flow || s->flow->draining) {
        world_in(&s->w, 500, on_coming, in);
        return;
    }
    struct commit *c = commit_new(s->flow, on_taken, in);
    struct store_record *rec = commit_record(c, REC_RECEIPT);
    rec_receipt_encode(&rec->payload, &receipt);
    rec->keys = mem_array(1, sizeof(*rec->keys));
    rec->n_keys = 1;
    rec->keys[0].refuse = true;
    snprintf((char *)rec->keys[0].hash, sizeof(rec->keys[0].hash), "%s", in->sender_id);
    commit_go(c);
}

/** Another one about what this one is about. */
void sim_comes(struct sim *s, const struct event_row *like, int64_t in_ms)
{
    struct coming *in = memset(arena_alloc(&s->arena, sizeof(*in)), 0, sizeof(*in));

    in->sim = s;
    in->endpoint = s->endpoints[SHOP].name;
    snprintf(in->topic, sizeof(in->topic), STR_FMT, STR_ARG(like->receipt.topic));
    snprintf(in->sender_id, sizeof(in->sender_id), "more-%u", ++s->more);
    snprintf(in->body, sizeof(in->body), STR_FMT, STR_ARG(like->receipt.body));
    s->coming++;
    world_in(&s->w, in_ms, on_coming, in);
}

static void plan_coming(struct sim *s, unsigned i)
{
    struct coming *in = memset(arena_alloc(&s->arena, sizeof(*in)), 0, sizeof(*in));
    struct rng *g = &s->rng;
    char subject = (char)('a' + rng_below(g, s->subjects) % 26);
    unsigned version = one_in(g, 15) ? i / 2 : i;

    in->sim = s;
    in->endpoint = s->endpoints[SHOP].name;
    snprintf(in->topic, sizeof(in->topic), "t%u", (unsigned)rng_below(g, 3));
    if (one_in(&s->waiting, 12))
        snprintf(in->topic, sizeof(in->topic), "risk");
    snprintf(in->sender_id, sizeof(in->sender_id), "%u", one_in(g, 15) ? i / 2 : i);
    if (one_in(g, 10)) {
        in->endpoint = s->endpoints[CRM].name;
        snprintf(in->topic, sizeof(in->topic), "ref");
        snprintf(in->body, sizeof(in->body), "ref po-%c", subject);
    } else if (one_in(g, 20)) {
        snprintf(in->body, sizeof(in->body), "- %u", version);
    } else {
        snprintf(in->body, sizeof(in->body),
                 s->json ? "{\"subject\":\"%c\",\"version\":\"%u\"}" : "%c %u", subject, version);
    }
    int64_t at = between(g, 0, s->span_ms);
    if (s->budgets && strcmp(in->topic, "t1") != 0)
        at = at * 1000 / s->span_ms;
    world_in(&s->w, at, on_coming, in);
}

/* ---- people ---- */

static void on_decided(void *ctx, const struct decided *results, size_t n)
{
    (void)ctx;
    (void)results;
    (void)n;
}

static void on_decide(void *ctx)
{
    static const enum decision choices[] = { DECISION_RELEASE, DECISION_REJECT, DECISION_ARRIVED,
                                             DECISION_DISCARD, DECISION_REPLAY, DECISION_MOVE };
    struct sim *s = ctx;
    struct rng *g = &s->rng;

    s->decisions--;
    if (!s->flow || s->flow->draining || !s->t->n_rows)
        return;
    size_t first = rng_below(g, s->t->n_rows);
    for (size_t i = 0; i < s->t->n_rows; i++) {
        const struct row *r = s->t->rows[(first + i) % s->t->n_rows];
        if (r->state != DS_HELD && r->state != DS_DEAD && !one_in(g, 20))
            continue;
        enum decision what = r->state == DS_DEAD ? DECISION_REPLAY : choices[rng_below(g, 6)];
        struct decide d = { .what = what, .who = STR("a person"), .nums = &r->num, .n = 1 };
        if (what == DECISION_REPLAY) /* with any priority, or its own */
            d.set_priority = (uint8_t)(delivery_event(r->num) % (1 + PRIORITY__COUNT));
        if (what == DECISION_MOVE)
            d.endpoint = str_of(s->endpoints[between(g, CRM, DESK)].name);
        world_say(&s->w, "a person decides %d of %" PRIu64 ".%u", what, delivery_event(r->num),
                  delivery_ordinal(r->num));
        flow_decide(s->flow, &d, on_decided, NULL);
        return;
    }
}

/* ---- crashes ---- */

static void on_crash_due(void *ctx)
{
    struct sim *s = ctx;

    s->crashes--;
    if (!s->flow)
        return;
    switch (rng_below(&s->rng, 4)) {
    case 0:
        s->end = END_CRASH;
        break;
    case 1:
        s->end = END_DRAIN;
        break;
    default:
        store_sim_crash_after(s->store, 1 + rng_below(&s->rng, 12));
    }
}

static void die_if_due(struct sim *s)
{
    if (store_sim_stopped(s->store) || s->end == END_CRASH)
        process_end(s);
    else if (s->end == END_DRAIN)
        process_drain(s);
    else
        return;
    world_skip(&s->w, one_in(&s->rng, 3) ? 0 : between(&s->rng, 0, 20000));
    process_begin(s);
}

/* ---- from the beginning to the end ---- */

static void on_beat(void *ctx) /* so that there is always something to wait for */
{
    struct sim *s = ctx;

    check_clocks(s);
    check_budgets(s);
    world_in(&s->w, BEAT_MS, on_beat, s);
}

static void run_faults(struct sim *s)
{
    int64_t until = world_now() + s->span_ms + AFTER_MS;
    unsigned n = s->coming;

    for (unsigned i = 0; i < n; i++)
        plan_coming(s, i);
    for (unsigned i = 0; i < s->crashes; i++)
        world_in(&s->w, between(&s->rng, 0, s->span_ms + AFTER_MS), on_crash_due, s);
    for (unsigned i = 0; i < s->decisions; i++)
        world_in(&s->w, between(&s->rng, 0, s->span_ms + AFTER_MS), on_decide, s);
    stop_plan(s);
    fill_begin(s);
    replay_plan(s);
    reload_plan(s);
    while (!s->w.failure[0] && (world_now() < until || s->coming || s->crashes || s->decisions ||
                                s->pauses || s->reloads || s->replays || s->fills)) {
        turn(s);
        die_if_due(s);
    }
    store_sim_crash_after(s->store, 0);
}

/** What a day's quota, or what of it is kept for critical work, has no room for waits for the next
 * one. */
static int64_t rest_most_ms(const struct sim *s)
{
    for (unsigned i = 0; i < ENDPOINTS; i++)
        if (s->remotes[i].allow.quota_ms == QUOTA_DAY_MS)
            return REST_MOST_MS + QUOTA_DAY_MS;
    return REST_MOST_MS;
}

static void run_to_rest(struct sim *s)
{
    int64_t until = world_now() + rest_most_ms(s), looked = 0;
    char why[200];

    world_say(&s->w, "all is well from here");
    s->healed = true;
    store_sim_faults(s->store, false);
    while (!s->w.failure[0] && world_now() < until) {
        turn(s);
        die_if_due(s);
        if (world_now() - looked < BEAT_MS)
            continue;
        looked = world_now();
        bool settled = reload_settled(s);
        settled &= stop_settled(s);
        if (settled && check_quiet(s, why, sizeof(why)) && replay_settled(s))
            return;
    }
}

/** What has come to rest stays at rest over a restart. */
static void run_again(struct sim *s)
{
    uint64_t arrivals = s->arrivals;
    int64_t until;

    if (s->w.trace)
        check_say_open(s);
    process_end(s);
    process_begin(s);
    until = world_now() + 60000;
    while (!s->w.failure[0] && world_now() < until)
        turn(s);
    if (s->arrivals != arrivals)
        world_fail(&s->w, "at rest: a restart sent something");
}

void sim_run(struct sim *s, uint64_t seed, bool trace)
{
    sim_run_plan(s, seed, trace, plan_make);
}

void sim_run_plan(struct sim *s, uint64_t seed, bool trace, void (*plan)(struct sim *s))
{
    *s = (struct sim){ 0 };
    world_init(&s->w, seed, trace);
    plan(s);
    s->current = &s->config;
    process_begin(s);
    on_beat(s);
    run_faults(s);
    if (!s->w.failure[0])
        run_to_rest(s);
    if (!s->w.failure[0])
        check_end(s);
    if (!s->w.failure[0] && one_in(&s->rng, 4))
        run_again(s);
    if (!s->w.failure[0])
        process_drain(s);
    else
        process_end(s);
    world_finish(&s->w);
    plan_finish(s);
}
