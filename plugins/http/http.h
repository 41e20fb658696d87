/*
 * http.h - what the files of the http adapter share.
 *
 * An endpoint (struct http) is its settings, read once; a route's parameters (struct action) are
 * read once too, by bind(). What a delivery sends is made of both and of its body once, before the
 * first attempt, and frozen (request.c); what is secret is added when it is sent (send.c), and
 * is never stored.
 */
#pragma once

#include "../common/rest.h"

#define MAX_ANSWER (1u << 20) /* bytes of an answer: read for a reference or a reason */
#define MAX_PATH   4096       /* bytes of a rendered path and query */
#define MAX_KEYS   8          /* signing secrets at once: SL_OPT_SECRETS */

/* ---- sign.c: Standard Webhooks 1.0, symmetric ----------------------------------------------- */

#define KEY_MIN 24 /* bytes: the specification's bounds */
#define KEY_MAX 64

struct signing_key {
    uint8_t bytes[KEY_MAX];
    size_t len;
};

/** Strict: "whsec_" and canonical base64 of 24 to 64 bytes. SL_OK or SL_E_INVALID. */
sl_status signing_key_parse(sl_str secret, struct signing_key *ret);

#define SIGNATURE_SIZE (MAX_KEYS * 48) /* "v1," + 44 of base64 + a blank or NUL, for each key */

/** webhook-signature: one for each key, separated by blanks, over "id.timestamp.body".
 *  SL_OK or SL_E_NO_MEMORY. `n_keys` <= MAX_KEYS. */
sl_status sign(const struct signing_key *keys, size_t n_keys, sl_str id, sl_str timestamp,
               sl_str body, char ret[SIGNATURE_SIZE]);

/* ---- template.c: {key} and values of the body in a path or a header -------------------------- */

#define TEMPLATE_PATH   0 /* values are percent-encoded; one may not be empty, "." or ".." */
#define TEMPLATE_HEADER 1 /* values as they are, of one line; "{{" is a '{' */

/** Has it placeholders, or "{{"? */
int template_is(sl_str text);
/** Is it well-formed? On SL_E_INVALID `fail` begins with `setting` and says what would be right;
 *  it never quotes the text, which may be a secret. */
sl_status template_check(const char *setting, sl_str text, int kind, sl_fail *fail);

/** What placeholders stand for. */
struct fields {
    const sl_record *record;
    json_t *body; /* own: parsed when it is first needed; give it to json_decref() */
};

/** Write a checked template with its values. SL_OK; SL_E_INVALID: `why` says which value is not
 *  there or does not fit. Want of memory shows in the stream. */
sl_status template_write(FILE *out, sl_str text, int kind, struct fields *f, char why[WHY_SIZE]);

/* ---- settings.c ----------------------------------------------------------------------------- */

extern const sl_option http_settings[];
extern const sl_option http_params[];
extern const sl_option cancel_params[];

/* places in the adapter's actions */
#define ACTION_SEND   0
#define ACTION_CANCEL 1

/** An endpoint. */
struct http {
    const sl_host *host;
    sl_str base_url, secret_path;
    struct rest_headers headers;
    sl_str idempotency_header; /* empty: none */
    int idempotent;            /* sending the same again does no harm */
    struct signing_key keys[MAX_KEYS];
    size_t n_keys; /* 0: not signed */
    struct status_set accepted, duplicate, rejected;
    sl_str ok, reference, reason, points; /* JSON Pointers; empty: not looked at */
    int has_ok, has_reference, has_reason, has_points;
};

/** A route's parameters, or those of a group's cancel. The views live as long as the binding. */
struct action {
    uint32_t kind;       /* ACTION_* */
    sl_str method, path; /* path may be empty: the endpoint's URL alone */
    sl_str body;         /* a jq program; empty: the record's body as it is, of a cancel none */
    struct rest_headers headers;
    uint32_t cost; /* tokens of the endpoint's rate */
    struct {
        sl_str method, path; /* path empty: it cannot be asked */
        sl_str found;        /* a jq program over the answer; empty: its status says it all */
        struct status_set ok, missing;
        int64_t settle_ms;
    } confirm; /* of ACTION_SEND */
    struct {
        struct rest_cancel by;
        int64_t settle_ms;
    } cancel; /* of ACTION_CANCEL */
};

/** As sluice.h documents them. */
sl_status http_check(const sl_values *values, const sl_values_api *api, sl_fail *fail);
sl_status http_bind(const sl_bind_in *in, void **ret_handle, sl_fail *fail);
void http_unbind(void *handle);
/** Read everything into `h`, whose `host` is set. On failure `h` is for http_finish() still. */
sl_status http_load(struct http *h, sl_fail *fail);
void http_finish(struct http *h);

/* ---- request.c: the frozen request ----------------------------------------------------------- */

/* It reads like a request: "POST /path", one "Name: value" a line, an empty line, the body - what
 * an operator sees of a delivery. Lines end with '\n'. Only headers with placeholders stand in it;
 * the others, which may be secrets, are the action's. */

#define REQUEST_MAX_HEADERS REST_MAX_HEADERS

struct request {
    sl_str method, path; /* path may be empty */
    sl_header headers[REQUEST_MAX_HEADERS];
    size_t n_headers;
    sl_str body;
};

/** Take a frozen request apart; views into `text`. Strict: SL_E_INVALID if it is not one. */
sl_status request_parse(sl_str text, struct request *ret);

void http_prepare(void *self, void *handle, const sl_record *record, sl_prepare_cb cb,
                  void *cb_ctx);

/* ---- send.c, confirm.c, as sluice.h documents them --------------------------------------------
 */

void http_deliver(void *self, void *handle, const sl_batch *batch, const sl_done *done);
/** A request without a body, with the headers of all but what only a delivery carries. SL_OK: `cb`
 *  runs later, once; else it does not. */
sl_status question_send(struct http *h, const struct action *a, sl_str method, sl_str path,
                        sl_http_cb cb, void *ctx);
void http_confirm(void *self, void *handle, const sl_record *record, sl_confirm_cb cb,
                  void *cb_ctx);
/** How long ago the record's request went out; 0: nobody knows, or the clock was set back. Asked as
 *  a question goes out: an answer that takes its time, or is read late, says how it stood then. */
int64_t http_age_ms(const struct http *h, const sl_record *record);

/* ---- cancel.c: deliver() of ACTION_CANCEL ------------------------------------------------------
 */

void http_cancel(struct http *h, const struct action *a, const sl_record *record,
                 const sl_done *done);
/** Send a request that is no delivery's, under an id of its own, without the delivery's key in a
 *  header: the remote would take it for what was sent under it. As question_send(). */
sl_status extra_send(struct http *h, const struct action *a, const struct request *q, sl_str id,
                     sl_http_cb cb, void *ctx);
