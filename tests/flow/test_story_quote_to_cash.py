"""Quote to cash, with conf/quote-to-cash.sample.yaml as it is: a quote of sixty lines is accepted at once, its
checkout link comes by itself, to the portal and onto the Quote; what cannot be is told everywhere; once, whatever
is killed."""

import base64
import copy
import hashlib
import hmac
import json
import random
import time

import pytest
import yaml

from flow.harness import ROOT, Late, absolute, merge, messages, route, stays, wait_until
from sandbox.client import Process, request

pytestmark = pytest.mark.plain  # tests/unit/plugins/test_shopify_draft.c and tests/unit/flow have its course

CALLOUT_SECRET = "what the Apex signs with"
ADMIN_TOKEN = "sandbox-admin-token"
QUICK = {"retry": {"first": "50ms", "cap": "300ms"}, "breaker": {"min_calls": 1000}, "confirm": {"after": "100ms"},
         "timeout": {"first_byte": "2s", "total": "4s"}}


@pytest.fixture(scope="session")
def shop_process():
    with Process("shopify_admin", "--token", ADMIN_TOKEN, "--points", 20000, "--restore", 1000, "--ready-ms", 700,
                 "--search-lag-ms", 300) as running:
        yield running


@pytest.fixture
def shop(shop_process):
    """A shop with the variants SKU-0 to SKU-69, 2.50 each; a draft order's link takes a moment."""
    shop_process.reset()
    shop_process.call("POST", "variants", [{"id": f"gid://shopify/ProductVariant/{1000 + n}", "sku": f"SKU-{n}",
                                            "price": "2.50"} for n in range(70)])
    return shop_process


@pytest.fixture
def gateway(make_gateway, crm, shop, desk):
    config = absolute(yaml.safe_load((ROOT / "conf" / "quote-to-cash.sample.yaml").read_text()))
    endpoints = config["endpoints"]
    for changes in ({name: QUICK for name in endpoints}, {
            "crm": {"instance": crm.url, "batch": {"records": 100, "age": "100ms"},
                    "poll": {"first": "50ms", "cap": "200ms"}, "status": {"url": "http://hooks.example"},
                    "auth": {"client_id": "3MVG9sandbox-consumer-key", "username": "integration@example.com"}},
            "shop": {"shop": "example.myshopify.com", "admin": {"url": shop.url, "settle": "2s"}},
            "portal": {"base_url": desk.url}}):
        merge(endpoints, copy.deepcopy(changes))
    route(config, "quote-to-draft-order")["retry"] = {"max_attempts": 8}
    return make_gateway(config, {
        "CRM_KEY": crm.private_key, "CALLOUT_SECRET": CALLOUT_SECRET, "STATUS_SECRET": "what nobody can guess",
        "SHOPIFY_SECRET": "sandbox-app-secret-current", "SHOPIFY_ADMIN_TOKEN": ADMIN_TOKEN,
        "PORTAL_SECRET": "whsec_" + base64.b64encode(b"of the portal, 24 bytes ").decode()})


def seed_quotes(crm, count):
    crm.call("POST", "history", {"object": "Quote", "field": "Gateway_Status__c"})
    opportunity, = crm.call("POST", "records", [{"object": "Opportunity", "fields": {
        "Name": "O", "StageName": "Proposal", "CloseDate": "2026-12-01"}}])["ids"]
    return crm.call("POST", "records", [
        {"object": "Quote", "fields": {"Name": f"Quote {n}", "OpportunityId": opportunity,
                                       "Gateway_Error__c": "of before"}} for n in range(count)])["ids"]


def callout(gateway, quote, lines, event=None):
    """What the Apex posts; (status, answer)."""
    body = json.dumps({
        "eventId": event or f"{quote}-1", "object": "Quote", "id": quote, "changeType": "CHECKOUT",
        "occurredAt": "2026-11-20T10:15:00Z",
        "fields": {"QuoteNumber": "00000042", "Email": "buyer@example.com", "CurrencyIsoCode": "EUR",
                   "QuoteLineItems": lines}}).encode()
    mac = base64.b64encode(hmac.digest(CALLOUT_SECRET.encode(), body, hashlib.sha256)).decode()
    status, headers, text = request(gateway.url, "POST", "/in/crm/callout", body,
                                    {"Content-Type": "application/json", "X-Signature-SHA256": mac})
    return status, json.loads(text) if headers.get("Content-Type") == "application/json" else text


