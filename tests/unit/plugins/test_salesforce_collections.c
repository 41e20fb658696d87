/*
 * test_salesforce_collections.c - a batch by sObject Collections: calls, positional results; and
 * which transport a batch takes.
 */
#include "collections_script.h"

#include <stdlib.h>

/* ---- the good way -------------------------------------------------------------------------- */

static void an_upsert_is_one_call_and_each_result_finds_its_record(void **state)
{
    struct sf_fixture *x = *state;
    const struct fake_outcome *o = x->done.outcomes;

    sf_expect_token(x);
    expect_call(
        x,
        HEAD TYPE
        "\"Shopify_Customer_Id__c\":\"gid-1\",\"LastName\":\"O'Hara \\\"W\\\"\","
        "\"Account\":{\"ERP__c\":\"ACC-1\"},\"Phone\":null,\"Credit__c\":19.90}"
        "," TYPE "\"Shopify_Customer_Id__c\":7002,\"Vip__c\":true}," ROW("gid-3") "]}",
        200,
        "[" OK(
            ID_A) ",{\"id\":\"" ID_B
                  "\",\"success\":true,\"errors\":[],\"created\":"
                  "false},{\"success\":false,\"errors\":[{\"statusCode\":\"REQUIRED_FIELD_MISSING\","
                  "\"message\":\"Required fields are missing: [LastName]\",\"fields\":[\"LastName\"]"
                  "}]}]");
    sf_deliver(x,
               SF_BODIES("{\"Shopify_Customer_Id__c\":\"gid-1\",\"LastName\":\"O'Hara \\\"W\\\"\","
                         "\"Account\":{\"ERP__c\":\"ACC-1\"},\"Phone\":null,\"Credit__c\":19.90}",
                         "{\"Shopify_Customer_Id__c\":7002,\"Vip__c\":true}", SF_ROW("gid-3")),
               NULL);
    fake_host_run(x->host);
    CHECK(x->done.finished && !x->done.parked);
    CHECK_EQ(x->done.n_checkpoints, 0);
    CHECK_EQ(o[0].kind, SL_DELIVERED);
    CHECK_STR(o[0].reference, ID_A);
    CHECK_EQ(o[0].n_links, 1);
    CHECK_STR(o[0].link_kind[0], "salesforce:Contact");
    CHECK_STR(o[0].link_id[0], ID_A);
    CHECK_EQ(o[1].kind, SL_DELIVERED);
    CHECK_STR(o[1].reference, ID_B);
    CHECK_EQ(o[2].kind, SL_REJECTED);
    CHECK_HAS(o[2].why, "LastName");
}

static void an_insert_an_update_and_a_delete_have_their_own_calls(void **state)
{
    struct sf_fixture *x = *state;

    sf_expect_token(x);
    use(x, "insert", "collections");
    FAKE_EXPECT(x->host, .method = "POST", .url = SOBJECTS, .body = HEAD ROW("a") "]}",
                .status = 200, .answer = "[{\"id\":\"" ID_A "\",\"success\":true,\"errors\":[]}]");
    sf_deliver(x, SF_BODIES(SF_ROW("a")), NULL);
    fake_host_run(x->host);
    CHECK_STR(x->done.outcomes[0].reference, ID_A);

    use(x, "update", "collections");
    FAKE_EXPECT(x->host, .method = "PATCH", .url = SOBJECTS,
                .body = HEAD TYPE "\"id\":\"" ID_A "\",\"LastName\":\"x\"}]}", .status = 200,
                .answer = "[{\"id\":\"" ID_A "\",\"success\":true,\"errors\":[]}]");
    sf_deliver(x, SF_BODIES("{\"Id\":\"" ID_A "\",\"LastName\":\"x\"}"), NULL);
    fake_host_run(x->host);
    CHECK_STR(x->done.outcomes[0].reference, ID_A);

    use(x, "delete", "collections");
    FAKE_EXPECT(x->host, .method = "DELETE", .url = SOBJECTS "?allOrNone=false&ids=" ID_A "," ID_B,
                .body = "", .headers = "!Content-Type", .status = 200,
                .answer = "[{\"id\":\"" ID_A
                          "\",\"success\":true,\"errors\":[]},{\"success\":false,"
                          "\"errors\":[{\"statusCode\":\"ENTITY_IS_DELETED\",\"message\":\"entity "
                          "is deleted\",\"fields\":[]}]}]");
    sf_deliver(x, SF_BODIES("{\"Id\":\"" ID_A "\"}", "{\"Id\":\"" ID_B "\"}"), NULL);
    fake_host_run(x->host);
    sf_check_all(x, SL_DELIVERED);
    CHECK_STR(x->done.outcomes[1].reference, ID_B); /* deleted before is deleted, too */
}

