#include "store/disk.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <unistd.h>
#include <uv.h>

/* No descriptor to be had is like no memory: it passes. */
static int code(long r)
{
    if (r >= 0)
        return (int)r;
    return errno == EMFILE || errno == ENFILE ? UV_ENOMEM : uv_translate_sys_error(errno);
}

/* ---- the system's ---- */

static int sys_open(const char *path, int flags)
{
    return code(open(path, flags | O_CLOEXEC | O_NOFOLLOW, 0600));
}

static int sys_close(int fd)
{
    return code(close(fd));
}

static ssize_t sys_read(int fd, void *p, size_t n, uint64_t at)
{
    ssize_t r = pread(fd, p, n, (off_t)at);

    return r < 0 ? code(-1) : r;
}

static ssize_t sys_write(int fd, const struct iovec *v, int n, uint64_t at)
{
    ssize_t r = pwritev(fd, v, n, (off_t)at);

    return r < 0 ? code(-1) : r;
}

static int sys_allocate(int fd, uint64_t size)
{
    int r = posix_fallocate(fd, 0, (off_t)size);

    return r ? uv_translate_sys_error(r) : 0;
}

static int sys_blank(int fd, uint64_t at, size_t n)
{
    static const _Alignas(4096) uint8_t zeros[64 << 10];
    int flags = fcntl(fd, F_GETFL), r = 0;

    if (flags < 0 || fcntl(fd, F_SETFL, flags | O_DIRECT) < 0)
        return errno == EINVAL ? UV_ENOTSUP : code(-1);
    for (size_t done = 0; r == 0 && done < n;) {
        struct iovec v[16];
        size_t left = n - done;
        ssize_t wrote;
        int count = 0;

        for (; count < 16 && left; left -= v[count++].iov_len)
            v[count] = (struct iovec){ (void *)(uintptr_t)zeros,
                                       left < sizeof(zeros) ? left : sizeof(zeros) };
        wrote = pwritev(fd, v, count, (off_t)(at + done));
        if (wrote <= 0)
            r = wrote == 0 ? UV_ENOSPC : errno == EINVAL ? UV_ENOTSUP : code(-1);
        else
            done += (size_t)wrote;
    }
    if (fcntl(fd, F_SETFL, flags) < 0 && r == 0)
        r = code(-1);
    return r;
}

static int sys_truncate(int fd, uint64_t size)
{
    return code(ftruncate(fd, (off_t)size));
}

static int sys_sync(int fd)
{
    return code(fdatasync(fd));
}

static int sys_forget(int fd)
{
    int r = posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED);

    return r ? uv_translate_sys_error(r) : 0;
}

static int sys_sync_dir(const char *path)
{
    int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC), r;

    if (fd < 0)
        return code(-1);
    r = code(fsync(fd));
    close(fd);
    return r;
}

static int sys_rename(const char *from, const char *to)
{
    return code(rename(from, to));
}

static int sys_remove(const char *path)
{
    return code(unlink(path));
}

const struct disk disk_system = {
    .open = sys_open,
    .close = sys_close,
    .read = sys_read,
    .write = sys_write,
    .allocate = sys_allocate,
    .blank = sys_blank,
    .truncate = sys_truncate,
    .sync = sys_sync,
    .forget = sys_forget,
    .sync_dir = sys_sync_dir,
    .rename = sys_rename,
    .remove = sys_remove,
};

const struct disk *store_disk = &disk_system;

/* ---- whole reads and writes ---- */

ssize_t disk_read_some(int fd, void *p, size_t n, uint64_t at)
{
    size_t done = 0;

    while (done < n) {
        ssize_t r = store_disk->read(fd, (char *)p + done, n - done, at + done);

        if (r == UV_EINTR)
            continue;
        if (r < 0)
            return r;
        if (r == 0)
            break;
        done += (size_t)r;
    }
    return (ssize_t)done;
}

int disk_read(int fd, void *p, size_t n, uint64_t at)
{
    ssize_t r = disk_read_some(fd, p, n, at);

    return r < 0 ? (int)r : (size_t)r == n ? 0 : UV_EOF;
}

/* Drop what was written from the front of the vector. */
static size_t vector_advance(struct iovec **v, size_t n, size_t done)
{
    while (n > 0 && done >= (*v)->iov_len) {
        done -= (*v)->iov_len;
        (*v)++;
        n--;
    }
    if (n > 0) {
        (*v)->iov_base = (char *)(*v)->iov_base + done;
        (*v)->iov_len -= done;
    }
    return n;
}

int disk_write(int fd, struct iovec *v, size_t n, uint64_t at)
{
    n = vector_advance(&v, n, 0); /* empty ones at the front */
    while (n > 0) {
        ssize_t r = store_disk->write(fd, v, n > IOV_MAX ? IOV_MAX : (int)n, at);

        if (r == UV_EINTR)
            continue;
        if (r <= 0)
            return r < 0 ? (int)r : UV_ENOSPC;
        at += (uint64_t)r;
        n = vector_advance(&v, n, (size_t)r);
    }
    return 0;
}
