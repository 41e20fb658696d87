/*
 * store_index.c - the index thread: applies what the log has made durable, answers queries.
 */
#include <stdlib.h>
#include <uv.h>
#include "base/clock.h"
#include "store/backup_int.h"
#include "store/retain.h"
#include "store/store_int.h"

#define APPLY_MOST 1024 /* records in one transaction */
#define GATHER_MS  20   /* how long records may wait for company when nobody asks */
#define IDLE_MS    200  /* of quiet before housekeeping */
#define RETRY_MS   1000 /* after a full disk */
#define RETAIN_MS  1000 /* no longer than that old events wait for a quiet moment to go */
#define NICE       5
#define TELL_MS    5000 /* between two lines about an index that catches up */

/* The thread's own: what it has taken over and how it stands. */
struct work {
    struct store *s;
    struct list queries;
    uint64_t target;
    bool finish;
    int stuck;         /* why the last apply failed; 0: it did not */
    uint64_t stuck_ms; /* when */
    uint64_t left;     /* of the transaction's bound */
    uint64_t since_ms; /* when the first record not applied was seen; 0: none is */
    uint64_t told_ms;  /* when it was last said how far it has caught up; 0: it has */
    size_t damages;    /* places of the log that are in the statistics */
    struct retain retain;
    bool retain_short; /* its last slice failed */
    bool spare;        /* records gather: time for a slice of it, not for them */
};

/* ---- applying ---- */

static int on_record(void *ctx, const struct reclog_record *rec)
{
    struct work *w = ctx;
    int r = index_apply(w->s->index, rec);

    if (r == UV_EINVAL)
        log_error(&store_logger,
                  "record cannot be understood, it was written by a newer program: record=%llu "
                  "type=%d",
                  (unsigned long long)rec->seq, (int)rec->type);
    return r;
}

/* The next records, as many as the transaction may still take. */
static int apply_next(struct work *w)
{
    uint64_t next = index_watermark(w->s->index) + 1, n = w->target - next + 1;
    int r = reclog_read(w->s->reader, next, (uint32_t)(n < w->left ? n : w->left), on_record, w);

    if (r == 0)
        return UV_EIO; /* a durable record that is not there */
    w->left -= r > 0 ? (uint64_t)r : 0;
    return r < 0 ? r : 0;
}

static void tell_doubled(struct store *s)
{
    uint64_t num, n = index_doubled(s->index, &num);

    if (atomic_exchange(&s->doubled, n) < n && num)
        log_error(
            &store_logger,
            "a second delivery of one event, route and piece is refused, the first one holds: "
            "delivery=%llu.%u refused=%llu",
            (unsigned long long)delivery_event(num), delivery_ordinal(num), (unsigned long long)n);
}

/* What stands in the index, for whoever asks without asking it. */
static void publish_counts(struct store *s)
{
    struct index_issues i = index_issues(s->index);

    tell_doubled(s);
    atomic_store(&s->restored_to, index_restored_to(s->index));
    atomic_store(&s->issues_open, i.open);
    atomic_store(&s->issues_acknowledged, i.acknowledged);
    atomic_store(&s->issues_dead, i.dead);
}

/* One transaction. 0, or a code and the index as it was. */
static int apply_some(struct work *w)
{
    struct index *ix = w->s->index;
    int r = index_begin(ix);

    w->left = APPLY_MOST;
    while (r == 0 && (w->left > 0 || index_mid_append(ix)) && index_watermark(ix) < w->target) {
        w->left += !w->left;
        r = apply_next(w);
    }
    if (r == 0)
        r = index_commit(ix);
    else
        index_rollback(ix);
    if (r == 0)
        atomic_store(&w->s->index_seq, index_watermark(ix));
    if (r == 0)
        publish_counts(w->s);
    return r;
}

static int fail_damaged(const struct store *s, uint64_t after, struct fail *fail);

/* It came up behind the log: how far it is by now. */
static void tell_progress(struct work *w)
{
    uint64_t at = index_watermark(w->s->index), now = clock_mono_ms();

    if (!w->told_ms || (at < w->s->opened_seq && now - w->told_ms < TELL_MS))
        return;
    w->told_ms = at < w->s->opened_seq ? now : 0;
    if (w->told_ms)
        log_info(&store_logger, "the index catches up: behind=%llu",
                 (unsigned long long)(w->s->opened_seq - at));
    else
        log_info(&store_logger, "the index has caught up: record=%llu", (unsigned long long)at);
}

static void cannot_go_on(struct work *w, int r)
{
    struct fail fail = { 0 };

    if (r == UV_EILSEQ && fail_damaged(w->s, index_watermark(w->s->index), &fail) < 0)
        log_error(&store_logger, "%s", fail.text);
    store_fail(w->s, "index cannot go on", r);
}

