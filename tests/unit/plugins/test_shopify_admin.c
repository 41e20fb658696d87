/*
 * test_shopify_admin.c - the client of the Admin API: tokens and their renewal, what is durable
 * before it is used, versions, points, and what `sluice check --online` says.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "admin/admin.h"
#include "admin/token.h"
#include "fake_host.h"
#include "shopify.h"

#define SHOP  "acme.myshopify.com"
#define API   "https://" SHOP "/admin/api/2026-10/graphql.json"
#define OAUTH "https://" SHOP "/admin/oauth/access_token"
#define HOUR  INT64_C(3600000)

#define BY_CLIENT "grant_type=client_credentials&client_id=app-1&client_secret=shpss_s%2Fcret"
#define BY_REFRESH(token) \
    "grant_type=refresh_token&client_id=app-1&client_secret=shpss_s%2Fcret&refresh_token=" token
#define PAIR(access, refresh)                                                           \
    "{\"access_token\":\"" access "\",\"expires_in\":3600,\"refresh_token\":\"" refresh \
    "\",\"refresh_token_expires_in\":7776000,\"scope\":\"read_orders\"}"
#define USED(token) "X-Shopify-Access-Token: " token
#define COST                                                                         \
    "\"extensions\":{\"cost\":{\"requestedQueryCost\":13,\"actualQueryCost\":7,"     \
    "\"throttleStatus\":{\"maximumAvailable\":2000.0,\"currentlyAvailable\":1987.0," \
    "\"restoreRate\":100.0}}}"
#define DATA      "{\"data\":{\"shop\":{\"id\":\"1\"}}," COST "}"
#define BAD_TOKEN "{\"errors\":\"[API] Invalid API key or access token\"}"
#define WEBHOOKS                        \
    { "shop", SHOP },                   \
    {                                   \
        "webhook_secret", "hook-secret" \
    }
#define CLIENT                                \
    { "admin.client_id", "app-1" },           \
    {                                         \
        "admin.client_secret", "shpss_s/cret" \
    }

static const struct fake_setting by_token[] = { WEBHOOKS, { "admin.token", "shpat_1" }, { 0 } };
static const struct fake_setting by_client[] = { WEBHOOKS, CLIENT, { 0 } };
static const struct fake_setting by_refresh[] = {
    WEBHOOKS, CLIENT, { "admin.refresh_token", "first" }, { 0 }
};

struct rig {
    struct fake_host *host;
    const sl_plugin *plugin;
    void *self;
};

struct told {
    int calls;
    struct admin_answer a;
};

static void on_told(void *ctx, const struct admin_answer *a)
{
    struct told *t = ctx;

    t->calls++;
    t->a = *a;
    t->a.data = t->a.errors = NULL;
}

static struct rig open_with(const struct fake_setting *settings)
{
    struct rig r = { .plugin = sl_plugin_v0() };

    r.host = fake_host_create("acme", r.plugin->settings, settings);
    r.self = fake_host_open(r.host, r.plugin);
    return r;
}

static void close_it(struct rig *r)
{
    fake_host_close(r->host, r->plugin, r->self);
    fake_host_destroy(r->host);
}

static void ask(struct rig *r, struct told *t)
{
    CHECK_EQ(admin_ask(r->self, "query { shop { id } }", json_object(), on_told, t), SL_OK);
}

static struct told asked(struct rig *r)
{
    struct told t = { 0 };

    ask(r, &t);
    fake_host_run(r->host);
    CHECK_EQ(t.calls, 1);
    return t;
}

static void expect_data(struct rig *r, const char *token)
{
    FAKE_EXPECT(r->host, .method = "POST", .url = API, .headers = token, .status = 200,
                .answer_headers = "X-Shopify-API-Version: 2026-10", .answer = DATA);
}

static void expect_token(struct rig *r, const char *form, const char *answer)
{
    FAKE_EXPECT(r->host, .method = "POST", .url = OAUTH, .body = form, .status = 200,
                .headers = "Content-Type: application/x-www-form-urlencoded", .answer = answer);
}

#define TOKEN_24H(token) \
    "{\"access_token\":\"" token "\",\"scope\":\"read_orders,write_orders\",\"expires_in\":86399}"

/* ---- client credentials ---- */

