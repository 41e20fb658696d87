/*
 * test_salesforce_ledger.c - what is durable before each step of a bulk job, what a restart makes
 * of it, and the jobs whose id was never learnt.
 */
#include "salesforce_fixture.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "org/when.h"

#define INFO(id, state, object, op, key, by, created)                                             \
    "{\"id\":\"" id "\",\"operation\":\"" op "\",\"object\":\"" object "\",\"createdById\":\"" by \
    "\",\"createdDate\":\"" created "\",\"state\":\"" state "\",\"externalIdFieldName\":\"" key   \
    "\",\"jobType\":\"V2Ingest\"}"
/* the fake's clock stands at 09:15:32 when a test begins */
#define NOW        "2026-11-20T09:15:40.000+0000"
#define ORPHAN(id) INFO(id, "Open", "Contact", "upsert", SF_KEY, SF_USER, NOW)
#define SF_ID3     "7505g00000Job03AAB"
#define ENDED(s, p, e) \
    s "\",\"numberRecordsProcessed\":" p ",\"numberRecordsFailed\":" e ",\"x\":\""

static void finish_well(struct sf_fixture *x, const char *job)
{
    sf_expect_state(x, job, "JobComplete");
    sf_expect_results(x, job, SF_OK_TWO, NULL, NULL);
}

/* ---- steps --------------------------------------------------------------------------------- */

static void each_step_is_durable_before_the_next(void **state)
{
    struct sf_fixture *x = *state;
    static const char *const steps[] = { "creating", "created", "closing", "closed", "ended" };

    for (int step = 0; step < 5; step++) {
        char name[40];

        if (step >= 1) {
            sf_expect_token(x);
            sf_expect_create(x, SF_ID);
        }
        if (step >= 2)
            sf_expect_upload(x, SF_JOB, SF_TWO_CSV);
        if (step >= 3)
            sf_expect_close(x, SF_JOB);
        if (step >= 4)
            sf_expect_state(x, SF_JOB, "JobComplete");
        sf_deliver(x, SF_TWO, NULL);
        x->done.withhold_after = step; /* the crash: no callback for this one */
        fake_host_run(x->host);
        CHECK(!x->done.finished);
        CHECK_EQ(x->done.n_checkpoints, step + 1);
        if (step > 0) {
            snprintf(name, sizeof(name), "\"step\":\"%s\"", steps[step - 1]);
            CHECK_HAS(x->done.token, name);
        }
        sf_reopen(x);
    }
}

static void each_step_is_resumed_from_where_the_job_is(void **state)
{
    struct sf_fixture *x = *state;
    static const struct sf_resumed table[] = {
        { SF_STEP("created"), "Open", true, true, false },
        { SF_STEP("created"), "Aborted", false, true, false },
        { SF_STEP("created"), "InProgress", false, false, false },
        { SF_STEP("closing"), "Open", false, false, true },
        { SF_STEP("closing"), "UploadComplete", false, false, false },
        { SF_STEP("closing"), NULL, false, true, false },
        { SF_STEP("closed"), "InProgress", false, false, false },
        { SF_STEP("closed"), "JobComplete", false, false, false },
        { SF_STEP("closed"), "Aborted", false, true, false },
        { SF_STEP("closed"), NULL, false, true, false },
    };

    for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++)
        sf_check_resumed(x, &table[i]);
}

static void a_job_that_had_ended_is_not_asked_again_but_its_files_are_read(void **state)
{
    struct sf_fixture *x = *state;

    sf_expect_token(x);
    sf_expect_results(x, SF_JOB, SF_OK_HEAD SF_A_OK, SF_FAIL_HEAD, SF_KEY "\nb\n");
    sf_deliver(x, SF_TWO,
               "{\"v\":2,\"step\":\"ended\",\"job\":\"" SF_ID
               "\",\"rows\":2,\"state\":\"Failed\",\"processed\":1,\"errors\":0,\"since\":\"" NOW
               "\",\"why\":\"InternalServerError : \\\"x\\\"\"}");
    fake_host_run(x->host);
    CHECK_EQ(x->done.outcomes[0].kind, SL_DELIVERED);
    CHECK_EQ(x->done.outcomes[1].kind, SL_RETRY);
    CHECK_EQ(x->done.outcomes[1].not_sent, 1);
    CHECK_HAS(x->done.outcomes[1].why, "InternalServerError : \"x\"");
}

