/*
 * in_hand.h - what an adapter is working on, written where it outlives the process.
 *
 * A plugin runs in the daemon, so one that crashes takes the daemon with it; started again, the
 * daemon would hand it the same thing and crash again. So the numbers of what is in hand stand in a
 * mapped file while a plugin's function runs. Whoever opens that file after a process that ended
 * there counts it, and what was in hand at three ends in a row is set aside.
 *
 * The file is never synced: it is to outlive the process, not the machine. A kill from outside can
 * be counted too, but the count begins anew with the first time that it goes well.
 *
 * A poll goes on long after its function has returned, and most of its work is done then: it is in
 * hand from its beginning to its end, and so may be innocent of what ended the process meanwhile.
 * It is only put off for that (feed.c), not set aside. @thread loop
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "base/fail.h"
#include "sluice/sluice.h"

#define IN_HAND_ENDS 3 /* so many, and it is set aside */

enum in_hand_what {
    IN_HAND_EVENT = 1, /* an event's id: describe */
    IN_HAND_DELIVERY,  /* a delivery's num: prepare, deliver, resume, confirm */
    IN_HAND_FEED,      /* of a feed's key, in_hand_num(): poll, backfill */
};

struct in_hand;

/** Open or make the file "in-hand" in a directory, and count what the process before had in hand.
 *  One that cannot be understood is begun anew. 0, or a code with `fail`. */
int in_hand_open(struct in_hand **ret, const char *dir, struct fail *fail);
void in_hand_close(struct in_hand *h); /* NULL is fine */

/** A plugin's function is about to run for these; calls may nest. Without memory of `h` (NULL), and
 *  beyond the first 1,024 at once, nothing is noted. */
void in_hand_take(struct in_hand *h, enum in_hand_what what, const uint64_t *nums, size_t n);
/** It came back: of the newest `n` that were taken. */
void in_hand_drop(struct in_hand *h, size_t n);
/** The same of one that is not among the newest. Not taken: nothing happens. */
void in_hand_end(struct in_hand *h, enum in_hand_what what, uint64_t num);
/** A number for what has a name alone. */
uint64_t in_hand_num(sl_str name);

/** How often in a row the process ended with this in hand. */
unsigned in_hand_ends(const struct in_hand *h, enum in_hand_what what, uint64_t num);
/** It was set aside: counting begins anew. */
void in_hand_forget(struct in_hand *h, enum in_hand_what what, uint64_t num);
