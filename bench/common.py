"""What the benchmarks share: the machine, the requests, the load generator, what processes cost.

The load generator has one core to itself (the last of those used); all else may use all of them.
"""

import contextlib
import json
import os
import pathlib
import platform
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parents[1]
BUILD = pathlib.Path(os.environ.setdefault("SLUICE_BUILD", str(ROOT / "build-bench"))).resolve()
LOAD = BUILD / "bench" / "bench-load"
STORE = BUILD / "bench" / "bench-store"
sys.path.insert(0, str(ROOT / "tests"))

from flow.harness import SECRET, SHOP, byron_orders  # noqa: E402
from sandbox.orders import to_bytes  # noqa: E402

BODY_BYTES = 4096
INDEX_BOUND = 50_000  # records the index may be behind the log
FSYNCS = 300
DIES_WITH_US = ("setpriv", "--pdeathsig", "KILL")  # before a command: nothing outlives the benchmark


class Failed(Exception):
    """The benchmark measured something that must not be, so its numbers are worth nothing."""


def say(text=""):
    print(text, flush=True)


def step(text):
    """Where it is, on a terminal or in a log; not part of the result."""
    print(f"  .. {text}", file=sys.stderr, flush=True)


# ---- the machine ----


def confine(cores):
    """This process and all it starts: the first `cores` of those it may use. Returns the last of them."""
    chosen = sorted(os.sched_getaffinity(0))[:cores]
    os.sched_setaffinity(0, chosen)
    return chosen[-1]


def first_line(path, default=""):
    with contextlib.suppress(OSError):
        return pathlib.Path(path).read_text().splitlines()[0].strip()
    return default


def cpu_name():
    found = {}
    for line in pathlib.Path("/proc/cpuinfo").read_text().split("\n\n")[0].splitlines():
        key, _, value = line.partition(":")
        found[key.strip()] = value.strip()
    if "model name" not in found:
        return platform.machine()
    return f"{found['model name']} (family {found.get('cpu family', '?')}, model {found.get('model', '?')})"


def disk_name(folder):
    device, kind = subprocess.run(["findmnt", "-nvo", "SOURCE,FSTYPE", "-T", str(folder)], text=True,
                                  capture_output=True).stdout.split() or ("?", "?")
    name = pathlib.Path(device).name
    block = pathlib.Path("/sys/class/block") / name
    if (block / "partition").exists():
        block = block.resolve().parent
    model = first_line(block / "device" / "model")
    return f"{kind} on {device}{f' ({model})' if model else ''}"


def fsync_ms(folder):
    """(median, p99) of 4 KB appended and made durable."""
    took = []
    with tempfile.TemporaryFile(dir=folder) as file:
        for _ in range(FSYNCS):
            os.write(file.fileno(), b"x" * 4096)
            begun = time.perf_counter()
            os.fdatasync(file.fileno())
            took.append((time.perf_counter() - begun) * 1e3)
    took.sort()
    return statistics.median(took), took[len(took) * 99 // 100]


def machine(folder):
    median, p99 = fsync_ms(folder)
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    return {"cpu": cpu_name(), "cores": len(os.sched_getaffinity(0)), "memory": f"{memory:.0f} GiB",
            "kernel": platform.release(), "disk": disk_name(folder),
            "fsync": f"{median:.2f} ms, p99 {p99:.2f} ms"}


def say_machine(it):
    say(f"{it['cpu']}, {it['cores']} cores used, {it['memory']}, Linux {it['kernel']}")
    say(f"{it['disk']}; 4 KB appended and fsynced: {it['fsync']}")
    say(time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime()))


def need_space(folder, wanted, why):
    free = shutil.disk_usage(folder).free
    if free < wanted:
        raise Failed(f"{why} needs {wanted / 2**30:.0f} GiB in {folder}, and {free / 2**30:.0f} are free")


@contextlib.contextmanager
def run_folder(where):
    """A folder of this run's own, gone afterwards. Beside the build and not in /tmp, which may be memory:
    an fsync must cost what it costs."""
    where = pathlib.Path(where)
    where.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=where, prefix="bench-run-", ignore_cleanup_errors=True) as name:
        os.chmod(name, 0o711)  # PostgreSQL runs as somebody else
        yield pathlib.Path(name)


def end_by_signal(number, frame):
    raise SystemExit(128 + number)


def main(program):
    """Runs a benchmark so that it ends all it started, whatever ends it."""
    signal.signal(signal.SIGTERM, end_by_signal)
    signal.signal(signal.SIGHUP, end_by_signal)
    try:
        sys.exit(program())
    except KeyboardInterrupt:
        sys.exit(130)
    except (Failed, AssertionError, subprocess.SubprocessError) as failure:
        sys.exit(f"bench: {failure}")


# ---- what processes cost ----


def tree(roots):
    """These processes and all that came of them, as far as they live."""
    parents = {}
    for entry in pathlib.Path("/proc").iterdir():
        if entry.name.isdigit():
            with contextlib.suppress(OSError):
                parents[int(entry.name)] = int((entry / "stat").read_text().rsplit(")", 1)[1].split()[1])
    found, fresh = set(), set(roots)
    while fresh:
        found |= fresh
        fresh = {pid for pid, parent in parents.items() if parent in fresh} - found
    return found


