/*
 * backfill.h - what happened in the shop before the gateway was there, or while it was not: all
 * orders of months, by a bulk operation, and what must have happened to each of them.
 */
#pragma once

#include <sluice/sluice.h>

struct shopify;

/* as sluice.h documents them */
sl_status shopify_can_backfill(const sl_values *settings, const sl_values_api *values,
                               sl_str topics, sl_fail *fail);
void shopify_backfill(void *self, const sl_backfill *what, sl_str cursor, const sl_poll_out *out);

/** Nothing is told any more. */
void backfill_close(struct shopify *s);
