/*
 * breaker.h - a circuit breaker with a sliding window.
 *
 * Closed: results are counted in twelve slots of the window; at least min_calls of which
 * failure_percent failed or were slow trip it. Open: nothing passes, for open_ms doubled with each
 * trip in a row up to open_max_ms, with jitter of a tenth. Half-open: at most `probes` calls at
 * once; as many successes close it, one failure trips it again.
 *
 * Only moves along closed -> open -> half-open -> (closed | open) are legal; reset() closes by
 * hand, hold() opens by hand and until then.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include "base/rng.h"

enum breaker_state { BREAKER_CLOSED, BREAKER_OPEN, BREAKER_HALF_OPEN, BREAKER__COUNT };
extern const char *const breaker_state_names[BREAKER__COUNT];

#define BREAKER_SLOTS 12

struct breaker_conf {
    uint64_t window_ms;
    uint32_t min_calls;
    uint32_t failure_percent;
    uint64_t open_ms, open_max_ms;
    uint32_t probes;
};

struct breaker {
    struct breaker_conf conf;
    enum breaker_state state;
    struct {
        uint64_t epoch; /* which slot-length since time 0 */
        uint32_t calls, failures;
    } slots[BREAKER_SLOTS];
    uint64_t open_until;
    uint32_t trips_in_row;
    uint32_t probes_out, probes_good;
    uint64_t trips; /* in all */
    bool by_hand;   /* open until it is reset by hand */
};

void breaker_init(struct breaker *b, const struct breaker_conf *conf);
/** Other settings from now on; its state stays, and an open one opens again when it would have. */
void breaker_change(struct breaker *b, const struct breaker_conf *conf);
/** May a call go now? 0: yes, and it counts as a probe when half-open: answer it with
 *  breaker_result(). Else milliseconds until it is worth asking again (at least 1). */
uint64_t breaker_ask(struct breaker *b, uint64_t now_ms);
/** The same without asking for leave: 0, or milliseconds until it is worth asking. */
uint64_t breaker_wait(const struct breaker *b, uint64_t now_ms);
/** The result of a call that was allowed. Returns true when this tripped it. */
bool breaker_result(struct breaker *b, bool good, uint64_t now_ms, struct rng *rng);
/** An allowed call that says nothing of the remote's health (429, cancelled): frees the probe. */
void breaker_forget(struct breaker *b);
void breaker_trip(struct breaker *b, uint64_t now_ms, struct rng *rng);
/** By hand: nothing passes until breaker_reset(). */
void breaker_hold(struct breaker *b);
/** A process before left it open until then. */
void breaker_restore(struct breaker *b, uint64_t open_until, uint32_t trips_in_row);
void breaker_reset(struct breaker *b);
