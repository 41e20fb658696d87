/*
 * test_log.c - the log alone, without threads: what was acknowledged is there after any ending,
 * what was not is not, and neither stale nor damaged bytes are taken for records.
 */
#include "../check.h"

#include <dirent.h>
#include <fcntl.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>
#include <uv.h>
#include "store/disk.h"
#include "store/log_int.h"
#include "store/store.h"

#define SEGMENT_BYTES (64u << 10)

/* ---- a log in a directory of its own ---- */

struct box {
    char dir[64];
    struct reclog *l;
    struct reclog_reader *r;
    struct fail fail;
};

static void box_start(struct box *b)
{
    *b = (struct box){ 0 };
    snprintf(b->dir, sizeof(b->dir), "/tmp/sluice-log-XXXXXX");
    assert_non_null(mkdtemp(b->dir));
}

static int box_open(struct box *b)
{
    struct reclog_conf conf = { .dir = b->dir, .segment_bytes = SEGMENT_BYTES };
    int r = reclog_open(&b->l, &conf, &b->fail);

    if (r == 0)
        CHECK_EQ(reclog_reader_open(&b->r, b->l), 0);
    return r;
}

static void box_must_open(struct box *b)
{
    int r = box_open(b);

    if (r < 0)
        print_error("%s\n", b->fail.text);
    CHECK_EQ(r, 0);
}

static void box_close(struct box *b)
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

static void box_finish(struct box *b)
{
    box_close(b);
    nftw(b->dir, remove_one, 8, FTW_DEPTH | FTW_PHYS);
}

static void segment_file(const struct box *b, unsigned number, char out[128])
{
    snprintf(out, 128, "%s/log/%010u.seg", b->dir, number);
}

static size_t read_segment(const struct box *b, unsigned number, uint8_t *p, size_t n)
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

static void write_segment(const struct box *b, unsigned number, const uint8_t *p, size_t n)
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

struct group {
    struct list list;
    struct store_append a[32];
    struct store_record r[64];
    struct store_key k[64];
    size_t n_appends, n_records;
};

static void group_start(struct group *g)
{
    *g = (struct group){ 0 };
    list_init(&g->list);
}

/* One more append of n records, each `len` bytes of `fill`; with a key of that name, if any. */
static struct store_record *group_add(struct group *g, size_t n, size_t len, char fill,
                                      const char *key)
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

static int group_commit(struct box *b, struct group *g)
{
    struct reclog_result res;

    return reclog_append(b->l, &g->list, &res);
}

static void group_finish(struct group *g)
{
    for (size_t i = 0; i < g->n_records; i++) {
        buf_finish(&g->r[i].payload);
        buf_finish(&g->r[i].duplicate);
    }
}

static uint64_t put(struct box *b, size_t len, char fill, const char *key)
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

static void put_many(struct box *b, size_t n, size_t len)
{
    for (size_t i = 0; i < n; i++)
        CHECK(put(b, len, (char)('a' + reclog_last(b->l) % 26), NULL) > 0);
}

/* ---- reading ---- */

struct seen {
    uint64_t first, last, pos;
    size_t n, len;
    char fill;
    bool whole;
};

static int on_seen(void *ctx, const struct reclog_record *rec)
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

static int read_from(struct box *b, uint64_t first, uint32_t limit, struct seen *s)
{
    *s = (struct seen){ 0 };
    return reclog_read(b->r, first, limit, on_seen, s);
}

static char fill_of(struct box *b, uint64_t seq)
{
    struct seen s;

    CHECK_EQ(read_from(b, seq, 1, &s), 1);
    return s.fill;
}

/* ---- append, reopen ---- */

static void what_was_appended_is_read_and_is_there_after_a_reopening(void **state)
{
    struct seen s;
    struct box b;
    uint8_t id[16];

    (void)state;
    box_start(&b);
    box_must_open(&b);
    memcpy(id, reclog_id(b.l), sizeof(id));
    CHECK_EQ(reclog_last(b.l), 0);
    CHECK_EQ(reclog_first(b.l), 1);
    CHECK_EQ(read_from(&b, 1, 10, &s), 0);
    put_many(&b, 10, 100);
    CHECK_EQ(read_from(&b, 1, 100, &s), 10);
    box_close(&b);
    box_must_open(&b);
    CHECK(memcmp(id, reclog_id(b.l), sizeof(id)) == 0);
    CHECK_EQ(reclog_last(b.l), 10);
    CHECK_EQ(read_from(&b, 4, 3, &s), 3);
    CHECK_EQ(s.first, 4);
    CHECK_EQ(put(&b, 1, 'z', NULL), 11);
    CHECK_EQ(fill_of(&b, 11), 'z');
    box_finish(&b);
}

