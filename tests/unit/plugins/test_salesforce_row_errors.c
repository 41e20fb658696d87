/*
 * test_salesforce_row_errors.c - what becomes of a refused record, and what its operator reads.
 */
#include "rows/row_errors.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "fake_host.h"
#include "rows/duplicates.h"

static const struct row_about contact = { "Contact", "Ext__c" };

static struct row_verdict judged(const char *sf_error, const struct row_about *about)
{
    struct row_refusal r;
    struct row_verdict v;

    row_refusal_parse(fake_str(sf_error), &r);
    row_refusal_judge(&r, about, &v);
    return v;
}

/* ---- taken apart --------------------------------------------------------------------------- */

static void check_parts(const char *sf_error, const char *code, const char *message,
                        const char *fields)
{
    struct row_refusal r;
    char list[200] = "";

    row_refusal_parse(fake_str(sf_error), &r);
    CHECK_VIEW(r.code, code);
    CHECK_VIEW(r.message, message);
    for (size_t i = 0; i < r.n_fields; i++)
        snprintf(list + strlen(list), sizeof(list) - strlen(list), "%s%.*s", i ? "|" : "",
                 (int)r.fields[i].len, r.fields[i].ptr);
    CHECK_STR(list, fields);
}

static void a_bulk_row_error_has_a_code_a_message_and_fields(void **state)
{
    (void)state;
    check_parts("REQUIRED_FIELD_MISSING:Required fields are missing: [Name]:Name --",
                "REQUIRED_FIELD_MISSING", "Required fields are missing: [Name]", "Name");
    check_parts(
        "DUPLICATE_VALUE:duplicate value found: Ext__c duplicates value on record with "
        "id: 0015g:--",
        "DUPLICATE_VALUE",
        "duplicate value found: Ext__c duplicates value on record with id: 0015g", "");
    check_parts("X_Y:a, b:First__c, Second__c,Third --", "X_Y", "a, b", "First__c|Second__c|Third");
    check_parts("FIELD_CUSTOM_VALIDATION_EXCEPTION:No: never, \"ever\":--",
                "FIELD_CUSTOM_VALIDATION_EXCEPTION", "No: never, \"ever\"", "");
    /* what only looks like a list of fields is the message's */
    check_parts("X_Y:is it: so that? --", "X_Y", "is it: so that? --", "");
    check_parts("X_Y:cut off in the mid", "X_Y", "cut off in the mid", "");
    check_parts("X_Y", "X_Y", "", "");
    check_parts("X_Y:--", "X_Y", "--", "");
    check_parts("X_Y::--", "X_Y", "", "");
    check_parts("no code at all: x", "", "no code at all: x", "");
    check_parts("", "", "", "");
}

static void every_cut_of_a_row_error_is_read_without_harm(void **state)
{
    static const char whole[] =
        "STRING_TOO_LONG:LastName: data value too large: x "
        "(max length=80):LastName, A --";

    (void)state;
    for (size_t n = 0; n < sizeof(whole); n++) {
        char *cut = malloc(n ? n : 1); /* so that a sanitizer sees a read behind the end */
        struct row_refusal r;
        struct row_verdict v;

        memcpy(cut, whole, n);
        row_refusal_parse((sl_str){ cut, n }, &r);
        row_refusal_judge(&r, &contact, &v);
        CHECK_EQ(v.kind, SL_REJECTED);
        CHECK(v.why[0]);
        row_verdict_finish(&v);
        free(cut);
    }
}

/* ---- what becomes of it -------------------------------------------------------------------- */

