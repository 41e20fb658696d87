"""Bulk API 2.0 of the Salesforce stand-in beyond upsert: every operation, ageing, locks, allowances, query jobs."""

import gzip
import threading
import time
import urllib.parse

import pytest

from sandbox.sf_client import DATA, JOBS, record

QUERY = DATA + "/jobs/query"
DAY_S = 86400


def many(count, parent=None, start=0):
    """A file of contacts; `parent(n)` gives the key of each one's account."""
    head = "Ext__c,LastName" + (",Account.Ext__c" if parent else "")
    rows = (f"c-{n},L{n}" + (f",{parent(n)}" if parent else "") for n in range(start, start + count))
    return head + "\n" + "\n".join(rows) + "\n"


def accounts(org, count):
    status, body = org.collect("PATCH", "/Account/Ext__c", [record("Account", Ext__c=f"a-{n}", Name="A")
                                                            for n in range(count)])
    assert status == 200
    return [one["id"] for one in body]


def advance(org, seconds):
    """The org's clock goes on; the session with it is renewed."""
    org.process.call("POST", "clock", {"advance_s": seconds})
    org.login()


def states(org):
    return [one["state"] for one in org.process.books()["jobs"]]


# ---- operations ----

def test_insert_update_and_delete_go_by_id(org):
    job, info = org.run("Ext__c,Name\n1,a\n2,b\n", "Account", None, operation="insert")
    ids = {row["Ext__c"]: row["sf__Id"] for row in org.results(job, "successfulResults")}
    assert "externalIdFieldName" not in info and len(ids) == 2
    text = f"Id,Name\n{ids['1']},new\n0015g00000Acc99AAB,never\n,none\n12,bad\n"
    job, _ = org.run(text, "Account", None, operation="update")
    done, = org.results(job, "successfulResults")
    assert (done["sf__Id"], done["sf__Created"]) == (ids["1"], "false")
    assert sorted(row["sf__Error"].partition(":")[0] for row in org.results(job, "failedResults")) == [
        "INVALID_CROSS_REFERENCE_KEY", "MALFORMED_ID", "MISSING_ARGUMENT"]
    for wanted in ([], ["ENTITY_IS_DELETED:entity is deleted:--"]):
        job, _ = org.run(f"Id\n{ids['1']}\n", "Account", None, operation="delete")
        assert [row["sf__Error"] for row in org.results(job, "failedResults")] == wanted
    assert [one["Id"] for one in org.process.records("Account")] == [ids["2"]]
    assert org.rows(outcome="deleted") == [(ids["1"], "deleted")]


def test_the_file_of_a_delete_has_ids_alone(org):
    job, info = org.run("Id,Name\n0015g00000Acc99AAB,x\n", "Account", None, operation="delete")
    assert info["state"] == "Failed" and info["errorMessage"].startswith("InvalidBatch : ")


def test_a_hard_delete_needs_its_permission_and_leaves_nothing_in_the_bin(org):
    made = org.make("Account", Name="A")
    spec = {"object": "Account", "operation": "hardDelete"}
    status, body = org.call("POST", JOBS, spec)
    assert (status, body[0]["errorCode"]) == (400, "FEATURENOTENABLED")
    org.process.call("POST", "org", {"hard_delete": True})
    job, info = org.run(f"Id\n{made}\n", "Account", None, operation="hardDelete")
    assert info["numberRecordsFailed"] == 0
    assert org.query("SELECT Id FROM Account", "/queryAll")[1]["totalSize"] == 0


def test_rows_of_one_file_do_not_see_each_other(org):
    job, info = org.run("Ext__c,Name,Parent.Ext__c\np,P,\nc,C,p\n", "Account", "Ext__c")
    assert list(org.errors(job)) == ["c"]
    assert org.run("Ext__c,Name,Parent.Ext__c\nc,C,p\n", "Account", "Ext__c")[1]["numberRecordsFailed"] == 0


# ---- limits of an upload ----

def test_an_upload_that_is_too_large_is_refused_and_the_job_still_open(org):
    job = org.create("Account", "Ext__c")
    status, body = org.upload(job, "Ext__c,Name\n" + "x" * 100_000)
    assert (status, body[0]["errorCode"]) == (400, "CLIENTINPUTERROR")
    assert org.upload(job, "Ext__c,Name\n1,a\n")[0] == 201


