/*
 * order_action.h - what is done with fulfillment orders: one by its id, or all of an order that it
 * applies to, a call for each. What can be done is what the shop says it supports; what was done
 * shows in their state, which is read before anything is asked for.
 */
#pragma once

#include "fulfil/shipment.h"
#include "orders/deed.h"

/** Of one fulfillment order. */
enum order_state {
    ORDER_CAN,
    ORDER_DONE,
    ORDER_CANNOT, /* d->why may say more than that the shop does not support it */
    ORDER_DOUBT,  /* whether it was done cannot be told: d->why */
};

struct order_kind {
    struct deed_kind kind; /* first */
    const char *verb;      /* "held" */
    int human;             /* what cannot be is for a person */
    enum order_state (*state)(struct deed *d, const json_t *fo); /* may say d->why */
    /** Of its mutation; own. NULL: no memory. */
    json_t *(*variables)(struct deed *d, const json_t *fo);
};

/* ---- for the tables ---- */

extern const char order_by_id[], orders_of_order[]; /* .look */

#define ORDER_WHICH                                                                               \
    { "fulfillment_order_id", BODY_ID, .of = "FulfillmentOrder", .help = "the one" },             \
        { "order_id", BODY_ID, .of = "Order",                                                     \
          .help =                                                                                 \
              "without it: all of this order that it applies to; without either of the "          \
              "order that the event is about" },                                                  \
    {                                                                                             \
        "location_id", BODY_ID, .of = "Location", .help = "of an order's: those of this location" \
    }

/** A line of a fulfillment order, as a body says it. */
extern const struct body_shape order_line_shape;

#define ORDER_KIND(document_, root_, shape_, params_, refusals_)                                \
    {                                                                                           \
        .shape = &(shape_), .params = params_, .flags = DEED_LOOK_FIRST, .document = document_, \
        .root = root_, .refusals = refusals_, .read = order_read, .look = orders_of_order,      \
        .look_variables = order_look_variables, .judge = order_judge, .after = order_after      \
    }

sl_status order_read(struct deed *d);
json_t *order_look_variables(const struct deed *d);
enum deed_seen order_judge(struct deed *d, const json_t *data);
void order_after(struct deed *d, const json_t *payload);

int order_supports(const json_t *fo, const char *action);
int order_is(const json_t *fo, const char *status);           /* its status */
int order_is_requested(const json_t *fo, const char *status); /* its requestStatus */
/** The body's `lines` as this fulfillment order's own: [{id, quantity}]; own. NULL: it has not all
 *  of them (d->why), or no memory. */
json_t *order_lines_input(struct deed *d, const json_t *fo);
