"""The http adapter: one order told to an ERP, which signs for what it takes, and to a chat, which cannot."""

import json

import pytest

from flow.harness import QUICK, demo_config, merge, orders_of, route, wait_until
from sandbox.client import Process
from sandbox.orders import BYRON

pytestmark = pytest.mark.plain  # tests/unit/plugins/test_http.c has its course

OLD_SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
NEW_SECRET = "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD"
CHAT_PATH = "/services/T0/B0/hush"


@pytest.fixture(scope="module")
def erp_process():
    with Process("receiver", "--secret", OLD_SECRET, "--by-id") as erp:
        yield erp


@pytest.fixture
def erp(erp_process):
    """Takes signed requests; the same webhook-id twice is one. To the chat, it is two messages."""
    erp_process.reset()
    return erp_process


@pytest.fixture
def gateway(make_gateway, byron, erp, chat):
    config = demo_config(byron.url)
    merge(config["endpoints"], {
        "byron": None,
        "erp": {"adapter": "http", "base_url": f"{erp.url}/api", "idempotent": True,
                "signing": {"secret": [{"env": "ERP_NEW"}, {"env": "ERP_OLD"}]},
                "accepted": {"reference": "/id"}, **QUICK},
        "chat": {"adapter": "http", "base_url": chat.url, "secret_path": {"env": "CHAT_PATH"},
                 "accepted": {"ok": "/ok"}, **QUICK}})
    config["routes"] = [
        {"name": "order-to-erp", "from": {"endpoint": "acme-shop", "topic": "orders/create"},
         "map": "{id, name, total: .total_price}",
         "to": {"endpoint": "erp", "action": "request.send", "method": "PUT", "path": "/sales-orders/{/id}?by={topic}",
                "headers": {"X-Order": "{/name}"}, "body": "{number: .name, total, key: $delivery.key}"}},
        {"name": "order-to-chat", "from": {"endpoint": "acme-shop", "topic": "orders/create"},
         "map": '{text: "order \\(.name): \\(.total_price)"}', "to": {"endpoint": "chat", "action": "request.send"}}]
    return make_gateway(config, {"ERP_NEW": NEW_SECRET, "ERP_OLD": OLD_SECRET, "CHAT_PATH": CHAT_PATH})


def test_an_order_is_signed_for_the_erp_and_told_to_the_chat(gateway, erp, chat):
    order = orders_of(BYRON)[0]
    # the ERP refuses for pace, then takes the order and its answer is lost; so is the chat's
    erp.faults([{"action": "status", "at": "message", "status": 429, "headers": {"Retry-After": "1"}, "count": 1},
                {"action": "cut_after", "at": "message", "count": 1}])
    chat.fault(action="cut_after", at="message", count=1)
    gateway.post(order)

    # the ERP: sent again under the same id, the bytes the same, signed anew
    wait_until(lambda: gateway.states("erp") == {"delivered": 1}, "the ERP has it")
    books = erp.books()
    assert [one["status"] for one in books["requests"]["log"]] == ["429", "none", "200"]
    assert books["refused"] == []
    (taken,), (again,) = books["messages"], books["replays"]
    sent = gateway.delivery(endpoint="erp")
    assert taken["method"] == "PUT"
    assert taken["path"] == f"/api/sales-orders/{order.summary['id']}?by=orders%2Fcreate"
    assert taken["headers"]["webhook-id"] == again["headers"]["webhook-id"] == sent["key"]
    assert taken["headers"]["x-order"] == order.summary["name"]
    assert taken["headers"]["content-type"] == "application/json"
    assert len(taken["headers"]["webhook-signature"].split(" ")) == 2  # while a secret is being rotated
    assert taken["raw"] == again["raw"]
    body = json.loads(taken["raw"])
    assert (body["number"], body["key"]) == (order.summary["name"], sent["key"])
    assert sent["reference"] == "msg-1"
    assert sent["request"].startswith("PUT /sales-orders/") and sent["request"].endswith(taken["raw"])

    # the chat: nobody can say whether it was shown, so it is shown again only by a person's leave
    wait_until(lambda: gateway.states("chat") == {"held": 1}, "a person is asked")
    held = gateway.delivery(endpoint="chat")
    assert held["hold_type"] == "unknown-outcome"
    assert len(chat.books()["messages"]) == 1
    gateway.decide("release", held["id"])
    wait_until(lambda: gateway.states("chat") == {"delivered": 1})
    first, second = chat.books()["messages"]
    assert first["path"] == second["path"] == CHAT_PATH
    assert json.loads(first["raw"])["text"].startswith(f"order {order.summary['name']}: ")
    assert "webhook-id" not in first["headers"]
    assert "hush" not in gateway.log() and "hush" not in json.dumps(gateway.delivery(endpoint="chat"))