def cpu_s(roots):
    """User and system time so far, of children that have ended too."""
    total = 0
    for pid in tree(roots):
        with contextlib.suppress(OSError):
            total += sum(map(int, pathlib.Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[11:15]))
    return total / os.sysconf("SC_CLK_TCK")


def memory_mb(roots):
    """Resident memory; what processes share is counted once (Pss)."""
    total = 0
    for pid in tree(roots):
        with contextlib.suppress(OSError):
            for line in pathlib.Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
                if line.startswith("Pss:"):
                    total += int(line.split()[1])
    return total * 1024 / 1e6


def peak_mb(roots):
    """The most that was ever resident, each process by itself."""
    total = 0
    for pid in tree(roots):
        with contextlib.suppress(OSError):
            for line in pathlib.Path(f"/proc/{pid}/status").read_text().splitlines():
                if line.startswith("VmHWM:"):
                    total += int(line.split()[1])
    return total * 1024 / 1e6


# ---- requests and load ----


def order_template():
    """One order's JSON of BODY_BYTES, its id the mark that the load generator writes numbers over."""
    document = byron_orders()[0].document
    spare = {"billing_address", "client_details", "discount_applications", "shipping_lines", "tax_lines"}
    for name in [name for name in document if name.endswith("_set") or name in spare]:
        del document[name]
    for line in document["line_items"]:
        for name in [name for name in line if name.endswith("_set") or name == "tax_lines"]:
            del line[name]
    document["id"], document["admin_graphql_api_id"] = 9_007_199_254_740_993, "gid://shopify/Order/9007199254740993"
    document["note"] = ""
    document["note"] = "x" * (BODY_BYTES - len(to_bytes(document, "plain")))
    body = to_bytes(document, "plain")
    assert len(body) == BODY_BYTES, len(body)
    return body


class Load:
    """Signed webhooks, made once, and the program that sends them."""

    def __init__(self, folder, core, connections):
        self.template, self.signatures = folder / "request", folder / "signatures"
        self.core, self.connections = core, connections
        body = order_template()
        head = ("POST /in/acme-shop HTTP/1.1\r\nHost: 127.0.0.1\r\nUser-Agent: Shopify-Captain-Hook\r\n"
                "Content-Type: application/json\r\nX-Shopify-Topic: orders/create\r\n"
                f"X-Shopify-Hmac-Sha256: {'S' * 43}=\r\nX-Shopify-Shop-Domain: {SHOP}\r\n"
                "X-Shopify-API-Version: 2026-10\r\n"
                "X-Shopify-Webhook-Id: 00000000-0000-4000-8000-000000000000\r\n"
                "X-Shopify-Event-Id: 11111111-0000-4000-8000-000000000000\r\n"
                f"X-Shopify-Triggered-At: 2026-11-20T09:15:30.000000Z\r\nContent-Length: {len(body)}\r\n\r\n")
        self.template.write_bytes(head.encode() + body)

    def sign(self, count):
        subprocess.run([LOAD, "sign", self.template, SECRET, str(count), self.signatures], check=True, timeout=600)

    def command(self, how, server, **options):
        words = [word for name, value in options.items() for word in (f"--{name}", str(value))]
        return [*DIES_WITH_US, "taskset", "-c", str(self.core), str(LOAD), how, str(server.port),
                str(self.template), str(self.signatures), "--first", str(server.first + server.sent), *words]

    def run(self, server, seconds, **options):
        """As fast as it is answered, or `rate` a second; at most `requests`. All must be 200."""
        options = {"connections": self.connections, "seconds": seconds, **options}
        done = subprocess.run(self.command("run", server, **options), capture_output=True, text=True,
                              timeout=seconds + 120, start_new_session=True)
        if done.returncode:
            raise Failed(f"{server.name}: the client ended with {done.returncode}: {done.stderr.strip()}")
        return self.took(server, json.loads(done.stdout))

    @contextlib.contextmanager
    def idle(self, server, connections):
        """So many connections, each after one request; they stay open inside."""
        holder = subprocess.Popen(self.command("idle", server, connections=connections), text=True,
                                  stdin=subprocess.PIPE, stdout=subprocess.PIPE, start_new_session=True)
        try:
            line = holder.stdout.readline()
            if not line:
                raise Failed(f"{server.name}: {connections} connections could not be opened")
            self.took(server, json.loads(line))
            yield
            closed = json.loads(holder.communicate(timeout=60)[0])["closed"]
            if closed:
                raise Failed(f"{server.name}: {closed} of {connections} connections were closed")
        finally:
            holder.kill()
            holder.wait()

    @staticmethod
    def took(server, result):
        server.sent += result["requests"]
        if result["not_200"]:
            raise Failed(f"{server.name}: {result['not_200']} of {result['requests']} answers were not 200")
        return result


# ---- output ----


def table(heads, rows):
    """Right-aligned columns, the first left; None is a dash."""
    cells = [heads] + [["-" if cell is None else str(cell) for cell in row] for row in rows]
    widths = [max(len(row[at]) for row in cells) for at in range(len(heads))]
    for row in cells:
        say("  ".join(cell.ljust(width) if at == 0 else cell.rjust(width)
                      for at, (cell, width) in enumerate(zip(row, widths))).rstrip())


def number(value, digits=0):
    """For a table: 36,000, 4.21, or None as it is."""
    return None if value is None else f"{value:,.{digits}f}"


def write_json(path, result):
    if path:
        pathlib.Path(path).write_text(json.dumps(result) + "\n")
