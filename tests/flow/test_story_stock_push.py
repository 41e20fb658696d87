"""What is in stock at a supplier goes into the shop: many levels in one call, equal ones not at all, the newest figure of
those that wait - and never over what the shop has sold or corrected meanwhile, whatever is killed or torn."""

import math
import time

import pytest

from flow.harness import wait_until
from flow.stock_push import ENV, MILL, Ledger, config_for, delivered, post, say
from flow.test_story_stock_feed import FEED, put
from sandbox.client import Process

pytestmark = pytest.mark.plain  # tests/unit/plugins/test_shopify_stock.c has its course

QUICK = {"retry": {"first": "50ms", "cap": "300ms"}, "breaker": {"min_calls": 1000},
         "timeout": {"first_byte": "2s", "total": "4s"}}
LEEDS, BONN = "gid://shopify/Location/601", "gid://shopify/Location/602"
SETS, READS = "inventorySetQuantities", "query Levels"


@pytest.fixture(scope="module")
def shop_process():
    with Process("shopify_admin", "--points", 20000, "--restore", 1000) as running:
        yield running


@pytest.fixture
def shop(shop_process):
    """SKU-0 to SKU-599, 12 of each at the mill; two more locations."""
    shop_process.reset()
    shop_process.call("POST", "locations", [{"name": "Leeds", "id": LEEDS}, {"name": "Bonn", "id": BONN}])
    shop_process.call("POST", "variants", [{"sku": f"SKU-{n}", "stock": {MILL: 12}} for n in range(600)])
    return shop_process


@pytest.fixture
def start(make_gateway, shop):
    def make(crm=None, routes=(), **endpoint):
        config = config_for(shop, crm and {
            "instance": crm.url, "feeds": {"stock": FEED}, "poll": {"first": "50ms", "cap": "200ms"},
            "auth": {"client_id": "3MVG9sandbox-consumer-key", "username": "integration@example.com",
                     "key": {"env": "DEMO_CRM_KEY"}}}, **{**QUICK, "batch": {"age": "100ms"}, **endpoint})
        config["routes"] += routes
        return make_gateway(config, {**ENV, **({"DEMO_CRM_KEY": crm.private_key} if crm else {})})

    return make


def level(sku, quantity, location="Mill Yard"):
    return {"sku": sku, "location": location, "quantity": quantity}


def asked(shop, document):
    """How often the shop was asked this."""
    by_name = shop.call("GET", "books?brief=1")["points"]["by_operation"]
    return by_name.get(document, {}).get("calls", 0)


# ---- what is written ----


def test_what_changes_in_the_crm_is_written_and_what_is_equal_is_not(start, shop, crm):
    put(crm, 1, 2, 3, stock=5)
    put(crm, 4, stock=12)
    ledger = Ledger(shop)
    gateway = start(crm)
    delivered(gateway, 4)
    assert sorted(ledger.written()) == [((f"SKU-{n}", MILL), 5) for n in (1, 2, 3)]
    same = next(one for one in gateway.deliveries(endpoint="acme-shop") if one["piece"] == "SKU-4")
    assert same["state"] == "delivered" and not same["reference"]
    put(crm, 2, stock=0)
    delivered(gateway, 5)
    assert ledger.written()[3:] == [(("SKU-2", MILL), 0)]


def test_lists_may_say_things_twice_by_names_and_ids_and_as_texts(start, shop):
    ledger, gateway = Ledger(shop), start()
    say(gateway, [level("SKU-1", 3, "Leeds"), level("SKU-1", "4", "Leeds"), level("SKU-1", 5, "602"), level("SKU-1", -2)])
    delivered(gateway, 3)
    assert sorted(ledger.written()) == [(("SKU-1", LEEDS), 4), (("SKU-1", BONN), 5), (("SKU-1", MILL), 0)]


