/*
 * test_shopify_callbacks.c - what Shopify asks of a fulfilment service is answered out of what
 * deliveries had remembered; whoever does not know the path finds nothing.
 */
#include "shopify_fixture.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "receive/callbacks.h"

#define SECRET "k3ep-this-between_us"
#define AT     "/callbacks/" SECRET
#define ORDER  "order:" SHOP "/9007199254740993"

static const struct fake_setting settings[] = {
    { "shop", SHOP }, { "webhook_secret", "x-secret" }, { "callbacks.path_secret", SECRET }, { 0 }
};

static int setup(void **state)
{
    struct fixture *x = calloc(1, sizeof(*x));

    plugin = sl_plugin_v0();
    x->host = fake_host_create("acme", plugin->settings, settings);
    x->self = fake_host_open(x->host, plugin);
    *state = x;
    return 0;
}

/* ---- asking -------------------------------------------------------------------------------- */

struct served {
    int calls;
    uint32_t status;
    char body[20000];
};

static void on_served(void *ctx, const sl_served *a)
{
    struct served *s = ctx;

    s->calls++;
    s->status = a->status;
    snprintf(s->body, sizeof(s->body), "%.*s", (int)a->body.len, a->body.ptr);
}

static sl_status serve(struct fixture *x, const char *path, const char *query, struct served *ret)
{
    sl_head head = { .size = sizeof(head),
                     .method = fake_str("GET"),
                     .rest = fake_str(path),
                     .query = fake_str(query) };
    sl_fail fail = { .size = sizeof(fail) };
    sl_status r;

    *ret = (struct served){ 0 };
    r = plugin->serve(x->self, &head, on_served, ret, &fail);
    fake_host_run(x->host);
    CHECK_EQ(ret->calls, r == SL_OK ? 1 : 0);
    return r;
}

static const char *answer(struct fixture *x, const char *path, const char *query)
{
    static struct served s;

    CHECK_EQ(serve(x, path, query, &s), SL_OK);
    CHECK_EQ(s.status, 200);
    return s.body;
}

/* ---- remembering --------------------------------------------------------------------------- */

static uint32_t action_named(const char *name)
{
    uint32_t i = 0;

    while (plugin->actions[i].name && strcmp(plugin->actions[i].name, name) != 0)
        i++;
    assert_non_null(plugin->actions[i].name);
    return i;
}

/** One delivery by a route of the service "byron"; its outcome's `why`, "" when it is done. */
static const char *deliver(struct fixture *x, const char *action, const char *subject,
                           const char *body)
{
    static const struct fake_setting byron[] = { { "service", "byron" }, { 0 } };
    static char why[300];
    sl_bind_in in = { .size = sizeof(in),
                      .action = action_named(action),
                      .values = &fake_values_api };
    sl_record record = { .size = sizeof(record),
                         .attempt = 1,
                         .delivery = fake_str("1.0"),
                         .key = fake_str("k"),
                         .subject = fake_str(subject),
                         .body = fake_str(body) };
    sl_batch batch = { .size = sizeof(batch), .records = &record, .n_records = 1 };
    sl_fail fail = { .size = sizeof(fail) };
    struct fake_done done = { 0 };
    sl_values *params = fake_values_create(plugin->actions[in.action].params, byron);
    void *handle;

    in.params = params;
    CHECK_EQ(plugin->bind(&in, &handle, &fail), SL_OK);
    fake_done_init(&done, x->host, 1);
    plugin->deliver(x->self, handle, &batch, &done.done);
    CHECK(done.finished);
    CHECK_EQ(done.outcomes[0].kind, done.outcomes[0].why[0] ? SL_REJECTED : SL_DELIVERED);
    snprintf(why, sizeof(why), "%s", done.outcomes[0].why);
    fake_done_finish(&done);
    plugin->unbind(handle);
    fake_values_destroy(params);
    return why;
}

static const char *stock(struct fixture *x, const char *body)
{
    return deliver(x, "callback.stock", "stock:1", body);
}

