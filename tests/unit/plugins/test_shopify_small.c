/*
 * test_shopify_small.c - metafields in batches, what follows a draft order, and documents of the
 * operator's own.
 */
#include "shopify_deeds.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- metafields.set ------------------------------------------------------------------------ */

#define FIELD(id, key) \
    "{\"id\":\"gid://shopify/Metafield/" id "\",\"key\":\"" key "\",\"namespace\":\"x\"}"
#define WRITTEN(list) DATA("\"metafieldsSet\":{\"metafields\":[" list "],\"userErrors\":[]}")
#define FIELD_ERROR(code, index, text)                                                     \
    "{\"code\":\"" code "\",\"elementIndex\":" index ",\"field\":[\"metafields\",\"" index \
    "\",\"value\"],\"message\":\"" text "\"}"
#define NOT_WRITTEN(errors) \
    DATA("\"metafieldsSet\":{\"metafields\":null,\"userErrors\":[" errors "]}")
#define ONE(order, key, value)                                                      \
    "{\"order_id\":" order ",\"metafields\":[{\"namespace\":\"erp\",\"key\":\"" key \
    "\",\"value\":" value "}]}"

static struct fake_outcome *deliver_many(struct deed_rig *x, const char *const *bodies, size_t n)
{
    sl_record *records = calloc(n, sizeof(*records));

    for (size_t i = 0; i < n; i++)
        records[i] = (sl_record){ .size = sizeof(sl_record),
                                  .key = fake_str("k"),
                                  .request = fake_str(bodies[i]) };
    x->batch = (sl_batch){ .size = sizeof(sl_batch), .records = records, .n_records = n };
    if (x->done.host)
        fake_done_finish(&x->done);
    fake_done_init(&x->done, x->host, n);
    x->plugin->deliver(x->self, x->handle, &x->batch, &x->done.done);
    fake_host_run(x->host);
    CHECK(x->done.finished);
    free(records);
    return x->done.outcomes;
}

static void metafields_of_several_deliveries_go_in_one_call(void **state)
{
    struct deed_rig *x = *state;
    static const char *const bodies[] = {
        "{\"order_id\":1,\"metafields\":[{\"key\":\"po\",\"type\":\"number_integer\",\"value\":77},"
        "{\"key\":\"parts\",\"type\":\"json\",\"value\":{\"a\":[1,true]},\"must_be_new\":true}]}",
        "{\"id\":\"gid://shopify/Company/3\",\"metafields\":[{\"namespace\":\"erp\",\"key\":\"nr\","
        "\"value\":\"0042\",\"compare_digest\":\"d1\"}]}",
        "{\"order_id\":1,\"metafields\":[{\"key\":\"price\",\"value\":19.9}]}",
    };

    deed_take_action(x, "metafields.set", NULL);
    deed_expect(x, WRITTEN(FIELD("1", "po") "," FIELD("2", "parts") "," FIELD("3", "nr")));
    const struct fake_outcome *o = deliver_many(x, bodies, 3);

    CHECK_EQ(fake_host_requests(x->host), 1);
    CHECK_EQ(o[0].kind, SL_DELIVERED);
    CHECK_STR(o[0].reference, "gid://shopify/Metafield/1");
    CHECK_STR(o[1].reference, "gid://shopify/Metafield/3");
    CHECK_EQ(o[2].kind, SL_REJECTED);
    CHECK_STR(o[2].why, "metafields[0].value: a decimal is given as text, such as \"19.90\"");
    /* texts all of them, and null is a comparison where absent is none */
    CHECK_STR(
        deed_variables(x),
        "{\"metafields\":[{\"ownerId\":\"gid://shopify/Order/1\",\"key\":\"po\",\"type\":"
        "\"number_integer\",\"value\":\"77\"},{\"ownerId\":\"gid://shopify/Order/1\",\"key\":"
        "\"parts\",\"type\":\"json\",\"value\":\"{\\\"a\\\":[1,true]}\",\"compareDigest\":null},"
        "{\"ownerId\":\"gid://shopify/Company/3\",\"key\":\"nr\",\"namespace\":\"erp\","
        "\"value\":\"0042\",\"compareDigest\":\"d1\"}]}}");
}

