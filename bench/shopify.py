"""How much of a shop's points is used under load, and what is refused, alone and with another client of the same app
that takes half of them? And what does a push of 5,000 SKUs in three locations take?

    ./dev bench shopify [--quick] [--seconds S] [--skus N] [--only PART] [--json FILE]

The shop is the tests' stand-in, with the bucket of a Standard plan: 2,000 points, 100 a second. Each order becomes a draft
order: its SKUs are asked for, then it is made. Stock is pushed twice, while the shop sells. The shop's own books say what
was used, and what was overwritten. docs/benchmarks.md says how to read the numbers.
"""

import argparse
import os

from common import BUILD, Failed, Load, confine, machine, number, run_folder, say, say_machine, step, table, write_json
from flow.shop_points import CLIENT_ID, CLIENT_SECRET, ENV, Watched, config_for, furnish, press
from lane_parts import Lane
from sandbox.client import Process
from shopify_stock import show, stock

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
    parser.add_argument("--quick", action="store_true", help="ten seconds, and 300 SKUs: to see that it works")
    parser.add_argument("--only", action="append", choices=[*dict(PARTS), "stock"], help="this part alone")
    parser.add_argument("--skus", type=int, default=5000, help="of the stock that is pushed")
    parser.add_argument("--cores", type=int, default=2, help="how many are used")
    parser.add_argument("--work", default=BUILD, metavar="DIR", help="where everything is stored meanwhile")
    parser.add_argument("--json", metavar="FILE", help="the result as one object")
    if parser.parse_known_args()[0].quick:
        parser.set_defaults(seconds=10, skus=300)
    args = parser.parse_args()
    args.parts = [part for part in PARTS if not args.only or part[0] in args.only]
    return args


def points(folder, args, core):
    load = Load(folder, core, 16)
    load.sign(20_000)
    return {name: used_up(folder, load, name, others, args.seconds) for name, others in args.parts}


def show_points(found, result):
    say()
    table(["", "seconds", "points there were", "used by us", "by another", "used, %", "questions", "refused"],
          [[name, number(one["seconds"], 1), number(one["budget"]), number(one["used"]), number(one["used_by_others"]),
            number(one["share"] * 100, 2), number(one["calls"]), number(one["refused"])] for name, one in found.items()])
    for name, one in found.items():
        result[f"points_used_share_{name}"] = round(one["share"], 4)
        result[f"refused_{name}"] = one["refused"]
    result["points_used_share"] = min(round(one["share"], 4) for one in found.values())
    result["refused"] = sum(one["refused"] for one in found.values())


def missed(args, result):
    """What must not be, of what was measured."""
    if result.get("refused") or result.get("stock_refused"):
        yield f"{result.get('refused', 0) + result.get('stock_refused', 0)} questions were refused"
    if args.seconds >= 60 and result.get("points_used_share", 1) < SHARE:
        yield f"{result['points_used_share']:.2%} of the points were used"
    if result.get("stock_overwritten"):
        yield f"{result['stock_overwritten']} sales were overwritten"


def run():
    args, result = options(), {}
    core = confine(args.cores)
    os.environ.update(ENV)
    with run_folder(args.work) as folder:
        say_machine(machine(folder))
        used = points(folder, args, core) if args.parts else {}
        pushed = stock(folder, args.skus) if not args.only or "stock" in args.only else {}
    if used:
        show_points(used, result)
    if pushed:
        show(pushed, result)
    write_json(args.json, result)
    wrong = list(missed(args, result))
    if wrong:
        say(f"missed: {', '.join(wrong)}")
    return 1 if wrong else 0
