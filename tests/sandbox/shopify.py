#!/usr/bin/python3
"""Shopify stand-in, the sending side: signed webhooks with true headers, time limits and retries.

As a library: ShopifySender. As a program it sends made orders to a URL, or waits behind the control
API for somebody to say what to send (--serve).
"""

import asyncio
import base64
import datetime
import hashlib
import hmac
import json
import os
import random
import sys
import time
import uuid

if __package__ is None:
    sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))

import aiohttp
from aiohttp import web

from sandbox import common
from sandbox.common import as_json, now_ms
from sandbox.orders import OrderFactory

# Waits before the 8 retries. The platform says "8 over 4 hours, exponential" and no more.
RETRY_S = (10, 30, 60, 300, 900, 1800, 3600, 7200)
CONNECT_S, TOTAL_S = 1, 5
REMOVED_AFTER = 8  # consecutive failures after which a subscription made through the API is deleted


def sign(secret, body):
    """The value of X-Shopify-Hmac-Sha256."""
    return base64.b64encode(hmac.new(secret.encode(), body, hashlib.sha256).digest()).decode()


def triggered_now():
    return datetime.datetime.now(datetime.timezone.utc).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def webhook_headers(body, topic, secret, shop, api_version, name=None, webhook_id=None, event_id=None,
                    triggered_at=None, signature=None, test=False):
    """What the platform sends with a body; the last four are the switches of a bad day."""
    out = {
        "X-Shopify-Topic": topic,
        "X-Shopify-Hmac-Sha256": signature or sign(secret, body),
        "X-Shopify-Shop-Domain": shop,
        "X-Shopify-API-Version": api_version,
        "X-Shopify-Webhook-Id": webhook_id or str(uuid.uuid4()),
        "X-Shopify-Triggered-At": triggered_at or triggered_now(),
        "X-Shopify-Event-Id": event_id or str(uuid.uuid4()),
        "Content-Type": "application/json",
        "User-Agent": "Shopify-Captain-Hook",
        "Accept": "*/*",
        "Accept-Encoding": "gzip;q=1.0,deflate;q=0.6,identity;q=0.3",
    }
    if name:
        out["X-Shopify-Name"] = name
    if test:
        out["X-Shopify-Test"] = "true"
    return out


async def post_once(session, url, body, headers):
    """One POST: {"at", "status" or None, "error", "ms"}. A redirect is not followed."""
    begun, entry = time.monotonic(), {"at": now_ms(), "status": None, "error": None}
    try:
        async with session.post(url, data=body, headers=headers, allow_redirects=False) as response:
            await response.read()
            entry["status"] = response.status
    except (aiohttp.ClientError, asyncio.TimeoutError, OSError) as wrong:
        entry["error"] = type(wrong).__name__
    entry["ms"] = round((time.monotonic() - begun) * 1000, 2)
    return entry


class Delivery:
    """One webhook to one URL, over all its attempts."""

    def __init__(self, body, headers, tag):
        self.body, self.headers, self.tag = body, headers, tag
        self.webhook_id = headers["X-Shopify-Webhook-Id"]
        self.attempts = []  # {"at", "status" or None, "error", "ms"}
        self.final = "pending"  # delivered, failed, dropped

    def to_json(self):
        return {"webhook_id": self.webhook_id, "event_id": self.headers.get("X-Shopify-Event-Id"),
                "topic": self.headers.get("X-Shopify-Topic"), "tag": self.tag, "attempts": self.attempts,
                "final": self.final, "sha256": hashlib.sha256(self.body).hexdigest()}


