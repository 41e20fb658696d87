"""The Salesforce stand-in against the documentation: OAuth, job states, CSV rules, row errors, REST."""

import base64
import hashlib
import hmac
import time
import urllib.parse

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import rsa

from sandbox import sf_schema
from sandbox.client import Process, request
from sandbox.sf_client import CLIENT, DATA, JOBS, JWT_BEARER, Org, assertion, oauth



@pytest.fixture
def process(crm):
    return crm


# ---- OAuth ----

def test_a_jwt_gives_a_token_and_no_more_than_the_documented_fields(process, key):
    status, answer = oauth(process, assertion(key))
    assert status == 200
    assert set(answer) == {"access_token", "scope", "instance_url", "id", "token_type"}
    assert answer["token_type"] == "Bearer" and answer["instance_url"] == process.url
    assert answer["access_token"].startswith("00D5g00000Org01!AQ")


@pytest.mark.parametrize("change", [{"exp": str(int(time.time()) + 280)}, {"aud": "login.salesforce.com"},
                                    {"aud": "https://test.salesforce.com"}, {"iat": int(time.time())}])
def test_what_other_libraries_send_is_taken(process, key, change):
    assert oauth(process, assertion(key, **change))[0] == 200


@pytest.mark.parametrize("change, error, text", [
    ({"iss": "other"}, "invalid_client_id", "client identifier invalid"),
    ({"sub": "nobody@example.com"}, "invalid_grant", "user hasn't approved this consumer"),
    ({"aud": "https://example.com"}, "invalid_grant", "audience is invalid"),
    ({"exp": int(time.time()) - 10}, "invalid_grant", "expired authorization code"),
    ({"exp": int(time.time() * 1000)}, "invalid_grant", "expired authorization code"),
    ({"exp": None}, "invalid_grant", "expired authorization code"),
])
def test_a_wrong_claim_is_refused_in_the_object_shape(process, key, change, error, text):
    assert oauth(process, assertion(key, **change)) == (400, {"error": error, "error_description": text})


def test_a_foreign_signature_is_refused(process):
    stranger = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    assert oauth(process, assertion(stranger)) == (400, {"error": "invalid_grant",
                                                         "error_description": "invalid assertion"})
    forged = jwt.encode({"iss": "CID"}, "secret", algorithm="HS256")
    assert oauth(process, {"grant_type": JWT_BEARER, "assertion": forged})[1]["error"] == "invalid_grant"
    assert oauth(process, {"grant_type": JWT_BEARER, "assertion": "a.b"})[1]["error"] == "invalid_grant"


def test_client_credentials_come_as_form_or_basic(process):
    status, answer = oauth(process, CLIENT)
    assert status == 200 and len(answer["issued_at"]) == 13
    mac = hmac.new(b"SEC", (answer["id"] + answer["issued_at"]).encode(), hashlib.sha256).digest()
    assert answer["signature"] == base64.b64encode(mac).decode()
    basic = base64.b64encode(b"CID:SEC").decode()
    assert oauth(process, {"grant_type": "client_credentials"}, Authorization=f"Basic {basic}")[0] == 200


def test_wrong_client_credentials_are_refused(process):
    assert oauth(process, {**CLIENT, "client_secret": "x"})[1]["error"] == "invalid_client"
    assert oauth(process, {**CLIENT, "client_id": "x"})[1]["error"] == "invalid_client_id"
    assert oauth(process, {"grant_type": "password"})[1] == {"error": "unsupported_grant_type",
                                                             "error_description": "grant type not supported"}


def test_a_session_ends_without_warning(org):
    assert org.call("GET", DATA + "/limits")[0] == 200
    org.process.call("POST", "expire")
    assert org.call("GET", DATA + "/limits") == (401, [{"message": "Session expired or invalid",
                                                         "errorCode": "INVALID_SESSION_ID"}])
    org.login()
    assert org.call("GET", DATA + "/limits/")[0] == 200


def test_a_token_has_its_life():
    with Process("salesforce", "--client-id", "CID", "--client-secret", "SEC", "--token-life", 0.1) as short:
        org = Org(short)
        time.sleep(0.15)
        assert org.call("GET", DATA + "/limits")[0] == 401


