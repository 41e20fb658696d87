/*
 * checker.h - does a directory hold what it must after a power cut? Asked of the real code.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include "base/rng.h"
#include "history.h"

struct finding {
    char text[600]; /* what is wrong; empty: nothing */
};

/** A moment behind `from`. Most operations are the index's: half of the moments are right after a
 *  write to a segment, when it is not synced, a quarter at anything but the index's own. */
size_t draw_cut(const struct journal *j, size_t from, struct rng *rng);

struct check {
    const char *dir;
    struct journal *journal;       /* that goes on while the check runs, see journal_resume(); NULL:
                                      one of its own, if `again` */
    const struct history *history; /* of the run that was cut */
    uint64_t kept, acked;          /* its oldest and newest record that must be there */
    uint64_t seed;
    bool loose; /* records may follow that nobody was told of: an append that failed as it was
                   synced */
    bool more;  /* send all its keys again and append more */
    bool quiet; /* do not print what was asked of the disk before a second cut that fails */
    bool again; /* cut once more, in the middle of what the check itself does, and look again */
};

/** Open the image, go on with it, close it, read all of it, build its index anew. */
bool check_image(const struct check *c, struct finding *ret);