static void one_request_gets_a_token_for_all_who_wait(void **state)
{
    struct rig r = open_with(by_client);
    struct told told[3] = { 0 };

    (void)state;
    expect_token(&r, BY_CLIENT, TOKEN_24H("shpat_a"));
    for (int i = 0; i < 3; i++)
        expect_data(&r, USED("shpat_a"));
    for (int i = 0; i < 3; i++)
        ask(&r, &told[i]);
    CHECK_EQ(fake_host_requests(r.host), 1);
    fake_host_run(r.host);
    for (int i = 0; i < 3; i++) {
        CHECK_EQ(told[i].calls, 1);
        CHECK_EQ(told[i].a.verdict, ADMIN_OK);
    }
    close_it(&r);
}

static void a_token_is_renewed_some_minutes_before_it_ends(void **state)
{
    struct rig r = open_with(by_client);

    (void)state;
    expect_token(&r, BY_CLIENT, TOKEN_24H("shpat_a"));
    expect_data(&r, USED("shpat_a"));
    CHECK_EQ(asked(&r).a.verdict, ADMIN_OK);
    fake_host_run_for(r.host, 24 * HOUR - 6 * 60000);
    expect_data(&r, USED("shpat_a"));
    CHECK_EQ(asked(&r).a.verdict, ADMIN_OK);
    fake_host_run_for(r.host, 2 * 60000);
    expect_token(&r, BY_CLIENT, TOKEN_24H("shpat_b"));
    expect_data(&r, USED("shpat_b"));
    CHECK_EQ(asked(&r).a.verdict, ADMIN_OK);
    close_it(&r);
}

static void a_refused_token_is_renewed_once_and_by_one(void **state)
{
    struct rig r = open_with(by_client);
    struct told told[2] = { 0 };

    (void)state;
    expect_token(&r, BY_CLIENT, TOKEN_24H("shpat_a"));
    for (int i = 0; i < 2; i++)
        FAKE_EXPECT(r.host, .url = API, .headers = USED("shpat_a"), .status = 401,
                    .answer = BAD_TOKEN);
    expect_token(&r, BY_CLIENT, TOKEN_24H("shpat_b"));
    expect_data(&r, USED("shpat_b"));
    expect_data(&r, USED("shpat_b"));
    ask(&r, &told[0]);
    ask(&r, &told[1]);
    fake_host_run(r.host);
    CHECK_EQ(told[0].a.verdict, ADMIN_OK);
    CHECK_EQ(told[1].a.verdict, ADMIN_OK);

    FAKE_EXPECT(r.host, .url = API, .status = 401, .answer = BAD_TOKEN);
    expect_token(&r, BY_CLIENT, TOKEN_24H("shpat_c"));
    FAKE_EXPECT(r.host, .url = API, .headers = USED("shpat_c"), .status = 401, .answer = BAD_TOKEN,
                .answer_headers = "X-Request-Id: 5b1c-77");
    struct told t = asked(&r);
    CHECK_EQ(t.a.verdict, ADMIN_PARK);
    CHECK(strstr(t.a.why, "Invalid API key"));
    CHECK(strstr(t.a.why, "(request id 5b1c-77)"));
    close_it(&r);
}

static void a_static_token_that_is_refused_is_not_asked_for_again(void **state)
{
    struct rig r = open_with(by_token);

    (void)state;
    FAKE_EXPECT(r.host, .url = API, .headers = USED("shpat_1"), .status = 401, .answer = BAD_TOKEN);
    CHECK_EQ(asked(&r).a.verdict, ADMIN_PARK);
    close_it(&r);
}

static void no_token_is_told_with_what_to_do(void **state)
{
    static const struct {
        uint32_t status;
        const char *answer, *says;
        enum admin_verdict verdict;
    } cases[] = {
        { 400, "{\"error\":\"app_not_installed\",\"error_description\":\"x\"}",
          "install it from the Dev Dashboard", ADMIN_PARK },
        { 400, "{\"error\":\"shop_not_permitted\"}", "app's own organisation", ADMIN_PARK },
        { 401, "{\"error\":\"invalid_client\"}", "admin.client_secret do not go together",
          ADMIN_PARK },
        { 400, "{\"error\":\"something_new\",\"error_description\":\"of next year\"}",
          "something_new: of next year", ADMIN_PARK },
        { 404, "<html>", "check `shop`", ADMIN_PARK },
        { 503, "", "HTTP 503", ADMIN_NOT_DONE },
        { 429, "", "HTTP 429", ADMIN_THROTTLED },
        { 200, "[]", "no JSON in it", ADMIN_NOT_DONE },
        { 200, "{\"access_token\":\"a b\",\"expires_in\":10}", "no usable access_token",
          ADMIN_NOT_DONE },
        { 200, "{\"access_token\":7}", "no usable access_token", ADMIN_NOT_DONE },
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        struct rig r = open_with(by_client);

        FAKE_EXPECT(r.host, .url = OAUTH, .status = cases[i].status, .answer = cases[i].answer);
        struct told t = asked(&r);
        CHECK_EQ(t.a.verdict, cases[i].verdict);
        if (!strstr(t.a.why, cases[i].says))
            fail_msg("\"%s\" does not say \"%s\"", t.a.why, cases[i].says);
        close_it(&r);
    }
}

