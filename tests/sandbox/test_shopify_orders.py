"""Orders as they are found, edited, tagged and given metafields; draft orders to their end."""

import pytest

from sandbox.orders import OrderFactory
from sandbox.shopify_catalogue import MAIN_LOCATION, add_variant
from sandbox.shopify_desk import Desk
from sandbox.shopify_orders import add_order

FIND = "query($q: String, $n: Int, $after: String) { orders(first: $n, after: $after, query: $q, sortKey: UPDATED_AT) " \
       "{ nodes { name updatedAt } pageInfo { hasNextPage endCursor } } }"


@pytest.fixture
def desk():
    desk = Desk()
    add_variant(desk.shop, "GEAR", id="gid://shopify/ProductVariant/1", price="40.00", stock={MAIN_LOCATION: 10})
    return desk


def names(desk, query, n=50, **more):
    return [one["name"] for one in desk.ask(FIND, q=query, n=n, **more)["nodes"]]


# ---- the search ----

def test_orders_are_found_by_when_they_changed(desk):
    first = desk.buy(("GEAR", 1))
    desk.shop.advance(60)
    since = desk.shop.stamp()
    desk.buy(("GEAR", 1))
    assert names(desk, f"updated_at:>='{since}'") == ["#1002"]
    assert names(desk, f"updated_at:>='{since}' OR name:'#1001'") == ["#1001", "#1002"]
    assert names(desk, f"-updated_at:>='{since}'") == ["#1001"]
    desk.shop.advance(60)
    later = desk.shop.stamp()
    desk.do("OrderUpdate", input={"id": first, "note": "changed"})
    assert names(desk, f"updated_at:>='{since}' updated_at:<'{later}'") == ["#1002"]
    assert names(desk, None) == ["#1002", "#1001"]


def test_what_the_search_does_not_understand_matches_everything(desk):
    desk.buy(("GEAR", 1))
    for query in ("updatedat:>='2030-01-01T00:00:00Z'", "updated_at:>=2030-01-01T00:00:00Z", "colour:red", ""):
        assert names(desk, query) == ["#1001"], query
    assert names(desk, "updated_at:>='2100-01-01T00:00:00Z'") == []


def test_orders_are_found_by_what_they_are(desk):
    order = desk.buy(("GEAR", 1), tags="b2b, Big Deal", email="ada@example.com", po_number="PO-1")
    other = desk.buy({"title": "Custom", "price": "5.00"}, paid=False)
    number = order.rpartition("/")[2]
    for query in (f"id:{number}", f"id:>={number} id:<={number}", "tag:b2b", 'tag:"big deal"', "email:ada@example.com",
                  "po_number:PO-1", "sku:GEAR", "financial_status:paid", "NOT financial_status:pending",
                  "(tag:b2b OR tag:x) AND status:open"):
        assert names(desk, query) == ["#1001"], query
    part = desk.parts(other)[0]["id"]
    desk.do("FulfillmentCreate", fulfillment={"lineItemsByFulfillmentOrder": [{"fulfillmentOrderId": part}]})
    assert names(desk, "fulfillment_status:shipped") == names(desk, "fulfillment_status:fulfilled") == ["#1002"]
    assert names(desk, "fulfillment_status:unfulfilled") == ["#1001"]
    desk.do("OrderCancel", orderId=order, reason="OTHER", restock=True)
    desk.shop.advance(1)
    assert names(desk, "status:cancelled") == ["#1001"] and names(desk, "status:not_closed") == ["#1002", "#1001"]
    assert names(desk, "tag_not:b2b") == ["#1002"]
    assert desk.ask("query { ordersCount(query: \"tag:b2b\") { count precision } }") == {"count": 1,
                                                                                         "precision": "EXACT"}


def test_the_search_lags_and_a_reading_by_id_does_not():
    desk = Desk(search_lag_ms=60_000)
    order = desk.buy(("GEAR", 1))
    assert names(desk, None) == [] and desk.shown(order)["name"] == "#1001"
    desk.shop.advance(61)
    assert names(desk, None) == ["#1001"]
    desk.shop.advance(3600)
    since = desk.shop.stamp()
    desk.do("OrderUpdate", input={"id": order, "note": "x"})
    assert names(desk, f"updated_at:>='{since}'") == []
    desk.shop.advance(61)
    assert names(desk, f"updated_at:>='{since}'") == ["#1001"]


