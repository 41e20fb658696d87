/*
 * test_shopify_orders.c - an order is cancelled and refunded once, whatever answer is lost; what
 * the shop refuses is named, and what a person must see to is held.
 */
#include "shopify_deeds.h"

#include <stdio.h>
#include <string.h>

#define ORDER "gid://shopify/Order/9007199254740993"
#define CANCEL                                                                  \
    "{\"order_id\":9007199254740993,\"reason\":\"INVENTORY\",\"restock\":true," \
    "\"refund\":\"original\",\"staff_note\":\"supplier: sold out\"}"
#define JOB(done) "\"job\":{\"id\":\"gid://shopify/Job/j1\",\"done\":" done "}"
#define TAKEN     DATA("\"orderCancel\":{" JOB("false") ",\"orderCancelUserErrors\":[]}")
#define STATE(at) "\"order\":{\"id\":\"" ORDER "\",\"cancelledAt\":" at "}"
#define AT        "\"2026-11-20T09:15:33Z\""
#define REFUSED(code, text)                                                           \
    DATA("\"orderCancel\":{\"job\":null,\"orderCancelUserErrors\":[{\"code\":\"" code \
         "\","                                                                        \
         "\"field\":[\"orderId\"],\"message\":\"" text "\"}]}")

/* ---- order.cancel -------------------------------------------------------------------------- */

static void a_cancellation_is_followed_to_the_end_of_its_job(void **state)
{
    struct deed_rig *x = *state;
    const struct fake_outcome *o;

    deed_take_action(x, "order.cancel", NULL);
    deed_expect(x, TAKEN);
    deed_expect(x, DATA(JOB("false") "," STATE("null")));
    deed_expect(x, THROTTLED);
    deed_expect(x, DATA(JOB("true") "," STATE(AT)));
    o = deed_run(x, CANCEL);
    CHECK_EQ(o->kind, SL_DELIVERED);
    CHECK_STR(o->reference, ORDER);
    CHECK_EQ(fake_host_requests(x->host), 4);
    CHECK_STR(x->done.token, "{\"v\":1,\"job\":\"gid://shopify/Job/j1\"}");
    CHECK_STR(deed_variables(x), "{\"job\":\"gid://shopify/Job/j1\",\"id\":\"" ORDER "\"}}");
}

static void what_is_asked_for_has_every_member_of_the_body(void **state)
{
    struct deed_rig *x = *state;

    deed_take_action(x, "order.cancel", NULL);
    deed_expect(x, REFUSED("INVALID", "Cannot cancel an order that has outstanding fulfillments"));
    const struct fake_outcome *o = deed_run(x, CANCEL);

    CHECK_STR(deed_variables(x), "{\"orderId\":\"" ORDER
                                 "\",\"restock\":true,\"refundMethod\":{"
                                 "\"originalPaymentMethodsRefund\":true},\"reason\":\"INVENTORY\","
                                 "\"staffNote\":\"supplier: sold out\"}}");
    CHECK_EQ(o->kind, SL_REVIEW);
    CHECK_EQ(o->not_sent, 1);
    CHECK_STR(o->why,
              "orderId: Cannot cancel an order that has outstanding fulfillments - stop or "
              "finish what is being shipped, then release this; or reject it");
}

static void an_order_that_is_cancelled_already_is_done(void **state)
{
    struct deed_rig *x = *state;

    deed_take_action(x, "order.cancel", NULL);
    deed_expect(x, REFUSED("INVALID", "Cannot cancel an order that has already been canceled"));
    deed_expect(x, DATA(STATE(AT)));
    const struct fake_outcome *o = deed_run(x, CANCEL);

    CHECK_EQ(o->kind, SL_DELIVERED);
    CHECK_STR(o->reference, ORDER);
}

static void a_cancellation_that_is_under_way_is_waited_for(void **state)
{
    struct deed_rig *x = *state;

    deed_take_action(x, "order.cancel", NULL);
    deed_expect(x, REFUSED("INVALID", "Cannot cancel an order that has already been canceled"));
    deed_expect(x, DATA(STATE("null")));
    const struct fake_outcome *o = deed_run(x, CANCEL);

    CHECK_EQ(o->kind, SL_RETRY);
    CHECK_STR(o->why, "the shop says that it is cancelled already, and does not show it yet");
}

