/* test_shopify_answer.c - what an answer of the Admin API says. */
#include <string.h>

#include "../check.h"
#include "admin/answer.h"

#define ID "2f1e-77"

struct read {
    struct admin_answer a;
    struct admin_cost cost;
    json_t *root;
};

static struct read read_one(uint32_t status, const char *body, int writes, int64_t retry_after_ms)
{
    sl_header header = { { "x-request-id", 12 }, { ID, strlen(ID) } };
    sl_http_answer a = { .size = sizeof(a),
                         .status = status,
                         .sent = 1,
                         .headers = &header,
                         .n_headers = 1,
                         .body = { body, strlen(body) },
                         .retry_after_ms = retry_after_ms };
    struct read r;

    r.root = answer_read(&a, writes, &r.a, &r.cost);
    return r;
}

static void check(uint32_t status, const char *body, int writes, enum admin_verdict verdict,
                  const char *says)
{
    struct read r = read_one(status, body, writes, -1);

    if (r.a.verdict != verdict || (says && !strstr(r.a.why, says)))
        fail_msg("HTTP %u %.60s: verdict %d \"%s\", not %d \"%s\"", status, body, r.a.verdict,
                 r.a.why, verdict, says ? says : "");
    if (verdict != ADMIN_OK && verdict != ADMIN_THROTTLED && !strstr(r.a.why, ID))
        fail_msg("\"%s\" has not the request's id", r.a.why);
    json_decref(r.root);
}

#define QUESTION 0
#define WRITE    1
#define CODE(code, rest) \
    "{\"errors\":[{\"message\":\"said\",\"extensions\":{\"code\":\"" code "\"" rest "}}]"

static void each_status_has_its_meaning(void **state)
{
    static const struct {
        uint32_t status;
        enum admin_verdict of_write, of_question;
        const char *says;
    } cases[] = {
        { 301, ADMIN_PARK, ADMIN_PARK, "check shop and admin.url" },
        { 303, ADMIN_PARK, ADMIN_PARK, "check shop and admin.url" },
        { 400, ADMIN_REFUSED, ADMIN_REFUSED, "HTTP 400" },
        { 401, ADMIN_PARK, ADMIN_PARK, "access token" },
        { 402, ADMIN_PARK, ADMIN_PARK, "frozen" },
        { 403, ADMIN_PARK, ADMIN_PARK, "check --online" },
        { 404, ADMIN_PARK, ADMIN_PARK, "no such shop" },
        { 405, ADMIN_REFUSED, ADMIN_REFUSED, "HTTP 405" },
        { 406, ADMIN_REFUSED, ADMIN_REFUSED, "HTTP 406" },
        { 408, ADMIN_PERHAPS, ADMIN_NOT_DONE, "HTTP 408" },
        { 409, ADMIN_PERHAPS, ADMIN_NOT_DONE, "somebody else" },
        { 413, ADMIN_REFUSED, ADMIN_REFUSED, "too large" },
        { 414, ADMIN_REFUSED, ADMIN_REFUSED, "HTTP 414" },
        { 415, ADMIN_REFUSED, ADMIN_REFUSED, "HTTP 415" },
        { 422, ADMIN_REFUSED, ADMIN_REFUSED, "HTTP 422" },
        { 423, ADMIN_PARK, ADMIN_PARK, "locked" },
        { 429, ADMIN_THROTTLED, ADMIN_THROTTLED, "HTTP 429" },
        { 430, ADMIN_PARK, ADMIN_PARK, "attack" },
        { 500, ADMIN_PERHAPS, ADMIN_NOT_DONE, "within Shopify" },
        { 501, ADMIN_REFUSED, ADMIN_REFUSED, "does not offer" },
        { 502, ADMIN_PERHAPS, ADMIN_NOT_DONE, "HTTP 502" },
        { 503, ADMIN_PERHAPS, ADMIN_NOT_DONE, "not available" },
        { 504, ADMIN_PERHAPS, ADMIN_NOT_DONE, "not known" },
        { 530, ADMIN_NOT_DONE, ADMIN_NOT_DONE, "name" },
        { 540, ADMIN_NOT_DONE, ADMIN_NOT_DONE, "switched off" },
        { 783, ADMIN_REFUSED, ADMIN_REFUSED, "cannot be read" },
        { 418, ADMIN_REFUSED, ADMIN_REFUSED, "HTTP 418" },
        { 599, ADMIN_PERHAPS, ADMIN_NOT_DONE, "HTTP 599" },
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        check(cases[i].status, "", WRITE, cases[i].of_write, cases[i].says);
        check(cases[i].status, "<html>", QUESTION, cases[i].of_question, cases[i].says);
    }
}

static void a_shop_that_is_closed_is_asked_slowly(void **state)
{
    struct read r = read_one(402, "", WRITE, -1);

    (void)state;
    CHECK_EQ(r.a.after_ms, PARK_SLOWLY_MS);
    CHECK_EQ(read_one(423, "", WRITE, -1).a.after_ms, PARK_SLOWLY_MS);
    CHECK_EQ(read_one(430, "", WRITE, -1).a.after_ms, PARK_BLOCKED_MS);
    CHECK_EQ(read_one(503, "", QUESTION, 7000).a.after_ms, 7000);
    CHECK_EQ(read_one(429, "", QUESTION, 2500).a.after_ms, 2500);
    CHECK_EQ(read_one(429, "", QUESTION, 10).a.after_ms, 1000); /* a second at least */
    CHECK_EQ(read_one(429, "", QUESTION, -1).a.after_ms, 1000);
}

