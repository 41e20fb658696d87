/*
 * test_salesforce_lost.c - a Bulk API 2.0 job whose answers are lost, and one that a crash cut off:
 * resuming from every state.
 */
#include "salesforce_fixture.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- lost answers -------------------------------------------------------------------------- */

static void finish_well(struct sf_fixture *x, const char *job)
{
    sf_expect_state(x, job, "JobComplete");
    sf_expect_results(x, job, SF_OK_TWO, NULL, NULL);
}

static void a_lost_create_is_made_once_more(void **state)
{
    struct sf_fixture *x = *state;

    sf_expect_token(x);
    FAKE_EXPECT(x->host, .method = "POST", .url = SF_JOBS, .error = SL_E_NETWORK, .sent = 1);
    sf_expect_list(x, "");
    sf_expect_sent(x, SF_ID2, SF_JOB2, SF_TWO_CSV);
    finish_well(x, SF_JOB2);
    sf_deliver(x, SF_TWO, NULL);
    fake_host_run(x->host);
    sf_check_two(x);
}

static void a_create_lost_twice_goes_to_the_retry(void **state)
{
    struct sf_fixture *x = *state;

    sf_expect_token(x);
    for (int i = 0; i < 2; i++) {
        FAKE_EXPECT(x->host, .url = SF_JOBS, .error = SL_E_TIMEOUT, .sent = 1);
        sf_expect_list(x, "");
    }
    sf_deliver(x, SF_TWO, NULL);
    fake_host_run(x->host);
    sf_check_all(x, SL_RETRY);
    CHECK_EQ(x->done.outcomes[0].not_sent, 1); /* an empty job, at most */
    CHECK_EQ(x->done.n_checkpoints, 2);
}

static void a_lost_upload_aborts_the_job_and_makes_another(void **state)
{
    struct sf_fixture *x = *state;

    sf_expect_token(x);
    sf_expect_create(x, SF_ID);
    FAKE_EXPECT(x->host, .method = "PUT", .error = SL_E_NETWORK, .sent = 1);
    sf_expect_abort(x, SF_JOB);
    sf_expect_sent(x, SF_ID2, SF_JOB2, SF_TWO_CSV);
    finish_well(x, SF_JOB2);
    sf_deliver(x, SF_TWO, NULL);
    fake_host_run(x->host);
    sf_check_two(x);
    CHECK_HAS(x->done.token, SF_ID2);
    CHECK_EQ(x->done.n_checkpoints, 7); /* creating and created twice, closing, closed, ended */
}

static void a_job_that_cannot_be_aborted_does_not_stop_the_next(void **state)
{
    struct sf_fixture *x = *state;

    sf_expect_token(x);
    sf_expect_create(x, SF_ID);
    FAKE_EXPECT(x->host, .method = "PUT", .status = 400,
                .answer =
                    "[{\"errorCode\":\"CLIENTINPUTERROR\",\"message\":\"Found multiple "
                    "contents for job: <7505>\"}]");
    FAKE_EXPECT(x->host, .method = "PATCH", .url = SF_JOB, .status = 503);
    sf_expect_create(x, SF_ID2);
    sf_expect_abort(x, SF_JOB); /* Salesforce answers again: now it can be cleaned */
    FAKE_EXPECT(x->host, .method = "DELETE", .url = SF_JOB, .status = 204);
    FAKE_EXPECT(x->host, .method = "PUT", .error = SL_E_NETWORK, .sent = 1);
    FAKE_EXPECT(x->host, .method = "PATCH", .url = SF_JOB2, .error = SL_E_NETWORK);
    sf_deliver(x, SF_TWO, NULL);
    fake_host_run(x->host);
    sf_check_all(x, SL_RETRY); /* two jobs are enough for now */
}

static void after_a_lost_close_the_job_is_asked_and_closed_again_if_open(void **state)
{
    struct sf_fixture *x = *state;

    sf_expect_token(x);
    sf_expect_create(x, SF_ID);
    sf_expect_upload(x, SF_JOB, SF_TWO_CSV);
    FAKE_EXPECT(x->host, .method = "PATCH", .url = SF_JOB, .error = SL_E_TIMEOUT, .sent = 1);
    sf_expect_state(x, SF_JOB, "Open");
    sf_expect_close(x, SF_JOB);
    finish_well(x, SF_JOB);
    sf_deliver(x, SF_TWO, NULL);
    fake_host_run(x->host);
    sf_check_two(x);
}

static void after_a_lost_close_that_was_done_nothing_is_sent_again(void **state)
{
    struct sf_fixture *x = *state;

    sf_expect_token(x);
    sf_expect_create(x, SF_ID);
    sf_expect_upload(x, SF_JOB, SF_TWO_CSV);
    FAKE_EXPECT(x->host, .method = "PATCH", .url = SF_JOB, .status = 502,
                .answer = "<html>Bad Gateway</html>");
    FAKE_EXPECT(x->host, .method = "GET", .url = SF_JOB, .error = SL_E_NETWORK, .sent = 1);
    sf_expect_state(x, SF_JOB, "InProgress");
    finish_well(x, SF_JOB);
    sf_deliver(x, SF_TWO, NULL);
    fake_host_run(x->host);
    sf_check_two(x);
}

