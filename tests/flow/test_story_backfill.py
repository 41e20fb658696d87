"""A merchant begins with Sluice in the middle of a year: the orders of the last months are brought out of the shop, in
the form of webhooks, over a kill of the daemon, and what webhooks have told already is not told again.
"""

import datetime
import json

import pytest

from flow.harness import SHOP, http_endpoint, sluice, wait_until
from flow.test_story_missed_webhooks import TOKEN, refund, ship
from sandbox.client import Process

pytestmark = pytest.mark.plain  # tests/unit/plugins/test_shopify_bulk.c has its course

TOPICS = ("orders/create", "orders/paid", "orders/fulfilled", "refunds/create", "fulfillments/create")
DAY = 86400


@pytest.fixture
def shop():
    with Process("shopify_admin") as running:
        running.call("POST", "variants", [{"sku": "GEAR", "stock": {"gid://shopify/Location/70000000101": 10_000}}])
        running.call("POST", "points", {"plan": "plus"})
        yield running


@pytest.fixture
def gateway(make_gateway, shop, desk):
    return make_gateway({
        "endpoints": {
            "acme-shop": {
                "adapter": "shopify", "shop": SHOP, "webhook_secret": {"env": "DEMO_SHOPIFY_SECRET"},
                "admin": {"version": "2026-10", "token": {"env": "SHOPIFY_ADMIN_TOKEN"}, "url": shop.url}},
            "desk": http_endpoint(desk, concurrency=4)},
        "routes": [{"name": topic.replace("/", "-"), "from": {"endpoint": "acme-shop", "topic": topic},
                    "to": {"endpoint": "desk", "action": "request.send", "path": "/" + topic}} for topic in TOPICS]},
        {"SHOPIFY_ADMIN_TOKEN": TOKEN})


def buy(shop, n, **more):
    gids = []
    for _ in range(n):
        gids += shop.call("POST", "orders", {"lines": [
            {"sku": "GEAR", "quantity": 2, "price": "40.00"}, {"sku": "GEAR", "quantity": 1, "price": "39.00"}],
            "email": "ada@example.com", "paid": True, **more})["orders"]
    return gids


def told(desk):
    """{topic: {id: times}} of what came to the desk."""
    out = {topic: {} for topic in TOPICS}
    for one in desk.books()["messages"]:
        topic = one["path"].split("?")[0].lstrip("/")
        body = json.loads(one["raw"])
        out[topic][body["id"]] = out[topic].get(body["id"], 0) + 1
    return out


def created(gateway):
    """The orders/create that the gateway keeps: [subject]."""
    return [one["subject"] for one in gateway.get("/v1/events", limit=1000, topic="orders/create")]


def number(gid):
    return int(gid.rpartition("/")[2])


def backfills(gateway):
    return gateway.get("/v1/backfills")


def state(gateway):
    return backfills(gateway)[0]["state"] if backfills(gateway) else None


def in_days(n):
    return (datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(days=n)).strftime("%Y-%m-%dT%H:%M:%SZ")


def start(gateway, *more):
    return sluice("backfill", "--socket", gateway.socket, "--endpoint", "acme-shop", *more)


def test_the_orders_of_months_are_brought_once(gateway, shop, desk):
    early = buy(shop, 2)
    shop.call("POST", "clock", {"advance_s": 100 * DAY})
    gids = buy(shop, 45)
    for gid in gids[:5]:
        ship(shop, gid)
    refund(shop, gids[0])
    done = start(gateway, "--topic", "orders/* refunds/* fulfillments/*", "--since", in_days(50), "--until", in_days(200))
    assert done.code == 0, done.err
    assert "back-fill of acme-shop done" in done.out + done.err
    wait_until(lambda: len(told(desk)["orders/paid"]) == 45, "all are told")
    came = told(desk)
    assert set(came["orders/create"]) == {number(gid) for gid in gids}
    assert not set(came["orders/create"]) & {number(gid) for gid in early}, "before the window"
    assert len(came["fulfillments/create"]) == 5 and len(came["refunds/create"]) == 1
    assert set(came["orders/fulfilled"]) == {number(gid) for gid in gids[:5]}
    one = backfills(gateway)[0]
    assert (one["state"], one["done"], one["total"], one["of"]) == ("done", 45, 45, "orders")
    again = start(gateway, "--topic", "orders/create", "--since", in_days(50), "--until", in_days(200))
    assert again.code == 0
    assert backfills(gateway)[0]["found"] == 0, "all of it is known"
    assert all(times == 1 for ids in told(desk).values() for times in ids.values()), "once each"


