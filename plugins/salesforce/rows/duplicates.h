/*
 * duplicates.h - a record that the org takes for a duplicate: the records it could be, as choices
 * for a person and as the evidence they rest on.
 */
#pragma once

#include "row_errors.h"

/** What a choice of a record is named: the id follows. sl_record.choice brings it back. */
#define CHOICE_USE    "use:"
#define CHOICE_CREATE "create" /* save it although it looks like a duplicate */

/**
 * Fill hold_type, choices and evidence. `error`: the element that says so, with the records; NULL:
 * there is only its text, and the choices stay empty unless the text names records.
 */
void duplicates_describe(const struct row_refusal *r, const json_t *error,
                         const struct row_about *about, struct row_verdict *ret);

/** The id that a choice names: 15 or 18 letters and digits. View into `choice`; empty: none. */
sl_str duplicates_chosen(sl_str choice);
