/*
 * backup_files.c - a backup on the keeper's thread: the folder, the files of the log, the manifest.
 *
 * What the keeper does for the log goes on between slices. While commits go on, too, a slice is
 * followed by a pause three times as long, so that the disk they wait for is theirs.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>
#include <uv.h>
#include "base/clock.h"
#include "store/backup_int.h"
#include "store/disk.h"

#define SPARE_BYTES   (16u << 20) /* for what a file system needs beside the files */
#define PAUSE         3
#define PAUSE_MOST_MS 300

static int fail_path(struct backup *b, int r, const char *path)
{
    return fail_set(&b->fail, r, "%s: %s", path, uv_strerror(r));
}

/* ---- before it begins ---- */

static bool is_empty(const char *path)
{
    DIR *d = opendir(path);
    bool empty = d != NULL;

    for (struct dirent *e; d && (e = readdir(d));)
        empty = empty && (strcmp(e->d_name, ".") == 0 || strcmp(e->d_name, "..") == 0);
    if (d)
        closedir(d);
    return empty;
}

static int make_folder(struct backup *b)
{
    int r;

    if (mkdir(b->dir, 0700) == 0) {
        b->made_dir = true;
        return 0;
    }
    r = uv_translate_sys_error(errno);
    if (r == UV_ENOENT)
        return fail_set(&b->fail, r, "the folder that %s is to be in does not exist", b->dir);
    if (r == UV_EEXIST && is_empty(b->dir))
        return 0;
    if (r == UV_EEXIST)
        return fail_set(&b->fail, r, "%s is not an empty folder; a backup needs a new one", b->dir);
    return fail_path(b, r, b->dir);
}

static uint64_t size_of(const char *path)
{
    struct stat st;

    return stat(path, &st) == 0 ? (uint64_t)st.st_size : 0;
}

static bool is_run(const char *name, uint32_t *ret_last)
{
    unsigned first, last;
    int len = 0;

    if (sscanf(name, "%10u-%10u.keys%n", &first, &last, &len) != 2 || len != 26 || name[len])
        return false;
    *ret_last = last;
    return true;
}

static bool is_segment(const char *name)
{
    unsigned number;
    int len = 0;

    return sscanf(name, "%10u.seg%n", &number, &len) == 1 && len == 14 && !name[len];
}

/* Of all that will be copied from log/. */
static uint64_t log_bytes(const struct store *s)
{
    char dir[4000], path[4300];
    uint64_t sum = 0;
    uint32_t last;
    DIR *d;

    snprintf(dir, sizeof(dir), "%s/log", s->path);
    d = opendir(dir);
    for (struct dirent *e; d && (e = readdir(d));)
        if (is_segment(e->d_name) || is_run(e->d_name, &last)) {
            snprintf(path, sizeof(path), "%s/%s", dir, e->d_name);
            sum += size_of(path);
        }
    if (d)
        closedir(d);
    return sum;
}

static int check_room(struct store *s)
{
    struct backup *b = s->backup;
    struct stat here, there;
    struct statvfs fs;
    char path[4096];
    uint64_t index, want, free_bytes;

    snprintf(path, sizeof(path), "%s/sluice.db", s->path);
    index = size_of(path);
    snprintf(path, sizeof(path), "%s/sluice.db-wal", s->path);
    index += size_of(path);
    b->rest = log_bytes(s);
    atomic_store(&b->total, index + b->rest);
    if (stat(s->path, &here) < 0 || stat(b->dir, &there) < 0 || statvfs(b->dir, &fs) < 0)
        return fail_path(b, uv_translate_sys_error(errno), b->dir);
    b->same_disk = here.st_dev == there.st_dev;
    want = index + b->rest + SPARE_BYTES + (b->same_disk ? s->disk_reserve : 0);
    free_bytes = (uint64_t)fs.f_bavail * fs.f_frsize;
    if (free_bytes >= want)
        return 0;
    return fail_set(
        &b->fail, UV_ENOSPC, "%s has %llu MB free, and the backup wants %llu MB%s", b->dir,
        (unsigned long long)(free_bytes >> 20), (unsigned long long)((want >> 20) + 1),
        b->same_disk ? ", store.disk_reserve included: it is the store's own disk" : "");
}

