/*
 * fulfillment.c - what is done with a fulfilment that is there: fulfillment.tracking, .cancel and
 * .event. Which one it is stands in the body by its id, or by its tracking number and the order.
 * Each reads its state first: told twice, it is done once.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "fulfil/fulfil.h"
#include "fulfil/shipment.h"
#include "orders/deed.h"

#define F_FIELDS                                                                   \
    " id name status displayStatus trackingInfo(first: 50) { company number url }" \
    " events(first: 50, reverse: true) { nodes { id status happenedAt createdAt message } } "

static const char by_order[] =
    "query FulfillmentsOfOrder($id: ID!) { order(id: $id) { id fulfillments(first: 100) {" F_FIELDS
    "} } }";
static const char by_id[] = "query FulfillmentById($id: ID!) { fulfillment(id: $id) {" F_FIELDS
                            "} }";
static const char update_tracking[] =
    "mutation FulfillmentTrackingInfoUpdate($fulfillmentId: ID!,"
    " $trackingInfoInput: FulfillmentTrackingInput!, $notifyCustomer: Boolean) {"
    " fulfillmentTrackingInfoUpdate(fulfillmentId: $fulfillmentId,"
    " trackingInfoInput: $trackingInfoInput, notifyCustomer: $notifyCustomer) {"
    " fulfillment { id } userErrors { field message } } }";
static const char cancel[] =
    "mutation FulfillmentCancel($id: ID!) { fulfillmentCancel(id: $id) {"
    " fulfillment { id status } userErrors { field message } } }";
static const char create_event[] =
    "mutation FulfillmentEventCreate($fulfillmentEvent: FulfillmentEventInput!) {"
    " fulfillmentEventCreate(fulfillmentEvent: $fulfillmentEvent) {"
    " fulfillmentEvent { id status } userErrors { field message } } }";

/* ---- which fulfilment ---------------------------------------------------------------------- */

#define WHICH_ONE(of_number)                                                                      \
    { "fulfillment_id", BODY_ID, .of = "Fulfillment", .help = "the fulfilment" },                 \
        { "order_id", BODY_ID, .of = "Order",                                                     \
          .help =                                                                                 \
              "without fulfillment_id: its order; without it the one that the event is about" },  \
    {                                                                                             \
        of_number, BODY_TEXT,                                                                     \
            .min = 1, .max = 255,                                                                 \
            .help =                                                                               \
                "of that order the fulfilment with this tracking number; without it the only one" \
    }

static sl_status find_by(struct deed *d, const char *number)
{
    const char *id = text_at(d->body, "fulfillment_id");
    char order[DEED_GID];

    d->variables = json_object();
    if (*id) {
        d->look = by_id;
        d->own = json_pack("{s:s}", "id", id);
    } else if (deed_order(d, order)) {
        d->own = json_pack("{s:s,s:s}", "id", order, "number", number);
    } else {
        return deed_wrong(d, "fulfillment_id: it is not given, and neither is an order_id");
    }
    return d->own && d->variables ? SL_OK : SL_E_NO_MEMORY;
}

static json_t *look_variables(const struct deed *d)
{
    return json_pack("{s:O}", "id", json_object_get(d->own, "id"));
}

/* "JD01, JD02 (#1042-F1, CANCELLED)" of all that the order has */
static void list_numbers(const json_t *all, char *to, size_t size)
{
    size_t at = 0;

    to[0] = '\0';
    for (size_t i = 0; i < json_array_size(all) && at < size - 1; i++) {
        const json_t *one = json_array_get(all, i);
        const char *number = text_at(json_array_get(json_object_get(one, "trackingInfo"), 0),
                                     "number");

        at += (size_t)snprintf(to + at, size - at, "%s%.40s%s", i ? ", " : "",
                               *number ? number : "one without a number",
                               fulfillment_lives(one) ? "" : " (cancelled)");
    }
    if (!to[0])
        snprintf(to, size, "none");
}

