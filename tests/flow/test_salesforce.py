"""Salesforce's Bulk API 2.0: batches, jobs that fail in part or are cut off, and crashes at every step."""

from decimal import Decimal

import pytest

from flow.harness import byron_orders, demo_config, merge, route, stays, wait_until

pytestmark = pytest.mark.plain  # tests/unit/plugins/test_salesforce*.c have its course

SETTINGS = {
    "poll": {"first": "50ms", "cap": "200ms"}, "batch": {"records": 500, "age": "200ms"},
    "retry": {"first": "100ms", "cap": "500ms"}, "breaker": {"min_calls": 1000},
    "timeout": {"first_byte": "2s", "total": "4s"}, "park": {"probe": "300ms"},
}
# six orders are one batch; and what is not answered is so until the test goes on
ONE_JOB = {"batch": {"records": 6, "age": "1h", "quick": "1h"}, "timeout": {"first_byte": "1m", "total": "2m"}}


@pytest.fixture
def salesforce(make_gateway, crm):
    """salesforce(settings): a gateway whose only destination is the CRM. `change`: what else the test changes."""

    def make(changes=None, change=None, **top):
        config = demo_config("http://unused", crm=crm.url, **top)
        del config["endpoints"]["byron"]
        config["routes"].remove(route(config, "order-to-supplier"))
        route(config, "order-to-crm")["to"]["transport"] = "bulk"  # however few they are
        endpoint = config["endpoints"]["crm"]
        merge(endpoint, SETTINGS)
        merge(endpoint, changes or {})
        if change:
            change(config)
        return make_gateway(config, {"DEMO_CRM_KEY": crm.private_key})

    return make


def check(gateway, crm, orders, versions=1):
    """Every order once, right to the cent, and every delivery knows its own record."""
    wait_until(lambda: gateway.states("crm").get("delivered") == len(orders), "all orders are in the CRM")
    records = {one["fields"]["Shopify_Order_Id__c"]: one for one in crm.records("Opportunity")}
    assert records.keys() == {str(order.id) for order in orders}
    for order in orders:
        record = records[str(order.id)]
        assert Decimal(record["fields"]["Amount"]) == Decimal(order.summary["total_price"])
        assert record["fields"]["Shopify_Order_Name__c"] == order.summary["name"]
        if versions:
            assert record["versions"] == versions, f"{order.id} was written {record['versions']} times"
    for one in gateway.deliveries(state="delivered"):
        assert one["reference"] == records[one["subject"].rsplit("/", 1)[1]]["Id"]


def read_all_files(crm, orders, at):
    """A file is asked for only while those before it leave something open: makes it so."""
    if at in ("failed", "unprocessed"):
        crm.fault(action="row_error", at="Opportunity", keys=[str(orders[0].id)], code="UNABLE_TO_LOCK_ROW", times=1)
    if at == "unprocessed":
        crm.fault(action="rows_missing", at="Opportunity", keys=[str(orders[1].id)], times=1)


def steps(crm):
    return crm.books()["requests"]["by_step"]


# ---- batches ----


def test_a_batch_leaves_when_it_is_full_and_not_before(salesforce, crm):
    gateway = salesforce({"batch": {"records": 10, "age": "1h", "quick": "1h"}})
    orders = byron_orders(25)
    gateway.burst(orders)
    wait_until(lambda: gateway.lane("crm")["delivered"] == 20 and gateway.lane("crm")["ready"] == 5)
    assert stays(lambda: gateway.lane("crm")["delivered"] == 20, 0.5)
    assert [one["rows"] for one in crm.books()["jobs"]] == [10, 10]


def test_a_batch_that_is_not_full_leaves_at_its_age(salesforce, crm):
    gateway = salesforce({"batch": {"records": 500, "age": "600ms"}})
    orders = byron_orders(25)
    gateway.burst(orders)
    check(gateway, crm, orders)
    jobs = crm.books()["jobs"]
    assert len(jobs) <= 3 and sum(one["rows"] for one in jobs) == 25
    assert gateway.lane("crm")["lag_ms_mean"] >= 300


def test_results_are_shuffled_and_yet_each_delivery_gets_its_own(salesforce, crm):
    gateway = salesforce()
    orders = byron_orders(80)
    gateway.burst(orders)
    check(gateway, crm, orders)  # references are compared record by record


# ---- rows that fail ----


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
    assert held["subject"].endswith(ambiguous) and held["hold_type"] == "duplicate"
    retried = next(one for one in gateway.deliveries(state="delivered") if one["subject"].endswith(locked))
    assert retried["attempts"] == 3
    # The others were not sent again on their account.
    assert {one["versions"] for one in crm.records("Opportunity")} == {1}

    crm.clear_faults()
    gateway.decide("replay", dead["id"])
    gateway.decide("release", held["id"])
    check(gateway, crm, orders)


