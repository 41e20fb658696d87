/*
 * query.h - Bulk API 2.0 query: many rows of Salesforce, a page in memory at a time.
 *
 *   STARTING - CREATING - WAITING <-> ASKING - FETCHING <-> READING - (told) - DELETING
 *                                                                         \- ABORTING -/
 *
 * A page is asked for by its locator, which stays good while the job is there: a page whose answer
 * is lost or torn is fetched again, and the rows of it that were given already are not given twice.
 */
#pragma once

#include "salesforce.h"

#define QUERY_PAGE_ROWS 10000

struct query;

/** How it ended. Borrowed for the call. */
struct query_end {
    bool ok;              /* every row was given */
    enum verdict verdict; /* unless ok. REFUSED: the same again would fare the same; PARK: the
                             endpoint is no good; NOT_FOUND: the job went while it was read, begin
                             anew; BUSY, THROTTLED, LOST, NOT_SENT: later */
    int64_t after_ms;     /* unless ok: not before; 0: not said */
    uint64_t rows;        /* given */
    char created[40];     /* Salesforce's time of the job, "2026-11-20T10:15:00.000+0000"; "" if it
                             was never made. What changed before it is in the rows, but for
                             transactions that ended later: take some minutes off for a watermark */
    char why[600];        /* unless ok */
};

struct query_ask {
    const char *soql; /* copied. No GROUP BY, OFFSET, TYPEOF, aggregates: Salesforce refuses them */
    bool all;         /* queryAll: deleted and archived rows too */
    uint32_t page_rows;         /* 0: QUERY_PAGE_ROWS */
    uint32_t turn_rows;         /* given in one turn; 0: 400. Fewer where row() has much to do */
    int64_t patience_ms;        /* without anything that went well; 0: job_timeout */
    const char *const *columns; /* ends with NULL, outlives the query: rows have these fields in
                                   this order, whatever order the pages have (without case) */
    /** One row. A null is an empty field. The views are valid for the call.
     *  @return false: no more is wanted; end() follows, not ok, REFUSED */
    bool (*row)(void *ctx, const sl_str *fields);
    /** The last call, exactly once; not after query_cancel(), and not when the host closes. The
     *  query is gone afterwards. */
    void (*end)(void *ctx, const struct query_end *end);
    void *ctx;
};

/** Begin; nothing is called back before it returned. NULL: no memory. Rows come in turns of the
 *  loop, each below 5 ms if row() is quick. */
struct query *query_start(struct salesforce *sf, const struct query_ask *ask);
/** Give no rows until query_go_on(): for a reader that must store what it has first. */
void query_hold(struct query *q);
void query_go_on(struct query *q);
/** No row and no end any more; the job is aborted and deleted. Not from within row() and end(). */
void query_cancel(struct query *q);
/** Free all: the host is closing. A job that was under way expires at Salesforce by itself. */
void query_close(struct salesforce *sf);
