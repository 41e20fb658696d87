"""A cancel overtakes a held order: it closes it, and nothing is sent; an order that went out is cancelled after it. A
change amends what is held, which goes out as the change says."""

import json

import pytest

from flow.harness import byron_orders, demo_config, http_endpoint, messages, wait_until

CANCEL = "orders/cancelled"


@pytest.fixture
def gateway(make_gateway, byron, desk):
    """Orders are looked at before they go to the desk; a cancel goes there, too."""
    config = demo_config(byron.url)
    config["endpoints"]["desk"] = http_endpoint(desk)
    config["routes"] = [
        {"name": "order-to-desk", "from": {"endpoint": "acme-shop", "topic": "orders/create"},
         "map": '{order: .id}', "to": {"endpoint": "desk", "action": "request.send"}, "hold": "fraud"},
        {"name": "cancel-to-desk", "from": {"endpoint": "acme-shop", "topic": CANCEL},
         "map": '{cancel: .id}', "to": {"endpoint": "desk", "action": "request.send"},
         "overtakes": {"route": "order-to-desk", "held": "close"}}]
    return make_gateway(config)


EDITED = "orders/updated"


@pytest.fixture
def changing(make_gateway, byron, desk):
    """Changes of an order amend what is held of it."""
    config = demo_config(byron.url)
    config["endpoints"]["desk"] = http_endpoint(desk)
    config["routes"] = [
        {"name": "order-to-desk", "from": {"endpoint": "acme-shop", "topic": "orders/create"},
         "map": '{order: .id, note: .note}', "to": {"endpoint": "desk", "action": "request.send"}, "hold": "fraud"},
        {"name": "change-to-desk", "from": {"endpoint": "acme-shop", "topic": EDITED},
         "map": '{order: .id, note: .note}', "to": {"endpoint": "desk", "action": "request.send"},
         "overtakes": {"held": "amend"}}]
    return make_gateway(config)


def test_a_cancel_closes_the_held_order_and_neither_is_sent(gateway, desk):
    order, other = byron_orders(2)
    gateway.post(order)
    gateway.post(other)
    wait_until(lambda: gateway.states("desk") == {"held": 2}, "both wait for a person")
    gateway.kill9()
    gateway.start()
    gateway.post(order, topic=CANCEL)
    wait_until(lambda: gateway.states("desk") == {"held": 1, "discarded": 1, "superseded": 1}, "it is closed")
    closed, cancel = gateway.delivery(state="discarded"), gateway.delivery(state="superseded")
    assert closed["reason"] == f"closed by {cancel['id']}, which cancels it"
    assert cancel["reason"] == f"nothing had been sent: it closed {closed['id']}"
    assert messages(desk) == []

    gateway.decide("release", gateway.delivery(state="held")["id"])  # the other order goes its way
    wait_until(lambda: messages(desk) == [{"order": str(other.summary["id"])}])


def test_what_was_sent_is_cancelled_after_it(gateway, desk):
    order = byron_orders()[0]
    desk.fault(action="status", at="message", status=503, id="down")
    gateway.post(order)
    wait_until(lambda: gateway.states("desk") == {"held": 1})
    gateway.decide("release", gateway.delivery()["id"])
    wait_until(lambda: gateway.states("desk").get("waiting") == 1, "it was tried, and is tried again")
    gateway.post(order, topic=CANCEL)
    wait_until(lambda: len(gateway.deliveries()) == 2)
    wait_until(lambda: "of route order-to-desk, which it follows" in
               gateway.delivery(route="cancel-to-desk")["waits_for"]["text"], "it says what it follows")
    desk.clear_faults()
    wait_until(lambda: gateway.states("desk") == {"delivered": 2})
    assert messages(desk) == [{"order": str(order.summary["id"])}, {"cancel": str(order.summary["id"])}]


def changed(order, note, at):
    return json.dumps({**json.loads(order.body), "note": note, "updated_at": at}).encode()


def test_a_change_amends_the_held_order_which_goes_out_once_as_the_newest_says(changing, desk):
    order = byron_orders()[0]
    number = str(order.summary["id"])
    changing.post(order)
    wait_until(lambda: changing.states("desk") == {"held": 1})
    changing.post(changed(order, "leave at the door", "2026-11-21T10:00:00Z"), topic=EDITED)
    wait_until(lambda: changing.states("desk") == {"held": 1, "superseded": 1}, "it is amended")
    held = changing.delivery(state="held")
    change = changing.delivery(state="superseded")
    assert change["reason"] == f"nothing had been sent: it amended {held['id']}, which is held"
    assert held["hold_type"] == "fraud" and held["reason"] == f"amended by {change['id']} ({EDITED})"
    changing.kill9()
    changing.start()
    changing.post(changed(order, "ring twice", "2026-11-21T10:00:01Z"), topic=EDITED)
    wait_until(lambda: changing.states("desk") == {"held": 1, "superseded": 2})
    assert messages(desk) == []

    changing.decide("release", held["id"])
    wait_until(lambda: changing.states("desk") == {"delivered": 1, "superseded": 2})
    assert messages(desk) == [{"order": number, "note": "ring twice"}]
    changing.post(changed(order, "never mind", "2026-11-21T10:00:02Z"), topic=EDITED)
    wait_until(lambda: len(messages(desk)) == 2, "what was sent is changed after it")
    assert messages(desk)[1] == {"order": number, "note": "never mind"}
