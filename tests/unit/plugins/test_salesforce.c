/*
 * test_salesforce.c - a batch as a Bulk API 2.0 job: the good way, every lost answer, resuming
 * from every state, what HTTP errors and failed jobs mean.
 */
#include "salesforce_fixture.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define CREATED "{\"v\":1,\"job\":\"" SF_ID "\",\"step\":\"created\"}"
#define CLOSED  "{\"v\":1,\"job\":\"" SF_ID "\",\"step\":\"closed\"}"
#define OK_TWO  SF_OK_HEAD SF_B_OK SF_A_OK /* rows come back in any order */

/* ---- the good way -------------------------------------------------------------------------- */

static const char example_csv[] =
    "Shopify_Customer_Id__c,LastName,Email,MailingStreet,Account.ERP_Account_No__c,Phone,Birthdate\n"
    "gid-7001,\"O'Hara, Ltd \"\"West\"\"\",w.ohara@example.test,\"12 Quay St\nUnit 4\",ACC-1001,"
    "#N/A,1984-02-29\n"
    "gid-7002,Nguyễn,b.nguyen@example.test,,ACC-1002,+49 30 5550100,\n"
    "gid-7003,,no-last@example.test,,ACC-1001,,\n"
    "gid-7004,Silva,p.silva@example.test,,ACC-9999,,\n";

static const char *const example_bodies[] = {
    "{\"Shopify_Customer_Id__c\":\"gid-7001\",\"LastName\":\"O'Hara, Ltd \\\"West\\\"\",\"Email\":"
    "\"w.ohara@example.test\",\"MailingStreet\":\"12 Quay St\\r\\nUnit 4\",\"Account\":{"
    "\"ERP_Account_No__c\":\"ACC-1001\"},\"Phone\":null,\"Birthdate\":\"1984-02-29\"}",
    "{\"Shopify_Customer_Id__c\":\"gid-7002\",\"LastName\":\"Nguy\\u1ec5n\",\"Email\":"
    "\"b.nguyen@example.test\",\"Account\":{\"ERP_Account_No__c\":\"ACC-1002\"},\"Phone\":"
    "\"+49 30 5550100\"}",
    "{\"Shopify_Customer_Id__c\":\"gid-7003\",\"Email\":\"no-last@example.test\",\"Account\":{"
    "\"ERP_Account_No__c\":\"ACC-1001\"}}",
    "{\"Shopify_Customer_Id__c\":\"gid-7004\",\"LastName\":\"Silva\",\"Email\":"
    "\"p.silva@example.test\",\"Account\":{\"ERP_Account_No__c\":\"ACC-9999\"}}",
    NULL,
};

#define EXAMPLE_COLUMNS                                                                    \
    "Shopify_Customer_Id__c,LastName,Email,MailingStreet,Account.ERP_Account_No__c,Phone," \
    "Birthdate\n"

