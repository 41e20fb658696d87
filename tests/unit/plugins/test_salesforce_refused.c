/*
 * test_salesforce_refused.c - calls of sObject Collections whose answers are lost, or that are
 * refused as a whole: too much for one transaction, or spoilt by one record.
 */
#include "collections_script.h"

#include <stdlib.h>

/* ---- answers that do not come, refusals of all --------------------------------------------- */

#define PARKED 100 /* besides the kinds of outcomes */

static const struct trouble {
    uint32_t status;
    const char *answer;
    int64_t retry_after_ms;
    int32_t error;
    uint32_t sent, kind;
    int64_t after_ms;
    const char *why;
} troubles[] = {
    { .error = SL_E_NETWORK,
      .sent = 1,
      .kind = SL_RETRY,
      .why = "connection to Salesforce failed" },
    { .error = SL_E_NETWORK, .kind = SL_RETRY, .why = "connection to Salesforce failed" },
    { .error = SL_E_TIMEOUT, .sent = 1, .kind = SL_RETRY, .why = "in time" },
    { .error = SL_E_LIMIT, .sent = 1, .kind = SL_RETRY, .why = "too large" },
    { .error = SL_E_TLS, .kind = PARKED, .why = "certificates" },
    { .status = 500, .kind = SL_RETRY, .why = "answers 500" },
    { .status = 503,
      .answer = "<html>",
      .retry_after_ms = 7000,
      .kind = SL_RETRY,
      .after_ms = 7000,
      .why = "answers 503" },
    { .status = 429,
      .retry_after_ms = 3000,
      .kind = SL_THROTTLED,
      .after_ms = 3000,
      .why = "answers 429" },
    { .status = 403,
      .answer = REST("REQUEST_LIMIT_EXCEEDED", "ConcurrentPerOrgLongTxn Limit exceeded."),
      .kind = SL_THROTTLED,
      .after_ms = 10000,
      .why = "ConcurrentPerOrgLongTxn" },
    { .status = 403,
      .answer = REST("REQUEST_LIMIT_EXCEEDED", "TotalRequests Limit exceeded."),
      .kind = PARKED,
      .why = "TotalRequests" },
    { .status = 403,
      .answer = REST("API_DISABLED_FOR_ORG", "The REST API is not enabled"),
      .kind = PARKED,
      .why = "API_DISABLED_FOR_ORG" },
    { .status = 301, .kind = PARKED, .why = "check `instance`" },
    { .status = 404, .answer = "<html>", .kind = PARKED, .why = "check the route's object" },
    { .status = 404,
      .answer = REST("NOT_FOUND",
                     "Provided external ID field does not exist or is not accessible: "
                     "Foo__c"),
      .kind = SL_REJECTED,
      .why = "Foo__c; check the route's object (Contact) and external_id (" SF_KEY },
};

static void trouble_with_a_call_has_its_meaning_for_its_records_and_those_behind(void **state)
{
    struct sf_fixture *x = *state;

    for (size_t i = 0; i < sizeof(troubles) / sizeof(troubles[0]); i++) {
        const struct trouble *t = &troubles[i];
        const struct fake_outcome *o = x->done.outcomes;

        restart(x);
        expect_rows(x, 0, 200);
        FAKE_EXPECT(x->host, .method = "PATCH", .url = UPSERT, .status = t->status,
                    .answer = t->answer, .error = t->error, .sent = t->sent,
                    .retry_after_ms = t->retry_after_ms);
        sf_deliver(x, many(450), NULL);
        fake_host_run(x->host);
        CHECK(x->done.finished);
        CHECK_EQ(o[0].kind, SL_DELIVERED); /* the call before it */
        CHECK_EQ(o[199].kind, SL_DELIVERED);
        if (t->kind == PARKED) {
            CHECK(x->done.parked && !o[200].told && !o[449].told);
            CHECK_HAS(x->done.park_why, t->why);
            continue;
        }
        CHECK(!x->done.parked);
        for (size_t k = 200; k < 450; k++) {
            CHECK_EQ(o[k].kind, t->kind);
            CHECK_HAS(o[k].why, t->why);
            CHECK_EQ(o[k].after_ms, t->after_ms);
            CHECK_EQ(o[k].not_sent, /* the third call was never made */
                     t->kind == SL_RETRY && (k >= 400 || (t->error && !t->sent)));
        }
    }
}

static void a_session_that_ended_is_renewed_and_the_call_made_once_more(void **state)
{
    struct sf_fixture *x = *state;

    sf_expect_token(x);
    expect_rows(x, 0, 200);
    expect_call(x, asked(200, 300), 401, SF_EXPIRED);
    sf_expect_token(x);
    expect_rows(x, 200, 300);
    sf_deliver(x, many(300), NULL);
    fake_host_run(x->host);
    check_rows(x, 300);
}