static int prepare(struct store *s)
{
    struct backup *b = s->backup;
    char path[4096];
    int r;

    if ((r = make_folder(b)) < 0 || (r = check_room(s)) < 0)
        return r;
    snprintf(path, sizeof(path), "%s/log", b->dir);
    if (mkdir(path, 0700) < 0)
        return fail_path(b, uv_translate_sys_error(errno), path);
    b->made_log = true;
    reclog_hold(s->log, true);
    b->held = true;
    return 0;
}

/* ---- the end, good or bad ---- */

static void remove_file(const struct backup *b, const char *name)
{
    char path[4096];

    snprintf(path, sizeof(path), "%s/%s", b->dir, name);
    store_disk->remove(path);
}

/* The folder as it was. */
static void take_back(struct backup *b)
{
    char path[4096];

    for (size_t i = 0; i < b->manifest.n; i++)
        remove_file(b, b->manifest.files[i].name);
    if (b->now.name[0])
        remove_file(b, b->now.name);
    if (b->made_log) {
        remove_file(b, "sluice.db");
        snprintf(path, sizeof(path), "%s/log", b->dir);
        rmdir(path);
    }
    if (b->made_dir)
        rmdir(b->dir);
}

static void end(struct store *s)
{
    struct backup *b = s->backup;

    if (b->listed)
        copier_finish(&b->copier);
    if (b->fail.code)
        take_back(b);
    free(b->files);
    free(b->runs);
    b->files = NULL;
    b->runs = NULL;
    if (b->held)
        reclog_hold(s->log, false);
    atomic_store(&b->bytes, atomic_load(&b->total));
    atomic_store(&b->stage, STAGE_OVER);
    uv_async_send(&s->async);
}

/* ---- the files ---- */

/* Runs of segments that are all in the backup; those of the others are made of them again. */
static int list_runs(struct store *s)
{
    struct backup *b = s->backup;
    uint32_t newest = b->files[b->n_files - 1].segment, last;
    char dir[4096];
    DIR *d;
    int r = 0;

    snprintf(dir, sizeof(dir), "%s/log", s->path);
    d = opendir(dir);
    for (struct dirent *e; d && r == 0 && (e = readdir(d));)
        if (is_run(e->d_name, &last) && last < newest) {
            void *more = realloc(b->runs, (b->n_runs + 1) * sizeof(*b->runs));

            if (more) {
                b->runs = more;
                snprintf(b->runs[b->n_runs++], sizeof(*b->runs), "log/%.32s", e->d_name);
            } else {
                r = UV_ENOMEM;
            }
        }
    if (d)
        closedir(d);
    return r;
}

static int list(struct store *s)
{
    struct backup *b = s->backup;
    int r;

    b->manifest.last = reclog_last(s->log);
    b->manifest.first = reclog_first(s->log);
    b->manifest.watermark = b->watermark;
    memcpy(b->manifest.log_id, reclog_id(s->log), sizeof(b->manifest.log_id));
    copier_init(&b->copier);
    b->listed = true;
    atomic_store(&b->total, atomic_load(&b->bytes) + log_bytes(s)); /* it has grown */
    r = reclog_files(s->log, b->manifest.last, &b->files, &b->n_files);
    if (r == 0)
        r = list_runs(s);
    return r < 0 ? fail_path(b, r, b->dir) : 0;
}

/* The next one's name and how much of it. False: there is none. */
static bool next_file(struct backup *b, uint64_t *ret_bytes)
{
    *ret_bytes = UINT64_MAX;
    if (b->manifest.n == 0) {
        snprintf(b->now.name, sizeof(b->now.name), "sluice.db");
    } else if (b->next_file < b->n_files) {
        *ret_bytes = b->files[b->next_file].bytes;
        snprintf(b->now.name, sizeof(b->now.name), "log/%010u.seg",
                 b->files[b->next_file++].segment);
    } else if (b->next_run < b->n_runs) {
        memcpy(b->now.name, b->runs[b->next_run++], sizeof(b->now.name));
    } else {
        b->now.name[0] = '\0';
        return false;
    }
    return true;
}

