/*
 * order_table.c - the tables: which field of GraphQL's order is which member of the webhook's body.
 * Members that GraphQL does not have are null here, and listed in the README.
 */
#include "order_table.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- what is no mere copy ---- */

static json_t *make_fulfillment_status(const json_t *order, const struct render *r)
{
    const char *status = graph_text(order, "displayFulfillmentStatus");
    const json_t *list = graph_list(order, "fulfillments");
    json_t *one;
    size_t i;

    (void)r;
    if (strcmp(status, "FULFILLED") == 0)
        return json_string("fulfilled");
    if (strcmp(status, "RESTOCKED") == 0)
        return json_string("restocked");
    if (strcmp(status, "PARTIALLY_FULFILLED") == 0)
        return json_string("partial");
    /* ON_HOLD, IN_PROGRESS and others say nothing of what was shipped before */
    json_array_foreach((json_t *)list, i, one) if (strcmp(graph_text(one, "status"), "SUCCESS") ==
                                                   0) return json_string("partial");
    return json_null();
}

static json_t *make_line_status(const json_t *line, const struct render *r)
{
    const char *status = graph_text(line, "fulfillmentStatus");
    static const struct render_row row = { "", AS_LOWER, "fulfillmentStatus" };

    if (!*status || strcasecmp(status, "unfulfilled") == 0)
        return json_null();
    return render_one(line, &row, r);
}

static json_t *make_grams(const json_t *line, const struct render *r)
{
    static const struct {
        const char *unit;
        double grams;
    } units[] = {
        { "GRAMS", 1 }, { "KILOGRAMS", 1000 }, { "OUNCES", 28.349523125 }, { "POUNDS", 453.59237 }
    };
    const json_t *weight = graph_at(line, "variant.inventoryItem.measurement.weight");
    const char *unit = graph_text(weight, "unit");
    double value = json_number_value(json_object_get(weight, "value"));

    (void)r;
    for (size_t i = 0; i < sizeof(units) / sizeof(units[0]); i++)
        if (strcmp(unit, units[i].unit) == 0 && value >= 0 && value < 1e9)
            return json_integer((json_int_t)(value * units[i].grams + 0.5));
    return json_integer(0);
}

static json_t *make_inventory_management(const json_t *line, const struct render *r)
{
    (void)r;
    return json_is_true(graph_at(line, "variant.inventoryItem.tracked")) ? json_string("shopify")
                                                                         : json_null();
}

static json_t *make_exists(const json_t *line, const struct render *r)
{
    (void)r;
    return json_boolean(graph_at(line, "product") != NULL);
}

json_t *order_make_service(const json_t *from, const struct render *r)
{
    const char *handle = graph_text(from, "fulfillmentService.handle");

    (void)r;
    if (!*handle)
        handle = graph_text(from, "service.handle");
    return json_string(*handle ? handle : "manual");
}

/* 0: there is no such sum of money. */
static int add_product(int64_t *sum, int64_t amount, int64_t n)
{
    int64_t product;

    return !__builtin_mul_overflow(amount, n, &product) &&
           !__builtin_add_overflow(*sum, product, sum);
}

static json_t *make_total_lines(const json_t *order, const struct render *r, int as_set)
{
    const json_t *list = graph_list(order, "lineItems");
    const char *currency = graph_text(order, "currencyCode");
    const char *buyers = graph_text(order, "presentmentCurrencyCode");
    int64_t shop = 0, paid = 0, one;
    json_t *line;
    size_t i;

    (void)r;
    json_array_foreach((json_t *)list, i, line)
    {
        int64_t n = json_integer_value(json_object_get(line, "quantity"));

        if ((money_read(graph_text(line, "originalUnitPriceSet.shopMoney.amount"), &one) &&
             !add_product(&shop, one, n)) ||
            (money_read(graph_text(line, "originalUnitPriceSet.presentmentMoney.amount"), &one) &&
             !add_product(&paid, one, n)))
            return json_null();
    }
    return as_set ? money_set(shop, currency, paid, buyers) : money_text(shop, currency);
}

static json_t *make_lines_price(const json_t *order, const struct render *r)
{
    return make_total_lines(order, r, 0);
}

static json_t *make_lines_price_set(const json_t *order, const struct render *r)
{
    return make_total_lines(order, r, 1);
}

