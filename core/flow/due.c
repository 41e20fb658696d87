#include "flow/due.h"

#include <stdlib.h>
#include "base/clock.h"
#include "flow/lookup.h"
#include "flow/with.h"

#define PAGE     512
#define MOST     4096 /* in memory; with more the store is asked again for the first */
#define AT_ONCE  256
#define BUSY_MS  50
#define AGAIN_MS 1000
#define LOOK_MS  1000 /* the wall clock may have been set meanwhile */

struct due_item {
    UT_hash_handle hh; /* due.items, by key */
    uint64_t key;
    int64_t at_ms;    /* when it is looked at: then, or later when it was busy */
    int64_t clock_ms; /* what its clock says */
    size_t heap_at;
};

static uint64_t key_of(bool deadline, uint64_t num)
{
    return num << 1 | deadline;
}

static int64_t heap_key(const void *item)
{
    return ((const struct due_item *)item)->at_ms;
}

static void heap_moved(void *item, size_t place)
{
    ((struct due_item *)item)->heap_at = place;
}

static void look(struct flow *f);

/* ---- the heap ---- */

/** Its time has come, and nothing could be done then. */
static bool is_again(const struct due_item *i)
{
    return i->at_ms != i->clock_ms;
}

static void item_free(struct due *u, struct due_item *i)
{
    u->again -= is_again(i);
    HASH_DEL(u->items, i);
    if (i->heap_at)
        heap_remove(&u->heap, i->heap_at);
    free(i);
}

static void forget_all(struct due *u)
{
    struct due_item *i, *tmp;

    HASH_ITER (hh, u->items, i, tmp)
        item_free(u, i);
}

static void put(struct due *u, uint64_t key, int64_t at_ms, int64_t clock_ms)
{
    struct due_item *i;

    HASH_FIND(hh, u->items, &key, sizeof(key), i);
    if (i) {
        u->again -= is_again(i);
        heap_remove(&u->heap, i->heap_at);
    } else {
        i = mem_zero(sizeof(*i));
        i->key = key;
        HASH_ADD(hh, u->items, key, sizeof(i->key), i);
    }
    i->at_ms = at_ms;
    i->clock_ms = clock_ms;
    u->again += is_again(i);
    heap_push(&u->heap, i);
}

void due_add(struct flow *f, bool deadline, uint64_t num, int64_t at_ms)
{
    struct due *u = &f->due;

    if (!at_ms || f->closing || (at_ms > u->horizon_ms && !u->reading))
        return; /* the store is asked when it is time */
    put(u, key_of(deadline, num), at_ms, at_ms);
    if (HASH_COUNT(u->items) > MOST) {
        forget_all(u);
        u->horizon_ms = 0;
        u->missed = u->reading; /* it may be answered by what was there before */
    }
    look(f);
}

void due_again(struct flow *f, bool deadline, uint64_t num, int64_t clock_ms, int64_t ms)
{
    uint64_t key = key_of(deadline, num);
    struct due_item *i;

    HASH_FIND(hh, f->due.items, &key, sizeof(key), i);
    if (f->closing || i) /* it was set anew meanwhile */
        return;
    put(&f->due, key, clock_wall_ms() + ms, clock_ms);
    look(f); /* nothing else may be due until then */
}

/* ---- the store ---- */

static void read_page(struct flow *f);

static void on_again(void *ctx, bool closing)
{
    struct flow *f = ctx;

    f->due.reading = false;
    if (!closing)
        look(f);
}

/** Of the store: what waits to be looked at again has its time already. */
static void put_read(struct due *u, const struct store_due *d)
{
    uint64_t key = key_of(d->deadline, d->num);
    struct due_item *i;

    HASH_FIND(hh, u->items, &key, sizeof(key), i);
    if (!i || !is_again(i))
        put(u, key, d->at_ms, d->at_ms);
}

static void on_page(void *ctx, int status, const struct store_due *d, size_t n, int64_t horizon_ms)
{
    struct flow *f = ctx;
    struct due *u = &f->due;

    if (status == UV_ECANCELED || f->closing)
        return;
    if (status < 0) {
        log_error(&f->log, "cannot read what is due, asking again: err=%s", uv_strerror(status));
        flow_later(f, AGAIN_MS, on_again, f);
        return;
    }
    u->reading = false;
    u->horizon_ms = u->missed ? 0 : horizon_ms;
    u->missed = false;
    for (size_t i = 0; i < n; i++)
        put_read(u, &d[i]);
    look(f);
}

