"""Returns, from the customer's wish to the shelf and the money."""

import pytest

from sandbox.shopify_catalogue import MAIN_LOCATION, add_variant, level_of, quantity
from sandbox.shopify_desk import Desk


@pytest.fixture
def desk():
    """An order of three gears at 40.00, all sent."""
    desk = Desk()
    desk.item = add_variant(desk.shop, "GEAR", price="40.00", stock={MAIN_LOCATION: 10}).inventoryItem
    desk.order = desk.buy(("GEAR", 3))
    desk.do("FulfillmentCreate", fulfillment={"lineItemsByFulfillmentOrder": [
        {"fulfillmentOrderId": desk.parts(desk.order)[0]["id"]}]})
    found, = desk.ask("ReturnableFulfillments", orderId=desk.order)["nodes"]
    part, = found["returnableFulfillmentLineItems"]["nodes"]
    assert part["quantity"] == 3 and part["fulfillmentLineItem"]["lineItem"]["sku"] == "GEAR"
    desk.part = part["fulfillmentLineItem"]["id"]
    desk.topics()
    return desk


def lines(desk, count, **more):
    return [{"fulfillmentLineItemId": desk.part, "quantity": count, **more}]


def requested(desk, count=1):
    return desk.do("ReturnRequest", input={"orderId": desk.order, "returnLineItems": lines(
        desk, count, returnReason="DEFECTIVE", customerNote="chipped")})["return"]


def opened(desk, count=2):
    made = desk.do("ReturnCreate", returnInput={"orderId": desk.order, "returnLineItems": lines(
        desk, count, returnReason="DEFECTIVE", returnReasonNote="chipped tooth")})["return"]
    return desk.ask("ReturnById", id=made["id"])


def status(desk):
    return desk.shown(desk.order)["returnStatus"]


def on_shelf(desk):
    return quantity(level_of(desk.shop, desk.item, MAIN_LOCATION), "available")


def test_a_request_is_approved(desk):
    assert status(desk) == "NO_RETURN"
    made = requested(desk)
    assert (made["name"], made["status"], status(desk)) == ("#1001-R1", "REQUESTED", "RETURN_REQUESTED")
    assert desk.topics() == ["returns/request", "orders/updated"]
    assert desk.do("ReturnApproveRequest", input={"id": made["id"]})["return"]["status"] == "OPEN"
    assert desk.topics() == ["returns/approve", "orders/updated"] and status(desk) == "IN_PROGRESS"
    assert desk.wrong("ReturnApproveRequest", input={"id": made["id"]}) == (
        ["input", "id"], "Return is not approvable. Only returns with status REQUESTED can be approved.",
        "INVALID_STATE")


def test_a_request_is_declined(desk):
    made = requested(desk)
    gone = desk.do("ReturnDeclineRequest", input={"id": made["id"], "declineReason": "RETURN_PERIOD_ENDED",
                                                  "declineNote": "too late"})["return"]
    assert gone == {"id": made["id"], "status": "DECLINED",
                    "decline": {"reason": "RETURN_PERIOD_ENDED", "note": "too late"}}
    assert desk.wrong("ReturnDeclineRequest", input={"id": made["id"], "declineReason": "OTHER"})[1] == (
        "The return is already declined.")
    assert status(desk) == "NO_RETURN" and desk.shop.find(made["id"]).document["decline"]["reason"] == "return_period_ended"


def test_only_what_was_sent_can_come_back_and_only_once(desk):
    opened(desk, 2)
    wrong = desk.wrong("ReturnCreate", returnInput={"orderId": desk.order, "returnLineItems": lines(
        desk, 2, returnReason="UNWANTED")})
    assert wrong == (["returnInput", "returnLineItems", "0", "quantity"], "Return line item has an invalid quantity.",
                     "INVALID")
    line = desk.shop.find(desk.order).lineIds[0]
    assert desk.wrong("ReturnCreate", returnInput={"orderId": desk.order, "returnLineItems": [
        {"fulfillmentLineItemId": line, "quantity": 1}]})[2] == "NOT_FOUND"
    found, = desk.ask("ReturnableFulfillments", orderId=desk.order)["nodes"]
    assert found["returnableFulfillmentLineItems"]["nodes"][0]["quantity"] == 1


