"""The main job: a signed order webhook becomes one order at each of its suppliers and one opportunity."""

import base64
import copy
import json
import uuid
from decimal import Decimal

import pytest

from flow.harness import (OLD_SECRET, SECRET, SHOP, byron_orders, check_supplier, demo_config, nord_orders,
                          orders_of, route, stays, supplier_order, wait_until)
from sandbox.client import request
from sandbox.orders import BYRON, NORD, UNMAPPED, OrderFactory, to_bytes
from sandbox.shopify import sign


@pytest.fixture
def whole(make_gateway, byron, nord, crm):
    """The demo's gateway: both suppliers and the CRM."""
    config = demo_config(byron.url, nord.url, crm.url, endpoints={"crm": {"batch": {"age": "300ms"}}})
    return make_gateway(config, {"DEMO_CRM_KEY": crm.private_key})


def check_opportunities(crm, orders, written_once=True):
    """Each order once in the CRM, its id, money and texts exact."""
    records = {one["fields"]["Shopify_Order_Id__c"]: one for one in crm.records("Opportunity")}
    assert records.keys() == {str(order.summary["id"]) for order in orders}
    for order in orders:
        sent, record = order.summary, records[str(order.summary["id"])]
        fields = record["fields"]
        assert record["versions"] == 1 or not written_once, f"{sent['name']} was written {record['versions']} times"
        assert Decimal(fields["Amount"]) == Decimal(sent["total_price"])
        assert fields["Shopify_Order_Name__c"] == sent["name"]
        assert fields["Currency__c"] == sent["currency"]
        assert fields["CloseDate"] == sent["created_at"][:10]
        assert fields["StageName"] == "Closed Won"
        assert (fields.get("Note__c") or None) == sent["note"]


def test_orders_reach_each_of_their_suppliers_once_and_salesforce_once(whole, byron, nord, crm):
    orders = [order for order in OrderFactory(seed=3).orders(60) if not order.summary["unmapped"]]
    assert {len(order.summary["vendors"]) for order in orders} == {1, 2}
    assert all(order.summary["id"] > 2**53 for order in orders)

    numbers, books = whole.burst(orders, duplicates=0.1)
    assert books["final"] == {"delivered": len(orders) + len(numbers["twice"])}
    wait_until(lambda: whole.settled(len(orders)), "everything is delivered")

    check_supplier(byron.books(), BYRON, orders)
    check_supplier(nord.books(), NORD, orders)
    check_opportunities(crm, orders)
    status = whole.status()
    assert status["intake"]["received"] == len(orders)
    assert status["intake"]["duplicates"] == len(numbers["twice"])
    assert not {"dead", "held"} & whole.states().keys()


def test_an_accepted_order_says_so_as_an_event_of_its_own(suppliers, byron):
    suppliers.post(byron_orders()[0])
    wait_until(lambda: suppliers.lane("byron")["delivered"] == 1)
    delivery = suppliers.delivery(endpoint="byron")
    order = byron.books()["orders"][0]
    assert delivery["state"] == "delivered" and delivery["reference"] == order["id"]
    assert delivery["links"][0]["kind"] == "po" and delivery["links"][0]["id"] == order["id"]
    accepted = suppliers.get("/v1/events", topic="supplier/accepted")
    assert len(accepted) == 1 and accepted[0]["subject"] == delivery["subject"]
    assert accepted[0]["origin"] == "emitted"


# ---- duplicates ----


def test_a_webhook_sent_again_is_answered_200_and_delivered_once(suppliers, byron):
    order, webhook_id = byron_orders()[0], str(uuid.uuid4())
    assert [suppliers.post(order, webhook_id=webhook_id) for _ in range(3)] == [200] * 3
    wait_until(suppliers.settled)
    assert suppliers.intake("duplicates") == 2
    check_supplier(byron.books(), BYRON, [order])


def test_a_captured_body_under_a_new_webhook_id_is_caught_by_the_event_key(suppliers, byron):
    order = byron_orders()[0]
    assert suppliers.post(order) == 200
    wait_until(lambda: suppliers.lane("byron")["delivered"] == 1)
    assert suppliers.post(order) == 200
    wait_until(lambda: suppliers.intake("same_events") == 1)
    newest = wait_until(lambda: [one for one in suppliers.get("/v1/events") if one["duplicate_of"]])[0]
    assert newest["duplicate_of"] == 1 and newest["deliveries"] == {}
    assert len(byron.books()["orders"]) == 1


def test_an_order_is_submitted_once_however_many_events_match(make_gateway, byron, nord):
    config = demo_config(byron.url, nord.url)
    config["routes"][0]["from"]["topic"] = ["orders/create", "orders/updated"]
    suppliers = make_gateway(config)
    factory = OrderFactory(seed=1)
    order = byron_orders()[0]
    suppliers.post(order)
    wait_until(lambda: suppliers.lane("byron")["delivered"] == 1)
    suppliers.post(factory.updated(order), topic="orders/updated")  # a later version: another event of the same subject
    wait_until(lambda: suppliers.states().get("superseded") == 1)
    assert suppliers.delivery(state="superseded")["reason"].startswith("once: ")
    assert len(byron.books()["orders"]) == 1


