/*
 * The retry budget: a share of the window's calls, a floor, and no bound for a remote that is well.
 */
#include "../check.h"
#include "base/rng.h"
#include "flow/budget.h"

#define T0 UINT64_C(600000)

static void spend(struct budget *b, uint64_t now, unsigned calls)
{
    for (unsigned i = 0; i < calls; i++) {
        budget_call(b, now);
        budget_result(b, false);
    }
}

static unsigned take_all(struct budget *b, uint64_t now)
{
    unsigned n = 0;

    while (n < 1000 && budget_take(b, now) == 0)
        n++;
    return n;
}

static void a_quiet_lane_still_retries_three_times_in_ten_seconds(void **state)
{
    struct budget b;

    (void)state;
    budget_init(&b, 20);
    CHECK_EQ(take_all(&b, T0), 3);
    CHECK_EQ(budget_take(&b, T0), 10000);
    CHECK_EQ(budget_take(&b, T0 + 9999), 1);
    CHECK_EQ(take_all(&b, T0 + 10000), 3);
    CHECK_EQ(budget_take(&b, T0 + 14000), 6000);
}

static void retries_stay_below_their_share_of_the_calls(void **state)
{
    uint32_t retries, calls;
    struct budget b;

    (void)state;
    budget_init(&b, 20);
    spend(&b, T0, 99);
    CHECK_EQ(take_all(&b, T0), 20);
    budget_counts(&b, T0, &retries, &calls);
    CHECK_EQ(retries, 20);
    CHECK_EQ(calls, 99);
    spend(&b, T0 + 30000, 25);
    CHECK_EQ(take_all(&b, T0 + 30000), 5);
    CHECK_EQ(budget_take(&b, T0 + 30000), 10000);
    /* the first hundred have left the window: five retries of 25 calls are left in it */
    CHECK_EQ(take_all(&b, T0 + 60000), 3); /* the floor */
    spend(&b, T0 + 60000, 100);
    CHECK_EQ(take_all(&b, T0 + 60000), 17);
}

static void a_remote_that_is_well_again_gets_all_that_waits(void **state)
{
    struct budget b;

    (void)state;
    budget_init(&b, 20);
    CHECK_EQ(take_all(&b, T0), 3);
    for (int i = 0; i < BUDGET_WELL; i++) {
        CHECK(budget_take(&b, T0) > 0);
        budget_result(&b, true);
    }
    CHECK_EQ(take_all(&b, T0), 1000);
    budget_result(&b, false); /* in trouble again */
    CHECK(budget_take(&b, T0) > 0);
    budget_relax(&b);
    CHECK_EQ(budget_take(&b, T0), 0);
}

static void without_a_percentage_nothing_is_bounded(void **state)
{
    struct budget b;

    (void)state;
    budget_init(&b, 0);
    CHECK_EQ(take_all(&b, T0), 1000);
    budget_init(&b, 100);
    CHECK_EQ(take_all(&b, T0), 1000);
}

/** Whatever comes: a retry goes only below its share, or as one of three within two slots. */
static void no_schedule_spends_more_than_share_and_floor(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 50; seed++) {
        uint64_t now = T0, taken[20000];
        size_t n = 0;
        struct rng rng;
        struct budget b;

        rng_seed(&rng, seed);
        budget_init(&b, 20);
        for (int i = 0; i < 20000; i++) {
            uint32_t retries, calls, newest = 0;
            now += rng_below(&rng, 1 + seed * 20);
            if (rng_below(&rng, 3) == 0) {
                budget_call(&b, now);
                budget_result(&b, rng_below(&rng, 4) > 0);
                continue;
            }
            budget_counts(&b, now, &retries, &calls);
            if (b.well == BUDGET_WELL || budget_take(&b, now) > 0)
                continue;
            for (size_t k = n; k > 0 && taken[k - 1] + 5000 > now; k--)
                newest++;
            CHECK((retries + 1) * 100 <= (calls + 1) * 20 || newest < BUDGET_FLOOR);
            taken[n++] = now;
        }
        CHECK(n > 3);
    }
}

static void a_long_pause_leaves_nothing_of_the_window(void **state)
{
    uint32_t retries, calls;
    struct budget b;

    (void)state;
    budget_init(&b, 20);
    spend(&b, T0, 50);
    take_all(&b, T0);
    budget_counts(&b, T0 + 3600000, &retries, &calls);
    CHECK_EQ(retries + calls, 0);
    CHECK_EQ(take_all(&b, T0 + 3600000), 3);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_quiet_lane_still_retries_three_times_in_ten_seconds),
        cmocka_unit_test(retries_stay_below_their_share_of_the_calls),
        cmocka_unit_test(a_remote_that_is_well_again_gets_all_that_waits),
        cmocka_unit_test(without_a_percentage_nothing_is_bounded),
        cmocka_unit_test(no_schedule_spends_more_than_share_and_floor),
        cmocka_unit_test(a_long_pause_leaves_nothing_of_the_window),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
