"""The points of a shop's Admin API: used up, never passed, whatever another client takes; tokens that end meanwhile.

SLUICE_LONG=1: a minute of each.
"""

import os

import pytest

from flow.harness import wait_until
from flow.shop_points import CLIENT_ID, CLIENT_SECRET, ENV, Watched, config_for, furnish, press
from sandbox.client import Process
from sandbox.orders import OrderFactory

pytestmark = pytest.mark.plain  # it is about pace; tests/unit/plugins/test_shopify_admin.c has its course

SECONDS = 60 if os.environ.get("SLUICE_LONG") else 10


@pytest.fixture(scope="session")
def shop_process():
    with Process("shopify_admin", "--client-id", CLIENT_ID, "--client-secret", CLIENT_SECRET) as running:
        yield running


@pytest.fixture
def shop(shop_process):
    furnish(shop_process)
    return shop_process


def orders(count):
    return list(OrderFactory(seed=7).orders(count))


@pytest.mark.plain
@pytest.mark.alone
@pytest.mark.parametrize("others", [0.5, 0.0] if SECONDS >= 60 else [0.5])
def test_the_points_are_used_up_and_nothing_is_refused(make_gateway, shop, others):
    furnish(shop, others)
    gateway = make_gateway(config_for(shop), ENV)
    watched = Watched(shop)
    gateway.burst(orders(10 * SECONDS + 250))
    books = press(watched, lambda: gateway.lane("acme-shop"), SECONDS)
    print({name: round(value, 3) for name, value in books.items()})
    assert books["refused"] == 0
    assert books["share"] >= (0.98 if SECONDS >= 60 else 0.95)  # what stays in the bucket is a share of the time
    assert books["used_by_others"] >= books["budget"] * others * 0.4


# ---- tokens ----


def delivered(gateway, count):
    wait_until(lambda: gateway.states("acme-shop") == {"delivered": count}, "all is delivered", seconds=60)


def plenty(shop):
    shop.call("POST", "points", {"plan": "plus"})


def issued(shop):
    return shop.call("GET", "tokens")["issued"]


def test_a_token_that_ends_under_load_is_renewed_once_for_all(make_gateway, shop):
    plenty(shop)
    gateway = make_gateway(config_for(shop, concurrency=8), ENV)
    gateway.burst(orders(60))
    wait_until(lambda: gateway.states("acme-shop").get("delivered", 0) >= 10)
    shop.call("POST", "tokens", {"expire": True})
    gateway.burst(list(OrderFactory(seed=8).orders(20, first=500)))
    delivered(gateway, 80)
    assert issued(shop) == {"client_credentials": 2}
    assert len(shop.books()["drafts"]) == 80
    assert all(gateway.get(f"/v1/deliveries/{one['id']}")["attempts_burnt"] == 1
               for one in gateway.deliveries(endpoint="acme-shop"))


def by_refresh(shop, gateway_env, **more):
    pair, = shop.call("POST", "tokens", {"offline": 1, **more})["pairs"]
    return {**gateway_env, "DEMO_REFRESH_TOKEN": pair["refresh_token"]}


def config_by_refresh(shop):
    config = config_for(shop)
    config["endpoints"]["acme-shop"]["admin"]["refresh_token"] = {"env": "DEMO_REFRESH_TOKEN"}
    return config


def stored_bytes(gateway):
    return b"".join(one.read_bytes() for one in (gateway.folder / "state").rglob("*") if one.is_file())


def test_each_new_refresh_token_is_durable_before_it_is_used_and_never_plain(make_gateway, shop):
    """Tokens that live three seconds, and a gateway that is killed whenever it likes: the shop is never lost."""
    plenty(shop)
    env = by_refresh(shop, ENV, life_s={"offline": 3})
    gateway = make_gateway(config_by_refresh(shop), env)
    for round_ in range(4):
        gateway.burst(list(OrderFactory(seed=round_).orders(5, first=100 * round_)))
        delivered(gateway, 5 * (round_ + 1))
        before = issued(shop).get("refresh_token", 0)
        if round_ == 1:  # the answer with the new pair is lost: the one before still holds
            shop.fault(action="cut_after", at="token", count=1)
        wait_until(lambda: shop.call("GET", "tokens")["alive"] == 1, "the token has ended, but the static one")
        gateway.kill9()
        gateway.start()
        assert before >= 1
    assert shop.call("GET", "tokens")["refused"].get("invalid_grant") is None
    stored = stored_bytes(gateway)
    assert b"admin.tokens" in stored  # it is there ...
    assert b"shprt_" not in stored and b"shpat_" not in stored  # ... and of no use to who reads it


def test_a_shop_without_the_app_is_told_with_what_to_do_and_goes_on_by_itself(make_gateway, shop):
    shop.call("POST", "tokens", {"wrong": ["app_not_installed", "The app is not installed on the shop."]})
    gateway = make_gateway(config_for(shop, park={"probe": "1s"}), ENV)
    gateway.burst(orders(3))
    wait_until(lambda: gateway.lane("acme-shop")["parked"], "the endpoint is parked")
    assert "install it from the Dev Dashboard" in str(gateway.lane("acme-shop"))
    shop.call("POST", "tokens", {"wrong": None})
    delivered(gateway, 3)


# ---- sluice check --online ----


def findings(gateway, level):
    done = gateway.cli("check", "--online", ok=False)
    endpoint, = [one for one in done.json["online"] if one["endpoint"] == "acme-shop"]
    return [(one.get("route"), one["text"]) for one in endpoint["findings"] if one["level"] == level]


def test_a_missing_scope_is_named_for_the_route_that_needs_it(make_gateway, shop):
    gateway = make_gateway(config_for(shop), ENV, start=False)
    good = findings(gateway, "good")
    assert any(text.startswith("asked by client credentials: shop ") for _, text in good)
    assert (None, "version 2026-10 of the Admin API") in good
    assert findings(gateway, "error") == []
    shop.call("POST", "tokens", {"scopes": "read_orders,read_products"})
    (route, text), = findings(gateway, "error")
    assert route == "order-to-draft" and text.startswith("the app lacks the scope write_draft_orders: add it")


def test_an_old_version_is_told(make_gateway, shop):
    config = config_for(shop)
    config["endpoints"]["acme-shop"]["admin"]["version"] = "2024-01"
    gateway = make_gateway(config, ENV, start=False)
    assert any("serves version 2026-01" in text for _, text in findings(gateway, "warn"))


def test_a_check_does_not_spend_a_refresh_token(make_gateway, shop):
    gateway = make_gateway(config_by_refresh(shop), by_refresh(shop, ENV), start=False)
    assert any(text.startswith("not tried: each use of a refresh token") for _, text in findings(gateway, "warn"))
    assert "refresh_token" not in issued(shop)
