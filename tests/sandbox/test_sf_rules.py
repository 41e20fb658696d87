"""What the objects of the Salesforce stand-in demand of each other, and rows that are refused on request."""

import pytest

from sandbox.sf_client import DATA, record

STANDARD = "SELECT Id FROM Pricebook2 WHERE IsStandard = true"


def refusals(org, sobject, key, *records, whole=False, **headers):
    """Upserts them; the code of each refusal, or None."""
    status, body = org.collect("PATCH", f"/{sobject}/{key}", [record(sobject, **one) for one in records],
                               whole, **headers)
    assert status == 200, body
    return [None if one["success"] else one["errors"][0]["statusCode"] for one in body]


@pytest.fixture
def shop(org):
    """A product with a standard and a custom price, an account, and what hangs from it."""
    org.standard, = org.found(STANDARD)
    org.product = org.make("Product2", Name="Gear", Sku__c="G-1", IsActive=True)
    org.other = org.make("Product2", Name="Bolt", Sku__c="B-1", IsActive=True)
    org.entry = org.make("PricebookEntry", Pricebook2Id=org.standard, Product2Id=org.product, UnitPrice=10,
                         IsActive=True, Ext__c="std/G-1")
    org.book = org.make("Pricebook2", Name="Shop", IsActive=True)
    org.own = org.make("PricebookEntry", Pricebook2Id=org.book, Product2Id=org.product, UnitPrice=8.5,
                       IsActive=True, Ext__c="shop/G-1")
    org.account = org.make("Account", Name="A", Ext__c="a")
    return org


def order(shop, **fields):
    return shop.make("Order", **{"AccountId": shop.account, "EffectiveDate": "2026-11-20", "Status": "Draft",
                                 "Pricebook2Id": shop.book, "Shopify_Order_Id__c": "1", **fields})


def opportunity(shop, **fields):
    return shop.make("Opportunity", **{"Name": "O", "StageName": "New", "CloseDate": "2026-11-20",
                                       "Pricebook2Id": shop.book, "AccountId": shop.account, **fields})


# ---- price books ----

def test_there_is_one_standard_book_and_it_stays(org):
    ids = org.found(STANDARD)
    assert len(ids) == 1
    status, body = org.call("DELETE", f"{DATA}/sobjects/Pricebook2/{ids[0]}")
    assert (status, body[0]["errorCode"]) == (400, "DELETE_FAILED")
    assert org.refused("Pricebook2", Name="Mine", IsStandard=True) == "INVALID_FIELD_FOR_INSERT_UPDATE"


def test_a_custom_price_wants_a_standard_one_first(shop):
    entry = {"Product2Id": shop.other, "UnitPrice": 1, "IsActive": True}
    assert shop.refused("PricebookEntry", Pricebook2Id=shop.book, **entry) == "STANDARD_PRICE_NOT_DEFINED"
    shop.make("PricebookEntry", Pricebook2Id=shop.standard, **entry)
    shop.make("PricebookEntry", Pricebook2Id=shop.book, **entry)
    assert shop.refused("PricebookEntry", Pricebook2Id=shop.book, **entry) == "DUPLICATE_VALUE"


def test_both_prices_in_one_job_do_not_do_for_rows_of_one_call_alone(shop):
    """In one collection the rows come one after the other; so the standard one goes first."""
    rows = [{"Ext__c": f"{book}/B-1", "Pricebook2Id": book, "Product2Id": shop.other, "UnitPrice": 1}
            for book in (shop.book, shop.standard)]
    assert refusals(shop, "PricebookEntry", "Ext__c", *rows) == ["STANDARD_PRICE_NOT_DEFINED", None]
    assert refusals(shop, "PricebookEntry", "Ext__c", *rows) == [None, None]


