/*
 * quota_look.c - what a forecast of an endpoint's quota says to people.
 */
#include <inttypes.h>
#include <stdio.h>
#include "base/clock.h"
#include "watch/watch_int.h"

#define AHEAD_MS INT64_C(14400000) /* 4 h: a morning's work is left to do something about it */
#define OVER_MS  INT64_C(21600000) /* once said, it is over when it is farther ahead than this */

/** "at 14:20 UTC (in 3h)" */
static void time_text(int64_t at_ms, int64_t now_ms, char out[64])
{
    char stamp[32], age[24];

    clock_format(at_ms, stamp); /* 2026-11-22T14:20:00.000Z */
    age_text(at_ms - now_ms, age);
    if (at_ms > now_ms)
        snprintf(out, 64, "at %.5s UTC (in %s)", stamp + 11, age);
    else
        snprintf(out, 64, "now");
}

bool quota_look(struct forecast *f, const struct lane_stats *l, bool stands, int64_t now_ms,
                char text[320])
{
    int64_t ahead = stands ? OVER_MS : AHEAD_MS, spent, kept;
    char spent_at[64], kept_at[64];
    size_t n;

    if (l->quota_limit <= 0)
        return false;
    forecast_note(f, l->quota_used, l->quota_limit, now_ms);
    spent = forecast_at(f, l->quota_limit, l->quota_reset, ahead, now_ms);
    kept = l->quota_reserve
               ? forecast_at(f, l->quota_limit - l->quota_reserve, l->quota_reset, ahead, now_ms)
               : 0;
    if (!spent && !kept)
        return false;
    time_text(spent, now_ms, spent_at);
    time_text(kept, now_ms, kept_at);
    n = (size_t)snprintf(text, 320,
                         "%" PRId64 " of %" PRId64 " calls are used, %" PRId64
                         " in an hour; as it goes, ",
                         l->quota_used, l->quota_limit, forecast_per_hour(f));
    if (kept)
        n += (size_t)snprintf(text + n, 320 - n, "only critical work leaves from %s on%s",
                              kept > now_ms ? kept_at + 3 : kept_at, spent ? ", and " : "");
    if (spent)
        snprintf(text + n, 320 - n, "the quota is used up %s", spent_at);
    return true;
}
