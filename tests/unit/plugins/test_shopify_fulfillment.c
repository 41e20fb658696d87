/*
 * test_shopify_fulfillment.c - what is done with a fulfilment that is there, once: another
 * tracking, its end, and what has become of the parcel.
 */
#include "shopify_deeds.h"

#include <string.h>

#define ID "gid://shopify/Fulfillment/5"
#define PARCEL(number) \
    "{\"company\":\"DHL\",\"number\":\"" number "\",\"url\":\"https://d/" number "\"}"
#define F(id, status, parcels, events)                                                          \
    "{\"id\":\"gid://shopify/Fulfillment/" id "\",\"name\":\"#1-F" id "\",\"status\":\"" status \
    "\",\"trackingInfo\":[" parcels "],\"events\":{\"nodes\":[" events "]}}"
#define EVENT(status, at, made)                                                                   \
    "{\"id\":\"gid://shopify/FulfillmentEvent/1\",\"status\":\"" status "\",\"happenedAt\":\"" at \
    "\",\"createdAt\":\"" made "\"}"
#define OF_ORDER(all) \
    DATA("\"order\":{\"id\":\"gid://shopify/Order/1\",\"fulfillments\":[" all "]}")
#define ONE(it) DATA("\"fulfillment\":" it)
#define DONE(root, object) \
    DATA("\"" root "\":{\"" object "\":{\"id\":\"" ID "\",\"status\":\"X\"},\"userErrors\":[]}")
#define REFUSED(root, field, text)                                                 \
    DATA("\"" root "\":{\"fulfillment\":null,\"userErrors\":[{\"field\":[\"" field \
         "\"],\"message\":\"" text "\"}]}")
#define NEW "\"tracking\":{\"company\":\"DHL\",\"number\":\"N2\"}"

/* ---- fulfillment.tracking ------------------------------------------------------------------ */

static void an_old_number_gives_way_to_the_new_one_once(void **state)
{
    struct deed_rig *x = *state;
    const struct fake_outcome *o;

    deed_take_action(x, "fulfillment.tracking",
                     (const struct fake_setting[]){ { "notify", "true" }, { 0 } });
    deed_expect(
        x, OF_ORDER(F("4", "SUCCESS", PARCEL("O1"), "") "," F("5", "SUCCESS", PARCEL("O2"), "")));
    deed_expect(x, DONE("fulfillmentTrackingInfoUpdate", "fulfillment"));
    o = deed_run(x, "{\"replaces\":\"o2\"," NEW "}");
    CHECK_EQ(o->kind, SL_DELIVERED);
    CHECK_STR(o->reference, ID);
    CHECK_STR(deed_variables(x),
              "{\"trackingInfoInput\":{\"company\":\"DHL\",\"number\":\"N2\"},"
              "\"notifyCustomer\":true,\"fulfillmentId\":\"" ID "\"}}");
    /* told again: the old number is gone, the new one is there */
    deed_expect(x, OF_ORDER(F("5", "SUCCESS", PARCEL("N2"), "")));
    o = deed_run(x, "{\"replaces\":\"O2\"," NEW "}");
    CHECK_EQ(o->kind, SL_DELIVERED);
    CHECK_STR(o->link_id[0], "N2");
    CHECK_STR(o->link_id[1], ID);
    CHECK_EQ(fake_host_requests(x->host), 3);
    /* by its id, and after a lost answer */
    deed_expect(x, ONE(F("5", "SUCCESS", PARCEL("O2"), "")));
    deed_expect_torn(x);
    CHECK_EQ(deed_run(x, "{\"fulfillment_id\":5," NEW "}")->kind, SL_UNKNOWN);
    deed_expect(x, ONE(F("5", "SUCCESS", PARCEL("N2"), "")));
    CHECK_EQ(deed_asked(x, "{\"fulfillment_id\":5," NEW "}", 1000)->verdict, SL_CONFIRM_YES);
    deed_expect(x, ONE(F("5", "SUCCESS", PARCEL("O2"), "")));
    CHECK_EQ(deed_asked(x, "{\"fulfillment_id\":5," NEW "}", 61000)->verdict, SL_CONFIRM_NO);
}

