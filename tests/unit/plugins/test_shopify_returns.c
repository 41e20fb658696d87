/*
 * test_shopify_returns.c - returns are made, decided, processed and closed once; what can come back
 * is found by the order's lines; and tags, notes and their like.
 */
#include "shopify_deeds.h"

#include <stdio.h>
#include <string.h>

#define RETURN   "gid://shopify/Return/8"
#define SOON     "2026-11-20T09:15:33Z" /* of the fake's clock */
#define LONG_AGO "2026-11-19T09:15:33Z"

/* ---- return.create ------------------------------------------------------------------------- */

#define SHIPPED(id, line, sku)                                                \
    "\"fulfillmentLineItem\":{\"id\":\"gid://shopify/FulfillmentLineItem/" id \
    "\",\"lineItem\":"                                                        \
    "{\"id\":\"gid://shopify/LineItem/" line "\",\"sku\":\"" sku "\"}}"
#define CAN(n, id, line, sku) "{\"quantity\":" n "," SHIPPED(id, line, sku) "}"
#define RETURNABLE(returns, items, more, cursor)                                                        \
    DATA(                                                                                               \
        "\"order\":{\"id\":\"gid://shopify/Order/1\",\"returns\":{\"nodes\":[" returns                  \
        "]}},\"returnableFulfillments\":{\"nodes\":[{\"id\":\"gid://shopify/ReturnableFulfillment/1\"," \
        "\"returnableFulfillmentLineItems\":{\"nodes\":[" items                                         \
        "],\"pageInfo\":{\"hasNextPage\":false}}}],\"pageInfo\":{\"hasNextPage\":" more                 \
        ",\"endCursor\":" cursor "}}")
#define MADE(at, n)                                                  \
    "{\"id\":\"" RETURN "\",\"status\":\"OPEN\",\"createdAt\":\"" at \
    "\",\"returnLineItems\":{\"nodes\":[{\"quantity\":" n "," SHIPPED("21", "11", "A-1") "}]}}"
#define CREATED(root) \
    DATA("\"" root "\":{\"return\":{\"id\":\"" RETURN "\",\"status\":\"OPEN\"},\"userErrors\":[]}")
#define BACK                                                                               \
    "{\"order_id\":1,\"lines\":[{\"sku\":\"A-1\",\"quantity\":3,\"reason\":\"DEFECTIVE\"," \
    "\"note\":\"teeth\",\"restocking_fee_percentage\":\"12.5\"}]}"

static void what_comes_back_is_found_in_all_shipments_of_the_line(void **state)
{
    struct deed_rig *x = *state;

    deed_take_action(x, "return.create", NULL);
    deed_expect(x, RETURNABLE("", CAN("2", "21", "11", "A-1"), "true", "\"c\""));
    deed_expect(x, RETURNABLE("", CAN("5", "22", "12", "B") "," CAN("4", "23", "11", "A-1"),
                              "false", "null"));
    deed_expect(x, CREATED("returnCreate"));
    const struct fake_outcome *o = deed_run(x, BACK);

    CHECK_EQ(o->kind, SL_DELIVERED);
    CHECK_STR(o->reference, RETURN);
    CHECK_STR(o->link_kind[0], "return");
    CHECK_STR(deed_variables(x),
              "{\"returnInput\":{\"orderId\":\"gid://shopify/Order/1\",\"returnLineItems\":["
              "{\"fulfillmentLineItemId\":\"gid://shopify/FulfillmentLineItem/21\",\"quantity\":2,"
              "\"returnReason\":\"DEFECTIVE\",\"returnReasonNote\":\"teeth\","
              "\"restockingFee\":{\"percentage\":12.5}},"
              "{\"fulfillmentLineItemId\":\"gid://shopify/FulfillmentLineItem/23\",\"quantity\":1,"
              "\"returnReason\":\"DEFECTIVE\",\"returnReasonNote\":\"teeth\","
              "\"restockingFee\":{\"percentage\":12.5}}]}}}");
}