def test_a_kill_in_the_middle_loses_nothing_and_doubles_nothing(gateway, shop, desk):
    gids = buy(shop, 60)
    shop.call("POST", "bulk", {"hold": True})
    begun = start(gateway, "--topic", "orders/create", "--since", "30d", "--no-wait")
    assert begun.code == 0, begun.err
    wait_until(lambda: backfills(gateway)[0]["of"] == "orders", "the shop runs it, and that is durable")
    gateway.kill9()
    gateway.start()
    wait_until(lambda: state(gateway) == "running", "it goes on by itself")
    shop.call("POST", "bulk", {"hold": False})
    wait_until(lambda: backfills(gateway)[0]["done"] >= 20, "some are read")
    gateway.kill9()
    gateway.start()
    wait_until(lambda: state(gateway) == "done", "to its end")
    wait_until(lambda: len(told(desk)["orders/create"]) == 60, "all are told")
    # what was under way to the desk at the kill may have come there twice: the desk has no memory
    assert sorted(created(gateway)) == sorted(f"order:{SHOP}/{number(gid)}" for gid in gids)
    assert len(shop.books()["bulk"]["operations"]) == 1, "the operation that was begun was gone on with"


def test_it_can_be_cancelled_and_says_what_is_wrong(gateway, shop):
    buy(shop, 3)
    shop.call("POST", "bulk", {"hold": True})
    assert start(gateway, "--topic", "orders/create", "--since", "30d", "--no-wait").code == 0
    wait_until(lambda: shop.books()["bulk"]["operations"], "the shop runs it")
    second = start(gateway, "--topic", "orders/create", "--since", "30d")
    assert second.code != 0 and 'a back-fill of "acme-shop" is running' in second.err
    assert sluice("backfill", "--socket", gateway.socket, "--endpoint", "acme-shop", "--cancel").code == 0
    assert state(gateway) == "cancelled"
    shown = sluice("backfill", "--socket", gateway.socket)
    assert "acme-shop" in shown.out and "cancelled" in shown.out
    shop.call("POST", "bulk", {"hold": False})
    wait_until(lambda: start(gateway, "--topic", "orders/create", "--since", "30d").code == 0, "another one")
    assert state(gateway) == "done"
    for options, wrong in ((("--topic", "products/*", "--since", "9d"), "of a shop orders/*"),
                           (("--topic", "orders/*", "--since", "2030-01-01T00:00:00Z"), "not before"),
                           (("--topic", "orders/*", "--since", "soon"), "must be a duration")):
        refused = start(gateway, *options)
        assert refused.code != 0 and wrong in refused.err, (options, refused.err)
    desk = sluice("backfill", "--socket", gateway.socket, "--endpoint", "desk", "--topic", "x", "--since", "1d")
    assert 'adapter "http" of "desk" has nothing to back-fill from' in desk.err


def test_an_operation_that_fails_in_the_shop_is_run_again(gateway, shop, desk):
    gids = buy(shop, 5)
    shop.call("POST", "bulk", {"fail": {"code": "TIMEOUT", "after": 3}})
    assert start(gateway, "--topic", "orders/create", "--since", "30d", "--no-wait").code == 0
    wait_until(lambda: state(gateway) == "done", "it was run again", 40)
    wait_until(lambda: len(told(desk)["orders/create"]) == 5, "all are told")
    assert told(desk)["orders/create"] == {number(gid): 1 for gid in gids}
    assert len(shop.books()["bulk"]["operations"]) == 2
