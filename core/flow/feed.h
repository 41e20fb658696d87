/*
 * feed.h - feeds: what is asked for at an endpoint again and again, by its adapter's poll().
 *
 *   feed.c  when: the schedule, what closes an endpoint, failures; the cursor over a restart
 *   poll.c  one poll: what it finds and where it stands become durable as one append
 *
 * A feed is known by its endpoint's and its own name, so a reload and a restart keep its cursor,
 * whatever else of it is changed. What a poll finds is stored under a key made of its event key:
 * the log refuses what was found before, so neither a crash nor an overlap makes doubles of it.
 *
 * Thread: loop.
 */
#pragma once

#include "flow/state.h"

#define FEED_SPACE "feed" /* of the facts that cursors are */

struct poll;
struct backfill;

struct feed {
    UT_hash_handle hh; /* flow.feeds, by key */
    char *key;         /* own; "ENDPOINT/FEED" */
    struct flow *flow;
    struct lane *lane;            /* NULL: its endpoint is gone */
    const struct conf_feed *conf; /* NULL: it is no longer configured, and its poll ends yet */
    struct backfill *job;         /* own: it is a back-fill, and conf is its; NULL: a feed */
    bool read;                    /* what a process before knew of it is known */
    char *cursor;                 /* own */
    int64_t cursor_ms;            /* wall clock, as all of these: stored; 0: there is none */
    int64_t began_ms, ended_ms;   /* of the last poll; 0: there was none */
    int64_t good_ms;              /* the last one that went well ended */
    int64_t next_ms;              /* the next one is due */
    int64_t hurry_ms;             /* lane_poll_soon() while it was polled: due then; 0: no */
    int64_t look_ms;              /* it is due and cannot begin: looked at again; 0: it can */
    int64_t written_ms;           /* something of this was made durable last */
    const char *waits;            /* why it cannot begin; NULL: it can */
    char *error;                  /* own; of the last poll; NULL: it went well */
    char *finding;                /* own; what somebody has to look at; NULL: nothing */
    uint32_t failures;            /* in a row */
    uint64_t number;              /* its place in the lane's queue of questions */
    uint64_t runs;                /* ended, of this process */
    uint64_t rows, known;         /* found by this process: stored, and known before */
    uint64_t last_rows, last_known;
    struct poll *poll; /* under way; NULL: none */
};

void feeds_open(struct flow *f);
/** Begin to read what a process before knew of them. */
void feeds_read(struct flow *f);
/** The configuration is another one. */
void feeds_change(struct flow *f);
/** An event of this endpoint has been routed. */
void feeds_hear(struct flow *f, sl_str endpoint, sl_str topic);
/** At the end: nothing is told any more. */
void feeds_close(struct flow *f);

/** First time after `after_ms`, by a poll that began at `began_ms` (0: there was none). */
int64_t feed_next(const struct conf_feed *c, int64_t began_ms, int64_t after_ms);
/** How long so many failures in a row put the next poll off. */
int64_t feed_backoff(uint32_t failures);
/** How long it is put off once the process has ended so many times in a row in the middle of it. */
int64_t feed_poison_wait(unsigned ends);
/** The clock may have been set back since it began last: what was counted from then on is counted
 *  from now. */
void feed_follow_clock(struct feed *d, int64_t now_ms);

/** Why an endpoint is not to be asked anything now; NULL: it may be. */
const char *feed_closed_for(const struct lane *l);

/* ---- poll.c ---- */

/** feed.lane has an open adapter. feed_polled() follows, perhaps before this returns. */
void poll_start(struct feed *d);
uint64_t poll_rows(const struct poll *p);
uint64_t poll_known(const struct poll *p);
void poll_drop(struct poll *p); /* without a word */

/* ---- feed.c, for poll.c ---- */

/** The fact that is written of it. */
void feed_fact(const struct feed *d, sl_str cursor, struct buf *ret);
void feed_stored(struct feed *d, sl_str cursor);

struct polled {
    sl_status status;
    sl_str why;
    int64_t after_ms;
    uint64_t rows, known;
    sl_str finding; /* empty: there is none */
};
void feed_polled(struct feed *d, const struct polled *p);

/* ---- feed.c, for backfill.c ---- */

/** The endpoint's back-fill, running or the last; NULL: there was none. */
struct feed *feed_of_backfill(const struct flow *f, const char *endpoint);
/** `job` is taken over, in place of the last one; polled at once. `cursor`: of a process before;
 *  NULL: none. */
void feed_add_backfill(struct flow *f, struct backfill *job, const char *cursor);
/** Make durable what is known of it. */
void feed_write_down(struct feed *d);
