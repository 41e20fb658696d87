/*
 * fuzz_shopify_order.c - an order as the shop's GraphQL answers it, whatever it holds: rendered to
 * a body that can be written and read, and told in topics of its own, each body an object.
 */
#include "fuzz.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "feeds/order.h"
#include "feeds/render.h"

static sl_status on_event(void *ctx, const struct order_event *e)
{
    size_t *n = ctx;

    ++*n;
    PROMISE(strchr(e->topic, '/'), "%s", e->topic);
    PROMISE(json_is_object(e->body), "%s", e->topic);
    PROMISE((*e->since != '\0') == (*e->unless != '\0'), "%s", e->topic);
    PROMISE(!*e->since || strlen(e->since) == 24, "%s", e->since);
    return SL_OK;
}

static void check(const json_t *order, int offset_min)
{
    json_t *body = order_render(order, offset_min);
    size_t n = 0, rest = 0;
    char *text;

    PROMISE(json_is_object(body), "%d", offset_min);
    text = json_dumps(body, JSON_COMPACT | JSON_REAL_PRECISION(15));
    PROMISE(text, "%d", offset_min);
    free(text);
    order_is_whole(order);
    order_happened(order, body, 0, 0, on_event, &n);
    if (n > 0)
        order_happened(order, body, 0, n - 1, on_event, &rest);
    PROMISE(rest == (n > 0), "%zu", n);
    json_decref(body);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    json_t *order;

    if (size < 1)
        return 0;
    order = json_loadb((const char *)data + 1, size - 1, 0, NULL);
    if (json_is_object(order))
        check(order, (int)(int8_t)data[0] * 7);
    json_decref(order);
    return 0;
}