static void only_what_was_shipped_comes_back(void **state)
{
    struct deed_rig *x = *state;

    deed_take_action(x, "return.create", NULL);
    deed_expect(x, RETURNABLE("", CAN("2", "21", "11", "A-1"), "false", "null"));
    const struct fake_outcome *o = deed_run(x, BACK);

    CHECK_EQ(o->kind, SL_REJECTED);
    CHECK_STR(o->why,
              "lines[0].quantity: 3 wanted, 2 can come back: only what was shipped, and is "
              "in no other return");
}

static void a_line_wants_its_reason(void **state)
{
    static const char *const actions[] = { "return.create", "return.request" };
    struct deed_rig *x = *state;

    for (size_t i = 0; i < 2; i++) {
        deed_take_action(x, actions[i], NULL);
        const struct fake_outcome *o = deed_run(
            x, "{\"order_id\":1,\"lines\":[{\"sku\":\"A-1\",\"quantity\":1}]}");

        CHECK_EQ(o->kind, SL_REJECTED); /* the shop was not asked */
        CHECK_STR(o->why, "lines[0]: it wants one of reason|reason_definition_id");
    }
}

static void what_is_asked_is_as_urgent_as_its_delivery(void **state)
{
    struct deed_rig *x = *state;

    deed_take_action(x, "return.create", NULL);
    x->priority = SL_PRIORITY_HIGH;
    deed_expect(x, RETURNABLE("", CAN("4", "21", "11", "A-1"), "false", "null"));
    deed_expect(x, CREATED("returnCreate"));
    CHECK_EQ(deed_run(x, BACK)->kind, SL_DELIVERED);
    CHECK_EQ(fake_host_priorities(x->host), 1u << SL_PRIORITY_HIGH);
}

static void a_return_whose_answer_was_lost_is_found_by_its_lines(void **state)
{
    struct deed_rig *x = *state;
    const struct fake_confirmed *c;

    deed_take_action(x, "return.create", NULL);
    deed_expect(x, RETURNABLE("", CAN("4", "21", "11", "A-1"), "false", "null"));
    deed_expect_torn(x);
    CHECK_EQ(deed_run(x, BACK)->kind, SL_UNKNOWN);
    deed_expect(x, RETURNABLE(MADE(SOON, "3"), CAN("1", "21", "11", "A-1"), "false", "null"));
    c = deed_asked(x, BACK, 5000);
    CHECK_EQ(c->verdict, SL_CONFIRM_YES);
    CHECK_STR(c->outcome.reference, RETURN);
    /* of yesterday, or of other quantities: not this one */
    deed_expect(x, RETURNABLE(MADE(LONG_AGO, "3") "," MADE(SOON, "2"), "", "false", "null"));
    CHECK_EQ(deed_asked(x, BACK, 5000)->verdict, SL_CONFIRM_EARLY);
    deed_expect(x, RETURNABLE(MADE(LONG_AGO, "3"), "", "false", "null"));
    CHECK_EQ(deed_asked(x, BACK, 70000)->verdict, SL_CONFIRM_NO);
    /* sent again, it is looked for once more */
    deed_expect(x, RETURNABLE(MADE(SOON, "3"), "", "false", "null"));
    CHECK_EQ(deed_run(x, BACK)->kind, SL_DELIVERED);
}

