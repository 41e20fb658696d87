"""Salesforce objects and fields as the stand-in knows them, ids, and values on the wire."""

import datetime
import decimal
import functools
import re

SYSTEM_FIELDS = {
    "Id": {"type": "id"},
    "CreatedDate": {"type": "datetime", "read_only": True},
    "LastModifiedDate": {"type": "datetime", "read_only": True},
    "SystemModstamp": {"type": "datetime", "read_only": True},
    "IsDeleted": {"type": "boolean", "read_only": True},
    "CreatedById": {"type": "reference", "to": "User", "relationship": "CreatedBy", "read_only": True},
    "LastModifiedById": {"type": "reference", "to": "User", "relationship": "LastModifiedBy", "read_only": True},
    "OwnerId": {"type": "reference", "to": "User", "relationship": "Owner"},
}


def text(length, **more):
    return {"type": "string", "length": length, **more}


def number(precision=18, scale=2, **more):
    return {"type": "double", "precision": precision, "scale": scale, **more}


def parent(to, relationship=None, **more):
    """A lookup. locks: a write of the child locks that parent."""
    return {"type": "reference", "to": to, "relationship": relationship or to, "indexed": True, **more}


def key(length=255):
    return text(length, external_id=True, unique=True)


def address(*prefixes):
    parts = {"Street": 255, "City": 40, "State": 80, "PostalCode": 20, "Country": 80}
    return {prefix + part: text(length) for prefix in prefixes for part, length in parts.items()}


def flag(default=False, **more):
    return {"type": "boolean", "default": default, **more}


MAIL = {"type": "email", "length": 80, "id_lookup": True}
DATE = {"type": "date"}

# What a line of an order, a quote or an opportunity has in common. `same`: may be sent again, but not changed.
LINE = {"Product2Id": parent("Product2"), "Quantity": number(12, 2, required=True), "UnitPrice": number(),
        "ServiceDate": DATE, "Description": text(255), "Shopify_Line_Id__c": key(), "Ext__c": key(),
        "Sku__c": text(80)}

