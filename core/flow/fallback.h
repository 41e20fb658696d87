/*
 * fallback.h - where a delivery goes when its own endpoint has done with it: to another endpoint,
 * to a member of a group, or its event through another route.
 *
 * The interlock's rule holds here too: only what is definitely not done moves. What may have
 * arrived is asked for first; where nobody can be asked, a person says so.
 *
 * To another endpoint it keeps its id and its key. Another route makes deliveries of its own of the
 * event, unless it has them already; the one that was given up is held as HOLD_FALLBACK, durable
 * with its outcome, and closed in the same append as they are made. A process that ends in between
 * leaves it held with its clock run out, so that the next one goes on.
 *
 * Thread: loop.
 */
#pragma once

#include "flow/routing.h"
#include "flow/state.h"

/** The type of what is given up and goes by another route. */
#define HOLD_FALLBACK "fallback"

/** The delivery is given up (`rejected`: for good) where it is, for `why`; `m->arrival` says
 * whether it may have arrived. True: `m` says what becomes of it instead - ready at the route's
 * fallback, about to go by another route, unknown until it was asked for, or held. Strings of *m
 * are owned. */
bool fallback_take(const struct delivery *d, bool rejected, sl_str why, struct rec_move *m);
/** The endpoint or the group that the delivery's route has for it. NULL: none, or it is there
 *  already. */
const struct conf_target *fallback_of(const struct delivery *d);
/** What a person calls its fallback: an endpoint (a group's first), or a route. NULL: none. */
const char *fallback_any(const struct delivery *d);
/** Memory follows a durable move to another endpoint; the delivery is freed. */
void fallback_follow(struct delivery *d, const struct rec_move *m);
/** What is told of where it comes from: "acme: HTTP 503"; own, NULL: it did not fall. */
char *fallback_story(sl_str detail);

/** The route by which a delivery that is held as HOLD_FALLBACK goes on; and why it was given up,
 *  own. NULL: it has none any more. */
const struct conf_route *fallback_route(const struct flow *f, const struct store_delivery *row,
                                        char **ret_why);
