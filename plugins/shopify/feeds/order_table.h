/* order_table.h - the tables of an order, and what they share. */
#pragma once

#include "render.h"

extern const struct render_row order_head[]; /* all but fulfilments and refunds */
/* of one of them; render.body is the order's, with its lines */
extern const struct render_row order_fulfillments[], order_refunds[];
extern const struct render_row order_address[];

json_t *order_make_id(const json_t *from, const struct render *r); /* of render.order */
json_t *order_make_service(const json_t *from, const struct render *r);
json_t *order_make_zero_set(const json_t *from, const struct render *r); /* no money */
