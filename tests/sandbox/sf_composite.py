"""Composite and Composite Graph of the Salesforce stand-in: several calls in one, with references between them."""

import json
import re

import yarl

from sandbox.sf_rest import RestError, Route, answer, read_json

REFERENCE = re.compile(r"@\{([\w]+)\.([\w.\[\]]+)\}")
LIMIT, COLLECTIONS_LIMIT, NODES_LIMIT, GRAPHS_LIMIT = 25, 5, 500, 75
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
              Route("graph composite rest", "POST", "/composite/graph", "on_graph")]

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
            if route is None or route.steps[0] in ("composite", "graph") or "jobs" in route.steps:
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
