"""docs/shopify.md and conf/shopify.sample.yaml: the scopes of the guide's table are those that the adapter asks for,
and with those of the sample's head, as it stands, a shop is served in full."""

import base64
import hashlib
import hmac
import json
import re

import pytest
import yaml

from flow.harness import BUILD, QUICK, ROOT, absolute, merge, route, sluice, wait_until
from sandbox.client import Process, request

pytestmark = pytest.mark.plain  # it is about what the guide says

SECRET = "one secret signs webhooks and gets tokens"
CALLOUT_SECRET = "what the Apex signs with"
LOCATION = "gid://shopify/Location/70000000101"
SAMPLE = ROOT / "conf" / "shopify.sample.yaml"
# `to` of those that want more than their name
NEEDS = {"graphql": {"document": "query($id: ID!) { node(id: $id) { id } }"}, "callback.stock": {"service": "byron"},
         "callback.tracking": {"service": "byron"}}
# a feed that wants more than its kind
FEED_NEEDS = {"subscriptions": {"topics": ["app/uninstalled"], "url": "https://hooks.example.com", "recreate": True}}


def sample():
    return absolute(yaml.safe_load(SAMPLE.read_text()))


def scopes_of_head():
    head = " ".join(line.lstrip("# ") for line in SAMPLE.read_text().split("\nlisten:")[0].splitlines())
    return head.split("Scopes:")[1].split(";")[0].replace(" ", "")


@pytest.fixture(scope="module")
def shop_process():
    with Process("shopify_admin", "--shop", sample()["endpoints"]["acme-shop"]["shop"], "--client-id",
                 sample()["endpoints"]["acme-shop"]["admin"]["client_id"], "--client-secret", SECRET, "--secret",
                 SECRET,
                 "--points", 20000, "--restore", 1000) as running:
        yield running


@pytest.fixture
def shop(shop_process):
    """Gears of Byron's at 40.00, ten on the shelf."""
    shop_process.reset()
    shop_process.call("POST", "variants", [{"sku": "GEAR", "price": "40.00", "stock": {LOCATION: 10}}])
    shop_process.call("POST", "tokens", {"scopes": scopes_of_head()})
    return shop_process


# ---- the table of scopes ----


def part_of_page(heading):
    text = (ROOT / "docs" / "shopify.md").read_text()
    return re.split(rf"(?m)^## {heading}$", text)[1].split("\n## ")[0]


def terms(text):
    """{"read_orders", "write_a|write_b"}: each is needed, of alternatives one. Who may write may read."""
    return {"|".join(sorted(one for one in term.split("|") if one.replace("write_", "read_") == one
                            or one.replace("write_", "read_") not in term.split("|"))) for term in text.split()}


def table_of_scopes():
    """{action, or "feed KIND": the terms of its scopes} as the page's table has them."""
    found = {}
    for names, scopes in re.findall(r"(?m)^\| ([^|]*`[^|]*) \| ([^|]*) \|$", part_of_page("Scopes").split("\n### ")[0]):
        text = " ".join("|".join(re.findall(r"`(\w+)`", term)) for term in scopes.split(", "))
        for name in re.findall(r"`([\w.-]+)`", names):
            name = f"feed {name}" if "feed" in names else name
            assert name not in found, name
            found[name] = terms(text)
    return found


def configuration(shop, actions=(), feeds=()):
    config = sample()
    config["endpoints"] = {"acme-shop": config["endpoints"]["acme-shop"]}
    merge(config["endpoints"]["acme-shop"], {"admin": {"url": shop.url},
                                             "callbacks": {"path_secret": {"env": "SHOPIFY_SECRET_PATH"}}})
    config["endpoints"]["acme-shop"]["feeds"] = {kind: {"kind": kind, "every": "1h", **FEED_NEEDS.get(kind, {})}
                                                  for kind in feeds}
    config["routes"] = [{"name": action.replace(".", "-").replace("_", "-"),
                         "from": {"endpoint": "acme-shop", "topic": "orders/create"},
                         "to": {"endpoint": "acme-shop", "action": action, **NEEDS.get(action, {})}}
                        for action in actions]
    return config


ENV = {"SHOPIFY_SECRET": SECRET, "SHOPIFY_SECRET_PATH": "a-path-that-nobody-guesses"}


def of_adapter():
    """What the built adapter has: its actions, its kinds of feed."""
    of = sluice("reference", "--plugins", BUILD / "plugins", "--schema", "shopify").json["$defs"]["shopify"]
    return list(of["actions"]), list(of["feeds"])


def test_the_table_of_scopes_is_what_the_adapter_asks_for(make_gateway, shop):
    actions, _ = of_adapter()
    shop.call("POST", "tokens", {"scopes": ""})
    gateway = make_gateway(configuration(shop, actions), ENV, start=False)
    answer, = gateway.cli("check", "--online", ok=False).json["online"]
    lacks = {action: "" for action in actions}
    for one in answer["findings"]:
        found = re.match(r"the app lacks the scope (\S+?)(?: \(one of these\))?: add it", one["text"])
        if found:
            lacks[one["action"]] += f" {found[1]}"
    said = table_of_scopes()
    named = re.search(r"Not checked: (.*?)\n\n", part_of_page("Scopes"), re.S)[1]
    unchecked = {action for action in actions if f"`{action}`" in named}
    assert {action: said.get(action) for action in actions} == {
        action: None if action in unchecked else terms(text) for action, text in lacks.items()}
    assert not any(lacks[action] for action in unchecked)


