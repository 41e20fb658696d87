/*
 * test_shopify_audit.c - the feed subscriptions: what is missing, altered, doubled or left over;
 * what is made again, told once, and remembered; what of its parameters is refused.
 */
#include "shopify_fixture.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define API  "https://acme.myshopify.com/admin/api/2026-10/graphql.json"
#define HERE "https://hooks.example.com/in/acme"

#define NODE(id, topic, uri, rest)                                                                \
    "{\"id\":\"gid://shopify/WebhookSubscription/" id "\",\"topic\":\"" topic "\",\"uri\":\"" uri \
    "\"," rest "}"
#define PLAIN           "\"format\":\"JSON\",\"filter\":null,\"includeFields\":[]"
#define RIGHT(id, name) NODE(id, name, HERE, PLAIN)
#define PAGE(nodes, more)                                    \
    "{\"data\":{\"webhookSubscriptions\":{\"nodes\":[" nodes \
    "],\"pageInfo\":{\"hasNextPage\":" more ",\"endCursor\":\"c1\"}}}}"
#define LIST(nodes) PAGE(nodes, "false")
#define MADE(n) \
    "{\"data\":{\"webhookSubscriptionCreate\":{\"webhookSubscription\":" n ",\"userErrors\":[]}}}"
#define UPDATED(n) \
    "{\"data\":{\"webhookSubscriptionUpdate\":{\"webhookSubscription\":" n ",\"userErrors\":[]}}}"
#define REFUSED(why)                                                                                                                                                 \
    "{\"data\":{\"webhookSubscriptionCreate\":{\"webhookSubscription\":null,\"userErrors\":[{\"field\":[\"webhookSubscription\",\"callbackUrl\"],\"message\":\"" why \
    "\"}]}}}"
#define TWO "[\"orders/create\",\"orders/paid\"]"

#define BEFORE "{\"v\":1,\"at\":\"2026-11-20T08:15:32.000Z\",\"ids\":{}}"

static const struct fake_setting settings[] = {
    { "shop", SHOP }, { "webhook_secret", "x-secret" }, { "admin.token", "shpat_secret" }, { 0 }
};
static const struct fake_setting told[] = { { "topics", TWO },
                                            { "url", "https://hooks.example.com" },
                                            { 0 } };
