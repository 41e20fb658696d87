"""Refunds: what is taken out of an order, what of it goes back on the shelf, and what money goes back.

Three things apart: items without `transactions` are removed and no money moves.
"""

import decimal

from sandbox import shopify_stock_moves as stock
from sandbox.shopify_bodies import transaction as transaction_body
from sandbox.shopify_catalogue import variant_of
from sandbox.shopify_fulfil import ENDED, changed, count_shipped, left, lines_of, remaining
from sandbox.shopify_graphql import Wrong
from sandbox.shopify_orders import add_transaction, local, received, refunded, touch, transactions
from sandbox.shopify_ship import EXTRA_LINE
from sandbox.shopify_shop import gid, number_of
from sandbox.shopify_view import bag, bag_of, cents, money_set, shipping_lines

NONE = decimal.Decimal("0.00")
STORE_CREDIT = "shopify_store_credit"


# ---- what a line is worth ----

def worth(line, count):
    """(after discounts, tax) of so many of a line."""
    whole = max(1, line["quantity"])
    off = sum((cents(one["amount"]) for one in line["discount_allocations"]), NONE)
    tax = sum((cents(one["price"]) for one in line["tax_lines"]), NONE)
    return cents((cents(line["price"]) * whole - off) * count / whole), cents(tax * count / whole)


def shipping_left(order):
    """(price, tax) of the shipping that was not refunded yet."""
    price = cents(order.document["current_shipping_price_set"]["shop_money"]["amount"])
    tax = sum((cents(one["price"]) for line in order.document["shipping_lines"] for one in line["tax_lines"]), NONE)
    back = [one for refund in order.document["refunds"] for one in refund["refund_shipping_lines"]]
    return price, tax - sum((cents(one["tax_amount_set"]["shop_money"]["amount"]) for one in back), NONE)


def net(shop, order):
    return received(shop, order) - refunded(shop, order)


def asked_lines(shop, order, given, path=("refundLineItems",)):
    """[(LineItem, count, restock type, location)], each found good."""
    out, taken = [], {}
    for at, one in enumerate(given or []):
        line = shop.find(one["lineItemId"], "LineItem")
        if line is None or line.order != order["id"]:
            raise Wrong([*path, str(at), "lineItemId"], "Line item does not exist")
        taken[line["id"]] = taken.get(line["id"], 0) + one["quantity"]
        if one["quantity"] <= 0:
            raise Wrong([*path, str(at), "quantity"], "Quantity must be greater than 0")
        if taken[line["id"]] > line.line["current_quantity"]:
            raise Wrong([*path, str(at), "quantity"], "Quantity cannot refund more items than were purchased")
        kind, variant = one.get("restockType") or "NO_RESTOCK", variant_of(shop, line.line)
        tracked = variant is not None and shop.find(variant.inventoryItem).tracked
        if kind in ("CANCEL", "RETURN") and tracked and not one.get("locationId"):
            raise Wrong([*path, str(at), "locationId"], f"Location is required to restock with the type {kind}")
        if one.get("locationId") and shop.find(one["locationId"], "Location") is None:
            raise Wrong([*path, str(at), "locationId"], "Location does not exist")
        out.append((line, one["quantity"], kind, one.get("locationId")))
    return out


def asked_money(shop, order, given):
    """[(parent transaction, gateway, amount)] of the transactions, each found good, and not more than was paid."""
    out = []
    for at, one in enumerate(given.get("transactions") or []):
        path = ["transactions", str(at)]
        if one["kind"] != "REFUND":
            raise Wrong(None, f"Kind {one['kind'].lower()} is not a valid transaction")
        parent = shop.find(one["parentId"], "OrderTransaction") if one.get("parentId") else None
        if parent is None or parent.order != order["id"]:
            raise Wrong(["transactions"], "Transactions require a parent_id associated with the order")
        if cents(one["amount"]) <= 0:
            raise Wrong([*path, "amount"], "Amount must be greater than zero")
        out.append((parent, one["gateway"], cents(one["amount"])))
    for one in given.get("refundMethods") or []:
        if one.get("storeCreditRefund"):
            out.append((None, STORE_CREDIT, cents(one["storeCreditRefund"]["amount"]["amount"])))
    total, most = sum((one[2] for one in out), NONE), net(shop, order)
    if total > most and not given.get("allowOverRefunding"):
        raise Wrong(None, f"Refund amount ${total} is greater than net payment received ${most}")
    return out


def asked_shipping(order, given):
    """(price, tax) of the shipping that goes back."""
    given = given or {}
    price, tax = shipping_left(order)
    if given.get("fullRefund"):
        return price, tax
    amount = cents(given.get("amount") or 0)
    if amount > price:
        raise Wrong(["shipping", "amount"],
                    f"Shipping refund amount ${amount} is greater than the ${price} that is left")
    return amount, cents(tax * amount / price) if price else NONE


