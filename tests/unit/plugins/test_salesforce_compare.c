/*
 * test_salesforce_compare.c - is what was delivered there, and does it say what was sent?
 */
#include "query/compare.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "salesforce_fixture.h"

/* ---- one field ----------------------------------------------------------------------------- */

static bool same(const char *sent, const char *there)
{
    json_t *value = json_loads(there, JSON_DECODE_ANY, NULL);
    bool r;

    assert_non_null(value);
    r = compare_value(str_of(sent), value);
    json_decref(value);
    return r;
}

static void a_value_counts_not_how_it_is_written(void **state)
{
    (void)state;
    CHECK(same("19.90", "19.9"));
    CHECK(same("912260031", "9.12260031E8"));
    CHECK(same("0", "0.0"));
    CHECK(!same("19.90", "19.91"));
    CHECK(!same("0", "null"));
    CHECK(!same("none", "0"));
    CHECK(same("true", "true"));
    CHECK(same("1", "true"));
    CHECK(same("FALSE", "false"));
    CHECK(!same("false", "true"));
    CHECK(same("2026-11-20T10:15:00+01:00", "\"2026-11-20T09:15:00.000+0000\""));
    CHECK(!same("2026-11-20T10:15:00Z", "\"2026-11-20T09:15:00.000+0000\""));
    CHECK(same("2026-11-20", "\"2026-11-20\""));
    CHECK(!same("2026-11-20", "\"2026-11-21\""));
    CHECK(same("0018c00002DJIpJ", "\"0018c00002DJIpJAAX\""));
    CHECK(!same("0018c00002DJIpj", "\"0018c00002DJIpJAAX\""));
}

static void empty_and_null_are_one_and_texts_keep_their_case(void **state)
{
    (void)state;
    CHECK(same("", "null"));
    CHECK(same("", "\"\""));
    CHECK(same("  ", "null"));
    CHECK(compare_value(str_of(""), NULL));
    CHECK(!compare_value(str_of("a"), NULL));
    CHECK(!same("a", "null"));
    CHECK(!same("", "\"a\""));
    CHECK(same(" Anna ", "\"Anna\""));
    CHECK(!same("anna", "\"Anna\""));
    CHECK(same("a\nb", "\"a\\r\\nb\""));
    CHECK(!same("a\nb", "\"ab\""));
    CHECK(same("Anna@Acme.example", "\"anna@acme.example\""));
    CHECK(same("0012", "\"0012\""));
    CHECK(!same("0012", "\"12\"")); /* of texts the digits count */
}

/* ---- a batch ------------------------------------------------------------------------------- */

struct comparing {
    uint32_t verdicts[SF_MAX];
    char texts[SF_MAX][200];
    size_t told;
    int finished;
    sl_status status;
    char why[300];
};

static void on_record(void *ctx, size_t i, uint32_t verdict, sl_str text)
{
    struct comparing *c = ctx;

    assert_true(i < SF_MAX);
    CHECK_EQ(c->verdicts[i], 0); /* once */
    c->verdicts[i] = verdict;
    c->told++;
    snprintf(c->texts[i], sizeof(c->texts[i]), "%.*s", (int)text.len, text.len ? text.ptr : "");
}

static void on_finish(void *ctx, sl_status status, sl_str why)
{
    struct comparing *c = ctx;

    c->finished++;
    c->status = status;
    snprintf(c->why, sizeof(c->why), "%.*s", (int)why.len, why.len ? why.ptr : "");
}

static void compare(struct sf_fixture *x, struct comparing *c, const char *const *bodies)
{
    sl_compare_out out = {
        .size = sizeof(out), .ctx = c, .record = on_record, .finish = on_finish
    };
    size_t n = 0;

    for (; bodies[n]; n++)
        x->records[n] = (sl_record){ .size = sizeof(sl_record), .request = str_of(bodies[n]) };
    x->batch = (sl_batch){ .size = sizeof(x->batch), .records = x->records, .n_records = n };
    x->plugin->compare(x->self, x->handle, &x->batch, &out);
    fake_host_run(x->host);
    CHECK_EQ(c->finished, 1);
}