static void the_worked_example_goes_out_byte_for_byte_and_every_row_finds_its_record(void **state)
{
    struct sf_fixture *x = *state;
    const struct fake_outcome *o = x->done.outcomes;

    CHECK_EQ(strlen(example_csv), 349);
    CHECK_EQ(strlen(SF_CREATE_BODY), 152);
    sf_expect_token(x);
    sf_expect_sent(x, SF_ID, SF_JOB, example_csv);
    sf_expect_state(x, SF_JOB, "UploadComplete");
    sf_expect_state(x, SF_JOB, "InProgress");
    sf_expect_state(x, SF_JOB, "JobComplete");
    sf_expect_results(
        x, SF_JOB,
        "\"sf__Id\",\"sf__Created\"," EXAMPLE_COLUMNS
        "\"0035g00000Tst02AAB\",\"false\",\"gid-7002\",\"Nguyễn\",\"b.nguyen@example.test\",\"\","
        "\"ACC-1002\",\"+49 30 5550100\",\"\"\n"
        "\"0035g00000Tst01AAB\",\"true\",\"gid-7001\",\"O'Hara, Ltd \"\"West\"\"\","
        "\"w.ohara@example.test\",\"12 Quay St\nUnit 4\",\"ACC-1001\",\"#N/A\",\"1984-02-29\"\n",
        "\"sf__Id\",\"sf__Error\"," EXAMPLE_COLUMNS
        "\"\",\"REQUIRED_FIELD_MISSING:Required fields are missing: [LastName]:LastName --\","
        "\"gid-7003\",\"\",\"no-last@example.test\",\"\",\"ACC-1001\",\"\",\"\"\n"
        "\"\",\"INVALID_FIELD:Foreign key external ID: ACC-9999 not found for field "
        "ERP_Account_No__c in entity Account:--\",\"gid-7004\",\"Silva\",\"p.silva@example.test\","
        "\"\",\"ACC-9999\",\"\",\"\"\n",
        EXAMPLE_COLUMNS);
    sf_deliver(x, example_bodies, NULL);
    fake_host_run(x->host);

    CHECK(x->done.finished && !x->done.parked);
    CHECK_EQ(x->done.n_checkpoints, 2);
    CHECK_STR(x->done.token, CLOSED);
    CHECK_EQ(o[0].kind, SL_DELIVERED);
    CHECK_STR(o[0].reference, "0035g00000Tst01AAB");
    CHECK_EQ(o[0].n_links, 1);
    CHECK_STR(o[0].link_kind[0], "salesforce:Contact");
    CHECK_STR(o[0].link_id[0], "0035g00000Tst01AAB");
    CHECK_STR(o[1].reference, "0035g00000Tst02AAB");
    CHECK_EQ(o[2].kind, SL_REJECTED);
    CHECK_STR(o[2].why,
              "REQUIRED_FIELD_MISSING:Required fields are missing: [LastName]:LastName --");
    CHECK_EQ(o[3].kind, SL_RETRY);
    sf_check_has(o[3].why, "ACC-9999 not found");
}

static void polling_begins_at_first_and_doubles_up_to_the_cap(void **state)
{
    struct sf_fixture *x = *state;
    int64_t start = fake_host_wall_ms(x->host);
    static const int waits[] = { 2, 4, 8, 16, 30, 30 };
    int64_t sum = 0;

    sf_expect_token(x);
    sf_expect_sent(x, SF_ID, SF_JOB, SF_TWO_CSV);
    for (size_t i = 0; i < 5; i++)
        sf_expect_state(x, SF_JOB, "InProgress");
    sf_expect_state(x, SF_JOB, "JobComplete");
    sf_expect_results(x, SF_JOB, OK_TWO, NULL, NULL);
    sf_deliver(x, SF_TWO, NULL);
    fake_host_run(x->host);
    for (size_t i = 0; i < 6; i++)
        sum += waits[i] * 1000;
    CHECK_EQ(fake_host_wall_ms(x->host) - start, sum);
    sf_check_two(x);
}

static void what_cannot_be_sent_is_rejected_and_the_others_go_on(void **state)
{
    struct sf_fixture *x = *state;
    const struct fake_outcome *o = x->done.outcomes;

    sf_expect_token(x);
    sf_expect_sent(x, SF_ID, SF_JOB, SF_KEY ",Amount__c\na,19.90\nb,\n");
    sf_expect_state(x, SF_JOB, "JobComplete");
    sf_expect_results(x, SF_JOB, OK_TWO, NULL, NULL);
    sf_deliver(x,
               SF_BODIES("{\"LastName\":\"x\"}", "{\"" SF_KEY "\":\"a\",\"Amount__c\":19.90}",
                         "{\"" SF_KEY "\":\"c\",\"Tags__c\":[1]}", "not json", SF_ROW("b"),
                         SF_ROW("A")),
               NULL);
    fake_host_run(x->host);
    CHECK(x->done.finished);
    CHECK_EQ(o[0].kind, SL_REJECTED);
    CHECK_STR(o[0].why, "the external id " SF_KEY " is not in the record");
    CHECK_EQ(o[1].kind, SL_DELIVERED);
    CHECK_EQ(o[2].kind, SL_REJECTED);
    sf_check_has(o[2].why, "field Tags__c is an array");
    CHECK_EQ(o[3].kind, SL_REJECTED);
    CHECK_EQ(o[4].kind, SL_DELIVERED);
    CHECK_EQ(o[5].kind, SL_RETRY); /* "a" again, but for its case */
    CHECK_EQ(o[5].not_sent, 1);
}

