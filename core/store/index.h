/*
 * index.h - what the log means, in tables: built record by record, asked by queries.
 *
 * The watermark (the newest record applied) moves in the same transaction as what it did. A
 * struct index belongs to one thread at a time; nothing here knows of threads or the loop.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include "base/fail.h"
#include "base/list.h"
#include "store/arena.h"
#include "store/log.h"
#include "store/store.h"

struct index;

/** Open or create sluice.db in a directory, for the log named by `log_id` that ends at `log_last`.
 *  UV_EINVAL with `fail`: it belongs to another log, or is ahead of this one. `log` is borrowed
 *  until index_close() (event bodies are read from it). */
int index_open(struct index **ret, const char *dir, struct reclog_reader *log,
               const uint8_t log_id[16], uint64_t log_last, struct fail *fail);
/** Fold everything into the main file and close. NULL is fine. */
void index_close(struct index *ix);

uint64_t index_watermark(const struct index *ix);

/* ---- applying: begin, any number of records without a gap, commit ---- */

int index_begin(struct index *ix);
/** 0; UV_EINVAL: not a record (damaged, or of a newer form); or an I/O code. */
int index_apply(struct index *ix, const struct reclog_record *rec);
int index_commit(struct index *ix);
/** What was applied last is understood with the record after it only: if there is one, it belongs
 * to the same transaction. */
bool index_mid_append(const struct index *ix);
/** Forget what was applied since index_begin(). */
void index_rollback(struct index *ix);

/** As reclog_tidy_due() and reclog_tidy(). */
int index_tidy_due(const struct index *ix);
int index_tidy(struct index *ix);

/* ---- a copy, for a backup ---- */

/** Copies the index to a new file `path` while it goes on; between two steps anything may happen to
 *  the index but its closing. The file is not synced. 0 or a code. */
struct index_copy;
int index_copy_open(struct index_copy **ret, struct index *ix, const char *path);
/** So many pages more (4096 bytes each): 1: there are more; 0: the copy is whole, and is the index
 *  as it is at this moment; or a code. */
int index_copy_step(struct index_copy *c, unsigned pages, uint64_t *ret_bytes, uint64_t *ret_total);
void index_copy_close(struct index_copy *c); /* whole or not; NULL is fine */

/** What stands of what dead letters have in common. */
struct index_issues {
    uint64_t open, acknowledged; /* not resolved; the latter were looked at by somebody */
    uint64_t dead;               /* dead letters of them */
};
struct index_issues index_issues(const struct index *ix);

/** How many second deliveries of one event, route and piece were refused, as committed; the last of
 *  them, 0: it was before the opening. */
uint64_t index_doubled(const struct index *ix, uint64_t *ret_num);

/** The newest record of the backup that this store was restored from; 0: it was not. */
uint64_t index_restored_to(const struct index *ix);

/** Is all that was committed on the disk, whatever happens now? Sees to it: as long a step as
 *  index_tidy(). 1: it is; 0: not yet, try again; or a code. */
int index_settle(struct index *ix);

/* ---- retention: letting go of old events, see retain.h ----
 *
 * A call is one slice, a transaction of its own: at most 256 rows or 5 ms. 1: there is more to do;
 * 0: that was all; or a code, and the index as it was. */

/** Events before this one have been dealt with: what is still needed of them stays, with a copy of
 *  its receipt, and the rest has gone. */
uint64_t index_kept_from(const struct index *ix);
/** Deal with the records up to `last`, of a segment of the log that ended at `ended_ms`: links
 *  written before go too, and events that were dealt with after `late_ms` stay. */
int index_retain(struct index *ix, uint64_t last, int64_t ended_ms, int64_t late_ms);

/** Where a round through what stayed has come to; all zero begins one. */
struct index_round {
    uint64_t event, num;
    bool links;
};
/** Of what stayed: events that are not needed any more, and links of those that went, if nothing
 *  was written of them since `before_ms`. */
int index_retain_round(struct index *ix, struct index_round *at, int64_t before_ms);

/** The log must have nothing any more of what was erased: records up to this one, from now on; 0:
 * of none. *ret_next_ms: the earliest time, past ones too, from which on there are such; 0: none. 0
 * or a code. */
int index_erased_upto(struct index *ix, int64_t wall_ms, uint64_t *ret_last, int64_t *ret_next_ms);
/** Was anything ever to be erased? */
bool index_erases(const struct index *ix);
/** Rises with what index_erased_upto() and index_erases() may say anew. */
uint64_t index_erasures(const struct index *ix);

/** An index that has applied nothing begins with record `first`: what was before is lost to it. */
int index_start_at(struct index *ix, uint64_t first);