static void two_hundred_ids_fit_into_the_url_of_a_delete(void **state)
{
    struct sf_fixture *x = *state;
    static char rows[200][40];
    const char *list[201] = { 0 };
    char *url = room(), *p = url;

    sf_expect_token(x);
    p += sprintf(p, SOBJECTS "?allOrNone=false&ids=");
    for (int i = 0; i < 200; i++) {
        snprintf(rows[i], sizeof(rows[i]), "{\"Id\":\"0035g%010dAAA\"}", i);
        list[i] = rows[i];
        p += sprintf(p, "%s0035g%010dAAA", i ? "," : "", i);
    }
    use(x, "delete", "collections");
    FAKE_EXPECT(x->host, .method = "DELETE", .url = url, .status = 200,
                .answer = told(0, 200, NULL));
    sf_deliver(x, list, NULL);
    fake_host_run(x->host);
    check_rows(x, 200);
    CHECK(strlen(url) < 16384); /* Salesforce's limit of a URI */
}

static void more_than_200_go_by_several_calls_one_after_the_other(void **state)
{
    struct sf_fixture *x = *state;

    sf_expect_token(x);
    expect_rows(x, 0, 200);
    expect_rows(x, 200, 400);
    expect_rows(x, 400, 450);
    sf_deliver(x, many(450), NULL);
    fake_host_run(x->host);
    check_rows(x, 450);
}

static void what_cannot_be_sent_is_rejected_and_the_others_go_on(void **state)
{
    struct sf_fixture *x = *state;
    const struct fake_outcome *o = x->done.outcomes;

    sf_expect_token(x);
    expect_call(x, HEAD ROW("a") "," ROW("b") "]}", 200, "[" OK(ID_A) "," OK(ID_B) "]");
    sf_deliver(x,
               SF_BODIES("{\"LastName\":\"x\"}", SF_ROW("a"), "not json",
                         "{\"" SF_KEY "\":\"c\",\"Name\":1,\"name\":2}",
                         "{\"" SF_KEY "\":\"d\",\"Account\":{\"A__c\":1},\"Account.B__c\":1}",
                         SF_ROW("b")),
               NULL);
    fake_host_run(x->host);
    CHECK(x->done.finished);
    CHECK_STR(o[0].why,
              "the external id " SF_KEY " is not in the record: let the route's map set it");
    CHECK_EQ(o[1].kind, SL_DELIVERED);
    for (size_t i = 0; i < 5; i++)
        if (i != 1)
            CHECK_EQ(o[i].kind, SL_REJECTED);
    CHECK_STR(o[5].reference, ID_B);
}

static void a_batch_without_one_good_record_asks_salesforce_nothing(void **state)
{
    struct sf_fixture *x = *state;

    sf_deliver(x, SF_BODIES("[]", "{}"), NULL);
    fake_host_run(x->host);
    sf_check_all(x, SL_REJECTED);
    CHECK_EQ(fake_host_requests(x->host), 0);
}

static void two_of_one_key_go_by_two_calls_in_their_order(void **state)
{
    struct sf_fixture *x = *state;

    sf_expect_token(x);
    expect_call(x, HEAD ROW("a") "," ROW("b") "]}", 200, "[" OK(ID_A) "," OK(ID_B) "]");
    expect_call(x, HEAD ROW("A") "," ROW("c") "]}", 200, "[" OK(ID_A) "," OK(ID_B) "]");
    sf_deliver(x, SF_BODIES(SF_ROW("a"), SF_ROW("b"), SF_ROW("A"), SF_ROW("c")), NULL);
    fake_host_run(x->host);
    sf_check_all(x, SL_DELIVERED);
}

/* Five of them fill a call; with ten calls they are dearer than a job. */
#define HEAVY 50

