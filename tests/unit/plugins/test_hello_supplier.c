/*
 * test_hello_supplier.c - the example of the plugin author's guide: what it sends and makes of each
 * answer, what it reads in the supplier's webhooks, and what it looks up.
 */
#include "fake_host.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define BASE "http://127.0.0.1:9001"
#define KEY  "Zk3-_9aQ"
#define HEX  "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff"

static const sl_plugin *plugin;

static const struct fake_setting settings[] = {
    { "base_url", BASE }, { "token", "t-secret" }, { "webhook_secret", "w-secret" }, { 0 }
};

struct fixture {
    struct fake_host *host;
    void *self;
};

static struct fixture open_with(const struct fake_setting *given)
{
    struct fixture x;

    plugin = sl_plugin_v0();
    x.host = fake_host_create("hello", plugin->settings, given);
    x.self = fake_host_open(x.host, plugin);
    return x;
}

static void close_all(struct fixture *x)
{
    fake_host_close(x->host, plugin, x->self);
    fake_host_destroy(x->host);
}

/* ---- as a destination ---------------------------------------------------------------------- */

static sl_record record_of(const char *body)
{
    return (sl_record){ .size = sizeof(sl_record),
                        .attempt = 1,
                        .delivery = fake_str("7.0"),
                        .key = fake_str(KEY),
                        .body = fake_str(body),
                        .request = fake_str("{\"external_id\":\"" KEY "\",\"items\":[]}") };
}

static void the_key_is_the_first_member_of_what_is_frozen(void **state)
{
    struct fixture x = open_with(settings);
    struct fake_prepared p = { 0 };
    sl_record record = record_of("{\"items\":[]}");

    (void)state;
    plugin->prepare(x.self, NULL, &record, fake_on_prepared, &p);
    CHECK_EQ(p.status, SL_OK);
    CHECK_STR(p.request, "{\"external_id\":\"" KEY "\",\"items\":[]}");
    fake_prepared_finish(&p);
    record = record_of("[]");
    plugin->prepare(x.self, NULL, &record, fake_on_prepared, &p);
    CHECK_EQ(p.status, SL_E_INVALID);
    fake_prepared_finish(&p);
    close_all(&x);
}

static void check_deliver(const struct fake_exchange *answer, uint32_t kind, uint32_t not_sent)
{
    struct fixture x = open_with(settings);
    sl_record record = record_of("{}");
    sl_batch batch = { .size = sizeof(batch), .id = 1, .records = &record, .n_records = 1 };
    struct fake_done d;

    fake_host_expect(x.host, answer);
    fake_done_init(&d, x.host, 1);
    plugin->deliver(x.self, NULL, &batch, &d.done);
    fake_host_run(x.host);
    CHECK(d.finished);
    CHECK_EQ(d.outcomes[0].told ? d.outcomes[0].kind : 0, kind);
    CHECK_EQ(d.outcomes[0].not_sent, not_sent);
    CHECK_EQ(d.parked, kind == 0);
    fake_done_finish(&d);
    close_all(&x);
}

static void every_answer_to_an_order_means_what_the_guide_says(void **state)
{
    (void)state;
    check_deliver(&(struct fake_exchange){ .method = "POST",
                                           .url = BASE "/orders",
                                           .headers = "Authorization: Bearer t-secret",
                                           .body = "{\"external_id\":\"" KEY "\",\"items\":[]}",
                                           .status = 201 },
                  SL_DELIVERED, 0);
    check_deliver(&(struct fake_exchange){ .error = SL_E_NETWORK }, SL_RETRY, 1);
    check_deliver(&(struct fake_exchange){ .error = SL_E_TIMEOUT, .sent = 1 }, SL_UNKNOWN, 0);
    check_deliver(&(struct fake_exchange){ .status = 500 }, SL_UNKNOWN, 0);
    check_deliver(&(struct fake_exchange){ .status = 204 }, SL_UNKNOWN, 0);
    check_deliver(&(struct fake_exchange){ .status = 429 }, SL_THROTTLED, 0);
    check_deliver(&(struct fake_exchange){ .status = 422 }, SL_REJECTED, 0);
    check_deliver(&(struct fake_exchange){ .status = 401 }, 0, 0); /* parked */
}

static void a_no_is_believed_only_when_the_books_cannot_be_behind(void **state)
{
    static const struct {
        int64_t ago_ms;
        uint32_t status, verdict;
    } cases[] = { { 0, 404, SL_CONFIRM_EARLY },
                  { 1999, 404, SL_CONFIRM_EARLY },
                  { 2000, 404, SL_CONFIRM_NO },
                  { 0, 200, SL_CONFIRM_YES },
                  { 3600000, 503, SL_CONFIRM_EARLY } };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct fixture x = open_with(settings);
        struct fake_confirmed c = { .host = x.host };
        sl_record record = record_of("{}");
        record.last_sent_ms = fake_host_wall_ms(x.host) - cases[i].ago_ms;
        FAKE_EXPECT(x.host, .method = "GET", .url = BASE "/orders/@" KEY,
                    .status = cases[i].status);
        plugin->confirm(x.self, NULL, &record, fake_on_confirmed, &c);
        fake_host_run(x.host);
        CHECK_EQ(c.verdict, cases[i].verdict);
        fake_confirmed_finish(&c);
        close_all(&x);
    }
}

