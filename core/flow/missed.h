/*
 * missed.h - events that should have come by themselves: what a sweep finds and nothing that is
 * known says already; and what comes after all, once a sweep has said it.
 *
 * A sweep's event has other bytes, and often a later version, than the one that was lost, so their
 * event keys differ. It says instead which events of its subject would have said the same: those of
 * some topics, of some version or newer. That is asked twice: before it is stored, so that what is
 * there costs nothing, and again when it is routed, where events of one subject come one after the
 * other and the answer is exact.
 *
 * The other way round, a routed one leaves a key of its topic and subject in the log. Whatever
 * comes by itself is refused by that key first; then the index says whether it is as old as what
 * was found, and so the same, or newer.
 *
 * Thread: loop.
 */
#pragma once

#include "flow/routing.h"

/** Which events say the same. Views. */
struct missed {
    sl_str unless; /* topics with spaces between */
    sl_str since;  /* of this version or newer; empty: it is no such event */
};

/** As the headers of its receipt, and back; `to` is appended to. Views into `headers`. */
void missed_encode(const struct missed *m, struct buf *to);
struct missed missed_decode(sl_str headers);

/** The newest of these events that says the same; 0: none. */
uint64_t missed_known(const struct missed *m, sl_str endpoint, const struct store_came *came,
                      size_t n);

/** Before it is mapped: is it known? It is a duplicate then, or routing_go() follows. False: there
 *  is nothing to ask. */
bool missed_ask(struct routing *rt);
/** Keys of its record: room for MISSED_KEYS is there. */
#define MISSED_KEYS 1
void missed_keys(const struct routing *rt, struct store_record *rec);
/** Its record was refused, by no key but the one of missed_keys(): a duplicate of what was found,
 * or router_store() follows. */
void missed_refused(struct routing *rt);

#define MISSED_LOOK 1000 /* events of a subject that are looked through, newest first */