static void a_key_is_known_within_its_group_and_after_a_reopening(void **state)
{
    struct store_record *r1, *r2;
    struct group g;
    struct box b;

    (void)state;
    box_start(&b);
    box_must_open(&b);
    group_start(&g);
    r1 = group_add(&g, 1, 10, 'a', "key");
    r2 = group_add(&g, 1, 10, 'b', "key");
    CHECK_EQ(group_commit(&b, &g), 0);
    CHECK_EQ(r1->seq, 1);
    CHECK(!r1->refused);
    CHECK(r2->refused);
    CHECK_EQ(r2->seq, 0);
    CHECK_EQ(r2->keys[0].first, 1);
    group_finish(&g);
    CHECK_EQ(reclog_last(b.l), 1);
    box_close(&b);
    box_must_open(&b);
    CHECK_EQ(put(&b, 10, 'c', "key"), 0);
    CHECK_EQ(put(&b, 10, 'c', "other"), 2);
    box_finish(&b);
}

static int on_duplicate(void *ctx, const struct reclog_record *rec)
{
    CHECK_EQ(rec->type, REC_DUPLICATE);
    CHECK_EQ(rec_duplicate_decode(rec->payload, ctx), 0);
    return 0;
}

/* The same key twice: with the first one's value, then with another. */
static void a_refused_record_leaves_a_duplicate_in_its_place(void **state)
{
    struct rec_duplicate dup = { .received_ms = 5, .body_bytes = 10, .endpoint = STR("shop") }, got;
    struct box b;

    (void)state;
    box_start(&b);
    box_must_open(&b);
    CHECK_EQ(put(&b, 10, 'a', NULL), 1);
    CHECK_EQ(put(&b, 10, 'a', "key"), 2);
    for (unsigned i = 0; i < 2; i++) {
        struct group g;
        struct store_record *r;

        group_start(&g);
        r = group_add(&g, 1, 10, 'b', "key");
        r->keys[0].value = 7 + i;
        rec_duplicate_encode(&r->duplicate, &dup);
        CHECK_EQ(group_commit(&b, &g), 0);
        CHECK(r->refused);
        CHECK_EQ(r->seq, 3 + i);
        CHECK_EQ(r->keys[0].value, 7);
        group_finish(&g);
        CHECK_EQ(reclog_read(b.r, 3 + i, 1, on_duplicate, &got), 1);
        CHECK_EQ(got.original, 2);
        CHECK_EQ(got.same_body, i == 0);
        CHECK_EQ(got.body_bytes, 10);
    }
    box_finish(&b);
}

static void one_key_named_twice_by_a_record_is_one_key(void **state)
{
    struct store_key k[2] = { { .refuse = true }, { .refuse = true } };
    struct store_record *r;
    struct group g;
    struct box b;

    (void)state;
    box_start(&b);
    box_must_open(&b);
    group_start(&g);
    r = group_add(&g, 1, 10, 'a', NULL);
    r->keys = k;
    r->n_keys = 2;
    CHECK_EQ(group_commit(&b, &g), 0);
    CHECK(!r->refused);
    CHECK_EQ(r->seq, 1);
    CHECK_EQ(keys_newest(b.l->keys), 1);
    group_finish(&g);
    box_finish(&b);
}

/* ---- a torn tail ---- */

static void torn_group(struct box *b, struct group *g)
{
    group_start(g);
    group_add(g, 1, 30, 'k', "one");
    group_add(g, 2, 21, 'l', "two");
    group_add(g, 1, 3, 'm', "three");
    CHECK_EQ(group_commit(b, g), 0);
    group_finish(g);
}

/* `image` up to `cut`, then what may stand behind it: zeros, or the bytes of another time. */
static void open_torn(struct box *b, const uint8_t *image, size_t n, size_t cut, uint8_t behind)
{
    static uint8_t torn[SEGMENT_BYTES];

    memcpy(torn, image, cut);
    memset(torn + cut, behind, n - cut);
    write_segment(b, 1, torn, n);
    box_must_open(b);
}

