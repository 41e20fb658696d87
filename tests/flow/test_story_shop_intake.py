"""Everything a shop says comes in, as the shop stand-in says it: every topic under old and new names and secrets,
fulfilment services' questions; and when it asks to forget somebody, that holds under whatever happens meanwhile."""

import concurrent.futures
import copy
import json

import pytest

from flow.harness import OLD_SECRET, SECRET, SHOP, http_endpoint, messages, sluice, stays, wait_until
from flow.test_story_privacy import files_with
from sandbox.client import Process, request

pytestmark = pytest.mark.plain  # tests/unit/plugins and tests/unit/store have what it comes through

TOKEN = "sandbox-admin-token"
PREFIX = "k3ep-this-between-us"


@pytest.fixture
def shop():
    with Process("shopify_admin", "--clock", 0.001, "--connect-s", 10, "--total-s", 20) as running:
        running.call("POST", "variants", [{"sku": "GEAR", "stock": {"gid://shopify/Location/70000000101": 10_000}}])
        running.call("POST", "points", {"plan": "plus"})
        yield running


@pytest.fixture
def config(shop, desk):
    return {
        "endpoints": {
            "acme-shop": {"adapter": "shopify", "shop": SHOP, "webhook_secret": [{"env": "DEMO_SHOPIFY_SECRET"},
                                                                                 {"env": "DEMO_SHOPIFY_OLD_SECRET"}],
                          "callbacks": {"path_secret": {"env": "CALLBACK_PREFIX"}},
                          "admin": {"version": "2026-10", "token": {"env": "SHOPIFY_ADMIN_TOKEN"}, "url": shop.url}},
            "desk": http_endpoint(desk, concurrency=4)},
        "routes": [{"name": "tell", "from": {"endpoint": "acme-shop", "topic": ["orders/*", "fulfillment_orders/*",
                                                                              "refunds/*", "fulfillments/*"]},
                    "to": {"endpoint": "desk", "action": "request.send", "path": "/told"}}]}


@pytest.fixture
def gateway(make_gateway, shop, config):
    made = make_gateway(config, {"SHOPIFY_ADMIN_TOKEN": TOKEN, "CALLBACK_PREFIX": PREFIX})
    listens(shop, made)
    return made


def listens(shop, gateway):
    shop.call("POST", "webhooks", {"routes": {"*": gateway.url}})


def subscribe(shop, *topics):
    shop.call("POST", "subscriptions", [
        {"topic": topic.replace("/", "_").upper(), "uri": "https://gw.example.com/in/acme-shop"} for topic in topics])


def buy(shop, email="ada.lovelace+shop@example.org"):
    """The body of a new order, as the shop has it."""
    gid, = shop.call("POST", "orders", {"lines": [{"sku": "GEAR", "quantity": 1, "price": "40.00"}], "email": email,
                                        "paid": True})["orders"]
    shop.call("POST", "clock", {"advance_s": 2})
    listed = shop.call("GET", "orders")
    listed = listed["orders"] if isinstance(listed, dict) else listed
    return next(one for one in listed if one["admin_graphql_api_id"] == gid)


def requests_of(gateway):
    return gateway.get("/v1/privacy")



def redact(gateway, customer, orders, email=None, phone=None, topic="customers/redact", **more):
    names = "orders_requested" if topic == "customers/data_request" else "orders_to_redact"
    body = {"shop_id": 1, "shop_domain": SHOP, "customer": {"id": customer, "email": email, "phone": phone},
            names: orders}
    assert gateway.post(json.dumps(body).encode(), topic=topic, **more) == 200


def order_of(number, email, **more):
    return json.dumps({"id": number, "updated_at": "2026-11-20T10:15:30+01:00", "email": email, **more}).encode()


def event_of(gateway, number):
    found = gateway.get("/v1/events", subject=f"order:{SHOP}/{number}", topic="orders/create")
    return found[-1]["id"] if found else None


