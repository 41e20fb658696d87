/*
 * order_parts.c - the tables of what hangs on an order and has webhooks of its own: fulfilments and
 * refunds.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "order_table.h"

/* The order's line as it stands in fulfilments and refunds: without the members that are only in
 * the order; `quantity` NULL: the whole line's. */
static json_t *line_in(const json_t *gid, const json_t *quantity, const struct render *r)
{
    static const char *const only[] = { "current_quantity", "attributed_staffs",
                                        "sales_line_item_group_id" };
    json_t *all = json_object_get(r->body, "line_items"), *line, *copy;
    json_int_t id = graph_id(json_string_value(gid));
    size_t i;

    json_array_foreach(all, i, line)
    {
        if (json_integer_value(json_object_get(line, "id")) != id)
            continue;
        copy = json_copy(line);
        for (size_t k = 0; copy && k < 3; k++)
            json_object_del(copy, only[k]);
        if (copy && quantity)
            json_object_set(copy, "quantity", (json_t *)quantity);
        return copy;
    }
    return json_null();
}

static json_t *make_shipped(const json_t *fulfillment, const struct render *r)
{
    const json_t *list = graph_list(fulfillment, "fulfillmentLineItems");
    json_t *made = json_array(), *one;
    size_t i;

    json_array_foreach((json_t *)list, i, one) json_array_append_new(
        made, line_in(graph_at(one, "lineItem.id"), graph_at(one, "quantity"), r));
    return made;
}

static json_t *make_refunded_line(const json_t *one, const struct render *r)
{
    return line_in(graph_at(one, "lineItem.id"), NULL, r);
}

/* ---- fulfilments ---- */

/* GraphQL names them otherwise: "#1042.1", numbered as they were made */
static json_t *make_fulfillment_name(const json_t *fulfillment, const struct render *r)
{
    const json_t *list = graph_list(r->order, "fulfillments");
    const char *made = graph_text(fulfillment, "createdAt"), *name = graph_text(r->order, "name");
    json_int_t id = graph_id(graph_text(fulfillment, "id"));
    size_t i, before = 1;
    char text[300];
    json_t *one;

    json_array_foreach((json_t *)list, i, one)
    {
        int order = strcmp(graph_text(one, "createdAt"), made);

        before += order < 0 || (order == 0 && graph_id(graph_text(one, "id")) < id);
    }
    snprintf(text, sizeof(text), "%.250s.%zu", name, before);
    return json_string(text);
}

static json_t *first_of(const json_t *fulfillment, const char *what)
{
    const json_t *first = json_array_get(graph_list(fulfillment, "trackingInfo"), 0);
    const json_t *value = graph_at(first, what);

    return value ? json_incref((json_t *)value) : json_null();
}

static json_t *all_of(const json_t *fulfillment, const char *what)
{
    const json_t *list = graph_list(fulfillment, "trackingInfo");
    json_t *made = json_array(), *one;
    size_t i;

    json_array_foreach((json_t *)list, i, one) if (graph_at(one, what))
        json_array_append(made, (json_t *)graph_at(one, what));
    return made;
}

#define TRACKING(name, which, what)                                               \
    static json_t *make_##name(const json_t *fulfillment, const struct render *r) \
    {                                                                             \
        (void)r;                                                                  \
        return which(fulfillment, what);                                          \
    }
TRACKING(tracking_company, first_of, "company")
TRACKING(tracking_number, first_of, "number")
TRACKING(tracking_numbers, all_of, "number")
TRACKING(tracking_url, first_of, "url")
TRACKING(tracking_urls, all_of, "url")

/* What a carrier has said; other words of displayStatus are about the fulfilment itself. */
static json_t *make_shipment_status(const json_t *fulfillment, const struct render *r)
{
    static const char said[] =
        " LABEL_PURCHASED LABEL_PRINTED READY_FOR_PICKUP CONFIRMED IN_TRANSIT"
        " OUT_FOR_DELIVERY ATTEMPTED_DELIVERY DELAYED DELIVERED FAILURE"
        " CARRIER_PICKED_UP ";
    static const struct render_row row = { "", AS_LOWER, "displayStatus" };
    char word[64];

    snprintf(word, sizeof(word), " %.60s ", graph_text(fulfillment, "displayStatus"));
    return strlen(word) > 2 && strstr(said, word) ? render_one(fulfillment, &row, r) : json_null();
}

static json_t *make_email(const json_t *from, const struct render *r)
{
    static const struct render_row row = { "", AS_IS, "email" };

    (void)from;
    return render_one(r->order, &row, r);
}

static json_t *make_destination(const json_t *from, const struct render *r)
{
    static const struct render_row row = { "", AS_OBJECT, "shippingAddress", order_address };

    (void)from;
    return render_one(r->order, &row, r);
}

