"""The stand-ins' books against what was sent, field by field.

Nothing here comes from the gateway but the list of what it holds: what arrived is what the stand-ins
say that arrived.
"""

import collections

from sandbox.orders import BYRON, NORD, UNMAPPED

SUPPLIER_OF = {BYRON: "byron", NORD: "nord"}
SHOWN = 12  # differences that are printed


def subject_of(order):
    return f"order:example.myshopify.com/{order.id}"


def pieces_of(order):
    """vendor -> lines."""
    return order.summary["by_vendor"]


class Tally:
    """One row of the report."""

    def __init__(self, name, expected):
        self.name, self.expected = name, expected
        self.found = self.missing = self.doubled = self.different = self.alien = 0

    @property
    def good(self):
        return not (self.missing or self.doubled or self.different or self.alien)


class Comparison:
    """The orders that must have arrived, and what the books say.

    orders: the acknowledged ones. released: {(order id, vendor): supplier} of held pieces that a person
    sent on. dead: {(endpoint, order id)} that must not have arrived (yet).
    """

    def __init__(self, orders, released=None, dead=()):
        self.orders = orders
        self.by_id = {order.id: order for order in orders}
        self.released = released or {}
        self.dead = set(dead)
        self.differences = []
        self.fields = 0
        self.tallies = []
        self.arrived_ms = collections.defaultdict(dict)  # endpoint -> order id -> when
        self.upserted_again = 0

    @property
    def good(self):
        return not self.differences

    def wrong(self, text):
        self.differences.append(text)

    def same(self, where, field, found, wanted):
        """Counts a field; types count too: an id is an integer, money is text."""
        self.fields += 1
        if type(found) is type(wanted) and found == wanted:
            return True
        self.wrong(f"{where}: {field} is {found!r}, sent was {wanted!r}")
        return False

    # ---- suppliers ----

    def supplier_of(self, order, vendor):
        return SUPPLIER_OF.get(vendor) or self.released.get((order.id, vendor))

    def expected_pieces(self, name):
        """line id -> (order, vendor): any line of a piece names it."""
        found = {}
        for order in self.orders:
            if (name, order.id) in self.dead:
                continue
            for vendor, lines in pieces_of(order).items():
                if self.supplier_of(order, vendor) == name:
                    for line in lines:
                        found[str(line["id"])] = (order, vendor)
        return found

    def supplier(self, name, books):
        expected = self.expected_pieces(name)
        pieces = {(order.id, vendor) for order, vendor in expected.values()}
        tally = Tally(f"orders at {name}", len(pieces))
        self.tallies.append(tally)
        seen = collections.Counter()
        for entry in books["orders"]:
            tally.found += 1
            body = entry["body"]
            where = f"{name} {entry['id']}"
            ids = {str(item.get("external_id")) for item in body.get("items", [])}
            piece = next((expected[one] for one in sorted(ids) if one in expected), None)
            if piece is None:
                tally.alien += 1
                self.wrong(f"{where}: nobody ordered this: shop_order_id {body.get('shop_order_id')}")
                continue
            order, vendor = piece
            seen[order.id, vendor] += 1
            self.arrived_ms[name].setdefault(order.id, entry["at"])
            if not self.supplier_order(where, body, order, pieces_of(order)[vendor]):
                tally.different += 1
        for piece in pieces:
            if seen[piece] == 0:
                tally.missing += 1
                self.wrong(f"{name}: order {piece[0]} ({self.by_id[piece[0]].summary['name']}) never arrived")
        tally.doubled = sum(n - 1 for n in seen.values())
        for (order_id, vendor), n in seen.items():
            if n > 1:
                self.wrong(f"{name}: order {order_id} of {vendor} is there {n} times")
        for ours, ids in books["doubles"].items():
            self.wrong(f"{name}: our id {ours} is there {len(ids)} times")
        return tally

    def supplier_order(self, where, body, order, lines):
        """Every field of one order at a supplier."""
        s, to = order.summary, order.summary["shipping_address"]
        wanted = {"reference": s["name"], "shop_order_id": s["id"], "currency": s["currency"]}
        good = [self.same(where, field, body.get(field), value) for field, value in wanted.items()]
        recipient = {"name": to["name"], "company": to["company"], "address1": to["address1"],
                     "address2": to["address2"], "city": to["city"], "zip": to["zip"],
                     "country_code": to["country_code"], "email": s["email"]}
        good += [self.same(where, f"recipient.{field}", body["recipient"].get(field), value)
                 for field, value in recipient.items()]
        items = {str(item.get("external_id")): item for item in body["items"]}
        good.append(self.same(where, "number of items", len(body["items"]), len(lines)))
        for line in lines:
            item = items.get(str(line["id"]), {})
            wanted = {"external_id": str(line["id"]), "sku": line["sku"] or "none",
                      "quantity": line["quantity"], "retail_price": line["price"],
                      "properties": line["properties"]}
            good += [self.same(where, f"item {line['sku']} {field}", item.get(field), value)
                     for field, value in wanted.items()]
        return all(good)

    # ---- the CRM ----

    def crm(self, records):
        expected = {str(order.id): order for order in self.orders if ("crm", order.id) not in self.dead}
        tally = Tally("opportunities in Salesforce", len(expected))
        self.tallies.append(tally)
        seen = collections.Counter()
        for record in records:
            tally.found += 1
            key = record["fields"].get("Shopify_Order_Id__c")
            if key not in expected:
                tally.alien += 1
                self.wrong(f"Salesforce {record['Id']}: nobody ordered {key}")
                continue
            seen[key] += 1
            self.upserted_again += record["versions"] > 1
            if not self.opportunity(f"Salesforce {record['Id']}", record["fields"], expected[key]):
                tally.different += 1
        for key, order in expected.items():
            if seen[key] == 0:
                tally.missing += 1
                self.wrong(f"Salesforce: order {key} ({order.summary['name']}) never arrived")
            elif seen[key] > 1:
                tally.doubled += seen[key] - 1
                self.wrong(f"Salesforce: order {key} is there {seen[key]} times")
        return tally

    def opportunity(self, where, fields, order):
        s, customer = order.summary, order.document["customer"]
        name = [s["name"]]
        if customer:
            name += [customer["first_name"], customer["last_name"]]
        wanted = {"Shopify_Order_Id__c": str(s["id"]), "Shopify_Order_Name__c": s["name"],
                  "Name": " ".join(part for part in name if part)[:120], "StageName": "Closed Won",
                  "CloseDate": order.document["processed_at"][:10], "Amount": s["total_price"],
                  "Currency__c": s["currency"], "Note__c": s["note"]}
        return all([self.same(where, field, fields.get(field), value) for field, value in wanted.items()])

    # ---- what waits for a person ----

    def held(self, rows):
        """Pieces without a supplier are held, once each, and nothing else is."""
        wanted = {(subject_of(order), UNMAPPED) for order in self.orders if order.summary["unmapped"]
                  and (order.id, UNMAPPED) not in self.released}
        tally = Tally("held for a person", len(wanted))
        self.tallies.append(tally)
        found = collections.Counter((row["subject"], row["piece"]) for row in rows)
        tally.found = len(rows)
        for what in wanted - set(found):
            tally.missing += 1
            self.wrong(f"{what[0]}: the piece of {what[1]} is not held")
        for what in set(found) - wanted:
            tally.alien += found[what]
            self.wrong(f"{what[0]}: the piece of {what[1]} is held and should not be")
        for what, n in found.items():
            if n > 1:
                tally.doubled += n - 1
                self.wrong(f"{what[0]}: the piece of {what[1]} is held {n} times")
        return tally

    def dead_letters(self, rows):
        """Exactly those that were provoked."""
        wanted = {(endpoint, subject_of(self.by_id[order_id])) for endpoint, order_id in self.dead}
        tally = Tally("dead letters left", len(wanted))
        self.tallies.append(tally)
        found = collections.Counter((row["endpoint"], row["subject"]) for row in rows)
        tally.found = len(rows)
        for endpoint, subject in wanted - set(found):
            tally.missing += 1
            self.wrong(f"{endpoint}: {subject} should be a dead letter")
        for row in rows:
            if (row["endpoint"], row["subject"]) not in wanted:
                tally.alien += 1
                self.wrong(f"dead letter {row['id']} at {row['endpoint']}, {row['subject']}: {row['reason']}")
        return tally

    # ---- the orders that nobody placed ----

    def nowhere(self, orders, supplier_books, records, subjects):
        """Forged orders: not at a supplier, not in Salesforce, not among the gateway's deliveries."""
        tally = Tally("forged, seen anywhere", 0)
        self.tallies.append(tally)
        ids = {order.id for order in orders}
        seen = [entry["body"].get("shop_order_id") for books in supplier_books for entry in books["orders"]]
        seen += [int(record["fields"].get("Shopify_Order_Id__c") or 0) for record in records]
        seen += [int(subject.rpartition("/")[2] or 0) for subject in subjects]
        for one in seen:
            if one in ids:
                tally.found += 1
                tally.alien += 1
                self.wrong(f"order {one} was forged, and is there")
        return tally


def percentile(values, percent):
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, len(ordered) * percent // 100)] if ordered else 0
