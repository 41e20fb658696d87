/*
 * test_shopify_feed.c - polls of the orders that have changed: what is asked, what becomes of the
 * pages, where the watermark stands; webhooks that lag.
 */
#include "fake_host.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "feeds/feeds.h"

#define URL "https://acme.myshopify.com/admin/api/2026-10/graphql.json"
#define MARK \
    "{\"v\":1,\"upto\":\"2026-11-20T09:00:00.000Z\",\"since\":\"2026-11-01T00:00:00.000Z\"}"
#define COST                                                                       \
    "\"extensions\":{\"cost\":{\"requestedQueryCost\":500,\"actualQueryCost\":50," \
    "\"throttleStatus\":{\"maximumAvailable\":2000.0,\"currentlyAvailable\":1950," \
    "\"restoreRate\":100.0}}}"
#define MOST 64 /* answers of a test */

static const struct fake_setting settings[] = { { "shop", "acme.myshopify.com" },
                                                { "webhook_secret", "sandbox-app-secret-current" },
                                                { "admin.version", "2026-10" },
                                                { "admin.token", "shpat_secret" },
                                                { 0 } };

struct rig {
    const sl_plugin *plugin;
    struct fake_host *host;
    void *self;
    char *answers[MOST]; /* own */
    size_t n_answers;
    sl_poll_out out;
    char told[1 << 14]; /* "topic since unless" a line */
    size_t emitted, room, pending;
    size_t checkpoints;
    char cursor[400], cursors[4000];
    sl_durable_cb cb;
    void *cb_ctx;
    int finished;
    sl_status status;
    char why[600];
    int64_t after_ms;
};

static int setup(void **state)
{
    struct rig *x = calloc(1, sizeof(*x));

    x->plugin = sl_plugin_v0();
    x->host = fake_host_create("acme", x->plugin->settings, settings);
    x->self = fake_host_open(x->host, x->plugin);
    x->room = 1000;
    *state = x;
    return 0;
}

static int teardown(void **state)
{
    struct rig *x = *state;

    fake_host_close(x->host, x->plugin, x->self);
    fake_host_destroy(x->host);
    for (size_t i = 0; i < x->n_answers; i++)
        free(x->answers[i]);
    free(x);
    return 0;
}

/* ---- the host's side ----------------------------------------------------------------------- */

static sl_status on_emit_missed(void *ctx, const sl_missed *m)
{
    struct rig *x = ctx;
    size_t at = strlen(x->told);

    CHECK(!x->finished);
    CHECK(m->body.len > 0);
    if (x->pending == x->room)
        return SL_E_LIMIT;
    x->emitted++;
    x->pending++;
    if (at + 300 < sizeof(x->told))
        snprintf(x->told + at, sizeof(x->told) - at, "%.*s %.*s\n", (int)m->topic.len, m->topic.ptr,
                 (int)m->since.len, m->since.ptr);
    CHECK_EQ(m->since.len > 0, m->unless.len > 0);
    return SL_OK;
}

static void on_durable(void *ctx)
{
    struct rig *x = ctx;

    x->pending = 0;
    x->cb(x->cb_ctx, SL_OK);
}

static void on_checkpoint(void *ctx, sl_str cursor, sl_durable_cb cb, void *cb_ctx)
{
    struct rig *x = ctx;
    const sl_host *h = fake_host_table(x->host);

    x->checkpoints++;
    snprintf(x->cursor, sizeof(x->cursor), "%.*s", (int)cursor.len, cursor.ptr);
    if (strlen(x->cursors) + strlen(x->cursor) + 2 < sizeof(x->cursors)) {
        strcat(x->cursors, x->cursor);
        strcat(x->cursors, "\n");
    }
    x->cb = cb;
    x->cb_ctx = cb_ctx;
    h->timer(h->ctx, 1, on_durable, x);
}

static void on_finish(void *ctx, sl_status status, sl_str why, int64_t after_ms)
{
    struct rig *x = ctx;

    x->finished++;
    x->status = status;
    x->after_ms = after_ms;
    snprintf(x->why, sizeof(x->why), "%.*s", (int)why.len, why.len ? why.ptr : "");
}

static void *bind(struct rig *x, const struct fake_setting *params, sl_values **ret)
{
    sl_bind_in in = { .size = sizeof(in), .values = &fake_values_api };
    sl_fail fail = { .size = sizeof(fail) };
    void *handle = NULL;

    in.params = *ret = fake_values_create(x->plugin->feeds[0].params, params);
    if (x->plugin->bind_feed(&in, &handle, &fail) < 0)
        fail_msg("%s", fail.text);
    return handle;
}

