"""Fulfillment orders and fulfillments: the platform's recorded behaviour, event by event."""

import pytest

from sandbox.shopify_catalogue import MAIN_LOCATION, add_location, add_service, add_variant, level_of, quantity
from sandbox.shopify_desk import Desk

OPEN = ["CREATE_FULFILLMENT", "REPORT_PROGRESS", "MOVE", "HOLD"]


@pytest.fixture
def desk():
    desk = Desk()
    for sku in ("GEAR", "PLATE", "NORD"):
        add_variant(desk.shop, sku, stock={MAIN_LOCATION: 100})
    return desk


def actions(part):
    return [one["action"] for one in part["supportedActions"]]


def counts(part):
    return [(one["remainingQuantity"], one["totalQuantity"]) for one in part["lineItems"]["nodes"]]


def line(part, at=0):
    return part["lineItems"]["nodes"][at]["id"]


def some(part, count, at=0):
    return {"fulfillmentOrderId": part["id"], "fulfillmentOrderLineItems": [{"id": line(part, at), "quantity": count}]}


def ship(desk, *parts, **more):
    return desk.do("FulfillmentCreate", fulfillment={"lineItemsByFulfillmentOrder": [
        one if "fulfillmentOrderId" in one else {"fulfillmentOrderId": one["id"]} for one in parts],
                                                     **more})["fulfillment"]


# ---- fulfil ----

def test_an_order_has_its_fulfillment_orders_a_moment_later():
    desk = Desk(routing_ms=2000)
    order = desk.buy(("GEAR", 2))
    assert desk.parts(order) == [] and desk.topics() == [
        "orders/create", "order_transactions/create", "orders/paid", "orders/updated"]
    desk.shop.advance(2.1)
    part, = desk.parts(order)
    assert (part["status"], part["requestStatus"], actions(part)) == ("OPEN", "UNSUBMITTED", [*OPEN, "SPLIT"])
    assert desk.topics() == ["fulfillment_orders/order_routing_complete"]
    single = desk.buy(("GEAR", 1))
    desk.shop.advance(2.1)
    assert actions(desk.parts(single)[0]) == OPEN


def test_all_is_shipped(desk):
    order = desk.buy(("GEAR", 2), ("PLATE", 1))
    part, = desk.parts(order)
    desk.topics()
    made = ship(desk, part, trackingInfo={"company": "DHL Express", "numbers": ["JD01", "JD02"]}, notifyCustomer=True)
    assert made["status"] == "SUCCESS" and made["name"] == "#1001-F1" and made["trackingInfo"] == [
        {"company": "DHL Express", "number": one, "url": f"https://www.dhl.com/en/express/tracking.html?AWB={one}"}
        for one in ("JD01", "JD02")]
    assert desk.topics() == ["inventory_levels/update"] * 2 + ["fulfillments/create", "orders/updated",
                                                               "orders/fulfilled"]
    part, = desk.parts(order)
    assert (part["status"], counts(part), actions(part)) == ("CLOSED", [(0, 2), (0, 1)], [])
    assert desk.shown(order)["displayFulfillmentStatus"] == "FULFILLED"
    document = desk.shop.find(order).document
    assert document["fulfillment_status"] == "fulfilled" and document["fulfillments"][0]["name"] == "#1001.1"
    assert [(one["fulfillable_quantity"], one["fulfillment_status"]) for one in document["line_items"]] == [
        (0, "fulfilled")] * 2


def test_a_part_is_shipped_and_then_the_rest_by_the_same_id(desk):
    order = desk.buy(("GEAR", 3))
    part, = desk.parts(order)
    ship(desk, some(part, 1), trackingInfo={"company": "Post", "number": "1", "url": "https://post.example/1"})
    again, = desk.parts(order)
    assert (again["id"], again["status"], counts(again)) == (part["id"], "IN_PROGRESS", [(2, 3)])
    assert desk.shown(order)["displayFulfillmentStatus"] == "PARTIALLY_FULFILLED"
    assert desk.shop.find(order).document["line_items"][0]["fulfillable_quantity"] == 2
    ship(desk, again)
    assert desk.parts(order)[0]["status"] == "CLOSED" and desk.shown(order)["displayFulfillmentStatus"] == "FULFILLED"


