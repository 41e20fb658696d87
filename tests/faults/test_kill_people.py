"""kill -9 around holds and decisions, and while old events are given to a new route: what was decided takes effect,
once, and nothing that nobody decided."""

import copy
import os
import random
import threading
import time

import pytest

from flow.harness import byron_orders, check_supplier, demo_config, route, wait_until
from sandbox.orders import BYRON

ROUNDS = 40 if os.environ.get("SLUICE_LONG") else 4
SEED = int(os.environ.get("SLUICE_SEED") or random.SystemRandom().randrange(1, 1_000_000))
# what was cut off is asked for soon, and sent again where it is not there
QUICK = {"rate": {"per_second": 1000, "burst": 100}, "confirm": {"settle": "200ms", "after": "50ms"}}


CLOCKS = [("release", "delivered"), ("escalate", "held"), ("reject", "dead")][:3 if os.environ.get("SLUICE_LONG") else 2]


def holding(byron, **hold):
    config = demo_config(byron.url, endpoints={"byron": QUICK})
    route(config, "order-to-supplier")["hold"] = {"type": "approval", **hold}
    return config


def fill(gateway, n):
    orders = byron_orders(n)
    for order in orders:
        assert gateway.post(order) == 200
    wait_until(lambda: gateway.states() == {"held": n}, "all are held")
    return orders


def decided(row):
    return [move for move in row["moves"] if move["who"].startswith("uid ")]


@pytest.mark.fault("F1")
def test_a_decision_is_whole_or_was_never_made_whenever_it_is_killed(make_gateway, byron):
    """Half released, half rejected, each with a kill at another moment of it; what was not decided is still held."""
    print(f"SLUICE_SEED={SEED}")
    rng = random.Random(SEED)
    gateway = make_gateway(holding(byron))
    orders = fill(gateway, 2 * ROUNDS)
    released = set()
    for number in range(ROUNDS):
        rows = sorted(gateway.deliveries(state="held"), key=lambda row: int(row["id"].split(".")[0]))
        good, bad = rows[:2]
        answers = {}

        def decide(action, row):
            try:
                answers[row["id"]] = gateway.api("POST", "/v1/decide", {"action": action, "ids": [row["id"]]})
            except (OSError, ValueError):
                pass  # killed before it answered

        asked = [threading.Thread(target=decide, args=args) for args in (("release", good), ("reject", bad))]
        for thread in asked:
            thread.start()
        time.sleep(rng.uniform(0, 0.03))
        gateway.kill9()
        for thread in asked:
            thread.join()
        gateway.start()
        for action, row in (("release", good), ("reject", bad)):
            said = row["id"] in answers and answers[row["id"]][1]["done"] == 1
            now = gateway.get(f"/v1/deliveries/{row['id']}")
            assert len(decided(now)) <= 1, f"decided twice, seed {SEED}"
            assert not said or decided(now), f"what was said to be {action}d is not, seed {SEED}"
            if not decided(now):  # it was never made: it can be made now
                assert now["state"] == "held"
                gateway.decide(action, row["id"])
            if action == "release":
                released.add(row["subject"].rsplit("/", 1)[1])
    wait_until(lambda: gateway.states() == {"delivered": ROUNDS, "dead": ROUNDS}, f"all took effect, seed {SEED}")
    check_supplier(byron.books(), BYRON, [one for one in orders if str(one.summary["id"]) in released])


@pytest.mark.fault("F1")
def test_what_was_decided_before_the_kill_takes_effect_after_it(make_gateway, byron):
    """The decision is durable and its effect is held up: the endpoint is paused until the process is gone."""
    gateway = make_gateway(holding(byron))
    orders = fill(gateway, 10)
    gateway.cli("endpoints", "pause", "byron", "--why", "the test")
    gateway.cli("held", "release", "--all", "--type", "approval", "--why", "all are well")
    gateway.kill9()
    gateway.start()
    assert gateway.states() == {"ready": 10} and byron.books()["orders"] == []
    gateway.kill9()
    gateway.start()
    gateway.cli("endpoints", "resume", "byron")
    wait_until(lambda: gateway.states() == {"delivered": 10})
    check_supplier(byron.books(), BYRON, orders)


@pytest.mark.fault("F1")
@pytest.mark.parametrize("then, state", CLOCKS)
def test_clocks_that_ran_out_while_nothing_ran_are_decided_once_at_the_start(make_gateway, byron, then, state):
    gateway = make_gateway(holding(byron, **{"for": "600ms", "then": then}))
    orders = byron_orders(20)
    for order in orders:
        assert gateway.post(order) == 200
    gateway.kill9()
    due = time.time() + 0.7
    wait_until(lambda: time.time() > due, "it ran out")
    gateway.launch()  # killed again while it decides
    time.sleep(0.15)
    gateway.kill9()
    gateway.start()

    def rows():
        return [gateway.get(f"/v1/deliveries/{one['id']}") for one in gateway.deliveries()]

    wait_until(lambda: gateway.states() == {state: 20} and
               all(any(move["who"] == "clock" for move in row["moves"]) for row in rows()), "each is decided")
    for row in rows():
        assert sum(move["who"] == "clock" for move in row["moves"]) == 1
        assert (row["detail"] or {}).get("overdue") is (True if then == "escalate" else None)
    check_supplier(byron.books(), BYRON, orders if then == "release" else [])


@pytest.mark.fault("F1")
def test_old_events_given_to_a_new_route_go_once_each_over_kills(make_gateway, byron, nord):
    """The new route sends to a supplier who would take each repetition for another order."""
    print(f"SLUICE_SEED={SEED}")
    rng = random.Random(SEED)
    config = demo_config(byron.url, nord.url, endpoints={"byron": QUICK, "nord": QUICK})
    kills, n = (10, 200) if os.environ.get("SLUICE_LONG") else (2, 40)
    gateway = make_gateway(config)
    orders = byron_orders(n)
    gateway.burst(orders)
    wait_until(lambda: gateway.settled(n))
    old = route(config, "order-to-supplier")
    config["routes"].append({**copy.deepcopy(old), "name": "order-to-nord", "to": {
        "choose": ".key", "cases": {BYRON: {"endpoint": "nord"}}, "else": {"drop": True}}})
    gateway.write()
    gateway.restart()
    begun = gateway.cli("replay", "--route", "order-to-nord", "--since", "1h", "--rate", "50/s").json
    for number in range(kills):
        wait_until(lambda: len(gateway.deliveries(route="order-to-nord")) > 12 * number, "it goes on",
                   every=0.01)
        time.sleep(rng.uniform(0, 0.05))
        gateway.kill9()
        gateway.start()
    wait_until(lambda: gateway.cli("replay", "status", begun["id"]).json["state"] == "done", f"it ended, seed {SEED}")
    wait_until(lambda: gateway.states("nord") == {"delivered": n}, f"all arrived, seed {SEED}")
    check_supplier(nord.books(), BYRON, orders)
    check_supplier(byron.books(), BYRON, orders)  # the other route's were not touched
    assert len(gateway.deliveries(route="order-to-nord")) == n
    plan = gateway.cli("replay", "--route", "order-to-nord", "--since", "1h", "--dry-run").json
    assert plan["total"] == 0