def test_what_came_back_is_processed_paid_and_the_return_stays_open_until_it_is_closed(desk):
    made = opened(desk, 2)
    line, = made["returnLineItems"]["nodes"]
    reverse, = made["reverseFulfillmentOrders"]["nodes"]
    sale, = desk.shop.find(desk.order).transactionIds
    assert (line["quantity"], line["processableQuantity"], on_shelf(desk)) == (2, 2, 7)
    desk.topics()
    done = desk.do("ReturnProcess", input={
        "returnId": made["id"], "returnLineItems": [{"id": line["id"], "quantity": 2, "dispositions": [
            {"reverseFulfillmentOrderLineItemId": reverse["lineItems"]["nodes"][0]["id"], "quantity": 1,
             "dispositionType": "RESTOCKED", "locationId": MAIN_LOCATION},
            {"reverseFulfillmentOrderLineItemId": reverse["lineItems"]["nodes"][0]["id"], "quantity": 1,
             "dispositionType": "NOT_RESTOCKED"}]}],
        "financialTransfer": {"issueRefund": {"orderTransactions": [
            {"parentId": sale, "transactionAmount": {"amount": "80.00", "currencyCode": "EUR"}}]}}})["return"]
    assert done["status"] == "OPEN" and on_shelf(desk) == 8
    assert desk.topics() == ["inventory_levels/update", "order_transactions/create", "refunds/create",
                             "returns/process",
                             "orders/updated"]
    shown = desk.shown(desk.order)
    assert (shown["displayFinancialStatus"], shown["currentTotalPriceSet"]["shopMoney"]["amount"]) == (
        "PARTIALLY_REFUNDED", "40.00")
    refund, = desk.shop.find(desk.order).document["refunds"]
    assert refund["return"]["admin_graphql_api_id"] == made["id"]
    assert [one["restock_type"] for one in refund["refund_line_items"]] == ["return", "no_restock"]
    assert desk.wrong("ReturnProcess", input={"returnId": made["id"], "returnLineItems": [
        {"id": line["id"], "quantity": 1}]})[2] == "INVALID"
    assert desk.wrong("ReturnCancel", id=made["id"])[1] == "Return is not cancelable."
    closed = desk.do("ReturnClose", id=made["id"])["return"]
    assert closed["status"] == "CLOSED" and closed["closedAt"] and status(desk) == "RETURNED"
    assert desk.wrong("ReturnClose", id=made["id"])[2] == "INVALID_STATE"
    assert desk.do("ReturnReopen", id=made["id"])["return"]["status"] == "OPEN"


def test_processed_without_a_refund_only_the_shelf_changes(desk):
    made = opened(desk, 1)
    line, = made["returnLineItems"]["nodes"]
    reverse = made["reverseFulfillmentOrders"]["nodes"][0]["lineItems"]["nodes"][0]["id"]
    desk.do("ReturnProcess", input={"returnId": made["id"], "returnLineItems": [{
        "id": line["id"], "quantity": 1, "dispositions": [{"reverseFulfillmentOrderLineItemId": reverse, "quantity": 1,
                                                           "dispositionType": "RESTOCKED",
                                                           "locationId": MAIN_LOCATION}]}]})
    assert on_shelf(desk) == 8 and desk.shop.find(desk.order).document["refunds"] == []


def test_a_return_is_cancelled_and_its_things_may_be_returned_again(desk):
    made = opened(desk, 3)
    assert desk.ask("ReturnableFulfillments", orderId=desk.order)["nodes"] == []
    assert desk.do("ReturnCancel", id=made["id"])["return"]["status"] == "CANCELED"
    assert desk.shop.find(made["id"]).document["status"] == "canceled"
    opened(desk, 3)


def test_an_order_with_returns_is_not_cancelled(desk):
    desk.do("FulfillmentCancel", id=desk.shop.find(desk.order).fulfillmentIds[0])
    assert desk.ask("ReturnableFulfillments", orderId=desk.order)["nodes"] == []
    other = desk.buy(("GEAR", 1))
    desk.order = other
    desk.do("FulfillmentCreate", fulfillment={"lineItemsByFulfillmentOrder": [
        {"fulfillmentOrderId": desk.parts(other)[0]["id"]}]})
    desk.part = desk.ask("ReturnableFulfillments",
                         orderId=other)["nodes"][0]["returnableFulfillmentLineItems"]["nodes"][0][
        "fulfillmentLineItem"]["id"]
    opened(desk, 1)
    desk.shop.find(desk.shop.find(other).fulfillmentIds[0]).status = "CANCELLED"
    assert desk.wrong("OrderCancel", orderId=other, reason="OTHER", restock=True)[1] == (
        "Cannot cancel an order that has returns")


@pytest.mark.parametrize("name", ["ReturnClose", "ReturnReopen", "ReturnCancel"])
def test_an_unknown_return(desk, name):
    assert desk.wrong(name, id="gid://shopify/Return/0") == (["id"], "Return not found.", "NOT_FOUND")
