"""A route's `with`: the map needs rows of the CRM, which are looked up by the SKUs of the order - few questions
for many orders, and an order whose rows cannot be asked for waits, while all else goes on."""

import json
import re

import pytest

from flow.harness import byron_orders, demo_config, merge, stays, wait_until

pytestmark = pytest.mark.plain  # tests/unit/flow/test_with.c has its course

STANDARD_BOOK = "01s000000000001AAA"
PRICES = {"endpoint": "crm", "keys": "[.line_items[].sku]", "find": "PricebookEntry",
          "by": "Product2.StockKeepingUnit", "fields": ["UnitPrice"],
          "where": {"Pricebook2.IsStandard": "true", "IsActive": "true"}}
MAP = """. as $o | {
  Shopify_Order_Id__c: .id, Name: .name, StageName: "Closed Won", CloseDate: "2026-11-20",
  Note__c: ([.line_items[] | .sku as $sku | ($with.prices[$sku]
    // error("SKU \\($sku) of \\($o.name) has no active entry in the standard price book: make one, then replay this"))
    | "\\($sku) \\(.Id) \\(.UnitPrice)"] | join("\\n"))
}"""
QUICK = {"poll": {"first": "50ms", "cap": "200ms"}, "batch": {"records": 500, "age": "200ms"},
         "retry": {"first": "100ms", "cap": "500ms"}, "breaker": {"min_calls": 1000},
         "timeout": {"first_byte": "20s", "total": "30s"}}


def lines(order):
    return json.loads(order.body)["line_items"]


def skus(orders):
    return sorted({line["sku"] for order in orders for line in lines(order) if line["sku"]})


def sell(crm, names, price="12.50"):
    """The products, with entries in the standard price book; {sku: id of the entry}."""
    crm.call("POST", "records", [
        {"object": "Product2", "key": "Sku__c",
         "fields": {"Sku__c": sku, "Name": sku, "StockKeepingUnit": sku, "IsActive": True}} for sku in names])
    products = {one["fields"]["StockKeepingUnit"]: one["Id"] for one in crm.records("Product2")}
    book = next(one["Id"] for one in crm.records("Pricebook2") if one["fields"]["IsStandard"])
    crm.call("POST", "records", [
        {"object": "PricebookEntry", "key": "Ext__c",
         "fields": {"Ext__c": sku, "Pricebook2Id": book, "Product2Id": products[sku], "UnitPrice": price,
                    "IsActive": True}} for sku in names])
    return {one["fields"]["Ext__c"]: one["Id"] for one in crm.records("PricebookEntry")}


def with_sku(order):
    return all(line["sku"] for line in lines(order))


@pytest.fixture
def gateway(make_gateway, crm, byron, tmp_path):
    """gateway(changes of `prices`, of the endpoint, of the route): orders go to the CRM, and to byron."""

    def make(prices=None, endpoint=None, **more):
        config = demo_config(byron.url, crm=crm.url)
        merge(config["endpoints"]["crm"], merge(dict(QUICK), endpoint or {}))
        route = next(one for one in config["routes"] if one["name"] == "order-to-crm")
        (tmp_path / "prices.jq").write_text(MAP)
        route.update({"map": {"file": str(tmp_path / "prices.jq")}, "with": {"prices": merge(dict(PRICES), prices or {})}}, **more)
        return make_gateway(config, {"DEMO_CRM_KEY": crm.private_key})

    return make


def notes(crm):
    return {one["fields"]["Shopify_Order_Id__c"]: one["fields"]["Note__c"] for one in crm.records("Opportunity")}


def queries(crm):
    return crm.books()["requests"]["by_step"].get("query", 0)


def check(crm, orders, entries, price="12.5"):
    assert notes(crm) == {str(order.id): "\n".join(f"{line['sku']} {entries[line['sku']]} {price}"
                                                   for line in lines(order)) for order in orders}


def orders_with_skus(n):
    return [order for order in byron_orders(3 * n) if with_sku(order)][:n]


def test_a_map_sees_the_rows_of_its_skus(gateway, crm):
    orders = orders_with_skus(3)
    entries = sell(crm, skus(orders))
    g = gateway()
    for order in orders:
        assert g.post(order) == 200
    wait_until(lambda: g.states("crm").get("delivered") == 3)
    check(crm, orders, entries)


def test_three_hundred_orders_ask_a_few_times(gateway, crm):
    orders = orders_with_skus(300)
    entries = sell(crm, skus(orders))
    g = gateway()
    g.burst(orders)
    wait_until(lambda: g.states("crm").get("delivered") == 300)
    check(crm, orders, entries)
    # a question for each 50 ms at most, until all SKUs are known; held ones would have asked again
    assert 1 <= queries(crm) <= len(skus(orders)) / 4
    assert g.states().get("held", 0) == 0


