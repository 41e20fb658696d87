/*
 * comparison.h - a comparison under way, as the two ways of asking share it: compare.c by REST,
 * compare_bulk.c by bulk query.
 */
#pragma once

#include <jansson.h>

#include "compare.h"
#include "rows/keys.h"
#include "rows/row.h"

/** One record of the chunk. */
struct wanted {
    size_t key_at, key_len; /* in the chunk's keys: as Salesforce compares it */
    bool bad;               /* it was told already */
    unsigned found;         /* rows there */
    const json_t *there;    /* by REST: the first of them */
    uint32_t next;          /* by bulk query: 1 + the next record of the same key; 0: none */
};

struct comparison {
    struct salesforce *sf;
    const struct action *action;
    const sl_batch *batch;
    const sl_compare_out *out;
    struct comparison *prev, *next;
    struct call call;
    struct text path, value, line;
    struct keys keys; /* their text; by bulk query sorted, too */
    struct row row;
    struct text columns; /* "Name,Amount,..." */
    size_t n_columns;
    bool columns_full;     /* there are others, which are not asked for */
    struct wanted *wanted; /* own, as many as the batch has records */
    size_t from, n;        /* the chunk */
    size_t rest_end;       /* up to here it is asked by REST */
    json_t *page;
    uint64_t timer;
    void (*turn)(struct comparison *c); /* what the timer runs */
    char why[300];

    /* by bulk query */
    struct text literals; /* of the chunk's keys */
    size_t n_literals;
    size_t path_bytes; /* what they would take in addresses */
    struct text names; /* the columns, each ends with NUL */
    const char **columns_list;
    int key_column;
    const sl_str *fields; /* the row in hand */
    size_t at;            /* the next record to be told */
};

/* ---- compare.c ---- */

/** The chunk at `from`, by REST. */
void compare_by_rest(struct comparison *c);
/** A record's key and fields into the chunk; told, if it has none. `row` holds it then. */
bool compare_gather(struct comparison *c, size_t i);
void compare_begin_chunk(struct comparison *c);
/** Append the key of `row` as a literal of SOQL. */
void compare_literal(struct comparison *c, struct text *soql);
/** Its place among `columns`; -1: none. */
int compare_column(const struct comparison *c, sl_str path);
void compare_tell(struct comparison *c, size_t i, uint32_t verdict, const char *text);
/** Of one that is there once: same, or what differs. */
void compare_tell_fields(struct comparison *c, size_t i);
/** Of one that is not there, or more than once: true, it was told. */
bool compare_tell_count(struct comparison *c, size_t i);
void compare_later(struct comparison *c, void (*turn)(struct comparison *c));
void compare_next_chunk(struct comparison *c);
void compare_finish(struct comparison *c, sl_status status, const char *why);

/* ---- compare_bulk.c ---- */

/** The chunk at `from`: as many keys as one query takes, or by REST where that is cheaper. */
void compare_by_bulk(struct comparison *c);
