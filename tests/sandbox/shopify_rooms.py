"""What the shop can do, module by module. Each has install(engine), and may stand on those before it."""

from sandbox import (shopify_base, shopify_cancel, shopify_catalogue, shopify_drafts, shopify_fulfil,
                     shopify_fulfil_moves, shopify_fulfil_requests, shopify_metafields, shopify_orderedit,
                     shopify_orders, shopify_orderview, shopify_refunds, shopify_returns, shopify_ship, shopify_stock,
                     shopify_terms)

ROOMS = (shopify_base, shopify_catalogue, shopify_orders, shopify_orderview, shopify_orderedit, shopify_drafts,
         shopify_fulfil, shopify_fulfil_moves, shopify_fulfil_requests, shopify_ship, shopify_stock, shopify_refunds,
         shopify_cancel, shopify_returns, shopify_metafields, shopify_terms)


def furnish(engine):
    for room in ROOMS:
        room.install(engine)