static void errors_are_read_by_their_json_type(void **state)
{
    (void)state;
    check(401, "{\"errors\":\"[API] Invalid API key\"}", WRITE, ADMIN_PARK,
          "[API] Invalid API key");
    check(422, "{\"errors\":{\"base\":[\"is bad\",\"is worse\"],\"title\":\"blank\"}}", WRITE,
          ADMIN_REFUSED, "base: is bad; is worse; title: blank");
    check(400, "{\"errors\":{\"query\":\"Required parameter missing or invalid\"}}", QUESTION,
          ADMIN_REFUSED, "query: Required parameter");
    check(400, "{\"errors\":[{\"message\":\"one\"},{\"message\":\"two\"}]}", QUESTION,
          ADMIN_REFUSED, "one; two");
    check(200, "{\"errors\":\"nothing of it\"}", WRITE, ADMIN_REFUSED, "nothing of it");
    check(200, "{\"errors\":[[[[[[[[[[[[[\"deep\"]]]]]]]]]]]]]}", WRITE, ADMIN_REFUSED, NULL);
    check(200, "{\"errors\":[]}", WRITE, ADMIN_PERHAPS, "no answer of the Admin API");
    check(200, "{\"data\":{\"a\":1},\"errors\":[]}", WRITE, ADMIN_OK, NULL);
    check(200, "{\"data\":{\"a\":1},\"errors\":null}", WRITE, ADMIN_OK, NULL);
    check(200, "{\"data\":{\"a\":null}}", QUESTION, ADMIN_OK, NULL);
    check(200, "{\"data\":null}", WRITE, ADMIN_PERHAPS, NULL);
    check(200, "", QUESTION, ADMIN_NOT_DONE, NULL);
    check(202, "{\"data\":{\"a\":1}}", WRITE, ADMIN_OK, NULL);
}

static void each_code_has_its_meaning(void **state)
{
    (void)state;
    check(200, CODE("INTERNAL_SERVER_ERROR", ",\"requestId\":\"" ID "\"") "}", WRITE, ADMIN_PERHAPS,
          "INTERNAL_SERVER_ERROR: said (request id " ID ")");
    check(200, CODE("INTERNAL_SERVER_ERROR", "") "}", QUESTION, ADMIN_NOT_DONE, NULL);
    check(200, CODE("TIMEOUT", "") ",\"data\":null}", WRITE, ADMIN_PERHAPS, "TIMEOUT");
    check(200, CODE("ACCESS_DENIED", ",\"requiredAccess\":\"`write_orders` access scope.\"") "}",
          WRITE, ADMIN_PARK, "`write_orders` access scope.");
    check(200, CODE("ACCESS_DENIED", "") "}", QUESTION, ADMIN_PARK, "lacks a scope: said");
    check(200, CODE("SHOP_INACTIVE", "") "}", WRITE, ADMIN_PARK, "SHOP_INACTIVE");
    check(200, CODE("MAX_COST_EXCEEDED", "") "}", QUESTION, ADMIN_REFUSED, "1000 points");
    check(200, CODE("undefinedField", "") "}", WRITE, ADMIN_REFUSED, "does not fit the version");
    check(200, CODE("INVALID_VARIABLE", "") "}", WRITE, ADMIN_REFUSED, "INVALID_VARIABLE: said");
    check(200, CODE("MAX_INPUT_SIZE_EXCEEDED", "") "}", WRITE, ADMIN_REFUSED, NULL);
    check(200, CODE("BAD_REQUEST", "") ",\"data\":{\"inventorySetQuantities\":null}}", WRITE,
          ADMIN_REFUSED, "BAD_REQUEST: said");
    check(200, CODE("RESOURCE_NOT_FOUND", "") ",\"data\":{\"fulfillmentOrderHold\":null}}", WRITE,
          ADMIN_REFUSED, "RESOURCE_NOT_FOUND: said");
    check(200, "{\"errors\":[{\"message\":\"no code\"}]}", WRITE, ADMIN_REFUSED, "no code");
}

static void data_beside_errors_of_a_write_may_be_done(void **state)
{
    struct read r = read_one(200, CODE("ACCESS_DENIED", "") ",\"data\":{\"a\":{\"id\":\"1\"}}}",
                             WRITE, -1);

    (void)state;
    CHECK_EQ(r.a.verdict, ADMIN_PERHAPS);
    CHECK(json_is_object(json_object_get(r.a.data, "a")));
    CHECK_EQ(json_array_size(r.a.errors), 1);
    json_decref(r.root);
    r = read_one(200, CODE("ACCESS_DENIED", "") ",\"data\":{\"a\":{\"id\":\"1\"}}}", QUESTION, -1);
    CHECK_EQ(r.a.verdict, ADMIN_PARK);
    CHECK(json_is_object(json_object_get(r.a.data, "a"))); /* other fields may still hold some */
    json_decref(r.root);
}