/* ---- asking ---- */

enum query_type {
    QUERY_CLAIM,
    QUERY_DELIVERY,
    QUERY_BODIES,
    QUERY_EVENT,
    QUERY_UNROUTED,
    QUERY_LINKS,
    QUERY_BATCH,
    QUERY_REPORT,
    QUERY_SELECT,
    QUERY_STATE,
    QUERY_DUE,
    QUERY_DEADLINES,
    QUERY_ENDS,
    QUERY_CAME,
    QUERY_SIBLINGS,
    QUERY_DEAD,
    QUERY_ABOUT,
    QUERY_CHAIN,
    QUERY_BACKFILL,
    QUERY_PRIVACY,
    QUERY_PRIVATE,
    QUERY_WIPE,
};

/** A question on its way to the index thread and its answer on the way back. Everything it points
 *  to lies in its arena, or is owned as said. */
struct query {
    struct list node;
    enum query_type type;
    uint64_t position; /* what must have been applied before it is answered */

    /* the question */
    uint64_t id; /* delivery, event, batch */
    uint64_t after;
    uint32_t limit;
    uint8_t priority;
    bool waiting;
    sl_str endpoint;
    sl_str space;        /* of states; CAME: the subject */
    sl_str from, prefix; /* STATE, with a limit: keys beyond, and what they begin with */
    uint64_t *asked;     /* DEADLINES */
    size_t n_asked;
    sl_str *about; /* ENDS: subjects; `id` is the cause */
    size_t n_about;
    bool any_position; /* it need not be answered after what was appended before */
    struct store_about made;
    uint64_t before; /* CHAIN, beside `made` and `after` */
    struct rec_ref *refs;
    size_t n_refs;
    struct store_body *bodies; /* only the nums; the answer takes their place */
    size_t n_bodies;
    enum store_report what;
    struct store_filter filter;
    struct store_backfill backfill;
    struct store_private private; /* subjects sorted */

    /* the answer; arrays and json owned */
    int status;
    struct store_delivery *deliveries;
    uint64_t *nums;
    struct store_state *states;
    struct store_due *dues;
    struct store_came *came;
    struct store_deadline *deadlines;
    size_t n_deadlines;
    int64_t horizon_ms; /* DUE */
    bool linked;        /* ENDS: the event names deliveries */
    uint64_t next;      /* of a backfill */
    size_t n;           /* of deliveries, nums or states */
    sl_str body, request, token;
    struct store_event event;
    sl_str *subjects; /* n_refs */
    struct store_privacy *privacies;
    struct store_found *found;
    size_t n_found;
    char *json;
    size_t json_len;

    struct arena arena;
    void *ctx;
    union {
        void (*claim)(void *ctx, int status, const struct store_delivery *d, size_t n);
        void (*delivery)(void *ctx, int status, const struct store_delivery *d, sl_str body,
                         sl_str request);
        void (*bodies)(void *ctx, int status, const struct store_body *b, size_t n);
        void (*event)(void *ctx, int status, const struct store_event *e);
        void (*nums)(void *ctx, int status, const uint64_t *nums, size_t n);
        void (*backfill)(void *ctx, int status, const uint64_t *ids, size_t n, uint64_t next);
        void (*links)(void *ctx, int status, const sl_str *subjects, size_t n);
        void (*batch)(void *ctx, int status, sl_str token, const uint64_t *nums, size_t n);
        void (*report)(void *ctx, int status, sl_str json);
        void (*due)(void *ctx, int status, const struct store_due *d, size_t n, int64_t horizon_ms);
        void (*deadlines)(void *ctx, int status, const struct store_deadline *d, size_t n);
        void (*ends)(void *ctx, int status, const struct store_ends *e);
        void (*came)(void *ctx, int status, const struct store_came *c, size_t n);
        void (*states)(void *ctx, int status, const struct store_state *states, size_t n);
        void (*privacies)(void *ctx, int status, const struct store_privacy *p, size_t n);
        void (*found)(void *ctx, int status, const struct store_found *found, size_t n,
                      const uint64_t *stopped, size_t n_stopped, uint64_t next);
        void (*wiped)(void *ctx, int status, bool again);
    } cb;
};

/** As memcmp, the shorter of two that begin alike first. */
int index_text_order(sl_str a, sl_str b);

/** Answer: sets the status and the parts its type has. What people ask for is given up after two
 *  seconds (UV_ETIMEDOUT), since nothing else is answered or applied meanwhile. */
void index_answer(struct index *ix, struct query *q);
void query_destroy(struct query *q); /* NULL is fine */
