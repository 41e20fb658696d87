"""Composite, Composite Graph and sObject Tree of the Salesforce stand-in: several writes in one call."""

import json
import re

import yarl

from sandbox.sf_jobs import CHUNK
from sandbox.sf_rest import RestError, Route, answer, field_values, object_name, read_json
from sandbox.sf_store import RowError

REFERENCE = re.compile(r"@\{([\w]+)\.([\w.\[\]]+)\}")
LIMIT, COLLECTIONS_LIMIT, NODES_LIMIT, GRAPHS_LIMIT = 25, 5, 500, 75
TREE_OBJECTS, TREE_DEPTH = 5, 5
HALTED = [{"errorCode": "PROCESSING_HALTED",
           "message": "The transaction was rolled back since another operation in the same transaction failed."}]


class SubRequest:
    """One call inside another, as handlers see a request."""

    content_type = "application/json"

    def __init__(self, outer, one, done):
        self.method = one["method"].upper()
        self.rel_url = yarl.URL(resolve(one["url"], done))
        self.path = self.rel_url.path
        self.query = self.rel_url.query
        self.headers = {**outer.headers, **one.get("httpHeaders", {})}
        self.body = json.dumps(resolve(one.get("body", {}), done)).encode()

    async def read(self):
        return self.body


def resolve(value, done):
    """@{reference.field} by what that earlier call answered; RestError if it cannot be."""
    if isinstance(value, dict):
        return {name: resolve(one, done) for name, one in value.items()}
    if isinstance(value, list):
        return [resolve(one, done) for one in value]
    return REFERENCE.sub(lambda found: pick(found, done), value) if isinstance(value, str) else value


def pick(found, done):
    at = done.get(found[1])
    for part in re.findall(r"\w+", found[2]):
        try:
            at = at[int(part)] if isinstance(at, list) else at[part]
        except (KeyError, IndexError, TypeError, ValueError):
            raise RestError(400, "PROCESSING_HALTED",
                            f"Invalid reference specified. No value for {found[1]}.{found[2]} found") from None
    return str(at)


