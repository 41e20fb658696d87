"""Salesforce as a source: Outbound Messages until they are acknowledged, callouts of flows; and who may not."""

import pytest

from flow.harness import http_endpoint, messages, stays, wait_until
from sandbox.client import request
from sandbox.sf_client import assertion, oauth

PATH_SECRET, CALLOUT_SECRET, TOKEN = "a-secret-in-the-path", "what callouts are signed with", "a token for flows"
ORG = "00D5g00000Org01EAB"


@pytest.fixture
def make(make_gateway, crm, desk):
    """A gateway that hands all that Salesforce sends to the desk."""

    def go(**receive):
        config = {
            "endpoints": {
                "crm": {"adapter": "salesforce", "instance": crm.url, "auth": {
                    "flow": "client_credentials", "client_id": "CID", "client_secret": {"env": "CRM_SECRET"}},
                    "receive": {"organization_id": ORG, "path_secret": {"env": "PATH_SECRET"},
                                "callout_secret": {"env": "CALLOUT_SECRET"}, "callout_token": {"env": "TOKEN"},
                                **receive}},
                "desk": http_endpoint(desk)},
            "routes": [
                {"name": "messages", "from": {"endpoint": "crm", "topic": "outbound/*"},
                 "to": {"endpoint": "desk", "action": "request.send"}},
                {"name": "callouts", "from": {"endpoint": "crm", "topic": "callout/*"},
                 "to": {"endpoint": "desk", "action": "request.send"}}]}
        return make_gateway(config, {"CRM_SECRET": "SEC", "PATH_SECRET": PATH_SECRET,
                                     "CALLOUT_SECRET": CALLOUT_SECRET, "TOKEN": TOKEN})

    return go


@pytest.fixture
def gateway(make):
    return make()


def seed(crm, count):
    seeds = [{"object": "Opportunity", "fields": {
        "Name": f"O{n} & <b>", "StageName": "Closed Won", "CloseDate": "2026-11-20", "Amount": "45000"}}
        for n in range(count)]
    return crm.call("POST", "records", seeds)["ids"]


def send(crm, gateway, **more):
    return crm.call("POST", "outbound", {
        "url": f"{gateway.url}/in/crm/outbound/{PATH_SECRET}", "object": "Opportunity", "first_ms": 20,
        "fields": ["Amount", "Name", "StageName", "SystemModstamp", "Description"], **more})


def acknowledged(crm):
    books = crm.call("GET", "outbound")
    done = books["notifications"] and all(one["state"] == "acked" for one in books["notifications"])
    return books if done else None


def call_out(crm, gateway, **more):
    return crm.call("POST", "callout", {"url": f"{gateway.url}/in/crm/callout", "object": "Opportunity",
                                        "fields": ["Name", "Amount"], **more})["callouts"]


# ---- Outbound Messages ----


def test_each_notification_is_an_event_once_however_often_it_is_sent(gateway, crm, desk):
    ids = seed(crm, 130)
    # a second acknowledged sending of each, and acks that got lost: shuffled, in posts of 40
    numbers = send(crm, gateway, per_post=40, repeat=1, lose_acks=2, shuffle=True, session_id=True)["notifications"]
    books = wait_until(lambda: acknowledged(crm), "all are acknowledged")
    assert {one["verdict"] for one in books["posts"]} == {"ack", "lost"}
    wait_until(lambda: len(messages(desk)) == 130 and gateway.settled())
    told = {one["notification_id"]: one for one in messages(desk)}
    assert told.keys() == set(numbers) and {one["record"]["Id"] for one in told.values()} == set(ids)
    one = told[numbers[0]]
    assert one["organization_id"] == ORG and one["object"] == "Opportunity"
    assert one["record"]["Name"] == "O0 & <b>" and one["record"]["Amount"] == "45000.0"
    assert "Description" not in one["record"]
    assert gateway.intake("duplicates") == sum(len(post["notifications"]) for post in books["posts"]) - 130
    assert {found["subject"] for found in gateway.deliveries()} == {f"salesforce:Opportunity/{one}" for one in ids}


def test_no_credential_of_a_message_is_kept_anywhere(gateway, crm, desk):
    seed(crm, 1)
    crm.call("POST", "callout", {"url": f"{gateway.url}/in/crm/callout", "object": "Opportunity", "fields": ["Name"],
                                 "headers": {"Authorization": f"Bearer {TOKEN}"}})
    status, said = oauth(crm, assertion(crm.private_key, iss="3MVG9sandbox-consumer-key",
                                        sub="integration@example.com"))
    assert status == 200, said
    session = said["access_token"]
    send(crm, gateway, session_id=True)
    wait_until(lambda: acknowledged(crm) and len(messages(desk)) == 2)
    request(gateway.url, "POST", f"/in/crm/outbound/{PATH_SECRET}", b"<no/>", {})  # refused, and logged
    gateway.stop()
    for file in gateway.folder.rglob("*"):
        if file.is_file() and file.suffix != ".sock":
            kept = file.read_bytes()
            for secret in (session, PATH_SECRET, TOKEN, CALLOUT_SECRET):
                assert secret.encode() not in kept, f"{secret} is in {file}"