static void lost_answers_make_the_next_calls_smaller_and_good_ones_larger_again(void **state)
{
    struct sf_fixture *x = *state;

    sf_expect_token(x);
    for (int i = 0; i < 2; i++) { /* 200, then 100 */
        FAKE_EXPECT(x->host, .url = UPSERT, .body = asked(0, i ? 100 : 200), .sent = 1,
                    .error = SL_E_TIMEOUT);
        sf_deliver(x, many(200), NULL);
        fake_host_run(x->host);
        sf_check_all(x, SL_RETRY);
    }
    expect_rows(x, 0, 50);
    expect_rows(x, 50, 105);
    expect_rows(x, 105, 165);
    expect_rows(x, 165, 200);
    sf_deliver(x, many(200), NULL);
    fake_host_run(x->host);
    check_rows(x, 200);
}

/* ---- calls that are too much, or spoilt by one --------------------------------------------- */

static void what_is_too_much_for_one_transaction_goes_by_halves(void **state)
{
    struct sf_fixture *x = *state;
    static const struct {
        uint32_t status;
        const char *answer; /* NULL: each element says so */
    } table[] = {
        { 400, REST("LIMIT_EXCEEDED", "Apex CPU time limit exceeded") },
        { 500, REST("REQUEST_RUNNING_TOO_LONG", "Your request was running for too long") },
        { 400, REST("APEX_ERROR", "System.LimitException: Too many SOQL queries: 101") },
        { 200, NULL },
    };
    static const char trigger[] = NO("CANNOT_INSERT_UPDATE_ACTIVATE_ENTITY",
                                     "T: System.LimitException: Apex CPU time limit exceeded");

    for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
        const char *all = table[i].answer ? table[i].answer : told(0, 200, trigger);
        const char *half = table[i].answer ? table[i].answer : told(0, 100, trigger);

        restart(x);
        expect_call(x, asked(0, 200), table[i].status, all);
        expect_call(x, asked(0, 100), table[i].status, half);
        expect_rows(x, 0, 50);
        expect_rows(x, 50, 105); /* it grows by small steps */
        expect_rows(x, 105, 165);
        expect_rows(x, 165, 230);
        expect_rows(x, 230, 300);
        sf_deliver(x, many(300), NULL);
        fake_host_run(x->host);
        check_rows(x, 300);

        expect_rows(x, 0, 75); /* the next batch begins with what was borne */
        expect_rows(x, 75, 100);
        sf_deliver(x, many(100), NULL);
        fake_host_run(x->host);
        check_rows(x, 100);
    }
}

static void one_record_that_is_too_much_alone_is_tried_again_later(void **state)
{
    struct sf_fixture *x = *state;

    sf_expect_token(x);
    expect_call(x, asked(0, 1), 400, REST("LIMIT_EXCEEDED", "Apex CPU time limit exceeded"));
    sf_deliver(x, many(1), NULL);
    fake_host_run(x->host);
    sf_check_all(x, SL_RETRY);
    CHECK_EQ(x->done.outcomes[0].status, 400);
    expect_call(x, asked(0, 1), 200, "[" NO("LIMIT_EXCEEDED", "Apex CPU time limit") "]");
    sf_deliver(x, many(1), NULL);
    fake_host_run(x->host);
    sf_check_all(x, SL_RETRY);
}

static void rows_that_are_locked_are_no_call_that_is_too_much(void **state)
{
    struct sf_fixture *x = *state;

    sf_expect_token(x);
    expect_call(x, NULL, 200,
                "[" NO("UNABLE_TO_LOCK_ROW", "x") "," NO("UNABLE_TO_LOCK_ROW", "x") "]");
    sf_deliver(x, SF_TWO, NULL);
    fake_host_run(x->host);
    sf_check_all(x, SL_RETRY); /* at once they would be locked again */
}

#define PARSER                                                            \
    REST("JSON_PARSER_ERROR",                                             \
         "Cannot deserialize instance of double from VALUE_STRING value " \
         "abc or request may be missing a required field")

static void one_record_that_spoils_the_call_is_found_and_the_others_are_written(void **state)
{
    struct sf_fixture *x = *state;

    sf_expect_token(x);
    expect_call(x, asked(0, 8), 400, PARSER); /* the sixth is it */
    expect_rows(x, 0, 4);
    expect_call(x, asked(4, 8), 400, PARSER);
    expect_call(x, asked(4, 6), 400, PARSER);
    expect_rows(x, 4, 5);
    expect_call(x, asked(5, 7), 400, PARSER);
    expect_call(x, asked(5, 6), 400, PARSER);
    expect_rows(x, 6, 7);
    expect_rows(x, 7, 8);
    sf_deliver(x, many(8), NULL);
    fake_host_run(x->host);
    CHECK(x->done.finished);
    for (size_t i = 0; i < 8; i++)
        CHECK_EQ(x->done.outcomes[i].kind, i == 5 ? SL_REJECTED : SL_DELIVERED);
    CHECK_HAS(x->done.outcomes[5].why, "abc");
    CHECK_EQ(x->done.outcomes[5].status, 400);
    expect_rows(x, 0, 200); /* that says nothing of the size */
    sf_deliver(x, many(200), NULL);
    fake_host_run(x->host);
    check_rows(x, 200);
}

