"""A supplier dies and its work fails over, with the interlock: no order is ever at two suppliers.

Nord takes the orders and Crest stands by; neither honours a key, but both can be asked. Nord's line breaks in the
middle of an order's answer, and Nord is gone. Everything else goes to Crest; the one in doubt waits for Nord.
"""

import copy
import socket
import threading

import pytest

from flow.harness import NORD_TOKEN, demo_config, free_port, merge, nord_orders, stays, wait_until
from sandbox.client import Process


class Line:
    """The line to a supplier: a relay that can be cut, so that nobody answers at its port, and mended."""

    def __init__(self, url):
        host, port = url.removeprefix("http://").split(":")
        self.to = (host, int(port))
        self.open, self.listener, self.lock = [], None, threading.Lock()
        self.port = free_port()  # nobody else's while the line is cut
        self.mend()

    @property
    def url(self):
        return f"http://127.0.0.1:{self.port}"

    def mend(self):
        self.listener = socket.socket()
        self.listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self.listener.bind(("127.0.0.1", self.port))
        self.listener.listen()
        threading.Thread(target=self.accept, args=(self.listener,), daemon=True).start()

    def accept(self, listener):
        while True:
            try:
                near, _ = listener.accept()
            except OSError:
                return
            far = socket.create_connection(self.to)
            with self.lock:
                if self.listener is not listener:  # it was cut meanwhile
                    self.hang_up(near, far)
                    continue
                self.open += [near, far]
            for a, b in ((near, far), (far, near)):
                threading.Thread(target=self.relay, args=(a, b), daemon=True).start()

    @staticmethod
    def relay(a, b):
        try:
            while data := a.recv(65536):
                b.sendall(data)
            b.shutdown(socket.SHUT_WR)
        except OSError:
            pass

    @staticmethod
    def hang_up(*sockets):
        """At once: a close alone leaves a connection open as long as a thread reads from it, and what is sent into
        such a one is in doubt like anything else that was never answered."""
        for one in sockets:
            try:
                one.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass
            one.close()

    def cut(self):
        with self.lock:
            listener, self.listener = self.listener, None
            if listener:
                self.hang_up(listener)
            self.hang_up(*self.open)
            self.open = []


@pytest.fixture(scope="module")
def crest_process():
    with Process("supplier", "--idempotency", "none", "--name", "crest", "--token", NORD_TOKEN) as crest:
        yield crest


@pytest.fixture
def crest(crest_process):
    crest_process.reset()
    return crest_process


@pytest.fixture
def line(nord):
    line = Line(nord.url)
    yield line
    line.cut()


@pytest.fixture
def gateway(make_gateway, byron, crest, line):
    config = demo_config(byron.url, line.url)
    endpoints = config["endpoints"]
    merge(endpoints["nord"], {
        "retry": {"first": "50ms", "cap": "100ms"}, "confirm": {"after": "100ms"},
        "breaker": {"min_calls": 2, "open": "300ms", "open_max": "300ms", "probes": 1}})
    endpoints["crest"] = merge(copy.deepcopy(endpoints["nord"]), {"base_url": crest.url})
    config["groups"] = {"suppliers": {"members": ["nord", "crest"], "failover_after": "600ms",
                                      "health": {"back_after": "300ms"}}}
    config["routes"] = [
        {"name": "order-to-supplier", "owner": "fulfilment-team", "priority": "critical",
         "from": {"endpoint": "acme-shop", "topic": "orders/create"}, "split": config["routes"][0]["split"],
         "to": {"group": "suppliers", "action": "order.submit"}}]
    return make_gateway(config)


def orders_at(supplier, status="received"):
    return sorted(one["our_id"] for one in supplier.books()["orders"] if one["status"] == status)


def member(gateway, name):
    (group,) = gateway.get("/v1/groups")
    return next(one for one in group["members"] if one["endpoint"] == name)


def by_order(gateway, order):
    """The delivery of an order."""
    return next(one for one in gateway.deliveries() if str(order.summary["id"]) in one["subject"])