/* Of those with the number a living one counts before a cancelled one. */
static const json_t *pick(struct deed *d, const json_t *all, const char *number)
{
    const json_t *found = NULL;
    char numbers[200];
    size_t living = 0;

    for (size_t i = 0; i < json_array_size(all); i++) {
        const json_t *one = json_array_get(all, i);

        if (*number && !tracking_has(one, number))
            continue;
        living += fulfillment_lives(one) != 0;
        if (!found || fulfillment_lives(one))
            found = one;
    }
    if (found && (living <= 1 || *number))
        return found;
    list_numbers(all, numbers, sizeof(numbers));
    if (found)
        deed_say(d, "the order has several fulfilments (%s): say which one", numbers);
    else
        deed_say(d, "%s has no fulfilment with the tracking number %.80s; it has %s",
                 text_at(d->own, "id"), *number ? number : "(any)", numbers);
    return NULL;
}

/* The one that is meant, linked; NULL: d->why says why not. Its state is borrowed. */
static const json_t *which(struct deed *d, const json_t *data)
{
    const json_t *order = json_object_get(data, "order");
    const json_t *one = json_object_get(data, "fulfillment");

    if (!json_is_object(one) && !json_is_object(order)) {
        deed_say(d, "the shop has no %s, or the app may not see it", text_at(d->own, "id"));
        return NULL;
    }
    if (!json_is_object(one))
        one = pick(d, json_object_get(order, "fulfillments"), text_at(d->own, "number"));
    if (!one)
        return NULL;
    deed_refers(d, text_at(one, "id"));
    deed_link(d, "fulfillment", text_at(one, "id"));
    return one;
}

/* ---- fulfillment.tracking ------------------------------------------------------------------ */

static const struct body_member tracking_body[] = {
    WHICH_ONE("replaces"),
    { "tracking", BODY_OBJECT, BODY_REQUIRED, .shape = &tracking_shape, .help = "the new one" },
    { "notify", BODY_BOOL, .help = "the shop writes to the customer" },
    { "carriers", BODY_OBJECT, .help = "names of companies, and as the shop knows them" },
    { 0 },
};
static const struct body_shape tracking_update_shape = { .members = tracking_body };

const sl_option fulfillment_tracking_params[] = {
    { "notify", SL_OPT_BOOL, 0, NULL, 0, 0, NULL,
      "the shop writes to the customer, where the body does not say it" },
    { "carriers", SL_OPT_MAP, 0, NULL, 0, 0, NULL,
      "names of companies as the supplier has them, and as the shop knows them" },
    { 0 },
};

static sl_status read_tracking(struct deed *d)
{
    sl_status r = find_by(d, text_at(d->body, "replaces"));
    json_t *input;

    if (r < 0)
        return r;
    input = tracking_input(d->body, json_object_get(d->body, "carriers"));
    if (!input || json_object_set_new(d->variables, "trackingInfoInput", input) < 0 ||
        deed_take(d, d->variables, "notify", "notifyCustomer") < 0)
        return SL_E_NO_MEMORY;
    return json_object_size(input) > 0
               ? SL_OK
               : deed_wrong(d, "tracking: it says neither company, number nor url");
}

/* What the parcel has; the other numbers of a fulfilment of several parcels stay. */
static int has_all(const json_t *fulfillment, const json_t *numbers)
{
    for (size_t i = 0; i < json_array_size(numbers); i++)
        if (!tracking_has(fulfillment, json_string_value(json_array_get(numbers, i))))
            return 0;
    return json_array_size(numbers) > 0;
}

static int same_company_and_url(const json_t *fulfillment, const json_t *input)
{
    const json_t *all = json_object_get(fulfillment, "trackingInfo");
    const char *company = text_at(input, "company"), *url = text_at(input, "url");

    for (size_t i = 0; i < json_array_size(all); i++) {
        const json_t *one = json_array_get(all, i);

        if (*company && strcmp(company, text_at(one, "company")) != 0)
            return 0;
        if (*url && strcmp(url, text_at(one, "url")) != 0)
            return 0;
    }
    return 1;
}

