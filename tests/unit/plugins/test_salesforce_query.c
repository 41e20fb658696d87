/*
 * test_salesforce_query.c - bulk queries: pages by locator, what is lost, torn, refused or given
 * up.
 */
#include "query/query.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "salesforce_fixture.h"

#define QUERIES SF_BASE "/services/data/v66.0/jobs/query"
#define QID     "7505g00000Qry01AAB"
#define QUERY   QUERIES "/" QID
#define RESULTS QUERY "/results?maxRecords=10000"
#define SOQL    "SELECT Id, Email FROM Contact WHERE Name = 'O\\'Hara'"
#define CREATE_BODY                                                                    \
    "{\"operation\":\"query\",\"query\":\"SELECT Id, Email FROM Contact WHERE Name = " \
    "'O\\\\'Hara'\",\"contentType\":\"CSV\",\"columnDelimiter\":\"COMMA\",\"lineEnding\":\"LF\"}"
#define HEAD              "\"Id\",\"Email\"\n"
#define HEADS(n, locator) "Sforce-NumberOfRecords: " n "\nSforce-Locator: " locator

struct reading {
    struct fake_host *host;
    struct query *query;
    char rows[4096];
    size_t n, stop_after, hold_after;
    int ends;
    struct query_end end;
};

static bool on_row(void *ctx, const sl_str *f)
{
    struct reading *r = ctx;
    size_t at = strlen(r->rows);

    r->n++;
    if (at < sizeof(r->rows) - 200)
        snprintf(r->rows + at, sizeof(r->rows) - at, "%.*s=%.*s;", (int)f[0].len, f[0].ptr,
                 (int)f[1].len, f[1].ptr);
    if (r->hold_after && r->n == r->hold_after)
        query_hold(r->query);
    return r->n != r->stop_after;
}

static void on_end(void *ctx, const struct query_end *end)
{
    struct reading *r = ctx;

    r->ends++;
    r->end = *end;
}

static void start(struct sf_fixture *x, struct reading *r)
{
    static const char *const columns[] = { "Email", "Id", NULL };
    struct query_ask ask = {
        .soql = SOQL, .columns = columns, .row = on_row, .end = on_end, .ctx = r
    };

    r->query = query_start(x->self, &ask);
    assert_non_null(r->query);
    CHECK_EQ(r->ends, 0);
}

static void expect_create(struct sf_fixture *x)
{
    FAKE_EXPECT(x->host, .method = "POST", .url = QUERIES,
                .headers = SF_BEARER "\nContent-Type: application/json; charset=UTF-8",
                .body = CREATE_BODY, .status = 200,
                .answer = "{\"id\":\"" QID
                          "\",\"state\":\"UploadComplete\",\"object\":\"Contact\","
                          "\"createdDate\":\"2026-11-20T09:15:32.000+0000\"}");
}

static void expect_state(struct sf_fixture *x, const char *answer)
{
    FAKE_EXPECT(x->host, .method = "GET", .url = QUERY, .status = 200, .answer = answer);
}

#define COMPLETE "{\"id\":\"" QID "\",\"state\":\"JobComplete\"}"
#define RUNNING  "{\"id\":\"" QID "\",\"state\":\"InProgress\"}"

static void expect_page(struct sf_fixture *x, const char *url, const char *heads, const char *body)
{
    FAKE_EXPECT(x->host, .method = "GET", .url = url, .headers = "Accept: text/csv", .status = 200,
                .answer_headers = heads, .answer = body);
}

static void expect_delete(struct sf_fixture *x)
{
    FAKE_EXPECT(x->host, .method = "DELETE", .url = QUERY, .status = 204);
}

static void expect_made(struct sf_fixture *x)
{
    sf_expect_token(x);
    expect_create(x);
    expect_state(x, COMPLETE);
}

/* ---- the good way -------------------------------------------------------------------------- */

