"""A lost answer, settled by confirm: the ERP takes the order, the answer is lost; it is asked, and delivered once.

The ERP honours no key: a second POST would be a second order. But it can be asked for what it has.
"""

import pytest

from flow.harness import demo_config, merge, orders_of, wait_until
from sandbox.client import Process
from sandbox.orders import BYRON


@pytest.fixture(scope="module")
def erp_process():
    with Process("receiver", "--find") as erp:
        yield erp


@pytest.fixture
def erp(erp_process):
    erp_process.reset()
    return erp_process


@pytest.fixture
def gateway(make_gateway, byron, erp):
    config = demo_config(byron.url)
    merge(config["endpoints"], {"byron": None, "erp": {
        "adapter": "http", "base_url": erp.url, "accepted": {"reference": "/id"},
        "retry": {"first": "50ms", "cap": "200ms"}, "confirm": {"after": "200ms"}}})
    config["routes"] = [
        {"name": "order-to-erp", "owner": "erp-team", "from": {"endpoint": "acme-shop", "topic": "orders/create"},
         "map": "{name, total: .total_price}",
         "to": {"endpoint": "erp", "path": "/orders", "body": "{name, total, key: $delivery.key}",
                "confirm": {"path": "/orders?key={key}", "found": ".id", "settle": "500ms"}}}]
    return make_gateway(config)


def story_of(gateway):
    return [(one["state"], one["who"]) for one in gateway.delivery()["moves"]]


def asked_and_waiting(delivery):
    """The delivery, if it says when it is asked about again; not while it is just being asked."""
    return delivery if delivery["waits_for"]["text"].startswith("the question whether it arrived (asked ") else None


def test_what_arrived_although_its_answer_was_lost_is_asked_for_and_delivered_once(gateway, erp):
    # The ERP takes the order, the line breaks before its answer is here; for a while it cannot be asked either.
    erp.faults([{"action": "cut_after", "at": "message", "count": 1},
                {"action": "status", "status": 503, "at": "lookup", "id": "down"}])
    order = orders_of(BYRON)[0]
    gateway.post(order)

    # Nobody knows now whether the ERP has it. Nothing is sent again; the gateway says what it waits for.
    wait_until(lambda: gateway.states("erp") == {"unknown": 1}, "the outcome is unknown")
    unknown = wait_until(lambda: asked_and_waiting(gateway.delivery()), "it was asked once at least")
    assert unknown["waits_for"]["until"] > unknown["updated_at"]
    assert len(erp.books()["messages"]) == 1

    # The ERP can be asked again, and has it: delivered, with the ERP's own number, by one POST.
    erp.clear_faults()
    wait_until(lambda: gateway.states("erp") == {"delivered": 1}, "the question settled it")
    assert story_of(gateway) == [("ready", "router"), ("inflight", "lane"), ("unknown", "adapter"),
                                 ("delivered", "confirm")]
    delivered = gateway.delivery()
    assert delivered["reference"] == "msg-1"
    assert "waits_for" not in delivered
    (message,) = erp.books()["messages"]
    assert delivered["key"] in message["raw"] and order.summary["name"] in message["raw"]


def test_what_did_not_arrive_goes_again_after_a_clear_no_under_the_same_key(gateway, erp):
    erp.fault(action="cut_before", at="message", count=1)  # the line breaks before the ERP has read it
    gateway.post(orders_of(BYRON)[0])
    wait_until(lambda: gateway.states("erp") == {"delivered": 1})
    assert [state for state, _ in story_of(gateway)] == \
        ["ready", "inflight", "unknown", "waiting", "inflight", "delivered"]
    found = gateway.delivery()
    said = next(one["reason"] for one in found["moves"] if one["state"] == "waiting")
    assert said.startswith("confirmed: it had not arrived (")  # and not: refused, by what the question was answered
    assert len({one["key"] for one in found["attempts"]}) == 1
    assert len(erp.books()["messages"]) == 1


def test_after_kill_9_the_question_comes_before_anything_else(gateway, erp):
    erp.fault(action="hang_after", at="message", count=1)  # it has the order; the gateway dies before the answer
    gateway.post(orders_of(BYRON)[0])
    wait_until(lambda: len(erp.books()["messages"]) == 1)
    gateway.kill9()
    gateway.start()
    wait_until(lambda: gateway.states("erp") == {"delivered": 1})
    assert len(erp.books()["messages"]) == 1
    assert story_of(gateway)[-1] == ("delivered", "confirm")


def test_when_the_erp_cannot_tell_a_person_chooses(gateway, erp):
    erp.faults([{"action": "cut_after", "at": "message", "count": 1},
                {"action": "status", "status": 400, "at": "lookup"}])
    gateway.post(orders_of(BYRON)[0])
    wait_until(lambda: gateway.states("erp") == {"held": 1}, "a person is asked")
    held = gateway.delivery()
    assert held["hold_type"] == "unknown-outcome"
    assert "HTTP 400" in held["reason"]
    assert [one["name"] for one in held["detail"]["choices"]] == ["arrived", "send-again"]
    assert gateway.cli("held", "list", "--owner", "erp-team").json[0]["id"] == held["id"]  # whose route it is decides
    gateway.cli("held", "arrived", held["id"], "--why", "seen in the ERP")
    wait_until(lambda: gateway.states("erp") == {"delivered": 1})
    assert gateway.delivery()["moves"][-1]["reason"] == "seen in the ERP"
    assert len(erp.books()["messages"]) == 1
