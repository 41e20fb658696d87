/*
 * find.h - rows of other systems by their keys, for routes' `with`: the keys of many events go into
 * one question, and what was found is kept for a while.
 *
 * Questions take tokens of the endpoint's lane, as look-ups of events do, and are not asked while
 * that is paused, parked or its breaker open. One that fails makes all that ask the same wait for a
 * while (1 s doubling to 1 min); it is asked again when somebody needs it. Nothing here outlives
 * the process: what is awaited longer than a moment waits in the store, see with.h.
 *
 * What is kept is bounded, over all of them; a row that is not there is believed for 30 s at most.
 *
 * Thread: loop.
 */
#pragma once

#include "flow/state.h"

struct find_ask;

struct find_key {
    struct list node; /* of those that await the row */
    struct find_ask *ask;
    char *key;         /* own */
    char *row, *error; /* own; the row as JSON, why it cannot be used; both NULL: not there */
    bool awaited;
};

/** What one event asks; in its owner's memory. */
struct find_ask {
    const struct conf_with *with; /* of `config` */
    const struct config *config;
    struct find_key *keys; /* own */
    size_t n, pending;
    char *why;    /* own; it cannot be answered: not now ... */
    bool refused; /* ... or never: the question is wrong */
    bool fresh;   /* what was not there, or not right, is asked for again */
    /** Once, when all is known or `why` is set; not if that is so as find_begin() returns. The
     *  caller may end the ask in it. */
    void (*done)(struct find_ask *a);
    void *ctx;
    struct list node; /* while `done` is to be called */
};

/** Own texts of JSON strings: what a program gave as its keys. 0, or UV_EINVAL. */
int find_keys(struct find_ask *a, sl_str json);
/** True: `done` will be called. */
bool find_begin(struct flow *f, struct find_ask *a);
/** It waits for nothing any more. */
void find_drop(struct find_ask *a);
void find_finish(struct find_ask *a); /* and frees what it owns */

/** May it be asked at this moment? If not, why, own; and in how many ms that is looked at again. */
bool find_ready(struct flow *f, const struct conf_with *w, char **ret_why, int64_t *ret_ms);

/** An event has come: rows that it makes worthless are forgotten. */
void find_purge(struct flow *f, sl_str topic);
/** Somebody is to be forgotten: nothing that was found is kept. */
void find_forget(struct flow *f);
void finds_close(struct flow *f); /* no answer comes any more */
