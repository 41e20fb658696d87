/*
 * usage.h - how the org's calls of the last 24 hours came, so that it can be said when the first of
 * them leave the window again. Pure: time is an argument, wall clock.
 */
#pragma once

#include <stdint.h>

#define USAGE_SLOTS 48 /* half an hour each: a day */

/** All zero is valid: nothing is known yet. */
struct usage {
    int64_t slot[USAGE_SLOTS]; /* which half-hour since 1970 stands here */
    int64_t came[USAGE_SLOTS]; /* calls, ours and others' */
    int64_t used;              /* as it was said last; what came before the first is not known */
    int64_t first_ms;          /* when it was said first; 0: never */
};

/** So many are used now. */
void usage_note(struct usage *u, int64_t used, int64_t now_ms);
/** When `calls` of those that are known will have left; 0: so many are not known. */
int64_t usage_room_at(const struct usage *u, int64_t calls, int64_t now_ms);
