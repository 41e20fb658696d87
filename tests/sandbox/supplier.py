#!/usr/bin/python3
"""Supplier stand-in: takes orders as JSON. Two characters, chosen by --idempotency:

key    an Idempotency-Key header is honoured: the same key gives 200 and the same order
none   a second POST makes a second order; only a look-up by our id tells what is there
"""

import datetime
import email.utils
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

EXTERNAL_ID = re.compile(r"[0-9A-Za-z_-]{1,32}")
MAX_QUANTITY = 1000
HINTS = ("seconds", "date", "none", "reset", "x-retry-after")


def refusal(status, code, message):
    return as_json({"error": {"code": code, "message": message}}, status)


class Invalid(Exception):
    def __init__(self, code, message):
        super().__init__(message)
        self.code, self.message = code, message


class Rate:
    """A token bucket: `per_s` requests a second, `burst` at once."""

    def __init__(self, per_s, burst):
        self.per_s, self.burst = per_s, burst
        self.refill()

    def refill(self):
        self.tokens, self.at = float(self.burst), time.monotonic()

    def take(self):
        """0, or the seconds until the next token."""
        now = time.monotonic()
        self.tokens = min(self.burst, self.tokens + (now - self.at) * self.per_s)
        self.at = now
        if self.tokens >= 1:
            self.tokens -= 1
            return 0
        return (1 - self.tokens) / self.per_s