static void a_return_that_is_requested_has_its_own_input(void **state)
{
    struct deed_rig *x = *state;

    deed_take_action(x, "return.request", NULL);
    deed_expect(x, RETURNABLE("", CAN("4", "21", "11", "A-1"), "false", "null"));
    deed_expect(x, CREATED("returnRequest"));
    deed_run(
        x,
        "{\"order_id\":1,\"lines\":[{\"line_item_id\":11,\"quantity\":1,"
        "\"reason\":\"OTHER\",\"customer_note\":\"too big\"}],\"shipping_fee\":{\"amount\":\"4.90\","
        "\"currency\":\"EUR\"}}");
    CHECK_STR(deed_variables(x),
              "{\"input\":{\"orderId\":\"gid://shopify/Order/1\",\"returnShippingFee\":{\"amount\":"
              "{\"amount\":\"4.90\",\"currencyCode\":\"EUR\"}},\"returnLineItems\":["
              "{\"fulfillmentLineItemId\":\"gid://shopify/FulfillmentLineItem/21\",\"quantity\":1,"
              "\"returnReason\":\"OTHER\",\"customerNote\":\"too big\"}]}}}");
}

/* ---- states -------------------------------------------------------------------------------- */

#define IS(status) DATA("\"return\":{\"id\":\"" RETURN "\",\"status\":\"" status "\"}")
#define DECIDED(root, status)                                                   \
    DATA("\"" root "\":{\"return\":{\"id\":\"" RETURN "\",\"status\":\"" status \
         "\"},\"userErrors\":[]}")
#define NOT_SO(root, code, text)                                           \
    DATA("\"" root "\":{\"return\":null,\"userErrors\":[{\"code\":\"" code \
         "\",\"field\":[\"input\","                                        \
         "\"id\"],\"message\":\"" text "\"}]}")

static void a_state_that_is_reached_already_is_done(void **state)
{
    struct deed_rig *x = *state;
    static const struct {
        const char *action, *refused, *is;
    } rows[] = {
        { "return.approve",
          NOT_SO("returnApproveRequest", "INVALID_STATE",
                 "Return is not approvable. Only returns with status REQUESTED can be approved."),
          IS("OPEN") },
        { "return.close", NOT_SO("returnClose", "INVALID_STATE", "Return status is invalid."),
          IS("CLOSED") },
        { "return.reopen", NOT_SO("returnReopen", "INVALID_STATE", "Return status is invalid."),
          IS("OPEN") },
        { "return.cancel", NOT_SO("returnCancel", "INVALID_STATE", "Return status is invalid."),
          IS("CANCELED") },
    };

    for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
        deed_take_action(x, rows[i].action, NULL);
        deed_expect(x, rows[i].refused);
        deed_expect(x, rows[i].is);
        CHECK_EQ(deed_run(x, "{\"return_id\":8}")->kind, SL_DELIVERED);
        /* in another one it is refused */
        deed_expect(x, rows[i].refused);
        deed_expect(x, IS("DECLINED"));
        CHECK_EQ(deed_run(x, "{\"return_id\":8}")->kind, SL_REJECTED);
    }
}

static void a_decision_is_sent_and_looked_up_when_its_answer_is_lost(void **state)
{
    struct deed_rig *x = *state;

    deed_take_action(x, "return.decline", NULL);
    deed_expect(x, DECIDED("returnDeclineRequest", "DECLINED"));
    CHECK_EQ(deed_run(x, "{\"return_id\":\"8\",\"reason\":\"FINAL_SALE\",\"note\":\"n\"}")->kind,
             SL_DELIVERED);
    CHECK_STR(deed_variables(x), "{\"input\":{\"id\":\"" RETURN
                                 "\",\"declineReason\":\"FINAL_SALE\","
                                 "\"declineNote\":\"n\"}}}");
    deed_take_action(x, "return.approve", NULL);
    deed_expect_torn(x);
    CHECK_EQ(deed_run(x, "{\"return_id\":8}")->kind, SL_UNKNOWN);
    deed_expect(x, IS("REQUESTED"));
    CHECK_EQ(deed_asked(x, "{\"return_id\":8}", 1000)->verdict, SL_CONFIRM_EARLY);
    deed_expect(x, IS("CLOSED"));
    CHECK_EQ(deed_asked(x, "{\"return_id\":8}", 1000)->verdict, SL_CONFIRM_YES);
    deed_expect(x, NOT_SO("returnApproveRequest", "NOT_FOUND", "Return not found."));
    x->first_ms = 0;
    CHECK_STR(deed_run(x, "{\"return_id\":9}")->why,
              "id: Return not found. - return_id: the shop has no such return");
}

