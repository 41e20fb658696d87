"""The demonstration as a test: its own comparison of the books decides - and so is tested first."""

import copy
import os
import re
import signal
import subprocess
import sys
import time

import pytest

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
sys.path[:0] = [os.path.join(ROOT, "tests"), os.path.join(ROOT, "tests", "demo")]

from compare import Comparison  # noqa: E402
from sandbox.orders import OrderFactory  # noqa: E402

DEMO = [sys.executable, os.path.join(ROOT, "tests", "demo", "demo.py")]
BUILD = os.environ.get("SLUICE_BUILD") or os.path.join(ROOT, "build")

needs_build = pytest.mark.skipif(not os.path.exists(os.path.join(BUILD, "sluice")), reason="not built")


def books_of(order, vendor):
    """A supplier's books that hold one piece as they should."""
    to, lines = order.summary["shipping_address"], order.summary["by_vendor"][vendor]
    recipient = {name: to[name] for name in ("name", "company", "address1", "address2", "city", "zip",
                                             "country_code")}
    body = {"external_id": "k", "reference": order.summary["name"], "shop_order_id": order.id,
            "currency": order.summary["currency"],
            "recipient": {**recipient, "email": order.summary["email"]},
            "items": [{"external_id": str(line["id"]), "sku": line["sku"], "quantity": line["quantity"],
                       "retail_price": line["price"], "properties": line["properties"]} for line in lines]}
    return {"orders": [{"id": "ord_1", "our_id": "k", "at": 0, "body": body}], "doubles": {}}


def verdict(order, books):
    comparison = Comparison([order])
    comparison.supplier("byron", books)
    return comparison.differences


BYRON_ONLY = next(order for order in OrderFactory(1).orders(200) if order.summary["vendors"] == ["Byron Gears"])


def test_true_books_balance():
    assert verdict(BYRON_ONLY, books_of(BYRON_ONLY, "Byron Gears")) == []


@pytest.mark.parametrize("change", [
    lambda books: books["orders"].clear(),
    lambda books: books["orders"].append(copy.deepcopy(books["orders"][0])),
    lambda books: books["doubles"].update({"k": ["ord_1", "ord_2"]}),
    lambda books: books["orders"][0]["body"].update(shop_order_id=float(BYRON_ONLY.id)),
    lambda books: books["orders"][0]["body"].update(shop_order_id=BYRON_ONLY.id - 1),
    lambda books: books["orders"][0]["body"].update(currency="USD"),
    lambda books: books["orders"][0]["body"]["recipient"].update(name="?"),
    lambda books: books["orders"][0]["body"]["items"][0].update(quantity=99),
    lambda books: books["orders"][0]["body"]["items"][0].update(sku="X"),
    lambda books: books["orders"][0]["body"]["items"][0].update(
        retail_price=float(books["orders"][0]["body"]["items"][0]["retail_price"])),
    lambda books: books["orders"][0]["body"]["items"][0].update(external_id="1"),
    lambda books: books["orders"][0]["body"]["items"].append({"external_id": "1", "sku": "X", "quantity": 1}),
])
def test_one_wrong_field_is_seen(change):
    books = books_of(BYRON_ONLY, "Byron Gears")
    change(books)
    assert verdict(BYRON_ONLY, books) != []


def children(pid):
    """Processes that `pid` started, directly or by another."""
    parents = {}
    for name in os.listdir("/proc"):
        if name.isdigit():
            try:
                with open(f"/proc/{name}/stat", encoding="utf-8", errors="replace") as source:
                    parents[int(name)] = int(source.read().rpartition(")")[2].split()[1])
            except OSError:
                pass  # it has ended meanwhile
    found, todo = set(), [pid]
    while todo:
        parent = todo.pop()
        new = {one for one, its in parents.items() if its == parent} - found
        found |= new
        todo += new
    return found


def alive(pid):
    try:
        with open(f"/proc/{pid}/stat", encoding="utf-8", errors="replace") as source:
            return source.read().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


@needs_build
@pytest.mark.plain
@pytest.mark.slow
def test_a_sale_of_300_orders_balances_to_the_cent():
    ran = subprocess.run([*DEMO, "--once", "--orders", "300", "--seed", "3"], stdout=subprocess.PIPE,
                         stderr=subprocess.STDOUT, text=True, timeout=150,
                         env={**os.environ, "SLUICE_BUILD": BUILD})
    assert ran.returncode == 0, ran.stdout
    assert "300 sent, 0 lost, 0 doubled, 0 changed on the way" in ran.stdout, ran.stdout
    assert "The books balance." in ran.stdout
    assert re.search(r"[1-9]\d* calls of Collections, [1-9]\d* bulk jobs", ran.stdout), ran.stdout


@needs_build
@pytest.mark.plain
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGKILL])
def test_a_demo_that_is_ended_midway_leaves_nothing_running(number):
    demo = subprocess.Popen([*DEMO, "--once", "--orders", "50"], stdout=subprocess.PIPE,
                            stderr=subprocess.STDOUT, text=True, env={**os.environ, "SLUICE_BUILD": BUILD})
    said = []
    try:
        for line in demo.stdout:
            said.append(line)
            if "the sale opens" in line:
                break
        time.sleep(0.5)
        started = children(demo.pid)
        assert len(started) >= 4, f"three stand-ins and the gateway: {said}"
        demo.send_signal(number)
        demo.communicate(timeout=30)
        assert demo.returncode == (130 if number == signal.SIGINT else -signal.SIGKILL)
        until = time.monotonic() + 10
        while any(alive(one) for one in started) and time.monotonic() < until:
            time.sleep(0.05)
        assert [one for one in started if alive(one)] == []
    finally:
        demo.kill()
        demo.wait()
