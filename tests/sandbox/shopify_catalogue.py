"""What the shop sells and where it lies: locations, fulfillment services, products, variants, inventory items."""

import bisect
import re

from sandbox.shopify_graphql import Rows, Wrong
from sandbox.shopify_search import Beginning, Search, moment_of_field
from sandbox.shopify_shop import gid, number_of

MAIN_LOCATION = gid("Location", 70000000101)
PLACE = {"address1": "1 Mill Yard", "address2": None, "city": "Leeds", "country": "United Kingdom", "countryCode": "GB",
         "phone": None, "province": "England", "provinceCode": "ENG", "zip": "LS1 4AP"}


def begin(shop):
    add_location(shop, "Mill Yard", MAIN_LOCATION)


def add_location(shop, name, id=None, service=None, active=True):
    return shop.add("Location", id, name=name, isActive=active, fulfillsOnlineOrders=active,
                    isFulfillmentService=service is not None, shipsInventory=active, service=service, address=dict(PLACE))


def add_service(shop, name, callback_url=None, tracking=False, inventory=False, shipping=True):
    """A fulfillment service: it comes with a location of its own."""
    handle = re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")
    service = shop.add("FulfillmentService", serviceName=name, handle=handle, callbackUrl=callback_url,
                       trackingSupport=tracking, inventoryManagement=inventory, requiresShippingMethod=shipping,
                       type="THIRD_PARTY")
    service.location = add_location(shop, name, service=service["id"])["id"]
    return service


def add_variant(shop, sku, id=None, price="10.00", title="Thing", vendor="Byron Gears", product=None, stock=None,
                tracked=True, barcode=None, item=None):
    """A variant with its item and, unless told, a product of its own. stock: {location id: available}."""
    product = product or shop.new_id("Product")
    if shop.find(product) is None:
        shop.add("Product", product, title=title, vendor=vendor, handle=re.sub(r"\W+", "-", title.lower()))
    item = shop.add("InventoryItem", item, sku=sku, tracked=tracked, requiresShipping=True)
    variant = shop.add("ProductVariant", id, sku=sku, price=str(price), title=title, barcode=barcode, taxable=True,
                       displayName=f"{title} - {sku}", product=product, inventoryItem=item["id"])
    item.variant = variant["id"]
    shop.indexes["sku"].setdefault(sku, variant["id"])
    for location, available in (stock or {}).items():
        level = level_of(shop, item["id"], location, make=True)
        level.quantities.update(available=available)
    return variant


def variant_of(shop, line):
    """The variant of an order's line: by its id, else by its SKU."""
    if line.get("variant_id"):
        found = shop.find(gid("ProductVariant", line["variant_id"]))
        if found is not None:
            return found
    return variant_by_sku(shop, line.get("sku"))


def variant_by_sku(shop, sku):
    id = shop.indexes["sku"].get(sku) if sku else None
    return id and shop.find(id)


def level_id(item, location):
    return f"gid://shopify/InventoryLevel/{number_of(location)}?inventory_item_id={number_of(item)}"


def level_of(shop, item, location, make=False):
    """The level of an item at a location; None if it is not stocked there."""
    level = shop.find(level_id(item, location))
    if level is None and make:
        level = shop.add("InventoryLevel", level_id(item, location), item=item, location=location, isActive=True,
                         quantities={"available": 0, "committed": 0, "reserved": 0, "damaged": 0, "safety_stock": 0,
                                     "quality_control": 0, "incoming": 0}, changedAt={})
        for key in (item, location):
            shop.indexes["levels"].setdefault(key, []).append(level)
    return level


ON_HAND = ("available", "committed", "reserved", "damaged", "safety_stock", "quality_control")


def quantity(level, name):
    """on_hand is a sum; everything else is kept."""
    if level is None:
        return 0
    return sum(level.quantities[one] for one in ON_HAND) if name == "on_hand" else level.quantities[name]


def id_of(value):
    return value["id"] if isinstance(value, dict) else value


def levels(shop, id):
    """Those of an item, or those at a location."""
    return sorted(shop.indexes["levels"].get(id, []), key=lambda one: one["id"])


VARIANT_SEARCH = {"sku": lambda one: Beginning(one.sku or ""), "barcode": lambda one: one.barcode, "title": lambda one: one.title,
                  "id": lambda one: int(number_of(one["id"])), "product_id": lambda one: int(number_of(one.product)),
                  "updated_at": moment_of_field("updatedAt")}
ITEM_SEARCH = {"sku": lambda one: Beginning(one.sku or ""), "id": lambda one: int(number_of(one["id"])),
               "created_at": moment_of_field("createdAt"), "updated_at": moment_of_field("updatedAt")}
LOCATION_SEARCH = {"name": lambda one: one.name, "id": lambda one: int(number_of(one["id"])),
                   "active": lambda one: one.isActive}