def test_twice_the_same_makes_two_of_them(desk):
    part, = desk.parts(desk.buy(("GEAR", 3)))
    assert ship(desk, some(part, 1))["id"] != ship(desk, some(part, 1))["id"]


def test_what_cannot_be_shipped_is_said_in_the_platforms_words(desk):
    order, other = desk.buy(("GEAR", 2)), desk.buy(("GEAR", 1))
    (part,), (foreign,) = desk.parts(order), desk.parts(other)

    def refused(*parts):
        return desk.wrong("FulfillmentCreate", fulfillment={"lineItemsByFulfillmentOrder": list(parts)})[:2]

    nobody = {"fulfillmentOrderId": "gid://shopify/FulfillmentOrder/0"}
    assert refused(nobody) == (["fulfillment"], "Fulfillment order does not exist.")
    assert refused(some(part, 3)) == (["fulfillment"], "Invalid fulfillment order line item quantity requested.")
    assert refused(some(part, 0)) == (["fulfillment", "lineItemsByFulfillmentOrder", "0", "fulfillmentOrderLineItems",
                                       "0",
                                       "quantity"], "Quantity must be greater than 0")
    wrong_line = {"fulfillmentOrderId": part["id"], "fulfillmentOrderLineItems": [{"id": line(foreign), "quantity": 1}]}
    assert refused(wrong_line) == (["fulfillment"], "Fulfillment order line item does not exist.")
    numbers = [one.rpartition("/")[2] for one in (order, other)]
    assert refused({"fulfillmentOrderId": part["id"]}, {"fulfillmentOrderId": foreign["id"]})[1] == (
        f"All fulfillment orders must belong to the same order. Multiple orders with ids [{', '.join(numbers)}] were found.")
    ship(desk, part)
    assert refused({"fulfillmentOrderId": part["id"]})[1] == (
        f"Fulfillment order {part['id'].rpartition('/')[2]} has an unfulfillable status= closed.")
    assert desk.parts(other) == [foreign]


def test_tracking_is_changed_and_a_carrier_tells_of_its_way(desk):
    order = desk.buy(("GEAR", 1))
    made = ship(desk, *desk.parts(order))
    assert made["trackingInfo"] == []
    desk.topics()
    changed = desk.do("FulfillmentTrackingInfoUpdate", fulfillmentId=made["id"],
                      trackingInfoInput={"number": "JD9", "company": "Nobody Knows"})["fulfillment"]
    assert changed["trackingInfo"] == [{"company": "Nobody Knows", "number": "JD9", "url": None}]
    assert desk.topics() == ["fulfillments/update", "orders/updated"]
    event = desk.do("FulfillmentEventCreate", fulfillmentEvent={"fulfillmentId": made["id"], "status": "DELIVERED",
                                                                "happenedAt": "2026-11-20T10:00:00+01:00"})
    assert event["fulfillmentEvent"]["happenedAt"] == "2026-11-20T09:00:00Z"
    assert desk.topics() == ["fulfillment_events/create", "fulfillments/update", "orders/updated"]
    shown = desk.ask("query($id: ID!) { fulfillment(id: $id) { displayStatus deliveredAt events(first: 2) "
                     "{ nodes { status } } } }", id=made["id"])
    assert shown == {"displayStatus": "DELIVERED", "deliveredAt": "2026-11-20T09:00:00Z",
                     "events": {"nodes": [{"status": "DELIVERED"}]}}
    assert desk.wrong("FulfillmentTrackingInfoUpdate", fulfillmentId="gid://shopify/Fulfillment/0",
                      trackingInfoInput={})[:2] == (["fulfillmentId"], "Fulfillment does not exist.")