# ---- who may come in ----


@pytest.mark.fault("F14")
def test_a_bad_signature_is_401_and_nothing_is_stored(suppliers, byron):
    """Of another secret, short by a bit, a byte or a letter, no base64, empty, none: one answer for all."""
    order = byron_orders()[0]
    good = sign(SECRET, order.body)
    digest = base64.b64decode(good)
    wrong = [sign("not-the-secret", order.body), good[:-1], good[:20], "AAAA", "=", "", None, digest.hex(), good + good,
             base64.b64encode(digest[:31]).decode(), base64.b64encode(digest + b"\0").decode(),
             base64.b64encode(bytes([digest[0] ^ 1]) + digest[1:]).decode(), sign(SECRET, order.body + b" ")]
    answers = set()
    for signature in wrong:
        headers = {"Content-Type": "application/json", "X-Shopify-Topic": "orders/create",
                   "X-Shopify-Shop-Domain": SHOP, "X-Shopify-Webhook-Id": "one",
                   **({} if signature is None else {"X-Shopify-Hmac-Sha256": signature})}
        status, _, body = request(suppliers.url, "POST", "/in/acme-shop", order.body, headers)
        answers.add((status, body))
    assert len(answers) == 1 and answers.pop()[0] == 401
    assert suppliers.intake("bad_signature") == len(wrong)
    assert suppliers.status()["summary"]["events"] == 0
    assert byron.books()["orders"] == []
    assert suppliers.post(order, webhook_id="one") == 200  # and the id is not taken


def test_both_secrets_are_good_while_one_is_being_rotated(suppliers, byron):
    first, second = byron_orders(2)
    assert suppliers.post(first) == 200
    assert suppliers.post(second, secret=OLD_SECRET) == 200
    wait_until(suppliers.settled)
    check_supplier(byron.books(), BYRON, [first, second])


def test_an_unknown_endpoint_is_404(suppliers):
    order = byron_orders()[0]
    for path in ("/in/acme", "/in/", "/", "/in/byron", "/acme-shop"):
        assert suppliers.post(order, path=path) == 404
    assert suppliers.intake("unknown_path") == 5


@pytest.mark.fault("F11")
def test_a_body_that_is_too_large_is_413_and_an_ordinary_one_passes_after_it(make_gateway, byron):
    gateway = make_gateway(demo_config(byron.url, limits={"body": "64KiB"}))
    order = byron_orders()[0]
    assert gateway.post(order.body + b" " * 65536) == 413
    assert gateway.intake("too_large") == 1
    assert gateway.post(order) == 200


def test_another_shop_s_webhook_is_400_although_it_is_signed(suppliers):
    order = byron_orders()[0]
    assert suppliers.post(order, headers={"X-Shopify-Shop-Domain": "other.myshopify.com"}) == 400
    assert suppliers.status()["summary"]["events"] == 0


# ---- what a person decides ----


def test_an_unmapped_vendor_is_held_and_released_to_the_supplier_that_a_person_names(suppliers, byron):
    order = orders_of(UNMAPPED)[0]
    suppliers.post(order)
    wait_until(lambda: suppliers.states().get("held") == 1)
    listed = suppliers.cli("held", "list").json
    rows = listed if isinstance(listed, list) else listed["deliveries"]
    assert [one["hold_type"] for one in rows] == ["unmapped-vendor"]
    suppliers.cli("held", "release", rows[0]["id"], "--to", "byron")
    wait_until(lambda: suppliers.lane("byron")["delivered"] == 1)
    body = byron.books()["orders"][0]["body"]
    assert {**body, "external_id": None} == {**supplier_order(order.summary, UNMAPPED), "external_id": None}
    moves = suppliers.delivery(endpoint="byron")["moves"]
    assert any(one["who"].startswith("uid ") and one["state"] == "ready" for one in moves)


def test_a_vendor_whose_name_holds_a_nul_is_held_as_any_unknown_one(suppliers):
    body = json.dumps({"id": 820982911946154508, "updated_at": "2026-11-20T09:15:32Z", "name": "#1",
                       "line_items": [{"id": 1, "vendor": "Byron\x00Gears", "sku": "x", "quantity": 1}]}).encode()
    assert b"\\u0000" in body
    assert suppliers.post(body) == 200
    wait_until(lambda: suppliers.settled(1), "it is routed")
    assert suppliers.delivery(state="held")["hold_type"] == "unmapped-vendor"


def test_the_mapped_part_of_a_mixed_order_goes_while_the_rest_is_held(suppliers, byron):
    order = orders_of(BYRON, UNMAPPED)[0]
    suppliers.post(order)
    wait_until(lambda: suppliers.lane("byron")["delivered"] == 1)
    check_supplier(byron.books(), BYRON, [order])
    assert suppliers.delivery(state="held")["piece"] == UNMAPPED


