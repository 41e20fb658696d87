"""A shop that never stops sending, in a thread of its own, while a test breaks things."""

import asyncio
import collections
import random
import threading
import time
import uuid

from flow.harness import SECRET, SHOP
from sandbox.client import request
from sandbox.orders import OrderFactory
from sandbox.shopify import ShopifySender, sign

FOR_EVER = (0.1,) * 3_000  # the waits of a sender that does not give up
PATIENCE_S = 20            # of one attempt: what is late by a busy machine alone is no answer that failed


class Shop:
    """Sends orders at about `rate` a second, each until it is acknowledged; some of them twice.

        with Shop(gateway.url, seed=1, rate=50) as shop:
            ...                       # break things
            shop.finish()             # no new ones; waits until all are acknowledged
        shop.orders, shop.books()

    `sent_ms[order id]`: the wall clock when its first attempt began.
    """

    def __init__(self, url, seed, rate, duplicates=0.05, unmapped=0.0, limit=None, concurrency=32):
        self.url, self.seed, self.rate, self.duplicates, self.limit = url, seed, rate, duplicates, limit
        self.concurrency = concurrency
        self.factory = OrderFactory(seed % 9_999_999, unmapped=unmapped)
        self.rng = random.Random(f"shop {seed}")
        self.orders, self.twice, self.sent_ms = [], 0, {}
        self.more = True
        self.started = threading.Event()
        self.sender = self.loop = self.task = self.trouble = None
        self.thread = threading.Thread(target=self.run, name="shop", daemon=True)

    def __enter__(self):
        self.thread.start()
        assert self.started.wait(30), self.trouble
        return self

    def __exit__(self, kind, *unused):
        self.more = False
        if kind and self.thread.is_alive():  # the test has failed: nobody waits for what is left
            self.loop.call_soon_threadsafe(self.task.cancel)
        self.thread.join(60)

    def run(self):
        try:
            asyncio.run(self.work())
        except asyncio.CancelledError:
            pass
        except Exception as wrong:  # told to the test by finish()
            self.trouble = wrong

    async def work(self):
        async with ShopifySender(f"{self.url}/in/acme-shop", SECRET, retries=FOR_EVER, connect_s=PATIENCE_S,
                                 total_s=PATIENCE_S, concurrency=self.concurrency) as self.sender:
            self.loop, self.task = asyncio.get_running_loop(), asyncio.current_task()
            self.started.set()
            tasks, begun = set(), time.monotonic()
            while self.more and len(self.orders) != self.limit:
                await asyncio.sleep(max(0, begun + len(self.orders) / self.rate - time.monotonic()))
                order = self.factory.order(len(self.orders))
                self.orders.append(order)
                self.sent_ms[order.id] = time.time_ns() // 1_000_000
                webhook_id = str(uuid.UUID(int=self.rng.getrandbits(128), version=4))
                times = 2 if self.rng.random() < self.duplicates else 1
                self.twice += times - 1
                for _ in range(times):
                    task = asyncio.create_task(self.sender.send(order.body, webhook_id=webhook_id))
                    tasks.add(task)
                    task.add_done_callback(tasks.discard)
            while tasks:
                await asyncio.wait(tasks)

    def finish(self, seconds=60):
        """Waits until every order has its 2xx."""
        self.more = False
        self.thread.join(seconds)
        assert not self.thread.is_alive(), f"not acknowledged within {seconds} s: {self.tell()}"
        if self.trouble:
            raise self.trouble
        assert self.books()["final"] == {"delivered": len(self.orders) + self.twice}, self.tell()

    @property
    def acknowledged(self):
        return sum(one.final == "delivered" for one in list(self.sender.deliveries))

    def books(self):
        return self.sender.books(deliveries=False)

    def statuses(self):
        return collections.Counter(self.books()["by_status"])

    def tell(self):
        books = self.books()
        return f"{len(self.orders)} orders, {self.twice} twice, {books['final']}, answers {books['by_status']}"


def signed_post(gateway, body, **headers):
    """(status, headers) of one signed webhook; `body`: bytes, or an order."""
    body = getattr(body, "body", body)
    sent = {"Content-Type": "application/json", "X-Shopify-Topic": "orders/create",
            "X-Shopify-Hmac-Sha256": sign(SECRET, body), "X-Shopify-Shop-Domain": SHOP,
            "X-Shopify-Webhook-Id": str(uuid.uuid4()), **headers}
    status, head, _ = request(gateway.url, "POST", "/in/acme-shop", body, sent)
    return status, head
