/*
 * test_salesforce_contacts.c - contact.upsert: known people are updated, new ones created, and of
 * who could be several a person is asked, once.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "match/contact.h"
#include "match/record.h"
#include "salesforce_fixture.h"

#define QUERIES   SF_BASE "/services/data/v66.0/jobs/query"
#define COMPOSITE SF_BASE "/services/data/v66.0/composite/sobjects"
#define BY_KEY    COMPOSITE "/Contact/" SF_KEY
#define CREATED   "\"createdDate\":\"2026-11-20T09:15:32.000+0000\""

#define ANNA  "0035g00000Anna1AAA"
#define EVA1  "0035g00000Eva01AAA"
#define EVA2  "0035g00000Eva02AAA"
#define MADE  "0035g00000Made1AAA"
#define MADE2 "0035g00000Made2AAA"
#define ACME  "0015g00000Acme1AAA"

#define ACCOUNTS                                                       \
    "\"Id\",\"Name\",\"Website\",\"IsDeleted\",\"Tax_Id__c\"\n\"" ACME \
    "\",\"Acme GmbH\",\"https://www.acme.example\",\"false\",\"DE123456789\"\n"
#define CONTACT_HEAD                                                                       \
    "\"Id\",\"FirstName\",\"LastName\",\"Email\",\"Phone\",\"MobilePhone\",\"AccountId\"," \
    "\"MailingCountry\",\"CreatedDate\",\"IsDeleted\",\"MasterRecordId\",\"" SF_KEY "\"\n"
#define CONTACT(id, first, last, email, account, key)                          \
    "\"" id "\",\"" first "\",\"" last "\",\"" email "\",\"\",\"\",\"" account \
    "\",\"\",\"2024-01-01T00:00:00.000Z\",\"false\",\"\",\"" key "\"\n"
#define CONTACTS                                                                 \
    CONTACT_HEAD CONTACT(ANNA, "Anna", "Schmidt", "anna@acme.example", ACME, "") \
        CONTACT(EVA1, "Eva", "Twin", "eva@gmx.de", "", "")                       \
            CONTACT(EVA2, "Eva", "Twin", "eva@gmx.de", "", "77")

static void use(struct sf_fixture *x, const char *guests)
{
    struct fake_setting params[] = { { "guests", guests }, { 0 } };

    sf_use(x, "contact.upsert", params, NULL);
}

static void expect_query(struct sf_fixture *x, const char *id, const char *asks, const char *rows,
                         const char *n)
{
    static char urls[16][200], heads[16][100];
    static size_t used;
    char *url = urls[used], *results = urls[used + 1], *head = heads[used];

    used = (used + 2) % 16;
    snprintf(url, 200, QUERIES "/%s", id);
    snprintf(results, 200, QUERIES "/%s/results?maxRecords=10000", id);
    snprintf(head, 100, "Sforce-NumberOfRecords: %s\nSforce-Locator: null", n);
    FAKE_EXPECT(x->host, .method = "POST", .url = QUERIES, .body = asks, .status = 200,
                .answer = strstr(id, "A") ? "{\"id\":\"750A\"," CREATED "}"
                                          : "{\"id\":\"750C\"," CREATED "}");
    FAKE_EXPECT(x->host, .method = "GET", .url = url, .status = 200,
                .answer = "{\"state\":\"JobComplete\"}");
    FAKE_EXPECT(x->host, .method = "GET", .url = results, .status = 200, .answer_headers = head,
                .answer = rows);
    FAKE_EXPECT(x->host, .method = "DELETE", .url = url, .status = 204);
}

#define ASKS(kind, soql)                            \
    "{\"operation\":\"" kind "\",\"query\":\"" soql \
    "\",\"contentType\":\"CSV\",\"columnDelimiter\":\"COMMA\",\"lineEnding\":\"LF\"}"
#define ACCOUNT_SOQL "SELECT Id, Name, Website, IsDeleted, Tax_Id__c FROM Account"
#define CONTACT_SOQL                                                                         \
    "SELECT Id, FirstName, LastName, Email, Phone, MobilePhone, AccountId, MailingCountry, " \
    "CreatedDate, IsDeleted, MasterRecordId, " SF_KEY " FROM Contact"
#define ALL_CONTACTS CONTACT_SOQL " WHERE IsDeleted = false OR MasterRecordId != null"

/* The delete of one query and the create of the next cross: both orders of the two are fine. */
static void expect_read(struct sf_fixture *x)
{
    FAKE_EXPECT(x->host, .method = "POST", .url = QUERIES, .body = ASKS("query", ACCOUNT_SOQL),
                .status = 200, .answer = "{\"id\":\"750A\"," CREATED "}");
    FAKE_EXPECT(x->host, .method = "GET", .url = QUERIES "/750A", .status = 200,
                .answer = "{\"state\":\"JobComplete\"}");
    FAKE_EXPECT(x->host, .method = "GET", .url = QUERIES "/750A/results?maxRecords=10000",
                .status = 200, .answer_headers = "Sforce-NumberOfRecords: 1\nSforce-Locator: null",
                .answer = ACCOUNTS);
    FAKE_EXPECT(x->host, .method = "DELETE", .url = QUERIES "/750A", .status = 204);
    expect_query(x, "750C", ASKS("queryAll", ALL_CONTACTS), CONTACTS, "3");
}

