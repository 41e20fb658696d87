/*
 * test_shopify_shipment.c - what a supplier has shipped, beside each state that the shop can be in:
 * which calls it takes, and why there can be none.
 */
#include "fake_host.h"

#include <stdlib.h>
#include <string.h>

#include "fulfil/carrier.h"
#include "fulfil/shipment.h"
#include "shopify_orders_json.h"

/* ---- what the shop has --------------------------------------------------------------------- */

/* what a call is to be */
#define CALL_FO(id, lines)                                         \
    "{\"fulfillmentOrderId\":\"gid://shopify/FulfillmentOrder/" id \
    "\",\"fulfillmentOrderLineItems\":[" lines "]}"
#define CALL_LINE(id, n) \
    "{\"id\":\"gid://shopify/FulfillmentOrderLineItem/" id "\",\"quantity\":" n "}"

#define TRACKED ",\"tracking\":{\"company\":\"DHL Express\",\"number\":\"JD01\"}"
#define A_2     "{\"lines\":[{\"sku\":\"A\",\"quantity\":2}]" TRACKED "}"

static const struct shipment_rules usual = { .other_number = "review", .choice = "", .since = "" };

static json_t *parsed(const char *text)
{
    json_error_t error;
    json_t *v = json_loads(text, 0, &error);

    if (!v)
        fail_msg("%s: %s", error.text, text);
    return v;
}

/* Owned by the caller: finish it. `keep` keeps what its views point into. */
static struct shipment_plan plan(const char *body, const char *order, const char *orders,
                                 const struct shipment_rules *rules, json_t **keep)
{
    json_t *taken = NULL, *fos;
    char why[300], *list = malloc(strlen(orders) + 3);
    struct shipment_plan p;

    sprintf(list, "[%s]", orders);
    if (body_take(fake_str(body), &shipment_shape, &taken, why, sizeof(why)) < 0)
        fail_msg("%s", why);
    fos = parsed(list);
    *keep = parsed(order);
    shipment_plan(taken, *keep, fos, rules, &p);
    json_decref(taken);
    json_decref(fos);
    free(list);
    return p;
}

static void check_calls(const char *body, const char *order, const char *orders, const char *want)
{
    json_t *keep;
    struct shipment_plan p = plan(body, order, orders, &usual, &keep);
    char *calls = json_dumps(p.calls, JSON_COMPACT);

    if (p.next != SHIPMENT_CREATE)
        fail_msg("%d: %s", p.next, p.why);
    CHECK_STR(calls, want);
    free(calls);
    shipment_plan_finish(&p);
    json_decref(keep);
}

static void check_ruled(const char *body, const char *order, const char *orders,
                        const struct shipment_rules *rules, enum shipment_next next,
                        const char *why)
{
    json_t *keep;
    struct shipment_plan p = plan(body, order, orders, rules, &keep);

    if (p.next != next)
        fail_msg("%d and not %d: %s", p.next, next, p.why);
    CHECK_STR(p.why, why);
    shipment_plan_finish(&p);
    json_decref(keep);
}

static void check(const char *body, const char *order, const char *orders, enum shipment_next next,
                  const char *why)
{
    check_ruled(body, order, orders, &usual, next, why);
}

/* ---- calls --------------------------------------------------------------------------------- */

static void lines_are_found_by_sku_by_the_orders_line_and_by_their_own_id(void **state)
{
    const char *orders = FO("1", "9", LINE("11", "A", "21", "2") "," LINE("12", "B", "22", "1"));

    (void)state;
    check_calls(A_2, ORDER(""), orders, "[[" CALL_FO("1", CALL_LINE("11", "2")) "]]");
    check_calls("{\"lines\":[{\"line_item_id\":22,\"quantity\":1}]}", ORDER(""), orders,
                "[[" CALL_FO("1", CALL_LINE("12", "1")) "]]");
    check_calls(
        "{\"lines\":[{\"fulfillment_order_line_item_id\":\"11\",\"quantity\":1},"
        "{\"sku\":\"B\",\"quantity\":1}]}",
        ORDER(""), orders, "[[" CALL_FO("1", CALL_LINE("11", "1") "," CALL_LINE("12", "1")) "]]");
    /* without lines: all that remains */
    check_calls(
        "{"
        "\"order_id\":1" TRACKED "}",
        ORDER(""), orders, "[[" CALL_FO("1", CALL_LINE("11", "2") "," CALL_LINE("12", "1")) "]]");
}