static void pages_follow_each_other_until_the_locator_is_null(void **state)
{
    struct sf_fixture *x = *state;
    struct reading r = { .host = x->host };

    sf_expect_token(x);
    expect_create(x);
    expect_state(x, RUNNING);
    expect_state(x, COMPLETE);
    /* header names come in any case; columns in any order */
    expect_page(x, RESULTS, "sforce-numberofrecords: 2\nSFORCE-LOCATOR: MTA/MDA=",
                HEAD "\"1\",\"a@x.example\"\n\"2\",\"\"\n");
    expect_page(x, RESULTS "&locator=MTA%2FMDA%3D", HEADS("1", "null"),
                "\"EMAIL\",\"id\"\n\"c, \"\"d\"\"\",\"3\"\n");
    expect_delete(x);
    start(x, &r);
    fake_host_run(x->host);
    CHECK_EQ(r.ends, 1);
    CHECK(r.end.ok);
    CHECK_STR(r.rows, "a@x.example=1;=2;c, \"d\"=3;");
    CHECK_EQ(r.end.rows, 3);
    CHECK_STR(r.end.created, "2026-11-20T09:15:32.000+0000");
}

static void nothing_found_is_a_header_or_nothing_at_all(void **state)
{
    static const char *const bodies[] = { HEAD, "" };
    struct sf_fixture *x = *state;

    for (size_t i = 0; i < 2; i++) {
        struct reading r = { .host = x->host };

        if (i == 0)
            sf_expect_token(x);
        expect_create(x);
        expect_state(x, COMPLETE);
        expect_page(x, RESULTS, HEADS("0", "null"), bodies[i]);
        expect_delete(x);
        start(x, &r);
        fake_host_run(x->host);
        CHECK(r.ends == 1 && r.end.ok);
        CHECK_EQ(r.n, 0);
    }
}

static void many_rows_come_in_turns(void **state)
{
    struct sf_fixture *x = *state;
    struct reading r = { .host = x->host };
    char *body = malloc(200000), *at = body;

    at += sprintf(at, HEAD);
    for (int i = 0; i < 5000; i++)
        at += sprintf(at, "\"%d\",\"p%d@x.example\"\n", i, i);
    expect_made(x);
    expect_page(x, RESULTS, HEADS("5000", "null"), body);
    expect_delete(x);
    start(x, &r);
    fake_host_run(x->host);
    CHECK(r.end.ok);
    CHECK_EQ(r.n, 5000);
    free(body);
}

static void a_reader_may_hold_the_rows_and_go_on(void **state)
{
    struct sf_fixture *x = *state;
    struct reading r = { .host = x->host, .hold_after = 1 };

    expect_made(x);
    expect_page(x, RESULTS, HEADS("3", "null"), HEAD "1,a\n2,b\n3,c\n");
    start(x, &r);
    fake_host_run(x->host);
    CHECK_EQ(r.n, 1);
    CHECK_EQ(r.ends, 0);
    expect_delete(x);
    query_go_on(r.query);
    fake_host_run(x->host);
    CHECK_EQ(r.n, 3);
    CHECK(r.end.ok);
}

/* ---- what goes wrong ----------------------------------------------------------------------- */

static void a_torn_page_is_fetched_again_and_no_row_is_given_twice(void **state)
{
    struct sf_fixture *x = *state;
    struct reading r = { .host = x->host };

    expect_made(x);
    expect_page(x, RESULTS, HEADS("3", "null"), HEAD "1,a\n2,\"b"); /* cut in a value */
    FAKE_EXPECT(x->host, .method = "GET", .url = RESULTS, .error = SL_E_NETWORK, .sent = 1);
    expect_page(x, RESULTS, HEADS("3", "null"), HEAD "1,a\n2,b\n"); /* cut between rows */
    expect_page(x, RESULTS, HEADS("3", "null"), HEAD "1,a\n2,b\n3,c\n");
    expect_delete(x);
    start(x, &r);
    fake_host_run(x->host);
    CHECK(r.end.ok);
    CHECK_STR(r.rows, "a=1;b=2;c=3;");
}

static void a_page_too_large_is_asked_for_in_halves(void **state)
{
    struct sf_fixture *x = *state;
    struct reading r = { .host = x->host };

    expect_made(x);
    FAKE_EXPECT(x->host, .method = "GET", .url = RESULTS, .error = SL_E_LIMIT, .sent = 1);
    expect_page(x, QUERY "/results?maxRecords=5000", HEADS("1", "null"), HEAD "1,a\n");
    expect_delete(x);
    start(x, &r);
    fake_host_run(x->host);
    CHECK(r.end.ok);
    CHECK_STR(r.rows, "a=1;");
}

