/*
 * test_salesforce_compare_bulk.c - many records beside the org's: by one bulk query, where it takes
 * fewer calls than REST.
 */
#include "query/compare.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "salesforce_fixture.h"

static bool same(const char *sent, const char *there)
{
    return compare_text(str_of(sent), str_of(there));
}

static void a_field_of_csv_counts_by_what_it_says(void **state)
{
    (void)state;
    CHECK(same("19.90", "19.9"));
    CHECK(same("19.90", "19.90"));
    CHECK(same("25", "25.0"));
    CHECK(same("912260031", "9.12260031E8"));
    CHECK(same("-3", "-3.0"));
    CHECK(!same("19.90", "19.91"));
    CHECK(!same("0012", "12")); /* of texts the digits count */
    CHECK(!same("12", "0012"));
    CHECK(!same("+4930", "4930"));
    CHECK(!same("12345678901234567", "12345678901234568"));
    CHECK(same("true", "true") && same("1", "true") && same("False", "false"));
    CHECK(!same("false", "true") && !same("0", "true"));
    CHECK(same("", "") && same(" ", "") && same("", "false"));
    CHECK(!same("", "a") && !same("a", "") && !same("0", ""));
    CHECK(same("2026-11-20T10:15:00+01:00", "2026-11-20T09:15:00.000Z"));
    CHECK(same("Anna@Acme.example", "anna@acme.example"));
    CHECK(!same("anna", "Anna"));
}

/* ---- batches ------------------------------------------------------------------------------- */

#define QUERIES  SF_BASE "/services/data/v66.0/jobs/query"
#define QID      "7505g00000Qry01AAB"
#define QUERY    QUERIES "/" QID
#define RESULTS  QUERY "/results?maxRecords=10000"
#define ONE_PAGE "Sforce-NumberOfRecords: %zu\nSforce-Locator: null"

struct comparing {
    uint32_t verdicts[SF_MAX];
    char texts[SF_MAX][200];
    int finished;
    sl_status status;
    char *bodies[SF_MAX];
    size_t n, width; /* of keys */
    struct text page;
    size_t rows;
    char heads[100];
};

static void on_record(void *ctx, size_t i, uint32_t verdict, sl_str text)
{
    struct comparing *c = ctx;

    assert_true(i < c->n);
    c->verdicts[i] = verdict;
    snprintf(c->texts[i], sizeof(c->texts[i]), "%.*s", (int)text.len, text.len ? text.ptr : "");
}

static void on_finish(void *ctx, sl_status status, sl_str why)
{
    struct comparing *c = ctx;

    (void)why;
    c->finished++;
    c->status = status;
}

/* A record with a key of so many digits. */
static void add(struct comparing *c, size_t key, const char *rest)
{
    char body[600];

    snprintf(body, sizeof(body), "{\"" SF_KEY "\":\"k%0*zu\"%s}", (int)c->width, key, rest);
    c->bodies[c->n++] = strdup(body);
}

static struct comparing *make(size_t n, size_t width)
{
    struct comparing *c = calloc(1, sizeof(*c));

    c->width = width;
    for (size_t i = 0; i < n; i++)
        add(c, i, ",\"LastName\":\"L\",\"Score__c\":2,\"Account\":{\"ERP__c\":\"N1\"}");
    text_str(&c->page, "\"Id\",\"" SF_KEY "\",\"LastName\",\"Score__c\",\"Account.ERP__c\"\n");
    return c;
}

static void row(struct comparing *c, size_t key, const char *fields)
{
    text_printf(&c->page, "\"003\",\"K%0*zu\",%s\n", (int)c->width, key, fields);
    c->rows++;
}

static void compare(struct sf_fixture *x, struct comparing *c)
{
    sl_compare_out out = {
        .size = sizeof(out), .ctx = c, .record = on_record, .finish = on_finish
    };

    for (size_t i = 0; i < c->n; i++)
        x->records[i] = (sl_record){ .size = sizeof(sl_record), .request = str_of(c->bodies[i]) };
    x->batch = (sl_batch){ .size = sizeof(x->batch), .records = x->records, .n_records = c->n };
    x->plugin->compare(x->self, x->handle, &x->batch, &out);
    fake_host_run(x->host);
    CHECK_EQ(c->finished, 1);
}

static void drop(struct comparing *c)
{
    for (size_t i = 0; i < c->n; i++)
        free(c->bodies[i]);
    text_finish(&c->page);
    free(c);
}

