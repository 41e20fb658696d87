"""Logins to the Salesforce stand-in that go wrong, and sessions that end."""

import time

import pytest

from sandbox.sf_client import CLIENT, DATA, Org, assertion, oauth

GONE = (401, [{"message": "Session expired or invalid", "errorCode": "INVALID_SESSION_ID"}])


@pytest.mark.parametrize("wrong, grant, error, text", [
    ("not_approved", "jwt", "invalid_grant", "user hasn't approved this consumer"),
    ("not_admin_approved", "jwt", "invalid_app_access", "user is not admin approved to access this app"),
    ("certificate", "jwt", "invalid_grant", "invalid assertion"),
    ("audience", "jwt", "invalid_grant", "audience is invalid"),
    ("audience_old", "jwt", "invalid_grant", "Audience validation failed"),
    ("expired", "jwt", "invalid_grant", "expired authorization code"),
    ("ip", "jwt", "invalid_grant", "ip restricted"),
    ("client_id", "jwt", "invalid_client_id", "client identifier invalid"),
    ("inactive_user", "jwt", "inactive_user", "user is inactive"),
    ("no_run_as", "client", "invalid_grant", "no client credentials user enabled"),
    ("login_host", "client", "invalid_grant", "request not supported on this domain"),
    ("secret", "client", "invalid_client", "invalid client credentials"),
    ("flow_off", "client", "unsupported_grant_type", "grant type not supported"),
])
def test_an_org_that_is_set_up_wrong_says_so_until_it_is_mended(org, key, wrong, grant, error, text):
    form = assertion(key) if grant == "jwt" else CLIENT
    org.process.call("POST", "oauth", {"wrong": wrong})
    assert oauth(org.process, form) == (400, {"error": error, "error_description": text})
    assert org.process.books()["sessions"]["refusals"] == {text: 1}
    org.process.call("POST", "oauth", {"wrong": None})
    assert oauth(org.process, form)[0] == 200


def test_a_wrong_of_one_flow_leaves_the_other_alone(org, key):
    org.process.call("POST", "oauth", {"wrong": "no_run_as"})
    assert oauth(org.process, assertion(key))[0] == 200
    assert oauth(org.process, CLIENT)[0] == 400


def test_a_refusal_may_have_no_description(org, key):
    org.process.call("POST", "oauth", {"wrong": "bare"})
    assert oauth(org.process, assertion(key)) == (400, {"error": "invalid_grant"})


def test_what_cannot_be_wrong_is_no_setting(org):
    with pytest.raises(RuntimeError, match="unknown wrong"):
        org.process.call("POST", "oauth", {"wrong": "weather"})


def test_tokens_are_counted_by_the_flow_that_gave_them(org, key):
    oauth(org.process, assertion(key))
    oauth(org.process, {**CLIENT, "client_secret": "x"})
    books = org.process.books()
    assert books["tokens"] == {"issued": 2, "refused": 1}
    assert books["sessions"]["by_grant"] == {"client_credentials": 1, "jwt": 1}
    assert books["sessions"]["alive"] == 2


def test_one_session_ends_and_another_goes_on(org):
    other = Org(org.process)
    org.process.call("POST", "expire", {"token": org.token})
    assert org.call("GET", DATA + "/limits") == GONE
    assert other.call("GET", DATA + "/limits")[0] == 200


def test_a_session_lives_while_it_is_used(org):
    for _ in range(3):
        org.process.call("POST", "clock", {"advance_s": 7000})
        assert org.call("GET", DATA + "/limits")[0] == 200
    org.process.call("POST", "clock", {"advance_s": 7201})
    assert org.call("GET", DATA + "/limits") == GONE


def test_the_clock_of_the_org_does_not_age_an_assertion(org, key):
    org.process.call("POST", "clock", {"advance_s": 86400})
    assert oauth(org.process, assertion(key))[0] == 200


def test_the_same_token_may_be_given_again(org):
    org.process.call("POST", "oauth", {"reuse": True})
    assert oauth(org.process, CLIENT)[1]["access_token"] == org.token
    org.process.call("POST", "expire")
    assert oauth(org.process, CLIENT)[1]["access_token"] != org.token


def test_a_revoked_token_is_gone(org):
    status, _, _ = org.raw("POST", "/services/oauth2/revoke", f"token={org.token}")
    assert status == 200 and org.call("GET", DATA + "/limits") == GONE
    status, _, body = org.raw("POST", "/services/oauth2/revoke", f"token={org.token}")
    assert status == 400 and b"invalid_token" in body
    assert org.process.books()["sessions"]["revoked"] == 1


def test_a_session_may_be_good_and_yet_refused_for_ever(org):
    org.process.fault(action="session_refused", at="create")
    for _ in range(2):
        status, body = org.call("POST", DATA + "/jobs/ingest", {"object": "Account", "operation": "insert"})
        assert status == 401 and body[0]["message"].startswith("This session is not valid for use with the REST")
        org.login()
    assert org.call("GET", DATA + "/limits")[0] == 200


def test_retired_and_unknown_versions_are_refused(org):
    assert org.call("GET", "/services/data/v30.0/limits")[0] == 410
    assert org.call("GET", "/services/data/v99.0/limits")[0] == 404
    assert org.call("GET", "/services/data/v67.0/limits")[0] == 200
    versions = [one["version"] for one in org.call("GET", "/services/data/")[1]]
    assert "66.0" in versions and "30.0" not in versions


def test_an_assertion_that_is_too_far_ahead_is_refused(org, key):
    assert oauth(org.process, assertion(key, exp=int(time.time()) + 900))[1]["error"] == "invalid_grant"


# ---- refresh tokens ----


def refresh(org, token, **more):
    return oauth(org.process, {"grant_type": "refresh_token", "client_id": CLIENT["client_id"], "refresh_token": token,
                               **more})


def test_a_refresh_token_gives_a_session_as_often_as_asked_and_no_other_refresh_token(org):
    token, = org.process.call("POST", "oauth", {"approve": 1})["approvals"]
    for secret in ({}, {"client_secret": CLIENT["client_secret"]}):
        status, granted = refresh(org, token, **secret)
        assert status == 200 and granted["issued_at"] and granted["signature"] and "refresh_token" not in granted
    assert org.process.books()["sessions"]["by_grant"]["refresh_token"] == 2


def test_the_sixth_login_revokes_the_oldest(org):
    oldest = org.process.call("POST", "oauth", {"approve": 1})["approvals"][0]
    newest = org.process.call("POST", "oauth", {"approve": 5})["approvals"]
    assert len(newest) == 5 and oldest not in newest
    assert refresh(org, oldest) == (400, {"error": "invalid_grant", "error_description": "expired access/refresh token"})
    assert refresh(org, newest[0])[0] == 200
    assert refresh(org, newest[0], client_secret="x")[1]["error"] == "invalid_client"
