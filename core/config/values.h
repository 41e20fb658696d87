/*
 * values.h - option tables: which keys a mapping may hold, and their checked values.
 *
 * The same code reads core's tables and the adapters'. A default is checked like a value from the
 * file. Mistakes go to the reader's report, with their place; the text of a secret never does.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sluice/sluice.h>
#include "config/config.h"
#include "config/report.h"
#include "config/yaml.h"

/* Types that only core's tables use. */
#define OPT_MILLI                                                                                 \
    101                /* a decimal number, exact to 1/1000; value in thousandths, [min, max] too \
                        */
#define OPT_LISTEN 102 /* "127.0.0.1:8080", "[::1]:8080", "unix:/path", "none" */
#define OPT_PATH   103 /* a path, relative to the configuration's folder */
#define OPT_PATHS  104 /* a list of paths */
#define OPT_TEXTS  105 /* one text or a list of texts */
#define OPT_ACTION 106 /* an action's name, or { action: NAME, ... }: the rest is read by hand */

/** An array of sl_option, or of structs that begin with one; its last entry has no name. */
struct table {
    const void *first; /* NULL: an empty table */
    size_t stride;     /* bytes */
};

static inline struct table table_of(const sl_option *options)
{
    return (struct table){ .first = options, .stride = sizeof(sl_option) };
}

/** The i-th option of `t`; NULL past the last. */
const sl_option *table_at(struct table t, size_t i);

#define READER_MEANT_MAX 16

/** What all reading needs. */
struct reader {
    struct report report;
    const struct config_env *env; /* borrowed */
    char *dir; /* own; the configuration's folder with its '/', "" for the current one */
    /* Options that a misspelt key of the mapping at hand was taken for: not missing as well. */
    const sl_option *meant[READER_MEANT_MAX];
    size_t n_meant;
};

/** A mistake at a node's place. */
#define report_node(rd, node, ...) \
    report_at(&(rd)->report, (node)->line, (node)->column, __VA_ARGS__)

/** Own path: `path` itself, or below the configuration's folder when it is relative. */
char *reader_path(const struct reader *rd, sl_str path);

/* ---- keys ---- */

/** All that one mapping may hold. */
struct keys {
    const struct table *tables;
    size_t n_tables;
    const char *const *others; /* keys that other code reads; NULL-terminated, may be NULL */
    const char *const *later;  /* keys that a later version will have; may be NULL */
    bool open; /* more may be right than is known here: only near misses are reported */
};

/** Report each key of `map` that must not be there. Adds to rd->meant; the caller empties it. NULL
 *  and anything but a mapping are fine. */
void keys_check(struct reader *rd, const struct yaml_node *map, const struct keys *keys);
/** Was a misspelt key taken for this option? Then it is not missing as well. */
bool reader_meant(const struct reader *rd, const sl_option *o);
/** Does a name of the table begin with this component ("rate" of "rate.burst")? */
bool table_owns(struct table t, sl_str component);
/** A name of `b` that says the same key as one of `a`: equal, or one is a block of the other;
 *  NULL: none. */
const char *tables_collide(struct table a, struct table b);

/* ---- values ---- */

enum value_from { VALUE_NONE, VALUE_DEFAULT, VALUE_GIVEN };

struct text {
    char *data; /* own, NUL-terminated */
    size_t len;
};

struct value {
    const sl_option *option; /* borrowed from its table */
    enum value_from from;
    unsigned line, column; /* GIVEN: of its node */
    int64_t num;
    struct text text;   /* texts; lists and maps as JSON */
    struct text *items; /* SECRET, SECRETS, lists of texts */
    size_t n_items;
};

struct sl_values {
    bool bad;      /* a mistake was reported while it was read */
    bool left;     /* destroyed by its owner: the last reference frees it */
    unsigned refs; /* who holds it beside its owner */
    size_t n;
    struct value list[];
};

/** A mapping to look into, the first that has a key wins; keys owned by `not_from` are not taken
 *  from it. */
struct source {
    const struct yaml_node *map; /* NULL is fine */
    const struct table *not_from;
    const char *const *not_names; /* NULL-terminated, may be NULL */
};

/**
 * Read all of a table's options. Never NULL; own, values_destroy() it.
 * @param at    where a missing required option is reported
 */
sl_values *values_read(struct reader *rd, struct table t, const struct source *sources,
                       size_t n_sources, const struct yaml_item *at);
void values_destroy(sl_values *v); /* wipes secrets; NULL is fine */
/** The value of an option; NULL: the table has none of this name. */
const struct value *values_get(const sl_values *v, const char *name);

/* ---- one value, by check.c ---- */

/** Read `node` as `ret->option` says. False when a mistake was reported; then `ret` holds nothing.
 */
bool value_read(struct reader *rd, const struct yaml_node *node, struct value *ret);
/** What was left to be read of a default, "as it would stand in the file". */
bool value_read_default(struct reader *rd, const struct yaml_item *at, struct value *ret);
void value_clear(struct value *v); /* wipes */

/* ---- secrets and files, by secret.c ---- */

/** Read a secret as { env | file | credential }. False when a mistake was reported. With
 *  env->skip_secrets the form is checked, and *ret stays empty (data NULL). */
bool secret_read(struct reader *rd, const char *name, const struct yaml_node *node,
                 struct text *ret);
void text_wipe(struct text *t);
/** The whole of a file of at most `max` bytes. 0, or a negative libuv code with `fail`. */
int file_read(const char *path, size_t max, struct text *ret, struct fail *fail);
