"""Makes order webhooks out of data/shopify-order.sample.json: seeded, varied, right to the cent.

    factory = OrderFactory(seed=1)
    order = factory.order(17)      # the same bytes for the same seed and number
    order.body                     # exact bytes to sign and send
    order.summary                  # what the books must show in the end
"""

import copy
import datetime
import hashlib
import json
import os
import random
from decimal import ROUND_HALF_UP, Decimal

DATA = os.path.join(os.path.dirname(os.path.abspath(__file__)), "data")
CENT = Decimal("0.01")
TWO_53 = 2**53

BYRON, NORD, UNMAPPED = "Byron Gears", "Supplier Nord", "Atelier Zéphyr"

# vendor: [(sku, title, variant, grams, lowest and highest price in cents)]
CATALOGUE = {
    BYRON: [("GEAR-BEV-20", "Bevel gear", "20T", 800, 3500, 4500),
            ("GEAR-SPUR-12", "Spur gear", "12T", 350, 899, 1499),
            ("GEAR-WORM-05", "Worm gear", "5:1", 1200, 7999, 12999),
            ("SHAFT-8x200", "Shaft", '8" × 200', 400, 1, 999)],
    NORD: [("PLATE-CUST-01", "Name plate", "Brass", 150, 1490, 2490),
           ("PLATE-CUST-02", "Name plate", "Steel, brushed", 180, 1890, 3190),
           ("STAND-OAK", "Oak stand", None, 900, 4999, 8999)],
    UNMAPPED: [("AFFICHE-A2", "Affiche", "A2", 60, 1200, 3900), (None, "Custom item", None, 0, 500, 50000)],
}

FIRST = ["Ada", "Zoë", "Ngọc", "Łukasz", "محمد", "Jean-Luc", "Grace", "李", "Øyvind", "Ana María", "Siobhán",
         "T.J."]
LAST = ["Byron", "O'Hara", "Nguyễn", "Żółć", "الفارسي", 'van "Dutch" Berg', "Hopper", "小龍", "Ærø",
        "Núñez, Jr.", "Müller", "Smith & Sons"]
NOTES = [None, None, "Leave with reception", 'Say "hello" first, then ring; twice',
         "Line one\nLine two\n\tindented",
         "Gift: ☕ & 🎁 - naïve façade №7", "=1+1,'; DROP TABLE orders;--", "back\\slash / slash",
         "ends with a blank "]
STREETS = ["12 Mill Lane", "4, Quay St\nUnit 4", "Straße des 17. Juni 135", "Calle 5 #12-34",
           'The "Old" Barn', "東京都港区1-2-3"]
TAGS = ["b2c, engraved, express", "", "b2b", "vip, ☕"]


def cents(amount):
    return amount.quantize(CENT, ROUND_HALF_UP)


class Order:
    """One webhook body (`body`, exact bytes) and what is in it (`summary`)."""

    def __init__(self, number, document, style):
        self.number = number
        self.document = document
        self.style = style
        self.body = to_bytes(document, style)
        self.summary = summarise(document, self.body)

    @property
    def id(self):
        return self.document["id"]


def to_bytes(document, style):
    """JSON as one of several legal writers would put it: the signature is over bytes, not values."""
    text = json.dumps(document, ensure_ascii=style == "ascii", separators=(",", ":"))
    if style == "slash":
        text = text.replace("/", "\\/")
    elif style == "html":
        text = text.replace("&", "\\u0026").replace("<", "\\u003c").replace(">", "\\u003e")
    return text.encode()


def summarise(document, body):
    """What a comparison of books needs. Ids are int, money is text exactly as sent."""
    lines = [{"id": one["id"], "sku": one["sku"], "title": one["title"], "vendor": one["vendor"],
              "quantity": one["quantity"], "price": one["price"], "properties": one["properties"]}
             for one in document["line_items"]]
    customer = document["customer"]
    by_vendor = {}
    for line in lines:
        by_vendor.setdefault(line["vendor"], []).append(line)
    return {
        "id": document["id"], "name": document["name"], "email": document["email"], "note": document["note"],
        "tags": document["tags"], "currency": document["currency"],
        "customer_id": customer and customer["id"],
        "total_price": document["total_price"], "subtotal_price": document["subtotal_price"],
        "total_tax": document["total_tax"], "total_discounts": document["total_discounts"],
        "created_at": document["created_at"], "updated_at": document["updated_at"],
        "shipping_address": document["shipping_address"], "lines": lines, "by_vendor": by_vendor,
        "vendors": sorted(by_vendor), "unmapped": UNMAPPED in by_vendor,
        "sha256": hashlib.sha256(body).hexdigest(),
    }


