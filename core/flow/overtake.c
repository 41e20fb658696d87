/*
 * overtake.c - `overtakes: { route: R, held: close }`: a cancel passes the held order of its
 * subject and closes it; with `held: amend` a change gives it its own body.
 *
 * A delivery of the later route waits at a gate until it is known how R's deliveries of its subject
 * stand. One that is held and was never sent is discarded, or amended by amend.c, in the same
 * append that supersedes the later one when nothing was sent at all: after a crash there are both
 * or neither, and what is read again decides the same. What may have been sent is waited for, and
 * the later one goes out after it. An order that is made late - its event waited for a link - or
 * was dead and is to be sent again calls those back that passed already.
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

/** One that it would amend is there: of its own piece. */
static bool has_counterpart(const struct gate *g, const struct delivery *d)
{
    for (size_t i = 0; i < g->n_rows; i++)
        if (g->rows[i].num < d->num && !strcmp(g->rows[i].piece, d->piece))
            return true;
    return false;
}

/** Of the same piece; a side that is not split is about all of them. A piece that a change adds
 *  follows those that are there: it would pass the hold that the order is in. */
static bool concerns(const struct gate *g, const struct gate_row *row, const struct delivery *d)
{
    if (row->num >= d->num)
        return false;
    if (!strcmp(row->piece, d->piece))
        return true;
    if (d->route->overtakes_amends)
        return !has_counterpart(g, d);
    return !row->piece[0] || !d->piece[0];
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

/* ---- what has passed ---- */

/** Deliveries of one subject that went past what they overtake, to be sent. */
struct passed {
    UT_hash_handle hh; /* flow.passed, by key */
    uint8_t key[16];   /* overtake_key() */
    struct list members;
};

static void keep_passed(struct delivery *d)
{
    struct flow *f = d->lane->flow;
    struct passed *p;
    uint8_t key[16];

    overtake_forget(d);
    overtake_key(d->route->overtakes->name, str_of(d->subject), key);
    HASH_FIND(hh, f->passed, key, sizeof(key), p);
    if (!p) {
        p = mem_zero(sizeof(*p));
        memcpy(p->key, key, sizeof(key));
        list_init(&p->members);
        HASH_ADD(hh, f->passed, key, sizeof(p->key), p);
    }
    d->passed = p;
    list_append(&p->members, &d->passed_node);
}

void overtake_forget(struct delivery *d)
{
    struct passed *p = d->passed;

    if (!p)
        return;
    list_remove(&d->passed_node);
    d->passed = NULL;
    if (!list_empty(&p->members))
        return;
    HASH_DEL(d->lane->flow->passed, p);
    free(p);
}

/* ---- at the gate ---- */

/** Nothing of it left, and nobody is at it. */
static bool may_close(const struct gate *g, const struct gate_row *row, const struct delivery *by)
{
    const struct delivery *d = flow_delivery(g->flow, row->num);

    if (by->route->overtakes_amends && strcmp(row->piece, by->piece) != 0)
        return false;
    return d && d->state == DS_HELD && d->route && !was_sent(g, row) && !d->settling &&
           !d->deciding;
}

/** It says already what the later one, or a newer one than that, has to say. */
static bool is_amended(const struct gate *g, const struct gate_row *row, const struct delivery *by)
{
    return by->route->overtakes_amends && row->amended_by >= by->num && !was_sent(g, row);
}

/** The first one that is to be waited for; NULL: none. */
const struct gate_row *overtake_in_the_way(const struct gate *g, const struct delivery *d)
{
    for (size_t i = 0; i < g->n_rows; i++) {
        const struct gate_row *row = &g->rows[i];
        if (concerns(g, row, d) && !delivery_state_final(state_of(g, row)) &&
            !may_close(g, row, d) && !is_amended(g, row, d))
            return row;
    }
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
        if (!concerns(g, row, d) || !may_close(g, row, d))
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

static void amend(const struct gate *g, struct delivery *d, bool ends)
{
    uint64_t *nums = mem_array(g->n_rows, sizeof(*nums));
    size_t n = 0;

    for (size_t i = 0; i < g->n_rows; i++)
        if (concerns(g, &g->rows[i], d) && may_close(g, &g->rows[i], d) &&
            !is_amended(g, &g->rows[i], d))
            nums[n++] = g->rows[i].num;
    amend_start(d, nums, n, ends);
    free(nums);
}

enum gate_verdict overtake_judge(const struct gate *g, struct delivery *d)
{
    bool sent = false, closes = false, gone = false;

    if (overtake_in_the_way(g, d))
        return GATE_STAY;
    for (size_t i = 0; i < g->n_rows; i++) {
        const struct gate_row *row = &g->rows[i];
        if (!concerns(g, row, d))
            continue;
        enum delivery_state state = state_of(g, row);
        if (is_amended(g, row, d))
            gone = true;
        else if (may_close(g, row, d))
            closes = true;
        else if (state == DS_DELIVERED || state == DS_DEAD || was_sent(g, row))
            sent = true;
        else
            gone = true;
    }
    bool ends = !sent && (closes || gone);
    if (closes && d->route->overtakes_amends) {
        amend(g, d, ends);
        return GATE_TAKEN;
    }
    if (closes || ends)
        write_moves(g, d, ends);
    if (closes && !ends)
        return GATE_STAY; /* until what it closes is closed, durably */
    if (!ends)
        keep_passed(d);
    return ends ? GATE_TAKEN : GATE_GO;
}

/* ---- what comes late ---- */

static bool has_passed(const struct delivery *d, const struct conf_route *r, uint64_t num)
{
    return d->num > num && d->gates_passed > GATE_OVERTAKE && !d->first_sent_ms &&
           overtake_wanted(d) && strcmp(d->route->overtakes->name, r->name) == 0;
}

/** To its gate, which it has passed too early. */
static void go_back(struct delivery *d)
{
    pile_take(d);
    gate_leave(d);
    overtake_forget(d);
    d->gates_passed = GATE_OVERTAKE;
    if (d->state == DS_READY && !d->batch && !d->settling && !d->deciding)
        lane_place(d); /* else as it is put back */
}

static void call_back(struct flow *f, const struct conf_route *r, sl_str subject, uint64_t num)
{
    struct passed *p;
    uint8_t key[16];
    uint64_t *nums;
    size_t n = 0;

    if (!r->overtaken || !subject.len || !f->passed)
        return;
    overtake_key(r->name, subject, key);
    HASH_FIND(hh, f->passed, key, sizeof(key), p);
    if (!p)
        return;
    list_each (i, &p->members)
        n++;
    nums = mem_array(n, sizeof(*nums)); /* going back changes the list */
    n = 0;
    list_each (i, &p->members) {
        const struct delivery *d = list_entry(i, struct delivery, passed_node);
        if (has_passed(d, r, num))
            nums[n++] = d->num;
    }
    for (size_t i = 0; i < n; i++)
        go_back(flow_delivery(f, nums[i]));
    free(nums);
}

void overtake_made(struct flow *f, const struct conf_route *r, const struct rec_delivery *rd)
{
    call_back(f, r, rd->subject, rd->num);
}

void overtake_moved(struct flow *f, const struct order_move *m)
{
    if (m->state == DS_READY)
        call_back(f, m->route, m->subject, m->num);
}

void overtake_say(const struct gate *g, const struct delivery *d, struct why *w)
{
    const struct gate_row *row = overtake_in_the_way(g, d);
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
        if (d && d->state == DS_HELD && (d->settling || d->deciding || !d->route))
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
