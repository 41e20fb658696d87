"""Bodies of fulfillment orders, holds, fulfillments and their events.

Ids of fulfillment orders and holds are global ids, and the order is not named: who wants it has to ask. Where the
published samples say something else than the state is (a request that was submitted is shown as unsubmitted, one that
was given up as closed), so do these.
"""

from sandbox.shopify_base import APP
from sandbox.shopify_shop import number_of

SHOP_ID = 70000000001


def short(fo, *more):
    """{"id", "status"} and what else is asked for, as this topic's body has it."""
    if fo is None:
        return None
    out = {"id": fo["id"], "status": fo.status.lower()}
    for name in more:
        out[name] = {"request_status": lambda: fo.requestStatus.lower(), "assigned_location_id": lambda: fo.location,
                     "fulfill_at": lambda: fo.fulfillAt}[name]()
    return out


def hold_body(hold):
    return {"id": hold["id"], "reason": hold.reason.lower(), "reason_notes": hold.reasonNotes,
            "held_by_requesting_app": hold.app == "app", "handle": hold.handle or None,
            "held_by_app": {"id": APP["id"]}}


def counted(lines):
    return [{"id": id, "quantity": count} for id, count in lines]


def request_body(request):
    return {"id": request["id"], "message": request.message}


def status_alone(shop, fo, change):
    return {"fulfillment_order": short(fo)}


def rescheduled(shop, fo, change):
    return {"fulfillment_order": short(fo, "fulfill_at")}


def placed_on_hold(shop, fo, change):
    hold = shop.find(change.extra["hold"])
    held = [shop.find(one) for one in fo.holdIds]
    return {"fulfillment_order": {**short(fo), "fulfillment_holds": [hold_body(one) for one in held]},
            "remaining_fulfillment_order": short(shop.find(change.extra["remaining"])),
            "held_fulfillment_order_line_items": counted(change.extra["lines"]),
            "created_fulfillment_hold": hold_body(hold)}


def hold_alone(shop, fo, change):
    return {"fulfillment_order": {"id": fo["id"]}, "fulfillment_hold": hold_body(shop.find(change.extra["hold"]))}


def moved(shop, fo, change):
    said, where = change.extra, "assigned_location_id"
    return {"original_fulfillment_order": short(fo, where),
            "moved_fulfillment_order": short(shop.find(said["moved"]), where),
            "destination_location_id": said["destination"], "source_location": {"id": said["source"]},
            "fulfillment_order_line_items_requested": counted(said["lines"])}


def split(shop, fo, change):
    return {"fulfillment_order": short(fo), "remaining_fulfillment_order": short(shop.find(change.extra["remaining"])),
            "replacement_fulfillment_order": None, "split_line_items": counted(change.extra["lines"])}


def cancelled(shop, fo, change):
    """Its state is CLOSED by now; its webhook calls it cancelled."""
    return {"fulfillment_order": {"id": fo["id"], "status": "cancelled"},
            "replacement_fulfillment_order": short(shop.find(change.extra["replacement"]))}


def submitted(shop, fo, change):
    said = {**short(fo), "request_status": "unsubmitted"}
    return {"original_fulfillment_order": {**said, "id": change.extra["original"]}, "submitted_fulfillment_order": said,
            "fulfillment_order_merchant_request": request_body(shop.find(change.extra["request"]))}


def answered(shop, fo, change):
    return {"fulfillment_order": short(fo, "request_status"), "message": change.extra["message"]}


def called_back(shop, fo, change):
    return {"fulfillment_order": {**short(fo), "request_status": "cancellation_request"},
            "fulfillment_order_merchant_request": request_body(shop.find(change.extra["request"]))}


def closed(shop, fo, change):
    return {"fulfillment_order": {"id": fo["id"], "status": "closed"}, "message": change.extra["message"]}


def progress(shop, fo, change):
    return {"fulfillment_order": short(fo), "progress_report": {
        "reason_notes": change.extra["notes"], "progress_reported_by_app": {"id": APP["id"]},
        "progress_reported_by_user": None}, "initial_status": change.extra["before"].lower()}


def stopped(shop, fo, change):
    return {"fulfillment_order": short(fo), "progress_stopped_by_app": {"id": APP["id"]},
            "progress_stopped_by_user": None}


def document(shop, thing, change):
    return thing.document


def event(shop, thing, change):
    of = shop.find(thing.order).document
    return {
        "id": int(number_of(thing["id"])), "fulfillment_id": int(number_of(thing.fulfillment)),
        "status": thing.status.lower(), "message": thing.message, "happened_at": thing.happenedAt, "city": thing.city,
        "province": thing.province, "country": thing.country, "zip": thing.zip, "address1": thing.address1,
        "latitude": thing.latitude, "longitude": thing.longitude, "shop_id": SHOP_ID, "created_at": thing.createdAt,
        "updated_at": thing.updatedAt, "estimated_delivery_at": thing.estimatedDeliveryAt, "order_id": of["id"],
        "admin_graphql_api_id": thing["id"]}


BODIES = {
    **{f"fulfillment_orders/{action}": render for action, render in {
        "order_routing_complete": status_alone, "placed_on_hold": placed_on_hold, "hold_released": status_alone,
        "moved": moved, "split": split, "cancelled": cancelled, "rescheduled": rescheduled,
        "scheduled_fulfillment_order_ready": status_alone, "fulfillment_request_submitted": submitted,
        "fulfillment_request_accepted": answered, "fulfillment_request_rejected": answered,
        "cancellation_request_submitted": called_back, "cancellation_request_accepted": closed,
        "cancellation_request_rejected": answered, "fulfillment_service_failed_to_complete": closed,
        "progress_reported": progress, "manually_reported_progress_stopped": stopped}.items()},
    "fulfillment_holds": hold_alone, "fulfillments": document, "fulfillment_events": event,
}
