/*
 * shipment.c - see shipment.h. What was shipped, less what the shop has of it already, is taken
 * from what remains of the order's fulfillment orders; all of it, or nothing.
 */
#include "fulfil/shipment.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "fulfil/shipment_part.h"

/* ---- the body ------------------------------------------------------------------------------ */

static const struct body_member line_members[] = {
    { "sku", BODY_TEXT, .min = 1, .max = 255, .help = "of the order's line, to the letter" },
    { "line_item_id", BODY_ID, .of = "LineItem", .help = "of the order's line" },
    { "fulfillment_order_line_item_id", BODY_ID, .of = "FulfillmentOrderLineItem",
      .help = "of a fulfillment order's line" },
    { "quantity", BODY_WHOLE, BODY_REQUIRED, 1, 1000000, .help = "so many were shipped" },
    { 0 },
};
static const struct body_shape line = {
    .members = line_members, .one_of = "sku|line_item_id|fulfillment_order_line_item_id"
};

static const struct body_member tracking_members[] = {
    { "company", BODY_TEXT, .min = 1, .max = 255,
      .help = "the carrier; of the shop's list, else a url is needed for a link" },
    { "number", BODY_TEXT, .min = 1, .max = 255, .help = "of the parcel" },
    { "numbers", BODY_TEXT, .min = 1, .max = 255, .items = 50, .help = "of several parcels" },
    { "url", BODY_URL, .help = "where the parcel is followed" },
    { "urls", BODY_URL, .items = 50, .help = "of several, as their numbers stand" },
    { 0 },
};
const struct body_shape tracking_shape = { .members = tracking_members };

static const struct body_member members[] = {
    { "order_id", BODY_ID, .of = "Order",
      .help = "the order; without it the one that the event is about" },
    { "lines", BODY_OBJECT, .shape = &line, .items = MAX_LINES,
      .help = "what is in the parcels; without it all that remains" },
    { "fulfillment_order_id", BODY_ID, .of = "FulfillmentOrder", .help = "of this one alone" },
    { "location_id", BODY_ID, .of = "Location", .help = "shipped from this location alone" },
    { "tracking", BODY_OBJECT, .shape = &tracking_shape, .help = "of the parcels" },
    { "notify", BODY_BOOL, .help = "the shop writes to the customer" },
    { "message", BODY_TEXT, .max = 1000, .help = "for the shop's staff" },
    { "on_hold", BODY_ENUM, .of = "review|wait",
      .help = "what is on hold: a person decides, or it waits" },
    { "other_number", BODY_ENUM, .of = "review|update|keep",
      .help = "fulfilled already with another number: a person decides, or it gets this one, or "
              "keeps its own" },
    { "carriers", BODY_OBJECT, .help = "names of companies, and as the shop knows them" },
    { 0 },
};
const struct body_shape shipment_shape = { .members = members };

/* ---- what a fulfilment holds of it --------------------------------------------------------- */

void shipment_say(struct work *w, enum shipment_next next, const char *format, ...)
{
    va_list args;

    w->plan->next = next;
    va_start(args, format);
    vsnprintf(w->plan->why, sizeof(w->plan->why), format, args);
    va_end(args);
    for (char *p = w->plan->why; *p; p++)
        if ((unsigned char)*p < ' ')
            *p = ' ';
}

static int is_item(const struct need *n, const json_t *line_item)
{
    return n->item ? strcmp(n->item, text_at(line_item, "id")) == 0
                   : n->sku && strcmp(n->sku, text_at(line_item, "sku")) == 0;
}

int64_t shipment_quantity(const json_t *o, const char *name)
{
    json_int_t n = json_integer_value(json_object_get(o, name));

    return n < 0 ? 0 : n > INT32_MAX ? INT32_MAX : n; /* of GraphQL's Int */
}

static const json_t *lines_of(const json_t *fulfillment)
{
    return at2(fulfillment, "fulfillmentLineItems", "nodes");
}

