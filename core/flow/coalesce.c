/*
 * coalesce.c - `coalesce: subject`: only the newest of a route, subject and piece goes out.
 *
 * What was never sent is superseded in the append that makes the newer one: after a crash there are
 * both or neither. What is beyond the window then is superseded when it comes into memory: it waits
 * at a gate until it is known whether something newer is there. So is what was not to be touched
 * while the newer one was made: it was about to come into memory, or being decided upon. A newer
 * one that is held supersedes nothing until it is released. What was sent is never touched: the
 * newer one waits for it by order.
 */
#include <stdlib.h>
#include "base/clock.h"
#include "base/mem.h"
#include "flow/chain.h"
#include "flow/order.h"
#include "flow/routing.h"

static void newer_came(struct rec_move *m, const struct delivery *d, uint64_t newer)
{
    struct buf text = { 0 };
    char name[32];

    delivery_name(newer, name);
    buf_printf(&text, "a newer one, %s, came", name);
    *m = (struct rec_move){ .num = d->num, .state = DS_SUPERSEDED, .generation = d->generation };
    m->reason.ptr = buf_steal(&text, &m->reason.len);
}

static bool was_never_sent(const struct delivery *d)
{
    return !d->first_sent_ms && !d->attempts && !d->doubt &&
           (d->state == DS_READY || d->state == DS_WAITING);
}

/* ---- as the newer one is made ---- */

struct older {
    struct rec_moves rec;
    size_t record; /* its place in the append */
};

static void take_older(struct flow *f, const struct rec_delivery *rd, const struct conf_route *r,
                       struct older *o)
{
    struct chain *c;
    uint8_t key[16];

    chain_key(r, rd->subject, rd->piece, key);
    HASH_FIND(hh, f->chains, key, sizeof(key), c);
    if (!c)
        return;
    list_each (i, &c->members) {
        struct delivery *d = list_entry(i, struct delivery, chain_node);
        if (d->num >= rd->num || d->settling || d->deciding || d->batch || d->stale ||
            !was_never_sent(d))
            continue;
        o->rec.moves = mem_grow(o->rec.moves, (o->rec.n_moves + 1) * sizeof(*o->rec.moves));
        newer_came(&o->rec.moves[o->rec.n_moves++], d, rd->num);
        d->settling = true; /* it must not leave while this is being written */
        pile_take(d);
    }
}

/** Those of its chain that are older and were not taken then are taken at their gate, which knows
 *  of this one. */
static void look_again(struct flow *f, const struct conf_route *r, sl_str subject, sl_str piece,
                       uint64_t num)
{
    struct chain *c;
    uint8_t key[16];

    if (!r->coalesce || !r->ordered || !subject.len)
        return;
    chain_key(r, subject, piece, key);
    HASH_FIND(hh, f->chains, key, sizeof(key), c);
    if (!c)
        return;
    list_each_safe (i, tmp, &c->members) {
        struct delivery *d = list_entry(i, struct delivery, chain_node);
        if (d->num >= num || d->settling || d->deciding || d->batch || d->stale ||
            d->state != DS_READY)
            continue;
        pile_take(d);
        gate_leave(d); /* the one it has come to may be behind that */
        lane_place(d); /* past its gate, which knows the newer one */
    }
}

void coalesce_made(struct flow *f, const struct conf_route *r, const struct rec_delivery *rd)
{
    look_again(f, r, rd->subject, rd->piece, rd->num);
}

void coalesce_moved(struct flow *f, const struct order_move *m)
{
    if (m->state == DS_READY)
        look_again(f, m->route, m->subject, m->piece, m->num);
}

struct older *coalesce_record(struct flow *f, const struct rec_routed *routed, struct commit *c)
{
    struct older *o = mem_zero(sizeof(*o));

    for (size_t i = 0; i < routed->n_deliveries; i++) {
        const struct rec_delivery *rd = &routed->deliveries[i];
        const struct conf_route *r = config_route(f->config, rd->route);
        if (r && r->coalesce && r->ordered && rd->subject.len && rd->state == DS_READY)
            take_older(f, rd, r, o);
    }
    if (!o->rec.n_moves) {
        free(o);
        return NULL;
    }
    o->rec.at_ms = clock_wall_ms();
    o->rec.who = STR("router");
    o->record = c->append.n;
    struct store_record *rec = commit_record(c, REC_DECISION);
    rec->follows = true; /* of an event that was routed before nothing new is made */
    rec_moves_encode(&rec->payload, &o->rec);
    return o;
}

static void supersede(struct flow *f, struct delivery *d)
{
    order_moved(f, &(struct order_move){ .num = d->num,
                                         .route = d->route,
                                         .subject = str_of(d->subject),
                                         .piece = str_of(d->piece),
                                         .state = DS_SUPERSEDED });
    lane_enter(d, DS_SUPERSEDED);
    lane_place(d);
}

void coalesce_end(struct flow *f, struct older *o, const struct commit *c, int status)
{
    if (!o)
        return;
    for (size_t i = 0; i < o->rec.n_moves; i++) {
        struct delivery *d = flow_delivery(f, o->rec.moves[i].num);
        if (d) {
            struct lane *l = d->lane;
            d->settling = false;
            if (status == 0 && !c->records[o->record].refused)
                supersede(f, d);
            else
                lane_place(d);
            lane_pump_soon(l);
        }
        move_free(&o->rec.moves[i]);
    }
    free(o->rec.moves);
    free(o);
}

/* ---- as an older one comes into memory ---- */

bool newer_wanted(const struct delivery *d)
{
    return d->route && d->route->coalesce && d->route->ordered && d->subject[0];
}

enum gate_verdict newer_judge(const struct gate *g, struct delivery *d)
{
    uint64_t newest = 0;

    if (!latest_newest(d->lane->flow, g->key, d->num, &newest))
        return GATE_STAY;
    if (newest <= d->num || !was_never_sent(d))
        return GATE_GO;
    struct rec_move *m = mem_zero(sizeof(*m));
    struct extras none = { 0 };
    newer_came(m, d, newest);
    d->settling = true;
    settle_write(d->lane, 0, "router", m, 1, &none, NULL, NULL);
    return GATE_TAKEN;
}

void newer_say(const struct gate *g, const struct delivery *d, struct why *w)
{
    (void)g;
    (void)d;
    why_say(w, 0, "whether something newer of its subject came is being looked for");
}
