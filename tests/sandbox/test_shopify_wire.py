"""What goes in and out of the Shopify stand-in besides GraphQL: webhooks of changes, callbacks, REST, its bad days."""

import hashlib
import json

import pytest

from sandbox.client import Process, request
from sandbox.hook_receiver import Hooks
from sandbox.shopify import sign

TOKEN = "sandbox-admin-token"
URI = "https://gw.example.com/in/shop"
CREATE = """mutation($topic: WebhookSubscriptionTopic!, $sub: WebhookSubscriptionInput!) {
  webhookSubscriptionCreate(topic: $topic, webhookSubscription: $sub) {
    webhookSubscription { id topic uri callbackUrl format filter includeFields metafieldNamespaces name createdAt
                          apiVersion { handle } legacyResourceId }
    userErrors { field message } } }"""
TOPICS = ("ORDERS_CREATE", "ORDERS_PAID", "ORDERS_UPDATED", "DRAFT_ORDERS_CREATE", "DRAFT_ORDERS_DELETE",
          "ORDER_TRANSACTIONS_CREATE", "LOCATIONS_CREATE")


@pytest.fixture(scope="module")
def process():
    with Process("shopify_admin", "--clock", 0.0001, "--secret", "new", "--previous-secret", "old", "--connect-s", 30,
                 "--total-s", 60) as running:
        yield running


@pytest.fixture
def hooks():
    with Hooks() as running:
        yield running


@pytest.fixture
def shop(process, hooks):
    process.reset()
    process.call("POST", "webhooks", {"routes": {"https://gw.example.com": hooks.url}})
    return process


def ask(shop, document, **variables):
    status, headers, text = request(shop.url, "POST", "/admin/api/2026-10/graphql.json",
                                    {"query": document, "variables": variables}, {"X-Shopify-Access-Token": TOKEN})
    assert status == 200, text
    return json.loads(text)


def subscribe(shop, *topics, **more):
    out = []
    for topic in topics:
        payload = ask(shop, CREATE, topic=topic, sub={"uri": URI, **more})["data"]["webhookSubscriptionCreate"]
        assert payload["userErrors"] == [], payload
        out.append(payload["webhookSubscription"])
    return out


def settled(shop):
    assert shop.call("POST", "settle", {"timeout_s": 60})["settled"]
    return shop.books()["webhooks"]


# ---- subscriptions ----

def test_subscriptions_are_made_listed_changed_and_deleted(shop):
    made, = subscribe(shop, "ORDERS_CREATE", name="eu", includeFields=["id", "updated_at"], filter="id:>1")
    assert made["callbackUrl"] == made["uri"] == URI and made["format"] == "JSON" and made["name"] == "eu"
    assert made["apiVersion"] == {"handle": "2026-10"} and made["id"].endswith("/" + made["legacyResourceId"])
    subscribe(shop, "ORDERS_PAID")
    listed = ask(shop, """query($topics: [WebhookSubscriptionTopic!]) { webhookSubscriptions(first: 50, topics: $topics)
        { nodes { id topic uri filter } pageInfo { hasNextPage } } }""", topics=["ORDERS_CREATE"])
    assert [one["id"] for one in listed["data"]["webhookSubscriptions"]["nodes"]] == [made["id"]]
    update = """mutation($id: ID!, $sub: WebhookSubscriptionInput!) { webhookSubscriptionUpdate(id: $id,
        webhookSubscription: $sub) { webhookSubscription { id uri filter } userErrors { field message } } }"""
    said = ask(shop, update, id=made["id"], sub={"uri": URI + "/2"})["data"]["webhookSubscriptionUpdate"]
    assert said == {"webhookSubscription": {"id": made["id"], "uri": URI + "/2", "filter": "id:>1"}, "userErrors": []}
    delete = """mutation($id: ID!) { webhookSubscriptionDelete(id: $id) { deletedWebhookSubscriptionId
        userErrors { field message } } }"""
    assert ask(shop, delete, id=made["id"])["data"]["webhookSubscriptionDelete"] == {
        "deletedWebhookSubscriptionId": made["id"], "userErrors": []}
    gone = [{"field": ["id"], "message": "Webhook subscription does not exist"}]
    for document, name in ((delete, "webhookSubscriptionDelete"), (update, "webhookSubscriptionUpdate")):
        assert ask(shop, document, id=made["id"], **({"sub": {}} if "$sub" in document else {}))["data"][name][
            "userErrors"] == gone