static void a_tail_torn_at_any_byte_keeps_whole_appends_alone(void **state)
{
    static uint8_t image[SEGMENT_BYTES];
    uint64_t start, ends[3], end;
    struct group g;
    struct box b;
    size_t n;

    (void)state;
    box_start(&b);
    box_must_open(&b);
    put_many(&b, 5, 40);
    start = b.l->end;
    torn_group(&b, &g);
    end = b.l->end;
    CHECK_EQ(reclog_last(b.l), 9);
    box_close(&b);
    n = read_segment(&b, 1, image, sizeof(image));
    ends[0] = start + segment_record_size(1, 30);
    ends[1] = ends[0] + 2 * segment_record_size(1, 21);
    ends[2] = ends[1] + segment_record_size(1, 3);
    CHECK_EQ(end, ends[2]);
    for (size_t cut = start; cut < end; cut++) {
        uint64_t last = 5;
        struct seen s;
        char path[128];

        /* padding is not missed */
        last += cut >= ends[0] - (segment_record_size(1, 30) - 86);
        last += cut >= ends[1] - (segment_record_size(1, 21) - 77) ? 2 : 0;
        last += cut >= ends[2] - (segment_record_size(1, 3) - 59);
        open_torn(&b, image, n, cut, cut % 2 ? 0 : 0xa5);
        CHECK_EQ(reclog_last(b.l), last);
        CHECK_EQ(b.l->n_damages, 0);
        CHECK_EQ(read_from(&b, 1, 100, &s), last);
        /* what was cut brought no key, what was kept did */
        CHECK_EQ(put(&b, 30, 'n', "two") > 0, last < 8);
        CHECK_EQ(put(&b, 30, 'n', "one") > 0, last < 6);
        box_close(&b);
        snprintf(path, sizeof(path), "%s/log", b.dir);
    }
    box_finish(&b);
}

/* A group is torn in its first record, then the log goes on with a shorter group of like records:
 * what is left of the torn one behind it, whole and with the right numbers, is not taken up. */
static void what_is_left_of_a_cut_group_does_not_come_back(void **state)
{
    static uint8_t image[SEGMENT_BYTES];
    struct group g;
    struct box b;
    uint64_t start;
    size_t n;

    box_start(&b);
    box_must_open(&b);
    put_many(&b, 3, 40);
    if (*state) { /* the torn group is all there is of its epoch */
        box_close(&b);
        box_must_open(&b);
    }
    start = b.l->end;
    group_start(&g);
    for (int i = 0; i < 5; i++)
        group_add(&g, 1, 40, 'T', NULL);
    CHECK_EQ(group_commit(&b, &g), 0);
    group_finish(&g);
    box_close(&b);
    n = read_segment(&b, 1, image, sizeof(image));
    image[start + 40] ^= 1; /* the first of the group; all others are whole */
    write_segment(&b, 1, image, n);
    box_must_open(&b);
    CHECK_EQ(reclog_last(b.l), 3);
    CHECK_EQ(put(&b, 40, 'N', NULL), 4);
    box_close(&b);
    box_must_open(&b);
    CHECK_EQ(reclog_last(b.l), 4);
    CHECK_EQ(fill_of(&b, 4), 'N');
    box_finish(&b);
}

/* ---- a disk that says no ---- */

static struct disk faulty;
static int writes_left; /* before one is cut short and then refused */

static ssize_t write_some(int fd, const struct iovec *v, int n, uint64_t at)
{
    if (writes_left == 0)
        return UV_ENOSPC;
    if (writes_left > 0 && n > 1) {
        int part = n * 2 / 3;

        writes_left--;
        return disk_system.write(fd, v, part, at);
    }
    return disk_system.write(fd, v, n, at);
}