/* ---- paths and queries --------------------------------------------------------------------- */

static void a_path_is_ours_only_behind_the_whole_secret(void **state)
{
    static const struct {
        const char *rest;
        enum callback_what what;
        const char *service;
    } rows[] = {
        { "", CALLBACK_NONE, "" },
        { "/", CALLBACK_NONE, "" },
        { "/callback/" SECRET "/fetch_stock", CALLBACK_NONE, "" },
        { "/callbacksx", CALLBACK_NONE, "" },
        { "/callbacks", CALLBACK_UNKNOWN, "" },
        { "/callbacks/", CALLBACK_UNKNOWN, "" },
        { "/callbacks//fetch_stock", CALLBACK_UNKNOWN, "" },
        { AT, CALLBACK_UNKNOWN, "" },
        { AT "/", CALLBACK_UNKNOWN, "" },
        { AT "/fetch_stock", CALLBACK_STOCK, "" },
        { AT "/fetch_stock.json", CALLBACK_STOCK, "" },
        { AT "/fetch_stock.xml", CALLBACK_UNKNOWN, "" },
        { AT "/fetch_stock/", CALLBACK_STOCK, "" },
        { AT "/byron/fetch_stock", CALLBACK_STOCK, "byron" },
        { AT "/byron_2-x/fetch_tracking_numbers.json", CALLBACK_TRACKING, "byron_2-x" },
        { AT "/byron/fulfillment_order_notification", CALLBACK_NOTIFICATION, "byron" },
        { AT "/Byron/fetch_stock", CALLBACK_UNKNOWN, "Byron" },
        { AT "/a/b/fetch_stock", CALLBACK_UNKNOWN, "a" },
        { AT "x/fetch_stock", CALLBACK_UNKNOWN, "" },
        { "/callbacks/" SECRET SECRET "/fetch_stock", CALLBACK_UNKNOWN, "" },
        { "/callbacks/k3ep-this-between_u/fetch_stock", CALLBACK_UNKNOWN, "" },
        { "/callbacks/K3ep-this-between_us/fetch_stock", CALLBACK_UNKNOWN, "" },
    };
    sl_str service;

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        enum callback_what what = callback_of(fake_str(SECRET), fake_str(rows[i].rest), &service);

        if (what != rows[i].what || service.len != strlen(rows[i].service) ||
            (service.len && memcmp(service.ptr, rows[i].service, service.len) != 0))
            fail_msg("%s: %d %.*s", rows[i].rest, (int)what, (int)service.len, service.ptr);
        /* where none is configured nothing is found, not even behind an empty secret */
        what = callback_of((sl_str){ 0 }, fake_str(rows[i].rest), &service);
        CHECK_EQ(what, rows[i].what == CALLBACK_NONE ? CALLBACK_NONE : CALLBACK_UNKNOWN);
    }
}

static void a_fulfilments_name_leads_to_its_orders(void **state)
{
    static const char *const rows[][2] = {
        { "#1042.1", "#1042" },
        { "#1042.12", "#1042" },
        { "#1042-F1", "#1042" },
        { "#1042", "#1042" },
        { "EU/77.x.3", "EU/77.x" },
        { "1042", "1042" },
        { ".1", ".1" },
        { "", "" },
        { "#1042.", "#1042." },
        { "#10-F", "#10-F" },
        { "-F1", "-F1" },
    };

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        sl_str name = callback_order_name(fake_str(rows[i][0]));

        CHECK_EQ(name.len, strlen(rows[i][1]));
        CHECK(memcmp(name.ptr, rows[i][1], name.len) == 0);
    }
}

