/*
 * settle.h - the retry part of settling, shared with confirm.
 */
#pragma once

#include "flow/state.h"

/** Fill the move of something definitely not done: WAITING with its next time, or DEAD when the
 *  policy says it is enough. Strings of *m are owned. */
void settle_retry(const struct delivery *d, uint32_t attempts, int64_t after_ms, sl_str why,
                  struct rec_move *m);
