/*
 * order_action.c - see order_action.h.
 */
#include "fulfil/order_action.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "fulfil/shipment_part.h"

#define ROUTING_MS 5000

#define FO_FIELDS                                                                    \
    " id status requestStatus updatedAt supportedActions { action }"                 \
    " assignedLocation { location { id } }"                                          \
    " fulfillmentHolds { id handle heldByRequestingApp }"                            \
    " lineItems(first: $lines) { nodes { id sku remainingQuantity lineItem { id } }" \
    " pageInfo { hasNextPage } } "

const char order_by_id[] =
    "query FulfillmentOrderById($id: ID!, $lines: Int!) { fulfillmentOrder(id: $id) {" FO_FIELDS
    "} }";
const char orders_of_order[] =
    "query FulfillmentOrdersOfOrder($id: ID!, $lines: Int!, $after: String) { order(id: $id) { id"
    " fulfillmentOrders(first: 10, after: $after) { nodes {" FO_FIELDS
    "} pageInfo { hasNextPage endCursor } } } }";

static const struct body_member line_members[] = {
    { "sku", BODY_TEXT, .min = 1, .max = 255, .help = "of the line, to the letter" },
    { "line_item_id", BODY_ID, .of = "LineItem", .help = "of the order's line" },
    { "fulfillment_order_line_item_id", BODY_ID, .of = "FulfillmentOrderLineItem",
      .help = "of the fulfillment order's line" },
    { "quantity", BODY_WHOLE, BODY_REQUIRED, 1, 1000000, .help = "so many of it" },
    { 0 },
};
const struct body_shape order_line_shape = {
    .members = line_members, .one_of = "sku|line_item_id|fulfillment_order_line_item_id"
};

/* ---- which --------------------------------------------------------------------------------- */

sl_status order_read(struct deed *d)
{
    const char *id = text_at(d->body, "fulfillment_order_id");
    int lines = json_object_get(d->body, "lines") ? MAX_LINES : 1;
    char order[DEED_GID];

    d->variables = json_object();
    if (*id) {
        d->look = order_by_id;
        d->own = json_pack("{s:s,s:i,s:[]}", "id", id, "lines", lines, "orders");
    } else if (deed_order(d, order)) {
        d->own = json_pack("{s:s,s:i,s:[]}", "id", order, "lines", lines, "orders");
    } else {
        return deed_wrong(d, "fulfillment_order_id: it is not given, and neither is an order_id");
    }
    return d->own && d->variables ? SL_OK : SL_E_NO_MEMORY;
}

json_t *order_look_variables(const struct deed *d)
{
    json_t *to = json_pack("{s:O,s:O}", "id", json_object_get(d->own, "id"), "lines",
                           json_object_get(d->own, "lines"));

    if (to && d->cursor)
        json_object_set_new(to, "after", json_string(d->cursor));
    return to;
}

int order_supports(const json_t *fo, const char *action)
{
    return shipment_supports(fo, action);
}

int order_is(const json_t *fo, const char *status)
{
    return strcmp(text_at(fo, "status"), status) == 0;
}

int order_is_requested(const json_t *fo, const char *status)
{
    return strcmp(text_at(fo, "requestStatus"), status) == 0;
}

/* ---- lines --------------------------------------------------------------------------------- */

/* Takes `want` of the lines that fit; what is lacking. */
static int64_t take_need(const json_t *fo, const struct need *n, json_t *to)
{
    const json_t *lines = at2(fo, "lineItems", "nodes");
    int64_t left = n->want;

    for (size_t i = 0; i < json_array_size(lines) && left > 0; i++) {
        const json_t *one = json_array_get(lines, i);
        int64_t has = json_integer_value(json_object_get(one, "remainingQuantity"));
        int64_t take = has < left ? has : left;

        if (take <= 0 || !shipment_matches(n, one))
            continue;
        json_array_append_new(
            to, json_pack("{s:s,s:I}", "id", text_at(one, "id"), "quantity", (json_int_t)take));
        left -= take;
    }
    return left;
}

