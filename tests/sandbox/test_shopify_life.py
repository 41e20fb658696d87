"""An order's whole life, told by webhooks and asked by GraphQL: both say the same at each step."""

import datetime
import json
import time

import pytest

from sandbox.client import Process, request
from sandbox.hook_receiver import Hooks
from sandbox.shopify_desk import ADDRESS, operations
from sandbox.shopify_schema import DATA

TOKEN, MAIN = "sandbox-admin-token", "gid://shopify/Location/70000000101"
SOURCES = ("ORDERS_", "REFUNDS_", "RETURNS_", "ORDER_TRANSACTIONS_", "FULFILLMENT", "DRAFT_ORDERS_",
           "INVENTORY_LEVELS_UPDATE")
ASKED = """query($id: ID!) { order(id: $id) { id name email updatedAt createdAt cancelledAt displayFinancialStatus
  displayFulfillmentStatus tags note totalPriceSet { shopMoney { amount currencyCode } }
  currentTotalPriceSet { shopMoney { amount } }
  lineItems(first: 20) { nodes { id sku quantity currentQuantity fulfillableQuantity } }
  fulfillments(first: 10) { id status trackingInfo(first: 5) { company number url } }
  transactions(first: 10) { id kind status } } }"""
OPERATIONS = operations()


@pytest.fixture(scope="module")
def process():
    with Process("shopify_admin", "--clock", 0.0001, "--connect-s", 30, "--total-s", 60) as running:
        yield running


@pytest.fixture
def hooks():
    with Hooks() as running:
        yield running


@pytest.fixture
def shop(process, hooks):
    """A shop that tells everything about orders to one address, with a place of its own and a service."""
    process.reset()
    process.call("POST", "webhooks", {"routes": {"*": hooks.url}})
    topics = [one.strip() for one in (DATA / "shopify-wire.graphql").read_text().partition(
        "enum WebhookSubscriptionTopic {")[2].partition("}")[0].split()]
    process.call("POST", "subscriptions", [{"topic": one, "uri": "https://gw.example.com/in/shop"}
                                           for one in topics if one.startswith(SOURCES)])
    return process


def ask(shop, document, **variables):
    _, _, text = request(shop.url, "POST", "/admin/api/2026-10/graphql.json",
                         {"query": OPERATIONS.get(document, document), "variables": variables},
                         {"X-Shopify-Access-Token": TOKEN})
    said = json.loads(text)
    assert "errors" not in said, said
    data = said["data"][next(iter(said["data"]))]
    assert not (data or {}).get("userErrors"), data
    return data


def told(shop, hooks):
    """What was told since the last time: [(topic, body, headers)] in the order of its happening."""
    assert shop.call("POST", "settle", {"timeout_s": 60})["settled"]
    arrived = {headers["X-Shopify-Webhook-Id"]: (body, headers) for _, headers, body in hooks.got}
    known = shop.call("GET", "webhooks")["deliveries"]
    out = [(one["topic"], json.loads(arrived[one["webhook_id"]][0]), arrived[one["webhook_id"]][1])
           for one in known if one["webhook_id"] in arrived]
    hooks.got.clear()
    return out


def instant(text):
    return text and datetime.datetime.fromisoformat(text.replace("Z", "+00:00"))


STATUS = {None: {"UNFULFILLED", "IN_PROGRESS", "PENDING_FULFILLMENT", "ON_HOLD", "REQUEST_DECLINED", "OPEN"},
          "partial": {"PARTIALLY_FULFILLED"}, "fulfilled": {"FULFILLED"}, "restocked": {"RESTOCKED"}}


def same(body, order):
    """An order's webhook and its GraphQL say the same."""
    assert body["admin_graphql_api_id"] == order["id"] == f"gid://shopify/Order/{body['id']}"
    assert (body["name"], body["email"], body["note"]) == (order["name"], order["email"], order["note"])
    for ours, theirs in (("created_at", "createdAt"), ("updated_at", "updatedAt"), ("cancelled_at", "cancelledAt")):
        assert instant(body[ours]) == instant(order[theirs])
    assert body["financial_status"].upper() == order["displayFinancialStatus"]
    assert order["displayFulfillmentStatus"] in STATUS[body["fulfillment_status"]]
    assert [one for one in body["tags"].split(", ") if one] == order["tags"]
    assert body["total_price_set"]["shop_money"]["amount"] == order["totalPriceSet"]["shopMoney"]["amount"]
    assert body["current_total_price"] == order["currentTotalPriceSet"]["shopMoney"]["amount"]
    assert [(one["admin_graphql_api_id"], one["sku"], one["quantity"], one["current_quantity"],
             one["fulfillable_quantity"]) for one in body["line_items"]] == [
        (one["id"], one["sku"], one["quantity"], one["currentQuantity"], one["fulfillableQuantity"])
        for one in order["lineItems"]["nodes"]]
    assert [(one["admin_graphql_api_id"], one["status"].upper(), one["tracking_numbers"])
            for one in body["fulfillments"]] \
        == [(one["id"], one["status"], [info["number"] for info in one["trackingInfo"]])
            for one in order["fulfillments"]]


