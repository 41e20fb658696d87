/*
 * test_http_request.c - the http adapter's requests: templates, what is frozen and what is not, and
 * what `sluice check` says of settings and parameters that do not fit.
 */
#include "http_fixture.h"

#include <stdio.h>
#include <string.h>

#define PARAMS(...)               \
    (const struct fake_setting[]) \
    {                             \
        __VA_ARGS__,              \
        {                         \
            0                     \
        }                         \
    }

/* ---- prepare ------------------------------------------------------------------------------- */

static void check_frozen(const struct fake_setting *params, const char *request)
{
    struct fixture x = fixture_open(NULL, params);
    struct fake_prepared p = { 0 };

    fixture_prepare(&x, &p);
    CHECK_EQ(p.status, SL_OK);
    CHECK_STR(p.request, request);
    fake_prepared_finish(&p);
    fixture_close(&x);
}

static void check_unfit(const struct fake_setting *params, const char *why)
{
    struct fixture x = fixture_open(NULL, params);
    struct fake_prepared p = { 0 };

    fixture_prepare(&x, &p);
    CHECK_EQ(p.status, SL_E_INVALID);
    CHECK_STR(p.why, why);
    fake_prepared_finish(&p);
    fixture_close(&x);
}

static void without_parameters_the_body_is_posted_as_it_is(void **state)
{
    struct fixture x = fixture_open(NULL, NULL);
    struct fake_prepared p = { 0 };
    sl_record record = fixture_record("", 1);
    char want[1024];

    (void)state;
    fixture_prepare(&x, &p);
    snprintf(want, sizeof(want), "POST\n\n%.*s", (int)record.body.len, record.body.ptr);
    CHECK_STR(p.request, want);
    fake_prepared_finish(&p);
    fixture_close(&x);
}

static void placeholders_in_a_path_are_filled_in_and_encoded(void **state)
{
    (void)state;
    check_frozen(PARAMS({ "method", "DELETE" }, { "path", "/o/{/order/id}?k={key}&t={topic}" }),
                 "DELETE /o/9007199254740993?k=Zk3-_9aQ&t=orders%2Fpaid\n\n");
    check_frozen(PARAMS({ "method", "DELETE" },
                        { "path", "/{/order/name}/{/order/a~1b}/{/order/paid}/{/lines/0}/%20" }),
                 "DELETE /%2310%2001/slash/true/x/%20\n\n");
    check_frozen(PARAMS({ "method", "DELETE" }, { "path", "/{piece}/{subject}" }),
                 "DELETE /Byron%20%26%20Sons/order%3Aacme.myshopify.com%2F9007199254740993\n\n");
}

static void only_headers_with_placeholders_are_frozen(void **state)
{
    (void)state;
    check_frozen(
        PARAMS({ "method", "DELETE" }, { "path", "/x" },
               { "headers", "{\"X-Order\":\"no {/order/name}, {{ok}\",\"X-Secret\":\"s\"}" }),
        "DELETE /x\nX-Order: no #10 01, {ok}\n\n");
}

static void values_that_do_not_fit_make_no_request(void **state)
{
    (void)state;
    check_unfit(PARAMS({ "path", "/{/order/nr}" }), "{/order/nr}: the body has nothing there");
    check_unfit(PARAMS({ "path", "/{/order/note}" }),
                "{/order/note}: neither a text, nor a whole number, nor true or false");
    check_unfit(PARAMS({ "path", "/{/order/total}" }),
                "{/order/total}: neither a text, nor a whole number, nor true or false");
    check_unfit(PARAMS({ "path", "/{/up}/x" }),
                "{/up}: an empty text, \".\" or \"..\" cannot stand in a path");
    check_unfit(PARAMS({ "path", "/{/empty}" }),
                "{/empty}: an empty text, \".\" or \"..\" cannot stand in a path");
    check_unfit(PARAMS({ "headers", "{\"A\":\"{/lines/1}\"}" }),
                "{/lines/1}: a control character cannot stand in a header");
}

static void a_path_that_grows_too_long_makes_no_request(void **state)
{
    char path[4097];

    (void)state;
    memset(path, 'a', sizeof(path) - 1);
    path[0] = '/';
    memcpy(path + 4096 - 5, "{key}", 6);
    check_unfit(PARAMS({ "path", path }), "path: longer than 4096 bytes with its values");
}

