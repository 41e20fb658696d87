"""What GraphQL says of an order, its lines and its transactions: all of it read off the document."""

from sandbox import shopify_view as view
from sandbox.shopify_catalogue import variant_of
from sandbox.shopify_orders import labels, received, refunded, return_status, transactions
from sandbox.shopify_shop import gid, number_of
from sandbox.shopify_view import bag, bag_of, cents


def order_text(name, of=None):
    return lambda order: order.document.get(of or name)


def order_set(name):
    return lambda order: bag(order.document.get(name))


def flag(name):
    return lambda order: bool(order.document.get(name))


def time(name):
    return lambda order: view.utc(order.document.get(name))


FIELDS = {
    **{ours: order_text(theirs) for ours, theirs in (
        ("name", "name"), ("email", "email"), ("phone", "phone"), ("note", "note"), ("poNumber", "po_number"),
        ("test", "test"), ("sourceName", "source_name"), ("sourceIdentifier", "source_identifier"),
        ("currencyCode", "currency"), ("presentmentCurrencyCode", "presentment_currency"),
        ("customerLocale", "customer_locale"), ("clientIp", "browser_ip"), ("statusPageUrl", "order_status_url"),
        ("confirmationNumber", "confirmation_number"), ("confirmed", "confirmed"), ("number", "number"),
        ("paymentGatewayNames", "payment_gateway_names"), ("taxesIncluded", "taxes_included"))},
    **{ours: order_set(theirs) for ours, theirs in (
        ("currentShippingPriceSet", "current_shipping_price_set"),
        ("currentSubtotalPriceSet", "current_subtotal_price_set"),
        ("currentTotalDiscountsSet", "current_total_discounts_set"),
        ("currentTotalPriceSet", "current_total_price_set"), ("currentTotalTaxSet", "current_total_tax_set"),
        ("subtotalPriceSet", "subtotal_price_set"), ("totalDiscountsSet", "total_discounts_set"),
        ("totalPriceSet", "total_price_set"), ("totalShippingPriceSet", "total_shipping_price_set"),
        ("totalTaxSet", "total_tax_set"), ("currentTotalDutiesSet", "current_total_duties_set"),
        ("currentTotalAdditionalFeesSet", "current_total_additional_fees_set"),
        ("originalTotalDutiesSet", "original_total_duties_set"),
        ("originalTotalAdditionalFeesSet", "original_total_additional_fees_set"))},
    **{ours: flag(theirs) for ours, theirs in (
        ("customerAcceptsMarketing", "buyer_accepts_marketing"), ("taxExempt", "tax_exempt"),
        ("estimatedTaxes", "estimated_taxes"), ("dutiesIncluded", "duties_included"))},
    **{ours: time(theirs) for ours, theirs in (
        ("createdAt", "created_at"), ("updatedAt", "updated_at"), ("processedAt", "processed_at"),
        ("cancelledAt", "cancelled_at"), ("closedAt", "closed_at"))},
    "closed": lambda order: order.document["closed_at"] is not None,
    "cancelReason": lambda order: order.document["cancel_reason"] and order.document["cancel_reason"].upper(),
    "cancellation": lambda order: {"staffNote": order.staffNote} if order.document["cancelled_at"] else None,
    "app": lambda order: {"id": gid("App", order.document.get("app_id") or 580111), "name": "Online Store"},
    "customAttributes": lambda order: view.attributes(order.document["note_attributes"]),
    "discountCodes": lambda order: [one["code"] for one in order.document["discount_codes"]],
    "discountApplications": lambda order: view.discount_applications(order.document["discount_applications"]),
    "displayFinancialStatus": lambda order: (order.document["financial_status"] or "pending").upper(),
    "fullyPaid": lambda order: order.document["financial_status"] == "paid",
    "unpaid": lambda order: order.document["financial_status"] in ("pending", "authorized"),
    "tags": lambda order: labels(order.document["tags"]),
    "taxLines": lambda order: view.tax_lines(order.document["tax_lines"]),
    "totalWeight": lambda order: str(order.document["total_weight"]),
    "totalOutstandingSet": lambda order: bag_of(order.document, order.document["total_outstanding"]),
    "totalTipReceivedSet": lambda order: bag_of(order.document, order.document.get("total_tip_received") or 0),
    "billingAddress": lambda order: view.address(order.document["billing_address"], number_of(order["id"])),
    "shippingAddress": lambda order: view.address(order.document["shipping_address"], number_of(order["id"])),
    "customer": lambda order: customer(order.document["customer"]),
    "shippingLines": lambda order: shipping_lines(order),
    "shippingLine": lambda order: next(iter(shipping_lines(order)), None),
}


