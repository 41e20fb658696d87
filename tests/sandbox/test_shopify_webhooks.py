"""Subscriptions, filters and deliveries of the Shopify stand-in, each beside what is published or was observed."""

import asyncio
import json
import uuid

import pytest

from sandbox.hook_receiver import Receiver
from sandbox.shopify import sign
from sandbox.shopify_filter import BadFilter, Filter, included
from sandbox.shopify_subscriptions import BAD_FILTER, Subscriptions, slashed
from sandbox.shopify_webhooks import Happening, Webhooks

URL = "https://hooks.example.com/in/shop?k=1"
ORDER = {"id": 9007199254740993, "updated_at": "2026-11-20T10:15:32+01:00", "tags": "b2c, engraved", "note": None,
         "total_price": "101.00", "line_items": [{"sku": "A", "quantity": 2}, {"sku": "B", "quantity": 1}],
         "customer": None, "test": False}


# ---- subscriptions ----

def test_topics_have_two_spellings():
    assert slashed("ORDERS_CREATE") == "orders/create"
    assert slashed("FULFILLMENT_ORDERS_ORDER_ROUTING_COMPLETE") == "fulfillment_orders/order_routing_complete"
    assert slashed("ORDER_TRANSACTIONS_CREATE") == "order_transactions/create"
    assert slashed("CUSTOMERS_DATA_REQUEST") == "customers/data_request"
    assert slashed("APP_SCOPES_UPDATE") == "app/scopes_update"
    assert slashed("ORDERS_RISK_ASSESSMENT_CHANGED") == "orders/risk_assessment_changed"
    assert slashed("INVENTORY_LEVELS_UPDATE") == "inventory_levels/update"
    assert slashed("VARIANTS_OUT_OF_STOCK") == "variants/out_of_stock"


@pytest.mark.parametrize("asked, field, message", [
    ({}, "callbackUrl", "Address can't be blank"),
    ({"uri": " "}, "callbackUrl", "Address can't be blank"),
    ({"uri": "http://hooks.example.com/"}, "callbackUrl", "Address protocol http:// is not supported"),
    ({"uri": "ftp://hooks.example.com/"}, "callbackUrl", "Address protocol ftp:// is not supported"),
    ({"uri": "https://"}, "callbackUrl", "Address is invalid"),
    ({"uri": "https://a.example/" + "x" * 65_536}, "callbackUrl", "Address is too big (maximum is 64 KB)"),
    ({"uri": URL, "filter": "engraved"}, None, BAD_FILTER),
    ({"uri": URL, "filter": "tags:a AND"}, None, BAD_FILTER),
    ({"uri": URL, "filter": "a:" + "x" * 65_536}, None, "The specified filter exceeds the maximum allowed size."),
])
def test_what_is_no_subscription_is_refused_in_the_observed_words(asked, field, message):
    made, errors = Subscriptions().create("ORDERS_CREATE", asked)
    assert made is None
    assert errors == [{"field": ["webhookSubscription"] + ([field] if field else []), "message": message}]


def test_the_same_topic_address_format_and_filter_are_taken_once():
    known = Subscriptions()
    first, errors = known.create("ORDERS_CREATE", {"uri": URL, "name": "eu"})
    assert errors == [] and first.to_graphql("2026-10")["callbackUrl"] == URL
    taken = [{"field": ["webhookSubscription", "callbackUrl"],
              "message": "Address for this topic has already been taken"}]
    assert known.create("ORDERS_CREATE", {"callbackUrl": URL})[1] == taken
    assert known.create("ORDERS_CREATE", {"uri": URL, "filter": "tags:b2c"})[1] == []
    assert known.create("ORDERS_PAID", {"uri": URL})[1] == []
    other = known.create("ORDERS_CREATE", {"uri": URL + "2"})[0]
    assert known.update(other.id, {"uri": URL})[1] == taken
    assert known.create("ORDERS_UPDATED", {"uri": URL, "name": "eu"})[1] == [
        {"field": ["webhookSubscription", "name"], "message": "Name already exists, no duplicate allowed"}]
    assert len(known.listed(["ORDERS_CREATE"])) == 3 and len(known.listed()) == 4


def test_an_update_changes_what_is_given_and_an_unknown_id_is_an_error():
    known = Subscriptions()
    one = known.create("ORDERS_CREATE", {"uri": URL, "filter": "tags:b2c", "includeFields": ["id"]})[0]
    known.update(one.id, {"includeFields": ["id", "tags"]})
    assert (one.filter, one.fields, one.uri) == ("tags:b2c", ["id", "tags"], URL)
    gone = [{"field": ["id"], "message": "Webhook subscription does not exist"}]
    assert known.update("gid://shopify/WebhookSubscription/1", {})[1] == gone
    assert known.delete("gid://shopify/WebhookSubscription/1")[1] == gone
    assert known.delete(one.id) == (one.id, []) and known.delete(one.id)[1] == gone


def test_what_the_app_declares_is_not_seen_by_the_api():
    known = Subscriptions()
    own = known.create("CUSTOMERS_REDACT", {"uri": URL}, "app")[0]
    assert known.listed() == [] and known.on("customers/redact") == [own]
    assert known.delete(own.id)[1] and own.id in known.all


