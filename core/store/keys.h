/*
 * keys.h - the duplicate keys of the whole log: exact, bounded in memory, never a B-tree.
 *
 * The newest segment's keys stand in a hash table. When the segment is sealed its table becomes
 * immutable and the keeper writes it as a run: a file of sorted keys with a filter over them. Runs
 * of neighbouring segments are merged, so that a look-up asks few filters however long the log is,
 * and reads a file only on a maybe. A run goes with the newest segment it covers.
 *
 * Thread: keys_work() and keys_retire() are the keeper's, all else the log thread's; keys_open()
 * and keys_close() while neither runs.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include "base/fail.h"

struct keys;

struct key_entry {
    uint8_t hash[16];
    uint64_t seq;   /* the record that brought it */
    uint64_t value; /* kept with it */
};

/** Load the runs of segments first..last (numbers, inclusive; last < first: none) from `dir`.
 *  Files left of an unfinished step are removed, damaged ones set aside with a warning. */
int keys_open(struct keys **ret, const char *dir, uint32_t first, uint32_t last, struct fail *fail);
void keys_close(struct keys *k); /* NULL is fine */

/** After keys_open(): the lowest segment of first..last no run covers, from `from` on; 0: none. Its
 *  keys must be added again (keys_add, keys_seal) in rising order of segments. */
uint32_t keys_missing(const struct keys *k, uint32_t from);

/* ---- a group of appends ---- */

/** Room for n more keys, so that keys_add() cannot fail. 0 or UV_ENOMEM. */
int keys_reserve(struct keys *k, size_t n);
/** 1 and *ret; 0: not known; or a code (UV_EIO, UV_EILSEQ: a run cannot be read). */
int keys_find(struct keys *k, const uint8_t hash[16], struct key_entry *ret);
/** Enter a key that keys_find() did not know. Reserved before. */
void keys_add(struct keys *k, const struct key_entry *e);
/** The group is durable: what was added stays ... */
void keys_commit(struct keys *k);
/** ... or it failed: what was added since the last keys_commit() was never there. */
void keys_rollback(struct keys *k);
/** In the table of the segment being written, committed or not. */
size_t keys_newest(const struct keys *k);

/** `segment` is sealed: its table awaits the keeper; further keys are the next segment's. */
int keys_seal(struct keys *k, uint32_t segment);

/* ---- the keeper ---- */

/** One step: write a run, or a merge. 1: did something, 0: nothing to do, or a code: UV_ENOSPC (try
 *  later; the table stays in memory), UV_ENOMEM, UV_EIO. Other threads go on meanwhile. */
int keys_work(struct keys *k);
bool keys_work_due(struct keys *k); /* @thread any */
/** Segments below `first` are gone: runs that lie wholly below it are removed. */
void keys_retire(struct keys *k, uint32_t first);

struct keys_stats {
    uint32_t runs, tables;                /* on disk; in memory, the newest aside */
    uint64_t keys;                        /* in runs and tables */
    uint64_t bytes;                       /* of memory */
    uint64_t finds, filter_maybes, reads; /* since opening */
};
void keys_stats(struct keys *k, struct keys_stats *ret); /* @thread any */
