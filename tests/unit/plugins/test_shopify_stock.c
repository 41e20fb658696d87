/*
 * test_shopify_stock.c - inventory.set: levels are written in one mutation, never over what the
 * shop has changed since it was read, and once, whatever answer is lost.
 */
#include "fake_host.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define URL  "https://acme.myshopify.com/admin/api/2026-10/graphql.json"
#define ITEM "gid://shopify/InventoryItem/"
#define SHOP "gid://shopify/Location/5"

#define COST                                                                       \
    "\"extensions\":{\"cost\":{\"requestedQueryCost\":10,\"actualQueryCost\":10,"  \
    "\"throttleStatus\":{\"maximumAvailable\":2000.0,\"currentlyAvailable\":1990," \
    "\"restoreRate\":100.0}}}"
#define DATA(data) "{\"data\":{" data "}," COST "}"
#define FOUND(nodes)                              \
    DATA("\"productVariants\":{\"nodes\":[" nodes \
         "],\"pageInfo\":{\"hasNextPage\":false,\"endCursor\":null}}")
#define NODE(sku, n)       "{\"sku\":\"" sku "\",\"inventoryItem\":{\"id\":\"" ITEM n "\"}}"
#define LEVELS(nodes)      DATA("\"nodes\":[" nodes "]")
#define LEVEL(sku, n, has) "{\"id\":\"" ITEM n "\",\"sku\":\"" sku "\",\"l0\":" has "}"
#define HAS(n)             "{\"quantities\":[{\"quantity\":" n "}]}"
#define SET(group, errors)                                                 \
    DATA("\"inventorySetQuantities\":{\"inventoryAdjustmentGroup\":" group \
         ",\"userErrors\":[" errors "]}")
#define DONE SET("{\"id\":\"gid://shopify/InventoryAdjustmentGroup/9\"}", "")
#define ERROR(code, index)                                                \
    "{\"code\":\"" code "\",\"field\":[\"input\",\"quantities\",\"" index \
    "\",\"changeFromQuantity\"],\"message\":\"says the shop\"}"

#define A         "{\"sku\":\"A\",\"quantity\":10}"
#define B         "{\"sku\":\"B\",\"quantity\":3}"
#define FOUND_A_B FOUND(NODE("A", "1") "," NODE("B", "2") "," NODE("A-1", "3"))

static const struct fake_setting settings[] = {
    { "shop", "acme.myshopify.com" },
    { "webhook_secret", "sandbox-app-secret-current" },
    { "admin.version", "2026-10" },
    { "admin.token", "shpat_secret" },
    { 0 },
};
static const struct fake_setting params[] = { { "location", "5" }, { 0 } };

#define MOST 4

struct rig {
    const sl_plugin *plugin;
    struct fake_host *host;
    void *self, *handle;
    sl_values *params;
    sl_record records[MOST];
    sl_batch batch;
    uint32_t priority;
    struct fake_done done;
    char *sent; /* the last body */
};

static uint32_t action_named(const sl_plugin *p, const char *name)
{
    for (uint32_t i = 0; p->actions[i].name; i++)
        if (!strcmp(p->actions[i].name, name))
            return i;
    fail_msg("no action %s", name);
    return 0;
}

static int setup(void **state)
{
    struct rig *x = calloc(1, sizeof(*x));
    sl_bind_in in = { .size = sizeof(in), .values = &fake_values_api };
    sl_fail fail = { .size = sizeof(fail) };

    x->plugin = sl_plugin_v0();
    in.action = action_named(x->plugin, "inventory.set");
    in.params = x->params = fake_values_create(x->plugin->actions[in.action].params, params);
    CHECK_EQ(x->plugin->bind(&in, &x->handle, &fail), SL_OK);
    x->host = fake_host_create("acme", x->plugin->settings, settings);
    x->self = fake_host_open(x->host, x->plugin);
    *state = x;
    return 0;
}

static int teardown(void **state)
{
    struct rig *x = *state;

    fake_host_close(x->host, x->plugin, x->self);
    x->plugin->unbind(x->handle);
    fake_values_destroy(x->params);
    fake_host_destroy(x->host);
    if (x->done.host)
        fake_done_finish(&x->done);
    free(x->sent);
    free(x);
    return 0;
}

