/*
 * create.c - fulfillment.create: what a supplier has shipped becomes fulfilments in the shop.
 *
 * The order is read with its fulfilments and fulfillment orders, what there is to do is planned
 * (shipment.h), and each location takes a call. A call cannot be repeated and has no key: before
 * any attempt, and after an answer that did not come, the shop's state is read and says what is
 * left.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "fulfil/fulfil.h"
#include "fulfil/shipment.h"
#include "orders/deed.h"

#define FEW_LINES \
    20 /* of most orders: what is asked for costs points, whether it is there or not */
#define MANY_LINES 250 /* the most that can be asked for */

static const char order_state[] =
    "query OrderShipments($id: ID!, $after: String, $lines: Int!) { order(id: $id) {"
    " id name cancelledAt"
    " fulfillments(first: 100) { id name status createdAt location { id }"
    " trackingInfo(first: 50) { number }"
    " fulfillmentLineItems(first: $lines) { nodes { quantity lineItem { id sku } }"
    " pageInfo { hasNextPage } } }"
    " fulfillmentOrders(first: 5, after: $after) { nodes { id status requestStatus fulfillAt"
    " supportedActions { action } assignedLocation { location { id } }"
    " fulfillmentHolds { reason reasonNotes heldByRequestingApp }"
    " lineItems(first: $lines) { nodes { id sku remainingQuantity lineItem { id } }"
    " pageInfo { hasNextPage } } } pageInfo { hasNextPage endCursor } } } }";
static const char create[] =
    "mutation FulfillmentCreate($fulfillment: FulfillmentInput!, $message: String) {"
    " fulfillmentCreate(fulfillment: $fulfillment, message: $message) {"
    " fulfillment { id } userErrors { field message } } }";
static const char update_tracking[] =
    "mutation FulfillmentTracking($id: ID!, $tracking: FulfillmentTrackingInput!,"
    " $notify: Boolean) { fulfillmentTrackingInfoUpdate(fulfillmentId: $id,"
    " trackingInfoInput: $tracking, notifyCustomer: $notify) {"
    " fulfillment { id } userErrors { field message } } }";

const sl_option fulfillment_create_params[] = {
    { "notify", SL_OPT_BOOL, 0, NULL, 0, 0, NULL,
      "the shop writes to the customer, where the body does not say it" },
    { "location_id", SL_OPT_STRING, 0, NULL, 0, 0, NULL,
      "shipped from this location alone, where the body does not say it, such as 655441491" },
    { "on_hold", SL_OPT_ENUM, 0, NULL, 0, 0, "review|wait",
      "a fulfillment order on hold: a person decides (the default), or it waits for its release" },
    { "other_number", SL_OPT_ENUM, 0, NULL, 0, 0, "review|update|keep",
      "fulfilled already with another number: a person decides (the default), or it gets this "
      "one, or keeps its own" },
    { "carriers", SL_OPT_MAP, 0, NULL, 0, 0, NULL,
      "names of companies as the supplier has them, and as the shop knows them" },
    { 0 },
};

/* Between its state and the call something else was done there: the next attempt reads it anew. */
static const struct refusal_rule refusals[] = {
    { NULL, "Fulfillment order does not exist", REFUSAL_LATER, NULL },
    { NULL, "unfulfillable status", REFUSAL_LATER, NULL },
    { NULL, "Invalid fulfillment order line item quantity", REFUSAL_LATER, NULL },
    { NULL, "Fulfillment order line item does not exist", REFUSAL_LATER, NULL },
    { 0 },
};

/* ---- the state ----------------------------------------------------------------------------- */

static sl_status read(struct deed *d)
{
    char order[DEED_GID];

    if (!deed_order(d, order))
        return deed_wrong(d,
                          "order_id: it is not given, and the event is about no order of this "
                          "shop");
    d->own = json_pack("{s:s,s:i,s:[]}", "id", order, "lines", FEW_LINES, "orders");
    d->variables = json_object();
    return d->own && d->variables ? SL_OK : SL_E_NO_MEMORY;
}

static json_t *look_variables(const struct deed *d)
{
    return json_pack("{s:O,s:O,s:s?}", "id", json_object_get(d->own, "id"), "lines",
                     json_object_get(d->own, "lines"), "after", d->cursor);
}

