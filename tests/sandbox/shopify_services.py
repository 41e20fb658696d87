"""What the shop asks a fulfillment service: that there is a request, how much is in stock, how parcels are called.

The address of the service is a prefix. What comes back lands in the shop through two functions that are given here; an
answer that is no JSON counts as an empty one, as the platform's old client did.
"""

import asyncio
import json
import time
import urllib.parse

import aiohttp
from yarl import URL

from sandbox.common import as_json, now_ms
from sandbox.shopify import sign

TIMEOUT_S, MAX_RETRIES = 20, 3


class Callbacks:
    """webhooks: whose addresses, secret and session are used. on_stock(service, {sku: n}) and
    on_tracking(service, {name: number}) do what was said, and return what of it they could."""

    def __init__(self, webhooks, on_stock, on_tracking):
        self.webhooks, self.on_stock, self.on_tracking = webhooks, on_stock, on_tracking
        self.clear()

    def clear(self):
        self.log = []
        self.suffix = ""  # ".json" of older days
        self.bad_signature = False

    # ---- the three calls ----

    async def notify(self, service, kind):
        """POST: the merchant asks for something. It has no order in it: the service has to ask."""
        body = json.dumps({"kind": kind}).encode()
        secret = "not-the-secret" if self.bad_signature else self.webhooks.secrets[0]
        headers = {"Content-Type": "application/json", "X-Shopify-Hmac-Sha256": sign(secret, body),
                   "X-Shopify-Shop-Domain": self.webhooks.shop, "X-Shopify-API-Version": self.webhooks.version,
                   "User-Agent": "Shopify-Captain-Hook", "Accept": "*/*"}
        return await self.call("POST", service, "fulfillment_order_notification", [], body, headers, kind=kind)

    async def fetch_stock(self, service, sku=None):
        asked = [("max_retries", MAX_RETRIES), ("shop", self.webhooks.shop), ("timestamp", int(time.time()))]
        entry = await self.call("GET", service, "fetch_stock", asked + ([("sku", sku)] if sku is not None else []))
        levels = {name: value for name, value in entry["answer"].items()
                  if isinstance(value, int) and not isinstance(value, bool)}
        entry["applied"] = self.on_stock(service, levels) if levels else {}
        return entry

    async def fetch_tracking_numbers(self, service, order_names):
        asked = [("max_retries", MAX_RETRIES), ("shop", self.webhooks.shop), ("timestamp", int(time.time()))]
        entry = await self.call("GET", service, "fetch_tracking_numbers",
                                asked + [("order_names[]", name) for name in order_names])
        numbers = entry["answer"].get("tracking_numbers")
        known = {name: value for name, value in numbers.items() if name in order_names and value} \
            if isinstance(numbers, dict) else {}
        entry["applied"] = self.on_tracking(service, known) if known else {}
        return entry

    # ---- one exchange ----

    async def call(self, method, service, what, asked, body=None, headers=None, **more):
        query = "&".join(f"{urllib.parse.quote(name, safe='[]')}={urllib.parse.quote(str(value), safe='')}"
                         for name, value in asked)
        url = service["callbackUrl"].rstrip("/") + "/" + what + self.suffix + ("?" + query if query else "")
        entry = {"at": now_ms(), "method": method, "what": what, "service": service["id"], "url": url, "status": None,
                 "error": None, "answer": {}, **more}
        self.log.append(entry)
        try:
            async with self.webhooks.session.request(
                    method, URL(self.webhooks.where(url), encoded=True), data=body, headers=headers,
                    allow_redirects=False, timeout=aiohttp.ClientTimeout(total=TIMEOUT_S)) as response:
                text = await response.read()
                entry["status"] = response.status
        except (aiohttp.ClientError, asyncio.TimeoutError, OSError) as wrong:
            entry["error"] = type(wrong).__name__
            return entry
        if response.status == 200 and method == "GET":
            try:
                said = json.loads(text)
            except ValueError:
                said = None
            entry["answer"] = said if isinstance(said, dict) else {}
            entry["error"] = None if isinstance(said, dict) else "not JSON"
        return entry

    def books(self):
        return {"calls": self.log}

    async def steer(self, asked, service_of, names_of):
        """{"what": "stock", "tracking" or a kind of notification, "service", "sku", "names", "suffix",
        "bad_signature"}"""
        self.suffix = asked.get("suffix", self.suffix)
        self.bad_signature = asked.get("bad_signature", self.bad_signature)
        if "what" not in asked:
            return as_json(self.books())
        service = service_of(asked.get("service"))
        if service is None or not service.get("callbackUrl"):
            return as_json({"error": "there is no such service, or it has no address"}, 404)
        if asked["what"] == "stock":
            entry = await self.fetch_stock(service, asked.get("sku"))
        elif asked["what"] == "tracking":
            entry = await self.fetch_tracking_numbers(service, asked.get("names") or names_of(service))
        else:
            entry = await self.notify(service, asked["what"])
        return as_json(entry)
