"""Orders cancelled by a job, and refunds: what is taken out, what goes back on the shelf, what money moves."""

import pytest

from sandbox.orders import OrderFactory
from sandbox.shopify_catalogue import MAIN_LOCATION, add_variant, level_of, quantity
from sandbox.shopify_desk import Desk
from sandbox.shopify_orders import add_order

MONEY_BACK = {"originalPaymentMethodsRefund": True}


@pytest.fixture
def desk():
    desk = Desk(job_ms=5000)
    desk.item = add_variant(desk.shop, "GEAR", price="40.00", stock={MAIN_LOCATION: 10}).inventoryItem
    add_variant(desk.shop, "PLATE", price="15.00", stock={MAIN_LOCATION: 10})
    return desk


def has(desk):
    level = level_of(desk.shop, desk.item, MAIN_LOCATION)
    return [quantity(level, one) for one in ("available", "committed", "on_hand")]


def cancelled(desk, order, restock=True, **more):
    payload = desk.do("OrderCancel", orderId=order, reason="CUSTOMER", restock=restock, **more)
    desk.shop.advance(6)
    return payload["job"]["id"]


def document(desk, order):
    return desk.shop.find(order).document


def line(desk, order, at=0):
    return desk.shop.find(order).lineIds[at]


def sale(desk, order):
    return next(one for one in desk.shop.find(order).transactionIds if desk.shop.find(one).kind == "SALE")


def money(desk, order, amount):
    return {"orderId": order, "gateway": "shopify_payments", "kind": "REFUND", "amount": amount,
            "parentId": sale(desk, order)}


def ship_all(desk, order):
    part = desk.parts(order)[0]["id"]
    return desk.do("FulfillmentCreate", fulfillment={"lineItemsByFulfillmentOrder": [{"fulfillmentOrderId": part}]})


# ---- cancel ----

def test_a_cancel_is_a_job_and_then_the_order_is_closed_but_not_shipped(desk):
    order = desk.buy(("GEAR", 2))
    text = desk.documents["OrderCancel"].replace("job {", "jobResult { status done order { id } } job {")
    asked = desk.do(text, orderId=order, reason="INVENTORY", restock=True, refundMethod=MONEY_BACK, staffNote="sorry")
    assert asked["job"]["done"] is False and asked["jobResult"]["status"] == "STARTED"
    assert desk.shown(order)["cancelledAt"] is None
    assert desk.wrong("OrderCancel", orderId=order, reason="OTHER", restock=True)[2] == "INVALID"
    desk.topics()
    desk.shop.advance(6)
    assert desk.ask("JobById", id=asked["job"]["id"])["done"] is True
    assert len({one.event_id for one in desk.heard}) == 1
    assert desk.topics() == ["inventory_levels/update", "fulfillment_orders/cancelled", "order_transactions/create",
                             "refunds/create", "orders/updated", "orders/cancelled"]
    shown = desk.shown(order)
    assert (shown["cancelReason"], shown["displayFulfillmentStatus"], shown["displayFinancialStatus"]) == (
        "INVENTORY", "UNFULFILLED", "REFUNDED")
    part, = desk.parts(order)
    assert part["status"] == "CLOSED" and part["lineItems"]["nodes"][0]["remainingQuantity"] == 0
    assert has(desk) == [10, 0, 10] and document(desk, order)["cancelled_at"]
    assert desk.ask("query($id: ID!) { node(id: $id) { ... on OrderCancelJobResult { id status order { cancellation "
                    "{ staffNote } } } } }", id=next(iter(desk.shop.kinds["OrderCancelJobResult"]))) == {
        "id": next(iter(desk.shop.kinds["OrderCancelJobResult"])), "status": "SUCCEEDED",
        "order": {"cancellation": {"staffNote": "sorry"}}}


def test_a_cancel_without_restock_leaves_the_shelf_and_without_refund_the_money(desk):
    order = desk.buy(("GEAR", 2))
    cancelled(desk, order, restock=False)
    part, = desk.parts(order)
    assert part["status"] == "CLOSED" and part["lineItems"]["nodes"][0]["remainingQuantity"] == 2
    assert has(desk) == [8, 0, 8] and desk.shown(order)["displayFinancialStatus"] == "PAID"
    assert document(desk, order)["refunds"] == []


