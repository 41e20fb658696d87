/*
 * The token bucket: exact in integers, on a clock that is an argument.
 */
#include "../check.h"
#include "flow/bucket.h"

static void a_full_bucket_gives_its_burst_and_then_its_rate(void **state)
{
    struct bucket b;

    (void)state;
    bucket_init(&b, 10 * 1000, 2, 0);
    CHECK_EQ(bucket_take(&b, 1, 0), 0);
    CHECK_EQ(bucket_take(&b, 1, 0), 0);
    CHECK_EQ(bucket_take(&b, 1, 0), 100);
    CHECK_EQ(bucket_take(&b, 1, 99), 1);
    CHECK_EQ(bucket_take(&b, 1, 100), 0);
    CHECK_EQ(bucket_take(&b, 1, 100), 100);
}

static void a_rate_below_one_a_second_is_exact(void **state)
{
    struct bucket b;
    unsigned taken = 0;

    (void)state;
    bucket_init(&b, 333, 2, 0); /* a third of a token a second, nearly */
    for (uint64_t now = 0; now <= 1000 * 1000; now++)
        taken += bucket_take(&b, 1, now) == 0;
    CHECK_EQ(taken, 2 + 333);
}

static void asking_often_loses_nothing_to_rounding(void **state)
{
    struct bucket b;
    unsigned taken = 0;

    (void)state;
    bucket_init(&b, 7 * 1000, 2, 0);
    for (uint64_t now = 0; now <= 60 * 1000; now += 1)
        taken += bucket_take(&b, 1, now) == 0;
    CHECK_EQ(taken, 2 + 7 * 60);
}

static void what_was_promised_as_wait_is_enough(void **state)
{
    (void)state;
    for (uint64_t rate = 1; rate < 5000; rate += 37) {
        struct bucket b;
        uint64_t now = 5;
        bucket_init(&b, rate, 1, now);
        CHECK_EQ(bucket_take(&b, 1, now), 0);
        uint64_t wait = bucket_take(&b, 1, now);
        CHECK(wait > 0);
        CHECK(bucket_wait(&b, 1, now + wait - 1) > 0);
        CHECK_EQ(bucket_take(&b, 1, now + wait), 0);
    }
}

static void a_charge_makes_debt_that_is_paid_before_the_next(void **state)
{
    struct bucket b;

    (void)state;
    bucket_init(&b, 1000, 1, 0);
    bucket_charge(&b, 4, 0);
    CHECK_EQ(bucket_take(&b, 1, 0), 4000);
    CHECK_EQ(bucket_take(&b, 1, 3999), 1);
    CHECK_EQ(bucket_take(&b, 1, 4000), 0);
}

static void a_block_empties_it_until_then(void **state)
{
    struct bucket b;

    (void)state;
    bucket_init(&b, 1000, 5, 0);
    bucket_block(&b, 2000, 0);
    CHECK_EQ(bucket_take(&b, 1, 0), 2000);
    CHECK_EQ(bucket_take(&b, 1, 2000), 1000);
    CHECK_EQ(bucket_take(&b, 1, 3000), 0);
    bucket_block(&b, 2500, 3000); /* in the past: nothing */
    CHECK_EQ(bucket_take(&b, 1, 4000), 0);
}

static void without_a_rate_only_a_block_holds(void **state)
{
    struct bucket b;

    (void)state;
    bucket_init(&b, 0, 1, 0);
    for (int i = 0; i < 1000; i++)
        CHECK_EQ(bucket_take(&b, 1, 0), 0);
    bucket_block(&b, 50, 0);
    CHECK_EQ(bucket_take(&b, 1, 10), 40);
    CHECK_EQ(bucket_take(&b, 1, 50), 0);
}

static void a_long_sleep_fills_it_and_no_more(void **state)
{
    struct bucket b;

    (void)state;
    bucket_init(&b, 1000000000, 3, 0);
    for (int i = 0; i < 3; i++)
        CHECK_EQ(bucket_take(&b, 1, 0), 0);
    for (int i = 0; i < 3; i++)
        CHECK_EQ(bucket_take(&b, 1, UINT64_MAX / 2), 0);
    CHECK(bucket_take(&b, 1, UINT64_MAX / 2) > 0);
}

