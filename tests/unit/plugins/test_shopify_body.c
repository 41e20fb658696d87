/*
 * test_shopify_body.c - what a table says of a body is what is checked, and what its schema says.
 */
#include "fake_host.h"

#include <stdlib.h>

#include "body_table.h"

static const struct body_member line_members[] = {
    { "sku", BODY_TEXT, .min = 1, .max = 8, .help = "stock keeping unit" },
    { "line_item", BODY_ID, .of = "LineItem" },
    { "quantity", BODY_WHOLE, BODY_REQUIRED, 1, 1000 },
    { 0 },
};
static const struct body_shape line = { .members = line_members, .one_of = "sku|line_item" };
static const struct body_member members[] = {
    { "order", BODY_ID, .of = "Order", .help = "which" },
    { "name", BODY_TEXT, .max = 20 },
    { "lines", BODY_OBJECT, BODY_REQUIRED, .shape = &line, .items = 3 },
    { "notify", BODY_BOOL },
    { "status", BODY_ENUM, .of = "OPEN|CLOSED" },
    { "price", BODY_AMOUNT },
    { "at", BODY_TIME },
    { "urls", BODY_URL, BODY_EMPTY, .items = 2 },
    { "any", BODY_JSON },
    { "more", BODY_OBJECT },
    { 0 },
};
static const struct body_shape shape = { .members = members, .any_of = "order|name" };

static void check_taken(const char *body, const char *want)
{
    char why[300] = "", *text;
    json_t *taken = NULL;

    if (body_take(fake_str(body), &shape, &taken, why, sizeof(why)) < 0)
        fail_msg("%s: %s", body, why);
    text = json_dumps(taken, JSON_COMPACT);
    CHECK_STR(text, want);
    free(text);
    json_decref(taken);
}

static void check_refused(const char *body, const char *want)
{
    char why[300] = "";
    json_t *taken = NULL;

    CHECK_EQ(body_take(fake_str(body), &shape, &taken, why, sizeof(why)), SL_E_INVALID);
    CHECK_STR(why, want);
    CHECK(!taken);
}

#define LINES "\"lines\":[{\"sku\":\"A\",\"quantity\":1}]"

static void a_body_is_read_into_the_forms_that_the_shop_wants(void **state)
{
    (void)state;
    check_taken(
        "{\"order\":9007199254740993,\"name\":null,\"notify\":true,\"status\":\"OPEN\","
        "\"price\":\"19.90\",\"at\":\"2026-11-20T10:15:32+01:00\",\"urls\":[],\"any\":[1,null],"
        "\"more\":{\"a\":{}},\"lines\":[{\"line_item\":\"15\",\"quantity\":2.0},"
        "{\"line_item\":\"gid://shopify/LineItem/16\",\"quantity\":1,\"sku\":null}]}",
        "{\"order\":\"gid://shopify/Order/9007199254740993\",\"lines\":["
        "{\"line_item\":\"gid://shopify/LineItem/15\",\"quantity\":2},"
        "{\"line_item\":\"gid://shopify/LineItem/16\",\"quantity\":1}],\"notify\":true,"
        "\"status\":\"OPEN\",\"price\":\"19.90\",\"at\":\"2026-11-20T09:15:32.000Z\",\"urls\":[],"
        "\"any\":[1,null],\"more\":{\"a\":{}}}");
    /* characters are counted, not bytes */
    check_taken(
        "{\"name\":\"\xc3\xa9\xc3\xa9\",\"lines\":[{\"sku\":\"\xc3\xa9\xc3\xa9\xc3\xa9"
        "\xc3\xa9\xc3\xa9\xc3\xa9\xc3\xa9\xc3\xa9\",\"quantity\":1}]}",
        "{\"name\":\"\xc3\xa9\xc3\xa9\",\"lines\":[{\"sku\":\"\xc3\xa9\xc3\xa9\xc3\xa9"
        "\xc3\xa9\xc3\xa9\xc3\xa9\xc3\xa9\xc3\xa9\",\"quantity\":1}]}");
}