static void expect_index(struct sf_fixture *x)
{
    sf_expect_token(x);
    expect_read(x);
}

/* One bulk query of what has changed: nothing of the accounts, `rows` of the contacts. */
static void expect_changes(struct sf_fixture *x, const char *rows, const char *n)
{
    FAKE_EXPECT(
        x->host, .method = "POST", .url = QUERIES,
        .body = ASKS("queryAll", ACCOUNT_SOQL " WHERE SystemModstamp >= 2026-11-20T09:10:32Z"),
        .status = 200, .answer = "{\"id\":\"750A\"," CREATED "}");
    FAKE_EXPECT(x->host, .method = "GET", .url = QUERIES "/750A", .status = 200,
                .answer = "{\"state\":\"JobComplete\"}");
    FAKE_EXPECT(x->host, .method = "GET", .url = QUERIES "/750A/results?maxRecords=10000",
                .status = 200, .answer_headers = "Sforce-NumberOfRecords: 0\nSforce-Locator: null");
    FAKE_EXPECT(x->host, .method = "DELETE", .url = QUERIES "/750A", .status = 204);
    expect_query(x, "750C",
                 ASKS("queryAll", CONTACT_SOQL " WHERE SystemModstamp >= 2026-11-20T09:10:32Z"),
                 rows, n);
}

#define GONE_EVA1 \
    CONTACT_HEAD "\"" EVA1 "\",\"\",\"\",\"\",\"\",\"\",\"\",\"\",\"\",\"true\",\"\",\"\"\n"
#define MERGED(id, into, key) \
    "\"" id "\",\"\",\"\",\"\",\"\",\"\",\"\",\"\",\"\",\"true\",\"" into "\",\"" key "\"\n"

static void deliver(struct sf_fixture *x, const char *const *bodies, const char *choice)
{
    static sl_str choices[2];

    choices[0] = fake_str(choice);
    choices[1] = (sl_str){ 0 };
    x->choices = choice ? choices : NULL;
    sf_deliver(x, bodies, NULL);
    fake_host_run(x->host);
    CHECK(x->done.finished);
}

#define BODY(key, first, last, email)                                              \
    "{\"" SF_KEY "\":\"" key "\",\"FirstName\":\"" first "\",\"LastName\":\"" last \
    "\",\"Email\":\"" email "\"}"
#define SENT(fields, more) \
    "{\"allOrNone\":false,\"records\":[{\"attributes\":{\"type\":\"Contact\"}," fields more "}]}"
#define FIELDS(key, first, last, email)                                           \
    "\"" SF_KEY "\":\"" key "\",\"FirstName\":\"" first "\",\"LastName\":\"" last \
    "\",\"Email\":\"" email "\""
#define DONE(id) "[{\"id\":\"" id "\",\"success\":true,\"errors\":[]}]"

static void expect_update(struct sf_fixture *x, const char *body, const char *answer)
{
    FAKE_EXPECT(x->host, .method = "PATCH", .url = COMPOSITE, .body = body, .status = 200,
                .answer = answer);
}

static void expect_create(struct sf_fixture *x, const char *body, const char *answer)
{
    FAKE_EXPECT(x->host, .method = "PATCH", .url = BY_KEY, .body = body, .status = 200,
                .answer = answer);
}