static void batch_of(struct rig *x, const char *const *bodies)
{
    size_t n = 0;

    for (; bodies[n]; n++)
        x->records[n] = (sl_record){ .size = sizeof(sl_record),
                                     .attempt = 1,
                                     .delivery = fake_str("1.0"),
                                     .key = fake_str("k3y-_A"),
                                     .first_sent_ms = fake_host_wall_ms(x->host),
                                     .body = fake_str(bodies[n]),
                                     .request = fake_str(bodies[n]) };
    x->batch = (sl_batch){
        .size = sizeof(sl_batch), .records = x->records, .n_records = n, .priority = x->priority
    };
    if (x->done.host)
        fake_done_finish(&x->done);
    fake_done_init(&x->done, x->host, n);
}

static void run_for(struct rig *x, int64_t ms)
{
    sl_str sent;

    fake_host_run_for(x->host, ms);
    sent = fake_host_last_body(x->host);
    free(x->sent);
    x->sent = strndup(sent.ptr ? sent.ptr : "", sent.len);
}

static void ran(struct rig *x)
{
    fake_host_run(x->host);
    run_for(x, 0);
}

#define BODIES(...) ((const char *const[]){ __VA_ARGS__, NULL })

static void deliver(struct rig *x, const char *const *bodies)
{
    batch_of(x, bodies);
    x->plugin->deliver(x->self, x->handle, &x->batch, &x->done.done);
    ran(x);
    CHECK(x->done.finished);
}

static void expect(struct rig *x, const char *answer)
{
    FAKE_EXPECT(x->host, .method = "POST", .url = URL, .status = 200, .answer = answer);
}

/* The rows of the last mutation. */
#define ROW(n, from, to)                                                               \
    "{\"inventoryItemId\":\"" ITEM n "\",\"locationId\":\"" SHOP "\",\"quantity\":" to \
    ",\"changeFromQuantity\":" from "}"

static void check_rows(struct rig *x, const char *rows)
{
    json_t *sent = json_loads(x->sent, 0, NULL);
    json_t *input = json_object_get(json_object_get(sent, "variables"), "input");
    char *text = json_dumps(json_object_get(input, "quantities"), JSON_COMPACT);

    CHECK_STR(text ? text : "nothing", rows);
    free(text);
    json_decref(sent);
}

static char *key_of(struct rig *x)
{
    json_t *sent = json_loads(x->sent, 0, NULL);
    json_t *key = json_object_get(json_object_get(sent, "variables"), "key");
    char *own = strdup(json_is_string(key) ? json_string_value(key) : "none");

    json_decref(sent);
    return own;
}

/* ---- tests --------------------------------------------------------------------------------- */

static void levels_are_written_over_what_was_read_and_equal_ones_not_at_all(void **state)
{
    struct rig *x = *state;

    expect(x, FOUND_A_B);
    expect(x, LEVELS(LEVEL("A", "1", HAS("12")) "," LEVEL("B", "2", HAS("3"))));
    expect(x, DONE);
    deliver(x, BODIES(A, B));
    check_rows(x, "[" ROW("1", "12", "10") "]");
    CHECK(strstr(x->sent, "\"name\":\"on_hand\",\"reason\":\"correction\""));
    CHECK(strstr(x->sent, "@idempotent(key: $key)"));
    CHECK_EQ(x->done.outcomes[0].kind, SL_DELIVERED);
    CHECK_STR(x->done.outcomes[0].reference, "gid://shopify/InventoryAdjustmentGroup/9");
    CHECK_EQ(x->done.outcomes[1].kind, SL_DELIVERED);
    CHECK_STR(x->done.outcomes[1].why, "unchanged: the shop has 3");
    /* whose item it is, is known now; a level that is not there has nothing to be compared with */
    expect(x, LEVELS(LEVEL("A", "1", "null")));
    expect(x, DONE);
    deliver(x, BODIES(A));
    check_rows(x, "[" ROW("1", "null", "10") "]");
}