static void read_page(struct flow *f)
{
    int r;

    f->due.reading = true;
    /* what is looked at again stands first: always some behind it, too */
    r = store_due(f->store, PAGE + (uint32_t)f->due.again, on_page, f);
    if (r < 0 && r != UV_ECANCELED)
        flow_later(f, AGAIN_MS, on_again, f);
}

/* ---- due ---- */

/** Holds that are decided by their clocks; its arrays behind it. */
struct ringing {
    struct flow *flow;
    size_t n;
    int64_t clocks[AT_ONCE];
    uint64_t nums[AT_ONCE];
};

static void on_decided(void *ctx, const struct decided *results, size_t n)
{
    struct ringing *g = ctx;
    struct flow *f = g->flow;

    for (size_t i = 0; i < n; i++) {
        int status = results[i].status;
        if (status == UV_EBUSY)
            due_again(f, false, g->nums[i], g->clocks[i], BUSY_MS);
        else if (status == UV_EAGAIN)
            lookup_start(f, g->nums[i], g->clocks[i]);
        else if (status == UV_ETIMEDOUT)
            with_again(f, g->nums[i], g->clocks[i]);
        else if (status == UV_EINVAL) /* its clock says something else: the store knows what */
            f->due.horizon_ms = 0;
        else if (status < 0 && status != UV_ENOENT)
            due_again(f, false, g->nums[i], g->clocks[i], AGAIN_MS);
    }
    free(g);
    due_fired(f);
}

static void ring(struct ringing *g)
{
    struct decide d = {
        .what = DECISION_CLOCK, .who = STR("clock"), .nums = g->nums, .n = g->n, .clocks = g->clocks
    };

    g->flow->due.firing++;
    flow_decide(g->flow, &d, on_decided, g);
}

/** Takes what is due out of the heap; the nums of deadlines to `deadlines`. */
static void take(struct flow *f, struct ringing *g, uint64_t *deadlines, size_t *n_deadlines)
{
    int64_t now = clock_wall_ms();
    struct due *u = &f->due;
    struct due_item *i;

    while ((i = heap_first(&u->heap)) && i->at_ms <= now && g->n < AT_ONCE &&
           *n_deadlines < AT_ONCE) {
        if (i->key & 1) {
            deadlines[(*n_deadlines)++] = i->key >> 1;
        } else {
            g->clocks[g->n] = i->clock_ms;
            g->nums[g->n++] = i->key >> 1;
        }
        item_free(u, i);
    }
}

static void on_timer(uv_timer_t *t)
{
    struct flow *f = container_of(t, struct flow, due.timer);
    struct ringing *g = mem_zero(sizeof(*g));
    uint64_t deadlines[AT_ONCE];
    size_t n = 0;

    g->flow = f;
    take(f, g, deadlines, &n);
    if (n) {
        f->due.firing++;
        deadline_fire(f, deadlines, n);
    }
    if (g->n)
        ring(g);
    else
        free(g);
    look(f);
}

void due_fired(struct flow *f)
{
    f->due.firing--;
    look(f);
}

/** What is next: a page of the store, or the first of the heap. */
static void look(struct flow *f)
{
    struct due *u = &f->due;
    const struct due_item *first = heap_first(&u->heap);
    int64_t now = clock_wall_ms(), wait = LOOK_MS;

    if (f->closing || f->draining)
        return;
    if (!u->reading && !u->firing && u->horizon_ms != INT64_MAX && u->again < MOST &&
        (!first || first->at_ms > u->horizon_ms))
        read_page(f);
    if (!first)
        return;
    if (first->at_ms <= now + wait)
        wait = first->at_ms > now ? first->at_ms - now : 0;
    uv_timer_start(&u->timer, on_timer, (uint64_t)wait, 0);
}

/* ---- life ---- */

void due_open(struct flow *f)
{
    struct due *u = &f->due;

    u->heap = (struct heap){ .key = heap_key, .moved = heap_moved };
    uv_timer_init(f->loop, &u->timer);
    uv_handle_set_data((uv_handle_t *)&u->timer, f);
    f->handles++;
    read_page(f);
}

void due_close(struct flow *f)
{
    forget_all(&f->due);
    free(f->due.heap.at);
    uv_close((uv_handle_t *)&f->due.timer, flow_on_closed);
}
