"""What suppliers decide is done in the shop, once: an order that its supplier refuses is cancelled and paid back,
pieces of one are refunded, and a return is approved, put on the shelf, paid back and closed - whatever answer is lost,
and whenever the gateway is killed."""

import json

import pytest

from flow.harness import ROOT, SHOP, demo_config, merge, wait_until
from sandbox.client import Process, request

pytestmark = pytest.mark.plain  # tests/unit/plugins/test_shopify_orders.c has its course

TOKEN = "sandbox-admin-token"
LOCATION = "gid://shopify/Location/70000000101"
QUICK = {"retry": {"first": "50ms", "cap": "300ms"}, "breaker": {"min_calls": 1000}, "confirm": {"after": "100ms"},
         "timeout": {"first_byte": "2s", "total": "4s"}}
ROUTES = [
    {"name": "order-to-supplier", "from": {"endpoint": "acme-shop", "topic": "orders/create"},
     "split": {"file": str(ROOT / "conf" / "maps" / "order-by-vendor.jq")},
     "to": {"endpoint": "byron", "action": "order.submit"}},
    # the event is about the order: the body need not say which
    {"name": "refused-by-the-supplier", "from": {"endpoint": "byron", "topic": "supplier/rejected"},
     "map": '{reason: "INVENTORY", restock: false, staff_note: "the supplier has none"}',
     "to": {"endpoint": "acme-shop", "action": "order.cancel", "refund": "original"}},
    {"name": "pieces-back", "from": {"endpoint": "acme-shop", "topic": "orders/edited"},
     "map": '{order_id: .order_edit.order_id, lines: [{sku: "GEAR", quantity: 1}], note: "chipped"}',
     "to": {"endpoint": "acme-shop", "action": "refund.create"}},
    {"name": "take-it-back", "from": {"endpoint": "acme-shop", "topic": "returns/request"},
     "map": "{return_id: .id}", "to": {"endpoint": "acme-shop", "action": "return.approve"}},
    {"name": "it-came-back", "from": {"endpoint": "acme-shop", "topic": "returns/approve"},
     "map": '{return_id: .id, disposition: "RESTOCKED", location_id: "%s"}' % LOCATION,
     "to": {"endpoint": "acme-shop", "action": "return.process", "money": "suggested", "close": True}},
]


@pytest.fixture(scope="module")
def shop_process():
    with Process("shopify_admin", "--token", TOKEN, "--points", 20000, "--restore", 1000) as running:
        yield running


@pytest.fixture
def shop(shop_process):
    """Gears at 40.00, ten on the shelf."""
    shop_process.reset()
    shop_process.call("POST", "variants", [{"sku": "GEAR", "price": "40.00", "stock": {LOCATION: 10}}])
    return shop_process


@pytest.fixture
def gateway(make_gateway, byron, shop):
    config = demo_config(byron.url)
    merge(config["endpoints"], {"acme-shop": {**QUICK, "admin": {
        "version": "2026-10", "token": {"env": "SHOPIFY_ADMIN_TOKEN"}, "url": shop.url, "settle": "1s"}}})
    config["routes"] = ROUTES
    return make_gateway(config, {"SHOPIFY_ADMIN_TOKEN": TOKEN})


def bought(shop, count=3):
    """A paid order of so many gears, as its webhook says it."""
    shop.call("POST", "orders", {"lines": [{"sku": "GEAR", "quantity": count}], "email": "ada@example.com"})
    return now(shop)


def now(shop):
    (order,) = shop.call("GET", "orders")["orders"]
    return order


def post(gateway, topic, body):
    assert gateway.post(json.dumps(body).encode(), topic=topic) == 200


def ask(shop, document, **variables):
    """What the merchant does in the shop."""
    status, _, text = request(shop.url, "POST", "/admin/api/2026-10/graphql.json",
                              {"query": document, "variables": variables}, {"X-Shopify-Access-Token": TOKEN})
    answer = json.loads(text)
    assert status == 200 and "errors" not in answer, answer
    return answer["data"]


def paid_back(order):
    return [one["amount"] for refund in order["refunds"] for one in refund["transactions"]]


def struck(shop, action):
    return shop.books()["requests"]["faults"].get(action, 0)


def refuse(byron):
    """The next order."""
    byron.fault(action="status", status=422, at="order", body='{"error": {"message": "sold out"}}', count=1)


def lose(gateway, shop, mutation, how):
    """The answer to this mutation, by a fault of the line; or the gateway is killed while it waits for it."""
    action = "hang_after" if how == "kill -9" else how
    shop.fault(action=action, at="*", path="graphql", body_match=mutation, count=1)

    def strike():
        wait_until(lambda: struck(shop, action) == 1, "the shop has done it")
        if how == "kill -9":
            gateway.kill9()
            gateway.start()
    return strike


def settled(gateway, route):
    done = [one for one in gateway.deliveries() if one["route"] == route]
    return done and all(one["state"] == "delivered" for one in done)


HOW = pytest.mark.parametrize("how", ["cut_after", "torn", "kill -9"])


