/*
 * usage.c - half-hours of a day.
 */
#include "usage.h"

#define SLOT_MS INT64_C(1800000)

void usage_note(struct usage *u, int64_t used, int64_t now_ms)
{
    int64_t slot = now_ms / SLOT_MS, more = used - u->used;
    int at = (int)(slot % USAGE_SLOTS);

    u->used = used;
    if (!u->first_ms) {
        u->first_ms = now_ms;
        return;
    }
    if (more <= 0)
        return;
    if (u->slot[at] != slot) {
        u->slot[at] = slot;
        u->came[at] = 0;
    }
    u->came[at] += more;
}

int64_t usage_room_at(const struct usage *u, int64_t calls, int64_t now_ms)
{
    int64_t left = 0;

    for (int64_t slot = now_ms / SLOT_MS - USAGE_SLOTS + 1; slot <= now_ms / SLOT_MS; slot++) {
        int at = (int)(slot % USAGE_SLOTS);

        if (u->slot[at] != slot)
            continue;
        left += u->came[at];
        if (left >= calls) /* the last of its half-hour */
            return (slot + 1 + USAGE_SLOTS) * SLOT_MS;
    }
    return 0;
}
