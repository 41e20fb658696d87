/*
 * settle.h - the retry part of settling, shared with confirm.
 */
#pragma once

#include "flow/state.h"

/** The type of the hold of an outcome that nobody could tell. */
#define HOLD_UNKNOWN "unknown-outcome"

/** Fill the move of something definitely not done: WAITING with its next time, or DEAD when the
 *  policy says it is enough. Strings of *m are owned. */
void settle_retry(const struct delivery *d, uint32_t attempts, int64_t after_ms, sl_str why,
                  struct rec_move *m);

/** unknown.c: HELD as HOLD_UNKNOWN, with what a person can choose and by what. Strings of *m are
 *  owned. */
void unknown_hold(const struct delivery *d, sl_str why, struct rec_move *m);
