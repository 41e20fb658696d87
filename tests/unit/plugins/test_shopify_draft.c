/*
 * test_shopify_draft.c - draft_order.create: a quote's lines become a draft order, once, whatever
 * answer is lost; what the shop refuses is told with the field's name.
 */
#include "fake_host.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define URL   "https://acme.myshopify.com/admin/api/2026-10/graphql.json"
#define TOKEN "X-Shopify-Access-Token: shpat_secret"
#define KEY   "k3y-_A"
#define GID   "gid://shopify/DraftOrder/7"
#define PAY   "https://acme.myshopify.com/1/invoices/abc"

#define COST(rest) "\"extensions\":{\"cost\":{\"requestedQueryCost\":10" rest "}}"
#define OK_COST                                                                    \
    COST(                                                                          \
        ",\"actualQueryCost\":10,\"throttleStatus\":{\"maximumAvailable\":2000.0," \
        "\"currentlyAvailable\":1990,\"restoreRate\":100.0}")
#define DATA(data) "{\"data\":{" data "}," OK_COST "}"
#define DRAFT(ready, url)                                                          \
    "{\"id\":\"" GID "\",\"name\":\"#D7\",\"invoiceUrl\":" url ",\"ready\":" ready \
    ",\"tags\":[\"b2b\",\"sluice-" KEY                                             \
    "\"],\"totalPriceSet\":{\"presentmentMoney\":"                                 \
    "{\"amount\":\"59.70\",\"currencyCode\":\"EUR\"}}}"
#define CREATED(ready, url) \
    DATA("\"draftOrderCreate\":{\"draftOrder\":" DRAFT(ready, url) ",\"userErrors\":[]}")
#define VARIANTS(nodes)                           \
    DATA("\"productVariants\":{\"nodes\":[" nodes \
         "],\"pageInfo\":{\"hasNextPage\":false,\"endCursor\":null}}")
#define A_1 "{\"id\":\"gid://shopify/ProductVariant/11\",\"sku\":\"A-1\"}"

#define READY                                                        \
    "{\"status\":\"ready\",\"quote\":\"0Q0\",\"draft_order\":\"" GID \
    "\",\"name\":\"#D7\","                                           \
    "\"checkout_url\":\"" PAY "\",\"total\":\"59.70\",\"currency\":\"EUR\"}"
#define BY_VARIANT "{\"quote\":\"0Q0\",\"lines\":[{\"variant_id\":\"11\",\"quantity\":2.0}]}"

static const struct fake_setting settings[] = {
    { "shop", "acme.myshopify.com" }, { "webhook_secret", "sandbox-app-secret-current" },
    { "admin.version", "2026-10" },   { "admin.token", "shpat_secret" },
    { "admin.settle", "60s" },        { 0 },
};
static const struct fake_setting none[] = { { 0 } };

struct rig {
    const sl_plugin *plugin;
    struct fake_host *host;
    void *self, *handle;
    sl_values *params;
    sl_record record;
    sl_batch batch;
    uint32_t priority;
    struct fake_done done;
};

static int setup(void **state)
{
    struct rig *x = calloc(1, sizeof(*x));
    sl_bind_in in = { .size = sizeof(in), .values = &fake_values_api };
    sl_fail fail = { .size = sizeof(fail) };

    x->plugin = sl_plugin_v0();
    in.params = x->params = fake_values_create(x->plugin->actions[0].params, none);
    CHECK_EQ(x->plugin->bind(&in, &x->handle, &fail), SL_OK);
    x->host = fake_host_create("acme", x->plugin->settings, settings);
    x->self = fake_host_open(x->host, x->plugin);
    *state = x;
    return 0;
}

static int teardown(void **state)
{
    struct rig *x = *state;

    fake_host_close(x->host, x->plugin, x->self);
    x->plugin->unbind(x->handle);
    fake_values_destroy(x->params);
    fake_host_destroy(x->host);
    if (x->done.host)
        fake_done_finish(&x->done);
    free(x);
    return 0;
}

