"""Deliveries of the Shopify stand-in: each thing that happens in the shop goes to the subscriptions of its topic.

One happening has one Event-Id, and each delivery a Webhook-Id of its own, which its retries keep. The address is the
one of the moment when it happened. Switches make the bad days: lost, late, doubled, out of order, badly signed.
"""

import asyncio
import hashlib
import json
import random
import re
import time
import urllib.parse
import uuid

import aiohttp

from sandbox.common import now_ms
from sandbox.shopify import (CONNECT_S, REMOVED_AFTER, RETRY_S, TOTAL_S, Delivery, post_once, triggered_now,
                             webhook_headers)
from sandbox.shopify_filter import included
from sandbox.orders import to_bytes

DEBOUNCE_S = 5  # ours: within how long the same body is not sent again; the platform says "shortly before"
STYLES = ("plain", "plain", "ascii", "slash", "html")  # ways to write the same JSON; the signature is over bytes
SHARES = ("lost", "late", "duplicate", "reorder", "bad_signature")
SWITCHES = {**{name: 0.0 for name in SHARES}, "seed": 1, "topics": None, "late_s": 3600.0, "reorder_ms": 2000,
            "previous_secret": False, "lower_case": False, "unprefixed": False, "outage": None, "test": False}


class Happening:
    """One action of somebody in the shop: all deliveries that it causes share its id and its moment."""

    def __init__(self, event_id=None, at=None):
        self.event_id = event_id or str(uuid.uuid4())
        self.triggered_at = at.strftime("%Y-%m-%dT%H:%M:%S.%fZ") if at else triggered_now()


class Sent(Delivery):
    """One delivery to one subscription."""

    def __init__(self, number, subscription, url, document, body, headers):
        super().__init__(body, headers, None)
        self.number, self.subscription, self.url, self.subject = number, subscription, url, subject_of(document)
        self.topic, self.at = headers["X-Shopify-Topic"], now_ms()
        self.switches = []  # what of a bad day struck it
        self.done = asyncio.Event()

    def to_json(self, with_body=False):
        out = {**super().to_json(), "number": self.number, "at": self.at, "topic": self.topic,
               "subscription": self.subscription.id, "name": self.subscription.name, "url": self.url,
               "triggered_at": self.headers["X-Shopify-Triggered-At"], "switches": self.switches,
               "subject": self.subject}
        if with_body:
            out["body"] = self.body.decode()
        return out


def subject_of(document):
    """What a body is about: the id of its order where it has one, else its own."""
    for at in (("order_id",), ("order_edit", "order_id"), ("order", "id"), ("fulfillment_order", "id"), ("id",),
               ("admin_graphql_api_id",)):
        value = document
        for name in at:
            value = value.get(name) if isinstance(value, dict) else None
        if value is not None:
            return value
    return None


def bare_names(headers):
    """The newer product's headers: no `X-`, and lower case; the action is the topic's second half."""
    out = {name[2:].lower() if name.startswith("X-Shopify-") else name: value for name, value in headers.items()}
    out["shopify-action"] = headers["X-Shopify-Topic"].partition("/")[2]
    if "shopify-name" in out:
        out["shopify-handle"] = out.pop("shopify-name")
    return out