# ---- doing it ----

def refund(shop, order, lines, money, shipping=(NONE, NONE), note=None, of_return=None):
    """lines as of asked_lines, money as of asked_money. Returns the Refund."""
    made = shop.add("Refund", order=order["id"], note=note, transactionIds=[], processedAt=shop.stamp(),
                    returnId=of_return,
                    lines=[], shipping=[])
    document = write(shop, order, made, lines, shipping)
    for line, count, kind, location in lines:
        take_out(shop, order, line, count, kind, location)
    count_shipped(shop, order)
    for parent, gateway, amount in money:
        paid = add_transaction(shop, order, "REFUND", amount, gateway, parent and parent["id"], told=True)
        made.transactionIds.append(paid["id"])
        document["transactions"].append(transaction_body(shop, paid, None))
    settle(shop, order, lines, shipping)
    order.refundIds.append(made["id"])
    shop.changed("Refund", made["id"], "refunds/create")
    return made


def write(shop, order, made, lines, shipping):
    now = local(shop, order)
    made.document = {
        "id": int(number_of(made["id"])), "order_id": order.document["id"], "created_at": now, "note": made.note,
        "user_id": None, "processed_at": now, "duties": [], "total_duties_set": money_set(order.document, 0),
        "return": made.returnId and {"id": int(number_of(made.returnId)), "admin_graphql_api_id": made.returnId},
        "refund_shipping_lines": [], "restock": any(kind != "NO_RESTOCK" for _, _, kind, _ in lines),
        "admin_graphql_api_id": made["id"], "order_adjustments": [], "refund_line_items": [], "transactions": []}
    for line, count, kind, location in lines:
        subtotal, tax = worth(line.line, count)
        row = {"id": int(number_of(shop.new_id("RefundLineItem"))), "quantity": count, "line_item_id": line.line["id"],
               "location_id": location and int(number_of(location)), "restock_type": kind.lower(),
               "subtotal": float(subtotal), "total_tax": float(tax),
               "subtotal_set": money_set(order.document, subtotal),
               "total_tax_set": money_set(order.document, tax), "line_item": {
                   key: value for key, value in line.line.items() if key not in EXTRA_LINE}}
        made.document["refund_line_items"].append(row)
        made.lines.append({"row": row, "line": line["id"], "location": location, "kind": kind})
    if any(shipping):
        made.document["refund_shipping_lines"].append({
            "id": int(number_of(shop.new_id("RefundShippingLine"))),
            "shipping_line": order.document["shipping_lines"][0],
            "subtotal_amount_set": money_set(order.document, shipping[0]),
            "tax_amount_set": money_set(order.document, shipping[1])})
    order.document["refunds"].append(made.document)
    return made.document


def take_out(shop, order, line, count, kind, location):
    """So many less of a line: of what was not sent yet, unless they came back."""
    unsent = 0 if kind == "RETURN" else min(count, left(shop, order, line.line))
    line.line["current_quantity"] -= count
    for fo in [one for one in map(shop.find, order.fulfillmentOrderIds) if one.status not in ENDED]:
        for part in lines_of(shop, fo):
            some = min(unsent, part.remainingQuantity) if part.lineItem == line["id"] else 0
            if not some:
                continue
            unsent -= some
            part.totalQuantity -= some
            part.remainingQuantity -= some
            if kind == "CANCEL":  # for sale again where it is said to be
                stock.drop(shop, line.line, fo.location, some)
                stock.receive(shop, line.line, location or fo.location, some)
            else:
                stock.drop(shop, line.line, fo.location, some)
            if not remaining(shop, fo):
                fo.status = "CLOSED"
            changed(shop, fo)
    if kind == "RETURN" and location:
        stock.receive(shop, line.line, location, count)


def settle(shop, order, lines, shipping):
    """The current amounts of the order, and how it stands financially."""
    document, down, tax_down = order.document, NONE, NONE
    for line, count, _, _ in lines:
        subtotal, tax = worth(line.line, count)
        down, tax_down = down + subtotal, tax_down + tax
    amounts = {"current_subtotal_price": -down, "current_total_tax": -tax_down - shipping[1],
               "current_total_price": -down - tax_down - shipping[0] - shipping[1]}
    for name, change in amounts.items():
        document[name] = str(cents(document[name]) + change)
        document[name + "_set"] = money_set(document, document[name])
    document["current_shipping_price_set"] = money_set(document, cents(
        document["current_shipping_price_set"]["shop_money"]["amount"]) - shipping[0])
    back = refunded(shop, order)
    if back:
        document["financial_status"] = "refunded" if back >= received(shop, order) else "partially_refunded"


# ---- suggestions ----

