/*
 * test_salesforce_choose.c - Bulk or Collections: the costs, and what urgency and scarcity make of
 * them.
 */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../check.h"
#include "choose.h"

/* As the settings are without a word of the operator, and nothing is known of the day. */
static const struct choose_in usual = { .rows = 1,
                                        .urgent_after_ms = 300000,
                                        .poll_first_ms = 2000,
                                        .poll_cap_ms = 30000,
                                        .job_ms = EXPECTED_JOB_MS };

#define DAY(calls, batches)               \
    {                                     \
        (calls), 100000, (batches), 15000 \
    }
#define PLENTY DAY(90000, 14000)

/* ---- costs --------------------------------------------------------------------------------- */

static void collections_cost_a_call_for_each_200_rows_or_each_two_megabytes(void **state)
{
    (void)state;
    CHECK_EQ(choose_collections_calls(1, 100), 1);
    CHECK_EQ(choose_collections_calls(200, 20000), 1);
    CHECK_EQ(choose_collections_calls(201, 20000), 2);
    CHECK_EQ(choose_collections_calls(10000, 1000000), 50);
    CHECK_EQ(choose_collections_calls(20, 20 * 400000), 4);
}

static void a_job_costs_its_four_calls_and_the_questions_until_it_ends(void **state)
{
    static const struct {
        int64_t first, cap, job;
        uint32_t calls;
    } table[] = {
        { 2000, 30000, 10000, 7 },       /* asked after 2, 6, 14 s */
        { 2000, 30000, 1000, 5 },        /* once is the least */
        { 2000, 30000, 62000, 4 + 6 },   /* 2, 6, 14, 30, 60, 90 */
        { 2000, 30000, 60000, 4 + 5 },   /* 60 is the end */
        { 2000, 30000, 600000, 4 + 23 }, /* then each 30 s */
        { 10, 10, 86400000, 4 + 8640000 }, { 30000, 30000, 10000, 5 },
    };

    (void)state;
    for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
        struct choose_in in = usual;

        in.poll_first_ms = table[i].first;
        in.poll_cap_ms = table[i].cap;
        in.job_ms = table[i].job;
        if (choose_bulk_calls(&in) != table[i].calls)
            fail_msg("row %zu: %u calls", i, choose_bulk_calls(&in));
        in.deletes_jobs = true;
        CHECK_EQ(choose_bulk_calls(&in), table[i].calls + 1);
    }
}

static void scarce_calls_put_the_first_question_off_until_the_job_may_have_ended(void **state)
{
    struct choose_in in = usual;

    (void)state;
    CHECK_EQ(choose_first_poll_ms(&in), 2000); /* nothing known */
    in.left = (struct day_left)DAY(20000, 14000);
    CHECK_EQ(choose_first_poll_ms(&in), 2000);
    in.left.calls = 19000;
    CHECK_EQ(choose_first_poll_ms(&in), 10000);
    CHECK_EQ(choose_bulk_calls(&in), 5);
    in.job_ms = 600000;
    CHECK_EQ(choose_first_poll_ms(&in), 30000); /* the cap holds */
    in.job_ms = 500;
    CHECK_EQ(choose_first_poll_ms(&in), 2000);
}

static void the_expectation_follows_what_jobs_take(void **state)
{
    int64_t ms = EXPECTED_JOB_MS;

    (void)state;
    for (int i = 0; i < 20; i++)
        ms = choose_expected_job_ms(ms, 60000);
    CHECK(ms > 59000 && ms <= 60000);
    for (int i = 0; i < 20; i++)
        ms = choose_expected_job_ms(ms, 1000);
    CHECK(ms >= 1000 && ms < 1500);
}

/* ---- the choice ---------------------------------------------------------------------------- */

#define BULK        TRANSPORT_BULK
#define COLLECTIONS TRANSPORT_COLLECTIONS

