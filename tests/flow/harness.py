"""Runs the built gateway as people run it: a configuration file, a process, its ports, its commands.

    gateway = Gateway(folder, demo_config(byron=byron.url, nord=nord.url))
    gateway.start()
    gateway.post(order)
    wait_until(lambda: gateway.lane("byron")["delivered"] == 1)
    gateway.stop()                  # SIGTERM; it must end with 0 and leave nothing open

SLUICE_BUILD names the build folder (build/ unless told); a build with sanitizers does as well. So
nothing here counts on speed: what a test waits for is polled, and only a failure costs the deadline.
"""

import asyncio
import copy
import http.client
import itertools
import json
import os
import pathlib
import re
import signal
import socket
import subprocess
import time
import urllib.parse
import uuid

import yaml

from sandbox.client import request
from sandbox.orders import BYRON, NORD, OrderFactory
from sandbox.shopify import ShopifySender, send_orders, sign

ROOT = pathlib.Path(__file__).resolve().parents[2]
BUILD = pathlib.Path(os.environ.get("SLUICE_BUILD", ROOT / "build")).resolve()
SLUICE = BUILD / "sluice"

SHOP = "example.myshopify.com"
SECRET, OLD_SECRET = "sandbox-app-secret-current", "sandbox-app-secret-previous"
BYRON_TOKEN, NORD_TOKEN = "b-token", "n-token"
DEADLINE_S = 100
LATE_S = 20  # what the clock decides is decided no later; to the millisecond: the simulated clock's tests

# of an endpoint whose remote fails in the test: tried again at once, and not given up for it
QUICK = {"retry": {"first": "50ms", "cap": "200ms"}, "breaker": {"min_calls": 1000}, "confirm": {"after": "100ms"}}

BAD_WORDS = ("ERROR: AddressSanitizer", "ERROR: LeakSanitizer", "runtime error:", "something was left open",
             "Assertion")


class Late(AssertionError):
    """What was waited for did not come."""


def wait_until(predicate, what="", seconds=DEADLINE_S, every=0.02):
    """Polls until `predicate()` is true, and returns what it gave. The longer it takes, the less often it
    asks: half of what a test costs would be the asking."""
    end = time.monotonic() + seconds
    while True:
        value = predicate()
        if value:
            return value
        if time.monotonic() > end:
            raise Late(f"not within {seconds} s: {what or predicate}")
        time.sleep(every)
        every = max(every, min(every * 1.2, 0.06))


def stays(predicate, seconds, every=0.05):
    """True if `predicate()` held all the time: for what must not happen."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if not predicate():
            return False
        time.sleep(every)
    return True


_reserved = []  # sockets


def free_port():
    """A port of our own as long as this process lives: bound here and never listened on.

    Nobody is given it again, neither another test process nor a connection going out; whoever binds it
    with SO_REUSEADDR, as servers do, can listen there, as often as it is started.
    """
    holder = socket.socket()
    holder.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    holder.bind(("127.0.0.1", 0))
    _reserved.append(holder)
    return holder.getsockname()[1]


# ---- configurations ----


def merge(into, changes):
    """Deep: a mapping is merged, all else replaced; None takes a key away."""
    for name, value in changes.items():
        if value is None:
            into.pop(name, None)
        elif isinstance(value, dict) and isinstance(into.get(name), dict):
            merge(into[name], value)
        else:
            into[name] = copy.deepcopy(value)
    return into


def demo_config(byron, nord=None, crm=None, **changes):
    """conf/demo.yaml with its endpoints at these addresses; what has none is left out. Its two routes to the CRM
    are one: a test knows by which transport its orders go.

    `changes` go over the whole, as merge() does: demo_config(url, endpoints={"byron": {...}}).
    """
    config = yaml.safe_load((ROOT / "conf" / "demo.yaml").read_text())
    config.pop("alerts", None)
    config["routes"].remove(route(config, "guest-order-to-crm"))
    del route(config, "order-to-crm")["when"]
    endpoints = config["endpoints"]
    endpoints["byron"]["base_url"] = byron
    if nord:
        endpoints["nord"]["base_url"] = nord
    else:
        del endpoints["nord"]
        del route(config, "order-to-supplier")["to"]["cases"][NORD]
    if crm:
        endpoints["crm"]["instance"] = crm
    else:
        del endpoints["crm"]
        config["routes"].remove(route(config, "order-to-crm"))
    return absolute(merge(config, changes))


def absolute(config):
    """The programs' files by their full names, since the file lies elsewhere."""
    if isinstance(config, dict):
        name = config.get("file")
        if isinstance(name, str) and name.startswith("maps/"):
            config["file"] = str(ROOT / "conf" / name)
        for value in config.values():
            absolute(value)
    elif isinstance(config, list):
        for value in config:
            absolute(value)
    return config


