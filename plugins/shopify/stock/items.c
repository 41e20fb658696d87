/*
 * items.c - which inventory item has a SKU. Asked once for each SKU: an item keeps its SKU for
 * months, and whoever reads its levels sees whether it still does.
 */
#include <stdlib.h>
#include <string.h>

#include "admin/skus.h"
#include "shopify.h"
#include "stock/stock.h"

#define ITEMS_MAX 100000 /* SKUs that are remembered: some 20 MB */

struct looking {
    struct shopify *s;
    json_t *skus; /* borrowed */
    stock_items_cb cb;
    void *ctx;
};

/* What has no memory is not remembered. */
static void remember(struct shopify *s, const json_t *skus)
{
    const char *sku;
    json_t *item;

    if (!s->items)
        s->items = json_object();
    if (json_object_size(s->items) + json_object_size(skus) > ITEMS_MAX)
        json_object_clear(s->items);
    json_object_foreach((json_t *)skus, sku, item)
    {
        if (json_is_string(item))
            json_object_set(s->items, sku, item);
    }
}

static void on_found(void *ctx, const struct admin_answer *failed)
{
    struct looking x = *(struct looking *)ctx;

    free(ctx);
    remember(x.s, x.skus);
    x.cb(x.ctx, failed);
}

void stock_items(struct shopify *s, uint32_t priority, json_t *skus, stock_items_cb cb, void *ctx)
{
    struct admin_answer none = { .verdict = ADMIN_NOT_DONE, .why = "out of memory" };
    struct looking *x = malloc(sizeof(*x));
    const char *sku;
    json_t *item;

    json_object_foreach(skus, sku, item)
    {
        json_t *known = json_object_get(s->items, sku);

        if (known)
            json_object_set(skus, sku, known); /* of the one that is there: no memory is needed */
    }
    if (!x) {
        cb(ctx, &none);
        return;
    }
    *x = (struct looking){ s, skus, cb, ctx };
    skus_find(s, priority, skus, SKU_INVENTORY_ITEM, on_found, x);
}

void stock_forget_item(struct shopify *s, const char *sku)
{
    json_object_del(s->items, sku);
}