static int has_more(const json_t *list, const char *connection)
{
    for (size_t i = 0; i < json_array_size(list); i++)
        if (json_is_true(json_object_get(at2(json_array_get(list, i), connection, "pageInfo"),
                                         "hasNextPage")))
            return 1;
    return 0;
}

/* All from the beginning, with longer lists. */
static enum deed_seen ask_for_more(struct deed *d)
{
    free(d->cursor);
    d->cursor = NULL;
    json_object_set_new(d->own, "lines", json_integer(MANY_LINES));
    json_object_set_new(d->own, "orders", json_array());
    return SEEN_MORE;
}

/* One page of the fulfillment orders; SEEN_NOT: all is there. */
static enum deed_seen take_state(struct deed *d, const json_t *order)
{
    const json_t *orders = json_object_get(order, "fulfillmentOrders");
    const json_t *nodes = json_object_get(orders, "nodes");
    const json_t *fulfillments = json_object_get(order, "fulfillments");

    if (has_more(nodes, "lineItems") || has_more(fulfillments, "fulfillmentLineItems")) {
        if (json_integer_value(json_object_get(d->own, "lines")) < MANY_LINES)
            return ask_for_more(d);
        deed_say(d, "the order has more than %d lines in one fulfilment: that is not supported",
                 MANY_LINES);
        return SEEN_HUMAN;
    }
    if (json_array_size(fulfillments) >= 100) {
        deed_say(d,
                 "the order has 100 fulfilments or more: whether this is one of them cannot be "
                 "told");
        return SEEN_HUMAN;
    }
    if (json_array_extend(json_object_get(d->own, "orders"), (json_t *)nodes) < 0)
        return SEEN_EARLY;
    return deed_next_page(d, json_object_get(orders, "pageInfo")) ? SEEN_MORE : SEEN_NOT;
}

/* ---- what is to be done --------------------------------------------------------------------- */

static sl_status set_call(struct deed *d, json_t *by_order)
{
    json_t *tracking = tracking_input(d->body, json_object_get(d->body, "carriers"));
    json_t *input = json_pack("{s:O}", "lineItemsByFulfillmentOrder", by_order);

    if (json_object_size(tracking) > 0)
        json_object_set(input, "trackingInfo", tracking);
    json_decref(tracking);
    if (!tracking || !input || deed_take(d, input, "notify", "notifyCustomer") < 0 ||
        deed_take(d, d->variables, "message", "message") < 0) {
        json_decref(input);
        return SL_E_NO_MEMORY;
    }
    return json_object_set_new(d->variables, "fulfillment", input) < 0 ? SL_E_NO_MEMORY : SL_OK;
}

static void link_orders(struct deed *d, const json_t *by_order)
{
    for (size_t i = 0; i < json_array_size(by_order); i++)
        deed_link(d, "fulfillment_order",
                  text_at(json_array_get(by_order, i), "fulfillmentOrderId"));
}

static void link_all(struct deed *d, const struct shipment_plan *p)
{
    json_t *numbers = tracking_numbers(d->body);

    for (size_t i = 0; i < json_array_size(p->there); i++) {
        const char *id = json_string_value(json_array_get(p->there, i));

        if (!d->reference)
            deed_refers(d, id);
        deed_link(d, "fulfillment", id);
    }
    for (size_t i = 0; i < json_array_size(numbers); i++)
        deed_link(d, "tracking", json_string_value(json_array_get(numbers, i)));
    json_decref(numbers);
}

/* The plan, as the deed goes on by it. What was not answered and is not there was not done: what
 * keeps it from being done is said by the next attempt. */
static enum deed_seen follow(struct deed *d, struct shipment_plan *p)
{
    int part = json_array_size(p->there) > 0;

    d->part |= part;
    d->after_ms = p->after_ms;
    d->choices = p->choices;
    deed_say(d, "%s", p->why);
    switch (p->next) {
    case SHIPMENT_DONE:
        return SEEN_DONE;
    case SHIPMENT_CREATE:
        if (json_object_set(d->own, "calls", p->calls) < 0 ||
            set_call(d, json_array_get(p->calls, 0)) < 0)
            break;
        return part ? SEEN_PART : SEEN_NOT;
    case SHIPMENT_TRACKING:
        json_object_set_new(d->own, "update", json_string(p->fulfillment));
        return SEEN_PART;
    case SHIPMENT_WAIT:
        return d->cb ? SEEN_NOT : SEEN_EARLY;
    case SHIPMENT_ASK:
        return d->cb ? SEEN_NOT : SEEN_HUMAN;
    case SHIPMENT_REFUSED:
        return d->cb ? SEEN_NOT : SEEN_NEVER;
    case SHIPMENT_NO_MEMORY:
        break;
    }
    deed_say(d, "out of memory");
    return SEEN_EARLY;
}

