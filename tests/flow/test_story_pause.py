"""A supplier moves house: it is drained, stays paused over a restart, and goes on; and one route is stopped alone."""

import subprocess

import pytest

from flow.harness import QUICK, SLUICE, byron_orders, demo_config, http_endpoint, merge, orders_of, route, \
    stays, wait_until
from sandbox.orders import BYRON


@pytest.fixture
def gateway(make_gateway, byron, erp):
    config = demo_config(byron.url)
    merge(config["endpoints"], {"byron": {**QUICK, "timeout": {"first_byte": "30s", "total": "60s"}},
                                "erp": http_endpoint(erp, **QUICK)})
    config["routes"] += [
        {"name": f"order-to-erp-{n}", "from": {"endpoint": "acme-shop", "topic": "orders/create"},
         "map": f"{{id, by: {n}}}", "to": {"endpoint": "erp", "action": "request.send"}} for n in (1, 2)]
    return make_gateway(config)


def test_a_paused_endpoint_keeps_what_comes_over_a_restart_and_burns_nothing(gateway, byron):
    first, second, third = byron_orders(3)
    said = gateway.cli("endpoints", "pause", "byron", "--why", "they move house").json
    assert (said["paused"]["who"], said["paused"]["why"], said["paused"]["drain"]) == \
        ("uid 0", "they move house", False)
    gateway.post(first)
    wait_until(lambda: gateway.states("byron") == {"ready": 1})
    wait_until(lambda: gateway.states("erp") == {"delivered": 2})  # the others go on

    gateway.restart()
    gateway.post(second)
    wait_until(lambda: gateway.states("byron") == {"ready": 2})
    assert stays(lambda: byron.books()["orders"] == [], 0.5)
    waiting = gateway.get(f"/v1/deliveries/{gateway.deliveries(endpoint='byron')[0]['id']}")
    assert waiting["waits_for"]["text"].startswith("endpoint byron is paused by uid 0 since 20")
    assert waiting["waits_for"]["text"].endswith(": they move house")
    assert waiting["attempts_burnt"] == 0
    assert gateway.metrics()['sluice_endpoint_paused{endpoint="byron"}'] == 1
    text = subprocess.run([SLUICE, "status", "-c", gateway.file], capture_output=True, text=True).stdout
    assert "paused by uid 0 since" in text and "they move house" in text

    gateway.cli("reload")  # a reload does not end it
    gateway.post(third)
    wait_until(lambda: gateway.states("byron") == {"ready": 3})
    gateway.cli("endpoints", "resume", "byron")
    wait_until(lambda: gateway.states("byron") == {"delivered": 3})
    assert len(byron.books()["orders"]) == 3
    assert gateway.metrics()['sluice_endpoint_paused{endpoint="byron"}'] == 0
    gateway.restart()
    assert gateway.lane("byron")["paused"] is None


def test_a_drain_waits_for_what_is_under_way_and_lets_nothing_more_out(gateway, byron):
    byron.fault(action="slow", at="order", ms=1500, count=1)
    first, second = byron_orders(2)
    gateway.post(first)
    wait_until(lambda: gateway.lane("byron")["attempts"] == 1, "it is with the supplier")
    late = gateway.cli("endpoints", "drain", "byron", "--timeout", "100ms", ok=False)
    assert late.code == 1 and "1 still under way" in late.err
    gateway.post(second)
    done = gateway.cli("endpoints", "drain", "byron", "--why", "their new address")
    assert "nothing is under way any more" in done.err
    wait_until(lambda: gateway.states("byron") == {"delivered": 1, "ready": 1})
    assert len(byron.books()["orders"]) == 1
    gateway.cli("endpoints", "resume", "byron")
    wait_until(lambda: gateway.states("byron") == {"delivered": 2})


def test_a_paused_route_stops_alone_though_it_shares_the_endpoint(gateway, erp):
    gateway.cli("routes", "pause", "order-to-erp-1", "--why", "wrong prices")
    gateway.post(orders_of(BYRON)[0])
    wait_until(lambda: gateway.states("erp") == {"delivered": 1, "ready": 1})
    waiting = gateway.delivery(route="order-to-erp-1")
    assert waiting["waits_for"]["text"].startswith("route order-to-erp-1 is paused by uid 0 since 20")
    (paused,) = [one for one in gateway.get("/v1/routes") if one["paused"]]
    assert (paused["route"], paused["paused"]["why"], paused["failing"]) == ("order-to-erp-1", "wrong prices", None)
    assert gateway.metrics()['sluice_route_paused{route="order-to-erp-1",by="person"}'] == 1
    gateway.restart()
    assert stays(lambda: gateway.states("erp") == {"delivered": 1, "ready": 1}, 0.4)
    gateway.cli("routes", "resume", "order-to-erp-1")
    wait_until(lambda: gateway.states("erp") == {"delivered": 2})


def test_both_kinds_of_a_routes_pause_are_told_apart(gateway, erp):
    route(gateway.config, "order-to-erp-1")["map"] = 'error("no price")'
    gateway.write()
    gateway.cli("reload")
    for order in orders_of(BYRON, count=21):
        gateway.post(order)
    wait_until(lambda: gateway.metrics()['sluice_route_paused{route="order-to-erp-1",by="errors"}'] == 1)
    gateway.cli("routes", "pause", "order-to-erp-1", "--why", "until it is mended")
    (one,) = [one for one in gateway.get("/v1/routes") if one["route"] == "order-to-erp-1"]
    assert one["failing"] == "no price" and one["paused"]["why"] == "until it is mended"
    route(gateway.config, "order-to-erp-1")["map"] = "{id, by: 1}"
    gateway.write()
    gateway.cli("reload")  # another program: that pause is over, the person's is not
    (one,) = [one for one in gateway.get("/v1/routes") if one["route"] == "order-to-erp-1"]
    assert one["failing"] is None and one["paused"]["why"] == "until it is mended"


def test_what_is_not_there_is_not_paused(gateway):
    for kind in ("endpoints", "routes"):
        assert gateway.cli(kind, "pause", "nobody", ok=False).code == 4
