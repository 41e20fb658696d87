"""Bulk operations of the Shopify stand-in: whole connections read in the background into one file of lines of JSON, and
a mutation done once for each line of an uploaded file.

A child is a line of its own with `__parentId`, and stands anywhere after its parent's line unless the lines were asked
to be grouped. Slashes are escaped in the file, as in the recorded ones.
"""

import json
import random
import re
import secrets

from aiohttp import web
from graphql.language import ast

from sandbox.common import as_json
from sandbox.shopify_graphql import Call, Wrong
from sandbox.shopify_schema import bare
from sandbox.shopify_values import Refused, variables_of

AT_ONCE, MAX_CONNECTIONS, MAX_DEPTH, MAX_QUERY_BYTES, MAX_FILE_BYTES = 5, 5, 2, 65_535, 100 * 1024 * 1024
LIFE_S = 7 * 86400  # of a result's address
RUNNING = ("CREATED", "RUNNING", "CANCELING")


class BulkCall(Call):
    """A document whose connections are read whole, whatever `first` says; no points are taken."""

    def page(self, nodes, args):
        return {"edges": [{"node": one, "cursor": str(at)} for at, one in enumerate(nodes)], "nodes": list(nodes),
                "pageInfo": {"hasNextPage": False, "hasPreviousPage": False, "startCursor": None, "endCursor": None}}


class Plan:
    """Where the connections of a query are: {key of the answer: (kind, Plan)}, kind "connection" or "object"."""

    def __init__(self, engine, call):
        self.engine, self.call = engine, call
        self.connections = self.deepest = 0
        root = engine.schema.get_query_type()
        if call.operation.operation != "query":
            raise Wrong(["query"], "Bulk queries must be queries.", "INVALID")
        for field, _ in self.fields(call.operation.selection_set, root):
            if field.name.value in ("node", "nodes"):
                raise Wrong(["query"], f"Bulk queries cannot contain a top level `{field.name.value}` field.",
                            "INVALID")
        self.tree = self.of(call.operation.selection_set, root, 0)
        if not self.connections:
            raise Wrong(["query"], "Bulk queries must contain at least one connection.", "INVALID")
        if self.connections > MAX_CONNECTIONS:
            raise Wrong(["query"], f"Bulk queries cannot contain more than {MAX_CONNECTIONS} connections.", "INVALID")
        if self.deepest > MAX_DEPTH:
            raise Wrong(["query"], "Bulk queries cannot contain connections with a nesting depth greater than "
                        f"{MAX_DEPTH}.", "INVALID")

    def fields(self, selection_set, kind):
        """(field, type it is on) of a selection, through fragments."""
        for one in selection_set.selections if selection_set else []:
            if isinstance(one, ast.Field):
                yield one, kind
            elif isinstance(one, ast.InlineFragment):
                name = one.type_condition
                yield from self.fields(one.selection_set,
                                       self.engine.schema.get_type(name.name.value) if name else kind)
            else:
                known = self.call.fragments[one.name.value]
                yield from self.fields(known.selection_set,
                                       self.engine.schema.get_type(known.type_condition.name.value))

    def of(self, selection_set, kind, depth):
        out = {}
        for field, on in self.fields(selection_set, kind):
            name = field.name.value
            if name.startswith("__") or not field.selection_set:
                continue
            below = bare(on.fields[name].type)
            key = field.alias.value if field.alias else name
            if below.name.endswith("Connection"):
                out[key] = ("connection", self.connection(field, below, depth + 1))
            else:
                out[key] = ("object", self.of(field.selection_set, below, depth))
        return out

    def connection(self, field, kind, depth):
        self.connections += 1
        self.deepest = max(self.deepest, depth)
        name = field.name.value
        chosen = list(self.fields(field.selection_set, kind))
        if any(one.name.value == "nodes" for one, _ in chosen):
            raise Wrong(["query"], f"Bulk queries do not support the `nodes` field on connection `{name}`: use "
                        "`edges { node { ... } }`.", "INVALID")
        edges = next((one for one, _ in chosen if one.name.value == "edges"), None)
        edge = bare(kind.fields["edges"].type)
        node = next((one for one, _ in self.fields(edges.selection_set, edge) if one.name.value == "node"),
                    None) if edges else None
        if node is None:
            raise Wrong(["query"], f"The connection `{name}` must select `edges {{ node {{ ... }} }}`.", "INVALID")
        on = bare(edge.fields["node"].type)
        below = self.of(node.selection_set, on, depth)
        chosen = {one.name.value for one, _ in self.fields(node.selection_set, on) if not one.alias}
        if has_connection(below) and "id" not in chosen:
            raise Wrong(["query"], f"The parent 'node' field for a nested connection must select the 'id' field "
                        f"without an alias: `{name}`.", "INVALID")
        return below


