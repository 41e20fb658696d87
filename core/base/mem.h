/*
 * mem.h - allocation for start-up and for small flow state.
 *
 * These abort the process with a message when there is no memory: the state is durable in the
 * store, so a restart is the cleanest way out. Paths that hold what a peer sends (net, intake,
 * store) use malloc and answer instead.
 */
#pragma once

#include <stddef.h>
#include <sluice/types.h>

void *mem_zero(size_t n);               /* zeroed */
void *mem_array(size_t n, size_t size); /* zeroed; overflow aborts */
void *mem_grow(void *p, size_t n);      /* like realloc */
char *mem_str(const char *s);           /* NULL gives NULL */
char *mem_dup(sl_str s);                /* with a NUL after it */

/** From now on an abort or a crash is said on stderr before it ends the process as it would:
 * libraries abort without a word when they find no memory. Once, at start, on the main thread. */
void mem_watch_deaths(void);
