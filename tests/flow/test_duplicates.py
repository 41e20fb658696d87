"""What comes twice is taken once: in the same instant, over two connections, over a restart and a kill."""

import copy
import threading
import uuid

import pytest

from flow.harness import byron_orders, check_supplier, demo_config, sluice, wait_until
from sandbox.orders import BYRON


@pytest.fixture
def gateway(make_gateway, byron):
    return make_gateway(demo_config(byron.url, endpoints={"byron": {"rate": {"per_second": 1000}}}))


def at_once(gateway, order, webhook_id, times):
    """The same webhook over so many connections, as nearly in one instant as threads can; the answers."""
    ready, answers = threading.Barrier(times), []

    def send():
        ready.wait()
        answers.append(gateway.post(order, webhook_id=webhook_id))

    threads = [threading.Thread(target=send) for _ in range(times)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return answers


def test_in_the_same_instant_over_many_connections_it_is_taken_once(gateway, byron):
    orders = byron_orders(12, seed=501)
    for order in orders:
        assert at_once(gateway, order, str(uuid.uuid4()), 6) == [200] * 6
    wait_until(lambda: gateway.settled(len(orders)))
    assert gateway.intake("received") == len(orders)
    assert gateway.intake("duplicates") == 5 * len(orders)
    check_supplier(byron.books(), BYRON, orders)


def test_over_a_restart_and_a_kill_it_is_known_still(gateway, byron):
    orders = byron_orders(5, seed=502)
    ids = [str(uuid.uuid4()) for _ in orders]
    for end in (None, gateway.stop, gateway.kill9):
        if end:
            end()
            gateway.start()
        for order, webhook_id in zip(orders, ids):
            assert gateway.post(order, webhook_id=webhook_id) == 200
        assert gateway.intake("received") == (0 if end else len(orders))
        assert gateway.intake("duplicates") == (len(orders) if end else 0)
    wait_until(lambda: gateway.settled(len(orders)))
    check_supplier(byron.books(), BYRON, orders)


def test_the_same_order_under_another_id_is_found_where_it_is_understood(gateway, byron):
    order, = byron_orders(1, seed=503)
    for _ in range(4):
        assert gateway.post(order) == 200  # ids of their own: Shopify signs the body alone
    wait_until(lambda: gateway.settled(4))
    assert gateway.intake("received") == 4 and gateway.intake("duplicates") == 0
    assert gateway.intake("same_events") == 3
    check_supplier(byron.books(), BYRON, [order])


def test_an_id_again_with_another_body_is_the_same_webhook_all_the_same(gateway, byron):
    first, second = byron_orders(2, seed=504)
    webhook_id = str(uuid.uuid4())
    assert gateway.post(first, webhook_id=webhook_id) == 200
    assert gateway.post(second, webhook_id=webhook_id) == 200
    wait_until(lambda: gateway.settled(1))
    assert gateway.intake("duplicates") == 1
    check_supplier(byron.books(), BYRON, [first])


def test_the_same_id_at_two_endpoints_is_two_webhooks(make_gateway, byron):
    config = demo_config(byron.url)
    config["endpoints"]["other-shop"] = copy.deepcopy(config["endpoints"]["acme-shop"])
    gateway = make_gateway(config)
    order, = byron_orders(1, seed=505)
    webhook_id = str(uuid.uuid4())
    for path in ("/in/acme-shop", "/in/other-shop"):
        assert gateway.post(order, webhook_id=webhook_id, path=path) == 200
    assert gateway.intake("received") == 2 and gateway.intake("duplicates") == 0


def test_an_operator_sees_what_came_twice_and_what_became_of_the_original(gateway, byron):
    order, = byron_orders(1, seed=506)
    webhook_id = str(uuid.uuid4())
    for _ in range(2):
        assert gateway.post(order, webhook_id=webhook_id) == 200
    assert gateway.post(order) == 200  # an id of its own
    wait_until(lambda: gateway.settled(2))
    listed = gateway.cli("events", "list", "--duplicates").json
    assert [(e["origin"], e["note"]) for e in listed][1] == ("duplicate", "same id")
    first = listed[1]["duplicate_of"]
    assert [e["duplicate_of"] for e in listed] == [first, first]
    again = gateway.cli("events", "show", listed[1]["id"]).json
    assert again["original"]["id"] == first and again["original"]["deliveries"] == {"delivered": 1}
    text = sluice("events", "show", listed[1]["id"], "-c", gateway.file, env=gateway.env).out
    assert "original" in text and "delivered 1" in text and "is not kept" in text
    assert [e["id"] for e in gateway.cli("events", "show", first).json["duplicates"]] == sorted(
        e["id"] for e in listed)