def has_connection(tree):
    return any(kind == "connection" or has_connection(below) for kind, below in tree.values())


def lines_of(data, tree, parent=None):
    """[(line, its children's lines)] of an answer; objects that are no nodes give their connections to the node."""
    out = []
    for key, (kind, below) in tree.items():
        value = data.get(key)
        if value is None:
            continue
        if kind == "object":
            for one in value if isinstance(value, list) else [value]:
                out += lines_of(one, below, parent) if one else []
            continue
        for edge in value["edges"]:
            line = without(edge["node"], below)
            if parent is not None:
                line["__parentId"] = parent
            out.append((line, lines_of(edge["node"], below, edge["node"].get("id", parent))))
    return out


def without(node, tree):
    """A node as its line has it: what is a connection stands elsewhere."""
    out = {}
    for key, value in node.items():
        kind, below = tree.get(key, (None, {}))
        if kind == "connection":
            continue
        if kind == "object" and value is not None:
            value = [without(one, below) if one else one for one in value] if isinstance(value, list) else \
                without(value, below)
        out[key] = value
    return out


def ordered(found, grouped, luck):
    """The lines of a file: each parent's children after it, or roots in order and each child anywhere after its parent.
    """
    if grouped:
        return [line for one, below in found for line in [one, *ordered(below, True, luck)]]
    placed = []

    def place(rows, low):
        for at, (line, below) in enumerate(rows):
            mine = float(at) if low is None else low + luck.random() * (len(found) - low)
            placed.append((mine, len(placed), line))
            place(below, mine)

    place(found, None)
    return [line for _, _, line in sorted(placed, key=lambda one: one[:2])]


def as_line(value):
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).replace("/", "\\/") + "\n"


