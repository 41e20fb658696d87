/*
 * store_log.c - the log thread: commits whatever has gathered as one group, tells the index and the
 * loop.
 */
#include <stdlib.h>
#include <string.h>
#include <sys/statvfs.h>
#include <uv.h>
#include "base/clock.h"
#include "store/store_int.h"

#define GROUP_BYTES  (8u << 20) /* more than that waits for the next group */
#define LAG_SLOW     40000      /* records the index may be behind before the log slows down */
#define LAG_PER_MS   1000       /* each so many more: 1 ms a group */
#define SLOW_MOST_MS 100
#define IDLE_MS      50         /* of quiet before housekeeping */
#define DISK_MS      1000       /* between two looks at a disk that was full */
#define ROOM_LEAST   (1u << 20) /* free bytes before a disk that was full is tried again */

/* ---- room on the disk ---- */

void store_check_disk(struct store *s)
{
    uint64_t least = s->disk_reserve;
    struct statvfs v;
    bool low;

    if (s->room_short && least < ROOM_LEAST)
        least = ROOM_LEAST;
    if (statvfs(s->path, &v) < 0)
        return; /* the commit will say what is wrong */
    low = (uint64_t)v.f_bavail * v.f_frsize < least;
    s->tried_ms = clock_mono_ms();
    if (low == atomic_load(&s->disk_low))
        return;
    atomic_store(&s->disk_low, low);
    if (low) {
        log_warn(&store_logger, "disk nearly full, nothing new is admitted: path=%s", s->path);
    } else {
        s->room_short = false;
        log_info(&store_logger, "disk has room again: path=%s", s->path);
    }
}

/* A full disk is looked at once a second, an ordinary one with each group. */
static void watch_disk(struct store *s)
{
    if (s->room_short && clock_mono_ms() - s->tried_ms < DISK_MS)
        return;
    store_check_disk(s);
}

static void out_of_room(struct store *s)
{
    s->tried_ms = clock_mono_ms();
    s->room_short = true;
    if (!atomic_exchange(&s->disk_low, true))
        log_warn(&store_logger, "disk full, nothing new is admitted: path=%s", s->path);
}

/* ---- handing over ---- */

/* The index learns of a group only here, when it is durable, and reads it from the log. */
static void feed_index(struct store *s, uint64_t last)
{
    uv_mutex_lock(&s->index_lock);
    s->index_target = last;
    if (s->index_waits && last >= s->index_wake_at)
        uv_cond_signal(&s->index_wake);
    uv_mutex_unlock(&s->index_lock);
}

static void report(struct store *s, struct list *group, int status)
{
    list_each (node, group) {
        list_entry(node, struct store_append, node)->status = status;
    }
    uv_mutex_lock(&s->done_lock);
    list_splice(&s->done_appends, group);
    uv_mutex_unlock(&s->done_lock);
    uv_async_send(&s->async);
}

/* ---- committing ---- */

static void count_group(struct store *s, const struct reclog_result *res)
{
    atomic_fetch_add(&s->commits, 1);
    atomic_fetch_add(&s->records, res->records);
    atomic_fetch_add(&s->duplicates, res->refused);
    atomic_fetch_add(&s->commit_us_sum, res->commit_us);
    if (res->commit_us > atomic_load(&s->commit_us_max))
        atomic_store(&s->commit_us_max, res->commit_us);
}

static void tidy(struct store *s)
{
    int r = reclog_tidy(s->log);

    if (r == UV_ENOSPC)
        out_of_room(s);
    else if (r == UV_EIO)
        store_fail(s, "log checkpoint failed", r);
}

static void commit_group(struct store *s, struct list *group)
{
    struct reclog_result res;
    int r = atomic_load(&s->failed) ? UV_EIO : 0;

    watch_disk(s);
    if (r == 0)
        r = reclog_append(s->log, group, &res);
    if (r == 0) {
        uint64_t last = reclog_last(s->log);

        count_group(s, &res);
        atomic_store(&s->log_seq, last);
        feed_index(s, last);
    } else if (r == UV_ENOSPC) {
        out_of_room(s);
    } else if (r != UV_ENOMEM && r != UV_E2BIG) {
        store_fail(s, "log commit failed, nothing more is acknowledged until a restart", r);
        r = UV_EIO;
    }
    report(s, group, r);
    if (reclog_tidy_due(s->log) == 2)
        tidy(s);
}

/* ---- waiting ---- */

/* How long to wait for work before something else is due, 0: for ever. */
static uint64_t idle_limit_ms(const struct store *s)
{
    if (atomic_load(&s->failed))
        return 0;
    return reclog_tidy_due(s->log) ? IDLE_MS : atomic_load(&s->disk_low) ? DISK_MS : 0;
}

/* Under log_lock, returns under it; what is due runs without. */
static void wait_for_work(struct store *s)
{
    uint64_t limit = idle_limit_ms(s);
    int r = 0;

    s->log_waits = true;
    if (limit)
        r = uv_cond_timedwait(&s->log_wake, &s->log_lock, limit * 1000000);
    else
        uv_cond_wait(&s->log_wake, &s->log_lock);
    s->log_waits = false;
    if (r != UV_ETIMEDOUT || !list_empty(&s->log_queue) || s->log_stop)
        return;
    uv_mutex_unlock(&s->log_lock);
    if (reclog_tidy_due(s->log))
        tidy(s);
    if (atomic_load(&s->disk_low))
        watch_disk(s);
    uv_mutex_lock(&s->log_lock);
}

/* Everything that has gathered, up to a limit. False: the end. */
static bool take_group(struct store *s, struct list *group)
{
    uint64_t bytes = 0;

    uv_mutex_lock(&s->log_lock);
    while (list_empty(&s->log_queue) && !s->log_stop)
        wait_for_work(s);
    while (!list_empty(&s->log_queue) && bytes < GROUP_BYTES) {
        struct store_append *a = list_entry(s->log_queue.next, struct store_append, node);

        bytes += a->bytes;
        list_remove(&a->node);
        list_append(group, &a->node);
    }
    uv_mutex_unlock(&s->log_lock);
    return !list_empty(group);
}

/* An index that falls behind slows the log softly: groups come later and are larger. */
static void slow_down(struct store *s)
{
    uint64_t seq = atomic_load(&s->log_seq), index = atomic_load(&s->index_seq), ms;

    if (seq < index + LAG_SLOW)
        return;
    ms = 1 + (seq - index - LAG_SLOW) / LAG_PER_MS;
    uv_sleep((unsigned)(ms > SLOW_MOST_MS ? SLOW_MOST_MS : ms));
}

/* The index goes first: its reader must be gone before the log folds its files. */
static void wait_for_index(struct store *s)
{
    uv_mutex_lock(&s->index_lock);
    s->log_drained = true;
    uv_cond_signal(&s->index_wake);
    uv_mutex_unlock(&s->index_lock);
    uv_mutex_lock(&s->log_lock);
    while (!s->index_done)
        uv_cond_wait(&s->log_wake, &s->log_lock);
    uv_mutex_unlock(&s->log_lock);
}

void store_log_main(void *arg)
{
    struct store *s = arg;
    struct list group = LIST_INIT(group);

    while (take_group(s, &group)) {
        slow_down(s);
        commit_group(s, &group);
    }
    wait_for_index(s);
    reclog_close(s->log);
    uv_mutex_lock(&s->done_lock);
    s->threads_done = true;
    uv_mutex_unlock(&s->done_lock);
    uv_async_send(&s->async);
}
