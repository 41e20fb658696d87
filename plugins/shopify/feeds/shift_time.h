/*
 * shift_time.h - times as webhooks write them: whole seconds, with the shop's offset.
 */
#pragma once

#include <sluice/sluice.h>

#define SHIFTED_TIME_SIZE sizeof("2026-11-20T10:15:32+01:00")

/** An ISO 8601 time as one with the offset of so many minutes east of UTC, cut to seconds.
 *  SL_E_INVALID, `ret` untouched: not such a time. */
sl_status time_shift(sl_str text, int offset_min, char ret[SHIFTED_TIME_SIZE]);

/** ISO 8601 as ms since 1970, and back as UTC with ms. */
sl_status time_ms(sl_str text, int64_t *ret);
void time_text(int64_t ms, char ret[32]);
