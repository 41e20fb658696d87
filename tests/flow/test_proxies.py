"""Behind real nginx, HAProxy and Caddy: no vector smuggles a request, and webhooks arrive once.

The vectors are those of tests/unit/net/http_vectors.c. A proxy may refuse one, or make a legal request of it and
pass that on; what must never be is that Sluice sees another request than the proxy meant. Three witnesses agree:
what Sluice saw, the answers the clients got (each tells what Sluice saw), and the proxy's own log. Every
vector's Host is made unlike all others', so nobody can get another's answer unnoticed.
"""

import asyncio
import collections
import json
import os
import random
import socket
import subprocess
import time

import pytest

from flow.harness import BUILD, SECRET, SHOP, byron_orders, check_supplier, demo_config, merge, wait_until
from flow.proxies import PROXIES
from sandbox.client import request
from sandbox.orders import BYRON, NORD, OrderFactory
from sandbox.shopify import sign

pytestmark = pytest.mark.plain  # the same vectors, without proxies: tests/unit/net

ECHO = BUILD / "tests" / "unit" / "net" / "http-echo"
CUT_SEED = 20261121
QUIET_S = 0.3       # without a byte for this long, and while others were answered, nothing more is coming
BEATS = 3           # so many of them
LATEST_S = 60       # whatever the machine does
AT_ONCE = 48
LONG = bool(os.environ.get("SLUICE_LONG"))


# ---- the server behind, and the table ----


