/*
 * why.h - why a delivery does not go now, for people: causes in the order in which they bind.
 *
 * A cause is a function over one live delivery. A file that makes deliveries wait declares its
 * cause here and puts it into the table of why.c, before those that count only without it.
 *
 * Thread: loop. Nothing is changed by asking.
 */
#pragma once

#include "flow/state.h"

/** True: this is why, and *ret says so by why_say(). */
typedef bool why_cause(struct delivery *d, struct why *ret);

/** @param until_ms  wall clock, 0: nobody knows */
void why_say(struct why *ret, int64_t until_ms, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));
