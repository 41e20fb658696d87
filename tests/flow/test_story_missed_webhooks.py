"""A shop loses, doubles and reorders webhooks, and the gateway is down for a while: after the sweep the gateway's
orders equal the shop's, to the member, and nothing was told twice.

The gateway's orders are what it told the desk: of each order the body with the newest `updated_at`.
"""

import datetime
import json

import pytest

from flow.harness import SHOP, http_endpoint, sluice, stays, wait_until
from sandbox.client import Process, request
from sandbox.shopify_desk import operations

TOKEN = "sandbox-admin-token"
OPERATIONS = operations()
TOPICS = ("orders/create", "orders/paid", "orders/updated", "orders/cancelled", "orders/fulfilled",
          "orders/partially_fulfilled", "refunds/create", "fulfillments/create", "fulfillments/update")
ONCE = ("orders/create", "orders/paid", "orders/cancelled", "orders/fulfilled", "refunds/create", "fulfillments/create")
# what GraphQL does not have: plugins/shopify/feeds.md has the list
NOT_THERE = {"cart_token", "checkout_token", "client_details", "landing_site", "landing_site_ref", "token", "reference",
             "referring_site", "source_url", "user_id", "device_id", "merchant_business_entity_id",
             "merchant_of_record_app_id", "payment_terms", "returns", "line_item_groups", "company",
             "total_cash_rounding_payment_adjustment_set", "total_cash_rounding_refund_adjustment_set",
             # of a refund's transactions
             "message", "authorization", "source_name", "total_unsettled_set", "receipt", "amount_rounding",
             "payment_details", "payment_id", "currency_exchange_adjustment"}
# of the line in a fulfilment or a refund: as it was then in the one, as it is now in the other
OF_THEN = {"fulfillable_quantity", "fulfillment_status", "current_quantity", "attributed_staffs",
           "sales_line_item_group_id"}


@pytest.fixture
def shop():
    with Process("shopify_admin", "--clock", 0.0001, "--connect-s", 10, "--total-s", 20) as running:
        running.call("POST", "variants", [{"sku": "GEAR", "stock": {"gid://shopify/Location/70000000101": 10_000}}])
        running.call("POST", "points", {"plan": "plus"})
        yield running


def feed(**more):
    return {"kind": "orders", "every": "1h", "points": 100, "page": 25, **more}


@pytest.fixture
def gateway(make_gateway, shop, desk):
    made = make_gateway({
        "endpoints": {
            "acme-shop": {
                "adapter": "shopify", "shop": SHOP, "webhook_secret": {"env": "DEMO_SHOPIFY_SECRET"},
                "admin": {"version": "2026-10", "token": {"env": "SHOPIFY_ADMIN_TOKEN"}, "url": shop.url},
                "feeds": {"orders": feed()}},
            "desk": http_endpoint(desk, concurrency=4)},
        "routes": [{"name": topic.replace("/", "-").replace("_", "-"),
                    "from": {"endpoint": "acme-shop", "topic": topic},
                    "to": {"endpoint": "desk", "action": "request.send", "path": "/" + topic}} for topic in TOPICS]},
        {"SHOPIFY_ADMIN_TOKEN": TOKEN})
    wait_until(lambda: runs(made) >= 1, "the mark is set")
    tick(shop)
    listens(shop, made)
    shop.call("POST", "subscriptions", [
        {"topic": topic.replace("/", "_").upper(), "uri": "https://gw.example.com/in/acme-shop"} for topic in TOPICS])
    return made


def listens(shop, gateway):
    shop.call("POST", "webhooks", {"routes": {"*": gateway.url}})


def the_feed(gateway):
    return gateway.get("/v1/feeds")[0]


def runs(gateway):
    return the_feed(gateway)["runs"]


def ask(shop, name, **variables):
    _, _, text = request(shop.url, "POST", "/admin/api/2026-10/graphql.json",
                         {"query": OPERATIONS.get(name, name), "variables": variables},
                         {"X-Shopify-Access-Token": TOKEN})
    said = json.loads(text)
    assert "errors" not in said, said
    data = said["data"][next(iter(said["data"]))]
    assert not data.get("userErrors") and not data.get("orderCancelUserErrors"), data
    return data


