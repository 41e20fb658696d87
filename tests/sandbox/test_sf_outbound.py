"""Outbound Messages and Flow callouts of the Salesforce stand-in, seen by their receiver."""

import base64
import hashlib
import hmac
import http.server
import json
import threading
import time
import xml.etree.ElementTree

import pytest

from sandbox.sf_client import DATA, record

OUT = "{http://soap.sforce.com/2005/09/outbound}"
SF = "{urn:sobject.enterprise.soap.sforce.com}"
ACK = ('<?xml version="1.0" encoding="UTF-8"?><soapenv:Envelope xmlns:soapenv="http://schemas.xmlsoap.org/soap/envelope/">'
       '<soapenv:Body><notificationsResponse xmlns="http://soap.sforce.com/2005/09/outbound"><Ack>true</Ack>'
       '</notificationsResponse></soapenv:Body></soapenv:Envelope>')
XML = "text/xml; charset=utf-8"


class Receiver(http.server.ThreadingHTTPServer):
    """Keeps what came; answers what `answers` says, in turn, and the last of it for ever."""

    daemon_threads = True

    def __init__(self):
        super().__init__(("127.0.0.1", 0), Handler)
        self.answers = [(200, XML, ACK)]
        self.came = []
        self.url = f"http://127.0.0.1:{self.server_port}/outbound/secret"
        threading.Thread(target=self.serve_forever, args=(0.01,), daemon=True).start()


class Handler(http.server.BaseHTTPRequestHandler):
    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        answers = self.server.answers
        status, kind, text = answers.pop(0) if len(answers) > 1 else answers[0]
        self.server.came.append((dict(self.headers), body))
        if status == 0:
            self.close_connection = True
            return
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(text.encode())))
        self.end_headers()
        self.wfile.write(text.encode())

    def log_message(self, *unused):
        pass


@pytest.fixture
def receiver():
    running = Receiver()
    yield running
    running.shutdown()
    running.server_close()


def seeded(org, count):
    seeds = [{"object": "Opportunity", "fields": {
        "Name": f"O{n} & <b>", "StageName": "Closed Won", "CloseDate": "2026-11-20", "Amount": "45000",
        "Order_Updated_At__c": "2026-11-20T10:15:00Z"}} for n in range(count)]
    return org.process.call("POST", "records", seeds)["ids"]


def message(org, receiver, **more):
    return org.process.call("POST", "outbound", {
        "url": receiver.url, "object": "Opportunity", "first_ms": 10,
        "fields": ["Amount", "Name", "StageName", "IsWon", "Order_Updated_At__c", "Description"], **more})


def outbound(org):
    return org.process.call("GET", "outbound")


def wait(org, condition):
    end = time.monotonic() + 20
    while not condition(seen := outbound(org)):
        assert time.monotonic() < end, seen
        time.sleep(0.01)
    return seen


def settled(seen):
    return seen["notifications"] and all(one["state"] != "waiting" for one in seen["notifications"])


def parts(body):
    """(notifications element, [(notification id, sObject element)])"""
    root = xml.etree.ElementTree.fromstring(body)
    top = root[0][0]
    return top, [(one.find(OUT + "Id").text, one.find(OUT + "sObject")) for one in top.findall(OUT + "Notification")]


# ---- outbound messages ----

def test_a_message_has_the_documented_form(org, receiver):
    opportunity, = seeded(org, 1)
    said = message(org, receiver)
    wait(org, settled)
    headers, body = receiver.came[0]
    assert headers["Content-Type"] == XML and headers["SOAPAction"] == '""'
    top, notifications = parts(body)
    assert top.tag == OUT + "notifications" and top.find(OUT + "OrganizationId").text == "00D5g00000Org01EAB"
    assert top.find(OUT + "ActionId").text == said["action"] and said["action"].startswith("04k")
    assert b'<SessionId xsi:nil="true"/>' in body
    (number, sobject), = notifications
    assert [number] == said["notifications"] and number.startswith("04l") and len(number) == 18
    assert sobject.attrib["{http://www.w3.org/2001/XMLSchema-instance}type"] == "sf:Opportunity"
    assert {one.tag: one.text for one in sobject} == {
        SF + "Id": opportunity, SF + "Amount": "45000.0", SF + "Name": "O0 & <b>", SF + "StageName": "Closed Won",
        SF + "IsWon": "true", SF + "Order_Updated_At__c": "2026-11-20T10:15:00.000Z"}  # Description is null


