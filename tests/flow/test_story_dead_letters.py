"""Dead letters mended and replayed, in a dry run first.

A mapping bug makes twenty dead letters of two kinds. The issues say that there are two things to mend, the
mapping is mended, a dry run shows what would go out and how it differs, and the replay sends each once - over
a kill as well.
"""

import json

import pytest

from flow.harness import (QUICK, byron_orders, demo_config, http_endpoint, merge, messages, route, sluice,
                          wait_until)

BROKEN = ('if (.order_number % 2) == 0 then error("no warehouse for order \\(.name)") '
          'else {id, name, total: (.total_price + 1)} end')
HALF_MENDED = ('if (.order_number % 2) == 0 then error("no warehouse for order \\(.name)") '
               'else {id, name, total: .total_price} end')
MENDED = '{id, name, total: .total_price, warehouse: "north"}'
ORDERS = byron_orders(20)


@pytest.fixture
def gateway(make_gateway, byron, erp):
    config = demo_config(byron.url)
    merge(config["endpoints"], {"byron": None, "erp": http_endpoint(erp, idempotent=False, **QUICK)})
    config["routes"] = [
        {"name": "order-to-erp", "from": {"endpoint": "acme-shop", "topic": "orders/create"}, "map": BROKEN,
         "to": {"endpoint": "erp", "action": "request.send", "method": "POST", "path": "/orders"}}]
    return make_gateway(config)


def mend(gateway, program):
    route(gateway.config, "order-to-erp")["map"] = program
    gateway.write()
    gateway.restart()


def twenty_dead_letters(gateway):
    for order in ORDERS:
        assert gateway.post(order) == 200
    wait_until(lambda: gateway.states() == {"dead": 20})


def names(erp):
    return sorted(one["name"] for one in messages(erp))


def issue_states(gateway):
    return {one["reason"]: (one["state"], one["dead"]) for one in gateway.cli("issues").json}


def ended(gateway, replay):
    status = gateway.cli("replay", "status", replay).json
    return status if status["state"] != "running" else None


def test_dead_letters_are_mended_and_replayed_in_a_dry_run_first(gateway, erp):
    twenty_dead_letters(gateway)

    # two things to mend, not twenty
    issues = gateway.cli("issues", "--state", "open").json
    assert [one["class"] for one in issues] == ["mapping"] * 2
    assert sum(one["dead"] for one in issues) == sum(one["count"] for one in issues) == 20
    warehouse = next(one for one in issues if "warehouse" in one["reason"])
    assert warehouse["reason"] == "map: no warehouse for order ##"
    assert gateway.metrics()['sluice_issues{state="open"}'] == 2
    gateway.cli("issues", "ack", warehouse["id"], "--why", "the catalogue team has it")
    assert gateway.cli("issues", "show", warehouse["id"]).json["acknowledged"]["why"] == "the catalogue team has it"
    assert len(gateway.cli("dead", "list", "--issue", warehouse["id"]).json) == warehouse["dead"]
    assert len(gateway.cli("dead", "list", "--error", "cannot be added", "--since", "1h").json) == 20 - warehouse["dead"]

    # before it is mended the dry run says that it would be of no use; nothing is changed
    plan = gateway.cli("replay", "--remap", "--dry-run").json
    assert (plan["total"], plan["would"], plan["skipped"]) == (20, 0, 20)
    assert all(one["pieces"][0]["would"] == "dead" for one in plan["items"])

    mend(gateway, MENDED)
    plan = gateway.cli("replay", "--remap", "--dry-run").json
    assert (plan["total"], plan["would"], plan["refused"]) == (20, 20, 0)
    piece = plan["items"][0]["pieces"][0]
    assert (piece["would"], piece["endpoint"], piece["action"]) == ("send", "erp", "request.send")
    assert json.loads(piece["body"])["warehouse"] == "north"
    assert gateway.states() == {"dead": 20} and messages(erp) == []

    # at ten a second; the process dies in the middle of it, and it goes on where it stopped
    begun = gateway.cli("replay", "--dead", "--remap", "--rate", "10/s", "--why", "the mapping is mended").json
    assert begun["matched"] == 20
    wait_until(lambda: len(erp.books()["messages"]) >= 4)
    gateway.kill9()
    gateway.start()
    status = wait_until(lambda: ended(gateway, begun["id"]), "the replay has ended")
    assert status["state"] == "done"
    wait_until(lambda: gateway.states().keys() <= {"dead", "discarded", "delivered", "held"}, "nothing is under way")
    held = gateway.deliveries(state="held")  # what was under way at the kill: whether it arrived is asked of a person
    for one in held:
        arrived = json.loads(gateway.get(f"/v1/deliveries/{one['id']}")["body"])["name"] in names(erp)
        gateway.decide("arrived" if arrived else "release", one["id"])
    wait_until(lambda: gateway.states() == {"discarded": 20, "delivered": 20})
    assert names(erp) == sorted(order.summary["name"] for order in ORDERS)  # each once
    status = gateway.cli("replay", "status", begun["id"]).json
    assert (status["replayed"], status["delivered"], status["dead_again"]) == (20, 20, [])
    sent = gateway.get(f"/v1/deliveries/{gateway.deliveries(state='delivered')[0]['id']}")
    assert sent["priority"] == "low"  # live traffic goes first

    # the issues have resolved themselves; one comes again, and is open again
    assert set(issue_states(gateway).values()) == {("resolved", 0)}
    mend(gateway, HALF_MENDED)
    for order in byron_orders(2, first=40):
        gateway.post(order)
    wait_until(lambda: "dead" in gateway.states())
    assert issue_states(gateway)["map: no warehouse for order ##"][0] == "open"
    again = gateway.cli("issues", "show", warehouse["id"]).json
    assert again["reopened"] == 1 and again["acknowledged"] is None


