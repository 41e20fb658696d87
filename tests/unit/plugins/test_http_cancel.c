/*
 * The http adapter's request.cancel: what was sent and not answered is taken back by a request that
 * its parameters describe.
 */
#include "http_fixture.h"

#include <string.h>

#define CANCEL 1
#define AT     BASE "/orders/9007199254740993?key=Zk3-_9aQ"
#define PATH                                    \
    {                                           \
        "path", "/orders/{/order/id}?key={key}" \
    }
#define PARAMS(...) ((const struct fake_setting[]){ __VA_ARGS__, { 0 } })

/** Cancel what was sent so long ago, against one answer; give `d` to fake_done_finish(). */
static void cancel(const struct fake_setting *settings, const struct fake_setting *params,
                   const struct fake_exchange *answer, int64_t ago_ms, struct fake_done *d)
{
    struct fixture x = fixture_open_action(CANCEL, settings, params);
    sl_record record = fixture_record("", 1);
    sl_batch batch = { .size = sizeof(batch), .records = &record, .n_records = 1 };

    record.first_sent_ms = record.last_sent_ms = fake_host_wall_ms(x.host) - ago_ms;
    if (answer)
        fake_host_expect(x.host, answer);
    fake_done_init(d, x.host, 1);
    x.plugin->deliver(x.self, x.handle, &batch, &d->done);
    fake_host_run(x.host);
    CHECK(d->finished);
    fixture_close(&x);
}

static void check(const struct fake_exchange *answer, int64_t ago_ms, uint32_t kind,
                  const char *why)
{
    struct fake_done d;

    cancel(NULL, PARAMS(PATH), answer, ago_ms, &d);
    CHECK_EQ(d.parked, kind == 0);
    CHECK_EQ(d.outcomes[0].kind, kind);
    CHECK_HAS(d.parked ? d.park_why : d.outcomes[0].why, why);
    fake_done_finish(&d);
}

#define ANSWER(...) (&(struct fake_exchange){ .method = "DELETE", .url = AT, __VA_ARGS__ })
#define LONG_AGO    60000

static void only_what_is_named_takes_it_back(void **state)
{
    (void)state;
    check(ANSWER(.status = 200), 0, SL_DELIVERED, "taken back");
    check(ANSWER(.status = 204), 0, SL_DELIVERED, "taken back");
    check(ANSWER(.status = 404), LONG_AGO, SL_DELIVERED, "there is nothing of it");
    check(ANSWER(.status = 409, .answer = "{\"error\":{\"message\":\"it has left\"}}"), 0,
          SL_REJECTED, "it has left");
    check(ANSWER(.status = 202), 0, SL_REVIEW, "do not name");
    check(ANSWER(.status = 400), 0, SL_REVIEW, "do not name");
    check(ANSWER(.status = 301), 0, SL_REVIEW, "do not name");
    check(ANSWER(.status = 401), 0, 0, "may not be used");
    check(ANSWER(.status = 429), 0, SL_RETRY, "HTTP 429");
    check(ANSWER(.status = 503), 0, SL_RETRY, "HTTP 503");
    check(ANSWER(.error = SL_E_NETWORK, .sent = 1), 0, SL_RETRY, "");
    check(ANSWER(.error = SL_E_NETWORK), 0, SL_RETRY, "");
}

static void what_is_missing_may_still_come_in(void **state)
{
    struct fake_done d;

    (void)state;
    cancel(NULL, PARAMS(PATH), ANSWER(.status = 404), 500, &d);
    CHECK_EQ(d.outcomes[0].kind, SL_RETRY);
    CHECK_EQ(d.outcomes[0].after_ms, 1500);
    fake_done_finish(&d);
    cancel(NULL, PARAMS(PATH), ANSWER(.status = 404, .delay_ms = 5000), 500, &d);
    CHECK_EQ(d.outcomes[0].kind, SL_RETRY); /* it was early as it was asked */
    CHECK_EQ(d.outcomes[0].after_ms, 1500);
    fake_done_finish(&d);
    cancel(NULL, PARAMS(PATH, { "settle", "0s" }), ANSWER(.status = 404), 0, &d);
    CHECK_EQ(d.outcomes[0].kind, SL_DELIVERED);
    fake_done_finish(&d);
}

static void it_is_a_request_of_its_own_and_carries_no_key(void **state)
{
    const struct fake_setting settings[] = {
        BASIC, KEYED, { "signing.secret", VECTOR_SECRET }, { 0 }
    };
    struct fake_done d;

    (void)state;
    cancel(
        settings, PARAMS(PATH, { "headers", "{\"X-Piece\":\"{piece}\"}" }),
        ANSWER(.status = 200, .body = "",
               .headers = "webhook-id: Zk3-_9aQ-cancel\nX-Piece: Byron & Sons\n!Idempotency-Key"),
        0, &d);
    CHECK_EQ(d.outcomes[0].kind, SL_DELIVERED);
    fake_done_finish(&d);
}