static const struct fake_setting mended[] = {
    { "topics", TWO }, { "url", HERE }, { "recreate", "true" }, { 0 }
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

/* ---- the host's side ---- */

struct audited {
    struct fixture *x;
    int finished;
    sl_status status;
    char why[500], found[1100], cursor[1000];
    char events[3000]; /* "topic body" a line */
    char keys[1000];   /* subject and event key of each, a line */
};

static void on_subject(void *ctx, sl_str subject, sl_str version, sl_str key, const sl_ref *refs,
                       size_t n)
{
    struct audited *a = ctx;
    size_t at = strlen(a->keys);

    CHECK_EQ(version.len, 24);
    CHECK_EQ(n, 0);
    (void)refs;
    snprintf(a->keys + at, sizeof(a->keys) - at, "%.*s %.*s\n", (int)subject.len, subject.ptr,
             (int)key.len, key.ptr);
}

static void on_note(void *ctx, sl_str text)
{
    (void)ctx, (void)text;
}

static sl_status on_emit(void *ctx, sl_str topic, sl_str body)
{
    struct audited *a = ctx;
    sl_describe_out out = { .size = sizeof(out), .ctx = a, .subject = on_subject, .note = on_note };
    sl_event event = { .size = sizeof(event), .id = 1, .topic = topic, .body = body };
    sl_fail fail = { .size = sizeof(fail) };
    size_t at = strlen(a->events);

    snprintf(a->events + at, sizeof(a->events) - at, "%.*s %.*s\n", (int)topic.len, topic.ptr,
             (int)body.len, body.ptr);
    CHECK_EQ(plugin->describe(a->x->self, &event, &out, &fail), SL_OK);
    return SL_OK;
}

static void on_finding(void *ctx, sl_str text)
{
    struct audited *a = ctx;

    CHECK(text.len > 0 && text.len <= 1000);
    snprintf(a->found, sizeof(a->found), "%.*s", (int)text.len, text.ptr);
}

struct durable {
    sl_durable_cb cb;
    void *ctx;
};

static struct durable waiting;

static void on_checkpoint(void *ctx, sl_str cursor, sl_durable_cb cb, void *cb_ctx)
{
    struct audited *a = ctx;

    snprintf(a->cursor, sizeof(a->cursor), "%.*s", (int)cursor.len, cursor.ptr);
    waiting = (struct durable){ cb, cb_ctx };
}

static void on_finish(void *ctx, sl_status status, sl_str why, int64_t after_ms)
{
    struct audited *a = ctx;

    (void)after_ms;
    a->finished++;
    a->status = status;
    snprintf(a->why, sizeof(a->why), "%.*s", (int)why.len, why.len ? why.ptr : "");
}

static uint32_t kind(void)
{
    uint32_t i = 0;

    while (strcmp(plugin->feeds[i].name, "subscriptions") != 0)
        i++;
    return i;
}

static sl_status bind(const struct fake_setting *params, sl_values **ret_values, void **ret_handle,
                      sl_fail *fail)
{
    sl_bind_in in = { .size = sizeof(in), .action = kind(), .values = &fake_values_api };

    in.params = *ret_values = fake_values_create(plugin->feeds[in.action].params, params);
    return plugin->bind_feed(&in, ret_handle, fail);
}

static struct audited audit(struct fixture *x, const struct fake_setting *params,
                            const char *cursor)
{
    struct audited a = { .x = x };
    sl_poll_out out = { .size = sizeof(out),
                        .ctx = &a,
                        .feed = fake_str("webhooks"),
                        .emit = on_emit,
                        .checkpoint = on_checkpoint,
                        .finish = on_finish,
                        .finding = on_finding };
    sl_fail fail = { .size = sizeof(fail) };
    sl_values *values;
    void *handle = NULL;

    if (bind(params, &values, &handle, &fail) < 0)
        fail_msg("%s", fail.text);
    plugin->poll(x->self, handle, fake_str(cursor), &out);
    for (int turn = 0; turn < 100 && !a.finished; turn++) {
        struct durable d;

        fake_host_run(x->host);
        d = waiting;
        waiting = (struct durable){ 0 };
        if (d.cb)
            d.cb(d.ctx, SL_OK);
    }
    CHECK_EQ(a.finished, 1);
    plugin->unbind_feed(handle);
    fake_values_destroy(values);
    return a;
}

static void answer(struct fixture *x, const char *text)
{
    FAKE_EXPECT(x->host, .method = "POST", .url = API, .status = 200, .answer = text);
}

static int soon(const struct fixture *x)
{
    int64_t ms;

    return (int)fake_host_polls_soon(x->host, &ms);
}

static void has(const char *text, const char *part)
{
    if (!strstr(text, part))
        fail_msg("\"%s\" is not in: %s", part, text);
}

/* ---- what is looked for ---- */

static void what_is_as_declared_is_not_told(void **state)
{
    struct fixture *x = *state;
    struct audited a;

    answer(x, PAGE(RIGHT("1", "ORDERS_CREATE"), "true"));
    FAKE_EXPECT(x->host, .method = "POST", .url = API, .status = 200,
                .answer = LIST(RIGHT("2", "ORDERS_PAID")));
    a = audit(x, told, "");
    CHECK_EQ(a.status, SL_OK);
    CHECK_STR(a.events, "");
    CHECK_STR(a.found, "");
    has((const char *)fake_host_last_body(x->host).ptr, "\"after\":\"c1\"");
    has(a.cursor, "\"orders/paid\":\"gid://shopify/WebhookSubscription/2\"");
    CHECK_EQ(soon(x), 0);
}

static void one_that_is_gone_is_told_once_and_swept_for(void **state)
{
    struct fixture *x = *state;
    struct audited a;

    answer(x, LIST(RIGHT("1", "ORDERS_CREATE")));
    a = audit(x, told, BEFORE);
    CHECK_EQ(a.status, SL_OK);
    has(a.events, "subscriptions/missing {");
    has(a.events, "\"topics\":[\"orders/paid\"]");
    has(a.events, "\"url\":\"" HERE "\"");
    has(a.keys, "shop:" SHOP " subscriptions/missing:" SHOP "/2026-11-20T09:15:32");
    has(a.found, "missing: orders/paid;");
    has(a.found, "recreate: true");
    CHECK_EQ(soon(x), 1);

    answer(x, LIST(RIGHT("1", "ORDERS_CREATE")));
    a = audit(x, told, a.cursor); /* it stays so: the finding stands, and nothing more */
    CHECK_STR(a.events, "");
    has(a.found, "missing: orders/paid;");
    CHECK_EQ(soon(x), 1);

    answer(x, LIST(RIGHT("1", "ORDERS_CREATE") "," RIGHT("9", "ORDERS_PAID")));
    a = audit(x, told, a.cursor);
    CHECK_STR(a.found, "");

    answer(x, LIST(RIGHT("9", "ORDERS_PAID")));
    a = audit(x, told, a.cursor); /* another one, later */
    has(a.events, "\"topics\":[\"orders/create\"]");
    has(a.events, "\"right_until\":\"2026-11-20T09:15:32");
    CHECK_EQ(soon(x), 2);
}

static void what_was_altered_is_told_with_what_is_other(void **state)
{
    static const struct {
        const char *node, *what;
    } cases[] = {
        { NODE("2", "ORDERS_PAID", HERE, "\"format\":\"XML\",\"filter\":null,\"includeFields\":[]"),
          "its format is XML" },
        { NODE("2", "ORDERS_PAID", HERE,
               "\"format\":\"JSON\",\"filter\":\"total_price:>1\",\"includeFields\":[]"),
          "its filter is \"total_price:>1\", not \"\"" },
        { NODE("2", "ORDERS_PAID", HERE,
               "\"format\":\"JSON\",\"filter\":null,\"includeFields\":[\"id\"]"),
          "other fields than include_fields" },
        { NODE("2", "ORDERS_PAID", "http://hooks.example.com/in/acme", PLAIN),
          "it leads to http://hooks.example.com/in/acme" },
        { NODE("7", "ORDERS_PAID", "https://old.example.com/in/acme", PLAIN), /* that was ours */
          "it leads to https://old.example.com" },
    };
    struct fixture *x = *state;

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        char *list = NULL;
        struct audited a;

        if (asprintf(&list, LIST("%s,%s"), RIGHT("1", "ORDERS_CREATE"), cases[i].node) < 0)
            fail();
        answer(x, list);
        a = audit(x, told,
                  "{\"v\":1,\"ids\":{\"orders/paid\":\"gid://shopify/WebhookSubscription/7\"}}");
        has(a.events, "subscriptions/altered {");
        has(a.found, "altered: orders/paid (");
        has(a.found, cases[i].what);
        free(list);
    }
}

