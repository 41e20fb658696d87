/*
 * feed.h - the org as a source that is asked: rows of an object that have changed, and stock that
 * is kept in Salesforce.
 *
 * The watermark is a SystemModstamp: what changed since, and `overlap` before it, since a long
 * transaction commits with the times at which it wrote. It has whole seconds, so a row's event key
 * is its time and what it says: two writes of one second are two events, a row that is read again
 * is none.
 */
#pragma once

#include "salesforce.h"

struct feed_poll;

extern const sl_feed feed_kinds[];

/* as sluice.h documents them */
sl_status feed_bind(const sl_bind_in *in, void **ret_handle, sl_fail *fail);
void feed_unbind(void *handle);
void feed_start(void *self, void *handle, sl_str cursor, const sl_poll_out *out);
/** Events of feeds; SL_OK without a word for what is none. */
sl_status feed_describe(const sl_event *event, const sl_describe_out *out, sl_fail *fail);
/** Free all polls: nothing is told any more. */
void feed_close(struct salesforce *sf);

/* ---- feed_row.c: what is between a feed and its rows ---- */

/** What feed_bind() makes. */
struct feed {
    bool stock;
    bool deleted;                 /* of those that are in the bin, too */
    bool from_now;                /* the first poll takes nothing of what is there */
    char *object, *topic, *where; /* where: NULL: all */
    char **columns;               /* FEED_ID, FEED_STAMP, then what was asked for; ends with NULL */
    size_t n_columns;
    size_t sku, available, location; /* stock: columns; location 0: none */
    int64_t overlap_ms;
};

enum { FEED_ID, FEED_STAMP, FEED_FIELDS };

/** The event's body of one row, own: a null is an empty field. NULL: no memory. */
char *feed_body(const struct feed *f, const sl_str *fields);
/** Its statement: of rows since `from` (RFC 3339 in UTC; "": all), at most `limit` (0: all). */
void feed_soql(const struct feed *f, const char *from, unsigned limit, struct text *ret);
/** "2026-11-20T09:15:32.000Z" so many ms earlier; `ret` may be `from`. */
void feed_earlier(const char *from, int64_t ms, char ret[32]);
/** The later one of two such times into `a`. */
void feed_later(char a[32], const char *b);
void feed_time(int64_t wall_ms, char ret[32]);
