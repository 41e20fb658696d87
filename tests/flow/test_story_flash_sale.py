"""The story of a flash sale and a CRM: ten thousand orders within a minute, of customers who order again and again.

Every order makes two deliveries, its customer's Account and then the Opportunity below it. The org locks what is being
written and the parents of it, counts calls, and refuses what is too much.
"""

import copy
import os
import random
from collections import Counter
from decimal import Decimal

import pytest

from flow.harness import byron_orders, demo_config, merge, route, wait_until
from sandbox.orders import Order

LONG = bool(os.environ.get("SLUICE_LONG"))
A_MINUTE = 10_000
ORDERS = A_MINUTE if LONG else 1_500  # at the same pace
CUSTOMERS = 400
CALLS = 400 if LONG else 200          # that the org still has for the day: some 40 for a thousand orders

CRM = {
    "poll": {"first": "200ms", "cap": "1s"}, "batch": {"records": 5000, "age": "3s"},
    "retry": {"first": "200ms", "cap": "1s"}, "timeout": {"first_byte": "10s", "total": "30s"},
}


def orders_of_few_customers(count):
    rng = random.Random(5)
    orders = []
    for number, order in enumerate(byron_orders(count)):
        document = {**order.document, "customer": {**(order.document["customer"] or {}),
                                                   "id": 7_000_000_000_001 + rng.randrange(CUSTOMERS)}}
        orders.append(Order(number, document, order.style))
    return orders


@pytest.fixture
def shop_to_crm(make_gateway, crm):
    config = demo_config("http://unused", crm=crm.url)
    del config["endpoints"]["byron"]
    merge(config["endpoints"]["crm"], CRM)
    opportunity = route(config, "order-to-crm")
    account = copy.deepcopy(opportunity)
    account |= {"name": "customer-to-crm", "map": "{Shopify_Customer_Id__c: .customer.id, Name: .email}"}
    account["to"] |= {"object": "Account", "external_id": "Shopify_Customer_Id__c"}
    opportunity["after"] = "customer-to-crm"
    opportunity["map"] = ('{Shopify_Order_Id__c: .id, Name: .name, StageName: "Closed Won", CloseDate: $received[0:10],'
                          ' Amount: .total_price, Account: {Shopify_Customer_Id__c: .customer.id}}')
    config["routes"] = [account, opportunity]
    return make_gateway(config, {"DEMO_CRM_KEY": crm.private_key})


@pytest.mark.plain  # it is about time and pace
@pytest.mark.slow
def test_ten_thousand_orders_in_a_minute_are_all_in_the_crm(shop_to_crm, crm):
    crm.call("POST", "org", {"locks": True})
    crm.call("POST", "limits", {"calls": {"max": CALLS}})
    crm.fault(action="slow_job", ms=1500)
    orders = orders_of_few_customers(ORDERS)
    numbers, sent = shop_to_crm.burst(orders, rate=A_MINUTE / 60)
    assert len(numbers["sent"]) == ORDERS
    wait_until(lambda: shop_to_crm.states("crm") == {"delivered": 2 * ORDERS}, "every delivery has its result",
               seconds=300, every=0.5)

    books = crm.call("GET", "books?brief=1")
    assert books["limits"]["refused"] == {"total": 0, "concurrent": 0}
    assert not {"403", "429", "503"} & books["requests"]["by_status"].keys(), books["requests"]["by_status"]
    assert books["api_usage"] <= CALLS

    opportunities = {one["fields"]["Shopify_Order_Id__c"]: one for one in crm.records("Opportunity")}
    accounts = {one["fields"]["Shopify_Customer_Id__c"]: one["Id"] for one in crm.records("Account")}
    assert len(accounts) == len({order.document["customer"]["id"] for order in orders})
    assert opportunities.keys() == {str(order.id) for order in orders}
    for order in orders:
        found = opportunities[str(order.id)]
        assert found["versions"] == 1
        assert Decimal(found["fields"]["Amount"]) == Decimal(order.summary["total_price"])
        assert found["fields"]["AccountId"] == accounts[str(order.document["customer"]["id"])]

    # every row that went has one result in the org's own ledger; a lock we were in our own way for is in there too
    outcomes = Counter(one["outcome"] for one in crm.call("GET", "rows")["rows"])
    assert outcomes["created"] == len(opportunities) + len(accounts)
    assert set(outcomes) <= {"created", "updated"}, outcomes