/* ---- three ways ---------------------------------------------------------------------------- */

static void a_known_person_is_updated_and_gets_the_shops_id(void **state)
{
    struct sf_fixture *x = *state;
    const struct fake_outcome *o = &x->done.outcomes[0];

    use(x, "match");
    expect_index(x);
    expect_update(x,
                  SENT(FIELDS("7", "Anna", "SCHMIDT", "Anna@Acme.example"), ",\"id\":\"" ANNA "\""),
                  DONE(ANNA));
    deliver(x, SF_BODIES(BODY("7", "Anna", "SCHMIDT", "Anna@Acme.example")), NULL);
    CHECK_EQ(o->kind, SL_DELIVERED);
    CHECK_STR(o->reference, ANNA);
    CHECK_EQ(o->n_links, 1);
    CHECK_STR(o->link_kind[0], "salesforce:Contact");
    CHECK_STR(o->link_id[0], ANNA);

    /* the id that was written is known at once: another name and address, and it is her */
    expect_update(x, SENT(FIELDS("7", "A", "Meyer", "am@x.example"), ",\"id\":\"" ANNA "\""),
                  DONE(ANNA));
    deliver(x, SF_BODIES(BODY("7", "A", "Meyer", "am@x.example")), NULL);
    CHECK_STR(o->reference, ANNA);
}

static void a_contact_stays_in_the_account_that_it_is_in(void **state)
{
    struct sf_fixture *x = *state;

    use(x, "match");
    expect_index(x);
    expect_update(x,
                  SENT("\"" SF_KEY "\":\"7\",\"LastName\":\"Schmidt\",\"FirstName\":\"Anna\","
                       "\"Email\":\"anna@acme.example\"",
                       ",\"id\":\"" ANNA "\""),
                  DONE(ANNA));
    deliver(x,
            SF_BODIES("{\"" SF_KEY "\":\"7\",\"Account\":{\"Key__c\":\"customer-7\"},\"LastName\":"
                      "\"Schmidt\",\"FirstName\":\"Anna\",\"Email\":\"anna@acme.example\"}"),
            NULL);
    CHECK_STR(x->done.outcomes[0].reference, ANNA);

    /* one without an account gets the record's */
    expect_update(x,
                  SENT("\"Account\":{\"Key__c\":\"customer-77\"},\"LastName\":\"Twin\",\"" SF_KEY
                       "\":\"77\"",
                       ",\"id\":\"" EVA2 "\""),
                  DONE(EVA2));
    deliver(x,
            SF_BODIES("{\"Account\":{\"Key__c\":\"customer-77\"},\"LastName\":\"Twin\",\"" SF_KEY
                      "\":\"77\"}"),
            NULL);
    CHECK_STR(x->done.outcomes[0].reference, EVA2);
}

static void somebody_new_is_created_by_the_shops_id_in_the_company_that_is_known(void **state)
{
    struct sf_fixture *x = *state;
    const struct fake_outcome *o = &x->done.outcomes[0];

    use(x, "match");
    expect_index(x);
    expect_create(x,
                  SENT("\"" SF_KEY "\":\"8\",\"LastName\":\"Neu\",\"Email\":\"rita@acme.example\"",
                       ",\"AccountId\":\"" ACME "\""),
                  DONE(MADE));
    deliver(x,
            SF_BODIES("{\"" SF_KEY "\":\"8\",\"LastName\":\"Neu\",\"company\":{\"name\":\"ACME\","
                      "\"tax_id\":\"DE 123 456 789\"},\"Email\":\"rita@acme.example\"}"),
            NULL);
    CHECK_EQ(o->kind, SL_DELIVERED);
    CHECK_STR(o->reference, MADE);
    CHECK_EQ(o->n_emits, 0);
    expect_update(x, SENT(FIELDS("8", "Rita", "Neu", "rita@acme.example"), ",\"id\":\"" MADE "\""),
                  DONE(MADE));
    deliver(x, SF_BODIES(BODY("8", "Rita", "Neu", "rita@acme.example")), NULL);
    CHECK_STR(o->reference, MADE);
}

