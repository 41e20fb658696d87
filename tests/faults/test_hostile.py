"""Peers that mean no good: slow clients before the gateway, broken suppliers behind it."""

import contextlib
import resource
import socket
import threading
import time

import pytest

from faults.test_lag import percentiles
from faults.test_poison import alive
from flow.harness import SHOP, byron_orders, check_supplier, demo_config, nord_orders, wait_until
from sandbox.orders import BYRON, NORD

HEAD = (f"POST /in/acme-shop HTTP/1.1\r\nHost: gateway\r\nX-Shopify-Shop-Domain: {SHOP}\r\n"
        "X-Shopify-Topic: orders/create\r\nX-Shopify-Webhook-Id: slow\r\nContent-Type: application/json\r\n"
        f"X-Shopify-Hmac-Sha256: {'A' * 43}=\r\nContent-Length: 4000\r\n\r\n").encode()


# ---- clients ----


class Lorises(threading.Thread):
    """Connections that send a byte now and then. `text` is what they would send, `at` where they begin."""

    def __init__(self, port, count, text, at=0):
        super().__init__(daemon=True)
        self.text, self.at, self.over = text, at, False
        self.open = [socket.create_connection(("127.0.0.1", port)) for _ in range(count)]
        for one in self.open:
            one.sendall(text[:at])
            one.setblocking(False)
        self.ended = 0

    def run(self):
        while not self.over and self.open:
            for one in list(self.open):
                with contextlib.suppress(BlockingIOError):
                    try:
                        if one.recv(65536) == b"":
                            raise ConnectionError
                    except ConnectionError:
                        one.close()
                        self.open.remove(one)
                        self.ended += 1
                        continue
                with contextlib.suppress(OSError):
                    one.send(self.text[self.at:self.at + 1])
            self.at = min(self.at + 1, len(self.text) - 2)
            time.sleep(0.2)

    def stop(self):
        self.over = True
        self.join()
        for one in self.open:
            one.close()


def answer_times(gateway, orders):
    times = []
    for order in orders:
        begun = time.monotonic()
        assert gateway.post(order) == 200
        times.append((time.monotonic() - begun) * 1000)
    return percentiles(times)


@pytest.fixture
def gateway(make_gateway, byron, nord):
    rate = {"rate": {"per_second": 1000}}
    return make_gateway(demo_config(byron.url, nord.url, endpoints={"byron": rate, "nord": rate}))


@pytest.mark.alone
@pytest.mark.fault("F9")
@pytest.mark.parametrize("text, at", [(HEAD, 10), (HEAD + b"x" * 4000, len(HEAD) + 10)], ids=["head", "body"])
def test_slow_clients_harm_no_good_ones_and_are_sent_away(gateway, byron, text, at):
    good = byron_orders(200, seed=81)
    calm = answer_times(gateway, good[:100])
    lorises = Lorises(gateway.port, 50, text, at)
    lorises.start()
    try:
        with alive(gateway):
            harried = answer_times(gateway, good[100:])
            wait_until(lambda: lorises.ended == 50, "all slow ones are sent away", seconds=90, every=0.2)
    finally:
        lorises.stop()
    print(f"calm {calm}, harried {harried}")
    assert harried[50] < 2 * calm[50] + 50 and harried[99] < 2 * calm[99] + 250
    wait_until(lambda: gateway.lane("byron")["delivered"] == 200)
    check_supplier(byron.books(), BYRON, good)


def rss_kib(gateway):
    with open(f"/proc/{gateway.process.pid}/status") as status:
        return next(int(line.split()[1]) for line in status if line.startswith("VmRSS"))


@pytest.mark.alone
@pytest.mark.fault("F10")
def test_500_idle_connections_cost_little_and_harm_nobody(gateway, byron):
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft < 700:
        resource.setrlimit(resource.RLIMIT_NOFILE, (min(4096, hard), hard))
    good = byron_orders(200, seed=82)
    calm, before = answer_times(gateway, good[:100]), rss_kib(gateway)
    idle = [socket.create_connection(("127.0.0.1", gateway.port)) for _ in range(500)]
    try:
        with alive(gateway):
            harried = answer_times(gateway, good[100:])
        grown = rss_kib(gateway) - before
    finally:
        for one in idle:
            one.close()
    print(f"calm {calm}, harried {harried}, {grown} KiB more")
    assert harried[50] < 2 * calm[50] + 50 and harried[99] < 2 * calm[99] + 250
    assert grown < 500 * 16 + 4096
    wait_until(lambda: gateway.lane("byron")["delivered"] == 200)
    check_supplier(byron.books(), BYRON, good)


# ---- suppliers ----


