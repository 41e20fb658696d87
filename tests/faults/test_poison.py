"""Payloads and programs that would hang, exhaust or break whoever reads them."""

import contextlib
import json
import os
import threading
import time
import zlib

import pytest

from faults.hostile import rss_most_kib
from faults.traffic import signed_post
from flow.harness import ROOT, byron_orders, check_supplier, demo_config, route, wait_until
from sandbox.client import request
from sandbox.orders import BYRON, to_bytes

pytestmark = pytest.mark.fault("F24")

# What the route's program does with an order of this note, before it does its work.
POISON = {
    "loop": "def f: f; f",
    "memory": 'reduce range(40) as $i ("0123456789"; . + .) | {id: length, line_items: []}',
    "output": '.line_items[0].title = ("0123456789" * 200000)',
    "endless": "{line_items: [repeat({vendor: \"x\"})]}",
    "deep": "reduce range(200000) as $i (1; [.]) | {id: 1, line_items: [{vendor: \"Byron Gears\", title: .}]}",
    "error": '.note | error("no use for \\(.)")',
}


def poisonous_split():
    """The demo's program, with a weak spot for each poison."""
    cases = " ".join(f"elif .note == {json.dumps(name)} then ({program})" for name, program in POISON.items())
    program = (ROOT / "conf" / "maps" / "order-by-vendor.jq").read_text()
    return f"(if false then . {cases} else . end) |\n{program}"


@pytest.fixture
def gateway(request, make_gateway, byron, tmp_path):
    """What ends by its deadline does so soon; what ends otherwise is not ended by it on a busy machine."""
    poison = getattr(request.node, "callspec", None) and request.node.callspec.params.get("poison", "loop")
    config = demo_config(byron.url, workers={"deadline": "700ms" if poison in (None, "loop") else "20s",
                                             "memory": "128MiB", "output": "1MiB"},
                         endpoints={"byron": {"rate": {"per_second": 1000}}})
    program = tmp_path / "poison.jq"
    program.write_text(poisonous_split())
    route(config, "order-to-supplier")["split"] = {"file": str(program)}
    return make_gateway(config)


def number_in(path, line, field):
    try:
        with open(path) as file:
            return int(file.read().splitlines()[line].split()[field])
    except (OSError, LookupError):
        return 0  # this kernel does not count it


class Pulse(threading.Thread):
    """Asks /livez all the time; `slowest_s`, but for what the gateway's loop and we waited for a processor.
    `hiccup_s` is what the machine itself was late by."""

    def __init__(self, gateway):
        super().__init__(daemon=True)
        self.gateway, self.slowest_s, self.hiccup_s, self.asked, self.over = gateway, 0, 0, 0, False
        self.trouble = None

    def waited_s(self):
        pid = self.gateway.process.pid
        queued_ns = number_in(f"/proc/{pid}/task/{pid}/schedstat", 0, 1) + number_in("/proc/thread-self/schedstat", 0, 1)
        return queued_ns / 1e9 + number_in("/proc/stat", 0, 8) / os.sysconf("SC_CLK_TCK")  # of all, the stolen time

    def run(self):
        while not self.over and not self.trouble:
            waited, begun = self.waited_s(), time.monotonic()
            try:
                status = request(self.gateway.admin_url, "GET", "/livez", timeout=20)[0]
                if status != 200:
                    self.trouble = f"/livez answered {status}"
            except OSError as wrong:
                self.trouble = repr(wrong)
            answered = time.monotonic()
            self.slowest_s = max(self.slowest_s, answered - begun - (self.waited_s() - waited))
            self.asked += 1
            time.sleep(0.01)
            self.hiccup_s = max(self.hiccup_s, time.monotonic() - answered - 0.01)


@contextlib.contextmanager
def alive(gateway):
    """The loop never stalls in here: /livez answers within 500 ms, and what the machine takes besides."""
    pulse = Pulse(gateway)
    pulse.start()
    try:
        yield pulse
    finally:
        pulse.over = True
        pulse.join()
    print(f"/livez: {pulse.asked} answers, slowest {pulse.slowest_s * 1000:.0f} ms, "
          f"machine {pulse.hiccup_s * 1000:.0f} ms")
    assert pulse.asked > 0 and not pulse.trouble, pulse.trouble
    assert pulse.slowest_s < 0.5 + 3 * pulse.hiccup_s


def with_note(order, note):
    order.document["note"] = note
    order.body = to_bytes(order.document, "plain")
    return order


def dead_reasons(gateway):
    return [one["reason"] for one in gateway.deliveries(state="dead")]


@pytest.mark.parametrize("poison, message", [
    ("loop", "deadline"), ("memory", "memory"), ("output", "output"), ("endless", ""), ("deep", ""),
    ("error", "no use for error")])
def test_a_program_gone_mad_costs_its_own_order_alone(gateway, byron, poison, message):
    good = byron_orders(30, seed=51)
    mad = with_note(byron_orders(1, seed=52)[0], poison)
    with alive(gateway):
        for order in good[:10]:
            assert gateway.post(order) == 200
        assert gateway.post(mad) == 200
        for order in good[10:]:
            assert gateway.post(order) == 200
        wait_until(lambda: gateway.lane("byron")["delivered"] == 30, "the others flow on")
        wait_until(lambda: gateway.settled(31), "the mad one is a dead letter")
    print(gateway.states(), dead_reasons(gateway))
    assert gateway.states() == {"delivered": 30, "dead": 1}
    assert message in dead_reasons(gateway)[0]
    check_supplier(byron.books(), BYRON, good)


