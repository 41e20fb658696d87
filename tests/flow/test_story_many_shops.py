"""conf/many-shops.sample.yaml as it is: the orders of every shop go to the supplier, its parcels into the shop that
sold them, stock into each; a shop that is down or out of points holds up no other; a further shop is three lines."""

import contextlib
import copy
import hashlib
import hmac
import json

import pytest
import yaml

from flow.harness import BUILD, BYRON_TOKEN, ROOT, absolute, build_example, merge, sluice, stays, wait_until
from flow.test_story_stock_feed import put
from sandbox.client import Process, request
from sandbox.orders import OrderFactory

pytestmark = pytest.mark.plain  # nothing but the configuration differs from the stories of one shop

SAMPLE = ROOT / "conf" / "many-shops.sample.yaml"
WEBHOOK_SECRET = "what the supplier signs with"
NAMES = ("acme-uk", "acme-de", "acme-fr")
QUICK = {"retry": {"first": "50ms", "cap": "300ms"}, "breaker": {"min_calls": 1000}, "park": {"probe": "1s"}}
STATE = """query($id: ID!) { order(id: $id) { displayFulfillmentStatus
  fulfillments(first: 10) { trackingInfo(first: 5) { number } } } }"""


def secret_of(name):
    return f"the client secret of {name}"


def client_of(name):
    return f"client-of-{name}"


@pytest.fixture(scope="module")
def shop_processes():
    with contextlib.ExitStack() as stack:
        yield {name: stack.enter_context(Process(
            "shopify_admin", "--shop", f"{name}.myshopify.com", "--secret", secret_of(name), "--client-id",
            client_of(name),
            "--points", 2000, "--restore", 1000)) for name in NAMES}


@pytest.fixture
def shops(shop_processes):
    for shop in shop_processes.values():
        shop.reset()
        shop.call("POST", "variants", [{"sku": sku} for sku in ("GEAR", "SKU-1")])
    return shop_processes


def lines_of(name):
    """What a shop has of its own: three lines."""
    variable = name.upper().replace("-", "_") + "_SECRET"
    return {"template": "shop", "webhook_secret": {"env": variable},
            "admin": {"client_id": client_of(name), "client_secret": {"env": variable}}}


def sample():
    return absolute(yaml.safe_load(SAMPLE.read_text()))


@pytest.fixture
def gateway(make_gateway, shops, byron, crm, tmp_path):
    config = sample()
    assert {name: set(config["endpoints"][name]) for name in NAMES[:2]} == {
        name: set(lines_of(name)) for name in NAMES[:2]}
    merge(config["templates"]["shop"], copy.deepcopy(QUICK))
    merge(config["endpoints"], {
        "byron": {"base_url": byron.url, "rate": None}, "crm": {
            "instance": crm.url, "poll": {"first": "50ms", "cap": "200ms"}, "feeds": {"stock": {"every": "1s"}},
            "auth": {"client_id": "3MVG9sandbox-consumer-key", "username": "integration@example.com"}},
        **{name: lines_of(name) for name in NAMES[:2]}})
    for name in NAMES[:2]:
        config["endpoints"][name]["admin"]["url"] = shops[name].url
    made = make_gateway(config, {
        "BYRON_TOKEN": BYRON_TOKEN, "BYRON_WEBHOOKS": WEBHOOK_SECRET, "CRM_KEY": crm.private_key,
        **{name.upper().replace("-", "_") + "_SECRET": secret_of(name) for name in NAMES}},
        plugins=[build_example(tmp_path)])
    for name in NAMES:
        shops[name].call("POST", "webhooks", {"routes": {"*": made.url}})
        shops[name].call("POST", "subscriptions", [
            {"topic": "orders/create", "uri": f"https://gw.example.com/in/{name}"}])
    return made


def buy(shops, byron, name):
    """Buys in this shop, and waits until the supplier has it: its global id, and what the supplier was told."""
    known = {one["our_id"] for one in byron.books()["orders"]}
    order, = shops[name].call("POST", "orders", {"lines": [{"sku": "GEAR", "quantity": 1}]})["orders"]
    wait_until(lambda: len(byron.books()["orders"]) == len(known) + 1, "the supplier has it")
    return order, next(one for one in byron.books()["orders"] if one["our_id"] not in known)


def ship(gateway, told, number):
    body = json.dumps({"external_id": told["our_id"], "carrier": "DHL Express", "tracking_number": number,
                       "items": [{"sku": "GEAR", "quantity": 1}]}).encode()
    headers = {"X-Topic": "parcel/shipped", "X-Event-Id": f"e-{number}",
               "X-Signature": hmac.new(WEBHOOK_SECRET.encode(), body, hashlib.sha256).hexdigest()}
    assert request(gateway.url, "POST", "/in/byron", body, headers)[0] == 200


def parcels(shop, order):
    """The numbers of its parcels."""
    state = shop.call("POST", "do", {"query": STATE, "variables": {"id": order}})["data"]["order"]
    return sorted(info["number"] for one in state["fulfillments"] for info in one["trackingInfo"])


def test_each_parcel_goes_into_the_shop_that_sold_it(gateway, shops, byron):
    """Both shops count their orders from one: their ids say nothing of whose they are."""
    sold = [(name, *buy(shops, byron, name)) for name in ("acme-uk", "acme-de", "acme-de", "acme-uk")]
    assert sold[0][1] == sold[1][1]
    for at, (name, _, told) in reversed(list(enumerate(sold))):
        ship(gateway, told, f"JD{at}-{name}")
    for at, (name, order, _) in enumerate(sold):
        wait_until(lambda: parcels(shops[name], order) == [f"JD{at}-{name}"])
    wait_until(lambda: gateway.states("acme-uk") == gateway.states("acme-de") == {"delivered": 2})
    # what the supplier told stands in the order's own timeline
    assert all(f"order:{one['endpoint']}.myshopify.com/" in one["subject"]
               for name in NAMES[:2] for one in gateway.deliveries(endpoint=name))


