/*
 * test_salesforce_feed.c - feeds: what is asked for, what becomes of the rows, where the next poll
 * goes on; and what their events are about.
 */
#include "feeds/feed.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "salesforce_fixture.h"

#define ASKED  SF_BASE "/services/data/v66.0/query?q="
#define ALL    SF_BASE "/services/data/v66.0/queryAll?q="
#define JOBS   SF_BASE "/services/data/v66.0/jobs/query"
#define QID    "7505g00000Qry01AAB"
#define SELECT "SELECT%20Id%2C%20SystemModstamp%2C%20"
#define DATE   "Date: Fri, 20 Nov 2026 09:15:30 GMT"
#define NOW    "2026-11-20T09:15:32.000Z" /* of the fake host */

struct polling {
    struct fake_host *host;
    sl_poll_out out;
    char bodies[1 << 17];         /* each with a newline */
    size_t emitted, stored, most; /* most: between two checkpoints */
    size_t pending;
    size_t checkpoints;
    char cursor[400];
    sl_durable_cb cb;
    void *cb_ctx;
    int finished;
    sl_status status;
    char why[600];
};

static sl_status on_emit(void *ctx, sl_str topic, sl_str body)
{
    struct polling *p = ctx;
    size_t at = strlen(p->bodies);

    CHECK(topic.len > 0);
    CHECK(!p->finished);
    p->emitted++;
    p->pending++;
    p->most = p->pending > p->most ? p->pending : p->most;
    if (at + body.len + 2 < sizeof(p->bodies))
        snprintf(p->bodies + at, sizeof(p->bodies) - at, "%.*s\n", (int)body.len, body.ptr);
    return SL_OK;
}

static void on_durable(void *ctx)
{
    struct polling *p = ctx;

    p->stored += p->pending;
    p->pending = 0;
    p->cb(p->cb_ctx, SL_OK);
}

static void on_checkpoint(void *ctx, sl_str cursor, sl_durable_cb cb, void *cb_ctx)
{
    struct polling *p = ctx;
    const sl_host *h = fake_host_table(p->host);

    p->checkpoints++;
    snprintf(p->cursor, sizeof(p->cursor), "%.*s", (int)cursor.len, cursor.len ? cursor.ptr : "");
    p->cb = cb;
    p->cb_ctx = cb_ctx;
    h->timer(h->ctx, 1, on_durable, p);
}

static void on_finish(void *ctx, sl_status status, sl_str why, int64_t after_ms)
{
    struct polling *p = ctx;

    (void)after_ms;
    p->finished++;
    p->status = status;
    snprintf(p->why, sizeof(p->why), "%.*s", (int)why.len, why.len ? why.ptr : "");
}

static const sl_feed *kind_of(const struct sf_fixture *x, const char *name, uint32_t *ret)
{
    for (*ret = 0; x->plugin->feeds[*ret].name; ++*ret)
        if (strcmp(x->plugin->feeds[*ret].name, name) == 0)
            return &x->plugin->feeds[*ret];
    fail_msg("no kind %s", name);
    return NULL;
}

/* Bind, poll until it ends, unbind. */
static void poll_it(struct sf_fixture *x, struct polling *p, const char *kind,
                    const struct fake_setting *params, const char *cursor)
{
    sl_bind_in in = { .size = sizeof(in), .values = &fake_values_api };
    sl_fail fail = { .size = sizeof(fail) };
    void *handle = NULL;
    sl_values *v;

    v = fake_values_create(kind_of(x, kind, &in.action)->params, params);
    in.params = v;
    if (x->plugin->bind_feed(&in, &handle, &fail) < 0)
        fail_msg("%s", fail.text);
    p->host = x->host;
    p->out = (sl_poll_out){ .size = sizeof(p->out),
                            .ctx = p,
                            .feed = str_of("test"),
                            .emit = on_emit,
                            .checkpoint = on_checkpoint,
                            .finish = on_finish };
    x->plugin->poll(x->self, handle, str_of(cursor), &p->out);
    fake_host_run(x->host);
    CHECK_EQ(p->finished, 1);
    x->plugin->unbind_feed(handle);
    fake_values_destroy(v);
}

static const struct fake_setting products[] = { { "object", "Product2" },
                                                { "fields", "[\"Name\",\"Family__r.Code__c\"]" },
                                                { 0 } };
static const struct fake_setting stock[] = { { "available", "Available__c" },
                                             { "location", "Warehouse__r.Code__c" },
                                             { 0 } };

