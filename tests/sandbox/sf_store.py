"""The records of the Salesforce stand-in: upsert rules, row errors, a small SOQL."""

import collections
import re

import sandbox.sf_schema as sf
from sandbox.sf_schema import BadValue


class RowError(Exception):
    """One refused row: text for a bulk result file, object for a REST answer."""

    def __init__(self, code, message, fields=(), record_id=""):
        super().__init__(message)
        self.code, self.message, self.fields, self.record_id = code, message, list(fields), record_id

    def bulk(self):
        named = ", ".join(self.fields)
        return f"{self.code}:{self.message}:{named} --" if named else f"{self.code}:{self.message}:--"

    def rest(self):
        return {"statusCode": self.code, "message": self.message, "fields": self.fields}


class Ambiguous(RowError):
    def __init__(self, field, ids):
        super().__init__("DUPLICATE_EXTERNAL_ID",
                         f"{field}: more than one record found for external id field: "
                         f"[{', '.join(ids)}]")
        self.ids = ids


CLEAR = object()  # the value of a field that shall become null


class Store:
    def __init__(self, schema):
        self.schema = schema
        self.clear()

    def clear(self):
        self.records = collections.defaultdict(dict)  # object -> id -> {"fields", "versions", "sources"}
        self.index = collections.defaultdict(dict)  # (object, field) -> lower-case value -> [ids]
        self.count = 0

    # ---- looking up ----

    def by_key(self, sobject, field, value):
        """Ids of the records whose key field has that value. Text keys are case-insensitive."""
        if field == "Id":
            found = self.by_id(sobject, str(value))
            return [found] if found else []
        return list(self.index[sobject, field].get(str(value).lower(), ()))

    def by_id(self, sobject, value):
        if len(value) == 15:
            value = sf.long_id(value)
        return value if value in self.records[sobject] else None

    def get(self, sobject, record_id):
        return self.records[sobject].get(record_id)

    # ---- parents ----

    def parent(self, sobject, relationship, field, value):
        """(lookup field, id) of a parent named by its key."""
        lookup, spec = self.schema.relationship(sobject, relationship)
        target = spec["to"]
        field, _ = self.schema.field(target, field)
        found = self.by_key(target, field, value)
        if not found:
            raise RowError("INVALID_FIELD", f"Foreign key external ID: {value} not found for field {field} "
                           f"in entity {target}")
        if len(found) > 1:
            raise Ambiguous(field, found)
        return lookup, found[0]

    # ---- writing ----

    def upsert(self, sobject, key, values, source, update_only=False, operation="upsert"):
        """values: right-spelt field -> wire value or CLEAR. Returns (id, created). RowError if refused.

        Parents must be resolved before (their lookup fields are in values).
        """
        record_id = self.find_target(sobject, key, values, operation)
        if record_id is None and (update_only or operation == "update"):
            raise RowError("NOT_FOUND", "The requested resource does not exist")
        try:
            clean = {name: self.check(sobject, name, value) for name, value in values.items() if name != "Id"}
        except BadValue as bad:
            raise RowError(bad.code, bad.message, [bad.field] if bad.field else [], record_id or "") from None
        self.check_required(sobject, record_id, clean)
        self.check_unique(sobject, record_id, clean)
        return self.write(sobject, record_id, clean, source)

    def find_target(self, sobject, key, values, operation):
        if operation == "insert":
            return None
        wanted = values.get(key)
        if wanted in (None, "", CLEAR):
            if key == "Id" and operation == "upsert":
                return None
            raise RowError("MISSING_ARGUMENT", f"{key} not specified")
        found = self.by_key(sobject, key, wanted)
        if len(found) > 1:
            raise Ambiguous(key, found)
        if not found and key == "Id":
            raise RowError("INVALID_CROSS_REFERENCE_KEY", "invalid cross reference id")
        return found[0] if found else None

    def check(self, sobject, name, value):
        spec = self.schema.fields(sobject)[name]
        if value is CLEAR:
            return None
        if spec["type"] == "reference":
            target = self.by_id(spec["to"], str(value))
            if spec["to"] != "User" and target is None:
                raise BadValue("INVALID_CROSS_REFERENCE_KEY", "invalid cross reference id")
            return target or value
        return sf.parse(name, spec, value)

    def check_required(self, sobject, record_id, clean):
        missing = []
        for name in self.schema.required(sobject):
            if name in clean and clean[name] in (None, "") or record_id is None and name not in clean:
                missing.append(name)
        if missing:
            raise RowError("REQUIRED_FIELD_MISSING", f"Required fields are missing: [{', '.join(missing)}]",
                           missing, record_id or "")
        if sobject == "Order" and record_id is None and clean.get("Status") != "Draft":
            raise RowError("FIELD_INTEGRITY_EXCEPTION", "a new order must have a Draft status", ["Status"])

    def check_unique(self, sobject, record_id, clean):
        for name, value in clean.items():
            spec = self.schema.fields(sobject)[name]
            if not spec.get("unique") or value in (None, ""):
                continue
            other = [found for found in self.by_key(sobject, name, value) if found != record_id]
            if other:
                raise RowError("DUPLICATE_VALUE", f"duplicate value found: {name} duplicates value on record "
                               f"with id: {other[0]}", record_id=record_id or "")

    def write(self, sobject, record_id, clean, source):
        created = record_id is None
        if created:
            self.count += 1
            record_id = sf.make_id(self.schema.prefix(sobject), self.count)
            self.records[sobject][record_id] = {
                "fields": {"Id": record_id, "IsDeleted": False, "CreatedDate": sf.now()},
                "versions": 0, "sources": []}
        record = self.records[sobject][record_id]
        for name, value in clean.items():
            self.reindex(sobject, name, record["fields"].get(name), value, record_id)
            record["fields"][name] = value
        record["fields"]["SystemModstamp"] = record["fields"]["LastModifiedDate"] = sf.now()
        record["versions"] += 1
        record["sources"].append(source)
        return record_id, created

    def reindex(self, sobject, name, old, new, record_id):
        spec = self.schema.fields(sobject)[name]
        if not (spec.get("external_id") or spec.get("id_lookup") or spec.get("unique")):
            return
        index = self.index[sobject, name]
        if old not in (None, ""):
            ids = index.get(str(old).lower(), [])
            if record_id in ids:
                ids.remove(record_id)
        if new not in (None, ""):
            index.setdefault(str(new).lower(), []).append(record_id)

    def delete(self, sobject, record_id):
        record = self.records[sobject].pop(record_id)
        for name, value in record["fields"].items():
            if name in self.schema.fields(sobject):
                self.reindex(sobject, name, value, None, record_id)

    def snapshot(self, sobject):
        """What roll_back needs to undo changes to one object."""
        return {record_id: {"fields": dict(record["fields"]), "versions": record["versions"],
                            "sources": list(record["sources"])}
                for record_id, record in self.records[sobject].items()}

    def roll_back(self, sobject, before):
        for record_id in list(self.records[sobject]):
            self.delete(sobject, record_id)
        for record_id, record in before.items():
            self.records[sobject][record_id] = record
            for name, value in record["fields"].items():
                self.reindex(sobject, name, None, value, record_id)

    def as_books(self, sobject):
        return [{"Id": record_id, "versions": record["versions"], "sources": record["sources"],
                 "fields": {name: sf.to_exact(value) for name, value in record["fields"].items()}}
                for record_id, record in self.records[sobject].items()]