def test_a_price_may_follow_the_standard_one(shop):
    shop.make("PricebookEntry", Pricebook2Id=shop.standard, Product2Id=shop.other, UnitPrice=7.25)
    made = shop.make("PricebookEntry", Pricebook2Id=shop.book, Product2Id=shop.other, UseStandardPrice=True)
    assert shop.fields("PricebookEntry", made)["UnitPrice"] == "7.25"


# ---- orders ----

def test_an_order_is_a_draft_first_and_activated_by_its_status_alone(shop):
    assert shop.refused("Order", AccountId=shop.account, EffectiveDate="2026-11-20",
                        Status="Activated") == "FIELD_INTEGRITY_EXCEPTION"
    assert shop.refused("Order", AccountId=shop.account, EffectiveDate="2026-11-20", Status="Shipped") in (
        "FIELD_INTEGRITY_EXCEPTION", "INVALID_OR_NULL_FOR_RESTRICTED_PICKLIST")
    made = order(shop)
    assert shop.fields("Order", made)["StatusCode"] == "Draft"
    row = {"Shopify_Order_Id__c": "1", "Status": "Activated"}
    assert refusals(shop, "Order", "Shopify_Order_Id__c", {**row, "PoNumber": "P"}) == ["FIELD_INTEGRITY_EXCEPTION"]
    assert refusals(shop, "Order", "Shopify_Order_Id__c", row) == [None]
    other = shop.make("Account", Name="B")
    assert refusals(shop, "Order", "Shopify_Order_Id__c",
                    {"Shopify_Order_Id__c": "1", "AccountId": other}) == ["FIELD_INTEGRITY_EXCEPTION"]
    assert refusals(shop, "Order", "Shopify_Order_Id__c",
                    {"Shopify_Order_Id__c": "1", "Tracking_Number__c": "T1"}) == [None]


def test_order_lines_come_from_the_order_s_book_and_sum_up(shop):
    bare = order(shop, Pricebook2Id=None)
    line = {"Quantity": 3, "PricebookEntryId": shop.own}
    assert shop.refused("OrderItem", OrderId=bare, **line) == "FIELD_INTEGRITY_EXCEPTION"
    made = order(shop, Shopify_Order_Id__c="2")
    assert shop.refused("OrderItem", OrderId=made, Quantity=1,
                        PricebookEntryId=shop.entry) == "FIELD_INTEGRITY_EXCEPTION"
    assert shop.refused("OrderItem", OrderId=made, Quantity=1) == "REQUIRED_FIELD_MISSING"
    first = shop.make("OrderItem", OrderId=made, **line)  # the price is the entry's
    shop.make("OrderItem", OrderId=made, Quantity=1, UnitPrice=2, PricebookEntryId=shop.own)
    assert shop.fields("Order", made)["TotalAmount"] == "27.50"
    assert shop.fields("OrderItem", first)["Product2Id"] == shop.product
    shop.call("DELETE", f"{DATA}/sobjects/OrderItem/{first}")
    assert shop.fields("Order", made)["TotalAmount"] == "2.00"


def test_an_activated_order_locks_its_lines(shop):
    made = order(shop)
    line = {"Shopify_Line_Id__c": "l", "OrderId": made, "Quantity": 1, "PricebookEntryId": shop.own}
    assert refusals(shop, "OrderItem", "Shopify_Line_Id__c", line) == [None]
    shop.call("PATCH", f"{DATA}/sobjects/Order/{made}", {"Status": "Activated"})
    assert refusals(shop, "OrderItem", "Shopify_Line_Id__c", {**line, "Quantity": 2}) == ["FIELD_INTEGRITY_EXCEPTION"]


