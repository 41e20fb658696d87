/*
 * keyrun_write.c - writing a run: pages as they fill, then filter, fences and head; synced in
 * parts, so that no other file's sync waits for hundreds of megabytes.
 */
#include <assert.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <uv.h>
#include "base/crc.h"
#include "store/bytes.h"
#include "store/disk.h"
#include "store/keyrun_int.h"

#define BUFFER_PAGES 64u
#define SYNC_BYTES   (8u << 20)

struct keyrun_writer {
    char *dir;
    char tmp[KEYRUN_PATH + 8];
    struct keyrun *run; /* the one it becomes: descriptor, filter, fences */
    uint64_t most;
    uint8_t *buf;      /* whole pages, the last being filled */
    size_t n_buf;      /* entries in it */
    uint64_t unsynced; /* bytes */
};

int keyrun_begin(struct keyrun_writer **ret, const char *dir, uint32_t first, uint32_t last,
                 uint64_t most)
{
    struct keyrun_writer *w = calloc(1, sizeof(*w));
    char path[KEYRUN_PATH];
    int r = UV_ENOMEM;

    if (!w)
        return r;
    w->most = most;
    w->dir = strdup(dir);
    w->buf = malloc(BUFFER_PAGES * KEYRUN_PAGE);
    w->run = calloc(1, sizeof(*w->run));
    if (!w->run)
        goto out;
    w->run->fd = -1;
    w->run->first = first;
    w->run->last = last;
    w->run->n_blocks = bloom_blocks(most);
    w->run->filter = keyrun_filter_alloc(w->run->n_blocks);
    w->run->fences = calloc(most / KEYRUN_ENTRIES + 1, sizeof(*w->run->fences));
    if (!w->dir || !w->buf || !w->run->filter || !w->run->fences)
        goto out;
    keyrun_path(dir, first, last, path);
    snprintf(w->tmp, sizeof(w->tmp), "%s.tmp", path);
    if ((r = store_disk->open(w->tmp, O_RDWR | O_CREAT | O_TRUNC)) < 0)
        goto out;
    w->run->fd = r;
    *ret = w;
    return 0;
out:
    keyrun_abandon(w);
    return r;
}

static int write_at(struct keyrun_writer *w, const void *p, size_t n, uint64_t at)
{
    struct iovec v = { (void *)(uintptr_t)p, n };
    int r = disk_write(w->run->fd, &v, 1, at);

    if (r < 0)
        return r;
    w->unsynced += n;
    if (w->unsynced >= SYNC_BYTES) {
        w->unsynced = 0;
        r = store_disk->sync(w->run->fd);
    }
    return r;
}

/* The buffered entries, whole pages but perhaps the last. */
static int flush(struct keyrun_writer *w)
{
    uint32_t seed = keyrun_seed(w->run->first, w->run->last);
    size_t pages = (w->n_buf + KEYRUN_ENTRIES - 1) / KEYRUN_ENTRIES;
    int r;

    for (size_t i = 0; i < pages; i++) {
        uint8_t *p = w->buf + i * KEYRUN_PAGE;
        size_t n = w->n_buf - i * KEYRUN_ENTRIES;

        if (n > KEYRUN_ENTRIES)
            n = KEYRUN_ENTRIES;
        memset(p, 0, KEYRUN_PAGE_HEAD);
        memset(p + KEYRUN_PAGE_HEAD + n * KEYRUN_ENTRY, 0, (KEYRUN_ENTRIES - n) * KEYRUN_ENTRY);
        bytes_put32(p + 4, (uint32_t)n);
        bytes_put64(p + 8, w->run->n_pages + i);
        bytes_put32(p, crc32c(seed, p + 4, KEYRUN_PAGE - 4));
        w->run->fences[w->run->n_pages + i] = bytes_get64_be(p + KEYRUN_PAGE_HEAD);
    }
    r = write_at(w, w->buf, pages * KEYRUN_PAGE, (1 + w->run->n_pages) * KEYRUN_PAGE);
    if (r < 0)
        return r;
    w->run->n_pages += pages;
    w->n_buf = 0;
    return 0;
}

int keyrun_add(struct keyrun_writer *w, const struct key_entry *e)
{
    uint8_t *p = w->buf + w->n_buf / KEYRUN_ENTRIES * KEYRUN_PAGE + KEYRUN_PAGE_HEAD +
                 w->n_buf % KEYRUN_ENTRIES * KEYRUN_ENTRY;

    assert(w->run->n < w->most);
    memcpy(p, e->hash, 16);
    bytes_put64(p + 16, e->seq);
    bytes_put64(p + 24, e->value);
    bloom_add(w->run->filter, w->run->n_blocks, e->hash);
    w->run->n++;
    return ++w->n_buf == BUFFER_PAGES * KEYRUN_ENTRIES ? flush(w) : 0;
}

static int write_rest(struct keyrun_writer *w)
{
    struct keyrun *run = w->run;
    size_t filter_len = run->n_blocks * BLOOM_BLOCK, fences_len = run->n_pages * 8;
    uint64_t at = (1 + run->n_pages) * KEYRUN_PAGE;
    uint8_t head[KEYRUN_PAGE] = { 0 };
    int r;

    for (uint64_t i = 0; i < run->n_pages; i++)
        run->fences[i] = htole64(run->fences[i]);
    memcpy(head, KEYRUN_MAGIC, 8);
    bytes_put32(head + 8, KEYRUN_FORMAT);
    bytes_put32(head + 12, run->first);
    bytes_put32(head + 16, run->last);
    bytes_put64(head + 24, run->n);
    bytes_put64(head + 32, run->n_pages);
    bytes_put64(head + 40, run->n_blocks);
    bytes_put32(head + 48, crc32c(0, run->filter, filter_len));
    bytes_put32(head + 52, crc32c(0, run->fences, fences_len));
    bytes_put32(head + KEYRUN_PAGE - 4, crc32c(0, head, KEYRUN_PAGE - 4));
    if ((r = write_at(w, run->filter, filter_len, at)) == 0 && fences_len)
        r = write_at(w, run->fences, fences_len, at + filter_len);
    for (uint64_t i = 0; i < run->n_pages; i++)
        run->fences[i] = le64toh(run->fences[i]);
    return r < 0 ? r : write_at(w, head, sizeof(head), 0);
}

int keyrun_finish(struct keyrun_writer *w, struct keyrun **ret)
{
    char path[KEYRUN_PATH];
    int r = w->n_buf ? flush(w) : 0;

    keyrun_path(w->dir, w->run->first, w->run->last, path);
    if (r < 0 || (r = write_rest(w)) < 0 || (r = store_disk->sync(w->run->fd)) < 0 ||
        (r = store_disk->rename(w->tmp, path)) < 0)
        return r;
    w->tmp[0] = '\0'; /* it has its name, whether or not that is durable yet */
    if ((r = store_disk->sync_dir(w->dir)) < 0)
        return r;
    *ret = w->run;
    w->run = NULL;
    return 0;
}

void keyrun_abandon(struct keyrun_writer *w)
{
    if (!w)
        return;
    if (w->run && w->run->fd >= 0 && w->tmp[0])
        store_disk->remove(w->tmp);
    keyrun_close(w->run);
    free(w->dir);
    free(w->buf);
    free(w);
}