static void of_several_errors_the_gravest_decides(void **state)
{
    (void)state;
    check(200,
          "{\"errors\":[{\"message\":\"a\",\"extensions\":{\"code\":\"RESOURCE_NOT_FOUND\"}},"
          "{\"message\":\"b\",\"extensions\":{\"code\":\"INTERNAL_SERVER_ERROR\"}}]}",
          WRITE, ADMIN_PERHAPS, "a; b");
    check(200,
          "{\"errors\":[{\"message\":\"a\"},{\"message\":\"Throttled\",\"extensions\":{\"code\":"
          "\"THROTTLED\"}}]}",
          WRITE, ADMIN_THROTTLED, "points are spent");
}

static int64_t wait_of(const char *requested, const char *left, const char *restore)
{
    char body[400];
    struct read r;

    snprintf(body, sizeof(body),
             CODE("THROTTLED", "") ",\"extensions\":{\"cost\":{\"requestedQueryCost\":%s,"
                                   "\"actualQueryCost\":null,\"throttleStatus\":{"
                                   "\"maximumAvailable\":1000.0,\"currentlyAvailable\":%s,"
                                   "\"restoreRate\":%s}}}}",
             requested, left, restore);
    r = read_one(200, body, WRITE, -1);
    CHECK_EQ(r.a.verdict, ADMIN_THROTTLED);
    json_decref(r.root);
    return r.a.after_ms;
}

static void who_is_throttled_waits_until_the_whole_cost_is_there(void **state)
{
    (void)state;
    CHECK_EQ(wait_of("752", "666", "50"), 1720);
    CHECK_EQ(wait_of("752", "666", "50.0"), 1720);
    CHECK_EQ(wait_of("752.0", "0", "100"), 7520);
    CHECK_EQ(wait_of("13", "12", "100"), 1000); /* a second at least */
    CHECK_EQ(wait_of("1000", "0", "1"), 60000); /* no more than a minute */
    CHECK_EQ(wait_of("null", "5", "100"), 1000);
    CHECK_EQ(wait_of("1e300", "5", "100"), 1000);
    CHECK_EQ(wait_of("10", "5", "0"), 1000);
    CHECK_EQ(wait_of("10", "-5", "-1"), 1000);
    CHECK_EQ(wait_of("\"10\"", "5", "\"x\""), 1000);
}

static void what_has_no_answer_is_told_by_whether_a_byte_left(void **state)
{
    sl_http_answer a = { .size = sizeof(a),
                         .error = SL_E_TIMEOUT,
                         .sent = 1,
                         .why = { "timed out", 9 },
                         .retry_after_ms = -1 };
    struct admin_answer ret;
    struct admin_cost cost;

    (void)state;
    CHECK(!answer_read(&a, WRITE, &ret, &cost));
    CHECK_EQ(ret.verdict, ADMIN_PERHAPS);
    CHECK(!answer_read(&a, QUESTION, &ret, &cost));
    CHECK_EQ(ret.verdict, ADMIN_NOT_DONE);
    a.sent = 0;
    CHECK(!answer_read(&a, WRITE, &ret, &cost));
    CHECK_EQ(ret.verdict, ADMIN_NOT_DONE);
    CHECK_STR(ret.why, "timed out");
    a.error = SL_E_TLS;
    CHECK(!answer_read(&a, WRITE, &ret, &cost));
    CHECK_EQ(ret.verdict, ADMIN_PARK);
    CHECK_EQ(cost.left, -1);
}

static void a_long_text_is_cut_between_characters_and_keeps_the_request_id(void **state)
{
    char body[4000] = "{\"errors\":[{\"message\":\"";
    struct read r;

    (void)state;
    for (int i = 0; i < 600; i++)
        strcat(body, i % 7 ? "\xc3\xa4" : "\\n\xe2\x82\xac");
    strcat(body, "\"}]}");
    r = read_one(200, body, WRITE, -1);
    CHECK_EQ(r.a.verdict, ADMIN_REFUSED);
    CHECK(strstr(r.a.why, " (request id " ID ")"));
    CHECK(!strchr(r.a.why, '\n'));
    json_t *text = json_string(r.a.why); /* NULL: not UTF-8 */
    CHECK(text != NULL);
    json_decref(text);
    json_decref(r.root);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_status_has_its_meaning),
        cmocka_unit_test(a_shop_that_is_closed_is_asked_slowly),
        cmocka_unit_test(errors_are_read_by_their_json_type),
        cmocka_unit_test(each_code_has_its_meaning),
        cmocka_unit_test(data_beside_errors_of_a_write_may_be_done),
        cmocka_unit_test(of_several_errors_the_gravest_decides),
        cmocka_unit_test(who_is_throttled_waits_until_the_whole_cost_is_there),
        cmocka_unit_test(what_has_no_answer_is_told_by_whether_a_byte_left),
        cmocka_unit_test(a_long_text_is_cut_between_characters_and_keeps_the_request_id),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