class OrderFactory:
    """Orders 0, 1, 2 ... of one seed. Order ids are odd and beyond 2^53: no double can hold them."""

    def __init__(self, seed=1, start=datetime.datetime(2026, 11, 20, 9, 15, 30), unmapped=0.06):
        self.seed = seed
        self.start = start
        self.unmapped = unmapped  # share of orders that hold an item of a vendor without a supplier
        with open(os.path.join(DATA, "shopify-order.sample.json"), encoding="utf-8") as source:
            self.text = source.read()
        self.sample = json.loads(self.text)

    def order_id(self, number):
        return TWO_53 + 1 + 2 * (number + (self.seed % 10_000_000) * 10_000_000)

    def orders(self, count, first=0):
        return [self.order(number) for number in range(first, first + count)]

    def order(self, number):
        rng = random.Random(f"{self.seed}/{number}")
        document = json.loads(self.text)
        self.identify(document, number, rng)
        self.people(document, number, rng)
        self.items(document, number, rng)
        document["note"] = rng.choice(NOTES)
        document["tags"] = rng.choice(TAGS)
        return Order(number, document, rng.choice(["plain", "plain", "ascii", "slash", "html"]))

    def updated(self, order, times=1):
        """A later state of the same order: new tags and note, `updated_at` later by a minute each time."""
        document = copy.deepcopy(order.document)
        moment = datetime.datetime.fromisoformat(document["updated_at"]) + datetime.timedelta(minutes=times)
        document["updated_at"] = moment.isoformat()
        document["tags"] = ", ".join(filter(None, [order.document["tags"], f"update-{times}"]))
        document["note"] = f"change no. {times}"
        return Order(order.number, document, order.style)

    # ---- the parts of a document ----

    def identify(self, document, number, rng):
        order_id = self.order_id(number)
        created = self.start + datetime.timedelta(milliseconds=30 * number)
        local = (created + datetime.timedelta(hours=1)).replace(microsecond=0).isoformat() + "+01:00"
        token = "%032x" % rng.getrandbits(128)
        document.update({
            "id": order_id, "admin_graphql_api_id": f"gid://shopify/Order/{order_id}",
            "number": number + 1, "order_number": number + 1001, "name": f"#{number + 1001}",
            "created_at": local, "processed_at": local, "updated_at": local, "token": token,
            "checkout_token": "%032x" % rng.getrandbits(128),
            "confirmation_number": "X%08X" % rng.getrandbits(32),
            "order_status_url": f"https://example.myshopify.com/70000000001/orders/{token}/authenticate?key=testkey",
            "po_number": f"PO-{number}" if rng.random() < 0.3 else None, "test": False,
        })
        document["note_attributes"][0]["value"] = document["po_number"] or ""

    def people(self, document, number, rng):
        first, last = rng.choice(FIRST), rng.choice(LAST)
        mail = f"buyer{self.seed}.{number}@example.com"
        for address in (document["shipping_address"], document["billing_address"],
                        document["customer"]["default_address"]):
            address.update({"first_name": first, "last_name": last, "name": f"{first} {last}",
                            "address1": rng.choice(STREETS),
                            "company": rng.choice([None, "Byron Gears Ltd", "Æ, \"Ø\" & Å"]),
                            "address2": rng.choice([None, "Unit 3"])})
        document["email"] = document["contact_email"] = mail
        customer = document["customer"]
        customer_id = 7700000000000 + number if rng.random() < 0.8 else TWO_53 + 5 + 2 * number
        customer.update({"id": customer_id, "first_name": first, "last_name": last, "email": mail,
                         "admin_graphql_api_id": f"gid://shopify/Customer/{customer_id}"})
        customer["default_address"]["customer_id"] = customer_id
        if rng.random() < 0.12:
            document["customer"] = None
        if rng.random() < 0.1:
            document["billing_address"] = None

    def vendors(self, rng):
        """Which vendors this order buys from."""
        draw = rng.random()
        if draw < self.unmapped:
            return rng.choice([[UNMAPPED], [BYRON, UNMAPPED], [UNMAPPED, NORD]])
        rest = rng.random()
        return [BYRON] if rest < 0.45 else [NORD] if rest < 0.7 else [BYRON, NORD]

    def items(self, document, number, rng):
        discount = rng.choice([Decimal(0), Decimal(0), Decimal("0.10"), Decimal("0.15")])
        shipping = rng.choice([Decimal("0.00"), Decimal("5.00"), Decimal("12.90")])
        lines, template = [], document["line_items"][0]
        for vendor in self.vendors(rng):
            for product in rng.sample(CATALOGUE[vendor], rng.choice([1, 1, 2])):
                line_id = 2**54 + 1 + 2 * (self.order_id(number) - TWO_53) * 8 + 2 * len(lines)
                lines.append(make_line(copy.deepcopy(template), line_id, vendor, product, rng, discount))
        document["line_items"] = lines
        total_up(document, lines, discount, shipping)


