"""Single records over REST in the Salesforce stand-in: create, read, update, delete, upsert by a key, describe."""

from aiohttp import web

from sandbox import sf_schema as sf
from sandbox.sf_rest import (NOT_FOUND, RestError, Route, answer, field_values, key_field, object_name,
                             of_row, plain_values, read_json)
from sandbox.sf_store import Ambiguous, RowError

ROW = "/sobjects/(?P<object>[^/]+)/(?P<field>[^/]+)"
SOAP = {"string": "xsd:string", "id": "tns:ID", "reference": "tns:ID", "double": "xsd:double", "int": "xsd:int",
        "boolean": "xsd:boolean", "date": "xsd:date", "datetime": "xsd:dateTime", "email": "xsd:string"}


class Records:
    routes = [
        Route("insert rest", "POST", "/sobjects/(?P<object>[^/]+)", "on_insert"),
        Route("describe rest", "GET", "/sobjects/(?P<object>[^/]+)/describe", "on_describe"),
        Route("get rest", "GET", ROW + "(?:/(?P<value>.+))?", "on_get"),
        Route("update rest", "PATCH", ROW, "on_update"),
        Route("upsert rest", "PATCH", ROW + "/(?P<value>.+)", "on_upsert"),
        Route("remove rest", "DELETE", ROW + "(?:/(?P<value>.+))?", "on_remove"),
    ]

    def __init__(self, home):
        self.home, self.schema, self.store = home, home.schema, home.store

    def clear(self):
        pass

    def written(self, request, sobject, operation, key, act, body):
        """One row's work with its faults and its place in the ledger; RestError if it is refused."""
        try:
            self.home.row_faults.refuse(["record"], sobject, key, lambda name: plain_values(body).get(name.lower()))
            record_id, created = act()
        except Ambiguous as bad:
            self.store.note("rest", operation, sobject, key, "", bad.code)
            raise
        except RowError as bad:
            self.store.note("rest", operation, sobject, key, bad.record_id, bad.code)
            raise of_row(bad) from None
        outcome = {"delete": "deleted"}.get(operation, "created" if created else "updated")
        self.store.note("rest", operation, sobject, key, record_id, outcome)
        return record_id, created

    async def on_insert(self, request, version, object):
        sobject = object_name(self.schema, object)
        body = await read_json(request)

        def act():
            values = field_values(self.store, sobject, body)
            if "Id" in values:
                raise RowError("INVALID_FIELD_FOR_INSERT_UPDATE", "cannot specify Id in an insert call", ["Id"])
            return self.store.upsert(sobject, "Id", values, "rest", operation="insert",
                                     allow_save=self.home.allow_save(request))

        record_id, _ = self.written(request, sobject, "insert", "", act, body)
        return answer({"id": record_id, "success": True, "errors": []}, 201)

    async def on_update(self, request, version, object, field):
        sobject = object_name(self.schema, object)
        body = await read_json(request)

        def act():
            values = field_values(self.store, sobject, body)
            if "Id" in values:
                raise RowError("INVALID_FIELD", "The Id field should not be specified in the sobject data.",
                               ["Id"])
            if self.store.by_id(sobject, field) is None:
                raise RowError("NOT_FOUND", "The requested resource does not exist")
            return self.store.upsert(sobject, "Id", {**values, "Id": field}, "rest", operation="update",
                                     allow_save=self.home.allow_save(request))

        self.written(request, sobject, "update", field, act, body)
        return web.Response(status=204)

    async def on_upsert(self, request, version, object, field, value):
        sobject = object_name(self.schema, object)
        key = key_field(self.schema, sobject, field)
        body = await read_json(request)

        def act():
            values = field_values(self.store, sobject, body)
            if key in values or "Id" in values:
                raise RowError("INVALID_FIELD",
                               f"The {key} field should not be specified in the sobject data.", [key])
            return self.store.upsert(sobject, key, {**values, key: value}, "rest",
                                     request.query.get("updateOnly", "") == "true",
                                     allow_save=self.home.allow_save(request))

        try:
            record_id, created = self.written(request, sobject, "upsert", value, act, body)
        except Ambiguous as several:
            return self.several(version, sobject, several.ids)
        if not created and float(version) < 46:
            return web.Response(status=204)
        status = 201 if created else 200
        return answer({"id": record_id, "success": True, "errors": [], "created": created}, status)

    def several(self, version, sobject, ids):
        return answer([f"/services/data/v{version}/sobjects/{sobject}/{one}" for one in ids], 300)

    def find(self, sobject, field, value):
        """Ids of what a path names: by id, or by a key and its value."""
        if value is None:
            return self.store.by_key(sobject, "Id", field)
        return self.store.by_key(sobject, key_field(self.schema, sobject, field), value)

    async def on_get(self, request, version, object, field, value=None):
        sobject = object_name(self.schema, object)
        found = self.find(sobject, field, value)
        if not found:
            raise RestError(404, *NOT_FOUND)
        if len(found) > 1:
            return self.several(version, sobject, found)
        names = [one for one in request.query.get("fields", "").split(",") if one]
        try:
            return answer(self.as_json(version, sobject, found[0], names))
        except RowError as bad:
            raise of_row(bad) from None

    def as_json(self, version, sobject, record_id, names=()):
        """The record with the fields asked for, or all."""
        for name in names:
            if self.schema.field(sobject, name)[0] is None:
                raise RowError("INVALID_FIELD", f"No such column '{name}' on sobject of type {sobject}")
        fields = self.store.fields_of(sobject, record_id)
        names = [self.schema.field(sobject, name)[0] for name in names] or list(self.schema.fields(sobject))
        url = f"/services/data/v{version}/sobjects/{sobject}/{record_id}"
        return {"attributes": {"type": sobject, "url": url}, "Id": record_id,
                **{name: sf.to_json(fields.get(name)) for name in names}}

    async def on_remove(self, request, version, object, field, value=None):
        sobject = object_name(self.schema, object)
        found = self.find(sobject, field, value)
        if len(found) > 1:
            return self.several(version, sobject, found)
        if not found:
            if value is None and field in self.store.bin[sobject]:
                raise RestError(404, "ENTITY_IS_DELETED", "entity is deleted", fields=[])
            raise RestError(404, *NOT_FOUND)

        def act():
            self.store.delete(sobject, found[0])
            return found[0], False

        self.written(request, sobject, "delete", value or field, act, {})
        return web.Response(status=204)

    async def on_describe(self, request, version, object):
        sobject = object_name(self.schema, object)
        fields = []
        for name, spec in self.schema.fields(sobject).items():
            free = not spec.get("read_only") and spec["type"] != "id"
            fields.append({
                "name": name, "label": name, "type": spec["type"], "soapType": SOAP.get(spec["type"], "xsd:string"),
                "length": spec.get("length", 0), "precision": spec.get("precision", 0),
                "scale": spec.get("scale", 0), "externalId": bool(spec.get("external_id")),
                "unique": bool(spec.get("unique")),
                "idLookup": bool(spec.get("external_id") or spec.get("id_lookup") or name == "Id"),
                "nillable": not spec.get("required"), "defaultedOnCreate": "default" in spec or name == "OwnerId",
                "createable": free, "updateable": free and not spec.get("create_only"), "custom": name.endswith("__c"),
                "referenceTo": [spec["to"]] if spec["type"] == "reference" else [],
                "relationshipName": spec.get("relationship"),
                "picklistValues": [{"value": one, "active": True} for one in spec.get("values", ())]})
        return answer({"name": sobject, "label": sobject, "keyPrefix": self.schema.prefix(sobject),
                       "custom": sobject.endswith("__c"), "createable": True, "updateable": True,
                       "queryable": True, "fields": fields})
