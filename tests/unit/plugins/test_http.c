/*
 * test_http.c - the http adapter: what it sends, how it signs, and what it makes of every answer.
 * The question behind all of it: can the remote have acted?
 */
#include "http_fixture.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "http.h"

#define REQUEST "PUT /orders/7?x=1\nX-Order: #10\n\n{\"frozen\": 9007199254740993}"

/* ---- signatures ---------------------------------------------------------------------------- */

static sl_status parse(const char *secret)
{
    struct signing_key key;

    return signing_key_parse(fake_str(secret), &key);
}

static void a_signature_is_that_of_the_standard_webhooks_vector(void **state)
{
    struct signing_key keys[2];
    char signature[SIGNATURE_SIZE];

    (void)state;
    CHECK_EQ(signing_key_parse(fake_str(VECTOR_SECRET), &keys[0]), SL_OK);
    CHECK_EQ(keys[0].len, 24);
    CHECK_EQ(
        sign(keys, 1, fake_str(VECTOR_ID), fake_str(VECTOR_TIME), fake_str(VECTOR_BODY), signature),
        SL_OK);
    CHECK_STR(signature, VECTOR_SIGNATURE);
    keys[1] = keys[0]; /* while a secret is being rotated there are two, separated by a blank */
    CHECK_EQ(
        sign(keys, 2, fake_str(VECTOR_ID), fake_str(VECTOR_TIME), fake_str(VECTOR_BODY), signature),
        SL_OK);
    CHECK_STR(signature, VECTOR_SIGNATURE " " VECTOR_SIGNATURE);
}

static void a_signature_of_an_empty_body_covers_id_and_time(void **state)
{
    struct signing_key key;
    char signature[SIGNATURE_SIZE];

    (void)state;
    CHECK_EQ(signing_key_parse(fake_str(VECTOR_SECRET), &key), SL_OK);
    CHECK_EQ(sign(&key, 1, fake_str("msg_1"), fake_str("1"), fake_str(""), signature), SL_OK);
    CHECK_STR(signature, EMPTY_SIGNATURE);
}

static void only_a_canonical_secret_of_24_to_64_bytes_is_taken(void **state)
{
    char text[128] = "whsec_";

    (void)state;
    CHECK_EQ(parse(VECTOR_SECRET), SL_OK);
    CHECK_EQ(parse("MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"), SL_E_INVALID);
    CHECK_EQ(parse("whsk_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"), SL_E_INVALID);
    CHECK_EQ(parse("whsec_"), SL_E_INVALID);
    CHECK_EQ(parse("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaS"), SL_E_INVALID);
    CHECK_EQ(parse("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw\n"), SL_E_INVALID);
    CHECK_EQ(parse("whsec_ MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaS"), SL_E_INVALID);
    CHECK_EQ(parse("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaS-"), SL_E_INVALID);
    CHECK_EQ(parse("whsec_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="), SL_E_INVALID);     /* 23 bytes */
    CHECK_EQ(parse("whsec_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=="), SL_OK);        /* 25 */
    CHECK_EQ(parse("whsec_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAB=="), SL_E_INVALID); /* stray bits */
    CHECK_EQ(parse("whsec_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA===="), SL_E_INVALID);
    memset(text + 6, 'A', 88);
    memcpy(text + 6 + 86, "==", 3); /* 64 */
    CHECK_EQ(parse(text), SL_OK);
    memcpy(text + 6 + 86, "A=", 3); /* 65 */
    CHECK_EQ(parse(text), SL_E_INVALID);
}

/* ---- what is sent -------------------------------------------------------------------------- */