static void what_a_small_bucket_has_beyond_its_brim_does_not_grow_with_it(void **state)
{
    struct bucket b;

    (void)state;
    bucket_init(&b, 50 * 1000, 1, 0);
    bucket_jitter(&b, 10);
    bucket_charge(&b, 1, 0);
    bucket_wait(&b, 1, 1000); /* filled for longer than its size */
    CHECK(b.level > 1000);
    bucket_change(&b, 50 * 1000, 10, 1000);
    CHECK_EQ(b.level, 10 * 1000);
}

static void a_change_keeps_the_level_in_proportion_and_a_debt_as_it_is(void **state)
{
    struct bucket b;

    (void)state;
    bucket_init(&b, 10 * 1000, 10, 0);
    for (int i = 0; i < 5; i++)
        CHECK_EQ(bucket_take(&b, 1, 0), 0);
    bucket_change(&b, 20 * 1000, 20, 100); /* a token came meanwhile: 6 of 10 */
    CHECK_EQ(b.level, 12000);
    bucket_charge(&b, 15, 100);
    bucket_change(&b, 1000, 1, 100);
    CHECK_EQ(b.level, -3000);
    CHECK_EQ(bucket_take(&b, 1, 100), 4000);
    bucket_change(&b, 0, 1, 100); /* no limit any more */
    CHECK_EQ(bucket_take(&b, 1, 100), 0);
    bucket_block(&b, 500, 100);
    bucket_change(&b, 1000, 2, 200); /* what the remote asked for stays */
    CHECK_EQ(bucket_take(&b, 1, 200), 300);
    CHECK_EQ(bucket_take(&b, 1, 500), 1000);
}

static void a_change_leaves_what_the_remote_said_is_in_it(void **state)
{
    struct bucket b;
    struct bucket_ticket t;

    (void)state;
    bucket_init(&b, 2000, 40, 0);
    b.level = 20000;
    t = bucket_leave(&b, 0, 0, 0);
    bucket_told(&b, &t, 20000, BUCKET_TOLD_RAISE, 0);
    CHECK(b.fed);
    bucket_change(&b, 2000, 80, 0);
    CHECK_EQ(b.level, 20000);
    CHECK_EQ(b.capacity, 80000);
    b.fed = true;
    bucket_change(&b, 2000, 10, 0);
    CHECK_EQ(b.level, 10000);
}

/** The answer of the call that left last says what was left before the others came in. */
static void calls_that_overtake_each_other_are_nobody_elses(void **state)
{
    struct bucket_ticket t[5];
    struct bucket b;

    (void)state;
    bucket_init(&b, 2000, 10, 0);
    bucket_jitter(&b, 50);
    for (uint64_t i = 0; i < 5; i++) {
        CHECK_EQ(bucket_take(&b, 1, i), 0);
        t[i] = bucket_leave(&b, 1, 0, i);
    }
    bucket_heard(&b, &t[3]);
    bucket_told(&b, &t[3], 9000, BUCKET_TOLD_RAISE, 30);
    for (int i = 0; i < 3; i++)
        bucket_heard(&b, &t[i]);
    bucket_heard(&b, &t[4]);
    bucket_told(&b, &t[4], 5000, BUCKET_TOLD_RAISE, 40);
    CHECK_EQ(bucket_take(&b, 1, 1100), 0);
    t[0] = bucket_leave(&b, 1, 0, 1100);
    bucket_heard(&b, &t[0]);
    bucket_told(&b, &t[0], 6000, BUCKET_TOLD_RAISE, 1140);
    CHECK_EQ(b.foreign, 0);
}

