"""A backup made while it serves; the machine dies; what is restored sends nothing by itself."""

import json
import threading

import pytest

from flow.harness import (byron_orders, check_supplier, demo_config, merge, nord_orders, orders_of, route, sluice,
                          stays, wait_until)
from sandbox.orders import BYRON, NORD, UNMAPPED, OrderFactory

pytestmark = pytest.mark.plain  # tests/unit/store and tests/crash have its course


@pytest.fixture
def gateway(make_gateway, byron, nord):
    """Both suppliers; retries and questions come soon, breakers keep out of the way."""
    config = demo_config(byron.url, nord.url)
    for endpoint in ("byron", "nord"):
        merge(config["endpoints"][endpoint], {"retry": {"first": "50ms", "cap": "300ms"},
                                              "breaker": {"min_calls": 1000}})
    merge(config["endpoints"]["nord"], {"confirm": {"after": "100ms", "settle": "100ms"}})
    return make_gateway(config)


def sent(*suppliers):
    return [one.books()["requests"]["by_step"].get("order", 0) for one in suppliers]


def by_type(gateway):
    """{hold type: how many}"""
    found = {}
    for one in gateway.deliveries(state="held"):
        found[one["hold_type"]] = found.get(one["hold_type"], 0) + 1
    return found


@pytest.mark.slow
def test_a_backup_under_load_the_machine_dies_and_what_is_restored_sends_nothing_by_itself(gateway, byron, nord,
                                                                                         tmp_path):
    folder = tmp_path / "backup"
    done, failing, held = byron_orders(1, seed=31)[0], byron_orders(3, seed=32), orders_of(UNMAPPED, seed=33)[0]
    arrived, lost = nord_orders(2, seed=34)
    gateway.post(done, webhook_id="before-the-backup")
    wait_until(lambda: gateway.states("byron") == {"delivered": 1})
    nord.fault(action="cut_after", at="order", count=1)
    nord.fault(action="status", at="lookup", status=503, id="dumb")
    gateway.post(arrived)
    wait_until(lambda: gateway.states("nord").get("unknown") == 1)
    nord.fault(action="cut_before", at="order", count=1)
    gateway.post(lost)
    wait_until(lambda: gateway.states("nord").get("unknown") == 2)
    byron.fault(action="status", at="order", status=503, id="down")
    for order in (*failing, held):
        gateway.post(order)
    wait_until(lambda: gateway.states("byron").get("waiting") == 3 and gateway.states().get("held") == 1)

    flood = [one for one in OrderFactory(seed=35).orders(150) if not one.summary["unmapped"]]
    thread = threading.Thread(target=gateway.burst, args=(flood,))
    thread.start()
    wait_until(lambda: gateway.status()["summary"]["events"] > 40)
    acknowledged = gateway.status()["summary"]["events"]
    told = gateway.cli("db", "backup", folder).json
    thread.join()
    assert told["state"] == "done" and told["last"] >= acknowledged and told["error"] is None
    assert json.loads((folder / "backup.json").read_text())["last"] == told["last"]
    assert gateway.get("/v1/backup")["folder"] == str(folder)
    checked = sluice("db", "check", "--store", folder, "--json")
    assert checked.code == 0 and checked.json["compared"]

    # It lives on: all is sent, and one more that no backup has. Then the machine dies.
    byron.clear_faults()
    later = byron_orders(1, seed=36)[0]
    gateway.post(later)
    wait_until(lambda: not {"ready", "waiting", "inflight"} & set(gateway.states()))
    assert gateway.cli("db", "restore", folder, "--replace", ok=False).code == 5  # it runs
    gateway.kill9()
    assert gateway.cli("db", "restore", folder, ok=False).code == 5  # there is a store
    restored = gateway.cli("db", "restore", folder, "--replace").json
    assert restored["held"] >= 3 and restored["unknown"] >= 2 and restored["held_before"] == 1
    nord.clear_faults()
    before = sent(byron, nord)
    gateway.start()

    # Nothing goes out; what was under way is asked for.
    wait_until(lambda: gateway.settled())
    assert stays(lambda: sent(byron, nord) == before, 0.5)
    types = by_type(gateway)
    assert types.pop("unmapped-vendor") == 1 and set(types) <= {"restored", "unknown-outcome"}
    assert types["restored"] >= 4  # those that failed, and the lost one, now that the remote says so
    assert gateway.states("nord").get("delivered", 0) >= 1
    assert gateway.delivery(subject=subject(gateway, lost))["state"] == "held"
    assert "restored" in gateway.delivery(state="held", hold_type="unmapped-vendor")["reason"]

    # New webhooks flow; a person lets the rest go, and byron knows their keys.
    fresh = byron_orders(1, seed=37)[0]
    assert gateway.post(fresh) == 200
    wait_until(lambda: fresh.summary["id"] in {one["body"]["shop_order_id"] for one in byron.books()["orders"]})
    assert gateway.post(done, webhook_id="before-the-backup") == 200
    assert gateway.intake("duplicates") == 1
    nord_before = sent(nord)
    lost_id = gateway.delivery(subject=subject(gateway, lost))["id"]
    gateway.cli("held", "release", lost_id)
    gateway.cli("held", "release", "--all", "--type", "restored", "--endpoint", "byron")
    wait_until(lambda: gateway.settled() and not gateway.deliveries(state="held", endpoint="byron",
                                                                    hold_type="restored"))
    assert sent(nord)[0] == nord_before[0] + 1
    books = byron.books()
    assert books["doubles"] == {}
    ids = [one["body"]["shop_order_id"] for one in books["orders"]]
    assert len(ids) == len(set(ids)) and {one.summary["id"] for one in (*failing, done, later, fresh)} <= set(ids)

    # A restart holds nothing again.
    gateway.restart()
    assert not gateway.deliveries(state="held", endpoint="byron", hold_type="restored")