static void a_request_goes_out_as_frozen_with_the_headers_of_all(void **state)
{
    const struct fake_setting settings[] = {
        { "base_url", BASE },
        { "headers", "{\"Authorization\":\"Bearer t\",\"X-Team\":\"all\"}" },
        { 0 },
    };
    const struct fake_setting params[] = {
        { "headers", "{\"x-team\":\"this\",\"X-Order\":\"{/order/name}\"}" }, { 0 }
    };
    struct fixture x = fixture_open(settings, params);
    struct fake_done d;

    (void)state;
    FAKE_EXPECT(x.host, .method = "PUT", .url = BASE "/orders/7?x=1",
                .headers =
                    "Authorization: Bearer t\nx-team: this\nX-Order: #10\n"
                    "Content-Type: application/json\n!Idempotency-Key\n!webhook-id",
                .body = "{\"frozen\": 9007199254740993}", .status = 204);
    fixture_deliver(&x, REQUEST, &d, 1);
    CHECK_EQ(d.outcomes[0].kind, SL_DELIVERED);
    CHECK_EQ(d.outcomes[0].status, 204);
    CHECK_STR(d.outcomes[0].reference, "");
    fake_done_finish(&d);
    fixture_close(&x);
}

static void the_secret_path_stands_between_base_and_path_and_in_no_text(void **state)
{
    const struct fake_setting settings[] = { BASIC, { "secret_path", "/services/T0/hush" }, { 0 } };
    struct fixture x = fixture_open(settings, NULL);
    struct fake_done d;

    (void)state;
    FAKE_EXPECT(x.host, .method = "POST", .url = BASE "/services/T0/hush", .body = "{}",
                .status = 404);
    fixture_deliver(&x, "POST\n\n{}", &d, 1); /* the fake looks for the secret in what is told */
    CHECK_EQ(d.outcomes[0].kind, SL_REJECTED);
    fake_done_finish(&d);
    FAKE_EXPECT(x.host, .url = BASE "/services/T0/hush/more", .status = 200);
    fixture_deliver(&x, "POST /more\n\n{}", &d, 1);
    fake_done_finish(&d);
    fixture_close(&x);
}

static void a_delete_without_a_body_names_no_content_type(void **state)
{
    struct fixture x = fixture_open(NULL, NULL);
    struct fake_done d;

    (void)state;
    FAKE_EXPECT(x.host, .method = "DELETE", .url = BASE "/o/1", .headers = "!Content-Type",
                .body = "", .status = 204);
    fixture_deliver(&x, "DELETE /o/1\n\n", &d, 1);
    fake_done_finish(&d);
    fixture_close(&x);
}

static void a_signed_request_keeps_its_id_and_renews_its_time(void **state)
{
    const struct fake_setting settings[] = { BASIC,
                                             KEYED,
                                             { "signing.secret", VECTOR_SECRET },
                                             { "signing.secret", VECTOR_SECRET },
                                             { 0 } };
    struct fixture x = fixture_open(settings, NULL);
    struct signing_key key;
    char signature[SIGNATURE_SIZE], headers[2][1024], time[24];
    struct fake_done d;

    (void)state;
    CHECK_EQ(signing_key_parse(fake_str(VECTOR_SECRET), &key), SL_OK);
    for (int i = 0; i < 2; i++) {
        snprintf(time, sizeof(time), "%lld", 1795166132LL + 7 * i);
        CHECK_EQ(
            sign(&key, 1, fake_str("Zk3-_9aQ"), fake_str(time), fake_str("{\"a\":1}"), signature),
            SL_OK);
        snprintf(headers[i], sizeof(headers[i]),
                 "Idempotency-Key: Zk3-_9aQ\nwebhook-id: Zk3-_9aQ\nwebhook-timestamp: %s\n"
                 "webhook-signature: %s %s",
                 time, signature, signature);
        FAKE_EXPECT(x.host, .headers = headers[i], .body = "{\"a\":1}", .status = i ? 200 : 500);
        fixture_deliver(&x, "POST\n\n{\"a\":1}", &d, (uint32_t)i + 1);
        CHECK_EQ(d.outcomes[0].kind, i ? SL_DELIVERED : SL_RETRY);
        fake_done_finish(&d);
        fake_host_run_for(x.host, 7000);
    }
    fixture_close(&x);
}