def test_what_is_called_back_leaves_the_old_one_closed_and_a_new_one_open(desk):
    order = desk.buy(("GEAR", 3))
    part, = desk.parts(order)
    made = ship(desk, some(part, 2))
    assert desk.do("FulfillmentCancel", id=made["id"])["fulfillment"]["status"] == "CANCELLED"
    old, new = desk.parts(order)
    assert (old["id"], old["status"], new["status"], counts(new)) == (part["id"], "CLOSED", "OPEN", [(3, 3)])
    assert desk.shown(order)["displayFulfillmentStatus"] == "UNFULFILLED"
    assert desk.wrong("FulfillmentCancel", id="gid://shopify/Fulfillment/0")[1] == "Fulfillment not found."


def test_stock_is_committed_by_an_order_and_gone_once_it_is_shipped(desk):
    item = next(one for one in desk.shop.all("InventoryItem") if one.sku == "GEAR")
    level = level_of(desk.shop, item["id"], MAIN_LOCATION)
    order = desk.buy(("GEAR", 3))
    assert [quantity(level, one) for one in ("available", "committed", "on_hand")] == [97, 3, 100]
    made = ship(desk, *desk.parts(order))
    assert [quantity(level, one) for one in ("available", "committed", "on_hand")] == [97, 0, 97]
    desk.do("FulfillmentCancel", id=made["id"])
    assert [quantity(level, one) for one in ("available", "committed", "on_hand")] == [97, 3, 100]


# ---- holds ----

def test_a_hold_of_all_keeps_everything_until_the_last_is_released(desk):
    order = desk.buy(("GEAR", 2))
    part, = desk.parts(order)
    desk.topics()
    first = desk.do("FulfillmentOrderHold", id=part["id"], fulfillmentHold={"reason": "OTHER", "handle": "a"})
    assert first["remainingFulfillmentOrder"] is None
    assert desk.topics() == ["fulfillment_holds/added", "fulfillment_orders/placed_on_hold", "orders/updated"]
    second = desk.do("FulfillmentOrderHold", app="other", id=part["id"],
                     fulfillmentHold={"reason": "HIGH_RISK_OF_FRAUD", "handle": "a"})["fulfillmentHold"]
    assert "fulfillment_orders/placed_on_hold" not in desk.topics()
    held, = desk.parts(order)
    assert (held["status"], actions(held)) == ("ON_HOLD", ["RELEASE_HOLD", "HOLD", "MOVE"])
    assert [one["heldByRequestingApp"] for one in held["fulfillmentHolds"]] == [True, False]
    assert desk.shown(order)["displayFulfillmentStatus"] == "ON_HOLD"
    assert desk.wrong("FulfillmentCreate", fulfillment={"lineItemsByFulfillmentOrder": [
        {"fulfillmentOrderId": part["id"]}]})[1].endswith("unfulfillable status= on_hold.")
    desk.topics()
    desk.do("FulfillmentOrderReleaseHold", id=part["id"], holdIds=[first["fulfillmentHold"]["id"]])
    assert desk.parts(order)[0]["status"] == "ON_HOLD" and "fulfillment_orders/hold_released" not in desk.topics()
    desk.do("FulfillmentOrderReleaseHold", id=part["id"], holdIds=[second["id"]])
    assert desk.parts(order)[0]["status"] == "OPEN" and "fulfillment_orders/hold_released" in desk.topics()


def test_a_release_without_ids_takes_other_apps_holds_too(desk):
    part, = desk.parts(desk.buy(("GEAR", 2)))
    for app in ("app", "other"):
        desk.do("FulfillmentOrderHold", app=app, id=part["id"], fulfillmentHold={"reason": "OTHER"})
    assert desk.do("FulfillmentOrderReleaseHold", id=part["id"])["fulfillmentOrder"]["status"] == "OPEN"


