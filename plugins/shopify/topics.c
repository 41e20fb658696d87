/*
 * topics.c - what the bodies of each topic are about. One row a topic (or a resource); the first
 * row that fits and whose id is in the body holds, so the special rows stand before the wide ones.
 *
 * Event keys. The default (subject, version) is right where one body is one state of the subject.
 * It is not where several things of one order happen in the same second - two fulfilments, two
 * transactions - so those rows name the thing itself. Topics of changes (".../update",
 * ".../updated") have their body's digest in the key: two changes may fall into one second. Topics
 * that can rightly repeat without anything in the body telling them apart have neither version nor
 * key: better seen twice than taken for a duplicate.
 */
#include "shopify.h"

#include <string.h>

#define ANY_ID "id|admin_graphql_api_id"
#define FULFILLMENT_ORDER(path)                         \
    {                                                   \
        "fulfillment_order", "FulfillmentOrder", (path) \
    }

/* topic, kind, id, version, key, refs */
static const struct topic_rule rules[] = {
    /* orders and what belongs to one: the order is the subject */
    { "orders/edited", "order", "order_edit.order_id",
      "order_edit.committed_at|order_edit.created_at", "order_edit.id" },
    { "orders/delete", "order", ANY_ID, NULL, "id" },
    { "orders/risk_assessment_changed", "order", "order_id", "created_at",
      "order_id provider_id risk_level @version" },
    { "orders/", "order", ANY_ID "|order_id", "updated_at", NULL },
    /* a pending transaction comes again under its id when it succeeds or fails */
    { "order_transactions/", "order", "order_id", "processed_at|created_at", "id status" },
    { "refunds/", "order", "order_id", "processed_at|created_at", "id" },
    { "fulfillments/", "order", "order_id", "updated_at|created_at", "id @version" },
    { "fulfillment_events/", "order", "order_id", "updated_at|happened_at|created_at",
      "id @version" },
    { "returns/",
      "order",
      "order_id|order.id",
      NULL,
      NULL,
      { { "return", "Return", "admin_graphql_api_id|id" } } },
    { "returns/",
      "return",
      ANY_ID,
      NULL,
      NULL,
      { { "return", "Return", "admin_graphql_api_id|id" } } },
    { "disputes/",
      "order",
      "order_id",
      NULL,
      NULL,
      { { "dispute", "ShopifyPaymentsDispute", "id" } } },
    { "disputes/", "dispute", ANY_ID, NULL, NULL },

    /* fulfilment orders carry no order id: their own subject, and references to be linked */
    { "fulfillment_orders/moved",
      "fulfillment_order",
      "original_fulfillment_order.id",
      NULL,
      NULL,
      { FULFILLMENT_ORDER("original_fulfillment_order.id"),
        FULFILLMENT_ORDER("moved_fulfillment_order.id") } },
    { "fulfillment_orders/merged",
      "fulfillment_order",
      "fulfillment_order_merges.fulfillment_order.id|"
      "fulfillment_order_merges.*.fulfillment_order.id",
      NULL,
      NULL,
      { FULFILLMENT_ORDER("fulfillment_order_merges.fulfillment_order.id|"
                          "fulfillment_order_merges.*.fulfillment_order.id"),
        FULFILLMENT_ORDER("merge_intents.*.fulfillment_order_id") } },
    { "fulfillment_orders/fulfillment_request_submitted",
      "fulfillment_order",
      "submitted_fulfillment_order.id",
      NULL,
      NULL,
      { FULFILLMENT_ORDER("submitted_fulfillment_order.id"),
        FULFILLMENT_ORDER("original_fulfillment_order.id") } },
    { "fulfillment_orders/",
      "fulfillment_order",
      "fulfillment_order.id",
      NULL,
      NULL,
      { FULFILLMENT_ORDER("fulfillment_order.id"),
        FULFILLMENT_ORDER("remaining_fulfillment_order.id"),
        FULFILLMENT_ORDER("replacement_fulfillment_order.id") } },
    { "fulfillment_holds/",
      "fulfillment_order",
      "fulfillment_order.id",
      NULL,
      NULL,
      { FULFILLMENT_ORDER("fulfillment_order.id") } },

    /* goods */
    { "products/delete", "product", ANY_ID, NULL, "id" },
    { "products/", "product", ANY_ID, "updated_at", NULL },
    { "variants/", "variant", ANY_ID, "updated_at", NULL },
    { "inventory_levels/", "inventory_level", "inventory_item_id location_id", "updated_at", NULL },
    { "inventory_items/delete", "inventory_item", ANY_ID, NULL, "id" },
    { "inventory_items/", "inventory_item", ANY_ID, "updated_at", NULL },
    { "locations/delete", "location", ANY_ID, NULL, "id" },
    { "locations/", "location", ANY_ID, "updated_at", NULL },
    { "collections/delete", "collection", ANY_ID, NULL, "id" },
    { "collections/", "collection", ANY_ID, "updated_at", NULL },

    /* people and firms */
    { "customers/data_request", "customer", "customer.id", NULL, "data_request.id" },
    { "customers/data_request", "data_request", "data_request.id", NULL, "data_request.id" },
    { "customers/redact", "customer", "customer.id", NULL, NULL },
    { "customers/delete", "customer", ANY_ID, NULL, "id" },
    { "customers/", "customer", ANY_ID, "updated_at", NULL },
    { "companies/", "company", ANY_ID, "updated_at", NULL },
    { "company_contacts/", "company_contact", ANY_ID, "updated_at", NULL },
    { "company_locations/", "company_location", ANY_ID, "updated_at", NULL },
    { "company_contact_roles/", "company_contact_role", ANY_ID, "updated_at", NULL },

    /* before the order */
    { "draft_orders/delete", "draft_order", ANY_ID, NULL, "id" },
    { "draft_orders/", "draft_order", ANY_ID, "updated_at", NULL },
    { "checkouts/", "checkout", "token|id", "updated_at", NULL },
    { "carts/", "cart", "token|id", "updated_at", NULL },

    /* the shop. A shop uninstalled twice may show one updated_at both times: no version, no key */
    { "shop/update", "shop", NULL, "updated_at", NULL },
    { "shop/", "shop", NULL, NULL, NULL },
    { "app/", "shop", NULL, NULL, NULL },
    { "bulk_operations/", "bulk_operation", ANY_ID, "completed_at|created_at",
      "admin_graphql_api_id status" },
};

