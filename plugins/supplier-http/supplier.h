/*
 * supplier.h - what the files of the supplier-http adapter share.
 *
 * An instance (struct supplier) is its settings, read once. Each thing asked of it - prepare,
 * deliver, confirm - is one struct call, alive from the asking to the answer; the host answers
 * every request exactly once, at the latest when it closes, so a call never leaks.
 */
#pragma once

#include "../common/rest.h"

#define MAX_ANSWER (1u << 20) /* bytes of a supplier's answer; an order's is a few KB */

struct supplier {
    const sl_host *host;
    sl_str base_url;
    struct rest_headers headers;
    struct {
        sl_str method, path, body;
        sl_str idempotency_header; /* empty: the supplier knows none */
        struct status_set accepted, rejected, duplicate;
        sl_str reference, reason; /* JSON Pointers */
    } submit;
    struct {
        sl_str method, path; /* path empty: the supplier cannot be asked */
        struct status_set found, missing;
        sl_str reference, list; /* JSON Pointers */
        int has_list;
        int64_t settle_ms;
    } confirm;
    struct {
        sl_str method, path; /* path empty: an order cannot be cancelled */
        struct rest_cancel by;
    } cancel;
    struct call *calls; /* under way */
};

/* ---- settings.c ---- */

extern const sl_option supplier_settings[];

/** The adapter's check(), as sluice.h documents it. */
sl_status supplier_check(const sl_values *values, const sl_values_api *api, sl_fail *fail);
/** Read everything into `s`, whose `host` is set. On failure `s` is for supplier_close() still. */
sl_status supplier_load(struct supplier *s, sl_fail *fail);

/* ---- call.c ---- */

/** Something asked of the adapter and not answered yet. */
struct call {
    struct supplier *s;
    struct call *next, **link; /* in s->calls */
    uint64_t timer;            /* of an answer that needs no request; 0: none */
    sl_status error;           /* what that answer says */
    const char *why;           /* static */
    /** The request's answer, or one of the adapter's own making. Runs once; frees the call. */
    void (*on_answer)(struct call *c, const sl_http_answer *a);
    /* views into the call: of the record, which may be gone by then */
    sl_str key, subject, piece;
    int64_t age_ms; /* since the request was sent, as this is asked; -1: nobody knows */
    uint32_t attempt;
    union {
        const sl_done *done;
        sl_confirm_cb confirm;
        sl_prepare_cb prepare;
    } to;
    void *to_ctx;
    char text[]; /* key, subject, piece */
};

/** Own; NULL: no memory. */
struct call *call_create(struct supplier *s, const sl_record *record,
                         void (*on_answer)(struct call *c, const sl_http_answer *a));
void call_destroy(struct call *c);

/** Send a request; on_answer runs later, whatever happens. `idempotency`: with that header.
 *  Empty `body`: none, and no Content-Type. */
void call_send(struct call *c, sl_str method, sl_str path, sl_str body, int idempotency);
/** on_answer() in a later turn with `error`, as if the request had not left. */
void call_answer_later(struct call *c, sl_status error, const char *why);
/** on_answer() now, for all that wait in call_answer_later(). */
void calls_finish(struct supplier *s);

/** base_url + path, "{key}" filled in and percent-encoded. Own; NULL: no memory. */
char *call_url(const struct supplier *s, sl_str path, sl_str key);

/* ---- answer.c ---- */

/** What follows an acceptance: the link to the supplier's order and the event. `body` is own. */
struct accepted {
    sl_link link;
    sl_emit emit;
    char *body;
};
/** 0, or -1: no memory. `reference` must outlive `ret`. Give `body` back to free(). */
int accepted_init(struct accepted *ret, const struct call *c, const char *reference);
/** The body of supplier/rejected. Own; NULL: no memory. */
char *rejected_body(const struct call *c, uint32_t status, const char *why);

/** The handle of order.cancel; order.submit has another. */
extern const char supplier_cancels;

/* ---- submit.c, confirm.c: as sluice.h documents them ---- */

void supplier_prepare(void *self, void *handle, const sl_record *record, sl_prepare_cb cb,
                      void *cb_ctx);
void supplier_deliver(void *self, void *handle, const sl_batch *batch, const sl_done *done);
/** cancel.c: supplier_deliver() of order.cancel. */
void supplier_cancel(struct supplier *s, const sl_record *record, const sl_done *done);
void supplier_confirm(void *self, void *handle, const sl_record *record, sl_confirm_cb cb,
                      void *cb_ctx);
