/*
 * test_shopify_backfill.c - a shop's orders of before: what is asked, what is told of them, and in
 * which steps.
 */
#include "shopify_past_rig.h"

static void the_orders_of_the_file_are_told_and_stored_with_their_place(void **state)
{
    struct rig *x = *state;

    says(x, CLOCK);
    says(x, STARTED);
    says(x, RUNNING);
    expect_file(x, 1, 2, false);
    run(x, "");
    CHECK_EQ(x->status, SL_OK);
    CHECK_EQ(x->after_ms, 0);
    CHECK_STR(x->told,
              "orders/create 1\norders/paid 1\norders/updated 1\n"
              "orders/create 2\norders/paid 2\norders/updated 2\n");
    CHECK_EQ(times(x->cursors, "\n"), 2); /* that it is begun, and all of it */
    CHECK(strstr(x->cursors, "{\"operation\":\"" OP "\",\"offset\":0,\"done\":0}\n") == x->cursors);
    CHECK(strstr(x->cursors, ",\"done\":2}\n"));
    CHECK_EQ(x->done, 2);
    CHECK_EQ(x->total, 2);
}

static void the_shop_is_asked_for_the_window_and_in_a_form_that_bulk_takes(void **state)
{
    struct rig *x = *state;

    says(x, CLOCK);
    FAKE_EXPECT(x->host, .url = URL, .error = SL_E_NETWORK);
    run(x, "");
    CHECK_EQ(x->status, SL_E_NETWORK);
    CHECK(strstr(query(x), "updated_at:>='2026-11-01T00:00:00.000Z'"));
    CHECK(strstr(query(x), "created_at:<'2026-11-23T00:00:00.000Z'"));
    CHECK(!strstr(query(x), "nodes")); /* "edges{node{...}}" only */
    CHECK(times(query(x), "edges{node{") <= 5);
    CHECK(strlen(query(x)) < 65535);
}

static void only_the_topics_that_are_asked_for_are_told(void **state)
{
    struct rig *x = *state;

    x->what.topics = fake_str("orders/paid refunds/create");
    says(x, CLOCK);
    says(x, STARTED);
    expect_file(x, 1, 1, false);
    run(x, "");
    CHECK_STR(x->told, "orders/paid 1\n");
}

static void what_happened_outside_the_window_is_not_told(void **state)
{
    struct rig *x = *state;

    x->what.until_ms = INT64_C(1795166131000); /* 09:15:31, when it was paid */
    says(x, CLOCK);
    says(x, STARTED);
    expect_file(x, 1, 1, false);
    run(x, "");
    CHECK_STR(x->told, "orders/create 1\n");
    x->what.until_ms = INT64_C(1795392000000);
    x->what.since_ms = INT64_C(1795166131000);
    says(x, CLOCK);
    says(x, STARTED);
    expect_file(x, 1, 1, false);
    run(x, "");
    CHECK_STR(x->told, "orders/paid 1\norders/updated 1\n");
}

static void fulfilments_and_refunds_are_asked_for_where_there_are_any(void **state)
{
    struct rig *x = *state;

    says(x, CLOCK);
    says(x, STARTED);
    expect_file(x, 1, 2, true);
    expect_data(x, json_pack("{s:[o,n]}", "nodes", parts_of(2))); /* 1 was deleted meanwhile */
    run(x, "");
    CHECK_EQ(x->status, SL_OK);
    CHECK(strstr(query(x), "OrderParts"));
    CHECK(strstr(query(x), "gid://shopify/Order/1"));
    CHECK_EQ(times(x->told, " 1\n"), 0);
    CHECK(times(x->told, " 2\n") >= 3);
}

static void an_order_that_does_not_fit_is_asked_for_alone(void **state)
{
    struct rig *x = *state;
    json_t *full = parts_of(1), *many = json_array();

    for (int i = 0; i < 100; i++)
        json_array_append_new(many, json_pack("{s:s}", "id", "gid://shopify/Fulfillment/1"));
    json_object_set_new(full, "fulfillments", many);
    says(x, CLOCK);
    says(x, STARTED);
    expect_file(x, 1, 2, true);
    expect_data(x, json_pack("{s:[o,o]}", "nodes", full, parts_of(2)));
    expect_data(x, json_pack("{s:o}", "order", order(1)));
    run(x, "");
    CHECK_EQ(x->status, SL_OK);
    CHECK(strstr(query(x), "WholeOrder"));
    CHECK(times(x->told, " 1\n") >= 3);
    CHECK(times(x->told, " 2\n") >= 3);
}

static void one_that_never_fits_is_named_and_left_out(void **state)
{
    struct rig *x = *state;
    json_t *full = parts_of(1), *whole = order(1), *many = json_array();

    for (int i = 0; i < 100; i++)
        json_array_append_new(many, json_pack("{s:s}", "id", "gid://shopify/Fulfillment/1"));
    json_object_set(full, "fulfillments", many);
    json_object_set_new(whole, "fulfillments", many);
    says(x, CLOCK);
    says(x, STARTED);
    expect_file(x, 1, 2, true);
    expect_data(x, json_pack("{s:[o,o]}", "nodes", full, parts_of(2)));
    expect_data(x, json_pack("{s:o}", "order", whole));
    run(x, "");
    CHECK_EQ(x->status, SL_OK);
    CHECK(strstr(fake_host_last_log(x->host), "it is not back-filled"));
    CHECK_EQ(times(x->told, " 1\n"), 0);
    CHECK(times(x->told, " 2\n") >= 3);
}

