"""Tokens of the Shopify stand-in: how they are got, how they end, what they may."""

import json
import urllib.parse

import pytest

from sandbox.client import Process, request
from sandbox.shopify_tokens import EXCHANGE, GRACE_S, Access, GrantRefused

WHO = {"client_id": "CID", "client_secret": "SEC"}
NAME = "{ shop { name } }"


@pytest.fixture(scope="module")
def process():
    with Process("shopify_admin", "--client-id", "CID", "--secret", "SEC", "--token", "shpat_static") as running:
        yield running


@pytest.fixture
def shop(process):
    process.reset()
    return process


def token(shop, form=True, **asked):
    body = {**WHO, **asked}
    if form:
        status, _, text = request(shop.url, "POST", "/admin/oauth/access_token", urllib.parse.urlencode(body),
                                  {"Content-Type": "application/x-www-form-urlencoded"})
    else:
        status, _, text = request(shop.url, "POST", "/admin/oauth/access_token", body)
    return status, json.loads(text)


def ask(shop, token, document=NAME, **variables):
    status, _, text = request(shop.url, "POST", "/admin/api/2026-10/graphql.json",
                              {"query": document, "variables": variables}, {"X-Shopify-Access-Token": token})
    return status, json.loads(text)


@pytest.mark.parametrize("form", [True, False])
def test_client_credentials_live_24_hours_and_have_no_refresh_token(shop, form):
    status, made = token(shop, form, grant_type="client_credentials")
    assert status == 200 and set(made) == {"access_token", "scope", "expires_in"} and made["expires_in"] == 86399
    assert made["access_token"].startswith("shpat_") and "write_orders" in made["scope"].split(",")
    assert ask(shop, made["access_token"])[1]["data"]["shop"]["name"] == "Byron Gears"
    shop.call("POST", "clock", {"advance_s": 86_390})
    assert ask(shop, made["access_token"])[0] == 200
    shop.call("POST", "clock", {"advance_s": 10})
    status, said = ask(shop, made["access_token"])
    assert status == 401 and said == {
        "errors": "[API] Invalid API key or access token (unrecognized login or wrong password)"}
    assert ask(shop, "shpat_static")[0] == 200


def test_expire_now_ends_what_can_end(shop):
    made = token(shop, grant_type="client_credentials")[1]["access_token"]
    assert shop.call("POST", "tokens", {"expire": True})["expired"] == 1
    assert isinstance(ask(shop, made)[1]["errors"], str) and ask(shop, "shpat_static")[0] == 200
    assert shop.call("POST", "tokens", {"expire": "shpat_static"})["expired"] == 1
    assert ask(shop, "shpat_static")[0] == 401
    assert shop.call("GET", "tokens")["refused"] == {"401": 2}


@pytest.mark.parametrize("asked, error", [
    ({"grant_type": "client_credentials", "client_secret": "no"}, "invalid_client"),
    ({"grant_type": "client_credentials", "client_id": "no"}, "application_cannot_be_found"),
    ({"grant_type": "password"}, "unsupported_grant_type"),
    ({"grant_type": "refresh_token", "refresh_token": "no"}, "invalid_grant"),
])
def test_errors_of_the_token_endpoint_are_400_with_two_texts(shop, asked, error):
    status, said = token(shop, **asked)
    assert status == 400 and said["error"] == error and set(said) == {"error", "error_description"}


def test_a_shop_may_refuse_the_app(shop):
    shop.call("POST", "tokens", {"wrong": ["shop_not_permitted", "Client credentials cannot be performed here."]})
    assert token(shop, grant_type="client_credentials") == (400, {
        "error": "shop_not_permitted", "error_description": "Client credentials cannot be performed here."})
    shop.call("POST", "tokens", {"wrong": None})
    assert token(shop, grant_type="client_credentials")[0] == 200
    assert request(shop.url, "POST", "/admin/oauth/access_token", b"{", {"Content-Type": "application/json"})[0] == 400


