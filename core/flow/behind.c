/*
 * behind.c - see behind.h.
 */
#include "flow/behind.h"

#include <stdlib.h>
#include <string.h>
#include "base/mem.h"
#include "flow/order.h"

#define SOME     32 /* read at once: more would fill memory with what waits */
#define AGAIN_MS 1000

/* ---- life ---- */

static struct behind *begin(struct chain *c, const struct delivery *of, uint64_t from)
{
    struct behind *b = mem_zero(sizeof(*b));

    *b = (struct behind){
        .flow = of->lane->flow,
        .chain = c,
        .route = mem_str(of->route->name),
        .subject = mem_str(of->subject),
        .piece = mem_str(of->piece),
        .from = from,
    };
    c->behind = b;
    b->flow->n_behind++;
    return b;
}

static void behind_free(struct behind *b)
{
    free(b->route);
    free(b->subject);
    free(b->piece);
    free(b);
}

/** The chain has all of it; an answer that is still to come means nothing. */
static void end(struct chain *c)
{
    struct behind *b = c->behind;

    c->behind = NULL;
    b->flow->n_behind--;
    b->chain = NULL;
    if (!b->asking)
        behind_free(b);
}

static struct delivery *first_of(const struct chain *c)
{
    return list_empty(&c->members) ? NULL
                                   : list_entry(c->members.next, struct delivery, chain_node);
}

void chain_free_if_empty(struct flow *f, struct chain *c)
{
    if (!list_empty(&c->members) || c->behind)
        return;
    HASH_DELETE(hh, f->chains, c);
    free(c);
}

void behinds_finish(struct flow *f)
{
    struct chain *c, *tmp;

    HASH_ITER (hh, f->chains, c, tmp) {
        if (c->behind) {
            c->behind->asking = false; /* the store is gone */
            end(c);
        }
        chain_free_if_empty(f, c);
    }
}

/* ---- answered ---- */

static void ask(struct behind *b);

static void take_row(struct flow *f, const struct store_delivery *row, bool whole)
{
    struct lane *l = lane_named(f, row->endpoint);
    struct delivery *d;

    if (flow_delivery(f, row->num))
        return;
    recover_row(f, l ? l : &f->nowhere, row);
    d = flow_delivery(f, row->num);
    if (!d || !d->chain)
        return;
    d->cleared |= whole && earlier_in_one_lane(d);
    d->indexed = d->state == DS_READY;
    l = d->lane;
    window_crowds(d); /* which may leave it to the index again */
    lane_pump_soon(l);
}

static void take_rows(struct behind *b, const struct store_delivery *rows, size_t n)
{
    struct flow *f = b->flow;
    struct chain *c = b->chain;
    bool whole = b->whole;
    uint8_t key[16];

    memcpy(key, c->key, sizeof(key));
    f->beyond = true;
    if (n < b->limit && !b->more)
        end(c);
    else if (n)
        b->from = rows[n - 1].num + 1;
    for (size_t i = 0; i < n; i++)
        take_row(f, &rows[i], whole);
    HASH_FIND(hh, f->chains, key, sizeof(key), c);
    if (!c)
        return;
    struct delivery *first = first_of(c);
    if (first) {
        pile_add(first);
        lane_pump_soon(first->lane);
    }
    behind_look(c);
    chain_free_if_empty(f, c);
}

static void on_again(void *ctx, bool closing)
{
    struct behind *b = ctx;

    b->asking = false;
    if (!b->chain)
        behind_free(b);
    else if (!closing)
        ask(b);
}

static void on_rows(void *ctx, int status, const struct store_delivery *rows, size_t n)
{
    struct behind *b = ctx;

    b->flow->behind_asking--;
    b->asking = false;
    if (!b->chain) {
        behind_free(b);
    } else if (status == UV_ECANCELED) {
        return; /* closing: behinds_finish() frees it */
    } else if (status < 0) {
        log_error(&b->flow->log, "cannot read what follows of %s, asking again: err=%s", b->subject,
                  uv_strerror(status));
        b->asking = true;
        flow_later(b->flow, AGAIN_MS, on_again, b);
    } else if (b->again) {
        ask(b);
    } else {
        take_rows(b, rows, n);
    }
}

