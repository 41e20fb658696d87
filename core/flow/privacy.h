/*
 * privacy.h - what is asked about persons: erased, or handed out by an operator, within 30 days.
 *
 * The event that asks is answered and routed like all others; that it asks is durable with its
 * routing. An erasure then goes through all events, a part at a time: what is about the person is
 * erased in the index, held and dead deliveries of it are discarded, and what is still under way is
 * left to end first: the request waits for it and says so. When nothing is found any more the event
 * that asked is erased itself, free pages of the index are written over, and the request is done;
 * the log's segments that hold records of it go by themselves in time (retain.h), with which it has
 * ended. A kill at any point loses nothing: what is left is found again.
 *
 * Thread: loop.
 */
#pragma once

#include "flow/ask.h"
#include "flow/routing.h"

#define PRIVACY_DUE_MS (INT64_C(30) * 24 * 3600 * 1000) /* what the law leaves */

/** One that has not ended. */
struct privacy_request {
    struct list node; /* privacy.requests, by rising id */
    uint64_t id;      /* the event that asks */
    uint8_t kind, state;
    char *endpoint;
    int64_t asked_ms, due_ms, log_due_ms;
    uint64_t last;      /* DONE: the newest record that says anything of it */
    uint64_t under_way; /* events that it waits for, at its last look */
    int64_t next_ms;    /* ASKED: its next look; wall clock */
    uint64_t wait_ms;   /* until the one after, doubling */
    char *error;        /* own: why it cannot go on; NULL: it can */
    bool writing;       /* a record of its end is on its way */
};

struct erasing;

struct privacy {
    struct flow *flow;
    struct logger log;
    struct list requests;
    struct erasing *erasing; /* the one that is being carried out; NULL: none */
    bool read;               /* those of before are known */
    uint64_t erased, done;   /* events erased, requests done; since start */
};

void privacy_open(struct flow *f);
void privacy_close(struct flow *f);

/** What the routed event asks of the gateway, into the same append: requests, and a pause. */
void privacy_record(struct routing *rt, struct commit *c);
void privacy_recorded(struct routing *rt); /* they are durable */

struct privacy_request *privacy_find(const struct flow *f, uint64_t id); /* NULL: none, or ended */
/** A record about a request; `cb` as commit_new()'s. */
void privacy_write(struct flow *f, const struct rec_privacy *rec,
                   void (*cb)(struct flow *f, struct commit *c, int status), void *ctx);
/** Does somebody have to look at it now? What he is told. */
bool privacy_is_late(const struct privacy_request *r, int64_t now_ms, char text[240]);

/* ---- privacy_erase.c ---- */

void erase_begin(struct privacy *p, struct privacy_request *r);
void erase_drop(struct privacy *p); /* at the end: no answer comes any more */

/* ---- what is searched for: privacy_find.c ---- */

/** What one event asks, read again from it. Freed by sought_finish(). */
struct sought {
    struct ask *asks; /* own */
    size_t n_asks;
    const struct ask *ask; /* the one of these that is meant */
    sl_str *values;        /* own, in forms, too */
    size_t n_values;
    struct rec_ref *refs; /* own array; views into the ask */
    sl_str *apart;        /* own array; views into the configuration */
    size_t n_apart;
    char *endpoint; /* own */
};

/** From the event as stored. 0; UV_ENOENT: it asks nothing of this kind, or its endpoint is gone;
 *  UV_ENOMEM. */
int sought_read(struct flow *f, const struct store_event *e, uint32_t kind, struct sought *ret);
void sought_finish(struct sought *s);
/** Valid as long as `s` and the configuration. */
struct store_private sought_query(const struct sought *s);
