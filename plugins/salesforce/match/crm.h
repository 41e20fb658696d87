/*
 * crm.h - the index of an endpoint's contacts and accounts: read by bulk query when it is first
 * wanted, brought up to date when it is wanted again and has grown old.
 */
#pragma once

#include "index.h"
#include "query/query.h"

/** Why there is no index to be had. Borrowed for the call. */
struct crm_failure {
    enum verdict verdict;
    int64_t after_ms;
    const char *why;
};

/** failure NULL: the index is there, and fresh. */
typedef void (*crm_cb)(void *ctx, const struct crm_failure *failure);

struct crm {
    struct salesforce *sf;
    struct match_index ix;
    char *external_id, *tax_id; /* API names; tax_id NULL: none */
    char **freemail;            /* own; ends with NULL */
    char *country;              /* NULL: none */
    int64_t refresh_ms, most;
    bool loaded;
    bool stale;       /* something in it has turned out to be gone: read before the next batch */
    bool forgets;     /* somebody is to be forgotten: all is dropped before it is used again */
    bool contacts;    /* which of the two queries is under way */
    uint64_t read_ms; /* monotonic: when it was read last */
    char since[40];   /* the watermark: of the next query; empty: everything */
    char next_since[40];
    struct query *query; /* under way */
    uint64_t timer;      /* 0: none */
    const char *columns[13];
    bool too_many;
    char why[700];
    crm_cb cb;
    void *ctx;
};

/** Read the settings `contacts.*`. */
sl_status crm_open(struct crm *c, struct salesforce *sf, sl_fail *fail);
void crm_close(struct crm *c);
/** Somebody is to be forgotten: what is held is dropped, and read anew from the CRM when it is
 * wanted next. `used`: somebody uses it at this moment; then it is dropped as it is wanted next. */
void crm_forget(struct crm *c, bool used);
/** Call back once it is fresh, or cannot be; never before this returns. One caller at a time. Not
 *  called back when the host closes. */
void crm_want(struct crm *c, crm_cb cb, void *ctx);