static void what_is_no_frozen_request_is_not_sent(void **state)
{
    static const char *const bad[] = {
        "",
        "POST",
        "POST\n",
        "POST \n\n",
        "GET /x\n\n",
        "POST x\n\n",
        "POST /a b\n\n",
        "POST /a\r\n\r\n",
        "POST /a\nX\n\n{}",
        "POST /a\nX:y\n\n{}",
        "POST /a\n: y\n\n{}",
        "POST /a\nX: y",
        "{\"order\":1}",
    };

    (void)state;
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        struct fixture x = fixture_open(NULL, NULL);
        struct fake_done d;

        fixture_deliver(&x, bad[i], &d, 1);
        CHECK_EQ(d.outcomes[0].kind, SL_REJECTED);
        CHECK_EQ(fake_host_requests(x.host), 0);
        fake_done_finish(&d);
        fixture_close(&x);
    }
}

/* ---- what an answer means ------------------------------------------------------------------ */

struct row {
    struct fake_exchange answer;
    uint32_t plain, idempotent; /* SL_*; 0: the endpoint parks */
    const char *why;
    int64_t after_ms;
};

static const struct row rows[] = {
    { { .status = 200 }, SL_DELIVERED, SL_DELIVERED, "HTTP 200", 0 },
    { { .status = 202, .answer = "not JSON" }, SL_DELIVERED, SL_DELIVERED, "HTTP 202", 0 },
    { { .status = 207 }, SL_UNKNOWN, SL_RETRY, "accepted.status", 0 },
    { { .status = 302 }, SL_REJECTED, SL_REJECTED, "redirects", 0 },
    { { .status = 400, .answer = "{\"error\":{\"message\":\"no such sku\"}}" },
      SL_REJECTED,
      SL_REJECTED,
      "HTTP 400: no such sku",
      0 },
    { { .status = 410 }, SL_REJECTED, SL_REJECTED, "HTTP 410", 0 },
    { { .status = 401 }, 0, 0, "HTTP 401", 0 },
    { { .status = 402 }, 0, 0, "HTTP 402", 0 },
    { { .status = 403, .retry_after_ms = 5000 }, 0, 0, "HTTP 403", 5000 },
    { { .status = 423 }, 0, 0, "HTTP 423", 0 },
    { { .status = 408 }, SL_UNKNOWN, SL_RETRY, "HTTP 408", 0 },
    { { .status = 425 }, SL_UNKNOWN, SL_RETRY, "HTTP 425", 0 },
    { { .status = 429 }, SL_THROTTLED, SL_THROTTLED, "HTTP 429", 0 },
    { { .status = 429, .retry_after_ms = 9000 }, SL_THROTTLED, SL_THROTTLED, "HTTP 429", 9000 },
    { { .status = 503, .retry_after_ms = 3000 }, SL_THROTTLED, SL_THROTTLED, "HTTP 503", 3000 },
    { { .status = 503 }, SL_UNKNOWN, SL_RETRY, "HTTP 503", 0 },
    { { .status = 500 }, SL_UNKNOWN, SL_RETRY, "HTTP 500", 0 },
    { { .error = SL_E_NETWORK }, SL_RETRY, SL_RETRY, "scripted failure", 0 },
    { { .error = SL_E_DNS }, SL_RETRY, SL_RETRY, "scripted failure", 0 },
    { { .error = SL_E_TIMEOUT }, SL_RETRY, SL_RETRY, "scripted failure", 0 },
    { { .error = SL_E_NETWORK, .sent = 1 }, SL_UNKNOWN, SL_RETRY, "no whole answer", 0 },
    { { .error = SL_E_TIMEOUT, .sent = 1 }, SL_UNKNOWN, SL_RETRY, "no whole answer", 0 },
    { { .error = SL_E_PROTOCOL, .sent = 1 }, SL_UNKNOWN, SL_RETRY, "no whole answer", 0 },
    { { .error = SL_E_TLS }, 0, 0, "TLS", 0 },
};