static void between_two_questions_the_points_are_left_to_others(void **state)
{
    struct rig *x = *state;
    int64_t began;

    says(x, CLOCK);
    says(x, STARTED);
    expect_file(x, 1, 21, true);
    for (int page = 0; page < 2; page++) {
        json_t *nodes = json_array();

        for (int i = 1; i <= (page ? 1 : 20); i++)
            json_array_append_new(nodes, parts_of(page ? 21 : i));
        expect_data(x, json_pack("{s:o}", "nodes", nodes));
    }
    began = fake_host_wall_ms(x->host);
    run(x, "");
    CHECK_EQ(x->status, SL_OK);
    CHECK_EQ(x->done, 21);
    CHECK_EQ(times(x->cursors, "\n"), 3);
    /* twice 50 points of which half of 100 a second are ours, and the first look */
    CHECK(fake_host_wall_ms(x->host) - began >= 2 * 1000 + 1000);
}

static void refused_for_pace_it_asks_again(void **state)
{
    static const char throttled[] =
        "{\"errors\":[{\"message\":\"Throttled\",\"extensions\":{\"code\":\"THROTTLED\"}}],"
        "\"extensions\":{\"cost\":{\"requestedQueryCost\":752,\"actualQueryCost\":null,"
        "\"throttleStatus\":{\"maximumAvailable\":2000,\"currentlyAvailable\":252,"
        "\"restoreRate\":100}}}}";
    struct rig *x = *state;

    says(x, throttled);
    says(x, CLOCK);
    says(x, STARTED);
    expect_file(x, 1, 1, true);
    says(x, throttled);
    expect_data(x, json_pack("{s:[o]}", "nodes", parts_of(1)));
    run(x, "");
    CHECK_EQ(x->status, SL_OK);
    CHECK(x->emitted >= 3);
}

/* An order's events may be more than fit between two checkpoints. */
static void what_does_not_fit_is_stored_first_and_nothing_is_left_out(void **state)
{
    struct rig *x = *state;

    x->room = 2; /* of an order's three */
    says(x, CLOCK);
    says(x, STARTED);
    expect_file(x, 1, 3, false);
    run(x, "");
    CHECK_EQ(x->status, SL_OK);
    CHECK_EQ(x->emitted, 9);
    CHECK_EQ(x->most_pending, 2);
    for (int i = 1; i <= 3; i++) {
        char line[40];

        snprintf(line, sizeof(line), "orders/updated %d\n", i);
        CHECK_EQ(times(x->told, line), 1);
    }
    /* until all are told, a restart reads them again */
    CHECK_EQ(times(x->cursors, "\"offset\":0,\"done\":0}"), times(x->cursors, "\n") - 1);
}

static void a_turn_tells_some_32_kb(void **state)
{
    struct rig *x = *state;
    char *file = strdup(""), *note = malloc(30001), *done = NULL;
    json_t *o = order(1);

    memset(note, 'n', 30000);
    note[30000] = '\0';
    for (int i = 0; i < 3; i++)
        json_object_del(
            o, (const char *const[]){ "lineItems", "shippingLines", "discountApplications" }[i]);
    json_object_set_new(o, "note", json_string(note));
    json_object_set_new(o, "fulfillments", json_array());
    json_object_set_new(o, "refunds", json_array());
    add_line(&file, o);
    free(note);
    says(x, CLOCK);
    says(x, STARTED);
    CHECK(asprintf(&done,
                   "{\"data\":{\"bulkOperation\":{\"status\":\"COMPLETED\",\"rootObjectCount\":"
                   "\"1\",\"url\":\"" FILE_URL "\"}}}") > 0);
    expect_own(x, URL, 200, done);
    expect_own(x, FILE_URL, 206, file);
    run(x, "");
    CHECK_EQ(x->emitted, 3);
    CHECK(x->bytes_a_turn > 30000 && x->bytes_a_turn < 80000);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(the_orders_of_the_file_are_told_and_stored_with_their_place),
        TEST(the_shop_is_asked_for_the_window_and_in_a_form_that_bulk_takes),
        TEST(only_the_topics_that_are_asked_for_are_told),
        TEST(what_happened_outside_the_window_is_not_told),
        TEST(fulfilments_and_refunds_are_asked_for_where_there_are_any),
        TEST(an_order_that_does_not_fit_is_asked_for_alone),
        TEST(one_that_never_fits_is_named_and_left_out),
        TEST(between_two_questions_the_points_are_left_to_others),
        TEST(refused_for_pace_it_asks_again),
        TEST(what_does_not_fit_is_stored_first_and_nothing_is_left_out),
        TEST(a_turn_tells_some_32_kb),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
