/*
 * log_box.h - a log in a directory of its own, without threads, and groups for it.
 *
 * Whatever cannot fail is checked; box_finish() closes what is open and removes the directory.
 */
#pragma once

#include "../check.h"

#include <uv.h>
#include "store/disk.h"
#include "store/log_int.h"
#include "store/store.h"

#define SEGMENT_BYTES (64u << 10)

struct box {
    char dir[64];
    uint64_t segment_bytes; /* 0: SEGMENT_BYTES */
    int64_t segment_ms;
    struct reclog *l;
    struct reclog_reader *r;
    struct fail fail;
};

struct group {
    struct list list;
    struct store_append a[32];
    struct store_record r[64];
    struct store_key k[64];
    size_t n_appends, n_records;
};

/** What was read: all records in order, each of one byte repeated. */
struct seen {
    uint64_t first, last, pos;
    size_t n, len;
    char fill;
    bool whole;
};

void box_start(struct box *b);
int box_open(struct box *b);
void box_must_open(struct box *b);
void box_close(struct box *b);
void box_finish(struct box *b);
void segment_file(const struct box *b, unsigned number, char out[128]);
size_t read_segment(const struct box *b, unsigned number, uint8_t *p, size_t n);
void write_segment(const struct box *b, unsigned number, const uint8_t *p, size_t n);
void group_start(struct group *g);
/** One more append of n records, each `len` bytes of `fill`; with a key of that name, if any. */
struct store_record *group_add(struct group *g, size_t n, size_t len, char fill, const char *key);
int group_commit(struct box *b, struct group *g);
void group_finish(struct group *g);
/** One record; its number, or 0 when its key is known. */
uint64_t put(struct box *b, size_t len, char fill, const char *key);
void put_many(struct box *b, size_t n, size_t len);
/** For reclog_read(); the context is a struct seen. */
int on_seen(void *ctx, const struct reclog_record *rec);
int read_from(struct box *b, uint64_t first, uint32_t limit, struct seen *s);
char fill_of(struct box *b, uint64_t seq);
/** All that the keeper has to do. */
void run_keeper(struct box *b);