/* What it holds is no longer needed; how much of it was. */
static int64_t take_off(struct work *w, const json_t *fulfillment)
{
    const json_t *lines = lines_of(fulfillment);
    int64_t taken = 0;

    for (size_t i = 0; i < json_array_size(lines); i++) {
        const json_t *one = json_array_get(lines, i);
        int64_t left = shipment_quantity(one, "quantity");

        for (size_t k = 0; k < w->n; k++) {
            int64_t n = w->needs[k].left < left ? w->needs[k].left : left;

            if (n <= 0 || !is_item(&w->needs[k], json_object_get(one, "lineItem")))
                continue;
            w->needs[k].left -= n;
            left -= n;
            taken += n;
        }
    }
    return taken;
}

int shipment_equals(const struct work *w, const json_t *fulfillment)
{
    const json_t *lines = lines_of(fulfillment);
    struct need needs[MAX_LINES];
    struct work probe = *w;
    int64_t all = 0, taken;

    memcpy(needs, w->needs, w->n * sizeof(*needs));
    probe.needs = needs;
    for (size_t i = 0; i < json_array_size(lines); i++)
        all += shipment_quantity(json_array_get(lines, i), "quantity");
    taken = take_off(&probe, fulfillment);
    for (size_t k = 0; k < w->n; k++)
        if (needs[k].left > 0)
            return 0;
    return taken == all;
}

static int has_no_number(const json_t *fulfillment)
{
    const json_t *all = json_object_get(fulfillment, "trackingInfo");

    for (size_t i = 0; i < json_array_size(all); i++)
        if (*text_at(json_array_get(all, i), "number"))
            return 0;
    return 1;
}

/* Without a number only what was sent before can be found again: by its lines, and by when. */
static int is_ours(const struct work *w, const json_t *fulfillment)
{
    for (size_t i = 0; i < json_array_size(w->numbers); i++)
        if (tracking_has(fulfillment, json_string_value(json_array_get(w->numbers, i))))
            return 1;
    return json_array_size(w->numbers) == 0 && *w->rules->since && has_no_number(fulfillment) &&
           strcmp(text_at(fulfillment, "createdAt"), w->rules->since) >= 0 &&
           (w->n == 0 || shipment_equals(w, fulfillment));
}

static sl_status find_ours(struct work *w)
{
    const json_t *all = json_object_get(w->order, "fulfillments");

    for (size_t i = 0; i < json_array_size(all); i++) {
        const json_t *one = json_array_get(all, i);

        if (!fulfillment_lives(one) || !is_ours(w, one))
            continue;
        take_off(w, one);
        w->ours = one;
        w->n_ours++;
        if (json_array_append(w->plan->there, json_object_get(one, "id")) < 0 ||
            json_object_set_new(w->done_at, text_at(json_object_get(one, "location"), "id"),
                                json_true()) < 0)
            return SL_E_NO_MEMORY;
    }
    return SL_OK;
}

/* ---- what remains -------------------------------------------------------------------------- */

const char *shipment_location(const json_t *fo)
{
    return text_at(at2(fo, "assignedLocation", "location"), "id");
}

int shipment_supports(const json_t *fo, const char *action)
{
    const json_t *all = json_object_get(fo, "supportedActions");

    for (size_t i = 0; i < json_array_size(all); i++)
        if (strcmp(text_at(json_array_get(all, i), "action"), action) == 0)
            return 1;
    return 0;
}

int shipment_is_asked_for(const struct work *w, const json_t *fo)
{
    const char *only = text_at(w->body, "fulfillment_order_id");
    const char *location = text_at(w->body, "location_id");

    return (!*only || strcmp(only, text_at(fo, "id")) == 0) &&
           (!*location || strcmp(location, shipment_location(fo)) == 0);
}

int shipment_matches(const struct need *n, const json_t *fo_line)
{
    if (n->fo_line)
        return strcmp(n->fo_line, text_at(fo_line, "id")) == 0;
    if (n->item)
        return strcmp(n->item, text_at(json_object_get(fo_line, "lineItem"), "id")) == 0;
    return n->sku && strcmp(n->sku, text_at(fo_line, "sku")) == 0;
}

