/*
 * table.h - aligned tables and texts for people.
 *
 * Cells are copied and made safe for a terminal: control bytes become blanks, what is no UTF-8
 * becomes '?'.
 */
#pragma once

#include <jansson.h>
#include <stddef.h>
#include "base/buf.h"

/** One line for a terminal, from bytes that came from outside. */
void clean_text(struct buf *out, sl_str s);
/** The same for text of several lines, such as a body: newlines and tabs stay. */
void clean_lines(struct buf *out, sl_str s);
/** Characters, not bytes. */
size_t text_width(sl_str s);

/** All zero but `columns` is not valid: table_init(). */
struct table {
    size_t columns, n; /* n: cells, the heads included */
    const char *heads; /* "ID|>COUNT|REASON"; '>' : numbers, to the right */
    char **cells;
};

void table_init(struct table *t, const char *heads);
void table_cell(struct table *t, const char *text); /* NULL: "" */
void table_number(struct table *t, json_t *number);
/** Aligned, the last column as it is; ends every line without blanks. */
void table_write(const struct table *t, struct buf *out);
/** To standard output. */
void table_print(const struct table *t);
void table_finish(struct table *t);

/** A list of objects, a row each: "ISSUE=id|>DEAD=#dead|SEEN=@last_at|ENDPOINT=?endpoint" - a head
 * and the member below it; '#': a number, '@': a time, '?': "-" where it is empty. To standard
 * output. */
void table_rows(const char *columns, json_t *list);
/** The same below a heading; nothing when there is no row. */
void table_section(const char *heading, const char *columns, json_t *list);

/** "2026-11-20 09:15:32" of an RFC 3339 text; "-" for NULL. `out` holds 32 bytes. */
const char *short_time(const char *rfc3339, char out[32]);
/** A member that is a text; "" otherwise. */
const char *json_text(json_t *o, const char *name);
/** "delivered 2, dead 1" of {"delivered":2,"dead":1}; appends. */
void counts_text(struct buf *out, json_t *counts);

/* ---- views into JSON text that is known to be valid: what was a number stays as it was written
 * ---- */

/** The value of a member of an object; empty: none. */
sl_str raw_member(sl_str object, const char *name);
/** The i-th element of an array; empty: none. */
sl_str raw_element(sl_str array, size_t i);