/* Apply, and decide what a failure means. */
static int advance(struct work *w)
{
    int r;

    if (w->stuck && w->stuck != UV_EIO && clock_mono_ms() - w->stuck_ms < RETRY_MS)
        return w->stuck;
    if (w->stuck == UV_EIO)
        return UV_EIO;
    r = apply_some(w);
    if (r < 0 && r != UV_ENOSPC && r != UV_ENOMEM && r != UV_EBUSY) {
        cannot_go_on(w, r);
        r = UV_EIO;
    }
    tell_progress(w);
    if (r == UV_ENOSPC && w->stuck == 0)
        log_warn(&store_logger, "disk full, the index waits: path=%s", w->s->path);
    w->since_ms = 0;
    w->stuck = r;
    w->stuck_ms = clock_mono_ms();
    return r;
}

static int fail_damaged(const struct store *s, uint64_t after, struct fail *fail)
{
    struct reclog_damage d;

    for (size_t i = 0; reclog_damage(s->log, i, &d); i++)
        if (d.last > after)
            return fail_set(fail, UV_EILSEQ,
                            "%s/log/%010u.seg is damaged at byte %llu: records %llu to %llu cannot "
                            "be read, and the index does not have them; restore a backup, or write "
                            "them off with `sluice db repair`",
                            s->path, d.segment, (unsigned long long)d.offset,
                            (unsigned long long)d.first, (unsigned long long)d.last);
    return 0;
}

int store_catch_up(struct store *s, struct fail *fail)
{
    struct work w = { .s = s, .target = reclog_last(s->log) };
    uint64_t at = index_watermark(s->index), until_ms = clock_mono_ms() + s->catch_up_ms;
    int r = fail_damaged(s, at, fail);

    if (r == 0 && at + 1 < reclog_first(s->log))
        return fail_set(fail, UV_EINVAL,
                        "%s/log begins with record %llu, but sluice.db stands at %llu: of the "
                        "events between, what was open, held or dead was in the index alone; "
                        "restore a backup, or go on without with `sluice db repair`",
                        s->path, (unsigned long long)reclog_first(s->log), (unsigned long long)at);
    while (r == 0 && (at = index_watermark(s->index)) < w.target && clock_mono_ms() < until_ms)
        r = apply_some(&w);
    atomic_store(&s->index_seq, at);
    publish_counts(s);
    if (r == 0 && at < w.target)
        log_warn(&store_logger,
                 "the index is far behind, it catches up while webhooks are taken; what is to be "
                 "sent waits for it: behind=%llu path=%s",
                 (unsigned long long)(w.target - at), s->path);
    if (r == UV_EILSEQ)
        return fail_damaged(s, at, fail);
    if (r == UV_EINVAL)
        return fail_set(fail, r,
                        "%s/log: a record after %llu cannot be understood: it was written by a "
                        "newer program",
                        s->path, (unsigned long long)at);
    if (r < 0)
        return fail_set(fail, r, "%s/sluice.db: applying records after %llu: %s", s->path,
                        (unsigned long long)at, uv_strerror(r));
    return 0;
}

/* ---- answering ---- */

/* A question met a place that cannot be read: told at once, the next commit may be hours away. */
static void tell_damage(struct work *w)
{
    struct reclog_damage d;
    size_t before = w->damages;

    while (reclog_damage(w->s->log, w->damages, &d))
        w->damages++;
    if (w->damages > before)
        store_publish_stats(w->s);
}

/* A report is given from what there is; the flow is never told less than what it appended. */
static void answer(struct work *w, struct query *q)
{
    int r = 0;

    while (r == 0 && index_watermark(w->s->index) < q->position)
        r = advance(w);
    if (r < 0 && (r == UV_EIO || q->type != QUERY_REPORT))
        q->status = r;
    else
        index_answer(w->s->index, q);
    if (q->status == UV_EIO)
        store_fail(w->s, "index cannot be read", q->status);
    tell_damage(w);
    uv_mutex_lock(&w->s->done_lock);
    list_append(&w->s->done_queries, &q->node);
    uv_mutex_unlock(&w->s->done_lock);
    uv_async_send(&w->s->async);
}

static void answer_all(struct work *w)
{
    while (!list_empty(&w->queries)) {
        struct query *q = list_entry(w->queries.next, struct query, node);

        list_remove(&q->node);
        answer(w, q);
    }
}

static uint64_t behind(const struct work *w)
{
    return w->target - index_watermark(w->s->index);
}

/* Under index_lock: take over what has come. */
static void collect(struct work *w)
{
    struct store *s = w->s;

    list_splice(&w->queries, &s->index_queue);
    w->target = s->index_target;
    w->finish = s->log_drained;
}

/* ---- idle moments: what nobody waits for, a slice at a time ---- */

static void tidy(struct work *w)
{
    int r = index_tidy(w->s->index);

    if (r == UV_EIO)
        store_fail(w->s, "index checkpoint failed", r);
}

