"""`sluice check --online`: each endpoint is asked whether it would work, before the first order finds out."""

import subprocess

import pytest

from flow.harness import demo_config, free_port, merge, route, sluice

pytestmark = pytest.mark.plain  # each probe has its unit tests


@pytest.fixture
def check(make_gateway, crm):
    """check(endpoint, to): what the command says of the CRM, no gateway being started."""

    def run(endpoint=None, to=None, key=None):
        config = demo_config("http://127.0.0.1:1", crm=crm.url)
        merge(config["endpoints"]["crm"], endpoint or {})
        merge(route(config, "order-to-crm")["to"], to or {})
        gateway = make_gateway(config, {"DEMO_CRM_KEY": key or crm.private_key}, start=False)
        done = gateway.cli("check", "--online", ok=False)
        found = {one["endpoint"]: one for one in done.json["online"]}
        assert done.json["ok"] == (done.code == 0)
        return Result(done.code, found, gateway)

    return run


class Result:
    def __init__(self, code, found, gateway):
        self.code, self.found, self.gateway = code, found, gateway
        self.findings = found["crm"]["findings"]

    def texts(self, level):
        return [one["text"] for one in self.findings if one["level"] == level]

    def error(self):
        text, = self.texts("error")
        return text


def oauth(crm, **change):
    crm.call("POST", "oauth", change)


def schema(crm, **fields):
    crm.call("POST", "schema", {"Opportunity": {"fields": fields}})


# ---- what is right ----


def test_a_set_up_that_works_is_shown_step_by_step(check, crm):
    result = check()
    assert result.code == 0 and result.texts("error") == []
    good = result.texts("good")
    assert any(text.startswith("logged in as integration@example.com at http://127.0.0.1") for text in good)
    assert "api_version 66.0 (the newest there is 68.0)" in good
    assert any(text.endswith("of 100000 API requests in 24 hours are left") for text in good)
    about = [one for one in result.findings if one.get("route") == "order-to-crm"]
    assert {one["action"] for one in about} == {"upsert"}
    texts = [one["text"] for one in about]
    assert "external_id: Opportunity.Shopify_Order_Id__c is an External ID, unique and writable" in texts
    assert "a new Opportunity needs CloseDate, Name, StageName: the route's map must set it" in texts
    # A shop that is only heard has nothing to be asked for.
    assert result.found["acme-shop"]["findings"] == [
        {"level": "good", "text": "no credentials of the Admin API: it takes webhooks, and asks the shop nothing"}]


def test_nothing_is_written_and_no_store_is_made(check, crm):
    result = check()
    books = crm.books()
    assert books["jobs"] == [] and books["records"] == {} and books["rows"]["rows"] == 0
    assert set(books["requests"]["by_step"]) <= {"token", "other", "rest", "limits", "describe"}
    assert not (result.gateway.folder / "state").exists()


def test_the_table_is_for_people_and_the_exit_code_for_scripts(check, crm):
    gateway = check().gateway
    done = sluice("check", "--online", "-c", gateway.file, env=gateway.env)
    assert done.code == 0
    lines = done.out.splitlines()
    assert lines[0].endswith("good, 3 endpoints, 2 routes") and lines[1].split() == ["ENDPOINT", "ROUTE", "RESULT",
                                                                                  "WHAT"]
    assert any(line.split()[:3] == ["crm", "order-to-crm", "good"] for line in lines)
    assert any(line.startswith("byron") and line.endswith("its adapter cannot be asked") for line in lines)
    oauth(crm, wrong="client_id")
    done = sluice("check", "--online", "-c", gateway.file, env=gateway.env)
    assert done.code == 1 and "ERROR" in done.out
    assert sluice("check", "-c", gateway.file, env=gateway.env).code == 0  # the file itself is still good


