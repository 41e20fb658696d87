/*
 * routing.h - one event on its way through the router: what it is about, and what the routes make
 * of it. Shared by the router (which stores the result) and the dry run (which only shows it).
 */
#pragma once

#include "flow/group.h"
#include "flow/state.h"

#define MAX_ROUTES_PER_EVENT 64 /* with a program */

/** What describe() said; one block of memory. */
struct about {
    char *subject, *version, *event_key;
};

#define MAX_ABOUTS 16

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
    char *error;                  /* the program failed: a dead letter with this reason */
    bool paused;                  /* its route is paused: held with this reason */
    bool looks_up;                /* rows that it is `with` are not there: likewise ... */
    int64_t again_ms;             /* ... until then, wall clock */
    char *detail;                 /* its group's decision, as JSON; NULL: it went to none */
    const struct conf_hold *held; /* it is held by this; NULL: by none */
    char *held_detail;            /* of the hold, and its group's decision; as JSON */
    char *said;                   /* why it is held, rejected, or is not; may be NULL */
    bool stands_in;               /* `detail` says for what, if it does */
    bool rejected;                /* by an event that came before */
    bool dated;                   /* latest.c has judged it ... */
    char *late;                   /* ... and it comes too late: superseded with this reason */
    char *elsewhere;              /* another endpoint may have it: held with this reason */
    struct group_turn turn;       /* to be given back if nothing comes of it */
};

struct routing {
    struct list node;      /* router.queue, or behind another one of its subject */
    struct router *router; /* NULL: a dry run */
    struct flow *flow;
    struct event *event;
    const struct config *config; /* share: what `matched` and `pieces` are of; NULL: not mapped */
    size_t n_abouts;
    struct about_ref *refs;
    size_t n_refs;
    struct about_ref *learnt; /* foreign ids that are its first subject's */
    size_t n_learnt;
    char *note;
    struct ask *asks; /* own: what it asks of the gateway itself */
    size_t n_asks;
    bool described, undescribed; /* the adapter was asked; it could not say */
    bool waits;                  /* only references are known, and no link for them yet */
    bool cancelled;              /* the mapper is closing: nothing may be concluded */
    bool no_memory;              /* the same for want of memory: it is mapped again */
    struct remap *remap; /* a delivery of it is made again; NULL: all of it, for the first time */
    const struct conf_route **matched; /* routes whose results are awaited, in order */
    size_t n_matched;
    const struct conf_route **run; /* those with the mapper; in the memory of `matched` */
    size_t n_run;
    struct piece *pieces;
    size_t n_pieces;
    size_t dating;       /* latest.c: questions under way */
    UT_hash_handle hh;   /* router.by_subject */
    char *turn;          /* key of by_subject: its first subject; NULL: none */
    struct list behind;  /* routings of the same subject that wait for this one */
    struct await *await; /* await.c; NULL: nothing was asked */
    struct with *with;   /* with.c; NULL: nothing was looked up */
    bool lacks;          /* a route's rows are not there yet */
    bool late_asked;     /* missed.c: no sweep has found it before */
    void (*done)(struct routing *rt);
    void *ctx;
    struct about abouts[MAX_ABOUTS]; /* as many as are counted; the rest is not even zero */
};

/** The hold type of what was closed so: another delivery has its key, and it is never sent again.
 */
#define REMAPPED "remapped"

/** One delivery to be made again from its event; or, as a `backfill`, an event to be given to a
 *  route that it never was given to. In its owner's memory until `done`. */
struct remap {
    struct flow *flow;
    const struct store_delivery *row; /* the old one, alive until `done`. Of a backfill: `route`,
                                         and `num` is past all of the event's deliveries */
    sl_str who, why;                  /* likewise */
    sl_str by; /* fallback: the route that its event goes by instead; empty: its own. Alive */
    bool backfill;
    bool by_clock; /* it waits for rows: without them nothing changes, and `status` is ETIMEDOUT */
    uint8_t set_priority;          /* of what is made: 1 + enum priority; 0: its route's */
    void (*done)(struct remap *m); /* once; `status` says how it went */
    int status;
    uint64_t made;  /* the first delivery that came of it; 0: none */
    uint8_t closed; /* fallback: the old one's state then, SUPERSEDED or DEAD ... */
    char *said;     /* ... and why; own, freed by the owner */
    /* its own */
    bool there; /* backfill: the event has a delivery of the route */
    bool begun;
    struct list node; /* flow.remaps: those that are begun, and those that wait for them */
    struct event *event;
    struct sibling *siblings;
    size_t n_siblings, pending;
};

