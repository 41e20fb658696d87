"""The fault machinery, seen from a raw socket: what the caller gets, and what was done all the same."""

import json
import socket
import subprocess
import time

import pytest

from sandbox.client import Process, request

ORDER = {"external_id": "GW-1", "recipient": {"name": "Ada"}, "items": [{"sku": "X", "quantity": 1}]}


@pytest.fixture(scope="module")
def process():
    with Process("supplier", "--idempotency", "none") as running:
        yield running


@pytest.fixture
def supplier(process):
    process.reset()
    return process


def raw_order(supplier, name="GW-1", timeout=5):
    """Posts an order over a raw socket; every byte that came back, and the error that ended it (or None)."""
    body = json.dumps({**ORDER, "external_id": name}).encode()
    head = (f"POST /orders HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
            f"Content-Length: {len(body)}\r\nConnection: close\r\n\r\n").encode()
    got = b""
    with socket.create_connection(("127.0.0.1", supplier.port), timeout=timeout) as line:
        line.sendall(head + body)
        try:
            while piece := line.recv(65536):
                got += piece
        except OSError as error:
            return got, error
    return got, None


def orders(supplier):
    return [one["our_id"] for one in supplier.books()["orders"]]


def wait_for(condition, seconds=30):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.01)


def test_without_a_fault_the_order_is_taken_and_answered(supplier):
    got, error = raw_order(supplier)
    assert error is None and got.startswith(b"HTTP/1.1 201 ")
    assert orders(supplier) == ["GW-1"]


def test_cut_after_acts_and_sends_not_one_byte(supplier):
    supplier.fault(action="cut_after", at="order", count=1)
    got, error = raw_order(supplier)
    assert got == b"" and error is None
    assert orders(supplier) == ["GW-1"]
    got, _ = raw_order(supplier)
    assert got.startswith(b"HTTP/1.1 201 ")
    assert supplier.books()["doubles"] == {"GW-1": ["ord_supplier0000001", "ord_supplier0000002"]}


def test_cut_after_by_reset_acts_too(supplier):
    supplier.fault(action="cut_after", at="order", how="reset")
    got, error = raw_order(supplier)
    assert got == b"" and isinstance(error, ConnectionResetError)
    assert orders(supplier) == ["GW-1"]


@pytest.mark.parametrize("action, wanted", [("reset", ConnectionResetError), ("cut_before", type(None))])
def test_before_acting_nothing_is_done(supplier, action, wanted):
    supplier.fault(action=action, at="order")
    got, error = raw_order(supplier)
    assert got == b"" and isinstance(error, wanted)
    assert orders(supplier) == []


def test_cut_late_acts_after_the_line_is_gone(supplier):
    supplier.fault(action="cut_late", ms=200)
    begun = time.monotonic()
    got, _ = raw_order(supplier)
    early = orders(supplier)
    assert got == b"" and (early == [] or time.monotonic() - begun >= 0.2)
    wait_for(lambda: orders(supplier) == ["GW-1"])


def test_hang_never_acts_and_hang_after_has_acted(supplier):
    supplier.fault(action="hang", count=1)
    assert isinstance(raw_order(supplier, "GW-1", timeout=0.2)[1], TimeoutError)
    wait_for(lambda: supplier.books()["requests"]["faults"] == {"hang": 1})
    assert orders(supplier) == []
    supplier.fault(action="hang_after", count=1)
    assert isinstance(raw_order(supplier, "GW-2", timeout=0.2)[1], TimeoutError)
    wait_for(lambda: orders(supplier) == ["GW-2"])


def test_a_hang_with_an_end_closes(supplier):
    supplier.fault(action="hang", ms=50)
    assert raw_order(supplier) == (b"", None)


def test_torn_promises_more_than_it_sends(supplier):
    supplier.fault(action="torn", bytes=7)
    got, _ = raw_order(supplier)
    head, _, body = got.partition(b"\r\n\r\n")
    assert b"201 Created" in head and body == b'{"id":"'
    assert int(head.lower().split(b"content-length: ")[1].split(b"\r\n")[0]) > 7
    assert orders(supplier) == ["GW-1"]


def test_garbage_and_status_answer_what_was_not_agreed(supplier):
    supplier.fault(action="garbage", count=1)
    status, _, body = request(supplier.url, "POST", "/orders", ORDER)
    assert status == 200 and b"0xDEAD" in body and orders(supplier) == ["GW-1"]
    supplier.fault(action="status", status=429, headers={"Retry-After": "3"}, count=1)
    status, headers, _ = request(supplier.url, "POST", "/orders", ORDER)
    assert (status, headers["Retry-After"]) == (429, "3") and len(orders(supplier)) == 1


def test_slow_and_drip_take_their_time_and_are_whole(supplier):
    for action in ("slow", "drip"):
        supplier.faults([{"action": action, "ms": 200}])
        begun = time.monotonic()
        got, _ = raw_order(supplier)
        assert time.monotonic() - begun >= 0.18
        assert json.loads(got.partition(b"\r\n\r\n")[2])["outcome"] == "Created"


