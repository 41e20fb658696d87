/*
 * Retry delays: full jitter under a doubling bound, never before Retry-After, and an end.
 */
#include "../check.h"
#include "flow/retry.h"

static const struct conf_retry conf = {
    .first_ms = 1000, .cap_ms = 300000, .max_age_ms = 86400000, .max_attempts = 0
};

static void the_bound_doubles_to_the_cap_and_jitter_fills_it(void **state)
{
    struct rng rng;
    int64_t bounds[] = {
        1000, 2000, 4000, 8000, 16000, 32000, 64000, 128000, 256000, 300000, 300000
    };

    (void)state;
    rng_seed(&rng, 7);
    for (uint32_t k = 0; k < sizeof(bounds) / sizeof(bounds[0]); k++) {
        int64_t least = INT64_MAX, most = 0;
        for (int i = 0; i < 2000; i++) {
            int64_t d = retry_delay(&conf, k + 1, 0, &rng);
            CHECK(d >= 0 && d <= bounds[k]);
            least = d < least ? d : least;
            most = d > most ? d : most;
        }
        CHECK(least < bounds[k] / 10);
        CHECK(most > bounds[k] * 9 / 10);
    }
}

static void it_is_never_earlier_than_the_remote_asked(void **state)
{
    struct rng rng;

    (void)state;
    rng_seed(&rng, 7);
    for (int i = 0; i < 1000; i++) {
        int64_t d = retry_delay(&conf, 1, 20000, &rng);
        CHECK(d >= 20000 && d <= 22000);
    }
}

static void age_and_attempts_end_it(void **state)
{
    struct conf_retry three = conf;

    (void)state;
    CHECK(!retry_exhausted(&conf, 1000000, 86400000 - 1000, 1000));
    CHECK(retry_exhausted(&conf, 1, 86400000 - 1000, 1001));
    three.max_attempts = 3;
    CHECK(!retry_exhausted(&three, 2, 0, 0));
    CHECK(retry_exhausted(&three, 3, 0, 0));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_bound_doubles_to_the_cap_and_jitter_fills_it),
        cmocka_unit_test(it_is_never_earlier_than_the_remote_asked),
        cmocka_unit_test(age_and_attempts_end_it),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