static void an_order_that_is_not_there_is_refused_by_its_field(void **state)
{
    struct deed_rig *x = *state;

    deed_take_action(x, "order.cancel", NULL);
    deed_expect(x, REFUSED("NOT_FOUND", "Order does not exist"));
    const struct fake_outcome *o = deed_run(x, CANCEL);

    CHECK_EQ(o->kind, SL_REJECTED);
    CHECK_STR(o->why, "orderId: Order does not exist - order_id: the shop has no such order");
}

static void without_an_id_it_is_the_events_order(void **state)
{
    struct deed_rig *x = *state;

    deed_take_action(x, "order.note", NULL);
    deed_expect(x, DATA("\"order\":{\"id\":\"gid://shopify/Order/1\",\"note\":\"n\"}"));
    CHECK_EQ(deed_run(x, "{\"note\":\"n\"}")->kind, SL_DELIVERED);
    CHECK_STR(deed_variables(x),
              "{\"id\":\"gid://shopify/Order/1\"}}"); /* of the record's subject */
}

static void what_becomes_of_money_and_stock_must_be_said(void **state)
{
    struct deed_rig *x = *state;
    static const struct fake_setting params[] = { { "refund", "none" },
                                                  { "restock", "false" },
                                                  { 0 } };

    deed_take_action(x, "order.cancel", NULL);
    CHECK_STR(deed_run(x, "{\"order_id\":\"1\"}")->why,
              "refund: it is not given: original, store_credit or none");
    CHECK_STR(deed_run(x, "{\"order_id\":\"1\",\"refund\":\"none\"}")->why,
              "restock: it is not given: true or false");
    /* or the route says it */
    deed_take_action(x, "order.cancel", params);
    deed_expect(x, REFUSED("NOT_FOUND", "Order does not exist"));
    deed_run(x, "{\"order_id\":\"1\",\"restock\":true}");
    CHECK_STR(deed_variables(x),
              "{\"orderId\":\"gid://shopify/Order/1\",\"restock\":true,"
              "\"refundMethod\":{\"originalPaymentMethodsRefund\":false},"
              "\"reason\":\"OTHER\"}}");
}

static void a_lost_answer_is_looked_up_and_believed_missing_only_later(void **state)
{
    struct deed_rig *x = *state;
    const struct fake_confirmed *c;

    deed_take_action(x, "order.cancel", NULL);
    deed_expect_torn(x);
    CHECK_EQ(deed_run(x, CANCEL)->kind, SL_UNKNOWN);
    deed_expect(x, DATA(STATE(AT)));
    c = deed_asked(x, CANCEL, 5000);
    CHECK_EQ(c->verdict, SL_CONFIRM_YES);
    CHECK_STR(c->outcome.reference, ORDER);
    deed_expect(x, DATA(STATE("null")));
    c = deed_asked(x, CANCEL, 5000);
    CHECK_EQ(c->verdict, SL_CONFIRM_EARLY);
    CHECK_EQ(c->outcome.after_ms, 55000);
    deed_expect(x, DATA(STATE("null")));
    CHECK_EQ(deed_asked(x, CANCEL, 60000)->verdict, SL_CONFIRM_NO);
    /* and before it goes again the state is read once more */
    deed_expect(x, DATA(STATE(AT)));
    CHECK_EQ(deed_run(x, CANCEL)->kind, SL_DELIVERED);
}

static void a_restart_goes_on_with_the_job(void **state)
{
    struct deed_rig *x = *state;

    deed_take_action(x, "order.cancel", NULL);
    deed_expect(x, DATA("\"job\":null," STATE(AT)));
    CHECK_EQ(deed_go_on(x, CANCEL, "{\"v\":1,\"job\":\"gid://shopify/Job/j1\"}")->kind,
             SL_DELIVERED);
    CHECK_EQ(deed_go_on(x, CANCEL, "{\"v\":2}")->kind, SL_UNKNOWN);
}

