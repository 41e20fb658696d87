"""Fulfillments: what was sent, how it is called on its way, and what became of it. Nothing here is done once by a key.

A fulfillment's `document` is the body that webhooks have of it, and stands in its order's `fulfillments` as well.
"""

from sandbox import shopify_stock_moves as stock
from sandbox.shopify_fulfil import (ENDED, actions, changed, count_shipped, everything, lines_of, make, order_of,
                                    remaining)
from sandbox.shopify_graphql import Wrong
from sandbox.shopify_orders import local, touch
from sandbox.shopify_shop import number_of
from sandbox.shopify_view import bag_of, cents, moment_of, utc

# Companies whose parcels the platform makes an address for, letter by letter; a few of its list.
CARRIERS = {"DHL Express": "https://www.dhl.com/en/express/tracking.html?AWB={}", "UPS":
            "https://www.ups.com/track?loc=en_US&tracknum={}", "FedEx": "https://www.fedex.com/fedextrack/?trknbr={}",
            "USPS": "https://tools.usps.com/go/TrackConfirmAction?tLabels={}", "DPD UK":
            "https://track.dpd.co.uk/search?reference={}", "Royal Mail":
            "https://www.royalmail.com/track-your-item#/tracking-results/{}"}
HALTED = ("ON_HOLD", "SCHEDULED", *ENDED)
EXTRA_LINE = ("current_quantity", "attributed_staffs", "sales_line_item_group_id")  # lines in here lack these


def tracking_of(given):
    """(company, numbers, urls) of a FulfillmentTrackingInput."""
    given = given or {}
    numbers = given.get("numbers") or ([given["number"]] if given.get("number") else [])
    urls = given.get("urls") or ([given["url"]] if given.get("url") else [])
    company = given.get("company")
    if not urls and company in CARRIERS:
        urls = [CARRIERS[company].format(one) for one in numbers]
    return company, list(numbers), list(urls)


def set_tracking(document, given):
    company, numbers, urls = tracking_of(given)
    document.update({"tracking_company": company, "tracking_numbers": numbers, "tracking_urls": urls,
                     "tracking_number": numbers[0] if numbers else None, "tracking_url": urls[0] if urls else None})


def tracking_view(document):
    numbers, urls = document["tracking_numbers"], document["tracking_urls"]
    return [{"company": document["tracking_company"], "number": numbers[at] if at < len(numbers) else None,
             "url": urls[at] if at < len(urls) else None} for at in range(max(len(numbers), len(urls)))]


# ---- fulfillmentCreate ----

def chosen(shop, args):
    """[(fulfillment order, [(line, count)])], all that was asked found good; Wrong else."""
    out, field = [], ["fulfillment"]
    for at, one in enumerate(args["lineItemsByFulfillmentOrder"]):
        fo = shop.find(one["fulfillmentOrderId"], "FulfillmentOrder")
        if fo is None:
            raise Wrong(field, "Fulfillment order does not exist.")
        if fo.status in HALTED or "CREATE_FULFILLMENT" not in actions(shop, fo):
            raise Wrong(field,
                        f"Fulfillment order {number_of(fo['id'])} has an unfulfillable status= {fo.status.lower()}.")
        asked = one.get("fulfillmentOrderLineItems")
        out.append((fo, everything(shop, fo) if not asked else [
            counted(shop, fo, item, ["fulfillment", "lineItemsByFulfillmentOrder", str(at), "fulfillmentOrderLineItems",
                                     str(place), "quantity"]) for place, item in enumerate(asked)]))
    if not out:
        raise Wrong(field, "Fulfillment order does not exist.")
    orders = list(dict.fromkeys(fo.order for fo, _ in out))
    if len(orders) > 1:
        raise Wrong(field, "All fulfillment orders must belong to the same order. Multiple orders with ids "
                           f"[{', '.join(map(number_of, orders))}] were found.")
    places = list(dict.fromkeys(fo.location for fo, _ in out))
    if len(places) > 1:
        raise Wrong(field, "All fulfillment orders must be assigned to a single location. Multiple locations with ids "
                           f"[{', '.join(map(number_of, places))}] were found.")
    return out


def counted(shop, fo, item, path):
    line = shop.find(item["id"], "FulfillmentOrderLineItem")
    if item["quantity"] <= 0:
        raise Wrong(path, "Quantity must be greater than 0")
    if line is None or line.fulfillmentOrder != fo["id"]:
        raise Wrong(["fulfillment"], "Fulfillment order line item does not exist.")
    if item["quantity"] > line.remainingQuantity:
        raise Wrong(["fulfillment"], "Invalid fulfillment order line item quantity requested.")
    return line, item["quantity"]


