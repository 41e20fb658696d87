#!/usr/bin/python3
"""Salesforce stand-in: OAuth, Bulk API 2.0 ingest and query, collections, composite, single records, query, limits.

Run it (`salesforce.py --help`) or use the Salesforce class. See README.md for faults and books.
"""

import collections
import json
import os
import sys
import urllib.parse

if __package__ is None:
    sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))

from aiohttp import web

from sandbox import common, sf_schema as sf
from sandbox.common import as_json
from sandbox.sf_auth import Auth, OAuthError, bearer, error_body, load_public_key
from sandbox.sf_bulkquery import BulkQuery
from sandbox.sf_clock import Clock
from sandbox.sf_collections import Collections
from sandbox.sf_composite import Composite
from sandbox.sf_faults import RowFaults
from sandbox.sf_history import History
from sandbox.sf_ingest import Ingest
from sandbox.sf_jobs import Engine
from sandbox.sf_limits import CONCURRENT, TOTAL, Limits
from sandbox.sf_outbound import Outbound
from sandbox.sf_query import Query
from sandbox.sf_records import Records
from sandbox.sf_rest import JSON, NO_SESSION, NOT_FOUND, RestError, answer, one_error
from sandbox.sf_rules import Org, Rules
from sandbox.sf_store import Store

UPLOAD_LIMIT = 100 * 1024 * 1024  # bytes; 150 MB after the platform's base64
URI_LIMIT = 16_384
OLDEST, NEWEST = 31.0, 68.0  # API versions; those from 21.0 up to the oldest are retired