def check(shop, news, gid):
    """The last of each topic about the order agrees with what is asked now; levels and fulfilment orders too."""
    order = ask(shop, ASKED, id=gid)
    last = {topic: body for topic, body, _ in news}
    for topic, body in last.items():
        if topic.startswith("orders/"):
            same(body, order)
    levels = {body["admin_graphql_api_id"]: body for topic, body, _ in news if topic == "inventory_levels/update"}
    for id, body in levels.items():
        item, place = (f"gid://shopify/{kind}/{body[name]}" for kind, name in (
            ("InventoryItem", "inventory_item_id"), ("Location", "location_id")))
        level = ask(shop, """query($item: ID!, $place: ID!) { inventoryItem(id: $item) { inventoryLevel(locationId: $place)
            { id quantities(names: ["available"]) { quantity } } } }""", item=item, place=place)["inventoryLevel"]
        assert level == {"id": id, "quantities": [{"quantity": body["available"]}]}
    for topic, body, _ in news:
        if "fulfillment_order" in body:
            found = ask(shop, "FulfillmentOrderById", id=body["fulfillment_order"]["id"])
            assert found["orderId"] == gid and "order_id" not in json.dumps(body)
    assert shop.books()["crashes"] == []
    return order


def test_from_the_checkout_to_the_parcel(shop, hooks):
    nord = ask(shop, "FulfillmentServiceCreate", name="Supplier Nord", callbackUrl="https://gw.example.com/in/nord",
               trackingSupport=True, inventoryManagement=True)["fulfillmentService"]
    place = nord["location"]["id"]
    shop.call("POST", "variants", [{"sku": "GEAR", "stock": {MAIN: 10}}, {"sku": "PLATE", "stock": {place: 5}}])
    shop.call("POST", "settings", {"routing_ms": 60_000})
    gid, = shop.call("POST", "orders", {"lines": [
        {"sku": "GEAR", "quantity": 3, "price": "40.00"},
        {"sku": "PLATE", "quantity": 1, "price": "19.90", "service": nord["handle"]}], "email": "ada@example.com",
        "shipping_address": dict(ADDRESS)})["orders"]

    # The checkout: one happening.
    news = told(shop, hooks)
    assert [topic for topic, _, _ in news if topic.startswith("order")] == [
        "orders/create", "order_transactions/create", "orders/paid", "orders/updated"]
    assert len({headers["X-Shopify-Event-Id"] for _, _, headers in news}) == 1
    assert len({headers["X-Shopify-Webhook-Id"] for _, _, headers in news}) == len(news)
    order = check(shop, news, gid)
    payment = next(body for topic, body, _ in news if topic == "order_transactions/create")
    assert payment["order_id"] == int(gid.rpartition("/")[2]) and payment["amount"] == "139.90"
    assert [(payment["admin_graphql_api_id"], payment["kind"], payment["status"])] == [
        (one["id"], one["kind"].lower(), one["status"].lower()) for one in order["transactions"]]
    assert ask(shop, "FulfillmentOrdersOfOrder", id=gid)["fulfillmentOrders"]["nodes"] == []

    # A moment later it is routed: to the shop's own place, and to the service.
    shop.call("POST", "clock", {"advance_s": 61})
    news = told(shop, hooks)
    routed = [body["fulfillment_order"] for topic, body, _ in news if topic.endswith("order_routing_complete")]
    parts = ask(shop, "FulfillmentOrdersOfOrder", id=gid)["fulfillmentOrders"]["nodes"]
    assert routed == [{"id": one["id"], "status": "open"} for one in parts] and len(parts) == 2
    assert {body["available"] for topic, body, _ in news if topic == "inventory_levels/update"} == {7, 4}
    check(shop, news, gid)
    own = next(one for one in parts if one["assignedLocation"]["location"]["id"] == MAIN)
    theirs = next(one for one in parts if one["assignedLocation"]["location"]["id"] == place)

    # The service is asked: it hears of it by a call that names no order, and accepts.
    ask(shop, "FulfillmentOrderSubmitFulfillmentRequest", id=theirs["id"], message="please ship")
    shop.call("POST", "settle", {})
    calls = [json.loads(body) for path, _, body in hooks.got if path.endswith("/fulfillment_order_notification")]
    assert calls == [{"kind": "FULFILLMENT_REQUEST"}]
    news = told(shop, hooks)
    asked, = [body for topic, body, _ in news if topic.endswith("fulfillment_request_submitted")]
    assert asked["submitted_fulfillment_order"]["id"] == theirs["id"]
    assert asked["fulfillment_order_merchant_request"]["message"] == "please ship"
    waiting = ask(shop, "AssignedFulfillmentOrders", assignmentStatus="FULFILLMENT_REQUESTED")["nodes"]
    assert [one["id"] for one in waiting] == [theirs["id"]] and waiting[0]["orderId"] == gid
    ask(shop, "FulfillmentOrderAcceptFulfillmentRequest", id=theirs["id"], message="ok")
    news = told(shop, hooks)
    assert [body for topic, body, _ in news if topic.endswith("request_accepted")] == [{"fulfillment_order": {
        "id": theirs["id"], "status": "in_progress", "request_status": "accepted"}, "message": "ok"}]
    check(shop, news, gid)

    # The service ships, without a number at first; the shop asks it for one.
    ask(shop, "FulfillmentCreate", fulfillment={"lineItemsByFulfillmentOrder": [{"fulfillmentOrderId": theirs["id"]}]})
    news = told(shop, hooks)
    assert {"fulfillments/create", "orders/partially_fulfilled", "orders/updated"} <= {topic for topic, _, _ in news}
    name = next(body["name"] for topic, body, _ in news if topic == "fulfillments/create")
    check(shop, news, gid)
    hooks.replies = {"/fetch_tracking_numbers": json.dumps({"tracking_numbers": {name: "JD01"}, "success": True})}
    assert shop.call("POST", "services", {"what": "tracking"})["applied"] == {name: "JD01"}
    news = [one for one in told(shop, hooks)]
    assert next(body for topic, body, _ in news if topic == "fulfillments/update")["tracking_number"] == "JD01"
    check(shop, news, gid)

    # The shop ships in two parcels; then the order is fulfilled.
    line = own["lineItems"]["nodes"][0]
    for at, (quantity, topics) in enumerate(((2, {"orders/partially_fulfilled"}), (1, {"orders/fulfilled"}))):
        ask(shop, "FulfillmentCreate", fulfillment={
            "lineItemsByFulfillmentOrder": [{"fulfillmentOrderId": own["id"], "fulfillmentOrderLineItems": [
                {"id": line["id"], "quantity": quantity}]}],
            "trackingInfo": {"company": "DHL Express", "number": f"JD1{at}"}})
        news = told(shop, hooks)
        happened = {topic for topic, _, _ in news}
        assert topics | {"fulfillments/create", "orders/updated"} <= happened
        assert not happened & ({"orders/fulfilled", "orders/partially_fulfilled"} - topics)
        assert len({headers["X-Shopify-Event-Id"] for _, _, headers in news}) == 1
        order = check(shop, news, gid)
    assert order["displayFulfillmentStatus"] == "FULFILLED" and len(order["fulfillments"]) == 3
    parcel = news[[topic for topic, _, _ in news].index("fulfillments/create")][1]
    assert parcel["name"].startswith(order["name"] + ".") and parcel["order_id"] == int(gid.rpartition("/")[2])
    assert parcel["line_items"][0]["quantity"] == 1 and "current_quantity" not in parcel["line_items"][0]

    # The carrier tells of its way.
    event = ask(shop, "FulfillmentEventCreate", fulfillmentEvent={
        "fulfillmentId": parcel["admin_graphql_api_id"], "status": "DELIVERED"})["fulfillmentEvent"]
    news = told(shop, hooks)
    body, = [body for topic, body, _ in news if topic == "fulfillment_events/create"]
    assert (body["id"], body["status"], body["order_id"]) == (
        int(event["id"].rpartition("/")[2]), "delivered", parcel["order_id"])
    assert next(body for topic, body, _ in news if topic == "fulfillments/update")["shipment_status"] == "delivered"
    check(shop, news, gid)