static const struct fake_outcome *deliver(struct rig *x, const char *body)
{
    x->record = (sl_record){ .size = sizeof(sl_record),
                             .attempt = 1,
                             .delivery = fake_str("1.0"),
                             .key = fake_str(KEY),
                             .body = fake_str(body),
                             .request = fake_str(body) };
    x->batch = (sl_batch){
        .size = sizeof(sl_batch), .records = &x->record, .n_records = 1, .priority = x->priority
    };
    if (x->done.host)
        fake_done_finish(&x->done);
    fake_done_init(&x->done, x->host, 1);
    x->plugin->deliver(x->self, x->handle, &x->batch, &x->done.done);
    fake_host_run(x->host);
    CHECK(x->done.finished);
    return &x->done.outcomes[0];
}

static void expect(struct rig *x, const char *answer)
{
    FAKE_EXPECT(x->host, .method = "POST", .url = URL, .headers = TOKEN, .status = 200,
                .answer = answer);
}

/* ---- tests --------------------------------------------------------------------------------- */

static void a_quote_becomes_a_draft_order_with_its_link(void **state)
{
    struct rig *x = *state;

    expect(x, VARIANTS(A_1 ",{\"id\":\"gid://shopify/ProductVariant/12\",\"sku\":\"A-10\"}"));
    expect(x, CREATED("true", "\"" PAY "\""));
    const struct fake_outcome *o = deliver(
        x,
        "{\"quote\":\"0Q0\",\"email\":\"b@example.com\",\"note\":\"n\",\"currency\":"
        "\"EUR\",\"tags\":[\"b2b\"],\"lines\":["
        "{\"sku\":\"A-1\",\"quantity\":2,\"price\":\"19.90\"},"
        "{\"sku\":\"X\",\"title\":\"Setup\",\"quantity\":1,\"price\":\"10\"}]}");
    sl_str sent = fake_host_last_body(x->host);
    char *text = strndup(sent.ptr, sent.len);

    CHECK_EQ(o->kind, SL_DELIVERED);
    CHECK_STR(o->reference, GID);
    CHECK_STR(o->link_kind[0], "draft_order");
    CHECK_STR(o->link_id[0], GID);
    CHECK_EQ(o->n_emits, 1);
    CHECK_STR(o->emit_topic[0], "quote/ready");
    CHECK_STR(o->emit_body[0], READY);
    CHECK_STR(strstr(text, "\"variables\""),
              "\"variables\":{\"input\":{\"presentmentCurrencyCode\":\"EUR\",\"email\":"
              "\"b@example.com\",\"note\":\"n\",\"tags\":[\"sluice-" KEY
              "\",\"b2b\"],"
              "\"lineItems\":[{\"quantity\":2,\"priceOverride\":{\"amount\":\"19.90\","
              "\"currencyCode\":\"EUR\"},\"variantId\":\"gid://shopify/ProductVariant/11\"},"
              "{\"quantity\":1,\"title\":\"Setup\",\"sku\":\"X\",\"originalUnitPriceWithCurrency\":"
              "{\"amount\":\"10\",\"currencyCode\":\"EUR\"}}]}}}");
    free(text);
    CHECK_EQ(fake_host_budget(x->host)->kind, SL_BUDGET_POINTS);
    CHECK_EQ(fake_host_budget(x->host)->remaining, 1990);
    CHECK_EQ(fake_host_budget(x->host)->restore_milli, 100000);
}

