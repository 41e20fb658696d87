"""The ledger of bulk jobs, end to end: jobs that are gone, rows that no file knows, orphans, and the operations beside the upsert."""

import pytest

from flow.harness import byron_orders, route, stays, wait_until
from flow.test_salesforce import ONE_JOB, check, salesforce, steps  # noqa: F401

pytestmark = pytest.mark.plain  # tests/unit/plugins/test_salesforce_ledger.c has its course

DAY_S = 24 * 3600
SOMEBODY = "0055g00000Else1AAA"


@pytest.fixture
def by(make_gateway, salesforce):  # noqa: F811
    """by(action, map, **more): a gateway whose route to the CRM does that, six orders a job."""

    def make(action, program=None, settings=ONE_JOB, **more):
        def change(config):
            one = route(config, "order-to-crm")
            one["to"] = {"endpoint": "crm", "action": action, "object": "Opportunity", "transport": "bulk", **more}
            if program:
                one["map"] = program

        return salesforce(settings, change=change)

    return make


def insert(by, **more):
    return by("insert", external_id="Shopify_Order_Id__c", unique=True, **more)


def kill_at(gateway, crm, action, at, orders):
    crm.fault(action=action, at=at)
    gateway.burst(orders)
    wait_until(lambda: steps(crm).get(at))
    gateway.kill9()
    crm.clear_faults()


def seed(crm, orders):
    """{order id: id of its record}, made before."""
    ids = crm.call("POST", "records", [
        {"object": "Opportunity", "key": "Shopify_Order_Id__c",
         "fields": {"Shopify_Order_Id__c": str(order.id), "Name": f"seeded {order.id}", "StageName": "New",
                    "CloseDate": "2026-11-20"}} for order in orders])["ids"]
    return {str(order.id): one for order, one in zip(orders, ids)}


def with_ids(ids, rest=""):
    """A map that knows the records' ids."""
    table = ", ".join(f'"{order}": "{one}"' for order, one in ids.items())
    return "{" + table + "}[.id | tostring] | {Id: ." + rest + "}"


def delivered(gateway, n):
    wait_until(lambda: gateway.states("crm") == {"delivered": n}, "all are delivered")


# ---- jobs that are gone ----


def test_a_job_that_stood_open_for_a_day_is_gone_and_made_anew(salesforce, crm):  # noqa: F811
    gateway = salesforce(ONE_JOB)
    orders = byron_orders(6)
    kill_at(gateway, crm, "hang", "put", orders)
    crm.call("POST", "clock", {"advance_s": DAY_S + 60})
    gateway.start()
    check(gateway, crm, orders)
    assert [job.get("gone") for job in crm.books()["jobs"]] == ["open for 24 hours", None]


def test_an_upsert_whose_results_are_gone_after_a_week_is_made_again(salesforce, crm):  # noqa: F811
    gateway = salesforce(ONE_JOB)
    orders = byron_orders(6)
    kill_at(gateway, crm, "hang", "successful", orders)
    crm.call("POST", "clock", {"advance_s": 7 * DAY_S + 60})
    gateway.start()
    check(gateway, crm, orders, versions=2)  # the same state again: harmless
    assert len(crm.records("Opportunity")) == 6


def test_an_insert_whose_results_are_gone_after_a_week_is_looked_up_and_not_made_again(by, crm):
    gateway = insert(by)
    orders = byron_orders(6)
    kill_at(gateway, crm, "hang_after", "patch", orders)
    wait_until(lambda: crm.books()["jobs"][0]["state"] == "JobComplete")
    crm.call("POST", "clock", {"advance_s": 7 * DAY_S + 60})
    gateway.start()
    check(gateway, crm, orders)
    assert steps(crm)["put"] == 1 and steps(crm)["query"] == 1


# ---- rows that no file knows ----


def test_rows_over_the_days_allowance_are_in_no_file_and_go_again_when_there_is_room(salesforce, crm):  # noqa: F811
    gateway = salesforce({**ONE_JOB, "batch": {"records": 6, "age": "200ms"}})
    crm.call("POST", "limits", {"rows": {"max": 5, "used": 5}})
    orders = byron_orders(6)
    gateway.burst(orders)
    wait_until(lambda: crm.books()["rows"]["missing"] >= 6)
    assert crm.records("Opportunity") == []
    wait_until(lambda: gateway.states("crm").get("waiting"))
    assert any("in no result file" in str(one.get("reason")) and "it was not done" in one["reason"]
               for one in gateway.deliveries(state="waiting"))
    crm.call("POST", "limits", {"rows": {"max": 1000000, "used": 0}})
    check(gateway, crm, orders)
    assert steps(crm)["query"] >= 1


