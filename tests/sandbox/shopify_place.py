"""Makes the body of an order out of lines: for draft orders that are completed, and for tests that say what is bought.
"""

import decimal
import uuid

from sandbox.shopify_catalogue import variant_by_sku
from sandbox.shopify_shop import gid, number_of
from sandbox.shopify_view import cents, plain_set

NO_MONEY = "0.00"


def line_document(shop, title, quantity, price, currency, variant=None, sku=None, vendor=None, properties=None,
                  service="manual", shipping=True, taxable=True):
    number = int(number_of(shop.new_id("LineItem")))
    product = variant and shop.find(variant.product)
    price = str(cents(price))
    return {
        "id": number, "admin_graphql_api_id": gid("LineItem", number), "attributed_staffs": [],
        "current_quantity": quantity, "fulfillable_quantity": quantity, "fulfillment_service": service,
        "fulfillment_status": None, "gift_card": False, "grams": 0, "name": title, "price": price,
        "price_set": plain_set(price, currency), "product_exists": variant is not None,
        "product_id": int(number_of(variant.product)) if variant else None, "properties": properties or [],
        "quantity": quantity, "requires_shipping": shipping, "sales_line_item_group_id": None,
        "sku": variant.sku if variant else sku, "taxable": taxable, "title": title, "total_discount": NO_MONEY,
        "total_discount_set": plain_set(0, currency), "variant_id": int(number_of(variant["id"])) if variant else None,
        "variant_inventory_management": "shopify" if variant else None, "variant_title": None,
        "vendor": vendor or (product.vendor if product else None), "tax_lines": [], "duties": [],
        "discount_allocations": []}


def order_document(shop, lines, currency=None, paid=True, email=None, customer=None, shipping_address=None,
                   billing_address=None, tags="", note=None, note_attributes=None, po_number=None, source_name="web",
                   phone=None, payment_terms=None, shipping=0):
    """The body of an order of these line documents, placed now."""
    number = next(shop.numbers["order number"])
    shop_number = int(number_of(shop.new_id("Order")))
    currency = currency or shop.currency
    shipping = cents(shipping)
    subtotal = sum((cents(one["price"]) * one["quantity"] for one in lines), decimal.Decimal())
    total = cents(subtotal + shipping)
    now = shop.stamp().replace("Z", "+00:00")
    token = uuid.uuid4().hex
    amounts = {"total_line_items_price": subtotal, "total_discounts": 0, "subtotal_price": subtotal, "total_tax": 0,
               "total_price": total, "current_total_discounts": 0, "current_subtotal_price": subtotal,
               "current_total_tax": 0, "current_total_price": total}
    document = {
        "id": shop_number, "admin_graphql_api_id": gid("Order", shop_number), "app_id": 580111, "browser_ip": None,
        "buyer_accepts_marketing": False, "cancel_reason": None, "cancelled_at": None, "cart_token": None,
        "checkout_token": token, "client_details": None, "closed_at": None, "confirmation_number": token[:9].upper(),
        "confirmed": True, "contact_email": email, "created_at": now, "currency": currency, "customer_locale": "en",
        "device_id": None, "discount_codes": [], "duties_included": False, "email": email, "estimated_taxes": False,
        "financial_status": "paid" if paid else "pending", "fulfillment_status": None, "location_id": None,
        "name": f"#{number + 1000}", "note": note, "note_attributes": note_attributes or [], "number": number,
        "order_number": number + 1000, "order_status_url": f"https://{shop.domain}/orders/{token}/authenticate",
        "payment_gateway_names": ["shopify_payments" if paid else "manual"], "phone": phone, "po_number": po_number,
        "presentment_currency": currency, "processed_at": now, "source_identifier": None, "source_name": source_name,
        "tags": tags, "tax_exempt": False, "tax_lines": [], "taxes_included": False, "test": False, "token": token,
        "total_outstanding": NO_MONEY if paid else str(total), "total_tip_received": NO_MONEY,
        "total_weight": sum(one["grams"] * one["quantity"] for one in lines), "updated_at": now, "user_id": None,
        "billing_address": billing_address, "customer": customer, "discount_applications": [], "fulfillments": [],
        "line_items": lines, "payment_terms": payment_terms, "refunds": [], "shipping_address": shipping_address,
        "shipping_lines": [shipping_line(shop, shipping, currency)] if shipping else [], "returns": [],
        "line_item_groups": [], "landing_site": None, "landing_site_ref": None, "referring_site": None,
        "reference": None,
        "source_url": None, "merchant_business_entity_id": "MTU0ODM4MDAwOQ", "merchant_of_record_app_id": None,
        "current_total_additional_fees_set": None, "current_total_duties_set": None,
        "original_total_additional_fees_set": None, "original_total_duties_set": None,
        "total_cash_rounding_payment_adjustment_set": plain_set(0, currency),
        "total_cash_rounding_refund_adjustment_set": plain_set(0, currency),
        "total_shipping_price_set": plain_set(shipping, currency),
        "current_shipping_price_set": plain_set(shipping, currency)}
    for name, amount in amounts.items():
        document[name], document[name + "_set"] = str(cents(amount)), plain_set(amount, currency)
    return document


def shipping_line(shop, price, currency):
    money = plain_set(price, currency)
    return {"id": int(number_of(shop.new_id("ShippingLine"))), "carrier_identifier": None, "code": "Standard",
            "current_discounted_price_set": money, "discounted_price": str(price), "discounted_price_set": money,
            "is_removed": False, "phone": None, "price": str(price), "price_set": money,
            "requested_fulfillment_service_id": None, "source": "shopify", "title": "Standard", "tax_lines": [],
            "discount_allocations": []}


def bought(shop, lines, **order):
    """An order of [{"sku", "quantity", "price", "service", "title", "vendor"}]; what is left out comes of the variant.
    """
    made = []
    for one in lines:
        variant = variant_by_sku(shop, one.get("sku"))
        made.append(line_document(
            shop, one.get("title") or (variant.title if variant else "Thing"), one.get("quantity", 1),
            one.get("price") or (variant.price if variant else "10.00"), order.get("currency") or shop.currency,
            variant,
            one.get("sku"), one.get("vendor"), service=one.get("service", "manual"),
            shipping=one.get("requires_shipping", True)))
    return order_document(shop, made, **order)