def suggestion(shop, order, args):
    asked = args.get("refundLineItems")
    if args.get("suggestFullRefund"):
        asked = [{"lineItemId": one, "quantity": shop.find(one).line["current_quantity"], "restockType": "NO_RESTOCK"}
                 for one in order.lineIds if shop.find(one).line["current_quantity"]]
    lines, full = asked_lines(shop, order, asked), args.get("refundShipping") or args.get("suggestFullRefund")
    freight = asked_shipping(order, {"fullRefund": full, "amount": args.get("shippingAmount")})
    worths = [worth(line.line, count) for line, count, _, _ in lines]
    subtotal, tax = (sum((one[at] for one in worths), NONE) for at in (0, 1))
    most = net(shop, order)
    amount, out = min(subtotal + tax + sum(freight), most), []
    for one in transactions(shop, order, "SALE", "CAPTURE"):
        back = sum((of.amount for of in transactions(shop, order, "REFUND") if of.parent == one["id"]), NONE)
        part = min(one.amount - back, amount - sum((of["amount"] for of in out), NONE))
        if part > 0:
            out.append({"kind": "SUGGESTED_REFUND", "gateway": one.gateway, "amount": part, "parentTransaction": one,
                        "formattedGateway": one.gateway.replace("_", " ").title(),
                        "amountSet": bag_of(order.document, part),
                        "maximumRefundableSet": bag_of(order.document, one.amount - back)})
    price, price_tax = shipping_left(order)
    return {"amountSet": bag_of(order.document, amount), "maximumRefundableSet": bag_of(order.document, most),
            "discountedSubtotalSet": bag_of(order.document, subtotal), "subtotalSet": bag_of(order.document, subtotal),
            "totalTaxSet": bag_of(order.document, tax + freight[1]), "suggestedTransactions": out,
            "shipping": {"amountSet": bag_of(order.document, freight[0]), "taxSet": bag_of(order.document, freight[1]),
                         "maximumRefundableSet": bag_of(order.document, price + price_tax)},
            "refundLineItems": [row_view(shop, order, {"line": line["id"], "location": location, "kind": kind, "row": {
                "id": None, "quantity": count, "subtotal_set": money_set(order.document, of[0]),
                "total_tax_set": money_set(order.document, of[1])}})
                for (line, count, kind, location), of in zip(lines, worths)]}


def row_view(shop, order, one):
    line, row = shop.find(one["line"]), one["row"]
    return {"__typename": "RefundLineItem", "id": row["id"] and gid("RefundLineItem", row["id"]), "lineItem": line,
            "location": one["location"] and shop.find(one["location"]), "quantity": row["quantity"],
            "priceSet": bag(line.line["price_set"]), "restockType": one["kind"],
            "restocked": one["kind"] != "NO_RESTOCK",
            "subtotalSet": bag(row["subtotal_set"]), "totalTaxSet": bag(row["total_tax_set"])}


def install(engine):
    shop = engine.shop

    @engine.mutation("refundCreate")
    def create(source, args, call):
        given = args["input"]
        order = shop.find(given["orderId"], "Order")
        if order is None:
            raise Wrong(["orderId"], "Order does not exist")
        lines = asked_lines(shop, order, given.get("refundLineItems"))
        freight, money = asked_shipping(order, given.get("shipping")), asked_money(shop, order, given)
        made = refund(shop, order, lines, money, freight, given.get("note"))
        touch(shop, order)
        return {"refund": made, "order": order}

    engine.query("refund")(lambda source, args, call: shop.find(args["id"], "Refund"))
    engine.field("Order", "suggestedRefund")(lambda source, args, call: suggested(shop, source, args))
    engine.field("Order", "refunds")(
        lambda source, args, call: [shop.find(one) for one in source.refundIds][:args.get("first")])

    of = lambda *names: engine.field("Refund", *names)  # noqa: E731
    of("order")(lambda source, args, call: shop.find(source.order))
    of("return")(lambda source, args, call: shop.find(source.returnId) if source.returnId else None)
    of("transactions")(lambda source, args, call: [shop.find(one) for one in source.transactionIds])
    of("totalRefundedSet")(lambda source, args, call: bag_of(shop.find(source.order).document, sum(
        (shop.find(one).amount for one in source.transactionIds), NONE)))
    of("refundLineItems")(lambda source, args, call: [row_view(shop, shop.find(source.order), one)
                                                      for one in source.lines])

    @of("refundShippingLines")
    def shipping_back(source, args, call):
        return [{"id": gid("RefundShippingLine", one["id"]), "shippingLine": shipping_lines([one["shipping_line"]])[0],
                 "subtotalAmountSet": bag(one["subtotal_amount_set"]), "taxAmountSet": bag(one["tax_amount_set"])}
                for one in source.document["refund_shipping_lines"]]


def suggested(shop, order, args):
    """A suggestion for what cannot be is none."""
    try:
        return suggestion(shop, order, args)
    except Wrong:
        return None
