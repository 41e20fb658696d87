"""A fulfilment service at Shopify whose callbacks are the gateway's: what stock is there and which tracking numbers is
answered out of what suppliers have said, also after a kill; a notification becomes an event."""

import json
import urllib.parse

import pytest

from flow.harness import SHOP, http_endpoint, messages, wait_until
from sandbox.client import request

PREFIX = "k3ep-this-between-us"
ORDER = 9007199254740993


@pytest.fixture
def gateway(make_gateway, crm, desk):
    return make_gateway({
        "endpoints": {
            "acme-shop": {"adapter": "shopify", "shop": SHOP, "webhook_secret": {"env": "DEMO_SHOPIFY_SECRET"},
                          "callbacks": {"path_secret": {"env": "CALLBACK_PREFIX"}}},
            "crm": {"adapter": "salesforce", "instance": crm.url,
                    "feeds": {"stock": {"kind": "stock", "every": "1s", "available": "Stock__c"}},
                    "auth": {"client_id": "3MVG9sandbox-consumer-key", "username": "integration@example.com",
                             "key": {"env": "DEMO_CRM_KEY"}},
                    "poll": {"first": "50ms", "cap": "200ms"}},
            "desk": http_endpoint(desk)},
        "routes": [
            {"name": "stock", "from": {"endpoint": "crm", "topic": "stock/changed"},
             "map": "{stock: [{sku: .sku, available: .available}]}",
             "to": {"endpoint": "acme-shop", "action": "callback.stock", "service": "byron"}},
            # what a supplier says of an order's parcels: here it stands in the order's note
            {"name": "tracking", "from": {"endpoint": "acme-shop", "topic": "orders/updated"},
             "map": '{numbers: (.note | split(" ")), fulfillment: (.tags | select(. != ""))} '
                    '// {numbers: (.note | split(" "))}',
             "to": {"endpoint": "acme-shop", "action": "callback.tracking", "service": "byron"}},
            {"name": "notified", "from": {"endpoint": "acme-shop", "topic": "fulfillment_service/notification"},
             "when": '.kind == "CANCELLATION_REQUEST"',
             "to": {"endpoint": "desk", "action": "request.send", "path": "/notified"}}]},
        {"CALLBACK_PREFIX": PREFIX, "DEMO_CRM_KEY": crm.private_key})


def ask(gateway, call, service="/byron", prefix=PREFIX, method="GET", **query):
    """(status, JSON)"""
    pairs = [(name.replace("order_names", "order_names[]"), one) for name, value in query.items()
             for one in (value if isinstance(value, list) else [value])]
    status, _, body = request(gateway.url, method, f"/in/acme-shop/callbacks/{prefix}{service}/{call}?"
                              + urllib.parse.urlencode(pairs))
    return status, json.loads(body) if status == 200 and method == "GET" else None


def stock(gateway, **query):
    status, answer = ask(gateway, "fetch_stock", shop=SHOP, **query)
    assert status == 200
    return answer


def put(crm, **skus):
    crm.call("POST", "records", [{"object": "Product2", "key": "Ext__c", "fields": {
        "Ext__c": sku, "Name": sku, "StockKeepingUnit": sku.replace("_", "-"), "Stock__c": n}}
        for sku, n in skus.items()])


def test_stock_is_what_the_suppliers_said_last(gateway, crm):
    assert stock(gateway) == {}
    put(crm, GEAR_20=10, PLATE=0, GEAR_2=7)
    everything = {"GEAR-20": 10, "PLATE": 0, "GEAR-2": 7}
    wait_until(lambda: stock(gateway) == everything)
    assert stock(gateway, sku="GEAR-2", max_retries=3, timestamp=1) == {"GEAR-2": 7}, "and not GEAR-20"
    assert stock(gateway, sku="NONE") == {}
    put(crm, GEAR_20=9)
    wait_until(lambda: stock(gateway, sku="GEAR-20") == {"GEAR-20": 9})

    gateway.kill9()
    gateway.start()
    assert stock(gateway) == {**everything, "GEAR-20": 9}
    assert ask(gateway, "fetch_stock.json", shop=SHOP)[1] == {**everything, "GEAR-20": 9}
    assert ask(gateway, "fetch_stock", method="HEAD")[0] == 200
    assert ask(gateway, "fetch_stock", service="/nord")[1] == {}, "another service has its own"
    assert ask(gateway, "fetch_stock", service="")[1] == {}


