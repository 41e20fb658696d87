/*
 * behind.h - chains whose later members are in the index alone.
 *
 * A lane's window has room for what can go. What waits behind a delivery of its own route, subject
 * and piece cannot, however long that takes; where there is much of it, it is left to the index,
 * and its chain remembers from which number on. When no earlier one is in memory any more, the next
 * are read by their subject. Nothing of it is written down: after a start all is as new.
 *
 * Invariant: of a chain, all that is live and below behind.from is in memory, as far as the lanes'
 * windows have been read. None that is above it leaves.
 *
 * Thread: loop.
 */
#pragma once

#include "flow/chain.h"
#include "flow/order.h"

struct behind {
    struct flow *flow;
    struct chain *chain;           /* NULL: nobody wants the answer any more */
    char *route, *subject, *piece; /* own */
    uint64_t from;
    uint32_t limit; /* of the question under way */
    bool asking;
    bool whole; /* below `from` nothing is in the index alone, if the chain has but one window */
    bool again; /* one of its chain moved meanwhile: the answer is too old */
    bool more;  /* one was left meanwhile */
};

/** Is this one, made or found just now, to be left to the index, where others of its chain are? */
bool behind_keeps(struct flow *f, const struct conf_route *r, sl_str subject, sl_str piece,
                  uint64_t num);
/** Shall this one, live from now on, come into memory? */
bool behind_admits(struct lane *l, const struct store_delivery *row);
/** Out of memory, which knows an earlier one of its chain. It is ready and nobody is at it. */
void behind_leave(struct delivery *d);
/** There is one in the index that a chain in memory must not pass. */
void behind_note(struct chain *c, const struct delivery *of, uint64_t num);
/** One has become live and is not in memory: is there a chain that must not pass it? */
void behind_missed(struct flow *f, const struct conf_route *r, sl_str subject, sl_str piece,
                   uint64_t num);
/** Is there an earlier one in the index alone? */
static inline bool behind_hides(const struct chain *c, uint64_t num)
{
    return c->behind && c->behind->from < num;
}
/** Read the next ones, if it is their turn. Harmless when repeated. */
void behind_look(struct chain *c);
/** It has neither members nor anything in the index. */
void chain_free_if_empty(struct flow *f, struct chain *c);

void behind_moved(struct flow *f, const struct order_move *m);
/** Another configuration: what is no longer ordered is read by the windows. */
void behind_change(struct flow *f);
void behind_forget(struct chain *c); /* windows know of it otherwise; it is not asked about */
void behinds_finish(struct flow *f);