class Rogue:
    """A supplier that is a socket: answers every request with `answer`, bytes or a function of the socket."""

    def __init__(self, answer):
        self.answer, self.requests = answer, 0
        self.server = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self.server.getsockname()[1]}"
        threading.Thread(target=self.serve, daemon=True).start()

    def serve(self):
        with contextlib.suppress(OSError):
            while True:
                threading.Thread(target=self.talk, args=(self.server.accept()[0],), daemon=True).start()

    def talk(self, line):
        with contextlib.suppress(OSError), line:
            text = b""
            while b"\r\n\r\n" not in text:
                more = line.recv(65536)
                if not more:
                    return
                text += more
            if not text.startswith(b"POST"):  # a confirm: it was never heard of
                line.sendall(b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
                return
            self.requests += 1
            if callable(self.answer):
                self.answer(line)
            else:
                line.sendall(self.answer)

    def close(self):
        self.server.close()


def flood_of_1xx(line):
    while True:
        line.sendall(b"HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n")


def endless_head(line):
    line.sendall(b"HTTP/1.1 200 OK\r\n")
    while True:
        line.sendall(b"X-More: " + b"x" * 1000 + b"\r\n")


def endless_body(line):
    line.sendall(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
    while True:
        line.sendall(b"10000\r\n" + b"x" * 65536 + b"\r\n")


def drip(line):
    for byte in b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n" + b" " * 100000:
        line.sendall(bytes([byte]))
        time.sleep(0.05)


def hang(line):
    line.recv(1)


ROGUES = {
    "hang": hang, "drip": drip, "1xx flood": flood_of_1xx, "endless head": endless_head,
    "endless body": endless_body,
    "not http": b"SSH-2.0-OpenSSH_9.2\r\n",
    "two lengths": b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\n{}x",
    "length and chunks": b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "huge length": b"HTTP/1.1 200 OK\r\nContent-Length: 99999999999999999999\r\n\r\n{}",
    "switch": b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n",
    "zip bomb": b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 4\r\n\r\n\x1f\x8b\x08\x00",
    "nothing": b"",
}


@pytest.mark.parametrize("kind", ROGUES)
def test_whatever_a_supplier_answers_the_order_stands_in_a_defined_state(make_gateway, byron, kind):
    """Supplier B is the rogue. Its orders are unknown and asked for, never lost, and A's go on."""
    rogue = Rogue(ROGUES[kind])
    config = demo_config(byron.url, rogue.url, endpoints={
        "byron": {"rate": {"per_second": 1000}},
        "nord": {"timeout": {"first_byte": "500ms", "total": "1s"}, "confirm": {"settle": "1h", "after": "200ms"},
                 "breaker": {"min_calls": 1000}}})
    gateway = make_gateway(config)
    good, bad = byron_orders(20, seed=83), nord_orders(3, seed=84)
    try:
        with alive(gateway):
            for order in bad + good:
                assert gateway.post(order) == 200
            wait_until(lambda: gateway.lane("byron")["delivered"] == 20, "the other supplier's orders go on")
            wait_until(lambda: gateway.states("nord") == {"unknown": 3}, "its outcomes are unknown")
            time.sleep(0.5)
        assert gateway.states("nord") == {"unknown": 3}  # asked for: not there yet, too early to be believed
        print(kind, {one["reason"] for one in gateway.deliveries(endpoint="nord")})
        assert rogue.requests == 3
        assert rss_kib(gateway) < 200 * 1024
        check_supplier(byron.books(), BYRON, good)
    finally:
        rogue.close()


@pytest.mark.parametrize("fault", [
    {"action": "hang"}, {"action": "hang_after"}, {"action": "reset"}, {"action": "torn"}, {"action": "garbage"},
    {"action": "cut_after", "how": "reset"}, {"action": "drip", "ms": 3000}, {"action": "cut_before"}],
    ids=lambda fault: fault["action"])
def test_a_bad_hour_of_both_suppliers_ends_with_every_order_once(make_gateway, byron, nord, fault):
    common = {"rate": {"per_second": 1000}, "timeout": {"first_byte": "300ms", "total": "600ms"},
              "retry": {"first": "50ms", "cap": "300ms"}, "breaker": {"open": "100ms", "open_max": "200ms"}}
    gateway = make_gateway(demo_config(byron.url, nord.url, endpoints={
        "byron": common, "nord": {**common, "confirm": {"settle": "500ms", "after": "100ms"}}}))
    orders = byron_orders(15, seed=85) + nord_orders(15, seed=86)
    for remote in (byron, nord):
        remote.fault(at="order", count=10, **fault)
    with alive(gateway):
        for order in orders:
            assert gateway.post(order) == 200
        wait_until(lambda: gateway.settled(30), "all is delivered")
    assert gateway.states() == {"delivered": 30}
    check_supplier(byron.books(), BYRON, orders)
    check_supplier(nord.books(), NORD, orders)
