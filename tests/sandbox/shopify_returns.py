"""Returns: asked for by a customer or made by the merchant, approved or declined, processed, closed.

Only what was sent can come back, so it is named by the fulfillment's line and not by the order's. A return's `document`
is what webhooks say of it, and stands in its order's `returns`.
"""

from sandbox import shopify_stock_moves as stock
from sandbox.shopify_graphql import Wrong
from sandbox.shopify_orders import touch
from sandbox.shopify_refunds import NONE, STORE_CREDIT, net, refund, shipping_left
from sandbox.shopify_shop import gid, number_of
from sandbox.shopify_view import cents

NOTE_MAX = 255
GONE = ("CANCELED", "DECLINED")


def returned(shop, part):
    """How many of a fulfillment's line are on their way back, or were."""
    return sum(one.quantity for one in shop.all("ReturnLineItem")
               if one.fulfillmentLineItem == part["id"] and shop.find(one.of).status not in GONE)


def returnable(shop, part):
    return part.quantity - returned(shop, part)


# ---- making one ----

def asked_lines(shop, order, given, path):
    if not given:
        raise Wrong(path, "Return line items can't be blank", "BLANK")
    out, taken = [], {}
    for at, one in enumerate(given):
        where = [*path, str(at)]
        part = shop.find(one["fulfillmentLineItemId"], "FulfillmentLineItem")
        fulfillment = part and shop.find(part.fulfillment)
        if part is None or fulfillment.order != order["id"] or fulfillment.status == "CANCELLED":
            raise Wrong([*where, "fulfillmentLineItemId"], "Fulfillment Line Item was not found.", "NOT_FOUND")
        taken[part["id"]] = taken.get(part["id"], 0) + one["quantity"]
        if one["quantity"] <= 0 or taken[part["id"]] > returnable(shop, part):
            raise Wrong([*where, "quantity"], "Return line item has an invalid quantity.", "INVALID")
        reasoned(one, path, where)
        if len(one.get("returnReasonNote") or "") > NOTE_MAX:
            raise Wrong([*where, "returnReasonNote"],
                        f"Return reason note is too long (maximum is {NOTE_MAX} characters)",
                        "TOO_LONG")
        out.append((part, one))
    return out


def reasoned(one, path, where):
    """A reason, or the definition of one; Other wants a note of the merchant."""
    if not one.get("returnReason") and not one.get("returnReasonDefinitionId"):
        if path[0] == "input":
            raise Wrong([*where, "returnReason"], "Return reason can't be blank", "BLANK")
        raise Wrong(where, "Return line items Either return reason or return reason definition must be provided",
                    "NOT_FOUND")
    if path[0] == "returnInput" and one.get("returnReason") == "OTHER" and not one.get("returnReasonNote"):
        raise Wrong([*where, "returnReasonNote"], 'Return line items return reason note The note is required when the '
                                                  'return reason is "Other"', "BLANK")


def make(shop, given, status, field):
    order = shop.find(given["orderId"], "Order")
    if order is None:
        raise Wrong([field, "orderId"], "Order not found.", "NOT_FOUND")
    asked = asked_lines(shop, order, given["returnLineItems"], [field, "returnLineItems"])
    made = shop.add("Return", order=order["id"], status=status, decline=None, closedAt=None, lineIds=[], refundIds=[],
                    reverseIds=[], requestApprovedAt=None,
                    name=f"{order.document['name']}-R{len(order.returnIds) + 1}")
    for part, one in asked:
        line = shop.add("ReturnLineItem", of=made["id"], fulfillmentLineItem=part["id"], quantity=one["quantity"],
                        returnReason=one.get("returnReason") or "UNKNOWN", customerNote=one.get("customerNote"),
                        returnReasonNote=one.get("returnReasonNote") or "", processedQuantity=0, refundedQuantity=0)
        made.lineIds.append(line["id"])
    order.returnIds.append(made["id"])
    write(shop, order, made)
    if status == "OPEN":
        expect(shop, made)
    return made