def test_refusals_name_the_old_spelling_and_an_unknown_topic_is_no_user_error(shop):
    payload = ask(shop, CREATE, topic="ORDERS_CREATE", sub={"uri": "http://gw.example.com/"})["data"]
    assert payload["webhookSubscriptionCreate"] == {"webhookSubscription": None, "userErrors": [
        {"field": ["webhookSubscription", "callbackUrl"], "message": "Address protocol http:// is not supported"}]}
    wrong = ask(shop, CREATE, topic="ORDERS_EATEN", sub={"uri": URI})["errors"][0]
    assert wrong["extensions"]["code"] == "INVALID_VARIABLE"
    subscribe(shop, "ORDERS_CREATE")
    taken = ask(shop, CREATE, topic="ORDERS_CREATE", sub={"uri": URI})["data"]["webhookSubscriptionCreate"]
    assert taken["userErrors"][0]["message"] == "Address for this topic has already been taken"


# ---- webhooks of what happens ----

def test_a_checkout_is_told_to_each_topic_with_one_event_id(shop, hooks):
    subscribe(shop, *TOPICS)
    gid = shop.call("POST", "orders", {"seed": 5})["orders"][0]
    settled(shop)
    assert {"orders/create", "orders/paid"} <= set(hooks.topics())
    told = [(headers, body) for _, headers, body in hooks.got if headers["X-Shopify-Topic"].startswith("orders/")]
    assert len({headers["X-Shopify-Event-Id"] for headers, _ in told}) == 1
    assert len({headers["X-Shopify-Webhook-Id"] for headers, _ in told}) == len(told)
    for headers, body in told:
        assert headers["X-Shopify-Hmac-Sha256"] == sign("new", body)
        document = json.loads(body)
        assert document["admin_graphql_api_id"] == gid and document["id"] > 2**53
        assert f'"id":{document["id"]}'.encode() in body
        assert document["total_price_set"]["shop_money"]["amount"] == document["total_price"]
        assert set(document) >= {"line_items", "customer", "shipping_lines", "discount_applications", "refunds"}


def test_bodies_are_written_in_several_ways_and_mean_the_same(shop, hooks):
    subscribe(shop, "ORDERS_CREATE")
    shop.call("POST", "orders", {"seed": 9, "count": 30})
    settled(shop)
    bodies = [body for _, _, body in hooks.got]
    assert any(b"\\/" in one for one in bodies) and any(b"\\u00" in one for one in bodies)
    assert any("Å".encode() in one for one in bodies) and any(json.loads(one)["customer"] is None for one in bodies)
    stored = {one["id"]: one for one in shop.call("GET", "orders")["orders"]}
    assert [json.loads(one) for one in bodies] and all(stored[json.loads(one)["id"]] == json.loads(one)
                                                       for one in bodies)


def test_the_books_know_each_delivery(shop, hooks):
    subscribe(shop, "ORDERS_CREATE")
    hooks.answers = [500, 200]
    gid = shop.call("POST", "orders", {"seed": 3})["orders"][0]
    books = settled(shop)
    assert books["by_topic"] == {"orders/create": 1} and books["final"] == {"delivered": 1}
    assert books["by_status"] == {"500": 1, "200": 1} and books["unheard"]["orders/paid"] == 1
    one, = shop.call("GET", "webhooks?since=0&bodies=1")["deliveries"]
    assert one["subject"] == int(gid.rpartition("/")[2]) and one["url"] == URI
    assert one["sha256"] == hashlib.sha256(hooks.got[0][2]).hexdigest() and json.loads(one["body"])["id"] == one["subject"]
    assert hooks.got[0][1]["X-Shopify-Webhook-Id"] == hooks.got[1][1]["X-Shopify-Webhook-Id"] == one["webhook_id"]


def test_eight_failures_delete_the_subscription_and_graphql_sees_it_gone(shop, hooks):
    subscribe(shop, "ORDERS_CREATE")
    hooks.answers = [503] * 8
    shop.call("POST", "orders", {"seed": 3})
    books = settled(shop)
    assert books["final"] == {"dropped": 1} and books["subscriptions"]["deleted"][0]["why"] == "8 failures in a row"
    listed = ask(shop, "{ webhookSubscriptions(first: 5) { nodes { id } } }")["data"]
    assert listed["webhookSubscriptions"]["nodes"] == []


