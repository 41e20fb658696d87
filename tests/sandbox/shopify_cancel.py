"""orderCancel: checked at once, done by a job later, and never undone."""

from sandbox import shopify_stock_moves as stock
from sandbox.shopify_fulfil import ENDED, changed, everything, take
from sandbox.shopify_graphql import Wrong
from sandbox.shopify_orders import add_transaction, local, touch, transactions
from sandbox.shopify_refunds import NONE, STORE_CREDIT, net, refund
from sandbox.shopify_search import instant

NOTE_MAX = 255


def refuse(message, code="INVALID", field="orderId"):
    raise Wrong([field], message, code)


def check(shop, args):
    """The order, if it may be cancelled."""
    order = shop.find(args["orderId"], "Order")
    if order is None:
        refuse("Order does not exist", "NOT_FOUND")
    if order.document["cancelled_at"] or order.cancelling:
        refuse("Cannot cancel an order that has already been canceled")
    if any(shop.find(one).status != "CANCELLED" for one in order.fulfillmentIds):
        refuse("Cannot cancel an order that has outstanding fulfillments")
    if any(shop.find(one).status not in ("CANCELED", "DECLINED") for one in order.returnIds):
        refuse("Cannot cancel an order that has returns")
    if len(args.get("staffNote") or "") > NOTE_MAX:
        refuse(f"Staff note is too long. Maximum length is {NOTE_MAX} characters.", field="staffNote")
    if args.get("refund") is not None and args.get("refundMethod") is not None:
        refuse("Only one of the arguments `refund` or `refund_method` is allowed.", field="refund")
    credit = (args.get("refundMethod") or {}).get("storeCreditRefund")
    if credit is not None:
        if order.document.get("company"):
            refuse("Store credit cannot be given to a company", "STORE_CREDIT_REFUND_B2B_NOT_SUPPORTED", "refundMethod")
        if not order.document["customer"]:
            refuse("Store credit needs a customer", "STORE_CREDIT_REFUND_MISSING_CUSTOMER", "refundMethod")
        if credit.get("expiresAt") and instant(credit["expiresAt"]) <= shop.now():
            refuse("Store credit has to expire later", "STORE_CREDIT_REFUND_EXPIRATION_IN_PAST", "refundMethod")
    return order


def finish(shop, order, args, job, result):
    """The job is at its end."""
    order.cancelling = False
    job.done = result.done = True
    if shop.settings["cancel_fails"]:
        result.update({"status": "FAILED", "errors": [{
            "field": None, "message": "The order could not be canceled", "code": "INTERNAL_ERROR"}]})
        return
    result.status = "SUCCEEDED"
    document = order.document
    money = payments(shop, order, args)
    parts = unsend(shop, order, args["restock"])
    if money:  # what is refunded is out of the order, and out of what it had to send
        for fo, asked in parts:
            take(shop, fo, asked, keep=True)
        lines = [(shop.find(one), shop.find(one).line["current_quantity"],
                  "CANCEL" if args["restock"] else "NO_RESTOCK",
                  None) for one in order.lineIds if shop.find(one).line["current_quantity"]]
        refund(shop, order, lines, money, (NONE, NONE), "Order canceled")
    document.update({"cancelled_at": local(shop, order), "cancel_reason": args["reason"].lower()})
    order.staffNote = args.get("staffNote")
    touch(shop, order, "orders/cancelled")


def payments(shop, order, args):
    """What is only authorized is voided in any case; what was paid goes back if that was asked."""
    document = order.document
    for one in transactions(shop, order, "AUTHORIZATION"):
        add_transaction(shop, order, "VOID", one.amount, one.gateway, one["id"], told=True)
        document["financial_status"] = "voided"
    if document["financial_status"] == "pending":
        document["financial_status"] = "voided"
    document["total_outstanding"] = str(NONE)
    method = args.get("refundMethod") or {}
    if method.get("storeCreditRefund") is not None and net(shop, order) > 0:
        return [(None, STORE_CREDIT, net(shop, order))]
    if args.get("refund") or method.get("originalPaymentMethodsRefund"):
        out, rest = [], net(shop, order)
        for one in transactions(shop, order, "SALE", "CAPTURE"):
            if rest > 0:
                out.append((one, one.gateway, min(one.amount, rest)))
                rest -= out[-1][2]
        return out
    return []


def unsend(shop, order, restock):
    """Its fulfillment orders are closed, with all that they still had to send: [(fulfillment order, that)]."""
    out = []
    for fo in [one for one in map(shop.find, order.fulfillmentOrderIds) if one.status not in ENDED]:
        out.append((fo, everything(shop, fo)))
        for line, count in out[-1][1]:
            (stock.release if restock else stock.drop)(shop, shop.find(line.lineItem).line, fo.location, count)
        fo.update({"status": "CLOSED", "progress": False, "holdIds": []})
        changed(shop, fo, "cancelled", replacement=None)
    for line in order.document["line_items"]:
        line["fulfillable_quantity"] = 0
    return out


def install(engine):
    shop = engine.shop

    @engine.mutation("orderCancel")
    def cancel(source, args, call):
        order = check(shop, args)
        order.cancelling = True
        job = shop.add("Job", done=False)
        result = shop.add("OrderCancelJobResult", done=False, status="STARTED", errors=[], order=order["id"])
        shop.later(max(1, shop.settings["job_ms"]), finish, shop, order, args, job, result)
        return {"job": job, "jobResult": result, "orderCancelUserErrors": []}

    engine.field("OrderCancelJobResult", "order")(lambda source, args, call: shop.find(source.order))
