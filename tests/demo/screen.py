"""What the demo shows while it runs: one block that is drawn again on a terminal, else a line every 2 s."""

import shutil
import sys
import time

LANES = ("crm", "byron", "nord")
LINE_EVERY_S = 2
WAITING = ("ready", "inflight", "waiting", "parked")


class Numbers:
    """The gateway's numbers over all its lives: its counters begin at 0 with each start, ours do not."""

    def __init__(self):
        self.pid = None
        self.before, self.now = {}, {}
        self.status = None

    def take(self, status):
        if status["pid"] != self.pid:
            for name, value in self.now.items():
                self.before[name] = self.before.get(name, 0) + value
            self.pid = status["pid"]
        self.status = status
        self.now = dict(status["intake"])
        for lane in status["lanes"]:
            for name in ("breaker_trips", "unknowns", "confirms", "retries", "throttled"):
                self.now[f"{lane['endpoint']}.{name}"] = lane[name]

    def total(self, name):
        return self.before.get(name, 0) + self.now.get(name, 0)

    def states(self, endpoint=None):
        """Deliveries by state, from the durable index: they survive a restart."""
        found = {}
        summary = (self.status or {}).get("summary") or {}
        for name, states in summary.get("deliveries", {}).items():
            if endpoint in (None, name):
                for state, n in states.items():
                    found[state] = found.get(state, 0) + n
        return found

    def breaker(self, endpoint):
        for lane in (self.status or {}).get("lanes", []):
            if lane["endpoint"] == endpoint:
                return "parked" if lane["parked"] else lane["breaker"]
        return "-"

    def is_quiet(self):
        """Nothing is left that will move by itself."""
        s = self.status
        if not s or not s.get("summary"):
            return False
        moving = sum(n for state, n in self.states().items() if state in (*WAITING, "unknown"))
        return (moving == 0 and s["intake"]["router_queue"] == 0 and s["summary"]["unrouted"] == 0
                and s["store"]["log_seq"] == s["store"]["index_seq"])


def number(n):
    return f"{n:,}"


class Screen:
    def __init__(self, out=sys.stdout):
        self.out = out
        self.live = out.isatty()
        self.drawn = 0  # lines of the block on the terminal now
        self.last_line = 0.0
        self.begun = time.monotonic()

    def seconds(self):
        return time.monotonic() - self.begun

    def say(self, text=""):
        """A line that stays."""
        self.erase()
        print(text, file=self.out, flush=True)

    def erase(self):
        if self.drawn:
            self.out.write(f"\x1b[{self.drawn}A\x1b[J")
            self.drawn = 0

    def event(self, text):
        """Something was done or happened; stays, with its time."""
        self.say(f"  {self.seconds():5.1f} s  {text}")

    def update(self, numbers, sent, doing, down):
        if self.live:
            self.draw(self.block(numbers, sent, doing, down))
        elif time.monotonic() - self.last_line >= LINE_EVERY_S:
            self.last_line = time.monotonic()
            print(self.line(numbers, sent, doing, down), file=self.out, flush=True)

    def draw(self, lines):
        width = shutil.get_terminal_size().columns - 1
        self.erase()
        self.out.write("".join(line[:width] + "\n" for line in lines))
        self.out.flush()
        self.drawn = len(lines)

    def block(self, numbers, sent, doing, down):
        total = numbers.total
        lines = ["", f"  sent {number(sent['acknowledged'])} of {number(sent['planned'])}"
                 f"   received {number(total('received'))}"
                 f"   duplicates {number(total('duplicates') + total('same_events'))}"
                 f"   refused {number(total('bad_signature'))}", ""]
        lines.append("                delivered   waiting   unknown   held   dead   breaker")
        for name in LANES:
            s = numbers.states(name)
            waiting = sum(s.get(state, 0) for state in WAITING)
            lines.append(f"  {name:12}{number(s.get('delivered', 0)):>11}{number(waiting):>10}"
                         f"{number(s.get('unknown', 0)):>10}{number(s.get('held', 0)):>7}"
                         f"{number(s.get('dead', 0)):>7}   {numbers.breaker(name)}")
        nowhere = numbers.states("")
        lines.append(f"  {'no supplier':12}{'':>31}{number(nowhere.get('held', 0)):>7}")
        what = "the gateway is down" if down else ""
        lines += ["", "  now: " + "; ".join(filter(None, [what, *doing])) if doing or down else "  now: calm"]
        return lines

    def line(self, numbers, sent, doing, down):
        s, total = numbers.states(), numbers.total
        waiting = sum(s.get(state, 0) for state in WAITING)
        delivered = " ".join(f"{name} {numbers.states(name).get('delivered', 0)}" for name in LANES)
        open_ = [f"{name} {numbers.breaker(name)}" for name in LANES
                 if numbers.breaker(name) not in ("closed", "-")]
        what = ["the gateway is down"] if down else []
        return (f"  {self.seconds():5.1f} s  received {total('received')}"
                f"  duplicates {total('duplicates') + total('same_events')}"
                f"  refused {total('bad_signature')}  delivered {delivered}  waiting {waiting}"
                f"  unknown {s.get('unknown', 0)}  held {s.get('held', 0)}  dead {s.get('dead', 0)}"
                f"  breakers {', '.join(open_) or 'closed'}" +
                (f"  [{'; '.join([*what, *doing])}]" if doing or down else ""))
