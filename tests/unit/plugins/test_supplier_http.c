/*
 * test_supplier_http.c - the supplier-http adapter: what it sends, and what it makes of every
 * answer. The question behind all of it: can the supplier have acted?
 */
#include "fake_host.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define BASE "https://api.byron.example/v1"

#define KEYED                                    \
    {                                            \
        "submit.idempotency_header", "Order-Key" \
    }
#define BASIC                \
    {                        \
        "base_url", BASE "/" \
    }
#define LOOKUP                           \
    {                                    \
        "confirm.path", "/orders/@{key}" \
    }

static const struct fake_setting basic[] = { BASIC, LOOKUP, { 0 } };
static const struct fake_setting keyed[] = { BASIC, LOOKUP, KEYED, { 0 } };

static sl_record record_at(uint32_t attempt)
{
    return (sl_record){ .size = sizeof(sl_record),
                        .attempt = attempt,
                        .delivery = fake_str("1042.0"),
                        .key = fake_str("Zk3-_9aQ"),
                        .subject = fake_str("order:acme.myshopify.com/9007199254740993"),
                        .piece = fake_str("Byron Gears"),
                        .topic = fake_str("orders/paid"),
                        .body = fake_str("{\"order\":1}"),
                        .request = fake_str("{\"frozen\": 9007199254740993}") };
}

struct fixture {
    struct fake_host *host;
    const sl_plugin *plugin;
    void *self;
};

static struct fixture open_with(const struct fake_setting *settings)
{
    struct fixture x = { .plugin = sl_plugin_v0() };

    x.host = fake_host_create("byron", x.plugin->settings, settings);
    x.self = fake_host_open(x.host, x.plugin);
    return x;
}

static void close_all(struct fixture *x)
{
    fake_host_close(x->host, x->plugin, x->self);
    fake_host_destroy(x->host);
}

static void deliver(struct fixture *x, struct fake_done *d, uint32_t attempt)
{
    sl_record record = record_at(attempt);
    sl_batch batch = { .size = sizeof(batch), .id = 1, .records = &record, .n_records = 1 };

    fake_done_init(d, x->host, 1);
    x->plugin->deliver(x->self, NULL, &batch, &d->done);
    CHECK(!d->finished); /* nothing is told before the call has returned */
    fake_host_run(x->host);
    CHECK(d->finished);
}

/* Deliver one record against one answer. Give `d` to fake_done_finish(). */
static void deliver_once(const struct fake_setting *settings, const struct fake_exchange *answer,
                         struct fake_done *d, uint32_t attempt)
{
    struct fixture x = open_with(settings);

    fake_host_expect(x.host, answer);
    deliver(&x, d, attempt);
    close_all(&x);
}