static void one_sku_of_two_lines_is_taken_from_both(void **state)
{
    (void)state;
    check_calls("{\"lines\":[{\"sku\":\"A\",\"quantity\":1},{\"sku\":\"A\",\"quantity\":2}]}",
                ORDER(""), FO("1", "9", LINE("11", "A", "21", "2") "," LINE("12", "A", "22", "3")),
                "[[" CALL_FO("1", CALL_LINE("11", "2") "," CALL_LINE("12", "1")) "]]");
}

static void each_location_is_a_call_of_its_own(void **state)
{
    const char *orders = FO("1", "8", LINE("11", "A", "21", "1")) "," FO(
        "2", "9",
        LINE("12", "A", "21", "1") "," LINE("13", "B", "22",
                                            "1")) "," FO("3", "8", LINE("14", "C", "23", "1"));

    (void)state;
    check_calls("{\"lines\":[{\"sku\":\"A\",\"quantity\":2},{\"sku\":\"C\",\"quantity\":1}]}",
                ORDER(""), orders,
                "[[" CALL_FO("1", CALL_LINE("11", "1")) "," CALL_FO(
                    "3", CALL_LINE("14", "1")) "],[" CALL_FO("2", CALL_LINE("12", "1")) "]]");
    /* one that has it all takes one call, although another stands first */
    check_calls("{\"lines\":[{\"sku\":\"A\",\"quantity\":1},{\"sku\":\"B\",\"quantity\":1}]}",
                ORDER(""), orders,
                "[[" CALL_FO("2", CALL_LINE("12", "1") "," CALL_LINE("13", "1")) "]]");
    check_calls("{\"location_id\":9,\"lines\":[{\"sku\":\"A\",\"quantity\":1}]}", ORDER(""), orders,
                "[[" CALL_FO("2", CALL_LINE("12", "1")) "]]");
    check_calls("{\"fulfillment_order_id\":3}", ORDER(""), orders,
                "[[" CALL_FO("3", CALL_LINE("14", "1")) "]]");
}

/* ---- what the shop has of it already -------------------------------------------------------- */

static void what_a_fulfilment_of_its_number_holds_is_not_done_again(void **state)
{
    (void)state;
    /* all of it: whatever remains of the order is another shipment's */
    check(A_2, ORDER(SHIPPED("5", "SUCCESS", "9", NUMBER("jd 01"), HAS("A", "21", "2"))),
          FO("1", "9", LINE("11", "A", "21", "2")), SHIPMENT_DONE, "");
    /* one of two locations: the other one is left */
    check_calls(
        "{\"lines\":[{\"sku\":\"A\",\"quantity\":1},{\"sku\":\"B\",\"quantity\":1}]" TRACKED "}",
        ORDER(SHIPPED("5", "SUCCESS", "8", NUMBER("JD01"), HAS("A", "21", "1"))),
        FO("1", "8", LINE("11", "A", "21", "3")) "," FO("2", "9", LINE("12", "B", "22", "1")),
        "[[" CALL_FO("2", CALL_LINE("12", "1")) "]]");
    /* a cancelled one does not count */
    check_calls(A_2, ORDER(SHIPPED("5", "CANCELLED", "9", NUMBER("JD01"), HAS("A", "21", "2"))),
                FO("1", "9", LINE("11", "A", "21", "2")),
                "[[" CALL_FO("1", CALL_LINE("11", "2")) "]]");
    /* the same parcel by the ids of the fulfillment order's lines */
    check("{\"lines\":[{\"fulfillment_order_line_item_id\":11,\"quantity\":2}]" TRACKED "}",
          ORDER(SHIPPED("5", "SUCCESS", "9", NUMBER("JD01"), HAS("A", "21", "2"))),
          FO_AS("1", "CLOSED", "UNSUBMITTED", "EXTERNAL", "9", "", LINE("11", "A", "21", "0")),
          SHIPMENT_DONE, "");
    /* all that remained then is not all that remains now */
    check("{\"order_id\":1" TRACKED "}",
          ORDER(SHIPPED("5", "SUCCESS", "9", NUMBER("JD01"), HAS("A", "21", "2"))),
          FO("1", "9", LINE("11", "B", "22", "2")), SHIPMENT_DONE, "");
}