def test_holds_splits_moves_and_progress_are_told_as_published(shop, hooks):
    other, = shop.call("POST", "locations", [{"name": "Harbour"}])["locations"]
    gid, = shop.call("POST", "orders", {"lines": [{"sku": "GEAR", "quantity": 4}]})["orders"]
    part, = ask(shop, "FulfillmentOrdersOfOrder", id=gid)["fulfillmentOrders"]["nodes"]
    line = part["lineItems"]["nodes"][0]["id"]
    told(shop, hooks)

    def news_of(document, **variables):
        said = ask(shop, document, **variables)
        news = told(shop, hooks)
        check(shop, news, gid)
        return said, {topic: body for topic, body, _ in news}

    said, news = news_of("FulfillmentOrderHold", id=part["id"], fulfillmentHold={
        "reason": "OTHER", "reasonNotes": "credit check", "handle": "credit"})
    body = news["fulfillment_orders/placed_on_hold"]
    assert body["fulfillment_order"]["status"] == "on_hold" and body["remaining_fulfillment_order"] is None
    assert body["held_fulfillment_order_line_items"] == [{"id": line, "quantity": 4}]
    assert body["created_fulfillment_hold"]["id"] == said["fulfillmentHold"]["id"]
    assert body["created_fulfillment_hold"]["handle"] == "credit" and body["created_fulfillment_hold"]["reason"] == "other"
    assert news["fulfillment_holds/added"]["fulfillment_hold"]["id"] == said["fulfillmentHold"]["id"]
    _, news = news_of("FulfillmentOrderHold", id=part["id"], fulfillmentHold={"reason": "OTHER", "handle": "second"})
    assert "fulfillment_holds/added" in news and "fulfillment_orders/placed_on_hold" not in news  # the first hold only
    _, news = news_of("FulfillmentOrderReleaseHold", id=part["id"], holdIds=[said["fulfillmentHold"]["id"]])
    assert "fulfillment_holds/released" in news and "fulfillment_orders/hold_released" not in news  # the last one only
    _, news = news_of("FulfillmentOrderReleaseHold", id=part["id"])
    assert news["fulfillment_orders/hold_released"] == {"fulfillment_order": {"id": part["id"], "status": "open"}}

    said, news = news_of("FulfillmentOrderSplit", splits=[{
        "fulfillmentOrderId": part["id"], "fulfillmentOrderLineItems": [{"id": line, "quantity": 1}]}])
    fresh = said["fulfillmentOrderSplits"][0]["remainingFulfillmentOrder"]["id"]
    body = news["fulfillment_orders/split"]
    assert body["remaining_fulfillment_order"] == {"id": fresh, "status": "open"}
    assert body["replacement_fulfillment_order"] is None and [one["quantity"]
                                                              for one in body["split_line_items"]] == [1]
    said, news = news_of("FulfillmentOrderMove", id=fresh, newLocationId=other, lines=None)
    body = news["fulfillment_orders/moved"]
    assert body["destination_location_id"] == other and body["source_location"] == {"id": MAIN}
    assert body["moved_fulfillment_order"]["assigned_location_id"] == other
    said, news = news_of("FulfillmentOrderCancel", id=fresh)
    assert news["fulfillment_orders/cancelled"] == {
        "fulfillment_order": {"id": fresh, "status": "cancelled"},
        "replacement_fulfillment_order": {"id": said["replacementFulfillmentOrder"]["id"], "status": "open"}}
    _, news = news_of("""mutation($id: ID!) { fulfillmentOrderReportProgress(id: $id, progressReport: {reasonNotes: "cutting"})
        { fulfillmentOrder { id } userErrors { message } } }""", id=part["id"])
    body = news["fulfillment_orders/progress_reported"]
    assert (body["progress_report"]["reason_notes"], body["initial_status"]) == ("cutting", "open")
    _, news = news_of("mutation($id: ID!) { fulfillmentOrderOpen(id: $id) { fulfillmentOrder { id } userErrors { message } } }",
                      id=part["id"])
    assert news["fulfillment_orders/manually_reported_progress_stopped"]["fulfillment_order"]["status"] == "open"


