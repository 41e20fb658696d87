"""An alert finds its owner, and so does its end: alerts are events, routed like all others."""

import json
import re

import pytest

from flow.harness import byron_orders, demo_config, http_endpoint, merge, messages, route, stays, wait_until

QUICK = {"retry": {"first": "20ms", "cap": "50ms", "max_attempts": 2}, "breaker": {"min_calls": 1000},
         "confirm": {"after": "100ms"}}
TEXT = '{id, state, severity, owner, text: "\\(.alert): \\(.text)"}'


@pytest.fixture
def pagers(desk, chat):
    """Two people's pagers: one message each for what is theirs."""
    return desk, chat


@pytest.fixture
def gateway(make_gateway, byron, pagers):
    fulfilment, operations = pagers
    config = demo_config(byron.url, alerts={"owner": "operations", "repeat": "1s", "signature_failures": 3})
    merge(config["endpoints"], {
        "byron": {**QUICK, "park": {"probe": "1h"}},
        "fulfilment-pager": http_endpoint(fulfilment, **QUICK),
        "operations-pager": http_endpoint(operations, **QUICK)})
    config["routes"] += [
        {"name": f"alerts-of-{owner}", "from": {"endpoint": "sluice", "topic": "alert/*"},
         "when": f'.owner == "{owner}"', "map": TEXT, "to": {"endpoint": pager, "action": "request.send"},
         "owner": owner}
        for owner, pager in (("fulfilment-team", "fulfilment-pager"), ("operations", "operations-pager"))]
    return make_gateway(config)


def told(pager, name):
    """(state, text) of the messages about one thing, as they came."""
    return [(one["state"], one["text"]) for one in messages(pager) if one["id"].startswith(name)]


@pytest.mark.plain  # it is about time and pace
def test_an_alert_goes_to_its_owner_and_so_does_its_end(gateway, byron, pagers):
    fulfilment, operations = pagers

    # The supplier refuses an order: the route's owner is told, once, however many there are.
    byron.fault(action="status", at="order", status=500)
    for order in byron_orders(3):
        gateway.post(order)
    wait_until(lambda: gateway.states("byron") == {"dead": 3})
    wait_until(lambda: told(fulfilment, "dead-letter/byron/order-to-supplier"))
    state, text = told(fulfilment, "dead-letter/byron/order-to-supplier")[0]
    assert state == "open" and text.startswith("dead-letter: given up after 2 attempts")
    assert told(operations, "dead-letter") == []

    # They are mended and replayed: nothing is left, and the owner hears that as well.
    byron.clear_faults()
    gateway.decide("replay", *[one["id"] for one in gateway.deliveries(state="dead")])
    wait_until(lambda: gateway.states("byron") == {"delivered": 3})
    wait_until(lambda: told(fulfilment, "dead-letter/byron")[-1][0] == "over")
    states = [state for state, _ in told(fulfilment, "dead-letter/byron")]
    assert states[0] == "open" and states[-1] == "over" and set(states[1:-1]) <= {"again"}

    # The supplier does not know our key any more: that belongs to no route, so to who runs the gateway.
    byron.fault(action="status", at="order", status=401, id="key")
    gateway.post(byron_orders(4)[3])
    wait_until(lambda: told(operations, "endpoint-parked/byron"))
    gateway.kill9()  # what was told stands over a crash ...
    byron.clear_faults()
    gateway.start()
    wait_until(lambda: gateway.lane("byron")["delivered"] == 1 or gateway.cli("endpoints", "unpark", "byron"))
    wait_until(lambda: told(operations, "endpoint-parked/byron")[-1][0] == "over")  # ... and so does its end
    assert [state for state, _ in told(operations, "endpoint-parked/byron")].count("over") == 1

    # Somebody sends webhooks with a wrong secret.
    for _ in range(4):
        assert gateway.post(byron_orders()[0], secret="wrong") == 401
    wait_until(lambda: told(operations, "bad-signatures/acme-shop"))


def said(gateway):
    """The bodies of all alerts that became events."""
    return [json.loads(gateway.get(f"/v1/events/{one['id']}")["body"]) for one in gateway.get("/v1/events", limit=100)
            if one["topic"].startswith("alert/")]


def test_a_hold_that_nobody_looks_at_is_told_to_who_decides(gateway, pagers):
    _, operations = pagers
    gateway.config["alerts"]["hold_unattended"] = "1s"
    route(gateway.config, "order-to-supplier")["hold"] = {"type": "approval", "owner": "operations"}
    gateway.write()
    gateway.cli("reload")
    gateway.post(byron_orders()[0])
    wait_until(lambda: told(operations, "hold-unattended"))  # while the alert that it is held stands, too
    state, text = told(operations, "hold-unattended")[0]
    assert state == "open" and re.match("hold-unattended: held as approval for [1-9]s, and nobody", text)
    assert told(operations, "held")


@pytest.mark.plain  # it is about time and pace
def test_alerts_about_alerts_come_to_an_end(gateway, byron, pagers):
    fulfilment, operations = pagers
    fulfilment.fault(action="status", at="message", status=400)  # the pager refuses every message
    byron.fault(action="status", at="order", status=500)
    for order in byron_orders(3):
        gateway.post(order)
    wait_until(lambda: gateway.states("fulfilment-pager").get("dead"))
    # the alert about the dead alert stands in the status, and is not sent by the way that is broken
    dead = wait_until(lambda: [one for one in gateway.alerts() if one.get("route") == "alerts-of-fulfilment-team"])
    assert dead[0]["alert"] == "dead-letter"
    # three orders, an alert that they died, and once more with their number - by one at a time, if they died in
    # their own time: no event follows from that
    wait_until(lambda: any(one["count"] == 3 for one in said(gateway)), "all three are told")
    events = gateway.status()["summary"]["events"]
    assert events == 3 + len(said(gateway)) <= 6
    assert stays(lambda: gateway.status()["summary"]["events"] == events, 3)
    assert told(operations, "dead-letter/fulfilment-pager") == []