static void a_batch_without_one_good_record_asks_salesforce_nothing(void **state)
{
    struct sf_fixture *x = *state;

    sf_deliver(x, SF_BODIES("[]", "{}"), NULL);
    fake_host_run(x->host);
    sf_check_all(x, SL_REJECTED);
    CHECK_EQ(fake_host_requests(x->host), 0);
}

static void a_large_batch_is_worked_off_in_turns(void **state)
{
    struct sf_fixture *x = *state;
    const char *bodies[SF_MAX + 1] = { 0 };
    char *results = malloc(SF_MAX * 64 + 128);
    static char text[SF_MAX][10240];

    strcpy(results, SF_OK_HEAD);
    for (int i = 0; i < SF_MAX; i++) {
        snprintf(text[i], 100, "{\"" SF_KEY "\":%d,\"Description\":\"", i + 1);
        memset(text[i] + strlen(text[i]), 'x', 10000);
        strcat(text[i], "\"}");
        bodies[i] = text[i];
        sprintf(results + strlen(results), "\"003%02d\",\"true\",\"%d\"\n", i, i + 1);
    }
    sf_expect_token(x);
    sf_expect_sent(x, SF_ID, SF_JOB, NULL);
    sf_expect_state(x, SF_JOB, "JobComplete");
    sf_expect_results(x, SF_JOB, results, NULL, NULL);
    sf_deliver(x, bodies, NULL);
    fake_host_run(x->host);
    sf_check_all(x, SL_DELIVERED);
    CHECK_STR(x->done.outcomes[63].reference, "00363");
    free(results);
}

static void each_row_error_has_its_outcome(void **state)
{
    struct sf_fixture *x = *state;
    const struct fake_outcome *o = x->done.outcomes;

    sf_expect_token(x);
    sf_expect_sent(x, SF_ID, SF_JOB, SF_KEY "\na\nb\nc\nd\ne\n");
    sf_expect_state(x, SF_JOB, "JobComplete");
    sf_expect_results(x, SF_JOB, SF_OK_HEAD SF_A_OK "\"003\",\"true\",\"stranger\"\n",
                      SF_FAIL_HEAD
                      "\"\",\"UNABLE_TO_LOCK_ROW:unable: 001:--\",\"b\"\n"
                      "\"\",\"DUPLICATES_DETECTED:Use one of these?:--\",\"c\"\n",
                      SF_KEY "\nd\n");
    sf_deliver(x, SF_BODIES(SF_ROW("a"), SF_ROW("b"), SF_ROW("c"), SF_ROW("d"), SF_ROW("e")), NULL);
    fake_host_run(x->host);
    CHECK(x->done.finished);
    CHECK_EQ(o[0].kind, SL_DELIVERED);
    CHECK_EQ(o[1].kind, SL_RETRY);
    CHECK_EQ(o[2].kind, SL_REVIEW);
    CHECK_EQ(o[3].kind, SL_RETRY);
    CHECK_STR(o[3].why, "Salesforce did not process it in job " SF_ID);
    CHECK_EQ(o[4].kind, SL_RETRY);
    sf_check_has(o[4].why, "in no result file of job " SF_ID);
}

/* ---- failed jobs --------------------------------------------------------------------------- */

static void failed_job(struct sf_fixture *x, const char *message, const char *const *bodies)
{
    char failed[256];

    sf_expect_token(x);
    sf_expect_sent(x, SF_ID, SF_JOB, NULL);
    snprintf(failed, sizeof(failed), "Failed\",\"errorMessage\":\"%s", message);
    sf_expect_state(x, SF_JOB, failed);
    sf_expect_results(x, SF_JOB, SF_OK_HEAD SF_A_OK, "", SF_KEY "\nb\n");
    sf_deliver(x, bodies, NULL);
    fake_host_run(x->host);
    CHECK(x->done.finished);
    CHECK_EQ(x->done.outcomes[0].kind, SL_DELIVERED);
}

static void a_job_that_would_fail_again_is_rejected_with_its_reason(void **state)
{
    struct sf_fixture *x = *state;

    failed_job(x, "ClientInputError : LineEnding is invalid on user data.",
               SF_BODIES(SF_ROW("a"), SF_ROW("b"), SF_ROW("c")));
    for (size_t i = 1; i < 3; i++) {
        CHECK_EQ(x->done.outcomes[i].kind, SL_REJECTED);
        sf_check_has(x->done.outcomes[i].why, "LineEnding is invalid");
    }
}

