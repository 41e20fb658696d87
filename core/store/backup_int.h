/*
 * backup_int.h - a backup's way through the threads.
 *
 *   backup.c        the loop's side; the index thread's slices
 *   backup_files.c  the keeper's: the folder, the log's files, the manifest
 *
 * `stage` says whose it is; that one alone touches the rest, until it sets the next stage.
 */
#pragma once

#include <stdatomic.h>
#include "store/backup.h"
#include "store/manifest.h"
#include "store/store_int.h"

enum backup_stage {
    STAGE_OVER,    /* the loop's */
    STAGE_PREPARE, /* the keeper's: is there room? */
    STAGE_INDEX,   /* the index thread's */
    STAGE_LOG,     /* the keeper's again, and its to clean up */
};

struct backup {
    atomic_int stage; /* enum backup_stage */
    atomic_uint_fast64_t bytes, total;
    int64_t good_ms; /* the loop's */
    char *dir;       /* the loop's; others read it. From here on it is each backup's own */

    /* ---- handed on with the stage ---- */
    struct fail fail; /* code 0: none so far */
    bool made_dir, made_log, held;
    bool same_disk;           /* as the store's */
    uint64_t watermark, rest; /* rest: of the total, the log's files */
    struct manifest manifest;

    /* ---- the index thread's ---- */
    struct index_copy *copy;

    /* ---- the keeper's ---- */
    struct copier copier;
    bool copying; /* `now` is half copied */
    struct manifest_file now;
    struct reclog_file *files;
    size_t n_files, next_file;
    char (*runs)[64];
    size_t n_runs, next_run;
    bool listed;

    /* ---- the loop's ---- */
    enum backup_state state;
    int64_t began_ms, ended_ms;
    void (*cb)(void *ctx, const struct backup_status *st);
    void *ctx;
};

struct backup *backup_create(void); /* NULL: no memory */
void backup_destroy(struct backup *b);

/** Over? Then say so. @thread loop */
void backup_settle(struct store *s);
/** A slice of the index is due? A slice. The end of it, done or not. @thread index */
bool backup_index_due(const struct store *s);
void backup_index_step(struct store *s, bool hurry); /* hurry: others wait for the thread */
void backup_index_end(struct store *s);
/** A step; true: there are more at once. The end of it. @thread keeper */
bool backup_keeper_step(struct store *s);
void backup_keeper_end(struct store *s);
