/*
 * reply.h - what reports are put together with.
 *
 * Text that came from outside is bytes: what is not UTF-8 is replaced. Bodies are given as strings
 * of their raw text, so that no number in them is printed anew.
 *
 * A member that finds no memory is noted for the thread, which makes one report at a time, and
 * reply_finish() refuses the whole: no report lacks anything without a word.
 * @thread index
 */
#pragma once

#include <jansson.h>
#include "store/index_int.h"

void reply_begin(void);
void reply_lack(void); /* something is not in it */

/** A member, an element; the value is taken over. */
void reply_put(json_t *o, const char *name, json_t *value);
void reply_add(json_t *list, json_t *value);

/** A string from any bytes; `ret_replaced` may be NULL. */
json_t *reply_text(sl_str s, bool *ret_replaced);
void reply_set_text(json_t *o, const char *name, sl_str s);
void reply_set_column(json_t *o, const char *name, sqlite3_stmt *st, int column);
void reply_set_int(json_t *o, const char *name, int64_t v);
void reply_set_bool(json_t *o, const char *name, bool v);
/** A time, or null for 0. */
void reply_set_time(json_t *o, const char *name, int64_t ms);
/** A delivery's name, or null for 0. */
void reply_set_num(json_t *o, const char *name, uint64_t num);
void reply_set_state(json_t *o, sqlite3_stmt *st, int column);
/** "<name>": raw text, "<name>_is_json", "<name>_replaced": some bytes were no UTF-8. */
void reply_set_body(json_t *o, const char *name, sl_str body);

/** An issue's id, or null for 0. */
void reply_set_issue(json_t *o, const char *name, uint64_t issue);

typedef json_t *reply_row(struct index *ix, sqlite3_stmt *st);
/** All rows as an array, the first `n_ids` parameters bound to `ids`. 0 with *ret owned, or a code.
 */
int reply_rows(struct index *ix, const char *sql, const uint64_t *ids, int n_ids, reply_row *fn,
               json_t **ret);
/** The one row whose only parameter is `id`. 0 with *ret owned, UV_ENOENT or a code. */
int reply_one(struct index *ix, const char *sql, uint64_t id, reply_row *fn, json_t **ret);
/** All rows of a statement as the answer, if r is 0; finalizes it. */
int reply_list(struct index *ix, struct query *q, sqlite3_stmt *st, int r, reply_row *fn);
/** As reply_rows(), into a member; `to` 0: one parameter. */
int reply_set_rows(struct index *ix, json_t *o, const char *name, const char *sql, uint64_t from,
                   uint64_t to, reply_row *fn);

/** The text of `j`, which is taken over, into the query; r < 0 is handed on. */
int reply_finish(struct query *q, json_t *j, int r);