/* The new numbers, and behind them those of its other parcels; links only where all have one. */
static sl_status keep_others(struct deed *d, const json_t *fulfillment, const json_t *numbers)
{
    const json_t *all = json_object_get(fulfillment, "trackingInfo");
    json_t *input = json_object_get(d->variables, "trackingInfoInput");
    const char *replaced = text_at(d->body, "replaces");
    json_t *to;

    if (!*replaced || json_array_size(all) < 2 || json_array_size(numbers) == 0)
        return SL_OK;
    to = json_copy((json_t *)numbers);
    for (size_t i = 0; to && i < json_array_size(all); i++) {
        json_t *only = json_pack("{s:[O]}", "trackingInfo", json_array_get(all, i));
        json_t *number = json_object_get(json_array_get(all, i), "number");

        if (json_is_string(number) && !tracking_has(only, replaced))
            json_array_append(to, number);
        json_decref(only);
    }
    json_object_del(input, "number");
    json_object_del(input, "url");
    json_object_del(input, "urls");
    return json_object_set_new(input, "numbers", to) < 0 ? SL_E_NO_MEMORY : SL_OK;
}

/* The old number may be gone by this very record: then the new one is found. */
static const json_t *which_parcel(struct deed *d, const json_t *data, const json_t *numbers)
{
    const json_t *all = at2(data, "order", "fulfillments");

    for (size_t i = 0; i < json_array_size(all) && *text_at(d->own, "number"); i++)
        if (fulfillment_lives(json_array_get(all, i)) && has_all(json_array_get(all, i), numbers))
            return json_array_get(all, i);
    return which(d, data);
}

static enum deed_seen judge_tracking(struct deed *d, const json_t *data)
{
    json_t *numbers = tracking_numbers(d->body);
    const json_t *input = json_object_get(d->variables, "trackingInfoInput");
    const json_t *one = which_parcel(d, data, numbers);
    enum deed_seen seen = SEEN_NOT;

    if (!one) {
        seen = SEEN_NEVER;
    } else if (!fulfillment_lives(one)) {
        deed_say(d, "%s is cancelled: what was shipped again needs fulfillment.create",
                 text_at(one, "id"));
        seen = SEEN_NEVER;
    } else {
        deed_refers(d, text_at(one, "id"));
        for (size_t i = 0; i < json_array_size(numbers); i++)
            deed_link(d, "tracking", json_string_value(json_array_get(numbers, i)));
        if ((has_all(one, numbers) || json_array_size(numbers) == 0) &&
            same_company_and_url(one, input))
            seen = SEEN_DONE;
        else if (json_object_set(d->variables, "fulfillmentId", json_object_get(one, "id")) < 0 ||
                 keep_others(d, one, numbers) < 0)
            seen = SEEN_EARLY;
    }
    json_decref(numbers);
    return seen;
}

static const struct deed_kind tracking_kind = {
    .shape = &tracking_update_shape,
    .params = fulfillment_tracking_params,
    .flags = DEED_LOOK_FIRST,
    .document = update_tracking,
    .root = "fulfillmentTrackingInfoUpdate",
    .object = "fulfillment",
    .link = "fulfillment",
    .read = read_tracking,
    .look = by_order,
    .look_variables = look_variables,
    .judge = judge_tracking,
};

DEED_ACTION(fulfillment_tracking, tracking_kind, tracking_update_shape, .scopes = FULFIL_ANY,
            .parent_key = deed_parent_key);

/* ---- fulfillment.cancel -------------------------------------------------------------------- */

static const struct body_member cancel_body[] = { WHICH_ONE("number"), { 0 } };
static const struct body_shape cancel_shape = { .members = cancel_body };

static sl_status read_cancel(struct deed *d)
{
    return find_by(d, text_at(d->body, "number"));
}

static enum deed_seen judge_cancel(struct deed *d, const json_t *data)
{
    const json_t *one = which(d, data);

    if (!one)
        return SEEN_NEVER;
    if (strcmp(text_at(one, "status"), "CANCELLED") == 0)
        return SEEN_DONE;
    return json_object_set(d->variables, "id", json_object_get(one, "id")) < 0 ? SEEN_EARLY
                                                                               : SEEN_NOT;
}

static const struct deed_kind cancel_kind = {
    .shape = &cancel_shape,
    .flags = DEED_LOOK_FIRST,
    .document = cancel,
    .root = "fulfillmentCancel",
    .object = "fulfillment",
    .link = "fulfillment",
    .read = read_cancel,
    .look = by_order,
    .look_variables = look_variables,
    .judge = judge_cancel,
};

