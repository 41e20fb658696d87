/*
 * test_shopify_resolve.c - whose order a fulfilment order or a return is: with an Admin API such
 * events give references, which the shop is asked for; without one they stand for themselves.
 */
#include "shopify_fixture.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define URL         "https://acme.myshopify.com/admin/api/2026-10/graphql.json"
#define FO(n)       "gid://shopify/FulfillmentOrder/610000000000" #n
#define DATA(nodes) "{\"data\":{\"nodes\":[" nodes "]}}"

static const struct fake_setting admin[] = { { "shop", SHOP },
                                             { "webhook_secret", "x-secret" },
                                             { "admin.version", "2026-10" },
                                             { "admin.token", "shpat_secret" },
                                             { 0 } };

static int setup(void **state)
{
    struct fixture *x = calloc(1, sizeof(*x));

    plugin = sl_plugin_v0();
    x->host = fake_host_create("acme", plugin->settings, admin);
    x->self = fake_host_open(x->host, plugin);
    *state = x;
    return 0;
}

/* ---- what an event says -------------------------------------------------------------------- */

struct said {
    char subject[200], refs[600], links[600];
};

static void put_ref(char *to, size_t size, const sl_ref *ref)
{
    size_t at = strlen(to);

    snprintf(to + at, size - at, "%s%.*s=%.*s", at ? " " : "", (int)ref->kind.len, ref->kind.ptr,
             (int)ref->id.len, ref->id.ptr);
}

static void on_subject(void *ctx, sl_str subject, sl_str version, sl_str key, const sl_ref *refs,
                       size_t n)
{
    struct said *s = ctx;

    CHECK(subject.len > 0 || version.len + key.len == 0); /* they would be of nothing */
    snprintf(s->subject, sizeof(s->subject), "%.*s", (int)subject.len, subject.ptr);
    for (size_t i = 0; i < n; i++)
        put_ref(s->refs, sizeof(s->refs), &refs[i]);
}

static void on_link(void *ctx, const sl_ref *ref)
{
    struct said *s = ctx;

    put_ref(s->links, sizeof(s->links), ref);
}

static void on_note(void *ctx, sl_str text)
{
    (void)ctx;
    fail_msg("a note: %.*s", (int)text.len, text.ptr);
}

static struct said describe(void *self, const char *topic, const char *body)
{
    struct said said = { 0 };
    sl_describe_out out = {
        .size = sizeof(out), .ctx = &said, .subject = on_subject, .note = on_note, .link = on_link
    };
    sl_event event = { .size = sizeof(event),
                       .id = 1,
                       .endpoint = fake_str("acme"),
                       .topic = fake_str(topic),
                       .body = fake_str(body) };
    sl_fail fail = { .size = sizeof(fail) };

    if (plugin->describe(self, &event, &out, &fail) != SL_OK)
        fail_msg("%s: %s", topic, fail.text);
    return said;
}