static void who_could_be_two_is_held_with_both_and_why(void **state)
{
    struct sf_fixture *x = *state;
    const struct fake_outcome *o = &x->done.outcomes[0];

    use(x, "match");
    expect_index(x);
    deliver(x, SF_BODIES(BODY("9", "Eva", "Twin", "eva@gmx.de")), NULL);
    CHECK_EQ(o->kind, SL_REVIEW);
    CHECK_STR(o->hold_type, "contact-merge");
    CHECK_HAS(o->why, "2 contacts could be this person");
    CHECK_HAS(o->choices, "{\"name\":\"use:" EVA1
                          "\",\"do\":\"release\",\"text\":\"it is Eva "
                          "Twin, eva@gmx.de: same e-mail, same name\"}");
    CHECK_HAS(o->choices, "use:" EVA2);
    CHECK_HAS(o->choices, "\"create\"");
    CHECK_HAS(o->choices, "\"later\"");
    CHECK_HAS(o->choices, "{\"name\":\"drop\",\"do\":\"reject\"");
    CHECK_HAS(o->evidence, "\"record\":{\"name\":\"Eva Twin\",\"email\":\"eva@gmx.de\"");
    CHECK_HAS(o->evidence, "\"score\":95");
    CHECK_EQ(fake_host_requests(x->host), 9); /* nothing was written */
}

/* ---- answers ------------------------------------------------------------------------------- */

static void the_chosen_contact_is_updated_and_the_answer_linked(void **state)
{
    struct sf_fixture *x = *state;
    const struct fake_outcome *o = &x->done.outcomes[0];

    use(x, "match");
    expect_index(x);
    /* it has another id of the shop, which stays */
    expect_update(x,
                  SENT("\"FirstName\":\"Eva\",\"LastName\":\"Twin\",\"Email\":\"eva@gmx.de\"",
                       ",\"id\":\"" EVA2 "\""),
                  DONE(EVA2));
    deliver(x, SF_BODIES(BODY("9", "Eva", "Twin", "eva@gmx.de")), "use:" EVA2);
    CHECK_EQ(o->kind, SL_DELIVERED);
    CHECK_STR(o->reference, EVA2);
    CHECK_EQ(o->n_links, 2);
    CHECK_STR(o->link_kind[1], "salesforce:contact-answer");
    CHECK_STR(o->link_id[1], "shop:9 = " EVA2);
}

static void what_was_answered_is_not_asked_again(void **state)
{
    struct sf_fixture *x = *state;
    const struct fake_outcome *o = &x->done.outcomes[0];

    use(x, "match");
    fake_host_link(x->host, "salesforce:contact-answer", "shop:9 = " EVA2, "customer:9");
    fake_host_link(x->host, "salesforce:contact-answer", "mail:eva@gmx.de|twin|eva = create",
                   "order:1");
    expect_index(x);
    expect_update(x,
                  SENT("\"FirstName\":\"Eva\",\"LastName\":\"Twin\",\"Email\":\"eva@gmx.de\"",
                       ",\"id\":\"" EVA2 "\""),
                  DONE(EVA2));
    deliver(x, SF_BODIES(BODY("9", "Eva", "Twin", "eva@gmx.de")), NULL);
    CHECK_EQ(o->kind, SL_DELIVERED);
    CHECK_STR(o->reference, EVA2);
    CHECK_STR(o->link_id[1], "shop:9 = " EVA2); /* so that it stays as long as he orders */

    /* a guest is known by address and name */
    expect_create(x, SENT(FIELDS("g-1", "Eva", "Twin", "eva@gmx.de"), ""), DONE(MADE));
    deliver(x,
            SF_BODIES("{\"" SF_KEY "\":\"g-1\",\"FirstName\":\"Eva\",\"LastName\":\"Twin\","
                      "\"Email\":\"eva@gmx.de\",\"guest\":true}"),
            NULL);
    CHECK_EQ(o->kind, SL_DELIVERED);
    CHECK_STR(o->reference, MADE);
}

static void later_creates_and_says_who_is_to_be_merged(void **state)
{
    struct sf_fixture *x = *state;
    const struct fake_outcome *o = &x->done.outcomes[0];

    use(x, "match");
    expect_index(x);
    FAKE_EXPECT(x->host, .method = "PATCH", .url = BY_KEY,
                .headers = "Sforce-Duplicate-Rule-Header: allowSave=true", .status = 200,
                .answer = DONE(MADE));
    deliver(x, SF_BODIES(BODY("9", "Eva", "Twin", "eva@gmx.de")), "later");
    CHECK_EQ(o->kind, SL_DELIVERED);
    CHECK_EQ(o->n_emits, 1);
    CHECK_STR(o->emit_topic[0], "salesforce/merge-later");
    CHECK_HAS(o->emit_body[0], "\"contact\":\"" MADE "\"");
    CHECK_HAS(o->emit_body[0], "\"matches\":[\"" EVA1 "\",\"" EVA2 "\"]");
}