static void one_bad_metafield_does_not_hold_up_the_others(void **state)
{
    struct deed_rig *x = *state;
    static const char *const bodies[] = { ONE("1", "aa", "\"1\""), ONE("2", "bb", "\"x\""),
                                          ONE("3", "cc", "\"3\"") };

    deed_take_action(x, "metafields.set", NULL);
    deed_expect(x, NOT_WRITTEN(FIELD_ERROR("INVALID_VALUE", "1", "Value must be an integer.")));
    deed_expect(x, WRITTEN(FIELD("1", "aa") "," FIELD("3", "cc")));
    const struct fake_outcome *o = deliver_many(x, bodies, 3);

    CHECK_EQ(o[0].kind, SL_DELIVERED);
    CHECK_EQ(o[1].kind, SL_REJECTED);
    CHECK_STR(o[1].why, "metafields.0.value: Value must be an integer.");
    CHECK_STR(o[2].reference, "gid://shopify/Metafield/3");
    CHECK(!strstr(deed_variables(x), "\"bb\""));
}

static void errors_that_name_no_metafield_are_found_one_by_one(void **state)
{
    struct deed_rig *x = *state;
    static const char *const bodies[] = { ONE("1", "aa", "\"1\""), ONE("2", "bb", "\"2\"") };

    deed_take_action(x, "metafields.set", NULL);
    deed_expect(x, NOT_WRITTEN("{\"code\":\"INVALID\",\"field\":null,\"message\":\"no\"}"));
    deed_expect(x, WRITTEN(FIELD("1", "aa")));
    deed_expect(x, NOT_WRITTEN("{\"code\":\"INVALID\",\"field\":null,\"message\":\"no\"}"));
    const struct fake_outcome *o = deliver_many(x, bodies, 2);

    CHECK_EQ(o[0].kind, SL_DELIVERED);
    CHECK_EQ(o[1].kind, SL_REJECTED);
    CHECK_STR(o[1].why, "no");
}

#define STALE    \
    NOT_WRITTEN( \
        FIELD_ERROR("STALE_OBJECT", "0", "The resource has been updated since it was loaded."))
#define THERE(value)                                                        \
    DATA(                                                                   \
        "\"node\":{\"id\":\"gid://shopify/Order/1\",\"metafield\":{\"id\":" \
        "\"gid://shopify/Metafield/9\",\"value\":\"" value "\"}}")

static void what_is_stale_and_stands_there_as_wanted_was_done(void **state)
{
    struct deed_rig *x = *state;
    static const char *const bodies[] = {
        "{\"order_id\":1,\"metafields\":[{\"key\":\"po\",\"value\":\"77\",\"compare_digest\":\"d\"}]}"
    };
    const struct fake_outcome *o;

    deed_take_action(x, "metafields.set", NULL);
    deed_expect(x, STALE);
    deed_expect(x, THERE("77"));
    o = deliver_many(x, bodies, 1);
    CHECK_EQ(o->kind, SL_DELIVERED);
    CHECK_STR(o->reference, "gid://shopify/Metafield/9");
    deed_expect(x, STALE);
    deed_expect(x, THERE("78"));
    o = deliver_many(x, bodies, 1);
    CHECK_EQ(o->kind, SL_REJECTED);
    CHECK_STR(o->why,
              "metafields.0.value: The resource has been updated since it was loaded. - "
              "somebody has changed it since compare_digest was read: read it again");
}

static void a_call_has_25_metafields_and_none_of_them_twice(void **state)
{
    struct deed_rig *x = *state;
    static char bodies[26][128];
    const char *list[27];
    char answer[4096] = "{\"data\":{\"metafieldsSet\":{\"userErrors\":[],\"metafields\":[";

    for (size_t i = 0; i < 26; i++) {
        snprintf(bodies[i], sizeof(bodies[i]), ONE("1", "k%02zu", "\"v\""), i);
        list[i] = bodies[i];
        if (i < 25)
            snprintf(answer + strlen(answer), sizeof(answer) - strlen(answer),
                     "%s{\"id\":\"gid://shopify/Metafield/%zu\"}", i ? "," : "", i + 1);
    }
    list[26] = bodies[25]; /* the same as the one before it */
    strcat(answer, "]}}}");
    deed_take_action(x, "metafields.set", NULL);
    deed_expect(x, answer);
    deed_expect(x, WRITTEN(FIELD("26", "k25")));
    deed_expect_torn(x);
    const struct fake_outcome *o = deliver_many(x, list, 27);

    CHECK_STR(o[24].reference, "gid://shopify/Metafield/25");
    CHECK_STR(o[25].reference, "gid://shopify/Metafield/26");
    CHECK_EQ(o[26].kind, SL_UNKNOWN); /* and goes again: it does no harm */
    deed_expect(x, THROTTLED);
    CHECK_EQ(deliver_many(x, list, 2)[1].kind, SL_THROTTLED);
}

