"""Only the newest goes out: an order changes often while the desk is closed, and then the desk hears the last word of
each state of its payment, not all that was said."""

import json

import pytest

from flow.harness import demo_config, http_endpoint, messages, wait_until

UPDATED = "orders/updated"


@pytest.fixture
def gateway(make_gateway, byron, desk):
    config = demo_config(byron.url)
    config["endpoints"]["desk"] = http_endpoint(desk)
    config["routes"] = [{
        "name": "payment-to-desk", "from": {"endpoint": "acme-shop", "topic": UPDATED},
        "coalesce": {"by": ".financial_status"}, "map": "{order: .id, paid: .financial_status, n: .note}",
        "to": {"endpoint": "desk", "action": "request.send"}}]
    return make_gateway(config)


def change(order, status, n):
    return json.dumps({"id": order, "updated_at": f"2026-11-20T10:00:{n:02}Z", "financial_status": status,
                       "note": str(n)}).encode()


def test_of_each_order_and_state_the_newest_goes_out_also_over_a_kill(gateway, desk):
    gateway.cli("endpoints", "pause", "desk", "--why", "closed until nine")
    changes = [(1, "pending"), (1, "pending"), (1, "paid"), (2, "pending"), (1, "paid")]
    for n, (order, status) in enumerate(changes):
        assert gateway.post(change(order, status, n), topic=UPDATED) == 200
    wait_until(lambda: gateway.states("desk") == {"ready": 3, "superseded": 2}, "two have given way")
    newest = next(one for one in gateway.deliveries(state="ready")
                  if one["piece"] == "paid" and one["subject"].endswith("/1"))
    replaced = next(one for one in gateway.deliveries(state="superseded") if one["piece"] == "paid")
    assert replaced["reason"] == f"a newer one, {newest['id']}, came"

    gateway.kill9()
    gateway.start()
    assert gateway.post(change(1, "paid", 5), topic=UPDATED) == 200
    wait_until(lambda: gateway.states("desk") == {"ready": 3, "superseded": 3}, "what was there before as well")

    # A change that does not say its state cannot be newer than another: somebody has to look at it.
    assert gateway.post(change(1, None, 6), topic=UPDATED) == 200
    wait_until(lambda: gateway.states().get("dead") == 1)
    assert gateway.delivery(state="dead")["reason"].endswith(
        "coalesce: wants one text or number as its key, got [null]")

    gateway.cli("endpoints", "resume", "desk")
    wait_until(lambda: gateway.states("desk") == {"delivered": 3, "superseded": 3})
    assert sorted((one["order"], one["paid"], one["n"]) for one in messages(desk)) == [
        ("1", "paid", "5"), ("1", "pending", "1"), ("2", "pending", "3")]