static void row_errors_say_what_becomes_of_the_record(void **state)
{
    static const struct {
        const char *error;
        uint32_t kind;
        bool narrow;
    } table[] = {
        { "UNABLE_TO_LOCK_ROW:unable to obtain exclusive access to this record: 001:--", SL_RETRY,
          true },
        { "SERVER_UNAVAILABLE:x:--", SL_RETRY, false },
        { "REQUEST_RUNNING_TOO_LONG:x:--", SL_RETRY, true },
        { "LIMIT_EXCEEDED:x:--", SL_RETRY, true },
        { "STORAGE_LIMIT_EXCEEDED:storage limit exceeded:--", SL_RETRY, false },
        { "UNKNOWN_EXCEPTION:An unexpected error occurred. 123-456 (99):--", SL_RETRY, false },
        { "ALL_OR_NONE_OPERATION_ROLLED_BACK:x:--", SL_RETRY, false },
        { "PROCESSING_HALTED:x:--", SL_RETRY, false },
        { "INVALID_FIELD:Foreign key external ID: 1580 not found for field Ext__c in entity "
          "User:--",
          SL_RETRY, false },
        { "INVALID_FIELD:No such column 'Foo__c' on entity 'Contact':--", SL_REJECTED, false },
        { "CANNOT_INSERT_UPDATE_ACTIVATE_ENTITY:T: execution of AfterInsert caused by: "
          "System.DmlException: UNABLE_TO_LOCK_ROW:--",
          SL_RETRY, true },
        { "CANNOT_INSERT_UPDATE_ACTIVATE_ENTITY:T: System.LimitException: Too many SOQL queries: "
          "101:--",
          SL_RETRY, true },
        { "CANNOT_INSERT_UPDATE_ACTIVATE_ENTITY:T: execution of AfterInsert:--", SL_REJECTED,
          false },
        { "DUPLICATES_DETECTED:Use one of these records?:--", SL_REVIEW, false },
        { "DUPLICATE_EXTERNAL_ID:Ext__c: more than one record found:--", SL_REVIEW, false },
        { "DUPLICATE_VALUE:duplicate value found: Tax_Id__c duplicates value on record with id: "
          "0015g:--",
          SL_REJECTED, false },
        { "DUPLICATE_VALUE:duplicate value found: Ext__c duplicates value on record with id: "
          "0015g:--",
          SL_RETRY, false }, /* the key of the upsert: it was made meanwhile */
        { "DUPLICATE_VALUE:Duplicate external id specified: x:Ext__c --", SL_RETRY, true },
        { "INVALID_CROSS_REFERENCE_KEY:invalid cross reference id:--", SL_REJECTED, false },
        { "FIELD_CUSTOM_VALIDATION_EXCEPTION:says UNABLE_TO_LOCK_ROW:--", SL_REJECTED, false },
        { "UNABLE_TO_LOCK_ROW_NOT:x", SL_REJECTED, false },
        { "", SL_REJECTED, false },
    };

    (void)state;
    for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
        struct row_verdict v = judged(table[i].error, &contact);

        if (v.kind != table[i].kind || v.narrow != table[i].narrow)
            fail_msg("%s: kind %u, narrow %d", table[i].error, v.kind, v.narrow);
        row_verdict_finish(&v);
    }
}

static void a_full_storage_is_not_asked_again_every_second(void **state)
{
    struct row_verdict v = judged("STORAGE_LIMIT_EXCEEDED:storage limit exceeded:--", &contact);

    (void)state;
    CHECK_EQ(v.after_ms, 900000);
    CHECK_HAS(v.why, "storage is full");
}

static void a_deleted_record_is_told_apart_for_whoever_deletes(void **state)
{
    struct row_verdict v = judged("ENTITY_IS_DELETED:entity is deleted:--", &contact);

    (void)state;
    CHECK_EQ(v.kind, SL_REJECTED);
    CHECK(v.gone);
    CHECK_HAS(v.why, "recycle bin");
}

/* ---- the words ----------------------------------------------------------------------------- */

