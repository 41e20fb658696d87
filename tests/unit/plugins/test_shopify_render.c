/*
 * test_shopify_render.c - what GraphQL says of an order, in the form of the webhook: compared with
 * the body of the webhook member by member; and what must have happened to the order.
 */
#include "../check.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "feeds/order.h"
#include "feeds/render.h"
#include "feeds/shift_time.h"

#define ORDER  "shopify-answer-order.json"
#define PARTS  "shopify-answer-order-parts.json"
#define OFFSET 60 /* minutes: of the samples' shop */

static json_t *load(const char *name)
{
    char path[1000];
    json_t *o;

    snprintf(path, sizeof(path), "%s/%s", DATA_DIR, name);
    o = json_load_file(path, 0, NULL);
    assert_non_null(o);
    return o;
}

static json_t *sample(const char *topic)
{
    json_t *all = load("shopify-webhook.samples.json");
    json_t *body = json_object_get(json_object_get(all, "samples"), topic);

    if (json_object_get(body, "body"))
        body = json_object_get(body, "body");
    assert_true(json_is_object(body));
    json_incref(body);
    json_decref(all);
    return body;
}

/* ---- comparing ---- */

struct differences {
    char text[8000]; /* paths, a space behind each */
};

static void differ(struct differences *d, const char *path)
{
    strcat(d->text, path);
    strcat(d->text, " ");
}

static void compare(struct differences *d, const char *path, const json_t *want, const json_t *have)
{
    char inner[400];
    const char *name;
    json_t *value;
    size_t i;

    if (json_is_object(want) && json_is_object(have)) {
        json_object_foreach((json_t *)want, name, value)
        {
            snprintf(inner, sizeof(inner), "%s%s%s", path, *path ? "." : "", name);
            if (!json_object_get(have, name))
                differ(d, inner); /* absent is not the same as null */
            else
                compare(d, inner, value, json_object_get(have, name));
        }
        json_object_foreach((json_t *)have, name, value) if (!json_object_get(want, name))
        {
            snprintf(inner, sizeof(inner), "+%s.%s", path, name);
            differ(d, inner);
        }
    } else if (json_is_array(want) && json_is_array(have) &&
               json_array_size(want) == json_array_size(have)) {
        json_array_foreach((json_t *)want, i, value)
        {
            snprintf(inner, sizeof(inner), "%s.%zu", path, i);
            compare(d, inner, value, json_array_get(have, i));
        }
    } else if (!json_equal(want, have)) {
        differ(d, path);
    }
}

static void all_of_an_order_is_as_in_its_webhook_but_what_is_listed(void **state)
{
    struct differences d = { "" };
    json_t *order = load(ORDER), *want = load("shopify-order.sample.json"), *have;

    (void)state;
    assert_true(order_is_whole(order));
    have = order_render(order, OFFSET);
    compare(&d, "", want, have);
    /* the README lists them: GraphQL does not have these, or not in all versions */
    CHECK_STR(d.text,
              "cart_token checkout_token client_details.accept_language "
              "client_details.user_agent landing_site merchant_business_entity_id token ");
    json_decref(have);
    json_decref(want);
    json_decref(order);
}

static void parts(json_t *order)
{
    json_t *more = load(PARTS);

    json_object_update(order, more);
    json_decref(more);
}

/* The samples show the order's line as it was after it was shipped. */
static void ship_first_line(json_t *order)
{
    json_t *line = json_array_get((json_t *)graph_list(order, "lineItems"), 0);

    json_object_set_new(line, "fulfillableQuantity", json_integer(0));
    json_object_set_new(line, "fulfillmentStatus", json_string("fulfilled"));
}

static void fulfilments_and_refunds_are_as_in_their_webhooks(void **state)
{
    struct differences d = { "" };
    json_t *order = load(ORDER), *have, *want;

    (void)state;
    parts(order);
    ship_first_line(order);
    have = order_render(order, OFFSET);
    want = sample("fulfillments/create");
    compare(&d, "fulfillment", want, json_array_get(json_object_get(have, "fulfillments"), 0));
    CHECK_STR(d.text, "");
    json_decref(want);
    want = sample("refunds/create");
    compare(&d, "refund", want, json_array_get(json_object_get(have, "refunds"), 0));
    CHECK_STR(d.text,
              "refund.transactions.0.message refund.transactions.0.authorization "
              "refund.transactions.0.source_name refund.transactions.0.total_unsettled_set ");
    json_decref(want);
    CHECK_STR(json_string_value(json_object_get(have, "fulfillment_status")), "partial");
    json_decref(have);
    json_decref(order);
}