static void a_group_without_room_is_undone_and_leaves_nothing(void **state)
{
    struct group g;
    struct box b;

    (void)state;
    for (int close_after = 0; close_after < 2; close_after++) {
        box_start(&b);
        box_must_open(&b);
        put_many(&b, 3, 40);
        faulty = disk_system;
        faulty.write = write_some;
        store_disk = &faulty;
        writes_left = 1;
        group_start(&g);
        for (int i = 0; i < 6; i++)
            group_add(&g, 1, 40, 'F', i == 0 ? "key" : NULL);
        CHECK_EQ(group_commit(&b, &g), UV_ENOSPC);
        CHECK_EQ(g.r[0].seq, 0);
        CHECK_EQ(reclog_last(b.l), 3);
        group_finish(&g);
        store_disk = &disk_system;
        if (!close_after)
            CHECK_EQ(put(&b, 40, 'N', "key"), 4); /* the key is free, the place is written again */
        box_close(&b);
        box_must_open(&b);
        if (!close_after) {
            CHECK_EQ(reclog_last(b.l), 4);
            CHECK_EQ(fill_of(&b, 4), 'N');
        }
        box_finish(&b);
    }
}

static int no_sync(int fd)
{
    (void)fd;
    return UV_EIO;
}

static void after_a_failed_sync_nothing_is_written_any_more(void **state)
{
    struct group g;
    struct box b;

    (void)state;
    box_start(&b);
    box_must_open(&b);
    put_many(&b, 3, 40);
    faulty = disk_system;
    faulty.sync = no_sync;
    store_disk = &faulty;
    group_start(&g);
    group_add(&g, 1, 40, 'F', "key");
    CHECK_EQ(group_commit(&b, &g), UV_EIO);
    store_disk = &disk_system;
    CHECK_EQ(group_commit(&b, &g), UV_EIO);
    group_finish(&g);
    CHECK_EQ(reclog_last(b.l), 3);
    box_finish(&b);
}

/* ---- segments ---- */

static void run_keeper(struct box *b)
{
    while (reclog_work(b->l) > 0)
        ;
}

static void the_log_goes_on_in_the_next_segment_and_is_read_across(void **state)
{
    struct reclog_span span;
    struct seen s;
    struct box b;

    (void)state;
    box_start(&b);
    box_must_open(&b);
    for (int i = 0; i < 300; i++) {
        put_many(&b, 1, 1000);
        if (i % 3 == 0)
            run_keeper(&b);
    }
    CHECK(b.l->n_segments > 4);
    CHECK_EQ(read_from(&b, 1, 1000, &s), 300);
    CHECK(reclog_oldest(b.l, INT64_MAX, &span));
    CHECK_EQ(span.segment, 1);
    CHECK_EQ(span.first, 1);
    CHECK(span.last > 1 && span.last < 300);
    CHECK(span.ended_ms > 0);
    CHECK_EQ(read_from(&b, span.last, 2, &s), 2); /* over the border */
    box_close(&b);
    box_must_open(&b);
    CHECK_EQ(reclog_last(b.l), 300);
    CHECK_EQ(read_from(&b, 1, 1000, &s), 300);
    box_finish(&b);
}

static void a_group_larger_than_a_segment_has_one_for_itself(void **state)
{
    struct seen s;
    struct box b;

    (void)state;
    box_start(&b);
    box_must_open(&b);
    put_many(&b, 2, 1000);
    CHECK_EQ(put(&b, 3 * SEGMENT_BYTES, 'X', NULL), 3);
    put_many(&b, 2, 1000);
    CHECK_EQ(b.l->n_segments, 3);
    CHECK_EQ(read_from(&b, 1, 10, &s), 5);
    box_close(&b);
    box_must_open(&b);
    CHECK_EQ(reclog_last(b.l), 5);
    CHECK_EQ(read_from(&b, 3, 1, &s), 1);
    CHECK_EQ(s.len, 3 * SEGMENT_BYTES);
    box_finish(&b);
}

static void keys_of_sealed_segments_are_known_without_their_files(void **state)
{
    struct dirent *e;
    char path[400];
    struct box b;
    DIR *dir;

    (void)state;
    box_start(&b);
    box_must_open(&b);
    CHECK(put(&b, 30000, 'a', "first") > 0);
    CHECK(put(&b, 30000, 'a', "second") > 0);
    CHECK(put(&b, 30000, 'a', "third") > 0);
    run_keeper(&b);
    box_close(&b);
    snprintf(path, sizeof(path), "%s/log", b.dir);
    dir = opendir(path);
    while ((e = readdir(dir)))
        if (strstr(e->d_name, ".keys")) {
            snprintf(path, sizeof(path), "%s/log/%s", b.dir, e->d_name);
            CHECK_EQ(unlink(path), 0);
        }
    closedir(dir);
    box_must_open(&b);
    CHECK_EQ(put(&b, 10, 'b', "first"), 0);
    CHECK_EQ(put(&b, 10, 'b', "second"), 0);
    CHECK_EQ(put(&b, 10, 'b', "third"), 0);
    CHECK_EQ(put(&b, 10, 'b', "fourth"), 4);
    box_finish(&b);
}

