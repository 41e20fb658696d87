/*
 * keyrun.h - a run: the keys of one segment or of neighbours, sorted, in a file that never changes.
 * Numbers are little endian; every byte of the file stands under a CRC32C.
 *
 *     head     4096 bytes: magic "SLUICKEY", u32 format 1, u32 first and u32 last segment, u32
 * zero, u64 keys, u64 pages, u64 blocks of the filter, u32 CRC of the filter, u32 CRC of the
 *              fences, zeros; at 4092 u32 CRC of all before
 *     pages    4096 bytes each: u32 CRC of what follows (it begins with the two segments), u32 keys
 *              in it, u64 its number, 16 zeros; then up to 127 times { hash 16, seq 8, value 8 },
 *              rising by hash
 *     filter   bloom.h, over all of them
 *     fences   u64 for each page: the first 8 bytes of its first hash, as a number
 *
 * Filter and fences are kept in memory, so that a maybe costs one page of the file.
 */
#pragma once

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include "store/keys.h"

#define KEYRUN_PAGE     4096u
#define KEYRUN_ENTRIES  127u /* in a page */
#define KEYRUN_PATH     4096u
#define KEYRUN_SEGMENTS "%s/%010u-%010u.keys"

struct keyrun {
    uint32_t first, last; /* segments */
    uint64_t n, n_pages, n_blocks;
    int fd;
    uint8_t *filter;
    uint64_t *fences;
    atomic_bool bad; /* a page could not be read: the file is not to be relied on */
    bool aside;      /* the keeper's: its file has another name already */
};

void keyrun_path(const char *dir, uint32_t first, uint32_t last, char out[KEYRUN_PATH]);

/** Reads head, filter and fences. UV_EILSEQ, UV_EOF: damaged; UV_ENOTSUP: of a newer format. */
int keyrun_open(struct keyrun **ret, const char *dir, uint32_t first, uint32_t last);
void keyrun_close(struct keyrun *run); /* NULL is fine; the file stays */
size_t keyrun_bytes(const struct keyrun *run);

/** `n` pages from `page` on into `buf`, as they are. */
int keyrun_read(struct keyrun *run, uint64_t page, size_t n, uint8_t *buf);
/** The keys of a page, by its bytes: how many, or UV_EILSEQ. */
int keyrun_check_page(const struct keyrun *run, uint64_t page, const uint8_t *p);
void keyrun_entry(const uint8_t *page, size_t i, struct key_entry *ret);

/** 1, 0 or a code; the filter is not asked. Reads into `buf` of KEYRUN_PAGE bytes; *reads counts.
 */
int keyrun_find(struct keyrun *run, const uint8_t hash[16], uint8_t *buf, struct key_entry *ret,
                uint64_t *reads);

/* ---- writing one ---- */

struct keyrun_writer;

/** At most `most` keys will come. The file has a name of its own until it is finished. */
int keyrun_begin(struct keyrun_writer **ret, const char *dir, uint32_t first, uint32_t last,
                 uint64_t most);
/** Rising by hash. */
int keyrun_add(struct keyrun_writer *w, const struct key_entry *e);
/** Sync and rename; the run, open. When it fails only keyrun_abandon() is left. */
int keyrun_finish(struct keyrun_writer *w, struct keyrun **ret);
/** Frees; removes the file unless it is finished. NULL is fine. */
void keyrun_abandon(struct keyrun_writer *w);
