/*
 * store.c - the loop's side of the store: open and close, staging appends, calling back.
 */
#include "store/store.h"

#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>
#include "base/clock.h"
#include "store/backup_int.h"
#include "store/restore.h"
#include "store/store_int.h"

#define RECORD_MOST   (512u << 20) /* bytes of a payload */
#define KEYS_MOST     65535        /* of a record */
#define WAIT_MOST_MS  3000         /* longer than that nothing new is to wait for its commit */
#define SEGMENTS_KEPT 4            /* at least: one takes what comes in a quarter of `keep_ms` */

const struct logger store_logger = { .room = "store" };

void store_defaults(struct store_conf *conf)
{
    *conf = (struct store_conf){
        .path = "/var/lib/sluice",
        .max_queue_bytes = 32u << 20,
        .disk_reserve = 256u << 20,
        .segment_bytes = 128u << 20,
        .catch_up_ms = 500,
        .keep_ms = INT64_C(28) * 24 * 3600 * 1000,
    };
}

void store_fail(struct store *s, const char *what, int code)
{
    if (!atomic_exchange(&s->failed, true))
        log_error(&store_logger, "%s: err=%s path=%s", what, uv_err_name(code), s->path);
}

/* ---- the directory ---- */

static int sync_dir(const char *path)
{
    int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC), r;

    if (fd < 0)
        return uv_translate_sys_error(errno);
    r = fsync(fd) < 0 ? uv_translate_sys_error(errno) : 0;
    close(fd);
    return r;
}

static int make_dir(const char *path, struct fail *fail)
{
    char *copy;
    int r = 0;

    if (mkdir(path, 0700) == 0) {
        copy = strdup(path);
        r = copy ? sync_dir(dirname(copy)) : UV_ENOMEM;
        free(copy);
    } else if (errno != EEXIST) {
        r = uv_translate_sys_error(errno);
    }
    return r < 0 ? fail_set(fail, r, "store path %s: %s", path, uv_strerror(r)) : 0;
}

/* Who holds the lock, as far as the file says. */
static long lock_holder(int fd)
{
    char text[32] = "";

    if (pread(fd, text, sizeof(text) - 1, 0) <= 0)
        return 0;
    return strtol(text, NULL, 10);
}

/* The kernel drops the lock with the process, so the file is never stale; it stays where it is. */
static int take_lock(struct store *s, struct fail *fail)
{
    char path[4096], pid[32];
    int fd, n, r;

    snprintf(path, sizeof(path), "%s/lock", s->path);
    fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (fd < 0) {
        r = uv_translate_sys_error(errno);
        return fail_set(fail, r, "%s: %s", path, uv_strerror(r));
    }
    if (flock(fd, LOCK_EX | LOCK_NB) < 0) {
        r = errno == EWOULDBLOCK ? UV_EBUSY : uv_translate_sys_error(errno);
        if (r == UV_EBUSY)
            fail_set(fail, r, "store %s is in use by process %ld", s->path, lock_holder(fd));
        else
            fail_set(fail, r, "%s: %s", path, uv_strerror(r));
        close(fd);
        return r;
    }
    n = snprintf(pid, sizeof(pid), "%ld\n", (long)getpid());
    if (ftruncate(fd, 0) < 0 || pwrite(fd, pid, (size_t)n, 0) < 0)
        log_warn(&store_logger, "pid not written: path=%s", path); /* a full disk; the lock holds */
    s->lock_fd = fd;
    return 0;
}

/* ---- open ---- */

static void init_sync(struct store *s)
{
    if (uv_mutex_init(&s->log_lock) || uv_mutex_init(&s->index_lock) ||
        uv_mutex_init(&s->done_lock) || uv_mutex_init(&s->keeper_lock) ||
        uv_cond_init(&s->log_wake) || uv_cond_init(&s->index_wake) || uv_cond_init(&s->keeper_wake))
        abort(); /* libuv's own only fail so, too */
    list_init(&s->staged_appends);
    list_init(&s->staged_queries);
    list_init(&s->log_queue);
    list_init(&s->index_queue);
    list_init(&s->done_appends);
    list_init(&s->done_queries);
}

static struct store *store_create(uv_loop_t *loop, const struct store_conf *conf)
{
    struct store *s = calloc(1, sizeof(*s));

    if (!s)
        return NULL;
    s->lock_fd = -1;
    s->loop = loop;
    s->path = strdup(conf->path);
    s->backup = backup_create();
    s->max_queue_bytes = conf->max_queue_bytes;
    s->disk_reserve = conf->disk_reserve;
    s->keep_ms = conf->keep_ms;
    s->catch_up_ms = conf->catch_up_ms;
    init_sync(s);
    return s;
}