static void the_operator_reads_which_field_and_what_to_do(void **state)
{
    static const struct {
        const char *object, *error, *why;
    } table[] = {
        { "Opportunity",
          "REQUIRED_FIELD_MISSING:Required fields are missing: [StageName]:StageName --",
          "REQUIRED_FIELD_MISSING: Opportunity needs StageName: let the route's map set it, or the "
          "admin give it a default (Salesforce: Required fields are missing: [StageName])" },
        { "Opportunity", "REQUIRED_FIELD_MISSING:Required fields are missing: [Name, CloseDate]:--",
          "Opportunity needs Name, CloseDate: let" },
        { "Contact",
          "STRING_TOO_LONG:Last Name: data value too large: xxxx (max length=80):LastName --",
          "LastName of Contact takes at most 80 characters" },
        { "Opportunity",
          "INVALID_OR_NULL_FOR_RESTRICTED_PICKLIST:bad value for restricted picklist field: "
          "Won:StageName --",
          "StageName of Opportunity takes listed values only" },
        { "Contact", "INVALID_EMAIL_ADDRESS:Email: invalid email address: a@b:Email --",
          "Email is no e-mail address to Salesforce" },
        { "Order", "FIELD_CUSTOM_VALIDATION_EXCEPTION:Orders need a PO number:PO__c --",
          "a validation rule of Order refuses it; the rule's words are the admin's (Salesforce: "
          "Orders need a PO number)" },
        { "Contact", "INVALID_CROSS_REFERENCE_KEY:invalid cross reference id:AccountId --",
          "AccountId names a record that is not there" },
        { "Contact", "INSUFFICIENT_ACCESS_OR_READONLY:insufficient access rights on object id:--",
          "the integration user may not write this Contact" },
        { "Contact",
          "INSUFFICIENT_ACCESS_ON_CROSS_REFERENCE_ENTITY:insufficient access:AccountId --",
          "may not use the record that AccountId names" },
        { "PricebookEntry", "STANDARD_PRICE_NOT_DEFINED:No standard price defined:--",
          "no entry in the standard price book: create that one first" },
        { "OrderItem", "FIELD_INTEGRITY_EXCEPTION:field integrity exception:PricebookEntryId --",
          "PricebookEntryId of OrderItem does not go with the rest of the record (price book, "
          "currency" },
        { "Account", "FIELD_INTEGRITY_EXCEPTION:There's a problem with this state:BillingState --",
          "or is not in the org's list of states and countries" },
        { "Lead", "OP_WITH_INVALID_USER_TYPE_EXCEPTION:operation with invalid user type:OwnerId --",
          "the user named cannot own a Lead" },
        { "Account", "INACTIVE_OWNER_OR_USER:operation performed with inactive user:OwnerId --",
          "the owner is an inactive user" },
        { "Contact",
          "INVALID_FIELD:Foreign key external ID: acc-9 not found for field Ext__c in entity "
          "Account:--",
          "name that one in this route's `after` (Salesforce: Foreign key external ID: acc-9" },
        { "Contact", "SOMETHING_NEW:never seen:Field__c --",
          "SOMETHING_NEW: never seen (Field__c)" },
        { "Contact", "plain words", "plain words" },
        { "Contact", "", "Salesforce refuses it and does not say why" },
    };

    (void)state;
    for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
        struct row_about about = { table[i].object, NULL };
        struct row_verdict v = judged(table[i].error, &about);

        CHECK_HAS(v.why, table[i].why);
        row_verdict_finish(&v);
    }
}

/* ---- answers as JSON ----------------------------------------------------------------------- */

static struct row_verdict judged_json(const char *json, const struct row_about *about)
{
    json_t *errors = json_loads(json, 0, NULL);
    struct row_verdict v;

    assert_non_null(errors);
    row_errors_judge(errors, about, &v);
    json_decref(errors);
    return v;
}

static void json_errors_are_read_under_both_names_of_the_code(void **state)
{
    struct row_verdict v = judged_json(
        "[{\"statusCode\":\"REQUIRED_FIELD_MISSING\",\"message\":"
        "\"Required fields are missing: [LastName]\",\"fields\":["
        "\"LastName\"]}]",
        &contact);

    (void)state;
    CHECK_EQ(v.kind, SL_REJECTED);
    CHECK_HAS(v.why, "Contact needs LastName");
    row_verdict_finish(&v);
    v = judged_json("[{\"errorCode\":\"UNABLE_TO_LOCK_ROW\",\"message\":\"x\",\"fields\":[]}]",
                    &contact);
    CHECK_EQ(v.kind, SL_RETRY);
    CHECK(v.narrow);
    row_verdict_finish(&v);
}

static void of_several_errors_the_gravest_counts(void **state)
{
    struct row_verdict v = judged_json(
        "[{\"statusCode\":\"UNABLE_TO_LOCK_ROW\",\"message\":\"x\"},"
        "{\"statusCode\":\"STRING_TOO_LONG\",\"message\":\"(max length=40)\",\"fields\":"
        "[\"FirstName\"]},{\"statusCode\":\"DUPLICATES_DETECTED\",\"message\":\"y\"}]",
        &contact);

    (void)state;
    CHECK_EQ(v.kind, SL_REJECTED);
    CHECK_HAS(v.why, "FirstName of Contact takes at most 40 characters");
    CHECK_HAS(v.why, "; 2 more errors");
    row_verdict_finish(&v);
}

