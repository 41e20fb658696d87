/*
 * shipment_stop.c - what was shipped cannot all be taken from what remains: what that means, and
 * what a person is told. See shipment.h.
 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "fulfil/shipment_part.h"

#define ROUTING_MS 5000   /* an order's fulfillment orders are made a moment after it */
#define HOLD_MS    900000 /* people release holds */
#define REQUEST_MS 60000  /* a request is accepted by somebody else */
#define SHOWN      5
#define CHOICES_REST                                                                         \
    "[{\"name\":\"rest\",\"do\":\"release\",\"text\":\"fulfil what remains, and no more\"}," \
    "{\"name\":\"drop\",\"do\":\"reject\",\"text\":\"leave the shop as it is\"}]"
#define CHOICES_OTHER                                                                               \
    "[{\"name\":\"update\",\"do\":\"release\",\"text\":\"give that fulfilment this tracking\"},"    \
    "{\"name\":\"keep\",\"do\":\"release\",\"text\":\"it is the same parcel: leave it as it is\"}," \
    "{\"name\":\"drop\",\"do\":\"reject\",\"text\":\"leave the shop as it is\"}]"
#define CHOICES_GONE                                                                           \
    "[{\"name\":\"again\",\"do\":\"release\",\"text\":\"look again: the order was changed\"}," \
    "{\"name\":\"drop\",\"do\":\"reject\",\"text\":\"leave the shop as it is\"}]"

/* ---- naming ------------------------------------------------------------------------------- */

/* "lines[2] (SKU A-1)" */
static const char *name_of(const struct work *w, size_t k, char *to, size_t size)
{
    const struct need *n = &w->needs[k];

    if (w->n == 0)
        snprintf(to, size, "the order");
    else
        snprintf(to, size, "lines[%zu] (%s%.80s)", k, n->sku ? "SKU " : "",
                 n->sku       ? n->sku
                 : n->fo_line ? n->fo_line
                              : n->item);
    return to;
}

/* The first line of which something is left; 0 if there are no lines. */
static size_t first_left(const struct work *w)
{
    size_t k = 0;

    while (k + 1 < w->n && w->needs[k].left <= 0)
        k++;
    return k;
}

/* How much remains of it in a fulfillment order; -1: it has no such line. */
static int64_t held_by(const struct work *w, size_t k, const json_t *fo)
{
    const json_t *lines = at2(fo, "lineItems", "nodes");
    int64_t n = -1;

    for (size_t i = 0; i < json_array_size(lines); i++) {
        const json_t *one = json_array_get(lines, i);

        if (w->n == 0 || shipment_matches(&w->needs[k], one))
            n = (n < 0 ? 0 : n) + shipment_quantity(one, "remainingQuantity");
    }
    return n;
}

int shipment_holds_back(const struct work *w, size_t k, const json_t *fo)
{
    const char *status = text_at(fo, "status");

    return shipment_is_asked_for(w, fo) && held_by(w, k, fo) > 0 &&
           !shipment_supports(fo, "CREATE_FULFILLMENT") && strcmp(status, "CLOSED") != 0 &&
           strcmp(status, "CANCELLED") != 0;
}

/* ---- a fulfillment order that cannot be fulfilled ------------------------------------------ */

static void on_hold(struct work *w, const json_t *fo, const char *name)
{
    const json_t *hold = json_array_get(json_object_get(fo, "fulfillmentHolds"), 0);
    int ours = json_is_true(json_object_get(hold, "heldByRequestingApp"));

    shipment_say(w, w->rules->wait_on_hold ? SHIPMENT_WAIT : SHIPMENT_ASK,
                 "%s: %s is on hold (%s, by %s%s%.150s)%s", name, text_at(fo, "id"),
                 *text_at(hold, "reason") ? text_at(hold, "reason") : "no reason is shown",
                 ours ? "this app" : "another app or the staff",
                 *text_at(hold, "reasonNotes") ? ": " : "", text_at(hold, "reasonNotes"),
                 w->rules->wait_on_hold ? "; it is tried again once it is released"
                                        : ": release it in the shop, then release this");
    w->plan->after_ms = HOLD_MS;
}

