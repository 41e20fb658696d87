"""Stock into a shop: levels that are known in a CRM or an ERP, posted as lists, become inventory.set by the shipped map.
What the shop's own ledger says of it. For the story and the benchmark.
"""

import base64
import hashlib
import hmac
import itertools
import json
import time

from flow.harness import ROOT, SHOP, wait_until
from sandbox.client import request

ADMIN_TOKEN = "sandbox-admin-token"
CALLOUT_SECRET = "what the ERP signs with"
ENV = {"SHOPIFY_ADMIN_TOKEN": ADMIN_TOKEN, "CALLOUT_SECRET": CALLOUT_SECRET, "CRM_SECRET": "sandbox-consumer-secret"}
MAP = {"file": str(ROOT / "conf" / "maps" / "stock-to-inventory.jq")}
MILL = "gid://shopify/Location/70000000101"
_events = itertools.count(1)


def config_for(shop, crm=None, **endpoint):
    """What is said of stock in the CRM goes into the shop."""
    return {
        "endpoints": {
            "acme-shop": {"adapter": "shopify", "shop": SHOP, "webhook_secret": {"env": "DEMO_SHOPIFY_SECRET"},
                          "admin": {"token": {"env": "SHOPIFY_ADMIN_TOKEN"}, "url": shop.url}, **endpoint},
            "crm": {"adapter": "salesforce", "instance": "http://127.0.0.1:9",
                    "auth": {"flow": "client_credentials", "client_id": "3MVG9sandbox-consumer-key",
                             "client_secret": {"env": "CRM_SECRET"}},
                    "receive": {"callout_secret": {"env": "CALLOUT_SECRET"}}, **(crm or {})}},
        "routes": [{
            "name": "stock-to-shop", "from": {"endpoint": "crm", "topic": ["stock/changed", "callout/StockList/*"]},
            "split": MAP, "coalesce": "subject",
            "to": {"endpoint": "acme-shop", "action": "inventory.set", "location": "Mill Yard"}}]}


def say(gateway, levels, number=1):
    """List `number` of [{sku, location, quantity}] is posted."""
    post(gateway, "StockList", number, {"stock": levels})


def post(gateway, what, number, fields):
    """A signed callout about an object of the CRM."""
    body = json.dumps({"eventId": f"stock-{next(_events)}", "object": what, "id": f"a0{number:013}", "changeType": "UPDATE",
                       "fields": fields}).encode()
    mac = base64.b64encode(hmac.digest(CALLOUT_SECRET.encode(), body, hashlib.sha256)).decode()
    status, _, text = request(gateway.url, "POST", "/in/crm/callout", body,
                              {"Content-Type": "application/json", "X-Signature-SHA256": mac})
    assert status == 200, text


def delivered(gateway, count, seconds=60):
    wait_until(lambda: gateway.states("acme-shop") == {"delivered": count} and gateway.settled(),
               f"{count} levels are delivered", seconds=seconds)


class Ledger:
    """The shop's own books of its stock, from now on."""

    def __init__(self, shop):
        self.shop = shop
        self.since = time.monotonic()
        self.begun = len(shop.call("GET", "stock")["ledger"])
        self.points = shop.call("GET", "books?brief=1")["points"]

    def read(self):
        told = self.shop.call("GET", "stock")
        self.levels = {(one["sku"], one["location"]): one for one in told["levels"]}
        self.names = {f"gid://shopify/InventoryLevel/{one['location'].rsplit('/', 1)[1]}?inventory_item_id="
                      f"{one['item'].rsplit('/', 1)[1]}": key for key, one in self.levels.items()}
        return told["ledger"][self.begun:]

    def seconds(self):
        return time.monotonic() - self.since

    def sales(self):
        """How many changes the shop has made by itself."""
        return sum(one["by"] == "merchant" for one in self.read())

    def written(self):
        """[((sku, location), what it has become)] by the gateway, in order."""
        ledger = self.read()
        return [(self.names[one["level"]], one["after"]) for one in ledger if one["by"] == "app"]

    def overwritten(self, figures):
        """Levels that are not what they were said to be and what the shop has sold since, never below none: figures
        {(sku, location): quantity}. Each sale must have come after the level was read."""
        sold = {}
        for one in self.read():
            if one["by"] == "merchant":
                sold[self.names[one["level"]]] = sold.get(self.names[one["level"]], 0) + one["delta"]
        return {key: (self.levels[key]["on_hand"] if key in self.levels else None, wanted, sold.get(key, 0))
                for key, wanted in figures.items()
                if key not in self.levels or self.levels[key]["on_hand"] != max(0, wanted + sold.get(key, 0))}

    def spent(self):
        """{calls, used, refused, user_errors} of the Admin API."""
        now = self.shop.call("GET", "books?brief=1")["points"]
        return {name: now.get(name, 0) - self.points.get(name, 0) for name in ("calls", "used", "refused", "user_errors")}
