"""What a merchant does with a fulfillment order: hold, release, split, move, cancel, open, report progress."""

from sandbox import shopify_stock_moves as stock
from sandbox.shopify_base import APP
from sandbox.shopify_fulfil import (ENDED, HOLDS_MAX, actions, changed, everything, lines_of, make, order_of, put,
                                    remaining,
                                    service_of, take, wanted)
from sandbox.shopify_graphql import Refused, Wrong
from sandbox.shopify_orders import touch

HANDLE_MAX = 64


TOO_MANY = "Invalid fulfillment order line item quantity requested."


def asked_lines(shop, fo, given, path, codes):
    """[(line, count)] of what was asked; codes: what a count of none, too many, and twice the same are called, and
    what the items are to be selected for."""
    out, seen = [], set()
    for at, one in enumerate(given):
        where = [*path, str(at)]
        line = shop.find(one["id"], "FulfillmentOrderLineItem")
        if line is None or line.fulfillmentOrder != fo["id"]:
            raise Wrong(None, "Fulfillment order line item does not exist.")
        if line["id"] in seen:
            raise Wrong(path, "must contain unique line item ids", codes["twice"])
        if one["quantity"] <= 0:
            raise Wrong([*where, "quantity"], f"You must select at least one item to {codes['verb']}.", codes["none"])
        if one["quantity"] > line.remainingQuantity:
            raise Wrong(None if codes["many"] is None else [*where, "quantity"], TOO_MANY, codes["many"])
        seen.add(line["id"])
        out.append((line, one["quantity"]))
    return out


def is_all(shop, fo, asked):
    return not asked or sum(count for _, count in asked) == remaining(shop, fo)


# ---- holds ----

HOLD_CODES = {"verb": "place on partial hold", "none": "GREATER_THAN_ZERO", "many": "INVALID_LINE_ITEM_QUANTITY",
              "twice": "DUPLICATED_FULFILLMENT_ORDER_LINE_ITEMS"}


def hold(shop, fo, given, app):
    """Returns (hold, what was left out of it or None)."""
    field = ["fulfillmentHold"]
    mine = [one for one in map(shop.find, fo.holdIds) if one.app == app]
    handle = given.get("handle") or ""
    if fo.status != "ON_HOLD" and "HOLD" not in actions(shop, fo):
        raise Wrong(["id"], "The fulfillment order is not in a state that can be put on hold.")
    if len(handle) > HANDLE_MAX:
        raise Wrong([*field, "handle"], f"Handle is too long (maximum is {HANDLE_MAX} characters)")
    if any(one.handle == handle for one in mine):
        raise Wrong([*field, "handle"],
                    "The handle provided for the fulfillment hold is already in use by this app for "
                                        "another hold on this fulfillment order.", "DUPLICATE_FULFILLMENT_HOLD_HANDLE")
    if len(mine) >= HOLDS_MAX:
        raise Wrong(["id"], "The maximum number of fulfillment holds for this fulfillment order has been reached for "
                            f"this app. An app can only have up to {HOLDS_MAX} holds on a single fulfillment order at "
                            "any one time.", "FULFILLMENT_ORDER_HOLD_LIMIT_REACHED")
    items = given.get("fulfillmentOrderLineItems") or []
    if items and fo.status == "ON_HOLD":
        raise Wrong([*field, "fulfillmentOrderLineItems"], "The fulfillment order is not in a splittable state.",
                    "FULFILLMENT_ORDER_NOT_SPLITTABLE")
    asked = asked_lines(shop, fo, items, [*field, "fulfillmentOrderLineItems"], HOLD_CODES)
    rest = None
    if not is_all(shop, fo, asked):
        counts = {line["id"]: count for line, count in asked}
        others = [(line, line.remainingQuantity - counts.get(line["id"], 0)) for line in lines_of(shop, fo)]
        rest = make(shop, order_of(shop, fo), fo.location, take(shop, fo, [one for one in others if one[1]]))
        fo.rest = rest["id"]
        changed(shop, rest)
    first = not fo.holdIds
    made = shop.add("FulfillmentHold", handle=handle, reason=given["reason"], reasonNotes=given.get("reasonNotes"),
                    app=app,
                    displayReason=given["reason"].replace("_", " ").capitalize(), fulfillmentOrder=fo["id"])
    fo.holdIds.append(made["id"])
    fo.status = "ON_HOLD"
    shop.changed("FulfillmentOrder", fo["id"], "fulfillment_holds/added", hold=made["id"])
    changed(shop, fo, *(["placed_on_hold"] if first else []), **({
        "hold": made["id"], "remaining": rest and rest["id"],
        "lines": [(one["id"], one.remainingQuantity) for one in lines_of(shop, fo)]} if first else {}))
    touch(shop, order_of(shop, fo))
    return made, rest


