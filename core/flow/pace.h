/*
 * pace.h - what a lane may spend now: its bucket, its quotas, what is kept for critical work, and
 * what the remote says of all that.
 *
 * A batch is promised its tokens when it sets out, takes them when it leaves, and each HTTP call of
 * it is a departure with a ticket; the answer to that call is read against the ticket.
 */
#pragma once

#include "flow/state.h"

/** By the endpoint's configuration. Full buckets, unused quotas. */
void pace_init(struct lane *l);
/** Its configuration is another one: what was spent and learnt stays. */
void pace_change(struct lane *l);
/** Milliseconds until a batch of so many tokens may set out beside those that were promised
 *  theirs; 0: now; UINT64_MAX: not before one of those has left. */
uint64_t pace_wait(struct lane *l, uint32_t cost, uint8_t priority, uint64_t now);
/** It leaves: its tokens are taken, or milliseconds to wait. */
uint64_t pace_take(struct lane *l, uint32_t cost, uint64_t now);
/** A question that is none of the lane's, such as a look-up, goes now: its token is taken. Or
 *  milliseconds until it may ask again: each of many has a time of its own, and a token stays for
 *  the first, in turn with what the lane sends. */
uint64_t pace_question(struct lane *l, uint64_t id, uint64_t now);
/** A call that waits leaves, if its tokens are there: they are taken, *ret is its ticket. Or
 *  milliseconds to wait. */
uint64_t pace_call(struct lane *l, const struct lane_call *c, uint64_t now,
                   struct lane_ticket *ret);
/** It waits no more. */
void pace_called(struct lane *l, struct lane_call *c);
/** Something under way has ended: what it did not spend on calls is not spent by others' calls. */
void pace_unused(struct lane *l);
/** A batch is about to be written down as sent: what of the pace outlives the process is written
 *  before it, if it says something else than what was last written. */
void pace_mark(struct lane *l);
/** What is spent, as further members (",\"name\":...") of what lane_state_save() writes; and back.
 */
struct json_t;
void pace_save(const struct lane *l, struct buf *b);
void pace_restore(struct lane *l, const struct json_t *saved);
/** A call of `cost` tokens was refused for pace: the remote did not count it. */
void pace_refused(struct lane *l, uint32_t cost, int64_t after_ms);