# ---- the worked example ----

EXAMPLE = '''Shopify_Customer_Id__c,LastName,Email,MailingStreet,Account.ERP_Account_No__c,Phone,Birthdate
gid-7001,"O'Hara, Ltd ""West""",w.ohara@example.test,"12 Quay St
Unit 4",ACC-1001,#N/A,1984-02-29
gid-7002,Nguyễn,b.nguyen@example.test,,ACC-1002,+49 30 5550100,
gid-7003,,no-last@example.test,,ACC-1001,,
gid-7004,Silva,p.silva@example.test,,ACC-9999,,
'''


def seed(org):
    accounts = [{"object": "Account", "key": "ERP_Account_No__c",
                 "fields": {"ERP_Account_No__c": f"ACC-100{n}", "Name": f"Account {n}"}} for n in (1, 2)]
    contact = {"object": "Contact", "key": "Shopify_Customer_Id__c",
               "fields": {"Shopify_Customer_Id__c": "gid-7002", "LastName": "Old", "Phone": "1",
                          "Title": "Dr"}}
    org.process.call("POST", "records", accounts + [contact])


def test_the_worked_example_of_the_documentation(org):
    seed(org)
    assert len(EXAMPLE.encode()) == 349
    status, job = org.call("POST", JOBS, {"object": "Contact", "operation": "upsert", "contentType": "CSV",
                                          "externalIdFieldName": "Shopify_Customer_Id__c",
                                          "columnDelimiter": "COMMA", "lineEnding": "LF"})
    assert status == 200 and list(job) == [
        "id", "operation", "object", "createdById", "createdDate", "systemModstamp", "state",
        "externalIdFieldName",
        "concurrencyMode", "contentType", "apiVersion", "contentUrl", "lineEnding", "columnDelimiter"]
    assert job["state"] == "Open" and job["apiVersion"] == 66.0 and job["createdDate"].endswith(".000+0000")
    assert job["contentUrl"] == f"services/data/v66.0/jobs/ingest/{job['id']}/batches"
    assert job["id"].startswith("750") and len(job["id"]) == 18
    assert org.upload(job["id"], EXAMPLE) == (201, "")
    assert org.headers["Content-Length"] == "0" and "Content-Type" not in org.headers
    status, closed = org.close(job["id"])
    assert status == 200 and list(closed) == [
        "id", "operation", "object", "createdById", "createdDate", "systemModstamp", "state",
        "externalIdFieldName",
        "concurrencyMode", "contentType", "apiVersion"]
    info = org.wait(job["id"])
    assert info["state"] == "JobComplete" and info["jobType"] == "V2Ingest" and "contentUrl" not in info
    assert (info["numberRecordsProcessed"], info["numberRecordsFailed"], info["retries"]) == (4, 2, 0)
    status, text = org.call("GET", f"{JOBS}/{job['id']}/successfulResults")
    assert org.headers["Content-Type"] == "text/csv"
    assert text.startswith('"sf__Id","sf__Created",Shopify_Customer_Id__c,LastName,Email,')
    assert '"true","gid-7001","O\'Hara, Ltd ""West""","w.ohara@example.test","12 Quay St\nUnit 4"' in text
    assert '"false","gid-7002","Nguyễn","b.nguyen@example.test","","ACC-1002"' in text
    assert org.errors(job["id"]) == {
        "gid-7003": "REQUIRED_FIELD_MISSING:Required fields are missing: [LastName]:LastName --",
        "gid-7004": "INVALID_FIELD:Foreign key external ID: ACC-9999 not found for field ERP_Account_No__c in "
                    "entity Account:--"}
    assert org.call("GET", f"{JOBS}/{job['id']}/unprocessedRecords")[1] == EXAMPLE.split("\n", 1)[0] + "\n"


def test_an_empty_cell_leaves_and_na_clears(org):
    seed(org)
    org.run("Shopify_Customer_Id__c,LastName,Phone,Title\ngid-7002,,#N/A,\n")
    kept = org.process.records("Contact")[0]
    assert kept["fields"]["LastName"] == "Old" and kept["fields"]["Title"] == "Dr"
    assert kept["fields"]["Phone"] is None and kept["versions"] == 2


