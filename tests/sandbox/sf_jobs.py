"""Bulk API 2.0 ingest jobs of the Salesforce stand-in: CSV rules, row by row processing, result files."""

import asyncio
import collections
import random
import re
import time
import zlib

import sandbox.sf_schema as sf
from sandbox.sf_store import CLEAR, RowError

DELIMITERS = {"COMMA": ",", "BACKQUOTE": "`", "CARET": "^", "PIPE": "|", "SEMICOLON": ";", "TAB": "\t"}
ENDINGS = {"LF": "\n", "CRLF": "\r\n"}
CHUNK = 200  # rows that one run of the platform's triggers sees together
OPERATIONS = ("insert", "update", "upsert", "delete", "hardDelete")

# What a forced row error says when the rule names only the code.
MESSAGES = {
    "UNABLE_TO_LOCK_ROW": "unable to obtain exclusive access to this record or 200 records: "
                          "0015g00000Acc01AAB",
    "REQUIRED_FIELD_MISSING": "Required fields are missing: [{field}]",
    "FIELD_CUSTOM_VALIDATION_EXCEPTION": "a validation rule says no",
    "DUPLICATES_DETECTED": "Use one of these records?",
    "INVALID_CROSS_REFERENCE_KEY": "invalid cross reference id",
    "ENTITY_IS_DELETED": "entity is deleted",
    "CANNOT_INSERT_UPDATE_ACTIVATE_ENTITY": "OrderTrigger: execution of BeforeInsert",
    "REQUEST_RUNNING_TOO_LONG": "Your request was running for too long, and has been stopped.",
}


class JobFailed(Exception):
    """The whole job fails with this errorMessage; nothing (more) is written."""


class Row:
    """One uploaded row and what became of it."""

    def __init__(self, cells, broken=None):
        self.cells = cells  # text by column, as uploaded
        self.broken = broken  # why the line could not be read
        self.state = "unprocessed"  # success, failed, unprocessed, missing
        self.record_id = ""
        self.created = False
        self.error = ""


def read_csv(text, delimiter, ending):
    """(header, rows). JobFailed where the header cannot be read; a bad line becomes a broken row."""
    cell = re.compile('(?:"((?:[^"]|"")*)"|([^"\r\n%s]*))(%s|%s|\\Z)'
                      % (re.escape(delimiter), re.escape(delimiter), re.escape(ending)))
    header, rows, line, at, end = None, [], [], 0, len(text)
    while at < end or line:
        found = cell.match(text, at)
        if not found:
            if header is None:
                raise JobFailed("InvalidBatch : Failed to parse CSV. Found unescaped quote")
            stop = text.find(ending, at)
            stop = end if stop < 0 else stop
            line += text[at:stop].split(delimiter)
            rows.append(Row(line, "Failed to parse CSV. Found unescaped quote"))
            line, at = [], stop + len(ending)
            continue
        quoted, plain, stop = found.groups()
        line.append(plain if quoted is None else quoted.replace('""', '"'))
        at = found.end()
        if stop == delimiter:
            if at == end:  # a last, empty cell without a line ending
                line.append("")
            else:
                continue
        if header is None:
            header = line
        elif line != [""] or len(header) == 1 and quoted is not None:
            rows.append(Row(line))
        line = []
    return header or [], rows


def check_line_ending(text, name):
    """A whole job fails on the wrong one. CR LF inside a value counts, for a job with LF."""
    wrong = "\r\n" in text if name == "LF" else False
    if name == "CRLF":
        outside = re.sub('"(?:[^"]|"")*"', "", text)
        wrong = re.search("(?<!\r)\n", outside) is not None
    if wrong:
        raise JobFailed("ClientInputError : LineEnding is invalid on user data. "
                        f"Current LineEnding setting is {name}")


def quote(value):
    return '"' + value.replace('"', '""') + '"'