def test_a_shop_is_believed_by_its_own_secret_alone(gateway, shops):
    order = OrderFactory(seed=4).order(1)
    for name, other in (NAMES[:2], NAMES[1::-1]):
        headers = {"X-Shopify-Shop-Domain": f"{name}.myshopify.com"}
        assert gateway.post(order, path=f"/in/{name}", secret=secret_of(other), headers=headers) == 401
        assert gateway.post(order, path=f"/in/{name}", secret=secret_of(name), headers=headers) == 200
        # signed, but another shop's: a subscription that leads to the wrong address
        headers = {"X-Shopify-Shop-Domain": f"{other}.myshopify.com"}
        assert gateway.post(order, path=f"/in/{name}", secret=secret_of(name), headers=headers) == 400


def down(shop):
    shop.fault(action="unavailable", at="graphql")
    return shop.clear_faults


def out_of_points(shop):
    shop.call("POST", "points", {"left": 0, "other": 1000})
    return lambda: shop.call("POST", "points", {"left": 2000, "other": 0})


def uninstalled(shop):
    shop.call("POST", "tokens",
              {"wrong": ["app_not_installed", "The app is not installed on the shop."], "expire": True})
    return lambda: shop.call("POST", "tokens", {"wrong": None})


@pytest.mark.parametrize("trouble", [down, out_of_points, uninstalled])
def test_a_shop_in_trouble_holds_up_no_other(gateway, shops, byron, trouble):
    uk, uk_told = buy(shops, byron, "acme-uk")
    de = [buy(shops, byron, "acme-de") for _ in range(3)]
    mended = trouble(shops["acme-uk"])
    ship(gateway, uk_told, "UK1")
    for at, (_, told) in enumerate(de):
        ship(gateway, told, f"DE{at}")
    wait_until(lambda: gateway.states("acme-de") == {"delivered": 3})
    assert [parcels(shops["acme-de"], order) for order, _ in de] == [["DE0"], ["DE1"], ["DE2"]]
    assert stays(lambda: "delivered" not in gateway.states("acme-uk"), 0.5)
    mended()
    wait_until(lambda: gateway.states("acme-uk") == {"delivered": 1}, "it goes on by itself", seconds=60)
    assert parcels(shops["acme-uk"], uk) == ["UK1"]


def test_a_third_shop_is_three_lines_and_a_reload(gateway, shops, byron):
    config = copy.deepcopy(gateway.config)
    config["endpoints"]["acme-fr"] = lines_of("acme-fr")
    config["endpoints"]["acme-fr"]["admin"]["url"] = shops["acme-fr"].url  # where the test's shop is
    gateway.write(config)
    gateway.cli("reload")
    order, told = buy(shops, byron, "acme-fr")
    ship(gateway, told, "FR1")
    wait_until(lambda: parcels(shops["acme-fr"], order) == ["FR1"])
    assert gateway.states("acme-uk") == gateway.states("acme-de") == {}


def test_a_parcel_for_a_shop_that_was_taken_out_is_a_dead_letter_until_it_is_back(gateway, shops, byron):
    order, told = buy(shops, byron, "acme-uk")
    whole = copy.deepcopy(gateway.config)
    config = copy.deepcopy(whole)
    del config["endpoints"]["acme-uk"]
    config["routes"] = [one for one in config["routes"] if "acme-uk" not in json.dumps(one)]
    gateway.write(config)
    gateway.cli("reload")
    ship(gateway, told, "UK1")
    wait_until(lambda: gateway.states().get("dead") == 1)
    dead = gateway.delivery(state="dead")
    assert f"order:acme-uk.myshopify.com/{order.rpartition('/')[2]}" in dead["reason"], dead["reason"]
    assert dead["reason"].endswith("fulfillment.create: acme-de"), dead["reason"]

    gateway.write(whole)
    gateway.cli("reload")
    gateway.cli("dead", "replay", dead["id"])
    wait_until(lambda: parcels(shops["acme-uk"], order) == ["UK1"])
    assert gateway.states("acme-de") == {}


def test_stock_goes_into_each_shop(gateway, shops, crm):
    put(crm, 1, stock=7)
    for name in NAMES[:2]:
        wait_until(lambda: [one["on_hand"] for one in shops[name].call("GET", "stock")["levels"]] == [7], name)


@pytest.mark.parametrize("change, told", [
    (lambda c: c["routes"][0]["from"].update(endpoint="shop", template=None),
     '"shop" is a template; { template: shop } takes the events of all its endpoints'),
    (lambda c: c["routes"][1]["to"].update(origin="shops"), 'no endpoint of template "shops"'),
    (lambda c: c["routes"][2]["to"].update(endpoint="shop"), '"shop" is a template; name one of its endpoints'),
    (lambda c: c["endpoints"]["acme-de"].pop("webhook_secret"), "webhook_secret"),
    (lambda c: c["endpoints"]["acme-de"].update(template="shops"), 'did you mean "shop"?'),
])
def test_what_is_often_wrong_is_told(change, told, tmp_path):
    config = sample()
    change(config)
    for one in config["routes"]:
        one["from"] = {key: value for key, value in one["from"].items() if value is not None}
    file = tmp_path / "sluice.yaml"
    file.write_text(yaml.safe_dump({**config, "plugins": [str(BUILD / "plugins"), str(build_example(tmp_path))]}))
    done = sluice("check", "--no-secrets", "-c", str(file))
    print(done.err)
    assert done.code != 0 and told in done.err
