/*
 * test_salesforce_lookup.c - successful + failed + unprocessed is what was sent; of what it is not,
 * the org is asked.
 */
#include "salesforce_fixture.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define BORN  "2026-11-20T09:15:32.000+0000"
#define AFTER "2026-11-20T09:15:33.000+0000"
#define OLD   "2026-11-20T09:15:31.000+0000"
#define FOUND(key, stamp, by)                                                                    \
    "{\"attributes\":{\"type\":\"Contact\"},\"Id\":\"0035g00000Tst02AAB\",\"" SF_KEY "\":\"" key \
    "\",\"SystemModstamp\":\"" stamp "\",\"LastModifiedById\":\"" by "\"}"
#define OTHER "0055g00000Usr02AAB"
#define QUERY SF_BASE "/services/data/v66.0/query?q="
/* as a state: how many it processed, and how many of them failed */
#define COMPLETE(processed, failed)                                                    \
    "JobComplete\",\"createdDate\":\"" BORN "\",\"numberRecordsProcessed\":" processed \
    ",\"numberRecordsFailed\":" failed ",\"x\":\""

static const struct fake_setting insert_params[] = {
    { "object", "Contact" }, { "external_id", SF_KEY }, { "unique", "true" }, { 0 }
};
static const struct fake_setting id_params[] = { { "object", "Contact" }, { 0 } };

/* "a" is in the successful file, "b" in none */
static void run_with_b_missing(struct sf_fixture *x)
{
    sf_expect_token(x);
    sf_expect_sent(x, SF_ID, SF_JOB, SF_TWO_CSV);
    sf_expect_state(x, SF_JOB, COMPLETE("1", "0"));
    sf_expect_results(x, SF_JOB, SF_OK_HEAD SF_A_OK, SF_FAIL_HEAD, SF_NO_REST);
}

static void a_missing_record_that_our_user_wrote_since_is_delivered(void **state)
{
    struct sf_fixture *x = *state;

    run_with_b_missing(x);
    sf_expect_lookup(x, "%27b%27", FOUND("B", AFTER, SF_USER)); /* case aside */
    sf_deliver(x, SF_TWO, NULL);
    fake_host_run(x->host);
    sf_check_two(x);
}

static void what_does_not_prove_it_goes_again_with_what_is_known(void **state)
{
    struct sf_fixture *x = *state;
    static const struct {
        const char *record, *why;
        uint32_t not_sent;
    } table[] = {
        { "", "it was not done", 1 },
        { FOUND("b", OLD, SF_USER), "it was not done", 1 },
        { FOUND("b", BORN, SF_USER), "cannot be told", 0 }, /* the same second */
        { FOUND("b", AFTER, OTHER), "cannot be told", 0 },
        { FOUND("b", "soon", SF_USER), "cannot be told", 0 },
        { FOUND("a", AFTER, SF_USER), "it was not done", 1 }, /* which was not asked for */
    };

    for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
        const struct fake_outcome *o = &x->done.outcomes[1];

        run_with_b_missing(x);
        sf_expect_lookup(x, "%27b%27", table[i].record);
        sf_deliver(x, SF_TWO, NULL);
        fake_host_run(x->host);
        CHECK_EQ(x->done.outcomes[0].kind, SL_DELIVERED);
        CHECK_EQ(o->kind, SL_RETRY);
        CHECK_HAS(o->why, "in no result file of job " SF_ID);
        CHECK_HAS(o->why, table[i].why);
        CHECK_EQ(o->not_sent, table[i].not_sent);
        sf_reopen(x);
    }
}

static void an_insert_that_is_found_by_its_key_is_delivered(void **state)
{
    struct sf_fixture *x = *state;

    sf_use(x, "insert", insert_params, NULL);
    run_with_b_missing(x);
    sf_expect_lookup(x, "%27b%27", FOUND("b", OLD, OTHER));
    sf_deliver(x, SF_TWO, NULL);
    fake_host_run(x->host);
    sf_check_two(x);
}

static void an_insert_whose_job_is_gone_is_looked_up_before_the_rest_goes_again(void **state)
{
    struct sf_fixture *x = *state;
    static const char *const tokens[] = { SF_STEP("closing"), SF_STEP("closed"), SF_CLOSED };

    for (size_t i = 0; i < 3; i++) {
        sf_use(x, "insert", insert_params, NULL);
        sf_expect_token(x);
        if (i == 1)
            sf_expect_state(x, SF_JOB, "Aborted");
        else
            FAKE_EXPECT(x->host, .url = SF_JOB, .status = 404, .answer = SF_GONE);
        sf_expect_lookup(x, "%27a%27,%27b%27", FOUND("b", OLD, SF_USER));
        sf_expect_sent(x, SF_ID2, SF_JOB2, SF_KEY "\na\n");
        sf_expect_state(x, SF_JOB2, "JobComplete");
        sf_expect_results(x, SF_JOB2, SF_OK_HEAD SF_A_OK, NULL, NULL);
        sf_deliver(x, SF_TWO, tokens[i]);
        fake_host_run(x->host);
        sf_check_two(x);
        sf_reopen(x);
    }
}