class Echo:
    """The server alone; it tells what it saw."""

    def __enter__(self):
        self.process = subprocess.Popen([str(ECHO)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.port = int(self.process.stdout.readline())
        return self

    def __exit__(self, *unused):
        if self.process.poll() is None:
            self.process.stdin.close()
            self.process.wait(10)
        self.process.stdout.close()

    def saw(self):
        """Ends it: every whole request in order, as (n, method, target, host, body)."""
        out, _ = self.process.communicate("", timeout=30)
        assert self.process.returncode == 0
        return [seen(line) for line in out.splitlines()]


def seen(line):
    n, method, target, host, body = line.split(" ")
    return int(n), method, target, host, b"" if body == "-" else bytes.fromhex(body)


def vectors():
    out = subprocess.run([str(ECHO), "vectors"], capture_output=True, check=True, text=True).stdout
    table = []
    for line in out.splitlines():
        one = json.loads(line)
        table.append((one["why"], bytes.fromhex(one["bytes"]), one["answers"].split(),
                      None if one["seen"] is None else bytes.fromhex(one["seen"])))
    return table


# ---- sending ----


def whole(data, _):
    return [data]


def bytewise(data, _):
    """Long ones in small pieces after a while; the unit tests cut all of them into bytes."""
    first = data[:1500]
    return [first[at:at + 1] for at in range(len(first))] + \
        [data[at:at + 997] for at in range(1500, len(data), 997)]


def randomly(data, rng):
    pieces, at = [], 0
    while at < len(data):
        size = rng.randint(1, 40 if len(data) < 4000 else 2000)
        pieces.append(data[at:at + size])
        at += size
    return pieces


CUTS = {"whole": whole, "bytewise": bytewise, "randomly": randomly}


class Pulse:
    """Good requests, one after the other; `beats`: how many were answered. Only while it beats is silence an answer:
    a machine that stands still is silent as well."""

    def __init__(self, port):
        self.port, self.beats = port, 0

    async def __aenter__(self):
        self.task = asyncio.create_task(self.run())
        return self

    async def __aexit__(self, *unused):
        self.task.cancel()
        await asyncio.gather(self.task, return_exceptions=True)

    async def run(self):
        while True:
            await asyncio.sleep(0.02)
            try:
                reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
                writer.write(b"GET /canary/pulse HTTP/1.1\r\nHost: pulse\r\nConnection: close\r\n\r\n")
                self.beats += (await reader.read()).startswith(b"HTTP/1.1 200")
                writer.close()
            except OSError:
                pass


async def talk(port, pieces, pulse=None):
    """Sends the pieces, each by itself; all that comes back until nothing more does. Without a pulse: one answer, and
    what comes at once with it."""
    loop = asyncio.get_running_loop()
    got, latest = bytearray(), time.monotonic() + LATEST_S
    line = socket.socket()
    line.setblocking(False)
    line.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    await loop.sock_connect(line, ("127.0.0.1", port))

    async def listen():
        while True:
            more = await loop.sock_recv(line, 65536)
            if not more:
                return
            got.extend(more)

    ended = asyncio.create_task(listen())
    try:
        for piece in pieces:
            if ended.done():
                break
            await loop.sock_sendall(line, piece)
            await asyncio.sleep(0)
        had = -1
        while not ended.done() and had != len(got):
            had, beats = len(got), pulse.beats if pulse else 0
            await asyncio.wait([ended], timeout=QUIET_S)
            while not ended.done() and had == len(got) and time.monotonic() < latest and \
                    (pulse.beats < beats + BEATS if pulse else not got):
                await asyncio.wait([ended], timeout=0.05)
    except OSError:
        await asyncio.wait([ended], timeout=QUIET_S)
    finally:
        ended.cancel()
        await asyncio.gather(ended, return_exceptions=True)
        line.close()
    return bytes(got)


def answers(data):
    """[(status, body)] of what came back; the bodies as far as they are Sluice's."""
    found = []
    while data:
        if not data.startswith(b"HTTP/"):
            number = data.split(b" ")[0]
            if number.isdigit():  # nginx speaks HTTP/0.9 to who does: a body, and the end
                found.append((200, number, data.decode("latin-1").rstrip("\n")))
            break  # HAProxy speaks HTTP/2 to who begins with its preface
        head, _, data = data.partition(b"\r\n\r\n")
        status = int(head.split(b" ", 2)[1])
        lines = [one.partition(b":") for one in head.lower().split(b"\r\n")[1:]]
        headers = {name: value.strip() for name, _, value in lines}
        if status == 100:
            body = b""
        elif b"chunked" in headers.get(b"transfer-encoding", b""):
            body, size = b"", None
            while size != 0 and data:
                line, _, data = data.partition(b"\r\n")
                size = int(line, 16)
                body, data = body + data[:size], data[size + 2:]
        elif b"x-seen" in headers and not data.startswith(headers[b"x-seen"] + b" "):
            body = b""  # the answer to a HEAD
        elif b"content-length" not in headers:
            body, data = b"", b""  # the end of the connection ends it; no answer of Sluice's
        else:
            size = int(headers[b"content-length"])
            body, data = data[:size], data[size:]
        found.append((status, headers.get(b"x-seen"), body.decode("latin-1").rstrip("\n")))
    return found


async def throw_all(port, cut, table):
    """Every vector on a connection of its own, many at once: [(tag, answers)]"""
    rng = random.Random(CUT_SEED)
    room = asyncio.Semaphore(AT_ONCE)
    jobs = []
    for number, (_, data, _, _) in enumerate(table):
        data = data.replace(b"Host: a\r\n", b"Host: a%d\r\n" % number)
        jobs.append((f"a{number}", CUTS[cut](data, rng)))

    async with Pulse(port) as pulse:
        async def one(tag, pieces):
            async with room:
                return tag, answers(await talk(port, pieces, pulse))

        return await asyncio.gather(*(one(*job) for job in jobs))


def canaries(port, count=40):
    """Good requests, after it all: each gets its own answer."""
    for number in range(count):
        status, head, body = request(f"http://127.0.0.1:{port}", "POST", f"/canary/{number}", b"%d" % number)
        assert status == 200
        assert seen(body.decode().strip())[1:3] == ("POST", f"/canary/{number}")
        assert seen(body.decode().strip())[4] == b"%d" % number


# ---- smuggling ----


@pytest.mark.fault("F11", "F12")
@pytest.mark.parametrize("cut", CUTS)
def test_every_vector_is_judged_over_a_socket_as_the_table_says(cut):
    table = vectors()
    assert len(table) >= 150
    with Echo() as echo:
        thrown = asyncio.run(throw_all(echo.port, cut, table))
        canaries(echo.port)
        saw = echo.saw()
    by_host = collections.defaultdict(bytearray)
    for _, method, target, host, body in saw:
        by_host[host] += f"{method} {target}[".encode() + body + b"] "
    for number, ((why, data, expected, sees), (tag, got)) in enumerate(zip(table, thrown)):
        assert [str(status) for status, _, _ in got] == expected, why
        if sees is not None and data.count(b"Host: a\r\n") == data.count(b" HTTP/1.") > 0:
            assert bytes(by_host[tag]).strip() == sees.strip(), why


@pytest.mark.slow
@pytest.mark.fault("F12")
@pytest.mark.parametrize("cut", CUTS)
@pytest.mark.parametrize("name", PROXIES)
def test_no_vector_smuggles_a_request_through_a_proxy(tmp_path, name, cut):
    table = vectors()
    with Echo() as echo, PROXIES[name](tmp_path, echo.port, everything=True) as proxy:
        thrown = asyncio.run(throw_all(proxy.port, cut, table))
        canaries(proxy.port)
        said = proxy.said
        saw = echo.saw()
    told = {}
    for (why, _, _, sees), (tag, got) in zip(table, thrown):
        for status, number, body in got:
            if number is None:
                continue  # the proxy's own
            assert status == 200, why
            assert int(number) not in told, f"{why}: an answer that somebody else got too"
            told[int(number)] = tag
            if body:
                assert body.count(" ") == 4, (why, got)
                assert seen(body)[0] == int(number), why
                assert seen(body)[3] in (tag, "a") or not seen(body)[3].startswith("a"), \
                    f"{why}: {tag} got the answer to {body}"
    at_sluice = {n: (method, target, host, body) for n, method, target, host, body in saw
                 if not target.startswith("/canary/")}
    assert set(told) <= set(at_sluice)
    # each request that Sluice took is one that a client has an answer to: none was made of another's bytes
    unanswered = {n: one for n, one in at_sluice.items() if n not in told}
    assert not unanswered, f"{unanswered}\n{said()[-2000:]}"
    # and each is one that the proxy meant: method, target and host by its own log
    meant = collections.Counter(one for one in proxy.forwarded() if not one[1].startswith("/canary/"))
    took = collections.Counter(one[:3] for one in at_sluice.values())
    assert not took - meant, f"{took - meant} was never passed on"
    print(f"{name}, {cut}: {len(at_sluice)} requests passed on, {len(table)} vectors")
    # what the table calls legal and got through is what the client meant, byte for byte
    bodies = collections.defaultdict(list)
    for n, tag in sorted(told.items()):
        bodies[tag].append(at_sluice[n])
    for (why, _, expected, sees), (tag, got) in zip(table, thrown):
        if sees and set(expected) <= {"100", "200"} and bodies[tag]:
            heard = b" ".join(f"{method} {target}[".encode() + body + b"]"
                              for method, target, _, body in bodies[tag])
            assert sees.startswith(heard) or same_but_path(sees, heard), f"{why}: {heard} of {sees}"
            assert b"/evil" not in heard, why


def same_but_path(sees, heard):
    """A proxy may write a path in its plain form, and no more than that."""
    return [one.partition(b"[")[2] for one in heard.split(b" ") if b"[" in one] == \
        [one.partition(b"[")[2] for one in sees.split(b" ") if b"[" in one]


def raw(port, data):
    return answers(asyncio.run(talk(port, [data])))


class PlainHAProxy(PROXIES["haproxy"]):
    """Without the rule of the sample that refuses HTTP/1.0 with chunks."""

    def config(self):
        return "".join(line for line in super().config().splitlines(True) if "req.ver 1.0" not in line)


@pytest.mark.parametrize("proxy", [*PROXIES.values(), PlainHAProxy],
                         ids=["nginx", "haproxy", "caddy", "haproxy-without-the-rule"])
def test_http_1_0_with_chunks_becomes_no_body_whoever_passes_it_on(tmp_path, proxy):
    """HAProxy passes it on as it came, if it is not told otherwise: then Sluice says 400."""
    data = b"POST /p HTTP/1.0\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n0\r\n\r\n"
    with Echo() as echo, proxy(tmp_path, echo.port, everything=True) as running:
        got = answers(asyncio.run(talk(running.port, [data])))
        if proxy.name == "caddy":  # reads it as a request without a body, and passes that on
            assert [one[1:] for one in echo.saw()] == [("POST", "/p", "a", b"")]
        else:
            assert [status for status, _, _ in got] == [400] and echo.saw() == []
        if proxy is PlainHAProxy:
            wait_until(lambda: running.forwarded() == [("POST", "/p", "a")])  # it logs once it has answered


# ---- webhooks ----


@pytest.fixture
def behind(make_gateway, byron, nord, tmp_path):
    """behind(name): (gateway, proxy)"""
    running = []

    def make(name, **changes):
        rate = {"rate": {"per_second": 2000, "burst": 200}, "concurrency": 64}
        gateway = make_gateway(merge(demo_config(byron.url, nord.url,
                                                 endpoints={"byron": rate, "nord": rate}), changes))
        running.append(PROXIES[name](tmp_path, gateway.port).__enter__())
        return gateway, running[0]

    yield make
    for one in running:
        one.stop()


@pytest.mark.parametrize("name", PROXIES)
def test_a_burst_of_signed_webhooks_arrives_exactly_once(behind, byron, nord, name):
    count = 500 if LONG else 200
    gateway, proxy = behind(name)
    orders = [one for one in OrderFactory(seed=6).orders(count + 40) if not one.summary["unmapped"]][:count]
    numbers, books = gateway.burst(orders, url=f"{proxy.url}/in/acme-shop", duplicates=0.05)
    assert books["by_status"] == {"200": count + len(numbers["twice"])}
    wait_until(lambda: gateway.settled(count), "everything is delivered", seconds=180)
    check_supplier(byron.books(), BYRON, orders)
    check_supplier(nord.books(), NORD, orders)
    assert gateway.intake("received") == count
    assert gateway.intake("duplicates") == len(numbers["twice"])


@pytest.mark.parametrize("name", PROXIES)
def test_the_admin_listener_is_not_behind_a_proxy(behind, name):
    _, proxy = behind(name)
    assert request(proxy.url, "GET", "/metrics")[0] == 404
    assert request(proxy.url, "GET", "/in/nobody")[0] == 404


def test_a_secret_in_a_path_stands_in_no_log(behind):
    """The other two log nothing unless they are told."""
    gateway, nginx = behind("nginx")
    for path in ("/in/acme-shop/callbacks/S3CRET/byron/fetch_stock?sku=A", "/in/acme-shop/outbound/S3CRET",
                 "/in/acme-shop/plain"):
        assert request(nginx.url, "GET", path)[0] in (404, 405)
    nginx.stop()  # its logs are whole
    logs = "".join(one.read_text(errors="replace") for one in nginx.folder.iterdir() if one.is_file())
    assert "S3CRET" not in logs + gateway.log()
    assert "/in/acme-shop/plain" in logs


# ---- who it was ----


def refused_lines(gateway):
    return [line for line in gateway.log().splitlines() if "status=401" in line]


@pytest.mark.parametrize("name", PROXIES)
def test_the_log_names_the_client_that_the_proxy_saw(behind, name):
    gateway, proxy = behind(name, log={"level": "debug"})
    order = byron_orders()[0]
    sent = {"Content-Type": "application/json", "X-Shopify-Topic": "orders/create",
            "X-Shopify-Hmac-Sha256": sign("wrong", order.body), "X-Shopify-Shop-Domain": SHOP,
            "X-Shopify-Webhook-Id": "x", "X-Forwarded-For": "1.1.1.1", "Forwarded": "for=2.2.2.2"}
    client = socket.socket()
    client.bind(("127.0.0.77", 0))
    client.connect(("127.0.0.1", proxy.port))
    head = "POST /in/acme-shop HTTP/1.1\r\nHost: a\r\nConnection: close\r\n" + \
        "".join(f"{key}: {value}\r\n" for key, value in sent.items()) + f"Content-Length: {len(order.body)}\r\n\r\n"
    client.sendall(head.encode() + order.body)
    assert client.recv(65536).startswith(b"HTTP/1.1 401")
    client.close()
    # loopback is trusted here, so the walk goes on to what the client wrote: as far as it is believed
    line = refused_lines(gateway)[0]
    assert "client=1.1.1.1" in line or "client=127.0.0.77" in line and name == "caddy", line


def test_from_anyone_else_the_headers_are_nothing(make_gateway, byron):
    gateway = make_gateway(demo_config(byron.url, log={"level": "debug"}, intake={"trusted_proxies": ["unix"]}))
    for header in ({"X-Forwarded-For": "203.0.113.9"}, {"Forwarded": "for=203.0.113.9"}):
        assert gateway.post(byron_orders()[0], signature="A" * 43 + "=", headers=header) == 401
    assert len(refused_lines(gateway)) == 2
    assert all("client=127.0.0.1" in line for line in refused_lines(gateway))


# ---- a unix socket ----


def unix_talk(path, data):
    with socket.socket(socket.AF_UNIX) as line:
        line.connect(str(path))
        line.sendall(data)
        line.settimeout(30)
        return line.recv(65536)


def test_intake_on_a_unix_socket_takes_webhooks_and_names_their_clients(make_gateway, byron):
    config = demo_config(byron.url, log={"level": "debug"}, intake={"mode": "0600"})
    gateway = make_gateway(config, start=False)
    gateway.write(merge(config, {"listen": "unix:in.sock"}))
    gateway.config["listen"] = "unix:in.sock"
    gateway.file.write_text(gateway.file.read_text().replace(f"listen: 127.0.0.1:{gateway.port}\n",
                                                             "listen: unix:in.sock\n", 1))
    gateway.start()
    path = gateway.folder / "in.sock"
    assert path.stat().st_mode & 0o777 == 0o600
    order = byron_orders()[0]
    for signature, status in ((sign(SECRET, order.body), b"200"), ("A" * 43 + "=", b"401")):
        head = (f"POST /in/acme-shop HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\n"
                f"X-Shopify-Topic: orders/create\r\nX-Shopify-Hmac-Sha256: {signature}\r\n"
                f"X-Shopify-Shop-Domain: {SHOP}\r\nX-Shopify-Webhook-Id: by-unix\r\n"
                f"X-Forwarded-For: 9.9.9.9, 203.0.113.7\r\nContent-Length: {len(order.body)}\r\n\r\n")
        assert unix_talk(path, head.encode() + order.body).split(b" ")[1] == status
    wait_until(lambda: gateway.settled(1))
    check_supplier(byron.books(), BYRON, [order])
    assert "client=203.0.113.7" in refused_lines(gateway)[0]
    gateway.stop()
    assert not path.exists()
