/*
 * test_shopify_backfill_ends.c - where a shop's back-fill goes on after a restart, and what ends
 * it.
 */
#include "shopify_past_rig.h"

static void a_restart_goes_on_in_the_operation_and_its_file(void **state)
{
    struct rig *x = *state;

    says(x, CLOCK);
    expect_file(x, 21, 22, false);
    run(x, "{\"operation\":\"" OP "\",\"offset\":4711,\"done\":20}");
    CHECK_EQ(x->status, SL_OK);
    CHECK(strstr(fake_host_last_url(x->host), "/bulk/7.jsonl"));
    CHECK_EQ(x->done, 22);
    CHECK_EQ(x->total, 22);
    CHECK_EQ(times(x->told, "orders/create"), 2);
    CHECK(!strstr(x->cursors, "\"offset\":0,"));
}

static void a_cursor_that_is_none_begins_anew(void **state)
{
    static const char *const cursors[] = { "x", "{}", "[]", "{\"operation\":5}",
                                           "{\"operation\":\"\",\"offset\":9}" };
    struct rig *x = *state;

    for (size_t i = 0; i < sizeof(cursors) / sizeof(*cursors); i++) {
        says(x, CLOCK);
        says(x, STARTED);
        expect_file(x, 1, 1, false);
        run(x, cursors[i]);
        CHECK_EQ(x->status, SL_OK);
        CHECK_EQ(x->done, 1);
    }
}

static void an_operation_that_is_lost_is_forgotten_and_run_again(void **state)
{
    struct rig *x = *state;

    says(x, CLOCK);
    says(x, LOST);
    run(x, "{\"operation\":\"" OP "\",\"offset\":4711,\"done\":20}");
    CHECK_EQ(x->status, SL_E_NETWORK);
    CHECK(strstr(x->why, "does not know its bulk operation"));
    CHECK_STR(x->cursors, "\n"); /* from the beginning */
}

/* Orders were read and not told yet: the next operation's file has them. */
static void one_that_is_lost_in_the_middle_of_its_file_leaks_nothing(void **state)
{
    struct rig *x = *state;
    char *file = strdup(""), *done = NULL;

    for (int i = 1; i <= 3; i++)
        put_order(&file, i, false);
    says(x, CLOCK);
    says(x, STARTED);
    CHECK(asprintf(&done,
                   "{\"data\":{\"bulkOperation\":{\"status\":\"COMPLETED\",\"rootObjectCount\":"
                   "\"3\",\"fileSize\":\"%zu\",\"url\":\"" FILE_URL "\"}}}",
                   strlen(file) + 1000) > 0);
    expect_own(x, URL, 200, done);
    expect_own(x, FILE_URL, 206, file);
    FAKE_EXPECT(x->host, .url = FILE_URL, .status = 416);
    run(x, "");
    CHECK_EQ(x->status, SL_E_NETWORK);
    CHECK(strstr(x->why, "shorter than the shop says"));
    CHECK_EQ(x->emitted, 0);
    CHECK(strstr(x->cursors, "\"done\":0}\n\n"));
}

static void a_shop_whose_places_are_taken_is_asked_later(void **state)
{
    struct rig *x = *state;

    says(x, CLOCK);
    says(x,
         "{\"data\":{\"bulkOperationRunQuery\":{\"bulkOperation\":null,\"userErrors\":[{\"code\":"
         "\"LIMIT_REACHED\",\"message\":\"all places are taken\"}]}}}");
    run(x, "");
    CHECK_EQ(x->status, SL_E_NETWORK);
    CHECK_EQ(x->after_ms, 60000);
    CHECK(strstr(x->why, "all places are taken"));
    CHECK_EQ(x->checkpoints, 0);
}

static void a_missing_scope_is_said(void **state)
{
    struct rig *x = *state;

    says(x, CLOCK);
    says(x,
         "{\"errors\":[{\"message\":\"Access denied for orders field.\",\"extensions\":"
         "{\"code\":\"ACCESS_DENIED\"}}],\"data\":null}");
    run(x, "");
    CHECK_EQ(x->status, SL_E_INVALID);
    CHECK(strstr(x->why, "Access denied for orders field."));
}

static void what_cannot_be_stored_ends_it(void **state)
{
    struct rig *x = *state;

    x->fail_at = 2;
    says(x, CLOCK);
    says(x, STARTED);
    expect_file(x, 1, 1, false);
    run(x, "");
    CHECK_EQ(x->status, SL_E_INTERNAL);
}