static void where_all_are_wrong_the_search_ends(void **state)
{
    struct sf_fixture *x = *state;
    size_t before, rejected = 0, retried = 0;

    sf_expect_token(x);
    for (int i = 0; i < 41; i++)
        FAKE_EXPECT(x->host, .url = UPSERT, .status = 400, .answer = PARSER);
    before = fake_host_requests(x->host);
    sf_deliver(x, many(200), NULL);
    fake_host_run(x->host);
    CHECK(x->done.finished);
    CHECK_EQ(fake_host_requests(x->host) - before, 42); /* with the token */
    for (size_t i = 0; i < 200; i++) {
        rejected += x->done.outcomes[i].kind == SL_REJECTED;
        retried += x->done.outcomes[i].kind == SL_RETRY;
    }
    CHECK_EQ(rejected, 33); /* seven calls down to one row, then one by one */
    CHECK_EQ(retried, 167);
    CHECK_HAS(x->done.outcomes[199].why, "JSON_PARSER_ERROR");
}

static void a_field_that_the_object_lacks_condemns_only_the_records_that_have_it(void **state)
{
    struct sf_fixture *x = *state;
    const struct fake_outcome *o = x->done.outcomes;

    sf_expect_token(x);
    expect_call(x, NULL, 400,
                REST("INVALID_FIELD",
                     "No such column 'Fooo__c' on sobject of type "
                     "Contact"));
    expect_call(x, HEAD ROW("a") "," ROW("c") "]}", 200, "[" OK(ID_A) "," OK(ID_B) "]");
    sf_deliver(x,
               SF_BODIES(SF_ROW("a"), "{\"" SF_KEY "\":\"b\",\"fooo__C\":1}", SF_ROW("c"),
                         "{\"" SF_KEY "\":\"d\",\"Fooo__c\":null}"),
               NULL);
    fake_host_run(x->host);
    CHECK(x->done.finished);
    CHECK_EQ(o[0].kind, SL_DELIVERED);
    CHECK_EQ(o[1].kind, SL_REJECTED);
    CHECK_HAS(o[1].why, "Contact has no field Fooo__c");
    CHECK_EQ(o[2].kind, SL_DELIVERED);
    CHECK_EQ(o[3].kind, SL_REJECTED);
}

static void a_field_that_no_record_has_is_searched_like_any_other_fault(void **state)
{
    struct sf_fixture *x = *state;

    sf_expect_token(x);
    for (int i = 0; i < 2; i++)
        expect_call(x, asked(0, 2), 400,
                    REST("INVALID_FIELD", "No such column 'Else__c' on sobject of type Contact"));
    expect_rows(x, 0, 1);
    expect_rows(x, 1, 2);
    sf_deliver(x, many(2), NULL);
    fake_host_run(x->host);
    check_rows(x, 2);
}

static void several_records_of_one_external_id_are_a_persons_to_choose(void **state)
{
    struct sf_fixture *x = *state;
    static const char list[] = "[\"/services/data/v66.0/sobjects/Contact/" ID_A
                               "\",\"/services/data/v66.0/sobjects/Contact/" ID_B "\"]";

    sf_expect_token(x);
    expect_call(x, asked(0, 2), 300, list);
    expect_rows(x, 0, 1);
    expect_call(x, asked(1, 2), 300, list);
    sf_deliver(x, many(2), NULL);
    fake_host_run(x->host);
    CHECK(x->done.finished && !x->done.parked);
    CHECK_EQ(x->done.outcomes[0].kind, SL_DELIVERED);
    CHECK_EQ(x->done.outcomes[1].kind, SL_REVIEW);
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, sf_teardown)
    const struct CMUnitTest tests[] = {
        TEST(trouble_with_a_call_has_its_meaning_for_its_records_and_those_behind),
        TEST(a_session_that_ended_is_renewed_and_the_call_made_once_more),
        TEST(lost_answers_make_the_next_calls_smaller_and_good_ones_larger_again),
        TEST(what_is_too_much_for_one_transaction_goes_by_halves),
        TEST(one_record_that_is_too_much_alone_is_tried_again_later),
        TEST(rows_that_are_locked_are_no_call_that_is_too_much),
        TEST(one_record_that_spoils_the_call_is_found_and_the_others_are_written),
        TEST(where_all_are_wrong_the_search_ends),
        TEST(a_field_that_the_object_lacks_condemns_only_the_records_that_have_it),
        TEST(a_field_that_no_record_has_is_searched_like_any_other_fault),
        TEST(several_records_of_one_external_id_are_a_persons_to_choose),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
