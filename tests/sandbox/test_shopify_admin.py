"""The Admin API's stand-in: documents of the published kind run, others are refused as the platform does it."""

import json

import pytest

from sandbox.client import Process, request

CREATE = """mutation DraftOrderCreate($input: DraftOrderInput!) {
  draftOrderCreate(input: $input) {
    draftOrder { id legacyResourceId name status invoiceUrl createdAt totalPriceSet { shopMoney { amount currencyCode } } }
    userErrors { field message }
  }
}"""
BY_TAG = "query($q: String!) { draftOrders(first: 10, query: $q) { nodes { id tags ready invoiceUrl } } }"
BY_SKU = ("query($q: String!, $after: String) { productVariants(first: 2, after: $after, query: $q) "
          "{ nodes { id sku } pageInfo { hasNextPage endCursor } } }")


@pytest.fixture(scope="module")
def process():
    with Process("shopify_admin", "--points", 60, "--restore", 1000) as running:
        yield running


@pytest.fixture
def shop(process):
    process.reset()
    process.call("POST", "variants", [{"id": f"gid://shopify/ProductVariant/{n}", "sku": f"A-{n}", "price": "2.50"}
                                      for n in range(1, 12)])
    return process


def ask(shop, document, token="sandbox-admin-token", version="2026-10", **variables):
    status, _, text = request(shop.url, "POST", f"/admin/api/{version}/graphql.json",
                              json.dumps({"query": document, "variables": variables}),
                              {"Content-Type": "application/json", "X-Shopify-Access-Token": token})
    return status, json.loads(text)


def create(shop, **fields):
    return ask(shop, CREATE, input=fields)[1]


def test_a_draft_order_has_a_link_and_a_price_and_is_found_by_its_tag(shop):
    made = create(shop, tags=["Quote-7"], email="b@example.com", lineItems=[
        {"variantId": "gid://shopify/ProductVariant/1", "quantity": 2, "title": "ignored"},
        {"title": "Setup", "quantity": 1, "originalUnitPriceWithCurrency": {"amount": "10.00", "currencyCode": "EUR"}}])
    draft = made["data"]["draftOrderCreate"]["draftOrder"]
    assert draft["invoiceUrl"].startswith("https://") and draft["totalPriceSet"]["shopMoney"]["amount"] == "15.00"
    assert set(draft) == {"id", "legacyResourceId", "name", "status", "invoiceUrl", "createdAt", "totalPriceSet"}
    assert made["extensions"]["cost"]["requestedQueryCost"] == 10
    found = ask(shop, BY_TAG, q="tag:\"quote-7\"")[1]["data"]["draftOrders"]["nodes"]
    assert [(one["id"], one["ready"]) for one in found] == [(draft["id"], True)]
    assert ask(shop, BY_TAG, q="tag:other")[1]["data"]["draftOrders"]["nodes"] == []
    assert len(ask(shop, BY_TAG, q="label:other")[1]["data"]["draftOrders"]["nodes"]) == 1  # ignored: all of them


def test_a_search_by_sku_finds_what_begins_alike_and_has_pages(shop):
    page = ask(shop, BY_SKU, q='sku:"A-1" OR sku:"A-2"', after=None)[1]["data"]["productVariants"]
    assert [one["sku"] for one in page["nodes"]] == ["A-1", "A-2"] and page["pageInfo"]["hasNextPage"]
    rest = ask(shop, BY_SKU, q='sku:"A-1" OR sku:"A-2"', after=page["pageInfo"]["endCursor"])[1]
    assert [one["sku"] for one in rest["data"]["productVariants"]["nodes"]] == ["A-10", "A-11"]


@pytest.mark.parametrize("fields, path, message", [
    ({"lineItems": []}, None, "Add at least 1 product"),
    ({"lineItems": [{"quantity": 1}]}, None, "Merchandise title is empty."),
    ({"lineItems": [{"quantity": 0, "title": "x"}]}, ["lineItems", "0", "quantity"], "greater than"),
    ({"lineItems": [{"quantity": 1, "variantId": "gid://shopify/ProductVariant/99"}]}, None,
     "no longer available"),
    ({"email": "no", "lineItems": [{"quantity": 1, "title": "x"}]}, ["email"], "Email is invalid"),
])
def test_what_cannot_be_is_a_user_error_and_makes_nothing(shop, fields, path, message):
    payload = create(shop, **fields)["data"]["draftOrderCreate"]
    assert payload["draftOrder"] is None
    assert payload["userErrors"][0]["field"] == path and message in payload["userErrors"][0]["message"]
    assert shop.books()["drafts"] == []


@pytest.mark.parametrize("document, variables, said", [
    (CREATE.replace("invoiceUrl", "invoiceLink"), {"input": {}}, "doesn't exist on type 'DraftOrder'"),
    (CREATE.replace("message }", "message code }"), {"input": {}}, "doesn't exist on type 'UserError'"),
    (CREATE.replace("{ field message }", ""), {"input": {}}, "must have selections"),
    (CREATE.replace("(input: $input)", ""), {"input": {}}, "missing required arguments: input"),
    (CREATE, {"input": None}, "DraftOrderInput! was provided invalid value"),
    (CREATE, {"input": {"line_items": []}}, "not defined on DraftOrderInput"),
    (CREATE, {"input": {"lineItems": [{"title": "x"}]}}, "quantity"),
    (CREATE, {"input": {"lineItems": [{"title": "x", "quantity": "1"}]}}, "Could not coerce"),
    ("query { draftOrders { nodes { id } } }", {}, "you must provide one of first or last"),
    ("query { themes(first: 1) { nodes { id } } }", {}, "doesn't exist on type 'QueryRoot'"),
    (CREATE[:-1], {"input": {}}, "syntax error"),
])
def test_a_document_of_another_kind_is_refused_whole(shop, document, variables, said):
    status, answer = ask(shop, document, **variables)
    assert status == 200 and answer.get("data") is None and said in answer["errors"][0]["message"]


