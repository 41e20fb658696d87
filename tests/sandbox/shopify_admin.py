#!/usr/bin/python3
"""Shopify stand-in, the asked side: a shop behind the Admin API's GraphQL.

The engine is shopify_graphql, the points shopify_cost, the shop shopify_shop; what the shop can do lies in the modules
of shopify_rooms. --ready-ms: a draft order has its link so long after it was made. --search-lag-ms: the search learns late.
"""

import json
import os
import sys
import uuid

if __package__ is None:
    sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))

from aiohttp import web

from sandbox import common, shopify_catalogue, shopify_orders, shopify_stock, shopify_wire
from sandbox.common import as_json
from sandbox.orders import OrderFactory
from sandbox.shopify_cost import Bucket, Spent
from sandbox.shopify_drafts import ready, total
from sandbox.shopify_graphql import Engine, Wrong, version_served
from sandbox.shopify_place import bought
from sandbox.shopify_rooms import furnish
from sandbox.shopify_schema import operations
from sandbox.shopify_shop import Shop
from sandbox.shopify_values import Refused
from sandbox.shopify_view import bag, plain_set

APP = "app"  # who asks: one app, and its bucket


class ShopifyAdmin(common.StandIn):
    """The shop, the engine that answers for it, and its wire: tokens, webhooks, bulk operations."""

    name = "shopify-admin"
    answer_actions = shopify_wire.ANSWERS
    data_actions = ("user_error", "field_error", "meanwhile")
    rule_keys = ("code", "message", "field", "stock", "delta")

    def __init__(self, args):
        super().__init__(args.books)
        self.shop = Shop(args.shop, settings={"ready_ms": args.ready_ms, "search_lag_ms": args.search_lag_ms})
        self.points = (args.points, args.restore)
        self.engine = Engine(self.shop, Bucket(args.points, args.restore))
        furnish(self.engine)
        self.engine.faults.append(self.spoilt)
        self.engine.afterwards.append(self.meanwhile)
        self.wire = shopify_wire.Wire(self, args)
        self.reset()

    def reset(self):
        self.shop.reset()
        self.engine.bucket, self.engine.spent = Bucket(*self.points), Spent()
        self.engine.crashes.clear()
        self.wire.reset()

    def books(self):
        drafts = [{**one, "totalPriceSet": bag(plain_set(total(self.shop, one), one.currency)),
                   "ready": ready(self.shop, one)} for one in self.shop.all("DraftOrder")]
        return {"drafts": drafts, "variants": len(self.shop.kinds["ProductVariant"]),
                "orders": len(self.shop.kinds["Order"]), "changes": dict(self.shop.counts),
                "points": {**self.engine.spent.to_json(), **self.engine.bucket.books(), **self.engine.bucket.status()},
                "crashes": list(self.engine.crashes), **self.wire.books()}

    def steps_of(self, request):
        return [self.wire.step(request)]

    def finish(self, request, response):
        response.headers["X-Request-Id"] = str(uuid.uuid4())
        if "served" in request:
            response.headers["X-Shopify-API-Version"] = request["served"]

    def spoilt(self, field):
        """A fault rule whose `at` is this root field: it answers an error, and nothing is done."""
        rule = self.faults.strike(("user_error", "field_error"), [field])
        if rule is None:
            return
        message = rule.get("message", f"Made to fail: {rule.get('code')}")
        if rule.action == "user_error":
            raise Wrong(rule.get("field"), message, rule.get("code"))
        raise Refused(message, rule.get("code"))

    def meanwhile(self, call):
        """A fault rule whose `at` is a root field that was asked for: the shop's stock changes when the answer is made
        and has not left. What it says of stock is not so any more when somebody reads it."""
        rule = self.faults.strike(("meanwhile",), call.roots())
        if rule is None:
            return
        delta = rule.get("delta", -1)
        sold = [one for one in call.levels if one.quantities["available"] + delta >= 0]
        one_of_them = [rule.random.choice(sold)] if sold else []
        for one in rule.get("stock") or [{"item": one.item, "location": one.location, "delta": delta} for one in one_of_them]:
            shopify_stock.by_hand(self.shop, one)

    # ---- one document ----

    async def act(self, request):
        made = await self.wire.act(request)
        if made is not None:
            return made
        parts = request.path.strip("/").split("/")
        if len(parts) != 4 or parts[:2] != ["admin", "api"] or parts[3] != "graphql.json" or request.method != "POST":
            return as_json({"errors": "Not Found"}, 404)
        version = version_served(parts[2])
        if version is None:
            return as_json({"errors": "Not Found"}, 404)
        request["served"] = version
        wrong = self.wire.access.check(request)
        if wrong:
            return as_json({"errors": wrong}, 401)
        try:
            asked = json.loads(await request.read())
            document, variables = asked["query"], asked.get("variables") or {}
            if not isinstance(document, str) or not isinstance(variables, dict):
                raise ValueError("of another type")
        except (ValueError, KeyError, TypeError):
            return as_json({"errors": {"query": "Required parameter missing or invalid"}}, 400)
        return as_json(self.engine.answer(document, variables, asked.get("operationName"), version, APP,
                                          request.headers.get("Shopify-GraphQL-Cost-Debug") == "1"))

    # ---- control ----

    async def on_variants(self, request):
        """[{"id", "sku", "price", "stock": {location: available}, ...}]: variants of the shop."""
        for one in await request.json():
            shopify_catalogue.add_variant(self.shop, **one)
        return as_json({"variants": len(self.shop.kinds["ProductVariant"])})

    async def on_locations(self, request):
        """[{"name", "id"}]: more locations."""
        made = [shopify_catalogue.add_location(self.shop, **one)["id"] for one in await request.json()]
        return as_json({"locations": made})

    async def on_stock(self, request):
        """[{"sku" or "item", "location", "available" or "delta"}]: the merchant counts. GET: all levels."""
        if request.method == "POST":
            for one in await request.json():
                shopify_stock.by_hand(self.shop, one)
            return as_json({"levels": len(self.shop.kinds["InventoryLevel"])})
        return as_json({"levels": shopify_stock.told(self.shop), "ledger": self.shop.indexes["ledger"].get("all", [])})

    async def on_orders(self, request):
        """{"count", "seed", "first"}: made orders; {"document"}: this body; {"lines", ...}: bought now.

        Answers with their global ids."""
        asked = await request.json()
        if "document" in asked:
            documents = [asked["document"]]
        elif "lines" in asked:
            documents = [bought(self.shop, asked.pop("lines"), **asked)]
        else:
            factory = OrderFactory(asked.get("seed", 1))
            documents = [one.document for one in factory.orders(asked.get("count", 1), asked.get("first", 0))]
        made = [shopify_orders.add_order(self.shop, document)["id"] for document in documents]
        return as_json({"orders": made})

    async def on_do(self, request):
        """{"operation": name of data/shopify-operations.graphql, or "query"; "variables"}: the merchant does it, who
        spends no points of the app."""
        asked = await request.json()
        text = asked.get("query") or operations()[asked["operation"]]
        return as_json(self.engine.unpaid(text, asked.get("variables") or {}, "merchant"))

    async def on_edit(self, request):
        """{"order", "set": {...}, "topics": [...], "risk"}: the merchant changes an order's body in these places."""
        asked = await request.json()
        order = self.shop.find(asked["order"], "Order")
        with self.shop.action():
            order.document.update(asked.get("set") or {})
            order.risk = asked.get("risk") or order.risk
            shopify_orders.touch(self.shop, order, *asked.get("topics", []))
        return as_json({"updated_at": order.document["updated_at"]})

    async def on_documents(self, request):
        """The bodies of all orders, as a webhook would have them now."""
        self.shop.run_due()
        return as_json({"orders": [one.document for one in self.shop.all("Order")]})

    async def on_clock(self, request):
        """{"advance_s"}: the shop's time goes on."""
        self.shop.advance((await request.json())["advance_s"])
        return as_json({"now": self.shop.stamp()})

    async def on_settings(self, request):
        """The shop's switches: routing_ms, job_ms, search_lag_ms, ready_ms."""
        if request.method == "POST":
            asked = await request.json()
            unknown = set(asked) - set(self.shop.settings)
            if unknown:
                return as_json({"error": f"unknown: {', '.join(sorted(unknown))}"}, 400)
            self.shop.settings.update(asked)
        return as_json(self.shop.settings)

    async def on_points(self, request):
        """{"plan", "maximum", "restore", "left", "other"}; other: points a second that another client takes."""
        if request.method == "POST":
            self.engine.bucket.set(**await request.json())
        return as_json({**self.engine.bucket.status(), "other": self.engine.bucket.other})

    def control_routes(self):
        return [web.post("/_control/variants", self.on_variants), web.post("/_control/locations", self.on_locations),
                web.route("*", "/_control/stock", self.on_stock),
                web.post("/_control/orders", self.on_orders), web.get("/_control/orders", self.on_documents),
                web.post("/_control/do", self.on_do), web.post("/_control/edit", self.on_edit),
                web.post("/_control/clock", self.on_clock), web.route("*", "/_control/settings", self.on_settings),
                web.route("*", "/_control/points", self.on_points), *self.wire.control_routes()]

    async def start(self, *args, **kwargs):
        await self.wire.webhooks.open()
        return await super().start(*args, **kwargs)

    async def stop(self):
        await super().stop()
        await self.wire.webhooks.close()


def main():
    parser = common.arguments("Shopify stand-in: the Admin API")
    parser.add_argument("--token", default="sandbox-admin-token")
    parser.add_argument("--api-version", default="2026-10", help="kept for callers; every stable version is served")
    parser.add_argument("--points", type=int, default=2000, help="the bucket's size")
    parser.add_argument("--restore", type=int, default=100, help="points a second")
    parser.add_argument("--ready-ms", type=int, default=0, help="until a draft order has its link")
    parser.add_argument("--search-lag-ms", type=int, default=0, help="until the search knows of a change")
    shopify_wire.arguments(parser)
    args = parser.parse_args()
    return common.serve(ShopifyAdmin(args), args)


if __name__ == "__main__":
    sys.exit(main())
