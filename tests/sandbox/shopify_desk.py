"""A shop in the test's own process, asked by the names of data/shopify-operations.graphql or by a document."""

from sandbox.shopify_cost import Bucket
from sandbox.shopify_graphql import Engine
from sandbox.shopify_orders import add_order
from sandbox.shopify_place import bought
from sandbox.shopify_rooms import furnish
from sandbox.shopify_schema import operations
from sandbox.shopify_shop import Shop

ADDRESS = {"first_name": "Ada", "last_name": "Byron", "name": "Ada Byron", "company": None, "address1": "12 Mill Lane",
           "address2": None, "city": "Leeds", "zip": "LS1 4AP", "province": "England", "province_code": "ENG",
           "country": "United Kingdom", "country_code": "GB", "phone": None, "latitude": None, "longitude": None}


class Desk:
    """`heard` has the changes that were told, in order."""

    documents = operations()

    def __init__(self, version="2026-10", **settings):
        self.shop, self.version = Shop(settings=settings), version
        self.engine = Engine(self.shop, Bucket(10 ** 9, 100))
        furnish(self.engine)
        self.heard = []
        self.shop.listeners.append(self.heard.append)

    def answer(self, document, app="app", **variables):
        answer = self.engine.answer(self.documents.get(document, document), variables, version=self.version, app=app)
        assert not self.engine.crashes, self.engine.crashes[0]
        return answer

    def ask(self, document, app="app", **variables):
        """What stands below the root; there must be no top-level error."""
        answer = self.answer(document, app, **variables)
        assert "errors" not in answer, answer
        data = answer["data"]
        return data[next(iter(data))] if len(data) == 1 else data

    def do(self, document, app="app", **variables):
        """A mutation's payload; there must be no user error."""
        payload = self.ask(document, app, **variables)
        assert not payload.get("userErrors") and not payload.get("orderCancelUserErrors"), payload
        return payload

    def wrong(self, document, app="app", **variables):
        """Of the only user error: (field, message, code)."""
        payload = self.ask(document, app, **variables)
        error, = payload.get("userErrors") or payload["orderCancelUserErrors"]
        return error["field"], error["message"], error.get("code")

    def refused(self, document, app="app", **variables):
        """Of the only top-level error: (message, code)."""
        error, = self.answer(document, app, **variables)["errors"]
        return error["message"], error.get("extensions", {}).get("code")

    def buy(self, *lines, **order):
        """A new order of (sku, quantity) or {"sku", ...}; its id."""
        order.setdefault("shipping_address", dict(ADDRESS))
        asked = [one if isinstance(one, dict) else {"sku": one[0], "quantity": one[1]} for one in lines]
        return add_order(self.shop, bought(self.shop, asked, **order))["id"]

    def topics(self):
        """Topics heard since the last time."""
        out = [one.topic for one in self.heard if one.topic]
        self.heard.clear()
        return out

    def parts(self, order):
        """The order's fulfillment orders: [{"id", "status", ...}]."""
        return self.ask("FulfillmentOrdersOfOrder", id=order)["fulfillmentOrders"]["nodes"]

    def shown(self, order):
        return self.ask("OrderById", id=order)
