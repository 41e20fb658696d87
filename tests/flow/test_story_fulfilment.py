"""An order goes to a supplier, its tracking comes back, and the shop's order is fulfilled: in parts, from two
locations, told twice, with answers that are torn - and never a parcel twice."""

import copy
import hashlib
import hmac
import json

import pytest

from flow.harness import BYRON_TOKEN, ROOT, SHOP, build_example, wait_until
from sandbox.client import Process, request

WEBHOOK_SECRET = "what the supplier signs with"
ADMIN_TOKEN = "sandbox-admin-token"
QUICK = {"retry": {"first": "50ms", "cap": "300ms"}, "breaker": {"min_calls": 1000}, "confirm": {"after": "100ms"},
         "timeout": {"first_byte": "2s", "total": "4s"}}
STATE = """query($id: ID!) { order(id: $id) { displayFulfillmentStatus
  fulfillments(first: 10) { id status trackingInfo(first: 5) { company number url } location { id }
    fulfillmentLineItems(first: 10) { nodes { quantity lineItem { sku } } }
    events(first: 10) { nodes { status happenedAt } } }
  fulfillmentOrders(first: 10) { nodes { id status assignedLocation { location { id } }
    fulfillmentHolds { handle heldByRequestingApp } lineItems(first: 10) { nodes { id sku remainingQuantity } } } } } }"""


@pytest.fixture(scope="module")
def shop_process():
    with Process("shopify_admin", "--token", ADMIN_TOKEN, "--points", 20000, "--restore", 1000) as running:
        yield running


@pytest.fixture
def shop(shop_process):
    shop_process.reset()
    shop_process.call("POST", "variants", [{"sku": sku, "price": "2.50"} for sku in ("GEAR", "PLATE", "BOLT")])
    return shop_process


def map_of(name):
    return {"file": str(ROOT / "conf" / "maps" / name)}


@pytest.fixture
def gateway(make_gateway, shop, byron, tmp_path):
    gateway = make_gateway({
        "endpoints": {
            "acme-shop": {"adapter": "shopify", "shop": SHOP, "webhook_secret": {"env": "DEMO_SHOPIFY_SECRET"},
                          **copy.deepcopy(QUICK),
                          "admin": {"version": "2026-10", "token": {"env": "SHOPIFY_ADMIN_TOKEN"}, "url": shop.url,
                                    "settle": "500ms"}},
            "hello": {"adapter": "hello-supplier", "base_url": byron.url, "token": {"env": "HELLO_TOKEN"},
                      "webhook_secret": {"env": "HELLO_WEBHOOKS"}, **copy.deepcopy(QUICK)}},
        "routes": [
            {"name": "order-to-supplier", "from": {"endpoint": "acme-shop", "topic": "orders/create"},
             "map": "{reference: .id, recipient: {name: .name}, items: [.line_items[] | {sku, quantity}]}",
             "to": {"endpoint": "hello", "action": "order.submit"}},
            {"name": "parcel-to-shop", "from": {"endpoint": "hello", "topic": "order/shipped"},
             "map": map_of("supplier-shipment-to-fulfillment.jq"),
             "to": {"endpoint": "acme-shop", "action": "fulfillment.create", "carriers": {"PAKET": "DHL"},
                    "notify": True}},
            {"name": "way-to-shop", "from": {"endpoint": "hello", "topic": "order/under_way"},
             "map": map_of("supplier-delivery-to-event.jq"),
             "to": {"endpoint": "acme-shop", "action": "fulfillment.event"}}]},
        {"SHOPIFY_ADMIN_TOKEN": ADMIN_TOKEN, "HELLO_TOKEN": BYRON_TOKEN, "HELLO_WEBHOOKS": WEBHOOK_SECRET},
        plugins=[build_example(tmp_path)])
    shop.call("POST", "webhooks", {"routes": {"*": gateway.url}})
    shop.call("POST", "subscriptions", [{"topic": "orders/create", "uri": "https://gw.example.com/in/acme-shop"}])
    return gateway


# ---- who takes part ----


def graphql(shop, document, **variables):
    status, _, text = request(shop.url, "POST", "/admin/api/2026-10/graphql.json",
                              {"query": document, "variables": variables}, {"X-Shopify-Access-Token": ADMIN_TOKEN})
    answer = json.loads(text)
    assert status == 200 and "errors" not in answer, answer
    return answer["data"]


