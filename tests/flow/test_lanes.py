"""What stands before an endpoint: pace, retries, lost answers, breaker, park, order, priorities, giving up."""

import copy
import re

import pytest

from flow.harness import (BYRON_TOKEN, byron_orders, check_supplier, demo_config, free_port, merge, nord_orders,
                          route, sluice, stays, wait_until)
from sandbox.client import Process
from sandbox.orders import BYRON, NORD, OrderFactory

QUICK_RETRY = {"first": "50ms", "cap": "200ms"}


@pytest.fixture
def lanes(make_gateway, byron, nord):
    """lanes(byron={...}, nord={...}, routes=...): the demo's suppliers with these settings changed."""

    def make(byron_changes=None, nord_changes=None, **top):
        config = demo_config(byron.url, nord.url, **top)
        merge(config["endpoints"]["byron"], {"retry": QUICK_RETRY, "breaker": {"min_calls": 1000},
                                             **(byron_changes or {})})
        merge(config["endpoints"]["nord"], {"retry": QUICK_RETRY, "confirm": {"after": "100ms"},
                                            **(nord_changes or {})})
        return make_gateway(config)

    return make


def statuses(books, step="order"):
    """Of those that were answered."""
    return [one["status"] for one in books["requests"]["log"] if one["step"] == step and "status" in one]


# ---- pace ----


def test_no_window_of_time_sees_more_than_its_rate_and_burst(lanes, byron):
    """One at a time: what is held up on its way, however long, holds up those after it, so two never come closer to
    each other than they left - but for the first of a window, which may come late and those after it in time."""
    rate, burst, count = 20, 5, 60
    gateway = lanes({"rate": {"per_second": rate, "burst": burst}, "concurrency": 1})
    orders = byron_orders(count)
    gateway.burst(orders)
    wait_until(lambda: gateway.lane("byron")["delivered"] == count)
    books = byron.books()
    times = sorted(one["at"] for one in books["orders"])
    clocks = 0.02  # that two clocks, and the bucket's, tick in whole milliseconds
    for first in range(count):
        for last in range(first, count):
            window = (times[last] - times[first]) / 1000 + clocks
            assert last - first <= rate * window + burst
    check_supplier(books, BYRON, orders)


def test_a_429_holds_the_lane_for_its_retry_after_and_burns_no_attempt(lanes, byron):
    gateway = lanes()
    byron.fault(action="status", at="order", status=429, headers={"Retry-After": "1"}, count=1)
    orders = byron_orders(5)
    gateway.post(orders[0])
    wait_until(lambda: gateway.lane("byron")["throttled"] == 1)
    for order in orders[1:]:
        gateway.post(order)
    wait_until(lambda: gateway.lane("byron")["delivered"] == 5)
    books = byron.books()
    refused, *after = [one["at"] for one in books["requests"]["log"]]
    assert min(after) - refused >= 950
    assert len(after) == 5
    found = [gateway.get(f"/v1/deliveries/{one['id']}") for one in gateway.deliveries()]
    assert [one["attempts_burnt"] for one in found] == [1] * 5
    assert gateway.lane("byron")["breaker_trips"] == 0
    check_supplier(books, BYRON, orders)


# ---- retries under one key ----


def test_a_429_of_a_question_holds_the_lane_too(lanes, nord):
    gateway = lanes()
    nord.faults([{"action": "cut_after", "at": "order", "count": 1},
                 {"action": "status", "at": "lookup", "status": 429, "headers": {"Retry-After": "1"}, "count": 1}])
    orders = nord_orders(4)
    gateway.post(orders[0])
    wait_until(lambda: "429" in statuses(nord.books(), "lookup"), "the question is refused")
    for order in orders[1:]:
        gateway.post(order)
    wait_until(lambda: gateway.lane("nord")["delivered"] == 4)
    books = nord.books()
    log = [(one["at"], one.get("status")) for one in books["requests"]["log"]]
    refused = next(at for at, status in log if status == "429")
    assert min(at for at, _ in log if at > refused) - refused >= 950
    check_supplier(books, NORD, orders)


