/*
 * stop.c - a person pauses, drains and resumes endpoints and routes; what is durable of it holds
 * over a crash.
 */
#include <inttypes.h>
#include <string.h>
#include "base/clock.h"
#include "sim.h"

#define LURKS      200 /* looks, at most */
#define LURK_MS    150
#define LURKED_MS  3000 /* so long it is paused */
#define FORESEE_MS 2500

static const char *name_of(const struct sim *s, bool route, size_t i)
{
    return route ? s->routes[i].name : s->endpoints[i].name;
}

static sl_str space_of(bool route)
{
    return route ? STR("pause-route") : STR("pause-endpoint");
}

/* ---- what holds ---- */

struct told { /* until it is durable and holds */
    struct sim *sim;
    struct stop *stop;
    enum pause_what what;
    uint64_t deaths; /* of processes, when it was said */
};

static void on_paused(void *ctx, int status)
{
    struct told *t = ctx;

    if (status < 0 || t->deaths != t->sim->deaths)
        return;
    t->stop->on = t->what != PAUSE_ENDS;
    t->stop->drain = t->what == PAUSE_DRAINS;
    t->stop->ended_ms = t->stop->on ? t->stop->ended_ms : world_now();
}

static void say(struct sim *s, bool route, size_t i, enum pause_what what)
{
    static const char *const words[] = { "pauses", "drains", "resumes" };
    struct told *t = arena_alloc(&s->arena, sizeof(*t));
    struct flow_pause p = {
        .what = what, .route = route, .name = str_of(name_of(s, route, i)), .who = STR("a person")
    };

    *t = (struct told){ s, &s->stops[route][i], what, s->deaths };
    world_say(&s->w, "a person %s %s %s", words[what], route ? "route" : "endpoint",
              name_of(s, route, i));
    flow_pause(s->flow, &p, on_paused, t);
}

/** The store says what was durable when the process before ended. */
void stop_begin(struct sim *s)
{
    for (const struct state_row *r = s->t->states; r; r = r->next)
        for (int route = 0; route < 2; route++)
            for (size_t i = 0; i < (route ? s->config.n_routes : ENDPOINTS); i++) {
                struct stop *stop = &s->stops[route][i];
                if (!str_eq(r->space, space_of(route)) ||
                    !str_eq(r->key, str_of(name_of(s, route, i))))
                    continue;
                if (stop->on && !r->value.len)
                    stop->ended_ms = world_now();
                stop->on = r->value.len > 0;
                stop->drain = str_eq(r->value, STR("{\"drain\":true}"));
            }
}

/* ---- when ---- */

static bool lives(const struct sim *s)
{
    return s->flow && !s->flow->draining && !store_sim_stopped(s->store);
}

static void on_stop(void *ctx)
{
    struct sim *s = ctx;
    struct rng *g = &s->stopping;
    bool route = one_in(g, 2);
    size_t i = route ? rng_below(g, s->config.n_routes) : (size_t)between(g, CRM, DESK);

    s->pauses--;
    if (!lives(s) || s->healed)
        return;
    if (s->stops[route][i].on && !one_in(g, 4))
        say(s, route, i, PAUSE_ENDS);
    else
        say(s, route, i, one_in(g, 3) ? PAUSE_DRAINS : PAUSE_BEGINS);
}

/* ---- just as it is asked for ---- */

/** Somebody who waits for the worst moment: when the question of what became of a delivery is on
 *  its way already. */
struct lurker {
    struct sim *sim;
    unsigned looks, endpoint;
};

static void on_lurk_over(void *ctx)
{
    struct lurker *l = ctx;

    if (lives(l->sim) && !l->sim->healed && l->sim->stops[false][l->endpoint].on)
        say(l->sim, false, l->endpoint, PAUSE_ENDS);
}

static void on_pounce(void *ctx)
{
    struct lurker *l = ctx;

    if (!lives(l->sim) || l->sim->healed || l->sim->stops[false][l->endpoint].on)
        return;
    say(l->sim, false, l->endpoint, PAUSE_BEGINS);
    world_in(&l->sim->w, LURKED_MS, on_lurk_over, l);
}

/** The next question, and when; NULL: none is near. */
static const struct row *next_question(const struct sim *s, int64_t *ret_in)
{
    const struct row *found = NULL;

    for (size_t i = 0; i < s->t->n_rows; i++) {
        const struct row *r = s->t->rows[i];
        int64_t in = r->next_ms - clock_wall_ms();
        if (r->state != DS_UNKNOWN || in < 0 || in > FORESEE_MS ||
            !config_endpoint(s->current, r->endpoint) || (found && in >= *ret_in))
            continue;
        found = r;
        *ret_in = in;
    }
    return found;
}

static void on_lurk(void *ctx)
{
    struct lurker *l = ctx;
    struct sim *s = l->sim;
    int64_t in = 0;
    const struct row *r = lives(s) ? next_question(s, &in) : NULL;

    if (s->healed)
        return;
    if (r) {
        l->endpoint = config_endpoint(&s->config, r->endpoint)->index;
        world_in(&s->w, in, on_pounce, l);
    } else if (++l->looks < LURKS) {
        world_in(&s->w, LURK_MS, on_lurk, l);
    }
}

static void plan_lurkers(struct sim *s)
{
    struct rng own, *g = &own;

    world_rng(&s->w, 53, g);
    if (!s->pauses || !one_in(g, 3))
        return;
    for (int i = 0; i < 4; i++) {
        struct lurker *l = memset(arena_alloc(&s->arena, sizeof(*l)), 0, sizeof(*l));
        l->sim = s;
        world_in(&s->w, between(g, 0, s->span_ms), on_lurk, l);
    }
}

void stop_plan(struct sim *s)
{
    plan_lurkers(s);
    for (unsigned i = 0; i < s->pauses; i++)
        world_in(&s->w, between(&s->stopping, 0, s->span_ms + AFTER_MS), on_stop, s);
}

bool stop_settled(struct sim *s)
{
    bool none = true;

    for (const struct state_row *r = s->t->states; r; r = r->next)
        none &= !r->value.len ||
                !(str_eq(r->space, space_of(true)) || str_eq(r->space, space_of(false)));
    if (none || !lives(s) || !flow_recovered(s->flow))
        return none;
    for (int route = 0; route < 2; route++)
        for (size_t i = 0; i < (route ? s->config.n_routes : ENDPOINTS); i++)
            if (s->stops[route][i].on)
                say(s, route, i, PAUSE_ENDS);
    return false;
}
