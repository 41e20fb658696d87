"""Inventory: compare and set, keys that last 24 hours, all the codes, and quantities that add up."""

import pytest

from sandbox.client import Process
from sandbox.shopify_catalogue import MAIN_LOCATION, add_location, add_variant, level_of, quantity
from sandbox.shopify_desk import Desk

NAMES = ("available", "on_hand", "committed")


@pytest.fixture
def desk():
    desk = Desk()
    desk.items = [add_variant(desk.shop, sku, stock={MAIN_LOCATION: 10}).inventoryItem for sku in ("GEAR", "PLATE")]
    return desk


def row(item, count, expected=None, place=MAIN_LOCATION, **more):
    return {"inventoryItemId": item, "locationId": place, "quantity": count, "changeFromQuantity": expected, **more}


def rows(*all, name="available", **more):
    return {"name": name, "reason": "correction", "quantities": list(all), **more}


def delta(item, by, name="available", **more):
    return {"name": name, "reason": "correction", "changes": [
        {"inventoryItemId": item, "locationId": MAIN_LOCATION, "delta": by, "changeFromQuantity": None, **more}]}


def has(desk, item, *names):
    level = level_of(desk.shop, item, MAIN_LOCATION)
    return [quantity(level, one) for one in names or NAMES]


def test_available_is_set_and_on_hand_follows(desk):
    item = desk.items[0]
    made = desk.do("InventorySetQuantities", key="k1", input=rows(row(item, 7, 10), referenceDocumentUri="erp://7"))
    group = made["inventoryAdjustmentGroup"]
    assert (group["reason"], group["referenceDocumentUri"]) == ("correction", "erp://7")
    assert [(one["name"], one["delta"], one["quantityAfterChange"]) for one in group["changes"]] == [
        ("available", -3, None), ("on_hand", -3, None)]
    assert has(desk, item) == [7, 7, 0] and desk.topics() == ["inventory_levels/update"]


def test_on_hand_is_safe_against_what_is_not_shipped_yet(desk):
    item = desk.items[0]
    desk.buy(("GEAR", 4))
    desk.do("InventorySetQuantities", key="k", input=rows(row(item, 20, 10), name="on_hand"))
    assert has(desk, item) == [16, 20, 4]


def test_what_changed_meanwhile_is_not_overwritten_and_nothing_else_of_the_call_either(desk):
    first, second = desk.items
    desk.buy(("PLATE", 1))
    wrong = desk.wrong("InventorySetQuantities", key="k", input=rows(row(first, 5, 10), row(second, 5, 10)))
    assert wrong == (["input", "quantities", "1", "changeFromQuantity"],
                     "The changeFromQuantity value does not match the persisted quantity.",
                     "CHANGE_FROM_QUANTITY_STALE")
    assert has(desk, first) == [10, 10, 0] and has(desk, second) == [9, 10, 1]
    desk.do("InventorySetQuantities", key="k2", input=rows(row(first, 5, 10), row(second, 5, None)))
    assert has(desk, second) == [5, 6, 1]


def test_an_unchanged_quantity_is_no_group(desk):
    made = desk.do("InventorySetQuantities", key="k", input=rows(row(desk.items[0], 10, 10)))
    assert made["inventoryAdjustmentGroup"] is None


def test_without_a_key_or_without_the_comparison_nothing_is_done(desk):
    text = desk.documents["InventorySetQuantities"].replace("@idempotent(key: $key)", "").replace(", $key: String!", "")
    answer = desk.answer(text, input=rows(row(desk.items[0], 1)))
    assert answer["data"] == {"inventorySetQuantities": None}
    error, = answer["errors"]
    assert (error["message"], error["extensions"], error["path"]) == (
        "The @idempotent directive is required for this mutation but was not provided.", {"code": "BAD_REQUEST"},
        ["inventorySetQuantities"])
    bare = {name: value for name, value in row(desk.items[0], 1).items() if name != "changeFromQuantity"}
    assert desk.refused("InventorySetQuantities", key="k", input=rows(bare)) == (
        "InventoryQuantityInput must include the following argument: changeFromQuantity.", "INVALID_FIELD_ARGUMENTS")
    old = {**rows(), "quantities": [{**row(desk.items[0], 1), "compareQuantity": 10}]}
    assert desk.refused("InventorySetQuantities", key="k", input=old)[1] == "INVALID_VARIABLE"
    literal = """mutation { inventorySetQuantities(input: {name: "available", reason: "other", quantities: [{
        inventoryItemId: "%s", locationId: "%s", quantity: 3, changeFromQuantity: null}]}) @idempotent(key: "lit")
        { userErrors { message } } }""" % (desk.items[0], MAIN_LOCATION)
    assert desk.do(literal) == {"userErrors": []} and has(desk, desk.items[0]) == [3, 3, 0]


