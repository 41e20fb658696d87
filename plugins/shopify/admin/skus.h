/*
 * skus.h - what a SKU is the name of. The shop's search finds more than was asked for, so only what
 * is the same counts; and a SKU need not be unique.
 */
#pragma once

#include <jansson.h>
#include <sluice/sluice.h>

#include "admin/admin.h"

struct shopify;

enum sku_names { SKU_VARIANT, SKU_INVENTORY_ITEM };

/** `failed`: the answer without data that ended it, borrowed; NULL: all was answered. */
typedef void (*skus_cb)(void *ctx, const struct admin_answer *failed);

/** Fill in `skus`, {"SKU": null, ...}, borrowed until `cb`: the GID of what has the SKU, false
 * where several have it, null still where nothing has. What is no null is not asked for. `cb` runs
 *  exactly once, perhaps before this returns. `priority`: SL_PRIORITY_*. */
void skus_find(struct shopify *s, uint32_t priority, json_t *skus, enum sku_names what, skus_cb cb,
               void *ctx);
