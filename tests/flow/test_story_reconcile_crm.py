"""Did every order of the day arrive in the CRM, and does it still say what was sent? What did not is named, and sent again."""

import json

import pytest

from flow.harness import byron_orders, demo_config, merge, route, sluice, wait_until

SETTINGS = {"poll": {"first": "50ms", "cap": "200ms"}, "batch": {"records": 500, "age": "200ms"},
            "retry": {"first": "100ms", "cap": "500ms"}, "breaker": {"min_calls": 1000}}


@pytest.fixture
def gateway(make_gateway, crm):
    config = demo_config("http://unused", crm=crm.url)
    del config["endpoints"]["byron"]
    config["routes"].remove(route(config, "order-to-supplier"))
    merge(config["endpoints"]["crm"], SETTINGS)
    route(config, "order-to-crm")["from"]["topic"] = ["orders/create", "orders/updated"]
    return make_gateway(config, {"DEMO_CRM_KEY": crm.private_key})


def deliver(gateway, crm, orders):
    gateway.burst(orders)
    wait_until(lambda: gateway.states("crm").get("delivered") == len(orders), "all orders are in the CRM")
    return {one["fields"]["Shopify_Order_Id__c"]: one for one in crm.records("Opportunity")}


def report(gateway, **options):
    words = [word for name, value in options.items() for word in (f"--{name}", value)]
    return gateway.cli("report", "reconcile", "--endpoint", "crm", "--route", "order-to-crm", "--since", "24h", *words,
                       ok=False)


def change(crm, order, **fields):
    """Somebody edits a record by hand."""
    crm.call("POST", "records", [{"object": "Opportunity", "key": "Shopify_Order_Id__c",
                                  "fields": {"Shopify_Order_Id__c": str(order.id), **fields}}])


def test_what_is_missing_and_what_was_changed_by_hand_are_named(gateway, crm):
    orders = byron_orders(12)
    records = deliver(gateway, crm, orders)
    done = report(gateway)
    assert done.code == 0, done
    assert (done.json["arrived"], done.json["missing"], done.json["differing"]) == (12, 0, 0)
    assert done.json["deliveries"] == 12 and done.json["findings"] == [] and done.json["error"] is None

    gone, edited = orders[3], orders[7]
    crm.call("POST", "remove", {"ids": [records[str(gone.id)]["Id"]]})
    change(crm, edited, Amount=1.5)
    asked = crm.books()["requests"]["by_step"].get("query", 0)
    done = report(gateway)
    assert done.code == 7
    assert (done.json["arrived"], done.json["missing"], done.json["differing"]) == (10, 1, 1)
    assert crm.books()["requests"]["by_step"]["query"] == asked + 1  # one call for all of them
    found = {one["what"]: one for one in done.json["findings"]}
    assert found["missing"]["subject"].endswith(f"/{gone.id}") and found["differs"]["subject"].endswith(f"/{edited.id}")
    assert found["differs"]["text"] == f'Amount: sent "{edited.summary["total_price"]}", there 1.5'
    assert str(gone.id) in found["missing"]["text"]

    # For people: who, what, and the command that sends them again. It does.
    text = sluice("report", "reconcile", "--endpoint", "crm", "--route", "order-to-crm", "-c", gateway.file,
                  env=gateway.env)
    assert text.code == 7 and "12 deliveries of order-to-crm to crm: 10 arrived, 1 missing, 1 differing" in text.out
    command = text.out.split("sluice ")[-1].split()
    assert command[:3] == ["dead", "replay", "--force"] and len(command) == 5
    gateway.cli(*command)
    wait_until(lambda: report(gateway).code == 0, "all is there again")


def test_what_a_later_delivery_wrote_over_is_no_difference(gateway, crm):
    orders = byron_orders(3)
    deliver(gateway, crm, orders)
    body = json.loads(orders[0].body)
    body["total_price"] = body["current_total_price"] = "4711.00"
    body["updated_at"] = "2027-01-01T00:00:00Z"
    assert gateway.post(json.dumps(body).encode(), topic="orders/updated") == 200
    wait_until(lambda: gateway.states("crm").get("delivered") == 4)
    done = report(gateway)
    assert (done.code, done.json["arrived"], done.json["outdated"], done.json["differing"]) == (0, 3, 1, 0), done.json


def test_more_than_one_page_and_more_than_is_named(gateway, crm):
    orders = byron_orders(450)
    records = deliver(gateway, crm, orders)
    crm.call("POST", "remove", {"ids": [records[str(order.id)]["Id"] for order in orders[::3]]})
    done = report(gateway, limit="20")
    assert done.code == 7
    assert (done.json["deliveries"], done.json["arrived"], done.json["missing"]) == (450, 300, 150)
    assert len(done.json["findings"]) == 20


def calls(crm, before):
    """What was asked since: step -> how often."""
    now = crm.books()["requests"]["by_step"]
    return {step: n - before.get(step, 0) for step, n in now.items() if n != before.get(step, 0)}


@pytest.mark.plain  # it is about time and pace
def test_a_day_of_many_orders_is_compared_by_one_bulk_query(gateway, crm):
    orders = byron_orders(1200)
    records = deliver(gateway, crm, orders)
    gone, edited = orders[311], orders[1107]
    crm.call("POST", "remove", {"ids": [records[str(gone.id)]["Id"]]})
    change(crm, edited, Amount=1.5)
    before = crm.books()["requests"]["by_step"]
    done = report(gateway)
    assert done.code == 7 and done.json["error"] is None, done
    assert (done.json["deliveries"], done.json["arrived"]) == (1200, 1198)
    assert (done.json["missing"], done.json["differing"], done.json["unsure"]) == (1, 1, 0)
    found = {one["what"]: one for one in done.json["findings"]}
    assert found["missing"]["subject"].endswith(f"/{gone.id}") and found["differs"]["subject"].endswith(f"/{edited.id}")
    assert found["differs"]["text"] == f'Amount: sent "{edited.summary["total_price"]}", there 1.5'

    # By REST it would have been six calls of 200 keys.
    wait_until(lambda: calls(crm, before).get("query-delete") == 1, "the query job is taken away")
    used = calls(crm, before)
    assert 1 <= used.pop("query-info") <= 4  # it is asked for until it is done, later and later
    assert used == {"query-create": 1, "query-results": 1, "query-delete": 1}


def test_what_cannot_be_asked_is_said(gateway, crm):
    deliver(gateway, crm, byron_orders(2))
    done = gateway.cli("report", "reconcile", "--endpoint", "crm", "--route", "nope", ok=False)
    assert done.code == 4 and 'no route "nope"' in done.err + done.out
    done = gateway.cli("report", "reconcile", "--endpoint", "acme-shop", "--route", "order-to-crm", ok=False)
    assert done.code == 4
    crm.fault(action="status", at="query", status=400)
    done = report(gateway)
    assert done.code == 1 and done.json["state"] == "failed" and done.json["error"]
    crm.clear_faults()
    assert report(gateway).code == 0
    gateway.cli("endpoints", "pause", "crm")
    done = report(gateway)
    assert done.code == 5 and "paused" in done.err + done.out