static void check_row(const struct row *row, const struct fake_setting *settings, uint32_t kind)
{
    struct fixture x = fixture_open(settings, NULL);
    struct fake_done d;

    fake_host_expect(x.host, &row->answer);
    fixture_deliver(&x, REQUEST, &d, 1);
    CHECK_EQ(d.parked, kind == 0);
    CHECK_HAS(d.parked ? d.park_why : d.outcomes[0].why, row->why);
    CHECK_EQ(d.parked ? d.park_after_ms : d.outcomes[0].after_ms, row->after_ms);
    CHECK_EQ(d.outcomes[0].kind, kind);
    CHECK_EQ(d.outcomes[0].not_sent, row->answer.error && !row->answer.sent && kind == SL_RETRY);
    fake_done_finish(&d);
    fixture_close(&x);
}

static void every_answer_means_what_it_says_about_acting(void **state)
{
    const struct fake_setting declared[] = { BASIC, { "idempotent", "true" }, { 0 } };
    const struct fake_setting keyed[] = { BASIC, KEYED, { 0 } };

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        check_row(&rows[i], NULL, rows[i].plain);
        check_row(&rows[i], declared, rows[i].idempotent);
        check_row(&rows[i], keyed, rows[i].idempotent);
    }
}

static void deliver_to(const struct fake_setting *settings, const struct fake_exchange *answer,
                       uint32_t attempt, struct fake_done *d)
{
    struct fixture x = fixture_open(settings, NULL);

    fake_host_expect(x.host, answer);
    fixture_deliver(&x, REQUEST, d, attempt);
    fixture_close(&x);
}

static void check_kind(const struct fake_setting *settings, const struct fake_exchange *answer,
                       uint32_t attempt, uint32_t kind, const char *why)
{
    struct fake_done d;

    deliver_to(settings, answer, attempt, &d);
    CHECK_EQ(d.outcomes[0].kind, kind);
    CHECK_HAS(d.outcomes[0].why, why);
    fake_done_finish(&d);
}

#define ANSWER(...)         \
    &(struct fake_exchange) \
    {                       \
        __VA_ARGS__         \
    }

static void configured_statuses_stand_before_the_general_rules(void **state)
{
    const struct fake_setting settings[] = { BASIC,
                                             { "accepted.status", "[200, 403]" },
                                             { "duplicate.status", "[409]" },
                                             { "rejected.status", "[500]" },
                                             { 0 } };

    (void)state;
    check_kind(settings, ANSWER(.status = 403), 1, SL_DELIVERED, "HTTP 403");
    check_kind(settings, ANSWER(.status = 409), 1, SL_DELIVERED, "it was there already");
    check_kind(settings, ANSWER(.status = 500), 1, SL_REJECTED, "HTTP 500");
    check_kind(settings, ANSWER(.status = 201), 1, SL_UNKNOWN, "accepted.status");
}

static void a_conflict_on_a_resend_under_one_key_is_no_rejection(void **state)
{
    const struct fake_setting keyed[] = { BASIC, KEYED, { 0 } };

    (void)state;
    check_kind(keyed, ANSWER(.status = 409), 1, SL_REJECTED, "HTTP 409");
    check_kind(keyed, ANSWER(.status = 409), 2, SL_RETRY, "knows the key");
    check_kind((const struct fake_setting[]){ BASIC, { 0 } }, ANSWER(.status = 409), 2, SL_REJECTED,
               "HTTP 409");
}

