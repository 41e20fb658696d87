/*
 * shipment_part.h - what shipment.c and shipment_stop.c share.
 */
#pragma once

#include "fulfil/shipment.h"

#define MAX_LINES 250 /* of a call: the shop takes no longer lists */

/** A line of what was shipped. Texts are views; NULL: not said so. */
struct need {
    const char *sku, *item, *fo_line;
    int64_t want, left; /* left: what no call and no fulfilment has yet */
};

struct work {
    const json_t *body, *order, *orders;
    const struct shipment_rules *rules;
    struct shipment_plan *plan;
    struct need *needs;
    size_t n; /* 0: all that remains */
    json_t *numbers;
    json_t *done_at;    /* {location: true} of the fulfilments that are of this shipment ... */
    const json_t *ours; /* ... the last of them */
    size_t n_ours;
};

/** plan->next and plan->why, printf-like. */
__attribute__((format(printf, 3, 4))) void shipment_say(struct work *w, enum shipment_next next,
                                                        const char *format, ...);
int64_t shipment_quantity(const json_t *o, const char *name);
const char *shipment_location(const json_t *fo); /* "" if it has none */
int shipment_supports(const json_t *fo, const char *action);
int shipment_is_asked_for(const struct work *w, const json_t *fo);
int shipment_matches(const struct need *n, const json_t *fo_line);
/** Does a fulfilment hold just what is left, and nothing else? */
int shipment_equals(const struct work *w, const json_t *fulfillment);

/** Has a fulfillment order something of line `k` (of any, if there are no lines) that it does not
 *  let us fulfil? */
int shipment_holds_back(const struct work *w, size_t k, const json_t *fo);
/** Not all of it can be taken: what that means. */
void shipment_stop(struct work *w);