/* ---- return.process ------------------------------------------------------------------------ */

#define PUT(n, type, at)                                                                         \
    "{\"id\":\"gid://shopify/D/1\",\"quantity\":" n ",\"type\":\"" type "\",\"createdAt\":\"" at \
    "\"}"
#define WITH(status, left, done, put) \
    DATA("\"return\":{\"id\":\"" RETURN "\",\"status\":\"" status                             \
         "\",\"order\":{\"id\":\"gid://shopify/Order/1\"},\"returnLineItems\":{\"nodes\":["   \
         "{\"id\":\"gid://shopify/ReturnLineItem/31\",\"processableQuantity\":" left          \
         ",\"processedQuantity\":" done "," SHIPPED("21", "11", "A-1")                        \
         "}],\"pageInfo\":{\"hasNextPage\":false,\"endCursor\":null}},"                       \
         "\"reverseFulfillmentOrders\":{\"nodes\":[{\"id\":\"gid://shopify/ReverseFulfillmentOrder/4\"," \
         "\"lineItems\":{\"nodes\":[{\"id\":\"gid://shopify/ReverseFulfillmentOrderLineItem/41\"," \
         "\"totalQuantity\":4,\"fulfillmentLineItem\":{\"id\":"                               \
         "\"gid://shopify/FulfillmentLineItem/21\"},\"dispositions\":[" put "]}]}}]}}")
#define PROCESSED DECIDED("returnProcess", "OPEN")
#define SUGGESTED                                                                                      \
    DATA(                                                                                              \
        "\"order\":{\"id\":\"gid://shopify/Order/1\",\"suggestedRefund\":{\"suggestedTransactions\":[" \
        "{\"parentTransaction\":{\"id\":\"gid://shopify/OrderTransaction/3\"},\"amountSet\":"          \
        "{\"presentmentMoney\":{\"amount\":\"19.9\",\"currencyCode\":\"EUR\"}}}]}}")
#define TWO                                                                                      \
    "{\"return_id\":8,\"lines\":[{\"sku\":\"A-1\",\"quantity\":2,\"disposition\":\"RESTOCKED\"," \
    "\"location_id\":7}],\"money\":\"suggested\",\"close\":true}"

static void what_came_back_is_put_away_paid_and_closed(void **state)
{
    struct deed_rig *x = *state;
    char sent[4096];

    deed_take_action(x, "return.process", NULL);
    deed_expect(x, WITH("OPEN", "4", "0", ""));
    deed_expect(x, SUGGESTED);
    deed_expect(x, PROCESSED);
    deed_expect(x, DECIDED("returnClose", "CLOSED"));
    CHECK_EQ(deed_run(x, TWO)->kind, SL_DELIVERED);
    CHECK_STR(x->done.token, "{\"v\":1}");
    CHECK_STR(deed_variables(x), "{\"id\":\"" RETURN "\"}}");
    /* what was sent, where it stays open */
    deed_expect(x, WITH("OPEN", "4", "0", ""));
    deed_expect(x, SUGGESTED);
    deed_expect(x, PROCESSED);
    snprintf(sent, sizeof(sent), "%.*s}", (int)(strstr(TWO, ",\"close\"") - TWO), TWO);
    CHECK_EQ(deed_run(x, sent)->kind, SL_DELIVERED);
    CHECK_STR(deed_variables(x),
              "{\"input\":{\"returnId\":\"" RETURN
              "\",\"returnLineItems\":[{\"id\":"
              "\"gid://shopify/ReturnLineItem/31\",\"quantity\":2,\"dispositions\":["
              "{\"reverseFulfillmentOrderLineItemId\":"
              "\"gid://shopify/ReverseFulfillmentOrderLineItem/41\",\"quantity\":2,"
              "\"dispositionType\":\"RESTOCKED\",\"locationId\":\"gid://shopify/Location/7\"}]}],"
              "\"financialTransfer\":{\"issueRefund\":{\"orderTransactions\":[{\"parentId\":"
              "\"gid://shopify/OrderTransaction/3\",\"transactionAmount\":{\"amount\":\"19.9\","
              "\"currencyCode\":\"EUR\"}}]}}}}}");
}