OBJECTS = {
    "User": {"prefix": "005", "fields": {
        "Username": text(80, id_lookup=True), "Email": MAIL, "LastName": text(80), "Ext__c": key()}},
    "Account": {"prefix": "001", "fields": {
        "Name": text(255, required=True, indexed=True), "Type": text(40),
        "ParentId": parent("Account", "Parent", locks=True),
        **address("Billing", "Shipping"), "Phone": text(40), "AccountNumber": text(40), "Website": text(255),
        "AnnualRevenue": number(18, 0), "NumberOfEmployees": {"type": "int"}, "Description": text(32000),
        "ERP_Account_No__c": key(), "Shopify_Customer_Id__c": key(), "Shopify_Company_Id__c": key(),
        "Ext__c": key(), "Tax_Id__c": text(40)}},
    "Contact": {"prefix": "003", "fields": {
        "LastName": text(80, required=True), "FirstName": text(40), "Salutation": text(40),
        "Name": text(121, read_only=True), "AccountId": parent("Account", locks=True),
        "ReportsToId": parent("Contact", "ReportsTo"), "Email": MAIL, "Phone": text(40),
        "MobilePhone": text(40), **address("Mailing", "Other"), "Birthdate": DATE, "Title": text(128),
        "LeadSource": text(40), "Description": text(32000), "Shopify_Customer_Id__c": key(),
        "MasterRecordId": parent("Contact", "MasterRecord", read_only=True), "Ext__c": key()}},
    "Lead": {"prefix": "00Q", "fields": {
        "LastName": text(80, required=True), "FirstName": text(40), "Company": text(255, required=True),
        "Status": text(40, default="Open - Not Contacted"), "Email": MAIL, "Phone": text(40), **address(""),
        "IsConverted": flag(read_only=True), "Ext__c": key()}},
    "Opportunity": {"prefix": "006", "fields": {
        "Name": text(120, required=True, id_lookup=True), "StageName": text(40, required=True),
        "CloseDate": {"type": "date", "required": True}, "Amount": number(),
        "AccountId": parent("Account", locks=True), "ContactId": parent("Contact", create_only=True),
        "Pricebook2Id": parent("Pricebook2"), "Probability": number(3, 0),
        "Description": text(32000), "LeadSource": text(40), "IsClosed": flag(read_only=True),
        "IsWon": flag(read_only=True), "Shopify_Order_Id__c": key(), "Ext__c": key(),
        "Shopify_Order_Name__c": text(80), "Currency__c": text(3), "Note__c": text(32000),
        "Total_Tax__c": number(), "Order_Updated_At__c": {"type": "datetime"}}},
    "OpportunityContactRole": {"prefix": "00K", "fields": {
        "OpportunityId": parent("Opportunity", required=True, create_only=True, locks=True),
        "ContactId": parent("Contact", required=True), "Role": text(40), "IsPrimary": flag(),
        "Ext__c": key()}},
    "OpportunityLineItem": {"prefix": "00k", "fields": {
        "OpportunityId": parent("Opportunity", required=True, same=True, locks=True),
        "PricebookEntryId": parent("PricebookEntry", same=True), "TotalPrice": number(),
        "Name": text(376, read_only=True), **LINE}},
    "Order": {"prefix": "801", "fields": {
        "AccountId": parent("Account", required=True, locks=True),
        "EffectiveDate": {"type": "date", "required": True}, "Status": text(40, required=True),
        "StatusCode": text(40, read_only=True), "Pricebook2Id": parent("Pricebook2"),
        "ContractId": text(18), "Description": text(32000), "OrderNumber": text(30, read_only=True),
        "TotalAmount": number(read_only=True), **address("Billing", "Shipping"), "PoNumber": text(80),
        "BillToContactId": parent("Contact", "BillToContact"), "Shopify_Order_Id__c": key(),
        "Shopify_Order_Name__c": text(80), "Tracking_Number__c": text(255), "Tracking_Url__c": text(255),
        "Fulfillment_Status__c": text(40), "Financial_Status__c": text(40), "Refunded__c": number(),
        "Ext__c": key()}},
    "OrderItem": {"prefix": "802", "fields": {
        "OrderId": parent("Order", required=True, same=True, locks=True),
        "PricebookEntryId": parent("PricebookEntry", required=True, same=True), **LINE}},
    "Product2": {"prefix": "01t", "fields": {
        "Name": text(255, required=True), "ProductCode": text(255), "StockKeepingUnit": text(180),
        "IsActive": flag(), "Family": text(40), "Stock__c": number(12, 0), "Sku__c": key(),
        "Ext__c": key()}},
    "Pricebook2": {"prefix": "01s", "fields": {
        "Name": text(255, required=True), "IsStandard": flag(read_only=True), "IsActive": flag(),
        "Description": text(255), "Ext__c": key()}},
    "PricebookEntry": {"prefix": "01u", "fields": {
        "Pricebook2Id": parent("Pricebook2", required=True, same=True),
        "Product2Id": parent("Product2", required=True, same=True), "UnitPrice": number(required=True),
        "IsActive": flag(), "UseStandardPrice": flag(), "Ext__c": key()}},
    "Quote": {"prefix": "0Q0", "fields": {
        "Name": text(255, required=True), "OpportunityId": parent("Opportunity", required=True, same=True,
                                                                  locks=True),
        "Pricebook2Id": parent("Pricebook2"), "Status": text(40, default="Draft"), "ExpirationDate": DATE,
        "QuoteNumber": text(30, read_only=True), "TotalPrice": number(read_only=True), "Email": MAIL,
        "ContactId": parent("Contact"), **address("Billing", "Shipping"), "Checkout_Url__c": text(255),
        "Gateway_Status__c": text(40), "Gateway_Error__c": text(32000), "Ext__c": key()}},
    "QuoteLineItem": {"prefix": "0QL", "fields": {
        "QuoteId": parent("Quote", required=True, same=True, locks=True),
        "PricebookEntryId": parent("PricebookEntry", required=True, same=True),
        "Discount": number(5, 2), "LineNumber": text(30, read_only=True), **LINE}},
}

# With multi-currency on, these have CurrencyIsoCode; it agrees along the chain and stays.
WITH_CURRENCY = ("Account", "Contact", "Opportunity", "OpportunityLineItem", "Order", "OrderItem", "Product2",
                 "PricebookEntry", "Quote", "QuoteLineItem")

