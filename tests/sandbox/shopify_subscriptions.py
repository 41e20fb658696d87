"""Webhook subscriptions of the Shopify stand-in: made through the API, or declared in the app's configuration.

The refusals are the observed ones. What the API made is deleted after eight failures in a row; what the app's
configuration declares stays, and cannot be changed through the API.
"""

import datetime
import re
import urllib.parse

from sandbox.shopify_filter import BadFilter, Filter

LIMIT_BYTES, NAME = 65_535, re.compile(r"[A-Za-z0-9_-]{1,50}")
BAD_FILTER = "The specified filter is invalid, please ensure you specify the field(s) you wish to filter on."
# What stands before the slash of a topic, where it is not the enum's first word.
RESOURCES = sorted("""APP APP_PURCHASES_ONE_TIME APP_SUBSCRIPTIONS AUDIT_EVENTS BULK_OPERATIONS COLLECTION_LISTINGS
COLLECTION_PUBLICATIONS COMPANY_CONTACTS COMPANY_CONTACT_ROLES COMPANY_LOCATIONS CUSTOMERS_EMAIL_MARKETING_CONSENT
CUSTOMERS_MARKETING_CONSENT CUSTOMER_ACCOUNT_SETTINGS CUSTOMER_GROUPS CUSTOMER_PAYMENT_METHODS DRAFT_ORDERS
FULFILLMENT_EVENTS FULFILLMENT_HOLDS FULFILLMENT_ORDERS INVENTORY_ITEMS INVENTORY_LEVELS INVENTORY_SHIPMENTS
INVENTORY_TRANSFERS METAFIELD_DEFINITIONS ORDER_TRANSACTIONS PAYMENT_SCHEDULES PAYMENT_TERMS PRODUCT_FEEDS
PRODUCT_LISTINGS PRODUCT_PUBLICATIONS REVERSE_DELIVERIES REVERSE_FULFILLMENT_ORDERS SCHEDULED_PRODUCT_LISTINGS
SELLING_PLAN_GROUPS SHIPPING_ADDRESSES SUBSCRIPTION_BILLING_ATTEMPTS SUBSCRIPTION_BILLING_CYCLES
SUBSCRIPTION_BILLING_CYCLE_EDITS SUBSCRIPTION_CONTRACTS TAX_SERVICES TENDER_TRANSACTIONS""".split(),
                   key=len, reverse=True)


def slashed(topic):
    """FULFILLMENT_ORDERS_MOVED -> fulfillment_orders/moved."""
    for resource in RESOURCES:
        if topic.startswith(resource + "_"):
            return f"{resource}/{topic[len(resource) + 1:]}".lower()
    return topic.replace("_", "/", 1).lower()


