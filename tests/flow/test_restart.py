"""What a gateway remembers: kill -9 and SIGTERM at bad moments, and changed configurations."""

import re
import signal
import threading

import pytest

from flow.harness import (byron_orders, check_supplier, demo_config, merge, nord_orders, orders_of, route,
                          wait_until)
from sandbox.client import request
from sandbox.orders import BYRON, NORD, UNMAPPED, OrderFactory


@pytest.fixture
def quick(make_gateway, byron, nord):
    """Both suppliers; retries and questions come soon, breakers keep out of the way."""
    config = demo_config(byron.url, nord.url)
    for endpoint in ("byron", "nord"):
        merge(config["endpoints"][endpoint], {"retry": {"first": "50ms", "cap": "300ms"},
                                              "breaker": {"min_calls": 1000}})
    merge(config["endpoints"]["nord"], {"confirm": {"after": "100ms"}})
    return make_gateway(config)


def burst_in_background(gateway, orders):
    """(thread, what it will hold): the shop sends on, whatever becomes of the gateway."""
    result = {}

    def go():
        result["numbers"], result["books"] = gateway.burst(orders, duplicates=0.05)

    thread = threading.Thread(target=go)
    thread.start()
    return thread, result


@pytest.mark.fault("F1")
def test_kill_9_in_the_middle_of_a_burst_loses_nothing_and_doubles_nothing(quick, byron, nord):
    orders = [one for one in OrderFactory(seed=8).orders(200) if not one.summary["unmapped"]]
    nord.fault(action="cut_after", at="order", probability=0.1, seed=1)
    thread, result = burst_in_background(quick, orders)
    for part in (4, 2):  # at about a quarter, and at half of what is to come in
        wait_until(lambda: quick.status()["summary"]["events"] >= len(orders) // part)
        quick.kill9()
        quick.start()
    thread.join()
    assert result["books"]["final"].keys() == {"delivered"}  # the shop kept at it until it was taken
    wait_until(lambda: quick.settled(len(orders)), "everything is delivered")
    check_supplier(byron.books(), BYRON, orders)
    check_supplier(nord.books(), NORD, orders)


@pytest.mark.fault("F1")
def test_kill_9_between_sending_and_the_answer_asks_before_anything_is_sent_again(quick, nord):
    nord.fault(action="slow", at="order", ms=600, count=3)  # acts after 600 ms: the gateway is dead by then
    orders = nord_orders(3)
    for order in orders:
        quick.post(order)
    wait_until(lambda: nord.books()["requests"]["by_step"].get("order", 0) == 3)
    quick.kill9()
    wait_until(lambda: len(nord.books()["orders"]) == 3)
    quick.start()
    wait_until(lambda: quick.settled(3))
    books = nord.books()
    assert books["requests"]["by_step"]["order"] == 3
    check_supplier(books, NORD, orders)
    assert all("process ended" in move["reason"] for one in quick.deliveries()
               for move in quick.get(f"/v1/deliveries/{one['id']}")["moves"] if move["state"] == "unknown")


@pytest.mark.fault("F26")
def test_sigterm_in_the_middle_of_a_burst_drains_ends_with_0_and_the_next_start_goes_on(quick, byron, nord):
    orders = [one for one in OrderFactory(seed=9).orders(200) if not one.summary["unmapped"]]
    thread, result = burst_in_background(quick, orders)
    wait_until(lambda: quick.status()["summary"]["events"] >= 60)
    quick.restart()  # stop() asserts the exit code and a clean end
    thread.join()
    assert result["books"]["final"].keys() == {"delivered"}
    wait_until(lambda: quick.settled(len(orders)))
    check_supplier(byron.books(), BYRON, orders)
    check_supplier(nord.books(), NORD, orders)


@pytest.mark.fault("F26")
def test_sigterm_waits_for_what_is_under_way(quick, nord):
    nord.fault(action="slow", at="order", ms=800, count=1)
    order = nord_orders()[0]
    quick.post(order)
    wait_until(lambda: nord.books()["requests"]["by_step"].get("order"))
    quick.stop()
    quick.start()
    assert quick.delivery()["state"] == "delivered"
    assert [one["state"] for one in quick.delivery()["moves"]] == ["ready", "inflight", "delivered"]


@pytest.mark.fault("F26")
def test_readiness_says_no_while_it_drains(quick, nord):
    nord.fault(action="hang", at="order", count=1)
    quick.post(nord_orders()[0])
    wait_until(lambda: nord.books()["requests"]["by_step"].get("order"))
    quick.process.send_signal(signal.SIGTERM)

    def says_no():
        try:
            return request(quick.admin_url, "GET", "/readyz")[0] != 200
        except OSError:
            return not quick.running

    wait_until(says_no)
    quick.wait()


def test_what_is_held_waiting_or_unknown_is_so_after_a_restart(quick, byron, nord):
    held, waiting, unknown = orders_of(UNMAPPED)[0], byron_orders()[0], nord_orders()[0]
    byron.fault(action="status", at="order", status=503, id="down")
    nord.fault(action="cut_after", at="order", count=1)
    nord.fault(action="status", at="lookup", status=503)
    for order in (held, waiting, unknown):
        quick.post(order)
    wait_until(lambda: quick.states().get("held") == 1 and quick.states("nord").get("unknown") == 1
               and any(one["attempts"] >= 2 for one in quick.deliveries(endpoint="byron")))
    before = quick.delivery(endpoint="byron")
    quick.restart()
    assert quick.delivery(state="held")["hold_type"] == "unmapped-vendor"
    assert quick.states("nord") == {"unknown": 1}
    after = quick.delivery(endpoint="byron")
    assert after["attempts_burnt"] >= before["attempts_burnt"] and after["key"] == before["key"]

    byron.clear_faults()
    nord.clear_faults()
    wait_until(lambda: quick.settled(3))
    check_supplier(byron.books(), BYRON, [waiting])
    check_supplier(nord.books(), NORD, [unknown])
    assert nord.books()["requests"]["by_step"]["order"] == 1
    assert quick.states().get("held") == 1


def test_the_retry_s_wait_is_kept_over_a_restart(make_gateway, byron):
    config = demo_config(byron.url, endpoints={"byron": {"retry": {"first": "1h", "cap": "1h"}}})
    gateway = make_gateway(config)
    byron.fault(action="status", at="order", status=503, headers={"Retry-After": "1800"}, count=1)
    gateway.post(byron_orders()[0])
    wait_until(lambda: gateway.states() == {"waiting": 1})
    before = gateway.delivery()["next_at"]
    gateway.restart()
    assert gateway.delivery()["next_at"] == before
    assert byron.books()["requests"]["by_step"]["order"] == 1


def test_duplicates_are_known_after_kill_9(quick, byron):
    order = byron_orders()[0]
    quick.post(order, webhook_id="one-and-the-same")
    quick.kill9()
    quick.start()
    assert quick.post(order, webhook_id="one-and-the-same") == 200
    assert quick.intake("duplicates") == 1
    wait_until(lambda: quick.settled(1))
    check_supplier(byron.books(), BYRON, [order])


# ---- configurations that changed meanwhile ----


def test_deliveries_of_a_removed_route_are_held_as_orphaned_and_nothing_is_sent(quick, byron):
    quick.api("POST", "/v1/endpoints/byron/trip")
    for order in byron_orders(3):
        quick.post(order)
    wait_until(lambda: quick.states("byron").get("ready") == 3)
    quick.stop()
    route(quick.config, "order-to-supplier")["name"] = "another"
    quick.write()
    quick.start()
    wait_until(lambda: quick.states("byron") == {"held": 3})
    assert {one["hold_type"] for one in quick.deliveries()} == {"orphaned"}
    assert byron.books()["requests"]["total"] == 0

    # With the route back a person lets them go.
    quick.stop()
    route(quick.config, "another")["name"] = "order-to-supplier"
    quick.write()
    quick.start()
    quick.decide("release", *[one["id"] for one in quick.deliveries(state="held")])
    quick.api("POST", "/v1/endpoints/byron/reset")  # opened by hand, it is open until somebody closes it
    wait_until(lambda: quick.states("byron") == {"delivered": 3})
    check_supplier(byron.books(), BYRON, byron_orders(3))


def test_deliveries_of_a_removed_endpoint_are_held_as_orphaned(quick, byron, nord):
    quick.api("POST", "/v1/endpoints/byron/trip")
    quick.post(byron_orders()[0])
    wait_until(lambda: quick.states("byron").get("ready") == 1)
    quick.stop()
    del quick.config["endpoints"]["byron"]
    del route(quick.config, "order-to-supplier")["to"]["cases"][BYRON]
    quick.write()
    quick.start()
    wait_until(lambda: quick.states("byron") == {"held": 1})
    assert quick.delivery(state="held")["hold_type"] == "orphaned"
    quick.post(nord_orders()[0])
    wait_until(lambda: quick.lane("nord")["delivered"] == 1)
    assert byron.books()["requests"]["total"] == 0


def test_a_mistake_in_the_configuration_ends_the_start_with_3_and_its_place(make_gateway, byron):
    gateway = make_gateway(demo_config(byron.url), start=False)
    text = gateway.file.read_text().replace("per_second", "per_secnd")
    gateway.file.write_text(text)
    line = next(at for at, one in enumerate(text.splitlines(), 1) if "per_secnd" in one)
    column = text.splitlines()[line - 1].index("per_secnd") + 1
    gateway.launch()
    assert gateway.wait() == 3
    told = gateway.log()
    assert f"{gateway.file}:{line}:{column}: " in told
    assert re.search(r'unknown key "per_secnd"; did you mean "per_second"\?', told)
    assert not (gateway.folder / "state").exists()


def test_a_port_that_is_taken_ends_the_start_with_1_and_says_which(quick, make_gateway, byron):
    second = make_gateway(demo_config(byron.url), start=False)
    second.port = quick.port
    second.write()
    second.launch()
    assert second.wait() == 1
    assert f"127.0.0.1:{quick.port}" in second.log() and "in use" in second.log()


def test_a_second_gateway_on_the_same_store_is_refused(quick, make_gateway, byron):
    second = make_gateway(demo_config(byron.url), start=False)
    second.config["store"]["path"] = str(quick.folder / "state")
    second.file.write_text(second.file.read_text().replace("path: state", f"path: {quick.folder}/state"))
    second.launch()
    assert second.wait() == 1
    assert quick.post(byron_orders()[0]) == 200
