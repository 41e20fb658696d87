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

static void test_a_clock_that_was_set_back_stops_no_feed(void **state)
{
    struct feed d = { .conf = &five_minutes, .began_ms = 9 * DAY, .next_ms = 9 * DAY + 5 * MINUTE };
    struct feed night = { .conf = &at_two, .next_ms = 10 * DAY + 2 * HOUR };

    (void)state;
    feed_follow_clock(&d, 9 * DAY + MINUTE); /* it goes on */
    CHECK_EQ(d.next_ms, 9 * DAY + 5 * MINUTE);
    feed_follow_clock(&d, 2 * DAY); /* a week back */
    CHECK_EQ(d.began_ms, 2 * DAY);
    CHECK_EQ(d.next_ms, 2 * DAY + 5 * MINUTE);
    CHECK_EQ(d.look_ms, 0);
    feed_follow_clock(&night, 9 * DAY + 3 * HOUR);
    CHECK_EQ(night.next_ms, 10 * DAY + 2 * HOUR);
    feed_follow_clock(&night, 2 * DAY + HOUR); /* though it never began */
    CHECK_EQ(night.next_ms, 2 * DAY + 2 * HOUR);
}

static void test_what_waits_after_a_failure_waits_no_longer_by_another_clock(void **state)
{
    struct feed d = { .conf = &at_two,
                      .failures = 2,
                      .began_ms = 9 * DAY,
                      .next_ms = 9 * DAY + MINUTE,
                      .look_ms = 9 * DAY + SEC };

    (void)state;
    feed_follow_clock(&d, 2 * DAY);
    CHECK_EQ(d.next_ms, 2 * DAY + MINUTE);
    CHECK_EQ(d.look_ms, 2 * DAY + SEC);
}

static void test_what_ends_the_process_is_polled_later_and_later(void **state)
{
    (void)state;
    CHECK_EQ(feed_poison_wait(3), 10 * MINUTE);
    CHECK_EQ(feed_poison_wait(4), 20 * MINUTE);
    CHECK_EQ(feed_poison_wait(10), DAY);
    CHECK_EQ(feed_poison_wait(4000000000), DAY);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_clock_that_was_set_back_stops_no_feed),
        cmocka_unit_test(test_what_waits_after_a_failure_waits_no_longer_by_another_clock),
        cmocka_unit_test(test_what_ends_the_process_is_polled_later_and_later),
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
