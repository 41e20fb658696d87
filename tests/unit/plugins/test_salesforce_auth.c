/*
 * test_salesforce_auth.c - the salesforce adapter's session, settings and names.
 */
#include "salesforce_fixture.h"

#include <jansson.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- the assertion ------------------------------------------------------------------------- */

/* Own, NUL-terminated. */
static uint8_t *decode_base64url(const char *s, size_t n, size_t *ret_len)
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    uint8_t *out = malloc(n + 1);
    uint32_t bits = 0;
    int have = 0;

    *ret_len = 0;
    for (size_t i = 0; i < n; i++) {
        const char *at = strchr(digits, s[i]);

        CHECK(at != NULL);
        bits = bits << 6 | (uint32_t)(at - digits);
        have += 6;
        if (have >= 8) {
            have -= 8;
            out[(*ret_len)++] = (uint8_t)(bits >> have);
        }
    }
    out[*ret_len] = '\0';
    return out;
}

static void check_signature(const char *input, size_t input_len, const uint8_t *signature, size_t n)
{
    BIO *bio = BIO_new_mem_buf(sf_pem(), -1);
    EVP_PKEY *private = PEM_read_bio_PrivateKey(bio, NULL, NULL, NULL), *public = NULL;
    uint8_t *der = NULL;
    const uint8_t *p;
    EVP_MD_CTX *ctx = EVP_MD_CTX_new();
    int len = i2d_PUBKEY(private, &der);

    p = der;
    public = d2i_PUBKEY(NULL, &p, len); /* what Salesforce has: the public half alone */
    CHECK_EQ(EVP_DigestVerifyInit(ctx, NULL, EVP_sha256(), NULL, public), 1);
    CHECK_EQ(EVP_DigestVerify(ctx, signature, n, (const uint8_t *)input, input_len), 1);
    EVP_MD_CTX_free(ctx);
    OPENSSL_free(der);
    EVP_PKEY_free(private);
    EVP_PKEY_free(public);
    BIO_free(bio);
}

static void the_assertion_has_the_claims_and_verifies_with_the_public_key(void **state)
{
    static const char lead[] =
        "grant_type=urn%3Aietf%3Aparams%3Aoauth%3Agrant-type%3Ajwt-bearer&assertion=";
    struct sf_fixture *x = *state;
    const char *header, *claims, *signature;
    json_t *json;
    uint8_t *bytes;
    size_t n;
    sl_str body;

    CHECK_EQ(strlen(lead), 75);
    FAKE_EXPECT(x->host, .method = "POST", .url = SF_LOGIN "/services/oauth2/token", .never = true);
    sf_deliver(x, SF_TWO, NULL);
    fake_host_run(x->host);
    body = fake_host_last_body(x->host);
    CHECK(body.len > 75 && memcmp(body.ptr, lead, 75) == 0);
    header = body.ptr + 75;
    claims = strchr(header, '.') + 1;
    signature = strchr(claims, '.') + 1;
    CHECK_EQ(strncmp(header, "eyJhbGciOiJSUzI1NiJ9.", 21), 0);

    bytes = decode_base64url(claims, (size_t)(signature - 1 - claims), &n);
    json = json_loads((char *)bytes, 0, NULL);
    CHECK_EQ(json_object_size(json), 4);
    CHECK_STR(json_string_value(json_object_get(json, "iss")), "3MVG9.key");
    CHECK_STR(json_string_value(json_object_get(json, "sub")), "sync@acme.example");
    CHECK_STR(json_string_value(json_object_get(json, "aud")), "https://login.salesforce.com");
    CHECK_EQ(json_integer_value(json_object_get(json, "exp")),
             fake_host_wall_ms(x->host) / 1000 + 180);
    json_decref(json);
    free(bytes);

    bytes = decode_base64url(signature, strlen(signature), &n);
    check_signature(header, (size_t)(signature - 1 - header), bytes, n);
    free(bytes);
}

static const struct fake_setting with_secret[] = {
    { "instance", SF_BASE },
    { "auth.flow", "client_credentials" },
    { "auth.client_id", "3MVG9+key" },
    { "auth.client_secret", "s&cret=1" },
    { "describe_every", "0s" },
    { "limits_every", "0s" },
    { 0 },
};

