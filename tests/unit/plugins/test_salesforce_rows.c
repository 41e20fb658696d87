/*
 * test_salesforce_rows.c - the salesforce adapter's parts that need no host: bodies to cells, CSV
 * both ways, external ids, the tables of errors.
 */
#include "fake_host.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bulk/results.h"
#include "org/errors.h"
#include "rows/csv.h"
#include "rows/keys.h"

static char why[256];

/* ---- bodies -------------------------------------------------------------------------------- */

/* The CSV of some bodies, header first. Own. */
static char *csv_of(const char *const *bodies)
{
    struct columns columns = { 0 };
    struct text out = { 0 }, scratch = { 0 };
    struct row row = { 0 };
    uint64_t serial = 0;

    for (size_t i = 0; bodies[i]; i++) {
        if (row_scan(&row, fake_str(bodies[i]), why, sizeof(why)) < 0)
            fail_msg("%s: %s", bodies[i], why);
        CHECK_EQ(columns_take(&columns, &row, ++serial, why, sizeof(why)), SL_OK);
    }
    csv_header(&out, &columns);
    for (size_t i = 0; bodies[i]; i++) {
        CHECK_EQ(row_scan(&row, fake_str(bodies[i]), why, sizeof(why)), SL_OK);
        csv_row(&out, &columns, &row, ++serial, &scratch);
    }
    CHECK(!out.failed);
    columns_finish(&columns);
    row_finish(&row);
    text_finish(&scratch);
    return out.ptr;
}

#define BODIES(...) ((const char *const[]){ __VA_ARGS__, NULL })

static void check_csv(const char *want, const char *const *bodies)
{
    char *got = csv_of(bodies);

    CHECK_STR(got, want);
    free(got);
}

static void values_are_written_so_that_nothing_of_them_changes(void **state)
{
    static const struct {
        const char *json, *csv;
    } table[] = {
        { "\"plain\"", "plain" },
        { "19.90", "19.90" },
        { "0.1", "0.1" },
        { "100000000000000000001", "100000000000000000001" },
        { "9007199254740993", "9007199254740993" },
        { "-1.50e+2", "-1.50e+2" },
        { "1E5", "1E5" },
        { "true", "true" },
        { "false", "false" },
        { "null", "#N/A" },
        { "\"\"", "#N/A" },
        { "\" padded \"", " padded " },
        { "\"a,b\"", "\"a,b\"" },
        { "\"say \\\"hi\\\"\"", "\"say \"\"hi\"\"\"" },
        { "\"two\\nlines\"", "\"two\nlines\"" },
        { "\"two\\r\\nlines\"", "\"two\nlines\"" },
        { "\"old\\rmac\\r\"", "\"old\nmac\n\"" },
        { "\"Nguy\\u1ec5n\"", "Nguyễn" },
        { "\"Nguyễn\"", "Nguyễn" },
        { "\"\\ud83d\\ude00\"", "\xf0\x9f\x98\x80" },
        { "\"a\\/b\\\\c\\t\"", "a/b\\c\t" },
        { "\"#N/A?\"", "#N/A?" },
        { "\"\\\",\\n\\\"\"", "\"\"\",\n\"\"\"" }, /* quote, comma, break, quote */
        { "\",\"", "\",\"" },
        { "\"\\n\"", "\"\n\"" },
        { "\"\\r\"", "\"\n\"" },
        { "\"\\r\\n\\r\\n\"", "\"\n\n\"" },
        { "\"\\n\\r\"", "\"\n\n\"" },
        { "\"a;b|c^d`e\\tf\"", "a;b|c^d`e\tf" }, /* delimiters of other jobs */
        { "\"2026-11-20T10:15:00.000Z\"", "2026-11-20T10:15:00.000Z" },
        { "\" \"", " " },
    };

    (void)state;
    for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
        char body[256], want[256];

        snprintf(body, sizeof(body), " { \"K\" : \"k\" , \"V\" :\n%s } ", table[i].json);
        snprintf(want, sizeof(want), "K,V\nk,%s\n", table[i].csv);
        check_csv(want, BODIES(body));
    }
}

