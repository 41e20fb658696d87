"""The shop's wire: tokens, webhooks of what changes in it, callbacks of services, bulk operations, and its bad days.

A Wire belongs to a ShopifyAdmin, which asks it about each request.
"""

import asyncio
import json
import os
import time
import uuid

from aiohttp import web

from sandbox import shopify_rest
from sandbox.common import as_json
from sandbox.orders import DATA
from sandbox.shopify_bodies import body_of, metafields
from sandbox.shopify_bulk import Bulk
from sandbox.shopify_graphql import Wrong, version_served
from sandbox.shopify_scopes import guard
from sandbox.shopify_services import Callbacks
from sandbox.shopify_services_shop import requests_of, service_of, stocked, tracked, unfinished
from sandbox.shopify_subscriptions import Subscriptions
from sandbox.shopify_tokens import Access
from sandbox.shopify_webhooks import Happening, Webhooks

SHOP_ID = 70000000001
HOUR_MS = 3_600_000
REDACT_AFTER_MS = 48 * HOUR_MS  # from the end of the app
# What a whole shop answers on a bad day: action -> (status, body, headers). None of them has done anything.
DAYS = {
    "frozen": (402, {"errors": "Payment Required"}, {}),
    "forbidden": (403, {"errors": "[API] This action requires merchant approval for the scope that is missing."}, {}),
    "locked": (423, {"errors": "Locked"}, {}),
    "edge_limit": (429, {"errors": "Too Many Requests"}, {"Retry-After": "1.0"}),
    "security": (430, {"errors": "Shopify Security Rejection"}, {}),
    "internal": (500, {"errors": "Internal Server Error"}, {}),
    "bad_gateway": (502, "<html><body><h1>502 Bad Gateway</h1></body></html>", {}),
    "unavailable": (503, {"errors": "Service Unavailable"}, {"Retry-After": "1.0"}),
    "gave_up": (504, {"errors": "Gateway Timeout"}, {}),
}


def day(action):
    def answer(admin, rule, request):
        status, body, headers = DAYS[action]
        headers = {**headers, **rule.get("headers", {})}
        status = rule.get("status", status)
        if isinstance(body, str):
            return web.Response(status=status, text=body, headers=headers, content_type="text/html")
        return as_json(body, status, headers)
    return answer


ANSWERS = {action: day(action) for action in DAYS}


def graphql_error(code):
    """A 200 whose top-level error has this code; nothing was done."""
    def answer(admin, rule, request):
        number = str(uuid.uuid4())
        text = {"INTERNAL_SERVER_ERROR": "Internal error. Looks like something went wrong on our end.\nRequest ID: "
                f"{number} (include this in support requests).", "TIMEOUT": "Timeout",
                "SHOP_INACTIVE": "The shop is inactive."}[code]
        return as_json({"errors": [{"message": text, "extensions": {"code": code, "requestId": number}}]})
    return answer


ANSWERS.update({"graphql_internal": graphql_error("INTERNAL_SERVER_ERROR"), "graphql_timeout": graphql_error("TIMEOUT"),
                "shop_inactive": graphql_error("SHOP_INACTIVE")})


def samples():
    with open(os.path.join(DATA, "shopify-webhook.samples.json"), encoding="utf-8") as source:
        return json.load(source)["samples"]