def test_it_needs_the_secrets(check):
    gateway = check().gateway
    done = sluice("check", "--online", "--no-secrets", "-c", gateway.file)
    assert done.code == 2 and "--online needs the secrets" in done.err


# ---- the login ----


@pytest.mark.parametrize("wrong, said", [
    ("not_approved", "user hasn't approved this consumer; check: pre-authorise auth.username for the app (permission "
                     "set or profile); the username is integration@example.com"),
    ("not_admin_approved", "check: give the user the app's permission set or profile"),
    ("client_id", "client identifier invalid; check: auth.client_id is the app's consumer key"),
    ("audience", "audience is invalid; check: auth.audience"),
    ("audience_old", "Audience validation failed; check: auth.audience"),
    ("expired", "expired authorization code; check: this machine's clock"),
    ("certificate", "invalid assertion; check: auth.key must belong to the certificate uploaded to the app; this key's "
                    "public half has SHA-256 "),
    ("flow_off", "grant type not supported; check: the app must have this flow enabled"),
    ("ip", "ip restricted; check: allow this machine's address"),
    ("inactive_user", "check: the user is frozen or inactive"),
    ("inactive_org", "check: the org is locked or expired"),
    ("busy", "rate_limit_exceeded"),
    ("bare", "invalid_grant: (no description); check: auth.username, auth.key, auth.audience"),
])
def test_each_refused_login_says_what_is_wrong_and_what_to_do(check, crm, wrong, said):
    oauth(crm, wrong=wrong)
    result = check()
    assert result.code == 1
    assert said in result.error()
    assert [one for one in result.findings if one.get("route")] == []  # its routes are not asked about


def test_the_fingerprint_is_that_of_the_key(check, crm, tmp_path):
    oauth(crm, wrong="certificate")
    (tmp_path / "key.pem").write_text(crm.private_key)
    der = subprocess.run(["openssl", "pkey", "-in", tmp_path / "key.pem", "-pubout", "-outform", "der"],
                         capture_output=True, check=True).stdout
    digest = subprocess.run(["sha256sum"], input=der, capture_output=True, check=True).stdout.split()[0].decode()
    assert f"SHA-256 {digest};" in check().error()


def new_key(folder, *more):
    subprocess.run(["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-subj", "/CN=x", "-keyout",
                    folder / "other.pem", "-out", folder / "other.crt", *more], capture_output=True, check=True)
    return (folder / "other.pem").read_text(), (folder / "other.crt").read_text()


def test_a_key_that_the_app_does_not_know(check, tmp_path):
    key, _ = new_key(tmp_path)
    assert "invalid assertion; check: auth.key" in check(key=key).error()


def test_a_key_beside_anothers_certificate(check, crm, tmp_path):
    _, certificate = new_key(tmp_path)
    assert "the certificate that stands in it belongs to another key" in check(key=crm.private_key + certificate).error()


def test_a_key_that_is_none(check):
    assert "auth.key is not an RSA private key in PEM" in check(key="nonsense").error()


def test_a_sandbox_with_the_audience_of_production_and_the_other_way_round(check, crm):
    oauth(crm, wrong="audience")
    assert "this instance is no sandbox: set https://login.salesforce.com" in check(
        {"auth": {"audience": "https://test.salesforce.com"}}).error()


def test_another_consumer_key_and_another_user(check):
    assert "client identifier invalid" in check({"auth": {"client_id": "3MVG9.unknown"}}).error()
    assert "the username is nobody@example.com" in check({"auth": {"username": "nobody@example.com"}}).error()


@pytest.mark.parametrize("wrong, said", [
    ("secret", "invalid client credentials; check: auth.client_id and auth.client_secret"),
    ("no_run_as", "set a Run As user in the app's policies"),
    ("login_host", "client credentials work on the My Domain only"),
])
def test_client_credentials_that_are_refused(check, crm, wrong, said):
    oauth(crm, wrong=wrong)
    auth = {"auth": {"flow": "client_credentials", "client_secret": {"env": "DEMO_CRM_KEY"}, "key": None,
                     "username": None}}
    assert said in check(auth, key="sandbox-consumer-secret").error()


