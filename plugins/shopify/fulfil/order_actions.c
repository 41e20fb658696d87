/*
 * order_actions.c - fulfillment orders are held, released, moved and split.
 */
#include <stdio.h>
#include <string.h>

#include "fulfil/fulfil.h"
#include "fulfil/order_action.h"

#define LINES_HELP(text)                                                             \
    {                                                                                \
        "lines", BODY_OBJECT, .shape = &order_line_shape, .items = 250, .help = text \
    }

static json_t *of_id(const json_t *fo)
{
    return json_pack("{s:s}", "id", text_at(fo, "id"));
}

/* The body's members beside the id; takes `to` over. */
static json_t *with(struct deed *d, json_t *to, const char *name, const char *as)
{
    if (to && deed_take(d, to, name, as) < 0) {
        json_decref(to);
        return NULL;
    }
    return to;
}

/* The lines, where the body has some; takes `to` over. */
static json_t *with_lines(struct deed *d, const json_t *fo, json_t *to, const char *as)
{
    json_t *lines;

    if (!to || !json_object_get(d->body, "lines"))
        return to;
    lines = order_lines_input(d, fo);
    if (lines && json_object_set_new(to, as, lines) == 0)
        return to;
    json_decref(to);
    return NULL;
}

/* Nothing in its state says whether a part was taken from it; that it changed since does. */
static int may_be_done(struct deed *d, const json_t *fo)
{
    if (!deed_since(d, text_at(fo, "updatedAt")))
        return 0;
    deed_say(d,
             "%s was changed since this was asked for, and the answer was lost: look in the shop "
             "whether it was %s; release this to do it (again), or reject it",
             text_at(fo, "id"), ((const struct order_kind *)d->kind)->verb);
    return d->choice == NULL;
}

/* ---- hold ---------------------------------------------------------------------------------- */

#define REASONS                                                                    \
    "AWAITING_PAYMENT|AWAITING_RETURN_ITEMS|HIGH_RISK_OF_FRAUD|INCORRECT_ADDRESS|" \
    "INVENTORY_OUT_OF_STOCK|ONLINE_STORE_POST_PURCHASE_CROSS_SELL|OTHER|UNKNOWN_DELIVERY_DATE"

static const struct body_member hold_body[] = {
    ORDER_WHICH,
    { "reason", BODY_ENUM, .of = REASONS, .help = "why; without it: OTHER" },
    { "notes", BODY_TEXT, .min = 1, .max = 1000, .help = "shown with it" },
    { "handle", BODY_TEXT, .min = 1, .max = 64,
      .help = "the hold's name, by which it is released; held twice under one it is held once" },
    { "notify_merchant", BODY_BOOL, .help = "the shop writes to its staff" },
    LINES_HELP("these alone; only of one that is not held yet"),
    { 0 },
};
static const struct body_shape hold_shape = { .members = hold_body };

const sl_option fulfillment_order_hold_params[] = {
    { "reason", SL_OPT_ENUM, 0, NULL, 0, 0, REASONS, "why, where the body does not say it" },
    { "handle", SL_OPT_STRING, 0, NULL, 0, 0, NULL,
      "the hold's name, where the body does not say it, such as fraud" },
    { 0 },
};

static const char hold[] =
    "mutation FulfillmentOrderHold($id: ID!, $hold: FulfillmentOrderHoldInput!) {"
    " fulfillmentOrderHold(id: $id, fulfillmentHold: $hold) { fulfillmentHold { id }"
    " fulfillmentOrder { id } remainingFulfillmentOrder { id }"
    " userErrors { code field message } } }";
static const struct refusal_rule hold_refusals[] = {
    { "DUPLICATE_FULFILLMENT_HOLD_HANDLE", NULL, REFUSAL_DONE, NULL },
    { "TAKEN", NULL, REFUSAL_STATE, NULL },
    { "FULFILLMENT_ORDER_HOLD_LIMIT_REACHED", NULL, REFUSAL_HUMAN,
      "this app holds it ten times already: release some of these holds, then release this" },
    { "FULFILLMENT_ORDER_NOT_SPLITTABLE", NULL, REFUSAL_GOOD,
      "lines: it is held already, and so cannot be held in part" },
    { 0 },
};

/* The body's, or the delivery's key: the same over each attempt. */
static const char *handle_of(const struct deed *d, char *to, size_t size)
{
    const char *said = text_at(d->body, "handle");

    snprintf(to, size, "%s%s", *said ? "" : "sluice-", *said ? said : d->key);
    return to;
}