def test_a_row_that_was_written_and_is_in_no_file_is_found_and_not_sent_again(salesforce, crm):  # noqa: F811
    gateway = salesforce(ONE_JOB)
    orders = byron_orders(6)
    crm.fault(action="slow_job", at="Opportunity", ms=2500)  # it is written in a later second than the job was made
    crm.fault(action="rows_missing", at="Opportunity", keys=[str(orders[2].id)], written=True)
    gateway.burst(orders)
    check(gateway, crm, orders)
    assert steps(crm)["put"] == 1 and steps(crm)["query"] == 1
    assert {one["attempts"] for one in gateway.deliveries()} == {1}


def test_a_job_that_fails_as_a_whole_is_a_dead_letter_for_each_with_the_reason(by, crm):
    gateway = by("upsert", "{Shopify_Order_Id__c: (.id | tostring), Nonsense__c: 1}",
                 {**ONE_JOB, "describe_every": "0s"}, external_id="Shopify_Order_Id__c")
    gateway.burst(byron_orders(6))
    wait_until(lambda: gateway.states("crm") == {"dead": 6})
    assert "Nonsense__c" in gateway.deliveries(state="dead")[0]["reason"]
    assert steps(crm).get("query") is None  # nothing ran, so nobody is asked


# ---- orphans ----


def test_an_orphan_is_found_among_a_thousand_jobs_and_those_of_others_stay(salesforce, crm):  # noqa: F811
    crm.call("POST", "jobs", [{"object": "Opportunity", "externalIdFieldName": "Shopify_Order_Id__c",
                               "createdById": SOMEBODY}] * 1005 +
             [{"object": "Contact", "externalIdFieldName": "Shopify_Customer_Id__c"}])
    gateway = salesforce(ONE_JOB)
    orders = byron_orders(6)
    crm.fault(action="cut_after", at="create", count=1)
    gateway.burst(orders)
    check(gateway, crm, orders)
    jobs = crm.books()["jobs"]
    assert [job["moves"] for job in jobs if job.get("gone")] == [["Open", "Aborted"]]
    assert sum(job["state"] == "Open" for job in jobs) == 1006
    assert steps(crm)["list"] == 2 and steps(crm)["delete"] == 1


def test_finished_jobs_are_deleted_where_the_operator_wants_a_short_list(salesforce, crm):  # noqa: F811
    gateway = salesforce({**ONE_JOB, "delete_jobs": True})
    orders = byron_orders(6)
    gateway.burst(orders)
    check(gateway, crm, orders)
    wait_until(lambda: [job.get("gone") for job in crm.books()["jobs"]] == ["deleted"])


def test_finished_jobs_stay_where_nobody_says_so(salesforce, crm):  # noqa: F811
    gateway = salesforce(ONE_JOB)
    orders = byron_orders(6)
    gateway.burst(orders)
    check(gateway, crm, orders)
    assert stays(lambda: not steps(crm).get("delete"), 0.3)


# ---- insert, update, delete ----


@pytest.mark.parametrize("action, at", [("cut_after", "put"), ("cut_after", "patch"), ("torn", "successful")])
def test_an_insert_is_made_once_whatever_answer_is_lost(by, crm, action, at):
    gateway = insert(by)
    crm.fault(action=action, at=at, count=1)
    orders = byron_orders(6)
    gateway.burst(orders)
    check(gateway, crm, orders)


def test_an_insert_of_what_is_there_is_delivered_with_its_record(by, crm):
    orders = byron_orders(6)
    ids = seed(crm, orders[:2])
    gateway = insert(by)
    gateway.burst(orders)
    delivered(gateway, 6)
    assert len(crm.records("Opportunity")) == 6
    told = {one["subject"].rsplit("/", 1)[1]: one["reference"] for one in gateway.deliveries()}
    assert {order: told[order] for order in ids} == ids


def test_an_update_writes_the_records_by_their_ids(by, crm):
    orders = byron_orders(6)
    ids = seed(crm, orders)
    gateway = by("update", with_ids(ids, ', StageName: "Won"'))
    gateway.burst(orders)
    delivered(gateway, 6)
    assert {one["fields"]["StageName"] for one in crm.records("Opportunity")} == {"Won"}
    assert {one["reference"] for one in gateway.deliveries()} == set(ids.values())


def test_a_delete_that_is_repeated_finds_nothing_left_to_do(by, crm):
    orders = byron_orders(6)
    ids = seed(crm, orders)
    gateway = by("delete", with_ids(ids))
    kill_at(gateway, crm, "hang_after", "patch", orders)
    wait_until(lambda: crm.books()["jobs"][0]["state"] == "JobComplete")
    assert crm.records("Opportunity") == []
    crm.call("POST", "clock", {"advance_s": 7 * DAY_S + 60})  # nobody can say any more what became of it
    gateway.start()
    delivered(gateway, 6)
    assert {one["reference"] for one in gateway.deliveries()} <= set(ids.values()) | {None, ""}
    assert crm.books()["outcomes"]["Opportunity"]["ENTITY_IS_DELETED"] == 6
