"""Durable intake against what a user would pick instead, on the same machine in the same run.

    ./dev bench intake [--quick] [--runs N] [--filled N] [--json FILE] [--plot FILE.svg] ...

Signed 4 KB order webhooks, each with ids of its own, over 64 keep-alive connections. The load generator
has one core to itself; what is measured may use it too. docs/benchmarks.md says how to read the numbers.
"""

import argparse
import os
import pathlib
import resource
import statistics
import subprocess
import time

import plot
from common import (BUILD, INDEX_BOUND, ROOT, STORE, Failed, Load, confine, cpu_s, machine, memory_mb, need_space,
                    number, peak_mb, run_folder, say, say_machine, step, table, write_json)
from servers import BullMQ, Graphile, Nginx, Sluice

FILLED = 5_000_000
FILLED_EVENT_BYTES = 1200  # of a filled event in log and index, about
SIGNED_PER_S = 110_000     # more requests a second than any of them answers
PG_POOL = 20               # connections of graphile-worker's: of 10, 20, 40 and 64 the fastest on two cores
WARM_S = 2                 # JavaScript is compiled meanwhile, and files get their first bytes

# (what, JSON key, aim, floor or None, is more better)
AIMS = [("of nginx's bare 200s", "ratio_nginx", 0.5, 0.35, True),
        ("times BullMQ, Redis always", "ratio_bullmq_always", 5, 4, True),
        ("times the PostgreSQL queue", "ratio_pg_queue", 20, 15, True),
        ("p99 ms at the peak", "p99_ms_peak", 5, 10, False),
        ("p99 ms at half the peak", "p99_ms_half", 2, 10, False),
        ("times less CPU than BullMQ, Redis always", "cpu_ratio", 8, None, True),
        ("MB resident, 10,000 idle connections", "rss_mb_idle_10k_conns", 100, None, False),
        ("MB resident at full load", "rss_mb_load", 128, None, False)]


def measure(server, load, seconds):
    """One run: as fast as possible, then at half that rate."""
    load.run(server, WARM_S)
    server.settle()
    os.sync()  # what others have left to be written is not this one's cost
    before, sent = cpu_s(server.roots), server.sent
    peak = load.run(server, seconds)
    lag = server.lag() if isinstance(server, Sluice) else None
    server.settle()  # what is done after the answer is a cost too
    result = {"rps": peak["requests_per_s"], "p50": peak["p50_ms"], "p99": peak["p99_ms"],
              "cpu": (cpu_s(server.roots) - before) * 1e6 / (server.sent - sent), "lag": lag}
    paced = load.run(server, seconds, rate=peak["requests_per_s"] / 2)
    result |= {"half_p50": paced["p50_ms"], "half_p99": paced["p99_ms"]}
    result["rss"] = memory_mb(server.roots)
    result["rss_peak"] = peak_mb(server.roots)
    server.settle()
    check_count(server)
    return result


def check_count(server):
    held = server.count()
    if held != server.sent:
        raise Failed(f"{server.name}: {server.sent} were answered 200, and it holds {held}")


def median(runs):
    """Of each number by itself; the peak of memory is the most."""
    merged = {name: statistics.median(run[name] for run in runs) for name in runs[0] if runs[0][name] is not None}
    merged["rss_peak"] = max(run["rss_peak"] for run in runs)
    return merged


def side_by_side(folder, load, args):
    """{name: medians}: every run has each of them once, in turn."""
    makers = [lambda: Nginx(folder / "nginx"), lambda: Sluice(folder / "sluice"),
              lambda: BullMQ(folder / "redis", "everysec"), lambda: BullMQ(folder / "redis", "always"),
              lambda: Graphile(folder / "pg", PG_POOL)]
    runs = {}
    for turn in range(args.runs):
        for make in makers:
            server = make()
            step(f"run {turn + 1} of {args.runs}: {server.name}")
            with server:
                runs.setdefault(server.name, []).append(measure(server, load, args.seconds))
    return {name: median(found) for name, found in runs.items()}


# ---- Sluice by itself ----