def test_a_header_that_is_too_long_fails_the_job(org):
    job, info = org.run("Ext__c,Name," + "x" * 32_000 + "\n1,a,b\n", "Account", "Ext__c")
    assert info["state"] == "Failed" and "32,000" in info["errorMessage"]


def test_a_refused_upload_is_in_the_books_with_every_move_of_its_job(org):
    job, _ = org.run("Ext__c,Name\n1,a\n", "Account", "Ext__c")
    assert org.upload(job, "Ext__c,Name\n1,a\n")[0] == 400
    assert org.close(job)[0] == 400
    assert org.call("PATCH", f"{JOBS}/{job}", {"state": "InProgress"})[0] == 400
    books, = org.process.books()["jobs"]
    assert books["moves"] == ["Open", "UploadComplete", "InProgress", "JobComplete"]
    assert (books["puts_refused"], books["moves_refused"]) == (1, ["UploadComplete"])


# ---- ageing, lists ----

def test_a_job_that_stays_open_is_gone_after_a_day(org):
    job = org.create("Account", "Ext__c")
    advance(org, DAY_S - 60)
    assert org.call("GET", f"{JOBS}/{job}")[1]["state"] == "Open"
    advance(org, 120)
    assert org.call("GET", f"{JOBS}/{job}")[0] == 404
    assert org.process.books()["jobs"][0]["gone"] == "open for 24 hours"


def test_results_are_kept_for_a_week(org):
    job, _ = org.run("Ext__c,Name\n1,a\n", "Account", "Ext__c")
    advance(org, 7 * DAY_S - 60)
    assert org.call("GET", f"{JOBS}/{job}/successfulResults")[0] == 200
    advance(org, 120)
    assert org.call("GET", f"{JOBS}/{job}/successfulResults")[0] == 404
    assert org.call("GET", JOBS)[1]["records"] == []


def test_the_list_has_the_jobs_of_others_too(org):
    mine = org.create("Account", "Ext__c")
    other, old, classic = org.process.call("POST", "jobs", [
        {"object": "Contact", "createdById": "0055g00000Oth01AAA"}, {"object": "Account", "age_s": 2 * DAY_S},
        {"object": "Lead", "jobType": "Classic", "state": "JobComplete"}])["ids"]
    listed = {one["id"]: one for one in org.call("GET", JOBS)[1]["records"]}
    assert set(listed) == {mine, other, classic}  # the old one was open for too long
    assert listed[mine]["createdById"] == "0055g00000Usr01AAB" != listed[other]["createdById"]
    assert listed[mine]["state"] == "Open" and listed[mine]["object"] == "Account"
    listed = org.call("GET", JOBS + "?jobType=V2Ingest")[1]["records"]
    assert {one["id"] for one in listed} == {mine, other}
    assert org.call("GET", f"{JOBS}/{old}")[0] == 404


def test_a_long_list_comes_in_pages_in_no_order(org):
    ids = org.process.call("POST", "jobs", [{"object": "Account"}] * 1100)["ids"]
    first = org.call("GET", JOBS + "?jobType=V2Ingest")[1]
    assert first["done"] is False and "queryLocator=" in first["nextRecordsUrl"] and len(first["records"]) == 1000
    second = org.call("GET", first["nextRecordsUrl"])[1]
    assert second["done"] is True and second["nextRecordsUrl"] is None
    seen = [one["id"] for one in first["records"] + second["records"]]
    assert seen != ids and sorted(seen) == sorted(ids)


# ---- work in progress ----

def test_an_abort_in_progress_keeps_what_was_done_and_gives_the_rest_back(org):
    org.process.fault(action="slow_job", ms=20_000)
    job = org.create("Contact", "Ext__c")
    org.upload(job, many(6000))
    org.close(job)
    end = time.monotonic() + 30
    while not org.call("GET", f"{JOBS}/{job}")[1].get("numberRecordsProcessed"):
        assert time.monotonic() < end
        time.sleep(0.02)
    assert org.call("PATCH", f"{JOBS}/{job}", {"state": "Aborted"})[0] == 200
    org.process.clear_faults()
    left = org.results(job, "unprocessedrecords")
    assert len(left) + len(org.process.records("Contact")) == 6000 and 0 < len(left) < 6000
    assert {row["Ext__c"] for row in left}.isdisjoint(one["fields"]["Ext__c"]
                                                      for one in org.process.records("Contact"))


