/*
 * test_salesforce_collections.c - a batch by sObject Collections: calls, positional results, calls
 * that are refused as a whole, lost answers; and which transport a batch takes.
 */
#include "salesforce_fixture.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SOBJECTS SF_BASE "/services/data/v66.0/composite/sobjects"
#define UPSERT   SOBJECTS "/Contact/" SF_KEY
#define ID_A     "0035g00000Tst01AAB"
#define ID_B     "0035g00000Tst02AAB"
#define HEAD     "{\"allOrNone\":false,\"records\":["
#define TYPE     "{\"attributes\":{\"type\":\"Contact\"},"
#define ROW(key) TYPE "\"" SF_KEY "\":\"" key "\"}"
#define OK(id)   "{\"id\":\"" id "\",\"success\":true,\"errors\":[],\"created\":true}"
#define NO(code, message)                                                                \
    "{\"success\":false,\"errors\":[{\"statusCode\":\"" code "\",\"message\":\"" message \
    "\",\"fields\":[]}]}"
#define REST(code, message) "[{\"message\":\"" message "\",\"errorCode\":\"" code "\"}]"

/* ---- scripts ------------------------------------------------------------------------------- */

static void use(struct sf_fixture *x, const char *action, const char *transport)
{
    struct fake_setting values[5] = { { "object", "Contact" }, { "transport", transport } };
    size_t n = 2;

    if (strcmp(action, "upsert") == 0 || strcmp(action, "insert") == 0)
        values[n++] = (struct fake_setting){ "external_id", SF_KEY };
    if (strcmp(action, "insert") == 0)
        values[n++] = (struct fake_setting){ "unique", "true" };
    sf_use(x, action, values, NULL);
}

static size_t rooms_used;

static int setup(void **state)
{
    int r = sf_setup(state);

    rooms_used = 0;
    use(*state, "upsert", "collections");
    return r;
}

/* Again from the beginning, as after a restart. */
static void restart(struct sf_fixture *x)
{
    sf_reopen(x);
    use(x, "upsert", "collections");
    sf_expect_token(x);
}

static void expect_call(struct sf_fixture *x, const char *body, uint32_t status, const char *answer)
{
    FAKE_EXPECT(x->host, .method = "PATCH", .url = UPSERT,
                .headers = SF_BEARER
                "\nContent-Type: application/json; charset=UTF-8\n"
                "Accept: application/json",
                .body = body, .status = status, .answer = answer);
}

/* ---- many rows ----------------------------------------------------------------------------- */

#define MANY 450

static char keys[MANY][64];
static const char *bodies[MANY + 1];

/* {"Shopify_Customer_Id__c":"r0"} and so on. */
static const char *const *many(size_t n)
{
    for (size_t i = 0; i < n; i++) {
        snprintf(keys[i], sizeof(keys[i]), "{\"" SF_KEY "\":\"r%zu\"}", i);
        bodies[i] = keys[i];
    }
    bodies[n] = NULL;
    return bodies;
}

/* Texts of the script live until the end of the test. */
static char *room(void)
{
    static char rooms[128][40000];

    CHECK(rooms_used < 128);
    return rooms[rooms_used++];
}

/* What a call with the rows [from, to) of many() asks for. */
static const char *asked(size_t from, size_t to)
{
    char *text = room(), *p = text;

    p += sprintf(p, HEAD);
    for (size_t i = from; i < to; i++)
        p += sprintf(p, "%s" TYPE "\"" SF_KEY "\":\"r%zu\"}", i > from ? "," : "", i);
    sprintf(p, "]}");
    return text;
}

/* The answer to it: all are there, or all say `instead`. */
static const char *told(size_t from, size_t to, const char *instead)
{
    char *text = room(), *p = text;

    *p++ = '[';
    for (size_t i = from; i < to; i++)
        p += instead ? sprintf(p, "%s%s", i > from ? "," : "", instead)
                     : sprintf(p, "%s{\"id\":\"0035g%010zuAAB\",\"success\":true,\"errors\":[]}",
                               i > from ? "," : "", i);
    sprintf(p, "]");
    return text;
}

static void expect_rows(struct sf_fixture *x, size_t from, size_t to)
{
    expect_call(x, asked(from, to), 200, told(from, to, NULL));
}

static void check_rows(struct sf_fixture *x, size_t n)
{
    sf_check_all(x, SL_DELIVERED);
    for (size_t i = 0; i < n; i++) {
        char id[32];

        snprintf(id, sizeof(id), "0035g%010zuAAB", i);
        CHECK_STR(x->done.outcomes[i].reference, id);
    }
}

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
    CHECK_STR(o[0].why, "the external id " SF_KEY " is not in the record");
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
            "1, by a job about 9)");
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
        { 0, "by a job about 9)" },
        { 0, "by a job about 15)" }, /* after one of 10 minutes */
        { 3600000 - 1, "by a job about 15)" },
        { 1, "by a job about 9)" },
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
