"""The calls of Bulk API 2.0 ingest in the Salesforce stand-in: create, upload, close, ask, results, list."""

import email.message
import email.parser
import email.policy
import zlib

from aiohttp import web

from sandbox import sf_schema as sf
from sandbox.sf_csv import DELIMITERS, ENDINGS, JobFailed
from sandbox.sf_jobs import OPERATIONS
from sandbox.sf_rest import NOT_FOUND, RestError, Route, answer, key_field, parse_json, read_json

MULTIPART_LIMIT = 100_000  # characters of CSV in a create that brings its data
LIST_PAGE = 1000
SPEC = {"object", "operation", "externalIdFieldName", "contentType", "lineEnding", "columnDelimiter",
        "assignmentRuleId"}
JOB = "/jobs/ingest/(?P<id>[^/]+)"


class Ingest:
    routes = [
        Route("create rest jobs", "POST", "/jobs/ingest", "on_create"),
        Route("list rest jobs", "GET", "/jobs/ingest", "on_list"),
        Route("put rest jobs", "PUT", JOB + "/batches", "on_put"),
        Route("patch rest jobs", "PATCH", JOB, "on_patch"),
        Route("info rest jobs", "GET", JOB, "on_info"),
        Route("delete rest jobs", "DELETE", JOB, "on_delete"),
        Route("successful results rest jobs", "GET", JOB + "/(?P<which>(?i:successfulresults))", "on_results"),
        Route("failed results rest jobs", "GET", JOB + "/(?P<which>(?i:failedresults))", "on_results"),
        Route("unprocessed results rest jobs", "GET", JOB + "/(?P<which>(?i:unprocessedrecords))",
              "on_results"),
    ]

    def __init__(self, home, upload_limit):
        self.home, self.engine, self.schema = home, home.engine, home.schema
        self.upload_limit = upload_limit  # bytes as uploaded; the platform counts them after base64

    def clear(self):
        pass

    # ---- create ----

    async def on_create(self, request, version):
        if request.content_type == "multipart/form-data":
            spec, data = self.read_multipart(request.headers["Content-Type"], await request.read())
        else:
            spec, data = await read_json(request), None
        self.check_job(spec)
        if self.home.limits.left("batches") < 1:
            raise RestError(400, "EXCEEDEDQUOTA", "ApiBatchItems Limit exceeded.")
        job = self.engine.create(spec, float(version))
        if data is not None:
            job.take(data)
            job.set_state("UploadComplete")
            self.home.spawn(self.engine.run(job))
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
        return parse_json(named["job"]), named["content"]

    def check_job(self, spec):
        for name in spec:
            if name not in SPEC:
                raise RestError(400, "JSON_PARSER_ERROR", f"Unrecognized field \"{name}\"")
        for name in ("object", "operation"):
            if not spec.get(name):
                raise RestError(400, "INVALIDJOB", f"{name} is required")
        if spec["operation"] not in OPERATIONS:
            raise RestError(400, "INVALIDJOB", f"unknown operation {spec['operation']}")
        if spec["operation"] == "hardDelete" and not self.home.org.hard_delete:
            raise RestError(400, "FEATURENOTENABLED", "hardDelete operation is not enabled for this user")
        sobject = self.schema.find(spec["object"])
        if sobject is None:
            raise RestError(400, "INVALIDENTITY", f"Unable to find object: {spec['object']}")
        spec["object"] = sobject
        for name, legal in (("contentType", ("CSV",)), ("lineEnding", ENDINGS),
                            ("columnDelimiter", DELIMITERS)):
            if spec.get(name) is not None and spec[name] not in legal:
                raise RestError(400, "INVALIDJOB", f"{name} {spec[name]} is not known")
        if spec["operation"] == "upsert":
            spec["externalIdFieldName"] = key_field(self.schema, sobject, spec.get("externalIdFieldName"),
                                                    "INVALIDJOB", 400)

    # ---- one job ----

    def job(self, job_id):
        self.engine.age()
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
            job.puts_refused += 1
            raise RestError(400, "INVALIDJOBSTATE", f"the job is {job.state}; it takes no content now")
        data = await request.read()
        if len(data) > self.upload_limit:  # what the platform answers is not published
            raise RestError(400, "CLIENTINPUTERROR", "the content of a job is at most 150 MB after base64")
        job.take(data)
        return web.Response(status=201, body=b"", headers={"Content-Length": "0"})

    async def on_patch(self, request, version, id):
        job = self.job(id)
        state = (await read_json(request)).get("state")
        allowed = {"UploadComplete": ("Open",),
                   "Aborted": ("Open", "UploadComplete", "InProgress")}.get(state)
        if allowed is None:
            raise RestError(400, "INVALIDJOB", f"a job cannot be set to {state}")
        if job.state not in allowed:  # code of this refusal is not published
            job.moves_refused.append(state)
            raise RestError(400, "INVALIDJOBSTATE", f"the job is {job.state}; it cannot become {state}")
        job.set_state(state)
        short = job.short_info()
        if state == "UploadComplete":
            self.home.spawn(self.engine.run(job))
        else:
            self.home.store.unlock(job.id)
            if not job.rows:
                await self.give_back(job)
        return answer(short)

    async def give_back(self, job):
        """What was uploaded to an aborted job is still there as unprocessed rows."""
        try:
            await self.engine.load(job)
        except JobFailed:  # an upload that could not be read has no rows to give back
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
        if not job.over:
            job.set_state("Aborted")  # its run ends with it
            self.home.store.unlock(job.id)
        self.engine.forget(job, "deleted")
        return web.Response(status=204)

    async def on_list(self, request, version):
        """All jobs of the org, in no order (but always the same)."""
        self.engine.age()
        kind = request.query.get("jobType")
        jobs = [job for job in self.engine.jobs.values() if kind in (None, job.type)]
        jobs.sort(key=lambda job: zlib.crc32(job.id.encode()))
        start = int(request.query.get("queryLocator", "0") or 0)
        page, rest = jobs[start:start + LIST_PAGE], len(jobs) > start + LIST_PAGE
        more = f"?jobType={kind}&" if kind else "?"
        more = f"/services/data/v{version}/jobs/ingest{more}queryLocator={start + LIST_PAGE}" if rest else None
        return answer({"done": not rest, "nextRecordsUrl": more,
                       "records": [{**job.open_info(), "jobType": job.type} for job in page]})

    # ---- control ----

    async def on_seed(self, specs):
        """[{"object", "operation", "state", "createdById", "jobType", "age_s"}]: jobs of others."""
        made = []
        for spec in specs:
            job = self.engine.create({"operation": "upsert", **spec}, float(spec.get("apiVersion", 66.0)))
            job.data = b""
            if spec.get("state", "Open") != "Open":
                job.set_state(spec["state"])
            job.changed_at -= spec.get("age_s", 0)
            made.append(job.id)
        return made