/* No thread runs, no handle is open. */
static void store_destroy(struct store *s)
{
    if (s->lock_fd >= 0)
        close(s->lock_fd);
    uv_cond_destroy(&s->log_wake);
    uv_cond_destroy(&s->index_wake);
    uv_cond_destroy(&s->keeper_wake);
    uv_mutex_destroy(&s->keeper_lock);
    uv_mutex_destroy(&s->log_lock);
    uv_mutex_destroy(&s->index_lock);
    uv_mutex_destroy(&s->done_lock);
    backup_destroy(s->backup);
    free(s->path);
    free(s);
}

static void close_files(struct store *s)
{
    index_close(s->index);
    reclog_reader_close(s->reader);
    reclog_close(s->log);
    s->index = NULL;
    s->reader = NULL;
    s->log = NULL;
}

/* Where two names cannot be exchanged, a restore that was killed leaves none: an empty store there
 * would take every webhook of old for a new one. */
static int refuse_broken_restore(const char *path, struct fail *fail)
{
    char restoring[4096];

    snprintf(restoring, sizeof(restoring), "%.4080s" RESTORE_SUFFIX, path);
    if (access(path, F_OK) == 0 || access(restoring, F_OK) < 0)
        return 0;
    return fail_set(fail, UV_ENOENT,
                    "there is no store in %s, and a restore into it was broken off: run `sluice db "
                    "restore` again (or remove %s to begin with an empty one)",
                    path, restoring);
}

static int open_files(struct store *s, const struct store_conf *conf, struct fail *fail)
{
    const struct reclog_conf log = { .dir = s->path,
                                     .segment_bytes = conf->segment_bytes,
                                     .segment_ms = conf->keep_ms / SEGMENTS_KEPT };
    int r;

    if ((r = refuse_broken_restore(s->path, fail)) < 0 || (r = make_dir(s->path, fail)) < 0 ||
        (r = take_lock(s, fail)) < 0)
        return r;
    if ((r = reclog_open(&s->log, &log, fail)) < 0)
        return r;
    if ((r = reclog_reader_open(&s->reader, s->log)) < 0)
        return fail_set(fail, r, "no memory");
    if ((r = index_open(&s->index, s->path, s->reader, reclog_id(s->log), reclog_last(s->log),
                        fail)) < 0)
        return r;
    if ((r = sync_dir(s->path)) < 0)
        return fail_set(fail, r, "store path %s: %s", s->path, uv_strerror(r));
    if ((r = store_catch_up(s, fail)) < 0)
        return r;
    s->seen_seq = s->index_target = s->opened_seq = reclog_last(s->log);
    atomic_store(&s->log_seq, s->seen_seq);
    store_publish_stats(s);
    return 0;
}

/* Stop the index thread as the log thread would; it closes its files. */
static void stop_index(struct store *s)
{
    uv_mutex_lock(&s->index_lock);
    s->log_drained = true;
    uv_cond_signal(&s->index_wake);
    uv_mutex_unlock(&s->index_lock);
    uv_thread_join(&s->index_thread);
    s->index = NULL;
    s->reader = NULL;
}

/* Signals are for the loop's thread. */
static int start_threads(struct store *s)
{
    sigset_t all, old;
    int r;

    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &old);
    r = uv_thread_create(&s->index_thread, store_index_main, s);
    if (r == 0 && (r = uv_thread_create(&s->keeper_thread, store_keeper_main, s)) < 0)
        stop_index(s);
    if (r == 0 && (r = uv_thread_create(&s->log_thread, store_log_main, s)) < 0) {
        stop_index(s);
        store_keeper_stop(s);
    }
    pthread_sigmask(SIG_SETMASK, &old, NULL);
    return r;
}

static void on_async(uv_async_t *async);
static void on_check(uv_check_t *check);

static void on_idle(uv_idle_t *idle)
{
    (void)idle; /* its being active keeps the poll from waiting */
}

static void on_abandoned(uv_handle_t *handle)
{
    store_destroy(handle->data);
}

int store_open(struct store **ret, uv_loop_t *loop, const struct store_conf *conf,
               struct fail *fail)
{
    struct store *s = store_create(loop, conf);
    int r;

