/*
 * retain_box.h - a log of small segments, its index and what lets old events go, without threads;
 * time is an argument, the segments' own too.
 */
#pragma once

#include "rig.h"

#include "store/index_int.h"
#include "store/log_int.h"
#include "store/retain.h"

#define HOUR (INT64_C(3600) * 1000)
#define DAY  (24 * HOUR)
#define KEEP (7 * DAY)
#define T0   INT64_C(1700000000000) /* when the first segment began */

struct box {
    struct rig rig; /* its folder; nothing is open in it */
    struct reclog *l;
    struct reclog_reader *r;
    struct index *ix;
    struct retain retain;
    int64_t wall; /* now, by both clocks */
    uint64_t mono;
    int64_t step_ms; /* from segment to segment: an hour */
    struct query q;  /* the last */
};

void box_start(struct box *b);
void box_finish(struct box *b);
/** The files as a kill leaves them, opened again: what was committed is there, nothing was folded
 *  in. */
void box_kill(struct box *b);
/** What the log's keeper does. */
void box_keeper(struct box *b);

/* ---- records: each gives its number ---- */

uint64_t box_put(struct box *b, struct store_record rec, bool *ret_refused);
uint64_t box_event(struct box *b, const char *key);
uint64_t box_routed(struct box *b, uint64_t id, struct rec_delivery *d, size_t n);
uint64_t box_sent(struct box *b, uint64_t num);
/** `link`: its id, or "". */
uint64_t box_moved(struct box *b, uint64_t num, int state, uint64_t batch, int64_t at_ms,
                   const char *link);
/** An event with one delivery that ends so; INFLIGHT: it stays under way. */
uint64_t box_order(struct box *b, const char *key, int state);
/** Done events, until the log has so many segments. */
void box_fill(struct box *b, uint32_t segments);
/** The index follows. */
void box_apply(struct box *b);

/** So much time passes by both clocks, and what is due is done. */
void box_pass(struct box *b, int64_t ms);

/* ---- asking ---- */

int64_t box_count(struct box *b, const char *sql);
int64_t rows_of(struct box *b, const char *table, const char *key, uint64_t from, uint64_t to);
/** Of one event, in every table but receipts and links. */
int64_t all_rows(struct box *b, uint64_t id);
/** QUERY_EVENT's status; the answer is in b->q. */
int ask_event(struct box *b, uint64_t id);
bool has_link(struct box *b, const char *id);
/** What the summary says is what is there. */
void check_counts(struct box *b);