def create(shop, given, message=None):
    parts = chosen(shop, given)
    order, location = order_of(shop, parts[0][0]), parts[0][0].location
    made = shop.add("Fulfillment", order=order["id"], status="SUCCESS", displayStatus="FULFILLED", location=location,
                    lineIds=[], eventIds=[], fulfillmentOrderIds=[fo["id"] for fo, _ in parts], takenFrom=[],
                    notified=bool(given.get("notifyCustomer")), message=message, deliveredAt=None, inTransitAt=None,
                    estimatedDeliveryAt=None)
    counts = {}
    for fo, lines in parts:
        for line, count in lines:
            line.remainingQuantity -= count
            counts[line.lineItem] = counts.get(line.lineItem, 0) + count
            made.takenFrom.append((line["id"], count))
            stock.ship(shop, shop.find(line.lineItem).line, location, count)
        fo.fulfillmentIds.append(made["id"])
        fo.status = "IN_PROGRESS" if remaining(shop, fo) else "CLOSED"
        if fo.status == "CLOSED" and fo.requestStatus in ("ACCEPTED", "CANCELLATION_REJECTED"):
            fo.requestStatus = "CLOSED"
        changed(shop, fo)
    for id, count in counts.items():
        made.lineIds.append(shop.add("FulfillmentLineItem", lineItem=id, quantity=count, fulfillment=made["id"])["id"])
    write(shop, order, made, given)
    after_change(shop, order, "fulfillments/create", made)
    return made


def write(shop, order, made, given):
    """The body that webhooks have of it."""
    document, now = order.document, local(shop, order)
    number = len(order.fulfillmentIds) + 1
    made.name, made.order = f"{document['name']}-F{number}", order["id"]
    lines = []
    for part in map(shop.find, made.lineIds):
        whole = shop.find(part.lineItem).line
        lines.append({**{key: value for key, value in whole.items() if key not in EXTRA_LINE},
                      "quantity": part.quantity})
    service = shop.find(made.location).service
    made.document = {
        "id": int(number_of(made["id"])), "admin_graphql_api_id": made["id"], "order_id": document["id"],
        "status": "success", "created_at": now, "updated_at": now, "shipment_status": None,
        "service": shop.find(service).handle if service else "manual", "location_id": int(number_of(made.location)),
        "origin_address": None, "email": document["email"], "destination": document["shipping_address"], "receipt": {},
        "name": f"{document['name']}.{number}", "line_items": lines}
    set_tracking(made.document, given.get("trackingInfo"))
    order.fulfillmentIds.append(made["id"])
    document["fulfillments"].append(made.document)


def after_change(shop, order, topic, made):
    """The order's statuses follow, and everybody is told."""
    before = order.document["fulfillment_status"]
    count_shipped(shop, order)
    made.updatedAt = shop.stamp()
    made.document["updated_at"] = local(shop, order)
    for line in made.document["line_items"]:
        whole = next(one for one in order.document["line_items"] if one["id"] == line["id"])
        line.update({name: whole[name] for name in ("fulfillment_status", "fulfillable_quantity")})
    shop.changed("Fulfillment", made["id"], topic)
    now = order.document["fulfillment_status"]
    more = {"fulfilled": "orders/fulfilled", "partial": "orders/partially_fulfilled"}.get(now)
    told = topic == "fulfillments/create" and more and (now != before or now == "partial")
    touch(shop, order, *([more] if told else []))


# ---- what happens to it later ----

def retrack(shop, made, given):
    set_tracking(made.document, given)
    after_change(shop, shop.find(made.order), "fulfillments/update", made)


def cancel(shop, made):
    """The old fulfillment orders are closed, and one that is new holds what was not sent after all, and what was left.
    """
    made.update({"status": "CANCELLED", "displayStatus": "CANCELED"})
    made.document.update({"status": "cancelled"})
    order = shop.find(made.order)
    back = {}
    for line_id, count in made.takenFrom:
        line = shop.find(line_id)
        stock.move(shop, shop.find(line.lineItem).line, made.location, committed=count)
        lines = back.setdefault(line.fulfillmentOrder, {})
        lines[line.lineItem] = lines.get(line.lineItem, 0) + count
    for id, counts in back.items():
        fo = shop.find(id)
        for line in lines_of(shop, fo) if fo.status not in ENDED else []:
            if line.remainingQuantity:
                counts[line.lineItem] = counts.get(line.lineItem, 0) + line.remainingQuantity
                line.totalQuantity -= line.remainingQuantity
                line.remainingQuantity = 0
        fo.update({"status": "CLOSED", "progress": False})
        changed(shop, fo)
        changed(shop, make(shop, order, made.location, list(counts.items())))
    after_change(shop, order, "fulfillments/update", made)


