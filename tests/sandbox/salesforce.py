#!/usr/bin/python3
"""Salesforce stand-in: OAuth, Bulk API 2.0 ingest, collections and single upsert, query, limits.

Run it (`salesforce.py --help`) or use the Salesforce class. See README.md for faults and books.
"""

import email.message
import email.parser
import email.policy
import json
import os
import re
import sys
import urllib.parse

if __package__ is None:
    sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))

from aiohttp import web

from sandbox import common, sf_schema as sf
from sandbox.common import as_json
from sandbox.sf_auth import Auth, OAuthError, error_body, load_public_key
from sandbox.sf_jobs import CHUNK, DELIMITERS, ENDINGS, OPERATIONS, Engine
from sandbox.sf_store import CLEAR, Ambiguous, RowError, Store, query

JSON = "application/json;charset=UTF-8"
NOT_FOUND = ("NOT_FOUND", "The requested resource does not exist")
MULTIPART_LIMIT = 100_000  # characters of CSV in a create that brings its data


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


class Salesforce(common.StandIn):
    name = "salesforce"
    data_actions = ("job_failed", "all_rows_failed", "row_error", "rows_missing", "slow_job")
    rule_keys = ("code", "message", "field", "times", "keys", "every", "fraction", "where", "written",
                 "error", "error_description")

    def __init__(self, auth, processing_ms=200, daily_limit=100_000, schema=None, books_file=None):
        super().__init__(books_file)
        self.auth = auth
        self.schema = schema or sf.Schema()
        self.store = Store(self.schema)
        self.engine = Engine(self.schema, self.store, self.faults, processing_ms)
        self.daily_limit = daily_limit
        self.reset()

    # ---- faults that answer ----

    def expire(self, rule, request):
        self.auth.end(request.headers.get("Authorization", ""))
        return one_error(401, "INVALID_SESSION_ID", "Session expired or invalid")

    def limit_total(self, rule, request):
        return one_error(403, "REQUEST_LIMIT_EXCEEDED", "TotalRequests Limit exceeded.")

    def limit_concurrent(self, rule, request):
        return one_error(403, "REQUEST_LIMIT_EXCEEDED", "ConcurrentPerOrgLongTxn Limit exceeded.")

    def unavailable(self, rule, request):
        return one_error(503, "SERVER_UNAVAILABLE", "Server too busy")

    def unavailable_html(self, rule, request):
        page = ("<html><head><title>Maintenance</title></head>"
                "<body><h1>We are down for maintenance.</h1></body></html>")
        return web.Response(status=rule.get("status", 503), text=page, content_type="text/html")

    def oauth_error(self, rule, request):
        wrong = OAuthError(rule.get("error", "invalid_grant"),
                           rule.get("error_description", "request not supported on this domain"))
        return web.Response(status=rule.get("status", 400), text=error_body(wrong),
                            headers={"Content-Type": JSON, "Cache-Control": "no-store"})

    answer_actions = {"expired": expire, "limit_total": limit_total, "limit_concurrent": limit_concurrent,
                      "unavailable": unavailable, "unavailable_html": unavailable_html,
                      "oauth_error": oauth_error}

    # ---- dispatch ----

    def match(self, request):
        """(step, handler, path parts) of a request. A trailing slash is accepted everywhere."""
        path = request.rel_url.raw_path
        if len(path) > 1:
            path = path.rstrip("/")
        for step, method, pattern, handler in ROUTES:
            found = pattern.fullmatch(path)
            if found and method == request.method:
                return step, handler, {k: urllib.parse.unquote(v) for k, v in found.groupdict().items() if v}
        return "other", None, {}

    def steps_of(self, request):
        step = self.match(request)[0]
        if step == "patch":
            return ["patch", "rest", "jobs"]
        if step in ("successful", "failed", "unprocessed"):
            return [step, "results", "rest", "jobs"]
        if step in ("create", "put", "info", "delete", "list"):
            return [step, "rest", "jobs"]
        return [step] if step == "token" else [step, "rest"]

    async def act(self, request):
        step, handler, parts = self.match(request)
        if step == "token":
            return await self.on_token(request)
        try:
            if not self.auth.valid(request.headers.get("Authorization", "")):
                raise RestError(401, "INVALID_SESSION_ID", "Session expired or invalid")
            if self.usage >= self.daily_limit:
                raise RestError(403, "REQUEST_LIMIT_EXCEEDED", "TotalRequests Limit exceeded.")
            self.usage += 1
            if handler is None:
                raise RestError(404, *NOT_FOUND)
            return await handler(self, request, **parts)
        except RestError as wrong:
            return answer(wrong.body, wrong.status)

    def finish(self, request, response):
        if not request.path.startswith("/services/oauth2"):
            response.headers["Sforce-Limit-Info"] = f"api-usage={self.usage}/{self.daily_limit}"

    def base_url(self, request):
        return f"{self.scheme}://{request.host}"

    async def on_token(self, request):
        form = dict(urllib.parse.parse_qsl((await request.read()).decode("utf-8", "replace")))
        headers = {"Content-Type": JSON, "Cache-Control": "no-store"}
        try:
            granted = self.auth.token(form, request.headers.get("Authorization", ""), self.base_url(request))
            return web.Response(text=json.dumps(granted), headers=headers)
        except OAuthError as wrong:
            self.auth.refused += 1
            return web.Response(status=wrong.status, text=error_body(wrong), headers=headers)

    # ---- jobs ----

    async def on_create(self, request, version):
        if request.content_type == "multipart/form-data":
            spec, data = self.read_multipart(request.headers["Content-Type"], await request.read())
        else:
            spec, data = await self.read_json(request), None
        self.check_job(spec)
        job = self.engine.create(spec, float(version))
        if data is not None:
            job.data = data
            job.set_state("UploadComplete")
            self.spawn(self.engine.run(job))
        return answer(job.open_info())

    def read_multipart(self, content_type, body):
        head = f"Content-Type: {content_type}\r\n\r\n".encode()
        parts = email.parser.BytesParser(policy=email.policy.HTTP).parsebytes(head + body)
        named = {part.get_param("name", header="content-disposition"): part.get_payload(decode=True)
                 for part in parts.iter_parts()} if parts.is_multipart() else {}
        if list(named) != ["job", "content"]:
            raise RestError(400, "CLIENTINPUTERROR", "a multipart create has the parts job and content")
        if len(named["content"].decode("utf-8", "replace")) > MULTIPART_LIMIT:
            raise RestError(400, "CLIENTINPUTERROR", "a multipart create takes at most 100000 characters")
        return self.parse_json(named["job"]), named["content"]

    async def read_json(self, request):
        return self.parse_json(await request.read())

    def parse_json(self, text):
        try:
            value = json.loads(text)
            if isinstance(value, dict):
                return value
        except ValueError:
            pass
        raise RestError(400, "JSON_PARSER_ERROR", "The request body is not a JSON object")

    def check_job(self, spec):
        known = {"object", "operation", "externalIdFieldName", "contentType", "lineEnding", "columnDelimiter",
                 "assignmentRuleId"}
        for name in spec:
            if name not in known:
                raise RestError(400, "JSON_PARSER_ERROR", f"Unrecognized field \"{name}\"")
        for name in ("object", "operation"):
            if not spec.get(name):
                raise RestError(400, "INVALIDJOB", f"{name} is required")
        if spec["operation"] not in OPERATIONS:
            raise RestError(400, "INVALIDJOB", f"unknown operation {spec['operation']}")
        sobject = self.schema.find(spec["object"])
        if sobject is None:
            raise RestError(400, "INVALIDENTITY", f"Unable to find object: {spec['object']}")
        spec["object"] = sobject
        for name, legal in (("contentType", ("CSV",)), ("lineEnding", ENDINGS),
                            ("columnDelimiter", DELIMITERS)):
            if spec.get(name) is not None and spec[name] not in legal:
                raise RestError(400, "INVALIDJOB", f"{name} {spec[name]} is not known")
        if spec["operation"] == "upsert":
            spec["externalIdFieldName"] = self.key_field(sobject, spec.get("externalIdFieldName"),
                                                         "INVALIDJOB", 400)

    def key_field(self, sobject, name, code="NOT_FOUND", status=404):
        if not name or not self.schema.is_key(sobject, name):
            raise RestError(status, code,
                            f"Provided external ID field does not exist or is not accessible: {name}")
        return self.schema.field(sobject, name)[0]

    def job(self, job_id):
        long = sf.long_id(job_id) if len(job_id) == 15 else job_id
        if long not in self.engine.jobs:
            raise RestError(404, *NOT_FOUND)
        return self.engine.jobs[long]

    async def on_put(self, request, version, id):
        job = self.job(id)
        if request.content_type != "text/csv":
            raise RestError(415, "UNSUPPORTEDCONTENTTYPE", "the content of a job is text/csv")
        if job.data is not None:  # status and code of this refusal are not published; the text is
            job.puts_refused += 1
            raise RestError(400, "INVALIDBATCH",
                            f"Found multiple contents for job: <{job.id}>, please 'Close' / "
                            "'Abort' / 'Delete' the current Job then create a new Job and make sure you only do "
                            "'PUT' once on a given Job.")
        if job.state != "Open":
            raise RestError(400, "INVALIDJOBSTATE", f"the job is {job.state}; it takes no content now")
        job.data = await request.read()
        return web.Response(status=201, body=b"", headers={"Content-Length": "0"})

    async def on_patch(self, request, version, id):
        job = self.job(id)
        state = (await self.read_json(request)).get("state")
        allowed = {"UploadComplete": ("Open",),
                   "Aborted": ("Open", "UploadComplete", "InProgress")}.get(state)
        if allowed is None:
            raise RestError(400, "INVALIDJOB", f"a job cannot be set to {state}")
        if job.state not in allowed:  # code of this refusal is not published
            raise RestError(400, "INVALIDJOBSTATE", f"the job is {job.state}; it cannot become {state}")
        if state == "Aborted" and not job.rows and job.data:
            self.read_rows_for_abort(job)
        job.set_state(state)
        if state == "UploadComplete":
            self.spawn(self.engine.run(job))
        return answer(job.short_info())

    def read_rows_for_abort(self, job):
        """What was uploaded to an aborted job is still there as unprocessed rows."""
        try:
            self.engine.load(job)
        except Exception:  # an upload that could not be read has no rows to give back
            job.rows = []

    async def on_info(self, request, version, id):
        return answer(self.job(id).full_info())

    async def on_results(self, request, version, id, which):
        job = self.job(id)
        names = {"successfulresults": "successful", "failedresults": "failed"}
        which = names.get(which.lower(), "unprocessed")
        if not job.over:  # not promised before the end; what comes earlier is not published
            raise RestError(400, "INVALIDJOBSTATE", f"the job is {job.state}; it has no results yet")
        return web.Response(body=job.results(which), headers={"Content-Type": "text/csv"})

    async def on_delete(self, request, version, id):
        job = self.job(id)
        if job.state in ("Open", "InProgress"):
            raise RestError(400, "API_ERROR",
                            "Error encountered when deleting the job because the job is not "
                            "terminated")
        self.engine.deleted.append(job.books())
        del self.engine.jobs[job.id]
        return web.Response(status=204)

    async def on_list(self, request, version):
        records = [{**job.short_info(), "jobType": "V2Ingest"} for job in self.engine.jobs.values()]
        if request.query.get("jobType", "V2Ingest") != "V2Ingest":
            records = []
        start = int(request.query.get("queryLocator", "0") or 0)
        page, rest = records[start:start + 1000], len(records) > start + 1000
        more = f"/services/data/v{version}/jobs/ingest?queryLocator={start + 1000}" if rest else None
        return answer({"done": not rest, "records": page, "nextRecordsUrl": more})

    # ---- records over REST ----

    def object_name(self, name):
        found = self.schema.find(name)
        if found is None:
            raise RestError(404, *NOT_FOUND)
        return found

    def values(self, sobject, body):
        """JSON body to field values; parents may be nested objects. null clears."""
        out = {}
        for name, value in body.items():
            if name == "attributes":
                continue
            if isinstance(value, dict):
                lookup, _ = self.schema.relationship(sobject, name)
                keys = [key for key in value if key != "attributes"]
                if lookup is None or len(keys) != 1:
                    raise RowError("INVALID_FIELD", f"No such column '{name}' on sobject of type {sobject}",
                                   [name])
                out[lookup] = self.store.parent(sobject, name, keys[0], value[keys[0]])[1]
                continue
            known, spec = self.schema.field(sobject, name)
            if known is None:
                raise RowError("INVALID_FIELD", f"No such column '{name}' on sobject of type {sobject}",
                               [name])
            if spec.get("read_only"):
                raise RowError("INVALID_FIELD_FOR_INSERT_UPDATE",
                               f"Unable to create/update fields: {known}. Please check the security settings of this "
                               "field and verify that it is read/write for your profile or permission set.",
                               [known])
            out[known] = CLEAR if value is None else value
        return out

    async def on_upsert(self, request, version, object, field, value):
        sobject = self.object_name(object)
        key = self.key_field(sobject, field)
        body = await self.read_json(request)
        try:
            values = self.values(sobject, body)
            if key in values or "Id" in values:
                raise RowError("INVALID_FIELD",
                               f"The {key} field should not be specified in the sobject data.", [key])
            values[key] = value
            record_id, created = self.store.upsert(sobject, key, values, "rest",
                                                   request.query.get("updateOnly", "") == "true")
        except Ambiguous as several:
            return answer([f"/services/data/v{version}/sobjects/{sobject}/{one}" for one in several.ids], 300)
        except RowError as bad:
            more = {"fields": bad.fields} if bad.fields else {}
            raise RestError(404 if bad.code == "NOT_FOUND" else 400, bad.code, bad.message, **more) from None
        if not created and float(version) < 46:
            return web.Response(status=204)
        status = 201 if created else 200
        return answer({"id": record_id, "success": True, "errors": [], "created": created}, status)

    async def on_get(self, request, version, object, field, value=None):
        sobject = self.object_name(object)
        key, value = ("Id", field) if value is None else (self.key_field(sobject, field), value)
        found = self.store.by_key(sobject, key, value)
        if not found:
            raise RestError(404, *NOT_FOUND)
        if len(found) > 1:
            return answer([f"/services/data/v{version}/sobjects/{sobject}/{one}" for one in found], 300)
        fields = self.store.get(sobject, found[0])["fields"]
        url = f"/services/data/v{version}/sobjects/{sobject}/{found[0]}"
        return answer({"attributes": {"type": sobject, "url": url},
                       **{name: sf.to_json(one) for name, one in fields.items()}})

    async def on_collections(self, request, version, object, field):
        sobject = self.object_name(object)
        key = self.key_field(sobject, field)
        body = await self.read_json(request)
        records = body.get("records")
        if not isinstance(records, list) or not records:
            raise RestError(400, "INVALID_INPUT", "records is missing or empty")
        if len(records) > CHUNK:
            raise RestError(400, "EXCEEDED_ID_LIMIT",
                            "record limit reached. cannot submit more than 200 records in a request")
        before = self.store.snapshot(sobject) if body.get("allOrNone") else None
        results = [self.one_of_collection(sobject, key, record) for record in records]
        if before is not None and not all(result["success"] for result in results):
            self.store.roll_back(sobject, before)
            undone = {"statusCode": "ALL_OR_NONE_OPERATION_ROLLED_BACK", "fields": [],
                      "message": "Record rolled back because not all records were valid and "
                                 "the request was using AllOrNone header"}
            results = [{"success": False, "errors": [undone]} if result["success"] else result
                       for result in results]
        return answer(results)

    def one_of_collection(self, sobject, key, record):
        try:
            kind = record.get("attributes", {}).get("type")
            if self.schema.find(kind) != sobject:
                raise RowError("INVALID_INPUT", f"the record is a {kind}, the URI asks for {sobject}")
            values = self.values(sobject, record)
            if key != "Id" and "Id" in values:
                raise RowError("INVALID_FIELD", "Id may not be given beside the external id", ["Id"])
            if key == "Id" and values.get("Id") is CLEAR:
                del values["Id"]
            record_id, created = self.store.upsert(sobject, key, values, "collections")
            return {"id": record_id, "success": True, "errors": [], "created": created}
        except RowError as bad:
            return {"success": False, "errors": [bad.rest()]}

    async def on_query(self, request, version):
        try:
            _, rows = query(self.store, request.query.get("q", ""))
        except RowError as bad:
            raise RestError(400, bad.code, bad.message) from None
        if isinstance(rows, int):
            return answer({"totalSize": rows, "done": True, "records": []})
        return answer({"totalSize": len(rows), "done": True, "records": rows})

    async def on_limits(self, request, version):
        return answer({"DailyApiRequests": {"Max": self.daily_limit,
                                            "Remaining": self.daily_limit - self.usage},
                       "DailyBulkApiBatches": {"Max": 15000, "Remaining": 15000 - self.engine.count},
                       "DailyBulkV2QueryJobs": {"Max": 10000, "Remaining": 10000},
                       "DataStorageMB": {"Max": 1024, "Remaining": 1000}})

    # ---- books and control ----

    def reset(self):
        self.usage = 0
        self.auth.clear()
        self.store.clear()
        self.engine.clear()

    def books(self):
        jobs = self.engine.deleted + [job.books() for job in self.engine.jobs.values()]
        objects = [name for name in self.schema.objects if self.store.records[name]]
        records = {name: self.store.as_books(name) for name in objects}
        return {
            "tokens": {"issued": self.auth.issued, "refused": self.auth.refused},
            "jobs": jobs,
            "rows": {name: sum(job[name] for job in jobs)
                     for name in ("rows", "successful", "failed", "unprocessed", "missing")},
            "api_usage": self.usage,
            "counts": {name: len(rows) for name, rows in records.items()},
            "records": records,
        }

    async def on_control_records(self, request):
        sobject = self.schema.find(request.query.get("object", ""))
        if sobject is None:
            return as_json({"error": "no such object"}, 404)
        records = self.store.as_books(sobject)
        return as_json({"object": sobject, "count": len(records), "records": records})

    async def on_seed(self, request):
        """[{"object", "key", "fields"}]: records that were there before."""
        for one in await request.json():
            sobject = self.schema.find(one["object"])
            self.store.upsert(sobject, one.get("key", "Id"), one["fields"], "seed")
        return as_json({"ok": True})

    async def on_schema(self, request):
        """{"Object": {"prefix", "fields": {name: {"type", ...}}}}: adds objects and fields."""
        for name, definition in (await request.json()).items():
            self.schema.add_object(name, definition)
        return as_json({"ok": True, "objects": list(self.schema.objects)})

    async def on_expire(self, request):
        self.auth.end()
        return as_json({"ok": True})

    def control_routes(self):
        return [web.get("/_control/records", self.on_control_records),
                web.post("/_control/records", self.on_seed),
                web.post("/_control/schema", self.on_schema), web.post("/_control/expire", self.on_expire)]


