/*
 * window.c - a piece of a file in memory, moved along as its bytes are asked for.
 */
#include "store/window.h"

#include <stdlib.h>
#include <uv.h>
#include "store/disk.h"

void window_init(struct window *w, size_t step, int fd, uint64_t limit)
{
    *w = (struct window){ .fd = fd, .limit = limit, .step = step };
}

void window_init_bytes(struct window *w, const void *p, size_t n)
{
    *w = (struct window){ .fd = -1, .limit = n, .len = n, .bytes = (uint8_t *)(uintptr_t)p };
}

void window_finish(struct window *w)
{
    if (w->cap)
        free(w->bytes);
    *w = (struct window){ .fd = -1 };
}

void window_move(struct window *w, int fd, uint64_t limit)
{
    if (w->fd != fd && w->cap)
        w->len = 0;
    w->fd = fd;
    w->limit = limit;
}

size_t window_have(const struct window *w, uint64_t off)
{
    return off >= w->at && off < w->at + w->len ? (size_t)(w->at + w->len - off) : 0;
}

/* One large record does not keep its memory for good. */
static int set_capacity(struct window *w, size_t n)
{
    size_t cap = n > w->step ? n : w->step;

    if (w->cap >= cap && w->cap <= 4 * w->step)
        return 0;
    if (w->cap)
        free(w->bytes);
    w->bytes = malloc(cap);
    w->cap = w->bytes ? cap : 0;
    w->len = 0;
    return w->bytes ? 0 : UV_ENOMEM;
}

int window_get(struct window *w, uint64_t off, size_t n, const uint8_t **ret)
{
    uint64_t want;
    ssize_t got;
    int r;

    if (off > w->limit || n > w->limit - off)
        return UV_EOF;
    if (window_have(w, off) >= n) {
        *ret = w->bytes + (off - w->at);
        return 0;
    }
    if (w->fd < 0)
        return UV_EOF;
    if ((r = set_capacity(w, n)) < 0)
        return r;
    want = w->limit - off < w->cap ? w->limit - off : w->cap;
    w->len = 0;
    got = disk_read_some(w->fd, w->bytes, (size_t)want, off);
    if (got < 0)
        return (int)got;
    w->at = off;
    w->len = (size_t)got;
    *ret = w->bytes;
    return w->len >= n ? 0 : UV_EOF;
}