/* ---- recycling ---- */

static uint64_t pos_of(struct box *b, uint64_t seq)
{
    struct seen s;

    CHECK_EQ(read_from(b, seq, 1, &s), 1);
    return s.pos;
}

static void a_retired_segment_is_used_again_and_its_records_are_gone(void **state)
{
    struct reclog_span span;
    uint64_t pos, last;
    struct seen s;
    struct box b;

    (void)state;
    box_start(&b);
    box_must_open(&b);
    put_many(&b, 200, 1000);
    last = reclog_last(b.l);
    pos = pos_of(&b, 2);
    CHECK_EQ(reclog_read_at(b.r, pos, 2, on_seen, &(struct seen){ 0 }), 0);
    CHECK(reclog_oldest(b.l, INT64_MAX, &span));
    reclog_retire(b.l, span.last); /* its last one is still wanted */
    run_keeper(&b);
    CHECK_EQ(reclog_first(b.l), 1);
    reclog_retire(b.l, span.last + 1);
    reclog_hold(b.l, true);
    run_keeper(&b);
    CHECK_EQ(reclog_first(b.l), 1);
    reclog_hold(b.l, false);
    CHECK(reclog_work_due(b.l));
    run_keeper(&b);
    CHECK_EQ(reclog_first(b.l), span.last + 1);
    CHECK_EQ(reclog_read_at(b.r, pos, 2, on_seen, &s), UV_ENOENT);
    CHECK_EQ(read_from(&b, 2, 1, &s), UV_ENOENT);
    reclog_retire(b.l, last + 1); /* all but the one being written */
    run_keeper(&b);
    CHECK_EQ(b.l->n_segments, 1);
    put_many(&b, 200, 1000);
    CHECK_EQ(read_from(&b, reclog_first(b.l), 1000, &s), reclog_last(b.l) - reclog_first(b.l) + 1);
    box_finish(&b);
}

/* The file of a segment was another one's before: whatever is in it behind the end is old. */
static void stale_records_of_a_recycled_file_are_not_taken_up(void **state)
{
    struct box b;

    (void)state;
    box_start(&b);
    box_must_open(&b);
    for (int round = 0; round < 12; round++) {
        uint64_t last;

        put_many(&b, 70, 1000); /* a bit more than a segment, records of one size */
        reclog_retire(b.l, reclog_last(b.l));
        run_keeper(&b);
        last = reclog_last(b.l);
        box_close(&b);
        box_must_open(&b);
        CHECK_EQ(reclog_last(b.l), last);
        CHECK_EQ(b.l->n_damages, 0);
    }
    CHECK(reclog_first(b.l) > 1);
    box_finish(&b);
}

/* ---- damage ---- */

static void damage_before_a_later_group_is_no_torn_tail(void **state)
{
    static uint8_t image[SEGMENT_BYTES];
    struct reclog_damage d;
    struct reclog_stats st;
    struct seen s;
    struct box b;
    uint64_t from, to;
    size_t n;

    (void)state;
    box_start(&b);
    box_must_open(&b);
    put_many(&b, 4, 40);
    from = b.l->end;
    put_many(&b, 1, 40);
    to = b.l->end;
    put_many(&b, 4, 40);
    box_close(&b);
    n = read_segment(&b, 1, image, sizeof(image));
    for (uint64_t at = from; at < to; at++) {
        image[at] ^= 0x10;
        write_segment(&b, 1, image, n);
        box_must_open(&b);
        CHECK_EQ(reclog_last(b.l), 9);
        CHECK(reclog_damage(b.l, 0, &d));
        CHECK(!reclog_damage(b.l, 1, &d));
        CHECK_EQ(d.segment, 1);
        CHECK_EQ(d.offset, from);
        CHECK_EQ(d.first, 5);
        CHECK_EQ(d.last, 5);
        CHECK_EQ(read_from(&b, 1, 100, &s), 4);
        CHECK_EQ(read_from(&b, 5, 100, &s), UV_EILSEQ);
        CHECK_EQ(read_from(&b, 6, 100, &s), 4);
        CHECK_EQ(reclog_read_at(b.r, UINT64_C(1) << 32 | from, 5, on_seen, &s), UV_EILSEQ);
        reclog_stats(b.l, &st);
        CHECK_EQ(st.damaged, 1);
        CHECK_EQ(put(&b, 40, 'n', NULL), 10);
        box_close(&b);
        image[at] ^= 0x10;
    }
    box_finish(&b);
}