def money_set(amount):
    """Shop money in EUR; the buyer paid in GBP at 0.85."""
    return {"shop_money": {"amount": str(cents(amount)), "currency_code": "EUR"},
            "presentment_money": {"amount": str(cents(amount * Decimal("0.85"))), "currency_code": "GBP"}}


def tax_line(amount):
    return {"channel_liable": False, "price": str(amount), "price_set": money_set(amount), "rate": 0.2,
            "title": "VAT"}


def make_line(line, line_id, vendor, product, rng, discount):
    sku, title, variant, grams, low, high = product
    price = Decimal(rng.randint(low, high)) / 100
    quantity = rng.choice([1, 1, 1, 2, 3, 12])
    off = cents(price * quantity * discount)
    engraving = {"name": "Engraving", "value": rng.choice(["No. 7", 'Ångström & Söhne "№7"', "two\nlines"])}
    line.update({
        "id": line_id, "admin_graphql_api_id": f"gid://shopify/LineItem/{line_id}", "sku": sku,
        "title": title,
        "variant_title": variant, "name": f"{title} - {variant}" if variant else title, "vendor": vendor,
        "grams": grams, "price": str(cents(price)), "price_set": money_set(price), "quantity": quantity,
        "current_quantity": quantity, "fulfillable_quantity": quantity,
        "fulfillment_service": "supplier-nord-dropship" if vendor == NORD else "manual",
        "properties": [engraving] if rng.random() < 0.4 else [],
        "tax_lines": [tax_line(cents((price * quantity - off) * Decimal("0.2")))],
        "discount_allocations": [{"amount": str(off), "amount_set": money_set(off),
                                  "discount_application_index": 0}]
        if off else [],
    })
    if sku is None:
        line.update({"product_id": None, "variant_id": None, "product_exists": False})
    return line


def total_up(document, lines, discount, shipping):
    """All sums of the order, as the platform does them: tax rounded line by line."""
    gross = sum((Decimal(one["price"]) * one["quantity"] for one in lines), Decimal(0))
    off = sum((Decimal(a["amount"]) for one in lines for a in one["discount_allocations"]), Decimal(0))
    shipping_tax = cents(shipping * Decimal("0.2"))
    tax = sum((Decimal(one["tax_lines"][0]["price"]) for one in lines), shipping_tax)
    total = gross - off + shipping + tax
    amounts = {"total_line_items_price": gross, "total_discounts": off, "subtotal_price": gross - off,
               "total_tax": tax,
               "total_price": total, "current_total_discounts": off, "current_subtotal_price": gross - off,
               "current_total_tax": tax, "current_total_price": total}
    for name, amount in amounts.items():
        document[name] = str(cents(amount))
        document[name + "_set"] = money_set(amount)
    document["total_shipping_price_set"] = document["current_shipping_price_set"] = money_set(shipping)
    document["tax_lines"] = [tax_line(cents(tax))]
    document["total_weight"] = sum(one["grams"] * one["quantity"] for one in lines)
    line = document["shipping_lines"][0]
    for name in ("price", "discounted_price"):
        line[name], line[name + "_set"] = str(shipping), money_set(shipping)
    line["current_discounted_price_set"] = money_set(shipping)
    line["tax_lines"] = [tax_line(shipping_tax)]
    if off:
        percent = str(discount * 100)
        document["discount_codes"] = [{"code": "SAVE", "amount": str(cents(off)), "type": "percentage"}]
        document["discount_applications"][0].update({"value": f"{Decimal(percent):.1f}", "code": "SAVE"})
    else:
        document["discount_codes"], document["discount_applications"] = [], []