def test_older_versions_want_neither():
    desk = Desk(version="2026-01")
    item = add_variant(desk.shop, "GEAR", stock={MAIN_LOCATION: 10}).inventoryItem
    text = desk.documents["InventorySetQuantities"].replace("@idempotent(key: $key)", "").replace(", $key: String!", "")
    desk.do(text, input={"name": "available", "reason": "other", "quantities": [
        {"inventoryItemId": item, "locationId": MAIN_LOCATION, "quantity": 3}]})
    assert has(desk, item) == [3, 3, 0]


def test_a_key_is_good_for_one_thing_and_for_24_hours(desk):
    item = desk.items[0]
    first = desk.do("InventoryAdjustQuantities", key="k", input=delta(item, 5))
    again = desk.do("InventoryAdjustQuantities", key="k", input=delta(item, 5))
    assert first == again and has(desk, item, "available") == [15]
    assert desk.wrong("InventoryAdjustQuantities", key="k",
                      input=delta(item, 6))[2] == "IDEMPOTENCY_KEY_PARAMETER_MISMATCH"
    desk.do("InventoryAdjustQuantities", app="other app", key="k", input=delta(item, 1))
    stale = rows(row(item, 1, 99))
    assert desk.wrong("InventorySetQuantities", key="s", input=stale)[2] == "CHANGE_FROM_QUANTITY_STALE"
    assert desk.wrong("InventorySetQuantities", key="s", input=stale)[2] == "IDEMPOTENCY_PREVIOUS_ATTEMPT_FAILED"
    desk.shop.advance(24 * 3600 - 5)
    desk.do("InventoryAdjustQuantities", key="k", input=delta(item, 5))
    assert has(desk, item, "available") == [16]
    desk.shop.advance(10)
    desk.do("InventoryAdjustQuantities", key="k", input=delta(item, 5))
    assert has(desk, item, "available") == [21]


@pytest.mark.parametrize("change, code, field", [
    (lambda one: one.update(name="damaged"), "INVALID_NAME", ["input", "name"]),
    (lambda one: one.update(reason="why not"), "INVALID_REASON", ["input", "reason"]),
    (lambda one: one.update(referenceDocumentUri="gid://shopify/Order/1"), "INVALID_REFERENCE_DOCUMENT",
     ["input", "referenceDocumentUri"]),
    (lambda one: one["quantities"][0].update(inventoryItemId="gid://shopify/InventoryItem/0"), "INVALID_INVENTORY_ITEM",
     ["input", "quantities", "0", "inventoryItemId"]),
    (lambda one: one["quantities"][0].update(locationId="gid://shopify/Location/0"), "INVALID_LOCATION",
     ["input", "quantities", "0", "locationId"]),
    (lambda one: one["quantities"][0].update(quantity=-1), "INVALID_QUANTITY_NEGATIVE",
     ["input", "quantities", "0", "quantity"]),
    (lambda one: one["quantities"][0].update(quantity=1_000_000_001), "INVALID_QUANTITY_TOO_HIGH",
     ["input", "quantities", "0", "quantity"]),
])
def test_what_cannot_be_set(desk, change, code, field):
    given = rows(row(desk.items[0], 1))
    change(given)
    assert desk.wrong("InventorySetQuantities", key="k", input=given)[::2] == (field, code)
    assert has(desk, desk.items[0]) == [10, 10, 0]


@pytest.mark.parametrize("given, code", [
    ({"name": "on_hand"}, "INVALID_QUANTITY_NAME"), ({"name": "committed"}, "INVALID_QUANTITY_NAME"),
    ({"name": "damaged"}, "INVALID_QUANTITY_DOCUMENT"),
    ({"ledgerDocumentUri": "erp://1"}, "INVALID_AVAILABLE_DOCUMENT"),
    ({"name": "damaged", "ledgerDocumentUri": "gid://shopify/Order/1"}, "INTERNAL_LEDGER_DOCUMENT"),
    ({"name": "damaged", "ledgerDocumentUri": "not one"}, "INVALID_LEDGER_DOCUMENT"),
    ({"by": 1_000_000_000}, "INVALID_QUANTITY_TOO_HIGH"), ({"by": -2_000_000_000}, "INVALID_QUANTITY_TOO_LOW")])