class Salesforce(common.StandIn):
    name = "salesforce"
    data_actions = ("job_failed", "all_rows_failed", "row_error", "rows_missing", "slow_job")
    rule_keys = ("code", "message", "field", "times", "keys", "every", "fraction", "where", "written",
                 "error", "error_description", "matches")

    def __init__(self, auth, processing_ms=200, daily_limit=100_000, schema=None, books_file=None,
                 upload_limit=UPLOAD_LIMIT):
        super().__init__(books_file)
        self.clock = Clock()
        self.auth = auth
        self.auth.clock = self.clock
        self.schema = schema or sf.Schema()
        self.org = Org(self.schema)
        self.store = Store(self.schema, self.clock)
        self.store.rules = Rules(self.store, self.org)
        self.row_faults = RowFaults(self.faults, self.org)
        self.limits = Limits(self.clock, daily_limit)
        self.engine = Engine(self, processing_ms)
        self.ingest = Ingest(self, upload_limit)
        self.query = Query(self)
        self.bulk_query = BulkQuery(self, processing_ms)
        self.collections = Collections(self)
        self.records = Records(self)
        self.outbound = Outbound(self)
        self.history = History(self.store, self.schema)
        self.parts = [self.ingest, self.bulk_query, self.collections, Composite(self), self.query, self.limits,
                      self.records, self.outbound]
        self.routes = [(route, getattr(part, route.handler)) for part in self.parts for route in part.routes]
        self.reset()

    # ---- faults that answer ----

    def expire(self, rule, request):
        self.auth.end(bearer(request.headers.get("Authorization", "")))
        return one_error(*NO_SESSION)

    def session_refused(self, rule, request):
        """A session that is good, but not here: another token would fare no better."""
        return one_error(401, "INVALID_SESSION_ID", rule.get(
            "message", "This session is not valid for use with the REST API"))

    def limit_total(self, rule, request):
        return one_error(*TOTAL)

    def limit_concurrent(self, rule, request):
        return one_error(*CONCURRENT)

    def unavailable(self, rule, request):
        return one_error(503, "SERVER_UNAVAILABLE", "Server too busy")

    def unavailable_html(self, rule, request):
        page = ("<html><head><title>Maintenance</title></head>"
                "<body><h1>We are down for maintenance.</h1></body></html>")
        return web.Response(status=rule.get("status", 503), text=page, content_type="text/html")

    def forbidden(self, rule, request):
        """403 that no waiting mends."""
        return one_error(403, rule.get("code", "API_DISABLED_FOR_ORG"),
                         rule.get("message", "API is not enabled for this Organization or Partner"))

    def oauth_error(self, rule, request):
        wrong = OAuthError(rule.get("error", "invalid_grant"),
                           rule.get("error_description", "request not supported on this domain"))
        return web.Response(status=rule.get("status", 400), text=error_body(wrong),
                            headers={"Content-Type": JSON, "Cache-Control": "no-store"})

    answer_actions = {"expired": expire, "session_refused": session_refused, "limit_total": limit_total,
                      "limit_concurrent": limit_concurrent, "unavailable": unavailable,
                      "unavailable_html": unavailable_html, "forbidden": forbidden, "oauth_error": oauth_error}

    # ---- dispatch ----

    def match(self, request):
        """((route, handler), path parts), or (None, {}). A trailing slash is accepted everywhere."""
        path = request.rel_url.raw_path.rstrip("/")
        for route, handler in self.routes:
            if route.method == request.method and (found := route.pattern.fullmatch(path)):
                parts = found.groupdict().items()
                return Found(route, handler), {k: urllib.parse.unquote(v) for k, v in parts if v}
        return None, {}

    def steps_of(self, request):
        if request.path.startswith("/services/oauth2/"):
            return ["token" if request.path.rstrip("/").endswith("/token") else "revoke"]
        found, _ = self.match(request)
        return found.steps if found else ["other", "rest"]

    async def gate(self, request):
        self.limits.begin(request)
        try:
            return await super().gate(request)
        finally:
            self.limits.end(request)

    async def act(self, request):
        if request.path.startswith("/services/oauth2/"):
            return await self.on_oauth(request)
        if request.path.rstrip("/") == "/services/data":
            return answer([{"label": f"v{n}.0", "url": f"/services/data/v{n}.0", "version": f"{n}.0"}
                           for n in range(int(OLDEST), int(NEWEST) + 1)])
        try:
            if len(request.raw_path) > URI_LIMIT:
                raise RestError(414, "URI_TOO_LONG", "the URI is longer than 16,384 bytes")
            if not self.auth.valid(request.headers.get("Authorization", "")):
                raise RestError(*NO_SESSION)
            self.limits.admit()
            self.clients[request.headers.get("Sforce-Call-Options", "")] += 1
            route, parts = self.match(request)
            if route is None:
                raise RestError(404, *NOT_FOUND)
            return await self.handle(route, request, parts)
        except RestError as wrong:
            return answer(wrong.body, wrong.status)

    async def handle(self, route, request, parts):
        version = float(parts["version"])
        if 21 <= version < OLDEST:
            raise RestError(410, "UNSUPPORTED_API_VERSION", "GONE")
        if not OLDEST <= version <= NEWEST:
            raise RestError(404, *NOT_FOUND)
        return await route.handler(request, **parts)

    def finish(self, request, response):
        if request.path.startswith("/services/oauth2"):
            return
        steps = self.steps_of(request)
        if self.org.limit_info == "all" or self.org.limit_info == "rest" and "jobs" not in steps:
            response.headers["Sforce-Limit-Info"] = self.limits.info_header()
        if self.org.gzip and "gzip" in request.headers.get("Accept-Encoding", "") and response.body:
            response.enable_compression(web.ContentCoding.gzip)

    def base_url(self, request):
        return f"{self.scheme}://{request.host}"

    def allow_save(self, request):
        """Does the caller want duplicates saved where the rule only alerts?"""
        return "allowsave=true" in request.headers.get("Sforce-Duplicate-Rule-Header", "").lower().replace(" ", "")

    async def on_oauth(self, request):
        form = dict(urllib.parse.parse_qsl((await request.read()).decode("utf-8", "replace")))
        headers = {"Content-Type": JSON, "Cache-Control": "no-store"}
        try:
            if request.path.rstrip("/").endswith("/revoke"):
                self.auth.revoke(form.get("token") or request.query.get("token", ""))
                return web.Response(headers=headers)
            granted = self.auth.token(form, request.headers.get("Authorization", ""), self.base_url(request))
            return web.Response(text=json.dumps(granted), headers=headers)
        except OAuthError as wrong:
            return web.Response(status=wrong.status, text=error_body(wrong), headers=headers)

    # ---- books and control ----

    def reset(self):
        self.clients = collections.Counter()  # what callers say they are
        self.clock.reset()
        self.auth.clear()
        self.org.clear()
        self.store.clear()
        self.store.rules.start()
        self.history.clear()
        self.row_faults.clear()
        self.engine.clear()
        for part in self.parts:
            part.clear()

    def books(self, brief=False):
        jobs = self.engine.deleted + [job.books() for job in self.engine.jobs.values()]
        objects = self.store.written()
        records = {} if brief else {name: self.store.as_books(name) for name in objects}
        return {
            "tokens": {"issued": self.auth.issued, "refused": self.auth.refused},
            "sessions": self.auth.books(),
            "jobs": jobs,
            "rows": {name: sum(job[name] for job in jobs)
                     for name in ("rows", "successful", "failed", "unprocessed", "missing")},
            "query_jobs": self.bulk_query.books(),
            "collections": self.collections.books(),
            "outbound": self.outbound.books(),
            "outcomes": {name: dict(counts) for name, counts in self.store.outcomes.items()},
            "clients": dict(self.clients),
            "api_usage": self.limits.used("calls"),
            "limits": self.limits.books(),
            "counts": {name: len(self.store.records[name]) for name in objects},
            "records": records,
        }

    async def on_books(self, request):
        if request.query.get("brief"):
            return as_json({"name": self.name, "requests": self.request_books(), **self.books(True)})
        return await super().on_books(request)

    async def on_control_records(self, request):
        sobject = self.schema.find(request.query.get("object", ""))
        if sobject is None:
            return as_json({"error": "no such object"}, 404)
        records = self.store.as_books(sobject)
        return as_json({"object": sobject, "count": len(records), "records": records})

    async def on_rows(self, request):
        """The ledger: each row that came, in order; object, key, source, outcome narrow it."""
        wanted = {name: request.query[name] for name in ("object", "key", "source", "outcome", "operation")
                  if name in request.query}
        return as_json({"rows": self.store.ledger_rows(**wanted)})

    async def on_history(self, request):
        return as_json(self.history.shown())

    async def on_seed(self, request):
        """[{"object", "key", "fields"}]: records that were there before."""
        ids = []
        for one in await request.json():
            sobject = self.schema.find(one["object"])
            ids.append(self.store.upsert(sobject, one.get("key", "Id"), one["fields"], "seed")[0])
        return as_json({"ok": True, "ids": ids})

    async def on_remove(self, request):
        """{"ids": [...]}: somebody deletes records."""
        for one in (await request.json())["ids"]:
            self.store.delete(self.schema.of_id(one), one)
        return as_json({"ok": True})

    async def on_merge(self, request):
        """{"master": ID, "others": [ID]}: somebody merges, two or three at a time as in the pages. What hung on the
        others hangs on the master; they are in the bin, with his id."""
        wish = await request.json()
        sobject = self.schema.of_id(wish["master"])
        if not 1 <= len(wish["others"]) <= 2:
            return as_json({"error": "two or three records are merged at a time"}, 400)
        for one in wish["others"]:
            self.store.merge(sobject, wish["master"], one)
        return as_json({"ok": True})

    async def on_schema(self, request):
        """{"Object": {"prefix", "fields": {name: {"type", ...}}}}: adds objects and fields."""
        for name, definition in (await request.json()).items():
            self.schema.add_object(name, definition)
        return as_json({"ok": True, "objects": list(self.schema.objects)})

    async def on_expire(self, request):
        body = await request.json() if request.can_read_body else None
        return as_json({"ok": self.auth.end((body or {}).get("token"))})

    async def on_jobs(self, request):
        return as_json({"ids": await self.ingest.on_seed(await request.json())})

    async def on_clock(self, request):
        """{"advance_s": N}"""
        self.clock.advance((await request.json()).get("advance_s", 0))
        return as_json({"now": self.clock.stamp(), "ahead_s": self.clock.ahead})

    def changer(self, target, shown):
        """A control call that changes settings: 400 for what there is not."""

        async def on_change(request):
            try:
                target.change(await request.json())
            except (ValueError, TypeError, KeyError, AttributeError) as wrong:
                return as_json({"error": str(wrong)}, 400)
            return as_json(shown())

        return on_change

    def control_routes(self):
        return [web.get("/_control/records", self.on_control_records),
                web.post("/_control/records", self.on_seed), web.post("/_control/remove", self.on_remove),
                web.post("/_control/merge", self.on_merge),
                web.get("/_control/rows", self.on_rows), web.post("/_control/jobs", self.on_jobs),
                web.post("/_control/schema", self.on_schema), web.post("/_control/expire", self.on_expire),
                web.post("/_control/clock", self.on_clock), web.get("/_control/history", self.on_history),
                web.post("/_control/history", self.changer(self.history, self.history.shown)),
                web.post("/_control/oauth", self.changer(self.auth, self.auth.books)),
                web.post("/_control/org", self.changer(self.org, self.org.as_json)),
                web.post("/_control/limits", self.changer(self.limits, self.limits.books)),
                *self.outbound.control_routes()]

    async def stop(self):
        await super().stop()
        await self.outbound.stop()


