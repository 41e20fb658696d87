"""A plain client of the Salesforce stand-in for its tests: one call, one line; nothing is retried."""

import csv
import io
import json
import time
import urllib.parse

import jwt

from sandbox.client import request

DATA = "/services/data/v66.0"
JOBS = DATA + "/jobs/ingest"
JWT_BEARER = "urn:ietf:params:oauth:grant-type:jwt-bearer"
CLIENT = {"grant_type": "client_credentials", "client_id": "CID", "client_secret": "SEC"}


def oauth(process, form, **headers):
    status, answered, text = request(process.url, "POST", "/services/oauth2/token",
                                     urllib.parse.urlencode(form),
                                     {"Content-Type": "application/x-www-form-urlencoded", **headers})
    assert answered["Cache-Control"] == "no-store"
    return status, json.loads(text)


def assertion(key, **change):
    """The form of a JWT bearer grant, signed with `key`; change: claims that are others."""
    claims = {"iss": "CID", "sub": "gw@example.com", "aud": "https://login.salesforce.com",
              "exp": int(time.time()) + 180, **change}
    return {"grant_type": JWT_BEARER, "assertion": jwt.encode(claims, key, algorithm="RS256")}


class Org:
    """A logged-in client, as plain as can be."""

    def __init__(self, process):
        self.process = process
        self.login()

    def login(self):
        self.token = oauth(self.process, CLIENT)[1]["access_token"]

    def call(self, method, path, body=None, content_type=None, **more):
        headers = {"Authorization": f"Bearer {self.token}"}
        if content_type:
            headers["Content-Type"] = content_type
        status, headers, text = request(self.process.url, method, path, body, {**headers, **more})
        self.headers = headers
        return status, json.loads(text) if text[:1] in (b"{", b"[") else text.decode()

    def raw(self, method, path, body=None, **headers):
        """(status, headers, bytes)"""
        return request(self.process.url, method, path, body, {"Authorization": f"Bearer {self.token}", **headers})

    def create(self, sobject="Contact", key_field="Shopify_Customer_Id__c", **more):
        spec = {"object": sobject, "operation": "upsert", "externalIdFieldName": key_field, **more}
        status, job = self.call("POST", JOBS, {k: v for k, v in spec.items() if v})
        assert status == 200, job
        return job["id"]

    def upload(self, job, text):
        data = text if isinstance(text, bytes) else text.encode()
        return self.call("PUT", f"{JOBS}/{job}/batches", data, "text/csv")

    def close(self, job):
        return self.call("PATCH", f"{JOBS}/{job}", {"state": "UploadComplete"})

    def wait(self, job):
        end = time.monotonic() + 60
        while True:
            info = self.call("GET", f"{JOBS}/{job}")[1]
            if info["state"] in ("JobComplete", "Failed", "Aborted"):
                return info
            assert time.monotonic() < end, info
            time.sleep(0.01)

    def run(self, text, *args, **more):
        """The whole way of one job: (job id, final info)."""
        job = self.create(*args, **more)
        assert self.upload(job, text)[0] == 201
        assert self.close(job)[0] == 200
        return job, self.wait(job)

    def results(self, job, which):
        status, text = self.call("GET", f"{JOBS}/{job}/{which}")
        assert status == 200, text
        return list(csv.DictReader(io.StringIO(text, newline="")))

    def errors(self, job):
        return {row.get("Shopify_Customer_Id__c") or row.get("Ext__c"): row["sf__Error"]
                for row in self.results(job, "failedResults")}

    # ---- REST ----

    def query(self, soql, path="/query", **headers):
        return self.call("GET", f"{DATA}{path}?q={urllib.parse.quote(soql)}", **headers)

    def found(self, soql):
        """The values of the first field, row by row."""
        status, body = self.query(soql)
        assert status == 200, body
        name = soql.split()[1].rstrip(",")
        return [one[name] for one in body["records"]]

    def collect(self, method, path, records, whole=False, **headers):
        """A collections call: (status, its answer)."""
        return self.call(method, f"{DATA}/composite/sobjects{path}", {"allOrNone": whole, "records": records},
                         **headers)

    def make(self, sobject, **fields):
        """The id of a new record; the refusal, if it is none."""
        status, body = self.call("POST", f"{DATA}/sobjects/{sobject}", fields)
        assert status == 201, body
        return body["id"]

    def refused(self, sobject, **fields):
        """The code that a new record is refused with."""
        status, body = self.call("POST", f"{DATA}/sobjects/{sobject}", fields)
        assert status == 400, body
        return body[0]["errorCode"]

    def fields(self, sobject, record_id):
        return next(one["fields"] for one in self.process.records(sobject) if one["Id"] == record_id)

    def rows(self, **wanted):
        """The ledger: (key, outcome) of each row, in order."""
        rows = self.process.call("GET", "rows?" + urllib.parse.urlencode(wanted))["rows"]
        return [(one["key"], one["outcome"]) for one in rows]


def record(sobject, **fields):
    return {"attributes": {"type": sobject}, **fields}