def test_a_job_that_was_closed_may_be_deleted_and_does_nothing_then(org):
    org.process.fault(action="slow_job", ms=60_000)
    job = org.create("Contact", "Ext__c")
    org.upload(job, many(2))
    org.close(job)
    assert org.call("DELETE", f"{JOBS}/{job}") == (204, "")
    assert org.process.books()["jobs"][0]["state"] == "Aborted" and org.process.records("Contact") == []


def test_rows_of_one_parent_in_two_batches_meet_at_its_lock(org):
    org.process.call("POST", "org", {"locks": True, "batch_rows": 10})
    accounts(org, 4)
    job, info = org.run(many(20, lambda n: f"a-{n % 2}"), "Contact", "Ext__c")
    failed = org.results(job, "failedResults")
    assert {row["Ext__c"] for row in failed} == {f"c-{n}" for n in range(10, 20)} and info["retries"] == 1
    assert all(row["sf__Error"].startswith("UNABLE_TO_LOCK_ROW:unable to obtain exclusive access") and
               ": 001" in row["sf__Error"] for row in failed)
    job, info = org.run(many(20, lambda n: f"a-{n // 60}", 50), "Contact", "Ext__c")  # sorted by parent
    assert (info["numberRecordsFailed"], info["retries"]) == (0, 0)


def test_a_job_in_progress_locks_out_others_and_its_end_lets_them_in(org):
    org.process.call("POST", "org", {"locks": True})
    accounts(org, 2)
    org.process.fault(action="slow_job", ms=60_000, count=1)
    slow = org.create("Contact", "Ext__c")
    org.upload(slow, many(1, lambda n: "a-0"))
    org.close(slow)
    end = time.monotonic() + 30
    while org.call("GET", f"{JOBS}/{slow}")[1]["state"] != "InProgress":
        assert time.monotonic() < end
        time.sleep(0.02)
    rows = [record("Contact", Ext__c=f"x-{n}", LastName="L", Account={"Ext__c": f"a-{n}"}) for n in range(2)]
    body = org.collect("PATCH", "/Contact/Ext__c", rows)[1]
    assert body[0]["errors"][0]["statusCode"] == "UNABLE_TO_LOCK_ROW" and body[1]["success"]
    job, _ = org.run(many(2, lambda n: f"a-{n - 10}", 10), "Contact", "Ext__c")
    assert list(org.errors(job)) == ["c-10"]
    org.call("PATCH", f"{JOBS}/{slow}", {"state": "Aborted"})
    assert org.run(many(1, lambda n: "a-0", 10), "Contact", "Ext__c")[1]["numberRecordsFailed"] == 0


def test_two_collections_at_once_meet_at_one_parent(org):
    accounts(org, 2)
    org.process.call("POST", "org", {"locks": True, "collections_ms": 60_000})

    def rows(start):
        return [record("Contact", Ext__c=f"x-{start + n}", LastName="L", Account={"Ext__c": f"a-{n}"})
                for n in range(2 if start else 1)]

    first = threading.Thread(target=org.collect, args=("PATCH", "/Contact/Ext__c", rows(0)))
    first.start()
    end = time.monotonic() + 30
    while not org.process.records("Contact"):
        assert time.monotonic() < end
    second = threading.Thread(target=org.collect, args=("PATCH", "/Contact/Ext__c", rows(5)))
    second.start()
    while len(org.rows(source="collections-3")) < 2:
        assert time.monotonic() < end
    org.process.call("POST", "org", {"collections_ms": 0})  # both are answered
    first.join()
    second.join()
    assert org.rows(object="Contact") == [("x-0", "created"), ("x-5", "UNABLE_TO_LOCK_ROW"), ("x-6", "created")]
    assert all(one["success"] for one in org.collect("PATCH", "/Contact/Ext__c", rows(5))[1])


def test_batches_beyond_the_day_s_allowance_are_in_no_file(org):
    org.process.call("POST", "org", {"batch_rows": 10})
    org.process.call("POST", "limits", {"rows": {"max": 25}})
    job, info = org.run(many(40), "Contact", "Ext__c")
    files = {which: len(org.results(job, which)) for which in ("successfulResults", "failedResults",
                                                               "unprocessedrecords")}
    assert files == {"successfulResults": 20, "failedResults": 0, "unprocessedrecords": 0}
    assert info["numberRecordsProcessed"] == 20 and org.process.books()["rows"]["missing"] == 20
    advance(org, DAY_S + 1)
    assert org.run(many(10, start=100), "Contact", "Ext__c")[1]["numberRecordsProcessed"] == 10


