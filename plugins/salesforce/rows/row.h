/*
 * row.h - a record's body, a flat JSON object, as cells.
 *
 * An own scanner, since a number must leave exactly as it came in (19.90, ids beyond 2^53), and a
 * JSON library gives a double back.
 */
#pragma once

#include <sluice/sluice.h>

#include "text.h"

enum cell_kind { CELL_NULL, CELL_TEXT, CELL_NUMBER, CELL_BOOL };

/** Views into the body. */
struct cell {
    sl_str name; /* field, or relationship: "LastName", "Account", "Lead:Who" */
    sl_str sub;  /* the parent's key field: "ERP_Account_No__c"; empty: a plain field */
    enum cell_kind kind;
    sl_str raw; /* text: what stands between the quotes, escapes as they are; else the literal */
};

/** Reused from body to body; all zero is valid. */
struct row {
    struct cell *cells;
    size_t n, cap;
};

void row_finish(struct row *r);

/**
 * Read one body: {"Name": "x", "Amount": 19.90, "Account": {"Ext__c": "A"}}. Strict JSON and
 * UTF-8; Salesforce's limits on characters per field and record are checked here.
 * @param why  filled on error: names the field and what is wrong with it
 * @return SL_OK, SL_E_INVALID, SL_E_NO_MEMORY
 */
sl_status row_scan(struct row *r, sl_str body, char *why, size_t why_size);

/** Append the cell's value: text with its escapes resolved, numbers and booleans as they stand;
 *  nothing for null. */
void cell_decode(const struct cell *c, struct text *to);

/** [A-Za-z][A-Za-z0-9_]*, at most 80 characters: how Salesforce names objects and fields. */
bool is_api_name(sl_str name);