json_t *order_make_zero_set(const json_t *from, const struct render *r)
{
    (void)from;
    return money_set(0, graph_text(r->order, "currencyCode"), 0,
                     graph_text(r->order, "presentmentCurrencyCode"));
}

json_t *order_make_id(const json_t *from, const struct render *r)
{
    static const struct render_row row = { "", AS_ID, "id" };

    (void)from;
    return render_one(r->order, &row, r);
}

static json_t *make_order_number(const json_t *order, const struct render *r)
{
    json_int_t number = json_integer_value(json_object_get(order, "number"));

    (void)r;
    return json_integer(number < 1 || number > 1000000000000 ? 0 : number + 1000);
}

/* ---- discounts ---- */

static json_t *make_application_type(const json_t *from, const struct render *r)
{
    static const char *const types[][2] = { { "DiscountCodeApplication", "discount_code" },
                                            { "ManualDiscountApplication", "manual" },
                                            { "AutomaticDiscountApplication", "automatic" },
                                            { "ScriptDiscountApplication", "script" } };

    (void)r;
    for (size_t i = 0; i < sizeof(types) / sizeof(types[0]); i++)
        if (strcmp(graph_text(from, "__typename"), types[i][0]) == 0)
            return json_string(types[i][1]);
    return json_null();
}

static int is_percentage(const json_t *application)
{
    return json_is_number(graph_at(application, "value.percentage"));
}

static json_t *make_value_type(const json_t *from, const struct render *r)
{
    (void)r;
    return json_string(is_percentage(from) ? "percentage" : "fixed_amount");
}

static json_t *make_value(const json_t *from, const struct render *r)
{
    char text[40];

    (void)r;
    if (!is_percentage(from)) {
        int64_t amount;

        if (!money_read(graph_text(from, "value.amount"), &amount))
            return json_null();
        return money_text(amount, graph_text(from, "value.currencyCode"));
    }
    snprintf(text, sizeof(text), "%.6g", json_number_value(graph_at(from, "value.percentage")));
    if (!strchr(text, '.') && !strchr(text, 'e'))
        strcat(text, ".0");
    return json_string(text);
}

/* What an application took off: of lines and of shipping. */
static int64_t taken_off(const json_t *order, const char *lists, size_t index)
{
    const json_t *list = graph_list(order, lists);
    json_t *line, *one;
    int64_t sum = 0, amount;
    size_t i, k;

    json_array_foreach((json_t *)list, i, line)
        json_array_foreach(json_object_get(line, "discountAllocations"), k, one)
    {
        const json_t *at = graph_at(one, "discountApplication.index");

        if (json_is_integer(at) && json_integer_value(at) == (json_int_t)index &&
            money_read(graph_text(one, "allocatedAmountSet.shopMoney.amount"), &amount))
            add_product(&sum, amount, 1);
    }
    return sum;
}

static json_t *code_of(const json_t *order, const json_t *application, size_t index)
{
    int shipping = strcmp(graph_text(application, "targetType"), "SHIPPING_LINE") == 0;
    int64_t sum = taken_off(order, "lineItems", index) + taken_off(order, "shippingLines", index);

    return json_pack("{s:s,s:o,s:s}", "code", graph_text(application, "code"), "amount",
                     money_text(sum, graph_text(order, "currencyCode")), "type",
                     shipping                     ? "shipping"
                     : is_percentage(application) ? "percentage"
                                                  : "fixed_amount");
}

static json_t *make_codes(const json_t *order, const struct render *r)
{
    const json_t *list = graph_list(order, "discountApplications");
    json_t *made = json_array(), *one;
    size_t i;

    (void)r;
    json_array_foreach((json_t *)list, i,
                       one) if (*graph_text(one, "code") &&
                                json_array_append_new(made, code_of(order, one, i)) < 0)
    {
        json_decref(made);
        return NULL;
    }
    return made;
}

/* ---- small tables ---- */

static const struct render_row attributes[] = {
    { "name", AS_IS, "key" },
    { "value", AS_IS, "value" },
    { 0 },
};

static const struct render_row taxes[] = {
    { "channel_liable", AS_IS, "channelLiable" },
    { "price", AS_AMOUNT, "priceSet" },
    { "price_set", AS_SET, "priceSet" },
    { "rate", AS_IS, "rate" },
    { "title", AS_IS, "title" },
    { 0 },
};