def happen(shop, made, given):
    """A carrier's event: the fulfillment shows the latest."""
    now = shop.stamp()
    event = shop.add("FulfillmentEvent", fulfillment=made["id"], order=made.order, **{
        name: given.get(name)
        for name in ("address1", "city", "country", "estimatedDeliveryAt", "latitude", "longitude",
                                           "message", "province", "status", "zip")},
        happenedAt=utc(given.get("happenedAt")) or now)
    made.eventIds.append(event["id"])
    latest = max(map(shop.find, made.eventIds), key=lambda one: moment_of(one.happenedAt))
    made.displayStatus = latest.status
    made.document["shipment_status"] = latest.status.lower()
    if event.status == "IN_TRANSIT":
        made.inTransitAt = event.happenedAt
    if event.status == "DELIVERED":
        made.deliveredAt = event.happenedAt
    if event.estimatedDeliveryAt:
        made.estimatedDeliveryAt = event.estimatedDeliveryAt
    shop.changed("FulfillmentEvent", event["id"], "fulfillment_events/create")
    after_change(shop, shop.find(made.order), "fulfillments/update", made)
    return event


def install(engine):
    shop = engine.shop

    def found(id, field, message):
        made = shop.find(id, "Fulfillment")
        if made is None:
            raise Wrong(field, message)
        return made

    @engine.mutation("fulfillmentCreate", "fulfillmentCreateV2")
    def fulfillment_create(source, args, call):
        return {"fulfillment": create(shop, args["fulfillment"], args.get("message"))}

    @engine.mutation("fulfillmentTrackingInfoUpdate")
    def tracking_update(source, args, call):
        made = found(args["fulfillmentId"], ["fulfillmentId"], "Fulfillment does not exist.")
        retrack(shop, made, args["trackingInfoInput"])
        return {"fulfillment": made}

    @engine.mutation("fulfillmentCancel")
    def fulfillment_cancel(source, args, call):
        made = found(args["id"], ["id"], "Fulfillment not found.")
        if made.status != "CANCELLED":
            cancel(shop, made)
        return {"fulfillment": made}

    @engine.mutation("fulfillmentEventCreate")
    def event_create(source, args, call):
        given = args["fulfillmentEvent"]
        made = found(given["fulfillmentId"], ["fulfillmentEvent", "fulfillmentId"], "Fulfillment does not exist.")
        return {"fulfillmentEvent": happen(shop, made, given)}

    engine.query("fulfillment")(lambda source, args, call: shop.find(args["id"], "Fulfillment"))
    views(engine, shop)


def views(engine, shop):
    of = lambda *names: engine.field("Fulfillment", *names)  # noqa: E731
    part = lambda *names: engine.field("FulfillmentLineItem", *names)  # noqa: E731

    @engine.field("Order", "fulfillments")
    def of_order(source, args, call):
        return [shop.find(one) for one in source.fulfillmentIds][:args.get("first")]

    engine.field("Order", "fulfillmentsCount")(
        lambda source, args, call: {"count": len(source.fulfillmentIds), "precision": "EXACT"})
    of("order")(lambda source, args, call: shop.find(source.order))
    of("location")(lambda source, args, call: shop.find(source.location))
    of("trackingInfo")(lambda source, args, call: tracking_view(source.document)[:args.get("first")])
    of("fulfillmentLineItems")(lambda source, args, call: [shop.find(one) for one in source.lineIds])
    of("fulfillmentOrders")(lambda source, args, call: [shop.find(one) for one in source.fulfillmentOrderIds])
    of("events")(lambda source, args, call: [shop.find(one) for one in source.eventIds])
    of("totalQuantity")(lambda source, args, call: sum(shop.find(one).quantity for one in source.lineIds))
    of("requiresShipping")(lambda source, args, call: any(one["requires_shipping"]
                                                          for one in source.document["line_items"]))

    @of("service")
    def service(source, args, call):
        id = shop.find(source.location).service
        return shop.find(id) if id else None

    def money(source, discounted):
        line = shop.find(source.lineItem)
        price = cents(line.line["price"]) * source.quantity
        if discounted:
            off = sum((cents(one["amount"]) for one in line.line["discount_allocations"]), cents(0))
            price -= off * source.quantity / max(1, line.line["quantity"])
        return bag_of(shop.find(line.order).document, price)

    part("lineItem")(lambda source, args, call: shop.find(source.lineItem))
    part("originalTotalSet")(lambda source, args, call: money(source, False))
    part("discountedTotalSet")(lambda source, args, call: money(source, True))
