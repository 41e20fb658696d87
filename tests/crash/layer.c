/*
 * layer.c - faults and lies, the struct disk, and fsync(2).
 */
#include "layer.h"

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <uv.h>
#include "journal.h"
#include "store/disk.h"

const char *const call_names[CALL__COUNT] = { "open", "read",     "write",  "allocate", "truncate",
                                              "sync", "sync_dir", "rename", "remove" };

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t wake = PTHREAD_COND_INITIALIZER;
static unsigned lies;
static struct fault fault;
static bool armed, released, hanging;
static uint64_t matched, hits;
static uint64_t calls[CALL__COUNT][3], after[CALL__COUNT][3];

/* ---- faults ---- */

unsigned layer_where(const char *name)
{
    if (!name)
        return 0;
    if (strncmp(name, "sluice.db", 9) == 0)
        return IN_INDEX;
    return strstr(name, ".keys") ? IN_KEYS : IN_LOG;
}

void layer_lie(unsigned what)
{
    pthread_mutex_lock(&lock);
    lies = what;
    pthread_mutex_unlock(&lock);
}

bool layer_lies(unsigned lie)
{
    bool yes;

    pthread_mutex_lock(&lock);
    yes = lies & lie;
    pthread_mutex_unlock(&lock);
    return yes;
}

void layer_fault(const struct fault *f)
{
    pthread_mutex_lock(&lock);
    armed = f != NULL;
    if (f)
        fault = *f;
    matched = hits = 0;
    released = hanging = false;
    memset(calls, 0, sizeof(calls));
    memset(after, 0, sizeof(after));
    pthread_cond_broadcast(&wake);
    pthread_mutex_unlock(&lock);
}

static uint64_t sum(uint64_t of[CALL__COUNT][3], enum call call, unsigned where)
{
    uint64_t n = 0;

    pthread_mutex_lock(&lock);
    for (unsigned i = 0; i < 3; i++)
        n += where & 1u << i ? of[call][i] : 0;
    pthread_mutex_unlock(&lock);
    return n;
}

uint64_t layer_calls(enum call call, unsigned where)
{
    return sum(calls, call, where);
}

uint64_t layer_calls_after_hit(enum call call, unsigned where)
{
    return sum(after, call, where);
}

uint64_t layer_hits(void)
{
    uint64_t n;

    pthread_mutex_lock(&lock);
    n = hits;
    pthread_mutex_unlock(&lock);
    return n;
}

void layer_release(void)
{
    pthread_mutex_lock(&lock);
    released = true;
    pthread_cond_broadcast(&wake);
    pthread_mutex_unlock(&lock);
}

void layer_wait_hang(void)
{
    pthread_mutex_lock(&lock);
    while (!hanging)
        pthread_cond_wait(&wake, &lock);
    pthread_mutex_unlock(&lock);
}

/* Under the lock: is this call the one? Counts it. */
static bool is_hit(enum call call, unsigned where)
{
    unsigned i = where == IN_LOG ? 0 : where == IN_KEYS ? 1 : 2;

    if (!where)
        return false;
    calls[call][i]++;
    after[call][i] += hits > 0;
    if (!armed || call != fault.call || !(where & fault.where))
        return false;
    matched++;
    if (matched < fault.nth || matched - fault.nth >= fault.times)
        return false;
    hits++;
    return true;
}

static void apply(struct todo *todo)
{
    if (fault.kind == FAULT_SHORT || fault.kind == FAULT_PARTIAL)
        todo->n = fault.bytes < todo->n ? fault.bytes : todo->n;
    if (fault.kind == FAULT_PARTIAL)
        todo->then = fault.code;
    todo->flip = fault.kind == FAULT_FLIP;
    hanging = fault.kind == FAULT_HANG;
    pthread_cond_broadcast(&wake);
    while (fault.kind == FAULT_HANG && !released)
        pthread_cond_wait(&wake, &lock);
}

