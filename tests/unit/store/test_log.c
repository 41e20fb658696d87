/*
 * test_log.c - the log alone, without threads: what was acknowledged is there after any ending,
 * what was not is not, and no torn or stale bytes are taken for records.
 */
#include "log_box.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

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

static uint64_t written_to; /* where the last write ended */

static ssize_t note_end(int fd, const struct iovec *v, int n, uint64_t at)
{
    ssize_t r = disk_system.write(fd, v, n, at);

    written_to = at + (uint64_t)(r > 0 ? r : 0);
    return r;
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
        cmocka_unit_test(a_group_fills_its_last_page),
        cmocka_unit_test(a_group_without_room_is_undone_and_leaves_nothing),
        cmocka_unit_test(after_a_failed_sync_nothing_is_written_any_more),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
