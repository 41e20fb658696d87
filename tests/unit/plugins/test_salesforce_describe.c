/*
 * test_salesforce_describe.c - what an object is like: read, kept, and records checked against it
 * before they leave.
 */
#include "salesforce_fixture.h"

#include <stdlib.h>
#include <string.h>

#include "org/describe.h"

/* ---- reading ------------------------------------------------------------------------------- */

#define FIELD(name, type, more) \
    "{\"name\":\"" name "\",\"type\":\"" type "\",\"label\":\"a \\\"}],{ label\"," more "}"
#define WRITABLE "\"createable\":true,\"updateable\":true,\"nillable\":true"
#define OBJECT                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                     \
    "{\"actionOverrides\":[],\"childRelationships\":[{\"field\":\"X\",\"fields\":[1]}],"                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                           \
    "\"createable\":true,\"custom\":false,\"deletable\":false,\"fields\":[" FIELD("Id", "id",                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                      \
                                                                                  "\"createable\":false,\"updateable\":false,\"nillable\":false,"                                                                                                                                                                                                                                                                                                                                                                                                                                                                  \
                                                                                  "\"idLookup\":true,\"length\":18") "," FIELD("LastName",                                                                                                                                                                                                                                                                                                                                                                                                                                                                         \
                                                                                                                               "string",                                                                                                                                                                                                                                                                                                                                                                                                                                                                           \
                                                                                                                               "\"createable\":true,\"updateable\":true,\"nillable\":false,"                                                                                                                                                                                                                                                                                                                                                                                                                       \
                                                                                                                               "\"length\":10") "," FIELD("Description", "textarea", WRITABLE ",\"length\":32000") "," FIELD("Name", "string", "\"createable\":false,\"updateable\":false,\"length\":121") "," FIELD("ContactId",                                                                                                                                                                                                                                                                                  \
                                                                                                                                                                                                                                                                                                                     "reference",                                                                                                                                                                                                                                                                                  \
                                                                                                                                                                                                                                                                                                                     "\"createable\":true,\"updateable\":false,\"nillable\":true,"                                                                                                                                                                                                                                 \
                                                                                                                                                                                                                                                                                                                     "\"length\":18,\"relationshipName\":\"Contact\"") "," FIELD("WhoId",                                                                                                                                                                                                                          \
                                                                                                                                                                                                                                                                                                                                                                                 "reference",                                                                                                                                                                                                                      \
                                                                                                                                                                                                                                                                                                                                                                                 WRITABLE                                                                                                                                                                                                                          \
                                                                                                                                                                                                                                                                                                                                                                                 ",\"length\":18,\"referenceTo\":[\"Contact\",\"Lead\"],"                                                                                                                                                                          \
                                                                                                                                                                                                                                                                                                                                                                                 "\"relationshipName\":\"Who\"") "," FIELD("Active__c",                                                                                                                                                                            \
                                                                                                                                                                                                                                                                                                                                                                                                                           "boolean",                                                                                                                                                                              \
                                                                                                                                                                                                                                                                                                                                                                                                                           "\"createable\":true,\"updateable\":true,\"nillable\":false") "," FIELD("Amount", "currency", WRITABLE ",\"length\":0") "," FIELD(SF_KEY,                                               \
                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                             "string",                                             \
                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                             WRITABLE                                              \
                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                             ",\"length\":20,\"externalId\":true,\"unique\":true," \
                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                                             "\"idLookup\":true") "],\"keyPrefix\":\"003\",\"updateable\":true,\"urls\":{\"a\":\"}\"}}"

static int read_all(sl_str text, struct description *ret, int *ret_turns)
{
    struct reading r;
    int s = 1;

    CHECK_EQ(reading_open(&r, text), SL_OK);
    for (*ret_turns = 0; s > 0; ++*ret_turns)
        s = reading_turn(&r, ret);
    reading_finish(&r);
    return s;
}

static struct description object(void)
{
    struct description d = { 0 };
    int turns;

    CHECK_EQ(read_all(fake_str(OBJECT), &d, &turns), SL_OK);
    return d;
}

