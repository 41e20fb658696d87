"""What GraphQL says of an order is what its webhook says: compared with an answer that was written by hand."""

import json

import pytest

from sandbox.shopify_graphql import Engine
from sandbox.shopify_orders import add_order
from sandbox.shopify_rooms import furnish
from sandbox.shopify_schema import DATA
from sandbox.shopify_shop import Shop

MONEY = "{ shopMoney { amount currencyCode } presentmentMoney { amount currencyCode } }"
TAXES = f"taxLines {{ title rate channelLiable priceSet {MONEY} }}"
ALLOCATIONS = f"discountAllocations {{ allocatedAmountSet {MONEY} discountApplication {{ index }} }}"
DOCUMENT = f"""query($id: ID!) {{ order(id: $id) {{
    id name number email phone createdAt updatedAt processedAt cancelledAt cancelReason closedAt confirmed test tags note
    poNumber sourceName customerLocale clientIp statusPageUrl customerAcceptsMarketing taxExempt taxesIncluded
    estimatedTaxes dutiesIncluded totalWeight displayFinancialStatus retailLocation {{ id }} {TAXES}
    currentTotalDutiesSet {MONEY} currentTotalAdditionalFeesSet {MONEY} originalTotalDutiesSet {MONEY}
    originalTotalAdditionalFeesSet {MONEY} totalPriceSet {MONEY}
    customer {{ id createdAt updatedAt firstName lastName state note verifiedEmail multipassIdentifier taxExempt
        taxExemptions email phone amountSpent {{ currencyCode }}
        defaultAddress {{ firstName lastName name company address1 address2 city zip province provinceCode country
                         countryCodeV2 phone }} }}
    lineItems(first: 5) {{ nodes {{ id name title variantTitle vendor sku quantity currentQuantity fulfillableQuantity
        fulfillmentStatus isGiftCard requiresShipping taxable fulfillmentService {{ handle }} product {{ id }}
        variant {{ id inventoryItem {{ tracked measurement {{ weight {{ value unit }} }} }} }}
        customAttributes {{ key value }} originalUnitPriceSet {MONEY} totalDiscountSet {MONEY} {TAXES} {ALLOCATIONS} }}
        pageInfo {{ hasNextPage }} }}
    shippingLines(first: 5) {{ nodes {{ id title code source phone carrierIdentifier isRemoved originalPriceSet {MONEY}
        discountedPriceSet {MONEY} currentDiscountedPriceSet {MONEY} {TAXES} {ALLOCATIONS} }}
        pageInfo {{ hasNextPage }} }}
    discountApplications(first: 5) {{ nodes {{ __typename allocationMethod targetSelection targetType
        value {{ __typename ... on MoneyV2 {{ amount }} ... on PricingPercentageValue {{ percentage }} }}
        ... on DiscountCodeApplication {{ code }} }} pageInfo {{ hasNextPage }} }}
}} shop {{ timezoneOffsetMinutes }} }}"""


@pytest.fixture
def engine():
    made = Engine(Shop())
    furnish(made)
    return made


def like(want, have):
    """`want` as far as `have` was asked for; amounts by value, weights in grams."""
    if isinstance(have, dict) and "amount" in have and want is not None:
        return {**want, "amount": float(want["amount"])}, {**have, "amount": float(have["amount"])}
    if isinstance(have, dict) and have.get("unit") == "GRAMS":
        return want["value"] * 1000, have["value"]
    if isinstance(have, dict) and isinstance(want, dict):
        pairs = {name: like(want[name], value) for name, value in have.items()}
        return {name: one[0] for name, one in pairs.items()}, {name: one[1] for name, one in pairs.items()}
    if isinstance(have, list) and isinstance(want, list) and len(want) == len(have):
        pairs = [like(*one) for one in zip(want, have)]
        return [one[0] for one in pairs], [one[1] for one in pairs]
    return want, have


def test_an_order_says_in_graphql_what_its_webhook_says(engine):
    order = add_order(engine.shop, json.loads((DATA / "shopify-order.sample.json").read_text()))
    answer = engine.answer(DOCUMENT, {"id": order["id"]})
    assert "errors" not in answer, answer
    want, have = like(json.loads((DATA / "shopify-answer-order.json").read_text()), answer["data"]["order"])
    assert have == want
    assert answer["data"]["shop"] == {"timezoneOffsetMinutes": 60}