int layer_enter(enum call call, unsigned where, struct todo *todo)
{
    unsigned ms = 0;
    int r = 0;

    pthread_mutex_lock(&lock);
    if (is_hit(call, where)) {
        r = fault.kind == FAULT_CODE ? fault.code : 0;
        ms = fault.kind == FAULT_SLOW ? fault.ms : 0;
        apply(todo);
    }
    pthread_mutex_unlock(&lock);
    if (ms)
        uv_sleep(ms);
    return r;
}

/* ---- struct disk ---- */

#define FDS 4096

static struct {
    int file;
    unsigned where;
} fds[FDS]; /* under the journal's lock */

static int file_of(int fd, unsigned *ret_where)
{
    int file;

    journal_lock();
    file = fds[fd].file - 1;
    *ret_where = fds[fd].where;
    journal_unlock();
    return file;
}

static int layer_open(const char *path, int flags)
{
    const char *name;
    struct todo todo = { 0 };
    int r, fd;

    journal_lock();
    name = journal_name(path);
    journal_unlock();
    r = layer_enter(CALL_OPEN, layer_where(name), &todo);
    if (r < 0)
        return r;
    journal_lock();
    fd = disk_system.open(path, flags);
    if (fd >= 0 && fd < FDS) {
        fds[fd].where = layer_where(name);
        fds[fd].file = name ? journal_opened(name) + 1 : 0;
        if (flags & O_TRUNC)
            journal_resized(fds[fd].file - 1, OP_TRUNCATE, 0);
    }
    journal_unlock();
    return fd;
}

static int layer_close(int fd)
{
    int r;

    journal_lock();
    if (fd >= 0 && fd < FDS)
        fds[fd].file = fds[fd].where = 0;
    r = disk_system.close(fd);
    journal_unlock();
    return r;
}

static ssize_t layer_read(int fd, void *p, size_t n, uint64_t at)
{
    struct todo todo = { .n = n };
    unsigned where;
    ssize_t got;
    int r;

    file_of(fd, &where);
    r = layer_enter(CALL_READ, where, &todo);
    if (r < 0)
        return r;
    got = disk_system.read(fd, p, todo.n, at);
    if (todo.flip && got > 0)
        ((uint8_t *)p)[got / 2] ^= 0x10;
    return got;
}

/* The first n bytes of a vector, as a vector. */
static int cut_vector(struct iovec *to, const struct iovec *v, int count, size_t n)
{
    int used = 0;

    for (int i = 0; i < count && n > 0; i++) {
        to[used] = v[i];
        if (to[used].iov_len > n)
            to[used].iov_len = n;
        n -= to[used++].iov_len;
    }
    return used;
}

static ssize_t layer_write(int fd, const struct iovec *v, int count, uint64_t at)
{
    struct iovec part[IOV_MAX];
    struct todo todo = { 0 };
    unsigned where;
    int file = file_of(fd, &where), used, r;
    ssize_t wrote = 0;

    for (int i = 0; i < count; i++)
        todo.n += v[i].iov_len;
    r = layer_enter(CALL_WRITE, where, &todo);
    if (r < 0)
        return r;
    used = cut_vector(part, v, count, todo.n);
    journal_lock();
    if (used)
        wrote = disk_system.write(fd, part, used, at);
    if (wrote > 0)
        journal_wrote(file, part, used, at, (size_t)wrote);
    journal_unlock();
    return todo.then ? todo.then : wrote;
}

static int resize(int fd, enum call call, uint64_t size)
{
    unsigned where;
    int file = file_of(fd, &where), r;
    struct todo todo = { 0 };

    r = layer_enter(call, where, &todo);
    if (r < 0)
        return r;
    journal_lock();
    r = call == CALL_ALLOCATE ? disk_system.allocate(fd, size) : disk_system.truncate(fd, size);
    if (r >= 0)
        journal_resized(file, call == CALL_ALLOCATE ? OP_ALLOCATE : OP_TRUNCATE, size);
    journal_unlock();
    return r;
}

static int layer_allocate(int fd, uint64_t size)
{
    return resize(fd, CALL_ALLOCATE, size);
}

