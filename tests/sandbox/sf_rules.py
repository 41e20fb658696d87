"""What the Salesforce stand-in's objects demand of each other: price books, orders, lines, quotes, duplicates.

Rules stands between a row that is right in itself and its being written. before() refuses or completes the
values; after() lets the consequences follow (names, sums, numbers).
"""

import decimal

from sandbox import sf_schema as sf
from sandbox.sf_store import RowError

STANDARD_BOOK = sf.make_id("01s", 1)
ORDER_STATES = {"Draft": "Draft", "Activated": "Activated"}  # Status -> StatusCode

# Lines: object -> (lookup of its parent, parent's object, the parent's sum)
LINES = {"OpportunityLineItem": ("OpportunityId", "Opportunity", "Amount"),
         "OrderItem": ("OrderId", "Order", "TotalAmount"), "QuoteLineItem": ("QuoteId", "Quote", "TotalPrice")}

# The settings of an org, changed by the control call `org`.
SETTINGS = {
    "hard_delete": False,  # the permission "Bulk API Hard Delete"
    "multi_currency": False,
    "currency": "EUR",  # of the org, and of every record that names none
    "strict_parents": False,  # a line's parent may not even be sent again on update
    "locks": False,  # what a batch touches is locked while its job is in progress
    "collections_ms": 0,  # how long a collections call takes, having acted; with `locks` it holds what it wrote
    "batch_rows": 10_000,  # rows of one batch inside a job
    "limit_info": "all",  # answers with Sforce-Limit-Info: all, rest (not /jobs), none
    "duplicate_rules": [],  # [{"name", "object", "fields", "action": "block" | "alert", "message"}]
    "duplicate_matches": "duplicateResut",  # key of the matches in answers; empty: none are named
    "gzip": False,  # answers are compressed for those who take it
}


def mismatch(text, field):
    return RowError("FIELD_INTEGRITY_EXCEPTION", f"field integrity exception: {field} ({text})", [field])


class Org:
    """The settings in force."""

    def __init__(self, schema):
        self.schema = schema
        self.clear()

    def clear(self):
        self.__dict__.update({**SETTINGS, "duplicate_rules": []})
        for name in sf.WITH_CURRENCY:
            self.schema.remove_field(name, "CurrencyIsoCode")

    def change(self, wanted):
        """ValueError for what there is not."""
        for name, value in wanted.items():
            if name not in SETTINGS or not isinstance(value, type(SETTINGS[name])):
                raise ValueError(f"there is no setting {name!r} that may be {value!r}")
        for rule in wanted.get("duplicate_rules", ()):
            sobject = self.schema.find(rule.get("object"))
            if sobject is None or not all(self.schema.field(sobject, one)[0] for one in rule["fields"]):
                raise ValueError(f"a duplicate rule that cannot work: {rule}")
        self.__dict__.update(wanted)
        if self.multi_currency:
            for name in sf.WITH_CURRENCY:
                self.schema.add_object(name, {"fields": {"CurrencyIsoCode": {
                    "type": "string", "length": 3, "default": self.currency}}})

    def as_json(self):
        return {name: getattr(self, name) for name in SETTINGS}