static void answers_of_another_form_are_rejected_as_they_stand(void **state)
{
    static const char *const odd[] = { "[]",
                                       "{}",
                                       "[1]",
                                       "[{}]",
                                       "[{\"message\":7}]",
                                       "[{\"statusCode\":\"DUPLICATES\",\"duplicateResut\":[]}]" };

    (void)state;
    for (size_t i = 0; i < sizeof(odd) / sizeof(odd[0]); i++) {
        struct row_verdict v = judged_json(odd[i], &contact);

        CHECK_EQ(v.kind, SL_REJECTED);
        CHECK(v.why[0]);
        row_verdict_finish(&v);
    }
}

/* ---- duplicates ---------------------------------------------------------------------------- */

#define ID_A "0035g00000Tst01AAB"
#define ID_B "0035g00000Tst02AAB"
#define MATCH(id, more)                                                                    \
    "{\"additionalInformation\":[],\"fieldDiffs\":[],\"matchConfidence\":100,\"record\":{" \
    "\"attributes\":{\"type\":\"Contact\",\"url\":\"/x/" id "\"},\"Id\":\"" id "\"" more "}}"
#define DUPLICATES(key, save, matches)                                                   \
    "[{\"" key "\":{\"allowSave\":" save                                                 \
    ",\"duplicateRule\":\"Contacts_DR\","                                                \
    "\"duplicateRuleEntityType\":\"Contact\",\"errorMessage\":\"m\",\"matchResults\":[{" \
    "\"entityType\":\"Contact\",\"errors\":[],\"matchEngine\":\"ExactMatchEngine\","     \
    "\"matchRecords\":[" matches                                                         \
    "],\"rule\":\"Contact_MR\",\"size\":1,\"success\":true}]},"                          \
    "\"errorCode\":\"DUPLICATES_DETECTED\",\"message\":\"You're creating a duplicate record\"}]"

/* The names of the choices and what they do: "use:0035g...=release ..." */
static void check_choices(const struct row_verdict *v, const char *want)
{
    json_t *choices = json_loadb(v->choices.ptr, v->choices.len, 0, NULL), *c;
    char got[800] = "";
    size_t i;

    json_array_foreach(choices, i, c)
    {
        const char *name = json_string_value(json_object_get(c, "name"));
        const char *does = json_string_value(json_object_get(c, "do"));

        snprintf(got + strlen(got), sizeof(got) - strlen(got), "%s%s=%s", i ? " " : "", name, does);
    }
    CHECK_STR(got, want);
    json_decref(choices);
}

static void duplicates_are_offered_as_choices_under_either_spelling(void **state)
{
    static const char *const bodies[] = {
        DUPLICATES("duplicateResut", "false", MATCH(ID_A, "") "," MATCH(ID_B, "")),
        DUPLICATES("duplicateResult", "false", MATCH(ID_A, "") "," MATCH(ID_B, "")),
    };

    (void)state;
    for (size_t i = 0; i < 2; i++) {
        struct row_verdict v = judged_json(bodies[i], &contact);

        CHECK_EQ(v.kind, SL_REVIEW);
        CHECK_STR(v.hold_type, "contact-merge");
        check_choices(&v, "use:" ID_A "=release use:" ID_B
                          "=release release=release "
                          "reject=reject");
        CHECK_HAS(v.choices.ptr, "it is Contact " ID_A " (Contact_MR)");
        CHECK_HAS(v.evidence.ptr, "\"duplicate_rule\":\"Contacts_DR\"");
        CHECK_HAS(v.evidence.ptr, "{\"id\":\"" ID_B
                                  "\",\"object\":\"Contact\",\"rule\":"
                                  "\"Contact_MR\",\"confidence\":100}");
        row_verdict_finish(&v);
    }
}

static void saving_beside_them_is_offered_only_where_the_rule_allows_it(void **state)
{
    struct row_verdict v = judged_json(
        DUPLICATES("duplicateResut", "true",
                   MATCH(ID_A, ",\"Email\":\"ada@example.com\",\"Name\":\"Ada Lovelace\"")),
        &contact);

    (void)state;
    check_choices(&v, "use:" ID_A "=release create=release release=release reject=reject");
    CHECK_HAS(v.choices.ptr,
              "it is Contact " ID_A ": Email ada@example.com, Name Ada Lovelace (Contact_MR)");
    row_verdict_finish(&v);
}

static void a_match_without_a_proper_id_is_no_choice_and_none_comes_twice(void **state)
{
    struct row_verdict v = judged_json(
        DUPLICATES("duplicateResut", "false",
                   MATCH("../../x", "") "," MATCH(ID_A, "") "," MATCH(ID_A, "") ",{},7"),
        &contact);

    (void)state;
    check_choices(&v, "use:" ID_A "=release release=release reject=reject");
    row_verdict_finish(&v);
}

