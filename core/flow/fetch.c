/*
 * fetch.c - bodies that are not in memory: those a batch waits for, and with them those of the
 * deliveries that leave next, so that a lane with a backlog does not ask the store once for each.
 *
 * A fetch asks for at most FETCH_MOST bodies. Half way through what is there the next is asked for:
 * the delivery that stands there carries the mark (`fetch_on`). What was asked for is known by the
 * fetch's serial number (`fetch`): an answer that comes after the delivery changed, or for one that
 * is gone, means nothing. What all lanes have ahead of its time is bounded: where a lane finds no
 * room for that - many stand still with theirs - it asks only for what it sends.
 */
#include <stdlib.h>
#include "base/mem.h"
#include "flow/parents.h"

#define FETCH_MOST  512
#define FETCH_BYTES (2u << 20)
#define AHEAD_BYTES (64u << 20) /* of all lanes */

struct fetch {
    struct flow *flow;
    uint64_t serial;
    size_t n;
    uint64_t bytes;
    bool indexed; /* the index knows all there is to know of them: no record is waited for */
    uint64_t nums[FETCH_MOST];
};

static bool has_bytes(const struct delivery *d)
{
    return d->body && (d->request || !d->first_sent_ms);
}

void fetch_over(struct delivery *d)
{
    d->lane->flow->ahead_bytes -= d->ahead;
    d->ahead = 0;
}

/* ---- answered ---- */

static void take(struct delivery *d, const struct store_body *row)
{
    struct batch_item *it = d->loading;

    d->fetch = 0;
    if (!it && (d->state != DS_READY || row->body.len != d->body_len))
        return; /* its pile has counted another length: it reads for itself when it sets out */
    fetch_over(d);
    if (!it) {
        d->ahead = row->body.len;
        d->lane->flow->ahead_bytes += d->ahead;
    }
    delivery_set_body(d, row->body);
    parents_learn(d);
    if (row->request.len)
        delivery_set_request(d, row->request);
    if (it)
        batch_loaded(it, 0);
}

static void on_bodies(void *ctx, int status, const struct store_body *rows, size_t n)
{
    struct fetch *x = ctx;
    struct delivery *d;

    for (size_t i = 0; i < n; i++)
        if ((d = flow_delivery(x->flow, rows[i].num)) && d->fetch == x->serial)
            take(d, &rows[i]);
    for (size_t i = 0; i < x->n; i++)
        if ((d = flow_delivery(x->flow, x->nums[i])) && d->fetch == x->serial) {
            d->fetch = 0;
            if (d->loading)
                batch_loaded(d->loading, status < 0 ? status : UV_ENOENT);
        }
    free(x);
}

/* ---- asked ---- */

static void go(struct fetch *x)
{
    if (!x)
        return;
    int r = store_bodies(x->flow->store, x->nums, x->n, !x->indexed, on_bodies, x);
    if (r < 0)
        on_bodies(x, r, NULL, 0);
}

/** One more. A fetch that is full goes, and a new one begins. */
static struct fetch *add(struct flow *f, struct fetch *x, struct delivery *d)
{
    if (x && (x->n == FETCH_MOST || x->bytes + d->body_len > FETCH_BYTES)) {
        go(x);
        x = NULL;
    }
    if (!x) {
        x = mem_zero(sizeof(*x));
        x->flow = f;
        x->serial = ++f->fetches;
        x->indexed = true;
    }
    x->nums[x->n++] = d->num;
    x->bytes += d->body_len;
    x->indexed &= d->indexed;
    d->fetch = x->serial;
    return x;
}

/** Those at the front of the pile, as many as may be there ahead of their time. */
static struct fetch *ahead(struct flow *f, struct fetch *x, struct pile *p)
{
    struct delivery *middle = NULL;
    uint64_t bytes = 0;
    size_t n = 0;

    list_each (i, &p->ready) {
        struct delivery *d = list_entry(i, struct delivery, pile_node);
        if (n == FETCH_MOST || (bytes += d->body_len) > FETCH_BYTES)
            break;
        if (!d->fetch && !has_bytes(d) && !d->first_sent_ms && f->ahead_bytes + bytes < AHEAD_BYTES)
            x = add(f, x, d);
        if (n++ % 2 == 0) /* half as fast, so it ends in the middle */
            middle = middle ? list_entry(middle->pile_node.next, struct delivery, pile_node) : d;
    }
    if (middle)
        middle->fetch_on = true;
    return x;
}

void fetch_batch(struct batch *b)
{
    struct flow *f = b->lane->flow;
    struct fetch *x = NULL;
    bool on = false;

    for (size_t i = 0; i < b->n; i++) {
        struct delivery *d = b->items[i].d;
        on |= d->fetch_on;
        d->fetch_on = false;
        fetch_over(d);
        if (has_bytes(d))
            continue;
        b->pending++;
        d->loading = &b->items[i];
        if (!d->fetch)
            x = add(f, x, d);
    }
    if (x || on)
        x = ahead(f, x, lane_pile(b->items[0].d));
    go(x);
}
