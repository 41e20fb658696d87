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
      "the id of the location of bodies that name none" },
    { "locations", SL_OPT_MAP, 0, NULL, 0, 0, NULL,
      "names that bodies use for locations, and their ids" },
    { 0 },
};

static const struct body_member members[] = {
    { "sku", BODY_TEXT, 0, 1, 255, .help = "the SKU; exactly one variant must have it" },
    { "inventory_item_id", BODY_ID, .of = "InventoryItem", .help = "instead of the SKU" },
    { "location_id", BODY_ID, .of = "Location",
      .help = "where; else as the action's parameters say" },
    { "location", BODY_TEXT, 0, 1, 255, .help = "a name of the parameter `locations`" },
    { "quantity", BODY_WHOLE, BODY_REQUIRED, 0, 1000000000, .help = "how many there are" },
    { 0 },
};
const struct body_shape stock_set_shape = { .members = members, .one_of = "sku|inventory_item_id" };

/* Digits, or a GID of a location. */
static int location_gid(const char *text, char ret[STOCK_ID_SIZE])
{
    const char *digits = strncmp(text, PLACE_GID, strlen(PLACE_GID)) == 0 ? text + strlen(PLACE_GID)
                                                                          : text;
    size_t n = strspn(digits, "0123456789");

    if (n == 0 || n > 20 || digits[n])
        return -1;
    snprintf(ret, STOCK_ID_SIZE, PLACE_GID "%s", digits);
    return 0;
}

static sl_status bind_locations(const sl_bind_in *in, struct set_handle *h, sl_fail *fail)
{
    char gid[STOCK_ID_SIZE];
    const char *name;
    json_t *id, *map;
    sl_str text;
    int r = 0;

    if (in->values->json(in->params, "locations", &text) < 0)
        return SL_OK;
    map = json_loadb(text.ptr, text.len, 0, NULL);
    h->locations = json_object();
    json_object_foreach(map, name, id)
    {
        if (!json_is_string(id) || location_gid(json_string_value(id), gid) < 0) {
            shopify_fail(fail, SL_E_INVALID,
                         "locations: \"%.60s\" wants the id of a location, digits in quotes or a "
                         "GID",
                         name);
            json_decref(map);
            return SL_E_INVALID;
        }
        r |= json_object_set_new(h->locations, name, json_string(gid));
    }
    json_decref(map);
    return map && h->locations && r == 0 ? SL_OK
                                         : shopify_fail(fail, SL_E_NO_MEMORY, "out of memory");
}

void stock_set_unbind(void *handle)
{
    struct set_handle *h = handle;

    json_decref(h->locations);
    free(h);
}

sl_status stock_set_bind(const sl_bind_in *in, void **ret_handle, sl_fail *fail)
{
    struct set_handle *h = calloc(1, sizeof(*h));
    sl_str name = { 0 }, reason = { 0 }, location = { 0 };
    char id[STOCK_ID_SIZE];
    sl_status r;

    if (!h)
        return shopify_fail(fail, SL_E_NO_MEMORY, "out of memory");
    in->values->str(in->params, "quantity_name", &name);
    in->values->str(in->params, "reason", &reason);
    in->values->str(in->params, "location", &location);
    snprintf(h->name, sizeof(h->name), "%.*s", (int)name.len, name.ptr);
    snprintf(h->reason, sizeof(h->reason), "%.*s", (int)reason.len, reason.ptr);
    snprintf(id, sizeof(id), "%.*s", (int)location.len, location.ptr ? location.ptr : "");
    r = bind_locations(in, h, fail);
    if (r == SL_OK && location.len && location_gid(id, h->location) < 0)
        r = shopify_fail(fail, SL_E_INVALID,
                         "location: it wants the id of a location, digits in quotes or a GID");
    if (r < 0)
        stock_set_unbind(h);
    else
        *ret_handle = h;
    return r;
}

/* Where; NULL with `why`. */
static const char *location_of(const struct set_handle *h, const json_t *body, char *why,
                               size_t size)
{
    const char *id = json_string_value(json_object_get(body, "location_id"));
    const char *name = json_string_value(json_object_get(body, "location"));
    const char *named = name ? json_string_value(json_object_get(h->locations, name)) : NULL;

    if (id && name)
        snprintf(why, size, "location_id and location: give one of them");
    else if (name && !named)
        snprintf(why, size,
                 "location: \"%.100s\" is none of the names in the action's parameter locations",
                 name);
    else if (!id && !name && !h->location[0])
        snprintf(why, size, "location_id is missing, and the action has no parameter location");
    else
        return id ? id : name ? named : h->location;
    return NULL;
}

sl_status stock_take_body(const struct set_handle *h, sl_str text, json_t **ret_body,
                          struct stock_row *row, char *why, size_t size)
{
    sl_status r = body_take(text, &stock_set_shape, ret_body, why, size);
    const char *location = r == SL_OK ? location_of(h, *ret_body, why, size) : NULL;
    const char *item;

    if (r < 0 || !location)
        return r < 0 ? r : SL_E_INVALID;
    item = json_string_value(json_object_get(*ret_body, "inventory_item_id"));
    row->sku = json_string_value(json_object_get(*ret_body, "sku"));
    snprintf(row->item, sizeof(row->item), "%s", item ? item : "");
    snprintf(row->location, sizeof(row->location), "%s", location);
    row->want = json_integer_value(json_object_get(*ret_body, "quantity"));
    return SL_OK;
}