static void ids_beyond_53_bits_keep_every_digit(void **state)
{
    (void)state;
    CHECK(graph_id("gid://shopify/Order/9007199254740993") == 9007199254740993);
    CHECK(graph_id("gid://shopify/Order/820982911946154508") == 820982911946154508);
    CHECK(graph_id("gid://shopify/InventoryLevel/7?inventory_item_id=9") == 7);
    CHECK(graph_id("gid://shopify/Order/") == 0);
    CHECK(graph_id("gid://shopify/Order/-4") == 0);
    CHECK(graph_id("7x/8x") == 0);
    CHECK(graph_id(NULL) == 0);
}

static void amounts_are_written_as_their_currency_is(void **state)
{
    static const struct {
        const char *in, *currency, *out;
    } cases[] = { { "5.0", "EUR", "5.00" },      { "5", "EUR", "5.00" },
                  { "113.89", "EUR", "113.89" }, { "-9.9", "USD", "-9.90" },
                  { "500.0", "JPY", "500" },     { "1.2345", "EUR", "1.2345" },
                  { "0.123", "KWD", "0.123" },   { "-0.05", "EUR", "-0.05" },
                  { "7.10", "", "7.10" } };
    int64_t n;

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        json_t *text;

        CHECK(money_read(cases[i].in, &n));
        text = money_text(n, cases[i].currency);
        CHECK_STR(json_string_value(text), cases[i].out);
        json_decref(text);
    }
    CHECK(!money_read("", &n));
    CHECK(!money_read("-", &n));
    CHECK(!money_read("1e9", &n));
    CHECK(!money_read("1.2.3", &n));
    CHECK(!money_read(".5", &n));
    CHECK(!money_read("123456789012345678", &n));
}

static void times_have_the_offset_of_the_shop(void **state)
{
    char text[SHIFTED_TIME_SIZE];
    int64_t ms;

    (void)state;
    CHECK_EQ(time_shift((sl_str){ "2026-11-20T23:30:00Z", 20 }, 60, text), SL_OK);
    CHECK_STR(text, "2026-11-21T00:30:00+01:00");
    CHECK_EQ(time_shift((sl_str){ "2026-01-01T01:00:00.750Z", 24 }, -210, text), SL_OK);
    CHECK_STR(text, "2025-12-31T21:30:00-03:30");
    CHECK_EQ(time_shift((sl_str){ "2026-11-20T10:15:32+01:00", 25 }, 0, text), SL_OK);
    CHECK_STR(text, "2026-11-20T09:15:32+00:00");
    CHECK_EQ(time_shift((sl_str){ "yesterday", 9 }, 0, text), SL_E_INVALID);
    CHECK_EQ(time_ms((sl_str){ "2026-11-20T09:15:32.250Z", 24 }, &ms), SL_OK);
    CHECK(ms == INT64_C(1795166132250));
}

/* ---- what happened ---- */

struct told {
    char text[4000]; /* "topic since" a line */
    size_t stop_at;  /* SL_E_LIMIT at this one; 0: never */
    size_t n;
};

static sl_status on_event(void *ctx, const struct order_event *e)
{
    struct told *t = ctx;
    size_t at = strlen(t->text);

    if (t->stop_at && ++t->n == t->stop_at)
        return SL_E_LIMIT;
    snprintf(t->text + at, sizeof(t->text) - at, "%s %s %" JSON_INTEGER_FORMAT "\n", e->topic,
             e->since, json_integer_value(json_object_get(e->body, "id")));
    return SL_OK;
}

static struct told tell(const json_t *order, const char *from, size_t skip)
{
    struct told t = { .n = 0 };
    json_t *body = order_render(order, OFFSET);
    int64_t ms = 0;

    if (*from)
        CHECK_EQ(time_ms((sl_str){ from, strlen(from) }, &ms), SL_OK);
    CHECK_EQ(order_happened(order, body, ms, skip, on_event, &t), SL_OK);
    json_decref(body);
    return t;
}

#define CREATE  "orders/create 2026-11-20T09:14:30.000Z 9007199254740993\n"
#define PAID    "orders/paid 2026-11-20T09:14:31.000Z 9007199254740993\n"
#define UPDATED "orders/updated 2026-11-20T09:15:32.000Z 9007199254740993\n"