static void a_job_that_failed_inside_salesforce_goes_again(void **state)
{
    struct sf_fixture *x = *state;

    failed_job(x, "InternalServerError : Batch failed", SF_TWO);
    CHECK_EQ(x->done.outcomes[1].kind, SL_RETRY);
    sf_check_has(x->done.outcomes[1].why, "InternalServerError");
}

static void an_unknown_field_condemns_only_the_records_that_have_it(void **state)
{
    struct sf_fixture *x = *state;

    failed_job(x, "InvalidBatch : Field name not found : Fooo__c",
               SF_BODIES(SF_ROW("a"), "{\"" SF_KEY "\":\"b\",\"fooo__C\":1}", SF_ROW("c")));
    CHECK_EQ(x->done.outcomes[1].kind, SL_REJECTED);
    sf_check_has(x->done.outcomes[1].why, "Field name not found : Fooo__c");
    CHECK_EQ(x->done.outcomes[2].kind, SL_RETRY);
    sf_check_has(x->done.outcomes[2].why, "unknown field Fooo__c");
}

static void an_unknown_field_that_nobody_has_condemns_all(void **state)
{
    struct sf_fixture *x = *state;

    failed_job(x, "InvalidBatch : Field name not found : Else__c", SF_TWO);
    CHECK_EQ(x->done.outcomes[1].kind, SL_REJECTED);
}

/* ---- lost answers -------------------------------------------------------------------------- */

static void finish_well(struct sf_fixture *x, const char *job)
{
    sf_expect_state(x, job, "JobComplete");
    sf_expect_results(x, job, OK_TWO, NULL, NULL);
}

static void a_lost_create_is_made_once_more(void **state)
{
    struct sf_fixture *x = *state;

    sf_expect_token(x);
    FAKE_EXPECT(x->host, .method = "POST", .url = SF_JOBS, .error = SL_E_NETWORK, .sent = 1);
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
    for (int i = 0; i < 2; i++)
        FAKE_EXPECT(x->host, .url = SF_JOBS, .error = SL_E_TIMEOUT, .sent = 1);
    sf_deliver(x, SF_TWO, NULL);
    fake_host_run(x->host);
    sf_check_all(x, SL_RETRY);
    CHECK_EQ(x->done.outcomes[0].not_sent, 0);
    CHECK_EQ(x->done.n_checkpoints, 0);
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
    sf_check_has(x->done.token, SF_ID2);
    CHECK_EQ(x->done.n_checkpoints, 3);
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
    sf_expect_results(x, SF_JOB, OK_TWO, NULL, NULL);
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
    sf_check_has(x->done.outcomes[0].why, "was aborted");
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
    sf_check_has(x->done.outcomes[0].why, "job_timeout (7200 s)");
}

/* ---- crashes ------------------------------------------------------------------------------- */

static void nothing_is_uploaded_before_the_job_id_is_durable(void **state)
{
    struct sf_fixture *x = *state;

    sf_expect_token(x);
    sf_expect_create(x, SF_ID);
    sf_deliver(x, SF_TWO, NULL);
    x->done.withhold_after = 0;
    fake_host_run(x->host);
    CHECK_EQ(x->done.n_checkpoints, 1);
    CHECK(!x->done.finished);
}

static void nothing_is_closed_before_the_intent_is_durable(void **state)
{
    struct sf_fixture *x = *state;

    sf_expect_token(x);
    sf_expect_create(x, SF_ID);
    sf_expect_upload(x, SF_JOB, SF_TWO_CSV);
    sf_deliver(x, SF_TWO, NULL);
    x->done.withhold_after = 1;
    fake_host_run(x->host);
    CHECK_EQ(x->done.n_checkpoints, 2);
    CHECK_STR(x->done.token, CREATED);
    CHECK(!x->done.finished);
}