static void an_answer_that_must_say_ok_is_asked(void **state)
{
    const struct fake_setting settings[] = {
        BASIC, { "accepted.ok", "/ok" }, { "rejected.reason", "/error" }, { 0 }
    };

    (void)state;
    check_kind(settings, ANSWER(.status = 200, .answer = "{\"ok\":true}"), 1, SL_DELIVERED, "");
    check_kind(settings,
               ANSWER(.status = 200, .answer = "{\"ok\":false,\"error\":\"channel_not_found\"}"), 1,
               SL_REJECTED, "channel_not_found");
    check_kind(settings, ANSWER(.status = 200, .answer = "{\"ok\":1}"), 1, SL_UNKNOWN,
               "accepted.ok");
    check_kind(settings, ANSWER(.status = 200, .answer = "<html>"), 1, SL_UNKNOWN, "accepted.ok");
    check_kind(settings, ANSWER(.status = 200, .answer = "{\"ok\":false,\"ok\":true}"), 1,
               SL_UNKNOWN, "accepted.ok");
}

static void a_reference_that_is_asked_for_must_be_there(void **state)
{
    const struct fake_setting settings[] = { BASIC, { "accepted.reference", "/id" }, { 0 } };
    struct fake_done d;

    (void)state;
    deliver_to(settings, ANSWER(.status = 200, .answer = "{\"id\":9007199254740993}"), 1, &d);
    CHECK_EQ(d.outcomes[0].kind, SL_DELIVERED);
    CHECK_STR(d.outcomes[0].reference, "9007199254740993");
    fake_done_finish(&d);
    check_kind(settings, ANSWER(.status = 200, .answer = "{}"), 1, SL_UNKNOWN,
               "accepted.reference");
}

/* ---- what is left ---------------------------------------------------------------------------- */

static void check_budget(const char *headers, uint32_t kind, int64_t limit, int64_t remaining,
                         int64_t reset_ms)
{
    struct fixture x = fixture_open(NULL, NULL);
    struct fake_done d;

    FAKE_EXPECT(x.host, .status = 200, .answer_headers = headers);
    fixture_deliver(&x, REQUEST, &d, 1);
    const sl_budget *b = fake_host_budget(x.host);
    CHECK_EQ(b != NULL, kind != 0);
    if (b) {
        CHECK_EQ(b->kind, kind);
        CHECK_EQ(b->limit, limit);
        CHECK_EQ(b->remaining, remaining);
        CHECK_EQ(b->reset_ms, reset_ms);
    }
    fake_done_finish(&d);
    fixture_close(&x);
}

static void what_the_headers_say_is_left_is_passed_on(void **state)
{
    (void)state;
    check_budget("X-Shopify-Shop-Api-Call-Limit: 32/40", SL_BUDGET_LEAKY, 40, 8, -1);
    check_budget("X-Shopify-Shop-Api-Call-Limit: 41/40", SL_BUDGET_LEAKY, 40, 0, -1);
    check_budget("X-Ratelimit-Limit: 120\nX-Ratelimit-Remaining: 119\nX-Ratelimit-Reset: 0.5",
                 SL_BUDGET_REQUESTS, 120, 119, 500);
    check_budget("X-RateLimit-Remaining: 0\nX-RateLimit-Reset: 1795166133", SL_BUDGET_REQUESTS, 0,
                 0, 1000); /* a time: the fake's clock and one second */
    check_budget("RateLimit-Limit: 100, 100;w=60\nRateLimit-Remaining: 7\nRateLimit-Reset: 30",
                 SL_BUDGET_REQUESTS, 100, 7, 30000);
    check_budget("RateLimit: \"default\";r=50;t=30\nRateLimit-Policy: \"default\";q=100;w=60",
                 SL_BUDGET_REQUESTS, 100, 50, 30000);
    check_budget("RateLimit: limit=100, remaining=50, reset=30", SL_BUDGET_REQUESTS, 100, 50,
                 30000);
    check_budget("X-RateLimit-Remaining: many", 0, 0, 0, 0);
    check_budget("X-Shopify-Shop-Api-Call-Limit: 32", 0, 0, 0, 0);
    check_budget("Server: x", 0, 0, 0, 0);
}