static void a_program_makes_its_body(void **state)
{
    struct fixture x = fixture_open_action(CANCEL, NULL,
                                           PARAMS({ "path", "/cancellations" },
                                                  { "method", "POST" },
                                                  { "body", "{order: .order.id}" }));
    sl_record record = fixture_record("", 1);
    sl_batch batch = { .size = sizeof(batch), .records = &record, .n_records = 1 };
    struct fake_done d;

    (void)state;
    fake_host_transform(x.host, SL_OK, "{\"order\":\"9\"}", NULL);
    FAKE_EXPECT(x.host, .method = "POST", .url = BASE "/cancellations", .body = "{\"order\":\"9\"}",
                .headers = "Content-Type: application/json", .status = 204);
    fake_done_init(&d, x.host, 1);
    x.plugin->deliver(x.self, x.handle, &batch, &d.done);
    fake_host_run(x.host);
    CHECK_STR(fake_host_program(x.host), "{order: .order.id}");
    CHECK_HAS(fake_host_vars(x.host), "\"key\":\"Zk3-_9aQ\"");
    CHECK_EQ(d.outcomes[0].kind, SL_DELIVERED);
    fake_done_finish(&d);

    fake_host_transform(x.host, SL_E_INVALID, NULL, "no such thing"); /* a person is asked */
    fake_done_init(&d, x.host, 1);
    x.plugin->deliver(x.self, x.handle, &batch, &d.done);
    fake_host_run(x.host);
    CHECK_EQ(d.outcomes[0].kind, SL_REVIEW);
    CHECK_HAS(d.outcomes[0].why, "the cancel cannot be made: no such thing");
    fake_done_finish(&d);
    fixture_close(&x);
}

static void a_value_that_is_not_there_is_a_persons(void **state)
{
    struct fake_done d;

    (void)state;
    cancel(NULL, PARAMS({ "path", "/orders/{/order/number}" }), NULL, 0, &d);
    CHECK_EQ(d.outcomes[0].kind, SL_REVIEW);
    CHECK_HAS(d.outcomes[0].why, "the cancel cannot be made: {/order/number}");
    fake_done_finish(&d);
}

static void refused(const struct fake_setting *params, const char *text)
{
    const sl_plugin *plugin = sl_plugin_v0();
    sl_values *v = fake_values_create(plugin->actions[CANCEL].params, params);
    sl_fail fail = { .size = sizeof(fail) };
    sl_bind_in in = {
        .size = sizeof(in), .action = CANCEL, .params = v, .values = &fake_values_api
    };
    void *handle = NULL;

    CHECK_EQ(plugin->bind(&in, &handle, &fail), SL_E_INVALID);
    if (strncmp(fail.text, text, strlen(text)) != 0)
        fail_msg("\"%s\", expected \"%s\"", fail.text, text);
    fake_values_destroy(v);
}

static void parameters_that_do_not_fit_are_refused(void **state)
{
    (void)state;
    refused(PARAMS({ "path", "/orders/cancel" }), "path: it must hold {key} or a value");
    refused(PARAMS({ "path", "orders/{key}" }), "path: must begin with '/'");
    refused(PARAMS({ "path", "/orders/{id}" }), "path: unknown placeholder at column 9");
    refused(PARAMS(PATH, { "missing", "[204]" }), "done: 204 is among the missing or refused");
    refused(PARAMS(PATH, { "refused", "[404]" }), "missing: 404 is among the refused ones too");
}

static void the_end_while_it_is_under_way_leaves_it_to_be_asked_again(void **state)
{
    struct fixture x = fixture_open_action(CANCEL, NULL, PARAMS(PATH));
    sl_record record = fixture_record("", 1);
    sl_batch batch = { .size = sizeof(batch), .records = &record, .n_records = 1 };
    struct fake_done d;

    (void)state;
    FAKE_EXPECT(x.host, .never = true);
    fake_done_init(&d, x.host, 1);
    x.plugin->deliver(x.self, x.handle, &batch, &d.done);
    fixture_close(&x);
    CHECK(d.finished);
    CHECK_EQ(d.outcomes[0].kind, SL_RETRY);
    fake_done_finish(&d);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(only_what_is_named_takes_it_back),
        cmocka_unit_test(what_is_missing_may_still_come_in),
        cmocka_unit_test(it_is_a_request_of_its_own_and_carries_no_key),
        cmocka_unit_test(a_program_makes_its_body),
        cmocka_unit_test(a_value_that_is_not_there_is_a_persons),
        cmocka_unit_test(parameters_that_do_not_fit_are_refused),
        cmocka_unit_test(the_end_while_it_is_under_way_leaves_it_to_be_asked_again),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