/** `done` may be called before this returns. */
void remap_start(struct remap *m);
/** Shall this piece be made? Not if a sibling of the old one is it. */
bool remap_wants(const struct remap *m, const char *piece);
/** Does `once` apply? Not to what has the key already, since the old one took it. */
bool remap_takes_once(const struct remap *m, sl_str piece);
uint32_t remap_generation(const struct remap *m, sl_str piece);
/** Of a fallback's piece: its detail (own, may be NULL) with what it stands in for; own. */
char *remap_detail(const struct remap *m, char *detail);
/** Where the old one was sent: it may have arrived there. NULL: nowhere. */
const char *remap_sent_to(const struct remap *m, sl_str piece);
/** May it have arrived there? Then what replaces it, under its key, goes nowhere else either. */
bool remap_in_doubt(const struct remap *m, const struct rec_delivery *rd);
/** Where it may have arrived, if that is not this endpoint; NULL: nowhere else. */
const char *remap_may_be_at(const struct remap *m, sl_str piece, const char *endpoint);
/** The record that closes the old one and raises the new one's generation. */
void remap_record(struct remap *m, const struct rec_routed *routed, struct buf *out);
/** From the router: it is durable, or failed. */
void remap_routed(struct remap *m, uint64_t first_num, int status);

/* routed.c */
/** What was made of it before the store was lost and restored may have been sent. So may what
 *  follows from a delivery of that time, though it is learned only now that it had arrived. */
bool routing_restored(const struct routing *rt);

/* origin.c */
/** Where the target is the event's origin: which endpoint that is, or the piece is an error. */
void origin_find(struct routing *rt, struct piece *p);

void piece_free(struct piece *p); /* what it owns */
/* router.c */
void routing_end(struct routing *rt); /* it is over: the next of its subject may begin */
/** Only now it is known what it is about. False: it waits behind another of its subject, and begins
 *  again after that. */
bool routing_turn(struct routing *rt);

void routing_go(struct routing *rt); /* on to its links and its map */

/* routed.c */
/** Store that another event, `original`, has said it; `note`: how that is known. Static text. */
void routed_duplicate(struct routing *rt, uint64_t original, sl_str note);

/* links.c */
/** What the event says that foreign ids belong to, as a record that follows that of its routing. */
void links_record(const struct routing *rt, struct commit *c);
void links_recorded(const struct routing *rt); /* it is durable */
/** Only references are known: ask their links what it is about; then it is mapped, or waits. False:
 *  there is nothing to ask. */
bool links_ask(struct routing *rt);
void links_stored(struct routing *rt); /* that it waits is durable */
/** It began to wait in this process, which has its own eye on it. While router.looking. */
bool links_begun_here(const struct router *r, uint64_t id);
void links_looked(struct router *r); /* all that waited before are found */

/* routing.c */
struct routing *routing_new(struct flow *f, struct event *e);
struct routing *routing_try_new(struct flow *f, struct event *e); /* NULL: no memory */
void routing_free(struct routing *rt);                            /* and its event */

/** Ask the adapter what the event is about. 0; UV_EINVAL with `note` set; UV_ENOMEM: ask again
 * later. */
int routing_describe(struct routing *rt);
/** Run the routes, or make a dead letter for each of them when the event is not understood;
 *  `rt->done` is called once, never before this returns. With `rt->no_memory` set then, nothing
 * came of it, and it may be called again. */
void routing_map(struct routing *rt);
/** What it is `with` was looked up, as far as it could be. */
void routing_run(struct routing *rt);
/** The variables of its programs, an object without its closing bracket. */
void routing_vars(struct buf *to, const struct event *e);
/** The event key: 16 bytes; false when it has none. */
bool routing_event_key(const struct routing *rt, uint8_t out[16]);
/** The same of an event that is not stored yet, as its adapter describes it; false: it has none.
 *  `ret_subject`: own; NULL: it has none. */
bool routing_key_of(struct flow *f, struct event *e, uint8_t out[16], char **ret_subject);
const char *routing_subject(const struct routing *rt); /* "" when it has none */
/** A subject that a link gave. */
void routing_about(struct routing *rt, sl_str subject);