def begun(shop, kind, search):
    """Who may be found: all, or, asked for SKUs alone, those of them. A shop has many, and is asked for a few."""
    if kind not in ("ProductVariant", "InventoryItem") or not search.alone("sku"):
        return shop.all(kind)
    kept, variants = shop.indexes["sorted skus"], shop.kinds["ProductVariant"]
    if kept.get("count") != len(variants):
        kept.update(count=len(variants), skus=sorted((one.sku.lower(), id) for id, one in variants.items() if one.sku))
    skus = kept["skus"]
    out = {}
    for beginning in search.alone("sku"):
        beginning = beginning.lower().rstrip("*")
        for at in range(bisect.bisect_left(skus, (beginning,)), len(skus)):
            if not skus[at][0].startswith(beginning):
                break
            found = shop.find(skus[at][1])
            found = found if kind == "ProductVariant" else shop.find(found.inventoryItem)
            out[found["id"]] = found
    return list(out.values())


def by_id(one):
    return (int(number_of(one["id"])), one["id"])


def install(engine):
    """The resolvers of all this."""
    shop = engine.shop
    shop.resetters.append(begin)
    begin(shop)

    def search(kind, fields, keep=lambda one, args: True):
        def answer(source, args, call):
            found = Search(args.get("query"), fields)
            return Rows([one for one in begun(shop, kind, found) if keep(one, args) and found(one)], by_id,
                        bool(args.get("reverse")))
        return answer

    engine.query("productVariants")(search("ProductVariant", VARIANT_SEARCH))
    engine.query("inventoryItems")(search("InventoryItem", ITEM_SEARCH))
    engine.query("locations")(search("Location", LOCATION_SEARCH,
                                     lambda one, args: one.isActive or args.get("includeInactive")))

    for name, kind in (("productVariant", "ProductVariant"), ("inventoryItem", "InventoryItem"),
                       ("inventoryLevel", "InventoryLevel"), ("fulfillmentService", "FulfillmentService")):
        engine.query(name)(lambda source, args, call, kind=kind: shop.find(args["id"], kind))

    @engine.query("location")
    def location(source, args, call):
        return shop.find(args.get("id") or MAIN_LOCATION, "Location")

    for kind, name in (("ProductVariant", "product"), ("ProductVariant", "inventoryItem"), ("InventoryItem", "variant"),
                       ("InventoryLevel", "item"), ("InventoryLevel", "location"), ("FulfillmentService", "location")):
        # what is not in the catalogue brings it along
        engine.field(kind, name)(lambda source, args, call, name=name: (
            source[name] if isinstance(source[name], dict) else shop.find(source[name])))

    @engine.field("ProductVariant", "inventoryQuantity")
    def in_all(source, args, call):
        return sum(quantity(one, "available") for one in levels(shop, id_of(source["inventoryItem"])))

    @engine.field("InventoryItem", "variants")
    def variants(source, args, call):
        return [source["variant"] if isinstance(source["variant"], dict) else shop.find(source["variant"])]

    @engine.field("InventoryItem", "locationsCount")
    def in_locations(source, args, call):
        return {"count": len(levels(shop, source["id"])), "precision": "EXACT"}
    levels_and_places(engine, shop)


def levels_and_places(engine, shop):
    """What is said of levels and locations, and new services."""
    def active(found, args):
        return [one for one in found if one.isActive or args.get("includeInactive")]

    @engine.field("InventoryItem", "inventoryLevels")
    def levels_of_item(source, args, call):
        return active(levels(shop, source["id"]), args)

    @engine.field("Location", "inventoryLevels")
    def levels_at(source, args, call):
        return active(levels(shop, source["id"]), args)

    @engine.field("InventoryItem", "inventoryLevel")
    def level_of_item(source, args, call):
        level = next(iter(active(filter(None, [level_of(shop, source["id"], args["locationId"])]), args)), None)
        call.levels.extend([level] if level else [])
        return level

    @engine.field("Location", "inventoryLevel")
    def level_at(source, args, call):
        return next(iter(active(filter(None, [level_of(shop, args["inventoryItemId"], source["id"])]), args)), None)

    @engine.field("InventoryLevel", "quantities")
    def quantities(source, args, call):
        known = {*source.quantities, "on_hand"}
        return [{"__typename": "InventoryQuantity", "name": name, "quantity": quantity(source, name),
                 "id": f"gid://shopify/InventoryQuantity/{number_of(source['id'])}?inventory_item_id="
                       f"{number_of(source.item)}&name={name}",
                 "updatedAt": source.changedAt.get(name, source.updatedAt)} for name in args["names"] if name in known]

    @engine.field("Location", "fulfillmentService")
    def service_of(source, args, call):
        return shop.find(source.service) if source.service else None

    @engine.field("Location", "hasActiveInventory")
    def has_stock(source, args, call):
        return any(quantity(one, "on_hand") for one in levels(shop, source["id"]))

    @engine.field("Location", "hasUnfulfilledOrders")
    def has_work(source, args, call):
        return any(one.location == source["id"] and one.status not in ("CLOSED", "CANCELLED")
                   for one in shop.all("FulfillmentOrder"))

    @engine.mutation("fulfillmentServiceCreate")
    def create_service(source, args, call):
        if not args["name"].strip():
            raise Wrong(["name"], "Name can't be blank")
        if any(one.serviceName.lower() == args["name"].lower() for one in shop.all("FulfillmentService")):
            raise Wrong(["name"], "Name has already been taken")
        made = add_service(shop, args["name"], args.get("callbackUrl"), args["trackingSupport"],
                           args["inventoryManagement"], args["requiresShippingMethod"])
        shop.changed("Location", made.location, "locations/create")
        return {"fulfillmentService": made}