static void a_paid_order_was_created_paid_and_updated(void **state)
{
    json_t *order = load(ORDER);

    (void)state;
    CHECK_STR(tell(order, "", 0).text, CREATE PAID UPDATED);
    json_object_set_new(order, "displayFinancialStatus", json_string("AUTHORIZED"));
    CHECK_STR(tell(order, "", 0).text, CREATE UPDATED);
    json_object_set_new(order, "displayFinancialStatus", json_string("PAID"));
    json_object_set_new(order, "transactions", json_array()); /* nothing was to be paid */
    CHECK_STR(tell(order, "", 0).text,
              CREATE "orders/paid 2026-11-20T09:14:30.000Z 9007199254740993\n" UPDATED);
    json_decref(order);
}

static void what_happened_before_is_left_to_the_poll_that_looked_then(void **state)
{
    json_t *order = load(ORDER);

    (void)state;
    CHECK_STR(tell(order, "2026-11-20T09:15:31Z", 0).text, PAID UPDATED);
    CHECK_STR(tell(order, "2026-11-20T09:15:32Z", 0).text, UPDATED);
    CHECK_STR(tell(order, "2026-11-20T09:15:33Z", 0).text, "");
    json_decref(order);
}

static void a_shipped_refunded_and_cancelled_order_tells_each(void **state)
{
    json_t *order = load(ORDER);
    json_t *shipped;

    (void)state;
    parts(order);
    json_object_set_new(order, "displayFinancialStatus", json_string("PARTIALLY_REFUNDED"));
    json_object_set_new(order, "cancelledAt", json_string("2026-11-20T10:00:00Z"));
    json_object_set_new(order, "updatedAt", json_string("2026-11-20T10:00:01Z"));
    shipped = json_array_get(json_object_get(order, "fulfillments"), 0);
    CHECK_STR(tell(order, "2026-11-20T09:15:32Z", 0).text,
              "fulfillments/create  4400000000001\n"
              "orders/partially_fulfilled 2026-11-20T09:14:32.000Z 9007199254740993\n"
              "refunds/create  8800000000001\n"
              "orders/cancelled 2026-11-20T09:59:00.000Z 9007199254740993\n"
              "orders/updated 2026-11-20T10:00:01.000Z 9007199254740993\n");
    json_object_set_new(shipped, "updatedAt", json_string("2026-11-20T09:45:00Z"));
    json_object_set_new(order, "displayFulfillmentStatus", json_string("FULFILLED"));
    CHECK_STR(tell(order, "2026-11-20T09:30:00Z", 0).text,
              "fulfillments/update  4400000000001\n"
              "orders/cancelled 2026-11-20T09:59:00.000Z 9007199254740993\n"
              "orders/updated 2026-11-20T10:00:01.000Z 9007199254740993\n");
    json_object_set_new(shipped, "status", json_string("CANCELLED"));
    json_object_set_new(order, "displayFulfillmentStatus", json_string("UNFULFILLED"));
    CHECK(!strstr(tell(order, "", 0).text, "orders/partially_fulfilled"));
    CHECK(!strstr(tell(order, "", 0).text, "orders/fulfilled"));
    json_decref(order);
}

static void what_was_told_before_is_not_told_again(void **state)
{
    json_t *order = load(ORDER), *body;
    struct told t = { .stop_at = 2 };

    (void)state;
    body = order_render(order, OFFSET);
    CHECK_EQ(order_happened(order, body, 0, 0, on_event, &t), SL_E_LIMIT);
    CHECK_STR(t.text, CREATE);
    CHECK_STR(tell(order, "", 1).text, PAID UPDATED);
    CHECK_STR(tell(order, "", 3).text, "");
    json_decref(body);
    json_decref(order);
}

static void an_order_whose_lists_go_on_is_not_whole(void **state)
{
    static const char *const lists[] = { "lineItems", "shippingLines", "discountApplications" };

    (void)state;
    for (size_t i = 0; i < 3; i++) {
        json_t *order = load(ORDER), *list = json_object_get(order, lists[i]);

        json_object_set_new(json_object_get(list, "pageInfo"), "hasNextPage", json_true());
        CHECK(!order_is_whole(order));
        json_decref(order);
    }
    json_t *order = load(ORDER), *refund;
    parts(order);
    CHECK(order_is_whole(order));
    refund = json_array_get(json_object_get(order, "refunds"), 0);
    json_object_set_new(json_object_get(json_object_get(refund, "refundLineItems"), "pageInfo"),
                        "hasNextPage", json_true());
    CHECK(!order_is_whole(order));
    json_decref(order);
}

