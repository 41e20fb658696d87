/*
 * audit_int.h - what the files of the audit share: one look at the shop's subscriptions.
 */
#pragma once

#include "audit/compare.h"

struct shopify;
struct admin_answer;

struct audit {
    struct shopify *s;
    const struct wanted *wanted;
    const sl_poll_out *out;     /* NULL: it is a probe */
    const sl_probe_out *probe;  /* NULL: it is a poll */
    struct audit *next, **link; /* in s->audits */
    char *url;                  /* own */
    json_t *before;             /* own: the cursor, an object; empty: there was no audit */
    json_t *listed;             /* own: array of subscriptions */
    char *after;                /* own: the next page's cursor; NULL: from the beginning */
    unsigned pages;
    struct audit_topic *topics; /* own: wanted->n */
    struct audit_deed {         /* own: likewise */
        int newly;              /* it was not wrong at the audit before */
        int was;                /* its state, before it was made again */
        int mended;
        char refused[200]; /* it could not be made: why; "": it was not tried, or could */
    } * deeds;
    size_t at;         /* of the topics: it is being made again */
    json_t *left_over; /* own */
    unsigned throttled;
    uint64_t timer;
    sl_status status; /* what stopped it; SL_OK: nothing */
    char why[480];
    int64_t after_ms;
};

/* ---- tell.c ---- */

/** What somebody has to look at, one line; "": nothing. */
void audit_say(const struct audit *a, char *text, size_t size);
/** Events, log lines; the sweeps soon. An error is the host's. */
sl_status audit_tell(struct audit *a);
/** The next audit's `before`; own. NULL: no memory. */
char *audit_cursor(const struct audit *a);
json_t *audit_read_cursor(sl_str cursor);
