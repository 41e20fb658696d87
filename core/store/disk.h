/*
 * disk.h - what the log asks of a file system, and the one place where it asks: so that a test can
 * stand between the two, count syncs and take the power away.
 *
 * The table's functions are single system calls and give what those give, or a negative libuv code.
 * Paths are whole. @thread any
 */
#pragma once

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>
#include <sys/uio.h>

struct disk {
    /** flags as open(2)'s; O_CLOEXEC and O_NOFOLLOW are added, the mode is 0600. The fd. */
    int (*open)(const char *path, int flags);
    int (*close)(int fd);
    /** May read or write less than asked for, as pread(2) and pwritev(2) may. */
    ssize_t (*read)(int fd, void *p, size_t n, uint64_t at);
    ssize_t (*write)(int fd, const struct iovec *v, int n, uint64_t at);
    /** Blocks for the first `size` bytes, which become the file's size if it was less. */
    int (*allocate)(int fd, uint64_t size);
    /** `n` zeros at `at`, past the page cache; both are multiples of 4096. UV_ENOTSUP: this file
     *  system has no such way. */
    int (*blank)(int fd, uint64_t at, size_t n);
    int (*truncate)(int fd, uint64_t size);
    int (*sync)(int fd);               /* fdatasync(2) */
    int (*forget)(int fd);             /* what was synced need not be kept in memory */
    int (*sync_dir)(const char *path); /* what was made, renamed and removed in it */
    int (*rename)(const char *from, const char *to);
    int (*remove)(const char *path);
};

/** The system's own. */
extern const struct disk disk_system;
/** The one in use: `disk_system` unless a test says otherwise, before anything is opened. */
extern const struct disk *store_disk;

/** All of it; UV_EOF when the file ends before. */
int disk_read(int fd, void *p, size_t n, uint64_t at);
/** As much as there is, up to n: how much, or a code. */
ssize_t disk_read_some(int fd, void *p, size_t n, uint64_t at);
/** All of it, in as many calls as it takes; `v` is used up. UV_ENOSPC when a call writes nothing.
 */
int disk_write(int fd, struct iovec *v, size_t n, uint64_t at);