/* ---- what follows a draft order ------------------------------------------------------------ */

#define DRAFT "gid://shopify/DraftOrder/7"
#define TO_COMPLETE(status, order, terms)                                                  \
    DATA("\"draftOrder\":{\"id\":\"" DRAFT "\",\"status\":\"" status "\",\"order\":" order \
         ",\"paymentTerms\":" terms "}")
#define NEW_ORDER "{\"id\":\"gid://shopify/Order/1\",\"name\":\"#1\"}"
#define TERMS     "{\"id\":\"gid://shopify/PaymentTerms/2\"}"

static void a_draft_order_is_changed_in_what_the_body_names(void **state)
{
    struct deed_rig *x = *state;

    deed_take_action(x, "draft_order.update", NULL);
    deed_expect(
        x, DATA("\"draftOrderUpdate\":{\"draftOrder\":{\"id\":\"" DRAFT "\"},\"userErrors\":[]}"));
    CHECK_EQ(deed_run(x,
                      "{\"draft_order_id\":7,\"po_number\":\"P\",\"currency\":\"EUR\",\"lines\":["
                      "{\"variant_id\":11,\"quantity\":2,\"price\":\"9.90\"},{\"title\":\"Setup\","
                      "\"quantity\":1,\"price\":\"150\"}],\"company\":{\"company_id\":1,"
                      "\"contact_id\":2,\"location_id\":3},\"payment_terms_template_id\":4,"
                      "\"due_at\":\"2026-12-01T00:00:00Z\"}")
                 ->kind,
             SL_DELIVERED);
    CHECK_STR(
        deed_variables(x),
        "{\"id\":\"" DRAFT
        "\",\"input\":{\"poNumber\":\"P\",\"presentmentCurrencyCode\":\"EUR\","
        "\"lineItems\":[{\"quantity\":2,\"variantId\":\"gid://shopify/ProductVariant/11\","
        "\"priceOverride\":{\"amount\":\"9.90\",\"currencyCode\":\"EUR\"}},{\"quantity\":1,"
        "\"title\":\"Setup\",\"originalUnitPriceWithCurrency\":{\"amount\":\"150\","
        "\"currencyCode\":\"EUR\"}}],\"purchasingEntity\":{\"purchasingCompany\":{\"companyId\":"
        "\"gid://shopify/Company/1\",\"companyContactId\":\"gid://shopify/CompanyContact/2\","
        "\"companyLocationId\":\"gid://shopify/CompanyLocation/3\"}},\"paymentTerms\":{"
        "\"paymentTermsTemplateId\":\"gid://shopify/PaymentTermsTemplate/4\","
        "\"paymentSchedules\":[{\"dueAt\":\"2026-12-01T00:00:00.000Z\"}]}}}}");
    CHECK_STR(deed_run(x, "{\"draft_order_id\":7}")->why, "it says nothing that is to be changed");
    CHECK_STR(deed_run(x,
                       "{\"draft_order_id\":7,\"lines\":[{\"variant_id\":1,\"quantity\":1,"
                       "\"price\":\"1\"}]}")
                  ->why,
              "currency: lines[0].price needs it, such as EUR");
}

