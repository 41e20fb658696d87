/*
 * retain.h - when old events go: segment after segment of the log, as each is older than `keep`.
 *
 * A segment goes when it ended more than `keep` ago and the index has applied all of it. First its
 * events are dealt with in the index, in slices (index.h); when that is on the disk whatever
 * happens, the log is told that the segment may go, and its keeper recycles it. What stayed is
 * looked at again once an hour.
 *
 * Time is the machine's, and a machine's clock can be wrong. Not more than 24 hours of what the log
 * holds go in an hour that the process runs: a clock that jumps ahead by a year costs a day an
 * hour, not everything at once, while a store that stood still for weeks, or is told to keep less,
 * is done soon. A segment that a wrong clock stamped with a time to come ended before a later one
 * began.
 *
 * What holds records of something that was erased goes when its time has come, before it is as old:
 * then no segment of records before the end of the erasure is kept, the newest one is followed by
 * another with the next record, and the files of segments that go are removed, not used again.
 *
 * Thread: the index thread, or any one alone.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include "store/index.h"

struct retain {
    struct reclog *log;
    struct index *ix;
    int64_t keep_ms;
    int64_t wall_ms;  /* at the step before ... */
    uint64_t mono_ms; /* ... by both clocks */
    int64_t may_ms;   /* how much time of the log may go now */
    bool granted;     /* the segment `segment` goes */
    uint32_t segment;
    uint64_t erased;   /* records up to this one must go, however young they are */
    int64_t erased_ms; /* when there are first such; 0: never */
    uint64_t erasures; /* index_erasures(), as these were asked for */
    bool shreds;       /* there are such, now or later */
    uint64_t retired;  /* the log knows that it need not keep what is below */
    uint64_t next_ms;  /* mono: when to look for something to do */
    uint64_t slice_ms; /* mono: when something was done */
    uint64_t round_ms; /* mono: when the next round begins */
    struct index_round round;
};

/** `log` and `ix` are borrowed. */
void retain_init(struct retain *r, struct reclog *log, struct index *ix, int64_t keep_ms,
                 int64_t wall_ms, uint64_t mono_ms);
/** How long until there may be something to do; 0: now. */
uint64_t retain_due_ms(const struct retain *r, uint64_t mono_ms);
/** One slice, if there is something to do. 1: the log's keeper has work now; 0; or a code: it is
 *  tried again in a while, unless UV_EIO says that the index has failed. */
int retain_step(struct retain *r, int64_t wall_ms, uint64_t mono_ms);
