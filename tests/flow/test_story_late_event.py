"""A late event: what the shop said earlier comes after what it said later, and must not be written over it."""

import json

import pytest

from flow.harness import demo_config, http_endpoint, messages, wait_until

STOCK = "products/update"


@pytest.fixture
def gateway(make_gateway, byron, erp):
    config = demo_config(byron.url)
    config["endpoints"]["erp"] = http_endpoint(erp)
    config["routes"] = [{
        "name": "product-to-erp", "from": {"endpoint": "acme-shop", "topic": STOCK},
        "map": "{id, title}", "to": {"endpoint": "erp", "action": "request.send"}, "latest_by": "version"}]
    return make_gateway(config)


def product(title, minute):
    return json.dumps({"id": 788032119674292922, "title": title,
                       "updated_at": f"2026-11-20T09:{minute:02}:00+01:00"}).encode()


def titles(erp):
    return [one["title"] for one in messages(erp)]


def test_a_late_event_is_superseded_and_a_restart_does_not_forget(gateway, erp):
    assert gateway.post(product("newer", 30), topic=STOCK) == 200
    wait_until(lambda: gateway.states("erp") == {"delivered": 1})
    first = gateway.delivery(state="delivered")

    assert gateway.post(product("older", 10), topic=STOCK) == 200
    wait_until(lambda: gateway.states("erp") == {"delivered": 1, "superseded": 1}, "it is not sent")
    late = gateway.delivery(state="superseded")
    assert late["reason"].startswith("late: version 2026-11-20T08:10:00")
    assert late["reason"].endswith(f"of {first['id']}")

    gateway.kill9()
    gateway.start()
    assert gateway.post(product("old as well", 20), topic=STOCK) == 200
    assert gateway.post(product("newest", 40), topic=STOCK) == 200
    wait_until(lambda: gateway.states("erp") == {"delivered": 2, "superseded": 2})
    assert titles(erp) == ["newer", "newest"]
