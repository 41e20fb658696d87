/*
 * parents.h - two batches in flight at an endpoint never hold records of one parent, where the
 * adapter has a parent_key(): what the remote locks while it writes them.
 *
 * A batch claims the parents of its records, from its choice to its end. A ready delivery whose
 * parent another batch has waits with that parent instead of in its pile, and comes back to the
 * front of its pile when the batch is over: nobody looks at it meanwhile. Who was passed too often
 * has its parent kept for its pile.
 */
#pragma once

#include "flow/state.h"

/** Its body has come: what is its parent? Harmless when it is known. */
void parents_learn(struct delivery *d);
/** It is another body, or another adapter reads it: its parent is not known. */
void parents_unlearn(struct delivery *d);
/** A ready one that may leave: has another batch its parent? Then it waits for that, out of its
 *  pile. */
bool parents_stop(struct delivery *d);
/** Take its parent for its batch. False: another batch has it. */
bool parents_claim(struct batch_item *it);
/** It is out of its batch. The last one of its parent there lets those go that wait. */
void parents_release(struct batch_item *it);
/** It waits no more; nor is its parent kept for it. Of pile_take() alone. */
void parents_leave(struct delivery *d);
/** All that wait are back in their piles, and nothing is kept: piles are made anew. */
void parents_scatter(struct lane *l);
/** Parents that are kept for a pile that cannot go now are kept no more. */
void parents_sweep(struct lane *l, bool (*stands)(const struct pile *p, uint64_t now),
                   uint64_t now);
/** Batches that go on from before the start have not been read yet: their parents are not known. */
bool parents_unread(const struct lane *l);
/** The batch that has the parent for which it waits; NULL: it does not wait, or nobody has it. */
const struct batch *parents_holder(const struct delivery *d);
/** When the event of the oldest one that waits was received; 0: none waits. */
int64_t parents_oldest(const struct lane *l);
void parents_finish(struct lane *l);