def test_a_sku_without_an_entry_is_named_and_goes_once_there_is_one(gateway, crm):
    order = orders_with_skus(1)[0]
    missing = lines(order)[0]["sku"]
    entries = sell(crm, [sku for sku in skus([order]) if sku != missing] + ["OTHER"])
    g = gateway()
    assert g.post(order) == 200
    wait_until(lambda: [one for one in g.deliveries(state="dead") if one["route"] == "order-to-crm"])
    dead = next(one for one in g.deliveries(state="dead"))
    assert f"SKU {missing} of " in dead["reason"] and "make one, then replay" in dead["reason"]

    entries.update(sell(crm, [missing]))
    g.cli("dead", "replay", dead["id"])  # at once, though its not being there was remembered
    wait_until(lambda: g.states("crm").get("delivered") == 1)
    check(crm, [order], entries)


@pytest.mark.parametrize("fault", [{"action": "unavailable"}, {"action": "hang", "ms": 60000},
                                   {"action": "limit_total"}])
def test_orders_wait_while_the_crm_cannot_be_asked_and_all_else_goes_on(gateway, crm, byron, fault):
    orders = orders_with_skus(20)
    entries = sell(crm, skus(orders))
    g = gateway(endpoint={"timeout": {"first_byte": "3s", "total": "3s"}})
    crm.fault(at="query", **fault)
    g.burst(orders)
    wait_until(lambda: g.states("byron").get("delivered") == 20, "the supplier has its orders")
    wait_until(lambda: g.states().get("held") == 20)
    one = next(one for one in g.deliveries(state="held"))
    assert one["hold_type"] == "look-up" and re.search(r"prices: .*", one["reason"])
    shown = g.cli("events", "show", one["id"].split(".")[0]).json
    assert "look-up" in json.dumps(shown) and one["reason"] in json.dumps(shown)
    assert stays(lambda: notes(crm) == {}, 0.5)

    g.kill9()
    g.start()
    crm.clear_faults()
    g.cli("endpoints", "unpark", "crm", ok=False)
    wait_until(lambda: g.states("crm").get("delivered") == 20)
    check(crm, orders, entries)
    assert byron.books()["doubles"] == {} and g.states("byron") == {"delivered": 20}


def test_a_wrong_question_makes_dead_letters_that_say_so(gateway, crm):
    order = orders_with_skus(1)[0]
    g = gateway({"fields": ["No_Such_Field__c"]})
    g.post(order)
    wait_until(lambda: g.states().get("dead") == 1)
    assert "No_Such_Field__c" in next(iter(g.deliveries(state="dead")))["reason"]


def test_two_rows_of_one_sku_are_named(gateway, crm):
    order = orders_with_skus(1)[0]
    sku = lines(order)[0]["sku"]
    sell(crm, skus([order]))
    crm.call("POST", "records", [{"object": "Product2", "key": "Sku__c", "fields": {
        "Sku__c": "twin", "Name": "twin", "StockKeepingUnit": sku.lower(), "IsActive": True}}])
    product = next(one["Id"] for one in crm.records("Product2") if one["fields"]["Sku__c"] == "twin")
    book = next(one["Id"] for one in crm.records("Pricebook2"))
    crm.call("POST", "records", [{"object": "PricebookEntry", "key": "Ext__c", "fields": {
        "Ext__c": "twin", "Pricebook2Id": book, "Product2Id": product, "UnitPrice": "1", "IsActive": True}}])
    ids = [one["Id"] for one in crm.records("PricebookEntry") if one["fields"]["Ext__c"] in (sku, "twin")]
    g = gateway()
    g.post(order)
    wait_until(lambda: g.states().get("dead") == 1)
    reason = next(iter(g.deliveries(state="dead")))["reason"]
    assert sku in reason and "2 records have it" in reason and all(one in reason for one in ids)


def test_an_event_that_says_so_ends_what_was_kept(gateway, crm):
    first, second = (order for order in orders_with_skus(2))
    entries = sell(crm, skus([first, second]))
    g = gateway({"purge_on": ["products/update"], "for": "1h"})
    g.post(first)
    wait_until(lambda: g.states("crm").get("delivered") == 1)
    sell(crm, skus([first, second]), price="99.00")
    g.post(json.dumps({"id": 1, "updated_at": "2026-11-20T10:00:00Z"}).encode(), topic="products/update")
    wait_until(lambda: g.intake("received") == 2 and g.settled())
    g.post(second)
    wait_until(lambda: g.states("crm").get("delivered") == 2)
    assert notes(crm)[str(second.id)] == "\n".join(f"{line['sku']} {entries[line['sku']]} 99" for line in lines(second))


def test_a_dry_run_looks_rows_up_and_says_when_it_cannot(gateway, crm, tmp_path):
    order = orders_with_skus(1)[0]
    file = tmp_path / "order.json"
    file.write_bytes(order.body)
    g = gateway()

    def tried():
        said = g.cli("try", "--endpoint", "acme-shop", "--topic", "orders/create", file).json
        return next(one for one in said["deliveries"] if one["route"] == "order-to-crm")

    assert "has no active entry" in tried()["dead"]
    entries = sell(crm, skus([order]))
    assert entries[lines(order)[0]["sku"]] in tried()["body"]["Note__c"]  # what was not there is asked for again
    crm.fault(action="unavailable", at="query")
    file.write_bytes(json.dumps({**json.loads(order.body), "line_items": [{"sku": "NEW"}]}).encode())
    assert tried()["waits"].startswith("prices: ")
    assert g.status()["summary"]["events"] == 0