static void list_actions(const json_t *fo, char *to, size_t size)
{
    const json_t *all = json_object_get(fo, "supportedActions");
    size_t at = 0;

    to[0] = '\0';
    for (size_t i = 0; i < json_array_size(all) && at < size - 1; i++)
        at += (size_t)snprintf(to + at, size - at, "%s%.40s", i ? ", " : "",
                               text_at(json_array_get(all, i), "action"));
}

static void blocked(struct work *w, const json_t *fo, const char *name)
{
    const char *status = text_at(fo, "status"), *request = text_at(fo, "requestStatus");
    char actions[160];

    if (shipment_supports(fo, "RELEASE_HOLD") || strcmp(status, "ON_HOLD") == 0) {
        on_hold(w, fo, name);
    } else if (strcmp(status, "SCHEDULED") == 0) {
        shipment_say(w, SHIPMENT_ASK,
                     "%s: %s is scheduled for %s: mark it as open in the shop, then release this",
                     name, text_at(fo, "id"), text_at(fo, "fulfillAt"));
    } else if (strcmp(request, "SUBMITTED") == 0) {
        shipment_say(w, SHIPMENT_WAIT,
                     "%s: the request to fulfil %s was submitted and is not accepted yet: "
                     "fulfillment_order.accept_request comes first",
                     name, text_at(fo, "id"));
        w->plan->after_ms = REQUEST_MS;
    } else if (strcmp(request, "CANCELLATION_REQUESTED") == 0) {
        shipment_say(w, SHIPMENT_ASK,
                     "%s: the merchant asks to cancel %s, and it has been shipped: "
                     "fulfillment_order.reject_cancellation comes first",
                     name, text_at(fo, "id"));
    } else {
        list_actions(fo, actions, sizeof(actions));
        shipment_say(w, SHIPMENT_ASK,
                     "%s: the shop does not let this app fulfil %s (%s, %s; it supports: %s). Is "
                     "it another app's fulfillment service, or a scope that is missing?",
                     name, text_at(fo, "id"), status, request, *actions ? actions : "nothing");
    }
}

/* ---- it is fulfilled already ---------------------------------------------------------------- */

static int numbers_of(const json_t *fulfillment, char *to, size_t size)
{
    const json_t *all = json_object_get(fulfillment, "trackingInfo");
    size_t at = 0;

    to[0] = '\0';
    for (size_t i = 0; i < json_array_size(all) && at < size - 1; i++)
        if (*text_at(json_array_get(all, i), "number"))
            at += (size_t)snprintf(to + at, size - at, "%s%.40s", at ? ", " : "",
                                   text_at(json_array_get(all, i), "number"));
    return at > 0;
}

static sl_status be_there(struct work *w, const json_t *fulfillment)
{
    w->plan->fulfillment = text_at(fulfillment, "id");
    return json_array_append(w->plan->there, json_object_get(fulfillment, "id")) < 0
               ? SL_E_NO_MEMORY
               : SL_OK;
}

/* Another one has just these lines: is it the same parcel? */
static void fulfilled_by(struct work *w, const json_t *other, const char *name)
{
    const char *rule = w->rules->other_number;
    char numbers[160];

    if (strcmp(w->rules->choice, "update") == 0 || strcmp(w->rules->choice, "keep") == 0)
        rule = w->rules->choice;
    if (json_array_size(w->numbers) == 0 || strcmp(rule, "keep") == 0) {
        w->plan->next = be_there(w, other) < 0 ? SHIPMENT_NO_MEMORY : SHIPMENT_DONE;
    } else if (!numbers_of(other, numbers, sizeof(numbers)) || strcmp(rule, "update") == 0) {
        w->plan->next = be_there(w, other) < 0 ? SHIPMENT_NO_MEMORY : SHIPMENT_TRACKING;
    } else {
        shipment_say(w, SHIPMENT_ASK,
                     "%s is fulfilled already, by %s (%s) with the tracking %s and not %.80s", name,
                     text_at(other, "name"), text_at(other, "id"), numbers,
                     json_string_value(json_array_get(w->numbers, 0)));
        w->plan->choices = CHOICES_OTHER;
    }
}

