"""What the webhook of each topic says of a change: the shop's things in the form of deliveries.

An order's document is that form already. Here are the others, told from the thing itself and from what the change said
besides; a topic that nobody renders is not sent, and the books say so.
"""

from sandbox import shopify_bodies_fulfil
from sandbox.shopify_drafts import buyer_document, price_of, total
from sandbox.shopify_metafields import of_owner
from sandbox.shopify_shop import number_of
from sandbox.shopify_view import address_document, cents, plain_set


def number(global_id):
    return int(number_of(global_id))


def lower(value):
    return value.lower() if isinstance(value, str) else value


def identified(thing):
    return {"id": number(thing["id"]), "admin_graphql_api_id": thing["id"]}


# ---- orders ----

def edited(shop, thing, change):
    """Only what changed: additions and removals of lines."""
    said = change.extra
    return {"order_edit": {
        "id": number(shop.new_id("OrderEdit")), "app_id": None, "created_at": thing.document["updated_at"],
        "notify_customer": False, "order_id": thing.document["id"], "staff_note": said.get("note"), "user_id": None,
        "line_items": {"additions": said.get("additions", []), "removals": said.get("removals", [])},
        "discounts": {"line_item": {"additions": [], "removals": []}},
        "shipping_lines": {"additions": [], "removals": []}, "committed_at": thing.document["updated_at"]}}


def transaction(shop, thing, change):
    of = shop.find(thing.order).document
    nothing = {"amount": "0.0", "currency": of["currency"]}
    return {
        **identified(thing), "order_id": of["id"], "kind": thing.kind.lower(), "gateway": thing.gateway,
        "status": thing.status.lower(), "message": "Approved" if thing.status == "SUCCESS" else "Declined",
        "created_at": thing.processedAt, "test": of["test"], "authorization": None, "location_id": None,
        "user_id": None, "parent_id": thing.parent and number(thing.parent), "processed_at": thing.processedAt,
        "device_id": None, "error_code": None, "source_name": of["source_name"], "payment_details": None,
        "receipt": {}, "amount": str(cents(thing.amount)), "currency": of["currency"],
        "payment_id": f"{of['name']}.{len(shop.find(thing.order).transactionIds)}",
        "total_unsettled_set": {"presentment_money": {**nothing, "currency": of["presentment_currency"]},
                                "shop_money": nothing},
        "manual_payment_gateway": thing.gateway == "manual", "amount_rounding": None}


# ---- draft orders ----

def draft_line(shop, thing, at, line):
    variant = shop.find(line["variantId"]) if line.get("variantId") else None
    price = str(cents(price_of(shop, line)))
    title = variant.title if variant else line["title"]
    return {
        "id": int(f"{number_of(thing['id'])}{at:04}"), "variant_id": variant and number(variant["id"]),
        "product_id": variant and number(variant.product), "title": title, "name": title, "variant_title": None,
        "sku": variant.sku if variant else line.get("sku"), "vendor": None, "quantity": line["quantity"],
        "requires_shipping": line.get("requiresShipping", True), "taxable": line.get("taxable", True),
        "gift_card": False, "fulfillment_service": "manual", "grams": 0, "custom": variant is None, "price": price,
        "tax_lines": [], "applied_discount": None, "properties": [
            {"name": one["key"], "value": one["value"]} for one in line.get("customAttributes") or []],
        "admin_graphql_api_id": f"gid://shopify/DraftOrderLineItem/{number_of(thing['id'])}{at:04}"}


def draft(shop, thing, change):
    customer, company = buyer_document(thing)
    whole = str(cents(total(shop, thing)))
    return {
        **identified(thing), "note": thing.note2, "email": thing.email, "taxes_included": False,
        "currency": thing.currency, "invoice_sent_at": thing.invoiceSentAt, "created_at": thing.createdAt,
        "updated_at": thing.updatedAt, "tax_exempt": thing.taxExempt, "completed_at": thing.completedAt,
        "name": thing.name, "allow_discount_codes_in_checkout?": False, "b2b?": company is not None,
        "status": thing.status.lower(),
        "line_items": [draft_line(shop, thing, at, line) for at, line in enumerate(thing.lines)],
        "api_client_id": 580999, "shipping_address": address_document(thing.shippingAddress),
        "billing_address": address_document(thing.billingAddress), "invoice_url": thing.url, "applied_discount": None,
        "order_id": thing.order and number(thing.order), "shipping_line": None,
        "tax_lines": [], "tags": ", ".join(thing.tags),
        "note_attributes": [{"name": one["key"], "value": one["value"]} for one in thing.customAttributes],
        "total_price": whole, "subtotal_price": whole, "total_tax": "0.00", "total_price_set":
        plain_set(total(shop, thing), thing.currency), "payment_terms": thing.paymentTerms and {
            "payment_terms_name": "Net 30", "payment_terms_type": "net", "due_in_days": 30}, "customer": customer}