def test_a_hold_of_a_part_leaves_the_rest_in_a_new_one_and_the_release_joins_them(desk):
    order = desk.buy(("GEAR", 3))
    part, = desk.parts(order)
    hold = {"reason": "INVENTORY_OUT_OF_STOCK", "fulfillmentOrderLineItems": [{"id": line(part), "quantity": 1}]}
    made = desk.do("FulfillmentOrderHold", id=part["id"], fulfillmentHold=hold)
    held, rest = desk.parts(order)
    assert held["id"] == part["id"] and made["remainingFulfillmentOrder"]["id"] == rest["id"]
    assert (held["status"], counts(held), rest["status"], counts(rest)) == ("ON_HOLD", [(1, 1)], "OPEN", [(2, 2)])
    assert desk.wrong("FulfillmentOrderHold", id=part["id"], fulfillmentHold={**hold, "handle": "b"})[2] == (
        "FULFILLMENT_ORDER_NOT_SPLITTABLE")
    desk.do("FulfillmentOrderReleaseHold", id=part["id"])
    whole, empty = desk.parts(order)
    assert (whole["status"], counts(whole), empty["status"], counts(empty)) == ("OPEN", [(3, 3)], "CLOSED", [(0, 0)])


def test_a_handle_is_used_once_by_an_app_and_ten_holds_are_the_most(desk):
    part, = desk.parts(desk.buy(("GEAR", 2)))

    def hold(handle):
        return {"id": part["id"], "fulfillmentHold": {"reason": "OTHER", "handle": handle}}

    desk.do("FulfillmentOrderHold", **hold("h0"))
    assert desk.wrong("FulfillmentOrderHold", **hold("h0"))[2] == "DUPLICATE_FULFILLMENT_HOLD_HANDLE"
    for at in range(1, 10):
        desk.do("FulfillmentOrderHold", **hold(f"h{at}"))
    assert desk.wrong("FulfillmentOrderHold", **hold("h10"))[2] == "FULFILLMENT_ORDER_HOLD_LIMIT_REACHED"
    assert desk.wrong("FulfillmentOrderHold", **hold("x" * 65))[0] == ["fulfillmentHold", "handle"]


@pytest.mark.parametrize("count, code", [(0, "GREATER_THAN_ZERO"), (9, "INVALID_LINE_ITEM_QUANTITY")])
def test_a_hold_of_too_few_or_too_many(desk, count, code):
    part, = desk.parts(desk.buy(("GEAR", 2)))
    assert desk.wrong("FulfillmentOrderHold", id=part["id"], fulfillmentHold={
        "reason": "OTHER", "fulfillmentOrderLineItems": [{"id": line(part), "quantity": count}]})[2] == code


# ---- split, move, cancel, progress ----

def test_a_split_of_n_leaves_the_rest_where_it_was(desk):
    order = desk.buy(("GEAR", 5))
    part, = desk.parts(order)
    made, = desk.do("FulfillmentOrderSplit", splits=[some(part, 2)])["fulfillmentOrderSplits"]
    old, new = desk.parts(order)
    assert made == {"fulfillmentOrder": {"id": part["id"], "status": "OPEN"}, "replacementFulfillmentOrder": None,
                    "remainingFulfillmentOrder": {"id": new["id"], "status": "OPEN"}}
    assert (counts(old), counts(new)) == ([(3, 3)], [(2, 2)])
    assert actions(new) == [*OPEN, "SPLIT", "MERGE"]
    assert desk.wrong("FulfillmentOrderSplit", splits=[some(new, 3)])[1] == (
        "Invalid fulfillment order line item quantity requested.")
    assert desk.wrong("FulfillmentOrderSplit", splits=[some(new, 0)])[2] == "GREATER_THAN"
    assert desk.wrong("FulfillmentOrderSplit",
                      splits=[{"fulfillmentOrderId": new["id"], "fulfillmentOrderLineItems": []}])[
        2] == "NO_LINE_ITEMS_PROVIDED_TO_SPLIT"


