"""Single records, collections, composite and SOQL of the Salesforce stand-in."""

import urllib.parse

import pytest

from sandbox.sf_client import DATA, record

ACCOUNTS = [record("Account", Ext__c=f"a-{n}", Name=f"Account {n}", AnnualRevenue=n * 1000,
                   NumberOfEmployees=n) for n in range(1, 6)]


def accounts(org):
    status, body = org.collect("PATCH", "/Account/Ext__c", ACCOUNTS)
    assert status == 200 and all(one["success"] for one in body), body
    return [one["id"] for one in body]


def codes(body):
    return [None if one["success"] else one["errors"][0]["statusCode"] for one in body]


# ---- single records ----

def test_a_record_is_made_changed_read_and_removed(org):
    made = org.make("Account", Name="A", Ext__c="x/1")
    path = f"{DATA}/sobjects/Account/{made}"
    assert org.call("PATCH", path, {"Name": "B", "Phone": None}) == (204, "")
    assert org.call("GET", path[:-3] + "?fields=Name,phone")[1] == {
        "attributes": {"type": "Account", "url": path}, "Id": made, "Name": "B", "Phone": None}
    assert org.call("GET", f"{DATA}/sobjects/Account/Ext__c/x%2F1")[1]["Id"] == made
    assert org.call("DELETE", path) == (204, "")
    assert org.call("GET", path)[0] == 404
    assert org.call("DELETE", path)[1][0]["errorCode"] == "ENTITY_IS_DELETED"
    assert org.rows(object="Account") == [("", "created"), (made, "updated"), (made, "deleted")]


def test_who_made_a_record_and_who_changed_it_last_are_told(org):
    seeded = org.process.call("POST", "records", [{"object": "Account", "fields": {"Name": "S", "Ext__c": "s"}}])["ids"][0]
    fields = f"{DATA}/sobjects/Account/{{}}?fields=CreatedById,LastModifiedById"
    somebody = org.call("GET", fields.format(seeded))[1]["CreatedById"]
    ours = org.call("GET", fields.format(org.make("Account", Name="A", Ext__c="x/1")))[1]
    assert ours["CreatedById"] == ours["LastModifiedById"] != somebody
    org.call("PATCH", f"{DATA}/sobjects/Account/{seeded}", {"Name": "T"})
    changed = org.call("GET", fields.format(seeded))[1]
    assert (changed["CreatedById"], changed["LastModifiedById"]) == (somebody, ours["CreatedById"])


def test_a_new_record_brings_no_id_and_what_it_lacks_is_named(org):
    assert org.refused("Account", Id="0015g00000Acc01AAB", Name="A") == "INVALID_FIELD_FOR_INSERT_UPDATE"
    status, body = org.call("POST", f"{DATA}/sobjects/Account", {})
    assert (status, body) == (400, [{"message": "Required fields are missing: [Name]",
                                     "errorCode": "REQUIRED_FIELD_MISSING", "fields": ["Name"]}])


def test_a_description_names_keys_and_lengths(org):
    fields = {one["name"]: one for one in org.call("GET", f"{DATA}/sobjects/contact/describe")[1]["fields"]}
    key, mail = fields["Shopify_Customer_Id__c"], fields["Email"]
    assert key["externalId"] and key["unique"] and key["length"] == 255 and key["custom"]
    assert mail["idLookup"] and not mail["externalId"] and not fields["LastName"]["nillable"]
    assert fields["AccountId"]["referenceTo"] == ["Account"]


# ---- collections ----

def test_create_mixes_objects_and_answers_in_order(org):
    status, body = org.collect("POST", "", [
        record("Account", Name="A"), record("Contact", FirstName="no last name"), record("Nothing"),
        record("Contact", LastName="L"), record("Account", Name="B", Nonsense__c=1)])
    assert status == 200
    assert codes(body) == [None, "REQUIRED_FIELD_MISSING", "INVALID_INPUT", None, "INVALID_FIELD"]
    assert set(body[0]) == {"id", "success", "errors"} and body[3]["id"].startswith("003")
    assert body[4]["errors"][0]["message"] == "No such column 'Nonsense__c' on sobject of type Account"
    assert org.process.books()["collections"]["each"] == [
        {"operation": "insert", "rows": 5, "allOrNone": False, "succeeded": 2}]


