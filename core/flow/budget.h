/*
 * budget.h - how many retries an endpoint gets: a share of its calls over a sliding window.
 *
 * A remote in trouble is not to be buried under repetitions of what it could not do the first time.
 * So retries stay below `percent` of the calls of the last 60 s; BUDGET_FLOOR of them go in any
 * case within the newest slots (5 to 10 s), so that a quiet lane still retries. A remote that has
 * done BUDGET_WELL calls in a row well, or has closed its breaker, is in no trouble: what waits for
 * its next attempt may all go.
 *
 * Time is an argument, on the monotonic clock.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define BUDGET_FLOOR     3
#define BUDGET_WELL      10
#define BUDGET_WINDOW_MS 60000
#define BUDGET_SLOTS     12

struct budget {
    uint32_t percent; /* 0 and 100: no bound */
    struct {
        uint64_t epoch; /* which slot-length since time 0 */
        uint32_t calls, retries;
    } slots[BUDGET_SLOTS];
    uint32_t well; /* calls in a row that went well, up to BUDGET_WELL */
};

/** Starts with nothing counted. */
void budget_init(struct budget *b, uint32_t percent);
/** A call set out. */
void budget_call(struct budget *b, uint64_t now_ms);
/** What became of one. */
void budget_result(struct budget *b, bool good);
/** The remote is known to be well: its breaker has closed. */
void budget_relax(struct budget *b);
/** May a retry go now? 0: yes, and it is counted. Else the milliseconds until it is worth asking
 *  again (at least 1), and nothing is counted. */
uint64_t budget_take(struct budget *b, uint64_t now_ms);
/** What the window holds. */
void budget_counts(const struct budget *b, uint64_t now_ms, uint32_t *ret_retries,
                   uint32_t *ret_calls);
