#!/usr/bin/python3
"""Shopify stand-in, the asked side: the Admin API in GraphQL, as far as draft orders go.

Variants are seeded (POST /_control/variants [{"sku", "id"}]). draftOrderCreate is not idempotent and has no key, as the
platform's: asked twice it makes two. Calls cost points out of a bucket; over it the answer is a 200 with THROTTLED.
A draft order is `ready`, and has its link, --ready-ms after it was made. The search lags by --search-lag-ms.
"""

import decimal
import json
import math
import os
import re
import sys
import time

if __package__ is None:
    sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))

from aiohttp import web

from sandbox import common
from sandbox.common import as_json, now_ms
from sandbox.shopify_graphql import Operation, Refused, project, published

MAX_COST, MAX_LINES, MAX_TAGS, MAX_TAG = 1000, 499, 250, 40


def terms(query, field):
    """The values of `field:"..."` in a search, joined by OR; None if the search is about another field, and so is
    ignored, as the platform does."""
    found = re.findall(rf'(?:^|OR )\s*{field}:(?:"((?:[^"\\]|\\.)*)"|\'([^\']*)\'|(\S+))\s*', query or "")
    return [re.sub(r"\\(.)", r"\1", a or b or c).lower() for a, b, c in found] or None


def stamp():
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())


def money(amount, currency):
    of = {"amount": str(amount), "currencyCode": currency}
    return {"shopMoney": of, "presentmentMoney": of}


class Bucket:
    def __init__(self, maximum, restore):
        self.maximum, self.restore = maximum, restore
        self.left, self.at = float(maximum), time.monotonic()

    def status(self):
        now = time.monotonic()
        self.left, self.at = min(self.maximum, self.left + (now - self.at) * self.restore), now
        return {"maximumAvailable": float(self.maximum), "currentlyAvailable": int(self.left),
                "restoreRate": float(self.restore)}


def cost_of(selection, arguments=None):
    """Of the fields below a root: objects 1, connections by the logarithm of their page."""
    total = 0
    for name, own, inner in selection or []:
        if inner is None or name in ("pageInfo", "userErrors", "totalPriceSet"):
            continue
        total += (0 if name == "nodes" else 1) + cost_of(inner, own)
    return total


