/*
 * test_rng.c - random numbers.
 */
#include "../check.h"

#include <string.h>
#include "base/rng.h"

static void the_sequence_is_that_of_the_published_algorithm(void **state)
{
    struct rng r = { .s = { 1, 2, 3, 4 } };

    (void)state;
    CHECK(rng_next(&r) == 11520);
    CHECK(rng_next(&r) == 0);
    CHECK(rng_next(&r) == 1509978240);
    CHECK(rng_next(&r) == UINT64_C(1215971899390074240));
    rng_seed(&r, 0);
    CHECK(r.s[0] == UINT64_C(0xe220a8397b1dcdaf)); /* splitmix64 from 0 */
    CHECK(r.s[1] == UINT64_C(0x6e789e6aa1b965f4));
}

static void one_seed_gives_one_sequence(void **state)
{
    struct rng a, b, c;

    (void)state;
    rng_seed(&a, 42);
    rng_seed(&b, 42);
    rng_seed(&c, 43);
    CHECK(rng_next(&a) != rng_next(&c));
    rng_next(&b);
    for (int i = 0; i < 100; i++)
        CHECK(rng_next(&a) == rng_next(&b));
}

static void below_stays_below_and_reaches_every_value_evenly(void **state)
{
    struct rng r;
    int seen[7] = { 0 };

    (void)state;
    rng_seed(&r, 7);
    CHECK_EQ(rng_below(&r, 0), 0);
    CHECK_EQ(rng_below(&r, 1), 0);
    for (int i = 0; i < 70000; i++) {
        uint64_t x = rng_below(&r, 7);

        CHECK(x < 7);
        seen[x]++;
    }
    for (int i = 0; i < 7; i++)
        CHECK(seen[i] > 9500 && seen[i] < 10500);
    for (int i = 0; i < 100; i++) /* a bound where half of all numbers must be drawn again */
        CHECK(rng_below(&r, (UINT64_C(1) << 63) + 1) <= UINT64_C(1) << 63);
}

static void the_system_fills_every_byte_and_no_more(void **state)
{
    uint8_t a[64] = { 0 }, b[64] = { 0 }, zero[64] = { 0 };

    (void)state;
    rng_system(a, 32);
    rng_system(b, 32);
    assert_memory_not_equal(a, b, 32);
    assert_memory_not_equal(a, zero, 32);
    assert_memory_equal(a + 32, zero, 32);
    rng_system(a, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_sequence_is_that_of_the_published_algorithm),
        cmocka_unit_test(one_seed_gives_one_sequence),
        cmocka_unit_test(below_stays_below_and_reaches_every_value_evenly),
        cmocka_unit_test(the_system_fills_every_byte_and_no_more),
    };

    return cmocka_run_group_tests_name("base/rng", tests, NULL, NULL);
}