static void damage_in_a_sealed_segment_costs_its_own_records_alone(void **state)
{
    static uint8_t image[SEGMENT_BYTES];
    struct reclog_damage d;
    struct seen s;
    struct box b;
    size_t n;

    (void)state;
    box_start(&b);
    box_must_open(&b);
    put_many(&b, 200, 1000);
    run_keeper(&b);
    box_close(&b);
    n = read_segment(&b, 2, image, sizeof(image));
    memset(image + 20000, 0x5a, 3000);
    write_segment(&b, 2, image, n);
    box_must_open(&b);
    CHECK_EQ(reclog_last(b.l), 200);
    n = (size_t)read_from(&b, 1, 1000, &s);
    CHECK(n > 60 && n < 100);
    CHECK_EQ(read_from(&b, n + 1, 1000, &s), UV_EILSEQ);
    CHECK(reclog_damage(b.l, 0, &d));
    CHECK_EQ(d.first, n + 1);
    CHECK(d.last >= d.first + 2 && d.last <= d.first + 3);
    for (uint64_t seq = d.first; seq <= d.last; seq++)
        CHECK_EQ(read_from(&b, seq, 1, &s), UV_EILSEQ);
    CHECK_EQ(read_from(&b, d.last + 1, 1000, &s), 200 - d.last);
    CHECK(!reclog_damage(b.l, 1, &d));
    box_finish(&b);
}

static void a_missing_segment_or_head_is_named(void **state)
{
    char path[128], away[160];
    struct box b;
    int fd;

    (void)state;
    box_start(&b);
    box_must_open(&b);
    put_many(&b, 200, 1000);
    box_close(&b);
    segment_file(&b, 2, path);
    snprintf(away, sizeof(away), "%s.away", path);
    CHECK_EQ(rename(path, away), 0);
    CHECK_EQ(box_open(&b), UV_EILSEQ);
    assert_non_null(strstr(b.fail.text, "does not follow"));
    CHECK_EQ(rename(away, path), 0);
    fd = open(path, O_WRONLY);
    CHECK_EQ(pwrite(fd, "X", 1, 17), 1);
    close(fd);
    CHECK_EQ(box_open(&b), UV_EILSEQ);
    assert_non_null(strstr(b.fail.text, path));
    box_finish(&b);
}

/* ---- files for segments to come ---- */

static int blank_code, blanks;
static uint64_t written_to; /* where the last write ended */

static int count_blank(int fd, uint64_t at, size_t n)
{
    blanks++;
    return blank_code ? blank_code : disk_system.blank(fd, at, n);
}

static ssize_t note_end(int fd, const struct iovec *v, int n, uint64_t at)
{
    ssize_t r = disk_system.write(fd, v, n, at);

    written_to = at + (uint64_t)(r > 0 ? r : 0);
    return r;
}

static unsigned spare_files(const struct box *b)
{
    char path[128];
    struct dirent *e;
    unsigned n = 0;
    DIR *dir;

    snprintf(path, sizeof(path), "%s/log", b->dir);
    dir = opendir(path);
    assert_non_null(dir);
    while ((e = readdir(dir)))
        n += strstr(e->d_name, ".spare") != NULL;
    closedir(dir);
    return n;
}