class ShopifyAdmin(common.StandIn):
    name = "shopify-admin"

    def __init__(self, token, version, maximum=2000, restore=100, ready_ms=0, lag_ms=0, books_file=None):
        super().__init__(books_file)
        self.schema, self.token, self.version = published(), token, version
        self.points = (maximum, restore)
        self.ready_ms, self.lag_ms = ready_ms, lag_ms
        self.reset()

    def reset(self):
        self.bucket = Bucket(*self.points)
        self.variants, self.drafts = [], []

    def books(self):
        return {"drafts": self.drafts, "variants": len(self.variants)}

    def steps_of(self, request):
        return ["graphql"]

    # ---- one document ----

    async def act(self, request):
        if request.method != "POST" or request.path != f"/admin/api/{self.version}/graphql.json":
            return as_json({"errors": "Not Found"}, 404)
        if request.headers.get("X-Shopify-Access-Token") != self.token:
            return as_json({"errors": "[API] Invalid API key or access token (unrecognized login or wrong password)"},
                           401)
        try:
            asked = json.loads(await request.read())
            operation = Operation(self.schema, asked["query"], asked.get("variables"))
        except Refused as wrong:
            return as_json({"errors": [{"message": str(wrong)}]})
        except (ValueError, KeyError, TypeError):
            return as_json({"errors": {"query": "Required parameter missing or invalid"}}, 400)
        return as_json(self.run(operation))

    def run(self, operation):
        cost = sum(self.cost(*root, operation.kind) for root in operation.roots)
        status = self.bucket.status()
        said = {"cost": {"requestedQueryCost": cost, "actualQueryCost": None, "throttleStatus": status}}
        if cost > MAX_COST:
            return {"errors": [{"message": f"Query cost is {cost}, which exceeds the single query max cost limit",
                                "extensions": {"code": "MAX_COST_EXCEEDED"}}]}
        if cost > status["currentlyAvailable"]:
            return {"errors": [{"message": "Throttled", "extensions": {
                "code": "THROTTLED", "documentation": "https://shopify.dev/api/usage/rate-limits"}}], "extensions": said}
        self.bucket.left -= cost
        data = {}
        for name, arguments, selection in operation.roots:
            try:
                data[name] = project(getattr(self, "do_" + name)(**arguments), selection)
            except Refused as wrong:
                return {"errors": [{"message": str(wrong), "extensions": {"code": "MAX_INPUT_SIZE_EXCEEDED"}}]}
        said["cost"].update(actualQueryCost=cost, throttleStatus=self.bucket.status())
        return {"data": data, "extensions": said}

    def cost(self, name, arguments, selection, kind):
        if kind == "mutation":
            return 10
        n = arguments.get("first") or arguments.get("last")
        if "first" not in self.schema.types["QueryRoot"][name][1]:
            return 1 + cost_of(selection)
        return 2 + max(1, math.floor(2 * math.log(n))) * (1 + cost_of(selection)) if n else 2

    # ---- what can be asked ----

    def page(self, found, first, after):
        if not first:
            raise Refused("you must provide one of first or last")
        begin = int(after or 0)
        more = begin + first < len(found)
        return {"nodes": found[begin:begin + first], "pageInfo": {
            "hasNextPage": more, "endCursor": str(begin + first) if more else None, "hasPreviousPage": begin > 0,
            "startCursor": str(begin)}}

    def do_productVariants(self, query=None, first=None, after=None, **_):
        skus = terms(query, "sku")
        # a search finds what begins alike as well
        found = [one for one in self.variants
                 if skus is None or any(one["sku"].lower().startswith(sku) for sku in skus)]
        return self.page(found, first, after)

    def do_draftOrders(self, query=None, first=None, after=None, **_):
        tags = terms(query, "tag")
        seen = [one for one in self.drafts if now_ms() - one["at"] >= self.lag_ms]
        found = [self.shown(one) for one in seen
                 if tags is None or any(tag.lower() in tags for tag in one["tags"])]
        return self.page(found, first, after)

    def do_draftOrder(self, id):
        return next((self.shown(one) for one in self.drafts if one["id"] == id), None)

    def shown(self, draft):
        ready = now_ms() - draft["at"] >= self.ready_ms
        return {**draft, "ready": ready, "invoiceUrl": draft["url"] if ready else None}

    # ---- draftOrderCreate ----

    def do_draftOrderCreate(self, input):
        if len(input.get("lineItems") or []) > MAX_LINES:
            raise Refused(f"The input array size of {len(input['lineItems'])} is greater than the maximum allowed of "
                          f"{MAX_LINES}.")
        errors = list(self.errors_of(input))
        if errors:
            return {"draftOrder": None, "userErrors": errors}
        number = len(self.drafts) + 1
        currency = input.get("presentmentCurrencyCode", "EUR")
        total = sum((self.price_of(line) * line["quantity"] for line in input["lineItems"]), decimal.Decimal())
        draft = {"id": f"gid://shopify/DraftOrder/{number}", "name": f"#D{number}", "status": "OPEN", "at": now_ms(),
                 "legacyResourceId": str(number), "createdAt": stamp(), "updatedAt": stamp(),
                 "url": f"https://example.myshopify.com/1/invoices/{number:032x}", "tags": input.get("tags", []),
                 "email": input.get("email"), "totalPriceSet": money(total, currency), "input": input}
        self.drafts.append(draft)
        return {"draftOrder": self.shown(draft), "userErrors": []}

    def errors_of(self, input):
        if not input.get("lineItems"):
            yield {"field": None, "message": "Add at least 1 product"}
        if len(input.get("tags") or []) > MAX_TAGS or any(len(tag) > MAX_TAG for tag in input.get("tags") or []):
            yield {"field": ["tags"], "message": f"Tags is too long (maximum is {MAX_TAG} characters)"}
        if input.get("email") and not re.fullmatch(r"[^@\s]+@[^@\s]+\.[^@\s]+", input["email"]):
            yield {"field": ["email"], "message": "Email is invalid"}
        for at, line in enumerate(input.get("lineItems") or []):
            where = ["lineItems", str(at)]
            if line["quantity"] < 1:
                yield {"field": [*where, "quantity"], "message": "Quantity must be greater than or equal to 1"}
            if line.get("variantId"):
                if self.variant(line["variantId"]) is None:
                    yield {"field": [*where, "variantId"], "message": "Product with ID "
                           f"{line['variantId'].rpartition('/')[2]} is no longer available."}
            elif not line.get("title"):
                yield {"field": [*where, "title"], "message": "Merchandise title is empty."}

    def variant(self, gid):
        return next((one for one in self.variants if one["id"] == gid), None)

    def price_of(self, line):
        """Title and price of a line with a variant are ignored; only an override counts."""
        if line.get("variantId"):
            price = (line.get("priceOverride") or {}).get("amount") or self.variant(line["variantId"])["price"]
        else:
            price = (line.get("originalUnitPriceWithCurrency") or {"amount": "0"})["amount"]
        return decimal.Decimal(price)

    # ---- control ----

    async def on_variants(self, request):
        for one in await request.json():
            self.variants.append({"id": one["id"], "sku": one["sku"], "price": one.get("price", "10.00")})
        return as_json({"variants": len(self.variants)})

    def control_routes(self):
        return [web.post("/_control/variants", self.on_variants)]


def main():
    parser = common.arguments("Shopify stand-in: the Admin API of draft orders")
    parser.add_argument("--token", default="sandbox-admin-token")
    parser.add_argument("--api-version", default="2026-10")
    parser.add_argument("--points", type=int, default=2000, help="the bucket's size")
    parser.add_argument("--restore", type=int, default=100, help="points a second")
    parser.add_argument("--ready-ms", type=int, default=0, help="until a draft order has its link")
    parser.add_argument("--search-lag-ms", type=int, default=0, help="until the search knows a draft order")
    args = parser.parse_args()
    return common.serve(ShopifyAdmin(args.token, args.api_version, args.points, args.restore, args.ready_ms,
                                     args.search_lag_ms, args.books), args)


if __name__ == "__main__":
    sys.exit(main())
