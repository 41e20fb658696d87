"""The records of the Salesforce stand-in: what is written, what is refused, and a ledger of both."""

import collections
import re

import sandbox.sf_schema as sf
from sandbox.sf_clock import Clock
from sandbox.sf_schema import BadValue

LEDGER_ROWS = 2_000_000
LOCKED = "unable to obtain exclusive access to this record or 200 records: "


class RowError(Exception):
    """One refused row: text for a bulk result file, object for a REST answer."""

    def __init__(self, code, message, fields=(), record_id="", more=None):
        super().__init__(message)
        self.code, self.message, self.fields, self.record_id = code, message, list(fields), record_id
        self.more = more or {}  # further keys of the REST answers

    def bulk(self):
        named = ", ".join(self.fields)
        return f"{self.code}:{self.message}:{named} --" if named else f"{self.code}:{self.message}:--"

    def rest(self):
        return {"statusCode": self.code, "message": self.message, "fields": self.fields, **self.more}


class Ambiguous(RowError):
    def __init__(self, field, ids):
        super().__init__("DUPLICATE_EXTERNAL_ID",
                         f"{field}: more than one record found for external id field: "
                         f"[{', '.join(ids)}]")
        self.ids = ids


CLEAR = object()  # the value of a field that shall become null


class Store:
    """Live records and deleted ones, with an index of the fields that records are found by.

    `rules` check and complete what is written (sf_rules.py); `listeners` are told of it. With a journal begun,
    roll_back undoes all that was written since.
    """

    def __init__(self, schema, clock=None):
        self.schema = schema
        self.clock = clock or Clock()
        self.rules = None
        self.listeners = []  # called with (object, id, "CREATE" | "UPDATE" | "DELETE")
        self.clear()

    def clear(self):
        self.records = collections.defaultdict(dict)  # object -> id -> {"fields", "versions", "sources"}
        self.bin = collections.defaultdict(dict)  # the same of what was deleted
        self.index = collections.defaultdict(dict)  # (object, field) -> lower-case value -> id or [ids]
        self.count = 0
        self.locks = {}  # id of a record or a parent -> who holds it
        self.journal = None
        self.ledger = collections.deque(maxlen=LEDGER_ROWS)
        self.outcomes = collections.defaultdict(collections.Counter)  # object -> code or "ok" -> rows

    # ---- the ledger: each row that came, and what became of it ----

    def note(self, source, operation, sobject, key, record_id, outcome):
        """outcome: created, updated, deleted, or the code of the refusal."""
        self.ledger.append((source, operation, sobject, key, record_id, outcome))
        self.outcomes[sobject][outcome] += 1

    def ledger_rows(self, **wanted):
        names = ("source", "operation", "object", "key", "id", "outcome")
        rows = (dict(zip(names, one)) for one in self.ledger)
        return [row for row in rows if all(row[name] == value for name, value in wanted.items())]

    # ---- looking up ----

    def by_key(self, sobject, field, value):
        """Ids of the records whose key field has that value. Text keys are case-insensitive."""
        if field == "Id":
            found = self.by_id(sobject, str(value))
            return [found] if found else []
        found = self.index[sobject, field].get(str(value).lower(), ())
        return [found] if isinstance(found, str) else list(found)

    def by_id(self, sobject, value):
        if len(value) == 15:
            value = sf.long_id(value)
        return value if value in self.records[sobject] else None

    def get(self, sobject, record_id):
        return self.records[sobject].get(record_id)

    def fields_of(self, sobject, record_id):
        record = self.records[sobject].get(record_id)
        return record["fields"] if record else {}

    def live(self, sobject, value, field="Id"):
        """The id of a record that is there; RowError with the reason if it is not."""
        value = str(value)
        if not re.fullmatch("[0-9A-Za-z]{15}([0-9A-Za-z]{3})?", value):
            raise RowError("MALFORMED_ID", f"malformed id {value}", [field])
        found = self.by_id(sobject, value)
        if found:
            return found
        if not value.startswith(self.schema.prefix(sobject)):
            raise RowError("MALFORMED_ID", f"{field}: id value of incorrect type: {value}", [field])
        if (sf.long_id(value) if len(value) == 15 else value) in self.bin[sobject]:
            raise RowError("ENTITY_IS_DELETED", "entity is deleted")
        raise RowError("INVALID_CROSS_REFERENCE_KEY", "invalid cross reference id")

    # ---- parents ----

    def parent(self, sobject, relationship, field, value):
        """(lookup field, id) of a parent named by its key."""
        lookup, spec = self.schema.relationship(sobject, relationship)
        target = spec["to"]
        known, _ = self.schema.field(target, field)
        if known is None or not self.schema.is_key(target, known):
            raise RowError("INVALID_FIELD", f"{field} is not an external ID or indexed field for {target}")
        found = self.by_key(target, known, value)
        if not found:
            raise RowError("INVALID_FIELD", f"Foreign key external ID: {value} not found for field {known} "
                           f"in entity {target}")
        if len(found) > 1:
            raise Ambiguous(known, found)
        return lookup, found[0]

    # ---- writing ----

    def upsert(self, sobject, key, values, source, update_only=False, operation="upsert", allow_save=False):
        """values: right-spelt field -> wire value or CLEAR. Returns (id, created). RowError if refused.

        Parents must be resolved before (their lookup fields are in values). allow_save: the caller wants a
        duplicate saved where the rule only alerts.
        """
        record_id = self.find_target(sobject, key, values, operation)
        if record_id is None and (update_only or operation == "update"):
            raise RowError("NOT_FOUND", "The requested resource does not exist")
        try:
            clean = {name: self.check(sobject, name, value) for name, value in values.items() if name != "Id"}
        except BadValue as bad:
            raise RowError(bad.code, bad.message, [bad.field] if bad.field else [], record_id or "") from None
        if self.locks:
            self.check_locks(sobject, record_id, clean, source)
        try:
            if self.rules:
                self.rules.before(sobject, record_id, clean, allow_save)
            self.check_required(sobject, record_id, clean)
            self.check_unique(sobject, record_id, clean)
        except RowError as bad:
            bad.record_id = bad.record_id or record_id or ""
            raise
        return self.write(sobject, record_id, clean, source)

    def find_target(self, sobject, key, values, operation):
        if operation == "insert":
            return None
        wanted = values.get(key)
        if wanted in (None, "", CLEAR):
            if key == "Id" and operation == "upsert":
                return None
            raise RowError("MISSING_ARGUMENT", f"{key} not specified")
        if key == "Id":
            return self.live(sobject, wanted)
        found = self.by_key(sobject, key, wanted)
        if len(found) > 1:
            raise Ambiguous(key, found)
        return found[0] if found else None

    def check(self, sobject, name, value):
        spec = self.schema.fields(sobject)[name]
        if value is CLEAR:
            return None
        if spec["type"] == "reference":
            target = self.by_id(spec["to"], str(value))
            if spec["to"] != "User" and target is None:
                try:
                    self.live(spec["to"], value, name)
                except RowError as bad:
                    raise BadValue(bad.code, bad.message, bad.fields[0] if bad.fields else None) from None
            return target or value
        return sf.parse(name, spec, value)

    def not_writable(self, field):
        return RowError("INVALID_FIELD_FOR_INSERT_UPDATE",
                        f"Unable to create/update fields: {field}. Please check the security settings of this "
                        "field and verify that it is read/write for your profile or permission set.", [field])

    def check_required(self, sobject, record_id, clean):
        missing = []
        for name in self.schema.required(sobject):
            if name in clean and clean[name] in (None, "") or record_id is None and name not in clean:
                missing.append(name)
        if missing:
            raise RowError("REQUIRED_FIELD_MISSING", f"Required fields are missing: [{', '.join(missing)}]",
                           missing)

    def check_unique(self, sobject, record_id, clean):
        for name, value in clean.items():
            spec = self.schema.fields(sobject)[name]
            if not spec.get("unique") or value in (None, ""):
                continue
            other = [found for found in self.by_key(sobject, name, value) if found != record_id]
            if other:
                raise RowError("DUPLICATE_VALUE", f"duplicate value found: {name} duplicates value on record "
                               f"with id: {other[0]}")

    # ---- locks ----

    def touched(self, sobject, record_id, values):
        """The ids that a write of these values locks: the record, and the parents it hangs from."""
        ids = {record_id} if record_id else set()
        have = self.fields_of(sobject, record_id)
        for name in self.schema.locking(sobject):
            for parent in (values.get(name), have.get(name)):
                if isinstance(parent, str) and parent:
                    ids.add(parent)
        return ids

    def lock(self, ids, holder):
        """Whether all of them could be had; those that are another's stay so."""
        return all([self.locks.setdefault(one, holder) == holder for one in ids])

    def unlock(self, owner):
        """owner: the holder, or the part of it before a slash."""
        if self.locks:
            self.locks = {one: holder for one, holder in self.locks.items() if holder.partition("/")[0] != owner}

    def check_locks(self, sobject, record_id, clean, source):
        held = sorted(one for one in self.touched(sobject, record_id, clean)
                      if self.locks.get(one, source).partition("/")[0] != source)
        if held:
            raise RowError("UNABLE_TO_LOCK_ROW", LOCKED + ",".join(held), record_id=record_id or "")

    # ---- the records themselves ----

    def write(self, sobject, record_id, clean, source):
        created = record_id is None
        stamp = self.clock.stamp()
        writer = sf.SOMEBODY_ID if source == "seed" else sf.USER_ID
        if created:
            self.count += 1
            record_id = sf.make_id(self.schema.prefix(sobject), self.count)
            self.remember(sobject, record_id)
            self.records[sobject][record_id] = {
                "fields": {"Id": record_id, "IsDeleted": False, "CreatedDate": stamp, "CreatedById": writer},
                "versions": 0, "sources": []}
            clean = {**self.schema.defaults(sobject), **clean}
        else:
            self.remember(sobject, record_id)
        record = self.records[sobject][record_id]
        self.put(sobject, record_id, clean)
        record["fields"]["SystemModstamp"] = record["fields"]["LastModifiedDate"] = stamp
        record["fields"]["LastModifiedById"] = writer
        record["versions"] += 1
        record["sources"].append(source)
        if self.rules:
            self.rules.after(sobject, record_id, created)
        self.tell(sobject, record_id, "CREATE" if created else "UPDATE")
        return record_id, created

    def put(self, sobject, record_id, values):
        """Values as they are, without a check: what rules derive comes this way too."""
        fields = self.records[sobject][record_id]["fields"]
        for name, value in values.items():
            self.reindex(sobject, name, fields.get(name), value, record_id)
            fields[name] = value

    def derive(self, sobject, record_id, values):
        """The platform's own change of a record, in consequence of another's."""
        if record_id in self.records[sobject]:
            self.remember(sobject, record_id)
            self.put(sobject, record_id, values)
            self.records[sobject][record_id]["fields"]["SystemModstamp"] = self.clock.stamp()

    def tell(self, sobject, record_id, change):
        """The listeners hear of a change once it cannot be undone any more."""
        if self.journal is not None:
            self.journal.append((sobject, record_id, None, change))
            return
        for listener in self.listeners:
            listener(sobject, record_id, change)

    def reindex(self, sobject, name, old, new, record_id):
        """One record under a value is kept as its id, several as a list: most values are one record's."""
        if name not in self.schema.indexed(sobject):
            return
        index = self.index[sobject, name]
        if old not in (None, ""):
            key = str(old).lower()
            have = index.get(key)
            if have == record_id:
                del index[key]
            elif isinstance(have, list) and record_id in have:
                have.remove(record_id)
        if new not in (None, ""):
            key = str(new).lower()
            have = index.get(key)
            if have is None:
                index[key] = record_id
            elif isinstance(have, list):
                have.append(record_id)
            else:
                index[key] = [have, record_id]

    def delete(self, sobject, record_id, purge=False):
        """Into the bin, or (purge) out of the world."""
        if self.rules:
            self.rules.before_delete(sobject, record_id)
        self.remember(sobject, record_id)
        record = self.take_out(sobject, record_id)
        if not purge:
            record["fields"].update({"IsDeleted": True, "SystemModstamp": self.clock.stamp()})
            self.bin[sobject][record_id] = record
        if self.rules:
            self.rules.after_delete(sobject, record["fields"])
        self.tell(sobject, record_id, "DELETE")

    def merge(self, sobject, master, other):
        """The children of `other` go to the master; it itself goes into the bin, and keeps what it had."""
        for child, fields in self.schema.referring(sobject):
            for record_id, record in list(self.records[child].items()):
                moved = {name: master for name in fields if record["fields"].get(name) == other}
                if moved:
                    self.derive(child, record_id, moved)
        self.derive(sobject, other, {"MasterRecordId": master})
        self.delete(sobject, other)

    def take_out(self, sobject, record_id):
        record = self.records[sobject].pop(record_id)
        for name, value in record["fields"].items():
            self.reindex(sobject, name, value, None, record_id)
        return record

    # ---- undoing ----

    def begin(self):
        self.journal = []

    def commit(self):
        """What was written stays; now the listeners hear of it."""
        journal, self.journal = self.journal, None
        for sobject, record_id, _, change in journal:
            if change:
                self.tell(sobject, record_id, change)

    def remember(self, sobject, record_id):
        """Before a change: how the record is now."""
        if self.journal is None:
            return
        was = self.records[sobject].get(record_id)
        if was is not None:
            was = {"fields": dict(was["fields"]), "versions": was["versions"], "sources": list(was["sources"])}
        self.journal.append((sobject, record_id, was, None))

    def roll_back(self, mark=0):
        """Undoes what was written since the journal had `mark` entries. The journal stays open."""
        while len(self.journal) > mark:
            sobject, record_id, was, change = self.journal.pop()
            if change:
                continue
            self.bin[sobject].pop(record_id, None)
            if record_id in self.records[sobject]:
                self.take_out(sobject, record_id)
            if was is not None:
                self.records[sobject][record_id] = was
                for name, value in was["fields"].items():
                    self.reindex(sobject, name, None, value, record_id)

    # ---- books ----

    def written(self):
        """Objects that someone wrote records of (a price book that was there from the start does not count)."""
        return [name for name in self.schema.objects
                if any(record["versions"] for record in self.records[name].values())]

    def as_books(self, sobject):
        return [{"Id": record_id, "versions": record["versions"], "sources": record["sources"],
                 "fields": {name: sf.to_exact(value) for name, value in record["fields"].items()}}
                for record_id, record in self.records[sobject].items()]