#define QUERY SF_BASE "/services/data/v66.0/query?q=SELECT+Id," SF_KEY
#define FROM  "+FROM+Contact+WHERE+" SF_KEY "+IN+("

static void each_record_is_found_by_its_key_and_compared_by_field(void **state)
{
    struct sf_fixture *x = *state;
    struct comparing c = { 0 };

    sf_expect_token(x);
    FAKE_EXPECT(x->host, .method = "GET",
                .url = QUERY ",LastName,Score__c,Account.ERP__c" FROM
                             "%27A%27,%27b%5C%27c%27,%27d%27,%27e%27)",
                .status = 200,
                .answer =
                    "{\"done\":true,\"records\":["
                    "{\"Id\":\"1\",\"" SF_KEY
                    "\":\"a\",\"LastName\":\"L\",\"Score__c\":2.0,"
                    "\"Account\":{\"ERP__c\":\"N1\"}},"
                    "{\"Id\":\"2\",\"" SF_KEY
                    "\":\"b'c\",\"LastName\":\"M\",\"Score__c\":3,"
                    "\"Account\":null},"
                    "{\"Id\":\"3\",\"" SF_KEY "\":\"e\"},{\"Id\":\"4\",\"" SF_KEY "\":\"E\"}]}");
    compare(x, &c,
            SF_BODIES("{\"" SF_KEY "\":\"A\",\"LastName\":\"L\",\"Score__c\":2,"
                      "\"Account\":{\"ERP__c\":\"N1\"}}",
                      "{\"" SF_KEY "\":\"b'c\",\"lastname\":\"N\",\"Score__c\":null,"
                      "\"Account\":{\"ERP__c\":\"N1\"}}",
                      SF_ROW("d"), SF_ROW("e"), "{\"LastName\":\"no key\"}"));
    CHECK_EQ(c.status, SL_OK);
    CHECK_EQ(c.told, 5);
    CHECK_EQ(c.verdicts[0], SL_COMPARED_SAME);
    CHECK_EQ(c.verdicts[1], SL_COMPARED_DIFFERS);
    CHECK_STR(c.texts[1],
              "lastname: sent \"N\", there \"M\"; Score__c: sent nothing, there 3; "
              "Account.ERP__c: sent \"N1\", there nothing");
    CHECK_EQ(c.verdicts[2], SL_COMPARED_MISSING);
    CHECK_STR(c.texts[2], "no Contact has " SF_KEY " d");
    CHECK_EQ(c.verdicts[3], SL_COMPARED_DIFFERS);
    CHECK(strstr(c.texts[3], "2 records of Contact have"));
    CHECK_EQ(c.verdicts[4], SL_COMPARED_UNSURE);
}

static void two_deliveries_of_one_record_are_both_compared(void **state)
{
    struct sf_fixture *x = *state;
    struct comparing c = { 0 };

    sf_expect_token(x);
    FAKE_EXPECT(x->host, .method = "GET", .url = QUERY ",LastName" FROM "%27a%27,%27a%27)",
                .status = 200,
                .answer = "{\"done\":true,\"records\":[{\"Id\":\"1\",\"" SF_KEY
                          "\":\"a\",\"LastName\":\"new\"}]}");
    compare(x, &c,
            SF_BODIES("{\"" SF_KEY "\":\"a\",\"LastName\":\"old\"}",
                      "{\"" SF_KEY "\":\"a\",\"LastName\":\"new\"}"));
    CHECK_EQ(c.verdicts[0], SL_COMPARED_DIFFERS);
    CHECK_EQ(c.verdicts[1], SL_COMPARED_SAME);
}