# ---- states and transitions ----

def test_an_open_job_is_inert_and_shows_no_counters(org):
    job = org.create()
    org.upload(job, EXAMPLE)
    info = org.call("GET", f"{JOBS}/{job}/")[1]
    assert info["state"] == "Open" and "numberRecordsProcessed" not in info and info["contentUrl"]
    assert info["totalProcessingTime"] == 0 and "errorMessage" not in info
    assert org.process.records("Contact") == []


def test_a_job_passes_through_every_state(org):
    org.process.fault(action="slow_job", ms=60_000)
    job = org.create()
    org.upload(job, EXAMPLE)
    seen = [org.close(job)[1]["state"]]
    end = time.monotonic() + 60
    while seen[-1] != "JobComplete" and time.monotonic() < end:
        state = org.call("GET", f"{JOBS}/{job}")[1]["state"]
        if state != seen[-1]:
            seen.append(state)
        if state == "InProgress":
            org.process.clear_faults()  # it goes on
    assert seen == ["UploadComplete", "InProgress", "JobComplete"]


def test_a_second_put_is_refused(org):
    job = org.create()
    assert org.upload(job, EXAMPLE)[0] == 201
    status, body = org.upload(job, EXAMPLE)
    assert status == 400 and body[0]["message"].startswith(f"Found multiple contents for job: <{job}>")
    assert org.process.books()["jobs"][0]["puts_refused"] == 1


def test_a_chunked_put_is_taken(org):
    job = org.create("Account", "Ext__c")
    pieces = iter([b"Ext__c,Name\n", b"1,Ad", b"a\n"])
    status, _, _ = request(org.process.url, "PUT", f"{JOBS}/{job}/batches", pieces,
                           {"Authorization": f"Bearer {org.token}",
                            "Content-Type": "text/csv; charset=UTF-8"})
    assert status == 201
    org.close(job)
    assert org.wait(job)["numberRecordsProcessed"] == 1


def test_an_empty_upload_completes_with_nothing(org):
    job, info = org.run("")
    assert (info["state"], info["numberRecordsProcessed"]) == ("JobComplete", 0)
    assert org.results(job, "successfulResults") == []


@pytest.mark.parametrize("when", ["Open", "UploadComplete"])
def test_an_aborted_job_gives_its_rows_back_unprocessed(org, when):
    org.process.fault(action="slow_job", ms=60_000)
    job = org.create("Account", "Ext__c")
    org.upload(job, "Ext__c,Name\n1,a\n2,b\n")
    if when != "Open":
        org.close(job)
    status, info = org.call("PATCH", f"{JOBS}/{job}", {"state": "Aborted"})
    assert (status, info["state"]) == (200, "Aborted")
    assert {row["Ext__c"] for row in org.results(job, "unprocessedrecords")} == {"1", "2"}
    assert org.process.records("Account") == []
    assert org.call("PATCH", f"{JOBS}/{job}", {"state": "Aborted"})[0] == 400
    assert org.close(job)[0] == 400 and org.upload(job, "x")[0] == 400


def test_delete_is_for_jobs_that_do_not_run(org):
    job = org.create()
    status, body = org.call("DELETE", f"{JOBS}/{job}")
    assert status == 400 and body[0]["errorCode"] == "API_ERROR"
    org.call("PATCH", f"{JOBS}/{job}", {"state": "Aborted"})
    assert org.call("DELETE", f"{JOBS}/{job}") == (204, "")
    assert org.call("GET", f"{JOBS}/{job}") == (404, [{"message": "The requested resource does not exist",
                                                       "errorCode": "NOT_FOUND"}])


def test_jobs_are_listed(org):
    ids = {org.create(), org.create()}
    listed = org.call("GET", JOBS + "?jobType=V2Ingest")[1]
    assert listed["done"] is True and listed["nextRecordsUrl"] is None
    assert {one["id"] for one in listed["records"]} == ids
    assert org.call("GET", JOBS + "?jobType=Classic")[1]["records"] == []