# ---- filters and fields ----

@pytest.mark.parametrize("text, fits", [
    ("", True), ("id:9007199254740993", True), ("id:9007199254740992", False),  # a double would take one for the other
    ("line_items.sku:B", True), ("line_items.sku:b", False), ("line_items.sku:A AND line_items.sku:C", False),
    ("line_items.sku:C OR total_price:>=100.00", True), ("total_price:>101.00", False), ("total_price:101", True),
    ("tags:b2c", False), ('tags:"b2c, engraved"', True), ("NOT test:true", True), ("-test:false", False),
    ("(line_items.sku:A OR line_items.sku:C) test:false", True), ("line_items.quantity:<2", True),
    ("no_such_field:1", False), ("NOT no_such_field:1", False), ("test:false OR line_items.nothing:1", False),
    ("note:null", True), ("customer.id:7", False),
])
def test_filters(text, fits):
    assert Filter(text).fits(ORDER) is fits


@pytest.mark.parametrize("text", ["word", "tags:a word", "(tags:a", "tags:a)", "tags:", "AND", "NOT"])
def test_filters_of_another_form_are_refused(text):
    with pytest.raises(BadFilter):
        Filter(text)


def test_fields_are_chosen_with_dots():
    assert included(ORDER, ["id", "line_items.sku", "customer.id", "nothing"]) == {
        "id": ORDER["id"], "line_items": [{"sku": "A"}, {"sku": "B"}], "customer": None}
    assert included(ORDER, []) is ORDER


# ---- deliveries ----

def shop(doing, answers=(), subscriptions=({"topic": "ORDERS_CREATE"},), made_by="api", **options):
    """Runs `doing(webhooks, receiver)` with these subscriptions; (what it gave, webhooks, receiver)."""

    async def run():
        async with Receiver(answers) as receiver:
            known = Subscriptions()
            for asked in subscriptions:
                asked = dict(asked)
                assert known.create(asked.pop("topic"), {"uri": URL, **asked}, made_by)[1] == []
            tasks = []
            webhooks = Webhooks(known, lambda coroutine: tasks.append(asyncio.ensure_future(coroutine)), clock=0.0001,
                                secrets=["new", "old"], routes={"https://hooks.example.com": receiver.host},
                                **{"connect_s": 30, "total_s": 60, **options})
            await webhooks.open()
            try:
                given = await doing(webhooks, receiver)
                assert await webhooks.settle(60)
                return given, webhooks, receiver
            finally:
                await webhooks.close()

    return asyncio.run(run())


def test_one_happening_has_one_event_id_and_each_delivery_its_own_webhook_id():
    async def doing(webhooks, receiver):
        happening = Happening()
        for topic in ("orders/create", "orders/paid", "orders/updated"):
            webhooks.tell(topic, ORDER, happening)

    _, webhooks, receiver = shop(doing, subscriptions=[
        {"topic": "ORDERS_CREATE"}, {"topic": "ORDERS_CREATE", "uri": URL + "2", "name": "second"},
        {"topic": "ORDERS_PAID"}, {"topic": "ORDERS_UPDATED"}])
    assert len(receiver.got) == 4
    assert len({headers["X-Shopify-Event-Id"] for _, headers, _ in receiver.got}) == 1
    assert len({headers["X-Shopify-Triggered-At"] for _, headers, _ in receiver.got}) == 1
    assert len({uuid.UUID(headers["X-Shopify-Webhook-Id"]) for _, headers, _ in receiver.got}) == 4
    assert sorted(headers["X-Shopify-Topic"] for _, headers, _ in receiver.got) == [
        "orders/create", "orders/create", "orders/paid", "orders/updated"]
    assert {headers.get("X-Shopify-Name") for _, headers, _ in receiver.got} == {None, "second"}
    for _, headers, body in receiver.got:
        assert headers["X-Shopify-Hmac-Sha256"] == sign("new", body) and json.loads(body) == ORDER
    assert set(receiver.paths) == {"/in/shop?k=1", "/in/shop?k=12"}


def test_eight_failures_in_a_row_delete_what_the_api_made():
    async def doing(webhooks, receiver):
        return webhooks.tell("orders/create", ORDER)[0]

    made, webhooks, receiver = shop(doing, [500] * 20)
    assert len(receiver.got) == 8 and made.final == "dropped"
    books = webhooks.books()["subscriptions"]
    assert books["alive"] == [] and books["deleted"][0]["why"] == "8 failures in a row"
    assert webhooks.books()["final"] == {"dropped": 1}


def test_what_the_app_declares_stays_after_any_number_of_failures():
    async def doing(webhooks, receiver):
        return webhooks.tell("orders/create", ORDER)[0]

    made, webhooks, receiver = shop(doing, [503] * 20, made_by="app")
    assert len(receiver.got) == 9 and made.final == "failed"
    assert webhooks.books()["subscriptions"]["alive"][0]["worst_row"] == 9
    assert len({headers["X-Shopify-Webhook-Id"] for _, headers, _ in receiver.got}) == 1


