"""Locks: a CRM in which a contact locks its account while it is written. Orders of a few large accounts come by two
routes at once; rows of one account must not fail each other, and what somebody else has locked gets through later."""

import collections
import copy

import pytest

from flow.harness import byron_orders, demo_config, merge, route, stays, wait_until

pytestmark = pytest.mark.plain  # tests/unit/flow/test_parents.c has its course

ACCOUNT = '"A-" + (.id[-4:] | tonumber / 2 | floor % {accounts} | tostring)'  # the ids of orders are odd
CONTACT = '{{ Shopify_Customer_Id__c: .id, LastName: .name, Account: {{ ERP_Account_No__c: (' + ACCOUNT + ') }} }}'
OPPORTUNITY = ('{{ Shopify_Order_Id__c: .id, Name: .name, StageName: "Closed Won", CloseDate: "2026-11-20", '
               'Account: {{ ERP_Account_No__c: (' + ACCOUNT + ') }} }}')
SETTINGS = {
    "poll": {"first": "50ms", "cap": "100ms"}, "batch": {"records": 20, "age": "100ms", "quick": "100ms"},
    "retry": {"first": "100ms", "cap": "500ms"}, "breaker": {"min_calls": 1000},
}


@pytest.fixture
def locking(make_gateway, crm):
    """locking(accounts, parent, **batch): a CRM that locks, with so many accounts, and orders that become a contact
    and an opportunity of one of them."""

    def make(accounts, parent=None, contacts=True, transport="bulk", **batch):
        crm.call("POST", "org", {"locks": True, "collections_ms": 100, "batch_rows": 200})
        crm.call("POST", "records", [{"object": "Account", "key": "ERP_Account_No__c",
                                      "fields": {"ERP_Account_No__c": f"A-{n}", "Name": f"Account {n}"}}
                                     for n in range(accounts)])
        config = demo_config("http://unused", crm=crm.url)
        del config["endpoints"]["byron"]
        config["routes"].remove(route(config, "order-to-supplier"))
        merge(config["endpoints"]["crm"], SETTINGS)
        merge(config["endpoints"]["crm"]["batch"], batch)
        first = route(config, "order-to-crm")
        first["map"] = OPPORTUNITY.format(accounts=accounts)
        second = copy.deepcopy({**first, "name": "order-to-contact", "map": CONTACT.format(accounts=accounts)})
        second["to"].update({"object": "Contact", "external_id": "Shopify_Customer_Id__c"})
        if contacts:
            config["routes"].append(second)
        for one in (first, second):
            one["to"].update({"transport": transport, **({"parent": parent} if parent else {})})
        return make_gateway(config, {"DEMO_CRM_KEY": crm.private_key})

    return make


def rows(crm):
    """The ledger without the accounts that were there before."""
    return [one for one in crm.call("GET", "rows")["rows"] if one["object"] != "Account"]


def met_a_lock(crm):
    return [one for one in rows(crm) if one["outcome"] == "UNABLE_TO_LOCK_ROW"]


def sizes(crm):
    """Rows of each job and each call, in their order."""
    return list(collections.Counter(one["source"] for one in rows(crm)).values())


@pytest.mark.parametrize("parent", [None, "Account.ERP_Account_No__c"])
@pytest.mark.parametrize("transport", ["bulk", "collections"])
def test_rows_of_few_accounts_in_many_batches_never_meet(locking, crm, transport, parent):
    gateway = locking(3, parent, transport=transport)
    gateway.burst(byron_orders(120))
    wait_until(lambda: gateway.states("crm").get("delivered") == 240, "all of it is in the CRM")
    assert len(crm.records("Contact")) == len(crm.records("Opportunity")) == 120
    assert len(sizes(crm)) > 10
    assert not met_a_lock(crm)
    assert {one["attempts"] for one in gateway.deliveries(state="delivered")} == {1}, "waiting is no attempt"


@pytest.fixture
def slow(crm):
    """The CRM takes its time for the first job; slow() lets it go on."""
    crm.fault(action="slow_job", ms=60_000, count=1)
    yield crm.clear_faults
    crm.clear_faults()


def two_batches(gateway, crm):
    """One has the lock before the other comes."""
    orders = byron_orders(40)
    gateway.burst(orders[:20])
    wait_until(lambda: [job["state"] for job in crm.books()["jobs"]] == ["InProgress"], "the first job is at work")
    gateway.burst(orders[20:])


def test_a_batch_waits_for_the_one_that_has_its_account(locking, crm, slow):
    gateway = locking(1, contacts=False, age="1h", quick="1h")
    two_batches(gateway, crm)
    wait_until(lambda: gateway.lane("crm")["inflight"] == 20 and gateway.lane("crm")["ready"] == 20)
    assert stays(lambda: gateway.lane("crm")["inflight"] == 20, 0.5)
    waiting = gateway.get(f"/v1/deliveries/{gateway.deliveries(state='ready')[0]['id']}")
    assert "in flight with the same parent" in waiting["waits_for"]["text"]
    slow()
    wait_until(lambda: gateway.states("crm").get("delivered") == 40, "both batches are in the CRM")
    assert not met_a_lock(crm)


def test_without_parents_it_does_not_and_meets_the_lock(locking, crm, slow):
    gateway = locking(1, "none", contacts=False, age="1h", quick="1h")
    two_batches(gateway, crm)
    wait_until(lambda: met_a_lock(crm), "the second batch meets the lock of the first")
    slow()
    wait_until(lambda: gateway.states("crm").get("delivered") == 40, "both batches are in the CRM")


@pytest.mark.parametrize("parent", [None, "none"])
def test_rows_of_one_account_stand_in_one_chunk_of_a_job(locking, crm, parent):
    # a hundred accounts of some four orders each, mixed as they come; Salesforce's chunks are of 200
    gateway = locking(100, parent, contacts=False, records=400, age="1h", quick="1h")
    gateway.burst(byron_orders(400))
    wait_until(lambda: gateway.states("crm").get("delivered") == 400, "all of it is in the CRM")
    accounts = {int(one["key"][-4:]) // 2 % 100 for one in met_a_lock(crm)}
    if parent == "none":
        assert len(accounts) > 20, "as they come, most accounts lie across the border"
    else:
        assert len(accounts) <= 1, "at most one lies across the border between the chunks"


@pytest.mark.parametrize("transport", ["bulk", "auto"])
def test_what_somebody_else_has_locked_gets_through_in_small_batches(locking, crm, transport):
    orders = byron_orders(300)
    locked = [str(order.id) for order in orders[:170]]
    gateway = locking(100, contacts=False, transport=transport, records=300, age="1h", quick="1h")
    crm.fault(action="row_error", at="Opportunity", keys=locked, code="UNABLE_TO_LOCK_ROW", times=1)
    gateway.burst(orders)
    wait_until(lambda: gateway.states("crm").get("delivered") == 300, "all of it is in the CRM")
    assert len({one["key"] for one in met_a_lock(crm)}) >= 170
    again = sizes(crm)[1 if transport == "bulk" else 2:]  # 300 are two calls of Collections
    assert sum(again) >= 170 and max(again) <= 50, "narrow batches"
    assert {one["attempts"] for one in gateway.deliveries(state="delivered")} <= {1, 2, 3}