static void check_clear(const char *value, bool refused)
{
    struct row row = { 0 };
    char body[128];

    snprintf(body, sizeof(body), "{\"K\":\"k\",\"V\":%s}", value);
    CHECK_EQ(row_scan(&row, fake_str(body), why, sizeof(why)), SL_OK);
    CHECK_EQ(csv_check(&row, why, sizeof(why)), refused ? SL_E_INVALID : SL_OK);
    if (refused)
        CHECK_HAS(why, "field V is the text #N/A, by which the Bulk API clears a field");
    row_finish(&row);
}

static void a_text_that_would_clear_its_field_is_refused_however_it_is_escaped(void **state)
{
    (void)state;
    check_clear("\"#N/A\"", true);
    check_clear("\"#N\\/A\"", true);
    check_clear("\"\\u0023\\u004e\\u002f\\u0041\"", true);
    check_clear("\" #N/A\"", false);
    check_clear("\"#N/A \"", false);
    check_clear("\"#n/a\"", false);
    check_clear("\"#\"", false);
    check_clear("null", false);
    check_clear("\"\"", false);
    check_clear("7", false);
}

static void the_header_is_the_union_and_absent_fields_stay_empty(void **state)
{
    (void)state;
    check_csv(
        "K,A,Account.Ext__c,B\n"
        "1,x,,\n"
        "2,,A-1,y\n"
        "3,#N/A,#N/A,\n",
        BODIES("{\"K\":1,\"A\":\"x\"}", "{\"k\":2,\"Account\":{\"Ext__c\":\"A-1\"},\"B\":\"y\"}",
               "{\"a\":null,\"K\":3,\"account.ext__C\":null}"));
    check_csv("K,Lead:Who.Email\n1,a@b.test\n",
              BODIES("{\"K\":1,\"Lead:Who\":{\"Email\":\"a@b.test\"}}"));
}

static void a_body_that_is_no_flat_object_is_refused_and_the_text_names_the_field(void **state)
{
    static const struct {
        const char *body, *text;
    } table[] = {
        { "", "not a JSON object" },
        { "\xef\xbb\xbf{\"A\":1}", "not a JSON object" }, /* it would become part of a name */
        { "[]", "not a JSON object" },
        { "\"x\"", "not a JSON object" },
        { "{", "name in quotes is missing" },
        { "{\"A\":1", "',' or '}' is missing" },
        { "{\"A\":1}}", "something follows" },
        { "{\"A\" 1}", "no ':' after \"A\"" },
        { "{\"A\":}", "field A has a value that is not JSON" },
        { "{\"A\":", "field A has no value" },
        { "{\"A\":tru}", "field A has a value that is not JSON" },
        { "{\"A\":01}", "field A is not a JSON number" },
        { "{\"A\":1.}", "field A is not a JSON number" },
        { "{\"A\":-}", "field A is not a JSON number" },
        { "{\"A\":1e}", "field A is not a JSON number" },
        { "{\"A\":[1]}", "field A is an array" },
        { "{\"A\":{\"B\":{\"C\":1}}}", "field A is an object inside an object" },
        { "{\"A\":{}}", "field A: a parent is named by exactly one key field" },
        { "{\"A\":{\"B\":1,\"C\":2}}", "field A: a parent is named by exactly one key field" },
        { "{\"A\":{\"B.C\":1}}", "field A: \"B\" is not one field of the parent" },
        { "{\"A.B\":{\"C\":1}}", "field A: a parent is named by exactly one key field" },
        { "{\"A\":\"x}", "field A is cut off" },
        { "{\"A\":\"\\x\"}", "field A holds an escape that is not JSON" },
        { "{\"A\":\"\\ud83d\"}", "field A holds an escape" },
        { "{\"A\":\"\\ude00\"}", "field A holds an escape" },
        { "{\"A\":\"\\u0000\"}", "field A holds a NUL" },
        { "{\"A\":\"\xc3(\"}", "field A is not UTF-8" },
        { "{\"A\":\"\xed\xa0\x80\"}", "field A is not UTF-8" },
        { "{\"A\":\"tab\there\"}", "field A holds a control character" },
        { "{\"First Name\":1}", "\"First Name\" is not a field's API name" },
        { "{\"\":1}", "\"\" is not a field's API name" },
        { "{\"1A\":1}", "is not a field's API name" },
        { "{\"A,B\":1}", "is not a field's API name" },
        { "{\"A.\":1}", "is not a field's API name" },
        { "{\"A.B.C\":1}", "is not a field's API name" },
        { "{\"sf__Id\":1}", "is not a field's API name" },
        { "{\"Lead:Who\":1}", "names a parent without its key field" },
        { "{\"attributes\":{\"type\":\"Contact\"}}", "attributes is no field" },
    };
    struct row row = { 0 };

    (void)state;
    for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
        /* a copy without the NUL behind it, so that a sanitizer sees a read past the end */
        size_t n = strlen(table[i].body);
        char *body = malloc(n + 1);

        memcpy(body, table[i].body, n);
        body = realloc(body, n > 0 ? n : 1);
        if (row_scan(&row, (sl_str){ body, n }, why, sizeof(why)) != SL_E_INVALID)
            fail_msg("accepted: %s", table[i].body);
        if (!strstr(why, table[i].text))
            fail_msg("%s: \"%s\" lacks \"%s\"", table[i].body, why, table[i].text);
        free(body);
    }
    row_finish(&row);
}

