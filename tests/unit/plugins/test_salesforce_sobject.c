/*
 * test_salesforce_sobject.c - records as JSON of sObject Collections, and the elements of an
 * answer.
 */
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../check.h"
#include "rows/sobject.h"

static char object[] = "Contact", key[] = "Ext__c", id[] = "Id";
static const struct action upsert = { OP_UPSERT, object, key };
static const struct action update = { OP_UPDATE, object, id };

/* ---- writing ------------------------------------------------------------------------------- */

#define HEAD "{\"attributes\":{\"type\":\"Contact\"}"

static const struct {
    const char *body, *fields; /* behind HEAD */
} written[] = {
    { "{}", "}" },
    { "{\"LastName\":\"O'Hara, Ltd \\\"West\\\"\",\"Ext__c\":\"a\"}",
      ",\"LastName\":\"O'Hara, Ltd \\\"West\\\"\",\"Ext__c\":\"a\"}" },
    /* a number leaves as it came in */
    { "{\"A\":19.90,\"B\":12345678901234567890,\"C\":-1.50e+07,\"D\":0}",
      ",\"A\":19.90,\"B\":12345678901234567890,\"C\":-1.50e+07,\"D\":0}" },
    { "{\"A\":true,\"B\":false}", ",\"A\":true,\"B\":false}" },
    /* null and the empty text clear, in a field that takes no text as well */
    { "{\"A\":null,\"Birthdate\":\"\"}", ",\"A\":null,\"Birthdate\":null}" },
    /* as a bulk job would write it */
    { "{\"A\":\"one\\r\\ntwo\\rthree\\nfour\\r\"}", ",\"A\":\"one\\ntwo\\nthree\\nfour\\n\"}" },
    { "{\"A\":\"\\u000d\\u000a\\t\\u0001\\/\"}", ",\"A\":\"\\n\\u0009\\u0001/\"}" },
    { "{\"A\":\"Nguy\\u1ec5n \\ud83d\\ude00 ễ\"}", ",\"A\":\"Nguyễn \xf0\x9f\x98\x80 ễ\"}" },
    { "{\"A\":\"\\\\\"}", ",\"A\":\"\\\\\"}" },
    /* parents, however they are spelt */
    { "{\"Account\":{\"ERP__c\":\"ACC-1\"}}", ",\"Account\":{\"ERP__c\":\"ACC-1\"}}" },
    { "{\"Account.ERP__c\":7}", ",\"Account\":{\"ERP__c\":7}}" },
    { "{\"Lead:Who\":{\"Email\":\"a@example.test\"}}",
      ",\"Who\":{\"attributes\":{\"type\":\"Lead\"},\"Email\":\"a@example.test\"}}" },
    { "{\"Account\":{\"ERP__c\":null},\"Shop__r\":{\"Ext__c\":\"\"},\"Lead:Who.Email\":null}",
      ",\"AccountId\":null,\"Shop__c\":null,\"WhoId\":null}" },
};

static void check_known(const struct action *a, const struct description *d, const char *body,
                        const char *want)
{
    struct row row = { 0 };
    struct text to = { 0 }, scratch = { 0 };
    char why[600];
    json_t *parsed;

    if (row_scan(&row, str_of(body), why, sizeof(why)) < 0)
        fail_msg("%s: %s", body, why);
    sobject_write(&to, a, d, &row, &scratch);
    CHECK(!to.failed);
    CHECK_STR(to.ptr, want);
    parsed = json_loadb(to.ptr, to.len, JSON_REJECT_DUPLICATES | JSON_DECODE_INT_AS_REAL, NULL);
    assert_non_null(parsed);
    json_decref(parsed);
    row_finish(&row);
    text_finish(&to);
    text_finish(&scratch);
}

static void check_written(const struct action *a, const char *body, const char *want)
{
    check_known(a, NULL, body, want);
}

static void a_record_is_written_as_salesforce_takes_it(void **state)
{
    char want[400];

    (void)state;
    for (size_t i = 0; i < sizeof(written) / sizeof(written[0]); i++) {
        snprintf(want, sizeof(want), HEAD "%s", written[i].fields);
        check_written(&upsert, written[i].body, want);
    }
}

/* What goes into a text field by CSV must not be refused by JSON: an order number is digits to many
 * a map. */
static void what_goes_into_a_text_field_is_a_text(void **state)
{
    struct field_info fields[] = { { .name = (char *)"Amount" },
                                   { .name = (char *)"Ext__c", .length = 255 },
                                   { .name = (char *)"Name", .length = 120 } };
    struct description d = { .fields = fields, .n = 3 };

    (void)state;
    check_known(&upsert, &d, "{\"ext__c\":0,\"Name\":true,\"Amount\":19.90,\"Else__c\":1}",
                HEAD ",\"ext__c\":\"0\",\"Name\":\"true\",\"Amount\":19.90,\"Else__c\":1}");
    check_known(&upsert, &d, "{\"Ext__c\":null,\"Name\":\"x\"}",
                HEAD ",\"Ext__c\":null,\"Name\":\"x\"}");
}

