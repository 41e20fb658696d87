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
 *
 * What carries no order id is about its order all the same: where the Admin API is set up, such an
 * event waits until a link or the shop (resolve.c) says whose its first reference is.
 */
#include "shopify.h"

#include <assert.h>
#include <string.h>

#define ANY_ID          "id|admin_graphql_api_id"
#define ORDER_OF_RETURN "order_id|order.id|return.order_id|return.order.id"
#define RETURN_OF_GOODS                                                       \
    {                                                                         \
        "return", "Return", "return.admin_graphql_api_id|return.id|return_id" \
    }
#define RESOLVED    .resolved = 1
#define NAMED(path) .name = (path)
#define FULFILLMENT_ORDER(path)                         \
    {                                                   \
        "fulfillment_order", "FulfillmentOrder", (path) \
    }

/* topic, kind, id, version, key, refs; and what few have */
static const struct topic_rule rules[] = {
    /* orders and what belongs to one: the order is the subject */
    { "orders/edited", "order", "order_edit.order_id",
      "order_edit.committed_at|order_edit.created_at", "order_edit.id" },
    { "orders/delete", "order", ANY_ID, NULL, "id" },
    { "orders/risk_assessment_changed", "order", "order_id", "created_at",
      "order_id provider_id risk_level @version" },
    { "orders/create", "order", ANY_ID, "updated_at", "id|admin_graphql_api_id",
      NAMED("name") }, /* once */
    { "orders/", "order", ANY_ID "|order_id", "updated_at", NULL },
    /* a pending transaction comes again under its id when it succeeds or fails */
    { "order_transactions/", "order", "order_id", "processed_at|created_at", "id status" },
    { "refunds/", "order", "order_id", "processed_at|created_at", "id" },
    { "fulfillments/create", "order", "order_id", "updated_at|created_at", "id",
      NAMED("name") }, /* once */
    { "fulfillments/", "order", "order_id", "updated_at|created_at", "id @version", NAMED("name") },
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
      { { "return", "Return", "admin_graphql_api_id|id" } },
      RESOLVED },
    { "reverse_deliveries/", "order", ORDER_OF_RETURN, NULL, NULL, { RETURN_OF_GOODS } },
    { "reverse_deliveries/",
      "reverse_delivery",
      ANY_ID,
      NULL,
      NULL,
      { RETURN_OF_GOODS },
      RESOLVED },
    { "reverse_fulfillment_orders/", "order", ORDER_OF_RETURN, NULL, NULL, { RETURN_OF_GOODS } },
    { "reverse_fulfillment_orders/",
      "reverse_fulfillment_order",
      ANY_ID,
      NULL,
      NULL,
      { RETURN_OF_GOODS },
      RESOLVED },
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
        FULFILLMENT_ORDER("moved_fulfillment_order.id") },
      RESOLVED },
    { "fulfillment_orders/merged",
      "fulfillment_order",
      "fulfillment_order_merges.fulfillment_order.id|"
      "fulfillment_order_merges.*.fulfillment_order.id",
      NULL,
      NULL,
      { FULFILLMENT_ORDER("fulfillment_order_merges.fulfillment_order.id|"
                          "fulfillment_order_merges.*.fulfillment_order.id"),
        FULFILLMENT_ORDER("merge_intents.*.fulfillment_order_id") },
      RESOLVED },
    { "fulfillment_orders/fulfillment_request_submitted",
      "fulfillment_order",
      "submitted_fulfillment_order.id",
      NULL,
      NULL,
      { FULFILLMENT_ORDER("submitted_fulfillment_order.id"),
        FULFILLMENT_ORDER("original_fulfillment_order.id") },
      RESOLVED },
    { "fulfillment_orders/",
      "fulfillment_order",
      "fulfillment_order.id",
      NULL,
      NULL,
      { FULFILLMENT_ORDER("fulfillment_order.id"),
        FULFILLMENT_ORDER("remaining_fulfillment_order.id"),
        FULFILLMENT_ORDER("replacement_fulfillment_order.id") },
      RESOLVED },
    { "fulfillment_holds/",
      "fulfillment_order",
      "fulfillment_order.id",
      NULL,
      NULL,
      { FULFILLMENT_ORDER("fulfillment_order.id") },
      RESOLVED },

    /* what a fulfilment service is told, and what it then asks for (requests.c) */
    { "fulfillment_service/notification", "fulfillment_service", NULL, NULL, NULL },
    { "fulfillment_service/",
      "order",
      "fulfillment_order.orderId",
      "fulfillment_order.updatedAt",
      "fulfillment_order.id request.id|request.sentAt",
      { FULFILLMENT_ORDER("fulfillment_order.id") } },

    /* goods */
    { "products/delete", "product", ANY_ID, NULL, "id" },
    { "products/", "product", ANY_ID, "updated_at", NULL },
    { "variants/", "variant", ANY_ID, "updated_at", NULL },
    { "inventory_levels/", "inventory_level", "inventory_item_id location_id", "updated_at", NULL },
    { "inventory_items/delete", "inventory_item", ANY_ID, NULL, "id" },
    { "inventory_items/", "inventory_item", ANY_ID, "updated_at", NULL },
    { "inventory_transfers/delete", "inventory_transfer", ANY_ID, NULL, "id|admin_graphql_api_id" },
    { "inventory_transfers/", "inventory_transfer", ANY_ID, "updated_at", NULL },
    { "inventory_shipments/delete", "inventory_shipment", ANY_ID, NULL, "id|admin_graphql_api_id" },
    { "inventory_shipments/", "inventory_shipment", ANY_ID, "updated_at", NULL },
    { "locations/delete", "location", ANY_ID, NULL, "id" },
    { "locations/", "location", ANY_ID, "updated_at", NULL },
    { "collections/delete", "collection", ANY_ID, NULL, "id" },
    { "collections/", "collection", ANY_ID, "updated_at", NULL },

    /* people and firms */
    { "customers/data_request", "customer", "customer.id", NULL, "data_request.id" },
    { "customers/data_request", "data_request", "data_request.id", NULL, "data_request.id" },
    { "customers/redact", "customer", "customer.id", NULL, NULL },
    { "customers/redact", "shop", NULL, NULL, NULL }, /* of a customer that has none */
    { "customers/delete", "customer", ANY_ID, NULL, "id" },
    { "customers/", "customer", ANY_ID, "updated_at", NULL },
    { "companies/delete", "company", ANY_ID, NULL, "id|admin_graphql_api_id" },
    { "companies/", "company", ANY_ID, "updated_at", NULL },
    { "company_contacts/delete", "company_contact", ANY_ID, NULL, "id|admin_graphql_api_id" },
    { "company_contacts/", "company_contact", ANY_ID, "updated_at", NULL },
    { "company_locations/delete", "company_location", ANY_ID, NULL, "id|admin_graphql_api_id" },
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
    { "subscriptions/", "shop", NULL, "found_at", "@version" }, /* of the audit, not the shop */
    { "app/", "shop", NULL, NULL, NULL },
    { "bulk_operations/", "bulk_operation", ANY_ID, "completed_at|created_at",
      "admin_graphql_api_id status" },
};

