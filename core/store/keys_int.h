/*
 * keys_int.h - what the files of the keys share.
 *
 *   keys.c       adding, finding, sealing
 *   keys_open.c  what is there at opening
 *   keys_keep.c  the keeper's steps
 *   keymerge.c   neighbouring runs into one
 *   keytable.c   a segment's keys in memory
 *   keyrun.c, keyrun_write.c   a run's file
 *
 * Lists change under the lock only. The keeper alone takes runs and sealed tables out of them, and
 * destroys what it took: it may look at them without the lock, all others hold it meanwhile.
 */
#pragma once

#include <stdatomic.h>
#include <uv.h>
#include "base/log.h"
#include "store/bloom.h"
#include "store/keyrun.h"
#include "store/keys.h"
#include "store/keytable.h"

#define KEYS_FAN 8u /* neighbours that become one */

struct keymerge;

/* A run as a look-up meets it. */
struct keys_run {
    uint8_t *filter;
    uint64_t n_blocks;
    struct keyrun *run;
};

struct keys {
    /* ---- set at opening ---- */
    char *dir;
    uint32_t opened_first, opened_last;

    /* ---- the log thread's ---- */
    struct keytable *newest;
    uint8_t *page; /* KEYRUN_PAGE bytes */

    /* ---- the keeper's, changed under the lock ---- */
    struct keymerge *merge; /* under way, or NULL */
    uint32_t first;         /* segments below are gone */
    uint32_t newest_sealed; /* so far: how long the log is */

    /* ---- @thread any ---- */
    atomic_size_t newest_n, newest_bytes;

    /* ---- under the lock ---- */
    uv_mutex_t lock;
    struct keys_run *runs; /* rising by segments, never overlapping */
    size_t n_runs, cap_runs;
    struct keytable **tables; /* sealed, rising */
    size_t n_tables, cap_tables;
    uint64_t finds, maybes, reads;
};

extern const struct logger keys_logger;

/* ---- keys.c ---- */

/** Room for one more run, so that keys_put_run() cannot fail. 0 or UV_ENOMEM. */
int keys_reserve_run(struct keys *k);
/** Under the lock: enter it where it belongs. */
void keys_put_run(struct keys *k, struct keyrun *run);
/** Under the lock: take the i-th out of the list. */
struct keyrun *keys_take_run(struct keys *k, size_t i);

/* ---- keys_open.c ---- */

/** Give a damaged run's file another name, so that the next opening has its keys added again. */
void keys_set_aside(const char *dir, uint32_t first, uint32_t last, int why);

/* ---- keymerge.c ---- */

/** Runs i..i+n-1 that are to become one; false: none are. The keeper's. */
bool keymerge_pick(const struct keys *k, size_t *ret_i, size_t *ret_n);
/** Begin it; the runs are borrowed until it ends. 0 or a code. */
int keymerge_begin(struct keymerge **ret, const char *dir, struct keyrun *const *runs, size_t n);
/** A part of it. 1: there is more to do; 0: *ret is the new run, open; or a code. */
int keymerge_step(struct keymerge *m, struct keyrun **ret);
/** Frees; an unfinished file is removed. NULL is fine. */
void keymerge_end(struct keymerge *m);