static void a_graphql_api_says_it_in_the_body_and_refuses_there(void **state)
{
    const struct fake_setting settings[] = { BASIC,
                                             { "points", "/extensions/cost/throttleStatus" },
                                             { 0 } };
    struct fixture x = fixture_open(settings, NULL);
    struct fake_done d;

    (void)state;
    FAKE_EXPECT(x.host, .status = 200,
                .answer =
                    "{\"errors\":[{\"extensions\":{\"code\":\"THROTTLED\"}}],\"extensions\":"
                    "{\"cost\":{\"requestedQueryCost\":752,\"throttleStatus\":{"
                    "\"maximumAvailable\":1000.0,\"currentlyAvailable\":602,"
                    "\"restoreRate\":50}}}}");
    fixture_deliver(&x, REQUEST, &d, 1);
    CHECK_EQ(d.outcomes[0].kind, SL_THROTTLED);
    CHECK_EQ(d.outcomes[0].after_ms, 3000);
    CHECK_EQ(fake_host_budget(x.host)->kind, SL_BUDGET_POINTS);
    CHECK_EQ(fake_host_budget(x.host)->limit, 1000);
    CHECK_EQ(fake_host_budget(x.host)->remaining, 602);
    CHECK_EQ(fake_host_budget(x.host)->restore_milli, 50000);
    fake_done_finish(&d);
    fixture_close(&x);
}

/* ---- the end and what comes after ---------------------------------------------------------- */

static void closing_ends_what_is_under_way_as_unknown(void **state)
{
    struct fixture x = fixture_open(NULL, NULL);
    sl_record record = fixture_record(REQUEST, 1);
    sl_batch batch = { .size = sizeof(batch), .id = 1, .records = &record, .n_records = 1 };
    struct fake_done d;

    (void)state;
    FAKE_EXPECT(x.host, .never = true);
    fake_done_init(&d, x.host, 1);
    x.plugin->deliver(x.self, x.handle, &batch, &d.done);
    fake_host_run(x.host);
    CHECK(!d.finished);
    fake_host_close(x.host, x.plugin, x.self);
    CHECK(d.finished);
    CHECK_EQ(d.outcomes[0].kind, SL_UNKNOWN);
    fake_done_finish(&d);
    fake_host_destroy(x.host);
    x.plugin->unbind(x.handle);
    fake_values_destroy(x.params);
}

static void check_confirm(const struct fake_setting *settings, uint32_t verdict)
{
    struct fixture x = fixture_open(settings, NULL);
    struct fake_confirmed c = { .host = x.host };
    sl_record record = fixture_record(REQUEST, 1);

    x.plugin->confirm(x.self, x.handle, &record, fake_on_confirmed, &c);
    CHECK_EQ(c.calls, 1);
    CHECK_EQ(c.verdict, verdict);
    fake_confirmed_finish(&c);
    fixture_close(&x);
}

static void after_a_crash_only_what_is_idempotent_goes_again(void **state)
{
    (void)state;
    check_confirm(NULL, SL_CONFIRM_UNSURE);
    check_confirm((const struct fake_setting[]){ BASIC, KEYED, { 0 } }, SL_CONFIRM_AGAIN);
    check_confirm((const struct fake_setting[]){ BASIC, { "idempotent", "true" }, { 0 } },
                  SL_CONFIRM_AGAIN);
}

#define ASKED                                             \
    {                                                     \
        "confirm.path", "/orders?key={key}&n={/order/id}" \
    }
#define ASKED_URL BASE "/orders?key=Zk3-_9aQ&n=9007199254740993"

static const struct fake_setting asked[] = { ASKED, { 0 } };
static const struct fake_setting asked_found[] = { ASKED, { "confirm.found", ".x" }, { 0 } };

/* Sent 10 s before it is asked for. */
static struct fake_confirmed ask(const struct fake_setting *params,
                                 const struct fake_exchange *answer, int64_t sent_before_ms)
{
    struct fixture x = fixture_open(NULL, params);
    struct fake_confirmed c = { .host = x.host };
    sl_record record = fixture_record(REQUEST, 1);

    record.first_sent_ms = fake_host_wall_ms(x.host) - sent_before_ms;
    fake_host_expect(x.host, answer);
    x.plugin->confirm(x.self, x.handle, &record, fake_on_confirmed, &c);
    fake_host_run(x.host);
    CHECK_EQ(c.calls, 1);
    fixture_close(&x);
    return c;
}