def subject(gateway, order):
    return next(one["subject"] for one in gateway.get("/v1/events", limit=1000)
                if one["subject"].endswith(f"/{order.id}"))


def test_events_that_were_not_routed_yet_are_held_when_they_are_routed_after_the_restore(make_gateway, byron,
                                                                                          tmp_path):
    config = demo_config(byron.url, workers={"count": 1, "deadline": "5m"})
    split = route(config, "order-to-supplier")["split"]
    route(config, "order-to-supplier")["split"] = "[range(0; 1e12)] | .[]"
    gateway = make_gateway(config)
    orders = byron_orders(3, seed=41)
    for order in orders:
        assert gateway.post(order) == 200
    gateway.cli("db", "backup", tmp_path / "backup")
    gateway.kill9()
    restored = gateway.cli("db", "restore", tmp_path / "backup", "--replace").json
    assert restored["unrouted"] == 3 and restored["held"] == 0
    route(gateway.config, "order-to-supplier")["split"] = split
    gateway.write()
    gateway.start()
    wait_until(lambda: gateway.states("byron") == {"held": 3})
    assert by_type(gateway) == {"restored": 3} and sent(byron) == [0]
    new = byron_orders(1, seed=42)[0]
    gateway.post(new)
    wait_until(lambda: gateway.states("byron") == {"held": 3, "delivered": 1})
    gateway.cli("held", "release", "--all", "--type", "restored")
    wait_until(lambda: gateway.states("byron") == {"delivered": 4})
    check_supplier(byron.books(), BYRON, [*orders, new])


def test_a_store_that_nobody_has_open_is_backed_up_by_the_command_itself(make_gateway, byron, tmp_path):
    gateway = make_gateway(demo_config(byron.url))
    order = byron_orders(1, seed=43)[0]
    gateway.post(order)
    wait_until(lambda: gateway.settled(1))
    gateway.stop()
    told = gateway.cli("db", "backup", tmp_path / "backup").json
    assert told["state"] == "done" and told["first"] == 1
    again = gateway.cli("db", "backup", tmp_path / "backup", ok=False)
    assert again.code == 1 and "not an empty folder" in again.err
    new = tmp_path / "elsewhere"
    done = sluice("db", "restore", tmp_path / "backup", "--store", new)
    assert done.code == 0 and "held" in done.out and (new / "log").is_dir()


def test_what_is_wrong_with_a_backup_is_said(gateway, tmp_path):
    done = gateway.cli("db", "backup", tmp_path / "no" / "folder", ok=False)
    assert done.code == 1 and "does not exist" in done.json["error"]
    assert gateway.api("POST", "/v1/backup", {"folder": "relative"})[0] == 400
    assert gateway.api("POST", "/v1/backup", {})[0] == 400
    (tmp_path / "empty").mkdir()
    done = sluice("db", "restore", tmp_path / "empty", "--store", tmp_path / "new")
    assert done.code == 4 and "it is no backup" in done.err
    gateway.cli("db", "backup", tmp_path / "backup")
    segment = next((tmp_path / "backup" / "log").glob("*.seg"))
    segment.write_bytes(segment.read_bytes()[:-1] + b"x")
    for command in (["restore", tmp_path / "backup", "--store", tmp_path / "new"],
                    ["check", "--store", tmp_path / "backup"]):
        done = sluice("db", *command)
        assert done.code == 1 and "SHA-256" in done.err
    assert not (tmp_path / "new").exists()


def test_what_follows_from_a_delivery_of_the_lost_time_is_held_too(gateway, byron, nord, tmp_path):
    """After the restore the remote says that it had arrived: what the adapter reports then was passed on before."""
    gateway.config["routes"].append({"name": "accepted-to-byron", "owner": "ops", "map": "{note: \"accepted\"}",
                                     "from": {"endpoint": "nord", "topic": "supplier/accepted"},
                                     "to": {"endpoint": "byron", "action": "order.submit"}})
    gateway.write()
    gateway.restart()
    order, = nord_orders(1, seed=51)
    nord.fault(action="cut_after", at="order", count=1)
    nord.fault(action="status", at="lookup", status=503, id="dumb")
    gateway.post(order)
    wait_until(lambda: gateway.states("nord").get("unknown") == 1)
    gateway.cli("db", "backup", tmp_path / "backup")
    nord.clear_faults()
    wait_until(lambda: gateway.deliveries(route="accepted-to-byron"), "the supplier's answer is passed on")
    gateway.kill9()
    gateway.cli("db", "restore", tmp_path / "backup", "--replace")
    before = sent(byron, nord)
    gateway.start()
    wait_until(lambda: gateway.states("nord") == {"delivered": 1})
    wait_until(lambda: gateway.states("byron") == {"held": 1})
    assert by_type(gateway) == {"restored": 1} and stays(lambda: sent(byron, nord) == before, 0.3)