def test_update_goes_by_id_and_tells_the_kinds_of_wrong_ids_apart(org):
    ids = accounts(org)
    org.call("DELETE", f"{DATA}/sobjects/Account/{ids[1]}")
    status, body = org.collect("PATCH", "", [
        record("Account", id=ids[0], Name="new"), record("Account", id=ids[1], Name="gone"),
        record("Account", id="0015g00000Acc99AAB", Name="never"), record("Account", id="x", Name="no id"),
        record("Account", id=ids[2][:15], Phone="1"), record("Account", Name="none")])
    assert codes(body) == [None, "ENTITY_IS_DELETED", "INVALID_CROSS_REFERENCE_KEY", "MALFORMED_ID", None,
                           "MISSING_ARGUMENT"]
    assert body[4]["id"] == ids[2] and org.fields("Account", ids[0])["Name"] == "new"


def test_delete_takes_ids_of_any_object(org):
    ids = accounts(org)
    contact = org.make("Contact", LastName="L")
    asked = ",".join([ids[0], contact, ids[0], "zzz"])
    status, body = org.call("DELETE", f"{DATA}/composite/sobjects?ids={asked}&allOrNone=false")
    assert status == 200 and codes(body) == [None, None, "ENTITY_IS_DELETED", "MALFORMED_ID"]
    assert len(org.process.records("Account")) == 4 and org.process.records("Contact") == []


def test_all_or_none_undoes_every_object_and_the_ledger_says_so(org):
    ids = accounts(org)
    status, body = org.collect("POST", "", [record("Account", Name="A"), record("Contact", LastName="L"),
                                            record("Contact")], whole=True)
    rolled = "ALL_OR_NONE_OPERATION_ROLLED_BACK"
    assert codes(body) == [rolled, rolled, "REQUIRED_FIELD_MISSING"]
    assert len(org.process.records("Account")) == 5 and org.process.records("Contact") == []
    status, body = org.collect("PATCH", "/Account/Ext__c", [record("Account", Ext__c="a-1", Name="changed"),
                                                            record("Account", Ext__c="new")], whole=True)
    assert codes(body) == [rolled, "REQUIRED_FIELD_MISSING"]
    assert org.fields("Account", ids[0])["Name"] == "Account 1"
    assert org.rows(outcome=rolled) == [("", rolled), ("", rolled), ("a-1", rolled)]
    status, _ = org.call("DELETE", f"{DATA}/composite/sobjects?ids={ids[0]},zzz&allOrNone=true")
    assert len(org.process.records("Account")) == 5
    assert org.call("GET", f"{DATA}/sobjects/Account/Ext__c/a-1")[1]["Id"] == ids[0]  # the index too


def test_the_history_of_a_field_has_what_stayed_in_order(org):
    org.process.call("POST", "history", {"object": "Account", "field": "Name"})
    made = org.make("Account", Name="A")
    org.call("PATCH", f"{DATA}/sobjects/Account/{made}", {"Name": "B"})
    org.call("PATCH", f"{DATA}/sobjects/Account/{made}", {"Phone": "1"})
    org.collect("PATCH", "", [record("Account", id=made, Name="undone"), record("Account", id="zzz")], whole=True)
    org.call("DELETE", f"{DATA}/sobjects/Account/{made}")
    org.make("Contact", LastName="L")
    changes = org.process.call("GET", "history")["changes"]
    assert [one["value"] for one in changes] == ["A", "B", "B"]
    assert changes[0] == {"object": "Account", "id": made, "field": "Name", "value": "A"}
    org.process.reset()
    assert org.process.call("GET", "history")["changes"] == []


def test_upsert_takes_one_object_one_key_and_no_row_twice(org):
    accounts(org)
    status, body = org.collect("PATCH", "/Account/Ext__c", [
        record("Contact", Ext__c="1"), record("Account", Ext__c="k", Name="1"),
        record("Account", ext__c="K", Name="2"), record("Account", Ext__c="a-1", Phone="5"),
        record("Account", Name="no key"), record("Account", Ext__c="p", Name="P", Parent={"Ext__c": "a-1"}),
        record("Account", Ext__c="q", Name="P", Parent={"Ext__c": "nobody"})])
    assert codes(body) == ["INVALID_INPUT", "DUPLICATE_VALUE", "DUPLICATE_VALUE", None, "MISSING_ARGUMENT",
                           None, "INVALID_FIELD"]
    assert body[3]["created"] is False and body[5]["created"] is True
    assert body[6]["errors"][0]["message"].startswith("Foreign key external ID: nobody not found")