def route(config, name):
    return next(one for one in config["routes"] if one["name"] == name)


def http_endpoint(receiver, **more):
    """A receiver as an endpoint that takes any JSON by a request."""
    return {"adapter": "http", "base_url": receiver.url, "idempotent": True, **more}


def messages(receiver):
    """What a receiver was told, in the order it came."""
    return [json.loads(one["raw"]) for one in receiver.books()["messages"]]


# ---- the example of the plugin author's guide ----


def configuration_of(page):
    """The first YAML block of a page that is a whole configuration."""
    blocks = re.findall(r"(?s)```yaml\n(.*?)```", (ROOT / page).read_text())
    return next(text for text in blocks if "endpoints:" in text and "routes:" in text)


def build_example(folder):
    """docs/examples/hello-supplier, built as its guide says, into a folder for plugins; that folder."""
    plugins = folder / "my-plugins"
    plugins.mkdir()
    subprocess.run([os.environ.get("CC", "cc"), "-std=c11", "-Wall", "-Wextra", "-Werror", "-shared", "-fPIC",
                    "-fvisibility=hidden", "-I", ROOT / "include", "-o", plugins / "hello-supplier.so",
                    ROOT / "docs" / "examples" / "hello-supplier" / "hello-supplier.c"], check=True, timeout=120)
    return plugins


# ---- commands ----


class Run:
    """A command that has ended."""

    def __init__(self, done):
        self.code, self.out, self.err = done.returncode, done.stdout, done.stderr

    @property
    def json(self):
        return json.loads(self.out)

    def __repr__(self):
        return f"exit {self.code}\n{self.out}\n{self.err}"


def sluice(*args, env=None, stdin=None):
    done = subprocess.run([str(SLUICE), *map(str, args)], capture_output=True, text=True, timeout=120,
                          env={**os.environ, **(env or {})}, input=stdin)
    assert not any(word in done.stderr for word in BAD_WORDS), done.stderr
    return Run(done)


# ---- the gateway ----


class UnixConnection(http.client.HTTPConnection):
    def __init__(self, path):
        super().__init__("localhost", timeout=30)
        self.unix_path = path

    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self.unix_path)