class Rules:
    def __init__(self, store, org):
        self.store, self.org = store, org

    def start(self):
        """What an org has from its first day."""
        self.store.records["Pricebook2"][STANDARD_BOOK] = {
            "fields": {"Id": STANDARD_BOOK, "IsDeleted": False, "CreatedDate": self.store.clock.stamp(),
                       "SystemModstamp": self.store.clock.stamp(), "Name": "Standard Price Book",
                       "IsStandard": True, "IsActive": True}, "versions": 0, "sources": []}
        self.store.count = max(self.store.count, 1)

    # ---- before a write ----

    def before(self, sobject, record_id, clean, allow_save):
        have = self.store.fields_of(sobject, record_id)
        self.fixed_fields(sobject, record_id, have, clean)
        check = getattr(self, "before_" + sobject, None)
        if check:
            check(record_id, have, clean)
        elif sobject in LINES:
            self.before_line(sobject, record_id, have, clean)
        if self.org.duplicate_rules:
            self.duplicates(sobject, record_id, have, clean, allow_save)

    def fixed_fields(self, sobject, record_id, have, clean):
        if record_id is None:
            return
        fields = self.store.schema.fields(sobject)
        for name in list(clean):
            spec = fields[name]
            same = clean[name] == have.get(name)
            if spec.get("create_only") or spec.get("same") and (not same or self.org.strict_parents):
                raise self.store.not_writable(name)
            if name == "CurrencyIsoCode" and not same and (sobject in LINES or sobject == "PricebookEntry"):
                raise self.store.not_writable(name)

    def before_Order(self, record_id, have, clean):
        if record_id is None and clean.get("Status") is not None and clean["Status"] != "Draft":
            raise RowError("FIELD_INTEGRITY_EXCEPTION", "a new order must have a Draft status", ["Status"])
        if "Status" in clean and clean["Status"] and clean["Status"] not in ORDER_STATES:
            raise RowError("INVALID_OR_NULL_FOR_RESTRICTED_PICKLIST",
                           f"bad value for restricted picklist field: {clean['Status']}", ["Status"])
        if record_id and have.get("Status") != "Draft":
            for name in ("AccountId", "Pricebook2Id"):
                if name in clean and clean[name] != have.get(name):
                    raise mismatch("changes only while the order is a draft", name)
        if record_id and clean.get("Status") == "Activated" and have.get("Status") == "Draft":
            others = [name for name, value in clean.items() if name != "Status" and value != have.get(name)]
            if others:
                raise mismatch("an order is activated by an update of its Status alone", others[0])
        if "Pricebook2Id" in clean and record_id and clean["Pricebook2Id"] != have.get("Pricebook2Id") \
                and self.lines("OrderItem", record_id):
            raise mismatch("the order has products of another price book", "Pricebook2Id")

    def before_Opportunity(self, record_id, have, clean):
        lines = self.lines("OpportunityLineItem", record_id) if record_id else []
        if lines:
            clean.pop("Amount", None)  # with lines it is their sum, whatever is written
        if "Pricebook2Id" in clean and clean["Pricebook2Id"] != have.get("Pricebook2Id"):
            for line in list(lines):  # another price book: the lines go
                self.store.delete("OpportunityLineItem", line)

    def before_Pricebook2(self, record_id, have, clean):
        if record_id == STANDARD_BOOK and clean.get("Name", 1) in (None, ""):
            raise RowError("REQUIRED_FIELD_MISSING", "Required fields are missing: [Name]", ["Name"])

    def before_PricebookEntry(self, record_id, have, clean):
        book, product = (clean.get(name, have.get(name)) for name in ("Pricebook2Id", "Product2Id"))
        if not book or not product:
            return  # said as a missing field
        currency = self.currency(clean, have)
        entries = {(fields["Pricebook2Id"], self.currency(fields, {})): one
                   for one in self.store.by_key("PricebookEntry", "Product2Id", product)
                   for fields in [self.store.fields_of("PricebookEntry", one)]}
        standard = entries.get((STANDARD_BOOK, currency))
        if book != STANDARD_BOOK and standard is None:
            raise RowError("STANDARD_PRICE_NOT_DEFINED",
                           "Before creating a custom price, create a standard price.", ["Pricebook2Id"])
        if entries.get((book, currency), record_id) != record_id:
            raise RowError("DUPLICATE_VALUE",
                           "This price definition already exists in this price book", ["Product2Id"])
        if clean.get("UseStandardPrice") and standard:
            clean.setdefault("UnitPrice", self.store.fields_of("PricebookEntry", standard)["UnitPrice"])

    def before_Quote(self, record_id, have, clean):
        if record_id and "Pricebook2Id" in clean and clean["Pricebook2Id"] != have.get("Pricebook2Id") \
                and self.lines("QuoteLineItem", record_id):
            raise mismatch("the quote has lines of another price book", "Pricebook2Id")
        if record_id is None and "Pricebook2Id" not in clean and clean.get("OpportunityId"):
            book = self.store.fields_of("Opportunity", clean["OpportunityId"]).get("Pricebook2Id")
            if book:
                clean["Pricebook2Id"] = book

    def before_line(self, sobject, record_id, have, clean):
        lookup, parent_object, _ = LINES[sobject]
        parent = self.store.fields_of(parent_object, clean.get(lookup, have.get(lookup)))
        if not parent:
            return  # said as a missing field
        if parent_object == "Order" and parent.get("Status") != "Draft":
            raise RowError("FIELD_INTEGRITY_EXCEPTION", "the order is activated: its products are locked",
                           [lookup])
        if "Quantity" in clean and clean["Quantity"] == 0:
            raise RowError("FIELD_INTEGRITY_EXCEPTION", "Quantity must not be zero", ["Quantity"])
        if clean.get("UnitPrice") is not None and clean.get("TotalPrice") is not None:
            raise RowError("FIELD_INTEGRITY_EXCEPTION", "UnitPrice or TotalPrice, not both", ["TotalPrice"])
        if record_id is None:
            self.find_entry(sobject, lookup, parent, clean)
        if clean.get("TotalPrice") is not None:
            quantity = clean.get("Quantity", have.get("Quantity")) or 1
            clean["UnitPrice"] = (clean.pop("TotalPrice") / quantity).quantize(decimal.Decimal("0.01"))

    def find_entry(self, sobject, lookup, parent, clean):
        """The price-book entry of a new line: given, or found by the product; it gives what was not said."""
        book, entry_id = parent.get("Pricebook2Id"), clean.get("PricebookEntryId")
        if not entry_id and not clean.get("Product2Id"):
            if sobject == "OpportunityLineItem":
                raise RowError("REQUIRED_FIELD_MISSING", "Required fields are missing: [PricebookEntryId]",
                               ["PricebookEntryId"])
            return  # said as a missing field
        if not book:
            raise mismatch("the parent has no price book yet", "PricebookEntryId" if entry_id else "Product2Id")
        if not entry_id:
            if sobject != "OpportunityLineItem":
                return
            found = [one for one in self.store.by_key("PricebookEntry", "Product2Id", clean["Product2Id"])
                     if self.store.fields_of("PricebookEntry", one)["Pricebook2Id"] == book]
            if not found:
                raise mismatch("the price book has no entry for the product", "Product2Id")
            entry_id = clean["PricebookEntryId"] = found[0]
        entry = self.store.fields_of("PricebookEntry", entry_id)
        if entry["Pricebook2Id"] != book:
            raise mismatch("pricebook entry is in a different pricebook than the one assigned to its parent",
                           "PricebookEntryId")
        if not entry.get("IsActive"):
            raise mismatch("pricebook entry is inactive", "PricebookEntryId")
        currencies = {self.currency(one, {}) for one in (entry, parent)}
        if self.org.multi_currency and "CurrencyIsoCode" in clean:
            currencies.add(clean["CurrencyIsoCode"])
        if len(currencies) > 1:
            raise mismatch("the currency of the entry is not that of its parent", "PricebookEntryId")
        clean.setdefault("Product2Id", entry["Product2Id"])
        if clean.get("TotalPrice") is None:
            clean.setdefault("UnitPrice", entry["UnitPrice"])
        if self.org.multi_currency:
            clean.setdefault("CurrencyIsoCode", currencies.pop())

    def currency(self, fields, otherwise):
        if not self.org.multi_currency:
            return None
        return fields.get("CurrencyIsoCode", otherwise.get("CurrencyIsoCode")) or self.org.currency

    # ---- after a write ----

    def after(self, sobject, record_id, created):
        fields = self.store.fields_of(sobject, record_id)
        made = {}
        if sobject in ("Contact", "Lead"):
            made["Name"] = " ".join(filter(None, (fields.get("FirstName"), fields.get("LastName"))))
        elif sobject == "Opportunity":
            stage = str(fields.get("StageName"))
            made = {"IsClosed": stage.startswith("Closed"), "IsWon": stage == "Closed Won"}
        elif sobject == "Order":
            made = {"StatusCode": ORDER_STATES.get(fields.get("Status"))}
        if created and sobject in ("Order", "Quote"):
            made["OrderNumber" if sobject == "Order" else "QuoteNumber"] = f"{self.store.count:08d}"
            made["TotalAmount" if sobject == "Order" else "TotalPrice"] = decimal.Decimal(0)
        known = self.store.schema.fields(sobject)
        self.store.put(sobject, record_id, {name: value for name, value in made.items() if name in known})
        if sobject in LINES:
            if sobject == "OpportunityLineItem":
                self.store.put(sobject, record_id, {"TotalPrice": self.amount(fields)})
            self.sum_up(sobject, fields)

    def sum_up(self, sobject, line):
        """The parent of a line has the sum of its lines."""
        lookup, parent_object, total = LINES[sobject]
        lines = (self.store.fields_of(sobject, one) for one in self.lines(sobject, line.get(lookup)))
        self.store.derive(parent_object, line.get(lookup), {
            total: sum((self.amount(one) for one in lines), decimal.Decimal(0))})

    def amount(self, line):
        """What a line comes to; a quote's line may have a discount in percent."""
        gross = (line.get("UnitPrice") or 0) * (line.get("Quantity") or 0)
        rest = 1 - (line.get("Discount") or 0) / decimal.Decimal(100)
        return decimal.Decimal(gross * rest).quantize(decimal.Decimal("0.01"))

    def lines(self, sobject, parent_id):
        return self.store.by_key(sobject, LINES[sobject][0], parent_id)

    # ---- deleting ----

    def before_delete(self, sobject, record_id):
        if record_id == STANDARD_BOOK:
            raise RowError("DELETE_FAILED", "the standard price book cannot be deleted", [], record_id)

    def after_delete(self, sobject, fields):
        """A parent takes its lines with it; a line leaves its parent's sum."""
        for lines, (_, parent_object, _) in LINES.items():
            if sobject == parent_object:
                for one in self.lines(lines, fields["Id"]):
                    self.store.delete(lines, one)
            elif sobject == lines:
                self.sum_up(lines, fields)

    # ---- duplicate rules ----

    def duplicates(self, sobject, record_id, have, clean, allow_save):
        for rule in self.org.duplicate_rules:
            if self.store.schema.find(rule["object"]) != sobject:
                continue
            if record_id and not any(name in clean and clean[name] != have.get(name) for name in rule["fields"]):
                continue
            alert = rule.get("action", "block") == "alert"
            found = self.matches(sobject, rule["fields"], {**have, **clean}, record_id)
            if found and not (alert and allow_save):
                raise self.detected(sobject, rule, found, alert)

    def matches(self, sobject, names, wanted, record_id):
        """Ids of the other records that agree in all those fields, case aside."""
        values = [str(wanted.get(name) or "").lower() for name in names]
        if not all(values):
            return []
        indexed = names[0] in self.store.schema.indexed(sobject)
        among = self.store.by_key(sobject, names[0], values[0]) if indexed else self.store.records[sobject]
        return [one for one in among if one != record_id and values == [
            str(self.store.fields_of(sobject, one).get(name) or "").lower() for name in names]]

    def detected(self, sobject, rule, found, alert):
        message = rule.get("message", "Use one of these records?")
        return RowError("DUPLICATES_DETECTED", message, more=duplicate_result(
            self.org.duplicate_matches, sobject, found, message, rule.get("name", f"{sobject}s_DR"), alert))


def duplicate_result(key, sobject, ids, message, name="Standard_DR", alert=True):
    """The matches as an error carries them. The platform spells the key `duplicateResut`."""
    if not key:
        return {}
    url = f"/services/data/v66.0/sobjects/{sobject}/"
    records = [{"additionalInformation": [], "fieldDiffs": [], "matchConfidence": 100.0,
                "record": {"attributes": {"type": sobject, "url": url + one}, "Id": one}} for one in ids]
    return {key: {"allowSave": alert, "duplicateRule": name, "duplicateRuleEntityType": sobject,
                  "errorMessage": message, "matchResults": [{
                      "entityType": sobject, "errors": [], "matchEngine": "ExactMatchEngine",
                      "matchRecords": records, "rule": f"{sobject}_MR", "size": len(ids), "success": True}]}}