@pytest.mark.parametrize("lost", ["the answer", "the order"])
def test_a_supplier_dies_and_each_order_ends_at_exactly_one(gateway, nord, crest, line, lost):
    doubtful, *others, late = nord_orders(6)

    # Nord gets an order, and its answer never comes back - or the order never came that far: who knows?
    nord.fault(action="cut_after" if lost == "the answer" else "cut_before", at="order", count=1)
    nord.fault(action="status", status=503, at="lookup", id="busy")  # nor can it be asked just now
    gateway.post(doubtful)
    wait_until(lambda: gateway.states("nord") == {"unknown": 1}, "nobody knows whether Nord has it")

    # Nord is gone. What comes now is tried there once or twice; then it moves to Crest, the rest goes there at once.
    line.cut()
    nord.clear_faults()
    for order in others:
        gateway.post(order)
    wait_until(lambda: len(orders_at(crest)) == len(others), "the others are at Crest")
    wait_until(lambda: gateway.states("crest") == {"delivered": len(others)})
    assert member(gateway, "nord")["health"] in ("out", "unusable")
    assert member(gateway, "nord")["pending"] == 1
    moved = gateway.get(f"/v1/deliveries/{by_order(gateway, others[0])['id']}")
    assert moved["detail"]["chosen"] == "crest"
    assert "breaker" in moved["detail"]["because"] + str(moved["detail"]["others"])

    # The doubtful one stays with Nord, and no hand may move it unless it is known that Nord has nothing.
    found = by_order(gateway, doubtful)
    stays(lambda: gateway.states("nord") == {"unknown": 1}, 0.5)
    refused = gateway.cli("deliveries", "move", found["id"], "--to", "crest", "--why", "hurry", ok=False)
    assert refused.code == 5 and "nord may have it" in refused.out
    assert gateway.get(f"/v1/deliveries/{found['id']}")["may_have_arrived"]

    # Nord is back and is asked: it has the order, or it has not, and then it gets it now.
    line.mend()
    wait_until(lambda: gateway.settled(len(others) + 1), "the question settled it")
    assert not set(orders_at(nord)) & set(orders_at(crest))
    at_both = orders_at(nord) + orders_at(crest)
    assert len(at_both) == len(set(at_both)) == 1 + len(others)
    done = gateway.get(f"/v1/deliveries/{found['id']}")
    assert done["state"] == "delivered" and done["key"] in at_both
    if lost == "the answer":
        assert orders_at(nord) == [done["key"]] and done["endpoint"] == "nord"

    # New work goes to Nord again, once it has been well for a while; what has moved stays where it is.
    wait_until(lambda: member(gateway, "nord")["health"] == "healthy")
    gateway.post(late)
    wait_until(lambda: gateway.states("nord").get("delivered", 0) + gateway.states("crest")["delivered"] ==
               len(others) + 2)
    assert by_order(gateway, late)["endpoint"] == "nord"
    assert "nord" in gateway.cli("groups").out


def test_what_waits_survives_kill_9_and_still_fails_over(gateway, nord, crest, line):
    # Nobody tries Nord in the moment of the kill: what was being sent then would be in doubt, and stay.
    merge(gateway.config["endpoints"]["nord"]["breaker"], {"open": "1m", "open_max": "1m"})
    gateway.config["groups"]["suppliers"]["failover_after"] = "2s"
    gateway.write()
    gateway.restart()
    line.cut()
    orders = nord_orders(8)
    for order in orders[:4]:
        gateway.post(order)
    wait_until(lambda: gateway.lane("nord")["breaker"] == "open" and not gateway.states("nord").get("inflight"))
    gateway.kill9()
    gateway.start()
    for order in orders[4:]:
        gateway.post(order)
    wait_until(lambda: len(orders_at(crest)) == 8, "all are at Crest")
    wait_until(lambda: gateway.settled(8))
    line.mend()
    stays(lambda: orders_at(nord) == [], 0.5)
    assert len(set(orders_at(crest))) == 8


@pytest.mark.parametrize("lost", ["the answer", "the order"])
def test_what_may_be_at_a_dead_supplier_is_cancelled_there_before_another_gets_it(gateway, nord, crest, line, lost):
    gateway.config["groups"]["suppliers"]["interlock"] = {"cancel": "order.cancel"}
    for name in ("nord", "crest"):
        merge(gateway.config["endpoints"][name], {"cancel": {"path": "/orders/@{key}/cancel"}, "confirm": {"settle": "100ms"}})
    gateway.write()
    gateway.restart()
    doubtful, other = nord_orders(2)
    nord.fault(action="cut_after" if lost == "the answer" else "cut_before", at="order", count=1)
    nord.fault(action="status", status=503, at="lookup", id="busy")
    gateway.post(doubtful)
    wait_until(lambda: gateway.states("nord") == {"unknown": 1}, "nobody knows whether Nord has it")
    found = by_order(gateway, doubtful)
    key = gateway.get(f"/v1/deliveries/{found['id']}")["key"]
    line.cut()
    nord.clear_faults()
    gateway.post(other)  # it finds out that Nord is gone
    wait_until(lambda: gateway.states("crest").get("delivered") == 1)
    wait_until(lambda: "taken back" in gateway.get(f"/v1/deliveries/{found['id']}")["detail"].get("because", ""))

    # Nord hears the cancel, and is gone again before it can say so; then the gateway dies, too.
    nord.fault(action="cut_after", at="cancel", count=1, id="torn")
    line.mend()
    wait_until(lambda: nord.books()["requests"]["by_step"].get("cancel", 0) > 0, "Nord was asked to cancel it")
    assert orders_at(crest) != [] and key not in orders_at(crest)
    gateway.kill9()
    gateway.start()
    wait_until(lambda: gateway.settled(2), "a cancel that is confirmed lets it go")
    done = gateway.get(f"/v1/deliveries/{found['id']}")
    assert (done["state"], done["endpoint"]) == ("delivered", "crest") and done["key"] != key
    assert orders_at(nord) == [] and orders_at(nord, "cancelled") == ([key] if lost == "the answer" else [])
    assert done["key"] in orders_at(crest) and len(orders_at(crest)) == 2
