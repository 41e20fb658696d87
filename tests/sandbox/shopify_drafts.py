"""Draft orders: made, changed, sent as an invoice, completed into an order. No key makes any of it happen once."""

import decimal
import re

from sandbox import shopify_metafields as metafields
from sandbox.shopify_graphql import Rows, Wrong
from sandbox.shopify_orderedit import TAG_MAX, TAGS_MAX, clean
from sandbox.shopify_orders import add_order
from sandbox.shopify_orderview import customer as customer_view
from sandbox.shopify_place import line_document, order_document
from sandbox.shopify_search import Search, instant, moment_of_field
from sandbox.shopify_shop import gid, number_of
from sandbox.shopify_view import address, address_document, attributes, bag, plain_set

MAIL = re.compile(r"[^@\s]+@[^@\s]+\.[^@\s]+")
KEPT = {"email": "email", "phone": "phone", "poNumber": "poNumber", "note": "note2", "taxExempt": "taxExempt",
        "reserveInventoryUntil": "reserveInventoryUntil", "shippingAddress": "shippingAddress",
        "billingAddress": "billingAddress", "customAttributes": "customAttributes", "purchasingEntity": "buyer",
        "paymentTerms": "paymentTerms", "tags": "tags", "lineItems": "lines", "presentmentCurrencyCode": "currency",
        "customerId": "customerId", "sourceName": "sourceName", "shippingLine": "shippingLine"}
FRESH = {**{field: None for field in KEPT.values()}, "tags": [], "lines": [], "taxExempt": False,
         "customAttributes": []}


def errors_of(shop, given):
    if "lineItems" in given and not given["lineItems"]:
        yield {"field": None, "message": "Add at least 1 product"}
    tags = given.get("tags") or []
    if len(tags) > TAGS_MAX or any(len(tag) > TAG_MAX for tag in tags):
        yield {"field": ["tags"], "message": f"Tags is too long (maximum is {TAG_MAX} characters)"}
    if given.get("email") and not MAIL.fullmatch(given["email"]):
        yield {"field": ["email"], "message": "Email is invalid"}
    if given.get("paymentTerms") and not given["paymentTerms"].get("paymentTermsTemplateId"):
        yield {"field": None, "message": "Payment terms template id can not be empty."}
    if given.get("reserveInventoryUntil") and instant(given["reserveInventoryUntil"]) < shop.now():
        yield {"field": None, "message": "Reserve until can't be in the past"}
    for at, line in enumerate(given.get("lineItems") or []):
        where = ["lineItems", str(at)]
        if line["quantity"] < 1:
            yield {"field": [*where, "quantity"], "message": "Quantity must be greater than or equal to 1"}
        if line.get("variantId"):
            if shop.find(line["variantId"], "ProductVariant") is None:
                yield {"field": None, "message": f"Product with ID {number_of(line['variantId'])} is no "
                                                                   "longer available."}
        elif not line.get("title"):
            yield {"field": None, "message": "Merchandise title is empty."}
        elif (line.get("originalUnitPriceWithCurrency") or {}).get("amount") and price_of(shop, line) < 0:
            yield {"field": None, "message": "Cannot send negative price for line_item"}


def price_of(shop, line):
    """Title and price of a line with a variant are ignored; only an override counts."""
    if line.get("variantId"):
        override = line.get("priceOverride")
        return decimal.Decimal(str(override["amount"] if override else shop.find(line["variantId"]).price))
    given = line.get("originalUnitPriceWithCurrency") or {"amount": line.get("originalUnitPrice") or "0"}
    return decimal.Decimal(str(given["amount"]))


def total(shop, draft):
    freight = (draft.shippingLine or {}).get("priceWithCurrency", {}).get("amount", "0") if draft.shippingLine else "0"
    return sum((price_of(shop, line) * line["quantity"] for line in draft.lines), decimal.Decimal(str(freight)))


def keep(shop, draft, given):
    for theirs, ours in KEPT.items():
        if theirs in given:
            draft[ours] = given[theirs] if given[theirs] is not None else FRESH[ours]
    draft.tags = clean(draft.tags)
    draft.currency = draft.currency or shop.currency
    for one in metafields.of_input(given, draft["id"]):
        metafields.write(shop, one)


