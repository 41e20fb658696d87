"""Limits of the Salesforce stand-in: the rolling day, long requests at once, /limits, Sforce-Limit-Info."""

import time

from sandbox.sf_clock import Window
from sandbox.sf_rest import RestError, Route, answer

EXCEEDED = (403, "REQUEST_LIMIT_EXCEEDED")
TOTAL = (*EXCEEDED, "TotalRequests Limit exceeded.")
CONCURRENT = (*EXCEEDED, "ConcurrentPerOrgLongTxn Limit exceeded.")

# What may be used in 24 hours: calls of the API, batches of bulk ingest, rows uploaded, bulk query jobs.
DAILY = {"calls": 100_000, "batches": 15_000, "rows": 150_000_000, "query_jobs": 10_000}
OTHER = {"long_ms": 20_000, "long_at_once": 25, "app": None, "app_calls": 250}


class Limits:
    """Counts what is used, and refuses. Changed while it runs by the control call `limits`."""

    routes = [Route("limits rest", "GET", "/limits", "on_limits")]

    def __init__(self, clock, daily_calls):
        self.start = {**DAILY, "calls": daily_calls}
        self.windows = {name: Window(clock) for name in DAILY}
        self.running = {}  # id of a request -> (request, when it began)
        self.clear()

    def clear(self):
        self.max = dict(self.start)
        self.__dict__.update(OTHER)
        self.refused = {"total": 0, "concurrent": 0}
        for window in self.windows.values():
            window.clear()

    def used(self, name):
        return self.windows[name].used()

    def left(self, name):
        return max(0, self.max[name] - self.used(name))

    def use(self, name, count=1):
        self.windows[name].add(count)

    # ---- a call ----

    def begin(self, request):
        self.running[id(request)] = (request, time.monotonic())

    def end(self, request):
        self.running.pop(id(request), None)

    def long_now(self):
        """Requests under way for long enough to count, their callers still there."""
        before = time.monotonic() - self.long_ms / 1000
        return sum(since < before and request.transport is not None and not request.transport.is_closing()
                   for request, since in self.running.values())

    def admit(self):
        """Counts one call; RestError if there is none left."""
        if self.used("calls") >= self.max["calls"]:
            self.refused["total"] += 1
            raise RestError(*TOTAL)
        if self.long_now() >= self.long_at_once:
            self.refused["concurrent"] += 1
            raise RestError(*CONCURRENT)
        self.use("calls")

    def info_header(self):
        """The value of Sforce-Limit-Info."""
        value = f"api-usage={self.used('calls')}/{self.max['calls']}"
        if self.app:
            value += f"; per-app-api-usage={self.used('calls')}/{self.app_calls}(appName={self.app})"
        return value

    async def on_limits(self, request, version):
        daily = {"DailyApiRequests": "calls", "DailyBulkApiBatches": "batches",
                 "DailyBulkV2QueryJobs": "query_jobs"}
        shown = {name: {"Max": self.max[one], "Remaining": self.left(one)} for name, one in daily.items()}
        return answer({**shown, "DailyBulkV2QueryFileStorageMB": {"Max": 976_562, "Remaining": 976_562},
                       "DailyAsyncApexExecutions": {"Max": 250_000, "Remaining": 250_000},
                       "DataStorageMB": {"Max": 1024, "Remaining": 1000},
                       "FileStorageMB": {"Max": 1024, "Remaining": 1000}})

    # ---- books and control ----

    def books(self):
        return {"max": dict(self.max), "used": {name: self.used(name) for name in self.max},
                "refused": dict(self.refused)}

    def change(self, wanted):
        """{"calls": {"max": N, "used": N}, "long_ms": ...}; ValueError for what there is not."""
        for name, value in wanted.items():
            if name in self.max:
                if set(value) - {"max", "used"}:
                    raise ValueError(f"{name} has max and used")
                self.max[name] = value.get("max", self.max[name])
                if "used" in value:
                    self.windows[name].clear()
                    self.windows[name].add(value["used"])
            elif name in OTHER:
                setattr(self, name, value)
            else:
                raise ValueError(f"there is no limit {name!r}")
