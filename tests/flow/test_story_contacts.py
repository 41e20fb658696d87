"""Customers go into a CRM that knows people already: who is known is not made twice, and who could be two is asked."""

import csv
import json
import re
import time

import pytest
import yaml

from flow.harness import ROOT, demo_config, merge, sluice, wait_until

pytestmark = pytest.mark.plain  # tests/unit/plugins/test_salesforce_contacts.c has its course

MAP = """{Shopify_Customer_Id__c: (if .guest then "guest-\\(.id)" else "\\(.id)" end), FirstName: .first_name,
 LastName: .last_name, Email: .email, Phone: .phone, guest: (.guest // false),
 company: {name: .company, tax_id: .tax_id}}"""
SETTINGS = {
    "poll": {"first": "50ms", "cap": "200ms"}, "batch": {"records": 200, "age": "100ms"},
    "retry": {"first": "100ms", "cap": "500ms"}, "breaker": {"min_calls": 1000},
    "contacts": {"external_id": "Shopify_Customer_Id__c", "tax_id": "Tax_Id__c", "country": "DE", "refresh": "1h"},
}


@pytest.fixture
def crm_and_gateway(make_gateway, crm):
    def make(**to):
        config = demo_config("http://unused", crm=crm.url)
        del config["endpoints"]["byron"]
        config["routes"] = [{
            "name": "customer-to-crm", "from": {"endpoint": "acme-shop", "topic": "customers/update"}, "map": MAP,
            "to": {"endpoint": "crm", "action": "contact.upsert", **to}, "owner": "crm-team"}]
        merge(config["endpoints"]["crm"], SETTINGS)
        return make_gateway(config, {"DEMO_CRM_KEY": crm.private_key})

    return make


def seed(crm, sobject, *records):
    return crm.call("POST", "records", [{"object": sobject, "fields": one} for one in records])["ids"]


def contacts(crm):
    return {one["Id"]: one["fields"] for one in crm.records("Contact")}


count = 0


def customer(gateway, number, first, last, email=None, **more):
    """A webhook, each with a later version."""
    global count
    count += 1
    body = {"id": number, "first_name": first, "last_name": last, "email": email, "phone": None,
            "updated_at": f"2026-11-20T10:{count // 60:02}:{count % 60:02}Z", **more}
    assert gateway.post(json.dumps(body).encode(), topic="customers/update") == 200


def known(crm):
    account, = seed(crm, "Account", {"Name": "Müller & Söhne GmbH", "Tax_Id__c": "DE123456789",
                                     "Website": "https://www.mueller.example"})
    anna, eva, other = seed(
        crm, "Contact",
        {"FirstName": "Anna", "LastName": "Schmidt", "Email": "anna.schmidt@mueller.example", "AccountId": account},
        {"FirstName": "Eva", "LastName": "Lang", "Email": "eva.lang@gmx.de", "Phone": "030 5550100"},
        {"FirstName": "Eva", "LastName": "Lang", "Email": "Eva.Lang@gmx.de"})
    return account, anna, eva, other


def test_a_known_customer_is_updated_a_new_one_created_and_an_ambiguous_one_asked_once(crm_and_gateway, crm):
    account, anna, eva, other = known(crm)
    gateway = crm_and_gateway()

    # known: another spelling, and now the shop's id is on the contact
    customer(gateway, 7, "ANNA", "Schmidt", "Anna.Schmidt@Mueller.example")
    wait_until(lambda: gateway.states() == {"delivered": 1}, "she is updated")
    assert gateway.delivery()["reference"] == anna
    assert contacts(crm)[anna]["Shopify_Customer_Id__c"] == "7"

    # new, at a company that is known by its tax id
    customer(gateway, 8, "Rita", "Neu", "rita@elsewhere.example", company="Mueller und Soehne", tax_id="DE 123 456 789")
    wait_until(lambda: gateway.states() == {"delivered": 2}, "she is created")
    made = next(one for one in contacts(crm).values() if one.get("Shopify_Customer_Id__c") == "8")
    assert made["AccountId"] == account and len(contacts(crm)) == 4

    # ambiguous: held, with both and the reasons
    customer(gateway, 9, "Eva", "Lang", "eva.lang@gmx.de")
    wait_until(lambda: gateway.states() == {"delivered": 2, "held": 1}, "she is asked about")
    held = gateway.delivery(state="held")
    assert held["hold_type"] == "contact-merge" and held["detail"]["owner"] == "crm-team"
    assert {one["id"] for one in held["detail"]["evidence"]["matches"]} == {eva, other}
    assert "same e-mail, same name" in held["detail"]["evidence"]["matches"][0]["reasons"]
    names = [one["name"] for one in held["detail"]["choices"]]
    assert set(names) == {f"use:{eva}", f"use:{other}", "create", "later", "drop"}
    gateway.cli("held", "release", held["id"], "--choice", f"use:{eva}", "--why", "she said so")
    wait_until(lambda: gateway.states() == {"delivered": 3}, "it goes to the one that was chosen")
    assert gateway.delivery(subject=held["subject"])["reference"] == eva
    assert contacts(crm)[eva]["Shopify_Customer_Id__c"] == "9"

    # and she is not asked about again, not after a restart either, whatever she is called by then
    gateway.restart()
    customer(gateway, 9, "Eva", "Lang-Meyer", "eva.lang@gmx.de")
    wait_until(lambda: gateway.states() == {"delivered": 4}, "nobody is asked")
    assert contacts(crm)[eva]["LastName"] == "Lang-Meyer" and contacts(crm)[other]["LastName"] == "Lang"
    assert len(contacts(crm)) == 4