static void an_invoice_is_mailed_once(void **state)
{
    static const char body[] =
        "{\"draft_order_id\":7,\"to\":\"b@example.com\",\"message\":\"please\"}";
    struct deed_rig *x = *state;

    deed_take_action(x, "draft_order.invoice", NULL);
    deed_expect_torn(x);
    CHECK_EQ(deed_run(x, body)->kind, SL_UNKNOWN);
    CHECK_STR(deed_variables(x), "{\"id\":\"" DRAFT
                                 "\",\"email\":{\"to\":\"b@example.com\","
                                 "\"customMessage\":\"please\"}}}");
    deed_expect(x, DATA("\"draftOrder\":{\"id\":\"" DRAFT "\",\"status\":\"INVOICE_SENT\","
                        "\"invoiceSentAt\":\"2026-11-20T09:15:40Z\"}"));
    CHECK_EQ(deed_asked(x, body, 5000)->verdict, SL_CONFIRM_YES);
    /* one of last week is another one */
    deed_expect(x, DATA("\"draftOrder\":{\"id\":\"" DRAFT "\",\"status\":\"INVOICE_SENT\","
                        "\"invoiceSentAt\":\"2026-11-13T09:15:40Z\"}"));
    CHECK_EQ(deed_asked(x, body, 60000)->verdict, SL_CONFIRM_NO);
    x->first_ms = 0;
    deed_expect(x, DATA("\"draftOrderInvoiceSend\":{\"draftOrder\":null,\"userErrors\":[{\"field\":"
                        "null,\"message\":\"To can't be blank\"}]}"));
    CHECK_STR(deed_run(x, "{\"draft_order_id\":7}")->why,
              "To can't be blank - to: neither the body nor the draft order has one");
}

static void a_draft_order_becomes_an_order_as_it_was_said(void **state)
{
    struct deed_rig *x = *state;
    const struct fake_outcome *o;

    deed_take_action(x, "draft_order.complete", NULL);
    deed_expect(x, TO_COMPLETE("OPEN", "null", TERMS));
    deed_expect(x, DATA("\"draftOrderComplete\":{\"draftOrder\":{\"id\":\"" DRAFT
                        "\",\"status\":\"COMPLETED\",\"order\":" NEW_ORDER "},\"userErrors\":[]}"));
    o = deed_run(x, "{\"draft_order_id\":7,\"as\":\"pending\"}");
    CHECK_EQ(o->kind, SL_DELIVERED);
    CHECK_STR(o->reference, "gid://shopify/Order/1");
    CHECK_EQ(o->n_links, 2);
    /* without terms the shop would take it as paid, and with them as owed */
    deed_expect(x, TO_COMPLETE("OPEN", "null", "null"));
    o = deed_run(x, "{\"draft_order_id\":7,\"as\":\"pending\"}");
    CHECK_EQ(o->kind, SL_REJECTED);
    CHECK_STR(o->why,
              "as: the draft order has no payment terms: its order would count as paid; set "
              "terms by draft_order.update first, or say paid");
    deed_expect(x, TO_COMPLETE("OPEN", "null", TERMS));
    CHECK_EQ(deed_run(x, "{\"draft_order_id\":7,\"as\":\"paid\"}")->kind, SL_REJECTED);
    CHECK_STR(deed_run(x, "{\"draft_order_id\":7}")->why, "as: it is not given: pending or paid");
}

static void a_completed_draft_order_is_done(void **state)
{
    static const char body[] = "{\"draft_order_id\":7,\"as\":\"paid\"}";
    struct deed_rig *x = *state;

    deed_take_action(x, "draft_order.complete", NULL);
    deed_expect(x, TO_COMPLETE("COMPLETED", NEW_ORDER, "null"));
    CHECK_STR(deed_run(x, body)->reference, "gid://shopify/Order/1");
    /* between the look and the call */
    deed_expect(x, TO_COMPLETE("OPEN", "null", "null"));
    deed_expect(x,
                DATA("\"draftOrderComplete\":{\"draftOrder\":null,\"userErrors\":[{\"field\":null,"
                     "\"message\":\"This order has been paid\"}]}"));
    deed_expect(x, TO_COMPLETE("COMPLETED", NEW_ORDER, "null"));
    const struct fake_outcome *o = deed_run(x, body);
    CHECK_EQ(o->kind, SL_DELIVERED);
    CHECK_STR(o->reference, "gid://shopify/Order/1");
    deed_expect(x, TO_COMPLETE("COMPLETED", NEW_ORDER, "null"));
    CHECK_EQ(deed_asked(x, body, 1000)->verdict, SL_CONFIRM_YES);
}

/* ---- graphql ------------------------------------------------------------------------------- */

#define CLOSE                                                                       \
    "mutation Close($id: ID!) { orderClose(input: {id: $id}) { order { id closed }" \
    " userErrors { field message } } }"

