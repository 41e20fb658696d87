/*
 * fallback.h - a route's other endpoint: where a delivery goes when its own has done with it.
 *
 * The interlock's rule holds here too: only what is definitely not done moves. What may have
 * arrived is asked for first; where nobody can be asked, a person says so.
 *
 * Thread: loop.
 */
#pragma once

#include "flow/state.h"

/** The delivery is given up (`rejected`: for good) where it is, for `why`; `m->arrival` says
 * whether it may have arrived. True: `m` says what becomes of it instead - ready at the route's
 * fallback, unknown until it was asked for, or held. Strings of *m are owned. */
bool fallback_take(const struct delivery *d, bool rejected, sl_str why, struct rec_move *m);
/** Does the delivery's route have another endpoint for it? NULL: none, or it is there already. */
const struct conf_target *fallback_of(const struct delivery *d);
/** Memory follows a durable move to another endpoint; the delivery is freed. */
void fallback_follow(struct delivery *d, const struct rec_move *m);
/** What is told of where it comes from: "acme: HTTP 503"; own, NULL: it did not fall. */
char *fallback_story(sl_str detail);