class Composite:
    routes = [Route("composite rest", "POST", "/composite", "on_composite"),
              Route("graph composite rest", "POST", "/composite/graph", "on_graph"),
              Route("tree composite rest", "POST", "/composite/tree/(?P<object>[^/]+)", "on_tree")]

    def __init__(self, home):
        self.home = home

    def clear(self):
        pass

    async def on_composite(self, request, version):
        body = await read_json(request)
        calls = self.check(body.get("compositeRequest"), LIMIT)
        heavy = [one for one in calls if re.search(r"/composite/sobjects|/query", one["url"])]
        if len(heavy) > COLLECTIONS_LIMIT:
            raise RestError(400, "INVALID_INPUT", "at most 5 of the subrequests may be collections or queries")
        return answer({"compositeResponse": await self.all_of(request, calls, body.get("allOrNone") is True)})

    def check(self, calls, most):
        if not isinstance(calls, list) or not calls:
            raise RestError(400, "INVALID_INPUT", "there are no subrequests")
        if len(calls) > most:
            raise RestError(400, "LIMIT_EXCEEDED", f"at most {most} subrequests are allowed")
        names = [one.get("referenceId") for one in calls]
        if None in names or len(set(names)) < len(names) or not all("method" in one and "url" in one for one in calls):
            raise RestError(400, "INVALID_INPUT", "each subrequest has method, url and a referenceId of its own")
        return calls

    async def all_of(self, request, calls, whole):
        """Their answers. Nothing awaits anything outside in between, so a transaction has the store alone."""
        done, results, store = {}, [], self.home.store
        if whole:
            store.begin()
        for one in calls:
            response = await self.one(request, one, done)
            text = response.text
            body = json.loads(text) if text else None
            done[one["referenceId"]] = body
            results.append({"body": body, "httpHeaders": {}, "httpStatusCode": response.status,
                            "referenceId": one["referenceId"]})
            if whole and response.status >= 400:
                break
        if whole:
            if results[-1]["httpStatusCode"] >= 400:
                store.roll_back()
                results[:-1] = [{**one, "body": HALTED, "httpStatusCode": 400} for one in results[:-1]]
                results += [{"body": HALTED, "httpHeaders": {}, "httpStatusCode": 400,
                             "referenceId": one["referenceId"]} for one in calls[len(results):]]
            store.commit()
        return results

    async def one(self, request, one, done):
        try:
            inner = SubRequest(request, one, done)
            route, parts = self.home.match(inner)
            if route is None or "composite" in route.steps or "jobs" in route.steps:
                raise RestError(404, "NOT_FOUND", "The requested resource does not exist")
            return await self.home.handle(route, inner, parts)
        except RestError as wrong:
            return answer(wrong.body, wrong.status)

    async def on_graph(self, request, version):
        body = await read_json(request)
        graphs = body.get("graphs")
        if not isinstance(graphs, list) or not graphs or len(graphs) > GRAPHS_LIMIT:
            raise RestError(400, "INVALID_INPUT", "graphs has 1 to 75 entries")
        if sum(len(one.get("compositeRequest", ())) for one in graphs) > NODES_LIMIT:
            raise RestError(400, "LIMIT_EXCEEDED", "at most 500 nodes are allowed")
        out = []
        for graph in graphs:
            results = await self.all_of(request, self.check(graph.get("compositeRequest"), NODES_LIMIT), True)
            out.append({"graphId": graph.get("graphId"), "graphResponse": {"compositeResponse": results},
                        "isSuccessful": all(one["httpStatusCode"] < 400 for one in results)})
        return answer({"graphs": out})

    # ---- trees: new records with their children, all or nothing ----

    async def on_tree(self, request, version, object):
        sobject = object_name(self.home.schema, object)
        records = (await read_json(request)).get("records")
        nodes = []
        self.flatten(sobject, records, None, 1, nodes)
        if not 0 < len(nodes) <= CHUNK or len({one[0] for one in nodes}) > TREE_OBJECTS:
            raise RestError(400, "INVALID_INPUT", "a tree has 1 to 200 records of at most 5 objects")
        store, made, wrong = self.home.store, {}, []
        source = f"tree-{self.home.limits.used('calls')}"
        store.begin()
        for kind, reference, fields, parent in nodes:
            try:
                values = field_values(store, kind, fields)
                if parent is not None:
                    values[parent[1]] = made.get(parent[0], "")
                made[reference] = store.upsert(kind, "Id", values, source, operation="insert",
                                               allow_save=self.home.allow_save(request))[0]
            except RowError as bad:
                wrong.append({"referenceId": reference, "errors": [bad.rest()]})
        if wrong:
            store.roll_back()
        store.commit()
        for kind, reference, _, _ in nodes:
            refused = next((one["errors"][0]["statusCode"] for one in wrong if one["referenceId"] == reference), None)
            outcome = refused or ("PROCESSING_HALTED" if wrong else "created")
            store.note(source, "insert", kind, reference, "" if wrong else made[reference], outcome)
        if wrong:
            return answer({"hasErrors": True, "results": wrong}, 400)
        return answer({"hasErrors": False, "results": [{"referenceId": one[1], "id": made[one[1]]}
                                                       for one in nodes]}, 201)

    def flatten(self, sobject, records, parent, depth, nodes):
        """Parents before their children: (object, reference, fields, (parent's reference, lookup field))."""
        if not isinstance(records, list) or depth > TREE_DEPTH:
            raise RestError(400, "INVALID_INPUT", "records is a list, and at most 5 levels deep")
        for one in records:
            attributes = one.get("attributes") if isinstance(one, dict) else None
            if not isinstance(attributes, dict) or not attributes.get("referenceId") or \
                    self.home.schema.find(attributes.get("type")) != sobject:
                raise RestError(400, "INVALID_INPUT", "each record has attributes with type and referenceId")
            inner = {name: value for name, value in one.items() if isinstance(value, dict) and "records" in value}
            nodes.append((sobject, attributes["referenceId"],
                          {name: value for name, value in one.items() if name not in inner}, parent))
            for value in inner.values():
                kind, lookup = self.child(sobject, value["records"])
                self.flatten(kind, value["records"], (attributes["referenceId"], lookup), depth + 1, nodes)

    def child(self, sobject, records):
        """(object, field that points to `sobject`) of a list of children."""
        schema = self.home.schema
        first = records[0] if isinstance(records, list) and records and isinstance(records[0], dict) else {}
        kind = schema.find(first.get("attributes", {}).get("type"))
        lookup = next((name for name, spec in schema.fields(kind).items() if spec.get("to") == sobject), None) \
            if kind else None
        if lookup is None:
            raise RestError(400, "INVALID_INPUT", f"these are no children of {sobject}")
        return kind, lookup