def state(shop, order):
    return graphql(shop, STATE, id=order)["order"]


def buy(gateway, shop, byron, **skus):
    """Buys, and waits until the supplier has the order: its global id, and what the supplier was told."""
    known = len(byron.books()["orders"])
    order, = shop.call("POST", "orders", {"lines": [{"sku": sku, "quantity": n} for sku, n in skus.items()]})["orders"]
    wait_until(lambda: len(byron.books()["orders"]) == known + 1, "the supplier has it")
    return order, byron.books()["orders"][-1]


def tell(gateway, told, event, topic="order/shipped", **words):
    """The supplier's webhook: the reference is what it was given with the order."""
    body = json.dumps({"external_id": told["our_id"], "reference": told["body"]["reference"], **words}).encode()
    headers = {"X-Topic": topic, "X-Event-Id": event,
               "X-Signature": hmac.new(WEBHOOK_SECRET.encode(), body, hashlib.sha256).hexdigest()}
    assert request(gateway.url, "POST", "/in/hello", body, headers)[0] == 200


def parcel(number, carrier="DHL Express", **skus):
    return {"carrier": carrier, "tracking_number": number,
            "items": [{"sku": sku, "quantity": n} for sku, n in skus.items()]}


def held_by(fulfillment):
    return {one["lineItem"]["sku"]: one["quantity"] for one in fulfillment["fulfillmentLineItems"]["nodes"]}


def parcels(shop, order):
    """[(number, {sku: quantity})] of all that counts."""
    return sorted(((one["trackingInfo"][0]["number"], held_by(one)) for one in state(shop, order)["fulfillments"]
                   if one["status"] == "SUCCESS"), key=str)


def done(gateway, count):
    wait_until(lambda: gateway.states("acme-shop") == {"delivered": count} and gateway.settled())


# ---- stories ----


def test_what_the_supplier_ships_in_parts_is_fulfilled_part_by_part(gateway, shop, byron):
    order, told = buy(gateway, shop, byron, GEAR=3, PLATE=1)
    tell(gateway, told, "e1", **parcel("JD01", GEAR=2))
    done(gateway, 1)
    assert parcels(shop, order) == [("JD01", {"GEAR": 2})]
    assert state(shop, order)["displayFulfillmentStatus"] == "PARTIALLY_FULFILLED"
    made = state(shop, order)["fulfillments"][0]
    assert made["trackingInfo"][0]["company"] == "DHL Express" and "JD01" in made["trackingInfo"][0]["url"]
    delivered = gateway.delivery(endpoint="acme-shop")
    assert delivered["reference"] == made["id"]

    # the rest: another carrier's name of the supplier's own, and a number without quotes
    tell(gateway, told, "e2", shipment={**parcel(4711, carrier="PAKET", GEAR=1), "items": [
        {"sku": "GEAR", "quantity": 1}, {"sku": "PLATE", "quantity": 1}]})
    done(gateway, 2)
    assert parcels(shop, order) == [("4711", {"GEAR": 1, "PLATE": 1}), ("JD01", {"GEAR": 2})]
    shown = state(shop, order)
    assert shown["displayFulfillmentStatus"] == "FULFILLED"
    assert {one["trackingInfo"][0]["company"] for one in shown["fulfillments"]} == {"DHL Express", "DHL"}

    # the supplier tells all of it again, under other ids, and the way of one parcel twice
    tell(gateway, told, "e3", **parcel("JD01", GEAR=2))
    for event in ("e4", "e5"):
        tell(gateway, told, event, topic="order/under_way", tracking_number="JD01", status="in_transit",
             at="2026-11-20T10:00:00+01:00", city="Leeds")
    done(gateway, 5)
    assert len(state(shop, order)["fulfillments"]) == 2
    events = [one["events"]["nodes"] for one in state(shop, order)["fulfillments"]]
    assert sorted(len(one) for one in events) == [0, 1]


@pytest.mark.parametrize("action", ["cut_after", "torn", "hang_after", "cut_late", "status_after"])
def test_a_torn_answer_makes_no_second_parcel(gateway, shop, byron, action):
    order, told = buy(gateway, shop, byron, GEAR=4)
    shop.fault(action=action, at="graphql", body_match="fulfillmentCreate", count=1, ms=400)
    tell(gateway, told, "e1", **parcel("JD01", GEAR=2))
    tell(gateway, told, "e2", **parcel("JD01", GEAR=2))  # the same parcel, told twice meanwhile
    done(gateway, 2)
    assert parcels(shop, order) == [("JD01", {"GEAR": 2})]
    assert state(shop, order)["displayFulfillmentStatus"] == "PARTIALLY_FULFILLED"


