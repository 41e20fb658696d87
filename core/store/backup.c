/*
 * backup.c - a backup on the loop: begun, asked about, over; and its slices on the index thread.
 */
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <uv.h>
#include "base/clock.h"
#include "store/backup_int.h"

#define SLICE_US    8000 /* what a query or a record may have to wait for */
#define SHORT_US    2000 /* ... while many records wait */
#define SLICE_PAGES 64

struct backup *backup_create(void)
{
    return calloc(1, sizeof(struct backup));
}

void backup_destroy(struct backup *b)
{
    if (!b)
        return;
    manifest_finish(&b->manifest);
    free(b->dir);
    free(b);
}

/* ---- the loop ---- */

int store_backup(struct store *s, const char *dir,
                 void (*cb)(void *ctx, const struct backup_status *st), void *ctx)
{
    struct backup *b = s->backup;
    char *copy;

    if (s->phase != STORE_OPEN)
        return UV_ECANCELED;
    if (atomic_load(&s->failed))
        return UV_EIO;
    if (b->state == BACKUP_RUNNING)
        return UV_EBUSY;
    if (dir[0] != '/' || strlen(dir) > 3900)
        return UV_EINVAL;
    if (!(copy = strdup(dir)))
        return UV_ENOMEM;
    free(b->dir);
    manifest_finish(&b->manifest);
    /* All but what other threads may look at now, and what outlives it. */
    memset((char *)b + offsetof(struct backup, dir), 0, sizeof(*b) - offsetof(struct backup, dir));
    b->dir = copy;
    b->state = BACKUP_RUNNING;
    b->began_ms = clock_wall_ms();
    b->cb = cb;
    b->ctx = ctx;
    atomic_store(&b->bytes, 0);
    atomic_store(&b->total, 0);
    if (s->outstanding++ == 0)
        uv_ref((uv_handle_t *)&s->async);
    log_info(&store_logger, "backup begun: dir=%s", b->dir);
    atomic_store(&b->stage, STAGE_PREPARE);
    store_keeper_wake(s);
    return 0;
}

void store_backup_status(const struct store *s, struct backup_status *ret)
{
    const struct backup *b = s->backup;

    *ret = (struct backup_status){ .state = b->state,
                                   .dir = b->dir ? b->dir : "",
                                   .bytes = atomic_load(&b->bytes),
                                   .total = atomic_load(&b->total),
                                   .began_ms = b->began_ms,
                                   .ended_ms = b->ended_ms,
                                   .good_ms = b->good_ms,
                                   .text = "" };
    if (b->state == BACKUP_DONE) {
        ret->files = b->manifest.n;
        ret->first = b->manifest.first;
        ret->last = b->manifest.last;
        ret->watermark = b->manifest.watermark;
    } else if (b->state == BACKUP_FAILED) {
        ret->code = b->fail.code;
        ret->text = b->fail.text;
    }
}

void backup_settle(struct store *s)
{
    struct backup *b = s->backup;
    struct backup_status st;

    if (b->state != BACKUP_RUNNING || atomic_load(&b->stage) != STAGE_OVER)
        return;
    b->state = b->fail.code ? BACKUP_FAILED : BACKUP_DONE;
    b->ended_ms = clock_wall_ms();
    if (!b->fail.code)
        b->good_ms = b->began_ms;
    store_backup_status(s, &st);
    if (b->fail.code)
        log_error(&store_logger, "backup failed: %s", b->fail.text);
    else
        log_info(&store_logger, "backup done: dir=%s first=%llu last=%llu bytes=%llu", b->dir,
                 (unsigned long long)st.first, (unsigned long long)st.last,
                 (unsigned long long)st.total);
    store_settled(s);
    if (b->cb)
        b->cb(b->ctx, &st);
}

/* ---- the index thread ---- */

bool backup_index_due(const struct store *s)
{
    return atomic_load(&s->backup->stage) == STAGE_INDEX;
}

static void leave_index(struct store *s)
{
    index_copy_close(s->backup->copy);
    s->backup->copy = NULL;
    atomic_store(&s->backup->stage, STAGE_LOG);
    store_keeper_wake(s);
}

void backup_index_step(struct store *s, bool hurry)
{
    struct backup *b = s->backup;
    uint64_t until_us = clock_mono_us() + (hurry ? SHORT_US : SLICE_US), bytes = 0, total = 0;
    char path[4096];
    int r = 1;

    snprintf(path, sizeof(path), "%s/sluice.db", b->dir);
    if (!b->copy)
        r = (r = index_copy_open(&b->copy, s->index, path)) < 0 ? r : 1;
    while (r > 0 && clock_mono_us() < until_us) {
        r = index_copy_step(b->copy, SLICE_PAGES, &bytes, &total);
        atomic_store(&b->bytes, bytes);
        atomic_store(&b->total, total + b->rest);
    }
    if (r > 0)
        return;
    if (r < 0)
        fail_set(&b->fail, r, "%s: %s", path, uv_strerror(r));
    b->watermark = index_watermark(s->index);
    leave_index(s);
}

void backup_index_end(struct store *s)
{
    if (!backup_index_due(s))
        return;
    fail_set(&s->backup->fail, UV_ECANCELED, "the daemon was stopped");
    leave_index(s);
}
