/*
 * log_keep.c - what a commit must not wait for: files of segments to come, files of those that
 * went.
 */
#include <fcntl.h>
#include <uv.h>
#include "base/log.h"
#include "store/disk.h"
#include "store/log_int.h"

#define PIECE (1u << 20) /* written at once, so that no commit waits long for the disk */

/* ---- files for segments to come ---- */

/* The name of a spare file; *ret_new: there is none yet. */
static uint32_t take_name(struct reclog *l, bool *ret_new)
{
    uint32_t name;

    uv_mutex_lock(&l->lock);
    *ret_new = l->n_spares == 0;
    name = l->n_spares ? l->spares[--l->n_spares] : l->next_spare++;
    uv_mutex_unlock(&l->lock);
    return name;
}

static void keep_name(struct reclog *l, uint32_t name)
{
    uv_mutex_lock(&l->lock);
    if (l->n_spares < LOG_SPARES_MOST)
        l->spares[l->n_spares++] = name;
    uv_mutex_unlock(&l->lock);
}

/* Blocks ahead of the writes make commits cheaper; without room for all of them it goes without. */
static int allocate(struct reclog *l, int fd, bool *ret_blank)
{
    int r = log_code(store_disk->allocate(fd, l->segment_bytes));

    *ret_blank = r == 0;
    if (r == 0 || r == UV_EIO)
        return r;
    return log_code(store_disk->truncate(fd, 0));
}

int log_make_spare(struct reclog *l, struct log_spare *ret)
{
    char path[LOG_PATH_MOST];
    bool is_new, blank = false;
    uint32_t name = take_name(l, &is_new);
    int fd, r = 0;

    log_spare_path(l, name, path);
    fd = store_disk->open(path, O_RDWR | O_CREAT);
    if (fd >= 0 && is_new)
        r = allocate(l, fd, &blank);
    if (fd < 0 || r < 0) {
        keep_name(l, name);
        if (fd >= 0)
            store_disk->close(fd);
        return log_code(fd < 0 ? fd : r);
    }
    *ret = (struct log_spare){ .fd = fd, .name = name, .blank = blank };
    return 0;
}

/* A block that was written before costs a sync half of what one costs that is only allocated, whose
 * extents change with it. So zeros are written once, past the page cache, which would be full of
 * them; where that cannot be, it goes without. */
static int write_through(const struct reclog *l, struct log_spare *spare)
{
    const uint64_t end = l->segment_bytes - l->segment_bytes % LOG_PAGE;
    size_t n = end - spare->blank_from < PIECE ? end - spare->blank_from : PIECE;
    int r = log_code(store_disk->blank(spare->fd, spare->blank_from, n));

    spare->blank_from += n;
    if (spare->blank_from >= end || r == UV_ENOTSUP)
        spare->blank = false;
    return r == UV_ENOTSUP ? 0 : r;
}

/* Half a segment is time enough; and it grows as the log does, so that commits never find the disk
 * busy with a whole segment of zeros. */
static bool prepare_due(const struct reclog *l)
{
    return l->prepared.fd < 0 &&
           l->durable_end > l->segment_bytes / 2 + l->making.blank_from / 8 * 3;
}

static void hand_over(struct reclog *l, struct log_spare *spare)
{
    bool taken;

    uv_mutex_lock(&l->lock);
    taken = l->prepared.fd < 0;
    if (taken)
        l->prepared = *spare;
    uv_mutex_unlock(&l->lock);
    if (!taken) { /* the log thread was faster */
        store_disk->close(spare->fd);
        keep_name(l, spare->name);
    }
    *spare = LOG_NO_SPARE;
}

/* Its blocks are not to be trusted. */
static void discard(struct reclog *l, struct log_spare *spare)
{
    char path[LOG_PATH_MOST];

    store_disk->close(spare->fd);
    log_spare_path(l, spare->name, path);
    store_disk->remove(path);
    *spare = LOG_NO_SPARE;
}

/* Nothing is synced here: the log thread does that with the head, and one thread's syncs are easy
 * to answer for. */
static int prepare(struct reclog *l)
{
    struct log_spare spare;
    bool due;
    int r = 0;

    uv_mutex_lock(&l->lock);
    due = prepare_due(l);
    spare = l->making;
    uv_mutex_unlock(&l->lock);
    if (!due)
        return 0;
    if (spare.fd < 0 && (r = log_make_spare(l, &spare)) < 0)
        return r;
    if (spare.blank && (r = write_through(l, &spare)) < 0)
        discard(l, &spare);
    else if (!spare.blank)
        hand_over(l, &spare);
    uv_mutex_lock(&l->lock);
    l->making = spare;
    uv_mutex_unlock(&l->lock);
    return r < 0 ? r : 1;
}

/* ---- files of segments that went ---- */

static bool recycle_due(const struct reclog *l)
{
    return l->going.number ||
           (l->n_segments > 1 && l->holds == 0 && l->segments[0].last < l->first_kept);
}

/* Take the oldest segment out of the list; a reader that comes for it is told so. One that could
 * not be got rid of comes first. */
static bool drop_oldest(struct reclog *l, struct log_segment *ret, uint32_t *ret_spare)
{
    bool due;

    uv_mutex_lock(&l->lock);
    due = recycle_due(l);
    if (due && !l->going.number) {
        l->going = l->segments[0];
        l->n_segments--;
        for (size_t i = 0; i < l->n_segments; i++)
            l->segments[i] = l->segments[i + 1];
    }
    if (due) {
        *ret = l->going;
        *ret_spare = l->n_spares < LOG_SPARES_MOST && !l->shreds ? l->next_spare++ : 0;
    }
    uv_mutex_unlock(&l->lock);
    return due;
}