static const struct fake_setting plain[] = { { 0 } };

static void poll_with(struct rig *x, const struct fake_setting *params, const char *cursor)
{
    sl_values *v;
    void *handle = bind(x, params, &v);

    x->out = (sl_poll_out){ .size = sizeof(x->out),
                            .ctx = x,
                            .checkpoint = on_checkpoint,
                            .finish = on_finish,
                            .emit_missed = on_emit_missed };
    x->finished = 0;
    x->plugin->poll(x->self, handle, (sl_str){ cursor, strlen(cursor) }, &x->out);
    fake_host_run(x->host);
    CHECK_EQ(x->finished, 1);
    x->plugin->unbind_feed(handle);
    fake_values_destroy(v);
}

/* ---- the shop's side ----------------------------------------------------------------------- */

static json_t *order(int number, const char *updated)
{
    json_t *o = json_load_file(DATA_DIR "/shopify-answer-order.json", 0, NULL);
    char id[60];

    assert_non_null(o);
    snprintf(id, sizeof(id), "gid://shopify/Order/%d", number);
    json_object_set_new(o, "id", json_string(id));
    json_object_set_new(o, "updatedAt", json_string(updated));
    return o;
}

static void expect(struct rig *x, char *answer)
{
    assert_true(x->n_answers < MOST);
    x->answers[x->n_answers++] = answer;
    FAKE_EXPECT(x->host, .method = "POST", .url = URL, .status = 200, .answer = answer);
}

/* A page of these orders, which it takes over; the cursor of the next one, or NULL. */
static void expect_page(struct rig *x, json_t *nodes, const char *next)
{
    json_t *data = json_pack("{s:{s:i},s:{s:o,s:{s:b,s:s?}}}", "shop", "timezoneOffsetMinutes", 60,
                             "orders", "nodes", nodes, "pageInfo", "hasNextPage", next != NULL,
                             "endCursor", next ? next : "last");
    char *text = json_dumps(data, JSON_COMPACT), *answer = NULL;

    CHECK(asprintf(&answer, "{\"data\":%s," COST "}", text) > 0);
    free(text);
    json_decref(data);
    expect(x, answer);
}

static json_t *asked(struct rig *x, const char *variable)
{
    sl_str body = fake_host_last_body(x->host);
    json_t *o = json_loadb(body.ptr, body.len, 0, NULL), *found;

    found = json_incref(json_object_get(json_object_get(o, "variables"), variable));
    json_decref(o);
    return found;
}

#define CHECK_ASKED(x, variable, text)             \
    do {                                           \
        json_t *is_ = asked((x), (variable));      \
        CHECK_STR(json_string_value(is_), (text)); \
        json_decref(is_);                          \
    } while (0)

/* ---- tests --------------------------------------------------------------------------------- */

static void the_first_poll_only_sets_the_mark(void **state)
{
    struct rig *x = *state;

    poll_with(x, plain, "");
    CHECK_EQ(x->status, SL_OK);
    CHECK_EQ(fake_host_requests(x->host), 0);
    CHECK_STR(x->cursor,
              "{\"v\":1,\"upto\":\"2026-11-20T09:15:32.000Z\","
              "\"since\":\"2026-11-20T09:15:32.000Z\"}");
}

static void the_watermark_less_the_overlap_is_asked_in_quotes(void **state)
{
    struct rig *x = *state;

    expect_page(x, json_pack("[o]", order(7, "2026-11-20T09:15:32Z")), NULL);
    poll_with(x, plain, MARK);
    CHECK_EQ(x->status, SL_OK);
    CHECK_ASKED(x, "query", "updated_at:>='2026-11-20T08:50:00.000Z'");
    CHECK(strstr(fake_host_last_body(x->host).ptr, "sortKey:UPDATED_AT"));
    CHECK_STR(x->told,
              "orders/create 2026-11-20T09:14:30.000Z\n"
              "orders/paid 2026-11-20T09:14:31.000Z\n"
              "orders/updated 2026-11-20T09:15:32.000Z\n");
    CHECK_STR(x->cursor,
              "{\"v\":1,\"upto\":\"2026-11-20T09:15:32.000Z\","
              "\"since\":\"2026-11-01T00:00:00.000Z\"}");
}

