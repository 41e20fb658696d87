/*
 * admin.h - one question to the shop's Admin API in GraphQL, and what its answer says: a 200 may be
 * a refusal for pace, or of the whole document. The access token, its renewal, the version and the
 * shop's points are seen to underneath.
 */
#pragma once

#include <jansson.h>
#include <sluice/sluice.h>

#define ADMIN_VERSION "2026-10" /* what our documents are written for, and the default */

struct shopify;

enum admin_verdict {
    ADMIN_OK,        /* `data` is there; its userErrors are the caller's */
    ADMIN_NOT_DONE,  /* nothing was done: not sent, or the shop says so */
    ADMIN_THROTTLED, /* refused for pace: nothing was done */
    ADMIN_PARK,      /* token, scopes, version, a shop that is closed */
    ADMIN_REFUSED,   /* the document or its variables: never executed */
    ADMIN_PERHAPS,   /* no understood answer */
};

/** Borrowed for the callback. */
struct admin_answer {
    enum admin_verdict verdict;
    const json_t *data;   /* for OK; else what came beside the errors, or NULL */
    int64_t after_ms;     /* THROTTLED: not before; PARK, NOT_DONE, PERHAPS: the same, or 0 */
    uint32_t status;      /* of HTTP; 0: there was none */
    char why[480];        /* for the operator: what is wrong, what to do, the shop's request id */
    const json_t *errors; /* an array, if the shop gave one: `errors` of the whole */
    const json_t *cost;   /* `extensions.cost` of the answer, or NULL */
};

typedef void (*admin_cb)(void *ctx, const struct admin_answer *a);

/** Ask. `variables` is taken over, whatever comes; NULL is no memory. The callback runs exactly
 *  once, unless an error is returned here. */
sl_status admin_ask(struct shopify *s, const char *document, json_t *variables, admin_cb cb,
                    void *ctx);

/** The same, of less or more urgency than SL_PRIORITY_NORMAL: where points are short, what is more
 *  urgent goes first. */
sl_status admin_ask_as(struct shopify *s, uint32_t priority, const char *document,
                       json_t *variables, admin_cb cb, void *ctx);

/** How urgent a batch is, so that what is asked for it is no less so. */
uint32_t admin_priority(const sl_batch *batch);

/** GET of REST, such as "orders/1.json", below the version: by what has the form of a webhook's
 * body. Its answer comes as it is; no token to be had is an error of the answer. */
sl_status admin_get(struct shopify *s, const char *path, sl_http_cb cb, void *ctx);

/** What a document will cost: for an action's `cost`. `variables`: borrowed; NULL: none. */
uint32_t admin_points(const struct shopify *s, const char *document, const json_t *variables);

/** From now on the points of the next question are written there, once; NULL: of none. */
void admin_note_first(struct shopify *s, uint32_t *ret_points);

/* ---- an endpoint ---- */

/** Do these settings have credentials of the Admin API? Also where secrets are not read. */
int admin_is_set(const sl_values *settings, const sl_values_api *values);
/** What a setting's table cannot say. `fail`: as of sl_plugin.check(). */
sl_status admin_check(const sl_values *settings, const sl_values_api *values, sl_fail *fail);
/** By the settings of s->host; sets s->admin and s->version where there are credentials. */
sl_status admin_open(struct shopify *s, sl_fail *fail);
void admin_close(struct shopify *s);

/** `sluice check --online`, as sluice.h documents it: probe.c. */
void shopify_probe(void *self, void *handle, const sl_probe_out *out);