class Supplier(common.StandIn):
    def __init__(self, idempotency="key", token=None, name="supplier", rate=None, burst=None, hint="seconds",
                 reject_sku=None, books_file=None):
        self.name = name
        super().__init__(books_file)
        if idempotency not in ("key", "none"):
            raise ValueError(f"idempotency is key or none, not {idempotency}")
        self.idempotency, self.token, self.hint = idempotency, token, hint
        self.rate = Rate(rate, burst or max(1, math.ceil(rate))) if rate else None
        self.reject_sku = re.compile(reject_sku) if reject_sku else None
        self.reset()

    def reset(self):
        self.orders = []  # in order of arrival, as the books show them
        self.by_id = {}
        self.by_our_id = {}
        self.by_key = {}
        self.replays = []  # a key that came again: what it was answered
        self.rejected = []
        if self.rate:
            self.rate.refill()

    # ---- requests ----

    def steps_of(self, request):
        if request.path.rstrip("/") == "/orders" and request.method == "POST":
            return ["order", "orders"]
        if request.path.endswith("/cancel"):
            return ["cancel", "orders"]
        return ["lookup", "orders"] if request.path.startswith("/orders") else ["other"]

    def refuse(self, request):
        wait = self.rate.take() if self.rate else 0
        if not wait:
            return None
        headers = {}
        if self.hint == "seconds":
            headers["Retry-After"] = str(math.ceil(wait))
        elif self.hint == "x-retry-after":
            headers["x-retry-after"] = str(math.ceil(wait))
        elif self.hint == "date":
            headers["Retry-After"] = email.utils.formatdate(math.ceil(time.time() + wait), usegmt=True)
        elif self.hint == "reset":
            full = (self.rate.burst - self.rate.tokens) / self.rate.per_s
            headers.update({"X-RateLimit-Limit": str(self.rate.burst), "X-RateLimit-Remaining": "0",
                            "X-RateLimit-Reset": f"{full:.3f}"})
        body = {"error": {"code": "too_many_requests", "message": "slow down"}}
        return as_json(body, 429, headers)

    async def act(self, request):
        if self.token and request.headers.get("Authorization", "") != f"Bearer {self.token}":
            return refusal(401, "unauthorized", "the bearer token is missing or wrong")
        path = request.path.rstrip("/")
        if path == "/orders" and request.method == "POST":
            return await self.take_order(request)
        if path.startswith("/orders/@") and path.endswith("/cancel") and request.method == "POST":
            return self.cancel(path[len("/orders/@"):-len("/cancel")])
        if request.method != "GET":
            return refusal(405, "method_not_allowed", "orders are posted or read")
        if path == "/orders":
            return self.find(request)
        if path.startswith("/orders/@"):
            found = self.by_our_id.get(path[len("/orders/@"):], [None])[0]
            return self.show(found, "no order with that id of yours")
        found = self.by_id.get(path[len("/orders/"):]) if path.startswith("/orders/") else None
        return self.show(found, "no such order")

    def show(self, order, otherwise):
        return as_json(order["answer"]) if order else refusal(404, "not_found", otherwise)

    def find(self, request):
        wanted = [value for name in ("merchantReference", "merchantReferences[]", "external_id")
                  for value in request.query.getall(name, [])]
        found = [order for one in wanted for order in self.by_our_id.get(one, [])]
        if not wanted:
            found = self.orders[-100:]
        return as_json({"outcome": "Ok", "orders": [order["answer"] for order in found], "hasMore": False})

    def cancel(self, ours):
        """All orders of that id of yours; they are still found, with their status."""
        found = self.by_our_id.get(ours, [])
        if any(one["answer"]["status"] == "shipped" for one in found):
            return refusal(409, "shipped", "it has left the house")
        for one in found:
            one["answer"]["status"] = "cancelled"
        return self.show(found[0] if found else None, "no order with that id of yours")

    async def take_order(self, request):
        raw = await request.read()
        key = request.headers.get("Idempotency-Key")
        earlier = self.by_key.get(key) if key and self.idempotency == "key" else None
        if earlier:
            self.replays.append({"key": key, "order": earlier["id"], "at": now_ms(),
                                 "same_body": earlier["raw_bytes"] == raw})
            return as_json({**earlier["answer"], "outcome": "AlreadyExists"})
        try:
            body = self.check(raw)
        except Invalid as wrong:
            self.rejected.append({"code": wrong.code, "message": wrong.message, "key": key, "at": now_ms(),
                                  "raw": raw.decode("utf-8", "replace")})
            return refusal(422, wrong.code, wrong.message)
        order = self.store(body, raw, key)
        return as_json({**order["answer"], "outcome": "Created"}, 201)

    def check(self, raw):
        try:
            body = json.loads(raw)
        except ValueError:
            raise Invalid("invalid_json", "the body is not JSON") from None
        if not isinstance(body, dict):
            raise Invalid("invalid_json", "the body is not an object")
        ours = our_id(body)
        if not isinstance(ours, str) or not ours:
            raise Invalid("missing_reference", "merchantReference or external_id is required, as a string")
        if "external_id" in body and not EXTERNAL_ID.fullmatch(ours):
            raise Invalid("invalid_external_id", "external_id: 1 to 32 of [0-9A-Za-z_-]")
        if not isinstance(body.get("recipient"), dict) or not body["recipient"]:
            raise Invalid("missing_recipient", "recipient is required")
        items = body.get("items")
        if not isinstance(items, list) or not items:
            raise Invalid("missing_items", "items is required and not empty")
        for item in items:
            self.check_item(item)
        return body

    def check_item(self, item):
        if not isinstance(item, dict) or not item.get("sku"):
            raise Invalid("missing_sku", "every item has a sku")
        quantity = item.get("quantity", item.get("copies"))
        if not isinstance(quantity, int) or isinstance(quantity, bool) or not 1 <= quantity <= MAX_QUANTITY:
            raise Invalid("invalid_quantity", f"quantity is a whole number from 1 to {MAX_QUANTITY}")
        if self.reject_sku and self.reject_sku.search(item["sku"]):
            raise Invalid("unknown_sku", f"no such sku: {item['sku']}")

    def store(self, body, raw, key):
        ours = our_id(body)
        order_id = f"ord_{self.name}{len(self.orders) + 1:07d}"
        created = datetime.datetime.now(datetime.timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")
        answer = {"id": order_id, "status": "received", "created": created}
        answer.update({name: body[name] for name in ("merchantReference", "external_id") if name in body})
        order = {"id": order_id, "our_id": ours, "key": key, "at": now_ms(), "body": body, "raw_bytes": raw,
                 "answer": answer}
        self.orders.append(order)
        self.by_id[order_id] = order
        self.by_our_id.setdefault(ours, []).append(order)
        if key:
            self.by_key.setdefault(key, order)
        return order

    # ---- books ----

    def books(self):
        orders = [{"id": one["id"], "status": one["answer"]["status"], "our_id": one["our_id"], "key": one["key"], "at": one["at"],
                   "body": one["body"],
                   "raw": one["raw_bytes"].decode("utf-8", "replace")} for one in self.orders]
        by_our_id = {ours: [one["id"] for one in found] for ours, found in self.by_our_id.items()}
        return {"idempotency": self.idempotency, "orders": orders, "by_our_id": by_our_id,
                "doubles": {ours: ids for ours, ids in by_our_id.items() if len(ids) > 1},
                "replays": self.replays, "rejected": self.rejected}

    async def on_counts(self, request):
        """The books' sums alone, for a progress display."""
        return as_json({"orders": len(self.orders), "our_ids": len(self.by_our_id),
                        "replays": len(self.replays),
                        "rejected": len(self.rejected), "requests": self.requests["total"],
                        "by_status": dict(self.by_status)})

    def control_routes(self):
        return [web.get("/_control/counts", self.on_counts)]


def our_id(body):
    return body.get("external_id", body.get("merchantReference"))


def rate(text):
    """100/s, 120/m or a plain number a second."""
    found = re.fullmatch(r"(\d+(?:\.\d+)?)(?:/(s|m|min))?", text)
    if not found or float(found[1]) <= 0:
        raise ValueError(text)
    return float(found[1]) / (60 if found[2] in ("m", "min") else 1)


def main():
    parser = common.arguments("Supplier stand-in")
    parser.add_argument("--idempotency", choices=("key", "none"), default="key")
    parser.add_argument("--token", help="the bearer token that is asked for; none: any")
    parser.add_argument("--name", default="supplier", help="part of its order ids")
    parser.add_argument("--rate", type=rate, metavar="N/s", help="more than that is answered 429")
    parser.add_argument("--burst", type=int, help="bucket size of the rate; a second's worth unless told")
    parser.add_argument("--retry-after", choices=HINTS, default="seconds",
                        help="what a 429 says about waiting")
    parser.add_argument("--reject-sku", metavar="REGEX", help="items with such a sku make the order a 422")
    args = parser.parse_args()
    stand_in = Supplier(args.idempotency, args.token, args.name, args.rate, args.burst, args.retry_after,
                        args.reject_sku, args.books)
    return common.serve(stand_in, args)


if __name__ == "__main__":
    sys.exit(main())
