"""A fulfillment service's place in the shop: which requests it hears of, and what its answers change."""

from sandbox.shopify_catalogue import level_of, quantity, variant_by_sku
from sandbox.shopify_ship import retrack
from sandbox.shopify_stock_moves import change as change_level

REQUESTS = {"fulfillment_orders/fulfillment_request_submitted": "FULFILLMENT_REQUEST",
            "fulfillment_orders/cancellation_request_submitted": "CANCELLATION_REQUEST"}


def service_of(shop, gid=None):
    """The service of this id; the first one unless told."""
    return shop.find(gid, "FulfillmentService") if gid else next(iter(shop.all("FulfillmentService")), None)


def requests_of(shop, change):
    """[(service, kind)] that a change asks: the service of the fulfillment order's location, if it has an address."""
    kind, found = REQUESTS.get(change.topic), shop.find(change.id)
    location = shop.find(found.location) if kind and found is not None else None
    service = shop.find(location.service) if location is not None and location.service else None
    return [(service, kind)] if service is not None and service.callbackUrl else []


def stocked(shop, service, levels):
    """What lies at the service's location: the number is on-hand, and what is committed is a part of it."""
    out = {}
    with shop.action():
        for sku, on_hand in levels.items():
            variant = variant_by_sku(shop, sku)
            if variant is None:
                continue
            level = level_of(shop, variant.inventoryItem, service.location, make=True)
            if quantity(level, "on_hand") != on_hand:
                change_level(shop, level, available=on_hand - quantity(level, "on_hand"))
            out[sku] = on_hand
    return out


def fulfilments(shop, service):
    """(name, thing) of the fulfilments at the service's location; a name is one as webhooks have it: #1042.1."""
    for one in shop.all("Fulfillment"):
        if one.location == service.location:
            yield one.document["name"], one


def unfinished(shop, service):
    """Names of those without a number yet."""
    return [name for name, one in fulfilments(shop, service)
            if not one.document["tracking_numbers"] and one.status != "CANCELLED"]


def tracked(shop, service, numbers):
    """Numbers of parcels, by the name of their fulfilment."""
    out = {}
    with shop.action():
        for name, one in list(fulfilments(shop, service)):
            if name not in numbers:
                continue
            retrack(shop, one, {"company": one.document["tracking_company"], "number": numbers[name]})
            out[name] = numbers[name]
    return out