# ---- the address, the version, the rights ----


def test_nobody_is_there(check):
    assert "Salesforce" in check({"instance": f"http://127.0.0.1:{free_port()}"}).error()


def test_a_version_that_the_org_does_not_know(check):
    assert check({"api_version": "99.0"}).error() == ("api_version 99.0 is not one of this org's; the newest there is "
                                                      "68.0")


def test_an_org_without_the_api(check, crm):
    crm.fault(action="forbidden", at="limits")
    error = check().error()
    assert "API_DISABLED_FOR_ORG: API is not enabled" in error and "API Enabled" in error


def test_a_session_that_is_not_for_the_api_is_tried_twice_and_not_for_ever(check, crm):
    crm.fault(action="session_refused", at="limits")
    error = check().error()
    assert "not valid for use with the REST API; a new session fared no better: check the app's scopes" in error
    assert crm.books()["tokens"]["issued"] == 2


def test_calls_that_are_nearly_used_up_are_a_warning(check, crm):
    crm.call("POST", "limits", {"calls": {"max": 1000, "used": 950}})
    result = check()
    assert result.code == 0
    assert any("of 1000 API requests in 24 hours are left" in text for text in result.texts("warn"))


def test_calls_that_are_used_up_are_an_error(check, crm):
    crm.call("POST", "limits", {"calls": {"max": 1000, "used": 1000}})
    assert "TotalRequests Limit exceeded" in check().error()


# ---- the routes ----


def test_an_object_that_is_not_there(check):
    assert check(to={"object": "Oportunity"}).error() == (
        "there is no object Oportunity, or the integration user has no access to it")


@pytest.mark.parametrize("field, spec, level, said", [
    ("Missing__c", None, "error", "Opportunity has no field Missing__c, or the integration user has no access"),
    ("Plain__c", {"type": "string", "length": 255}, "error", "Opportunity.Plain__c is not an External ID: tick"),
    ("Loose__c", {"type": "string", "length": 255, "external_id": True}, "warn", "Opportunity.Loose__c is not Unique"),
    ("Locked__c", {"type": "string", "length": 255, "external_id": True, "unique": True, "read_only": True}, "error",
     "Opportunity.Locked__c cannot be written by the integration user"),
    ("Short__c", {"type": "string", "length": 12, "external_id": True, "unique": True}, "warn",
     "Opportunity.Short__c takes 12 characters only"),
])
def test_a_key_that_does_not_do(check, crm, field, spec, level, said):
    if spec:
        schema(crm, **{field: spec})
    result = check(to={"external_id": field})
    text, = result.texts(level)
    assert said in text and text.startswith("external_id: ")
    assert result.code == (1 if level == "error" else 0)


def test_an_answer_that_never_comes_is_waited_for_no_longer_than_the_endpoints_own_patience(check, crm):
    crm.fault(action="slow", at="describe", ms=60_000)
    result = check({"timeout": {"first_byte": "300ms", "total": "600ms"}})
    assert "did not answer in time" in result.error()


def test_contacts_that_are_matched_are_asked_about_by_the_key_that_the_endpoint_names(check, crm):
    action = {"action": "contact.upsert", "object": None, "external_id": None}
    result = check({"contacts": {"external_id": "Shopify_Customer_Id__c"}}, to=action)
    assert result.code == 0
    about = [one for one in result.findings if one.get("route") == "order-to-crm"]
    assert {one["action"] for one in about} == {"contact.upsert"}
    assert any(one["text"].startswith("external_id: Contact.Shopify_Customer_Id__c is an External ID") for one in about)
    wrong = check({"contacts": {"external_id": "Nowhere__c"}}, to=action)
    assert "Contact has no field Nowhere__c" in wrong.error()
