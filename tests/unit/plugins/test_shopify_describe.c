/*
 * test_shopify_describe.c - what every sample body of Shopify is about.
 */
#include "shopify_fixture.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct described {
    int subjects, notes;
    char subject[600], version[64], key[600], note[600], refs[1200];
};

static void on_subject(void *ctx, sl_str subject, sl_str version, sl_str key, const sl_ref *refs,
                       size_t n_refs)
{
    struct described *d = ctx;
    size_t at = 0;

    d->subjects++;
    snprintf(d->subject, sizeof(d->subject), "%.*s", (int)subject.len, subject.ptr);
    snprintf(d->version, sizeof(d->version), "%.*s", (int)version.len, version.ptr);
    snprintf(d->key, sizeof(d->key), "%.*s", (int)key.len, key.ptr);
    for (size_t i = 0; i < n_refs; i++)
        at += (size_t)snprintf(d->refs + at, sizeof(d->refs) - at, "%s%.*s=%.*s", i ? " " : "",
                               (int)refs[i].kind.len, refs[i].kind.ptr, (int)refs[i].id.len,
                               refs[i].id.ptr);
}

static void on_note(void *ctx, sl_str text)
{
    struct described *d = ctx;

    d->notes++;
    snprintf(d->note, sizeof(d->note), "%.*s", (int)text.len, text.ptr);
}

static sl_status describe_with(void *self, const char *topic, sl_str body, const char *const *lines,
                               struct described *d, sl_fail *fail)
{
    sl_describe_out out = { .size = sizeof(out), .ctx = d, .subject = on_subject, .note = on_note };
    sl_header headers[MAX_HEADERS];
    sl_event event = { .size = sizeof(event),
                       .id = 1,
                       .endpoint = fake_str("acme"),
                       .topic = fake_str(topic),
                       .headers = headers,
                       .body = body };

    *d = (struct described){ 0 };
    *fail = (sl_fail){ .size = sizeof(*fail) };
    event.n_headers = split(lines, headers);
    return plugin->describe(self, &event, &out, fail);
}

static struct described describe(void *self, const char *topic, const char *body)
{
    struct described d;
    sl_fail fail;

    if (describe_with(self, topic, fake_str(body), (const char *const[]){ NULL }, &d, &fail) !=
        SL_OK)
        fail_msg("%s: %s", topic, fail.text);
    CHECK_EQ(d.subjects, 1);
    return d;
}

static void describe_refused(void *self, const char *topic, const char *body, const char *text)
{
    struct described d;
    sl_fail fail;

    CHECK_EQ(describe_with(self, topic, fake_str(body), (const char *const[]){ NULL }, &d, &fail),
             SL_E_INVALID);
    CHECK_EQ(d.subjects, 0);
    CHECK_HAS(fail.text, text);
}

#define ORDER "order:" SHOP "/9007199254740993"
#define FO    "fulfillment_order:" SHOP "/6100000000001"
#define FO_1  "fulfillment_order=gid://shopify/FulfillmentOrder/6100000000001"
#define FO_2  "fulfillment_order=gid://shopify/FulfillmentOrder/6100000000002"
#define RET   "return=gid://shopify/Return/2200000000001"
#define T30   "2026-11-20T09:15:30.000Z"
#define T32   "2026-11-20T09:15:32.000Z"