def create(shop, given):
    errors = list(errors_of(shop, {"lineItems": [], **given}))
    if errors:
        raise Wrong.many(errors)
    draft = shop.add("DraftOrder", input=given, status="OPEN", order=None, completedAt=None, invoiceSentAt=None,
                     madeAt=shop.clock.seconds(), taxesIncluded=False, **FRESH)
    number = next(shop.numbers["draft order number"])
    draft.name, draft.url = f"#D{number}", f"https://{shop.domain}/1/invoices/{number:032x}"
    keep(shop, draft, given)
    shop.changed("DraftOrder", draft["id"], "draft_orders/create")
    return draft


def changed(shop, draft):
    draft.updatedAt = shop.stamp()
    shop.changed("DraftOrder", draft["id"], "draft_orders/update")


def ready(shop, draft):
    return (shop.clock.seconds() - draft.madeAt) * 1000 >= shop.settings["ready_ms"]


def buyer_document(draft):
    """(customer, company) of an order's body."""
    entity, customer = draft.buyer or {}, draft.customerId
    company = entity.get("purchasingCompany")
    if company:
        customer = company["companyContactId"]
    customer = customer or entity.get("customerId")
    number = customer and int(number_of(customer))
    return (number and {"id": number, "email": draft.email, "admin_graphql_api_id": gid("Customer", number),
                        "first_name": None, "last_name": None}), company and {
        "id": int(number_of(company["companyId"])), "location_id": int(number_of(company["companyLocationId"]))}


def complete(shop, draft, args):
    if draft.status == "COMPLETED":
        raise Wrong(None, "This order has been paid")
    if args.get("paymentGatewayId"):
        raise Wrong(None, "Invalid payment gateway")
    lines = []
    for one in draft.lines:
        variant = shop.find(one["variantId"]) if one.get("variantId") else None
        lines.append(line_document(
            shop, variant.title if variant else one["title"], one["quantity"], price_of(shop, one), draft.currency,
            variant, one.get("sku"), properties=[{"name": pair["key"], "value": pair["value"]}
                                                 for pair in one.get("customAttributes") or []],
            shipping=one.get("requiresShipping", True), taxable=one.get("taxable", True)))
    customer, company = buyer_document(draft)
    terms = draft.paymentTerms
    freight = (draft.shippingLine or {}).get("priceWithCurrency") or {"amount": 0}
    document = order_document(
        shop, lines, draft.currency, paid=not terms and not args.get("paymentPending"), email=draft.email,
        customer=customer, shipping_address=address_document(draft.shippingAddress), phone=draft.phone,
        billing_address=address_document(draft.billingAddress), tags=", ".join(draft.tags), note=draft.note2,
        note_attributes=[{"name": one["key"], "value": one["value"]} for one in draft.customAttributes],
        po_number=draft.poNumber, source_name=args.get("sourceName") or draft.sourceName or "shopify_draft_order",
        shipping=freight["amount"], payment_terms={
            "id": int(number_of(shop.new_id("PaymentTerms"))), "payment_terms_name": "Net 30",
            "payment_terms_type": "net", "due_in_days": 30, "payment_schedules": []} if terms else None)
    if company:
        document["company"] = company
    order = add_order(shop, document)
    draft.update({"status": "COMPLETED", "order": order["id"], "completedAt": shop.stamp()})
    changed(shop, draft)
    return {"draftOrder": draft}


SEARCH = {"tag": lambda one: list(one.tags), "name": lambda one: one.name, "status": lambda one: one.status,
          "email": lambda one: one.email, "id": lambda one: int(number_of(one["id"])),
          "po_number": lambda one: one.poNumber,
          "created_at": moment_of_field("createdAt"), "updated_at": moment_of_field("updatedAt")}


def purchaser(draft):
    customer, company = buyer_document(draft)
    if company:
        return {"__typename": "PurchasingCompany", "company": {"id": gid("Company", company["id"]), "name": "Company",
                                                               "externalId": None},
                "contact": {"id": draft.buyer["purchasingCompany"]["companyContactId"]},
                "location": {"id": gid("CompanyLocation", company["location_id"]), "name": "Company",
                             "externalId": None}}
    return customer_view(customer)