static void a_chosen_contact_that_is_gone_is_asked_about_again(void **state)
{
    struct sf_fixture *x = *state;
    const struct fake_outcome *o = &x->done.outcomes[0];

    use(x, "match");
    expect_index(x);
    expect_update(x, NULL,
                  "[{\"success\":false,\"errors\":[{\"statusCode\":\"ENTITY_IS_DELETED\","
                  "\"message\":\"entity is deleted\",\"fields\":[]}]}]");
    deliver(x, SF_BODIES(BODY("9", "Eva", "Twin", "eva@gmx.de")), "use:" EVA1);
    CHECK_EQ(o->kind, SL_REVIEW);
    CHECK_STR(o->hold_type, "contact-merge");
    /* and then there is only one left, as Salesforce says when it is asked */
    expect_changes(x, GONE_EVA1, "1");
    expect_update(x, NULL, DONE(EVA2));
    deliver(x, SF_BODIES(BODY("9", "Eva", "Twin", "eva@gmx.de")), "again");
    CHECK_EQ(o->kind, SL_DELIVERED);
    CHECK_STR(o->reference, EVA2);
}

/* ---- guests, and people of whom nothing is known ------------------------------------------- */

#define GUEST                                             \
    "{\"guest\":true,\"" SF_KEY                           \
    "\":\"guest-1\",\"FirstName\":\"Anna\",\"LastName\":" \
    "\"Schmidt\",\"Email\":\"anna@acme.example\"}"

static void a_guest_is_matched_but_gives_no_id(void **state)
{
    struct sf_fixture *x = *state;

    use(x, "match");
    expect_index(x);
    expect_update(x,
                  SENT("\"FirstName\":\"Anna\",\"LastName\":\"Schmidt\",\"Email\":"
                       "\"anna@acme.example\"",
                       ",\"id\":\"" ANNA "\""),
                  DONE(ANNA));
    deliver(x, SF_BODIES(GUEST), NULL);
    CHECK_STR(x->done.outcomes[0].reference, ANNA);
}

static void a_guest_is_a_contact_of_his_own_or_is_skipped_if_the_route_says_so(void **state)
{
    struct sf_fixture *x = *state;
    const struct fake_outcome *o = &x->done.outcomes[0];

    use(x, "create");
    expect_index(x);
    expect_create(x, NULL, DONE(MADE));
    deliver(x, SF_BODIES(GUEST), NULL);
    CHECK_STR(o->reference, MADE);
    expect_update(x, NULL, DONE(MADE)); /* the same order again */
    deliver(x, SF_BODIES(GUEST), NULL);
    CHECK_STR(o->reference, MADE);
    use(x, "skip");
    deliver(x, SF_BODIES(GUEST), NULL);
    CHECK_EQ(o->kind, SL_DELIVERED);
    CHECK_STR(o->reference, "");
    CHECK_HAS(o->why, "skips");
}

static void without_address_and_number_one_is_created_and_that_is_said(void **state)
{
    struct sf_fixture *x = *state;
    const struct fake_outcome *o = &x->done.outcomes[0];

    use(x, "match");
    expect_index(x);
    expect_create(x, NULL, DONE(MADE));
    deliver(x, SF_BODIES("{\"" SF_KEY "\":\"5\",\"FirstName\":\"Anna\",\"LastName\":\"Schmidt\"}"),
            NULL);
    CHECK_EQ(o->kind, SL_DELIVERED);
    CHECK_STR(o->emit_topic[0], "salesforce/contact-bare");
    CHECK_HAS(o->why, "without e-mail and phone");
}

/* ---- one batch ----------------------------------------------------------------------------- */