def test_a_5xx_is_retried_with_the_same_key_and_the_same_bytes(lanes, byron):
    gateway = lanes()
    byron.fault(action="status", at="order", status=503, count=2)
    order = byron_orders()[0]
    gateway.post(order)
    wait_until(lambda: gateway.lane("byron")["delivered"] == 1)
    attempts = gateway.delivery()["attempts"]
    assert [one["status"] for one in attempts] == [503, 503, 201]
    assert len({one["key"] for one in attempts}) == len({one["request_sha256"] for one in attempts}) == 1
    check_supplier(byron.books(), BYRON, [order])


@pytest.mark.parametrize("fault", ["cut_after", "torn", "garbage"])
def test_with_a_key_a_lost_answer_is_simply_asked_for_again(lanes, byron, fault):
    gateway = lanes()
    byron.fault(action=fault, at="order", count=1)
    order = byron_orders()[0]
    gateway.post(order)
    wait_until(lambda: gateway.lane("byron")["delivered"] == 1)
    books = byron.books()
    assert [one["same_body"] for one in books["replays"]] == [True]
    check_supplier(books, BYRON, [order])
    assert gateway.delivery()["reference"] == books["orders"][0]["id"]


@pytest.mark.plain  # it is about time and pace
def test_an_endpoint_that_is_down_is_tried_until_it_is_there(make_gateway):
    port = free_port()
    config = demo_config(f"http://127.0.0.1:{port}", endpoints={"byron": {
        "retry": QUICK_RETRY, "breaker": {"open": "200ms", "open_max": "400ms"}}})
    gateway = make_gateway(config)
    order = byron_orders()[0]
    gateway.post(order)
    wait_until(lambda: gateway.lane("byron")["retries"] >= 2)
    with Process("supplier", "--port", port, "--token", BYRON_TOKEN) as late:
        wait_until(lambda: gateway.lane("byron")["delivered"] == 1)
        check_supplier(late.books(), BYRON, [order])
    assert gateway.lane("byron")["unknowns"] == 0


# ---- no key: what is not known is asked for ----


def short_timeout(fault):
    """As short as a busy machine allows, where it is waited for; else nothing is to be late by the machine alone."""
    return {"timeout": {"first_byte": "800ms" if fault.startswith("hang") else "20s", "total": "40s"}}


@pytest.mark.parametrize("fault", [
    {"action": "cut_after"}, {"action": "cut_after", "how": "reset"}, {"action": "torn"},
    {"action": "garbage"}, {"action": "hang_after"}, {"action": "cut_late", "ms": 400},
], ids=lambda fault: "-".join(str(word) for word in fault.values()))
def test_without_a_key_what_arrived_although_its_answer_was_lost_is_found_and_not_doubled(lanes, nord, fault):
    gateway = lanes(nord_changes=short_timeout(fault["action"]))
    nord.fault(at="order", count=1, **fault)
    order = nord_orders()[0]
    gateway.post(order)
    wait_until(lambda: gateway.lane("nord")["delivered"] == 1)
    books = nord.books()
    assert books["requests"]["by_step"]["order"] == 1
    check_supplier(books, NORD, [order])
    delivery = gateway.delivery()
    assert delivery["reference"] == books["orders"][0]["id"]
    assert [one["state"] for one in delivery["moves"]] == ["ready", "inflight", "unknown", "delivered"]


@pytest.mark.parametrize("fault", ["cut_before", "reset", "hang"])
def test_without_a_key_what_did_not_arrive_is_sent_again_once_after_a_clear_no(lanes, nord, fault):
    gateway = lanes(nord_changes=short_timeout(fault))
    nord.fault(action=fault, at="order", count=1)
    order = nord_orders()[0]
    gateway.post(order)
    wait_until(lambda: gateway.lane("nord")["delivered"] == 1)
    books = nord.books()
    assert books["requests"]["by_step"]["order"] == 2
    check_supplier(books, NORD, [order])
    delivery = gateway.delivery()
    assert len({one["key"] for one in delivery["attempts"]}) == 1
    first, second = [one["at"] for one in books["requests"]["log"] if one["step"] == "order"]
    assert second - first >= 950  # confirm.settle: an earlier no is not believed
    moves = [(one["state"], one["who"]) for one in delivery["moves"]]
    assert ("waiting", "confirm") in moves