/* a topic that no row knows */
static const struct topic_rule generic = { "", NULL, ANY_ID, "updated_at", NULL };

static int fits(const struct topic_rule *r, sl_str topic)
{
    size_t len = strlen(r->topic);
    int wide = r->topic[len - 1] == '/';

    return (wide ? topic.len > len : topic.len == len) && memcmp(topic.ptr, r->topic, len) == 0;
}

const struct topic_rule *topic_rule(sl_str topic, size_t index)
{
    size_t known = 0;

    for (size_t i = 0; i < sizeof(rules) / sizeof(rules[0]); i++)
        if (fits(&rules[i], topic) && known++ == index)
            return &rules[i];
    return known == 0 && index == 0 ? &generic : NULL;
}

/* Is `name` the first step of a path in the list? */
static int begins_a_path(const char *list, sl_str name)
{
    while (list && *list) {
        size_t len = strcspn(list, " |");
        size_t first = strcspn(list, " |.");

        if (first == name.len && memcmp(list, name.ptr, first) == 0)
            return 1;
        list += len + (list[len] != '\0');
    }
    return 0;
}

int topic_reads(sl_str topic, sl_str name)
{
    const struct topic_rule *r;

    if (name.len == 4 && memcmp(name.ptr, "test", 4) == 0)
        return 1; /* noted whatever the topic */
    for (size_t i = 0; (r = topic_rule(topic, i)) != NULL; i++) {
        if (begins_a_path(r->id, name) || begins_a_path(r->version, name) ||
            begins_a_path(r->key, name))
            return 1;
        for (size_t k = 0; k < TOPIC_MAX_REFS; k++)
            if (begins_a_path(r->refs[k].path, name))
                return 1;
    }
    return 0;
}
