/*
 * choose.h - Bulk or Collections: which of the two a batch takes, and what each costs. Pure: all
 * that counts is handed in.
 *
 * Collections take 200 rows a call and answer at once; a bulk job takes ten thousand rows for its
 * handful of calls, one of the day's batches, and minutes. The cheaper one in calls has it, unless
 * the batch is urgent: then Collections may cost more, the less so the fewer calls are left.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define COLLECTION_ROWS  200     /* in a call; Salesforce's limit */
#define COLLECTION_BYTES 2000000 /* of a call's body, so that a call never carries too much */
#define BULK_BATCH_ROWS  10000   /* in one of Salesforce's own batches, of which a day has 15,000 */
#define EXPECTED_JOB_MS  10000   /* how long a bulk job takes, before one was seen */

enum transport { TRANSPORT_AUTO, TRANSPORT_BULK, TRANSPORT_COLLECTIONS };
#define TRANSPORT_CHOICES "auto|bulk|collections"

/** What is left of the org's rolling day; a limit of 0: it is not known. */
struct day_left {
    int64_t calls, calls_limit;     /* API requests */
    int64_t batches, batches_limit; /* of bulk ingest */
};

/** What the choice looks at. */
struct choose_in {
    enum transport wanted; /* AUTO, or what the route says */
    size_t rows, bytes;
    bool critical;           /* by its priority */
    int64_t age_ms;          /* of the oldest record */
    int64_t urgent_after_ms; /* from this age on it is urgent; 0: never */
    int64_t poll_first_ms, poll_cap_ms;
    int64_t job_ms;    /* how long a bulk job takes from its creation to its end */
    bool deletes_jobs; /* `delete_jobs`: one more call for each */
    struct day_left left;
};

enum choose_reason {
    CHOSEN_BY_ROUTE,        /* `transport` says so */
    CHOSEN_BY_CALLS,        /* it takes fewer calls */
    CHOSEN_AS_CRITICAL,     /* dearer, but at once */
    CHOSEN_BY_AGE,          /* the same */
    CHOSEN_BY_BATCHES_LEFT, /* dearer in calls, but the day's batches run out */
    CHOSEN_BY_CALLS_LEFT,   /* urgent, but the day's calls run out */
    CHOSEN__COUNT
};

struct choice {
    enum transport transport; /* BULK or COLLECTIONS */
    enum choose_reason reason;
    uint32_t collections_calls, bulk_calls; /* what each is expected to take */
};

struct choice choose_transport(const struct choose_in *in);
/** For the log: "it takes fewer calls". */
const char *choose_reason_text(enum choose_reason reason);

uint32_t choose_collections_calls(size_t rows, size_t bytes);
/** Up to so many rows Collections take no more calls than a job. */
uint32_t choose_even_rows(const struct choose_in *in);
/**
 * Create, upload, close, the expected questions, the one result file that is read where no row has
 * failed, and the delete if there is one.
 */
uint32_t choose_bulk_calls(const struct choose_in *in);
/** Wait before a new job is first asked for. Longer than `poll_first_ms` when calls are scarce. */
int64_t choose_first_poll_ms(const struct choose_in *in);
/** The expectation after a job that took `took_ms`. */
int64_t choose_expected_job_ms(int64_t expected_ms, int64_t took_ms);
