/*
 * keyrun_int.h - what reading and writing a run share.
 */
#pragma once

#include "store/bloom.h"
#include "store/keyrun.h"

#define KEYRUN_MAGIC     "SLUICKEY"
#define KEYRUN_FORMAT    1u
#define KEYRUN_PAGE_HEAD 32u
#define KEYRUN_ENTRY     32u

/** Zeroed, on a cache line; NULL: no memory. */
uint8_t *keyrun_filter_alloc(uint64_t n_blocks);
/** What the check sums of a run's pages begin with. */
uint32_t keyrun_seed(uint32_t first, uint32_t last);