#define PRODUCTS SELECT "Name%2C%20Family__r.Code__c%20FROM%20Product2"
#define LIMITED  "%20LIMIT%20500"
#define ROW(id, at, name)                                                                \
    "{\"attributes\":{\"type\":\"Product2\"},\"Id\":\"" id "\",\"SystemModstamp\":\"" at \
    "\",\"Name\":\"" name "\",\"Family__r\":{\"Code__c\":\"F1\"}}"

/* ---- a few rows ---------------------------------------------------------------------------- */

static void a_few_rows_come_by_one_rest_query(void **state)
{
    struct sf_fixture *x = *state;
    struct polling p = { 0 };

    sf_expect_token(x);
    FAKE_EXPECT(x->host, .method = "GET", .url = ASKED PRODUCTS LIMITED, .headers = SF_BEARER,
                .status = 200, .answer_headers = DATE,
                .answer = "{\"totalSize\":2,\"done\":true,\"records\":[" ROW(
                    "01t1", "2026-11-20T09:00:00.000+0000", "a") ",{\"Id\":\"01t2\","
                          "\"SystemModstamp\":\"2026-11-20T10:10:00.000+0100\",\"Name\":null,"
                          "\"Family__r\":null}]}");
    poll_it(x, &p, "query", products, "");
    CHECK_EQ(p.status, SL_OK);
    CHECK_STR(p.bodies,
              "{\"object\":\"Product2\",\"record\":{\"Id\":\"01t1\",\"SystemModstamp\":"
              "\"2026-11-20T09:00:00.000+0000\",\"Name\":\"a\",\"Family__r.Code__c\":\"F1\"}}\n"
              "{\"object\":\"Product2\",\"record\":{\"Id\":\"01t2\",\"SystemModstamp\":"
              "\"2026-11-20T10:10:00.000+0100\",\"Name\":null,\"Family__r.Code__c\":null}}\n");
    CHECK_EQ(p.stored, 2);
    CHECK_STR(p.cursor, "{\"v\":1,\"object\":\"Product2\",\"upto\":\"2026-11-20T09:15:30.000Z\"}");
}

static void the_next_poll_asks_from_the_cursor_less_the_overlap(void **state)
{
    struct sf_fixture *x = *state;
    struct polling p = { 0 };

    sf_expect_token(x);
    FAKE_EXPECT(x->host, .method = "GET",
                .url = ASKED PRODUCTS
                "%20WHERE%20SystemModstamp%20%3E%3D%202026-11-20T08%3A55%3A00.000Z" LIMITED,
                .status = 200, .answer = "{\"totalSize\":0,\"done\":true,\"records\":[]}");
    poll_it(x, &p, "query", products,
            "{\"v\":1,\"object\":\"Product2\",\"upto\":\"2026-11-20T09:00:00.000Z\"}");
    CHECK_EQ(p.emitted, 0);
    CHECK_STR(p.cursor, "{\"v\":1,\"object\":\"Product2\",\"upto\":\"2026-11-20T09:00:00.000Z\"}");
}

static void a_clock_that_runs_ahead_skips_nothing(void **state)
{
    struct sf_fixture *x = *state;
    struct polling p = { 0 };

    sf_expect_token(x);
    FAKE_EXPECT(x->host, .method = "GET", .url = ASKED PRODUCTS LIMITED, .status = 200,
                .answer_headers = "Date: Sat, 21 Nov 2026 09:15:30 GMT",
                .answer = "{\"totalSize\":0,\"done\":true,\"records\":[]}");
    poll_it(x, &p, "query", products, "");
    CHECK_STR(p.cursor, "{\"v\":1,\"object\":\"Product2\",\"upto\":\"" NOW "\"}");
}

static void the_cursor_of_another_object_says_nothing(void **state)
{
    struct sf_fixture *x = *state;
    struct polling p = { 0 };

    sf_expect_token(x);
    FAKE_EXPECT(x->host, .method = "GET", .url = ASKED PRODUCTS LIMITED, .status = 200,
                .answer = "{\"totalSize\":0,\"done\":true,\"records\":[]}");
    poll_it(x, &p, "query", products,
            "{\"v\":1,\"object\":\"Contact\",\"upto\":\"2026-11-20T09:00:00.000Z\"}");
    CHECK_EQ(p.status, SL_OK);
}