/* A slice of letting old events go. */
static void retain(struct work *w)
{
    int r = retain_step(&w->retain, clock_wall_ms(), clock_mono_ms());

    if (r > 0)
        store_keeper_wake(w->s);
    if (r == UV_EIO)
        store_fail(w->s, "index cannot go on", r);
    else if (r < 0 && !w->retain_short)
        log_warn(&store_logger, "old events cannot go yet, will retry: err=%s path=%s",
                 uv_err_name(r), w->s->path);
    w->retain_short = r < 0;
}

static bool retain_is_due(const struct work *w)
{
    return !atomic_load(&w->s->failed) && retain_due_ms(&w->retain, clock_mono_ms()) == 0;
}

/* There is never a quiet moment: without any slice the disk would fill. */
static bool retain_is_late(const struct work *w)
{
    return clock_mono_ms() - w->retain.slice_ms >= RETAIN_MS && retain_is_due(w);
}

/* How long it must have been quiet before idle_work() has something to do; 0: it has nothing, and
 * the thread sleeps until it is woken. A slice of retention follows another after a moment in which
 * a query may come. */
static uint64_t idle_due_ms(const struct work *w)
{
    uint64_t due = retain_due_ms(&w->retain, clock_mono_ms()) + 1;

    if (atomic_load(&w->s->failed))
        return 0;
    return index_tidy_due(w->s->index) && due > IDLE_MS ? IDLE_MS : due;
}

/* One slice: a query or a record that comes meanwhile waits for it. */
static void idle_work(struct work *w)
{
    if (retain_is_due(w))
        retain(w);
    else if (index_tidy_due(w->s->index))
        tidy(w);
}

/* ---- waiting ---- */

/* Is there something to do now? Records alone wait a while for company, so that they share a
 * transaction. If not, *ret_limit_ms says when to look again, 0: when woken. */
static bool has_work(struct work *w, bool timed_out, uint64_t *ret_limit_ms)
{
    uint64_t now = clock_mono_ms();

    w->spare = false;
    if (!list_empty(&w->queries) || w->finish || backup_index_due(w->s))
        return true;
    *ret_limit_ms = 0;
    if (w->stuck) {
        *ret_limit_ms = w->stuck == UV_EIO ? 0 : RETRY_MS;
        return timed_out;
    }
    if (behind(w)) {
        if (!w->since_ms)
            w->since_ms = now;
        if (behind(w) >= APPLY_MOST || now - w->since_ms >= GATHER_MS)
            return true;
        w->spare = timed_out && retain_is_due(w);
        *ret_limit_ms = retain_is_due(w) ? 1 : w->since_ms + GATHER_MS - now;
        return w->spare;
    }
    *ret_limit_ms = idle_due_ms(w);
    return timed_out && *ret_limit_ms;
}

static void wait_for_work(struct work *w)
{
    struct store *s = w->s;
    uint64_t limit_ms;
    int r = 0;

    uv_mutex_lock(&s->index_lock);
    for (collect(w); !has_work(w, r == UV_ETIMEDOUT, &limit_ms); collect(w)) {
        s->index_waits = true;
        /* While records gather, one more is no reason to wake up. */
        s->index_wake_at = behind(w) ? index_watermark(s->index) + APPLY_MOST : w->target + 1;
        r = 0;
        if (limit_ms)
            r = uv_cond_timedwait(&s->index_wake, &s->index_lock, limit_ms * 1000000);
        else
            uv_cond_wait(&s->index_wake, &s->index_lock);
        s->index_waits = false;
    }
    uv_mutex_unlock(&s->index_lock);
}

/* Everything is answered; what is not applied is applied at the next opening. */
static void finish(struct work *w)
{
    struct store *s = w->s;

    while (behind(w) && advance(w) == 0)
        ;
    backup_index_end(s);
    index_close(s->index);
    reclog_reader_close(s->reader);
    uv_mutex_lock(&s->log_lock);
    s->index_done = true;
    uv_cond_signal(&s->log_wake);
    uv_mutex_unlock(&s->log_lock);
}

void store_index_main(void *arg)
{
    struct work w = { .s = arg };

    store_thread_begin("sluice-index", NICE);
    list_init(&w.queries);
    if (index_watermark(w.s->index) < w.s->opened_seq)
        w.told_ms = clock_mono_ms();
    retain_init(&w.retain, w.s->log, w.s->index, w.s->keep_ms, clock_wall_ms(), clock_mono_ms());
    for (;;) {
        wait_for_work(&w);
        answer_all(&w);
        if (w.finish)
            break; /* set by the log's end, after which nothing is submitted */
        if (behind(&w) && !w.spare)
            advance(&w);
        if (backup_index_due(w.s))
            backup_index_step(w.s, behind(&w) > APPLY_MOST);
        if (index_tidy_due(w.s->index) == 2)
            tidy(&w);
        else if (!behind(&w) || w.spare)
            idle_work(&w);
        else if (retain_is_late(&w))
            retain(&w);
    }
    finish(&w);
}
