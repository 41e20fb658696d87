/*
 * log.h - the log: records appended in groups, each group durable at once, read by their number.
 *
 * This is all the store knows of it, so that files of segments can take the place of SQLite here.
 * struct reclog belongs to one thread at a time, and so does each reader.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include "base/fail.h"
#include "base/list.h"
#include "store/record.h"

struct reclog;
struct reclog_reader;

/** Open or create the log in a directory. Whatever it holds then is durable: an unfinished
 *  process may have left bytes that were written and never synced. */
int reclog_open(struct reclog **ret, const char *dir, struct fail *fail);
/** Fold everything into the main file and close; readers must be gone. NULL is fine. */
void reclog_close(struct reclog *l);

/** 16 bytes that name this log among all others. */
const uint8_t *reclog_id(const struct reclog *l);
/** Number of the newest durable record; 0: empty. */
uint64_t reclog_last(const struct reclog *l);

struct reclog_result {
    uint64_t records; /* appended */
    uint64_t refused; /* by a key */
    uint64_t commit_us;
};

/** Append a group, a list of struct store_append by `node`, and make it durable: keys are decided
 *  in order and the results filled in.
 *  0; or nothing was written and results and marks are undone: UV_ENOSPC, UV_ENOMEM (try later),
 *  UV_EIO (what the disk holds is not known: do not append again). */
int reclog_append(struct reclog *l, struct list *group, struct reclog_result *ret);

/** Work that is due in an idle moment. 0, or as reclog_append(). */
int reclog_tidy(struct reclog *l);
/** How much of it has gathered: 0 none, 1 do it when idle, 2 do it now. */
int reclog_tidy_due(const struct reclog *l);

/** A reader of its own, on any thread. Close it before the log. */
int reclog_reader_open(struct reclog_reader **ret, const char *dir, struct fail *fail);
void reclog_reader_close(struct reclog_reader *r);

/** One that was read; the payload is borrowed during the call. */
struct reclog_record {
    uint64_t seq;
    uint64_t pos; /* where it stands: for reclog_read_at() */
    enum record_type type;
    sl_str payload;
};

/** Called with each record in order; anything but 0 stops the reading and is returned. */
typedef int reclog_fn(void *ctx, const struct reclog_record *rec);
/** Records from `first` on, at most `limit`. How many were read, or a negative code. A gap ends
 *  the reading with UV_EIO. */
int reclog_read(struct reclog_reader *r, uint64_t first, uint32_t limit, reclog_fn *fn, void *ctx);
/** The one record `seq`, that stood at `pos` when it was read before. What `fn` gave, or UV_ENOENT:
 *  it is not there any more. */
int reclog_read_at(struct reclog_reader *r, uint64_t pos, uint64_t seq, reclog_fn *fn, void *ctx);
