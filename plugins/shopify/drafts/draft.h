/*
 * draft.h - the action `draft_order.create`: a quote becomes a draft order with a link to its
 * checkout. Shopify has no idempotency key for it: the record's key is a tag of the draft order,
 * and what has no answer is looked for by that.
 */
#pragma once

#include <sluice/sluice.h>

#include "actions.h"
#include "shopify.h"

extern const sl_option draft_params[];
extern const struct shopify_action draft_action;

/* ---- draft_follow.c ---- */

extern const sl_option draft_complete_params[];
extern const struct shopify_action draft_update_action, draft_invoice_action, draft_complete_action;

/* ---- draft.c ---- */

/** At close, when no request is under way any more: what waits for a timer ends. */
void drafts_close(struct shopify *s);

/* ---- draft_input.c: a record's body as DraftOrderInput ---- */

#define DRAFT_TAG_SIZE 41  /* of the shop's */
#define DRAFT_LINES    499 /* of one draft order */

extern const struct body_shape draft_shape;

/** What is to be made; all zero is empty. */
struct draft_order {
    json_t *body;      /* own: the record's, parsed */
    json_t *input;     /* own: DraftOrderInput; lines with a SKU lack their variantId yet */
    json_t *skus;      /* own: {"SKU": null, or its variant's id, or false: several have it} */
    const char *quote; /* what it is about, of `body`; "" if it says nothing */
};

/** Read a body. SL_E_INVALID with `why`, which names the member; SL_E_NO_MEMORY. */
sl_status draft_read(struct draft_order *d, sl_str body, const char *tag, char *why,
                     size_t why_size);
/** Fill the variants in once all SKUs were asked for. SL_E_INVALID with `why`: one is unknown, or
 *  not the only one. */
sl_status draft_fill(struct draft_order *d, char *why, size_t why_size);
void draft_finish(struct draft_order *d);