def test_a_refund_and_a_cancellation_are_told(shop, hooks):
    shop.call("POST", "variants", [{"sku": "GEAR", "stock": {MAIN: 10}}])
    gid, other = (shop.call("POST", "orders",
                            {"lines": [{"sku": "GEAR", "quantity": 4, "price": "10.00"}]})["orders"][0]
                  for _ in range(2))
    told(shop, hooks)
    order = ask(shop, ASKED, id=gid)
    ask(shop, "RefundCreate", key="k-1", input={
        "orderId": gid, "note": "damaged", "refundLineItems": [{
            "lineItemId": order["lineItems"]["nodes"][0]["id"], "quantity": 1, "restockType": "CANCEL",
            "locationId": MAIN}],
        "transactions": [{"orderId": gid, "gateway": "shopify_payments", "kind": "REFUND", "amount": "10.00",
                          "parentId": order["transactions"][0]["id"]}]})
    news = told(shop, hooks)
    order = check(shop, news, gid)
    refund, = [body for topic, body, _ in news if topic == "refunds/create"]
    assert refund["order_id"] == int(gid.rpartition("/")[2]) and refund["restock"] is True
    row, = refund["refund_line_items"]
    assert (row["quantity"], row["restock_type"], row["subtotal"], row["location_id"]) == (1, "cancel", 10.0,
                                                                                           70000000101)
    assert isinstance(row["total_tax"], float) and row["subtotal_set"]["shop_money"]["amount"] == "10.00"
    assert "current_quantity" not in row["line_item"]
    assert (order["displayFinancialStatus"],
            order["lineItems"]["nodes"][0]["currentQuantity"]) == ("PARTIALLY_REFUNDED", 3)
    last = [body for topic, body, _ in news if topic == "orders/updated"][-1]
    assert last["refunds"] == [refund] and last["current_total_price"] == "30.00" and last["total_price"] == "40.00"
    money, = [body for topic, body, _ in news if topic == "order_transactions/create"]
    assert (money["kind"], money["amount"], money["id"]) == ("refund", "10.00", refund["transactions"][0]["id"])

    ask(shop, "OrderCancel", orderId=other, reason="INVENTORY", restock=True,
        refundMethod={"originalPaymentMethodsRefund": True})
    end = time.monotonic() + 30
    while ask(shop, ASKED, id=other)["cancelledAt"] is None and time.monotonic() < end:
        time.sleep(0.01)
    news = told(shop, hooks)
    check(shop, news, other)
    body, = [body for topic, body, _ in news if topic == "orders/cancelled"]
    assert body["cancelled_at"] and body["cancel_reason"] == "inventory" and body["financial_status"] == "refunded"
    assert body["line_items"][0]["fulfillable_quantity"] == 0