static void a_wrong_member_is_named_with_what_would_be_right(void **state)
{
    (void)state;
    check_refused("[]", "the body: it wants a JSON object");
    check_refused("{", "the body: it is no JSON (line 1: string or '}' expected near end of file)");
    check_refused("{" LINES "}", "the body: it wants one of order|name");
    check_refused("{\"order\":1}", "lines: it is not given");
    check_refused("{\"order\":1,\"lines\":{}}", "lines: it wants a list of 1 to 3");
    check_refused("{\"order\":1,\"lines\":[]}", "lines: it wants a list of 1 to 3");
    check_refused("{\"order\":1,\"lines\":[{},{},{},{}]}", "lines: it wants a list of 1 to 3");
    check_refused("{\"order\":1,\"lines\":[{\"sku\":\"A\"}]}",
                  "lines[0].quantity: it is not given");
    check_refused("{\"order\":1,\"lines\":[{\"quantity\":1}]}",
                  "lines[0]: it wants one of sku|line_item");
    check_refused("{\"order\":1,\"lines\":[{\"sku\":\"A\",\"line_item\":1,\"quantity\":1}]}",
                  "lines[0]: it wants only one of sku|line_item");
    check_refused("{\"order\":1,\"lines\":[{\"sku\":\"A\",\"quantity\":1},{\"sku\":\"\"}]}",
                  "lines[1].sku: it wants 1 to 8 characters, and has 0");
    check_refused("{\"order\":1,\"lines\":[{\"sku\":\"A\",\"quantity\":1.5}]}",
                  "lines[0].quantity: it wants a whole number");
    check_refused("{\"order\":1,\"lines\":[{\"sku\":\"A\",\"quantity\":1001}]}",
                  "lines[0].quantity: it wants a whole number from 1 to 1000");
    check_refused("{\"order\":1,\"lines\":[{\"sku\":\"A\",\"qty\":1}]}",
                  "lines[0]: there is no \"qty\" in it; it may have sku, line_item, quantity");
    check_refused("{\"order\":\"gid://shopify/LineItem/1\"," LINES "}",
                  "order: it wants an id: digits, or gid://shopify/Order/...");
    check_refused("{\"order\":\"#1042\"," LINES "}",
                  "order: \"#1042\" is the name that people read; it wants the id behind it, "
                  "which webhooks have as \"id\": digits, or gid://shopify/Order/...");
    check_refused("{\"order\":\"007\"," LINES "}",
                  "order: it wants an id: digits, or gid://shopify/Order/...");
    check_refused("{\"order\":-1," LINES "}",
                  "order: it wants an id: digits, or gid://shopify/Order/...");
    check_refused("{\"order\":1,\"status\":\"OP\"," LINES "}",
                  "status: it wants one of OPEN|CLOSED");
    check_refused("{\"order\":1,\"status\":\"\"," LINES "}", "status: it wants one of OPEN|CLOSED");
    check_refused("{\"order\":1,\"price\":19.9," LINES "}",
                  "price: it wants a decimal as text, such as \"19.90\"");
    check_refused("{\"order\":1,\"price\":\"19.\"," LINES "}",
                  "price: it wants a decimal as text, such as \"19.90\"");
    check_refused("{\"order\":1,\"at\":\"2026-11-20\"," LINES "}",
                  "at: it wants a time with its offset, such as 2026-11-20T10:15:32+01:00");
    check_refused("{\"order\":1,\"urls\":[\"https://a.example\",\"ftp://b\"]," LINES "}",
                  "urls[1]: it wants a URL that begins with https:// or http://");
    check_refused("{\"order\":1,\"name\":\"a\\u0001\"," LINES "}",
                  "name: it holds a control character (0x01)");
    check_refused("{\"order\":1,\"notify\":\"yes\"," LINES "}", "notify: it wants true or false");
    check_refused("{\"order\":1,\"more\":[]," LINES "}", "more: it wants an object");
    check_refused("{\"order\":1,\"order\":2," LINES "}",
                  "the body: it is no JSON (line 1: duplicate object key near '\"order\"')");
}

static void the_schema_says_what_the_reader_checks(void **state)
{
    json_t *schema = body_schema(&shape);
    char *text = json_dumps(schema, JSON_COMPACT);

    (void)state;
    CHECK_STR(
        text,
        "{\"type\":\"object\",\"properties\":{"
        "\"order\":{\"type\":[\"string\",\"integer\",\"null\"],"
        "\"pattern\":\"^(gid://shopify/Order/)?[1-9][0-9]{0,18}$\",\"minimum\":1,"
        "\"description\":\"which\"},"
        "\"name\":{\"type\":[\"string\",\"null\"],\"maxLength\":20},"
        "\"lines\":{\"type\":\"array\",\"items\":{\"type\":\"object\",\"properties\":{"
        "\"sku\":{\"type\":[\"string\",\"null\"],\"minLength\":1,\"maxLength\":8,"
        "\"description\":\"stock keeping unit\"},"
        "\"line_item\":{\"type\":[\"string\",\"integer\",\"null\"],"
        "\"pattern\":\"^(gid://shopify/LineItem/)?[1-9][0-9]{0,18}$\",\"minimum\":1},"
        "\"quantity\":{\"type\":\"integer\",\"minimum\":1,\"maximum\":1000}},"
        "\"additionalProperties\":false,\"required\":[\"quantity\"],"
        "\"allOf\":[{\"oneOf\":[{\"required\":[\"sku\"],\"properties\":{\"sku\":{\"not\":{\"type\":\"null\"}}}},{\"required\":[\"line_item\"],\"properties\":{\"line_item\":{\"not\":{\"type\":\"null\"}}}}]}]},"
        "\"minItems\":1,\"maxItems\":3},"
        "\"notify\":{\"type\":[\"boolean\",\"null\"]},"
        "\"status\":{\"enum\":[\"OPEN\",\"CLOSED\",null]},"
        "\"price\":{\"type\":[\"string\",\"null\"],\"pattern\":\"^[0-9]{1,12}(\\\\.[0-9]{1,12})?$\"},"
        "\"at\":{\"type\":[\"string\",\"null\"],\"format\":\"date-time\"},"
        "\"urls\":{\"type\":[\"array\",\"null\"],\"items\":{\"type\":\"string\",\"format\":\"uri\","
        "\"pattern\":\"^https?://\",\"maxLength\":2000},\"minItems\":0,\"maxItems\":2},"
        "\"any\":{},\"more\":{\"type\":[\"object\",\"null\"]}},"
        "\"additionalProperties\":false,\"required\":[\"lines\"],"
        "\"allOf\":[{\"anyOf\":[{\"required\":[\"order\"],\"properties\":{\"order\":{\"not\":{\"type\":\"null\"}}}},{\"required\":[\"name\"],\"properties\":{\"name\":{\"not\":{\"type\":\"null\"}}}}]}]}");
    free(text);
    json_decref(schema);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_body_is_read_into_the_forms_that_the_shop_wants),
        cmocka_unit_test(a_wrong_member_is_named_with_what_would_be_right),
        cmocka_unit_test(the_schema_says_what_the_reader_checks),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