def test_metafields_come_with_a_body_as_they_were_asked_for(shop, hooks):
    subscribe(shop, "ORDERS_UPDATED", includeFields=["id", "updated_at"], metafieldNamespaces=["erp"],
              metafields=[{"namespace": "other", "key": "named"}])
    subscribe(shop, "ORDERS_UPDATED", filter="id:>1")
    gid = shop.call("POST", "orders", {"seed": 5})["orders"][0]
    settled(shop)
    hooks.got.clear()
    made = ask(shop, """mutation($m: [MetafieldsSetInput!]!) { metafieldsSet(metafields: $m) { metafields { id }
        userErrors { message } } }""", m=[
            {"ownerId": gid, "namespace": namespace, "key": key, "type": "single_line_text_field", "value": "v-" + key}
            for namespace, key in (("erp", "number"), ("other", "named"), ("other", "unnamed"))])
    assert made["data"]["metafieldsSet"]["userErrors"] == []
    settled(shop)
    chosen, whole = sorted(hooks.bodies("orders/updated"), key=len)
    assert set(chosen) == {"id", "updated_at", "metafields"} and "metafields" not in whole
    assert [(one["namespace"], one["key"], one["value"]) for one in chosen["metafields"]] == [
        ("erp", "number", "v-number"), ("other", "named", "v-named")]
    assert {one["owner_id"] for one in chosen["metafields"]} == {chosen["id"]}


def test_drafts_are_told_with_the_keys_that_end_in_a_question_mark(shop, hooks):
    subscribe(shop, *TOPICS)
    made = ask(shop, """mutation { draftOrderCreate(input: {email: "b@example.com", tags: ["q-1"], lineItems: [
        {title: "Setup", quantity: 2, originalUnitPriceWithCurrency: {amount: "10.00", currencyCode: EUR}}]})
        { draftOrder { id name } userErrors { message } } }""")["data"]["draftOrderCreate"]["draftOrder"]
    ask(shop, "mutation($id: ID!) { draftOrderDelete(input: {id: $id}) { deletedId } }", id=made["id"])
    settled(shop)
    body, = hooks.bodies("draft_orders/create")
    assert body["b2b?"] is False and body["allow_discount_codes_in_checkout?"] is False
    assert (body["status"], body["name"], body["total_price"], body["tags"]) == ("open", made["name"], "20.00", "q-1")
    assert body["line_items"][0]["title"] == "Setup" and body["line_items"][0]["price"] == "10.00"
    assert hooks.bodies("draft_orders/delete") == [{"id": int(made["id"].rpartition("/")[2])}]


def test_what_is_not_played_can_be_told_by_its_sample(shop, hooks):
    shop.call("POST", "subscriptions",
              [{"topic": "companies/create", "uri": URI}, {"topic": "shop/redact", "uri": URI}])
    shop.call("POST", "tell", {"topic": "companies/create"})
    shop.call("POST", "tell", {"topic": "shop/redact", "body": {"shop_id": 1}})
    settled(shop)
    assert hooks.bodies("companies/create")[0]["external_id"] == "ERP-C-0042"
    assert hooks.bodies("shop/redact") == [{"shop_id": 1}]


def test_compliance_topics_name_the_customer_and_the_orders(shop, hooks):
    shop.call("POST", "subscriptions", [{"topic": topic, "uri": URI} for topic in (
        "customers/data_request", "customers/redact", "shop/redact")])
    shop.call("POST", "orders", {"seed": 4, "count": 20})
    orders = shop.call("GET", "orders")["orders"]
    buyer = next(one["customer"] for one in orders if one["customer"])
    own = [one["id"] for one in orders if one["customer"] and one["customer"]["id"] == buyer["id"]]
    for topic in ("customers/data_request", "customers/redact", "shop/redact"):
        shop.call("POST", "compliance", {"topic": topic, "customer": buyer["id"]})
    settled(shop)
    asked, redact, whole = (hooks.bodies(topic)[0] for topic in (
        "customers/data_request", "customers/redact", "shop/redact"))
    assert asked["orders_requested"] == own and asked["customer"]["email"] == buyer["email"] and asked["data_request"]["id"]
    assert redact["orders_to_redact"] == own and redact["customer"]["id"] == buyer["id"]
    assert whole == {"shop_id": asked["shop_id"], "shop_domain": "example.myshopify.com"}


def test_a_removed_app_is_told_so_and_its_subscriptions_go(shop, hooks):
    subscribe(shop, "APP_UNINSTALLED", "ORDERS_CREATE")
    shop.call("POST", "subscriptions", [{"topic": "shop/redact", "uri": URI}])
    shop.call("POST", "uninstall", {})
    settled(shop)
    shop.call("POST", "clock", {"advance_s": 47 * 3600})
    assert settled(shop) and hooks.topics() == ["app/uninstalled"]
    shop.call("POST", "clock", {"advance_s": 3600})
    assert settled(shop) and hooks.bodies("shop/redact")[0]["shop_domain"] == "example.myshopify.com"
    body, = hooks.bodies("app/uninstalled")
    assert body["myshopify_domain"] == "example.myshopify.com"
    assert {one["why"] for one in shop.books()["webhooks"]["subscriptions"]["deleted"]} == {"the app was removed"}


