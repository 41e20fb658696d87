/*
 * test_fake_host.c - the fake itself: defaults, order of callbacks, the virtual clock.
 */
#include "fake_host.h"

#include <string.h>

static const sl_option table[] = {
    { "url", SL_OPT_URL, SL_OPT_REQUIRED, NULL, 0, 0, NULL, "where" },
    { "secret", SL_OPT_SECRETS, 0, NULL, 0, 0, NULL, "keys" },
    { "wait", SL_OPT_DURATION, 0, "2s", 0, 0, NULL, "how long" },
    { "codes", SL_OPT_INTS, 0, "[200, 201]", 100, 599, NULL, "which" },
    { 0 },
};
static const struct fake_setting settings[] = {
    { "url", "https://a.example/" },
    { "secret", "one" },
    { "secret", "two" },
    { 0 },
};

static char trace[64];

static void on_timer(void *ctx)
{
    strcat(trace, ctx);
}

static void on_answer(void *ctx, const sl_http_answer *a)
{
    CHECK_EQ(a->status, 201);
    CHECK_VIEW(a->headers[0].value, "7");
    strcat(trace, ctx);
}

static void settings_have_defaults_and_secrets_an_order(void **state)
{
    sl_values *v = fake_values_create(table, settings);
    sl_str s;
    int64_t n;

    (void)state;
    CHECK_EQ(fake_values_api.str(v, "url", &s), SL_OK);
    CHECK_VIEW(s, "https://a.example");
    CHECK_EQ(fake_values_api.num(v, "wait", &n), SL_OK);
    CHECK_EQ(n, 2000);
    CHECK_EQ(fake_values_api.json(v, "codes", &s), SL_OK);
    CHECK_VIEW(s, "[200, 201]");
    CHECK_EQ(fake_values_api.secret(v, "secret", 1, &s), SL_OK);
    CHECK_VIEW(s, "two");
    CHECK_EQ(fake_values_api.secret(v, "secret", 2, &s), SL_E_NOT_FOUND);
    fake_values_destroy(v);
}

static void callbacks_run_by_due_time_and_never_before_the_call_returned(void **state)
{
    struct fake_host *f = fake_host_create("byron", table, settings);
    const sl_host *h = fake_host_table(f);
    sl_header accept = { fake_str("accept"), fake_str("a/b") };
    sl_http_request r = { .size = sizeof(r),
                          .method = fake_str("GET"),
                          .url = fake_str("https://a.example/x"),
                          .headers = &accept,
                          .n_headers = 1 };
    uint64_t cancelled;

    (void)state;
    trace[0] = '\0';
    FAKE_EXPECT(f, .method = "GET", .url = "https://a.example/x", .headers = "Accept: a/b\n!Cookie",
                .status = 201, .answer_headers = "Sforce-Limit-Info: 7", .delay_ms = 30);
    CHECK(h->timer(h->ctx, 50, on_timer, "c") != 0);
    CHECK(h->timer(h->ctx, 20, on_timer, "a") != 0);
    cancelled = h->timer(h->ctx, 10, on_timer, "x");
    CHECK_EQ(h->http(h->ctx, &r, on_answer, "b"), SL_OK);
    h->timer_cancel(h->ctx, cancelled);
    CHECK_STR(trace, "");
    fake_host_run_for(f, 40);
    CHECK_STR(trace, "ab");
    CHECK_EQ(h->mono_ms(h->ctx), 1040);
    fake_host_run(f);
    CHECK_STR(trace, "abc");
    CHECK_EQ(h->mono_ms(h->ctx), 1050);
    CHECK_EQ(h->wall_ms(h->ctx) - INT64_C(1795166132000), 50);
    fake_host_destroy(f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(settings_have_defaults_and_secrets_an_order),
        cmocka_unit_test(callbacks_run_by_due_time_and_never_before_the_call_returned),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
