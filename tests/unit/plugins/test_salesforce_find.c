/*
 * test_salesforce_find.c - rows by their keys: what is asked, byte for byte, what of the answers
 * becomes a row, and what is no answer.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "salesforce_fixture.h"

#define QUERY SF_BASE "/services/data/v66.0/query?q="
#define HEAD                                                                               \
    QUERY                                                                                  \
    "SELECT+Id%2CProduct2.StockKeepingUnit%2CUnitPrice+FROM+PricebookEntry+WHERE+Product2" \
    ".StockKeepingUnit+IN+%28"
#define TAIL "%29+AND+IsActive+%3D+true"
#define ENTRY(id, sku)                                                          \
    "{\"attributes\":{\"type\":\"PricebookEntry\",\"url\":\"/x\"},\"Id\":\"" id \
    "\",\"Product2\":{\"attributes\":{\"type\":\"Product2\"},"                  \
    "\"StockKeepingUnit\":\"" sku "\"},\"UnitPrice\":19.90}"
#define ROW(id, sku)                                               \
    "{\"Id\":\"" id "\",\"Product2\":{\"StockKeepingUnit\":\"" sku \
    "\"},"                                                         \
    "\"UnitPrice\":19.90}"
#define PAGE(records) "{\"totalSize\":1,\"done\":true,\"records\":[" records "]}"

/** What was answered: "KEY=ROW;" or "KEY!ERROR;" for each key that has one, and how. */
struct found {
    int calls;
    uint32_t verdict;
    int64_t after_ms;
    char why[600], rows[8192];
};

static void on_found(void *ctx, const sl_found *a)
{
    struct found *f = ctx;

    f->calls++;
    f->verdict = a->verdict;
    f->after_ms = a->after_ms;
    snprintf(f->why, sizeof(f->why), "%.*s", (int)a->why.len, a->why.ptr ? a->why.ptr : "");
    for (size_t i = 0; i < a->n_rows; i++) {
        const sl_found_row *r = &a->rows[i];
        size_t at = strlen(f->rows);
        sl_str s = r->error.len ? r->error : r->row;
        if (s.len)
            snprintf(f->rows + at, sizeof(f->rows) - at, "%.*s%c%.*s;", (int)r->key.len, r->key.ptr,
                     r->error.len ? '!' : '=', (int)s.len, s.ptr);
    }
}

/* ---- binding ------------------------------------------------------------------------------- */

#define PRICES                                                           \
    { "find", "PricebookEntry" }, { "by", "Product2.StockKeepingUnit" }, \
    {                                                                    \
        "fields", "[\"UnitPrice\",\"product2.stockkeepingunit\",\"id\"]" \
    }

static const struct fake_setting prices[] = { PRICES,
                                              { "where", "{\"IsActive\":\"true\"}" },
                                              { 0 } };
static const struct fake_setting many[] = {
    PRICES, { "where", "{\"IsActive\":\"true\"}" }, { "many", "true" }, { 0 }
};

struct bound {
    const sl_find *find;
    sl_values *params;
    void *handle;
};

static sl_status try_bind(struct sf_fixture *x, const struct fake_setting *settings,
                          struct bound *b, sl_fail *fail)
{
    b->find = x->plugin->find;
    b->params = fake_values_create(b->find->params, settings);
    b->handle = NULL;
    return b->find->bind(&(sl_bind_in){ .size = sizeof(sl_bind_in),
                                        .params = b->params,
                                        .values = &fake_values_api },
                         &b->handle, fail);
}

static struct bound bind_to(struct sf_fixture *x, const struct fake_setting *settings)
{
    sl_fail fail = { .size = sizeof(fail) };
    struct bound b;

    if (try_bind(x, settings, &b, &fail) < 0)
        fail_msg("%s", fail.text);
    return b;
}

static void unbind(struct bound *b)
{
    b->find->unbind(b->handle);
    fake_values_destroy(b->params);
}

static void check_refused(struct sf_fixture *x, const struct fake_setting *settings,
                          const char *why)
{
    sl_fail fail = { .size = sizeof(fail) };
    struct bound b;

    CHECK_EQ(try_bind(x, settings, &b, &fail), SL_E_INVALID);
    CHECK_STR(fail.text, why);
    fake_values_destroy(b.params);
}

#define ASK(x, b, f, ...)                                                                       \
    do {                                                                                        \
        const sl_str keys_[] = { __VA_ARGS__ };                                                 \
        (b)->find->ask((x)->self, (b)->handle, keys_, sizeof(keys_) / sizeof(*keys_), on_found, \
                       (f));                                                                    \
        fake_host_run((x)->host);                                                               \
    } while (0)
#define KEY(s)             \
    {                      \
        (s), sizeof(s) - 1 \
    }