static void a_lost_or_refused_create_is_made_again_or_told(void **state)
{
    struct sf_fixture *x = *state;
    struct reading r = { .host = x->host };

    sf_expect_token(x);
    FAKE_EXPECT(x->host, .method = "POST", .url = QUERIES, .error = SL_E_NETWORK, .sent = 1);
    FAKE_EXPECT(x->host, .method = "POST", .url = QUERIES, .status = 503, .answer = "<html>");
    FAKE_EXPECT(
        x->host, .method = "POST", .url = QUERIES, .status = 400,
        .answer = "[{\"errorCode\":\"INVALID_FIELD\",\"message\":\"No such column 'Foo'\"}]");
    start(x, &r);
    fake_host_run(x->host);
    CHECK_EQ(r.ends, 1);
    CHECK(!r.end.ok);
    CHECK_EQ(r.end.verdict, ANSWER_REFUSED);
    CHECK_HAS(r.end.why, "No such column 'Foo'");
}

static void a_failed_job_says_what_to_check_and_is_deleted(void **state)
{
    struct sf_fixture *x = *state;
    struct reading r = { .host = x->host };

    sf_expect_token(x);
    expect_create(x);
    expect_state(x, "{\"state\":\"Failed\"}");
    expect_delete(x);
    start(x, &r);
    fake_host_run(x->host);
    CHECK(!r.end.ok);
    CHECK_EQ(r.end.verdict, ANSWER_REFUSED);
    CHECK_HAS(r.end.why, "check its fields");
}

static void a_job_that_is_gone_is_made_anew_once_while_no_row_was_given(void **state)
{
    struct sf_fixture *x = *state;
    struct reading r = { .host = x->host };

    sf_expect_token(x);
    expect_create(x);
    FAKE_EXPECT(x->host, .method = "GET", .url = QUERY, .status = 404, .answer = SF_GONE);
    expect_create(x);
    expect_state(x, COMPLETE);
    expect_page(x, RESULTS, HEADS("1", "MTAwMDA"), HEAD "1,a\n");
    FAKE_EXPECT(x->host, .method = "GET", .url = RESULTS "&locator=MTAwMDA", .status = 404,
                .answer = SF_GONE);
    expect_delete(x);
    start(x, &r);
    fake_host_run(x->host);
    CHECK_EQ(r.ends, 1);
    CHECK(!r.end.ok);
    CHECK_EQ(r.end.verdict, ANSWER_NOT_FOUND);
    CHECK_EQ(r.end.rows, 1);
}

static void another_version_is_refused_with_salesforces_text(void **state)
{
    struct sf_fixture *x = *state;
    struct reading r = { .host = x->host };

    expect_made(x);
    FAKE_EXPECT(x->host, .method = "GET", .url = RESULTS, .status = 409,
                .answer = "[{\"errorCode\":\"API_ERROR\",\"message\":\"another version\"}]");
    expect_delete(x);
    start(x, &r);
    fake_host_run(x->host);
    CHECK_EQ(r.end.verdict, ANSWER_REFUSED);
    CHECK_HAS(r.end.why, "409");
    CHECK_HAS(r.end.why, "another version");
}

static void a_page_without_a_locator_is_no_page(void **state)
{
    struct sf_fixture *x = *state;
    struct reading r = { .host = x->host };

    expect_made(x);
    expect_page(x, RESULTS, "Sforce-NumberOfRecords: 1", HEAD "1,a\n");
    expect_delete(x);
    start(x, &r);
    fake_host_run(x->host);
    CHECK_EQ(r.n, 0);
    CHECK_HAS(r.end.why, "Sforce-Locator");
}

static void a_missing_column_is_named(void **state)
{
    struct sf_fixture *x = *state;
    struct reading r = { .host = x->host };

    expect_made(x);
    expect_page(x, RESULTS, HEADS("1", "null"), "\"Id\"\n\"1\"\n");
    expect_delete(x);
    start(x, &r);
    fake_host_run(x->host);
    CHECK_HAS(r.end.why, "no column Email");
}