class Webhooks:
    """The sending half of a shop. `spawn` starts a task that reset and stop end.

    secrets: [current, previous]. clock: factor on retry waits and lateness. routes: {"https://host": "http://..."},
    where a host of the subscriptions really is, as `curl --connect-to`; "*" is all the others. metafields: those of an
    owner that a subscription wants, for its body.
    """

    def __init__(self, subscriptions, spawn, shop="example.myshopify.com", secrets=("secret",), version="2026-10",
                 clock=1.0, verify=True, connect_s=CONNECT_S, total_s=TOTAL_S, routes=None, concurrency=64):
        self.subscriptions, self.spawn, self.shop = subscriptions, spawn, shop
        self.first_secrets, self.version, self.clock = list(secrets), version, clock
        self.verify, self.connect_s, self.total_s = verify, connect_s, total_s
        self.first_routes, self.concurrency = dict(routes or {}), concurrency
        self.session = None
        self.metafields = lambda owner, namespaces, named: []
        self.reset()

    def reset(self):
        self.secrets, self.routes = list(self.first_secrets), dict(self.first_routes)
        self.switches = dict(SWITCHES)
        self.log, self.under_way, self.held = [], set(), []
        self.unheard = {}  # topic: happenings that nobody had subscribed to
        self.filtered = self.debounced = 0
        self.recent = {}

    async def open(self):
        connector = aiohttp.TCPConnector(limit=0, ssl=None if self.verify else False, keepalive_timeout=60)
        self.session = aiohttp.ClientSession(connector=connector, timeout=aiohttp.ClientTimeout(
            total=self.total_s, sock_connect=self.connect_s), auto_decompress=False)
        self.slots = asyncio.Semaphore(self.concurrency)

    async def close(self):
        if self.session:
            await self.session.close()

    # ---- something happens ----

    def tell(self, topic, document, happening=None):
        """Delivers a body to all that subscribed to its topic; returns the deliveries, which go on by themselves."""
        happening = happening or Happening()
        heard = self.subscriptions.on(topic)
        if not heard:
            self.unheard[topic] = self.unheard.get(topic, 0) + 1
        return [one for one in (self.deliver(own, topic, document, happening) for own in heard) if one]

    def deliver(self, own, topic, document, happening):
        chosen = included(document, own.fields)
        if own.namespaces or own.metafields:
            chosen = {**chosen, "metafields": self.metafields(document.get("admin_graphql_api_id"), own.namespaces,
                                                              own.metafields)}
        if not own.parsed.fits(chosen):
            self.filtered += 1
            return None
        number = len(self.log)
        body = to_bytes(chosen, STYLES[number % len(STYLES)])
        if own.fields and self.just_sent(own, chosen):
            self.debounced += 1
            return None
        luck = random.Random(f"{self.switches['seed']}/{number}")
        struck = self.strike(luck, topic)
        secret = self.secrets[1 if self.switches["previous_secret"] and len(self.secrets) > 1 else 0]
        headers = webhook_headers(body, topic, secret="not-the-secret" if "bad_signature" in struck else secret,
                                  shop=self.shop, api_version=self.version, name=own.name,
                                  event_id=happening.event_id, triggered_at=happening.triggered_at,
                                  test=self.switches["test"])
        made = Sent(number, own, own.uri, chosen, body, headers)
        made.switches = struck
        self.log.append(made)
        self.start(made)
        return made

    def just_sent(self, own, document):
        """The same body again, shortly after: dropped."""
        key = (own.id, hashlib.sha256(json.dumps(document, sort_keys=True).encode()).digest())
        if len(self.recent) > 10_000:
            self.recent.clear()
        before, self.recent[key] = self.recent.get(key), time.monotonic()
        return before is not None and self.recent[key] - before < DEBOUNCE_S

    def strike(self, luck, topic):
        """Which switches strike this one. Always the same draws, so that one share does not move the others."""
        draws = {name: luck.random() for name in SHARES}
        if self.switches["topics"] and not re.fullmatch(self.switches["topics"], topic):
            return []
        struck = [name for name in SHARES if draws[name] < self.switches[name]]
        return [self.switches["outage"]] if self.switches["outage"] else struck

    # ---- one delivery's life ----

    def start(self, made):
        own = made.subscription
        if not own.uri.startswith("https:") or own.format != "JSON":
            self.end(made, "elsewhere")  # a queue of a cloud, or XML: not played
        elif "lost" in made.switches or "lose" in made.switches:
            self.end(made, "lost")
        elif "hold" in made.switches:
            self.held.append(made)
        else:
            self.go(made)

    def go(self, made):
        self.under_way.add(made)
        self.spawn(self.live(made))

    def end(self, made, final):
        made.final = final
        made.done.set()

    async def live(self, made):
        try:
            if "late" in made.switches:
                await asyncio.sleep(self.switches["late_s"] * self.clock)
            if "reorder" in made.switches:
                await self.overtaken(made)
            await self.tries(made)
            if "duplicate" in made.switches and made.final == "delivered":
                await self.attempt(made)
        finally:
            made.done.set()
            self.under_way.discard(made)

    async def overtaken(self, made):
        """Waits until a later one of the same subscription has gone, or for so long."""
        end = time.monotonic() + self.switches["reorder_ms"] / 1000
        while time.monotonic() < end and made.subscription.latest <= made.number:
            await asyncio.sleep(0.01)

    async def tries(self, made):
        waits = list(RETRY_S)
        while made.subscription.id in self.subscriptions.all:
            async with self.slots:
                if await self.attempt(made):
                    return self.end(made, "delivered")
            if not waits:
                return self.end(made, "failed")
            await asyncio.sleep(waits.pop(0) * self.clock)
        return self.end(made, "dropped")  # its subscription is no more

    async def attempt(self, made):
        """One POST. True for a 2xx. Eight failures in a row delete what the API made."""
        headers = made.headers
        if self.switches["unprefixed"]:
            headers = bare_names(headers)
        elif self.switches["lower_case"]:
            headers = {name.lower(): value for name, value in headers.items()}
        entry = await post_once(self.session, self.where(made.url), made.body, headers)
        made.attempts.append(entry)
        own, good = made.subscription, entry["status"] is not None and 200 <= entry["status"] < 300
        own.latest = max(own.latest, made.number) if good else own.latest
        own.failures_in_row = 0 if good else own.failures_in_row + 1
        own.worst_row = max(own.worst_row, own.failures_in_row)
        if own.failures_in_row >= REMOVED_AFTER and own.made_by == "api" and own.id in self.subscriptions.all:
            self.subscriptions.drop(own.id, f"{REMOVED_AFTER} failures in a row")
        return good

    def where(self, url):
        """The address with the host that really listens."""
        parts = urllib.parse.urlsplit(url)
        real = self.routes.get(f"{parts.scheme}://{parts.netloc}") or self.routes.get("*")
        if not real:
            return url
        return real.rstrip("/") + urllib.parse.urlunsplit(("", "", parts.path or "/", parts.query, ""))

    # ---- control ----

    def steer(self, asked):
        """Changes switches; an outage that is over gives what was held."""
        asked = dict(asked)
        if "secrets" in asked:
            self.secrets = asked.pop("secrets")
        if "routes" in asked:
            self.routes.update(asked.pop("routes"))
        unknown = set(asked) - set(SWITCHES)
        if unknown or asked.get("outage") not in (None, "lose", "hold"):
            raise ValueError(f"unknown: {', '.join(sorted(unknown)) or asked['outage']}; known: secrets, routes, "
                             f"{', '.join(SWITCHES)}; an outage is \"lose\", \"hold\" or null")
        self.switches.update(asked)
        if not self.switches["outage"]:
            held, self.held = self.held, []
            for one in held:
                self.go(one)
        return {**self.switches, "routes": self.routes}

    async def settle(self, timeout_s):
        """Waits until nothing is under way; false if something still is."""
        end = time.monotonic() + timeout_s
        while self.under_way and time.monotonic() < end:
            await asyncio.sleep(0.01)
        return not self.under_way

    def books(self):
        finals, struck, topics, statuses = {}, {}, {}, {}
        for one in self.log:
            finals[one.final] = finals.get(one.final, 0) + 1
            topics[one.topic] = topics.get(one.topic, 0) + 1
            for name in one.switches:
                struck[name] = struck.get(name, 0) + 1
            for entry in one.attempts:
                word = str(entry["status"] or entry["error"])
                statuses[word] = statuses.get(word, 0) + 1
        return {"deliveries": len(self.log), "attempts": sum(len(one.attempts) for one in self.log), "final": finals,
                "by_topic": topics, "by_status": statuses, "switches": struck, "waiting": len(self.under_way),
                "held": len(self.held), "filtered": self.filtered, "debounced": self.debounced, "unheard": self.unheard,
                "subscriptions": self.subscriptions.books()}