static void a_poll_that_finds_nothing_leaves_the_mark(void **state)
{
    struct rig *x = *state;

    expect_page(x, json_array(), NULL);
    poll_with(x, plain, MARK);
    CHECK_EQ(x->status, SL_OK);
    CHECK_STR(x->cursor, MARK);
}

static void the_mark_moves_when_all_pages_are_read(void **state)
{
    struct rig *x = *state;
    int64_t began = fake_host_wall_ms(x->host);

    expect_page(
        x, json_pack("[o,o]", order(1, "2026-11-20T09:01:00Z"), order(2, "2026-11-20T09:02:00Z")),
        "c1");
    expect_page(x, json_pack("[o]", order(3, "2026-11-20T09:03:00Z")), "c2");
    expect_page(x, json_pack("[o]", order(4, "2026-11-20T09:04:00Z")), NULL);
    poll_with(x, plain, MARK);
    CHECK_EQ(x->status, SL_OK);
    CHECK_ASKED(x, "after", "c2");
    CHECK_STR(x->cursors, MARK "\n" MARK
                               "\n"
                               "{\"v\":1,\"upto\":\"2026-11-20T09:04:00.000Z\","
                               "\"since\":\"2026-11-01T00:00:00.000Z\"}\n");
    CHECK_EQ(x->emitted, 12);
    /* 50 points a page, and a quarter of 100 a second is ours */
    CHECK(fake_host_wall_ms(x->host) - began >= 4000);
}

static void a_poll_that_fails_between_pages_leaves_the_mark(void **state)
{
    struct rig *x = *state;

    expect_page(x, json_pack("[o]", order(1, "2026-11-20T09:01:00Z")), "c1");
    FAKE_EXPECT(x->host, .error = SL_E_NETWORK, .sent = 1);
    poll_with(x, plain, MARK);
    CHECK_EQ(x->status, SL_E_NETWORK);
    CHECK_STR(x->cursor, MARK);
}

static void refused_for_pace_it_waits_and_goes_on(void **state)
{
    struct rig *x = *state;

    expect(x, strdup("{\"errors\":[{\"message\":\"Throttled\",\"extensions\":{\"code\":"
                     "\"THROTTLED\"}}],\"extensions\":{\"cost\":{\"requestedQueryCost\":752,"
                     "\"actualQueryCost\":null,\"throttleStatus\":{\"maximumAvailable\":2000,"
                     "\"currentlyAvailable\":252,\"restoreRate\":100}}}}"));
    expect_page(x, json_pack("[o]", order(1, "2026-11-20T09:01:00Z")), NULL);
    poll_with(x, plain, MARK);
    CHECK_EQ(x->status, SL_OK);
    CHECK_EQ(x->emitted, 3);
}

static void a_missing_scope_is_said(void **state)
{
    struct rig *x = *state;

    expect(x, strdup("{\"errors\":[{\"message\":\"Access denied for orders field.\","
                     "\"extensions\":{\"code\":\"ACCESS_DENIED\"}}],\"data\":null}"));
    poll_with(x, plain, MARK);
    CHECK(x->status < 0);
    CHECK(strstr(x->why, "Access denied for orders field."));
}

static void an_order_that_does_not_fit_is_asked_for_alone(void **state)
{
    struct rig *x = *state;
    json_t *long_one = order(1, "2026-11-20T09:01:00Z"), *whole;
    char *text, *answer = NULL;

    json_object_set_new(json_object_get(json_object_get(long_one, "lineItems"), "pageInfo"),
                        "hasNextPage", json_true());
    expect_page(x, json_pack("[o,o]", long_one, order(2, "2026-11-20T09:02:00Z")), NULL);
    whole = order(1, "2026-11-20T09:01:00Z");
    text = json_dumps(whole, JSON_COMPACT);
    CHECK(asprintf(&answer, "{\"data\":{\"order\":%s}," COST "}", text) > 0);
    free(text);
    json_decref(whole);
    expect(x, answer);
    poll_with(x, plain, MARK);
    CHECK_EQ(x->status, SL_OK);
    CHECK_ASKED(x, "id", "gid://shopify/Order/1");
    CHECK_EQ(x->emitted, 6);
}

