/*
 * overtake.c - `overtakes: { route: R, held: close }`: a cancel passes the held order of its
 * subject and closes it.
 *
 * A delivery of the later route waits at a gate until it is known how R's deliveries of its subject
 * stand. One that is held and was never sent is discarded, in the same append that supersedes the
 * cancel when nothing was sent at all: after a crash there are both or neither, and what is read
 * again decides the same. What may have been sent is waited for, and the cancel goes out after it.
 * An order that is made late - its event waited for a link - calls those back that passed already.
 */
#include <stdlib.h>
#include <string.h>
#include "base/digest.h"
#include "base/mem.h"
#include "flow/chain.h"
#include "flow/order.h"
#include "store/restore.h"

void overtake_key(const char *route, sl_str subject, uint8_t out[16])
{
    uint8_t full[DIGEST_SHA256];
    sl_str parts[] = { STR("overtakes"), str_of(route), subject };

    digest_parts(parts, 3, full);
    memcpy(out, full, 16);
}

bool overtake_wanted(const struct delivery *d)
{
    return d->route && d->route->overtakes && d->subject[0];
}

/** Of the same piece; a side that is not split is about all of them. */
static bool concerns(const struct gate_row *row, const struct delivery *d)
{
    return row->num < d->num && (!row->piece[0] || !d->piece[0] || !strcmp(row->piece, d->piece));
}

static enum delivery_state state_of(const struct gate *g, const struct gate_row *row)
{
    const struct delivery *d = flow_delivery(g->flow, row->num);

    return d ? d->state : (enum delivery_state)row->state;
}

static bool was_sent(const struct gate *g, const struct gate_row *row)
{
    const struct delivery *d = flow_delivery(g->flow, row->num);

    return row->sent || (d && (d->first_sent_ms || d->attempts || d->doubt));
}

/** Nothing of it left, and nobody is at it. */
static bool may_close(const struct gate *g, const struct gate_row *row)
{
    const struct delivery *d = flow_delivery(g->flow, row->num);

    return d && d->state == DS_HELD && !was_sent(g, row) && !d->settling && !d->deciding;
}

/** The first one that is to be waited for; NULL: none. */
static const struct gate_row *in_the_way(const struct gate *g, const struct delivery *d)
{
    for (size_t i = 0; i < g->n_rows; i++)
        if (concerns(&g->rows[i], d) && !delivery_state_final(state_of(g, &g->rows[i])) &&
            !may_close(g, &g->rows[i]))
            return &g->rows[i];
    return NULL;
}

static void say(struct rec_move *m, uint64_t num, uint32_t generation, enum delivery_state state,
                const char *fmt, uint64_t other)
{
    struct buf text = { 0 };
    char name[32];

    delivery_name(other, name);
    buf_printf(&text, fmt, name);
    *m = (struct rec_move){ .num = num, .state = (uint8_t)state, .generation = generation };
    m->reason.ptr = buf_steal(&text, &m->reason.len);
}

/** The held ones, and the cancel with them when nothing is left for it to do. */
static void write_moves(const struct gate *g, struct delivery *d, bool ends)
{
    struct rec_move *moves = mem_array(g->n_rows + 1, sizeof(*moves));
    struct extras none = { 0 };
    uint64_t closed = 0;
    size_t n = 0;

    for (size_t i = 0; i < g->n_rows; i++) {
        const struct gate_row *row = &g->rows[i];
        struct delivery *held = flow_delivery(g->flow, row->num);
        if (!concerns(row, d) || !may_close(g, row))
            continue;
        say(&moves[n++], row->num, held->generation, DS_DISCARDED, "closed by %s, which cancels it",
            d->num);
        held->settling = true;
        closed = row->num;
    }
    if (ends) {
        say(&moves[n++], d->num, d->generation, DS_SUPERSEDED,
            closed ? "nothing had been sent: it closed %s" : "nothing had been sent", closed);
        d->settling = true;
    }
    settle_write(d->lane, 0, "router", moves, n, &none, NULL, NULL);
}

enum gate_verdict overtake_judge(const struct gate *g, struct delivery *d)
{
    bool sent = false, closes = false, gone = false;

    if (in_the_way(g, d))
        return GATE_STAY;
    for (size_t i = 0; i < g->n_rows; i++) {
        const struct gate_row *row = &g->rows[i];
        if (!concerns(row, d))
            continue;
        enum delivery_state state = state_of(g, row);
        if (may_close(g, row))
            closes = true;
        else if (state == DS_DELIVERED || state == DS_DEAD || was_sent(g, row))
            sent = true;
        else
            gone = true;
    }
    bool ends = !sent && (closes || gone);
    if (closes || ends)
        write_moves(g, d, ends);
    if (!ends && d->num > g->flow->newest_cancel)
        g->flow->newest_cancel = d->num;
    return ends ? GATE_TAKEN : GATE_GO;
}

/* ---- what comes late ---- */

static bool has_passed(const struct delivery *d, const struct conf_route *r,
                       const struct rec_delivery *rd)
{
    return d->num > rd->num && d->gates_passed > GATE_OVERTAKE && !d->first_sent_ms &&
           overtake_wanted(d) && strcmp(d->route->overtakes->name, r->name) == 0 &&
           str_eq(str_of(d->subject), rd->subject);
}

void overtake_made(struct flow *f, const struct conf_route *r, const struct rec_delivery *rd)
{
    struct delivery *d, *tmp;

    if (!r->overtaken || !rd->subject.len || rd->num > f->newest_cancel)
        return;
    HASH_ITER (hh, f->deliveries, d, tmp) {
        if (!has_passed(d, r, rd))
            continue;
        pile_take(d);
        gate_leave(d);
        d->gates_passed = GATE_OVERTAKE;
        if (d->state == DS_READY && !d->batch && !d->settling && !d->deciding)
            lane_place(d); /* else as it is put back */
    }
}

void overtake_say(const struct gate *g, const struct delivery *d, struct why *w)
{
    const struct gate_row *row = in_the_way(g, d);
    char name[32];

    if (!row) {
        why_say(w, 0, "its turn");
        return;
    }
    delivery_name(row->num, name);
    why_say(w, 0, "%s of route %s, which it follows: it is %s", name, d->route->overtakes->name,
            delivery_state_names[state_of(g, row)]);
}

bool overtake_busy(const struct gate *g)
{
    for (size_t i = 0; i < g->n_rows; i++) {
        const struct delivery *d = flow_delivery(g->flow, g->rows[i].num);
        if (d && d->state == DS_HELD && (d->settling || d->deciding))
            return true;
    }
    return false;
}

void overtake_fetch(struct flow *f, const struct store_delivery *rows, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        struct lane *l = lane_named(f, rows[i].endpoint);
        if (rows[i].state == DS_HELD && !flow_delivery(f, rows[i].num))
            recover_row(f, l ? l : &f->nowhere, &rows[i]);
    }
}

bool overtake_sent(const struct store_delivery *row)
{
    return row->first_sent_ms || row->attempts || str_eq(row->hold_type, STR(RESTORE_HOLD));
}
