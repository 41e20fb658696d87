/*
 * keyrun.c - reading a run.
 */
#include "store/keyrun.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <uv.h>
#include "base/crc.h"
#include "store/bytes.h"
#include "store/disk.h"
#include "store/keyrun_int.h"

void keyrun_path(const char *dir, uint32_t first, uint32_t last, char out[KEYRUN_PATH])
{
    snprintf(out, KEYRUN_PATH, KEYRUN_SEGMENTS, dir, first, last);
}

/* ---- opening ---- */

static int read_head(struct keyrun *run, uint32_t *filter_crc, uint32_t *fences_crc)
{
    uint8_t head[KEYRUN_PAGE];
    int r = disk_read(run->fd, head, sizeof(head), 0);

    if (r < 0)
        return r;
    if (memcmp(head, KEYRUN_MAGIC, 8) != 0 ||
        bytes_get32(head + KEYRUN_PAGE - 4) != crc32c(0, head, KEYRUN_PAGE - 4))
        return UV_EILSEQ;
    if (bytes_get32(head + 8) != KEYRUN_FORMAT)
        return UV_ENOTSUP;
    run->n = bytes_get64(head + 24);
    run->n_pages = bytes_get64(head + 32);
    run->n_blocks = bytes_get64(head + 40);
    *filter_crc = bytes_get32(head + 48);
    *fences_crc = bytes_get32(head + 52);
    if (bytes_get32(head + 12) != run->first || bytes_get32(head + 16) != run->last ||
        run->n_pages != (run->n + KEYRUN_ENTRIES - 1) / KEYRUN_ENTRIES || run->n_blocks == 0 ||
        run->n_blocks > UINT32_MAX || run->n_pages > UINT32_MAX)
        return UV_EILSEQ;
    return 0;
}

static int read_filter(struct keyrun *run, uint32_t filter_crc, uint32_t fences_crc)
{
    size_t filter_len = run->n_blocks * BLOOM_BLOCK, fences_len = run->n_pages * 8;
    uint64_t at = (1 + run->n_pages) * KEYRUN_PAGE;
    int r;

    run->filter = keyrun_filter_alloc(run->n_blocks);
    run->fences = malloc(fences_len ? fences_len : 1);
    if (!run->filter || !run->fences)
        return UV_ENOMEM;
    if ((r = disk_read(run->fd, run->filter, filter_len, at)) < 0 ||
        (r = disk_read(run->fd, run->fences, fences_len, at + filter_len)) < 0)
        return r;
    if (crc32c(0, run->filter, filter_len) != filter_crc ||
        crc32c(0, run->fences, fences_len) != fences_crc)
        return UV_EILSEQ;
    for (uint64_t i = 0; i < run->n_pages; i++)
        run->fences[i] = le64toh(run->fences[i]);
    return 0;
}

int keyrun_open(struct keyrun **ret, const char *dir, uint32_t first, uint32_t last)
{
    struct keyrun *run = calloc(1, sizeof(*run));
    uint32_t filter_crc, fences_crc;
    char path[KEYRUN_PATH];
    int r;

    if (!run)
        return UV_ENOMEM;
    run->first = first;
    run->last = last;
    keyrun_path(dir, first, last, path);
    r = run->fd = store_disk->open(path, O_RDONLY);
    if (r < 0 || (r = read_head(run, &filter_crc, &fences_crc)) < 0 ||
        (r = read_filter(run, filter_crc, fences_crc)) < 0) {
        keyrun_close(run);
        return r;
    }
    *ret = run;
    return 0;
}

void keyrun_close(struct keyrun *run)
{
    if (!run)
        return;
    if (run->fd >= 0)
        store_disk->close(run->fd);
    free(run->filter);
    free(run->fences);
    free(run);
}

size_t keyrun_bytes(const struct keyrun *run)
{
    return sizeof(*run) + run->n_blocks * BLOOM_BLOCK + run->n_pages * 8;
}

uint8_t *keyrun_filter_alloc(uint64_t n_blocks)
{
    size_t len = n_blocks * BLOOM_BLOCK;
    uint8_t *p = aligned_alloc(BLOOM_BLOCK, len);

    if (p)
        memset(p, 0, len);
    return p;
}

/* ---- pages ---- */

uint32_t keyrun_seed(uint32_t first, uint32_t last)
{
    uint8_t b[8];

    bytes_put32(b, first);
    bytes_put32(b + 4, last);
    return crc32c(0, b, sizeof(b));
}

int keyrun_read(struct keyrun *run, uint64_t page, size_t n, uint8_t *buf)
{
    int r = disk_read(run->fd, buf, n * KEYRUN_PAGE, (1 + page) * KEYRUN_PAGE);

    return r == UV_EOF ? UV_EILSEQ : r;
}

int keyrun_check_page(const struct keyrun *run, uint64_t page, const uint8_t *p)
{
    uint32_t n = bytes_get32(p + 4);
    uint64_t due = page + 1 < run->n_pages ? KEYRUN_ENTRIES : run->n - page * KEYRUN_ENTRIES;

    if (bytes_get32(p) != crc32c(keyrun_seed(run->first, run->last), p + 4, KEYRUN_PAGE - 4) ||
        bytes_get64(p + 8) != page || n != due)
        return UV_EILSEQ;
    return (int)n;
}

void keyrun_entry(const uint8_t *page, size_t i, struct key_entry *ret)
{
    const uint8_t *p = page + KEYRUN_PAGE_HEAD + i * KEYRUN_ENTRY;

    memcpy(ret->hash, p, 16);
    ret->seq = bytes_get64(p + 16);
    ret->value = bytes_get64(p + 24);
}

static bool find_in_page(const uint8_t *page, size_t n, const uint8_t hash[16],
                         struct key_entry *ret)
{
    size_t low = 0, high = n;

    while (low < high) {
        size_t mid = low + (high - low) / 2;
        int c = memcmp(page + KEYRUN_PAGE_HEAD + mid * KEYRUN_ENTRY, hash, 16);

        if (c == 0) {
            keyrun_entry(page, mid, ret);
            return true;
        }
        if (c < 0)
            low = mid + 1;
        else
            high = mid;
    }
    return false;
}

/* How many pages begin below `h`. */
static uint64_t pages_below(const struct keyrun *run, uint64_t h)
{
    uint64_t low = 0, high = run->n_pages;

    while (low < high) {
        uint64_t mid = low + (high - low) / 2;

        if (run->fences[mid] < h)
            low = mid + 1;
        else
            high = mid;
    }
    return low;
}

int keyrun_find(struct keyrun *run, const uint8_t hash[16], uint8_t *buf, struct key_entry *ret,
                uint64_t *reads)
{
    uint64_t h = bytes_get64_be(hash), page = pages_below(run, h);

    /* It stands in the last page that begins below it, or in one that begins with equal bytes. */
    for (page -= page > 0; page < run->n_pages && run->fences[page] <= h; page++) {
        int n;

        ++*reads;
        if ((n = keyrun_read(run, page, 1, buf)) < 0 || (n = keyrun_check_page(run, page, buf)) < 0)
            return n;
        if (find_in_page(buf, (size_t)n, hash, ret))
            return 1;
    }
    return 0;
}