/* a topic that no row knows */
static const struct topic_rule generic = { "", NULL, ANY_ID, "updated_at", NULL };

static int fits(const struct topic_rule *r, sl_str topic)
{
    size_t len;

    if (topic.len < 2 || r->topic[0] != topic.ptr[0] || r->topic[1] != topic.ptr[1])
        return 0; /* most rows, before their length is counted */
    len = strlen(r->topic);
    return (r->topic[len - 1] == '/' ? topic.len > len : topic.len == len) &&
           memcmp(topic.ptr, r->topic, len) == 0;
}

size_t topic_rules(sl_str topic, const struct topic_rule *ret[TOPIC_MAX_RULES])
{
    size_t n = 0;

    for (size_t i = 0; i < sizeof(rules) / sizeof(rules[0]); i++) {
        if (!fits(&rules[i], topic))
            continue;
        assert(n < TOPIC_MAX_RULES);
        ret[n++] = &rules[i];
    }
    if (n == 0)
        ret[n++] = &generic;
    return n;
}

/* ---- which members are read ---- */

int topic_is_named(const struct topic_names *names, sl_str name)
{
    for (size_t i = 0; i < names->n; i++)
        if (names->at[i].len == name.len && memcmp(names->at[i].ptr, name.ptr, name.len) == 0)
            return 1;
    return names->all;
}

/* The first step of each path in a list, "@version" apart, which is no member. */
static void add_list(struct topic_names *names, const char *list)
{
    while (list && *list) {
        size_t len = strcspn(list, " |");
        sl_str first = { list, strcspn(list, " |.") };

        if (first.ptr[0] == '@' || topic_reads(names, first)) {
            /* no member, or one that is known */
        } else if (names->n < TOPIC_MAX_NAMES) {
            names->at[names->n++] = first;
            names->bits |= topic_name_bit(first);
        } else { /* longer than any row: slower, and still right */
            names->all = 1;
            names->bits = UINT64_MAX;
        }
        list += len + (list[len] != '\0');
    }
}

void topic_names(const struct topic_rule *const *fit, size_t n, struct topic_names *ret)
{
    ret->n = 0;
    ret->bits = 0;
    ret->all = 0;
    add_list(ret, "test"); /* noted whatever the topic */
    for (size_t i = 0; i < n; i++) {
        add_list(ret, fit[i]->id);
        add_list(ret, fit[i]->version);
        add_list(ret, fit[i]->key);
        add_list(ret, fit[i]->name);
        for (size_t k = 0; k < TOPIC_MAX_REFS; k++)
            add_list(ret, fit[i]->refs[k].path);
    }
}