static void the_numbers_of_other_parcels_stay(void **state)
{
    struct deed_rig *x = *state;

    deed_take_action(x, "fulfillment.tracking", NULL);
    deed_expect(x, OF_ORDER(F("5", "SUCCESS", PARCEL("O1") "," PARCEL("O2"), "")));
    deed_expect(x, DONE("fulfillmentTrackingInfoUpdate", "fulfillment"));
    CHECK_EQ(deed_run(x, "{\"replaces\":\"O2\"," NEW "}")->kind, SL_DELIVERED);
    CHECK_STR(deed_variables(x),
              "{\"trackingInfoInput\":{\"company\":\"DHL\",\"numbers\":[\"N2\",\"O1\"]},"
              "\"fulfillmentId\":\"" ID "\"}}");
}

static void which_one_is_meant_must_be_clear(void **state)
{
    struct deed_rig *x = *state;

    deed_take_action(x, "fulfillment.tracking", NULL);
    deed_expect(x, OF_ORDER(F("4", "SUCCESS", PARCEL("O1"), "") "," F("5", "SUCCESS", "", "")));
    CHECK_STR(deed_run(x, "{" NEW "}")->why,
              "the order has several fulfilments (O1, one without a number): say which one");
    deed_expect(x, OF_ORDER(F("4", "CANCELLED", PARCEL("O1"), "")));
    CHECK_STR(deed_run(x, "{\"replaces\":\"O2\"," NEW "}")->why,
              "gid://shopify/Order/1 has no fulfilment with the tracking number O2; it has O1 "
              "(cancelled)");
    deed_expect(x, ONE("null"));
    CHECK_STR(deed_run(x, "{\"fulfillment_id\":5," NEW "}")->why,
              "the shop has no " ID ", or the app may not see it");
    deed_expect(x, ONE(F("5", "CANCELLED", PARCEL("O1"), "")));
    CHECK_STR(deed_run(x, "{\"fulfillment_id\":5," NEW "}")->why,
              ID " is cancelled: what was shipped again needs fulfillment.create");
    CHECK_STR(deed_run(x, "{\"tracking\":{}}")->why,
              "tracking: it says neither company, number nor url");
    deed_expect(x, ONE(F("5", "SUCCESS", "", "")));
    deed_expect(x, REFUSED("fulfillmentTrackingInfoUpdate", "fulfillmentId",
                           "Fulfillment does not exist."));
    CHECK_STR(deed_run(x, "{\"fulfillment_id\":5," NEW "}")->why,
              "fulfillmentId: Fulfillment does not exist.");
    CHECK_EQ(x->done.outcomes[0].kind, SL_REJECTED);
}

/* ---- fulfillment.cancel -------------------------------------------------------------------- */

static void a_fulfilment_is_cancelled_once(void **state)
{
    struct deed_rig *x = *state;

    deed_take_action(x, "fulfillment.cancel", NULL);
    deed_expect(x, OF_ORDER(F("5", "SUCCESS", PARCEL("O1"), "")));
    deed_expect(x, DONE("fulfillmentCancel", "fulfillment"));
    CHECK_EQ(deed_run(x, "{\"number\":\"O1\"}")->kind, SL_DELIVERED);
    CHECK_STR(deed_variables(x), "{\"id\":\"" ID "\"}}");
    deed_expect(x, ONE(F("5", "CANCELLED", PARCEL("O1"), "")));
    CHECK_EQ(deed_run(x, "{\"fulfillment_id\":5}")->kind, SL_DELIVERED);
    CHECK_EQ(fake_host_requests(x->host), 3);
    deed_expect(x, ONE(F("5", "SUCCESS", PARCEL("O1"), "")));
    deed_expect(x, REFUSED("fulfillmentCancel", "id", "Fulfillment not found."));
    CHECK_EQ(deed_run(x, "{\"fulfillment_id\":5}")->kind, SL_REJECTED);
    deed_expect(x, ONE(F("5", "CANCELLED", PARCEL("O1"), "")));
    CHECK_EQ(deed_asked(x, "{\"fulfillment_id\":5}", 1000)->verdict, SL_CONFIRM_YES);
}

