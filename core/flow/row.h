/*
 * row.h - a delivery's row, kept beyond the callback that gave it; and what an edit asks of it.
 */
#pragma once

#include "store/store.h"

/** A copy with own texts: row_free(). */
void row_keep(struct store_delivery *to, const struct store_delivery *row);
void row_free(struct store_delivery *row); /* its texts; harmless for one that is all zero */
/** What a durable move makes of it. */
void row_follow(struct store_delivery *row, const struct rec_move *m);

/** May it go out with another body, under a new key? Never while the old one may have arrived;
 *  `sure`: somebody knows that it has not. 0, or UV_EINVAL with `text` saying why not. */
int edit_check(const struct store_delivery *row, bool sure, char text[160]);
/** What the timeline says of an edit: why, and the digest of the body before. Own. */
char *edit_reason(sl_str why, sl_str body_before);