class Bulk:
    """The operations of one app on one shop. `tell(topic, body)` sends a webhook; `address()` is where files are read.
    """

    def __init__(self, engine, tell, address):
        self.engine, self.shop, self.tell, self.address = engine, engine.shop, tell, address
        self.first_ms = 0
        self.clear()
        self.shop.resetters.append(lambda shop: self.clear())

    def clear(self):
        self.all, self.uploads = {}, {}
        self.run_ms, self.fail, self.hold = self.first_ms, None, False
        self.seed = 1

    # ---- the life of an operation ----

    def begin(self, kind, query, work):
        going = sum(1 for one in self.all.values() if one["type"] == kind and one["status"] in RUNNING)
        if going >= AT_ONCE:
            raise Wrong(None, f"Bulk operations limit reached: {AT_ONCE} are in progress. Please try again later.",
                        "LIMIT_REACHED", {"bulkOperation": None})
        made = self.shop.add("BulkOperation", type=kind, query=query, status="CREATED", errorCode=None,
                             completedAt=None, objectCount="0", rootObjectCount="0", fileSize=None, url=None,
                             partialDataUrl=None)
        made.work, made.file, made.ended, made.groups = work, b"", None, False
        self.all[made["id"]] = made
        return made

    def go_on(self, made):
        """Starts it, once the answer of the mutation is out, and ends it after its time."""
        self.shop.later(max(1, self.run_ms // 2), self.to_running, made)

    def to_running(self, made):
        if made.status == "CREATED":
            made.status = "RUNNING"
        if not self.hold:
            self.shop.later(max(1, self.run_ms // 2), self.to_end, made)

    def to_end(self, made):
        if made.status == "CANCELING":
            return self.end(made, "CANCELED")
        if made.status != "RUNNING":
            return None
        lines, roots, refused = made.work()
        fail, self.fail = self.fail, None
        if refused or fail:
            code = refused or fail.get("code", "INTERNAL_SERVER_ERROR")
            lines = lines[:(fail or {}).get("after", len(lines))]
        made.file = "".join(as_line(one) for one in lines).encode()
        made.objectCount, made.rootObjectCount = str(len(lines)), str(min(roots, len(lines)))
        made.fileSize = str(len(made.file)) if lines else None
        where = f"{self.address()}/_bulk/{number(made)}.jsonl?token={secrets.token_hex(8)}" if lines else None
        if refused or fail:
            made.errorCode, made.partialDataUrl = code, where
            return self.end(made, "FAILED")
        made.url = where
        return self.end(made, "COMPLETED")

    def end(self, made, status):
        made.status, made.completedAt, made.ended = status, self.shop.stamp(), self.shop.clock.seconds()
        if status != "COMPLETED":
            made.completedAt = made.completedAt if status == "CANCELED" else None
        self.tell("bulk_operations/finish", {
            "admin_graphql_api_id": made["id"], "completed_at": made.completedAt, "created_at": made.createdAt,
            "error_code": made.errorCode and made.errorCode.lower(), "status": status.lower(),
            "type": made.type.lower()})

    def look(self, made):
        """An operation as it is now: after seven days its file is gone."""
        if made and made.status == "COMPLETED" and self.shop.clock.seconds() >= made.ended + LIFE_S:
            made.status, made.url, made.partialDataUrl = "EXPIRED", None, None
        return made

    # ---- a query ----

    def run_query(self, source, args, call):
        text = args["query"]
        if len(text.encode()) > MAX_QUERY_BYTES:
            raise Wrong(["query"], "Query is too large (maximum is 65,535 bytes).", "INVALID", {"bulkOperation": None})
        try:
            inner = BulkCall(self.engine, call.version, call.app, text, None, {})
            wrong = self.engine.check(inner)
            if wrong:
                raise Wrong(["query"], "Invalid bulk query: " + wrong[0]["message"], "INVALID")
            plan = Plan(self.engine, inner)
        except Refused as refused:
            raise Wrong(["query"], "Invalid bulk query: " + refused.message, "INVALID",
                        {"bulkOperation": None}) from None
        except Wrong as refused:
            refused.payload = {"bulkOperation": None}
            raise

        def work():
            answer = self.engine.run(BulkCall(self.engine, call.version, call.app, text, None, {}))
            found = lines_of(answer["data"] or {}, plan.tree)
            luck = random.Random(f"{self.seed}/{made['id']}")
            denied = any(one.get("extensions", {}).get("code") == "ACCESS_DENIED" for one in answer.get("errors", []))
            code = None if not answer.get("errors") else "ACCESS_DENIED" if denied else "INTERNAL_SERVER_ERROR"
            return ordered(found, made.groups, luck), len(found), code

        made = self.begin("QUERY", text, work)
        made.groups = bool(args.get("groupObjects", not call.since("2026-01")))
        self.go_on(made)
        return {"bulkOperation": dict(made)}

    # ---- a mutation for each line of an upload ----

    def stage(self, source, args, call):
        targets = []
        for asked in args["input"]:
            key = f"tmp/{secrets.token_hex(4)}/bulk/{secrets.token_hex(16)}/{asked['filename']}"
            self.uploads[key] = {"policy": secrets.token_hex(12), "file": None, "resource": asked["resource"],
                                 "mime": asked["mimeType"]}
            where = f"{self.address()}/_uploads/"
            targets.append({"url": where, "resourceUrl": None if asked["resource"] == "BULK_MUTATION_VARIABLES" else
                            where + key, "parameters": [
                                {"name": "success_action_status", "value": "201"}, {"name": "acl", "value": "private"},
                                {"name": "key", "value": key}, {"name": "Content-Type", "value": asked["mimeType"]},
                                {"name": "policy", "value": self.uploads[key]["policy"]}]})
        return {"stagedTargets": targets}

    def run_mutation(self, source, args, call):
        none = {"bulkOperation": None}
        if args.get("clientIdentifier") is not None and not 10 <= len(args["clientIdentifier"]) <= 255:
            raise Wrong(["clientIdentifier"], "Client identifier must be between 10 and 255 characters.",
                        "INVALID_MUTATION", none)
        upload = self.uploads.get(args["stagedUploadPath"])
        if upload is None or upload["file"] is None:
            raise Wrong(None, "The JSONL file could not be found. Try uploading the file again, and check that you've "
                        "entered the URL correctly for the stagedUploadPath mutation argument.", "NO_SUCH_FILE", none)
        text = args["mutation"]
        try:
            variables = [json.loads(line) for line in upload["file"].decode().splitlines() if line.strip()]
            if not all(isinstance(one, dict) for one in variables):
                raise ValueError
        except ValueError:
            raise Wrong(None, "The JSONL file submitted via the stagedUploadsCreate mutation is invalid. Update the "
                        "file and try again.", "INVALID_STAGED_UPLOAD_FILE", none) from None
        try:
            inner = BulkCall(self.engine, call.version, call.app, text, None, {})
            wrong = self.engine.check(inner)
            if wrong or inner.operation.operation != "mutation" or len(inner.operation.selection_set.selections) != 1:
                raise Refused(wrong[0]["message"] if wrong else "it is not one mutation")
        except Refused as refused:
            raise Wrong(["mutation"], f"Failed to parse the mutation - {refused.message}", "INVALID_MUTATION",
                        none) from None

        def work():
            out = []
            for at, one in enumerate(variables):
                out.append({**self.once(text, one, call), "__lineNumber": at})
            random.Random(f"{self.seed}/{made['id']}").shuffle(out)  # lines are not done, nor told, in order
            return out, len(out), None

        made = self.begin("MUTATION", text, work)
        self.go_on(made)
        return {"bulkOperation": dict(made)}

    def once(self, text, variables, call):
        """One line's answer: what the mutation said, or why it was refused."""
        try:
            inner = BulkCall(self.engine, call.version, call.app, text, None, variables)
            inner.variables = variables_of(self.engine.schema, inner.operation, variables)
        except Refused as refused:
            return {"errors": [refused.to_json()]}
        return self.engine.run(inner)

    # ---- GraphQL ----

    def install(self):
        engine = self.engine
        engine.mutation("bulkOperationRunQuery")(self.run_query)
        engine.mutation("bulkOperationRunMutation")(self.run_mutation)
        engine.mutation("stagedUploadsCreate")(self.stage)
        engine.mutation("bulkOperationCancel")(self.cancel)
        engine.query("bulkOperation")(lambda source, args, call: self.look(self.all.get(args["id"])))
        engine.query("bulkOperations")(self.list)
        engine.query("currentBulkOperation")(self.current)

    def list(self, source, args, call):
        found = [self.look(one) for one in self.all.values()]
        for field, wanted in re.findall(r"(\w+):'?\"?(\w+)", args.get("query") or ""):
            if field in ("status", "operation_type"):
                name = {"operation_type": "type"}.get(field, field)
                found = [one for one in found if one[name].lower() == wanted.lower()]
        return found[::-1] if args.get("reverse") else found

    def current(self, source, args, call):
        found = [one for one in self.all.values() if one["type"] == args.get("type", "QUERY")]
        return self.look(found[-1]) if found else None

    def cancel(self, source, args, call):
        made = self.all.get(args["id"])
        if made is None:
            raise Wrong(["id"], "Bulk operation does not exist", payload={"bulkOperation": None})
        if made.status not in ("CREATED", "RUNNING"):
            raise Wrong(None, f"A bulk operation cannot be canceled when it is {made.status.lower()}",
                        payload={"bulkOperation": dict(made)})
        made.status = "CANCELING"
        said = dict(made)
        self.shop.later(max(1, self.run_ms // 4), self.to_end, made)
        return {"bulkOperation": said}

    # ---- files ----

    async def on_file(self, request):
        """A result: streamed, without a length, or the range of it that is asked for; gone after seven days."""
        found = next((one for one in self.all.values() if request.path == f"/_bulk/{number(one)}.jsonl"), None)
        known = found and (self.look(found).url or found.partialDataUrl)
        if not known or not known.endswith("?" + request.query_string) or \
                self.shop.clock.seconds() >= found.ended + LIFE_S:
            return web.Response(status=403, content_type="application/xml",
                                text="<Error><Code>AccessDenied</Code><Message>Access denied.</Message></Error>")
        asked = re.fullmatch(r"bytes=(\d+)-(\d*)", request.headers.get("Range", ""))
        if not asked:
            response = web.Response(body=found.file, content_type="application/jsonl")
            response.enable_chunked_encoding()
            return response
        first, last = int(asked[1]), min(int(asked[2] or len(found.file)), len(found.file) - 1)
        if first >= len(found.file):
            return web.Response(status=416, headers={"Content-Range": f"bytes */{len(found.file)}"})
        return web.Response(status=206, body=found.file[first:last + 1], content_type="application/jsonl",
                            headers={"Content-Range": f"bytes {first}-{last}/{len(found.file)}"})

    async def on_upload(self, request):
        """A form of the parameters, in their order, and the file as its last part."""
        parts = form_parts(request.content_type, request.headers.get("Content-Type", ""), await request.read())
        if parts is None:
            return refusal(400, "MalformedPOSTRequest", "it is no multipart/form-data")
        if "file" not in [name for name, _ in parts[-1:]]:
            return refusal(400, "InvalidPolicyDocument", "the file is not the last part")
        file, fields = parts[-1][1], {name: value.decode() for name, value in parts[:-1]}
        known = self.uploads.get(fields.get("key"))
        if known is None or fields.get("policy") != known["policy"]:
            return refusal(403, "AccessDenied", "the key or its policy is not one that was staged")
        if len(file) > MAX_FILE_BYTES:
            return refusal(400, "EntityTooLarge", "the file has more than 100 MB")
        known["file"] = file
        return web.Response(status=201, content_type="application/xml", text="<PostResponse><Key>"
                            f"{fields['key']}</Key></PostResponse>")

    # ---- control ----

    async def on_control(self, request):
        """{"run_ms", "hold" (stay RUNNING), "fail": {"code", "after"} for the next one, "seed"}"""
        asked = await request.json()
        for name, value in asked.items():
            if name not in ("run_ms", "hold", "fail", "seed"):
                return as_json({"error": f"unknown: {name}"}, 400)
            setattr(self, name, value)
        if asked.get("hold") is False:
            for one in [one for one in self.all.values() if one["status"] == "RUNNING"]:
                self.to_running(one)
        return as_json(self.books())

    def books(self):
        return {"operations": [{name: one[name] for name in ("id", "type", "status", "errorCode", "objectCount",
                                                             "rootObjectCount")} for one in self.all.values()],
                "uploads": sum(1 for one in self.uploads.values() if one["file"] is not None)}


def number(made):
    return made["id"].rpartition("/")[2]


def form_parts(kind, header, body):
    """[(name, bytes)] of a form in its order; None if it is none."""
    found = re.search(r'boundary="?([^";]+)', header)
    if kind != "multipart/form-data" or not found:
        return None
    pieces = (b"\r\n" + body).split(b"\r\n--" + found[1].encode())
    if len(pieces) < 3 or not pieces[-1].startswith(b"--"):
        return None
    out = []
    for piece in pieces[1:-1]:
        head, gap, value = piece.partition(b"\r\n\r\n")
        name = re.search(rb'\bname="([^"]*)"', head)
        if not gap or not name:
            return None
        out.append((name[1].decode(), value))
    return out


def refusal(status, code, message):
    return web.Response(status=status, content_type="application/xml",
                        text=f"<Error><Code>{code}</Code><Message>{message}</Message></Error>")
