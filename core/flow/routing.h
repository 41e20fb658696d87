/*
 * routing.h - one event on its way through the router: what it is about, and what the routes make
 * of it. Shared by the router (which stores the result) and the dry run (which only shows it).
 */
#pragma once

#include "flow/state.h"

#define MAX_ROUTES_PER_EVENT 64 /* with a program */

/** What describe() said. */
struct about {
    char *subject, *version, *event_key;
};

/** A reference that a subject depends on. */
struct about_ref {
    char *kind, *id;
};

/** One piece a route made, and where it goes. Owned strings. */
struct piece {
    const struct conf_route *route;
    const struct conf_target *target; /* NULL only with `error` */
    char *key;
    char *body;
    size_t body_len;
    char *error; /* the program failed: a dead letter with this reason */
    bool paused; /* its route is paused: held with this reason */
};

struct routing {
    struct list node;      /* router.queue, or behind another one of its subject */
    struct router *router; /* NULL: a dry run */
    struct flow *flow;
    struct event *event;
    struct about *abouts;
    size_t n_abouts;
    struct about_ref *refs;
    size_t n_refs;
    char *note;
    bool described, undescribed; /* the adapter was asked; it could not say */
    bool waits;            /* only references are known, and no link for them yet */
    bool cancelled;        /* the mapper is closing: nothing may be concluded */
    void (*remapped)(struct routing *rt, int status); /* a replay that maps again; NULL: none */
    void *remapped_ctx;
    uint64_t remapped_num; /* the first delivery that came of it; 0: none */
    uv_timer_t again;      /* the store had no room: once more later */
    const struct conf_route **matched; /* routes whose results are awaited, in order */
    size_t n_matched;
    const struct conf_route *run[MAX_ROUTES_PER_EVENT]; /* those with the mapper */
    size_t n_run;
    struct piece *pieces;
    size_t n_pieces;
    UT_hash_handle hh;     /* router.by_subject */
    char *turn;            /* key of by_subject: its first subject; NULL: none */
    struct list behind;    /* routings of the same subject that wait for this one */
    void (*done)(struct routing *rt);
    void *ctx;
};

struct routing *routing_new(struct flow *f, struct event *e);
void routing_free(struct routing *rt); /* and its event */

/** Ask the adapter what the event is about. 0, or UV_EINVAL with `note` set. */
int routing_describe(struct routing *rt);
/** The adapter could not say what it is about: a dead letter for each route that wants it. */
void routing_refuse(struct routing *rt);
/** Run the routes; `rt->done` is called once, never before this returns. */
void routing_map(struct routing *rt);
/** The event key: 16 bytes; false when it has none. */
bool routing_event_key(const struct routing *rt, uint8_t out[16]);
const char *routing_subject(const struct routing *rt); /* "" when it has none */
/** A subject that a link gave. */
void routing_about(struct routing *rt, sl_str subject);
