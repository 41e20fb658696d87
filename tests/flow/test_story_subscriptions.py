"""A shop deletes a webhook subscription, or somebody alters one: the gateway notices within the hour, says so or makes
it again, and sweeps for what did not come meanwhile.
"""

import json

import pytest

from flow.harness import SHOP, http_endpoint, wait_until
from sandbox.client import Process

pytestmark = pytest.mark.plain  # tests/unit/plugins/test_shopify_audit.c has its course

TOPICS = ["orders/create", "orders/paid", "orders/updated"]
ADDRESS = "https://gw.example.com/in/acme-shop"


@pytest.fixture
def shop():
    # one retry every few milliseconds: the shop gives up within the test
    with Process("shopify_admin", "--clock", 0.0001, "--connect-s", 10, "--total-s", 20) as running:
        running.call("POST", "variants", [{"sku": "GEAR", "stock": {"gid://shopify/Location/70000000101": 1000}}])
        yield running


def subscriptions(shop):
    """{topic: uri} of those alive."""
    return {one["topic"]: one["uri"] for one in shop.call("GET", "subscriptions")["alive"]}


def made_by_the_api(shop, *topics, **more):
    shop.call("POST", "subscriptions", [{"topic": topic.replace("/", "_").upper(), "uri": ADDRESS, "made_by": "api",
                                         **more} for topic in topics])


def delete(shop, topic):
    gid, = [one["id"] for one in shop.call("GET", "subscriptions")["alive"] if one["topic"] == topic]
    shop.call("DELETE", "subscriptions", {"id": gid})


@pytest.fixture
def run(make_gateway, shop, desk):
    """run(recreate=...): a gateway that audits, and tells the desk what it found."""

    def make(start=True, **more):
        gateway = make_gateway({
            "alerts": {"owner": "operations", "repeat": "1s"},
            "endpoints": {
                "acme-shop": {
                    "adapter": "shopify", "shop": SHOP, "webhook_secret": {"env": "DEMO_SHOPIFY_SECRET"},
                    "admin": {"version": "2026-10", "token": {"env": "SHOPIFY_ADMIN_TOKEN"}, "url": shop.url},
                    "feeds": {"orders": {"kind": "orders", "every": "1h"},
                              "webhooks": {"kind": "subscriptions", "every": "1h", "topics": TOPICS,
                                           "url": "https://gw.example.com", "owner": "shop-team", **more}}},
                "desk": http_endpoint(desk)},
            "routes": [{"name": "found", "from": {"endpoint": "acme-shop", "topic": "subscriptions/*"},
                        "to": {"endpoint": "desk", "action": "request.send", "path": "/found"},
                        "map": "{topic: $event.topic} + ."}]},
            {"SHOPIFY_ADMIN_TOKEN": "sandbox-admin-token"}, start=start)
        if start:
            shop.call("POST", "webhooks", {"routes": {"*": gateway.url}})
            wait_until(lambda: the_feed(gateway)["runs"] >= 1 and the_feed(gateway, "orders")["runs"] >= 1)
        return gateway

    return make


def the_feed(gateway, name="webhooks"):
    return next(one for one in gateway.get("/v1/feeds") if one["feed"] == name)


def audit(gateway):
    before = the_feed(gateway)["runs"]
    done = gateway.cli("poll", "acme-shop", "webhooks")
    assert the_feed(gateway)["runs"] > before and the_feed(gateway)["error"] is None, the_feed(gateway)
    wait_until(gateway.settled)
    return done


def told(desk):
    return [(one["topic"], one["topics"]) for one in map(json.loads, (one["raw"] for one in desk.books()["messages"]))]


def alerts(gateway):
    return [one for one in gateway.alerts() if one["alert"] == "feed-finding" and one["stands"]]


def test_a_deleted_subscription_is_told_to_its_owner_until_somebody_makes_it_again(run, shop, desk):
    made_by_the_api(shop, *TOPICS)
    gateway = run()
    assert the_feed(gateway)["finding"] is None and told(desk) == []

    delete(shop, "orders/paid")
    audit(gateway)
    assert told(desk) == [("subscriptions/missing", ["orders/paid"])]
    alert, = wait_until(lambda: alerts(gateway))
    assert alert["owner"] == "shop-team" and "missing: orders/paid; make them again for " + ADDRESS in alert["text"]

    gateway.restart()  # it still stands, and is not told as a new one
    wait_until(lambda: alerts(gateway))
    audit(gateway)
    assert "alert is over" not in gateway.log()
    assert told(desk) == [("subscriptions/missing", ["orders/paid"])]

    made_by_the_api(shop, "orders/paid")
    audit(gateway)
    wait_until(lambda: not alerts(gateway), "it is over by itself")
    assert the_feed(gateway)["finding"] is None