/* What each sample is about, one row a topic; "" means empty. */
static const struct expected {
    const char *topic, *subject, *version, *key, *refs;
} expected[] = {
    { "orders/delete", ORDER, "", "orders/delete:" SHOP "/9007199254740993", "" },
    { "orders/edited", ORDER, T32, "orders/edited:" SHOP "/78912328793", "" },
    { "orders/risk_assessment_changed", ORDER, T32,
      "orders/risk_assessment_changed:" SHOP "/9007199254740993/-/HIGH/" T32, "" },
    { "order_transactions/create", ORDER, T30,
      "order_transactions/create:" SHOP "/6600000000001/success", "" },
    { "refunds/create", ORDER, T32, "refunds/create:" SHOP "/8800000000001", "" },
    { "fulfillments/create", ORDER, T32, "fulfillments/create:" SHOP "/4400000000001", "" },
    { "fulfillments/update", ORDER, T32, "fulfillments/update:" SHOP "/4400000000001/" T32, "" },
    { "fulfillment_events/create", ORDER, T32,
      "fulfillment_events/create:" SHOP "/3300000000001/" T32, "" },
    { "fulfillment_orders/order_routing_complete", FO, "", "", FO_1 },
    { "fulfillment_orders/placed_on_hold", FO, "", "", FO_1 },
    { "fulfillment_orders/hold_released", FO, "", "", FO_1 },
    { "fulfillment_orders/moved", FO, "", "", FO_1 " " FO_2 },
    { "fulfillment_orders/cancelled", FO, "", "", FO_1 " " FO_2 },
    { "fulfillment_orders/split", FO, "", "", FO_1 " " FO_2 },
    { "fulfillment_orders/fulfillment_request_submitted", FO, "", "", FO_1 },
    { "fulfillment_orders/fulfillment_request_accepted", FO, "", "", FO_1 },
    { "fulfillment_orders/fulfillment_request_rejected", FO, "", "", FO_1 },
    { "fulfillment_orders/cancellation_request_submitted", FO, "", "", FO_1 },
    { "fulfillment_orders/cancellation_request_accepted", FO, "", "", FO_1 },
    { "fulfillment_orders/cancellation_request_rejected", FO, "", "", FO_1 },
    { "fulfillment_orders/fulfillment_service_failed_to_complete", FO, "", "", FO_1 },
    { "fulfillment_orders/rescheduled", FO, "", "", FO_1 },
    { "fulfillment_orders/progress_reported", FO, "", "", FO_1 },
    { "fulfillment_holds/added", FO, "", "", FO_1 },
    { "inventory_levels/update", "inventory_level:" SHOP "/47000000000011/70011111111", T32, "",
      "" },
    { "inventory_items/update", "inventory_item:" SHOP "/47000000000011", T32, "", "" },
    { "products/delete", "product:" SHOP "/9900000000011", "",
      "products/delete:" SHOP "/9900000000011", "" },
    { "returns/request", ORDER, "", "", RET },
    { "returns/decline", ORDER, "", "", RET },
    { "returns/close", ORDER, "", "", RET },
    { "draft_orders/update", "draft_order:" SHOP "/1200000000001", T32, "", "" },
    { "bulk_operations/finish", "bulk_operation:" SHOP "/720918", T32,
      "bulk_operations/finish:" SHOP "/720918/completed", "" },
    { "companies/create", "company:" SHOP "/99001", T30, "", "" },
    { "customers/data_request", "customer:" SHOP "/7700000000123", "",
      "customers/data_request:" SHOP "/9999", "" },
    { "customers/redact", "customer:" SHOP "/7700000000123", "", "", "" },
    { "shop/redact", "shop:" SHOP, "", "", "" },
};

/* A change: its version, '/', and 32 hexadecimal digits of its body. */
static bool is_change_key(const char *key, const char *version)
{
    size_t n = strlen(version);

    return strncmp(key, version, n) == 0 && key[n] == '/' &&
           strspn(key + n + 1, "0123456789abcdef") == 32 && !key[n + 33];
}

static bool is_change_topic(const char *topic)
{
    const char *slash = strchr(topic, '/');

    return slash && (!strcmp(slash, "/update") || !strcmp(slash, "/updated"));
}

static void check_described(void *self, const struct expected *e, const char *body)
{
    struct described d = describe(self, e->topic, body);

    CHECK_STR(d.subject, e->subject);
    CHECK_STR(d.version, e->version);
    if (is_change_topic(e->topic) && !e->key[0] && e->version[0])
        CHECK(is_change_key(d.key, e->version));
    else
        CHECK_STR(d.key, e->key);
    CHECK_STR(d.refs, e->refs);
    CHECK_EQ(d.notes, 0);
}

static void every_sample_topic_has_its_subject_version_key_and_references(void **state)
{
    struct fixture *x = *state;
    char *text = fake_read_file(DATA_DIR, "shopify-webhook.samples.json", NULL);
    json_t *root = json_loads(text, 0, NULL);
    json_t *samples = json_object_get(root, "samples"), *sample;
    const char *topic;

    assert_non_null(samples);
    json_object_foreach(samples, topic, sample)
    {
        size_t i = 0, n = sizeof(expected) / sizeof(expected[0]);
        char *body = json_dumps(sample, 0);

        while (i < n && strcmp(expected[i].topic, topic) != 0)
            i++;
        if (i == n)
            fail_msg("nothing expected of %s", topic);
        check_described(x->self, &expected[i], body);
        free(body);
    }
    CHECK_EQ(json_object_size(samples), sizeof(expected) / sizeof(expected[0]));
    json_decref(root);
    free(text);
}

