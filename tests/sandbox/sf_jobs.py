"""Bulk API 2.0 ingest jobs of the Salesforce stand-in: CSV rules, row by row processing, result files."""

import asyncio
import collections
import random
import time
import zlib

import sandbox.sf_schema as sf
from sandbox.sf_csv import DELIMITERS, ENDINGS, JobFailed, check_line_ending, quote, read_column, read_csv
from sandbox.sf_store import CLEAR, LOCKED, RowError

CHUNK = 200  # rows that one run of the platform's triggers sees together
OPERATIONS = ("insert", "update", "upsert", "delete", "hardDelete")
OPEN_S = 24 * 3600  # a job may stay open so long
QUEUED_S = 0.2  # at most, before a job is in progress
KEPT_S = 7 * 24 * 3600  # and is kept so long after its end

class Job:
    """One ingest job. Nothing of it runs before `UploadComplete`."""

    def __init__(self, job_id, spec, version, clock):
        self.id = job_id
        self.clock = clock
        self.creator = spec.get("createdById", sf.USER_ID)
        self.type = spec.get("jobType", "V2Ingest")
        self.object = spec["object"]
        self.operation = spec["operation"]
        self.key = spec.get("externalIdFieldName")
        self.content_type = spec.get("contentType", "CSV")
        self.ending = spec.get("lineEnding", "LF")
        self.delimiter = spec.get("columnDelimiter", "COMMA")
        self.version = version
        self.state = "Open"
        self.created = self.modified = clock.stamp()
        self.changed_at = clock.now()
        self.error = None
        self.data = None  # None: no PUT yet; empty again once its rows were read
        self.size = 0  # bytes uploaded
        self.header, self.columns, self.rows = [], [], []
        self.started = None
        self.took_ms = 0
        self.retries = 0  # batches that met a lock
        self.allowed = True  # has the batch that is worked on a place in the day?
        self.puts_refused = 0
        self.moves = ["Open"]  # every state it was in
        self.moves_refused = []

    def take(self, data):
        self.data, self.size = data, len(data)

    def set_state(self, state):
        self.state = state
        self.moves.append(state)
        self.modified = self.clock.stamp()
        self.changed_at = self.clock.now()

    @property
    def over(self):
        return self.state in ("JobComplete", "Failed", "Aborted")

    def count(self, *states):
        return sum(row.state in states for row in self.rows)

    def short_info(self):
        info = {"id": self.id, "operation": self.operation, "object": self.object, "createdById": self.creator,
                "createdDate": self.created, "systemModstamp": self.modified, "state": self.state}
        if self.key:
            info["externalIdFieldName"] = self.key
        info.update({"concurrencyMode": "Parallel", "contentType": "CSV", "apiVersion": self.version})
        return info

    def open_info(self):
        """The answer to create."""
        info = self.short_info()
        if self.state == "Open":
            info["contentUrl"] = f"services/data/v{self.version:.1f}/jobs/ingest/{self.id}/batches"
        info.update({"lineEnding": self.ending, "columnDelimiter": self.delimiter})
        return info

    def full_info(self):
        """The answer to GET."""
        info = self.short_info()
        info["jobType"] = self.type
        if self.state == "Open":
            info["contentUrl"] = f"services/data/v{self.version:.1f}/jobs/ingest/{self.id}/batches"
        info.update({"lineEnding": self.ending, "columnDelimiter": self.delimiter})
        if self.state != "Open":
            info["numberRecordsProcessed"] = self.count("success", "failed")
            info["numberRecordsFailed"] = self.count("failed")
        info.update({"retries": self.retries, "totalProcessingTime": self.took_ms,
                     "apiActiveProcessingTime": self.took_ms * 9 // 10, "apexProcessingTime": 0})
        if self.error:
            info["errorMessage"] = self.error
        return info

    def books(self):
        return {"id": self.id, "object": self.object, "operation": self.operation, "state": self.state,
                "createdDate": self.created, "rows": len(self.rows), "successful": self.count("success"),
                "failed": self.count("failed"), "unprocessed": self.count("unprocessed"),
                "missing": self.count("missing"), "bytes": self.size, "errorMessage": self.error,
                "puts_refused": self.puts_refused, "moves": list(self.moves),
                "moves_refused": list(self.moves_refused), "createdById": self.creator}

    # ---- result files ----

    def results(self, which):
        """successful, failed or unprocessed, as the file's bytes. Row order is shuffled, but stable."""
        if which != "unprocessed" and not self.columns or not self.header:
            return b""
        state = {"successful": "success"}.get(which, which)
        rows = [row for row in self.rows if row.state == state]
        random.Random(zlib.crc32(f"{self.id}{which}".encode())).shuffle(rows)
        first = {"successful": ["sf__Id", "sf__Created"], "failed": ["sf__Id", "sf__Error"]}.get(which, [])
        delimiter, ending = DELIMITERS[self.delimiter], ENDINGS[self.ending]
        lines = [delimiter.join([quote(name) for name in first] + self.header)]
        for row in rows:
            lead = {"successful": [row.record_id, "true" if row.created else "false"],
                    "failed": [row.record_id, row.error]}.get(which, [])
            cells = [self.echo(at, row) for at in range(len(self.header))]
            lines.append(delimiter.join(quote(cell) for cell in lead + cells))
        return (ending.join(lines) + ending).encode()

    def echo(self, at, row):
        """Values come back as they were understood: a double is written as Java writes it."""
        value = row.cells[at] if at < len(row.cells) else ""
        column = self.columns[at] if at < len(self.columns) else None
        if value in ("", "#N/A") or column is None or column.kind != "double":
            return value
        try:
            return sf.java_double(value)
        except ValueError:
            return value


class Engine:
    """All jobs of the org, and the machinery that works through them."""

    def __init__(self, home, processing_ms):
        self.home = home
        self.schema, self.store, self.faults = home.schema, home.store, home.faults
        self.processing_ms = processing_ms
        self.clear()

    def clear(self):
        self.jobs = {}
        self.deleted = []  # books of jobs that are gone
        self.count = 0

    def create(self, spec, version):
        self.count += 1
        job = Job(sf.make_id("750", self.count), spec, version, self.home.clock)
        self.jobs[job.id] = job
        return job

    def forget(self, job, why):
        self.deleted.append({**job.books(), "gone": why})
        del self.jobs[job.id]

    def age(self):
        """Jobs whose time is over are gone."""
        now = self.home.clock.now()
        for job in list(self.jobs.values()):
            if job.state == "Open" and now - job.changed_at > OPEN_S:
                self.forget(job, "open for 24 hours")
            elif job.over and now - job.changed_at > KEPT_S:
                self.forget(job, "ended 7 days ago")

    async def run(self, job):
        """From UploadComplete to the end. Abort may come at every await."""
        job.started = time.monotonic()
        slow = self.faults.strike({"slow_job"}, ["job", job.object])
        seconds = (slow.get("ms", 5000) if slow else self.processing_ms) / 1000
        await asyncio.sleep(min(seconds * 0.2, QUEUED_S))
        if job.over:
            return
        job.set_state("InProgress")
        try:
            await self.process(job, job.started + seconds, slow)
        except JobFailed as failed:
            job.error = str(failed)
        finally:
            self.store.unlock(job.id)
        if job.state == "Aborted":
            return
        job.took_ms = int((time.monotonic() - job.started) * 1000)
        job.set_state("Failed" if job.error else "JobComplete")

    async def load(self, job):
        """Reads the upload into job.rows; JobFailed where the platform refuses it whole."""
        if not job.data:
            return
        delimiter, ending = DELIMITERS[job.delimiter], ENDINGS[job.ending]
        text = job.data.decode("utf-8", "replace")  # a BOM stays: it becomes part of the first name
        check_line_ending(text, job.ending)
        reader, rows = read_csv(text, delimiter, ending), []
        job.header = next(reader, [])
        for row in reader:
            rows.append(row)
            if len(rows) % 5000 == 0:
                await asyncio.sleep(0)
        job.rows, job.data = rows, b""
        job.columns = [read_column(self.schema, job.object, name) for name in job.header]
        if job.operation == "upsert" and not any(column.field == job.key for column in job.columns):
            raise JobFailed(f"InvalidBatch : Field name not found : {job.key}")
        if job.operation in ("delete", "hardDelete") and [one.field for one in job.columns] != ["Id"]:
            raise JobFailed("InvalidBatch : the file of a delete has the column Id, and no other")

    async def process(self, job, end, slow=None):
        """All rows, spread over the time until `end` (monotonic seconds), or as long as there is the rule `slow`."""
        await self.load(job)
        prepared = []  # parents as they stand before the job
        for row in job.rows:
            prepared.append(self.prepare(job, row))
            if len(prepared) % 2000 == 0:
                await asyncio.sleep(0)
        if job.state == "Aborted":
            return
        size = self.home.org.batch_rows
        batches = [range(at, min(at + size, len(job.rows))) for at in range(0, len(job.rows), size)]
        self.lock(job, batches, prepared)
        stop_at = len(job.rows)
        broken = self.faults.strike({"job_failed"}, ["job", job.object])
        if broken:
            stop_at = int(len(job.rows) * broken.get("fraction", 0.5))
        all_fail = self.faults.strike({"all_rows_failed"}, ["job", job.object])
        chunks = [batch[at:at + CHUNK] for batch in batches for at in range(0, len(batch), CHUNK)]
        begun = time.monotonic()
        if not chunks:
            await self.faults.lasts(slow, end - begun)
        for done, chunk in enumerate(chunks, 1):
            wait = begun + (end - begun) * done / len(chunks) - time.monotonic()
            await (self.faults.lasts(slow, wait) if wait > 0.001 else asyncio.sleep(0))
            if job.state == "Aborted":
                return
            chunk = chunk[:max(0, stop_at - chunk[0])]
            if chunk:
                self.one_chunk(job, chunk, prepared, all_fail)
        if broken:
            raise JobFailed(broken.get("message", "InternalServerError : Unable to process the job"))

    def one_chunk(self, job, chunk, prepared, all_fail):
        if chunk[0] % self.home.org.batch_rows == 0:
            job.allowed = self.allow(len(job.rows) - chunk[0])
        if not job.allowed:
            for at in chunk:
                job.rows[at].state = "missing"
            return
        doubled = self.doubled(job, [prepared[at] for at in chunk])
        for at in chunk:
            self.one_row(job, at, prepared[at], doubled, all_fail)

    def allow(self, rows):
        """Does a batch that begins now have a place in the day's allowance? One without is in no result file."""
        limits, rows = self.home.limits, min(rows, self.home.org.batch_rows)
        if limits.left("batches") < 1 or limits.left("rows") < rows:
            return False
        limits.use("batches")
        limits.use("rows", rows)
        return True

    # ---- locks: a batch holds what it writes and the parents of that until its job is over ----

    def lock(self, job, batches, prepared):
        if not self.home.org.locks:
            return
        for number, batch in enumerate(batches):
            holder = f"{job.id}/{number}"
            job.retries += not all([self.store.lock(self.touched(job, prepared[at]), holder) for at in batch])

    def touched(self, job, values):
        if isinstance(values, RowError):
            return ()
        key = job.key if job.operation == "upsert" else "Id"
        found = self.store.by_key(job.object, key, values[key]) if values.get(key, CLEAR) is not CLEAR else []
        return self.store.touched(job.object, found[0] if found else None, values)

    def check_lock(self, job, at, values):
        if not self.store.locks:
            return
        holder = f"{job.id}/{at // self.home.org.batch_rows}"
        held = sorted(one for one in self.touched(job, values) if self.store.locks.get(one, holder) != holder)
        if held:
            raise RowError("UNABLE_TO_LOCK_ROW", LOCKED + ",".join(held))

    # ---- rows ----

    def prepare(self, job, row):
        """The row's values by field, or the RowError that it will get."""
        if row.broken:
            return RowError("INVALID_FIELD", row.broken)
        if len(row.cells) > len(job.columns):
            return RowError("INVALID_FIELD", "the row has more columns than the header")
        values = {}
        try:
            for column, cell in zip(job.columns, row.cells):
                if column.relationship and cell not in ("", "#N/A"):
                    lookup, parent = self.store.parent(job.object, column.relationship, column.parent_field,
                                                       cell)
                    values[lookup] = parent
                elif column.relationship and cell == "#N/A":
                    values[self.schema.relationship(job.object, column.relationship)[0]] = CLEAR
                elif cell == "#N/A":
                    values[column.field] = CLEAR
                elif cell != "" and column.field:
                    values[column.field] = cell
        except RowError as error:
            return error
        return values

    def doubled(self, job, prepared):
        """Key values that stand twice in one chunk of an upsert: all of those rows are refused."""
        if job.operation != "upsert":
            return set()
        return doubled_keys(values.get(job.key) for values in prepared
                            if isinstance(values, dict) and job.key in values)

    def one_row(self, job, at, values, doubled, all_fail):
        row = job.rows[at]
        key_at = next((at for at, column in enumerate(job.columns) if column.field == (job.key or "Id")),
                      None)
        key = row.cells[key_at] if key_at is not None and key_at < len(row.cells) else ""
        faults, rules = self.home.row_faults, self.faults.rules
        cell = CellsOf(job, row)
        missing = rules and faults.strike("rows_missing", ["job"], job.object, key, cell)
        if missing and not missing.get("written"):
            row.state = "missing"
            return
        try:
            if all_fail:
                raise faults.error(all_fail, job.object)
            if rules:
                faults.refuse(["job"], job.object, key, cell)
            if isinstance(values, RowError):
                raise values
            if job.operation == "upsert" and key.lower() in doubled:
                raise RowError("DUPLICATE_VALUE", f"Duplicate external id specified: {key}", [job.key])
            self.check_lock(job, at, values)
            row.record_id, row.created = self.apply(job, values)
            row.state = "missing" if missing else "success"
            outcome = "deleted" if job.operation in ("delete", "hardDelete") else \
                "created" if row.created else "updated"
        except RowError as error:
            row.state, row.error, row.record_id = "failed", error.bulk(), error.record_id
            outcome = error.code
        self.store.note(job.id, job.operation, job.object, key, row.record_id, outcome)

    def apply(self, job, values):
        if job.operation in ("delete", "hardDelete"):
            record_id = self.store.live(job.object, values.get("Id", ""))
            self.store.delete(job.object, record_id, job.operation == "hardDelete")
            return record_id, False
        if job.operation == "insert":
            values = {name: value for name, value in values.items() if name != "Id"}
        key = job.key if job.operation == "upsert" else "Id"
        return self.store.upsert(job.object, key, values, job.id, operation=job.operation)


class CellsOf:
    """A row's text by column name, case aside; None where there is no such column."""

    def __init__(self, job, row):
        self.job, self.row = job, row

    def __call__(self, name):
        for at, head in enumerate(self.job.header):
            if head.lower() == name.lower():
                return self.row.cells[at] if at < len(self.row.cells) else None
        return None


def doubled_keys(values):
    """Those keys, in lower case, that stand there more than once."""
    keys = collections.Counter(str(value).lower() for value in values)
    return {key for key, times in keys.items() if times > 1}
