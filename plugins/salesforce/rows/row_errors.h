/*
 * row_errors.h - what the refusal of one record means: again, a person, or never; in words that
 * name the field and what to do about it.
 *
 * All transports read refusals here: a Bulk job's sf__Error, an element of a Collections answer,
 * the body of a refused single call.
 */
#pragma once

#include <jansson.h>
#include <sluice/sluice.h>

#include "text.h"

#define ROW_REFUSAL_FIELDS 8 /* of those that Salesforce names; more are not kept */

/** One refusal, taken apart. Views into what it was read from. */
struct row_refusal {
    sl_str code;    /* "REQUIRED_FIELD_MISSING" */
    sl_str message; /* "Required fields are missing: [LastName]" */
    sl_str fields[ROW_REFUSAL_FIELDS];
    size_t n_fields;
};

/** What the record was to become. */
struct row_about {
    const char *object;      /* "Contact" */
    const char *external_id; /* the key of an upsert; NULL: another operation */
};

/** All zero is valid; row_verdict_finish() frees the texts. */
struct row_verdict {
    uint32_t kind;         /* SL_RETRY, SL_REVIEW, SL_REJECTED */
    bool narrow;           /* RETRY: rows hinder each other; fewer of them at once get through */
    bool gone;             /* the record was deleted: a delete has nothing left to do */
    bool fields;           /* its object's fields are not as they were taken for */
    int64_t after_ms;      /* RETRY: not before; 0: the policy decides */
    const char *hold_type; /* REVIEW: what kind of decision it is */
    struct text choices;   /* REVIEW: for sl_outcome; empty: the usual two */
    struct text evidence;  /* REVIEW: for sl_outcome; empty: none */
    char why[1000];        /* one line for the operator */
};

void row_verdict_finish(struct row_verdict *v);

/** `CODE:message:field list --`, as Bulk API 2.0 writes it. Never fails: what is not of that form
 *  is all message. */
void row_refusal_parse(sl_str sf_error, struct row_refusal *ret);

/** What it means. `about->object` must be given. */
void row_refusal_judge(const struct row_refusal *r, const struct row_about *about,
                       struct row_verdict *ret);

/**
 * The same of `[{"statusCode" or "errorCode", "message", "fields"?, "duplicateResult"?}, ...]`, the
 * errors of one record. Of several the gravest counts. Duplicates come with the records that they
 * are duplicates of, as choices. Never fails: what has another form is rejected as it stands.
 */
void row_errors_judge(const json_t *errors, const struct row_about *about, struct row_verdict *ret);