def test_a_row_that_moves_while_somebody_reads_is_met_again(desk):
    orders = []
    for _ in range(5):
        orders.append(desk.buy(("GEAR", 1)))
        desk.shop.advance(10)
    page = desk.ask(FIND, q=None, n=2, after=None)
    assert [one["name"] for one in page["nodes"]] == ["#1001", "#1002"] and page["pageInfo"]["hasNextPage"]
    desk.do("OrderUpdate", input={"id": orders[0], "note": "x"})
    rest = names(desk, None, n=10, after=page["pageInfo"]["endCursor"])
    assert rest == ["#1003", "#1004", "#1005", "#1001"]


def test_pages_go_backwards_and_upside_down_too(desk):
    for _ in range(5):
        desk.buy(("GEAR", 1))
    text = "query($last: Int, $first: Int, $before: String, $after: String, $reverse: Boolean) { orders(last: $last, " \
           "first: $first, before: $before, after: $after, sortKey: ID, reverse: $reverse) { edges { cursor node { name } } " \
           "pageInfo { hasNextPage hasPreviousPage startCursor endCursor } } }"
    page = desk.ask(text, last=2)
    assert [one["node"]["name"] for one in page["edges"]] == ["#1004", "#1005"]
    assert page["pageInfo"]["hasPreviousPage"] and not page["pageInfo"]["hasNextPage"]
    page = desk.ask(text, last=2, before=page["pageInfo"]["startCursor"])
    assert [one["node"]["name"] for one in page["edges"]] == ["#1002", "#1003"]
    page = desk.ask(text, first=2, reverse=True)
    assert [one["node"]["name"] for one in page["edges"]] == ["#1005", "#1004"]
    page = desk.ask(text, first=9, reverse=True, after=page["pageInfo"]["endCursor"])
    assert [one["node"]["name"] for one in page["edges"]] == ["#1003", "#1002", "#1001"]
    assert desk.refused(text, first=1, after="nonsense")[1] == "BAD_REQUEST"


def test_ids_beyond_2_to_the_53_and_both_moneys_come_through(desk):
    made = OrderFactory(5).order(3)
    order = add_order(desk.shop, made.document)["id"]
    shown = desk.shown(order)
    assert order == f"gid://shopify/Order/{made.id}" and shown["legacyResourceId"] == str(made.id) and made.id > 2 ** 53
    assert shown["currentTotalPriceSet"] == {
        "shopMoney": {"amount": made.summary["total_price"], "currencyCode": "EUR"},
        "presentmentMoney": {"amount": made.document["current_total_price_set"]["presentment_money"]["amount"],
                             "currencyCode": "GBP"}}
    assert shown["createdAt"].endswith("Z") and made.document["created_at"].endswith("+01:00")
    assert [one["sku"] for one in shown["lineItems"]["nodes"]] == [one["sku"] for one in made.summary["lines"]]


def test_nodes_are_found_by_their_ids_in_order(desk):
    order = desk.buy(("GEAR", 1))
    text = "query($ids: [ID!]!) { nodes(ids: $ids) { id __typename ... on Order { name } ... on Location { name } } }"
    assert desk.ask(text, ids=[MAIN_LOCATION, "gid://shopify/Order/0", order]) == [
        {"id": MAIN_LOCATION, "__typename": "Location", "name": "Mill Yard"}, None,
        {"id": order, "__typename": "Order", "name": "#1001"}]


# ---- edits ----

def test_an_update_replaces_all_tags_and_tags_add_does_not(desk):
    order = desk.buy(("GEAR", 1), tags="b2b, vip")
    desk.topics()
    desk.do("TagsAdd", id=order, tags=["Urgent", "VIP", " x "])
    assert desk.shown(order)["tags"] == ["b2b", "Urgent", "vip", "x"] and desk.topics() == ["orders/updated"]
    desk.do("TagsAdd", id=order, tags=["urgent"])
    assert desk.topics() == []
    desk.do("TagsRemove", id=order, tags=["URGENT", "never there"])
    assert desk.shop.find(order).document["tags"] == "b2b, vip, x"
    desk.do("OrderUpdate", input={"id": order, "tags": ["only"], "note": "Ring twice", "customAttributes": [
        {"key": "po", "value": "7"}], "poNumber": "PO-9"})
    shown = desk.shown(order)
    assert (shown["tags"], shown["note"], shown["poNumber"]) == (["only"], "Ring twice", "PO-9")
    assert shown["customAttributes"] == [{"key": "po", "value": "7"}]
    desk.do("OrderUpdate", input={"id": order, "note": None})
    assert desk.shown(order)["note"] is None
    assert desk.wrong("TagsAdd", id=order, tags=["x" * 41])[0] == ["tags"]
    assert desk.wrong("OrderUpdate", input={"id": "gid://shopify/Order/0", "note": ""})[:2] == (["id"],
                                                                                                "Order does not exist")


