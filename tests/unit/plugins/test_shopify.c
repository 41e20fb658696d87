/*
 * test_shopify.c - the shopify adapter: heads, published signatures, settings.
 */
#include "shopify_fixture.h"

#include <jansson.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define HMAC_OF_EMPTY "zGfr4y8HnGoD6Mw/CtqVjNCL0/Ldlqf4vnVZrwsv+UM="

/* ---- heads --------------------------------------------------------------------------------- */

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
    CHECK_HAS(fail.text, text);
}

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

static void an_event_of_the_newer_kind_has_a_topic_of_what_was_done(void **state)
{
    static const struct {
        const char *topic, *action, *is;
    } rows[] = {
        { "Product", "update", "product/update" },
        { "ProductVariant", "create", "product_variant/create" },
        { "order", "DELETE", "order/delete" },
        { "product", "published", "product" }, /* none of ours: as it is spelt */
        { "SomethingNew", "update", "SomethingNew" },
        { "orders/create", "update", "orders/create" },
    };
    static const char *const wrong[] = { "a b", "Product1", "a/b/c", "\xc3\x84", "" };
    struct fixture *x = *state;
    char topic[64], action[64];

    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        snprintf(topic, sizeof(topic), "shopify-topic: %s", rows[i].topic);
        snprintf(action, sizeof(action), "shopify-action: %s", rows[i].action);
        sl_verdict v = verify_ok(x->self, LINES("shopify-hmac-sha256: " HMAC_OF_EMPTY, topic,
                                                action, "shopify-handle: product-changes",
                                                "shopify-resource-id: gid://shopify/Product/1"));

        CHECK_VIEW(v.topic, rows[i].is);
    }
    CHECK_VIEW(
        verify_ok(x->self, LINES("shopify-hmac-sha256: " HMAC_OF_EMPTY, "shopify-topic: Product"))
            .topic,
        "Product");
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        snprintf(topic, sizeof(topic), "shopify-topic: %s", wrong[i]);
        verify_refused(x->self, "shopify-topic", LINES("shopify-hmac-sha256: x", topic));
    }
    /* webhooks' topics have a slash as before */
    verify_refused(x->self, "orders/create",
                   LINES("X-Shopify-Topic: Product", "shopify-action: update"));
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

/* ---- settings ------------------------------------------------------------------------------ */

static void its_own_subjects_are_those_of_its_shop(void **state)
{
    static const char *const own[] = { "order:" SHOP "/450789469", "shop:" SHOP,
                                       "inventory_level:" SHOP "/1/2" };
    static const char *const others[] = { "order:acme2.myshopify.com/1",
                                          "order:" SHOP ".evil/1",
                                          "order:x" SHOP "/1",
                                          "order:",
                                          "order:other.example/" SHOP "/",
                                          "",
                                          SHOP "/1" };
    struct fixture *x = *state;

    for (size_t i = 0; i < sizeof(own) / sizeof(own[0]); i++)
        CHECK(plugin->owns(x->self, (sl_str){ own[i], strlen(own[i]) }));
    for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++)
        CHECK(!plugin->owns(x->self, (sl_str){ others[i], strlen(others[i]) }));
}

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

/* ---- looking an order up -------------------------------------------------------------------- */

static const struct fake_setting admin[] = { { "shop", SHOP },
                                             { "webhook_secret", "x-secret" },
                                             { "admin.version", "2026-10" },
                                             { "admin.token", "shpat_secret" },
                                             { 0 } };

/** `answer` NULL: nothing is asked. Give `l` to fake_looked_up_finish(). */
static void look_up(const char *subject, const struct fake_exchange *answer,
                    struct fake_looked_up *l)
{
    struct fake_host *f = fake_host_create("acme", plugin->settings, admin);
    void *self = fake_host_open(f, plugin);
    sl_lookup what = { .size = sizeof(what), .topic = fake_str("orders/create") };

    *l = (struct fake_looked_up){ .host = f };
    what.subject = fake_str(subject);
    if (answer)
        fake_host_expect(f, answer);
    plugin->lookup(self, &what, fake_on_looked_up, l);
    fake_host_run(f);
    CHECK_EQ(l->calls, 1);
    fake_host_close(f, plugin, self);
    fake_host_destroy(f);
}

static void an_order_is_asked_for_by_its_id_and_given_byte_for_byte(void **state)
{
    struct fake_looked_up l;

    (void)state;
    look_up("order:" SHOP "/820982911946154508",
            &(struct fake_exchange){
                .method = "GET",
                .url = "https://" SHOP "/admin/api/2026-10/orders/820982911946154508.json",
                .headers = "X-Shopify-Access-Token: shpat_secret\nAccept: application/json",
                .status = 200,
                .answer = "{ \"order\" : {\"id\": 820982911946154508, \"total\": \"1.10\"} }" },
            &l);
    CHECK_EQ(l.verdict, SL_LOOKUP_FOUND);
    CHECK_STR(l.body, "{\"id\": 820982911946154508, \"total\": \"1.10\"}");
    fake_looked_up_finish(&l);
}