def write(shop, order, made):
    made.document = {
        "id": int(number_of(made["id"])), "admin_graphql_api_id": made["id"], "status": made.status.lower(),
        "order": {"id": order.document["id"], "admin_graphql_api_id": order["id"]}, "name": made.name,
        "return_line_items": [], "return_shipping_fees": [], "exchange_line_items": [], "total_exchange_line_items": 0}
    for line in map(shop.find, made.lineIds):
        part = shop.find(line.fulfillmentLineItem)
        made.document["return_line_items"].append({
            **named(line), "quantity": line.quantity, "return_reason": line.returnReason.lower(),
            "return_reason_note": line.returnReasonNote, "customer_note": line.customerNote,
            "fulfillment_line_item": {**named(part), "line_item": named(shop.find(part.lineItem))}})
    made.document["total_return_line_items"] = sum(shop.find(one).quantity for one in made.lineIds)
    order.document["returns"].append(made.document)


def named(thing):
    return {"id": int(number_of(thing["id"])), "admin_graphql_api_id": thing["id"]}


def expect(shop, made):
    """What is to come back: its reverse fulfillment order."""
    reverse = shop.add("ReverseFulfillmentOrder", order=made.order, status="OPEN", lineIds=[])
    for id in made.lineIds:
        line = shop.find(id)
        reverse.lineIds.append(shop.add("ReverseFulfillmentOrderLineItem", totalQuantity=line.quantity, returnLine=id,
                                        fulfillmentLineItem=line.fulfillmentLineItem, dispositions=[])["id"])
    made.reverseIds.append(reverse["id"])


def moved(shop, made, topic, **fields):
    """Its state is another now; who is told hears of the return and of the order."""
    made.update(fields)
    made.document["status"] = made.status.lower()
    for reverse in map(shop.find, made.reverseIds):
        reverse.status = {"OPEN": "OPEN", "CANCELED": "CANCELED"}.get(made.status, "CLOSED")
    shop.changed("Return", made["id"], f"returns/{topic}")
    touch(shop, shop.find(made.order))
    return {"return": made}


# ---- processing ----

def dispositions_of(shop, made, line, asked, path):
    """[(reverse line, count, type, location)] of one line of returnProcess."""
    out, reverse_lines = [], [one for reverse in map(shop.find, made.reverseIds) for one in reverse.lineIds]
    for at, one in enumerate(asked.get("dispositions") or []):
        where, reverse = [*path, "dispositions", str(at)], shop.find(one["reverseFulfillmentOrderLineItemId"])
        if reverse is None or reverse["id"] not in reverse_lines or reverse.returnLine != line["id"]:
            raise Wrong([*where, "reverseFulfillmentOrderLineItemId"], "Reverse fulfillment order line item not found.",
                        "NOT_FOUND")
        if one["dispositionType"] == "RESTOCKED" and shop.find(one.get("locationId"), "Location") is None:
            raise Wrong([*where, "locationId"], "Location not found.", "NOT_FOUND")
        done = sum(of["quantity"] for of in reverse.dispositions)
        if one["quantity"] <= 0 or done + one["quantity"] > reverse.totalQuantity:
            raise Wrong([*where, "quantity"], "Disposition has an invalid quantity.", "INVALID")
        out.append((reverse, one["quantity"], one["dispositionType"], one.get("locationId")))
    if sum(one[1] for one in out) > asked["quantity"]:
        raise Wrong([*path, "dispositions"], "Dispositions have an invalid quantity.", "INVALID")
    return out


def process_money(shop, order, given):
    """The money of a financialTransfer, as refund() takes it."""
    issue, out = (given.get("financialTransfer") or {}).get("issueRefund"), []
    for at, one in enumerate((issue or {}).get("orderTransactions") or []):
        parent = shop.find(one["parentId"], "OrderTransaction")
        if parent is None or parent.order != order["id"]:
            raise Wrong(["input", "financialTransfer", "issueRefund", "orderTransactions", str(at), "parentId"],
                        "Transaction not found.", "NOT_FOUND")
        out.append((parent, parent.gateway, cents(one["transactionAmount"]["amount"])))
    for one in (issue or {}).get("refundMethods") or []:
        if one.get("storeCreditRefund"):
            out.append((None, STORE_CREDIT, cents(one["storeCreditRefund"]["amount"]["amount"])))
    total = sum((one[2] for one in out), NONE)
    if total > net(shop, order) and not (issue or {}).get("allowOverRefunding"):
        raise Wrong(["input", "financialTransfer"], f"Refund amount ${total} is greater than net payment received "
                                                    f"${net(shop, order)}", "INVALID")
    return issue is not None, out


