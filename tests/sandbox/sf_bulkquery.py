"""Bulk API 2.0 query jobs of the Salesforce stand-in: made, asked for, read in pages by a locator."""

import asyncio
import base64
import re

from aiohttp import web

from sandbox import sf_schema as sf
from sandbox.sf_csv import DELIMITERS, ENDINGS, quote
from sandbox.sf_jobs import KEPT_S, QUEUED_S
from sandbox.sf_rest import NOT_FOUND, RestError, Route, answer, read_json
from sandbox.sf_store import RowError

PAGE = 250_000  # rows of a page that was asked for without maxRecords
JOB = "/jobs/query/(?P<id>[^/]+)"
REFUSED = re.compile(r"\b(GROUP\s+BY|OFFSET|TYPEOF)\b", re.I)


class QueryJob:
    def __init__(self, job_id, spec, version, clock):
        self.id, self.version, self.clock = job_id, version, clock
        self.soql, self.operation = spec["query"], spec["operation"]
        self.delimiter = spec.get("columnDelimiter", "COMMA")
        self.ending = spec.get("lineEnding", "LF")
        self.object = None
        self.state = "UploadComplete"
        self.created = self.modified = clock.stamp()
        self.changed_at = clock.now()
        self.names, self.rows = [], []
        self.pages = 0

    def set_state(self, state):
        self.state = state
        self.modified, self.changed_at = self.clock.stamp(), self.clock.now()

    @property
    def over(self):
        return self.state in ("JobComplete", "Failed", "Aborted")

    def info(self):
        """The answer to create; GET adds to it."""
        return {"id": self.id, "operation": self.operation, "object": self.object,
                "createdById": sf.USER_ID, "createdDate": self.created, "systemModstamp": self.modified,
                "state": self.state, "concurrencyMode": "Parallel", "contentType": "CSV",
                "apiVersion": self.version, "lineEnding": self.ending, "columnDelimiter": self.delimiter}

    def full_info(self):
        return {**self.info(), "jobType": "V2Query", "numberRecordsProcessed": len(self.rows), "retries": 0,
                "totalProcessingTime": 0 if not self.over else 100, "isPkChunkingSupported": True}

    def page(self, start, count):
        """Rows as the bytes of one page; every page begins with the header."""
        delimiter, ending = DELIMITERS[self.delimiter], ENDINGS[self.ending]
        lines = [delimiter.join(quote(name) for name in self.names)]
        lines += [delimiter.join(quote(text(value)) for value in row) for row in self.rows[start:start + count]]
        return (ending.join(lines) + ending).encode()

    def books(self):
        return {"id": self.id, "object": self.object, "operation": self.operation, "query": self.soql,
                "state": self.state, "rows": len(self.rows), "pages": self.pages}