static void without_lines_all_of_it_is_processed(void **state)
{
    struct deed_rig *x = *state;
    static const struct fake_setting params[] = { { "disposition", "NOT_RESTOCKED" }, { 0 } };

    deed_take_action(x, "return.process", params);
    deed_expect(x, WITH("OPEN", "3", "1", PUT("1", "RESTOCKED", LONG_AGO)));
    deed_expect(x, PROCESSED);
    CHECK_EQ(deed_run(x, "{\"return_id\":8}")->kind, SL_DELIVERED);
    CHECK(strstr(deed_variables(x), "\"quantity\":3,\"dispositionType\":\"NOT_RESTOCKED\""));
    CHECK(!strstr(deed_variables(x), "financialTransfer")); /* no money unless it is said */
    deed_expect(x, WITH("OPEN", "0", "4", ""));
    CHECK_STR(deed_run(x, "{\"return_id\":8}")->why,
              "return_id: nothing of the return is left to process");
    deed_expect(x, WITH("REQUESTED", "4", "0", ""));
    CHECK_STR(deed_run(x, "{\"return_id\":8}")->why,
              "return_id: the return is REQUESTED: only one that is OPEN is processed; approve it "
              "first");
}

static void a_lost_processing_is_seen_by_what_was_put_where_since(void **state)
{
    struct deed_rig *x = *state;

    deed_take_action(x, "return.process", NULL);
    deed_expect(x, WITH("OPEN", "4", "0", ""));
    deed_expect(x, SUGGESTED);
    deed_expect_torn(x);
    CHECK_EQ(deed_run(x, TWO)->kind, SL_UNKNOWN);
    deed_expect(x, WITH("OPEN", "2", "2", PUT("2", "MISSING", SOON)));
    CHECK_EQ(deed_asked(x, TWO, 1000)->verdict, SL_CONFIRM_EARLY);
    /* it was: what is left is to close it, which another attempt does, and nothing else */
    deed_expect(x, WITH("OPEN", "2", "2", PUT("2", "RESTOCKED", SOON)));
    CHECK_EQ(deed_asked(x, TWO, 1000)->verdict, SL_CONFIRM_AGAIN);
    deed_expect(x, WITH("OPEN", "2", "2", PUT("2", "RESTOCKED", SOON)));
    deed_expect(x, DECIDED("returnClose", "CLOSED"));
    CHECK_EQ(deed_run(x, TWO)->kind, SL_DELIVERED);
    deed_expect(x, WITH("CLOSED", "2", "2", PUT("2", "RESTOCKED", SOON)));
    CHECK_EQ(deed_asked(x, TWO, 1000)->verdict, SL_CONFIRM_YES);
}

static void where_nothing_was_put_anywhere_a_person_is_asked(void **state)
{
    static const char body[] =
        "{\"return_id\":8,\"lines\":[{\"return_line_item_id\":31,\"quantity\":2}]}";
    struct deed_rig *x = *state;

    deed_take_action(x, "return.process", NULL);
    deed_expect(x, WITH("OPEN", "2", "2", ""));
    CHECK_EQ(deed_asked(x, body, 1000)->verdict, SL_CONFIRM_UNSURE);
    deed_expect(x, WITH("OPEN", "4", "0", ""));
    CHECK_EQ(deed_asked(x, body, 70000)->verdict, SL_CONFIRM_NO);
    deed_expect(x, WITH("OPEN", "1", "3", ""));
    CHECK_EQ(deed_asked(x, body, 1000)->verdict, SL_CONFIRM_YES);
}