static void what_was_sold_in_between_stays_sold(void **state)
{
    struct rig *x = *state;

    expect(x, FOUND_A_B);
    expect(x, LEVELS(LEVEL("A", "1", HAS("12")) "," LEVEL("B", "2", HAS("7"))));
    expect(x, SET("null", ERROR("CHANGE_FROM_QUANTITY_STALE", "1")));
    expect(x, LEVELS(LEVEL("B", "2", HAS("5")))); /* only that one is asked for again */
    expect(x, DONE);
    deliver(x, BODIES(A, B));
    check_rows(x, "[" ROW("1", "12", "10") "," ROW("2", "5", "1") "]");
    CHECK_EQ(x->done.n_checkpoints, 2);
    CHECK_EQ(x->done.outcomes[0].kind, SL_DELIVERED);
    CHECK_EQ(x->done.outcomes[1].kind, SL_DELIVERED);
}

static void a_sale_that_comes_to_the_same_figure_is_a_sale_all_the_same(void **state)
{
    struct rig *x = *state;

    expect(x, FOUND_A_B);
    expect(x, LEVELS(LEVEL("A", "1", HAS("12"))));
    expect(x, SET("null", ERROR("CHANGE_FROM_QUANTITY_STALE", "0")));
    expect(x, LEVELS(LEVEL("A", "1", HAS("10"))));
    expect(x, DONE);
    deliver(x, BODIES(A));
    check_rows(x, "[" ROW("1", "10", "8") "]");
}

static void what_was_written_before_a_refusal_is_not_taken_for_a_sale(void **state)
{
    struct rig *x = *state;

    expect(x, FOUND_A_B);
    expect(x, LEVELS(LEVEL("A", "1", HAS("12")) "," LEVEL("B", "2", HAS("7"))));
    expect(x, SET("null", ERROR("IDEMPOTENCY_KEY_PARAMETER_MISMATCH", "")));
    expect(x, SET("null", ERROR("CHANGE_FROM_QUANTITY_STALE", "0")));
    expect(x, LEVELS(LEVEL("A", "1", HAS("10"))));
    expect(x, DONE);
    deliver(x, BODIES(A, B));
    check_rows(x, "[" ROW("2", "7", "3") "]");
    CHECK_STR(x->done.outcomes[0].why, "unchanged: the shop has 10");
    CHECK_EQ(x->done.outcomes[1].kind, SL_DELIVERED);
}

static void more_sold_than_there_is_leaves_none(void **state)
{
    struct rig *x = *state;

    expect(x, FOUND_A_B);
    expect(x, LEVELS(LEVEL("B", "2", HAS("7"))));
    expect(x, SET("null", ERROR("CHANGE_FROM_QUANTITY_STALE", "0")));
    expect(x, LEVELS(LEVEL("B", "2", HAS("1"))));
    expect(x, DONE);
    deliver(x, BODIES(B));
    check_rows(x, "[" ROW("2", "1", "0") "]");
}

static void a_level_that_never_rests_is_left_for_later(void **state)
{
    struct rig *x = *state;
    int asked = 0;

    expect(x, FOUND_A_B);
    expect(x, LEVELS(LEVEL("B", "2", HAS("7"))));
    for (; asked < 5; asked++) {
        expect(x, SET("null", ERROR("CHANGE_FROM_QUANTITY_STALE", "0")));
        expect(x, LEVELS(LEVEL("B", "2", HAS("8"))));
    }
    expect(x, SET("null", ERROR("CHANGE_FROM_QUANTITY_STALE", "0")));
    deliver(x, BODIES(B));
    CHECK_EQ(x->done.outcomes[0].kind, SL_RETRY);
    CHECK(strstr(x->done.outcomes[0].why, "faster than they can be set"));
}

static void one_bad_row_is_refused_and_the_others_are_written(void **state)
{
    struct rig *x = *state;

    expect(x, FOUND_A_B);
    expect(x, LEVELS(LEVEL("A", "1", HAS("12")) "," LEVEL("B", "2", HAS("7"))));
    expect(x, SET("null", ERROR("INVALID_LOCATION", "0")));
    expect(x, DONE);
    deliver(x, BODIES(A, B));
    CHECK_EQ(x->done.outcomes[0].kind, SL_REJECTED);
    CHECK_STR(x->done.outcomes[0].why, "SKU A at 5: says the shop");
    CHECK_EQ(x->done.outcomes[1].kind, SL_DELIVERED);
    check_rows(x, "[" ROW("2", "7", "3") "]");
}

