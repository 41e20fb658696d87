/*
 * check.c - the order of a check: the lock, the index's position, the log record by record, the
 * runs, the index as a whole.
 */
#include "store/check.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>
#include <uv.h>
#include "store/check_int.h"

const char todo_log[] = "restore a backup, or write the records off: sluice db repair --yes";
const char todo_index[] = "sluice db repair --yes, or restore a backup";
const char todo_behind[] =
    "restore a backup; or go on without what is lost: sluice db repair --yes";
const char todo_run[] = "sluice db repair --yes; nothing is lost, its keys are read from the log";

struct check_finding *check_add(struct checker *c, const char *file, uint64_t offset,
                                uint64_t first, uint64_t last, const char *todo, const char *fmt,
                                ...)
{
    struct check_report *r = c->report;
    struct check_finding *f;
    va_list ap;

    if (r->n == r->cap) {
        size_t cap = r->cap ? 2 * r->cap : 16;

        f = realloc(r->findings, cap * sizeof(*f));
        if (!f)
            return NULL;
        r->findings = f;
        r->cap = cap;
    }
    f = &r->findings[r->n++];
    *f = (struct check_finding){ .offset = offset, .first = first, .last = last, .todo = todo };
    snprintf(f->file, sizeof(f->file), "%s", file);
    va_start(ap, fmt);
    vsnprintf(f->what, sizeof(f->what), fmt, ap);
    va_end(ap);
    return f;
}

void check_segment_name(uint32_t number, char out[80])
{
    snprintf(out, 80, "log/%010u.seg", number);
}

void check_report_finish(struct check_report *r)
{
    free(r->findings);
    free(r->losses);
    *r = (struct check_report){ 0 };
}

/* ---- the lock ---- */

/* The daemon's own, see store.c. Nothing is written into it: a check changes nothing. */
int check_lock(struct checker *c, struct fail *fail)
{
    char path[CHECK_PATH], log[CHECK_PATH], text[32] = "";
    int r;

    snprintf(path, sizeof(path), "%s/lock", c->path);
    snprintf(log, sizeof(log), "%s/log", c->path);
    if (access(log, F_OK) < 0)
        return fail_set(fail, UV_ENOENT, "there is no store in %s", c->path);
    c->lock_fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (c->lock_fd < 0) {
        r = uv_translate_sys_error(errno);
        return fail_set(fail, r, "%s: %s", path, uv_strerror(r));
    }
    if (flock(c->lock_fd, LOCK_EX | LOCK_NB) == 0)
        return 0;
    r = uv_translate_sys_error(errno);
    if (r != UV_EAGAIN)
        return fail_set(fail, r, "%s: %s", path, uv_strerror(r));
    if (pread(c->lock_fd, text, sizeof(text) - 1, 0) < 0)
        text[0] = '\0';
    return fail_set(fail, UV_EBUSY, "store %s is in use by process %ld: stop the daemon first",
                    c->path, strtol(text, NULL, 10));
}

void check_finish(struct checker *c)
{
    check_index_close(c);
    for (size_t i = 0; i < c->n_runs; i++)
        keyrun_close(c->runs[i].run);
    for (size_t i = 0; i < c->n_segments; i++)
        free(c->segments[i].gaps);
    free(c->runs);
    free(c->segments);
    if (c->lock_fd >= 0)
        close(c->lock_fd);
}

/* ---- the check ---- */

int check_look(struct checker *c, struct fail *fail)
{
    int r;

    if ((r = check_index_open(c, fail)) < 0 || (r = check_runs_open(c, fail)) < 0 ||
        (r = check_log(c, fail)) < 0 || (r = check_runs_close(c)) < 0 ||
        (r = check_index_end(c, fail)) < 0) {
        if (fail && fail->code == 0)
            fail_set(fail, r, "%s: %s", c->path, uv_strerror(r));
        return r;
    }
    return 0;
}

int store_check(const char *path, struct check_report *ret, struct fail *fail)
{
    struct checker c = { .path = path, .lock_fd = -1, .report = ret };
    int r;

    *ret = (struct check_report){ 0 };
    r = check_lock(&c, fail);
    if (r == 0)
        r = check_look(&c, fail);
    check_finish(&c);
    return r;
}