/* ---- refresh tokens ---- */

static void a_pair_is_kept_encrypted_and_goes_on_in_another_process(void **state)
{
    struct rig r = open_with(by_refresh);

    (void)state;
    expect_token(&r, BY_REFRESH("first"), PAIR("at-1", "second"));
    expect_data(&r, USED("at-1"));
    CHECK_EQ(asked(&r).a.verdict, ADMIN_OK);
    CHECK(strlen(fake_host_kept(r.host, "admin.tokens")) > 50);
    CHECK(!strstr(fake_host_kept(r.host, "admin.tokens"), "at-1"));
    CHECK(!strstr(fake_host_kept(r.host, "admin.tokens"), "second"));

    /* another process goes on with it, and refreshes with the second */
    fake_host_close(r.host, r.plugin, r.self);
    r.self = fake_host_open(r.host, r.plugin);
    expect_data(&r, USED("at-1"));
    CHECK_EQ(asked(&r).a.verdict, ADMIN_OK);
    fake_host_run_for(r.host, HOUR);
    expect_token(&r, BY_REFRESH("second"), PAIR("at-2", "third"));
    expect_data(&r, USED("at-2"));
    CHECK_EQ(asked(&r).a.verdict, ADMIN_OK);
    close_it(&r);
}

static void a_pair_that_cannot_be_stored_is_never_used(void **state)
{
    struct rig r = open_with(by_refresh);

    (void)state;
    fake_host_keep_answers(r.host, SL_E_INTERNAL);
    expect_token(&r, BY_REFRESH("first"), PAIR("at-1", "second"));
    struct told t = asked(&r);
    CHECK_EQ(t.a.verdict, ADMIN_NOT_DONE);
    CHECK(strstr(t.a.why, "could not be stored"));
    fake_host_keep_answers(r.host, SL_OK);
    expect_token(&r, BY_REFRESH("first"), PAIR("at-1b", "second-b")); /* it still holds */
    expect_data(&r, USED("at-1b"));
    CHECK_EQ(asked(&r).a.verdict, ADMIN_OK);
    close_it(&r);
}

static void a_new_refresh_token_of_the_configuration_is_what_counts(void **state)
{
    static const struct fake_setting renewed[] = {
        WEBHOOKS, CLIENT, { "admin.refresh_token", "given-anew" }, { 0 }
    };
    struct rig r = open_with(by_refresh);
    char *kept;

    (void)state;
    expect_token(&r, BY_REFRESH("first"), PAIR("at-1", "second"));
    expect_data(&r, USED("at-1"));
    CHECK_EQ(asked(&r).a.verdict, ADMIN_OK);
    kept = strdup(fake_host_kept(r.host, "admin.tokens"));
    close_it(&r);

    r = open_with(renewed);
    fake_host_keep(r.host, "admin.tokens", kept);
    expect_token(&r, BY_REFRESH("given-anew"), PAIR("at-9", "tenth"));
    expect_data(&r, USED("at-9"));
    CHECK_EQ(asked(&r).a.verdict, ADMIN_OK);
    close_it(&r);
    free(kept);
}