static void client_credentials_go_to_the_my_domain_as_form_fields(void **state)
{
    struct sf_fixture *x = *state;
    struct fake_host *host = fake_host_create("crm", x->plugin->settings, with_secret);
    void *self = fake_host_open(host, x->plugin);
    sl_record record = { .size = sizeof(record), .request = fake_str(SF_ROW("a")) };
    sl_batch batch = { .size = sizeof(batch), .records = &record, .n_records = 1 };
    struct fake_done done;

    FAKE_EXPECT(host, .method = "POST", .url = SF_BASE "/services/oauth2/token",
                .body =
                    "grant_type=client_credentials&client_id=3MVG9%2Bkey&client_secret="
                    "s%26cret%3D1",
                .status = 503);
    fake_done_init(&done, host, 1);
    x->plugin->deliver(self, x->handle, &batch, &done.done);
    fake_host_run(host);
    CHECK_EQ(done.outcomes[0].kind, SL_RETRY);
    CHECK_STR(done.outcomes[0].why, "the login answers 503");
    fake_done_finish(&done);
    fake_host_close(host, x->plugin, self);
    fake_host_destroy(host);
}

/* ---- the session --------------------------------------------------------------------------- */

static void two_batches_wait_for_one_token(void **state)
{
    struct sf_fixture *x = *state;
    sl_record record = { .size = sizeof(record), .request = fake_str(SF_ROW("c")) };
    sl_batch batch = { .size = sizeof(batch), .id = 8, .records = &record, .n_records = 1 };
    struct fake_done other;

    FAKE_EXPECT(x->host, .url = SF_LOGIN "/services/oauth2/token", .status = 200,
                .answer = SF_TOKEN, .delay_ms = 500);
    for (int i = 0; i < 2; i++)
        FAKE_EXPECT(x->host, .url = SF_JOBS, .headers = SF_BEARER, .status = 503);
    sf_deliver(x, SF_TWO, NULL);
    fake_done_init(&other, x->host, 1);
    x->plugin->deliver(x->self, x->handle, &batch, &other.done);
    fake_host_run(x->host);
    CHECK(other.finished);
    sf_check_all(x, SL_RETRY);
    fake_done_finish(&other);

    FAKE_EXPECT(x->host, .url = SF_JOBS, .headers = SF_BEARER, .status = 503); /* kept */
    sf_deliver(x, SF_TWO, NULL);
    fake_host_run(x->host);
    sf_check_all(x, SL_RETRY);
}

static void an_expired_session_is_renewed_and_the_request_repeated_once(void **state)
{
    struct sf_fixture *x = *state;

    sf_expect_token(x);
    sf_expect_create(x, SF_ID);
    FAKE_EXPECT(x->host, .method = "PUT", .headers = SF_BEARER, .status = 401,
                .answer = SF_EXPIRED);
    FAKE_EXPECT(x->host, .url = SF_LOGIN "/services/oauth2/token", .status = 200,
                .answer = "{\"access_token\":\"second\",\"instance_url\":\"" SF_BASE "\"}");
    FAKE_EXPECT(x->host, .method = "PUT", .url = SF_JOB "/batches", .body = SF_TWO_CSV,
                .headers = "Authorization: Bearer second", .status = 201);
    sf_expect_close(x, SF_JOB);
    FAKE_EXPECT(x->host, .method = "GET", .url = SF_JOB, .status = 401, .answer = SF_EXPIRED);
    sf_expect_token(x); /* each request has its own one renewal */
    sf_expect_state(x, SF_JOB, "JobComplete");
    sf_expect_results(x, SF_JOB, SF_OK_HEAD SF_A_OK SF_B_OK, NULL, NULL);
    sf_deliver(x, SF_TWO, NULL);
    fake_host_run(x->host);
    sf_check_two(x);
}

static void start_other(struct sf_fixture *x, sl_batch *batch, struct fake_done *done)
{
    fake_done_init(done, x->host, 1);
    x->plugin->deliver(x->self, x->handle, batch, &done->done);
}

/* Both were sent with the token that has ended; the second answer comes before the new token does,
 * or when it is there already. */
