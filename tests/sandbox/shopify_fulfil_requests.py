"""Fulfillment orders at a service: asked for, accepted, refused, called back, given up."""

from sandbox.shopify_fulfil import changed, everything, make, order_of, service_of, take, wanted
from sandbox.shopify_fulfil_moves import MOVE_CODES, asked_lines, is_all, replace
from sandbox.shopify_graphql import Wrong

NO_SERVICE = "The fulfillment order's assigned fulfillment service must be of api type"


def at_service(shop, id):
    fo = wanted(shop, id)
    if service_of(shop, fo) is None:
        raise Wrong(None, NO_SERVICE)
    return fo


def in_request(fo, statuses, what):
    if fo.requestStatus not in statuses or fo.status in ("CLOSED", "CANCELLED"):
        raise Wrong(["id"],
                    f"Cannot {what} for fulfillment order that is in {fo.requestStatus.lower()} request status.")


def request(shop, fo, kind, message, options=None):
    made = shop.add("FulfillmentOrderMerchantRequest", kind=kind, message=message, requestOptions=options or {},
                    responseData=None, sentAt=shop.stamp(), fulfillmentOrder=fo["id"])
    fo.requestIds.append(made["id"])
    return made


def submit(shop, fo, args):
    """Given lines only: what is left over becomes one of its own, not asked for."""
    in_request(fo, ("UNSUBMITTED", "REJECTED", "CLOSED", "CANCELLATION_ACCEPTED"), "submit fulfillment request")
    asked = asked_lines(shop, fo, args.get("fulfillmentOrderLineItems") or [], ["fulfillmentOrderLineItems"],
                        MOVE_CODES)
    rest = None
    if not is_all(shop, fo, asked):
        counts = {line["id"]: count for line, count in asked}
        others = [(line, count - counts.get(line["id"], 0)) for line, count in everything(shop, fo)]
        rest = make(shop, order_of(shop, fo), fo.location, take(shop, fo, [one for one in others if one[1]]))
        changed(shop, rest)
    fo.update({"status": "OPEN", "requestStatus": "SUBMITTED"})
    made = request(shop, fo, "FULFILLMENT_REQUEST", args.get("message"),
                   {"notify_customer": bool(args.get("notifyCustomer"))})
    changed(shop, fo, "fulfillment_request_submitted", original=fo["id"], request=made["id"])
    return {"originalFulfillmentOrder": fo, "submittedFulfillmentOrder": fo, "unsubmittedFulfillmentOrder": rest}


def install(engine):
    shop = engine.shop

    def answered(fo, topic, message, **fields):
        fo.update(fields)
        changed(shop, fo, topic, message=message)
        return {"fulfillmentOrder": fo}

    @engine.mutation("fulfillmentOrderSubmitFulfillmentRequest")
    def ask(source, args, call):
        return submit(shop, at_service(shop, args["id"]), args)

    @engine.mutation("fulfillmentOrderAcceptFulfillmentRequest")
    def accept(source, args, call):
        fo = at_service(shop, args["id"])
        in_request(fo, ("SUBMITTED",), "accept fulfillment request")
        return answered(fo, "fulfillment_request_accepted", args.get("message"), status="IN_PROGRESS",
                        requestStatus="ACCEPTED")

    @engine.mutation("fulfillmentOrderRejectFulfillmentRequest")
    def reject(source, args, call):
        fo = at_service(shop, args["id"])
        in_request(fo, ("SUBMITTED",), "reject fulfillment request")
        return answered(fo, "fulfillment_request_rejected", args.get("message"), status="OPEN",
                        requestStatus="REJECTED")

    @engine.mutation("fulfillmentOrderSubmitCancellationRequest")
    def call_back(source, args, call):
        fo = at_service(shop, args["id"])
        in_request(fo, ("ACCEPTED", "CANCELLATION_REJECTED"), "submit cancellation request")
        now = type(fo)(fo)  # what the answer shows: the request is there, its status is not yet
        made = request(shop, fo, "CANCELLATION_REQUEST", args.get("message"))
        fo.requestStatus = "CANCELLATION_REQUESTED"
        changed(shop, fo, "cancellation_request_submitted", request=made["id"])
        return {"fulfillmentOrder": now}

    @engine.mutation("fulfillmentOrderAcceptCancellationRequest")
    def let_go(source, args, call):
        fo = at_service(shop, args["id"])
        in_request(fo, ("CANCELLATION_REQUESTED",), "accept cancellation request")
        replace(shop, fo, keep=True)
        return answered(fo, "cancellation_request_accepted", args.get("message"), requestStatus="CANCELLATION_ACCEPTED")

    @engine.mutation("fulfillmentOrderRejectCancellationRequest")
    def keep(source, args, call):
        fo = at_service(shop, args["id"])
        in_request(fo, ("CANCELLATION_REQUESTED",), "reject cancellation request")
        return answered(fo, "cancellation_request_rejected", args.get("message"), status="IN_PROGRESS",
                        requestStatus="CANCELLATION_REJECTED")

    @engine.mutation("fulfillmentOrderClose")
    def give_up(source, args, call):
        fo = at_service(shop, args["id"])
        in_request(fo, ("ACCEPTED", "CANCELLATION_REJECTED"), "close")
        return answered(fo, "fulfillment_service_failed_to_complete", args.get("message"), status="INCOMPLETE",
                        requestStatus="CLOSED")
