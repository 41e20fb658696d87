/*
 * restore.c - a backup verified, copied beside the store, looked through, and put in its place.
 */
#include "store/restore.h"

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <time.h>
#include <unistd.h>
#include <uv.h>
#include "base/clock.h"
#include "store/disk.h"
#include "store/manifest.h"
#include "store/restore_int.h"

#define PATH_MOST   4096
#define MARK        "restoring" /* in what is being made: it may be removed again */
#define SPARE_BYTES (64u << 20)

struct restore {
    const struct restore_conf *conf;
    struct restore_report *report;
    struct fail *fail;
    struct manifest manifest;
    char path[PATH_MOST]; /* of the store, without links */
    char parent[PATH_MOST], tmp[PATH_MOST];
    bool exists; /* the folder of a store; with a store in it: */
    bool store_there;
    struct stat old;
    int lock_fd, mark_fd;
};

static int fail_errno(struct restore *x, const char *path)
{
    int r = uv_translate_sys_error(errno);

    return fail_set(x->fail, r, "%s: %s", path, uv_strerror(r));
}

static int fail_path(struct restore *x, int r, const char *path)
{
    return fail_set(x->fail, r, "%s: %s", path, uv_strerror(r));
}

/* ---- the files of a backup ---- */

static int open_file(struct copier *c, const struct manifest_file *f, const char *from,
                     const char *to, struct fail *fail)
{
    char a[PATH_MOST], b[PATH_MOST];
    struct stat st;
    int r;

    snprintf(a, sizeof(a), "%s/%s", from, f->name);
    snprintf(b, sizeof(b), "%s/%s", to ? to : "", f->name);
    if (stat(a, &st) < 0 && errno == ENOENT)
        return fail_set(fail, UV_EILSEQ, "%s is missing", a);
    if (stat(a, &st) == 0 && (uint64_t)st.st_size != f->bytes)
        return fail_set(fail, UV_EILSEQ, "%s has %llu bytes, and %s says %llu", a,
                        (unsigned long long)st.st_size, MANIFEST, (unsigned long long)f->bytes);
    r = copier_open(c, a, to ? b : NULL, f->bytes);
    return r < 0 ? fail_set(fail, r, "%s: %s", a, uv_strerror(r)) : 0;
}

static int copy_file(struct copier *c, const struct manifest_file *f, const char *from,
                     const char *to, struct fail *fail)
{
    struct manifest_file got = { 0 };
    int r = open_file(c, f, from, to, fail);

    if (r < 0)
        return r;
    while ((r = copier_step(c, &got)) > 0)
        ;
    if (r < 0)
        return fail_set(fail, r, "%s/%s: %s", from, f->name, uv_strerror(r));
    if (memcmp(got.sum, f->sum, sizeof(got.sum)) != 0)
        return fail_set(fail, UV_EILSEQ,
                        "%s/%s is not what was backed up: its SHA-256 is another than %s says",
                        from, f->name, MANIFEST);
    return 0;
}

/* `to` NULL: only the sums are looked at. */
static int copy_all(const struct manifest *m, const char *from, const char *to, struct fail *fail)
{
    struct copier c;
    int r = 0;

    copier_init(&c);
    for (size_t i = 0; r == 0 && i < m->n; i++)
        r = copy_file(&c, &m->files[i], from, to, fail);
    copier_finish(&c);
    return r;
}

/* ---- where to ---- */

static void set_parent(struct restore *x)
{
    char *slash;

    snprintf(x->parent, sizeof(x->parent), "%s", x->path);
    slash = strrchr(x->parent, '/');
    slash[slash == x->parent] = '\0';
}

