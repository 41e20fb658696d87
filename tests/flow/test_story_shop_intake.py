"""Everything a shop says comes in, as the shop stand-in says it: every topic under old and new names and secrets, fulfilment
services' questions; and when it asks to forget somebody, that holds under whatever happens meanwhile."""

import concurrent.futures
import json

import pytest

from flow.harness import SECRET, SHOP, http_endpoint, merge, messages, sluice, stays, wait_until
from flow.test_story_privacy import files_with
from sandbox.client import Process, request

TOKEN = "sandbox-admin-token"
PREFIX = "k3ep-this-between-us"
APP_SECRET = "sandbox-app-secret-current"


@pytest.fixture
def shop():
    with Process("shopify_admin", "--clock", 0.001, "--connect-s", 10, "--total-s", 20) as running:
        running.call("POST", "variants", [{"sku": "GEAR", "stock": {"gid://shopify/Location/70000000101": 10_000}}])
        running.call("POST", "points", {"plan": "plus"})
        yield running


@pytest.fixture
def config(shop, desk, byron):
    return {
        "endpoints": {
            "acme-shop": {"adapter": "shopify", "shop": SHOP, "webhook_secret": [{"env": "DEMO_SHOPIFY_SECRET"},
                                                                                 {"env": "DEMO_SHOPIFY_OLD_SECRET"}],
                          "callbacks": {"path_secret": {"env": "CALLBACK_PREFIX"}},
                          "admin": {"version": "2026-10", "token": {"env": "SHOPIFY_ADMIN_TOKEN"}, "url": shop.url}},
            "desk": http_endpoint(desk, concurrency=4)},
        "routes": [{"name": "tell", "from": {"endpoint": "acme-shop", "topic": ["orders/*", "fulfillment_orders/*",
                                                                              "refunds/*", "fulfillments/*"]},
                    "to": {"endpoint": "desk", "action": "request.send", "path": "/told"}}]}


@pytest.fixture
def gateway(make_gateway, shop, config):
    made = make_gateway(config, {"SHOPIFY_ADMIN_TOKEN": TOKEN, "CALLBACK_PREFIX": PREFIX})
    listens(shop, made)
    return made


def listens(shop, gateway, *topics):
    shop.call("POST", "webhooks", {"routes": {"*": gateway.url}})


def subscribe(shop, *topics):
    shop.call("POST", "subscriptions", [
        {"topic": topic.replace("/", "_").upper(), "uri": "https://gw.example.com/in/acme-shop"} for topic in topics])


def buy(shop, email="ada.lovelace+shop@example.org"):
    """The body of a new order, as the shop has it."""
    gid, = shop.call("POST", "orders", {"lines": [{"sku": "GEAR", "quantity": 1, "price": "40.00"}], "email": email,
                                        "paid": True})["orders"]
    shop.call("POST", "clock", {"advance_s": 2})
    listed = shop.call("GET", "orders")
    listed = listed["orders"] if isinstance(listed, dict) else listed
    return next(one for one in listed if one["admin_graphql_api_id"] == gid)


def requests_of(gateway):
    return gateway.get("/v1/privacy")



def redact(gateway, customer, orders, email=None, phone=None, topic="customers/redact", **more):
    names = "orders_requested" if topic == "customers/data_request" else "orders_to_redact"
    body = {"shop_id": 1, "shop_domain": SHOP, "customer": {"id": customer, "email": email, "phone": phone}, names: orders}
    assert gateway.post(json.dumps(body).encode(), topic=topic, **more) == 200


def order_of(number, email, **more):
    return json.dumps({"id": number, "updated_at": "2026-11-20T10:15:30+01:00", "email": email, **more}).encode()


def note_of(gateway, event):
    return gateway.get(f"/v1/events/{event}")["note"]


def event_of(gateway, number):
    found = gateway.get("/v1/events", subject=f"order:{SHOP}/{number}", topic="orders/create")
    return found[-1]["id"] if found else None


