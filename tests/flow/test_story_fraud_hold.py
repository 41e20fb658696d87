"""Orders are held for fraud until the shop's risk assessment comes: released, rejected, or nobody says anything."""

import json
import time

import pytest

from flow.harness import LATE_S, byron_orders, check_supplier, demo_config, route, wait_until
from sandbox.orders import BYRON

RISK = "orders/risk_assessment_changed"
HOLD = {"type": "fraud", "until": RISK, "when": '.risk_level == "LOW"', "reject_when": '.risk_level == "HIGH"',
        "owner": "risk-team", "evidence": "{name, total: .total_price, email}",
        "choices": [{"name": "genuine", "do": "release", "text": "the customer was called"},
                    {"name": "fraud", "do": "reject", "text": "a stolen card"}]}


def holding(byron, **more):
    config = demo_config(byron.url)
    route(config, "order-to-supplier")["hold"] = {**HOLD, **more}
    return config


def risk(order, level, at="2026-11-20T10:00:00Z"):
    return json.dumps({"order_id": order.summary["id"], "risk_level": level, "created_at": at}).encode()


def made(gateway):
    """The one delivery, once there is one, however it stands by then."""
    wait_until(gateway.deliveries, "it is made")
    return gateway.delivery()


def held(gateway, n=1):
    wait_until(lambda: gateway.states().get("held", 0) == n, f"{n} are held")
    return gateway.deliveries(state="held")


def test_a_fraud_hold_is_released_by_a_later_event(make_gateway, byron):
    gateway = make_gateway(holding(byron))
    good, bad, odd = byron_orders(3)
    for order in (good, bad, odd):
        assert gateway.post(order) == 200
    rows = {one["subject"].rsplit("/", 1)[1]: one for one in held(gateway, 3)}

    # a person sees who decides, on what, and between what
    mine = rows[str(good.summary["id"])]
    assert mine["hold_type"] == "fraud" and mine["next_at"] is None
    assert mine["detail"]["owner"] == "risk-team"
    assert mine["detail"]["evidence"]["name"] == good.summary["name"]
    assert [one["name"] for one in mine["detail"]["choices"]] == ["genuine", "fraud"]
    assert byron.books()["orders"] == []

    # neither low nor high: it stays; then low; of another order high
    gateway.post(risk(odd, "MEDIUM"), topic=RISK)
    gateway.post(risk(good, "LOW"), topic=RISK)
    gateway.post(risk(bad, "HIGH"), topic=RISK)
    wait_until(lambda: gateway.states() == {"delivered": 1, "dead": 1, "held": 1}, "each as the shop said")
    check_supplier(byron.books(), BYRON, [good])

    moves = gateway.delivery(state="delivered")["moves"]
    released = next(one for one in moves if one["who"].startswith("event "))
    event = gateway.get(f"/v1/events/{released['who'].split()[1]}")
    assert event["topic"] == RISK and released["state"] == "ready"
    dead = gateway.delivery(state="dead")
    assert dead["reason"].startswith("rejected by event ") and RISK in dead["reason"]
    assert dead["moves"][-1]["who"].startswith("event ")
    assert dead["subject"].endswith(str(bad.summary["id"]))

    # the third: by a person, one of the choices
    left = gateway.delivery(state="held")
    refused = gateway.cli("held", "release", left["id"], "--choice", "perhaps", ok=False)
    assert refused.code == 5 and "there are: genuine, fraud" in refused.out
    gateway.cli("held", "release", left["id"], "--choice", "genuine", "--why", "called")
    wait_until(lambda: gateway.states() == {"delivered": 2, "dead": 1})
    check_supplier(byron.books(), BYRON, [good, odd])
    moves = gateway.get(f"/v1/deliveries/{left['id']}")["moves"]
    assert next(one for one in moves if one["who"].startswith("uid"))["reason"] == "genuine: called"  # which one it was


def test_an_assessment_that_came_first_counts_as_well(make_gateway, byron):
    gateway = make_gateway(holding(byron))
    good, bad = byron_orders(2)
    gateway.post(risk(good, "HIGH", "2026-11-20T09:00:00Z"), topic=RISK)
    gateway.post(risk(good, "LOW"), topic=RISK)  # the newest word holds
    gateway.post(risk(bad, "HIGH"), topic=RISK)
    wait_until(lambda: gateway.settled(3))
    for order in (good, bad):
        gateway.post(order)
    wait_until(lambda: gateway.states() == {"delivered": 1, "dead": 1})
    check_supplier(byron.books(), BYRON, [good])
    assert "which came before" in gateway.delivery(state="dead")["reason"]


