/*
 * log_int.h - what the files of the log share.
 *
 *   log.c       appending, sealing a segment and beginning the next
 *   log_open.c  opening: what is there, where it ends
 *   log_keep.c  the keeper's steps: spare files, recycling
 *   log_read.c  readers
 *   log_files.c names of files, the list of segments
 */
#pragma once

#include <stdatomic.h>
#include <sys/uio.h>
#include <uv.h>
#include "store/keys.h"
#include "store/log.h"
#include "store/segment.h"

#define LOG_KEYS_MOST    131072 /* in one segment */
#define LOG_PAGE         4096   /* of the page cache; files are written in whole ones */
#define LOG_SPARES_MOST  4
#define LOG_DAMAGES_MOST 64 /* places told apart; more are counted with the last */
#define LOG_PATH_MOST    4096

struct log_segment {
    uint32_t number;
    uint64_t first, last; /* last: of a sealed one */
    int64_t begun_ms;
};

/* What a decision wrote over, should the group fail: its owner may append the same again. */
struct log_undo {
    struct store_key *key; /* whose value it was, or NULL: a payload's byte */
    uint64_t value;
    uint8_t *at;
    uint8_t was;
};

/** A file on its way to be a segment. */
struct log_spare {
    int fd; /* -1: none */
    uint32_t name;
    bool blank;          /* its blocks are allocated, and not all of them were ever written ... */
    uint64_t blank_from; /* ... from here on */
};

#define LOG_NO_SPARE ((struct log_spare){ .fd = -1 })

struct reclog {
    /* ---- set at opening ---- */
    char *dir; /* .../log */
    uint64_t segment_bytes;
    int64_t segment_ms;
    uint8_t id[16];
    uint32_t seed;
    struct keys *keys;

    /* ---- the log thread's ---- */
    int fd;          /* the newest segment */
    uint32_t number; /* its own */
    int64_t begun_ms;
    uint64_t end; /* of its durable bytes */
    uint32_t epoch;
    bool keys_sealed; /* of the newest segment: it takes no record more */
    uint8_t *frames;  /* memory for a group's frames and keys */
    size_t frames_len, frames_cap;
    struct iovec *iov;
    size_t n_iov, cap_iov;
    size_t pad;    /* bytes the last record is to be padded with */
    uint64_t next; /* record number, in the open group */
    uint64_t group_bytes;
    struct log_undo *undo;
    size_t n_undo, cap_undo;

    /* ---- @thread any ---- */
    atomic_uint_fast64_t last; /* newest durable record */
    atomic_bool turns;         /* the newest segment is to be followed by another */
    atomic_bool failed;        /* a sync or a write was lost: nothing is written any more */

    /* ---- under the lock; held for moments ---- */
    uv_mutex_t lock;
    struct log_segment *segments; /* rising; the last is being written */
    size_t n_segments, cap_segments;
    uint64_t durable_end;      /* of the one being written */
    struct log_spare prepared; /* the next segment's file */
    struct log_spare making;   /* the keeper's: will be that */
    uint32_t spares[LOG_SPARES_MOST];
    size_t n_spares;
    uint32_t next_spare; /* name of the next new one */
    uint64_t first_kept;
    struct log_segment going; /* out of the list, its file still there: number 0: none */
    unsigned holds;
    bool shreds;        /* files are not used again ... */
    bool shred_left;    /* ... and those of before are to be removed */
    uint32_t in_memory; /* number of the oldest segment written since opening that the page cache
                           was not told to forget */
    struct reclog_damage damages[LOG_DAMAGES_MOST];
    size_t n_damages;
};

/* ---- log_files.c ---- */

void log_segment_path(const struct reclog *l, uint32_t number, char out[LOG_PATH_MOST]);
void log_spare_path(const struct reclog *l, uint32_t name, char out[LOG_PATH_MOST]);
/** What a file system says when there is no room is UV_ENOSPC, also for a quota. */
int log_code(int r);
/** Room for one more in the list, so that log_push_segment() cannot fail. */
int log_reserve_segment(struct reclog *l);
void log_push_segment(struct reclog *l, const struct log_segment *seg);
/** The segment that holds a record, by its number. False: it is not kept (or not yet there). */
bool log_find_segment(struct reclog *l, uint64_t seq, struct log_segment *ret);
/** How far a segment's durable bytes go. False: it is not kept any more. */
bool log_segment_limit(struct reclog *l, uint32_t number, uint64_t *ret);
/** Enter a damaged place; says it once. */
void log_add_damage(struct reclog *l, const struct reclog_damage *d);

/* ---- log_keep.c ---- */

/** A file for the next segment: a spare one, or a new one. UV_ENOSPC and the like. */
int log_make_spare(struct reclog *l, struct log_spare *ret);

/* ---- log.c ---- */

/** Write the head, make the file the newest segment. 0, or a code; after UV_EIO the log has failed.
 */
int log_begin_segment(struct reclog *l);

extern const struct logger log_logger;