/* Customer, addresses, variants and products may be gone, or not be shown to the app. */
static void what_is_null_there_is_null_here(void **state)
{
    static const char *const gone[] = { "customer", "billingAddress", "shippingAddress",
                                        "email",    "phone",          "note",
                                        "app",      "clientIp" };
    json_t *order = load(ORDER), *line, *body;

    (void)state;
    parts(order);
    for (size_t i = 0; i < sizeof(gone) / sizeof(gone[0]); i++)
        json_object_set_new(order, gone[i], json_null());
    line = json_array_get((json_t *)graph_list(order, "lineItems"), 1);
    json_object_set_new(line, "product", json_null());
    json_object_set_new(line, "variant", json_null());
    json_object_set_new(line, "sku", json_null());
    body = order_render(order, 0);
    line = json_array_get(json_object_get(body, "line_items"), 1);
    CHECK(json_is_null(json_object_get(body, "customer")));
    CHECK(json_is_null(json_object_get(body, "shipping_address")));
    CHECK(json_is_null(json_object_get(body, "app_id")));
    CHECK(json_is_null(json_object_get(line, "product_id")));
    CHECK(json_is_null(json_object_get(line, "variant_id")));
    CHECK(json_is_false(json_object_get(line, "product_exists")));
    CHECK(json_is_null(json_object_get(line, "variant_inventory_management")));
    json_decref(body);
    json_decref(order);
}

/* A discount of shipping, a fixed one, one that a person gave. */
static void discounts_are_told_as_webhooks_do(void **state)
{
    json_t *order = load(ORDER), *body, *list, *one;

    (void)state;
    list = (json_t *)graph_list(order, "discountApplications");
    json_array_append_new(list, json_pack("{s:s,s:s,s:s,s:s,s:{s:s,s:s},s:s}", "__typename",
                                          "DiscountCodeApplication", "allocationMethod", "EACH",
                                          "targetSelection", "ALL", "targetType", "SHIPPING_LINE",
                                          "value", "amount", "2.5", "currencyCode", "EUR", "code",
                                          "SHIP"));
    json_array_append_new(list,
                          json_pack("{s:s,s:s,s:s,s:s,s:{s:f},s:s,s:n}", "__typename",
                                    "ManualDiscountApplication", "allocationMethod", "ACROSS",
                                    "targetSelection", "ALL", "targetType", "LINE_ITEM", "value",
                                    "percentage", 12.5, "title", "sorry", "description"));
    one = json_array_get((json_t *)graph_list(order, "shippingLines"), 0);
    json_array_append_new(json_object_get(one, "discountAllocations"),
                          json_pack("{s:{s:{s:s,s:s},s:{s:s,s:s}},s:{s:i}}", "allocatedAmountSet",
                                    "shopMoney", "amount", "2.5", "currencyCode", "EUR",
                                    "presentmentMoney", "amount", "2.1", "currencyCode", "GBP",
                                    "discountApplication", "index", 1));
    body = order_render(order, OFFSET);
    list = json_object_get(body, "discount_codes");
    CHECK_EQ(json_array_size(list), 2);
    one = json_array_get(list, 1);
    CHECK_STR(graph_text(one, "code"), "SHIP");
    CHECK_STR(graph_text(one, "amount"), "2.50");
    CHECK_STR(graph_text(one, "type"), "shipping");
    list = json_object_get(body, "discount_applications");
    one = json_array_get(list, 1);
    CHECK_STR(graph_text(one, "value"), "2.50");
    CHECK_STR(graph_text(one, "value_type"), "fixed_amount");
    one = json_array_get(list, 2);
    CHECK_STR(graph_text(one, "type"), "manual");
    CHECK_STR(graph_text(one, "value"), "12.5");
    CHECK_STR(graph_text(one, "title"), "sorry");
    CHECK(!json_object_get(one, "code"));
    json_decref(body);
    json_decref(order);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(all_of_an_order_is_as_in_its_webhook_but_what_is_listed),
        cmocka_unit_test(fulfilments_and_refunds_are_as_in_their_webhooks),
        cmocka_unit_test(ids_beyond_53_bits_keep_every_digit),
        cmocka_unit_test(amounts_are_written_as_their_currency_is),
        cmocka_unit_test(times_have_the_offset_of_the_shop),
        cmocka_unit_test(a_paid_order_was_created_paid_and_updated),
        cmocka_unit_test(what_happened_before_is_left_to_the_poll_that_looked_then),
        cmocka_unit_test(a_shipped_refunded_and_cancelled_order_tells_each),
        cmocka_unit_test(what_was_told_before_is_not_told_again),
        cmocka_unit_test(an_order_whose_lists_go_on_is_not_whole),
        cmocka_unit_test(what_is_null_there_is_null_here),
        cmocka_unit_test(discounts_are_told_as_webhooks_do),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
