/*
 * test_shopify_fulfillment_orders.c - fulfillment orders are held, released, moved, split and asked
 * for: by what the shop says it supports, once, and never what is another app's.
 */
#include "shopify_deeds.h"

#include <stdio.h>
#include <string.h>

#define FO_ID(id) "gid://shopify/FulfillmentOrder/" id
#define HOLD_OF(id, handle, ours)                                           \
    "{\"id\":\"gid://shopify/FulfillmentHold/" id "\",\"handle\":\"" handle \
    "\",\"heldByRequestingApp\":" ours "}"
#define LINE(id, sku, n)                                                       \
    "{\"id\":\"gid://shopify/FulfillmentOrderLineItem/" id "\",\"sku\":\"" sku \
    "\",\"remainingQuantity\":" n ",\"lineItem\":{\"id\":\"gid://shopify/LineItem/2" id "\"}}"
#define FO(id, status, request, actions, location, holds, lines)                              \
    "{\"id\":\"" FO_ID(                                                                       \
        id) "\",\"status\":\"" status "\",\"requestStatus\":\"" request                       \
            "\",\"updatedAt\":\"2026-11-20T09:00:00Z\",\"supportedActions\":[" actions        \
            "],\"assignedLocation\":{\"location\":{\"id\":\"gid://shopify/Location/" location \
            "\"}},\"fulfillmentHolds\":[" holds "],\"lineItems\":{\"nodes\":[" lines "]}}"
#define ACTION(name) "{\"action\":\"" name "\"}"
#define OPEN(id)     FO(id, "OPEN", "UNSUBMITTED", ACTION("HOLD") "," ACTION("MOVE"), "8", "", "")
#define ONE(it)      DATA("\"fulfillmentOrder\":" it)
#define ALL(them)                                                                              \
    DATA("\"order\":{\"id\":\"gid://shopify/Order/1\",\"fulfillmentOrders\":{\"nodes\":[" them \
         "],\"pageInfo\":{\"hasNextPage\":false}}}")
#define DONE(root) \
    DATA("\"" root "\":{\"fulfillmentOrder\":{\"id\":\"" FO_ID("1") "\"},\"userErrors\":[]}")
#define REFUSED(root, code, text)                                                    \
    DATA("\"" root "\":{\"fulfillmentOrder\":null,\"userErrors\":[{\"code\":\"" code \
         "\",\"field\":null,\"message\":\"" text "\"}]}")
#define HELD                                                                                          \
    DATA(                                                                                             \
        "\"fulfillmentOrderHold\":{\"fulfillmentHold\":{\"id\":\"gid://shopify/FulfillmentHold/7\"}," \
        "\"fulfillmentOrder\":{\"id\":\"" FO_ID(                                                      \
            "1") "\"},\"remainingFulfillmentOrder\":{\"id\":\"" FO_ID("9") "\"},\"userErrors\":[]}")

/* ---- hold ---------------------------------------------------------------------------------- */

static void a_hold_has_a_handle_and_is_made_once(void **state)
{
    struct deed_rig *x = *state;
    const struct fake_outcome *o;

    deed_take_action(x, "fulfillment_order.hold",
                     (const struct fake_setting[]){ { "handle", "fraud" }, { 0 } });
    deed_expect(x, ONE(OPEN("1")));
    deed_expect(x, HELD);
    o = deed_run(x,
                 "{\"fulfillment_order_id\":1,\"reason\":\"HIGH_RISK_OF_FRAUD\",\"notes\":\"n\"}");
    CHECK_EQ(o->kind, SL_DELIVERED);
    CHECK_STR(deed_variables(x),
              "{\"id\":\"" FO_ID("1") "\",\"hold\":{\"reason\":\"HIGH_RISK_OF_FRAUD\","
              "\"handle\":\"fraud\",\"reasonNotes\":\"n\"}}}");
    CHECK_STR(o->link_id[1], "gid://shopify/FulfillmentHold/7");
    CHECK_STR(o->link_id[2], FO_ID("9"));
    /* our own hold of this handle is there; another app's of the same name is not ours */
    deed_expect(x, ONE(FO("1", "ON_HOLD", "UNSUBMITTED", ACTION("HOLD"), "8",
                          HOLD_OF("6", "fraud", "false") "," HOLD_OF("7", "fraud", "true"), "")));
    CHECK_EQ(deed_run(x, "{\"fulfillment_order_id\":1}")->kind, SL_DELIVERED);
    deed_expect(x, ONE(FO("1", "ON_HOLD", "UNSUBMITTED", ACTION("HOLD"), "8",
                          HOLD_OF("6", "fraud", "false"), "")));
    deed_expect(x, REFUSED("fulfillmentOrderHold", "DUPLICATE_FULFILLMENT_HOLD_HANDLE", "Dup"));
    deed_expect(x, ONE(FO("1", "ON_HOLD", "UNSUBMITTED", ACTION("HOLD"), "8",
                          HOLD_OF("6", "fraud", "true"), "")));
    CHECK_EQ(deed_run(x, "{\"fulfillment_order_id\":1}")->kind, SL_DELIVERED);
}