static void another_systems_subscription_is_not_ours(void **state)
{
    struct fixture *x = *state;
    struct audited a;

    answer(x, LIST(RIGHT("1", "ORDERS_CREATE") "," NODE("2", "ORDERS_PAID",
                                                        "pubsub://project:topic", PLAIN)));
    a = audit(x, told, "");
    has(a.events, "subscriptions/missing");
    has(a.found, "missing: orders/paid (one leads to pubsub://project:topic)");
}

static void doubled_and_left_over_ones_are_named(void **state)
{
    struct fixture *x = *state;
    struct audited a;

    answer(
        x,
        LIST(NODE("5", "ORDERS_PAID", HERE, "\"format\":\"JSON\",\"filter\":\"test:true\",\"includeFields\":[]") "," RIGHT(
            "1",
            "ORDERS_CREATE") "," RIGHT("2",
                                       "ORDERS_PAID") "," RIGHT("3",
                                                                "PRODUCTS_UPDATE") "," NODE("4",
                                                                                            "CARTS_UPDATE",
                                                                                            "https://other.example.com",
                                                                                            PLAIN)));
    a = audit(x, told, "");
    CHECK_STR(a.events, ""); /* nothing is missing */
    has(a.found, "several: orders/paid;");
    has(a.found, "left over: PRODUCTS_UPDATE;");
    CHECK(!strstr(a.found, "CARTS"));
    CHECK_EQ(soon(x), 0);
}

/* ---- what is made again ---- */

