/*
 * clock.h - the two clocks. Pure logic takes time as an argument; only the edges call these.
 */
#pragma once

#include <stdint.h>

/** Milliseconds (microseconds) that never go back; no relation to the calendar. @thread any */
uint64_t clock_mono_ms(void);
uint64_t clock_mono_us(void);
/** Milliseconds since 1970-01-01 UTC; may jump. @thread any */
int64_t clock_wall_ms(void);

/** "2026-11-20T09:15:32.123Z"; `out` holds at least 25 bytes. */
void clock_format(int64_t wall_ms, char out[32]);
/** RFC 3339 / ISO 8601 with zone ("2026-11-20T10:15:32+01:00", fraction optional, "Z", "+0000")
 *  to wall ms. 0, or UV_EINVAL with *ret untouched. */
int clock_parse(const char *s, uint64_t len, int64_t *ret);
