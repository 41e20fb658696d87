/*
 * When a quota will be used up, by the last hour's growth.
 */
#include "../check.h"
#include "flow/forecast.h"

#define MINUTE INT64_C(60000)
#define HOUR   (60 * MINUTE)
#define NOW    INT64_C(1800000000000)
#define AHEAD  (4 * HOUR)
#define LIMIT  INT64_C(100000)

/** From then on, for so many minutes, as many calls in each. The time after it. */
static int64_t use(struct forecast *f, int64_t *used, int minutes, int64_t each, int64_t from)
{
    for (int i = 0; i < minutes; i++) {
        *used += each;
        from += MINUTE;
        forecast_note(f, *used, LIMIT, from);
    }
    return from;
}

static void steady_growth_is_drawn_out_to_the_limit(void **state)
{
    struct forecast f = { 0 };
    int64_t used = 40000, now;

    (void)state;
    forecast_note(&f, used, LIMIT, NOW);
    now = use(&f, &used, 60, 300, NOW); /* 18,000 an hour; 58,000 now */
    CHECK_EQ(forecast_per_hour(&f), 18000);
    CHECK_EQ(forecast_at(&f, LIMIT, 0, AHEAD, now), now + 42000 * HOUR / 18000);
    CHECK_EQ(forecast_at(&f, 90000, 0, AHEAD, now),
             now + 32000 * HOUR / 18000); /* the reserve first */
    CHECK_EQ(forecast_at(&f, 58000, 0, AHEAD, now), now);
}

static void what_is_far_ahead_is_not_believed(void **state)
{
    struct forecast f = { 0 };
    int64_t used = 0, now;

    (void)state;
    forecast_note(&f, used, LIMIT, NOW);
    now = use(&f, &used, 60, 100, NOW); /* 6,000 an hour: more than 15 hours */
    CHECK_EQ(forecast_at(&f, LIMIT, 0, AHEAD, now), 0);
}

static void a_window_that_ends_before_is_in_time(void **state)
{
    struct forecast f = { 0 };
    int64_t used = 58000, now, at;

    (void)state;
    forecast_note(&f, used, LIMIT, NOW);
    now = use(&f, &used, 60, 300, NOW);
    at = forecast_at(&f, LIMIT, 0, AHEAD, now);
    CHECK(at > now);
    CHECK_EQ(forecast_at(&f, LIMIT, at, AHEAD, now), 0);
    CHECK_EQ(forecast_at(&f, LIMIT, at + 1, AHEAD, now), at);
}

static void a_short_past_says_nothing(void **state)
{
    struct forecast f = { 0 };
    int64_t used = 90000, now = NOW;

    (void)state;
    CHECK_EQ(forecast_at(&f, LIMIT, 0, AHEAD, NOW), 0);
    forecast_note(&f, used, LIMIT, NOW);
    now = use(&f, &used, 9, 500, now);
    CHECK_EQ(forecast_at(&f, LIMIT, 0, AHEAD, now), 0);
    now = use(&f, &used, 1, 500, now);
    CHECK_EQ(forecast_at(&f, LIMIT, 0, AHEAD, now), now + 5000 * HOUR / 30000);
}

static void use_that_does_not_grow_forecasts_nothing(void **state)
{
    struct forecast f = { 0 };
    int64_t used = 98000, now;

    (void)state;
    forecast_note(&f, used, LIMIT, NOW);
    now = use(&f, &used, 60, 0, NOW); /* as much leaves a sliding window as comes */
    CHECK_EQ(forecast_at(&f, LIMIT, 0, AHEAD, now), 0);
    now = use(&f, &used, 60, -20, now);
    CHECK_EQ(forecast_at(&f, LIMIT, 0, AHEAD, now), 0);
}

static void only_the_last_hour_counts(void **state)
{
    struct forecast f = { 0 };
    int64_t used = 0, now;

    (void)state;
    forecast_note(&f, used, LIMIT, NOW);
    now = use(&f, &used, 120, 300, NOW); /* a flood, long ago */
    now = use(&f, &used, 60, 10, now);
    CHECK_EQ(forecast_per_hour(&f), 600);
    /* nobody looked for hours: then there is no past */
    forecast_note(&f, used + 5000, LIMIT, now + 3 * HOUR);
    CHECK_EQ(forecast_per_hour(&f), 0);
}

static void a_new_window_and_a_clock_set_back_begin_anew(void **state)
{
    struct forecast f = { 0 };
    int64_t used = 50000, now;

    (void)state;
    forecast_note(&f, used, LIMIT, NOW);
    now = use(&f, &used, 60, 300, NOW);
    forecast_note(&f, 0, LIMIT, now + MINUTE);
    CHECK_EQ(forecast_per_hour(&f), 0);
    now = use(&f, &used, 30, 300, now + MINUTE);
    CHECK(forecast_per_hour(&f) > 0);
    forecast_note(&f, used, LIMIT, now - HOUR);
    CHECK_EQ(forecast_per_hour(&f), 0);
}

static void looks_more_often_than_a_minute_add_nothing(void **state)
{
    struct forecast f = { 0 };

    (void)state;
    for (int i = 0; i < 1800; i++) /* an hour of looks, every two seconds */
        forecast_note(&f, 40000 + i * 10, LIMIT, NOW + i * 2000);
    CHECK_EQ(f.n, 60);
    CHECK_EQ(forecast_per_hour(&f), 18000);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(steady_growth_is_drawn_out_to_the_limit),
        cmocka_unit_test(what_is_far_ahead_is_not_believed),
        cmocka_unit_test(a_window_that_ends_before_is_in_time),
        cmocka_unit_test(a_short_past_says_nothing),
        cmocka_unit_test(use_that_does_not_grow_forecasts_nothing),
        cmocka_unit_test(only_the_last_hour_counts),
        cmocka_unit_test(a_new_window_and_a_clock_set_back_begin_anew),
        cmocka_unit_test(looks_more_often_than_a_minute_add_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