static void a_query_is_read_as_browsers_write_it(void **state)
{
    static struct callback_query q;
    char longer[400];

    (void)state;
    CHECK(callback_query_read(
        fake_str("shop=acme.myshopify.com&sku=A%2b+1%26&timestamp=1&order_names[]=%231042.1&"
                 "order_names%5B%5D=%231042.2&order_names[]=%231042.1&flag&=x&order_names=no"),
        &q));
    CHECK_STR(q.shop, SHOP);
    CHECK_STR(q.sku, "A+ 1&");
    CHECK_EQ(q.n_names, 2);
    CHECK_STR(q.names[0], "#1042.1");
    CHECK_STR(q.names[1], "#1042.2");
    CHECK(callback_query_read(fake_str(""), &q));
    CHECK(!q.has_sku && !q.n_names);
    CHECK(callback_query_read(fake_str("sku="), &q));
    CHECK(q.has_sku && !q.sku[0]);
    CHECK(!callback_query_read(fake_str("sku=%"), &q));
    CHECK(!callback_query_read(fake_str("sku=%4"), &q));
    CHECK(!callback_query_read(fake_str("sku=%4g"), &q));
    CHECK(!callback_query_read(fake_str("sku=%00"), &q));
    CHECK(!callback_query_read(fake_str("order_names[]=%0a"), &q));
    snprintf(longer, sizeof(longer), "sku=%0*d", CALLBACK_MAX_SKU, 1);
    CHECK(callback_query_read(fake_str(longer), &q));
    snprintf(longer, sizeof(longer), "sku=%0*d", CALLBACK_MAX_SKU + 1, 1);
    CHECK(!callback_query_read(fake_str(longer), &q));
}

/* ---- stock --------------------------------------------------------------------------------- */

static void stock_is_told_as_it_was_remembered(void **state)
{
    struct fixture *x = *state;

    CHECK_STR(answer(x, AT "/byron/fetch_stock", ""), "{}");
    CHECK_STR(stock(x,
                    "{\"stock\":[{\"sku\":\"A\",\"available\":5},{\"sku\":\"A-1\",\"available\":0},"
                    "{\"sku\":\"\\\"\\u00c4 \\n1\",\"available\":1000000000}]}"),
              "");
    CHECK_STR(answer(x, AT "/byron/fetch_stock", "shop=" SHOP "&sku=A"), "{\"A\":5}");
    CHECK_STR(answer(x, AT "/byron/fetch_stock.json", ""),
              "{\"\\\"\xc3\x84 \\n1\":1000000000,\"A\":5,\"A-1\":0}");
    /* newer; not known any more; of another service */
    CHECK_STR(stock(x,
                    "{\"stock\":[{\"sku\":\"A\",\"available\":4.0},{\"sku\":\"A-1\"},"
                    "{\"sku\":\"\\\"\\u00c4 \\n1\",\"available\":null}]}"),
              "");
    CHECK_STR(stock(x, "{\"service\":\"nord\",\"stock\":[{\"sku\":\"A\",\"available\":7}]}"), "");
    CHECK_STR(answer(x, AT "/byron/fetch_stock", ""), "{\"A\":4}");
    CHECK_STR(answer(x, AT "/nord/fetch_stock", ""), "{\"A\":7}");
    CHECK_STR(answer(x, AT "/fetch_stock", ""), "{}");
}

static void a_body_that_says_no_stock_is_refused(void **state)
{
    static const char *const rows[][2] = {
        { "{}", "stock" },
        { "{\"stock\":[]}", "stock" },
        { "{\"stock\":[{\"available\":1}]}", "sku" },
        { "{\"stock\":[{\"sku\":\"\",\"available\":1}]}", "sku" },
        { "{\"stock\":[{\"sku\":\"A\",\"available\":-1}]}", "available" },
        { "{\"stock\":[{\"sku\":\"A\",\"available\":1.5}]}", "available" },
        { "{\"stock\":[{\"sku\":\"A\",\"available\":\"1\"}]}", "available" },
        { "{\"service\":\"By Ron\",\"stock\":[{\"sku\":\"A\",\"available\":1}]}", "service" },
    };
    struct fixture *x = *state;

    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
        CHECK_HAS(stock(x, rows[i][0]), rows[i][1]);
    CHECK_STR(answer(x, AT "/byron/fetch_stock", ""), "{}");
}

