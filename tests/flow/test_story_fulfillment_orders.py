"""Fulfilment orders say nothing of their order: the shop is asked whose they are, so that what happens to one order
stays in one sequence - also when the shop cannot be asked for a while, and the gateway is killed meanwhile."""

import http.server
import json
import threading

import pytest

from flow.harness import OLD_SECRET, SHOP, http_endpoint, messages, sluice, stays, wait_until

pytestmark = pytest.mark.plain  # tests/unit/flow/test_resolve.c has its course

TOKEN = "sandbox-admin-token"
ORDER = 9007199254740993  # beyond 2^53


def order_name(number):
    return f"order:{SHOP}/{number}"


def fulfilment_order(number):
    return f"gid://shopify/FulfillmentOrder/{number}"


class Shop:
    """The Admin API, as far as `nodes` goes; it knows nothing of ids that are not in `orders`."""

    def __init__(self):
        self.orders, self.down, self.questions, self.requests, self.looks = {}, False, [], {}, 0
        shop = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self):
                asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                good = self.headers["X-Shopify-Access-Token"] == TOKEN
                status, answer = (503, b"") if shop.down else (200, shop.answer(asked)) if good else (401, b"")
                self.send_response(status)
                self.send_header("Content-Length", str(len(answer)))
                self.end_headers()
                self.wfile.write(answer)

            def log_message(self, *args):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    @property
    def url(self):
        return f"http://127.0.0.1:{self.server.server_port}"

    def answer(self, asked):
        if "assignedFulfillmentOrders" in asked["query"]:
            self.looks += 1
            kind = asked["variables"]["kind"]
            nodes = [{"id": fulfilment_order(one), "orderId": f"gid://shopify/Order/{ORDER}", "orderName": "#1042",
                      "updatedAt": "2026-11-20T09:15:32Z", "merchantRequests": {"nodes": [
                          {"id": f"gid://shopify/FulfillmentOrderMerchantRequest/{one}", "kind": kind}]}}
                     for one in self.requests.get(kind, [])]
            return json.dumps({"data": {"assignedFulfillmentOrders": {
                "nodes": nodes, "pageInfo": {"hasNextPage": False, "endCursor": None}}}}).encode()
        ids = asked["variables"]["ids"]
        self.questions.append(ids)
        nodes = [{"__typename": "FulfillmentOrder", "id": one, "orderId": f"gid://shopify/Order/{self.orders[one]}"}
                 if one in self.orders else None for one in ids]
        return json.dumps({"data": {"nodes": nodes}}).encode()

    def close(self):
        self.server.shutdown()
        self.server.server_close()


@pytest.fixture
def shop():
    made = Shop()
    yield made
    made.close()


def shop_config(shop):
    return {"adapter": "shopify", "shop": SHOP,
            "webhook_secret": [{"env": "DEMO_SHOPIFY_SECRET"}, {"env": "DEMO_SHOPIFY_OLD_SECRET"}],
            "admin": {"version": "2026-10", "token": {"env": "SHOPIFY_ADMIN_TOKEN"}, "url": shop.url}}


@pytest.fixture
def gateway(make_gateway, shop, desk):
    return make_gateway({
        "endpoints": {"acme-shop": shop_config(shop), "desk": http_endpoint(desk, concurrency=1)},
        "routes": [
            {"name": "tell", "from": {"endpoint": "acme-shop", "topic": ["orders/*", "fulfillment_orders/*",
                                                                         "fulfillment_holds/*"]},
             "to": {"endpoint": "desk", "action": "request.send", "path": "/told"}}]},
        {"SHOPIFY_ADMIN_TOKEN": TOKEN})


def post(gateway, topic, body, **more):
    assert gateway.post(json.dumps(body).encode(), topic=topic, **more) == 200


def step(number, status):
    return {"fulfillment_order": {"id": fulfilment_order(number), "status": status}}