def test_who_does_not_know_the_prefix_finds_nothing(gateway):
    for prefix in (PREFIX[:-1], PREFIX + "x", PREFIX.upper(), "x", ""):
        for call in ("fetch_stock", "fetch_tracking_numbers.json"):
            assert ask(gateway, call, prefix=prefix)[0] == 404
    assert ask(gateway, "fetch_orders")[0] == 404
    assert ask(gateway, "fetch_stock/byron")[0] == 404
    assert ask(gateway, "fetch_stock", shop="other.myshopify.com")[0] == 404
    assert ask(gateway, "fetch_stock", method="POST")[0] == 405
    assert ask(gateway, "fulfillment_order_notification")[0] == 405
    assert request(gateway.url, "GET", f"/in/acme-shop/callbacks/{PREFIX}/byron/fetch_stock?sku=%zz")[0] == 400
    assert request(gateway.url, "GET", "/in/acme-shop")[0] == 405
    assert gateway.post(b'{"kind":"FULFILLMENT_REQUEST"}',
                        path="/in/acme-shop/callbacks/wrong/fulfillment_order_notification") == 404
    assert gateway.status()["summary"]["events"] == 0


def numbers(gateway, *names):
    status, answer = ask(gateway, "fetch_tracking_numbers", shop=SHOP, order_names=list(names))
    assert (status, answer["message"], answer["success"]) == (200, "ok", True)
    return answer["tracking_numbers"]


def parcel(gateway, order, second, note, tags=""):
    body = {"id": order, "updated_at": f"2026-11-20T10:15:{second:02}+01:00", "note": note, "tags": tags}
    assert gateway.post(json.dumps(body).encode(), topic="orders/updated") == 200


def test_tracking_numbers_are_told_where_they_are_certain(gateway):
    for order, name in ((ORDER, "#1042"), (8, "#1043")):
        assert gateway.post(json.dumps({"id": order, "name": name}).encode()) == 200
    fulfilment = {"id": 5, "order_id": 9, "name": "EU/77-x.1", "updated_at": "2026-11-20T10:15:30+01:00"}
    assert gateway.post(json.dumps(fulfilment).encode(), topic="fulfillments/create") == 200
    assert numbers(gateway, "#1042.1", "#1043.1", "#9.1") == {}

    parcel(gateway, ORDER, 31, "JD01")
    parcel(gateway, 9, 31, "NL 77")  # two parcels of one order
    wait_until(lambda: numbers(gateway, "#1042.1", "#1043.1") == {"#1042.1": "JD01"})
    assert numbers(gateway, "#1042-F1") == {"#1042-F1": "JD01"}
    assert numbers(gateway, "#1042.1", "#1042.2") == {}, "one parcel, and two that it could be"
    wait_until(lambda: gateway.lane("acme-shop")["delivered"] == 2)
    assert numbers(gateway, "EU/77-x.1") == {}, "two, and only one is right"
    parcel(gateway, 9, 32, "77", tags="EU/77-x.1")  # whose it is
    wait_until(lambda: numbers(gateway, "EU/77-x.1") == {"EU/77-x.1": "77"})
    assert ask(gateway, "fetch_tracking_numbers", service="/nord", order_names="#1042.1")[1]["tracking_numbers"] == {}

    gateway.restart()
    assert numbers(gateway, "#1042.1", "EU/77-x.1") == {"#1042.1": "JD01", "EU/77-x.1": "77"}


def test_a_notification_is_an_event_that_routes_may_take(gateway, desk):
    path = f"/in/acme-shop/callbacks/{PREFIX}/byron/fulfillment_order_notification"
    for kind, suffix in (("FULFILLMENT_REQUEST", ""), ("CANCELLATION_REQUEST", ".json")):
        assert gateway.post(json.dumps({"kind": kind}).encode(), path=path + suffix, webhook_id=kind) == 200
    assert gateway.post(b'{"kind":"CANCELLATION_REQUEST"}', path=path, secret="another") == 401
    wait_until(lambda: messages(desk) == [{"kind": "CANCELLATION_REQUEST"}])
    assert {one["topic"] for one in gateway.get("/v1/events")} == {"fulfillment_service/notification"}
    assert gateway.deliveries()[0]["subject"] == f"fulfillment_service:{SHOP}"
