"""A sweep finds orders whose webhooks never came: they go out, each once, and live traffic goes before them.

The ledger is a shop of the tests' own (tests/plugins/ledger.c): its webhooks come unsigned, and its action `sweep` goes
over its books.
"""

import json
import subprocess

import pytest

from flow.harness import ROOT, http_endpoint, merge, messages, route, sluice, wait_until
from sandbox.client import request


@pytest.fixture(scope="module")
def plugins(tmp_path_factory):
    folder = tmp_path_factory.mktemp("plugins")
    subprocess.run(["cc", "-std=c11", "-shared", "-fPIC", "-fvisibility=hidden", f"-I{ROOT / 'include'}",
                    "-o", folder / "ledger.so", ROOT / "tests/plugins/ledger.c"], check=True)
    (folder / "ledger.so").chmod(0o644)
    return folder


@pytest.fixture
def gateway(make_gateway, plugins, erp):
    return make_gateway({
        "endpoints": {"ledger": {"adapter": "ledger"}, "erp": http_endpoint(erp, concurrency=1)},
        "routes": [
            {"name": "sweep", "from": {"endpoint": "ledger", "topic": "sweep"},
             "to": {"endpoint": "ledger", "action": "sweep"}},
            {"name": "order-to-erp", "from": {"endpoint": "ledger", "topic": "orders/create"}, "priority": "critical",
             "to": {"endpoint": "erp", "action": "request.send", "path": "/orders"}}]}, plugins=[plugins])


def came(gateway, topic, body):
    assert request(gateway.url, "POST", f"/in/ledger/{topic}", json.dumps(body, separators=(",", ":")).encode(),
                   {"Content-Type": "application/json"})[0] == 200


def orders_at(erp):
    return [one["id"] for one in messages(erp)]


def by_id(gateway):
    """{an order's id: its delivery}"""
    return {one["subject"].removeprefix("order:"): gateway.get(f"/v1/deliveries/{one['id']}")
            for one in gateway.deliveries(route="order-to-erp")}


def test_what_a_sweep_found_goes_once_and_after_what_comes_live(gateway, erp):
    came(gateway, "orders/create", {"id": "1"})
    wait_until(lambda: orders_at(erp) == ["1"], "the one whose webhook came")

    # While the ERP is paused a sweep goes over the books: 1 is known, the others are not. Then two orders come live.
    gateway.cli("endpoints", "pause", "erp", "--why", "it moves")
    came(gateway, "sweep", ["1", "2", "3", "4"])
    wait_until(lambda: len(by_id(gateway)) == 4, "what was missed is there, what came is not there twice")
    came(gateway, "orders/create", {"id": "8"})
    came(gateway, "orders/create", {"id": "9"})
    came(gateway, "orders/create", {"id": "4"})  # late, but the sweep was there first
    wait_until(lambda: len(by_id(gateway)) == 6 and gateway.metrics()["sluice_events_same_total"] == 2)
    assert {order: one["priority"] for order, one in by_id(gateway).items()} == \
        {"1": "critical", "2": "low", "3": "low", "4": "low", "8": "critical", "9": "critical"}
    gateway.cli("endpoints", "resume", "erp")
    wait_until(lambda: len(orders_at(erp)) == 6, "all go out")
    assert orders_at(erp) == ["1", "8", "9", "2", "3", "4"]

    # Each says how it came to be known.
    found = by_id(gateway)
    event = gateway.get(f"/v1/events/{found['2']['id'].split('.')[0]}")
    assert (event["origin"], event["subject"]) == ("reconciliation", "order:2")
    assert gateway.get(f"/v1/events/{found['8']['id'].split('.')[0]}")["origin"] == "webhook"
    shown = sluice("events", "show", found["2"]["id"].split(".")[0], "-c", gateway.file)
    assert shown.code == 0 and "reconciliation" in shown.out


def test_a_route_may_give_it_the_priority_of_its_own(gateway, erp):
    merge(route(gateway.config, "order-to-erp"), {"reconciliation": {"priority": "critical"}})
    gateway.write()
    gateway.cli("reload")
    came(gateway, "sweep", ["5"])
    wait_until(lambda: orders_at(erp) == ["5"])
    assert by_id(gateway)["5"]["priority"] == "critical"