static void a_further_number_of_the_same_parcels_is_added(void **state)
{
    json_t *keep;
    struct shipment_plan p = plan(
        "{\"lines\":[{\"sku\":\"A\",\"quantity\":2}],\"tracking\":{\"numbers\":[\"JD01\",\"JD02\"]}}",
        ORDER(SHIPPED("5", "SUCCESS", "9", NUMBER("JD01"), HAS("A", "21", "2"))),
        FO("1", "9", LINE("11", "A", "21", "0")), &usual, &keep);

    (void)state;
    CHECK_EQ(p.next, SHIPMENT_TRACKING);
    CHECK_STR(p.fulfillment, "gid://shopify/Fulfillment/5");
    shipment_plan_finish(&p);
    json_decref(keep);
}

static void without_a_number_it_is_found_by_its_lines_and_only_once_it_was_sent(void **state)
{
    const char *body = "{\"lines\":[{\"sku\":\"A\",\"quantity\":1}]}";
    const char *order = ORDER(SHIPPED("5", "SUCCESS", "9", "", HAS("A", "21", "1")));
    const char *orders = FO("1", "9", LINE("11", "A", "21", "1"));
    struct shipment_rules sent = usual;

    (void)state;
    check_calls(body, order, orders, "[[" CALL_FO("1", CALL_LINE("11", "1")) "]]");
    sent.since = "2026-11-20T09:19:00.000Z";
    check_ruled(body, order, orders, &sent, SHIPMENT_DONE, "");
    sent.since = "2026-11-20T09:21:00.000Z"; /* that one is older than the first attempt */
    check_ruled(body, order, orders, &sent, SHIPMENT_CREATE, "");
    sent.since = "2026-11-20T09:19:00.000Z"; /* other lines: another parcel */
    check_ruled("{\"lines\":[{\"sku\":\"A\",\"quantity\":2}]}", order,
                FO("1", "9", LINE("11", "A", "21", "2")), &sent, SHIPMENT_CREATE, "");
}

static void what_was_fulfilled_by_hand_gets_the_tracking_or_a_person_is_asked(void **state)
{
    const char *closed = FO_AS("1", "CLOSED", "UNSUBMITTED", "EXTERNAL", "9", "",
                               LINE("11", "A", "21", "0"));
    const char *other = ORDER(SHIPPED("5", "SUCCESS", "9", NUMBER("XX9"), HAS("A", "21", "2")));
    struct shipment_rules rules = usual;

    (void)state;
    check(A_2, ORDER(SHIPPED("5", "SUCCESS", "9", "", HAS("A", "21", "2"))), closed,
          SHIPMENT_TRACKING, "");
    check(A_2, other, closed, SHIPMENT_ASK,
          "lines[0] (SKU A) is fulfilled already, by #1042-F5 (gid://shopify/Fulfillment/5) with "
          "the tracking XX9 and not JD01");
    rules.other_number = "update";
    check_ruled(A_2, other, closed, &rules, SHIPMENT_TRACKING, "");
    rules.other_number = "keep";
    check_ruled(A_2, other, closed, &rules, SHIPMENT_DONE, "");
    rules.other_number = "review";
    rules.choice = "update";
    check_ruled(A_2, other, closed, &rules, SHIPMENT_TRACKING, "");
    /* fulfilled in two parcels by hand: nobody can tell which one it is */
    check(A_2,
          ORDER(SHIPPED("5", "SUCCESS", "9", "", HAS("A", "21", "1")) "," SHIPPED(
              "6", "SUCCESS", "9", "", HAS("A", "21", "1"))),
          closed, SHIPMENT_ASK,
          "lines[0] (SKU A): nothing of it remains to be fulfilled, and no single fulfilment has "
          "just these lines: were they refunded, or fulfilled by hand?");
}

/* ---- what cannot be ------------------------------------------------------------------------ */

