/*
 * window.h - a piece of a file in memory, moved along as its bytes are asked for.
 *
 * Owned by whoever reads with it; holds no more than its step unless one request needs more.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#define WINDOW_RUN    (256u << 10) /* a step, to read on and on */
#define WINDOW_SINGLE (16u << 10)  /* ... or here and there */

struct window {
    int fd;         /* borrowed; -1: `bytes` is all there is (tests, fuzzing), and borrowed */
    uint64_t limit; /* bytes from here on do not exist, whatever the file holds */
    uint64_t at;    /* where `bytes` stand in the file */
    size_t len, cap;
    size_t step; /* how much is read at once, if no more is asked for */
    uint8_t *bytes;
};

/** An empty window on a file ... */
void window_init(struct window *w, size_t step, int fd, uint64_t limit);
/** ... or one on bytes in memory. */
void window_init_bytes(struct window *w, const void *p, size_t n);
void window_finish(struct window *w); /* frees; not the descriptor */
/** Another file, or another end of this one; what was read of another is forgotten. */
void window_move(struct window *w, int fd, uint64_t limit);

/** n bytes at `off`, valid until the next call. 0; UV_EOF: not so many are there; or UV_ENOMEM or
 *  an I/O code. */
int window_get(struct window *w, uint64_t off, size_t n, const uint8_t **ret);
/** How many bytes from `off` on are in memory already. */
size_t window_have(const struct window *w, uint64_t off);