static void what_names_no_order_gives_references_alone(void **state)
{
    static const struct {
        const char *topic, *body, *refs;
    } rows[] = {
        { "fulfillment_orders/order_routing_complete",
          "{\"fulfillment_order\":{\"id\":\"" FO(1) "\",\"status\":\"open\"}}",
          "fulfillment_order=" FO(1) },
        { "fulfillment_orders/split",
          "{\"fulfillment_order\":{\"id\":\"" FO(1) "\"},\"remaining_fulfillment_order\":{\"id\":\"" FO(
              2) "\"},\"replacement_fulfillment_order\":null}",
          "fulfillment_order=" FO(1) " fulfillment_order=" FO(2) },
        { "fulfillment_orders/merged",
          "{\"merge_intents\":[{\"fulfillment_order_id\":6100000000002},{\"fulfillment_order_id\":"
          "9007199254740993}],\"fulfillment_order_merges\":{\"fulfillment_order\":{\"id\":\"" FO(
              1) "\"}}}",
          "fulfillment_order=" FO(1) " fulfillment_order=" FO(
              2) " fulfillment_order=gid://shopify/FulfillmentOrder/9007199254740993" },
        { "fulfillment_orders/moved",
          "{\"original_fulfillment_order\":{\"id\":\"" FO(1) "\"},\"moved_fulfillment_order\":"
                                                             "{\"id\":\"" FO(2) "\"}}",
          "fulfillment_order=" FO(1) " fulfillment_order=" FO(2) },
        { "fulfillment_orders/progress_reported",
          "{\"fulfillment_order\":{\"id\":\"" FO(1) "\"},\"progress_report\":{}}",
          "fulfillment_order=" FO(1) },
        { "fulfillment_orders/manually_reported_progress_stopped",
          "{\"fulfillment_order\":{\"id\":\"" FO(1) "\"},\"progress_stopped_by_app\":null}",
          "fulfillment_order=" FO(1) },
        { "fulfillment_holds/added",
          "{\"fulfillment_order\":{\"id\":\"" FO(1) "\"},\"fulfillment_hold\":{\"id\":\"x\"}}",
          "fulfillment_order=" FO(1) },
        { "returns/update", "{\"admin_graphql_api_id\":\"gid://shopify/Return/2200000000001\"}",
          "return=gid://shopify/Return/2200000000001" },
        { "returns/process", "{\"id\":2200000000001}",
          "return=gid://shopify/Return/2200000000001" },
        { "reverse_deliveries/attach_deliverable", "{\"id\":5,\"return\":{\"id\":2200000000001}}",
          "return=gid://shopify/Return/2200000000001" },
    };
    struct fixture *x = *state;

    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct said said = describe(x->self, rows[i].topic, rows[i].body);

        CHECK_STR(said.subject, "");
        CHECK_STR(said.refs, rows[i].refs);
        CHECK_STR(said.links, "");
    }
}

static void what_names_the_order_and_the_return_links_them(void **state)
{
    struct fixture *x = *state;
    struct said said = describe(x->self, "returns/request",
                                "{\"id\":2200000000001,\"order\":{\"id\":9007199254740993}}");

    CHECK_STR(said.subject, "order:" SHOP "/9007199254740993");
    CHECK_STR(said.links, "return=gid://shopify/Return/2200000000001");
    said = describe(x->self, "disputes/create", "{\"id\":7,\"order_id\":8}");
    CHECK_STR(said.subject, "order:" SHOP "/8");
    CHECK_STR(said.links, "dispute=gid://shopify/ShopifyPaymentsDispute/7");
    /* nobody can be asked for the order of a delivery of goods without a return */
    said = describe(x->self, "reverse_deliveries/attach_deliverable", "{\"id\":5}");
    CHECK_STR(said.subject, "reverse_delivery:" SHOP "/5");
}

/* ---- what the shop says -------------------------------------------------------------------- */

struct answer {
    int calls;
    uint32_t verdict;
    int64_t after_ms;
    char why[300], subjects[300];
};

static void on_answer(void *ctx, const sl_resolved *a)
{
    struct answer *x = ctx;
    size_t at = 0;

    x->calls++;
    x->verdict = a->verdict;
    x->after_ms = a->after_ms;
    snprintf(x->why, sizeof(x->why), "%.*s", (int)a->why.len, a->why.ptr);
    for (size_t i = 0; a->verdict == SL_RESOLVE_DONE && i < 3; i++)
        at += (size_t)snprintf(x->subjects + at, sizeof(x->subjects) - at, "%.*s|%.*s\n",
                               (int)a->refs[i].subject.len, a->refs[i].subject.ptr,
                               (int)a->refs[i].otherwise.len, a->refs[i].otherwise.ptr);
}