static void deleted_rows_and_a_condition_are_asked_for(void **state)
{
    static const struct fake_setting params[] = { { "object", "Contact" },
                                                  { "fields", "[\"EMAIL\",\"id\"]" },
                                                  { "where", "Email != null OR Phone != null" },
                                                  { "deleted", "true" },
                                                  { 0 } };
    struct sf_fixture *x = *state;
    struct polling p = { 0 };

    sf_expect_token(x);
    FAKE_EXPECT(x->host, .method = "GET",
                .url = ALL SELECT
                "EMAIL%2C%20IsDeleted%20FROM%20Contact%20WHERE%20%28Email%20%21"
                "%3D%20null%20OR%20Phone%20%21%3D%20null%29" LIMITED,
                .status = 200,
                .answer =
                    "{\"done\":true,\"records\":[{\"Id\":\"0031\",\"SystemModstamp\":"
                    "\"2026-11-20T09:00:00.000+0000\",\"Email\":\"a@x\",\"IsDeleted\":true}"
                    "]}");
    poll_it(x, &p, "query", params, "");
    CHECK(strstr(p.bodies, "\"EMAIL\":\"a@x\",\"IsDeleted\":\"true\""));
}

static void the_first_poll_may_begin_with_what_changes_from_now_on(void **state)
{
    static const struct fake_setting params[] = {
        { "object", "Product2" }, { "fields", "[\"Name\"]" }, { "begin", "now" }, { 0 }
    };
    struct sf_fixture *x = *state;
    struct polling p = { 0 };

    poll_it(x, &p, "query", params, "");
    CHECK_EQ(p.emitted, 0);
    CHECK_STR(p.cursor, "{\"v\":1,\"object\":\"Product2\",\"upto\":\"" NOW "\"}");
}

static void stock_has_a_form_of_its_own(void **state)
{
    struct sf_fixture *x = *state;
    struct polling p = { 0 };

    sf_expect_token(x);
    FAKE_EXPECT(x->host, .method = "GET",
                .url = ASKED SELECT
                "StockKeepingUnit%2C%20Available__c%2C%20"
                "Warehouse__r.Code__c%20FROM%20Product2" LIMITED,
                .status = 200,
                .answer =
                    "{\"done\":true,\"records\":[{\"Id\":\"01t1\",\"SystemModstamp\":"
                    "\"2026-11-20T09:00:00.000+0000\",\"StockKeepingUnit\":\"0012\","
                    "\"Available__c\":7.0,\"Warehouse__r\":{\"Code__c\":\"BER\"}}]}");
    poll_it(x, &p, "stock", stock, "");
    CHECK_STR(p.bodies,
              "{\"sku\":\"0012\",\"location\":\"BER\",\"available\":7,\"changed_at\":"
              "\"2026-11-20T09:00:00.000Z\",\"object\":\"Product2\",\"id\":\"01t1\"}\n");
}

/* ---- many rows ----------------------------------------------------------------------------- */

static char *full_page(void)
{
    char *text = calloc(1, 1 << 17);
    size_t at = (size_t)sprintf(text, "{\"totalSize\":500,\"done\":true,\"records\":[");

    for (int i = 0; i < 500; i++)
        at += (size_t)sprintf(text + at, "%s" ROW("01t1", "2026-11-20T09:00:00.000+0000", "a"),
                              i ? "," : "");
    strcpy(text + at, "]}");
    return text;
}

static char *csv_page(int from, int n)
{
    char *text = calloc(1, 1 << 17);
    size_t at = (size_t)sprintf(text, "\"Id\",\"SystemModstamp\",\"Name\",\"Family__r.Code__c\"\n");

    for (int i = from; i < from + n; i++)
        at += (size_t)sprintf(text + at, "\"r%d\",\"2026-11-20T09:00:00.000+0000\",\"n\",\"F1\"\n",
                              i);
    return text;
}

