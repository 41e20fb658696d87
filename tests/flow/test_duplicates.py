"""F15: what comes twice is answered 200, as the first time, and nothing is sent for it.

By the sender's id it is known at once: in the same instant over many connections, over restarts and kills.
Under a new id by what the event says, since a shop signs the body alone; a time that is not signed decides
nothing.
"""

import copy
import socket
import uuid

import pytest

from flow.harness import SECRET, SHOP, byron_orders, check_supplier, demo_config, sluice, wait_until
from sandbox.orders import BYRON
from sandbox.shopify import sign

pytestmark = pytest.mark.fault("F15")

LONG_AGO = "2019-01-01T00:00:00.000000000Z"


@pytest.fixture
def gateway(make_gateway, byron):
    return make_gateway(demo_config(byron.url, endpoints={"byron": {"rate": {"per_second": 1000}}}))


def delivered(gateway, byron, orders, events, killed=False):
    """These and no others, each once, however often they came. A kill may have come between a request and the
    word of its answer: then it was sent again, under the same key."""
    wait_until(lambda: gateway.settled(events) and gateway.lane("byron")["inflight"] == 0)
    assert gateway.states() == {"delivered": len(orders)}
    check_supplier(byron.books(), BYRON, orders)
    requests = byron.books()["requests"]["by_step"]["order"]
    assert requests >= len(orders) if killed else requests == len(orders)


def raw(order, webhook_id):
    head = (f"POST /in/acme-shop HTTP/1.1\r\nHost: gateway\r\nX-Shopify-Shop-Domain: {SHOP}\r\n"
            f"X-Shopify-Topic: orders/create\r\nX-Shopify-Webhook-Id: {webhook_id}\r\n"
            f"X-Shopify-Hmac-Sha256: {sign(SECRET, order.body)}\r\nContent-Type: application/json\r\n"
            f"Content-Length: {len(order.body)}\r\n\r\n")
    return head.encode() + order.body


@pytest.mark.parametrize("same_id", [True, False], ids=["one id", "many ids"])
def test_in_the_same_instant_over_many_connections_it_is_taken_once(gateway, byron, same_id):
    """All but the last byte of each is there; then the last bytes go out together."""
    orders, times = byron_orders(12, seed=501), 8
    for order in orders:
        lines = [socket.create_connection(("127.0.0.1", gateway.port), timeout=20) for _ in range(times)]
        texts = [raw(order, f"id-{order.id}" if same_id else uuid.uuid4()) for _ in lines]
        for line, text in zip(lines, texts):
            line.sendall(text[:-1])
        for line, text in zip(lines, texts):
            line.sendall(text[-1:])
        answers = [line.recv(65536)[:12] for line in lines]
        for line in lines:
            line.close()
        assert answers == [b"HTTP/1.1 200"] * times
    again = (times - 1) * len(orders)
    delivered(gateway, byron, orders, len(orders) + (0 if same_id else again))
    assert gateway.intake("received") == len(orders) + (0 if same_id else again)
    assert gateway.intake("duplicates") == (again if same_id else 0)
    assert gateway.intake("same_events") == (0 if same_id else again)


def test_the_same_id_again_is_200_and_sends_nothing(gateway, byron):
    orders = byron_orders(10, seed=502)
    for order in orders:
        for _ in range(4):
            assert gateway.post(order, webhook_id=f"id-{order.id}") == 200
    delivered(gateway, byron, orders, len(orders))
    assert gateway.intake("duplicates") == 30 and gateway.intake("same_events") == 0


@pytest.mark.parametrize("end", ["stop", "kill9"])
def test_over_restarts_and_kills_it_is_known_still(gateway, byron, end):
    """In the log's tail, in the index, and both: each life adds one more."""
    orders = byron_orders(8, seed=503)
    for order in orders[:5]:
        assert gateway.post(order, webhook_id=f"id-{order.id}") == 200
    for life in range(3):
        getattr(gateway, end)()
        gateway.start()
        for order in orders[:5 + life]:
            assert gateway.post(order, webhook_id=f"id-{order.id}") == 200
            assert gateway.post(order) == 200  # an id of its own
        assert gateway.intake("duplicates") == gateway.intake("received") == 5 + life
        assert gateway.post(orders[5 + life], webhook_id=f"id-{orders[5 + life].id}") == 200
    delivered(gateway, byron, orders, 8 + 5 + 6 + 7, killed=end == "kill9")


def test_the_same_order_under_another_id_is_found_where_it_is_understood(gateway, byron):
    order, = byron_orders(1, seed=504)
    for _ in range(4):
        assert gateway.post(order) == 200
    delivered(gateway, byron, [order], 4)
    assert gateway.intake("received") == 4 and gateway.intake("duplicates") == 0
    assert gateway.intake("same_events") == 3


def test_an_id_again_with_another_body_is_the_same_webhook_all_the_same(gateway, byron):
    first, second = byron_orders(2, seed=505)
    webhook_id = str(uuid.uuid4())
    assert gateway.post(first, webhook_id=webhook_id) == 200
    assert gateway.post(second, webhook_id=webhook_id) == 200
    delivered(gateway, byron, [first], 1)
    assert gateway.intake("duplicates") == 1


def test_a_time_that_is_not_signed_decides_nothing(gateway, byron):
    seen, new = byron_orders(2, seed=506)
    old = {"X-Shopify-Triggered-At": LONG_AGO}
    assert gateway.post(seen, webhook_id="seen") == 200
    assert gateway.post(seen, webhook_id="seen", headers=old) == 200
    assert gateway.post(seen, webhook_id="another", headers=old) == 200
    assert gateway.post(new, webhook_id="new", headers=old) == 200
    delivered(gateway, byron, [seen, new], 3)


def test_the_same_id_at_two_endpoints_is_two_webhooks(make_gateway, byron):
    config = demo_config(byron.url)
    config["endpoints"]["other-shop"] = copy.deepcopy(config["endpoints"]["acme-shop"])
    gateway = make_gateway(config)
    order, = byron_orders(1, seed=507)
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