@pytest.mark.plain  # it is about time and pace
def test_a_message_survives_a_kill_between_its_commit_and_its_ack(gateway, crm, desk):
    seed(crm, 200)
    crm.call("POST", "outbound", {
        "url": f"{gateway.url}/in/crm/outbound/{PATH_SECRET}", "object": "Opportunity", "first_ms": 20, "per_post": 25,
        "fields": ["Name"], "timeout_ms": 2000})
    for _ in range(4):
        wait_until(lambda: gateway.ready() and gateway.intake("received") > 0 or acknowledged(crm))
        gateway.kill9()
        gateway.start()
    numbers = {one["id"] for one in wait_until(lambda: acknowledged(crm))["notifications"]}
    wait_until(lambda: gateway.settled(200))
    assert gateway.status()["summary"]["events"] == 200
    assert {one["notification_id"] for one in messages(desk)} == numbers and len(numbers) == 200


@pytest.mark.parametrize("path, body, status, said", [
    ("/outbound/" + PATH_SECRET, "<a/>", 400, "it is no SOAP 1.1 envelope"),
    ("/outbound/" + PATH_SECRET, "<!DOCTYPE a><a/>", 400, "a DOCTYPE is not taken"),
    ("/outbound/a-secret-in-the-patH", "<a/>", 404, "no such path"),
    ("/outbound/", "<a/>", 404, "no such path"),
    ("/callout", "{}", 401, "signature does not match"),
    ("", "{}", 404, "no such path"),
])
def test_what_is_none_is_refused_with_the_reason(gateway, path, body, status, said):
    found, _, text = request(gateway.url, "POST", "/in/crm" + path, body.encode(), {})
    assert found == status and said in text.decode()
    assert gateway.intake("received") == 0 and b"Ack" not in text


def test_another_org_is_not_acknowledged(make, crm, desk):
    gateway = make(organization_id="00D000000000062EAA")
    seed(crm, 1)
    send(crm, gateway)
    wait_until(lambda: len(crm.call("GET", "outbound")["posts"]) >= 2)
    assert {one["verdict"] for one in crm.call("GET", "outbound")["posts"]} == {"status 400"}
    assert gateway.intake("received") == 0 and not messages(desk)
    told = [line for line in gateway.log().splitlines() if "a webhook is refused and not kept" in line]
    assert len(told) == 1 and "not from the configured 00D000000000062EAA" in told[0]  # once a minute, not each time


# ---- callouts ----


@pytest.mark.parametrize("proof", [
    {"hmac": {"header": "X-Signature-SHA256", "secret": CALLOUT_SECRET}},
    {"hmac": {"header": "x-signature-sha256", "secret": CALLOUT_SECRET, "encoding": "hex"}},
    {"headers": {"Authorization": f"Bearer {TOKEN}"}},
], ids=["base64", "hexadecimal", "token"])
def test_a_callout_is_an_event_and_does_not_upset_its_flow(gateway, crm, desk, proof):
    ids = seed(crm, 3)
    made = call_out(crm, gateway, change="CREATE", **proof)
    assert [(one["status"], one["answer"], one["upset"]) for one in made] == [(200, "{}", False)] * 3
    wait_until(lambda: len(messages(desk)) == 3)
    assert {one["id"] for one in messages(desk)} == set(ids)
    assert {found["topic"] for found in gateway.get("/v1/events")} == {"callout/Opportunity/create"}
    # the same again: known by its eventId
    body = made[0]["sent"].encode()
    again = request(gateway.url, "POST", "/in/crm/callout", body, {"Authorization": f"Bearer {TOKEN}"})
    assert (again[0], again[2]) == (200, b"{}") and gateway.intake("duplicates") == 1
    assert stays(lambda: len(messages(desk)) == 3, 0.3)


@pytest.mark.parametrize("proof", [
    {}, {"hmac": {"header": "X-Signature-SHA256", "secret": "another"}},
    {"headers": {"Authorization": "Bearer a token for flowS"}},
])
def test_a_callout_without_the_right_proof_is_a_401(gateway, crm, desk, proof):
    seed(crm, 1)
    assert [one["status"] for one in call_out(crm, gateway, **proof)] == [401]
    assert gateway.intake("bad_signature") == 1 and gateway.intake("received") == 0
