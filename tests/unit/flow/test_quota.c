/*
 * A quota: calls in a window of the wall clock, counted here and set right by the remote.
 */
#include "../check.h"
#include "flow/quota.h"

#define DAY  QUOTA_DAY_MS
#define HOUR (DAY / 24)
#define NOON (20000 * DAY + DAY / 2)

static void a_spent_day_waits_for_midnight(void **state)
{
    struct quota q;

    (void)state;
    quota_init(&q, 3, DAY);
    for (int i = 0; i < 3; i++) {
        CHECK_EQ(quota_wait(&q, 1, 0, NOON), 0);
        quota_take(&q, 1, NOON);
        quota_heard(&q);
    }
    CHECK_EQ(quota_wait(&q, 1, 0, NOON), DAY / 2);
    CHECK_EQ(quota_wait(&q, 1, 0, NOON + DAY / 2 - 1), 1);
    CHECK_EQ(quota_wait(&q, 1, 0, NOON + DAY / 2), 0);
    CHECK_EQ(q.used, 0);
}

static void what_is_out_at_midnight_may_count_in_either_day(void **state)
{
    struct quota q;

    (void)state;
    quota_init(&q, 3, DAY);
    quota_wait(&q, 1, 0, NOON);
    quota_take(&q, 1, NOON + DAY / 2 - 1);
    quota_take(&q, 1, NOON + DAY / 2 - 1);
    quota_heard(&q);
    CHECK_EQ(quota_wait(&q, 1, 0, NOON + DAY / 2), 0);
    CHECK_EQ(q.used, 1);
    quota_heard(&q);
    quota_heard(&q); /* once too often */
    CHECK_EQ(q.out, 0);
}

static void what_is_kept_is_for_others(void **state)
{
    struct quota q;

    (void)state;
    quota_init(&q, 10, DAY);
    quota_take(&q, 9, NOON);
    CHECK(quota_wait(&q, 1, 1, NOON) > 0);
    CHECK_EQ(quota_wait(&q, 1, 0, NOON), 0);
}

static void the_remote_sees_other_clients_and_not_what_was_sent_since(void **state)
{
    struct quota q;

    (void)state;
    quota_init(&q, 0, 0); /* none is known */
    CHECK_EQ(quota_wait(&q, 1000, 0, NOON), 0);
    quota_told(&q, 100, 40, 5, 2 * HOUR, NOON);
    CHECK_EQ(q.used, 65);
    CHECK_EQ(quota_wait(&q, 35, 0, NOON), 0);
    CHECK_EQ(quota_wait(&q, 36, 0, NOON), 2 * HOUR);
    CHECK_EQ(quota_wait(&q, 36, 0, NOON + 2 * HOUR), 0);
    quota_take(&q, 7, NOON + 2 * HOUR);
    quota_told(&q, 100, 90, 5, 2 * HOUR, NOON + 2 * HOUR); /* and seven are out */
    CHECK_EQ(q.used, 17);
}

static void a_window_that_slides_is_tried_again_after_a_while(void **state)
{
    struct quota q;

    (void)state;
    quota_init(&q, 0, 0);
    quota_told(&q, 100, 0, 0, -1, NOON);
    int64_t wait = quota_wait(&q, 1, 0, NOON);
    CHECK(wait > 0 && wait <= HOUR);
    CHECK_EQ(quota_wait(&q, 1, 0, NOON + 1000), wait - 1000);
    CHECK_EQ(quota_wait(&q, 1, 0, NOON + wait), 0);
    quota_told(&q, 100, 0, 0, -1, NOON + wait); /* and there is nothing yet */
    CHECK(quota_wait(&q, 1, 0, NOON + wait) > 0);
    quota_told(&q, 100, 7, 0, -1, NOON + wait + 1000); /* a straggler's answer */
    CHECK_EQ(quota_wait(&q, 1, 0, NOON + wait + 1000), 0);
}

static void what_was_said_of_a_window_before_ends_no_window(void **state)
{
    struct quota q;

    (void)state;
    quota_init(&q, 0, 0);
    quota_told(&q, 20, 2, 0, 15000, NOON);
    quota_told_late(&q, 20, 17, 30, 100, NOON + 1000); /* it was 100 ms before the end, long ago */
    CHECK_EQ(quota_wait(&q, 2, 0, NOON + 1000), 0);
    CHECK_EQ(quota_wait(&q, 3, 0, NOON + 1200), 13800);
    quota_told_late(&q, 20, 1, 0, 13700, NOON + 1200); /* of this one, in whole seconds perhaps */
    CHECK_EQ(quota_wait(&q, 1, 0, NOON + 1200), 0);
    CHECK_EQ(quota_wait(&q, 2, 0, NOON + 1200), 13800);
    quota_told_late(&q, 20, 0, 0, -1, NOON + 1200);
    CHECK_EQ(quota_wait(&q, 1, 0, NOON + 1200), 13800);
}

static void nothing_is_too_large_to_go_at_all(void **state)
{
    struct quota q;

    (void)state;
    quota_init(&q, 2, DAY);
    CHECK_EQ(quota_wait(&q, 5, 1, NOON), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_spent_day_waits_for_midnight),
        cmocka_unit_test(what_is_out_at_midnight_may_count_in_either_day),
        cmocka_unit_test(what_is_kept_is_for_others),
        cmocka_unit_test(the_remote_sees_other_clients_and_not_what_was_sent_since),
        cmocka_unit_test(a_window_that_slides_is_tried_again_after_a_while),
        cmocka_unit_test(what_was_said_of_a_window_before_ends_no_window),
        cmocka_unit_test(nothing_is_too_large_to_go_at_all),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
