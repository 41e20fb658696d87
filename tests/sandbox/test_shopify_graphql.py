"""The GraphQL engine: documents, values, versions, keys and points, as the platform has them."""

import json

import pytest

from sandbox.client import Process, request
from sandbox.shopify_cost import Bucket, Meter
from sandbox.shopify_graphql import Engine
from sandbox.shopify_rooms import furnish
from sandbox.shopify_schema import DATA, parser
from sandbox.shopify_shop import Shop


def operations():
    """Our own documents of what the Admin API is asked."""
    document = parser.parse((DATA / "shopify-operations.graphql").read_text())
    return {one.name.value: one for one in document.definitions}


@pytest.fixture
def engine():
    made = Engine(Shop(), Bucket(clock=lambda: 0.0))  # whose points do not come back
    furnish(made)
    return made


def said(answer):
    return [(one["message"], one.get("extensions", {}).get("code")) for one in answer["errors"]]


# ---- points ----

PREDICTED = {"OrdersUpdatedSince": 9, "OrderById": 30, "FulfillmentOrdersOfOrder": 71, "AssignedFulfillmentOrders": 67,
             "VariantsBySku": 70, "InventorySetQuantities": 13, "InventoryAdjustQuantities": 11,
             "FulfillmentCreate": 11,
             "FulfillmentOrderSplit": 13, "RefundCreate": 20, "OrderCancel": 10, "TagsAdd": 10, "JobById": 1}


@pytest.mark.parametrize("name, points", PREDICTED.items())
def test_a_document_costs_what_was_recorded(engine, name, points):
    assert Meter(engine.schema, {}, {}).of(operations()[name]) == points


@pytest.mark.parametrize("n, points", [(1, 3), (2, 3), (3, 4), (5, 5), (10, 6), (20, 7), (50, 9), (100, 11), (250, 13)])
def test_a_page_costs_by_the_logarithm_of_its_size(engine, n, points):
    text = "query($n: Int) { orders(first: $n) { edges { cursor node { id } } pageInfo { endCursor } } }"
    answer = engine.answer(text, {"n": n})
    assert answer["extensions"]["cost"] == {
        "requestedQueryCost": points, "actualQueryCost": 2,
        "throttleStatus": {"maximumAvailable": 2000.0, "currentlyAvailable": 1998, "restoreRate": 100.0}}
    assert isinstance(answer["extensions"]["cost"]["throttleStatus"]["maximumAvailable"], float)


def test_an_interface_costs_its_dearest_member_and_fragments_are_unfolded(engine):
    text = """query { node(id: "gid://shopify/Order/1") { ...Much ... on Shop { id } } }
              fragment Much on Order { id customer { id } lineItems(first: 5) { nodes { variant { id } } } }"""
    assert engine.answer(text)["extensions"]["cost"]["requestedQueryCost"] == 1 + 1 + 2 + 3 * 2
    skipped = text.replace("customer {", "customer @skip(if: true) {")
    assert engine.answer(skipped)["extensions"]["cost"]["requestedQueryCost"] == 1 + 2 + 3 * 2


def test_a_bucket_is_admitted_by_what_is_requested_and_gets_back_what_did_not_come():
    now = [0.0]
    engine = Engine(Shop(), Bucket(100, 10, lambda: now[0]))
    furnish(engine)
    dear = "query { orders(first: 250) { nodes { lineItems(first: 5) { nodes { id } } } } }"  # 2 + 11 * 6
    assert engine.answer(dear)["extensions"]["cost"]["throttleStatus"]["currentlyAvailable"] == 98
    engine.bucket.set(left=60)
    assert engine.answer(dear) == {
        "errors": [{"message": "Throttled", "extensions": {
            "code": "THROTTLED", "documentation": "https://shopify.dev/api/usage/rate-limits"}}],
        "extensions": {"cost": {"requestedQueryCost": 68, "actualQueryCost": None, "throttleStatus": {
            "maximumAvailable": 100.0, "currentlyAvailable": 60, "restoreRate": 10.0}}}}
    now[0] += 0.8
    assert "data" in engine.answer(dear)
    assert engine.spent.to_json() == {
        "calls": 2, "refused": 1, "too_dear": 0, "requested": 136, "used": 4, "errors": 0, "user_errors": 0,
        "by_operation": {"orders": {"calls": 2, "refused": 1, "too_dear": 0, "requested": 136, "used": 4, "errors": 0,
                                    "user_errors": 0}}}