@HOW
def test_an_order_that_its_supplier_refuses_is_cancelled_and_paid_back_once(gateway, shop, byron, how):
    shop.call("POST", "settings", {"job_ms": 300})
    refuse(byron)
    order = bought(shop)
    strike = lose(gateway, shop, "mutation OrderCancel", how)
    post(gateway, "orders/create", order)
    strike()
    wait_until(lambda: settled(gateway, "refused-by-the-supplier"), "the order is cancelled")
    order = now(shop)
    assert order["cancelled_at"] and order["cancel_reason"] == "inventory"
    assert order["financial_status"] == "refunded" and paid_back(order) == ["120.00"]
    found = next(one for one in gateway.deliveries() if one["route"] == "refused-by-the-supplier")
    assert found["subject"] == f"order:{SHOP}/{order['id']}"


def test_an_order_that_somebody_has_cancelled_is_done(gateway, shop, byron):
    order = bought(shop)
    ask(shop, "mutation($id: ID!) { orderCancel(orderId: $id, reason: STAFF, restock: true, refundMethod: {"
              "originalPaymentMethodsRefund: false}) { job { id } orderCancelUserErrors { message } } }",
        id=order["admin_graphql_api_id"])
    wait_until(lambda: now(shop)["cancelled_at"])
    refuse(byron)
    post(gateway, "orders/create", order)
    wait_until(lambda: settled(gateway, "refused-by-the-supplier"), "nothing is left to do")
    assert now(shop)["cancel_reason"] == "staff" and paid_back(now(shop)) == []


def test_the_shops_job_is_followed_over_a_restart(gateway, shop, byron):
    shop.call("POST", "settings", {"job_ms": 3600000})
    refuse(byron)
    post(gateway, "orders/create", bought(shop))
    wait_until(lambda: gateway.states("acme-shop") == {"inflight": 1}, "the shop is asked")
    wait_until(lambda: asked_twice(shop), "its job is known")
    gateway.kill9()
    gateway.start()
    assert not now(shop)["cancelled_at"], "the job runs still"
    shop.call("POST", "clock", {"advance_s": 3600})
    wait_until(lambda: settled(gateway, "refused-by-the-supplier"), "the job was followed to its end")
    assert now(shop)["cancelled_at"] and paid_back(now(shop)) == ["120.00"]


def asked_twice(shop):
    """The gateway asked for the job at least once: so its checkpoint was durable."""
    return shop.books()["requests"]["by_step"].get("graphql", 0) >= 2


def test_an_order_that_is_being_shipped_is_a_persons(gateway, shop, byron):
    order = bought(shop)
    ship(shop, order)
    refuse(byron)
    post(gateway, "orders/create", order)
    wait_until(lambda: gateway.states("acme-shop") == {"held": 1}, "a person is asked")
    held = next(one for one in gateway.deliveries() if one["route"] == "refused-by-the-supplier")
    assert "Cannot cancel an order that has outstanding fulfillments" in held["reason"]
    assert not now(shop)["cancelled_at"]


@HOW
def test_pieces_of_an_order_are_paid_back_once(gateway, shop, how):
    order = bought(shop)
    strike = lose(gateway, shop, "mutation RefundCreate", how)
    post(gateway, "orders/edited", {"order_edit": {"id": 1, "order_id": order["id"]}})
    strike()
    wait_until(lambda: settled(gateway, "pieces-back"), "it is refunded")
    order = now(shop)
    assert paid_back(order) == ["40.00"] and order["financial_status"] == "partially_refunded"
    assert order["refunds"][0]["refund_line_items"][0]["quantity"] == 1
    assert order["refunds"][0]["note"] == "chipped"


def ship(shop, order):
    parts = wait_until(lambda: ask(shop, "query($id: ID!) { order(id: $id) { fulfillmentOrders(first: 5) {"
                                         " nodes { id } } } }", id=order["admin_graphql_api_id"])
                       ["order"]["fulfillmentOrders"]["nodes"], "it can be shipped")
    done = ask(shop, "mutation($f: FulfillmentInput!) { fulfillmentCreate(fulfillment: $f) { fulfillment {"
                     " fulfillmentLineItems(first: 5) { nodes { id } } } userErrors { message } } }",
               f={"lineItemsByFulfillmentOrder": [{"fulfillmentOrderId": one["id"]} for one in parts]})
    return done["fulfillmentCreate"]["fulfillment"]["fulfillmentLineItems"]["nodes"][0]["id"]


@HOW
def test_a_return_is_approved_put_away_paid_back_and_closed_once(gateway, shop, how):
    order = bought(shop)
    piece = ship(shop, order)
    ask(shop, "mutation($input: ReturnRequestInput!) { returnRequest(input: $input) { return { id }"
              " userErrors { message } } }",
        input={"orderId": order["admin_graphql_api_id"], "returnLineItems": [
            {"fulfillmentLineItemId": piece, "quantity": 2, "returnReason": "DEFECTIVE",
             "customerNote": "chipped"}]})

    strike = lose(gateway, shop, "mutation ReturnApproveRequest", how)
    post(gateway, "returns/request", now(shop)["returns"][0])
    strike()
    wait_until(lambda: settled(gateway, "take-it-back"), "it is approved")
    assert now(shop)["returns"][0]["status"] == "open"

    before = on_shelf(shop)
    strike = lose(gateway, shop, "mutation ReturnProcess", how)
    post(gateway, "returns/approve", now(shop)["returns"][0])
    strike()
    wait_until(lambda: settled(gateway, "it-came-back"), "it is processed")
    order = now(shop)
    assert order["returns"][0]["status"] == "closed" and paid_back(order) == ["80.00"]
    assert on_shelf(shop) == before + 2


def on_shelf(shop):
    return sum(one["available"] for one in shop.call("GET", "stock")["levels"])
