/*
 * order.c - one order: its body, and what must have happened for it to be as it is.
 */
#include "order.h"

#include <stdio.h>
#include <string.h>

#include "order_table.h"
#include "shift_time.h"

/* A payment is booked a moment before the order is written, by another clock than ours. */
#define SLACK_MS 60000

/* ---- is all of it there? ---- */

static int has_more(const json_t *of, const char *list)
{
    return json_is_true(graph_at(graph_at(of, list), "pageInfo.hasNextPage"));
}

static int any_has_more(const json_t *of, const char *list, const char *const *inner)
{
    const json_t *all = graph_list(of, list);
    json_t *one;
    size_t i;

    json_array_foreach((json_t *)all, i, one) for (size_t k = 0; inner[k];
                                                   k++) if (has_more(one, inner[k])) return 1;
    return json_array_size(all) >= 100; /* a list that is no connection cannot say */
}

int order_is_whole(const json_t *order)
{
    static const char *const shipped[] = { "fulfillmentLineItems", NULL };
    static const char *const refunded[] = { "refundLineItems", "refundShippingLines",
                                            "transactions", NULL };
    static const char *const paid[] = { NULL };

    return !has_more(order, "lineItems") && !has_more(order, "shippingLines") &&
           !has_more(order, "discountApplications") &&
           !any_has_more(order, "fulfillments", shipped) &&
           !any_has_more(order, "refunds", refunded) && !any_has_more(order, "transactions", paid);
}

/* ---- the body ---- */

json_t *order_render(const json_t *order, int offset_min)
{
    struct render r = { .order = order, .offset_min = offset_min };
    const struct render_row parts[] = {
        { "fulfillments", AS_LIST, "fulfillments", order_fulfillments },
        { "refunds", AS_LIST, "refunds", order_refunds },
        { 0 },
    };
    json_t *body = render(order, order_head, &r);

    r.body = body;
    for (size_t i = 0; body && parts[i].member; i++)
        if (json_object_set_new(body, parts[i].member, render_one(order, &parts[i], &r)) < 0) {
            json_decref(body);
            return NULL;
        }
    return body;
}

/* ---- what happened ---- */

struct telling {
    const json_t *order, *body;
    int64_t from_ms;
    size_t skip;
    order_event_cb cb;
    void *ctx;
    sl_status status;
};

static int64_t time_at(const json_t *of, const char *path)
{
    const char *text = graph_text(of, path);
    int64_t ms;

    return time_ms((sl_str){ text, strlen(text) }, &ms) == SL_OK ? ms : 0;
}

/* If it happened in time. `unless` NULL: its event key says whether it is known. */
static void tell(struct telling *t, const char *topic, const json_t *body, int64_t at_ms,
                 const char *unless, int64_t since_ms)
{
    struct order_event e = {
        .topic = topic, .body = body, .at_ms = at_ms, .unless = unless ? unless : ""
    };
    char since[32] = "";

    if (t->status != SL_OK || at_ms <= 0 || at_ms < t->from_ms)
        return;
    if (t->skip > 0) {
        t->skip--;
        return;
    }
    if (unless)
        time_text(since_ms, since);
    e.since = since;
    t->status = t->cb(t->ctx, &e);
}

/* When the last money came in; 0: it is not paid. */
static int64_t paid_at(const json_t *order)
{
    const char *status = graph_text(order, "displayFinancialStatus");
    const json_t *list = graph_list(order, "transactions");
    int64_t newest = 0, at;
    json_t *one;
    size_t i;

    if (strcmp(status, "PAID") != 0 && strcmp(status, "PARTIALLY_REFUNDED") != 0 &&
        strcmp(status, "REFUNDED") != 0)
        return 0;
    json_array_foreach((json_t *)list, i, one)
    {
        const char *kind = graph_text(one, "kind");

        if (strcmp(graph_text(one, "status"), "SUCCESS") != 0 ||
            (strcmp(kind, "SALE") != 0 && strcmp(kind, "CAPTURE") != 0))
            continue;
        at = time_at(one, "processedAt");
        newest = at > newest ? at : newest;
    }
    return newest ? newest : time_at(order, "createdAt"); /* nothing was to be paid */
}

/* The newest fulfilment that stands; 0: there is none. */
static int64_t shipped_at(const json_t *order)
{
    const json_t *list = graph_list(order, "fulfillments");
    int64_t newest = 0, at;
    json_t *one;
    size_t i;

    json_array_foreach((json_t *)list, i, one)
    {
        at = strcmp(graph_text(one, "status"), "SUCCESS") == 0 ? time_at(one, "createdAt") : 0;
        newest = at > newest ? at : newest;
    }
    return newest;
}

static void tell_fulfillments(struct telling *t)
{
    const json_t *list = graph_list(t->order, "fulfillments"), *body;
    json_t *bodies = json_object_get(t->body, "fulfillments"), *one;
    size_t i;

    json_array_foreach((json_t *)list, i, one)
    {
        int64_t made = time_at(one, "createdAt"), changed = time_at(one, "updatedAt");

        body = json_array_get(bodies, i);
        tell(t, "fulfillments/create", body, made, NULL, 0);
        if (changed > made)
            tell(t, "fulfillments/update", body, changed, NULL, 0);
    }
}

static void tell_refunds(struct telling *t)
{
    json_t *bodies = json_object_get(t->body, "refunds"), *one;
    const json_t *list = graph_list(t->order, "refunds");
    size_t i;

    json_array_foreach((json_t *)list, i, one)
    {
        int64_t at = time_at(one, "createdAt");

        tell(t, "refunds/create", json_array_get(bodies, i), at ? at : time_at(one, "processedAt"),
             NULL, 0);
    }
}

/* A topic of the order that says that something has come about at a time. */
static void tell_order(struct telling *t, const char *topic, int64_t at_ms)
{
    tell(t, topic, t->body, at_ms, topic, at_ms - SLACK_MS);
}

sl_status order_happened(const json_t *order, const json_t *body, int64_t from_ms, size_t skip,
                         order_event_cb cb, void *ctx)
{
    const char *shipped = json_string_value(json_object_get(body, "fulfillment_status"));
    struct telling t = { .order = order,
                         .body = body,
                         .from_ms = from_ms,
                         .skip = skip,
                         .cb = cb,
                         .ctx = ctx,
                         .status = SL_OK };
    int64_t changed = time_at(order, "updatedAt");

    tell_order(&t, "orders/create", time_at(order, "createdAt"));
    tell_order(&t, "orders/paid", paid_at(order));
    tell_fulfillments(&t);
    if (shipped && strcmp(shipped, "fulfilled") == 0)
        tell_order(&t, "orders/fulfilled", shipped_at(order));
    if (shipped && strcmp(shipped, "partial") == 0)
        tell_order(&t, "orders/partially_fulfilled", shipped_at(order));
    tell_refunds(&t);
    tell_order(&t, "orders/cancelled", time_at(order, "cancelledAt"));
    tell(&t, "orders/updated", t.body, changed, "orders/updated orders/create", changed);
    return t.status;
}
