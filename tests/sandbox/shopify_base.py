"""The shop itself, nodes by their id, jobs, versions: what belongs to no other module."""

from sandbox.shopify_graphql import NEXT, STABLE
from sandbox.shopify_shop import gid

OFFSET_MINUTES = 60  # of the shop's clock in winter

SCOPES = ["read_orders", "write_orders", "read_all_orders", "read_products", "write_products", "read_inventory",
          "write_inventory", "read_locations", "read_merchant_managed_fulfillment_orders",
          "write_merchant_managed_fulfillment_orders", "read_assigned_fulfillment_orders",
          "write_assigned_fulfillment_orders", "read_third_party_fulfillment_orders",
          "write_third_party_fulfillment_orders", "write_fulfillments", "read_returns", "write_returns",
          "read_draft_orders", "write_draft_orders", "read_customers", "write_customers", "read_companies",
          "read_fulfillments"]
APP = {"__typename": "App", "id": gid("App", 580999), "title": "Gateway", "handle": "gateway"}


def install(engine):
    shop = engine.shop
    engine.scopes = list(SCOPES)

    @engine.query("node")
    def node(source, args, call):
        return shop.find(args["id"])

    @engine.query("nodes")
    def nodes(source, args, call):
        return [shop.find(one) for one in args["ids"]]

    @engine.query("job")
    def job(source, args, call):
        return shop.find(args["id"], "Job")

    engine.field("Job", "query")(lambda source, args, call: {})

    @engine.query("shop")
    def the_shop(source, args, call):
        now = shop.stamp()
        return {"__typename": "Shop", "id": gid("Shop", 70000000001), "name": "Byron Gears",
                "email": "shop@example.com",
                "contactEmail": "shop@example.com", "myshopifyDomain": shop.domain, "currencyCode": shop.currency,
                "ianaTimezone": "Europe/Berlin", "timezoneOffsetMinutes": OFFSET_MINUTES,
                "url": f"https://{shop.domain}", "createdAt": now, "updatedAt": now,
                "plan": {"publicDisplayName": "Basic", "shopifyPlus": False, "partnerDevelopment": False}}

    @engine.query("currentAppInstallation")
    def installation(source, args, call):
        return {"__typename": "AppInstallation", "id": gid("AppInstallation", 580999), "app": APP,
                "accessScopes": [{"handle": one, "description": one.replace("_", " ")} for one in engine.scopes]}

    @engine.query("publicApiVersions")
    def versions(source, args, call):
        return [{"handle": one, "displayName": one, "supported": one in STABLE} for one in (*STABLE, *NEXT)]
