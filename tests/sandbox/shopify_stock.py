"""Inventory: set and adjusted by the app, with a comparison before it is changed, and by the merchant behind its back.

`shop.indexes["ledger"]["all"]` has every change of a quantity in order, and who made it.
"""

import collections
import urllib.parse

from sandbox.shopify_catalogue import level_id, level_of, quantity, variant_by_sku
from sandbox.shopify_graphql import Refused, Wrong
from sandbox.shopify_stock_moves import change

LIMIT = 1_000_000_000
COMPARED_SINCE, ANYWHERE_SINCE = "2026-04", "2026-10"
SET, ADJUSTED = ("available", "on_hand"), ("available", "damaged", "incoming", "quality_control", "reserved",
                                           "safety_stock")
REASONS = ("correction", "cycle_count_available", "damaged", "movement_canceled", "movement_created",
           "movement_received",
           "movement_updated", "other", "promotion", "quality_control", "received", "reservation_created",
           "reservation_deleted", "reservation_updated", "restock", "safety_stock", "shrinkage")


WRONG_NAME = {"INVALID_NAME": "The quantity name must be either 'available' or 'on_hand'.", "INVALID_QUANTITY_NAME":
              f"The specified quantity name is invalid. Valid values are: {', '.join(ADJUSTED)}."}


def is_uri(text):
    try:
        return bool(urllib.parse.urlsplit(text).scheme)
    except ValueError:
        return False


def is_internal(text):
    return text.startswith("gid://shopify/")


def checked(given, names, name_code):
    """The errors of what stands over the rows."""
    document = given.get("referenceDocumentUri")
    if given["name"] not in names:
        yield ["input", "name"], WRONG_NAME[name_code], name_code
    if given["reason"] not in REASONS:
        yield ["input",
               "reason"], f"The specified reason is invalid. Valid values are: {', '.join(REASONS)}.", "INVALID_REASON"
    if document is not None and (not is_uri(document) or is_internal(document)):
        yield ["input",
               "referenceDocumentUri"], "The specified reference document is invalid.", "INVALID_REFERENCE_DOCUMENT"


def compared(rows, call, kind):
    """From 2026-04 on every row says what it changes from, if only null."""
    if call.since(COMPARED_SINCE) and any("changeFromQuantity" not in one for one in rows):
        raise Refused(f"{kind} must include the following argument: changeFromQuantity.", "INVALID_FIELD_ARGUMENTS")


def row_errors(shop, call, row, path, name):
    """What both ways of changing check of a row."""
    item = shop.find(row["inventoryItemId"], "InventoryItem")
    place = shop.find(row["locationId"], "Location")
    if item is None:
        yield [*path, "inventoryItemId"], "The specified inventory item could not be found.", "INVALID_INVENTORY_ITEM"
    elif item.get("bundle"):
        yield [*path, "inventoryItemId"], "The specified inventory item is not allowed to be adjusted via API.", (
            "NON_MUTABLE_INVENTORY_ITEM")
    if place is None or not place.isActive:
        yield [*path, "locationId"], "The specified location could not be found.", "INVALID_LOCATION"
    if item is None or place is None:
        return
    level = level_of(shop, item["id"], place["id"])
    if level is None and not call.since(ANYWHERE_SINCE):  # its code is no more in the schema of today
        yield [*path, "locationId"], "The specified inventory item is not stocked at the location.", None
    expected = row.get("changeFromQuantity")
    if expected is not None and expected != quantity(level, name):
        yield [*path, "changeFromQuantity"], "The changeFromQuantity value does not match the persisted quantity.", (
            "CHANGE_FROM_QUANTITY_STALE")


def size_error(value, path, signed=True):
    if value > LIMIT:
        yield path, "The quantity can't be higher than 1,000,000,000.", "INVALID_QUANTITY_TOO_HIGH"
    elif value < -LIMIT:
        yield path, "The quantity can't be lower than -1,000,000,000.", "INVALID_QUANTITY_TOO_LOW"
    elif value < 0 and not signed:
        yield path, "The quantity can't be negative.", "INVALID_QUANTITY_NEGATIVE"


def stop(errors):
    found = [{"field": field, "message": message, "code": code} for field, message, code in errors]
    if found:
        raise Wrong.many(found)


# ---- set ----

def set_errors(shop, call, given):
    name, pairs = given["name"], [(one["inventoryItemId"], one["locationId"]) for one in given["quantities"]]
    seen = collections.Counter(pairs)
    yield from checked(given, SET, "INVALID_NAME")
    for at, row in enumerate(given["quantities"]):
        path = ["input", "quantities", str(at)]
        if seen[pairs[at]] > 1:
            yield [*path, "locationId"], "The combination of inventoryItemId and locationId must be unique.", (
                "NO_DUPLICATE_INVENTORY_ITEM_ID_GROUP_ID_PAIR")
        yield from size_error(row["quantity"], [*path, "quantity"], signed=False)
        yield from row_errors(shop, call, row, path, name if name in SET else "available")


def set_quantities(shop, call, given):
    compared(given["quantities"], call, "InventoryQuantityInput")
    stop(set_errors(shop, call, given))
    moved = []
    for row in given["quantities"]:
        level = level_of(shop, row["inventoryItemId"], row["locationId"], make=True)
        delta = row["quantity"] - quantity(level, given["name"])
        if delta:  # a set of on_hand is one of available, by as much: the other parts are others' business
            change(shop, level, by=call.app, available=delta)
            moved.append((level, "available", delta, None))
    return group(shop, given, moved)


# ---- adjust ----

