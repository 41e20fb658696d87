"""Orders into a CRM: how many rows a second go from the webhook to the stored result, how many API calls a thousand
orders cost at which pace, and what a million rows take of memory.

    ./dev bench salesforce [--quick] [--only PART]... [--json FILE]

The CRM is the tests' stand-in (one Python process), and does its work at once. Beside it jsforce, the client that
a user would reach for, loads the same records into the same stand-in. docs/benchmarks.md says how to read the numbers.
"""

import argparse
import json
import os
import shutil
import statistics
import subprocess
import time

from common import (BUILD, DIES_WITH_US, ROOT, Failed, Load, confine, cpu_s, machine, number, peak_mb, run_folder, say,
                    say_machine, step, table, write_json)
from flow.harness import demo_config, merge, wait_until
from lane_parts import FILL, Lane
from sandbox.client import Process
from servers import install

CLIENT, SECRET = "3MVG9sandbox-consumer-key", "sandbox-consumer-secret"
OBJECT, KEY = "Opportunity", "Shopify_Order_Id__c"
JOB_ROWS = 5_000            # of a job, here and at jsforce
ROW_BYTES = 512             # of the million's
LATE_S = 1800
# (JSON key, orders a minute, how much faster than life time runs here): every wait of the endpoint's is divided by
# it, so a pause of a minute takes a second and the number of calls is what it would have been
PACES = [("slow", 1, 60), ("mid", 100, 10), ("fast", 10_000, 4)]
MINUTES = {"slow": 40, "mid": 6, "fast": 3}  # of the merchant's time
WAITS_S = {("batch", "age"): 60, ("batch", "quick"): 10, ("poll", "first"): 2, ("poll", "cap"): 30,
           ("retry", "first"): 1, ("retry", "cap"): 300}
JOB_S = 3                   # the org's own time for a job at the paces


def salesforce(processing_ms):
    return Process("salesforce", "--client-secret", SECRET, "--processing-ms", processing_ms,
                   "--daily-limit", 10_000_000)


def config_for(crm, transport="auto", **endpoint):
    """The demo's shop and CRM; every wait is the endpoint's default unless `endpoint` says otherwise."""
    config = demo_config("http://unused", crm=crm.url)
    del config["endpoints"]["byron"]
    config["routes"] = [one for one in config["routes"] if one["name"] == "order-to-crm"]
    config["routes"][0]["to"]["transport"] = transport
    config["endpoints"]["acme-shop"]["webhook_secret"] = {"env": "DEMO_SHOPIFY_SECRET"}
    config["endpoints"]["crm"] = merge({
        "adapter": "salesforce", "instance": crm.url,
        "auth": {"flow": "client_credentials", "client_id": CLIENT, "client_secret": {"env": "BENCH_CRM_SECRET"}},
    }, endpoint)
    return config


class CrmLane(Lane):
    name = "Sluice"

    def __init__(self, folder, config, store=None):
        os.environ["BENCH_CRM_SECRET"] = SECRET
        super().__init__(folder, config, store)
        self.port, self.first, self.sent = self.gateway.port, 0, 0

    def delivered(self):
        return self.gateway.lane("crm")["delivered"]

    def wait_delivered(self, count, every=0.05):
        wait_until(lambda: self.delivered() >= count, f"{count:,} rows have their results", seconds=LATE_S,
                   every=every)
        states = self.gateway.states()
        if states != {"delivered": count}:
            raise Failed(f"not all was delivered: {states}")


def calls(crm):
    """API calls so far; a login is none."""
    by_step = crm.call("GET", "books?brief=1")["requests"]["by_step"]
    return sum(count for name, count in by_step.items() if name not in ("token", "revoke"))


def check_books(crm, rows):
    counts = crm.call("GET", "books?brief=1")["counts"]
    if counts.get(OBJECT) != rows:
        raise Failed(f"the CRM holds {counts} records and not {rows:,}")


# ---- rows a second ----


def sluice_rows(folder, load, rows):
    with salesforce(0) as crm:
        config = config_for(crm, "bulk", batch={"records": JOB_ROWS, "age": "1s"}, poll={"first": "50ms", "cap": "50ms"})
        with CrmLane(folder / "sluice", config) as lane:
            lane.wait_ready()
            cpu, theirs, begun = cpu_s(lane.roots), cpu_s([crm.process.pid]), time.monotonic()
            taken = load.run(lane, 600, requests=rows)
            lane.wait_delivered(rows)
            took = time.monotonic() - begun
            found = {"rows_per_s": rows / took, "taken_per_s": taken["requests_per_s"],
                     "cpu_us": (cpu_s(lane.roots) - cpu) * 1e6 / rows,
                     "crm_cpu_us": (cpu_s([crm.process.pid]) - theirs) * 1e6 / rows, "calls": calls(crm)}
        check_books(crm, rows)
        sent = ("Name", "StageName", "CloseDate", "Amount")  # the rest of them is __c
        return found, [{name: value for name, value in one["fields"].items() if name in sent or name.endswith("__c")}
                       for one in crm.records(OBJECT)]