static void a_program_makes_the_body_and_sees_the_delivery(void **state)
{
    struct fixture x = fixture_open(NULL, PARAMS({ "path", "/p" }, { "body", "{text: .order}" }));
    struct fake_prepared p = { 0 };

    (void)state;
    fake_host_transform(x.host, SL_OK, "{\"text\":1}", NULL);
    fixture_prepare(&x, &p);
    CHECK_STR(p.request, "POST /p\n\n{\"text\":1}");
    CHECK_STR(fake_host_program(x.host), "{text: .order}");
    CHECK_STR(fake_host_vars(x.host),
              "{\"delivery\":{\"key\":\"Zk3-_9aQ\","
              "\"subject\":\"order:acme.myshopify.com/9007199254740993\","
              "\"piece\":\"Byron & Sons\",\"topic\":\"orders/paid\"}}");
    fake_prepared_finish(&p);
    fixture_close(&x);
}

static void a_failing_program_says_its_own_message(void **state)
{
    struct fixture x = fixture_open(NULL, PARAMS({ "body", ".order.no.way" }));
    struct fake_prepared p = { 0 };

    (void)state;
    fake_host_transform(x.host, SL_E_INVALID, NULL, "cannot index number");
    fixture_prepare(&x, &p);
    CHECK_EQ(p.status, SL_E_INVALID);
    CHECK_STR(p.why, "cannot index number");
    fake_prepared_finish(&p);
    fixture_close(&x);
}

static void closing_while_a_program_runs_leaves_nothing(void **state)
{
    struct fixture x = fixture_open(NULL, PARAMS({ "body", "." }));
    struct fake_prepared p = { 0 };
    sl_record record = fixture_record("", 1);

    (void)state;
    x.plugin->prepare(x.self, x.handle, &record, fake_on_prepared, &p);
    CHECK_EQ(p.calls, 0);
    fixture_close(&x);
    CHECK_EQ(p.status, SL_E_CANCELLED);
    fake_prepared_finish(&p);
}

/* ---- settings ------------------------------------------------------------------------------ */

static void check_refused(const struct fake_setting *settings, const char *text)
{
    const sl_plugin *plugin = sl_plugin_v0();
    sl_values *v = fake_values_create(plugin->settings, settings);
    sl_fail fail = { .size = sizeof(fail) };

    if (plugin->check(v, &fake_values_api, &fail) == SL_OK)
        fail_msg("taken, expected: %s", text);
    if (strncmp(fail.text, text, strlen(text)) != 0)
        fail_msg("\"%s\", expected \"%s\"", fail.text, text);
    fake_values_destroy(v);
}

#define REFUSED(text, ...) \
    check_refused((const struct fake_setting[]){ BASIC, __VA_ARGS__, { 0 } }, (text))

static void settings_that_do_not_fit_are_refused_with_what_would(void **state)
{
    (void)state;
    check_refused((const struct fake_setting[]){ { "base_url", "https://x.example/a?b" }, { 0 } },
                  "base_url: a query belongs into");
    REFUSED("secret_path: must begin with '/'", { "secret_path", "services/T0/B0" });
    REFUSED("secret_path: has no placeholders", { "secret_path", "/services/{key}" });
    REFUSED("secret_path: the character at column 3", { "secret_path", "/a b" });
    REFUSED("headers: \"A:\" is not a header's name", { "headers", "{\"A:\":\"b\"}" });
    REFUSED("headers: content-length is written by the gateway",
            { "headers", "{\"content-length\":\"5\"}" });
    REFUSED("headers: a stands there twice", { "headers", "{\"A\":\"1\",\"a\":\"2\"}" });
    REFUSED("headers: the value of A is not one line", { "headers", "{\"A\":\"b\\r\\nC: d\"}" });
    REFUSED("headers: webhook-id is written by signing.secret",
            { "headers", "{\"Webhook-Id\":\"5\"}" });
    REFUSED("idempotency_header: not a header's name", { "idempotency_header", "Order Key" });
    REFUSED("idempotency_header: Host is written by the gateway", { "idempotency_header", "Host" });
    REFUSED("idempotency_header: Idempotency-Key stands in headers too", KEYED,
            { "headers", "{\"idempotency-key\":\"5\"}" });
    REFUSED("accepted.status: 201 is among", { "rejected.status", "[201, 400]" });
    REFUSED("accepted.status: 200 is among", { "duplicate.status", "[200]" });
    REFUSED("accepted.status: empty", { "accepted.status", "[]" });
}