class ShopifySender:
    """One shop's deliveries to one URL. Use as an async context manager.

    clock: factor on the retry waits (0.001 makes 4 hours 14 s); the 1 s and 5 s limits stay true.
    removable: the subscription goes after 8 failures in a row, as one made through the API does.
    connect_s, total_s: the platform's limits, unless a test is about something else: there a machine that
    stands still for a moment would be a failed attempt.
    """

    def __init__(self, url, secret, shop="example.myshopify.com", api_version="2026-10", name=None, clock=1.0,
                 concurrency=64, retries=RETRY_S, removable=False, verify=True, connect_s=CONNECT_S,
                 total_s=TOTAL_S):
        self.url, self.secret, self.shop, self.api_version = url, secret, shop, api_version
        self.name, self.clock, self.retries, self.removable = name, clock, retries, removable
        self.verify = verify
        self.connect_s, self.total_s = connect_s, total_s
        self.concurrency = concurrency
        self.deliveries = []
        self.failures_in_row = self.worst_row = 0
        self.removed = False

    async def __aenter__(self):
        connector = aiohttp.TCPConnector(limit=0, ssl=None if self.verify else False, keepalive_timeout=60)
        timeout = aiohttp.ClientTimeout(total=self.total_s, sock_connect=self.connect_s)
        self.session = aiohttp.ClientSession(connector=connector, timeout=timeout)
        self.slots = asyncio.Semaphore(self.concurrency)
        return self

    async def __aexit__(self, *unused):
        await self.session.close()

    def headers(self, body, topic, secret=None, **switches):
        return webhook_headers(body, topic, secret=secret or self.secret, shop=self.shop,
                               api_version=self.api_version, name=self.name, **switches)

    async def send(self, body, topic="orders/create", tag=None, lower_case=False, drop=(), retry=True,
                   **switches):
        """Delivers until a 2xx or the last retry. tag: the caller's name for it, kept in the books.

        switches: webhook_id, event_id, triggered_at, secret (sign with another one), signature (as it
        is), test.
        """
        headers = self.headers(body, topic, **switches)
        delivery = Delivery(body, headers, tag)
        self.deliveries.append(delivery)
        sent = {name: value for name, value in headers.items() if name not in drop}
        if lower_case:
            sent = {name.lower(): value for name, value in sent.items()}
        waits = list(self.retries) if retry else []
        while not self.removed:
            async with self.slots:
                done = await self.attempt(delivery, sent)
            if done:
                delivery.final = "delivered"
                return delivery
            if not waits:
                delivery.final = "failed"
                return delivery
            await asyncio.sleep(waits.pop(0) * self.clock)
        delivery.final = "dropped"
        return delivery

    async def attempt(self, delivery, headers):
        """One POST. True for a 2xx; a redirect is not followed, and is a failure."""
        entry = await post_once(self.session, self.url, delivery.body, headers)
        delivery.attempts.append(entry)
        good = entry["status"] is not None and 200 <= entry["status"] < 300
        self.failures_in_row = 0 if good else self.failures_in_row + 1
        self.worst_row = max(self.worst_row, self.failures_in_row)
        if self.removable and self.failures_in_row >= REMOVED_AFTER:
            self.removed = True
        return good

    def books(self, deliveries=True):
        attempts = [one for delivery in self.deliveries for one in delivery.attempts]
        statuses, finals = {}, {}
        for one in attempts:
            word = str(one["status"] or one["error"])
            statuses[word] = statuses.get(word, 0) + 1
        for delivery in self.deliveries:
            finals[delivery.final] = finals.get(delivery.final, 0) + 1
        times = sorted(one["ms"] for one in attempts if one["status"])
        latency = {}
        if times:
            latency = {f"p{p}": times[min(len(times) - 1, len(times) * p // 100)] for p in (50, 99, 100)}
        out = {"deliveries": len(self.deliveries),
               "webhook_ids": len({one.webhook_id for one in self.deliveries}),
               "attempts": len(attempts), "by_status": statuses, "final": finals, "latency_ms": latency,
               "worst_failures_in_row": self.worst_row, "subscription_removed": self.removed}
        if deliveries:
            out["log"] = [one.to_json() for one in self.deliveries]
        return out


async def send_orders(sender, orders, duplicates=0.0, bad_signature=0.0, updates=0.0, rate=None, seed=1,
                      topic="orders/create"):
    """Sends the orders as a burst (or at `rate` a second).

    Some go twice under one id, some forged, some followed by orders/updated of the same event.
    Returns {"sent", "forged", "twice"}: lists of order numbers.
    """
    rng = random.Random(seed)
    plan, done = [], {"sent": [], "forged": [], "twice": []}
    for order in orders:
        ids = {"webhook_id": str(uuid.UUID(int=rng.getrandbits(128), version=4)),
               "event_id": str(uuid.UUID(int=rng.getrandbits(128), version=4))}
        if rng.random() < bad_signature:
            done["forged"].append(order.number)
            plan.append((order.body, {**ids, "topic": topic, "signature": sign("not-the-secret", order.body),
                                      "retry": False, "tag": f"forged:{order.number}"}))
            continue
        done["sent"].append(order.number)
        plan.append((order.body, {**ids, "topic": topic, "tag": f"order:{order.number}"}))
        if rng.random() < duplicates:
            done["twice"].append(order.number)
            plan.append((order.body, {**ids, "topic": topic, "tag": f"again:{order.number}"}))
        if rng.random() < updates:
            plan.append((order.body, {"event_id": ids["event_id"], "topic": "orders/updated",
                                      "tag": f"updated:{order.number}"}))
    tasks, begun = [], time.monotonic()
    for at, (body, switches) in enumerate(plan):
        if rate:
            await asyncio.sleep(max(0, begun + at / rate - time.monotonic()))
        tasks.append(asyncio.create_task(sender.send(body, **switches)))
    await asyncio.gather(*tasks)
    return done


class ShopifyStandIn(common.StandIn):
    """The sender behind the control API: POST /_control/send says what to send."""

    name = "shopify"

    def __init__(self, sender, books_file=None):
        super().__init__(books_file)
        self.sender = sender
        self.running = 0

    async def act(self, request):
        return web.json_response({"errors": "Not Found"}, status=404)

    def reset(self):
        self.sender.deliveries = []
        self.sender.failures_in_row = self.sender.worst_row = 0
        self.sender.removed = False

    def books(self):
        return {"running": self.running, **self.sender.books()}

    async def on_send(self, request):
        """{"count", "seed", "first", "duplicates", "bad_signature", "updates", "rate", "topic", "url"}"""
        asked = await request.json()
        orders = OrderFactory(asked.pop("seed", 1)).orders(asked.pop("count", 1), asked.pop("first", 0))
        self.sender.url = asked.pop("url", self.sender.url)
        if self.sender.url is None:
            return as_json({"error": "no url"}, 400)
        unknown = set(asked) - {"duplicates", "bad_signature", "updates", "rate", "topic"}
        if unknown:
            return as_json({"error": f"unknown: {', '.join(sorted(unknown))}"}, 400)
        self.spawn(self.send(orders, asked))
        return as_json({"started": len(orders)}, 202)

    async def send(self, orders, switches):
        self.running += 1
        try:
            await send_orders(self.sender, orders, **switches)
        finally:
            self.running -= 1

    def control_routes(self):
        return [web.post("/_control/send", self.on_send)]

    async def start(self, *args, **kwargs):
        await self.sender.__aenter__()
        return await super().start(*args, **kwargs)

    async def stop(self):
        await super().stop()
        await self.sender.__aexit__()


async def send_once(sender, args):
    if args.file:
        with open(args.file, "rb") as source:
            await sender.send(source.read(), topic=args.topic)
    else:
        orders = OrderFactory(args.seed).orders(args.count, args.first)
        await send_orders(sender, orders, args.duplicates, args.bad_signature, args.updates, args.rate,
                          args.seed, args.topic)


def main():
    parser = common.arguments("Shopify stand-in: sends webhooks")
    parser.add_argument("--url", help="where the webhooks go")
    parser.add_argument("--secret", default="sandbox-app-secret-current")
    parser.add_argument("--shop", default="example.myshopify.com")
    parser.add_argument("--api-version", default="2026-10")
    parser.add_argument("--name", help="X-Shopify-Name, the subscription's name")
    parser.add_argument("--topic", default="orders/create")
    parser.add_argument("--file", help="send this body once instead of made orders")
    parser.add_argument("--count", type=int, default=1)
    parser.add_argument("--first", type=int, default=0, help="number of the first made order")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--duplicates", type=float, default=0, help="share sent twice under one webhook id")
    parser.add_argument("--bad-signature", type=float, default=0, help="share that is forged")
    parser.add_argument("--updates", type=float, default=0, help="share followed by orders/updated")
    parser.add_argument("--rate", type=float, help="a second; a burst unless told")
    parser.add_argument("--concurrency", type=int, default=64)
    parser.add_argument("--clock", type=float, default=1.0, help="factor on the retry waits")
    parser.add_argument("--removable", action="store_true", help="stop after 8 failures in a row")
    parser.add_argument("--insecure", action="store_true", help="take any certificate")
    parser.add_argument("--serve", action="store_true", help="listen for POST /_control/send instead")
    args = parser.parse_args()
    sender = ShopifySender(args.url, args.secret, args.shop, args.api_version, args.name, args.clock,
                           args.concurrency, removable=args.removable, verify=not args.insecure)
    if args.serve:
        return common.serve(ShopifyStandIn(sender, args.books), args)
    if not args.url:
        parser.error("--url is needed")

    async def once():
        async with sender:
            await send_once(sender, args)

    asyncio.run(once())
    if args.books:
        common.write_whole(args.books, json.dumps(sender.books()))
    print(json.dumps(sender.books(deliveries=False)))
    honest = [one for one in sender.deliveries if not str(one.tag).startswith("forged:")]
    return 0 if all(one.final == "delivered" for one in honest) else 1


if __name__ == "__main__":
    sys.exit(main())