static void two_records_of_one_person_do_not_make_two_contacts(void **state)
{
    struct sf_fixture *x = *state;
    const struct fake_outcome *o = x->done.outcomes;

    use(x, "match");
    expect_index(x);
    expect_create(x, SENT(FIELDS("20", "Max", "Neu", "max@neu.example"), ""), DONE(MADE));
    deliver(x,
            SF_BODIES(BODY("20", "Max", "Neu", "max@neu.example"),
                      BODY("21", "Max", "NEU", "MAX@neu.example"), SF_ROW("")),
            NULL);
    CHECK_EQ(o[0].kind, SL_DELIVERED);
    CHECK_EQ(o[1].kind, SL_RETRY);
    CHECK_EQ(o[1].not_sent, 1);
    CHECK_HAS(o[1].why, "goes first");
    CHECK_EQ(o[2].kind, SL_REJECTED);
    CHECK_HAS(o[2].why, SF_KEY " is not in the record");
    /* and when it comes again it is the contact that the first one made */
    expect_update(x, NULL, DONE(MADE));
    deliver(x, SF_BODIES(BODY("21", "Max", "NEU", "MAX@neu.example")), NULL);
    CHECK_STR(x->done.outcomes[0].reference, MADE);
}

static void updates_and_creates_of_a_batch_are_two_calls(void **state)
{
    struct sf_fixture *x = *state;
    const struct fake_outcome *o = x->done.outcomes;

    use(x, "match");
    expect_index(x);
    expect_update(x, NULL, DONE(ANNA));
    expect_create(x, NULL,
                  "[{\"id\":\"" MADE
                  "\",\"success\":true,\"errors\":[],\"created\":true},"
                  "{\"success\":false,\"errors\":[{\"statusCode\":\"REQUIRED_FIELD_MISSING\","
                  "\"message\":\"Required fields are missing: [LastName]\",\"fields\":"
                  "[\"LastName\"]}]}]");
    deliver(x,
            SF_BODIES(BODY("20", "Max", "Neu", "max@neu.example"),
                      BODY("7", "Anna", "Schmidt", "anna@acme.example"),
                      "{\"" SF_KEY "\":\"30\",\"Email\":\"x@y.example\"}"),
            NULL);
    CHECK_STR(o[0].reference, MADE);
    CHECK_STR(o[1].reference, ANNA);
    CHECK_EQ(o[2].kind, SL_REJECTED);
    CHECK_HAS(o[2].why, "LastName");
}

static void a_call_that_is_refused_as_a_whole_goes_record_by_record(void **state)
{
    struct sf_fixture *x = *state;
    const struct fake_outcome *o = x->done.outcomes;
    static const char no_field[] =
        "[{\"errorCode\":\"INVALID_FIELD\",\"message\":\"No such column 'Foo__c'\"}]";

    use(x, "match");
    expect_index(x);
    FAKE_EXPECT(x->host, .method = "PATCH", .url = BY_KEY, .status = 400, .answer = no_field);
    FAKE_EXPECT(x->host, .method = "PATCH", .url = BY_KEY, .status = 400, .answer = no_field);
    expect_create(x, NULL, DONE(MADE));
    deliver(x,
            SF_BODIES("{\"" SF_KEY "\":\"40\",\"LastName\":\"A\",\"Foo__c\":1}",
                      "{\"" SF_KEY "\":\"41\",\"LastName\":\"B\"}"),
            NULL);
    CHECK_EQ(o[0].kind, SL_REJECTED);
    CHECK_HAS(o[0].why, "Foo__c");
    CHECK_EQ(o[1].kind, SL_DELIVERED);
}

static void an_answer_that_is_lost_leaves_nothing_half_known(void **state)
{
    struct sf_fixture *x = *state;
    const struct fake_outcome *o = x->done.outcomes;

    use(x, "match");
    expect_index(x);
    FAKE_EXPECT(x->host, .method = "PATCH", .url = BY_KEY, .error = SL_E_NETWORK, .sent = 1);
    deliver(x, SF_BODIES(BODY("20", "Max", "Neu", "max@neu.example")), NULL);
    CHECK_EQ(o[0].kind, SL_RETRY);
    /* perhaps it was created: by the shop's id that is the same contact again */
    expect_create(x, NULL, DONE(MADE));
    deliver(x, SF_BODIES(BODY("20", "Max", "Neu", "max@neu.example")), NULL);
    CHECK_STR(o[0].reference, MADE);
}

/* ---- the index ----------------------------------------------------------------------------- */