static void a_checkpoint_that_cannot_be_read_means_a_new_job(void **state)
{
    struct sf_fixture *x = *state;
    static const char *const tokens[] = {
        "{\"v\":3,\"step\":\"closed\",\"job\":\"" SF_ID "\"}",  "{\"v\":2,\"step\":\"closed\"}",
        "{\"v\":2,\"step\":\"closed\",\"job\":\"750\"}",        "{\"v\":2,\"step\":\"creating\"}",
        "{\"v\":1,\"step\":\"closing\",\"job\":\"" SF_ID "\"}",
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

/* ---- orphans ------------------------------------------------------------------------------- */

static void expect_removed(struct sf_fixture *x, const char *job)
{
    sf_expect_abort(x, job);
    FAKE_EXPECT(x->host, .method = "DELETE", .url = job, .status = 204);
}

static void a_crash_in_a_create_removes_the_orphan_before_another_job(void **state)
{
    struct sf_fixture *x = *state;

    sf_expect_token(x);
    sf_expect_list(x, ORPHAN(SF_ID));
    expect_removed(x, SF_JOB);
    sf_expect_sent(x, SF_ID2, SF_JOB2, SF_TWO_CSV);
    finish_well(x, SF_JOB2);
    sf_deliver(x, SF_TWO, SF_CREATING);
    fake_host_run(x->host);
    sf_check_two(x);
}

static void a_create_whose_answer_was_lost_is_removed_too(void **state)
{
    struct sf_fixture *x = *state;

    sf_expect_token(x);
    FAKE_EXPECT(x->host, .method = "POST", .url = SF_JOBS, .error = SL_E_TIMEOUT, .sent = 1);
    sf_expect_list(x, ORPHAN(SF_ID));
    expect_removed(x, SF_JOB);
    sf_expect_sent(x, SF_ID2, SF_JOB2, SF_TWO_CSV);
    finish_well(x, SF_JOB2);
    sf_deliver(x, SF_TWO, NULL);
    fake_host_run(x->host);
    sf_check_two(x);
}

static void jobs_of_others_are_left_alone(void **state)
{
    struct sf_fixture *x = *state;
#define OTHER(n) "7505g00000Oth" n "AAB"

    sf_expect_token(x);
    sf_expect_list(
        x,
        INFO(OTHER("01"), "Open", "Account", "upsert", SF_KEY, SF_USER, NOW) ","
        INFO(OTHER("02"), "Open", "Contact", "insert", SF_KEY, SF_USER, NOW) ","
        INFO(OTHER("03"), "Open", "Contact", "upsert", "Else__c", SF_USER, NOW) ","
        INFO(OTHER("04"), "Open", "Contact", "upsert", SF_KEY, "0055g00000Usr02AAB", NOW) ","
        INFO(OTHER("05"), "UploadComplete", "Contact", "upsert", SF_KEY, SF_USER, NOW) ","
        INFO(OTHER("06"), "InProgress", "Contact", "upsert", SF_KEY, SF_USER, NOW) ","
        INFO(OTHER("07"), "Open", "Contact", "upsert", SF_KEY, SF_USER,
             "2026-11-20T09:14:00.000+0000") ","
        INFO(OTHER("08"), "Open", "Contact", "upsert", SF_KEY, SF_USER,
             "2026-11-20T09:30:00.000+0000") ","
        INFO(OTHER("09"), "Open", "Contact", "upsert", SF_KEY, SF_USER, "yesterday") ","
        INFO("../../x", "Open", "Contact", "upsert", SF_KEY, SF_USER, NOW) ","
        "{\"id\":\"" OTHER("10") "\"},{}");
    sf_expect_sent(x, SF_ID2, SF_JOB2, SF_TWO_CSV);
    finish_well(x, SF_JOB2);
    sf_deliver(x, SF_TWO, SF_CREATING);
    fake_host_run(x->host);
    sf_check_two(x);
}

static void a_long_list_is_read_to_its_end_page_by_page(void **state)
{
    struct sf_fixture *x = *state;

    sf_expect_token(x);
    FAKE_EXPECT(
        x->host, .url = SF_JOBS "?jobType=V2Ingest", .status = 200,
        .answer =
            "{\"done\":false,\"nextRecordsUrl\":\"/services/data/v66.0/jobs/ingest?"
            "jobType=V2Ingest&queryLocator=01g-1000&x=1\",\"records\":[" ORPHAN(SF_ID) "]}");
    FAKE_EXPECT(x->host, .url = SF_JOBS "?jobType=V2Ingest&queryLocator=01g-1000", .status = 200,
                .answer = "{ \"done\" : true, \"records\" : [ " ORPHAN(SF_ID3) " ] , "
                          "\"nextRecordsUrl\" : null }");
    expect_removed(x, SF_JOBS "/" SF_ID3);
    expect_removed(x, SF_JOB);
    sf_expect_sent(x, SF_ID2, SF_JOB2, SF_TWO_CSV);
    finish_well(x, SF_JOB2);
    sf_deliver(x, SF_TWO, SF_CREATING);
    fake_host_run(x->host);
    sf_check_two(x);
}

static void the_window_goes_by_salesforces_clock(void **state)
{
    struct sf_fixture *x = *state;

    /* theirs is an hour ahead: the token's answer tells, and the create's moment is noted so */
    FAKE_EXPECT(x->host, .url = SF_LOGIN "/services/oauth2/token", .status = 200,
                .answer = SF_TOKEN);
    FAKE_EXPECT(x->host, .url = SF_JOBS, .status = 503,
                .answer_headers = "Date: Fri, 20 Nov 2026 10:15:32 GMT");
    sf_deliver(x, SF_TWO, NULL);
    fake_host_run(x->host);
    sf_check_all(x, SL_RETRY);

    FAKE_EXPECT(x->host, .url = SF_JOBS, .error = SL_E_NETWORK, .sent = 1);
    sf_expect_list(x, INFO(SF_ID, "Open", "Contact", "upsert", SF_KEY, SF_USER,
                           "2026-11-20T10:15:33.000+0000") "," ORPHAN(SF_ID3));
    expect_removed(x, SF_JOB);
    sf_expect_sent(x, SF_ID2, SF_JOB2, SF_TWO_CSV);
    finish_well(x, SF_JOB2);
    sf_deliver(x, SF_TWO, NULL);
    fake_host_run(x->host);
    sf_check_two(x);
}

static void a_list_that_cannot_be_had_does_not_stop_the_batch(void **state)
{
    struct sf_fixture *x = *state;

    sf_expect_token(x);
    FAKE_EXPECT(x->host, .url = SF_JOBS "?jobType=V2Ingest", .status = 503);
    FAKE_EXPECT(x->host, .url = SF_JOBS "?jobType=V2Ingest", .status = 200, .answer = "<html>");
    FAKE_EXPECT(x->host, .url = SF_JOBS "?jobType=V2Ingest", .error = SL_E_TIMEOUT, .sent = 1);
    sf_deliver(x, SF_TWO, SF_CREATING);
    x->done.withhold_after = 1;
    sf_expect_create(x, SF_ID2);
    fake_host_run(x->host);
    /* the suspicion goes on: the next search would begin where this one did */
    CHECK_HAS(x->done.token, "\"since\":1795166132000,\"at\":17951661");
    CHECK(!x->done.finished);
}

static void a_user_who_may_not_list_jobs_is_asked_once(void **state)
{
    struct sf_fixture *x = *state;

    sf_expect_token(x);
    FAKE_EXPECT(x->host, .url = SF_JOBS "?jobType=V2Ingest", .status = 403,
                .answer = "[{\"errorCode\":\"INSUFFICIENT_ACCESS\",\"message\":\"no\"}]");
    sf_expect_sent(x, SF_ID2, SF_JOB2, SF_TWO_CSV);
    finish_well(x, SF_JOB2);
    sf_deliver(x, SF_TWO, SF_CREATING);
    fake_host_run(x->host);
    sf_check_two(x);
}

static void no_search_decides_while_a_create_is_under_way_and_none_begins_then(void **state)
{
    struct sf_fixture *x = *state;
    sl_record record = { .size = sizeof(record), .request = fake_str(SF_ROW("c")) };
    sl_batch batch = { .size = sizeof(batch), .id = 8, .records = &record, .n_records = 1 };
    struct fake_done other;

    /* the other's create takes longer than the search would wait; its job is in the list by then */
    FAKE_EXPECT(x->host, .url = SF_LOGIN "/services/oauth2/token", .status = 200,
                .answer = SF_TOKEN);
    FAKE_EXPECT(x->host, .method = "POST", .url = SF_JOBS, .status = 200, .delay_ms = 20000,
                .answer = "{\"id\":\"" SF_ID "\",\"state\":\"Open\"}");
    sf_expect_list(x, ORPHAN(SF_ID) "," ORPHAN(SF_ID3));
    FAKE_EXPECT(x->host, .method = "PUT", .url = SF_JOB "/batches", .status = 201);
    FAKE_EXPECT(x->host, .method = "PATCH", .url = SF_JOBS "/" SF_ID3, .status = 200);
    FAKE_EXPECT(x->host, .method = "PATCH", .url = SF_JOB, .status = 200, .never = true);
    FAKE_EXPECT(x->host, .method = "DELETE", .url = SF_JOBS "/" SF_ID3, .status = 204);
    FAKE_EXPECT(x->host, .method = "POST", .url = SF_JOBS, .status = 503);
    fake_done_init(&other, x->host, 1);
    x->plugin->deliver(x->self, x->handle, &batch, &other.done);
    fake_host_run_for(x->host, 100);
    sf_deliver(x, SF_TWO, SF_CREATING);
    fake_host_run(x->host);
    sf_check_all(x, SL_RETRY); /* its own create was refused; the other's job was not touched */
    CHECK(!other.finished);
    sf_close(x);
    fake_done_finish(&other);
}

/* ---- what else must not be left open, or sent twice ---------------------------------------- */

static void a_job_whose_upload_was_refused_for_now_is_aborted(void **state)
{
    struct sf_fixture *x = *state;

    sf_expect_token(x);
    sf_expect_create(x, SF_ID);
    FAKE_EXPECT(x->host, .method = "PUT", .status = 503);
    sf_expect_abort(x, SF_JOB);
    sf_deliver(x, SF_TWO, NULL);
    fake_host_run(x->host);
    sf_check_all(x, SL_RETRY);
    CHECK_EQ(x->done.outcomes[0].not_sent, 1);
}

static void a_job_that_was_throttled_before_its_upload_is_removed_later(void **state)
{
    struct sf_fixture *x = *state;

    sf_expect_token(x);
    sf_expect_create(x, SF_ID);
    FAKE_EXPECT(x->host, .method = "PUT", .status = 429);
    sf_deliver(x, SF_TWO, NULL);
    fake_host_run(x->host);
    sf_check_all(x, SL_THROTTLED);

    sf_expect_create(x, SF_ID2);
    sf_expect_abort(x, SF_JOB);
    FAKE_EXPECT(x->host, .method = "DELETE", .url = SF_JOB, .status = 204);
    sf_expect_upload(x, SF_JOB2, SF_TWO_CSV);
    sf_expect_close(x, SF_JOB2);
    finish_well(x, SF_JOB2);
    sf_deliver(x, SF_TWO, NULL);
    fake_host_run(x->host);
    sf_check_two(x);
}

static void an_endpoint_that_is_no_good_while_a_job_runs_keeps_the_job(void **state)
{
    struct sf_fixture *x = *state;
    static const char limit[] =
        "[{\"message\":\"TotalRequests Limit exceeded.\",\"errorCode\":\"REQUEST_LIMIT_EXCEEDED\"}]";

    sf_expect_token(x);
    sf_expect_create(x, SF_ID);
    sf_expect_upload(x, SF_JOB, SF_TWO_CSV);
    FAKE_EXPECT(x->host, .method = "PATCH", .url = SF_JOB, .status = 403, .answer = limit);
    FAKE_EXPECT(x->host, .url = SF_JOB, .status = 403, .answer = limit);
    sf_expect_state(x, SF_JOB, "Open");
    sf_expect_close(x, SF_JOB);
    FAKE_EXPECT(x->host, .url = SF_JOB, .status = 410);
    sf_expect_state(x, SF_JOB, "JobComplete");
    FAKE_EXPECT(x->host, .url = SF_JOB "/successfulResults", .status = 403, .answer = limit);
    sf_expect_results(x, SF_JOB, SF_OK_TWO, NULL, NULL);
    sf_deliver(x, SF_TWO, NULL);
    fake_host_run(x->host);
    sf_check_two(x);
}

static void a_session_that_ends_at_any_step_is_renewed_and_the_step_repeated(void **state)
{
    struct sf_fixture *x = *state;
    static const char *const methods[] = { "POST", "PUT", "PATCH", "GET", "GET" };

    for (int at = 0; at < 5; at++) {
        sf_expect_token(x);
        for (int step = 0; step < 5; step++) {
            if (step == at) {
                FAKE_EXPECT(x->host, .method = methods[step], .status = 401, .answer = SF_EXPIRED);
                sf_expect_token(x);
            }
            if (step == 0)
                sf_expect_create(x, SF_ID);
            else if (step == 1)
                sf_expect_upload(x, SF_JOB, SF_TWO_CSV);
            else if (step == 2)
                sf_expect_close(x, SF_JOB);
            else if (step == 3)
                sf_expect_state(x, SF_JOB, "JobComplete");
            else
                sf_expect_results(x, SF_JOB, SF_OK_TWO, NULL, NULL);
        }
        sf_deliver(x, SF_TWO, NULL);
        fake_host_run(x->host);
        sf_check_two(x);
        sf_reopen(x);
    }
}

static void the_moments_that_salesforce_names_are_understood(void **state)
{
    static const struct {
        const char *text;
        int64_t ms; /* 0: not a moment */
    } http[] = { { "Fri, 20 Nov 2026 09:15:32 GMT", 1795166132000 },
                 { "Thu, 29 Feb 2024 00:00:00 GMT", 1709164800000 },
                 { "Thu, 01 Jan 1970 00:00:01 GMT", 1000 },
                 { "Fri, 20 Nov 2026 09:15:32", 0 },
                 { "Fri, 20 ovN 2026 09:15:32 GMT", 0 },
                 { "Fri, 20 Nov 2026 25:15:32 GMT", 0 },
                 { "", 0 } },
      iso[] = { { "2026-11-20T09:15:32.000+0000", 1795166132000 },
                { "2026-11-20T09:15:32.250Z", 1795166132250 },
                { "2000-03-01T00:00:00.000+0000", 951868800000 },
                { "2026-11-20T09:15:32.000+0100", 0 },
                { "2026-13-20T09:15:32.000+0000", 0 },
                { "2026-11-20", 0 } };
    int64_t ms;

    (void)state;
    for (size_t i = 0; i < sizeof(http) / sizeof(http[0]); i++) {
        ms = 0;
        CHECK_EQ(when_http(str_of(http[i].text), &ms), http[i].ms != 0);
        CHECK_EQ(ms, http[i].ms);
    }
    for (size_t i = 0; i < sizeof(iso) / sizeof(iso[0]); i++) {
        ms = 0;
        CHECK_EQ(when_iso(str_of(iso[i].text), &ms), iso[i].ms != 0);
        CHECK_EQ(ms, iso[i].ms);
    }
}

static void run_well(struct sf_fixture *x)
{
    sf_expect_token(x);
    sf_expect_sent(x, SF_ID, SF_JOB, SF_TWO_CSV);
    finish_well(x, SF_JOB);
    sf_deliver(x, SF_TWO, NULL);
}

static void a_finished_job_is_deleted_once_what_it_told_is_durable_and_never_before(void **state)
{
    struct sf_fixture *x = *state;

    run_well(x); /* as it is by itself: no call more than needed */
    fake_host_run(x->host);
    sf_check_two(x);

    sf_reopen_with(x, "delete_jobs", "true");
    run_well(x);
    x->done.never_settled = true;
    fake_host_run(x->host);
    sf_check_two(x);

    sf_reopen(x);
    run_well(x);
    x->done.not_settled = true; /* the next process needs its results */
    fake_host_run(x->host);
    sf_check_two(x);

    sf_reopen(x);
    run_well(x);
    FAKE_EXPECT(x->host, .method = "DELETE", .url = SF_JOB, .status = 503);
    FAKE_EXPECT(x->host, .method = "DELETE", .url = SF_JOB, .status = 204);
    fake_host_run(x->host);
    sf_check_two(x);

    sf_reopen(x); /* one that was given up tells nothing */
    sf_expect_token(x);
    sf_expect_create(x, SF_ID2);
    FAKE_EXPECT(x->host, .method = "PUT", .error = SL_E_NETWORK, .sent = 1);
    sf_expect_abort(x, SF_JOB2);
    FAKE_EXPECT(x->host, .method = "DELETE", .url = SF_JOB2, .status = 204);
    sf_expect_sent(x, SF_ID, SF_JOB, SF_TWO_CSV);
    finish_well(x, SF_JOB);
    FAKE_EXPECT(x->host, .method = "DELETE", .url = SF_JOB, .status = 204);
    sf_deliver(x, SF_TWO, NULL);
    fake_host_run(x->host);
    sf_check_two(x);
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, sf_setup, sf_teardown)
    const struct CMUnitTest tests[] = {
        TEST(each_step_is_durable_before_the_next),
        TEST(each_step_is_resumed_from_where_the_job_is),
        TEST(a_job_that_had_ended_is_not_asked_again_but_its_files_are_read),
        TEST(a_checkpoint_that_cannot_be_read_means_a_new_job),
        TEST(a_crash_in_a_create_removes_the_orphan_before_another_job),
        TEST(a_create_whose_answer_was_lost_is_removed_too),
        TEST(jobs_of_others_are_left_alone),
        TEST(a_long_list_is_read_to_its_end_page_by_page),
        TEST(the_window_goes_by_salesforces_clock),
        TEST(a_list_that_cannot_be_had_does_not_stop_the_batch),
        TEST(a_user_who_may_not_list_jobs_is_asked_once),
        TEST(no_search_decides_while_a_create_is_under_way_and_none_begins_then),
        TEST(a_job_whose_upload_was_refused_for_now_is_aborted),
        TEST(a_job_that_was_throttled_before_its_upload_is_removed_later),
        TEST(an_endpoint_that_is_no_good_while_a_job_runs_keeps_the_job),
        TEST(the_moments_that_salesforce_names_are_understood),
        TEST(a_finished_job_is_deleted_once_what_it_told_is_durable_and_never_before),
        TEST(a_session_that_ends_at_any_step_is_renewed_and_the_step_repeated),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
