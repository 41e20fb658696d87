"""Connections as a weapon: slow ones, idle ones, too many, and no descriptors left.

Few in the short form; SLUICE_LONG=1: 2,000 slow ones of each kind, 10,000 idle ones.
"""

import contextlib
import resource
import socket
import time

import pytest

from faults.hostile import LONG, Hostile, cpu_s, descriptors, rss_kib
from faults.test_poison import alive
from faults.traffic import Shop
from flow.harness import BUILD, byron_orders, check_supplier, demo_config, wait_until
from sandbox.orders import BYRON, NORD

SLOW_MS = 20_000  # by then each is closed: after 5 s to 10 s, and what a busy machine adds
SANITIZED = "asan" in BUILD.name


@pytest.fixture
def config(byron, nord):
    rate = {"rate": {"per_second": 1000}}
    return demo_config(byron.url, nord.url, endpoints={"byron": rate, "nord": rate})


def open_idle(gateway, count, address="127.0.0.1"):
    lines = []
    for _ in range(count):
        line = socket.socket()
        line.bind((address, 0))
        line.connect(("127.0.0.1", gateway.port))
        lines.append(line)
    return lines


def close_all(lines):
    for line in lines:
        line.close()


def ended(line):
    """What came until the other side ended it; None: it is still open."""
    line.setblocking(False)
    got = b""
    with contextlib.suppress(ConnectionError):
        try:
            while more := line.recv(4096):
                got += more
        except BlockingIOError:
            return None
    return got


@pytest.mark.slow
@pytest.mark.fault("F9")
def test_slow_ones_on_head_body_and_read_are_sent_away_and_harm_no_good_ones(make_gateway, config, byron, nord):
    count = 2000 if LONG else 100
    gateway = make_gateway(config)
    before = descriptors(gateway)
    with contextlib.ExitStack() as stack:
        slow = {kind: stack.enter_context(Hostile(gateway.port, "slow", kind, count, 120))
                for kind in ("head", "body", "read")}
        shop = stack.enter_context(Shop(gateway.url, seed=91, rate=20))
        with alive(gateway):
            reports = {kind: one.end() for kind, one in slow.items()}
        shop.finish()
    print(reports)
    for kind, report in reports.items():
        assert report["opened"] == report["closed_by_server"] == count, kind
        assert 3_000 < report["first_ms"] <= report["last_ms"] <= SLOW_MS, kind
    assert gateway.intake("malformed") >= 2 * count  # told apart and counted: 408
    wait_until(lambda: descriptors(gateway) <= before + 40, "descriptors are given back")
    wait_until(lambda: gateway.settled(len(shop.orders)), "the good ones are delivered", seconds=120)
    check_supplier(byron.books(), BYRON, shop.orders)
    check_supplier(nord.books(), NORD, shop.orders)


@pytest.mark.fault("F10")
def test_idle_connections_cost_8_kib_each_and_harm_no_good_ones(make_gateway, config, byron):
    count = 10_000 if LONG else 2_000
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    if hard < count + 500:
        pytest.skip(f"only {hard} descriptors a process")
    gateway = make_gateway(config)
    good = byron_orders(100, seed=92)
    for order in good[:50]:
        assert gateway.post(order) == 200
    wait_until(lambda: gateway.lane("byron")["delivered"] == 50)
    before = rss_kib(gateway)
    with Hostile(gateway.port, "idle", count) as idle:
        wait_until(lambda: descriptors(gateway) > count, "all are open")
        grown = rss_kib(gateway) - before
        with alive(gateway):
            for order in good[50:]:
                assert gateway.post(order) == 200
        total = rss_kib(gateway)
        report = idle.end()
    print(f"{count} idle connections: {grown} KiB more, {grown / count:.1f} each, {total} KiB in all; {report}")
    if not SANITIZED:
        assert grown <= 8 * count
        assert total < 100 * 1024
    wait_until(lambda: gateway.lane("byron")["delivered"] == 100)
    check_supplier(byron.books(), BYRON, good)
    wait_until(lambda: descriptors(gateway) < 200, "descriptors are given back")


@pytest.mark.fault("F8")
def test_without_descriptors_connections_wait_and_nothing_spins(make_gateway, config, byron):
    gateway = make_gateway(config)
    order, late = byron_orders(2, seed=93)
    assert gateway.post(order) == 200
    wait_until(lambda: gateway.lane("byron")["delivered"] == 1)
    limits = resource.prlimit(gateway.process.pid, resource.RLIMIT_NOFILE)
    lines = open_idle(gateway, 10)
    wait_until(lambda: gateway.get("/v1/status"))
    room = descriptors(gateway) + 6
    resource.prlimit(gateway.process.pid, resource.RLIMIT_NOFILE, (room, limits[1]))
    lines += open_idle(gateway, 60)
    wait_until(lambda: "cannot accept connections" in gateway.log())
    began = cpu_s(gateway)
    time.sleep(1.5)
    assert cpu_s(gateway) - began < 0.3, "it spins"
    assert gateway.log().count("cannot accept connections") == 1
    close_all(lines)
    assert gateway.post(late) == 200  # it only had to wait
    resource.prlimit(gateway.process.pid, resource.RLIMIT_NOFILE, limits)
    wait_until(lambda: gateway.lane("byron")["delivered"] == 2)
    check_supplier(byron.books(), BYRON, [order, late])


def test_the_limit_of_open_files_is_raised_and_bounds_the_connections(make_gateway, config):
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (128, hard))
    try:
        raised = make_gateway(config)
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    assert resource.prlimit(raised.process.pid, resource.RLIMIT_NOFILE) == (hard, hard)
    tight = dict(config, limits={"connections": 1_000_000})
    bounded = make_gateway(tight)
    lines = [line for line in bounded.log().splitlines() if "limits.connections is 1000000" in line]
    assert len(lines) == 1 and f"({hard})" in lines[0]


def test_connections_of_one_address_are_limited_and_a_proxys_are_not(make_gateway, config, byron):
    config.update(limits={"connections_per_address": 20}, intake={"trusted_proxies": ["127.0.0.9"]})
    gateway = make_gateway(config)
    lines = open_idle(gateway, 30, "127.0.0.2")
    away = wait_until(lambda: [got for got in map(ended, lines) if got is not None][9:] and
                      [got for got in map(ended, lines) if got is not None])
    assert len(away) == 10
    lines += open_idle(gateway, 60, "127.0.0.9")
    assert gateway.post(byron_orders()[0]) == 200  # from 127.0.0.1
    assert sum(ended(line) is not None for line in lines) == 10
    assert gateway.log().count("too many connections from one address") == 1
    told = gateway.metrics()
    assert told["sluice_connections_turned_away_total"] == 10
    wait_until(lambda: gateway.metrics()["sluice_connections"] == 80)  # that of the webhook has ended
    close_all(lines)
    wait_until(lambda: gateway.metrics()["sluice_connections"] == 0)


def test_beyond_the_most_connections_one_waits_for_its_turn(make_gateway, config, byron):
    config.update(limits={"connections": 10})
    gateway = make_gateway(config)
    lines = open_idle(gateway, 10)
    order = byron_orders()[0]
    with Shop(gateway.url, seed=94, rate=1000, limit=1, duplicates=0) as shop:
        time.sleep(0.5)
        assert shop.acknowledged == 0
        close_all(lines[:1])
        shop.finish()
    assert gateway.post(order) == 200
    close_all(lines)
