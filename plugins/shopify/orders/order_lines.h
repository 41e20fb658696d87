/*
 * order_lines.h - the ids of an order's lines, where a body has only their SKUs.
 */
#pragma once

#include "orders/deed.h"

/** Fill `line_item_id` in where a line of `lines` (borrowed from d->body; NULL: none) has a `sku`
 *  instead; d->body's order_id is the order. Then go on; or the deed has ended, since no line or
 *  several lines of the order have a SKU. */
void order_lines_find(struct deed *d, json_t *lines, void (*then)(struct deed *d));
