/*
 * crowd.c - a plan in which windows are always too small for what cannot go: much that is about few
 * subjects, held for people who hardly come, dead letters that others wait for, and some of other
 * subjects between them, which must go all the same.
 */
#include "sim.h"

#define PICK(rng, ...) \
    ((const int[]){ __VA_ARGS__ }[rng_below(rng, sizeof((int[]){ __VA_ARGS__ }) / sizeof(int))])

static struct conf_hold approval = { .type = "approval" };

void plan_crowd(struct sim *s)
{
    struct rng own, *g = &own;

    plan_make(s);
    world_rng(&s->w, 42, g);
    s->config.window = (uint64_t)PICK(g, 1, 2, 3, 5, 8);
    s->coming = (unsigned)PICK(g, 60, 120, 200);
    s->subjects = (unsigned)PICK(g, 2, 4, 12);
    s->decisions = (unsigned)PICK(g, 0, 3, 15);
    for (size_t i = 0; i < s->config.n_routes; i++) {
        struct conf_route *r = &s->routes[i];
        r->ordered |= !one_in(g, 4) && !r->coalesce;
        if (!r->hold && !r->coalesce && !r->latest && one_in(g, 6))
            r->hold = &approval;
    }
    for (unsigned i = CRM; i < ENDPOINTS; i++) {
        s->remotes[i].deeds[DEED_REVIEW] = (unsigned)PICK(g, 0, 30, 100);
        s->remotes[i].deeds[DEED_REJECT] = (unsigned)PICK(g, 0, 30, 100);
    }
    moment_plan(s);
    world_say(&s->w, "crowd: window %u, %u webhooks about %u subjects", (unsigned)s->config.window,
              s->coming, s->subjects);
}