@pytest.mark.parametrize("then, state", [("release", "delivered"), ("reject", "dead")])
def test_when_nobody_says_anything_the_clock_decides(make_gateway, byron, then, state):
    gateway = make_gateway(holding(byron, **{"for": "1500ms", "then": then}))
    gateway.post(byron_orders()[0])
    row = made(gateway)
    assert row["state"] != "held" or (row["next_at"] and row["detail"]["then"] == then)
    wait_until(lambda: gateway.states() == {state: 1}, "the clock ran out", every=0.01)
    began, *_ = moves = gateway.delivery()["moves"]
    move = next(m for m in moves if m["who"] == "clock")
    assert began["state"] == "held" and 1.4 <= seconds(move["at"]) - seconds(began["at"]) < LATE_S
    assert "nobody decided within 1500ms" in move["reason"]


def seconds(text):
    from datetime import datetime
    return datetime.fromisoformat(text.replace("Z", "+00:00")).timestamp()


def test_what_runs_out_may_be_escalated_and_stays_held(make_gateway, byron):
    config = holding(byron, **{"for": "500ms", "then": "escalate", "escalate_to": "head-of-risk"})
    config["alerts"] = {"repeat": "1s"}
    gateway = make_gateway(config)
    gateway.post(byron_orders()[0])
    due = seconds(made(gateway)["moves"][0]["at"]) + 0.4
    assert gateway.cli("held", "list", "--overdue").json == [] or time.time() > due
    wait_until(lambda: gateway.cli("held", "list", "--overdue").json, "it is overdue")
    [row] = gateway.cli("held", "list", "--overdue", "--owner", "head-of-risk").json
    assert row["detail"]["overdue"] is True and row["detail"]["evidence"]["name"]
    assert "nobody decided within 500ms; head-of-risk decides" in row["reason"]
    wait_until(lambda: sum(m["who"] == "clock" for m in gateway.delivery()["moves"]) >= 2, "it is said again")
    gateway.cli("held", "reject", row["id"], "--choice", "fraud")
    assert gateway.states() == {"dead": 1}


@pytest.mark.parametrize("then, state", [("release", "delivered"), ("reject", "dead")])
def test_a_clock_goes_on_over_a_kill(make_gateway, byron, then, state):
    gateway = make_gateway(holding(byron, **{"for": "3s", "then": then}))
    gateway.post(byron_orders()[0])
    due = seconds(held(gateway)[0]["next_at"])
    gateway.kill9()
    gateway.start()
    started = time.time()  # on a busy machine perhaps later than the clock
    wait_until(lambda: gateway.states() == {state: 1})
    move = next(m for m in gateway.delivery()["moves"] if m["who"] == "clock")
    assert due <= seconds(move["at"]) < max(due, started) + LATE_S


def test_a_clock_that_ran_out_while_nothing_ran_is_seen_at_the_start(make_gateway, byron):
    gateway = make_gateway(holding(byron, **{"for": "700ms", "then": "reject"}))
    gateway.post(byron_orders()[0])
    made(gateway)
    gateway.kill9()
    time.sleep(1)
    gateway.start()
    wait_until(lambda: gateway.states() == {"dead": 1})


def test_a_choice_sends_an_unmapped_vendor_where_it_belongs(make_gateway, byron):
    from sandbox.orders import UNMAPPED
    from flow.harness import orders_of
    config = demo_config(byron.url)
    route(config, "order-to-supplier")["to"]["else"] = {
        "hold": {"type": "unmapped-sku", "owner": "catalogue", "evidence": ".line_items | map(.vendor)",
                 "choices": [{"name": "byron", "do": "release", "to": "byron"}, {"name": "none", "do": "reject"}]}}
    gateway = make_gateway(config)
    gateway.post(orders_of(UNMAPPED)[0])
    row = held(gateway)[0]
    assert UNMAPPED in row["detail"]["evidence"]
    listed = gateway.cli("held", "list", "--type", "unmapped-sku").json
    assert [one["id"] for one in listed] == [row["id"]]
    gateway.cli("held", "release", row["id"], "--choice", "byron")
    wait_until(lambda: gateway.states("byron") == {"delivered": 1})