def test_a_payment_that_is_only_authorized_is_voided(desk):
    made = OrderFactory(3).order(1).document
    made["financial_status"] = "authorized"
    order = add_order(desk.shop, made)["id"]
    cancelled(desk, order)
    kinds = [desk.shop.find(one).kind for one in desk.shop.find(order).transactionIds]
    assert kinds == ["AUTHORIZATION", "VOID"] and desk.shown(order)["displayFinancialStatus"] == "VOIDED"


def test_a_job_may_fail(desk):
    order = desk.buy(("GEAR", 2))
    desk.shop.settings["cancel_fails"] = True
    cancelled(desk, order)
    result, = desk.shop.all("OrderCancelJobResult")
    assert (result.done, result.status) == (True, "FAILED") and desk.shown(order)["cancelledAt"] is None


@pytest.mark.parametrize("prepare, message, code", [
    (lambda desk, order: cancelled(desk, order), "Cannot cancel an order that has already been canceled", "INVALID"),
    (ship_all, "Cannot cancel an order that has outstanding fulfillments", "INVALID"),
    (lambda desk, order: desk.shop.remove(desk.shop.find(order)), "Order does not exist", "NOT_FOUND"),
])
def test_what_cannot_be_cancelled(desk, prepare, message, code):
    order = desk.buy(("GEAR", 2))
    prepare(desk, order)
    assert desk.wrong("OrderCancel", orderId=order, reason="OTHER", restock=True) == (["orderId"], message, code)


def test_a_refund_method_is_one_thing(desk):
    order = desk.buy(("GEAR", 2))
    both = {"originalPaymentMethodsRefund": True, "storeCreditRefund": {}}
    assert desk.refused("OrderCancel", orderId=order, reason="OTHER", restock=True, refundMethod=both)[1] == (
        "INVALID_VARIABLE")
    assert desk.wrong("OrderCancel", orderId=order, reason="OTHER", restock=True,
                      refundMethod={"storeCreditRefund": {}})[2] == "STORE_CREDIT_REFUND_MISSING_CUSTOMER"


# ---- refunds ----

def test_a_refund_of_a_line_that_was_never_sent(desk):
    order = desk.buy(("GEAR", 2), ("PLATE", 1))
    lines = [{"lineItemId": line(desk, order), "quantity": 1, "restockType": "CANCEL", "locationId": MAIN_LOCATION}]
    hint = desk.ask("SuggestedRefund", id=order, lines=lines)["suggestedRefund"]
    transaction, = hint["suggestedTransactions"]
    assert hint["amountSet"]["shopMoney"]["amount"] == "40.00" and transaction["kind"] == "SUGGESTED_REFUND"
    assert transaction["parentTransaction"]["id"] == sale(desk, order)
    desk.topics()
    made = desk.do("RefundCreate", key="r1", input={"orderId": order, "note": "one less", "refundLineItems": lines,
                                                    "transactions": [money(desk, order, "40.00")]})
    assert made["refund"]["totalRefundedSet"]["shopMoney"] == {"amount": "40.00", "currencyCode": "EUR"}
    assert made["order"]["displayFinancialStatus"] == "PARTIALLY_REFUNDED"
    assert desk.topics() == ["inventory_levels/update", "order_transactions/create", "refunds/create", "orders/updated"]
    part, = desk.parts(order)
    assert [one["remainingQuantity"] for one in part["lineItems"]["nodes"]] == [1, 1] and has(desk) == [9, 1, 10]
    shown, body = desk.shown(order), document(desk, order)
    assert shown["currentTotalPriceSet"]["shopMoney"]["amount"] == "55.00" == body["current_total_price"]
    assert shown["lineItems"]["nodes"][0]["currentQuantity"] == 1 and body["line_items"][0]["quantity"] == 2
    refund, = body["refunds"]
    assert refund["refund_line_items"][0]["subtotal"] == 40.0 and refund["restock"] is True
    assert refund["transactions"][0]["kind"] == "refund" and refund["transactions"][0]["amount"] == "40.00"


def test_a_refund_is_made_once_by_its_key(desk):
    order = desk.buy(("GEAR", 2))
    given = {"orderId": order, "transactions": [money(desk, order, "10.00")]}
    first = desk.do("RefundCreate", key="r", input=given)["refund"]["id"]
    assert desk.do("RefundCreate", key="r", input=given)["refund"]["id"] == first
    other = desk.wrong("RefundCreate", key="r", input={**given, "note": "x"})
    assert "idempotency key" in other[1] and len(document(desk, order)["refunds"]) == 1
    bare = desk.documents["RefundCreate"].replace("@idempotent(key: $key)", "").replace(", $key: String!", "")
    assert desk.refused(bare, input=given)[1] == "BAD_REQUEST"