def test_a_burst_with_many_lost_answers_doubles_nothing(lanes, nord):
    gateway = lanes()
    nord.faults([{"action": "cut_after", "at": "order", "probability": 0.15, "seed": 4},
                 {"action": "cut_before", "at": "order", "probability": 0.1, "seed": 5},
                 {"action": "status", "status": 503, "at": "lookup", "probability": 0.3, "seed": 6}])
    orders = nord_orders(60)
    gateway.burst(orders)
    wait_until(lambda: gateway.settled(60), "the burst is over")
    books = nord.books()
    assert books["requests"]["faults"]["cut_after"] > 0 and books["requests"]["faults"]["cut_before"] > 0
    check_supplier(books, NORD, orders)


@pytest.mark.parametrize("decision", ["arrived", "release", "send-again"])
def test_a_lost_answer_that_nobody_can_ask_for_is_held_and_a_person_decides(lanes, nord, decision):
    gateway = lanes(nord_changes={"confirm": {"path": None, "settle": None, "after": "100ms"}})
    nord.fault(action="cut_after" if decision == "arrived" else "cut_before", at="order", count=1)
    order = nord_orders()[0]
    gateway.post(order)
    wait_until(lambda: gateway.states("nord").get("held") == 1)
    held = gateway.delivery(state="held")
    assert held["hold_type"] == "unknown-outcome"
    assert [one["name"] for one in held["detail"]["choices"]] == ["arrived", "send-again"]
    assert held["key"] in held["detail"]["choices"][1]["text"]
    shown = sluice("deliveries", "show", held["id"], "-c", gateway.file, env=gateway.env)
    assert re.search(r"send-again.*it is not at nord: the same request goes out again", shown.out, re.S)
    assert nord.books()["requests"]["total"] == 1
    gateway.cli("held", decision, held["id"])
    wait_until(lambda: gateway.states("nord") == {"delivered": 1})
    check_supplier(nord.books(), NORD, [order])
    assert len({one["key"] for one in gateway.delivery()["attempts"]}) == 1


# ---- the breaker ----


def test_a_breaker_opens_lets_nothing_be_burnt_meanwhile_and_closes_again(lanes, byron, alert_receiver):
    gateway = lanes({"breaker": {"min_calls": 5, "open": "2s", "open_max": "2s"}},
                    alerts={"url": alert_receiver.url, "repeat": "1s", "breaker_open": "0s"})
    byron.fault(action="status", at="order", status=500, id="broken")
    orders = byron_orders(12)
    for order in orders:
        gateway.post(order)
    wait_until(lambda: gateway.lane("byron")["breaker"] == "open")
    opened = gateway.lane("byron")["breaker_trips"]
    wait_until(lambda: gateway.lane("byron")["inflight"] == 0)
    before = byron.books()["requests"]["total"]
    stays(lambda: gateway.lane("byron")["breaker"] == "open", 0.8)
    if gateway.lane("byron")["breaker"] == "open" and gateway.lane("byron")["breaker_trips"] == opened:
        assert byron.books()["requests"]["total"] == before
    byron.clear_faults()
    wait_until(lambda: gateway.lane("byron")["delivered"] == 12)
    wait_until(lambda: gateway.lane("byron")["breaker"] == "closed")
    books = byron.books()
    check_supplier(books, BYRON, orders)
    burnt = [gateway.get(f"/v1/deliveries/{one['id']}")["attempts_burnt"] for one in gateway.deliveries()]
    assert sum(burnt) == books["requests"]["by_step"]["order"]
    # One alert that it opened, one that it is over; however often it was tried out in between.
    wait_until(lambda: alert_receiver.of("breaker-open", stands=False))
    assert len(alert_receiver.of("breaker-open", stands=True, endpoint="byron")) == 1