static void an_update_names_its_record_by_id(void **state)
{
    (void)state;
    check_written(&update, "{\"Id\":\"0035g00000Tst01AAB\",\"LastName\":\"x\"}",
                  HEAD ",\"id\":\"0035g00000Tst01AAB\",\"LastName\":\"x\"}");
}

static void a_parent_of_two_keys_is_refused(void **state)
{
    static const struct {
        const char *body;
        bool twofold;
    } table[] = {
        { "{\"Account\":{\"A__c\":1},\"Owner\":{\"Email\":\"x\"},\"A__c\":1}", false },
        { "{\"Account\":{\"A__c\":1},\"account.B__c\":1}", true },
        { "{\"Lead:Who.Email\":1,\"who\":1}", true },
    };
    struct row row = { 0 };
    char why[600];

    (void)state;
    for (size_t i = 0; i < 3; i++) {
        CHECK_EQ(row_scan(&row, str_of(table[i].body), why, sizeof(why)), SL_OK);
        CHECK_EQ(sobject_is_twofold(&row, why, sizeof(why)), table[i].twofold);
    }
    CHECK_STR(why, "field Lead:Who: a parent is named by exactly one key field");
    row_finish(&row);
}

/* ---- reading ------------------------------------------------------------------------------- */

static const struct {
    const char *array;
    long n;               /* -1: no array */
    const char *elements; /* joined by | */
} arrays[] = {
    { "[]", 0, "" },
    { " [ ] \n", 0, "" },
    { "[1]", 1, "1|" },
    { "[{\"id\":\"a]\\\"\",\"e\":[{},[]]} , null,\"x,y\"]", 3,
      "{\"id\":\"a]\\\"\",\"e\":[{},[]]} |null|\"x,y\"|" },
    { "[{\"a\":1}\n]", 1, "{\"a\":1}\n|" },
    { "", -1, NULL },
    { "   ", -1, NULL },
    { "{}", -1, NULL },
    { "<html>", -1, NULL },
    { "[1", -1, NULL },
    { "[1,", -1, NULL },
    { "[1,]", -1, NULL },
    { "[,1]", -1, NULL },
    { "[1]]", -1, NULL },
    { "[1] x", -1, NULL },
    { "[}]", -1, NULL },
    { "[1}", -1, NULL },
    { "[\"a]", -1, NULL },
    { "[\"a\\", -1, NULL },
    { "[{\"a\":1", -1, NULL },
    { "[[]", -1, NULL },
};

static void the_elements_of_an_answer_are_found_or_it_is_torn(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(arrays) / sizeof(arrays[0]); i++) {
        size_t len = strlen(arrays[i].array);
        char *exact = malloc(len + 1); /* nothing behind it may be read */
        struct elements e;
        char joined[200] = "";
        sl_str one;
        long n;

        memcpy(exact, arrays[i].array, len);
        n = elements_open(&e, (sl_str){ exact, len });
        if (n != arrays[i].n)
            fail_msg("%s: %ld", arrays[i].array, n);
        while (n >= 0 && elements_next(&e, &one))
            snprintf(joined + strlen(joined), sizeof(joined) - strlen(joined), "%.*s|",
                     (int)one.len, one.ptr);
        if (n >= 0)
            CHECK_STR(joined, arrays[i].elements);
        free(exact);
    }
}

static void a_cut_answer_is_never_taken_for_a_whole_one(void **state)
{
    static const char whole[] =
        "[{\"id\":\"003\",\"success\":true,\"errors\":[],\"created\":true},{\"success\":false,"
        "\"errors\":[{\"statusCode\":\"X\",\"message\":\"a \\\"b\\\" [c]\",\"fields\":[]}]}]";
    struct elements e;

    (void)state;
    for (size_t len = 0; len < sizeof(whole) - 1; len++) {
        char *exact = malloc(len + 1);

        memcpy(exact, whole, len);
        CHECK_EQ(elements_open(&e, (sl_str){ exact, len }), -1);
        free(exact);
    }
    CHECK_EQ(elements_open(&e, str_of(whole)), 2);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_record_is_written_as_salesforce_takes_it),
        cmocka_unit_test(what_goes_into_a_text_field_is_a_text),
        cmocka_unit_test(an_update_names_its_record_by_id),
        cmocka_unit_test(a_parent_of_two_keys_is_refused),
        cmocka_unit_test(the_elements_of_an_answer_are_found_or_it_is_torn),
        cmocka_unit_test(a_cut_answer_is_never_taken_for_a_whole_one),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
