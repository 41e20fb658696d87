"""How fast one lane delivers to a local sink, beside the workers of what a user would pick instead; and what
a backlog of millions, a tight bucket and a dead neighbour do to it.

    ./dev bench lane [--quick] [--runs N] [--backlog N] [--only PART]... [--json FILE]

Ends with 1 if a floor is missed, and names it. docs/benchmarks.md says how to read the numbers.
"""

import argparse
import concurrent.futures
import copy
import shutil
import statistics
import time

from common import (BUILD, Failed, Load, confine, machine, need_space, number, peak_mb, run_folder, say, say_machine,
                    step, table, write_json)
from lane_parts import BullMQWorker, GraphileWorker, Lane, Sink, drain, fill, lane_config
from store import evict

CONCURRENCY = 64
BODY_BYTES = 1024             # of what is compared with the peers
SMALL_BODY_BYTES = 256        # of a backlog's deliveries
BACKLOG = 5_000_000
BACKLOG_BYTES = 2400          # of one of its deliveries in log and index, about
FEW = 10_000
PG_POOL = 20                  # of 10, 20 and 40 connections the fastest on two cores
PG_LOCAL_QUEUE = 500          # jobs that graphile-worker fetches at a time
RATE, BURST = 100, 20         # of the bucket
FIRST_ORDER = 9_007_199_254_740_993  # the load generator's orders count from here

# (what, JSON key, at least or at most, the floor)
FLOORS = [("start with the large backlog, s", "start_s_5m", "<", 2.0),
          ("rate with it, of that with few", "ratio_5m", ">=", 0.9),
          ("of the bucket used, %", "budget_used_pct", ">=", 98.0),
          ("refused by the bucket", "refused", "<=", 0),
          ("p99 with a dead neighbour, % more", "p99_shift_pct_one_dead", "<", 10.0)]


def median_of(runs):
    return {name: statistics.median(run[name] for run in runs) for name in runs[0]}


# ---- beside the peers ----


def sluice_drains(folder, sink, body_bytes, warm, count):
    """A fresh store with just so many ready, drained once."""
    sink.tell("hang")
    fill(folder / "few", warm + count + 2 * CONCURRENCY, body_bytes)
    try:
        with Lane(folder / "lane", lane_config(sink.url, CONCURRENCY), folder / "few") as lane:
            return drain(lane, sink, warm, count)
    finally:
        shutil.rmtree(folder / "few")


def peer_drains(peer, sink, warm, count):
    sink.tell("hang")
    with peer:
        peer.fill(warm + count + 1000, BODY_BYTES)
        peer.work(f"{sink.url}/hook", CONCURRENCY)
        return drain(peer, sink, warm, count)


def beside_peers(folder, args):
    """{name: medians}: every run has each of them once, in turn."""
    runs = {}
    peers = [lambda: BullMQWorker(folder / "redis", "always"), lambda: BullMQWorker(folder / "redis", "everysec"),
             lambda: GraphileWorker(folder / "pg", PG_POOL, PG_LOCAL_QUEUE)]
    for turn in range(args.runs):
        step(f"run {turn + 1} of {args.runs}: Sluice")
        with Sink() as sink:
            runs.setdefault("Sluice", []).append(sluice_drains(folder, sink, BODY_BYTES, args.warm, args.count))
        for make in peers:
            peer = make()
            step(f"run {turn + 1} of {args.runs}: {peer.name}")
            with Sink() as sink:
                runs.setdefault(peer.name, []).append(peer_drains(peer, sink, args.warm, args.peer_count))
    return {name: median_of(found) for name, found in runs.items()}


# ---- the backlog ----


def start_on(folder, sink, store):
    """(a running Lane, seconds until the first delivery arrived and it was ready)"""
    sink.tell("hang")
    sink.report()
    lane = Lane(folder / "lane", lane_config(sink.url, CONCURRENCY), store)
    lane.__enter__()
    try:
        ready = lane.wait_ready()
        first_us = 0
        while not first_us and time.monotonic_ns() // 1000 - lane.launched_us < 60_000_000:
            first_us = sink.report()["first_us"]
        if not first_us:
            raise Failed("nothing was delivered within a minute after the start")
        return lane, max(ready, (first_us - lane.launched_us) / 1e6)
    except BaseException:
        lane.__exit__()
        raise


def drain_large(folder, sink, store, args):
    lane, start_s = start_on(folder, sink, store)
    try:
        found = drain(lane, sink, args.warm, args.few)
        return {**found, "start_s": start_s, "rss": peak_mb(lane.roots)}
    finally:
        lane.__exit__()


