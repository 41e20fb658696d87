/*
 * test_shopify_compliance.c - what the mandatory topics ask of the gateway itself.
 */
#include "shopify_fixture.h"

#include <stdio.h>
#include <string.h>

struct asked {
    int times, subjects; /* of ask(), of subject() */
    uint32_t kind, everything;
    char who[100], why[300], about[4000], values[600];
    sl_status answer;
};

static void on_subject(void *ctx, sl_str subject, sl_str version, sl_str key, const sl_ref *refs,
                       size_t n_refs)
{
    struct asked *a = ctx;

    (void)subject, (void)version, (void)key, (void)refs, (void)n_refs;
    a->subjects++;
}

static void on_note(void *ctx, sl_str text)
{
    (void)ctx, (void)text;
}

static void put_all(char *to, size_t size, const sl_str *texts, size_t n)
{
    size_t at = 0;

    for (size_t i = 0; i < n && at < size; i++)
        at += (size_t)snprintf(to + at, size - at, "%s%.*s", i ? " " : "", (int)texts[i].len,
                               texts[i].ptr);
}

static sl_status on_ask(void *ctx, const sl_ask *ask)
{
    struct asked *a = ctx;

    a->times++;
    a->kind = ask->kind;
    a->everything = ask->everything;
    snprintf(a->who, sizeof(a->who), "%.*s", (int)ask->who.len, ask->who.ptr);
    snprintf(a->why, sizeof(a->why), "%.*s", (int)ask->why.len, ask->why.ptr);
    put_all(a->about, sizeof(a->about), ask->subjects, ask->n_subjects);
    put_all(a->values, sizeof(a->values), ask->values, ask->n_values);
    return a->answer;
}

static sl_status ask_with(void *self, const char *topic, const char *body, struct asked *a,
                          bool old_host, char text[512])
{
    sl_describe_out out = {
        .size = sizeof(out), .ctx = a, .subject = on_subject, .note = on_note, .ask = on_ask
    };
    sl_event event = { .size = sizeof(event),
                       .id = 1,
                       .endpoint = fake_str("acme"),
                       .topic = fake_str(topic),
                       .body = fake_str(body) };
    sl_fail fail = { .size = sizeof(fail) };
    sl_status r;

    if (old_host)
        out.size = offsetof(sl_describe_out, ask);
    r = plugin->describe(self, &event, &out, &fail);
    snprintf(text, 512, "%s", fail.text);
    return r;
}

static struct asked ask(void *self, const char *topic, const char *body)
{
    struct asked a = { 0 };
    char text[512];

    if (ask_with(self, topic, body, &a, false, text) != SL_OK)
        fail_msg("%s", text);
    CHECK_EQ(a.subjects, 1);
    return a;
}

/* As the reference shows them, with the ids of 64 bits that there are. */
#define CUSTOMER \
    "{\"id\":706405506930370084,\"email\":\"john@example.com\",\"phone\":\"555-625-1199\"}"

static void a_redaction_names_the_customer_her_orders_and_her_addresses(void **state)
{
    struct fixture *x = *state;
    struct asked a = ask(x->self, "customers/redact",
                         "{\"shop_id\":954889,\"shop_domain\":\"" SHOP "\",\"customer\":" CUSTOMER
                         ",\"orders_to_redact\":[9007199254740993,280263220]}");

    CHECK_EQ(a.times, 1);
    CHECK_EQ(a.kind, SL_ASK_ERASE);
    CHECK_EQ(a.everything, 0);
    CHECK_STR(a.who, "customer 706405506930370084"); /* no name, no address */
    CHECK_STR(a.about, "customer:" SHOP "/706405506930370084 order:" SHOP
                       "/9007199254740993 order:" SHOP "/280263220");
    CHECK_STR(a.values,
              "john@example.com 555-625-1199 gid://shopify/Customer/706405506930370084 "
              "706405506930370084");
}

static void a_data_request_asks_for_the_same_to_be_handed_out(void **state)
{
    struct fixture *x = *state;
    struct asked a = ask(
        x->self, "customers/data_request",
        "{\"shop_domain\":\"" SHOP
        "\",\"orders_requested\":[299938],"
        "\"customer\":{\"id\":191167,\"email\":\"john@example.com\",\"phone\":null},"
        "\"data_request\":{\"id\":9999}}");

    CHECK_EQ(a.kind, SL_ASK_HAND_OUT);
    CHECK_STR(a.about, "customer:" SHOP "/191167 order:" SHOP "/299938");
    /* six digits stand for anything: the id is looked for as a GID alone */
    CHECK_STR(a.values, "john@example.com gid://shopify/Customer/191167");
}