def test_a_multipart_create_is_already_uploaded(org):
    body = ('--B\r\nContent-Type: application/json\r\nContent-Disposition: form-data; name="job"\r\n\r\n'
            '{"object":"Account","operation":"upsert","externalIdFieldName":"Ext__c"}\r\n--B\r\n'
            'Content-Type: text/csv\r\nContent-Disposition: form-data; name="content"; filename="content"\r\n\r\n'
            'Ext__c,Name\n1,"a\nb"\n\r\n--B--\r\n')
    status, job = org.call("POST", JOBS, body.encode(), "multipart/form-data; boundary=B")
    assert (status, job["state"]) == (200, "UploadComplete") and "contentUrl" not in job
    assert org.wait(job["id"])["numberRecordsFailed"] == 0
    assert org.process.records("Account")[0]["fields"]["Name"] == "a\nb"


@pytest.mark.parametrize("change", [{"object": "Nothing__c"}, {"operation": "merge"},
                                    {"externalIdFieldName": "Nope"},
                                    {"lineEnding": "CR"}, {"concurrencyMode": "Serial"},
                                    {"contentType": "XML"},
                                    {"externalIdFieldName": None}, {"externalIdFieldName": "Phone"}])
def test_a_job_that_cannot_be_is_refused_at_once(org, change):
    spec = {"object": "Account", "operation": "upsert", "externalIdFieldName": "Ext__c", **change}
    status, body = org.call("POST", JOBS, spec)
    assert status == 400 and set(body[0]) == {"message", "errorCode"}


# ---- CSV rules: the job ----

LINE_ENDING = "ClientInputError : LineEnding is invalid on user data. Current LineEnding setting is "


@pytest.mark.parametrize("text, more, message", [
    ("\ufeffExt__c,Name\n1,a\n", {}, "InvalidBatch : Field name not found : \ufeffExt__c"),
    ('\ufeff"Ext__c",Name\n1,a\n', {}, "InvalidBatch : Failed to parse CSV. Found unescaped quote"),
    ("Ext__c,Name\r\n1,a\r\n", {}, LINE_ENDING + "LF"),
    ('Ext__c,Name\n1,"a\r\nb"\n', {}, LINE_ENDING + "LF"),
    ("Ext__c,Name\n1,a\n", {"lineEnding": "CRLF"}, LINE_ENDING + "CRLF"),
    ("Ext__c,Foo__c,Bar__c\n1,a,b\n", {}, "InvalidBatch : Field name not found : Foo__c"),
    ("Name\na\n", {}, "InvalidBatch : Field name not found : Ext__c"),
    ("Ext__c,Name,Nobody.Ext__c\n1,a,b\n", {}, "InvalidBatch : Unable to find relationship: Nobody"),
    ("Ext__c,Name,Account:Parent.Ext__c\n1,a,b\n", {},
     "InvalidBatch : type is not needed for non polymorphic foreign key references: Parent"),
    ("Ext__c,Name,Parent.Phone\n1,a,b\n", {}, "InvalidBatch : Field name not found : Parent.Phone"),
])
def test_a_bad_file_fails_the_whole_job(org, text, more, message):
    job, info = org.run(text, "Account", "Ext__c", **more)
    assert (info["state"], info["errorMessage"]) == ("Failed", message)
    assert info["numberRecordsProcessed"] == 0 and org.process.records("Account") == []


@pytest.mark.parametrize("text, more", [
    ('EXT__C,name\n1,"a ""b"", c"\n', {}),
    ('Ext__c,Name\r\n1,"a ""b"", c"\r\n', {"lineEnding": "CRLF"}),
    ('Ext__c|Name\n1|"a ""b"", c"\n', {"columnDelimiter": "PIPE"}),
    ('Id,Ext__c,Name\n,1,"a ""b"", c"', {}),
    ('"Ext__c"\t"Name"\n"1"\t"a ""b"", c"\n', {"columnDelimiter": "TAB"}),
])
def test_legal_spellings_of_one_row(org, text, more):
    job, info = org.run(text, "Account", "Ext__c", **more)
    assert (info["state"], info["numberRecordsFailed"]) == ("JobComplete", 0), org.results(job,
                                                                                           "failedResults")
    assert org.process.records("Account")[0]["fields"]["Name"] == 'a "b", c'