@pytest.mark.parametrize("method, path", [("POST", ""), ("PATCH", ""), ("PATCH", "/Account/Ext__c")])
def test_more_than_200_rows_or_none_are_refused_whole(org, method, path):
    rows = [record("Account", Name="x", Ext__c=str(n)) for n in range(201)]
    status, body = org.collect(method, path, rows)
    assert (status, body[0]["errorCode"]) == (400, "EXCEEDED_ID_LIMIT")
    assert org.collect(method, path, [])[0] == 400 and org.process.records("Account") == []
    ids = ",".join(["0015g00000Acc01AAB"] * 201)
    assert org.call("DELETE", f"{DATA}/composite/sobjects?ids={ids}")[0] == 400


def test_read_gives_null_for_what_is_not_there(org):
    ids = accounts(org)
    status, body = org.call("POST", f"{DATA}/composite/sobjects/Account",
                            {"ids": [ids[3], "0015g00000Acc99AAB", ids[0]], "fields": ["Name", "Ext__c"]})
    assert status == 200 and body[1] is None
    assert [body[0]["Ext__c"], body[2]["Name"]] == ["a-4", "Account 1"]


def test_a_lost_answer_of_a_collection_has_acted_and_one_before_has_not(org):
    for action, acted in (("cut_after", 5), ("status_after", 5), ("cut_before", 0), ("unavailable", 0)):
        org.process.reset()
        org.login()
        org.process.fault(action=action, at="collections", count=1)
        try:
            assert org.collect("PATCH", "/Account/Ext__c", ACCOUNTS)[0] == 503
        except OSError:
            pass
        assert len(org.process.records("Account")) == acted, action
        assert {one["created"] for one in org.collect("PATCH", "/Account/Ext__c", ACCOUNTS)[1]} == {not acted}
        assert {one["versions"] for one in org.process.records("Account")} == {2 if acted else 1}


# ---- composite ----

def test_a_composite_passes_on_what_earlier_calls_answered(org):
    calls = [{"method": "POST", "url": f"{DATA}/sobjects/Account", "referenceId": "a", "body": {"Name": "A"}},
             {"method": "POST", "url": f"{DATA}/sobjects/Contact", "referenceId": "c",
              "body": {"LastName": "L", "AccountId": "@{a.id}"}},
             {"method": "GET", "url": f"{DATA}/query?q=SELECT+Id+FROM+Contact+WHERE+AccountId='@{{a.id}}'",
              "referenceId": "q"}]
    status, body = org.call("POST", f"{DATA}/composite", {"allOrNone": True, "compositeRequest": calls})
    made, contact, found = body["compositeResponse"]
    assert status == 200 and [made["httpStatusCode"], contact["httpStatusCode"]] == [201, 201]
    assert found["body"]["records"][0]["Id"] == contact["body"]["id"] and made["referenceId"] == "a"
    assert org.process.books()["api_usage"] == 1  # one call, whatever is in it


def test_a_composite_of_all_or_none_leaves_nothing(org):
    calls = [{"method": "POST", "url": f"{DATA}/sobjects/Account", "referenceId": "a", "body": {"Name": "A"}},
             {"method": "POST", "url": f"{DATA}/sobjects/Contact", "referenceId": "c", "body": {}},
             {"method": "GET", "url": f"{DATA}/limits", "referenceId": "l"}]
    for whole, left in ((True, 0), (False, 1)):
        body = org.call("POST", f"{DATA}/composite", {"allOrNone": whole, "compositeRequest": calls})[1]
        first, second, third = body["compositeResponse"]
        assert second["body"][0]["errorCode"] == "REQUIRED_FIELD_MISSING"
        assert len(org.process.records("Account")) == left
        if whole:
            assert first["body"][0]["errorCode"] == third["body"][0]["errorCode"] == "PROCESSING_HALTED"
        else:
            assert (first["httpStatusCode"], third["httpStatusCode"]) == (201, 200)
    too_many = [{**calls[0], "referenceId": f"r{n}"} for n in range(26)]
    assert org.call("POST", f"{DATA}/composite", {"compositeRequest": too_many})[0] == 400


def test_each_graph_stands_or_falls_by_itself(org):
    def graph(name, fields):
        return {"graphId": name, "compositeRequest": [
            {"method": "POST", "url": f"{DATA}/sobjects/Account", "referenceId": "a", "body": {"Name": name}},
            {"method": "POST", "url": f"{DATA}/sobjects/Contact", "referenceId": "c",
             "body": {"AccountId": "@{a.id}", **fields}}]}

    graphs = org.call("POST", f"{DATA}/composite/graph",
                      {"graphs": [graph("good", {"LastName": "L"}), graph("bad", {})]})[1]["graphs"]
    assert [one["isSuccessful"] for one in graphs] == [True, False]
    assert [one["fields"]["Name"] for one in org.process.records("Account")] == ["good"]


