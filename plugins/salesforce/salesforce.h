/*
 * salesforce.h - what the files of the salesforce adapter share.
 */
#pragma once

#include <openssl/evp.h>
#include <sluice/sluice.h>

#include "choose.h"
#include "org/errors.h"
#include "org/usage.h"
#include "receive/receive.h"
#include "rows/operation.h"
#include "rows/row.h"
#include "text.h"

#define JSON_TYPE   "application/json; charset=UTF-8"
#define JOB_ID_SIZE 32

enum auth_flow { FLOW_JWT, FLOW_CLIENT_CREDENTIALS };

struct collection;
struct job;
struct contacts;
struct query;
struct reap;
struct leftover;
struct feed_poll;
struct find;
struct comparison;
struct call;
struct chosen;
struct described;
struct probing;
struct waiting;

/** The session: one token for all jobs of the endpoint. */
struct session {
    char *token;         /* NULL: none; never logged */
    char *base;          /* instance_url, without a trailing '/' */
    char user[32];       /* id of the user we are; empty: not known */
    uint64_t generation; /* rises with each token */
    bool asking;         /* a token request is under way; all who need one wait for it */
    struct call *waiting, **waiting_end;
    bool usage_warned;
};

/** What /limits said last; of the calls every answer tells. */
struct limits {
    bool asking;
    bool known;        /* all of the figures count */
    uint64_t asked_ms; /* monotonic; 0: never */
    uint64_t heard_ms; /* monotonic: when an answer's header said it last */
    /* of the rolling 24 hours, and of the org; -1: it does not say; 0 of 0: not
     * known yet */
    int64_t calls_max, calls_left;
    int64_t batches_max, batches_left; /* of bulk ingest, 10,000 rows each */
    int64_t query_jobs_max, query_jobs_left;
    int64_t storage_max_mb, storage_left_mb;
};

/** One opened endpoint. */
struct salesforce {
    const sl_host *host;
    enum auth_flow flow;
    sl_str login; /* where tokens come from; views into the settings */
    sl_str api_version, client_id, username, audience, client_secret;
    EVP_PKEY *key; /* JWT only */
    int64_t poll_first_ms, poll_cap_ms, job_timeout_ms;
    int64_t delete_jobs; /* 1: those that have ended, once all they told is durable */
    struct session session;
    struct receive receive;
    int64_t ahead_ms; /* Salesforce's clock before ours; see when.h */
    bool ahead_known;
    struct job *jobs;
    struct reap *reaps; /* reap.h */
    struct leftover *leftovers;
    struct collection *collections;
    struct query *queries;
    struct contacts *contacts;                  /* own */
    int64_t describe_every_ms, limits_every_ms; /* 0: never */
    struct described *described;
    struct waiting *waiting; /* batches, for a description */
    struct chosen *chosen;
    struct limits limits;
    struct usage usage;
    struct probing *probing;  /* sluice check --online */
    struct call *limits_call; /* own */
    /* what a batch is handed to once its object is described */
    void (*transport)(void *self, void *handle, const sl_batch *batch, const sl_done *done);
    struct feed_poll *polls;
    struct find *finds;
    struct comparison *comparisons;
    struct text row_key; /* what row_key() gave last */
    struct text parent;  /* what parent_key() gave last */
    struct row row;      /* scratch of both */

    /* what the choice between Bulk and Collections looks at */
    int64_t job_ms;          /* what a bulk job is expected to take; see transport.c */
    uint64_t job_seen_ms;    /* monotonic: when that was learnt last; 0: never */
    int64_t urgent_after_ms; /* age of a record; 0: never */
    size_t collection_rows;  /* in a call, as far as the org has borne it lately */
    uint32_t reasons_told;   /* bit CHOSEN_*: the log has had it once above debug */
};

__attribute__((format(printf, 3, 4))) void sf_log(const struct salesforce *sf, uint32_t level,
                                                  const char *format, ...);
/** Fill fail->text and return `status`; NULL `fail` is fine. */
__attribute__((format(printf, 3, 4))) sl_status sf_fail(sl_fail *fail, sl_status status,
                                                        const char *format, ...);

/* ---- auth.c: the session ---- */

/** Read the key; SL_E_INVALID with `fail` when it is no RSA private key in PEM. */
sl_status auth_open(struct salesforce *sf, sl_fail *fail);
void auth_close(struct salesforce *sf);
/** Have `call` go on by call_ready() when there is a token, or by call_refused() when there is
 *  none to be had. With a token at hand call_ready() runs at once. */
void auth_wait(struct salesforce *sf, struct call *call);
/** The token of that generation was refused: the next auth_wait() fetches a new one. */
void auth_drop(struct salesforce *sf, uint64_t generation);

/* ---- auth_help.c ---- */

/** A refused login: say which of the settings it is, as far as that can be told from here. */
void auth_explain(const struct salesforce *sf, const sl_http_answer *a, struct answer *to);

/* ---- rest.c: one authorised call ---- */

typedef void (*call_cb)(void *ctx, const struct answer *answer);

/** Lives in its owner, one request at a time. */
struct call {
    struct salesforce *sf;
    struct call *next; /* in session.waiting */
    sl_str method;
    char path[800];        /* behind the instance's address */
    const char *long_path; /* in place of it, borrowed until the callback; NULL: none */
    unsigned page_rows;    /* most records of an answer to a query; 0: Salesforce's 2,000 */
    const char *type;      /* Content-Type; NULL: no body */
    const char *accept;    /* NULL: none */
    sl_str body;           /* borrowed until the callback */
    int64_t total_ms;      /* 0: the endpoint's */
    uint64_t max_answer;   /* bytes; 0: the endpoint's */
    uint64_t generation;   /* of the token it went out with */
    bool duplicates;       /* a person has seen them: rules that only warn let it pass */
    bool renewed;          /* the one repetition after a 401 was used */
    call_cb cb;
    void *ctx;
};

/** Send, or wait for a token and then send. The callback runs once; it may free the owner. It may
 *  run before this returns when nothing could be sent: call it last. */
void call_start(struct call *call);
void call_ready(struct call *call);
void call_refused(struct call *call, const struct answer *answer);

/* ---- limits.c: what is left of the org's day ---- */

/** There is traffic: ask if it is time to. */
void limits_traffic(struct salesforce *sf);
void limits_close(struct salesforce *sf);
/** The answer of /limits. False: it is none. `asking` and `asked_ms` are left alone. */
bool limits_read(sl_str body, struct limits *ret);

/* ---- probe.c: would it work? ---- */

void probe(void *self, void *handle, const sl_probe_out *out);
void probe_close(struct salesforce *sf);

/* ---- bulk.c: jobs ---- */

void bulk_deliver(void *self, void *handle, const sl_batch *batch, const sl_done *done);
void bulk_resume(void *self, void *handle, const sl_batch *batch, sl_str token,
                 const sl_done *done);
/** Free all jobs: nothing is told any more. */
void bulk_close(struct salesforce *sf);
