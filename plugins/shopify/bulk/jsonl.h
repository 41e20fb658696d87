/*
 * jsonl.h - the file of a bulk operation, read as it comes: one object a line, children in lines of
 * their own that name their parent. They are put back into the form that a query gives:
 * {"id": ..., "lineItems": {"nodes": [...], "pageInfo": {"hasNextPage": false}}}.
 *
 * A root is whole when the next one begins, or the file ends: `groupObjects: true` has children
 * follow their parent. Pure; one root is in memory at a time.
 */
#pragma once

#include <jansson.h>
#include <stddef.h>
#include <stdint.h>

#define JSONL_LINE_MAX (4 << 20) /* bytes; an order of 250 lines has some 200 KB in all */

/** Where a child belongs: which type it is, of its parent's which connection. The table ends with
 *  a NULL type. Children have `__typename`: nothing else in a line says what it is of. */
struct jsonl_child {
    const char *parent; /* type; NULL: the root */
    const char *type;
    const char *connection;
};

/** All zero but `table` is a file from its beginning. With `offset` and `line_at` what such an
 *  `offset` was before: the rest of it. */
struct jsonl {
    const struct jsonl_child *table; /* borrowed */
    int64_t offset;  /* bytes of the file before the root that is to come: where to go on later */
    int64_t line_at; /* before the next line */
    char *text;      /* own: what was read, and is in no line yet */
    size_t len, room;
    size_t taken; /* of `text` */
    int ended;    /* there is no more */
    json_t *root; /* own: it may have more children */
    json_t *ids;  /* own: {id: what has it}, of this root */
    char why[200];
};

enum jsonl_next {
    JSONL_ROOT, /* *ret is own, and whole; `offset` is behind it */
    JSONL_MORE, /* jsonl_add() or jsonl_end() */
    JSONL_END,  /* that was all */
    JSONL_BAD,  /* the file cannot be read: `why` */
};

/** The bytes that follow. 0; -1: no memory (`why`, and jsonl_next() says so as well). */
int jsonl_add(struct jsonl *j, const char *p, size_t n);
void jsonl_end(struct jsonl *j);
enum jsonl_next jsonl_next(struct jsonl *j, json_t **ret);
void jsonl_finish(struct jsonl *j);