static void a_job_that_ends_without_a_cancellation_is_a_persons(void **state)
{
    struct deed_rig *x = *state;
    const struct fake_outcome *o;

    deed_take_action(x, "order.cancel", NULL);
    deed_expect(x, TAKEN);
    for (int i = 0; i < 5; i++)
        deed_expect(x, DATA(JOB("true") "," STATE("null")));
    o = deed_run(x, CANCEL);
    CHECK_EQ(o->kind, SL_REVIEW);
    CHECK_EQ(o->not_sent, 0);
    CHECK_STR(o->why, "the shop's job ended and the order is not cancelled: its timeline says why");
    /* where the job has a result, that says it */
    deed_expect(
        x, DATA("\"orderCancel\":{" JOB("false") ",\"jobResult\":{\"id\":\"gid://shopify/R/1\"},"
                                                 "\"orderCancelUserErrors\":[]}"));
    for (int i = 0; i < 5; i++)
        deed_expect(x, DATA(JOB("true") "," STATE("null")));
    deed_expect(
        x, DATA("\"node\":{\"id\":\"gid://shopify/R/1\",\"status\":\"FAILED\",\"errors\":["
                "{\"code\":\"INTERNAL_ERROR\",\"field\":null,\"message\":\"refund failed\"}]}"));
    o = deed_run(x, CANCEL);
    CHECK_EQ(o->kind, SL_REVIEW);
    CHECK_STR(o->why, "the shop's job ended and the order is not cancelled: refund failed");
    CHECK_STR(x->done.token,
              "{\"v\":1,\"job\":\"gid://shopify/Job/j1\",\"result\":\"gid://shopify/R/1\"}");
}

static void an_internal_error_is_looked_at_and_tried_later(void **state)
{
    struct deed_rig *x = *state;

    deed_take_action(x, "order.cancel", NULL);
    deed_expect(x, REFUSED("INTERNAL_ERROR", "Something went wrong"));
    deed_expect(x, DATA(STATE("null")));
    const struct fake_outcome *o = deed_run(x, CANCEL);

    CHECK_EQ(o->kind, SL_RETRY);
    CHECK_STR(o->why, "orderId: Something went wrong");
}

static void pace_and_credentials_burn_nothing(void **state)
{
    struct deed_rig *x = *state;
    const struct fake_outcome *o;

    deed_take_action(x, "order.cancel", NULL);
    deed_expect(x, THROTTLED);
    o = deed_run(x, CANCEL);
    CHECK_EQ(o->kind, SL_THROTTLED);
    CHECK_EQ(o->after_ms, 2000);
    deed_expect(x,
                "{\"errors\":[{\"message\":\"Access denied for orderCancel field.\",\"extensions\":"
                "{\"code\":\"ACCESS_DENIED\"}}],\"data\":{\"orderCancel\":null}}");
    deed_run(x, CANCEL);
    CHECK(x->done.parked);
}

/* ---- refund.create ------------------------------------------------------------------------- */

#define REFUND                                                                               \
    "{\"order_id\":\"1\",\"lines\":[{\"sku\":\"A-1\",\"quantity\":2,\"restock\":\"CANCEL\"," \
    "\"location_id\":7}],\"shipping\":\"full\",\"note\":\"sold out\",\"notify\":true}"
#define LINE(id, sku) \
    "{\"id\":\"gid://shopify/LineItem/" id "\",\"sku\":\"" sku "\",\"currentQuantity\":2}"
#define LINES_OF(nodes, more, cursor)                                                   \
    DATA("\"order\":{\"id\":\"gid://shopify/Order/1\",\"lineItems\":{\"nodes\":[" nodes \
         "],\"pageInfo\":{\"hasNextPage\":" more ",\"endCursor\":" cursor "}}}")
#define MONEY(amount, currency) "{\"amount\":\"" amount "\",\"currencyCode\":\"" currency "\"}"
#define SET(shop, other, currency) \
    "\"amountSet\":{\"shopMoney\":" MONEY(shop, "EUR") "," \
    "\"presentmentMoney\":" MONEY(other, currency) "}"
#define PAID_BY(gateway, id) \
    "\"gateway\":\"" gateway \
    "\",\"parentTransaction\":{\"id\":\"gid://shopify/OrderTransaction/" id "\"},"
