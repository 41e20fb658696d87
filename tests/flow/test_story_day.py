"""A day of a shop: of its webhooks 5 % are lost, 5 % doubled and 10 % come out of order, the gateway is down for two
hours, and somebody deletes a subscription. In the evening the gateway's orders equal the shop's, to the member, nothing
was told twice, and the subscriptions are there.

An hour of the shop is a turn of the test: what the configuration has done each hour is polled then. The gateway's
orders are what it told the desk: of each order the body with the newest `updated_at`.
"""

import json
import os
import random

import pytest

from flow.harness import SHOP, http_endpoint, wait_until
from flow.test_story_missed_webhooks import (TOKEN, TOPICS, cancel, differences, doubles, events_that_happened, listens,
                                             refund, report, settle, ship, tag)
from sandbox.client import Process

ORDERS_AN_HOUR = 60 if os.environ.get("SLUICE_LONG") else 6
ADDRESS = "https://gw.example.com/in/acme-shop"
BAD_DAY = {"lost": 0.05, "duplicate": 0.05, "reorder": 0.1, "reorder_ms": 50, "seed": 11}
DOWN, UP, DELETED = 9, 11, 16  # o'clock

pytestmark = pytest.mark.plain  # the same code as in the stories of its parts, only more of it


@pytest.fixture
def shop():
    with Process("shopify_admin", "--clock", 0.0001, "--connect-s", 10, "--total-s", 20) as running:
        running.call("POST", "variants", [{"sku": "GEAR", "stock": {"gid://shopify/Location/70000000101": 100_000}}])
        running.call("POST", "points", {"maximum": 1_000_000, "restore": 100_000})
        yield running


@pytest.fixture
def gateway(make_gateway, shop, desk, chat):
    made = make_gateway({
        "endpoints": {
            "acme-shop": {
                "adapter": "shopify", "shop": SHOP, "webhook_secret": {"env": "DEMO_SHOPIFY_SECRET"},
                "admin": {"version": "2026-10", "token": {"env": "SHOPIFY_ADMIN_TOKEN"}, "url": shop.url},
                "feeds": {"orders": {"kind": "orders", "every": "1h", "points": 100, "page": 25},
                          "webhooks": {"kind": "subscriptions", "every": "1h", "topics": list(TOPICS),
                                       "url": "https://gw.example.com", "recreate": True}}},
            "desk": http_endpoint(desk, concurrency=8), "chat": http_endpoint(chat)},
        "routes": [{"name": topic.replace("/", "-").replace("_", "-"),
                    "from": {"endpoint": "acme-shop", "topic": topic},
                    "to": {"endpoint": "desk", "action": "request.send", "path": "/" + topic}} for topic in TOPICS] + [
            {"name": "subscriptions", "from": {"endpoint": "acme-shop", "topic": "subscriptions/*"},
             "map": "{topic: $event.topic} + .", "to": {"endpoint": "chat", "action": "request.send", "path": "/"}}]},
        {"SHOPIFY_ADMIN_TOKEN": TOKEN})
    wait_until(lambda: all(one["runs"] >= 1 for one in made.get("/v1/feeds")), "the mark is set, all is subscribed to")
    listens(shop, made)
    return made


def feed(gateway, name):
    return next(one for one in gateway.get("/v1/feeds") if one["feed"] == name)


def poll(gateway, name):
    wait_until(lambda: not feed(gateway, name)["running"])
    before = feed(gateway, name)["runs"]
    status, answer = gateway.api("POST", "/v1/endpoints/acme-shop/poll", {"feed": name})
    assert status in (202, 409), answer  # or it is being polled by itself
    wait_until(lambda: feed(gateway, name)["runs"] > before, f"{name} is polled", seconds=60)
    assert feed(gateway, name)["error"] is None, feed(gateway, name)


def later(shop, seconds):
    shop.call("POST", "clock", {"advance_s": seconds})