static void a_shop_is_erased_as_a_whole(void **state)
{
    struct fixture *x = *state;
    struct asked a = ask(x->self, "shop/redact",
                         "{\"shop_id\":954889,\"shop_domain\":\"" SHOP "\"}");

    CHECK_EQ(a.kind, SL_ASK_ERASE);
    CHECK_EQ(a.everything, 1);
    CHECK_STR(a.who, "shop " SHOP);
    CHECK_STR(a.about, "");
}

static void a_removed_app_stops_what_is_sent(void **state)
{
    struct fixture *x = *state;
    struct asked a = ask(x->self, "app/uninstalled", "{\"id\":1,\"name\":\"Acme\"}");

    CHECK_EQ(a.kind, SL_ASK_STOP);
    CHECK_HAS(a.why, "app/uninstalled");
    CHECK_HAS(a.why, "resume");
}

static void ids_as_texts_and_gids_are_read_alike_and_what_is_none_is_left_out(void **state)
{
    struct fixture *x = *state;
    struct asked a = ask(
        x->self, "customers/redact",
        "{\"customer\":{\"id\":\"191167\",\"email\":\"\",\"phone\":\"123\"},"
        "\"orders_to_redact\":[\"12\",\"gid://shopify/Order/13\",null,1.5,\"x\",{}]}");

    CHECK_STR(a.about, "customer:" SHOP "/191167 order:" SHOP "/12 order:" SHOP "/13");
    CHECK_STR(a.values, "gid://shopify/Customer/191167");
}

static void a_guest_is_known_by_the_address_alone(void **state)
{
    struct fixture *x = *state;
    struct asked a = ask(x->self, "customers/redact",
                         "{\"customer\":{\"id\":null,\"email\":\"john@example.com\"},"
                         "\"orders_to_redact\":[12]}");

    CHECK_STR(a.who, "a customer without an id");
    CHECK_STR(a.about, "order:" SHOP "/12");
    CHECK_STR(a.values, "john@example.com");
}

static void a_request_that_names_nobody_is_refused_with_the_reason(void **state)
{
    struct fixture *x = *state;
    struct asked a = { .answer = SL_E_INVALID };
    char text[512];

    CHECK_EQ(ask_with(x->self, "customers/redact", "{\"shop_id\":1}", &a, false, text),
             SL_E_INVALID);
    CHECK_EQ(a.subjects, 0); /* it is listed as not understood */
    CHECK_HAS(text, "customers/redact names nobody");
}

static void other_topics_ask_for_nothing(void **state)
{
    static const char *const topics[] = { "customers/update", "orders/create", "shop/update",
                                          "app/scopes_update", "customers/redacted" };
    struct fixture *x = *state;

    for (size_t i = 0; i < sizeof(topics) / sizeof(topics[0]); i++)
        CHECK_EQ(ask(x->self, topics[i], "{\"id\":1,\"customer\":" CUSTOMER "}").times, 0);
}

static void an_older_host_is_not_asked(void **state)
{
    struct fixture *x = *state;
    struct asked a = { 0 };
    char text[512];

    CHECK_EQ(ask_with(x->self, "shop/redact", "{}", &a, true, text), SL_OK);
    CHECK_EQ(a.times, 0);
    CHECK_EQ(a.subjects, 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_redaction_names_the_customer_her_orders_and_her_addresses),
        cmocka_unit_test(a_data_request_asks_for_the_same_to_be_handed_out),
        cmocka_unit_test(a_shop_is_erased_as_a_whole),
        cmocka_unit_test(a_removed_app_stops_what_is_sent),
        cmocka_unit_test(ids_as_texts_and_gids_are_read_alike_and_what_is_none_is_left_out),
        cmocka_unit_test(a_guest_is_known_by_the_address_alone),
        cmocka_unit_test(a_request_that_names_nobody_is_refused_with_the_reason),
        cmocka_unit_test(other_topics_ask_for_nothing),
        cmocka_unit_test(an_older_host_is_not_asked),
    };

    return cmocka_run_group_tests(tests, shopify_setup, shopify_teardown);
}