static void all_of_an_order_are_held_each_by_a_call(void **state)
{
    struct deed_rig *x = *state;
    const struct fake_outcome *o;

    deed_take_action(x, "fulfillment_order.hold", NULL);
    deed_expect(x,
                ALL(OPEN("1") "," FO("2", "CLOSED", "UNSUBMITTED", "", "8", "", "") "," OPEN("3")));
    deed_expect(x, HELD);
    deed_expect(x, HELD);
    o = deed_run(x, "{}");
    CHECK_EQ(o->kind, SL_DELIVERED);
    CHECK_STR(deed_variables(x), "{\"id\":\"" FO_ID("3") "\",\"hold\":{\"reason\":\"OTHER\","
                                 "\"handle\":\"sluice-" DEED_KEY "\"}}}");
    /* the second answer is lost: the first hold is there, the rest goes again and nowhere else */
    deed_expect(x, ALL(FO("1", "ON_HOLD", "UNSUBMITTED", ACTION("HOLD"), "8",
                          HOLD_OF("7", "sluice-" DEED_KEY, "true"), "") "," OPEN("3")));
    CHECK_EQ(deed_asked(x, "{}", 61000)->verdict, SL_CONFIRM_AGAIN);
    x->first_ms = 0;
    deed_expect(x, ALL(FO("2", "CLOSED", "CLOSED", "", "8", "", "")));
    o = deed_run(x, "{}");
    CHECK_EQ(o->kind, SL_REJECTED);
    CHECK_STR(o->why,
              FO_ID("2") " is CLOSED, CLOSED: it cannot be held (the shop supports: nothing)");
    deed_expect(x, ALL(""));
    o = deed_run(x, "{}");
    CHECK_EQ(o->kind, SL_RETRY);
    CHECK_EQ(o->after_ms, 5000);
}

static void lines_are_held_of_one_that_has_them(void **state)
{
    struct deed_rig *x = *state;
    const char *body = "{\"fulfillment_order_id\":1,\"lines\":[{\"sku\":\"A\",\"quantity\":2}]}";

    deed_take_action(x, "fulfillment_order.hold", NULL);
    deed_expect(x, ONE(FO("1", "OPEN", "UNSUBMITTED", ACTION("HOLD"), "8", "",
                          LINE("1", "A", "1") "," LINE("2", "A", "5"))));
    deed_expect(x, HELD);
    CHECK_EQ(deed_run(x, body)->kind, SL_DELIVERED);
    CHECK_HAS(
        deed_variables(x),
        "\"fulfillmentOrderLineItems\":[{\"id\":\"gid://shopify/FulfillmentOrderLineItem/1\","
        "\"quantity\":1},{\"id\":\"gid://shopify/FulfillmentOrderLineItem/2\",\"quantity\":1}]");
    deed_expect(x,
                ONE(FO("1", "OPEN", "UNSUBMITTED", ACTION("HOLD"), "8", "", LINE("1", "A", "1"))));
    CHECK_STR(deed_run(x, body)->why, "lines[0] (A): " FO_ID("1") " has 1 of 2 that are asked for");
    /* what was not read is not said to be lacking */
    deed_expect(x, ONE(FO("1", "OPEN", "UNSUBMITTED", ACTION("HOLD"), "8", "",
                          LINE("1", "A", "1") "],\"pageInfo\":{\"hasNextPage\":true},\"-\":[")));
    CHECK_STR(deed_run(x, body)->why,
              "lines[0] (A): " FO_ID("1") " has more than 250 lines, of which no more are read: do "
                                          "it in the shop");
    deed_expect(x,
                ONE(FO("1", "OPEN", "UNSUBMITTED", ACTION("HOLD"), "8", "", LINE("1", "A", "2"))));
    deed_expect(x, REFUSED("fulfillmentOrderHold", "FULFILLMENT_ORDER_NOT_SPLITTABLE", "No"));
    CHECK_STR(deed_run(x, body)->why,
              "No - lines: it is held already, and so cannot be held in part");
    deed_expect(x, ONE(OPEN("1")));
    deed_expect(x, REFUSED("fulfillmentOrderHold", "FULFILLMENT_ORDER_HOLD_LIMIT_REACHED", "Ten"));
    CHECK_EQ(deed_run(x, "{\"fulfillment_order_id\":1}")->kind, SL_REVIEW);
}

