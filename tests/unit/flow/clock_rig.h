/*
 * clock_rig.h - the flow by a simulated clock, over the simulated store of tests/sim: what waits
 * for a time or for an event, to the millisecond, with restarts and clocks that are set.
 *
 * The endpoint "shop" sends events; a body is its subject, or "SUBJECT ref ID" with a reference, or
 * "SUBJECT at VERSION". "crm" takes deliveries at once, as `kind` says; a look-up finds nothing.
 * There are no mapping workers: a program of a hold is true for an event whose body has the
 * program's text in it, and a route's makes a piece of each key in "SUBJECT /KEY/KEY", and fails
 * without one. What a route is `with` has the keys in "SUBJECT /KEY?A?B": a row of crm for each,
 * but for those that begin with "none" (not there) and "two" (an error). A
 * test may give "crm" a plugin of its own before clock_rig_up().
 */
#pragma once

#include "../check.h"

#include <stdlib.h>
#include <string.h>
#include "../../sim/store_sim.h"
#include "../../sim/world.h"
#include "base/clock.h"
#include "base/mem.h"
#include "flow/state.h"
#include "route_rig.h"

#define SEC  INT64_C(1000)
#define HOUR (3600 * SEC)

enum { SHOP, CRM, CLOCK_ENDPOINTS };

struct told { /* a durable move or an emitted event */
    uint64_t num;
    int64_t at_ms; /* wall clock */
    uint8_t state; /* of a move */
    char who[24], topic[40], reason[120];
};

struct clock_rig {
    struct world w;
    struct store_plan plan;
    struct store *store;
    struct flow *flow;
    struct config config;
    struct conf_endpoint endpoints[CLOCK_ENDPOINTS];
    struct conf_route routes[4];
    struct conf_target targets[4];
    char *topics[4];
    struct adapter adapters[CLOCK_ENDPOINTS], *table[CLOCK_ENDPOINTS];
    uint32_t kind;    /* SL_* of each delivery's outcome */
    const char *why;  /* of each outcome */
    const char *link; /* delivered: it writes a link of kind "po" with this id; NULL: none */
    uint64_t delivers, questions, lookups;
    uint64_t finds, find_keys;   /* questions for rows, and keys in them */
    uint32_t find_verdict;       /* SL_FIND_* of each answer; 0: none comes ... */
    struct rig_find *unanswered; /* ... until clock_rig_answer_finds() */
    char log[512];               /* names delivered, each with a blank, as far as there is room */
    struct told *moves, *emits;  /* own */
    size_t n_moves, n_emits;
    uint64_t last_event;
    bool answered; /* what was asked last */
    struct decided decided;
    bool up;
};

#define RIG_FIND_KEYS 10 /* of one question */
/** What the last program of a route that ran was told. */
extern char clock_rig_vars[1000];
/** Those whose answer did not come. */
void clock_rig_answer_finds(struct clock_rig *r);

void clock_rig_init(struct clock_rig *r);
struct conf_route *clock_rig_route(struct clock_rig *r, const char *name, const char *topic);
void clock_rig_up(struct clock_rig *r);
/** As by kill -9. */
void clock_rig_crash(struct clock_rig *r);
void clock_rig_finish(struct clock_rig *r);

/** An event; durable and routed when this returns. The num of its first delivery. */
uint64_t clock_rig_event(struct clock_rig *r, const char *topic, const char *body);
uint64_t clock_rig_event_of(struct clock_rig *r, const char *endpoint, const char *topic,
                            const char *body);
/** The same, without waiting for anything. */
void clock_rig_begin_event(struct clock_rig *r, const char *endpoint, const char *topic,
                           const char *body);
/** On for so many milliseconds of the monotonic clock. */
void clock_rig_pass(struct clock_rig *r, int64_t ms);
struct row *clock_rig_row(const struct clock_rig *r, uint64_t num);
/** DS__COUNT: nothing is durable of it. */
enum delivery_state clock_rig_state(const struct clock_rig *r, uint64_t num);
struct deadline_row *clock_rig_deadline(const struct clock_rig *r, uint64_t num);
/** The only move of this delivery by that one ("clock", "event ..."); NULL: none; fails on two. */
const struct told *clock_rig_moved(const struct clock_rig *r, uint64_t num, const char *who);
const struct told *clock_rig_emitted(const struct clock_rig *r, uint64_t num, const char *topic);

/** A decision about one delivery; its status once it is durable. */
int clock_rig_decide(struct clock_rig *r, enum decision what, uint64_t num,
                     const struct decide *more);
/** The same, without waiting: `answered` says when it is. */
void clock_rig_begin_decide(struct clock_rig *r, enum decision what, uint64_t num,
                            const struct decide *more);
/** Of an endpoint, or a `route`: by a person, durably. */
void clock_rig_stop(struct clock_rig *r, bool route, const char *name, enum pause_what what);
/** The same of a route. */
void clock_rig_pause(struct clock_rig *r, const char *route, enum pause_what what);
