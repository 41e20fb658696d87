"""The out-of-order join: what is about an order waits a bounded time for the order itself to have been routed."""

import json

import pytest

from flow.harness import byron_orders, demo_config, stays, wait_until
from sandbox.client import Process

PAID = "orders/paid"


@pytest.fixture(scope="module")
def receiver():
    with Process("receiver") as desk:
        yield desk


@pytest.fixture
def desk(receiver):
    receiver.reset()
    return receiver


def joining(byron, desk, **wait_for):
    """The desk hears of a payment only after the order has gone to its supplier's route."""
    config = demo_config(byron.url)
    config["endpoints"]["desk"] = {"adapter": "http", "base_url": desk.url, "idempotent": True}
    config["routes"].append({
        "name": "payment-to-desk", "from": {"endpoint": "acme-shop", "topic": PAID},
        "map": "{paid: .id}", "to": {"endpoint": "desk", "action": "request.send"},
        "wait_for": {"topic": "orders/create", **wait_for}})
    return config


def test_a_payment_that_overtook_its_order_waits_for_it(make_gateway, byron, desk):
    gateway = make_gateway(joining(byron, desk, within="60s"))
    order = byron_orders()[0]
    gateway.post(order, topic=PAID)
    wait_until(lambda: gateway.states("desk") == {"held": 1}, "it waits")
    row = gateway.delivery(endpoint="desk")
    assert row["hold_type"] == "wait-for" and row["reason"] == "waits for orders/create" and row["next_at"]
    assert gateway.cli("held", "list").json == []  # nobody has to decide anything
    assert len(gateway.cli("held", "list", "--type", "wait-for").json) == 1
    assert not any(one["alert"] == "held" for one in gateway.alerts())
    assert desk.books()["messages"] == []

    gateway.post(order)
    wait_until(lambda: gateway.states() == {"delivered": 2})
    assert json.loads(desk.books()["messages"][0]["raw"]) == {"paid": str(order.summary["id"])}
    move = next(m for m in gateway.delivery(endpoint="desk")["moves"] if m["who"].startswith("event "))
    assert "orders/create" in move["reason"]


def test_it_goes_at_once_when_the_order_is_there_and_another_order_is_not_it(make_gateway, byron, desk):
    gateway = make_gateway(joining(byron, desk, within="60s"))
    first, second = byron_orders(2)
    gateway.post(first)
    wait_until(lambda: gateway.settled(1))
    gateway.post(first, topic=PAID)
    gateway.post(second, topic=PAID)
    wait_until(lambda: gateway.states("desk") == {"delivered": 1, "held": 1})
    assert stays(lambda: gateway.states("desk").get("held") == 1, 0.3)


@pytest.mark.parametrize("otherwise, state", [("go", "delivered"), ("dead", "dead")])
def test_at_the_end_of_the_time_it_goes_or_is_given_up_also_over_a_kill(make_gateway, byron, desk, otherwise, state):
    gateway = make_gateway(joining(byron, desk, within="2s", **{"else": otherwise}))
    gateway.post(byron_orders()[0], topic=PAID)
    wait_until(lambda: gateway.states("desk") == {"held": 1})
    gateway.kill9()
    gateway.start()
    wait_until(lambda: gateway.states("desk") == {state: 1})
    move = next(m for m in gateway.delivery(endpoint="desk")["moves"] if m["who"] == "clock")
    assert move["reason"] == "orders/create has not come within 2s"


def test_a_look_up_that_no_adapter_offers_is_refused(make_gateway, byron, desk):
    gateway = make_gateway(joining(byron, desk, within="2s", **{"else": "lookup"}), start=False)
    done = gateway.cli("check", ok=False)
    assert done.code == 3
    assert "cannot look anything up; say go or dead" in done.out + done.err