static void a_description_says_what_its_fields_are_like(void **state)
{
    struct description d = object();
    const struct field_info *f;

    (void)state;
    CHECK(d.createable && d.updateable && !d.deletable);
    CHECK_EQ(d.n, 9);
    f = description_field(&d, fake_str("lastNAME"));
    CHECK_STR(f->name, "LastName");
    CHECK_EQ(f->length, 10);
    CHECK_EQ(f->flags, FIELD_CREATEABLE | FIELD_UPDATEABLE | FIELD_REQUIRED);
    f = description_field(&d, fake_str(SF_KEY));
    CHECK_EQ(f->flags, FIELD_CREATEABLE | FIELD_UPDATEABLE | FIELD_EXTERNAL_ID | FIELD_ID_LOOKUP |
                           FIELD_UNIQUE);
    CHECK_EQ(description_field(&d, fake_str("ContactId"))->length, 0); /* no text */
    CHECK_EQ(description_field(&d, fake_str("Active__c"))->flags & FIELD_REQUIRED, 0);
    CHECK(description_field(&d, fake_str("LastNam")) == NULL);
    CHECK(description_field(&d, fake_str("LastNames")) == NULL);
    CHECK(description_field(&d, fake_str("")) == NULL);
    CHECK_STR(description_parent(&d, fake_str("contact"))->name, "ContactId");
    CHECK(description_parent(&d, fake_str("Lead:Who"))->polymorphic);
    CHECK(description_parent(&d, fake_str("Account")) == NULL);
    description_finish(&d);
}

static void every_cut_of_a_description_is_refused(void **state)
{
    static const char whole[] = OBJECT;

    (void)state;
    for (size_t n = 0; n < strlen(whole); n++) {
        char *cut = malloc(n ? n : 1);
        struct description d = { 0 };
        int turns;

        memcpy(cut, whole, n);
        CHECK_EQ(read_all((sl_str){ cut, n }, &d, &turns), SL_E_INVALID);
        description_finish(&d);
        free(cut);
    }
}

static void what_is_no_description_is_refused(void **state)
{
    static const char *const bad[] = { "[]",
                                       "{}",
                                       "<html>",
                                       "{\"fields\":{}}",
                                       "{\"fields\":[]}",
                                       "{\"fields\":[1]}",
                                       "{\"fields\":[{\"name\":\"A\"}}",
                                       "{\"fields\":[{\"name\":\"A\",}]}" };

    (void)state;
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        struct description d = { 0 };
        int turns;

        if (read_all(fake_str(bad[i]), &d, &turns) != SL_E_INVALID)
            fail_msg("%s", bad[i]);
        description_finish(&d);
    }
}

static void megabytes_are_read_in_many_turns(void **state)
{
    struct text big = { 0 };
    struct description d = { 0 };
    int turns;

    (void)state;
    text_str(&big, "{\"childRelationships\":[");
    for (int i = 0; i < 4000; i++)
        text_printf(&big, "%s{\"relationshipName\":\"Rel%d\",\"field\":\"x]}\"}", i ? "," : "", i);
    text_str(&big, "],\"fields\":[");
    for (int i = 0; i < 800; i++) {
        text_printf(&big,
                    "%s{\"name\":\"F%03d__c\",\"type\":\"string\",\"length\":%d,\"createable\":"
                    "true,\"picklistValues\":[",
                    i ? "," : "", i, i);
        for (int k = 0; k < 20; k++)
            text_printf(&big, "%s{\"value\":\"value number %d\",\"active\":true}", k ? "," : "", k);
        text_str(&big, "]}");
    }
    text_str(&big, "],\"updateable\":true}");
    CHECK_EQ(read_all(text_view(&big), &d, &turns), SL_OK);
    CHECK_EQ(d.n, 800);
    CHECK(turns > (int)(big.len >> 17)); /* none takes much more than 64 KiB */
    CHECK_EQ(description_field(&d, fake_str("f799__C"))->length, 799);
    CHECK(d.updateable);
    description_finish(&d);
    text_finish(&big);
}

/* ---- checking ------------------------------------------------------------------------------ */

static void check_one(enum operation op, const char *body, const char *want)
{
    struct action a = { .op = op, .object = (char *)"Contact", .external_id = (char *)SF_KEY };
    struct description d = object();
    struct row row = { 0 };
    char why[400] = "";

    CHECK_EQ(row_scan(&row, fake_str(body), why, sizeof(why)), SL_OK);
    if (description_check(&d, &a, &row, why, sizeof(why)) == SL_OK)
        why[0] = '\0';
    if (want[0])
        CHECK_HAS(why, want);
    else
        CHECK_STR(why, "");
    row_finish(&row);
    description_finish(&d);
}

