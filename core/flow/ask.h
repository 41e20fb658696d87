/*
 * ask.h - what an event asks of the gateway itself, as its adapter says: kept beside the event on
 * its way through the router, and made again from the event whenever it is needed. What it names
 * is personal, so it stands nowhere else: the record of it has ids and hashes.
 *
 * Thread: loop.
 */
#pragma once

#include "flow/state.h"

#define ASKS_MOST 4 /* of one event */

struct ask {
    uint32_t kind; /* SL_ASK_* */
    bool everything;
    char *who, *why;           /* own */
    sl_str *subjects, *values; /* own, and each of them */
    size_t n_subjects, n_values;
    sl_ref *refs; /* own, and each of them */
    size_t n_refs;
};

/** A copy of what the adapter said. SL_OK, SL_E_INVALID, SL_E_LIMIT. */
sl_status ask_copy(struct ask *ret, const sl_ask *said);
void ask_finish_all(struct ask *asks, size_t n); /* frees the array, too; NULL is fine */
/** As the adapter said it; views into the ask. */
sl_ask ask_said(const struct ask *a);
/** What is kept of it for ever, a JSON object: ids, and the SHA-256 of each value in lower case. */
void ask_json(struct buf *b, const struct ask *a);
/** The same values as they stand in a form's body: with %40 for the @, %2B for the plus. Own texts
 *  in an own array, those that are no other that way left out. */
sl_str *ask_in_forms(const struct ask *a, size_t *ret_n);