static void an_order_without_fulfillment_orders_is_asked_for_soon(void **state)
{
    json_t *keep;
    struct shipment_plan p = plan(A_2, ORDER(""), "", &usual, &keep);

    (void)state;
    CHECK_EQ(p.next, SHIPMENT_WAIT);
    CHECK_EQ(p.after_ms, 5000);
    CHECK_STR(p.why, "the order has no fulfillment orders yet: its routing is not finished");
    shipment_plan_finish(&p);
    json_decref(keep);
}

static void a_cancelled_order_is_refused_although_much_remains(void **state)
{
    (void)state;
    check(A_2, "{\"cancelledAt\":\"2026-11-20T09:15:32Z\",\"fulfillments\":[]}",
          FO_AS("1", "CLOSED", "UNSUBMITTED", "EXTERNAL", "9", "", LINE("11", "A", "21", "2")),
          SHIPMENT_REFUSED,
          "the order was cancelled at 2026-11-20T09:15:32Z: nothing of it can be fulfilled. Stop "
          "the parcel, or take it back as a return");
}

static void a_hold_is_asked_about_or_waited_for(void **state)
{
    struct shipment_rules rules = usual;
    const char *orders = FO("1", "9", LINE("11", "A", "21", "1")) "," FO_AS(
        "2", "ON_HOLD", "UNSUBMITTED", "RELEASE_HOLD", "9",
        "{\"reason\":\"HIGH_RISK_OF_FRAUD\",\"reasonNotes\":\"ask Ada\",\"heldByRequestingApp\":false}",
        LINE("12", "A", "21", "1"));

    (void)state;
    check(A_2, ORDER(""), orders, SHIPMENT_ASK,
          "lines[0] (SKU A): gid://shopify/FulfillmentOrder/2 is on hold (HIGH_RISK_OF_FRAUD, by "
          "another app or the staff: ask Ada): release it in the shop, then release this");
    rules.wait_on_hold = 1;
    check_ruled(A_2, ORDER(""), orders, &rules, SHIPMENT_WAIT,
                "lines[0] (SKU A): gid://shopify/FulfillmentOrder/2 is on hold "
                "(HIGH_RISK_OF_FRAUD, by another app or the staff: ask Ada); it is tried again "
                "once it is released");
    /* all that remains: what is held back is in the parcel, too */
    check("{\"order_id\":1}", ORDER(""), orders, SHIPMENT_ASK,
          "the order: gid://shopify/FulfillmentOrder/2 is on hold (HIGH_RISK_OF_FRAUD, by another "
          "app or the staff: ask Ada): release it in the shop, then release this");
    /* what is open suffices */
    check_calls("{\"lines\":[{\"sku\":\"A\",\"quantity\":1}]}", ORDER(""), orders,
                "[[" CALL_FO("1", CALL_LINE("11", "1")) "]]");
}

static void what_else_keeps_a_fulfillment_order_back_is_named(void **state)
{
    (void)state;
    check(
        A_2, ORDER(""),
        FO_AS("1", "SCHEDULED", "UNSUBMITTED", "MARK_AS_OPEN", "9", "", LINE("11", "A", "21", "2")),
        SHIPMENT_ASK,
        "lines[0] (SKU A): gid://shopify/FulfillmentOrder/1 is scheduled for "
        "2026-12-01T00:00:00Z: mark it as open in the shop, then release this");
    check(A_2, ORDER(""),
          FO_AS("1", "OPEN", "SUBMITTED", "EXTERNAL", "9", "", LINE("11", "A", "21", "2")),
          SHIPMENT_WAIT,
          "lines[0] (SKU A): the request to fulfil gid://shopify/FulfillmentOrder/1 was submitted "
          "and is not accepted yet: fulfillment_order.accept_request comes first");
    check(A_2, ORDER(""),
          FO_AS("1", "IN_PROGRESS", "CANCELLATION_REQUESTED", "EXTERNAL", "9", "",
                LINE("11", "A", "21", "2")),
          SHIPMENT_ASK,
          "lines[0] (SKU A): the merchant asks to cancel gid://shopify/FulfillmentOrder/1, and it "
          "has been shipped: fulfillment_order.reject_cancellation comes first");
    check(A_2, ORDER(""),
          FO_AS("1", "OPEN", "UNSUBMITTED", "MOVE", "9", "", LINE("11", "A", "21", "2")),
          SHIPMENT_ASK,
          "lines[0] (SKU A): the shop does not let this app fulfil "
          "gid://shopify/FulfillmentOrder/1 (OPEN, UNSUBMITTED; it supports: MOVE). Is it another "
          "app's fulfillment service, or a scope that is missing?");
}