static void a_text_that_is_too_long_is_named_with_its_maximum(void **state)
{
    (void)state;
    check_one(OP_UPSERT, "{\"LastName\":\"1234567890\"}", "");
    check_one(OP_UPSERT, "{\"LastName\":\"12345678901\"}",
              "Contact.LastName is 11 characters long and takes at most 10: shorten it in the "
              "route's map, such as .[0:10]");
    check_one(OP_UPSERT, "{\"lastname\":\"12345678901\"}", "Contact.LastName is 11 characters");
    check_one(OP_UPSERT, "{\"LastName\":12345678901}", ""); /* Salesforce says so itself */
    check_one(OP_UPSERT, "{\"LastName\":null}", "");
    check_one(OP_UPSERT, "{\"" SF_KEY "\":\"123456789012345678901\"}", "takes at most 20");
}

static void characters_are_utf16_units_as_salesforce_counts_them(void **state)
{
    (void)state;
    check_one(OP_UPSERT, "{\"LastName\":\"Nguyễn ễễễ\"}", ""); /* 10, in 18 bytes */
    check_one(OP_UPSERT, "{\"LastName\":\"😀😀😀😀😀\"}", "");
    check_one(OP_UPSERT, "{\"LastName\":\"😀😀😀😀😀x\"}", "is 11 characters long");
    check_one(OP_UPSERT, "{\"LastName\":\"\\u0041\\n\\\"\\\\\\u1ec5\\t6789\"}", "");
    check_one(OP_UPSERT,
              "{\"LastName\":\"\\ud83d\\ude00\\ud83d\\ude00\\u0041\\u0041\\u0041\\u0041"
              "\\u0041\\u0041\"}",
              "");
    check_one(OP_UPSERT,
              "{\"LastName\":\"\\ud83d\\ude00\\ud83d\\ude00\\u0041\\u0041\\u0041\\u0041"
              "\\u0041\\u0041\\u0041\"}",
              "is 11 characters long");
    check_one(OP_UPSERT, "{\"LastName\":\"12\\r\\n45\\r\\n789\"}", ""); /* line breaks go as LF */
}

static void fields_that_are_not_there_or_not_ours_are_named(void **state)
{
    (void)state;
    check_one(OP_UPSERT, "{\"Foo__c\":\"x\"}",
              "Contact has no field Foo__c, or the integration user has no access to it");
    check_one(OP_UPSERT, "{\"Name\":\"x\"}", "Contact.Name cannot be written");
    check_one(OP_UPSERT, "{\"ContactId\":\"x\"}", ""); /* when it is created */
    check_one(OP_UPDATE, "{\"Id\":\"x\",\"ContactId\":\"x\"}",
              "Contact.ContactId cannot be written");
    check_one(OP_UPDATE, "{\"Id\":\"x\",\"LastName\":\"y\"}", "");
    check_one(OP_INSERT, "{\"ContactId\":\"x\"}", "");
    check_one(OP_DELETE, "{\"Id\":\"x\"}", "");
}

static void parents_are_known_by_their_relationship(void **state)
{
    (void)state;
    check_one(OP_UPSERT, "{\"Contact\":{\"Email\":\"a@b.example\"}}", "");
    check_one(OP_UPSERT, "{\"Lead:Who\":{\"Email\":\"a@b.example\"}}", "");
    check_one(OP_UPSERT, "{\"Acount\":{\"Ext__c\":\"a\"}}",
              "Contact has no parent called Acount: correct it in the route's map");
    check_one(OP_UPSERT, "{\"Contact:Contact\":{\"Email\":\"a@b.example\"}}",
              "write {\"Contact\": {...}} in the route's map, without its type");
}

/* ---- deliveries ---------------------------------------------------------------------------- */

#define DESCRIBE SF_BASE "/services/data/v66.0/sobjects/Contact/describe"
#define LONG_ROW "{\"" SF_KEY "\":\"a\",\"LastName\":\"12345678901\"}"

static struct fake_setting settings[] = {
    { "instance", SF_BASE },
    { "login", SF_LOGIN },
    { "auth.client_id", "key" },
    { "auth.username", "u" },
    { "auth.key", NULL },
    { "limits_every", "0s" },
    { 0 },
};