static void expect_query(struct sf_fixture *x, struct comparing *c)
{
    snprintf(c->heads, sizeof(c->heads), ONE_PAGE, c->rows);
    FAKE_EXPECT(x->host, .method = "POST", .url = QUERIES, .status = 200,
                .answer = "{\"id\":\"" QID "\",\"state\":\"UploadComplete\"}");
    FAKE_EXPECT(x->host, .method = "GET", .url = QUERY, .status = 200,
                .answer = "{\"id\":\"" QID "\",\"state\":\"JobComplete\"}");
    FAKE_EXPECT(x->host, .method = "GET", .url = RESULTS, .status = 200, .answer_headers = c->heads,
                .answer = c->page.ptr);
    FAKE_EXPECT(x->host, .method = "DELETE", .url = QUERY, .status = 204);
}

static void expect_rest(struct sf_fixture *x, size_t calls)
{
    for (size_t i = 0; i < calls; i++)
        FAKE_EXPECT(x->host, .method = "GET", .status = 200,
                    .answer = "{\"done\":true,\"records\":[]}");
}

static void many_are_compared_as_the_rows_of_one_query_come(void **state)
{
    struct sf_fixture *x = *state;
    struct comparing *c = make(450, 100); /* by REST they would take seven calls */

    add(c, 7, ",\"LastName\":\"new\"");            /* 450: the same record, delivered again */
    add(c, 451, ",\"LastName\":\"O\\u0027Hara\""); /* a field that another has, too, is enough */
    c->bodies[c->n++] = strdup("{\"LastName\":\"no key\"}");
    for (size_t i = 0; i < 450; i++)
        if (i == 3)
            continue;
        else if (i == 4)
            row(c, i, "\"M, \"\"n\"\"\",\"25.0\",\"\"");
        else
            row(c, i, "\"L\",\"2.0\",\"N1\"");
    row(c, 5, "\"L\",\"2.0\",\"N1\"");
    row(c, 451, "\"O'Hara\",\"\",\"\"");
    row(c, 4711, "\"what was not asked for\",\"\",\"\"");
    sf_expect_token(x);
    expect_query(x, c);
    compare(x, c);
    CHECK_EQ(c->status, SL_OK);
    for (size_t i = 0; i < 450; i++)
        if (i < 3 || i > 5)
            CHECK_EQ(c->verdicts[i], SL_COMPARED_SAME);
    CHECK_EQ(c->verdicts[3], SL_COMPARED_MISSING);
    CHECK(!strncmp(c->texts[3], "no Contact has " SF_KEY " k000", 30));
    CHECK_EQ(c->verdicts[4], SL_COMPARED_DIFFERS);
    CHECK_STR(c->texts[4],
              "LastName: sent \"L\", there \"M, \"n\"\"; Score__c: sent \"2\", there "
              "25.0; Account.ERP__c: sent \"N1\", there nothing");
    CHECK_EQ(c->verdicts[5], SL_COMPARED_DIFFERS);
    CHECK(strstr(c->texts[5], "2 records of Contact have"));
    CHECK_EQ(c->verdicts[450], SL_COMPARED_DIFFERS);
    CHECK_STR(c->texts[450], "LastName: sent \"new\", there \"L\"");
    CHECK_EQ(c->verdicts[451], SL_COMPARED_SAME);
    CHECK_EQ(c->verdicts[452], SL_COMPARED_UNSURE);
    drop(c);
}

static void rest_is_asked_where_it_takes_fewer_calls(void **state)
{
    struct sf_fixture *x = *state;
    struct comparing *c = make(450, 10);

    sf_expect_token(x);
    expect_rest(x, 3);
    compare(x, c);
    CHECK_EQ(c->verdicts[449], SL_COMPARED_MISSING);
    drop(c);
}

static void a_statement_ends_before_the_longest_that_salesforce_takes(void **state)
{
    struct sf_fixture *x = *state;
    struct comparing *c = make(SF_MAX, 240);

    for (size_t i = 0; i < 450; i++) /* 409 literals of 244 characters go into 100,000 */
        row(c, i, "\"L\",\"2.0\",\"N1\"");
    sf_expect_token(x);
    expect_query(x, c);
    expect_rest(x, 4); /* what is left over: 103 keys of 247 bytes in addresses of 8,000 */
    compare(x, c);
    CHECK_EQ(c->status, SL_OK);
    CHECK_EQ(c->verdicts[0], SL_COMPARED_SAME);
    CHECK_EQ(c->verdicts[408], SL_COMPARED_SAME);
    CHECK_EQ(c->verdicts[409], SL_COMPARED_MISSING); /* asked for by REST: it is the 410th */
    CHECK_EQ(c->verdicts[SF_MAX - 1], SL_COMPARED_MISSING);
    drop(c);
}

