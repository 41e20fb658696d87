"""Bulk operations of the Shopify stand-in: rules of the query, the file of lines, uploads, ends of every kind."""

import json
import time

import pytest

from sandbox.client import Process, request
from sandbox.hook_receiver import Hooks

TOKEN = "sandbox-admin-token"
RUN = """mutation($query: String!, $grouped: Boolean!) { bulkOperationRunQuery(query: $query, groupObjects: $grouped) {
  bulkOperation { id status createdAt url objectCount } userErrors { code field message } } }"""
BY_ID = """query($id: ID!) { bulkOperation(id: $id) { id type status errorCode createdAt completedAt objectCount
  rootObjectCount fileSize url partialDataUrl } }"""
ORDERS = "{ orders { edges { node { id name lineItems { edges { node { id sku } } } } } } }"
BOUNDARY = "sluice-boundary"


@pytest.fixture(scope="module")
def process():
    with Process("shopify_admin", "--bulk-ms", 20, "--clock", 0.0001, "--connect-s", 30, "--total-s", 60) as running:
        yield running


@pytest.fixture
def shop(process):
    process.reset()
    return process


def ask(shop, document, version="2026-10", **variables):
    _, _, text = request(shop.url, "POST", f"/admin/api/{version}/graphql.json",
                         {"query": document, "variables": variables}, {"X-Shopify-Access-Token": TOKEN})
    said = json.loads(text)
    assert "errors" not in said, said
    return said["data"]


def run(shop, query, grouped=False):
    return ask(shop, RUN, query=query, grouped=grouped)["bulkOperationRunQuery"]


def operation(shop, made):
    return ask(shop, BY_ID, id=made["id"])["bulkOperation"]


def ended(shop, made, statuses=("COMPLETED", "FAILED", "CANCELED")):
    end = time.monotonic() + 30
    while time.monotonic() < end:
        now = operation(shop, made)
        if now["status"] in statuses:
            return now
        time.sleep(0.01)
    raise AssertionError(f"still {now['status']}")


def fetch(url):
    """(status, raw bytes, lines) of a result."""
    host, _, path = url.partition("/_")
    status, headers, text = request(host, "GET", "/_" + path)
    assert status != 200 or headers["Transfer-Encoding"] == "chunked"
    return status, text, [json.loads(line) for line in text.splitlines()] if status == 200 else []


def sort(lines):
    return sorted(lines, key=lambda one: one["id"])


def test_a_whole_connection_comes_as_lines_whose_children_name_their_parents(shop):
    shop.call("POST", "orders", {"count": 300, "seed": 2})
    payload = run(shop, ORDERS)
    assert payload["userErrors"] == [] and payload["bulkOperation"]["status"] == "CREATED"
    assert payload["bulkOperation"]["url"] is None and payload["bulkOperation"]["objectCount"] == "0"
    done = ended(shop, payload["bulkOperation"])
    status, raw, lines = fetch(done["url"])
    orders = shop.call("GET", "orders")["orders"]
    roots = [one for one in lines if "__parentId" not in one]
    children = [one for one in lines if "__parentId" in one]
    assert status == 200 and [one["id"] for one in roots] == [one["admin_graphql_api_id"] for one in orders]
    assert sort(children) == sort([{"id": line["admin_graphql_api_id"], "sku": line["sku"],
                                    "__parentId": one["admin_graphql_api_id"]}
                                   for one in orders for line in one["line_items"]])
    assert done["rootObjectCount"] == "300" and done["objectCount"] == str(len(lines))
    assert done["fileSize"] == str(len(raw)) and b"gid:\\/\\/shopify\\/Order\\/" in raw
    at = {one["id"]: place for place, one in enumerate(lines)}
    distances = [at[one["id"]] - at[one["__parentId"]] for one in children]
    assert min(distances) > 0 and max(distances) > 20  # after their parents, and not beside them


def test_grouped_lines_stand_behind_their_parents(shop):
    shop.call("POST", "orders", {"count": 30, "seed": 2})
    lines = fetch(ended(shop, run(shop, ORDERS, True)["bulkOperation"])["url"])[2]
    parent = None
    for one in lines:
        parent = one["id"] if "__parentId" not in one else parent
        assert one.get("__parentId", parent) == parent


def test_an_empty_result_has_no_address(shop):
    done = ended(shop, run(shop, "{ orders { edges { node { id } } } }")["bulkOperation"])
    assert (done["status"], done["url"], done["objectCount"], done["fileSize"]) == ("COMPLETED", None, "0", None)


def test_a_search_and_its_first_are_taken_as_bulk_does(shop):
    shop.call("POST", "orders", {"count": 60, "seed": 2})
    name = shop.call("GET", "orders")["orders"][7]["name"]
    some = fetch(ended(shop, run(shop, f'{{ orders(query: "name:{name}") {{ edges {{ node {{ name }} }} }} }}')[
        "bulkOperation"])["url"])[2]
    assert some == [{"name": name}]
    every = ended(shop, run(shop, "{ orders(first: 3) { edges { node { id } } } }")["bulkOperation"])
    assert every["objectCount"] == "60"  # first is ignored


