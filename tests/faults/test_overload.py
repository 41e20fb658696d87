"""More webhooks than it can take: it takes as many as it can, loses none, and is itself again at once.

SLUICE_LONG=1: a minute of it, and the goodput that is promised; else a few seconds, on a machine that
may be busy with other tests.
"""

import json
import os
import subprocess
import time

import pytest

from faults.hostile import LONG, rss_kib
from flow.harness import BUILD, SECRET, byron_orders, check_supplier, demo_config, wait_until
from sandbox.orders import BYRON

FLOOD = BUILD / "tests" / "faults" / "flood"
SLOW_DISK = BUILD / "tests" / "faults" / "slow-disk.so"
SANITIZED = "asan" in BUILD.name or "san" in BUILD.name
GOODPUT = 0.9 if LONG else 0.6 if SANITIZED else 0.75
CALM, FLOODED = 64, 640  # connections


class Flood:
    """The client program, running; its report once it has ended."""

    first = 1  # of the ids: no two floods of a test have the same

    def __init__(self, gateway, connections, depth, seconds):
        self.process = subprocess.Popen(
            [str(FLOOD), str(gateway.port), SECRET, str(Flood.first), str(connections), str(depth), str(seconds)],
            stdout=subprocess.PIPE, text=True)
        Flood.first += 100_000_000

    def end(self):
        out, _ = self.process.communicate(timeout=300)
        assert self.process.returncode == 0
        report = json.loads(out)
        print(report)
        assert report["other"] == 0 and report["unanswered"] == 0, report
        return report


def unwanted(byron, **changes):
    """A configuration whose routes want orders/paid: what floods in is stored and goes nowhere."""
    config = demo_config(byron.url, endpoints={"byron": {"rate": {"per_second": 1000}}}, **changes)
    for route in config["routes"]:
        route["from"]["topic"] = "orders/paid"
    return config


def events(gateway):
    """Those that came as webhooks."""
    status = gateway.status()
    return status["summary"]["events"] - status["intake"]["emitted"]


def taken_once(gateway, acknowledged):
    """Every 200 is an event, and nothing else is."""
    wait_until(lambda: events(gateway) >= acknowledged, "the index has them", seconds=240)
    assert events(gateway) == acknowledged
    assert gateway.intake("duplicates") == 0


def is_calm(gateway, byron):
    """One order after the other is answered at once, and delivered."""
    orders = byron_orders(20, seed=301)
    begun = time.monotonic()
    assert [gateway.post(order, topic="orders/paid") for order in orders] == [200] * len(orders)
    assert time.monotonic() - begun < 5
    wait_until(lambda: len(byron.books()["orders"]) >= len(orders), "delivered behind all of it", seconds=240)
    check_supplier(byron.books(), BYRON, orders)
    return len(orders)


@pytest.mark.alone
@pytest.mark.slow
@pytest.mark.fault("F30")
@pytest.mark.parametrize("depth", [1, 16], ids=["closed loop", "more than is answered"])
def test_a_tenfold_flood_costs_no_goodput_and_is_over_when_it_ends(make_gateway, byron, depth):
    gateway = make_gateway(unwanted(byron))
    seconds = 60 if LONG else 2
    warm = Flood(gateway, CALM, 1, 1).end()  # pages, caches
    acknowledged = [warm]
    for last in (False, False, True):  # once is enough: a machine that is taken away for a moment costs goodput, too
        peak = Flood(gateway, CALM, 1, seconds).end()
        flood = Flood(gateway, FLOODED, depth, seconds).end()
        after = Flood(gateway, CALM, 1, 1).end()
        acknowledged += [peak, flood, after]
        # a fast disk: nobody waits for 3 s; and no quarter without progress
        good = not any(one["refused"] or one["lost"] for one in (peak, flood, after)) and \
            flood["ok_in_time"] >= GOODPUT * peak["ok_in_time"] and min(flood["quarters"]) > 0
        assert good or not last, (peak, flood, after)
        if good:
            break
    if not SANITIZED:
        assert rss_kib(gateway) < 128 * 1024
    total = is_calm(gateway, byron) + sum(one["ok"] for one in acknowledged)
    wait_until(gateway.settled, "the backlog is routed", seconds=280)
    taken_once(gateway, total)
    emitted = gateway.intake("emitted")
    gateway.kill9()
    gateway.start()
    assert gateway.status()["summary"]["events"] == total + emitted


@pytest.fixture
def on_slow_disk(make_gateway, byron, tmp_path):
    """on_slow_disk(): a gateway, and slow(ms): from now on each sync takes so much longer; 0: no more."""
    file = tmp_path / "slow"
    env = {"LD_PRELOAD": str(SLOW_DISK), "SLOW_DISK": str(file)}
    if SANITIZED:
        env["ASAN_OPTIONS"] = "verify_asan_link_order=0:" + os.environ.get("ASAN_OPTIONS", "")

    def slow(ms):
        file.with_suffix(".new").write_text(str(ms))
        file.with_suffix(".new").rename(file)

    gateway = make_gateway(unwanted(byron), env=env, start=False)
    gateway.start()
    return gateway, slow


@pytest.mark.slow
@pytest.mark.fault("F30")
def test_a_slow_disk_is_waited_for_and_nobody_is_refused(on_slow_disk):
    gateway, slow = on_slow_disk
    slow(400)
    report = Flood(gateway, CALM, 1, 3).end()
    assert report["refused"] == report["lost"] == 0
    assert report["ok"] >= CALM
    slow(0)
    taken_once(gateway, report["ok"])


@pytest.mark.slow
@pytest.mark.fault("F30")
def test_a_disk_too_slow_to_wait_for_is_a_503_at_once_until_it_recovers(on_slow_disk, byron):
    gateway, slow = on_slow_disk
    before = Flood(gateway, 8, 1, 0.5).end()
    slow(8000)
    patient = Flood(gateway, CALM, 1, 1)  # their sync has begun, and hangs
    wait_until(lambda: gateway.status()["store"]["wait_ms"] > 3000, "it is known that nobody is answered within 3 s")
    late = Flood(gateway, CALM, 1, 1).end()
    assert late["refused"] > CALM and late["ok"] == 0
    assert late["worst_refusal_ms"] < 3000  # no sync was waited for
    assert sum("refused with 503" in line for line in gateway.log().splitlines()) == 1
    assert gateway.alerts()
    slow(0)
    patient = patient.end()
    assert patient["ok"] == patient["sent"]
    slow(0)
    begun = time.monotonic()
    wait_until(lambda: gateway.post(byron_orders(1, seed=302)[0]) == 200, "taken again", every=0.05)
    assert time.monotonic() - begun < 5
    after = Flood(gateway, CALM, 1, 1).end()
    assert after["refused"] == after["lost"] == 0
    taken_once(gateway, gateway.intake("received"))
    assert gateway.intake("received") >= before["ok"] + patient["ok"] + after["ok"] + 1