static enum order_state hold_state(struct deed *d, const json_t *fo)
{
    const json_t *holds = json_object_get(fo, "fulfillmentHolds");
    char handle[300];

    handle_of(d, handle, sizeof(handle));
    for (size_t i = 0; i < json_array_size(holds); i++) {
        const json_t *one = json_array_get(holds, i);

        if (json_is_true(json_object_get(one, "heldByRequestingApp")) &&
            strcmp(text_at(one, "handle"), handle) == 0) {
            deed_link(d, "fulfillment_hold", text_at(one, "id"));
            return ORDER_DONE;
        }
    }
    return order_supports(fo, "HOLD") ? ORDER_CAN : ORDER_CANNOT;
}

static json_t *hold_variables(struct deed *d, const json_t *fo)
{
    const char *reason = text_at(d->body, "reason");
    char handle[300];
    json_t *input = json_pack("{s:s,s:s}", "reason", *reason ? reason : "OTHER", "handle",
                              handle_of(d, handle, sizeof(handle)));

    input = with_lines(d, fo, input, "fulfillmentOrderLineItems");
    input = with(d, with(d, input, "notes", "reasonNotes"), "notify_merchant", "notifyMerchant");
    return json_pack("{s:s,s:o}", "id", text_at(fo, "id"), "hold", input);
}

static const struct order_kind hold_kind = {
    .kind = ORDER_KIND(hold, "fulfillmentOrderHold", hold_shape, fulfillment_order_hold_params,
                       hold_refusals),
    .verb = "held",
    .state = hold_state,
    .variables = hold_variables,
};

DEED_ACTION(fulfillment_order_hold, hold_kind.kind, hold_shape, .scopes = FULFIL_ANY,
            .parent_key = deed_parent_key);

/* ---- release ------------------------------------------------------------------------------- */

static const struct body_member release_body[] = {
    ORDER_WHICH,
    { "handle", BODY_TEXT, .min = 1, .max = 64,
      .help = "the hold of this name; without it all of this app's. Never another's" },
    { 0 },
};
static const struct body_shape release_shape = { .members = release_body };

const sl_option fulfillment_order_release_params[] = {
    { "handle", SL_OPT_STRING, 0, NULL, 0, 0, NULL,
      "the hold of this name, where the body does not say it, such as fraud" },
    { 0 },
};

static const char release[] =
    "mutation FulfillmentOrderReleaseHold($id: ID!, $holds: [ID!]) {"
    " fulfillmentOrderReleaseHold(id: $id, holdIds: $holds) { fulfillmentOrder { id }"
    " userErrors { code field message } } }";
static const struct refusal_rule release_refusals[] = {
    { "INVALID_ACCESS", NULL, REFUSAL_HUMAN, "the app may not release it: look at its scopes" },
    { 0 },
};

/* Without ids the shop would release every hold, other apps' too: there always are some. */
static json_t *own_holds(const struct deed *d, const json_t *fo)
{
    const json_t *holds = json_object_get(fo, "fulfillmentHolds");
    const char *handle = text_at(d->body, "handle");
    json_t *to = json_array();

    for (size_t i = 0; i < json_array_size(holds); i++) {
        const json_t *one = json_array_get(holds, i);

        if (json_is_true(json_object_get(one, "heldByRequestingApp")) &&
            (!*handle || strcmp(text_at(one, "handle"), handle) == 0))
            json_array_append(to, json_object_get(one, "id"));
    }
    return to;
}

static enum order_state release_state(struct deed *d, const json_t *fo)
{
    json_t *own = own_holds(d, fo);
    size_t n = json_array_size(own);

    json_decref(own);
    return n > 0 ? ORDER_CAN : ORDER_DONE;
}

static json_t *release_variables(struct deed *d, const json_t *fo)
{
    return json_pack("{s:s,s:o}", "id", text_at(fo, "id"), "holds", own_holds(d, fo));
}

static const struct order_kind release_kind = {
    .kind = ORDER_KIND(release, "fulfillmentOrderReleaseHold", release_shape,
                       fulfillment_order_release_params, release_refusals),
    .verb = "released",
    .state = release_state,
    .variables = release_variables,
};

DEED_ACTION(fulfillment_order_release, release_kind.kind, release_shape, .scopes = FULFIL_ANY,
            .parent_key = deed_parent_key);

