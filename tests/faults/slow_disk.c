/*
 * slow_disk.c - preloaded into the gateway: each fdatasync takes as many milliseconds longer as the
 * file named by SLOW_DISK says, while there is such a file; and with SHORT_WRITES=n each pwritev
 * writes n bytes at most, and says so.
 */
#include <fcntl.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

__attribute__((visibility("default"))) int fdatasync(int fd)
{
    const char *name = getenv("SLOW_DISK");
    int file = name ? open(name, O_RDONLY | O_CLOEXEC) : -1;
    char text[16] = "";

    if (file >= 0) {
        ssize_t n = read(file, text, sizeof(text) - 1);
        long ms = n > 0 ? atol(text) : 0;

        close(file);
        nanosleep(&(struct timespec){ .tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000 }, NULL);
    }
    return (int)syscall(SYS_fdatasync, fd);
}

__attribute__((visibility("default"))) ssize_t pwritev(int fd, const struct iovec *v, int n,
                                                       off_t at)
{
    const char *most = getenv("SHORT_WRITES");
    size_t len = v[0].iov_len;

    if (!most)
        return syscall(SYS_pwritev, fd, v, n, at, 0);
    if (len > strtoul(most, NULL, 10))
        len = strtoul(most, NULL, 10);
    return pwrite(fd, v[0].iov_base, len, at);
}
