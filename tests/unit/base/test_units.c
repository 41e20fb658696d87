/*
 * test_units.c - durations, sizes, likeness of names.
 */
#include "../check.h"

#include <uv.h>
#include "base/buf.h"
#include "base/units.h"

#define UNTOUCHED 4711

static int64_t duration(const char *s)
{
    int64_t ms = UNTOUCHED;

    CHECK_EQ(units_duration(str_of(s), &ms), 0);
    return ms;
}

static int64_t size(const char *s)
{
    int64_t bytes = UNTOUCHED;

    CHECK_EQ(units_size(str_of(s), &bytes), 0);
    return bytes;
}

static void durations_are_a_whole_number_and_one_unit(void **state)
{
    (void)state;
    CHECK_EQ(duration("250ms"), 250);
    CHECK_EQ(duration("30s"), 30000);
    CHECK_EQ(duration("5m"), 300000);
    CHECK_EQ(duration("24h"), 86400000);
    CHECK_EQ(duration("28d"), INT64_C(2419200000));
    CHECK_EQ(duration("0s"), 0);
    CHECK(duration("9223372036854775807ms") == INT64_MAX);
}

static void wrong_durations_are_refused_and_leave_the_result_alone(void **state)
{
    static const char *const wrong[] = { "",      "5",    "s",    "-1s",
                                         "+1s",   "1.5s", "1 s",  " 1s",
                                         "1s ",   "1S",   "1sec", "1w",
                                         "1h30m", "0x1s", "1,5s", "99999999999999999999" };
    static const char *const large[] = { "9223372036854775808ms", "99999999999999999999s",
                                         "9223372036854775807s", "106751991168d" };
    int64_t ms = UNTOUCHED;

    (void)state;
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++)
        if (units_duration(str_of(wrong[i]), &ms) != UV_EINVAL)
            fail_msg("not refused: %s", wrong[i]);
    for (size_t i = 0; i < sizeof(large) / sizeof(large[0]); i++)
        if (units_duration(str_of(large[i]), &ms) != UV_ERANGE)
            fail_msg("not out of range: %s", large[i]);
    CHECK_EQ(ms, UNTOUCHED);
}

static void sizes_count_in_powers_of_1024(void **state)
{
    int64_t bytes = UNTOUCHED;

    (void)state;
    CHECK_EQ(size("0"), 0);
    CHECK_EQ(size("512"), 512);
    CHECK_EQ(size("64KiB"), 65536);
    CHECK_EQ(size("64K"), 65536);
    CHECK_EQ(size("1MiB"), 1048576);
    CHECK_EQ(size("2GiB"), INT64_C(2147483648));
    CHECK_EQ(size("2G"), INT64_C(2147483648));
    CHECK_EQ(units_size(STR("64KB"), &bytes), UV_EINVAL); /* 64,000 or 65,536? Not guessed. */
    CHECK_EQ(units_size(STR("64k"), &bytes), UV_EINVAL);
    CHECK_EQ(units_size(STR("-1"), &bytes), UV_EINVAL);
    CHECK_EQ(units_size(STR("1.5M"), &bytes), UV_EINVAL);
    CHECK_EQ(units_size(STR(""), &bytes), UV_EINVAL);
    CHECK_EQ(units_size(STR("9223372036854775808"), &bytes), UV_ERANGE);
    CHECK_EQ(units_size(STR("8589934592G"), &bytes), UV_ERANGE);
    CHECK_EQ(bytes, UNTOUCHED);
}

static void formatting_takes_the_largest_unit_that_is_exact(void **state)
{
    static const struct {
        int64_t ms;
        const char *text;
    } cases[] = {
        { 0, "0s" },        { 1, "1ms" },         { 1500, "1500ms" },
        { 90000, "90s" },   { 300000, "5m" },     { 5400000, "90m" },
        { 86400000, "1d" }, { 129600000, "36h" }, { INT64_MAX, "9223372036854775807ms" }
    };
    char text[24];

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        units_format_duration(cases[i].ms, text);
        CHECK_STR(text, cases[i].text);
        CHECK(duration(text) == cases[i].ms);
    }
    units_format_size(0, text);
    CHECK_STR(text, "0");
    units_format_size(1536, text);
    CHECK_STR(text, "1536");
    units_format_size(65536, text);
    CHECK_STR(text, "64KiB");
    units_format_size(INT64_C(3) << 30, text);
    CHECK_STR(text, "3GiB");
    units_format_size(INT64_MIN, text);
    CHECK_STR(text, "-8589934592GiB");
}

static unsigned distance(const char *a, const char *b, unsigned limit)
{
    unsigned d = units_edit_distance(str_of(a), str_of(b), limit);

    CHECK_EQ(units_edit_distance(str_of(b), str_of(a), limit), d);
    return d;
}

static void the_edit_distance_counts_typing_mistakes(void **state)
{
    char aa[200], bb[200];

    (void)state;
    CHECK_EQ(distance("rate", "rate", 3), 0);
    CHECK_EQ(distance("rate", "rat", 3), 1);
    CHECK_EQ(distance("rate", "rates", 3), 1);
    CHECK_EQ(distance("rate", "rabe", 3), 1);
    CHECK_EQ(distance("rate", "raet", 3), 1);
    CHECK_EQ(distance("webhook_secret", "webhok_secert", 3), 2);
    CHECK_EQ(distance("kitten", "sitting", 3), 3);
    CHECK_EQ(distance("", "abc", 3), 3);
    CHECK_EQ(distance("", "", 0), 0);
    CHECK_EQ(distance("kitten", "sitting", 2), 3); /* limit + 1 */
    CHECK_EQ(distance("a", "completely", 2), 3);
    CHECK_EQ(distance("abcdef", "ghijkl", 2), 3);
    CHECK_EQ(distance("xyab", "yxba", 2), 2); /* a swap in every row */
    memset(aa, 'a', sizeof(aa));
    memcpy(bb, aa, sizeof(bb));
    aa[199] = bb[199] = '\0';
    CHECK_EQ(distance(aa, bb, 2), 0);
    bb[0] = 'b';
    CHECK_EQ(distance(aa, bb, 2), 3);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(durations_are_a_whole_number_and_one_unit),
        cmocka_unit_test(wrong_durations_are_refused_and_leave_the_result_alone),
        cmocka_unit_test(sizes_count_in_powers_of_1024),
        cmocka_unit_test(formatting_takes_the_largest_unit_that_is_exact),
        cmocka_unit_test(the_edit_distance_counts_typing_mistakes),
    };

    return cmocka_run_group_tests_name("base/units", tests, NULL, NULL);
}