static void bodies_that_say_nothing_usable_are_refused_by_what_is_wrong(void **state)
{
    static const struct {
        const char *body, *why;
    } cases[] = {
        { "{\"sku\":\"A\"}", "quantity" },
        { "{\"quantity\":1}", "sku" },
        { "{\"sku\":\"A\",\"quantity\":-1}", "quantity" },
        { "{\"sku\":\"A\",\"quantity\":1,\"location\":\"North\",\"location_id\":\"5\"}",
          "location_id and location: give one of them" },
    };
    struct rig *x = *state;

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        deliver(x, BODIES(cases[i].body));
        CHECK_EQ(x->done.outcomes[0].kind, SL_REJECTED);
        if (!strstr(x->done.outcomes[0].why, cases[i].why))
            fail_msg("%s: %s", cases[i].body, x->done.outcomes[0].why);
    }
    expect(x, FOUND(NODE("A", "1") "," NODE("A", "4")));
    deliver(x, BODIES(A, B));
    CHECK(strstr(x->done.outcomes[0].why, "several variants have the SKU \"A\""));
    CHECK(strstr(x->done.outcomes[1].why, "no variant has the SKU \"B\""));
}

#define PLACES                                                                                \
    DATA(                                                                                     \
        "\"locations\":{\"nodes\":[{\"id\":\"gid://shopify/Location/6\",\"name\":\"North\"}," \
        "{\"id\":\"" SHOP "\",\"name\":\"Leeds\"}],\"pageInfo\":{\"hasNextPage\":false}}")
#define AT(place) \
    "{\"inventory_item_id\":9007199254740993,\"quantity\":2,\"location\":\"" place "\"}"

static void an_item_may_be_named_and_a_location_by_its_name(void **state)
{
    struct rig *x = *state;

    expect(x, PLACES);
    expect(x, LEVELS("{\"id\":\"" ITEM "9007199254740993\",\"sku\":null,\"l0\":" HAS("1") "}"));
    expect(x, DONE);
    deliver(x, BODIES(AT("North")));
    CHECK_EQ(x->done.outcomes[0].kind, SL_DELIVERED);
    CHECK(strstr(x->sent, "\"inventoryItemId\":\"" ITEM "9007199254740993\",\"locationId\":"
                          "\"gid://shopify/Location/6\",\"quantity\":2"));
    deliver(x, BODIES(AT("South"))); /* not asked again so soon */
    CHECK_EQ(x->done.outcomes[0].kind, SL_REJECTED);
    CHECK_STR(x->done.outcomes[0].why,
              "the shop has no location \"South\"; there are: North, Leeds");
    fake_host_run_for(x->host, 61000);
    expect(x, PLACES);
    deliver(x, BODIES(AT("South")));
    CHECK_EQ(x->done.outcomes[0].kind, SL_REJECTED);
}

static void what_is_asked_is_as_urgent_as_its_delivery(void **state)
{
    struct rig *x = *state;

    x->priority = SL_PRIORITY_LOW;
    expect(x, FOUND(NODE("A", "1")));
    expect(x, PLACES);
    expect(x, LEVELS(LEVEL("A", "1", HAS("12"))));
    expect(x, DONE);
    deliver(x, BODIES("{\"sku\":\"A\",\"quantity\":2,\"location\":\"North\"}"));
    CHECK_EQ(x->done.outcomes[0].kind, SL_DELIVERED);
    CHECK_EQ(fake_host_priorities(x->host), 1u << SL_PRIORITY_LOW);
}

static void a_sku_that_moved_to_another_item_is_looked_for_anew(void **state)
{
    struct rig *x = *state;

    expect(x, FOUND_A_B);
    expect(x, LEVELS(LEVEL("Z", "1", HAS("12"))));
    deliver(x, BODIES(A));
    CHECK_EQ(x->done.outcomes[0].kind, SL_RETRY);
    expect(x, FOUND(NODE("A", "4")));
    expect(x, LEVELS(LEVEL("A", "4", HAS("12"))));
    expect(x, DONE);
    deliver(x, BODIES(A));
    CHECK_EQ(x->done.outcomes[0].kind, SL_DELIVERED);
    check_rows(x, "[" ROW("4", "12", "10") "]");
}