static const struct {
    const char *what;
    size_t rows;
    bool critical;
    int64_t age_ms;
    struct day_left left;
    enum transport wanted, by;
    enum choose_reason reason;
} choices[] = {
    { "one row", 1, .by = COLLECTIONS, .reason = CHOSEN_BY_CALLS },
    { "up to what the job costs", 1400, .by = COLLECTIONS, .reason = CHOSEN_BY_CALLS },
    { "and above", 1401, .by = BULK, .reason = CHOSEN_BY_CALLS },
    { "a flood", 10000, .left = PLENTY, .by = BULK, .reason = CHOSEN_BY_CALLS },

    { "critical", 1401, true, .by = COLLECTIONS, .reason = CHOSEN_AS_CRITICAL },
    { "worth five times as much", 7000, true, .left = PLENTY, .by = COLLECTIONS,
      .reason = CHOSEN_AS_CRITICAL },
    { "but a flood is a flood", 7001, true, .left = PLENTY, .by = BULK, .reason = CHOSEN_BY_CALLS },
    { "critical and few: no dearer anyway", 30, true, .by = COLLECTIONS,
      .reason = CHOSEN_BY_CALLS },

    { "not yet aged", 2000, .age_ms = 299999, .by = BULK, .reason = CHOSEN_BY_CALLS },
    { "aged", 2000, .age_ms = 300000, .by = COLLECTIONS, .reason = CHOSEN_BY_AGE },
    { "a backlog is a flood, however old", 2801, .age_ms = 86400000, .by = BULK,
      .reason = CHOSEN_BY_CALLS },
    { "critical counts for more than age", 5000, true, 300000, .by = COLLECTIONS,
      .reason = CHOSEN_AS_CRITICAL },

    { "half of the calls: all of its worth", 7000, true, .left = DAY(50000, 14000),
      .by = COLLECTIONS, .reason = CHOSEN_AS_CRITICAL },
    { "fewer: less", 4200, true, .left = DAY(30000, 14000), .by = COLLECTIONS,
      .reason = CHOSEN_AS_CRITICAL },
    { "fewer: no more", 4201, true, .left = DAY(30000, 14000), .by = BULK,
      .reason = CHOSEN_BY_CALLS_LEFT },
    { "few: a job asked once costs five", 1000, true, .left = DAY(10000, 14000), .by = COLLECTIONS,
      .reason = CHOSEN_BY_CALLS },
    { "few: bulk from fewer rows on, urgent or not", 1001, true, .left = DAY(10000, 14000),
      .by = BULK, .reason = CHOSEN_BY_CALLS_LEFT },
    { "few: nor is a tiny job ever the cheaper one", 200, .left = DAY(10, 14000), .by = COLLECTIONS,
      .reason = CHOSEN_BY_CALLS },
    { "no call for it, but for a job",
      1400,
      true,
      300000,
      { 6, 15000, 0, 0 },
      .by = BULK,
      .reason = CHOSEN_BY_CALLS_LEFT },
    { "no call for either: the cheaper", 800, .left = { 0, 15000, 0, 0 }, .by = COLLECTIONS,
      .reason = CHOSEN_BY_CALLS },

    { "enough batches", 1401, .left = DAY(90000, 3000), .by = BULK, .reason = CHOSEN_BY_CALLS },
    { "few batches", 5000, .left = DAY(90000, 1500), .by = COLLECTIONS,
      .reason = CHOSEN_BY_BATCHES_LEFT },
    { "few batches, but many rows", 10000, .left = DAY(90000, 1500), .by = BULK,
      .reason = CHOSEN_BY_CALLS },
    { "hardly any", 10000, .left = DAY(90000, 15), .by = COLLECTIONS,
      .reason = CHOSEN_BY_BATCHES_LEFT },
    { "none: what a job did not take would be in no result file", 10000, .left = DAY(90000, 0),
      .by = COLLECTIONS, .reason = CHOSEN_BY_BATCHES_LEFT },
    { "few of both: calls are the dearer", 5000, .left = DAY(5000, 1500), .by = BULK,
      .reason = CHOSEN_BY_CALLS_LEFT },

    { "as the route says", 1, .wanted = BULK, .by = BULK, .reason = CHOSEN_BY_ROUTE },
    { "as the route says, even without batches", 10000, .left = DAY(10, 0), .wanted = BULK,
      .by = BULK, .reason = CHOSEN_BY_ROUTE },
    { "as the route says, however many", 10000, .wanted = COLLECTIONS, .by = COLLECTIONS,
      .reason = CHOSEN_BY_ROUTE },
};

static void the_cheaper_has_it_unless_urgency_or_scarcity_say_otherwise(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(choices) / sizeof(choices[0]); i++) {
        struct choose_in in = usual;
        struct choice got;

        in.rows = choices[i].rows;
        in.bytes = choices[i].rows * 100;
        in.critical = choices[i].critical;
        in.age_ms = choices[i].age_ms;
        in.left = choices[i].left;
        in.wanted = choices[i].wanted;
        got = choose_transport(&in);
        if (got.transport != choices[i].by || got.reason != choices[i].reason)
            fail_msg("%s: %s since %s (%u calls, a job %u)", choices[i].what,
                     got.transport == BULK ? "bulk" : "Collections", choose_reason_text(got.reason),
                     got.collections_calls, got.bulk_calls);
    }
}

static void with_urgent_after_at_zero_age_says_nothing(void **state)
{
    struct choose_in in = usual;

    (void)state;
    in.rows = 2000;
    in.age_ms = INT64_MAX;
    CHECK_EQ(choose_transport(&in).reason, CHOSEN_BY_AGE);
    in.urgent_after_ms = 0;
    CHECK_EQ(choose_transport(&in).transport, TRANSPORT_BULK);
}

static void the_break_even_moves_with_what_jobs_take(void **state)
{
    struct choose_in in = usual;
    size_t before = 0;

    (void)state;
    for (int64_t job_ms = 1000; job_ms <= 600000; job_ms *= 4) {
        in.job_ms = job_ms;
        for (in.rows = 1; choose_transport(&in).transport == TRANSPORT_COLLECTIONS;)
            in.rows++;
        CHECK_EQ(in.rows - 1, (size_t)choose_bulk_calls(&in) * COLLECTION_ROWS);
        CHECK(in.rows > before); /* the slower jobs are, the more go by Collections */
        before = in.rows;
    }
}