static void what_does_not_fit_between_two_checkpoints_goes_on_after_one(void **state)
{
    struct rig *x = *state;

    x->room = 2; /* of an order's three */
    expect_page(
        x, json_pack("[o,o]", order(1, "2026-11-20T09:01:00Z"), order(2, "2026-11-20T09:02:00Z")),
        NULL);
    poll_with(x, plain, MARK);
    CHECK_EQ(x->status, SL_OK);
    CHECK_EQ(x->emitted, 6);
}

static void only_the_topics_that_are_asked_for_are_told(void **state)
{
    static const struct fake_setting some[] = {
        { "topics", "[\"orders/paid\",\"orders/cancelled\"]" }, { 0 }
    };
    struct rig *x = *state;

    expect_page(x, json_pack("[o]", order(1, "2026-11-20T09:01:00Z")), NULL);
    poll_with(x, some, MARK);
    CHECK_STR(x->told, "orders/paid 2026-11-20T09:14:31.000Z\n");
}

static void a_nightly_poll_looks_back_but_not_before_the_first(void **state)
{
    static const struct fake_setting nightly[] = { { "look_back", "2d" }, { 0 } };
    struct rig *x = *state;

    expect_page(x, json_array(), NULL);
    poll_with(x, nightly, MARK);
    CHECK_ASKED(x, "query", "updated_at:>='2026-11-18T09:15:32.000Z'");
    expect_page(x, json_array(), NULL);
    poll_with(x, nightly,
              "{\"v\":1,\"upto\":\"2026-11-20T01:00:00Z\",\"since\":\"2026-11-19T01:00:00Z\"}");
    CHECK_ASKED(x, "query", "updated_at:>='2026-11-19T01:00:00.000Z'");
}

static void wrong_parameters_are_refused_with_what_would_be_right(void **state)
{
    static const struct {
        struct fake_setting params[2];
        const char *says;
    } cases[] = {
        { { { "topics", "[\"orders/made\"]" }, { 0 } }, "\"orders/made\" cannot be told from" },
        { { { "topics", "[]" }, { 0 } }, "leave it out" },
        { { { "since", "yesterday" }, { 0 } }, "it reads 2026-11-01T00:00:00Z" },
    };
    struct rig *x = *state;

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        sl_bind_in in = { .size = sizeof(in), .values = &fake_values_api };
        sl_fail fail = { .size = sizeof(fail) };
        void *handle = NULL;
        sl_values *v = fake_values_create(x->plugin->feeds[0].params, cases[i].params);

        in.params = v;
        CHECK_EQ(x->plugin->bind_feed(&in, &handle, &fail), SL_E_INVALID);
        CHECK(strstr(fail.text, cases[i].says));
        fake_values_destroy(v);
    }
}

static void a_poll_under_way_ends_with_its_host(void **state)
{
    struct rig *x = *state;
    sl_values *v;
    void *handle = bind(x, plain, &v);

    FAKE_EXPECT(x->host, .method = "POST", .never = true);
    x->out = (sl_poll_out){ .size = sizeof(x->out),
                            .ctx = x,
                            .checkpoint = on_checkpoint,
                            .finish = on_finish,
                            .emit_missed = on_emit_missed };
    x->plugin->poll(x->self, handle, (sl_str){ MARK, strlen(MARK) }, &x->out);
    fake_host_run(x->host);
    CHECK_EQ(x->finished, 0);
    fake_host_close(x->host, x->plugin, x->self);
    x->self = fake_host_open(x->host, x->plugin);
    x->plugin->unbind_feed(handle);
    fake_values_destroy(v);
}

/* ---- time is an argument ------------------------------------------------------------------- */

static void the_pause_keeps_the_share_and_half_of_the_bucket(void **state)
{
    static const struct {
        const char *cost;
        int64_t share, ms;
    } cases[] = {
        { "{\"actualQueryCost\":50,\"throttleStatus\":{\"maximumAvailable\":2000.0,"
          "\"currentlyAvailable\":1950,\"restoreRate\":100.0}}",
          25, 2000 },
        { "{\"actualQueryCost\":50,\"throttleStatus\":{\"maximumAvailable\":2000,"
          "\"currentlyAvailable\":1950,\"restoreRate\":100}}",
          100, 500 },
        { "{\"actualQueryCost\":50,\"throttleStatus\":{\"maximumAvailable\":2000,"
          "\"currentlyAvailable\":400,\"restoreRate\":100}}",
          100, 6000 }, /* somebody else uses it */
        { "{\"actualQueryCost\":900,\"throttleStatus\":{\"maximumAvailable\":2000,"
          "\"currentlyAvailable\":1000,\"restoreRate\":1}}",
          1, 60000 },
        { "{\"actualQueryCost\":null,\"throttleStatus\":{}}", 25, 0 },
        { "[]", 25, 0 },
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct feed f = { .share = cases[i].share };
        json_t *cost = json_loads(cases[i].cost, 0, NULL);

        assert_non_null(cost);
        CHECK_EQ(feed_pause_ms(&f, cost), cases[i].ms);
        json_decref(cost);
    }
    CHECK_EQ(feed_pause_ms(&(struct feed){ .share = 25 }, NULL), 0);
}