static int begin_file(struct store *s, uint64_t bytes)
{
    struct backup *b = s->backup;
    char from[4096], to[4096];
    bool index = b->manifest.n == 0;
    int r;

    snprintf(from, sizeof(from), "%s/%s", index ? b->dir : s->path, b->now.name);
    snprintf(to, sizeof(to), "%s/%s", b->dir, b->now.name);
    r = copier_open(&b->copier, from, index ? NULL : to, bytes);
    b->copying = r == 0;
    if (r == UV_ENOENT && b->next_run)
        return 0; /* it was merged with others meanwhile */
    return r < 0 ? fail_path(b, r, to) : 0;
}

static int copy_slice(struct store *s)
{
    struct backup *b = s->backup;
    uint64_t began = clock_mono_ms(), before = b->copier.at, end_at = b->copier.end, pause_ms;
    uint64_t commits = atomic_load(&s->commits);
    bool index = b->manifest.n == 0;
    char path[4096];
    int r = copier_step(&b->copier, &b->now);

    snprintf(path, sizeof(path), "%s/%s", b->dir, b->now.name);
    if (r < 0)
        return fail_path(b, r, path);
    if (!index)
        atomic_fetch_add(&b->bytes, (r ? b->copier.at : end_at) - before);
    if (b->same_disk && atomic_load(&s->disk_low))
        return fail_set(&b->fail, UV_ENOSPC, "%s: less than store.disk_reserve is left", b->dir);
    if (r == 0) {
        b->copying = false;
        if ((r = manifest_add(&b->manifest, &b->now)) < 0)
            return fail_path(b, r, b->dir);
    }
    pause_ms = PAUSE * (clock_mono_ms() - began);
    if (atomic_load(&s->commits) != commits)
        uv_sleep((unsigned)(pause_ms < PAUSE_MOST_MS ? pause_ms : PAUSE_MOST_MS));
    return 0;
}

/* All files are there: now, and not before, it is a backup. */
static int finish(struct backup *b)
{
    char path[4096], *slash;
    int r;

    b->manifest.made_ms = clock_wall_ms();
    atomic_store(&b->total, b->manifest.bytes);
    snprintf(path, sizeof(path), "%s/log", b->dir);
    if ((r = store_disk->sync_dir(path)) < 0)
        return fail_path(b, r, path);
    if (b->made_dir) {
        snprintf(path, sizeof(path), "%s", b->dir);
        slash = strrchr(path, '/');
        slash[slash == path] = '\0';
        if ((r = store_disk->sync_dir(path)) < 0)
            return fail_path(b, r, path);
    }
    return manifest_write(&b->manifest, b->dir, &b->fail);
}

/* One step. 1: there are more; 0: all is done; or a code. */
static int log_step(struct store *s)
{
    struct backup *b = s->backup;
    uint64_t bytes;
    int r;

    if (b->fail.code)
        return b->fail.code;
    if (!b->listed)
        r = list(s);
    else if (b->copying)
        r = copy_slice(s);
    else if (next_file(b, &bytes))
        r = begin_file(s, bytes);
    else
        return finish(b);
    return r < 0 ? r : 1;
}

bool backup_keeper_step(struct store *s)
{
    struct backup *b = s->backup;
    bool more = false;

    switch (atomic_load(&b->stage)) {
    case STAGE_PREPARE:
        if (prepare(s) < 0) {
            end(s);
            break;
        }
        atomic_store(&b->stage, STAGE_INDEX);
        uv_mutex_lock(&s->index_lock);
        if (s->index_waits)
            uv_cond_signal(&s->index_wake);
        uv_mutex_unlock(&s->index_lock);
        break;
    case STAGE_LOG:
        if (log_step(s) <= 0)
            end(s);
        more = true; /* also at the end: what was held may go now */
        break;
    default:
        break;
    }
    return more;
}

/* The index thread has ended before. */
void backup_keeper_end(struct store *s)
{
    if (atomic_load(&s->backup->stage) == STAGE_OVER)
        return;
    if (s->backup->fail.code == 0)
        fail_set(&s->backup->fail, UV_ECANCELED, "the daemon was stopped");
    end(s);
}