def test_a_reset_forgets_what_is_under_way(shop, hooks):
    subscribe(shop, "ORDERS_CREATE")
    shop.call("POST", "webhooks", {"reorder": 1, "reorder_ms": 60_000})
    shop.call("POST", "orders", {"seed": 1})
    assert shop.books()["webhooks"]["waiting"] == 1
    assert not shop.call("POST", "settle", {"timeout_s": 0.05})["settled"]
    shop.reset()
    assert shop.call("POST", "settle", {"timeout_s": 5})["settled"] and hooks.got == []
    assert shop.books()["webhooks"]["deliveries"] == 0


def test_each_shop_is_a_process_with_its_own_name_secret_and_declared_hooks(hooks):
    names = ("a.myshopify.com", "b.myshopify.com")
    for name in names:
        with Process("shopify_admin", "--shop", name, "--secret", "secret of " + name, "--connect-s", 30, "--total-s",
                     60,
                     "--hook", "orders/create=https://gw.example.com/in/" + name[0], "--route", "*="
                     + hooks.url) as one:
            one.call("POST", "orders", {"seed": 1})
            assert settled(one)["final"] == {"delivered": 1}
            one.reset()
            assert [alive["made_by"] for alive in one.books()["webhooks"]["subscriptions"]["alive"]] == ["app"]
            assert ask(one, "{ shop { myshopifyDomain } }")["data"]["shop"]["myshopifyDomain"] == name
    assert [(path, headers["X-Shopify-Shop-Domain"]) for path, headers, _ in hooks.got] == [
        ("/in/a", names[0]), ("/in/b", names[1])]
    for (_, headers, body), name in zip(hooks.got, names):
        assert headers["X-Shopify-Hmac-Sha256"] == sign("secret of " + name, body)


# ---- services ----

def service(shop, **more):
    made = ask(shop, """mutation($name: String!, $url: URL) { fulfillmentServiceCreate(name: $name, callbackUrl: $url,
        inventoryManagement: true, trackingSupport: true) { fulfillmentService { id location { id } }
        userErrors { message } } }""",
               name="Supplier Nord", url="https://gw.example.com/in/nord/s3cret")
    return made["data"]["fulfillmentServiceCreate"]["fulfillmentService"]


@pytest.mark.parametrize("suffix", ["", ".json"])
def test_a_service_is_asked_for_its_stock_and_the_number_is_on_hand(shop, hooks, suffix):
    nord = service(shop)
    hooks.replies = {"/fetch_stock" + suffix: '{"PLATE-CUST-01": 10, "UNKNOWN": 3, "BAD": "x"}'}
    shop.call("POST", "variants", [{"sku": "PLATE-CUST-01", "id": "gid://shopify/ProductVariant/7"}])
    entry = shop.call("POST", "services", {"what": "stock", "suffix": suffix})
    assert entry["status"] == 200 and entry["applied"] == {"PLATE-CUST-01": 10}
    path = hooks.got[0][0]
    assert path.startswith(f"/in/nord/s3cret/fetch_stock{suffix}?") and "shop=example.myshopify.com" in path
    assert "sku=" not in path and "max_retries=" in path and "timestamp=" in path
    said = ask(shop, """query($l: ID!) { productVariant(id: "gid://shopify/ProductVariant/7") { inventoryItem {
        inventoryLevel(locationId: $l) { quantities(names: ["on_hand"]) { quantity } } } } }""",
                     l=nord["location"]["id"])
    level = said["data"]["productVariant"]["inventoryItem"]["inventoryLevel"]
    assert level["quantities"] == [{"quantity": 10}]
    hooks.replies = {"/fetch_stock" + suffix: "<html>"}
    assert shop.call("POST", "services", {"what": "stock", "sku": "A B#1"})["error"] == "not JSON"
    assert "sku=A%20B%231" in hooks.got[-1][0]


def test_a_service_is_asked_every_hour(shop, hooks):
    nord = service(shop)
    hooks.replies = {"/fetch_stock": "{}"}
    shop.call("POST", "clock", {"advance_s": 3500})
    shop.call("POST", "orders", {"lines": [{"sku": "A", "service": "supplier-nord"}]})
    assert shop.books()["callbacks"] == []
    part, = ask(shop,
                """{ assignedFulfillmentOrders(first: 5) { nodes { id assignedLocation { location { id } } } } }""")[
        "data"]["assignedFulfillmentOrders"]["nodes"]
    assert part["assignedLocation"]["location"] == nord["location"]
    ask(shop, """mutation($id: ID!) { fulfillmentCreate(fulfillment: {lineItemsByFulfillmentOrder: [
        {fulfillmentOrderId: $id}]}) { fulfillment { id } userErrors { message } } }""", id=part["id"])
    for times in (1, 2):
        shop.call("POST", "clock", {"advance_s": 3700})
        settled(shop)
        assert [one["what"] for one in shop.books()["callbacks"]] == ["fetch_stock", "fetch_tracking_numbers"] * times


