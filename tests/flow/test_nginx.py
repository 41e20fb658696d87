"""Behind a real nginx, as most will run it: nothing is lost, connections are kept, smuggling finds no gap."""

import shutil
import socket
import subprocess

import pytest

from flow.harness import (SECRET, SHOP, byron_orders, check_supplier, demo_config, free_port, merge, wait_until)
from sandbox.client import request
from sandbox.orders import BYRON, NORD, OrderFactory
from sandbox.shopify import sign

pytestmark = pytest.mark.plain  # the guards and the server have units of their own, on sockets

CONFIG = """
daemon off;
master_process off;
pid {folder}/nginx.pid;
error_log {folder}/error.log warn;
events {{ worker_connections 1024; }}
http {{
    access_log {folder}/access.log;
    client_body_temp_path {folder}/body;
    proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi;
    scgi_temp_path {folder}/scgi;
    client_max_body_size 4m;
    upstream sluice {{ server 127.0.0.1:{upstream}; keepalive 16; }}
    server {{
        listen 127.0.0.1:{port};
        location /in/ {{
            proxy_pass http://sluice;
            proxy_http_version 1.1;
            proxy_set_header Connection "";
            proxy_set_header Host $host;
            proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;
            proxy_request_buffering {buffering};
            proxy_next_upstream off;
        }}
    }}
}}
"""


class Nginx:
    def __init__(self, folder, upstream, buffering):
        self.folder, self.port = folder, free_port()
        folder.mkdir()
        config = folder / "nginx.conf"
        config.write_text(CONFIG.format(folder=folder, port=self.port, upstream=upstream,
                                        buffering="on" if buffering else "off"))
        self.url = f"http://127.0.0.1:{self.port}"
        self.errors = open(folder / "stderr", "wb")
        program = shutil.which("nginx", path="/usr/sbin:/usr/local/sbin:/usr/bin:/bin")
        assert program, "nginx is not installed (Debian: nginx-light)"
        self.process = subprocess.Popen([program, "-p", str(folder), "-e", str(folder / "error.log"),
                                         "-c", str(config)], stdout=self.errors, stderr=self.errors)
        wait_until(self.listens, "nginx listens")

    def listens(self):
        assert self.process.poll() is None, (self.folder / "stderr").read_text() + self.log()
        try:
            socket.create_connection(("127.0.0.1", self.port), 1).close()
            return True
        except OSError:
            return False

    def log(self):
        path = self.folder / "error.log"
        return path.read_text() if path.exists() else ""

    def stop(self):
        self.process.terminate()
        self.process.wait(30)
        self.errors.close()


@pytest.fixture
def behind(make_gateway, byron, nord, tmp_path):
    """behind(buffering): (gateway, nginx)"""
    running = []

    def make(buffering=True):
        config = demo_config(byron.url, nord.url)
        for endpoint in ("byron", "nord"):
            merge(config["endpoints"][endpoint], {"rate": {"per_second": 2000, "burst": 200},
                                                  "concurrency": 64})
        gateway = make_gateway(config)
        running.append(Nginx(tmp_path / "nginx", gateway.port, buffering))
        return gateway, running[0]

    yield make
    for one in running:
        one.stop()


@pytest.mark.parametrize("buffering", [True, False], ids=["buffered", "streamed"])
def test_a_burst_of_500_through_nginx_loses_nothing(behind, byron, nord, buffering):
    gateway, nginx = behind(buffering)
    orders = [one for one in OrderFactory(seed=5).orders(540) if not one.summary["unmapped"]][:500]
    numbers, books = gateway.burst(orders, url=f"{nginx.url}/in/acme-shop", duplicates=0.02)
    assert books["by_status"] == {"200": 500 + len(numbers["twice"])}
    wait_until(lambda: gateway.settled(500), "everything is delivered", seconds=180)
    check_supplier(byron.books(), BYRON, orders)
    check_supplier(nord.books(), NORD, orders)
    assert gateway.intake("received") == 500
    assert "prematurely closed" not in nginx.log() and "reset by peer" not in nginx.log()


