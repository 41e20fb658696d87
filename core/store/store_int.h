/*
 * store_int.h - what the files of the store share.
 *
 *   store.c        the loop's side: open, close, append, completions
 *   store_query.c  the loop's side of the queries
 *   store_log.c    the log thread: commits groups, hands them to the index
 *   store_index.c  the index thread: reads what is durable, applies it, answers queries
 *   store_keeper.c the keeper thread: what a commit must not wait for
 *   backup.c       a copy of it all, made by the index thread and the keeper
 *
 * Between loop and threads pass whole lists, each under one lock that is held for a splice. A list
 * and what hangs from it belong to the side that has taken it.
 */
#pragma once

#include <stdatomic.h>
#include "base/log.h"
#include "store/index.h"
#include "store/store.h"

enum store_phase { STORE_OPEN, STORE_CLOSING };

struct store {
    /* ---- set before the threads start ---- */
    uv_loop_t *loop;
    char *path;
    uint64_t max_queue_bytes, disk_reserve;
    int64_t keep_ms;
    uint64_t catch_up_ms;
    uint64_t opened_seq; /* the log's newest record when it was opened */
    int lock_fd;
    uv_thread_t log_thread, index_thread, keeper_thread;

    /* ---- the loop's ---- */
    enum store_phase phase;
    uv_async_t async;
    uv_check_t check; /* publishes what an iteration staged */
    uv_idle_t idle;   /* runs while something is staged, so that the poll does not wait */
    unsigned handles; /* not closed yet */
    struct list staged_appends, staged_queries;
    uint64_t outstanding; /* appends and queries without a callback so far */
    uint64_t queue_bytes;
    uint64_t seen_seq; /* newest record that was called back */
    void (*close_cb)(void *ctx);
    void *close_ctx;

    /* ---- loop -> log thread ---- */
    uv_mutex_t log_lock;
    uv_cond_t log_wake;
    struct list log_queue; /* struct store_append */
    bool log_waits, log_stop;
    bool index_done; /* the index thread has closed its files */

    /* ---- loop and log thread -> index thread ---- */
    uv_mutex_t index_lock;
    uv_cond_t index_wake;
    struct list index_queue; /* struct query */
    uint64_t index_target;   /* newest durable record */
    uint64_t index_wake_at;  /* records alone wake it from this one on */
    bool index_waits, log_drained;

    /* ---- any thread -> keeper ---- */
    uv_mutex_t keeper_lock;
    uv_cond_t keeper_wake;
    bool keeper_waits, keeper_asked, keeper_stop;

    /* ---- threads -> loop ---- */
    uv_mutex_t done_lock;
    struct list done_appends, done_queries;
    bool threads_done;

    /* ---- each owned by its thread while it runs ---- */
    struct reclog *log; /* the log thread's, where log.h says no other */
    struct index *index;
    struct reclog_reader *reader;
    struct backup *backup; /* see backup_int.h for whose */
    bool room_short;       /* log thread: a write found no room */
    uint64_t tried_ms;     /* log thread: when the disk was last looked at */
    uint64_t published_us; /* log thread: when the log's own figures were */

    /* ---- written by the threads, read by anyone ---- */
    atomic_bool failed, disk_low;
    atomic_uint_fast64_t log_seq, index_seq, commits, records, duplicates, commit_us_sum,
        commit_us_max, keeper_errors;
    atomic_uint_fast64_t first_seq, damaged, keys_bytes, segments; /* store_publish_stats() */
    atomic_uint_fast64_t issues_open, issues_acknowledged, issues_dead, doubled,
        restored_to;                     /* index thread */
    atomic_uint_fast64_t group_since_us; /* when the group under way was taken up; 0: none is */
    atomic_uint_fast64_t group_us;       /* what a group takes, a moving average */
};

extern const struct logger store_logger;

/* Latch: says why, once. @thread any */
void store_fail(struct store *s, const char *what, int code);

/** More than this waits for the next group: what the wait is reckoned with. */
#define STORE_GROUP_BYTES (8u << 20)

void store_log_main(void *arg);
void store_index_main(void *arg);
void store_keeper_main(void *arg);
/** There may be work for it. @thread any */
void store_keeper_wake(struct store *s);
/** End it and wait until it has ended. @thread log (or what opens the store) */
void store_keeper_stop(struct store *s);
/** Give this thread a name for top and perf; with `nice` it gives way to others. @thread the one
 *  meant */
void store_thread_begin(const char *name, int nice);
/** Copy what the log says of itself to where the loop reads it. @thread log, keeper */
void store_publish_stats(struct store *s);
/** Look whether there is room; sets disk_low. @thread log (and before it starts) */
void store_check_disk(struct store *s);

/** Apply the whole tail of the log; before the threads start. */
int store_catch_up(struct store *s, struct fail *fail);

/** Stage an append or a query; published once in this iteration of the loop. @thread loop */
void store_stage(struct store *s, struct list *staged, struct list *node);
/** One that was staged has been called back. @thread loop */
void store_settled(struct store *s);
/** A question of the loop's; NULL: no memory. Submitting takes it over, also when it says no. */
struct query *store_query_create(enum query_type type, void *ctx);
int store_query_submit(struct store *s, struct query *q);
/** Call the query's own callback and free it. @thread loop */
void store_query_complete(struct query *q);
