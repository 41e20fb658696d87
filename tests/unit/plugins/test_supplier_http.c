/*
 * test_supplier_http.c - the supplier-http adapter: the orders it sends, and what it makes of every
 * answer. The question behind all of it: can the supplier have acted?
 */
#include "supplier_fixture.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- prepare ------------------------------------------------------------------------------- */

static void the_request_is_made_by_the_program_from_body_and_delivery(void **state)
{
    const struct fake_setting settings[] = { BASIC,
                                             { "submit.body", "{id: $delivery.key}" },
                                             { 0 } };
    struct fixture x = open_with(settings);
    struct fake_prepared p = { 0 };
    sl_record record = record_at(1);

    (void)state;
    fake_host_transform(x.host, SL_OK, "{\"id\":\"Zk3-_9aQ\"}", NULL);
    x.plugin->prepare(x.self, NULL, &record, fake_on_prepared, &p);
    CHECK_EQ(p.calls, 0);
    fake_host_run(x.host);
    CHECK_EQ(p.calls, 1);
    CHECK_EQ(p.status, SL_OK);
    CHECK_STR(p.request, "{\"id\":\"Zk3-_9aQ\"}");
    CHECK_STR(fake_host_program(x.host), "{id: $delivery.key}");
    CHECK_STR(fake_host_input(x.host), "{\"order\":1}");
    CHECK_STR(fake_host_vars(x.host),
              "{\"delivery\":{\"key\":\"Zk3-_9aQ\","
              "\"subject\":\"order:acme.myshopify.com/9007199254740993\","
              "\"piece\":\"Byron Gears\",\"topic\":\"orders/paid\"}}");
    fake_prepared_finish(&p);
    close_all(&x);
}

static void a_failing_program_says_its_own_message(void **state)
{
    struct fixture x = open_with(basic);
    struct fake_prepared p = { 0 };
    sl_record record = record_at(1);

    (void)state;
    fake_host_transform(x.host, SL_E_INVALID, NULL, "null has no keys");
    x.plugin->prepare(x.self, NULL, &record, fake_on_prepared, &p);
    fake_host_run(x.host);
    CHECK_EQ(p.status, SL_E_INVALID);
    CHECK_STR(p.why, "null has no keys");
    fake_prepared_finish(&p);
    close_all(&x);
}

/* ---- deliver ------------------------------------------------------------------------------- */

static void an_order_goes_out_as_frozen_with_key_and_headers(void **state)
{
    const struct fake_setting settings[] = { BASIC,
                                             KEYED,
                                             { "submit.path", "/shops/7/orders/{key}?k={key}" },
                                             { "submit.method", "PUT" },
                                             { "headers", "{\"Authorization\":\"Bearer t0k\"}" },
                                             { 0 } };
    struct fake_done d;

    (void)state;
    deliver_once(settings,
                 &(struct fake_exchange){
                     .method = "PUT",
                     .url = BASE "/shops/7/orders/Zk3-_9aQ?k=Zk3-_9aQ",
                     .headers = "Content-Type: application/json\nAuthorization: Bearer t0k\n"
                                "Order-Key: Zk3-_9aQ",
                     .body = "{\"frozen\": 9007199254740993}",
                     .status = 201,
                     .answer = "{\"id\":\"PO-1\"}" },
                 &d, 1);
    CHECK_EQ(d.outcomes[0].kind, SL_DELIVERED);
    fake_done_finish(&d);
}

static void without_a_configured_header_no_key_is_sent(void **state)
{
    struct fake_done d;

    (void)state;
    deliver_once(basic,
                 &(struct fake_exchange){ .method = "POST",
                                          .url = BASE "/orders",
                                          .headers = "!Order-Key\n!Idempotency-Key",
                                          .status = 200,
                                          .answer = "{\"id\":1}" },
                 &d, 1);
    CHECK_EQ(d.outcomes[0].kind, SL_DELIVERED);
    fake_done_finish(&d);
}