def route(step, method, path, handler):
    data = r"/services/data/v(?P<version>\d+\.\d)"
    return step, method, re.compile(path if step == "token" else data + path), handler


ROUTES = [
    route("token", "POST", "/services/oauth2/token", None),
    route("create", "POST", "/jobs/ingest", Salesforce.on_create),
    route("list", "GET", "/jobs/ingest", Salesforce.on_list),
    route("put", "PUT", "/jobs/ingest/(?P<id>[^/]+)/batches", Salesforce.on_put),
    route("patch", "PATCH", "/jobs/ingest/(?P<id>[^/]+)", Salesforce.on_patch),
    route("info", "GET", "/jobs/ingest/(?P<id>[^/]+)", Salesforce.on_info),
    route("delete", "DELETE", "/jobs/ingest/(?P<id>[^/]+)", Salesforce.on_delete),
    route("successful", "GET", "/jobs/ingest/(?P<id>[^/]+)/(?P<which>(?i:successfulresults))",
          Salesforce.on_results),
    route("failed", "GET", "/jobs/ingest/(?P<id>[^/]+)/(?P<which>(?i:failedresults))", Salesforce.on_results),
    route("unprocessed", "GET", "/jobs/ingest/(?P<id>[^/]+)/(?P<which>(?i:unprocessedrecords))",
          Salesforce.on_results),
    route("collections", "PATCH", "/composite/sobjects/(?P<object>[^/]+)/(?P<field>[^/]+)",
          Salesforce.on_collections),
    route("upsert", "PATCH", "/sobjects/(?P<object>[^/]+)/(?P<field>[^/]+)/(?P<value>.+)",
          Salesforce.on_upsert),
    route("get", "GET", "/sobjects/(?P<object>[^/]+)/(?P<field>[^/]+)(?:/(?P<value>.+))?", Salesforce.on_get),
    route("query", "GET", "/query", Salesforce.on_query),
    route("limits", "GET", "/limits", Salesforce.on_limits),
]