static void two_401_at_once_renew_once(void **state)
{
    static const int64_t delays[] = { 20, 400 };
    struct sf_fixture *x = *state;
    sl_record record = { .size = sizeof(record), .request = fake_str(SF_ROW("c")) };
    sl_batch batch = { .size = sizeof(batch), .id = 8, .records = &record, .n_records = 1 };
    struct fake_done other;

    for (size_t i = 0; i < 2; i++) {
        if (i == 0)
            sf_expect_token(x);
        FAKE_EXPECT(x->host, .url = SF_JOBS, .status = 401, .answer = SF_EXPIRED, .delay_ms = 10);
        FAKE_EXPECT(x->host, .url = SF_JOBS, .status = 401, .answer = SF_EXPIRED,
                    .delay_ms = delays[i]);
        FAKE_EXPECT(x->host, .url = SF_LOGIN "/services/oauth2/token", .status = 200,
                    .answer = SF_TOKEN, .delay_ms = 100);
        for (int k = 0; k < 2; k++)
            FAKE_EXPECT(x->host, .url = SF_JOBS, .headers = SF_BEARER, .status = 503);
        sf_deliver(x, SF_TWO, NULL);
        start_other(x, &batch, &other);
        fake_host_run(x->host);
        CHECK(other.finished && !other.parked);
        sf_check_all(x, SL_RETRY);
        fake_done_finish(&other);
    }
}

static void a_session_that_may_not_use_the_api_is_renewed_once_and_not_for_ever(void **state)
{
    static const char refused[] =
        "[{\"message\":\"This session is not valid for use with the REST API\","
        "\"errorCode\":\"INVALID_SESSION_ID\"}]";
    struct sf_fixture *x = *state;

    for (int i = 0; i < 2; i++) {
        sf_expect_token(x);
        FAKE_EXPECT(x->host, .url = SF_JOBS, .status = 401, .answer = refused);
    }
    sf_deliver(x, SF_TWO, NULL);
    fake_host_run(x->host);
    CHECK(x->done.parked);
    CHECK_HAS(x->done.park_why,
              "not valid for use with the REST API; a new session fared no "
              "better: check the app's scopes (api)");
}

static void a_second_401_parks_the_endpoint(void **state)
{
    struct sf_fixture *x = *state;

    for (int i = 0; i < 2; i++) {
        sf_expect_token(x);
        FAKE_EXPECT(x->host, .url = SF_JOBS, .status = 401, .answer = SF_EXPIRED);
    }
    sf_deliver(x, SF_TWO, NULL);
    fake_host_run(x->host);
    CHECK(x->done.finished && x->done.parked);
    CHECK_HAS(x->done.park_why, "INVALID_SESSION_ID");

    sf_expect_token(x); /* the next try begins with a new login */
    FAKE_EXPECT(x->host, .url = SF_JOBS, .status = 503);
    sf_deliver(x, SF_TWO, NULL);
    fake_host_run(x->host);
    sf_check_all(x, SL_RETRY);
}

static void a_refused_login_parks_and_says_what_to_check(void **state)
{
    struct sf_fixture *x = *state;
    static const struct {
        uint32_t status;
        const char *answer, *why;
    } table[] = {
        { 400,
          "{\"error\":\"invalid_grant\",\"error_description\":\"user hasn't approved this consumer\"}",
          "user hasn't approved this consumer; check: pre-authorise auth.username" },
        { 400, "{\"error\":\"invalid_grant\",\"error_description\":\"audience is invalid\"}",
          "check: auth.audience" },
        { 400, "{\"error\":\"invalid_grant\",\"error_description\":\"expired authorization code\"}",
          "check: this machine's clock" },
        { 400,
          "{\"error_description\":\"client identifier invalid\",\"error\":\"invalid_client_id\"}",
          "check: auth.client_id" },
        { 401, "{\"error\":\"invalid_client\"}", "(no description); check: auth.client_id" },
        { 400, "{\"error\":\"brand_new\"}",
          "brand_new: (no description); check: the endpoint's auth" },
        { 404, "<html>", "the login answers 404" },
        { 302, "", "the login answers 302" },
    };

    for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
        FAKE_EXPECT(x->host, .status = table[i].status, .answer = table[i].answer);
        sf_deliver(x, SF_TWO, NULL);
        fake_host_run(x->host);
        CHECK(x->done.finished && x->done.parked);
        CHECK_HAS(x->done.park_why, table[i].why);
    }
    FAKE_EXPECT(x->host, .status = 400, .answer = "{\"error\":\"rate_limit_exceeded\"}");
    sf_deliver(x, SF_TWO, NULL);
    fake_host_run(x->host);
    sf_check_all(x, SL_THROTTLED);
    CHECK_EQ(x->done.outcomes[0].after_ms, 60000);
}

