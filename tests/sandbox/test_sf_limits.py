"""Limits of the Salesforce stand-in: calls of a rolling day, long requests at once, what the answers tell."""

import socket
import threading
import time

from sandbox.sf_client import DATA, JOBS

TOTAL = (403, [{"message": "TotalRequests Limit exceeded.", "errorCode": "REQUEST_LIMIT_EXCEEDED"}])
CONCURRENT = (403, [{"message": "ConcurrentPerOrgLongTxn Limit exceeded.",
                     "errorCode": "REQUEST_LIMIT_EXCEEDED"}])
LIMITS = DATA + "/limits"


def set_limits(org, **wanted):
    return org.process.call("POST", "limits", wanted)


def advance(org, seconds):
    org.process.call("POST", "clock", {"advance_s": seconds})
    org.login()


def test_the_day_rolls(org):
    set_limits(org, calls={"max": 3})
    assert org.call("GET", LIMITS)[1]["DailyApiRequests"] == {"Max": 3, "Remaining": 2}
    advance(org, 80_000)
    org.call("GET", LIMITS)
    assert org.call("GET", LIMITS)[1]["DailyApiRequests"]["Remaining"] == 0
    assert org.call("GET", LIMITS) == TOTAL and org.headers["Sforce-Limit-Info"] == "api-usage=3/3"
    advance(org, 6_500)  # the first call is 24 hours ago now, the others are not
    assert org.call("GET", LIMITS)[1]["DailyApiRequests"]["Remaining"] == 0
    assert org.call("GET", LIMITS) == TOTAL
    advance(org, 86_500)
    assert org.call("GET", LIMITS)[0] == 200
    assert org.process.books()["limits"]["refused"] == {"total": 2, "concurrent": 0}


def test_what_was_used_before_may_be_said(org):
    set_limits(org, calls={"max": 100_000, "used": 99_999})
    assert org.call("GET", LIMITS)[0] == 200
    assert org.call("GET", LIMITS) == TOTAL
    assert org.process.books()["api_usage"] == 100_000


def test_logins_and_refused_calls_are_not_counted(org):
    org.login()
    org.process.call("POST", "expire")
    assert org.call("GET", LIMITS)[0] == 401
    assert org.process.books()["api_usage"] == 0
    org.login()
    assert org.call("GET", DATA + "/sobjects/Nothing/1")[0] == 404
    assert org.process.books()["api_usage"] == 1


def test_an_app_may_have_a_quota_of_its_own_in_the_header(org):
    set_limits(org, app="sample-connected-app")
    org.call("GET", LIMITS)
    assert org.headers["Sforce-Limit-Info"] == ("api-usage=1/100000; "
                                                "per-app-api-usage=1/250(appName=sample-connected-app)")


def test_answers_about_jobs_may_lack_the_header(org):
    for setting, on_jobs, on_rest in (("rest", False, True), ("none", False, False), ("all", True, True)):
        org.process.call("POST", "org", {"limit_info": setting})
        org.call("GET", JOBS)
        assert ("Sforce-Limit-Info" in org.headers) == on_jobs
        org.call("GET", LIMITS)
        assert ("Sforce-Limit-Info" in org.headers) == on_rest


def test_long_requests_fill_the_org_and_their_end_frees_it(org):
    set_limits(org, long_ms=30, long_at_once=1)
    org.process.fault(action="slow", at="describe", ms=60_000)
    slow = threading.Thread(target=org.raw, args=("GET", DATA + "/sobjects/Account/describe"))
    slow.start()
    end = time.monotonic() + 30
    while org.raw("GET", LIMITS)[0] == 200:
        assert time.monotonic() < end
    assert org.call("GET", LIMITS) == CONCURRENT
    org.process.clear_faults()  # the slow answer goes out
    slow.join()
    assert org.call("GET", LIMITS)[0] == 200
    assert org.process.books()["limits"]["refused"]["concurrent"] >= 1


def test_an_upload_that_trickles_in_holds_a_place_until_its_line_is_gone(org):
    set_limits(org, long_ms=30, long_at_once=1)
    with socket.create_connection(("127.0.0.1", org.process.port)) as line:
        line.sendall(f"PUT {JOBS}/x/batches HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {org.token}\r\n"
                     "Content-Type: text/csv\r\nContent-Length: 500\r\n\r\nExt__c".encode())
        end = time.monotonic() + 30
        while org.call("GET", LIMITS) != CONCURRENT:
            assert time.monotonic() < end
    while org.call("GET", LIMITS) == CONCURRENT:
        assert time.monotonic() < end


def test_a_limit_that_is_none_cannot_be_set(org):
    for wrong in ({"coffee": 1}, {"calls": {"most": 1}}, {"calls": 5}):
        try:
            set_limits(org, **wrong)
        except RuntimeError as refused:
            assert "400" in str(refused)
        else:
            raise AssertionError(wrong)


def test_callers_may_say_who_they_are(org):
    org.call("GET", LIMITS, **{"Sforce-Call-Options": "client=sluice"})
    org.call("GET", LIMITS)
    assert org.process.books()["clients"] == {"client=sluice": 1, "": 1}
