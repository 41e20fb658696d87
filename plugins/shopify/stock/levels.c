/*
 * levels.c - what is in stock, as the shop has it: of many items at many locations in one question.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "admin/admin.h"
#include "shopify.h"
#include "stock/stock.h"

#define LOCATIONS_AT_ONCE 20 /* a field of each item; a question of 250 costs some 40 points */

struct reading {
    struct shopify *s;
    uint32_t priority;
    struct stock_row *rows;
    size_t n;
    const char *name;
    const char *locations[LOCATIONS_AT_ONCE]; /* of this question; of `rows` */
    size_t n_locations;
    char document[160 + LOCATIONS_AT_ONCE * 112]; /* the question, until it is answered */
    stock_levels_cb cb;
    void *ctx;
};

static int is_open(const struct stock_row *r)
{
    return r->state == STOCK_UNREAD || r->state == STOCK_STALE;
}

static void end(struct reading *x, const struct admin_answer *failed)
{
    stock_levels_cb cb = x->cb;
    void *ctx = x->ctx;

    free(x);
    cb(ctx, failed);
}

static void give_up(struct reading *x)
{
    struct admin_answer a = { .verdict = ADMIN_NOT_DONE, .why = "out of memory" };

    end(x, &a);
}

/* ---- the question ---- */

static size_t location_index(const struct reading *x, const char *location)
{
    size_t i = 0;

    while (i < x->n_locations && strcmp(x->locations[i], location) != 0)
        i++;
    return i;
}

/* The ids of the items of what is open, each once, at up to so many locations; own. */
static json_t *choose(struct reading *x)
{
    json_t *seen = json_object(), *ids = json_array();
    int r = seen && ids ? 0 : -1;

    x->n_locations = 0;
    for (size_t i = 0; i < x->n && r == 0; i++) {
        const struct stock_row *row = &x->rows[i];
        size_t at = location_index(x, row->location);

        if (!is_open(row) || at == LOCATIONS_AT_ONCE)
            continue;
        if (at == x->n_locations)
            x->locations[x->n_locations++] = row->location;
        if (!json_object_get(seen, row->item))
            r = json_object_set_new(seen, row->item, json_true()) |
                json_array_append_new(ids, json_string(row->item));
    }
    json_decref(seen);
    if (r == 0)
        return ids;
    json_decref(ids);
    return NULL;
}

/* query Levels($ids: [ID!]!, $l0: ID!) { nodes(ids: $ids) { ... on InventoryItem { id sku
 * l0: inventoryLevel(locationId: $l0) { quantities(names: ["on_hand"]) { quantity } } } } } */
static void write_question(struct reading *x)
{
    char *p = x->document, *last = p + sizeof(x->document);

    p += snprintf(p, (size_t)(last - p), "query Levels($ids: [ID!]!");
    for (size_t i = 0; i < x->n_locations; i++)
        p += snprintf(p, (size_t)(last - p), ", $l%zu: ID!", i);
    p += snprintf(p, (size_t)(last - p), ") { nodes(ids: $ids) { ... on InventoryItem { id sku");
    for (size_t i = 0; i < x->n_locations; i++)
        p += snprintf(p, (size_t)(last - p),
                      " l%zu: inventoryLevel(locationId: $l%zu) {"
                      " quantities(names: [\"%s\"]) { quantity } }",
                      i, i, x->name);
    snprintf(p, (size_t)(last - p), " } } }");
}

/* ---- the answer ---- */

static void take_level(const struct reading *x, struct stock_row *row, const json_t *item)
{
    const char *sku = json_string_value(json_object_get(item, "sku"));
    const json_t *level, *quantity;
    char alias[24];
    int64_t now;

    if (!item) {
        row->wrong = "the shop has no such inventory item";
        row->state = STOCK_READY;
        return;
    }
    if (row->sku && (!sku || strcmp(sku, row->sku) != 0)) {
        stock_forget_item(x->s, row->sku);
        row->wrong = "its SKU has become another item's: it is looked for anew";
        row->moved = 1;
        row->state = STOCK_READY;
        return;
    }
    snprintf(alias, sizeof(alias), "l%zu", location_index(x, row->location));
    level = json_object_get(item, alias);
    quantity = json_object_get(json_array_get(json_object_get(level, "quantities"), 0), "quantity");
    row->has_level = json_is_integer(quantity);
    now = row->has_level ? json_integer_value(quantity) : 0;
    if (row->state == STOCK_STALE && !(row->perhaps && now == row->want))
        row->want += now - row->there;
    if (row->want < 0)
        row->want = 0;
    row->there = now;
    row->state = STOCK_READY;
}

static void ask(struct reading *x);

static void on_levels(void *ctx, const struct admin_answer *a)
{
    struct reading *x = ctx;
    const json_t *nodes = json_object_get(a->data, "nodes");
    json_t *items = json_object();

    if (a->verdict != ADMIN_OK || !items) {
        json_decref(items);
        if (a->verdict != ADMIN_OK)
            end(x, a);
        else
            give_up(x);
        return;
    }
    for (size_t i = 0; i < json_array_size(nodes); i++) {
        json_t *node = json_array_get(nodes, i);
        const char *id = json_string_value(json_object_get(node, "id"));

        if (id)
            json_object_set(items, id, node);
    }
    for (size_t i = 0; i < x->n; i++)
        if (is_open(&x->rows[i]) && location_index(x, x->rows[i].location) < x->n_locations)
            take_level(x, &x->rows[i], json_object_get(items, x->rows[i].item));
    json_decref(items);
    ask(x);
}

static void ask(struct reading *x)
{
    json_t *ids = choose(x), *variables;

    if (ids && json_array_size(ids) == 0) {
        json_decref(ids);
        end(x, NULL);
        return;
    }
    write_question(x);
    variables = ids ? json_pack("{s:o}", "ids", ids) : NULL;
    for (size_t i = 0; variables && i < x->n_locations; i++) {
        char name[24];

        snprintf(name, sizeof(name), "l%zu", i);
        if (json_object_set_new(variables, name, json_string(x->locations[i])) < 0) {
            json_decref(variables);
            variables = NULL;
        }
    }
    if (admin_ask_as(x->s, x->priority, x->document, variables, on_levels, x) < 0)
        give_up(x);
}

void stock_levels(struct shopify *s, uint32_t priority, struct stock_row *rows, size_t n,
                  const char *name, stock_levels_cb cb, void *ctx)
{
    struct admin_answer none = { .verdict = ADMIN_NOT_DONE, .why = "out of memory" };
    struct reading *x = calloc(1, sizeof(*x));

    if (!x) {
        cb(ctx, &none);
        return;
    }
    *x = (struct reading){
        .s = s, .priority = priority, .rows = rows, .n = n, .name = name, .cb = cb, .ctx = ctx
    };
    ask(x);
}
