"""Every document that a gateway asks with runs against the stand-in, and every field of its schema has an answer."""

import json

import pytest
from graphql.type import GraphQLInterfaceType, GraphQLNonNull, GraphQLObjectType, GraphQLUnionType

from sandbox.client import Process, request
from sandbox.orders import OrderFactory
from sandbox.shopify_catalogue import MAIN_LOCATION, add_service, add_variant
from sandbox.shopify_desk import Desk
from sandbox.shopify_orders import add_order
from sandbox.shopify_schema import bare, operations



# ---- the documents ----

def lived(desk):
    """A shop in which something of every kind has happened."""
    add_variant(desk.shop, "GEAR", stock={MAIN_LOCATION: 100})
    add_variant(desk.shop, "NORD")
    add_service(desk.shop, "Supplier Nord", "https://nord.example/")
    add_order(desk.shop, OrderFactory(2).order(4).document)
    order = desk.buy(("GEAR", 5), {"sku": "NORD", "quantity": 2, "service": "supplier-nord"}, email="a@example.com")
    own, nord = desk.parts(order)
    desk.do("FulfillmentOrderSubmitFulfillmentRequest", id=nord["id"])
    line = own["lineItems"]["nodes"][0]["id"]
    made = desk.do("FulfillmentCreate", fulfillment={"lineItemsByFulfillmentOrder": [
        {"fulfillmentOrderId": own["id"], "fulfillmentOrderLineItems": [{"id": line, "quantity": 3}]}],
        "trackingInfo": {"number": "1", "company": "UPS"}})["fulfillment"]
    desk.do("FulfillmentEventCreate", fulfillmentEvent={"fulfillmentId": made["id"], "status": "IN_TRANSIT"})
    desk.do("FulfillmentOrderHold", id=own["id"], fulfillmentHold={"reason": "OTHER"})
    part = desk.ask("ReturnableFulfillments", orderId=order)["nodes"][0]["returnableFulfillmentLineItems"]["nodes"][0]
    back = desk.do("ReturnCreate", returnInput={"orderId": order, "returnLineItems": [
        {"fulfillmentLineItemId": part["fulfillmentLineItem"]["id"], "quantity": 1,
         "returnReason": "UNWANTED"}]})["return"]
    shown = desk.ask("ReturnById", id=back["id"])
    desk.do("ReturnProcess", input={"returnId": back["id"], "returnLineItems": [{
        "id": shown["returnLineItems"]["nodes"][0]["id"], "quantity": 1, "dispositions": [{
            "reverseFulfillmentOrderLineItemId":
                shown["reverseFulfillmentOrders"]["nodes"][0]["lineItems"]["nodes"][0]["id"],
            "quantity": 1, "dispositionType": "NOT_RESTOCKED"}]}]})
    sale = desk.shop.find(order).transactionIds[0]
    desk.do("RefundCreate", key="r", input={"orderId": order, "refundLineItems": [
        {"lineItemId": desk.shop.find(order).lineIds[0], "quantity": 1}], "transactions": [
        {"orderId": order, "gateway": "x", "kind": "REFUND", "amount": "5.00", "parentId": sale}]})
    desk.do("MetafieldsSet", metafields=[{"ownerId": order, "key": "erp", "type": "json", "value": "{}"}])
    desk.do("InventoryAdjustQuantities", key="i", input={"name": "available", "reason": "other", "changes": [
        {"inventoryItemId": next(iter(desk.shop.kinds["InventoryItem"])), "locationId": MAIN_LOCATION, "delta": 1,
         "changeFromQuantity": None}]})
    draft = desk.do("DraftOrderCreate", input={"lineItems": [{"title": "x", "quantity": 1}], "shippingAddress": {
        "city": "Leeds", "countryCode": "GB"}})["draftOrder"]
    desk.do("DraftOrderComplete", id=draft["id"])
    gone = desk.buy(("GEAR", 1))
    desk.do("OrderCancel", orderId=gone, reason="OTHER", restock=True)
    desk.shop.advance(5)
    return order


@pytest.fixture(scope="module")
def desk():
    desk = Desk()
    desk.engine.scopes.append("read_apps")
    desk.order = lived(desk)
    return desk


