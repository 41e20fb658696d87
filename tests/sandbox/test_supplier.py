"""The supplier stand-in: two characters, validation, look-ups, rate."""

import email.utils
import json
import math
import time

import pytest

from sandbox.client import Process, request

ORDER = {"merchantReference": "GW-1", "recipient": {"name": "Ada"}, "items": [{"sku": "X", "quantity": 2}]}
AUTH = {"Authorization": "Bearer t0ken"}


def post(supplier, body=None, key=None, **headers):
    if key:
        headers["Idempotency-Key"] = key
    status, answered, text = request(supplier.url, "POST", "/orders", ORDER if body is None else body,
                                     {**AUTH, **headers})
    return status, json.loads(text), answered


def get(supplier, path):
    status, _, text = request(supplier.url, "GET", path, headers=AUTH)
    return status, json.loads(text)


@pytest.fixture(scope="module")
def processes():
    with Process("supplier", "--idempotency", "key", "--token", "t0ken", "--reject-sku", "^GONE") as keyed, \
            Process("supplier", "--idempotency", "none", "--token", "t0ken", "--name", "nord") as plain:
        yield keyed, plain


@pytest.fixture
def keyed(processes):
    processes[0].reset()
    return processes[0]


@pytest.fixture
def plain(processes):
    processes[1].reset()
    return processes[1]


def test_an_order_is_created_and_kept_as_received(keyed):
    exact = b'{"merchantReference":"GW-1", "recipient":{"name":"Zo\xc3\xab"},"items":[{"sku":"X","quantity":1,"ref":9007199254740993}]}'
    status, body, _ = post(keyed, exact, key="k1")
    assert status == 201 and body["id"].startswith("ord_") and body["outcome"] == "Created"
    order = keyed.books()["orders"][0]
    assert order["raw"].encode() == exact and order["key"] == "k1"
    assert order["body"]["items"][0]["ref"] == 9007199254740993


def test_the_same_key_is_the_same_order(keyed):
    first = post(keyed, key="k1")[1]
    status, again, _ = post(keyed, key="k1")
    assert status == 200 and again["id"] == first["id"] and again["outcome"] == "AlreadyExists"
    books = keyed.books()
    assert len(books["orders"]) == 1 and books["requests"]["by_step"]["order"] == 2 and books["doubles"] == {}
    assert [(one["key"], one["same_body"]) for one in books["replays"]] == [("k1", True)]


def test_another_body_under_the_same_key_shows_in_the_books(keyed):
    post(keyed, key="k1")
    assert post(keyed, {**ORDER, "items": [{"sku": "Y", "quantity": 1}]}, key="k1")[0] == 200
    assert keyed.books()["replays"][0]["same_body"] is False


def test_another_key_is_another_order(keyed):
    post(keyed, key="k1")
    assert post(keyed, key="k2")[0] == 201
    assert list(keyed.books()["doubles"]) == ["GW-1"]


def test_without_idempotency_a_second_post_is_a_second_order(plain):
    assert [post(plain, key="k1")[0], post(plain, key="k1")[0]] == [201, 201]
    assert plain.books()["doubles"] == {"GW-1": ["ord_nord0000001", "ord_nord0000002"]}


def test_our_id_finds_the_order(plain):
    assert get(plain, "/orders/@GW-9")[0] == 404
    assert get(plain, "/orders?merchantReference=GW-9") == (200,
                                                            {"outcome": "Ok", "orders": [], "hasMore": False})
    made = post(plain, {**ORDER, "merchantReference": "GW-9"})[1]
    assert get(plain, "/orders/@GW-9")[1]["id"] == made["id"]
    assert get(plain, "/orders/" + made["id"])[1]["merchantReference"] == "GW-9"
    for path in ("/orders?merchantReference=GW-9", "/orders?merchantReferences[]=GW-9"):
        assert [one["id"] for one in get(plain, path)[1]["orders"]] == [made["id"]]


@pytest.mark.parametrize("change, code", [
    ({"merchantReference": None}, "missing_reference"),
    ({"external_id": "#1001"}, "invalid_external_id"),
    ({"external_id": "x" * 33}, "invalid_external_id"),
    ({"recipient": None}, "missing_recipient"),
    ({"items": []}, "missing_items"),
    ({"items": [{"quantity": 1}]}, "missing_sku"),
    ({"items": [{"sku": "X", "quantity": 0}]}, "invalid_quantity"),
    ({"items": [{"sku": "X", "quantity": "2"}]}, "invalid_quantity"),
    ({"items": [{"sku": "GONE-1", "quantity": 1}]}, "unknown_sku"),
])
def test_a_bad_order_is_refused_with_its_reason(keyed, change, code):
    status, body, _ = post(keyed, {**ORDER, **change}, key="k")
    assert status == 422 and body["error"]["code"] == code and body["error"]["message"]
    books = keyed.books()
    assert books["orders"] == [] and books["rejected"][0]["code"] == code
    assert post(keyed, ORDER, key="k")[0] == 201  # a refusal does not use the key up


def test_what_is_not_json_is_refused(keyed):
    assert post(keyed, b"{")[1]["error"]["code"] == "invalid_json"


def test_the_token_is_asked_for(keyed):
    assert request(keyed.url, "POST", "/orders", ORDER)[0] == 401
    assert keyed.books()["orders"] == []


@pytest.mark.parametrize("hint", ["seconds", "date", "none", "reset", "x-retry-after"])
def test_too_many_requests_say_when_to_come_again(hint):
    with Process("supplier", "--rate", "6/m", "--burst", 3, "--retry-after", hint) as supplier:
        begun = time.monotonic()
        answers = [post(supplier, {**ORDER, "merchantReference": f"GW-{n}"}) for n in range(6)]
        late = time.monotonic() - begun
        assert [status for status, _, _ in answers] == [201, 201, 201, 429, 429, 429]
        headers = answers[-1][2]
        assert ("Retry-After" in headers) == (hint in ("seconds", "date"))
        if hint == "seconds":
            assert math.floor(10 - late) <= int(headers["Retry-After"]) <= 10
        elif hint == "date":
            assert email.utils.parsedate_to_datetime(headers["Retry-After"])
        elif hint == "reset":
            assert 29 - late < float(headers["X-RateLimit-Reset"]) <= 30 and headers["X-RateLimit-Remaining"] == "0"
        elif hint == "x-retry-after":
            assert math.floor(10 - late) <= int(headers["x-retry-after"]) <= 10
        books = supplier.books()
        assert books["requests"]["by_status"] == {"201": 3, "429": 3} and len(books["orders"]) == 3