def install(engine):
    shop = engine.shop

    def found(global_id, field):
        draft = shop.find(global_id, "DraftOrder")
        if draft is None:
            raise Wrong(field, "Draft order not found")
        return draft

    @engine.mutation("draftOrderCreate")
    def draft_create(source, args, call):
        return {"draftOrder": create(shop, args["input"])}

    @engine.mutation("draftOrderUpdate")
    def draft_update(source, args, call):
        draft = found(args["id"], ["id"])
        if draft.status == "COMPLETED":
            raise Wrong(None, "This draft order has been completed and can't be changed")
        errors = list(errors_of(shop, args["input"]))
        if errors:
            raise Wrong.many(errors)
        keep(shop, draft, args["input"])
        changed(shop, draft)
        return {"draftOrder": draft}

    @engine.mutation("draftOrderInvoiceSend")
    def send(source, args, call):
        draft = found(args["id"], None)
        if not (args.get("email") or {}).get("to") and not draft.email:
            raise Wrong(None, "To can't be blank")
        if draft.status == "COMPLETED":
            raise Wrong(None, "Draft order Invoice can't be sent. This draft order is already paid.")
        draft.update({"status": "INVOICE_SENT", "invoiceSentAt": shop.stamp()})
        changed(shop, draft)
        return {"draftOrder": draft}

    @engine.mutation("draftOrderComplete")
    def draft_complete(source, args, call):
        return complete(shop, found(args["id"], ["id"]), args)

    @engine.mutation("draftOrderDelete")
    def delete(source, args, call):
        draft = found(args["input"]["id"], ["id"])
        shop.remove(draft)
        shop.changed("DraftOrder", draft["id"], "draft_orders/delete")
        return {"deletedId": draft["id"]}

    engine.query("draftOrder")(lambda source, args, call: shop.find(args["id"], "DraftOrder"))

    @engine.query("draftOrders")
    def search(source, args, call):
        test, lag = Search(args.get("query"), SEARCH), shop.settings["search_lag_ms"]
        seen = [one for one in shop.all("DraftOrder") if (shop.clock.seconds() - one.madeAt) * 1000 >= lag]
        sort = (lambda one: one.updatedAt) if args.get("sortKey") == "UPDATED_AT" else (lambda one: "")
        return Rows([one for one in seen if test(one)], lambda one: (sort(one), int(number_of(one["id"]))),
                    bool(args.get("reverse")))
    views(engine, shop)


def views(engine, shop):
    """The fields of a draft order and its lines."""
    draft = lambda *names: engine.field("DraftOrder", *names)  # noqa: E731
    draft("ready")(lambda source, args, call: ready(shop, source))
    draft("invoiceUrl")(lambda source, args, call: source.url if ready(shop, source) else None)
    draft("order")(lambda source, args, call: shop.find(source.order) if source.order else None)
    draft("currencyCode", "presentmentCurrencyCode")(lambda source, args, call: source.currency)
    draft("totalPriceSet", "subtotalPriceSet")(
        lambda source, args, call: bag(plain_set(total(shop, source), source.currency)))
    draft("totalQuantityOfLineItems")(lambda source, args, call: sum(one["quantity"] for one in source.lines))
    draft("customAttributes")(lambda source, args, call: attributes(source.customAttributes, "key"))
    draft("customer")(lambda source, args, call: customer_view(buyer_document(source)[0]))
    draft("purchasingEntity")(lambda source, args, call: purchaser(source))
    for ours in ("shippingAddress", "billingAddress"):
        draft(ours)(lambda source, args, call, ours=ours:
                    address(address_document(source[ours]), number_of(source["id"])))

    @draft("lineItems")
    def lines(source, args, call):
        out = []
        for at, one in enumerate(source.lines):
            variant = shop.find(one["variantId"]) if one.get("variantId") else None
            price = price_of(shop, one)
            out.append({
                "id": gid("DraftOrderLineItem", f"{number_of(source['id'])}{at:04}"), "variant": variant,
                "title": variant.title if variant else one["title"], "name": variant.title if variant else one["title"],
                "sku": variant.sku if variant else one.get("sku"), "quantity": one["quantity"],
                "custom": variant is None,
                "requiresShipping": one.get("requiresShipping", True), "taxable": one.get("taxable", True),
                "customAttributes": attributes(one.get("customAttributes"), "key"),
                "originalUnitPriceSet": bag(plain_set(price, source.currency)),
                "originalTotalSet": bag(plain_set(price * one["quantity"], source.currency))})
        return out