/* Its file becomes a spare one; without room for another name it is removed. */
static int put_away(struct reclog *l, const struct log_segment *seg, uint32_t *spare)
{
    char path[LOG_PATH_MOST], to[LOG_PATH_MOST];
    int r = UV_ENOSPC;

    log_segment_path(l, seg->number, path);
    if (*spare) {
        log_spare_path(l, *spare, to);
        r = log_code(store_disk->rename(path, to));
    }
    if (r != UV_ENOSPC)
        return r;
    *spare = 0;
    return log_code(store_disk->remove(path));
}

/* One at a time and each durable before the next: what is left is always without a gap. */
static int recycle(struct reclog *l)
{
    struct log_segment seg;
    uint32_t spare;
    int r;

    if (!drop_oldest(l, &seg, &spare))
        return 0;
    keys_retire(l->keys, seg.number + 1);
    r = put_away(l, &seg, &spare);
    if (r == UV_ENOENT) { /* it was put away before, and not durably */
        spare = 0;
        r = 0;
    }
    if (r == 0)
        r = log_code(store_disk->sync_dir(l->dir));
    if (r < 0)
        return r;
    uv_mutex_lock(&l->lock);
    l->going.number = 0;
    uv_mutex_unlock(&l->lock);
    if (spare)
        keep_name(l, spare);
    log_info(&log_logger, "segment has gone: number=%u first=%" PRIu64 " last=%" PRIu64, seg.number,
             seg.first, seg.last);
    return 1;
}

void reclog_retire(struct reclog *l, uint64_t first_kept)
{
    uv_mutex_lock(&l->lock);
    if (first_kept > l->first_kept)
        l->first_kept = first_kept;
    uv_mutex_unlock(&l->lock);
}

void reclog_hold(struct reclog *l, bool on)
{
    uv_mutex_lock(&l->lock);
    l->holds += on ? 1 : -1u;
    uv_mutex_unlock(&l->lock);
}

/* ---- files that say what is to be forgotten ---- */

void reclog_shred(struct reclog *l)
{
    uv_mutex_lock(&l->lock);
    l->shred_left |= !l->shreds;
    l->shreds = true;
    uv_mutex_unlock(&l->lock);
}

void reclog_turn(struct reclog *l)
{
    atomic_store(&l->turns, true);
}

/* The files that were to be used again: first those that are open, then one at a time. */
static int shred_opened(struct reclog *l)
{
    struct log_spare open[2];
    int did = 0;

    uv_mutex_lock(&l->lock);
    open[0] = l->prepared;
    open[1] = l->making;
    l->prepared = l->making = LOG_NO_SPARE;
    uv_mutex_unlock(&l->lock);
    for (size_t i = 0; i < 2; i++)
        if (open[i].fd >= 0) {
            discard(l, &open[i]);
            did = 1;
        }
    return did;
}

static int shred(struct reclog *l)
{
    char path[LOG_PATH_MOST];
    uint32_t name = 0;
    bool due;
    int r;

    uv_mutex_lock(&l->lock);
    due = l->shred_left;
    if (due && l->n_spares)
        name = l->spares[--l->n_spares];
    l->shred_left = name != 0;
    uv_mutex_unlock(&l->lock);
    if (!due)
        return 0;
    if (!name)
        return shred_opened(l);
    log_spare_path(l, name, path);
    r = log_code(store_disk->remove(path));
    return r == UV_ENOENT || r == 0 ? 1 : r;
}

/* ---- the page cache ---- */

#define READ_SOON 2 /* segments: the newest one and what the index may still be reading */

static bool forget_due(const struct reclog *l)
{
    return l->in_memory + READ_SOON <= l->segments[l->n_segments - 1].number;
}

/* A log is written once and, the index having followed, hardly ever read: it would drive out of
 * memory what is. What must be read again comes from the disk. */
static int forget(struct reclog *l)
{
    char path[LOG_PATH_MOST];
    uint32_t number = 0;
    bool due;
    int fd;

    uv_mutex_lock(&l->lock);
    due = forget_due(l);
    if (due)
        number = l->in_memory++;
    uv_mutex_unlock(&l->lock);
    if (!due)
        return 0;
    log_segment_path(l, number, path);
    fd = store_disk->open(path, O_RDONLY);
    if (fd >= 0) { /* else it was recycled meanwhile */
        store_disk->forget(fd);
        store_disk->close(fd);
    }
    return 1;
}

/* ---- a step ---- */

int reclog_work(struct reclog *l)
{
    int (*const steps[])(struct reclog *) = { recycle, shred, prepare, forget };
    int did = 0, failed = 0;

    if (atomic_load(&l->failed))
        return 0;
    /* Each is tried whatever became of the others: recycling makes the room they lack. */
    for (size_t i = 0; i < sizeof(steps) / sizeof(steps[0]); i++) {
        int r = steps[i](l);

        did |= r > 0;
        failed = r < 0 && !failed ? r : failed;
    }
    if (keys_work_due(l->keys)) {
        int r = keys_work(l->keys);

        did |= r > 0;
        failed = r < 0 && !failed ? r : failed;
    }
    return failed ? failed : did;
}

bool reclog_work_due(struct reclog *l)
{
    bool due;

    if (atomic_load(&l->failed))
        return false;
    uv_mutex_lock(&l->lock);
    due = prepare_due(l) || recycle_due(l) || forget_due(l) || l->shred_left;
    uv_mutex_unlock(&l->lock);
    return due || keys_work_due(l->keys);
}
