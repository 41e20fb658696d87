"""The Salesforce stand-in, proved by a real client: jsforce's Bulk API 2.0 upsert."""

import json
import os
import subprocess
import sys

import pytest

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.dirname(HERE))

from sandbox.client import Process  # noqa: E402

@pytest.fixture(scope="module")
def seen(node):
    """What jsforce saw, and the books after it."""
    with Process("salesforce", "--client-id", "CID", "--client-secret", "SEC", "--processing-ms",
                 60) as salesforce:
        run = subprocess.run([node, os.path.join(HERE, "jsforce_bulk2.mjs"), salesforce.url, "CID", "SEC"],
                             text=True,
                             capture_output=True, timeout=120)
        assert run.returncode == 0, run.stderr
        return {**json.loads(run.stdout), "books": salesforce.books(), "url": salesforce.url}


def test_client_credentials_give_an_instance_and_a_user(seen):
    assert seen["instanceUrl"] == seen["url"]
    assert seen["userInfo"]["organizationId"] == "00D5g00000Org01EAB"


def test_good_rows_are_stored_exactly(seen):
    rows = {row["Shopify_Order_Id__c"]: row for row in seen["first"]["successfulResults"]}
    assert set(rows) == {"9007199254740993", "9007199254740995"}
    assert all(row["sf__Created"] == "true" and len(row["sf__Id"]) == 18 for row in rows.values())
    assert rows["9007199254740993"]["Name"] == '#1042 "quoted", with comma'
    assert rows["9007199254740993"]["Description"] == "two\nlines; and | more"
    assert rows["9007199254740995"]["Amount"] == "9.12260031E8"
    assert rows["9007199254740995"]["Name"] == "Zoë Ångström ☕"


def test_a_bad_row_comes_back_with_its_reason(seen):
    failed = seen["first"]["failedResults"]
    assert [row["Shopify_Order_Id__c"] for row in failed] == ["9007199254740997"]
    assert failed[0]["sf__Error"] == "REQUIRED_FIELD_MISSING:Required fields are missing: [Name]:Name --"
    assert failed[0]["sf__Id"] == ""
    assert seen["first"]["unprocessedRecords"] == []


def test_a_second_upsert_updates(seen):
    assert [row["sf__Created"] for row in seen["second"]["successfulResults"]] == ["false"]
    orders = {one["fields"]["Shopify_Order_Id__c"]: one for one in seen["books"]["records"]["Opportunity"]}
    assert orders["9007199254740993"]["versions"] == 2
    assert orders["9007199254740993"]["fields"]["Amount"] == "113.90"
    assert orders["9007199254740993"]["fields"]["Name"] == "#1042"
    assert orders["9007199254740995"]["versions"] == 1
    assert len(orders) == 2


def test_an_ended_session_is_renewed_and_the_request_repeated(seen):
    assert seen["before"] == 0
    assert seen["refreshes"] == 1
    assert [row["Ext__c"] for row in seen["renewed"]["successfulResults"]] == ["a-1"]
    assert seen["books"]["tokens"] == {"issued": 2, "refused": 0}
    assert seen["books"]["requests"]["by_status"]["401"] == 1


def test_an_unknown_column_fails_the_whole_job(seen):
    assert "InvalidBatch : Field name not found : Nonsense__c" in seen["unknownColumn"]


def test_a_job_by_hand_reports_and_goes(seen):
    info = seen["byHand"]["info"]
    assert info["state"] == "JobComplete" and info["numberRecordsProcessed"] == 1 and info["apiVersion"] == 66
    assert seen["byHand"]["successful"][0]["Ext__c"] == "a-3"
    assert seen["deleted"] == "NOT_FOUND"


def test_collections_answer_by_position(seen):
    good, bad = seen["collections"]
    assert good["success"] and good["created"] is False
    assert not bad["success"] and bad["errors"][0]["statusCode"] == "REQUIRED_FIELD_MISSING"
    assert seen["limitInfo"]["apiUsage"]["limit"] == 100_000


def test_the_books_count_requests_and_rows_apart(seen):
    books = seen["books"]
    assert books["rows"]["rows"] == 7  # three, one, one, the refused one, and the one by hand
    assert books["rows"]["successful"] == 5 and books["rows"]["failed"] == 1 and books["rows"]["unprocessed"] == 1
    assert books["requests"]["by_step"]["put"] == books["requests"]["by_step"]["create"] - 1 == 5