static void an_insert_that_was_never_closed_is_simply_made_anew(void **state)
{
    struct sf_fixture *x = *state;

    sf_use(x, "insert", insert_params, NULL);
    sf_expect_token(x);
    FAKE_EXPECT(x->host, .url = SF_JOB, .status = 404, .answer = SF_GONE); /* 24 h are over */
    sf_expect_sent(x, SF_ID2, SF_JOB2, SF_TWO_CSV);
    sf_expect_state(x, SF_JOB2, "JobComplete");
    sf_expect_results(x, SF_JOB2, SF_OK_TWO, NULL, NULL);
    sf_deliver(x, SF_TWO, SF_STEP("created"));
    fake_host_run(x->host);
    sf_check_two(x);
}

static void results_that_are_gone_are_looked_up_for_an_insert(void **state)
{
    struct sf_fixture *x = *state;

    sf_use(x, "insert", insert_params, NULL);
    sf_expect_token(x);
    sf_expect_state(x, SF_JOB, COMPLETE("2", "0"));
    FAKE_EXPECT(x->host, .url = SF_JOB "/successfulResults", .status = 404, .answer = SF_GONE);
    sf_expect_lookup(x, "%27a%27,%27b%27",
                     "{\"Id\":\"0035g00000Tst01AAB\",\"" SF_KEY
                     "\":\"a\"},{\"Id\":"
                     "\"0035g00000Tst02AAB\",\"" SF_KEY "\":\"b\"}");
    sf_deliver(x, SF_TWO, SF_STEP("closed"));
    fake_host_run(x->host);
    sf_check_two(x);
}

static void a_delete_that_finds_nothing_is_done(void **state)
{
    struct sf_fixture *x = *state;

    sf_use(x, "delete", id_params, NULL);
    sf_expect_token(x);
    sf_expect_sent(x, SF_ID, SF_JOB, "Id\n0035g00000Tst01AAB\n0035g00000Tst02AAB\n");
    sf_expect_state(x, SF_JOB, COMPLETE("0", "0"));
    sf_expect_results(x, SF_JOB, "\"sf__Id\",\"sf__Created\",Id\n", "\"sf__Id\",\"sf__Error\",Id\n",
                      "Id\n");
    FAKE_EXPECT(x->host,
                .url = QUERY
                "SELECT+Id,SystemModstamp,LastModifiedById+FROM+Contact+WHERE+Id+IN+("
                "%270035g00000Tst01AAB%27,%270035g00000Tst02AAB%27)",
                .status = 200,
                .answer = "{\"done\":true,\"records\":[{\"Id\":\"0035g00000Tst02AAB\"}]}");
    sf_deliver(x, SF_BODIES("{\"Id\":\"0035g00000Tst01AAB\"}", "{\"Id\":\"0035g00000Tst02AAB\"}"),
               NULL);
    fake_host_run(x->host);
    CHECK_EQ(x->done.outcomes[0].kind, SL_DELIVERED);
    CHECK_EQ(x->done.outcomes[1].kind, SL_RETRY);
    CHECK_EQ(x->done.outcomes[1].not_sent, 1);
}

static void keys_are_written_as_soql_wants_them(void **state)
{
    struct sf_fixture *x = *state;

    sf_expect_token(x);
    sf_expect_sent(x, SF_ID, SF_JOB, NULL);
    sf_expect_state(x, SF_JOB, COMPLETE("0", "0"));
    sf_expect_results(x, SF_JOB, SF_OK_HEAD, SF_FAIL_HEAD, SF_NO_REST);
    sf_expect_lookup(x, "%27O%5C%27Hara%20%26%20%5C%5C%C3%A9%27,900719925474099301,%27x%20y%27",
                     "{\"Id\":\"0035g00000Tst02AAB\",\"" SF_KEY
                     "\":900719925474099301,\"SystemModstamp\":\"" AFTER
                     "\",\"LastModifiedById\":\"" SF_USER "\"}");
    sf_deliver(x,
               SF_BODIES("{\"" SF_KEY "\":\"O'Hara & \\\\\\u00e9\"}",
                         "{\"" SF_KEY "\":900719925474099301}", "{\"" SF_KEY "\":\"x y\"}"),
               NULL);
    fake_host_run(x->host);
    CHECK_EQ(x->done.outcomes[0].kind, SL_RETRY);
    CHECK_EQ(x->done.outcomes[1].kind, SL_DELIVERED);
    CHECK_EQ(x->done.outcomes[2].kind, SL_RETRY);
}

