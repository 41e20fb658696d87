/*
 * layer.h - stands between the store and the disk: under the log as a struct disk, under SQLite as
 * its default VFS, and in front of fsync(2) for directories. What goes through is written into the
 * current journal; what is asked for fails.
 *
 * Nothing is ever synced in truth: the page cache is all that these tests need of the disk.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/** Put it in place; before anything is opened. Calling it again does nothing. */
void layer_install(void);

/* ---- lies: the caller is told that it is durable, the journal is not ---- */

#define LIE_SYNC     1u
#define LIE_SYNC_DIR 2u
void layer_lie(unsigned lies); /* 0: none */

/* ---- faults ---- */

enum call {
    CALL_OPEN,
    CALL_READ,
    CALL_WRITE,
    CALL_ALLOCATE,
    CALL_TRUNCATE,
    CALL_SYNC,
    CALL_SYNC_DIR,
    CALL_RENAME,
    CALL_REMOVE,
    CALL__COUNT
};
extern const char *const call_names[CALL__COUNT];

#define IN_LOG   1u /* the segments (log.db) and their directories */
#define IN_KEYS  2u /* runs of keys */
#define IN_INDEX 4u

enum fault_kind {
    FAULT_CODE,    /* the call fails with `code` and does nothing */
    FAULT_SHORT,   /* a read or write does `bytes` of what it was asked for, and says so */
    FAULT_PARTIAL, /* a write does `bytes`, then fails with `code` */
    FAULT_FLIP,    /* a read gives a wrong bit */
    FAULT_SLOW,    /* takes `ms` */
    FAULT_HANG,    /* until layer_release() */
};

struct fault {
    enum fault_kind kind;
    enum call call;
    unsigned where;
    uint64_t nth;   /* from 1, counted from layer_fault() on */
    uint64_t times; /* how many in a row; UINT64_MAX: all from then on */
    int code;       /* UV_EIO, UV_ENOSPC, ... */
    size_t bytes;
    unsigned ms;
};

/** One fault at a time; NULL: none any more. Counts begin anew. */
void layer_fault(const struct fault *f);
uint64_t layer_calls(enum call call, unsigned where); /* since layer_fault() */
uint64_t layer_hits(void);                            /* that failed since then */
/** Calls that came after the first hit and were let through or failed. */
uint64_t layer_calls_after_hit(enum call call, unsigned where);
void layer_release(void);
/** Waits until a call hangs. */
void layer_wait_hang(void);

/* ---- for the two halves ---- */

unsigned layer_where(const char *name);
/** What a call that goes on shall do. */
struct todo {
    size_t n; /* bytes to move; before, what it was asked for */
    int then; /* the code to give afterwards; 0: its own */
    bool flip;
};
/** 0: go on as `todo` says, or a code. Blocks when it is to be slow: not under the journal's lock.
 */
int layer_enter(enum call call, unsigned where, struct todo *todo);
bool layer_lies(unsigned lie);
void layer_install_vfs(void);