def test_no_batches_left_means_no_new_job(org):
    org.process.call("POST", "limits", {"batches": {"used": 14_999}})
    org.run("Ext__c,Name\n1,a\n", "Account", "Ext__c")
    status, body = org.call("POST", JOBS, {"object": "Account", "operation": "insert"})
    assert (status, body[0]["errorCode"]) == (400, "EXCEEDEDQUOTA")
    assert org.call("GET", DATA + "/limits")[1]["DailyBulkApiBatches"] == {"Max": 15_000, "Remaining": 0}
    advance(org, DAY_S + 1)
    assert org.call("POST", JOBS, {"object": "Account", "operation": "insert"})[0] == 200


# ---- query jobs ----

def query_job(org, soql, operation="query", **more):
    status, job = org.call("POST", QUERY, {"operation": operation, "query": soql, **more})
    assert status == 200, job
    end = time.monotonic() + 30
    while True:
        info = org.call("GET", f"{QUERY}/{job['id']}")[1]
        if info["state"] in ("JobComplete", "Failed", "Aborted"):
            return job, info
        assert time.monotonic() < end
        time.sleep(0.01)


def lines(data):
    return data.decode().splitlines()


def test_a_query_job_is_read_page_by_page(org):
    accounts(org, 5)
    job, info = query_job(org, "SELECT ext__c, Name, Phone FROM Account ORDER BY Ext__c")
    assert job["state"] == "UploadComplete" and job["object"] == "Account" and job["apiVersion"] == 66.0
    assert info["jobType"] == "V2Query" and info["numberRecordsProcessed"] == 5
    assert "numberRecordsFailed" not in info and "contentUrl" not in info and "errorMessage" not in info
    asked, seen = f"{QUERY}/{job['id']}/results?maxRecords=2", []
    where, sizes = "", []
    while where != "&locator=null":
        status, headers, body = org.raw("GET", asked + where)
        assert status == 200 and headers["Content-Type"] == "text/csv"
        assert headers["Transfer-Encoding"] == "chunked" and "Content-Length" not in headers
        head, *rows = lines(body)
        assert head == '"Ext__c","Name","Phone"'
        seen += rows
        sizes.append(int(headers["Sforce-NumberOfRecords"]))
        where = "&locator=" + urllib.parse.quote(headers["Sforce-Locator"])
    assert seen == [f'"a-{n}","A",""' for n in range(5)] and sizes == [2, 2, 1]
    assert org.process.books()["query_jobs"][0]["pages"] == 3


def test_without_max_records_a_query_job_is_one_page_and_compressed_if_wanted(org):
    accounts(org, 5)
    job, _ = query_job(org, "SELECT Id FROM Account")
    status, headers, body = org.raw("GET", f"{QUERY}/{job['id']}/results")
    assert headers["Sforce-Locator"] == "null" and len(lines(body)) == 6
    org.process.call("POST", "org", {"gzip": True})
    status, headers, packed = org.raw("GET", f"{QUERY}/{job['id']}/results", **{"Accept-Encoding": "gzip"})
    assert headers["Content-Encoding"] == "gzip" and gzip.decompress(packed) == body
    assert org.raw("GET", f"{QUERY}/{job['id']}/results")[2] == body


def test_pages_may_be_listed_to_be_fetched_side_by_side(org):
    accounts(org, 7)
    job, _ = query_job(org, "SELECT Ext__c FROM Account ORDER BY Ext__c")
    listed = org.call("GET", f"{QUERY}/{job['id']}/resultPages?maxRecords=1")[1]
    assert len(listed["resultPages"]) == 5 and listed["done"] is False
    rest = org.call("GET", listed["nextRecordsUrl"])[1]
    assert len(rest["resultPages"]) == 2 and rest["done"] is True
    pages = [org.raw("GET", one["resultUrl"])[2] for one in listed["resultPages"] + rest["resultPages"]]
    assert [lines(page)[1] for page in pages] == [f'"a-{n}"' for n in range(7)]


