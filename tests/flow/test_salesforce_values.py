"""What a map makes of an order by mistake: its fate is the same by either way, and the reason names the field."""

import json

import pytest

from flow.harness import byron_orders, route, wait_until
from flow.test_salesforce import salesforce  # noqa: F401

KEY = "Shopify_Order_Id__c"
GOOD = {"Name": "n", "StageName": "Prospecting", "CloseDate": "2026-11-20"}
LONG = object()  # of 131,073 characters, which a map has no room for

WRITTEN = [  # what the map gives, and what is there then
    ({"Name": "a\r\nb\rc\n", "Description": "x\r\ny"}, {"Name": "a\nb\nc\n", "Description": "x\ny"}),
    ({"Name": 'say "hi", you;|\t'}, {"Name": 'say "hi", you;|\t'}),
    ({"Name": "\U0001F600" * 60}, {"Name": "\U0001F600" * 60}),
    ({"Name": True}, {"Name": "true"}),
    ({"Name": 1990}, {"Name": "1990"}),
    ({KEY: 777123}, {KEY: "777123"}),
    ({"Amount": None, "Description": ""}, {"Amount": None, "Description": None}),
    ({"Name": "#n/a"}, {"Name": "#n/a"}),
]

REFUSED = [  # and what the dead letter says
    ({"Name": "a\0b"}, "field Name holds a NUL character"),
    ({"Description": LONG}, "field Description has 131073 characters, Salesforce takes 131072"),
    ({"Name": "x" * 121}, "Opportunity.Name is 121 characters long and takes at most 120"),
    ({"Name": "\U0001F600" * 61}, "Opportunity.Name is 122 characters long and takes at most 120"),
    ({"Nmae": "x"}, "Opportunity has no field Nmae"),
    ({"Name": ["x"]}, "field Name is an array"),
    ({"Account": {"Owner": {"Email": "x"}}}, "field Account is an object inside an object"),
    ({"Account": {}}, "field Account: a parent is named by exactly one key field"),
    ({"Nobody": {"Ext__c": "x"}}, "Opportunity has no parent called Nobody"),
    ({"Account:Account": {"ERP_Account_No__c": "x"}}, "Account of Opportunity always is the same object: write"),
    ({"Name": "x", "name": "y"}, "field Name is there twice"),
    ({"Na me": "x"}, '"Na me" is not a field\'s API name'),
    ({"attributes": {"type": "Opportunity"}}, "attributes is no field"),
    ({"Id": "0065g0000000001"}, f"an upsert by {KEY} takes no Id beside it"),
    ({KEY: None}, f"the external id {KEY} is null"),
    ({KEY: "k\r\n1"}, f"the external id {KEY} holds a line break"),
    ({KEY: "  "}, f"the external id {KEY} is nothing but blanks"),
    ({KEY: "k" * 256}, f"Opportunity.{KEY} is 256 characters long and takes at most 255"),
    ({"CloseDate": "20.11.2026"}, "the value of CloseDate has the wrong type for Opportunity: dates read 2026-11-20"),
    ({"Amount": "12,50"}, "the value of Amount has the wrong type for Opportunity"),
]

AT_ONCE = {"batch": {"records": 500, "age": "500ms", "quick": "500ms"}}


def jq(orders, changes):
    """A map that gives each of the orders its own record."""
    records = {str(order.id): {**GOOD, KEY: f"key-{i}", **change}
               for i, (order, change) in enumerate(zip(orders, changes))}
    text = json.dumps(records, default=lambda value: "LONG" if value is LONG else value)
    return text.replace('"LONG"', '("x" * 131073)') + "[$order.id | tostring]"


@pytest.mark.parametrize("transport", ["bulk", "collections"])
def test_a_value_has_the_same_fate_whichever_way_it_goes(salesforce, crm, tmp_path, transport):  # noqa: F811
    cases = [change for change, _ in WRITTEN + REFUSED]
    orders = byron_orders(len(cases))
    (tmp_path / "map.jq").write_text(". as $order | " + jq(orders, cases))

    def mapped(config):
        route(config, "order-to-crm")["to"]["transport"] = transport
        route(config, "order-to-crm")["map"] = {"file": str(tmp_path / "map.jq")}

    gateway = salesforce(AT_ONCE, mapped)
    gateway.burst(orders)
    wait_until(lambda: gateway.states("crm") == {"delivered": len(WRITTEN), "dead": len(REFUSED)})
    found = {one["subject"].rsplit("/", 1)[1]: one for one in gateway.deliveries()}
    records = {one["Id"]: one["fields"] for one in crm.records("Opportunity")}
    for order, (_, fields) in zip(orders, WRITTEN):
        record = records.pop(found[str(order.id)]["reference"])
        assert {name: record.get(name) for name in fields} == fields
    assert not records  # none is there twice, nor a refused one
    for order, (_, said) in zip(orders[len(WRITTEN):], REFUSED):
        assert said in found[str(order.id)]["reason"]


@pytest.mark.parametrize("change, said", [
    ({"Nobody": {"Ext__c": "x"}}, "Unable to find relationship: Nobody"),
    ({"Account:Account": {"ERP_Account_No__c": "x"}}, "type is not needed for non polymorphic foreign key references"),
    ({"Nmae": "x"}, "Field name not found : Nmae"),
])
def test_a_column_that_fails_the_job_condemns_only_who_has_it(salesforce, crm, tmp_path, change, said):  # noqa: F811
    orders = byron_orders(3)
    (tmp_path / "map.jq").write_text(". as $order | " + jq(orders, [{}, change, {}]))

    def mapped(config):
        route(config, "order-to-crm")["map"] = {"file": str(tmp_path / "map.jq")}

    gateway = salesforce(AT_ONCE | {"describe_every": "0s"}, mapped)  # nobody says so beforehand
    gateway.burst(orders)
    wait_until(lambda: gateway.states("crm") == {"delivered": 2, "dead": 1})
    dead, = gateway.deliveries(state="dead")
    assert dead["subject"].endswith(f"/{orders[1].id}")
    assert said in dead["reason"] and "correct the name in the route's map" in dead["reason"]
    assert len(crm.records("Opportunity")) == 2