def shipping_lines(order):
    return view.shipping_lines(order.document["shipping_lines"], order.document["discount_applications"])


def customer(found):
    if found is None:
        return None
    number, home = found["id"], found.get("default_address")
    name = " ".join(filter(None, (found.get("first_name"), found.get("last_name"))))
    return {"__typename": "Customer", "id": gid("Customer", number), "legacyResourceId": str(number),
            "email": found.get("email"), "firstName": found.get("first_name"), "lastName": found.get("last_name"),
            "displayName": name or found.get("email") or "", "phone": found.get("phone"), "note": found.get("note"),
            "createdAt": view.utc(found.get("created_at")), "updatedAt": view.utc(found.get("updated_at")),
            "tags": labels(found.get("tags")), "state": (found.get("state") or "disabled").upper(),
            "verifiedEmail": bool(found.get("verified_email")),
            "multipassIdentifier": found.get("multipass_identifier"),
            "taxExempt": bool(found.get("tax_exempt")), "taxExemptions": found.get("tax_exemptions") or [],
            "amountSpent": view.one_money("0.0", found.get("currency") or "EUR"),
            "defaultAddress": home and view.address(home, home.get("id") or number)}


def line_money(shop, line, amount):
    return bag_of(shop.find(line.order).document, amount)


def discounts(line):
    return sum((cents(one["amount"]) for one in line.line["discount_allocations"]), cents(0))


def whole(line):
    return cents(line.line["price"]) * line.line["quantity"]


LINE_FIELDS = {
    **{ours: (lambda line, theirs=theirs: line.line.get(theirs)) for ours, theirs in (
        ("name", "name"), ("title", "title"), ("sku", "sku"), ("quantity", "quantity"), ("vendor", "vendor"),
        ("variantTitle", "variant_title"), ("taxable", "taxable"), ("isGiftCard", "gift_card"),
        ("requiresShipping", "requires_shipping"), ("currentQuantity", "current_quantity"),
        ("fulfillableQuantity", "fulfillable_quantity"), ("unfulfilledQuantity", "fulfillable_quantity"),
        ("refundableQuantity", "current_quantity"))},
    "nonFulfillableQuantity": lambda line: line.line["quantity"] - line.line["fulfillable_quantity"],
    "fulfillmentStatus": lambda line: line.line["fulfillment_status"] or "unfulfilled",
    "customAttributes": lambda line: view.attributes(line.line["properties"]),
    "originalUnitPriceSet": lambda line: bag(line.line["price_set"]),
    "totalDiscountSet": lambda line: bag(line.line["total_discount_set"]),
    "taxLines": lambda line: view.tax_lines(line.line["tax_lines"]),
}


def purchaser(order):
    company = order.document.get("company")
    if not company:
        return customer(order.document["customer"])
    buyer = order.document["customer"]
    return {"__typename": "PurchasingCompany",
            "company": {"id": gid("Company", company["id"]), "name": company.get("name", "Company"),
                        "externalId": None},
            "contact": {"id": gid("CompanyContact", buyer["id"])} if buyer else None,
            "location": {"id": gid("CompanyLocation", company["location_id"]), "externalId": None,
                         "name": company.get("name", "Company")}}


def unlisted_product(shop, line):
    """The product of a line that came with its order, and is not in the catalogue."""
    number, now = line.get("product_id") or line["variant_id"], shop.stamp()
    return {"__typename": "Product", "id": gid("Product", number), "legacyResourceId": str(number), "createdAt": now,
            "updatedAt": now, "title": line["title"], "vendor": line["vendor"] or "", "handle": str(number)}


def unlisted(shop, line):
    """The variant of such a line."""
    number, now = line["variant_id"], shop.stamp()
    same = {"legacyResourceId": str(number), "sku": line["sku"], "createdAt": now, "updatedAt": now}
    weight = {"value": float(line.get("grams") or 0), "unit": "GRAMS"}
    variant = {**same, "__typename": "ProductVariant", "id": gid("ProductVariant", number), "barcode": None,
               "title": line["variant_title"] or line["title"], "displayName": line["name"], "price": line["price"],
               "taxable": line["taxable"], "product": unlisted_product(shop, line)}
    variant["inventoryItem"] = {
        **same, "__typename": "InventoryItem", "id": gid("InventoryItem", number), "variant": variant,
        "tracked": line.get("variant_inventory_management") == "shopify", "requiresShipping": line["requires_shipping"],
        "measurement": {"id": gid("InventoryItemMeasurement", number), "weight": weight}}
    return variant


