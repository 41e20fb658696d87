"""The out-of-order join: what is about an order waits a bounded time for the order itself to have been routed."""

import http.server
import json
import re
import threading

import pytest

from flow.harness import byron_orders, demo_config, http_endpoint, messages, stays, wait_until

PAID = "orders/paid"


def joining(byron, desk, **wait_for):
    """The desk hears of a payment only after the order has gone to its supplier's route."""
    config = demo_config(byron.url)
    config["endpoints"]["desk"] = http_endpoint(desk)
    config["routes"].append({
        "name": "payment-to-desk", "from": {"endpoint": "acme-shop", "topic": PAID},
        "map": "{paid: .id}", "to": {"endpoint": "desk", "action": "request.send"},
        "wait_for": {"topic": "orders/create", **wait_for}})
    return config


def test_a_payment_that_overtook_its_order_waits_for_it(make_gateway, byron, desk):
    gateway = make_gateway(joining(byron, desk, within="60s"))
    order = byron_orders()[0]
    gateway.post(order, topic=PAID)
    wait_until(lambda: gateway.states("desk") == {"held": 1}, "it waits")
    row = gateway.delivery(endpoint="desk")
    assert row["hold_type"] == "wait-for" and row["reason"] == "waits for orders/create" and row["next_at"]
    assert gateway.cli("held", "list").json == []  # nobody has to decide anything
    assert len(gateway.cli("held", "list", "--type", "wait-for").json) == 1
    assert not any(one["alert"] == "held" for one in gateway.alerts())
    assert messages(desk) == []

    gateway.post(order)
    wait_until(lambda: gateway.states() == {"delivered": 2})
    assert messages(desk) == [{"paid": str(order.summary["id"])}]
    move = next(m for m in gateway.delivery(endpoint="desk")["moves"] if m["who"].startswith("event "))
    assert "orders/create" in move["reason"]


def test_it_goes_at_once_when_the_order_is_there_and_another_order_is_not_it(make_gateway, byron, desk):
    gateway = make_gateway(joining(byron, desk, within="60s"))
    first, second = byron_orders(2)
    gateway.post(first)
    wait_until(lambda: gateway.settled(1))
    gateway.post(first, topic=PAID)
    gateway.post(second, topic=PAID)
    wait_until(lambda: gateway.states("desk") == {"delivered": 1, "held": 1})
    assert stays(lambda: gateway.states("desk").get("held") == 1, 0.3)


@pytest.mark.parametrize("otherwise, state", [("go", "delivered"), ("dead", "dead")])
def test_at_the_end_of_the_time_it_goes_or_is_given_up_also_over_a_kill(make_gateway, byron, desk, otherwise, state):
    gateway = make_gateway(joining(byron, desk, within="2s", **{"else": otherwise}))
    gateway.post(byron_orders()[0], topic=PAID)
    wait_until(lambda: gateway.deliveries(endpoint="desk"))
    gateway.kill9()
    gateway.start()
    wait_until(lambda: gateway.states("desk") == {state: 1})
    move = next(m for m in gateway.delivery(endpoint="desk")["moves"] if m["who"] == "clock")
    assert move["reason"] == "orders/create has not come within 2s"


class Shop(http.server.ThreadingHTTPServer):
    """The shop's Admin API, as far as orders are read by their id."""

    def __init__(self):
        super().__init__(("127.0.0.1", 0), ShopCall)
        self.orders, self.asked, self.fails = {}, [], False
        threading.Thread(target=self.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
        self.url = f"http://127.0.0.1:{self.server_address[1]}"


class ShopCall(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.server.asked.append((self.path, self.headers["X-Shopify-Access-Token"]))
        order = self.server.orders.get(self.path)
        status = 503 if self.server.fails else 200 if order else 404
        body = b'{"order":' + order + b'}' if status == 200 else b'{"errors":"Not Found"}'
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


@pytest.fixture
def shop():
    with Shop() as server:
        yield server
        server.shutdown()


@pytest.fixture
def asking(make_gateway, byron, desk, shop, monkeypatch):
    """What has not come within half a second is asked for at the shop."""
    monkeypatch.setenv("SHOP_TOKEN", "shpat_1")
    config = joining(byron, desk, within="300ms", **{"else": "lookup"})
    config["endpoints"]["acme-shop"]["admin"] = {
        "version": "2026-10", "token": {"env": "SHOP_TOKEN"}, "url": shop.url}
    return make_gateway(config)


def path_of(order):
    return f"/admin/api/2026-10/orders/{order.summary['id']}.json"


def test_an_order_that_did_not_come_is_looked_up_and_its_webhook_is_no_second_one(asking, desk, shop):
    order = byron_orders()[0]
    newer = json.dumps({**json.loads(order.body), "updated_at": "2026-11-21T12:00:00Z"}).encode()
    shop.orders[path_of(order)] = newer
    shop.fails = True
    asking.post(order, topic=PAID)
    wait_until(lambda: any(re.search(r"again in \d+s: HTTP 503", one["reason"])
                           for one in asking.deliveries(endpoint="desk")), "it says so")
    shop.fails = False
    wait_until(lambda: asking.states() == {"delivered": 2}, "the order and its payment")
    assert len(shop.asked) >= 2 and set(shop.asked) == {(path_of(order), "shpat_1")}
    assert messages(desk) == [{"paid": str(order.summary["id"])}]
    moves = [(m["who"].split(" ")[0], m["reason"]) for m in asking.delivery(endpoint="desk")["moves"]]
    assert ("lookup", "orders/create has not come within 300ms: it was looked up at acme-shop") in moves
    assert any(who == "event" for who, _ in moves), "the order that was found lets it go"

    asking.post(order)  # late, and older than what was found
    wait_until(lambda: asking.metrics()["sluice_events_same_total"] == 1)
    assert asking.states() == {"delivered": 2}


def test_an_order_that_the_shop_does_not_know_makes_a_dead_letter(asking, desk):
    order = byron_orders()[0]
    asking.post(order, topic=PAID)
    wait_until(lambda: asking.states("desk") == {"dead": 1})
    assert asking.delivery(endpoint="desk")["reason"] == \
        "orders/create has not come within 300ms, and acme-shop has none: HTTP 404"
    assert messages(desk) == []


@pytest.mark.parametrize("topic, said", [
    ("orders/create", "{ client_id: ..., client_secret: ... } to ask the shop"),
    ("orders/updated", "of a shop orders/create alone can be looked up"),
    (["orders/create", "orders/updated"], "wants one topic, without")])
def test_a_look_up_that_cannot_be_made_is_refused(make_gateway, byron, desk, topic, said):
    config = joining(byron, desk, within="2s", **{"else": "lookup"})
    config["routes"][-1]["wait_for"]["topic"] = topic
    done = make_gateway(config, start=False).cli("check", ok=False)
    assert done.code == 3
    assert said in done.out + done.err
