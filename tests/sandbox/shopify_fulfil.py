"""Fulfillment orders: what of an order is to be sent from where, and what may be done with it now.

Made a moment after the order. How they are held, split, moved and given to services is in shopify_fulfil_moves and
shopify_services; how they are shipped in shopify_ship.
"""

from sandbox import shopify_stock_moves as stock
from sandbox.shopify_catalogue import MAIN_LOCATION, by_id, variant_of
from sandbox.shopify_graphql import Refused, Rows
from sandbox.shopify_orders import ROUTING
from sandbox.shopify_search import Search, moment_of_field
from sandbox.shopify_shop import Thing, gid, number_of
from sandbox.shopify_view import moment_of, utc

HOLDS_MAX = 10
ENDED = ("CLOSED", "CANCELLED")
ASSIGNED = {"CANCELLATION_REQUESTED": "CANCELLATION_REQUESTED", "FULFILLMENT_ACCEPTED": "ACCEPTED",
            "FULFILLMENT_REQUESTED": "SUBMITTED", "FULFILLMENT_UNSUBMITTED": "UNSUBMITTED"}


# ---- making them ----

def route(shop, order):
    """The order's lines by the place they are sent from: one fulfillment order each."""
    if order.document["cancelled_at"] or order.fulfillmentOrderIds:
        return
    by_place = {}
    services = {one.handle: one.location for one in shop.all("FulfillmentService")}
    for id in order.lineIds:
        line = shop.find(id).line
        if line["fulfillable_quantity"] > 0:
            place = services.get(line["fulfillment_service"], MAIN_LOCATION)
            by_place.setdefault(place, []).append((id, line["fulfillable_quantity"]))
    for place, lines in by_place.items():
        made = make(shop, order, place, lines)
        for id, count in lines:
            stock.commit(shop, shop.find(id).line, place, count)
        shop.changed("FulfillmentOrder", made["id"], "fulfillment_orders/order_routing_complete")


ROUTING.append(route)


def make(shop, order, location, lines, **fields):
    """lines: [(LineItem id, quantity)]."""
    made = shop.add("FulfillmentOrder", order=order["id"], status="OPEN", requestStatus="UNSUBMITTED",
                    location=location,
                    fulfillAt=shop.now().strftime("%Y-%m-%dT%H:00:00Z"), fulfillBy=None, lineIds=[], holdIds=[],
                    requestIds=[], progress=False,
                    rest=None, fulfillmentIds=[], **fields)
    for id, count in lines:
        add_line(shop, made, id, count)
    order.fulfillmentOrderIds.append(made["id"])
    return made


def add_line(shop, fo, line_item, count):
    made = shop.add("FulfillmentOrderLineItem", lineItem=line_item, fulfillmentOrder=fo["id"], totalQuantity=count,
                    remainingQuantity=count)
    fo.lineIds.append(made["id"])
    return made


def lines_of(shop, fo):
    return [shop.find(one) for one in fo.lineIds]


def remaining(shop, fo):
    return sum(one.remainingQuantity for one in lines_of(shop, fo))


def order_of(shop, fo):
    return shop.find(fo.order)


def service_of(shop, fo):
    """The fulfillment service whose location it is at; None for a place of the merchant."""
    service = shop.find(fo.location).service
    return shop.find(service) if service else None


def changed(shop, fo, topic=None, **extra):
    fo.updatedAt = shop.stamp()
    shop.changed("FulfillmentOrder", fo["id"], topic and f"fulfillment_orders/{topic}", **extra)


# ---- taking lines out ----

def take(shop, fo, asked, keep=False):
    """Moves quantities of its lines out of a fulfillment order: [(line, count)] becomes [(LineItem id, count)].

    A line that is empty then is gone, or with `keep` stands there with nothing in it."""
    out = []
    for line, count in asked:
        line.totalQuantity -= count
        line.remainingQuantity -= count
        if line.totalQuantity == 0 and not keep:
            fo.lineIds.remove(line["id"])
        out.append((line.lineItem, count))
    return out


def put(shop, fo, lines):
    """Adds quantities to a fulfillment order: to the lines that it has, or as new ones."""
    for line_item, count in lines:
        known = next((one for one in lines_of(shop, fo) if one.lineItem == line_item), None)
        if known is None:
            add_line(shop, fo, line_item, count)
        else:
            known.totalQuantity += count
            known.remainingQuantity += count


def everything(shop, fo):
    return [(one, one.remainingQuantity) for one in lines_of(shop, fo) if one.remainingQuantity]


# ---- what may be done ----

