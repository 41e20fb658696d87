/*
 * test_salesforce.c - a batch as a Bulk API 2.0 job: the good way, what HTTP errors and failed jobs
 * mean.
 */
#include "salesforce_fixture.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

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
        NULL);
    sf_deliver(x, example_bodies, NULL);
    fake_host_run(x->host);

    CHECK(x->done.finished && !x->done.parked);
    CHECK_EQ(x->done.n_checkpoints, 5);
    CHECK_HAS(x->done.token, "\"step\":\"ended\",\"job\":\"" SF_ID "\",\"rows\":4");
    CHECK_EQ(o[0].kind, SL_DELIVERED);
    CHECK_STR(o[0].reference, "0035g00000Tst01AAB");
    CHECK_EQ(o[0].n_links, 1);
    CHECK_STR(o[0].link_kind[0], "salesforce:Contact");
    CHECK_STR(o[0].link_id[0], "0035g00000Tst01AAB");
    CHECK_STR(o[1].reference, "0035g00000Tst02AAB");
    CHECK_EQ(o[2].kind, SL_REJECTED);
    CHECK_HAS(o[2].why, "REQUIRED_FIELD_MISSING: Contact needs LastName: ");
    CHECK_EQ(o[3].kind, SL_RETRY);
    CHECK_HAS(o[3].why, "ACC-9999 not found");
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
    sf_expect_results(x, SF_JOB, SF_OK_TWO, NULL, NULL);
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
    sf_expect_results(x, SF_JOB, SF_OK_TWO, NULL, NULL);
    sf_deliver(x,
               SF_BODIES("{\"LastName\":\"x\"}", "{\"" SF_KEY "\":\"a\",\"Amount__c\":19.90}",
                         "{\"" SF_KEY "\":\"c\",\"Tags__c\":[1]}", "not json", SF_ROW("b"),
                         SF_ROW("A")),
               NULL);
    fake_host_run(x->host);
    CHECK(x->done.finished);
    CHECK_EQ(o[0].kind, SL_REJECTED);
    CHECK_STR(o[0].why,
              "the external id " SF_KEY " is not in the record: let the route's map set it");
    CHECK_EQ(o[1].kind, SL_DELIVERED);
    CHECK_EQ(o[2].kind, SL_REJECTED);
    CHECK_HAS(o[2].why, "field Tags__c is an array");
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
    enum { ROWS = 64 };
    const char *bodies[ROWS + 1] = { 0 };
    char *results = malloc(ROWS * 64 + 128);
    static char text[ROWS][10240];

    strcpy(results, SF_OK_HEAD);
    for (int i = 0; i < ROWS; i++) {
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
    sf_expect_lookup(x, "%27e%27", "");
    sf_deliver(x, SF_BODIES(SF_ROW("a"), SF_ROW("b"), SF_ROW("c"), SF_ROW("d"), SF_ROW("e")), NULL);
    fake_host_run(x->host);
    CHECK(x->done.finished);
    CHECK_EQ(o[0].kind, SL_DELIVERED);
    CHECK_EQ(o[1].kind, SL_RETRY);
    CHECK_EQ(o[1].narrow, 50); /* not among thousands again */
    CHECK_EQ(o[2].kind, SL_REVIEW);
    CHECK_EQ(o[3].kind, SL_RETRY);
    CHECK_EQ(o[3].not_sent, 1);
    CHECK_STR(o[3].why, "Salesforce did not process it in job " SF_ID);
    CHECK_EQ(o[3].narrow, 0);
    CHECK_EQ(o[4].kind, SL_RETRY);
    CHECK_EQ(o[4].not_sent, 1);
    CHECK_HAS(o[4].why, "in no result file of job " SF_ID);
    CHECK_HAS(o[4].why, "it was not done");
}

/* ---- failed jobs --------------------------------------------------------------------------- */