    if (!s || !s->path || !s->backup) {
        if (s)
            store_destroy(s);
        return fail_set(fail, UV_ENOMEM, "no memory");
    }
    if ((r = open_files(s, conf, fail)) < 0)
        goto out;
    store_check_disk(s);
    if ((r = uv_async_init(loop, &s->async, on_async)) < 0) {
        fail_set(fail, r, "store %s: %s", s->path, uv_strerror(r));
        goto out;
    }
    s->async.data = s->check.data = s->idle.data = s;
    if ((r = start_threads(s)) < 0) {
        fail_set(fail, r, "store %s: cannot start a thread: %s", s->path, uv_strerror(r));
        close_files(s);
        close(s->lock_fd);
        s->lock_fd = -1;
        uv_close((uv_handle_t *)&s->async, on_abandoned);
        return r;
    }
    uv_check_init(loop, &s->check);
    uv_idle_init(loop, &s->idle);
    s->handles = 3;
    uv_check_start(&s->check, on_check);
    /* An idle store keeps no loop alive; work under way does (on_async). */
    uv_unref((uv_handle_t *)&s->async);
    uv_unref((uv_handle_t *)&s->check);
    *ret = s;
    return 0;
out:
    close_files(s);
    store_destroy(s);
    return r;
}

/* ---- staging ---- */

static void publish(struct store *s)
{
    uv_idle_stop(&s->idle);
    if (!list_empty(&s->staged_appends)) {
        uv_mutex_lock(&s->log_lock);
        list_splice(&s->log_queue, &s->staged_appends);
        if (s->log_waits)
            uv_cond_signal(&s->log_wake);
        uv_mutex_unlock(&s->log_lock);
    }
    if (!list_empty(&s->staged_queries)) {
        uv_mutex_lock(&s->index_lock);
        list_splice(&s->index_queue, &s->staged_queries);
        if (s->index_waits)
            uv_cond_signal(&s->index_wake);
        uv_mutex_unlock(&s->index_lock);
    }
}

static void on_check(uv_check_t *check)
{
    publish(check->data);
}

void store_stage(struct store *s, struct list *staged, struct list *node)
{
    list_append(staged, node);
    uv_idle_start(&s->idle, on_idle);
    if (s->outstanding++ == 0)
        uv_ref((uv_handle_t *)&s->async);
}

static uint64_t append_bytes(const struct store_append *a)
{
    uint64_t bytes = 0;

    for (size_t i = 0; i < a->n; i++)
        bytes += sizeof(a->records[i]) + a->records[i].payload.len + a->records[i].duplicate.len +
                 a->records[i].n_keys * sizeof(*a->records[i].keys);
    return bytes;
}

/* A record that cannot be written as asked is a mistake of ours, but never goes to the disk. */
static bool well_formed(const struct store_append *a)
{
    for (size_t i = 0; i < a->n; i++) {
        const struct store_record *rec = &a->records[i];

        if (rec->payload.failed || rec->payload.len == 0 || rec->payload.len > RECORD_MOST ||
            rec->n_keys > KEYS_MOST)
            return false;
        if (rec->duplicate.failed || rec->duplicate.len > RECORD_MOST ||
            (rec->duplicate.len && rec->duplicate.len <= REC_DUPLICATE_SAME_BODY_AT))
            return false;
        for (size_t k = 0; k < rec->n_keys; k++)
            if (!rec->keys[k].refuse && rec->keys[k].mark_at >= rec->payload.len)
                return false;
    }
    return true;
}

/* What is queued, in groups as long as those before, after the one under way: that one will take as
 * long again as it has taken already, for all anyone knows. So a sync that hangs is noticed by the
 * clock alone. Nothing queued: nothing to wait for, and the next append shows how the disk is. */
uint64_t store_wait_ms(const struct store *s)
{
    uint64_t since = atomic_load(&s->group_since_us), now = clock_mono_us(), us;

    if (s->queue_bytes == 0)
        return 0;
    us = (s->queue_bytes / STORE_GROUP_BYTES + 1) * atomic_load(&s->group_us);
    if (since && now > since)
        us += now - since;
    return us / 1000;
}

int store_admits(const struct store *s, uint64_t bytes)
{
    if (s->phase != STORE_OPEN)
        return UV_ECANCELED;
    if (atomic_load(&s->failed))
        return UV_EIO;
    if (atomic_load(&s->disk_low))
        return UV_ENOSPC;
    if (s->queue_bytes + bytes > s->max_queue_bytes)
        return UV_ENOBUFS;
    return store_wait_ms(s) > WAIT_MOST_MS ? UV_EAGAIN : 0;
}

int store_append(struct store *s, struct store_append *a, bool internal)
{
    uint64_t bytes = append_bytes(a);
    int r;

    if (s->phase != STORE_OPEN)
        return UV_ECANCELED;
    if (atomic_load(&s->failed))
        return UV_EIO;
    if (!well_formed(a))
        return UV_EINVAL;
    if (!internal && (r = store_admits(s, bytes)) < 0)
        return r;
    a->bytes = bytes;
    a->status = 0;
    s->queue_bytes += bytes;
    store_stage(s, &s->staged_appends, &a->node);
    return 0;
}