/* ---- as a source --------------------------------------------------------------------------- */

#define HEAD(...)                                                                         \
    (sl_head)                                                                             \
    {                                                                                     \
        .size = sizeof(sl_head), .method = fake_str("POST"),                              \
        .headers = (const sl_header[]){ __VA_ARGS__ },                                    \
        .n_headers = sizeof((const sl_header[]){ __VA_ARGS__ }) / sizeof(const sl_header) \
    }
#define LINE(name, value)            \
    {                                \
        { name, sizeof(name) - 1 },  \
        {                            \
            value, sizeof(value) - 1 \
        }                            \
    }

static sl_status verify(struct fixture *x, const sl_head *head, sl_verdict *ret)
{
    sl_fail fail = { .size = sizeof(fail) };

    *ret = (sl_verdict){ 0 };
    return plugin->verify(x->self, head, ret, &fail);
}

static void a_webhook_says_its_topic_its_id_and_the_signature_that_it_claims(void **state)
{
    struct fixture x = open_with(settings);
    sl_head head = HEAD(LINE("x-topic", "order/shipped"), LINE("X-EVENT-ID", "e1"),
                        LINE("X-Signature", HEX));
    sl_verdict v;

    (void)state;
    CHECK_EQ(verify(&x, &head, &v), SL_OK);
    CHECK_EQ(v.scheme, SL_SIGNED_HMAC_SHA256);
    CHECK_VIEW(v.topic, "order/shipped");
    CHECK_VIEW(v.sender_id, "e1");
    CHECK_EQ(v.n_secrets, 1);
    CHECK_VIEW(v.secrets[0], "w-secret");
    CHECK_EQ(v.signature_len, 32);
    CHECK_EQ(v.signature[1], 0x11);
    CHECK_EQ(v.signature[31], 0xff);
    close_all(&x);
}

static void a_signature_that_is_none_is_a_verdict_all_the_same(void **state)
{
    struct fixture x = open_with(settings);
    sl_head none = HEAD(LINE("X-Topic", "t"), LINE("X-Event-Id", "1"));
    sl_head odd = HEAD(LINE("X-Topic", "t"), LINE("X-Event-Id", "1"), LINE("X-Signature", "zz"));
    sl_head wrong = HEAD(LINE("X-Topic", "t"), LINE("X-Event-Id", "1"),
                         LINE("X-Signature",
                              "g0112233445566778899aabbccddeeff"
                              "00112233445566778899aabbccddeeff"));
    sl_verdict v;

    (void)state;
    CHECK_EQ(verify(&x, &none, &v), SL_OK);
    CHECK_EQ(v.signature_len, 0);
    CHECK_EQ(verify(&x, &odd, &v), SL_OK);
    CHECK_EQ(v.signature_len, 0);
    CHECK_EQ(verify(&x, &wrong, &v), SL_OK);
    CHECK_EQ(v.signature_len, 0);
    close_all(&x);
}

static void what_is_no_webhook_of_its_is_refused(void **state)
{
    const struct fake_setting silent[] = { { "base_url", BASE }, { 0 } };
    struct fixture x = open_with(settings);
    sl_head head = HEAD(LINE("X-Topic", "t"), LINE("X-Event-Id", "1"));
    sl_head no_id = HEAD(LINE("X-Topic", "t")), no_topic = HEAD(LINE("X-Event-Id", "1"));
    sl_verdict v;

    (void)state;
    CHECK_EQ(verify(&x, &no_id, &v), SL_E_INVALID);
    CHECK_EQ(verify(&x, &no_topic, &v), SL_E_INVALID);
    head.method = fake_str("GET");
    CHECK_EQ(verify(&x, &head, &v), SL_E_UNSUPPORTED);
    close_all(&x);
    x = open_with(silent); /* nobody could sign them */
    head.method = fake_str("POST");
    CHECK_EQ(verify(&x, &head, &v), SL_E_NOT_FOUND);
    close_all(&x);
}

struct described {
    int calls;
    char subject[80], version[40], event_key[40], ref[60];
};