def fill(folder, events):
    """A store with so many small events, all routed, as a gateway would have left it."""
    folder.mkdir()
    need_space(folder, events * FILLED_EVENT_BYTES + 2**31, f"a store of {events:,} events")
    step(f"filling a store with {events:,} events")
    done = subprocess.run([STORE, "fill", str(folder / "state"), str(events)], capture_output=True, text=True,
                          timeout=1800)
    if done.returncode:
        raise Failed(f"the store could not be filled: {done.stderr.strip()}")


def with_many_kept(folder, load, args):
    """(medians with --filled events kept, the sustained run): on one store, which grows on."""
    if args.filled:
        fill(folder / "filled", args.filled)
    runs, first = [], 0
    for turn in range(args.runs if args.filled else 0):
        step(f"run {turn + 1} of {args.runs}: Sluice, {args.filled:,} events kept")
        with Sluice(folder / "filled", first=first) as server:
            runs.append(measure(server, load, args.seconds))
            first += server.sent
    step(f"Sluice, {args.sustained} s on end")
    with Sluice(folder / "filled", first=first) if args.filled else Sluice(folder / "sustained") as server:
        sustained = measure_sustained(server, load, args.sustained)
    return (median(runs) if runs else None), sustained


def measure_sustained(server, load, seconds):
    before = cpu_s(server.roots)
    result = load.run(server, seconds)
    lag, unrouted, begun = server.lag(), server.sent - server.metric("events_routed_total"), time.monotonic()
    server.settle()
    found = {"rps": result["requests_per_s"], "p50": result["p50_ms"], "p99": result["p99_ms"], "lag": lag,
             "unrouted": unrouted, "catch_up_s": time.monotonic() - begun, "cpu": (cpu_s(server.roots) - before) * 1e6 / server.sent,
             "rss": memory_mb(server.roots), "rss_peak": peak_mb(server.roots)}
    check_count(server)
    return found


def idle_connections(folder, load, args):
    """Resident MB with so many open connections that each sent one webhook; None: not allowed to open them."""
    if resource.getrlimit(resource.RLIMIT_NOFILE)[1] < args.idle + 1000:
        step(f"idle connections: not measured, only {resource.getrlimit(resource.RLIMIT_NOFILE)[1]} files allowed")
        return None
    step(f"Sluice, {args.idle:,} idle connections")
    with Sluice(folder / "idle", limits={"connections": args.idle + 100}) as server:
        with load.idle(server, args.idle):
            server.settle()
            mb = memory_mb(server.roots)
        check_count(server)
    return mb


# ---- the result ----


def show(rows, many, sustained, idle_mb, args):
    sluice = rows["Sluice"]
    shown = []

    def line(name, one, peer=False):
        shown.append([name, number(one["rps"]), number(one["p50"], 2), number(one["p99"], 2),
                      number(one.get("half_p50"), 2), number(one.get("half_p99"), 2), number(one.get("cpu"), 1),
                      number(one["rss"]), f"{sluice['rps'] / one['rps']:.2f}" if peer else None,
                      f"{one['cpu'] / sluice['cpu']:.1f}" if peer else None])

    for name, one in rows.items():
        line(name, one, peer=name != "Sluice")
        if name == "Sluice" and many:
            line(f"Sluice, {args.filled:,} kept", many)
        if name == "Sluice":
            line(f"Sluice, {args.sustained} s on end", sustained)
    say()
    table(["", "requests/s", "p50 ms", "p99 ms", "half: p50", "p99 ms", "CPU us/event", "RSS MB", "Sluice is x",
           "its CPU is x"], shown)
    say()
    say(f"{args.connections} connections, {args.runs} runs of {args.seconds} s, medians. half: at half of its own peak "
        "rate, timed from when each was due.")
    say(f"When the {args.sustained} s ended the index was {sustained['lag']:,} records behind (its bound is "
        f"{INDEX_BOUND:,}) and {sustained['unrouted']:,} events were not routed yet; all was done "
        f"{sustained['catch_up_s']:.1f} s later.")
    if idle_mb:
        say(f"{args.idle:,} idle connections: {idle_mb:.0f} MB resident.")