/* The store's folder by its real name: what is put in its place is not to replace a link. */
static int find_path(struct restore *x)
{
    char *real = realpath(x->conf->path, NULL), parent[PATH_MOST], *slash;
    const char *name;
    int r = 0;

    if (!real && errno != ENOENT)
        return fail_errno(x, x->conf->path);
    x->exists = real != NULL;
    if (real) {
        snprintf(x->path, sizeof(x->path), "%s", real);
    } else {
        snprintf(parent, sizeof(parent), "%s", x->conf->path);
        while ((slash = strrchr(parent, '/')) && slash > parent && !slash[1])
            *slash = '\0';
        slash = strrchr(parent, '/');
        name = slash ? slash + 1 : parent;
        if (slash)
            *slash = '\0';
        real = realpath(!slash ? "." : *parent ? parent : "/", NULL);
        if (!real)
            r = fail_set(x->fail, UV_ENOENT, "the folder that %s is to be in does not exist",
                         x->conf->path);
        else
            snprintf(x->path, sizeof(x->path), "%.3800s/%.200s", strcmp(real, "/") ? real : "",
                     name);
    }
    free(real);
    if (r == 0) {
        set_parent(x);
        snprintf(x->tmp, sizeof(x->tmp), "%.4080s" RESTORE_SUFFIX, x->path);
    }
    return r;
}

static bool has(const char *dir, const char *name)
{
    char path[PATH_MOST + 32];

    snprintf(path, sizeof(path), "%s/%s", dir, name);
    return access(path, F_OK) == 0;
}

static int lock_old(struct restore *x)
{
    char path[PATH_MOST + 8], text[32] = "";

    snprintf(path, sizeof(path), "%s/lock", x->path);
    x->lock_fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (x->lock_fd < 0)
        return fail_errno(x, path);
    if (flock(x->lock_fd, LOCK_EX | LOCK_NB) == 0)
        return 0;
    if (errno != EWOULDBLOCK)
        return fail_errno(x, path);
    if (pread(x->lock_fd, text, sizeof(text) - 1, 0) < 0)
        text[0] = '\0';
    return fail_set(x->fail, UV_EBUSY, "store %s is in use by process %ld: stop the daemon first",
                    x->path, strtol(text, NULL, 10));
}

static int look_at_old(struct restore *x)
{
    struct stat parent;
    int r;

    if (!x->exists)
        return 0;
    if (stat(x->path, &x->old) < 0 || stat(x->parent, &parent) < 0)
        return fail_errno(x, x->path);
    if (!S_ISDIR(x->old.st_mode))
        return fail_path(x, UV_ENOTDIR, x->path);
    if (x->old.st_dev != parent.st_dev)
        return fail_set(x->fail, UV_EXDEV,
                        "%s is a mount point, and cannot be replaced in one step: restore into a "
                        "folder below it, and name that in store.path",
                        x->path);
    if ((r = lock_old(x)) < 0)
        return r;
    x->store_there = has(x->path, "log") || has(x->path, "sluice.db");
    if (x->store_there && !x->conf->replace)
        return fail_set(x->fail, UV_EEXIST,
                        "there is a store in %s; --replace moves it aside (nothing of it is "
                        "deleted)",
                        x->path);
    return 0;
}

static int check_room(struct restore *x)
{
    struct statvfs fs;
    uint64_t want = x->manifest.bytes + x->manifest.bytes / 16 + SPARE_BYTES, free_bytes;

    if (statvfs(x->parent, &fs) < 0)
        return fail_errno(x, x->parent);
    free_bytes = (uint64_t)fs.f_bavail * fs.f_frsize;
    if (free_bytes >= want)
        return 0;
    return fail_set(x->fail, UV_ENOSPC, "%s has %llu MB free, and the restore wants %llu MB",
                    x->parent, (unsigned long long)(free_bytes >> 20),
                    (unsigned long long)((want >> 20) + 1));
}

/* ---- the folder beside it ---- */

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *at)
{
    (void)st;
    (void)at;
    return type == FTW_DP || type == FTW_DNR ? rmdir(path) : unlink(path);
}

/* Where the old store goes: a name that nothing has yet, should there be two in a second. */
static void name_aside(const struct restore *x, char out[PATH_MOST])
{
    time_t now = (time_t)(clock_wall_ms() / 1000);
    struct tm tm;
    char when[32];
    int n;

    strftime(when, sizeof(when), "%Y%m%dT%H%M%SZ", gmtime_r(&now, &tm));
    n = snprintf(out, PATH_MOST, "%.4000s.before-restore-%s", x->path, when);
    for (unsigned i = 2; access(out, F_OK) == 0; i++)
        snprintf(out + n, PATH_MOST - (size_t)n, "-%u", i);
}