def test_another_client_takes_points_from_the_same_bucket():
    now = [0.0]
    bucket = Bucket(2000, 100, lambda: now[0])
    bucket.set(left=1000, other=50)
    now[0] = 10
    assert bucket.status()["currentlyAvailable"] == 1500 and bucket.taken_by_other == 500
    bucket.set(left=0, other=150)
    now[0] = 20
    assert bucket.status()["currentlyAvailable"] == 0 and bucket.taken_by_other == 1500
    bucket.set(left=1900, other=0)
    now[0] = 23
    assert bucket.books() == {"restored": 2300.0, "spilled": 200.0, "taken_by_other": 1500.0}


def test_nothing_may_cost_more_than_a_thousand(engine):
    text = "query { orders(first: 250) { nodes { fulfillmentOrders(first: 250) { nodes { lineItems(first: 250) { nodes " \
           "{ id lineItem { id } } } } } } } }"
    answer = engine.answer(text)
    assert said(answer)[0][1] == "MAX_COST_EXCEEDED" and "data" not in answer
    assert answer["errors"][0]["extensions"]["cost"] > 1000


def test_what_each_field_costs_is_told_who_debugs(engine):
    answer = engine.answer("query { shop { id plan { shopifyPlus } } }", debug=True)
    fields = answer["extensions"]["cost"]["fields"]
    assert {"path": ["shop"], "definedCost": 1, "requestedTotalCost": 2, "requestedChildrenCost": 1} in fields


# ---- documents ----

@pytest.mark.parametrize("text, message, code", [
    ("query { shop { nme } }", "Field 'nme' doesn't exist on type 'Shop'", "undefinedField"),
    ("query { shop(a: 1) { id } }", "Field 'shop' doesn't accept argument 'a'", "argumentNotAccepted"),
    ("query { order { id } }", "Field 'order' is missing required arguments: id", "missingRequiredArguments"),
    ("query { shop { id { x } } }", "Selections can't be made on scalars (field 'id' returns ID! but has selections)",
     "selectionMismatch"),
    ("query Q($a: Int) { shop { id } }", "Variable $a is declared by Q but not used", "variableNotUsed"),
    ("query Q { orders(first: $a) { nodes { id } } }", "Variable $a is used by Q but not declared",
     "variableNotDefined"),
    ("query Q($a: String) { orders(first: $a) { nodes { id } } }", "Type mismatch on variable $a (String / Int)",
     "variableMismatch"),
    ("query { shop @once { id } }", "Directive @once is not defined", "undefinedDirective"),
    ("query { shop { ...F } }", "Fragment F was used, but not defined", "useAndDefineFragment"),
    ("query { orders(first: \"1\") { nodes { id } } }", "Argument 'first' has an invalid value",
     "argumentLiteralsIncompatible"),
    ("query { order(id: \"17\") { id } }", "Invalid global id '17'", "argumentLiteralsIncompatible"),
    ("query { shop { id }", "syntax error", None),
])
def test_a_document_that_does_not_fit_is_refused_in_the_platforms_words(engine, text, message, code):
    answer = engine.answer(text)
    assert any(message in one and code == kind for one, kind in said(answer)), answer
    assert answer.get("data") is None or list(answer["data"].values()) == [None]


