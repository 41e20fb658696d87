"""A record that the CRM takes for a duplicate: a person sees which ones it could be, chooses, and that is what happens."""

import pytest

from flow.harness import byron_orders, demo_config, merge, route, wait_until

RULE = {"name": "Opportunities_DR", "object": "Opportunity", "fields": ["Name"], "message": "Use one of these?"}


@pytest.fixture
def gateway(make_gateway, crm):
    config = demo_config("http://unused", crm=crm.url)
    del config["endpoints"]["byron"]
    config["routes"].remove(route(config, "order-to-supplier"))
    merge(config["endpoints"]["crm"], {"batch": {"age": "100ms"}, "poll": {"first": "50ms", "cap": "200ms"},
                                       "retry": {"first": "100ms", "cap": "500ms"}})
    return make_gateway(config, {"DEMO_CRM_KEY": crm.private_key})


def there_already(crm, gateway, action="block"):
    """An order that somebody has put into the CRM by hand, without the shop's id; and the rule that finds it."""
    first, = byron_orders(1)
    gateway.post(first)
    wait_until(lambda: gateway.states("crm") == {"delivered": 1})
    name = crm.records("Opportunity")[0]["fields"]["Name"]
    crm.call("POST", "remove", {"ids": [crm.records("Opportunity")[0]["Id"]]})
    by_hand, = crm.call("POST", "records", [{"object": "Opportunity", "fields": {
        "Name": name, "StageName": "Prospecting", "CloseDate": "2026-11-01"}}])["ids"]
    crm.call("POST", "org", {"duplicate_rules": [{**RULE, "action": action}]})
    gateway.decide("replay", gateway.deliveries(state="delivered")[0]["id"], force=True)
    wait_until(lambda: gateway.states("crm") == {"held": 1})
    return first, by_hand


def choices(gateway, held):
    detail = gateway.get(f"/v1/deliveries/{held['id']}")["detail"]
    return {one["name"]: one for one in detail["choices"]}, detail


def test_the_record_that_was_chosen_is_updated_and_found_from_then_on(gateway, crm):
    order, by_hand = there_already(crm, gateway)
    held = gateway.delivery(state="held")
    assert held["hold_type"] == "duplicate"
    assert held["reason"].startswith("DUPLICATES_DETECTED: a duplicate rule of the org finds this Opportunity")
    offered, detail = choices(gateway, held)
    assert list(offered) == [f"use:{by_hand}", "release", "reject"]
    assert offered[f"use:{by_hand}"]["text"] == f"it is Opportunity {by_hand} (Opportunity_MR)"
    assert detail["owner"] == "crm-team" and detail["asked_by"] == "crm"
    assert detail["evidence"]["matches"] == [{"id": by_hand, "object": "Opportunity", "rule": "Opportunity_MR",
                                              "confidence": 100}]
    assert f"use:{by_hand}" in gateway.cli("held", "list").out

    gateway.kill9()  # while it is held
    gateway.start()
    gateway.decide("release", held["id"], choice=f"use:{by_hand}")
    wait_until(lambda: gateway.states("crm") == {"delivered": 1})
    record, = crm.records("Opportunity")
    assert record["Id"] == by_hand and record["fields"]["Shopify_Order_Id__c"] == str(order.id)
    assert record["fields"]["StageName"] == "Closed Won"
    assert gateway.delivery(state="delivered")["reference"] == by_hand

    # What comes of the same order later finds it by the external id.
    gateway.decide("replay", held["id"], force=True)
    wait_until(lambda: crm.records("Opportunity")[0]["versions"] >= 3 and gateway.states("crm") == {"delivered": 1})
    assert len(crm.records("Opportunity")) == 1


def test_one_that_is_new_after_all_is_saved_beside_it(gateway, crm):
    order, by_hand = there_already(crm, gateway, "alert")
    held = gateway.delivery(state="held")
    offered, _ = choices(gateway, held)
    assert list(offered) == [f"use:{by_hand}", "create", "release", "reject"]
    gateway.decide("release", held["id"], choice="create")
    wait_until(lambda: gateway.states("crm") == {"delivered": 1})
    both = {one["Id"]: one["fields"] for one in crm.records("Opportunity")}
    assert len(both) == 2 and not both[by_hand].get("Shopify_Order_Id__c")
    made, = set(both) - {by_hand}
    assert both[made]["Shopify_Order_Id__c"] == str(order.id)
    assert gateway.delivery(state="delivered")["reference"] == made


def test_sent_again_as_it_is_it_is_held_again_until_the_rule_is_changed(gateway, crm):
    there_already(crm, gateway)
    held = gateway.delivery(state="held")
    gateway.decide("release", held["id"], choice="release")
    wait_until(lambda: any(one["attempts"] > len(held["attempts"]) for one in gateway.deliveries(state="held")))
    crm.call("POST", "org", {"duplicate_rules": []})
    gateway.decide("release", held["id"], choice="release")
    wait_until(lambda: gateway.states("crm") == {"delivered": 1})


def test_who_drops_it_leaves_the_crm_as_it_is(gateway, crm):
    _, by_hand = there_already(crm, gateway)
    gateway.decide("reject", gateway.delivery(state="held")["id"], choice="reject")
    wait_until(lambda: gateway.states("crm") == {"dead": 1})
    record, = crm.records("Opportunity")
    assert record["Id"] == by_hand and record["fields"]["StageName"] == "Prospecting"
