"""Stock pushed into a shop, for `bench shopify`: what it takes in calls, points and seconds, and whether anything that the
shop has sold meanwhile was written over."""

import os

from common import Failed, number, say, step, table
from flow.harness import wait_until
from flow.stock_push import ENV, MILL, Ledger, config_for, say as post_list
from lane_parts import Lane
from sandbox.client import Process

PLACES = {"Mill Yard": MILL, "Leeds": "gid://shopify/Location/601", "Bonn": "gid://shopify/Location/602"}
AT_ONCE = 1000  # levels of a posted list
SELLS = 0.3     # of the readings of levels: a sale follows before whoever reads has the answer
CHANGED = 10    # of so many levels one is another the second time
LATE_S = 900


def sku_of(n):
    return f"GEAR-{n:05}"


def furnish(shop, skus):
    shop.call("POST", "locations", [{"name": name, "id": id} for name, id in PLACES.items() if id != MILL])
    for first in range(0, skus, 1000):
        shop.call("POST", "variants", [{"sku": sku_of(n), "stock": {id: 30 for id in PLACES.values()}}
                                       for n in range(first, min(skus, first + 1000))])
    shop.fault(action="meanwhile", at="nodes", probability=SELLS, seed=1)


def push_once(lane, shop, figures, before):
    """All of it is posted at once; until the last is delivered."""
    levels = [{"sku": sku, "location": place, "quantity": count} for (sku, place), count in figures.items()]
    ledger = Ledger(shop)
    for at in range(0, len(levels), AT_ONCE):
        post_list(lane.gateway, levels[at:at + AT_ONCE], number=at)
    wait_until(lambda: lane.gateway.lane("acme-shop")["delivered"] >= before + len(levels),
               f"{len(levels):,} levels are delivered", seconds=LATE_S, every=0.05)
    seconds = ledger.seconds()
    states = lane.gateway.states()
    if states != {"delivered": before + len(levels)}:
        raise Failed(f"not all was delivered: {states}")
    spent = ledger.spent()
    over = ledger.overwritten({(sku, PLACES[place]): count for (sku, place), count in figures.items()})
    return {"levels": len(levels), "seconds": seconds, "calls": spent["calls"], "points": spent["used"],
            "refused": spent["refused"], "written": len(ledger.written()), "sold": ledger.sales(),
            "refused writes": spent["user_errors"], "overwritten": len(over)}


def stock(folder, skus):
    """Two pushes of the same levels: the shop's SKUs are not known, then they are, and a tenth is another."""
    os.environ.update(ENV)
    with Process("shopify_admin") as shop:
        furnish(shop, skus)
        with Lane(folder / "stock", config_for(shop)) as lane:
            lane.wait_ready()
            figures = {(sku_of(n), place): 20 + n % 7 for n in range(skus) for place in PLACES}
            step(f"{skus:,} SKUs in {len(PLACES)} locations, {len(figures):,} levels")
            first = push_once(lane, shop, figures, 0)
            for at, key in enumerate(figures):
                figures[key] += at % CHANGED == 0
            step("the same again, one of ten changed")
            return {"first": first, "again": push_once(lane, shop, figures, len(figures))}


def show(found, result):
    say()
    names = ("levels", "seconds", "calls", "points", "refused", "written", "sold", "refused writes", "overwritten")
    table(["stock", "levels", "seconds", "calls", "points", "refused", "levels written", "sold meanwhile",
           "mutations refused for it", "sales overwritten"],
          [[name, *(number(one[what], 1 if what == "seconds" else 0) for what in names)] for name, one in found.items()])
    for name, suffix in (("first", ""), ("again", "_again")):
        one = found[name]
        result |= {f"stock_calls{suffix}": one["calls"], f"stock_points{suffix}": one["points"],
                   f"stock_seconds{suffix}": round(one["seconds"], 1)}
    result |= {"stock_levels": found["first"]["levels"],
               "stock_overwritten": sum(one["overwritten"] for one in found.values()),
               "stock_refused": sum(one["refused"] for one in found.values())}