static void what_has_grown_old_is_read_again_from_the_watermark(void **state)
{
    struct sf_fixture *x = *state;

    use(x, "match");
    expect_index(x);
    expect_update(x, NULL, DONE(ANNA));
    deliver(x, SF_BODIES(BODY("7", "Anna", "Schmidt", "anna@acme.example")), NULL);
    fake_host_run_for(x->host, 900001);
    /* one of the two has been deleted by somebody */
    expect_changes(x, GONE_EVA1, "1");
    expect_update(x, NULL, DONE(EVA2));
    deliver(x, SF_BODIES(BODY("9", "Eva", "Twin", "eva@gmx.de")), NULL);
    CHECK_STR(x->done.outcomes[0].reference, EVA2);
}

static void a_merge_means_who_stayed_whoever_was_merged_before(void **state)
{
    struct sf_fixture *x = *state;
    const struct fake_outcome *o = &x->done.outcomes[0];

    use(x, "match");
    expect_index(x);
    expect_update(x, NULL, DONE(ANNA));
    deliver(x, SF_BODIES(BODY("7", "Anna", "Schmidt", "anna@acme.example")), NULL);
    fake_host_run_for(x->host, 900001);
    /* the second twin into the first, and the first into Anna */
    expect_changes(x, CONTACT_HEAD MERGED(EVA2, EVA1, "77") MERGED(EVA1, ANNA, ""), "2");
    expect_update(x, SENT("\"FirstName\":\"E\",\"LastName\":\"T\"", ",\"id\":\"" ANNA "\""),
                  DONE(ANNA));
    deliver(x, SF_BODIES("{\"" SF_KEY "\":\"77\",\"FirstName\":\"E\",\"LastName\":\"T\"}"), NULL);
    CHECK_EQ(o->kind, SL_DELIVERED);
    CHECK_STR(o->reference, ANNA);
    CHECK_EQ(o->n_links, 2); /* remembered as if somebody had answered */
    CHECK_STR(o->link_id[1], "shop:77 = " ANNA);
}

static void forget(struct sf_fixture *x)
{
    const sl_ask ask = { .size = sizeof(ask), .kind = SL_ASK_ERASE };

    x->plugin->forget(x->self, &ask);
}

static void who_was_forgotten_is_read_anew_when_wanted(void **state)
{
    struct sf_fixture *x = *state;

    forget(x); /* nothing is known yet */
    use(x, "match");
    forget(x);
    expect_index(x);
    expect_update(x, NULL, DONE(ANNA));
    deliver(x, SF_BODIES(BODY("7", "Anna", "Schmidt", "anna@acme.example")), NULL);
    forget(x);
    expect_read(x); /* all of it, and not what has changed since */
    expect_update(x, NULL, DONE(ANNA));
    deliver(x, SF_BODIES(BODY("7", "Anna", "Schmidt", "anna@acme.example")), NULL);
    CHECK_STR(x->done.outcomes[0].reference, ANNA);
}

static void what_is_used_when_somebody_is_forgotten_goes_after_it(void **state)
{
    struct sf_fixture *x = *state;
    const struct salesforce *sf = x->self;

    use(x, "match");
    expect_index(x);
    FAKE_EXPECT(x->host, .method = "PATCH", .url = COMPOSITE, .status = 200, .answer = DONE(ANNA),
                .delay_ms = 100000);
    sf_deliver(x, SF_BODIES(BODY("7", "Anna", "Schmidt", "anna@acme.example")), NULL);
    fake_host_run_for(x->host, 60000);
    CHECK(!x->done.finished && sf->contacts->crm.loaded);
    forget(x);
    CHECK(sf->contacts->crm.loaded);
    fake_host_run(x->host);
    CHECK(x->done.finished);
    CHECK_STR(x->done.outcomes[0].reference, ANNA);
    CHECK(!sf->contacts->crm.loaded); /* though nobody asks for it again */
}

static void without_the_index_nothing_is_written(void **state)
{
    struct sf_fixture *x = *state;

    use(x, "match");
    sf_expect_token(x);
    FAKE_EXPECT(x->host, .method = "POST", .url = QUERIES, .status = 400,
                .answer =
                    "[{\"errorCode\":\"INVALID_FIELD\",\"message\":\"No such column "
                    "'Tax_Id__c' on sobject of type Account\"}]");
    deliver(x, SF_BODIES(BODY("9", "Eva", "Twin", "eva@gmx.de")), NULL);
    CHECK(x->done.parked);
    CHECK_HAS(x->done.park_why, "the accounts of the org could not be read");
    CHECK_HAS(x->done.park_why, "Tax_Id__c");
}

