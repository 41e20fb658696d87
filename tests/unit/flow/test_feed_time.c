/*
 * test_feed_time.c - when a feed is polled: the times that follow from its schedule.
 */
#include "../check.h"

#include "flow/feed.h"

#define SEC    INT64_C(1000)
#define MINUTE (60 * SEC)
#define HOUR   (60 * MINUTE)
#define DAY    (24 * HOUR)

static const struct conf_feed five_minutes = { .every_ms = 5 * MINUTE, .at_minute = -1 };
static const struct conf_feed at_two = { .at_minute = 120 };

static void test_one_that_never_was_is_due_at_once(void **state)
{
    (void)state;
    CHECK_EQ(feed_next(&five_minutes, 0, 20 * DAY), 20 * DAY);
}

static void test_the_next_begins_a_period_after_the_last_began(void **state)
{
    (void)state;
    CHECK_EQ(feed_next(&five_minutes, DAY, DAY + 2 * SEC), DAY + 5 * MINUTE);
}

static void test_what_a_long_poll_overlapped_is_left_out(void **state)
{
    (void)state;
    CHECK_EQ(feed_next(&five_minutes, DAY, DAY + 12 * MINUTE), DAY + 15 * MINUTE);
    CHECK_EQ(feed_next(&five_minutes, DAY, DAY + 15 * MINUTE), DAY + 20 * MINUTE);
}

static void test_after_a_stop_the_period_since_the_last_one_counts(void **state)
{
    int64_t began = 3 * DAY, now = began + 9 * HOUR;

    (void)state;
    CHECK(feed_next(&five_minutes, began, began) < now); /* as a start asks: it is due */
}

static void test_a_time_of_day_is_the_next_one(void **state)
{
    (void)state;
    CHECK_EQ(feed_next(&at_two, 0, 7 * DAY + HOUR), 7 * DAY + 2 * HOUR);
    CHECK_EQ(feed_next(&at_two, 0, 7 * DAY + 2 * HOUR), 8 * DAY + 2 * HOUR);
    CHECK_EQ(feed_next(&at_two, 7 * DAY + 2 * HOUR, 7 * DAY + 3 * HOUR), 8 * DAY + 2 * HOUR);
}

static void test_a_night_that_was_slept_through_is_made_up_for(void **state)
{
    int64_t began = 7 * DAY + 2 * HOUR, now = 8 * DAY + 9 * HOUR;

    (void)state;
    CHECK_EQ(feed_next(&at_two, began, began), 8 * DAY + 2 * HOUR);
    CHECK(feed_next(&at_two, began, began) < now);
    CHECK_EQ(feed_next(&at_two, now, now), 9 * DAY + 2 * HOUR);
}

static void test_failures_put_it_off_further_and_further(void **state)
{
    (void)state;
    CHECK_EQ(feed_backoff(1), 10 * SEC);
    CHECK_EQ(feed_backoff(2), 20 * SEC);
    CHECK_EQ(feed_backoff(3), 40 * SEC);
    CHECK_EQ(feed_backoff(100), 10 * MINUTE);
    CHECK_EQ(feed_backoff(UINT32_MAX), 10 * MINUTE);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_one_that_never_was_is_due_at_once),
        cmocka_unit_test(test_the_next_begins_a_period_after_the_last_began),
        cmocka_unit_test(test_what_a_long_poll_overlapped_is_left_out),
        cmocka_unit_test(test_after_a_stop_the_period_since_the_last_one_counts),
        cmocka_unit_test(test_a_time_of_day_is_the_next_one),
        cmocka_unit_test(test_a_night_that_was_slept_through_is_made_up_for),
        cmocka_unit_test(test_failures_put_it_off_further_and_further),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