static void what_was_kept_is_read_with_the_secret_before_too(void **state)
{
    static const struct fake_setting rotated[] = { WEBHOOKS,
                                                   { "admin.client_id", "app-1" },
                                                   { "admin.client_secret", "shpss_new" },
                                                   { "admin.client_secret", "shpss_s/cret" },
                                                   { "admin.refresh_token", "first" },
                                                   { 0 } };
    struct rig r = open_with(by_refresh);
    char *kept;

    (void)state;
    expect_token(&r, BY_REFRESH("first"), PAIR("at-1", "second"));
    expect_data(&r, USED("at-1"));
    CHECK_EQ(asked(&r).a.verdict, ADMIN_OK);
    kept = strdup(fake_host_kept(r.host, "admin.tokens"));
    close_it(&r);

    r = open_with(rotated);
    fake_host_keep(r.host, "admin.tokens", kept);
    expect_data(&r, USED("at-1"));
    CHECK_EQ(asked(&r).a.verdict, ADMIN_OK);
    close_it(&r);
    free(kept);
}

static void what_is_sealed_is_opened_by_its_secret_alone(void **state)
{
    struct rig r = open_with(by_client);
    char *sealed = seal_close(r.self, fake_str("a"), "{\"x\":1}"), *text;

    (void)state;
    text = seal_open(fake_str("a"), fake_str(sealed));
    CHECK_STR(text, "{\"x\":1}");
    seal_wipe(text);
    CHECK(!seal_open(fake_str("b"), fake_str(sealed)));
    sealed[strlen(sealed) - 1] ^= 1;
    CHECK(!seal_open(fake_str("a"), fake_str(sealed)));
    CHECK(!seal_open(fake_str("a"), fake_str("")));
    CHECK(!seal_open(fake_str("a"), fake_str("1:zz")));
    free(sealed);
    close_it(&r);
}

/* ---- what an answer says beside its data ---- */

static void another_version_than_was_asked_for_is_told_once(void **state)
{
    struct rig r = open_with(by_token);

    (void)state;
    for (int i = 0; i < 2; i++)
        FAKE_EXPECT(r.host, .url = API, .status = 200,
                    .answer_headers = "x-shopify-api-version: 2026-01", .answer = DATA);
    asked(&r);
    CHECK(strstr(fake_host_last_log(r.host), "serves version 2026-01"));
    struct shopify *s = r.self;
    s->host->log(s->host->ctx, SL_LOG_INFO, fake_str("-"));
    asked(&r);
    CHECK_STR(fake_host_last_log(r.host), "-");
    close_it(&r);
}

static void points_are_reserved_told_and_learnt(void **state)
{
    struct rig r = open_with(by_token);

    (void)state;
    expect_data(&r, USED("shpat_1"));
    asked(&r);
    CHECK_EQ(fake_host_last_cost(r.host), 1); /* by the rules */
    CHECK_EQ(fake_host_budget(r.host)->remaining, 1987);
    CHECK_EQ(fake_host_budget(r.host)->limit, 2000);
    CHECK_EQ(fake_host_budget(r.host)->restore_milli, 100000);
    CHECK_EQ(fake_host_budget(r.host)->has_taken, 1);
    CHECK_EQ(fake_host_budget(r.host)->taken, 7);
    expect_data(&r, USED("shpat_1"));
    asked(&r);
    CHECK_EQ(fake_host_last_cost(r.host), 13); /* as it said */
    close_it(&r);
}

static void a_question_that_is_refused_for_pace_took_nothing(void **state)
{
    struct rig r = open_with(by_token);

    (void)state;
    FAKE_EXPECT(r.host, .url = API, .status = 200,
                .answer =
                    "{\"errors\":[{\"message\":\"Throttled\",\"extensions\":{\"code\":"
                    "\"THROTTLED\"}}],\"extensions\":{\"cost\":{\"requestedQueryCost\":752,"
                    "\"actualQueryCost\":null,\"throttleStatus\":{\"maximumAvailable\":1000,"
                    "\"currentlyAvailable\":666,\"restoreRate\":50}}}}");
    struct told t = asked(&r);
    CHECK_EQ(t.a.verdict, ADMIN_THROTTLED);
    CHECK_EQ(t.a.after_ms, 1720); /* (752 - 666) / 50 */
    CHECK_EQ(fake_host_budget(r.host)->has_taken, 1);
    CHECK_EQ(fake_host_budget(r.host)->taken, 0);
    close_it(&r);
}

/* ---- settings ---- */

