/*
 * hostile.h - between the parts of the hostile client (hostile.c): the loop over its connections,
 * and what they send.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define PREFIX_MOST 65536

/** What one connection sends: `prefix`, then `filler` again and again, `fill` bytes in all. */
struct load {
    char prefix[PREFIX_MOST];
    size_t prefix_len;
    const char *filler;
    size_t filler_len;
    size_t fill;
};

/** Small, fast, seeded. */
struct dice {
    uint64_t state;
};

uint64_t dice_roll(struct dice *d);
uint32_t dice_below(struct dice *d, uint32_t n); /* 0 to n - 1 */

/** Fill the pools that loads point into. */
void loads_init(struct dice *d);
/** The next of the mix. */
void load_make(struct load *l, struct dice *d);