/* So many of a fulfillment order's line: of all needs that it fits, or all that remains. */
static int64_t take_line(struct work *w, const json_t *fo_line)
{
    int64_t remains = shipment_quantity(fo_line, "remainingQuantity"), taken = 0;

    if (w->n == 0)
        return remains;
    for (size_t k = 0; k < w->n && taken < remains; k++) {
        int64_t n = w->needs[k].left < remains - taken ? w->needs[k].left : remains - taken;

        if (n <= 0 || !shipment_matches(&w->needs[k], fo_line))
            continue;
        w->needs[k].left -= n;
        taken += n;
    }
    return taken;
}

/* {"fulfillmentOrderId", "fulfillmentOrderLineItems"}, into the call of its location. */
static sl_status take_order(struct work *w, const json_t *fo, json_t *calls)
{
    const json_t *lines = at2(fo, "lineItems", "nodes");
    const char *location = shipment_location(fo);
    json_t *to = json_array(), *call;
    sl_status r = to ? SL_OK : SL_E_NO_MEMORY;

    for (size_t i = 0; i < json_array_size(lines) && r == SL_OK; i++) {
        const json_t *one = json_array_get(lines, i);
        int64_t n = take_line(w, one);

        if (n > 0 && json_array_append_new(to, json_pack("{s:s,s:I}", "id", text_at(one, "id"),
                                                         "quantity", (json_int_t)n)) < 0)
            r = SL_E_NO_MEMORY;
    }
    if (r == SL_OK && json_array_size(to) > 0) {
        call = json_object_get(calls, location);
        if (!call) {
            json_object_set_new(calls, location, json_array());
            call = json_object_get(calls, location);
        }
        if (json_array_append_new(call,
                                  json_pack("{s:s,s:O}", "fulfillmentOrderId", text_at(fo, "id"),
                                            "fulfillmentOrderLineItems", to)) < 0)
            r = SL_E_NO_MEMORY;
    }
    json_decref(to);
    return r;
}

/* From one location ("": of no name), or NULL: from all. Own {location: call}. */
static json_t *take_from(struct work *w, const char *location)
{
    json_t *calls = json_object();

    for (size_t i = 0; i < json_array_size(w->orders) && calls; i++) {
        const json_t *fo = json_array_get(w->orders, i);

        if (!shipment_is_asked_for(w, fo) || !shipment_supports(fo, "CREATE_FULFILLMENT") ||
            (location && strcmp(location, shipment_location(fo)) != 0))
            continue;
        /* all that remains, of a location that was done: what is there now is something else */
        if (w->n == 0 && json_object_get(w->done_at, shipment_location(fo)))
            continue;
        if (take_order(w, fo, calls) < 0) {
            json_decref(calls);
            calls = NULL;
        }
    }
    return calls;
}

static int nothing_left(const struct work *w)
{
    for (size_t k = 0; k < w->n; k++)
        if (w->needs[k].left > 0)
            return 0;
    return 1;
}

/* One location that has it all takes one call; else as they stand. */
static json_t *allocate(struct work *w)
{
    struct need before[MAX_LINES];

    memcpy(before, w->needs, w->n * sizeof(*before));
    for (size_t i = 0; i < json_array_size(w->orders) && w->n > 0; i++) {
        json_t *calls = take_from(w, shipment_location(json_array_get(w->orders, i)));

        if (!calls || nothing_left(w))
            return calls;
        json_decref(calls);
        memcpy(w->needs, before, w->n * sizeof(*before));
    }
    return take_from(w, NULL);
}

/* ---- the whole ----------------------------------------------------------------------------- */

static sl_status list_calls(struct shipment_plan *p, json_t *by_location)
{
    const char *location;
    json_t *call;

    json_object_foreach(by_location, location,
                        call) if (json_array_append(p->calls, call) < 0) return SL_E_NO_MEMORY;
    return SL_OK;
}

