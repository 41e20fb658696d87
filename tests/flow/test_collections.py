"""Salesforce by sObject Collections: orders within seconds, floods by bulk, lost answers and crashes."""

import time

import pytest

from flow.harness import byron_orders, demo_config, merge, route, stays, wait_until
from flow.test_salesforce import check, steps

pytestmark = pytest.mark.plain  # tests/unit/plugins/test_salesforce_collections.c has its course

SETTINGS = {
    "poll": {"first": "1s", "cap": "30s"}, "batch": {"records": 5000, "age": "1s", "quick": "300ms"},
    "retry": {"first": "100ms", "cap": "500ms"}, "breaker": {"min_calls": 1000},
    "timeout": {"first_byte": "2s", "total": "4s"}, "park": {"probe": "300ms"},
}
# what is not answered is so until the test goes on
PATIENT = {"timeout": {"first_byte": "1m", "total": "2m"}}


@pytest.fixture
def salesforce(make_gateway, crm):
    """salesforce(endpoint): a gateway whose only destination is the CRM, however it likes to be written."""

    def make(changes=None, to=None, **top):
        config = demo_config("http://unused", crm=crm.url, **top)
        del config["endpoints"]["byron"]
        config["routes"].remove(route(config, "order-to-supplier"))
        route(config, "order-to-crm")["to"].update(to or {})
        merge(config["endpoints"]["crm"], SETTINGS)
        merge(config["endpoints"]["crm"], changes or {})
        return make_gateway(config, {"DEMO_CRM_KEY": crm.private_key})

    return make


def calls(crm):
    return crm.books()["collections"]["each"]


def refused(crm):
    """Answers of the stand-in that were no 2xx."""
    return {status: count for status, count in crm.books()["requests"]["by_status"].items() if status[0] != "2"}


# ---- which of the two ----


@pytest.mark.plain  # it is about time and pace
def test_orders_now_and_then_go_by_collections_within_seconds_and_a_flood_by_bulk(salesforce, crm):
    gateway = salesforce()
    orders = byron_orders(30)
    for order in orders:
        gateway.burst([order])
        time.sleep(0.05)
    check(gateway, crm, orders)
    assert gateway.lane("crm")["lag_ms_mean"] < 10000
    assert crm.books()["jobs"] == []
    assert sum(one["rows"] for one in calls(crm)) == 30
    assert len(calls(crm)) > 1  # nothing waited for the last
    assert "records of Opportunity by Collections: it takes fewer calls" in gateway.log()

    gateway.cli("endpoints", "pause", "crm", "--why", "so that the flood is one")
    flood = byron_orders(2500, seed=2, first=1000)
    gateway.burst(flood)
    wait_until(lambda: gateway.lane("crm")["ready"] == len(flood), "the flood stands before the CRM")
    gateway.cli("endpoints", "resume", "crm")
    check(gateway, crm, orders + flood)
    assert [one["rows"] for one in crm.books()["jobs"]] == [2500]
    assert sum(one["rows"] for one in calls(crm)) == 30
    assert "2500 records of Opportunity by a bulk job: it takes fewer calls" in gateway.log()
    assert refused(crm) == {}
    assert crm.books()["limits"]["refused"] == {"total": 0, "concurrent": 0}


def test_what_is_critical_does_not_wait_for_a_batch(salesforce, crm):
    gateway = salesforce({"batch": {"records": 5000, "age": "1h", "quick": "1h"}})
    gateway.burst(byron_orders(3))
    assert stays(lambda: calls(crm) == [], 0.5)
    gateway.stop()
    route(gateway.config, "order-to-crm")["priority"] = "critical"
    gateway.write()
    gateway.start()
    late = byron_orders(3, seed=2, first=100)
    gateway.burst(late)
    wait_until(lambda: sum(one["rows"] for one in calls(crm)) >= 3, "the critical ones are there at once")
    assert crm.books()["jobs"] == []


def test_more_than_200_go_by_several_calls(salesforce, crm):
    gateway = salesforce(to={"transport": "collections"})
    gateway.cli("endpoints", "pause", "crm", "--why", "until all are there")
    orders = byron_orders(450)
    gateway.burst(orders)
    wait_until(lambda: gateway.lane("crm")["ready"] == 450)
    gateway.cli("endpoints", "resume", "crm")
    check(gateway, crm, orders)
    assert [one["rows"] for one in calls(crm)] == [200, 200, 50]
    assert not any(one["allOrNone"] for one in calls(crm))


# ---- rows and calls that fail ----