def test_a_line_may_name_its_parent_again_but_not_another(shop):
    made, other = order(shop), order(shop, Shopify_Order_Id__c="2")
    line = {"Shopify_Line_Id__c": "l", "Order": {"Shopify_Order_Id__c": "1"}, "Quantity": 1,
            "PricebookEntry": {"Ext__c": "shop/G-1"}}
    path = ("OrderItem", "Shopify_Line_Id__c")
    assert refusals(shop, *path, line) == [None]
    assert refusals(shop, *path, line) == [None]
    assert refusals(shop, *path, {**line, "Order": {"Shopify_Order_Id__c": "2"}}) == [
        "INVALID_FIELD_FOR_INSERT_UPDATE"]
    shop.process.call("POST", "org", {"strict_parents": True})
    assert refusals(shop, *path, line) == ["INVALID_FIELD_FOR_INSERT_UPDATE"]
    assert refusals(shop, *path, {"Shopify_Line_Id__c": "l", "Quantity": 5}) == [None]
    assert (made, other) == tuple(shop.found("SELECT Id FROM Order ORDER BY Shopify_Order_Id__c"))


def test_deleting_an_order_takes_its_lines(shop):
    made = order(shop)
    shop.make("OrderItem", OrderId=made, Quantity=1, PricebookEntryId=shop.own)
    shop.call("DELETE", f"{DATA}/sobjects/Order/{made}")
    assert shop.process.records("OrderItem") == []


# ---- opportunities and quotes ----

def test_an_opportunity_with_lines_is_worth_their_sum(shop):
    made = opportunity(shop, Amount=99, Ext__c="o")
    assert shop.fields("Opportunity", made)["Amount"] == "99.00"
    line = {"OpportunityId": made, "Quantity": 2, "Product2Id": shop.product}
    found = shop.make("OpportunityLineItem", **line)  # the entry is found by the product
    assert shop.fields("OpportunityLineItem", found)["PricebookEntryId"] == shop.own
    shop.make("OpportunityLineItem", **{**line, "TotalPrice": 5})
    assert refusals(shop, "Opportunity", "Ext__c", {"Ext__c": "o", "Amount": 1}) == [None]
    assert shop.fields("Opportunity", made)["Amount"] == "22.00"
    for wrong, code in (({"Quantity": 0}, "FIELD_INTEGRITY_EXCEPTION"),
                        ({"UnitPrice": 1, "TotalPrice": 1}, "FIELD_INTEGRITY_EXCEPTION"),
                        ({"Product2Id": shop.other}, "FIELD_INTEGRITY_EXCEPTION"),
                        ({"Product2Id": None}, "REQUIRED_FIELD_MISSING"),
                        ({"OpportunityId": opportunity(shop, Pricebook2Id=None)}, "FIELD_INTEGRITY_EXCEPTION")):
        assert shop.refused("OpportunityLineItem", **{**line, **wrong}) == code, wrong
    shop.call("PATCH", f"{DATA}/sobjects/Opportunity/{made}", {"Pricebook2Id": shop.standard})
    assert shop.process.records("OpportunityLineItem") == []


def test_stage_and_names_are_derived_and_some_fields_only_made(shop):
    contact = shop.make("Contact", FirstName="Ada", LastName="L", AccountId=shop.account)
    assert shop.fields("Contact", contact)["Name"] == "Ada L"
    made = opportunity(shop, StageName="Closed Won", ContactId=contact, Ext__c="o")
    assert (shop.fields("Opportunity", made)["IsWon"], shop.fields("Opportunity", made)["IsClosed"]) == (True, True)
    assert refusals(shop, "Opportunity", "Ext__c", {"Ext__c": "o", "ContactId": contact}) == [
        "INVALID_FIELD_FOR_INSERT_UPDATE"]
    assert shop.refused("Contact", LastName="L", Name="x") == "INVALID_FIELD_FOR_INSERT_UPDATE"


def test_a_quote_takes_the_book_of_its_opportunity_and_sums_up(shop):
    assert shop.refused("Quote", Name="Q") == "REQUIRED_FIELD_MISSING"
    quote = shop.make("Quote", Name="Q", OpportunityId=opportunity(shop))
    assert shop.fields("Quote", quote)["Pricebook2Id"] == shop.book
    rows = [record("QuoteLineItem", QuoteId=quote, PricebookEntryId=shop.own, Quantity=2, Discount=n)
            for n in (0, 50)] + [record("QuoteLineItem", QuoteId=quote, PricebookEntryId=shop.entry, Quantity=1)]
    body = shop.collect("POST", "", rows)[1]
    assert [one["success"] for one in body] == [True, True, False]
    assert shop.fields("Quote", quote)["TotalPrice"] == "25.50"