static void skus_are_asked_for_a_page_at_a_time_and_quoted(void **state)
{
    struct rig *x = *state;
    char body[8000];
    size_t n = (size_t)sprintf(body, "{\"lines\":[{\"sku\":\"a\\\"b\\\\c\",\"quantity\":1}");
    char nodes[2][4000] = { "", "" };

    for (int i = 1; i < 30; i++) {
        n += (size_t)sprintf(body + n, ",{\"sku\":\"S-%d\",\"quantity\":1}", i);
        sprintf(strchr(nodes[i >= 25], 0),
                "%s{\"id\":\"gid://shopify/ProductVariant/%d\",\"sku\":"
                "\"S-%d\"}",
                nodes[i >= 25][0] ? "," : "", i, i);
    }
    strcat(body, "]}");
    char first[5000], second[5000];
    snprintf(first, sizeof(first),
             DATA("\"productVariants\":{\"nodes\":[%s],\"pageInfo\":{\"hasNextPage\":true,"
                  "\"endCursor\":\"c1\"}}"),
             nodes[0]);
    snprintf(second, sizeof(second), VARIANTS("%s"), nodes[1]);
    expect(x, first);
    expect(x, VARIANTS("{\"id\":\"gid://shopify/ProductVariant/99\",\"sku\":\"a\\\"b\\\\c\"}"));
    expect(x, second);
    expect(x, CREATED("true", "\"" PAY "\""));
    CHECK_EQ(deliver(x, body)->kind, SL_DELIVERED);
    CHECK_EQ(fake_host_requests(x->host), 4);
}

static void a_sku_that_is_not_there_or_not_the_only_one_is_refused_by_its_line(void **state)
{
    struct rig *x = *state;
    const char *body =
        "{\"quote\":\"0Q0\",\"lines\":[{\"sku\":\"A-1\",\"quantity\":1},"
        "{\"sku\":\"B\",\"quantity\":1},{\"sku\":\"C\",\"quantity\":1}]}";

    expect(x, VARIANTS(A_1));
    const struct fake_outcome *o = deliver(x, body);
    CHECK_EQ(o->kind, SL_REJECTED);
    CHECK_STR(o->why,
              "lines[1].sku: no variant of the shop has the SKU \"B\", and 1 more lines "
              "like it");
    CHECK_STR(o->emit_topic[0], "quote/failed");
    CHECK_STR(o->emit_body[0],
              "{\"status\":\"failed\",\"quote\":\"0Q0\",\"why\":\"lines[1].sku: no variant of the "
              "shop has the SKU \\\"B\\\", and 1 more lines like it\"}");
    expect(x, VARIANTS(A_1 "," A_1 ",{\"id\":\"gid://shopify/ProductVariant/2\",\"sku\":\"B\"},"
                           "{\"id\":\"gid://shopify/ProductVariant/3\",\"sku\":\"B\"},"
                           "{\"id\":\"gid://shopify/ProductVariant/4\",\"sku\":\"C\"}"));
    o = deliver(x, body);
    CHECK_STR(o->why, "lines[1].sku: several variants of the shop have the SKU \"B\"");
}

static void user_errors_are_told_with_their_fields(void **state)
{
    struct rig *x = *state;

    expect(x, DATA("\"draftOrderCreate\":{\"draftOrder\":null,\"userErrors\":["
                   "{\"field\":[\"input\",\"lineItems\",\"0\",\"quantity\"],\"message\":\"Too "
                   "much\"},{\"field\":null,\"message\":\"Not today\"}]}"));
    const struct fake_outcome *o = deliver(x, BY_VARIANT);
    CHECK_EQ(o->kind, SL_REJECTED);
    CHECK_STR(o->why, "lineItems.0.quantity: Too much; Not today");
    CHECK_EQ(o->n_emits, 1);
}

static void a_link_that_is_not_there_yet_is_asked_for(void **state)
{
    struct rig *x = *state;

    expect(x, CREATED("false", "null"));
    expect(x, DATA("\"draftOrder\":" DRAFT("false", "\"" PAY "\"")));
    expect(x, DATA("\"draftOrder\":" DRAFT("true", "\"" PAY "\"")));
    const struct fake_outcome *o = deliver(x, BY_VARIANT);
    CHECK_EQ(o->kind, SL_DELIVERED);
    CHECK_STR(o->emit_body[0], READY);
    /* and if it does not come, the draft order is there all the same: nothing is sent again */
    expect(x, CREATED("false", "null"));
    for (int i = 0; i < 20; i++)
        expect(x, DATA("\"draftOrder\":" DRAFT("false", "null")));
    CHECK_EQ(deliver(x, BY_VARIANT)->kind, SL_UNKNOWN);
}