def with_backlog(folder, args):
    """(medians with few, medians with many, seconds of a cold start, bytes a delivery): alternated."""
    store, few, many = folder / "many", [], []
    need_space(folder, args.backlog * BACKLOG_BYTES + 2**31, f"a store of {args.backlog:,} deliveries")
    step(f"filling a store with {args.backlog:,} ready deliveries")
    fill(store, args.backlog, SMALL_BODY_BYTES)
    stored = sum(path.stat().st_blocks * 512 for path in store.rglob("*") if path.is_file())
    for turn in range(args.runs):
        step(f"run {turn + 1} of {args.runs}: {args.few:,} ready, then {args.backlog:,}")
        with Sink() as sink:
            few.append(sluice_drains(folder, sink, SMALL_BODY_BYTES, args.warm, args.few))
        with Sink() as sink:
            many.append(drain_large(folder, sink, store, args))
    evict(store)
    with Sink() as sink:
        lane, cold_s = start_on(folder, sink, store)
        lane.__exit__()
    shutil.rmtree(store)
    return median_of(few), median_of(many), cold_s, stored / args.backlog


# ---- the bucket ----


def tight_bucket(folder, args):
    """What part of a remote's bucket is used, and what it refuses: Sluice's is set to the same numbers."""
    step(f"a bucket of {RATE} a second, {args.bucket_s} s")
    fill(folder / "paced", RATE * args.bucket_s + 10 * BURST, SMALL_BODY_BYTES)
    config = lane_config("", CONCURRENCY, rate={"per_second": RATE, "burst": BURST})
    with Sink() as sink:
        sink.tell("bucket", RATE, BURST)
        config["endpoints"]["sink"]["base_url"] = sink.url
        with Lane(folder / "lane", config, folder / "paced") as lane:
            lane.wait_ready()
            time.sleep(args.bucket_s)
            found = sink.report()
    shutil.rmtree(folder / "paced")
    if not found["requests"]:
        raise Failed("nothing came through the bucket")
    allowed = BURST + RATE * (found["last_us"] - found["first_us"]) / 1e6
    return {"budget_used_pct": 100 * found["answered"] / allowed, "refused": found["refused"]}


# ---- a dead neighbour ----


def neighbours(healthy, other):
    """Every order goes to both."""
    config = lane_config(healthy, 16)
    config["endpoints"]["other"] = {**copy.deepcopy(config["endpoints"]["sink"]), "base_url": other,
                                    "timeout": {"first_byte": "1s", "total": "2s"}}
    route = config["routes"][0]
    route["map"] = "{n: (.id | tostring)}"
    config["routes"].append({**copy.deepcopy(route), "name": "to-other", "to": {"endpoint": "other", "path": "/hook"}})
    return config


