/*
 * test_clock.c - clocks and calendar text.
 */
#include "../check.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <uv.h>
#include "base/clock.h"

#define UNTOUCHED 4711

static int64_t parsed(const char *s)
{
    int64_t ms = UNTOUCHED;

    CHECK_EQ(clock_parse(s, strlen(s), &ms), 0);
    return ms;
}

static void refused(const char *s)
{
    int64_t ms = UNTOUCHED;

    if (clock_parse(s, strlen(s), &ms) != UV_EINVAL)
        fail_msg("accepted: %s", s);
    CHECK_EQ(ms, UNTOUCHED);
}

static void the_monotonic_clock_never_goes_back(void **state)
{
    uint64_t last = clock_mono_us();

    (void)state;
    for (int i = 0; i < 1000; i++) {
        uint64_t now = clock_mono_us();

        CHECK(now >= last);
        last = now;
    }
    CHECK(clock_mono_ms() >= last / 1000);
    CHECK(clock_wall_ms() > INT64_C(1700000000000));
}

static void times_are_formatted_with_milliseconds_in_utc(void **state)
{
    char text[32];

    (void)state;
    clock_format(0, text);
    CHECK_STR(text, "1970-01-01T00:00:00.000Z");
    clock_format(INT64_C(1795166132123), text);
    CHECK_STR(text, "2026-11-20T09:15:32.123Z");
    clock_format(-1, text);
    CHECK_STR(text, "1969-12-31T23:59:59.999Z");
    clock_format(INT64_MAX, text);
    CHECK_STR(text, "9999-12-31T23:59:59.999Z");
    clock_format(INT64_MIN, text);
    CHECK_STR(text, "0000-01-01T00:00:00.000Z");
}

static void every_form_of_the_zone_means_the_same_moment(void **state)
{
    const int64_t moment = INT64_C(1795166132000);

    (void)state;
    CHECK_EQ(parsed("2026-11-20T09:15:32Z"), moment);
    CHECK_EQ(parsed("2026-11-20t09:15:32z"), moment);
    CHECK_EQ(parsed("2026-11-20 09:15:32Z"), moment);
    CHECK_EQ(parsed("2026-11-20T10:15:32+01:00"), moment);
    CHECK_EQ(parsed("2026-11-20T10:15:32+0100"), moment);
    CHECK_EQ(parsed("2026-11-20T09:15:32+0000"), moment);
    CHECK_EQ(parsed("2026-11-20T09:15:32-00:00"), moment);
    CHECK_EQ(parsed("2026-11-20T04:15:32-05:00"), moment);
    CHECK_EQ(parsed("2026-11-20T14:45:32+05:30"), moment);
    CHECK_EQ(parsed("2026-11-19T23:15:32-10:00"), moment);
}

static void fractions_are_cut_to_milliseconds(void **state)
{
    const int64_t moment = INT64_C(1795166132000);

    (void)state;
    CHECK_EQ(parsed("2026-11-20T09:15:32.1Z"), moment + 100);
    CHECK_EQ(parsed("2026-11-20T09:15:32.123Z"), moment + 123);
    CHECK_EQ(parsed("2026-11-20T09:15:32.123999999Z"), moment + 123);
    CHECK_EQ(parsed("2026-11-20T09:15:32.000+0000"), moment);
}

static void leap_days_and_leap_seconds_are_understood(void **state)
{
    (void)state;
    CHECK_EQ(parsed("2024-03-01T00:00:00Z") - parsed("2024-02-29T00:00:00Z"), 86400000);
    CHECK_EQ(parsed("2000-03-01T00:00:00Z") - parsed("2000-02-28T00:00:00Z"), 2 * 86400000);
    CHECK_EQ(parsed("2016-12-31T23:59:60Z"), parsed("2017-01-01T00:00:00Z"));
    refused("2023-02-29T00:00:00Z");
    refused("1900-02-29T00:00:00Z");
}

static void what_is_no_time_is_refused(void **state)
{
    static const char *const wrong[] = {
        "",
        "2026-11-20",
        "2026-11-20T09:15:32",
        "2026-11-20T09:15Z",
        "2026-11-20T09:15:32.Z",
        "2026-11-20T09:15:32+01",
        "2026-11-20T09:15:32+01:0",
        "2026-11-20T09:15:32+24:00",
        "2026-11-20T09:15:32+01:60",
        "2026-11-20T24:00:00Z",
        "2026-11-20T09:60:00Z",
        "2026-11-20T09:15:61Z",
        "2026-13-20T09:15:32Z",
        "2026-00-20T09:15:32Z",
        "2026-11-00T09:15:32Z",
        "2026-11-31T09:15:32Z",
        "2026-11-20T09:15:32Z ",
        " 2026-11-20T09:15:32Z",
        "26-11-20T09:15:32Z",
        "2026/11/20T09:15:32Z",
        "2026-1-20T09:15:32Z",
        "+026-11-20T09:15:32Z",
    };

    (void)state;
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++)
        refused(wrong[i]);
}

static void text_and_number_agree_on_every_day_of_a_long_time(void **state)
{
    const int64_t day = 86400000;
    int64_t from = parsed("0000-01-01T00:00:00Z"), to = parsed("9999-12-31T00:00:00Z");
    char text[32];

    (void)state;
    for (int64_t ms = from; ms <= to; ms += 13 * day + 12345678) {
        clock_format(ms, text);
        CHECK_EQ(parsed(text), ms);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_monotonic_clock_never_goes_back),
        cmocka_unit_test(times_are_formatted_with_milliseconds_in_utc),
        cmocka_unit_test(every_form_of_the_zone_means_the_same_moment),
        cmocka_unit_test(fractions_are_cut_to_milliseconds),
        cmocka_unit_test(leap_days_and_leap_seconds_are_understood),
        cmocka_unit_test(what_is_no_time_is_refused),
        cmocka_unit_test(text_and_number_agree_on_every_day_of_a_long_time),
    };

    return cmocka_run_group_tests_name("base/clock", tests, NULL, NULL);
}