/* ---- asked ---- */

/** What waits in memory is bounded: a chain that moves on has some at hand, or the next alone. */
static uint32_t how_many(const struct behind *b)
{
    const struct flow *f = b->flow;
    uint32_t most = f->config->window < SOME ? (uint32_t)f->config->window : SOME;

    return f->aside < f->config->window ? most : 1;
}

static void ask(struct behind *b)
{
    struct store_chain what = { .route = str_of(b->route),
                                .subject = str_of(b->subject),
                                .piece = str_of(b->piece),
                                .from = b->from,
                                .limit = how_many(b) };
    int r;

    b->again = b->more = false;
    b->limit = what.limit;
    r = store_chain(b->flow->store, &what, on_rows, b);
    b->asking = r != UV_ECANCELED;
    if (r == 0)
        b->flow->behind_asking++;
    else if (r != UV_ECANCELED)
        flow_later(b->flow, AGAIN_MS, on_again, b);
}

void behind_look(struct chain *c)
{
    const struct delivery *first = first_of(c);
    struct behind *b = c->behind;

    if (b && !b->asking && !b->flow->draining && (!first || first->num > b->from))
        ask(b);
}

/* ---- what is left ---- */

bool behind_keeps(struct flow *f, const struct conf_route *r, sl_str subject, sl_str piece,
                  uint64_t num)
{
    struct chain *c = f->n_behind ? chain_find(f, r, subject, piece) : NULL;

    if (!c || !c->behind || num < c->behind->from)
        return false;
    c->behind->more = true;
    return true;
}

void behind_note(struct chain *c, const struct delivery *of, uint64_t num)
{
    struct behind *b = c->behind ? c->behind : begin(c, of, num);
    const struct window *w = &of->lane->windows[of->priority];
    struct delivery *first = first_of(c);

    b->more = true;
    if (num <= b->from)
        b->whole = num <= w->last && !(w->out_from && w->out_from < num);
    if (num < b->from) {
        b->from = num;
        b->again = true;
    }
    if (first && first->num > b->from)
        pile_take(first);
}

void behind_missed(struct flow *f, const struct conf_route *r, sl_str subject, sl_str piece,
                   uint64_t num)
{
    struct chain *c = chain_find(f, r, subject, piece);
    const struct delivery *last;

    if (!c || list_empty(&c->members))
        return;
    last = list_entry(c->members.prev, struct delivery, chain_node);
    if (last->num < num || !last->route)
        return;
    behind_note(c, last, num);
    behind_look(c);
}

bool behind_admits(struct lane *l, const struct store_delivery *row)
{
    struct flow *f = l->flow;
    const struct conf_route *r = config_route(f->config, row->route);

    if (behind_keeps(f, r, row->subject, row->piece, row->num)) {
        l->outside++;
        return false;
    }
    /* It may be older than others of its chain, or have passed them into another window. */
    f->lowered |= r && row->priority != (uint8_t)r->priority;
    if (lane_admits(l, row->priority, row->num))
        return true;
    behind_missed(f, r, row->subject, row->piece, row->num);
    return false;
}

void behind_leave(struct delivery *d)
{
    struct chain *c = d->chain;

    behind_note(c, d, d->num);
    d->lane->outside++;
    list_remove(&d->chain_node);
    d->chain = NULL;
    lane_remove(d);
}

/* ---- what moves ---- */

void behind_moved(struct flow *f, const struct order_move *m)
{
    struct chain *c = f->behind_asking ? chain_find(f, m->route, m->subject, m->piece) : NULL;

    if (c && c->behind && c->behind->asking)
        c->behind->again = true;
}

void behind_forget(struct chain *c)
{
    end(c);
}

void behind_change(struct flow *f)
{
    struct chain *c, *tmp;

    HASH_ITER (hh, f->chains, c, tmp) {
        const struct conf_route *r = c->behind ? config_route(f->config, str_of(c->behind->route))
                                               : NULL;
        if (!c->behind || (r && r->ordered))
            continue;
        windows_look_from(f, c->behind->from);
        end(c);
        chain_free_if_empty(f, c);
    }
}
