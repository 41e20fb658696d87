/*
 * records.h - an answer of /query: its records, byte for byte where it matters.
 */
#pragma once

#include <jansson.h>
#include <sluice/sluice.h>

#include "text.h"

/** Percent-encoded, for the query of an address. */
void put_query(struct text *to, sl_str s);

struct page {
    char next[512]; /* nextRecordsUrl; empty: this was the last page */
};

/** Each record of the page, and its own text in the body. False: `why`, it is no answer of that
 *  kind; then nothing was called. */
bool page_read(sl_str body, void (*record)(void *ctx, const json_t *record, sl_str raw), void *ctx,
               struct page *ret, char *why, size_t why_size);
/** The text of a field, also of a parent ("Product2.StockKeepingUnit"), without case; empty: null,
 *  or there is none. */
sl_str record_text(const json_t *record, const char *path);
/** Its JSON without the `attributes` of it and its parents; numbers as they were written. */
void record_copy(sl_str raw, struct text *to);
