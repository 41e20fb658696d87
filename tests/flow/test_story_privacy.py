"""A customer wants to know what is held of her, and then to be forgotten; the shop goes, and with it all that it said.
"""

import json
import pathlib
import stat

import pytest

from flow.harness import QUICK, SHOP, byron_orders, demo_config, http_endpoint, merge, route, sluice, stays, wait_until

pytestmark = pytest.mark.plain  # tests/unit/store/test_privacy.c and tests/unit/flow/test_privacy.c have its course


def customer_of(order):
    """What the compliance topics say of who ordered."""
    customer = order.document["customer"]
    return {"id": customer["id"], "email": order.document["email"], "phone": "+15145550100"}


def about_customer(order, topic):
    orders = {"customers/redact": "orders_to_redact", "customers/data_request": "orders_requested"}[topic]
    body = {"shop_id": 1, "shop_domain": SHOP, "customer": customer_of(order), orders: [order.summary["id"]]}
    if topic == "customers/data_request":
        body["data_request"] = {"id": 9999}
    return json.dumps(body).encode()


def personal(order):
    """Texts that stand for her: her address as it is written everywhere, and her name in the order."""
    return [order.document["email"].encode(), b"+15145550100"]


def files_with(folder, texts):
    """Files of the store that say any of them."""
    found = []
    for path in sorted(pathlib.Path(folder).rglob("*")):
        if path.is_file() and stat.S_ISREG(path.stat().st_mode):
            content = path.read_bytes()
            found += [path.name for text in texts if text in content]
    return found


def request_of(gateway, kind="erase"):
    found = [one for one in gateway.get("/v1/privacy") if one["kind"] == kind]
    return found[-1] if found else None


@pytest.fixture
def orders():
    hers, others = byron_orders(2, seed=7)
    hers.document["email"] = "ada.lovelace+shop@example.org"
    hers.document["contact_email"] = hers.document["email"]
    hers.document["customer"] = {**(hers.document.get("customer") or {}), "id": 706405506930370084,
                                 "email": hers.document["email"]}
    hers.body = json.dumps(hers.document).encode()
    return hers, others


@pytest.fixture
def config(byron, erp):
    config = demo_config(byron.url)
    merge(config["endpoints"], {"byron": QUICK, "erp": http_endpoint(erp, **QUICK)})
    config["routes"] += [
        {"name": "order-to-erp", "from": {"endpoint": "acme-shop", "topic": "orders/create"},
         "to": {"endpoint": "erp", "action": "request.send"}}]
    return config


@pytest.fixture
def gateway(make_gateway, config):
    return make_gateway(config)


def delivered(gateway, n):
    wait_until(lambda: gateway.states("byron").get("delivered") == n and gateway.states("erp").get("delivered") == n)


def test_what_is_held_of_her_is_handed_out_by_a_person(gateway, orders, tmp_path):
    hers, others = orders
    assert gateway.post(hers) == 200 and gateway.post(others) == 200
    delivered(gateway, 2)
    assert gateway.post(about_customer(hers, "customers/data_request"), topic="customers/data_request") == 200
    task = wait_until(lambda: request_of(gateway, "hand-out"))
    assert (task["state"], task["asked"]["who"]) == ("open", "customer 706405506930370084")
    assert task["due_at"][:10] > task["asked_at"][:10] and task["ended_at"] is None
    assert gateway.metrics()['sluice_privacy_requests{state="hand_out"}'] == 1
    listed = sluice("privacy", "-c", gateway.file, env=gateway.env)
    assert "hand-out" in listed.out and "sluice privacy export" in listed.err

    path = tmp_path / "ada.json"
    gateway.cli("privacy", "export", task["id"], "--output", path)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    held = json.loads(path.read_text())
    assert held["request"]["id"] == task["id"]
    ids = {one["event"]["subject"] for one in held["held"]}
    assert f"order:{SHOP}/{hers.summary['id']}" in ids and f"order:{SHOP}/{others.summary['id']}" not in ids
    (order,) = [one for one in held["held"] if one["event"]["topic"] == "orders/create"]
    assert json.loads(order["event"]["body"])["email"] == hers.document["email"]
    assert {one["endpoint"] for one in order["deliveries"]} == {"byron", "erp"}
    assert all(one["body"] for one in order["deliveries"])

    gateway.restart()  # it is still to be done
    assert request_of(gateway, "hand-out")["state"] == "open"
    gateway.cli("privacy", "done", task["id"], "--why", "sent by post")
    done = request_of(gateway, "hand-out")
    assert (done["state"], done["who"], done["why"]) == ("done", "uid 0", "sent by post")
    assert done["ended_at"] and gateway.metrics()['sluice_privacy_requests{state="hand_out"}'] == 0
    assert gateway.cli("privacy", "done", task["id"], ok=False).code == 4  # once
    assert gateway.cli("privacy", "done", 1, ok=False).code == 4  # an order is no request