def test_a_move_takes_all_or_makes_a_new_one_at_the_other_place(desk):
    place = add_location(desk.shop, "Annex")["id"]
    order = desk.buy(("GEAR", 3))
    part, = desk.parts(order)
    moved = desk.do("FulfillmentOrderMove", id=part["id"], newLocationId=place,
                    lines=[{"id": line(part), "quantity": 1}])
    old, new = desk.parts(order)
    assert moved["movedFulfillmentOrder"]["id"] == new["id"] and moved["originalFulfillmentOrder"]["id"] == part["id"]
    assert (counts(old), counts(new), new["assignedLocation"]["location"]["id"]) == ([(2, 2)], [(1, 1)], place)
    assert desk.wrong("FulfillmentCreate", fulfillment={"lineItemsByFulfillmentOrder": [
        {"fulfillmentOrderId": old["id"]}, {"fulfillmentOrderId": new["id"]}]})[1].startswith(
            "All fulfillment orders must be assigned to a single location. Multiple locations with ids [")
    whole = desk.do("FulfillmentOrderMove", id=part["id"], newLocationId=place, lines=None)
    assert whole["movedFulfillmentOrder"]["id"] == part["id"] and whole["remainingFulfillmentOrder"] is None


def test_a_cancelled_one_is_closed_and_replaced(desk):
    order = desk.buy(("GEAR", 2))
    part, = desk.parts(order)
    made = desk.do("FulfillmentOrderCancel", id=part["id"])
    old, new = desk.parts(order)
    assert made["replacementFulfillmentOrder"] == {"id": new["id"], "status": "OPEN"}
    assert (old["status"], counts(old), counts(new)) == ("CLOSED", [], [(2, 2)])
    assert desk.wrong("FulfillmentOrderCancel", id=part["id"])[1] == (
        "Fulfillment order is not in cancelable request state and can't be canceled.")


def test_reported_progress_is_undone_by_open(desk):
    order = desk.buy(("GEAR", 2))
    part, = desk.parts(order)
    desk.do("mutation($id: ID!) { fulfillmentOrderReportProgress(id: $id) { userErrors { code message field } } }",
            id=part["id"])
    now, = desk.parts(order)
    assert (now["status"], actions(now)) == ("IN_PROGRESS",
                                             ["CREATE_FULFILLMENT", "REPORT_PROGRESS", "HOLD", "MARK_AS_OPEN"])
    assert desk.shown(order)["displayFulfillmentStatus"] == "IN_PROGRESS"
    assert desk.wrong("FulfillmentOrderCancel", id=part["id"])[1] == (
        "Cannot cancel fulfillment order that has had progress reported. Mark as unfulfilled first.")
    code = "mutation($id: ID!, $to: ID!) { fulfillmentOrderMove(id: $id, newLocationId: $to) { userErrors { code message " \
           "field } } }"
    place = add_location(desk.shop, "Annex")["id"]
    assert desk.wrong(code, id=part["id"], to=place)[2] == "CANNOT_MOVE_FULFILLMENT_ORDER_WITH_REPORTED_PROGRESS"
    desk.do("mutation($id: ID!) { fulfillmentOrderOpen(id: $id) { userErrors { message field } } }", id=part["id"])
    assert desk.parts(order)[0]["status"] == "OPEN" and "fulfillment_orders/progress_reported" in desk.topics()


@pytest.mark.parametrize("name, more", [
    ("FulfillmentOrderHold", {"fulfillmentHold": {"reason": "OTHER"}}), ("FulfillmentOrderReleaseHold", {}),
    ("FulfillmentOrderMove", {"newLocationId": MAIN_LOCATION}), ("FulfillmentOrderClose", {}),
    ("FulfillmentOrderCancel", {}), ("FulfillmentOrderSubmitFulfillmentRequest", {}),
    ("FulfillmentOrderAcceptFulfillmentRequest", {}), ("FulfillmentOrderRejectCancellationRequest", {})])
