#include "world.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <time.h>
#include "base/mem.h"

#define WALL_AHEAD_MS INT64_C(1763700000000) /* of the wall clock before the other one */
#define BEGIN_MS      1000000

/* ---- the process's clock ---- */

static int64_t now_ms = BEGIN_MS;
static int64_t wall_ms = WALL_AHEAD_MS;

int64_t world_now(void)
{
    return now_ms;
}

__attribute__((visibility("default"))) int clock_gettime(clockid_t id, struct timespec *ts)
{
    int64_t ms = now_ms + (id == CLOCK_REALTIME || id == CLOCK_REALTIME_COARSE ? wall_ms : 0);

    ts->tv_sec = ms / 1000;
    ts->tv_nsec = ms % 1000 * 1000000;
    return 0;
}

void world_set_wall(int64_t by_ms)
{
    wall_ms += by_ms;
}

/* Nothing comes from outside, so a loop that would sleep has slept. */
static int slept(int timeout)
{
    if (timeout < 0) {
        fprintf(stderr, "sim: the loop would sleep for ever\n");
        abort();
    }
    now_ms += timeout;
    return 0;
}

__attribute__((visibility("default"))) int epoll_wait(int fd, struct epoll_event *events, int most,
                                                      int timeout)
{
    (void)fd;
    (void)events;
    (void)most;
    return slept(timeout);
}

__attribute__((visibility("default"))) int epoll_pwait(int fd, struct epoll_event *events, int most,
                                                       int timeout, const sigset_t *mask)
{
    (void)fd;
    (void)events;
    (void)most;
    (void)mask;
    return slept(timeout);
}

/* ---- the agenda ---- */

static bool sooner(const struct thing *a, const struct thing *b)
{
    return a->at_ms != b->at_ms ? a->at_ms < b->at_ms : a->order < b->order;
}

static void push(struct world *w, struct thing t)
{
    size_t i;

    if (w->n == w->cap) {
        w->cap = w->cap ? w->cap * 2 : 256;
        w->agenda = mem_grow(w->agenda, w->cap * sizeof(*w->agenda));
    }
    for (i = w->n++; i > 0 && sooner(&t, &w->agenda[(i - 1) / 2]); i = (i - 1) / 2)
        w->agenda[i] = w->agenda[(i - 1) / 2];
    w->agenda[i] = t;
}

static struct thing pop(struct world *w)
{
    struct thing first = w->agenda[0], last = w->agenda[--w->n];
    size_t i = 0, c;

    for (; (c = 2 * i + 1) < w->n; i = c) {
        if (c + 1 < w->n && sooner(&w->agenda[c + 1], &w->agenda[c]))
            c++;
        if (!sooner(&w->agenda[c], &last))
            break;
        w->agenda[i] = w->agenda[c];
    }
    w->agenda[i] = last;
    return first;
}

static void on_timer(uv_timer_t *t);

static void arm(struct world *w)
{
    int64_t in = w->n ? w->agenda[0].at_ms - now_ms : 0;

    if (w->n)
        uv_timer_start(&w->timer, on_timer, in > 0 ? (uint64_t)in : 0, 0);
    else
        uv_timer_stop(&w->timer);
}

static void on_timer(uv_timer_t *t)
{
    struct world *w = t->data;
    uint64_t most = w->ordered; /* what these put on the agenda waits a turn */

    while (w->n && w->agenda[0].at_ms <= now_ms && w->agenda[0].order <= most) {
        struct thing next = pop(w);
        next.fn(next.ctx);
    }
    arm(w);
}

void world_in(struct world *w, int64_t ms, void (*fn)(void *ctx), void *ctx)
{
    struct thing t = { now_ms + ms, ++w->ordered, fn, ctx };
    bool first = !w->n || sooner(&t, &w->agenda[0]);

    push(w, t);
    if (first)
        arm(w);
}

void world_skip(struct world *w, int64_t ms)
{
    now_ms += ms;
    uv_update_time(&w->loop);
    arm(w);
}

void world_turn(struct world *w)
{
    uv_run(&w->loop, UV_RUN_ONCE);
}

/* ---- life ---- */

void world_init(struct world *w, uint64_t seed, bool trace)
{
    *w = (struct world){ .seed = seed, .trace = trace, .digest = 14695981039346656037u };
    now_ms = BEGIN_MS;
    wall_ms = WALL_AHEAD_MS;
    uv_loop_init(&w->loop);
    uv_timer_init(&w->loop, &w->timer);
    w->timer.data = w;
}

void world_finish(struct world *w)
{
    uv_close((uv_handle_t *)&w->timer, NULL);
    uv_run(&w->loop, UV_RUN_NOWAIT);
    uv_run(&w->loop, UV_RUN_NOWAIT);
    if (uv_loop_close(&w->loop) != 0)
        world_fail(w, "something is still open at the end");
    free(w->agenda);
}

void world_rng(const struct world *w, unsigned part, struct rng *ret)
{
    rng_seed(ret, w->seed * 64 + part);
}

/* ---- what is said ---- */

static void stamp(FILE *to)
{
    fprintf(to, "%9.3f ", (double)(now_ms - BEGIN_MS) / 1000);
}

void world_fail(struct world *w, const char *fmt, ...)
{
    va_list ap;
    int n;

    if (w->failure[0])
        return;
    n = snprintf(w->failure, sizeof(w->failure), "at %.3f s: ", (double)(now_ms - BEGIN_MS) / 1000);
    va_start(ap, fmt);
    vsnprintf(w->failure + n, sizeof(w->failure) - (size_t)n, fmt, ap);
    va_end(ap);
    if (w->trace) {
        stamp(stderr);
        fprintf(stderr, "*** %s\n", w->failure);
    }
}

void world_say(struct world *w, const char *fmt, ...)
{
    char line[400];
    va_list ap;
    int n;

    va_start(ap, fmt);
    n = vsnprintf(line, sizeof(line), fmt, ap);
    va_end(ap);
    for (int i = 0; i < n && i < (int)sizeof(line) - 1; i++)
        w->digest = (w->digest ^ (uint8_t)line[i]) * 1099511628211u;
    w->digest = (w->digest ^ (uint64_t)now_ms) * 1099511628211u;
    if (w->trace) {
        stamp(stderr);
        fprintf(stderr, "%s\n", line);
    }
}
