"""The shop of the Shopify stand-in: its time, its ids, what is in it, and who is told of a change.

Everything that has a global id is a Thing in `shop.things`; modules keep what belongs to them (shopify_orders,
shopify_fulfil, shopify_stock, ...) and change it by plain functions, so that GraphQL and the control API do the same.

Whoever wants to hear of changes (the sender of webhooks) appends a function to `shop.listeners`. It is called with one
Change after the whole action is done, never in the middle of it.
"""

import asyncio
import collections
import contextlib
import datetime
import heapq
import itertools
import time
import uuid

Change = collections.namedtuple("Change", "kind id topic event_id at extra")
Change.__doc__ = """Something happened to a thing.

kind, id   the thing's type and its global id ("Order", "gid://shopify/Order/1"); it may be gone by now
topic      of the webhook that tells it ("orders/updated"); None where the platform sends none
event_id   the same for all that one action of a merchant or an app did
at         when, datetime in UTC
extra      what the body of this topic says besides the thing: names and global ids, or plain values
"""


class Clock:
    """True time, and what a test has added to it."""

    def __init__(self):
        self.ahead_s = 0.0

    def seconds(self):
        return time.time() + self.ahead_s

    def now(self):
        return datetime.datetime.fromtimestamp(self.seconds(), datetime.timezone.utc)


class Thing(dict):
    """Something with a global id, a type and fields; fields are attributes too."""

    def __getattr__(self, name):
        try:
            return self[name]
        except KeyError:
            raise AttributeError(f"{self.get('__typename')} has no {name}") from None

    def __setattr__(self, name, value):
        self[name] = value

    def __hash__(self):
        return hash(self["id"])


def gid(kind, number):
    return f"gid://shopify/{kind}/{number}"


def number_of(global_id):
    """The number behind a global id, as text: what legacyResourceId says."""
    return str(global_id).rpartition("/")[2].partition("?")[0]


def kind_of(global_id):
    return str(global_id).split("/")[3] if str(global_id).startswith("gid://shopify/") else ""


def stamp(moment):
    """A time as GraphQL has it."""
    return moment.astimezone(datetime.timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")


class Shop:
    """One shop. `settings` are the switches a test may turn; reset() brings all back to a fresh start."""

    DEFAULTS = {
        "routing_ms": 0,  # from an order to its fulfillment orders
        "job_ms": 0,  # that an orderCancel takes
        "cancel_fails": False,  # its job ends as FAILED
        "search_lag_ms": 0,  # until the search knows of a change
        "ready_ms": 0,  # until a draft order has its link
    }

    def __init__(self, domain="example.myshopify.com", currency="EUR", settings=None):
        self.domain, self.currency = domain, currency
        self.begin_with = {**self.DEFAULTS, **(settings or {})}
        self.listeners = []
        self.resetters = []  # functions of the modules: what a fresh shop has
        self.clear()

    def clear(self):
        self.settings = dict(self.begin_with)
        self.clock = Clock()
        self.things, self.kinds = {}, collections.defaultdict(dict)
        self.indexes = collections.defaultdict(dict)  # of modules that look things up by something else than their id
        self.keys = {}  # (app, idempotency key) -> what was answered
        self.numbers = collections.defaultdict(lambda: itertools.count(1))
        self.due, self.order_of_due = [], itertools.count()
        self.action_now, self.changes = None, []
        self.counts = collections.Counter()  # changes by topic, for the books

    def reset(self):
        self.clear()
        for one in self.resetters:
            one(self)

    # ---- time ----

    def now(self):
        return self.clock.now()

    def stamp(self):
        return stamp(self.now())

    def later(self, ms, function, *args):
        """Calls it when so much of the shop's time has passed; at once for 0."""
        if ms <= 0:
            return function(*args)
        heapq.heappush(self.due, (self.clock.seconds() + ms / 1000, next(self.order_of_due), function, args))
        try:
            asyncio.get_running_loop().call_later(ms / 1000 + 0.001, self.run_due)
        except RuntimeError:  # nobody's loop: run_due() is called by who uses the shop
            pass

    def run_due(self):
        """Does what has come due. Idempotent, and never too early."""
        while self.due and self.due[0][0] <= self.clock.seconds():
            _, _, function, args = heapq.heappop(self.due)
            with self.action():
                function(*args)

    def advance(self, seconds):
        """The shop's time goes on."""
        self.clock.ahead_s += seconds
        self.run_due()

    # ---- things ----

    def new_id(self, kind):
        """A global id that nothing has yet. Numbers of a kind count up from a base of their own, so that an id of
        another kind is never taken for one by chance."""
        base = 1_000_000 * (1 + sum(map(ord, kind)) % 9000)
        while True:
            made = gid(kind, base + next(self.numbers[kind]))
            if made not in self.things:
                return made

    def add(self, kind, id=None, /, **fields):
        """A new thing, known by its id."""
        now = self.stamp()
        thing = Thing({"__typename": kind, "id": id or self.new_id(kind), "createdAt": now, "updatedAt": now, **fields})
        thing.legacyResourceId = number_of(thing["id"])
        self.things[thing["id"]] = self.kinds[kind][thing["id"]] = thing
        return thing

    def remove(self, thing):
        del self.things[thing["id"]], self.kinds[thing["__typename"]][thing["id"]]

    def find(self, global_id, kind=None):
        """The thing of this id, and of this type if one is named; else None."""
        thing = self.things.get(global_id)
        return thing if thing is not None and kind in (None, thing["__typename"]) else None

    def all(self, kind):
        return list(self.kinds[kind].values())

    # ---- changes ----

    @contextlib.contextmanager
    def action(self, event_id=None):
        """All changes in it have one event id, and are told once it is over. An inner action belongs to the outer."""
        if self.action_now is not None:
            yield self.action_now
            return
        self.action_now = event_id or str(uuid.uuid4())
        try:
            yield self.action_now
        finally:
            told, self.changes, self.action_now = self.changes, [], None
            for one in told:
                for listener in list(self.listeners):
                    listener(one)

    def changed(self, kind, id, topic, **extra):
        """Notes what happened. Said twice in one action with nothing else to it, it is told once."""
        with self.action() as event_id:
            change = Change(kind, id, topic, event_id, self.now(), extra)
            if extra or not any(one[:3] == change[:3] and not one.extra for one in self.changes):
                self.changes.append(change)
                if topic:
                    self.counts[topic] += 1
