/*
 * decide_state.h - a decision under way, shared by decide.c and decide_rules.c; nobody else
 * includes it. Thread: loop.
 */
#pragma once

#include "flow/decide_wait.h"
#include "flow/hold.h"
#include "flow/routing.h"

/** One delivery to decide about. While it is, nothing else may move the delivery (`deciding` of it
 *  in memory, also if it comes there meanwhile) and no second decision about it begins. */
struct choice {
    UT_hash_handle hh; /* flow.deciding, by row.num */
    struct deciding *all;
    size_t index;
    struct store_delivery row; /* strings owned */
    bool claimed;              /* it is in flow.deciding */
    bool found;
    bool remap; /* to be made again from its event */
    bool move;  /* `m` is to be written */
    struct rec_move m;
    char *detail;                /* own; of m */
    struct hold_verdict verdict; /* of a held one; the texts of `m` */
    enum decision what;
    char *type;       /* own; only if it is still held so; NULL: whatever it is */
    int64_t clock_ms; /* only while its clock says so; 0: whatever it says */
    struct remap again;
    char *edited; /* own; EDIT: the reason, with the old body's digest */
    char *body;   /* own; as it is, when something is filled in */
    size_t body_len;
    struct decide_wait wait;
    char *by; /* own; the route that its event goes by instead of its own; NULL: its own */
};

struct deciding {
    struct flow *flow;
    enum decision what;
    char *who, *why, *endpoint, *chosen, *body, *set;
    size_t body_len;
    bool remap, force, nothing_there, dry_run;
    const struct lookup *lookup;
    uint8_t set_priority;
    struct choice *choices;
    struct decided *results;
    size_t n, pending;
    void (*cb)(void *ctx, const struct decided *results, size_t n);
    void (*prepared)(void *ctx, struct deciding *a, const struct rec_moves *moves);
    void *ctx;
};

/* decide_rules.c */

/** This one is not decided; the result says why. */
void decide_refuse(struct choice *c, int status, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));
/** Its row is read: may it be decided so, and what does it mean? Sets `move` with `m`, or `remap`,
 *  or it is refused. */
void decide_judge(struct choice *c);