def test_who_is_to_be_forgotten_is_nowhere_any_more_and_what_is_counted_adds_up(gateway, orders):
    hers, others = orders
    gateway.post(hers), gateway.post(others)
    delivered(gateway, 2)
    event = gateway.get("/v1/events", topic="orders/create")[-1]["id"]
    before = gateway.status()["summary"]
    assert gateway.post(about_customer(hers, "customers/redact"), topic="customers/redact") == 200
    done = wait_until(lambda: (one := request_of(gateway)) and one["state"] == "in-log" and one)
    assert done["events"] >= 2 and done["deliveries"] == 2 and done["under_way"] == 0
    assert done["asked"]["who"] == "customer 706405506930370084"
    assert f"order:{SHOP}/{hers.summary['id']}" in done["asked"]["subjects"]

    said = json.dumps([gateway.get("/v1/events"), gateway.deliveries(), gateway.get("/v1/privacy")])
    assert hers.document["email"] not in said and "+15145550100" not in said
    assert gateway.get("/v1/events", subject=f"order:{SHOP}/{hers.summary['id']}") == []
    shown = [gateway.get(f"/v1/deliveries/{one['id']}") for one in gateway.deliveries()]
    assert sorted(one["hold_type"] for one in shown) == ["", "", "erased", "erased"]
    assert all(hers.document["email"] not in json.dumps(one) for one in shown)
    gone = gateway.get(f"/v1/events/{event}")
    assert (gone["note"], gone["body"] or "") == ("erased", "") and gone["subject"] in (None, "")
    after = gateway.status()["summary"]
    assert after["deliveries"] == before["deliveries"] and after["events"] == before["events"] + 1
    again = gateway.api("POST", "/v1/decide", {"action": "replay", "force": True,
                                               "ids": [one["id"] for one in shown if one["hold_type"] == "erased"]})[1]
    assert again["failed"] == 2 and "erased" in json.dumps(again)

    gateway.restart()
    state = gateway.folder / "state"
    assert [name for name in files_with(state, personal(hers)) if not name.endswith(".seg")] == []
    assert files_with(state, [others.document["email"].encode()])
    gateway.stop()
    checked = sluice("db", "check", "-c", gateway.file, env=gateway.env)
    assert checked.code == 0, checked
    gateway.start()


def test_in_time_the_log_has_nothing_of_it_either(make_gateway, config, orders):
    hers, others = orders
    config["store"] = {"erase_within": "3s"}
    gateway = make_gateway(config)
    gateway.post(hers), gateway.post(others)
    delivered(gateway, 2)
    gateway.post(about_customer(hers, "customers/redact"), topic="customers/redact")
    ended = wait_until(lambda: (one := request_of(gateway)) and one["state"] == "done" and one)
    assert ended["ended_at"] and ended["done_at"] <= ended["ended_at"]
    assert files_with(gateway.folder / "state", personal(hers)) == []
    gateway.restart()
    assert request_of(gateway)["state"] == "done"
    gateway.stop()
    checked = sluice("db", "check", "-c", gateway.file, env=gateway.env)
    assert checked.code == 0, checked
    gateway.start()


