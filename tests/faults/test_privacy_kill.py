"""kill -9 at every step of an erasure: the next start finishes it, and nothing personal is found by looking for it."""

import json
import time

import pytest

from flow.harness import QUICK, byron_orders, demo_config, merge, sluice, wait_until
from flow.test_story_privacy import SHOP, about_customer, files_with, personal

KILLS = 8


@pytest.mark.slow
def test_an_erasure_that_is_killed_at_any_step_is_finished_and_leaves_nothing(make_gateway, byron):
    config = demo_config(byron.url)
    merge(config["endpoints"], {"byron": {**QUICK, "rate": {"per_second": 1000, "burst": 100}}})
    config["store"] = {"erase_within": "20s"}
    gateway = make_gateway(config)
    hers, others = [], []
    for n, order in enumerate(byron_orders(60, seed=11)):
        (hers if n % 2 else others).append(order)
    for order in hers:
        order.document["email"] = order.document["contact_email"] = "ada.lovelace@example.org"
        order.document["customer"] = {"id": 706405506930370084, "email": order.document["email"]}
        order.body = json.dumps(order.document).encode()
    for order in hers + others:
        assert gateway.post(order) == 200
    wait_until(lambda: gateway.states() == {"delivered": 60})
    body = json.loads(about_customer(hers[0], "customers/redact"))
    body["orders_to_redact"] = [order.summary["id"] for order in hers[:20]]  # the rest by the address alone
    assert gateway.post(json.dumps(body).encode(), topic="customers/redact") == 200

    # from the answer on, a little later each time: asked, finding, erasing, writing over, done
    for kill in range(KILLS):
        time.sleep(0.03 * kill if kill < 4 else 0.25 * (kill - 3) ** 0.5)
        gateway.kill9()
        gateway.start()
    wait_until(lambda: gateway.get("/v1/privacy")[0]["state"] in ("in-log", "done"))
    assert gateway.get("/v1/privacy")[0]["deliveries"] == 30
    for order in hers:
        assert gateway.get("/v1/events", subject=f"order:{SHOP}/{order.summary['id']}") == []
    states = gateway.states()
    assert states == {"delivered": 60}, states
    # the index's file is looked at as it lies there: nobody has tidied up behind
    gateway.kill9()
    texts = personal(hers[0])
    assert [name for name in files_with(gateway.folder / "state", texts) if not name.endswith(".seg")] == []
    gateway.start()
    wait_until(lambda: gateway.get("/v1/privacy")[0]["state"] == "done")
    gateway.kill9()
    assert files_with(gateway.folder / "state", texts) == []
    checked = sluice("db", "check", "-c", gateway.file, env=gateway.env)
    assert checked.code == 0, checked
    gateway.start()
    assert gateway.get("/v1/privacy")[0]["ended_at"]  # the record outlives what it is about