#define SUGGESTED(currency)                                                             \
    DATA("\"order\":{\"id\":\"gid://shopify/Order/1\",\"suggestedRefund\":{" SET(       \
        "39.8", "45.1", currency) ",\"suggestedTransactions\":[{" PAID_BY("bogus", "3") \
             SET("39.8", "45.1", currency) "},{" PAID_BY("gift", "4")                   \
                 SET("0.0", "0.0", currency) "}]}}")
#define REFUNDED \
    DATA("\"refundCreate\":{\"refund\":{\"id\":\"gid://shopify/Refund/5\"},\"userErrors\":[]}")
#define NOT_REFUNDED(text)                                                                       \
    DATA("\"refundCreate\":{\"refund\":null,\"userErrors\":[{\"field\":null,\"message\":\"" text \
         "\"}]}")
/* of the key k3y-_A, the step "refund" */
#define INPUT                                                                                   \
    "{\"input\":{\"orderId\":\"gid://shopify/Order/1\",\"refundLineItems\":[{\"lineItemId\":"   \
    "\"gid://shopify/LineItem/11\",\"quantity\":2,\"locationId\":\"gid://shopify/Location/7\"," \
    "\"restockType\":\"CANCEL\"}],\"shipping\":{\"fullRefund\":true},\"note\":\"sold out\","    \
    "\"notify\":true,\"transactions\":[{\"kind\":\"REFUND\",\"gateway\":\"bogus\","             \
    "\"amount\":\"39.8\",\"parentId\":\"gid://shopify/OrderTransaction/3\",\"orderId\":"        \
    "\"gid://shopify/Order/1\"}]},\"key\":\""

static void a_refund_is_of_what_the_shop_suggests_under_a_key(void **state)
{
    struct deed_rig *x = *state;
    const struct fake_outcome *o;

    deed_take_action(x, "refund.create", NULL);
    deed_expect(x, LINES_OF(LINE("10", "B"), "true", "\"c1\""));
    deed_expect(x, LINES_OF(LINE("11", "A-1"), "false", "null"));
    deed_expect(x, SUGGESTED("EUR"));
    deed_expect(x, REFUNDED);
    o = deed_run(x, REFUND);
    CHECK_EQ(o->kind, SL_DELIVERED);
    CHECK_STR(o->reference, "gid://shopify/Refund/5");
    CHECK_STR(o->link_kind[0], "refund");
    CHECK_STR(o->link_id[0], "gid://shopify/Refund/5");
    CHECK(strncmp(deed_variables(x), INPUT, strlen(INPUT)) == 0);
    CHECK_EQ(strlen(deed_variables(x)), strlen(INPUT) + 36 + 3); /* a UUID */
}

static void money_in_the_buyers_currency_goes_back_in_it(void **state)
{
    struct deed_rig *x = *state;

    deed_take_action(x, "refund.create", NULL);
    deed_expect(x, SUGGESTED("USD"));
    deed_expect(x, REFUNDED);
    deed_run(x, "{\"order_id\":1,\"shipping_amount\":\"5.00\"}");
    CHECK(strstr(deed_variables(x), "\"shipping\":{\"amount\":\"5.00\"}"));
    CHECK(strstr(deed_variables(x), "\"amount\":\"45.1\""));
    CHECK(strstr(deed_variables(x), "\"currency\":\"USD\""));
}

static void no_money_moves_only_when_that_is_said(void **state)
{
    struct deed_rig *x = *state;

    deed_take_action(x, "refund.create", NULL);
    deed_expect(x, REFUNDED);
    CHECK_EQ(deed_run(x,
                      "{\"order_id\":1,\"money\":\"none\",\"lines\":[{\"line_item_id\":11,"
                      "\"quantity\":1}]}")
                 ->kind,
             SL_DELIVERED);
    CHECK(!strstr(deed_variables(x), "transactions"));
    CHECK(strstr(deed_variables(x), "\"restockType\":\"NO_RESTOCK\""));
    CHECK_STR(deed_run(x, "{\"order_id\":1,\"money\":\"given\",\"shipping\":\"full\"}")->why,
              "transactions: money: given wants them");
    CHECK_STR(deed_run(x, "{\"order_id\":1}")->why,
              "it wants lines, shipping, shipping_amount, duties or transactions: nothing is "
              "refunded");
}