class Day:
    """What people do in the shop, hour by hour."""

    def __init__(self, shop):
        self.shop, self.luck = shop, random.Random(5)
        self.paid, self.shipped = [], []  # orders that nothing was done to, and those that have left as a whole

    def hour(self):
        for _ in range(ORDERS_AN_HOUR):
            made = self.shop.call("POST", "orders", {
                "lines": [{"sku": "GEAR", "quantity": 3, "price": "40.00"}], "email": "ada@example.com", "paid": True})
            self.paid += made["orders"]
        for _ in range(ORDERS_AN_HOUR):
            later(self.shop, 30)  # two changes of an order within a second have one version
            self.change()
        later(self.shop, 3600 - 30 * ORDERS_AN_HOUR)

    def change(self):
        what = self.luck.random()
        gid = self.luck.choice(self.paid)
        if what < 0.3:
            tag(self.shop, gid, f"note-{self.luck.randrange(1000)}")
        elif what < 0.7:
            self.paid.remove(gid)
            parts = self.luck.choice([None, 1, 2])
            ship(self.shop, gid, parts)
            if not parts:  # to refund what has not left makes an order fulfilled, and no webhook says so
                self.shipped.append(gid)
        elif what < 0.85 and self.shipped:
            refund(self.shop, self.shipped.pop(self.luck.randrange(len(self.shipped))))
        else:
            self.paid.remove(gid)
            cancel(self.shop, gid)


def alive(shop):
    return {one["topic"] for one in shop.call("GET", "subscriptions")["alive"] if one["uri"] == ADDRESS}


def told_of_subscriptions(chat):
    return [(one["topic"], one["topics"]) for one in map(json.loads, (one["raw"] for one in chat.books()["messages"]))]


def test_after_a_bad_day_the_gateways_orders_are_the_shops_and_nothing_was_done_twice(gateway, shop, desk, chat):
    assert alive(shop) == set(TOPICS)  # the first audit has made them
    shop.call("POST", "webhooks", BAD_DAY)
    day = Day(shop)
    for hour in range(24):
        if hour == DOWN:
            gateway.stop()
        if hour == UP:
            settle(shop)
            assert alive(shop) < set(TOPICS)  # eight refusals in a row
            gateway.start()
            wait_until(lambda: alive(shop) == set(TOPICS), "at its start it has looked, and made them again")
        if hour == DELETED:
            lost, = [one["id"] for one in shop.call("GET", "subscriptions")["alive"] if one["topic"] == "orders/paid"]
            shop.call("DELETE", "subscriptions", {"id": lost})
        day.hour()
        if not DOWN <= hour < UP:  # what is due each hour
            assert ("orders/paid" in alive(shop)) == (hour != DELETED)
            poll(gateway, "webhooks")
            assert alive(shop) == set(TOPICS)
            poll(gateway, "orders")
    shop.call("POST", "webhooks", {name: 0 for name in ("lost", "duplicate", "reorder")})
    settle(shop)
    poll(gateway, "orders")
    wait_until(gateway.settled, "all is told", seconds=60)

    assert len(shop.call("GET", "orders")["orders"]) == 24 * ORDERS_AN_HOUR
    assert events_that_happened(shop, desk) == set()
    assert differences(shop, desk) == {}
    assert doubles(desk) == []
    struck = shop.books()["webhooks"]["switches"]
    assert all(struck[name] > 0 for name in ("lost", "duplicate", "reorder")), struck
    counted = report(gateway)
    bought_meanwhile = (UP - DOWN) * ORDERS_AN_HOUR
    assert counted["repaired"] >= 2 * bought_meanwhile  # that they were made, and paid
    assert counted["came"] > counted["repaired"]
    # it was noticed at the next look, and made again
    assert told_of_subscriptions(chat)[-2:] == [("subscriptions/missing", ["orders/paid"]),
                                                ("subscriptions/recreated", ["orders/paid"])]
