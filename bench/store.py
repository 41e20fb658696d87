"""What an event costs the store with ten thousand kept and with ten million, and how fast that opens.

    ./dev bench store [--events N] [--json FILE]

An event is a receipt with its key and, when that is durable, its `routed` record with another: what
intake writes of a webhook that no route wants, the body aside (256 bytes here). The cost is that of a
window of events between two moments at which the index has caught up.
"""

import argparse
import json
import os
import pathlib
import shutil
import signal
import statistics
import subprocess

from common import (BUILD, DIES_WITH_US, STORE, Failed, confine, machine, need_space, number, run_folder, say,
                    say_machine, step, table, write_json)

EVENT_BYTES = 1200   # in log and index, about
WINDOW = 200_000     # events, at every mark as many: each has its share of sealed segments and sorted keys
WINDOWS = 3          # of a mark; the median counts
SMALL_STORES = 6
FIRST, MILLIONS = 10_000, 10_000_000


def fill(folder, events, *words):
    """The objects bench-store prints, and how it ended."""
    done = subprocess.run([*DIES_WITH_US, str(STORE), "fill", str(folder), str(events), *map(str, words)],
                          capture_output=True, text=True, timeout=7200)
    if done.returncode not in (0, -signal.SIGKILL):
        raise Failed(f"bench-store ended with {done.returncode}: {done.stderr.strip()}")
    return [json.loads(line) for line in done.stdout.splitlines()], done.returncode


def row(kept, marks):
    """One line of the table out of what was measured at a mark."""
    us = [one for mark in marks for one in mark["us_per_event"]]
    cpu = [one for mark in marks for one in mark["cpu_us_per_event"]]
    return {"kept": kept, "us": statistics.median(us), "least": min(us), "most": max(us), "cpu": statistics.median(cpu),
            "lag": max(mark["lag_most"] for mark in marks), "rss": max(mark["rss_mb"] for mark in marks)}


def small(folder):
    """Ten thousand kept: several stores, since one does not stay that small."""
    marks = []
    for turn in range(SMALL_STORES):
        step(f"{FIRST:,} events, store {turn + 1} of {SMALL_STORES}")
        marks += fill(folder / "small", FIRST, "--mark", FIRST, "--window", WINDOW)[0][:1]
        shutil.rmtree(folder / "small")
    return row(FIRST, marks)


def evict(folder):
    """The store's files leave the page cache, as after a reboot."""
    for path in pathlib.Path(folder).rglob("*"):
        if path.is_file():
            fd = os.open(path, os.O_RDONLY)
            os.fsync(fd)
            os.posix_fadvise(fd, 0, 0, os.POSIX_FADV_DONTNEED)
            os.close(fd)


def open_again(folder, acknowledged):
    done = subprocess.run([STORE, "open", str(folder)], capture_output=True, text=True, timeout=1800)
    if done.returncode:
        raise Failed(f"the store does not open: {done.stderr.strip()}")
    opened = json.loads(done.stdout)
    held = opened["summary"]["events"]
    if held < acknowledged:
        raise Failed(f"{acknowledged:,} events were acknowledged before the kill -9, and {held:,} are there")
    return opened


def crash_again(folder):
    """Events that were acknowledged until the next kill -9."""
    said, code = fill(folder, 0, "--crash")
    if code != -signal.SIGKILL:
        raise Failed("bench-store did not end by SIGKILL")
    return said[-1]["events"]


def large(folder, events):
    """The marks on the way to `events`, and opening after a kill -9 there: (rows, warm, cold)."""
    marks = [mark for mark in (100_000, 1_000_000, MILLIONS) if 2 * mark <= events] + [events]
    words = [word for mark in marks for word in ("--mark", mark)]
    step(f"{events:,} events")
    said, code = fill(folder / "large", events, *words, "--window", min(WINDOW, events // 10),
                      "--windows", WINDOWS,
                      "--crash")
    if code != -signal.SIGKILL:
        raise Failed("bench-store did not end by SIGKILL")
    acknowledged, stored = said[-1]["events"], sum(
        path.stat().st_blocks * 512 for path in (folder / "large").rglob("*") if path.is_file())
    step("opening after kill -9")
    warm = open_again(folder / "large", acknowledged)
    acknowledged += crash_again(folder / "large")
    evict(folder / "large")
    cold = open_again(folder / "large", acknowledged)
    return [row(one["kept"], [one]) for one in said[:-1]], warm, cold, acknowledged, stored


def run():
    parser = argparse.ArgumentParser(prog="./dev bench store", description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--events", type=int, default=MILLIONS, help="of the large store (10000000)")
    parser.add_argument("--cores", type=int, default=2, help="how many are used")
    parser.add_argument("--work", default=BUILD, metavar="DIR", help="where everything is stored meanwhile")
    parser.add_argument("--json", metavar="FILE", help="the result as one object")
    args = parser.parse_args()
    confine(args.cores)
    with run_folder(args.work) as folder:
        need_space(folder, args.events * EVENT_BYTES + 2 * 2**30, f"a store of {args.events:,} events")
        say_machine(machine(folder))
        first = small(folder)
        rows, warm, cold, events, stored = large(folder, args.events)
    say()
    table(["events kept", "us/event", "least", "most", "CPU us/event", "index behind, most", "RSS MB"],
          [[number(one["kept"]), number(one["us"], 2), number(one["least"], 2), number(one["most"], 2),
            number(one["cpu"], 2), number(one["lag"]), number(one["rss"])] for one in [first, *rows]])
    last = rows[-1]
    say(f"\n{last['kept']:,} kept cost {last['us'] / first['us']:.2f} times what {first['kept']:,} do "
        f"({last['cpu'] / first['cpu']:.2f} of processor). {stored / events:.0f} bytes on disk an event.")
    say(f"Opening {events:,} events after kill -9: {warm['open_s']:.2f} s; with nothing of it in the page cache: "
        f"{cold['open_s']:.2f} s.")
    ten = args.events >= MILLIONS
    write_json(args.json, {"us_per_event_10k": round(first["us"], 3),
                           "us_per_event_10m": round(last["us"], 3) if ten else None,
                           "open_s_10m": round(warm["open_s"], 3) if ten else None})
    return 0