def test_a_retry_goes_where_the_subscription_pointed_when_it_happened():
    async def doing(webhooks, receiver):
        webhooks.tell("orders/create", ORDER)
        own = next(iter(webhooks.subscriptions.all.values()))
        while not receiver.got:
            await asyncio.sleep(0.001)
        webhooks.subscriptions.update(own.id, {"uri": URL + "-new"})

    _, _, receiver = shop(doing, [500])
    assert receiver.paths == ["/in/shop?k=1", "/in/shop?k=1"]


def test_a_redirect_is_a_failure_and_is_not_followed():
    _, webhooks, receiver = shop(lambda webhooks, receiver: tell_many(webhooks, 1), [302])
    assert receiver.paths == ["/in/shop?k=1"] * 2 and webhooks.books()["by_status"] == {"302": 1, "200": 1}


async def tell_many(webhooks, count, **switches):
    webhooks.steer(switches)
    for number in range(count):
        webhooks.tell("orders/create", {**ORDER, "id": ORDER["id"] + 2 * number})


def test_shares_of_a_bad_day_strike_the_same_deliveries_for_the_same_seed():
    def run(**switches):
        _, webhooks, receiver = shop(lambda webhooks, receiver: tell_many(webhooks, 200, seed=7, **switches))
        return webhooks, receiver

    webhooks, receiver = run(lost=0.05, duplicate=0.05, reorder=0.1, reorder_ms=300)
    books = webhooks.books()
    lost, twice = books["switches"]["lost"], books["switches"]["duplicate"]
    assert 0 < lost < 30 and 0 < twice < 30 and books["switches"]["reorder"] > 5
    doubled = sum(1 for one in webhooks.log if "duplicate" in one.switches and "lost" not in one.switches)
    assert len(receiver.got) == 200 - lost + doubled
    order = [json.loads(body)["id"] for _, _, body in receiver.got]
    assert order != sorted(order) and books["final"] == {"delivered": 200 - lost, "lost": lost}
    again, _ = run(lost=0.05)
    assert [one.number for one in again.log if one.final == "lost"] == \
        [one.number for one in webhooks.log if one.final == "lost"]


def test_signatures_and_spellings_of_headers():
    def first(**switches):
        return shop(lambda webhooks, receiver: tell_many(webhooks, 1, **switches))[2].got[0]

    _, headers, body = first(previous_secret=True)
    assert headers["X-Shopify-Hmac-Sha256"] == sign("old", body)
    _, headers, body = first(bad_signature=1)
    assert headers["X-Shopify-Hmac-Sha256"] not in (sign("old", body), sign("new", body))
    raw, _, body = first(lower_case=True)
    assert (b"x-shopify-hmac-sha256", sign("new", body).encode()) in raw
    raw, headers, body = first(unprefixed=True)
    assert (b"shopify-hmac-sha256", sign("new", body).encode()) in raw
    assert headers["shopify-topic"] == "orders/create" and "X-Shopify-Topic" not in headers


def test_an_outage_loses_or_holds():
    async def doing(webhooks, receiver):
        await tell_many(webhooks, 3, outage="lose")
        await tell_many(webhooks, 4, outage="hold")
        await webhooks.settle(5)
        assert receiver.got == [] and webhooks.books()["held"] == 4
        webhooks.steer({"outage": None})

    _, webhooks, receiver = shop(doing)
    assert len(receiver.got) == 4 and webhooks.books()["final"] == {"lost": 3, "delivered": 4}


def test_who_filters_or_chooses_fields_gets_less():
    async def doing(webhooks, receiver):
        webhooks.tell("orders/create", ORDER)
        webhooks.tell("orders/create", {**ORDER, "note": "changed, and nobody sees it"})
        webhooks.tell("orders/create", {**ORDER, "test": True})
        webhooks.tell("orders/paid", ORDER)

    _, webhooks, receiver = shop(doing, subscriptions=[
        {"topic": "ORDERS_CREATE", "filter": "test:false", "includeFields": ["id", "test", "updated_at"]}])
    assert [json.loads(body) for _, _, body in receiver.got] == [
        {"id": ORDER["id"], "updated_at": ORDER["updated_at"], "test": False}]
    books = webhooks.books()
    assert (books["debounced"], books["filtered"], books["unheard"]) == (1, 1, {"orders/paid": 1})


def test_what_goes_to_a_queue_is_not_played():
    async def doing(webhooks, receiver):
        return webhooks.tell("orders/create", ORDER)[0].final

    assert shop(doing, subscriptions=[{"topic": "ORDERS_CREATE", "uri": "pubsub://project:topic"}])[0] == "elsewhere"


def test_late_is_late_by_the_clock():
    _, webhooks, receiver = shop(lambda webhooks, receiver: tell_many(webhooks, 1, late=1, late_s=3000))
    made = webhooks.log[0]
    assert made.switches == ["late"] and made.attempts[0]["at"] - made.at >= 280


def test_unknown_switches_are_refused():
    with pytest.raises(ValueError, match="loss"):
        Webhooks(Subscriptions(), None).steer({"loss": 1})
