/*
 * test_shopify.c - the shopify adapter: heads, published signatures, and what every sample body is
 * about.
 */
#include "fake_host.h"

#include <jansson.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SHOP          "acme.myshopify.com"
#define HMAC_OF_EMPTY "zGfr4y8HnGoD6Mw/CtqVjNCL0/Ldlqf4vnVZrwsv+UM="

static const sl_plugin *plugin;

static const struct fake_setting settings[] = {
    { "shop", SHOP },
    { "webhook_secret", "sandbox-app-secret-current" },
    { "webhook_secret", "sandbox-app-secret-previous" },
    { 0 },
};

struct fixture {
    struct fake_host *host;
    void *self;
};

static int setup(void **state)
{
    struct fixture *x = calloc(1, sizeof(*x));

    assert_non_null(x);
    plugin = sl_plugin_v0();
    x->host = fake_host_create("acme", plugin->settings, settings);
    x->self = fake_host_open(x->host, plugin);
    *state = x;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *x = *state;

    fake_host_close(x->host, plugin, x->self);
    fake_host_destroy(x->host);
    free(x);
    return 0;
}

/* ---- heads --------------------------------------------------------------------------------- */

#define MAX_HEADERS 8

/* "Name: value" strings, NULL ends. */
static size_t split(const char *const *lines, sl_header *ret)
{
    size_t n = 0;

    for (; lines[n]; n++) {
        const char *colon = strchr(lines[n], ':');

        CHECK(colon && n < MAX_HEADERS);
        ret[n].name = (sl_str){ lines[n], (size_t)(colon - lines[n]) };
        ret[n].value = fake_str(colon + 2);
    }
    return n;
}

static sl_status verify_as(void *self, const char *method, const char *const *lines, sl_verdict *v,
                           sl_fail *fail)
{
    sl_header headers[MAX_HEADERS];
    sl_head head = { .size = sizeof(head), .method = fake_str(method), .headers = headers };

    *v = (sl_verdict){ 0 };
    *fail = (sl_fail){ .size = sizeof(*fail) };
    head.n_headers = split(lines, headers);
    return plugin->verify(self, &head, v, fail);
}

static sl_verdict verify_ok(void *self, const char *const *lines)
{
    sl_verdict v;
    sl_fail fail;

    if (verify_as(self, "POST", lines, &v, &fail) != SL_OK)
        fail_msg("%s", fail.text);
    CHECK_EQ(v.scheme, SL_SIGNED_HMAC_SHA256);
    return v;
}

static void verify_refused(void *self, const char *text, const char *const *lines)
{
    sl_verdict v;
    sl_fail fail;

    CHECK_EQ(verify_as(self, "POST", lines, &v, &fail), SL_E_INVALID);
    if (!strstr(fail.text, text))
        fail_msg("\"%s\" lacks \"%s\"", fail.text, text);
}

#define LINES(...) ((const char *const[]){ __VA_ARGS__, NULL })

static void a_head_gives_topic_id_and_signature_whatever_the_case_of_its_names(void **state)
{
    struct fixture *x = *state;
    sl_verdict v = verify_ok(
        x->self, LINES("x-shopify-topic: orders/create", "X-SHOPIFY-HMAC-SHA256: " HMAC_OF_EMPTY,
                       "X-Shopify-Shop-Domain: ACME.myshopify.com",
                       "x-Shopify-Webhook-Id: b54557e4-bdd9-4b37-8a5f-bf7d70bcd043"));

    CHECK_VIEW(v.topic, "orders/create");
    CHECK_VIEW(v.sender_id, "b54557e4-bdd9-4b37-8a5f-bf7d70bcd043");
    CHECK_EQ(v.signature_len, 32);
    CHECK_EQ(v.n_secrets, 2);
    CHECK_VIEW(v.secrets[1], "sandbox-app-secret-previous");
}

static void the_unprefixed_names_are_read_when_the_signature_has_one(void **state)
{
    struct fixture *x = *state;
    sl_verdict v = verify_ok(x->self,
                             LINES("shopify-hmac-sha256: " HMAC_OF_EMPTY,
                                   "shopify-topic: products/update", "X-Shopify-Topic: orders/paid",
                                   "shopify-webhook-id: 7", "shopify-shop-domain: " SHOP));

    CHECK_VIEW(v.topic, "products/update");
    CHECK_VIEW(v.sender_id, "7");
    CHECK_EQ(v.signature_len, 32);
}

