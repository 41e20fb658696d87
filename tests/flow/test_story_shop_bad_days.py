"""A shop's bad days, each met by a refund, which has a key, and by a cancellation, which has none: whatever it
answers, and whether it has done it or not, each is done once - or waits with words that say what to do."""

import json
import os

import pytest

from flow.harness import demo_config, merge, wait_until
from sandbox.client import Process

pytestmark = pytest.mark.plain  # each answer is read by a unit test under the sanitizers too

TOKEN = "sandbox-admin-token"
QUICK = {"retry": {"first": "50ms", "cap": "300ms"}, "breaker": {"min_calls": 1000}, "confirm": {"after": "100ms"},
         "timeout": {"first_byte": "2s", "total": "4s"}}
ROUTES = [
    {"name": "pieces-back", "from": {"endpoint": "acme-shop", "topic": "orders/edited"},
     "map": '{order_id: .order_edit.order_id, lines: [{sku: "GEAR", quantity: 1}]}',
     "to": {"endpoint": "acme-shop", "action": "refund.create"}},
    {"name": "called-off", "from": {"endpoint": "acme-shop", "topic": "orders/risk_assessment_changed"},
     "map": "{order_id: .order_id, reason: \"FRAUD\", restock: true}",
     "to": {"endpoint": "acme-shop", "action": "order.cancel", "refund": "original"}},
    # about the customer, not the order
    {"name": "told", "from": {"endpoint": "acme-shop", "topic": "customers/update"},
     "map": "{order_id: .order_id, note: .said}", "to": {"endpoint": "acme-shop", "action": "order.note"}},
]
MUTATIONS = {"pieces-back": "mutation RefundCreate", "called-off": "mutation OrderCancel"}
PAGE = "<!DOCTYPE html><html><body><h1>Something went wrong</h1></body></html>"
ANSWERED = json.dumps({"data": {"refundCreate": None, "orderCancel": None}, "padding": "x" * 5_000_000})
BESIDE = json.dumps({"errors": [{"message": "Internal error", "extensions": {"code": "INTERNAL_SERVER_ERROR"}}],
                     "data": {"refundCreate": {"refund": None, "userErrors": []}, "orderCancel": {"job": None}}})


@pytest.fixture(scope="module")
def shop_process():
    with Process("shopify_admin", "--token", TOKEN, "--points", 20000, "--restore", 1000) as running:
        yield running


@pytest.fixture
def shop(shop_process):
    shop_process.reset()
    shop_process.call("POST", "variants", [{"sku": "GEAR", "price": "40.00"}])
    shop_process.call("POST", "settings", {"job_ms": 0})
    return shop_process


@pytest.fixture
def gateway(make_gateway, byron, shop):
    config = demo_config(byron.url)
    merge(config["endpoints"], {"acme-shop": {**QUICK, "admin": {
        "version": "2026-10", "token": {"env": "SHOPIFY_ADMIN_TOKEN"}, "url": shop.url, "settle": "1s"}}})
    config["routes"] = ROUTES
    return make_gateway(config, {"SHOPIFY_ADMIN_TOKEN": TOKEN})


def now(shop):
    (order,) = shop.call("GET", "orders")["orders"]
    return order


def wanted(gateway, shop, route):
    """The event that has the route's work done, of an order of three gears."""
    shop.call("POST", "orders", {"lines": [{"sku": "GEAR", "quantity": 3}], "email": "ada@example.com"})
    number = now(shop)["id"]
    topic, body = {"pieces-back": ("orders/edited", {"order_edit": {"id": 1, "order_id": number}}),
                   "called-off": ("orders/risk_assessment_changed", {"order_id": number})}[route]
    assert gateway.post(json.dumps(body).encode(), topic=topic) == 200


def strike(shop, route, action, count=1, **more):
    """The mutation meets it; questions do not."""
    shop.fault(action=action, at="*", path="graphql", body_match=MUTATIONS[route], count=count, **more)


def check_once(gateway, shop, route):
    wait_until(lambda: gateway.states("acme-shop") == {"delivered": 1}, "it is done")
    order = now(shop)
    paid_back = [one["amount"] for refund in order["refunds"] for one in refund["transactions"]]
    assert paid_back == (["40.00"] if route == "pieces-back" else ["120.00"])
    assert bool(order["cancelled_at"]) == (route == "called-off")
    assert not shop.books()["crashes"]


LONG = bool(os.environ.get("SLUICE_LONG"))
BOTH = pytest.mark.parametrize("route", list(MUTATIONS))


@pytest.mark.parametrize("route", list(MUTATIONS) if LONG else ["called-off"])  # without a key
@pytest.mark.parametrize("day", ["edge_limit", "internal", "bad_gateway", "unavailable", "gave_up", "graphql_internal",
                                 "graphql_timeout"])
def test_what_was_not_done_is_done_later(gateway, shop, route, day):
    strike(shop, route, day, count=2)
    wanted(gateway, shop, route)
    check_once(gateway, shop, route)