def actions(shop, fo):
    """What supportedActions says: clients branch on this, and not on the status."""
    if fo.status in ENDED:
        return []
    if fo.status == "ON_HOLD":
        return ["RELEASE_HOLD", *(["HOLD"] if len(fo.holdIds) < HOLDS_MAX else []), "MOVE"]
    if fo.status == "SCHEDULED":
        return ["CREATE_FULFILLMENT", "MARK_AS_OPEN", "MOVE"]
    if service_of(shop, fo):
        return service_actions(shop, fo)
    if fo.progress:
        return ["CREATE_FULFILLMENT", "REPORT_PROGRESS", "HOLD", "MARK_AS_OPEN"]
    return ["CREATE_FULFILLMENT", "REPORT_PROGRESS", "MOVE", "HOLD", *splits(shop, fo)]


def splits(shop, fo):
    out = ["SPLIT"] if remaining(shop, fo) > 1 else []
    siblings = [shop.find(one) for one in order_of(shop, fo).fulfillmentOrderIds if one != fo["id"]]
    if any(one.status == "OPEN" and one.location == fo.location and one.requestStatus == "UNSUBMITTED"
           for one in siblings):
        out.append("MERGE")
    return out


def service_actions(shop, fo):
    if fo.requestStatus == "SUBMITTED":
        return ["CANCEL_FULFILLMENT_ORDER"]
    if fo.requestStatus in ("ACCEPTED", "CANCELLATION_REJECTED"):
        return ["CREATE_FULFILLMENT", "REQUEST_CANCELLATION"]
    if fo.requestStatus == "CANCELLATION_REQUESTED":
        return ["CREATE_FULFILLMENT"]
    return ["REQUEST_FULFILLMENT", "CREATE_FULFILLMENT", "HOLD", "MOVE",
            *(splits(shop, fo) if fo.status == "OPEN" else [])]


def display_status(shop, order):
    """Order.displayFulfillmentStatus. After a cancel nothing was shipped all the same: it stays UNFULFILLED."""
    status = order.document["fulfillment_status"]
    if status in ("fulfilled", "partial", "restocked"):
        return {"fulfilled": "FULFILLED", "partial": "PARTIALLY_FULFILLED", "restocked": "RESTOCKED"}[status]
    parts = [shop.find(one) for one in order.fulfillmentOrderIds]
    statuses, requests = {one.status for one in parts}, {one.requestStatus for one in parts if one.status not in ENDED}
    for has, word in (("IN_PROGRESS" in statuses, "IN_PROGRESS"), ("SUBMITTED" in requests, "PENDING_FULFILLMENT"),
                      ("REJECTED" in requests, "REQUEST_DECLINED"), ("ON_HOLD" in statuses, "ON_HOLD"),
                      ("SCHEDULED" in statuses, "SCHEDULED"), ("INCOMPLETE" in statuses, "OPEN")):
        if has:
            return word
    return "UNFULFILLED"


def count_shipped(shop, order):
    """The fulfillment statuses of the document, from what its lines have left. True if that of the order changed."""
    document, before = order.document, order.document["fulfillment_status"]
    for line in document["line_items"]:
        sent = shipped(shop, order, line)
        if order.fulfillmentOrderIds:
            line["fulfillable_quantity"] = left(shop, order, line)
        line["fulfillment_status"] = (("partial" if line["fulfillable_quantity"] else "fulfilled") if sent else None)
    sent = [one["fulfillment_status"] for one in document["line_items"] if one["current_quantity"]
            or one["fulfillment_status"]]
    document["fulfillment_status"] = ("fulfilled" if sent and all(one == "fulfilled" for one in sent) else
                                      "partial" if any(sent) else None)
    return document["fulfillment_status"] != before


def left(shop, order, line):
    """How many of a line are still to be sent."""
    id, live = gid("LineItem", line["id"]), [one for one in map(shop.find, order.fulfillmentOrderIds)
                                             if one.status not in ENDED]
    return sum(part.remainingQuantity for one in live for part in lines_of(shop, one) if part.lineItem == id)


def shipped(shop, order, line):
    """How many of a line are under way."""
    total, id = 0, gid("LineItem", line["id"])
    for one in order.fulfillmentIds:
        fulfillment = shop.find(one)
        if fulfillment.status != "CANCELLED":
            total += sum(part.quantity for part in map(shop.find, fulfillment.lineIds) if part.lineItem == id)
    return total


# ---- finding them ----

def wanted(shop, global_id):
    """The one of a mutation's id; an unknown one is a top-level error there."""
    found = shop.find(global_id, "FulfillmentOrder")
    if found is None:
        raise Refused(f"Invalid id: {global_id}", "RESOURCE_NOT_FOUND")
    return found


SEARCH = {"status": lambda one: one.status, "request_status": lambda one: one.requestStatus,
          "id": lambda one: int(number_of(one["id"])), "assigned_location_id": lambda one: int(number_of(one.location)),
          "updated_at": moment_of_field("updatedAt"), "created_at": moment_of_field("createdAt")}


def sorted_by(args):
    if args.get("sortKey") == "UPDATED_AT":
        return lambda one: (moment_of(one.updatedAt).timestamp(), *by_id(one))
    return by_id