def test_what_waits_behind_an_open_breaker_survives_kill_9(lanes, byron):
    gateway = lanes()
    gateway.cli("endpoints", "trip", "byron", "--why", "they count their stock")
    orders = byron_orders(5)
    for order in orders:
        gateway.post(order)
    gateway.kill9()
    assert byron.books()["orders"] == []
    gateway.start()
    wait_until(lambda: gateway.states("byron").get("ready") == 5)
    assert gateway.lane("byron")["tripped"]["why"] == "they count their stock"
    assert gateway.lane("byron")["tripped"]["by"].startswith("uid ")
    assert byron.books()["orders"] == []
    gateway.cli("endpoints", "reset", "byron")
    wait_until(lambda: gateway.lane("byron")["delivered"] == 5)
    check_supplier(byron.books(), BYRON, orders)


# ---- parked endpoints ----


def test_a_401_parks_the_endpoint_with_one_alert_and_its_own_probe_resumes_it(lanes, byron, alert_receiver):
    gateway = lanes({"park": {"probe": "300ms"}}, alerts={"url": alert_receiver.url, "repeat": "1s"})
    byron.fault(action="status", at="order", status=401)
    orders = byron_orders(6)
    for order in orders:
        gateway.post(order)
    wait_until(lambda: gateway.lane("byron")["parked"])
    wait_until(lambda: alert_receiver.of("endpoint-parked", endpoint="byron", stands=True))
    wait_until(lambda: byron.books()["requests"]["by_status"].get("401", 0) >= 3)
    assert {one["attempts"] for one in gateway.deliveries()} == {0}
    byron.clear_faults()
    wait_until(lambda: gateway.lane("byron")["delivered"] == 6)
    assert not gateway.lane("byron")["parked"]
    check_supplier(byron.books(), BYRON, orders)
    wait_until(lambda: alert_receiver.of("endpoint-parked", stands=False))
    assert len(alert_receiver.of("endpoint-parked", stands=True)) == 1


def test_an_unpark_by_hand_does_not_wait_for_the_probe(lanes, byron):
    gateway = lanes({"park": {"probe": "1h"}})
    byron.fault(action="status", at="order", status=403, count=1)
    gateway.post(byron_orders()[0])
    wait_until(lambda: gateway.lane("byron")["parked"])
    assert gateway.api("POST", "/v1/endpoints/byron/unpark")[0] == 200
    wait_until(lambda: gateway.lane("byron")["delivered"] == 1)


# ---- order ----


def notes_at(books):
    """(order, note) in the order of their arrival."""
    return [(one["body"]["shop_order_id"], one["body"]["note"]) for one in books["orders"]]


def test_a_failing_update_holds_back_its_own_order_and_no_other(lanes, byron):
    everything = {"from": {"topic": ["orders/create", "orders/updated"]}, "once": "never"}
    config_routes = demo_config("http://x")["routes"]
    merge(config_routes[0], {**everything, "split": '{key: "Byron Gears", body: .}'})
    gateway = lanes({"submit": {"body": "{external_id: $delivery.key, shop_order_id: int64(.id), note, "
                                        'recipient: {name: "x"}, items: [{sku: "x", quantity: 1}]}'}},
                    routes=config_routes)
    factory = OrderFactory(seed=1)
    stuck, other = byron_orders(2)
    byron.fault(action="status", at="order", status=503, body_match=str(stuck.summary["id"]), id="stuck")
    for times in range(3):
        for order in (stuck, other):
            version = factory.updated(order, times) if times else order
            assert gateway.post(version, topic="orders/updated" if times else "orders/create") == 200
    wait_until(lambda: gateway.lane("byron")["delivered"] == 3)
    assert {one[0] for one in notes_at(byron.books())} == {other.summary["id"]}
    byron.clear_faults()
    wait_until(lambda: gateway.lane("byron")["delivered"] == 6)
    arrived = notes_at(byron.books())
    for order in (stuck, other):
        mine = [note for shop_id, note in arrived if shop_id == order.summary["id"]]
        assert mine == [order.summary["note"], "change no. 1", "change no. 2"]


