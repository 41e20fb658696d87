/*
 * forecast.h - when a quota will be used up, if its use goes on as in the last hour.
 *
 * What counts is how its use has grown on the whole: in a window that slides, what leaves it behind
 * is in that, so that a steady day at 90 % forecasts nothing.
 *
 * Pure: time is an argument, wall clock.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define FORECAST_POINTS   61 /* one a minute */
#define FORECAST_EACH_MS  INT64_C(60000)
#define FORECAST_LEAST_MS INT64_C(600000) /* a shorter past says nothing */

/** All zero is valid: nothing is known yet. */
struct forecast {
    struct {
        int64_t at_ms, used;
    } points[FORECAST_POINTS];
    size_t n, next;
};

/** How much is used now; call it as often as you like. A window that began anew, or a clock that
 *  was set back, begins the past anew. */
void forecast_note(struct forecast *f, int64_t used, int64_t limit, int64_t now_ms);
/** Calls an hour, by the last hour's growth; 0: it does not grow, or that is not known yet. */
int64_t forecast_per_hour(const struct forecast *f);
/**
 * When `level` of it will be used.
 * @param reset_ms  the window's end; 0: none is known, or it slides
 * @param ahead_ms  how far ahead it is believed
 * @return wall clock, `now_ms` when it is there already; 0: not within `ahead_ms`, nor before the
 *         window's end
 */
int64_t forecast_at(const struct forecast *f, int64_t level, int64_t reset_ms, int64_t ahead_ms,
                    int64_t now_ms);