class Wire:
    def __init__(self, admin, args):
        self.admin, self.shop = admin, admin.shop
        self.access = Access(args.client_id, args.client_secret or args.secret, args.token,
                             clock=self.shop_seconds)
        self.subscriptions = Subscriptions()
        self.webhooks = Webhooks(self.subscriptions, admin.spawn, self.shop.domain,
                                 [args.secret, *([args.previous_secret] if args.previous_secret else [])],
                                 args.webhook_version, args.clock, not args.insecure, args.connect_s, args.total_s,
                                 dict(one.split("=", 1) for one in args.route))
        self.webhooks.metafields = lambda *asked: metafields(self.shop, *asked)
        self.callbacks = Callbacks(self.webhooks, lambda service, levels: stocked(self.shop, service, levels),
                                   lambda service, numbers: tracked(self.shop, service, numbers))
        self.bulk = Bulk(admin.engine, self.tell, lambda: admin.url)
        self.bulk.first_ms = args.bulk_ms
        self.hooked, self.calling = args.hook, set()
        self.install()
        self.shop.listeners.append(self.on_change)

    def shop_seconds(self):
        return self.shop.clock.seconds()

    def install(self):
        engine = self.admin.engine
        engine.mutation("webhookSubscriptionCreate")(self.create)
        engine.mutation("webhookSubscriptionUpdate")(self.update)
        engine.mutation("webhookSubscriptionDelete")(self.delete)
        engine.query("webhookSubscription")(self.one)
        engine.query("webhookSubscriptions")(self.many)
        self.bulk.install()
        guard(engine, lambda: self.access.granted())
        engine.resolvers["AppInstallation", "accessScopes"] = lambda source, args, call: [
            {"handle": one, "description": one.replace("_", " ")} for one in sorted(self.access.granted())]

    def reset(self):
        self.access.reset()
        self.subscriptions.reset()
        self.webhooks.reset()
        self.callbacks.clear()
        self.bulk.clear()
        self.calls = shopify_rest.Calls()
        for text in self.hooked:  # TOPIC=https://...: declared by the app's configuration
            topic, _, uri = text.partition("=")
            self.declare({"topic": topic, "uri": uri})
        self.shop.later(HOUR_MS, self.hourly)

    def hourly(self):
        """Services are asked for their stock and their numbers, as far as they said that they have such."""
        self.shop.later(HOUR_MS, self.hourly)
        for service in self.shop.all("FulfillmentService") if self.access.installed else []:
            if service.callbackUrl and service.inventoryManagement:
                self.call_out(self.callbacks.fetch_stock(service))
            if service.callbackUrl and service.trackingSupport and unfinished(self.shop, service):
                self.call_out(self.callbacks.fetch_tracking_numbers(service, unfinished(self.shop, service)))

    def call_out(self, call):
        """A call to a service, which settle() waits for."""
        task = self.admin.spawn(call)
        self.calling.add(task)
        task.add_done_callback(self.calling.discard)

    # ---- what changes in the shop ----

    def on_change(self, change):
        """Tells those that subscribed; a service hears of a request by a call of its own."""
        if change.topic:
            body = body_of(self.shop, change)
            if body is not None:
                self.webhooks.tell(change.topic, body, Happening(change.event_id, change.at))
        for service, kind in requests_of(self.shop, change):
            self.call_out(self.callbacks.notify(service, kind))

    def tell(self, topic, body, happening=None):
        return self.webhooks.tell(topic, body, happening or Happening(at=self.shop.now()))

    # ---- subscriptions in GraphQL ----

    def create(self, source, args, call):
        made, wrong = self.subscriptions.create(args["topic"], args["webhookSubscription"])
        return self.payload(made, wrong)

    def update(self, source, args, call):
        made, wrong = self.subscriptions.update(args["id"], args["webhookSubscription"])
        return self.payload(made, wrong)

    def payload(self, made, wrong):
        if wrong:
            raise Wrong.many(wrong, {"webhookSubscription": None})
        return {"webhookSubscription": made.to_graphql(self.webhooks.version)}

    def delete(self, source, args, call):
        gone, wrong = self.subscriptions.delete(args["id"])
        if wrong:
            raise Wrong.many(wrong, {"deletedWebhookSubscriptionId": None})
        return {"deletedWebhookSubscriptionId": gone}

    def one(self, source, args, call):
        found = self.subscriptions.of_api(args["id"])
        return found and found.to_graphql(self.webhooks.version)

    def many(self, source, args, call):
        found = self.subscriptions.listed(args.get("topics"), args.get("uri") or args.get("callbackUrl"),
                                          args.get("format"))
        found = found[::-1] if args.get("reverse") else found
        return [one.to_graphql(self.webhooks.version) for one in found]

    # ---- requests that are not GraphQL ----

    def step(self, request):
        """What a fault's `at` calls this request."""
        if request.path == "/admin/oauth/access_token":
            return "token"
        if request.path.startswith("/_bulk/"):
            return "bulk-file"
        if request.path.startswith("/_uploads"):
            return "upload"
        return "rest" if shopify_rest.PATH.fullmatch(request.path) else "graphql"

    async def act(self, request):
        """The answer, or None where it is GraphQL's turn."""
        step = self.step(request)
        if step == "token" and request.method == "POST":
            return await self.access.on_request(request)
        if step == "bulk-file" and request.method == "GET":
            return await self.bulk.on_file(request)
        if step == "upload" and request.method == "POST":
            return await self.bulk.on_upload(request)
        if step == "rest" and request.method == "GET":
            request["served"] = version_served(shopify_rest.PATH.fullmatch(request.path)[1])
            if request["served"] is None:
                return as_json(shopify_rest.MISSING, 404)
            wrong = self.access.check(request)
            return as_json({"errors": wrong}, 401) if wrong else shopify_rest.answer(self.shop, self.calls, request)
        return None

    # ---- control ----

    def declare(self, asked):
        """A subscription of the app's configuration: {"topic": "orders/create" or ORDERS_CREATE, "uri", ...}."""
        asked = dict(asked)
        topic = asked.pop("topic").replace("/", "_").upper()
        made, wrong = self.subscriptions.create(topic, asked, asked.pop("made_by", "app"))
        if wrong:
            raise ValueError(wrong[0]["message"])
        return made

    async def on_subscriptions(self, request):
        if request.method == "DELETE":  # somebody deletes it: {"id"}
            gone = (await request.json())["id"]
            if gone not in self.subscriptions.all:
                return as_json({"error": "there is no such subscription"}, 404)
            self.subscriptions.drop(gone, "deleted by somebody")
        elif request.method == "POST":
            try:
                for one in await request.json():
                    self.declare(one)
            except (ValueError, KeyError) as wrong:
                return as_json({"error": str(wrong)}, 400)
        return as_json(self.subscriptions.books())

    async def on_webhooks(self, request):
        """GET ?since=N&bodies=1: the deliveries. POST: switches."""
        if request.method == "POST":
            try:
                return as_json(self.webhooks.steer(await request.json()))
            except ValueError as wrong:
                return as_json({"error": str(wrong)}, 400)
        since, bodies = int(request.query.get("since", 0)), request.query.get("bodies") == "1"
        return as_json({"deliveries": [one.to_json(bodies) for one in self.webhooks.log[since:]]})

    async def on_settle(self, request):
        """{"timeout_s"}: waits until no delivery and no call to a service is under way."""
        asked = await request.json() if request.can_read_body else {}
        end = time.monotonic() + asked.get("timeout_s", 30)
        settled = await self.webhooks.settle(end - time.monotonic())
        while self.calling and time.monotonic() < end:
            await asyncio.sleep(0.01)
        return as_json({"settled": settled and not self.calling})

    async def on_tell(self, request):
        """{"topic", "body"}: something happens that the stand-in does not play; without a body, the published sample.
        """
        asked = await request.json()
        body = asked.get("body", samples().get(asked["topic"]))
        if body is None:
            return as_json({"error": f"there is no sample of {asked['topic']}"}, 400)
        return as_json({"deliveries": [one.to_json() for one in self.tell(asked["topic"], body)]})

    async def on_compliance(self, request):
        """{"topic", "customer": id, "orders": [ids]}: customers/data_request, customers/redact or shop/redact."""
        asked = await request.json()
        body = {"shop_id": SHOP_ID, "shop_domain": self.shop.domain}
        if asked["topic"] != "shop/redact":
            orders = [one.document for one in self.shop.all("Order")
                      if (one.document["customer"] or {}).get("id") == asked["customer"]]
            known = orders[0]["customer"] if orders else {}
            body["customer"] = {"id": asked["customer"], "email": known.get("email"), "phone": known.get("phone")}
            key = "orders_requested" if asked["topic"] == "customers/data_request" else "orders_to_redact"
            body[key] = asked.get("orders", [one["id"] for one in orders])
        if asked["topic"] == "customers/data_request":
            body["data_request"] = {"id": 9000 + len(self.webhooks.log)}
        return as_json({"deliveries": [one.to_json(True) for one in self.tell(asked["topic"], body)]})

    async def on_uninstall(self, request):
        """The merchant removes the app: tokens are dead, it is told once, and its subscriptions go."""
        self.access.uninstall()
        told = self.tell("app/uninstalled", {
            "id": SHOP_ID, "name": "Byron Gears", "email": "shop@example.com", "domain": self.shop.domain,
            "myshopify_domain": self.shop.domain, "currency": self.shop.currency, "plan_name": "basic",
            "iana_timezone": "Europe/Berlin", "country_code": "DE", "primary_locale": "en"})
        self.admin.spawn(self.forget(told))
        self.shop.later(REDACT_AFTER_MS, self.redact)
        return as_json({"deliveries": [one.to_json(True) for one in told]})

    def redact(self):
        """Two days after the app was removed, unless it is back."""
        if not self.access.installed:
            self.tell("shop/redact", {"shop_id": SHOP_ID, "shop_domain": self.shop.domain})

    async def forget(self, told):
        """What the API made is gone with the app, once that was told."""
        for one in told:
            await one.done.wait()
        for one in self.subscriptions.listed():
            self.subscriptions.drop(one.id, "the app was removed")

    async def on_tokens(self, request):
        if request.method == "GET":
            return as_json(self.access.books())
        asked = await request.json()
        if asked.pop("install", False):
            self.access.install()
        return as_json(self.access.steer(asked))

    async def on_services(self, request):
        return await self.callbacks.steer(await request.json(), lambda gid: service_of(self.shop, gid),
                                          lambda service: unfinished(self.shop, service))

    def control_routes(self):
        return [web.route("*", "/_control/subscriptions", self.on_subscriptions),
                web.route("*", "/_control/webhooks", self.on_webhooks), web.post("/_control/settle", self.on_settle),
                web.post("/_control/tell", self.on_tell), web.post("/_control/compliance", self.on_compliance),
                web.post("/_control/uninstall", self.on_uninstall), web.route("*", "/_control/tokens", self.on_tokens),
                web.post("/_control/services", self.on_services), web.post("/_control/bulk", self.bulk.on_control)]

    def books(self):
        return {"webhooks": self.webhooks.books(), "tokens": self.access.books(), "bulk": self.bulk.books(),
                "callbacks": self.callbacks.books()["calls"]}


def arguments(parser):
    """The options of the wire."""
    parser.add_argument("--secret", default="sandbox-app-secret-current", help="signs webhooks; the client secret")
    parser.add_argument("--previous-secret", help="what signed them before")
    parser.add_argument("--client-id", default="sandbox-client-id")
    parser.add_argument("--client-secret", help="the same as --secret unless told")
    parser.add_argument("--shop", default="example.myshopify.com")
    parser.add_argument("--webhook-version", default="2026-10", help="of the bodies of webhooks")
    parser.add_argument("--clock", type=float, default=1.0, help="factor on the waits of webhooks")
    parser.add_argument("--connect-s", type=float, default=1.0)
    parser.add_argument("--total-s", type=float, default=5.0)
    parser.add_argument("--bulk-ms", type=int, default=50, help="that a bulk operation takes")
    parser.add_argument("--hook", action="append", default=[], metavar="TOPIC=URL",
                        help="a subscription of the app's configuration")
    parser.add_argument("--route", action="append", default=[], metavar="https://HOST=http://HOST:PORT",
                        help="where a host of the subscriptions really listens; * is every other")
    parser.add_argument("--insecure", action="store_true", help="take any certificate")
