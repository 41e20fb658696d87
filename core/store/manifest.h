/*
 * manifest.h - what a backup is made of: the copies with their sums, and backup.json, which is
 * written last. A folder without one is no backup, or one that was not finished.
 *
 * A backup's folder is laid out like a store's: sluice.db and log/. Blocking. @thread any
 */
#pragma once

#include <stddef.h>
#include <stdint.h>
#include "base/digest.h"
#include "base/fail.h"

#define MANIFEST "backup.json"

struct manifest_file {
    char name[64]; /* below the folder */
    uint64_t bytes;
    uint8_t sum[DIGEST_SHA256];
};

struct manifest {
    uint8_t log_id[16];
    uint64_t first, last; /* records that are all in it; the log may hold some after `last` */
    uint64_t watermark;   /* where its index stands */
    int64_t made_ms;
    struct manifest_file *files;
    size_t n, cap;
    uint64_t bytes;
};

/** Enter a file. 0 or UV_ENOMEM. */
int manifest_add(struct manifest *m, const struct manifest_file *file);
/** Durable when it returns 0: the file whole, or none. */
int manifest_write(const struct manifest *m, const char *dir, struct fail *fail);
/** 0, or a code with `fail`: UV_ENOENT (there is none), UV_EINVAL (not one that this program
 *  knows). Names are those of a store's files and no others. Finish `ret` always. */
int manifest_read(struct manifest *ret, const char *dir, struct fail *fail);
void manifest_finish(struct manifest *m);

/* ---- copying a file, a slice at a time ---- */

struct copier {
    struct sha256 *sha;
    uint8_t *buf;
    int from, to;
    uint64_t at, end, unsynced;
};

void copier_init(struct copier *c); /* aborts without memory, as SHA-256 does */
void copier_finish(struct copier *c);
/** The first `bytes` of a file, UINT64_MAX: all; `to` NULL: only read it for its sum, and sync it.
 *  UV_EEXIST: the target is there. */
int copier_open(struct copier *c, const char *from, const char *to, uint64_t bytes);
/** 4 MiB more: 1: there is more; 0: done and durable, `ret` has its size and sum; or a code, UV_EOF
 *  when the file is shorter. Closed unless 1. */
int copier_step(struct copier *c, struct manifest_file *ret);
void copier_close(struct copier *c); /* halfway; the target stays */