/* ---- release ------------------------------------------------------------------------------- */

static void only_own_holds_are_released_and_always_by_their_ids(void **state)
{
    struct deed_rig *x = *state;

    deed_take_action(x, "fulfillment_order.release", NULL);
    deed_expect(x, ONE(FO("1", "ON_HOLD", "UNSUBMITTED", ACTION("RELEASE_HOLD"), "8",
                          HOLD_OF("5", "a", "true") "," HOLD_OF("6", "b", "false") "," HOLD_OF(
                              "7", "c", "true"),
                          "")));
    deed_expect(x, DONE("fulfillmentOrderReleaseHold"));
    CHECK_EQ(deed_run(x, "{\"fulfillment_order_id\":1}")->kind, SL_DELIVERED);
    CHECK_STR(deed_variables(x),
              "{\"id\":\"" FO_ID("1") "\",\"holds\":[\"gid://shopify/FulfillmentHold/5\","
              "\"gid://shopify/FulfillmentHold/7\"]}}");
    deed_expect(x, ONE(FO("1", "ON_HOLD", "UNSUBMITTED", ACTION("RELEASE_HOLD"), "8",
                          HOLD_OF("5", "a", "true") "," HOLD_OF("7", "c", "true"), "")));
    deed_expect(x, DONE("fulfillmentOrderReleaseHold"));
    deed_run(x, "{\"fulfillment_order_id\":1,\"handle\":\"c\"}");
    CHECK_HAS(deed_variables(x), "\"holds\":[\"gid://shopify/FulfillmentHold/7\"]");
    /* another's alone: nothing is asked for */
    deed_expect(x, ONE(FO("1", "ON_HOLD", "UNSUBMITTED", ACTION("RELEASE_HOLD"), "8",
                          HOLD_OF("6", "b", "false"), "")));
    CHECK_EQ(deed_run(x, "{\"fulfillment_order_id\":1}")->kind, SL_DELIVERED);
    CHECK_EQ(fake_host_requests(x->host), 5);
}

/* ---- move and split ------------------------------------------------------------------------ */

#define MOVE "{\"fulfillment_order_id\":1,\"new_location_id\":9}"

static void what_is_moved_is_moved_once_and_not_away_from_a_service(void **state)
{
    struct deed_rig *x = *state;
    const struct fake_outcome *o;

    deed_take_action(x, "fulfillment_order.move", NULL);
    deed_expect(x, ONE(OPEN("1")));
    deed_expect(x, DATA("\"fulfillmentOrderMove\":{\"movedFulfillmentOrder\":{\"id\":\"" FO_ID(
                       "4") "\"},\"userErrors\":[]}"));
    o = deed_run(x, MOVE);
    CHECK_EQ(o->kind, SL_DELIVERED);
    CHECK_STR(o->link_id[1], FO_ID("4"));
    CHECK_STR(deed_variables(x),
              "{\"id\":\"" FO_ID("1") "\",\"to\":\"gid://shopify/Location/9\"}}");
    deed_expect(x, ONE(FO("1", "OPEN", "UNSUBMITTED", ACTION("MOVE"), "9", "", "")));
    CHECK_EQ(deed_run(x, MOVE)->kind, SL_DELIVERED);
    deed_expect(x, ONE(OPEN("1")));
    deed_expect(x, DATA("\"fulfillmentOrderMove\":{\"userErrors\":[{\"field\":[\"id\"],\"message\":"
                        "\"Cannot move submitted fulfillment order that is at a 3PL fulfillment "
                        "service.\"}]}"));
    o = deed_run(x, MOVE);
    CHECK_EQ(o->kind, SL_REVIEW);
    CHECK_HAS(o->why, "fulfillment_order.submit_cancellation comes first");
    deed_expect(
        x, ONE(FO("1", "IN_PROGRESS", "ACCEPTED", ACTION("REQUEST_CANCELLATION"), "8", "", "")));
    o = deed_run(x, MOVE);
    CHECK_EQ(o->kind, SL_REVIEW);
    CHECK_STR(o->why, FO_ID("1") " is IN_PROGRESS, ACCEPTED: it cannot be moved (the shop supports: "
                                 "REQUEST_CANCELLATION)");
}