def main():
    parser = common.arguments("Salesforce stand-in")
    parser.add_argument("--client-id", default="3MVG9sandbox-consumer-key")
    parser.add_argument("--client-secret", default="sandbox-consumer-secret")
    parser.add_argument("--username", default="integration@example.com", help="the JWT's sub; empty: any")
    parser.add_argument("--public-key", metavar="PEM", help="public key or certificate that checks the JWT")
    parser.add_argument("--audience", action="append", default=[], help="one more accepted aud")
    parser.add_argument("--token-life", type=float, default=7200, metavar="SECONDS")
    parser.add_argument("--processing-ms", type=float, default=200,
                        help="from UploadComplete to the end of a job")
    parser.add_argument("--daily-limit", type=int, default=100_000, help="API calls before 403")
    parser.add_argument("--schema", metavar="FILE", help="JSON: more objects and fields")
    args = parser.parse_args()
    schema = sf.Schema()
    if args.schema:
        with open(args.schema, encoding="utf-8") as source:
            for name, definition in json.load(source).items():
                schema.add_object(name, definition)
    key = load_public_key(args.public_key) if args.public_key else None
    auth = Auth(args.client_id, args.client_secret, args.username, key, args.audience, args.token_life)
    return common.serve(Salesforce(auth, args.processing_ms, args.daily_limit, schema, args.books), args)


if __name__ == "__main__":
    sys.exit(main())