/* A part of allocating, for the plans of faults. */
static int layer_blank(int fd, uint64_t at, size_t n)
{
    static const uint8_t zeros[4096];
    unsigned where;
    int file = file_of(fd, &where), r;
    struct todo todo = { 0 };

    r = layer_enter(CALL_ALLOCATE, where, &todo);
    if (r < 0)
        return r;
    journal_lock();
    r = disk_system.blank(fd, at, n);
    for (size_t i = 0; r >= 0 && i < n; i += sizeof(zeros))
        journal_wrote(file, &(struct iovec){ (void *)(uintptr_t)zeros, sizeof(zeros) }, 1, at + i,
                      sizeof(zeros));
    journal_unlock();
    return r;
}

static int layer_truncate(int fd, uint64_t size)
{
    return resize(fd, CALL_TRUNCATE, size);
}

static int layer_sync(int fd)
{
    unsigned where;
    int file = file_of(fd, &where), r;
    size_t began = journal_at();
    struct todo todo = { 0 };

    r = layer_enter(CALL_SYNC, where, &todo);
    if (r < 0 || layer_lies(LIE_SYNC))
        return r;
    journal_lock();
    journal_synced(file, NULL, began);
    journal_unlock();
    return 0;
}

/* Nothing is lost or saved by it. */
static int layer_forget(int fd)
{
    (void)fd;
    return 0;
}

static int layer_sync_dir(const char *path)
{
    size_t began = journal_at();
    struct todo todo = { 0 };
    const char *name;
    int r;

    journal_lock();
    name = journal_name(path);
    journal_unlock();
    r = layer_enter(CALL_SYNC_DIR, layer_where(name), &todo);
    if (r < 0 || !name || layer_lies(LIE_SYNC_DIR))
        return r;
    journal_lock();
    journal_synced(-1, name, began);
    journal_unlock();
    return 0;
}

static int layer_rename(const char *from, const char *to)
{
    const char *name, *name_to;
    struct todo todo = { 0 };
    int r;

    journal_lock();
    name = journal_name(from);
    name_to = journal_name(to);
    journal_unlock();
    r = layer_enter(CALL_RENAME, layer_where(name), &todo);
    if (r < 0)
        return r;
    journal_lock();
    r = disk_system.rename(from, to);
    if (r >= 0 && name && name_to)
        journal_renamed(name, name_to);
    journal_unlock();
    return r;
}

static int layer_remove(const char *path)
{
    const char *name;
    struct todo todo = { 0 };
    int r;

    journal_lock();
    name = journal_name(path);
    journal_unlock();
    r = layer_enter(CALL_REMOVE, layer_where(name), &todo);
    if (r < 0)
        return r;
    journal_lock();
    r = disk_system.remove(path);
    if (r >= 0 && name)
        journal_removed(name);
    journal_unlock();
    return r;
}

static const struct disk layer_disk = {
    .open = layer_open,
    .close = layer_close,
    .read = layer_read,
    .write = layer_write,
    .allocate = layer_allocate,
    .blank = layer_blank,
    .truncate = layer_truncate,
    .sync = layer_sync,
    .forget = layer_forget,
    .sync_dir = layer_sync_dir,
    .rename = layer_rename,
    .remove = layer_remove,
};

void layer_install(void)
{
    static bool done;

    if (done)
        return;
    done = true;
    store_disk = &layer_disk;
    layer_install_vfs();
}

/* ---- fsync(2): stands before libc's for all of the program, SQLite too ---- */

static int sync_fd(int fd)
{
    char link[64], path[512];
    struct stat st;
    ssize_t n;
    int r;

    if (fstat(fd, &st) < 0)
        return -1;
    if (!S_ISDIR(st.st_mode))
        return 0;
    snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
    n = readlink(link, path, sizeof(path) - 1);
    if (n < 0)
        return -1;
    path[n] = '\0';
    r = layer_sync_dir(path);
    errno = -r;
    return r < 0 ? -1 : 0;
}

__attribute__((visibility("default"))) int fsync(int fd);
__attribute__((visibility("default"))) int fdatasync(int fd);

int fsync(int fd)
{
    return sync_fd(fd);
}

int fdatasync(int fd)
{
    return sync_fd(fd);
}