def test_of_two_requests_none_is_done_while_what_it_asks_for_is_under_way(gateway):
    """Both are of one customer; each names another order, which nothing but its number leads to."""
    gateway.cli("endpoints", "pause", "desk", "--why", "they move house")
    for number in (7, 8):
        assert gateway.post(order_of(number, None)) == 200
    wait_until(lambda: gateway.states("desk") == {"ready": 2})
    redact(gateway, 706405506930370084, [7])
    wait_until(lambda: [one["state"] for one in requests_of(gateway)] == ["waits"])
    redact(gateway, 706405506930370084, [8])
    wait_until(lambda: len(requests_of(gateway)) == 2 and requests_of(gateway)[1]["state"] == "waits")
    assert stays(lambda: {one["state"] for one in requests_of(gateway)} <= {"waits", "erasing"}, 8)
    gateway.restart()
    assert {one["state"] for one in requests_of(gateway)} <= {"waits", "erasing"}
    gateway.cli("endpoints", "resume", "desk")
    wait_until(lambda: [one["state"] for one in requests_of(gateway)] == ["in-log", "in-log"])
    assert not any(gateway.get("/v1/events", subject=f"order:{SHOP}/{number}") for number in (7, 8))
    assert {one["hold_type"] for one in gateway.deliveries()} == {"erased"}


def test_the_first_request_says_that_store_keep_no_longer_holds(gateway):
    gateway.config["store"]["keep"] = "90d"
    gateway.write()
    gateway.restart()
    for number in (7, 8):
        redact(gateway, number, [number])
        wait_until(lambda: len(requests_of(gateway)) == number - 6)
        wait_until(lambda: {one["state"] for one in requests_of(gateway)} == {"in-log"})
    assert gateway.log().count("the log keeps what came before a request for store.erase_within (28d) alone") == 1


def test_an_order_after_the_request_is_one_like_any_other(gateway):
    """Though the request still waits for an earlier one."""
    ada = "ada.lovelace+shop@example.org"
    gateway.cli("endpoints", "pause", "desk", "--why", "they move house")
    assert gateway.post(order_of(7, ada)) == 200
    wait_until(lambda: gateway.states("desk") == {"ready": 1})
    redact(gateway, 706405506930370084, [7], email=ada)
    wait_until(lambda: [one["state"] for one in requests_of(gateway)] == ["waits"])
    assert gateway.post(order_of(9, ada)) == 200
    event = wait_until(lambda: event_of(gateway, 9))
    gateway.cli("endpoints", "resume", "desk")
    wait_until(lambda: [one["state"] for one in requests_of(gateway)] == ["in-log"])
    shown = gateway.get(f"/v1/events/{event}")
    assert (shown["note"], shown["subject"]) != ("erased", "") and ada in json.dumps(shown)


def test_a_scope_that_is_missing_is_named_wherever_somebody_looks(gateway, shop, desk):
    """The shop sends fulfilment orders, and the app may not ask whose they are."""
    gateway.config["alerts"] = {"lag": "1s"}
    gateway.write()
    gateway.cli("reload")
    shop.call("POST", "tokens", {"scopes": "read_orders"})
    shop.fault(action="field_error", at="nodes", code="ACCESS_DENIED", message="Access denied for nodes field. "
               "Required access: `read_merchant_managed_fulfillment_orders` access scope.")
    subscribe(shop, "orders/create", "fulfillment_orders/order_routing_complete")
    order = buy(shop)
    wait_until(lambda: len(messages(desk)) == 1)
    alert = wait_until(lambda: [one for one in gateway.alerts() if one["alert"] == "lag" and one["stands"]])[0]
    assert alert["endpoint"] == "acme-shop" and "fulfillment_orders" in alert["text"]
    assert "fulfillment_orders" in sluice("status", "-c", gateway.file).out
    checked = sluice("check", "--online", "-c", gateway.file, env=gateway.env)
    said = checked.out + checked.err
    assert "events fulfillment_orders/* and fulfillment_holds/* would wait" in said and "read_returns" in said
    shop.call("POST", "tokens", {
        "scopes": "read_orders,read_merchant_managed_fulfillment_orders,read_returns"})
    shop.clear_faults()
    wait_until(lambda: len(messages(desk)) == 2)
    wait_until(lambda: not any(one["alert"] == "lag" and one["stands"] for one in gateway.alerts()))
    assert {one["subject"] for one in gateway.deliveries()} == {f"order:{SHOP}/{order['id']}"}
    assert "would wait" not in sluice("check", "--online", "-c", gateway.file, env=gateway.env).out