def test_the_newest_figure_supersedes_those_that_wait_level_by_level(start, shop):
    ledger, gateway = Ledger(shop), start()
    gateway.cli("endpoints", "pause", "acme-shop")
    for count in (9, 8, 7):
        say(gateway, [level(f"SKU-{n}", count) for n in range(count)])
    wait_until(lambda: gateway.states("acme-shop") == {"ready": 9, "superseded": 15})
    gateway.cli("endpoints", "resume", "acme-shop")
    wait_until(lambda: gateway.states("acme-shop") == {"delivered": 9, "superseded": 15})
    assert sorted(ledger.written()) == [((f"SKU-{n}", MILL), 7 if n < 7 else 8 if n == 7 else 9) for n in range(9)]


def test_an_unknown_sku_is_one_dead_letter_and_the_others_are_written(start, shop):
    ledger, gateway = Ledger(shop), start()
    say(gateway, [*(level(f"SKU-{n}", 5) for n in range(60)), level("NONE", 5), level("SKU-77", "many"),
                  level("SKU-78", 5, "Atlantis")])
    wait_until(lambda: gateway.states("acme-shop") == {"delivered": 60, "dead": 3})
    reasons = sorted(one["reason"] for one in gateway.deliveries(state="dead"))
    assert any('no variant has the SKU "NONE"' in one for one in reasons)
    assert any('the shop has no location "Atlantis"; there are: ' in one and "Leeds" in one for one in reasons)
    assert any("quantity" in one for one in reasons)
    assert len(ledger.written()) == 60


# ---- the shop changes meanwhile ----


@pytest.mark.parametrize("change, left", [({"delta": -2}, 8), ({"delta": 30}, 40), ({"available": 0}, 0)])
def test_what_the_shop_changes_between_read_and_write_stays(start, shop, change, left):
    ledger, gateway = Ledger(shop), start()
    shop.fault(action="meanwhile", at="nodes", count=1, stock=[{"sku": "SKU-7", "location": MILL, **change}])
    say(gateway, [level(f"SKU-{n}", 10) for n in range(40)])
    delivered(gateway, 40)
    figures = {(f"SKU-{n}", MILL): 10 for n in range(40)}
    assert ledger.overwritten(figures) == {}
    assert ledger.levels["SKU-7", MILL]["on_hand"] == left
    spent = ledger.spent()
    assert spent["user_errors"] == 1, "the first mutation was refused, as a whole"
    assert len(ledger.written()) == (39 if left == 0 else 40)


def test_a_shop_that_sells_all_the_time_loses_no_sale(start, shop):
    ledger, gateway = Ledger(shop), start()
    shop.fault(action="meanwhile", at="nodes", probability=0.4, seed=3)
    figures = {(f"SKU-{n}", MILL): 20 + n % 7 for n in range(500)}
    for first in range(0, 500, 50):
        say(gateway, [level(f"SKU-{n}", figures[f"SKU-{n}", MILL]) for n in range(first, first + 50)], number=first)
    delivered(gateway, 500)
    assert ledger.overwritten(figures) == {}
    assert ledger.sales() > 0


def test_two_lists_about_one_level_do_not_take_each_other_for_sales(start, shop):
    ledger, gateway = Ledger(shop), start(batch={"age": "0s"})
    shop.fault(action="slow", at="graphql", body_match=READS, ms=400)
    say(gateway, [level("SKU-1", 10)], number=1)
    wait_until(lambda: asked(shop, "Levels") == 1)
    say(gateway, [level("SKU-1", 9)], number=2)
    delivered(gateway, 2)
    assert ledger.written() == [(("SKU-1", MILL), 10), (("SKU-1", MILL), 9)] and ledger.spent()["user_errors"] == 0


# ---- killed, torn ----


@pytest.mark.parametrize("fault", ["slow", "hang"])  # acts, does not act
def test_kill_9_between_the_checkpoint_and_the_answer_writes_nothing_twice(start, shop, fault):
    ledger, gateway = Ledger(shop), start(timeout={"first_byte": "60s", "total": "60s"})
    rule = {"action": fault, "at": "graphql", "body_match": SETS, "count": 1, "ms": 60_000}
    shop.fault(**rule)
    say(gateway, [level(f"SKU-{n}", 10) for n in range(100)])
    wait_until(lambda: shop.call("GET", "books?brief=1")["requests"]["faults"].get(fault) == 1, "the mutation has come")
    gateway.kill9()
    shop.clear_faults()
    # a sale behind its back: what is sent again must not undo it
    shop.call("POST", "stock", [{"sku": "SKU-3", "location": MILL, "delta": -1}])
    gateway.start()
    delivered(gateway, 100)
    assert ledger.overwritten({(f"SKU-{n}", MILL): 10 for n in range(100)}) == {}
    assert len(ledger.written()) == 100


