"""The Salesforce stand-in, proved by a real client: jsforce's logins, collections, queries and bulk operations."""

import json
import os
import subprocess
import sys

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.dirname(HERE))

from sandbox.client import Process  # noqa: E402


@pytest.fixture(scope="module")
def seen(node, tmp_path_factory):
    """What jsforce saw, and the books after it."""
    folder = tmp_path_factory.mktemp("keys")
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    (folder / "private.pem").write_bytes(key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()))
    (folder / "public.pem").write_bytes(key.public_key().public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo))
    with Process("salesforce", "--client-id", "CID", "--username", "gw@example.com", "--public-key",
                 folder / "public.pem", "--processing-ms", 60) as salesforce:
        run = subprocess.run([node, os.path.join(HERE, "jsforce_rest.mjs"), salesforce.url, "CID", "gw@example.com",
                              folder / "private.pem"], text=True, capture_output=True, timeout=120)
        assert run.returncode == 0, run.stderr
        return {**json.loads(run.stdout), "books": salesforce.books()}


def codes(results):
    return [None if one["success"] else one["errors"][0]["statusCode"] for one in results]


def test_a_jwt_logs_in_and_its_faults_have_their_names(seen):
    assert seen["user"]["organizationId"] == "00D5g00000Org01EAB"
    for name, text in (("expired", "expired authorization code"), ("audience", "audience is invalid"),
                       ("notApproved", "user hasn't approved this consumer")):
        assert (seen[name]["name"], seen[name]["message"]) == ("invalid_grant", text)
    assert seen["loggedOut"] == 401 and seen["books"]["sessions"]["revoked"] == 1


def test_a_refresh_token_renews_by_itself_and_a_revoked_one_says_so(seen):
    assert seen["renewed"] == 1 and seen["afterRenewal"] == 100_000
    assert seen["revokedRefresh"]["message"].endswith("expired access/refresh token")
    assert seen["books"]["sessions"]["by_grant"]["refresh_token"] == 1


def test_collections_create_update_read_and_delete(seen):
    assert codes(seen["created"]) == [None, "REQUIRED_FIELD_MISSING", None]
    assert codes(seen["updated"]) == [None, "INVALID_CROSS_REFERENCE_KEY"]
    assert codes(seen["upserted"]) == [None, None]
    assert [one["created"] for one in seen["upserted"]] == [False, True]
    first, none, third = seen["read"]
    assert (first["Name"], first["Phone"], none, third["Name"]) == ("A2", "5", None, "C")
    assert codes(seen["destroyed"]) == [None, "ENTITY_IS_DELETED"]


def test_all_or_none_undoes_the_good_row(seen):
    assert codes(seen["whole"]["done"]) == ["ALL_OR_NONE_OPERATION_ROLLED_BACK", "INVALID_CROSS_REFERENCE_KEY"]


def test_a_long_collection_goes_in_calls_of_200(seen):
    assert seen["many"] == 450
    calls = [one["rows"] for one in seen["books"]["collections"]["each"] if one["operation"] == "upsert"]
    assert calls[-3:] == [200, 200, 50]


def test_duplicates_are_named(seen):
    assert codes(seen["duplicate"]) == ["DUPLICATES_DETECTED", None]
    matches = seen["duplicate"][0]["errors"][0]["duplicateResut"]["matchResults"][0]["matchRecords"]
    assert matches[0]["record"]["Id"].startswith("003")
    assert seen["duplicateAlone"]["name"] == "DUPLICATES_DETECTED"


def test_single_records_come_change_and_go(seen):
    assert seen["single"]["Name"] == "single" and seen["singleUpdated"]["success"]
    assert seen["singleUpserted"]["success"] and seen["singleUpserted"]["created"] is False
    assert seen["singleGone"]["success"] and seen["notThere"]["name"] == "NOT_FOUND"
    assert seen["describe"]["externalId"] and seen["describe"]["unique"]


def test_queries_are_read_to_their_end(seen):
    assert seen["pages"] == 3 and (seen["queried"]["total"], seen["queried"]["got"]) == (450, 450)
    assert seen["queried"]["first"]["Ext__c"] == "m-0" and seen["count"] == 450
    assert [one["Name"] for one in seen["found"]] == ["D", "A2"]
    assert seen["badQuery"]["name"] == "INVALID_FIELD"
    assert seen["limits"]["Max"] == 100_000 > seen["limits"]["Remaining"]


def test_a_composite_is_one_call(seen):
    assert seen["composite"] == [201, 201]


def test_bulk_inserts_updates_queries_and_deletes(seen):
    inserted = seen["bulkInserted"]
    assert [one["Sku__c"] for one in inserted["successfulResults"]] == ["s-1"]
    assert inserted["failedResults"][0]["sf__Error"].startswith("REQUIRED_FIELD_MISSING:")
    product = inserted["successfulResults"][0]["sf__Id"]
    assert seen["bulkUpdated"]["successfulResults"][0]["sf__Id"] == product
    assert seen["bulkQueried"] == [{"Id": product, "Name": "P2", "Sku__c": "s-1"}]
    assert "COUNT()" in seen["bulkQueryRefused"]["message"]
    assert seen["bulkDeleted"]["successfulResults"][0]["sf__Id"] == product
    assert seen["hardDelete"]["name"] == "FEATURENOTENABLED"
    assert seen["books"]["query_jobs"][0]["state"] == "JobComplete"
