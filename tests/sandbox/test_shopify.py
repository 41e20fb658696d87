"""The Shopify sender and the order factory."""

import asyncio
import base64
import collections
import hashlib
import hmac
import json
import os
import re
import time
import uuid
from decimal import Decimal

import pytest

from sandbox.client import Process, request
from sandbox.hook_receiver import Receiver
from sandbox.orders import BYRON, DATA, NORD, UNMAPPED, OrderFactory
from sandbox.shopify import RETRY_S, ShopifySender, send_orders, sign

SECRET = "sandbox-app-secret-current"


def vectors():
    with open(os.path.join(DATA, "shopify-hmac-vectors.json"), encoding="utf-8") as source:
        both = json.load(source)
    return both["public"] + both["own"]


def body_of(vector):
    if "body_file" in vector:
        with open(os.path.join(DATA, vector["body_file"]), "rb") as source:
            return source.read()
    return vector["body_utf8"].encode()


@pytest.mark.parametrize("vector", vectors(), ids=lambda one: one.get("name") or one["source"][:40])
def test_signatures_are_the_published_ones(vector):
    body = body_of(vector)
    assert len(body) == vector.get("body_length", len(body))
    assert body.hex() == vector.get("body_hex", body.hex())
    assert sign(vector["secret"], body) == vector["hmac"]
    if "previous_secret" in vector:
        assert sign(vector["previous_secret"], body) == vector["hmac_with_previous_secret"]


def deliver(answers=(), switches=None, body=b'{"id":9007199254740993}', **options):
    """Sends one body; (delivery, receiver, sender)."""

    async def run():
        async with Receiver(answers) as receiver, \
                ShopifySender(receiver.url, SECRET, clock=0.0001, **options) as sender:
            return await sender.send(body, **(switches or {})), receiver, sender

    return asyncio.run(run())


def test_every_header_of_the_table_is_sent():
    _, receiver, _ = deliver(name="eu-orders")
    raw, headers, body = receiver.got[0]
    assert headers["X-Shopify-Topic"] == "orders/create"
    assert headers["X-Shopify-Shop-Domain"] == "example.myshopify.com"
    assert headers["X-Shopify-API-Version"] == "2026-10"
    assert uuid.UUID(headers["X-Shopify-Webhook-Id"]) and uuid.UUID(headers["X-Shopify-Event-Id"])
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z", headers["X-Shopify-Triggered-At"])
    assert headers["X-Shopify-Name"] == "eu-orders" and headers["Content-Type"] == "application/json"
    mac = hmac.new(SECRET.encode(), body, hashlib.sha256).digest()
    assert headers["X-Shopify-Hmac-Sha256"] == base64.b64encode(mac).decode()
    assert "X-Shopify-Sub-Topic" not in headers and "X-Shopify-Test" not in headers
    assert b"X-Shopify-Hmac-Sha256" in [name for name, _ in raw]


def test_a_failure_is_tried_again_with_the_same_ids():
    delivery, receiver, _ = deliver([500, 302, 404])
    assert [one["status"] for one in delivery.attempts] == [500, 302, 404, 200]
    assert delivery.final == "delivered"
    for name in ("X-Shopify-Webhook-Id", "X-Shopify-Event-Id", "X-Shopify-Triggered-At",
                 "X-Shopify-Hmac-Sha256"):
        assert len({headers[name] for _, headers, _ in receiver.got}) == 1


def test_after_eight_retries_it_gives_up():
    delivery, receiver, sender = deliver([500] * 20)
    assert len(delivery.attempts) == len(receiver.got) == 9 and delivery.final == "failed"
    assert len(RETRY_S) == 8 and sum(RETRY_S) <= 4 * 3600
    assert not sender.removed and sender.worst_row == 9


def test_a_subscription_made_through_the_api_is_gone_after_eight_failures():
    delivery, receiver, sender = deliver([500] * 20, removable=True)
    assert sender.removed and len(receiver.got) == 8 and delivery.final == "dropped"


def test_any_2xx_is_success():
    assert deliver([204])[0].final == "delivered"


def test_five_seconds_is_the_limit():
    delivery, _, _ = deliver(["hang"], {"retry": False})
    assert delivery.attempts[0]["error"] and 4900 <= delivery.attempts[0]["ms"] < 15000


def test_switches_of_a_bad_day():
    _, receiver, _ = deliver(switches={"signature": "x", "lower_case": True, "drop": ["X-Shopify-Topic"],
                                       "webhook_id": "w-1", "test": True})
    raw, headers, _ = receiver.got[0]
    assert headers["X-Shopify-Hmac-Sha256"] == "x" and headers["X-Shopify-Webhook-Id"] == "w-1"
    assert b"x-shopify-hmac-sha256" in [name for name, _ in raw] and "X-Shopify-Topic" not in headers
    _, receiver, _ = deliver(switches={"secret": "old"}, body=b"{}")
    assert receiver.got[0][1]["X-Shopify-Hmac-Sha256"] == sign("old", b"{}")