def tick(shop):
    """The next thing happens in another second."""
    shop.call("POST", "clock", {"advance_s": 2})


def buy(shop, n, **more):
    gids = []
    for _ in range(n):
        gids += shop.call("POST", "orders", {"lines": [{"sku": "GEAR", "quantity": 3, "price": "40.00"}],
                                             "email": "ada@example.com", "paid": True, **more})["orders"]
        tick(shop)
    return gids


def ship(shop, gid, n=None):
    parts = ask(shop, "FulfillmentOrdersOfOrder", id=gid)["fulfillmentOrders"]["nodes"]
    part = next(one for one in parts if one["status"] in ("OPEN", "IN_PROGRESS"))
    line = part["lineItems"]["nodes"][0]
    made = {"fulfillmentOrderId": part["id"]}
    if n:
        made["fulfillmentOrderLineItems"] = [{"id": line["id"], "quantity": n}]
    ask(shop, "FulfillmentCreate", fulfillment={"lineItemsByFulfillmentOrder": [made],
                                                "trackingInfo": {"company": "DHL Express", "number": "JD" + gid[-4:]}})
    tick(shop)


def refund(shop, gid):
    order = ask(shop, "query($id: ID!) { order(id: $id) { lineItems(first: 1) { nodes { id } } } }", id=gid)
    ask(shop, "RefundCreate", key="refund-" + gid[-12:], input={"orderId": gid, "note": "damaged", "refundLineItems": [
        {"lineItemId": order["lineItems"]["nodes"][0]["id"], "quantity": 1, "restockType": "NO_RESTOCK"}]})
    tick(shop)


def tag(shop, gid, word):
    ask(shop, "TagsAdd", id=gid, tags=[word])
    tick(shop)


def cancel(shop, gid):
    ask(shop, "OrderCancel", orderId=gid, reason="CUSTOMER", restock=False,
        refundMethod={"originalPaymentMethodsRefund": True})
    tick(shop)


def live(shop, n):
    """Some hours of a shop's life."""
    gids = buy(shop, n)
    for at, gid in enumerate(gids):
        if at % 3 == 0:
            tag(shop, gid, "engraved")
        if at % 4 == 0:
            ship(shop, gid)
        elif at % 4 == 1:
            ship(shop, gid, 1)
        if at % 5 == 1:
            refund(shop, gid)
        if at % 8 == 3:  # none that was shipped
            cancel(shop, gid)
    return gids


# ---- what the gateway told, and what the shop has ----

def told(desk):
    return [(one["path"].split("?")[0].lstrip("/"), json.loads(one["raw"])) for one in desk.books()["messages"]]


def instant(text):
    return datetime.datetime.fromisoformat(text.replace("Z", "+00:00"))


def same(ours, theirs, path=""):
    """[where they differ]"""
    if isinstance(ours, dict) and isinstance(theirs, dict):
        names = (set(ours) | set(theirs)) - NOT_THERE
        if ".fulfillments." in path or ".refunds." in path:
            names -= OF_THEN
        return [one for name in sorted(names) for one in same(ours.get(name), theirs.get(name), f"{path}.{name}")]
    if isinstance(ours, list) and isinstance(theirs, list) and len(ours) == len(theirs):
        return [one for at, pair in enumerate(zip(ours, theirs)) for one in same(*pair, f"{path}.{at}")]
    if path.endswith("_at") and ours and theirs:
        return [] if instant(ours) == instant(theirs) else [(path, ours, theirs)]
    return [] if ours == theirs else [(path, ours, theirs)]


def differences(shop, desk):
    newest = {}
    for topic, body in told(desk):
        if topic.startswith("orders/"):
            known = newest.get(body["id"])
            if known is None or instant(body["updated_at"]) >= instant(known["updated_at"]):
                newest[body["id"]] = body
    out = {}
    for body in shop.call("GET", "orders")["orders"]:
        out[body["name"]] = same(newest.get(body["id"]), body)
    return {name: found for name, found in out.items() if found}


