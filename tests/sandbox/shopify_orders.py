"""Orders: how they come in, what is paid, how they are found.

An order's `document` is the body that a webhook has of it, kept true through all that happens to it; GraphQL says the
same in its own words (shopify_orderview).
"""

import datetime

from sandbox.shopify_graphql import Rows
from sandbox.shopify_search import Search, instant
from sandbox.shopify_shop import gid, number_of
from sandbox.shopify_view import cents, labels, moment_of


def add_order(shop, document, tell=True):
    """Takes a body of orders/create as a new order. Its fulfillment orders come routing_ms later."""
    with shop.action():
        order = shop.add("Order", gid("Order", document["id"]), document=document, lineIds=[], transactionIds=[],
                         fulfillmentOrderIds=[], fulfillmentIds=[], refundIds=[], returnIds=[], index=[], risk=None,
                         staffNote=None, cancelling=False)
        order.createdAt = order.updatedAt = None  # the document's are true
        for line in document["line_items"]:
            order.lineIds.append(shop.add("LineItem", gid("LineItem", line["id"]), order=order["id"], line=line)["id"])
        if tell:
            shop.changed("Order", order["id"], "orders/create")
        pay(shop, order, tell)
        indexed(shop, order)
        if tell:
            if document["financial_status"] == "paid":
                shop.changed("Order", order["id"], "orders/paid")
            shop.changed("Order", order["id"], "orders/updated")
        for function in ROUTING:
            shop.later(shop.settings["routing_ms"], function, shop, order)
    return order


ROUTING = []  # what makes fulfillment orders; shopify_fulfil puts itself here


def pay(shop, order, tell=False):
    """The transaction that an order comes with."""
    document, status = order.document, order.document["financial_status"]
    kinds = {"paid": "SALE", "partially_refunded": "SALE", "refunded": "SALE", "partially_paid": "SALE",
             "authorized": "AUTHORIZATION", "voided": "AUTHORIZATION"}
    if status in kinds:
        amount = cents(document["total_price"]) - cents(document.get("total_outstanding") or 0)
        add_transaction(shop, order, kinds[status], amount, told=tell)


def add_transaction(shop, order, kind, amount, gateway=None, parent=None, status="SUCCESS", told=False):
    gateways = order.document["payment_gateway_names"] or ["manual"]
    made = shop.add("OrderTransaction", order=order["id"], kind=kind, status=status, amount=cents(amount),
                    gateway=gateway or gateways[0], parent=parent, processedAt=shop.stamp())
    order.transactionIds.append(made["id"])
    if told:
        shop.changed("OrderTransaction", made["id"], "order_transactions/create")
    return made


def transactions(shop, order, *kinds):
    found = [shop.find(one) for one in order.transactionIds]
    return [one for one in found if one.status == "SUCCESS" and (not kinds or one.kind in kinds)]


def received(shop, order):
    return sum((one.amount for one in transactions(shop, order, "SALE", "CAPTURE")), cents(0))


def refunded(shop, order):
    return sum((one.amount for one in transactions(shop, order, "REFUND")), cents(0))


def local(shop, order, moment=None):
    """Now, with the offset of the shop, as webhooks write it."""
    zone = moment_of(order.document["created_at"]).tzinfo or datetime.timezone.utc
    return (moment or shop.now()).astimezone(zone).replace(microsecond=0).isoformat()


def touch(shop, order, *topics):
    """The order has changed: its updated_at, what the search knows, and who is told."""
    document = order.document
    document["updated_at"] = max(local(shop, order), document["updated_at"], key=moment_of)
    indexed(shop, order)
    shop.changed("Order", order["id"], "orders/updated")
    for topic in topics:
        shop.changed("Order", order["id"], topic)


# ---- the search ----

def indexed(shop, order):
    """What the search will know of it, once it has caught up: when, and the updated_at of then."""
    order.index = order.index[-20:] + [(shop.clock.seconds(), order.document["updated_at"])]


