/*
 * window.c - what a lane keeps in memory: the oldest deliveries of each priority, up to a limit.
 * The rest waits in the index and is claimed by rising num when there is room. What cannot go
 * before another one has takes no place where places are wanted: see sift.c and behind.c.
 *
 * A claim's answer is older than the moment it arrives. Two lists keep it from doing harm: what
 * left memory since it was asked for is not believed to be there (`gone`: else it would be sent
 * twice), and what was left to the index since then, below the claim's end, is claimed again
 * (`missed`: else it would wait for the next start).
 */
#include <stdlib.h>
#include "base/mem.h"
#include "flow/behind.h"

#define CLAIM_MAX      1000 /* more would keep the loop from all else for too long */
#define CLAIM_AGAIN_MS 1000

/* ---- lists of nums ---- */

static void nums_add(struct nums *s, uint64_t num)
{
    if (s->n == s->cap) {
        s->cap = s->cap ? s->cap * 2 : 64;
        s->at = mem_grow(s->at, s->cap * sizeof(*s->at));
    }
    s->at[s->n++] = num;
}

static int by_num(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

    return x < y ? -1 : x > y;
}

static bool nums_has(const struct nums *sorted, uint64_t num)
{
    return sorted->n && bsearch(&num, sorted->at, sorted->n, sizeof(num), by_num);
}

void lane_window_finish(struct window *w)
{
    free(w->gone.at);
    free(w->missed.at);
}

/* ---- in or out ---- */

bool lane_admits(struct lane *l, uint8_t priority, uint64_t num)
{
    struct window *w = &l->windows[priority];

    if (num <= w->last)
        return true; /* older than what is loaded: no claim would find it again */
    if (!w->spilled && w->n < l->flow->config->window) {
        w->last = num;
        return true;
    }
    w->spilled = true;
    w->skipped++;
    l->outside++;
    if (w->claiming)
        nums_add(&w->missed, num);
    sift_soon(l->flow); /* nothing else may happen in this lane */
    return false;
}

void lane_gone(struct lane *l, uint8_t priority, uint64_t num)
{
    struct window *w = &l->windows[priority];

    if (w->claiming)
        nums_add(&w->gone, num);
}

/* ---- who counts ---- */

static size_t *place_of(struct delivery *d)
{
    struct window *w = &d->lane->windows[d->priority];

    return d->state == DS_HELD ? NULL : d->aside ? &w->aside : &w->n;
}

void window_in(struct delivery *d)
{
    size_t *n = place_of(d);

    if (n)
        ++*n;
    d->lane->flow->aside += d->aside;
}

void window_out(struct delivery *d)
{
    size_t *n = place_of(d);

    if (n)
        --*n;
    d->lane->flow->aside -= d->aside;
}

void window_aside(struct delivery *d, bool aside)
{
    if (d->aside == aside)
        return;
    window_out(d);
    d->aside = aside;
    window_in(d);
}

void window_crowds(struct delivery *d)
{
    const struct lane *l = d->lane;

    if (!d->chain || list_entry(d->chain->members.next, struct delivery, chain_node) == d ||
        !sift_idle(d))
        return;
    if (l->windows[d->priority].aside < l->flow->config->window)
        window_aside(d, true);
    else
        behind_leave(d);
}

/* ---- claims ---- */

struct claim {
    struct lane *lane;
    uint8_t priority;
    uint32_t limit;
    uint64_t skipped_then;
};

static void claim_go(struct claim *c);

static void on_again(void *ctx, bool closing)
{
    if (closing)
        free(ctx);
    else
        claim_go(ctx);
}

/** What is in memory stays there, and so comes before what is read next. */
static void back_before(struct lane *l, struct window *w, uint64_t num)
{
    if (num > w->last)
        return;
    w->last = num - 1;
    l->flow->beyond = true;
}

/** What was left to the index while the claim was under way and lies within it: once more from
 *  there. What of that is in memory already is known by its num. */
static void step_back(struct lane *l, struct window *w)
{
    for (size_t i = 0; i < w->missed.n; i++)
        back_before(l, w, w->missed.at[i]);
}

void window_look_from(struct lane *l, int priority, uint64_t num)
{
    struct window *w = &l->windows[priority];

    if (w->claiming) {
        nums_add(&w->missed, num);
        w->skipped++;
    } else {
        back_before(l, w, num);
    }
    w->spilled = true;
}

