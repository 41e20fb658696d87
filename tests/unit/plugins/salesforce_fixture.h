/*
 * salesforce_fixture.h - an opened salesforce endpoint on a fake host, with one batch, and the
 * exchanges that most scripts are made of.
 */
#pragma once

#include "fake_host.h"

#define SF_BASE  "https://acme.my.salesforce.com"
#define SF_LOGIN "https://login.salesforce.com"
#define SF_USER  "0055g00000Usr01AAB"
#define SF_JOBS  SF_BASE "/services/data/v66.0/jobs/ingest"
#define SF_ID    "7505g00000Job01AAB"
#define SF_JOB   SF_JOBS "/" SF_ID
#define SF_ID2   "7505g00000Job02AAB"
#define SF_JOB2  SF_JOBS "/" SF_ID2
#define SF_KEY   "Shopify_Customer_Id__c"

#define SF_TOKEN                                                                                   \
    "{\"access_token\":\"00D5g00000Org01!AQ.first\",\"scope\":\"api\",\"instance_url\":\"" SF_BASE \
    "\",\"id\":\"https://login.salesforce.com/id/00D5g00000Org01EAB/" SF_USER                      \
    "\",\"token_type\":\"Bearer\"}"
#define SF_BEARER "Authorization: Bearer 00D5g00000Org01!AQ.first"
#define SF_EXPIRED \
    "[{\"message\":\"Session expired or invalid\",\"errorCode\":\"INVALID_SESSION_ID\"}]"
#define SF_GONE \
    "[{\"errorCode\":\"NOT_FOUND\",\"message\":\"The requested resource does not exist\"}]"
#define SF_CREATE_BODY                                                                   \
    "{\"object\":\"Contact\",\"operation\":\"upsert\",\"externalIdFieldName\":\"" SF_KEY \
    "\",\"contentType\":\"CSV\",\"columnDelimiter\":\"COMMA\",\"lineEnding\":\"LF\"}"

#define SF_MAX 512

struct sf_fixture {
    const sl_plugin *plugin;
    struct fake_host *host;
    void *self;
    void *handle; /* upsert of Contact by Shopify_Customer_Id__c, unless sf_use() changed it */
    const char *create_body;
    sl_values *params;
    sl_record records[SF_MAX];
    sl_batch batch;
    const sl_str *choices; /* of the batches to come; NULL: nobody chose anything */
    uint32_t priority;     /* of the next batch */
    int64_t oldest_ms;     /* likewise; 0: a host that does not say either */
    struct fake_done done;
    bool closed;
};

/** cmocka's: *state is a struct sf_fixture. The endpoint polls after 2 s, at most every 30 s. */
int sf_setup(void **state);
/** Closes what is not closed; every scripted request must have been made. */
int sf_teardown(void **state);
void sf_close(struct sf_fixture *x);
/** Close, and open anew on a fresh host: what a restart leaves. */
void sf_reopen(struct sf_fixture *x);
/** The same with another value of one of the fixture's settings, until the end of the test. */
void sf_reopen_with(struct sf_fixture *x, const char *name, const char *value);

/** Bind another action, with transport "bulk" unless `params` say otherwise; `create_body` is what
 * a new job of it is asked for with. */
void sf_use(struct sf_fixture *x, const char *action, const struct fake_setting *params,
            const char *create_body);
/** The same where it must fail: the text, until the next call. */
const char *sf_refusal(struct sf_fixture *x, const char *action, const struct fake_setting *params);

/** PEM of the test's private key. */
const char *sf_pem(void);

/** Start the batch. With a `token`: resume(). */
void sf_deliver(struct sf_fixture *x, const char *const *bodies, const char *token);
#define SF_BODIES(...) ((const char *const[]){ __VA_ARGS__, NULL })
/** {"Shopify_Customer_Id__c": "a"} and so on. */
#define SF_ROW(key) "{\"" SF_KEY "\":\"" key "\"}"
#define SF_TWO      SF_BODIES(SF_ROW("a"), SF_ROW("b"))
#define SF_TWO_CSV  SF_KEY "\na\nb\n"

#define SF_OK_HEAD   "\"sf__Id\",\"sf__Created\"," SF_KEY "\n"
#define SF_FAIL_HEAD "\"sf__Id\",\"sf__Error\"," SF_KEY "\n"
#define SF_A_OK      "\"0035g00000Tst01AAB\",\"true\",\"a\"\n"
#define SF_B_OK      "\"0035g00000Tst02AAB\",\"false\",\"b\"\n"
#define SF_OK_TWO    SF_OK_HEAD SF_B_OK SF_A_OK /* rows come back in any order */
#define SF_NO_REST   SF_KEY "\n"                /* nothing unprocessed */

/* checkpoints: of this version, of the one before */
#define SF_STEP(step) "{\"v\":2,\"step\":\"" step "\",\"job\":\"" SF_ID "\",\"rows\":2}"
#define SF_CREATING \
    "{\"v\":2,\"step\":\"creating\",\"since\":1795166132000,\"at\":1795166132000,\"exact\":true}"
#define SF_CREATED "{\"v\":1,\"job\":\"" SF_ID "\",\"step\":\"created\"}"
#define SF_CLOSED  "{\"v\":1,\"job\":\"" SF_ID "\",\"step\":\"closed\"}"

void sf_expect_token(struct sf_fixture *x);
void sf_expect_create(struct sf_fixture *x, const char *id);
void sf_expect_upload(struct sf_fixture *x, const char *job, const char *csv);
void sf_expect_close(struct sf_fixture *x, const char *job);
void sf_expect_abort(struct sf_fixture *x, const char *job);
/** `state` as "InProgress", or "Failed\",\"errorMessage\":\"...": it stands between quotes. */
void sf_expect_state(struct sf_fixture *x, const char *job, const char *state);
/** Up to three files; NULL: not asked for, since those before it say enough. */
void sf_expect_results(struct sf_fixture *x, const char *job, const char *ok, const char *failed,
                       const char *unprocessed);
/** The org's list of jobs, one page: JobInfos with commas between, or "". */
void sf_expect_list(struct sf_fixture *x, const char *jobs);
/** A look-up by the external id: `keys` as in the URL, records as JSON with commas between. */
void sf_expect_lookup(struct sf_fixture *x, const char *keys, const char *records);
/** Token to close. */
void sf_expect_sent(struct sf_fixture *x, const char *id, const char *job, const char *csv);

/** Both records of SF_TWO are delivered and the batch is over. */
void sf_check_two(struct sf_fixture *x);
/** A batch of SF_TWO whose newest checkpoint is `token`. */
struct sf_resumed {
    const char *token;
    const char *first;        /* the state the job is found in; NULL: it is gone */
    bool abort, fresh, close; /* then it is aborted; a new one is made; it is closed */
};
/** It is resumed, both records end well, and the endpoint is opened anew. */
void sf_check_resumed(struct sf_fixture *x, const struct sf_resumed *r);
/** All records have this kind, no matter why; the batch is over. */
void sf_check_all(struct sf_fixture *x, uint32_t kind);