ID_LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ012345"
ORG_ID = "00D5g00000Org01EAB"
USER_ID = "0055g00000Usr01AAB"
SOMEBODY_ID = "0055g00000Usr02AAB"  # who wrote what was there before


def long_id(id15):
    """15 characters to 18: each group of five gives a letter that tells which are upper-case."""
    return id15 + case_of(id15[:5]) + case_of(id15[5:10]) + case_of(id15[10:])


@functools.lru_cache(4096)
def case_of(group):
    return ID_LETTERS[sum(1 << k for k in range(5) if group[k].isupper())]


def make_id(prefix, count):
    digits = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
    tail = ""
    while count:
        count, rest = divmod(count, 62)
        tail = digits[rest] + tail
    return long_id(f"{prefix}5g{tail.rjust(10, '0')}")


def java_double(value):
    """A number as Java's Double.toString writes it: 912260031 is 9.12260031E8, 40 is 40.0."""
    number_ = float(value)
    if number_ == 0:
        return "0.0"
    sign, digits, exponent = decimal.Decimal(repr(number_)).normalize().as_tuple()
    digits = "".join(map(str, digits))
    point = len(digits) + exponent  # value = 0.digits * 10**point
    minus = "-" if sign else ""
    if 1e-3 <= abs(number_) < 1e7:
        if point <= 0:
            return f"{minus}0.{'0' * -point}{digits}"
        return f"{minus}{digits[:point].ljust(point, '0')}.{digits[point:] or '0'}"
    return f"{minus}{digits[0]}.{digits[1:] or '0'}E{point - 1}"


class BadValue(ValueError):
    """code, message and field as a row error has them."""

    def __init__(self, code, message, field=None):
        super().__init__(message)
        self.code, self.message, self.field = code, message, field


class Schema:
    def __init__(self):
        self.objects = {}
        self._cache = {}
        for name, definition in OBJECTS.items():
            self.add_object(name, definition)

    def add_object(self, name, definition):
        """A new object, or more fields for one that is there."""
        self._cache.clear()
        have = self.find(name)
        if have is None:
            count = len(self.objects)
            self.objects[name] = {"prefix": definition.get("prefix", f"a{count:02d}"),
                                  "fields": {k: dict(v) for k, v in SYSTEM_FIELDS.items()}}
            have = name
        for field, spec in definition.get("fields", {}).items():
            self.objects[have]["fields"][field] = dict(spec)
            if spec.get("type") == "reference" and "relationship" not in spec:
                self.objects[have]["fields"][field]["relationship"] = (
                    field[:-1] + "r" if field.endswith("__c") else field[:-2])

    def remove_field(self, name, field):
        self._cache.clear()
        self.objects[name]["fields"].pop(field, None)

    def find(self, name):
        """The object's right spelling, or None. Names are case-insensitive."""
        return next((known for known in self.objects if known.lower() == str(name).lower()), None)

    def of_id(self, value):
        """The object that an id belongs to, by its first three characters, or None."""
        return next((name for name, one in self.objects.items() if str(value)[:3] == one["prefix"]), None)

    def referring(self, name):
        """(object, its fields) that point to records of `name`, but for what only says who was merged into whom."""
        for child, one in self.objects.items():
            fields = [field for field, spec in one["fields"].items()
                      if spec.get("to") == name and field != "MasterRecordId"]
            if fields:
                yield child, fields

    def prefix(self, name):
        return self.objects[name]["prefix"]

    def fields(self, name):
        return self.objects[name]["fields"]

    def field(self, sobject, name):
        """(right spelling, definition) or (None, None)."""
        return self._found(("field", sobject, str(name).lower()), lambda: next(
            ((known, spec) for known, spec in self.fields(sobject).items()
             if known.lower() == str(name).lower()), (None, None)))

    def relationship(self, sobject, name):
        """(lookup field, definition) of a relationship name, or (None, None)."""
        return self._found(("relationship", sobject, name.lower()), lambda: next(
            ((known, spec) for known, spec in self.fields(sobject).items()
             if spec["type"] == "reference" and spec["relationship"].lower() == name.lower()), (None, None)))

    def is_key(self, sobject, name):
        known, spec = self.field(sobject, name)
        return known is not None and (known == "Id" or spec.get("external_id") or spec.get("id_lookup"))

    def required(self, sobject):
        return self.having(sobject, "required")

    def locking(self, sobject):
        return self.having(sobject, "locks")

    def having(self, sobject, flag_name):
        """Names of the fields with that flag."""
        return self._found((flag_name, sobject), lambda: [
            name for name, spec in self.fields(sobject).items() if spec.get(flag_name)])

    def indexed(self, sobject):
        """Names of the fields that records are found by without looking at each."""
        return self._found(("indexed", sobject), lambda: frozenset(
            name for name, spec in self.fields(sobject).items()
            if any(spec.get(one) for one in ("external_id", "id_lookup", "unique", "indexed"))))

    def defaults(self, sobject):
        """What a new record has where nothing was said."""
        return self._found(("default", sobject), lambda: {
            name: spec["default"] for name, spec in self.fields(sobject).items() if "default" in spec})

    def _found(self, asked, look):
        """look()'s answer, once; forgotten when the schema changes."""
        if asked not in self._cache:
            self._cache[asked] = look()
        return self._cache[asked]