/* ---- move and split ------------------------------------------------------------------------ */

static const struct body_member move_body[] = {
    ORDER_WHICH,
    { "new_location_id", BODY_ID, BODY_REQUIRED, .of = "Location", .help = "where it goes" },
    LINES_HELP("these alone"),
    { 0 },
};
static const struct body_shape move_shape = { .members = move_body };

const sl_option fulfillment_order_move_params[] = {
    { "new_location_id", SL_OPT_STRING, 0, NULL, 0, 0, NULL,
      "where it goes, where the body does not say it, such as 655441491" },
    { 0 },
};

static const char move[] =
    "mutation FulfillmentOrderMove($id: ID!, $to: ID!, $lines: [FulfillmentOrderLineItemInput!]) {"
    " fulfillmentOrderMove(id: $id, newLocationId: $to, fulfillmentOrderLineItems: $lines) {"
    " movedFulfillmentOrder { id } originalFulfillmentOrder { id }"
    " remainingFulfillmentOrder { id } userErrors { code field message } } }";
static const struct refusal_rule move_refusals[] = {
    { NULL, "Cannot move submitted fulfillment order", REFUSAL_HUMAN,
      "it is at a fulfillment service: fulfillment_order.submit_cancellation comes first" },
    { "CANNOT_MOVE_FULFILLMENT_ORDER_WITH_REPORTED_PROGRESS", NULL, REFUSAL_HUMAN,
      "mark it as unfulfilled in the shop, then release this" },
    { NULL, "progress reported", REFUSAL_HUMAN,
      "mark it as unfulfilled in the shop, then release this" },
    { 0 },
};

static enum order_state move_state(struct deed *d, const json_t *fo)
{
    if (strcmp(text_at(at2(fo, "assignedLocation", "location"), "id"),
               text_at(d->body, "new_location_id")) == 0)
        return ORDER_DONE;
    if (json_object_get(d->body, "lines") && may_be_done(d, fo))
        return ORDER_DOUBT;
    return order_supports(fo, "MOVE") ? ORDER_CAN : ORDER_CANNOT;
}

static json_t *move_variables(struct deed *d, const json_t *fo)
{
    return with(d, with_lines(d, fo, of_id(fo), "lines"), "new_location_id", "to");
}

static const struct order_kind move_kind = {
    .kind = ORDER_KIND(move, "fulfillmentOrderMove", move_shape, fulfillment_order_move_params,
                       move_refusals),
    .verb = "moved",
    .human = 1,
    .state = move_state,
    .variables = move_variables,
};

DEED_ACTION(fulfillment_order_move, move_kind.kind, move_shape, .scopes = FULFIL_ANY,
            .parent_key = deed_parent_key);

static const struct body_member split_body[] = {
    ORDER_WHICH,
    { "lines", BODY_OBJECT, BODY_REQUIRED, .shape = &order_line_shape, .items = 250,
      .help = "what goes into a fulfillment order of its own" },
    { 0 },
};
static const struct body_shape split_shape = { .members = split_body };

static const char split[] =
    "mutation FulfillmentOrderSplit($splits: [FulfillmentOrderSplitInput!]!) {"
    " fulfillmentOrderSplit(fulfillmentOrderSplits: $splits) { fulfillmentOrderSplits {"
    " fulfillmentOrder { id } remainingFulfillmentOrder { id } } userErrors { code field message } "
    "} }";

static enum order_state split_state(struct deed *d, const json_t *fo)
{
    if (may_be_done(d, fo))
        return ORDER_DOUBT;
    return order_supports(fo, "SPLIT") ? ORDER_CAN : ORDER_CANNOT;
}

static json_t *split_variables(struct deed *d, const json_t *fo)
{
    json_t *one = json_pack("{s:s}", "fulfillmentOrderId", text_at(fo, "id"));

    return json_pack("{s:[o]}", "splits", with_lines(d, fo, one, "fulfillmentOrderLineItems"));
}

static const struct order_kind split_kind = {
    .kind = ORDER_KIND(split, "fulfillmentOrderSplit", split_shape, NULL, NULL),
    .verb = "split",
    .state = split_state,
    .variables = split_variables,
};

DEED_ACTION(fulfillment_order_split, split_kind.kind, split_shape, .scopes = FULFIL_ANY,
            .parent_key = deed_parent_key);