DEED_ACTION(fulfillment_cancel, cancel_kind, cancel_shape, .scopes = FULFIL_ANY,
            .parent_key = deed_parent_key);

/* ---- fulfillment.event --------------------------------------------------------------------- */

#define EVENTS                                                                              \
    "LABEL_PURCHASED|LABEL_PRINTED|READY_FOR_PICKUP|CONFIRMED|IN_TRANSIT|OUT_FOR_DELIVERY|" \
    "ATTEMPTED_DELIVERY|DELAYED|DELIVERED|FAILURE|CARRIER_PICKED_UP"

static const struct body_member event_body[] = {
    WHICH_ONE("number"),
    { "status", BODY_ENUM, BODY_REQUIRED, .of = EVENTS, .help = "what has become of the parcel" },
    { "happened_at", BODY_TIME, .help = "when; without it: now" },
    { "estimated_delivery_at", BODY_TIME, .help = "when it should arrive" },
    { "message", BODY_TEXT, .min = 1, .max = 1000, .help = "shown with it" },
    { "address1", BODY_TEXT, .max = 255, .help = "where" },
    { "city", BODY_TEXT, .max = 255, .help = "where" },
    { "province", BODY_TEXT, .max = 255, .help = "where" },
    { "zip", BODY_TEXT, .max = 255, .help = "where" },
    { "country", BODY_TEXT, .max = 255, .help = "where" },
    { 0 },
};
static const struct body_shape event_shape = { .members = event_body };

static sl_status read_event(struct deed *d)
{
    static const char *const names[][2] = {
        { "status", "status" },
        { "happened_at", "happenedAt" },
        { "estimated_delivery_at", "estimatedDeliveryAt" },
        { "message", "message" },
        { "address1", "address1" },
        { "city", "city" },
        { "province", "province" },
        { "zip", "zip" },
        { "country", "country" },
    };
    sl_status r = find_by(d, text_at(d->body, "number"));
    json_t *input;

    if (r < 0)
        return r;
    input = json_object();
    if (json_object_set_new(d->variables, "fulfillmentEvent", input) < 0)
        return SL_E_NO_MEMORY;
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
        if (deed_take(d, input, names[i][0], names[i][1]) < 0)
            return SL_E_NO_MEMORY;
    return SL_OK;
}

/* It is there: the same at the same time; without a time one that came since it was sent first. */
static int is_there(const struct deed *d, const json_t *fulfillment)
{
    const json_t *all = at2(fulfillment, "events", "nodes");
    const char *at = text_at(d->body, "happened_at");
    char utc[TIME_TEXT_SIZE];

    for (size_t i = 0; i < json_array_size(all); i++) {
        const json_t *one = json_array_get(all, i);
        sl_str when = { text_at(one, "happenedAt"), strlen(text_at(one, "happenedAt")) };

        if (strcmp(text_at(one, "status"), text_at(d->body, "status")) != 0)
            continue;
        if (*at ? time_normalise(when, utc) == SL_OK && strncmp(utc, at, 19) == 0
                : deed_since(d, text_at(one, "createdAt")))
            return 1;
    }
    return 0;
}

static enum deed_seen judge_event(struct deed *d, const json_t *data)
{
    const json_t *one = which(d, data);

    if (!one)
        return SEEN_NEVER;
    if (is_there(d, one))
        return SEEN_DONE;
    if (!fulfillment_lives(one)) {
        deed_say(d, "%s is cancelled: it has no events any more", text_at(one, "id"));
        return SEEN_NEVER;
    }
    return json_object_set(json_object_get(d->variables, "fulfillmentEvent"), "fulfillmentId",
                           json_object_get(one, "id")) < 0
               ? SEEN_EARLY
               : SEEN_NOT;
}

static const struct deed_kind event_kind = {
    .shape = &event_shape,
    .flags = DEED_LOOK_FIRST | DEED_CREATES,
    .document = create_event,
    .root = "fulfillmentEventCreate",
    .object = "fulfillmentEvent",
    .read = read_event,
    .look = by_order,
    .look_variables = look_variables,
    .judge = judge_event,
};

DEED_ACTION(fulfillment_event, event_kind, event_shape, .scopes = FULFIL_ANY,
            .parent_key = deed_parent_key);