static void what_is_missing_is_made_again(void **state)
{
    struct fixture *x = *state;
    const char *known =
        "{\"v\":1,\"at\":\"2026-11-20T08:15:32.000Z\",\"ids\":{\"orders/paid\":\"gid:"
        "//shopify/WebhookSubscription/2\"}}";
    struct audited a;

    answer(x, LIST(RIGHT("1", "ORDERS_CREATE")));
    answer(x, MADE(RIGHT("8", "ORDERS_PAID")));
    a = audit(x, mended, known);
    CHECK_EQ(a.status, SL_OK);
    has((const char *)fake_host_last_body(x->host).ptr, "\"topic\":\"ORDERS_PAID\"");
    has((const char *)fake_host_last_body(x->host).ptr, "\"uri\":\"" HERE "\"");
    has(a.events, "subscriptions/missing {");
    has(a.events, "subscriptions/recreated {");
    has(a.cursor, "WebhookSubscription/8");
    has(a.found, "made again: orders/paid;");
    CHECK_EQ(soon(x), 1);

    answer(x, LIST(RIGHT("1", "ORDERS_CREATE") "," RIGHT("8", "ORDERS_PAID")));
    a = audit(x, mended, a.cursor); /* and that is over */
    CHECK_STR(a.found, "");
    CHECK_STR(a.events, "");
}

static void at_the_set_up_all_are_made_and_nobody_is_woken(void **state)
{
    struct fixture *x = *state;
    struct audited a;

    answer(x, LIST(""));
    answer(x, REFUSED("Address for this topic has already been taken")); /* as good as made */
    answer(x, MADE(RIGHT("2", "ORDERS_PAID")));
    a = audit(x, mended, "");
    CHECK_EQ(a.status, SL_OK);
    has(a.events, "subscriptions/recreated {");
    has(a.events, "\"topics\":[\"orders/create\",\"orders/paid\"]");
    CHECK_STR(a.found, "");
    CHECK_EQ(soon(x), 0);
}

static void what_was_altered_is_put_right(void **state)
{
    struct fixture *x = *state;
    struct audited a;

    answer(x, LIST(RIGHT("1", "ORDERS_CREATE") "," NODE(
                  "2", "ORDERS_PAID", HERE,
                  "\"format\":\"JSON\",\"filter\":\"a:1\",\"includeFields\":[\"id\"]")));
    answer(x, UPDATED(RIGHT("2", "ORDERS_PAID")));
    a = audit(x, mended, "");
    has((const char *)fake_host_last_body(x->host).ptr, "WebhookSubscription/2");
    has((const char *)fake_host_last_body(x->host).ptr, "\"filter\":null");
    has((const char *)fake_host_last_body(x->host).ptr, "\"includeFields\":[]");
    has(a.events, "subscriptions/altered {");
    has(a.events, "subscriptions/recreated {");
}

static void what_the_shop_refuses_is_named_and_the_others_are_made(void **state)
{
    struct fixture *x = *state;
    struct audited a;

    answer(x, LIST(""));
    answer(x, REFUSED("Address is invalid"));
    answer(x, MADE(RIGHT("2", "ORDERS_PAID")));
    a = audit(x, mended, "");
    CHECK_EQ(a.status, SL_OK);
    has(a.found, "missing: orders/create (Address is invalid);");
    has(a.found, "could not be made again");
    has(a.events, "subscriptions/recreated {");
    CHECK(!strstr(strstr(a.events, "subscriptions/recreated"), "orders/create"));

    /* it says that it did, and did not */
    answer(x, LIST(RIGHT("1", "ORDERS_CREATE") "," NODE("2", "ORDERS_PAID", HERE,
                                                        "\"format\":\"JSON\",\"filter\":\"a:1\","
                                                        "\"includeFields\":[]")));
    answer(x, UPDATED(NODE("2", "ORDERS_PAID", HERE,
                           "\"format\":\"JSON\",\"filter\":\"a:1\",\"includeFields\":[]")));
    a = audit(x, mended, "");
    has(a.found, "altered: orders/paid (the shop left it as it was");
}

static void what_was_done_before_the_network_failed_is_told(void **state)
{
    struct fixture *x = *state;
    struct audited a;

    answer(x, LIST(""));
    answer(x, MADE(RIGHT("1", "ORDERS_CREATE")));
    FAKE_EXPECT(x->host, .method = "POST", .url = API, .error = SL_E_NETWORK, .sent = 1);
    a = audit(x, mended, "");
    CHECK(a.status < 0);
    CHECK(*a.why);
    has(strstr(a.events, "subscriptions/recreated"), "\"topics\":[\"orders/create\"]");
    has(a.cursor, "\"wrong\":{\"orders/paid\":true}");

    answer(x, LIST(RIGHT("1", "ORDERS_CREATE") "," RIGHT("2", "ORDERS_PAID"))); /* it had arrived */
    a = audit(x, mended, a.cursor);
    CHECK_EQ(a.status, SL_OK);
    CHECK_STR(a.found, "");
}