/* What an endpoint of these settings says when its login is refused so. */
static void check_refused(const struct sf_fixture *x, const struct fake_setting *settings,
                          const char *description, const char *date, const char *want)
{
    struct fake_host *host = fake_host_create("crm", x->plugin->settings, settings);
    void *self = fake_host_open(host, x->plugin);
    sl_record record = { .size = sizeof(record), .request = fake_str(SF_ROW("a")) };
    sl_batch batch = { .size = sizeof(batch), .records = &record, .n_records = 1 };
    struct fake_done done;
    char answer[200];

    snprintf(answer, sizeof(answer), "{\"error\":\"invalid_grant\",\"error_description\":\"%s\"}",
             description);
    FAKE_EXPECT(host, .status = 400, .answer = answer, .answer_headers = date);
    fake_done_init(&done, host, 1);
    x->plugin->deliver(self, x->handle, &batch, &done.done);
    fake_host_run(host);
    CHECK(done.parked);
    CHECK_HAS(done.park_why, want);
    fake_done_finish(&done);
    fake_host_close(host, x->plugin, self);
    fake_host_destroy(host);
}

static void the_audience_is_seen_beside_the_instance(void **state)
{
    static const struct {
        const char *instance, *login, *audience, *want;
    } table[] = {
        { "https://acme--dev.sandbox.my.salesforce.com", NULL, NULL,
          "it is https://login.salesforce.com, and this instance is a sandbox: set "
          "https://test.salesforce.com" },
        { SF_BASE, "https://test.salesforce.com", NULL, "this instance is a sandbox" },
        { SF_BASE, NULL, "https://test.salesforce.com",
          "it is https://test.salesforce.com, and this instance is no sandbox: set "
          "https://login.salesforce.com" },
        { SF_BASE, NULL, "https://community.example", "; it is https://community.example" },
    };

    for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
        struct fake_setting settings[] = {
            { "instance", table[i].instance },
            { "login", table[i].login ? table[i].login : table[i].instance },
            { "auth.audience",
              table[i].audience ? table[i].audience : "https://login.salesforce.com" },
            { "auth.client_id", "x" },
            { "auth.username", "u" },
            { "auth.key", sf_pem() },
            { "describe_every", "0s" },
            { "limits_every", "0s" },
            { 0 },
        };

        check_refused(*state, settings, "audience is invalid", NULL, table[i].want);
    }
}

static void a_clock_that_is_wrong_is_found_by_the_answers_date(void **state)
{
    static const struct {
        const char *date, *want;
    } table[] = { /* it is 09:15:32 here */
                  { "Date: Fri, 20 Nov 2026 09:08:40 GMT", "it is 412 s ahead of Salesforce's" },
                  { "Date: Fri, 20 Nov 2026 10:15:32 GMT", "it is 3600 s behind Salesforce's" },
                  { "Date: Fri, 20 Nov 2026 09:15:00 GMT", "too old or too new" },
                  { "Date: yesterday", "too old or too new" },
                  { NULL, "check: this machine's clock" }
    };
    struct fake_setting settings[] = {
        { "instance", SF_BASE },
        { "auth.client_id", "x" },
        { "auth.username", "u" },
        { "auth.key", sf_pem() },
        { "describe_every", "0s" },
        { "limits_every", "0s" },
        { 0 },
    };

    for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++)
        check_refused(*state, settings, "expired authorization code", table[i].date, table[i].want);
}

static void a_token_that_cannot_be_used_is_not_used(void **state)
{
    struct sf_fixture *x = *state;
    static const char *const answers[] = {
        "<html>",
        "{\"access_token\":\"a\"}",
        "{\"access_token\":\"a\\r\\nX: y\",\"instance_url\":\"" SF_BASE "\"}",
        "{\"access_token\":\"a\",\"instance_url\":\"http://acme.my.salesforce.com\"}",
        "{\"access_token\":\"a\",\"instance_url\":\"https://x y\"}",
    };

    for (size_t i = 0; i < sizeof(answers) / sizeof(answers[0]); i++) {
        FAKE_EXPECT(x->host, .status = 200, .answer = answers[i]);
        sf_deliver(x, SF_TWO, NULL);
        fake_host_run(x->host);
        sf_check_all(x, SL_RETRY);
        CHECK_HAS(x->done.outcomes[0].why, "no usable access_token");
    }
}