def test_values_are_not_trimmed_and_a_blank_before_a_quote_costs_the_row(org):
    job, info = org.run('Ext__c,Name\n1, Smith \n2, "Smith"\n3,Last\n', "Account", "Ext__c")
    assert (info["state"], info["numberRecordsFailed"]) == ("JobComplete", 1)
    assert "unescaped quote" in org.errors(job)["2"]
    assert {one["fields"]["Name"] for one in org.process.records("Account")} == {" Smith ", "Last"}


# ---- CSV rules: rows and results ----

def test_the_same_key_twice_in_a_chunk_refuses_both(org):
    rows = ["k,first"] + [f"f-{n},x" for n in range(198)] + ["K,second"]
    job, info = org.run("Ext__c,Name\n" + "\n".join(rows) + "\n", "Account", "Ext__c")
    assert info["numberRecordsFailed"] == 2
    assert org.errors(job)["k"] == "DUPLICATE_VALUE:Duplicate external id specified: k:Ext__c --"
    job, info = org.run("Ext__c,Name\n" + "\n".join(["z,first"] + rows[1:199] + ["g,x", "z,second"]) + "\n",
                        "Account", "Ext__c")
    assert info["numberRecordsFailed"] == 0  # 200 rows apart: another chunk


def test_rows_fail_one_by_one_with_their_texts(org):
    job, _ = org.run("Ext__c,LastName,Email,AccountId,Birthdate\n"
                     "mail,a,not an address,,\nlong," + "x" * 81 + ",,,\nref,a,,0015g00000Acc99AAB,\n"
                     "date,a,,,20.11.2026\n,nokey,,,\nok,a,a@example.com,,2026-11-20\n", "Contact", "Ext__c")
    errors = org.errors(job)
    assert errors["mail"] == "INVALID_EMAIL_ADDRESS:Email: invalid email address: not an address:Email --"
    assert errors["long"].startswith("STRING_TOO_LONG:") and errors["long"].endswith("(max length=80):LastName --")
    assert errors["ref"] == "INVALID_CROSS_REFERENCE_KEY:invalid cross reference id:--"
    assert errors["date"].startswith("INVALID_TYPE_ON_FIELD_IN_RECORD:")
    assert len(org.results(job, "successfulResults")) == 1 and len(errors) == 5


def test_a_failed_update_names_its_record(org):
    seed(org)
    job, _ = org.run("Shopify_Customer_Id__c,LastName\ngid-7002,#N/A\n")
    row = org.results(job, "failedResults")[0]
    assert row["sf__Id"] == org.process.records("Contact")[0]["Id"]
    assert row["sf__Error"].startswith("REQUIRED_FIELD_MISSING:")


def test_insert_does_not_know_what_was_there(org):
    org.run("Ext__c,Name\n1,a\n", "Account", "Ext__c")
    job, _ = org.run("Ext__c,Name\n1,b\n", "Account", None, operation="insert")
    found = org.process.records("Account")[0]["Id"]
    assert org.errors(job) == {"1": "DUPLICATE_VALUE:duplicate value found: Ext__c duplicates value on record with id: "
                                    f"{found}:--"}


def test_doubles_come_back_as_java_writes_them_and_rows_shuffled(org):
    text = "Ext__c,Name,AnnualRevenue,NumberOfEmployees\n" + "".join(f"{n},a,{n}12260031,800\n"
                                                                     for n in range(1, 40))
    job, _ = org.run(text, "Account", "Ext__c")
    rows = org.results(job, "successfulResults")
    assert [row["Ext__c"] for row in rows] != [str(n) for n in range(1, 40)]
    assert rows == org.results(job, "successfulresults")  # but always the same way
    row = next(row for row in rows if row["Ext__c"] == "9")
    assert (row["AnnualRevenue"], row["NumberOfEmployees"]) == ("9.12260031E8", "800")


@pytest.mark.parametrize("value, written", [("912260031", "9.12260031E8"), ("40", "40.0"),
                                            ("113.89", "113.89"),
                                            ("0", "0.0"), ("-0.5", "-0.5"), ("10000000", "1.0E7"),
                                            ("0.0001", "1.0E-4"), ("3.00E+07", "3.0E7"), ("0.001", "0.001")])