def test_what_the_supplier_rejects_is_a_dead_letter_and_replay_sends_it_under_a_new_key(suppliers, byron):
    order = byron_orders()[0]
    byron.fault(action="status", at="order", status=422, count=1,
                body={"error": {"code": "unknown_sku", "message": "no such sku: GEAR"}})
    suppliers.post(order)
    wait_until(lambda: suppliers.states().get("dead") == 1)
    dead = suppliers.delivery(state="dead")
    assert "no such sku: GEAR" in dead["reason"] and len(dead["attempts"]) == 1
    rejected = suppliers.get("/v1/events", topic="supplier/rejected")
    assert len(rejected) == 1 and rejected[0]["subject"] == dead["subject"]

    shown = suppliers.cli("dead", "show", dead["id"]).json
    assert shown["id"] == dead["id"]
    suppliers.cli("dead", "replay", dead["id"])
    wait_until(lambda: suppliers.lane("byron")["delivered"] == 1)
    check_supplier(byron.books(), BYRON, [order])
    keys = [one["key"] for one in suppliers.delivery(endpoint="byron")["attempts"]]
    assert len(keys) == 2 and keys[0] != keys[1]  # it was definitely not done: a new generation
    assert keys[0].rsplit("-", 1)[0] == keys[1].rsplit("-", 1)[0]


def test_a_discarded_dead_letter_is_gone_until_it_is_replayed(suppliers, byron):
    byron.fault(action="status", at="order", status=422, count=1)
    suppliers.post(byron_orders()[0])
    wait_until(lambda: suppliers.states().get("dead") == 1)
    suppliers.cli("dead", "discard", suppliers.delivery()["id"])
    assert suppliers.states() == {"discarded": 1}
    assert len(byron.books()["orders"]) == 0


def test_a_dry_run_says_what_would_be_sent_where_and_sends_nothing(suppliers, byron, nord, tmp_path):
    order = orders_of(BYRON, NORD)[0]
    file = tmp_path / "order.json"
    file.write_bytes(order.body)
    said = suppliers.cli("try", "--endpoint", "acme-shop", "--topic", "orders/create", file).json
    assert said["subject"].endswith(f"/{order.summary['id']}")
    assert {one["piece"]: one["to"] for one in said["deliveries"]} == {BYRON: "byron", NORD: "nord"}
    bodies = {one["piece"]: one["body"] for one in said["deliveries"]}
    assert bodies[BYRON]["order_id"] == str(order.summary["id"])
    assert stays(lambda: suppliers.status()["summary"]["events"] == 0, 0.3)
    assert byron.books()["orders"] == nord.books()["orders"] == []


# ---- what cannot be understood is kept ----


def test_a_signed_body_that_is_no_json_is_taken_and_becomes_a_dead_letter_with_the_reason(suppliers):
    assert suppliers.post(b'{"id": 12, ') == 200
    wait_until(lambda: suppliers.states().get("dead") == 1)
    event = suppliers.get("/v1/events")[0]
    assert "not a JSON object" in event["note"]
    assert "not a JSON object" in suppliers.delivery(state="dead")["reason"]


def test_a_route_s_when_decides_which_events_it_takes(make_gateway, byron):
    config = demo_config(byron.url)
    first, second = byron_orders(2)
    route(config, "order-to-supplier")["when"] = f'.id == "{second.summary["id"]}"'
    gateway = make_gateway(config)
    assert gateway.post(first) == 200 and gateway.post(second) == 200
    wait_until(lambda: gateway.settled(2))
    assert gateway.states() == {"delivered": 1}
    check_supplier(byron.books(), BYRON, [second])


def test_a_program_that_fails_makes_a_dead_letter_and_remap_mends_it(make_gateway, byron):
    config = demo_config(byron.url)
    good = copy.deepcopy(config)
    route(config, "order-to-supplier")["split"] = '{key: "Byron Gears", body: error("no luck with " + .name)}'
    gateway = make_gateway(config)
    order = byron_orders()[0]
    assert gateway.post(order) == 200
    wait_until(lambda: gateway.states().get("dead") == 1)
    dead = gateway.delivery(state="dead")
    assert f"no luck with {order.summary['name']}" in dead["reason"]
    gateway.stop()
    gateway.write(good)
    gateway.start()
    gateway.cli("dead", "replay", dead["id"], "--remap")
    wait_until(lambda: gateway.lane("byron")["delivered"] == 1)
    check_supplier(byron.books(), BYRON, [order])


def test_money_and_ids_pass_in_every_spelling_of_json(suppliers, byron, nord):
    orders = []
    for at, style in enumerate(["plain", "ascii", "slash", "html"]):
        order = nord_orders(1, seed=20 + at)[0]
        order.body = to_bytes(order.document, style)
        assert json.loads(order.body) == order.document
        orders.append(order)
        assert suppliers.post(order) == 200
    wait_until(lambda: suppliers.settled(len(orders)))
    check_supplier(nord.books(), NORD, orders)
    assert byron.books()["orders"] == []