def test_a_variable_that_does_not_fit_says_where_and_why(engine):
    text = "mutation($input: DraftOrderInput!) { draftOrderCreate(input: $input) { userErrors { message } } }"
    value = {"lineItems": [{"title": "x", "quantity": "2"}], "tag": ["x"]}
    error, = engine.answer(text, {"input": value})["errors"]
    assert error["extensions"] == {"code": "INVALID_VARIABLE", "value": value, "problems": [
        {"path": ["tag"], "explanation": "Field is not defined on DraftOrderInput"},
        {"path": ["lineItems", 0, "quantity"], "explanation": 'Could not coerce value "2" to Int'}]}
    assert error["message"].startswith("Variable $input of type DraftOrderInput! was provided invalid value for tag (")


def test_a_list_has_250_items_and_a_draft_order_499_lines(engine):
    text = "mutation($input: DraftOrderInput!) { draftOrderCreate(input: $input) { userErrors { message } } }"
    line = {"title": "x", "quantity": 1}
    assert "errors" not in engine.answer(text, {"input": {"lineItems": [line] * 499}})
    answer = engine.answer(text, {"input": {"lineItems": [line] * 500}})
    assert said(answer) == [("The input array size of 500 is greater than the maximum allowed of 499.",
                             "MAX_INPUT_SIZE_EXCEEDED")]
    nodes = engine.answer("query($ids: [ID!]!) { nodes(ids: $ids) { id } }", {"ids": ["gid://shopify/Order/1"] * 251})
    assert said(nodes)[0][1] == "MAX_INPUT_SIZE_EXCEEDED"


def test_a_page_wants_first_or_last(engine):
    answer = engine.answer("query { orders { nodes { id } } }")
    assert said(answer) == [("you must provide one of first or last", "BAD_REQUEST")] and answer["data"] is None
    assert answer["errors"][0]["path"] == ["orders"]


def test_one_of_several_operations_is_named(engine):
    text = "query A { shop { id } } query B { shop { name } }"
    assert list(engine.answer(text, operation_name="B")["data"]["shop"]) == ["name"]
    assert "errors" in engine.answer(text) and "errors" in engine.answer(text, operation_name="C")


def test_what_a_version_does_not_have_yet_is_unknown_to_it(engine):
    text = 'mutation { orderCancel(orderId: "gid://shopify/Order/1", reason: OTHER, restock: false) ' \
           "{ jobResult { status } } }"
    assert said(engine.answer(text, version="2026-07")) == [
        ("Field 'jobResult' doesn't exist on type 'OrderCancelPayload'", "undefinedField")]


# ---- the front ----

@pytest.fixture(scope="module")
def process():
    with Process("shopify_admin") as running:
        yield running


@pytest.mark.parametrize("asked, served", [("2026-10", "2026-10"), ("2026-01", "2026-01"), ("2025-10", "2026-01"),
                                           ("2019-04", "2026-01"), ("2027-01", "2027-01"), ("unstable", "unstable")])
def test_an_old_version_falls_forward_and_the_answer_says_so(process, asked, served):
    status, headers, _ = request(process.url, "POST", f"/admin/api/{asked}/graphql.json", {"query": "{ shop { id } }"},
                                 {"X-Shopify-Access-Token": "sandbox-admin-token"})
    assert (status, headers["X-Shopify-API-Version"]) == (200, served) and headers["X-Request-Id"]


@pytest.mark.parametrize("path",
                         ["/admin/api/2026-11/graphql.json", "/admin/api/new/graphql.json", "/admin/graphql.json"])
def test_no_other_path_is_answered(process, path):
    assert request(process.url, "POST", path, {"query": "{ shop { id } }"})[0] == 404


def test_a_wrong_token_and_a_wrong_body_are_told_apart(process):
    path, token = "/admin/api/2026-10/graphql.json", {"X-Shopify-Access-Token": "sandbox-admin-token"}
    status, _, body = request(process.url, "POST", path, {"query": "{ shop { id } }"})
    assert status == 401 and isinstance(json.loads(body)["errors"], str)
    status, _, body = request(process.url, "POST", path, {"mutation": "x"}, token)
    assert status == 400 and isinstance(json.loads(body)["errors"], dict)