def test_java_doubles(value, written):
    assert sf_schema.java_double(value) == written


@pytest.mark.parametrize("long", ["0018c00002DJIpJAAX"])
def test_ids_carry_their_case(long):
    assert sf_schema.long_id(long[:15]) == long


def test_results_wait_for_the_end(org):
    org.process.fault(action="slow_job", ms=60_000)
    job = org.create("Account", "Ext__c")
    org.upload(job, "Ext__c,Name\n1,a\n")
    org.close(job)
    assert org.call("GET", f"{JOBS}/{job}/successfulResults")[0] == 400


def test_numbers_are_kept_exactly_in_the_books(org):
    org.run("Ext__c,Name,StageName,CloseDate,Amount\n9007199254740993,n,Won,2026-11-20,90071992547409.93\n",
            "Opportunity", "Ext__c")
    fields = org.process.records("Opportunity")[0]["fields"]
    assert (fields["Ext__c"], fields["Amount"]) == ("9007199254740993", "90071992547409.93")


def test_fields_and_objects_can_be_added(org):
    org.process.call("POST", "schema", {"Shipment__c": {"prefix": "a0X", "fields": {
        "Name": {"type": "string", "length": 80},
        "Track__c": {"type": "string", "length": 40, "external_id": True,
                                                              "unique": True},
        "Order__c": {"type": "reference", "to": "Order"}}}})
    job, info = org.run("Track__c,Name,Order__r.Ext__c\nT1,x,none\nT2,y,\n", "Shipment__c", "Track__c")
    assert info["numberRecordsFailed"] == 1
    assert org.process.records("Shipment__c")[0]["Id"].startswith("a0X")


# ---- REST beside the jobs ----

def test_every_answer_tells_the_usage(org):
    org.call("GET", DATA + "/limits")
    first = org.headers["Sforce-Limit-Info"]
    org.call("GET", DATA + "/query?q=SELECT+Id+FROM+Account")
    assert first == "api-usage=1/100000" and org.headers["Sforce-Limit-Info"] == "api-usage=2/100000"


def test_the_daily_limit_refuses():
    with Process("salesforce", "--client-id", "CID", "--client-secret", "SEC", "--daily-limit", 1) as small:
        org = Org(small)
        assert org.call("GET", DATA + "/limits")[0] == 200
        assert org.call("GET", DATA + "/limits") == (403, [{"message": "TotalRequests Limit exceeded.",
                                                            "errorCode": "REQUEST_LIMIT_EXCEEDED"}])


def test_single_upsert_by_external_id(org):
    path = DATA + "/sobjects/Account/Ext__c/a%2Fb"
    status, made = org.call("PATCH", path, {"Name": "A"})
    assert (status, made["created"], made["success"], made["errors"]) == (201, True, True, [])
    assert org.call("PATCH", path, {"Name": "B"}) == (200, {**made, "created": False})
    assert org.call("GET", path)[1]["Name"] == "B"
    assert org.process.records("Account")[0]["fields"]["Ext__c"] == "a/b"
    status, body = org.call("PATCH", DATA + "/sobjects/Account/Foo__c/1", {"Name": "A"})
    assert status == 404 and body == [{"message": "Provided external ID field does not exist or is not accessible: "
                                                  "Foo__c", "errorCode": "NOT_FOUND"}]
    status, body = org.call("PATCH", DATA + "/sobjects/Account/Ext__c/2", {"foo": 1})
    assert status == 400 and body[0]["message"] == "No such column 'foo' on sobject of type Account"
    assert org.call("PATCH", DATA + "/sobjects/Account/Ext__c/3?updateOnly=true", {"Name": "A"})[0] == 404


