/*
 * test_shopify_fulfil.c - fulfillment.create: what was shipped is fulfilled once, in each location,
 * whatever answer is lost; the shop's own words for what cannot be are told.
 */
#include "shopify_deeds.h"

#include <stdio.h>
#include <string.h>

#include "shopify_orders_json.h"

#define SHIPPED_2                                                                     \
    "{\"lines\":[{\"sku\":\"A\",\"quantity\":1},{\"sku\":\"B\",\"quantity\":1}],"     \
    "\"tracking\":{\"company\":\"dhl express\",\"number\":\"JD01\"},\"notify\":true," \
    "\"message\":\"m\"}"
#define PAGE(more, cursor) "\"pageInfo\":{\"hasNextPage\":" more ",\"endCursor\":" cursor "}"
#define STATE_OF(fulfillments, orders, page)                                                      \
    DATA(                                                                                         \
        "\"order\":{\"id\":\"gid://shopify/Order/1\",\"name\":\"#1\",\"cancelledAt\":null,"       \
        "\"fulfillments\":[" fulfillments "],\"fulfillmentOrders\":{\"nodes\":[" orders "]," page \
        "}}")
#define STATE(fulfillments, orders) STATE_OF(fulfillments, orders, PAGE("false", "null"))
#define BOTH                        FO("1", "8", LINE("11", "A", "21", "1")) "," FO("2", "9", LINE("12", "B", "22", "1"))
#define A_DONE                                                                           \
    FO_AS("1", "CLOSED", "UNSUBMITTED", "EXTERNAL", "8", "", LINE("11", "A", "21", "0")) \
    "," FO("2", "9", LINE("12", "B", "22", "1"))
#define F_A SHIPPED("5", "SUCCESS", "8", NUMBER("JD01"), HAS("A", "21", "1"))
#define F_B SHIPPED("6", "SUCCESS", "9", NUMBER("JD01"), HAS("B", "22", "1"))
#define CREATED(id)                                                                       \
    DATA("\"fulfillmentCreate\":{\"fulfillment\":{\"id\":\"gid://shopify/Fulfillment/" id \
         "\"},\"userErrors\":[]}")
#define REFUSED(message)                                                           \
    DATA(                                                                          \
        "\"fulfillmentCreate\":{\"fulfillment\":null,\"userErrors\":[{\"field\":[" \
        "\"fulfillment\"],\"message\":\"" message "\"}]}")
#define INPUT(fo, line)                                                                         \
    "{\"message\":\"m\",\"fulfillment\":{\"lineItemsByFulfillmentOrder\":[{"                    \
    "\"fulfillmentOrderId\":\"gid://shopify/FulfillmentOrder/" fo                               \
    "\",\"fulfillmentOrderLineItems\":[{\"id\":\"gid://shopify/FulfillmentOrderLineItem/" line  \
    "\",\"quantity\":1}]}],\"trackingInfo\":{\"company\":\"DHL Express\",\"number\":\"JD01\"}," \
    "\"notifyCustomer\":true}}}"

static int setup(void **state)
{
    int r = deeds_setup(state);

    if (r == 0)
        deed_take_action(*state, "fulfillment.create", NULL);
    return r;
}

static void each_location_takes_a_call_and_all_of_it_is_linked(void **state)
{
    struct deed_rig *x = *state;
    const struct fake_outcome *o;

    deed_expect(x, STATE("", BOTH));
    deed_expect(x, CREATED("5"));
    deed_expect(x, CREATED("6"));
    o = deed_run(x, SHIPPED_2);
    CHECK_EQ(o->kind, SL_DELIVERED);
    CHECK_STR(deed_variables(x), INPUT("2", "12"));
    CHECK_EQ(fake_host_requests(x->host), 3);
    CHECK_STR(o->link_kind[0], "tracking");
    CHECK_STR(o->link_id[0], "JD01");
    CHECK_STR(o->link_id[1], "gid://shopify/Fulfillment/5");
    CHECK_STR(o->link_kind[2], "fulfillment_order");
    CHECK_STR(o->link_id[2], "gid://shopify/FulfillmentOrder/1");
    CHECK_STR(o->link_kind[3], "fulfillment");
    CHECK_STR(o->link_id[3], "gid://shopify/Fulfillment/6");
    CHECK_EQ(o->n_links, 5);
}

