"""sObject Collections of the Salesforce stand-in: up to 200 rows a call, an answer for each in its order."""

import asyncio
import time

from sandbox.sf_jobs import CHUNK, doubled_keys
from sandbox.sf_rest import (RestError, Route, answer, field_values, key_field, object_name, of_row,
                             plain_values, read_json)
from sandbox.sf_store import CLEAR, RowError

ROLLED_BACK = {"statusCode": "ALL_OR_NONE_OPERATION_ROLLED_BACK", "fields": [],
               "message": "Record rolled back because not all records were valid and "
                          "the request was using AllOrNone header"}
PATH = "/composite/sobjects"


class Collections:
    routes = [
        Route("collections rest", "PATCH", PATH + "/(?P<object>[^/]+)/(?P<field>[^/]+)", "on_upsert"),
        Route("collections-create collections rest", "POST", PATH, "on_create"),
        Route("collections-update collections rest", "PATCH", PATH, "on_update"),
        Route("collections-delete collections rest", "DELETE", PATH, "on_delete"),
        Route("collections-read collections rest", "POST", PATH + "/(?P<object>[^/]+)", "on_read"),
        Route("collections-read collections rest", "GET", PATH + "/(?P<object>[^/]+)", "on_read"),
    ]

    def __init__(self, home):
        self.home, self.schema, self.store = home, home.schema, home.store
        self.clear()

    def clear(self):
        self.calls = []  # one entry a call that was looked at row by row

    # ---- the calls ----

    async def on_upsert(self, request, version, object, field):
        sobject = object_name(self.schema, object)
        key = key_field(self.schema, sobject, field)
        records, whole = await self.records(request)
        doubled = doubled_keys(one[name] for one in records for name in one
                               if name.lower() == key.lower() and one[name] is not None)

        def act(record):
            if self.kind(record) != sobject:
                raise RowError("INVALID_INPUT", f"the record is a {self.kind(record)}, the URI asks for {sobject}")
            values = field_values(self.store, sobject, record)
            if key != "Id" and "Id" in values:
                raise RowError("INVALID_FIELD", "Id may not be given beside the external id", ["Id"])
            if key == "Id" and values.get("Id") is CLEAR:
                del values["Id"]
            if str(values.get(key)).lower() in doubled:
                raise RowError("DUPLICATE_VALUE", f"Duplicate external id specified: {values[key]}", [key])
            record_id, created = self.store.upsert(sobject, key, values, self.source(),
                                                   allow_save=self.home.allow_save(request))
            return {"id": record_id, "success": True, "errors": [], "created": created}

        return await self.all_of(request, "upsert", records, whole, act, lambda one: value_of(one, key))

    async def on_create(self, request, version):
        records, whole = await self.records(request)

        def act(record):
            sobject = self.known_kind(record)
            values = field_values(self.store, sobject, record)
            if "Id" in values:
                raise RowError("INVALID_FIELD_FOR_INSERT_UPDATE", "cannot specify Id in an insert call", ["Id"])
            record_id, _ = self.store.upsert(sobject, "Id", values, self.source(), operation="insert",
                                             allow_save=self.home.allow_save(request))
            return {"id": record_id, "success": True, "errors": []}

        return await self.all_of(request, "insert", records, whole, act, lambda one: "")

    async def on_update(self, request, version):
        records, whole = await self.records(request)

        def act(record):
            sobject = self.known_kind(record)
            values = field_values(self.store, sobject, record)
            record_id, _ = self.store.upsert(sobject, "Id", values, self.source(), operation="update",
                                             allow_save=self.home.allow_save(request))
            return {"id": record_id, "success": True, "errors": []}

        return await self.all_of(request, "update", records, whole, act, lambda one: value_of(one, "Id"))

    async def on_delete(self, request, version):
        ids = [one for one in request.query.get("ids", "").split(",") if one]
        self.check_count(ids)
        records = [{"attributes": {"type": self.schema.of_id(one)}, "id": one} for one in ids]
        whole = request.query.get("allOrNone", "false").lower() == "true"

        def act(record):
            sobject = self.schema.of_id(record["id"])
            if sobject is None:
                raise RowError("MALFORMED_ID", f"malformed id {record['id']}")
            record_id = self.store.live(sobject, record["id"])
            self.store.delete(sobject, record_id)
            return {"id": record_id, "success": True, "errors": []}

        return await self.all_of(request, "delete", records, whole, act, lambda one: one["id"])

    async def on_read(self, request, version, object):
        sobject = object_name(self.schema, object)
        if request.method == "POST":
            body = await read_json(request)
            ids, names = body.get("ids"), body.get("fields")
        else:
            ids, names = ([one for one in request.query.get(name, "").split(",") if one]
                          for name in ("ids", "fields"))
        if not isinstance(ids, list) or not isinstance(names, list) or not names:
            raise RestError(400, "INVALID_INPUT", "ids and fields are required")
        if len(ids) > 2000:
            raise RestError(400, "EXCEEDED_ID_LIMIT", "record limit reached. cannot submit more than 2000 ids")
        found = [self.store.by_key(sobject, "Id", one) for one in ids]
        try:
            return answer([self.home.records.as_json(version, sobject, one[0], names) if one else None
                           for one in found])
        except RowError as bad:
            raise of_row(bad) from None

    # ---- what they share ----

    def source(self):
        return f"collections-{len(self.calls) + 1}"

    async def records(self, request):
        body = await read_json(request)
        records = body.get("records")
        if not isinstance(records, list) or not all(isinstance(one, dict) for one in records):
            raise RestError(400, "INVALID_INPUT", "records is missing or not a list of objects")
        self.check_count(records)
        return records, body.get("allOrNone") is True

    def check_count(self, records):
        if not records:
            raise RestError(400, "INVALID_INPUT", "records is missing or empty")
        if len(records) > CHUNK:
            raise RestError(400, "EXCEEDED_ID_LIMIT",
                            "record limit reached. cannot submit more than 200 records in a request")

    def kind(self, record):
        """The object that the record's attributes name, or None."""
        attributes = record.get("attributes")
        return self.schema.find(attributes.get("type")) if isinstance(attributes, dict) else None

    def known_kind(self, record):
        kind = self.kind(record)
        if kind is None:
            raise RowError("INVALID_INPUT", "attributes.type names no object")
        return kind

    async def all_of(self, request, operation, records, whole, act, key_of):
        """The rows one after the other, as one transaction if `whole`; what became of each, in order."""
        nested = self.store.journal is not None  # inside a composite that is a transaction itself
        if whole and not nested:
            self.store.begin()
        mark = len(self.store.journal) if whole else 0
        noted, results = [], []
        for record in records:
            results.append(self.one(operation, record, act, key_of, noted))
        if whole and not all(one["success"] for one in results):
            self.store.roll_back(mark)
            results = [{"success": False, "errors": [ROLLED_BACK]} if one["success"] else one for one in results]
            noted = [(*one[:3], "", ROLLED_BACK["statusCode"]) if one[4] in DONE else one for one in noted]
        if whole and not nested:
            self.store.commit()
        source = self.source()
        for row in noted:
            self.store.note(source, *row)
        self.calls.append({"operation": operation, "rows": len(records), "allOrNone": whole,
                           "succeeded": sum(one["success"] for one in results)})
        if self.home.org.collections_ms and self.store.journal is None:
            await self.hold(source, noted)
        return answer(results)

    async def hold(self, source, noted):
        """The call takes its time, or until the setting is taken back; what it wrote is locked meanwhile."""
        if self.home.org.locks:
            for _, sobject, _, record_id, outcome in noted:
                if outcome in DONE:
                    self.store.lock(self.store.touched(sobject, record_id, {}), source)
        end = time.monotonic() + self.home.org.collections_ms / 1000
        while (left := end - time.monotonic()) > 0 and self.home.org.collections_ms:
            await asyncio.sleep(min(left, 0.02))
        self.store.unlock(source)

    def one(self, operation, record, act, key_of, noted):
        sobject, key = self.kind(record) or "?", str(key_of(record) or "")
        try:
            if self.home.faults.rules:
                plain = plain_values(record)
                self.home.row_faults.refuse(["row"], sobject, key, lambda name: plain.get(name.lower()))
            result = act(record)
        except RowError as bad:
            noted.append((operation, sobject, key, bad.record_id, bad.code))
            return {"success": False, "errors": [bad.rest()]}
        outcome = {"delete": "deleted", "insert": "created", "update": "updated"}.get(operation) or \
            ("created" if result["created"] else "updated")
        noted.append((operation, sobject, key, result["id"], outcome))
        return result

    def books(self):
        return {"calls": len(self.calls), "rows": sum(one["rows"] for one in self.calls),
                "each": self.calls[-1000:]}


DONE = ("created", "updated", "deleted")


def value_of(record, field):
    """A field's value, its name's case aside."""
    return next((value for name, value in record.items() if name.lower() == field.lower()), None)