/* The fixture's endpoint, opened anew with descriptions on. */
static void with_descriptions(struct sf_fixture *x)
{
    fake_host_close(x->host, x->plugin, x->self);
    fake_host_destroy(x->host);
    settings[4].value = sf_pem();
    x->host = fake_host_create("crm", x->plugin->settings, settings);
    x->self = fake_host_open(x->host, x->plugin);
}

static void expect_describe(struct sf_fixture *x, uint32_t status, const char *answer)
{
    FAKE_EXPECT(x->host, .method = "GET", .url = DESCRIBE, .headers = SF_BEARER, .status = status,
                .answer = answer, .delay_ms = 100);
}

static void expect_busy_job(struct sf_fixture *x)
{
    FAKE_EXPECT(x->host, .method = "POST", .url = SF_JOBS, .status = 503);
}

static void a_long_record_is_refused_before_the_upload_and_the_others_go(void **state)
{
    struct sf_fixture *x = *state;

    with_descriptions(x);
    sf_expect_token(x);
    expect_describe(x, 200, OBJECT);
    sf_expect_sent(x, SF_ID, SF_JOB, SF_KEY "\nb\n");
    sf_expect_state(x, SF_JOB, "JobComplete");
    sf_expect_results(x, SF_JOB, SF_OK_HEAD SF_B_OK, NULL, NULL);
    sf_deliver(x, SF_BODIES(LONG_ROW, SF_ROW("b")), NULL);
    fake_host_run(x->host);
    CHECK(x->done.finished);
    CHECK_EQ(x->done.outcomes[0].kind, SL_REJECTED);
    CHECK_HAS(x->done.outcomes[0].why,
              "Contact.LastName is 11 characters long and takes at most 10");
    CHECK_EQ(x->done.outcomes[1].kind, SL_DELIVERED);
}

static void an_unknown_field_costs_no_job(void **state)
{
    struct sf_fixture *x = *state;

    with_descriptions(x);
    sf_expect_token(x);
    expect_describe(x, 200, OBJECT);
    sf_deliver(x, SF_BODIES("{\"" SF_KEY "\":\"a\",\"Foo__c\":1}"), NULL);
    fake_host_run(x->host);
    sf_check_all(x, SL_REJECTED);
    CHECK_HAS(x->done.outcomes[0].why, "Contact has no field Foo__c");
}

static void it_is_asked_once_and_anew_after_an_hour(void **state)
{
    struct sf_fixture *x = *state;

    with_descriptions(x);
    sf_expect_token(x);
    expect_describe(x, 200, OBJECT);
    expect_busy_job(x);
    sf_deliver(x, SF_TWO, NULL);
    fake_host_run(x->host);
    expect_busy_job(x);
    sf_deliver(x, SF_TWO, NULL);
    fake_host_run(x->host);
    fake_host_run_for(x->host, 3600000);
    expect_describe(x, 200, OBJECT);
    expect_busy_job(x);
    sf_deliver(x, SF_TWO, NULL);
    fake_host_run(x->host);
    sf_check_all(x, SL_RETRY);
}

static void two_batches_wait_for_one_description(void **state)
{
    struct sf_fixture *x = *state;
    sl_record record = { .size = sizeof(record), .request = fake_str(SF_ROW("c")) };
    sl_batch batch = { .size = sizeof(batch), .id = 8, .records = &record, .n_records = 1 };
    struct fake_done other;

    with_descriptions(x);
    sf_expect_token(x);
    expect_describe(x, 200, OBJECT);
    expect_busy_job(x);
    expect_busy_job(x);
    sf_deliver(x, SF_TWO, NULL);
    fake_done_init(&other, x->host, 1);
    x->plugin->deliver(x->self, x->handle, &batch, &other.done);
    fake_host_run(x->host);
    CHECK(other.finished);
    sf_check_all(x, SL_RETRY);
    fake_done_finish(&other);
}

