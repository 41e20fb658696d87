/*
 * rounds.h - how much of a long test is done: all of it with SLUICE_LONG=1, else a part; in a build
 * with a sanitizer a smaller one, since there each round takes up to ten times as long and the
 * plain build has done the rest.
 */
#pragma once

#include <stdint.h>
#include <stdlib.h>

#if defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define ROUNDS_TSAN
#endif
#endif
#ifdef __SANITIZE_THREAD__
#define ROUNDS_TSAN
#endif

#if defined(ROUNDS_TSAN)
#define ROUNDS_PART 96
#elif defined(SLUICE_SANITIZED)
#define ROUNDS_PART 36
#else
#define ROUNDS_PART 3
#endif

/** Of all things to try in turn one in so many is tried: from `some` up. */
static inline uint64_t step_of(uint64_t some)
{
    return getenv("SLUICE_LONG") ? 1 : some * ROUNDS_PART;
}

/** Of `some` rounds that are done without SLUICE_LONG so many, at least 1. */
static inline uint64_t part_of(uint64_t some)
{
    uint64_t n = getenv("SLUICE_LONG") ? some : some / ROUNDS_PART;

    return n ? n : 1;
}