def now():
    return datetime.datetime.now(datetime.timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")


def error(field, message):
    return {"field": field, "message": message}


class Subscription:
    def __init__(self, number, topic, asked, made_by):
        self.id = f"gid://shopify/WebhookSubscription/{number}"
        self.number, self.topic, self.made_by = number, topic, made_by
        self.created_at = now()
        self.format, self.filter, self.name = "JSON", None, None
        self.fields, self.namespaces, self.metafields = [], [], []
        self.failures_in_row = self.worst_row = 0
        self.latest = -1  # number of the newest delivery that arrived
        self.set(asked)

    def set(self, asked):
        """Only what is given changes."""
        self.uri = asked.get("uri") or asked.get("callbackUrl") or self.uri
        for name, own in (("format", "format"), ("filter", "filter"), ("name", "name"), ("includeFields", "fields"),
                          ("metafieldNamespaces", "namespaces"), ("metafields", "metafields")):
            if name in asked:
                setattr(self, own, asked[name] or ([] if own in ("fields", "namespaces", "metafields") else
                                                  "JSON" if own == "format" else None))
        self.parsed = Filter(self.filter or "")
        self.updated_at = now()

    @property
    def slashed(self):
        return slashed(self.topic)

    def to_graphql(self, version):
        """Every field of the type WebhookSubscription."""
        return {"__typename": "WebhookSubscription", "id": self.id, "legacyResourceId": str(self.number),
                "topic": self.topic, "uri": self.uri, "callbackUrl": self.uri, "format": self.format,
                "filter": self.filter, "includeFields": self.fields, "metafieldNamespaces": self.namespaces,
                "name": self.name, "createdAt": self.created_at, "updatedAt": self.updated_at,
                "apiVersion": {"__typename": "ApiVersion", "handle": version, "displayName": version,
                               "supported": True}}


class Subscriptions:
    """Those of one app on one shop."""

    def __init__(self):
        self.reset()

    def reset(self):
        self.all = {}
        self.deleted = []  # {"id", "topic", "uri", "why", "at"}
        self.number = 1_400_000_000_000

    # ---- checks ----

    def address_error(self, address, field):
        if not address or not address.strip():
            return error(field, "Address can't be blank")
        if len(address.encode()) > LIMIT_BYTES:
            return error(field, "Address is too big (maximum is 64 KB)")
        if address.startswith(("arn:aws:events:", "pubsub://")):
            return None
        scheme, found, _ = address.partition("://")
        if not found:
            return error(field, "Address is invalid")
        if scheme.lower() != "https":
            return error(field, f"Address protocol {scheme}:// is not supported")
        try:
            host = urllib.parse.urlsplit(address).hostname
        except ValueError:
            host = None
        return None if host else error(field, "Address is invalid")

    def errors(self, topic, asked, own=None):
        """What is wrong with an input; `own` is the subscription that it changes."""
        input_ = "webhookSubscription"
        out = []
        if own is None or "uri" in asked or "callbackUrl" in asked:
            wrong = self.address_error(asked.get("uri") or asked.get("callbackUrl"), [input_, "callbackUrl"])
            out += [wrong] if wrong else []
        text = asked.get("filter")
        if text and len(text.encode()) > LIMIT_BYTES:
            out.append(error([input_], "The specified filter exceeds the maximum allowed size."))
        elif text:
            try:
                Filter(text)
            except BadFilter:
                out.append(error([input_], BAD_FILTER))
        name = asked.get("name")
        if name and not NAME.fullmatch(name):
            out.append(error([input_, "name"], "Name is invalid"))
        if name and any(one.name == name for one in self.all.values() if one is not own):
            out.append(error([input_, "name"], "Name already exists, no duplicate allowed"))
        return out or self.taken(topic, asked, own)

    def taken(self, topic, asked, own):
        """Topic, address, format and filter together are unique."""
        def of(name, attribute, otherwise):
            return asked[name] if name in asked else getattr(own, attribute) if own else otherwise

        address = asked.get("uri") or asked.get("callbackUrl") or own.uri
        wanted = (topic, address, of("format", "format", "JSON") or "JSON", of("filter", "filter", None) or None)
        for one in self.all.values():
            if one is not own and (one.topic, one.uri, one.format, one.filter) == wanted:
                return [error(["webhookSubscription", "callbackUrl"], "Address for this topic has already been taken")]
        return []

    # ---- the three mutations; each gives (subscription or None, userErrors) ----

    def create(self, topic, asked, made_by="api"):
        wrong = self.errors(topic, asked)
        if wrong:
            return None, wrong
        self.number += 1
        made = Subscription(self.number, topic, asked, made_by)
        self.all[made.id] = made
        return made, []

    def update(self, gid, asked):
        own = self.of_api(gid)
        if own is None:
            return None, [error(["id"], "Webhook subscription does not exist")]
        wrong = self.errors(own.topic, asked, own)
        if wrong:
            return None, wrong
        own.set(asked)
        return own, []

    def delete(self, gid):
        if self.of_api(gid) is None:
            return None, [error(["id"], "Webhook subscription does not exist")]
        return self.drop(gid, "api").id, []

    def of_api(self, gid):
        """What the configuration of the app declares is not seen by the API."""
        found = self.all.get(gid)
        return found if found is not None and found.made_by == "api" else None

    def drop(self, gid, why):
        gone = self.all.pop(gid)
        self.deleted.append({"id": gid, "topic": gone.slashed, "uri": gone.uri, "why": why, "at": now()})
        return gone

    def listed(self, topics=None, uri=None, format=None):
        return [one for one in self.all.values() if one.made_by == "api" and (not topics or one.topic in topics) and
                (not uri or one.uri == uri) and (not format or one.format == format)]

    def on(self, topic):
        """All that hear of a topic, in its form with the slash."""
        return [one for one in self.all.values() if one.slashed == topic]

    def books(self):
        return {"alive": [{"id": one.id, "topic": one.slashed, "uri": one.uri, "made_by": one.made_by, "name": one.name,
                           "failures_in_row": one.failures_in_row, "worst_row": one.worst_row}
                          for one in self.all.values()], "deleted": self.deleted}
