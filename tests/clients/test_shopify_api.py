"""The Shopify stand-in, proved by Shopify's own library: tokens, its GraphQL client with retries, webhook validation.
"""

import json
import os
import subprocess
import sys

import pytest

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.dirname(HERE))

from sandbox.client import Process  # noqa: E402

SECRET = "shpss_sandbox"


@pytest.fixture(scope="module")
def seen(node):
    """What the library saw, and the books after it."""
    with Process("shopify_admin", "--client-id", "CID", "--secret", SECRET, "--clock", 0.00001, "--connect-s", 30,
                 "--total-s", 60) as shop:
        run = subprocess.run([node, os.path.join(HERE, "shopify_api.mjs"), shop.url, "CID", SECRET], text=True,
                             capture_output=True, timeout=120)
        assert run.returncode == 0, run.stderr
        return {**json.loads(run.stdout), "books": shop.books()}


def test_client_credentials_make_a_session(seen):
    session = seen["credentials"]
    assert session["shop"] == "example.myshopify.com" and session["accessToken"].startswith("shpat_")
    assert "write_orders" in session["scope"].split(",") and not session.get("refreshToken") and session["expires"]
    refused = seen["wrongSecret"]
    assert refused["http"] and refused["code"] == 400 and "invalid_client" in json.dumps(refused["body"])


def test_refresh_tokens_rotate(seen):
    tokens = [seen["pair"]["refresh_token"], seen["refreshed"]["refreshToken"], seen["refreshedAgain"]["refreshToken"]]
    assert len(set(tokens)) == 3 and seen["refreshed"]["accessToken"] != seen["pair"]["access_token"]
    assert seen["retired"]["code"] == 400 and "invalid_grant" in json.dumps(seen["retired"]["body"])


def test_a_query_has_its_cost_and_the_version_that_was_served(seen):
    assert seen["shop"]["data"]["shop"]["myshopifyDomain"] == "example.myshopify.com"
    cost = seen["shop"]["cost"]
    assert cost["throttleStatus"]["maximumAvailable"] == 2000 and cost["throttleStatus"]["restoreRate"] == 100
    assert cost["requestedQueryCost"] >= cost["actualQueryCost"] and seen["shop"]["version"] == ["2026-10"]


def test_a_token_that_is_none_is_a_401_whose_errors_are_a_text(seen):
    for refused in (seen["noToken"], seen["expired"]):
        assert refused["http"] and refused["code"] == 401
    assert seen["renewed"]["shop"]["name"]


def test_a_document_that_does_not_fit_is_a_graphql_error(seen):
    refused = seen["badField"]
    assert refused["graphQL"] and "nickname" in json.dumps(refused["body"])


def test_the_library_repeats_what_is_limited_or_unavailable(seen):
    assert seen["retried"]["statuses"] == [429, 503, 200] and seen["retried"]["data"]["shop"]["name"]
    assert seen["limited"]["throttled"] and seen["limited"]["retryAfter"] == 1
    assert seen["locked"]["code"] == 423


def test_who_waits_as_a_throttled_answer_says_is_served(seen):
    *refused, served = seen["throttled"]
    assert refused and all(one["graphQL"] for one in refused) and "data" in served
    status = refused[0]["cost"]
    assert status["actualQueryCost"] is None and status["throttleStatus"]["currentlyAvailable"] < status["requestedQueryCost"]
    assert "THROTTLED" in json.dumps(refused[0]["errors"]) and len(refused) <= 3


def test_webhooks_are_valid_in_every_spelling_of_their_headers(seen):
    for name in ("webhooks", "lowerCase"):
        topics = {one["said"]["topic"] for one in seen[name]}
        assert {"ORDERS_CREATE", "ORDERS_PAID"} <= topics
        for one in seen[name]:
            said = one["said"]
            assert said["valid"] and said["webhookType"] == "webhooks" and said["domain"] == "example.myshopify.com"
            assert said["apiVersion"] == "2026-10" and said["name"] == said["topic"] and said["triggeredAt"]
        first = [one["said"] for one in seen[name] if one["said"]["topic"] in ("ORDERS_CREATE", "ORDERS_PAID")]
        assert len({one["eventId"] for one in first}) == 1 and len({one["webhookId"] for one in first}) == len(first)
    assert {one["said"]["webhookType"] for one in seen["events"]} == {"events"}
    assert all(one["said"]["valid"] and one["said"]["handle"] for one in seen["events"])


def test_a_secret_of_before_and_a_forged_body_are_told_apart(seen):
    assert seen["rotated"] and not any(one["said"]["valid"] for one in seen["rotated"])
    assert all(one["previous"] for one in seen["rotated"])
    assert seen["forged"] and not any(one["said"]["valid"] or one["previous"] for one in seen["forged"])
    assert {one["said"]["reason"] for one in seen["forged"]} == {"invalid_hmac"}


def test_a_fulfillment_services_call_is_valid(seen):
    good, bad = seen["notified"]
    assert good["path"] == "/in/nord/fulfillment_order_notification" and good["said"] == {"valid": True}
    assert json.loads(good["body"]) == {"kind": "FULFILLMENT_REQUEST"} and bad["said"]["reason"] == "invalid_hmac"


def test_the_books_agree(seen):
    books = seen["books"]
    assert books["crashes"] == [] and books["tokens"]["issued"]["refresh_token"] == 3
    assert books["tokens"]["refused"]["invalid_grant"] == books["tokens"]["refused"]["invalid_client"] == 1
    assert books["webhooks"]["final"]["delivered"] == sum(
        len(seen[name]) for name in ("webhooks", "lowerCase", "events", "rotated"))
    assert books["webhooks"]["by_status"]["401"] == len(seen["forged"])