static const struct render_row allocations[] = {
    { "amount", AS_AMOUNT, "allocatedAmountSet" },
    { "amount_set", AS_SET, "allocatedAmountSet" },
    { "discount_application_index", AS_IS, "discountApplication.index" },
    { 0 },
};

static const struct render_row applications[] = {
    { "target_type", AS_LOWER, "targetType" },
    { "type", AS_MADE, NULL, NULL, make_application_type },
    { "value", AS_MADE, NULL, NULL, make_value },
    { "value_type", AS_MADE, NULL, NULL, make_value_type },
    { "allocation_method", AS_LOWER, "allocationMethod" },
    { "target_selection", AS_LOWER, "targetSelection" },
    { 0 },
};

/* A code has no title, and what has a title no code: only what is there is a member. */
static json_t *make_application(const json_t *from, const struct render *r)
{
    static const char *const more[] = { "code", "title", "description" };
    json_t *made = render(from, applications, r);

    for (size_t i = 0; made && i < 3; i++)
        if (graph_at(from, more[i]))
            json_object_set(made, more[i], (json_t *)graph_at(from, more[i]));
    return made;
}

static json_t *make_applications(const json_t *order, const struct render *r)
{
    const json_t *list = graph_list(order, "discountApplications");
    json_t *made = json_array(), *one;
    size_t i;

    json_array_foreach((json_t *)list, i, one)
        json_array_append_new(made, make_application(one, r));
    return made;
}

#define ADDRESS_ROWS                                                                     \
    { "first_name", AS_IS, "firstName" }, { "address1", AS_IS, "address1" },             \
        { "phone", AS_IS, "phone" }, { "city", AS_IS, "city" }, { "zip", AS_IS, "zip" }, \
        { "province", AS_IS, "province" }, { "country", AS_IS, "country" },              \
        { "last_name", AS_IS, "lastName" }, { "address2", AS_IS, "address2" },           \
        { "company", AS_IS, "company" }, { "name", AS_IS, "name" },                      \
        { "country_code", AS_IS, "countryCodeV2" },                                      \
    {                                                                                    \
        "province_code", AS_IS, "provinceCode"                                           \
    }

const struct render_row order_address[] = {
    ADDRESS_ROWS,
    { "latitude", AS_IS, "latitude" },
    { "longitude", AS_IS, "longitude" },
    { 0 },
};

static json_t *make_true(const json_t *from, const struct render *r)
{
    (void)from;
    (void)r;
    return json_true();
}

static json_t *make_customer_id(const json_t *from, const struct render *r)
{
    static const struct render_row row = { "", AS_ID, "customer.id" };

    (void)from;
    return render_one(r->order, &row, r);
}

static const struct render_row home[] = {
    { "id", AS_ID, "id" },
    { "customer_id", AS_MADE, NULL, NULL, make_customer_id },
    ADDRESS_ROWS,
    { "country_name", AS_IS, "country" },
    { "default", AS_MADE, NULL, NULL, make_true },
    { 0 },
};

static const struct render_row customer[] = {
    { "id", AS_ID, "id" },
    { "created_at", AS_TIME, "createdAt" },
    { "updated_at", AS_TIME, "updatedAt" },
    { "first_name", AS_IS, "firstName" },
    { "last_name", AS_IS, "lastName" },
    { "state", AS_LOWER, "state" },
    { "note", AS_IS, "note" },
    { "verified_email", AS_IS, "verifiedEmail" },
    { "multipass_identifier", AS_IS, "multipassIdentifier" },
    { "tax_exempt", AS_IS, "taxExempt" },
    { "email", AS_IS, "email" },
    { "phone", AS_IS, "phone" },
    { "currency", AS_IS, "amountSpent.currencyCode" },
    { "tax_exemptions", AS_IS, "taxExemptions" },
    { "admin_graphql_api_id", AS_IS, "id" },
    { "default_address", AS_OBJECT, "defaultAddress", home },
    { 0 },
};

static json_t *make_client(const json_t *order, const struct render *r)
{
    const json_t *ip = graph_at(order, "clientIp");

    (void)r;
    return json_pack("{s:n,s:n,s:O?,s:n,s:n,s:n}", "accept_language", "browser_height",
                     "browser_ip", ip, "browser_width", "session_hash", "user_agent");
}

/* ---- lines ---- */

