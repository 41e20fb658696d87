"""Reload under load: two hundred of them while webhooks come in, and nobody notices.

The file goes through its changes in turn: another pace, another setting of an endpoint (which opens a second
instance of it), a route and its endpoint gone and back, a file with a mistake. Each webhook is acknowledged,
each order arrives once where it belongs, and the process is as large afterwards as before.
"""

import copy
import http.client
import itertools
import json
import os
import threading
import time
import uuid

import pytest

from flow.harness import QUICK, SECRET, SHOP, SLUICE, demo_config, http_endpoint, merge, messages, orders_of, \
    route, wait_until
from sandbox.orders import BYRON
from sandbox.shopify import sign

RELOADS = 200
SANITIZED = b"__asan_init" in SLUICE.read_bytes()


@pytest.fixture
def remotes(erp, chat):
    return erp, chat


@pytest.fixture
def gateway(make_gateway, remotes):
    erp, chat = remotes
    config = demo_config("http://127.0.0.1:9")
    merge(config["endpoints"], {
        "byron": None,
        "erp": http_endpoint(erp, idempotent=False, **QUICK),
        "chat": http_endpoint(chat, idempotent=False, **QUICK)})
    config["routes"] = [
        {"name": f"order-to-{name}", "from": {"endpoint": "acme-shop", "topic": "orders/create"},
         "map": "{id, name}", "to": {"endpoint": name, "action": "request.send"}} for name in ("erp", "chat")]
    return make_gateway(config)


class Load:
    """Webhooks, one after the other on each of a few connections, until it is stopped."""

    def __init__(self, gateway, connections=3, every_s=0.008):
        self.gateway, self.every_s = gateway, every_s
        self.orders = orders_of(BYRON, count=40)
        self.ids = itertools.count(1)
        self.sent, self.failed = [], []
        self.waits = False  # when there is much to send: how large the process is would be the backlog's size
        self.over = threading.Event()
        self.threads = [threading.Thread(target=self.go) for _ in range(connections)]

    def __enter__(self):
        for one in self.threads:
            one.start()
        return self

    def __exit__(self, *_):
        self.over.set()
        for one in self.threads:
            one.join()

    def go(self):
        line = http.client.HTTPConnection("127.0.0.1", self.gateway.port, timeout=20)
        for order in itertools.cycle(self.orders):
            if self.over.is_set():
                return
            number = next(self.ids)
            body = json.dumps({**json.loads(order.body), "id": number}).encode()
            try:
                line.request("POST", "/in/acme-shop", body, {
                    "Content-Type": "application/json", "X-Shopify-Topic": "orders/create",
                    "X-Shopify-Hmac-Sha256": sign(SECRET, body), "X-Shopify-Shop-Domain": SHOP,
                    "X-Shopify-Webhook-Id": str(uuid.uuid4())})
                answer = line.getresponse()
                answer.read()
                if answer.status != 200:
                    self.failed.append(answer.status)
                self.sent.append(str(number))
            except (OSError, http.client.HTTPException) as error:
                self.failed.append(repr(error))
                line.close()
            time.sleep(self.every_s)
            while self.waits and not self.over.is_set():
                time.sleep(self.every_s)


def changes(config):
    """The configuration in its ways, for ever; None: one with a mistake."""
    def changed(**more):
        return merge(copy.deepcopy(config), more)

    slower = changed(endpoints={"erp": {"rate": {"per_second": 400, "burst": 40}, "concurrency": 4}})
    without = changed(endpoints={"chat": None})
    without["routes"] = [route(without, "order-to-erp")]
    for n in itertools.count():
        yield slower
        yield changed(endpoints={"erp": {"headers": {"X-Generation": str(n)}}})
        yield without
        yield None if n % 5 == 0 else config


def size(gateway):
    """(resident kB, descriptors)"""
    pid = gateway.process.pid
    with open(f"/proc/{pid}/status") as status:
        rss = next(int(line.split()[1]) for line in status if line.startswith("VmRSS"))
    return rss, len(os.listdir(f"/proc/{pid}/fd"))


def reload(gateway, config):
    if config is None:
        gateway.file.write_text(gateway.file.read_text().replace("order-to-erp", "order to erp"))
        status, answer = gateway.api("POST", "/v1/reload")
        assert status == 422 and not answer["ok"], answer
        assert "route name" in answer["errors"][0]["text"] and answer["errors"][0]["line"] > 0
        return
    gateway.write(config)
    status, answer = gateway.api("POST", "/v1/reload")
    assert status == 200 and answer["ok"], answer


