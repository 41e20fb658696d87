/*
 * keys.h - the external ids of a batch: taken from the bodies, found again from result files.
 */
#pragma once

#include "row.h"
#include "text.h"

/**
 * Append the record's external id as Salesforce compares it: lower case (ASCII). An `Id` gets the
 * 18 characters that it can have, so that case does not matter for it either.
 * @param to   must be empty or hold what may stand before it
 * @param why  filled on error
 * @return SL_OK; SL_E_INVALID: the field is missing, null, empty, or no text and no whole number
 */
sl_status key_of(const struct row *row, const char *external_id, struct text *to, char *why,
                 size_t why_size);

/** All zero is valid and empty. Add all, sort once, then find. */
struct keys {
    bool are_ids; /* of Salesforce: 15 or 18 characters name the same */
    struct text text;
    struct key *items;
    size_t n, cap;
};

struct key {
    size_t at, len; /* in `text` */
    uint32_t record;
};

void keys_finish(struct keys *k);
/** Take what was appended to `k->text` from offset `at` on as the key of a record. */
sl_status keys_add(struct keys *k, size_t at, uint32_t record);
void keys_sort(struct keys *k);
/** After keys_sort(): does items[i] repeat the key before it? */
bool keys_repeats(const struct keys *k, size_t i);
/**
 * The record of a value as a result file shows it, compared without case. A number field may come
 * back as a double: 912260031 as 9.12260031E8.
 * @return SL_OK, SL_E_NOT_FOUND
 */
sl_status keys_find(const struct keys *k, sl_str value, uint32_t *ret_record);