def test_several_matches_are_a_300(org):
    org.run("Ext__c,LastName,Email\n1,a,x@example.com\n2,b,x@example.com\n", "Contact", "Ext__c")
    status, body = org.call("PATCH", DATA + "/sobjects/Contact/Email/x@example.com", {"LastName": "c"})
    assert status == 300 and len(body) == 2 and body[0].startswith(DATA + "/sobjects/Contact/003")
    job, _ = org.run("Email,LastName\nx@example.com,c\n", "Contact", "Email")
    assert org.results(job,
                       "failedResults")[0]["sf__Error"].startswith("DUPLICATE_EXTERNAL_ID:Email: more than one")


def test_collections_answer_row_by_row_in_order(org):
    path = DATA + "/composite/sobjects/Contact/Ext__c"
    seed(org)

    def record(ext, **fields):
        return {"attributes": {"type": "Contact"}, "Ext__c": ext, **fields}

    records = [record("1", LastName="a"), record("2"),
               record("3", LastName="c", Account={"ERP_Account_No__c": "ACC-1001"}),
               record("4", LastName="d", Account={"ERP_Account_No__c": "ACC-9"})]
    status, body = org.call("PATCH", path, {"allOrNone": False, "records": records})
    assert status == 200 and [one["success"] for one in body] == [True, False, True, False]
    assert body[0]["created"] is True and body[1]["errors"][0]["statusCode"] == "REQUIRED_FIELD_MISSING"
    status, body = org.call("PATCH", path, {"allOrNone": True,
                                            "records": [record("9", LastName="x"), record("8")]})
    assert body[0]["errors"][0]["statusCode"] == "ALL_OR_NONE_OPERATION_ROLLED_BACK"
    assert not any(one["fields"].get("Ext__c") == "9" for one in org.process.records("Contact"))
    assert org.call("PATCH", path, {"records": [record(str(n), LastName="x") for n in range(201)]})[0] == 400


def test_a_query_finds_records(org):
    seed(org)
    org.run(EXAMPLE)
    query = urllib.parse.quote("SELECT Id, LastName, Account.Name FROM Contact "
                               "WHERE Shopify_Customer_Id__c IN ('gid-7001', 'x') AND Account.Name = 'Account 1' LIMIT 5")
    body = org.call("GET", f"{DATA}/query?q={query}")[1]
    assert (body["totalSize"], body["done"]) == (1, True)
    assert body["records"][0]["Account"]["Name"] == "Account 1"
    assert org.call("GET", DATA + "/query/?q=SELECT+COUNT()+FROM+Contact")[1]["totalSize"] == 2
    assert org.call("GET", DATA + "/query?q=DELETE")[1][0]["errorCode"] == "MALFORMED_QUERY"


# ---- faults ----

def test_a_fault_expires_the_session_at_a_step(org):
    org.process.fault(action="expired", at="put", count=1)
    job = org.create("Account", "Ext__c")
    assert org.upload(job, "Ext__c,Name\n1,a\n")[0] == 401
    assert org.call("GET", f"{JOBS}/{job}")[0] == 401  # the session is really gone
    org.login()
    assert org.upload(job, "Ext__c,Name\n1,a\n")[0] == 201


@pytest.mark.parametrize("action, status, text", [
    ("limit_total", 403, "TotalRequests Limit exceeded."),
    ("limit_concurrent", 403, "ConcurrentPerOrgLongTxn Limit exceeded."),
    ("unavailable", 503, "Server too busy")])
def test_refusals_have_the_platform_s_texts(org, action, status, text):
    org.process.fault(action=action, at="jobs", count=1)
    got, body = org.call("GET", JOBS)
    assert (got, body[0]["message"]) == (status, text) and org.headers["Sforce-Limit-Info"]
    assert org.call("GET", JOBS)[0] == 200


def test_maintenance_is_a_page_and_oauth_errors_are_objects(org):
    org.process.faults([{"action": "unavailable_html"}])
    status, body = org.call("GET", JOBS)
    assert status == 503 and body.startswith("<html>")
    org.process.faults([{"action": "oauth_error", "at": "token"}])
    assert oauth(org.process, CLIENT) == (400, {"error": "invalid_grant",
                                                "error_description": "request not supported on this domain"})


