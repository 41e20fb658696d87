/*
 * compare.h - is what was delivered still there, as it was sent? Records are asked for by their
 * external id, up to 200 with one REST query or thousands with one bulk query, whichever takes
 * fewer calls, and compared field by field.
 */
#pragma once

#include "salesforce.h"

struct json_t;

/* as sluice.h documents it */
void compare_start(void *self, void *handle, const sl_batch *batch, const sl_compare_out *out);
void compare_comparing(const void *handle, sl_comparing *ret);
/** Free all: nothing is told any more. */
void compare_close(struct salesforce *sf);

/* ---- compare_value.c ---- */

/** Does the field say what was sent, however it is written? `there` NULL: it has no value. An empty
 *  text and null are the same to Salesforce; numbers, times and booleans count by their value. */
bool compare_value(sl_str sent, const struct json_t *there);
/** The same of a field as a bulk query's CSV gives it: all of it is text, whatever its type. */
bool compare_text(sl_str sent, sl_str there);
/** A value for the operator, short. */
void compare_show_text(sl_str there, struct text *to);
void compare_show(const struct json_t *there, struct text *to);
/** A field of a record as the REST API gives it, by its path, without case; NULL: none. */
const struct json_t *compare_field(const struct json_t *record, sl_str path);