def test_critical_work_passes_low_work_that_was_there_before(lanes, byron):
    routes = demo_config("http://x")["routes"]
    low = copy.deepcopy(routes[0])
    low.update({"name": "low", "priority": "low", "from": {"endpoint": "acme-shop", "topic": "orders/updated"}})
    gateway = lanes({"concurrency": 1}, routes=[*routes, low])
    gateway.api("POST", "/v1/endpoints/byron/trip")
    orders = byron_orders(9)
    for order in orders[:6]:
        gateway.post(order, topic="orders/updated")
    wait_until(lambda: gateway.lane("byron")["ready"] == 6)
    for order in orders[6:]:
        gateway.post(order)
    wait_until(lambda: gateway.lane("byron")["ready"] == 9)
    gateway.api("POST", "/v1/endpoints/byron/reset")
    wait_until(lambda: gateway.lane("byron")["delivered"] == 9)
    arrived = [one["body"]["shop_order_id"] for one in byron.books()["orders"]]
    assert set(arrived[:3]) == {order.summary["id"] for order in orders[6:]}
    assert set(arrived[3:]) == {order.summary["id"] for order in orders[:6]}


# ---- giving up ----


@pytest.mark.plain  # it is about time and pace
def test_after_max_attempts_it_is_a_dead_letter_and_many_make_one_alert(lanes, byron, alert_receiver):
    gateway = lanes({"retry": {**QUICK_RETRY, "max_attempts": 3}},
                    alerts={"url": alert_receiver.url, "repeat": "1h"})
    byron.fault(action="status", at="order", status=500)
    orders = byron_orders(3)
    for order in orders:
        gateway.post(order)
    wait_until(lambda: gateway.states().get("dead") == 3)
    assert byron.books()["requests"]["by_step"]["order"] == 9
    assert {one["attempts"] for one in gateway.deliveries()} == {3}
    assert all("given up after 3 attempts" in one["reason"] for one in gateway.deliveries())
    first = wait_until(lambda: alert_receiver.of("dead-letter"))[0]
    assert first["endpoint"] == "byron" and first["owner"] == "fulfilment-team"
    assert first["delivery"] in {one["id"] for one in gateway.deliveries()}
    assert stays(lambda: len(alert_receiver.of("dead-letter")) == 1, 0.3)
    assert [one["count"] for one in gateway.alerts() if one["alert"] == "dead-letter"] == [3]

    byron.clear_faults()
    gateway.decide("replay", *[one["id"] for one in gateway.deliveries(state="dead")])
    wait_until(lambda: gateway.lane("byron")["delivered"] == 3)
    check_supplier(byron.books(), BYRON, orders)


@pytest.mark.plain  # it is about time and pace
def test_a_held_delivery_is_told_to_the_route_s_owner(lanes, alert_receiver, byron):
    config = demo_config("http://x")
    route(config, "order-to-supplier")["hold"] = {"type": "fraud"}
    gateway = lanes(routes=config["routes"], alerts={"url": alert_receiver.url, "repeat": "1s"})
    gateway.post(byron_orders()[0])
    told = wait_until(lambda: alert_receiver.of("held"))[0]
    assert told["owner"] == "fulfilment-team" and told["route"] == "order-to-supplier"
    gateway.decide("reject", gateway.delivery(state="held")["id"], why="stolen card")
    wait_until(lambda: gateway.states() == {"dead": 1})
    assert gateway.delivery()["reason"] == "stolen card"
    assert byron.books()["requests"]["total"] == 0
    wait_until(lambda: alert_receiver.of("held", stands=False))  # nobody has to come any more
    wait_until(lambda: not gateway.alerts())  # what was over longer ago than `repeat` is no news