/* ---- fulfillment.event --------------------------------------------------------------------- */

#define TRANSIT                                                                                   \
    "{\"number\":\"O1\",\"status\":\"IN_TRANSIT\",\"happened_at\":\"2026-11-20T10:00:00+01:00\"," \
    "\"message\":\"Hub\",\"city\":\"Leeds\",\"country\":\"GB\"}"

static void an_event_of_a_parcel_is_told_once(void **state)
{
    struct deed_rig *x = *state;

    deed_take_action(x, "fulfillment.event", NULL);
    deed_expect(x,
                OF_ORDER(F("5", "SUCCESS", PARCEL("O1"),
                           EVENT("IN_TRANSIT", "2026-11-20T08:00:00Z", "2026-11-20T08:00:01Z"))));
    deed_expect(x, DATA("\"fulfillmentEventCreate\":{\"fulfillmentEvent\":{\"id\":"
                        "\"gid://shopify/FulfillmentEvent/2\"},\"userErrors\":[]}"));
    CHECK_EQ(deed_run(x, TRANSIT)->kind, SL_DELIVERED);
    CHECK_STR(deed_variables(x),
              "{\"fulfillmentEvent\":{\"status\":\"IN_TRANSIT\",\"happenedAt\":"
              "\"2026-11-20T09:00:00.000Z\",\"message\":\"Hub\",\"city\":\"Leeds\","
              "\"country\":\"GB\",\"fulfillmentId\":\"" ID "\"}}}");
    deed_expect(x,
                OF_ORDER(F("5", "SUCCESS", PARCEL("O1"),
                           EVENT("IN_TRANSIT", "2026-11-20T09:00:00Z", "2026-11-20T09:00:01Z"))));
    CHECK_EQ(deed_run(x, TRANSIT)->kind, SL_DELIVERED);
    CHECK_EQ(fake_host_requests(x->host), 3);
}

/* The fake's clock: 2026-11-20T09:15:32Z. */
static void an_event_without_a_time_is_found_by_when_it_was_made(void **state)
{
    const char *body = "{\"fulfillment_id\":5,\"status\":\"DELIVERED\"}";
    struct deed_rig *x = *state;

    deed_take_action(x, "fulfillment.event", NULL);
    deed_expect(x, ONE(F("5", "SUCCESS", PARCEL("O1"),
                         EVENT("DELIVERED", "2026-11-20T09:15:30Z", "2026-11-20T09:15:30Z"))));
    CHECK_EQ(deed_asked(x, body, 5000)->verdict, SL_CONFIRM_YES);
    deed_expect(x, ONE(F("5", "SUCCESS", PARCEL("O1"),
                         EVENT("DELIVERED", "2026-11-20T08:15:30Z", "2026-11-20T08:15:30Z"))));
    CHECK_EQ(deed_asked(x, body, 61000)->verdict, SL_CONFIRM_NO);
    x->first_ms = 0;
    deed_expect(x, ONE(F("5", "CANCELLED", PARCEL("O1"), "")));
    CHECK_STR(deed_run(x, body)->why, ID " is cancelled: it has no events any more");
    CHECK_HAS(deed_run(x, "{\"status\":\"ARRIVED\"}")->why, "status: it wants one of LABEL_");
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, deeds_setup, deeds_teardown)
    const struct CMUnitTest tests[] = {
        TEST(an_old_number_gives_way_to_the_new_one_once),
        TEST(the_numbers_of_other_parcels_stay),
        TEST(which_one_is_meant_must_be_clear),
        TEST(a_fulfilment_is_cancelled_once),
        TEST(an_event_of_a_parcel_is_told_once),
        TEST(an_event_without_a_time_is_found_by_when_it_was_made),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