static void every_cut_of_a_good_body_is_refused(void **state)
{
    static const char body[] =
        "{\"A\":\"x\\u00e9\\ud83d\\ude00\",\"N\":-1.5e3,\"B\":true,\"P\":{\"K\":null}}";
    struct row row = { 0 };

    (void)state;
    for (size_t n = 0; n < sizeof(body) - 1; n++) {
        char *cut = malloc(n ? n : 1);

        memcpy(cut, body, n);
        CHECK_EQ(row_scan(&row, (sl_str){ cut, n }, why, sizeof(why)), SL_E_INVALID);
        free(cut);
    }
    CHECK_EQ(row_scan(&row, fake_str(body), why, sizeof(why)), SL_OK);
    CHECK_EQ(row.n, 4);
    row_finish(&row);
}

static void limits_of_salesforce_are_found_before_the_upload(void **state)
{
    struct row row = { 0 };
    size_t n = 131073;
    char *body = malloc(n + 32);

    (void)state;
    strcpy(body, "{\"A\":\"");
    memset(body + 6, 'x', n);
    strcpy(body + 6 + n, "\"}");
    CHECK_EQ(row_scan(&row, fake_str(body), why, sizeof(why)), SL_E_INVALID);
    CHECK(strstr(why, "field A has 131073 characters"));
    strcpy(body + 6 + n - 1, "\"}");
    CHECK_EQ(row_scan(&row, fake_str(body), why, sizeof(why)), SL_OK);
    free(body);
    row_finish(&row);
}

static void a_field_named_twice_is_refused_and_leaves_no_column(void **state)
{
    struct columns columns = { 0 };
    struct row row = { 0 };
    size_t index;

    (void)state;
    CHECK_EQ(columns_add(&columns, fake_str("K"), (sl_str){ 0 }, &index), SL_OK);
    CHECK_EQ(row_scan(&row, fake_str("{\"K\":1,\"A\":1,\"a\":2}"), why, sizeof(why)), SL_OK);
    CHECK_EQ(columns_take(&columns, &row, 1, why, sizeof(why)), SL_E_INVALID);
    CHECK_STR(why, "field A is there twice (names are compared without case)");
    CHECK_EQ(columns.n, 1);
    CHECK_EQ(columns_find(&columns, fake_str("A"), (sl_str){ 0 }, &index), SL_E_NOT_FOUND);
    columns_finish(&columns);
    row_finish(&row);
}

static void many_columns_are_found_again_and_the_header_has_its_limit(void **state)
{
    struct columns columns = { 0 };
    struct row row = { 0 };
    char body[256];
    size_t index, n = 0;
    sl_status r = SL_OK;

    (void)state;
    for (; r == SL_OK; n++) {
        snprintf(body, sizeof(body), "{\"A_rather_long_name_of_a_field_%zu__c\":1}", n);
        CHECK_EQ(row_scan(&row, fake_str(body), why, sizeof(why)), SL_OK);
        r = columns_take(&columns, &row, n + 1, why, sizeof(why));
    }
    CHECK_EQ(r, SL_E_LIMIT);
    CHECK(columns.n > 700 && columns.header_len <= CSV_MAX_HEADER);
    for (size_t i = 0; i < columns.n; i++) {
        snprintf(body, sizeof(body), "a_RATHER_long_name_of_a_field_%zu__c", i);
        CHECK_EQ(columns_find(&columns, fake_str(body), (sl_str){ 0 }, &index), SL_OK);
        CHECK_EQ(index, i);
    }
    columns_finish(&columns);
    row_finish(&row);
}