static void an_acceptance_gives_reference_link_and_event(void **state)
{
    const struct fake_setting settings[] = {
        BASIC, { "submit.accepted.reference", "/result/or~1ders/0/id" }, { 0 }
    };
    struct fake_done d;

    (void)state;
    deliver_once(
        settings,
        &(struct fake_exchange){
            .status = 200, .answer = "{\"result\":{\"or/ders\":[{\"id\":9223372036854775807}]}}" },
        &d, 1);
    CHECK_EQ(d.outcomes[0].kind, SL_DELIVERED);
    CHECK_EQ(d.outcomes[0].status, 200);
    CHECK_STR(d.outcomes[0].reference, "9223372036854775807"); /* every digit */
    CHECK_EQ(d.outcomes[0].n_links, 1);
    CHECK_STR(d.outcomes[0].link_kind[0], "po");
    CHECK_STR(d.outcomes[0].link_id[0], "9223372036854775807");
    CHECK_EQ(d.outcomes[0].n_emits, 1);
    CHECK_STR(d.outcomes[0].emit_topic[0], "supplier/accepted");
    CHECK_STR(d.outcomes[0].emit_body[0],
              "{\"supplier\":\"byron\",\"key\":\"Zk3-_9aQ\",\"piece\":\"Byron Gears\","
              "\"subject\":\"order:acme.myshopify.com/9007199254740993\","
              "\"reference\":\"9223372036854775807\"}");
    fake_done_finish(&d);
}

static void a_rejection_gives_the_reason_and_an_event(void **state)
{
    struct fake_done d;
    json_t *body;

    (void)state;
    deliver_once(
        basic,
        &(struct fake_exchange){
            .status = 422, .answer = "{\"error\":{\"message\":\"no such SKU\\n\\u0007 GEAR\"}}" },
        &d, 1);
    CHECK_EQ(d.outcomes[0].kind, SL_REJECTED);
    CHECK_EQ(d.outcomes[0].status, 422);
    CHECK_STR(d.outcomes[0].why, "HTTP 422: no such SKU   GEAR");
    CHECK_EQ(d.outcomes[0].n_links, 0);
    CHECK_STR(d.outcomes[0].emit_topic[0], "supplier/rejected");
    body = json_loads(d.outcomes[0].emit_body[0], 0, NULL);
    CHECK_STR(json_string_value(json_object_get(body, "reason")), "HTTP 422: no such SKU   GEAR");
    CHECK_EQ(json_integer_value(json_object_get(body, "status")), 422);
    CHECK_STR(json_string_value(json_object_get(body, "supplier")), "byron");
    json_decref(body);
    fake_done_finish(&d);
}

static void a_long_reason_is_cut_between_characters(void **state)
{
    struct fake_done d;
    char answer[2000] = "{\"error\":{\"message\":\"";
    size_t n;

    (void)state;
    for (int i = 0; i < 400; i++)
        strcat(answer, "\xc3\xa9");
    strcat(answer, "\"}}");
    deliver_once(basic, &(struct fake_exchange){ .status = 400, .answer = answer }, &d, 1);
    n = strlen(d.outcomes[0].why);
    CHECK(n < 400 && n > 390);
    CHECK_EQ(d.outcomes[0].why[n - 1], '\xa9');
    CHECK_EQ(d.outcomes[0].n_emits, 1);
    fake_done_finish(&d);
}

#define PARK     100
#define ACCEPTED "{\"id\":\"PO-1\"}"