static uint32_t kind_of(struct rig *x, uint32_t status, const char *answer)
{
    FAKE_EXPECT(x->host, .method = "POST", .status = status, .answer = answer);
    return deliver(x, BY_VARIANT)->kind;
}

static void a_200_may_be_a_refusal_for_pace(void **state)
{
    struct rig *x = *state;

    expect(
        x,
        "{\"errors\":[{\"message\":\"Throttled\",\"extensions\":{\"code\":\"THROTTLED\"}}]," COST(
            ",\"actualQueryCost\":null,\"throttleStatus\":{\"maximumAvailable\":2000.0,"
            "\"currentlyAvailable\":2,\"restoreRate\":2.0}") "}");
    const struct fake_outcome *o = deliver(x, BY_VARIANT);
    CHECK_EQ(o->kind, SL_THROTTLED);
    CHECK_EQ(o->after_ms, 4000); /* (10 - 2) / 2 per second */
    FAKE_EXPECT(x->host, .status = 429, .retry_after_ms = 2000);
    o = deliver(x, BY_VARIANT);
    CHECK_EQ(o->kind, SL_THROTTLED);
    CHECK_EQ(o->after_ms, 2000);
}

static void what_has_no_whole_answer_is_unknown_and_what_was_not_executed_is_not(void **state)
{
    struct rig *x = *state;

    CHECK_EQ(kind_of(x, 500, "oops"), SL_UNKNOWN);
    CHECK_EQ(kind_of(x, 503, ""), SL_UNKNOWN);
    CHECK_EQ(kind_of(x, 200, "<html>"), SL_UNKNOWN);
    CHECK_EQ(kind_of(x, 200, "{\"data\":{\"draftOrderCreate\":null}}"), SL_UNKNOWN);
    CHECK_EQ(kind_of(x, 200,
                     "{\"errors\":[{\"message\":\"x\",\"extensions\":{\"code\":"
                     "\"INTERNAL_SERVER_ERROR\"}}]}"),
             SL_UNKNOWN);
    CHECK_EQ(kind_of(x, 200, "{\"errors\":[{\"message\":\"Field 'x' doesn't exist\"}]}"),
             SL_REJECTED);
    CHECK_EQ(kind_of(x, 400, ""), SL_REJECTED);
    FAKE_EXPECT(x->host, .error = SL_E_NETWORK, .sent = 1);
    CHECK_EQ(deliver(x, BY_VARIANT)->kind, SL_UNKNOWN);
    FAKE_EXPECT(x->host, .error = SL_E_NETWORK);
    CHECK_EQ(deliver(x, BY_VARIANT)->kind, SL_RETRY);
    CHECK_EQ(x->done.outcomes[0].not_sent, 1);
    /* before the creation nothing can have been done */
    FAKE_EXPECT(x->host, .error = SL_E_NETWORK, .sent = 1);
    CHECK_EQ(deliver(x, "{\"lines\":[{\"sku\":\"A-1\",\"quantity\":1}]}")->kind, SL_RETRY);
    CHECK_EQ(x->done.outcomes[0].not_sent, 1);
}

static void a_token_that_is_refused_parks_the_shop(void **state)
{
    struct rig *x = *state;

    FAKE_EXPECT(x->host, .status = 401);
    deliver(x, BY_VARIANT);
    CHECK(x->done.parked && !x->done.outcomes[0].told);
    FAKE_EXPECT(x->host, .status = 200,
                .answer =
                    "{\"errors\":[{\"message\":\"Access denied for draftOrderCreate\","
                    "\"extensions\":{\"code\":\"ACCESS_DENIED\"}}],\"data\":"
                    "{\"draftOrderCreate\":null}}");
    deliver(x, BY_VARIANT);
    CHECK(x->done.parked);
    CHECK_HAS(x->done.park_why, "lacks a scope");
}

