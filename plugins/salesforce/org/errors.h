/*
 * errors.h - what Salesforce's refusals mean for the records: of an HTTP answer, of the token
 * endpoint, of a whole job. What the refusal of one record means is row_errors.h.
 */
#pragma once

#include <sluice/sluice.h>

#include "text.h"

enum verdict {
    ANSWER_OK,        /* 2xx */
    ANSWER_CANCELLED, /* the host is closing */
    ANSWER_NOT_SENT,  /* the request never left */
    ANSWER_LOST,      /* it may have left; no whole answer came */
    ANSWER_BUSY,      /* 5xx, 408: not now */
    ANSWER_THROTTLED, /* too fast: wait `after_ms` */
    ANSWER_EXPIRED,   /* 401 */
    ANSWER_PARK,      /* the endpoint cannot be used: credentials, quota, certificate */
    ANSWER_NOT_FOUND, /* 404 */
    ANSWER_REFUSED,   /* any other 4xx: this request is wrong */
};

/** A classified answer. Borrowed for the callback. */
struct answer {
    enum verdict verdict;
    uint32_t status;  /* HTTP; 0: none */
    int64_t after_ms; /* THROTTLED, PARK, BUSY: not before; 0: not said */
    sl_str body;
    const sl_header *headers; /* of an answer of the REST API */
    size_t n_headers;
    bool too_large; /* LOST, because it was larger than asked for */
    char why[600];  /* unless OK: one line for the operator */
};

/** An answer of the REST API. */
void errors_of_api(const sl_http_answer *a, struct answer *ret);
/** An answer of the token endpoint: never EXPIRED, NOT_FOUND, REFUSED or LOST - no record was
 *  sent yet, and a refusal is a fault of the configuration. */
void errors_of_oauth(const sl_http_answer *a, struct answer *ret);

/** What it means for a question that is asked again and again. */
sl_status errors_status(enum verdict v);

/** A failed job's errorMessage: 1 if the same rows would fail again. */
bool errors_job_is_permanent(const char *message);
/** The field that "Field name not found : Foo__c" names, or the relationship of "Unable to find
 *  relationship: Foo__r" and of "type is not needed for non polymorphic foreign key references:
 * Foo"; empty: none. View into `message`. */
sl_str errors_job_field(const char *message);