static struct answer ask(struct fixture *x)
{
    sl_ref refs[] = { { fake_str("fulfillment_order"), fake_str(FO(1)) },
                      { fake_str("return"), fake_str("gid://shopify/Return/22") },
                      { fake_str("fulfillment_order"), fake_str(FO(3)) } };
    struct answer a = { 0 };

    plugin->resolve(x->self, refs, 3, on_answer, &a);
    fake_host_run(x->host);
    CHECK_EQ(a.calls, 1);
    return a;
}

static void the_shop_is_asked_once_for_all_of_them(void **state)
{
    struct fixture *x = *state;

    FAKE_EXPECT(x->host, .method = "POST", .url = URL, .status = 200,
                .answer = DATA("{\"__typename\":\"FulfillmentOrder\",\"id\":\"" FO(
                    1) "\",\"orderId\":\"gid://shopify/Order/9007199254740993\"},"
                       "{\"__typename\":\"Return\",\"id\":\"gid://shopify/Return/22\",\"order\":"
                       "{\"id\":\"gid://shopify/Order/820982911946154508?x=1\"}},null"));
    struct answer a = ask(x);

    CHECK_EQ(a.verdict, SL_RESOLVE_DONE);
    CHECK_STR(a.subjects, "order:" SHOP "/9007199254740993|fulfillment_order:" SHOP
                          "/6100000000001\n"
                          "order:" SHOP "/820982911946154508|return:" SHOP
                          "/22\n"
                          "|fulfillment_order:" SHOP "/6100000000003\n");
    CHECK_HAS(fake_host_last_body(x->host).ptr,
              "\"variables\":{\"ids\":[\"" FO(1) "\",\"gid://shopify/Return/22\",\"" FO(3) "\"]}");
}

static void an_answer_that_is_none_is_asked_for_again(void **state)
{
    static const struct {
        uint32_t status;
        const char *answer, *why;
    } rows[] = {
        { 503, "", "HTTP 503" },
        { 200, DATA("null"), "not one node for each id" },
        { 200, "{\"data\":{\"nodes\":null}}", "not one node for each id" },
        { 200,
          "{\"data\":null,\"errors\":[{\"message\":\"no\",\"extensions\":{\"code\":\"ACCESS_DENIED\"}}]}",
          "scope" },
    };
    struct fixture *x = *state;

    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        FAKE_EXPECT(x->host, .method = "POST", .url = URL, .status = rows[i].status,
                    .answer = rows[i].answer);
        struct answer a = ask(x);

        CHECK_EQ(a.verdict, SL_RESOLVE_AGAIN);
        CHECK_HAS(a.why, rows[i].why);
    }
}

static void an_id_that_is_no_gid_of_an_order_is_not_believed(void **state)
{
    struct fixture *x = *state;

    FAKE_EXPECT(x->host, .method = "POST", .url = URL, .status = 200,
                .answer = DATA("{\"orderId\":\"gid://shopify/Order/\"},{\"order\":{\"id\":5}},"
                               "{\"orderId\":\"gid://shopify/Order/12ab\"}"));
    struct answer a = ask(x);

    CHECK_EQ(a.verdict, SL_RESOLVE_DONE);
    CHECK_STR(a.subjects, "|fulfillment_order:" SHOP "/6100000000001\n|return:" SHOP
                          "/22\n|fulfillment_order:" SHOP "/6100000000003\n");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(what_names_no_order_gives_references_alone, setup,
                                        shopify_teardown),
        cmocka_unit_test_setup_teardown(what_names_the_order_and_the_return_links_them, setup,
                                        shopify_teardown),
        cmocka_unit_test_setup_teardown(the_shop_is_asked_once_for_all_of_them, setup,
                                        shopify_teardown),
        cmocka_unit_test_setup_teardown(an_answer_that_is_none_is_asked_for_again, setup,
                                        shopify_teardown),
        cmocka_unit_test_setup_teardown(an_id_that_is_no_gid_of_an_order_is_not_believed, setup,
                                        shopify_teardown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