def tree(name, last, **more):
    """An account with a contact and an opportunity below it."""
    def node(kind, reference, **fields):
        return {"attributes": {"type": kind, "referenceId": reference}, **fields}

    return {"records": [node("Account", "a", Name=name, Contacts={"records": [node("Contact", "c", LastName=last)]},
                             Opportunities={"records": [node("Opportunity", "o", Name="O", StageName="New",
                                                             CloseDate="2026-11-20")]}, **more)]}


def test_a_tree_is_made_with_its_parents_or_not_at_all(org):
    status, body = org.call("POST", f"{DATA}/composite/tree/Account", tree("A", "L"))
    made = {one["referenceId"]: one["id"] for one in body["results"]}
    assert (status, body["hasErrors"], list(made)) == (201, False, ["a", "c", "o"])
    assert org.fields("Contact", made["c"])["AccountId"] == made["a"] == org.fields("Opportunity", made["o"])["AccountId"]
    status, body = org.call("POST", f"{DATA}/composite/tree/Account", tree("B", None))
    assert (status, body["hasErrors"]) == (400, True)
    assert [(one["referenceId"], one["errors"][0]["statusCode"]) for one in body["results"]] == [
        ("c", "REQUIRED_FIELD_MISSING")]
    assert len(org.process.records("Account")) == 1
    assert org.rows()[3:] == [("a", "PROCESSING_HALTED"), ("c", "REQUIRED_FIELD_MISSING"), ("o", "PROCESSING_HALTED")]
    assert org.call("POST", f"{DATA}/composite/tree/Contact", tree("A", "L"))[0] == 400


# ---- SOQL ----

@pytest.mark.parametrize("where, found", [
    ("Ext__c = 'A-1'", [1]), ("Ext__c IN ('a-2', 'a-3', 'no')", [2, 3]), ("Name LIKE 'account _'", [1, 2, 3, 4, 5]),
    ("Name LIKE '%t 4'", [4]), ("NumberOfEmployees > 3", [4, 5]), ("NumberOfEmployees >= 3 AND AnnualRevenue < 5000", [3, 4]),
    ("NumberOfEmployees = 1 OR Ext__c = 'a-5'", [1, 5]), ("NOT (NumberOfEmployees < 5)", [5]),
    ("Ext__c NOT IN ('a-1', 'a-2') AND Ext__c != 'a-3'", [4, 5]), ("Phone = null AND NumberOfEmployees <= 1", [1]),
    ("(Ext__c = 'a-1' OR Ext__c = 'a-2') AND NumberOfEmployees <> 1", [2]), ("Parent.Name = 'Account 1'", [2]),
    ("CreatedDate = TODAY AND CreatedDate > 2020-01-01T00:00:00Z AND Ext__c = 'a-3'", [3]),
    ("CreatedDate = YESTERDAY", []), ("IsDeleted = false AND Ext__c = 'a-1'", [1]), ("Name = 'it\\'s'", []),
])
def test_a_query_finds_what_it_says(org, where, found):
    accounts(org)
    org.collect("PATCH", "/Account/Ext__c", [record("Account", Ext__c="a-2", Parent={"Ext__c": "a-1"})])
    assert org.found(f"SELECT Ext__c FROM Account WHERE {where} ORDER BY Ext__c") == [f"a-{n}" for n in found]


def test_a_query_sorts_cuts_and_names_parents(org):
    ids = accounts(org)
    org.collect("PATCH", "", [record("Account", id=ids[0], ParentId=ids[4], Phone="1")])
    assert org.found("SELECT Ext__c FROM Account ORDER BY NumberOfEmployees DESC LIMIT 2 OFFSET 1") == ["a-4", "a-3"]
    assert org.found("SELECT Ext__c FROM Account ORDER BY Phone NULLS LAST, Ext__c DESC LIMIT 2") == ["a-1", "a-5"]
    rows = org.query("SELECT Parent.Name, Id FROM Account WHERE Ext__c IN ('a-1','a-2') ORDER BY Ext__c")[1]["records"]
    assert rows[0]["Parent"]["Name"] == "Account 5" and rows[1]["Parent"] is None
    assert org.found(f"SELECT Ext__c FROM Account WHERE Id = '{ids[2][:15]}'") == ["a-3"]


