/*
 * backup.h - a copy of the store that is consistent, made while it serves.
 *
 * First the index is copied, in slices between what else its thread does; then, on the keeper's
 * thread, the log up to where it is durable then, so that it covers the index. No commit waits for
 * either. Nothing of the log goes meanwhile. See manifest.h for what the folder holds.
 *
 * Thread: loop.
 */
#pragma once

#include <stdint.h>
#include "store/store.h"

enum backup_state { BACKUP_NONE, BACKUP_RUNNING, BACKUP_DONE, BACKUP_FAILED };

struct backup_status {
    enum backup_state state;
    const char *dir;       /* borrowed until the next store_backup() */
    uint64_t bytes, total; /* copied so far; in all, as far as is known by now */
    int64_t began_ms, ended_ms;
    int64_t
        good_ms; /* when the last whole one since the store was opened began; 0: there was none */
    /* when done */
    uint64_t files, first, last, watermark;
    /* when failed: UV_EEXIST (not empty), UV_ENOSPC, UV_ENOENT (no parent), UV_EACCES, ... */
    int code;
    const char *text; /* borrowed likewise */
};

/** Begin one, into a folder that is empty or not there yet (its parent is); an absolute path. All
 *  that was called back before is in it. A failed one leaves the folder as it was.
 *  `cb` (may be NULL) when it is over. 0; UV_EBUSY: one is under way; UV_EINVAL: not an absolute
 *  path; UV_ECANCELED (closing); UV_EIO: the store has failed. */
int store_backup(struct store *s, const char *dir,
                 void (*cb)(void *ctx, const struct backup_status *st), void *ctx);
/** Of the one under way, or the last one. */
void store_backup_status(const struct store *s, struct backup_status *ret);
