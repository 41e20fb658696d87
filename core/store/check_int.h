/*
 * check_int.h - what the parts of the check share.
 *
 *   check.c        the lock, the order of things, findings
 *   check_log.c    segments and their records
 *   check_runs.c   key runs
 *   check_index.c  sluice.db
 *   repair.c       mending
 */
#pragma once

#include <sqlite3.h>
#include "store/check.h"
#include "store/index.h"
#include "store/keyrun.h"
#include "store/segment.h"

#define CHECK_PATH 4096

/** Records that cannot be read. */
struct check_gap {
    uint64_t offset, end; /* end: where the next record stands; 0: none does */
    uint64_t first, last;
    uint32_t epoch; /* of the record before */
    uint64_t group; /* first record of its group */
};

struct check_segment {
    struct segment_head head; /* as it should be, when it is not there */
    bool missing;             /* or nothing can be read of it */
    bool bad_head;
    uint64_t size;
    uint64_t last;  /* its newest record; first - 1: none */
    uint32_t epoch; /* of it */
    struct check_gap *gaps;
    size_t n_gaps;
    bool voids; /* some were written off before */
};

struct check_run {
    struct keyrun *run;
    uint64_t in_log, in_run; /* keys of records that are kept */
    bool bad, wrong;
};

struct checker {
    const char *path;
    int lock_fd;
    struct check_report *report;

    uint8_t log_id[16];
    bool has_id;
    struct check_segment *segments;
    size_t n_segments;
    bool damaged; /* the log has gaps */

    struct check_run *runs;
    size_t n_runs;

    sqlite3 *db; /* NULL: cannot be read */
    sqlite3_stmt *event;
    uint8_t db_log_id[16];
    bool db_named;
    bool had_wal, had_shm, db_there, db_bad;
    bool db_behind; /* missing, unreadable or too old, and the log cannot make it again */
    uint64_t watermark, kept_from;
    bool migrated; /* from an older form */
    uint64_t events_wrong;

    struct index *fresh; /* made from the log, to compare with; NULL: not */
    char fresh_dir[512];
    unsigned fresh_open; /* records in its transaction */
};

/* ---- check.c ---- */

#define NO_OFFSET UINT64_MAX
extern const char todo_log[], todo_index[], todo_run[], todo_behind[];

/** Enter a finding; `todo` is static. NULL: no memory. */
struct check_finding *check_add(struct checker *c, const char *file, uint64_t offset,
                                uint64_t first, uint64_t last, const char *todo, const char *fmt,
                                ...) __attribute__((format(printf, 7, 8)));
void check_segment_name(uint32_t number, char out[80]);
/** All but the lock. */
int check_look(struct checker *c, struct fail *fail);
int check_lock(struct checker *c, struct fail *fail);
void check_finish(struct checker *c);

/* ---- check_log.c ---- */

int check_log(struct checker *c, struct fail *fail);

/* ---- check_runs.c ---- */

int check_runs_open(struct checker *c, struct fail *fail);
/** The keys of a record of this segment are in its run? */
int check_runs_record(struct checker *c, uint32_t segment, const struct segment_record *rec);
int check_runs_close(struct checker *c);

/* ---- check_index.c ---- */

int check_index_open(struct checker *c, struct fail *fail);
/** Which log it was made of, if it can be read. */
bool check_index_log_id(const struct checker *c, uint8_t out[16]);
/** Once the log's first record is known. */
int check_index_begin(struct checker *c, struct fail *fail);
int check_index_record(struct checker *c, uint32_t segment, uint64_t offset,
                       const struct segment_record *rec);
int check_index_end(struct checker *c, struct fail *fail);
/** What the index knows of a record, in words. */
void check_index_tell(struct checker *c, uint64_t seq, char *out, size_t size);
void check_index_close(struct checker *c);