def test_a_message_has_a_hundred_notifications_and_one_ack_is_for_all(org, receiver):
    seeded(org, 250)
    numbers = message(org, receiver)["notifications"]
    seen = wait(org, settled)
    assert [len(one["notifications"]) for one in seen["posts"]] == [100, 100, 50]
    assert [number for _, body in receiver.came for number, _ in parts(body)[1]] == numbers
    assert {one["state"] for one in seen["notifications"]} == {"acked"}


@pytest.mark.parametrize("answer, why", [
    ((500, XML, ACK), "status 500"), ((200, "application/json", "{}"), "type application/json"),
    ((200, XML, ""), "no XML"), ((200, XML, ACK.replace("true", "false")), "Ack is false"),
    ((200, XML, " " + ACK), "no XML"), ((200, XML, ACK.replace("2005/09", "2006/09")), "no {"),
    ((202, XML, ACK), "status 202"), ((0, "", ""), "ServerDisconnectedError"),
    ((200, "application/json", ACK), "type application/json"),
])
def test_anything_but_the_exact_ack_is_sent_again(org, receiver, answer, why):
    receiver.answers.insert(0, answer)
    seeded(org, 2)
    message(org, receiver)
    seen = wait(org, settled)
    assert len(seen["posts"]) == 2 and seen["posts"][0]["verdict"].startswith(why)
    assert seen["posts"][1]["verdict"] == "ack" and {one["tries"] for one in seen["notifications"]} == {2}
    assert receiver.came[0][1] == receiver.came[1][1]


def test_the_waits_grow_to_two_hours_and_end_after_a_day(org, receiver):
    receiver.answers = [(503, "text/plain", "")]
    seeded(org, 1)
    message(org, receiver, first_ms=1_800_000)
    tries = 1
    wait(org, lambda seen: len(seen["posts"]) == 1)
    for after_s in (1800, 3600, 7200, 7200, 7200):
        org.process.call("POST", "clock", {"advance_s": after_s - 60})
        assert len(outbound(org)["posts"]) == tries
        org.process.call("POST", "clock", {"advance_s": 61})
        tries += 1
        wait(org, lambda seen: len(seen["posts"]) == tries)
    org.process.call("POST", "clock", {"advance_s": 86400})
    assert wait(org, settled)["notifications"][0]["state"] == "dropped"


def test_notifications_may_come_again_and_out_of_order(org, receiver):
    seeded(org, 20)
    numbers = message(org, receiver, repeat=1, shuffle=True, seed=3, per_post=7)["notifications"]
    wait(org, settled)
    came = [number for _, body in receiver.came for number, _ in parts(body)[1]]
    assert came[:20] != numbers and sorted(came) == sorted(numbers * 2)


def test_a_lost_ack_is_a_repetition(org, receiver):
    seeded(org, 3)
    message(org, receiver, lose_acks=1)
    seen = wait(org, settled)
    assert [one["verdict"] for one in seen["posts"]] == ["lost", "ack"] and len(receiver.came) == 2


def test_what_is_sent_is_the_record_as_it_is_then(org, receiver):
    receiver.answers = [(503, "text/plain", "")]
    first, second = seeded(org, 2)
    message(org, receiver, first_ms=3_600_000)
    wait(org, lambda seen: len(seen["posts"]) == 1)
    org.call("PATCH", f"{DATA}/sobjects/Opportunity/{first}", {"Name": "renamed"})
    org.process.call("POST", "remove", {"ids": [second]})
    receiver.answers = [(200, XML, ACK)]
    org.process.call("POST", "clock", {"advance_s": 3700})
    seen = wait(org, settled)
    (_, sobject), = parts(receiver.came[-1][1])[1]
    assert sobject.find(SF + "Name").text == "renamed"
    assert [one["state"] for one in seen["notifications"]] == ["acked", "gone"]


