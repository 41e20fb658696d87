/*
 * test_quota_look.c - a quota that will be used up is told before it is, with the time.
 */
#include "../check.h"

#include "watch/watch_int.h"

#define MINUTE INT64_C(60000)
#define HOUR   (60 * MINUTE)
#define NOON   INT64_C(1795348800000) /* 2026-11-22T12:00:00Z */

static struct forecast forecast;
static char text[320];

/** Looked at each minute; `used` grows by so many in each. Said at the end? */
static bool looked(struct lane_stats *l, int minutes, int64_t each, int64_t *now, bool stands)
{
    bool so = false;

    for (int i = 0; i < minutes; i++) {
        *now += MINUTE;
        l->quota_used += each;
        text[0] = '\0';
        so = quota_look(&forecast, l, stands, *now, text);
    }
    return so;
}

static int setup(void **state)
{
    (void)state;
    forecast = (struct forecast){ 0 };
    return 0;
}

static void it_is_told_hours_before_with_the_reserves_time_first(void **state)
{
    struct lane_stats l = {
        .endpoint = "crm", .quota_limit = 100000, .quota_used = 20000, .quota_reserve = 10000
    };
    int64_t now = NOON - HOUR;

    (void)state;
    CHECK(looked(&l, 61, 300, &now, false)); /* 38,300 used, 18,000 an hour, at 12:01 */
    CHECK_STR(text,
              "38300 of 100000 calls are used, 18000 in an hour; as it goes, only critical "
              "work leaves from 14:53 UTC (in 2h) on, and the quota is used up at 15:26 UTC "
              "(in 3h)");
}

static void without_a_reserve_it_says_when_it_is_used_up(void **state)
{
    struct lane_stats l = { .endpoint = "crm", .quota_limit = 100000, .quota_used = 50000 };
    int64_t now = NOON - HOUR;

    (void)state;
    CHECK(looked(&l, 61, 300, &now, false));
    CHECK_STR(text,
              "68300 of 100000 calls are used, 18000 in an hour; as it goes, the quota is "
              "used up at 13:46 UTC (in 105m)");
}

static void once_told_it_is_not_taken_back_at_the_first_doubt(void **state)
{
    struct lane_stats l = { .endpoint = "crm", .quota_limit = 100000, .quota_used = 0 };
    int64_t now = NOON;

    (void)state;
    CHECK(!looked(&l, 61, 250, &now, false)); /* more than 5 hours ahead */
    CHECK(looked(&l, 1, 250, &now, true));
    CHECK(!looked(&l, 61, 150, &now, true)); /* more than 6 */
}

static void what_has_no_quota_or_does_not_grow_says_nothing(void **state)
{
    struct lane_stats l = { .endpoint = "crm" };
    int64_t now = NOON;

    (void)state;
    CHECK(!looked(&l, 61, 250, &now, false));
    l = (struct lane_stats){ .endpoint = "crm", .quota_limit = 1000, .quota_used = 990 };
    CHECK(!looked(&l, 61, 0, &now, false));
}

static void what_is_used_up_already_says_now(void **state)
{
    struct lane_stats l = { .endpoint = "crm", .quota_limit = 1000, .quota_used = 0 };
    int64_t now = NOON;

    (void)state;
    CHECK(looked(&l, 50, 20, &now, false));
    CHECK_HAS(text, "the quota is used up now");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(it_is_told_hours_before_with_the_reserves_time_first, setup),
        cmocka_unit_test_setup(without_a_reserve_it_says_when_it_is_used_up, setup),
        cmocka_unit_test_setup(once_told_it_is_not_taken_back_at_the_first_doubt, setup),
        cmocka_unit_test_setup(what_has_no_quota_or_does_not_grow_says_nothing, setup),
        cmocka_unit_test_setup(what_is_used_up_already_says_now, setup),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
