"""A shop's points under load: deliveries of several questions each, and another client of the same app that takes its
part. The shop's books say what was used of what there was, and what was refused. For the test and the benchmark.
"""

import time

from flow.harness import demo_config, wait_until

CLIENT_ID, CLIENT_SECRET = "sandbox-client-id", "sandbox-app-secret-current"
ENV = {"DEMO_ADMIN_SECRET": CLIENT_SECRET}
SKUS = 8
CATCH_UP_S = 5  # what is not used just now because the machine stands still is used when it goes on

# A draft order of two variants: its SKUs are asked for, then it is made.
DRAFT = ('{quote: .name, email: "b@example.com", lines: [range(2) as $n | {sku: "SKU-\\($n * 3 + 1)", quantity: 1},'
         ' {title: "Setup", price: "5.00", quantity: 1}], currency: "EUR"}')


def config_for(shop, priority="normal", **endpoint):
    """Each order of the shop becomes a draft order in it."""
    config = demo_config("http://127.0.0.1:9")
    config["endpoints"].pop("byron")
    config["endpoints"]["acme-shop"].update({
        "admin": {"url": shop.url, "client_id": CLIENT_ID, "client_secret": {"env": "DEMO_ADMIN_SECRET"}}, **endpoint})
    config["routes"] = [{"name": "order-to-draft", "from": {"endpoint": "acme-shop", "topic": "orders/create"},
                         "map": DRAFT, "priority": priority,
                         "to": {"endpoint": "acme-shop", "action": "draft_order.create"}}]
    return config


def furnish(shop, others=0.0):
    """Its variants; and of its points another client takes so large a share, from the beginning on. Half of the bucket
    is there: of a full one what comes back until the first question is lost, whoever asks."""
    shop.reset()
    shop.call("POST", "variants", [{"sku": f"SKU-{n}"} for n in range(SKUS)])
    points = shop.call("GET", "points")
    shop.call("POST", "points", {"left": points["maximumAvailable"] / 2, "other": points["restoreRate"] * others})


class Watched:
    """What became of the points from now on: what there was, and what was used of it."""

    def __init__(self, shop):
        self.shop, self.begun = shop, time.monotonic()
        self.first = shop.call("GET", "books?brief=1")["points"]

    def books(self):
        now = self.shop.call("GET", "books?brief=1")["points"]
        seconds = time.monotonic() - self.begun
        budget = self.first["currentlyAvailable"] + self.first["restoreRate"] * seconds
        others = now["taken_by_other"] - self.first["taken_by_other"]
        used = now.get("used", 0) - self.first.get("used", 0)
        return {"seconds": seconds, "budget": budget, "used": used, "used_by_others": others,
                "share": (used + others) / budget, "refused": now.get("refused", 0) - self.first.get("refused", 0),
                "calls": now.get("calls", 0) - self.first.get("calls", 0), "left": now["currentlyAvailable"]}


def press(watched, lane, seconds, share=0.98):
    """Always something to send until so long after `watched` began; what the shop's books say then. `lane()`: the
    gateway's, of the shop."""
    wait_until(lambda: watched.books()["calls"] > 0, "the first question")
    while watched.books()["seconds"] < seconds:
        time.sleep(0.1)
    until = time.monotonic() + CATCH_UP_S
    while (books := watched.books())["share"] < share and time.monotonic() < until:
        time.sleep(0.05)
    assert lane()["ready"] > 0, "there was not always something to send"
    return books
