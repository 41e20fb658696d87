"""kill -9 at random moments under load: what was acknowledged arrives, and arrives once.

SLUICE_SEED replays a run's moments and faults (its interleaving is the machine's), SLUICE_LONG=1 makes
500 rounds of it.
"""

import collections
import os
import random
import time

import pytest

from faults.traffic import Shop
from flow.harness import check_supplier, demo_config, route, wait_until
from flow.test_main_job import check_opportunities
from sandbox.orders import BYRON, NORD

ROUNDS = 500 if os.environ.get("SLUICE_LONG") else 50
SEED = int(os.environ.get("SLUICE_SEED") or random.SystemRandom().randrange(1, 1_000_000))

# Bad days of a round: the remote that has them, and its rules. Those of supplier B act, then lose the
# answer: sent again, each would be a second order.
BAD_DAYS = {
    "none": {},
    "nord cuts after acting": {"nord": [{"action": "cut_after", "at": "order", "probability": 0.3}]},
    "nord tears its answers": {"nord": [{"action": "torn", "at": "order", "probability": 0.3}]},
    "nord acts after the line is lost": {"nord": [{"action": "cut_late", "at": "order", "ms": 100,
                                                   "probability": 0.2}]},
    "byron cuts after acting": {"byron": [{"action": "cut_after", "at": "order", "probability": 0.3}]},
    "both are slow": {"byron": [{"action": "slow", "at": "order", "ms": 150}],
                      "nord": [{"action": "slow", "at": "order", "ms": 150}]},
    "the crm loses answers": {"crm": [{"action": "cut_after", "at": ["put", "patch", "collections"], "probability": 0.3}]},
    "the crm refuses": {"crm": [{"action": "status", "at": ["jobs", "collections"], "status": 503, "probability": 0.5}]},
}

QUICK = {"retry": {"first": "50ms", "cap": "500ms"},
         "breaker": {"window": "2s", "min_calls": 20, "open": "100ms", "open_max": "400ms"},
         "rate": {"per_second": 1000, "burst": 100}}


def quick_config(byron, nord, crm, transport):
    """The demo's, with short waits: a round has a second."""
    config = demo_config(byron.url, nord.url, crm.url, endpoints={
        "byron": QUICK,
        "nord": {**QUICK, "confirm": {"settle": "400ms", "after": "100ms"}},
        "crm": {**QUICK, "rate": None, "batch": {"records": 500, "age": "200ms"},
                "poll": {"first": "50ms", "cap": "200ms"}}})
    route(config, "order-to-crm")["to"]["transport"] = transport
    return config


@pytest.mark.slow
@pytest.mark.fault("F1")
def test_what_was_acknowledged_arrives_once_over_kills_at_random_moments(make_gateway, byron, nord, crm):
    rng = random.Random(SEED)
    transport = rng.choice(["bulk", "collections"])
    print(f"SLUICE_SEED={SEED}, by {transport}")
    remotes = {"byron": byron, "nord": nord, "crm": crm}
    gateway = make_gateway(quick_config(byron, nord, crm, transport), {"DEMO_CRM_KEY": crm.private_key}, start=False)
    slowest_start = 0

    with Shop(gateway.url, SEED, rate=40) as shop:
        for _ in range(ROUNDS):
            day = rng.choice(list(BAD_DAYS))
            for name, remote in remotes.items():
                remote.faults(BAD_DAYS[day].get(name, []))
            before = gateway.log_path.stat().st_size if gateway.log_path.exists() else 0
            begun = time.monotonic()
            gateway.launch()
            if rng.random() < 0.8:  # else it may die while it starts and recovers
                wait_until(gateway.ready, f"ready again, seed {SEED}", every=0.01)
                slowest_start = max(slowest_start, time.monotonic() - begun)
            time.sleep(rng.uniform(0, 1.5))
            assert gateway.running, f"ended by itself, seed {SEED}, {day}:\n{gateway.log()[before:]}"
            gateway.kill9()

        for remote in remotes.values():
            remote.clear_faults()
        gateway.start()
        shop.finish()
        wait_until(lambda: gateway.settled(len(shop.orders)), f"all is delivered, seed {SEED}")
        print(f"{ROUNDS} kills, slowest start {slowest_start:.2f} s; {shop.tell()}")
        print(gateway.status()["summary"])

    note = f"seed {SEED}: SLUICE_SEED replays it"
    stuck = gateway.deliveries(state="held") + gateway.deliveries(state="dead")
    why = collections.Counter((one["endpoint"], one["state"], one.get("reason")) for one in stuck)
    assert not stuck, (note, why.most_common(5))
    check_supplier(byron.books(), BYRON, shop.orders)
    check_supplier(nord.books(), NORD, shop.orders)
    for remote in (byron, nord):
        assert all(len(ids) == 1 for ids in remote.books()["by_our_id"].values()), note
    # a call of Collections whose answer is lost is made again: the same record, written twice
    check_opportunities(crm, shop.orders, written_once=transport == "bulk")