/* ---- reading ------------------------------------------------------------------------------- */

/* All rows as "a|b;c|d", a torn end as "!". */
static void read_as(const char *csv, const char *want)
{
    size_t len = strlen(csv);
    char *copy = malloc(len ? len : 1), got[512] = "";
    struct csv_reader r;
    int more;

    memcpy(copy, csv, len);
    csv_open(&r, copy, len);
    while ((more = csv_next(&r)) > 0) {
        for (size_t i = 0; i < r.n; i++)
            snprintf(got + strlen(got), sizeof(got) - strlen(got), "%s%.*s", i ? "|" : "",
                     (int)r.fields[i].len, r.fields[i].ptr);
        strcat(got, ";");
    }
    if (more < 0)
        strcat(got, "!");
    CHECK_STR(got, want);
    csv_finish(&r);
    free(copy);
}

static void csv_is_read_by_rfc_4180(void **state)
{
    (void)state;
    read_as("", "");
    read_as("\n\r\n", "");
    read_as("a,b\nc,d\n", "a|b;c|d;");
    read_as("a,b\r\nc,d", "a|b;c|d;");
    read_as("\"a\",\"b\"\"c\",\"\"\n", "a|b\"c|;");
    read_as("\"two\nlines\",\"x,y\"\n", "two\nlines|x,y;");
    read_as("\"two\r\nlines\"\r\n", "two\r\nlines;");
    read_as("a,\n,b\n", "a|;|b;");
    read_as("\xef\xbb\xbf\"a\",b\n", "a|b;");
    read_as("a\n\nb\n", "a;b;");
    read_as("5\" pipe,b\n", "5\" pipe|b;");
    read_as("ok\n\"never closed", "ok;!");
    read_as("\"a\"b,c\n", "!");
}

static void what_was_written_is_read_back_the_same(void **state)
{
    static const char *const values[] = { "x", "a,b", "\"", "\"\"", "\n", ",\"\n\",", "ễ", " " };

    (void)state;
    for (size_t i = 0; i < sizeof(values) / sizeof(values[0]); i++) {
        struct text out = { 0 };
        struct csv_reader r;

        csv_value(&out, fake_str(values[i]));
        text_char(&out, ',');
        csv_value(&out, fake_str(values[i]));
        text_char(&out, '\n');
        csv_open(&r, out.ptr, out.len);
        CHECK_EQ(csv_next(&r), 1);
        CHECK_EQ(r.n, 2);
        CHECK_VIEW(r.fields[0], values[i]);
        CHECK_VIEW(r.fields[1], values[i]);
        CHECK_EQ(csv_next(&r), 0);
        csv_finish(&r);
        text_finish(&out);
    }
}

static void result_files_need_their_columns_and_whole_rows(void **state)
{
    struct results r = { 0 };
    struct result row;

    (void)state;
    CHECK_EQ(results_open(&r, RESULT_FAILED, fake_str(""), "Ext__c", why, sizeof(why)), SL_OK);
    CHECK_EQ(results_next(&r, &row), 0);
    CHECK_EQ(results_open(&r, RESULT_FAILED, fake_str("\"sf__Id\",\"sf__Error\",Name\n"), "Ext__c",
                          why, sizeof(why)),
             SL_E_INVALID);
    CHECK_STR(why, "failedResults lacks the column Ext__c");
    CHECK_EQ(results_open(&r, RESULT_SUCCESSFUL, fake_str("<html>"), "Ext__c", why, sizeof(why)),
             SL_E_INVALID);
    CHECK_EQ(results_open(&r, RESULT_FAILED,
                          fake_str("\"sf__Id\",\"sf__Error\",EXT__C,Name\n"
                                   "\"003\",\"X:y:--\",\"k\",\"\"\n\"\",\"X\",\"k2\n"),
                          "Ext__c", why, sizeof(why)),
             SL_OK);
    CHECK_EQ(results_next(&r, &row), 1);
    CHECK_VIEW(row.key, "k");
    CHECK_VIEW(row.id, "003");
    CHECK_VIEW(row.error, "X:y:--");
    CHECK_EQ(results_next(&r, &row), SL_E_INVALID);
    results_finish(&r);
    CHECK_EQ(results_open(&r, RESULT_UNPROCESSED, fake_str("Ext__c,Name\nk,n\nk2"), "Ext__c", why,
                          sizeof(why)),
             SL_OK);
    CHECK_EQ(results_next(&r, &row), 1);
    CHECK_EQ(results_next(&r, &row), SL_E_INVALID); /* cut: the key may be half of one */
    results_finish(&r);
}