static void only_post_is_taken(void **state)
{
    struct fixture *x = *state;
    sl_verdict v;
    sl_fail fail;

    CHECK_EQ(verify_as(x->self, "GET", LINES("X-Shopify-Topic: orders/create"), &v, &fail),
             SL_E_UNSUPPORTED);
    CHECK_EQ(verify_as(x->self, "post", LINES("X-Shopify-Topic: orders/create"), &v, &fail),
             SL_E_UNSUPPORTED);
}

static void a_malformed_signature_counts_as_none(void **state)
{
    static const char *const wrong[] = {
        "",
        "zGfr4y8HnGoD6Mw/CtqVjNCL0/Ldlqf4vnVZrwsv+UM",      /* no padding */
        "zGfr4y8HnGoD6Mw/CtqVjNCL0/Ldlqf4vnVZrwsv+UM==",    /* too much */
        "zGfr4y8HnGoD6Mw_CtqVjNCL0/Ldlqf4vnVZrwsv+UM=",     /* the URL's alphabet */
        "zGfr4y8HnGoD6Mw/CtqVjNCL0/Ldlqf4vnVZrwsv+UN=",     /* spare bits set */
        "zGfr4y8HnGoD6Mw/CtqVjNCL0/Ldlqf4vnVZrwsv+U =",     /* a blank */
        "zGfr4y8HnGoD6Mw/CtqVjNCL0/Ldlqf4vnVZrwsv+U==",     /* 31 bytes */
        "cc67ebe32f079c6a03e8cc3f0ada958cd08bd3f2dd96a7f8", /* hex */
    };
    struct fixture *x = *state;
    char line[128];

    CHECK_EQ(verify_ok(x->self, LINES("X-Shopify-Topic: orders/create")).signature_len, 0);
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        snprintf(line, sizeof(line), "X-Shopify-Hmac-Sha256: %s", wrong[i]);
        if (verify_ok(x->self, LINES("X-Shopify-Topic: a/b", line)).signature_len != 0)
            fail_msg("taken: %s", wrong[i]);
    }
    CHECK_EQ(
        verify_ok(x->self, LINES("X-Shopify-Topic: a/b", "X-Shopify-Hmac-Sha256: " HMAC_OF_EMPTY,
                                 "x-shopify-hmac-sha256: " HMAC_OF_EMPTY))
            .signature_len,
        0);
}

static void a_missing_double_or_odd_topic_is_malformed(void **state)
{
    struct fixture *x = *state;

    verify_refused(x->self, "X-Shopify-Topic is missing", LINES("Host: a"));
    verify_refused(x->self, "X-Shopify-Topic is missing", LINES("X-Shopify-Topic: "));
    verify_refused(x->self, "2 times",
                   LINES("X-Shopify-Topic: orders/create", "x-shopify-topic: orders/paid"));
    verify_refused(x->self, "orders/create", LINES("X-Shopify-Topic: ORDERS_CREATE"));
    verify_refused(x->self, "orders/create", LINES("X-Shopify-Topic: orders"));
    verify_refused(x->self, "orders/create", LINES("X-Shopify-Topic: orders/"));
    verify_refused(x->self, "orders/create", LINES("X-Shopify-Topic: /orders"));
    verify_refused(x->self, "orders/create", LINES("X-Shopify-Topic: a/b/c"));
    verify_refused(x->self, "orders/create", LINES("X-Shopify-Topic: orders/create\t"));
    verify_refused(x->self, "orders/create", LINES("X-Shopify-Topic: ../etc"));
    CHECK_VIEW(verify_ok(x->self, LINES("X-Shopify-Topic: customer.tags_added")).topic,
               "customer.tags_added");
}

static void a_webhook_of_another_shop_is_named_as_misrouted(void **state)
{
    struct fixture *x = *state;

    verify_refused(
        x->self, "acme.myshopify.com",
        LINES("X-Shopify-Topic: orders/create", "X-Shopify-Shop-Domain: other.myshopify.com"));
}

/* ---- signatures ---------------------------------------------------------------------------- */

/* What the host does: HMAC over the raw body with each secret. */
static bool accepted(const sl_verdict *v, const void *body, size_t len)
{
    uint8_t mac[32];
    unsigned int n = sizeof(mac);

    for (size_t i = 0; i < v->n_secrets; i++) {
        assert_non_null(
            HMAC(EVP_sha256(), v->secrets[i].ptr, (int)v->secrets[i].len, body, len, mac, &n));
        if (v->signature_len == n && memcmp(mac, v->signature, n) == 0)
            return true;
    }
    return false;
}

