/*
 * arena.h - memory that lives as long as one query: many small pieces, one end.
 *
 * An allocation that finds no memory gives NULL (an empty view) and sets `failed`: check once, at
 * the end. All zero is a valid, empty arena. Pieces never move.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <sluice/types.h>

struct arena_block;

struct arena {
    struct arena_block *blocks; /* newest first */
    bool failed;
};

void *arena_alloc(struct arena *a, size_t n); /* aligned for any type, not zeroed */
sl_str arena_str(struct arena *a, sl_str s);  /* a copy, with a NUL after it */
void arena_finish(struct arena *a);           /* frees all; empty and usable again */