def summary(rows, many, sustained, idle_mb, args):
    sluice = rows["Sluice"]
    always, everysec = rows["fastify + BullMQ, Redis always"], rows["fastify + BullMQ, Redis everysec"]
    most = max(one["rss_peak"] for one in (sluice, many, sustained) if one)
    return {"rps": round(sluice["rps"]), "p99_ms_peak": round(sluice["p99"], 3),
            "p99_ms_half": round(sluice["half_p99"], 3), "cpu_us_per_event": round(sluice["cpu"], 2),
            "ratio_nginx": round(sluice["rps"] / rows[Nginx.name]["rps"], 3),
            "ratio_bullmq_always": round(sluice["rps"] / always["rps"], 2),
            "ratio_bullmq_everysec": round(sluice["rps"] / everysec["rps"], 2),
            "ratio_pg_queue": round(sluice["rps"] / rows[Graphile.name]["rps"], 2),
            "rps_filled_5m": round(many["rps"]) if many and args.filled >= FILLED else None,
            "rss_mb_idle_10k_conns": round(idle_mb, 1) if idle_mb and args.idle >= 10_000 else None,
            "rss_mb_load": round(most, 1)}


def show_aims(result, rows):
    found = {**result, "cpu_ratio": rows["fastify + BullMQ, Redis always"]["cpu"] / rows["Sluice"]["cpu"]}
    lines = []
    for what, key, aim, floor, more in AIMS:
        value = found[key]
        if value is None:
            continue

        def reaches(mark):
            return value >= mark if more else value <= mark

        verdict = "as aimed" if reaches(aim) else "below the aim"
        if floor is not None and not reaches(floor):
            verdict = "NOT ENOUGH"
        lines.append([what, number(value, 2), number(aim, 1), number(floor, 2), verdict])
    say()
    table(["", "measured", "aim", "at least", ""], lines)


def options():
    parser = argparse.ArgumentParser(prog="./dev bench intake", description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="one short run each, nothing filled: about two minutes")
    parser.add_argument("--runs", type=int, help="of each, in turn; medians are shown (5)")
    parser.add_argument("--seconds", type=int, help="of each measurement (4)")
    parser.add_argument("--filled", type=int, help="events in the store for the second look; 0: none (5000000)")
    parser.add_argument("--sustained", type=int, help="seconds of the long run (60)")
    parser.add_argument("--connections", type=int, default=64)
    parser.add_argument("--idle", type=int, default=10_000, help="connections that are open and idle")
    parser.add_argument("--cores", type=int, default=2, help="how many are used; one of them sends")
    parser.add_argument("--work", default=BUILD, metavar="DIR", help="where everything is stored meanwhile")
    parser.add_argument("--json", metavar="FILE", help="the result as one object")
    parser.add_argument("--plot", metavar="FILE.svg", help="a picture (docs/intake.svg, unless --quick)")
    args = parser.parse_args()
    defaults = (1, 4, 0, 10) if args.quick else (5, 4, FILLED, 60)
    for name, value in zip(("runs", "seconds", "filled", "sustained"), defaults):
        if getattr(args, name) is None:
            setattr(args, name, value)
    if not args.plot and not args.quick:
        args.plot = ROOT / "docs" / "intake.svg"
    return args


def run():
    args = options()
    core = confine(args.cores)
    limit = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (limit, limit))
    with run_folder(args.work) as folder:
        need_space(folder, 8 * 2**30, "this")
        here = machine(folder)
        say_machine(here)
        load = Load(folder, core, args.connections)
        load.sign(SIGNED_PER_S * max(2 * args.seconds + WARM_S, args.sustained // 2 + args.runs * args.seconds))
        rows = side_by_side(folder, load, args)
        idle_mb = idle_connections(folder, load, args)
        many, sustained = with_many_kept(folder, load, args)
    show(rows, many, sustained, idle_mb, args)
    result = summary(rows, many, sustained, idle_mb, args)
    show_aims(result, rows)
    write_json(args.json, result)
    if args.plot:
        pathlib.Path(args.plot).write_text(plot.draw(rows, many, args, here))
        say(f"\n{args.plot} drawn")
    if sustained["lag"] > INDEX_BOUND:
        raise Failed(f"the index is {sustained['lag']:,} records behind: more than its bound")
    return 0
