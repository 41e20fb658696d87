/*
 * bulk.h - a bulk operation: a query that the shop runs by itself over everything it has, into a
 * file. It is started, waited for, and the file is read a piece at a time: what is in memory is one
 * piece and one root object, whatever the file's size. After a restart it goes on where it was.
 */
#pragma once

#include <stdint.h>

#include "bulk/jsonl.h"

struct shopify;
struct bulk;

#define BULK_ID_SIZE 64

/** How far one has come: durable at the caller's. */
struct bulk_mark {
    char operation[BULK_ID_SIZE]; /* GID; "": none was started */
    int64_t offset;               /* bytes of the file that need not be read again */
};

enum bulk_news {
    BULK_STARTED, /* the shop has begun: store the mark, then bulk_next() */
    BULK_RUNS,    /* `objects` so far; bulk_next() waits, and asks again */
    BULK_ROOT,    /* `root`; bulk_next() */
    BULK_ENDS,    /* all was read; last */
    BULK_FAILS,   /* `why`, not before `after_ms`; last. `lost`: of that operation nothing more can
                     be had, so that the next one starts anew */
};

struct bulk_told {
    enum bulk_news what;
    const json_t *root;    /* borrowed for the call */
    struct bulk_mark mark; /* with the root counted as read */
    int64_t objects;       /* roots that the shop has found so far; 0: not said */
    int64_t size;          /* bytes of the file; 0: not known yet */
    const char *why;
    int64_t after_ms;
    int lost, park; /* park: the token, its scopes or the shop itself */
};

typedef void (*bulk_cb)(void *ctx, const struct bulk_told *t);

/** Run `query` (no variables; connections as edges{node{...}}; children with __typename), or go on
 *  from `mark`. `query`, `table`: borrowed until the last call of `cb`, which comes soon, though
 * not before this returns. NULL: no memory, or the host is closing. */
struct bulk *bulk_open(struct shopify *s, const char *query, const struct jsonl_child *table,
                       const struct bulk_mark *mark, bulk_cb cb, void *ctx);
/** Go on, from within `cb` or later. */
void bulk_next(struct bulk *b);
/** Stop telling, at close or before: also after the last call, never twice. */
void bulk_close(struct bulk *b);