def test_what_is_asked_of_a_fulfilment_service_bears_whoever_asks(gateway, shop):
    """At once, at length, and without the secret."""
    def ask(path):
        status, _, body = request(gateway.url, "GET", f"/in/acme-shop/callbacks/{path}")
        return status, body

    good = f"{PREFIX}/byron/fetch_stock?shop={SHOP}"
    names = "&".join(f"order_names[]=%23{n}.1" for n in range(400))
    with concurrent.futures.ThreadPoolExecutor(64) as pool:
        assert {one[0] for one in pool.map(ask, [good] * 256)} <= {200, 503}
        assert all(one == (200, b"{}") for one in pool.map(ask, [good] * 32))
    assert ask(f"{PREFIX}/byron/fetch_tracking_numbers?{names[:7000]}")[0] == 200
    assert ask(f"{PREFIX}/byron/fetch_tracking_numbers?" + names * 40)[0] in (400, 414, 431)
    assert ask(good + "&sku=" + "x" * 256)[0] == 400 and ask(good + "&sku=%00")[0] == 400
    assert ask(good + "&sku=%F0%28")[1] == b"{}"  # no text, and known to nobody
    for wrong in ("", "x", PREFIX + "x", PREFIX[:-1], PREFIX.upper(), PREFIX * 20, "%6b3ep-this-between-us"):
        assert ask(f"{wrong}/byron/fetch_stock") == ask(f"{wrong}/fetch_stock")
        assert ask(f"{wrong}/fetch_stock")[0] == 404
    assert gateway.status()["summary"]["events"] == 0



# topics whose published sample or played body has no order id, and those of every other form
SAMPLED = ("bulk_operations/finish", "companies/create", "draft_orders/update", "fulfillment_events/create",
           "fulfillment_orders/moved", "fulfillment_orders/split", "fulfillment_orders/fulfillment_request_submitted",
           "fulfillment_holds/added", "fulfillments/create", "fulfillments/update", "inventory_items/update",
           "inventory_levels/update", "order_transactions/create", "orders/delete", "orders/edited",
           "orders/risk_assessment_changed", "products/delete", "refunds/create", "returns/close", "returns/decline",
           "returns/request")


@pytest.mark.parametrize("names", [None, "lower_case", "unprefixed"])
def test_every_topic_comes_in_with_either_secret_under_either_name(gateway, shop, names):
    del gateway.config["endpoints"]["acme-shop"]["admin"]  # nobody is asked whose the samples are
    gateway.write()
    gateway.cli("reload")
    subscribe(shop, *SAMPLED)
    shop.call("POST", "webhooks", {"secrets": [SECRET, OLD_SECRET], **({names: True} if names else {})})
    for previous in (False, True):
        shop.call("POST", "webhooks", {"previous_secret": previous})
        for topic in SAMPLED:
            shop.call("POST", "tell", {"topic": topic})
        shop.call("POST", "settle", {})
    wait_until(gateway.settled)
    events = gateway.get("/v1/events", limit=1000)
    assert {one["topic"] for one in events if one["subject"]} == set(SAMPLED)  # what came twice is a duplicate
    assert [one["webhooks"] for one in gateway.lane("acme-shop")["secrets"]] == [len(SAMPLED)] * 2
    assert gateway.intake("bad_signature") == 0


def test_a_redaction_holds_through_kills_a_reload_and_webhooks_that_race_it(gateway, shop, desk):
    """As the shop says it, of a buyer whose orders come in as it is carried out."""
    ada = "Ada.Lovelace+Shop@example.org"
    subscribe(shop, "orders/create", "customers/redact")
    hers = [buy(shop, ada) for _ in range(3)]
    other = buy(shop, "bob@example.org")
    wait_until(lambda: gateway.states("desk") == {"delivered": 4})
    gateway.cli("endpoints", "pause", "desk", "--why", "they move house")
    racing = buy(shop, ada)
    wait_until(lambda: gateway.states("desk") == {"delivered": 4, "ready": 1})
    orders = [one["id"] for one in [*hers, racing]]
    redact(gateway, 706405506930370084, orders, email=ada.lower(), webhook_id="one")
    gateway.kill9()
    gateway.start()
    wait_until(lambda: [one["state"] for one in requests_of(gateway)] == ["waits"])
    listens(shop, gateway)
    later = buy(shop, ada)
    wait_until(lambda: event_of(gateway, later["id"]))
    gateway.cli("reload")
    redact(gateway, 706405506930370084, orders, email=ada.lower(), webhook_id="one")  # the same
    redact(gateway, 706405506930370084, orders, email=ada.upper(), webhook_id="two")  # again
    gateway.cli("endpoints", "resume", "desk")
    wait_until(lambda: len(requests_of(gateway)) == 2 and any(
        one["state"] == "in-log" for one in requests_of(gateway)))
    gateway.kill9()
    gateway.start()
    wait_until(lambda: [one["state"] for one in requests_of(gateway)] == ["in-log"] * 2)
    assert all(not gateway.get("/v1/events", subject=f"order:{SHOP}/{one}") for one in orders)
    assert event_of(gateway, other["id"])
    assert [one["raw"] for one in desk.books()["messages"] if json.loads(one["raw"])["id"] == racing["id"]]
    gateway.stop()
    tokens = [one["token"].encode() for one in [*hers, racing]]
    assert [name for name in files_with(gateway.folder / "state", tokens) if not name.endswith(".seg")] == []
    checked = sluice("db", "check", "-c", gateway.file, env=gateway.env)
    assert checked.code == 0, checked
    gateway.start()