static void at_the_end_of_the_host_nothing_is_left(void **state)
{
    struct sf_fixture *x = *state;

    use(x, "match");
    expect_index(x);
    FAKE_EXPECT(x->host, .method = "PATCH", .url = BY_KEY, .never = true);
    sf_deliver(x, SF_BODIES(BODY("20", "Max", "Neu", "max@neu.example")), NULL);
    fake_host_run(x->host);
    CHECK(!x->done.finished);
    sf_close(x);
}

/* ---- bodies -------------------------------------------------------------------------------- */

static void a_body_is_taken_apart_to_the_letter(void **state)
{
    struct contact_record r = { 0 };
    char why[200];

    (void)state;
    CHECK_EQ(record_read(&r,
                         fake_str(" { \"company\" : {\"name\":\"A, \\\"B\\\" }\"} , \"K__c\":\"1\","
                                  "\"N__c\":19.90 , \"guest\":true,\"x__c\":\"company\"}"),
                         "K__c", why, sizeof(why)),
             SL_OK);
    CHECK_STR(r.fields.ptr, "{\"K__c\":\"1\",\"N__c\":19.90 ,\"x__c\":\"company\"}");
    CHECK(r.guest);
    CHECK_EQ(r.raw.company.len, strlen("A, \"B\" }"));
    CHECK_EQ(
        record_read(&r, fake_str("{\"K__c\":\"1\",\"company\":null}"), "K__c", why, sizeof(why)),
        SL_OK);
    CHECK(!r.guest);
    CHECK_EQ(
        record_read(&r, fake_str("{\"K__c\":\"1\",\"company\":\"x\"}"), "K__c", why, sizeof(why)),
        SL_E_INVALID);
    CHECK_HAS(why, "company is not");
    CHECK_EQ(record_read(&r, fake_str("{\"guest\":true}"), "K__c", why, sizeof(why)), SL_E_INVALID);
    CHECK_HAS(why, "K__c is not in the record");
    CHECK_EQ(record_read(&r, fake_str("{\"K__c\":\"1\",\"company\":{"), "K__c", why, sizeof(why)),
             SL_E_INVALID);
    CHECK_EQ(record_read(&r, fake_str(""), "K__c", why, sizeof(why)), SL_E_INVALID);
    CHECK_EQ(record_read(&r, fake_str("{}"), "K__c", why, sizeof(why)), SL_E_INVALID);
    record_finish(&r);
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, sf_setup, sf_teardown)
    const struct CMUnitTest tests[] = {
        TEST(a_known_person_is_updated_and_gets_the_shops_id),
        TEST(a_contact_stays_in_the_account_that_it_is_in),
        TEST(somebody_new_is_created_by_the_shops_id_in_the_company_that_is_known),
        TEST(who_could_be_two_is_held_with_both_and_why),
        TEST(the_chosen_contact_is_updated_and_the_answer_linked),
        TEST(what_was_answered_is_not_asked_again),
        TEST(later_creates_and_says_who_is_to_be_merged),
        TEST(a_chosen_contact_that_is_gone_is_asked_about_again),
        TEST(a_guest_is_matched_but_gives_no_id),
        TEST(a_guest_is_a_contact_of_his_own_or_is_skipped_if_the_route_says_so),
        TEST(without_address_and_number_one_is_created_and_that_is_said),
        TEST(two_records_of_one_person_do_not_make_two_contacts),
        TEST(updates_and_creates_of_a_batch_are_two_calls),
        TEST(a_call_that_is_refused_as_a_whole_goes_record_by_record),
        TEST(an_answer_that_is_lost_leaves_nothing_half_known),
        TEST(what_has_grown_old_is_read_again_from_the_watermark),
        TEST(a_merge_means_who_stayed_whoever_was_merged_before),
        TEST(who_was_forgotten_is_read_anew_when_wanted),
        TEST(what_is_used_when_somebody_is_forgotten_goes_after_it),
        TEST(without_the_index_nothing_is_written),
        TEST(at_the_end_of_the_host_nothing_is_left),
        TEST(a_body_is_taken_apart_to_the_letter),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