@pytest.mark.parametrize("query, said", [
    ("{ shop { name } }", "at least one connection"),
    ("{ orders { nodes { id } } }", "`nodes`"),
    ("{ orders { edges { node { name lineItems { edges { node { id } } } } } } }", "must select the 'id' field"),
    ("{ nodes(ids: []) { id } }", "top level"),
    ("{ orders { edges { cursor } } }", "edges { node"),
    ("mutation { orderOpen(input: {id: \"gid://shopify/Order/1\"}) { order { id } } }", "must be queries"),
    ("{ orders { edges { node { nothing } } } }", "doesn't exist on type 'Order'"),
    ("{ orders { edges ", "syntax error"),
    ("{" + " ".join(f"a{n}: orders {{ edges {{ node {{ id }} }} }}" for n in range(6)) + "}", "more than 5"),
    ("{ locations { edges { node { id inventoryLevels { edges { node { id item { id "
     "inventoryLevels { edges { node { id } } } } } } } } } } }", "nesting depth"),
    ("{ orders { edges { node { id } } } } #" + "x" * 65_536, "too large"),
])
def test_rules_of_the_query(shop, query, said):
    payload = run(shop, query)
    assert payload["bulkOperation"] is None and said in payload["userErrors"][0]["message"]
    assert (payload["userErrors"][0]["code"], payload["userErrors"][0]["field"]) == ("INVALID", ["query"])


def test_five_at_once_and_no_more(shop):
    shop.call("POST", "bulk", {"hold": True})
    made = [run(shop, ORDERS)["bulkOperation"] for _ in range(5)]
    sixth = run(shop, ORDERS)
    assert sixth["bulkOperation"] is None and sixth["userErrors"][0]["code"] == "LIMIT_REACHED"
    assert {ended(shop, one, ("RUNNING",))["status"] for one in made} == {"RUNNING"}
    shop.call("POST", "bulk", {"hold": False})
    assert {ended(shop, one)["status"] for one in made} == {"COMPLETED"}
    assert run(shop, ORDERS)["userErrors"] == []


def test_a_failure_leaves_what_was_there(shop):
    shop.call("POST", "orders", {"count": 20, "seed": 2})
    shop.call("POST", "bulk", {"fail": {"code": "TIMEOUT", "after": 7}})
    done = ended(shop, run(shop, ORDERS)["bulkOperation"])
    assert (done["status"], done["errorCode"], done["url"]) == ("FAILED", "TIMEOUT", None)
    assert len(fetch(done["partialDataUrl"])[2]) == 7 and done["objectCount"] == "7"
    assert ended(shop, run(shop, ORDERS)["bulkOperation"])["status"] == "COMPLETED"  # the next one


def test_a_scope_that_is_missing_fails_it(shop):
    shop.call("POST", "tokens", {"scopes": "read_products"})
    done = ended(shop, run(shop, ORDERS)["bulkOperation"])
    assert (done["status"], done["errorCode"]) == ("FAILED", "ACCESS_DENIED")


def test_it_can_be_cancelled_while_it_runs(shop):
    cancel = """mutation($id: ID!) { bulkOperationCancel(id: $id) { bulkOperation { status }
        userErrors { field message } } }"""
    shop.call("POST", "bulk", {"hold": True})
    made = run(shop, ORDERS)["bulkOperation"]
    ended(shop, made, ("RUNNING",))
    assert ask(shop, cancel, id=made["id"])["bulkOperationCancel"] == {
        "bulkOperation": {"status": "CANCELING"}, "userErrors": []}
    assert ended(shop, made)["status"] == "CANCELED"
    again = ask(shop, cancel, id=made["id"])["bulkOperationCancel"]["userErrors"]
    assert again[0]["message"] == "A bulk operation cannot be canceled when it is canceled"
    assert ask(shop, cancel,
               id="gid://shopify/BulkOperation/1")["bulkOperationCancel"]["userErrors"][0]["field"] == ["id"]


def test_an_address_is_good_for_seven_days_and_to_nobody_without_its_token(shop):
    shop.call("POST", "orders", {"count": 1})
    made = run(shop, ORDERS)["bulkOperation"]
    url = ended(shop, made)["url"]
    assert fetch(url[:-1])[0] == 403
    shop.call("POST", "clock", {"advance_s": 7 * 86400 - 5})
    assert fetch(url)[0] == 200
    shop.call("POST", "clock", {"advance_s": 6})
    assert fetch(url)[0] == 403 and operation(shop, made)["status"] == "EXPIRED"
    assert operation(shop, made)["url"] is None


def test_its_end_is_told_without_the_address(shop):
    with Hooks() as hooks:
        shop.call("POST", "webhooks", {"routes": {"*": hooks.url}})
        shop.call("POST", "subscriptions", [{"topic": "bulk_operations/finish", "uri": "https://gw.example.com/in"}])
        made = run(shop, ORDERS)["bulkOperation"]
        done = ended(shop, made)
        shop.call("POST", "settle", {})
        assert hooks.bodies("bulk_operations/finish") == [{
            "admin_graphql_api_id": made["id"], "completed_at": done["completedAt"], "created_at": done["createdAt"],
            "error_code": None, "status": "completed", "type": "query"}]