#define SPLIT      "{\"fulfillment_order_id\":1,\"lines\":[{\"line_item_id\":21,\"quantity\":1}]}"
#define SPLITTABLE FO("1", "OPEN", "UNSUBMITTED", ACTION("SPLIT"), "8", "", LINE("1", "A", "2"))

static void whether_a_split_was_done_is_seen_by_when_it_was_changed(void **state)
{
    struct deed_rig *x = *state;
    const struct fake_outcome *o;

    deed_take_action(x, "fulfillment_order.split", NULL);
    deed_expect(x, ONE(SPLITTABLE));
    deed_expect(x, DATA("\"fulfillmentOrderSplit\":{\"fulfillmentOrderSplits\":[{"
                        "\"fulfillmentOrder\":{\"id\":\"" FO_ID(
                            "1") "\"},"
                                 "\"remainingFulfillmentOrder\":{\"id\":\"" FO_ID(
                                     "5") "\"}}],"
                                          "\"userErrors\":[]}"));
    o = deed_run(x, SPLIT);
    CHECK_EQ(o->kind, SL_DELIVERED);
    CHECK_STR(o->link_id[1], FO_ID("5"));
    CHECK_STR(deed_variables(x),
              "{\"splits\":[{\"fulfillmentOrderId\":\"" FO_ID("1") "\",\"fulfillmentOrderLineItems\":"
              "[{\"id\":\"gid://shopify/FulfillmentOrderLineItem/1\",\"quantity\":1}]}]}}");
    /* not changed since 09:00: it was not split; changed since: nobody can tell */
    deed_expect(x, ONE(SPLITTABLE));
    CHECK_EQ(deed_asked(x, SPLIT, 61000)->verdict, SL_CONFIRM_NO);
    deed_expect(x, ONE(SPLITTABLE));
    CHECK_EQ(deed_asked(x, SPLIT, 1200000)->verdict, SL_CONFIRM_UNSURE);
    deed_expect(x, ONE(SPLITTABLE));
    o = deed_run(x, SPLIT);
    CHECK_EQ(o->kind, SL_REVIEW);
    CHECK_HAS(o->why, "look in the shop whether it was split");
}

/* ---- requests ------------------------------------------------------------------------------ */

static void check_request(struct deed_rig *x, const char *action, const char *from, const char *can,
                          const char *done, const char *root)
{
    char state_of[1024], answer[512];
    const struct fake_outcome *o;

    deed_take_action(x, action, NULL);
    snprintf(state_of, sizeof(state_of),
             ONE("{\"id\":\"" FO_ID("1") "\",\"status\":\"IN_PROGRESS\",\"requestStatus\":\"%s\","
                                         "\"supportedActions\":[{\"action\":\"%s\"}]}"),
             from, can);
    snprintf(answer, sizeof(answer),
             DATA("\"%s\":{\"fulfillmentOrder\":{\"id\":\"" FO_ID("1") "\"},\"userErrors\":[]}"),
             root);
    deed_expect(x, state_of);
    deed_expect(x, answer);
    o = deed_run(x, "{\"fulfillment_order_id\":1,\"message\":\"m\"}");
    if (o->kind != SL_DELIVERED)
        fail_msg("%s: %s", action, o->why);
    CHECK_HAS(deed_variables(x), "\"message\":\"m\"");
    snprintf(state_of, sizeof(state_of),
             ONE("{\"id\":\"" FO_ID("1") "\",\"status\":\"INCOMPLETE\",\"requestStatus\":\"%s\","
                                         "\"supportedActions\":[]}"),
             done);
    deed_expect(x, state_of);
    CHECK_EQ(deed_run(x, "{\"fulfillment_order_id\":1,\"message\":\"m\"}")->kind, SL_DELIVERED);
    snprintf(state_of, sizeof(state_of),
             ONE("{\"id\":\"" FO_ID("1") "\",\"status\":\"CLOSED\",\"requestStatus\":\"CLOSED\","
                                         "\"supportedActions\":[]}"));
    deed_expect(x, state_of);
    o = deed_run(x, "{\"fulfillment_order_id\":1,\"message\":\"m\"}");
    CHECK(o->kind == SL_REJECTED || o->kind == SL_REVIEW);
    CHECK_HAS(o->why, "is CLOSED, CLOSED: it cannot be ");
}

