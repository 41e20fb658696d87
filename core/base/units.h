/*
 * units.h - durations and sizes as people write them, parsed in one place.
 */
#pragma once

#include <stdint.h>
#include <sluice/types.h>

/** "250ms", "30s", "5m", "24h", "28d"; a whole number and one unit. 0 or UV_EINVAL / UV_ERANGE. */
int units_duration(sl_str s, int64_t *ret_ms);
/** "512", "64KiB", "1MiB", "2GiB" ("K", "M", "G" mean the same). 0 or UV_EINVAL / UV_ERANGE. */
int units_size(sl_str s, int64_t *ret_bytes);
/** The shortest exact form: 90000 -> "90s"; `out` holds 24 bytes. */
void units_format_duration(int64_t ms, char out[24]);
void units_format_size(int64_t bytes, char out[24]);

/** Edit distance (insert, delete, replace, swap of neighbours), for "did you mean". More than
 *  `limit` is given as limit + 1, and so is any difference between names past 128 bytes. */
unsigned units_edit_distance(sl_str a, sl_str b, unsigned limit);
