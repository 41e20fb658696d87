/*
 * When a remote wants to be asked again.
 */
#include "../check.h"

#include <stdio.h>
#include "net/http_client.h"

#define NOW 784111777000 /* Sun, 06 Nov 1994 08:49:37 GMT */

static int64_t ask(int status, const char *name, const char *value)
{
    sl_header h[2] = { { STR("Date"), STR("x") }, { str_of(name), str_of(value) } };
    struct http_result r = { .status = status, .headers = h, .n_headers = 2 };

    return http_retry_after_ms(&r, NOW);
}

static void seconds_and_dates_are_understood_and_nothing_else(void **state)
{
    static const struct {
        const char *value;
        int64_t ms;
    } table[] = {
        { "0", 0 },
        { "2", 2000 },
        { " 2 ", 2000 },
        { "2.0", 2000 }, /* as shops send it */
        { "0.25", 250 },
        { "0.0001", 1 }, /* never early */
        { "1.9999", 2000 },
        { "3599", 3599000 },
        { "3600", 3600000 },
        { "3600.5", 3600000 },
        { "3601", 3600000 },
        { "1000000000", 3600000 },
        { "99999999999999999999999999999999", 3600000 },
        { "-1", -1 },
        { "+1", -1 },
        { "", -1 },
        { ".5", -1 },
        { "1.", -1 },
        { "1e3", -1 },
        { "2s", -1 },
        { "2, 3", -1 },
        { "soon", -1 },
        { "Sun, 06 Nov 1994 08:50:37 GMT", 60000 },
        { "Sun, 06 Nov 1994 08:49:37 GMT", 0 },
        { "Sun, 06 Nov 1994 08:49:36 GMT", 0 },
        { "Thu, 01 Jan 1970 00:00:00 GMT", 0 },
        { "Sun, 06 Nov 2094 08:49:37 GMT", 3600000 },
        { "Sunday, 06-Nov-94 08:50:37 GMT", 60000 },
        { "Sun Nov  6 08:50:37 1994", 60000 },
        { "Sun Nov 16 08:50:37 1994", 3600000 },
        { "Sun, 06 Nov 1994 08:50:37 UTC", -1 },
        { "Sun, 06 Nov 1994 08:50:37", -1 },
        { "Sun, 6 Nov 1994 08:50:37 GMT", -1 },
        { "Sun, 31 Nov 1994 08:50:37 GMT", -1 },
        { "Sun, 29 Feb 1995 08:50:37 GMT", -1 },
        { "Sun, 06 Nov 1994 24:50:37 GMT", -1 },
        { "Sun, 06 Nov 1994 08:60:37 GMT", -1 },
        { "Sun, 06 Nov 1994 08:50:37 GMT+1", -1 },
        { "Xyz, 06 Nov 1994 08:50:37 GMT", -1 },
        { "Sun, 06 Foo 1994 08:50:37 GMT", -1 },
        { "S", -1 },
        { "Sun", -1 },
    };

    (void)state;
    for (size_t i = 0; i < sizeof(table) / sizeof(*table); i++) {
        int64_t ms = ask(503, "retry-After", table[i].value);

        if (ms != table[i].ms)
            fail_msg("\"%s\": %lld", table[i].value, (long long)ms);
        assert_int_equal(ask(200, "X-Retry-After", table[i].value), ms);
    }
}

static void a_rate_limit_reset_counts_only_with_429(void **state)
{
    (void)state;
    assert_int_equal(ask(429, "X-Ratelimit-Reset", "0.5"), 500);
    assert_int_equal(ask(429, "X-RateLimit-Reset", "7"), 7000);
    assert_int_equal(ask(429, "X-RateLimit-Reset", "-7"), -1);
    assert_int_equal(ask(429, "X-RateLimit-Reset", "Sun, 06 Nov 1994 08:50:37 GMT"), -1);
    assert_int_equal(ask(503, "X-RateLimit-Reset", "7"), -1);
    assert_int_equal(ask(200, "X-RateLimit-Reset", "7"), -1);
}

static void the_standard_header_comes_first(void **state)
{
    sl_header h[] = { { STR("X-RateLimit-Reset"), STR("3") },
                      { STR("x-retry-after"), STR("2") },
                      { STR("Retry-After"), STR("1") } };
    struct http_result r = { .status = 429, .headers = h, .n_headers = 3 };

    (void)state;
    assert_int_equal(http_retry_after_ms(&r, NOW), 1000);
    h[2].value = STR("garbage");
    assert_int_equal(http_retry_after_ms(&r, NOW), 2000);
    h[1].value = STR("garbage");
    assert_int_equal(http_retry_after_ms(&r, NOW), 3000);
    r.n_headers = 0;
    assert_int_equal(http_retry_after_ms(&r, NOW), -1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(seconds_and_dates_are_understood_and_nothing_else),
        cmocka_unit_test(a_rate_limit_reset_counts_only_with_429),
        cmocka_unit_test(the_standard_header_comes_first),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
