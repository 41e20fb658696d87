/*
 * adjust.c - the action `inventory.adjust`: so many more or fewer, whatever is there. What a SKU
 * and a location are the name of is asked before the first attempt and frozen, so that the same
 * goes out each time; the shop does it once by its key, which it forgets after a day.
 */
#include <stdio.h>
#include <string.h>

#include "admin/admin.h"
#include "body_table.h"
#include "orders/deed.h"
#include "shopify.h"
#include "stock/stock.h"

static const struct body_member change_members[] = {
    { "sku", BODY_TEXT, 0, 1, 255, .help = "the SKU; exactly one variant must have it" },
    { "inventory_item_id", BODY_ID, .of = "InventoryItem", .help = "instead of the SKU" },
    { "location_id", BODY_ID, .of = "Location", .help = "where, by its id" },
    { "location", BODY_TEXT, 0, 1, 255,
      .help = "its name in the shop; else as the parameter says" },
    { "delta", BODY_WHOLE, BODY_REQUIRED, -1000000000, 1000000000,
      .help = "how many more, or with a minus fewer" },
    { "ledger", BODY_TEXT, 0, 1, 255,
      .help = "URI of the document behind it: for every name but available" },
    { 0 },
};
static const struct body_shape change = { .members = change_members,
                                          .one_of = "sku|inventory_item_id" };
static const struct body_member members[] = {
    { "changes", BODY_OBJECT, BODY_REQUIRED, .shape = &change, .items = STOCK_ROWS,
      .help = "all of them, or none" },
    { "name", BODY_ENUM, .of = "available|damaged|incoming|quality_control|reserved|safety_stock",
      .help = "what is adjusted; without it available" },
    { "reason", BODY_TEXT, 0, 1, 39, .help = "as Shopify spells it; without it correction" },
    { "reference", BODY_TEXT, 0, 1, 255, .help = "URI of what caused it; not a gid://shopify one" },
    { "location", BODY_TEXT, 0, 1, 255, .help = "name or id, for changes that name none" },
    { 0 },
};
static const struct body_shape shape = { .members = members };

const sl_option stock_adjust_params[] = {
    { "reason", SL_OPT_STRING, 0, NULL, 0, 0, NULL, "of bodies that say none" },
    { "location", SL_OPT_STRING, 0, NULL, 0, 0, NULL,
      "name or id of the location of bodies that name none" },
    { 0 },
};

static const char adjust_quantities[] =
    "mutation InventoryAdjustQuantities($input: InventoryAdjustQuantitiesInput!, $key: String!) {"
    " inventoryAdjustQuantities(input: $input) @idempotent(key: $key) {"
    " inventoryAdjustmentGroup { id } userErrors { code field message } } }";
static const char any_question[] = "query Shop { shop { id } }";

static const struct refusal_rule refusals[] = {
    { "INVALID_INVENTORY_ITEM", NULL, REFUSAL_GOOD, "the shop has no such item" },
    { "INVALID_LOCATION", NULL, REFUSAL_GOOD, "the shop has no such location" },
    { "ITEM_NOT_STOCKED_AT_LOCATION", NULL, REFUSAL_GOOD, "stock it there first" },
    { "IDEMPOTENCY_CONCURRENT_REQUEST", NULL, REFUSAL_LATER, NULL },
    { "IDEMPOTENCY_PREVIOUS_ATTEMPT_FAILED", NULL, REFUSAL_NEW_KEY, NULL },
    { 0 },
};

/* ---- what is asked before ------------------------------------------------------------------- */

/* The place of a change: its own, or the body's. NULL: neither, or both its id and its name. */
static const char *place_of(const struct deed *d, const json_t *one)
{
    const char *name = json_string_value(json_object_get(one, "location"));

    return name ? name : json_string_value(json_object_get(d->body, "location"));
}

static sl_status read(struct deed *d)
{
    const char *name = json_string_value(json_object_get(d->body, "name"));
    int available = !name || strcmp(name, "available") == 0;
    const json_t *changes = json_object_get(d->body, "changes");
    json_t *skus = json_object(), *places = json_object();

    d->own = json_pack("{s:o,s:o}", "skus", skus, "places", places);
    for (size_t i = 0; i < json_array_size(changes); i++) {
        const json_t *one = json_array_get(changes, i);
        const char *sku = json_string_value(json_object_get(one, "sku"));
        const char *place = place_of(d, one);
        int by_id = json_object_get(one, "location_id") != NULL;

        if (by_id && json_object_get(one, "location"))
            return deed_wrong(d, "changes[%zu]: location_id and location: give one of them", i);
        if (!by_id && !place)
            return deed_wrong(d,
                              "changes[%zu]: location is missing, and the action has no "
                              "parameter location either",
                              i);
        if (available == (json_object_get(one, "ledger") != NULL))
            return deed_wrong(d,
                              available ? "changes[%zu].ledger: not for available"
                                        : "changes[%zu].ledger is missing: the shop wants it "
                                          "for all but available",
                              i);
        if ((sku && json_object_set_new(skus, sku, json_null()) < 0) ||
            (!by_id && json_object_set_new(places, place, json_null()) < 0))
            return SL_E_NO_MEMORY;
    }
    d->variables = json_object(); /* made when all is known */
    return d->own ? SL_OK : SL_E_NO_MEMORY;
}

