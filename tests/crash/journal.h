/*
 * journal.h - what was asked of a disk, in its order, and the disks that could have come of it when
 * the power went away at a moment.
 *
 * The model. A file's writes and sizes are durable once a sync of that file that began after them
 * has ended; names (made, renamed, removed) once their directory was synced so. Of the rest nothing
 * is promised: each write is lost, whole or torn between sectors, in any order; of a directory's
 * changes the first few are there.
 *
 * One journal is current at a time; the layers (layer.h) write it.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>

#define SECTOR 512

enum op_type {
    OP_CREATE, /* name */
    OP_RENAME, /* name -> to */
    OP_REMOVE, /* name */
    OP_WRITE,  /* data at */
    OP_TRUNCATE,
    OP_ALLOCATE, /* at least `at` bytes long */
    OP_SYNC,     /* of a file: what stands before `covers` */
    OP_SYNC_DIR, /* the same of a directory, `name` */
    OP__COUNT
};

struct op {
    enum op_type type;
    int file;        /* number in this journal, from 0; -1: none */
    char *name, *to; /* own; relative to the journal's directory */
    uint64_t at;     /* of a write; or the size */
    uint8_t *data;   /* own */
    size_t n;
    size_t covers;
};

struct journal;

/** Begin: what the directory holds now counts as durable. It becomes the current one. */
struct journal *journal_begin(const char *dir);
/** The process was killed when `cut` operations had been asked for, the power stays: make `dir`
 *  (absent so far) as the next process finds it, and go on recording from there, for what was not
 *  synced is not durable yet. It becomes the current one. */
struct journal *journal_resume(const struct journal *j, size_t cut, const char *dir);
/** Nothing is recorded any more; reading and images go on. */
void journal_end(struct journal *j);
void journal_destroy(struct journal *j); /* NULL is fine */

/** How many operations there are: a moment, as the position behind the newest. @thread any */
size_t journal_at(void);
size_t journal_length(const struct journal *j);
const struct op *journal_op(const struct journal *j, size_t i);
/** The name a file was made with. */
const char *journal_file_name(const struct journal *j, int file);

/** Make `to` (absent so far) the directory as it may be after the power went away when `cut`
 *  operations had been asked for. Aborts the test when the disk under it fails. */
void journal_image(const struct journal *j, size_t cut, uint64_t seed, const char *to);
/** The operations before a moment, for people. */
void journal_print(const struct journal *j, size_t cut, size_t n);

/* ---- for the layers; @thread any ----
 *
 * A change and its record belong together: change between journal_lock() and journal_unlock(). */

void journal_lock(void);
void journal_unlock(void);
/** Is this path in the current journal's directory? Its name there, or NULL. Under the lock. */
const char *journal_name(const char *path);
/** A file was opened: its number; made when it was not there. Under the lock. */
int journal_opened(const char *name);
void journal_wrote(int file, const struct iovec *v, int n, uint64_t at, size_t total);
void journal_resized(int file, enum op_type how, uint64_t size);
void journal_renamed(const char *name, const char *to);
void journal_removed(const char *name);
/** A sync ended well that began at `began`. `name` for a directory, else NULL. */
void journal_synced(int file, const char *name, size_t began);
/** journal_at() under the lock. */
size_t journal_now(void);