const struct render_row order_fulfillments[] = {
    { "id", AS_ID, "id" },
    { "order_id", AS_MADE, NULL, NULL, order_make_id },
    { "status", AS_LOWER, "status" },
    { "created_at", AS_TIME, "createdAt" },
    { "service", AS_MADE, NULL, NULL, order_make_service },
    { "updated_at", AS_TIME, "updatedAt" },
    { "tracking_company", AS_MADE, NULL, NULL, make_tracking_company },
    { "shipment_status", AS_MADE, NULL, NULL, make_shipment_status },
    { "location_id", AS_ID, "location.id" },
    { "origin_address", AS_NULL },
    { "email", AS_MADE, NULL, NULL, make_email },
    { "destination", AS_MADE, NULL, NULL, make_destination },
    { "line_items", AS_MADE, NULL, NULL, make_shipped },
    { "tracking_number", AS_MADE, NULL, NULL, make_tracking_number },
    { "tracking_numbers", AS_MADE, NULL, NULL, make_tracking_numbers },
    { "tracking_url", AS_MADE, NULL, NULL, make_tracking_url },
    { "tracking_urls", AS_MADE, NULL, NULL, make_tracking_urls },
    { "receipt", AS_EMPTY },
    { "name", AS_MADE, NULL, NULL, make_fulfillment_name },
    { "admin_graphql_api_id", AS_IS, "id" },
    { 0 },
};

/* ---- refunds ---- */

static json_t *make_restock(const json_t *refund, const struct render *r)
{
    const json_t *list = graph_list(refund, "refundLineItems");
    json_t *one;
    size_t i;

    (void)r;
    json_array_foreach((json_t *)list, i,
                       one) if (json_is_true(json_object_get(one, "restocked"))) return json_true();
    return json_false();
}

static const struct render_row refund_lines[] = {
    { "id", AS_ID, "id" },
    { "location_id", AS_ID, "location.id" },
    { "restock_type", AS_LOWER, "restockType" },
    { "quantity", AS_IS, "quantity" },
    { "line_item_id", AS_ID, "lineItem.id" },
    { "subtotal", AS_NUMBER, "subtotalSet" },
    { "total_tax", AS_NUMBER, "totalTaxSet" },
    { "subtotal_set", AS_SET, "subtotalSet" },
    { "total_tax_set", AS_SET, "totalTaxSet" },
    { "line_item", AS_MADE, NULL, NULL, make_refunded_line },
    { 0 },
};

static const struct render_row refund_shipping[] = {
    { "id", AS_ID, "id" },
    { "shipping_line_id", AS_ID, "shippingLine.id" },
    { "subtotal_amount_set", AS_SET, "subtotalAmountSet" },
    { "tax_amount_set", AS_SET, "taxAmountSet" },
    { 0 },
};

static const struct render_row transactions[] = {
    { "id", AS_ID, "id" },
    { "order_id", AS_MADE, NULL, NULL, order_make_id },
    { "kind", AS_LOWER, "kind" },
    { "gateway", AS_IS, "gateway" },
    { "status", AS_LOWER, "status" },
    { "message", AS_NULL },
    { "created_at", AS_TIME, "createdAt" },
    { "test", AS_IS, "test" },
    { "authorization", AS_NULL },
    { "location_id", AS_NULL },
    { "user_id", AS_NULL },
    { "parent_id", AS_ID, "parentTransaction.id" },
    { "processed_at", AS_TIME, "processedAt" },
    { "device_id", AS_NULL },
    { "error_code", AS_LOWER, "errorCode" },
    { "source_name", AS_NULL },
    { "payment_details", AS_NULL },
    { "receipt", AS_EMPTY },
    { "amount", AS_AMOUNT, "amountSet" },
    { "currency", AS_CURRENCY, "amountSet" },
    { "payment_id", AS_IS, "paymentId" },
    { "total_unsettled_set", AS_NULL },
    { "manual_payment_gateway", AS_IS, "manualPaymentGateway" },
    { "amount_rounding", AS_NULL },
    { "admin_graphql_api_id", AS_IS, "id" },
    { 0 },
};

static const struct render_row its_return[] = {
    { "id", AS_ID, "id" },
    { "admin_graphql_api_id", AS_IS, "id" },
    { 0 },
};

const struct render_row order_refunds[] = {
    { "id", AS_ID, "id" },
    { "order_id", AS_MADE, NULL, NULL, order_make_id },
    { "created_at", AS_TIME, "createdAt" },
    { "note", AS_IS, "note" },
    { "user_id", AS_NULL },
    { "processed_at", AS_TIME, "processedAt" },
    { "duties", AS_NONE },
    { "total_duties_set", AS_MADE, NULL, NULL, order_make_zero_set },
    { "return", AS_OBJECT, "return", its_return },
    { "refund_shipping_lines", AS_LIST, "refundShippingLines", refund_shipping },
    { "restock", AS_MADE, NULL, NULL, make_restock },
    { "admin_graphql_api_id", AS_IS, "id" },
    { "order_adjustments", AS_NONE },
    { "refund_line_items", AS_LIST, "refundLineItems", refund_lines },
    { "transactions", AS_LIST, "transactions", transactions },
    { 0 },
};
