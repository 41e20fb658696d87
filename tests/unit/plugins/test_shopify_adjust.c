/*
 * test_shopify_adjust.c - inventory.adjust: what is sold, damaged or found is taken off or added
 * once, also when the answer was lost.
 */
#include "shopify_deeds.h"

#include <stdio.h>
#include <string.h>

#define ITEM "gid://shopify/InventoryItem/"
#define FOUND                                                                               \
    DATA("\"productVariants\":{\"nodes\":[{\"sku\":\"A\",\"inventoryItem\":{\"id\":\"" ITEM \
         "1\"}}],"                                                                          \
         "\"pageInfo\":{\"hasNextPage\":false}}")
#define PLACES                                                                                 \
    DATA(                                                                                      \
        "\"locations\":{\"nodes\":[{\"id\":\"gid://shopify/Location/6\",\"name\":\"North\"}]," \
        "\"pageInfo\":{\"hasNextPage\":false}}")
#define ADJUSTED(group, errors)                                               \
    DATA("\"inventoryAdjustQuantities\":{\"inventoryAdjustmentGroup\":" group \
         ",\"userErrors\":[" errors "]}")
#define DONE ADJUSTED("{\"id\":\"gid://shopify/InventoryAdjustmentGroup/9\"}", "")
#define BODY \
    "{\"changes\":[{\"sku\":\"A\",\"location\":\"North\",\"delta\":-2}],\"reason\":\"damaged\"}"

static const struct fake_setting none[] = { { 0 } };

static void what_is_taken_off_names_the_item_and_is_done_once(void **state)
{
    struct deed_rig *x = *state;
    const struct fake_outcome *o;
    char first[600];

    deed_take_action(x, "inventory.adjust", none);
    deed_expect(x, FOUND);
    deed_expect(x, PLACES);
    deed_expect_torn(x);
    o = deed_run(x, BODY);
    CHECK(o->kind == SL_RETRY || o->kind == SL_UNKNOWN);
    snprintf(first, sizeof(first), "%s", deed_variables(x));
    CHECK(strstr(first,
                 "\"name\":\"available\",\"reason\":\"damaged\",\"changes\":["
                 "{\"inventoryItemId\":\"" ITEM "1\",\"locationId\":"
                 "\"gid://shopify/Location/6\",\"delta\":-2,\"changeFromQuantity\":null}]"));
    deed_expect(x, DONE);
    o = deed_run(x, BODY); /* names are known by now */
    CHECK_EQ(o->kind, SL_DELIVERED);
    CHECK_STR(deed_variables(x), first); /* the same rows under the same key */
}

static void what_nobody_knows_after_a_day_a_person_looks_at(void **state)
{
    struct deed_rig *x = *state;

    deed_take_action(x, "inventory.adjust", none);
    CHECK_EQ(deed_asked(x, BODY, 60000)->verdict, SL_CONFIRM_AGAIN);
    x->first_ms = fake_host_wall_ms(x->host) - 90000000;
    deed_expect(x, FOUND);
    deed_expect(x, PLACES);
    deed_expect(x, DATA("\"shop\":{\"id\":\"gid://shopify/Shop/1\"}"));
    const struct fake_outcome *o = deed_run(x, BODY);
    CHECK_EQ(o->kind, SL_REVIEW);
    CHECK(strstr(o->why, "more than a day ago"));
}

static void bodies_that_cannot_be_done_are_refused_before_anything_is_sent(void **state)
{
    static const struct {
        const char *body, *why;
    } cases[] = {
        { "{\"changes\":[]}", "changes" },
        { "{\"changes\":[{\"sku\":\"A\",\"delta\":1}]}", "changes[0]: location is missing" },
        { "{\"changes\":[{\"sku\":\"A\",\"delta\":1,\"location\":\"North\","
          "\"location_id\":\"6\"}]}",
          "give one of them" },
        { "{\"changes\":[{\"sku\":\"A\",\"delta\":1,\"location\":\"North\"}],"
          "\"name\":\"damaged\"}",
          "changes[0].ledger is missing" },
        { "{\"changes\":[{\"sku\":\"A\",\"delta\":1,\"location\":\"North\","
          "\"ledger\":\"erp://1\"}]}",
          "changes[0].ledger: not for available" },
        { "{\"changes\":[{\"sku\":\"A\",\"location\":\"North\"}]}", "delta" },
    };
    struct deed_rig *x = *state;

    deed_take_action(x, "inventory.adjust", none);
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        const struct fake_outcome *o = deed_run(x, cases[i].body);

        CHECK_EQ(o->kind, SL_REJECTED);
        if (!strstr(o->why, cases[i].why))
            fail_msg("%s: %s", cases[i].body, o->why);
    }
    deed_expect(x, DATA("\"productVariants\":{\"nodes\":[],\"pageInfo\":{\"hasNextPage\":false}}"));
    deed_expect(x, PLACES);
    const struct fake_outcome *o = deed_run(x, BODY);
    CHECK_EQ(o->kind, SL_REJECTED);
    CHECK(strstr(o->why, "no variant has the SKU \"A\""));
}

static void what_the_shop_refuses_says_what_would_be_right(void **state)
{
    struct deed_rig *x = *state;

    deed_take_action(x, "inventory.adjust", none);
    deed_expect(x, FOUND);
    deed_expect(x, PLACES);
    deed_expect(x, ADJUSTED("null",
                            "{\"code\":\"ITEM_NOT_STOCKED_AT_LOCATION\",\"field\":[\"input\","
                            "\"changes\",\"0\"],\"message\":\"not stocked\"}"));
    const struct fake_outcome *o = deed_run(x, BODY);
    CHECK_EQ(o->kind, SL_REJECTED);
    CHECK(strstr(o->why, "not stocked"));
    CHECK(strstr(o->why, "stock it there first"));
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, deeds_setup, deeds_teardown)
    const struct CMUnitTest tests[] = {
        TEST(what_is_taken_off_names_the_item_and_is_done_once),
        TEST(what_nobody_knows_after_a_day_a_person_looks_at),
        TEST(bodies_that_cannot_be_done_are_refused_before_anything_is_sent),
        TEST(what_the_shop_refuses_says_what_would_be_right),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