def known(shop, order):
    """The updated_at that the search has by now; None if it has not met the order yet."""
    seen = shop.clock.seconds() - shop.settings["search_lag_ms"] / 1000
    return next((updated for at, updated in reversed(order.index) if at <= seen), None)


def state_of(order):
    document = order.document
    return "cancelled" if document["cancelled_at"] else "closed" if document["closed_at"] else "open"


def fulfillment_words(shop, order):
    held = [shop.find(one).status for one in order.fulfillmentOrderIds]
    status = order.document["fulfillment_status"]
    out = [{None: "unfulfilled", "partial": "partial", "fulfilled": "fulfilled"}.get(status, "unfulfilled")]
    out.append("shipped" if status == "fulfilled" else "unshipped")
    if status is None and "ON_HOLD" in held:
        out.append("on_hold")
    return out


def fields_of_search(shop):
    def text(name):
        return lambda order: order.document.get(name)

    def time(name):
        return lambda order: order.document.get(name) and instant(order.document[name])

    def statuses(order):
        state = state_of(order)
        return [state, *(["not_closed"] if state != "closed" else []), "any"]

    return {
        "updated_at": lambda order: instant(known(shop, order)), "created_at": time("created_at"),
        "processed_at": time("processed_at"), "id": lambda order: order.document["id"], "name": text("name"),
        "confirmation_number": text("confirmation_number"), "email": text("email"), "po_number": text("po_number"),
        "customer_id": lambda order: (order.document["customer"] or {}).get("id"),
        "sku": lambda order: [one["sku"] for one in order.document["line_items"]],
        "tag": lambda order: labels(order.document["tags"]), "source_name": text("source_name"),
        "source_identifier": text("source_identifier"), "test": lambda order: bool(order.document["test"]),
        "status": statuses, "financial_status": lambda order: [order.document["financial_status"], "any"],
        "fulfillment_status": lambda order: fulfillment_words(shop, order),
        "return_status": lambda order: return_status(shop, order).lower(),
        "location_id": lambda order: order.document.get("location_id"),
        "fulfillment_location_id": lambda order: [int(number_of(shop.find(one).location))
                                                  for one in order.fulfillmentOrderIds],
        "total_weight": text("total_weight"),
    }


SORTS = {"ID": lambda order: order.document["id"], "ORDER_NUMBER": lambda order: order.document["order_number"],
         "CREATED_AT": lambda order: moment_of(order.document["created_at"]).timestamp(),
         "PROCESSED_AT": lambda order: moment_of(order.document["processed_at"]).timestamp(),
         "UPDATED_AT": lambda order: moment_of(order.document["updated_at"]).timestamp(),
         "TOTAL_PRICE": lambda order: float(order.document["total_price"])}


def return_status(shop, order):
    has = {shop.find(one).status for one in order.returnIds}
    for status, word in (("REQUESTED", "RETURN_REQUESTED"), ("OPEN", "IN_PROGRESS"), ("CLOSED", "RETURNED")):
        if status in has:
            return word
    return "NO_RETURN"


def found(shop, args):
    search = Search(args.get("query"), fields_of_search(shop))
    sort = SORTS.get(args.get("sortKey"), SORTS["ID"])
    orders = [one for one in shop.all("Order") if known(shop, one) is not None and search(one)]
    return Rows(orders, lambda order: (sort(order), order.document["id"]), bool(args.get("reverse")))


def install(engine):
    shop = engine.shop

    engine.query("orders")(lambda source, args, call: found(shop, args))
    engine.query("order")(lambda source, args, call: shop.find(args["id"], "Order"))

    @engine.query("ordersCount")
    def count(source, args, call):
        many, limit = len(found(shop, {"query": args.get("query")})), args.get("limit")
        short = limit is not None and many > limit
        return {"count": limit if short else many, "precision": "AT_LEAST" if short else "EXACT"}
