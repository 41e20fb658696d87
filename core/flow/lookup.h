/*
 * lookup.h - `wait_for: { else: lookup }`: the event that a delivery waits for has not come within
 * its time, so the endpoint where it comes from is asked.
 *
 * What is found is an event like one that was polled, in one append with what is said of the
 * delivery; that event lets it go. What the endpoint does not know makes a dead letter. What cannot
 * be asked or answered is asked again, eight times over some minutes; while its lane is closed
 * nothing is counted.
 *
 * Thread: loop.
 */
#pragma once

#include "flow/hold.h"

struct lookup;

/** The hold of this delivery says so, and its clock, which says `clock_ms`, ran out. */
void lookup_start(struct flow *f, uint64_t num, int64_t clock_ms);
/** What becomes of the row, by its answer. hold_verdict_finish() it. */
void lookup_verdict(const struct lookup *x, const struct store_delivery *row, int64_t now_ms,
                    struct hold_verdict *ret);
/** May this lane's endpoint be asked, for this or anything else? */
bool lookup_may_ask(const struct lane *l);
/** At the end: no answer comes any more. */
void lookups_close(struct flow *f);