static const char *const *heavy(size_t n)
{
    enum { FIELD = 130000 };
    static char text[HEAVY][FIELD * 3 + 200];
    static const char *list[HEAVY + 1];

    for (size_t i = 0; i < n; i++) {
        char *p = text[i];

        p += sprintf(p, "{\"" SF_KEY "\":\"r%zu\"", i);
        for (int k = 0; k < 3; k++) {
            p += sprintf(p, ",\"T%d__c\":\"", k);
            memset(p, 'x', FIELD);
            p += FIELD;
            *p++ = '"';
        }
        strcpy(p, "}");
        list[i] = text[i];
    }
    list[n] = NULL;
    return list;
}

static void a_call_carries_two_megabytes_at_most(void **state)
{
    struct sf_fixture *x = *state;
    enum { ROWS = 12 };

    sf_expect_token(x);
    for (size_t i = 0; i < ROWS; i += 5)
        expect_call(x, NULL, 200, told(i, i + 5 < ROWS ? i + 5 : ROWS, NULL));
    sf_deliver(x, heavy(ROWS), NULL);
    while (!x->done.finished) {
        fake_host_run_for(x->host, 0);
        CHECK(fake_host_last_body(x->host).len <= 2000000 + 2);
    }
    check_rows(x, ROWS);
}

/* ---- results ------------------------------------------------------------------------------- */

static void each_result_means_what_the_row_of_a_job_means(void **state)
{
    struct sf_fixture *x = *state;
    const struct fake_outcome *o = x->done.outcomes;

    sf_expect_token(x);
    expect_call(
        x, NULL, 200,
        "[" NO("UNABLE_TO_LOCK_ROW", "unable to obtain exclusive access") "," NO(
            "DUPLICATES_DETECTED",
            "Use one of these records?") "," NO("INVALID_FIELD",
                                                "Foreign key external ID: x not found for field Ext__c in "
                                                "entity Account") "," NO("FIELD_CUSTOM_VALIDATION_EXCEPTION",
                                                                         "Amount must not be so") "," OK(ID_A) "]");
    sf_deliver(x, SF_BODIES(SF_ROW("a"), SF_ROW("b"), SF_ROW("c"), SF_ROW("d"), SF_ROW("e")), NULL);
    fake_host_run(x->host);
    CHECK(x->done.finished);
    CHECK_EQ(o[0].kind, SL_RETRY);
    CHECK_EQ(o[0].not_sent, 0);
    CHECK_EQ(o[1].kind, SL_REVIEW);
    CHECK_EQ(o[2].kind, SL_RETRY);
    CHECK_EQ(o[3].kind, SL_REJECTED);
    CHECK_HAS(o[3].why, "Amount must not be so");
    CHECK_EQ(o[4].kind, SL_DELIVERED);
}

static void an_insert_that_was_done_before_is_delivered_with_its_record(void **state)
{
    struct sf_fixture *x = *state;
    const struct fake_outcome *o = x->done.outcomes;

    sf_expect_token(x);
    use(x, "insert", "collections");
    FAKE_EXPECT(x->host, .method = "POST", .url = SOBJECTS, .error = SL_E_NETWORK, .sent = 1);
    sf_deliver(x, SF_TWO, NULL); /* Salesforce acted, its answer was lost */
    fake_host_run(x->host);
    sf_check_all(x, SL_RETRY);
    FAKE_EXPECT(
        x->host, .method = "POST", .url = SOBJECTS, .status = 200,
        .answer = "[" NO(
            "DUPLICATE_VALUE",
            "duplicate value found: " SF_KEY
            " duplicates value on record with id: " ID_A) "," NO("DUPLICATE_VALUE",
                                                                 "duplicate value found: Tax_Id__c duplicates value "
                                                                 "on record with id: " ID_A) "]");
    sf_deliver(x, SF_TWO, NULL);
    fake_host_run(x->host);
    CHECK_EQ(o[0].kind, SL_DELIVERED);
    CHECK_STR(o[0].reference, ID_A);
    CHECK_EQ(o[1].kind, SL_REJECTED); /* another record is in the way */
}