static void the_sample_order_is_its_own_subject_for_every_order_topic(void **state)
{
    static const char *const topics[] = { "orders/create",    "orders/paid",
                                          "orders/updated",   "orders/cancelled",
                                          "orders/fulfilled", "orders/partially_fulfilled" };
    struct fixture *x = *state;
    char *body = fake_read_file(DATA_DIR, "shopify-order.sample.json", NULL);

    for (size_t i = 0; i < sizeof(topics) / sizeof(topics[0]); i++) {
        struct expected e = { topics[i], ORDER, T32,
                              i ? "" : "orders/create:" SHOP "/9007199254740993", "" };

        check_described(x->self, &e, body);
    }
    free(body);
}

static void ids_beyond_doubles_keep_every_digit(void **state)
{
    struct fixture *x = *state;

    CHECK_STR(describe(x->self, "orders/paid", "{\"id\":9223372036854775807}").subject,
              "order:" SHOP "/9223372036854775807");
    CHECK_STR(describe(x->self, "orders/paid", "{\"id\":820982911946154508}").subject,
              "order:" SHOP "/820982911946154508");
    CHECK_STR(
        describe(x->self, "companies/update",
                 "{\"admin_graphql_api_id\":\"gid://shopify/Company/820982911946154508?x=1\"}")
            .subject,
        "company:" SHOP "/820982911946154508");
}

static void a_merge_names_all_fulfilment_orders_though_some_are_plain_numbers(void **state)
{
    struct fixture *x = *state;
    struct described d = describe(
        x->self, "fulfillment_orders/merged",
        "{\"merge_intents\":[{\"fulfillment_order_id\":6100000000001},"
        "{\"fulfillment_order_id\":6100000000002}],\"fulfillment_order_merges\":"
        "{\"fulfillment_order\":{\"id\":\"gid://shopify/FulfillmentOrder/6100000000001\","
        "\"status\":\"open\"}}}");

    CHECK_STR(d.subject, FO);
    CHECK_STR(d.refs, FO_1 " " FO_2);
}

static void a_return_without_its_order_is_its_own_subject(void **state)
{
    struct fixture *x = *state;
    struct described d = describe(
        x->self, "returns/update",
        "{\"admin_graphql_api_id\":\"gid://shopify/Return/2200000000001\"}");

    CHECK_STR(d.subject, "return:" SHOP "/2200000000001");
    CHECK_STR(d.refs, RET);
}

static void an_unknown_topic_is_described_by_its_resource_and_id(void **state)
{
    struct fixture *x = *state;
    struct described d = describe(x->self, "metaobjects/create",
                                  "{\"id\":\"gid://shopify/Metaobject/5\","
                                  "\"updated_at\":\"2026-11-20T10:15:32+01:00\"}");

    CHECK_STR(d.subject, "metaobjects:" SHOP "/5");
    CHECK_STR(d.version, T32);
    CHECK_STR(describe(x->self, "customer.tags_added", "{\"id\":5}").subject,
              "customer:" SHOP "/5");
    CHECK_STR(describe(x->self, "app/uninstalled", "{\"id\":5,\"updated_at\":\"x\"}").subject,
              "shop:" SHOP);
    CHECK_STR(describe(x->self, "checkouts/create", "{\"token\":\"a1B2-c3\"}").subject,
              "checkout:" SHOP "/a1B2-c3");
}

