/*
 * tags.c - tags.add and tags.remove. Never by orderUpdate, whose tags replace all that are there.
 */
#include <string.h>

#include "body_table.h"
#include "orders/deed.h"
#include "orders/orders.h"
#include "orders/owner.h"

static const struct body_member members[] = {
    OWNER_MEMBERS,
    { "tags", BODY_TEXT, BODY_REQUIRED, 1, 255, .items = 250, .help = "each without a comma" },
    { 0 },
};
static const struct body_shape shape = { .members = members, .one_of = OWNER_ONE_OF };

static const char tags_add[] =
    "mutation TagsAdd($id: ID!, $tags: [String!]!) { tagsAdd(id: $id, tags: $tags) {"
    " node { id } userErrors { field message } } }";
static const char tags_remove[] =
    "mutation TagsRemove($id: ID!, $tags: [String!]!) { tagsRemove(id: $id, tags: $tags) {"
    " node { id } userErrors { field message } } }";

static sl_status read(struct deed *d)
{
    json_t *owner = owner_of(d->body), *tags = json_object_get(d->body, "tags");

    if (!owner)
        return deed_wrong(d, "id: it wants a GID, such as gid://shopify/Order/450789469");
    for (size_t i = 0; i < json_array_size(tags); i++)
        if (strchr(json_string_value(json_array_get(tags, i)), ','))
            return deed_wrong(d,
                              "tags[%zu]: the shop would make several of it, for its comma: "
                              "give each by itself",
                              i);
    d->variables = json_pack("{s:O,s:O}", "id", owner, "tags", tags);
    return SL_OK;
}

static const struct deed_kind add = {
    .shape = &shape,
    .flags = DEED_REPEATABLE,
    .document = tags_add,
    .root = "tagsAdd",
    .object = "node",
    .read = read,
};
static const struct deed_kind remove_ = {
    .shape = &shape,
    .flags = DEED_REPEATABLE,
    .document = tags_remove,
    .root = "tagsRemove",
    .object = "node",
    .read = read,
};

DEED_ACTION(tags_add, add, shape,
            .scopes = "write_orders|write_draft_orders|write_customers|write_products");
DEED_ACTION(tags_remove, remove_, shape,
            .scopes = "write_orders|write_draft_orders|write_customers|write_products");
