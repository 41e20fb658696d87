/*
 * earlier.c - order over several lanes, where not all of it is in memory.
 *
 * A chain knows what is in memory, and a lane's window holds the lane's oldest. So in one lane the
 * first in memory is the first of all; but a route that sends to several - a group, a choice - may
 * have an earlier delivery of the same subject that waits in the index for another lane's window,
 * and what a replay has given another priority waits for another window of the same lane.
 * Before the first of such a chain leaves, the index is asked, once; an earlier one that it names
 * is read into memory by behind.c, wherever it waits, and goes first. So two lanes never wait for
 * each other for ever.
 */
#include <stdlib.h>
#include "base/mem.h"
#include "flow/behind.h"

#define ASKED_MOST 16
#define AGAIN_MS   250

static bool window_hides(const struct lane *l, int priority, uint64_t num)
{
    const struct window *w = &l->windows[priority];

    return (w->spilled && w->last < num) || (w->out_from && w->out_from < num);
}

/** It, or one that is in the index alone, may have another priority than the others of its chain:
 * by a replay, or by another configuration. */
static bool is_mixed(const struct delivery *d)
{
    return d->lane->flow->lowered || d->priority != (uint8_t)d->route->priority;
}

/** By another priority than its own, which the configuration gave their route before. */
static bool hides_mixed(const struct lane *l, const struct delivery *d)
{
    uint64_t before = d->num < l->flow->mixed ? d->num : l->flow->mixed;

    for (int p = 0; p < PRIORITY__COUNT; p++)
        if (p != d->priority && window_hides(l, p, before))
            return true;
    return false;
}

/** Does the lane have deliveries that may be of its chain, are older and not in memory? Those have
 *  its priority, unless a replay has given it, or them, another one, or the configuration has. */
static bool hides_older(const struct lane *l, const struct delivery *d)
{
    bool hides = window_hides(l, d->priority, d->num) || hides_mixed(l, d);

    for (int p = 0; p < PRIORITY__COUNT && !hides && is_mixed(d); p++)
        hides = window_hides(l, p, d->num);
    return hides;
}

bool earlier_in_one_lane(const struct delivery *d)
{
    const struct flow *f = d->lane->flow;

    return !conf_route_send(d->route, 1) && d->route->n_targets == 1 && !is_mixed(d) &&
           f->n_lanes == f->n_all_lanes && !hides_mixed(d->lane, d);
}

/** Could an earlier one of its chain be in the index alone? */
static bool is_in_doubt(const struct delivery *d)
{
    struct flow *f = d->lane->flow;
    const struct conf_target *t;

    for (size_t i = f->n_lanes; i < f->n_all_lanes; i++) /* it may have been a member */
        if (hides_older(f->lanes[i], d))
            return true;
    if (f->gone_unread && d->target->group)
        return true;
    if (!conf_route_send(d->route, 1) && d->route->n_targets == 1)
        return hides_older(d->lane, d);
    for (size_t i = 0; (t = conf_route_send(d->route, i)); i++) {
        const struct lane *l = flow_lane(f, str_of(t->endpoint->name));
        if (l && hides_older(l, d))
            return true;
    }
    return hides_older(&f->nowhere, d);
}

struct question {
    struct flow *flow;
    uint64_t num;
};

static void ask_next(struct flow *f);

/** Its pile takes it, or it is asked about anew. */
static void look_again(struct question *q)
{
    struct delivery *d = flow_delivery(q->flow, q->num);

    if (d) {
        d->asked_earlier = false;
        pile_add(d);
        lane_pump_soon(d->lane);
    }
    free(q);
}

static void on_again(void *ctx, bool closing)
{
    if (closing)
        free(ctx);
    else
        look_again(ctx);
}

/** There is one before it: then that one is read, and this one's turn comes after it. */
static bool follows(struct delivery *d, uint64_t num)
{
    if (!d->chain || !d->route || flow_delivery(d->lane->flow, num))
        return false;
    d->asked_earlier = false;
    behind_note(d->chain, d, num);
    behind_look(d->chain);
    return true;
}

static void on_answer(void *ctx, int status, const struct store_delivery *rows, size_t n)
{
    struct question *q = ctx;
    struct flow *f = q->flow;
    struct delivery *d = flow_delivery(f, q->num);

    f->earlier_asked--;
    if (status == UV_ECANCELED) {
        free(q);
        return;
    }
    if (status == 0 && n == 0 && d) {
        d->cleared = true;
        look_again(q);
    } else if (status == 0 && n && d && follows(d, rows[0].num)) {
        free(q);
    } else {
        flow_later(f, AGAIN_MS, on_again, q);
    }
    ask_next(f);
}

static void ask(struct delivery *d)
{
    struct flow *f = d->lane->flow;
    struct question *q = mem_zero(sizeof(*q));
    struct store_chain what = { .route = str_of(d->route->name),
                                .subject = str_of(d->subject),
                                .piece = str_of(d->piece),
                                .before = d->num,
                                .limit = 1 };

    *q = (struct question){ f, d->num };
    if (store_chain(f->store, &what, on_answer, q) == 0)
        f->earlier_asked++;
    else
        flow_later(f, AGAIN_MS, on_again, q);
}

static void ask_next(struct flow *f)
{
    while (f->earlier_asked < ASKED_MOST && !list_empty(&f->earlier) && !f->draining) {
        struct delivery *d = list_entry(f->earlier.next, struct delivery, earlier_node);
        list_remove(&d->earlier_node);
        if (d->route)
            ask(d);
        else
            d->asked_earlier = false; /* a reload took its route: it is being held */
    }
}

void earlier_changed(struct flow *f)
{
    struct store_stats stats;

    store_stats(f->store, &stats);
    f->mixed = delivery_num(stats.log_seq + 1, 0);
}

bool earlier_clear(struct delivery *d)
{
    struct flow *f = d->lane->flow;

    if (!d->chain || d->cleared)
        return true;
    if (d->asked_earlier || !f->started) /* once all windows are read, few are in doubt */
        return false;
    /* What is decided just now may be between two lanes: neither knows of it. */
    if (!is_in_doubt(d) && !(d->target->group && f->deciding))
        return true;
    if (!f->started) /* windows are being read still: it is looked at again when all are */
        return false;
    d->asked_earlier = true;
    list_append(&f->earlier, &d->earlier_node);
    ask_next(f);
    return false;
}

void earlier_forget(struct delivery *d)
{
    list_remove(&d->earlier_node);
}