static void cancelled_it_ends_at_the_next_look(void **state)
{
    struct rig *x = *state;

    says(x, CLOCK);
    says(x, STARTED);
    says(x, RUNNING);
    start(x, "");
    fake_host_run_for(x->host, 500);
    x->cancelled = 1;
    fake_host_run(x->host);
    CHECK_EQ(x->finished, 1);
    CHECK_EQ(x->status, SL_E_CANCELLED);
}

static void cancelled_while_it_tells_it_ends_at_the_next_order(void **state)
{
    struct rig *x = *state;

    says(x, CLOCK);
    says(x, STARTED);
    expect_file(x, 1, 3, true);
    expect_data(x, json_pack("{s:[o,o,o]}", "nodes", parts_of(1), parts_of(2), parts_of(3)));
    start(x, "");
    fake_host_run_for(x->host, 1100); /* it waits after the question */
    x->cancelled = 1;
    fake_host_run(x->host);
    CHECK_EQ(x->finished, 1);
    CHECK_EQ(x->status, SL_E_CANCELLED);
    CHECK_EQ(x->emitted, 0);
}

/* While it waits for the shop, for the next look, for the file, for its share: the fake finds
 * timers and questions that are left. */
static void closed_with_its_endpoint_after(struct rig *x, size_t answers)
{
    says(x, CLOCK);
    if (answers > 1)
        says(x, STARTED);
    if (answers > 2)
        expect_file(x, 1, 3, true);
    FAKE_EXPECT(x->host, .never = true);
    start(x, "");
    fake_host_run(x->host);
    CHECK_EQ(x->finished, 0);
    fake_host_close(x->host, x->plugin, x->self);
    x->self = fake_host_open(x->host, x->plugin);
}

static void it_is_closed_with_its_endpoint_at_any_time(void **state)
{
    struct rig *x = *state;

    for (size_t answers = 1; answers <= 3; answers++)
        closed_with_its_endpoint_after(x, answers);
    says(x, CLOCK);
    says(x, STARTED);
    start(x, "");
    fake_host_run_for(x->host, 500); /* before the next look */
    fake_host_close(x->host, x->plugin, x->self);
    x->self = fake_host_open(x->host, x->plugin);
    CHECK(x->finished == 0);
}

static void without_credentials_it_says_what_it_needs(void **state)
{
    struct rig *x = *state;

    run(x, "");
    CHECK_EQ(x->status, SL_E_INVALID);
    CHECK(strstr(x->why, "it needs admin: { token: ... }"));
}

static void what_cannot_be_had_is_refused_before(void **state)
{
    static const char *const can[] = { "orders/*", "*", "orders/create", "fulfillments/*",
                                       "products/create refunds/create" };
    static const char *const cannot[] = { "products/*", "order", "orders/create/x", " ", "" };
    struct rig *x = *state;
    sl_values *v = fake_values_create(x->plugin->settings, settings),
              *none = fake_values_create(x->plugin->settings, without_admin);
    sl_fail fail = { .size = sizeof(fail) };

    for (size_t i = 0; i < sizeof(can) / sizeof(*can); i++)
        CHECK_EQ(x->plugin->can_backfill(v, &fake_values_api, fake_str(can[i]), &fail), SL_OK);
    for (size_t i = 0; i < sizeof(cannot) / sizeof(*cannot); i++) {
        CHECK_EQ(x->plugin->can_backfill(v, &fake_values_api, fake_str(cannot[i]), &fail),
                 SL_E_UNSUPPORTED);
        CHECK(strstr(fail.text, "of a shop orders/*"));
    }
    CHECK_EQ(x->plugin->can_backfill(none, &fake_values_api, fake_str("orders/*"), &fail),
             SL_E_INVALID);
    CHECK(strstr(fail.text, "read_orders"));
    fake_values_destroy(v);
    fake_values_destroy(none);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_restart_goes_on_in_the_operation_and_its_file),
        TEST(a_cursor_that_is_none_begins_anew),
        TEST(an_operation_that_is_lost_is_forgotten_and_run_again),
        TEST(one_that_is_lost_in_the_middle_of_its_file_leaks_nothing),
        TEST(a_shop_whose_places_are_taken_is_asked_later),
        TEST(a_missing_scope_is_said),
        TEST(what_cannot_be_stored_ends_it),
        TEST(cancelled_it_ends_at_the_next_look),
        TEST(cancelled_while_it_tells_it_ends_at_the_next_order),
        TEST(it_is_closed_with_its_endpoint_at_any_time),
        TEST(what_cannot_be_had_is_refused_before),
        cmocka_unit_test_setup_teardown(without_credentials_it_says_what_it_needs,
                                        setup_without_admin, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