static void a_look_up_that_is_not_answered_is_asked_again_and_one_refused_is_not(void **state)
{
    struct sf_fixture *x = *state;

    run_with_b_missing(x);
    FAKE_EXPECT(x->host, .method = "GET", .status = 503);
    FAKE_EXPECT(x->host, .method = "GET", .status = 200, .answer = "<html>");
    FAKE_EXPECT(x->host, .method = "GET", .error = SL_E_NETWORK, .sent = 1);
    sf_expect_lookup(x, "%27b%27", FOUND("b", AFTER, SF_USER));
    sf_deliver(x, SF_TWO, NULL);
    fake_host_run(x->host);
    sf_check_two(x);
    sf_reopen(x);

    run_with_b_missing(x);
    FAKE_EXPECT(x->host, .method = "GET", .status = 400,
                .answer = "[{\"errorCode\":\"INVALID_FIELD\",\"message\":\"No such column\"}]");
    sf_deliver(x, SF_TWO, NULL);
    fake_host_run(x->host);
    CHECK_EQ(x->done.outcomes[1].kind, SL_RETRY);
    CHECK_EQ(x->done.outcomes[1].not_sent, 0);
}

static void a_sum_that_is_wrong_is_said_and_the_rest_looked_up(void **state)
{
    struct sf_fixture *x = *state;

    /* the job says that it processed both; its files know of one */
    sf_expect_token(x);
    sf_expect_sent(x, SF_ID, SF_JOB, SF_TWO_CSV);
    sf_expect_state(x, SF_JOB, COMPLETE("2", "1"));
    sf_expect_results(x, SF_JOB, SF_OK_HEAD SF_A_OK, SF_FAIL_HEAD, SF_NO_REST);
    FAKE_EXPECT(x->host, .method = "GET", .never = true); /* the look-up: time to read the log */
    sf_deliver(x, SF_TWO, NULL);
    fake_host_run(x->host);
    CHECK_HAS(fake_host_last_log(x->host),
              "2 rows were sent; its files have 1 successful, 0 failed, 0 unprocessed, and it says "
              "that it processed 2, 1 of them failed; in no file: 1");
}

static void a_sum_that_hides_behind_a_full_file_is_found(void **state)
{
    struct sf_fixture *x = *state;

    /* every record has its row, and yet the job says that one failed: the other files are read */
    sf_expect_token(x);
    sf_expect_sent(x, SF_ID, SF_JOB, SF_TWO_CSV);
    sf_expect_state(x, SF_JOB, COMPLETE("2", "1"));
    sf_expect_results(x, SF_JOB, SF_OK_TWO, SF_FAIL_HEAD, SF_NO_REST);
    sf_deliver(x, SF_TWO, NULL);
    fake_host_run(x->host);
    sf_check_two(x);
}

static void a_job_that_failed_before_its_first_row_asks_nobody(void **state)
{
    struct sf_fixture *x = *state;

    sf_expect_token(x);
    sf_expect_sent(x, SF_ID, SF_JOB, SF_TWO_CSV);
    sf_expect_state(x, SF_JOB,
                    "Failed\",\"numberRecordsProcessed\":0,\"numberRecordsFailed\":0,"
                    "\"errorMessage\":\"InternalServerError : y");
    sf_expect_results(x, SF_JOB, "", "", "");
    sf_deliver(x, SF_TWO, NULL);
    fake_host_run(x->host);
    sf_check_all(x, SL_RETRY);
    CHECK_EQ(x->done.outcomes[0].not_sent, 1);
    CHECK_HAS(x->done.outcomes[0].why, "failed before its first row: InternalServerError : y");
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, sf_setup, sf_teardown)
    const struct CMUnitTest tests[] = {
        TEST(a_missing_record_that_our_user_wrote_since_is_delivered),
        TEST(what_does_not_prove_it_goes_again_with_what_is_known),
        TEST(an_insert_that_is_found_by_its_key_is_delivered),
        TEST(an_insert_whose_job_is_gone_is_looked_up_before_the_rest_goes_again),
        TEST(an_insert_that_was_never_closed_is_simply_made_anew),
        TEST(results_that_are_gone_are_looked_up_for_an_insert),
        TEST(a_delete_that_finds_nothing_is_done),
        TEST(keys_are_written_as_soql_wants_them),
        TEST(a_look_up_that_is_not_answered_is_asked_again_and_one_refused_is_not),
        TEST(a_sum_that_is_wrong_is_said_and_the_rest_looked_up),
        TEST(a_sum_that_hides_behind_a_full_file_is_found),
        TEST(a_job_that_failed_before_its_first_row_asks_nobody),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
