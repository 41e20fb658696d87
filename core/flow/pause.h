/*
 * pause.h - a person stops an endpoint or a route: nothing new leaves, what is there stays ready
 * and burns nothing, events go on being stored and routed. Durable; ended by a person alone.
 *
 * Not the pause of a route whose program fails (router.c): that one holds what it makes, and ends
 * when its program is mended.
 *
 * Thread: loop.
 */
#pragma once

#include "flow/state.h"

struct pause {
    UT_hash_handle hh; /* flow.pauses, by key */
    char *key;         /* own; "endpoint/NAME", "route/NAME" */
    bool drain;        /* unknown outcomes may still be asked for */
    uint64_t event;    /* that said so; 0: a person did */
    int64_t since_ms;  /* wall clock */
    char *who, *why;   /* own */
};

/** Read what was paused before; the lanes wait for it. */
void pause_start(struct flow *f);
void pause_finish(struct flow *f);
const struct pause *pause_of(const struct flow *f, bool route, sl_str name); /* NULL: none */
/** Is there one that keeps this route's deliveries from leaving this lane? NULL: none. */
const struct pause *pause_here(const struct lane *l, const struct conf_route *r);
/** An event says that an endpoint takes nothing any more: into the same append, unless it is paused
 *  already; and it is durable. */
void pause_record(struct flow *f, sl_str endpoint, uint64_t event, sl_str why, struct commit *c);
void pause_told(struct flow *f, sl_str endpoint, uint64_t event, sl_str why);
/** "paused by uid 0 since 2026-11-21T16:40:00Z: why" */
void pause_say(struct buf *b, const struct pause *p);