def jsforce_rows(folder, records):
    """The same rows, made already and in memory: no webhook, nothing durable, no map."""
    node, server = install("jsforce", ROOT / "tests" / "clients")
    file = folder / "records"
    with salesforce(0) as crm:
        file.write_text("\n".join(json.dumps(one) for one in records) + "\n")
        worker = subprocess.Popen(
            [*DIES_WITH_US, node, server.parent / "worker.mjs", crm.url, CLIENT, SECRET, OBJECT, KEY, file,
             str(JOB_ROWS)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, start_new_session=True)
        try:
            if worker.stdout.readline() != "ready\n":
                raise Failed("jsforce could not log in")
            cpu, theirs = cpu_s([worker.pid]), cpu_s([crm.process.pid])
            worker.stdin.write("go\n")
            worker.stdin.flush()
            line = worker.stdout.readline()
            if not line:
                raise Failed("jsforce ended")
            found = json.loads(line)
            used, theirs = cpu_s([worker.pid]) - cpu, cpu_s([crm.process.pid]) - theirs
            check_books(crm, len(records))
            return {"rows_per_s": found["rows"] / found["seconds"], "taken_per_s": None,
                    "cpu_us": used * 1e6 / len(records), "crm_cpu_us": theirs * 1e6 / len(records),
                    "calls": calls(crm)}
        finally:
            worker.kill()
            worker.wait()


def rows_beside_jsforce(folder, load, args):
    runs = {"Sluice": [], "jsforce": []}
    for turn in range(args.runs):
        step(f"run {turn + 1} of {args.runs}: Sluice, {args.rows:,} orders")
        found, records = sluice_rows(folder, load, args.rows)
        runs["Sluice"].append(found)
        step(f"run {turn + 1} of {args.runs}: jsforce, the same rows")
        runs["jsforce"].append(jsforce_rows(folder, records))
    return {name: {what: one[0][what] if one[0][what] is None else statistics.median(run[what] for run in one)
                   for what in one[0]} for name, one in runs.items()}


# ---- calls at a pace ----


def scaled(factor):
    waits = {}
    for (group, name), seconds in WAITS_S.items():
        waits.setdefault(group, {})[name] = f"{max(10, round(seconds * 1000 / factor))}ms"
    return waits


def calls_at(folder, load, name, per_minute, factor, minutes):
    """API calls for a thousand orders that come evenly, `per_minute` of them."""
    orders = round(per_minute * minutes)
    step(f"{per_minute:,} orders a minute for {minutes:g} minutes, time {factor} times as fast")
    with salesforce(round(JOB_S * 1000 / factor)) as crm:
        with CrmLane(folder / name, config_for(crm, **scaled(factor))) as lane:
            lane.wait_ready()
            rate = per_minute * factor / 60
            # each has a request every two seconds at least: what is idle for longer the gateway hangs up on
            load.run(lane, 60 * minutes / factor + 60, requests=orders, rate=rate,
                     connections=max(1, min(load.connections, int(rate * 2))))
            lane.wait_delivered(orders)
        check_books(crm, orders)
        books = crm.call("GET", "books?brief=1")
        refused = sum(n for status, n in books["requests"]["by_status"].items() if status in ("403", "429", "503"))
        return {"orders": orders, "calls": calls(crm), "per_1000": calls(crm) * 1000 / orders,
                "jobs": len(books["jobs"]), "collections": books["requests"]["by_step"].get("collections", 0),
                "refused": refused}


# ---- memory ----


def million(folder, rows):
    """The gateway's peak with so many rows waiting for one CRM, until the last has its result."""
    store = folder / "million"
    step(f"filling a store with {rows:,} ready rows")
    keys = json.dumps({KEY: "@", "Name": "bench", "StageName": "Closed Won", "CloseDate": "2026-11-20"})
    done = subprocess.run([*DIES_WITH_US, str(FILL), str(store), str(rows), "--endpoint", "crm", "--route",
                           "order-to-crm", "--action", "upsert", "--body", str(ROW_BYTES), "--keys",
                           keys[:-1].replace(": ", ":").replace(", ", ",") + ',"Note__c":"'],
                          capture_output=True, text=True, timeout=3600)
    if done.returncode:
        raise Failed(f"the store could not be filled: {done.stderr.strip()}")
    step(f"sending {rows:,} rows")
    try:
        with salesforce(0) as crm:
            config = config_for(crm, "bulk", batch={"records": JOB_ROWS, "age": "5s"}, poll={"first": "50ms", "cap": "50ms"})
            with CrmLane(folder / "lane", config, store) as lane:
                lane.wait_ready()
                begun = time.monotonic()
                lane.wait_delivered(rows, every=0.5)
                found = {"rows_per_s": rows / (time.monotonic() - begun), "rss_mb": peak_mb(lane.roots),
                         "calls": calls(crm)}
            check_books(crm, rows)
            return found
    finally:
        shutil.rmtree(store, ignore_errors=True)


# ---- the result ----


def show_rows(rows, result):
    sluice, peer = rows["Sluice"], rows["jsforce"]
    say()
    table(["", "rows/s", "webhooks taken/s", "CPU us/row", "stand-in's CPU us/row", "calls"],
          [[name, number(one["rows_per_s"]), number(one["taken_per_s"]), number(one["cpu_us"], 1),
            number(one["crm_cpu_us"], 1), number(one["calls"])] for name, one in rows.items()])
    say("Sluice: webhook, fsync, map, row, job, results, stored. jsforce: row, job, results.")
    result |= {"rows_per_s": round(sluice["rows_per_s"]), "cpu_us_per_row": round(sluice["cpu_us"], 1),
               "ratio_jsforce": round(sluice["rows_per_s"] / peer["rows_per_s"], 2),
               "jsforce_rows_per_s": round(peer["rows_per_s"])}


def show_paces(paces, result):
    say()
    table(["orders a minute", "orders", "calls", "of them Collections", "jobs", "calls per 1,000 orders", "refused"],
          [[number(per_minute), number(paces[name]["orders"]), number(paces[name]["calls"]),
            number(paces[name]["collections"]), number(paces[name]["jobs"]), number(paces[name]["per_1000"], 1),
            number(paces[name]["refused"])] for name, per_minute, _ in PACES])
    for name, one in paces.items():
        result[f"calls_per_1000_{name}"] = round(one["per_1000"], 1)
    result["refused"] = sum(one["refused"] for one in paces.values())


def show_million(found, args, result):
    say(f"\n{args.million:,} rows that waited: {found['rows_per_s']:,.0f} rows/s, {found['calls']:,} calls, "
        f"{found['rss_mb']:.0f} MB at most.")
    result |= {"rss_mb_1m": round(found["rss_mb"], 1), "rows_per_s_1m": round(found["rows_per_s"]),
               "rows_1m": args.million}


def options():
    parser = argparse.ArgumentParser(prog="./dev bench salesforce", description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=50_000, help="orders of the first part")
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--million", type=int, default=1_000_000, metavar="N", help="rows of the last part")
    parser.add_argument("--minutes", type=float, default=1, metavar="X", help="so many times as long at each pace")
    parser.add_argument("--quick", action="store_true", help="little of each: to see that it works")
    parser.add_argument("--only", action="append", choices=["rows", "calls", "memory"], help="this part alone")
    parser.add_argument("--connections", type=int, default=64)
    parser.add_argument("--cores", type=int, default=2, help="how many are used; one of them sends")
    parser.add_argument("--work", default=BUILD, metavar="DIR", help="where everything is stored meanwhile")
    parser.add_argument("--json", metavar="FILE", help="the result as one object")
    if parser.parse_known_args()[0].quick:
        parser.set_defaults(rows=3_000, runs=1, million=20_000, minutes=0.1)
    args = parser.parse_args()
    args.only = args.only or ["rows", "calls", "memory"]
    return args


def run():
    args, result = options(), {}
    core = confine(args.cores)
    with run_folder(args.work) as folder:
        say_machine(machine(folder))
        load = Load(folder, core, args.connections)
        load.sign(max(args.rows, round(10_000 * MINUTES["fast"] * args.minutes)))
        if "rows" in args.only:
            show_rows(rows_beside_jsforce(folder, load, args), result)
        if "calls" in args.only:
            show_paces({name: calls_at(folder, load, name, per_minute, factor, MINUTES[name] * args.minutes)
                        for name, per_minute, factor in PACES}, result)
        if "memory" in args.only:
            show_million(million(folder, args.million), args, result)
    write_json(args.json, result)
    if result.get("refused"):
        say(f"missed: {result['refused']} calls were refused")
        return 1
    return 0