static void failed_job(struct sf_fixture *x, const char *message, const char *const *bodies,
                       const char *unprocessed)
{
    char failed[256];

    sf_expect_token(x);
    sf_expect_sent(x, SF_ID, SF_JOB, NULL);
    snprintf(failed, sizeof(failed), "Failed\",\"errorMessage\":\"%s", message);
    sf_expect_state(x, SF_JOB, failed);
    sf_expect_results(x, SF_JOB, SF_OK_HEAD SF_A_OK, "", unprocessed);
    sf_deliver(x, bodies, NULL);
    fake_host_run(x->host);
    CHECK(x->done.finished);
    CHECK_EQ(x->done.outcomes[0].kind, SL_DELIVERED);
}

static void a_job_that_would_fail_again_is_rejected_with_its_reason(void **state)
{
    struct sf_fixture *x = *state;

    failed_job(x, "ClientInputError : LineEnding is invalid on user data.",
               SF_BODIES(SF_ROW("a"), SF_ROW("b"), SF_ROW("c")), SF_KEY "\nb\nc\n");
    for (size_t i = 1; i < 3; i++) {
        CHECK_EQ(x->done.outcomes[i].kind, SL_REJECTED);
        CHECK_HAS(x->done.outcomes[i].why, "LineEnding is invalid");
    }
}

static void a_job_that_failed_inside_salesforce_goes_again(void **state)
{
    struct sf_fixture *x = *state;

    failed_job(x, "InternalServerError : Batch failed", SF_TWO, SF_KEY "\nb\n");
    CHECK_EQ(x->done.outcomes[1].kind, SL_RETRY);
    CHECK_HAS(x->done.outcomes[1].why, "InternalServerError");
}

static void an_unknown_field_condemns_only_the_records_that_have_it(void **state)
{
    struct sf_fixture *x = *state;

    failed_job(x, "InvalidBatch : Field name not found : Fooo__c",
               SF_BODIES(SF_ROW("a"), "{\"" SF_KEY "\":\"b\",\"fooo__C\":1}", SF_ROW("c")),
               SF_KEY "\nc\nb\n");
    CHECK_EQ(x->done.outcomes[1].kind, SL_REJECTED);
    CHECK_HAS(x->done.outcomes[1].why, "Field name not found : Fooo__c");
    CHECK_EQ(x->done.outcomes[2].kind, SL_RETRY);
    CHECK_HAS(x->done.outcomes[2].why, "unknown field Fooo__c");
}

static void an_unknown_parent_condemns_only_the_records_that_name_it(void **state)
{
    struct sf_fixture *x = *state;
    static const struct {
        const char *message, *body;
    } table[] = {
        { "InvalidBatch : Unable to find relationship: Shop__r",
          "{\"" SF_KEY "\":\"b\",\"Shop__r\":{\"Ext__c\":\"s\"}}" },
        { "InvalidBatch : type is not needed for non polymorphic foreign key references: Account",
          "{\"" SF_KEY "\":\"b\",\"Account:Account\":{\"Ext__c\":\"s\"}}" },
        { "InvalidBatch : Field name not found : Account.Ext__c",
          "{\"" SF_KEY "\":\"b\",\"Account\":{\"Ext__c\":\"s\"}}" },
    };

    for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
        failed_job(x, table[i].message,
                   SF_BODIES(SF_ROW("a"), table[i].body,
                             "{\"" SF_KEY "\":\"c\",\"Account__c\":\"x\",\"Name\":\"Account\"}"),
                   SF_KEY "\nc\nb\n");
        CHECK_EQ(x->done.outcomes[1].kind, SL_REJECTED);
        CHECK_HAS(x->done.outcomes[1].why, "correct the name in the route's map");
        CHECK_EQ(x->done.outcomes[2].kind, SL_RETRY);
        CHECK_HAS(x->done.outcomes[2].why, "another record of job");
        sf_reopen(x);
    }
}