static void check_vector(const char *secret, const char *hmac, const char *body, size_t len)
{
    const struct fake_setting one[] = { { "shop", SHOP }, { "webhook_secret", secret }, { 0 } };
    struct fake_host *f = fake_host_create("acme", plugin->settings, one);
    void *self = fake_host_open(f, plugin);
    char line[128];
    sl_verdict v;

    snprintf(line, sizeof(line), "X-Shopify-Hmac-Sha256: %s", hmac);
    v = verify_ok(self, LINES("X-Shopify-Topic: orders/create", line));
    if (!accepted(&v, body, len))
        fail_msg("refused: %s with %s", hmac, secret);
    v.signature[31] ^= 1;
    CHECK(!accepted(&v, body, len));
    fake_host_close(f, plugin, self);
    fake_host_destroy(f);
}

static void every_published_signature_is_accepted(void **state)
{
    static const char *const groups[] = { "public", "own" };
    char *text = fake_read_file(DATA_DIR, "shopify-hmac-vectors.json", NULL);
    json_t *root = json_loads(text, 0, NULL), *vector;
    size_t i, vectors = 0;

    (void)state;
    assert_non_null(root);
    for (size_t g = 0; g < 2; g++) {
        json_array_foreach(json_object_get(root, groups[g]), i, vector)
        {
            const char *secret = json_string_value(json_object_get(vector, "secret"));
            const char *hmac = json_string_value(json_object_get(vector, "hmac"));
            const char *file = json_string_value(json_object_get(vector, "body_file"));
            const json_t *utf8 = json_object_get(vector, "body_utf8");
            size_t len = json_string_length(utf8);
            char *body = file ? fake_read_file(DATA_DIR, file, &len) : NULL;

            check_vector(secret, hmac, body ? body : json_string_value(utf8), len);
            if (file)
                check_vector(
                    json_string_value(json_object_get(vector, "previous_secret")),
                    json_string_value(json_object_get(vector, "hmac_with_previous_secret")), body,
                    len);
            free(body);
            vectors++;
        }
    }
    CHECK(vectors >= 10);
    json_decref(root);
    free(text);
}

/* ---- describe ------------------------------------------------------------------------------ */

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
    if (!strstr(fail.text, text))
        fail_msg("\"%s\" lacks \"%s\"", fail.text, text);
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
    { "fulfillments/create", ORDER, T32, "fulfillments/create:" SHOP "/4400000000001/" T32, "" },
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
        struct expected e = { topics[i], ORDER, T32, "", "" };

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
    /* a creation happens once: its version is enough */
    CHECK_STR(describe(x->self, "orders/create", first).key, "");
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

/* ---- settings ------------------------------------------------------------------------------ */

static void a_shop_that_is_not_a_permanent_domain_is_refused(void **state)
{
    static const char *const wrong[] = { "shop.example",        "https://acme.myshopify.com",
                                         ".myshopify.com",      "ACME.myshopify.com",
                                         "-a.myshopify.com",    "a.b.myshopify.com",
                                         "acme.myshopify.com/", "acme.myshopify.com.evil.example" };

    (void)state;
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        const struct fake_setting s[] = { { "shop", wrong[i] }, { "webhook_secret", "x" }, { 0 } };
        sl_values *v = fake_values_create(plugin->settings, s);
        sl_fail fail = { .size = sizeof(fail) };

        CHECK_EQ(plugin->check(v, &fake_values_api, &fail), SL_E_INVALID);
        assert_non_null(strstr(fail.text, "acme.myshopify.com"));
        fake_values_destroy(v);
    }
}

static void an_empty_secret_does_not_open(void **state)
{
    const struct fake_setting s[] = {
        { "shop", SHOP }, { "webhook_secret", "x" }, { "webhook_secret", "" }, { 0 }
    };
    struct fake_host *f = fake_host_create("acme", plugin->settings, s);
    sl_fail fail = { .size = sizeof(fail) };
    void *self = NULL;

    (void)state;
    CHECK_EQ(plugin->open(fake_host_table(f), &self, &fail), SL_E_INVALID);
    CHECK_STR(fail.text, "webhook_secret: entry 2 is empty");
    fake_host_destroy(f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_head_gives_topic_id_and_signature_whatever_the_case_of_its_names),
        cmocka_unit_test(the_unprefixed_names_are_read_when_the_signature_has_one),
        cmocka_unit_test(only_post_is_taken),
        cmocka_unit_test(a_malformed_signature_counts_as_none),
        cmocka_unit_test(a_missing_double_or_odd_topic_is_malformed),
        cmocka_unit_test(a_webhook_of_another_shop_is_named_as_misrouted),
        cmocka_unit_test(every_published_signature_is_accepted),
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
        cmocka_unit_test(a_shop_that_is_not_a_permanent_domain_is_refused),
        cmocka_unit_test(an_empty_secret_does_not_open),
    };

    return cmocka_run_group_tests(tests, setup, teardown);
}