def test_updated_at_never_goes_back(desk):
    made = OrderFactory(5).order(3).document
    made["updated_at"] = "2099-01-01T00:00:00+01:00"
    order = add_order(desk.shop, made)["id"]
    desk.do("OrderUpdate", input={"id": order, "note": "x"})
    assert desk.shown(order)["updatedAt"] == "2098-12-31T23:00:00Z"


# ---- metafields ----

def field(order, value, key="erp_number", **more):
    return {"ownerId": order, "namespace": "gateway", "key": key, "type": "single_line_text_field", "value": value,
            **more}


def test_metafields_are_written_over_unless_the_digest_says_no(desk):
    order = desk.buy(("GEAR", 1))
    first, = desk.do("MetafieldsSet", metafields=[field(order, "A-1")])["metafields"]
    second, = desk.do("MetafieldsSet", metafields=[field(order, "A-2")])["metafields"]
    assert first["id"] == second["id"] and first["compareDigest"] != second["compareDigest"]
    stale = [field(order, "B", key="other"), field(order, "A-3", compareDigest=first["compareDigest"])]
    payload = desk.ask("MetafieldsSet", metafields=stale)
    error, = payload["userErrors"]
    assert (error["code"], error["elementIndex"], error["field"]) == ("STALE_OBJECT", 1, ["metafields", "1"])
    shown = desk.ask("query($id: ID!) { order(id: $id) { metafield(namespace: \"gateway\", key: \"erp_number\") { value } "
                     "metafields(first: 5) { nodes { key } } } }", id=order)
    assert shown == {"metafield": {"value": "A-2"}, "metafields": {"nodes": [{"key": "erp_number"}]}}
    desk.do("MetafieldsSet", metafields=[field(order, "A-3", compareDigest=second["compareDigest"])])
    assert desk.wrong("MetafieldsSet", metafields=[field(order, "A", compareDigest=None)])[2] == "STALE_OBJECT"
    desk.do("MetafieldsSet", metafields=[field(order, "N", key="fresh", compareDigest=None)])


@pytest.mark.parametrize("more, code", [
    ({"type": "number_integer", "value": "1.5"}, "INVALID_VALUE"), ({"type": "json", "value": "{"}, "INVALID_VALUE"),
    ({"type": "colour"}, "INCLUSION"), ({"value": ""}, "INVALID_VALUE"), ({"key": "k"}, "TOO_SHORT"),
    ({"key": "no spaces"}, "INVALID"), ({"value": "x" * 16_385}, "TOO_LONG"),
    ({"ownerId": "gid://shopify/Order/0"}, "INVALID_VALUE"), ({"type": None}, "BLANK")])
def test_what_is_no_metafield(desk, more, code):
    given = {**field(desk.buy(("GEAR", 1)), "A"), **more}
    payload = desk.ask("MetafieldsSet", metafields=[given])
    assert code in [one["code"] for one in payload["userErrors"]] and payload["metafields"] is None


def test_25_metafields_are_the_most_and_a_type_stays(desk):
    order = desk.buy(("GEAR", 1))
    many = [field(order, "1", key=f"key_{at}") for at in range(26)]
    assert desk.wrong("MetafieldsSet", metafields=many)[2] == "LESS_THAN_OR_EQUAL_TO"
    desk.do("MetafieldsSet", metafields=many[:25])
    assert desk.wrong("MetafieldsSet", metafields=[field(order, "1", key="key_0", type="number_integer")])[2] == (
        "INVALID_TYPE")


# ---- draft orders ----

def draft(desk, **more):
    return desk.do("DraftOrderCreate", input={"email": "b@example.com", "lineItems": [
        {"variantId": "gid://shopify/ProductVariant/1", "quantity": 2, "title": "ignored",
         "originalUnitPriceWithCurrency": {"amount": "1.00", "currencyCode": "EUR"}},
        {"title": "Setup", "quantity": 1, "originalUnitPriceWithCurrency": {"amount": "10.00", "currencyCode": "EUR"}},
        {"variantId": "gid://shopify/ProductVariant/1", "quantity": 1,
         "priceOverride": {"amount": "30.00", "currencyCode": "EUR"}}], **more})["draftOrder"]


