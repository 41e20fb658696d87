"""Every writing call of the Salesforce stand-in under every fault: it has acted once, or not at all, as the fault says."""

import pytest

from sandbox.sf_client import DATA, JOBS, record

ROW = {"Name": "n", "Ext__c": "1"}
ROWS = {"allOrNone": False, "records": [record("Account", **ROW)]}
COMPOSITE = [{"method": "POST", "url": f"{DATA}/sobjects/Account", "referenceId": "a", "body": ROW}]

# step -> (method, path, body); {id}: of a record that is there.
CALLS = {
    "insert": ("POST", "/sobjects/Account", ROW),
    "upsert": ("PATCH", "/sobjects/Account/Ext__c/1", {"Name": "n"}),
    "update": ("PATCH", "/sobjects/Account/{id}", {"Name": "n"}),
    "remove": ("DELETE", "/sobjects/Account/{id}", None),
    "collections": ("PATCH", "/composite/sobjects/Account/Ext__c", ROWS),
    "collections-create": ("POST", "/composite/sobjects", ROWS),
    "collections-update": ("PATCH", "/composite/sobjects", {"records": [record("Account", id="{id}", Name="n")]}),
    "collections-delete": ("DELETE", "/composite/sobjects?ids={id}", None),
    "composite": ("POST", "/composite", {"compositeRequest": COMPOSITE}),
    "graph": ("POST", "/composite/graph", {"graphs": [{"graphId": "g", "compositeRequest": COMPOSITE}]}),
}
ACTED = {"cut_after": None, "torn": None, "status_after": 503, "garbage": 200, "slow": 200,
         "cut_before": None, "reset": None, "status": 503, "limit_concurrent": 403, "unavailable_html": 503}
BEFORE = ("cut_before", "reset", "status", "limit_concurrent", "unavailable_html")


def filled(value, record_id):
    if isinstance(value, dict):
        return {name: filled(one, record_id) for name, one in value.items()}
    if isinstance(value, list):
        return [filled(one, record_id) for one in value]
    return value.replace("{id}", record_id) if isinstance(value, str) else value


def ask(org, step, record_id):
    """The status of the answer, or None if none came whole."""
    method, path, body = filled(list(CALLS[step]), record_id)
    try:
        return org.raw(method, DATA + path, body)[0]
    except Exception:  # whatever a cut line is to http.client
        return None


@pytest.mark.parametrize("step", CALLS)
def test_a_write_under_every_fault_is_in_the_ledger_once_or_not_at_all(org, step):
    for action, status in ACTED.items():
        org.process.reset()
        org.login()
        wants = step in ("update", "remove", "collections-update", "collections-delete")
        there = org.process.call("POST", "records", [{"object": "Account", "fields": {"Name": "old"}}])["ids"][0] \
            if wants else ""
        org.process.fault(action=action, at=step, count=1, ms=10)
        got = ask(org, step, there)
        # Half the head of an answer without a body is enough for http.client.
        assert got == status or action == "slow" and got in (200, 201, 204) or (action, got) == ("torn", 204), action
        assert len(org.rows()) == (action not in BEFORE), action
        books = org.process.books()
        assert books["requests"]["faults"] == {action: 1} and sum(
            sum(one.values()) for one in books["outcomes"].values()) == (action not in BEFORE)


@pytest.mark.parametrize("step, action, made", [
    ("create", "status_after", 1), ("create", "torn", 1), ("create", "unavailable", 0),
    ("query-create", "status_after", 1), ("query-create", "cut_after", 1), ("query-create", "unavailable", 0)])
def test_a_job_whose_making_was_not_answered_is_there_or_not(org, step, action, made):
    org.process.fault(action=action, at=step, count=1)
    path, body = (JOBS, {"object": "Account", "operation": "insert"}) if step == "create" else (
        DATA + "/jobs/query", {"operation": "query", "query": "SELECT Id FROM Account"})
    try:
        assert org.raw("POST", path, body)[0] == 503
    except Exception:  # whatever a cut line is to http.client
        pass
    books = org.process.books()
    assert len(books["jobs"] + books["query_jobs"]) == made


def test_a_close_that_says_503_has_closed_all_the_same(org):
    job = org.create("Account", "Ext__c")
    org.upload(job, "Ext__c,Name\n1,a\n")
    org.process.fault(action="status_after", status=500, at="patch", count=1)
    assert org.close(job)[0] == 500
    assert org.wait(job)["numberRecordsProcessed"] == 1
    assert org.process.books()["jobs"][0]["moves_refused"] == []