def test_a_replay_stops_at_a_new_class_of_failure_and_says_which(gateway, erp):
    twenty_dead_letters(gateway)
    mend(gateway, MENDED)
    erp.fault(action="status", at="message", status=422)
    for nothing in (gateway.cli("replay", "--remap", ok=False).code, gateway.api("POST", "/v1/replay", {"remap": True})[0]):
        assert nothing in (2, 400) and gateway.get("/v1/replays") == []  # all of them only if that is said
    begun = gateway.cli("replay", "--dead", "--remap", "--rate", "5").json
    status = wait_until(lambda: ended(gateway, begun["id"]), "the replay has stopped")
    assert status["state"] == "stopped" and "422" in status["end"] and "issue" in status["end"]
    assert status["done"] < 20
    assert gateway.cli("replay", "cancel", begun["id"], ok=False).code == 5
    assert gateway.cli("replay", "status", "99", ok=False).code == 4


def test_a_payload_is_edited_and_replayed_under_a_new_key(gateway, erp):
    mend(gateway, MENDED)
    erp.fault(action="status", at="message", status=422, count=1)
    gateway.post(ORDERS[0])
    wait_until(lambda: gateway.states() == {"dead": 1})
    before = gateway.delivery(state="dead")
    edited = json.dumps({**json.loads(before["body"]), "warehouse": "south"})
    assert gateway.cli("deliveries", "edit", before["id"], "--body", "-", "--why", "x", ok=False, stdin="{no").code == 2
    assert gateway.cli("deliveries", "edit", before["id"], "--body", "-", ok=False, stdin=edited).code == 2
    gateway.cli("deliveries", "edit", before["id"], "--body", "-", "--why", "north is closed", stdin=edited)
    wait_until(lambda: gateway.states() == {"delivered": 1})
    after = gateway.delivery(state="delivered")
    message, = erp.books()["messages"]
    assert json.loads(message["raw"])["warehouse"] == "south"
    assert after["key"] != before["key"] and json.loads(after["body"])["warehouse"] == "south"
    assert after["edits"][0]["body"] == before["body"]
    move = next(one for one in after["moves"] if one["reason"].startswith("edited: north is closed"))
    assert after["edits"][0]["body_sha256"] in move["reason"] and move["who"].startswith("uid")
    assert gateway.cli("deliveries", "edit", after["id"], "--body", "-", "--why", "no", ok=False, stdin="{}").code == 5


def test_what_was_edited_is_not_carried_over_by_a_mapping_and_it_says_so(gateway, erp):
    mend(gateway, MENDED)
    erp.fault(action="status", at="message", status=422, id="no")
    gateway.post(ORDERS[0])
    wait_until(lambda: gateway.states() == {"dead": 1})
    dead = gateway.delivery(state="dead")
    edited = json.dumps({**json.loads(dead["body"]), "warehouse": "south"})
    gateway.cli("deliveries", "edit", dead["id"], "--body", "-", "--why", "north is closed", stdin=edited)
    wait_until(lambda: gateway.states() == {"dead": 1} and gateway.delivery()["generation"] > dead["generation"] + 1)
    erp.clear_faults()

    (dry,) = gateway.cli("dead", "replay", dead["id"], "--remap", "--dry-run").json["results"]
    assert dry["edit_lost"] and dry["text"].endswith("; what was edited is not carried over")
    assert "edit_lost" not in gateway.cli("dead", "replay", dead["id"], "--dry-run").json["results"][0]
    (item,) = gateway.cli("replay", "--remap", "--dry-run").json["items"]
    assert item["edit_lost"] and item["pieces"][0]["changes"] == [
        {"path": "/warehouse", "before": "south", "after": "north"}]
    said = sluice("dead", "replay", dead["id"], "--remap", "-c", gateway.file)
    assert said.code == 0 and "warning: what a person edited in 1 of them is not carried over" in said.err
    wait_until(lambda: gateway.states() == {"discarded": 1, "delivered": 1})
    assert messages(erp)[-1]["warehouse"] == "north"


def test_a_new_route_is_given_old_events_once(gateway, erp):
    mend(gateway, MENDED)
    for order in ORDERS[:6]:
        gateway.post(order)
    wait_until(lambda: gateway.states() == {"delivered": 6})
    erp.reset()
    gateway.config["routes"].append(
        {"name": "order-to-archive", "from": {"endpoint": "acme-shop", "topic": "orders/*"}, "map": "{archived: .name}",
         "to": {"endpoint": "erp", "action": "request.send", "method": "POST", "path": "/archive"}})
    gateway.write()
    gateway.restart()
    assert messages(erp) == []  # by itself nothing is done to old events
    plan = gateway.cli("replay", "--route", "order-to-archive", "--since", "1h", "--dry-run").json
    assert (plan["total"], plan["would"]) == (6, 6)
    for _ in range(2):
        begun = gateway.cli("replay", "--route", "order-to-archive", "--since", "1h", "--rate", "50", "--wait").json
        assert begun["state"] == "done"
    wait_until(lambda: gateway.states() == {"delivered": 12})
    archived = sorted(one["archived"] for one in messages(erp))
    assert archived == sorted(order.summary["name"] for order in ORDERS[:6])
    plan = gateway.cli("replay", "--route", "order-to-archive", "--since", "1h", "--dry-run").json
    assert plan["total"] == 0
    assert gateway.cli("replay", "--route", "nobody", "--since", "1h", ok=False).code == 4