def release(shop, fo, ids, app):
    """Without ids every hold goes, other apps' too."""
    gone = [one for one in fo.holdIds if ids is None or one in ids]
    if ids is not None and any(one not in fo.holdIds for one in ids):
        raise Wrong(["holdIds"], "The fulfillment hold does not exist on this fulfillment order.", "INVALID_ACCESS")
    if not gone:
        raise Wrong(["id"], "The fulfillment order is not on hold.")
    for one in gone:
        fo.holdIds.remove(one)
        shop.changed("FulfillmentOrder", fo["id"], "fulfillment_holds/released", hold=one)
    if not fo.holdIds:
        fo.status = "OPEN"
        give_back(shop, fo)
        changed(shop, fo, "hold_released")
    else:
        changed(shop, fo)
    touch(shop, order_of(shop, fo))


def give_back(shop, fo):
    """What a hold had left out comes back, as far as it is still there."""
    rest = shop.find(fo.rest) if fo.rest else None
    fo.rest = None
    if rest is not None and rest.status == "OPEN" and rest.location == fo.location:
        put(shop, fo, take(shop, rest, everything(shop, rest), keep=True))
        rest.status = "CLOSED"
        changed(shop, rest)


# ---- splits and moves ----

SPLIT_CODES = {"verb": "split into a new fulfillment order", "none": "GREATER_THAN", "many": None, "twice": None}
MOVE_CODES = {"verb": "move to a new location", "none": None, "many": None, "twice": None}


def split(shop, given, path):
    fo = shop.find(given["fulfillmentOrderId"], "FulfillmentOrder")
    if fo is None:
        raise Wrong(None, "Fulfillment order does not exist.", "FULFILLMENT_ORDER_NOT_FOUND")
    where = [*path, "fulfillmentOrderLineItems"]
    if not given["fulfillmentOrderLineItems"]:
        raise Wrong(where, "There must be at least one item selected in this fulfillment to split it.",
                    "NO_LINE_ITEMS_PROVIDED_TO_SPLIT")
    asked = asked_lines(shop, fo, given["fulfillmentOrderLineItems"], where, SPLIT_CODES)
    if "SPLIT" not in actions(shop, fo) or is_all(shop, fo, asked):
        raise Wrong(None, TOO_MANY)
    return fo, asked


def do_split(shop, fo, asked):
    other = make(shop, order_of(shop, fo), fo.location, take(shop, fo, asked))
    changed(shop, other)
    changed(shop, fo, "split", remaining=other["id"],
            lines=[(one["id"], one.remainingQuantity) for one in lines_of(shop, other)])
    return {"fulfillmentOrder": fo, "remainingFulfillmentOrder": other, "replacementFulfillmentOrder": None}


def move(shop, fo, args):
    place = shop.find(args["newLocationId"], "Location")
    if place is None or not place.isActive:
        raise Wrong(["id"], "Location not found.")
    if fo.progress:
        raise Wrong(["id"],
                    "Cannot move a fulfillment order that has had progress reported. To move a fulfillment order "
                            "that has had progress reported, the fulfillment order must first be marked as open "
                            "resolving the ongoing progress state.",
                    "CANNOT_MOVE_FULFILLMENT_ORDER_WITH_REPORTED_PROGRESS")
    if service_of(shop, fo) and fo.requestStatus in ("SUBMITTED", "ACCEPTED", "CANCELLATION_REQUESTED"):
        raise Wrong(None, "Cannot move submitted fulfillment order that is at a 3PL fulfillment service.")
    if fo.status in ENDED:
        raise Wrong(None, "Cannot change location.")
    if fo.location == place["id"]:
        raise Wrong(None, "Cannot change location.")
    asked = asked_lines(shop, fo, args.get("fulfillmentOrderLineItems") or [], ["fulfillmentOrderLineItems"],
                        MOVE_CODES)
    source, whole = fo.location, is_all(shop, fo, asked)
    moved, asked = fo, asked or everything(shop, fo)
    for line, count in asked:
        stock.release(shop, shop.find(line.lineItem).line, source, count)
        stock.commit(shop, shop.find(line.lineItem).line, place["id"], count)
    if whole:
        fo.location, fo.requestStatus = place["id"], "UNSUBMITTED"
    else:
        moved = make(shop, order_of(shop, fo), place["id"], take(shop, fo, asked))
        changed(shop, moved)
    changed(shop, fo, "moved", moved=moved["id"], source=source, destination=place["id"],
            lines=[(one["id"], one.remainingQuantity) for one in lines_of(shop, moved)])
    return {"movedFulfillmentOrder": moved, "originalFulfillmentOrder": fo,
            "remainingFulfillmentOrder": None if whole else fo}