static void an_answer_that_is_not_one_for_each_record_is_not_believed(void **state)
{
    struct sf_fixture *x = *state;
    static const struct {
        const char *answer, *why;
    } table[] = {
        { "", "2 records is not understood" },
        { "<html>", "2 records is not understood" },
        { "{}", "2 records is not understood" },
        { "[" OK(ID_A) "," OK(ID_B), "2 records is not understood" },
        { "[]", "2 records has 0 results" },
        { "[" OK(ID_A) "]", "2 records has 1 results" },
        { "[" OK(ID_A) "," OK(ID_B) "," OK(ID_A) "]", "2 records has 3 results" },
    };

    for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
        restart(x);
        expect_call(x, NULL, 200, table[i].answer);
        sf_deliver(x, SF_TWO, NULL);
        fake_host_run(x->host);
        sf_check_all(x, SL_RETRY); /* an upsert may be repeated */
        CHECK_HAS(x->done.outcomes[0].why, table[i].why);
        CHECK_EQ(x->done.outcomes[0].not_sent, 0);
    }
}

static void a_result_that_is_not_understood_is_that_of_its_record_alone(void **state)
{
    struct sf_fixture *x = *state;
    static const char *const odd[] = {
        "null",
        "7",
        "{}",
        "{\"success\":\"yes\"}",
        "{\"success\":false}",
        "nonsense",
        "{\"success\":true,\"id\":\"../x\"}",
        "{\"id\":\"" ID_B "\"}",
    };

    sf_expect_token(x);
    for (size_t i = 0; i < sizeof(odd) / sizeof(odd[0]); i++) {
        char answer[400];

        snprintf(answer, sizeof(answer), "[" OK(ID_A) ",%s]", odd[i]);
        expect_call(x, NULL, 200, answer);
        sf_deliver(x, SF_TWO, NULL);
        fake_host_run(x->host);
        CHECK(x->done.finished);
        CHECK_EQ(x->done.outcomes[0].kind, SL_DELIVERED);
        CHECK_EQ(x->done.outcomes[1].kind, SL_RETRY);
        CHECK_HAS(x->done.outcomes[1].why, "not understood");
    }
}

/* ---- the end of the process ---------------------------------------------------------------- */

static void closing_in_the_middle_of_a_call_leaves_nothing(void **state)
{
    struct sf_fixture *x = *state;

    sf_expect_token(x);
    expect_rows(x, 0, 200);
    FAKE_EXPECT(x->host, .url = UPSERT, .never = true);
    sf_deliver(x, many(300), NULL);
    fake_host_run(x->host);
    CHECK(!x->done.finished);
    sf_close(x);
}

static void closing_in_the_middle_of_a_turn_leaves_nothing(void **state)
{
    struct sf_fixture *x = *state;

    sf_deliver(x, many(300), NULL); /* no call is made */
    sf_close(x);
}

/* ---- the choice ---------------------------------------------------------------------------- */

static void few_records_go_by_collections_and_the_log_says_why_once(void **state)
{
    struct sf_fixture *x = *state;

    sf_expect_token(x);
    use(x, "upsert", "auto");
    for (int i = 0; i < 2; i++) {
        expect_rows(x, 0, 30);
        sf_deliver(x, many(30), NULL);
        CHECK_HAS(
            fake_host_last_log(x->host),
            "30 records of Contact by Collections: it takes fewer calls (calls by Collections "
            "1, by a job about 7)");
        CHECK_EQ(strstr(fake_host_last_log(x->host), "logged at debug") != NULL, i == 0);
        fake_host_run(x->host);
        check_rows(x, 30);
    }
}

static void the_route_has_the_last_word(void **state)
{
    struct sf_fixture *x = *state;

    sf_expect_token(x);
    use(x, "upsert", "bulk");
    FAKE_EXPECT(x->host, .method = "POST", .url = SF_JOBS, .never = true);
    sf_deliver(x, many(30), NULL);
    CHECK_HAS(fake_host_last_log(x->host), "by a bulk job: the route's transport says so");
    fake_host_run(x->host);
}

static void a_checkpoint_is_always_that_of_a_job(void **state)
{
    struct sf_fixture *x = *state;

    sf_expect_token(x);
    use(x, "upsert", "auto");
    sf_expect_state(x, SF_JOB, "JobComplete");
    sf_expect_results(x, SF_JOB, SF_OK_TWO, NULL, NULL);
    sf_deliver(x, SF_TWO, SF_CLOSED);
    fake_host_run(x->host);
    sf_check_two(x);
}

