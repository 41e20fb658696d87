/*
 * shipment.h - what a supplier has shipped, beside what the shop knows of the order: which calls it
 * takes, or why there can be none. Pure: no requests, no clock.
 *
 * The shop has no key for a shipment. What stands for it is its tracking number: what a fulfilment
 * with that number holds already was done for it, by us or by hand, and is taken off before
 * anything is asked for. So it may be asked for again, whatever happened.
 */
#pragma once

#include <jansson.h>
#include <stdint.h>

#include "body_table.h"

extern const struct body_shape shipment_shape, tracking_shape;

enum shipment_next {
    SHIPMENT_DONE,     /* all of it stands in the shop */
    SHIPMENT_CREATE,   /* by `calls` */
    SHIPMENT_TRACKING, /* `fulfillment` is it, and is to have the tracking */
    SHIPMENT_WAIT,     /* not yet: `why`; again after after_ms */
    SHIPMENT_ASK,      /* a person must choose: `why`, `choices` */
    SHIPMENT_REFUSED,  /* it can never be: `why` */
    SHIPMENT_NO_MEMORY,
};

/** How a route wants it. Texts are borrowed. */
struct shipment_rules {
    int wait_on_hold;         /* 0: a person is asked */
    const char *other_number; /* "review", "update", "keep" */
    const char *choice;       /* that a person took; "": none */
    const char *since;        /* RFC 3339 in UTC: when it was sent first; "": it was not */
};

/** Finish it, whatever `next` says. */
struct shipment_plan {
    enum shipment_next next;
    json_t *calls;           /* own: of each call its lineItemsByFulfillmentOrder */
    json_t *there;           /* own: GIDs of the fulfilments that are of this shipment */
    const char *fulfillment; /* a view into the order */
    const char *choices;     /* static JSON; NULL: release or reject */
    int64_t after_ms;
    char why[480];
};

/**
 * @param body    taken by shipment_shape
 * @param order   {cancelledAt, fulfillments: [...]}
 * @param orders  [fulfillment order ...]: all of them, of that order
 */
void shipment_plan(const json_t *body, const json_t *order, const json_t *orders,
                   const struct shipment_rules *rules, struct shipment_plan *ret);
void shipment_plan_finish(struct shipment_plan *p);

/* ---- tracking: of a body, and of what the shop has ---- */

/** FulfillmentTrackingInput of a body's `tracking`; `carriers`: {name: name}, the route's own, or
 *  NULL. Own; NULL: no memory. {} without tracking. */
json_t *tracking_input(const json_t *body, const json_t *carriers);
/** The body's numbers: own, ["..."], maybe empty; NULL: no memory. */
json_t *tracking_numbers(const json_t *body);
/** Has a fulfilment this number? Blanks and case aside. */
int tracking_has(const json_t *fulfillment, const char *number);
/** Does it count: neither cancelled nor failed. */
int fulfillment_lives(const json_t *fulfillment);

/** For texts: "" if it is not a text. */
static inline const char *text_at(const json_t *o, const char *name)
{
    const char *s = json_string_value(json_object_get(o, name));

    return s ? s : "";
}

/** {first: {second: ...}} */
static inline const json_t *at2(const json_t *o, const char *first, const char *second)
{
    return json_object_get(json_object_get(o, first), second);
}
