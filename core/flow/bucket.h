/*
 * bucket.h - what may be spent at a remote, in integers on the monotonic clock.
 *
 * One face for three kinds: calls a second with a burst, slots that leak (Shopify's REST), points
 * that are restored (Shopify's GraphQL). All of them hold at most `capacity` and gain `rate_milli`
 * a second; they differ in what a call costs and in how much of the remote's word is believed.
 *
 * Level and rate are in thousandths of a token, so a rate such as 0.5 a second is exact and nothing
 * drifts. The level may go below zero by bucket_charge(): calls that could not wait are paid later.
 *
 * Fed back: an answer says what was left when the remote wrote it. That figure is older than what
 * was sent since, and does not know it; so each call carries a ticket of what had been spent when
 * it left, and what was spent after that is taken off the figure. What is missing then was used by
 * others: their rate is learnt, and counted upon between two answers.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#define BUCKET_PAST 64 /* departures that are remembered */

enum bucket_kind { BUCKET_REQUESTS, BUCKET_LEAKY, BUCKET_POINTS, BUCKET__COUNT };
extern const char *const bucket_kind_names[BUCKET__COUNT];

struct bucket {
    uint64_t rate_milli; /* thousandths of a token a second; 0: no limit */
    int64_t capacity;    /* thousandths */
    int64_t level;       /* thousandths, at `at_ms` */
    uint64_t at_ms;
    uint64_t remainder;     /* of the refill's division, so that nothing is lost by rounding */
    uint64_t blocked_until; /* emptied by the remote (429, Retry-After) until then; 0: not */
    int64_t margin;         /* thousandths that stay: arrivals are not as even as departures */
    uint64_t spent;         /* thousandths, in all ... */
    uint64_t returned;      /* ... of which the remote took less in the end */
    uint64_t out;           /* thousandths, of calls not answered yet */
    uint64_t jitter_ms;     /* two calls that leave so close may overtake each other */
    struct {
        uint64_t at_ms, spent;
    } past[BUCKET_PAST]; /* newest at n_past - 1, modulo */
    uint64_t n_past;
    /* what others use */
    uint64_t foreign;      /* thousandths a second, as learnt; below rate_milli */
    uint64_t foreign_ms;   /* ... when that was last known, or halved */
    int64_t surprise;      /* thousandths that stay for it: the largest miss of late */
    int64_t used_sum;      /* thousandths they used within ... */
    uint64_t used_ms;      /* ... so long, both fading */
    int64_t spare;         /* thousandths that every figure had beyond our count ... */
    uint64_t spare_ms;     /* ... since then; 0: not the newest */
    int64_t lowered;       /* thousandths that were taken off for others and may come back */
    uint64_t shared_until; /* somebody else was seen: two tokens stay instead of one */
    bool fed;              /* figures come, and are believed */
    bool told;             /* the newest figure: */
    uint64_t told_at;      /* when its answer came */
    uint64_t told_spent, told_returned;
    int64_t told_left; /* thousandths */
};

/** What a call knew when it left. */
struct bucket_ticket {
    uint64_t spent; /* thousandths: all until then, itself included */
    uint64_t cost;  /* thousandths: its own */
    uint64_t at_ms;
};

/** Starts full. @param rate_milli tokens per 1000 s  @param burst whole tokens, at least 1 */
void bucket_init(struct bucket *b, uint64_t rate_milli, uint32_t burst, uint64_t now_ms);
/** Another rate and burst from now on: what is in it stays in proportion, what it owes as it is. Of
 *  one that is fed what is in it stays as it is: the remote's did not change. */
void bucket_change(struct bucket *b, uint64_t rate_milli, uint32_t burst, uint64_t now_ms);
/** Other limits from now on; what is in it stays, as far as it has room. */
void bucket_resize(struct bucket *b, uint64_t rate_milli, int64_t capacity, uint64_t now_ms);
/** Take `cost` whole tokens: 0 when taken; else milliseconds until it is worth asking again (at
 *  least 1), and nothing was taken. */
uint64_t bucket_take(struct bucket *b, uint32_t cost, uint64_t now_ms);
/** How long until bucket_take would succeed, without taking. */
uint64_t bucket_wait(struct bucket *b, uint32_t cost, uint64_t now_ms);
/** The same, and `keep` thousandths must be left over; a bucket too small for both need not. And so
 *  must the `promised` tokens of others. UINT64_MAX: not before they have taken them. */
uint64_t bucket_wait_keep(struct bucket *b, uint32_t cost, uint32_t promised, int64_t keep,
                          uint64_t now_ms);
/** Pay for what went out anyway; the level may become negative. */
void bucket_charge(struct bucket *b, uint32_t cost, uint64_t now_ms);
/** How long until it is full, if `more` thousandths were taken now. Without a limit: 0. */
uint64_t bucket_full_in(struct bucket *b, int64_t more, uint64_t now_ms);
/** As new, and yet it will be full in so long: a process before used it. */
void bucket_lacks(struct bucket *b, uint64_t ms);
/** The remote said: not before `until_ms`. Empties the bucket; refilling starts then. */
void bucket_block(struct bucket *b, uint64_t until_ms, uint64_t now_ms);
/** Departures may arrive so much closer together: that many thousandths stay in it. */
void bucket_jitter(struct bucket *b, uint64_t ms);

/** A call leaves that `cost` tokens were taken for; what was taken for others that have not left
 *  yet is `pending` thousandths. Each ticket is given back by bucket_heard(). */
struct bucket_ticket bucket_leave(struct bucket *b, uint32_t cost, uint64_t pending,
                                  uint64_t now_ms);
/** It was answered, or never will be. */
void bucket_heard(struct bucket *b, const struct bucket_ticket *t);
/** So many thousandths that were taken have not been spent, or were given back by the remote. Tell
 *  it before bucket_told() of the same answer. */
void bucket_return(struct bucket *b, uint64_t milli, uint64_t now_ms);
/** A call was refused for pace: the remote did not count it, somebody else was quicker. */
void bucket_refused(struct bucket *b, uint32_t cost);
/** Its answer says that `left` thousandths were left. */
void bucket_told(struct bucket *b, const struct bucket_ticket *t, int64_t left, unsigned flags,
                 uint64_t now_ms);
#define BUCKET_TOLD_RAISE 1u /* more than we counted is believed: it is no limit of our choice */
#define BUCKET_TOLD_LATE  2u /* written with the answer, not when the call was let in */
