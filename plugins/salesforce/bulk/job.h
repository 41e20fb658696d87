/*
 * job.h - one batch on its way through a Bulk API 2.0 job. Private to the files that its last parts
 * name.
 *
 *   SCANNING - WRITING - INTENDING - CREATING - NOTING - UPLOADING - SEALING - CLOSING
 *                            |                    |                    |          |
 *                       "creating"            "created"            "closing"   CLOSED "closed"
 *                                                                                 |
 *                                                                     WAITING <-> ASKING
 *                                                                                 |
 *                     SETTLING <- JOINING <-> FETCHING (result files) <- ENDING "ended"
 *
 * In quotes: what is durable before the next step. BARRED, LISTING, SIFTING, REMOVING look for a
 * job whose id was never learnt (orphans.c). GATHERING and LOOKING ask for records of which no file
 * knows (lookup.c). ABORTING is where a job is given up that nobody needs
 * any more; a new one is made, or the records are told. What takes long for many records is cut
 * into turns of the loop (turns.c).
 */
#pragma once

#include "results.h"
#include "rows/csv.h"
#include "rows/keys.h"
#include "salesforce.h"

enum job_state {
    JOB_SCANNING,  /* reading the bodies: keys, columns, what cannot be sent */
    JOB_WRITING,   /* the CSV */
    JOB_BARRED,    /* before a create or a search, until neither is under way elsewhere */
    JOB_LISTING,   /* GET a page of the org's jobs */
    JOB_SIFTING,   /* for jobs of ours whose id was never learnt */
    JOB_REMOVING,  /* abort and delete them */
    JOB_INTENDING, /* checkpoint "creating" on its way to the disk */
    JOB_CREATING,  /* POST */
    JOB_NOTING,    /* checkpoint "created" on its way to the disk */
    JOB_UPLOADING, /* PUT */
    JOB_SEALING,   /* checkpoint "closing" on its way to the disk */
    JOB_CLOSING,   /* PATCH UploadComplete */
    JOB_CLOSED,    /* checkpoint "closed" on its way to the disk */
    JOB_WAITING,   /* a pause between questions */
    JOB_ASKING,    /* GET the job */
    JOB_ENDING,    /* checkpoint "ended" on its way to the disk */
    JOB_FETCHING,  /* GET a result file */
    JOB_JOINING,   /* its rows to the records */
    JOB_GATHERING, /* keys of records of which no file knows */
    JOB_LOOKING,   /* GET query: were they written? */
    JOB_ABORTING,  /* PATCH Aborted, whatever comes of it */
    JOB_SETTLING,  /* the rest of the records is told */
    JOB__COUNT
};

/** How far the newest checkpoint says that the job came. */
enum step { STEP_NONE, STEP_CREATING, STEP_CREATED, STEP_CLOSING, STEP_CLOSED, STEP_ENDED };

/** A create that was begun and is not accounted for, by Salesforce's clock. All zero: none. */
struct intent {
    int64_t since_ms, at_ms; /* the first such, the last such */
    bool exact;              /* the clocks were compared */
};

enum search_then { THEN_NEW, THEN_RESTART };

#define LOCATOR_SIZE 400
#define MAX_ORPHANS  16

/** Looking for orphans: see orphans.c. */
struct search {
    bool wanted;
    enum search_then then;
    char why[600]; /* for THEN_RESTART */
    char locator[LOCATOR_SIZE];
    struct text page;
    size_t at; /* in the page */
    char found[MAX_ORPHANS][JOB_ID_SIZE];
    size_t n_found;
    unsigned pages, tries;
};

enum look_then { LOOK_TELL, LOOK_RESTART, LOOK_RETRY };

/** Records looked up: see lookup.c. */
struct look {
    bool on;
    enum look_then then;
    char why[600]; /* for RESTART and RETRY */
    size_t from;   /* first record of the chunk under way */
    size_t n;      /* keys in it */
    struct text path;
};

/** What the records hear that have no result row. */
struct ending {
    bool by_job; /* what the ended job says, record by record; else the same for all: */
    uint32_t kind;
    int64_t after_ms;
    uint32_t status, not_sent;
    char why[700];
};

struct job {
    struct salesforce *sf;
    const struct action *action;
    const sl_batch *batch;
    const sl_done *done;
    struct job *prev, *next;
    enum job_state state;
    struct call call;
    uint64_t timer; /* 0: none */

    uint8_t *told; /* for each record: RECORD_* */
    size_t n_open; /* records without an outcome */
    struct keys keys;
    struct columns columns;
    struct row row;         /* scratch */
    struct text csv, value; /* the upload; scratch */
    uint64_t serial;        /* of the row in hand, for the columns */
    size_t at;              /* where the turns stand */
    char why[600];          /* scratch */

    char id[JOB_ID_SIZE]; /* Salesforce's; empty: none */
    enum step step;       /* of the newest checkpoint */
    bool resumed;         /* that came from an earlier process: ask before anything is sent */
    bool uploaded;        /* the PUT was acknowledged: an Open job needs only its close */
    bool may_run;         /* a close may have been carried out: from here on rows may be done */
    struct intent intent;
    struct search search;
    bool ended, failed;            /* JobComplete or Failed */
    bool field_searched;           /* nobody_has_it holds */
    bool nobody_has_it;            /* no open record has the field that the failure names */
    char failure[500];             /* a failed job's errorMessage */
    char born[40];                 /* its createdDate; empty: not told */
    size_t n_sent;                 /* rows of the upload; 0: not known */
    int64_t processed, errors;     /* as the job counts; -1: it does not say */
    size_t in_file[RESULT__COUNT]; /* rows of each file */
    struct look look;
    bool park_told; /* that the endpoint is no good while the job runs */
    unsigned restarts;
    uint64_t started_ms; /* monotonic, of this job */
    int64_t delay_ms;    /* before the next question */
    enum result_file file;
    struct results results;