static void what_is_refused_for_pace_is_asked_again(void **state)
{
    struct fixture *x = *state;
    struct audited a;

    answer(x, "{\"errors\":[{\"message\":\"Throttled\",\"extensions\":{\"code\":\"THROTTLED\"}}]}");
    answer(x, LIST(RIGHT("1", "ORDERS_CREATE") "," RIGHT("2", "ORDERS_PAID")));
    a = audit(x, told, "");
    CHECK_EQ(a.status, SL_OK);
    CHECK_STR(a.found, "");
}

static void an_answer_that_cannot_be_read_says_nothing_is_missing(void **state)
{
    static const char *const answers[] = {
        "{\"data\":{\"webhookSubscriptions\":null}}",
        "{\"data\":{\"webhookSubscriptions\":{\"nodes\":[],\"pageInfo\":{\"hasNextPage\":true}}}}",
    };
    struct fixture *x = *state;

    for (size_t i = 0; i < 2; i++) {
        answer(x, answers[i]);
        struct audited a = audit(x, mended, "");
        CHECK(a.status < 0);
        CHECK_STR(a.events, "");
        CHECK_STR(a.cursor, "");
    }
}

static void it_is_closed_while_it_asks(void **state)
{
    struct fixture *x = *state;
    struct audited a = { .x = x };
    sl_poll_out out = { .size = sizeof(out),
                        .ctx = &a,
                        .emit = on_emit,
                        .checkpoint = on_checkpoint,
                        .finish = on_finish,
                        .finding = on_finding };
    sl_fail fail = { .size = sizeof(fail) };
    sl_values *values;
    void *handle;

    FAKE_EXPECT(x->host, .method = "POST", .url = API, .never = true);
    CHECK_EQ(bind(mended, &values, &handle, &fail), SL_OK);
    plugin->poll(x->self, handle, fake_str(""), &out);
    fake_host_run_for(x->host, 10);
    fake_host_close(x->host, plugin, x->self);
    x->self = fake_host_open(x->host, plugin);
    plugin->unbind_feed(handle);
    fake_values_destroy(values);
}

/* ---- sluice check ---- */

struct probed {
    int over;
    uint32_t level;
    char text[1100];
};

static void on_probe_finding(void *ctx, uint32_t level, sl_str text)
{
    struct probed *p = ctx;

    p->level = level;
    snprintf(p->text, sizeof(p->text), "%.*s", (int)text.len, text.ptr);
}

static void on_probe_finish(void *ctx)
{
    ((struct probed *)ctx)->over++;
}

static struct probed probe(struct fixture *x, const struct fake_setting *params)
{
    struct probed p = { 0 };
    sl_probe_out out = {
        .size = sizeof(out), .ctx = &p, .finding = on_probe_finding, .finish = on_probe_finish
    };
    sl_fail fail = { .size = sizeof(fail) };
    sl_values *values;
    void *handle;

    CHECK_EQ(bind(params, &values, &handle, &fail), SL_OK);
    plugin->probe_feed(x->self, handle, &out);
    CHECK_EQ(p.over, 0);
    fake_host_run(x->host);
    CHECK_EQ(p.over, 1);
    plugin->unbind_feed(handle);
    fake_values_destroy(values);
    return p;
}

static void a_check_names_what_is_missing_and_makes_nothing(void **state)
{
    struct fixture *x = *state;
    struct probed p;

    answer(x, LIST(RIGHT("1", "ORDERS_CREATE")));
    p = probe(x, mended);
    CHECK_EQ(p.level, SL_FINDING_WARN);
    has(p.text, "missing: orders/paid");

    answer(x, LIST(RIGHT("1", "ORDERS_CREATE") "," RIGHT("2", "ORDERS_PAID")));
    p = probe(x, mended);
    CHECK_EQ(p.level, SL_FINDING_GOOD);
    has(p.text, "the 2 webhook subscriptions to " HERE);
}

/* ---- the parameters ---- */