def test_operations_are_listed_and_the_current_one_is_the_last(shop):
    first = run(shop, ORDERS)["bulkOperation"]
    last = run(shop, ORDERS)["bulkOperation"]
    said = ask(shop, "{ currentBulkOperation { id } bulkOperations(first: 5) { nodes { id } } }")
    assert said["currentBulkOperation"]["id"] == last["id"]
    assert {one["id"] for one in said["bulkOperations"]["nodes"]} == {first["id"], last["id"]}


# ---- a mutation for each line ----

STAGE = """mutation($input: [StagedUploadInput!]!) { stagedUploadsCreate(input: $input) { stagedTargets { url resourceUrl
  parameters { name value } } userErrors { field message } } }"""
IMPORT = """mutation($mutation: String!, $path: String!, $client: String) { bulkOperationRunMutation(mutation: $mutation,
  stagedUploadPath: $path, clientIdentifier: $client) { bulkOperation { id status } userErrors { code field message } } }"""
NOTE = "mutation($input: OrderInput!) { orderUpdate(input: $input) { order { id note } userErrors { field message } } }"


def stage(shop):
    target, = ask(shop, STAGE, input=[{"resource": "BULK_MUTATION_VARIABLES", "filename": "bulk_op_vars",
                                       "mimeType": "text/jsonl", "httpMethod": "POST"}])["stagedUploadsCreate"][
                                           "stagedTargets"]
    return target, next(one["value"] for one in target["parameters"] if one["name"] == "key")


def upload(target, text, last="file"):
    parts = [(one["name"], one["value"]) for one in target["parameters"]]
    parts.insert(len(parts) if last == "file" else 0, ("file", text))
    body = "".join(f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="{name}"'
                   + ('; filename="bulk_op_vars"' if name == "file" else "") + f"\r\n\r\n{value}\r\n"
                   for name, value in parts) + f"--{BOUNDARY}--\r\n"
    host, _, path = target["url"].partition("/_")
    return request(host, "POST", "/_" + path, body.encode(),
                   {"Content-Type": f"multipart/form-data; boundary={BOUNDARY}"})[0]


def begin(shop, path, mutation=NOTE, client="a-client-of-ours"):
    return ask(shop, IMPORT, mutation=mutation, path=path, client=client)["bulkOperationRunMutation"]


def test_each_line_of_an_upload_is_done_once_and_answers_by_its_number(shop):
    orders = shop.call("POST", "orders", {"count": 12, "seed": 3})["orders"]
    target, key = stage(shop)
    assert target["resourceUrl"] is None and begin(shop, key)["userErrors"][0]["code"] == "NO_SUCH_FILE"
    lines = [{"input": {"id": gid, "note": f"n{at}"}} for at, gid in enumerate(orders)]
    lines += [{"input": {"id": "gid://shopify/Order/1"}}, {"input": {"nothing": 1}}]
    assert upload(target, "\n".join(map(json.dumps, lines))) == 201
    payload = begin(shop, key)
    assert payload["userErrors"] == [], payload
    done = ended(shop, payload["bulkOperation"])
    assert done["type"] == "MUTATION" and done["objectCount"] == "14"
    answers = fetch(done["url"])[2]
    assert [one["__lineNumber"] for one in answers] != list(range(14))  # not in order
    by_line = {one["__lineNumber"]: one for one in answers}
    assert set(by_line) == set(range(14))
    assert by_line[3]["data"]["orderUpdate"] == {"order": {"id": orders[3], "note": "n3"}, "userErrors": []}
    assert by_line[12]["data"]["orderUpdate"]["userErrors"][0]["message"] == "Order does not exist"
    assert by_line[13]["errors"][0]["extensions"]["code"] == "INVALID_VARIABLE"
    assert [one["note"] for one in shop.call("GET", "orders")["orders"]] == [f"n{at}" for at in range(12)]


def test_uploads_that_are_refused(shop):
    target, key = stage(shop)
    assert upload(target, "{}", last="policy") == 400  # the file has to be the last part
    forged = {**target, "parameters": [{**one, "value": "x"} if one["name"] == "policy" else one
                                       for one in target["parameters"]]}
    assert upload(forged, "{}") == 403
    assert upload(target, "{}\nnot json") == 201
    assert begin(shop, key)["userErrors"][0]["code"] == "INVALID_STAGED_UPLOAD_FILE"
    assert upload(target, "{}") == 201
    assert begin(shop, key, "mutation { nothing }")["userErrors"][0]["code"] == "INVALID_MUTATION"
    assert begin(shop, key, "{ shop { id } }")["userErrors"][0]["code"] == "INVALID_MUTATION"
    assert begin(shop, key, client="short")["userErrors"][0]["field"] == ["clientIdentifier"]
