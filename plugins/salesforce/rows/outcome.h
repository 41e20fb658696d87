/*
 * outcome.h - what became of a record, in the host's words. The same for all transports.
 */
#pragma once

#include "operation.h"
#include "row_errors.h"

/** To be told at once: `o` borrows from the rest of it and from what it was made of. */
struct outcome {
    sl_outcome o;
    sl_link link;
    char kind[128]; /* "salesforce:Contact" */
};

/** It is there. `id`: the record's, which may be empty. */
void outcome_delivered(struct outcome *to, const struct action *a, sl_str id);
void outcome_refused(struct outcome *to, const struct row_verdict *v);