static void check_looked_up(const char *subject, const struct fake_exchange *answer,
                            uint32_t verdict, int64_t after_ms, const char *why)
{
    struct fake_looked_up l;

    look_up(subject, answer, &l);
    CHECK_EQ(l.verdict, verdict);
    CHECK_EQ(l.after_ms, after_ms);
    if (why)
        CHECK_STR(l.why, why);
    fake_looked_up_finish(&l);
}

static void what_the_shop_does_not_know_or_say_is_told_apart(void **state)
{
    const char *order = "order:" SHOP "/1";

    (void)state;
    check_looked_up(order, &(struct fake_exchange){ .status = 404, .answer = "{}" }, SL_LOOKUP_NONE,
                    0, "HTTP 404");
    check_looked_up(order, &(struct fake_exchange){ .status = 429, .retry_after_ms = 2000 },
                    SL_LOOKUP_AGAIN, 2000, "HTTP 429");
    check_looked_up(order, &(struct fake_exchange){ .error = SL_E_TIMEOUT, .sent = 1 },
                    SL_LOOKUP_AGAIN, 0, NULL);
    check_looked_up(order, &(struct fake_exchange){ .status = 200, .answer = "{\"orders\":[]}" },
                    SL_LOOKUP_AGAIN, 0, NULL);
    check_looked_up("order:" SHOP "/1/../2", NULL, SL_LOOKUP_NONE, 0, NULL);
    check_looked_up("order:other.myshopify.com/1", NULL, SL_LOOKUP_NONE, 0, NULL);
    check_looked_up("product:" SHOP "/1", NULL, SL_LOOKUP_NONE, 0, NULL);
}

static void what_cannot_be_looked_up_says_why(void **state)
{
    const struct fake_setting plain[] = { { "shop", SHOP }, { "webhook_secret", "x" }, { 0 } };
    const struct fake_setting odd[] = {
        { "shop", SHOP }, { "webhook_secret", "x" }, { "admin.version", "10-2026" }, { 0 }
    };
    sl_values *v = fake_values_create(plugin->settings, plain);
    sl_fail fail = { .size = sizeof(fail) };

    (void)state;
    CHECK_EQ(plugin->can_look_up(v, &fake_values_api, fake_str("orders/create"), &fail),
             SL_E_INVALID);
    assert_non_null(strstr(fail.text, "admin"));
    fake_values_destroy(v);
    v = fake_values_create(plugin->settings, odd);
    CHECK_EQ(plugin->check(v, &fake_values_api, &fail), SL_E_INVALID);
    CHECK(strncmp(fail.text, "admin.version: ", 15) == 0);
    fake_values_destroy(v);
    v = fake_values_create(plugin->settings, admin);
    CHECK_EQ(plugin->can_look_up(v, &fake_values_api, fake_str("orders/create"), &fail), SL_OK);
    CHECK_EQ(plugin->can_look_up(v, &fake_values_api, fake_str("orders/paid"), &fail),
             SL_E_UNSUPPORTED);
    fake_values_destroy(v);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_head_gives_topic_id_and_signature_whatever_the_case_of_its_names),
        cmocka_unit_test(the_unprefixed_names_are_read_when_the_signature_has_one),
        cmocka_unit_test(an_event_of_the_newer_kind_has_a_topic_of_what_was_done),
        cmocka_unit_test(only_post_is_taken),
        cmocka_unit_test(a_malformed_signature_counts_as_none),
        cmocka_unit_test(a_missing_double_or_odd_topic_is_malformed),
        cmocka_unit_test(a_webhook_of_another_shop_is_named_as_misrouted),
        cmocka_unit_test(every_published_signature_is_accepted),
        cmocka_unit_test(its_own_subjects_are_those_of_its_shop),
        cmocka_unit_test(a_shop_that_is_not_a_permanent_domain_is_refused),
        cmocka_unit_test(an_empty_secret_does_not_open),
        cmocka_unit_test(an_order_is_asked_for_by_its_id_and_given_byte_for_byte),
        cmocka_unit_test(what_the_shop_does_not_know_or_say_is_told_apart),
        cmocka_unit_test(what_cannot_be_looked_up_says_why),
    };

    return cmocka_run_group_tests(tests, shopify_setup, shopify_teardown);
}