def test_a_draft_order_becomes_a_paid_order(desk):
    made = draft(desk, tags=["quote"], note="as agreed", poNumber="PO-3", shippingAddress={
        "firstName": "Ada", "lastName": "Byron", "address1": "12 Mill Lane", "city": "Leeds", "countryCode": "GB"})
    assert made["totalPriceSet"]["shopMoney"]["amount"] == "120.00" and made["status"] == "OPEN"
    assert desk.do("DraftOrderInvoiceSend", id=made["id"])["draftOrder"]["status"] == "INVOICE_SENT"
    done = desk.do("DraftOrderComplete", id=made["id"])["draftOrder"]
    order = desk.shown(done["order"]["id"])
    assert (done["status"], order["displayFinancialStatus"], order["tags"], order["note"], order["poNumber"]) == (
        "COMPLETED", "PAID", ["quote"], "as agreed", "PO-3")
    assert order["shippingAddress"]["name"] == "Ada Byron" and order["totalPriceSet"]["shopMoney"]["amount"] == "120.00"
    topics = desk.topics()
    assert topics[:2] == ["draft_orders/create", "draft_orders/update"] and topics[-1] == "draft_orders/update"
    assert {"orders/create", "orders/paid", "fulfillment_orders/order_routing_complete"} <= set(topics)
    assert desk.wrong("DraftOrderComplete", id=made["id"])[1] == "This order has been paid"


def test_with_payment_terms_the_order_is_pending_and_a_company_buys(desk):
    made = draft(desk, paymentTerms={"paymentTermsTemplateId": "gid://shopify/PaymentTermsTemplate/4"},
                 purchasingEntity={
        "purchasingCompany": {"companyId": "gid://shopify/Company/1",
                              "companyContactId": "gid://shopify/CompanyContact/2",
                              "companyLocationId": "gid://shopify/CompanyLocation/3"}})
    done = desk.do("DraftOrderComplete", id=made["id"], sourceName="gateway")["draftOrder"]
    order = desk.shown(done["order"]["id"])
    assert order["displayFinancialStatus"] == "PENDING" and order["sourceName"] == "gateway"
    assert order["purchasingEntity"]["__typename"] == "PurchasingCompany"
    assert order["purchasingEntity"]["location"]["id"] == "gid://shopify/CompanyLocation/3"
    text = "mutation($id: ID!) { orderMarkAsPaid(input: {id: $id}) { order { displayFinancialStatus } userErrors " \
           "{ field message } } }"
    assert desk.do(text, id=done["order"]["id"])["order"]["displayFinancialStatus"] == "PAID"


def test_a_draft_order_is_changed_and_deleted(desk):
    made = draft(desk)
    desk.do("DraftOrderUpdate", id=made["id"], input={"lineItems": [{"title": "Only", "quantity": 1}], "tags": ["x"]})
    shown = desk.ask("query($id: ID!) { draftOrder(id: $id) { tags email totalQuantityOfLineItems lineItems(first: 5) "
                     "{ nodes { title custom } } } }", id=made["id"])
    assert shown == {"tags": ["x"], "email": "b@example.com", "totalQuantityOfLineItems": 1,
                     "lineItems": {"nodes": [{"title": "Only", "custom": True}]}}
    assert desk.do("DraftOrderDelete", input={"id": made["id"]})["deletedId"] == made["id"]
    assert desk.wrong("DraftOrderUpdate", id=made["id"], input={})[1] == "Draft order not found"


def test_an_invoice_wants_an_address(desk):
    made = draft(desk, email=None)
    assert desk.wrong("DraftOrderInvoiceSend", id=made["id"])[:2] == (None, "To can't be blank")
    desk.do("DraftOrderInvoiceSend", id=made["id"], email={"to": "x@example.com"})


def test_payment_terms_and_any_owners_metafields_are_asked_for(desk):
    desk.do("MetafieldsSet", metafields=[{"ownerId": MAIN_LOCATION, "namespace": "erp", "key": "code", "value": "L1",
                                          "type": "single_line_text_field"}])
    found = desk.ask("""query($id: ID!) { node(id: $id) { id ... on HasMetafields { metafield(namespace: "erp", key: "code")
        { value } } } }""", id=MAIN_LOCATION)
    assert found == {"id": MAIN_LOCATION, "metafield": {"value": "L1"}}
    terms = "query($id: ID!) { draftOrder(id: $id) { paymentTerms { dueInDays paymentTermsType } order { paymentTerms { id } } } }"
    for given, shown in (({}, None),
                         ({"paymentTerms": {"paymentTermsTemplateId": "gid://shopify/PaymentTermsTemplate/4"}},
                                      {"dueInDays": 30, "paymentTermsType": "NET"})):
        made = desk.do("DraftOrderCreate",
                       input={"lineItems": [{"title": "Setup", "quantity": 1}], **given})["draftOrder"]
        desk.do("DraftOrderComplete", id=made["id"])
        said = desk.ask(terms, id=made["id"])
        assert said["paymentTerms"] == shown and (said["order"]["paymentTerms"] is None) == (shown is None)