class Gateway:
    """One configuration in `folder`, and the process that runs it - over restarts."""

    def __init__(self, folder, config, env=None, plugins=()):
        self.folder = pathlib.Path(folder)
        self.config = config
        self.plugins = [str(one) for one in (BUILD / "plugins", *plugins)]
        self.env = {
            "DEMO_SHOPIFY_SECRET": SECRET, "DEMO_SHOPIFY_OLD_SECRET": OLD_SECRET,
            "DEMO_BYRON_AUTHORIZATION": f"Bearer {BYRON_TOKEN}",
            "DEMO_NORD_AUTHORIZATION": f"Bearer {NORD_TOKEN}", **(env or {}),
        }
        self.port, self.admin_port = free_port(), free_port()
        self.process = None
        self.log_path = self.folder / "gateway.log"
        self.file = self.folder / "sluice.yaml"
        self.write()

    @property
    def url(self):
        return f"http://127.0.0.1:{self.port}"

    @property
    def admin_url(self):
        return f"http://127.0.0.1:{self.admin_port}"

    @property
    def socket(self):
        return str(self.folder / "state" / "admin.sock")

    # ---- life ----

    def write(self, config=None):
        """The configuration into its file; a running gateway does not look at it again."""
        self.config = config or self.config
        if "ASAN_OPTIONS" in os.environ:  # each worker compiles every program, and that is most of what it does
            self.config.setdefault("workers", {}).setdefault("count", 1)
        merge(self.config, {"listen": f"127.0.0.1:{self.port}",
                            "admin": {"listen": f"127.0.0.1:{self.admin_port}"},
                            "store": {"path": "state"}, "plugins": self.plugins})
        self.file.write_text(yaml.safe_dump(self.config, sort_keys=False, allow_unicode=True))

    def start(self):
        self.launch()
        wait_until(self.ready, "the gateway is ready")
        return self

    def launch(self):
        """Only the process: nobody waits for it."""
        with open(self.log_path, "ab") as log:
            self.process = subprocess.Popen([str(SLUICE), "run", "-c", str(self.file)], stdout=log,
                                            stderr=log, stdin=subprocess.DEVNULL,
                                            env={**os.environ, **self.env})

    def ready(self):
        if self.process.poll() is not None:
            raise AssertionError(f"the gateway ended with {self.process.returncode}:\n{self.log()[-4000:]}")
        try:
            return request(self.admin_url, "GET", "/readyz", timeout=5)[0] == 200
        except OSError:
            return False

    def stop(self):
        """SIGTERM: it drains, ends with 0 and leaves nothing open."""
        self.process.send_signal(signal.SIGTERM)
        code = self.wait()
        log = self.log()
        assert code == 0, f"exit code {code}:\n{log[-4000:]}"
        bad = [line for line in log.splitlines() if any(word in line for word in BAD_WORDS)]
        assert not bad, "\n".join(bad)

    def wait(self, seconds=DEADLINE_S):
        try:
            return self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
            raise Late(f"the gateway did not end within {seconds} s:\n{self.log()[-4000:]}") from None

    def kill9(self):
        self.process.kill()
        self.process.wait()

    def restart(self):
        self.stop()
        return self.start()

    @property
    def running(self):
        return self.process is not None and self.process.poll() is None

    def log(self):
        return self.log_path.read_text(errors="replace") if self.log_path.exists() else ""

    # ---- webhooks ----

    def post(self, body, topic="orders/create", webhook_id=None, secret=SECRET, signature=None,
             path="/in/acme-shop", headers=None):
        """One signed webhook; the status of the answer. `body`: bytes, or an order."""
        body = getattr(body, "body", body)
        sent = {"Content-Type": "application/json", "X-Shopify-Topic": topic,
                "X-Shopify-Hmac-Sha256": signature or sign(secret, body), "X-Shopify-Shop-Domain": SHOP,
                "X-Shopify-Webhook-Id": webhook_id or str(uuid.uuid4()), **(headers or {})}
        return request(self.url, "POST", path, body, sent)[0]

    def burst(self, orders, url=None, seed=None, **switches):
        """All at once, as a flash sale does, again until each is acknowledged; see send_orders()."""

        async def go():
            async with ShopifySender(url or f"{self.url}/in/acme-shop", SECRET, clock=0.01, connect_s=DEADLINE_S,
                                     total_s=DEADLINE_S) as sender:
                numbers = await send_orders(sender, orders, seed=seed or next(_seeds), **switches)
                return numbers, sender.books()

        return asyncio.run(go())

    # ---- what it says ----

    def api(self, method, path, body=None):
        """(status, answer) of the admin API over its socket."""
        connection = UnixConnection(self.socket)
        try:
            text = None if body is None else json.dumps(body)
            connection.request(method, path, text, {"Content-Type": "application/json"} if text else {})
            answer = connection.getresponse()
            return answer.status, json.loads(answer.read() or b"null")
        finally:
            connection.close()

    def get(self, path, **query):
        query = {name: value for name, value in query.items() if value is not None}
        status, answer = self.api("GET", path + ("?" + urllib.parse.urlencode(query) if query else ""))
        assert status == 200, answer
        return answer

    def deliveries(self, **query):
        """Newest first or not: never counted on. At most 1000."""
        return self.get("/v1/deliveries", limit=1000, **query)

    def delivery(self, **query):
        """The one that fits."""
        found = self.deliveries(**query)
        assert len(found) == 1, found
        return self.get(f"/v1/deliveries/{found[0]['id']}")

    def status(self):
        return self.get("/v1/status")

    def intake(self, name):
        return self.status()["intake"][name]

    def lane(self, endpoint):
        return next(one for one in self.status()["lanes"] if one["endpoint"] == endpoint)

    def states(self, endpoint=None):
        """How many deliveries stand in which state, in the store."""
        by_endpoint = self.status()["summary"]["deliveries"]
        chosen = by_endpoint.values() if endpoint is None else [by_endpoint.get(endpoint, {})]
        total = {}
        for states in chosen:
            for state, n in states.items():
                total[state] = total.get(state, 0) + n
        return total

    def settled(self, events=None):
        """Is every event routed, and nothing on its way any more?"""
        status = self.status()
        summary = status["summary"]
        live = {"ready", "inflight", "waiting", "unknown"}
        if summary["unrouted"] or status["intake"]["router_queue"]:
            return False
        if events is not None and summary["events"] < events:
            return False
        return not any(live & {name for name, n in states.items() if n}
                       for states in summary["deliveries"].values())

    def metrics(self):
        """{"name{labels}": number}"""
        text = request(self.admin_url, "GET", "/metrics")[2].decode()
        found = {}
        for line in text.splitlines():
            if line and not line.startswith("#"):
                name, value = line.rsplit(" ", 1)
                found[name] = float(value)
        return found

    def alerts(self):
        return self.status()["alerts"]

    # ---- decisions ----

    def cli(self, *args, ok=True, stdin=None):
        """A command of the gateway's own, on this configuration; `ok`: it must end with 0."""
        done = sluice(*args, "-c", self.file, "--json", env=self.env, stdin=stdin)
        assert not ok or done.code == 0, done
        return done

    def decide(self, action, *ids, **more):
        status, answer = self.api("POST", "/v1/decide", {"action": action, "ids": list(ids), **more})
        assert status == 200 and answer["failed"] == 0, answer
        return answer