static void a_login_that_does_not_answer_says_that_nothing_was_sent(void **state)
{
    struct sf_fixture *x = *state;

    FAKE_EXPECT(x->host, .error = SL_E_TIMEOUT, .sent = 1);
    sf_deliver(x, SF_TWO, NULL);
    fake_host_run(x->host);
    sf_check_all(x, SL_RETRY);
    CHECK_EQ(x->done.outcomes[0].not_sent, 1);
}

/* ---- settings ------------------------------------------------------------------------------ */

static void settings_that_cannot_work_are_refused_with_the_reason(void **state)
{
    struct sf_fixture *x = *state;
    static const struct {
        struct fake_setting settings[6];
        const char *text; /* NULL: fine */
    } table[] = {
        { { { "instance", SF_BASE }, { "auth.client_id", "x" }, { "auth.username", "u" } }, NULL },
        { { { "instance", "http://127.0.0.1:8090" },
            { "auth.client_id", "x" },
            { "auth.username", "u" } },
          NULL },
        { { { "instance", SF_BASE }, { "auth.username", "u" } },
          "auth.client_id is not given; auth.flow jwt needs it" },
        { { { "instance", SF_BASE }, { "auth.client_id", "x" } },
          "auth.username is not given; auth.flow jwt needs it" },
        { { { "instance", SF_BASE }, { "auth.flow", "client_credentials" } },
          "auth.client_id is not given; auth.flow client_credentials needs it" },
        { { { "instance", SF_BASE },
            { "auth.flow", "client_credentials" },
            { "auth.client_id", "x" } },
          NULL },
        { { { "instance", SF_BASE },
            { "auth.flow", "client_credentials" },
            { "login", SF_LOGIN },
            { "auth.client_id", "x" } },
          "login.salesforce.com does not know client_credentials" },
        { { { "instance", "http://localhost:8090" },
            { "auth.client_id", "x" },
            { "auth.username", "u" } },
          NULL },
        { { { "instance", "http://[::1]:8090" },
            { "auth.client_id", "x" },
            { "auth.username", "u" } },
          NULL },
        { { { "instance", "http://acme.my.salesforce.com" } }, "must be https" },
        { { { "instance", "http://127.0.0.1.example.com" } }, "must be https" },
        { { { "instance", "http://localhost.example.com:80" } }, "must be https" },
        { { { "instance", "http://[::1]x" } }, "must be https" },
        { { { "instance", "https://acme.lightning.force.com" } }, "is not an API host" },
        { { { "instance", SF_BASE "/services" } }, "has a path" },
        { { { "instance", SF_BASE }, { "login", "http://login.salesforce.com" } },
          "login: \"http://login.salesforce.com\" must be https" },
        { { { "instance", SF_BASE }, { "api_version", "v66.0" } }, "it reads \"66.0\"" },
        { { { "instance", SF_BASE }, { "api_version", "66" } }, "it reads \"66.0\"" },
        { { { "instance", SF_BASE }, { "api_version", "30.0" } }, "46.0 is the oldest" },
        { { { "instance", SF_BASE }, { "poll.first", "40s" } },
          "poll.first is longer than poll.cap" },
    };

    for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
        sl_values *v = fake_values_create(x->plugin->settings, table[i].settings);
        sl_fail fail = { .size = sizeof(fail) };
        sl_status r = x->plugin->check(v, &fake_values_api, &fail);

        CHECK_EQ(r, table[i].text ? SL_E_INVALID : SL_OK);
        if (table[i].text)
            CHECK_HAS(fail.text, table[i].text);
        fake_values_destroy(v);
    }
}

static const char ec_key[] =
    "-----BEGIN PRIVATE KEY-----\n"
    "MC4CAQAwBQYDK2VwBCIEIAABAgMEBQYHCAkKCwwNDg8QERITFBUWFxgZGhscHR4f\n"
    "-----END PRIVATE KEY-----\n"; /* Ed25519, bytes 0 to 31 */