def test_an_unknown_id_is_a_top_level_error_of_most(desk, name, more):
    id = "gid://shopify/FulfillmentOrder/0"
    answer = desk.answer(name, id=id, **more)
    field = name[0].lower() + name[1:]
    assert answer["data"] == {field: None} and answer["errors"][0]["path"] == [field]
    assert answer["errors"][0]["message"] == f"Invalid id: {id}"
    assert answer["errors"][0]["extensions"] == {"code": "RESOURCE_NOT_FOUND"}


# ---- services ----

@pytest.fixture
def dropship(desk):
    """An order of five things at a service, and one at our own place."""
    add_service(desk.shop, "Supplier Nord")
    order = desk.buy({"sku": "NORD", "quantity": 5, "service": "supplier-nord"}, ("GEAR", 1))
    return order, next(one for one in desk.parts(order) if one["assignedLocation"]["name"] == "Supplier Nord")


def part_of(desk, id):
    return desk.ask("query($id: ID!) { fulfillmentOrder(id: $id) { status requestStatus supportedActions { action } "
                    "merchantRequests(first: 5) { nodes { kind message requestOptions } } "
                    "lineItems(first: 5) { nodes { remainingQuantity totalQuantity } } orderName } }", id=id)


def assigned(desk, status=None):
    return [one["id"] for one in desk.ask("AssignedFulfillmentOrders", assignmentStatus=status)["nodes"]]


def test_a_request_of_a_part_is_accepted_and_shipped(desk, dropship):
    order, part = dropship
    assert actions(part) == ["REQUEST_FULFILLMENT", "CREATE_FULFILLMENT", "HOLD", "MOVE", "SPLIT"]
    made = desk.do("FulfillmentOrderSubmitFulfillmentRequest", id=part["id"], message="please", notifyCustomer=True,
                   lines=[{"id": line(part), "quantity": 2}])
    assert made["submittedFulfillmentOrder"] == {"id": part["id"], "status": "OPEN", "requestStatus": "SUBMITTED"}
    rest = made["unsubmittedFulfillmentOrder"]
    assert rest["requestStatus"] == "UNSUBMITTED" and counts(next(
        one for one in desk.parts(order) if one["id"] == rest["id"])) == [(3, 3)]
    assert assigned(desk, "FULFILLMENT_REQUESTED") == [part["id"]]
    assert desk.wrong("FulfillmentOrderMove", id=part["id"], newLocationId=MAIN_LOCATION)[1] == (
        "Cannot move submitted fulfillment order that is at a 3PL fulfillment service.")
    now = part_of(desk, part["id"])
    assert now["merchantRequests"]["nodes"] == [{"kind": "FULFILLMENT_REQUEST", "message": "please",
                                                 "requestOptions": {"notify_customer": True}}]
    desk.do("FulfillmentOrderAcceptFulfillmentRequest", id=part["id"])
    now = part_of(desk, part["id"])
    assert (now["status"], now["requestStatus"]) == ("IN_PROGRESS", "ACCEPTED")
    ship(desk, part)
    assert part_of(desk, part["id"])["status"] == "CLOSED"


def test_a_request_is_rejected(desk, dropship):
    order, part = dropship
    desk.do("FulfillmentOrderSubmitFulfillmentRequest", id=part["id"])
    desk.topics()
    desk.do("FulfillmentOrderRejectFulfillmentRequest", id=part["id"], reason="INVENTORY_OUT_OF_STOCK",
            message="none left")
    now = part_of(desk, part["id"])
    assert (now["status"], now["requestStatus"]) == ("OPEN", "REJECTED")
    assert desk.topics() == ["fulfillment_orders/fulfillment_request_rejected"]
    assert desk.shown(order)["displayFulfillmentStatus"] == "REQUEST_DECLINED"