def test_many_of_them_at_once_stop_nothing_and_the_workers_are_there_again(gateway, byron):
    good = byron_orders(60, seed=53)
    mad = [with_note(order, poison) for order, poison in
           zip(byron_orders(8, seed=54), ["loop", "memory", "endless", "error"] * 2)]
    with alive(gateway):
        for at, order in enumerate(good):
            assert gateway.post(order) == 200
            if at % 8 == 0:
                assert gateway.post(mad[at // 8]) == 200
        wait_until(lambda: gateway.settled(68), "all is through")
    assert gateway.states() == {"delivered": 60, "dead": 8}
    check_supplier(byron.books(), BYRON, good)
    more = byron_orders(5, seed=55)
    for order in more:
        gateway.post(order)
    wait_until(lambda: gateway.lane("byron")["delivered"] == 65)
    print({name: n for name, n in gateway.metrics().items() if "worker" in name or "map" in name})


def test_a_crash_loop_does_not_outlive_a_restart(gateway, byron):
    """The mad one is charged for its deaths; after a restart it does not begin anew for ever."""
    gateway.post(with_note(byron_orders(1, seed=56)[0], "loop"))
    gateway.kill9()
    gateway.start()
    wait_until(lambda: gateway.states().get("dead") == 1)
    gateway.restart()
    assert gateway.states() == {"dead": 1} and gateway.settled()


@pytest.mark.parametrize("body, message", [
    (b"not JSON at all", "JSON"),
    (b"", "JSON"),
    (b"\x00" * 1000, "JSON"),
    (b'{"id": 12, "line_items": [', "JSON"),
    (b"[" * 500_000, "JSON"),
    (b'{"a":' * 200_000 + b"1" + b"}" * 200_000, ""),
    (b'{"id": 1e999, "line_items": []}', ""),
    (b'{"id": "' + b"9" * 100_000 + b'", "line_items": []}', ""),
    (b"null", "JSON"),
    (b'{"line_items": {"vendor": 3}}', ""),
], ids=["text", "empty", "zeros", "cut", "brackets", "deep", "infinite", "long-id", "null", "no-id"])
def test_a_signed_body_that_is_no_order_is_a_dead_letter(gateway, byron, body, message):
    good = byron_orders(3, seed=57)
    with alive(gateway):
        assert gateway.post(body) == 200
        for order in good:
            assert gateway.post(order) == 200
        wait_until(lambda: gateway.lane("byron")["delivered"] == 3, "the others flow on")
        wait_until(lambda: gateway.settled(4))
    reasons = dead_reasons(gateway)
    print(reasons)
    assert len(reasons) == 1 and message in reasons[0]
    check_supplier(byron.books(), BYRON, good)


def test_an_order_deep_inside_is_a_dead_letter_that_says_so(gateway, byron):
    order = byron_orders(1, seed=58)[0]
    body = order.body[:-1] + b',"x":' + b"[" * 1000 + b"]" * 1000 + b"}"
    with alive(gateway):
        assert gateway.post(body) == 200
        wait_until(lambda: gateway.states().get("dead") == 1)
    print(dead_reasons(gateway))
    assert "deep" in dead_reasons(gateway)[0]
    assert byron.books()["orders"] == []


def test_invalid_utf8_reaches_nobody_as_something_else(gateway, byron):
    order = byron_orders(1, seed=59)[0]
    name = json.dumps(order.document["shipping_address"]["city"]).encode()
    assert name in order.body
    body = order.body.replace(name, b'"Z\xff\xfe\xc3rich"')
    with alive(gateway):
        assert gateway.post(body) == 200
        wait_until(lambda: gateway.settled(1))
    print(gateway.states(), dead_reasons(gateway))
    assert gateway.states() == {"dead": 1}
    assert "UTF-8" in dead_reasons(gateway)[0]


@pytest.mark.fault("F11")
def test_two_megabytes_pass_and_a_byte_more_is_413(gateway, byron):
    limit = 2 * 1024 * 1024
    order = byron_orders(1, seed=60)[0]
    order.document["note"] = ""
    order.document["note"] = "x" * (limit - len(to_bytes(order.document, "plain")))
    body = to_bytes(order.document, "plain")
    assert len(body) == limit
    with alive(gateway):
        assert signed_post(gateway, body + b" ")[0] == 413
        assert gateway.post(body) == 200
        wait_until(lambda: gateway.lane("byron")["delivered"] == 1)
    check_supplier(byron.books(), BYRON, [order])


@pytest.mark.fault("F11")
def test_a_zip_bomb_is_bytes_like_any_others(gateway, byron):
    """300 MB in 300 KB: what is signed is what came, and nobody unpacks it."""
    packer = zlib.compressobj(9, wbits=31)
    bomb = b"".join(packer.compress(bytes(1 << 20)) for _ in range(300)) + packer.flush()
    order, before = byron_orders(1, seed=61)[0], rss_most_kib(gateway)
    with alive(gateway):
        assert gateway.post(bomb, headers={"Content-Encoding": "gzip"}) == 200
        assert gateway.post(order) == 200
        wait_until(lambda: gateway.settled(2))
    assert gateway.states() == {"dead": 1, "delivered": 1}
    assert rss_most_kib(gateway) - before < 32 * 1024
    check_supplier(byron.books(), BYRON, [order])