static void on_subject(void *ctx, sl_str subject, sl_str version, sl_str event_key,
                       const sl_ref *refs, size_t n_refs)
{
    struct described *d = ctx;

    CHECK_EQ(n_refs, subject.len ? 0 : 1);
    if (n_refs)
        snprintf(d->ref, sizeof(d->ref), "%.*s %.*s", (int)refs->kind.len, refs->kind.ptr,
                 (int)refs->id.len, refs->id.ptr);
    d->calls++;
    snprintf(d->subject, sizeof(d->subject), "%.*s", (int)subject.len, subject.ptr);
    snprintf(d->version, sizeof(d->version), "%.*s", (int)version.len, version.ptr);
    snprintf(d->event_key, sizeof(d->event_key), "%.*s", (int)event_key.len, event_key.ptr);
}

static sl_status describe(const char *topic, const char *body, struct described *ret)
{
    struct fixture x = open_with(settings);
    sl_describe_out out = { .size = sizeof(out), .ctx = ret, .subject = on_subject };
    sl_event ev = { .size = sizeof(ev), .topic = fake_str(topic), .body = fake_str(body) };
    sl_fail fail = { .size = sizeof(fail) };
    sl_status status;

    *ret = (struct described){ 0 };
    status = plugin->describe(x.self, &ev, &out, &fail);
    CHECK_EQ(status == SL_OK, ret->calls == 1);
    CHECK_EQ(status == SL_OK, fail.text[0] == '\0');
    close_all(&x);
    return status;
}

static void an_event_is_about_the_order_that_was_sent_under_our_key(void **state)
{
    struct described d;

    (void)state;
    CHECK_EQ(describe("order/shipped", "{\"id\":\"ord_1\",\"external_id\" : \"" KEY "\"}", &d),
             SL_OK);
    CHECK_STR(d.subject, "supplier-order:" KEY);
    CHECK_STR(d.event_key, ""); /* it may be shipped in parts */
    CHECK_EQ(describe("order/accepted", "{\"external_id\":\"" KEY "\"}", &d), SL_OK);
    CHECK_STR(d.subject, "supplier-order:" KEY);
    CHECK_STR(d.event_key, KEY); /* and once accepted, by whichever way that is learnt */
    CHECK_EQ(describe("order/shipped",
                      "{\"note\":\"\\\"external_id\\\":\\\"other\\\"\",\"external_id\":\"a\"}", &d),
             SL_OK);
    CHECK_STR(d.subject, "supplier-order:a");
}

static void a_parcel_is_about_the_order_that_its_key_is_linked_to(void **state)
{
    struct described d;

    (void)state;
    CHECK_EQ(describe("parcel/shipped", "{\"external_id\":\"" KEY "\"}", &d), SL_OK);
    CHECK_STR(d.subject, "");
    CHECK_STR(d.ref, "order " KEY);
    CHECK_EQ(describe("parcel/shipped", "{\"external_id\":\"a/b\"}", &d), SL_E_INVALID);
}

static void what_names_no_order_of_ours_is_not_understood(void **state)
{
    static const char *const bodies[] = {
        "",
        "{}",
        "{\"external_id\":7}",
        "{\"external_id\":\"\"}",
        "{\"external_id\":\"a/b\"}",
        "{\"external_id\":\"unended",
        "{\"external_id\"",
        "{\"external_id\":\"123456789012345678901234567890123\"}", /* 33 */
    };
    struct described d;

    (void)state;
    for (size_t i = 0; i < sizeof(bodies) / sizeof(bodies[0]); i++)
        CHECK_EQ(describe("order/shipped", bodies[i], &d), SL_E_INVALID);
}

/* ---- what has not come --------------------------------------------------------------------- */

static void only_what_can_be_said_of_an_order_later_can_be_looked_up(void **state)
{
    sl_values *v = fake_values_create(sl_plugin_v0()->settings, settings);
    sl_fail fail = { .size = sizeof(fail) };

    (void)state;
    CHECK_EQ(plugin->can_look_up(v, &fake_values_api, fake_str("order/accepted"), &fail), SL_OK);
    CHECK_EQ(plugin->can_look_up(v, &fake_values_api, fake_str("order/shipped"), &fail),
             SL_E_UNSUPPORTED);
    assert_non_null(strstr(fail.text, "order/accepted alone can be looked up"));
    fake_values_destroy(v);
}

/** `answer` NULL: nothing is asked. Give `l` to fake_looked_up_finish(). */
static void look_up(const char *subject, const struct fake_exchange *answer,
                    struct fake_looked_up *l)
{
    struct fixture x = open_with(settings);
    char *borrowed = strdup(subject);
    sl_lookup what = { .size = sizeof(what),
                       .topic = fake_str("order/accepted"),
                       .subject = fake_str(borrowed) };

