"""Stock is kept in Salesforce: what changes there becomes an event here, once, whatever ends the gateway meanwhile."""

import os

import time

import pytest

from flow.harness import http_endpoint, merge, messages, sluice, stays, wait_until

pytestmark = pytest.mark.plain  # tests/unit/flow/test_flow_feeds.c has its course

FEED = {"kind": "stock", "every": "1s", "available": "Stock__c"}


def stock_config(crm, desk, feed=None, to=None):
    return {
        "endpoints": {
            "crm": {"adapter": "salesforce", "instance": crm.url, "feeds": {"stock": merge(dict(FEED), feed or {})},
                    "auth": {"client_id": "3MVG9sandbox-consumer-key", "username": "integration@example.com",
                             "key": {"env": "DEMO_CRM_KEY"}},
                    "poll": {"first": "50ms", "cap": "200ms"}},
            "desk": http_endpoint(desk)},
        "routes": [{"name": "stock-to-shop", "from": {"endpoint": "crm", "topic": "stock/changed"},
                    "to": to or {"endpoint": "desk", "action": "request.send", "path": "/stock"}}]}


def put(crm, *numbers, stock):
    """Products with this stock; again: another stock."""
    return crm.call("POST", "records", [
        {"object": "Product2", "key": "Ext__c",
         "fields": {"Ext__c": f"p{n}", "Name": f"Gear {n}", "StockKeepingUnit": f"SKU-{n}", "Stock__c": stock}}
        for n in numbers])


def at_desk(desk):
    """{sku: [quantity, ...]} in the order they came, each message once"""
    found = {}
    for one in messages(desk):
        found.setdefault(one["sku"], []).append(one["available"])
    return found


def feed(gateway):
    return gateway.get("/v1/feeds")[0]


def events(gateway):
    return gateway.status()["summary"]["events"]


@pytest.fixture
def start(make_gateway, crm, desk):
    def make(feed=None, to=None):
        return make_gateway(stock_config(crm, desk, feed, to), {"DEMO_CRM_KEY": crm.private_key})

    return make


def test_a_change_becomes_an_event_once(start, crm, desk):
    put(crm, 1, 2, 3, stock=5)
    gateway = start()
    wait_until(lambda: at_desk(desk) == {"SKU-1": [5], "SKU-2": [5], "SKU-3": [5]}, "what is there at first")
    put(crm, 2, stock=4)
    wait_until(lambda: at_desk(desk)["SKU-2"] == [5, 4], "a change")
    runs = feed(gateway)["runs"]
    wait_until(lambda: feed(gateway)["runs"] >= runs + 3)  # each reads the same minutes again
    assert at_desk(desk) == {"SKU-1": [5], "SKU-2": [5, 4], "SKU-3": [5]}
    assert events(gateway) == 4
    one = next(one for one in messages(desk) if one["sku"] == "SKU-1")
    assert one["location"] is None and one["object"] == "Product2" and one["id"].startswith("01t")
    assert gateway.deliveries()[0]["subject"] == f"salesforce:Product2/{gateway.deliveries()[0]['subject'][-18:]}"

    # A restart goes on from where it was.
    gateway.restart()
    put(crm, 3, stock=0)
    wait_until(lambda: at_desk(desk)["SKU-3"] == [5, 0])
    assert events(gateway) == 5


def test_a_feed_that_is_not_due_after_a_restart_was_polled_all_the_same(start, crm):
    put(crm, 1, stock=5)
    gateway = start({"every": "1h"})
    wait_until(lambda: feed(gateway)["runs"] == 1 and not feed(gateway)["running"])
    gateway.restart()
    one = feed(gateway)
    assert one["cursor_at"] and not one["last_good_at"]  # how far it came is stored, not how that poll ended
    assert sluice("feeds", "-c", gateway.file, env=gateway.env).out.rstrip().endswith("not polled since the start")