def test_what_cannot_be_adjusted(desk, given, code):
    given = dict(given)
    by, name = given.pop("by", 1), given.pop("name", "available")
    payload = desk.ask("InventoryAdjustQuantities", key="k", input=delta(desk.items[0], by, name, **given))
    assert code in [one["code"] for one in payload["userErrors"]]


def test_other_quantities_are_adjusted_with_a_document_and_count_as_on_hand(desk):
    item = desk.items[0]
    desk.do("InventoryAdjustQuantities", key="k", input=delta(item, 2, "damaged", ledgerDocumentUri="erp://count/1"))
    assert has(desk, item, "available", "damaged", "on_hand") == [10, 2, 12]


def test_a_level_stands_in_a_call_once(desk):
    one = row(desk.items[0], 1)
    errors = desk.ask("InventorySetQuantities", key="k", input=rows(one, one))["userErrors"]
    assert [(of["field"][2:], of["code"]) for of in errors] == [
        ([at, "locationId"], "NO_DUPLICATE_INVENTORY_ITEM_ID_GROUP_ID_PAIR") for at in "01"]


def test_250_rows_are_the_most(desk):
    many = [row(desk.items[0], 1)] * 251
    assert desk.refused("InventorySetQuantities", key="k", input=rows(*many)) == (
        "The input array size of 251 is greater than the maximum allowed of 250.", "MAX_INPUT_SIZE_EXCEEDED")


def test_from_2026_10_on_any_place_will_do_and_before_it_must_be_stocked_there(desk):
    place = add_location(desk.shop, "Annex")["id"]
    desk.version = "2026-07"
    assert "not stocked" in desk.wrong("InventorySetQuantities", key="a",
                                       input=rows(row(desk.items[0], 3, place=place)))[1]
    desk.version = "2026-10"
    desk.do("InventorySetQuantities", key="b", input=rows(row(desk.items[0], 3, 0, place=place)))
    found = desk.ask("VariantsBySku", query="sku:'GEAR'")["nodes"][0]["inventoryItem"]["inventoryLevels"]["nodes"]
    assert {one["location"]["id"]: {of["name"]: of["quantity"] for of in one["quantities"]} for one in found} == {
        MAIN_LOCATION: {"available": 10, "on_hand": 10, "committed": 0},
        place: {"available": 3, "on_hand": 3, "committed": 0}}


def test_an_item_is_activated_once(desk):
    place = add_location(desk.shop, "Annex")["id"]
    asked = {"inventoryItemId": desk.items[0], "locationId": place, "available": 4}
    made = desk.do("InventoryActivate", key="a", **asked)["inventoryLevel"]["id"]
    assert made.startswith("gid://shopify/InventoryLevel/") and "?inventory_item_id=" in made
    assert desk.wrong("InventoryActivate", key="b", **asked)[0] == ["available"]


def test_variants_are_found_by_several_skus_at_once(desk):
    for at in range(30):
        add_variant(desk.shop, f"X-{at:02}")
    names = " OR ".join(f'sku:"X-{at:02}"' for at in range(9))
    assert [one["sku"] for one in desk.ask("VariantsBySku", query=names)["nodes"]] == [f"X-{at:02}" for at in range(9)]
    text = "query($q: String) { inventoryItems(first: 5, query: $q) { nodes { sku } } }"
    assert desk.ask(text, q="sku:x-1")["nodes"] == [{"sku": f"X-1{at}"} for at in range(5)]
    assert desk.ask(text, q="sku:none")["nodes"] == []


def test_a_sku_may_be_that_of_two_variants_and_a_shop_may_have_none():
    desk = Desk()
    assert desk.ask("VariantsBySku", query="sku:GEAR")["nodes"] == []
    two = [add_variant(desk.shop, "GEAR")["id"] for _ in range(2)]
    assert [one["id"] for one in desk.ask("VariantsBySku", query="sku:gear")["nodes"]] == two


def test_the_merchant_counts_as_well_and_the_ledger_says_who():
    with Process("shopify_admin") as process:
        process.call("POST", "variants", [{"sku": "GEAR", "stock": {MAIN_LOCATION: 5}}])
        process.call("POST", "stock", [{"sku": "GEAR", "location": MAIN_LOCATION, "delta": -2}])
        told = process.call("GET", "stock")
        level, = told["levels"]
        assert (level["sku"], level["available"], level["on_hand"]) == ("GEAR", 3, 3)
        assert [(one["name"], one["delta"], one["after"], one["by"]) for one in told["ledger"]] == [
            ("available", -2, 3, "merchant")]