@pytest.mark.parametrize("route", list(MUTATIONS) if LONG else ["called-off"])  # without a key
@pytest.mark.parametrize("body", [PAGE, PAGE * 70_000, ANSWERED, BESIDE, '{"data":', "[]", '{"errors": {}}'],
                         ids=["a page", "a page of 5 MB", "JSON of 5 MB", "errors beside data", "half", "a list",
                              "no errors"])
def test_what_was_done_and_answered_with_something_else_is_not_done_again(gateway, shop, route, body):
    strike(shop, route, "garbage", body=body)
    wanted(gateway, shop, route)
    check_once(gateway, shop, route)


@pytest.mark.parametrize("route", list(MUTATIONS) if LONG else ["pieces-back"])
@pytest.mark.parametrize("day, said", [
    ("frozen", "its bill is to be paid"), ("locked", "its owner has to ask Shopify"),
    ("shop_inactive", "closed or frozen"), ("security", "have somebody look at what is sent"),
    ("forbidden", "names scopes")])
def test_a_shop_that_is_closed_parks_and_is_gone_on_with(gateway, shop, route, day, said):
    strike(shop, route, day)
    wanted(gateway, shop, route)
    wait_until(lambda: gateway.lane("acme-shop")["parked"], "the endpoint is parked")
    assert said in str(gateway.lane("acme-shop"))
    assert gateway.states("acme-shop").get("dead", 0) == 0
    gateway.cli("endpoints", "unpark", "acme-shop")
    check_once(gateway, shop, route)


@pytest.mark.parametrize("code", ["IDEMPOTENCY_CONCURRENT_REQUEST", "IDEMPOTENCY_PREVIOUS_ATTEMPT_FAILED"])
def test_a_key_that_is_in_use_or_spent_is_dealt_with(gateway, shop, code):
    shop.fault(action="user_error", at="refundCreate", code=code, message=code, count=1)
    wanted(gateway, shop, "pieces-back")
    check_once(gateway, shop, "pieces-back")


def test_a_key_that_something_else_was_sent_under_is_a_persons(gateway, shop):
    code = "IDEMPOTENCY_KEY_PARAMETER_MISMATCH"
    shop.fault(action="user_error", at="refundCreate", code=code, message=code)
    wanted(gateway, shop, "pieces-back")
    wait_until(lambda: gateway.states("acme-shop") == {"held": 1}, "a person is asked")
    assert "something else was sent under this delivery's key before" in gateway.delivery(state="held")["reason"]
    assert now(shop)["refunds"] == []


@BOTH
@pytest.mark.parametrize("code", ["MAX_COST_EXCEEDED", "undefinedField", "INVALID_VARIABLE", "MAX_INPUT_SIZE_EXCEEDED"])
def test_what_the_shop_will_never_take_is_a_dead_letter_with_its_reason(gateway, shop, route, code):
    field = {"pieces-back": "refundCreate", "called-off": "orderCancel"}[route]
    shop.fault(action="field_error", at=field, code=code, message=f"{code} it is")
    wanted(gateway, shop, route)
    wait_until(lambda: gateway.states("acme-shop") == {"dead": 1}, "it is refused for good")
    assert f"{code} it is" in gateway.delivery(state="dead")["reason"]
    assert now(shop)["refunds"] == [] and not now(shop)["cancelled_at"]


def test_notes_of_one_order_at_once_are_all_kept(gateway, shop):
    shop.call("POST", "orders", {"lines": [{"sku": "GEAR", "quantity": 1}], "email": "ada@example.com"})
    shop.fault(action="slow", at="*", path="graphql", ms=100)
    for n in range(5):
        body = {"id": 100 + n, "updated_at": "2026-11-22T10:00:00Z", "order_id": now(shop)["id"], "said": f"line {n}"}
        assert gateway.post(json.dumps(body).encode(), topic="customers/update") == 200
    wait_until(lambda: gateway.states("acme-shop") == {"delivered": 5}, "all are written")
    assert sorted(now(shop)["note"].split("\n")) == [f"line {n}" for n in range(5)]


@BOTH
def test_two_events_of_one_order_at_once_do_it_once(gateway, shop, route):
    """The same thing said twice is one event; said of two edits it is two refunds, one after the other."""
    shop.fault(action="slow", at="*", path="graphql", ms=150)
    wanted(gateway, shop, route)
    number = now(shop)["id"]
    body = {"pieces-back": {"order_edit": {"id": 1, "order_id": number}}, "called-off": {"order_id": number}}[route]
    topic = {"pieces-back": "orders/edited", "called-off": "orders/risk_assessment_changed"}[route]
    assert gateway.post(json.dumps(body).encode(), topic=topic) == 200
    wait_until(lambda: set(gateway.states("acme-shop")) == {"delivered"}, "all is done")
    paid_back = [one["amount"] for refund in now(shop)["refunds"] for one in refund["transactions"]]
    assert paid_back == (["40.00"] if route == "pieces-back" else ["120.00"])