static void check_asked(const struct fake_setting *params, const struct fake_exchange *answer,
                        uint32_t verdict)
{
    struct fake_confirmed c = ask(params, answer, 10000);

    CHECK_EQ(c.verdict, verdict);
    fake_confirmed_finish(&c);
}

static void a_lost_answer_is_settled_by_the_configured_question(void **state)
{
    static const struct {
        struct fake_exchange answer;
        uint32_t verdict;
    } rows[] = {
        { { .status = 200, .answer = "{}" }, SL_CONFIRM_YES },
        { { .status = 404 }, SL_CONFIRM_NO },
        { { .status = 401 }, SL_CONFIRM_EARLY },
        { { .status = 429, .retry_after_ms = 7000 }, SL_CONFIRM_EARLY },
        { { .status = 503 }, SL_CONFIRM_EARLY },
        { { .error = SL_E_TIMEOUT, .sent = 1 }, SL_CONFIRM_EARLY },
        { { .error = SL_E_DNS }, SL_CONFIRM_EARLY },
        { { .status = 302 }, SL_CONFIRM_UNSURE },
        { { .status = 400 }, SL_CONFIRM_UNSURE },
        { { .status = 204 }, SL_CONFIRM_UNSURE },
    };

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct fake_exchange answer = rows[i].answer;
        answer.method = "GET";
        answer.url = ASKED_URL;
        answer.headers = "!Idempotency-Key\n!webhook-id\n!Content-Type";
        check_asked(asked, &answer, rows[i].verdict);
    }
    struct fake_confirmed c = ask(
        asked, &(struct fake_exchange){ .status = 429, .retry_after_ms = 7000 }, 10000);
    CHECK_EQ(c.outcome.after_ms, 7000);
    fake_confirmed_finish(&c);
}

static void an_early_no_is_not_believed(void **state)
{
    struct fake_confirmed c = ask(asked, &(struct fake_exchange){ .status = 404 }, 500);

    (void)state;
    CHECK_EQ(c.verdict, SL_CONFIRM_EARLY);
    CHECK_EQ(c.outcome.after_ms, 1500);
    fake_confirmed_finish(&c);
    /* what was asked early is early however late its answer comes */
    c = ask(asked, &(struct fake_exchange){ .status = 404, .delay_ms = 5000 }, 500);
    CHECK_EQ(c.verdict, SL_CONFIRM_EARLY);
    CHECK_EQ(c.outcome.after_ms, 1500);
    fake_confirmed_finish(&c);
}

/* `output`: what the program gives for the answer. */
static void check_found(const char *output, sl_status status, uint32_t verdict,
                        const char *reference)
{
    struct fixture x = fixture_open(NULL, asked_found);
    struct fake_confirmed c = { .host = x.host };
    sl_record record = fixture_record(REQUEST, 1);

    record.first_sent_ms = fake_host_wall_ms(x.host) - 10000;
    fake_host_transform(x.host, status, output, "jq: error");
    FAKE_EXPECT(x.host, .url = ASKED_URL, .status = 200, .answer = "{\"x\":1}");
    x.plugin->confirm(x.self, x.handle, &record, fake_on_confirmed, &c);
    fake_host_run(x.host);
    CHECK_EQ(c.verdict, verdict);
    CHECK_STR(c.outcome.reference ? c.outcome.reference : "", reference);
    CHECK_STR(fake_host_input(x.host), "{\"x\":1}");
    fake_confirmed_finish(&c);
    fixture_close(&x);
}