static void a_body_that_is_not_understood_is_refused_with_the_reason(void **state)
{
    struct fixture *x = *state;
    char deep[400];
    size_t n = 0;

    describe_refused(x->self, "orders/create", "", "not a JSON object");
    describe_refused(x->self, "orders/create", "{\"id\":1", "not a JSON object: at byte 7");
    describe_refused(x->self, "orders/create", "[1]", "not a JSON object: at byte 0");
    describe_refused(x->self, "orders/create", "{\"id\":null}", "no id at id|");
    describe_refused(x->self, "orders/create", "{\"id\":1.5}", "no id");
    describe_refused(x->self, "orders/create", "{\"id\":\"a b\"}", "no id");
    describe_refused(x->self, "orders/create", "{\"id\":{\"id\":1}}", "no id");
    /* a known topic never falls back to another subject than its order */
    describe_refused(x->self, "refunds/create", "{\"id\":1}", "no id at order_id");
    describe_refused(x->self, "inventory_levels/update", "{\"inventory_item_id\":1}", "no id");
    describe_refused(x->self, "themes/publish", "{\"name\":\"x\"}", "no id");
    n = (size_t)snprintf(deep, sizeof(deep), "{\"id\":1,\"a\":");
    memset(deep + n, '[', 64);
    memset(deep + n + 64, ']', 64);
    deep[n + 128] = '}';
    deep[n + 129] = '\0';
    describe_refused(x->self, "orders/create", deep, "deeper than 64");
    deep[n] = ' '; /* one level less */
    deep[n + 127] = ' ';
    CHECK_STR(describe(x->self, "orders/create", deep).subject, "order:" SHOP "/1");
    /* brackets in strings are text */
    CHECK_STR(
        describe(x->self, "orders/create",
                 "{\"id\":1,\"note\":\"[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[["
                 "[[[[[[[[[[[[[[[[[[[[[[[[[[[\\\"[[[[\\u0000\"}")
            .subject,
        "order:" SHOP "/1");
}

static void what_is_stepped_over_must_still_be_balanced(void **state)
{
    static const char *const wrong[] = {
        "{\"a\":[1,{\"b\":2]},\"id\":1}",
        "{\"a\":[1,\"id\":1}",
        "{\"a\":\"x,\"id\":1}",
        "{\"a\":,\"id\":1}",
        "{\"id\":1}}",
        "{\"id\":1,}",
        "{\"id\" 1}",
        "{id:1}",
        "{\"id\":1} x",
        "{\"id\":1}\xc3\xa9",
        "{\"a\":\"\\\",\"id\":1}",
        "{\"id\":1 \"a\":2}",
        "null",
    };
    struct fixture *x = *state;

    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++)
        describe_refused(x->self, "orders/create", wrong[i], "not a JSON object: at byte");
    describe_refused(x->self, "orders/create", "{\"id\":1.2.3}", "not JSON where its ids");
    CHECK_STR(describe(x->self, "orders/create",
                       " {\n\"a\" : \"\\\\\\\"}{[\" ,\"b\":[{\"id\":5},[]],\"n\":-1.5E+3,"
                       "\"\\u0069d\":7,\"c\":null}\n")
                  .subject,
              "order:" SHOP "/7"); /* an escaped name is the same name */
}

static void a_value_counts_as_json_means_it_however_it_is_written(void **state)
{
    static const struct {
        const char *body, *id;
    } rows[] = {
        { "{\"id\":12}", "12" },
        { "{\"id\":-12}", "-12" },
        { "{\"id\":0}", "0" },
        { "{\"id\":-0}", "0" },
        { "{\"id\":\"007\"}", "007" },
        { "{\"id\":\"\\u0031\\u0032\"}", "12" },
        { "{\"id\":999999999999999999}", "999999999999999999" },
        { "{\"id\":9223372036854775807}", "9223372036854775807" },
        { "{\"id\":1,\"id\":2}", "2" },
        { "{\"id\":1,\"\\u0069d\":2}", "2" },
        { "{\"id\":1,\"id\":null,\"admin_graphql_api_id\":\"gid://shopify/Order/3\"}", "3" },
        { "{\"id\":null,\"order_id\":4}", "4" },
        { "{\"id\":5,\"test\":[{\"id\":6}]}", "5" },
        { "{\"id\":5,\"updated_at\":\"\xc3\xa9\"}", "5" },
        { "{\"identity\":6,\"i\":7,\"xd\":8,\"id\":5}", "5" },
    };
    static const char *const wrong[] = {
        "{\"id\":012}",
        "{\"id\":9223372036854775808}",
        "{\"id\":5,\"test\":nul}",
        "{\"id\":\"\xff\"}",
        "{\"id\":\"a\tb\"}",
        "{\"id\":\"\\x\"}",
        "{\"id\":-}",
        "{\"id\":01,\"id\":1}",
    };
    struct fixture *x = *state;
    char subject[100];

    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        snprintf(subject, sizeof(subject), "order:" SHOP "/%s", rows[i].id);
        CHECK_STR(describe(x->self, "orders/create", rows[i].body).subject, subject);
    }
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++)
        describe_refused(x->self, "orders/create", wrong[i], "not JSON where its ids");
}

