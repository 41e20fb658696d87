"""A supplier that does not take an order: it goes to another one - by the same message, or by a route of its own - but
only if the first has definitely not got it."""

import pytest

from flow.harness import demo_config, free_port, merge, byron_orders, route, wait_until


@pytest.fixture
def gateway(make_gateway, byron, nord):
    """Orders for Byron; Nord stands in when Byron is given up after three attempts."""
    config = demo_config(byron.url, nord.url)
    merge(config["endpoints"]["byron"], {"retry": {"first": "50ms", "cap": "100ms", "max_attempts": 3},
                                         "breaker": {"min_calls": 1000}, "confirm": {"after": "100ms"}})
    route(config, "order-to-supplier")["fallback"] = {"endpoint": "nord", "action": "order.submit",
                                                      "on": ["exhausted", "rejected"]}
    return make_gateway(config)


def at_nord(nord):
    return [one["our_id"] for one in nord.books()["orders"]]


def test_a_supplier_that_is_not_there_is_replaced_and_the_order_keeps_its_key(gateway, byron, nord):
    gateway.config["endpoints"]["byron"]["base_url"] = f"http://127.0.0.1:{free_port()}"  # nobody listens
    gateway.write()
    gateway.restart()
    gateway.post(byron_orders()[0])
    wait_until(lambda: gateway.states("nord").get("delivered") == 1, "Nord has it")
    found = gateway.delivery()
    assert at_nord(nord) == [found["key"]]
    assert found["endpoint"] == "nord" and found["attempts_burnt"] == 1
    assert [one["endpoint"] for one in found["attempts"]] == ["byron"] * 3 + ["nord"]
    assert len({one["key"] for one in found["attempts"]}) == 1
    moved = next(one for one in found["moves"] if one["reason"].startswith("it goes to nord instead"))
    assert moved["state"] == "ready" and "given up after 3 attempts" in moved["reason"]
    assert found["detail"]["fallback"]["from"] == "byron"


def test_a_supplier_that_refuses_is_replaced_also_over_kill_9(gateway, byron, nord):
    byron.fault(action="status", at="order", status=422)
    nord.fault(action="hang_after", at="order", count=1)  # Nord takes it; the gateway dies before it hears of it
    gateway.post(byron_orders()[0])
    wait_until(lambda: len(at_nord(nord)) == 1)
    gateway.kill9()
    gateway.start()
    wait_until(lambda: gateway.states("nord").get("delivered") == 1, "Nord was asked, not sent to again")
    assert len(at_nord(nord)) == 1
    assert byron.books()["requests"]["by_step"]["order"] == 1


def test_what_the_first_supplier_may_have_is_asked_for_and_not_handed_over(gateway, byron, nord):
    gateway.config["endpoints"]["byron"]["confirm"].update({"path": "/orders/@{key}"})
    gateway.write()
    gateway.restart()
    byron.fault(action="cut_after", at="order")  # Byron takes it each time; its answers are lost
    gateway.post(byron_orders()[0])
    wait_until(lambda: gateway.states("byron").get("delivered") == 1, "Byron said that it has it")
    assert at_nord(nord) == []
    states = [(one["state"], one["who"]) for one in gateway.delivery()["moves"]]
    assert states[-2:] == [("unknown", "adapter"), ("delivered", "confirm")]
    assert len(byron.books()["orders"]) == 1
    assert byron.books()["doubles"] == {}


def test_without_a_way_to_ask_a_person_hands_it_over(gateway, byron, nord):
    byron.fault(action="status", at="order", status=500)
    gateway.post(byron_orders()[0])
    wait_until(lambda: gateway.states("byron").get("held") == 1, "a person is asked")
    held = gateway.delivery()
    assert held["hold_type"] == "unknown-outcome"
    assert [one["name"] for one in held["detail"]["choices"]] == ["arrived", "send-again", "hand-over"]
    assert at_nord(nord) == []
    gateway.cli("held", "release", held["id"], "--to", "nord")
    wait_until(lambda: gateway.states("nord").get("delivered") == 1)


def test_a_dead_end_after_the_fallback_names_both(gateway, byron, nord):
    byron.fault(action="status", at="order", status=422, body={"error": {"message": "no such sku"}})
    nord.fault(action="status", at="order", status=422)
    gateway.post(byron_orders()[0])
    wait_until(lambda: gateway.states("nord").get("dead") == 1)
    reason = gateway.delivery()["reason"]
    assert reason.startswith("HTTP 422") and "; before at byron: HTTP 422" in reason


@pytest.fixture
def by_route(make_gateway, byron, nord):
    """Orders for Byron; what Byron refuses becomes another message, to Nord, by a route that takes nothing else."""
    config = demo_config(byron.url, nord.url)
    merge(config["endpoints"]["byron"], {"retry": {"first": "50ms", "cap": "100ms", "max_attempts": 2},
                                         "breaker": {"min_calls": 1000}})
    first = route(config, "order-to-supplier")
    first["fallback"] = {"route": "order-to-stand-in", "on": ["exhausted", "rejected"]}
    config["routes"].append({"name": "order-to-stand-in", "owner": "stand-in-team", "split": dict(first["split"]),
                             "from": {"endpoint": "acme-shop", "topic": []},
                             "to": {"endpoint": "nord", "action": "order.submit"}})
    return make_gateway(config)


def by_name(gateway, name):
    return next(one for one in gateway.deliveries() if one["route"] == name)


def test_an_order_goes_by_another_route_exactly_once_and_is_no_dead_letter(by_route, byron, nord):
    gateway = by_route
    byron.fault(action="status", at="order", status=422)
    nord.fault(action="hang_after", at="order", count=1)  # Nord takes it; the gateway dies before it hears of it
    gateway.post(byron_orders()[0])
    wait_until(lambda: len(at_nord(nord)) == 1)
    gateway.kill9()
    gateway.start()
    wait_until(lambda: gateway.states("nord").get("delivered") == 1, "Nord was asked, not sent to again")
    assert len(at_nord(nord)) == 1 and byron.books()["requests"]["by_step"]["order"] == 1

    first, second = by_name(gateway, "order-to-supplier"), by_name(gateway, "order-to-stand-in")
    assert (first["state"], first["endpoint"]) == ("superseded", "byron")
    assert first["reason"].startswith(f"it went by route order-to-stand-in instead, as {second['id']}: HTTP 422")
    shown = gateway.get(f"/v1/deliveries/{second['id']}")
    assert at_nord(nord) == [shown["key"]]
    assert (shown["detail"]["fallback"]["route"], shown["detail"]["fallback"]["delivery"]) == (first["route"], first["id"])
    assert gateway.cli("issues").json == [] and gateway.states("byron").get("dead", 0) == 0