static void while_a_job_runs_no_trouble_makes_it_forgotten(void **state)
{
    struct sf_fixture *x = *state;

    sf_expect_token(x);
    sf_expect_sent(x, SF_ID, SF_JOB, SF_TWO_CSV);
    FAKE_EXPECT(
        x->host, .url = SF_JOB, .status = 503,
        .answer = "[{\"message\":\"Server too busy\",\"errorCode\":\"SERVER_UNAVAILABLE\"}]");
    FAKE_EXPECT(x->host, .url = SF_JOB, .error = SL_E_DNS);
    FAKE_EXPECT(x->host, .url = SF_JOB, .status = 200, .answer = "<html>maintenance</html>");
    FAKE_EXPECT(x->host, .url = SF_JOB, .status = 403,
                .answer =
                    "[{\"message\":\"ConcurrentPerOrgLongTxn Limit exceeded.\",\"errorCode\":"
                    "\"REQUEST_LIMIT_EXCEEDED\"}]");
    FAKE_EXPECT(x->host, .url = SF_JOB, .status = 429, .retry_after_ms = 100000);
    sf_expect_state(x, SF_JOB, "JobComplete");
    FAKE_EXPECT(x->host, .url = SF_JOB "/successfulResults", .error = SL_E_NETWORK, .sent = 1);
    FAKE_EXPECT(x->host, .url = SF_JOB "/successfulResults", .status = 500);
    FAKE_EXPECT(x->host, .url = SF_JOB "/successfulResults", .status = 200,
                .answer = SF_OK_HEAD SF_A_OK "\"0035g000"); /* torn: "a" is told only once */
    sf_expect_results(x, SF_JOB, SF_OK_TWO, NULL, NULL);
    sf_deliver(x, SF_TWO, NULL);
    fake_host_run(x->host);
    sf_check_two(x);
}

static void a_job_that_is_gone_gets_a_successor_once(void **state)
{
    struct sf_fixture *x = *state;

    sf_expect_token(x);
    sf_expect_sent(x, SF_ID, SF_JOB, SF_TWO_CSV);
    FAKE_EXPECT(x->host, .url = SF_JOB, .status = 404, .answer = SF_GONE);
    sf_expect_sent(x, SF_ID2, SF_JOB2, SF_TWO_CSV);
    sf_expect_state(x, SF_JOB2, "Aborted");
    sf_deliver(x, SF_TWO, NULL);
    fake_host_run(x->host);
    sf_check_all(x, SL_RETRY);
    CHECK_HAS(x->done.outcomes[0].why, "was aborted");
}

static void a_job_without_end_is_aborted_and_its_records_go_again(void **state)
{
    struct sf_fixture *x = *state;

    sf_expect_token(x);
    sf_expect_sent(x, SF_ID, SF_JOB, SF_TWO_CSV);
    for (int i = 0; i < 243; i++) /* 2 + 4 + 8 + 16 s, then every 30 s up to two hours */
        sf_expect_state(x, SF_JOB, "InProgress");
    sf_expect_abort(x, SF_JOB);
    sf_deliver(x, SF_TWO, NULL);
    fake_host_run(x->host);
    sf_check_all(x, SL_RETRY);
    CHECK_HAS(x->done.outcomes[0].why, "job_timeout (7200 s)");
}

/* ---- crashes ------------------------------------------------------------------------------- */

static void nothing_is_uploaded_before_the_job_id_is_durable(void **state)
{
    struct sf_fixture *x = *state;

    sf_expect_token(x);
    sf_expect_create(x, SF_ID);
    sf_deliver(x, SF_TWO, NULL);
    x->done.withhold_after = 1;
    fake_host_run(x->host);
    CHECK_EQ(x->done.n_checkpoints, 2);
    CHECK(!x->done.finished);
}

static void nothing_is_closed_before_the_intent_is_durable(void **state)
{
    struct sf_fixture *x = *state;

    sf_expect_token(x);
    sf_expect_create(x, SF_ID);
    sf_expect_upload(x, SF_JOB, SF_TWO_CSV);
    sf_deliver(x, SF_TWO, NULL);
    x->done.withhold_after = 2;
    fake_host_run(x->host);
    CHECK_EQ(x->done.n_checkpoints, 3);
    CHECK_STR(x->done.token, SF_STEP("created"));
    CHECK(!x->done.finished);
}