def p99_of_healthy(folder, load, dead, args):
    """ms from when an order was due to be sent to its arrival at the healthy endpoint."""
    with Sink() as healthy, Sink() as other:
        if dead:
            other.tell("hang")
        with Lane(folder, neighbours(healthy.url, other.url)) as lane:
            lane.wait_ready()
            lane.port, lane.first, lane.sent, lane.name = lane.gateway.port, 0, 0, "Sluice"
            load.run(lane, 2, rate=args.orders_per_s)  # files get their first bytes; its breaker opens
            first = lane.sent
            took = load.run(lane, args.neighbour_s, rate=args.orders_per_s)
            last = lane.sent
            arrivals = {}

            def all_arrived():
                arrivals.update(healthy.arrivals(folder / "arrivals"))  # all that came since the start
                return len(arrivals) >= last

            end = time.monotonic() + 30
            while not all_arrived():
                if time.monotonic() > end:
                    raise Failed(f"{last - len(arrivals)} of {last} orders did not arrive at the healthy endpoint")
                time.sleep(0.1)
    late = sorted(arrivals[FIRST_ORDER + first + at] - took["start_us"] - at * 1e6 / args.orders_per_s
                  for at in range(last - first))
    return late[len(late) * 99 // 100] / 1e3


def one_dead(folder, core, args):
    """(p99 ms beside a healthy neighbour, beside a dead one): two gateways at the same time, so that what the
    machine does to one of them it does to the other."""
    load, good, dead = Load(folder, core, 16), [], []
    load.sign(args.orders_per_s * (args.neighbour_s + 3))
    for turn in range(args.pairs):
        step(f"pair {turn + 1} of {args.pairs}: beside a healthy endpoint and beside a dead one")
        with concurrent.futures.ThreadPoolExecutor(2) as pool:
            both = [pool.submit(p99_of_healthy, folder / name, load, name == "dead", args) for name in ("good", "dead")]
            good.append(both[0].result())
            dead.append(both[1].result())
    return statistics.median(good), statistics.median(dead)


# ---- the result ----


def show_peers(rows, result):
    sluice = rows["Sluice"]
    say()
    table(["", "deliveries/s", "us/delivery", "CPU us/delivery", "Sluice is x", "its CPU is x"],
          [[name, number(one["per_s"]), number(one["us"], 1), number(one["cpu_us"], 1),
            None if name == "Sluice" else f"{sluice['per_s'] / one['per_s']:.2f}",
            None if name == "Sluice" else f"{one['cpu_us'] / sluice['cpu_us']:.2f}"] for name, one in rows.items()])
    result |= {"per_s": round(sluice["per_s"]), "cpu_us": round(sluice["cpu_us"], 1)}
    for key, name in (("ratio_bullmq", "BullMQ's worker, Redis always"),
                      ("ratio_bullmq_everysec", "BullMQ's worker, Redis everysec"),
                      ("ratio_pg_queue", GraphileWorker.name)):
        result[key] = round(sluice["per_s"] / rows[name]["per_s"], 2)


def show_backlog(found, args, result):
    few, many, cold_s, stored = found
    say()
    table(["ready", "deliveries/s", "us/delivery", "CPU us/delivery", "start s", "start cold s", "RSS MB, most"],
          [[number(args.few), number(few["per_s"]), number(few["us"], 1), number(few["cpu_us"], 1), None, None, None],
           [number(args.backlog), number(many["per_s"]), number(many["us"], 1), number(many["cpu_us"], 1),
            number(many["start_s"], 2), number(cold_s, 2), number(many["rss"])]])
    say(f"{stored:.0f} bytes on disk a delivery, its event included.")
    result |= {"us_per_delivery_10k": round(few["us"], 2), "cpu_us_per_delivery_10k": round(few["cpu_us"], 2),
               "us_per_delivery_5m": round(many["us"], 2), "cpu_us_per_delivery_5m": round(many["cpu_us"], 2),
               "ratio_5m": round(many["per_s"] / few["per_s"], 3), "start_s_5m": round(many["start_s"], 3),
               "start_cold_s_5m": round(cold_s, 3), "rss_mb_5m": round(many["rss"], 1), "backlog": args.backlog}


def show_bucket(found, result):
    say(f"\nOf a bucket of {RATE} a second and {BURST} at once {found['budget_used_pct']:.2f} % were used, "
        f"{found['refused']} requests were refused.")
    result |= {"budget_used_pct": round(found["budget_used_pct"], 2), "refused": found["refused"]}


def show_neighbours(found, args, result):
    good, dead = found
    shift = 100 * (dead / good - 1)
    say(f"\n{args.orders_per_s} orders a second, each to two endpoints: p99 until one arrives at the healthy one "
        f"{good:.2f} ms, {dead:.2f} ms when the other is dead ({shift:+.1f} %).")
    result |= {"p99_ms_two_healthy": round(good, 3), "p99_ms_one_dead": round(dead, 3),
               "p99_shift_pct_one_dead": round(shift, 2)}


def missed(result):
    """Prints what is asked for and what there is; the names of what is not reached."""
    reaches = {"<": lambda a, b: a < b, "<=": lambda a, b: a <= b, ">=": lambda a, b: a >= b}
    lines, found = [], []
    for what, key, how, floor in FLOORS:
        if key not in result:
            continue
        good = reaches[how](result[key], floor)
        lines.append([what, number(result[key], 2), f"{how} {floor:g}", "" if good else "MISSED"])
        if not good:
            found.append(key)
    say()
    table(["", "measured", "asked for", ""], lines)
    return found


PARTS = ("peers", "backlog", "bucket", "neighbours")


def options():
    parser = argparse.ArgumentParser(prog="./dev bench lane", description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true",
                        help="small numbers, one run each: that all of it works, not how fast it is; no floors")
    parser.add_argument("--runs", type=int, help="of each, in turn; medians are shown (3)")
    parser.add_argument("--count", type=int, help="deliveries of a measurement (50000)")
    parser.add_argument("--peer-count", type=int, help="a peer's deliveries of a measurement (20000)")
    parser.add_argument("--backlog", type=int, help="ready deliveries of the large store (5000000)")
    parser.add_argument("--bucket-s", type=int, help="seconds at the bucket (60)")
    parser.add_argument("--pairs", type=int, help="runs beside a healthy and a dead endpoint (5)")
    parser.add_argument("--only", action="append", choices=PARTS, metavar="PART", help=f"one of {', '.join(PARTS)}")
    parser.add_argument("--cores", type=int, default=2, help="how many are used")
    parser.add_argument("--work", default=BUILD, metavar="DIR", help="where everything is stored meanwhile")
    parser.add_argument("--json", metavar="FILE", help="the result as one object")
    args = parser.parse_args()
    quick = {"runs": 1, "count": 2000, "peer_count": 1000, "backlog": 20_000, "bucket_s": 3, "pairs": 1}
    whole = {"runs": 3, "count": 50_000, "peer_count": 20_000, "backlog": BACKLOG, "bucket_s": 60, "pairs": 5}
    for name, value in (quick if args.quick else whole).items():
        if getattr(args, name) is None:
            setattr(args, name, value)
    args.warm, args.few = (200, 1000) if args.quick else (2000, FEW)
    args.orders_per_s, args.neighbour_s = (100, 2) if args.quick else (300, 15)
    args.only = args.only or PARTS
    return args


def run():
    args, result = options(), {}
    core = confine(args.cores)
    with run_folder(args.work) as folder:
        here = machine(folder)
        say_machine(here)
        if "peers" in args.only:
            show_peers(beside_peers(folder, args), result)
        if "backlog" in args.only:
            show_backlog(with_backlog(folder, args), args, result)
        if "bucket" in args.only:
            show_bucket(tight_bucket(folder, args), result)
        if "neighbours" in args.only:
            show_neighbours(one_dead(folder, core, args), args, result)
    write_json(args.json, result)
    if not args.quick:
        names = missed(result)
        if names:
            raise Failed(f"missed: {', '.join(names)}")
    return 0