def adjust_errors(shop, call, given):
    name = given["name"]
    yield from checked(given, ADJUSTED, "INVALID_QUANTITY_NAME")
    documents = {row.get("ledgerDocumentUri") for row in given["changes"]}
    if len(documents) > 1:
        yield ["input", "changes"], "All changes must have the same ledger document URI or, in the case of adjusting " \
                                    "available, no ledger document URI.", "MAX_ONE_LEDGER_DOCUMENT"
    for at, row in enumerate(given["changes"]):
        path, document = ["input", "changes", str(at)], row.get("ledgerDocumentUri")
        where = [*path, "ledgerDocumentUri"]
        if name == "available" and document:
            yield where, "A ledger document URI is not allowed when adjusting available.", "INVALID_AVAILABLE_DOCUMENT"
        elif name != "available" and not document:
            yield where, "A ledger document URI is required except when adjusting available.", "INVALID_QUANTITY_DOCUMENT"
        elif document and is_internal(document):
            yield where, "Internal (gid://shopify/) ledger documents are not allowed to be adjusted via API.", (
                "INTERNAL_LEDGER_DOCUMENT")
        elif document and not is_uri(document):
            yield where, "The specified ledger document is invalid.", "INVALID_LEDGER_DOCUMENT"
        level = level_of(shop, row["inventoryItemId"], row["locationId"])
        after = (quantity(level, name) if name in ADJUSTED else 0) + row["delta"]
        yield from size_error(after, [*path, "delta"])
        yield from row_errors(shop, call, row, path, name if name in ADJUSTED else "available")


def adjust_quantities(shop, call, given):
    compared(given["changes"], call, "InventoryChangeInput")
    stop(adjust_errors(shop, call, given))
    moved = []
    for row in given["changes"]:
        if row["delta"]:
            level = level_of(shop, row["inventoryItemId"], row["locationId"], make=True)
            change(shop, level, by=call.app, **{given["name"]: row["delta"]})
            moved.append((level, given["name"], row["delta"], row.get("ledgerDocumentUri")))
    return group(shop, given, moved)


def group(shop, given, moved):
    """What the platform shows of a change; nothing if nothing changed."""
    if not moved:
        return None
    made = shop.add("InventoryAdjustmentGroup", reason=given["reason"],
                    referenceDocumentUri=given.get("referenceDocumentUri"), changes=[])
    for level, name, delta, document in moved:
        for one in (name, *(["on_hand"] if name != "incoming" else [])):
            made.changes.append({"name": one, "delta": delta, "item": shop.find(level.item),
                                 "location": shop.find(level.location), "quantityAfterChange": None,
                                 "ledgerDocumentUri": document})
    return made


# ---- the merchant, at the shop's own desk ----

def by_hand(shop, one):
    """{"sku" or "item", "location", "available" or "delta"}: somebody counts, or sells at the counter."""
    item = one.get("item") or variant_by_sku(shop, one["sku"]).inventoryItem
    level = level_of(shop, item, one["location"], make=True)
    delta = one["delta"] if "delta" in one else one["available"] - level.quantities["available"]
    if delta:
        with shop.action():
            change(shop, level, by="merchant", available=delta)
    return level


def told(shop):
    return [{"sku": shop.find(one.item).sku, "item": one.item, "location": one.location, **one.quantities,
             "on_hand": quantity(one, "on_hand")} for one in shop.all("InventoryLevel")]


def install(engine):
    shop = engine.shop

    @engine.mutation("inventorySetQuantities")
    def set_all(source, args, call):
        return {"inventoryAdjustmentGroup": set_quantities(shop, call, args["input"])}

    @engine.mutation("inventoryAdjustQuantities")
    def adjust_all(source, args, call):
        return {"inventoryAdjustmentGroup": adjust_quantities(shop, call, args["input"])}

    @engine.field("InventoryAdjustmentGroup", "changes")
    def changes(source, args, call):
        def kept(one):
            return all(wanted is None or value in wanted for wanted, value in (
                (args.get("quantityNames"), one["name"]), (args.get("inventoryItemIds"), one["item"]["id"]),
                (args.get("locationIds"), one["location"]["id"])))
        return [one for one in source.changes if kept(one)]

    engine.field("InventoryAdjustmentGroup", "app")(lambda source, args, call: None)

    @engine.mutation("inventoryActivate")
    def activate(source, args, call):
        if shop.find(args["inventoryItemId"], "InventoryItem") is None:
            raise Wrong(["inventoryItemId"], "The product couldn't be stocked because it wasn't found.")
        if shop.find(args["locationId"], "Location") is None:
            raise Wrong(["locationId"], "The product couldn't be stocked because the location wasn't found.")
        known = shop.find(level_id(args["inventoryItemId"], args["locationId"]))
        names = [name for name in ("available", "onHand") if args.get(name) is not None]
        where = shop.find(args["locationId"]).name
        if len(names) > 1:
            raise Wrong.many([{"field": [name],
                               "message": f"The product couldn't be stocked at {where} because not allowed "
                               "to set available and on_hand quantities at the same time."} for name in names])
        if known is not None and known.isActive and names:
            words = {"available": "available", "onHand": "an on_hand"}[names[0]]
            raise Wrong(names, f"Not allowed to set {words} quantity when the item is already active at the location.")
        level = level_of(shop, args["inventoryItemId"], args["locationId"], make=True)
        level.isActive = True
        if known is None:
            shop.changed("InventoryLevel", level["id"], "inventory_levels/connect")
        for name in names:
            change(shop, level, by=call.app, available=args[name])
        return {"inventoryLevel": level}
