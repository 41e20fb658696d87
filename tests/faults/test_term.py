"""F26: SIGTERM under load. It stops taking, finishes what is under way, ends with 0 - and nothing that was
acknowledged is lost, then or when a second signal ends it at once."""

import os
import random
import signal
import socket
import time

import pytest

from faults.traffic import Shop
from flow.harness import byron_orders, check_supplier, demo_config, nord_orders, wait_until
from sandbox.orders import BYRON, NORD

pytestmark = pytest.mark.fault("F26")

ROUNDS = 60 if os.environ.get("SLUICE_LONG") else 6
SEED = int(os.environ.get("SLUICE_SEED") or random.SystemRandom().randrange(1, 1_000_000))
DRAIN_S = 30  # the default, which the demo's configuration shortens

QUICK = {"rate": {"per_second": 1000, "burst": 100}, "retry": {"first": "50ms", "cap": "300ms"},
         "breaker": {"min_calls": 1000}}


@pytest.fixture
def gateway(make_gateway, byron, nord):
    return make_gateway(demo_config(byron.url, nord.url, limits={"drain": f"{DRAIN_S}s"}, endpoints={
        "byron": QUICK, "nord": {**QUICK, "confirm": {"settle": "400ms", "after": "100ms"},
                                 "timeout": {"first_byte": "1m", "total": "2m"}}}))


def takes_connections(gateway):
    try:
        socket.create_connection(("127.0.0.1", gateway.port), timeout=5).close()
        return True
    except ConnectionError:
        return False


def test_under_load_it_ends_with_0_and_all_that_was_acknowledged_is_there(gateway, byron, nord):
    print(f"SLUICE_SEED={SEED}")
    rng = random.Random(SEED)
    with Shop(gateway.url, SEED, rate=80) as shop:
        for _ in range(ROUNDS):
            enough = shop.acknowledged + rng.randrange(1, 60)
            wait_until(lambda: shop.acknowledged >= enough, f"seed {SEED}")
            begun = time.monotonic()
            gateway.stop()  # SIGTERM; asserts the code and a clean end
            taken = shop.acknowledged
            assert time.monotonic() - begun < DRAIN_S
            gateway.start()
            assert gateway.status()["summary"]["events"] >= taken - shop.twice, f"seed {SEED}"
        shop.finish()
    wait_until(lambda: gateway.settled(len(shop.orders)), f"all is delivered, seed {SEED}")
    check_supplier(byron.books(), BYRON, shop.orders)
    check_supplier(nord.books(), NORD, shop.orders)


def test_it_stops_taking_at_once_and_waits_for_what_is_under_way(gateway, nord):
    nord.fault(action="slow", at="order", ms=60_000, id="slow")
    orders = nord_orders(3, seed=101)
    for order in orders:
        assert gateway.post(order) == 200
    wait_until(lambda: nord.books()["requests"]["by_step"].get("order") == 3)
    gateway.process.send_signal(signal.SIGTERM)
    wait_until(lambda: not takes_connections(gateway))
    assert gateway.running, "it did not wait for the supplier"
    nord.clear_faults()  # now it answers
    assert gateway.wait() == 0
    check_supplier(nord.books(), NORD, orders)
    gateway.start()
    assert gateway.states() == {"delivered": 3}  # their answers were waited for, and written down
    assert nord.books()["requests"]["by_step"]["order"] == 3


def test_what_was_acknowledged_before_the_signal_and_is_not_delivered_is_so_after_the_next_start(gateway, byron):
    byron.fault(action="status", at="order", status=503, id="down")
    orders = byron_orders(40, seed=102)
    for order in orders:
        assert gateway.post(order) == 200
    gateway.stop()
    assert byron.books()["orders"] == []
    byron.clear_faults()
    gateway.start()
    wait_until(lambda: gateway.settled(40))
    check_supplier(byron.books(), BYRON, orders)


def test_a_second_signal_ends_it_at_once_and_loses_nothing(gateway, byron):
    byron.fault(action="hang", at="order", id="hang")
    orders = byron_orders(10, seed=103)
    for order in orders:
        assert gateway.post(order) == 200
    wait_until(lambda: byron.books()["requests"]["by_step"].get("order", 0) > 0)
    gateway.process.send_signal(signal.SIGTERM)
    wait_until(lambda: "draining" in gateway.log())
    assert gateway.running
    gateway.process.send_signal(signal.SIGTERM)
    assert gateway.wait(seconds=DRAIN_S / 2) == 1
    assert "second signal" in gateway.log()
    byron.clear_faults()
    gateway.start()
    wait_until(lambda: gateway.settled(10))
    check_supplier(byron.books(), BYRON, orders)