static void the_order_is_the_bodys_or_what_the_event_is_about(void **state)
{
    struct deed_rig *x = *state;

    deed_expect(x, DATA("\"order\":null"));
    const struct fake_outcome *o = deed_run(x, SHIPPED_2);
    CHECK_EQ(o->kind, SL_REJECTED);
    CHECK_STR(o->why,
              "the shop has no gid://shopify/Order/1; or it is older than 60 days, and the app "
              "lacks read_all_orders");
    CHECK_STR(deed_variables(x), "{\"id\":\"gid://shopify/Order/1\",\"lines\":20,\"after\":null}}");
    deed_expect(x, DATA("\"order\":null"));
    deed_run(x, "{\"order_id\":9007199254740993}");
    CHECK_STR(deed_variables(x),
              "{\"id\":\"gid://shopify/Order/9007199254740993\",\"lines\":20,\"after\":null}}");
}

static void a_body_that_is_wrong_is_refused_before_anything_is_asked(void **state)
{
    struct deed_rig *x = *state;
    const struct fake_outcome *o = deed_run(x, "{\"lines\":[{\"sku\":\"A\",\"qty\":1}]}");

    CHECK_EQ(o->kind, SL_REJECTED);
    CHECK_HAS(o->why, "lines[0]: there is no \"qty\" in it");
    CHECK_EQ(fake_host_requests(x->host), 0);
}

static void twice_told_is_once_done(void **state)
{
    struct deed_rig *x = *state;

    deed_expect(x, STATE(F_A "," F_B, A_DONE));
    const struct fake_outcome *o = deed_run(x, SHIPPED_2);
    CHECK_EQ(o->kind, SL_DELIVERED);
    CHECK_STR(o->reference, "gid://shopify/Fulfillment/5");
    CHECK_EQ(fake_host_requests(x->host), 1);
}

static void after_a_lost_answer_the_shop_is_asked_what_it_has(void **state)
{
    struct deed_rig *x = *state;
    const struct fake_confirmed *c;

    deed_expect(x, STATE("", BOTH));
    deed_expect_torn(x);
    CHECK_EQ(deed_run(x, SHIPPED_2)->kind, SL_UNKNOWN);
    /* both are there */
    deed_expect(x, STATE(F_A "," F_B, A_DONE));
    c = deed_asked(x, SHIPPED_2, 1000);
    CHECK_EQ(c->verdict, SL_CONFIRM_YES);
    CHECK_STR(c->outcome.reference, "gid://shopify/Fulfillment/5");
    /* none is: too early to be believed, then it is */
    deed_expect(x, STATE("", BOTH));
    CHECK_EQ(deed_asked(x, SHIPPED_2, 1000)->verdict, SL_CONFIRM_EARLY);
    deed_expect(x, STATE("", BOTH));
    CHECK_EQ(deed_asked(x, SHIPPED_2, 61000)->verdict, SL_CONFIRM_NO);
    /* one is: the rest goes again, and nowhere else */
    deed_expect(x, STATE(F_A, A_DONE));
    CHECK_EQ(deed_asked(x, SHIPPED_2, 61000)->verdict, SL_CONFIRM_AGAIN);
    deed_expect(x, STATE(F_A, A_DONE));
    deed_expect(x, CREATED("6"));
    CHECK_EQ(deed_run(x, SHIPPED_2)->kind, SL_DELIVERED);
    CHECK_STR(deed_variables(x), INPUT("2", "12"));
    /* it is not there and is on hold now: what that means is said by the next attempt */
    deed_expect(x, STATE("", FO_AS("1", "ON_HOLD", "UNSUBMITTED", "RELEASE_HOLD", "8", "",
                                   LINE("11", "A", "21", "1"))));
    CHECK_EQ(deed_asked(x, SHIPPED_2, 61000)->verdict, SL_CONFIRM_NO);
}

