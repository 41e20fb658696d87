/*
 * chain.h - order per (route, subject, piece), and the piles of what may leave.
 */
#pragma once

#include "flow/state.h"

/** Put a delivery among those of its route, subject and piece, by num; no-op when its route is not
 *  ordered. */
void chain_join(struct delivery *d);
/** Take it out; the next one may then leave. */
void chain_leave(struct delivery *d);
/** The newest live delivery of these in memory; NULL: none, or the route is not ordered. */
const struct delivery *chain_last(const struct flow *f, const struct conf_route *r, sl_str subject,
                                  sl_str piece);

/** In memory; NULL: there is none, or the route (NULL: none) is not ordered. */
struct chain *chain_find(const struct flow *f, const struct conf_route *r, sl_str subject,
                         sl_str piece);
/** 16 bytes that name a chain. */
void chain_key(const struct conf_route *r, sl_str subject, sl_str piece, uint8_t out[16]);
/** From now on this dead letter (its num; 0: none) holds back what comes after it. */
void chain_blocked(struct flow *f, const uint8_t key[16], uint64_t dead);

/** Into its pile, if it is ready and first of its chain; out of it. Both harmless when repeated. */
void pile_add(struct delivery *d);
void pile_take(struct delivery *d);
/** Into its pile, where it belongs by the time since when it could leave. It may, and is in none.
 */
void pile_put(struct delivery *d);