    *l = (struct fake_looked_up){ .host = x.host };
    if (answer)
        fake_host_expect(x.host, answer);
    plugin->lookup(x.self, &what, fake_on_looked_up, l);
    memset(borrowed, 'x', strlen(borrowed)); /* it was the call's alone */
    free(borrowed);
    fake_host_run(x.host);
    CHECK_EQ(fake_host_requests(x.host), answer != NULL);
    close_all(&x); /* which calls back what was never answered */
    CHECK_EQ(l->calls, 1);
}

static void check_look_up(const char *subject, const struct fake_exchange *answer, uint32_t verdict,
                          int64_t after_ms)
{
    struct fake_looked_up l;

    look_up(subject, answer, &l);
    CHECK_EQ(l.verdict, verdict);
    CHECK_EQ(l.after_ms, after_ms);
    CHECK(l.why[0]); /* an operator reads it */
    fake_looked_up_finish(&l);
}

#define ORDER "supplier-order:" KEY

static void what_is_found_is_described_as_its_webhook_would_be(void **state)
{
    const char *order = "{\"id\":\"ord_1\",\"status\":\"shipped\",\"external_id\":\"" KEY "\"}";
    struct fake_looked_up l;
    struct described webhook, found;

    (void)state;
    look_up(ORDER,
            &(struct fake_exchange){ .method = "GET",
                                     .url = BASE "/orders/@" KEY,
                                     .headers = "Authorization: Bearer t-secret",
                                     .status = 200,
                                     .answer = order },
            &l);
    CHECK_EQ(l.verdict, SL_LOOKUP_FOUND);
    CHECK_STR(l.body, order);
    CHECK_EQ(describe("order/accepted", l.body, &found), SL_OK);
    CHECK_EQ(describe("order/accepted", "{\"external_id\":\"" KEY "\",\"status\":\"received\"}",
                      &webhook),
             SL_OK);
    CHECK_STR(found.subject, webhook.subject);
    CHECK_STR(found.event_key, webhook.event_key);
    CHECK(found.event_key[0]);
    fake_looked_up_finish(&l);
}

static void none_is_said_only_of_what_the_supplier_does_not_know(void **state)
{
    (void)state;
    check_look_up(ORDER, &(struct fake_exchange){ .status = 404 }, SL_LOOKUP_NONE, 0);
    check_look_up("supplier-order:", NULL, SL_LOOKUP_NONE, 0);
    check_look_up("supplier-order:a/../b", NULL, SL_LOOKUP_NONE, 0);
    check_look_up("supplier-order:123456789012345678901234567890123", NULL, SL_LOOKUP_NONE, 0);
    check_look_up("order:acme.myshopify.com/1", NULL, SL_LOOKUP_NONE, 0);
}

static void what_answers_nothing_is_asked_again(void **state)
{
    (void)state;
    check_look_up(ORDER, &(struct fake_exchange){ .status = 503, .retry_after_ms = 7000 },
                  SL_LOOKUP_AGAIN, 7000);
    check_look_up(ORDER, &(struct fake_exchange){ .status = 401 }, SL_LOOKUP_AGAIN, 0);
    check_look_up(ORDER, &(struct fake_exchange){ .status = 200, .answer = "{\"id\":1}" },
                  SL_LOOKUP_AGAIN, 0);
    check_look_up(
        ORDER, &(struct fake_exchange){ .status = 200, .answer = "{\"external_id\":\"" KEY "x\"}" },
        SL_LOOKUP_AGAIN, 0);
    check_look_up(
        ORDER, &(struct fake_exchange){ .error = SL_E_TIMEOUT, .sent = 1, .retry_after_ms = 7000 },
        SL_LOOKUP_AGAIN, 0);
    check_look_up(ORDER, &(struct fake_exchange){ .never = true }, SL_LOOKUP_AGAIN, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_key_is_the_first_member_of_what_is_frozen),
        cmocka_unit_test(every_answer_to_an_order_means_what_the_guide_says),
        cmocka_unit_test(a_no_is_believed_only_when_the_books_cannot_be_behind),
        cmocka_unit_test(a_webhook_says_its_topic_its_id_and_the_signature_that_it_claims),
        cmocka_unit_test(a_signature_that_is_none_is_a_verdict_all_the_same),
        cmocka_unit_test(what_is_no_webhook_of_its_is_refused),
        cmocka_unit_test(an_event_is_about_the_order_that_was_sent_under_our_key),
        cmocka_unit_test(a_parcel_is_about_the_order_that_its_key_is_linked_to),
        cmocka_unit_test(what_names_no_order_of_ours_is_not_understood),
        cmocka_unit_test(only_what_can_be_said_of_an_order_later_can_be_looked_up),
        cmocka_unit_test(what_is_found_is_described_as_its_webhook_would_be),
        cmocka_unit_test(none_is_said_only_of_what_the_supplier_does_not_know),
        cmocka_unit_test(what_answers_nothing_is_asked_again),
    };

    plugin = sl_plugin_v0();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