static void what_fails_after_the_first_call_does_not_count_as_not_sent(void **state)
{
    struct deed_rig *x = *state;
    const struct fake_outcome *o;

    deed_expect(x, STATE("", BOTH));
    deed_expect(x, CREATED("5"));
    FAKE_EXPECT(x->host, .error = SL_E_NETWORK);
    o = deed_run(x, SHIPPED_2);
    CHECK_EQ(o->kind, SL_RETRY);
    CHECK_EQ(o->not_sent, 0);
    deed_expect(x, STATE("", BOTH));
    FAKE_EXPECT(x->host, .error = SL_E_NETWORK);
    o = deed_run(x, SHIPPED_2);
    CHECK_EQ(o->kind, SL_RETRY);
    CHECK_EQ(o->not_sent, 1);
}

/* What was done there between the state and the call. */
static void what_the_shop_refuses_is_read_anew_or_given_up(void **state)
{
    static const char *const later[] = {
        REFUSED("Fulfillment order does not exist."),
        REFUSED("Fulfillment order 7 has an unfulfillable status= closed."),
        REFUSED("Invalid fulfillment order line item quantity requested."),
        REFUSED("Fulfillment order line item does not exist."),
    };
    struct deed_rig *x = *state;
    const struct fake_outcome *o;

    for (size_t i = 0; i < sizeof(later) / sizeof(later[0]); i++) {
        deed_expect(x, STATE("", BOTH));
        deed_expect(x, later[i]);
        CHECK_EQ(deed_run(x, SHIPPED_2)->kind, SL_RETRY);
    }
    deed_expect(x, STATE("", BOTH));
    deed_expect(x, REFUSED("Quantity must be greater than 0"));
    o = deed_run(x, SHIPPED_2);
    CHECK_EQ(o->kind, SL_REJECTED);
    CHECK_STR(o->why, "fulfillment: Quantity must be greater than 0");
}

static void routing_holds_and_cancellation_have_outcomes_of_their_own(void **state)
{
    struct deed_rig *x = *state;
    const struct fake_outcome *o;

    deed_expect(x, STATE("", ""));
    o = deed_run(x, SHIPPED_2);
    CHECK_EQ(o->kind, SL_RETRY);
    CHECK_EQ(o->after_ms, 5000);
    deed_expect(x, STATE("", FO_AS("1", "ON_HOLD", "UNSUBMITTED", "RELEASE_HOLD", "8",
                                   "{\"reason\":\"OTHER\",\"heldByRequestingApp\":true}",
                                   LINE("11", "A", "21", "1"))));
    o = deed_run(x, SHIPPED_2);
    CHECK_EQ(o->kind, SL_REVIEW);
    CHECK_EQ(o->not_sent, 1);
    CHECK_HAS(o->why, "is on hold (OTHER, by this app): release it");
    deed_take_action(x, "fulfillment.create",
                     (const struct fake_setting[]){ { "on_hold", "wait" }, { 0 } });
    deed_expect(x, STATE("", FO_AS("1", "ON_HOLD", "UNSUBMITTED", "RELEASE_HOLD", "8", "",
                                   LINE("11", "A", "21", "1"))));
    o = deed_run(x, SHIPPED_2);
    CHECK_EQ(o->kind, SL_RETRY);
    CHECK_EQ(o->after_ms, 900000);
}

static void a_person_chooses_whether_a_parcel_gets_the_number(void **state)
{
    static const char state_of[] = STATE(
        SHIPPED("5", "SUCCESS", "8", NUMBER("XX"), HAS("A", "21", "1") "," HAS("B", "22", "1")),
        FO_AS("1", "CLOSED", "UNSUBMITTED", "EXTERNAL", "8", "",
              LINE("11", "A", "21", "0") "," LINE("12", "B", "22", "0")));
    struct deed_rig *x = *state;
    const struct fake_outcome *o;

    deed_expect(x, state_of);
    o = deed_run(x, SHIPPED_2);
    CHECK_EQ(o->kind, SL_REVIEW);
    CHECK_HAS(o->choices, "\"name\":\"update\"");
    x->choice = fake_str("update");
    deed_expect(x, state_of);
    deed_expect(x, DATA("\"fulfillmentTrackingInfoUpdate\":{\"fulfillment\":{\"id\":"
                        "\"gid://shopify/Fulfillment/5\"},\"userErrors\":[]}"));
    o = deed_run(x, SHIPPED_2);
    CHECK_EQ(o->kind, SL_DELIVERED);
    CHECK_STR(o->reference, "gid://shopify/Fulfillment/5");
    CHECK_STR(deed_variables(x),
              "{\"id\":\"gid://shopify/Fulfillment/5\",\"tracking\":{\"company\":\"DHL Express\","
              "\"number\":\"JD01\"},\"notify\":true}}");
    x->choice = fake_str("keep");
    deed_expect(x, state_of);
    CHECK_EQ(deed_run(x, SHIPPED_2)->kind, SL_DELIVERED);
    /* the update has no answer: nobody knows */
    x->choice = fake_str("update");
    deed_expect(x, state_of);
    deed_expect_torn(x);
    CHECK_EQ(deed_run(x, SHIPPED_2)->kind, SL_UNKNOWN);
    x->choice = (sl_str){ 0 };
}