def test_a_watched_object_sends_what_is_written_and_fits(org, receiver):
    message(org, receiver, watch={"StageName": "^Closed"}, fields=["Name"], session_id=True)
    rows = [record("Opportunity", Ext__c=str(n), Name=f"O{n}", StageName=stage, CloseDate="2026-11-20")
            for n, stage in enumerate(("New", "Closed Won"))]
    org.collect("PATCH", "/Opportunity/Ext__c", rows)
    seen = wait(org, settled)
    assert len(seen["notifications"]) == 1 and org.token.encode() in receiver.came[0][1]
    org.collect("PATCH", "/Opportunity/Ext__c", [{**rows[0], "StageName": "Closed Lost"},
                                                 record("Opportunity", Ext__c="9")], whole=True)
    assert len(outbound(org)["notifications"]) == 1  # rolled back: nothing happened
    org.collect("PATCH", "/Opportunity/Ext__c", [{**rows[0], "StageName": "Closed Lost"}])
    wait(org, lambda seen: len(seen["notifications"]) == 2 and settled(seen))


def test_a_message_that_cannot_be_is_refused(org, receiver):
    for wrong in ({"object": "Nothing"}, {"fields": ["Nope"]}, {"ids": ["0065g00000Opp01AAB"]}, {"colour": 1}):
        with pytest.raises(RuntimeError):
            message(org, receiver, **wrong)


# ---- callouts ----

def test_a_callout_is_signed_json_and_its_answer_kept(org, receiver):
    receiver.answers = [(202, "application/json", '{"status":"processing"}')]
    made = seeded(org, 1)[0]
    callout, = org.process.call("POST", "callout", {
        "url": receiver.url, "object": "Opportunity", "fields": ["Amount", "Description"], "change": "CREATE",
        "headers": {"X-Api-Key": "k"}, "hmac": {"header": "X-Signature", "secret": "s"}})["callouts"]
    assert (callout["status"], callout["upset"], json.loads(callout["answer"])) == (202, False, {"status": "processing"})
    headers, body = receiver.came[0]
    sent = json.loads(body)
    assert (sent["id"], sent["changeType"], sent["object"]) == (made, "CREATE", "Opportunity")
    assert sent["fields"] == {"Amount": 45000.0, "Description": None} and sent["occurredAt"].endswith("Z")
    assert headers["X-Api-Key"] == "k" and headers["X-Signature"] == base64.b64encode(
        hmac.digest(b"s", body, hashlib.sha256)).decode()


@pytest.mark.parametrize("answer", [(200, "application/json", ""), (500, "application/json", "{}"), (0, "", "")])
def test_an_empty_answer_or_an_error_upsets_a_flow_and_is_not_retried(org, receiver, answer):
    receiver.answers = [answer]
    seeded(org, 2)
    callouts = org.process.call("POST", "callout", {"url": receiver.url, "object": "Opportunity",
                                                    "fields": ["Name"]})["callouts"]
    assert [one["upset"] for one in callouts] == [True, True] and len(receiver.came) == 2
    assert len({one["eventId"] for one in callouts}) == 2


def test_a_flow_that_watches_calls_on_every_change(org, receiver):
    receiver.answers = [(200, "application/json", "{}")]
    org.process.call("POST", "callout", {"url": receiver.url, "object": "Quote", "fields": ["Status"],
                                         "watch": {"Status": "Accepted"}})
    opportunity, = seeded(org, 1)
    quote = org.make("Quote", Name="Q", OpportunityId=opportunity)
    org.call("PATCH", f"{DATA}/sobjects/Quote/{quote}", {"Status": "Accepted"})
    seen = wait(org, lambda seen: [one.get("status") for one in seen["callouts"]] == [200])
    assert json.loads(seen["callouts"][0]["sent"])["changeType"] == "UPDATE"


def test_a_transaction_has_a_hundred_callouts(org, receiver):
    seeded(org, 101)
    with pytest.raises(RuntimeError, match="Too many callouts: 101"):
        org.process.call("POST", "callout", {"url": receiver.url, "object": "Opportunity", "fields": ["Name"]})
    assert receiver.came == []