/* Every kind of answer, and what it means without and with an idempotency key. */
static const struct row {
    struct fake_exchange answer;
    uint32_t plain, idempotent;
    const char *why; /* part of it */
} rows[] = {
    { { .status = 200, .answer = ACCEPTED }, SL_DELIVERED, SL_DELIVERED, "" },
    { { .status = 202, .answer = ACCEPTED }, SL_DELIVERED, SL_DELIVERED, "" },
    /* accepted, but the answer is not understood: they may have it */
    { { .status = 200, .answer = "{\"id\":\"PO-" }, SL_UNKNOWN, SL_RETRY, "not JSON" },
    { { .status = 200, .answer = "" }, SL_UNKNOWN, SL_RETRY, "not JSON" },
    { { .status = 200, .answer = "<html>" }, SL_UNKNOWN, SL_RETRY, "not JSON" },
    { { .status = 200, .answer = "{}" }, SL_UNKNOWN, SL_RETRY, "accepted.reference" },
    { { .status = 200, .answer = "{\"id\":null}" }, SL_UNKNOWN, SL_RETRY, "accepted.reference" },
    { { .status = 200, .answer = "{\"id\":1.5}" }, SL_UNKNOWN, SL_RETRY, "accepted.reference" },
    { { .status = 200, .answer = "{\"id\":\"\"}" }, SL_UNKNOWN, SL_RETRY, "accepted.reference" },
    { { .status = 200, .answer = "{\"id\":1,\"id\":2}" }, SL_UNKNOWN, SL_RETRY, "not JSON" },
    { { .status = 204 }, SL_UNKNOWN, SL_RETRY, "accepted.status does not list" },
    { { .status = 301 }, SL_REJECTED, SL_REJECTED, "redirects are not followed" },
    { { .status = 308 }, SL_REJECTED, SL_REJECTED, "redirects are not followed" },
    { { .status = 400 }, SL_REJECTED, SL_REJECTED, "HTTP 400" },
    { { .status = 404 }, SL_REJECTED, SL_REJECTED, "HTTP 404" },
    { { .status = 409 }, SL_REJECTED, SL_REJECTED, "HTTP 409" },
    { { .status = 418 }, SL_REJECTED, SL_REJECTED, "HTTP 418" },
    { { .status = 422 }, SL_REJECTED, SL_REJECTED, "HTTP 422" },
    { { .status = 401 }, PARK, PARK, "HTTP 401" },
    { { .status = 402 }, PARK, PARK, "HTTP 402" },
    { { .status = 403 }, PARK, PARK, "HTTP 403" },
    { { .status = 423 }, PARK, PARK, "HTTP 423" },
    { { .status = 430, .retry_after_ms = 9000 }, PARK, PARK, "HTTP 430" },
    { { .error = SL_E_TLS }, PARK, PARK, "TLS" },
    { { .status = 429 }, SL_THROTTLED, SL_THROTTLED, "HTTP 429" },
    { { .status = 429, .retry_after_ms = 7000 }, SL_THROTTLED, SL_THROTTLED, "HTTP 429" },
    { { .status = 408 }, SL_UNKNOWN, SL_RETRY, "HTTP 408" },
    { { .status = 425 }, SL_UNKNOWN, SL_RETRY, "HTTP 425" },
    { { .status = 500 }, SL_UNKNOWN, SL_RETRY, "HTTP 500" },
    { { .status = 502 }, SL_UNKNOWN, SL_RETRY, "HTTP 502" },
    { { .status = 503, .retry_after_ms = 7000 }, SL_UNKNOWN, SL_RETRY, "HTTP 503" },
    { { .status = 504 }, SL_UNKNOWN, SL_RETRY, "HTTP 504" },
    { { .status = 599 }, SL_UNKNOWN, SL_RETRY, "HTTP 599" },
    /* not one byte left: it cannot have acted */
    { { .error = SL_E_NETWORK }, SL_RETRY, SL_RETRY, "scripted" },
    { { .error = SL_E_DNS }, SL_RETRY, SL_RETRY, "scripted" },
    { { .error = SL_E_TIMEOUT }, SL_RETRY, SL_RETRY, "scripted" },
    { { .error = SL_E_NETWORK, .sent = 1 }, SL_UNKNOWN, SL_RETRY, "no whole answer" },
    { { .error = SL_E_TIMEOUT, .sent = 1 }, SL_UNKNOWN, SL_RETRY, "no whole answer" },
    { { .error = SL_E_PROTOCOL, .sent = 1 }, SL_UNKNOWN, SL_RETRY, "no whole answer" },
    { { .error = SL_E_LIMIT, .sent = 1 }, SL_UNKNOWN, SL_RETRY, "no whole answer" },
    { { .error = SL_E_TLS, .sent = 1 }, SL_UNKNOWN, SL_RETRY, "no whole answer" },
};

static void check_row(const struct row *r, const struct fake_setting *settings, uint32_t want)
{
    struct fake_done d;
    const struct fake_outcome *o = &d.outcomes[0];
    int64_t after = r->answer.retry_after_ms;

    deliver_once(settings, &r->answer, &d, 1);
    if (want == PARK) {
        if (!d.parked || o->told)
            fail_msg("status %u error %d: not parked, or an order charged", r->answer.status,
                     r->answer.error);
        CHECK_HAS(d.park_why, r->why);
        CHECK_EQ(d.park_after_ms, after);
    } else {
        if (d.parked || !o->told || o->kind != want)
            fail_msg("status %u error %d sent %u: outcome %u, expected %u", r->answer.status,
                     r->answer.error, r->answer.sent, o->kind, want);
        CHECK_HAS(o->why, r->why);
        CHECK_EQ(o->status, r->answer.status);
        CHECK_EQ(o->not_sent, want == SL_RETRY && r->answer.error < 0 && !r->answer.sent);
        CHECK_EQ(o->after_ms, want == SL_RETRY || want == SL_THROTTLED ? after : 0);
        CHECK_EQ(o->n_emits, want == SL_DELIVERED || want == SL_REJECTED);
    }
    fake_done_finish(&d);
}

static void every_answer_means_what_it_says_about_acting(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        check_row(&rows[i], basic, rows[i].plain);
        check_row(&rows[i], keyed, rows[i].idempotent);
    }
}