/* Two that read the state at the same time would both do what is left. */
static void of_one_order_one_is_under_way_at_a_time(void **state)
{
    struct deed_rig *x = *state;
    sl_str key = x->plugin->parent_key(x->self, x->handle, fake_str("{\"order_id\":\"7\"}"));

    CHECK_VIEW(key, "order/7");
    key = x->plugin->parent_key(x->self, x->handle,
                                fake_str("{\"order_id\":\"gid://shopify/Order/7\"}"));
    CHECK_VIEW(key, "order/7");
    key = x->plugin->parent_key(x->self, x->handle, fake_str("{\"order_id\":9007199254740993}"));
    CHECK_VIEW(key, "order/9007199254740993");
    CHECK_EQ(x->plugin->parent_key(x->self, x->handle, fake_str("{}")).len, 0);
    CHECK_EQ(x->plugin->parent_key(x->self, x->handle, fake_str("[")).len, 0);
}

static void many_fulfillment_orders_and_long_ones_are_read_whole(void **state)
{
    struct deed_rig *x = *state;

    deed_expect(x, STATE_OF("", FO("1", "8", LINE("11", "A", "21", "1")), PAGE("true", "\"c1\"")));
    deed_expect(x, STATE("", FO("2", "8", LINE("12", "B", "22", "1"))));
    deed_expect(x, CREATED("5"));
    CHECK_EQ(deed_run(x, SHIPPED_2)->kind, SL_DELIVERED);
    CHECK_EQ(fake_host_requests(x->host), 3);
    /* more than twenty lines: all again, with more of each */
    deed_expect(x, STATE("",
                         "{\"id\":\"x\",\"lineItems\":{\"nodes\":[],\"pageInfo\":{"
                         "\"hasNextPage\":true}}}"));
    deed_expect(x, DATA("\"order\":null"));
    deed_run(x, SHIPPED_2);
    CHECK_STR(deed_variables(x),
              "{\"id\":\"gid://shopify/Order/1\",\"lines\":250,\"after\":null}}");
    deed_expect(x, STATE("",
                         "{\"id\":\"x\",\"lineItems\":{\"nodes\":[],\"pageInfo\":{"
                         "\"hasNextPage\":true}}}"));
    deed_expect(x, STATE("",
                         "{\"id\":\"x\",\"lineItems\":{\"nodes\":[],\"pageInfo\":{"
                         "\"hasNextPage\":true}}}"));
    CHECK_EQ(deed_run(x, SHIPPED_2)->kind, SL_REVIEW);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, deeds_teardown)
    const struct CMUnitTest tests[] = {
        TEST(each_location_takes_a_call_and_all_of_it_is_linked),
        TEST(the_order_is_the_bodys_or_what_the_event_is_about),
        TEST(a_body_that_is_wrong_is_refused_before_anything_is_asked),
        TEST(twice_told_is_once_done),
        TEST(after_a_lost_answer_the_shop_is_asked_what_it_has),
        TEST(what_fails_after_the_first_call_does_not_count_as_not_sent),
        TEST(what_the_shop_refuses_is_read_anew_or_given_up),
        TEST(routing_holds_and_cancellation_have_outcomes_of_their_own),
        TEST(a_person_chooses_whether_a_parcel_gets_the_number),
        TEST(of_one_order_one_is_under_way_at_a_time),
        TEST(many_fulfillment_orders_and_long_ones_are_read_whole),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
