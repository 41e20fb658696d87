/*
 * box.h - a store in a directory, opened, driven and closed step by step. Unlike the unit tests'
 * rig it reports what fails instead of ending the test: here failing is often what is tested.
 */
#pragma once

#include <stdbool.h>
#include <uv.h>
#include "store/store.h"

#define BOX_SEGMENT_BYTES (32u << 10)

struct box {
    uv_loop_t loop;
    struct store *s; /* NULL: not open */
    struct store_conf conf;
    struct fail fail; /* of the last opening */
    bool done;
    int status;
    size_t body; /* of the last event asked for */
};

/** `dir` is borrowed. Small segments. */
void box_start(struct box *b, const char *dir);
int box_open(struct box *b); /* store_open() */
void box_close(struct box *b);
/** Closes what is open. True: the loop closed clean. */
bool box_finish(struct box *b);
/** Run the loop until b->done. */
void box_wait(struct box *b);
/** Append, wait; store_append()'s or the callback's code. The caller finishes the append. */
int box_append(struct box *b, struct store_append *a, bool internal);
/** Wait until the index has applied all the log holds. 0 or a code. */
int box_settle(struct box *b);
struct store_stats box_stats(const struct box *b);

/** A new directory for a test, under TMPDIR or /tmp; and the end of it. */
void scratch_make(char out[96]);
void scratch_remove(const char *dir);

/* ---- what the store said (log_line() is wrapped) ---- */

/** Lines of warning and error since the last said_clear(). */
unsigned said_lines(void);
/** The newest of them; "" if none. Not while the store runs. */
const char *said_last(void);
void said_clear(void);
