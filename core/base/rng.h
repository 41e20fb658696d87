/*
 * rng.h - random numbers: a seeded, reproducible one for jitter and tests, and the system's for
 * ids.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

/** xoshiro256**; not for secrets. */
struct rng {
    uint64_t s[4];
};

void rng_seed(struct rng *r, uint64_t seed);
uint64_t rng_next(struct rng *r);
/** Uniform in [0, bound); 0 when bound is 0. */
uint64_t rng_below(struct rng *r, uint64_t bound);

/** From the kernel, blocking never after boot; aborts the process when it has none. @thread any */
void rng_system(void *out, size_t n);