void store_append_finish(struct store_append *a)
{
    for (size_t i = 0; i < a->n; i++) {
        buf_finish(&a->records[i].payload);
        buf_finish(&a->records[i].duplicate);
        free(a->records[i].keys);
        a->records[i].keys = NULL;
        a->records[i].n_keys = 0;
    }
}

/* ---- calling back ---- */

void store_settled(struct store *s)
{
    if (--s->outstanding == 0 && s->phase == STORE_OPEN)
        uv_unref((uv_handle_t *)&s->async);
}

static void complete_append(struct store *s, struct store_append *a)
{
    for (size_t i = 0; i < a->n; i++)
        if (a->records[i].seq > s->seen_seq)
            s->seen_seq = a->records[i].seq;
    s->queue_bytes -= a->bytes;
    store_settled(s);
    a->cb(a, a->status); /* the append is its owner's again */
}

static void finish_close(struct store *s);

static void on_async(uv_async_t *async)
{
    struct store *s = async->data;
    struct list appends = LIST_INIT(appends), queries = LIST_INIT(queries);
    bool ended;

    uv_mutex_lock(&s->done_lock);
    list_splice(&appends, &s->done_appends);
    list_splice(&queries, &s->done_queries);
    ended = s->threads_done;
    uv_mutex_unlock(&s->done_lock);
    while (!list_empty(&appends)) {
        struct store_append *a = list_entry(appends.next, struct store_append, node);

        list_remove(&a->node);
        complete_append(s, a);
    }
    while (!list_empty(&queries)) {
        struct query *q = list_entry(queries.next, struct query, node);

        list_remove(&q->node);
        store_settled(s);
        store_query_complete(q);
    }
    backup_settle(s);
    if (ended)
        finish_close(s);
}

/* ---- close ---- */

void store_close(struct store *s, void (*cb)(void *ctx), void *ctx)
{
    if (s->phase != STORE_OPEN)
        return;
    s->phase = STORE_CLOSING;
    s->close_cb = cb;
    s->close_ctx = ctx;
    publish(s);
    uv_ref((uv_handle_t *)&s->async);
    uv_mutex_lock(&s->log_lock);
    s->log_stop = true;
    uv_cond_signal(&s->log_wake);
    uv_mutex_unlock(&s->log_lock);
}

static void on_closed(uv_handle_t *handle)
{
    struct store *s = handle->data;
    void (*cb)(void *ctx) = s->close_cb;
    void *ctx = s->close_ctx;

    if (--s->handles > 0)
        return;
    store_destroy(s);
    if (cb)
        cb(ctx);
}

/* Both threads have reported for the last time. */
static void finish_close(struct store *s)
{
    uv_thread_join(&s->log_thread);
    uv_thread_join(&s->index_thread);
    uv_close((uv_handle_t *)&s->async, on_closed);
    uv_close((uv_handle_t *)&s->check, on_closed);
    uv_close((uv_handle_t *)&s->idle, on_closed);
}

uint64_t store_restored_to(const struct store *s)
{
    return atomic_load(&s->restored_to);
}

/* ---- statistics ---- */

void store_stats(const struct store *s, struct store_stats *ret)
{
    *ret = (struct store_stats){
        .failed = atomic_load(&s->failed),
        .disk_low = atomic_load(&s->disk_low),
        .log_seq = atomic_load(&s->log_seq),
        .index_seq = atomic_load(&s->index_seq),
        .commits = atomic_load(&s->commits),
        .records = atomic_load(&s->records),
        .queue_bytes = s->queue_bytes,
        .commit_us_sum = atomic_load(&s->commit_us_sum),
        .commit_us_max = atomic_load(&s->commit_us_max),
        .duplicates = atomic_load(&s->duplicates),
        .first_seq = atomic_load(&s->first_seq),
        .damaged = atomic_load(&s->damaged),
        .doubled = atomic_load(&s->doubled),
        .keys_bytes = atomic_load(&s->keys_bytes),
        .segments = atomic_load(&s->segments),
        .keeper_errors = atomic_load(&s->keeper_errors),
        .issues_open = atomic_load(&s->issues_open),
        .issues_acknowledged = atomic_load(&s->issues_acknowledged),
        .issues_dead = atomic_load(&s->issues_dead),
        .wait_ms = store_wait_ms(s),
        .keep_ms = s->keep_ms,
    };
}
