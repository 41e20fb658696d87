/*
 * log_box.c - a log in a directory of its own.
 */
#include "log_box.h"

#include <fcntl.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

void box_start(struct box *b)
{
    *b = (struct box){ 0 };
    snprintf(b->dir, sizeof(b->dir), "/tmp/sluice-log-XXXXXX");
    assert_non_null(mkdtemp(b->dir));
}

int box_open(struct box *b)
{
    struct reclog_conf conf = { .dir = b->dir,
                                .segment_ms = b->segment_ms,
                                .segment_bytes = b->segment_bytes ? b->segment_bytes
                                                                  : SEGMENT_BYTES };
    int r = reclog_open(&b->l, &conf, &b->fail);

    if (r == 0)
        CHECK_EQ(reclog_reader_open(&b->r, b->l), 0);
    return r;
}

void box_must_open(struct box *b)
{
    int r = box_open(b);

    if (r < 0)
        print_error("%s\n", b->fail.text);
    CHECK_EQ(r, 0);
}

void box_close(struct box *b)
{
    reclog_reader_close(b->r);
    reclog_close(b->l);
    b->l = NULL;
    b->r = NULL;
}

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
    (void)st;
    (void)type;
    (void)ftw;
    return remove(path);
}

void box_finish(struct box *b)
{
    box_close(b);
    nftw(b->dir, remove_one, 8, FTW_DEPTH | FTW_PHYS);
}

void segment_file(const struct box *b, unsigned number, char out[128])
{
    snprintf(out, 128, "%s/log/%010u.seg", b->dir, number);
}

size_t read_segment(const struct box *b, unsigned number, uint8_t *p, size_t n)
{
    char path[128];
    ssize_t got;
    int fd;

    segment_file(b, number, path);
    fd = open(path, O_RDONLY);
    CHECK(fd >= 0);
    got = pread(fd, p, n, 0);
    CHECK(got > 0);
    close(fd);
    return (size_t)got;
}

void write_segment(const struct box *b, unsigned number, const uint8_t *p, size_t n)
{
    char path[128];
    int fd;

    segment_file(b, number, path);
    fd = open(path, O_WRONLY | O_TRUNC);
    CHECK(fd >= 0);
    CHECK_EQ(write(fd, p, n), n);
    close(fd);
}

/* ---- appending ---- */

void group_start(struct group *g)
{
    *g = (struct group){ 0 };
    list_init(&g->list);
}

/* One more append of n records, each `len` bytes of `fill`; with a key of that name, if any. */
struct store_record *group_add(struct group *g, size_t n, size_t len, char fill, const char *key)
{
    struct store_append *a = &g->a[g->n_appends++];
    struct store_record *first = &g->r[g->n_records];

    *a = (struct store_append){ .records = first, .n = n };
    for (size_t i = 0; i < n; i++) {
        struct store_record *rec = &g->r[g->n_records];

        *rec = (struct store_record){ .type = REC_RECEIPT };
        for (size_t k = 0; k < len; k++)
            buf_char(&rec->payload, fill);
        if (key) {
            rec->keys = &g->k[g->n_records];
            rec->n_keys = 1;
            *rec->keys = (struct store_key){ .refuse = true, .value = 7 };
            snprintf((char *)rec->keys->hash, 15, "%.14s", key);
            rec->keys->hash[15] = (uint8_t)i;
        }
        g->n_records++;
    }
    list_append(&g->list, &a->node);
    return first;
}

int group_commit(struct box *b, struct group *g)
{
    struct reclog_result res;

    return reclog_append(b->l, &g->list, &res);
}

void group_finish(struct group *g)
{
    for (size_t i = 0; i < g->n_records; i++) {
        buf_finish(&g->r[i].payload);
        buf_finish(&g->r[i].duplicate);
    }
}

uint64_t put(struct box *b, size_t len, char fill, const char *key)
{
    struct group g;
    struct store_record *r;
    uint64_t seq;

    group_start(&g);
    r = group_add(&g, 1, len, fill, key);
    CHECK_EQ(group_commit(b, &g), 0);
    seq = r->refused ? 0 : r->seq;
    group_finish(&g);
    return seq;
}

void put_many(struct box *b, size_t n, size_t len)
{
    for (size_t i = 0; i < n; i++)
        CHECK(put(b, len, (char)('a' + reclog_last(b->l) % 26), NULL) > 0);
}

/* ---- reading ---- */

int on_seen(void *ctx, const struct reclog_record *rec)
{
    struct seen *s = ctx;

    if (s->n++ == 0)
        s->first = rec->seq;
    else
        CHECK_EQ(rec->seq, s->last + 1);
    s->last = rec->seq;
    s->pos = rec->pos;
    s->len = rec->payload.len;
    s->fill = rec->payload.len ? rec->payload.ptr[0] : 0;
    s->whole = true;
    for (size_t i = 0; i < rec->payload.len; i++)
        s->whole = s->whole && rec->payload.ptr[i] == s->fill;
    CHECK(s->whole);
    return 0;
}

int read_from(struct box *b, uint64_t first, uint32_t limit, struct seen *s)
{
    *s = (struct seen){ 0 };
    return reclog_read(b->r, first, limit, on_seen, s);
}

char fill_of(struct box *b, uint64_t seq)
{
    struct seen s;

    CHECK_EQ(read_from(b, seq, 1, &s), 1);
    return s.fill;
}

/* ---- keeping ---- */

void run_keeper(struct box *b)
{
    while (reclog_work(b->l) > 0)
        ;
}