def test_there_are_61_of_them():
    assert len(operations()) == 61


@pytest.mark.parametrize("name", operations())
def test_each_document_fits_the_schema_and_costs_less_than_a_call_may(desk, name):
    call = desk.engine.read(operations()[name])
    assert call[1] == []


def variables(desk, name):
    """Something that each document can be asked with; what does not exist is as good."""
    def gid(kind):
        return next(iter(desk.shop.kinds[kind]), f"gid://shopify/{kind}/1")
    order, fo, item = desk.order, gid("FulfillmentOrder"), gid("InventoryItem")
    line, part = desk.shop.find(order).lineIds[0], gid("FulfillmentLineItem")
    of_kind = {"Job": gid("Job"), "Return": gid("Return"), "Draft": gid("DraftOrder"),
               "Bulk": "gid://shopify/BulkOperation/1",
               "FulfillmentOrder": fo, "Webhook": "gid://shopify/WebhookSubscription/1",
               "FulfillmentCancel": gid("Fulfillment")}
    id = next((value for begin, value in of_kind.items() if name.startswith(begin)), order)
    stock = {"inventoryItemId": item, "locationId": MAIN_LOCATION, "changeFromQuantity": None}
    returned = {"orderId": order, "returnLineItems": [{"fulfillmentLineItemId": part, "quantity": 1}]}
    known = {
        "id": id, "query": "sku:GEAR", "orderId": order, "reason": "OTHER", "restock": True, "tags": ["x"], "key": name,
        "after": None, "newLocationId": MAIN_LOCATION, "fulfillmentId": gid("Fulfillment"), "locationId": MAIN_LOCATION,
        "inventoryItemId": item, "trackingInfoInput": {"number": "2"}, "name": "Supplier South",
        "fulfillment": {"lineItemsByFulfillmentOrder": [{"fulfillmentOrderId": fo}]},
        "fulfillmentEvent": {"fulfillmentId": gid("Fulfillment"), "status": "DELIVERED"},
        "fulfillmentHold": {"reason": "OTHER", "handle": "documents"}, "returnInput": returned,
        "metafields": [{"ownerId": order, "key": "run", "type": "boolean", "value": "true"}],
        "splits": [{"fulfillmentOrderId": fo, "fulfillmentOrderLineItems": []}], "lines": None,
        "input": {
            "OrderUpdate": {"id": order, "note": "n"}, "RefundCreate": {"orderId": order}, "ReturnRequest": returned,
            "ReturnApproveRequest": {"id": gid("Return")}, "ReturnProcess": {"returnId": gid("Return")},
            "ReturnDeclineRequest": {"id": gid("Return"), "declineReason": "OTHER"},
            "InventorySetQuantities": {"name": "available", "reason": "other",
                                       "quantities": [{**stock, "quantity": 4}]},
            "InventoryAdjustQuantities": {"name": "available", "reason": "other", "changes": [{**stock, "delta": 1}]},
            "DraftOrderCreate": {"lineItems": [{"title": "x", "quantity": 1}]}, "DraftOrderUpdate": {"note": "n"},
            "DraftOrderDelete": {"id": "gid://shopify/DraftOrder/1"},
            "StagedUploadsCreate": [{"resource": "BULK_MUTATION_VARIABLES", "filename": "bulk_op_vars",
                                     "mimeType": "text/jsonl", "httpMethod": "POST"}]}.get(name),
        "topic": "ORDERS_CREATE", "sub": {"uri": "https://gateway.example/hooks"}, "mutation": "mutation { x }",
        "path": "p",
        "assignmentStatus": None}
    if name == "SuggestedRefund":
        known["lines"] = [{"lineItemId": line, "quantity": 1}]
    if name == "BulkQuery":
        known["query"] = "{ orders { edges { node { id } } } }"
    return known


def asked(text, known):
    """Of the known values, those that the document declares."""
    return {name: value for name, value in known.items() if f"${name}:" in text}