static void a_restart_closes_what_was_processed(void **state)
{
    struct deed_rig *x = *state;

    deed_take_action(x, "return.process", NULL);
    deed_expect(x, NOT_SO("returnClose", "INVALID_STATE", "Return status is invalid."));
    deed_expect(x, IS("CLOSED"));
    CHECK_EQ(deed_go_on(x, TWO, "{\"v\":1}")->kind, SL_DELIVERED);
    deed_expect(x, NOT_SO("returnClose", "INVALID_STATE", "Return status is invalid."));
    deed_expect(x, IS("OPEN"));
    const struct fake_outcome *o = deed_go_on(x, TWO, "{\"v\":1}");
    CHECK_EQ(o->kind, SL_REVIEW);
    CHECK_STR(o->why, "the return was processed and is not closed: id: Return status is invalid.");
}

/* ---- tags, note ---------------------------------------------------------------------------- */

static void tags_are_added_and_taken_away_never_replaced(void **state)
{
    struct deed_rig *x = *state;

    deed_take_action(x, "tags.add", NULL);
    deed_expect(
        x, DATA("\"tagsAdd\":{\"node\":{\"id\":\"gid://shopify/Order/1\"},\"userErrors\":[]}"));
    const struct fake_outcome *o = deed_run(x, "{\"order_id\":1,\"tags\":[\"sent\",\"b2b\"]}");
    CHECK_EQ(o->kind, SL_DELIVERED);
    CHECK_STR(o->reference, "gid://shopify/Order/1");
    CHECK(fake_host_last_body(x->host).len &&
          !strstr(fake_host_last_body(x->host).ptr, "orderUpdate"));
    CHECK_STR(deed_variables(x), "{\"id\":\"gid://shopify/Order/1\",\"tags\":[\"sent\",\"b2b\"]}}");
    CHECK_EQ(deed_asked(x, "{\"order_id\":1,\"tags\":[\"sent\"]}", 10)->verdict, SL_CONFIRM_AGAIN);
    x->first_ms = 0;
    CHECK_STR(deed_run(x, "{\"order_id\":1,\"tags\":[\"a\",\"b, c\"]}")->why,
              "tags[1]: the shop would make several of it, for its comma: give each by itself");
    CHECK_STR(deed_run(x, "{\"id\":\"450789469\",\"tags\":[\"a\"]}")->why,
              "id: it wants a GID, such as gid://shopify/Order/450789469");
    deed_take_action(x, "tags.remove", NULL);
    deed_expect(x, DATA("\"tagsRemove\":{\"node\":null,\"userErrors\":[{\"field\":[\"id\"],"
                        "\"message\":\"Customer does not exist\"}]}"));
    CHECK_STR(deed_run(x, "{\"customer_id\":\"5\",\"tags\":[\"a\"]}")->why,
              "id: Customer does not exist");
}

#define NOTE(text) DATA("\"order\":{\"id\":\"gid://shopify/Order/1\",\"note\":" text "}")
#define NOTED \
    DATA("\"orderUpdate\":{\"order\":{\"id\":\"gid://shopify/Order/1\"},\"userErrors\":[]}")