static void urgency_and_what_is_left_of_the_day_decide(void **state)
{
    struct sf_fixture *x = *state;
    static const struct {
        uint32_t priority;
        int64_t age_ms;
        const char *usage, *why;
    } table[] = {
        { SL_PRIORITY_NORMAL, 1, NULL, "by a bulk job: it takes fewer calls" },
        { SL_PRIORITY_HIGH, 299999, NULL, "by a bulk job: it takes fewer calls" },
        { SL_PRIORITY_NORMAL, 300000, NULL, "by Collections: it has waited long" },
        { SL_PRIORITY_CRITICAL, 1, NULL, "by Collections: it is critical" },
        { SL_PRIORITY_CRITICAL, 1, "Sforce-Limit-Info: api-usage=50000/100000",
          "by Collections: it is critical" },
        { SL_PRIORITY_CRITICAL, 1, "Sforce-Limit-Info: api-usage=95000/100000",
          "by a bulk job: few of the day's calls are left" },
    };

    for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
        sf_reopen(x);
        use(x, "upsert", "auto");
        if (table[i].usage) {
            sf_expect_token(x);
            FAKE_EXPECT(x->host, .url = UPSERT, .status = 200, .answer = "[" OK(ID_A) "]",
                        .answer_headers = table[i].usage);
            sf_deliver(x, SF_BODIES(SF_ROW("a")), NULL);
            fake_host_run(x->host);
        }
        x->priority = table[i].priority;
        x->oldest_ms = fake_host_wall_ms(x->host) - table[i].age_ms;
        sf_deliver(x, heavy(HEAVY), NULL);
        CHECK_HAS(fake_host_last_log(x->host), table[i].why);
    }
}

static void what_jobs_take_is_learnt_and_forgotten_after_an_hour(void **state)
{
    struct sf_fixture *x = *state;
    static const struct {
        int64_t wait_ms;
        const char *calls;
    } table[] = {
        { 0, "by a job about 7)" },
        { 0, "by a job about 13)" }, /* after one of 10 minutes */
        { 3600000 - 1, "by a job about 13)" },
        { 1, "by a job about 7)" },
    };

    sf_expect_token(x);
    for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
        use(x, "upsert", "bulk");
        if (i == 1) {
            sf_expect_sent(x, SF_ID, SF_JOB, SF_TWO_CSV);
            FAKE_EXPECT(x->host, .url = SF_JOB, .status = 200, .delay_ms = 598000,
                        .answer = "{\"state\":\"JobComplete\"}");
            sf_expect_results(x, SF_JOB, SF_OK_TWO, NULL, NULL);
            sf_deliver(x, SF_TWO, NULL);
            fake_host_run(x->host);
            sf_check_two(x);
        }
        fake_host_run_for(x->host, table[i].wait_ms);
        use(x, "upsert", "auto");
        expect_rows(x, 0, 1);
        sf_deliver(x, many(1), NULL);
        CHECK_HAS(fake_host_last_log(x->host), table[i].calls);
        fake_host_run(x->host);
    }
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, sf_teardown)
    const struct CMUnitTest tests[] = {
        TEST(an_upsert_is_one_call_and_each_result_finds_its_record),
        TEST(an_insert_an_update_and_a_delete_have_their_own_calls),
        TEST(two_hundred_ids_fit_into_the_url_of_a_delete),
        TEST(more_than_200_go_by_several_calls_one_after_the_other),
        TEST(what_cannot_be_sent_is_rejected_and_the_others_go_on),
        TEST(a_batch_without_one_good_record_asks_salesforce_nothing),
        TEST(two_of_one_key_go_by_two_calls_in_their_order),
        TEST(a_call_carries_two_megabytes_at_most),
        TEST(each_result_means_what_the_row_of_a_job_means),
        TEST(an_insert_that_was_done_before_is_delivered_with_its_record),
        TEST(an_answer_that_is_not_one_for_each_record_is_not_believed),
        TEST(a_result_that_is_not_understood_is_that_of_its_record_alone),
        TEST(closing_in_the_middle_of_a_call_leaves_nothing),
        TEST(closing_in_the_middle_of_a_turn_leaves_nothing),
        TEST(few_records_go_by_collections_and_the_log_says_why_once),
        TEST(the_route_has_the_last_word),
        TEST(a_checkpoint_is_always_that_of_a_job),
        TEST(urgency_and_what_is_left_of_the_day_decide),
        TEST(what_jobs_take_is_learnt_and_forgotten_after_an_hour),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
