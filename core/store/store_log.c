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

#define LAG_BOUND    50000      /* records the index may be behind ... */
#define LAG_SLOW     40000      /* ... and from where on the log slows down, softly at first */
#define SLOW_MOST_MS 100        /* a group, at the bound and beyond */
#define DISK_MS      1000       /* between two looks at a disk that was full ... */
#define LOOK_MS      100        /* ... and at an ordinary one */
#define STATS_US     1000000    /* between two looks at what the log says of itself */
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

/* Not with each group: a look costs as much as a record, and what is written between two of them is
 * little beside the reserve. */
static void watch_disk(struct store *s)
{
    if (clock_mono_ms() - s->tried_ms >= (s->room_short ? DISK_MS : LOOK_MS))
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

/* `last`: the newest durable record, for the index; 0: there is none more. The index answers under
 * the same lock, so the loop never hears from it of what it was not called back for. */
static void report(struct store *s, struct list *group, int status, uint64_t last)
{
    list_each (node, group) {
        list_entry(node, struct store_append, node)->status = status;
    }
    uv_mutex_lock(&s->done_lock);
    if (last)
        feed_index(s, last);
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

void store_publish_stats(struct store *s)
{
    struct reclog_stats st;

    reclog_stats(s->log, &st);
    atomic_store(&s->first_seq, st.first);
    atomic_store(&s->damaged, st.damaged);
    atomic_store(&s->keys_bytes, st.keys_bytes);
    atomic_store(&s->segments, st.segments);
}

/* What the next group may take is reckoned from those before, the newer ones more. */
static void measure(struct store *s, uint64_t since_us)
{
    uint64_t now = clock_mono_us(), took = now - since_us, mean = atomic_load(&s->group_us);

    atomic_store(&s->group_us, mean ? mean - mean / 4 + took / 4 : took);
    atomic_store(&s->group_since_us, 0);
    if (now - s->published_us >= STATS_US) {
        s->published_us = now;
        store_publish_stats(s);
    }
}

static void commit_group(struct store *s, struct list *group)
{
    struct reclog_result res;
    uint64_t last = 0;
    int r = atomic_load(&s->failed) ? UV_EIO : 0;

    watch_disk(s);
    if (r == 0)
        r = reclog_append(s->log, group, &res);
    if (r == 0) {
        last = reclog_last(s->log);
        count_group(s, &res);
        atomic_store(&s->log_seq, last);
    } else if (r == UV_ENOSPC) {
        out_of_room(s);
    } else if (r != UV_ENOMEM) {
        store_fail(s, "log commit failed, nothing more is acknowledged until a restart", r);
        r = UV_EIO;
    }
    report(s, group, r, last);
    if (reclog_work_due(s->log))
        store_keeper_wake(s);
}

/* ---- waiting ---- */

/* How long to wait for work before something else is due, 0: for ever. */
static uint64_t idle_limit_ms(const struct store *s)
{
    if (atomic_load(&s->failed))
        return 0;
    return atomic_load(&s->disk_low) ? DISK_MS : 0;
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
    while (!list_empty(&s->log_queue) && bytes < STORE_GROUP_BYTES) {
        struct store_append *a = list_entry(s->log_queue.next, struct store_append, node);

        bytes += a->bytes;
        list_remove(&a->node);
        list_append(group, &a->node);
    }
    uv_mutex_unlock(&s->log_lock);
    return !list_empty(group);
}

/* An index that falls behind slows the log softly: groups come later and are larger. What it lacked
 * at the opening is not what comes in now, and slows nothing. */
static void slow_down(struct store *s)
{
    uint64_t seq = atomic_load(&s->log_seq), index = atomic_load(&s->index_seq), over, ms;

    if (index < s->opened_seq)
        index = s->opened_seq;
    if (seq < index + LAG_SLOW || atomic_load(&s->failed))
        return;
    over = seq - index - LAG_SLOW;
    if (over > LAG_BOUND - LAG_SLOW)
        over = LAG_BOUND - LAG_SLOW;
    ms = 1 + SLOW_MOST_MS * over * over / ((LAG_BOUND - LAG_SLOW) * (LAG_BOUND - LAG_SLOW));
    uv_sleep((unsigned)ms);
}

/* The index goes first: its reader must be gone before the log closes. */
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

    store_thread_begin("sluice-log", 0);
    while (take_group(s, &group)) {
        uint64_t since_us = clock_mono_us();

        atomic_store(&s->group_since_us, since_us);
        slow_down(s);
        commit_group(s, &group);
        measure(s, since_us);
    }
    wait_for_index(s);
    store_keeper_stop(s);
    reclog_close(s->log);
    uv_mutex_lock(&s->done_lock);
    s->threads_done = true;
    uv_mutex_unlock(&s->done_lock);
    uv_async_send(&s->async);
}
