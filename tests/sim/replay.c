/*
 * replay.c - people let dead letters be sent again, and old events be given to a route that was not
 * there when they came: as jobs of the flow's own, at a pace, through crashes and restarts. What
 * holds of them is check_replay.c.
 */
#include <inttypes.h>
#include "sim.h"

#define PICK(rng, ...) \
    ((const int[]){ __VA_ARGS__ }[rng_below(rng, sizeof((int[]){ __VA_ARGS__ }) / sizeof(int))])

#define NEWS_AFTER_MS 500
#define NEWS_MS       20000
#define DOUBT_MS      60000

static bool lives(const struct sim *s)
{
    return s->flow && !s->flow->draining && !store_sim_stopped(s->store);
}

static void on_begun(void *ctx, int status, uint64_t id)
{
    (void)ctx; /* what is durable of it says the rest */
    (void)status;
    (void)id;
}

static void begin(struct sim *s, const struct replay_ask *ask)
{
    int r = flow_replay(s->flow, ask, on_begun, NULL);

    world_say(&s->w, "a person replays %s%s at %u a second, at most %u: %d",
              ask->route   ? "old events for "
              : ask->remap ? "dead letters, mapped again"
                           : "dead letters",
              ask->route ? ask->route : "", ask->rate, (unsigned)ask->max_failures, r);
}

/** All dead letters, or those of one route or of one endpoint. */
static void dead_letters(struct sim *s, struct rng *g)
{
    struct replay_ask ask = { .rate = (uint32_t)PICK(g, 0, 1, 5, 50),
                              .max_failures = (uint64_t)PICK(g, 0, 0, 2),
                              .remap = one_in(g, 3),
                              .who = STR("uid 0") };

    if (one_in(g, 4))
        ask.filter.route = s->routes[rng_below(g, s->config.n_routes)].name;
    else if (one_in(g, 4))
        ask.filter.endpoint = s->endpoints[between(g, CRM, DESK)].name;
    if (one_in(g, 6))
        ask.set_priority = 1 + PRIORITY_HIGH;
    begin(s, &ask);
}

static void old_events(struct sim *s, struct rng *g, size_t route)
{
    struct replay_ask ask = { .route = s->routes[route].name,
                              .rate = (uint32_t)PICK(g, 0, 2, 20),
                              .who = STR("uid 0") };

    begin(s, &ask);
}

static void on_cancelled(void *ctx, int status, uint64_t id)
{
    struct sim *s = ctx;

    world_say(&s->w, "replay %" PRIu64 " is cancelled: %d", id, status);
}

static void cancel(struct sim *s, struct rng *g)
{
    uint64_t id = 1 + rng_below(g, 3);

    world_say(&s->w, "a person cancels replay %" PRIu64 ": %d", id,
              flow_replay_cancel(s->flow, id, STR("uid 0"), on_cancelled, s));
}

static void on_replay(void *ctx)
{
    struct sim *s = ctx;
    struct rng *g = &s->replaying;

    if (!lives(s) && !s->healed) {
        world_in(&s->w, 700, on_replay, s);
        return;
    }
    s->replays--;
    if (s->healed)
        return;
    if (one_in(g, 8))
        cancel(s, g);
    else if (one_in(g, 3))
        old_events(s, g, rng_below(g, s->config.n_routes));
    else
        dead_letters(s, g);
    if (one_in(g, 3)) /* in the middle of it */
        store_sim_crash_after(s->store, 1 + rng_below(g, 12));
}

/** While a remote is dead: what may have arrived there is mapped again. */
static void on_outage(void *ctx)
{
    struct sim *s = ctx;
    struct replay_ask ask = { .remap = true, .who = STR("uid 0") };

    if (lives(s) && !s->healed)
        begin(s, &ask);
}

/** Of a group: a member that is dead for long, and forgets to say what it did; what is given up
 *  there may have arrived, and is its own still when it is mapped again. */
void replay_plan_doubt(struct sim *s)
{
    struct rng own;
    struct remote *dead;

    world_rng(&s->w, 62, &own);
    if (!s->replays || !s->config.n_groups || one_in(&own, 2))
        return;
    dead = &s->remotes[s->members[0].endpoint->index];
    s->in_doubt = true;
    s->span_ms = DOUBT_MS;
    dead->dead_from = world_now() + DOUBT_MS / 6;
    dead->dead_until = world_now() + DOUBT_MS;
    s->endpoints[dead->index].breaker.min_calls = 5;
    s->endpoints[dead->index].breaker.open_ms = 2000;
    s->group.cancels = NULL;
    s->group.failover_after_ms = 1000;
    s->group.ask_after_ms = 2 * DOUBT_MS;
    for (size_t i = 0; i < s->config.n_routes; i++) {
        if (s->targets[i].kind != TARGET_GROUP)
            continue;
        s->routes[i].retry.max_attempts = 2;
        s->routes[i].fallback_route = NULL; /* it is given up */
        for (size_t k = 0; k < s->group.n_members; k++)
            s->parts[i][k].action = ACT_SAFE;
    }
    world_say(&s->w, "what is given up at %s may have arrived", dead->conf->name);
}

static void plan_outages(struct sim *s)
{
    struct rng own;

    world_rng(&s->w, 58, &own);
    for (unsigned i = CRM; i < ENDPOINTS && s->replays; i++) {
        const struct remote *r = &s->remotes[i];
        int64_t middle = r->dead_from + (r->dead_until - r->dead_from) / 2;
        for (int n = s->in_doubt ? 4 : 1; n && r->dead_until > r->dead_from; n--)
            world_in(&s->w, between(&own, middle, r->dead_until) - world_now(), on_outage, s);
    }
}

/** Slowly; and soon the remotes refuse what they took before, for a reason that is new. */
static void on_news(void *ctx)
{
    struct sim *s = ctx;
    struct replay_ask ask = { .rate = 1, .who = STR("uid 0") };

    if (!lives(s) || s->healed)
        return;
    begin(s, &ask);
    s->news_ms = world_now() + NEWS_AFTER_MS;
}

static void plan_news(struct sim *s)
{
    struct rng own;

    world_rng(&s->w, 61, &own);
    if (s->replays && one_in(&own, 3))
        world_in(&s->w, between(&own, s->span_ms / 2, s->span_ms + AFTER_MS / 2), on_news, s);
}

bool replay_is_news(const struct sim *s)
{
    return s->news_ms && world_now() >= s->news_ms && world_now() < s->news_ms + NEWS_MS;
}

void replay_plan(struct sim *s)
{
    struct rng *g = &s->replaying;

    plan_outages(s);
    plan_news(s);
    s->replays_last = s->replays > 0;
    if (s->replays && !s->reloads && one_in(g, 2))
        s->reloads = 2; /* else there is no route that is new */
    for (unsigned i = 0; i < s->replays; i++)
        world_in(&s->w, between(g, s->span_ms / 4, s->span_ms + AFTER_MS), on_replay, s);
}

/** Once all is at rest: what can be sent is sent. */
bool replay_settled(struct sim *s)
{
    if (!s->replays_last)
        return true;
    if (!lives(s) || !s->flow->replays_read)
        return false;
    s->replays_last = false;
    dead_letters(s, &s->replaying);
    for (size_t i = 0; i < s->config.n_routes && i < 4; i++)
        if (one_in(&s->replaying, 2))
            old_events(s, &s->replaying, i);
    return false;
}
