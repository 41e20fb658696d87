/*
 * bucket.h - a token bucket in integers on the monotonic clock.
 *
 * Level and rate are in thousandths of a token, so a rate such as 0.5 a second is exact and nothing
 * drifts. The level may go below zero by bucket_charge(): calls that could not wait are paid later.
 */
#pragma once

#include <stdint.h>

struct bucket {
    uint64_t rate_milli; /* thousandths of a token a second; 0: no limit */
    int64_t capacity;    /* thousandths */
    int64_t level;       /* thousandths, at `at_ms` */
    uint64_t at_ms;
    uint64_t remainder;     /* of the refill's division, so that nothing is lost by rounding */
    uint64_t blocked_until; /* emptied by the remote (429, Retry-After) until then; 0: not */
};

/** Starts full. @param rate_milli tokens per 1000 s  @param burst whole tokens, at least 1 */
void bucket_init(struct bucket *b, uint64_t rate_milli, uint32_t burst, uint64_t now_ms);
/** Another rate and burst from now on: what is in it stays in proportion, what it owes as it is. */
void bucket_change(struct bucket *b, uint64_t rate_milli, uint32_t burst, uint64_t now_ms);
/** Take `cost` whole tokens: 0 when taken; else milliseconds until it is worth asking again (at
 *  least 1), and nothing was taken. */
uint64_t bucket_take(struct bucket *b, uint32_t cost, uint64_t now_ms);
/** How long until bucket_take would succeed, without taking. */
uint64_t bucket_wait(struct bucket *b, uint32_t cost, uint64_t now_ms);
/** Pay for what went out anyway; the level may become negative. */
void bucket_charge(struct bucket *b, uint32_t cost, uint64_t now_ms);
/** The remote said: not before `until_ms`. Empties the bucket; refilling starts then. */
void bucket_block(struct bucket *b, uint64_t until_ms, uint64_t now_ms);
