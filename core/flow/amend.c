/*
 * amend.c - `overtakes: { held: amend }`: what is held and was never sent goes out, once it is
 * released, with the body of the later delivery, which need not go itself.
 *
 *   READ (the later one's body, the held ones' rows) -> one append: each held one stays held, under
 *   the next generation, with the new body and `amended_by` in its detail; the later one is
 *   superseded. If others were sent, it has to go as well: once that append is durable it comes to
 *   its gate again, which finds by `amended_by` that this is done.
 *
 * From the gate's verdict to the end of the append all of them are `settling`: nobody decides about
 * one, none leaves. After a crash the append is there or it is not, and then the later one comes to
 * its gate again. A change that comes after a newer one - replayed, or mapped again - amends
 * nothing.
 */
#include <assert.h>
#include <stdlib.h>
#include <string.h>
#include "base/mem.h"
#include "flow/hold.h"
#include "flow/order.h"
#include "flow/row.h"

#define AGAIN_MS 1000

struct held {
    struct amend *all;
    uint64_t num;
    struct store_delivery row; /* strings owned; num 0: not read yet */
};

/** Alive until its append ends, or the flow does. */
struct amend {
    struct flow *flow;
    uint64_t num; /* the later one's */
    bool ends;    /* it does not go itself */
    char *body;   /* own; NULL: not read yet */
    size_t body_len;
    char *topic; /* own */
    struct held *held;
    size_t n, pending;
    bool closing;
};

static void amend_free(struct amend *a)
{
    for (size_t i = 0; i < a->n; i++)
        row_free(&a->held[i].row);
    free(a->held);
    free(a->body);
    free(a->topic);
    free(a);
}

static void amend_read(struct amend *a);

/* ---- the moves ---- */

/** Not to be moved after all: others may, and whoever waits for it looks again. */
static void let_go(struct flow *f, uint64_t num)
{
    struct delivery *d = flow_delivery(f, num);

    if (!d)
        return;
    d->settling = false;
    order_moved(f, &(struct order_move){ .num = num,
                                         .route = d->route,
                                         .subject = str_of(d->subject),
                                         .piece = str_of(d->piece),
                                         .state = d->state });
    lane_place(d);
}

/** It is to go itself, and comes to its gate again. */
static void send_on(struct flow *f, uint64_t num)
{
    struct delivery *d = flow_delivery(f, num);

    if (!d)
        return;
    d->settling = false;
    lane_place(d);
    lane_pump_soon(d->lane);
}

static void on_amended(struct flow *f, int status, void *ctx)
{
    struct amend *a = ctx;

    if (status == 0 && !a->ends)
        send_on(f, a->num);
    amend_free(a);
}

static sl_str say(const char *fmt, uint64_t other, const char *topic)
{
    struct buf text = { 0 };
    char name[32];
    sl_str s;

    delivery_name(other, name);
    buf_printf(&text, fmt, name, topic);
    s.ptr = buf_steal(&text, &s.len);
    return s;
}

static void move_held(const struct amend *a, const struct store_delivery *row, struct rec_move *m)
{
    *m = (struct rec_move){
        .num = row->num,
        .state = DS_HELD,
        .generation = row->generation + 1, /* another request: another key */
        .next_ms = row->next_ms,
        .hold_type = { mem_dup(row->hold_type), row->hold_type.len },
        .reason = say("amended by %s (%s)", a->num, a->topic),
        .body = { mem_dup((sl_str){ a->body, a->body_len }), a->body_len },
    };
    m->detail.ptr = hold_amended(row, a->num);
    m->detail.len = strlen(m->detail.ptr);
}

static void write_moves(struct amend *a)
{
    struct flow *f = a->flow;
    struct delivery *d = flow_delivery(f, a->num); /* settling, so nobody has removed it */
    struct rec_move *moves = mem_array(a->n + 1, sizeof(*moves));
    struct extras none = { 0 };
    uint64_t newer = 0, amended = 0;
    size_t n = 0;

    assert(d);
    for (size_t i = 0; i < a->n; i++) {
        const struct store_delivery *row = &a->held[i].row;
        uint64_t by = hold_amended_by(row->detail);
        if (by > a->num || row->state != DS_HELD) {
            newer = by;
            let_go(f, row->num);
            continue;
        }
        move_held(a, row, &moves[n++]);
        amended = row->num;
    }
    if (a->ends) {
        struct rec_move *m = &moves[n++];
        *m =
            (struct rec_move){ .num = d->num, .state = DS_SUPERSEDED, .generation = d->generation };
        m->reason = amended
                        ? say("nothing had been sent: it amended %s, which is held", amended, "")
                        : say("%s, which is newer, has amended what is held", newer, "");
    }
    if (n) {
        settle_write(d->lane, 0, "router", moves, n, &none, on_amended, a);
        return;
    }
    free(moves);
    if (!a->ends)
        send_on(f, a->num);
    amend_free(a);
}

/* ---- what is read ---- */

static void on_again(void *ctx, bool closing)
{
    struct amend *a = ctx;

    if (closing)
        amend_free(a);
    else
        amend_read(a);
}

static void one_read(struct amend *a)
{
    bool whole = a->body != NULL;

    if (--a->pending)
        return;
    for (size_t i = 0; i < a->n; i++)
        whole &= a->held[i].row.num != 0;
    if (a->closing)
        amend_free(a);
    else if (whole)
        write_moves(a);
    else
        flow_later(a->flow, AGAIN_MS, on_again, a);
}

static void on_body(void *ctx, int status, const struct store_delivery *row, sl_str body,
                    sl_str request)
{
    struct amend *a = ctx;

    (void)request;
    a->closing |= status == UV_ECANCELED;
    if (status == 0) {
        a->topic = mem_dup(row->topic);
        a->body = mem_dup(body);
        a->body_len = body.len;
    }
    one_read(a);
}

static void on_row(void *ctx, int status, const struct store_delivery *row, sl_str body,
                   sl_str request)
{
    struct held *h = ctx;

    (void)body;
    (void)request;
    h->all->closing |= status == UV_ECANCELED;
    if (status == 0)
        row_keep(&h->row, row);
    one_read(h->all);
}

static void ask(struct amend *a, int r)
{
    a->closing |= r == UV_ECANCELED;
    a->pending += r == 0;
}

static void on_nothing_asked(void *ctx, bool closing)
{
    struct amend *a = ctx;

    a->closing |= closing;
    one_read(a);
}

static void amend_read(struct amend *a)
{
    struct store *s = a->flow->store;

    a->pending = 1;
    if (!a->body)
        ask(a, store_delivery_get(s, a->num, on_body, a));
    for (size_t i = 0; i < a->n; i++)
        if (!a->held[i].row.num)
            ask(a, store_delivery_get(s, a->held[i].num, on_row, &a->held[i]));
    if (a->pending == 1) /* nothing is answered before this returns */
        flow_later(a->flow, 0, on_nothing_asked, a);
    else
        a->pending--;
}

void amend_start(struct delivery *d, const uint64_t *held, size_t n, bool ends)
{
    struct amend *a = mem_zero(sizeof(*a));

    a->flow = d->lane->flow;
    a->num = d->num;
    a->ends = ends;
    a->n = n;
    a->held = mem_array(n, sizeof(*a->held));
    for (size_t i = 0; i < n; i++) {
        a->held[i] = (struct held){ .all = a, .num = held[i] };
        flow_delivery(a->flow, held[i])->settling = true;
    }
    d->settling = true;
    amend_read(a);
}