static void what_a_bulk_query_cannot_answer_is_asked_by_rest(void **state)
{
    struct sf_fixture *x = *state;
    struct comparing *c = make(450, 100);

    sf_expect_token(x);
    FAKE_EXPECT(x->host, .method = "POST", .url = QUERIES, .status = 400,
                .answer = "[{\"errorCode\":\"QUERY_TOO_COMPLICATED\",\"message\":\"too long\"}]");
    expect_rest(x, 7);
    compare(x, c);
    CHECK_EQ(c->status, SL_OK);
    CHECK_EQ(c->verdicts[0], SL_COMPARED_MISSING);
    CHECK_EQ(c->verdicts[449], SL_COMPARED_MISSING);
    drop(c);
}

static void a_job_that_takes_for_ever_is_left_for_rest(void **state)
{
    struct sf_fixture *x = *state;
    struct comparing *c = make(450, 100);
    int64_t began = fake_host_wall_ms(x->host);

    sf_expect_token(x);
    FAKE_EXPECT(x->host, .method = "POST", .url = QUERIES, .status = 200,
                .answer = "{\"id\":\"" QID "\",\"state\":\"UploadComplete\"}");
    for (int i = 0; i < 13; i++) /* after 2, 4, 8, 16, and each 30 seconds */
        FAKE_EXPECT(x->host, .method = "GET", .url = QUERY, .status = 200,
                    .answer = "{\"id\":\"" QID "\",\"state\":\"InProgress\"}");
    FAKE_EXPECT(x->host, .method = "PATCH", .url = QUERY, .status = 200, .answer = "{}");
    expect_rest(x, 1);
    FAKE_EXPECT(x->host, .method = "DELETE", .url = QUERY, .status = 204);
    expect_rest(x, 6);
    compare(x, c);
    CHECK_EQ(c->status, SL_OK);
    CHECK_EQ(c->verdicts[449], SL_COMPARED_MISSING);
    CHECK(fake_host_wall_ms(x->host) - began < 400000);
    drop(c);
}

static void a_query_that_fails_for_good_ends_it(void **state)
{
    struct sf_fixture *x = *state;
    struct comparing *c = make(450, 100);

    sf_expect_token(x);
    FAKE_EXPECT(x->host, .method = "POST", .url = QUERIES, .status = 403,
                .answer = "[{\"errorCode\":\"API_DISABLED_FOR_ORG\",\"message\":\"no\"}]");
    compare(x, c);
    CHECK(c->status < 0);
    drop(c);
}

static void the_adapter_says_how_many_it_takes(void **state)
{
    struct sf_fixture *x = *state;
    sl_comparing how = { .size = sizeof(how) };

    x->plugin->comparing(x->handle, &how);
    CHECK_EQ(how.records, 4000);
    CHECK_EQ(how.bytes, 8 << 20);
}

static void one_that_waits_ends_with_the_endpoint(void **state)
{
    struct sf_fixture *x = *state;
    struct comparing *c = make(450, 100);
    sl_compare_out out = {
        .size = sizeof(out), .ctx = c, .record = on_record, .finish = on_finish
    };

    sf_expect_token(x);
    FAKE_EXPECT(x->host, .method = "POST", .url = QUERIES, .never = true);
    for (size_t i = 0; i < c->n; i++)
        x->records[i] = (sl_record){ .size = sizeof(sl_record), .request = str_of(c->bodies[i]) };
    x->batch = (sl_batch){ .size = sizeof(x->batch), .records = x->records, .n_records = c->n };
    x->plugin->compare(x->self, x->handle, &x->batch, &out);
    fake_host_run(x->host);
    sf_close(x);
    CHECK_EQ(c->finished, 0);
    drop(c);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, sf_setup, sf_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_field_of_csv_counts_by_what_it_says),
        TEST(many_are_compared_as_the_rows_of_one_query_come),
        TEST(rest_is_asked_where_it_takes_fewer_calls),
        TEST(a_statement_ends_before_the_longest_that_salesforce_takes),
        TEST(what_a_bulk_query_cannot_answer_is_asked_by_rest),
        TEST(a_job_that_takes_for_ever_is_left_for_rest),
        TEST(a_query_that_fails_for_good_ends_it),
        TEST(the_adapter_says_how_many_it_takes),
        TEST(one_that_waits_ends_with_the_endpoint),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