def test_an_answer_that_the_crm_cannot_hold_is_remembered_over_a_restart(crm_and_gateway, crm):
    """A guest gives no id that could be written on the contact, and the two stay two."""
    _, _, eva, other = known(crm)
    gateway = crm_and_gateway(guests="match")
    customer(gateway, 1001, "Eva", "Lang", "eva.lang@gmx.de", guest=True)
    wait_until(lambda: gateway.states() == {"held": 1}, "it is asked")
    gateway.cli("held", "release", gateway.delivery(state="held")["id"], "--choice", f"use:{other}")
    wait_until(lambda: gateway.states() == {"delivered": 1})
    assert gateway.delivery()["reference"] == other
    assert not contacts(crm)[other].get("Shopify_Customer_Id__c")

    gateway.restart()
    customer(gateway, 1002, "Eva", "Lang", "Eva.Lang@GMX.de", guest=True)
    wait_until(lambda: gateway.states() == {"delivered": 2}, "the next order of the same guest is not asked")
    assert {one["reference"] for one in gateway.deliveries()} == {other}
    assert len(contacts(crm)) == 3


def test_one_person_in_many_records_at_once_is_one_contact(crm_and_gateway, crm):
    """Two accounts at the shop, one person: whoever comes second meets the first one's contact."""
    gateway = crm_and_gateway()
    for number in range(20, 26):
        customer(gateway, number, "Max", "Neu", "MAX.NEU@neu.example" if number % 2 else "max.neu@Neu.example")
    wait_until(lambda: gateway.states() == {"delivered": 6}, "all six are in")
    assert len(contacts(crm)) == 1
    assert len({one["reference"] for one in gateway.deliveries()}) == 1


def test_guests_are_contacts_of_their_own_or_skipped_if_the_route_says_so(crm_and_gateway, crm):
    known(crm)
    gateway = crm_and_gateway(guests="create")
    customer(gateway, 1001, "Anna", "Schmidt", "anna.schmidt@mueller.example", guest=True)
    wait_until(lambda: gateway.states() == {"delivered": 1})
    assert len(contacts(crm)) == 4
    gateway.stop()
    gateway.config["routes"][0]["to"]["guests"] = "skip"
    gateway.write()
    gateway.start()
    customer(gateway, 1002, "Anna", "Schmidt", "anna.schmidt@mueller.example", guest=True)
    wait_until(lambda: gateway.states() == {"delivered": 2})
    assert len(contacts(crm)) == 4


@pytest.mark.parametrize("learnt", ["by what has changed", "by the bin, after a restart"])
def test_after_a_merge_the_next_record_goes_to_who_stayed(crm_and_gateway, crm, learnt):
    """Nothing but a person's merge says that the two are one: another name, another address."""
    rita, old = seed(
        crm, "Contact",
        {"FirstName": "Rita", "LastName": "Neu", "Email": "rita@neu.example", "Shopify_Customer_Id__c": "7"},
        {"FirstName": "Margarita", "LastName": "Alt", "Email": "m.alt@gmx.de", "Shopify_Customer_Id__c": "8"})
    account, = seed(crm, "Account", {"Name": "Neu"})
    seed(crm, "Order", {"AccountId": account, "EffectiveDate": "2026-11-20", "Status": "Draft", "BillToContactId": old})
    gateway = crm_and_gateway()
    gateway.stop()
    gateway.config["endpoints"]["crm"]["contacts"]["refresh"] = "1s"
    gateway.write()
    gateway.start()
    customer(gateway, 8, "Margarita", "Alt", "m.alt@gmx.de")
    wait_until(lambda: gateway.states() == {"delivered": 1})
    assert gateway.delivery()["reference"] == old

    crm.call("POST", "merge", {"master": rita, "others": [old]})
    if learnt.startswith("by the bin"):
        gateway.restart()
    else:
        time.sleep(1.1)  # contacts.refresh
    customer(gateway, 8, "Margarita", "Alt", "m.alt@gmx.de", phone="030 5550177")
    wait_until(lambda: gateway.states() == {"delivered": 2}, "nobody is asked, and nobody is made")
    assert {one["reference"] for one in gateway.deliveries()} == {old, rita}
    stayed, = contacts(crm).values()
    assert (stayed["Id"], stayed["Shopify_Customer_Id__c"], stayed["Phone"]) == (rita, "7", "030 5550177")
    assert [one["fields"]["BillToContactId"] for one in crm.records("Order")] == [rita]