static void give_up(struct deed *d, const struct admin_answer *failed)
{
    deed_say(d, "%s", failed->why);
    d->after_ms = failed->after_ms;
    deed_retry(d);
}

/* NULL with d->why. */
static json_t *change_input(struct deed *d, const json_t *one)
{
    const char *sku = json_string_value(json_object_get(one, "sku")), *place = place_of(d, one);
    json_t *item = sku ? json_object_get(json_object_get(d->own, "skus"), sku)
                       : json_object_get(one, "inventory_item_id");
    json_t *id = json_object_get(one, "location_id");
    char names[200];

    if (!id)
        id = json_object_get(json_object_get(d->own, "places"), place);
    stock_place_names(d->s, names, sizeof(names));
    if (!json_is_string(item))
        deed_say(d,
                 json_is_false(item) ? "several variants have the SKU \"%s\": give "
                                       "inventory_item_id"
                                     : "no variant has the SKU \"%s\"",
                 sku);
    else if (!json_is_string(id))
        deed_say(d, "the shop has no location \"%.100s\"; there are: %s", place, names);
    else
        return json_pack("{s:O,s:O,s:O,s:n,s:O*}", "inventoryItemId", item, "locationId", id,
                         "delta", json_object_get(one, "delta"), "changeFromQuantity",
                         "ledgerDocumentUri", json_object_get(one, "ledger"));
    return NULL;
}

static void on_places(void *ctx, const struct admin_answer *failed)
{
    struct deed *d = ctx;
    const json_t *changes = json_object_get(d->body, "changes");
    const json_t *name = json_object_get(d->body, "name");
    const json_t *reason = json_object_get(d->body, "reason");
    json_t *rows = json_array(), *input;

    if (failed) {
        json_decref(rows);
        give_up(d, failed);
        return;
    }
    for (size_t i = 0; i < json_array_size(changes); i++) {
        json_t *row = change_input(d, json_array_get(changes, i));

        if (!row) {
            json_decref(rows);
            deed_reject(d);
            return;
        }
        json_array_append_new(rows, row);
    }
    input = json_pack("{s:s,s:s,s:o,s:O*}", "name", name ? json_string_value(name) : "available",
                      "reason", reason ? json_string_value(reason) : "correction", "changes", rows,
                      "referenceDocumentUri", json_object_get(d->body, "reference"));
    if (input && json_object_set_new(d->variables, "input", input) == 0) {
        deed_frozen(d);
        return;
    }
    deed_say(d, "out of memory");
    deed_retry(d);
}

static void on_items(void *ctx, const struct admin_answer *failed)
{
    struct deed *d = ctx;

    if (failed)
        give_up(d, failed);
    else
        stock_places(d->s, d->priority, json_object_get(d->own, "places"), on_places, d);
}

static void freeze(struct deed *d)
{
    stock_items(d->s, d->priority, json_object_get(d->own, "skus"), on_items, d);
}

/* ---- after a day ---------------------------------------------------------------------------- */

/* The shop keeps no record of adjustments that could be asked for. */
static enum deed_seen judge(struct deed *d, const json_t *data)
{
    (void)data;
    deed_say(d,
             "an answer was lost more than a day ago, and the shop has forgotten the key: look at "
             "the item's history there; if it was adjusted reject this, else release it");
    return SEEN_HUMAN;
}

static json_t *no_variables(const struct deed *d)
{
    (void)d;
    return json_object();
}

static const struct deed_kind kind = {
    .shape = &shape,
    .params = stock_adjust_params,
    .flags = DEED_REPEATABLE | DEED_FROZEN,
    .document = adjust_quantities,
    .root = "inventoryAdjustQuantities",
    .object = "inventoryAdjustmentGroup",
    .step = "adjust",
    .refusals = refusals,
    .read = read,
    .freeze = freeze,
    .look = any_question,
    .look_variables = no_variables,
    .judge = judge,
};

DEED_ACTION(stock_adjust, kind, shape, .scopes = "write_inventory read_products read_locations");