def test_currencies_agree_along_the_chain(shop):
    assert shop.refused("Account", Name="A", CurrencyIsoCode="EUR") == "INVALID_FIELD"
    shop.process.call("POST", "org", {"multi_currency": True})
    made = order(shop, CurrencyIsoCode="USD")
    line = {"OrderId": made, "Quantity": 1, "PricebookEntryId": shop.own}
    assert shop.refused("OrderItem", **line) == "FIELD_INTEGRITY_EXCEPTION"
    usd = {"Product2Id": shop.product, "UnitPrice": 9, "CurrencyIsoCode": "USD", "IsActive": True}
    assert shop.refused("PricebookEntry", Pricebook2Id=shop.book, **usd) == "STANDARD_PRICE_NOT_DEFINED"
    shop.make("PricebookEntry", Pricebook2Id=shop.standard, **usd)
    entry = shop.make("PricebookEntry", Pricebook2Id=shop.book, **usd)
    item = shop.make("OrderItem", **{**line, "PricebookEntryId": entry})
    assert shop.fields("OrderItem", item)["CurrencyIsoCode"] == "USD"
    status, body = shop.call("PATCH", f"{DATA}/sobjects/PricebookEntry/{entry}", {"CurrencyIsoCode": "EUR"})
    assert body[0]["errorCode"] == "INVALID_FIELD_FOR_INSERT_UPDATE"


# ---- duplicates ----

RULE = {"name": "Contacts_DR", "object": "Contact", "fields": ["Email", "LastName"], "message": "Use one of these?"}


def rule(org, **change):
    org.process.call("POST", "org", {"duplicate_rules": [{**RULE, **change}]})
    return org.make("Contact", LastName="Lovelace", Email="ada@example.com")


def test_a_duplicate_is_refused_with_its_matches(org):
    there = rule(org)
    status, body = org.call("POST", f"{DATA}/sobjects/Contact", {"LastName": "LOVELACE", "Email": "Ada@example.com"})
    assert status == 400 and body[0]["errorCode"] == "DUPLICATES_DETECTED"
    assert body[0]["message"] == "Use one of these?"
    result = body[0]["duplicateResut"]
    assert result["duplicateRule"] == "Contacts_DR" and result["allowSave"] is False
    found = result["matchResults"][0]
    assert found["size"] == 1 and found["matchRecords"][0]["record"]["Id"] == there
    org.make("Contact", LastName="Byron", Email="ada@example.com")


def test_a_collection_names_the_matches_row_by_row_and_a_job_does_not(org):
    there = rule(org)
    rows = [record("Contact", Ext__c=str(n), LastName=name, Email="ada@example.com")
            for n, name in enumerate(("Lovelace", "Byron"))]
    first, second = org.collect("PATCH", "/Contact/Ext__c", rows)[1]
    error, = first["errors"]
    assert error["statusCode"] == "DUPLICATES_DETECTED" and second["success"]
    assert error["duplicateResut"]["matchResults"][0]["matchRecords"][0]["record"]["Id"] == there
    job, _ = org.run("Ext__c,LastName,Email\n5,Lovelace,ada@example.com\n", "Contact", "Ext__c")
    assert org.errors(job) == {"5": "DUPLICATES_DETECTED:Use one of these?:--"}
    for key, named in (("duplicateResult", True), ("", False)):
        org.process.call("POST", "org", {"duplicate_matches": key})
        error, = org.collect("PATCH", "/Contact/Ext__c", rows[:1])[1][0]["errors"]
        assert (key in error) == named and "duplicateResut" not in error