/* Its numbers are all there, unless the supplier has told more of them since. */
static void see_tracking(struct work *w)
{
    w->plan->next = SHIPMENT_DONE;
    for (size_t i = 0; i < json_array_size(w->numbers) && w->n_ours == 1; i++)
        if (!tracking_has(w->ours, json_string_value(json_array_get(w->numbers, i)))) {
            w->plan->next = SHIPMENT_TRACKING;
            w->plan->fulfillment = text_at(w->ours, "id");
        }
}

/* Whoever ships all that remains has what is held back in the parcel, too. */
static int all_is_open(const struct work *w)
{
    for (size_t i = 0; i < json_array_size(w->orders); i++)
        if (shipment_holds_back(w, 0, json_array_get(w->orders, i)))
            return 0;
    return 1;
}

static void decide(struct work *w)
{
    json_t *calls;
    sl_status r;

    if (w->n > 0 && w->n_ours > 0 && nothing_left(w)) {
        see_tracking(w);
        return;
    }
    calls = allocate(w);
    r = calls ? list_calls(w->plan, calls) : SL_E_NO_MEMORY;
    json_decref(calls);
    if (r < 0)
        w->plan->next = SHIPMENT_NO_MEMORY;
    else if (w->n == 0 && json_array_size(w->plan->calls) == 0 && w->n_ours > 0)
        see_tracking(w);
    else if (json_array_size(w->plan->calls) > 0 && (w->n > 0 || all_is_open(w)) &&
             (nothing_left(w) || strcmp(w->rules->choice, "rest") == 0))
        w->plan->next = SHIPMENT_CREATE;
    else
        shipment_stop(w);
}

/* The id of the order's line behind a fulfillment order's: that is what fulfilments have. */
static const char *item_behind(const struct work *w, const char *fo_line)
{
    for (size_t i = 0; i < json_array_size(w->orders); i++) {
        const json_t *lines = at2(json_array_get(w->orders, i), "lineItems", "nodes");

        for (size_t k = 0; k < json_array_size(lines); k++)
            if (strcmp(text_at(json_array_get(lines, k), "id"), fo_line) == 0)
                return text_at(json_object_get(json_array_get(lines, k), "lineItem"), "id");
    }
    return "";
}

static void read_needs(struct work *w)
{
    const json_t *lines = json_object_get(w->body, "lines");

    w->n = json_array_size(lines);
    for (size_t i = 0; i < w->n; i++) {
        const json_t *one = json_array_get(lines, i);
        struct need *n = &w->needs[i];

        n->sku = json_string_value(json_object_get(one, "sku"));
        n->item = json_string_value(json_object_get(one, "line_item_id"));
        n->fo_line = json_string_value(json_object_get(one, "fulfillment_order_line_item_id"));
        if (n->fo_line)
            n->item = item_behind(w, n->fo_line);
        n->want = n->left = shipment_quantity(one, "quantity");
    }
}

void shipment_plan(const json_t *body, const json_t *order, const json_t *orders,
                   const struct shipment_rules *rules, struct shipment_plan *ret)
{
    struct need needs[MAX_LINES];
    struct work w = { .body = body,
                      .order = order,
                      .orders = orders,
                      .rules = rules,
                      .plan = ret,
                      .needs = needs,
                      .numbers = tracking_numbers(body),
                      .done_at = json_object() };

    *ret = (struct shipment_plan){ .calls = json_array(),
                                   .there = json_array(),
                                   .next = SHIPMENT_NO_MEMORY };
    read_needs(&w);
    if (w.numbers && w.done_at && ret->calls && ret->there && find_ours(&w) == SL_OK)
        decide(&w);
    json_decref(w.numbers);
    json_decref(w.done_at);
}

void shipment_plan_finish(struct shipment_plan *p)
{
    json_decref(p->calls);
    json_decref(p->there);
    *p = (struct shipment_plan){ 0 };
}
