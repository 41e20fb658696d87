"""A flash sale under a tight bucket: what the remote allows is used up, and never passed.

The remote counts for itself (tests/sandbox/limited.py) and tells what is left; the gateway is judged by its
books. SLUICE_LONG=1: a whole minute of each.
"""

import os
import time

import pytest

from flow.harness import demo_config, wait_until
from sandbox.client import Process
from sandbox.orders import OrderFactory

LONG = bool(os.environ.get("SLUICE_LONG"))
SECONDS = 60 if LONG else 8
RATE, BURST = 25, 50


def sale(make_gateway, erp, rate, **endpoint):
    config = demo_config("http://127.0.0.1:9")
    config["endpoints"].pop("byron")
    config["endpoints"]["erp"] = {"adapter": "http", "base_url": erp.url, "rate": rate, "idempotent": True, **endpoint}
    config["routes"] = [{"name": "order-to-erp", "from": {"endpoint": "acme-shop", "topic": "orders/create"},
                         "map": "{id, name}", "to": {"endpoint": "erp", "action": "request.send"}}]
    return make_gateway(config)


def run(gateway, erp, calls):
    """Always something to send for SECONDS, and what the remote's books say of it then."""
    orders = list(OrderFactory(seed=7).orders(calls))
    begun = time.monotonic()
    gateway.burst(orders)
    wait_until(lambda: erp.books()["seconds"] > 0, "the first call")
    time.sleep(max(0, SECONDS - (time.monotonic() - begun)))
    until = time.monotonic() + 5  # what is not used just now because the machine stands still is used when it goes on
    while (books := erp.books())["budget_used_pct"] < 98 and time.monotonic() < until:
        time.sleep(0.05)
    assert gateway.lane("erp")["ready"] > 0, "there was not always something to send"
    print({name: books[name] for name in ("budget_used_pct", "refused", "used", "used_by_others", "seconds")})
    return books


@pytest.mark.plain
@pytest.mark.parametrize("kind, others", [("leaky", 50), *([("leaky", 0), ("requests", 50)] if LONG else [])])
def test_a_flash_sale_uses_the_budget_up_and_is_never_refused(make_gateway, kind, others):
    with Process("limited", "--kind", kind, "--rate", RATE, "--burst", BURST, "--others", others) as erp:
        gateway = sale(make_gateway, erp, {"per_second": RATE, "burst": BURST, "kind": kind})
        books = run(gateway, erp, (RATE * SECONDS + BURST) * 2)
        assert books["refused"] == 0
        assert books["budget_used_pct"] >= 98
        assert books["used_by_others"] >= books["budget"] * others / 100 * 0.95


@pytest.mark.skipif(not LONG, reason="takes a minute")
def test_points_are_learnt_from_the_answers_and_used_up(make_gateway):
    with Process("limited", "--kind", "points", "--rate", 250, "--burst", 500, "--cost", 10) as erp:
        gateway = sale(make_gateway, erp, {"per_second": 100, "burst": 200, "kind": "points"},
                       points="/extensions/cost/throttleStatus")
        gateway.config["routes"][0]["to"]["cost"] = 10
        gateway.write()
        gateway.restart()
        books = run(gateway, erp, (25 * SECONDS + 50) * 2)
        assert books["refused"] == 0
        assert books["budget_used_pct"] >= 98


def test_a_refusal_burns_no_attempt_and_is_waited_for(make_gateway):
    with Process("limited", "--kind", "silent", "--rate", 2, "--burst", 2) as erp:
        gateway = sale(make_gateway, erp, {"per_second": 50, "burst": 50})  # wrong, and nobody tells
        gateway.burst(list(OrderFactory(seed=7).orders(8)))
        wait_until(lambda: gateway.states("erp") == {"delivered": 8})
        assert erp.books()["refused"] > 0
        assert all(gateway.get(f"/v1/deliveries/{one['id']}")["attempts_burnt"] == 1
                   for one in gateway.deliveries(endpoint="erp"))