static void resume_asks_the_job_and_never_uploads_twice(void **state)
{
    struct sf_fixture *x = *state;
    static const struct {
        const char *token, *first;
        bool abort, fresh, close;
    } table[] = {
        { CREATED, "Open", true, true, false },
        { CREATED, "Aborted", false, true, false },
        { CREATED, NULL, false, true, false },
        { CREATED, "UploadComplete", false, false, false },
        { CREATED, "JobComplete", false, false, false },
        { CLOSED, "Open", false, false, true },
        { CLOSED, "UploadComplete", false, false, false },
        { CLOSED, "InProgress", false, false, false },
        { CLOSED, "JobComplete", false, false, false },
        { CLOSED, "Aborted", false, true, false },
        { CLOSED, NULL, false, true, false },
    };

    for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
        const char *job = table[i].fresh ? SF_JOB2 : SF_JOB;

        sf_expect_token(x);
        if (table[i].first)
            sf_expect_state(x, SF_JOB, table[i].first);
        else
            FAKE_EXPECT(x->host, .url = SF_JOB, .status = 404, .answer = SF_GONE);
        if (table[i].abort)
            sf_expect_abort(x, SF_JOB);
        if (table[i].fresh)
            sf_expect_sent(x, SF_ID2, SF_JOB2, SF_TWO_CSV);
        if (table[i].close)
            sf_expect_close(x, SF_JOB);
        if (!table[i].first || strcmp(table[i].first, "JobComplete") != 0)
            sf_expect_state(x, job, "JobComplete");
        sf_expect_results(x, job, OK_TWO, NULL, NULL);
        sf_deliver(x, SF_TWO, table[i].token);
        fake_host_run(x->host);
        sf_check_two(x);
        sf_reopen(x);
    }
}

