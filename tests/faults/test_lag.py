"""A flash sale's pace: how long after its webhook an order is at its supplier and in the CRM.

12 s of 500 orders a minute; SLUICE_LONG=1: the whole minute.
"""

import os
import time

import pytest

from faults.traffic import Shop
from flow.harness import check_supplier, demo_config, route, wait_until
from flow.test_main_job import check_opportunities
from sandbox.orders import BYRON, NORD

ORDERS = 500 if os.environ.get("SLUICE_LONG") else 100
AGE_MS, POLL_MS = 2000, 1000


def percentiles(values):
    ordered = sorted(values)
    return {p: ordered[min(len(ordered) - 1, len(ordered) * p // 100)] for p in (50, 90, 99, 100)}


@pytest.mark.alone
def test_500_orders_a_minute_reach_suppliers_within_a_second_and_the_crm_within_its_batch(
        make_gateway, byron, nord, crm):
    config = demo_config(byron.url, nord.url, crm.url, endpoints={
        "crm": {"batch": {"records": 500, "age": f"{AGE_MS}ms"},
                "poll": {"first": "300ms", "cap": f"{POLL_MS}ms"}}})
    route(config, "order-to-crm")["to"]["transport"] = "bulk"  # the slower one
    gateway = make_gateway(config, {"DEMO_CRM_KEY": crm.private_key})
    begun = time.monotonic()
    with Shop(gateway.url, seed=71, rate=500 / 60, duplicates=0.05, limit=ORDERS) as shop:
        shop.thread.join(ORDERS / (500 / 60) + 30)
        shop.finish()
    took_s = time.monotonic() - begun
    wait_until(lambda: gateway.settled(len(shop.orders)), "all is delivered")
    assert len(shop.orders) == ORDERS

    for remote, vendor in ((byron, BYRON), (nord, NORD)):
        books = remote.books()
        check_supplier(books, vendor, shop.orders)
        lag = percentiles([one["at"] - shop.sent_ms[one["body"]["shop_order_id"]] for one in books["orders"]])
        print(f"{vendor}: {len(books['orders'])} orders in {took_s:.1f} s, lag ms {lag}")
        assert lag[99] < 1000, f"{vendor}: lag {lag}"

    check_opportunities(crm, shop.orders)
    lag = percentiles(crm_lags(crm, shop))
    print(f"Salesforce: {ORDERS} orders in {len(crm.books()['jobs'])} jobs, lag ms {lag}")
    assert lag[100] < AGE_MS + POLL_MS, f"Salesforce: lag {lag}"


def crm_lags(crm, shop):
    """From an order's webhook to the close of the job that wrote it: then all is in Salesforce's hands."""
    closed = {}
    for one in crm.books()["requests"]["log"]:
        if one["step"] == "patch":
            closed.setdefault(one["path"].rsplit("/", 1)[1], one["at"])
    return [closed[record["sources"][-1]] - shop.sent_ms[int(record["fields"]["Shopify_Order_Id__c"])]
            for record in crm.records("Opportunity")]
