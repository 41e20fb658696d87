#include "flow/forecast.h"

#define HOUR_MS INT64_C(3600000)

static size_t newest(const struct forecast *f)
{
    return (f->next + FORECAST_POINTS - 1) % FORECAST_POINTS;
}

static size_t oldest(const struct forecast *f)
{
    return (f->next + FORECAST_POINTS - f->n) % FORECAST_POINTS;
}

void forecast_note(struct forecast *f, int64_t used, int64_t limit, int64_t now_ms)
{
    size_t last = newest(f);

    if (f->n && (now_ms < f->points[last].at_ms || used < f->points[last].used - limit / 10))
        f->n = 0;
    if (f->n && now_ms - f->points[last].at_ms < FORECAST_EACH_MS)
        return;
    f->points[f->next].at_ms = now_ms;
    f->points[f->next].used = used;
    f->next = (f->next + 1) % FORECAST_POINTS;
    f->n += f->n < FORECAST_POINTS;
    /* what is older than an hour, after a while without a look */
    while (now_ms - f->points[oldest(f)].at_ms > HOUR_MS)
        f->n--;
}

int64_t forecast_per_hour(const struct forecast *f)
{
    int64_t past_ms, grown;

    if (f->n < 2)
        return 0;
    past_ms = f->points[newest(f)].at_ms - f->points[oldest(f)].at_ms;
    grown = f->points[newest(f)].used - f->points[oldest(f)].used;
    if (past_ms < FORECAST_LEAST_MS || grown <= 0)
        return 0;
    return (int64_t)((double)grown * HOUR_MS / (double)past_ms);
}

int64_t forecast_at(const struct forecast *f, int64_t level, int64_t reset_ms, int64_t ahead_ms,
                    int64_t now_ms)
{
    int64_t per_hour = forecast_per_hour(f), left, at;

    if (!f->n || !per_hour)
        return 0;
    left = level - f->points[newest(f)].used;
    if (left <= 0)
        return now_ms;
    if (left / per_hour > ahead_ms / HOUR_MS)
        return 0;
    at = f->points[newest(f)].at_ms + (int64_t)((double)left * HOUR_MS / (double)per_hour);
    if (at < now_ms)
        at = now_ms;
    if (at - now_ms > ahead_ms || (reset_ms && at >= reset_ms))
        return 0;
    return at;
}