def test_two_suppliers_events_of_one_parcel_at_once_make_one_of_it(gateway, shop, byron):
    """They are about different things of the supplier's, so nothing but the shop's order keeps them apart."""
    order, told = buy(gateway, shop, byron, GEAR=20)
    shop.fault(action="slow", at="graphql", ms=100)
    for n in range(6):
        tell(gateway, {**told, "our_id": f"batch-{n}"}, f"e{n}", **parcel("JD01", GEAR=2))
    done(gateway, 6)
    assert parcels(shop, order) == [("JD01", {"GEAR": 2})]


def test_a_kill_in_the_middle_makes_no_second_parcel(gateway, shop, byron):
    order, told = buy(gateway, shop, byron, GEAR=4)
    shop.fault(action="hang_after", at="graphql", body_match="fulfillmentCreate", count=1)
    tell(gateway, told, "e1", **parcel("JD01", GEAR=2))
    wait_until(lambda: len(state(shop, order)["fulfillments"]) == 1, "the shop has done it")
    gateway.kill9()
    gateway.start()
    done(gateway, 1)
    assert parcels(shop, order) == [("JD01", {"GEAR": 2})]


def test_a_parcel_of_two_locations_is_a_fulfilment_in_each_and_a_lost_answer_repeats_neither(gateway, shop, byron):
    second, = shop.call("POST", "locations", [{"name": "Second"}])["locations"]
    order, told = buy(gateway, shop, byron, GEAR=2, PLATE=1)
    part, = state(shop, order)["fulfillmentOrders"]["nodes"]
    plate = next(one for one in part["lineItems"]["nodes"] if one["sku"] == "PLATE")
    graphql(shop, """mutation($id: ID!, $to: ID!, $lines: [FulfillmentOrderLineItemInput!]) {
        fulfillmentOrderMove(id: $id, newLocationId: $to, fulfillmentOrderLineItems: $lines) { userErrors { message } } }""",
            id=part["id"], to=second, lines=[{"id": plate["id"], "quantity": 1}])
    shop.fault(action="torn", at="graphql", body_match="fulfillmentCreate", count=1, skip=1)  # of the second call
    tell(gateway, told, "e1", **parcel("JD01", GEAR=2, PLATE=1))
    done(gateway, 1)
    assert parcels(shop, order) == [("JD01", {"GEAR": 2}), ("JD01", {"PLATE": 1})]
    assert len({one["location"]["id"] for one in state(shop, order)["fulfillments"]}) == 2
    assert state(shop, order)["displayFulfillmentStatus"] == "FULFILLED"


def test_routing_that_is_not_finished_is_waited_for(gateway, shop, byron):
    shop.call("POST", "settings", {"routing_ms": 3000})
    order, told = buy(gateway, shop, byron, GEAR=1)
    tell(gateway, told, "e1", **parcel("JD01", GEAR=1))
    wait_until(lambda: gateway.states("acme-shop") == {"waiting": 1})
    assert "routing is not finished" in gateway.delivery(endpoint="acme-shop")["moves"][-1]["reason"]
    shop.call("POST", "settings", {"routing_ms": 0})
    shop.call("POST", "clock", {"advance_s": 5})
    done(gateway, 1)
    assert parcels(shop, order) == [("JD01", {"GEAR": 1})]


def test_a_hold_is_a_persons_and_what_was_done_by_hand_gets_the_number(gateway, shop, byron):
    order, told = buy(gateway, shop, byron, GEAR=1)
    part, = state(shop, order)["fulfillmentOrders"]["nodes"]
    graphql(shop, """mutation($id: ID!) { fulfillmentOrderHold(id: $id, fulfillmentHold: { reason: HIGH_RISK_OF_FRAUD }) {
        userErrors { message } } }""", id=part["id"])
    tell(gateway, told, "e1", **parcel("JD01", GEAR=1))
    wait_until(lambda: gateway.states("acme-shop") == {"held": 1})
    held = gateway.delivery(endpoint="acme-shop")
    assert "is on hold (HIGH_RISK_OF_FRAUD" in held["reason"]
    # somebody releases it and fulfils it by hand, without a number; then lets the delivery go on
    graphql(shop, "mutation($id: ID!) { fulfillmentOrderReleaseHold(id: $id) { userErrors { message } } }",
            id=part["id"])
    graphql(shop, """mutation($id: ID!) { fulfillmentCreate(fulfillment: { lineItemsByFulfillmentOrder: [
        { fulfillmentOrderId: $id }] }) { userErrors { message } } }""", id=part["id"])
    gateway.decide("release", held["id"])
    done(gateway, 1)
    assert parcels(shop, order) == [("JD01", {"GEAR": 1})]