def process(shop, made, given):
    """What came back is looked at: counted, put on the shelf or not, paid back or not. The return stays open."""
    order, work = shop.find(made.order), []
    for at, asked in enumerate(given.get("returnLineItems") or []):
        path, line = ["input", "returnLineItems", str(at)], shop.find(asked["id"], "ReturnLineItem")
        if line is None or line.of != made["id"]:
            raise Wrong([*path, "id"], "Return line item was not found.", "NOT_FOUND")
        if not 0 < asked["quantity"] <= line.quantity - line.processedQuantity:
            raise Wrong([*path, "quantity"], "Return line item has an invalid quantity.", "INVALID")
        work.append((line, asked["quantity"], dispositions_of(shop, made, line, asked, path)))
    issue, money = process_money(shop, order, given)
    lines = []
    for line, count, dispositions in work:
        line.processedQuantity += count
        item = shop.find(shop.find(line.fulfillmentLineItem).lineItem)
        for reverse, some, kind, location in dispositions:
            reverse.dispositions.append({
                "__typename": "ReverseFulfillmentOrderDisposition",
                "id": shop.new_id("ReverseFulfillmentOrderDisposition"),
                "createdAt": shop.stamp(), "location": location and shop.find(location), "quantity": some,
                "type": kind})
            if kind == "RESTOCKED" and not issue:
                stock.receive(shop, item.line, location, some)
            if issue:
                lines.append((item, some, "RETURN" if kind == "RESTOCKED" else "NO_RESTOCK", location))
        if issue:
            line.refundedQuantity += count
            rest = count - sum(one[1] for one in dispositions)
            lines.extend([(item, rest, "NO_RESTOCK", None)] if rest else [])
    if issue:
        freight = (NONE, NONE)
        if (given.get("refundShipping") or {}).get("fullRefund"):
            freight = shipping_left(order)
        refunded = refund(shop, order, lines, money, freight, given.get("note"), made["id"])
        made.refundIds.append(refunded["id"])
    return moved(shop, made, "process")


def install(engine):
    shop = engine.shop

    def found(id, path):
        made = shop.find(id, "Return")
        if made is None:
            raise Wrong(path, "Return not found.", "NOT_FOUND")
        return made

    def must(good, path, message="Return status is invalid."):
        if not good:
            raise Wrong(path, message, "INVALID_STATE")

    @engine.mutation("returnCreate")
    def create(source, args, call):
        return moved(shop, make(shop, args["returnInput"], "OPEN", "returnInput"), "approve")

    @engine.mutation("returnRequest")
    def ask(source, args, call):
        return moved(shop, make(shop, args["input"], "REQUESTED", "input"), "request")

    @engine.mutation("returnApproveRequest")
    def approve(source, args, call):
        made = found(args["input"]["id"], ["input", "id"])
        must(made.status == "REQUESTED", ["input", "id"],
             "Return is not approvable. Only returns with status REQUESTED can be approved.")
        expect(shop, made)
        return moved(shop, made, "approve", status="OPEN", requestApprovedAt=shop.stamp())

    @engine.mutation("returnDeclineRequest")
    def decline(source, args, call):
        given = args["input"]
        made = found(given["id"], ["input", "id"])
        must(made.status != "DECLINED", ["input", "id"], "The return is already declined.")
        must(made.status == "REQUESTED", ["input", "id"],
             "Return is not declinable. Only non-refunded returns with status REQUESTED can be declined.")
        made.document["decline"] = {"reason": given["declineReason"].lower(), "note": given.get("declineNote")}
        return moved(shop, made, "decline", status="DECLINED",
                     decline={"reason": given["declineReason"], "note": given.get("declineNote")})

    @engine.mutation("returnProcess")
    def process_it(source, args, call):
        made = found(args["input"]["returnId"], ["input", "returnId"])
        must(made.status == "OPEN", ["input", "returnId"])
        return process(shop, made, args["input"])

    for name, before, after, topic in (("returnClose", ("OPEN",), "CLOSED", "close"),
                                       ("returnReopen", ("CLOSED",), "OPEN", "reopen"),
                                       ("returnCancel", ("OPEN", "REQUESTED"), "CANCELED", "cancel")):
        def change(source, args, call, before=before, after=after, topic=topic):
            made = found(args["id"], ["id"])
            gone = after == "CANCELED" and any(shop.find(one).processedQuantity for one in made.lineIds)
            must(made.status in before and not gone, ["id"],
                 "Return is not cancelable." if after == "CANCELED" else "Return status is invalid.")
            return moved(shop, made, topic, status=after, closedAt=shop.stamp() if after == "CLOSED" else None)
        engine.mutation(name)(change)
    queries(engine, shop)