def test_a_refresh_gives_a_new_pair_and_the_old_one_is_good_until_the_new_one_is_used(shop):
    first = shop.call("POST", "tokens", {"offline": 1})["pairs"][0]
    assert first["expires_in"] == 3600 and first["refresh_token_expires_in"] == 90 * 86400

    def refresh(pair):
        return token(shop, grant_type="refresh_token", refresh_token=pair["refresh_token"])

    _, second = refresh(first)
    _, again = refresh(first)  # the answer was lost: asked once more
    assert second["refresh_token"] not in (first["refresh_token"], again["refresh_token"])
    assert ask(shop, second["access_token"])[0] == ask(shop, again["access_token"])[0] == 200
    assert refresh(first)[0] == 200  # an access token's use does not retire it
    assert refresh(again)[0] == 200  # the replacement's use does
    assert refresh(first)[1]["error"] == "invalid_grant"
    shop.call("POST", "clock", {"advance_s": 3600})
    assert ask(shop, second["access_token"])[0] == 401


def test_the_grace_of_a_used_refresh_token_is_30_days():
    now = [1000.0]
    access = Access("CID", "SEC", "static", clock=lambda: now[0])
    first = access.pair("installation")["refresh_token"]
    access.refresh(first)
    now[0] += GRACE_S - 1
    access.refresh(first)
    now[0] += 1
    with pytest.raises(GrantRefused):
        access.refresh(first)
    other = access.pair("installation")["refresh_token"]
    now[0] += 90 * 86400
    with pytest.raises(GrantRefused):
        access.refresh(other)


def test_a_token_without_end_is_exchanged_for_a_pair_and_is_dead(shop):
    status, made = token(shop, grant_type=EXCHANGE, subject_token="shpat_static", expiring="1")
    assert status == 200 and ask(shop, made["access_token"])[0] == 200 and ask(shop, "shpat_static")[0] == 401
    assert token(shop, grant_type=EXCHANGE, subject_token="shpat_static", expiring="1")[0] == 400


def test_a_missing_scope_is_an_access_denied_that_names_it(shop):
    shop.call("POST", "tokens", {"scopes": "write_draft_orders,read_orders"})
    _, said = ask(shop, "shpat_static",
                  "{ draftOrders(first: 1) { nodes { id } } locations(first: 1) { nodes { id } } }")
    error = said["errors"][0]
    assert error["extensions"]["code"] == "ACCESS_DENIED" and error["path"] == ["locations"]
    assert error["message"] == ("Access denied for locations field. Required access: `read_locations` access scope.")
    assert error["extensions"]["requiredAccess"] == "`read_locations` access scope"
    _, said = ask(shop, "shpat_static", """mutation { orderUpdate(input: {id: "gid://shopify/Order/1", note: "x"})
        { order { id } userErrors { field message } } }""")
    assert said["errors"][0]["extensions"]["code"] == "ACCESS_DENIED"
    _, said = ask(shop, "shpat_static", "{ currentAppInstallation { accessScopes { handle } } }")
    handles = [one["handle"] for one in said["data"]["currentAppInstallation"]["accessScopes"]]
    assert handles == ["read_draft_orders", "read_orders", "write_draft_orders"]


def test_old_orders_need_a_scope_of_their_own(shop):
    gid = shop.call("POST", "orders", {"lines": [{"sku": "A"}]})["orders"][0]
    shop.call("POST", "clock", {"advance_s": 61 * 86400})
    young = shop.call("POST", "orders", {"lines": [{"sku": "A"}]})["orders"][0]
    document = "query($id: ID!) { order(id: $id) { id } orders(first: 5) { nodes { id } } }"
    assert len(ask(shop, "shpat_static", document, id=gid)[1]["data"]["orders"]["nodes"]) == 2
    shop.call("POST", "tokens", {"scopes": "read_orders"})
    said = ask(shop, "shpat_static", document, id=gid)[1]["data"]
    assert said == {"order": None, "orders": {"nodes": [{"id": young}]}}


def test_a_removed_app_has_no_token(shop):
    made = token(shop, grant_type="client_credentials")[1]["access_token"]
    shop.call("POST", "uninstall", {})
    assert ask(shop, made)[0] == ask(shop, "shpat_static")[0] == 401
    assert token(shop, grant_type="client_credentials")[1]["error"] == "app_not_installed"
    shop.call("POST", "tokens", {"install": True})
    assert ask(shop, "shpat_static")[0] == 200