def text(value):
    """A value in a result file; a null is an empty cell."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    return sf.java_double(value) if not isinstance(value, (str, int)) else str(value)


def locator(start):
    """Opaque for the client: the number of the next row."""
    return base64.b64encode(str(start).encode()).decode().rstrip("=")


class BulkQuery:
    routes = [
        Route("query-create query-jobs rest", "POST", "/jobs/query", "on_create"),
        Route("query-list query-jobs rest", "GET", "/jobs/query", "on_list"),
        Route("query-info query-jobs rest", "GET", JOB, "on_info"),
        Route("query-results query-jobs rest", "GET", JOB + "/results", "on_results"),
        Route("query-pages query-jobs rest", "GET", JOB + "/resultPages", "on_pages"),
        Route("query-abort query-jobs rest", "PATCH", JOB, "on_patch"),
        Route("query-delete query-jobs rest", "DELETE", JOB, "on_delete"),
    ]

    def __init__(self, home, processing_ms):
        self.home, self.processing_ms = home, processing_ms
        self.clear()

    def clear(self):
        self.jobs, self.gone, self.count = {}, [], 0

    async def on_create(self, request, version):
        spec = await read_json(request)
        known = {"operation", "query", "contentType", "columnDelimiter", "lineEnding"}
        if set(spec) - known or spec.get("operation") not in ("query", "queryAll") or not spec.get("query"):
            raise RestError(400, "INVALIDJOB", "a query job has operation (query, queryAll) and query")
        if spec.get("columnDelimiter", "COMMA") not in DELIMITERS or spec.get("lineEnding", "LF") not in ENDINGS \
                or spec.get("contentType", "CSV") != "CSV":
            raise RestError(400, "INVALIDJOB", "unknown columnDelimiter, lineEnding or contentType")
        if self.home.limits.left("query_jobs") < 1:
            most = self.home.limits.max["query_jobs"]
            raise RestError(400, "EXCEEDEDQUOTA",
                            f"Max bulk v2 query jobs ({most}) per 24 hrs has been reached")
        query = self.parse(spec["query"])
        self.home.limits.use("query_jobs")
        self.count += 1
        job = QueryJob(sf.make_id("750", 1_000_000 + self.count), spec, float(version), self.home.clock)
        job.object = query.sobject
        job.names = [self.column(query, path) for path in query.fields]
        self.jobs[job.id] = job
        self.home.spawn(self.run(job))
        return answer(job.info())

    def parse(self, soql):
        refused = REFUSED.search(soql)
        try:
            query = self.home.query.parse(soql)
        except RowError as bad:
            raise RestError(400, bad.code, bad.message) from None
        if refused or query.counts:
            raise RestError(400, "API_ERROR", f"{refused[1] if refused else 'COUNT()'} is not supported in a query job")
        return query

    def column(self, query, path):
        """A column's name as the schema spells it: Account.Name."""
        head, _, rest = path.partition(".")
        if not rest:
            return self.home.schema.field(query.sobject, head)[0]
        _, spec = self.home.schema.relationship(query.sobject, head)
        return f"{spec['relationship']}.{self.home.schema.field(spec['to'], rest)[0] or rest}"

    async def run(self, job):
        slow = self.home.faults.strike({"slow_job"}, ["query-job"])
        seconds = (slow.get("ms", 5000) if slow else self.processing_ms) / 1000
        await asyncio.sleep(min(seconds * 0.2, QUEUED_S))
        if job.over:
            return
        job.set_state("InProgress")
        await self.home.faults.lasts(slow, max(seconds * 0.8, seconds - QUEUED_S))
        if job.over:
            return
        if self.home.faults.strike({"job_failed"}, ["query-job"]):
            job.set_state("Failed")  # and no field says why
            return
        query = self.home.query.parse(job.soql)
        job.rows = [tuple(query.value(row, path) for path in query.fields)
                    for row in query.rows(job.operation == "queryAll")]
        job.set_state("JobComplete")

    # ---- one job ----

    def job(self, job_id):
        now = self.home.clock.now()
        for job in list(self.jobs.values()):
            if job.over and now - job.changed_at > KEPT_S:
                self.forget(job, "ended 7 days ago")
        long = sf.long_id(job_id) if len(job_id) == 15 else job_id
        if long not in self.jobs:
            raise RestError(404, *NOT_FOUND)
        return self.jobs[long]

    def forget(self, job, why):
        self.gone.append({**job.books(), "gone": why})
        del self.jobs[job.id]

    async def on_info(self, request, version, id):
        return answer(self.job(id).full_info())

    def finished(self, job_id, version):
        job = self.job(job_id)
        if float(version) != job.version:
            raise RestError(409, "API_ERROR", "a query job is read with the API version that it was made with")
        if job.state != "JobComplete":
            raise RestError(400, "INVALIDJOBSTATE", f"the job is {job.state}; it has no results")
        return job

    async def on_results(self, request, version, id):
        """A page, its body in pieces of no announced length."""
        job = self.finished(id, version)
        start = self.read_locator(request.query.get("locator"), job)
        asked = request.query.get("maxRecords", str(PAGE))
        if not asked.isdigit() or int(asked) < 1:
            raise RestError(400, "INVALID_INPUT", "maxRecords is a number")
        count = min(int(asked), PAGE)
        end = start + count
        job.pages += 1
        response = web.Response(body=job.page(start, count), headers={
            "Content-Type": "text/csv", "Sforce-NumberOfRecords": str(len(job.rows[start:end])),
            "Sforce-Locator": locator(end) if end < len(job.rows) else "null"})
        response.enable_chunked_encoding()
        return response

    def read_locator(self, asked, job):
        if asked is None:
            return 0
        try:
            start = int(base64.b64decode(asked + "=" * (-len(asked) % 4)))
        except ValueError:
            start = -1
        if not 0 < start < len(job.rows):
            raise RestError(400, "INVALID_QUERY_LOCATOR", "invalid query locator")
        return start

    async def on_pages(self, request, version, id):
        """Up to five pages that may be fetched side by side."""
        job = self.finished(id, version)
        start = self.read_locator(request.query.get("queryLocator"), job)
        size = int(request.query.get("maxRecords", PAGE))
        base = f"/services/data/v{version}/jobs/query/{job.id}"
        starts = list(range(start, max(len(job.rows), 1), size))
        pages = [{"resultUrl": f"{base}/results?maxRecords={size}" + (f"&locator={locator(at)}" if at else "")}
                 for at in starts[:5]]
        more = f"{base}/resultPages?maxRecords={size}&queryLocator={locator(starts[5])}" if starts[5:] else None
        return answer({"resultPages": pages, "nextRecordsUrl": more, "done": more is None})

    async def on_patch(self, request, version, id):
        job = self.job(id)
        if (await read_json(request)).get("state") != "Aborted":
            raise RestError(400, "INVALIDJOB", "a query job can only be aborted")
        if job.over:
            raise RestError(400, "INVALIDJOBSTATE", f"the job is {job.state}; it cannot become Aborted")
        job.set_state("Aborted")
        return answer(job.info())

    async def on_delete(self, request, version, id):
        job = self.job(id)
        if not job.over:
            raise RestError(400, "API_ERROR",
                            "Error encountered when deleting the job because the job is not terminated")
        self.forget(job, "deleted")
        return web.Response(status=204)

    async def on_list(self, request, version):
        return answer({"done": True, "nextRecordsUrl": None,
                       "records": [{**job.info(), "jobType": "V2Query"} for job in self.jobs.values()]})

    def books(self):
        return self.gone + [job.books() for job in self.jobs.values()]