/* One that was killed before it was done is removed; one that was killed right after has left the
 * old store there, which is only moved. */
static int clear_tmp(struct restore *x)
{
    char path[PATH_MOST + 16], aside[PATH_MOST];
    int fd;

    if (access(x->tmp, F_OK) < 0)
        return 0;
    snprintf(path, sizeof(path), "%s/" MARK, x->tmp);
    fd = open(path, O_RDWR | O_CLOEXEC | O_NOFOLLOW);
    if (fd < 0 && errno != ENOENT)
        return fail_errno(x, path);
    if (fd < 0) {
        name_aside(x, aside);
        return rename(x->tmp, aside) < 0 ? fail_errno(x, aside) : 0;
    }
    if (flock(fd, LOCK_EX | LOCK_NB) < 0) {
        close(fd);
        return fail_set(x->fail, UV_EBUSY, "another restore into %s is under way", x->path);
    }
    close(fd);
    if (nftw(x->tmp, remove_one, 8, FTW_DEPTH | FTW_PHYS) < 0)
        return fail_errno(x, x->tmp);
    return 0;
}

static int make_tmp(struct restore *x)
{
    char path[PATH_MOST + 16];
    int r = clear_tmp(x);

    if (r < 0)
        return r;
    if (mkdir(x->tmp, 0700) < 0)
        return fail_errno(x, x->tmp);
    snprintf(path, sizeof(path), "%s/" MARK, x->tmp);
    x->mark_fd = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (x->mark_fd < 0 || flock(x->mark_fd, LOCK_EX | LOCK_NB) < 0)
        return fail_errno(x, path);
    if ((r = store_disk->sync_dir(x->tmp)) < 0)
        return fail_path(x, r, x->tmp);
    snprintf(path, sizeof(path), "%s/log", x->tmp);
    return mkdir(path, 0700) < 0 ? fail_errno(x, path) : 0;
}

static int look_through(struct restore *x)
{
    struct check_report *c = &x->report->check;
    int r = x->conf->repair ? store_repair(x->tmp, c, x->fail) : store_check(x->tmp, c, x->fail);

    if (r == 0 && c->n && !x->conf->repair)
        r = fail_set(x->fail, UV_EILSEQ,
                     "the backup has damage that was in the store already; --repair writes it off "
                     "in what is restored");
    return r;
}

static const struct stat *owner; /* nftw() hands nothing on; one restore a process */

static int give_one(const char *path, const struct stat *st, int type, struct FTW *at)
{
    (void)st;
    (void)type;
    (void)at;
    return lchown(path, owner->st_uid, owner->st_gid);
}

/* Whoever restores may be root: the store belongs to whom the old one belonged. */
static int give_away(struct restore *x)
{
    if (!x->exists)
        return 0;
    owner = &x->old;
    if (geteuid() == 0 && nftw(x->tmp, give_one, 8, FTW_PHYS) < 0)
        return fail_errno(x, x->tmp);
    return chmod(x->tmp, x->old.st_mode & 07777) < 0 ? fail_errno(x, x->tmp) : 0;
}

static int sync_all(struct restore *x)
{
    char path[PATH_MOST + 16];
    int r;

    snprintf(path, sizeof(path), "%s/log", x->tmp);
    if ((r = store_disk->sync_dir(path)) == 0)
        r = store_disk->sync_dir(x->tmp);
    return r < 0 ? fail_path(x, r, x->tmp) : 0;
}

/* ---- the one step ---- */

/* Where a file system cannot exchange two names, there is a moment with none. */
static int exchange(struct restore *x, bool *ret_done)
{
    char aside[PATH_MOST];

    *ret_done = false;
    if (renameat2(AT_FDCWD, x->tmp, AT_FDCWD, x->path, RENAME_EXCHANGE) == 0)
        return 0;
    if (errno != EINVAL && errno != ENOSYS)
        return fail_errno(x, x->path);
    name_aside(x, aside);
    if (rename(x->path, aside) < 0)
        return fail_errno(x, x->path);
    snprintf(x->report->aside, sizeof(x->report->aside), "%s", aside);
    if (rename(x->tmp, x->path) < 0)
        return fail_errno(x, x->path);
    *ret_done = true;
    return 0;
}