def destination(shop, fo):
    order = order_of(shop, fo)
    found = order.document["shipping_address"]
    if found is None:
        return None
    names = {"address1": "address1", "address2": "address2", "city": "city", "company": "company", "zip": "zip",
             "countryCode": "country_code", "firstName": "first_name", "lastName": "last_name", "phone": "phone",
             "province": "province"}
    return {"__typename": "FulfillmentOrderDestination", "email": order.document["email"], "location": None,
            "id": gid("FulfillmentOrderDestination", number_of(fo["id"])),
            **{ours: found.get(theirs) for ours, theirs in names.items()}}


def place_of(shop, fo):
    location = shop.find(fo.location)
    kept = ("address1", "address2", "city", "countryCode", "phone", "province", "zip")
    return {"name": location.name, "location": location, **{one: location.address[one] for one in kept}}


def install(engine):
    shop = engine.shop
    engine.query("fulfillmentOrder")(lambda source, args, call: shop.find(args["id"], "FulfillmentOrder"))

    @engine.query("fulfillmentOrders")
    def all_of_them(source, args, call):
        test = Search(args.get("query"), SEARCH)
        return Rows([one for one in shop.all("FulfillmentOrder")
                     if (args.get("includeClosed") or one.status not in ENDED) and test(one)], sorted_by(args),
                    bool(args.get("reverse")))

    @engine.query("assignedFulfillmentOrders")
    def assigned(source, args, call):
        if not shop.kinds["FulfillmentService"]:
            raise Refused('["The api_client is not associated with any fulfillment service."]')
        status, places = ASSIGNED.get(args.get("assignmentStatus")), args.get("locationIds")
        return Rows([one for one in shop.all("FulfillmentOrder")
                     if service_of(shop, one) and (status or one.status not in ENDED)
                     and (status is None or one.requestStatus == status) and (not places or one.location in places)],
                    sorted_by(args), bool(args.get("reverse")))

    @engine.query("manualHoldsFulfillmentOrders")
    def held(source, args, call):
        test = Search(args.get("query"), SEARCH)
        return Rows([one for one in shop.all("FulfillmentOrder") if one.status == "ON_HOLD" and test(one)], by_id)

    @engine.field("Order", "fulfillmentOrders")
    def of_order(source, args, call):
        test = Search(args.get("query"), SEARCH)
        return [one for one in map(shop.find, source.fulfillmentOrderIds) if test(one)]

    engine.field("Order", "displayFulfillmentStatus")(lambda source, args, call: display_status(shop, source))
    views(engine, shop)


def views(engine, shop):
    """The fields of a fulfillment order and its lines."""
    fo = lambda *names: engine.field("FulfillmentOrder", *names)  # noqa: E731
    line = lambda *names: engine.field("FulfillmentOrderLineItem", *names)  # noqa: E731

    fo("order")(lambda source, args, call: order_of(shop, source))
    fo("orderId")(lambda source, args, call: source.order)
    fo("orderName")(lambda source, args, call: order_of(shop, source).document["name"])
    fo("orderProcessedAt")(lambda source, args, call: utc(order_of(shop, source).document["processed_at"]))
    fo("lineItems")(lambda source, args, call: lines_of(shop, source))
    fo("fulfillmentHolds")(lambda source, args, call: [shop.find(one) for one in source.holdIds])
    fo("fulfillments")(lambda source, args, call: [shop.find(one) for one in source.fulfillmentIds])
    fo("assignedLocation")(lambda source, args, call: place_of(shop, source))
    fo("destination")(lambda source, args, call: destination(shop, source))
    fo("supportedActions")(lambda source, args, call: [{"action": one, "externalUrl": None}
                                                       for one in actions(shop, source)])

    @fo("deliveryMethod")
    def method(source, args, call):
        needs = any(shop.find(one.lineItem).line["requires_shipping"] for one in lines_of(shop, source))
        return Thing({"id": gid("DeliveryMethod", number_of(source["id"])),
                      "methodType": "SHIPPING" if needs else "NONE"})

    @fo("merchantRequests")
    def requests(source, args, call):
        found = [shop.find(one) for one in source.requestIds]
        return [one for one in found if args.get("kind") in (None, one.kind)]

    engine.field("FulfillmentOrderMerchantRequest", "fulfillmentOrder")(
        lambda source, args, call: shop.find(source.fulfillmentOrder))

    line("lineItem")(lambda source, args, call: shop.find(source.lineItem))
    for ours, theirs in (("sku", "sku"), ("vendor", "vendor"), ("variantTitle", "variant_title"),
                         ("productTitle", "title"), ("requiresShipping", "requires_shipping")):
        line(ours)(lambda source, args, call, theirs=theirs: shop.find(source.lineItem).line[theirs])
    line("variant")(lambda source, args, call: variant_of(shop, shop.find(source.lineItem).line))

    @line("inventoryItemId")
    def item(source, args, call):
        variant = variant_of(shop, shop.find(source.lineItem).line)
        return variant and variant.inventoryItem
