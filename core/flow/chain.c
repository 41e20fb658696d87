/*
 * chain.c - order per (route, subject, piece), and the piles of what may leave.
 */
#include "flow/chain.h"
#include <assert.h>
#include <stdlib.h>
#include <string.h>
#include "base/digest.h"
#include "base/mem.h"
#include "flow/behind.h"
#include "flow/order.h"
#include "flow/parents.h"

#define PLACE_STEPS 256 /* who comes back finds about its old place */

void chain_key(const struct conf_route *r, sl_str subject, sl_str piece, uint8_t out[16])
{
    uint8_t full[DIGEST_SHA256];
    sl_str parts[] = { str_of(r->name), subject, piece };

    digest_parts(parts, 3, full);
    memcpy(out, full, 16);
}

static struct delivery *first_of(struct chain *c)
{
    return list_entry(c->members.next, struct delivery, chain_node);
}

/** By those of its route, subject and piece: live ones before it, or a dead one that blocks. */
static bool is_its_turn(const struct delivery *d)
{
    const struct chain *c = d->chain;

    return !c || (first_of(d->chain) == d && !behind_hides(c, d->num) &&
                  !(c->dead && c->dead < d->num && d->route && d->route->on_dead == ON_DEAD_BLOCK));
}

static bool may_leave(const struct delivery *d)
{
    return d->state == DS_READY && !d->settling && !d->deciding && d->target &&
           d->gates_passed == GATE__COUNT && is_its_turn(d);
}

void pile_add(struct delivery *d)
{
    if (!may_leave(d) || !list_empty(&d->pile_node) || !earlier_clear(d))
        return;
    window_aside(d, false);
    if (!d->ready_ms)
        d->ready_ms = uv_now(d->lane->flow->loop);
    parents_learn(d);
    if (!parents_stop(d))
        pile_put(d);
}

/** What is new stands last. What was out, or waited for its parent, goes back before what came
 *  meanwhile. */
static struct list *place_of(struct pile *p, const struct delivery *d)
{
    struct list *at = p->ready.next;

    if (p->n == 0 || list_entry(p->ready.prev, struct delivery, pile_node)->ready_ms <= d->ready_ms)
        return &p->ready;
    for (unsigned i = 0; i < PLACE_STEPS && at != &p->ready; i++, at = at->next) {
        const struct delivery *other = list_entry(at, struct delivery, pile_node);
        if (other->ready_ms > d->ready_ms ||
            (other->ready_ms == d->ready_ms && other->num > d->num))
            break;
    }
    return at;
}

void pile_put(struct delivery *d)
{
    struct pile *p = lane_pile(d);

    list_insert_before(place_of(p, d), &d->pile_node);
    p->n++;
    p->bytes += d->body_len;
}

void pile_take(struct delivery *d)
{
    if (list_empty(&d->pile_node))
        return;
    if (d->waits_parent) {
        parents_leave(d);
        return;
    }
    struct pile *p = lane_pile(d);
    list_remove(&d->pile_node);
    p->n--;
    p->bytes -= d->body_len;
    parents_leave(d);
}

void chain_join(struct delivery *d)
{
    struct flow *f = d->lane->flow;
    uint8_t key[16];
    struct chain *c;

    list_init(&d->chain_node);
    if (!d->route || !d->route->ordered || !d->subject[0])
        return;
    chain_key(d->route, str_of(d->subject), str_of(d->piece), key);
    HASH_FIND(hh, f->chains, key, sizeof(key), c);
    if (!c) {
        c = mem_zero(sizeof(*c));
        memcpy(c->key, key, sizeof(key));
        list_init(&c->members);
        c->dead = dead_first(f, key);
        HASH_ADD(hh, f->chains, key, sizeof(c->key), c);
    }
    d->chain = c;

    struct list *at = &c->members; /* nearly always the end: events arrive in order */
    while (at->prev != &c->members &&
           list_entry(at->prev, struct delivery, chain_node)->num > d->num)
        at = at->prev;
    if (at->prev == &c->members && at != &c->members)
        pile_take(first_of(c)); /* it was first, and no longer is */
    list_insert_before(at, &d->chain_node);
}

struct chain *chain_find(const struct flow *f, const struct conf_route *r, sl_str subject,
                         sl_str piece)
{
    uint8_t key[16];
    struct chain *c;

    if (!r || !r->ordered || !subject.len)
        return NULL;
    chain_key(r, subject, piece, key);
    HASH_FIND(hh, f->chains, key, sizeof(key), c);
    return c;
}

const struct delivery *chain_last(const struct flow *f, const struct conf_route *r, sl_str subject,
                                  sl_str piece)
{
    struct chain *c = chain_find(f, r, subject, piece);

    return c && !list_empty(&c->members) ? list_entry(c->members.prev, struct delivery, chain_node)
                                         : NULL;
}

void chain_leave(struct delivery *d)
{
    struct chain *c = d->chain;

    if (!c)
        return;
    list_remove(&d->chain_node);
    d->chain = NULL;
    behind_look(c);
    if (list_empty(&c->members)) {
        chain_free_if_empty(d->lane->flow, c);
        return;
    }
    struct delivery *next = first_of(c);
    pile_add(next);
    lane_pump_soon(next->lane);
}

void chain_blocked(struct flow *f, const uint8_t key[16], uint64_t dead)
{
    struct chain *c;

    HASH_FIND(hh, f->chains, key, 16, c);
    if (!c || c->dead == dead)
        return;
    c->dead = dead;
    if (list_empty(&c->members))
        return;
    struct delivery *first = first_of(c);
    if (is_its_turn(first)) {
        pile_add(first);
        lane_pump_soon(first->lane);
    } else {
        pile_take(first);
    }
}