def test_a_merge_that_the_gateway_has_not_read_yet_is_met_when_it_writes(crm_and_gateway, crm):
    """What it knows is fresh for an hour, and the contact is gone: it asks Salesforce into whom."""
    eva, other = seed(crm, "Contact", {"FirstName": "Eva", "LastName": "Berg", "Email": "eva.berg@gmx.de"},
                      {"FirstName": "Eva", "LastName": "Lang", "Email": "eva.lang@mueller.example"})
    gateway = crm_and_gateway()
    customer(gateway, 11, "Eva", "Berg", "eva.berg@gmx.de")
    wait_until(lambda: gateway.states() == {"delivered": 1})
    assert gateway.delivery()["reference"] == eva
    crm.call("POST", "merge", {"master": other, "others": [eva]})
    customer(gateway, 11, "Eva", "Berg", "eva.berg@gmx.de", phone="030 5550178")
    wait_until(lambda: gateway.states() == {"delivered": 2})
    assert {one["reference"] for one in gateway.deliveries()} == {eva, other}
    stayed, = contacts(crm).values()
    assert (stayed["Id"], stayed["Shopify_Customer_Id__c"], stayed["Phone"]) == (other, "11", "030 5550178")


def test_the_routes_of_the_page_on_an_order_of_a_customer_a_guest_and_a_till(make_gateway, crm, tmp_path):
    page = (ROOT / "plugins/salesforce/contacts.md").read_text()
    shown = yaml.safe_load(re.search(r"```yaml\n(.*?)```", page, re.S).group(1))
    config = demo_config("http://unused", crm=crm.url)
    del config["endpoints"]["byron"]
    config["endpoints"]["crm"]["contacts"] = shown["endpoints"]["crm"]["contacts"]
    config["routes"] = shown["routes"]
    gateway = make_gateway(config, {"DEMO_CRM_KEY": crm.private_key})
    order = json.loads((ROOT / "tests/sandbox/data/shopify-order.sample.json").read_text())

    def buyer(**changes):
        (tmp_path / "order.json").write_text(json.dumps({**order, **changes}))
        said = gateway.cli("try", "--endpoint", "acme-shop", "--topic", "orders/create", tmp_path / "order.json").json
        return [one["body"] for one in said["deliveries"]]

    payer = {**order["billing_address"], "first_name": "Max", "last_name": "Payer", "company": "Byron Gears Ltd"}
    company = {"name": "Byron Gears Ltd"}
    assert buyer(billing_address=payer) == [{
        "Shopify_Customer_Id__c": "7700000000123", "guest": False, "FirstName": "Ada", "LastName": "Byron",
        "Email": "ada@example.com", "company": company}]
    assert buyer(billing_address=payer, customer=None) == [{
        "Shopify_Customer_Id__c": "guest-9007199254740993", "guest": True, "FirstName": "Max", "LastName": "Payer",
        "Email": "ada@example.com", "company": company}]
    assert buyer(billing_address=None, customer=None)[0]["LastName"] == "ada"
    assert buyer(email=None, billing_address=None)[0]["LastName"] == "Byron"
    assert buyer(email="", billing_address=None, customer=None) == []  # at a till


def test_a_report_names_who_is_in_the_crm_twice_and_gives_a_merge_list(crm_and_gateway, crm, tmp_path):
    _, anna, eva, other = known(crm)
    gateway = crm_and_gateway()
    report = gateway.cli("report", "duplicates", "--endpoint", "crm", "--json").json
    assert report["contacts"] == 3 and report["found"] == 1 and report["certain"] == 1
    found, = report["sets"]
    assert found["master"] == eva  # it has a phone number as well
    assert {one["id"] for one in found["members"]} == {eva, other}
    assert next(one for one in found["members"] if one["id"] == other)["reasons"] == "same e-mail, same name"
    table = sluice("report", "duplicates", "--endpoint", "crm", "-c", gateway.file, env=gateway.env).out
    assert "Eva Lang" in table and "stays" in table and "3 contacts, 1 sets, 1 of them certain" in table

    path = tmp_path / "merge.jsonl"
    gateway.cli("report", "duplicates", "--endpoint", "crm", "--list", str(path))
    line, = [json.loads(one) for one in path.read_text().splitlines()]
    assert line == {"merge": "no", "set": 1, "certain": True, "master": eva, "others": [other], "name": "Eva Lang",
                    "why": ["same e-mail, same name"], "several_external_ids": False,
                    "links": [f"{crm.url}/{eva}", f"{crm.url}/{other}"]}
    sheet = tmp_path / "duplicates.csv"
    gateway.cli("report", "duplicates", "--endpoint", "crm", "--csv", str(sheet))
    rows = list(csv.DictReader(sheet.open()))
    assert {one["id"] for one in rows} == {eva, other} and {one["master"] for one in rows} == {eva}
    assert {one["url"] for one in rows} == {f"{crm.url}/{eva}", f"{crm.url}/{other}"}
    refused = gateway.cli("report", "duplicates", "--endpoint", "crm", "--list", str(path), ok=False)
    assert refused.code == 1 and "File exists" in refused.err  # what a person has approved is not written over
    assert gateway.cli("report", "duplicates", "--endpoint", "acme-shop", ok=False).code == 4