static void say_lacking(struct deed *d, size_t at, const struct need *n, const json_t *fo,
                        int64_t has)
{
    const char *which = n->sku ? n->sku : n->fo_line ? n->fo_line : n->item;
    const json_t *page = at2(fo, "lineItems", "pageInfo");

    if (json_is_true(json_object_get(page, "hasNextPage")))
        deed_say(
            d,
            "lines[%zu] (%.80s): %s has more than %d lines, of which no more are read: do it in "
            "the shop",
            at, which, text_at(fo, "id"), MAX_LINES);
    else
        deed_say(d, "lines[%zu] (%.80s): %s has %" PRId64 " of %" PRId64 " that are asked for", at,
                 which, text_at(fo, "id"), has, n->want);
}

json_t *order_lines_input(struct deed *d, const json_t *fo)
{
    const json_t *lines = json_object_get(d->body, "lines");
    json_t *to = json_array();

    for (size_t i = 0; to && i < json_array_size(lines); i++) {
        const json_t *one = json_array_get(lines, i);
        struct need n = { json_string_value(json_object_get(one, "sku")),
                          json_string_value(json_object_get(one, "line_item_id")),
                          json_string_value(json_object_get(one, "fulfillment_order_line_item_id")),
                          json_integer_value(json_object_get(one, "quantity")), 0 };
        int64_t left = take_need(fo, &n, to);

        if (left <= 0)
            continue;
        say_lacking(d, i, &n, fo, n.want - left);
        json_decref(to);
        to = NULL;
    }
    return to;
}

/* ---- what can be done ---------------------------------------------------------------------- */

struct sums {
    size_t can, done, cannot;
    char why[DEED_WHY]; /* of the first that cannot */
};

static const struct order_kind *kind_of(const struct deed *d)
{
    return (const struct order_kind *)d->kind; /* its first member */
}

static void say_unsupported(struct deed *d, const json_t *fo)
{
    const json_t *all = json_object_get(fo, "supportedActions");
    char actions[200] = "";

    for (size_t i = 0; i < json_array_size(all); i++)
        snprintf(actions + strlen(actions), sizeof(actions) - strlen(actions), "%s%.40s",
                 i ? ", " : "", text_at(json_array_get(all, i), "action"));
    deed_say(d, "%s is %s, %s: it cannot be %s (the shop supports: %s)", text_at(fo, "id"),
             text_at(fo, "status"), text_at(fo, "requestStatus"), kind_of(d)->verb,
             *actions ? actions : "nothing");
}

/* One of them, into the calls or the sums. */
static enum order_state add_one(struct deed *d, const json_t *fo, json_t *calls, struct sums *sums)
{
    enum order_state state;
    json_t *variables = NULL;

    d->why[0] = '\0';
    state = kind_of(d)->state(d, fo);
    if (state == ORDER_CAN) {
        variables = kind_of(d)->variables(d, fo);
        state = variables ? ORDER_CAN : ORDER_CANNOT;
    }
    deed_link(d, "fulfillment_order", text_at(fo, "id"));
    if (state == ORDER_CAN) {
        sums->can++;
        json_array_append_new(calls, variables);
    } else if (state == ORDER_DONE) {
        sums->done++;
    } else if (state == ORDER_CANNOT && sums->cannot++ == 0) {
        if (!d->why[0])
            say_unsupported(d, fo);
        memcpy(sums->why, d->why, sizeof(sums->why));
    }
    return state;
}

static enum deed_seen sum_up(struct deed *d, json_t *calls, const struct sums *sums)
{
    if (json_object_get(d->body, "lines") && sums->can > 1) {
        deed_say(d, "lines: %zu fulfillment orders have them: say which one", sums->can);
        return SEEN_NEVER;
    }
    if (sums->can > 0) {
        json_object_set(d->own, "calls", calls);
        json_object_update(d->variables, json_array_get(calls, 0));
        return sums->done ? SEEN_PART : SEEN_NOT;
    }
    if (sums->done > 0)
        return SEEN_DONE;
    deed_say(d, "%s", sums->why);
    return d->cb ? SEEN_NOT : kind_of(d)->human ? SEEN_HUMAN : SEEN_NEVER;
}