static void more_than_a_page_of_stock_is_told_whole(void **state)
{
    struct fixture *x = *state;
    char body[64];
    const char *text, *at;
    int n = 0;

    for (int i = 0; i < SL_RECALL_MAX + 1; i++) {
        snprintf(body, sizeof(body), "{\"stock\":[{\"sku\":\"S%d\",\"available\":%d}]}", i, i % 10);
        CHECK_STR(stock(x, body), "");
    }
    text = answer(x, AT "/byron/fetch_stock", "");
    for (at = text; (at = strchr(at, ':')); at++)
        n++;
    CHECK_EQ(n, SL_RECALL_MAX + 1);
    CHECK_HAS(text, ",\"S999\":9}");
    CHECK_HAS(text, "{\"S0\":0,\"S1\":1,\"S10\":0,");
}

/* ---- tracking numbers ----------------------------------------------------------------------- */

static const char *numbers(struct fixture *x, const char *query)
{
    static char text[2000];
    const char *found = answer(x, AT "/byron/fetch_tracking_numbers", query);
    const char *end = strstr(found, "},\"message\":\"ok\",\"success\":true}");

    CHECK(end && strncmp(found, "{\"tracking_numbers\":{", 21) == 0);
    snprintf(text, sizeof(text), "%.*s", (int)(end - found - 21), found + 21);
    return text;
}

static void a_number_is_told_only_where_it_is_certain(void **state)
{
    struct fixture *x = *state;

    fake_host_link(x->host, "order_name", "#1042", ORDER);
    fake_host_link(x->host, "order_name", "#1043", "order:" SHOP "/8");
    CHECK_STR(numbers(x, ""), "");
    CHECK_STR(numbers(x, "order_names[]=%231042.1"), "");
    CHECK_STR(deliver(x, "callback.tracking", ORDER, "{\"numbers\":[\"JD01\"]}"), "");
    CHECK_STR(numbers(x, "order_names[]=%231042.1&order_names[]=%231043.1&order_names[]=%239.1"),
              "\"#1042.1\":\"JD01\"");
    /* the same again is one; two fulfilments and one parcel, one fulfilment and two parcels */
    CHECK_STR(deliver(x, "callback.tracking", ORDER, "{\"numbers\":[\"JD01\"]}"), "");
    CHECK_STR(numbers(x, "order_names[]=%231042.1"), "\"#1042.1\":\"JD01\"");
    CHECK_STR(numbers(x, "order_names[]=%231042.1&order_names[]=%231042.2"), "");
    CHECK_STR(deliver(x, "callback.tracking", ORDER, "{\"numbers\":[\"JD02\"]}"), "");
    CHECK_STR(numbers(x, "order_names[]=%231042.1"), "");
    /* by its own name each is right, whatever it is about */
    CHECK_STR(deliver(x, "callback.tracking", "po:7",
                      "{\"fulfillment\":\"#1042.2\",\"numbers\":[\"J\\\"D02\"]}"),
              "");
    CHECK_STR(numbers(x, "order_names[]=%231042.2&order_names[]=%231042.1"),
              "\"#1042.2\":\"J\\\"D02\"");
}

static void a_parcel_of_nothing_is_refused(void **state)
{
    struct fixture *x = *state;

    CHECK_HAS(deliver(x, "callback.tracking", "po:7", "{\"numbers\":[\"1\"]}"),
              "no order of this shop");
    CHECK_HAS(
        deliver(x, "callback.tracking", "order:other.myshopify.com/1", "{\"numbers\":[\"1\"]}"),
        "no order of this shop");
    CHECK_HAS(deliver(x, "callback.tracking", ORDER, "{\"numbers\":[]}"), "numbers");
    CHECK_HAS(deliver(x, "callback.tracking", ORDER, "{\"numbers\":[7]}"), "numbers");
}

/* ---- who may ask --------------------------------------------------------------------------- */