/* The old store is in `tmp` now. */
static int move_aside(struct restore *x)
{
    char aside[PATH_MOST], lock[PATH_MOST + 8];

    snprintf(lock, sizeof(lock), "%s/lock", x->tmp);
    if (!x->store_there && unlink(lock) == 0 && rmdir(x->tmp) == 0)
        return 0; /* there was an empty folder */
    name_aside(x, aside);
    if (rename(x->tmp, aside) < 0)
        return fail_errno(x, aside);
    snprintf(x->report->aside, sizeof(x->report->aside), "%s", aside);
    return 0;
}

/* What stands at the path is a store, and is not to be removed: neither the old one, whose restore
 * was killed at its very end, nor the new one. */
static int unmark(struct restore *x)
{
    char path[PATH_MOST + 16];
    int r;

    snprintf(path, sizeof(path), "%s/" MARK, x->path);
    if (unlink(path) < 0)
        return errno == ENOENT ? 0 : fail_errno(x, path);
    r = store_disk->sync_dir(x->path);
    return r < 0 ? fail_path(x, r, x->path) : 0;
}

static int take_place(struct restore *x)
{
    bool done = true;
    int r;

    if (x->exists) {
        if ((r = unmark(x)) < 0 || (r = exchange(x, &done)) < 0)
            return r;
    } else if (renameat2(AT_FDCWD, x->tmp, AT_FDCWD, x->path, RENAME_NOREPLACE) < 0) {
        return fail_errno(x, x->path);
    }
    if ((r = store_disk->sync_dir(x->parent)) < 0)
        return fail_path(x, r, x->parent);
    if (!done && (r = move_aside(x)) < 0)
        return r;
    if ((r = unmark(x)) < 0)
        return r;
    r = store_disk->sync_dir(x->parent);
    return r < 0 ? fail_path(x, r, x->parent) : 0;
}

/* ---- all of it ---- */

static int make_ready(struct restore *x)
{
    int r;

    if ((r = copy_all(&x->manifest, x->conf->from, x->tmp, x->fail)) < 0 || (r = sync_all(x)) < 0 ||
        (r = look_through(x)) < 0 || (r = restore_hold(x->tmp, x->report, x->fail)) < 0 ||
        (r = give_away(x)) < 0)
        return r;
    return sync_all(x);
}

static int run(struct restore *x)
{
    int r;

    if ((r = manifest_read(&x->manifest, x->conf->from, x->fail)) < 0)
        return r;
    x->report->made_ms = x->manifest.made_ms;
    x->report->files = x->manifest.n;
    x->report->bytes = x->manifest.bytes;
    x->report->first = x->manifest.first;
    x->report->last = x->manifest.last;
    if ((r = find_path(x)) < 0 || (r = look_at_old(x)) < 0 || (r = check_room(x)) < 0 ||
        (r = make_tmp(x)) < 0)
        return r;
    if (x->store_there)
        restore_forgets(x->path, x->report);
    r = make_ready(x);
    if (r == 0)
        r = take_place(x);
    else
        nftw(x->tmp, remove_one, 8, FTW_DEPTH | FTW_PHYS);
    return r;
}

int store_restore(const struct restore_conf *conf, struct restore_report *ret, struct fail *fail)
{
    struct restore x = { .conf = conf, .report = ret, .fail = fail, .lock_fd = -1, .mark_fd = -1 };
    int r;

    *ret = (struct restore_report){ 0 };
    r = run(&x);
    if (x.lock_fd >= 0)
        close(x.lock_fd);
    if (x.mark_fd >= 0)
        close(x.mark_fd);
    manifest_finish(&x.manifest);
    return r;
}

int store_backup_verify(const char *dir, struct fail *fail)
{
    struct manifest m;
    int r = manifest_read(&m, dir, fail);

    if (r == 0)
        r = copy_all(&m, dir, NULL, fail);
    manifest_finish(&m);
    return r;
}

void restore_report_finish(struct restore_report *r)
{
    free(r->forgotten);
    r->forgotten = NULL;
    check_report_finish(&r->check);
}