static void expect_query(struct sf_fixture *x, const char *url, uint32_t status, const char *answer)
{
    FAKE_EXPECT(x->host, .method = "GET", .url = url,
                .headers = SF_BEARER
                "\nAccept: application/json\n"
                "Sforce-Query-Options: batchSize=500",
                .status = status, .answer = answer);
}

/* ---- what is asked ------------------------------------------------------------------------- */

static void one_query_asks_for_all_keys_and_rows_keep_their_digits(void **state)
{
    struct sf_fixture *x = *state;
    struct bound b = bind_to(x, prices);
    struct found f = { 0 };

    sf_expect_token(x);
    expect_query(x, HEAD "%27A-1%27%2C%27none%27%2C%27b%27" TAIL, 200,
                 PAGE(ENTRY("01uA", "A-1") "," ENTRY("01uB", "B")));
    ASK(x, &b, &f, KEY("A-1"), KEY("none"), KEY("b"));
    CHECK_EQ(f.calls, 1);
    CHECK_EQ(f.verdict, SL_FIND_DONE);
    CHECK_STR(f.rows, "A-1=" ROW("01uA", "A-1") ";b=" ROW("01uB", "B") ";");
    unbind(&b);
}

static void a_key_is_escaped_and_nothing_in_it_is_soql(void **state)
{
    struct sf_fixture *x = *state;
    struct bound b = bind_to(x, prices);
    struct found f = { 0 };

    sf_expect_token(x);
    expect_query(x,
                 HEAD
                 "%27O%5C%27Hara%5C%5C%27%2C%27%5C%27%29+OR+Id+%21%3D+null+OR+Name+IN+%28%5C"
                 "%27%27%2C%27a%26b%2B%25%23+%C3%A9%27%2C%271%5Cn2%5Ct%27" TAIL,
                 200, PAGE(""));
    ASK(x, &b, &f, KEY("O'Hara\\"), KEY("') OR Id != null OR Name IN ('"), KEY("a&b+%# \xC3\xA9"),
        KEY("1\n2\t"));
    CHECK_EQ(f.verdict, SL_FIND_DONE);
    CHECK_STR(f.rows, "");
    unbind(&b);
}

static void where_says_texts_numbers_and_truths(void **state)
{
    static const struct fake_setting settings[] = {
        { "find", "Contact" },
        { "by", "Email" },
        { "fields", "[\"Account.Name\"]" },
        { "where",
          "{\"Pricebook2.IsStandard\":\"false\",\"Level__c\":\"-2.5\",\"Code__c\":\"'7'\","
          "\"Name\":\"it's\",\"Old__c\":\"null\",\"Ver__c\":\"1.2.3\"}" },
        { 0 }
    };
    struct sf_fixture *x = *state;
    struct bound b = bind_to(x, settings);
    struct found f = { 0 };

    sf_expect_token(x);
    expect_query(x,
                 QUERY
                 "SELECT+Id%2CEmail%2CAccount.Name+FROM+Contact+WHERE+Email+IN+%28%27a%40b%27"
                 "%29+AND+Pricebook2.IsStandard+%3D+false+AND+Level__c+%3D+-2.5+AND+Code__c+"
                 "%3D+%277%27+AND+Name+%3D+%27it%5C%27s%27+AND+Old__c+%3D+null+AND+Ver__c+%3D"
                 "+%271.2.3%27",
                 200,
                 PAGE("{\"attributes\":{},\"Id\":\"003\",\"Email\":\"A@B\",\"Account\":null}"));
    ASK(x, &b, &f, KEY("a@b"));
    CHECK_STR(f.rows, "a@b={\"Id\":\"003\",\"Email\":\"A@B\",\"Account\":null};");
    unbind(&b);
}

/** Of the last address: it is not longer than Salesforce takes. How many of the keys it has. */
static size_t keys_in_url(const struct sf_fixture *x)
{
    const char *url = fake_host_last_url(x->host);
    size_t n = 0;

    CHECK(strlen(url) < 16384 - 200);
    for (const char *p = url; (p = strstr(p, "%270000")); p++)
        n++;
    return n;
}

static void many_long_keys_go_in_several_queries(void **state)
{
    static char texts[200][120];
    struct sf_fixture *x = *state;
    struct bound b = bind_to(x, prices);
    struct found f = { 0 };
    sl_str keys[200];
    size_t asked;

    for (size_t i = 0; i < 200; i++) {
        snprintf(texts[i], sizeof(texts[i]), "%0100zu", i);
        keys[i] = (sl_str){ texts[i], strlen(texts[i]) };
    }
    sf_expect_token(x);
    FAKE_EXPECT(x->host, .method = "GET", .status = 200, .answer = PAGE(""), .delay_ms = 100);
    FAKE_EXPECT(x->host, .method = "GET", .status = 200, .answer = PAGE(""));
    b.find->ask(x->self, b.handle, keys, 200, on_found, &f);
    fake_host_run_for(x->host, 50);
    asked = keys_in_url(x);
    CHECK(asked > 100 && asked < 200);
    fake_host_run(x->host);
    CHECK_EQ(asked + keys_in_url(x), 200);
    CHECK_EQ(f.calls, 1);
    CHECK_EQ(f.verdict, SL_FIND_DONE);
    unbind(&b);
}

