/*
 * journal_int.h - what journal.c and image.c share.
 */
#pragma once

#include "journal.h"

struct file {
    char *name;    /* own; as it was made */
    uint8_t *base; /* own; what it held at the beginning */
    size_t base_n;
};

/* Which name stands for which file. */
struct names {
    struct name {
        char *name; /* own */
        int file;
    } * at;
    size_t n;
};

int names_find(const struct names *t, const char *name); /* place, or -1 */
void names_set(struct names *t, const char *name, int file);
int names_remove(struct names *t, const char *name);
void names_finish(struct names *t);

struct journal {
    char *dir;
    struct op *ops;
    size_t n_ops, cap_ops;
    struct file *files;
    size_t n_files, cap_files;
    struct names base, now;
};

/** Add an operation's change of names. */
void names_play(struct names *t, const struct op *op);
/** Make `to` with everything that was asked for, and the names as they are then. */
void image_of_cache(const struct journal *j, size_t cut, const char *to, struct names *ret_names);

/** The machinery itself failed: nothing can be said about the store. */
void die(const char *what, const char *about) __attribute__((noreturn));
void *need(void *p);
