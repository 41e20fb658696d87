/*
 * deadline.h - what must follow a delivery in time. It begins with the delivery's outcome, in the
 * same append; it ends once: an event that comes of the delivery, or is about it, meets it, in the
 * append of that event's routing; or its clock runs out, and the event that says so is in the same
 * append as its end.
 *
 * Thread: loop.
 */
#pragma once

#include "flow/state.h"

struct deadline_begin {
    const struct conf_route *route; /* NULL: gone; then it has none */
    uint64_t num;
    sl_str subject, endpoint;
};

/** A record among others of a commit, if any of these has a deadline. */
void deadline_record(struct commit *c, const struct deadline_begin *begins, size_t n);
/** It is durable. */
void deadline_recorded(struct flow *f, const struct commit *c);

/** Nothing else ends this deadline until deadline_free(); false: something is about to. */
bool deadline_take(struct flow *f, uint64_t num);
void deadline_free(struct flow *f, uint64_t num);