static void check_says(const struct fake_setting *settings, const char *says)
{
    const sl_plugin *p = sl_plugin_v0();
    sl_values *v = fake_values_create(p->settings, settings);
    sl_fail fail = { .size = sizeof(fail) };
    sl_status r = p->check(v, &fake_values_api, &fail);

    if (!says)
        CHECK_EQ(r, SL_OK);
    else if (r != SL_E_INVALID || !strstr(fail.text, says))
        fail_msg("\"%s\" does not say \"%s\"", fail.text, says);
    fake_values_destroy(v);
}

static void credentials_go_together(void **state)
{
    (void)state;
    check_says(by_token, NULL);
    check_says(by_client, NULL);
    check_says(by_refresh, NULL);
    check_says((const struct fake_setting[]){ WEBHOOKS, { 0 } }, NULL);
    check_says((const struct fake_setting[]){ WEBHOOKS, { "admin.client_id", "a" }, { 0 } },
               "one is missing");
    check_says((const struct fake_setting[]){ WEBHOOKS, { "admin.version", "2026-10" }, { 0 } },
               "no credentials");
    check_says((const struct fake_setting[]){ WEBHOOKS, CLIENT, { "admin.token", "t" }, { 0 } },
               NULL);
    check_says((const struct fake_setting[]){ WEBHOOKS, { "admin.refresh_token", "t" }, { 0 } },
               "admin.refresh_token: it needs");
    check_says(
        (const struct fake_setting[]){ WEBHOOKS, CLIENT, { "admin.version", "2026.10" }, { 0 } },
        "reads 2026-10");
}

static void without_credentials_nothing_is_asked(void **state)
{
    static const struct fake_setting none[] = { WEBHOOKS, { 0 } };
    struct rig r = open_with(none);

    (void)state;
    CHECK_EQ(admin_ask(r.self, "{ shop { id } }", json_object(), on_told, NULL), SL_E_UNSUPPORTED);
    close_it(&r);
}

/* ---- sluice check --online ---- */

struct findings {
    char text[4000];
    bool finished;
};

static void on_finding(void *ctx, uint32_t level, sl_str text)
{
    struct findings *f = ctx;
    size_t at = strlen(f->text);

    snprintf(f->text + at, sizeof(f->text) - at, "%c %.*s\n", "-?!"[level], (int)text.len,
             text.ptr);
}

static void on_finish(void *ctx)
{
    ((struct findings *)ctx)->finished = true;
}

static void probe(struct rig *r, void *handle, struct findings *f)
{
    sl_probe_out out = {
        .size = sizeof(out), .ctx = f, .finding = on_finding, .finish = on_finish
    };

    *f = (struct findings){ 0 };
    r->plugin->probe(r->self, handle, &out);
    CHECK(!f->finished);
    fake_host_run(r->host);
    CHECK(f->finished);
}

#define US(domain, scopes)                                                                                 \
    "{\"data\":{\"shop\":{\"name\":\"Acme\",\"myshopifyDomain\":\"" domain                                 \
    "\",\"plan\":{\"publicDisplayName\":\"Basic\"}},\"currentAppInstallation\":{\"accessScopes\":[" scopes \
    "]}}," COST "}"
#define SCOPE(name) "{\"handle\":\"" name "\"}"

static void says(const struct findings *f, const char *line)
{
    if (!strstr(f->text, line))
        fail_msg("it does not say \"%s\":\n%s", line, f->text);
}

static void client_credentials_are_used_where_a_token_stands_beside_them(void **state)
{
    static const struct fake_setting both[] = {
        WEBHOOKS, CLIENT, { "admin.token", "shpat_1" }, { 0 }
    };
    struct rig r = open_with(both);

    struct findings f;

    (void)state;
    CHECK(strstr(fake_host_last_log(r.host), "admin.token is not used"));
    expect_token(&r, BY_CLIENT, TOKEN_24H("shpat_a"));
    expect_data(&r, USED("shpat_a"));
    CHECK_EQ(asked(&r).a.verdict, ADMIN_OK);
    FAKE_EXPECT(r.host, .url = API, .status = 200, .answer = US(SHOP, SCOPE("read_orders")));
    probe(&r, NULL, &f);
    says(&f, "? admin.token is not used, since admin.client_id stands beside it");
    close_it(&r);
}