class Job:
    """One ingest job. Nothing of it runs before `UploadComplete`."""

    def __init__(self, job_id, spec, version):
        self.id = job_id
        self.object = spec["object"]
        self.operation = spec["operation"]
        self.key = spec.get("externalIdFieldName")
        self.content_type = spec.get("contentType", "CSV")
        self.ending = spec.get("lineEnding", "LF")
        self.delimiter = spec.get("columnDelimiter", "COMMA")
        self.version = version
        self.state = "Open"
        self.created = self.modified = sf.now()
        self.error = None
        self.data = None  # None: no PUT yet
        self.header, self.columns, self.rows = [], [], []
        self.tries = 0
        self.started = None
        self.took_ms = 0
        self.puts_refused = 0

    def set_state(self, state):
        self.state = state
        self.modified = sf.now()

    @property
    def over(self):
        return self.state in ("JobComplete", "Failed", "Aborted")

    def count(self, *states):
        return sum(row.state in states for row in self.rows)

    def short_info(self):
        info = {"id": self.id, "operation": self.operation, "object": self.object, "createdById": sf.USER_ID,
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
        info["jobType"] = "V2Ingest"
        if self.state == "Open":
            info["contentUrl"] = f"services/data/v{self.version:.1f}/jobs/ingest/{self.id}/batches"
        info.update({"lineEnding": self.ending, "columnDelimiter": self.delimiter})
        if self.state != "Open":
            info["numberRecordsProcessed"] = self.count("success", "failed")
            info["numberRecordsFailed"] = self.count("failed")
        info.update({"retries": 0, "totalProcessingTime": self.took_ms,
                     "apiActiveProcessingTime": self.took_ms * 9 // 10, "apexProcessingTime": 0})
        if self.error:
            info["errorMessage"] = self.error
        return info

    def books(self):
        return {"id": self.id, "object": self.object, "operation": self.operation, "state": self.state,
                "createdDate": self.created, "rows": len(self.rows), "successful": self.count("success"),
                "failed": self.count("failed"), "unprocessed": self.count("unprocessed"),
                "missing": self.count("missing"), "bytes": len(self.data or b""), "errorMessage": self.error,
                "puts_refused": self.puts_refused}

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


class Column:
    def __init__(self, field=None, kind=None, relationship=None, parent_field=None):
        self.field, self.kind = field, kind
        self.relationship, self.parent_field = relationship, parent_field


def read_column(schema, sobject, name):
    """What one header names; JobFailed with the platform's text if nothing."""
    lost = JobFailed(f"InvalidBatch : Field name not found : {name}")
    if "." in name:
        head, _, field = name.partition(".")
        typed, _, relationship = head.rpartition(":")
        lookup, spec = schema.relationship(sobject, relationship)
        if lookup is None:
            raise JobFailed(f"InvalidBatch : Unable to find relationship: {relationship}")
        if typed:
            raise JobFailed("InvalidBatch : type is not needed for non polymorphic foreign key references: "
                            f"{relationship}")
        if not schema.is_key(spec["to"], field):
            raise lost
        return Column(relationship=relationship, parent_field=field)
    known, spec = schema.field(sobject, name)
    if known is None or spec.get("read_only"):
        raise lost
    return Column(known, spec["type"])


class Engine:
    """All jobs of the org, and the machinery that works through them."""

    def __init__(self, schema, store, faults, processing_ms):
        self.schema, self.store, self.faults = schema, store, faults
        self.processing_ms = processing_ms
        self.clear()

    def clear(self):
        self.jobs = {}
        self.deleted = []  # books of jobs that were deleted
        self.count = 0
        self.row_tries = collections.Counter()  # (rule, object, key) -> tries so far

    def create(self, spec, version):
        self.count += 1
        job = Job(sf.make_id("750", self.count), spec, version)
        self.jobs[job.id] = job
        return job

    async def run(self, job):
        """From UploadComplete to the end. Abort may come at every await."""
        job.started = time.monotonic()
        slow = self.faults.strike({"slow_job"}, ["job", job.object])
        seconds = (slow.get("ms", 5000) if slow else self.processing_ms) / 1000
        await asyncio.sleep(seconds * 0.2)
        if job.over:
            return
        job.set_state("InProgress")
        await asyncio.sleep(seconds * 0.8)
        try:
            await self.process(job)
        except JobFailed as failed:
            job.error = str(failed)
        if job.state == "Aborted":
            return
        job.took_ms = int((time.monotonic() - job.started) * 1000)
        job.set_state("Failed" if job.error else "JobComplete")

    def load(self, job):
        """Reads the upload into job.rows; JobFailed where the platform refuses it whole."""
        if not job.data:
            return
        delimiter, ending = DELIMITERS[job.delimiter], ENDINGS[job.ending]
        text = job.data.decode("utf-8", "replace")  # a BOM stays: it becomes part of the first name
        check_line_ending(text, job.ending)
        job.header, job.rows = read_csv(text, delimiter, ending)
        job.columns = [read_column(self.schema, job.object, name) for name in job.header]
        if job.operation == "upsert" and not any(column.field == job.key for column in job.columns):
            raise JobFailed(f"InvalidBatch : Field name not found : {job.key}")

    async def process(self, job):
        self.load(job)
        if job.state == "Aborted":
            return
        stop_at = len(job.rows)
        broken = self.faults.strike({"job_failed"}, ["job", job.object])
        if broken:
            stop_at = int(len(job.rows) * broken.get("fraction", 0.5))
        all_fail = self.faults.strike({"all_rows_failed"}, ["job", job.object])
        prepared = [self.prepare(job, row) for row in job.rows]  # parents as they stand before the job
        for start in range(0, stop_at, CHUNK):
            chunk = range(start, min(start + CHUNK, stop_at))
            doubled = self.doubled(job, [prepared[at] for at in chunk])
            for at in chunk:
                self.one_row(job, job.rows[at], prepared[at], doubled, all_fail)
            await asyncio.sleep(0)
            if job.state == "Aborted":
                return
        if broken:
            raise JobFailed(broken.get("message", "InternalServerError : Unable to process the job"))

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
        keys = collections.Counter(str(values.get(job.key)).lower() for values in prepared
                                   if isinstance(values, dict) and job.key in values)
        return {key for key, times in keys.items() if times > 1}

    def one_row(self, job, row, values, doubled, all_fail):
        key_at = next((at for at, column in enumerate(job.columns) if column.field == (job.key or "Id")),
                      None)
        key = row.cells[key_at] if key_at is not None and key_at < len(row.cells) else ""
        missing = self.row_rule("rows_missing", job, row, key)
        if missing and not missing.get("written"):
            row.state = "missing"
            return
        try:
            if all_fail:
                raise forced_error(all_fail)
            forced = self.row_rule("row_error", job, row, key)
            if forced:
                raise forced_error(forced)
            if isinstance(values, RowError):
                raise values
            if job.operation == "upsert" and key.lower() in doubled:
                raise RowError("DUPLICATE_VALUE", f"Duplicate external id specified: {key}", [job.key])
            row.record_id, row.created = self.apply(job, values)
            row.state = "missing" if missing else "success"
        except RowError as error:
            row.state, row.error, row.record_id = "failed", error.bulk(), error.record_id

    def apply(self, job, values):
        if job.operation in ("delete", "hardDelete"):
            record_id = self.store.by_id(job.object, str(values.get("Id", "")))
            if record_id is None:
                raise RowError("ENTITY_IS_DELETED", "entity is deleted")
            self.store.delete(job.object, record_id)
            return record_id, False
        if job.operation == "insert":
            values = {name: value for name, value in values.items() if name != "Id"}
        key = job.key if job.operation == "upsert" else "Id"
        return self.store.upsert(job.object, key, values, job.id, operation=job.operation)

    def row_rule(self, action, job, row, key):
        """The first rule of that action that strikes this row. The same rows are struck on every try."""
        for rule in self.faults.of(action):
            if not rule.covers(["job", job.object]) or not rule.in_window() or not row_chosen(rule, job, row,
                                                                                              key):
                continue
            tried = (rule.id, job.object, key)
            self.row_tries[tried] += 1
            if rule.get("times") is not None and self.row_tries[tried] > rule.get("times"):
                continue
            if rule.left is not None:
                if rule.left <= 0:
                    continue
                rule.left -= 1
            rule.fired += 1
            self.faults.fired[action] += 1
            return rule
        return None


def row_chosen(rule, job, row, key):
    if rule.get("keys") is not None:
        return key in rule.get("keys")
    for name, pattern in rule.get("where", {}).items():
        at = next((i for i, head in enumerate(job.header) if head.lower() == name.lower()), None)
        if at is None or at >= len(row.cells) or not re.search(pattern, row.cells[at]):
            return False
    draw = zlib.crc32(f"{rule.get('seed', 0)}/{key}".encode())
    if rule.get("every") is not None:
        return draw % rule.get("every") == 0
    if rule.get("fraction") is not None:
        return draw / 2**32 < rule.get("fraction")
    return True


def forced_error(rule):
    code, field = rule.get("code", "UNABLE_TO_LOCK_ROW"), rule.get("field")
    if code == "REQUIRED_FIELD_MISSING" and not field:
        field = "Name"
    message = rule.get("message") or MESSAGES.get(code, "made to fail")
    return RowError(code, message.replace("{field}", field or ""), [field] if field else [])
