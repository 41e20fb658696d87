/*
 * bloom.h - a filter over keys: "certainly not there" or "maybe". One cache line is all it asks:
 * a key's bits lie in one block of 64 bytes.
 *
 * Twelve bits a key make about one maybe in two hundred of what is not there. The keys are hashes
 * already; the second half picks the block, the first the bits. Same bytes on every machine.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include "store/bytes.h"

#define BLOOM_BLOCK    64u
#define BLOOM_KEY_BITS 12u
#define BLOOM_PROBES   7u

/** Blocks for n keys; at least one. */
static inline uint64_t bloom_blocks(uint64_t n)
{
    uint64_t bits = n * BLOOM_KEY_BITS;

    return bits ? (bits + 8 * BLOOM_BLOCK - 1) / (8 * BLOOM_BLOCK) : 1;
}

/** The key's block of a filter of n blocks. */
static inline uint8_t *bloom_block(uint8_t *filter, uint64_t n, const uint8_t hash[16])
{
    uint64_t i = (uint64_t)(((unsigned __int128)bytes_get64(hash + 8) * n) >> 64);

    return filter + i * BLOOM_BLOCK;
}

static inline void bloom_add(uint8_t *filter, uint64_t n, const uint8_t hash[16])
{
    uint8_t *block = bloom_block(filter, n, hash);
    uint64_t h = bytes_get64(hash);

    for (unsigned i = 0; i < BLOOM_PROBES; i++, h >>= 9)
        block[(h & 511) >> 3] |= (uint8_t)(1u << (h & 7));
}

static inline bool bloom_maybe(const uint8_t *block, const uint8_t hash[16])
{
    uint64_t h = bytes_get64(hash);

    for (unsigned i = 0; i < BLOOM_PROBES; i++, h >>= 9)
        if (!(block[(h & 511) >> 3] & (1u << (h & 7))))
            return false;
    return true;
}
