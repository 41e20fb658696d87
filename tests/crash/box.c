/*
 * box.c - a store in a directory.
 */
#include "box.h"

#include <ftw.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "base/log.h"
#include "journal_int.h"

/* ---- life ---- */

void box_start(struct box *b, const char *dir)
{
    *b = (struct box){ 0 };
    if (uv_loop_init(&b->loop) < 0)
        die("no loop", dir);
    store_defaults(&b->conf);
    b->conf.path = dir;
    b->conf.disk_reserve = 0;
    b->conf.segment_bytes = BOX_SEGMENT_BYTES;
}

int box_open(struct box *b)
{
    b->fail = (struct fail){ 0 };
    return store_open(&b->s, &b->loop, &b->conf, &b->fail);
}

static void on_closed(void *ctx)
{
    ((struct box *)ctx)->done = true;
}

void box_wait(struct box *b)
{
    while (!b->done)
        if (!uv_run(&b->loop, UV_RUN_ONCE) && !b->done)
            die("the loop ended before the answer", b->conf.path);
}

void box_close(struct box *b)
{
    b->done = false;
    store_close(b->s, on_closed, b);
    box_wait(b);
    b->s = NULL;
}

bool box_finish(struct box *b)
{
    if (b->s)
        box_close(b);
    uv_run(&b->loop, UV_RUN_DEFAULT);
    return uv_loop_close(&b->loop) == 0;
}

/* ---- steps ---- */

struct waiting {
    struct box *box;
    struct store_append *a;
};

static struct waiting waiting; /* one box waits at a time */

static void on_appended(struct store_append *a, int status)
{
    if (waiting.a != a)
        die("a callback for another append", waiting.box->conf.path);
    waiting.box->status = status;
    waiting.box->done = true;
}

int box_append(struct box *b, struct store_append *a, bool internal)
{
    int r;

    waiting = (struct waiting){ .box = b, .a = a };
    a->cb = on_appended;
    b->done = false;
    r = store_append(b->s, a, internal);
    if (r < 0)
        return r;
    box_wait(b);
    return b->status;
}

static void on_settled(void *ctx, int status, const uint64_t *nums, size_t n)
{
    struct box *b = ctx;

    (void)nums;
    (void)n;
    b->status = status;
    b->done = true;
}

int box_settle(struct box *b)
{
    int r;

    b->done = false;
    r = store_unrouted(b->s, false, 0, 1, on_settled, b);
    if (r < 0)
        return r;
    box_wait(b);
    return b->status;
}

struct store_stats box_stats(const struct box *b)
{
    struct store_stats st;

    store_stats(b->s, &st);
    return st;
}

/* ---- directories ---- */

void scratch_make(char out[96])
{
    const char *tmp = getenv("TMPDIR");

    snprintf(out, 96, "%s/sluice-crash-XXXXXX", tmp ? tmp : "/tmp");
    if (!mkdtemp(out))
        die("cannot make", out);
}

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
    (void)st;
    (void)type;
    (void)ftw;
    return remove(path);
}

void scratch_remove(const char *dir)
{
    nftw(dir, remove_one, 8, FTW_DEPTH | FTW_PHYS);
}

/* ---- lines ---- */

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static unsigned lines;
static char last[512];

void __wrap_log_line(const struct logger *l, enum log_level level, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));

void __wrap_log_line(const struct logger *l, enum log_level level, const char *fmt, ...)
{
    va_list ap;

    if (level > LOG_WARN)
        return;
    pthread_mutex_lock(&lock);
    lines++;
    va_start(ap, fmt);
    vsnprintf(last, sizeof(last), fmt, ap);
    va_end(ap);
    if (getenv("SLUICE_CRASH_VERBOSE"))
        fprintf(stderr, "%s: %s\n", l->room, last);
    pthread_mutex_unlock(&lock);
}

unsigned said_lines(void)
{
    unsigned n;

    pthread_mutex_lock(&lock);
    n = lines;
    pthread_mutex_unlock(&lock);
    return n;
}

const char *said_last(void)
{
    return last;
}

void said_clear(void)
{
    pthread_mutex_lock(&lock);
    lines = 0;
    last[0] = '\0';
    pthread_mutex_unlock(&lock);
}
