/*
 * failover.h - what waits for a member that is out moves to one that is healthy; and the interlock:
 * what may have arrived at the first never moves before it is known that it has not.
 *
 * The walk goes through all that the index has of the lane, page by page, so that what is not in
 * memory moves as well; only as much at a time as the others' windows have room for. Each move is a
 * decision in the log before memory follows, and what happened to be under way stays.
 *
 * Thread: loop.
 */
#pragma once

#include "flow/group.h"

/** The hold's type of what a person must decide between two members. */
#define HOLD_INTERLOCK "interlock"

/** A member is out and something waits for it: walk through it, unless a walk is under way. */
void failover_begin(struct lane *l);
/** Something at this lane may move now that could not before. */
void failover_again(struct lane *l);

/** May this delivery move to `to`? 0, and `m` has its state after it and its clock, `detail` the
 *  decision; or a negative code with `text`. `nothing_there`: a person knows that the first has
 *  nothing of it. */
int failover_check(struct flow *f, const struct store_delivery *row, sl_str to, bool nothing_there,
                   struct rec_move *m, struct buf *detail, char text[160]);
/** What a person may do about a delivery that is held as `interlock`: a JSON object. */
void failover_choices(struct buf *b, const struct conf_target *t, sl_str owner, sl_str why);