def test_a_query_job_keeps_to_one_version_and_to_its_locators(org):
    accounts(org, 3)
    job, _ = query_job(org, "SELECT Id FROM Account")
    path = f"{QUERY}/{job['id']}/results"
    assert org.raw("GET", path.replace("v66.0", "v67.0"))[0] == 409
    assert org.raw("GET", path + "?locator=nonsense")[0] == 400
    assert org.raw("GET", path + "?maxRecords=x")[0] == 400


def test_an_empty_result_is_a_header(org):
    job, info = query_job(org, "SELECT Id, Account.Name FROM Contact", columnDelimiter="TAB")
    status, headers, body = org.raw("GET", f"{QUERY}/{job['id']}/results")
    assert body == b'"Id"\t"Account.Name"\n' and headers["Sforce-NumberOfRecords"] == "0"


@pytest.mark.parametrize("soql", ["SELECT COUNT() FROM Account", "SELECT Id FROM Account LIMIT 5 OFFSET 2",
                                  "SELECT Name FROM Account GROUP BY Name", "SELECT Nope FROM Account", "junk",
                                  f"SELECT Id FROM Account WHERE Name = '{'a' * 100_000}'"])
def test_what_a_query_job_cannot_do_is_refused_at_once(org, soql):
    assert org.call("POST", QUERY, {"operation": "query", "query": soql})[0] == 400


def test_query_all_jobs_see_the_bin(org):
    ids = accounts(org, 2)
    org.process.call("POST", "remove", {"ids": [ids[0]]})
    soql = "SELECT Ext__c, IsDeleted FROM Account ORDER BY Ext__c"
    job, _ = query_job(org, soql, "queryAll")
    assert lines(org.raw("GET", f"{QUERY}/{job['id']}/results")[2])[1:] == ['"a-0","true"', '"a-1","false"']
    assert query_job(org, soql)[1]["numberRecordsProcessed"] == 1


def test_a_query_job_is_aborted_deleted_and_forgotten(org):
    org.process.fault(action="slow_job", at="query-job", ms=60_000)
    made = org.call("POST", QUERY, {"operation": "query", "query": "SELECT Id FROM Account"})[1]["id"]
    assert org.raw("GET", f"{QUERY}/{made}/results")[0] == 400
    status, body = org.call("DELETE", f"{QUERY}/{made}")
    assert (status, body) == (400, [{"message": "Error encountered when deleting the job because the job is not "
                                                "terminated", "errorCode": "API_ERROR"}])
    assert org.call("PATCH", f"{QUERY}/{made}", {"state": "Aborted"})[1]["state"] == "Aborted"
    assert [one["id"] for one in org.call("GET", QUERY)[1]["records"]] == [made]
    assert org.call("DELETE", f"{QUERY}/{made}") == (204, "") and org.call("GET", f"{QUERY}/{made}")[0] == 404
    org.process.clear_faults()
    job, _ = query_job(org, "SELECT Id FROM Account")
    advance(org, 7 * DAY_S + 60)
    assert org.call("GET", f"{QUERY}/{job['id']}")[0] == 404


def test_a_query_job_may_fail_without_a_reason_and_the_day_has_an_end(org):
    org.process.fault(action="job_failed", at="query-job", count=1)
    _, info = query_job(org, "SELECT Id FROM Account")
    assert info["state"] == "Failed" and "errorMessage" not in info
    org.process.call("POST", "limits", {"query_jobs": {"max": 1}})
    status, body = org.call("POST", QUERY, {"operation": "query", "query": "SELECT Id FROM Account"})
    assert (status, body[0]["message"]) == (400, "Max bulk v2 query jobs (1) per 24 hrs has been reached")


@pytest.mark.parametrize("action", ["torn", "cut_after", "drip"])
def test_a_page_may_break_and_be_fetched_again(org, action):
    accounts(org, 5)
    job, _ = query_job(org, "SELECT Ext__c FROM Account")
    whole = org.raw("GET", f"{QUERY}/{job['id']}/results")[2]
    org.process.fault(action=action, at="query-results", count=1, ms=50)
    try:
        broken = org.raw("GET", f"{QUERY}/{job['id']}/results")[2]
    except Exception:  # whatever a cut line is to http.client
        broken = b""
    assert (broken == whole) == (action == "drip")
    assert org.raw("GET", f"{QUERY}/{job['id']}/results")[2] == whole