/* The one living fulfilment with just what is left; NULL: none, or several. */
static const json_t *only_other(const struct work *w)
{
    const json_t *all = json_object_get(w->order, "fulfillments"), *found = NULL;

    for (size_t i = 0; i < json_array_size(all); i++) {
        const json_t *one = json_array_get(all, i);

        if (!fulfillment_lives(one) || (w->n > 0 && !shipment_equals(w, one)))
            continue;
        if (found)
            return NULL;
        found = one;
    }
    return found;
}

/* ---- the whole ----------------------------------------------------------------------------- */

/* "A-1, B": what the order has. */
static void list_skus(const struct work *w, char *to, size_t size)
{
    size_t at = 0, n = 0;

    to[0] = '\0';
    for (size_t i = 0; i < json_array_size(w->orders); i++) {
        const json_t *lines = at2(json_array_get(w->orders, i), "lineItems", "nodes");

        for (size_t k = 0; k < json_array_size(lines) && at < size - 1 && n < SHOWN; k++) {
            const char *sku = text_at(json_array_get(lines, k), "sku");

            at += (size_t)snprintf(to + at, size - at, "%s%.40s", n++ ? ", " : "",
                                   *sku ? sku : "(no SKU)");
        }
    }
}

/* All of it was taken from somewhere; `k` is not. */
static void remains_less(struct work *w, size_t k, const char *name, int known)
{
    const json_t *other = w->n_ours == 0 ? only_other(w) : NULL;
    char skus[240];

    if (!known) {
        list_skus(w, skus, sizeof(skus));
        shipment_say(w, SHIPMENT_REFUSED, "%s: the order has no such line; it has %s", name, skus);
    } else if (json_array_size(w->plan->calls) == 0 && other) {
        fulfilled_by(w, other, name);
    } else if (json_array_size(w->plan->calls) > 0) {
        shipment_say(w, SHIPMENT_ASK,
                     "%s: %" PRId64 " were shipped, and %" PRId64
                     " remain to be fulfilled: were they refunded, or fulfilled by hand?",
                     name, w->needs[k].want, w->needs[k].want - w->needs[k].left);
        w->plan->choices = CHOICES_REST;
    } else {
        shipment_say(w, SHIPMENT_ASK,
                     "%s: nothing of it remains to be fulfilled, and no single fulfilment has just "
                     "these lines: were they refunded, or fulfilled by hand?",
                     name);
        w->plan->choices = CHOICES_GONE;
    }
}

void shipment_stop(struct work *w)
{
    const char *cancelled = json_string_value(json_object_get(w->order, "cancelledAt"));
    const char *only = text_at(w->body, "fulfillment_order_id");
    const char *location = text_at(w->body, "location_id");
    const json_t *block = NULL;
    size_t k = first_left(w), asked_for = 0;
    char name[120];
    int known = 0;

    name_of(w, k, name, sizeof(name));
    for (size_t i = 0; i < json_array_size(w->orders); i++) {
        const json_t *fo = json_array_get(w->orders, i);

        asked_for += shipment_is_asked_for(w, fo) != 0;
        known |= held_by(w, k, fo) >= 0;
        if (!block && shipment_holds_back(w, k, fo))
            block = fo;
    }
    if (cancelled) /* its fulfillment orders are closed, although much remains of them */
        shipment_say(w, SHIPMENT_REFUSED,
                     "the order was cancelled at %s: nothing of it can be fulfilled. Stop the "
                     "parcel, or take it back as a return",
                     cancelled);
    else if (json_array_size(w->orders) == 0)
        shipment_say(w, SHIPMENT_WAIT,
                     "the order has no fulfillment orders yet: its routing is not finished");
    else if (asked_for == 0)
        shipment_say(w, SHIPMENT_REFUSED, "the order has no fulfillment order %s%s%s", only,
                     *only && *location ? " at " : "", location);
    else if (block)
        blocked(w, block, name);
    else
        remains_less(w, k, name, known);
    if (w->plan->next == SHIPMENT_WAIT && w->plan->after_ms == 0)
        w->plan->after_ms = ROUTING_MS;
}