def test_a_burst_reuses_lines_and_knows_what_it_sent():
    async def run():
        async with Receiver() as receiver, \
                ShopifySender(receiver.url, SECRET, concurrency=8, connect_s=30, total_s=60) as sender:
            orders = OrderFactory(5).orders(120)
            done = await send_orders(sender, orders, duplicates=0.2, bad_signature=0.1, updates=0.1, seed=3)
            return orders, done, receiver, sender.books()

    orders, done, receiver, books = asyncio.run(run())
    assert len(done["sent"]) + len(done["forged"]) == 120 and done["twice"] and done["forged"]
    assert len(receiver.lines) <= 8
    ids = collections.Counter(headers["X-Shopify-Webhook-Id"] for _, headers, _ in receiver.got)
    assert sum(times == 2 for times in ids.values()) == len(done["twice"])
    topics = collections.defaultdict(set)
    for _, headers, _ in receiver.got:
        topics[headers["X-Shopify-Event-Id"]].add(headers["X-Shopify-Topic"])
    assert {"orders/create", "orders/updated"} in topics.values()
    bad = sum(headers["X-Shopify-Hmac-Sha256"] != sign(SECRET, body) for _, headers, body in receiver.got)
    assert bad == len(done["forged"])
    assert books["attempts"] == len(receiver.got) and books["final"] == {"delivered": len(receiver.got)}
    assert books["latency_ms"]["p99"] > 0


def test_the_sender_can_be_told_over_its_control_api():
    with Process("supplier") as anybody, Process("shopify", "--serve", "--clock", "0.0001") as shop:
        anybody.fault(action="status", status=200)
        status, _, _ = request(shop.url, "POST", "/_control/send",
                               {"count": 5, "url": anybody.url + "/in/shop"})
        assert status == 202
        end = time.monotonic() + 30
        while shop.books()["final"].get("delivered") != 5:
            assert time.monotonic() < end
            time.sleep(0.02)
        assert anybody.books()["requests"]["total"] == 5


# ---- orders ----

@pytest.fixture(scope="module")
def made():
    return OrderFactory(seed=11).orders(600)


def test_orders_are_the_same_for_the_same_seed(made):
    assert [one.body for one in OrderFactory(seed=11).orders(20)] == [one.body for one in made[:20]]
    assert not {one.id for one in OrderFactory(seed=12).orders(600)} & {one.id for one in made}


def test_ids_are_unique_and_no_double_can_hold_them(made):
    for ids in ([one.id for one in made], [line["id"] for one in made for line in one.summary["lines"]]):
        assert len(set(ids)) == len(ids)
        assert all(2**53 < one < 2**63 and int(float(one)) != one for one in ids)


def test_bodies_have_the_sample_s_keys_and_come_in_several_spellings(made):
    sample = OrderFactory().sample
    for one in made:
        document = json.loads(one.body)
        assert list(document) == list(sample)
        assert {key for line in document["line_items"] for key in line} == set(sample["line_items"][0])
        assert document == one.document
    assert any(b"\\/" in one.body for one in made) and any(b"\\u00" in one.body for one in made)
    assert any("Ångström".encode() in one.body for one in made)


def test_every_kind_of_order_is_there(made):
    kinds = collections.Counter(tuple(one.summary["vendors"]) for one in made)
    assert all(kinds[kind] for kind in ((BYRON,), (NORD,), (BYRON, NORD), (UNMAPPED,)))
    assert kinds[(UNMAPPED, BYRON)] + kinds[(UNMAPPED, NORD)] + kinds[(BYRON, UNMAPPED)]  # sorted, some order
    assert any(one.summary["customer_id"] is None for one in made)
    assert any(one.summary["customer_id"] for one in made)
    notes = "".join(one.summary["note"] or "" for one in made)
    assert all(sign_ in notes for sign_ in ('"', ",", "\n", "☕", "\\"))
    assert len({one.summary["total_price"] for one in made}) > 500


def test_money_adds_up_to_the_cent(made):
    for one in made:
        document = one.document
        lines = document["line_items"]
        gross = sum(Decimal(line["price"]) * line["quantity"] for line in lines)
        off = sum(Decimal(part["amount"]) for line in lines for part in line["discount_allocations"])
        tax = sum(Decimal(part["price"]) for line in lines + document["shipping_lines"]
                  for part in line["tax_lines"])
        shipping = sum(Decimal(line["price"]) for line in document["shipping_lines"])
        assert gross == Decimal(document["total_line_items_price"])
        assert off == Decimal(document["total_discounts"])
        assert gross - off == Decimal(document["subtotal_price"])
        assert tax == Decimal(document["total_tax"])
        assert gross - off + shipping + tax == Decimal(document["total_price"])
        for name, value in document.items():
            if name.endswith("_set") and isinstance(document.get(name[:-4]), str):
                assert value["shop_money"]["amount"] == document[name[:-4]]
        assert re.fullmatch(r"\d+\.\d\d", document["total_price"])


def test_an_update_is_the_same_order_later(made):
    later = OrderFactory(seed=11).updated(made[3], 2)
    assert later.id == made[3].id and later.summary["updated_at"] > made[3].summary["updated_at"]
    assert later.summary["note"] == "change no. 2" and later.body != made[3].body
