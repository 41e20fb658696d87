/*
 * test_shopify_requests.c - the feed fulfillment-requests: each request of the merchant is told as
 * an event of its order, of both kinds and over pages.
 */
#include "shopify_fixture.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define URL "https://acme.myshopify.com/admin/api/2026-10/graphql.json"
#define FO(n)                                                                         \
    "{\"id\":\"gid://shopify/FulfillmentOrder/" #n                                    \
    "\",\"status\":\"OPEN\",\"orderId\":"                                             \
    "\"gid://shopify/Order/9007199254740993\",\"orderName\":\"#1042\",\"updatedAt\":" \
    "\"2026-11-20T09:15:32Z\",\"merchantRequests\":{\"nodes\":[{\"id\":"              \
    "\"gid://shopify/FulfillmentOrderMerchantRequest/7" #n "\",\"kind\":\"K\"}]}}"
#define PAGE(nodes, more)                                         \
    "{\"data\":{\"assignedFulfillmentOrders\":{\"nodes\":[" nodes \
    "],\"pageInfo\":{\"hasNextPage\":" more ",\"endCursor\":\"c1\"}}}}"

static const struct fake_setting settings[] = {
    { "shop", SHOP }, { "webhook_secret", "x-secret" }, { "admin.token", "shpat_secret" }, { 0 }
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

struct polled {
    int finished, checkpoints;
    sl_status status;
    char why[300], told[4000];
    sl_durable_cb cb; /* of a checkpoint that was not answered yet */
    void *cb_ctx;
};

static void on_subject(void *ctx, sl_str subject, sl_str version, sl_str key, const sl_ref *refs,
                       size_t n)
{
    struct polled *p = ctx;
    size_t at = strlen(p->told);

    CHECK_EQ(n, 1);
    snprintf(p->told + at, sizeof(p->told) - at, " %.*s %.*s %.*s\n", (int)subject.len, subject.ptr,
             (int)version.len, version.ptr, (int)key.len, key.ptr);
    (void)refs;
}

static void on_note(void *ctx, sl_str text)
{
    (void)ctx, (void)text;
}

static struct fixture *current;

/* As the host does with what is emitted: it is described, without headers. */
static sl_status on_emit(void *ctx, sl_str topic, sl_str body)
{
    struct polled *p = ctx;
    sl_describe_out out = { .size = sizeof(out), .ctx = p, .subject = on_subject, .note = on_note };
    sl_event event = { .size = sizeof(event), .id = 1, .topic = topic, .body = body };
    sl_fail fail = { .size = sizeof(fail) };
    size_t at = strlen(p->told);

    snprintf(p->told + at, sizeof(p->told) - at, "%.*s", (int)topic.len, topic.ptr);
    CHECK_EQ(plugin->describe(current->self, &event, &out, &fail), SL_OK);
    return SL_OK;
}

static void on_checkpoint(void *ctx, sl_str cursor, sl_durable_cb cb, void *cb_ctx)
{
    struct polled *p = ctx;

    CHECK(cursor.len > 0 && !p->cb);
    p->checkpoints++;
    p->cb = cb;
    p->cb_ctx = cb_ctx;
}

static void on_finish(void *ctx, sl_status status, sl_str why, int64_t after_ms)
{
    struct polled *p = ctx;

    (void)after_ms;
    p->finished++;
    p->status = status;
    snprintf(p->why, sizeof(p->why), "%.*s", (int)why.len, why.ptr ? why.ptr : "");
}

static uint32_t kind_named(const char *name)
{
    uint32_t i = 0;

    while (plugin->feeds[i].name && strcmp(plugin->feeds[i].name, name) != 0)
        i++;
    assert_non_null(plugin->feeds[i].name);
    return i;
}

static struct polled poll(struct fixture *x, sl_status stored)
{
    struct polled p = { 0 };
    sl_poll_out out = { .size = sizeof(out),
                        .ctx = &p,
                        .feed = fake_str("requests"),
                        .emit = on_emit,
                        .checkpoint = on_checkpoint,
                        .finish = on_finish };
    sl_bind_in in = { .size = sizeof(in),
                      .action = kind_named("fulfillment-requests"),
                      .values = &fake_values_api };
    sl_fail fail = { .size = sizeof(fail) };
    void *handle = NULL;

    current = x;
    CHECK_EQ(plugin->bind_feed(&in, &handle, &fail), SL_OK);
    plugin->poll(x->self, handle, fake_str(""), &out);
    for (int turn = 0; turn < 10 && !p.finished; turn++) {
        fake_host_run(x->host);
        if (p.cb) {
            sl_durable_cb cb = p.cb;

            p.cb = NULL;
            cb(p.cb_ctx, stored);
        }
    }
    CHECK_EQ(p.finished, 1);
    plugin->unbind_feed(handle);
    return p;
}

static void expect(struct fixture *x, const char *page)
{
    FAKE_EXPECT(x->host, .method = "POST", .url = URL, .status = 200, .answer = page);
}

static void each_request_is_an_event_of_its_order(void **state)
{
    struct fixture *x = *state;
    struct polled p;

    expect(x, PAGE(FO(1), "true"));
    expect(x, PAGE(FO(2), "false"));
    expect(x, PAGE(FO(1), "false"));
    p = poll(x, SL_OK);
    CHECK_EQ(p.status, SL_OK);
    CHECK_EQ(p.checkpoints, 3);
#define ABOUT(topic, fo)                                                                     \
    topic " order:" SHOP "/9007199254740993 2026-11-20T09:15:32.000Z " topic ":" SHOP "/" fo \
          "/7" fo "\n"
    CHECK_STR(p.told, ABOUT("fulfillment_service/fulfillment_request", "1")
                          ABOUT("fulfillment_service/fulfillment_request", "2")
                              ABOUT("fulfillment_service/cancellation_request", "1"));
    CHECK_HAS(fake_host_last_body(x->host).ptr, "\"status\":\"CANCELLATION_REQUESTED\"");
}

static void nothing_asked_is_nothing_stored(void **state)
{
    struct fixture *x = *state;
    struct polled p;

    expect(x, PAGE("", "false"));
    expect(x, PAGE("", "false"));
    p = poll(x, SL_OK);
    CHECK_EQ(p.status, SL_OK);
    CHECK_EQ(p.checkpoints, 0);
}

static void what_fails_is_polled_again(void **state)
{
    struct fixture *x = *state;
    struct polled p;

    FAKE_EXPECT(x->host, .method = "POST", .url = URL, .status = 503);
    p = poll(x, SL_OK);
    CHECK(p.status < 0);
    CHECK_HAS(p.why, "503");
    expect(x, PAGE("", "false"));
    expect(x, "{\"data\":{\"assignedFulfillmentOrders\":null}}");
    p = poll(x, SL_OK);
    CHECK(p.status < 0);
    expect(x, PAGE(FO(1), "true"));
    p = poll(x, SL_E_INTERNAL);
    CHECK_EQ(p.status, SL_E_INTERNAL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(each_request_is_an_event_of_its_order, setup,
                                        shopify_teardown),
        cmocka_unit_test_setup_teardown(nothing_asked_is_nothing_stored, setup, shopify_teardown),
        cmocka_unit_test_setup_teardown(what_fails_is_polled_again, setup, shopify_teardown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