def test_a_shop_that_goes_leaves_another_endpoint_of_its_kind_alone(make_gateway, config, shop, desk):
    second = "second.myshopify.com"
    config["endpoints"]["second-shop"] = {**copy.deepcopy(config["endpoints"]["acme-shop"]), "shop": second}
    config["routes"].append({**copy.deepcopy(config["routes"][0]), "name": "tell-of-second"})
    config["routes"][1]["from"]["endpoint"] = "second-shop"
    gateway = make_gateway(config, {"SHOPIFY_ADMIN_TOKEN": TOKEN, "CALLBACK_PREFIX": PREFIX})
    ada = "ada@example.org"
    assert gateway.post(order_of(9007199254740993, ada)) == 200
    assert gateway.post(order_of(9007199254740993, ada), path="/in/second-shop",
                        headers={"X-Shopify-Shop-Domain": second}) == 200
    wait_until(lambda: gateway.states("desk") == {"delivered": 2})
    body = json.dumps({"shop_id": 1, "shop_domain": SHOP}).encode()
    assert gateway.post(body, topic="shop/redact") == 200
    wait_until(lambda: [one["state"] for one in requests_of(gateway)] == ["in-log"])
    assert [one["subject"] for one in gateway.get("/v1/events", topic="orders/create") if one["subject"]] == [
        f"order:{second}/9007199254740993"]
    redact(gateway, 7, [9007199254740993], email=ada.upper(), path="/in/second-shop",
           headers={"X-Shopify-Shop-Domain": second})
    wait_until(lambda: [one["state"] for one in requests_of(gateway)] == ["in-log"] * 2)
    assert not [one for one in gateway.get("/v1/events", topic="orders/create") if one["subject"]]


def test_a_removed_app_is_told_by_the_shop(gateway, shop):
    subscribe(shop, "app/uninstalled", "shop/redact")
    shop.call("POST", "uninstall", {})
    wait_until(lambda: gateway.lane("acme-shop")["paused"])
    assert any(one["alert"] == "endpoint-stopped" for one in wait_until(gateway.alerts))
    shop.call("POST", "clock", {"advance_s": 49 * 3600})
    wait_until(lambda: [one["state"] for one in requests_of(gateway)] == ["in-log"])
    assert gateway.lane("acme-shop")["paused"], "and it is still paused"


def test_a_backup_from_before_an_erasure_says_what_it_brings_back(gateway, tmp_path):
    assert gateway.post(order_of(7, "ada@example.org")) == 200
    wait_until(lambda: gateway.states("desk") == {"delivered": 1})
    gateway.cli("db", "backup", tmp_path / "backup")
    redact(gateway, 706405506930370084, [7], email="ada@example.org")
    wait_until(lambda: [one["state"] for one in requests_of(gateway)] == ["in-log"])
    gateway.kill9()
    restored = gateway.cli("db", "restore", tmp_path / "backup", "--replace").json
    forgotten, = restored["forgotten"]
    assert (forgotten["endpoint"], forgotten["topic"], restored["forgotten_unknown"]) == (
        "acme-shop", "customers/redact", False)
    assert forgotten["asked"]["subjects"] == [f"customer:{SHOP}/706405506930370084", f"order:{SHOP}/7"]
    gateway.start()
    assert event_of(gateway, 7) and requests_of(gateway) == []
    redact(gateway, 706405506930370084, [7])  # as the page says
    wait_until(lambda: [one["state"] for one in requests_of(gateway)] == ["in-log"])
    assert not event_of(gateway, 7)
    # a backup that knows of it says nothing; to people it is told in words
    gateway.cli("db", "backup", tmp_path / "later")
    gateway.stop()
    assert gateway.cli("db", "restore", tmp_path / "later", "--replace").json["forgotten"] == []
    told = sluice("db", "restore", tmp_path / "backup", "--replace", "-c", gateway.file, env=gateway.env)
    assert told.code == 0 and "acme-shop customers/redact: customer 706405506930370084" in told.err
    gateway.start()
