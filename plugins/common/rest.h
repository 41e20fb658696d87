/*
 * rest.h - what the adapters that speak JSON over HTTP by configuration share: sets of statuses,
 * configured headers, and the reading of answers. Each of them links these files; nothing here
 * knows any of them, and nothing holds state.
 */
#pragma once

#include <jansson.h>
#include <stdio.h>
#include <sluice/sluice.h>

/** Fill fail->text, printf-like, and return `status`. NULL `fail` is fine. */
__attribute__((format(printf, 3, 4))) sl_status rest_fail(sl_fail *fail, sl_status status,
                                                          const char *format, ...);

/* ---- rest_settings.c: statuses -------------------------------------------------------------- */

/** HTTP status codes, one bit each; 100 to 599. */
struct status_set {
    uint64_t bits[10];
};

/** Read an INTS setting. Not given: stays empty. */
sl_status statuses_read(const sl_values *values, const sl_values_api *api, const char *name,
                        struct status_set *ret, sl_fail *fail);
int status_in(const struct status_set *set, uint32_t status);
int statuses_empty(const struct status_set *set);
/** A status that is in both; 0: none. */
int statuses_overlap(const struct status_set *a, const struct status_set *b);

/* ---- rest_settings.c: headers --------------------------------------------------------------- */

#define REST_MAX_HEADERS 30 /* in one MAP */

/** Headers of a MAP. All zero is empty; the views point into `json`. */
struct rest_headers {
    json_t *json; /* own; NULL: none */
    sl_header list[REST_MAX_HEADERS];
    size_t n;
};

/** Is it a header's name (RFC 9110 token)? */
int header_is_token(const char *s, size_t len);
/** One that the host writes: Host, Connection, Content-Length, Transfer-Encoding. */
int header_is_hosts(const char *name);

/** Read and check the MAP `name`: names, values of one line, not the host's own, not too many.
 *  Not given, or with secrets that are not read now: empty. On failure `ret` is as empty. Values
 *  may be secrets: no message holds one. */
sl_status headers_read(const sl_values *values, const sl_values_api *api, const char *name,
                       struct rest_headers *ret, sl_fail *fail);
void headers_finish(struct rest_headers *h); /* all zero is fine */
int headers_have(const struct rest_headers *h, const char *name);

/* ---- rest_settings.c: URLs ------------------------------------------------------------------ */

/** Percent-encode all but RFC 3986's unreserved bytes; `to` has room for 3 * s.len. Returns the
 *  bytes written. */
size_t percent_encode(sl_str s, char *to);

/* ---- rest_answer.c -------------------------------------------------------------------------- */

/* ---- rest_meaning.c: can the remote have acted? ---------------------------------------------- */

#define MEANS_PARK    100 /* the endpoint cannot be used; no outcome of the record */
#define MEANS_PERHAPS 101 /* the remote may have acted */
#define MEANS_BUSY    102 /* 503 that says when to come again: it says that it does nothing now */
#define MEANS_INVALID 103 /* the request could not be made at all */

/** SL_RETRY (not sent, or not done for certain), SL_THROTTLED, SL_REJECTED, or MEANS_*. */
struct rest_meaning {
    uint32_t kind;
    const char *text; /* static; may be empty */
};

/** Of an answer with `error` < 0: there is none. */
struct rest_meaning rest_meaning_of_error(const sl_http_answer *a);
/** Of a status that no setting names. */
struct rest_meaning rest_meaning_of_status(const sl_http_answer *a);

/** Answers 401, 402, 403, 423, 430: the account, not the record. */
int status_means_account(uint32_t status);

/** A JSON document. Own; NULL: not JSON, or an object with a name twice. */
json_t *answer_parse(const sl_http_answer *a);
/** RFC 6901. Borrowed from `root`; NULL: nothing there. */
json_t *answer_at(json_t *root, sl_str pointer);

#define REFERENCE_SIZE 256
/** The remote's id: a string as it is, an integer's exact digits. 0: neither, or too long. */
int answer_reference(const json_t *value, char ret[REFERENCE_SIZE]);

/** What a person reads about an answer: "HTTP 422: no such SKU". `reason`: NULL or from the body;
 *  cut, control characters blanked. */
#define WHY_SIZE 400
void answer_why(const sl_http_answer *a, const char *text, const json_t *reason,
                char ret[WHY_SIZE]);

/** Milliseconds the answer asks to wait; 0: it does not say. */
int64_t answer_wait(const sl_http_answer *a);

/* ---- rest_cancel.c: is what was sent taken back? ----------------------------------------------
 */

/** Statuses: it is taken back; it never came; it stays. In none of two. */
struct rest_cancel {
    struct status_set done, missing, refused;
};

/** Read the three, by their settings' `names` in this order. */
sl_status rest_cancel_read(const sl_values *values, const sl_values_api *api,
                           const char *const names[3], struct rest_cancel *ret, sl_fail *fail);
/** The outcome of a batch of one, by the answer; it is finished then. `left_ms`: so long, from when
 *  it was asked, a late one may still come in. `reason`: of a refusal, from the body; may be NULL.
 */
void rest_cancel_end(const struct rest_cancel *c, const sl_http_answer *a, int64_t left_ms,
                     const json_t *reason, const sl_done *done);
/** The same of one that could not be asked. */
void rest_cancel_tell(const sl_done *done, uint32_t kind, const char *why, int64_t after_ms,
                      uint32_t status);

/* ---- rest_budget.c: what the remote says is left ----------------------------------------------
 */

/** Pass on X-Shopify-Shop-Api-Call-Limit, RateLimit or X-RateLimit-*, if there are any. In the
 *  callback of the answer, before its outcome is told. */
void budget_of_headers(const sl_host *h, const sl_http_answer *a);
/** The same for GraphQL's { currentlyAvailable, maximumAvailable, restoreRate }; NULL is fine. */
void budget_of_points(const sl_host *h, const json_t *status);
/** Does a GraphQL answer refuse for pace? Nothing was executed then. */
int budget_throttled(json_t *root, const json_t *status, int64_t *ret_after_ms);
