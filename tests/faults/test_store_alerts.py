"""What happens to the store without anybody asking is told: `store-failed` and `store-damaged` reach the receiver
of alerts, `sluice status` and the API."""

import pytest

from faults.test_disk import LOG, ready_status, traced  # noqa: F401 (a fixture)
from flow.harness import byron_orders, check_supplier, demo_config, sluice, wait_until
from sandbox.orders import BYRON


def alerts_named(gateway, kind):
    return [one for one in gateway.alerts() if one["alert"] == kind]


def told_everywhere(gateway, receiver, kind, text):
    """Within seconds, once, and in the same words wherever one looks."""
    wait_until(lambda: receiver.of(kind), f"{kind} is posted")
    listed = alerts_named(gateway, kind)
    assert len(listed) == 1 and text in listed[0]["text"], listed
    assert [one["text"] for one in receiver.of(kind)] == [listed[0]["text"]]
    shown = sluice("status", "-c", gateway.file, env=gateway.env)
    assert kind in shown.out and text in shown.out, shown
    assert gateway.log().count(f"alert: {kind}") == 1


@pytest.mark.fault("F3")
def test_a_store_that_failed_is_an_alert_until_the_restart(traced, byron, alert_receiver):  # noqa: F811
    traced.config["alerts"] = {"url": alert_receiver.url}
    traced.write()
    traced.inject, traced.only = "error=EIO:when=5+", LOG
    traced.start()
    assert not alerts_named(traced, "store-failed")
    orders, taken = byron_orders(40, seed=52), 0
    while taken < len(orders) and traced.post(orders[taken]) == 200:
        taken += 1
    assert taken < len(orders), "no sync failed"
    told_everywhere(traced, alert_receiver, "store-failed", "nothing more is acknowledged until a restart")
    assert ready_status(traced) == 503
    wait_until(lambda: alert_receiver.of("intake-refusing"))  # what the senders met is told apart
    traced.kill9()
    traced.inject = None
    traced.start()
    assert not alerts_named(traced, "store-failed") and ready_status(traced) == 200
    assert traced.post(orders[-1]) == 200
    traced.stop()
    assert len(alert_receiver.of("store-failed")) == 1


@pytest.mark.fault("F25")
def test_a_record_that_rots_under_a_running_gateway_is_an_alert_and_costs_its_own_body(make_gateway, byron,
                                                                                       alert_receiver):
    """A bit flips on the disk; nothing is noticed until somebody reads it, and then it is said, not shown."""
    gateway = make_gateway(demo_config(byron.url, alerts={"url": alert_receiver.url},
                                       endpoints={"byron": {"rate": {"per_second": 1000}}}))
    orders = byron_orders(5, seed=53)
    for order in orders:
        assert gateway.post(order) == 200
    wait_until(lambda: gateway.settled(5))
    segment = gateway.folder / "state" / LOG
    place = segment.read_bytes().index(orders[2].body) + len(orders[2].body) // 2
    with open(segment, "r+b") as file:
        file.seek(place)
        byte = file.read(1)[0]
        file.seek(place)
        file.write(bytes([byte ^ 0x10]))
    assert not alerts_named(gateway, "store-damaged")

    webhooks = sorted((one["id"] for one in gateway.get("/v1/events", limit=100) if one["topic"] == "orders/create"),
                      key=int)
    shown = [gateway.cli("events", "show", one, ok=False) for one in webhooks]
    assert [bool(one.json.get("body")) for one in shown] == [True, True, False, True, True], shown
    told_everywhere(gateway, alert_receiver, "store-damaged", "1 records of the log cannot be read")
    assert ready_status(gateway) == 200  # one record does not stop the shop
    more = byron_orders(8, seed=53)[5:]
    for order in more:
        assert gateway.post(order) == 200
    wait_until(lambda: gateway.settled(8))
    check_supplier(byron.books(), BYRON, orders + more)
    gateway.stop()
    found = gateway.cli("db", "check", ok=False)
    assert found.code == 1 and any(one["file"] == LOG for one in found.json["findings"]), found