static void every_reason_has_its_words(void **state)
{
    (void)state;
    for (int i = 0; i < CHOSEN__COUNT; i++)
        CHECK(strlen(choose_reason_text((enum choose_reason)i)) > 10);
}

/* ---- the tables of transport.md ---------------------------------------------------------------
 */

/* Calls for 1,000 orders, in tenths, where a batch gathers for `age_ms` and has 5,000 at most. */
static size_t calls_per_1000(size_t per_minute, int64_t age_ms, enum transport *ret_by)
{
    struct choose_in in = usual;
    struct choice c;

    in.rows = per_minute * (size_t)age_ms / 60000;
    in.rows = in.rows < 1 ? 1 : in.rows < 5000 ? in.rows : 5000;
    in.bytes = in.rows * 1000;
    c = choose_transport(&in);
    *ret_by = c.transport;
    return (c.transport == TRANSPORT_BULK ? c.bulk_calls : c.collections_calls) * 10000 / in.rows;
}

static const char *guide(void)
{
    static char text[200000];
    FILE *f = fopen(GUIDE, "rb");
    size_t length;

    assert_non_null(f);
    length = fread(text, 1, sizeof(text) - 1, f);
    fclose(f);
    CHECK(length > 0 && length < sizeof(text) - 1);
    text[length] = '\0';
    return text;
}

/* "1,400" */
static const char *with_comma(size_t n, char ret[24])
{
    if (n < 1000)
        snprintf(ret, 24, "%zu", n);
    else
        snprintf(ret, 24, "%zu,%03zu", n / 1000, n % 1000);
    return ret;
}

/* Up to so many rows Collections are taken. */
static size_t most_by_collections(const struct choose_in *from)
{
    struct choose_in in = *from;

    for (in.rows = 1; choose_transport(&in).transport == TRANSPORT_COLLECTIONS;)
        in.rows++;
    return in.rows - 1;
}

__attribute__((format(printf, 2, 3))) static void guide_has(const char *text, const char *format,
                                                            ...)
{
    char line[200];
    va_list args;

    va_start(args, format);
    vsnprintf(line, sizeof(line), format, args);
    va_end(args);
    if (!strstr(text, line))
        fail_msg("transport.md lacks: %s", line);
}

static void the_guide_has_the_figures_by_which_is_chosen(void **state)
{
    const char *text = guide();
    struct choose_in even = usual, critical = usual, aged = usual, scarce = usual;
    char n[24];

    (void)state;
    critical.critical = true;
    aged.age_ms = aged.urgent_after_ms;
    scarce.left = (struct day_left)DAY(19000, 14000);
    guide_has(text, "where rows failed): about %u |", choose_bulk_calls(&even));
    guide_has(text, "%u x 200 = %s records", choose_bulk_calls(&even),
              with_comma(most_by_collections(&even), n));
    CHECK_EQ(choose_even_rows(&even), most_by_collections(&even));
    guide_has(text, "no more than %s wait", n);
    guide_has(text, "the calls of a job (%s records)",
              with_comma(most_by_collections(&critical), n));
    guide_has(text, "up to twice (%s)", with_comma(most_by_collections(&aged), n));
    guide_has(text, "it costs %u calls: jobs are taken from %s records on",
              choose_bulk_calls(&scarce), with_comma(most_by_collections(&scarce) + 1, n));
}

static void the_guide_says_what_a_thousand_orders_cost(void **state)
{
    static const size_t paces[] = { 1, 100, 10000 };
    static const char *const names[] = { "1", "100", "10,000" };
    const char *text = guide();

    (void)state;
    for (size_t i = 0; i < 3; i++) {
        enum transport by10, by60;
        size_t ten = calls_per_1000(paces[i], 10000, &by10);
        size_t sixty = calls_per_1000(paces[i], 60000, &by60);

        guide_has(text, "| %s | %zu.%zu, %s | %zu.%zu, %s |", names[i], ten / 10, ten % 10,
                  by10 == TRANSPORT_BULK ? "bulk" : "Collections", sixty / 10, sixty % 10,
                  by60 == TRANSPORT_BULK ? "bulk" : "Collections");
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(collections_cost_a_call_for_each_200_rows_or_each_two_megabytes),
        cmocka_unit_test(a_job_costs_its_four_calls_and_the_questions_until_it_ends),
        cmocka_unit_test(scarce_calls_put_the_first_question_off_until_the_job_may_have_ended),
        cmocka_unit_test(the_expectation_follows_what_jobs_take),
        cmocka_unit_test(the_cheaper_has_it_unless_urgency_or_scarcity_say_otherwise),
        cmocka_unit_test(with_urgent_after_at_zero_age_says_nothing),
        cmocka_unit_test(the_break_even_moves_with_what_jobs_take),
        cmocka_unit_test(every_reason_has_its_words),
        cmocka_unit_test(the_guide_has_the_figures_by_which_is_chosen),
        cmocka_unit_test(the_guide_says_what_a_thousand_orders_cost),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
