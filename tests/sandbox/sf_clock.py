"""The clock of the Salesforce stand-in: true time, and what a test has put it ahead by."""

import asyncio
import datetime
import time

from sandbox import sf_schema as sf

DAY_S = 24 * 3600


class Clock:
    """Everything that ages goes by it: sessions, jobs, the day's limits, outbound retries.

    Not so the `exp` of an assertion: a client writes it by its own clock, which a test cannot move.
    """

    def __init__(self):
        self._start = time.time() - time.monotonic()
        self.ahead = 0.0
        self._stamp = (None, "")  # of the second it was made for
        self._moved = None  # made in the loop that sleeps

    def reset(self):
        self.advance(-self.ahead)

    def now(self):
        """Seconds since 1970."""
        return self._start + time.monotonic() + self.ahead

    def stamp(self):
        """2026-11-20T10:15:00.000+0000"""
        second = int(self.now())
        if self._stamp[0] != second:
            moment = datetime.datetime.fromtimestamp(second, datetime.timezone.utc)
            self._stamp = (second, sf.wire_time(moment))
        return self._stamp[1]

    def advance(self, seconds):
        self.ahead += seconds
        if self._moved is not None:
            moved, self._moved = self._moved, None
            moved.set()

    async def until(self, moment):
        """Sleeps until the clock shows `moment`; an advance may bring it there at once."""
        while (left := moment - self.now()) > 0:
            if self._moved is None:
                self._moved = asyncio.Event()
            try:
                await asyncio.wait_for(self._moved.wait(), left)
            except asyncio.TimeoutError:
                pass


class Window:
    """A sum over the last 24 hours, kept by the second."""

    def __init__(self, clock):
        self.clock = clock
        self.clear()

    def clear(self):
        self.parts = []  # [second, count], oldest first
        self.start = 0  # parts before this index have left the window
        self.sum = 0

    def add(self, count):
        second = int(self.clock.now())
        self.sum += count
        if len(self.parts) > self.start and self.parts[-1][0] == second:
            self.parts[-1][1] += count
        else:
            self.parts.append([second, count])

    def used(self):
        oldest = self.clock.now() - DAY_S
        while self.start < len(self.parts) and self.parts[self.start][0] < oldest:
            self.sum -= self.parts[self.start][1]
            self.start += 1
        if self.start > 1000:
            del self.parts[:self.start]
            self.start = 0
        return self.sum
