"""A request is made once: its bytes and its key are the same over retry, restart, kill -9, a changed configuration
and what people decide. A remote that records all it gets is the witness."""

import pytest

from flow.harness import QUICK, demo_config, merge, orders_of, route, wait_until
from sandbox.orders import BYRON


@pytest.fixture
def witness(erp):
    return erp


@pytest.fixture
def gateway(make_gateway, byron, witness):
    config = demo_config(byron.url)
    merge(config["endpoints"], {"byron": None, "witness": {
        "adapter": "http", "base_url": witness.url, "idempotency_header": "Idempotency-Key",
        "timeout": {"first_byte": "20s", "total": "30s"}, **QUICK}})
    config["routes"] = [
        {"name": "order", "from": {"endpoint": "acme-shop", "topic": "orders/create"},
         "map": "{id, name, total: .total_price}",
         "to": {"endpoint": "witness", "method": "PUT", "path": "/orders/{/id}?by={key}",
                "headers": {"X-Order": "{/name}"}, "body": "{name, total, key: $delivery.key, at: $delivery.topic}"}}]
    return make_gateway(config)


def seen(witness):
    """What makes a request, of each that came."""
    return [(one["method"], one["path"], one["raw"], one["headers"]["idempotency-key"], one["headers"]["x-order"])
            for one in witness.books()["messages"]]


def check_same(gateway, witness, n):
    """`n` requests came, all alike, and are what the store has frozen."""
    wait_until(lambda: gateway.states("witness") == {"delivered": 1}, "it is delivered")
    came = seen(witness)
    assert len(came) == n and len(set(came)) == 1, came
    found = gateway.delivery()
    assert found["key"] == came[0][3] and found["key"] in came[0][2]
    assert found["request"].endswith(came[0][2])
    assert len({(one["key"], one["request_sha256"]) for one in found["attempts"]}) == 1


def change_the_route(gateway):
    """From now on another path and another body would be made."""
    merge(route(gateway.config, "order"), {"map": "{id, name: \"another\", total: 0}",
                                           "to": {"path": "/changed/{/id}", "body": "{changed: true}"}})
    gateway.write()


def test_over_retries(gateway, witness):
    witness.faults([{"action": "cut_after", "at": "message", "count": 2}])
    gateway.post(orders_of(BYRON)[0])
    check_same(gateway, witness, 3)


def test_over_a_restart_with_another_route(gateway, witness):
    witness.fault(action="cut_after", at="message", id="broken", count=1)
    route(gateway.config, "order")["retry"] = {"first": "1h", "cap": "1h"}
    gateway.write()
    gateway.restart()
    gateway.post(orders_of(BYRON)[0])
    wait_until(lambda: gateway.states("witness") == {"waiting": 1})
    change_the_route(gateway)
    gateway.restart()
    waiting = gateway.delivery()
    assert waiting["state"] == "waiting" and waiting["waits_for"]["until"] == waiting["next_at"]
    gateway.decide("discard", waiting["id"])  # to have it at once and not in an hour
    gateway.decide("replay", waiting["id"])
    check_same(gateway, witness, 2)


def test_over_kill_9_between_request_and_answer_with_another_route(gateway, witness):
    witness.fault(action="hang_after", at="message", count=1)
    gateway.post(orders_of(BYRON)[0])
    wait_until(lambda: len(seen(witness)) == 1)
    gateway.kill9()
    change_the_route(gateway)
    gateway.start()
    check_same(gateway, witness, 2)


def test_over_a_replay_of_what_was_delivered(gateway, witness):
    gateway.post(orders_of(BYRON)[0])
    check_same(gateway, witness, 1)
    change_the_route(gateway)
    gateway.restart()
    gateway.decide("replay", gateway.delivery()["id"], force=True)
    wait_until(lambda: len(seen(witness)) == 2)
    check_same(gateway, witness, 2)


def test_over_a_persons_leave_to_send_it_again(gateway, witness):
    del gateway.config["endpoints"]["witness"]["idempotency_header"]
    route(gateway.config, "order")["to"]["headers"]["Idempotency-Key"] = "{key}"
    gateway.write()
    gateway.restart()
    witness.fault(action="cut_after", at="message", count=1)
    gateway.post(orders_of(BYRON)[0])
    wait_until(lambda: gateway.states("witness") == {"held": 1})
    gateway.kill9()
    change_the_route(gateway)
    gateway.start()
    gateway.decide("send-again", gateway.delivery()["id"])
    check_same(gateway, witness, 2)


def test_only_what_was_refused_for_good_gets_another_key(gateway, witness):
    witness.fault(action="status", status=422, at="message", count=1)
    gateway.post(orders_of(BYRON)[0])
    wait_until(lambda: gateway.states("witness") == {"dead": 1})
    dead = gateway.delivery()
    gateway.decide("replay", dead["id"])
    wait_until(lambda: gateway.states("witness") == {"delivered": 1})
    first, second = [one["key"] for one in gateway.delivery()["attempts"]]
    assert first.endswith("-0") and second.endswith("-1") and first[:-1] == second[:-1]