def test_returns_are_told_with_the_order_here_an_object_and_there_a_number(shop, hooks):
    gid, = shop.call("POST", "orders", {"lines": [{"sku": "GEAR", "quantity": 2, "price": "10.00"}]})["orders"]
    part, = ask(shop, "FulfillmentOrdersOfOrder", id=gid)["fulfillmentOrders"]["nodes"]
    ask(shop, "FulfillmentCreate", fulfillment={"lineItemsByFulfillmentOrder": [{"fulfillmentOrderId": part["id"]}]})
    item, = ask(shop, "ReturnableFulfillments", orderId=gid)["nodes"][0]["returnableFulfillmentLineItems"]["nodes"]
    told(shop, hooks)
    samples = json.loads((DATA / "shopify-webhook.samples.json").read_text())["samples"]
    number = int(gid.rpartition("/")[2])

    def happens(topic, document, **variables):
        said = ask(shop, document, **variables)["return"]
        news = told(shop, hooks)
        check(shop, news, gid)
        body, = [body for name, body, _ in news if name == topic]
        assert body["admin_graphql_api_id"] == said["id"] and body["status"] == said["status"].lower()
        assert (body.get("order") or {"id": body.get("order_id")})["id"] == number
        if topic in samples:
            assert set(body) == set(samples[topic])
        return said["id"], body

    def asked():
        return happens("returns/request", "ReturnRequest", input={"orderId": gid, "returnLineItems": [{
            "fulfillmentLineItemId": item["fulfillmentLineItem"]["id"], "quantity": 1, "returnReason": "DEFECTIVE",
            "customerNote": "chipped"}]})

    made, body = asked()
    line, = body["return_line_items"]
    assert (line["return_reason"], line["customer_note"], body["status"]) == ("defective", "chipped", "requested")
    assert line["fulfillment_line_item"]["admin_graphql_api_id"] == item["fulfillmentLineItem"]["id"]
    _, body = happens("returns/decline", "ReturnDeclineRequest",
                      input={"id": made, "declineReason": "RETURN_PERIOD_ENDED",
                                                                        "declineNote": "30 days passed"})
    assert body["decline"] == samples["returns/decline"]["decline"]
    made, _ = asked()
    _, body = happens("returns/approve", "ReturnApproveRequest", input={"id": made})
    assert body["status"] == "open" and body["order"]["admin_graphql_api_id"] == gid
    happens("returns/close", "ReturnClose", id=made)
    _, body = happens("returns/reopen", "ReturnReopen", id=made)
    assert body["order_id"] == number and "order" not in body
    _, body = happens("returns/cancel", "ReturnCancel", id=made)
    assert body["status"] == "canceled"


