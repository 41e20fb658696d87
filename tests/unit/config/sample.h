/*
 * sample.h - a whole configuration, as an operator would write it.
 */
#pragma once

#define SAMPLE                                                                                     \
    "store: { path: /var/lib/sluice }\n"                                                           \
    "endpoints:\n"                                                                                 \
    "  acme-shop:\n"                                                                               \
    "    adapter: shopify\n"                                                                       \
    "    shop: acme.myshopify.com\n"                                                               \
    "    webhook_secret: { env: SHOPIFY_SECRET }     # or { file: ... }, or { credential: ... }\n" \
    "  crm:\n"                                                                                     \
    "    adapter: salesforce\n"                                                                    \
    "    instance: https://acme.my.salesforce.com\n"                                               \
    "    auth: { flow: jwt, client_id: \"...\", username: \"...\", key: { file: crm.pem } }\n"     \
    "    batch: { records: 5000, age: 60s }\n"                                                     \
    "  byron:\n"                                                                                   \
    "    adapter: supplier-http\n"                                                                 \
    "    base_url: https://api.byron-gears.example\n"                                              \
    "    rate: { per_second: 5, burst: 10 }\n"                                                     \
    "routes:\n"                                                                                    \
    "  - name: order-to-crm\n"                                                                     \
    "    from: { endpoint: acme-shop, topic: orders/create }\n"                                    \
    "    map: { file: maps/order-to-opportunity.jq }\n"                                            \
    "    to: { endpoint: crm, action: upsert, object: Opportunity, external_id: "                  \
    "Shopify_Order_Id__c }\n"                                                                      \
    "    owner: crm-team\n"                                                                        \
    "  - name: order-to-supplier\n"                                                                \
    "    from: { endpoint: acme-shop, topic: orders/paid }\n"                                      \
    "    split: '. as $o | .line_items | group_by(.vendor)[] | {key: (.[0].vendor // \"none\"), "  \
    "body: {order: $o, lines: .}}'\n"                                                              \
    "    to:\n"                                                                                    \
    "      choose: .key\n"                                                                         \
    "      cases: { \"Byron Gears\": { endpoint: byron } }\n"                                      \
    "      else: { hold: unmapped-sku }\n"                                                         \
    "    action: order.submit\n"                                                                   \
    "    hold: { type: fraud }\n"                                                                  \
    "    priority: critical\n"                                                                     \
    "    owner: fulfilment-team\n"