static void amounts_as_given_are_sent_as_they_stand(void **state)
{
    struct deed_rig *x = *state;

    deed_take_action(x, "refund.create", NULL);
    deed_expect(x, REFUNDED);
    deed_run(x,
             "{\"order_id\":1,\"transactions\":[{\"parent_id\":3,\"gateway\":\"bogus\","
             "\"amount\":\"10.10\"}],\"allow_over_refunding\":true}");
    CHECK(strstr(deed_variables(x),
                 "[{\"kind\":\"REFUND\",\"gateway\":\"bogus\",\"amount\":"
                 "\"10.10\",\"parentId\":\"gid://shopify/OrderTransaction/3\","
                 "\"orderId\":\"gid://shopify/Order/1\"}]"));
    CHECK(strstr(deed_variables(x), "\"allowOverRefunding\":true"));
}

static void a_sku_that_is_not_on_the_order_or_twice_is_named(void **state)
{
    struct deed_rig *x = *state;

    deed_take_action(x, "refund.create", NULL);
    deed_expect(x, LINES_OF(LINE("10", "B"), "false", "null"));
    CHECK_STR(deed_run(x, REFUND)->why, "lines[0].sku: no line of the order has the SKU \"A-1\"");
    deed_expect(x, LINES_OF(LINE("10", "A-1") "," LINE("11", "A-1"), "false", "null"));
    CHECK_STR(deed_run(x, REFUND)->why,
              "lines[0].sku: several lines of the order have the SKU "
              "\"A-1\": give line_item_id");
}

#define GIVEN \
    "{\"order_id\":1,\"transactions\":[{\"parent_id\":3,\"gateway\":\"bogus\",\"amount\":\"10\"}]}"

static void what_the_shop_refuses_of_a_refund_is_for_good(void **state)
{
    static const char *const texts[] = {
        "Refund amount $20.00 is greater than net payment received $10.00",
        "Quantity cannot refund more items than were purchased",
        "Transactions require a parent_id associated with the order",
        "Order does not exist",
    };
    struct deed_rig *x = *state;

    deed_take_action(x, "refund.create", NULL);
    for (size_t i = 0; i < sizeof(texts) / sizeof(*texts); i++) {
        char answer[1024];

        snprintf(answer, sizeof(answer),
                 "{\"data\":{\"refundCreate\":{\"refund\":null,\"userErrors\":[{\"field\":null,"
                 "\"message\":\"%s\"}]}}}",
                 texts[i]);
        deed_expect(x, answer);
        const struct fake_outcome *o = deed_run(x, GIVEN);
        CHECK_EQ(o->kind, SL_REJECTED);
        CHECK(strncmp(o->why, texts[i], strlen(texts[i])) == 0);
        CHECK(strstr(o->why, " - ")); /* and what would be right */
    }
}

static void a_spent_key_is_renewed_and_a_busy_one_waited_for(void **state)
{
    struct deed_rig *x = *state;
    char first[128], second[128];

    deed_take_action(x, "refund.create", NULL);
    deed_expect(x, NOT_REFUNDED("IDEMPOTENCY_CONCURRENT_REQUEST"));
    CHECK_EQ(deed_run(x, GIVEN)->kind, SL_RETRY);
    snprintf(first, sizeof(first), "%.100s", strstr(deed_variables(x), "\"key\""));
    deed_expect(x, NOT_REFUNDED("IDEMPOTENCY_PREVIOUS_ATTEMPT_FAILED"));
    deed_expect(x, REFUNDED);
    CHECK_EQ(deed_run(x, GIVEN)->kind, SL_DELIVERED);
    snprintf(second, sizeof(second), "%.100s", strstr(deed_variables(x), "\"key\""));
    CHECK(strcmp(first, second) != 0);
    deed_expect(x, NOT_REFUNDED("IDEMPOTENCY_KEY_PARAMETER_MISMATCH"));
    CHECK_EQ(deed_run(x, GIVEN)->kind, SL_REVIEW);
    /* its payload has no codes, so the text or an error of the whole says it */
    deed_expect(x, NOT_REFUNDED("The idempotency key was used with other parameters."));
    CHECK_EQ(deed_run(x, GIVEN)->kind, SL_REVIEW);
    deed_expect(x,
                "{\"errors\":[{\"message\":\"still running\",\"extensions\":{\"code\":"
                "\"IDEMPOTENCY_CONCURRENT_REQUEST\"}}],\"data\":{\"refundCreate\":null}}");
    CHECK_EQ(deed_run(x, GIVEN)->kind, SL_RETRY);
    deed_expect(x,
                "{\"errors\":[{\"message\":\"Invalid id: gid://shopify/Order/0\",\"extensions\":"
                "{\"code\":\"RESOURCE_NOT_FOUND\"}}],\"data\":{\"refundCreate\":null}}");
    CHECK_EQ(deed_run(x, GIVEN)->kind, SL_REJECTED);
}