@pytest.mark.parametrize("fault", ["cut_after", "torn", "cut_before", "status"])
def test_a_lost_answer_takes_back_no_sale(start, shop, fault):
    """It is done, its answer is lost, the shop sells one: what is sent again is the same, and not what is read then."""
    ledger, gateway = Ledger(shop), start()
    shop.fault(action=fault, at="graphql", body_match=SETS, count=1)
    say(gateway, [level(f"SKU-{n}", 10) for n in range(50)])
    wait_until(lambda: shop.call("GET", "books?brief=1")["requests"]["faults"].get(fault) == 1)
    shop.call("POST", "stock", [{"sku": "SKU-3", "location": MILL, "delta": -1}])
    delivered(gateway, 50)
    assert ledger.overwritten({(f"SKU-{n}", MILL): 10 for n in range(50)}) == {}
    assert len(ledger.written()) == 50


@pytest.mark.parametrize("fault", ["cut_after", "torn", "hang_after", "status_after"])
def test_what_is_adjusted_is_adjusted_once_over_a_torn_answer(start, shop, fault):
    ledger = Ledger(shop)
    gateway = start(routes=[{
        "name": "count-to-shop", "from": {"endpoint": "crm", "topic": "callout/StockCount/*"},
        "map": '{changes: [.fields.found[] | {sku, delta, location: "Mill Yard"}], reason: "damaged",'
               ' reference: .fields.paper}',
        "to": {"endpoint": "acme-shop", "action": "inventory.adjust"}}])
    shop.fault(action=fault, at="graphql", body_match="inventoryAdjustQuantities", count=2, ms=300)
    post(gateway, "StockCount", 1, {"paper": "erp://count/77",
                                    "found": [{"sku": "SKU-1", "delta": -2}, {"sku": "SKU-2", "delta": 3}]})
    delivered(gateway, 1)
    assert sorted(ledger.written()) == [(("SKU-1", MILL), 10), (("SKU-2", MILL), 15)]


# ---- calls ----


def test_a_push_takes_few_calls(start, shop):
    """600 SKUs in three locations, 1,800 levels, as a benchmark does it with more; again with a tenth of them changed."""
    ledger, gateway = Ledger(shop), start()
    figures = {(f"SKU-{n}", location): 20 + n % 9 for n in range(600) for location in (MILL, LEEDS, BONN)}

    def push(keys):
        gateway.cli("endpoints", "pause", "acme-shop")
        say(gateway, [level(sku, figures[sku, place], place) for sku, place in keys])
        wait_until(lambda: gateway.states("acme-shop").get("ready") == len(keys))
        gateway.cli("endpoints", "resume", "acme-shop")

    push(list(figures))
    delivered(gateway, 1800)
    batches = math.ceil(1800 / 250)
    first = ledger.spent()
    assert first["calls"] <= 2 * batches + 600 / 50 + batches and first["refused"] == 0, first
    for at, key in enumerate(figures):
        figures[key] += at % 10 == 0
    push(list(figures))
    delivered(gateway, 3600)
    assert ledger.overwritten(figures) == {}
    assert len(ledger.written()) == 1800 + 180
    assert ledger.spent()["calls"] - first["calls"] <= 2 * batches + 2


def test_what_trickles_in_gathers_for_a_second(start, shop):
    gateway = start(batch={})
    began = time.monotonic()
    for n in range(40):
        say(gateway, [level(f"SKU-{n}", 5)], number=n)
        time.sleep(0.03)
    delivered(gateway, 40)
    assert asked(shop, "InventorySetQuantities") <= 2 + (time.monotonic() - began)