static void the_next_segment_is_written_through_or_goes_without(void **state)
{
    static const int codes[] = { 0, UV_ENOTSUP, UV_EIO, UV_ENOSPC };
    struct box b;

    (void)state;
    for (size_t i = 0; i < sizeof(codes) / sizeof(codes[0]); i++) {
        const bool refused = codes[i] && codes[i] != UV_ENOTSUP;

        box_start(&b);
        box_must_open(&b);
        put_many(&b, 40, 1000); /* more than half of a segment */
        faulty = disk_system;
        faulty.blank = count_blank;
        store_disk = &faulty;
        blank_code = codes[i];
        blanks = 0;
        CHECK(reclog_work_due(b.l));
        CHECK_EQ(reclog_work(b.l), refused ? codes[i] : 1);
        CHECK_EQ(blanks, 1);
        CHECK_EQ(spare_files(&b), refused ? 0 : 1); /* what is half made is not kept */
        CHECK_EQ(reclog_work_due(b.l), refused);
        put_many(&b, 40, 1000); /* on into the next one, made ready or not */
        CHECK_EQ(reclog_last(b.l), 80);
        store_disk = &disk_system;
        box_close(&b);
        box_must_open(&b);
        CHECK_EQ(reclog_last(b.l), 80);
        box_finish(&b);
    }
}

static int forgotten;

static int count_forgotten(int fd)
{
    forgotten++;
    return disk_system.forget(fd);
}

static void what_the_index_has_behind_it_is_forgotten_and_can_be_read(void **state)
{
    struct reclog_stats st;
    struct box b;

    (void)state;
    box_start(&b);
    box_must_open(&b);
    faulty = disk_system;
    faulty.forget = count_forgotten;
    store_disk = &faulty;
    forgotten = 0;
    put_many(&b, 290, 1000);
    while (reclog_work(b.l) > 0)
        ;
    reclog_stats(b.l, &st);
    CHECK(st.segments > 4);
    CHECK_EQ(forgotten, st.segments - 2); /* not the newest, nor the one before it */
    CHECK(!reclog_work_due(b.l));
    CHECK_EQ(fill_of(&b, 1), 'a');
    box_close(&b);
    box_must_open(&b);
    while (reclog_work(b.l) > 0)
        ;
    CHECK_EQ(forgotten, st.segments - 2); /* what was there before is left alone */
    store_disk = &disk_system;
    box_finish(&b);
}

static void a_group_fills_its_last_page(void **state)
{
    struct box b;

    (void)state;
    box_start(&b);
    box_must_open(&b);
    faulty = disk_system;
    faulty.write = note_end;
    store_disk = &faulty;
    for (size_t size = 1; size < 9000; size += 777) {
        put(&b, size, 'p', NULL);
        CHECK_EQ(written_to % 4096, 0);
    }
    store_disk = &disk_system;
    box_close(&b);
    box_must_open(&b);
    CHECK_EQ(reclog_last(b.l), 12);
    box_finish(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_was_appended_is_read_and_is_there_after_a_reopening),
        cmocka_unit_test(a_key_is_known_within_its_group_and_after_a_reopening),
        cmocka_unit_test(a_refused_record_leaves_a_duplicate_in_its_place),
        cmocka_unit_test(one_key_named_twice_by_a_record_is_one_key),
        cmocka_unit_test(a_tail_torn_at_any_byte_keeps_whole_appends_alone),
        cmocka_unit_test(what_is_left_of_a_cut_group_does_not_come_back),
        { .name = "what is left of a cut group does not come back, nor from an epoch of its own",
          .test_func = what_is_left_of_a_cut_group_does_not_come_back,
          .initial_state = "reopened before" },
        cmocka_unit_test(the_next_segment_is_written_through_or_goes_without),
        cmocka_unit_test(a_group_fills_its_last_page),
        cmocka_unit_test(what_the_index_has_behind_it_is_forgotten_and_can_be_read),
        cmocka_unit_test(a_group_without_room_is_undone_and_leaves_nothing),
        cmocka_unit_test(after_a_failed_sync_nothing_is_written_any_more),
        cmocka_unit_test(the_log_goes_on_in_the_next_segment_and_is_read_across),
        cmocka_unit_test(a_group_larger_than_a_segment_has_one_for_itself),
        cmocka_unit_test(keys_of_sealed_segments_are_known_without_their_files),
        cmocka_unit_test(a_retired_segment_is_used_again_and_its_records_are_gone),
        cmocka_unit_test(stale_records_of_a_recycled_file_are_not_taken_up),
        cmocka_unit_test(damage_before_a_later_group_is_no_torn_tail),
        cmocka_unit_test(damage_in_a_sealed_segment_costs_its_own_records_alone),
        cmocka_unit_test(a_missing_segment_or_head_is_named),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