def test_an_alert_may_be_overruled_and_a_block_not(org):
    header = {"Sforce-Duplicate-Rule-Header": "allowSave=true; includeRecordDetails=true"}
    row = record("Contact", Ext__c="1", LastName="Lovelace", Email="ada@example.com")
    rule(org, action="alert")
    assert org.collect("PATCH", "/Contact/Ext__c", [row])[1][0]["success"] is False
    assert org.collect("PATCH", "/Contact/Ext__c", [row], **header)[1][0]["success"] is True
    org.process.call("POST", "org", {"duplicate_rules": [RULE]})
    row["Ext__c"] = "2"
    assert org.collect("PATCH", "/Contact/Ext__c", [row], **header)[1][0]["success"] is False


def test_a_duplicate_rule_that_cannot_work_is_refused(org):
    for wrong in ({"object": "Nothing"}, {"fields": ["Nope"]}):
        with pytest.raises(RuntimeError, match="cannot work"):
            org.process.call("POST", "org", {"duplicate_rules": [{**RULE, **wrong}]})


# ---- refusals on request ----

@pytest.mark.parametrize("code, more, message", [
    ("UNABLE_TO_LOCK_ROW", {}, "unable to obtain exclusive access to this record or 200 records: 0015g00000Acc01AAB"),
    ("FIELD_CUSTOM_VALIDATION_EXCEPTION", {"message": "no", "field": "Name"}, "no"),
    ("REQUIRED_FIELD_MISSING", {"field": "Phone"}, "Required fields are missing: [Phone]"),
    ("INVALID_FIELD", {"field": "Foo"}, "No such column 'Foo' on sobject of type Account"),
    ("INVALID_CROSS_REFERENCE_KEY", {}, "invalid cross reference id"),
    ("ENTITY_IS_DELETED", {}, "entity is deleted"),
])
def test_the_same_fault_strikes_a_collection_a_job_and_a_record(org, code, more, message):
    org.process.fault(action="row_error", code=code, keys=["1"], **more)
    rows = [record("Account", Ext__c=str(n), Name="n") for n in range(3)]
    body = org.collect("PATCH", "/Account/Ext__c", rows)[1]
    assert [one["success"] for one in body] == [True, False, True]
    assert body[1]["errors"][0]["message"] == message and body[1]["errors"][0]["statusCode"] == code
    job, _ = org.run("Ext__c,Name\n0,n\n1,n\n", "Account", "Ext__c")
    assert org.errors(job)["1"].startswith(f"{code}:{message}:")
    status, body = org.call("PATCH", f"{DATA}/sobjects/Account/Ext__c/1", {"Name": "n"})
    assert status == 400 and body[0]["errorCode"] == code
    assert org.rows(key="1") == [("1", code)] * 3
    assert org.process.books()["outcomes"]["Account"] == {"created": 2, "updated": 1, code: 3}


def test_a_row_s_fault_clears_after_some_tries_may_name_matches_and_where_it_strikes(org):
    org.process.faults([{"action": "row_error", "keys": ["1"], "times": 1},
                        {"action": "row_error", "code": "DUPLICATES_DETECTED", "where": {"Name": "^dup"},
                         "matches": ["0015g00000Acc01AAB"], "at": "row"}])
    rows = [record("Account", Ext__c="1", Name="n"), record("Account", Ext__c="2", Name="dup")]
    first, second = org.collect("PATCH", "/Account/Ext__c", rows)[1]
    assert first["errors"][0]["statusCode"] == "UNABLE_TO_LOCK_ROW"
    matches = second["errors"][0]["duplicateResut"]["matchResults"][0]["matchRecords"]
    assert [one["record"]["Id"] for one in matches] == ["0015g00000Acc01AAB"]
    assert org.collect("PATCH", "/Account/Ext__c", rows)[1][0]["success"]
    assert org.run("Ext__c,Name\n2,dup\n", "Account", "Ext__c")[1]["numberRecordsFailed"] == 0  # a job's row