static void check_has(const char *text, const char *part)
{
    if (!strstr(text, part))
        fail_msg("\"%s\" lacks \"%s\"", text, part);
}

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
        check_has(d.park_why, r->why);
        CHECK_EQ(d.park_after_ms, after);
    } else {
        if (d.parked || !o->told || o->kind != want)
            fail_msg("status %u error %d sent %u: outcome %u, expected %u", r->answer.status,
                     r->answer.error, r->answer.sent, o->kind, want);
        check_has(o->why, r->why);
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

/* ---- confirm ------------------------------------------------------------------------------- */

/* Ask about an order first sent `age_ms` ago. Give `c` to fake_confirmed_finish(). */
static void confirm_once(const struct fake_setting *settings, const struct fake_exchange *answer,
                         int64_t age_ms, struct fake_confirmed *c)
{
    struct fixture x = open_with(settings);
    sl_record record = record_at(1);

    *c = (struct fake_confirmed){ .host = x.host };
    record.first_sent_ms = fake_host_wall_ms(x.host) - age_ms;
    if (answer)
        fake_host_expect(x.host, answer);
    x.plugin->confirm(x.self, NULL, &record, fake_on_confirmed, c);
    CHECK_EQ(c->calls, 0);
    fake_host_run(x.host);
    CHECK_EQ(c->calls, 1);
    close_all(&x);
}

static void check_confirm(const struct fake_setting *settings, const struct fake_exchange *answer,
                          int64_t age_ms, uint32_t verdict, int64_t after_ms, const char *why)
{
    struct fake_confirmed c;

    confirm_once(settings, answer, age_ms, &c);
    if (c.verdict != verdict)
        fail_msg("status %u: verdict %u, expected %u (%s)", answer ? answer->status : 0, c.verdict,
                 verdict, c.outcome.why);
    CHECK_EQ(c.outcome.after_ms, after_ms);
    CHECK_EQ(c.outcome.n_emits, verdict == SL_CONFIRM_YES);
    check_has(c.outcome.why, why);
    fake_confirmed_finish(&c);
}

static void an_order_that_is_there_is_confirmed_with_all_that_follows(void **state)
{
    struct fake_confirmed c;

    (void)state;
    confirm_once(keyed,
                 &(struct fake_exchange){ .method = "GET",
                                          .url = BASE "/orders/@Zk3-_9aQ",
                                          .headers = "!Content-Type\n!Order-Key",
                                          .body = "",
                                          .status = 200,
                                          .answer = "{\"id\":9007199254740993}" },
                 0, &c);
    CHECK_EQ(c.verdict, SL_CONFIRM_YES);
    CHECK_STR(c.outcome.reference, "9007199254740993");
    CHECK_STR(c.outcome.link_kind[0], "po");
    CHECK_STR(c.outcome.emit_topic[0], "supplier/accepted");
    check_has(c.outcome.emit_body[0], "\"key\":\"Zk3-_9aQ\"");
    fake_confirmed_finish(&c);
}

static void a_no_counts_only_after_the_settling_time(void **state)
{
    const struct fake_exchange missing = { .status = 404 };
    const struct fake_setting slow[] = { BASIC, LOOKUP, { "confirm.settle", "1m" }, { 0 } };

    (void)state;
    check_confirm(basic, &missing, 0, SL_CONFIRM_EARLY, 2000, "not there yet");
    check_confirm(basic, &missing, 1999, SL_CONFIRM_EARLY, 1, "not there yet");
    check_confirm(basic, &missing, 2000, SL_CONFIRM_NO, 0, "no such order");
    check_confirm(basic, &missing, -5000, SL_CONFIRM_EARLY, 2000, ""); /* the clock went back */
    check_confirm(slow, &missing, 59000, SL_CONFIRM_EARLY, 1000, "");
    check_confirm(slow, &missing, 60000, SL_CONFIRM_NO, 0, "");
}

static void a_no_about_an_order_sent_nobody_knows_when_is_too_early(void **state)
{
    struct fixture x = open_with(basic);
    struct fake_confirmed c = { .host = x.host };
    sl_record record = record_at(1); /* first_sent_ms is 0 */

    (void)state;
    FAKE_EXPECT(x.host, .status = 404);
    x.plugin->confirm(x.self, NULL, &record, fake_on_confirmed, &c);
    fake_host_run(x.host);
    CHECK_EQ(c.verdict, SL_CONFIRM_EARLY);
    CHECK_EQ(c.outcome.after_ms, 2000);
    check_has(c.outcome.why, "not known when it was sent");
    fake_confirmed_finish(&c);
    close_all(&x);
}

static void what_hinders_the_question_is_asked_again(void **state)
{
    static const struct fake_exchange answers[] = {
        { .error = SL_E_NETWORK },
        { .error = SL_E_TIMEOUT, .sent = 1 },
        { .error = SL_E_TLS },
        { .status = 401 },
        { .status = 403 },
        { .status = 429, .retry_after_ms = 7000 },
        { .status = 408 },
        { .status = 500 },
        { .status = 503, .retry_after_ms = 3000 },
    };

    (void)state;
    for (size_t i = 0; i < sizeof(answers) / sizeof(answers[0]); i++)
        check_confirm(basic, &answers[i], 3600000, SL_CONFIRM_EARLY, answers[i].retry_after_ms, "");
}

static void with_an_idempotency_key_what_cannot_be_asked_goes_again(void **state)
{
    const struct fake_setting no_lookup[] = { BASIC, KEYED, { 0 } };

    (void)state;
    check_confirm(no_lookup, NULL, 0, SL_CONFIRM_AGAIN, 0, "honours a repeated key");
}

static void what_the_settings_do_not_name_is_for_a_person(void **state)
{
    const struct fake_setting no_lookup[] = { BASIC, { 0 } };

    (void)state;
    check_confirm(no_lookup, NULL, 3600000, SL_CONFIRM_UNSURE, 0, "confirm.path is not set");
    check_confirm(basic, &(struct fake_exchange){ .status = 200, .answer = "<html>" }, 3600000,
                  SL_CONFIRM_UNSURE, 0, "not JSON");
    check_confirm(basic, &(struct fake_exchange){ .status = 200, .answer = "{}" }, 3600000,
                  SL_CONFIRM_UNSURE, 0, "confirm.found.reference");
    check_confirm(basic, &(struct fake_exchange){ .status = 302 }, 3600000, SL_CONFIRM_UNSURE, 0,
                  "HTTP 302");
    check_confirm(basic, &(struct fake_exchange){ .status = 400 }, 3600000, SL_CONFIRM_UNSURE, 0,
                  "HTTP 400");
    check_confirm(basic, &(struct fake_exchange){ .status = 204 }, 3600000, SL_CONFIRM_UNSURE, 0,
                  "HTTP 204");
}

static void a_list_with_one_order_is_a_yes_an_empty_one_a_no(void **state)
{
    const struct fake_setting settings[] = {
        BASIC, { "confirm.path", "/orders?ref={key}" }, { "confirm.list", "/orders" }, { 0 }
    };
    struct fake_confirmed c;

    (void)state;
    confirm_once(settings,
                 &(struct fake_exchange){ .url = BASE "/orders?ref=Zk3-_9aQ",
                                          .status = 200,
                                          .answer = "{\"orders\":[{\"id\":\"ord_1\"}]}" },
                 0, &c);
    CHECK_EQ(c.verdict, SL_CONFIRM_YES);
    CHECK_STR(c.outcome.reference, "ord_1");
    fake_confirmed_finish(&c);
    check_confirm(settings, &(struct fake_exchange){ .status = 200, .answer = "{\"orders\":[]}" },
                  500, SL_CONFIRM_EARLY, 1500, "");
    check_confirm(settings, &(struct fake_exchange){ .status = 200, .answer = "{\"orders\":[]}" },
                  3600000, SL_CONFIRM_NO, 0, "");
    check_confirm(
        settings,
        &(struct fake_exchange){ .status = 200, .answer = "{\"orders\":[{\"id\":1},{\"id\":2}]}" },
        3600000, SL_CONFIRM_UNSURE, 0, "more than one");
    check_confirm(settings, &(struct fake_exchange){ .status = 200, .answer = "{\"orders\":{}}" },
                  3600000, SL_CONFIRM_UNSURE, 0, "confirm.list");
}

/* ---- settings ------------------------------------------------------------------------------ */

static void check_refused(const struct fake_setting *settings, const char *text)
{
    const sl_plugin *plugin = sl_plugin_v0();
    sl_values *v = fake_values_create(plugin->settings, settings);
    sl_fail fail = { .size = sizeof(fail) };

    if (plugin->check(v, &fake_values_api, &fail) == SL_OK)
        fail_msg("taken, expected: %s", text);
    check_has(fail.text, text);
    fake_values_destroy(v);
}

#define REFUSED(text, ...) \
    check_refused((const struct fake_setting[]){ BASIC, __VA_ARGS__, { 0 } }, (text))

static void settings_that_do_not_fit_are_refused_with_what_would(void **state)
{
    (void)state;
    REFUSED("submit.path must begin with '/'", { "submit.path", "orders" });
    REFUSED("{key} is the only one", { "submit.path", "/orders/{id}" });
    REFUSED("{key} is the only one", { "submit.path", "/orders/{key" });
    REFUSED("column 8", { "submit.path", "/orders }" });
    REFUSED("cannot stand in a URL", { "submit.path", "/orders#x" });
    REFUSED("confirm.path must begin", { "confirm.path", "orders/{key}" });
    REFUSED("confirm.path must hold {key}", { "confirm.path", "/orders" });
    REFUSED("not a header's name", { "submit.idempotency_header", "Order Key" });
    REFUSED("not a header's name", { "headers", "{\"A:\":\"b\"}" });
    REFUSED("written by the gateway", { "headers", "{\"content-length\":\"5\"}" });
    REFUSED("is not one line", { "headers", "{\"A\":\"b\\r\\nC: d\"}" });
    REFUSED("201 is among", { "submit.rejected.status", "[201, 400]" });
    REFUSED("is empty", { "submit.accepted.status", "[]" });
    REFUSED("needs confirm.path", { "submit.duplicate.status", "[409]" });
    REFUSED("404 is in confirm.missing", LOOKUP, { "confirm.found.status", "[200, 404]" });
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

static void orders_are_sent_once_per_subject_and_one_a_request(void **state)
{
    const sl_action *a = sl_plugin_v0()->actions;

    (void)state;
    CHECK_STR(a[0].name, "order.submit");
    CHECK_EQ(a[0].flags, SL_ACTION_ONCE);
    CHECK_EQ(a[0].batch_records, 1);
    CHECK_STR(a[1].name, "order.cancel");
    CHECK_EQ(a[1].flags, SL_ACTION_CANCEL);
    assert_null(a[2].name);
}

/* ---- cancel -------------------------------------------------------------------------------- */

#define CANCEL                                 \
    {                                          \
        "cancel.path", "/orders/@{key}/cancel" \
    }

/* Take back an order last sent `age_ms` ago. */
static void check_cancel(const struct fake_exchange *answer, int64_t age_ms, uint32_t kind,
                         int64_t after_ms, const char *why)
{
    const struct fake_setting settings[] = { BASIC, CANCEL, { 0 } };
    struct fixture x = open_with(settings);
    sl_record record = record_at(1);
    sl_batch batch = { .size = sizeof(batch), .records = &record, .n_records = 1 };
    sl_bind_in in = { .size = sizeof(in), .action = 1 };
    sl_fail fail = { .size = sizeof(fail) };
    struct fake_done d;
    void *handle;

    CHECK_EQ(x.plugin->bind(&in, &handle, &fail), SL_OK);
    record.last_sent_ms = fake_host_wall_ms(x.host) - age_ms;
    fake_done_init(&d, x.host, 1);
    fake_host_expect(x.host, answer);
    x.plugin->deliver(x.self, handle, &batch, &d.done);
    CHECK(!d.finished);
    fake_host_run(x.host);
    CHECK(d.finished);
    if (!kind) {
        CHECK(d.parked);
    } else {
        CHECK_EQ(d.outcomes[0].kind, kind);
        CHECK_EQ(d.outcomes[0].after_ms, after_ms);
        CHECK_EQ(d.outcomes[0].n_emits, 0);
        check_has(d.outcomes[0].why, why);
    }
    fake_done_finish(&d);
    close_all(&x);
}

static void only_what_the_settings_name_says_that_an_order_is_cancelled(void **state)
{
    const struct fake_exchange done = { .method = "POST",
                                        .url = BASE "/orders/@Zk3-_9aQ/cancel",
                                        .body = "",
                                        .status = 200,
                                        .answer = "{}" };
    const struct fake_exchange missing = { .status = 404 }, refused = { .status = 409 },
                               odd = { .status = 202 }, busy = { .status = 503 },
                               account = { .status = 401 };

    (void)state;
    check_cancel(&done, 0, SL_DELIVERED, 0, "cancelled");
    check_cancel(&missing, 500, SL_RETRY, 1500, "not there yet");
    check_cancel(&missing, 2000, SL_DELIVERED, 0, "no such order");
    check_cancel(&refused, 9000, SL_REJECTED, 0, "409");
    check_cancel(&odd, 9000, SL_REVIEW, 0, "do not name");
    check_cancel(&busy, 9000, SL_RETRY, 0, "503");
    check_cancel(&account, 9000, 0, 0, "");
}

static void a_cancel_needs_its_path_with_the_key(void **state)
{
    const sl_plugin *plugin = sl_plugin_v0();
    sl_values *v = fake_values_create(plugin->settings, basic);
    sl_fail fail = { .size = sizeof(fail) };

    (void)state;
    CHECK_EQ(plugin->check_action(v, &fake_values_api, 0, &fail), SL_OK);
    CHECK(plugin->check_action(v, &fake_values_api, 1, &fail) < 0);
    check_has(fail.text, "\"cancel.path\" is not set");
    fake_values_destroy(v);
    REFUSED("cancel.path: it must hold {key}", { "cancel.path", "/orders/cancel" });
    REFUSED("cancel.path must begin", { "cancel.path", "orders/{key}" });
    REFUSED("404 is among", CANCEL, { "cancel.done.status", "[200, 404]" });
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
        cmocka_unit_test(an_order_that_is_there_is_confirmed_with_all_that_follows),
        cmocka_unit_test(a_no_counts_only_after_the_settling_time),
        cmocka_unit_test(a_no_about_an_order_sent_nobody_knows_when_is_too_early),
        cmocka_unit_test(what_hinders_the_question_is_asked_again),
        cmocka_unit_test(with_an_idempotency_key_what_cannot_be_asked_goes_again),
        cmocka_unit_test(what_the_settings_do_not_name_is_for_a_person),
        cmocka_unit_test(a_list_with_one_order_is_a_yes_an_empty_one_a_no),
        cmocka_unit_test(settings_that_do_not_fit_are_refused_with_what_would),
        cmocka_unit_test(an_authorization_header_never_stands_in_a_reason),
        cmocka_unit_test(orders_are_sent_once_per_subject_and_one_a_request),
        cmocka_unit_test(only_what_the_settings_name_says_that_an_order_is_cancelled),
        cmocka_unit_test(a_cancel_needs_its_path_with_the_key),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