def test_each_document_is_answered_over_the_wire(desk):
    refused = {}
    with Process("shopify_admin", "--points", 100_000) as process:
        process.call("POST", "orders", {"count": 2})
        process.call("POST", "do", {"operation": "FulfillmentServiceCreate", "variables": {"name": "Supplier North"}})
        for name, text in operations().items():
            status, _, body = request(process.url, "POST", "/admin/api/2026-10/graphql.json", {
                "query": text, "variables": asked(text, variables(desk, name))},
                {"X-Shopify-Access-Token": "sandbox-admin-token"})
            answer = json.loads(body)
            assert status == 200 and "cost" in answer["extensions"], (name, answer)
            refused[name] = [one["extensions"]["code"] for one in answer.get("errors", [])]
        assert {code for codes in refused.values() for code in codes} <= {"RESOURCE_NOT_FOUND"}, refused
        assert process.books()["crashes"] == []


def test_each_document_is_answered_in_a_shop_that_has_lived(desk):
    for name, text in operations().items():
        if "ulk" in name or "Webhook" in name or "Staged" in name:
            continue  # of the wire
        answer = desk.answer(text, **asked(text, variables(desk, name)))
        codes = [one["extensions"]["code"] for one in answer.get("errors", [])]
        assert set(codes) <= {"RESOURCE_NOT_FOUND"}, (name, answer)


# ---- the fields ----

GIVEN = {"inventoryItemId": "gid://shopify/InventoryItem/1", "locationId": f"{MAIN_LOCATION}",
         "names": ["available", "incoming"],
         "key": "erp"}
COMPOSITE = (GraphQLObjectType, GraphQLInterfaceType, GraphQLUnionType)


def selection(kind, depth):
    """A selection of all fields of a type, two levels of objects deep; connections by a page of two."""
    out = []
    for name, field in getattr(kind, "fields", {}).items():
        inner = bare(field.type)
        if inner.name in ("QueryRoot",):
            continue
        args = {arg: GIVEN[arg] for arg, of in field.args.items() if isinstance(of.type, GraphQLNonNull)}
        if inner.name.endswith("Connection"):
            args["first"] = 2
        text = name + ("(" + ", ".join(f"{arg}: {json.dumps(value)}" for arg, value in args.items()) + ")" if args
                       else "")
        if isinstance(inner, COMPOSITE):
            if inner.name.endswith("Connection"):
                of = bare(inner.fields["nodes"].type)
                text += " { nodes { " + (selection(of, depth - 1) if depth
                                         else "__typename") + " } pageInfo { hasNextPage } }"
            elif isinstance(inner, (GraphQLUnionType, GraphQLInterfaceType)) or not depth:
                text += " { __typename }"
            else:
                text += " { " + (selection(inner, depth - 1) or "__typename") + " }"
        out.append(text)
    return " ".join(out) or "__typename"


def test_every_field_of_everything_in_the_shop_has_an_answer(desk):
    """Whoever adds a field to the schema has to say what it is; a field that is there for no reason is found here."""
    seen = set()
    desk.engine.bucket.set(maximum=10 ** 9, left=10 ** 9)
    for kind_name, things in list(desk.shop.kinds.items()):
        kind = desk.engine.schema.get_type(kind_name)
        if kind is None or not any(one.name == "Node" for one in kind.interfaces):
            continue
        seen.add(kind_name)
        for name, field in kind.fields.items():
            piece = selection(type("One", (), {"fields": {name: field}}), 1)
            for id in list(things)[:3]:
                answer = desk.answer(f'query {{ node(id: "{id}") {{ ... on {kind_name} {{ {piece} }} }} }}')
                assert "errors" not in answer, (kind_name, name, answer)
    assert {"Order", "LineItem", "Fulfillment", "FulfillmentOrder", "Refund", "Return", "ReturnLineItem", "DraftOrder",
            "ProductVariant", "InventoryLevel", "Location", "Metafield", "OrderTransaction", "FulfillmentEvent"} <= seen


def test_the_shop_itself_has_all_its_fields(desk):
    for name in ("shop", "currentAppInstallation"):
        kind = bare(desk.engine.schema.get_query_type().fields[name].type)
        desk.ask(f"query {{ {name} {{ {selection(kind, 2)} }} }}")