static void an_unknown_field_that_nobody_has_condemns_all(void **state)
{
    struct sf_fixture *x = *state;

    failed_job(x, "InvalidBatch : Field name not found : Else__c", SF_TWO, SF_KEY "\nb\n");
    CHECK_EQ(x->done.outcomes[1].kind, SL_REJECTED);
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
    bool lost; /* a job may have been made: it is searched for, and another is tried */
} troubles[] = {
    { .status = 500, .lost = true, .kind = SL_RETRY, .why = "Salesforce answers 500" },
    { .status = 503,
      .answer = "<html>",
      .retry_after_ms = 7000,
      .kind = SL_RETRY,
      .after_ms = 7000,
      .why = "answers 503" },
    { .status = 200, .answer = "<html>", .lost = true, .kind = SL_RETRY, .why = "no job id" },
    { .status = 200,
      .answer = "{\"id\":\"../x\"}",
      .lost = true,
      .kind = SL_RETRY,
      .why = "no job id" },
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
        for (int tries = 0; tries < (t->lost ? 2 : 1); tries++) {
            FAKE_EXPECT(x->host, .url = SF_JOBS, .status = t->status, .answer = t->answer,
                        .error = t->error, .retry_after_ms = t->retry_after_ms);
            if (t->lost)
                sf_expect_list(x, "");
        }
        sf_deliver(x, SF_TWO, NULL);
        fake_host_run(x->host);
        if (t->kind == PARKED) {
            CHECK(x->done.finished && x->done.parked && !x->done.outcomes[0].told);
            CHECK_HAS(x->done.park_why, t->why);
            CHECK_EQ(x->done.park_after_ms, t->after_ms);
        } else {
            sf_check_all(x, t->kind);
            CHECK_HAS(x->done.outcomes[1].why, t->why);
            CHECK_EQ(x->done.outcomes[1].after_ms, t->after_ms);
            CHECK_EQ(x->done.outcomes[1].status, t->lost ? 0 : t->status);
            CHECK_EQ(x->done.outcomes[1].not_sent, t->kind == SL_RETRY);
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
        { "Sforce-Limit-Info: per-app-api-usage=99/100(appName=x)", 30000,
          NULL }, /* not the org's */
        { "Sforce-Limit-Info: per-app-api-usage=17/250(appName=x); api-usage=85000/100000", 30000,
          "85000 of the org's 100000 daily" },
    };

    sf_expect_token(x);
    sf_deliver(x, SF_TWO, SF_CLOSED);
    for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
        const char *log;

        if (i > 0) /* a mark, to see whether anything new is said */
            fake_host_table(x->host)->log(x->host, SL_LOG_DEBUG, fake_str("quiet"));
        FAKE_EXPECT(x->host, .url = SF_JOB, .status = 200, .answer_headers = table[i].header,
                    .answer = "{\"state\":\"InProgress\"}");
        fake_host_run_for(x->host, table[i].wait_ms);
        log = fake_host_last_log(x->host);
        if (table[i].log)
            CHECK_HAS(log, table[i].log);
        else
            CHECK(strstr(log, "daily") == NULL);
    }
}

static void a_key_that_several_records_have_is_held_with_those_to_choose_from(void **state)
{
    struct sf_fixture *x = *state;
    const struct fake_outcome *o = x->done.outcomes;

    sf_expect_token(x);
    sf_expect_sent(x, SF_ID, SF_JOB, SF_TWO_CSV);
    sf_expect_state(x, SF_JOB, "JobComplete");
    sf_expect_results(x, SF_JOB, SF_OK_HEAD SF_B_OK,
                      SF_FAIL_HEAD
                      "\"\",\"DUPLICATE_EXTERNAL_ID:" SF_KEY
                      ": more than one record found for external id field: [0035g00000Tst01AAB, "
                      "0035g00000Tst02AAB]:--\",\"a\"\n",
                      NULL);
    sf_deliver(x, SF_TWO, NULL);
    fake_host_run(x->host);
    CHECK_EQ(o[0].kind, SL_REVIEW);
    CHECK_STR(o[0].hold_type, "contact-merge");
    CHECK_HAS(o[0].choices, "{\"name\":\"use:0035g00000Tst01AAB\"");
    CHECK_HAS(o[0].evidence, "\"object\":\"Contact\"");
    CHECK_EQ(o[1].kind, SL_DELIVERED);
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
        TEST(an_unknown_parent_condemns_only_the_records_that_name_it),
        TEST(an_unknown_field_that_nobody_has_condemns_all),
        TEST(trouble_before_the_upload_has_its_meaning),
        TEST(the_daily_limit_is_announced_once_until_it_was_far_again),
        TEST(a_key_that_several_records_have_is_held_with_those_to_choose_from),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