/* ---- keys ---------------------------------------------------------------------------------- */

static void check_key(const char *body, const char *want)
{
    struct row row = { 0 };
    struct text key = { 0 };

    CHECK_EQ(row_scan(&row, fake_str(body), why, sizeof(why)), SL_OK);
    if (key_of(&row, "Ext__c", &key, why, sizeof(why)) < 0)
        CHECK_STR(why, want);
    else
        CHECK_VIEW(text_view(&key), want);
    row_finish(&row);
    text_finish(&key);
}

static void an_external_id_is_text_or_a_whole_number(void **state)
{
    (void)state;
    check_key("{\"Ext__c\":\"Gid-7\"}", "gid-7");
    check_key("{\"A\":1,\"EXT__C\":\"x\\u0041\"}", "xa");
    check_key("{\"Ext__c\":900719925474099301}", "900719925474099301");
    check_key("{\"Ext__c\":-5}", "-5");
    check_key("{\"A\":1}",
              "the external id Ext__c is not in the record: let the route's map set it");
    check_key("{\"Ext__c\":null}", "the external id Ext__c is null");
    check_key("{\"Ext__c\":\"\"}", "the external id Ext__c is empty");
    check_key("{\"Ext__c\":1.5}",
              "the external id Ext__c is 1.5; it must be text or a whole number");
    check_key("{\"Ext__c\":true}",
              "the external id Ext__c is true; it must be text or a whole number");
    check_key("{\"Ext__c\":{\"A\":\"x\"}}",
              "the external id Ext__c is not in the record: let the route's map set it");
}

/* A bulk job makes LF of CR LF, and no row of its results would be this record's. */
static void a_key_that_would_come_back_as_another_one_is_refused(void **state)
{
    static const char odd[] =
        "the external id Ext__c holds a line break or another control "
        "character: take it out in the route's map";
    char body[2000] = "{\"Ext__c\":\"", key[1200] = "";

    (void)state;
    check_key("{\"Ext__c\":\"k\\r\\n1\"}", odd);
    check_key("{\"Ext__c\":\"k\\n\"}", odd);
    check_key("{\"Ext__c\":\"\\tk\"}", odd);
    check_key("{\"Ext__c\":\"k\\u007f\"}", odd);
    check_key("{\"Ext__c\":\"   \"}", "the external id Ext__c is nothing but blanks");
    check_key("{\"Ext__c\":\"a b, \\\"c\\\" \"}", "a b, \"c\" ");
    for (int i = 0; i < 127; i++) /* two units each */
        strcat(key, "\xf0\x9f\x98\x80");
    strcat(key, "k");
    strcat(body, key);
    strcat(body, "\"}");
    check_key(body, key);
    strcpy(strrchr(body, '"'), "k\"}");
    check_key(body,
              "the external id Ext__c is longer than 255 characters, the most that such a field "
              "takes");
}

static void check_found(const struct keys *k, const char *value, int want)
{
    uint32_t record;

    if (keys_find(k, fake_str(value), &record) == SL_OK)
        CHECK_EQ(record, want);
    else
        CHECK_EQ(-1, want);
}

