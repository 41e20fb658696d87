/*
 * csv.h - CSV as Bulk API 2.0 takes and gives it: comma, LF, RFC 4180 quoting, UTF-8 without BOM.
 */
#pragma once

#include <sluice/sluice.h>

#include "row.h"
#include "text.h"

/* ---- columns: the union of all rows' fields -------------------------------------------------- */

#define CSV_MAX_HEADER 32000 /* characters; Salesforce's limit */

/** Columns in the order they were first met, compared without case as Salesforce does. All zero is
 *  valid and empty. */
struct columns {
    struct column *items;
    size_t n, cap;
    uint32_t *slots; /* hash: index + 1, 0 is free */
    size_t n_slots;
    size_t header_len; /* bytes of the header line */
};

struct column {
    char *name; /* "LastName", "Account.Ext__c" */
    size_t name_len;
    uint64_t seen; /* the newest row that has it: csv_row() and columns_take() compare it */
    const struct cell *cell;
};

void columns_finish(struct columns *c);
/** The column of a field, made when it is not there yet. `ret` is its index. */
sl_status columns_add(struct columns *c, sl_str name, sl_str sub, size_t *ret);
/** The same without making one: SL_E_NOT_FOUND. */
sl_status columns_find(const struct columns *c, sl_str name, sl_str sub, size_t *ret);

/**
 * Add the columns of a row. `serial` differs from row to row.
 * @return SL_OK; on error nothing was added and `why` says what is wrong. SL_E_INVALID: two cells
 *         of one column; SL_E_LIMIT: the header would be too long; SL_E_NO_MEMORY
 */
sl_status columns_take(struct columns *c, const struct row *row, uint64_t serial, char *why,
                       size_t why_size);

/* ---- writing ------------------------------------------------------------------------------- */

/** One value, quoted if it must be; line breaks inside become LF. */
void csv_value(struct text *to, sl_str value);
void csv_header(struct text *to, const struct columns *columns);
/** Can CSV carry all of it? Not the text #N/A: it would clear the field. SL_OK; SL_E_INVALID with
 *  `why`, which names the field */
sl_status csv_check(const struct row *row, char *why, size_t why_size);
/** One line. null and the empty text clear a field: #N/A; a column that the row does not have
 *  stays empty: the field keeps its value. `scratch` is for decoding. */
void csv_row(struct text *to, struct columns *columns, const struct row *row, uint64_t serial,
             struct text *scratch);

/* ---- reading ------------------------------------------------------------------------------- */

/** Reads over text in memory, which it changes: fields are unquoted in place. */
struct csv_reader {
    char *p, *end;
    sl_str *fields; /* of the row just read; valid until the next */
    size_t n, cap;
};

/** `text` is borrowed until csv_finish(); a byte-order mark is skipped. */
void csv_open(struct csv_reader *r, char *text, size_t len);
void csv_finish(struct csv_reader *r);
/** The next row, blank lines skipped. 1: there is one; 0: the end; SL_E_INVALID: a quote that is
 *  never closed, or text behind a closing quote; SL_E_NO_MEMORY */
int csv_next(struct csv_reader *r);