static void configured_statuses_stand_before_the_general_rules(void **state)
{
    const struct fake_setting settings[] = { BASIC,
                                             LOOKUP,
                                             { "submit.accepted.status", "[204, 503]" },
                                             { "submit.rejected.status", "[401, 409]" },
                                             { "submit.duplicate.status", "[409]" },
                                             { 0 } };
    const struct row own[] = {
        { { .status = 503, .answer = ACCEPTED }, SL_DELIVERED, 0, "" },
        { { .status = 200, .answer = ACCEPTED }, SL_UNKNOWN, 0, "accepted.status does not list" },
        { { .status = 401 }, SL_REJECTED, 0, "HTTP 401" },
        { { .status = 409 }, SL_UNKNOWN, 0, "there already" }, /* confirm() finds which */
        { { .status = 422 }, SL_REJECTED, 0, "HTTP 422" },
    };

    (void)state;
    for (size_t i = 0; i < sizeof(own) / sizeof(own[0]); i++)
        check_row(&own[i], settings, own[i].plain);
}

static void a_conflict_on_a_resend_under_one_key_is_no_rejection(void **state)
{
    struct fake_done d;

    (void)state;
    deliver_once(keyed, &(struct fake_exchange){ .status = 409 }, &d, 2);
    CHECK_EQ(d.outcomes[0].kind, SL_RETRY);
    fake_done_finish(&d);
    deliver_once(basic, &(struct fake_exchange){ .status = 409 }, &d, 2);
    CHECK_EQ(d.outcomes[0].kind, SL_REJECTED);
    fake_done_finish(&d);
}

static void closing_ends_what_is_under_way_as_unknown(void **state)
{
    struct fixture x = open_with(basic);
    sl_record record = record_at(1);
    sl_batch batch = { .size = sizeof(batch), .id = 1, .records = &record, .n_records = 1 };
    struct fake_done d;

    (void)state;
    fake_done_init(&d, x.host, 1);
    FAKE_EXPECT(x.host, .never = true);
    x.plugin->deliver(x.self, NULL, &batch, &d.done);
    fake_host_run(x.host);
    CHECK(!d.finished);
    close_all(&x);
    CHECK(d.finished);
    CHECK_EQ(d.outcomes[0].kind, SL_UNKNOWN);
    fake_done_finish(&d);
}

static void an_answer_waiting_for_its_turn_is_told_at_close(void **state)
{
    const struct fake_setting settings[] = { BASIC, { 0 } };
    struct fixture x = open_with(settings);
    struct fake_confirmed c = { .host = x.host };
    sl_record record = record_at(1);

    (void)state;
    x.plugin->confirm(x.self, NULL, &record, fake_on_confirmed, &c);
    CHECK_EQ(c.calls, 0);
    close_all(&x);
    CHECK_EQ(c.calls, 1);
    CHECK_EQ(c.verdict, SL_CONFIRM_EARLY);
    fake_confirmed_finish(&c);
}

static void an_authorization_header_never_stands_in_a_reason(void **state)
{
    const struct fake_setting settings[] = { BASIC,
                                             { "headers", "{\"Authorization\":\"Bearer t0k\"}" },
                                             { 0 } };

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct fake_done d;

        deliver_once(settings, &rows[i].answer, &d, 1);
        CHECK(!d.parked || !strstr(d.park_why, "t0k"));
        CHECK(!d.outcomes[0].told || !strstr(d.outcomes[0].why, "t0k"));
        fake_done_finish(&d);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_request_is_made_by_the_program_from_body_and_delivery),
        cmocka_unit_test(a_failing_program_says_its_own_message),
        cmocka_unit_test(an_order_goes_out_as_frozen_with_key_and_headers),
        cmocka_unit_test(without_a_configured_header_no_key_is_sent),
        cmocka_unit_test(an_acceptance_gives_reference_link_and_event),
        cmocka_unit_test(a_rejection_gives_the_reason_and_an_event),
        cmocka_unit_test(a_long_reason_is_cut_between_characters),
        cmocka_unit_test(every_answer_means_what_it_says_about_acting),
        cmocka_unit_test(configured_statuses_stand_before_the_general_rules),
        cmocka_unit_test(a_conflict_on_a_resend_under_one_key_is_no_rejection),
        cmocka_unit_test(closing_ends_what_is_under_way_as_unknown),
        cmocka_unit_test(an_answer_waiting_for_its_turn_is_told_at_close),
        cmocka_unit_test(an_authorization_header_never_stands_in_a_reason),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