def test_without_transactions_no_money_moves(desk):
    order = desk.buy(("GEAR", 2))
    made = desk.do("RefundCreate", key="r", input={"orderId": order, "refundLineItems": [
        {"lineItemId": line(desk, order), "quantity": 2, "restockType": "NO_RESTOCK"}]})
    assert made["refund"]["totalRefundedSet"]["shopMoney"]["amount"] == "0.00"
    assert made["order"]["displayFinancialStatus"] == "PAID" and has(desk) == [8, 0, 8]
    assert desk.parts(order)[0]["status"] == "CLOSED"


def test_what_came_back_goes_on_the_shelf_where_it_is_said(desk):
    order = desk.buy(("GEAR", 2))
    ship_all(desk, order)
    assert has(desk) == [8, 0, 8]
    desk.do("RefundCreate", key="r", input={"orderId": order, "refundLineItems": [
        {"lineItemId": line(desk, order), "quantity": 1, "restockType": "RETURN", "locationId": MAIN_LOCATION}]})
    assert has(desk) == [9, 0, 9] and desk.shown(order)["displayFulfillmentStatus"] == "FULFILLED"


def test_all_is_refunded_with_discounts_taxes_and_shipping_to_the_cent():
    desk = Desk()
    for number in range(12):
        order = add_order(desk.shop, OrderFactory(7).order(number).document)["id"]
        body = document(desk, order)
        lines = [{"lineItemId": one, "quantity": desk.shop.find(one).line["quantity"]}
                 for one in desk.shop.find(order).lineIds]
        text = """query($id: ID!, $lines: [RefundLineItemInput!]) { order(id: $id) { suggestedRefund(refundLineItems: $lines,
            refundShipping: true) { amountSet { shopMoney { amount } } shipping { amountSet { shopMoney { amount } } }
            maximumRefundableSet { shopMoney { amount } presentmentMoney { amount } } } } }"""
        hint = desk.ask(text, id=order, lines=lines)["suggestedRefund"]
        assert hint["amountSet"]["shopMoney"]["amount"] == body["total_price"]
        assert hint["maximumRefundableSet"]["presentmentMoney"]["amount"] == (
            body["total_price_set"]["presentment_money"]["amount"])
        made = desk.do("RefundCreate", key=f"all {number}", input={
            "orderId": order, "refundLineItems": lines, "shipping": {"fullRefund": True},
            "transactions": [money(desk, order, body["total_price"])]})
        assert made["order"]["displayFinancialStatus"] == "REFUNDED"
        assert body["current_total_price"] == "0.00" == body["current_total_tax"] == body["current_subtotal_price"]


@pytest.mark.parametrize("given, message", [
    (lambda desk, order: {"transactions": [money(desk, order, "100.00")]},
     "Refund amount $100.00 is greater than net payment received $80.00"),
    (lambda desk, order: {"refundLineItems": [{"lineItemId": line(desk, order), "quantity": 3}]},
     "Quantity cannot refund more items than were purchased"),
    (lambda desk, order: {"transactions": [{**money(desk, order, "1.00"), "parentId": None}]},
     "Transactions require a parent_id associated with the order"),
    (lambda desk, order: {"orderId": "gid://shopify/Order/0"}, "Order does not exist"),
    (lambda desk,
     order: {"refundLineItems": [{"lineItemId": line(desk, order), "quantity": 1, "restockType": "RETURN"}]},
     "Location is required to restock with the type RETURN"),
])
def test_what_cannot_be_refunded(desk, given, message):
    order = desk.buy(("GEAR", 2))
    wrong = desk.wrong("RefundCreate", key="r", input={"orderId": order, **given(desk, order)})
    assert wrong[1] == message and document(desk, order)["refunds"] == []


def test_more_than_was_paid_only_if_that_is_said(desk):
    order = desk.buy(("GEAR", 1))
    desk.do("RefundCreate", key="r", input={"orderId": order, "allowOverRefunding": True,
                                            "transactions": [money(desk, order, "50.00")]})