static const struct render_row lines[] = {
    { "id", AS_ID, "id" },
    { "admin_graphql_api_id", AS_IS, "id" },
    { "attributed_staffs", AS_NONE },
    { "current_quantity", AS_IS, "currentQuantity" },
    { "fulfillable_quantity", AS_IS, "fulfillableQuantity" },
    { "fulfillment_service", AS_MADE, NULL, NULL, order_make_service },
    { "fulfillment_status", AS_MADE, NULL, NULL, make_line_status },
    { "gift_card", AS_IS, "isGiftCard" },
    { "grams", AS_MADE, NULL, NULL, make_grams },
    { "name", AS_IS, "name" },
    { "price", AS_AMOUNT, "originalUnitPriceSet" },
    { "price_set", AS_SET, "originalUnitPriceSet" },
    { "product_exists", AS_MADE, NULL, NULL, make_exists },
    { "product_id", AS_ID, "product.id" },
    { "properties", AS_LIST, "customAttributes", attributes },
    { "quantity", AS_IS, "quantity" },
    { "requires_shipping", AS_IS, "requiresShipping" },
    { "sales_line_item_group_id", AS_NULL },
    { "sku", AS_IS, "sku" },
    { "taxable", AS_IS, "taxable" },
    { "title", AS_IS, "title" },
    { "total_discount", AS_AMOUNT, "totalDiscountSet" },
    { "total_discount_set", AS_SET, "totalDiscountSet" },
    { "variant_id", AS_ID, "variant.id" },
    { "variant_inventory_management", AS_MADE, NULL, NULL, make_inventory_management },
    { "variant_title", AS_IS, "variantTitle" },
    { "vendor", AS_IS, "vendor" },
    { "tax_lines", AS_LIST, "taxLines", taxes },
    { "duties", AS_NONE },
    { "discount_allocations", AS_LIST, "discountAllocations", allocations },
    { 0 },
};

static const struct render_row shipping[] = {
    { "id", AS_ID, "id" },
    { "carrier_identifier", AS_IS, "carrierIdentifier" },
    { "code", AS_IS, "code" },
    { "current_discounted_price_set", AS_SET, "currentDiscountedPriceSet" },
    { "discounted_price", AS_AMOUNT, "discountedPriceSet" },
    { "discounted_price_set", AS_SET, "discountedPriceSet" },
    { "is_removed", AS_IS, "isRemoved" },
    { "phone", AS_IS, "phone" },
    { "price", AS_AMOUNT, "originalPriceSet" },
    { "price_set", AS_SET, "originalPriceSet" },
    { "requested_fulfillment_service_id", AS_NULL },
    { "source", AS_IS, "source" },
    { "title", AS_IS, "title" },
    { "tax_lines", AS_LIST, "taxLines", taxes },
    { "discount_allocations", AS_LIST, "discountAllocations", allocations },
    { 0 },
};

/* ---- the order ---- */

