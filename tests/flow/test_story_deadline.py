"""Deadlines: what must follow a delivery in time, each parcel for itself, and what happens when it does not."""

import json
import time
from datetime import datetime

import pytest

from flow.harness import LATE_S, byron_orders, demo_config, http_endpoint, messages, orders_of, route, wait_until
from sandbox.orders import BYRON, NORD


def seconds(text):
    return datetime.fromisoformat(text.replace("Z", "+00:00")).timestamp()


def expecting(desk, byron, nord=None, **deadline):
    config = demo_config(byron.url, nord.url if nord else None)
    config["endpoints"]["desk"] = http_endpoint(desk)
    route(config, "order-to-supplier")["deadline"] = {
        "expect": "orders/fulfilled", "within": "2s", "else": "sla/tracking-missing", **deadline}
    config["routes"].append({"name": "late-to-desk", "from": {"endpoint": "byron", "topic": "sla/*"},
                             "to": {"endpoint": "desk", "action": "request.send"}})
    return config


def fulfilled(order):
    return json.dumps({"id": order.summary["id"], "updated_at": "2026-11-21T10:00:00Z"}).encode()


def open_deadlines(gateway):
    return gateway.cli("deadlines", "list").json


def of_byron(gateway):
    """The deadline of his delivery, once there is one: open, met or missed."""
    rows = gateway.deliveries(endpoint="byron")
    return rows and gateway.get(f"/v1/deliveries/{rows[0]['id']}")["deadline"]


def test_what_does_not_come_in_time_is_an_event_once(make_gateway, byron, desk):
    gateway = make_gateway(expecting(desk, byron, warn="50%"))
    order = byron_orders()[0]
    gateway.post(order)
    wait_until(lambda: gateway.states("desk") == {"delivered": 1}, "the desk is told")
    delivery = gateway.delivery(endpoint="byron")
    due_at = delivery["deadline"]["due_at"]
    said = messages(desk)[0]
    assert said["delivery"] == delivery["id"] and said["owner"] == "fulfilment-team"
    assert said["expect"] == "orders/fulfilled" and said["due_at"] == due_at
    [event] = gateway.get("/v1/events", topic="sla/tracking-missing")
    assert event["subject"] == delivery["subject"] and event["cause"] == delivery["id"]
    assert 0 <= seconds(event["received_at"]) - seconds(due_at) < LATE_S
    assert open_deadlines(gateway) == []
    [missed] = gateway.cli("deadlines", "list", "--overdue").json
    assert missed["state"] == "missed"
    assert gateway.status()["intake"]["deadlines_missed"] == 1
    wait_until(lambda: any(one["alert"] == "deadline" and one["owner"] == "fulfilment-team"
                           for one in gateway.alerts()), "its owner is told")


def test_what_comes_in_time_meets_it_and_nothing_is_said(make_gateway, byron, desk):
    gateway = make_gateway(expecting(desk, byron, within="30s"))
    first, second = byron_orders(2)
    gateway.post(first)
    gateway.post(second)
    rows = wait_until(lambda: len(both := open_deadlines(gateway)) == 2 and both, "both run")
    for row in rows:
        delivery = gateway.get(f"/v1/deliveries/{row['delivery']}")
        assert row["owner"] == "fulfilment-team" and row["due_at"] == delivery["deadline"]["due_at"]
        assert delivery["deadline"]["state"] == "open" and delivery["deadline"]["expect"] == ["orders/fulfilled"]
    gateway.post(fulfilled(first), topic="orders/fulfilled")
    wait_until(lambda: len(open_deadlines(gateway)) == 1)
    [left] = open_deadlines(gateway)
    assert left["subject"].endswith(str(second.summary["id"]))
    met = next(one for one in gateway.deliveries(endpoint="byron") if one["id"] != left["delivery"])
    assert gateway.get(f"/v1/deliveries/{met['id']}")["deadline"]["state"] == "met"


def test_one_parcel_s_event_does_not_clear_another_s(make_gateway, byron, desk):
    """Two parcels of one order: Byron accepts his, and that comes of his delivery; the desk takes the other in silence."""
    config = expecting(desk, byron, expect="supplier/accepted")
    route(config, "order-to-supplier")["to"]["cases"]["Supplier Nord"] = {"endpoint": "desk", "action": "request.send"}
    gateway = make_gateway(config)
    gateway.post(orders_of(BYRON, NORD)[0])
    wait_until(lambda: gateway.states("byron") == gateway.states("desk") == {"delivered": 1}, "both parcels are taken")
    one, two = gateway.delivery(endpoint="byron"), gateway.delivery(endpoint="desk")
    assert one["subject"] == two["subject"] and one["route"] == two["route"]

    def deadline(delivery):
        return gateway.get(f"/v1/deliveries/{delivery['id']}")["deadline"]

    wait_until(lambda: deadline(one)["state"] == "met", "the accepted one is met")
    [accepted] = gateway.get("/v1/events", topic="supplier/accepted")
    assert accepted["cause"] == one["id"] and accepted["subject"] == two["subject"]
    wait_until(lambda: deadline(two)["state"] == "missed", "the other runs out")
    [event] = gateway.get("/v1/events", topic="sla/tracking-missing")
    assert event["cause"] == two["id"] and event["endpoint"] == "desk"
    assert 0 <= seconds(event["received_at"]) - seconds(deadline(two)["due_at"]) < LATE_S
    assert deadline(one)["state"] == "met" and open_deadlines(gateway) == []
    stats = gateway.status()["intake"]
    assert (stats["deadlines_met"], stats["deadlines_missed"]) == (1, 1)


@pytest.mark.parametrize("when", ["before", "after"])
def test_it_fires_once_over_a_kill(make_gateway, byron, desk, when):
    gateway = make_gateway(expecting(desk, byron))
    gateway.post(byron_orders()[0])
    due = seconds(wait_until(lambda: of_byron(gateway), "it runs")["due_at"])
    if when == "after":
        wait_until(lambda: of_byron(gateway)["state"] == "missed")
    gateway.kill9()
    gateway.start()
    started = time.time()  # on a busy machine perhaps later than the deadline
    wait_until(lambda: gateway.states("desk").get("delivered") == 1)
    [event] = gateway.get("/v1/events", topic="sla/tracking-missing")
    assert due <= seconds(event["received_at"]) < max(due, started) + LATE_S
    gateway.restart()
    assert len(gateway.get("/v1/events", topic="sla/tracking-missing")) == 1
