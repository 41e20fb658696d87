/*
 * await.h - what waits for an event, and which events came before: asked while an event is routed,
 * between its mapping and its record. What it ends - holds that it releases or rejects, deadlines
 * that it meets - is decided in the same append as what was made of it; so is what it need not
 * wait for, because that has come already.
 *
 * Events of one subject are routed one after the other, so of two that belong together the later
 * one always finds the earlier.
 *
 * Thread: loop.
 */
#pragma once

#include "flow/routing.h"

struct await;

/** Ask what is to be asked before rt's record is written; router_store() is called again when that
 *  is done. False: there is nothing to ask, or it was. */
bool await_ask(struct routing *rt);
/** Its records, after that of what was made of the event, and refused with it. */
void await_record(struct routing *rt, struct commit *c);
/** They are durable, or not: the holds move, what is taken is free. `c` NULL: they were never
 *  written. */
void await_end(struct routing *rt, const struct commit *c, int status);
void await_free(struct routing *rt);
void await_close(struct flow *f); /* programs */