def webhook(order, *more, topic="orders/create", length=True):
    """The head of a webhook as bytes, with further lines."""
    lines = ["POST /in/acme-shop HTTP/1.1", "Host: hooks.example.com", "Content-Type: application/json",
             f"X-Shopify-Topic: {topic}", f"X-Shopify-Hmac-Sha256: {sign(SECRET, order.body)}",
             f"X-Shopify-Shop-Domain: {SHOP}", "X-Shopify-Webhook-Id: by-hand", *more]
    if length:
        lines.append(f"Content-Length: {len(order.body)}")
    return "\r\n".join(lines).encode() + b"\r\n\r\n"


def talk(port, data, answers=1):
    """Sends the bytes; the status of the first answer, and how many answers came: so many, and what follows at once."""
    with socket.create_connection(("127.0.0.1", port), 30) as line:
        line.sendall(data)
        line.settimeout(30)
        got = b""
        try:
            while True:
                more = line.recv(65536)
                if not more:
                    break
                got += more
                if got.count(b"HTTP/1.1 ") >= answers and b"\r\n\r\n" in got:
                    line.settimeout(0.3)
        except socket.timeout:
            pass
        except ConnectionResetError:
            pass
    return int(got.split(b" ", 2)[1]), got.count(b"HTTP/1.1 ")


def chunked(body, pieces=3):
    size = len(body) // pieces + 1
    parts = [body[at:at + size] for at in range(0, len(body), size)]
    return b"".join(b"%x\r\n%s\r\n" % (len(part), part) for part in parts) + b"0\r\n\r\n"


@pytest.mark.parametrize("through", ["nginx", "direct"])
def test_a_chunked_webhook_is_a_webhook(behind, byron, through):
    gateway, nginx = behind(buffering=False)
    order = byron_orders()[0]
    port = nginx.port if through == "nginx" else gateway.port
    head = webhook(order, "Transfer-Encoding: chunked", length=False)
    assert talk(port, head + chunked(order.body)) == (200, 1)
    wait_until(lambda: gateway.settled(1))
    check_supplier(byron.books(), BYRON, [order])


@pytest.mark.parametrize("through", ["nginx", "direct"])
def test_a_topic_or_signature_that_stands_twice_is_refused(behind, through):
    gateway, nginx = behind()
    order = byron_orders()[0]
    port = nginx.port if through == "nginx" else gateway.port
    for twice in ("X-Shopify-Topic: orders/cancelled", "x-shopify-topic: orders/create",
                  "X-Shopify-Hmac-Sha256: " + sign("x", order.body), "X-Shopify-Webhook-Id: another"):
        assert talk(port, webhook(order, twice) + order.body)[0] == 400
    assert gateway.status()["summary"]["events"] == 0
    assert gateway.intake("malformed") == 4
    assert talk(port, webhook(order) + order.body) == (200, 1)


@pytest.mark.parametrize("more", [
    ["Transfer-Encoding: chunked"], ["Transfer-Encoding: gzip, chunked"], ["Content-Length: 5"],
    ["Transfer-Encoding : chunked"], ["X-Folded: a\r\n b"], ["Host: other.example.com"],
], ids=["both-lengths", "two-codings", "two-lengths", "blank-in-name", "folded", "two-hosts"])
def test_framing_that_two_readers_could_read_in_two_ways_is_refused_and_ends_the_connection(suppliers, more):
    order = byron_orders()[0]
    smuggled = b"POST /in/acme-shop HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n"
    status, answers = talk(suppliers.port, webhook(order, *more) + order.body + smuggled)
    assert status in (400, 501) and answers == 1
    assert suppliers.status()["summary"]["events"] == 0


def test_two_webhooks_in_one_write_are_answered_one_after_the_other(suppliers, byron):
    first, second = byron_orders(2)
    data = (webhook(first).replace(b"by-hand", b"one") + first.body
            + webhook(second).replace(b"by-hand", b"two") + second.body)
    assert talk(suppliers.port, data, answers=2) == (200, 2)
    wait_until(lambda: suppliers.settled(2))
    check_supplier(byron.books(), BYRON, [first, second])


def test_the_proxy_may_ask_for_more_than_the_webhooks_but_gets_404(behind):
    gateway, nginx = behind()
    assert request(nginx.url, "GET", "/in/")[0] == 404
    assert request(nginx.url, "GET", "/metrics")[0] == 404  # the admin is another listener
    assert request(gateway.url, "GET", "/metrics")[0] == 404