static void one_that_cannot_be_had_holds_nothing_up_and_is_not_asked_for_at_once(void **state)
{
    static const struct {
        uint32_t status;
        const char *answer;
    } bad[] = { { 500, "" }, { 403, "[]" }, { 404, SF_GONE }, { 200, "<html>" }, { 200, "" } };
    struct sf_fixture *x = *state;

    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        with_descriptions(x);
        sf_expect_token(x);
        expect_describe(x, bad[i].status, bad[i].answer);
        expect_busy_job(x);
        sf_deliver(x, SF_TWO, NULL);
        fake_host_run(x->host);
        sf_check_all(x, SL_RETRY);
        expect_busy_job(x);
        sf_deliver(x, SF_BODIES(LONG_ROW), NULL); /* unchecked */
        fake_host_run(x->host);
        sf_check_all(x, SL_RETRY);
        fake_done_finish(&x->done);
        x->done.host = NULL;
    }
}

static void who_mended_the_field_is_believed_after_a_refusal(void **state)
{
    struct sf_fixture *x = *state;

    with_descriptions(x);
    sf_expect_token(x);
    expect_describe(x, 200, OBJECT);
    sf_deliver(x, SF_BODIES(LONG_ROW), NULL);
    fake_host_run(x->host);
    sf_check_all(x, SL_REJECTED);
    fake_host_run_for(x->host, 15000); /* the admin makes it longer */
    expect_describe(x, 200,
                    "{\"createable\":true,\"updateable\":true,\"fields\":[" FIELD(
                        "LastName", "string", WRITABLE ",\"length\":80") "," FIELD(SF_KEY, "string",
                                                                                   WRITABLE) "]}");
    expect_busy_job(x);
    sf_deliver(x, SF_BODIES(LONG_ROW), NULL);
    fake_host_run(x->host);
    sf_check_all(x, SL_RETRY);
}

static void a_row_refused_for_its_fields_puts_the_description_in_doubt(void **state)
{
    struct sf_fixture *x = *state;

    with_descriptions(x);
    sf_expect_token(x);
    expect_describe(x, 200, OBJECT);
    sf_expect_sent(x, SF_ID, SF_JOB, SF_TWO_CSV);
    sf_expect_state(x, SF_JOB, "JobComplete");
    sf_expect_results(x, SF_JOB, SF_OK_HEAD SF_B_OK,
                      SF_FAIL_HEAD
                      "\"\",\"STRING_TOO_LONG:x: data value too large: x (max "
                      "length=5):LastName --\",\"a\"\n",
                      NULL);
    sf_deliver(x, SF_TWO, NULL);
    fake_host_run(x->host);
    fake_host_run_for(x->host, 15000);
    expect_describe(x, 200, OBJECT);
    expect_busy_job(x);
    sf_deliver(x, SF_TWO, NULL);
    fake_host_run(x->host);
    sf_check_all(x, SL_RETRY);
}

static void a_host_that_closes_meanwhile_leaves_the_batch_to_the_next(void **state)
{
    struct sf_fixture *x = *state;

    with_descriptions(x);
    sf_expect_token(x);
    FAKE_EXPECT(x->host, .method = "GET", .url = DESCRIBE, .never = true);
    sf_deliver(x, SF_TWO, NULL);
    fake_host_run(x->host);
    CHECK(!x->done.finished);
    sf_close(x);
    CHECK(!x->done.finished);
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, sf_setup, sf_teardown)
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_description_says_what_its_fields_are_like),
        cmocka_unit_test(every_cut_of_a_description_is_refused),
        cmocka_unit_test(what_is_no_description_is_refused),
        cmocka_unit_test(megabytes_are_read_in_many_turns),
        cmocka_unit_test(a_text_that_is_too_long_is_named_with_its_maximum),
        cmocka_unit_test(characters_are_utf16_units_as_salesforce_counts_them),
        cmocka_unit_test(fields_that_are_not_there_or_not_ours_are_named),
        cmocka_unit_test(parents_are_known_by_their_relationship),
        TEST(a_long_record_is_refused_before_the_upload_and_the_others_go),
        TEST(an_unknown_field_costs_no_job),
        TEST(it_is_asked_once_and_anew_after_an_hour),
        TEST(two_batches_wait_for_one_description),
        TEST(one_that_cannot_be_had_holds_nothing_up_and_is_not_asked_for_at_once),
        TEST(who_mended_the_field_is_believed_after_a_refusal),
        TEST(a_row_refused_for_its_fields_puts_the_description_in_doubt),
        TEST(a_host_that_closes_meanwhile_leaves_the_batch_to_the_next),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
