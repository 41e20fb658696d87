/*
 * backfill.h - what happened before, brought when a person asks for it: a feed that is polled
 * without a rest until its adapter has all of it. One at an endpoint at a time; it goes on over
 * restarts and reloads, and what it finds gives way to live traffic.
 *
 * It stands among the feeds (feed.h) under the key "ENDPOINT/:backfill", which no configured feed
 * can have. Thread: loop.
 */
#pragma once

#include "flow/feed.h"

#define BACKFILL_NAME ":backfill"

enum backfill_state { BACKFILL_RUNS, BACKFILL_DONE, BACKFILL_CANCELLED };
extern const char *const backfill_states[]; /* "running", "done", "cancelled" */

/** What is asked for, and how far it has come. */
struct backfill {
    struct conf_feed conf; /* of the feed that it is */
    char *endpoint, *topics, *who;
    int64_t since_ms, until_ms;
    int64_t begun_ms, ended_ms; /* wall clock; 0: not yet */
    enum backfill_state state;
    uint64_t done, total; /* as the adapter says; total 0: not known */
    char *of;             /* "orders"; NULL: not said */
    uint64_t found, known;
    sl_backfill what; /* for the adapter: views */
};

void backfill_free(struct backfill *b); /* NULL is fine */
/** Append it as members of the fact that its feed is: `,"backfill":{...}`. */
void backfill_put(const struct feed *d, struct buf *out);
/** Of a fact of a process before; own. NULL: the fact is a feed's. */
struct backfill *backfill_take(sl_str key, sl_str value);
/** A poll of it has ended. True: it goes on, after p->after_ms. */
bool backfill_polled(struct backfill *b, const struct polled *p, int64_t now_ms);
/** What is said of one that has failed so often that somebody is told. */
void backfill_failing(const struct feed *d, struct buf *ret);
/** sl_poll_out.progress. */
void backfill_progress(struct backfill *b, uint64_t done, uint64_t total, sl_str of);
