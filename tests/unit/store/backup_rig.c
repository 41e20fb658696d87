/*
 * backup_rig.c - see backup_rig.h.
 */
#include "backup_rig.h"

#include <fcntl.h>
#include <ftw.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

struct rig rig;
char base[80], dir[120], target[120];

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
    (void)st;
    (void)type;
    (void)ftw;
    return remove(path);
}

void clear(const char *path)
{
    nftw(path, remove_one, 8, FTW_DEPTH | FTW_PHYS);
}

void start(void)
{
    rig_start(&rig);
    rig.conf.segment_bytes = 64u << 10;
    snprintf(base, sizeof(base), "%s-copies", rig.dir);
    CHECK_EQ(mkdir(base, 0700), 0);
    snprintf(dir, sizeof(dir), "%s/backup", base);
    snprintf(target, sizeof(target), "%s/store", base);
}

void finish(void)
{
    rig_finish(&rig);
    clear(base);
}

void on_over(void *ctx, const struct backup_status *st)
{
    struct over *o = ctx;

    o->done = true;
    o->state = st->state;
    o->code = st->code;
    o->first = st->first;
    o->last = st->last;
    snprintf(o->text, sizeof(o->text), "%s", st->text);
}

struct over backup(const char *path)
{
    struct over o = { 0 };

    CHECK_EQ(store_backup(rig.s, path, on_over, &o), 0);
    while (!o.done)
        uv_run(&rig.loop, UV_RUN_ONCE);
    return o;
}

void must_backup(void)
{
    struct over o = backup(dir);

    if (o.state != BACKUP_DONE)
        print_error("%s\n", o.text);
    CHECK_EQ(o.state, BACKUP_DONE);
}

void fill(unsigned n, unsigned from)
{
    char body[1000], id[32];

    memset(body, 'b', sizeof(body) - 1);
    body[sizeof(body) - 1] = '\0';
    for (unsigned i = 0; i < n; i++) {
        snprintf(id, sizeof(id), "id-%u", from + i);
        rig_receipt(&rig, "shop", "orders/create", id, body);
    }
}

int restore_with(bool replace, struct restore_report *r, struct fail *fail)
{
    const struct restore_conf conf = { .from = dir, .path = target, .replace = replace };

    *fail = (struct fail){ 0 };
    return store_restore(&conf, r, fail);
}

int restore(bool replace)
{
    struct restore_report r;
    struct fail fail;
    int err = restore_with(replace, &r, &fail);

    CHECK(err == 0 || fail.text[0]);
    restore_report_finish(&r);
    return err;
}

struct restore_report must_restore(bool replace)
{
    struct restore_report r;
    struct fail fail;

    if (restore_with(replace, &r, &fail) < 0)
        print_error("%s\n", fail.text);
    CHECK_EQ(fail.code, 0);
    CHECK_EQ(r.check.n, 0);
    return r;
}

void open_restored(void)
{
    static char path[120];

    snprintf(path, sizeof(path), "%s", target);
    rig.conf.path = path;
    rig_must_open(&rig);
}

size_t findings(const char *path)
{
    struct check_report r;
    struct fail fail = { 0 };
    size_t n;

    if (store_check(path, &r, &fail) < 0)
        print_error("%s\n", fail.text);
    CHECK_EQ(fail.code, 0);
    n = r.n;
    for (size_t i = 0; i < n; i++)
        print_error("%s: %s\n", r.findings[i].file, r.findings[i].what);
    check_report_finish(&r);
    return n;
}

bool is_there(const char *folder, const char *name)
{
    char path[400];

    snprintf(path, sizeof(path), "%s/%s", folder, name);
    return access(path, F_OK) == 0;
}

void flip(const char *folder, const char *name, uint64_t at)
{
    char path[400];
    uint8_t b;
    int fd;

    snprintf(path, sizeof(path), "%s/%s", folder, name);
    fd = open(path, O_RDWR);
    CHECK(fd >= 0);
    CHECK_EQ(pread(fd, &b, 1, (off_t)at), 1);
    b ^= 1;
    CHECK_EQ(pwrite(fd, &b, 1, (off_t)at), 1);
    close(fd);
}

int kill_after(pid_t child, uint64_t us)
{
    const struct timespec t = { (time_t)(us / 1000000), (long)(us % 1000000) * 1000 };
    int status;

    nanosleep(&t, NULL);
    kill(child, SIGKILL);
    CHECK_EQ(waitpid(child, &status, 0), child);
    return status;
}