def lines(count):
    """So many, of variants, at the quote's own price; the last one stands for itself."""
    made = [{"ProductCode": f"SKU-{n}", "Quantity": 2.0, "UnitPrice": 19.9} for n in range(count - 1)]
    return made + [{"Description": "Setup", "Quantity": 1, "UnitPrice": "150.00"}]


def ask(gateway, answer):
    """What a GET of the status_url says, sent to the gateway itself."""
    path = answer["status_url"].removeprefix("http://hooks.example")
    assert path.startswith("/in/crm/status/")
    status, _, text = request(gateway.url, "GET", path)
    assert status == 200, text
    return json.loads(text)


def told(desk, quote):
    return [one for one in messages(desk) if one["quote"] == quote]


def fields(crm, quote):
    return next(one["fields"] for one in crm.records("Quote") if one["Id"] == quote)


def course(crm, quote):
    """The states that stood on the Quote, one after the other, since it was there; repeated writes count once."""
    values = [one["value"] for one in crm.call("GET", "history")["changes"] if one["id"] == quote and one["value"]]
    return [one for at, one in enumerate(values) if at == 0 or values[at - 1] != one]


# ---- stories ----


def test_sixty_lines_are_accepted_at_once_and_the_link_comes_by_itself(gateway, crm, shop, desk):
    quote, = seed_quotes(crm, 1)
    status, answer = callout(gateway, quote, lines(60))
    assert (status, answer["status"]) == (202, "accepted")
    first = ask(gateway, answer)
    assert first["status"] == "processing" and shop.books()["drafts"] == []
    wait_until(lambda: ask(gateway, answer)["status"] == "ready", "the link is there")
    ready = ask(gateway, answer)
    draft, = shop.books()["drafts"]
    assert ready["checkout_url"] == draft["url"] and ready["draft_order"] == draft["id"]
    assert ready["updated_at"] >= first["updated_at"] and ready["quote"] == quote
    made = draft["input"]
    assert len(made["lineItems"]) == 60 and made["email"] == "buyer@example.com"
    assert made["lineItems"][7] == {"variantId": "gid://shopify/ProductVariant/1007", "quantity": 2,
                                    "priceOverride": {"amount": "19.9", "currencyCode": "EUR"}}
    assert draft["totalPriceSet"]["shopMoney"]["amount"] == "2498.20"  # 59 x 2 x 19.90 and 150.00
    # onto the Quote, and what stood there before is gone
    wait_until(lambda: fields(crm, quote).get("Checkout_Url__c") == draft["url"], "it is written back")
    assert fields(crm, quote)["Gateway_Status__c"] == "ready" and not fields(crm, quote).get("Gateway_Error__c")
    assert course(crm, quote) == ["processing", "ready"]
    # and to the portal, each once and in this order
    wait_until(lambda: len(told(desk, quote)) == 2 and gateway.settled())
    assert [one["status"] for one in told(desk, quote)] == ["processing", "ready"]
    assert next(one for one in told(desk, quote) if one["status"] == "ready")["checkout_url"] == draft["url"]
    # the same callout again: the same address, and nothing else
    assert callout(gateway, quote, lines(60)) == (202, answer)
    assert stays(lambda: len(shop.books()["drafts"]) == 1 and len(told(desk, quote)) == 2, 0.5)
    gateway.restart()
    assert ask(gateway, answer) == ready


