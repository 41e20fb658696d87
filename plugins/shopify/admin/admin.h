/*
 * admin.h - one question to the shop's Admin API in GraphQL, and what its answer says: a 200 may be
 * a refusal for pace, or of the whole document.
 */
#pragma once

#include <jansson.h>
#include <sluice/sluice.h>

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
    const json_t *data; /* for OK */
    int64_t after_ms;
    uint32_t status;
    char why[300];
    const json_t *cost; /* `extensions.cost` of the answer, or NULL */
};

typedef void (*admin_cb)(void *ctx, const struct admin_answer *a);

/** Ask. `variables` is taken over, whatever comes; NULL is no memory. The callback runs exactly
 *  once, unless an error is returned here. */
sl_status admin_ask(struct shopify *s, const char *document, json_t *variables, admin_cb cb,
                    void *ctx);
