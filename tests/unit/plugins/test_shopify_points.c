/* test_shopify_points.c - what a document costs before it is asked. */
#include <stdlib.h>
#include <string.h>

#include "../check.h"
#include "admin/points.h"

/* ---- the figures that the shop's rules give for what we ask ---- */

static void test_a_page_costs_by_the_logarithm_of_its_length(void **state)
{
    static const struct {
        int first;
        uint32_t cost;
    } pages[] = { { 1, 3 },  { 2, 3 },  { 3, 4 },    { 5, 5 },   { 10, 6 },
                  { 20, 7 }, { 50, 9 }, { 100, 11 }, { 250, 13 } };
    static const char document[] =
        "query P($n: Int) { orders(first: $n, sortKey: UPDATED_AT) { nodes { id } } }";

    (void)state;
    for (size_t i = 0; i < sizeof(pages) / sizeof(*pages); i++) {
        json_t *v = json_pack("{s:i}", "n", pages[i].first);
        CHECK_EQ(points_of(document, v), pages[i].cost);
        json_decref(v);
    }
    CHECK_EQ(points_of(document, NULL), 2); /* no page at all */
}

static void test_edges_cost_what_nodes_cost(void **state)
{
    (void)state;
    CHECK_EQ(
        points_of("{ orders(first: 10) { edges { cursor node { id customer { id } } } } }", NULL),
        points_of("{ orders(first: 10) { nodes { id customer { id } } } }", NULL));
}

static void test_objects_cost_one_and_money_nothing(void **state)
{
    (void)state;
    CHECK_EQ(points_of("query($id: ID!) { order(id: $id) { id } }", NULL), 1);
    CHECK_EQ(points_of("query($id: ID!) { order(id: $id) { id customer { id email } "
                       "totalPriceSet { shopMoney { amount currencyCode } } } }",
                       NULL),
             2);
    CHECK_EQ(points_of("query { bulkOperation(id: \"x\") { id url } }", NULL), 1);
}

static void test_a_nested_page_is_multiplied(void **state)
{
    (void)state;
    CHECK_EQ(points_of("query FulfillmentOrdersOfOrder($id: ID!) { order(id: $id) { id"
                       " fulfillmentOrders(first: 10) { nodes { id status"
                       " assignedLocation { name location { id } } supportedActions { action }"
                       " fulfillmentHolds { id } lineItems(first: 20) { nodes { id lineItem { id }"
                       " } } } pageInfo { hasNextPage } } } }",
                       NULL),
             71);
    CHECK_EQ(points_of("query V($query: String!) { productVariants(first: 10, query: $query) {"
                       " nodes { id sku product { id vendor } inventoryItem { id tracked"
                       " inventoryLevels(first: 10) { nodes { location { id } quantities(names:"
                       " [\"available\", \"on_hand\"]) { name quantity } } } } }"
                       " pageInfo { hasNextPage endCursor } } }",
                       NULL),
             70);
}

static void test_a_union_costs_its_dearest_member(void **state)
{
    (void)state;
    CHECK_EQ(points_of("{ order(id: \"1\") { purchasingEntity { __typename"
                       " ... on PurchasingCompany { company { id } contact { id } location { id } }"
                       " ... on Customer { id } } } }",
                       NULL),
             5);
}

static void test_a_fragment_costs_where_it_is_used(void **state)
{
    (void)state;
    CHECK_EQ(points_of("query { order(id: \"1\") { ...F } } "
                       "fragment F on Order { id customer { id } }",
                       NULL),
             2);
}

static void test_a_mutation_costs_ten_and_its_payload_what_lies_deeper(void **state)
{
    (void)state;
    CHECK_EQ(points_of("mutation($id: ID!, $tags: [String!]!) { tagsAdd(id: $id, tags: $tags) {"
                       " node { id } userErrors { field message } } }",
                       NULL),
             10);
    CHECK_EQ(points_of("mutation($f: FulfillmentInput!) { fulfillmentCreate(fulfillment: $f) {"
                       " fulfillment { id trackingInfo(first: 5) { number } }"
                       " userErrors { field message } } }",
                       NULL),
             11);
    CHECK_EQ(points_of("mutation($input: I!, $key: String!) { inventorySetQuantities(input: $input)"
                       " @idempotent(key: $key) { inventoryAdjustmentGroup { id changes { name"
                       " item { id } location { id } } } userErrors { code } } }",
                       NULL),
             13);
    CHECK_EQ(points_of("mutation($input: RefundInput!, $key: String!) { refundCreate(input: $input)"
                       " @idempotent(key: $key) { refund { id totalRefundedSet { shopMoney { amount"
                       " } } } order { id } userErrors { field } } }",
                       NULL),
             20);
    CHECK_EQ(points_of("mutation { a: tagsAdd(id: \"1\", tags: [\"}\"]) { node { id } }"
                       " b: tagsAdd(id: \"2\", tags: []) { node { id } } }",
                       NULL),
             20);
}