def test_a_feed_says_how_it_stands_and_is_polled_by_hand(start, crm, desk):
    put(crm, 1, stock=5)
    gateway = start({"every": "1h"})
    wait_until(lambda: feed(gateway)["runs"] == 1)
    put(crm, 1, 2, stock=6)
    assert stays(lambda: events(gateway) == 1, 1.5)
    done = gateway.cli("poll", "crm", "stock")
    assert done.json["last_rows"] == 2 and "crm stock: 2 new, " in done.err
    wait_until(lambda: at_desk(desk) == {"SKU-1": [5, 6], "SKU-2": [6]})
    for command in ("feeds", "status"):
        shown = next(line for line in sluice(command, "-c", gateway.file, env=gateway.env).out.splitlines()
                     if line.startswith("crm stock"))
        assert shown.split()[2:4] == ["stock", "3"] and shown.endswith("  ok")
    one = feed(gateway)
    assert one["rows"] == 3 and one["cursor_at"] and one["next_at"] and not one["error"]
    assert gateway.cli("endpoints", "list").json[0]["feeds"] == [feed(gateway)]
    assert gateway.metrics()['sluice_feed_rows_total{endpoint="crm",feed="stock"}'] == 3

    # It fails: the reason, and the alert of its owner after three of them.
    crm.fault(action="status", at="query", status=500)
    for _ in range(3):
        done = gateway.cli("poll", "crm", "stock", ok=False)
        assert done.code == 1 and "crm stock: failed: " in done.err
    wait_until(lambda: any(one["alert"] == "feed-failing" for one in gateway.alerts()))
    crm.clear_faults()
    gateway.cli("poll", "crm", "stock")
    wait_until(lambda: not any(one["alert"] == "feed-failing" and one["stands"] for one in gateway.alerts()))

    gateway.cli("endpoints", "pause", "crm")
    done = gateway.cli("poll", "crm", "stock", ok=False)
    assert done.code == 5 and "its endpoint is paused" in done.err
    assert gateway.cli("poll", "crm", "stok", ok=False).code == 4


def pages(crm):
    return crm.call("GET", "books?brief=1")["requests"]["by_step"].get("query-results", 0)


def test_kill_9_in_the_middle_of_a_page_neither_skips_nor_doubles(start, crm, desk):
    """What the next process knows already was durable at the kill. Too early or too late: another time."""
    count, total, delay_s, known = 6000, 0, 0.03, 0
    gateway = start({"every": "1s"}, to={"drop": True})
    wait_until(lambda: feed(gateway)["runs"] >= 1)
    for turn in range(12):
        before = pages(crm)
        put(crm, *range(count), stock=turn)
        wait_until(lambda: pages(crm) > before, "a page of them", every=0.002)
        time.sleep(delay_s)
        gateway.kill9()
        gateway.start()
        wait_until(lambda: feed(gateway)["runs"] >= 1, "it goes through the second time", every=0.005)
        known, total = feed(gateway)["known"], total + count
        assert events(gateway) == total
        if 0 < known < count:
            break
        delay_s = delay_s * 1.5 if known == 0 else delay_s / 1.7
    assert 0 < known < count, "it was never killed in the middle"
    runs = feed(gateway)["runs"]
    wait_until(lambda: feed(gateway)["runs"] > runs)
    assert events(gateway) == total and feed(gateway)["known"] == known + count


@pytest.mark.slow
def test_twenty_thousand_rows_are_paged_in_bounded_memory(start, crm, desk):
    count = 20_000
    for first in range(0, count, 5000):
        put(crm, *range(first, first + 5000), stock=7)
    gateway = start({"every": "1h"}, to={"drop": True})

    def peak_kb():
        text = open(f"/proc/{gateway.process.pid}/status").read()
        return int(text.split("VmHWM:")[1].split()[0])

    before = peak_kb()
    wait_until(lambda: feed(gateway)["runs"] == 1, "all are read", seconds=120)
    one = feed(gateway)
    assert not one["error"] and one["rows"] == count
    wait_until(lambda: events(gateway) == count)
    # A page of 10,000 rows is read at a time, and 500 rows are held at once: about 10 MB.
    if "ASAN_OPTIONS" not in os.environ:  # a sanitizer keeps what was freed
        assert peak_kb() - before < 40_000, f"{before} -> {peak_kb()} kB"