@pytest.mark.parametrize("at", ["create", "put", "patch", "successful", "failed", "unprocessed"])
def test_a_cut_after_acting_has_acted(org, at):
    org.process.fault(action="cut_after", at=at, count=1)
    cut = []

    def step(name, call):
        try:
            assert call()[0] < 300
        except OSError:
            cut.append(name)

    step("create", lambda: org.call("POST", JOBS, {"object": "Account", "operation": "upsert",
                                                   "externalIdFieldName": "Ext__c"}))
    job = org.process.books()["jobs"][0]["id"]
    step("put", lambda: org.upload(job, "Ext__c,Name\n1,a\n"))
    step("patch", lambda: org.close(job))
    assert org.wait(job)["numberRecordsProcessed"] == 1
    for name, part in (("successful", "successfulResults"), ("failed", "failedResults"),
                       ("unprocessed", "unprocessedrecords")):
        step(name, lambda part=part: org.call("GET", f"{JOBS}/{job}/{part}"))
    assert cut == [at]
    assert len(org.process.records("Account")) == 1


FOUR = "Ext__c,Name\n1,a\n2,b\n3,c\n4,d\n"


def test_a_failed_job_keeps_what_it_did(org):
    org.process.fault(action="job_failed", at="Account", fraction=0.5, count=1)
    job, info = org.run(FOUR, "Account", "Ext__c")
    assert info["state"] == "Failed" and info["errorMessage"].startswith("InternalServerError : ")
    done, left = org.results(job, "successfulResults"), org.results(job, "unprocessedrecords")
    assert len(done) == len(left) == 2 and len(org.process.records("Account")) == 2
    assert org.run(FOUR, "Account", "Ext__c")[1]["state"] == "JobComplete"


def test_a_job_can_complete_with_every_row_failed(org):
    org.process.fault(action="all_rows_failed", code="FIELD_CUSTOM_VALIDATION_EXCEPTION", field="Name")
    job, info = org.run(FOUR, "Account", "Ext__c")
    assert (info["state"], info["numberRecordsProcessed"], info["numberRecordsFailed"]) == ("JobComplete", 4,
                                                                                            4)
    assert org.errors(job)["1"] == "FIELD_CUSTOM_VALIDATION_EXCEPTION:a validation rule says no:Name --"


def test_a_row_error_clears_after_k_tries_and_another_stays(org):
    org.process.faults([{"action": "row_error", "code": "UNABLE_TO_LOCK_ROW", "keys": ["1", "2"], "times": 1},
                        {"action": "row_error", "code": "REQUIRED_FIELD_MISSING", "field": "Phone",
                         "keys": ["3"]}])
    job, _ = org.run(FOUR, "Account", "Ext__c")
    errors = org.errors(job)
    assert set(errors) == {"1", "2",
                           "3"} and errors["1"].startswith("UNABLE_TO_LOCK_ROW:unable to obtain exclusive")
    job, _ = org.run(FOUR, "Account", "Ext__c")
    assert org.errors(job) == {"3": "REQUIRED_FIELD_MISSING:Required fields are missing: [Phone]:Phone --"}


def test_rows_chosen_by_share_or_value_are_the_same_on_every_try(org):
    text = "Ext__c,Name\n" + "".join(f"{n},{'odd' if n % 2 else 'even'}\n" for n in range(100))
    org.process.faults([{"action": "row_error", "fraction": 0.2, "seed": 4}])
    first = set(org.errors(org.run(text, "Account", "Ext__c")[0]))
    assert first == set(org.errors(org.run(text, "Account", "Ext__c")[0])) and 5 < len(first) < 40
    org.process.faults([{"action": "row_error", "where": {"Name": "^odd$"}}])
    assert len(org.errors(org.run(text, "Account", "Ext__c")[0])) == 50


def test_rows_can_be_in_no_file_at_all(org):
    org.process.fault(action="rows_missing", keys=["2"])
    job, info = org.run(FOUR, "Account", "Ext__c")
    files = [row["Ext__c"] for which in ("successfulResults", "failedResults", "unprocessedrecords")
             for row in org.results(job, which)]
    assert sorted(files) == ["1", "3", "4"] and info["numberRecordsProcessed"] == 3
    assert org.process.books()["rows"] == {"rows": 4, "successful": 3, "failed": 0, "unprocessed": 0,
                                           "missing": 1}