def told(desk):
    """What came to the desk, in its order: the order's tags or the fulfilment order's status."""
    return [one.get("tags") or one["fulfillment_order"]["status"] for one in messages(desk)]


def timeline(gateway, order):
    """[topic, ...] of the events about it, as they came"""
    shown = sluice("events", "list", "--subject", order_name(order), "--json", "-c", gateway.file)
    assert shown.code == 0, shown
    return [one["topic"] for one in sorted(shown.json, key=lambda one: one["id"])]


def lane(gateway):
    return gateway.lane("acme-shop")


def test_what_happens_to_a_fulfilment_order_stands_in_its_orders_sequence(gateway, shop, desk):
    shop.orders[fulfilment_order(61)] = ORDER
    post(gateway, "orders/create", {"id": ORDER, "updated_at": "2026-11-20T10:15:30+01:00", "tags": "created"})
    post(gateway, "fulfillment_orders/order_routing_complete", step(61, "open"))
    post(gateway, "fulfillment_orders/placed_on_hold", step(61, "on_hold"))
    post(gateway, "fulfillment_orders/hold_released", step(61, "open again"))
    wait_until(lambda: len(told(desk)) == 4)
    assert told(desk) == ["created", "open", "on_hold", "open again"]
    assert shop.questions == [[fulfilment_order(61)]], "asked once"
    assert {one["subject"] for one in gateway.deliveries()} == {order_name(ORDER)}
    assert timeline(gateway, ORDER) == ["orders/create", "fulfillment_orders/order_routing_complete",
                                        "fulfillment_orders/placed_on_hold", "fulfillment_orders/hold_released"]

    # The link is there after a restart; and the old secret, of which the operator sees that it still signs.
    gateway.restart()
    post(gateway, "fulfillment_holds/added", {**step(61, "held"), "fulfillment_hold": {"id": "gid://x/1"}},
         secret=OLD_SECRET)
    wait_until(lambda: told(desk)[4:] == ["held"])
    assert len(shop.questions) == 1
    post(gateway, "orders/updated", {"id": ORDER, "updated_at": "2026-11-20T10:15:31+01:00", "tags": "updated"})
    wait_until(lambda: told(desk)[5:] == ["updated"])
    new, old = lane(gateway)["secrets"]
    assert (new["place"], new["webhooks"], old["place"], old["webhooks"]) == (1, 1, 2, 1) and old["last_at"]
    assert gateway.metrics()['sluice_webhooks_signed_total{endpoint="acme-shop",secret="2"}'] == 1


def test_a_shop_that_cannot_be_asked_holds_up_nothing_else_and_loses_nothing(gateway, shop, desk):
    shop.down = True
    shop.orders[fulfilment_order(61)] = ORDER
    post(gateway, "fulfillment_orders/order_routing_complete", step(61, "open"))
    post(gateway, "fulfillment_orders/placed_on_hold", step(61, "on_hold"))
    post(gateway, "orders/create", {"id": 7, "updated_at": "2026-11-20T10:15:30+01:00", "tags": "another order"})
    wait_until(lambda: told(desk) == ["another order"])
    wait_until(lambda: "503" in (lane(gateway)["resolving"]["why"] or ""), "it says why")
    assert lane(gateway)["resolving"]["ids"] == 1 and gateway.intake("waiting_for_link") == 2
    assert gateway.metrics()['sluice_resolving_ids{endpoint="acme-shop"}'] == 1

    gateway.kill9()
    gateway.start()
    wait_until(lambda: gateway.intake("waiting_for_link") == 2)
    assert stays(lambda: len(told(desk)) == 1, 0.3)
    shop.down = False
    wait_until(lambda: len(told(desk)) == 3)
    assert told(desk) == ["another order", "open", "on_hold"]
    assert gateway.intake("waiting_for_link") == 0 and lane(gateway)["resolving"] == {"ids": 0, "why": None}
    assert timeline(gateway, ORDER) == ["fulfillment_orders/order_routing_complete",
                                        "fulfillment_orders/placed_on_hold"]


