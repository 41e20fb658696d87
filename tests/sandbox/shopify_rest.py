"""As much of the REST Admin API as the stand-in still has: one order, in the form of its webhook, behind its own limit.

A leaky bucket: 40 calls, and two a second run out. Full, the answer is a 429 with `Retry-After` as a decimal.
"""

import re
import time

from sandbox.common import as_json
from sandbox.shopify_shop import gid

PATH = re.compile(r"/admin/api/([\w-]+)/orders/(\d+)\.json")
MISSING = {"errors": "Not Found"}


class Calls:
    """How full the bucket of calls is."""

    def __init__(self, size=40, leak=2.0):
        self.size, self.leak = size, leak
        self.full, self.at = 0.0, time.monotonic()

    def level(self):
        now = time.monotonic()
        self.full, self.at = max(0.0, self.full - (now - self.at) * self.leak), now
        return self.full

    def take(self):
        """True if there is room for one more."""
        if self.level() + 1 > self.size:
            return False
        self.full += 1
        return True

    def header(self):
        return {"X-Shopify-Shop-Api-Call-Limit": f"{min(self.size, int(self.level() + 0.999))}/{self.size}"}


def answer(shop, calls, request):
    """A GET of /admin/api/VERSION/orders/ID.json."""
    if not calls.take():
        return as_json({"errors": "Exceeded 2 calls per second for api client. Reduce request rates to resume "
                        "uninterrupted service."}, 429, {**calls.header(), "Retry-After": "2.0"})
    found = shop.find(gid("Order", PATH.fullmatch(request.path)[2]), "Order")
    if found is None:
        return as_json(MISSING, 404, calls.header())
    return as_json({"order": found.document}, 200, calls.header())
