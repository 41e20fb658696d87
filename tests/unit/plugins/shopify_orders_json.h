/*
 * shopify_orders_json.h - an order's fulfillment orders and fulfilments, as the Admin API says
 * them.
 */
#pragma once

/* a line of a fulfillment order: its id, SKU, the order's line, what remains */
#define LINE(id, sku, item, remains)                                                           \
    "{\"id\":\"gid://shopify/FulfillmentOrderLineItem/" id "\",\"sku\":\"" sku                 \
    "\",\"remainingQuantity\":" remains ",\"lineItem\":{\"id\":\"gid://shopify/LineItem/" item \
    "\"}}"
#define FO_AS(id, status, request, action, location, more, lines)                        \
    "{\"id\":\"gid://shopify/FulfillmentOrder/" id "\",\"status\":\"" status             \
    "\",\"requestStatus\":\"" request "\",\"supportedActions\":[{\"action\":\"" action   \
    "\"}],\"assignedLocation\":{\"location\":{\"id\":\"gid://shopify/Location/" location \
    "\"}},\"fulfillmentHolds\":[" more                                                   \
    "],\"fulfillAt\":\"2026-12-01T00:00:00Z\",\"lineItems\":{\"nodes\":[" lines "]}}"
#define FO(id, location, lines) \
    FO_AS(id, "OPEN", "UNSUBMITTED", "CREATE_FULFILLMENT", location, "", lines)

/* a line of a fulfilment, and a fulfilment with its tracking */
#define HAS(sku, item, n)                                                                         \
    "{\"quantity\":" n ",\"lineItem\":{\"sku\":\"" sku "\",\"id\":\"gid://shopify/LineItem/" item \
    "\"}}"
#define NUMBER(n) "{\"number\":\"" n "\"}"
#define SHIPPED(id, status, location, numbers, lines)                                                   \
    "{\"id\":\"gid://shopify/Fulfillment/" id "\",\"name\":\"#1042-F" id "\",\"status\":\"" status      \
    "\",\"createdAt\":\"2026-11-20T09:20:00Z\",\"location\":{\"id\":\"gid://shopify/Location/" location \
    "\"},\"trackingInfo\":[" numbers "],\"fulfillmentLineItems\":{\"nodes\":[" lines "]}}"
#define ORDER(fulfillments) "{\"cancelledAt\":null,\"fulfillments\":[" fulfillments "]}"