static void after_a_crash_the_same_rows_go_out_with_the_same_key(void **state)
{
    struct rig *x = *state;
    char *key, *again, *rows, *token;

    expect(x, FOUND_A_B);
    expect(x, LEVELS(LEVEL("A", "1", HAS("12")) "," LEVEL("B", "2", HAS("7"))));
    for (int i = 0; i < 6; i++)
        FAKE_EXPECT(x->host, .method = "POST", .url = URL, .error = SL_E_TIMEOUT, .sent = 1);
    batch_of(x, BODIES(A, B));
    x->plugin->deliver(x->self, x->handle, &x->batch, &x->done.done);
    ran(x);
    CHECK(x->done.finished);
    CHECK_EQ(x->done.outcomes[0].kind, SL_RETRY); /* harmless: it is read anew */
    key = key_of(x);
    rows = strdup(strstr(x->sent, "\"quantities\""));
    token = strdup(x->done.token);
    expect(x, DONE); /* the shop answers for what it did before, or does it now */
    batch_of(x, BODIES(A, B));
    x->plugin->resume(x->self, x->handle, &x->batch, fake_str(token), &x->done.done);
    ran(x);
    CHECK_STR(strstr(x->sent, "\"quantities\""), rows);
    again = key_of(x);
    CHECK_STR(again, key);
    free(again);
    CHECK_EQ(x->done.outcomes[0].kind, SL_DELIVERED);
    CHECK_EQ(x->done.outcomes[1].kind, SL_DELIVERED);
    /* a day later the shop has forgotten the key: nothing is sent blindly */
    batch_of(x, BODIES(A, B));
    x->records[0].first_sent_ms -= 86400000;
    x->plugin->resume(x->self, x->handle, &x->batch, fake_str(token), &x->done.done);
    ran(x);
    CHECK_EQ(x->done.outcomes[0].kind, SL_RETRY);
    /* nor what a damaged token says */
    batch_of(x, BODIES(A, B));
    x->plugin->resume(x->self, x->handle, &x->batch, fake_str("{\"rows\":[[7,\"1\",\"5\",1,2]]}"),
                      &x->done.done);
    ran(x);
    CHECK_EQ(x->done.outcomes[1].kind, SL_RETRY);
    free(key);
    free(rows);
    free(token);
}

/* Not read again: what was sold since they were written would be taken back. */
static void a_lost_answer_is_asked_for_with_the_same_rows_and_key(void **state)
{
    struct rig *x = *state;
    char *key, *again;

    expect(x, FOUND_A_B);
    expect(x, LEVELS(LEVEL("A", "1", HAS("12")) "," LEVEL("B", "2", HAS("7"))));
    FAKE_EXPECT(x->host, .method = "POST", .url = URL, .error = SL_E_TIMEOUT, .sent = 1);
    batch_of(x, BODIES(A, B));
    x->plugin->deliver(x->self, x->handle, &x->batch, &x->done.done);
    run_for(x, 500);
    CHECK(!x->done.finished);
    key = key_of(x);
    expect(x, SET("null", ERROR("IDEMPOTENCY_CONCURRENT_REQUEST", "0")));
    run_for(x, 1000);
    CHECK(!x->done.finished);
    expect(x, DONE);
    run_for(x, 1000);
    again = key_of(x);
    CHECK_STR(again, key);
    check_rows(x, "[" ROW("1", "12", "10") "," ROW("2", "7", "3") "]");
    CHECK_EQ(x->done.n_checkpoints, 1);
    CHECK(x->done.finished);
    CHECK_EQ(x->done.outcomes[1].kind, SL_DELIVERED);
    free(key);
    free(again);
    /* closed while it waits: nothing is left */
    expect(x, LEVELS(LEVEL("A", "1", HAS("12"))));
    FAKE_EXPECT(x->host, .method = "POST", .url = URL, .error = SL_E_TIMEOUT, .sent = 1);
    batch_of(x, BODIES(A));
    x->plugin->deliver(x->self, x->handle, &x->batch, &x->done.done);
    run_for(x, 500);
    CHECK(!x->done.finished);
}

