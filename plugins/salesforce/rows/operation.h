/*
 * operation.h - insert, update, upsert, delete: what a route binds, and what makes each of them
 * harmless to repeat. The same by each transport.
 */
#pragma once

#include <sluice/sluice.h>

#include "choose.h"
#include "row.h"
#include "text.h"

/** In the order of the adapter's table of actions. */
enum operation { OP_UPSERT, OP_INSERT, OP_UPDATE, OP_DELETE, OP__COUNT };

/** As Salesforce writes them. */
extern const char *const operation_names[OP__COUNT];

/** What bind() makes of a route's action. */
struct action {
    enum operation op;
    char *object;
    char *external_id; /* the field that names a record and joins its result: "Id" for an update and
                        * a delete */
    char *parent; /* the column that names what a record locks, or "none"; NULL: parents.c knows */
    enum transport transport;
};

/** What a route may carry beside the action: the options of one operation. */
extern const sl_option operation_params[OP__COUNT][7];

/** The handle of bind(); refused is what could not be repeated without harm. */
sl_status operation_bind(enum operation op, const sl_bind_in *in, struct action **ret,
                         sl_fail *fail);
void operation_unbind(struct action *a);

/** May a record of these cells go with this action? @param why  filled on SL_E_INVALID */
sl_status operation_check(const struct action *a, const struct row *row, char *why,
                          size_t why_size);

/**
 * A row was refused since what it asks for has been done before: by an attempt whose answer was
 * lost. `error` as in sf__Error: "CODE:message:fields --".
 * @param ret_id  the record's id if the error names it; else empty. View into `error`
 */
bool operation_was_done(const struct action *a, sl_str error, sl_str *ret_id);

/** 15 or 18 letters and digits: an id of a record or a job. */
bool is_salesforce_id(sl_str id);