class Found:
    """A route with the method that serves it."""

    def __init__(self, route, handler):
        self.steps, self.handler = route.steps, handler


def main():
    parser = common.arguments("Salesforce stand-in")
    parser.add_argument("--client-id", default="3MVG9sandbox-consumer-key")
    parser.add_argument("--client-secret", default="sandbox-consumer-secret")
    parser.add_argument("--username", default="integration@example.com", help="the JWT's sub; empty: any")
    parser.add_argument("--public-key", metavar="PEM", help="public key or certificate that checks the JWT")
    parser.add_argument("--audience", action="append", default=[], help="one more accepted aud")
    parser.add_argument("--token-life", type=float, default=7200, metavar="SECONDS",
                        help="of a session that is not used")
    parser.add_argument("--processing-ms", type=float, default=200,
                        help="from UploadComplete to the end of a job")
    parser.add_argument("--daily-limit", type=int, default=100_000, help="API calls in 24 h before 403")
    parser.add_argument("--upload-limit", type=int, default=UPLOAD_LIMIT, metavar="BYTES", help="of one job")
    parser.add_argument("--schema", metavar="FILE", help="JSON: more objects and fields")
    args = parser.parse_args()
    schema = sf.Schema()
    if args.schema:
        with open(args.schema, encoding="utf-8") as source:
            for name, definition in json.load(source).items():
                schema.add_object(name, definition)
    key = load_public_key(args.public_key) if args.public_key else None
    auth = Auth(args.client_id, args.client_secret, args.username, key, args.audience, args.token_life)
    return common.serve(Salesforce(auth, args.processing_ms, args.daily_limit, schema, args.books,
                                   args.upload_limit), args)


if __name__ == "__main__":
    sys.exit(main())
