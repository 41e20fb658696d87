"""What all REST calls of the Salesforce stand-in share: errors, answers, routes, JSON to field values."""

import json
import re

from aiohttp import web

from sandbox.sf_store import CLEAR, RowError

JSON = "application/json;charset=UTF-8"
NOT_FOUND = ("NOT_FOUND", "The requested resource does not exist")
NO_SESSION = (401, "INVALID_SESSION_ID", "Session expired or invalid")


class RestError(Exception):
    """An answer in the REST array shape."""

    def __init__(self, status, code, message, **more):
        super().__init__(message)
        self.status, self.body = status, [{"message": message, "errorCode": code, **more}]


def answer(value, status=200):
    return web.Response(status=status, text=json.dumps(value, ensure_ascii=False, separators=(",", ":")),
                        headers={"Content-Type": JSON})


def one_error(status, code, message):
    return answer([{"message": message, "errorCode": code}], status)


def of_row(bad, status=400):
    """A refused row as the answer to a call about that row alone."""
    more = {"fields": bad.fields} if bad.fields else {}
    return RestError(404 if bad.code == "NOT_FOUND" else status, bad.code, bad.message, **more, **bad.more)


class Route:
    """One call: its step and groups (names that the `at` of a fault may use), method, path and handler."""

    def __init__(self, steps, method, path, handler):
        self.steps = steps.split()
        self.method = method
        self.pattern = re.compile(r"/services/data/v(?P<version>\d+\.\d)" + path)
        self.handler = handler  # name of a method of the part that has the route


def parse_json(text):
    try:
        value = json.loads(text)
        if isinstance(value, dict):
            return value
    except ValueError:
        pass
    raise RestError(400, "JSON_PARSER_ERROR", "The request body is not a JSON object")


async def read_json(request):
    return parse_json(await request.read())


def object_name(schema, name):
    found = schema.find(name)
    if found is None:
        raise RestError(404, *NOT_FOUND)
    return found


def key_field(schema, sobject, name, code="NOT_FOUND", status=404):
    if not name or not schema.is_key(sobject, name):
        raise RestError(status, code,
                        f"Provided external ID field does not exist or is not accessible: {name}")
    return schema.field(sobject, name)[0]


def no_column(sobject, name):
    return RowError("INVALID_FIELD", f"No such column '{name}' on sobject of type {sobject}", [name])


def field_values(store, sobject, body):
    """A JSON record to field values; parents may be nested objects. null clears. RowError if it cannot be."""
    out = {}
    for name, value in body.items():
        if name == "attributes":
            continue
        if isinstance(value, dict):
            lookup, _ = store.schema.relationship(sobject, name)
            keys = [key for key in value if key != "attributes"]
            if lookup is None or len(keys) != 1:
                raise no_column(sobject, name)
            out[lookup] = store.parent(sobject, name, keys[0], value[keys[0]])[1]
            continue
        known, spec = store.schema.field(sobject, name)
        if known is None:
            raise no_column(sobject, name)
        if spec.get("read_only"):
            raise store.not_writable(known)
        out[known] = CLEAR if value is None else value
    return out


def plain_values(body):
    """A record's plain values as text by lower-case name, for rules that choose rows."""
    return {name.lower(): "" if value is None else str(value) for name, value in body.items()
            if not isinstance(value, (dict, list))}
