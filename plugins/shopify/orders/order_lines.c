/*
 * order_lines.c - see order_lines.h. d->own: {"lines": the body's, "known": {"SKU": id, or false
 * where several lines have it}}.
 */
#include "orders/order_lines.h"

#include <string.h>

static const char lines_of_order[] =
    "query OrderLines($id: ID!, $after: String) { order(id: $id) { id"
    " lineItems(first: 100, after: $after) { nodes { id sku currentQuantity }"
    " pageInfo { hasNextPage endCursor } } } }";

static void ask_page(struct deed *d);

static const char *sku_of(const json_t *line)
{
    return json_object_get(line, "line_item_id") ? NULL
                                                 : json_string_value(json_object_get(line, "sku"));
}

/* A line that was removed from the order is none of it. */
static void learn(json_t *known, const json_t *nodes)
{
    for (size_t i = 0; i < json_array_size(nodes); i++) {
        const json_t *node = json_array_get(nodes, i);
        const char *sku = json_string_value(json_object_get(node, "sku"));

        if (!sku || json_integer_value(json_object_get(node, "currentQuantity")) == 0)
            continue;
        if (json_object_get(known, sku))
            json_object_set_new(known, sku, json_false());
        else
            json_object_set(known, sku, json_object_get(node, "id"));
    }
}

static void fill(struct deed *d)
{
    json_t *lines = json_object_get(d->own, "lines");
    const json_t *known = json_object_get(d->own, "known");

    for (size_t i = 0; i < json_array_size(lines); i++) {
        json_t *line = json_array_get(lines, i);
        const char *sku = sku_of(line);
        json_t *id = sku ? json_object_get(known, sku) : NULL;

        if (!sku)
            continue;
        if (!json_is_string(id)) {
            deed_say(d, "lines[%zu].sku: %s \"%.100s\"%s", i,
                     id ? "several lines of the order have the SKU"
                        : "no line of the order has the SKU",
                     sku, id ? ": give line_item_id" : "");
            deed_reject(d);
            return;
        }
        json_object_set(line, "line_item_id", id);
    }
    d->step(d);
}

static void on_page(struct deed *d, const json_t *data)
{
    const json_t *order = json_object_get(data, "order");
    const json_t *lines = json_object_get(order, "lineItems");
    const json_t *page = json_object_get(lines, "pageInfo");

    if (!json_is_object(order)) {
        deed_say(d, "order_id: the shop has no such order");
        deed_reject(d);
        return;
    }
    learn(json_object_get(d->own, "known"), json_object_get(lines, "nodes"));
    if (deed_next_page(d, page))
        ask_page(d);
    else
        fill(d);
}

static void ask_page(struct deed *d)
{
    deed_ask(
        d, lines_of_order,
        json_pack("{s:O,s:s*}", "id", json_object_get(d->body, "order_id"), "after", d->cursor),
        on_page);
}

void order_lines_find(struct deed *d, json_t *lines, void (*then)(struct deed *d))
{
    int any = 0;

    for (size_t i = 0; i < json_array_size(lines); i++)
        any |= sku_of(json_array_get(lines, i)) != NULL;
    if (!any) {
        then(d);
        return;
    }
    json_decref(d->own);
    d->own = json_pack("{s:O,s:{}}", "lines", lines, "known");
    d->step = then;
    ask_page(d);
}