static void test_what_is_no_document_has_a_cost_and_an_end(void **state)
{
    static const char *const texts[] = {
        "",
        "{",
        "}",
        "query",
        "{ a(",
        "{ a { b",
        "\"",
        "\"\"\"",
        "fragment",
        "{ ...A } fragment A on",
        "{ ...A } fragment A on X { ...A ...A ...A ...A b { ...A ...A } }",
        "mutation {",
        "{ a: }",
        "mutation { a { b(first: 99999999999999999999) { nodes { id } } } }",
        "# only words",
    };
    char *deep = malloc(100001);

    (void)state;
    for (size_t i = 0; i < sizeof(texts) / sizeof(*texts); i++)
        CHECK(points_of(texts[i], NULL) >= 1);
    for (int i = 0; i < 50000; i++)
        memcpy(deep + 2 * i, "{a", 2);
    deep[100000] = '\0';
    CHECK(points_of(deep, NULL) >= 1);
    free(deep);
}

/* nodes(ids: ...) is a list of objects, however many: no page of a connection. */
static void test_things_by_their_ids_cost_what_they_hold(void **state)
{
    (void)state;
    CHECK_EQ(points_of("query($ids: [ID!]!) { nodes(ids: $ids) { id } }", NULL), 1);
    CHECK_EQ(points_of("query Levels($ids: [ID!]!, $l0: ID!, $l1: ID!) { nodes(ids: $ids) {"
                       " ... on InventoryItem { id"
                       " l0: inventoryLevel(locationId: $l0) { quantities(names: [\"on_hand\"]) {"
                       " quantity } }"
                       " l1: inventoryLevel(locationId: $l1) { quantities(names: [\"on_hand\"]) {"
                       " quantity } } } } }",
                       NULL),
             5);
    CHECK_EQ(points_of("{ a: nodes(ids: [\"1\"]) { ... on Order { id refunds(first: 250) { id } } }"
                       " b: nodes(ids: [\"2\"]) { ... on Order { id lineItems(first: 10) {"
                       " nodes { id } } } } }",
                       NULL),
             2 + 7);
}

/* ---- what is learnt ---- */

static uint32_t predicted(const struct points *p, const char *document, const json_t *v)
{
    return points_predict(p, document, v).cost;
}

static void learn(struct points *p, const char *document, const json_t *v, int64_t requested)
{
    struct points_guess g = points_predict(p, document, v);

    points_learn(p, &g, requested);
}

static void test_the_shop_knows_better(void **state)
{
    static const char document[] =
        "mutation { fulfillmentCancel(id: \"1\") { fulfillment { id } } }";
    static const char page[] = "query($n: Int) { orders(first: $n) { nodes { id } } }";
    struct points p = { 0 };
    json_t *ten = json_pack("{s:i}", "n", 10), *fifty = json_pack("{s:i}", "n", 50);

    (void)state;
    CHECK_EQ(predicted(&p, document, NULL), 10);
    learn(&p, document, NULL, 38);
    CHECK_EQ(predicted(&p, document, NULL), 38);
    learn(&p, document, NULL, 12);
    CHECK_EQ(predicted(&p, document, NULL), 12);
    learn(&p, document, NULL, -1); /* it did not say */
    CHECK_EQ(predicted(&p, document, NULL), 12);
    learn(&p, page, ten, 8); /* two more than the rules say: of another length, too */
    CHECK_EQ(predicted(&p, page, fifty), 11);
    CHECK_EQ(predicted(&p, document, NULL), 12);
    json_decref(ten);
    json_decref(fifty);
}

static void test_nothing_is_expected_beyond_what_one_document_may_cost(void **state)
{
    struct points p = { 0 };

    (void)state;
    CHECK_EQ(predicted(&p,
                       "{ a(first: 250) { nodes { b(first: 250) { nodes { c(first: 250) {"
                       " nodes { id } } } } } } }",
                       NULL),
             POINTS_MOST);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_page_costs_by_the_logarithm_of_its_length),
        cmocka_unit_test(test_edges_cost_what_nodes_cost),
        cmocka_unit_test(test_objects_cost_one_and_money_nothing),
        cmocka_unit_test(test_a_nested_page_is_multiplied),
        cmocka_unit_test(test_a_union_costs_its_dearest_member),
        cmocka_unit_test(test_a_fragment_costs_where_it_is_used),
        cmocka_unit_test(test_a_mutation_costs_ten_and_its_payload_what_lies_deeper),
        cmocka_unit_test(test_things_by_their_ids_cost_what_they_hold),
        cmocka_unit_test(test_what_is_no_document_has_a_cost_and_an_end),
        cmocka_unit_test(test_the_shop_knows_better),
        cmocka_unit_test(test_nothing_is_expected_beyond_what_one_document_may_cost),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