static void a_member_is_found_behind_text_of_any_length(void **state)
{
    struct fixture *x = *state;
    char fill[80], body[512];

    for (int n = 0; n < 70; n++) {
        memset(fill, '[', sizeof(fill));
        fill[n] = '\0';
        snprintf(
            body, sizeof(body),
            "{\"a\":\"%s\\\"\",\"b%s\":[\"%s\\\\\",{\"id\":[1]},\"%s\"],\"id\":7,\"c\":\"%s\"}",
            fill, fill, fill, fill, fill);
        CHECK_STR(describe(x->self, "orders/create", body).subject, "order:" SHOP "/7");
        body[strlen(body) - 2] = ' '; /* the last string never ends */
        describe_refused(x->self, "orders/create", body, "not a JSON object: at byte");
    }
}

static void versions_are_utc_with_milliseconds_and_sort_as_text(void **state)
{
    static const struct {
        const char *from, *to;
    } rows[] = {
        { "2026-11-20T10:15:32+01:00", "2026-11-20T09:15:32.000Z" },
        { "2026-11-20T09:15:32Z", "2026-11-20T09:15:32.000Z" },
        { "2026-11-20T09:15:32.123456Z", "2026-11-20T09:15:32.123Z" },
        { "2026-11-20T09:15:32.5Z", "2026-11-20T09:15:32.500Z" },
        { "2026-12-31T23:30:00-01:00", "2027-01-01T00:30:00.000Z" },
        { "2028-03-01T00:30:00+05:30", "2028-02-29T19:00:00.000Z" },
        { "2100-03-01T00:00:00+00:01", "2100-02-28T23:59:00.000Z" },
        { "2026-11-20 09:15:32+0000", "2026-11-20T09:15:32.000Z" },
        { "2026-11-20T09:15:32", "" },
        { "2026-02-29T09:15:32Z", "" },
        { "2026-13-01T09:15:32Z", "" },
        { "2026-11-20T24:15:32Z", "" },
        { "2026-11-20T09:15:32Zz", "" },
        { "2026-11-20T09:15:32.Z", "" },
        { "2026-11-20", "" },
        { "", "" },
    };
    struct fixture *x = *state;
    char body[200];

    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct described d;

        snprintf(body, sizeof(body), "{\"id\":1,\"updated_at\":\"%s\"}", rows[i].from);
        d = describe(x->self, "orders/updated", body);
        CHECK_STR(d.version, rows[i].to);
        CHECK_EQ(d.notes, *rows[i].to ? 0 : 1); /* never dropped in silence */
    }
}

static void two_changes_of_one_second_are_two_events_and_a_replay_is_none(void **state)
{
    static const char first[] = "{\"id\":1,\"updated_at\":\"2026-11-20T09:15:32Z\",\"tags\":\"a\"}";
    static const char second[] =
        "{\"id\":1,\"updated_at\":\"2026-11-20T09:15:32Z\",\"tags\":\"b\"}";
    struct fixture *x = *state;
    struct described a = describe(x->self, "orders/updated", first);
    struct described again = describe(x->self, "orders/updated", first);
    struct described b = describe(x->self, "orders/updated", second);

    CHECK_STR(a.version, b.version);
    CHECK_STR(a.key, again.key);
    CHECK(strcmp(a.key, b.key) != 0);
    /* a creation happens once */
    CHECK_STR(describe(x->self, "orders/create", first).key, "orders/create:" SHOP "/1");
    CHECK_STR(describe(x->self, "orders/paid", first).key, "");
}