def test_what_is_still_under_way_is_waited_for_and_what_is_held_or_dead_is_given_up(gateway, byron, orders):
    hers, _ = orders
    gateway.cli("endpoints", "pause", "byron", "--why", "they move house")
    gateway.post(hers)
    wait_until(lambda: gateway.states("byron") == {"ready": 1} and gateway.states("erp") == {"delivered": 1})
    gateway.post(about_customer(hers, "customers/redact"), topic="customers/redact")
    waits = wait_until(lambda: (one := request_of(gateway)) and one["state"] == "waits" and one)
    assert waits["under_way"] == 1 and "still under way" in waits["note"]
    assert gateway.metrics()["sluice_privacy_events_under_way"] == 1
    assert stays(lambda: gateway.states("byron") == {"ready": 1}, 0.5)  # nothing is dropped
    gateway.cli("endpoints", "resume", "byron")
    wait_until(lambda: request_of(gateway)["state"] == "in-log")
    assert len(byron.books()["orders"]) == 1  # it was sent first
    assert gateway.states("byron") == {"delivered": 1}


def test_a_dead_letter_of_hers_is_discarded(gateway, config, orders):
    hers, _ = orders
    route(gateway.config, "order-to-erp")["map"] = 'error("no price of \\(.email)")'
    gateway.write()
    gateway.cli("reload")
    gateway.post(hers)
    wait_until(lambda: sum(one.get("dead", 0) for one in gateway.status()["summary"]["deliveries"].values()) == 1)
    wait_until(lambda: gateway.states("byron") == {"delivered": 1})
    gateway.post(about_customer(hers, "customers/redact"), topic="customers/redact")
    wait_until(lambda: (one := request_of(gateway)) and one["state"] == "in-log")
    states = gateway.states()
    assert states.get("dead", 0) == 0 and states["discarded"] == 1
    assert hers.document["email"] not in json.dumps(gateway.get("/v1/issues"))
    gateway.restart()
    assert [name for name in files_with(gateway.folder / "state", personal(hers)) if not name.endswith(".seg")] == []


def test_a_removed_app_stops_what_is_sent_to_the_shop_until_a_person_resumes_it(gateway, orders):
    body = json.dumps({"id": 1, "myshopify_domain": SHOP}).encode()
    assert gateway.post(body, topic="app/uninstalled") == 200
    wait_until(lambda: gateway.lane("acme-shop")["paused"])
    paused = gateway.lane("acme-shop")["paused"]
    assert paused["who"].startswith("event ") and "app/uninstalled" in paused["why"]
    wait_until(lambda: any(one["alert"] == "endpoint-stopped" for one in gateway.alerts()))
    assert gateway.post(orders[0]) == 200  # what the shop says is taken as before
    delivered(gateway, 1)
    gateway.restart()
    assert gateway.lane("acme-shop")["paused"]["who"] == paused["who"]
    wait_until(lambda: any(one["alert"] == "endpoint-stopped" for one in gateway.alerts()))
    gateway.cli("endpoints", "resume", "acme-shop", "--why", "installed again")
    assert gateway.lane("acme-shop")["paused"] is None
    wait_until(lambda: not any(one["alert"] == "endpoint-stopped" and one["stands"]
                               for one in gateway.alerts()))


def test_a_shop_that_goes_takes_all_with_it_that_it_said(gateway, orders):
    hers, others = orders
    gateway.post(hers), gateway.post(others)
    delivered(gateway, 2)
    gateway.post(json.dumps({"shop_id": 1, "shop_domain": SHOP}).encode(), topic="shop/redact")
    done = wait_until(lambda: (one := request_of(gateway)) and one["state"] == "in-log" and one)
    assert done["asked"]["everything"] is True and done["events"] == gateway.status()["summary"]["events"]
    gateway.restart()
    texts = [*personal(hers), others.document["email"].encode()]
    assert [name for name in files_with(gateway.folder / "state", texts) if not name.endswith(".seg")] == []


def test_a_request_that_comes_twice_is_answered_and_finds_nothing_more(gateway, orders):
    hers, _ = orders
    gateway.post(hers)
    delivered(gateway, 1)
    body = about_customer(hers, "customers/redact")
    for webhook_id in ("one", "one", "two"):
        assert gateway.post(body, topic="customers/redact", webhook_id=webhook_id) == 200
    wait_until(lambda: [one["state"] for one in gateway.get("/v1/privacy")] == ["in-log", "in-log"])
    assert [one["deliveries"] for one in gateway.get("/v1/privacy")] == [2, 0]
