/*
 * iso_time.h - times as remotes write them, as UTC text that sorts.
 */
#pragma once

#include <sluice/sluice.h>

#define TIME_TEXT_SIZE sizeof("2026-11-20T09:15:32.000Z")

/** An ISO 8601 time with an offset ("2026-11-20T10:15:32+01:00", "Z", "+0000", a fraction) as
 *  RFC 3339 in UTC with ms, which sorts as text. SL_E_INVALID, `ret` untouched: not such a time. */
sl_status time_normalise(sl_str text, char ret[TIME_TEXT_SIZE]);
