/*
 * test_supplier_http_asked.c - what the supplier-http adapter asks about an order that may have
 * arrived: whether it is there, and to take it back.
 */
#include "supplier_fixture.h"

#include <stdlib.h>
#include <string.h>

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
    CHECK_HAS(c.outcome.why, why);
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
    CHECK_HAS(c.outcome.emit_body[0], "\"key\":\"Zk3-_9aQ\"");
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
    /* what was asked early is early however late its answer comes */
    check_confirm(basic, &(struct fake_exchange){ .status = 404, .delay_ms = 5000 }, 500,
                  SL_CONFIRM_EARLY, 1500, "not there yet");
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
    CHECK_HAS(c.outcome.why, "not known when it was sent");
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

/* ---- cancel -------------------------------------------------------------------------------- */

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
        CHECK_HAS(d.outcomes[0].why, why);
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
    check_cancel(&done, 0, SL_DELIVERED, 0, "taken back");
    check_cancel(&missing, 500, SL_RETRY, 1500, "not there yet");
    check_cancel(&(struct fake_exchange){ .status = 404, .delay_ms = 5000 }, 500, SL_RETRY, 1500,
                 "not there yet"); /* it was early as it was asked */
    check_cancel(&missing, 2000, SL_DELIVERED, 0, "there is nothing of it");
    check_cancel(&refused, 9000, SL_REJECTED, 0, "409");
    check_cancel(&odd, 9000, SL_REVIEW, 0, "do not name");
    check_cancel(&busy, 9000, SL_RETRY, 0, "503");
    check_cancel(&account, 9000, 0, 0, "");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_order_that_is_there_is_confirmed_with_all_that_follows),
        cmocka_unit_test(a_no_counts_only_after_the_settling_time),
        cmocka_unit_test(a_no_about_an_order_sent_nobody_knows_when_is_too_early),
        cmocka_unit_test(what_hinders_the_question_is_asked_again),
        cmocka_unit_test(with_an_idempotency_key_what_cannot_be_asked_goes_again),
        cmocka_unit_test(what_the_settings_do_not_name_is_for_a_person),
        cmocka_unit_test(a_list_with_one_order_is_a_yes_an_empty_one_a_no),
        cmocka_unit_test(only_what_the_settings_name_says_that_an_order_is_cancelled),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