# ---- a small SOQL: SELECT fields FROM object [WHERE a = 'x' AND b IN (...)] [LIMIT n] ----

QUERY = re.compile(r"\s*SELECT\s+(?P<fields>.+?)\s+FROM\s+(?P<object>\w+)(?:\s+WHERE\s+(?P<where>.+?))?"
                   r"(?:\s+ORDER\s+BY\s+[\w.]+(?:\s+(?:ASC|DESC))?)?(?:\s+LIMIT\s+(?P<limit>\d+))?\s*$",
                   re.I | re.S)
CONDITION = re.compile(r"\s*(?P<field>[\w.]+)\s*(?:(?P<op>=|!=)\s*(?P<value>'(?:[^'\\]|\\.)*'|[\w.+:-]+)"
                       r"|IN\s*\((?P<list>[^)]*)\))\s*(?:AND\b|$)", re.I)


def unquote(word):
    word = word.strip()
    if word.startswith("'"):
        return re.sub(r"\\(.)", r"\1", word[1:-1])
    return None if word.lower() == "null" else word


def query(store, soql):
    """(object, rows) with the asked fields; RowError MALFORMED_QUERY or INVALID_FIELD otherwise."""
    asked = QUERY.match(soql)
    if not asked:
        raise RowError("MALFORMED_QUERY", f"unexpected token: {soql[:80]}")
    sobject = store.schema.find(asked["object"])
    if sobject is None:
        raise RowError("INVALID_TYPE", f"sObject type '{asked['object']}' is not supported.")
    wanted = conditions(asked["where"] or "")
    rows = [record["fields"] for record in store.records[sobject].values()
            if all(matches(store, sobject, record["fields"], *condition) for condition in wanted)]
    if asked["limit"]:
        rows = rows[:int(asked["limit"])]
    if asked["fields"].strip().lower() == "count()":
        return sobject, len(rows)
    names = [name.strip() for name in asked["fields"].split(",")]
    return sobject, [select(store, sobject, row, names) for row in rows]


def conditions(where):
    found, at = [], 0
    while at < len(where):
        one = CONDITION.match(where, at)
        if not one:
            raise RowError("MALFORMED_QUERY", f"unexpected token: {where[at:at + 40]}")
        values = re.findall(r"'(?:[^'\\]|\\.)*'|[\w.+:-]+", one["list"] or "") or [one["value"]]
        found.append((one["field"], {str(unquote(value)).lower() for value in values}, one["op"] == "!="))
        at = one.end()
    return found


def value_of(store, sobject, row, path):
    head, _, rest = path.partition(".")
    if rest:
        lookup, spec = store.schema.relationship(sobject, head)
        if lookup is None:
            raise RowError("INVALID_FIELD", f"Didn't understand relationship '{head}' in field path.")
        target = store.get(spec["to"], row.get(lookup))
        return value_of(store, spec["to"], target["fields"] if target else {}, rest)
    name, _ = store.schema.field(sobject, head)
    if name is None:
        raise RowError("INVALID_FIELD", f"No such column '{head}' on entity '{sobject}'.")
    return row.get(name)


def matches(store, sobject, row, path, values, negate):
    value = value_of(store, sobject, row, path)
    return (str(sf.to_json(value)).lower() in values or str(value).lower() in values) != negate


def select(store, sobject, row, names):
    out = {"attributes": {"type": sobject, "url": f"/services/data/v66.0/sobjects/{sobject}/{row['Id']}"}}
    for path in names:
        value = sf.to_json(value_of(store, sobject, row, path))
        if "." not in path:
            out[store.schema.field(sobject, path)[0]] = value
        else:
            head, _, rest = path.partition(".")
            out.setdefault(head, {"attributes": {"type": head}})[rest] = value
    return out
