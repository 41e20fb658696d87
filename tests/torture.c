/*
 * torture.c - every allocation made to fail in turn.
 */
#include "torture.h"

#include <errno.h>
#include <malloc.h>
#include <sqlite3.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

static atomic_uint kinds;
static atomic_uint_fast64_t nth, count, failed;
static atomic_bool lasting;
static _Thread_local unsigned paused;

/* ---- what fails ---- */

void torture_arm(unsigned which, uint64_t n, bool last)
{
    atomic_store(&kinds, 0);
    atomic_store(&count, 0);
    atomic_store(&failed, 0);
    atomic_store(&nth, n);
    atomic_store(&lasting, last);
    atomic_store(&kinds, which);
}

bool torture_disarm(void)
{
    atomic_store(&kinds, 0);
    return atomic_load(&failed) > 0;
}

uint64_t torture_count(void)
{
    return atomic_load(&count);
}

void torture_pause(void)
{
    paused++;
}

void torture_resume(void)
{
    paused--;
}

static bool fails(unsigned kind)
{
    uint64_t at, n;

    if (paused || !(atomic_load(&kinds) & kind))
        return false;
    at = atomic_fetch_add(&count, 1) + 1;
    n = atomic_load(&nth);
    if (n == 0 || at < n || (at > n && !atomic_load(&lasting)))
        return false;
    atomic_fetch_add(&failed, 1);
    errno = ENOMEM;
    return true;
}

/* ---- the project's own: the linker's --wrap sends it here ---- */

void *__real_malloc(size_t n);
void *__real_calloc(size_t n, size_t size);
void *__real_realloc(void *p, size_t n);
void *__real_reallocarray(void *p, size_t n, size_t size);
int __real_posix_memalign(void **ret, size_t align, size_t n);
void *__real_aligned_alloc(size_t align, size_t n);
char *__real_strdup(const char *s);
char *__real_strndup(const char *s, size_t n);

void *__wrap_malloc(size_t n);
void *__wrap_calloc(size_t n, size_t size);
void *__wrap_realloc(void *p, size_t n);
void *__wrap_reallocarray(void *p, size_t n, size_t size);
int __wrap_posix_memalign(void **ret, size_t align, size_t n);
void *__wrap_aligned_alloc(size_t align, size_t n);
char *__wrap_strdup(const char *s);
char *__wrap_strndup(const char *s, size_t n);

void *__wrap_malloc(size_t n)
{
    return fails(TORTURE_OWN) ? NULL : __real_malloc(n);
}

void *__wrap_calloc(size_t n, size_t size)
{
    return fails(TORTURE_OWN) ? NULL : __real_calloc(n, size);
}

void *__wrap_realloc(void *p, size_t n)
{
    return fails(TORTURE_OWN) ? NULL : __real_realloc(p, n);
}

void *__wrap_reallocarray(void *p, size_t n, size_t size)
{
    return fails(TORTURE_OWN) ? NULL : __real_reallocarray(p, n, size);
}

int __wrap_posix_memalign(void **ret, size_t align, size_t n)
{
    return fails(TORTURE_OWN) ? ENOMEM : __real_posix_memalign(ret, align, n);
}

void *__wrap_aligned_alloc(size_t align, size_t n)
{
    return fails(TORTURE_OWN) ? NULL : __real_aligned_alloc(align, n);
}

char *__wrap_strdup(const char *s)
{
    return fails(TORTURE_OWN) ? NULL : __real_strdup(s);
}

char *__wrap_strndup(const char *s, size_t n)
{
    return fails(TORTURE_OWN) ? NULL : __real_strndup(s, n);
}

/* ---- SQLite's, jansson's ---- */

static void *sql_malloc(int n)
{
    return fails(TORTURE_SQLITE) ? NULL : __real_malloc((size_t)n);
}

static void *sql_realloc(void *p, int n)
{
    return fails(TORTURE_SQLITE) ? NULL : __real_realloc(p, (size_t)n);
}

static int sql_size(void *p)
{
    return (int)malloc_usable_size(p);
}

static int sql_roundup(int n)
{
    return (n + 7) & ~7;
}

static int sql_init(void *ctx)
{
    (void)ctx;
    return SQLITE_OK;
}

static void sql_shutdown(void *ctx)
{
    (void)ctx;
}

void torture_sqlite(void)
{
    static const sqlite3_mem_methods methods = {
        .xMalloc = sql_malloc,
        .xFree = free,
        .xRealloc = sql_realloc,
        .xSize = sql_size,
        .xRoundup = sql_roundup,
        .xInit = sql_init,
        .xShutdown = sql_shutdown,
    };

    if (sqlite3_config(SQLITE_CONFIG_MALLOC, &methods) != SQLITE_OK)
        abort();
}

void *torture_jansson_malloc(size_t n)
{
    return fails(TORTURE_JANSSON) ? NULL : __real_malloc(n);
}