def test_a_text_that_is_too_long_is_refused_before_the_upload_and_the_field_is_named(salesforce, crm, tmp_path):
    long_name = tmp_path / "long.jq"
    long_name.write_text("{Shopify_Order_Id__c: .id, Name: .name, StageName: \"Closed Won\", "
                         "CloseDate: .created_at[0:10], Note__c: .note, "
                         "LeadSource: (if .name | endswith(\"1\") then \"x\" * 41 else \"web\" end)}")
    gateway = salesforce()
    route(gateway.config, "order-to-crm")["map"] = {"file": str(long_name)}
    gateway.stop()
    gateway.write()
    gateway.start()
    orders = byron_orders(12)
    wrong = [order for order in orders if order.summary["name"].endswith("1")]
    assert wrong and len(wrong) < 12
    gateway.burst(orders)
    wait_until(lambda: gateway.states("crm") == {"delivered": 12 - len(wrong), "dead": len(wrong)})
    for dead in gateway.deliveries(state="dead"):
        assert dead["reason"].startswith("Opportunity.LeadSource is 41 characters long and takes at most 40")
    assert sum(job["rows"] for job in crm.books()["jobs"]) == 12 - len(wrong)  # they were never uploaded

    # The admin makes the field longer.
    crm.call("POST", "schema", {"Opportunity": {"fields": {"LeadSource": {"type": "string", "length": 60}}}})
    try:
        gateway.restart()
        gateway.decide("replay", *[one["id"] for one in gateway.deliveries(state="dead")])
        wait_until(lambda: gateway.states("crm") == {"delivered": 12})
    finally:
        crm.call("POST", "schema", {"Opportunity": {"fields": {"LeadSource": {"type": "string", "length": 40}}}})
    assert steps(crm)["describe"] == 2


def test_rows_of_which_no_result_file_knows_are_sent_again(salesforce, crm):
    gateway = salesforce()
    orders = byron_orders(10)
    crm.fault(action="rows_missing", at="Opportunity", every=4, count=1)
    gateway.burst(orders)
    wait_until(lambda: crm.books()["rows"]["missing"] > 0 or gateway.settled(10))
    crm.clear_faults()
    check(gateway, crm, orders)


def test_a_job_that_fails_half_way_leaves_only_the_rest_to_be_sent(salesforce, crm):
    gateway = salesforce()
    orders = byron_orders(10)
    crm.fault(action="job_failed", at="Opportunity", count=1,
              message="InternalServerError : something went wrong")
    gateway.burst(orders)
    check(gateway, crm, orders)
    assert crm.books()["jobs"][0]["state"] == "Failed"


# ---- answers that are lost, sessions that end ----


@pytest.mark.parametrize("at, action", [
    ("create", "cut_before"), ("create", "cut_after"), ("create", "status"), ("put", "cut_before"),
    ("put", "cut_after"), ("put", "status"), ("patch", "cut_before"), ("patch", "cut_after"), ("patch", "torn"),
    ("info", "torn"), ("info", "reset"), ("successful", "torn"), ("failed", "cut_before"),
    ("unprocessed", "unavailable_html"),
])
def test_whatever_answer_is_lost_every_row_is_written_once(salesforce, crm, at, action):
    gateway = salesforce()
    crm.fault(action=action, at=at, count=1)
    orders = byron_orders(6)
    read_all_files(crm, orders, at)
    gateway.burst(orders)
    check(gateway, crm, orders)
    books = crm.books()
    assert books["requests"]["faults"][action] == 1
    assert "Open" not in {job["state"] for job in books["jobs"]}


@pytest.mark.parametrize("at", ["create", "put", "patch", "info", "successful"])
def test_a_session_that_ends_in_the_middle_of_a_job_is_renewed_and_the_job_goes_on(salesforce, crm, at):
    gateway = salesforce(ONE_JOB)
    crm.fault(action="expired", at=at, count=1)
    orders = byron_orders(6)
    gateway.burst(orders)
    check(gateway, crm, orders)
    books = crm.books()
    assert books["tokens"]["issued"] == 2
    assert len(books["jobs"]) == 1
    assert books["requests"]["by_step"]["put"] == 1 + (at == "put")  # nothing was uploaded again