@pytest.mark.parametrize("soql, code", [
    ("SELECT Id FROM Account WHERE", "MALFORMED_QUERY"), ("SELECT Id FROM Nothing", "INVALID_TYPE"),
    ("SELECT Nope FROM Account", "INVALID_FIELD"), ("SELECT Id FROM Account WHERE Nope = 1", "INVALID_FIELD"),
    ("SELECT Id FROM Account LIMIT x", "MALFORMED_QUERY"), ("SELECT Nobody.Name FROM Account", "INVALID_FIELD"),
    ("SELECT Id FROM Account WHERE Name = 5", "INVALID_FIELD"), ("SELECT Id FROM Account WHERE NumberOfEmployees = '5'",
                                                               "INVALID_FIELD"),
    ("SELECT Id FROM Account WHERE Name = 'a' b", "MALFORMED_QUERY")])
def test_a_query_that_cannot_be_is_refused(org, soql, code):
    status, body = org.query(soql)
    assert (status, body[0]["errorCode"]) == (400, code)


def test_query_all_sees_what_was_deleted(org):
    ids = accounts(org)
    org.call("DELETE", f"{DATA}/sobjects/Account/{ids[0]}")
    soql = "SELECT Ext__c, IsDeleted FROM Account WHERE Ext__c IN ('a-1', 'a-2') ORDER BY Ext__c"
    assert [one["Ext__c"] for one in org.query(soql)[1]["records"]] == ["a-2"]
    assert [one["IsDeleted"] for one in org.query(soql, "/queryAll")[1]["records"]] == [True, False]


def test_a_merge_moves_what_hung_on_the_other_and_leaves_its_master_in_the_bin(org):
    control = org.process
    (account,), (master, other, third) = (control.call("POST", "records", [
        {"object": sobject, "fields": one} for one in records])["ids"] for sobject, records in (
            ("Account", [{"Name": "Acme"}]),
            ("Contact", [{"LastName": "Lang", "Shopify_Customer_Id__c": key} for key in ("7", "8", "9")])))
    order, = control.call("POST", "records", [{"object": "Order", "fields": {
        "AccountId": account, "EffectiveDate": "2026-11-20", "Status": "Draft", "BillToContactId": other}}])["ids"]
    control.call("POST", "merge", {"master": master, "others": [other, third]})
    assert org.query(f"SELECT BillToContactId FROM Order WHERE Id = '{order}'")[1]["records"][0][
        "BillToContactId"] == master
    soql = "SELECT Id, Shopify_Customer_Id__c, MasterRecordId FROM Contact WHERE IsDeleted = false OR " \
           "MasterRecordId != null ORDER BY Shopify_Customer_Id__c"
    assert [one["Id"] for one in org.query(soql)[1]["records"]] == [master]
    assert [(one["Shopify_Customer_Id__c"], one["MasterRecordId"])
            for one in org.query(soql, "/queryAll")[1]["records"]] == [("7", None), ("8", master), ("9", master)]


def test_more_rows_than_a_page_are_fetched_by_the_next_url(org):
    for start in range(0, 600, 200):
        org.collect("PATCH", "/Account/Ext__c", [record("Account", Ext__c=f"{n:03d}", Name="x")
                                                 for n in range(start, start + 200)])
    small = {"Sforce-Query-Options": "batchSize=250"}
    body = org.query("SELECT Ext__c FROM Account ORDER BY Ext__c", **small)[1]
    seen, pages = body["records"], 1
    assert (body["totalSize"], body["done"], len(seen)) == (600, False, 250)
    while not body["done"]:
        body = org.call("GET", body["nextRecordsUrl"], **small)[1]
        seen, pages = seen + body["records"], pages + 1
    assert [one["Ext__c"] for one in seen] == [f"{n:03d}" for n in range(600)] and pages == 3
    assert org.query("SELECT Ext__c FROM Account")[1]["done"] is True
    status, refused = org.call("GET", f"{DATA}/query/01gnothing-200")
    assert (status, refused[0]["errorCode"]) == (400, "INVALID_QUERY_LOCATOR")


def test_a_uri_that_is_too_long_is_a_414(org):
    words = ",".join(f"'{n:020d}'" for n in range(500))
    assert len(urllib.parse.quote(words)) < 16_000
    assert org.query(f"SELECT Id FROM Account WHERE Ext__c IN ({words})")[0] == 200
    words = ",".join(f"'{n:020d}'" for n in range(800))
    assert org.query(f"SELECT Id FROM Account WHERE Ext__c IN ({words})")[0] == 414
