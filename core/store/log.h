/*
 * log.h - the log: records appended in groups, each group durable at once, read by their number or
 * place. It stands in segment files (segment.h), log/0000000012.seg, of which the newest is written
 * to; the duplicate keys of all of them in keys.h.
 *
 * Thread: reclog_append() is the log thread's, reclog_work() the keeper's, a reader is its own
 * thread's; @any where said. Opening and closing while no other call runs.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include "base/fail.h"
#include "base/list.h"
#include "store/record.h"

struct reclog;
struct reclog_reader;

struct reclog_conf {
    const char *dir;        /* of the store: the files are in log/ below it */
    uint64_t segment_bytes; /* a segment that would grow beyond it is followed by the next */
    int64_t segment_ms;     /* and so is one that was begun longer ago; 0: only full ones are */
};

/** Open or create. What it holds then is durable: the last group is written anew and synced, for
 *  an unfinished process may have left bytes that were written and never synced. A torn tail is
 *  cut; a damaged place is not, see reclog_damage(). 0, or a code with `fail`. */
int reclog_open(struct reclog **ret, const struct reclog_conf *conf, struct fail *fail);
/** Readers must be gone. Nothing is written. NULL is fine. */
void reclog_close(struct reclog *l);

/** 16 bytes that name this log among all others. @thread any */
const uint8_t *reclog_id(const struct reclog *l);
/** Number of the newest durable record; 0: empty. @thread any */
uint64_t reclog_last(struct reclog *l);
/** Number of the oldest record kept (the next one's, if there is none yet). @thread any */
uint64_t reclog_first(struct reclog *l);

/* ---- the log thread ---- */

struct reclog_result {
    uint64_t records; /* appended, duplicates' among them */
    uint64_t refused; /* by a key */
    uint64_t commit_us;
};

/** Append a group, a list of struct store_append by `node`, and make it durable: keys are decided
 *  in order and the results filled in.
 *  0; or nothing was written and results and marks are undone: UV_ENOSPC, UV_ENOMEM (try later),
 *  UV_EIO (what the disk holds is not known: do not append again). */
int reclog_append(struct reclog *l, struct list *group, struct reclog_result *ret);

/* ---- the keeper ---- */

/** One step of housekeeping: recycle what was retired, prepare the next segment, keys_work().
 *  1: did something; 0: nothing is due; or a code of a step that failed: UV_ENOSPC and the like,
 *  try later. The log goes on without it, only slower. */
int reclog_work(struct reclog *l);
bool reclog_work_due(struct reclog *l); /* @thread any */

struct reclog_span {
    uint32_t segment;
    uint64_t first, last; /* records */
    int64_t begun_ms;
    int64_t ended_ms; /* when the next segment began */
};
/** The oldest segment, if it is sealed. False: only the one being written is there; then `segment`,
 *  `first` and `begun_ms` are its own. A next segment that begins after `now_ms` was begun by a
 *  clock that was wrong, and one behind it tells; INT64_MAX if none does. @thread any */
bool reclog_oldest(struct reclog *l, int64_t now_ms, struct reclog_span *ret);
/** Segments whose records are all below `first_kept` may go; the keeper does it (wake it).
 *  @thread any */
void reclog_retire(struct reclog *l, uint64_t first_kept);
/** From now on the file of a segment that goes is removed, and not used for another; so are those
 *  that wait to be. @thread any */
void reclog_shred(struct reclog *l);
/** The newest segment takes no more: the next record begins another. @thread any */
void reclog_turn(struct reclog *l);
/** While anybody holds (calls count), no segment goes: a backup copies them. @thread any */
void reclog_hold(struct reclog *l, bool on);

/** A file that a copy of the log is made of. */
struct reclog_file {
    uint32_t segment;
    uint64_t bytes; /* of it; UINT64_MAX: to its end */
};
/** The files that hold all records up to `last`, which is durable, oldest first; free() them. While
 *  held. 0 or UV_ENOMEM. @thread any */
int reclog_files(struct reclog *l, uint64_t last, struct reclog_file **ret, size_t *ret_n);

struct reclog_stats {
    uint64_t first, last;
    uint64_t damaged;    /* records that cannot be read, as far as anyone has met them */
    uint64_t keys_bytes; /* memory of the keys */
    uint32_t segments;
};
void reclog_stats(struct reclog *l, struct reclog_stats *ret); /* @thread any */

/** A place whose records cannot be read. */
struct reclog_damage {
    uint32_t segment;
    uint64_t offset;
    uint64_t first, last; /* records */
};
/** The i-th place met so far. False: there are not so many. @thread any */
bool reclog_damage(struct reclog *l, size_t i, struct reclog_damage *ret);

/* ---- reading ---- */

/** A reader of its own, on any one thread. Close it before the log. 0 or UV_ENOMEM. */
int reclog_reader_open(struct reclog_reader **ret, struct reclog *l);
void reclog_reader_close(struct reclog_reader *r);

/** One that was read; the payload is borrowed during the call. */
struct reclog_record {
    uint64_t seq;
    uint64_t pos; /* where it stands, for reclog_read_at(): segment << 32 | offset */
    enum record_type type;
    sl_str payload;
};

/** Called with each record in order; anything but 0 stops the reading and is returned. It may call
 *  reclog_read_at(), not reclog_read(), on the same reader. */
typedef int reclog_fn(void *ctx, const struct reclog_record *rec);
/** Durable records from `first` on, at most `limit`; a reader that goes on where it stopped seeks
 *  nothing, any other `first` costs a walk through its segment. How many were read, or a code:
 *  UV_EILSEQ (the first of them is damaged), UV_ENOENT (it is not kept any more). */
int reclog_read(struct reclog_reader *r, uint64_t first, uint32_t limit, reclog_fn *fn, void *ctx);
/** The one record `seq`, that stood at `pos` when it was read before. What `fn` gave; or UV_ENOENT:
 *  it is not kept any more; UV_EILSEQ: it is damaged. */
int reclog_read_at(struct reclog_reader *r, uint64_t pos, uint64_t seq, reclog_fn *fn, void *ctx);
