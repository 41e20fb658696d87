"""Stock that moves because of orders: committed when they are routed, gone when they are shipped, back when not.

Only items that are tracked and stocked at the place are counted. on_hand is the sum of its parts, so it follows.
"""

from sandbox.shopify_catalogue import level_of, variant_of


def move(shop, line, location, **deltas):
    """Adds to the named quantities of a line's item at a location."""
    variant = variant_of(shop, line)
    level = variant and level_of(shop, variant.inventoryItem, location)
    if level is None or not shop.find(variant.inventoryItem).tracked:
        return
    change(shop, level, **deltas)


def change(shop, level, by="orders", **deltas):
    """Every change of a quantity comes through here, and is kept with who made it."""
    level.updatedAt = shop.stamp()
    ledger = shop.indexes["ledger"].setdefault("all", [])
    for name, delta in deltas.items():
        level.quantities[name] += delta
        level.changedAt[name] = level.changedAt["on_hand"] = level.updatedAt
        ledger.append({"level": level["id"], "name": name, "delta": delta, "after": level.quantities[name], "by": by})
    shop.changed("InventoryLevel", level["id"], "inventory_levels/update")


def commit(shop, line, location, count):
    move(shop, line, location, available=-count, committed=count)


def release(shop, line, location, count):
    """Not to be shipped any more, and for sale again."""
    commit(shop, line, location, -count)


def drop(shop, line, location, count):
    """Not to be shipped any more, and not for sale again either."""
    move(shop, line, location, committed=-count)


def ship(shop, line, location, count):
    drop(shop, line, location, count)


def receive(shop, line, location, count):
    """What came back is for sale again."""
    move(shop, line, location, available=count)