static void a_key_that_no_address_holds_is_said_to_be_too_long(void **state)
{
    struct sf_fixture *x = *state;
    struct bound b = bind_to(x, prices);
    struct found f = { 0 };
    char *huge = malloc(6000);

    memset(huge, '/', 5999);
    huge[5999] = '\0';
    sf_expect_token(x);
    expect_query(x, HEAD "%27A%27" TAIL, 200, PAGE(ENTRY("01uA", "A")));
    ASK(x, &b, &f, { huge, 5999 }, KEY("A"));
    CHECK_EQ(f.calls, 1);
    CHECK(strstr(f.rows, "/!the key is too long to be looked up;A=" ROW("01uA", "A") ";"));
    free(huge);
    unbind(&b);
}

/* ---- what is answered ---------------------------------------------------------------------- */

static void pages_are_followed(void **state)
{
    struct sf_fixture *x = *state;
    struct bound b = bind_to(x, prices);
    struct found f = { 0 };

    sf_expect_token(x);
    expect_query(x, HEAD "%27A%27%2C%27B%27" TAIL, 200,
                 "{\"done\":false,\"nextRecordsUrl\":\"/services/data/v66.0/query/01g-500\","
                 "\"records\":[" ENTRY("01uA", "A") "]}");
    expect_query(x, SF_BASE "/services/data/v66.0/query/01g-500", 200, PAGE(ENTRY("01uB", "B")));
    ASK(x, &b, &f, KEY("A"), KEY("B"));
    CHECK_STR(f.rows, "A=" ROW("01uA", "A") ";B=" ROW("01uB", "B") ";");
    unbind(&b);
}

static void two_rows_of_a_key_are_an_error_that_names_both(void **state)
{
    struct sf_fixture *x = *state;
    struct bound b = bind_to(x, prices);
    struct found f = { 0 };

    sf_expect_token(x);
    expect_query(x, HEAD "%27A%27" TAIL, 200, PAGE(ENTRY("01uA", "A") "," ENTRY("01uB", "a")));
    ASK(x, &b, &f, KEY("A"));
    CHECK_STR(f.rows,
              "A!2 records have it in Product2.StockKeepingUnit: 01uA, 01uB; one must go, "
              "or \"where\" must tell them apart;");
    unbind(&b);
}

static void with_many_they_are_a_list(void **state)
{
    struct sf_fixture *x = *state;
    struct bound b = bind_to(x, many);
    struct found f = { 0 };

    sf_expect_token(x);
    expect_query(x, HEAD "%27A%27%2C%27B%27%2C%27C%27" TAIL, 200,
                 PAGE(ENTRY("01u1", "A") "," ENTRY("01u2", "B") "," ENTRY("01u3", "A")));
    ASK(x, &b, &f, KEY("A"), KEY("B"), KEY("C"));
    CHECK_STR(f.rows, "A=[" ROW("01u1", "A") "," ROW("01u3", "A") "];B=[" ROW("01u2", "B") "];");
    unbind(&b);
}

static void values_of_any_kind_come_through(void **state)
{
    struct sf_fixture *x = *state;
    struct bound b = bind_to(x, prices);
    struct found f = { 0 };

    sf_expect_token(x);
    expect_query(x, HEAD "%27a%5C%5C%7D%27" TAIL, 200,
                 "{ \"done\" : true , \"records\" : [ { \"attributes\" : { \"x\" : [ 1 , { } ] } , "
                 "\"Id\" : \"01u\\\"]\" , \"Product2\" : { \"StockKeepingUnit\" : \"a\\\\}\" , "
                 "\"attributes\" : null } , \"N\" : 12345678901234567.0 , \"L\" : [ true , null , "
                 "{ \"attributes\" : 1 } ] , \"E\" : { } } ] }");
    ASK(x, &b, &f, KEY("a\\}"));
    CHECK_STR(f.rows,
              "a\\}={\"Id\":\"01u\\\"]\",\"Product2\":{\"StockKeepingUnit\":\"a\\\\}\"},"
              "\"N\":12345678901234567.0,\"L\":[true,null,{}],\"E\":{}};");
    unbind(&b);
}