static void resume_of_a_failed_job_reads_its_results(void **state)
{
    struct sf_fixture *x = *state;

    sf_expect_token(x);
    sf_expect_state(x, SF_JOB, "Failed\",\"errorMessage\":\"TooManyLockFailure : x");
    sf_expect_results(x, SF_JOB, SF_OK_HEAD SF_A_OK, "", "");
    sf_deliver(x, SF_TWO, CLOSED);
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
            FAKE_EXPECT(x->host, .status = 200, .answer = OK_TWO, .never = step == 6);
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

/* ---- HTTP errors --------------------------------------------------------------------------- */

#define PARKED 100 /* besides the kinds of outcomes */

static const struct trouble {
    uint32_t status;
    const char *answer;
    int64_t retry_after_ms;
    int32_t error;
    uint32_t kind;
    int64_t after_ms;
    const char *why;
} troubles[] = {
    { .status = 500, .kind = SL_RETRY, .why = "Salesforce answers 500" },
    { .status = 503,
      .answer = "<html>",
      .retry_after_ms = 7000,
      .kind = SL_RETRY,
      .after_ms = 7000,
      .why = "answers 503" },
    { .status = 200, .answer = "<html>", .kind = SL_RETRY, .why = "no job id" },
    { .status = 200, .answer = "{\"id\":\"../x\"}", .kind = SL_RETRY, .why = "no job id" },
    { .error = SL_E_NETWORK, .kind = SL_RETRY, .why = "connection to Salesforce failed" },
    { .error = SL_E_DNS, .kind = SL_RETRY, .why = "cannot be resolved" },
    { .error = SL_E_TLS, .kind = PARKED, .why = "certificates" },
    { .status = 429,
      .retry_after_ms = 3000,
      .kind = SL_THROTTLED,
      .after_ms = 3000,
      .why = "answers 429" },
    { .status = 429, .kind = SL_THROTTLED, .after_ms = 10000, .why = "answers 429" },
    { .status = 403,
      .answer = "[{\"message\":\"TotalRequests Limit exceeded.\",\"errorCode\":"
                "\"REQUEST_LIMIT_EXCEEDED\"}]",
      .kind = PARKED,
      .after_ms = 900000,
      .why = "daily API requests are used up" },
    { .status = 403,
      .answer = "[{\"message\":\"ConcurrentPerOrgLongTxn Limit exceeded.\",\"errorCode\":"
                "\"REQUEST_LIMIT_EXCEEDED\"}]",
      .kind = SL_THROTTLED,
      .after_ms = 10000,
      .why = "ConcurrentPerOrgLongTxn" },
    { .status = 403,
      .answer = "[{\"message\":\"The REST API is not enabled\",\"errorCode\":"
                "\"API_DISABLED_FOR_ORG\"}]",
      .kind = PARKED,
      .why = "API_DISABLED_FOR_ORG" },
    { .status = 404, .answer = SF_GONE, .kind = PARKED, .why = "check api_version" },
    { .status = 410, .kind = PARKED, .why = "api_version is retired" },
    { .status = 301, .kind = PARKED, .why = "check `instance`" },
    { .status = 400,
      .answer = "[{\"message\":\"InvalidJob : Unable to find object: Contakt\",\"errorCode\":"
                "\"INVALIDJOB\"}]",
      .kind = SL_REJECTED,
      .why = "Unable to find object: Contakt" },
    { .status = 400,
      .answer = "[{\"message\":\"x\",\"errorCode\":\"ExceededQuota\"}]",
      .kind = PARKED,
      .after_ms = 900000,
      .why = "ExceededQuota" },
};

static void trouble_before_the_upload_has_its_meaning(void **state)
{
    struct sf_fixture *x = *state;

    for (size_t i = 0; i < sizeof(troubles) / sizeof(troubles[0]); i++) {
        const struct trouble *t = &troubles[i];

        sf_expect_token(x);
        FAKE_EXPECT(x->host, .url = SF_JOBS, .status = t->status, .answer = t->answer,
                    .error = t->error, .retry_after_ms = t->retry_after_ms);
        sf_deliver(x, SF_TWO, NULL);
        fake_host_run(x->host);
        if (t->kind == PARKED) {
            CHECK(x->done.finished && x->done.parked && !x->done.outcomes[0].told);
            sf_check_has(x->done.park_why, t->why);
            CHECK_EQ(x->done.park_after_ms, t->after_ms);
        } else {
            sf_check_all(x, t->kind);
            sf_check_has(x->done.outcomes[1].why, t->why);
            CHECK_EQ(x->done.outcomes[1].after_ms, t->after_ms);
            CHECK_EQ(x->done.outcomes[1].status, t->status);
            CHECK_EQ(x->done.outcomes[1].not_sent, t->error != 0);
        }
        sf_reopen(x);
    }
}

static void the_daily_limit_is_announced_once_until_it_was_far_again(void **state)
{
    struct sf_fixture *x = *state;
    static const struct {
        const char *header;
        int64_t wait_ms; /* until it is asked */
        const char *log; /* NULL: nothing new */
    } table[] = {
        { "sforce-limit-info: api-usage=80/100", 0, NULL },
        { "Sforce-Limit-Info: api-usage=81/100; per-app-api-usage=17/250(appName=x)", 2000,
          "81 of" },
        { "Sforce-Limit-Info: api-usage=99/100", 4000, NULL },
        { "Sforce-Limit-Info: nonsense", 8000, NULL },
        { "Sforce-Limit-Info: api-usage=60/100", 16000, NULL },
        { "Sforce-Limit-Info: api-usage=85000/100000", 30000, "85000 of the org's 100000 daily" },
    };

    sf_expect_token(x);
    sf_deliver(x, SF_TWO, CLOSED);
    for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
        const char *log;

        if (i > 0) /* a mark, to see whether anything new is said */
            fake_host_table(x->host)->log(x->host, SL_LOG_DEBUG, fake_str("quiet"));
        FAKE_EXPECT(x->host, .url = SF_JOB, .status = 200, .answer_headers = table[i].header,
                    .answer = "{\"state\":\"InProgress\"}");
        fake_host_run_for(x->host, table[i].wait_ms);
        log = fake_host_last_log(x->host);
        if (table[i].log)
            sf_check_has(log, table[i].log);
        else
            CHECK(strstr(log, "daily") == NULL);
    }
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, sf_setup, sf_teardown)
    const struct CMUnitTest tests[] = {
        TEST(the_worked_example_goes_out_byte_for_byte_and_every_row_finds_its_record),
        TEST(polling_begins_at_first_and_doubles_up_to_the_cap),
        TEST(what_cannot_be_sent_is_rejected_and_the_others_go_on),
        TEST(a_batch_without_one_good_record_asks_salesforce_nothing),
        TEST(a_large_batch_is_worked_off_in_turns),
        TEST(each_row_error_has_its_outcome),
        TEST(a_job_that_would_fail_again_is_rejected_with_its_reason),
        TEST(a_job_that_failed_inside_salesforce_goes_again),
        TEST(an_unknown_field_condemns_only_the_records_that_have_it),
        TEST(an_unknown_field_that_nobody_has_condemns_all),
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
        TEST(trouble_before_the_upload_has_its_meaning),
        TEST(the_daily_limit_is_announced_once_until_it_was_far_again),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
