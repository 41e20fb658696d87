"""How much of a shop's points is used under load, and what is refused, alone and with another client of the same app
that takes half of them?

    ./dev bench shopify [--quick] [--seconds S] [--json FILE]

The shop is the tests' stand-in, with the bucket of a Standard plan: 2,000 points, 100 a second. Each order becomes a draft
order: its SKUs are asked for, then it is made. The shop's own books say what was used. docs/benchmarks.md says how to
read the numbers.
"""

import argparse
import os

from common import BUILD, Failed, Load, confine, machine, number, run_folder, say, say_machine, step, table, write_json
from flow.shop_points import CLIENT_ID, CLIENT_SECRET, ENV, Watched, config_for, furnish, press
from lane_parts import Lane
from sandbox.client import Process

PARTS = [("alone", 0.0), ("shared", 0.5)]  # and the other client's part
SHARE, POINTS_A_DRAFT = 0.98, 10  # it takes more: so many orders are enough


class ShopLane(Lane):
    name = "Sluice"

    def __init__(self, folder, config):
        super().__init__(folder, config)
        self.port, self.first, self.sent = self.gateway.port, 0, 0


def used_up(folder, load, name, others, seconds):
    with Process("shopify_admin", "--client-id", CLIENT_ID, "--client-secret", CLIENT_SECRET) as shop:
        furnish(shop, others)
        points = shop.call("GET", "points")
        orders = int((points["maximumAvailable"] + points["restoreRate"] * (seconds + 10)) / POINTS_A_DRAFT)
        step(f"{name}: {seconds:g} s, {orders:,} orders")
        with ShopLane(folder / name, config_for(shop)) as lane:
            lane.wait_ready()
            watched = Watched(shop)
            load.run(lane, 600, requests=orders, connections=16)
            found = press(watched, lambda: lane.gateway.lane("acme-shop"), seconds, SHARE)
        if found["seconds"] < seconds:
            raise Failed(f"it took {found['seconds']} s only")
        return found


def options():
    parser = argparse.ArgumentParser(prog="./dev bench shopify", description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=60, help="of each part")
    parser.add_argument("--quick", action="store_true", help="ten seconds: to see that it works")
    parser.add_argument("--only", action="append", choices=[name for name, *_ in PARTS], help="this part alone")
    parser.add_argument("--cores", type=int, default=2, help="how many are used")
    parser.add_argument("--work", default=BUILD, metavar="DIR", help="where everything is stored meanwhile")
    parser.add_argument("--json", metavar="FILE", help="the result as one object")
    if parser.parse_known_args()[0].quick:
        parser.set_defaults(seconds=10)
    args = parser.parse_args()
    args.parts = [part for part in PARTS if not args.only or part[0] in args.only]
    return args


def run():
    args, result = options(), {}
    core = confine(args.cores)
    os.environ.update(ENV)
    with run_folder(args.work) as folder:
        say_machine(machine(folder))
        load = Load(folder, core, 16)
        load.sign(20_000)
        found = {name: used_up(folder, load, name, others, args.seconds) for name, others in args.parts}
    say()
    table(["", "seconds", "points there were", "used by us", "by another", "used, %", "questions", "refused"],
          [[name, number(one["seconds"], 1), number(one["budget"]), number(one["used"]), number(one["used_by_others"]),
            number(one["share"] * 100, 2), number(one["calls"]), number(one["refused"])] for name, one in found.items()])
    for name, one in found.items():
        result[f"points_used_share_{name}"] = round(one["share"], 4)
        result[f"refused_{name}"] = one["refused"]
    result["points_used_share"] = min(round(one["share"], 4) for one in found.values())
    result["refused"] = sum(one["refused"] for one in found.values())
    write_json(args.json, result)
    if result["refused"] or (args.seconds >= 60 and result["points_used_share"] < SHARE):
        say(f"missed: {result['refused']} questions were refused, {result['points_used_share']:.2%} of the points were used")
        return 1
    return 0