static void the_endpoint_is_asked_whose_it_is_and_what_is_left(void **state)
{
    struct rig r = open_with(by_token);
    struct findings f;

    (void)state;
    FAKE_EXPECT(r.host, .url = API, .status = 200,
                .answer_headers = "X-Shopify-API-Version: 2026-10",
                .answer = US(SHOP, SCOPE("read_orders") "," SCOPE("write_draft_orders")));
    probe(&r, NULL, &f);
    says(&f, "- asked by a static access token: shop Acme (plan Basic)\n");
    says(&f, "- version 2026-10 of the Admin API\n");
    says(&f, "- scopes: read_orders, write_draft_orders\n");
    says(&f, "? without the scope read_all_orders");
    says(&f,
         "? events fulfillment_orders/* and fulfillment_holds/* would wait, should the shop send "
         "any: to ask whose they are the app lacks the scope "
         "read_merchant_managed_fulfillment_orders|read_assigned_fulfillment_orders|"
         "read_third_party_fulfillment_orders (one of these)\n");
    says(&f,
         "? events returns/* would wait, should the shop send any: to ask whose they are the app "
         "lacks the scope read_returns\n");
    says(&f, "- 1987 of 2000 points are left\n");

    FAKE_EXPECT(r.host, .url = API, .status = 200,
                .answer_headers = "X-Shopify-API-Version: 2026-01",
                .answer = US("other.myshopify.com",
                             SCOPE("write_assigned_fulfillment_orders") "," SCOPE("read_returns")));
    probe(&r, NULL, &f);
    CHECK(!strstr(f.text, "would wait"));
    says(&f, "! the credentials are of the shop other.myshopify.com, not of " SHOP);
    says(&f, "? the shop serves version 2026-01 of the Admin API, not 2026-10");

    FAKE_EXPECT(r.host, .url = API, .status = 402, .answer = "");
    probe(&r, NULL, &f);
    says(&f, "! HTTP 402: the shop is frozen");
    close_it(&r);
}

static void a_missing_scope_is_named_for_its_route(void **state)
{
    struct rig r = open_with(by_token);
    sl_values *params = fake_values_create(r.plugin->actions[0].params,
                                           (const struct fake_setting[]){ { 0 } });
    sl_bind_in in = { .size = sizeof(in), .values = &fake_values_api, .params = params };
    sl_fail fail = { .size = sizeof(fail) };
    struct findings f;
    void *handle;

    (void)state;
    CHECK_EQ(r.plugin->bind(&in, &handle, &fail), SL_OK);
    FAKE_EXPECT(r.host, .url = API, .status = 200, .answer = US(SHOP, SCOPE("write_draft_orders")));
    probe(&r, handle, &f);
    says(&f, "! the app lacks the scope read_products");
    CHECK(!strstr(f.text, "draft"));
    FAKE_EXPECT(r.host, .url = API, .status = 200,
                .answer = US(SHOP, SCOPE("write_draft_orders") "," SCOPE("write_products")));
    probe(&r, handle, &f);
    says(&f, "- the app has the scopes that this needs: write_draft_orders read_products\n");
    r.plugin->unbind(handle);
    fake_values_destroy(params);
    close_it(&r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(one_request_gets_a_token_for_all_who_wait),
        cmocka_unit_test(a_token_is_renewed_some_minutes_before_it_ends),
        cmocka_unit_test(a_refused_token_is_renewed_once_and_by_one),
        cmocka_unit_test(a_static_token_that_is_refused_is_not_asked_for_again),
        cmocka_unit_test(no_token_is_told_with_what_to_do),
        cmocka_unit_test(a_pair_is_kept_encrypted_and_goes_on_in_another_process),
        cmocka_unit_test(a_pair_that_cannot_be_stored_is_never_used),
        cmocka_unit_test(a_new_refresh_token_of_the_configuration_is_what_counts),
        cmocka_unit_test(what_was_kept_is_read_with_the_secret_before_too),
        cmocka_unit_test(what_is_sealed_is_opened_by_its_secret_alone),
        cmocka_unit_test(another_version_than_was_asked_for_is_told_once),
        cmocka_unit_test(points_are_reserved_told_and_learnt),
        cmocka_unit_test(a_question_that_is_refused_for_pace_took_nothing),
        cmocka_unit_test(credentials_go_together),
        cmocka_unit_test(client_credentials_are_used_where_a_token_stands_beside_them),
        cmocka_unit_test(without_credentials_nothing_is_asked),
        cmocka_unit_test(the_endpoint_is_asked_whose_it_is_and_what_is_left),
        cmocka_unit_test(a_missing_scope_is_named_for_its_route),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