static void a_test_notification_is_noted(void **state)
{
    struct fixture *x = *state;
    struct described d;
    sl_fail fail;

    CHECK_EQ(describe_with(x->self, "orders/create", fake_str("{\"id\":1}"),
                           LINES("x-shopify-test: true"), &d, &fail),
             SL_OK);
    CHECK_STR(d.note, "test");
    CHECK_STR(describe(x->self, "orders/create", "{\"id\":1,\"test\":true}").note, "test");
    CHECK_EQ(describe(x->self, "orders/create", "{\"id\":1,\"test\":false}").notes, 0);
}

/* Its body is what the subscription's own query selects: no id need be in it. */
static void an_event_of_the_newer_kind_is_about_its_resource(void **state)
{
    static const struct {
        const char *id, *subject;
    } rows[] = {
        { "gid://shopify/Product/9007199254740993", "product:" SHOP "/9007199254740993" },
        { "gid://shopify/ProductVariant/5?x=1", "variant:" SHOP "/5" },
        { "gid://shopify/DraftOrder/5", "draft_order:" SHOP "/5" },
        { "gid://shopify/Order/5", "order:" SHOP "/5" },
    };
    static const char *const wrong[] = { "5",
                                         "gid://shopify/Product",
                                         "gid://shopify/Product/",
                                         "gid://shopify//5",
                                         "gid://shopify/Pro duct/5",
                                         "gid://other/Product/5",
                                         "gid://shopify/Product/a b" };
    struct fixture *x = *state;
    struct described d;
    char line[100];
    sl_fail fail;

    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        snprintf(line, sizeof(line), "Shopify-Resource-Id: %s", rows[i].id);
        CHECK_EQ(describe_with(x->self, "product/update",
                               fake_str("{\"product\":{\"title\":\"x\"}}"), LINES(line), &d, &fail),
                 SL_OK);
        CHECK_STR(d.subject, rows[i].subject);
    }
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        snprintf(line, sizeof(line), "shopify-resource-id: %s", wrong[i]);
        CHECK_EQ(describe_with(x->self, "product/update", fake_str("{\"product\":{}}"), LINES(line),
                               &d, &fail),
                 SL_E_INVALID);
    }
    /* what stands in the signed body goes before */
    CHECK_EQ(describe_with(x->self, "product/update", fake_str("{\"id\":7}"),
                           LINES("shopify-resource-id: gid://shopify/Product/5"), &d, &fail),
             SL_OK);
    CHECK_STR(d.subject, "product:" SHOP "/7");
}

