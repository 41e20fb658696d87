/*
 * waits.h - into what the store tells of deliveries: why those that are not final do not go now.
 *
 * Thread: loop.
 */
#pragma once

#include "base/buf.h"
#include "flow/flow.h"

/** False: nothing is known of it in memory. */
typedef bool waits_ask(void *ctx, uint64_t num, struct why *ret);

/** Copy the store's JSON to `out`; each delivery in it that is not final gets
 *  "waits_for": {"text": ..., "until": RFC 3339 or null} as its last member. */
void waits_put(struct buf *out, sl_str json, waits_ask *ask, void *ctx);
