"""Many orders out of a shop: the memory of the gateway is bounded, whatever the size of the file.

SLUICE_LONG=1: 20,000 orders.
"""

import os
import time

import pytest

from flow.harness import SHOP, http_endpoint, sluice
from flow.test_story_missed_webhooks import TOKEN
from sandbox.client import Process

pytestmark = pytest.mark.plain  # it is about memory

LONG = bool(os.environ.get("SLUICE_LONG"))
ORDERS = 20_000 if LONG else 400
MARGIN_KB = 96 * 1024


@pytest.fixture
def shop():
    with Process("shopify_admin", "--bulk-ms", 20) as running:
        running.call("POST", "points", {"plan": "plus"})
        yield running


def test_the_gateway_does_not_grow_with_the_file(make_gateway, shop, desk):
    gateway = make_gateway({
        "endpoints": {
            "acme-shop": {
                "adapter": "shopify", "shop": SHOP, "webhook_secret": {"env": "DEMO_SHOPIFY_SECRET"},
                "admin": {"version": "2026-10", "token": {"env": "SHOPIFY_ADMIN_TOKEN"}, "url": shop.url}},
            "desk": http_endpoint(desk, concurrency=4)},
        # what is found is stored and routed nowhere: the back-fill itself is looked at
        "routes": [{"name": "orders-cancelled", "from": {"endpoint": "acme-shop", "topic": "orders/cancelled"},
                    "to": {"endpoint": "desk", "action": "request.send", "path": "/orders/cancelled"}}]},
        {"SHOPIFY_ADMIN_TOKEN": TOKEN})
    for first in range(0, ORDERS, 500):
        shop.call("POST", "orders", {"count": min(500, ORDERS - first), "first": first})
    before, most = rss_kb(gateway), 0
    begun = sluice("backfill", "--socket", gateway.socket, "--endpoint", "acme-shop", "--topic", "orders/create",
                   "--since", "2020-01-01T00:00:00Z", "--until", "2035-01-01T00:00:00Z", "--no-wait")
    assert begun.code == 0, begun.err
    until = time.monotonic() + (1500 if LONG else 120)
    while state(gateway)["state"] == "running" and time.monotonic() < until:
        most = max(most, rss_kb(gateway))
        time.sleep(0.1)
    one = state(gateway)
    assert (one["state"], one["done"], one["total"], one["found"]) == ("done", ORDERS, ORDERS, ORDERS), one
    print(f"{ORDERS} orders: {before} kB before, {most} kB at most")
    assert most - before < MARGIN_KB, (before, most)


def state(gateway):
    return gateway.get("/v1/backfills")[0]


def rss_kb(gateway):
    with open(f"/proc/{gateway.process.pid}/status") as status:
        return next(int(line.split()[1]) for line in status if line.startswith("VmRSS"))