static void keys_that_do_not_fit_one_address_are_asked_for_in_turn(void **state)
{
    struct sf_fixture *x = *state;
    struct comparing c = { 0 };
    const char *bodies[51] = { 0 };
    char *made[50];

    for (size_t i = 0; i < 50; i++) {
        made[i] = calloc(1, 300);
        snprintf(made[i], 300, "{\"" SF_KEY "\":\"%0*zu\"}", 240, i);
        bodies[i] = made[i];
    }
    sf_expect_token(x);
    for (int i = 0; i < 2; i++)
        FAKE_EXPECT(x->host, .method = "GET", .status = 200,
                    .answer = "{\"done\":true,\"records\":[]}");
    compare(x, &c, bodies);
    CHECK_EQ(c.told, 50);
    for (size_t i = 0; i < 50; i++) {
        CHECK_EQ(c.verdicts[i], SL_COMPARED_MISSING);
        free(made[i]);
    }
    CHECK(strlen(fake_host_last_url(x->host)) < 12000);
}

static void records_of_very_many_fields_are_asked_for_in_turn(void **state)
{
    struct sf_fixture *x = *state;
    struct comparing c = { 0 };
    const char *bodies[4] = { 0 };
    char *made[3];

    for (int i = 0; i < 3; i++) { /* 200 fields go into one question, and no one is left out */
        size_t at = 0;

        made[i] = calloc(1, 4096);
        at += (size_t)sprintf(made[i], "{\"" SF_KEY "\":\"k%d\"", i);
        for (int k = 0; k < 90; k++)
            at += (size_t)sprintf(made[i] + at, ",\"F%d_%d__c\":1", i, k);
        sprintf(made[i] + at, "}");
        bodies[i] = made[i];
    }
    sf_expect_token(x);
    FAKE_EXPECT(x->host, .method = "GET", .status = 200,
                .answer = "{\"done\":true,\"records\":[{\"" SF_KEY "\":\"k0\"},{\"" SF_KEY
                          "\":\"k1\"}]}");
    FAKE_EXPECT(x->host, .method = "GET", .status = 200,
                .answer = "{\"done\":true,\"records\":[{\"" SF_KEY "\":\"k2\"}]}");
    compare(x, &c, bodies);
    for (size_t i = 0; i < 3; i++) {
        CHECK_EQ(c.verdicts[i], SL_COMPARED_DIFFERS);
        CHECK(strstr(c.texts[i], "; and 86 more"));
        free(made[i]);
    }
}

static void a_question_that_fails_tells_nothing(void **state)
{
    struct sf_fixture *x = *state;
    struct comparing c = { 0 }, busy = { 0 };

    sf_expect_token(x);
    FAKE_EXPECT(x->host, .method = "GET", .status = 400,
                .answer =
                    "[{\"message\":\"No such column 'Foo__c'\",\"errorCode\":"
                    "\"INVALID_FIELD\"}]");
    compare(x, &c, SF_TWO);
    CHECK_EQ(c.status, SL_E_INVALID);
    CHECK(strstr(c.why, "Foo__c"));
    FAKE_EXPECT(x->host, .method = "GET", .status = 503, .answer = "<html>");
    compare(x, &busy, SF_TWO);
    CHECK_EQ(busy.status, SL_E_LIMIT); /* later */
    CHECK_EQ(busy.told, 0);
}

static void what_was_deleted_cannot_be_compared(void **state)
{
    static const struct fake_setting params[] = { { "object", "Contact" }, { 0 } };
    struct sf_fixture *x = *state;
    struct comparing c = { 0 };

    sf_use(x, "delete", params, NULL);
    compare(x, &c, SF_BODIES("{\"Id\":\"0035g00000Tst01AAB\"}"));
    CHECK_EQ(c.status, SL_E_UNSUPPORTED);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, sf_setup, sf_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_value_counts_not_how_it_is_written),
        cmocka_unit_test(empty_and_null_are_one_and_texts_keep_their_case),
        TEST(each_record_is_found_by_its_key_and_compared_by_field),
        TEST(two_deliveries_of_one_record_are_both_compared),
        TEST(keys_that_do_not_fit_one_address_are_asked_for_in_turn),
        TEST(records_of_very_many_fields_are_asked_for_in_turn),
        TEST(a_question_that_fails_tells_nothing),
        TEST(what_was_deleted_cannot_be_compared),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