def test_what_the_shop_learns_late_is_asked_for_again_and_what_it_never_knew_stands_for_itself(gateway, shop, desk):
    post(gateway, "fulfillment_orders/order_routing_complete", step(61, "late"))
    post(gateway, "fulfillment_orders/order_routing_complete", step(62, "never"))
    wait_until(lambda: len(shop.questions) == 1)
    shop.orders[fulfilment_order(61)] = ORDER
    wait_until(lambda: told(desk) == ["late"])
    wait_until(lambda: told(desk) == ["late", "never"])
    assert sorted(one["subject"] for one in gateway.deliveries()) == [
        f"fulfillment_order:{SHOP}/62", order_name(ORDER)]


def test_a_return_that_names_its_order_once_is_known_by_itself(gateway, shop, desk):
    gateway.config["routes"][0]["from"]["topic"].append("returns/*")
    gateway.write()
    gateway.cli("reload")
    post(gateway, "returns/request", {"id": 22, "order": {"id": ORDER}, "tags": "requested"})
    post(gateway, "returns/update", {"admin_graphql_api_id": "gid://shopify/Return/22", "tags": "updated"})
    wait_until(lambda: told(desk) == ["requested", "updated"])
    assert timeline(gateway, ORDER) == ["returns/request", "returns/update"] and shop.questions == []


def test_a_notification_leads_to_what_the_merchant_requests_once(make_gateway, shop, desk):
    prefix = "k3ep-this-between-us"
    config = {"endpoints": {"acme-shop": shop_config(shop), "desk": http_endpoint(desk, concurrency=1)},
              "routes": [{"name": "tell", "from": {"endpoint": "acme-shop", "topic": [
                  "fulfillment_service/fulfillment_request", "fulfillment_service/cancellation_request"]},
                  "to": {"endpoint": "desk", "action": "request.send", "path": "/told"}}]}
    config["endpoints"]["acme-shop"].update({
        "callbacks": {"path_secret": {"env": "CALLBACK_PREFIX"}},
        "feeds": {"requests": {"kind": "fulfillment-requests", "every": "1h",
                               "on": ["fulfillment_service/notification"]}}})
    gateway = make_gateway(config, {"SHOPIFY_ADMIN_TOKEN": TOKEN, "CALLBACK_PREFIX": prefix})
    path = f"/in/acme-shop/callbacks/{prefix}/byron/fulfillment_order_notification"

    def requested():
        return [(one["kind"], one["fulfillment_order"]["id"]) for one in messages(desk)]

    wait_until(lambda: gateway.get("/v1/feeds")[0]["runs"] == 1)
    shop.requests["FULFILLMENT_REQUEST"] = [61, 62]
    assert gateway.post(b'{"kind":"FULFILLMENT_REQUEST"}', path=path) == 200
    wait_until(lambda: len(requested()) == 2)
    shop.requests["CANCELLATION_REQUEST"] = [61]
    assert gateway.post(b'{"kind":"CANCELLATION_REQUEST"}', path=path) == 200
    wait_until(lambda: len(requested()) == 3)
    assert requested() == [("FULFILLMENT_REQUEST", fulfilment_order(61)), ("FULFILLMENT_REQUEST", fulfilment_order(62)),
                           ("CANCELLATION_REQUEST", fulfilment_order(61))]
    looks = shop.looks
    gateway.restart()
    gateway.cli("poll", "acme-shop", "requests")
    assert shop.looks > looks and len(requested()) == 3
    assert timeline(gateway, ORDER) == ["fulfillment_service/fulfillment_request"] * 2 + [
        "fulfillment_service/cancellation_request"]
    # and the link of what was told is there
    post(gateway, "fulfillment_orders/cancellation_request_submitted", step(62, "open"))
    wait_until(lambda: len(timeline(gateway, ORDER)) == 4)
    assert shop.questions == []