static void a_body_that_is_no_quote_is_refused_by_its_member(void **state)
{
    static const char *const wrong[][2] = {
        { "[]", "the body: it wants a JSON object" },
        { "{", "the body: it is no JSON" },
        { "{}", "lines: it is not given" },
        { "{\"lines\":[]}", "lines: it wants a list" },
        { "{\"lines\":[{\"sku\":\"A\"}]}", "lines[0].quantity" },
        { "{\"lines\":[{\"sku\":\"A\",\"quantity\":1.5}]}", "lines[0].quantity" },
        { "{\"lines\":[{\"quantity\":1}]}", "lines[0]: it wants one of variant_id|sku|title" },
        { "{\"lines\":[{\"variant_id\":\"x\",\"quantity\":1}]}", "lines[0].variant_id" },
        { "{\"lines\":[{\"sku\":\"A\",\"quantity\":1,\"price\":19.9}]}", "lines[0].price" },
        { "{\"lines\":[{\"sku\":\"A\",\"quantity\":1,\"price\":\"1\"}]}",
          "lines[0].price: it needs the body's currency" },
        { "{\"lines\":[{\"title\":\"A\",\"quantity\":1}]}", "lines[0].price: a line by its title" },
        { "{\"currency\":\"euro\",\"lines\":[]}", "currency: it wants 3 to 3 characters" },
        { "{\"currency\":\"eur\",\"lines\":[{\"sku\":\"A\",\"quantity\":1}]}",
          "currency: it wants three letters" },
        { "{\"quote\":7,\"lines\":[]}", "quote: it wants a text" },
        { "{\"lines\":[{\"sku\":\"A\",\"qty\":1}]}", "lines[0]: there is no \"qty\" in it" },
        { "{\"tags\":[\"\"],\"lines\":[]}", "tags[0]" },
        { "{\"email\":7,\"lines\":[]}", "email: it wants a text" },
    };
    struct rig *x = *state;

    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        const struct fake_outcome *o = deliver(x, wrong[i][0]);
        CHECK_EQ(o->kind, SL_REJECTED);
        CHECK_HAS(o->why, wrong[i][1]);
        CHECK_EQ(o->n_emits, 1);
    }
}

static void what_is_asked_is_as_urgent_as_its_delivery(void **state)
{
    struct rig *x = *state;

    x->priority = SL_PRIORITY_CRITICAL;
    expect(x, VARIANTS(A_1));
    expect(x, CREATED("false", "null"));
    expect(x, DATA("\"draftOrder\":" DRAFT("true", "\"" PAY "\"")));
    CHECK_EQ(deliver(x, "{\"lines\":[{\"sku\":\"A-1\",\"quantity\":1}]}")->kind, SL_DELIVERED);
    CHECK_EQ(fake_host_priorities(x->host), 1u << SL_PRIORITY_CRITICAL);
}

/* What a table says of the body is told to whoever writes the map. */
static void on_schema(void *ctx, sl_str schema)
{
    CHECK(strstr(schema.ptr, "\"variant_id\"") && strstr(schema.ptr, "\"maxItems\":499"));
    ++*(int *)ctx;
}

static void the_body_has_a_schema(void **state)
{
    struct rig *x = *state;
    int told = 0;

    x->plugin->body_schema(0, on_schema, &told);
    CHECK_EQ(told, 1);
}

/* ---- confirm ------------------------------------------------------------------------------- */

static void ask(struct rig *x, int64_t sent_ago_ms, const char *answer, struct fake_confirmed *c)
{
    x->record = (sl_record){ .size = sizeof(sl_record),
                             .attempt = 1,
                             .key = fake_str(KEY),
                             .request = fake_str(BY_VARIANT),
                             .last_sent_ms = fake_host_wall_ms(x->host) - sent_ago_ms };
    *c = (struct fake_confirmed){ .host = x->host };
    if (answer)
        expect(x, answer);
    else
        FAKE_EXPECT(x->host, .status = 500);
    x->plugin->confirm(x->self, x->handle, &x->record, fake_on_confirmed, c);
    fake_host_run(x->host);
    CHECK_EQ(c->calls, 1);
}