static void parameters_that_do_not_fit_are_refused(const struct fake_setting *params,
                                                   const char *text)
{
    const sl_plugin *plugin = sl_plugin_v0();
    sl_values *v = fake_values_create(plugin->actions[0].params, params);
    sl_fail fail = { .size = sizeof(fail) };
    sl_bind_in in = { .size = sizeof(in), .params = v, .values = &fake_values_api };
    void *handle = NULL;

    if (plugin->bind(&in, &handle, &fail) == SL_OK)
        fail_msg("taken, expected: %s", text);
    if (strncmp(fail.text, text, strlen(text)) != 0)
        fail_msg("\"%s\", expected \"%s\"", fail.text, text);
    fake_values_destroy(v);
}

#define UNBOUND(text, ...) parameters_that_do_not_fit_are_refused(PARAMS(__VA_ARGS__), (text))

static void parameters_that_do_not_fit_are_refused_with_what_would(void **state)
{
    (void)state;
    UNBOUND("path: must begin with '/'", { "path", "orders" });
    UNBOUND("path: unknown placeholder at column 4; there are {key}", { "path", "/o/{id}" });
    UNBOUND("path: unknown placeholder at column 2", { "path", "/{key" });
    UNBOUND("path: unknown placeholder at column 2", { "path", "/{/a~2}" });
    UNBOUND("path: unknown placeholder at column 2", { "path", "/{/}" });
    UNBOUND("path: the character at column 3 cannot", { "path", "/o}" });
    UNBOUND("path: the character at column 2 cannot", { "path", "/#x" });
    UNBOUND("path: the character at column 2 cannot", { "path", "/%2" });
    UNBOUND("headers: X: unknown placeholder at column 2; there are {key}",
            { "headers", "{\"X\":\"a{b}\"}" });
    UNBOUND("headers: X: a control character at column 2", { "headers", "{\"X\":\"a\\u0007\"}" });
    UNBOUND("headers: webhook-signature is written by signing.secret",
            { "headers", "{\"Webhook-Signature\":\"5\"}" });
    UNBOUND("headers: Host is written by the gateway", { "headers", "{\"Host\":\"x\"}" });
}

static void a_message_never_quotes_a_value_that_may_be_a_secret(void **state)
{
    const sl_plugin *plugin = sl_plugin_v0();
    sl_values *v = fake_values_create(plugin->actions[0].params,
                                      PARAMS({ "headers", "{\"X\":\"hush{hush\"}" }));
    sl_fail fail = { .size = sizeof(fail) };
    sl_bind_in in = { .size = sizeof(in), .params = v, .values = &fake_values_api };
    void *handle = NULL;

    (void)state;
    CHECK_EQ(plugin->bind(&in, &handle, &fail), SL_E_INVALID);
    CHECK(!strstr(fail.text, "hush"));
    fake_values_destroy(v);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(without_parameters_the_body_is_posted_as_it_is),
        cmocka_unit_test(placeholders_in_a_path_are_filled_in_and_encoded),
        cmocka_unit_test(only_headers_with_placeholders_are_frozen),
        cmocka_unit_test(values_that_do_not_fit_make_no_request),
        cmocka_unit_test(a_path_that_grows_too_long_makes_no_request),
        cmocka_unit_test(a_program_makes_the_body_and_sees_the_delivery),
        cmocka_unit_test(a_failing_program_says_its_own_message),
        cmocka_unit_test(closing_while_a_program_runs_leaves_nothing),
        cmocka_unit_test(settings_that_do_not_fit_are_refused_with_what_would),
        cmocka_unit_test(parameters_that_do_not_fit_are_refused_with_what_would),
        cmocka_unit_test(a_message_never_quotes_a_value_that_may_be_a_secret),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
