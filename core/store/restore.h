/*
 * restore.h - a backup put in the place of a store that nobody has open.
 *
 * Whatever may have been sent after the backup was made is not known to it, so a restored store
 * sends nothing by itself: what was to be sent is held as `restored`, what was under way is
 * unknown, and what the router makes of events of the backup later is held likewise
 * (store_restored_to()).
 *
 * Blocking, for a tool that does nothing else. All is made in <path>.restoring beside the store and
 * takes its place in one step, so whoever is killed leaves the old one or the new one, whole.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include "base/fail.h"
#include "store/check.h"

#define RESTORE_HOLD   "restored"   /* hold type */
#define RESTORE_SUFFIX ".restoring" /* of the folder beside the store's in which one is made */

struct restore_conf {
    const char *from; /* the backup's folder */
    const char *path; /* the store's */
    bool replace;     /* there may be a store already; it is moved aside */
    bool repair;      /* a damaged one is mended first: what cannot be read is written off */
};

struct restore_report {
    int64_t made_ms; /* the backup */
    uint64_t files, bytes;
    uint64_t first, last; /* records it has */
    uint64_t held;        /* was ready or waiting */
    uint64_t unknown;     /* was under way; or unknown already */
    uint64_t held_before; /* of other hold types */
    uint64_t unrouted;    /* events without deliveries so far */
    char aside[4096];     /* where the old store is now; empty: there was none */
    char *forgotten;      /* own: erasures that the old store knows and this backup does not, a JSON
                             array      of {event, endpoint, topic, asked_ms, asked}; NULL: nobody looked */
    bool forgets_unknown; /* the old store cannot be read */
    struct check_report check;
};

/** 0; or the store is as it was, with `fail`: UV_EBUSY (it is open, or another restore is under
 *  way), UV_EEXIST (there is one, and not `replace`), UV_ENOENT (no backup), UV_EILSEQ (not what
 *  was backed up, or damaged: the report's findings), UV_ENOSPC, ... Finish `ret` always. */
int store_restore(const struct restore_conf *conf, struct restore_report *ret, struct fail *fail);
void restore_report_finish(struct restore_report *r);

/** Compare a backup's files with their sums. 0, or a code with `fail`, as store_restore(). */
int store_backup_verify(const char *dir, struct fail *fail);
