"""Metafields: written many at once or not at all, with a digest that says what they are changed from."""

import decimal
import hashlib
import json
import re

from sandbox.shopify_graphql import Wrong
from sandbox.shopify_orders import touch

MANY, VALUE_BYTES, APP_NAMESPACE = 25, 16_384, "app--580999"
OWNERS = {"Order": "ORDER", "DraftOrder": "DRAFTORDER", "ProductVariant": "PRODUCTVARIANT", "Product": "PRODUCT",
          "Customer": "CUSTOMER", "Location": "LOCATION", "Company": "COMPANY", "Shop": "SHOP"}
KEY = re.compile(r"[A-Za-z0-9_-]+")


def is_json(text):
    try:
        json.loads(text)
        return True
    except ValueError:
        return False


def is_number(text):
    try:
        return decimal.Decimal(text).is_finite()
    except decimal.InvalidOperation:
        return False


TYPES = {"single_line_text_field": lambda text: "\n" not in text, "multi_line_text_field": lambda text: True,
         "number_integer": lambda text: re.fullmatch(r"-?\d+", text), "number_decimal": is_number,
         "boolean": lambda text: text in ("true", "false"), "json": is_json, "url": lambda text: "://" in text,
         "date": lambda text: re.fullmatch(r"\d{4}-\d\d-\d\d", text),
         "date_time": lambda text: re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d.*", text), "id": lambda text: bool(text)}


def digest(value):
    return hashlib.sha256(value.encode()).hexdigest()


def place(given):
    return given["ownerId"], given.get("namespace") or APP_NAMESPACE, given["key"]


def find(shop, owner, namespace, key):
    id = shop.indexes["metafields"].get((owner, namespace, key))
    return shop.find(id) if id else None


def of_owner(shop, owner, namespace=None, keys=None):
    found = [shop.find(id) for (of, _, _), id in shop.indexes["metafields"].items() if of == owner]
    return [one for one in found if namespace in (None, one.namespace)
            and (keys is None or one.key in keys or f"{one.namespace}.{one.key}" in keys)]


def errors_of(shop, at, given):
    """What is wrong with one of them: (last part of the field, message, code)."""
    known, kind = find(shop, *place(given)), given.get("type")
    kind = kind or (known and known.type)
    owner = shop.find(given["ownerId"])
    if owner is None or owner["__typename"] not in OWNERS:
        yield "ownerId", "Owner does not exist.", "INVALID_VALUE"
    for name, least, most in (("key", 2, 64), ("namespace", 3, 255)):
        text = given.get(name)
        if text is None and name == "namespace":
            continue
        if not KEY.fullmatch(text):
            yield name, f"{name.capitalize()} contains one or more invalid characters.", "INVALID"
        elif len(text) < least:
            yield name, f"{name.capitalize()} is too short (minimum is {least} characters)", "TOO_SHORT"
        elif len(text) > most:
            yield name, f"{name.capitalize()} is too long (maximum is {most} characters)", "TOO_LONG"
    if kind is None:
        yield "type", "Type can't be blank", "BLANK"
        return
    inner = kind.removeprefix("list.")
    if inner not in TYPES:
        yield "type", f"Type '{kind}' is not a known type", "INCLUSION"
    elif known is not None and kind != known.type:
        yield "type", f"Type can't be changed from {known.type} to {kind}", "INVALID_TYPE"
    elif not given["value"]:
        yield "value", "Value can't be blank.", "INVALID_VALUE"
    elif len(given["value"].encode()) > VALUE_BYTES:
        yield "value", f"Value is too long (maximum is {VALUE_BYTES} bytes)", "TOO_LONG"
    elif not (is_json(given["value"]) if inner != kind else TYPES[kind](given["value"])):
        yield "value", f"Value is not a valid {kind}", "INVALID_VALUE"
    elif "compareDigest" in given and given["compareDigest"] != (known and known.compareDigest):
        yield None, "The resource has been updated since it was loaded. Try again with an updated `compareDigest` value.", (
            "STALE_OBJECT")


def check(shop, all):
    if len(all) > MANY:
        raise Wrong(["metafields"], f"Exceeded the maximum metafields input limit of {MANY}.", "LESS_THAN_OR_EQUAL_TO",
                    elementIndex=None)
    out = []
    for at, given in enumerate(all):
        for name, message, code in errors_of(shop, at, given):
            out.append({"field": ["metafields", str(at), *([name] if name else [])], "message": message, "code": code,
                        "elementIndex": at})
    if out:
        raise Wrong.many(out)


def write(shop, given):
    owner, namespace, key = place(given)
    known, kind = find(shop, owner, namespace, key), given.get("type")
    if known is None:
        known = shop.add("Metafield", owner=owner, namespace=namespace, key=key, type=kind,
                         ownerType=OWNERS[shop.find(owner)["__typename"]])
        shop.indexes["metafields"][owner, namespace, key] = known["id"]
    known.update({"value": given["value"], "compareDigest": digest(given["value"]), "updatedAt": shop.stamp()})
    return known


def of_input(given, owner):
    """The metafields of an order's or a draft order's input, as metafieldsSet takes them."""
    return [{"ownerId": owner, **{name: one[name] for name in ("namespace", "key", "type", "value") if name in one}}
            for one in given.get("metafields") or []]


def install(engine):
    shop = engine.shop

    @engine.mutation("metafieldsSet")
    def set_all(source, args, call):
        check(shop, args["metafields"])
        made = [write(shop, one) for one in args["metafields"]]
        for owner in dict.fromkeys(one.owner for one in made):
            thing = shop.find(owner)
            if thing["__typename"] == "Order":
                touch(shop, thing)
            elif thing["__typename"] == "DraftOrder":
                shop.changed("DraftOrder", owner, "draft_orders/update")
        return {"metafields": made}

    for kind in ("Order", "DraftOrder", "Product", "ProductVariant", "Location"):
        engine.field(kind, "metafield")(
            lambda source, args, call: find(shop, source["id"], args.get("namespace") or APP_NAMESPACE, args["key"]))
    engine.field("Order", "metafields")(
        lambda source, args, call: of_owner(shop, source["id"], args.get("namespace"), args.get("keys")))

    engine.field("Metafield", "jsonValue")(
        lambda source, args, call: json.loads(source.value) if is_json(source.value) else source.value)
    engine.field("Metafield", "sizeInBytes")(lambda source, args, call: len(source.value.encode()))
