#!/usr/bin/python3
"""Limited stand-in: a remote that keeps a bucket of its own and refuses what is too fast.

--kind says how it tells what is left, as the platforms do:
  requests  X-RateLimit-Limit, -Remaining, -Reset (seconds until the bucket is full again)
  leaky     X-Shopify-Shop-Api-Call-Limit: used/slots
  points    GraphQL's extensions.cost.throttleStatus, and THROTTLED under a 200; a request costs --cost points
  silent    nothing but the 429
With --others PCT another client uses so much of the rate, evenly, from the first request on, and begins with
as much of the bucket.

The books say how much of the budget was used since the first request, by all and by the others, and how many
requests were refused: "budget_used_pct" and "refused" are what a client is judged by.
"""

import os
import sys
import time

if __package__ is None:
    sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))

from sandbox import common
from sandbox.common import as_json


class Bucket:
    """Exact in seconds of its own clock; `others` tokens a second go to somebody else."""

    def __init__(self, rate, size, others=0.0):
        self.rate, self.size, self.others = rate, size, others
        self.level = size
        self.begun = self.at = None
        self.used = self.used_by_others = 0
        self.next_other = None

    def begin(self, now):
        self.begun = self.at = now
        if self.others:
            self.used_by_others = int(self.size * self.others / self.rate)
            self.level -= self.used_by_others
            self.next_other = now + 1 / self.others

    def fill(self, now):
        self.level = min(self.size, self.level + (now - self.at) * self.rate)
        self.at = now

    def go_on(self, now):
        """What came back until now, and what the others took of it: refused, they try again at once."""
        if self.begun is None:
            self.begin(now)
        while self.next_other is not None and self.next_other <= now:
            due = max(self.next_other, self.at)
            self.fill(due)
            if self.level < 1:
                due += (1 - self.level) / self.rate
                if due > now:
                    break
                self.fill(due)
            self.level = max(0.0, self.level - 1)
            self.used_by_others += 1
            self.next_other += 1 / self.others
        self.fill(max(now, self.at))

    def take(self, cost, now):
        self.go_on(now)
        if self.level < cost:
            return False
        self.level -= cost
        self.used += cost
        return True

    def budget(self, now):
        return self.size + (now - self.begun) * self.rate if self.begun is not None else 0


class Limited(common.StandIn):
    name = "limited"

    def __init__(self, kind="requests", rate=5.0, burst=10, others=0, cost=1, work_ms=0, books_file=None):
        super().__init__(books_file)
        self.kind, self.rate, self.burst, self.cost, self.work_ms = kind, rate, burst, cost, work_ms
        self.others = rate * others / 100
        self.reset()

    def reset(self):
        self.bucket = Bucket(self.rate, self.burst, self.others)
        self.refused, self.taken, self.last = 0, [], None

    def steps_of(self, request):
        return ["call", request.method.lower()]

    async def act(self, request):
        body = await request.read()
        now = self.last = time.monotonic()
        good = self.bucket.take(self.cost, now)
        if good:
            self.taken.append({"at": now, "raw": body.decode()})
        else:
            self.refused += 1
        return self.told(good)

    def told(self, good):
        left = int(max(0, self.bucket.level))
        lacking = (self.cost - self.bucket.level) / self.rate
        if self.kind == "points":
            status = {"maximumAvailable": float(self.burst), "currentlyAvailable": left, "restoreRate": self.rate}
            answer = {"extensions": {"cost": {"requestedQueryCost": self.cost, "throttleStatus": status}}}
            if good:
                return as_json({"data": {"id": len(self.taken)}, **answer})
            return as_json({"errors": [{"message": "Throttled", "extensions": {"code": "THROTTLED"}}], **answer})
        headers = {}
        if self.kind == "leaky":
            headers["X-Shopify-Shop-Api-Call-Limit"] = f"{self.burst - left}/{self.burst}"
        elif self.kind == "requests":
            headers = {"X-RateLimit-Limit": str(self.burst), "X-RateLimit-Remaining": str(left),
                       "X-RateLimit-Reset": f"{(self.burst - self.bucket.level) / self.rate:.3f}"}
        if good:
            return as_json({"id": len(self.taken)}, headers=headers)
        return as_json({"error": {"message": "too fast"}}, 429, headers={**headers, "Retry-After": f"{lacking:.1f}"})

    def books(self):
        if self.last is not None:
            self.bucket.go_on(max(self.last, time.monotonic()))
        budget = self.bucket.budget(self.bucket.at)
        used = self.bucket.used + self.bucket.used_by_others
        return {"budget": budget, "used": self.bucket.used, "used_by_others": self.bucket.used_by_others,
                "budget_used_pct": 100 * used / budget if budget else 0.0, "refused": self.refused,
                "seconds": self.bucket.at - self.bucket.begun if self.bucket.begun else 0, "taken": len(self.taken)}


def main():
    parser = common.arguments("Limited stand-in")
    parser.add_argument("--kind", choices=("requests", "leaky", "points", "silent"), default="requests")
    parser.add_argument("--rate", type=float, default=5, help="what comes back a second")
    parser.add_argument("--burst", type=int, default=10, help="what there is at most")
    parser.add_argument("--others", type=float, default=0, metavar="PCT", help="what another client uses of it")
    parser.add_argument("--cost", type=int, default=1, help="of a request")
    args = parser.parse_args()
    return common.serve(Limited(args.kind, args.rate, args.burst, args.others, args.cost, books_file=args.books), args)


if __name__ == "__main__":
    sys.exit(main())