def test_an_order_is_told_whole(shop, hooks):
    """All published keys of an order and of its lines, however it came in."""
    sample = json.loads((DATA / "shopify-order.sample.json").read_text())
    shop.call("POST", "orders", {"lines": [{"sku": "GEAR"}]})
    shop.call("POST", "orders", {"seed": 6})
    bodies = [body for topic, body, _ in told(shop, hooks) if topic == "orders/create"]
    assert len(bodies) == 2 and len(sample) == 93
    for body in bodies:
        assert set(body) == set(sample) and set(body["line_items"][0]) == set(sample["line_items"][0])


def test_each_body_has_the_published_keys(shop, hooks):
    """Whatever was told has no key that the samples lack, and lacks none of theirs."""
    nord = ask(shop, "FulfillmentServiceCreate", name="Nord", callbackUrl=None)["fulfillmentService"]
    shop.call("POST", "variants", [{"sku": "GEAR", "stock": {nord["location"]["id"]: 9}}])
    gid, = shop.call("POST", "orders", {"lines": [{"sku": "GEAR", "quantity": 2, "service": nord["handle"]}]})["orders"]
    part, = ask(shop, "FulfillmentOrdersOfOrder", id=gid)["fulfillmentOrders"]["nodes"]
    ask(shop, "FulfillmentOrderHold", id=part["id"], fulfillmentHold={"reason": "OTHER", "handle": "h"})
    ask(shop, "FulfillmentOrderReleaseHold", id=part["id"])
    for document in ("SubmitFulfillmentRequest", "RejectFulfillmentRequest", "SubmitFulfillmentRequest",
                     "AcceptFulfillmentRequest", "SubmitCancellationRequest", "RejectCancellationRequest"):
        ask(shop, "FulfillmentOrder" + document, id=part["id"])
    made = ask(shop, "FulfillmentCreate", fulfillment={"lineItemsByFulfillmentOrder": [
        {"fulfillmentOrderId": part["id"]}]})["fulfillment"]
    ask(shop, "FulfillmentEventCreate", fulfillmentEvent={"fulfillmentId": made["id"], "status": "IN_TRANSIT"})
    line = ask(shop, ASKED, id=gid)["lineItems"]["nodes"][0]["id"]
    ask(shop, "RefundCreate", key="k-2", input={"orderId": gid, "refundLineItems": [
        {"lineItemId": line, "quantity": 1, "restockType": "NO_RESTOCK"}]})
    ask(shop, "DraftOrderCreate", input={"email": "b@example.com", "lineItems": [{"title": "Setup", "quantity": 1}]})
    samples = json.loads((DATA / "shopify-webhook.samples.json").read_text())["samples"]
    news = told(shop, hooks)
    seen = {topic: body for topic, body, _ in news if topic in samples}
    assert len(seen) >= 13 and {"refunds/create", "inventory_levels/update"} <= set(seen)
    trimmed = samples["draft_orders/update"]
    draft, = [body for topic, body, _ in news if topic == "draft_orders/create"]
    assert trimmed.pop("_trimmed") and set(trimmed) <= set(draft)
    for topic, body in seen.items():
        assert shape(body) == shape(samples[topic]), topic


def shape(value, depth=2):
    """The keys of a body and of what is in it; objects that may be null, and lists, are not looked into."""
    if not isinstance(value, dict) or not depth:
        return None
    return {name: shape(one, depth - 1) if name in ("fulfillment_order", "fulfillment_hold") and depth == 2 else None
            for name, one in value.items()}
