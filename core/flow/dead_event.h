/*
 * dead_event.h - what a route that wants to hear of its dead letters is told: an event for each.
 */
#pragma once

#include "flow/routing.h"

struct dead_letter {
    const struct conf_route *route;
    uint64_t num;
    sl_str topic; /* of its own event */
    sl_str subject, why;
};

/** Does its route want to hear of it? What dies of such an event makes no further one of the same
 *  topic: it would go round for ever. */
bool dead_event_wanted(const struct dead_letter *d);
void dead_event_body(const struct dead_letter *d, struct buf *to);

/** Of what died as it was made: receipts behind the record of the routing, refused with it. They
 *  come from the endpoint it would have gone to; where that is not known, from the first that its
 *  route sends to, else from its event's own. */
void dead_event_record(struct routing *rt, const struct rec_routed *routed, struct commit *c);
/** Behind the remap's record: of a delivery whose fallback route made nothing of its event. */
void dead_event_record_fallen(struct routing *rt, struct commit *c);
/** They are durable: route them. */
void dead_event_recorded(struct flow *f, const struct commit *c);
