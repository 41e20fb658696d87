/*
 * with.h - a route's `with`: between the match and the programs, the rows that these see as $with
 * are looked up.
 *
 *   keys (a program of their own) -> look-ups, see find.h -> when, split, map, choose
 *
 * An event waits a moment for the rows, and its subject with it. What is not there by then makes a
 * held delivery of the route, of type "look-up": durable, without a body, with the reason and a
 * clock; the event's other routes go on. When the clock rings the event is mapped again for that
 * route, as soon as it can be answered. A question that is wrong, or a row that cannot be used,
 * makes a dead letter.
 *
 * Thread: loop.
 */
#pragma once

#include "flow/hold.h"
#include "flow/routing.h"

struct with;

/** Look up what rt's matched routes want; routing_run() follows. False: they want nothing. */
bool with_begin(struct routing *rt);
void with_free(struct with *w); /* NULL is fine */

enum with_says {
    WITH_ROWS,  /* its programs may run: what they see was appended to the variables */
    WITH_WAITS, /* not now: why */
    WITH_ERROR, /* never: why */
};
/** Of a route that has a `with`, in routing_run(). `vars`: a member of an object; `why`: text. */
enum with_says with_rows(const struct routing *rt, const struct conf_route *r, struct buf *vars,
                         struct buf *why);
/** What a delivery that waits says of it, own; and when it is looked at again, wall clock. */
char *with_detail(uint32_t tries, const char *owner);
int64_t with_next(struct flow *f, uint32_t tries);

/** The clock of a delivery that waits rang. True: it may be mapped again; else `v` says what is
 *  written. */
bool with_rang(struct flow *f, const struct store_delivery *row, struct hold_verdict *v);
/** It may be: so it is, as a decision of its own. */
void with_again(struct flow *f, uint64_t num, int64_t clock_ms);

void with_close(struct flow *f); /* events that wait for rows: nothing comes any more */