def test_a_sku_that_the_shop_does_not_have_is_told_everywhere(gateway, crm, shop, desk):
    quote, = seed_quotes(crm, 1)
    status, answer = callout(gateway, quote, [*lines(50), {"ProductCode": "GONE-1", "Quantity": 1, "UnitPrice": "1"}])
    assert status == 202
    wait_until(lambda: ask(gateway, answer)["status"] == "failed")
    why = 'lines[50].sku: no variant of the shop has the SKU "GONE-1"'
    assert ask(gateway, answer)["why"] == why
    wait_until(lambda: fields(crm, quote).get("Gateway_Status__c") == "failed")
    assert fields(crm, quote)["Gateway_Error__c"] == why and not fields(crm, quote).get("Checkout_Url__c")
    wait_until(lambda: len(told(desk, quote)) == 2)
    assert next(one for one in told(desk, quote) if one["status"] == "failed")["why"] == why
    dead = gateway.delivery(state="dead")
    assert dead["reason"] == why and dead["subject"] == f"salesforce:Quote/{quote}"
    assert shop.books()["drafts"] == []
    # the shop gets the product, somebody replays it: it is processed again, and ready
    shop.call("POST", "variants", [{"id": "gid://shopify/ProductVariant/1", "sku": "GONE-1"}])
    gateway.decide("replay", dead["id"])
    wait_until(lambda: ask(gateway, answer)["status"] == "ready")
    wait_until(lambda: fields(crm, quote).get("Gateway_Status__c") == "ready")
    assert len(shop.books()["drafts"]) == 1
    assert course(crm, quote) == ["processing", "failed", "ready"]


@pytest.mark.plain  # it is about time and pace
@pytest.mark.slow
def test_what_is_given_up_is_told_everywhere_too(gateway, crm, shop, desk):
    quote, = seed_quotes(crm, 1)
    shop.fault(action="status", at="graphql", status=503)
    answer = callout(gateway, quote, lines(50))[1]
    wait_until(lambda: ask(gateway, answer)["status"] == "failed")
    assert "given up after 8 attempts: HTTP 503" in ask(gateway, answer)["why"]
    wait_until(lambda: fields(crm, quote).get("Gateway_Status__c") == "failed")
    assert "HTTP 503" in fields(crm, quote)["Gateway_Error__c"]
    wait_until(lambda: len(told(desk, quote)) == 2)
    shop.clear_faults()
    gateway.decide("replay", gateway.delivery(state="dead")["id"])
    wait_until(lambda: ask(gateway, answer)["status"] == "ready")
    wait_until(lambda: fields(crm, quote).get("Gateway_Status__c") == "ready")


def test_what_the_map_cannot_read_is_told_everywhere_too(gateway, crm, desk):
    quote, = seed_quotes(crm, 1)
    status, answer = callout(gateway, quote, None)
    assert status == 202
    wait_until(lambda: ask(gateway, answer)["status"] == "failed")
    why = ask(gateway, answer)["why"]
    assert "null" in why
    wait_until(lambda: fields(crm, quote).get("Gateway_Status__c") == "failed")
    assert fields(crm, quote)["Gateway_Error__c"] == why and course(crm, quote) == ["processing", "failed"]
    wait_until(lambda: len(told(desk, quote)) == 2)
    assert [one["status"] for one in told(desk, quote)] == ["processing", "failed"]
    assert told(desk, quote)[1]["why"] == why
    # made again from the same event it dies again, and says so again: once
    dead = gateway.delivery(state="dead")
    gateway.cli("dead", "replay", dead["id"], "--remap")
    wait_until(lambda: len(told(desk, quote)) == 3 and gateway.settled())
    gateway.kill9()
    gateway.start()
    assert stays(lambda: len(told(desk, quote)) == 3, 0.5)


def test_a_crm_that_is_slow_to_take_processing_never_shows_it_after_ready(gateway, crm, shop, desk):
    """The first write-back fails again and again while the shop is long done."""
    quote, = seed_quotes(crm, 1)
    crm.fault(action="unavailable", at="rest")
    answer = callout(gateway, quote, lines(50))[1]
    wait_until(lambda: ask(gateway, answer)["status"] == "ready")
    assert course(crm, quote) == []
    gateway.kill9()
    gateway.start()
    crm.clear_faults()
    wait_until(lambda: fields(crm, quote).get("Gateway_Status__c") == "ready")
    wait_until(gateway.settled)
    assert course(crm, quote) == ["processing", "ready"]