static void a_line_that_the_order_has_not_and_more_than_remains_are_told_apart(void **state)
{
    const char *orders = FO("1", "9", LINE("11", "A", "21", "1") "," LINE("12", "", "22", "1"));
    struct shipment_rules rest = usual;

    (void)state;
    check("{\"lines\":[{\"sku\":\"A\",\"quantity\":1},{\"sku\":\"Z\",\"quantity\":1}]}", ORDER(""),
          orders, SHIPMENT_REFUSED,
          "lines[1] (SKU Z): the order has no such line; it has A, (no SKU)");
    check(A_2, ORDER(""), orders, SHIPMENT_ASK,
          "lines[0] (SKU A): 2 were shipped, and 1 remain to be fulfilled: were they refunded, or "
          "fulfilled by hand?");
    rest.choice = "rest";
    check_ruled(A_2, ORDER(""), orders, &rest, SHIPMENT_CREATE, "");
    check("{\"location_id\":7,\"lines\":[{\"sku\":\"A\",\"quantity\":1}]}", ORDER(""), orders,
          SHIPMENT_REFUSED, "the order has no fulfillment order gid://shopify/Location/7");
}

/* ---- tracking ------------------------------------------------------------------------------ */

static void check_tracking(const char *body, const char *want)
{
    json_t *b = parsed(body), *carriers = parsed("{\"PAKET\":\"dhl\",\"Own\":\"Byron's van\"}");
    json_t *input = tracking_input(b, carriers);
    char *text = json_dumps(input, JSON_COMPACT);

    CHECK_STR(text, want);
    free(text);
    json_decref(input);
    json_decref(carriers);
    json_decref(b);
}

static void a_company_is_spelt_as_the_shop_knows_it_or_as_it_was_said(void **state)
{
    (void)state;
    CHECK_STR(carrier_name("dhl express"), "DHL Express");
    CHECK_STR(carrier_name("UPSN"), "UPS");
    CHECK(!carrier_name("CJPacket"));
    check_tracking("{\"tracking\":{\"company\":\"PAKET\",\"number\":\"1\"}}",
                   "{\"company\":\"DHL\",\"number\":\"1\"}");
    check_tracking(
        "{\"tracking\":{\"company\":\"Own\",\"numbers\":[\"1\"],\"url\":\"https://b/1\"}}",
        "{\"company\":\"Byron's van\",\"number\":\"1\",\"url\":\"https://b/1\"}");
    check_tracking(
        "{\"tracking\":{\"company\":\"CJPacket\",\"numbers\":[\"1\",\"2\"],"
        "\"urls\":[\"https://b/1\",\"https://b/2\"]}}",
        "{\"company\":\"CJPacket\",\"numbers\":[\"1\",\"2\"],"
        "\"urls\":[\"https://b/1\",\"https://b/2\"]}");
    check_tracking("{}", "{}");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(lines_are_found_by_sku_by_the_orders_line_and_by_their_own_id),
        cmocka_unit_test(one_sku_of_two_lines_is_taken_from_both),
        cmocka_unit_test(each_location_is_a_call_of_its_own),
        cmocka_unit_test(what_a_fulfilment_of_its_number_holds_is_not_done_again),
        cmocka_unit_test(a_further_number_of_the_same_parcels_is_added),
        cmocka_unit_test(without_a_number_it_is_found_by_its_lines_and_only_once_it_was_sent),
        cmocka_unit_test(what_was_fulfilled_by_hand_gets_the_tracking_or_a_person_is_asked),
        cmocka_unit_test(an_order_without_fulfillment_orders_is_asked_for_soon),
        cmocka_unit_test(a_cancelled_order_is_refused_although_much_remains),
        cmocka_unit_test(a_hold_is_asked_about_or_waited_for),
        cmocka_unit_test(what_else_keeps_a_fulfillment_order_back_is_named),
        cmocka_unit_test(a_line_that_the_order_has_not_and_more_than_remains_are_told_apart),
        cmocka_unit_test(a_company_is_spelt_as_the_shop_knows_it_or_as_it_was_said),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