def test_a_feed_asks_nothing_beyond_its_scopes(make_gateway, shop):
    said = table_of_scopes()
    _, kinds = of_adapter()
    shop.call("POST", "tokens", {"scopes": "write_fulfillments"})
    assert "errors" not in shop.call("POST", "do",
                                     {"operation": "FulfillmentServiceCreate", "variables": {"name": "Byron"}})
    for kind in kinds:
        granted = ",".join(one for term in said[f"feed {kind}"] for one in term.split("|"))
        shop.call("POST", "tokens", {"scopes": granted})
        gateway = make_gateway(configuration(shop, feeds=[kind]), ENV)
        wait_until(lambda: gateway.get("/v1/feeds")[0]["last_good_at"], "the first poll, which may ask nothing")
        bought = buy(shop)
        gateway.cli("poll", "acme-shop", kind)
        assert kind != "orders" or bought in str(gateway.get("/v1/events"))
        if granted:  # ... and it needs them
            shop.call("POST", "tokens", {"scopes": "read_themes"})
            done = gateway.cli("poll", "acme-shop", kind, ok=False)
            assert done.code == 1 and "ACCESS_DENIED" in done.err, done
        gateway.stop()


# ---- the sample ----


@pytest.fixture
def gateway(make_gateway, shop, byron, crm):
    config = sample()
    for changes in ({name: {**QUICK, "timeout": {"first_byte": "2s", "total": "4s"}} for name in config["endpoints"]}, {
            "acme-shop": {"admin": {"url": shop.url, "settle": "1s"}},
            "byron": {"base_url": byron.url},
            "crm": {"instance": crm.url, "feeds": {"stock": {"every": "1s"}}, "poll": {"first": "50ms", "cap": "200ms"},
                    "auth": {"client_id": "3MVG9sandbox-consumer-key", "username": "integration@example.com"}}}):
        merge(config["endpoints"], changes)
    route(config, "stock-to-shop")["to"]["location"] = "Mill Yard"
    gateway = make_gateway(config, {**ENV, "CALLOUT_SECRET": CALLOUT_SECRET, "CRM_KEY": crm.private_key,
                                    "BYRON_AUTHORIZATION": "Bearer b-token"})
    shop.call("POST", "webhooks", {"routes": {"*": gateway.url}})
    wanted = set(config["endpoints"]["acme-shop"]["feeds"]["webhooks"]["topics"])
    wait_until(lambda: subscribed(shop) == wanted, "it subscribes by itself")
    return gateway


def subscribed(shop):
    return {one["topic"] for one in shop.call("GET", "subscriptions")["alive"]
            if one["uri"] == "https://hooks.example.com/in/acme-shop"}


def buy(shop, count=3):
    order, = shop.call("POST", "orders", {"lines": [{"sku": "GEAR", "quantity": count}], "paid": True,
                                          "email": "ada@example.com"})["orders"]
    return order.rpartition("/")[2]


def order_of(shop, number):
    return next(one for one in shop.call("GET", "orders")["orders"] if str(one["id"]) == number)


def callout(gateway, event, kind, change, **fields):
    body = json.dumps({"eventId": event, "object": kind, "id": "a075g0000000001AAA", "changeType": change,
                       "occurredAt": "2026-11-20T10:15:00Z", "fields": fields}).encode()
    mac = base64.b64encode(hmac.digest(CALLOUT_SECRET.encode(), body, hashlib.sha256)).decode()
    assert request(gateway.url, "POST", "/in/crm/callout", body,
                   {"Content-Type": "application/json", "X-Signature-SHA256": mac})[0] == 200


def test_the_sample_serves_a_shop_with_the_scopes_that_its_head_names(gateway, shop, byron, crm):
    findings = [one for answer in gateway.cli("check", "--online", ok=False).json["online"]
                if answer["endpoint"] == "acme-shop" for one in answer["findings"]]
    assert [one["text"] for one in findings if one["level"] == "error"] == []

    # An order goes to the supplier, its parcel comes back.
    number = buy(shop)
    wait_until(lambda: len(byron.books()["orders"]) == 1, "the supplier has it")
    callout(gateway, "e1", "Shipment", "SENT", OrderId=number, Carrier="PAKET", TrackingNumber="JD01",
            Lines=[{"Sku": "GEAR", "Quantity": 2}])
    wait_until(lambda: order_of(shop, number)["fulfillments"], "it is fulfilled in part")
    made, = order_of(shop, number)["fulfillments"]
    assert (made["tracking_company"], made["tracking_number"]) == ("DHL", "JD01")
    assert [one["quantity"] for one in made["line_items"]] == [2]

    # One piece is paid back.
    callout(gateway, "e2", "Refund", "APPROVED", OrderId=number, Reason="chipped",
            Lines=[{"Sku": "GEAR", "Quantity": 1}])
    wait_until(lambda: order_of(shop, number)["refunds"], "it is refunded")
    assert [one["amount"] for refund in order_of(shop, number)["refunds"]
            for one in refund["transactions"]] == ["40.00"]

    # What the supplier refuses is cancelled.
    byron.fault(action="status", status=422, at="order", body='{"error": {"message": "sold out"}}', count=1)
    refused = buy(shop)
    wait_until(lambda: order_of(shop, refused)["cancelled_at"], "it is cancelled")
    assert order_of(shop, refused)["cancel_reason"] == "inventory"

    # The CRM counts.
    crm.call("POST", "records", [{"object": "Product2", "key": "Ext__c", "fields": {
        "Ext__c": "p1", "Name": "Gear", "StockKeepingUnit": "GEAR", "Stock__c": 77}}])
    wait_until(lambda: any(one.get("on_hand") == 77 for one in shop.call("GET", "stock")["levels"]), "the shop has it")
    wait_until(gateway.settled)
    assert gateway.states("acme-shop") == {"delivered": 4} and shop.books()["crashes"] == []