/** Each call finds it full: there is enough, so nobody is to be reckoned with. */
static void another_client_that_has_gone_is_forgotten_even_if_it_is_always_full(void **state)
{
    struct bucket_ticket t;
    struct bucket b;

    (void)state;
    bucket_init(&b, 5000, 2, 0);
    b.foreign = 4750;
    b.used_sum = 47500;
    b.used_ms = 10000;
    for (uint64_t now = 20000; now < 120000; now += 4000) {
        CHECK_EQ(bucket_take(&b, 1, now), 0);
        t = bucket_leave(&b, 1, 0, now);
        bucket_heard(&b, &t);
        bucket_told(&b, &t, 1000, 0, now + 10);
    }
    CHECK_EQ(b.foreign, 0);
}

static void without_news_of_another_client_it_is_reckoned_with_less_and_less(void **state)
{
    uint64_t now = 0, wait;
    struct bucket b;

    (void)state;
    bucket_init(&b, 20000, 2000, 0);
    bucket_charge(&b, 2000, 0);
    b.foreign = 19000; /* at what is left by it 500 tokens would take as many seconds */
    while ((wait = bucket_wait(&b, 500, now)))
        now += wait;
    CHECK(now > 30000 && now < 60000);
}

static void what_is_kept_is_kept_beside_what_was_promised(void **state)
{
    struct bucket b;

    (void)state;
    bucket_init(&b, 2000, 5, 0);
    CHECK_EQ(bucket_wait_keep(&b, 1, 2, 1000, 0), 0);
    CHECK_EQ(bucket_wait_keep(&b, 1, 4, 0, 0), 0);
    CHECK_EQ(bucket_wait_keep(&b, 1, 3, 1250, 0), UINT64_MAX); /* not before these have left */
    CHECK_EQ(bucket_wait_keep(&b, 5, 0, 1250, 0), 0);          /* too small for both */
    bucket_charge(&b, 4, 0);
    CHECK_EQ(bucket_wait_keep(&b, 1, 0, 1250, 0), 625);
}

static void what_a_process_before_used_is_missing(void **state)
{
    struct bucket b;

    (void)state;
    bucket_init(&b, 2000, 40, 0);
    CHECK_EQ(bucket_full_in(&b, 0, 0), 0);
    bucket_charge(&b, 10, 0);
    CHECK_EQ(bucket_full_in(&b, 2000, 0), 6001); /* never too early */
    CHECK_EQ(bucket_full_in(&b, 2000, 1000), 5001);
    bucket_block(&b, 2000, 1000);
    CHECK_EQ(bucket_full_in(&b, 0, 1000), 21001);

    bucket_init(&b, 2000, 40, 0);
    bucket_lacks(&b, 6001);
    CHECK(b.level >= 27900 && b.level < 28000);
    bucket_lacks(&b, 1000000);
    CHECK_EQ(b.level, 0);
    bucket_init(&b, 0, 1, 0); /* no limit */
    bucket_lacks(&b, 1000);
    CHECK_EQ(bucket_full_in(&b, 5000, 0), 0);
    CHECK_EQ(bucket_take(&b, 1, 0), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_full_bucket_gives_its_burst_and_then_its_rate),
        cmocka_unit_test(a_rate_below_one_a_second_is_exact),
        cmocka_unit_test(asking_often_loses_nothing_to_rounding),
        cmocka_unit_test(what_was_promised_as_wait_is_enough),
        cmocka_unit_test(a_charge_makes_debt_that_is_paid_before_the_next),
        cmocka_unit_test(a_block_empties_it_until_then),
        cmocka_unit_test(without_a_rate_only_a_block_holds),
        cmocka_unit_test(a_long_sleep_fills_it_and_no_more),
        cmocka_unit_test(what_a_small_bucket_has_beyond_its_brim_does_not_grow_with_it),
        cmocka_unit_test(a_change_keeps_the_level_in_proportion_and_a_debt_as_it_is),
        cmocka_unit_test(a_change_leaves_what_the_remote_said_is_in_it),
        cmocka_unit_test(calls_that_overtake_each_other_are_nobody_elses),
        cmocka_unit_test(another_client_that_has_gone_is_forgotten_even_if_it_is_always_full),
        cmocka_unit_test(without_news_of_another_client_it_is_reckoned_with_less_and_less),
        cmocka_unit_test(what_is_kept_is_kept_beside_what_was_promised),
        cmocka_unit_test(what_a_process_before_used_is_missing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
