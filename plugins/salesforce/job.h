/*
 * job.h - one batch on its way through a Bulk API 2.0 job. Private to the files that its last parts
 * name.
 *
 *   SCANNING - WRITING - CREATING - NOTING - UPLOADING - SEALING - CLOSING
 *                                     |                                |
 *                          (job id durable)             WAITING <-> ASKING
 *                                                                      |
 *                                   SETTLING  <-  JOINING <-> FETCHING (three files)
 *
 * ABORTING is where a job is given up that nobody needs any more; a new one is made, or the
 * records are told. What takes long for many records is cut into turns of the loop (turns.c).
 */
#pragma once

#include "csv.h"
#include "keys.h"
#include "results.h"
#include "salesforce.h"

enum job_state {
    JOB_SCANNING,  /* reading the bodies: keys, columns, what cannot be sent */
    JOB_WRITING,   /* the CSV */
    JOB_CREATING,  /* POST */
    JOB_NOTING,    /* checkpoint "created" on its way to the disk */
    JOB_UPLOADING, /* PUT */
    JOB_SEALING,   /* checkpoint "closed" on its way to the disk */
    JOB_CLOSING,   /* PATCH UploadComplete */
    JOB_WAITING,   /* a pause between questions */
    JOB_ASKING,    /* GET the job */
    JOB_FETCHING,  /* GET a result file */
    JOB_JOINING,   /* its rows to the records */
    JOB_ABORTING,  /* PATCH Aborted, whatever comes of it */
    JOB_SETTLING,  /* the rest of the records is told */
    JOB__COUNT
};

/** What the records hear that have no result row. */
struct ending {
    bool by_job; /* what the ended job says, record by record; else the same for all: */
    uint32_t kind;
    int64_t after_ms;
    uint32_t status, not_sent;
    char why[700];
};

#define JOB_ID_SIZE 32

struct job {
    struct salesforce *sf;
    const struct action *action;
    const sl_batch *batch;
    const sl_done *done;
    struct job *prev, *next;
    enum job_state state;
    struct call call;
    uint64_t timer; /* 0: none */

    uint8_t *told; /* for each record: TOLD, UNPROCESSED */
    size_t n_open; /* records without an outcome */
    struct keys keys;
    struct columns columns;
    struct row row;         /* scratch */
    struct text csv, value; /* the upload; scratch */
    uint64_t serial;        /* of the row in hand, for the columns */
    size_t at;              /* where the turns stand */
    char why[600];          /* scratch */

    char id[JOB_ID_SIZE]; /* Salesforce's; empty: none */
    bool resumed;         /* `id` came from a checkpoint: ask before anything is sent */
    bool uploaded;        /* the PUT was acknowledged: an Open job needs only its close */
    bool ended, failed;   /* JobComplete or Failed */
    bool field_searched;  /* nobody_has_it holds */
    bool nobody_has_it;   /* no open record has the field that the failure names */
    char failure[500];    /* a failed job's errorMessage */
    unsigned restarts;
    uint64_t started_ms; /* monotonic, of this job */
    int64_t delay_ms;    /* before the next question */
    enum result_file file;
    struct results results;

    bool then_restart; /* after ABORTING; else settle */
    struct ending ending;
};

#define RECORD_TOLD        1u
#define RECORD_UNPROCESSED 2u

/* ---- bulk.c: the states, and the ends ---- */

void job_enter(struct job *j, enum job_state next);
/** Go on in a later turn of the loop, or after `ms`. */
void job_later(struct job *j, int64_t ms);
/** The next request, in the state that waits for its answer. `path`: behind .../jobs/ingest[/id].
 *  `body` is borrowed until the answer. Comes last in its caller. */
void job_send(struct job *j, enum job_state state, const char *method, const char *path,
              const char *type, const char *accept, sl_str body);
/** Tell one record. */
void job_tell(struct job *j, size_t index, const sl_outcome *o);
/** All open records hear the same; then the batch is over. `a` may be NULL. */
void job_settle(struct job *j, uint32_t kind, const struct answer *a, uint32_t not_sent,
                const char *why);
void job_retry(struct job *j, const struct answer *a, const char *why);
/** A new job for the open records, once; the next time they go to the retry. */
void job_restart(struct job *j, const struct answer *a, const char *why);
/** The endpoint as a whole is no good. */
void job_park(struct job *j, const char *why, int64_t after_ms);
void job_free(struct job *j);

/* ---- ledger.c: what is durable ---- */

/** Keep an id of Salesforce's; false: it is none, and the job has the one it had. */
bool job_take_id(struct job *j, const char *id);
/** Store the step, NOTING or SEALING, and go on when it is durable. */
void ledger_note(struct job *j, enum job_state state);
/** What resume() was given. */
void ledger_read(struct job *j, sl_str token);

/* ---- upload.c: up to the close ---- */

void job_create(struct job *j);
void create_answered(struct job *j, const struct answer *a);
void job_upload(struct job *j);
void upload_answered(struct job *j, const struct answer *a);
void job_close(struct job *j);
void close_answered(struct job *j, const struct answer *a);
/** Give the job up; then another, or the retry. j->why says what for. */
void job_abort(struct job *j, bool then_restart);
void abort_answered(struct job *j);

/* ---- poll.c: behind the close ---- */

void job_wait(struct job *j, int64_t at_least_ms);
void job_ask(struct job *j);
void ask_answered(struct job *j, const struct answer *a);
void job_fetch(struct job *j);
void fetch_answered(struct job *j, const struct answer *a);

/* ---- turns.c: each does a bounded piece; true: all is done ---- */

bool turn_scan(struct job *j);
bool turn_write(struct job *j);
/** `ret_torn` is set when the file ends in the middle of something. */
bool turn_join(struct job *j, bool *ret_torn);
/** After turn_find_field() where `ending.by_job` is set. */
bool turn_settle(struct job *j);
/** Has any open record the field that a failed job names? Sets nobody_has_it. */
bool turn_find_field(struct job *j);
