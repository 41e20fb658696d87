"""Scopes: what a token may ask, field by field of the roots, and what is hidden from one that may not."""

import datetime

from sandbox.shopify_graphql import Rows
from sandbox.shopify_values import Refused
from sandbox.shopify_view import moment_of

DOCUMENTATION = "https://shopify.dev/api/usage/access-scopes"
DAYS = 60  # of orders that are seen without read_all_orders
FULFIL = ("merchant_managed_fulfillment_orders", "assigned_fulfillment_orders", "third_party_fulfillment_orders")

# Beginning of a root field: what one of must be granted, without read_ or write_. The longest beginning counts.
AREAS = {
    "order": ("orders",), "refund": ("orders",), "suggestedRefund": ("orders",), "draftOrder": ("draft_orders",),
    "fulfillmentOrder": FULFIL, "manualHoldsFulfillmentOrders": FULFIL, "fulfillment": FULFIL,
    "fulfillmentService": ("fulfillments",), "assignedFulfillmentOrders": ("assigned_fulfillment_orders",),
    "productVariant": ("products",), "inventory": ("inventory",), "location": ("locations",), "return": ("returns",),
    "compan": ("companies", "customers"), "customer": ("customers",),
}
FREE = ("fulfillmentService",)  # may be read by anybody


def wanted(name, kind):
    """The scopes of which one is needed; none for most of the small things."""
    found = max((one for one in AREAS if name.startswith(one)), key=len, default=None)
    if found is None or kind == "QueryRoot" and found in FREE:
        return []
    verb = "write" if kind == "Mutation" else "read"
    return [f"{verb}_{one}" for one in AREAS[found]]


def guard(engine, granted):
    """Puts the question for the scope before each resolver of a root. `granted` gives the handles of now."""
    for (kind, name), function in list(engine.resolvers.items()):
        if kind in ("QueryRoot", "Mutation"):
            engine.resolvers[kind, name] = guarded(function, name, wanted(name, kind), granted)
    for name in ("orders", "order"):
        engine.resolvers["QueryRoot", name] = recent(engine.shop, engine.resolvers["QueryRoot", name], granted)


def guarded(function, name, scopes, granted):
    def ask(source, args, call):
        if scopes and not granted() & set(scopes):
            needed = " or ".join(f"`{one}`" for one in scopes) + " access scope"
            raise Refused(f"Access denied for {name} field. Required access: {needed}.", "ACCESS_DENIED",
                          documentation=DOCUMENTATION, requiredAccess=needed)
        return function(source, args, call)
    return ask


def recent(shop, function, granted):
    """Orders of the last 60 days alone, unless all may be read."""
    def ask(source, args, call):
        found = function(source, args, call)
        if found is None or "read_all_orders" in granted():
            return found
        since = shop.now() - datetime.timedelta(days=DAYS)
        if isinstance(found, list):
            return Rows([one for one in found if moment_of(one.document["created_at"]) >= since], found.key,
                        found.reverse)
        return found if moment_of(found.document["created_at"]) >= since else None
    return ask