def test_points_are_spent_and_come_back(shop):
    line = [{"title": "x", "quantity": 1}]
    answers = [create(shop, lineItems=line) for _ in range(30)]
    throttled = [one for one in answers if "data" not in one]
    for one in throttled:
        assert one["errors"][0]["extensions"]["code"] == "THROTTLED" and one["extensions"]["cost"]["actualQueryCost"] is None
    assert len(shop.books()["drafts"]) == 30 - len(throttled)


def test_the_token_and_the_version_must_be_right(shop):
    assert ask(shop, BY_TAG, token="other", q="")[0] == 401
    assert ask(shop, BY_TAG, version="last", q="")[0] == 404


# ---- faults of a field, and the merchant ----

STOCK = "mutation($input: InventorySetQuantitiesInput!, $key: String!) { inventorySetQuantities(input: $input) " \
        "@idempotent(key: $key) { userErrors { code field message } } }"
MAIN = "gid://shopify/Location/70000000101"


def test_a_root_field_fails_as_often_as_it_is_told_to_and_does_nothing(shop):
    shop.call("POST", "stock", [{"sku": "A-1", "location": MAIN, "available": 5}])
    item = shop.call("GET", "stock")["levels"][0]["item"]
    given = {"name": "available", "reason": "other", "quantities": [
        {"inventoryItemId": item, "locationId": MAIN, "quantity": 9, "changeFromQuantity": 5}]}
    shop.fault(action="user_error", at="inventorySetQuantities", code="IDEMPOTENCY_CONCURRENT_REQUEST", count=1)
    shop.fault(action="field_error", at="productVariants", code="INTERNAL_SERVER_ERROR", message="oops", count=1)
    answer = ask(shop, STOCK, input=given, key="k")[1]["data"]["inventorySetQuantities"]
    assert answer["userErrors"][0]["code"] == "IDEMPOTENCY_CONCURRENT_REQUEST"
    assert shop.call("GET", "stock")["levels"][0]["available"] == 5
    assert ask(shop, STOCK, input=given, key="k")[1]["data"]["inventorySetQuantities"]["userErrors"] == []
    assert shop.call("GET", "stock")["levels"][0]["available"] == 9
    errors = ask(shop, BY_SKU, q="sku:A-1")[1]["errors"]
    assert (errors[0]["message"], errors[0]["extensions"]["code"]) == ("oops", "INTERNAL_SERVER_ERROR")
    assert "errors" not in ask(shop, BY_SKU, q="sku:A-1")[1] and shop.books()["crashes"] == []


def test_the_merchant_works_at_the_shops_own_desk_and_spends_no_points(shop):
    order, = shop.call("POST", "orders", {"lines": [{"sku": "A-1", "quantity": 2}]})["orders"]
    before = shop.books()["points"]["used"]
    parts = shop.call("POST", "do", {"operation": "FulfillmentOrdersOfOrder", "variables": {"id": order}})
    part = parts["data"]["order"]["fulfillmentOrders"]["nodes"][0]["id"]
    done = shop.call("POST", "do", {"operation": "FulfillmentCreate", "variables": {"fulfillment": {
        "lineItemsByFulfillmentOrder": [{"fulfillmentOrderId": part}]}}})
    assert done["data"]["fulfillmentCreate"]["userErrors"] == []
    shop.call("POST", "edit", {"order": order, "set": {"note": "by hand"}, "topics": ["orders/edited"], "risk": {
        "recommendation": "INVESTIGATE", "assessments": []}})
    document, = shop.call("GET", "orders")["orders"]
    assert (document["fulfillment_status"], document["note"]) == ("fulfilled", "by hand")
    books = shop.books()
    assert books["points"]["used"] == before and books["changes"]["orders/edited"] == 1
    risk = ask(shop, "query($id: ID!) { order(id: $id) { risk { recommendation } } }", id=order)[1]
    assert risk["data"]["order"]["risk"]["recommendation"] == "INVESTIGATE"


LEVEL = "query($ids: [ID!]!, $l: ID!) { nodes(ids: $ids) { ... on InventoryItem { inventoryLevel(locationId: $l) " \
        "{ quantities(names: [\"available\"]) { quantity } } } } }"


def test_stock_changes_between_an_answer_and_whoever_reads_it(shop):
    shop.call("POST", "stock", [{"sku": f"A-{n}", "location": MAIN, "available": n} for n in (1, 2)])
    first, second = [one["item"] for one in shop.call("GET", "stock")["levels"]]

    def read(*ids):
        nodes = ask(shop, LEVEL, ids=list(ids), l=MAIN)[1]["data"]["nodes"]
        return [one["inventoryLevel"]["quantities"][0]["quantity"] for one in nodes]

    shop.fault(action="meanwhile", at="nodes", count=1, stock=[{"sku": "A-1", "location": MAIN, "delta": 4}])
    assert ask(shop, BY_SKU, q="sku:A-1")[0] == 200  # another field
    assert read(first, second) == [1, 2] and read(first, second) == [5, 2]
    # one of those that were read, as long as there is something to sell
    shop.fault(action="meanwhile", at="nodes")
    assert [read(second) for _ in range(4)] == [[2], [1], [0], [0]] and read(first) == [5]
    shop.clear_faults()
    assert read(first) == [4] and read(first) == [4]
    ledger = shop.call("GET", "stock")["ledger"]
    assert [(one["by"], one["delta"]) for one in ledger[2:]] == [("merchant", 4), ("merchant", -1), ("merchant", -1),
                                                                ("merchant", -1)]