def doubles(desk):
    """What happens once and was told twice, and changes of which one body was told twice."""
    seen, out = set(), []
    for topic, body in told(desk):
        key = (topic, body["id"]) if topic in ONCE else (topic, body["id"], body["updated_at"], json.dumps(body))
        if key in seen:
            out.append(key[:2])
        seen.add(key)
    return out


def events_that_happened(shop, desk):
    """{(topic, id)} that the state of the shop implies and that must have been told."""
    out = set()
    for body in shop.call("GET", "orders")["orders"]:
        out |= {("orders/create", body["id"]), ("orders/paid", body["id"])}
        if body["cancelled_at"]:
            out.add(("orders/cancelled", body["id"]))
        if body["fulfillment_status"] == "fulfilled":
            out.add(("orders/fulfilled", body["id"]))
        out |= {("refunds/create", one["id"]) for one in body["refunds"]}
        out |= {("fulfillments/create", one["id"]) for one in body["fulfillments"]}
    return out - {(topic, body["id"]) for topic, body in told(desk)}


def sweep(gateway):
    before = runs(gateway)
    gateway.cli("poll", "acme-shop", "orders")
    wait_until(lambda: runs(gateway) > before, "the sweep has ended", seconds=60)
    assert the_feed(gateway)["error"] is None, the_feed(gateway)
    wait_until(gateway.settled, "all is told", seconds=30)


def settle(shop):
    assert shop.call("POST", "settle", {"timeout_s": 60})["settled"]


def report(gateway):
    """What `sluice report webhooks` says of the days of the test: sums."""
    days = sluice("report", "webhooks", "--endpoint", "acme-shop", "--since", "2d", "--json", "-c", gateway.file).json
    return {name: sum(one[name] for one in days) for name in ("came", "repaired", "late", "missed")}


# ---- the stories ----

def test_what_is_lost_doubled_or_out_of_order_is_whole_after_the_sweep(gateway, shop, desk):
    shop.call("POST", "webhooks", {"lost": 0.1, "duplicate": 0.05, "reorder": 0.1, "reorder_ms": 50, "seed": 7})
    live(shop, 24)
    shop.call("POST", "webhooks", {"lost": 0, "duplicate": 0, "reorder": 0})
    settle(shop)
    wait_until(gateway.settled, "all is told", seconds=30)
    assert events_that_happened(shop, desk), "the test lost nothing"
    sweep(gateway)
    assert events_that_happened(shop, desk) == set()
    assert differences(shop, desk) == {}
    assert doubles(desk) == []
    repaired = the_feed(gateway)["rows"]
    assert repaired > 0
    day = report(gateway)
    assert day["repaired"] == day["missed"] > 0 and day["late"] == 0 and day["came"] > day["repaired"]
    assert gateway.metrics()["sluice_events_missed_total"] == day["repaired"]
    sweep(gateway)  # and once more: all is known
    assert the_feed(gateway)["rows"] == repaired
    assert doubles(desk) == []


def test_after_an_outage_the_gateway_sweeps_by_itself_and_late_webhooks_do_nothing_twice(gateway, shop, desk):
    before = live(shop, 3)
    settle(shop)
    wait_until(gateway.settled, "all is told", seconds=30)
    gateway.stop()
    shop.call("POST", "webhooks", {"outage": "hold"})
    live(shop, 9)
    for gid in before:
        tag(shop, gid, "during-the-outage")
    gateway.start()
    wait_until(lambda: events_that_happened(shop, desk) == set() and differences(shop, desk) == {},
               "the sweep has begun by itself", seconds=15)
    assert doubles(desk) == []
    n = len(told(desk))
    listens(shop, gateway)
    shop.call("POST", "webhooks", {"outage": None})  # they come after all
    settle(shop)
    wait_until(gateway.settled, "all is told", seconds=30)
    assert doubles(desk) == []
    assert differences(shop, desk) == {}
    # of changes that the sweep jumped over an older state may come; what happens once does not
    late = [topic for topic, _ in told(desk)[n:]]
    assert set(late) <= {"orders/updated", "orders/partially_fulfilled"}, late
    day = report(gateway)
    assert 0 < day["late"] <= day["repaired"] == day["missed"] + day["late"]
    sweep(gateway)
    assert doubles(desk) == [] and differences(shop, desk) == {}