static void hundreds_of_matches_stay_within_what_a_hold_carries(void **state)
{
    struct text json = { 0 };
    struct row_verdict v;

    (void)state;
    text_str(&json,
             "[{\"statusCode\":\"DUPLICATES_DETECTED\",\"message\":\"m\",\"duplicateResut\":"
             "{\"allowSave\":true,\"matchResults\":[{\"matchRecords\":[");
    for (int i = 0; i < 300; i++) {
        text_printf(&json, "%s{\"record\":{\"Id\":\"0035g00000Tst%05d\"", i ? "," : "", i);
        for (int k = 0; k < 20; k++)
            text_printf(&json, ",\"Field_%02d__c\":\"%0110d\"", k, k);
        text_str(&json, "}}");
    }
    text_str(&json, "]}]}}]");
    v = judged_json(json.ptr, &contact);
    CHECK_EQ(v.kind, SL_REVIEW);
    CHECK(v.choices.len > 1000 && v.choices.len < 16 << 10);
    CHECK(v.evidence.len > 1000 && v.evidence.len < 16 << 10);
    row_verdict_finish(&v);
    text_finish(&json);
}

static void a_key_of_several_records_offers_those_that_the_text_names(void **state)
{
    static const struct row_about account = { "Account", "Ext__c" };
    struct row_verdict v = judged(
        "DUPLICATE_EXTERNAL_ID:Ext__c: more than one record found for "
        "external id field: [" ID_A ", " ID_B "]:Ext__c --",
        &account);

    (void)state;
    CHECK_STR(v.hold_type, "duplicate");
    check_choices(&v, "use:" ID_A "=release use:" ID_B "=release release=release reject=reject");
    row_verdict_finish(&v);
}

static void a_bulk_row_without_matches_leaves_the_usual_choices(void **state)
{
    struct row_verdict v = judged("DUPLICATES_DETECTED:Use one of these records?:--", &contact);

    (void)state;
    CHECK_STR(v.hold_type, "contact-merge");
    CHECK_EQ(v.choices.len, 0);
    CHECK_EQ(v.evidence.len, 0);
    row_verdict_finish(&v);
}

static void a_choice_names_a_record_only_with_a_proper_id(void **state)
{
    (void)state;
    CHECK_VIEW(duplicates_chosen(fake_str("use:" ID_A)), ID_A);
    CHECK_VIEW(duplicates_chosen(fake_str("use:0035g00000Tst01")), "0035g00000Tst01");
    CHECK_EQ(duplicates_chosen(fake_str("use:")).len, 0);
    CHECK_EQ(duplicates_chosen(fake_str("use:../x")).len, 0);
    CHECK_EQ(duplicates_chosen(fake_str("use:" ID_A "x")).len, 0);
    CHECK_EQ(duplicates_chosen(fake_str("create")).len, 0);
    CHECK_EQ(duplicates_chosen(fake_str("")).len, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_bulk_row_error_has_a_code_a_message_and_fields),
        cmocka_unit_test(every_cut_of_a_row_error_is_read_without_harm),
        cmocka_unit_test(row_errors_say_what_becomes_of_the_record),
        cmocka_unit_test(a_full_storage_is_not_asked_again_every_second),
        cmocka_unit_test(a_deleted_record_is_told_apart_for_whoever_deletes),
        cmocka_unit_test(the_operator_reads_which_field_and_what_to_do),
        cmocka_unit_test(json_errors_are_read_under_both_names_of_the_code),
        cmocka_unit_test(of_several_errors_the_gravest_counts),
        cmocka_unit_test(answers_of_another_form_are_rejected_as_they_stand),
        cmocka_unit_test(duplicates_are_offered_as_choices_under_either_spelling),
        cmocka_unit_test(saving_beside_them_is_offered_only_where_the_rule_allows_it),
        cmocka_unit_test(a_match_without_a_proper_id_is_no_choice_and_none_comes_twice),
        cmocka_unit_test(hundreds_of_matches_stay_within_what_a_hold_carries),
        cmocka_unit_test(a_key_of_several_records_offers_those_that_the_text_names),
        cmocka_unit_test(a_bulk_row_without_matches_leaves_the_usual_choices),
        cmocka_unit_test(a_choice_names_a_record_only_with_a_proper_id),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