static void a_note_is_added_to_once(void **state)
{
    struct deed_rig *x = *state;

    deed_take_action(x, "order.note", NULL);
    deed_expect(x, NOTE("\"first\""));
    deed_expect(x, NOTED);
    CHECK_EQ(deed_run(x, "{\"order_id\":1,\"note\":\"PO 77\"}")->kind, SL_DELIVERED);
    CHECK_STR(deed_variables(x),
              "{\"input\":{\"id\":\"gid://shopify/Order/1\",\"note\":\"first\\nPO 77\"}}}");
    /* it stands there: nothing is written; as part of another line it does not */
    deed_expect(x, NOTE("\"first\\nPO 77\\nmore\""));
    CHECK_EQ(deed_run(x, "{\"order_id\":1,\"note\":\"PO 77\"}")->kind, SL_DELIVERED);
    deed_expect(x, NOTE("\"PO 771\""));
    deed_expect(x, NOTED);
    deed_run(x, "{\"order_id\":1,\"note\":\"PO 77\"}");
    CHECK(strstr(deed_variables(x), "\"PO 771\\nPO 77\""));
    deed_expect(x, NOTE("null"));
    deed_expect(x, NOTED);
    deed_run(x, "{\"order_id\":1,\"note\":\"PO 77\",\"mode\":\"replace\"}");
    CHECK(strstr(deed_variables(x), "\"note\":\"PO 77\""));
    deed_expect(x, DATA("\"order\":null"));
    CHECK_STR(deed_run(x, "{\"order_id\":1,\"note\":\"PO 77\"}")->why,
              "order_id: the shop has no such order");
}

/* Appending reads the note first: of two at once one would be lost. */
static void one_note_of_an_order_is_written_at_a_time(void **state)
{
    static const char *const bodies[] = { "{\"order_id\":9007199254740993,\"note\":\"n\"}",
                                          "{\"order_id\":\"9007199254740993\",\"note\":\"n\"}",
                                          "{\"order_id\":\"gid://shopify/Order/9007199254740993\","
                                          "\"note\":\"n\"}" };
    struct deed_rig *x = *state;

    deed_take_action(x, "order.note", NULL);
    for (size_t i = 0; i < 3; i++) {
        sl_str key = x->plugin->parent_key(x->self, x->handle, fake_str(bodies[i]));

        CHECK_EQ(key.len, strlen("order/9007199254740993"));
        CHECK_EQ(memcmp(key.ptr, "order/9007199254740993", key.len), 0);
    }
}

static void a_close_in_the_middle_leaves_nothing(void **state)
{
    struct deed_rig *x = *state;

    deed_take_action(x, "return.close", NULL);
    FAKE_EXPECT(x->host, .method = "POST", .url = DEED_URL, .never = true);
    x->record = (sl_record){ .size = sizeof(sl_record),
                             .key = fake_str(DEED_KEY),
                             .request = fake_str("{\"return_id\":8}") };
    x->batch = (sl_batch){ .size = sizeof(sl_batch), .records = &x->record, .n_records = 1 };
    fake_done_init(&x->done, x->host, 1);
    x->plugin->deliver(x->self, x->handle, &x->batch, &x->done.done);
    fake_host_run(x->host); /* and the teardown closes it */
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, deeds_setup, deeds_teardown)
    const struct CMUnitTest tests[] = {
        TEST(what_comes_back_is_found_in_all_shipments_of_the_line),
        TEST(only_what_was_shipped_comes_back),
        TEST(a_line_wants_its_reason),
        TEST(what_is_asked_is_as_urgent_as_its_delivery),
        TEST(a_return_whose_answer_was_lost_is_found_by_its_lines),
        TEST(a_return_that_is_requested_has_its_own_input),
        TEST(a_state_that_is_reached_already_is_done),
        TEST(a_decision_is_sent_and_looked_up_when_its_answer_is_lost),
        TEST(what_came_back_is_put_away_paid_and_closed),
        TEST(without_lines_all_of_it_is_processed),
        TEST(a_lost_processing_is_seen_by_what_was_put_where_since),
        TEST(where_nothing_was_put_anywhere_a_person_is_asked),
        TEST(a_restart_closes_what_was_processed),
        TEST(tags_are_added_and_taken_away_never_replaced),
        TEST(a_note_is_added_to_once),
        TEST(one_note_of_an_order_is_written_at_a_time),
        TEST(a_close_in_the_middle_leaves_nothing),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