def test_failed_rows_are_tried_again_held_or_dead_by_their_code(salesforce, crm):
    gateway = salesforce()
    orders = byron_orders(12)
    locked, invalid, ambiguous = (str(order.id) for order in orders[:3])
    crm.fault(action="row_error", at="Opportunity", keys=[locked], code="UNABLE_TO_LOCK_ROW", times=2)
    crm.fault(action="row_error", at="Opportunity", keys=[invalid], code="FIELD_CUSTOM_VALIDATION_EXCEPTION",
              message="Amount: must not be so")
    crm.fault(action="row_error", at="Opportunity", keys=[ambiguous], code="DUPLICATES_DETECTED")
    gateway.burst(orders)
    wait_until(lambda: gateway.states("crm") == {"delivered": 10, "dead": 1, "held": 1})
    dead, held = gateway.delivery(state="dead"), gateway.delivery(state="held")
    assert dead["subject"].endswith(invalid) and "must not be so" in dead["reason"]
    assert held["subject"].endswith(ambiguous)
    # The others were not sent again on their account.
    assert {one["versions"] for one in crm.records("Opportunity")} == {1}
    crm.clear_faults()
    gateway.decide("replay", dead["id"])
    gateway.decide("release", held["id"])
    check(gateway, crm, orders)
    assert crm.books()["jobs"] == []


def test_a_call_that_is_too_much_for_one_transaction_goes_by_halves(salesforce, crm):
    gateway = salesforce()
    gateway.cli("endpoints", "pause", "crm", "--why", "until all are there")
    orders = byron_orders(100)
    gateway.burst(orders)
    wait_until(lambda: gateway.lane("crm")["ready"] == 100)
    crm.fault(action="status", at="collections", status=400, count=2,
              body=[{"errorCode": "LIMIT_EXCEEDED", "message": "System.LimitException: Apex CPU time limit exceeded"}])
    gateway.cli("endpoints", "resume", "crm")
    check(gateway, crm, orders)
    assert calls(crm)[0]["rows"] == 25
    assert {one["attempts"] for one in gateway.deliveries()} == {1}


@pytest.mark.parametrize("action", ["cut_before", "cut_after", "torn", "reset", "status", "unavailable_html"])
def test_whatever_answer_is_lost_every_order_is_there_once(salesforce, crm, action):
    gateway = salesforce()
    crm.fault(action=action, at="collections", count=1)
    orders = byron_orders(6)
    gateway.burst(orders)
    check(gateway, crm, orders, versions=0)
    assert crm.books()["requests"]["faults"] == {action: 1}
    assert max(one["versions"] for one in crm.records("Opportunity")) <= 2


def test_a_session_that_ends_is_renewed_and_the_call_made_once_more(salesforce, crm):
    gateway = salesforce()
    crm.fault(action="expired", at="collections", count=1)
    orders = byron_orders(6)
    gateway.burst(orders)
    check(gateway, crm, orders)
    assert crm.books()["tokens"]["issued"] == 2
    assert {one["attempts"] for one in gateway.deliveries()} == {1}


def test_an_external_id_that_the_org_does_not_know_is_a_dead_letter_that_says_so(salesforce, crm):
    gateway = salesforce(to={"external_id": "Shopify_Order_Name__c"})  # a field, and no External ID
    gateway.burst(byron_orders(1))
    wait_until(lambda: gateway.states("crm") == {"dead": 1})
    assert "external ID field does not exist or is not accessible: Shopify_Order_Name__c" in \
        gateway.delivery(state="dead")["reason"]
    assert not gateway.lane("crm")["parked"]


# ---- crashes ----


@pytest.mark.parametrize("action", ["hang", "hang_after"])
def test_a_crash_in_the_middle_of_a_call_repeats_it_and_doubles_nothing(salesforce, crm, action):
    gateway = salesforce(PATIENT)
    crm.fault(action=action, at="collections")
    orders = byron_orders(6)
    gateway.burst(orders)
    wait_until(lambda: steps(crm).get("collections"))
    gateway.kill9()
    crm.clear_faults()
    gateway.start()
    check(gateway, crm, orders, versions=0)
    assert crm.books()["jobs"] == []


def test_a_job_that_a_crash_cut_off_goes_on_as_a_job_though_it_would_be_small(salesforce, crm):
    gateway = salesforce(PATIENT, to={"transport": "bulk"})
    crm.fault(action="hang_after", at="patch")
    orders = byron_orders(6)
    gateway.burst(orders)
    wait_until(lambda: steps(crm).get("patch"))
    gateway.kill9()
    crm.clear_faults()
    route(gateway.config, "order-to-crm")["to"]["transport"] = "collections"
    gateway.write()
    gateway.start()
    check(gateway, crm, orders)  # each was written once
    assert calls(crm) == []
