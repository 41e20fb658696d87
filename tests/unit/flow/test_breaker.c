/*
 * The breaker: its window, its legal moves, its probes.
 */
#include "../check.h"
#include "flow/breaker.h"

static const struct breaker_conf conf = {
    .window_ms = 60000,
    .min_calls = 10,
    .failure_percent = 50,
    .open_ms = 30000,
    .open_max_ms = 300000,
    .probes = 3,
};

static struct rng rng;

static void calls(struct breaker *b, unsigned n, bool good, uint64_t now)
{
    for (unsigned i = 0; i < n; i++)
        breaker_result(b, good, now, &rng);
}

static void it_opens_at_half_of_ten_calls_and_not_before(void **state)
{
    struct breaker b;

    (void)state;
    breaker_init(&b, &conf);
    calls(&b, 9, false, 1000);
    CHECK_EQ(b.state, BREAKER_CLOSED);
    CHECK(breaker_result(&b, false, 1000, &rng));
    CHECK_EQ(b.state, BREAKER_OPEN);

    breaker_init(&b, &conf);
    calls(&b, 11, true, 1000);
    calls(&b, 10, false, 1000);
    CHECK_EQ(b.state, BREAKER_CLOSED);
    calls(&b, 1, false, 1000);
    CHECK_EQ(b.state, BREAKER_OPEN);
}

static void what_is_older_than_the_window_is_forgotten(void **state)
{
    struct breaker b;

    (void)state;
    breaker_init(&b, &conf);
    calls(&b, 9, false, 1000);
    calls(&b, 1, false, 62000);
    CHECK_EQ(b.state, BREAKER_CLOSED);
    calls(&b, 9, false, 63000);
    CHECK_EQ(b.state, BREAKER_OPEN);
}

static uint64_t trip(struct breaker *b, uint64_t now)
{
    calls(b, 10, false, now);
    CHECK_EQ(b->state, BREAKER_OPEN);
    return b->open_until;
}

static void open_lets_nothing_pass_until_its_time(void **state)
{
    struct breaker b;

    (void)state;
    breaker_init(&b, &conf);
    uint64_t until = trip(&b, 1000);
    CHECK(until >= 31000 && until <= 34000);
    CHECK_EQ(breaker_ask(&b, 1000), until - 1000);
    CHECK_EQ(breaker_ask(&b, until - 1), 1);
    CHECK_EQ(breaker_ask(&b, until), 0);
    CHECK_EQ(b.state, BREAKER_HALF_OPEN);
}

static void three_probes_at_once_and_three_successes_close_it(void **state)
{
    struct breaker b;

    (void)state;
    breaker_init(&b, &conf);
    uint64_t now = trip(&b, 1000);
    for (int i = 0; i < 3; i++)
        CHECK_EQ(breaker_ask(&b, now), 0);
    CHECK(breaker_ask(&b, now) > 0);
    calls(&b, 2, true, now);
    CHECK_EQ(b.state, BREAKER_HALF_OPEN);
    CHECK(breaker_ask(&b, now) > 0); /* two good ones and one still out: no fourth */
    calls(&b, 1, true, now);
    CHECK_EQ(b.state, BREAKER_CLOSED);
    calls(&b, 9, false, now);
    CHECK_EQ(b.state, BREAKER_CLOSED); /* the old failures are forgotten */
}

static void a_failed_probe_opens_it_for_twice_as_long(void **state)
{
    struct breaker b;
    uint64_t bounds[] = { 30000, 60000, 120000, 240000, 300000, 300000 };
    uint64_t now = 1000;

    (void)state;
    breaker_init(&b, &conf);
    calls(&b, 10, false, now);
    for (int i = 0; i < 6; i++) {
        CHECK(b.open_until - now >= bounds[i]);
        CHECK(b.open_until - now <= bounds[i] + bounds[i] / 10);
        now = b.open_until;
        CHECK_EQ(breaker_ask(&b, now), 0);
        CHECK(breaker_result(&b, false, now, &rng));
    }
}

static void a_probe_that_says_nothing_frees_its_place(void **state)
{
    struct breaker b;

    (void)state;
    breaker_init(&b, &conf);
    uint64_t now = trip(&b, 0);
    for (int i = 0; i < 3; i++)
        CHECK_EQ(breaker_ask(&b, now), 0);
    breaker_forget(&b);
    CHECK_EQ(breaker_ask(&b, now), 0);
    CHECK_EQ(b.state, BREAKER_HALF_OPEN);
}

static void by_hand_it_opens_and_closes(void **state)
{
    struct breaker b;

    (void)state;
    breaker_init(&b, &conf);
    breaker_trip(&b, 0, &rng);
    CHECK_EQ(b.state, BREAKER_OPEN);
    CHECK(breaker_ask(&b, 1) > 0);
    breaker_reset(&b);
    CHECK_EQ(b.state, BREAKER_CLOSED);
    CHECK_EQ(breaker_ask(&b, 1), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(it_opens_at_half_of_ten_calls_and_not_before),
        cmocka_unit_test(what_is_older_than_the_window_is_forgotten),
        cmocka_unit_test(open_lets_nothing_pass_until_its_time),
        cmocka_unit_test(three_probes_at_once_and_three_successes_close_it),
        cmocka_unit_test(a_failed_probe_opens_it_for_twice_as_long),
        cmocka_unit_test(a_probe_that_says_nothing_frees_its_place),
        cmocka_unit_test(by_hand_it_opens_and_closes),
    };
    rng_seed(&rng, 1);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
