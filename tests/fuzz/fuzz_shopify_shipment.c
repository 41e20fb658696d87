/*
 * fuzz_shopify_shipment.c - a supplier's body, and behind a line of its own what the shop has of
 * the order: {"order": {...}, "orders": [...]}. A checked body checks as itself; what is planned
 * takes no more than remains and than was shipped; what stops it is said in one bounded line.
 */
#include "fuzz.h"

#include <jansson.h>
#include <string.h>
#include "fulfil/shipment.h"

static int64_t counted(const json_t *o, const char *name)
{
    json_int_t n = json_integer_value(json_object_get(o, name));

    return n < 0 ? 0 : n > INT32_MAX ? INT32_MAX : n;
}

/* All that remains under this id, wherever it stands. */
static int64_t remains_of(const json_t *orders, const char *id)
{
    int64_t n = 0;

    for (size_t i = 0; i < json_array_size(orders); i++) {
        const json_t *lines = at2(json_array_get(orders, i), "lineItems", "nodes");

        for (size_t k = 0; k < json_array_size(lines); k++)
            if (strcmp(text_at(json_array_get(lines, k), "id"), id) == 0)
                n += counted(json_array_get(lines, k), "remainingQuantity");
    }
    return n;
}

static int64_t check_call(const json_t *call, const json_t *orders)
{
    int64_t all = 0;

    PROMISE(json_array_size(call) > 0, "an empty call");
    for (size_t i = 0; i < json_array_size(call); i++) {
        const json_t *lines = json_object_get(json_array_get(call, i), "fulfillmentOrderLineItems");

        PROMISE(json_array_size(lines) > 0, "no lines");
        for (size_t k = 0; k < json_array_size(lines); k++) {
            const json_t *one = json_array_get(lines, k);
            int64_t n = json_integer_value(json_object_get(one, "quantity"));

            PROMISE(n > 0 && n <= remains_of(orders, text_at(one, "id")), "%lld", (long long)n);
            all += n;
        }
    }
    return all;
}

static void check_plan(const json_t *body, const struct shipment_plan *p, const json_t *orders)
{
    const json_t *lines = json_object_get(body, "lines");
    int64_t wanted = 0, taken = 0;

    PROMISE(strlen(p->why) < sizeof(p->why) && !strchr(p->why, '\n'), "%s", p->why);
    for (size_t i = 0; i < json_array_size(lines); i++)
        wanted += counted(json_array_get(lines, i), "quantity");
    if (p->next == SHIPMENT_CREATE) {
        PROMISE(json_array_size(p->calls) > 0, "nothing to do");
        for (size_t i = 0; i < json_array_size(p->calls); i++)
            taken += check_call(json_array_get(p->calls, i), orders);
        PROMISE(!lines || taken <= wanted, "%lld of %lld", (long long)taken, (long long)wanted);
    }
    if (p->next == SHIPMENT_WAIT || p->next == SHIPMENT_ASK || p->next == SHIPMENT_REFUSED)
        PROMISE(p->why[0], "%d without a reason", (int)p->next);
    PROMISE(p->next != SHIPMENT_TRACKING || p->fulfillment, "tracking of nothing");
}

static void check_again(const json_t *body)
{
    char *text = json_dumps(body, JSON_COMPACT), why[300];
    json_t *again = NULL;

    PROMISE(body_take((sl_str){ text, strlen(text) }, &shipment_shape, &again, why, sizeof(why)) ==
                    SL_OK &&
                json_equal(again, (json_t *)body),
            "%s", text);
    json_decref(again);
    free(text);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const char *text = (const char *)data, *line = size ? memchr(text, '\n', size) : NULL;
    size_t n = line ? (size_t)(line - text) : size;
    json_t *state = line ? json_loadb(line + 1, size - n - 1, 0, NULL) : NULL, *body = NULL;
    struct shipment_rules rules = { .wait_on_hold = size & 1,
                                    .other_number = size & 2 ? "review" : "update",
                                    .choice = size & 4 ? "rest" : "",
                                    .since = size & 8 ? "2026-11-20T09:00:00.000Z" : "" };
    struct shipment_plan plan;
    char why[300] = "";

    if (body_take((sl_str){ text, n }, &shipment_shape, &body, why, sizeof(why)) == SL_OK) {
        check_again(body);
        shipment_plan(body, json_object_get(state, "order"), json_object_get(state, "orders"),
                      &rules, &plan);
        check_plan(body, &plan, json_object_get(state, "orders"));
        shipment_plan_finish(&plan);
    } else {
        PROMISE(why[0] && strlen(why) < sizeof(why), "%zu bytes", size);
    }
    json_decref(body);
    json_decref(state);
    return 0;
}