# ---- returns ----

def declined(shop, thing, change):
    return {name: thing.document[name] for name in ("id", "admin_graphql_api_id", "status", "order", "decline")}


def ended(shop, thing, change):
    """Closed, reopened, cancelled: the order is a plain number here."""
    return {**identified(thing), "order_id": thing.document["order"]["id"], "status": thing.document["status"]}


def processed(shop, thing, change):
    """Ours: nobody has published this one."""
    return {name: thing.document[name] for name in ("id", "admin_graphql_api_id", "name", "status", "order")}


# ---- stock and places ----

def level(shop, thing, change):
    return {"inventory_item_id": number(thing.item), "location_id": number(thing.location),
            "available": thing.quantities["available"] if thing.isActive else None, "updated_at": thing.updatedAt,
            "admin_graphql_api_id": thing["id"]}


def unlevelled(shop, thing, change):
    return {name: value for name, value in level(shop, thing, change).items() if name != "available"}


def place(shop, thing, change):
    at = thing.address
    return {**identified(thing), "name": thing.name, "address1": at["address1"], "address2": at["address2"],
            "city": at["city"], "zip": at["zip"], "province": at["province"], "country": at["countryCode"],
            "phone": at["phone"], "created_at": thing.createdAt, "updated_at": thing.updatedAt,
            "country_code": at["countryCode"], "country_name": at["country"], "province_code": at["provinceCode"],
            "legacy": thing.isFulfillmentService, "active": thing.isActive}


def product(shop, thing, change):
    mine = [one for one in shop.all("ProductVariant") if one.product == thing["id"]]
    return {
        **identified(thing), "title": thing.title, "body_html": None, "vendor": thing.vendor, "product_type": "",
        "created_at": thing.createdAt, "handle": thing.handle, "updated_at": thing.updatedAt,
        "published_at": thing.createdAt, "template_suffix": None, "published_scope": "global", "status": "active",
        "tags": ", ".join(thing.get("tags") or []), "variants": [
            {**identified(one), "product_id": number(thing["id"]), "title": one.title, "price": one.price,
             "sku": one.sku,
             "barcode": one.barcode, "taxable": one.taxable, "inventory_item_id": number(one.inventoryItem),
             "created_at": one.createdAt, "updated_at": one.updatedAt} for one in mine],
        "options": [], "images": [], "image": None, "media": [], "variant_gids": [
            {"admin_graphql_api_id": one["id"], "updated_at": one.updatedAt} for one in mine]}


def document(shop, thing, change):
    return thing.document


def metafields(shop, owner, namespaces, named):
    """Those of an owner that a subscription wants: of its namespaces, and those that it names."""
    names = {(one.get("namespace"), one["key"]) for one in named}
    return [{**identified(one), "namespace": one.namespace, "key": one.key, "value": one.value, "description": None,
             "owner_id": number(owner), "owner_resource": one.ownerType.lower(), "type": one.type,
             "created_at": one.createdAt, "updated_at": one.updatedAt}
            for one in of_owner(shop, owner) if one.namespace in namespaces or (one.namespace, one.key) in names]


# ---- the table ----

BODIES = {
    "orders": document, "refunds": document, "orders/edited": edited, "order_transactions": transaction,
    "draft_orders": draft,
    "returns/request": document, "returns/approve": document, "returns/decline": declined, "returns/close": ended,
    "returns/reopen": ended, "returns/cancel": ended, "returns/process": processed,
    "inventory_levels": level, "inventory_levels/disconnect": unlevelled, "locations": place, "products": product,
    **shopify_bodies_fulfil.BODIES,
}


def body_of(shop, change):
    """The body of the change's topic; None if nobody can tell it."""
    thing = shop.find(change.id)
    resource, _, action = change.topic.partition("/")
    if action == "delete":
        return {"id": number(change.id)}
    render = BODIES.get(change.topic) or BODIES.get(resource)
    return render(shop, thing, change) if render and thing is not None else None