static void a_cursor_that_is_none_is_as_if_there_were_none(void **state)
{
    static const char *const none[] = { "", "x", "{}", "{\"upto\":\"2026-11-20T09:00:00Z\"}",
                                        "{\"upto\":5,\"since\":\"2026-11-20T09:00:00Z\"}" };

    (void)state;
    for (size_t i = 0; i < sizeof(none) / sizeof(none[0]); i++) {
        struct feed_mark m = feed_mark_read((sl_str){ none[i], strlen(none[i]) });

        CHECK(m.upto_ms == 0 && m.since_ms == 0);
    }
}

/* ---- webhooks that lag ---------------------------------------------------------------------- */

static void on_subject(void *ctx, sl_str subject, sl_str version, sl_str key, const sl_ref *refs,
                       size_t n)
{
    (void)ctx, (void)subject, (void)version, (void)key, (void)refs, (void)n;
}

static void on_note(void *ctx, sl_str text)
{
    (void)ctx, (void)text;
}

static size_t saw(struct rig *x, const char *triggered, int64_t *ret_ms)
{
    sl_header header = { { "x-shopify-triggered-at", 22 }, { triggered, strlen(triggered) } };
    sl_event e = { .size = sizeof(e),
                   .received_ms = fake_host_wall_ms(x->host),
                   .topic = { "orders/delete", 13 },
                   .headers = &header,
                   .n_headers = 1,
                   .body = { "{\"id\":1}", 8 } };
    sl_describe_out out = { .size = sizeof(out), .subject = on_subject, .note = on_note };
    sl_fail fail = { .size = sizeof(fail) };

    CHECK_EQ(x->plugin->describe(x->self, &e, &out, &fail), SL_OK);
    return fake_host_polls_soon(x->host, ret_ms);
}

static void webhooks_that_lag_behind_bring_the_next_poll_nearer(void **state)
{
    struct rig *x = *state;
    int64_t ms = 0;

    CHECK_EQ(saw(x, "2026-11-20T09:15:30.000000Z", &ms), 0); /* now: 09:15:32 */
    CHECK_EQ(saw(x, "2026-11-20T09:13:40.000000Z", &ms), 0);
    CHECK_EQ(saw(x, "when", &ms), 0);
    CHECK_EQ(saw(x, "2026-11-20T09:13:31.000000Z", &ms), 1);
    CHECK(ms > 0 && ms <= 10000);
    CHECK_EQ(saw(x, "2026-11-20T09:10:00.000000Z", &ms), 1); /* said already */
    fake_host_run_for(x->host, 2000);
    CHECK_EQ(saw(x, "2026-11-20T09:10:00.000000Z", &ms), 2);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(the_first_poll_only_sets_the_mark),
        TEST(the_watermark_less_the_overlap_is_asked_in_quotes),
        TEST(a_poll_that_finds_nothing_leaves_the_mark),
        TEST(the_mark_moves_when_all_pages_are_read),
        TEST(a_poll_that_fails_between_pages_leaves_the_mark),
        TEST(refused_for_pace_it_waits_and_goes_on),
        TEST(a_missing_scope_is_said),
        TEST(an_order_that_does_not_fit_is_asked_for_alone),
        TEST(what_does_not_fit_between_two_checkpoints_goes_on_after_one),
        TEST(only_the_topics_that_are_asked_for_are_told),
        TEST(a_nightly_poll_looks_back_but_not_before_the_first),
        TEST(wrong_parameters_are_refused_with_what_would_be_right),
        TEST(a_poll_under_way_ends_with_its_host),
        TEST(the_pause_keeps_the_share_and_half_of_the_bucket),
        TEST(a_cursor_that_is_none_is_as_if_there_were_none),
        TEST(webhooks_that_lag_behind_bring_the_next_poll_nearer),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