def test_a_service_hears_of_a_request_by_a_signed_call_without_an_order(shop, hooks):
    service(shop)
    for kind in ("FULFILLMENT_REQUEST", "CANCELLATION_REQUEST"):
        assert shop.call("POST", "services", {"what": kind})["status"] == 200
    path, headers, body = hooks.got[0]
    assert path == "/in/nord/s3cret/fulfillment_order_notification" and body == b'{"kind": "FULFILLMENT_REQUEST"}'
    assert headers["X-Shopify-Hmac-Sha256"] == sign("new", body) and len(hooks.got) == 2
    shop.call("POST", "services", {"what": "FULFILLMENT_REQUEST", "bad_signature": True, "suffix": ".json"})
    path, headers, body = hooks.got[-1]
    assert path.endswith("notification.json") and headers["X-Shopify-Hmac-Sha256"] != sign("new", body)


def test_names_of_fulfilments_are_encoded(shop, hooks):
    service(shop)
    hooks.replies = {"/fetch_tracking_numbers": '{"tracking_numbers":{"#1042.1":"JD01"},"message":"ok","success":true}'}
    entry = shop.call("POST", "services", {"what": "tracking", "names": ["#1042.1", "#1043.1"]})
    assert "order_names[]=%231042.1&order_names[]=%231043.1" in hooks.got[0][0]
    assert entry["answer"]["tracking_numbers"] == {"#1042.1": "JD01"}


# ---- REST, and bad days ----

def get(shop, path, token=TOKEN):
    status, headers, text = request(shop.url, "GET", path, headers={"X-Shopify-Access-Token": token})
    return status, headers, json.loads(text)


def test_one_order_by_rest_in_the_form_of_its_webhook(shop):
    gid = shop.call("POST", "orders", {"seed": 8})["orders"][0]
    number = gid.rpartition("/")[2]
    status, headers, said = get(shop, f"/admin/api/2026-10/orders/{number}.json")
    assert status == 200 and said["order"] == shop.call("GET", "orders")["orders"][0]
    assert headers["X-Shopify-Shop-Api-Call-Limit"] == "1/40" and headers["X-Shopify-API-Version"] == "2026-10"
    assert get(shop, "/admin/api/2024-01/orders/1.json")[1]["X-Shopify-API-Version"] == "2026-01"
    assert get(shop, "/admin/api/2026-10/orders/1.json")[0] == 404
    assert get(shop, f"/admin/api/2026-10/orders/{number}.json", "no")[0] == 401
    answers = [get(shop, f"/admin/api/2026-10/orders/{number}.json") for _ in range(60)]
    limited = next(one for one in answers if one[0] == 429)
    assert limited[1]["Retry-After"] == "2.0" and isinstance(limited[2]["errors"], str)
    assert limited[1]["X-Shopify-Shop-Api-Call-Limit"] == "40/40"


@pytest.mark.parametrize("action, status", [
    ("frozen", 402), ("forbidden", 403), ("locked", 423), ("edge_limit", 429), ("security", 430), ("internal", 500),
    ("bad_gateway", 502), ("unavailable", 503), ("gave_up", 504)])
def test_a_shop_has_bad_days(shop, action, status):
    shop.fault(action=action, at="graphql", count=1)
    seen, headers, text = request(shop.url, "POST", "/admin/api/2026-10/graphql.json", {"query": "{ shop { id } }"},
                                  {"X-Shopify-Access-Token": TOKEN})
    assert seen == status and headers["X-Request-Id"]
    assert (b"<html>" in text) if status == 502 else isinstance(json.loads(text)["errors"], str)
    assert ("Retry-After" in headers) == (status in (429, 503))
    assert "data" in ask(shop, "{ shop { id } }")


def test_an_internal_error_may_come_as_a_200(shop):
    for action, code in (("graphql_internal", "INTERNAL_SERVER_ERROR"), ("graphql_timeout", "TIMEOUT")):
        shop.fault(action=action, at="graphql", count=1)
        said = ask(shop, "{ shop { id } }")
        assert "data" not in said and said["errors"][0]["extensions"]["code"] == code
        assert said["errors"][0]["extensions"]["requestId"]