def test_an_outage_costs_time_and_nothing_else(salesforce, crm):
    gateway = salesforce({"breaker": {"min_calls": 2, "open": "300ms", "open_max": "500ms"}})
    crm.fault(action="unavailable", at="*")
    orders = byron_orders(20)
    gateway.burst(orders)
    wait_until(lambda: gateway.lane("crm")["breaker_trips"] >= 1)
    crm.clear_faults()
    check(gateway, crm, orders)


# ---- limits and logins ----


def test_the_daily_limit_parks_the_endpoint_with_one_alert_and_burns_nothing(salesforce, crm, alert_receiver):
    gateway = salesforce(alerts={"url": alert_receiver.url})
    crm.fault(action="limit_total", at="create")
    orders = byron_orders(4)
    gateway.burst(orders)
    wait_until(lambda: gateway.lane("crm")["parked"])
    assert "daily" in gateway.lane("crm")["park_why"]
    wait_until(lambda: alert_receiver.of("endpoint-parked", endpoint="crm"))
    assert {one["attempts"] for one in gateway.deliveries()} == {0}
    crm.clear_faults()
    gateway.cli("endpoints", "unpark", "crm")
    check(gateway, crm, orders)
    assert len(alert_receiver.of("endpoint-parked", stands=True)) == 1


def test_too_many_concurrent_requests_only_slow_the_lane_down(salesforce, crm):
    gateway = salesforce()
    crm.fault(action="status", at="create", status=403, count=1, headers={"Retry-After": "1"},
              body=[{"errorCode": "REQUEST_LIMIT_EXCEEDED",
                     "message": "ConcurrentRequests (Concurrent API Requests) Limit exceeded."}])
    orders = byron_orders(4)
    gateway.burst(orders)
    check(gateway, crm, orders)
    assert gateway.lane("crm")["throttled"] > 0
    assert {one["attempts"] for one in gateway.deliveries()} == {1}


def test_a_login_that_is_refused_parks_the_endpoint_until_it_is_mended(salesforce, crm):
    gateway = salesforce()
    crm.fault(action="oauth_error", at="token", error="invalid_grant",
              error_description="user hasn't approved this consumer")
    orders = byron_orders(3)
    gateway.burst(orders)
    wait_until(lambda: gateway.lane("crm")["parked"])
    assert "approved this consumer" in gateway.lane("crm")["park_why"]
    crm.clear_faults()
    check(gateway, crm, orders)


# ---- crashes ----


@pytest.mark.parametrize("action, at, uploads", [
    ("hang", "token", 1),         # nothing was sent yet
    ("hang_after", "create", 1),  # a job was made, and its id never learnt: it is found and removed
    ("hang", "put", 2),           # the id is known, the upload did not arrive
    ("hang_after", "put", 2),     # it did; but nobody can know, and a job takes one upload only
    ("hang", "patch", 1),         # uploaded and noted: the job only has to be closed
    ("hang_after", "patch", 1),   # closed, and the answer never came
    ("hang", "info", 1),          # it works on the rows
    ("hang", "successful", 1),    # it is done, the results are being fetched
    ("hang", "unprocessed", 1),
])
def test_a_crash_at_any_step_writes_every_row_once_and_uploads_again_only_where_it_must(
        salesforce, crm, action, at, uploads):
    again = 2 if at == "unprocessed" else 0  # rows that are to be sent again: they do not fill a batch
    gateway = salesforce({**ONE_JOB, "batch": {"records": 6, "age": "2s"}} if again else ONE_JOB)
    crm.fault(action=action, at=at)
    orders = byron_orders(6)
    read_all_files(crm, orders, at)
    gateway.burst(orders)
    wait_until(lambda: steps(crm).get(at))
    gateway.kill9()
    crm.clear_faults()
    gateway.start()
    check(gateway, crm, orders)
    assert uploads + bool(again) <= steps(crm)["put"] <= uploads + again
    books = crm.books()
    assert [job["state"] for job in books["jobs"]].count("Open") == 0
    assert all(job["puts_refused"] == 0 for job in books["jobs"])
    attempts = {one["attempts"] for one in gateway.deliveries()}
    assert max(attempts) <= 2


def test_sigterm_in_the_middle_of_a_job_leaves_it_to_the_next_start(salesforce, crm):
    gateway = salesforce({"batch": {"records": 6, "age": "1h", "quick": "1h"}}, limits={"drain": "200ms"})
    crm.fault(action="slow_job", at="Opportunity", ms=1500)
    orders = byron_orders(6)
    gateway.burst(orders)
    wait_until(lambda: steps(crm).get("info"))
    gateway.stop()
    gateway.start()
    check(gateway, crm, orders)
    assert steps(crm)["put"] == 1