void windows_look_from(struct flow *f, uint64_t num)
{
    for (size_t i = 0; i < f->n_all_lanes; i++)
        for (int p = 0; p < PRIORITY__COUNT; p++)
            window_look_from(f->lanes[i], p, num);
    for (int p = 0; p < PRIORITY__COUNT; p++)
        window_look_from(&f->nowhere, p, num);
}

/** It waits behind others of its chain that are in the index alone, and stays there with them. */
static bool stays(struct flow *f, const struct store_delivery *row)
{
    return f->n_behind && row->state == DS_READY && !row->first_sent_ms &&
           behind_keeps(f, config_route(f->config, row->route), row->subject, row->piece, row->num);
}

/** Nothing is in the index alone that memory does not know of. */
static bool all_read(const struct flow *f)
{
    for (size_t i = 0; i < f->n_all_lanes; i++)
        for (int p = 0; p < PRIORITY__COUNT; p++)
            if (f->lanes[i]->windows[p].spilled || f->lanes[i]->windows[p].out_from)
                return false;
    return true;
}

static void take_rows(struct claim *c, const struct store_delivery *rows, size_t n)
{
    struct lane *l = c->lane;
    struct window *w = &l->windows[c->priority];

    if (w->gone.n)
        qsort(w->gone.at, w->gone.n, sizeof(*w->gone.at), by_num);
    for (size_t i = 0; i < n; i++) {
        if (rows[i].num > w->last)
            w->last = rows[i].num;
        if (flow_delivery(l->flow, rows[i].num) || nums_has(&w->gone, rows[i].num) ||
            stays(l->flow, &rows[i]))
            continue;
        recover_row(l->flow, l, &rows[i]);
        struct delivery *d = flow_delivery(l->flow, rows[i].num);
        if (!d)
            continue;
        d->indexed = d->state == DS_READY;
        window_crowds(d);
    }
    step_back(l, w);
    if (n < c->limit && w->skipped == c->skipped_then)
        w->spilled = false;
    if (!w->spilled && l->flow->lowered && all_read(l->flow))
        l->flow->lowered = false;
}

static void on_claimed(void *ctx, int status, const struct store_delivery *rows, size_t n)
{
    struct claim *c = ctx;
    struct lane *l = c->lane;
    struct flow *f = l->flow;
    struct window *w = &l->windows[c->priority];

    if (status == UV_ECANCELED) {
        free(c);
        return;
    }
    if (status < 0) {
        log_error(&l->log, "cannot read waiting deliveries, asking again: err=%s",
                  uv_strerror(status));
        flow_later(f, CLAIM_AGAIN_MS, on_again, c);
        return;
    }
    w->claiming = false;
    take_rows(c, rows, n);
    free(c);
    recover_claimed(l, w);
    recover_step_done(f);
    lane_pump(l);
}

static void claim_go(struct claim *c)
{
    struct lane *l = c->lane;
    struct window *w = &l->windows[c->priority];
    int r;

    step_back(l, w); /* it was asked in vain: what is to be looked at again since then stays so */
    c->skipped_then = w->skipped;
    w->gone.n = w->missed.n = 0;
    r = store_claim(l->flow->store, str_of(l->name), c->priority, w->last, c->limit, on_claimed, c);
    if (r == UV_ECANCELED)
        free(c); /* closing */
    else if (r < 0)
        flow_later(l->flow, CLAIM_AGAIN_MS, on_again, c);
}

void lane_refill(struct lane *l)
{
    struct flow *f = l->flow;
    bool crowded = false;

    for (int p = 0; p < PRIORITY__COUNT; p++) {
        struct window *w = &l->windows[p];
        uint64_t room = w->n < f->config->window ? f->config->window - w->n : 0;
        /* A claim has its price: it waits for half of the window, or for room for a whole one. But
         * before the first one nothing leaves: what others moved here waits for it, too. */
        if (!w->spilled || w->claiming)
            continue;
        if (w->read && room < CLAIM_MAX && w->n > f->config->window / 2) {
            crowded = true;
            continue;
        }
        struct claim *c = mem_zero(sizeof(*c));
        c->lane = l;
        c->priority = (uint8_t)p;
        c->limit = room < CLAIM_MAX ? (uint32_t)(room ? room : 1) : CLAIM_MAX;
        w->claiming = true;
        recover_step(f);
        claim_go(c);
    }
    if (crowded)
        sift_soon(f);
}