static enum deed_seen plan_it(struct deed *d, const json_t *order)
{
    char since[TIME_TEXT_SIZE];
    struct shipment_rules rules = {
        .wait_on_hold = strcmp(text_at(d->body, "on_hold"), "wait") == 0,
        .other_number = *text_at(d->body, "other_number") ? text_at(d->body, "other_number")
                                                          : "review",
        .choice = d->choice ? d->choice : "",
        .since = deed_sent_before(d) ? deed_first(d, since) : "",
    };
    struct shipment_plan plan;
    enum deed_seen seen;

    shipment_plan(d->body, order, json_object_get(d->own, "orders"), &rules, &plan);
    link_all(d, &plan);
    seen = follow(d, &plan);
    shipment_plan_finish(&plan);
    return seen;
}

static enum deed_seen judge(struct deed *d, const json_t *data)
{
    const json_t *order = json_object_get(data, "order");
    enum deed_seen seen;

    if (!json_is_object(order)) {
        deed_say(d,
                 "the shop has no %s; or it is older than 60 days, and the app lacks "
                 "read_all_orders",
                 text_at(d->own, "id"));
        return d->cb ? SEEN_HUMAN : SEEN_NEVER;
    }
    seen = take_state(d, order);
    return seen == SEEN_NOT ? plan_it(d, order) : seen;
}

/* ---- doing it ------------------------------------------------------------------------------ */

static void on_tracking(struct deed *d, const json_t *data)
{
    const json_t *payload = json_object_get(data, "fulfillmentTrackingInfoUpdate");

    if (refusal_of(json_object_get(payload, "userErrors"), NULL, d->why, sizeof(d->why)) !=
        REFUSAL_NONE) {
        deed_reject(d);
    } else if (json_is_object(json_object_get(payload, "fulfillment"))) {
        deed_done(d);
    } else {
        deed_say(d,
                 "HTTP 200, and neither a result nor errors of fulfillmentTrackingInfoUpdate "
                 "in it");
        deed_unknown(d);
    }
}

static void before(struct deed *d)
{
    json_t *id = json_object_get(d->own, "update"), *tracking, *variables;

    if (!id) {
        deed_do(d);
        return;
    }
    tracking = tracking_input(d->body, json_object_get(d->body, "carriers"));
    variables = tracking ? json_pack("{s:O,s:o,s:O*}", "id", id, "tracking", tracking, "notify",
                                     json_object_get(d->body, "notify"))
                         : NULL;
    deed_ask_to(d, update_tracking, variables, on_tracking);
}

/* One location is done; the next. */
static void after(struct deed *d, const json_t *payload)
{
    json_t *calls = json_object_get(d->own, "calls");

    deed_link(d, "fulfillment", text_at(json_object_get(payload, "fulfillment"), "id"));
    link_orders(d, json_array_get(calls, 0));
    d->part = 1;
    json_array_remove(calls, 0);
    if (json_array_size(calls) == 0) {
        deed_done(d);
    } else if (set_call(d, json_array_get(calls, 0)) < 0) {
        deed_say(d, "out of memory");
        deed_unknown(d);
    } else {
        deed_do(d);
    }
}

static const struct deed_kind kind = {
    .shape = &shipment_shape,
    .params = fulfillment_create_params,
    .flags = DEED_LOOK_FIRST | DEED_CREATES,
    .document = create,
    .root = "fulfillmentCreate",
    .object = "fulfillment",
    .refusals = refusals,
    .read = read,
    .look = order_state,
    .look_variables = look_variables,
    .judge = judge,
    .before = before,
    .after = after,
};

DEED_ACTION(fulfillment_create, kind, shipment_shape, .scopes = FULFIL_ANY,
            .parent_key = deed_parent_key);