    bool then_restart; /* after ABORTING; else settle */
    struct ending ending;
};

#define RECORD_TOLD        1u
#define RECORD_UNPROCESSED 2u  /* in that file: never tried */
#define RECORD_ASKED       4u  /* in the look-up under way */
#define RECORD_LOOKED      8u  /* looked up, and not found written */
#define RECORD_ABSENT      16u /* the look-up shows for certain that it was not done */

/* ---- bulk.c: the states, and the ends ---- */

void job_enter(struct job *j, enum job_state next);
/** Go on in a later turn of the loop, or after `ms`. */
void job_later(struct job *j, int64_t ms);
/** The next request, in the state that waits for its answer. `path`: behind .../jobs/ingest[/id].
 *  `body` is borrowed until the answer. Comes last in its caller. */
void job_send(struct job *j, enum job_state state, const char *method, const char *path,
              const char *type, const char *accept, sl_str body);
/** GET a path of its own, in LOOKING. Borrowed until the answer. */
void job_query(struct job *j, const char *path);
/** Tell one record. */
void job_tell(struct job *j, size_t index, const sl_outcome *o);
/** All open records hear the same; then the batch is over. `a` may be NULL. */
void job_settle(struct job *j, uint32_t kind, const struct answer *a, uint32_t not_sent,
                const char *why);
void job_retry(struct job *j, const struct answer *a, const char *why);
/** All open records hear what the ended job says of them. */
void job_settle_by_job(struct job *j);
/** A new job for the open records, once; the next time they go to the retry. */
void job_restart(struct job *j, const struct answer *a, const char *why);
/** The same, uncounted: nothing was lost. */
void job_new(struct job *j);
/** The endpoint as a whole is no good. */
void job_park(struct job *j, const char *why, int64_t after_ms);
void job_free(struct job *j);

/* ---- ledger.c: what is durable ---- */

/** Keep an id of Salesforce's; false: it is none, and the job has the one it had. */
bool job_take_id(struct job *j, const char *id);
/** Store the step that this state stands for, and go on when it is durable. */
void ledger_note(struct job *j, enum job_state state);
/** What resume() was given. */
void ledger_read(struct job *j, sl_str token);

/* ---- orphans.c: jobs whose id was never learnt ---- */

/** Find and remove them, then make a new job. `why`: for THEN_RESTART, which counts it. */
void orphans_seek(struct job *j, enum search_then then, const char *why);
/** BARRED, and it wants to search: begin if it may. */
void orphans_turn(struct job *j);
void list_answered(struct job *j, const struct answer *a);
void sift_turn(struct job *j);
/** No search may miss a job that is being made: creates and searches keep out of each other's way.
 *  A job that may not yet stays BARRED until gate_wake(). */
bool gate_may_create(const struct job *j);
bool gate_guards(enum job_state state);
/** A create or a search is over, that of `but`: the others may go on. */
void gate_wake(struct salesforce *sf, const struct job *but);

/* ---- upload.c: up to the close ---- */

/** Checkpoint, then POST; or BARRED while a search decides. */
void job_create(struct job *j);
void create_send(struct job *j);
void create_answered(struct job *j, const struct answer *a);
void job_upload(struct job *j);
void upload_answered(struct job *j, const struct answer *a);
void job_close(struct job *j);
void close_answered(struct job *j, const struct answer *a);
/** Give the job up; then another, or the retry. j->why says what for. */
void job_abort(struct job *j, bool then_restart);
void abort_answered(struct job *j, const struct answer *a);

/* ---- poll.c: behind the close ---- */

/** The job cannot say any more what became of its rows. */
void job_lost(struct job *j, const char *why);
/** All files that are needed were read. */
void results_read(struct job *j);
/** It failed before its first row. */
bool job_never_ran(const struct job *j);
/** Is there anything that another file could tell? */
bool results_complete(const struct job *j);

void job_wait(struct job *j, int64_t at_least_ms);
void job_ask(struct job *j);
void ask_answered(struct job *j, const struct answer *a);
void job_fetch(struct job *j);
void fetch_answered(struct job *j, const struct answer *a);

/* ---- lookup.c: records of which no file knows ---- */

void look_begin(struct job *j, enum look_then then, const char *why);
/** A turn of GATHERING. */
void look_turn(struct job *j);
void look_answered(struct job *j, const struct answer *a);
/** No look-up any more: what is open stays so. */
void look_end(struct job *j);

/* ---- turns.c: each does a bounded piece; true: all is done ---- */

bool turn_scan(struct job *j);
bool turn_write(struct job *j);
/** `ret_torn` is set when the file ends in the middle of something. */
bool turn_join(struct job *j, bool *ret_torn);
/** After turn_find_field() where `ending.by_job` is set. */
bool turn_settle(struct job *j);
/** A record that is there, or not any more: as its action wants it. */
void job_tell_delivered(struct job *j, size_t index, sl_str id);
/** Has any open record the field that a failed job names? Sets nobody_has_it. */
bool turn_find_field(struct job *j);