#define REFUNDS(at)                                                         \
    DATA(                                                                   \
        "\"order\":{\"id\":\"gid://shopify/Order/1\",\"refunds\":[{\"id\":" \
        "\"gid://shopify/Refund/5\",\"createdAt\":" at                      \
        ",\"totalRefundedSet\":{\"shopMoney\":"                             \
        "{\"amount\":\"10.0\",\"currencyCode\":\"EUR\"}}}]}")

static void a_lost_refund_goes_again_by_its_key_as_long_as_that_lives(void **state)
{
    struct deed_rig *x = *state;
    const struct fake_outcome *o;

    deed_take_action(x, "refund.create", NULL);
    deed_expect_torn(x);
    CHECK_EQ(deed_run(x, GIVEN)->kind, SL_UNKNOWN);
    CHECK_EQ(deed_asked(x, "{\"input\":{}}", 3600000)->verdict, SL_CONFIRM_AGAIN);
    /* a day later the shop has forgotten it: what was refunded since is a person's to judge */
    x->first_ms = fake_host_wall_ms(x->host) - 25 * 3600000;
    deed_expect(x, REFUNDS("\"2026-11-20T08:15:33Z\""));
    o = deed_run(x, GIVEN);
    CHECK_EQ(o->kind, SL_REVIEW);
    CHECK(strstr(o->why, "a refund of 10.0 EUR since (gid://shopify/Refund/5)"));
    /* and nothing since is nothing done */
    deed_expect(x, REFUNDS("\"2026-11-18T08:15:33Z\""));
    deed_expect(x, REFUNDED);
    CHECK_EQ(deed_run(x, GIVEN)->kind, SL_DELIVERED);
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, deeds_setup, deeds_teardown)
    const struct CMUnitTest tests[] = {
        TEST(a_cancellation_is_followed_to_the_end_of_its_job),
        TEST(what_is_asked_for_has_every_member_of_the_body),
        TEST(an_order_that_is_cancelled_already_is_done),
        TEST(a_cancellation_that_is_under_way_is_waited_for),
        TEST(an_order_that_is_not_there_is_refused_by_its_field),
        TEST(without_an_id_it_is_the_events_order),
        TEST(what_becomes_of_money_and_stock_must_be_said),
        TEST(a_lost_answer_is_looked_up_and_believed_missing_only_later),
        TEST(a_restart_goes_on_with_the_job),
        TEST(a_job_that_ends_without_a_cancellation_is_a_persons),
        TEST(an_internal_error_is_looked_at_and_tried_later),
        TEST(pace_and_credentials_burn_nothing),
        TEST(a_refund_is_of_what_the_shop_suggests_under_a_key),
        TEST(money_in_the_buyers_currency_goes_back_in_it),
        TEST(no_money_moves_only_when_that_is_said),
        TEST(amounts_as_given_are_sent_as_they_stand),
        TEST(a_sku_that_is_not_on_the_order_or_twice_is_named),
        TEST(what_the_shop_refuses_of_a_refund_is_for_good),
        TEST(a_spent_key_is_renewed_and_a_busy_one_waited_for),
        TEST(a_lost_refund_goes_again_by_its_key_as_long_as_that_lives),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