def test_a_new_route_is_given_the_old_events_of_both_endpoints(gateway, crm, shop, desk):
    quote, = seed_quotes(crm, 1)
    answer = callout(gateway, quote, lines(50))[1]
    wait_until(lambda: ask(gateway, answer)["status"] == "ready")
    wait_until(gateway.settled)
    gateway.config["routes"].append(copy.deepcopy({**route(gateway.config, "status-to-portal"), "name": "to-archive"}))
    gateway.write()
    gateway.restart()
    assert "crm, shop" in [one["from"] for one in gateway.api("GET", "/v1/routes")[1] if one["route"] == "to-archive"]
    begun = gateway.cli("replay", "--route", "to-archive", "--since", "1h", "--rate", "50", "--wait").json
    assert begun["state"] == "done"
    wait_until(lambda: len(told(desk, quote)) == 4 and gateway.settled())
    assert [one["status"] for one in told(desk, quote)] == 2 * ["processing", "ready"]
    assert gateway.cli("replay", "--route", "to-archive", "--since", "1h", "--dry-run").json["total"] == 0


def test_a_route_that_only_delivers_is_ready_then_and_what_no_route_takes_has_failed(gateway, crm, desk):
    quote, = seed_quotes(crm, 1)
    to_portal = route(gateway.config, "status-to-portal")["to"]
    source = {"endpoint": "crm", "topic": "callout/Quote/checkout"}
    gateway.config["routes"] = [{"name": "callout-to-portal", "from": source, "map": "{quote: .id}", "to": to_portal}]
    gateway.write()
    gateway.restart()
    _, answer = callout(gateway, quote, lines(1))
    wait_until(lambda: ask(gateway, answer)["status"] == "ready")
    assert len(told(desk, quote)) == 1
    gateway.config["routes"][0]["from"]["topic"] = "callout/Quote/other"
    gateway.write()
    gateway.restart()
    _, answer = callout(gateway, quote, lines(1), event="another")
    wait_until(lambda: ask(gateway, answer)["status"] == "failed")
    assert ask(gateway, answer)["why"] == "no route made a delivery of it"


def test_nobody_gets_at_a_status_by_guessing(gateway, crm):
    quote, = seed_quotes(crm, 1)
    url = callout(gateway, quote, lines(50))[1]["status_url"]
    path = url.removeprefix("http://hooks.example")
    for wrong in (path[:-1] + ("0" if path[-1] != "0" else "1"), path[:-1], path.replace("/1-", "/2-"),
                  "/in/crm/status/1", "/in/shop" + path.removeprefix("/in/crm")):
        assert request(gateway.url, "GET", wrong)[0] in (400, 404, 405)
    assert request(gateway.url, "GET", path)[0] == 200


@pytest.mark.parametrize("action", ["cut_after", "torn", "hang_after", "cut_late", "status_after"])
def test_a_lost_answer_makes_no_second_draft_order(gateway, crm, shop, desk, action):
    quote, = seed_quotes(crm, 1)
    shop.fault(action=action, at="graphql", body_match="draftOrderCreate", count=1, ms=400)
    answer = callout(gateway, quote, lines(55))[1]
    wait_until(lambda: ask(gateway, answer)["status"] == "ready")
    wait_until(gateway.settled)
    assert [one["url"] for one in shop.books()["drafts"]] == [ask(gateway, answer)["checkout_url"]]
    assert sorted(one["status"] for one in told(desk, quote)) == ["processing", "ready"]


@pytest.mark.slow
def test_a_kill_in_the_middle_makes_one_draft_order(gateway, crm, shop, desk):
    quotes = seed_quotes(crm, 12)
    rng = random.Random(7)
    shop.fault(action="slow", at="graphql", ms=30)
    answers = {quote: callout(gateway, quote, lines(52))[1] for quote in quotes}
    for _ in range(5):
        time.sleep(rng.uniform(0.02, 0.4))
        gateway.kill9()
        gateway.start()
    try:
        wait_until(lambda: all(ask(gateway, one)["status"] == "ready" for one in answers.values()))
    except Late:
        raise AssertionError([ask(gateway, one) for one in answers.values()]) from None
    wait_until(gateway.settled)
    drafts = {one["url"] for one in shop.books()["drafts"]}
    assert len(shop.books()["drafts"]) == 12
    assert {fields(crm, quote)["Checkout_Url__c"] for quote in quotes} == drafts
    assert {ask(gateway, one)["checkout_url"] for one in answers.values()} == drafts
    for quote in quotes:
        assert course(crm, quote) == ["processing", "ready"]
        seen = [one["status"] for one in told(desk, quote)]
        assert sorted(seen) == seen and set(seen) == {"processing", "ready"}