static void what_the_shop_cannot_do_now_is_done_later(void **state)
{
    struct rig *x = *state;

    expect(x, FOUND_A_B);
    expect(x, LEVELS(LEVEL("A", "1", HAS("12")) "," LEVEL("B", "2", HAS("7"))));
    expect(x,
           "{\"errors\":[{\"message\":\"Throttled\",\"extensions\":{\"code\":\"THROTTLED\"}}]," COST
           "}");
    deliver(x, BODIES(A, B));
    CHECK_EQ(x->done.outcomes[1].kind, SL_THROTTLED);
    /* one of many is the reason: each goes alone, and then it is known which */
    expect(x,
           "{\"errors\":[{\"message\":\"no\",\"extensions\":{\"code\":\"INVALID_VARIABLE\"}}]," COST
           "}");
    deliver(x, BODIES(A, B));
    CHECK_EQ(x->done.outcomes[0].kind, SL_RETRY);
    CHECK_EQ(x->done.outcomes[0].narrow, 1);
    expect(x,
           "{\"errors\":[{\"message\":\"no\",\"extensions\":{\"code\":\"INVALID_VARIABLE\"}}]," COST
           "}");
    deliver(x, BODIES(A));
    CHECK_EQ(x->done.outcomes[0].kind, SL_REJECTED);
}

static void levels_gather_and_nothing_else_waits(void **state)
{
    struct rig *x = *state;

    for (uint32_t i = 0; x->plugin->actions[i].name; i++) {
        sl_batching how = { .size = sizeof(how) };

        x->plugin->batching(i, x->handle, &how);
        CHECK_EQ(how.age_ms, strcmp(x->plugin->actions[i].name, "inventory.set") == 0 ? 1000 : 0);
        CHECK_EQ(how.quick_records, 0);
    }
}

static void a_level_is_in_one_batch_at_a_time_and_there_once(void **state)
{
    struct rig *x = *state;
    char first[200];
    sl_str key = x->plugin->row_key(x->self, x->handle, fake_str(A));

    snprintf(first, sizeof(first), "%.*s", (int)key.len, key.ptr);
    key = x->plugin->row_key(x->self, x->handle, fake_str("{\"quantity\":1,\"sku\":\"A\"}"));
    CHECK_EQ(key.len, strlen(first));
    CHECK(!memcmp(key.ptr, first, key.len));
    key = x->plugin->row_key(x->self, x->handle,
                             fake_str("{\"quantity\":1,\"sku\":\"A\",\"location\":\"North\"}"));
    CHECK(key.len != strlen(first));
    key = x->plugin->parent_key(x->self, x->handle, fake_str("{\"quantity\":1,\"sku\":\"A\"}"));
    CHECK_EQ(key.len, strlen(first));
    CHECK(!memcmp(key.ptr, first, key.len));
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(levels_are_written_over_what_was_read_and_equal_ones_not_at_all),
        TEST(what_was_sold_in_between_stays_sold),
        TEST(a_sale_that_comes_to_the_same_figure_is_a_sale_all_the_same),
        TEST(what_was_written_before_a_refusal_is_not_taken_for_a_sale),
        TEST(more_sold_than_there_is_leaves_none),
        TEST(a_level_that_never_rests_is_left_for_later),
        TEST(one_bad_row_is_refused_and_the_others_are_written),
        TEST(bodies_that_say_nothing_usable_are_refused_by_what_is_wrong),
        TEST(an_item_may_be_named_and_a_location_by_its_name),
        TEST(what_is_asked_is_as_urgent_as_its_delivery),
        TEST(a_sku_that_moved_to_another_item_is_looked_for_anew),
        TEST(after_a_crash_the_same_rows_go_out_with_the_same_key),
        TEST(a_lost_answer_is_asked_for_with_the_same_rows_and_key),
        TEST(what_the_shop_cannot_do_now_is_done_later),
        TEST(levels_gather_and_nothing_else_waits),
        TEST(a_level_is_in_one_batch_at_a_time_and_there_once),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