def parse(name, spec, value):
    """A wire value (text, or a JSON value) as stored: Decimal, bool, int or str.

    BadValue if it does not fit.
    """
    kind = spec["type"]
    if kind in ("double", "currency", "percent"):
        return parse_number(name, spec, value)
    if kind == "int":
        number_ = parse_number(name, {"scale": 0}, value)
        return int(number_)
    if kind == "boolean":
        low = str(value).lower()
        if low not in ("true", "false", "1", "0"):
            raise wrong_type(name, value)
        return low in ("true", "1")
    if not isinstance(value, str):
        raise BadValue("JSON_PARSER_ERROR", f"Cannot deserialize instance of {kind} from {value!r}", name)
    if kind == "date":
        try:
            datetime.date.fromisoformat(value)
        except ValueError:
            raise wrong_type(name, value) from None
    elif kind == "datetime":
        return parse_datetime(name, value)
    elif kind == "email" and value and not re.fullmatch(r"[^@\s,;<>]+@[^@\s,;<>]+\.[^@\s,;<>]+", value):
        raise BadValue("INVALID_EMAIL_ADDRESS", f"{name}: invalid email address: {value}", name)
    if "length" in spec and len(value) > spec["length"]:
        raise BadValue("STRING_TOO_LONG",
                       f"{name}: data value too large: {value} (max length={spec['length']})", name)
    if spec.get("values") and value not in spec["values"]:
        raise BadValue("INVALID_OR_NULL_FOR_RESTRICTED_PICKLIST",
                       f"bad value for restricted picklist field: {value}", name)
    return value


def wrong_type(name, value):
    return BadValue("INVALID_TYPE_ON_FIELD_IN_RECORD", f"{name}: value not of required type: {value}", name)


def parse_number(name, spec, value):
    try:
        exact = decimal.Decimal(str(value))
        if not exact.is_finite():
            raise decimal.InvalidOperation
    except decimal.InvalidOperation:
        raise wrong_type(name, value) from None
    return exact.quantize(decimal.Decimal(1).scaleb(-spec.get("scale", 2)), decimal.ROUND_HALF_UP)


def parse_datetime(name, value):
    whole = re.fullmatch(r"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)(\.\d{1,6})?(Z|[+-]\d\d:?\d\d)?", value)
    if not whole:
        raise wrong_type(name, value)
    stamp, fraction, zone = whole.groups()
    zone = "+00:00" if zone in (None, "Z") else zone
    if ":" not in zone:
        zone = zone[:3] + ":" + zone[3:]
    try:
        moment = datetime.datetime.fromisoformat(stamp + zone)
    except ValueError:
        raise wrong_type(name, value) from None
    return wire_time(moment, int((fraction or ".0")[1:4].ljust(3, "0")))


def wire_time(moment, ms=0):
    """2026-11-20T10:15:00.000+0000, always UTC."""
    utc = moment.astimezone(datetime.timezone.utc)
    return utc.strftime("%Y-%m-%dT%H:%M:%S") + f".{ms:03d}+0000"


def to_json(value):
    return float(value) if isinstance(value, decimal.Decimal) else value


def to_exact(value):
    """For the books: numbers as text, so that money can be compared to the cent."""
    return str(value) if isinstance(value, decimal.Decimal) else value