static void a_key_that_cannot_sign_is_refused_when_the_endpoint_opens(void **state)
{
    struct sf_fixture *x = *state;
    static const struct {
        const char *flow, *secret, *value, *text;
    } table[] = {
        { "jwt", NULL, NULL, "auth.key is not given" },
        { "jwt", "auth.key", "nonsense", "not an RSA private key in PEM" },
        { "jwt", "auth.key", ec_key, "not an RSA private key in PEM" },
        { "client_credentials", NULL, NULL, "auth.client_secret is not given" },
        { "client_credentials", "auth.client_secret", "", "auth.client_secret is not given" },
    };

    for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
        struct fake_setting settings[] = {
            { "instance", SF_BASE },
            { "auth.client_id", "x" },
            { "auth.username", "u" },
            { "auth.flow", table[i].flow },
            { table[i].secret, table[i].value },
            { 0 },
        };
        struct fake_host *host = fake_host_create("crm", x->plugin->settings, settings);
        sl_fail fail = { .size = sizeof(fail) };
        void *self = NULL;

        CHECK_EQ(x->plugin->open(fake_host_table(host), &self, &fail), SL_E_INVALID);
        CHECK_HAS(fail.text, table[i].text);
        fake_host_destroy(host);
    }
}

static void names_are_checked_when_a_route_is_bound(void **state)
{
    struct sf_fixture *x = *state;
    static const struct {
        const char *object, *external_id, *text;
    } table[] = {
        { "Contact", "Id", NULL },
        { "My_Object__c", "Ext__c", NULL },
        { "Contact ", "Ext__c", "object: \"Contact \" is not an API name" },
        { "", "Ext__c", "object: \"\" is not an API name" },
        { "Contact", "Account.Ext__c", "external_id: \"Account.Ext__c\" is not an API name" },
        { "Contact\"}", "Ext__c", "is not an API name" },
    };

    for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
        struct fake_setting params[] = { { "object", table[i].object },
                                         { "external_id", table[i].external_id },
                                         { 0 } };
        sl_values *v = fake_values_create(x->plugin->actions[0].params, params);
        sl_bind_in in = { .size = sizeof(in), .params = v, .values = &fake_values_api };
        sl_fail fail = { .size = sizeof(fail) };
        void *handle = NULL;

        CHECK_EQ(x->plugin->bind(&in, &handle, &fail), table[i].text ? SL_E_INVALID : SL_OK);
        if (table[i].text)
            CHECK_HAS(fail.text, table[i].text);
        x->plugin->unbind(handle);
        fake_values_destroy(v);
    }
}

static void the_row_key_is_the_external_id_without_its_case(void **state)
{
    struct sf_fixture *x = *state;

#define KEY_OF(body) x->plugin->row_key(x->self, x->handle, fake_str(body))
    CHECK_VIEW(KEY_OF(SF_ROW("Gid-7001")), "gid-7001");
    CHECK_VIEW(KEY_OF("{\"" SF_KEY "\":900719925474099301}"), "900719925474099301");
    CHECK_VIEW(KEY_OF("{\"A\":1}"), "");
    CHECK_VIEW(KEY_OF("junk"), "");
}

static void the_tables_say_what_the_host_may_do(void **state)
{
    struct sf_fixture *x = *state;
    const sl_action *a = x->plugin->actions;

    CHECK_STR(x->plugin->name, "salesforce");
    CHECK_STR(a->name, "upsert");
    CHECK_EQ(a->flags, SL_ACTION_IDEMPOTENT | SL_ACTION_UPSERT);
    for (; a->name; a++) {
        CHECK(a->flags & SL_ACTION_IDEMPOTENT);
        CHECK(a->batch_records <= 10000);
        CHECK(a->batch_bytes <= 90000000);
    }
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, sf_setup, sf_teardown)
    const struct CMUnitTest tests[] = {
        TEST(the_assertion_has_the_claims_and_verifies_with_the_public_key),
        TEST(client_credentials_go_to_the_my_domain_as_form_fields),
        TEST(two_batches_wait_for_one_token),
        TEST(an_expired_session_is_renewed_and_the_request_repeated_once),
        TEST(two_401_at_once_renew_once),
        TEST(a_session_that_may_not_use_the_api_is_renewed_once_and_not_for_ever),
        TEST(a_second_401_parks_the_endpoint),
        TEST(a_refused_login_parks_and_says_what_to_check),
        TEST(the_audience_is_seen_beside_the_instance),
        TEST(a_clock_that_is_wrong_is_found_by_the_answers_date),
        TEST(a_token_that_cannot_be_used_is_not_used),
        TEST(a_login_that_does_not_answer_says_that_nothing_was_sent),
        TEST(settings_that_cannot_work_are_refused_with_the_reason),
        TEST(a_key_that_cannot_sign_is_refused_when_the_endpoint_opens),
        TEST(names_are_checked_when_a_route_is_bound),
        TEST(the_row_key_is_the_external_id_without_its_case),
        TEST(the_tables_say_what_the_host_may_do),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