# ---- cancel, open, progress ----

def replace(shop, fo, keep=False, **fields):
    """Closes it, empty, and puts what it held into a new one that is open."""
    lines = take(shop, fo, everything(shop, fo), keep)
    fo.update({"status": "CLOSED", **fields})
    made = make(shop, order_of(shop, fo), fo.location, lines)
    changed(shop, made)
    return made


def cancel(shop, fo):
    if fo.progress:
        raise Wrong(["id"],
                    "Cannot cancel fulfillment order that has had progress reported. Mark as unfulfilled first.",
                    "FULFILLMENT_ORDER_HAS_MANUALLY_REPORTED_PROGRESS")
    if fo.status != "OPEN" or fo.requestStatus not in ("UNSUBMITTED", "SUBMITTED", "REJECTED"):
        raise Wrong(None, "Fulfillment order is not in cancelable request state and can't be canceled.")
    made = replace(shop, fo)
    changed(shop, fo, "cancelled", replacement=made["id"])
    return made


def progress(shop, fo, notes):
    if service_of(shop, fo):
        raise Wrong(["id"], "Cannot report progress on a fulfillment order that is assigned to a fulfillment service.",
                    "FULFILLMENT_ORDER_INVALID_FULFILLMENT_SERVICE_OWNERSHIP")
    if "REPORT_PROGRESS" not in actions(shop, fo):
        raise Wrong(None, "Cannot report progress on a fulfillment order in this state.",
                    "FULFILLMENT_ORDER_STATUS_INVALID")
    before, fo.status, fo.progress = fo.status, "IN_PROGRESS", True
    changed(shop, fo, "progress_reported", notes=notes, before=before)
    touch(shop, order_of(shop, fo))


def reopen(shop, fo):
    if "MARK_AS_OPEN" not in actions(shop, fo):
        raise Wrong(None, f"Expected fulfillment order status to be valid but it was {fo.status.lower()}.")
    stopped, fo.status, fo.progress = fo.progress, "OPEN", False
    changed(shop, fo, *(["manually_reported_progress_stopped"] if stopped else ["scheduled_fulfillment_order_ready"]))
    touch(shop, order_of(shop, fo))


def install(engine):
    shop = engine.shop

    @engine.field("FulfillmentHold", "heldByApp")
    def holder(source, args, call):
        if "read_apps" not in engine.scopes:
            needed = "`read_apps` access scope"
            raise Refused(f"Access denied for heldByApp field. Required access: {needed}.", "ACCESS_DENIED",
                          documentation="https://shopify.dev/api/usage/access-scopes", requiredAccess=f"{needed}.")
        return APP

    engine.field("FulfillmentHold", "heldByRequestingApp")(lambda source, args, call: source.app == call.app)

    @engine.mutation("fulfillmentOrderHold")
    def put_on_hold(source, args, call):
        fo = wanted(shop, args["id"])
        made, rest = hold(shop, fo, args["fulfillmentHold"], call.app)
        return {"fulfillmentHold": made, "fulfillmentOrder": fo, "remainingFulfillmentOrder": rest}

    @engine.mutation("fulfillmentOrderReleaseHold")
    def release_hold(source, args, call):
        fo = wanted(shop, args["id"])
        release(shop, fo, args.get("holdIds"), call.app)
        return {"fulfillmentOrder": fo}

    @engine.mutation("fulfillmentOrderSplit")
    def split_them(source, args, call):
        found = [split(shop, one, ["fulfillmentOrderSplits", str(at)])
                 for at, one in enumerate(args["fulfillmentOrderSplits"])]
        return {"fulfillmentOrderSplits": [do_split(shop, fo, asked) for fo, asked in found]}

    engine.mutation("fulfillmentOrderMove")(lambda source, args, call: move(shop, wanted(shop, args["id"]), args))

    @engine.mutation("fulfillmentOrderCancel")
    def cancel_it(source, args, call):
        fo = wanted(shop, args["id"])
        return {"replacementFulfillmentOrder": cancel(shop, fo), "fulfillmentOrder": fo}

    @engine.mutation("fulfillmentOrderReportProgress")
    def report_progress(source, args, call):
        fo = wanted(shop, args["id"])
        progress(shop, fo, (args.get("progressReport") or {}).get("reasonNotes"))
        return {"fulfillmentOrder": fo}

    @engine.mutation("fulfillmentOrderOpen")
    def open_it(source, args, call):
        fo = wanted(shop, args["id"])
        reopen(shop, fo)
        return {"fulfillmentOrder": fo}