static enum deed_seen judge_all(struct deed *d, const json_t *orders)
{
    const char *location = text_at(d->body, "location_id");
    json_t *calls = json_array();
    struct sums sums = { 0 };
    enum deed_seen seen = SEEN_NOT;
    size_t asked_for = 0;

    for (size_t i = 0; i < json_array_size(orders) && seen != SEEN_HUMAN; i++) {
        const json_t *fo = json_array_get(orders, i);

        if (*location && strcmp(location, shipment_location(fo)) != 0)
            continue;
        asked_for++;
        if (add_one(d, fo, calls, &sums) == ORDER_DOUBT)
            seen = SEEN_HUMAN;
    }
    /* what is left of a split line looks as if it were to be done, too */
    if (sums.done > 0 && json_object_get(d->body, "lines"))
        sums.can = 0;
    if (seen != SEEN_HUMAN && asked_for == 0) {
        deed_say(d, "the order has no fulfillment order%s%s",
                 *location ? " at "
                           : " yet: its "
                             "routing is not finished",
                 location);
        d->after_ms = ROUTING_MS;
        seen = SEEN_EARLY;
    } else if (seen != SEEN_HUMAN) {
        seen = sum_up(d, calls, &sums);
    }
    json_decref(calls);
    return seen;
}

enum deed_seen order_judge(struct deed *d, const json_t *data)
{
    const json_t *fo = json_object_get(data, "fulfillmentOrder");
    const json_t *order = json_object_get(data, "order");
    const json_t *found = json_object_get(order, "fulfillmentOrders");
    json_t *all = json_object_get(d->own, "orders");

    if (json_is_object(fo))
        json_array_append(all, (json_t *)fo);
    else if (json_is_object(order))
        json_array_extend(all, json_object_get(found, "nodes"));
    else {
        deed_say(d, "the shop has no %s, or the app may not see it: is it another service's?",
                 text_at(d->own, "id"));
        return d->cb ? SEEN_HUMAN : SEEN_NEVER;
    }
    if (deed_next_page(d, json_object_get(found, "pageInfo")))
        return SEEN_MORE;
    return judge_all(d, all);
}

/* ---- behind the mutation ------------------------------------------------------------------- */

/* Whatever fulfillment orders it speaks of: what is split and moved has new ids. */
static void link_orders(struct deed *d, const json_t *value, int depth)
{
    const char *id = json_string_value(json_object_get(value, "id")), *name;
    json_t *one;

    if (id && strncmp(id, "gid://shopify/FulfillmentOrder/", 31) == 0)
        deed_link(d, "fulfillment_order", id);
    if (id && strncmp(id, "gid://shopify/FulfillmentHold/", 30) == 0)
        deed_link(d, "fulfillment_hold", id);
    if (depth == 0)
        return;
    json_object_foreach((json_t *)value, name, one) link_orders(d, one, depth - 1);
    for (size_t i = 0; i < json_array_size(value); i++)
        link_orders(d, json_array_get(value, i), depth - 1);
}

void order_after(struct deed *d, const json_t *payload)
{
    json_t *calls = json_object_get(d->own, "calls");

    link_orders(d, payload, 4);
    if (!d->reference)
        deed_refers(d, text_at(json_array_get(json_object_get(d->own, "orders"), 0), "id"));
    d->part = 1;
    json_array_remove(calls, 0);
    if (json_array_size(calls) == 0) {
        deed_done(d);
        return;
    }
    json_object_clear(d->variables);
    json_object_update(d->variables, json_array_get(calls, 0));
    deed_do(d);
}