_seeds = itertools.count(1000)  # of bursts: no two have the same webhook ids


# ---- orders ----


def orders_of(*vendors, count=1, seed=1, first=0):
    """Made orders with items of exactly these vendors."""
    factory = OrderFactory(seed)
    found = (order for order in map(factory.order, itertools.count(first))
             if order.summary["vendors"] == sorted(vendors))
    return list(itertools.islice(found, count))


def byron_orders(count=1, seed=1, first=0):
    return orders_of(BYRON, count=count, seed=seed, first=first)


def nord_orders(count=1, seed=1, first=0):
    return orders_of(NORD, count=count, seed=seed, first=first)


def supplier_order(summary, vendor):
    """What a supplier must have got of an order, our id for it aside."""
    to = summary["shipping_address"]
    return {
        "reference": summary["name"], "shop_order_id": summary["id"], "currency": summary["currency"],
        "recipient": {"name": to["name"], "company": to["company"], "address1": to["address1"],
                      "address2": to["address2"], "city": to["city"], "zip": to["zip"],
                      "country_code": to["country_code"], "email": summary["email"]},
        "items": [{"external_id": str(line["id"]), "sku": line["sku"] or "none",
                   "quantity": line["quantity"], "retail_price": line["price"],
                   "properties": line["properties"]} for line in summary["by_vendor"][vendor]],
    }


def check_supplier(books, vendor, orders):
    """The supplier's books hold these orders, field by field, each once, and no others."""
    assert books["doubles"] == {}
    got = {}
    for one in books["orders"]:
        body = dict(one["body"])
        assert body.pop("external_id") == one["our_id"]
        assert re.fullmatch("[0-9A-Za-z_-]{1,32}", one["our_id"])
        shop_id = body["shop_order_id"]
        assert f'"shop_order_id":{shop_id}' in one["raw"].replace(": ", ":")  # every digit, no exponent
        assert shop_id not in got, f"order {shop_id} arrived twice"
        got[shop_id] = body
    wanted = {order.summary["id"]: supplier_order(order.summary, vendor) for order in orders
              if vendor in order.summary["by_vendor"]}
    assert got.keys() == wanted.keys(), \
        f"missing: {wanted.keys() - got.keys()}, not wanted: {got.keys() - wanted.keys()}"
    for shop_id, body in wanted.items():
        assert got[shop_id] == body