/* Topics without a sample: bodies as the reference has them, with absent and null members. */
static void topics_without_a_sample_are_about_what_their_ids_say(void **state)
{
    static const struct {
        const char *topic, *body, *subject, *version, *key;
    } rows[] = {
        { "orders/link_requested", "{\"id\":8,\"updated_at\":null}", "order:" SHOP "/8", "", "" },
        { "checkouts/update",
          "{\"token\":\"a1\",\"id\":null,\"updated_at\":\"2026-11-20T09:15:32Z\"}",
          "checkout:" SHOP "/a1", T32, "+" },
        { "checkouts/delete", "{\"id\":7}", "checkout:" SHOP "/7", "", "" },
        { "inventory_levels/disconnect",
          "{\"inventory_item_id\":9007199254740993,\"location_id\":3}",
          "inventory_level:" SHOP "/9007199254740993/3", "", "" },
        { "inventory_transfers/updated",
          "{\"admin_graphql_api_id\":\"gid://shopify/InventoryTransfer/4\"}",
          "inventory_transfer:" SHOP "/4", "", "" },
        { "inventory_items/delete", "{\"id\":4}", "inventory_item:" SHOP "/4", "",
          "inventory_items/delete:" SHOP "/4" },
        { "variants/out_of_stock", "{\"id\":4,\"updated_at\":\"2026-11-20T09:15:32Z\"}",
          "variant:" SHOP "/4", T32, "" },
        { "company_locations/create",
          "{\"admin_graphql_api_id\":\"gid://shopify/CompanyLocation/4\",\"company\":{\"id\":1}}",
          "company_location:" SHOP "/4", "", "" },
        { "companies/delete", "{\"admin_graphql_api_id\":\"gid://shopify/Company/4\"}",
          "company:" SHOP "/4", "", "companies/delete:" SHOP "/4" },
        { "company_contact_roles/assign",
          "{\"admin_graphql_api_id\":\"gid://shopify/CompanyContactRoleAssignment/4\"}",
          "company_contact_role:" SHOP "/4", "", "" },
        { "disputes/create", "{\"id\":4,\"order_id\":null,\"amount\":11.50}", "dispute:" SHOP "/4",
          "", "" },
        { "disputes/update", "{\"id\":4,\"order_id\":5}", "order:" SHOP "/5", "", "" },
        { "fulfillment_events/delete", "{\"id\":1,\"fulfillment_id\":2,\"order_id\":3}",
          "order:" SHOP "/3", "", "fulfillment_events/delete:" SHOP "/1/-" },
        { "draft_orders/create",
          "{\"id\":5,\"b2b?\":true,\"allow_discount_codes_in_checkout?\":false,"
          "\"order_id\":null,\"updated_at\":\"2026-11-20T09:15:32Z\"}",
          "draft_order:" SHOP "/5", T32, "" },
        { "refunds/create",
          "{\"id\":5,\"order_id\":6,\"refund_line_items\":[{\"id\":1,\"subtotal\":89.99,"
          "\"total_tax\":1.7e1}],\"processed_at\":null,\"created_at\":\"2026-11-20T09:15:32Z\"}",
          "order:" SHOP "/6", T32, "refunds/create:" SHOP "/5" },
        { "reverse_fulfillment_orders/dispose", "{\"id\":3,\"order\":{\"id\":7}}",
          "order:" SHOP "/7", "", "" },
        { "app/scopes_update", "{\"id\":null,\"previous\":[],\"current\":[]}", "shop:" SHOP, "",
          "" },
        { "fulfillment_service/notification", "{\"kind\":\"FULFILLMENT_REQUEST\"}",
          "fulfillment_service:" SHOP, "", "" },
    };
    struct fixture *x = *state;

    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct described d = describe(x->self, rows[i].topic, rows[i].body);

        CHECK_STR(d.subject, rows[i].subject);
        CHECK_STR(d.version, rows[i].version);
        if (rows[i].key[0] == '+')
            CHECK(is_change_key(d.key, rows[i].version));
        else
            CHECK_STR(d.key, rows[i].key);
        CHECK_EQ(d.notes, 0);
    }
}

static void an_order_is_created_once_whatever_its_state_when_it_is_looked_up(void **state)
{
    struct fixture *x = *state;
    char first[600], later[600];

    snprintf(
        first, sizeof(first), "%s",
        describe(x->self, "orders/create", "{\"id\":7,\"updated_at\":\"2026-11-20T09:00:00Z\"}")
            .key);
    snprintf(
        later, sizeof(later), "%s",
        describe(x->self, "orders/create", "{\"id\":7,\"updated_at\":\"2026-11-21T09:00:00Z\"}")
            .key);
    CHECK_STR(first, later);
    CHECK(first[0]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_order_is_created_once_whatever_its_state_when_it_is_looked_up),
        cmocka_unit_test(every_sample_topic_has_its_subject_version_key_and_references),
        cmocka_unit_test(the_sample_order_is_its_own_subject_for_every_order_topic),
        cmocka_unit_test(ids_beyond_doubles_keep_every_digit),
        cmocka_unit_test(a_merge_names_all_fulfilment_orders_though_some_are_plain_numbers),
        cmocka_unit_test(a_return_without_its_order_is_its_own_subject),
        cmocka_unit_test(an_unknown_topic_is_described_by_its_resource_and_id),
        cmocka_unit_test(a_body_that_is_not_understood_is_refused_with_the_reason),
        cmocka_unit_test(what_is_stepped_over_must_still_be_balanced),
        cmocka_unit_test(a_value_counts_as_json_means_it_however_it_is_written),
        cmocka_unit_test(a_member_is_found_behind_text_of_any_length),
        cmocka_unit_test(versions_are_utc_with_milliseconds_and_sort_as_text),
        cmocka_unit_test(two_changes_of_one_second_are_two_events_and_a_replay_is_none),
        cmocka_unit_test(a_test_notification_is_noted),
        cmocka_unit_test(an_event_of_the_newer_kind_is_about_its_resource),
        cmocka_unit_test(topics_without_a_sample_are_about_what_their_ids_say),
    };

    return cmocka_run_group_tests(tests, shopify_setup, shopify_teardown);
}