static void more_than_one_answer_holds_is_read_by_a_bulk_query(void **state)
{
    struct sf_fixture *x = *state;
    struct polling p = { 0 };
    char *full = full_page(), *first = csv_page(0, 1200), *second = csv_page(1200, 3);

    sf_expect_token(x);
    FAKE_EXPECT(x->host, .method = "GET", .url = ASKED PRODUCTS LIMITED, .status = 200,
                .answer = full);
    FAKE_EXPECT(x->host, .method = "POST", .url = JOBS, .status = 200,
                .body =
                    "{\"operation\":\"query\",\"query\":\"SELECT Id, SystemModstamp, Name, "
                    "Family__r.Code__c FROM Product2\",\"contentType\":\"CSV\","
                    "\"columnDelimiter\":\"COMMA\",\"lineEnding\":\"LF\"}",
                .answer = "{\"id\":\"" QID
                          "\",\"state\":\"UploadComplete\",\"createdDate\":"
                          "\"2026-11-20T09:14:00.000+0000\"}");
    FAKE_EXPECT(x->host, .method = "GET", .url = JOBS "/" QID, .status = 200,
                .answer = "{\"state\":\"JobComplete\"}");
    FAKE_EXPECT(x->host, .method = "GET", .url = JOBS "/" QID "/results?maxRecords=10000",
                .status = 200, .answer_headers = "Sforce-NumberOfRecords: 1200\nSforce-Locator: A",
                .answer = first);
    FAKE_EXPECT(x->host, .method = "GET", .url = JOBS "/" QID "/results?maxRecords=10000&locator=A",
                .status = 200, .answer_headers = "Sforce-NumberOfRecords: 3\nSforce-Locator: null",
                .answer = second);
    FAKE_EXPECT(x->host, .method = "DELETE", .url = JOBS "/" QID, .status = 204);
    poll_it(x, &p, "query", products, "");
    CHECK_EQ(p.status, SL_OK);
    CHECK_EQ(p.emitted, 1203);
    CHECK_EQ(p.stored, 1203);
    CHECK(p.most <= 500); /* so much is in memory */
    CHECK(strstr(p.bodies, "\"r0\"") && strstr(p.bodies, "\"r499\""));
    CHECK_STR(p.cursor, "{\"v\":1,\"object\":\"Product2\",\"upto\":\"2026-11-20T09:14:00.000Z\"}");
    free(full);
    free(first);
    free(second);
}

/* ---- what goes wrong ----------------------------------------------------------------------- */

static void a_refusal_is_told_and_leaves_the_cursor(void **state)
{
    struct sf_fixture *x = *state;
    struct polling p = { 0 };

    sf_expect_token(x);
    FAKE_EXPECT(x->host, .method = "GET", .url = ASKED PRODUCTS LIMITED, .status = 400,
                .answer =
                    "[{\"message\":\"No such column 'Name' on entity 'Product2'.\","
                    "\"errorCode\":\"INVALID_FIELD\"}]");
    poll_it(x, &p, "query", products, "");
    CHECK_EQ(p.status, SL_E_INVALID);
    CHECK(strstr(p.why, "No such column 'Name'"));
    CHECK_EQ(p.checkpoints, 0);
}

static void an_answer_that_is_none_is_told(void **state)
{
    struct sf_fixture *x = *state;
    struct polling p = { 0 };

    sf_expect_token(x);
    FAKE_EXPECT(x->host, .method = "GET", .url = ASKED PRODUCTS LIMITED, .status = 200,
                .answer = "<html>");
    poll_it(x, &p, "query", products, "");
    CHECK_EQ(p.status, SL_E_PROTOCOL);
    CHECK_EQ(p.checkpoints, 0);
}

static void a_poll_under_way_ends_with_its_host(void **state)
{
    struct sf_fixture *x = *state;
    sl_bind_in in = { .size = sizeof(in), .values = &fake_values_api };
    sl_fail fail = { .size = sizeof(fail) };
    struct polling p = { .host = x->host };
    void *handle = NULL;

    sf_expect_token(x);
    FAKE_EXPECT(x->host, .method = "GET", .url = ASKED PRODUCTS LIMITED, .never = true);
    sl_values *v = fake_values_create(kind_of(x, "query", &in.action)->params, products);
    in.params = v;
    CHECK_EQ(x->plugin->bind_feed(&in, &handle, &fail), SL_OK);
    p.out = (sl_poll_out){ .size = sizeof(p.out),
                           .ctx = &p,
                           .emit = on_emit,
                           .checkpoint = on_checkpoint,
                           .finish = on_finish };
    x->plugin->poll(x->self, handle, str_of(""), &p.out);
    fake_host_run(x->host);
    CHECK_EQ(p.finished, 0);
    sf_close(x);
    CHECK_EQ(p.finished, 1);
    CHECK_EQ(p.status, SL_E_CANCELLED);
    x->plugin->unbind_feed(handle);
    fake_values_destroy(v);
}

static void wrong_parameters_are_named(void **state)
{
    static const struct {
        const char *kind;
        struct fake_setting params[4];
        const char *text;
    } cases[] = {
        { "query",
          { { "object", "Pro duct" }, { "fields", "[\"Name\"]" } },
          "object: \"Pro duct\"" },
        { "query", { { "object", "Product2" }, { "fields", "[]" } }, "fields: name at least one" },
        { "query",
          { { "object", "Product2" }, { "fields", "[\"COUNT()\"]" } },
          "fields: \"COUNT()\" is not the name of a field" },
        { "query",
          { { "object", "Product2" }, { "fields", "[\"Name.\"]" } },
          "fields: \"Name.\" is not the name of a field" },
        { "query",
          { { "object", "Product2" }, { "fields", "[\"Name\"]" }, { "topic", "outbound/Order" } },
          "topic: \"outbound/Order\"" },
        { "stock", { { "available", "a-b" } }, "available: \"a-b\"" },
    };
    struct sf_fixture *x = *state;

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        sl_bind_in in = { .size = sizeof(in), .values = &fake_values_api };
        sl_fail fail = { .size = sizeof(fail) };
        void *handle = NULL;
        sl_values *v = fake_values_create(kind_of(x, cases[i].kind, &in.action)->params,
                                          cases[i].params);
        in.params = v;
        CHECK_EQ(x->plugin->bind_feed(&in, &handle, &fail), SL_E_INVALID);
        if (!strstr(fail.text, cases[i].text))
            fail_msg("\"%s\" is not in \"%s\"", cases[i].text, fail.text);
        fake_values_destroy(v);
    }
}

