/*
 * slow_disk.c - preloaded into the gateway: each fdatasync takes as many milliseconds longer as the
 * file named by SLOW_DISK says, while there is such a file.
 */
#include <fcntl.h>
#include <stdlib.h>
#include <sys/syscall.h>
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