static void what_is_no_question_is_told_apart(void **state)
{
    struct fixture *x = *state;
    struct served s;

    CHECK_EQ(serve(x, "", "", &s), SL_E_UNSUPPORTED);
    CHECK_EQ(serve(x, AT "/fulfillment_order_notification", "", &s), SL_E_UNSUPPORTED);
    CHECK_EQ(serve(x, "/callbacks/wrong/fetch_stock", "", &s), SL_E_NOT_FOUND);
    CHECK_EQ(serve(x, AT "/fetch_stock", "shop=other.myshopify.com", &s), SL_E_NOT_FOUND);
    CHECK_EQ(serve(x, AT "/fetch_stock", "sku=%zz", &s), SL_E_INVALID);
}

static void a_question_under_way_is_answered_when_the_endpoint_closes(void **state)
{
    struct fixture *x = *state;
    sl_head head = { .size = sizeof(head),
                     .method = fake_str("GET"),
                     .rest = fake_str(AT "/fetch_stock") };
    sl_fail fail = { .size = sizeof(fail) };
    struct served s = { 0 };

    CHECK_EQ(plugin->serve(x->self, &head, on_served, &s, &fail), SL_OK);
    CHECK_EQ(s.calls, 0);
    fake_host_close(x->host, plugin, x->self);
    CHECK_EQ(s.calls, 1);
    CHECK_EQ(s.status, 503);
    x->self = fake_host_open(x->host, plugin);
}

static void a_secret_that_can_be_guessed_does_not_open(void **state)
{
    static const char *const rows[][2] = { { "short", "at least 16" },
                                           { "with a blank in the middle", "letters, digits" },
                                           { "with/a/slash/in/the/middle", "letters, digits" } };

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        const struct fake_setting wrong[] = { { "shop", SHOP },
                                              { "webhook_secret", "x-secret" },
                                              { "callbacks.path_secret", rows[i][0] },
                                              { 0 } };
        struct fake_host *f = fake_host_create("acme", plugin->settings, wrong);
        sl_fail fail = { .size = sizeof(fail) };
        void *self = NULL;

        CHECK_EQ(plugin->open(fake_host_table(f), &self, &fail), SL_E_INVALID);
        CHECK_HAS(fail.text, rows[i][1]);
        fake_host_destroy(f);
    }
}

static void a_notification_has_a_topic_whatever_its_headers_say(void **state)
{
    struct fixture *x = *state;
    sl_head head = { .size = sizeof(head),
                     .method = fake_str("POST"),
                     .rest = fake_str(AT "/byron/fulfillment_order_notification.json") };
    sl_fail fail = { .size = sizeof(fail) };
    sl_verdict v = { .size = sizeof(v) };

    CHECK_EQ(plugin->verify(x->self, &head, &v, &fail), SL_OK);
    CHECK_EQ(v.topic.len, strlen("fulfillment_service/notification"));
    CHECK(memcmp(v.topic.ptr, "fulfillment_service/notification", v.topic.len) == 0);
    CHECK_EQ(v.scheme, SL_SIGNED_HMAC_SHA256);
    head.rest = fake_str("/callbacks/wrong/fulfillment_order_notification");
    CHECK_EQ(plugin->verify(x->self, &head, &v, &fail), SL_E_NOT_FOUND);
    head.rest = fake_str(AT "/fetch_stock");
    CHECK_EQ(plugin->verify(x->self, &head, &v, &fail), SL_E_UNSUPPORTED);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, shopify_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_path_is_ours_only_behind_the_whole_secret),
        TEST(a_fulfilments_name_leads_to_its_orders),
        TEST(a_query_is_read_as_browsers_write_it),
        TEST(stock_is_told_as_it_was_remembered),
        TEST(a_body_that_says_no_stock_is_refused),
        TEST(more_than_a_page_of_stock_is_told_whole),
        TEST(a_number_is_told_only_where_it_is_certain),
        TEST(a_parcel_of_nothing_is_refused),
        TEST(what_is_no_question_is_told_apart),
        TEST(a_question_under_way_is_answered_when_the_endpoint_closes),
        TEST(a_secret_that_can_be_guessed_does_not_open),
        TEST(a_notification_has_a_topic_whatever_its_headers_say),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
