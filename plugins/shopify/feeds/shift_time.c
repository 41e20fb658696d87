/*
 * shift_time.c - see shift_time.h.
 */
#include "shift_time.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

#include "iso_time.h"

static int digits(const char *at, int n)
{
    int value = 0;

    for (int i = 0; i < n; i++)
        value = value * 10 + (at[i] - '0');
    return value;
}

sl_status time_ms(sl_str text, int64_t *ret)
{
    char utc[TIME_TEXT_SIZE];
    struct tm tm = { 0 };

    if (text.len == 0 || time_normalise(text, utc) < 0)
        return SL_E_INVALID;
    tm.tm_year = digits(utc, 4) - 1900;
    tm.tm_mon = digits(utc + 5, 2) - 1;
    tm.tm_mday = digits(utc + 8, 2);
    tm.tm_hour = digits(utc + 11, 2);
    tm.tm_min = digits(utc + 14, 2);
    tm.tm_sec = digits(utc + 17, 2);
    *ret = (int64_t)timegm(&tm) * 1000 + digits(utc + 20, 3);
    return SL_OK;
}

void time_text(int64_t ms, char ret[32])
{
    time_t s = (time_t)(ms / 1000);
    struct tm tm;
    size_t n;

    gmtime_r(&s, &tm);
    n = strftime(ret, 32, "%Y-%m-%dT%H:%M:%S", &tm);
    snprintf(ret + n, 32 - n, ".%03dZ", (int)(ms % 1000));
}

sl_status time_shift(sl_str text, int offset_min, char ret[SHIFTED_TIME_SIZE])
{
    int minutes = offset_min < 0 ? -offset_min : offset_min;
    struct tm tm;
    int64_t ms;
    time_t s;
    size_t n;

    if (minutes >= 24 * 60 || time_ms(text, &ms) < 0)
        return SL_E_INVALID;
    s = (time_t)(ms / 1000) + offset_min * 60;
    gmtime_r(&s, &tm);
    n = strftime(ret, SHIFTED_TIME_SIZE, "%Y-%m-%dT%H:%M:%S", &tm);
    snprintf(ret + n, SHIFTED_TIME_SIZE - n, "%c%02d:%02d", offset_min < 0 ? '-' : '+',
             minutes / 60, minutes % 60);
    return SL_OK;
}
