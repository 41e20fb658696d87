"""The example of the plugin author's guide, built and configured as the guide says: it sends an order, hears by webhook
what becomes of it, and looks up what it was not told."""

import hashlib
import hmac
import json

import pytest
import yaml

from flow.harness import BYRON_TOKEN, SECRET, build_example, byron_orders, configuration_of, http_endpoint, merge, \
    messages, route, wait_until
from sandbox.client import request
from sandbox.orders import BYRON

WEBHOOK_SECRET = "what the supplier signs with"


@pytest.fixture
def gateway(make_gateway, tmp_path, byron, desk):
    config = yaml.safe_load(configuration_of("docs/plugins.md"))
    merge(config["endpoints"], {"hello": {"base_url": byron.url}, "desk": http_endpoint(desk)})
    route(config, "shipped-to-desk")["wait_for"]["within"] = "300ms"
    env = {"SHOP_SECRET": SECRET, "HELLO_TOKEN": BYRON_TOKEN, "HELLO_WEBHOOKS": WEBHOOK_SECRET}
    return make_gateway(config, env, plugins=[build_example(tmp_path)])


def tell(gateway, topic, order, event_id, secret=WEBHOOK_SECRET):
    """One webhook of the supplier's."""
    body = json.dumps(order).encode()
    signature = hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()
    headers = {"X-Topic": topic, "X-Event-Id": event_id, "X-Signature": signature}
    return request(gateway.url, "POST", "/in/hello", body, headers)[0]


def test_what_the_supplier_did_not_tell_is_looked_up_there(gateway, byron, desk):
    order = next(one for one in byron_orders(20)  # the supplier takes no item without a sku
                 if all(line["sku"] for line in one.summary["by_vendor"][BYRON]))
    assert gateway.post(order, path="/in/shop") == 200
    wait_until(lambda: gateway.states("hello") == {"delivered": 1}, "it is submitted")
    key = byron.books()["orders"][0]["our_id"]

    assert tell(gateway, "order/shipped", {"external_id": key}, "e1", secret="another") == 401
    assert tell(gateway, "order/shipped", {"external_id": key, "status": "shipped"}, "e1") == 200
    wait_until(lambda: gateway.states("desk") == {"delivered": 1}, "it was accepted, as the supplier says")
    assert messages(desk) == [{"shipped": key}]
    assert any(one["reason"] == "order/accepted has not come within 300ms: it was looked up at hello"
               for one in gateway.delivery(endpoint="desk")["moves"])

    # The webhook comes after all: it is the same event.
    assert tell(gateway, "order/accepted", {"external_id": key, "status": "received"}, "e0") == 200
    wait_until(lambda: gateway.metrics()["sluice_events_same_total"] == 1)


def test_of_an_order_that_the_supplier_does_not_know_nothing_is_told(gateway, desk):
    assert tell(gateway, "order/shipped", {"external_id": "nobodys"}, "e1") == 200
    wait_until(lambda: gateway.states("desk") == {"dead": 1})
    assert gateway.delivery(endpoint="desk")["reason"] == \
        "order/accepted has not come within 300ms, and hello has none: the supplier has no such order"
    assert messages(desk) == []