static void resume_asks_the_job_and_never_uploads_twice(void **state)
{
    struct sf_fixture *x = *state;
    static const struct sf_resumed table[] = {
        { SF_CREATED, "Open", true, true, false },
        { SF_CREATED, "Aborted", false, true, false },
        { SF_CREATED, NULL, false, true, false },
        { SF_CREATED, "UploadComplete", false, false, false },
        { SF_CREATED, "JobComplete", false, false, false },
        { SF_CLOSED, "Open", false, false, true },
        { SF_CLOSED, "UploadComplete", false, false, false },
        { SF_CLOSED, "InProgress", false, false, false },
        { SF_CLOSED, "JobComplete", false, false, false },
        { SF_CLOSED, "Aborted", false, true, false },
        { SF_CLOSED, NULL, false, true, false },
    };

    for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++)
        sf_check_resumed(x, &table[i]);
}

static void resume_of_a_failed_job_reads_its_results(void **state)
{
    struct sf_fixture *x = *state;

    sf_expect_token(x);
    sf_expect_state(x, SF_JOB, "Failed\",\"errorMessage\":\"TooManyLockFailure : x");
    sf_expect_results(x, SF_JOB, SF_OK_HEAD SF_A_OK, "", "");
    sf_expect_lookup(x, "%27b%27", "");
    sf_deliver(x, SF_TWO, SF_CLOSED);
    fake_host_run(x->host);
    CHECK_EQ(x->done.outcomes[0].kind, SL_DELIVERED);
    CHECK_EQ(x->done.outcomes[1].kind, SL_RETRY);
}

static void a_checkpoint_that_is_not_understood_means_a_new_job(void **state)
{
    struct sf_fixture *x = *state;
    static const char *const tokens[] = {
        "",
        "{}",
        "{\"v\":2,\"job\":\"750\",\"step\":\"closed\"}",
        "{\"v\":1,\"job\":\"../../x\",\"step\":\"closed\"}",
        "{\"v\":1,\"job\":\"750\"}",
    };

    for (size_t i = 0; i < sizeof(tokens) / sizeof(tokens[0]); i++) {
        sf_expect_token(x);
        sf_expect_sent(x, SF_ID2, SF_JOB2, SF_TWO_CSV);
        finish_well(x, SF_JOB2);
        sf_deliver(x, SF_TWO, tokens[i]);
        fake_host_run(x->host);
        sf_check_two(x);
        sf_reopen(x);
    }
}

static void closing_at_any_moment_leaves_nothing_behind(void **state)
{
    struct sf_fixture *x = *state;

    for (int step = 0; step < 8; step++) {
        FAKE_EXPECT(x->host, .status = 200, .answer = SF_TOKEN, .never = step == 0);
        if (step >= 1)
            FAKE_EXPECT(x->host, .status = 200, .answer = "{\"id\":\"" SF_ID "\"}",
                        .never = step == 1);
        if (step >= 2)
            FAKE_EXPECT(x->host, .method = "PUT", .status = 201, .never = step == 2);
        if (step >= 3)
            FAKE_EXPECT(x->host, .method = "PATCH", .status = 200, .never = step == 3);
        if (step >= 5) /* at 4 it waits to ask */
            FAKE_EXPECT(x->host, .status = 200, .answer = "{\"state\":\"JobComplete\"}",
                        .never = step == 5);
        if (step >= 6)
            FAKE_EXPECT(x->host, .status = 200, .answer = SF_OK_HEAD SF_A_OK, .never = step == 6);
        if (step >= 7)
            FAKE_EXPECT(x->host, .url = SF_JOB "/failedResults", .never = true);
        sf_deliver(x, SF_TWO, NULL);
        if (step == 4)
            fake_host_run_for(x->host, 1000);
        else
            fake_host_run(x->host);
        CHECK(!x->done.finished);
        sf_reopen(x);
    }
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, sf_setup, sf_teardown)
    const struct CMUnitTest tests[] = {
        TEST(a_lost_create_is_made_once_more),
        TEST(a_create_lost_twice_goes_to_the_retry),
        TEST(a_lost_upload_aborts_the_job_and_makes_another),
        TEST(a_job_that_cannot_be_aborted_does_not_stop_the_next),
        TEST(after_a_lost_close_the_job_is_asked_and_closed_again_if_open),
        TEST(after_a_lost_close_that_was_done_nothing_is_sent_again),
        TEST(while_a_job_runs_no_trouble_makes_it_forgotten),
        TEST(a_job_that_is_gone_gets_a_successor_once),
        TEST(a_job_without_end_is_aborted_and_its_records_go_again),
        TEST(nothing_is_uploaded_before_the_job_id_is_durable),
        TEST(nothing_is_closed_before_the_intent_is_durable),
        TEST(resume_asks_the_job_and_never_uploads_twice),
        TEST(resume_of_a_failed_job_reads_its_results),
        TEST(a_checkpoint_that_is_not_understood_means_a_new_job),
        TEST(closing_at_any_moment_leaves_nothing_behind),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
