/*
 * moment.c - what happens at the worst moment: while what follows a delivery that is done is read
 * from the index, somebody discards the next one, or another webhook about the same comes. From a
 * source of its own, so that what else a seed brings stays as it was.
 */
#include <inttypes.h>
#include <string.h>
#include "sim.h"

#define SOON_MS  10
#define LATER_MS 100
#define NEXT     3

/** Long chains that go on and on. */
static void plan_chains(struct sim *s)
{
    s->subjects = 2;
    s->span_ms = 2000;
    for (unsigned i = CRM; i < ENDPOINTS; i++) {
        memset(s->remotes[i].deeds, 0, sizeof(s->remotes[i].deeds));
        s->remotes[i].hangs = false;
        s->remotes[i].slow_ms = 50;
        s->endpoints[i].rate_milli_per_s = 50000;
    }
}

void moment_plan(struct sim *s)
{
    world_rng(&s->w, 60, &s->moment);
    if (one_in(&s->moment, 2))
        return;
    s->moments = (unsigned)between(&s->moment, 20, 200);
    if (one_in(&s->moment, 2))
        plan_chains(s);
    world_say(&s->w, "at %u moments somebody is at what comes next", s->moments);
}

struct moment {
    struct sim *sim;
    uint64_t num;
};

static void on_decided(void *ctx, const struct decided *results, size_t n)
{
    (void)ctx;
    (void)results;
    (void)n;
}

static void on_discard(void *ctx)
{
    struct moment *m = ctx;
    struct sim *s = m->sim;
    struct decide d = { .what = DECISION_DISCARD, .who = STR("a person"), .nums = &m->num, .n = 1 };

    if (!s->flow || s->flow->draining || store_sim_stopped(s->store))
        return;
    world_say(&s->w, "a person discards %" PRIu64 ".%u, which is next", delivery_event(m->num),
              delivery_ordinal(m->num));
    flow_decide(s->flow, &d, on_decided, NULL);
}

/** One of the next few behind it; `ret_n`: how many there are. */
static const struct row *one_behind(struct sim *s, const struct row *r, unsigned *ret_n)
{
    const struct row *found = NULL;
    unsigned n = 0;

    for (r = r->chain; r && n < NEXT; r = r->chain)
        if (r->state == DS_READY && !r->first_sent_ms && one_in(&s->moment, ++n))
            found = r;
    *ret_n = n;
    return found;
}

static void discard(struct sim *s, uint64_t num, int64_t in_ms)
{
    struct moment *m = arena_alloc(&s->arena, sizeof(*m));

    *m = (struct moment){ s, num };
    world_in(&s->w, in_ms, on_discard, m);
}

void moment_done(struct sim *s, const struct rec_move *m)
{
    const struct row *r = tables_row(s->t, m->num), *next;
    unsigned n;

    if (!s->moments || s->healed || m->state != DS_DELIVERED || !r || !r->own)
        return;
    next = one_behind(s, r, &n);
    if (!next || one_in(&s->moment, 2))
        return;
    s->moments--;
    discard(s, next->num, one_in(&s->moment, 2) ? 0 : between(&s->moment, 0, SOON_MS));
}

void moment_sent(struct sim *s, const struct row *r)
{
    const struct event_row *e = tables_event(s->t, delivery_event(r->num));
    unsigned n;

    if (!s->moments || s->healed || !r->own || !one_behind(s, r, &n) ||
        !str_eq(e->receipt.endpoint, str_of(s->endpoints[SHOP].name)) || one_in(&s->moment, 2))
        return;
    s->moments--;
    sim_comes(s, e, between(&s->moment, 0, LATER_MS));
}