static void what_was_not_answered_is_looked_for_by_its_tag(void **state)
{
    struct rig *x = *state;
    struct fake_confirmed c;

    ask(x, 1000, DATA("\"draftOrders\":{\"nodes\":[" DRAFT("true", "\"" PAY "\"") "]}"), &c);
    CHECK_EQ(c.verdict, SL_CONFIRM_YES);
    CHECK_STR(c.outcome.reference, GID);
    CHECK_STR(c.outcome.emit_body[0], READY);
    sl_str sent = fake_host_last_body(x->host);
    char *text = strndup(sent.ptr, sent.len);
    CHECK_HAS(text, "\"variables\":{\"query\":\"tag:\\\"sluice-" KEY "\\\"\"}");
    free(text);
    fake_confirmed_finish(&c);
    /* a search that ignores what it does not know finds others: theirs is no answer */
    ask(x, 1000, DATA("\"draftOrders\":{\"nodes\":[{\"id\":\"x\",\"tags\":[\"b2b\"]}]}"), &c);
    CHECK_EQ(c.verdict, SL_CONFIRM_EARLY);
    CHECK_EQ(c.outcome.after_ms, 59000);
    fake_confirmed_finish(&c);
    ask(x, 60000, DATA("\"draftOrders\":{\"nodes\":[]}"), &c);
    CHECK_EQ(c.verdict, SL_CONFIRM_NO);
    fake_confirmed_finish(&c);
    ask(x, 60000, DATA("\"draftOrders\":{\"nodes\":[" DRAFT("false", "null") "]}"), &c);
    CHECK_EQ(c.verdict, SL_CONFIRM_EARLY);
    fake_confirmed_finish(&c);
    ask(x, 60000, DATA("\"draftOrders\":null"), &c);
    CHECK_EQ(c.verdict, SL_CONFIRM_EARLY);
    fake_confirmed_finish(&c);
    ask(x, 60000, NULL, &c);
    CHECK_EQ(c.verdict, SL_CONFIRM_EARLY);
    fake_confirmed_finish(&c);
}

static void a_close_in_the_middle_leaves_nothing(void **state)
{
    struct rig *x = *state;

    FAKE_EXPECT(x->host, .never = true);
    x->record = (sl_record){ .size = sizeof(sl_record),
                             .key = fake_str(KEY),
                             .request = fake_str(BY_VARIANT) };
    x->batch = (sl_batch){ .size = sizeof(sl_batch), .records = &x->record, .n_records = 1 };
    fake_done_init(&x->done, x->host, 1);
    x->plugin->deliver(x->self, x->handle, &x->batch, &x->done.done);
    fake_host_run(x->host); /* and the teardown closes */
    CHECK(!x->done.finished);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
        TEST(a_quote_becomes_a_draft_order_with_its_link),
        TEST(skus_are_asked_for_a_page_at_a_time_and_quoted),
        TEST(a_sku_that_is_not_there_or_not_the_only_one_is_refused_by_its_line),
        TEST(user_errors_are_told_with_their_fields),
        TEST(a_link_that_is_not_there_yet_is_asked_for),
        TEST(a_200_may_be_a_refusal_for_pace),
        TEST(what_has_no_whole_answer_is_unknown_and_what_was_not_executed_is_not),
        TEST(a_token_that_is_refused_parks_the_shop),
        TEST(a_body_that_is_no_quote_is_refused_by_its_member),
        TEST(what_is_asked_is_as_urgent_as_its_delivery),
        TEST(the_body_has_a_schema),
        TEST(what_was_not_answered_is_looked_for_by_its_tag),
        TEST(a_close_in_the_middle_leaves_nothing),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