static void keys_are_found_without_case_and_as_doubles(void **state)
{
    static const char *const values[] = {
        "gid-2", "912260031", "gid-1", "7001", "gid-2", "gid-11"
    };
    struct keys k = { 0 };

    (void)state;
    for (uint32_t i = 0; i < 6; i++) {
        size_t at = k.text.len;

        text_str(&k.text, values[i]);
        CHECK_EQ(keys_add(&k, at, i), SL_OK);
    }
    keys_sort(&k);
    for (size_t i = 0, repeats = 0; i < k.n; i++) {
        repeats += keys_repeats(&k, i);
        CHECK(repeats <= 1 && (!keys_repeats(&k, i) || k.items[i].record == 4));
    }
    check_found(&k, "GID-1", 2);
    check_found(&k, "gid-11", 5);
    check_found(&k, "gid-2", 0);
    check_found(&k, "gid-", -1);
    check_found(&k, "", -1);
    check_found(&k, "912260031", 1);
    check_found(&k, "9.12260031E8", 1);
    check_found(&k, "7001.0", 3);
    check_found(&k, "7.001E3", 3);
    check_found(&k, "7.0015E3", -1);
    check_found(&k, "7.001E", -1);
    check_found(&k, "7.001E99", -1);
    check_found(&k, "7001.5", -1);
    keys_finish(&k);
}

/* ---- errors -------------------------------------------------------------------------------- */

static void job_errors_say_whether_repeating_helps_and_which_field_it_is(void **state)
{
    (void)state;
    CHECK(errors_job_is_permanent("ClientInputError : LineEnding is invalid on user data."));
    CHECK(errors_job_is_permanent("InvalidBatch : Field name not found : Foo__c"));
    CHECK(!errors_job_is_permanent("InternalServerError : x"));
    CHECK(!errors_job_is_permanent("TooManyLockFailure : InvalidBatch"));
    CHECK(!errors_job_is_permanent(""));
    CHECK_VIEW(errors_job_field("InvalidBatch : Field name not found : Foo__c"), "Foo__c");
    CHECK_VIEW(errors_job_field("InvalidBatch : InvalidBatch : Field name not found : Name. Batch "
                                "will not be retried."),
               "Name");
    CHECK_VIEW(errors_job_field("InvalidBatch : Unable to find relationship: Account"), "Account");
    CHECK_VIEW(errors_job_field("InvalidBatch : type is not needed for non polymorphic foreign key "
                                "references: Parent"),
               "Parent");
    CHECK_VIEW(errors_job_field("InvalidBatch : Failed to parse CSV. Found unescaped quote"), "");
}

static void a_line_for_people_has_no_control_characters_and_no_half_ones(void **state)
{
    char line[8];

    (void)state;
    say(line, sizeof(line), "a\nb\x01");
    CHECK_STR(line, "a b ");
    say(line, sizeof(line), "123456ễ");
    CHECK_STR(line, "123456");
    say(line, sizeof(line), "1234ễ");
    CHECK_STR(line, "1234ễ");
    say(line, sizeof(line), "\xff!");
    CHECK_STR(line, "?!");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(values_are_written_so_that_nothing_of_them_changes),
        cmocka_unit_test(a_text_that_would_clear_its_field_is_refused_however_it_is_escaped),
        cmocka_unit_test(the_header_is_the_union_and_absent_fields_stay_empty),
        cmocka_unit_test(a_body_that_is_no_flat_object_is_refused_and_the_text_names_the_field),
        cmocka_unit_test(every_cut_of_a_good_body_is_refused),
        cmocka_unit_test(limits_of_salesforce_are_found_before_the_upload),
        cmocka_unit_test(a_field_named_twice_is_refused_and_leaves_no_column),
        cmocka_unit_test(many_columns_are_found_again_and_the_header_has_its_limit),
        cmocka_unit_test(csv_is_read_by_rfc_4180),
        cmocka_unit_test(what_was_written_is_read_back_the_same),
        cmocka_unit_test(result_files_need_their_columns_and_whole_rows),
        cmocka_unit_test(an_external_id_is_text_or_a_whole_number),
        cmocka_unit_test(a_key_that_would_come_back_as_another_one_is_refused),
        cmocka_unit_test(keys_are_found_without_case_and_as_doubles),
        cmocka_unit_test(job_errors_say_whether_repeating_helps_and_which_field_it_is),
        cmocka_unit_test(a_line_for_people_has_no_control_characters_and_no_half_ones),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