def test_a_remote_that_does_not_know_the_signature_parks_and_burns_nothing(gateway, erp):
    erp.fault(action="status", at="message", status=401, id="no")
    gateway.post(orders_of(BYRON)[0])
    wait_until(lambda: gateway.lane("erp")["parked"], "the ERP's lane is parked")

    def waiting():  # once the answer is written down
        parked = gateway.delivery(endpoint="erp")
        return parked["waits_for"]["text"].startswith("erp is parked: HTTP 401") and parked

    parked = wait_until(waiting, "the delivery says that it waits for that")
    assert parked["attempts_burnt"] == 0
    assert parked["waits_for"]["until"] > parked["updated_at"]
    erp.clear_faults()
    gateway.cli("endpoints", "unpark", "erp")
    wait_until(lambda: gateway.states("erp") == {"delivered": 1})


def test_a_value_that_is_not_there_is_a_dead_letter_that_says_which(gateway, erp):
    route(gateway.config, "order-to-erp")["to"]["path"] = "/sales-orders/{/number}"
    gateway.write()
    gateway.restart()
    gateway.post(orders_of(BYRON)[0])
    wait_until(lambda: gateway.states("erp") == {"dead": 1})
    assert gateway.delivery(endpoint="erp")["moves"][-1]["reason"] == \
        "request: {/number}: the body has nothing there"
    assert erp.books()["messages"] == []


def test_a_mistake_in_the_parameters_is_found_by_check(gateway):
    route(gateway.config, "order-to-erp")["to"]["path"] = "/sales-orders/{id}"
    gateway.write()
    done = gateway.cli("check", ok=False)
    assert done.code == 3
    assert "path: unknown placeholder at column 15" in done.err + done.out


@pytest.mark.parametrize("endpoint, state", [("erp", "delivered"), ("chat", "held")])
def test_after_kill_9_only_what_is_idempotent_goes_again(gateway, erp, chat, endpoint, state):
    remote = {"erp": erp, "chat": chat}[endpoint]
    remote.fault(action="hang_after", at="message", count=1)
    gateway.post(orders_of(BYRON)[0])
    wait_until(lambda: len(remote.books()["messages"]) == 1)
    gateway.kill9()
    gateway.start()
    wait_until(lambda: gateway.states(endpoint) == {state: 1})
    books = remote.books()
    assert len(books["messages"]) == 1  # the ERP was asked again under the same id, the chat was not
    assert len(books["replays"]) == (endpoint == "erp")


@pytest.fixture
def pair(gateway):
    """The ERP, and the chat standing in for a second one; what is in doubt is taken back by a request."""
    config = gateway.config
    merge(config["endpoints"]["erp"], {"idempotent": None})
    merge(config["endpoints"]["chat"], {"accepted": None})
    config["groups"] = {"erps": {"members": ["erp", "chat"], "interlock": {"cancel": {
        "action": "request.cancel", "method": "POST", "path": "/orders/{/id}/cancel?key={key}",
        "headers": {"X-Order": "{/name}"}, "body": "{reason: \"\\(.name) in doubt\", key: $delivery.key}"}}}}
    config["routes"] = [{"name": "order-to-erps", "from": {"endpoint": "acme-shop", "topic": "orders/create"},
                         "map": "{id, name}", "to": {"group": "erps", "action": "request.send", "path": "/orders"}}]
    gateway.write()
    gateway.restart()
    return gateway


def test_what_is_in_doubt_is_taken_back_by_a_request_before_another_gets_it(pair, erp, chat):
    order = orders_of(BYRON)[0]
    erp.fault(action="cut_after", at="message", count=1)  # it has it; nobody heard that
    pair.post(order)
    wait_until(lambda: pair.states("chat") == {"delivered": 1}, "the other one has it")
    sent, taken_back = erp.books()["messages"]
    (got,) = chat.books()["messages"]
    key = json.loads(taken_back["raw"])["key"]
    assert sent["path"] == "/api/orders" and sent["headers"]["webhook-id"] == key
    assert taken_back["path"] == f"/api/orders/{order.summary['id']}/cancel?key={key}"
    assert json.loads(taken_back["raw"])["reason"] == f"{order.summary['name']} in doubt"
    assert taken_back["headers"]["x-order"] == order.summary["name"]
    assert taken_back["headers"]["webhook-id"] == f"{key}-cancel"  # else it were the first once more
    assert json.loads(got["raw"])["id"] == str(order.summary["id"])
    done = pair.delivery(endpoint="chat")
    assert done["key"] != key and "erp has nothing of it: HTTP 200, taken back" in done["detail"]["because"]


def test_what_cannot_be_taken_back_is_a_persons(pair, erp, chat):
    erp.faults([{"action": "cut_after", "at": "message", "count": 1},
                {"action": "status", "at": "message", "status": 409, "body": {"error": {"message": "it has left"}}}])
    pair.post(orders_of(BYRON)[0])
    wait_until(lambda: pair.states("erp") == {"held": 1}, "a person is asked")
    held = pair.delivery(endpoint="erp")
    assert held["hold_type"] == "interlock"
    assert "erp has it and does not take it back: HTTP 409" in held["moves"][-1]["reason"]
    assert chat.books()["messages"] == []
    erp.clear_faults()
    pair.cli("held", "arrived", held["id"], "--why", "asked them")
    wait_until(lambda: pair.states("erp") == {"delivered": 1})
    assert chat.books()["messages"] == []