static void a_wrong_question_is_refused_and_all_else_is_asked_again(void **state)
{
    static const struct {
        uint32_t status, verdict;
        const char *answer, *says;
    } cases[] = {
        { 400, SL_FIND_REFUSED,
          "[{\"message\":\"No such column 'UnitPrise' on entity 'PricebookEntry'\","
          "\"errorCode\":\"INVALID_FIELD\"}]",
          "UnitPrise" },
        { 404, SL_FIND_REFUSED, "[{\"message\":\"not found\",\"errorCode\":\"NOT_FOUND\"}]", "" },
        { 503, SL_FIND_AGAIN, "[{\"message\":\"busy\",\"errorCode\":\"SERVER_UNAVAILABLE\"}]", "" },
        { 403, SL_FIND_AGAIN,
          "[{\"message\":\"TotalRequests Limit exceeded.\","
          "\"errorCode\":\"REQUEST_LIMIT_EXCEEDED\"}]",
          "TotalRequests" },
        { 200, SL_FIND_AGAIN, "<html>", "is not one" },
        { 200, SL_FIND_AGAIN, "{\"records\":[]}", "is not one" },
        { 200, SL_FIND_AGAIN, "{\"done\":false,\"records\":[]}", "is not one" },
        { 200, SL_FIND_AGAIN, "{\"done\":true,\"rec\\u006frds\":[{}]}", "is not one" },
        { 200, SL_FIND_AGAIN, "{\"done\":true,\"records\":1,\"records\":[{}]}", "is not one" },
    };
    struct sf_fixture *x = *state;
    struct bound b = bind_to(x, prices);

    sf_expect_token(x);
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct found f = { 0 };
        expect_query(x, HEAD "%27A%27" TAIL, cases[i].status, cases[i].answer);
        ASK(x, &b, &f, KEY("A"));
        CHECK_EQ(f.calls, 1);
        CHECK_EQ(f.verdict, cases[i].verdict);
        CHECK(strstr(f.why, cases[i].says) != NULL);
        CHECK_STR(f.rows, "");
    }
    unbind(&b);
}

static void after_the_endpoint_is_closed_nothing_is_told(void **state)
{
    struct sf_fixture *x = *state;
    struct bound b = bind_to(x, prices);
    struct found f = { 0 };
    const sl_str key = KEY("A");

    FAKE_EXPECT(x->host, .method = "POST", .url = SF_LOGIN "/services/oauth2/token", .never = true);
    b.find->ask(x->self, b.handle, &key, 1, on_found, &f);
    fake_host_run(x->host);
    CHECK_EQ(f.calls, 0);
    sf_close(x);
    CHECK(f.calls <= 1 && f.verdict != SL_FIND_DONE);
    unbind(&b);
}

/* ---- what check finds ---------------------------------------------------------------------- */

static void what_is_no_name_is_found_by_check(void **state)
{
    struct sf_fixture *x = *state;

    check_refused(x,
                  (const struct fake_setting[]){
                      { "find", "Price book" }, { "by", "Id" }, { "fields", "[\"Id\"]" }, { 0 } },
                  "find: \"Price book\" is not an API name; it reads PricebookEntry or "
                  "My_Object__c");
    check_refused(
        x,
        (const struct fake_setting[]){
            { "find", "Product2" }, { "by", "Product2..Sku" }, { "fields", "[\"Id\"]" }, { 0 } },
        "by: \"Product2..Sku\" is not an API name; it reads ERP_No__c or "
        "Product2.StockKeepingUnit");
    check_refused(x,
                  (const struct fake_setting[]){ { "find", "Product2" },
                                                 { "by", "Sku__c" },
                                                 { "fields", "[\"Id\",\"Id FROM User\"]" },
                                                 { 0 } },
                  "fields: \"Id FROM User\" is not an API name; it reads Id, UnitPrice or "
                  "Product2.Name");
    check_refused(x,
                  (const struct fake_setting[]){ { "find", "Product2" },
                                                 { "by", "Sku__c" },
                                                 { "fields", "[\"Id\"]" },
                                                 { "where", "{\"A = 1 OR B\":\"1\"}" },
                                                 { 0 } },
                  "where: \"A = 1 OR B\" is not an API name; it reads Pricebook2Id or "
                  "Pricebook2.IsStandard");
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, sf_setup, sf_teardown)
    const struct CMUnitTest tests[] = {
        T(one_query_asks_for_all_keys_and_rows_keep_their_digits),
        T(a_key_is_escaped_and_nothing_in_it_is_soql),
        T(where_says_texts_numbers_and_truths),
        T(many_long_keys_go_in_several_queries),
        T(a_key_that_no_address_holds_is_said_to_be_too_long),
        T(pages_are_followed),
        T(two_rows_of_a_key_are_an_error_that_names_both),
        T(with_many_they_are_a_list),
        T(values_of_any_kind_come_through),
        T(a_wrong_question_is_refused_and_all_else_is_asked_again),
        T(after_the_endpoint_is_closed_nothing_is_told),
        T(what_is_no_name_is_found_by_check),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