def test_after_eight_refusals_the_shop_deletes_it_and_the_gateway_makes_it_again(run, shop, desk):
    gateway = run(recreate=True)
    assert subscriptions(shop) == {topic: ADDRESS for topic in TOPICS}  # the first audit has made them
    assert alerts(gateway) == []
    wait_until(gateway.settled)
    assert told(desk) == [("subscriptions/missing", TOPICS), ("subscriptions/recreated", TOPICS)]
    next_sweep = the_feed(gateway, "orders")["next_at"]

    shop.call("POST", "webhooks", {"secrets": ["not-ours", "nor-this"]})  # all are refused with a 401
    shop.call("POST", "orders", {"lines": [{"sku": "GEAR", "quantity": 1, "price": "40.00"}], "paid": True})
    wait_until(lambda: len(shop.call("GET", "subscriptions")["deleted"]) >= 2, "the shop has given up", seconds=30)
    shop.call("POST", "settle", {"timeout_s": 30})
    gone = sorted({one["topic"] for one in shop.call("GET", "subscriptions")["deleted"]})
    shop.call("POST", "webhooks", {"secrets": ["sandbox-app-secret-current", "sandbox-app-secret-previous"]})

    audit(gateway)
    assert subscriptions(shop) == {topic: ADDRESS for topic in TOPICS}
    assert [(topic, sorted(topics)) for topic, topics in told(desk)[2:]] == [
        ("subscriptions/missing", gone), ("subscriptions/recreated", gone)]
    alert, = wait_until(lambda: alerts(gateway))
    assert "made again: " in alert["text"]
    # what came meanwhile is swept for within a minute of the last sweep's beginning
    assert the_feed(gateway, "orders")["next_at"] < next_sweep
    audit(gateway)
    wait_until(lambda: not alerts(gateway))


def test_what_was_altered_is_put_right_and_what_is_not_ours_is_left(run, shop, desk):
    made_by_the_api(shop, "orders/create", "orders/updated")
    made_by_the_api(shop, "orders/paid", filter="total_price:>100")
    made_by_the_api(shop, "products/update")
    shop.call("POST", "subscriptions", [{"topic": "ORDERS_PAID", "uri": "https://other.example.com/hooks",
                                         "made_by": "api"}])
    gateway = run(recreate=True)
    wait_until(gateway.settled)
    assert told(desk) == [("subscriptions/altered", ["orders/paid"]), ("subscriptions/recreated", ["orders/paid"])]
    assert "left over: PRODUCTS_UPDATE" in the_feed(gateway)["finding"]
    alive = shop.call("GET", "subscriptions")["alive"]
    assert len(alive) == 5 and {"https://other.example.com/hooks", ADDRESS} == {one["uri"] for one in alive}
    assert "is left over" not in audit(gateway).out
    assert len(told(desk)) == 2


def test_a_check_names_what_a_shop_lacks(run, shop):
    made_by_the_api(shop, "orders/create")
    gateway = run(start=False, recreate=True)
    done = gateway.cli("check", "--online", ok=False)
    said, = [one for one in done.json["online"] if one["endpoint"] == "acme-shop"]
    found, = [one for one in said["findings"] if one.get("feed") == "webhooks"]
    assert found["level"] == "warn" and "missing: orders/paid, orders/updated;" in found["text"]
    assert list(subscriptions(shop)) == ["orders/create"]  # it makes nothing
    made_by_the_api(shop, "orders/paid", "orders/updated")
    done = gateway.cli("check", "--online", ok=False)
    said, = [one for one in done.json["online"] if one["endpoint"] == "acme-shop"]
    found, = [one for one in said["findings"] if one.get("feed") == "webhooks"]
    assert found == {"feed": "webhooks", "level": "good",
                     "text": f"the shop has the 3 webhook subscriptions to {ADDRESS}"}