static void a_program_over_the_answer_says_whether_it_is_there(void **state)
{
    (void)state;
    check_found("\"so-17\"", SL_OK, SL_CONFIRM_YES, "so-17");
    check_found("17", SL_OK, SL_CONFIRM_YES, "17");
    check_found("true", SL_OK, SL_CONFIRM_YES, "");
    check_found("false", SL_OK, SL_CONFIRM_NO, "");
    check_found("null", SL_OK, SL_CONFIRM_NO, "");
    check_found("{}", SL_OK, SL_CONFIRM_UNSURE, "");
    check_found("\"\"", SL_OK, SL_CONFIRM_UNSURE, "");
    check_found(NULL, SL_E_INVALID, SL_CONFIRM_UNSURE, "");
    check_found(NULL, SL_E_NO_MEMORY, SL_CONFIRM_EARLY, "");
}

static void what_the_question_cannot_name_goes_to_a_person(void **state)
{
    const struct fake_setting params[] = { { "confirm.path", "/orders/{/nope}" }, { 0 } };
    struct fixture x = fixture_open(NULL, params);
    struct fake_confirmed c = { .host = x.host };
    sl_record record = fixture_record(REQUEST, 1);

    (void)state;
    x.plugin->confirm(x.self, x.handle, &record, fake_on_confirmed, &c);
    CHECK_EQ(c.verdict, SL_CONFIRM_UNSURE);
    CHECK_HAS(c.outcome.why, "{/nope}");
    fake_confirmed_finish(&c);
    fixture_close(&x);
}

static void a_secret_that_cannot_sign_is_refused(void **state)
{
    const sl_plugin *plugin = sl_plugin_v0();
    const struct fake_setting settings[] = {
        BASIC, { "signing.secret", VECTOR_SECRET }, { "signing.secret", "whsec_hush" }, { 0 }
    };
    sl_values *v = fake_values_create(plugin->settings, settings);
    sl_fail fail = { .size = sizeof(fail) };

    (void)state;
    CHECK_EQ(plugin->check(v, &fake_values_api, &fail), SL_E_INVALID);
    CHECK_STR(fail.text, "signing.secret: must be whsec_ and base64 of 24 to 64 bytes");
    fake_values_destroy(v);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_signature_is_that_of_the_standard_webhooks_vector),
        cmocka_unit_test(a_signature_of_an_empty_body_covers_id_and_time),
        cmocka_unit_test(only_a_canonical_secret_of_24_to_64_bytes_is_taken),
        cmocka_unit_test(a_request_goes_out_as_frozen_with_the_headers_of_all),
        cmocka_unit_test(the_secret_path_stands_between_base_and_path_and_in_no_text),
        cmocka_unit_test(a_delete_without_a_body_names_no_content_type),
        cmocka_unit_test(a_signed_request_keeps_its_id_and_renews_its_time),
        cmocka_unit_test(what_is_no_frozen_request_is_not_sent),
        cmocka_unit_test(every_answer_means_what_it_says_about_acting),
        cmocka_unit_test(configured_statuses_stand_before_the_general_rules),
        cmocka_unit_test(a_conflict_on_a_resend_under_one_key_is_no_rejection),
        cmocka_unit_test(an_answer_that_must_say_ok_is_asked),
        cmocka_unit_test(a_reference_that_is_asked_for_must_be_there),
        cmocka_unit_test(what_the_headers_say_is_left_is_passed_on),
        cmocka_unit_test(a_graphql_api_says_it_in_the_body_and_refuses_there),
        cmocka_unit_test(closing_ends_what_is_under_way_as_unknown),
        cmocka_unit_test(after_a_crash_only_what_is_idempotent_goes_again),
        cmocka_unit_test(a_lost_answer_is_settled_by_the_configured_question),
        cmocka_unit_test(an_early_no_is_not_believed),
        cmocka_unit_test(a_program_over_the_answer_says_whether_it_is_there),
        cmocka_unit_test(what_the_question_cannot_name_goes_to_a_person),
        cmocka_unit_test(a_secret_that_cannot_sign_is_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