static void a_job_that_takes_too_long_is_aborted_and_deleted(void **state)
{
    struct sf_fixture *x = *state;
    struct reading r = { .host = x->host };
    /* 2, 4, 8, 16, then 30 s until two hours are over */
    unsigned asks = 4 + (7200 - 30 + 29) / 30;

    sf_expect_token(x);
    expect_create(x);
    for (unsigned i = 0; i < asks; i++)
        expect_state(x, RUNNING);
    FAKE_EXPECT(x->host, .method = "PATCH", .url = QUERY, .body = "{\"state\":\"Aborted\"}",
                .status = 200, .answer = "{}");
    expect_delete(x);
    start(x, &r);
    fake_host_run(x->host);
    CHECK_EQ(r.end.verdict, ANSWER_BUSY);
    CHECK_HAS(r.end.why, "job_timeout");
}

static void what_is_not_wanted_any_more_is_aborted_or_deleted(void **state)
{
    struct sf_fixture *x = *state;
    struct reading r = { .host = x->host }, stopped = { .host = x->host, .stop_after = 1 };

    sf_expect_token(x);
    expect_create(x);
    start(x, &r);
    fake_host_run_for(x->host, 100);
    FAKE_EXPECT(x->host, .method = "PATCH", .url = QUERY, .body = "{\"state\":\"Aborted\"}",
                .status = 200, .answer = "{}");
    expect_delete(x);
    query_cancel(r.query); /* while it waits */
    fake_host_run(x->host);
    CHECK_EQ(r.ends, 0);

    expect_create(x);
    expect_state(x, COMPLETE);
    expect_page(x, RESULTS, HEADS("2", "null"), HEAD "1,a\n2,b\n");
    expect_delete(x);
    start(x, &stopped);
    fake_host_run(x->host);
    CHECK_EQ(stopped.n, 1);
    CHECK_EQ(stopped.ends, 1);
    CHECK(!stopped.end.ok);
}

static void a_cancel_while_the_job_is_made_waits_for_its_id(void **state)
{
    struct sf_fixture *x = *state;
    struct reading r = { .host = x->host };

    sf_expect_token(x);
    FAKE_EXPECT(x->host, .method = "POST", .url = QUERIES, .status = 200, .delay_ms = 500,
                .answer = "{\"id\":\"" QID "\"}");
    start(x, &r);
    fake_host_run_for(x->host, 100);
    query_cancel(r.query);
    FAKE_EXPECT(x->host, .method = "PATCH", .url = QUERY, .status = 200, .answer = "{}");
    expect_delete(x);
    fake_host_run(x->host);
    CHECK_EQ(r.ends, 0);
}

static void the_end_of_the_host_leaves_nothing_behind(void **state)
{
    struct sf_fixture *x = *state;
    struct reading r = { .host = x->host }, waiting = { .host = x->host };

    sf_expect_token(x);
    FAKE_EXPECT(x->host, .method = "POST", .url = QUERIES, .never = true);
    start(x, &r);
    fake_host_run_for(x->host, 100);
    start(x, &waiting);
    sf_close(x);
    CHECK_EQ(r.ends + waiting.ends, 0);
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, sf_setup, sf_teardown)
    const struct CMUnitTest tests[] = {
        TEST(pages_follow_each_other_until_the_locator_is_null),
        TEST(nothing_found_is_a_header_or_nothing_at_all),
        TEST(many_rows_come_in_turns),
        TEST(a_reader_may_hold_the_rows_and_go_on),
        TEST(a_torn_page_is_fetched_again_and_no_row_is_given_twice),
        TEST(a_page_too_large_is_asked_for_in_halves),
        TEST(a_lost_or_refused_create_is_made_again_or_told),
        TEST(a_failed_job_says_what_to_check_and_is_deleted),
        TEST(a_job_that_is_gone_is_made_anew_once_while_no_row_was_given),
        TEST(another_version_is_refused_with_salesforces_text),
        TEST(a_page_without_a_locator_is_no_page),
        TEST(a_missing_column_is_named),
        TEST(a_job_that_takes_too_long_is_aborted_and_deleted),
        TEST(what_is_not_wanted_any_more_is_aborted_or_deleted),
        TEST(a_cancel_while_the_job_is_made_waits_for_its_id),
        TEST(the_end_of_the_host_leaves_nothing_behind),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
