"""One order is held and is changed more often than a lane has places: the other customers' orders go on."""

import json

from flow.harness import demo_config, http_endpoint, messages, wait_until

WINDOW = 5
CHANGES = 30


def change(order, n, held=False):
    return json.dumps({"id": order, "updated_at": f"2026-11-20T10:{n // 60:02}:{n % 60:02}Z",
                       "note": "hold" if held else "go", "name": f"#{order}"}).encode()


def got(erp, order):
    return [body["n"] for body in messages(erp) if body["id"] == str(order)]


def test_more_changes_of_a_held_order_than_the_window_has_places_keep_no_other_order_back(make_gateway, byron, erp):
    config = demo_config(byron.url)
    config["limits"] = {"window": WINDOW}
    config["endpoints"]["erp"] = http_endpoint(erp, idempotent=False)
    config["routes"] = [{
        "name": "changes", "from": {"endpoint": "acme-shop", "topic": "orders/updated"},
        "map": "{id: (.id | tostring), n: .updated_at, note}",
        "to": {"choose": ".body.note", "cases": {"hold": {"hold": "fraud"}}, "else": {"endpoint": "erp"}},
        "action": "request.send"}]
    gateway = make_gateway(config)
    assert gateway.post(change(1, 0, held=True), topic="orders/updated") == 200
    for n in range(1, CHANGES + 1):
        assert gateway.post(change(1, n), topic="orders/updated") == 200
    # Others of their own subjects would be mapped before them, and what is older than those is kept in memory.
    wait_until(lambda: gateway.states("erp") == {"ready": CHANGES}, "all of them wait behind it")
    for order in range(2, 12):
        assert gateway.post(change(order, 0), topic="orders/updated") == 200
    wait_until(lambda: gateway.states("erp") == {"delivered": 10, "ready": CHANGES}, "the others have gone")
    assert got(erp, 1) == []
    on_disk = "it waits on disk, behind older ones of its subject or of its lane"
    wait_until(lambda: any(one["waits_for"]["text"] == on_disk for one in gateway.deliveries(state="ready")),
               "what has no place in the window says so")

    gateway.restart()
    assert gateway.post(change(12, 0), topic="orders/updated") == 200
    wait_until(lambda: gateway.states("erp") == {"delivered": 11, "ready": CHANGES}, "after a restart as well")

    gateway.cli("held", "release", gateway.delivery(state="held")["id"], "--to", "erp", "--why", "genuine")
    wait_until(lambda: gateway.states("erp") == {"delivered": 12 + CHANGES}, "and it follows, in order")
    assert got(erp, 1) == [f"2026-11-20T10:00:{n:02}Z" for n in range(CHANGES + 1)]