const struct render_row order_head[] = {
    { "id", AS_ID, "id" },
    { "admin_graphql_api_id", AS_IS, "id" },
    { "app_id", AS_ID, "app.id" },
    { "browser_ip", AS_IS, "clientIp" },
    { "buyer_accepts_marketing", AS_IS, "customerAcceptsMarketing" },
    { "cancel_reason", AS_LOWER, "cancelReason" },
    { "cancelled_at", AS_TIME, "cancelledAt" },
    { "cart_token", AS_NULL },
    { "checkout_token", AS_NULL },
    { "client_details", AS_MADE, NULL, NULL, make_client },
    { "closed_at", AS_TIME, "closedAt" },
    { "confirmation_number", AS_IS, "confirmationNumber" },
    { "confirmed", AS_IS, "confirmed" },
    { "contact_email", AS_IS, "email" },
    { "created_at", AS_TIME, "createdAt" },
    { "currency", AS_IS, "currencyCode" },
    { "current_shipping_price_set", AS_SET, "currentShippingPriceSet" },
    { "current_subtotal_price", AS_AMOUNT, "currentSubtotalPriceSet" },
    { "current_subtotal_price_set", AS_SET, "currentSubtotalPriceSet" },
    { "current_total_additional_fees_set", AS_SET, "currentTotalAdditionalFeesSet" },
    { "current_total_discounts", AS_AMOUNT, "currentTotalDiscountsSet" },
    { "current_total_discounts_set", AS_SET, "currentTotalDiscountsSet" },
    { "current_total_duties_set", AS_SET, "currentTotalDutiesSet" },
    { "current_total_price", AS_AMOUNT, "currentTotalPriceSet" },
    { "current_total_price_set", AS_SET, "currentTotalPriceSet" },
    { "current_total_tax", AS_AMOUNT, "currentTotalTaxSet" },
    { "current_total_tax_set", AS_SET, "currentTotalTaxSet" },
    { "customer_locale", AS_IS, "customerLocale" },
    { "device_id", AS_NULL },
    { "discount_codes", AS_MADE, NULL, NULL, make_codes },
    { "duties_included", AS_IS, "dutiesIncluded" },
    { "email", AS_IS, "email" },
    { "estimated_taxes", AS_IS, "estimatedTaxes" },
    { "financial_status", AS_LOWER, "displayFinancialStatus" },
    { "fulfillment_status", AS_MADE, NULL, NULL, make_fulfillment_status },
    { "landing_site", AS_NULL },
    { "landing_site_ref", AS_NULL },
    { "location_id", AS_ID, "retailLocation.id" },
    { "merchant_business_entity_id", AS_NULL },
    { "merchant_of_record_app_id", AS_NULL },
    { "name", AS_IS, "name" },
    { "note", AS_IS, "note" },
    { "note_attributes", AS_LIST, "customAttributes", attributes },
    { "number", AS_IS, "number" },
    { "order_number", AS_MADE, NULL, NULL, make_order_number },
    { "order_status_url", AS_IS, "statusPageUrl" },
    { "original_total_additional_fees_set", AS_SET, "originalTotalAdditionalFeesSet" },
    { "original_total_duties_set", AS_SET, "originalTotalDutiesSet" },
    { "payment_gateway_names", AS_IS, "paymentGatewayNames" },
    { "phone", AS_IS, "phone" },
    { "po_number", AS_IS, "poNumber" },
    { "presentment_currency", AS_IS, "presentmentCurrencyCode" },
    { "processed_at", AS_TIME, "processedAt" },
    { "reference", AS_NULL },
    { "referring_site", AS_NULL },
    { "source_identifier", AS_IS, "sourceIdentifier" },
    { "source_name", AS_IS, "sourceName" },
    { "source_url", AS_NULL },
    { "subtotal_price", AS_AMOUNT, "subtotalPriceSet" },
    { "subtotal_price_set", AS_SET, "subtotalPriceSet" },
    { "tags", AS_TAGS, "tags" },
    { "tax_exempt", AS_IS, "taxExempt" },
    { "tax_lines", AS_LIST, "taxLines", taxes },
    { "taxes_included", AS_IS, "taxesIncluded" },
    { "test", AS_IS, "test" },
    { "token", AS_NULL },
    { "total_cash_rounding_payment_adjustment_set", AS_MADE, NULL, NULL, order_make_zero_set },
    { "total_cash_rounding_refund_adjustment_set", AS_MADE, NULL, NULL, order_make_zero_set },
    { "total_discounts", AS_AMOUNT, "totalDiscountsSet" },
    { "total_discounts_set", AS_SET, "totalDiscountsSet" },
    { "total_line_items_price", AS_MADE, NULL, NULL, make_lines_price },
    { "total_line_items_price_set", AS_MADE, NULL, NULL, make_lines_price_set },
    { "total_outstanding", AS_AMOUNT, "totalOutstandingSet" },
    { "total_price", AS_AMOUNT, "totalPriceSet" },
    { "total_price_set", AS_SET, "totalPriceSet" },
    { "total_shipping_price_set", AS_SET, "totalShippingPriceSet" },
    { "total_tax", AS_AMOUNT, "totalTaxSet" },
    { "total_tax_set", AS_SET, "totalTaxSet" },
    { "total_tip_received", AS_AMOUNT, "totalTipReceivedSet" },
    { "total_weight", AS_INTEGER, "totalWeight" },
    { "updated_at", AS_TIME, "updatedAt" },
    { "user_id", AS_NULL },
    { "billing_address", AS_OBJECT, "billingAddress", order_address },
    { "customer", AS_OBJECT, "customer", customer },
    { "discount_applications", AS_MADE, NULL, NULL, make_applications },
    { "line_items", AS_LIST, "lineItems", lines },
    { "payment_terms", AS_NULL },
    { "shipping_address", AS_OBJECT, "shippingAddress", order_address },
    { "shipping_lines", AS_LIST, "shippingLines", shipping },
    { "returns", AS_NONE },
    { "line_item_groups", AS_NONE },
    { 0 },
};
