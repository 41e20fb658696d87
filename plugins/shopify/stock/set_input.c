/*
 * set_input.c - what `inventory.set` is told: a route's parameters, and a record's body.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "body_table.h"
#include "shopify.h"
#include "stock/stock.h"

const sl_option stock_set_params[] = {
    { "quantity_name", SL_OPT_ENUM, 0, "on_hand", 0, 0, "on_hand|available",
      "what is set: on_hand, of which the shop takes its open orders off itself; or available" },
    { "reason", SL_OPT_STRING, 0, "correction", 0, 0, NULL,
      "of the change, as Shopify spells it: correction, received, restock, ..." },
    { "location", SL_OPT_STRING, 0, NULL, 0, 0, NULL,
      "name or id of the location of bodies that name none" },
    { 0 },
};

static const struct body_member members[] = {
    { "sku", BODY_TEXT, 0, 1, 255, .help = "the SKU; exactly one variant must have it" },
    { "inventory_item_id", BODY_ID, .of = "InventoryItem", .help = "instead of the SKU" },
    { "location_id", BODY_ID, .of = "Location", .help = "where, by its id" },
    { "location", BODY_TEXT, 0, 1, 255,
      .help = "its name in the shop; else as the action's parameter says" },
    { "quantity", BODY_WHOLE, BODY_REQUIRED, 0, 1000000000, .help = "how many there are" },
    { 0 },
};
const struct body_shape stock_set_shape = { .members = members, .one_of = "sku|inventory_item_id" };

void stock_set_unbind(void *handle)
{
    free(handle);
}

sl_status stock_set_bind(const sl_bind_in *in, void **ret_handle, sl_fail *fail)
{
    struct set_handle *h = calloc(1, sizeof(*h));
    sl_str name = { 0 }, reason = { 0 }, location = { 0 };

    if (!h)
        return shopify_fail(fail, SL_E_NO_MEMORY, "out of memory");
    in->values->str(in->params, "quantity_name", &name);
    in->values->str(in->params, "reason", &reason);
    in->values->str(in->params, "location", &location);
    if (location.len >= sizeof(h->location)) {
        free(h);
        return shopify_fail(fail, SL_E_INVALID, "location: no location has so long a name");
    }
    snprintf(h->name, sizeof(h->name), "%.*s", (int)name.len, name.ptr);
    snprintf(h->reason, sizeof(h->reason), "%.*s", (int)reason.len, reason.ptr);
    if (location.len)
        memcpy(h->location, location.ptr, location.len);
    *ret_handle = h;
    return SL_OK;
}

sl_status stock_take_body(const struct set_handle *h, sl_str text, json_t **ret_body,
                          struct stock_row *row, char *why, size_t size)
{
    sl_status r = body_take(text, &stock_set_shape, ret_body, why, size);
    const char *id, *item;

    if (r < 0)
        return r;
    item = json_string_value(json_object_get(*ret_body, "inventory_item_id"));
    id = json_string_value(json_object_get(*ret_body, "location_id"));
    row->sku = json_string_value(json_object_get(*ret_body, "sku"));
    row->place = json_string_value(json_object_get(*ret_body, "location"));
    row->want = json_integer_value(json_object_get(*ret_body, "quantity"));
    if (!id && !row->place && h->location[0])
        row->place = h->location;
    if (id && row->place) {
        snprintf(why, size, "location_id and location: give one of them");
        return SL_E_INVALID;
    }
    if (!id && !row->place) {
        snprintf(why, size, "location is missing, and the action has no parameter location either");
        return SL_E_INVALID;
    }
    snprintf(row->item, sizeof(row->item), "%s", item ? item : "");
    snprintf(row->location, sizeof(row->location), "%s", id ? id : "");
    return SL_OK;
}