def test_of_two_requests_none_is_done_while_what_it_asks_for_is_under_way(gateway):
    """Both are of one customer; each names another order, which nothing but its number leads to."""
    gateway.cli("endpoints", "pause", "desk", "--why", "they move house")
    for number in (7, 8):
        assert gateway.post(order_of(number, None)) == 200
    wait_until(lambda: gateway.states("desk") == {"ready": 2})
    redact(gateway, 706405506930370084, [7])
    wait_until(lambda: [one["state"] for one in requests_of(gateway)] == ["waits"])
    redact(gateway, 706405506930370084, [8])
    wait_until(lambda: len(requests_of(gateway)) == 2 and requests_of(gateway)[1]["state"] == "waits")
    assert stays(lambda: {one["state"] for one in requests_of(gateway)} <= {"waits", "erasing"}, 8)
    gateway.restart()
    assert {one["state"] for one in requests_of(gateway)} <= {"waits", "erasing"}
    gateway.cli("endpoints", "resume", "desk")
    wait_until(lambda: [one["state"] for one in requests_of(gateway)] == ["in-log", "in-log"])
    assert gateway.get("/v1/events", subject=f"order:{SHOP}/7") == gateway.get("/v1/events", subject=f"order:{SHOP}/8") == []
    assert {one["hold_type"] for one in gateway.deliveries()} == {"erased"}


def test_an_order_after_the_request_is_one_like_any_other(gateway):
    """Though the request still waits for an earlier one."""
    ada = "ada.lovelace+shop@example.org"
    gateway.cli("endpoints", "pause", "desk", "--why", "they move house")
    assert gateway.post(order_of(7, ada)) == 200
    wait_until(lambda: gateway.states("desk") == {"ready": 1})
    redact(gateway, 706405506930370084, [7], email=ada)
    wait_until(lambda: [one["state"] for one in requests_of(gateway)] == ["waits"])
    assert gateway.post(order_of(9, ada)) == 200
    event = wait_until(lambda: event_of(gateway, 9))
    gateway.cli("endpoints", "resume", "desk")
    wait_until(lambda: [one["state"] for one in requests_of(gateway)] == ["in-log"])
    shown = gateway.get(f"/v1/events/{event}")
    assert (shown["note"], shown["subject"]) != ("erased", "") and ada in json.dumps(shown)


def test_a_scope_that_is_missing_is_named_wherever_somebody_looks(gateway, shop, desk):
    """The shop sends fulfilment orders, and the app may not ask whose they are."""
    gateway.config["alerts"] = {"lag": "1s"}
    gateway.write()
    gateway.cli("reload")
    shop.call("POST", "tokens", {"scopes": "read_orders"})
    shop.fault(action="field_error", at="nodes", code="ACCESS_DENIED", message="Access denied for nodes field. Required "
               "access: `read_merchant_managed_fulfillment_orders` access scope.")
    subscribe(shop, "orders/create", "fulfillment_orders/order_routing_complete")
    order = buy(shop)
    wait_until(lambda: len(messages(desk)) == 1)
    alert = wait_until(lambda: [one for one in gateway.alerts() if one["alert"] == "lag" and one["stands"]])[0]
    assert alert["endpoint"] == "acme-shop" and "fulfillment_orders" in alert["text"]
    assert "fulfillment_orders" in sluice("status", "-c", gateway.file).out
    checked = sluice("check", "--online", "-c", gateway.file, env=gateway.env)
    said = checked.out + checked.err
    assert "events fulfillment_orders/* and fulfillment_holds/* would wait" in said and "read_returns" in said
    shop.call("POST", "tokens", {"scopes": "read_orders,read_merchant_managed_fulfillment_orders,read_returns"})
    shop.clear_faults()
    wait_until(lambda: len(messages(desk)) == 2)
    wait_until(lambda: not any(one["alert"] == "lag" and one["stands"] for one in gateway.alerts()))
    assert {one["subject"] for one in gateway.deliveries()} == {f"order:{SHOP}/{order['id']}"}
    assert "would wait" not in sluice("check", "--online", "-c", gateway.file, env=gateway.env).out