/* What a route with these parameters is told; "" if it may. */
static const char *refused(struct deed_rig *x, const char *document, const char *repeatable)
{
    static sl_fail fail;
    struct fake_setting params[4] = { { "document", document } };
    sl_bind_in in = { .size = sizeof(in), .values = &fake_values_api };
    void *handle = NULL;
    sl_values *values;
    size_t n = 1;

    if (repeatable)
        params[n++] = (struct fake_setting){ "repeatable", repeatable };
    while (strcmp(x->plugin->actions[in.action].name, "graphql") != 0)
        in.action++;
    in.params = values = fake_values_create(x->plugin->actions[in.action].params, params);
    fail = (sl_fail){ .size = sizeof(fail) };
    if (x->plugin->bind(&in, &handle, &fail) == SL_OK)
        x->plugin->unbind(handle);
    fake_values_destroy(values);
    return fail.text;
}

static void a_document_is_checked_before_it_is_sent(void **state)
{
    struct deed_rig *x = *state;
    static const struct {
        const char *document, *repeatable, *why;
    } rows[] = {
        { CLOSE, "false", "" },
        { "{ shop { name } }", NULL, "" },
        { CLOSE, NULL, "repeatable: what is to follow a lost answer must be said" },
        { "mutation { a { userErrors { message } } } mutation { b { id } }", "true",
          "document: line 1: it has several operations" },
        { "mutation { a { userErrors { message } } b { id } }", "true",
          "document: line 1: a mutation wants one field" },
        { "mutation M {\n a {\n id } }", "true",
          "document: line 3: a { ... } wants userErrors { field message } in it" },
        { "mutation M($a: ID!, $b: [Int!]!) { c(id: $a) { userErrors { field } } }", "true",
          "document: line 1: $b is declared and not used" },
        { "query Q($a: ID!) { node(id: $x) { id } }", NULL,
          "document: line 1: $x is used and not declared" },
        { "query Q($a: ID!, $a: ID) { node(id: $a) { id } }", NULL,
          "document: line 1: $a is declared twice" },
        { "subscription { a }", NULL, "document: line 1: the Admin API has no subscriptions" },
        { "query { shop { name }", NULL, "document: line 1: it ends where a name is wanted" },
        { "query { shop { } }", NULL, "document: line 1: a selection is empty" },
        { "query { shop(a: \"x\ny\") { id } }", NULL, "document: line 1: \"\"x\" stands" },
        { "fragment F on Shop { id }", NULL, "document: line 1: it has no operation" },
        { "", NULL, "document: line 1: it has no operation" },
        { "mutation M($k: String!) { r @idempotent(key: $k) { userErrors { field } } }", NULL, "" },
        { "mutation { r @idempotent(key: \"k\") { userErrors { field } } }", "true",
          "document: line 1: @idempotent wants (key: $key), a variable" },
        { "# c\nquery Q($a: [ID!]! = [\"\"\"b \\\"\"\" \"\"\"] @d(x: -1.5e3)) { x: nodes(ids: $a, "
          "o: {a: [E, true]}) { ... on Order @include(if: true) { id } ...F } } "
          "fragment F on Node { id }",
          NULL, "" },
    };

    for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
        const char *why = refused(x, rows[i].document, rows[i].repeatable);

        CHECK(strncmp(why, rows[i].why, strlen(rows[i].why)) == 0 && (*rows[i].why || !*why));
    }
}