def test_two_hundred_reloads_under_load_lose_double_and_fail_nothing(gateway, remotes):
    erp, chat = remotes
    whole = copy.deepcopy(gateway.config)
    with Load(gateway) as load:
        wait_until(lambda: len(load.sent) > 20)
        for n, config in zip(range(RELOADS), changes(whole)):
            reload(gateway, config)
            load.waits = sum(lane["ready"] for lane in gateway.status()["lanes"]) > 200
            if n == RELOADS // 2:
                half = size(gateway)
            time.sleep(0.02)
        reload(gateway, whole)
        after = size(gateway)
    assert load.failed == []
    assert len(load.sent) > RELOADS
    assert after[1] <= half[1] + 10, f"descriptors: {half[1]} half way, {after[1]} at the end"
    if not SANITIZED:
        assert after[0] <= half[0] + 6 * 1024, f"resident: {half[0]} kB half way, {after[0]} kB at the end"

    # what lost its place waits for a person's word, who knows that the place is back
    wait_until(lambda: gateway.settled(len(load.sent)), "all is delivered or held")
    held = gateway.states("chat").get("held", 0)
    assert {one["hold_type"] for one in gateway.deliveries(endpoint="chat", state="held")} <= {"orphaned"}
    if held:
        gateway.cli("held", "release", "--all", "--type", "orphaned", "--route", "order-to-chat")
    wait_until(lambda: gateway.settled() and not gateway.states().get("held"))

    came = [one["id"] for one in messages(erp)]
    assert len(came) == len(set(came)), "an order arrived twice"
    assert set(came) == set(load.sent)
    talked = [one["id"] for one in messages(chat)]
    assert len(talked) == len(set(talked))
    assert gateway.states("chat") == {"delivered": len(talked)}
    assert gateway.states("erp") == {"delivered": len(came)}
    assert gateway.metrics()["sluice_config_reloads_total{result=\"done\"}"] == RELOADS - RELOADS // 20 + 1


def test_who_would_lose_its_place_is_counted_before_and_held_then(gateway, remotes):
    erp, _ = remotes
    erp.fault(action="status", at="message", status=401)
    gateway.post(orders_of(BYRON)[0])
    wait_until(lambda: gateway.lane("erp")["parked"] and gateway.states("erp") == {"ready": 1})
    config = copy.deepcopy(gateway.config)
    gateway.config["routes"] = [route(gateway.config, "order-to-chat")]
    gateway.write()
    said = "1 delivery of route order-to-erp to erp would be held as orphaned"
    assert said in gateway.cli("check").json["orphans"][0]["text"]
    (orphan,) = gateway.cli("reload", "--dry-run").json["orphans"]
    assert said in orphan["text"]
    assert gateway.states("erp") == {"ready": 1}
    gateway.cli("reload")
    wait_until(lambda: gateway.states("erp") == {"held": 1})
    held = gateway.delivery(endpoint="erp")
    assert held["hold_type"] == "orphaned" and held["moves"][-1]["who"] == "reload"

    gateway.write(config)
    gateway.cli("reload")
    erp.clear_faults()
    gateway.cli("endpoints", "unpark", "erp")
    assert gateway.states("erp") == {"held": 1}  # not by itself
    gateway.decide("release", held["id"])
    wait_until(lambda: gateway.states("erp") == {"delivered": 1})
    assert len(messages(erp)) == 1


def test_what_a_running_daemon_cannot_take_over_is_named_and_nothing_changes(gateway):
    merge(gateway.config, {"store": {"keep": "9d"}, "workers": {"count": 3},
                           "endpoints": {"erp": {"concurrency": 1}}})
    gateway.write()
    done = gateway.cli("reload", ok=False)
    assert done.code == 3
    assert done.err.startswith("store.keep, workers.count have changed, and a running daemon cannot take these over")
    status, answer = gateway.api("POST", "/v1/reload", {"dry_run": True})
    assert (status, answer["restart"]) == (422, ["store.keep", "workers.count"])


def test_a_secret_is_read_anew_and_both_hold_while_both_are_listed(gateway, tmp_path):
    secret, shop = tmp_path / "secret", gateway.config["endpoints"]["acme-shop"]
    order = orders_of(BYRON)[0]
    secret.write_text("the new one")
    secret.chmod(0o600)
    assert gateway.post(order, secret="the new one") == 401
    shop["webhook_secret"] = [{"env": "DEMO_SHOPIFY_SECRET"}, {"file": str(secret)}]
    gateway.write()
    gateway.cli("reload")
    assert gateway.post(order, secret="the new one") == 200
    assert gateway.post(order) == 200
    shop["webhook_secret"] = [{"file": str(secret)}]
    gateway.write()
    gateway.cli("reload")
    assert gateway.post(order) == 401
    secret.write_text("a newer one")
    gateway.process.send_signal(1)  # SIGHUP
    wait_until(lambda: gateway.post(order, secret="a newer one") == 200)
    assert gateway.post(order, secret="the new one") == 401
