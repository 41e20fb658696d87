/*
 * key_ring.h - keyed HMACs of the secrets that webhooks are signed with, made once for each.
 */
#pragma once

#include "flow/state.h"

struct key_ring;

struct key_mac { /* of a body that is under way */
    struct key_ring *ring;
    struct hmac *hmac; /* NULL: none */
};

/** NULL: no memory. */
struct key_ring *key_ring_of(struct flow *f, sl_str secret);
/** Its HMAC for bodies that are there as a whole: begin, update and end without a turn between. */
struct hmac *key_ring_hmac(struct key_ring *k);
/** One of its own for a body that comes in pieces; key_mac_give_back() it. `ring` may be NULL: no
 *  memory. 0 or a code. */
int key_mac_begin(struct key_mac *m, struct key_ring *ring);
void key_mac_give_back(struct key_mac *m); /* none is fine */
