"""From the bodies of webhooks (snake case, two moneys by name) to what GraphQL says of the same."""

import datetime
import decimal
import functools

from sandbox.shopify_shop import gid, stamp

CENT = decimal.Decimal("0.01")
ADDRESS = {"address1": "address1", "address2": "address2", "city": "city", "company": "company", "country": "country",
           "countryCode": "country_code", "countryCodeV2": "country_code", "firstName": "first_name",
           "lastName": "last_name", "latitude": "latitude", "longitude": "longitude", "name": "name", "phone": "phone",
           "province": "province", "provinceCode": "province_code", "zip": "zip"}


def cents(amount):
    return decimal.Decimal(amount).quantize(CENT, decimal.ROUND_HALF_UP)


def utc(text):
    """A time with any offset, as GraphQL has it."""
    return text and stamp(datetime.datetime.fromisoformat(text.replace("Z", "+00:00")))


@functools.lru_cache(100_000)
def moment_of(text):
    return text and datetime.datetime.fromisoformat(text.replace("Z", "+00:00"))


def one_money(amount, currency):
    return {"__typename": "MoneyV2", "amount": str(amount), "currencyCode": currency}


def bag(money_set):
    """A MoneyBag of an `..._set`."""
    if money_set is None:
        return None
    return {"__typename": "MoneyBag", **{
        ours: one_money(money_set[theirs]["amount"], money_set[theirs]["currency_code"])
        for ours, theirs in (("shopMoney", "shop_money"), ("presentmentMoney", "presentment_money"))}}


def money_set(document, amount):
    """An `..._set` of an amount in shop currency: the buyer's at the rate that the order was placed by."""
    amount, total = cents(amount), document["total_price_set"]
    shop, buyer = (decimal.Decimal(total[side]["amount"]) for side in ("shop_money", "presentment_money"))
    rate = buyer / shop if shop else decimal.Decimal(1)
    return {"shop_money": {"amount": str(amount), "currency_code": document["currency"]},
            "presentment_money": {"amount": str(cents(amount * rate)),
                                  "currency_code": document["presentment_currency"]}}


def bag_of(document, amount):
    return bag(money_set(document, amount))


def plain_set(amount, currency):
    """An `..._set` where shop and buyer have the same currency."""
    one = {"amount": str(cents(amount)), "currency_code": currency}
    return {"shop_money": one, "presentment_money": dict(one)}


def address(found, number):
    if found is None:
        return None
    return {"__typename": "MailingAddress", "id": gid("MailingAddress", number),
            **{ours: found.get(theirs) for ours, theirs in ADDRESS.items()}}


def address_document(given):
    """A MailingAddressInput as the body of a webhook has addresses."""
    if given is None:
        return None
    name = " ".join(filter(None, (given.get("firstName"), given.get("lastName"))))
    code = given.get("countryCode")
    return {"first_name": given.get("firstName"), "last_name": given.get("lastName"), "name": name or None,
            "company": given.get("company"), "address1": given.get("address1"), "address2": given.get("address2"),
            "city": given.get("city"), "zip": given.get("zip"), "province": given.get("province"),
            "province_code": given.get("provinceCode"), "country": given.get("country") or code, "country_code": code,
            "phone": given.get("phone"), "latitude": None, "longitude": None}


def attributes(pairs, name="name"):
    return [{"__typename": "Attribute", "key": one[name], "value": None if one["value"] is None else str(one["value"])}
            for one in pairs or []]


def tax_lines(lines):
    return [{"__typename": "TaxLine", "title": one["title"], "rate": one["rate"],
             "ratePercentage": one["rate"] * 100 if one["rate"] is not None else None,
             "channelLiable": one.get("channel_liable"), "priceSet": bag(one["price_set"])} for one in lines or []]


def shipping_lines(lines, applications=()):
    return [{"__typename": "ShippingLine", "id": gid("ShippingLine", one["id"]), "title": one["title"],
             "code": one.get("code"), "source": one.get("source"), "phone": one.get("phone"),
             "carrierIdentifier": one.get("carrier_identifier"), "isRemoved": one.get("is_removed", False),
             "originalPriceSet": bag(one["price_set"]), "discountedPriceSet": bag(one["discounted_price_set"]),
             "currentDiscountedPriceSet": bag(one.get("current_discounted_price_set") or one["discounted_price_set"]),
             "taxLines": tax_lines(one.get("tax_lines")),
             "discountAllocations": allocations(one.get("discount_allocations"), applications)} for one in lines or []]


def allocations(lines, applications):
    """What each discount took off, with the discount itself."""
    given = discount_applications(applications)
    return [{"allocatedAmountSet": bag(one["amount_set"]),
             "discountApplication": given[one["discount_application_index"]]} for one in lines or []]


def labels(tags):
    """The list behind "a, b"."""
    return [one for one in (part.strip() for part in (tags or "").split(",")) if one]


def discount_applications(lines):
    kinds = {"discount_code": "DiscountCodeApplication", "manual": "ManualDiscountApplication",
             "automatic": "AutomaticDiscountApplication"}
    out = []
    for at, one in enumerate(lines or []):
        if one["value_type"] == "percentage":
            value = {"__typename": "PricingPercentageValue", "percentage": float(one["value"])}
        else:
            value = one_money(one["value"], one.get("currency", "EUR"))
        out.append({"__typename": kinds.get(one["type"], "ManualDiscountApplication"), "index": at, "value": value,
                    "allocationMethod": one["allocation_method"].upper(), "code": one.get("code"),
                    "targetSelection": one["target_selection"].upper(), "targetType": one["target_type"].upper(),
                    "title": one.get("title") or one.get("code") or "", "description": one.get("description")})
    return out