static void a_document_of_ones_own_is_asked_with_the_bodys_variables(void **state)
{
    struct deed_rig *x = *state;
    static const struct fake_setting params[] = { { "document", CLOSE },
                                                  { "repeatable", "false" },
                                                  { "done_when", "[\"already closed\"]" },
                                                  { "reference", "/order/id" },
                                                  { "emit", "shop/closed" },
                                                  { 0 } };
    const struct fake_outcome *o;

    deed_take_action(x, "graphql", params);
    deed_expect(x,
                DATA("\"orderClose\":{\"order\":{\"id\":\"gid://shopify/Order/1\",\"closed\":true},"
                     "\"userErrors\":[]}"));
    o = deed_run(x, "{\"id\":\"gid://shopify/Order/1\"}");
    CHECK_EQ(o->kind, SL_DELIVERED);
    CHECK_STR(o->reference, "gid://shopify/Order/1");
    CHECK_STR(o->emit_topic[0], "shop/closed");
    CHECK_STR(o->emit_body[0],
              "{\"order\":{\"id\":\"gid://shopify/Order/1\",\"closed\":true},"
              "\"userErrors\":[]}");
    CHECK_STR(deed_variables(x), "{\"id\":\"gid://shopify/Order/1\"}}");
    deed_expect(x, DATA("\"orderClose\":{\"order\":null,\"userErrors\":[{\"field\":[\"id\"],"
                        "\"message\":\"Order is already closed\"}]}"));
    CHECK_EQ(deed_run(x, "{\"id\":\"gid://shopify/Order/1\"}")->kind, SL_DELIVERED);
    deed_expect(x,
                DATA("\"orderClose\":{\"order\":null,\"userErrors\":[{\"field\":[\"input\",\"id\"],"
                     "\"message\":\"Order is frozen\"}]}"));
    CHECK_STR(deed_run(x, "{\"id\":\"gid://shopify/Order/1\"}")->why, "id: Order is frozen");
    CHECK_STR(deed_run(x, "{}")->why, "id: it is not given, and the document wants it");
    CHECK_STR(deed_run(x, "{\"id\":\"1\",\"note\":\"n\"}")->why,
              "note: the document declares no $note");
    deed_expect_torn(x);
    CHECK_EQ(deed_run(x, "{\"id\":\"1\"}")->kind, SL_UNKNOWN);
    CHECK_EQ(deed_asked(x, "{\"id\":\"1\"}", 10)->verdict, SL_CONFIRM_UNSURE);
}

static void what_may_be_repeated_or_has_a_key_goes_again(void **state)
{
    struct deed_rig *x = *state;
    static const struct fake_setting repeatable[] = { { "document", CLOSE },
                                                      { "repeatable", "true" },
                                                      { 0 } };
    static const struct fake_setting keyed[] = {
        { "document",
          "mutation M($k: String!) { r @idempotent(key: $k) { userErrors { field } } }" },
        { 0 }
    };

    deed_take_action(x, "graphql", repeatable);
    CHECK_EQ(deed_asked(x, "{\"id\":\"1\"}", 10)->verdict, SL_CONFIRM_AGAIN);
    x->first_ms = 0;
    deed_take_action(x, "graphql", keyed);
    deed_expect(x, DATA("\"r\":{\"userErrors\":[]}"));
    CHECK_EQ(deed_run(x, "{}")->kind, SL_DELIVERED);
    CHECK(strncmp(deed_variables(x), "{\"k\":\"", 6) == 0);
    CHECK_EQ(strlen(deed_variables(x)), 6 + 36 + 3);
    CHECK_STR(deed_run(x, "{\"k\":\"mine\"}")->why,
              "k: the delivery's own key fills it: leave it out");
    CHECK_EQ(deed_asked(x, "{}", 3600000)->verdict, SL_CONFIRM_AGAIN);
    /* the shop has forgotten the key, and there is nothing to look at */
    CHECK_EQ(deed_asked(x, "{}", 25 * 3600000)->verdict, SL_CONFIRM_UNSURE);
}

static void a_query_emits_what_it_was_told(void **state)
{
    struct deed_rig *x = *state;
    static const struct fake_setting params[] = {
        { "document", "query Q($id: ID!) { order(id: $id) { name } }" },
        { "emit", "shop/order" },
        { 0 }
    };

    deed_take_action(x, "graphql", params);
    deed_expect(x, DATA("\"order\":{\"name\":\"#1001\"}"));
    CHECK_STR(deed_run(x, "{\"id\":\"gid://shopify/Order/1\"}")->emit_body[0],
              "{\"order\":{\"name\":\"#1001\"}}");
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, deeds_setup, deeds_teardown)
    const struct CMUnitTest tests[] = {
        TEST(metafields_of_several_deliveries_go_in_one_call),
        TEST(one_bad_metafield_does_not_hold_up_the_others),
        TEST(errors_that_name_no_metafield_are_found_one_by_one),
        TEST(what_is_stale_and_stands_there_as_wanted_was_done),
        TEST(a_call_has_25_metafields_and_none_of_them_twice),
        TEST(a_draft_order_is_changed_in_what_the_body_names),
        TEST(an_invoice_is_mailed_once),
        TEST(a_draft_order_becomes_an_order_as_it_was_said),
        TEST(a_completed_draft_order_is_done),
        TEST(a_document_is_checked_before_it_is_sent),
        TEST(a_document_of_ones_own_is_asked_with_the_bodys_variables),
        TEST(what_may_be_repeated_or_has_a_key_goes_again),
        TEST(a_query_emits_what_it_was_told),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