/* ---- what events are about ----------------------------------------------------------------- */

struct about {
    char subject[128], version[64], key[64];
};

static void on_subject(void *ctx, sl_str subject, sl_str version, sl_str key, const sl_ref *refs,
                       size_t n)
{
    struct about *a = ctx;

    (void)refs;
    CHECK_EQ(n, 0);
    snprintf(a->subject, sizeof(a->subject), "%.*s", (int)subject.len, subject.ptr);
    snprintf(a->version, sizeof(a->version), "%.*s", (int)version.len, version.ptr);
    snprintf(a->key, sizeof(a->key), "%.*s", (int)key.len, key.ptr);
}

static struct about about(struct sf_fixture *x, const char *body)
{
    struct about a = { 0 };
    sl_event e = { .size = sizeof(e), .topic = str_of("record/changed"), .body = str_of(body) };
    sl_describe_out out = { .size = sizeof(out), .ctx = &a, .subject = on_subject };
    sl_fail fail = { .size = sizeof(fail) };

    if (x->plugin->describe(x->self, &e, &out, &fail) < 0)
        snprintf(a.subject, sizeof(a.subject), "%.127s", fail.text);
    return a;
}

#define RECORD(at, n) \
    "{\"object\":\"A\",\"record\":{\"Id\":\"001\",\"SystemModstamp\":\"" at "\",\"N\":" n "}}"

static void a_row_is_the_same_event_however_it_was_read(void **state)
{
    struct sf_fixture *x = *state;
    struct about json = about(x, RECORD("2026-11-20T09:00:00.000+0000", "\"912260031\""));
    struct about csv = about(x, RECORD("2026-11-20T09:00:00.000Z", "\"9.12260031E8\""));
    struct about other = about(x, RECORD("2026-11-20T09:00:00.000Z", "\"912260032\""));
    struct about null = about(x, RECORD("2026-11-20T09:00:00.000Z", "null"));

    CHECK_STR(json.subject, "salesforce:A/001");
    CHECK_STR(json.version, "2026-11-20T09:00:00.000Z");
    CHECK_STR(json.key, csv.key);
    CHECK(strcmp(json.key, other.key) != 0); /* two writes of one second */
    CHECK(strcmp(null.key, other.key) != 0);
}

static void stock_is_about_its_record(void **state)
{
    struct sf_fixture *x = *state;
    struct about a = about(x,
                           "{\"sku\":\"s\",\"location\":null,\"available\":7,\"changed_at\":"
                           "\"2026-11-20T09:00:00.000Z\",\"object\":\"Product2\",\"id\":\"01t\"}");

    CHECK_STR(a.subject, "salesforce:Product2/01t");
    CHECK_STR(a.version, "2026-11-20T09:00:00.000Z");
    CHECK(a.key[0]);
    CHECK_STR(about(x, "{}").subject, "");
    CHECK(strstr(about(x, RECORD("yesterday", "1")).subject, "is no time: \"yesterday\""));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, sf_setup, sf_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_few_rows_come_by_one_rest_query),
        TEST(the_next_poll_asks_from_the_cursor_less_the_overlap),
        TEST(a_clock_that_runs_ahead_skips_nothing),
        TEST(the_cursor_of_another_object_says_nothing),
        TEST(deleted_rows_and_a_condition_are_asked_for),
        TEST(the_first_poll_may_begin_with_what_changes_from_now_on),
        TEST(stock_has_a_form_of_its_own),
        TEST(more_than_one_answer_holds_is_read_by_a_bulk_query),
        TEST(a_refusal_is_told_and_leaves_the_cursor),
        TEST(an_answer_that_is_none_is_told),
        TEST(a_poll_under_way_ends_with_its_host),
        TEST(wrong_parameters_are_named),
        TEST(a_row_is_the_same_event_however_it_was_read),
        TEST(stock_is_about_its_record),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