static void requests_are_made_and_answered_once(void **state)
{
    struct deed_rig *x = *state;

    check_request(x, "fulfillment_order.submit_request", "UNSUBMITTED", "REQUEST_FULFILLMENT",
                  "SUBMITTED", "fulfillmentOrderSubmitFulfillmentRequest");
    check_request(x, "fulfillment_order.submit_cancellation", "ACCEPTED", "REQUEST_CANCELLATION",
                  "CANCELLATION_REQUESTED", "fulfillmentOrderSubmitCancellationRequest");
    check_request(x, "fulfillment_order.accept_request", "SUBMITTED", "EXTERNAL", "ACCEPTED",
                  "fulfillmentOrderAcceptFulfillmentRequest");
    check_request(x, "fulfillment_order.reject_request", "SUBMITTED", "EXTERNAL", "REJECTED",
                  "fulfillmentOrderRejectFulfillmentRequest");
    check_request(x, "fulfillment_order.accept_cancellation", "CANCELLATION_REQUESTED", "EXTERNAL",
                  "CANCELLATION_ACCEPTED", "fulfillmentOrderAcceptCancellationRequest");
    check_request(x, "fulfillment_order.reject_cancellation", "ACCEPTED", "EXTERNAL",
                  "CANCELLATION_REJECTED", "fulfillmentOrderRejectCancellationRequest");
    check_request(x, "fulfillment_order.close", "ACCEPTED", "EXTERNAL", "CLOSED",
                  "fulfillmentOrderClose");
}

static void progress_is_reported_where_the_shop_supports_it(void **state)
{
    struct deed_rig *x = *state;

    deed_take_action(x, "fulfillment_order.report_progress", NULL);
    deed_expect(x, ONE(FO("1", "OPEN", "UNSUBMITTED", ACTION("REPORT_PROGRESS"), "8", "", "")));
    deed_expect(x, DONE("fulfillmentOrderReportProgress"));
    CHECK_EQ(deed_run(x, "{\"fulfillment_order_id\":1,\"notes\":\"packed\"}")->kind, SL_DELIVERED);
    CHECK_STR(deed_variables(x),
              "{\"id\":\"" FO_ID("1") "\",\"report\":{\"reasonNotes\":\"packed\"}}}");
    deed_expect(x, ONE(FO("1", "IN_PROGRESS", "UNSUBMITTED",
                          ACTION("MARK_AS_OPEN") "," ACTION("REPORT_PROGRESS"), "8", "", "")));
    CHECK_EQ(deed_run(x, "{\"fulfillment_order_id\":1}")->kind, SL_DELIVERED);
    deed_expect(x, ONE(OPEN("1")));
    CHECK_EQ(deed_run(x, "{\"fulfillment_order_id\":1}")->kind, SL_REJECTED);
}

static void an_id_that_the_shop_does_not_know_is_refused_by_name(void **state)
{
    struct deed_rig *x = *state;

    deed_take_action(x, "fulfillment_order.close", NULL);
    deed_expect(x, ONE("null"));
    CHECK_STR(
        deed_run(x, "{\"fulfillment_order_id\":1}")->why,
        "the shop has no " FO_ID("1") ", or the app may not see it: is it another service's?");
    deed_expect(x, ONE(FO("1", "IN_PROGRESS", "ACCEPTED", "", "8", "", "")));
    deed_expect(x, "{\"errors\":[{\"message\":\"Invalid id: " FO_ID("1") "\",\"extensions\":{"
                   "\"code\":\"RESOURCE_NOT_FOUND\"},\"path\":[\"fulfillmentOrderClose\"]}],"
                   "\"data\":{\"fulfillmentOrderClose\":null}}");
    const struct fake_outcome *o = deed_run(x, "{\"fulfillment_order_id\":1}");
    CHECK_EQ(o->kind, SL_REJECTED);
    CHECK_HAS(o->why, "Invalid id: " FO_ID("1"));
    deed_expect(x, ONE(FO("1", "IN_PROGRESS", "ACCEPTED", "", "8", "", "")));
    deed_expect(x, REFUSED("fulfillmentOrderClose", "",
                           "The fulfillment order's assigned fulfillment service must be of api "
                           "type"));
    CHECK_HAS(deed_run(x, "{\"fulfillment_order_id\":1}")->why, "of the merchant's own");
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, deeds_setup, deeds_teardown)
    const struct CMUnitTest tests[] = {
        TEST(a_hold_has_a_handle_and_is_made_once),
        TEST(all_of_an_order_are_held_each_by_a_call),
        TEST(lines_are_held_of_one_that_has_them),
        TEST(only_own_holds_are_released_and_always_by_their_ids),
        TEST(what_is_moved_is_moved_once_and_not_away_from_a_service),
        TEST(whether_a_split_was_done_is_seen_by_when_it_was_changed),
        TEST(requests_are_made_and_answered_once),
        TEST(progress_is_reported_where_the_shop_supports_it),
        TEST(an_id_that_the_shop_does_not_know_is_refused_by_name),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