def queries(engine, shop):
    """What may be asked of returns."""
    engine.query("return")(lambda source, args, call: shop.find(args["id"], "Return"))

    @engine.query("returnableFulfillments")
    def returnables(source, args, call):
        order, out = shop.find(args["orderId"], "Order"), []
        for one in map(shop.find, order.fulfillmentIds if order else []):
            parts = [(part, returnable(shop, part)) for part in map(shop.find, one.lineIds)]
            parts = [{"fulfillmentLineItem": part, "quantity": count} for part, count in parts if count]
            if one.status != "CANCELLED" and parts:
                out.append({"__typename": "ReturnableFulfillment", "fulfillment": one,
                            "id": gid("ReturnableFulfillment", number_of(one["id"])),
                            "returnableFulfillmentLineItems": parts})
        return out

    views(engine, shop)


def views(engine, shop):
    of = lambda *names: engine.field("Return", *names)  # noqa: E731
    line = lambda *names: engine.field("ReturnLineItem", *names)  # noqa: E731
    reverse = lambda *names: engine.field("ReverseFulfillmentOrderLineItem", *names)  # noqa: E731

    engine.field("Order", "returns")(lambda source, args, call: [shop.find(one) for one in source.returnIds])
    of("order")(lambda source, args, call: shop.find(source.order))
    of("refunds")(lambda source, args, call: [shop.find(one) for one in source.refundIds])
    of("reverseFulfillmentOrders")(lambda source, args, call: [shop.find(one) for one in source.reverseIds])
    of("totalQuantity")(lambda source, args, call: sum(shop.find(one).quantity for one in source.lineIds))

    @of("returnLineItems")
    def lines(source, args, call):
        found = [shop.find(one) for one in source.lineIds]
        keep = {"PROCESSED": lambda one: one.processedQuantity, "PROCESSABLE": lambda one: processable(shop, one)}
        return [one for one in found if keep.get(args.get("processingStatus"), lambda one: True)(one)]

    line("fulfillmentLineItem")(lambda source, args, call: shop.find(source.fulfillmentLineItem))
    line("processableQuantity")(lambda source, args, call: processable(shop, source))
    line("unprocessedQuantity")(lambda source, args, call: source.quantity - source.processedQuantity)
    line("refundableQuantity")(lambda source, args, call: source.quantity - source.refundedQuantity)

    engine.field("ReverseFulfillmentOrder", "order")(lambda source, args, call: shop.find(source.order))
    engine.field("ReverseFulfillmentOrder", "lineItems")(
        lambda source, args, call: [shop.find(one) for one in source.lineIds])
    reverse("fulfillmentLineItem")(lambda source, args, call: shop.find(source.fulfillmentLineItem))


def processable(shop, line):
    return line.quantity - line.processedQuantity if shop.find(line.of).status == "OPEN" else 0