def test_count_skip_and_match_choose_the_requests(supplier):
    supplier.faults([{"action": "status", "status": 500, "skip": 1, "count": 1},
                     {"action": "status", "status": 502, "body_match": "GW-odd"},
                     {"action": "status", "status": 504, "at": "lookup", "path": "secret"}])
    statuses = [request(supplier.url, "POST", "/orders", {**ORDER, "external_id": name})[0]
                for name in ("GW-1", "GW-2", "GW-3", "GW-odd")]
    assert statuses == [201, 500, 201, 502]
    assert request(supplier.url, "GET", "/orders/@secret")[0] == 504
    assert request(supplier.url, "GET", "/orders/@other")[0] == 404


def test_chance_is_seeded(supplier):
    def pattern(seed):
        supplier.faults([{"action": "status", "status": 500, "at": "order", "probability": 0.5,
                          "seed": seed}])
        return [request(supplier.url, "POST", "/orders", {**ORDER, "external_id": f"GW-{n}"})[0]
                for n in range(12)]

    assert pattern(7) == pattern(7)
    assert set(pattern(7)) == {201, 500}
    assert pattern(7) != pattern(8)


def test_a_window_opens_and_closes(supplier):
    """Asked all the time; each answer is held against the moments that are surely before, in and after it."""
    sent = time.monotonic()
    supplier.fault(action="status", status=503, after_ms=400, for_ms=500)
    told = time.monotonic()
    while (asked := time.monotonic()) < told + 1.1:
        status, answered = request(supplier.url, "GET", "/orders")[0], time.monotonic()
        if answered < sent + 0.4 or asked > told + 0.9:
            assert status == 200
        elif asked > told + 0.4 and answered < sent + 0.9:
            assert status == 503
        time.sleep(0.01)


def test_a_rule_that_could_never_work_is_refused(supplier):
    for wrong in ({"action": "explode"}, {"action": "hang", "tims": 3}, {"action": "hang", "count": "3"},
                  {"action": "hang", "path": "("}):
        status, _, body = request(supplier.url, "POST", "/_control/faults", wrong)
        assert status == 400 and json.loads(body)["error"]


def test_rules_are_listed_replaced_by_id_and_cleared(supplier):
    supplier.fault(action="hang", id="one")
    supplier.fault(action="reset", id="one")
    rules = supplier.call("GET", "faults")["rules"]
    assert [(rule["id"], rule["action"], rule["fired"]) for rule in rules] == [("one", "reset", 0)]
    assert supplier.clear_faults() == {"rules": []}
    assert request(supplier.url, "GET", "/orders")[0] == 200


def test_an_upload_that_breaks_off_is_counted_and_does_nothing(supplier):
    with socket.create_connection(("127.0.0.1", supplier.port)) as line:
        line.sendall(b"POST /orders HTTP/1.1\r\nHost: x\r\nContent-Length: 500\r\n\r\n{")
        wait_for(lambda: supplier.books()["requests"]["total"] == 1)
    wait_for(lambda: supplier.books()["requests"]["incomplete"] == 1)
    assert orders(supplier) == []


def test_books_outlive_the_process(tmp_path):
    path = tmp_path / "books.json"
    with Process("supplier", "--idempotency", "key", "--books", path) as supplier:
        request(supplier.url, "POST", "/orders", ORDER)
        request(supplier.url, "GET", "/orders/@nobody")
    books = json.loads(path.read_text())
    assert [one["our_id"] for one in books["orders"]] == ["GW-1"]
    assert books["requests"]["by_status"] == {"201": 1, "404": 1}


def test_faults_and_port_can_be_given_at_the_start(tmp_path):
    port_file = tmp_path / "port"
    with Process("supplier", "--port-file", port_file, "--faults",
                 '[{"action":"status","status":418}]') as supplier:
        assert int(port_file.read_text()) == supplier.port
        assert request(supplier.url, "GET", "/orders")[0] == 418
        assert supplier.health()["ok"]


def test_https_and_a_cut_line_under_it(tmp_path):
    cert, key = tmp_path / "cert.pem", tmp_path / "key.pem"
    subprocess.run(["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj",
                    "/CN=localhost",
                    "-keyout", key, "-out", cert], check=True, capture_output=True)
    with Process("supplier", "--tls-cert", cert, "--tls-key", key) as supplier:
        assert supplier.url.startswith("https://")
        assert request(supplier.url, "POST", "/orders", ORDER)[0] == 201
        supplier.fault(action="cut_after", how="reset", count=1)
        with pytest.raises(OSError):
            request(supplier.url, "POST", "/orders", {**ORDER, "external_id": "GW-2"})
        assert orders(supplier) == ["GW-1", "GW-2"]


def test_what_was_sent_before_a_reset_is_not_in_the_books_after_it(process):
    with socket.create_connection(("127.0.0.1", process.port), 5) as before:
        before.sendall(b"GET /orders HTTP/1.1\r\nHost: x\r\n")  # the rest of it comes too late
        process.reset()
        try:
            before.sendall(b"\r\n")
            gone = before.recv(1) == b""
        except ConnectionError:
            gone = True
    assert gone and process.books()["requests"]["total"] == 0