def test_a_cancellation_shows_later_than_its_answer_and_is_accepted_or_not(desk, dropship):
    order, part = dropship
    desk.do("FulfillmentOrderSubmitFulfillmentRequest", id=part["id"])
    desk.do("FulfillmentOrderAcceptFulfillmentRequest", id=part["id"])
    asked = desk.do("FulfillmentOrderSubmitCancellationRequest", id=part["id"], message="stop")["fulfillmentOrder"]
    assert (asked["status"], asked["requestStatus"]) == ("IN_PROGRESS", "ACCEPTED")
    now = part_of(desk, part["id"])
    assert now["requestStatus"] == "CANCELLATION_REQUESTED" and assigned(desk, "CANCELLATION_REQUESTED") == [part["id"]]
    assert [one["kind"] for one in now["merchantRequests"]["nodes"]] == ["FULFILLMENT_REQUEST", "CANCELLATION_REQUEST"]
    desk.do("FulfillmentOrderRejectCancellationRequest", id=part["id"])
    assert part_of(desk, part["id"])["requestStatus"] == "CANCELLATION_REJECTED"
    desk.do("FulfillmentOrderSubmitCancellationRequest", id=part["id"])
    desk.do("FulfillmentOrderAcceptCancellationRequest", id=part["id"])
    now = part_of(desk, part["id"])
    assert (now["status"], now["requestStatus"]) == ("CLOSED", "CANCELLATION_ACCEPTED")
    assert sum(one["remainingQuantity"] for one in now["lineItems"]["nodes"]) == 0


def test_a_service_gives_up_and_a_manual_place_has_nobody_to_do_so(desk, dropship):
    order, part = dropship
    desk.do("FulfillmentOrderSubmitFulfillmentRequest", id=part["id"])
    desk.do("FulfillmentOrderAcceptFulfillmentRequest", id=part["id"])
    desk.do("FulfillmentOrderClose", id=part["id"], message="machine broke")
    now = part_of(desk, part["id"])
    assert now["status"] == "INCOMPLETE" and actions(now) == ["REQUEST_FULFILLMENT", "CREATE_FULFILLMENT", "HOLD",
                                                              "MOVE"]
    own = next(one["id"] for one in desk.parts(order) if one["assignedLocation"]["name"] == "Mill Yard")
    assert desk.wrong("FulfillmentOrderClose", id=own)[1] == (
        "The fulfillment order's assigned fulfillment service must be of api type")


def test_an_app_without_a_service_has_nothing_assigned(desk):
    answer = desk.answer("AssignedFulfillmentOrders")
    assert answer["data"] is None and answer["errors"][0]["message"] == (
        '["The api_client is not associated with any fulfillment service."]')


def test_who_holds_is_told_to_who_may_read_apps(desk):
    part, = desk.parts(desk.buy(("GEAR", 2)))
    desk.do("FulfillmentOrderHold", id=part["id"], fulfillmentHold={"reason": "OTHER"})
    text = "query($id: ID!) { fulfillmentOrder(id: $id) { status fulfillmentHolds { reason heldByApp { id } } } }"
    answer = desk.answer(text, id=part["id"])
    assert answer["data"]["fulfillmentOrder"]["fulfillmentHolds"] == [{"reason": "OTHER", "heldByApp": None}]
    assert answer["errors"][0]["extensions"]["code"] == "ACCESS_DENIED"
    assert answer["errors"][0]["path"] == ["fulfillmentOrder", "fulfillmentHolds", 0, "heldByApp"]


def test_a_fulfillment_order_knows_its_order(desk, dropship):
    order, part = dropship
    shown = desk.ask("FulfillmentOrderById", id=part["id"])
    assert (shown["orderId"], shown["orderName"]) == (order, "#1001")
    assert desk.ask("FulfillmentOrderById", id="gid://shopify/FulfillmentOrder/0") is None
