/*
 * owner.h - the thing of the shop that a body names: by its GID, or by an id of a kind.
 */
#pragma once

#include "body_table.h"

#define OWNER_ONE_OF "id|order_id|draft_order_id|customer_id|product_id|variant_id"

/* Members of a body; OWNER_ONE_OF is the shape's rule for them. */
#define OWNER_MEMBERS                                                                    \
    { "id", BODY_TEXT, .max = 200, .help = "a GID: gid://shopify/Company/1" },           \
        { "order_id", BODY_ID, .of = "Order", .help = "or an order's id" },              \
        { "draft_order_id", BODY_ID, .of = "DraftOrder", .help = "or a draft order's" }, \
        { "customer_id", BODY_ID, .of = "Customer", .help = "or a customer's" },         \
        { "product_id", BODY_ID, .of = "Product", .help = "or a product's" },            \
    {                                                                                    \
        "variant_id", BODY_ID, .of = "ProductVariant", .help = "or a variant's"          \
    }

/** The owner's GID, of a body that body_take() has passed; borrowed. NULL: its `id` is no GID. */
json_t *owner_of(const json_t *body);