def test_a_cancelled_order_and_an_unknown_sku_are_dead_letters_with_their_reasons(gateway, shop, byron):
    order, told = buy(gateway, shop, byron, GEAR=1)
    tell(gateway, told, "e1", **parcel("JD01", BOLT=1))
    wait_until(lambda: gateway.states("acme-shop") == {"dead": 1})
    assert gateway.delivery(endpoint="acme-shop")["reason"] == \
        "lines[0] (SKU BOLT): the order has no such line; it has GEAR"
    graphql(shop, """mutation($id: ID!) { orderCancel(orderId: $id, reason: CUSTOMER, restock: true,
        refundMethod: { originalPaymentMethodsRefund: true }) { orderCancelUserErrors { message } } }""", id=order)
    shop.call("POST", "clock", {"advance_s": 60})
    wait_until(lambda: graphql(shop, "query($id: ID!) { order(id: $id) { cancelledAt } }",
                               id=order)["order"]["cancelledAt"])
    tell(gateway, told, "e2", **parcel("JD02", GEAR=1))
    wait_until(lambda: gateway.states("acme-shop") == {"dead": 2})
    reasons = [gateway.get(f"/v1/deliveries/{one['id']}")["reason"] for one in gateway.deliveries(endpoint="acme-shop")]
    assert sum(one.startswith("the order was cancelled at ") for one in reasons) == 1
    assert parcels(shop, order) == []


def test_fulfillment_orders_are_held_moved_and_released_once_each(gateway, shop, byron):
    """What fraud checks and suppliers say, for all fulfillment orders of an order; told twice, done once."""
    second, = shop.call("POST", "locations", [{"name": "Second"}])["locations"]
    body = 'del(.external_id, .reference) + {order_id: .reference}'
    gateway.config["routes"] = [gateway.config["routes"][0]] + [
        {"name": action.replace("_", "-"), "from": {"endpoint": "hello", "topic": f"do/{action}"}, "map": body,
         "to": {"endpoint": "acme-shop", "action": f"fulfillment_order.{action}"}}
        for action in ("hold", "release", "move", "split", "report_progress")]
    gateway.write()
    gateway.restart()
    order, told = buy(gateway, shop, byron, GEAR=2, PLATE=1)

    def parts():
        return [one for one in state(shop, order)["fulfillmentOrders"]["nodes"] if one["status"] != "CLOSED"]

    shop.fault(action="torn", at="graphql", body_match="mutation FulfillmentOrderHold", count=1)
    for event in ("h1", "h2"):
        tell(gateway, told, event, topic="do/hold", handle="fraud", reason="HIGH_RISK_OF_FRAUD")
    done(gateway, 2)
    part, = parts()
    assert part["status"] == "ON_HOLD" and [one["handle"] for one in part["fulfillmentHolds"]] == ["fraud"]
    for event in ("r1", "r2"):
        tell(gateway, told, event, topic="do/release", handle="fraud")
    done(gateway, 4)
    assert [one["status"] for one in parts()] == ["OPEN"]
    tell(gateway, told, "s1", topic="do/split", lines=[{"sku": "PLATE", "quantity": 1}])
    done(gateway, 5)
    assert len(parts()) == 2
    shop.fault(action="cut_after", at="graphql", body_match="mutation FulfillmentOrderMove", count=1)
    for event in ("m1", "m2"):
        tell(gateway, told, event, topic="do/move", new_location_id=second)
    done(gateway, 7)
    assert {one["assignedLocation"]["location"]["id"] for one in parts()} == {second}
    tell(gateway, told, "p1", topic="do/report_progress", notes="packed")
    done(gateway, 8)
    assert {one["status"] for one in parts()} == {"IN_PROGRESS"}