static void what_could_not_work_is_refused(void **state)
{
    static const struct {
        const char *topics, *url, *filter, *fields, *why;
    } cases[] = {
        { "[\"orders/create\"]", "http://hooks.example.com", NULL, NULL, "url: " },
        { "[]", HERE, NULL, NULL, "topics: it wants 1 to" },
        { "[\"ORDERS_CREATE\"]", HERE, NULL, NULL, "topics: \"ORDERS_CREATE\" is no topic" },
        { "[\"orders/create\",\"orders/create\"]", HERE, NULL, NULL,
          "orders/create is listed twice" },
        { "[\"shop/redact\"]", HERE, NULL, NULL, "shop/redact stands in the app's configuration" },
        { TWO, HERE, "{\"orders/updated\":\"id:1\"}", NULL, "orders/updated is not among" },
        { TWO, HERE, NULL, "{\"orders/paid\":\"updated_at\"}", "orders/paid lacks \"id\"" },
        { TWO, HERE, NULL, "{\"orders/paid\":\"id, total_price\"}", "lacks \"updated_at\"" },
        { TWO, HERE, "{\"orders/paid\":\"total_price:>=100 AND test:false\"}",
          "{\"orders/paid\":\"id,updated_at,total_price\"}", "looks at \"test\"" },
        { "[\"orders/edited\"]", HERE, NULL, "{\"orders/edited\":\"id\"}",
          "lacks \"order_edit.order_id\"" },
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct fake_setting params[5] = { { "topics", cases[i].topics }, { "url", cases[i].url } };
        size_t n = 2;
        sl_fail fail = { .size = sizeof(fail) };
        sl_values *values;
        void *handle;

        if (cases[i].filter)
            params[n++] = (struct fake_setting){ "filter", cases[i].filter };
        if (cases[i].fields)
            params[n++] = (struct fake_setting){ "include_fields", cases[i].fields };
        CHECK_EQ(bind(params, &values, &handle, &fail), SL_E_INVALID);
        has(fail.text, cases[i].why);
        fake_values_destroy(values);
    }
}

static void filters_and_fields_are_compared_and_sent(void **state)
{
    static const struct fake_setting params[] = {
        { "topics", "[\"orders/edited\",\"orders/paid\"]" },
        { "url", HERE },
        { "recreate", "true" },
        { "filter", "{\"orders/paid\":\"total_price:>=100.00\"}" },
        { "include_fields",
          "{\"orders/paid\":\"updated_at, id,total_price\",\"orders/edited\":\"order_edit\"}" },
        { 0 }
    };
    struct fixture *x = *state;
    struct audited a;

    answer(x, LIST(NODE("1", "ORDERS_EDITED", HERE,
                        "\"format\":\"JSON\",\"filter\":\"\",\"includeFields\":[\"order_edit\"]")));
    answer(x,
           MADE(NODE("2", "ORDERS_PAID", HERE,
                     "\"format\":\"JSON\",\"filter\":\"total_price:>=100.00\",\"includeFields\":["
                     "\"total_price\",\"id\",\"updated_at\"]")));
    a = audit(x, params, "");
    CHECK_EQ(a.status, SL_OK);
    CHECK_STR(a.found, "");
    has((const char *)fake_host_last_body(x->host).ptr, "\"filter\":\"total_price:>=100.00\"");
    has((const char *)fake_host_last_body(x->host).ptr, "[\"id\",\"total_price\",\"updated_at\"]");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define T(name) cmocka_unit_test_setup_teardown(name, setup, shopify_teardown)
        T(what_is_as_declared_is_not_told),
        T(one_that_is_gone_is_told_once_and_swept_for),
        T(what_was_altered_is_told_with_what_is_other),
        T(another_systems_subscription_is_not_ours),
        T(doubled_and_left_over_ones_are_named),
        T(what_is_missing_is_made_again),
        T(at_the_set_up_all_are_made_and_nobody_is_woken),
        T(what_was_altered_is_put_right),
        T(what_the_shop_refuses_is_named_and_the_others_are_made),
        T(what_was_done_before_the_network_failed_is_told),
        T(what_is_refused_for_pace_is_asked_again),
        T(an_answer_that_cannot_be_read_says_nothing_is_missing),
        T(it_is_closed_while_it_asks),
        T(a_check_names_what_is_missing_and_makes_nothing),
        T(what_could_not_work_is_refused),
        T(filters_and_fields_are_compared_and_sent),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
