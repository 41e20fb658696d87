/*
 * world.h - one simulated world: a clock that jumps to the next thing there is to do, an agenda of
 * such things, and random numbers that all come from one seed.
 *
 * The clock is the whole process's: world.c defines clock_gettime() and epoll_wait(), so that libuv
 * and the flow read it, and a loop that would sleep moves it on. Nothing in the process may use
 * threads or descriptors: no sleep is ever cut short.
 *
 * Thread: one. Times are milliseconds of the simulated clock.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <uv.h>
#include "base/rng.h"

struct thing { /* to be done at a time */
    int64_t at_ms;
    uint64_t order; /* of two at the same time */
    void (*fn)(void *ctx);
    void *ctx;
};

struct world {
    uv_loop_t loop;
    uv_timer_t timer;
    struct thing *agenda; /* a heap */
    size_t n, cap;
    uint64_t ordered;
    uint64_t seed;
    bool trace;
    uint64_t digest;   /* of all that was said: equal seeds give equal ones */
    char failure[400]; /* the first property that did not hold; empty: none */
};

void world_init(struct world *w, uint64_t seed, bool trace);
/** The agenda is forgotten; the loop must be able to close: a failure if not. */
void world_finish(struct world *w);
/** A source of random numbers of its own for each part, so that one draws without moving another.
 */
void world_rng(const struct world *w, unsigned part, struct rng *ret);

int64_t world_now(void);
/** The wall clock is set, forward or back; the other one knows nothing of it. */
void world_set_wall(int64_t by_ms);
/** The time goes on while nobody lives: nothing on the agenda is done meanwhile. */
void world_skip(struct world *w, int64_t ms);
void world_in(struct world *w, int64_t ms, void (*fn)(void *ctx), void *ctx);
/** One turn of the loop, and the time to the next thing with it. */
void world_turn(struct world *w);

/** A property does not hold. The first one is kept. */
void world_fail(struct world *w, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/** A line of the trace, and into the digest. */
void world_say(struct world *w, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/** Chances and sizes. */
static inline bool one_in(struct rng *r, uint64_t n)
{
    return n && rng_below(r, n) == 0;
}

static inline bool per_mille(struct rng *r, unsigned p)
{
    return rng_below(r, 1000) < p;
}

static inline int64_t between(struct rng *r, int64_t least, int64_t most)
{
    return least + (int64_t)rng_below(r, (uint64_t)(most - least) + 1);
}