def install(engine):
    shop = engine.shop
    for name, of in FIELDS.items():
        engine.field("Order", name)(lambda source, args, call, of=of: of(source))
    for name, of in LINE_FIELDS.items():
        engine.field("LineItem", name)(lambda source, args, call, of=of: of(source))

    order = lambda *names: engine.field("Order", *names)  # noqa: E731
    order("lineItems")(lambda source, args, call: [shop.find(one) for one in source.lineIds])
    order("retailLocation")(lambda source, args, call: None)
    order("returnStatus")(lambda source, args, call: return_status(shop, source))
    order("purchasingEntity")(lambda source, args, call: purchaser(source))
    order("transactions")(lambda source, args,
                          call: [shop.find(one) for one in source.transactionIds][:args.get("first")])
    order("totalReceivedSet")(lambda source, args, call: bag_of(source.document, received(shop, source)))
    order("totalRefundedSet")(lambda source, args, call: bag_of(source.document, refunded(shop, source)))
    order("netPaymentSet")(lambda source, args, call: bag_of(source.document, received(shop, source)
                                                             - refunded(shop, source)))
    order("refundable")(lambda source, args, call: bool(transactions(shop, source, "SALE", "CAPTURE"))
                        and received(shop, source) > refunded(shop, source))

    @order("risk")
    def risk(source, args, call):
        return source.risk or {"recommendation": "NONE", "assessments": []}
    of_lines(engine, shop)


def of_lines(engine, shop):
    """The fields of lines and of transactions."""
    line = lambda *names: engine.field("LineItem", *names)  # noqa: E731
    payment = lambda *names: engine.field("OrderTransaction", *names)  # noqa: E731

    line("discountedTotalSet")(lambda source, args, call: line_money(
        shop, source, whole(source) - (discounts(source) if args["withCodeDiscounts"] else 0)))
    line("originalTotalSet")(lambda source, args, call: line_money(shop, source, whole(source)))
    line("discountedUnitPriceSet")(lambda source, args, call: line_money(
        shop, source, (whole(source) - cents(source.line["total_discount"])) / max(1, source.line["quantity"])))
    line("discountAllocations")(lambda source, args, call: view.allocations(
        source.line["discount_allocations"], shop.find(source.order).document["discount_applications"]))

    @line("variant")
    def variant(source, args, call):
        number, found = source.line.get("variant_id"), variant_of(shop, source.line)
        if found is not None or not number or not source.line["product_exists"]:
            return found
        return unlisted(shop, source.line)

    @line("fulfillmentService")
    def service(source, args, call):
        handle = source.line["fulfillment_service"]
        if handle == "manual":
            return None
        known = next((one for one in shop.all("FulfillmentService") if one.handle == handle), None)
        return known or {"__typename": "FulfillmentService", "id": gid("FulfillmentService", 1), "handle": handle,
                         "serviceName": handle}

    @engine.field("InventoryItem", "measurement")
    def measurement(source, args, call):
        if isinstance(source, dict) and "measurement" in source:
            return source["measurement"]
        return {"id": source["id"].replace("InventoryItem/", "InventoryItemMeasurement/"), "weight": None}

    @line("product")
    def product(source, args, call):
        number, variant = source.line.get("product_id"), variant_of(shop, source.line)
        if variant is not None:
            return shop.find(variant.product)
        return unlisted_product(shop, source.line) if number and source.line["product_exists"] else None

    payment("amountSet")(lambda source, args, call: bag_of(shop.find(source.order).document, source.amount))
    payment("order")(lambda source, args, call: shop.find(source.order))
    payment("parentTransaction")(lambda source, args, call: shop.find(source.parent) if source.parent else None)
    payment("formattedGateway")(lambda source, args, call: source.gateway.replace("_", " ").title())
    payment("test")(lambda source, args, call: bool(shop.find(source.order).document["test"]))
    payment("manualPaymentGateway")(lambda source, args, call: source.gateway == "manual")
    payment("paymentId", "receiptJson", "errorCode", "authorizationCode")(lambda source, args, call: None)
