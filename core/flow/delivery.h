/*
 * delivery.h - a live delivery in memory: the state machine's head. What is final is only in the
 * index.
 */
#pragma once

#include <stdint.h>
#include <uthash.h>
#include "base/heap.h"
#include "base/list.h"
#include "config/config.h"
#include "store/record.h"

struct batch;
struct batch_item;
struct chain;
struct event;
struct gate;
struct lane;
struct parent;
struct passed;
struct pile;

struct delivery {
    uint64_t num;
    uint8_t id[16];
    enum delivery_state state;
    uint8_t priority;
    bool settling;    /* a move of it is on its way to the log: leave it alone */
    bool over_budget; /* WAITING: it could go, but for its endpoint's retry budget */
    bool deciding;    /* a person's decision about it is under way: likewise */
    bool doubt;   /* its endpoint may have it although nobody said so: see enum delivery_arrival */
    bool cleared; /* nothing earlier of its chain waits in the index alone: see earlier.c */
    bool asked_earlier; /* ... which is being asked */
    bool cancelling;    /* UNKNOWN: it is being taken back there: see cancel.c */
    bool aside;         /* it takes no place in its lane's window: see sift.c */
    bool trial;         /* sent to see whether its lane is well again: it stays there */
    uint32_t attempts;  /* burnt */
    uint32_t generation;
    uint32_t asked;  /* confirm: how often */
    int64_t next_ms; /* wall clock: WAITING, UNKNOWN */
    int64_t received_ms;
    int64_t first_sent_ms; /* 0: never */
    int64_t last_sent_ms;  /* by this process; what was read back: when it was read */
    int64_t since_ms;   /* of the retry policy's age: first sent, sent again after a decision; 0 */
    int64_t unknown_ms; /* since when it is unknown */
    uint64_t batch_id;  /* the newest that it was sent with */
    char *fallen;       /* own: where it was before, and why it left; NULL: it is no fallback's */
    char *why;          /* own: of what it waits since, WAITING and UNKNOWN; NULL: nothing to say */
    char *answer;       /* own: what a person answered when its adapter asked; NULL: nothing */
    const struct conf_route *route;   /* NULL: it is gone from the configuration */
    const struct conf_target *target; /* NULL: held without an endpoint, or the route is gone */
    const struct config
        *stale;                    /* share: route and target are of this one and no longer in the
                                      configuration; held when what is under way has ended. NULL: not */
    struct lane *lane;             /* flow.nowhere: no endpoint */
    char *subject, *piece, *topic; /* own */
    bool kept;                     /* its body counts in flow.kept_bytes */
    char *body;                    /* own; NULL: to be read from the store */
    size_t body_len;
    char *request; /* own; frozen; NULL: none, or to be read from the store */
    size_t request_len;
    bool indexed;   /* claimed, and nothing was written of it since: the index has all of it */
    bool fetch_on;  /* when it sets out, the bodies of those behind it are asked for; see fetch.c */
    size_t ahead;   /* bytes of its body that count in flow.ahead_bytes: it was read ahead */
    uint64_t fetch; /* its body is asked for by this fetch; 0: by none */
    struct batch_item *loading; /* INFLIGHT: its batch waits for its body; else NULL */

    struct chain *chain; /* NULL: its route is not ordered */
    struct list chain_node;
    uint32_t gates_passed; /* gate.c; all of them: nothing but its chain is before it */
    struct gate *gate;     /* where it waits; NULL: at none */
    struct list gate_node;
    struct passed *passed; /* overtake.c: it went past what it overtakes; NULL: not */
    struct list passed_node;
    struct list earlier_node;    /* in flow.earlier while it waits to be asked */
    struct list pile_node;       /* in its pile while ready and first of its chain, or ... */
    struct parent *waits_parent; /* ... with its parent, which another batch has: parents.c */
    struct parent *kept_parent;  /* one that is kept for its pile, since it was passed too often */
    uint64_t parent;             /* a hash of its parent's key; 0: it has none, or: */
    bool parent_known;
    uint8_t parent_passed; /* times its parent came free and went to others */
    uint32_t narrow;       /* it goes in a batch of at most so many; 0: in any. In memory alone */
    uint64_t ready_ms;     /* monotonic: since when it could leave; 0: it could not yet */
    struct heap *heap;     /* of its lane, while waiting or unknown ... */
    size_t heap_at;        /* ... and its place there; 0: in none */
    struct batch *batch;   /* INFLIGHT */
    UT_hash_handle hh;     /* flow.deliveries, by num */
};

void delivery_free(struct delivery *d); /* NULL is fine */
void delivery_set_body(struct delivery *d, sl_str body);
void delivery_set_request(struct delivery *d, sl_str request);
/** Forget body and request: they are read from the store when they are needed again. */
void delivery_drop_bytes(struct delivery *d);
/** Keep why it waits; empty: nothing. */
void delivery_set_why(struct delivery *d, sl_str why);
/** Idempotency key: 22 characters of its id, '-', its generation. */
void delivery_key(const struct delivery *d, char out[40]);
/** The id: first 16 bytes of SHA-256 over (event, route, piece). The destination is not in it, so
 *  that fail-over keeps it. The event stands there with its number, the time it was received, its
 *  endpoint and its sender's id: a number alone comes again in an emptied or restored store, and a
 *  supplier would take the new order for the old one. */
void delivery_hash(const struct event *e, sl_str route, sl_str piece, uint8_t out[16]);
