/*
 * quota.h - calls within a window that ends at a time of the wall clock: per day by contract, or
 * whatever window a remote's headers speak of.
 *
 * Counted here, and set right by what the remote says: it sees the use by other clients too.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#define QUOTA_DAY_MS INT64_C(86400000)

struct quota {
    int64_t limit; /* calls in a window; 0: none is known */
    int64_t used;  /* as far as is known */
    int64_t out;   /* of calls not answered yet: a window that begins now may count them */
    int64_t
        period_ms;    /* windows follow each other, from midnight UTC on; 0: the remote says when */
    int64_t reset_ms; /* wall clock: the end of this window; 0: not known */
};

void quota_init(struct quota *q, int64_t limit, int64_t period_ms);
/** How long until `calls` more may go and `keep` are left over: 0, or milliseconds. */
int64_t quota_wait(struct quota *q, int64_t calls, int64_t keep, int64_t wall_ms);
void quota_take(struct quota *q, int64_t calls, int64_t wall_ms);
/** A call that was taken is answered, or never will be. */
void quota_heard(struct quota *q);
/**
 * The remote's figures.
 * @param limit      0: not said
 * @param remaining  when the answer was written
 * @param since      calls that left after the one that was answered; of those that are out nobody
 *                   knows whether it counts them
 * @param reset_ms   milliseconds from now; -1: not said
 */
void quota_told(struct quota *q, int64_t limit, int64_t remaining, int64_t since, int64_t reset_ms,
                int64_t wall_ms);
/** The same, of an answer that was overtaken by a newer one: it cannot know of less, nor of an
 *  earlier end; of a window before the known one it says nothing. */
void quota_told_late(struct quota *q, int64_t limit, int64_t remaining, int64_t since,
                     int64_t reset_ms, int64_t wall_ms);
