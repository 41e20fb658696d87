/*
 * test_log_segments.c - the files of the log: rolled, made ready, recycled, damaged.
 */
#include "log_box.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>
#include "base/clock.h"

static struct disk faulty;

/* ---- segments ---- */

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

static int rename_code, remove_code, sync_dir_code;

static int fail_rename(const char *from, const char *to)
{
    return rename_code ? rename_code : disk_system.rename(from, to);
}

static int fail_remove(const char *path)
{
    return remove_code ? remove_code : disk_system.remove(path);
}

static int fail_sync_dir(const char *path)
{
    return sync_dir_code ? sync_dir_code : disk_system.sync_dir(path);
}

/* What is left is without a gap, whatever the disk says meanwhile. */
static void a_segment_that_cannot_go_is_first_the_next_time(void **state)
{
    static const struct {
        int rename, remove, sync_dir, code;
    } cases[] = {
        { UV_EIO, 0, 0, UV_EIO },
        { UV_ENOSPC, UV_EIO, 0, UV_EIO },
        { UV_ENOSPC, 0, 0, 1 }, /* no room for another name: removed */
        { 0, 0, UV_EIO, UV_EIO },
    };
    struct box b;

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        box_start(&b);
        box_must_open(&b);
        put_many(&b, 300, 1000);
        run_keeper(&b);
        faulty = disk_system;
        faulty.rename = fail_rename;
        faulty.remove = fail_remove;
        faulty.sync_dir = fail_sync_dir;
        store_disk = &faulty;
        rename_code = cases[i].rename;
        remove_code = cases[i].remove;
        sync_dir_code = cases[i].sync_dir;
        reclog_retire(b.l, 200);
        CHECK_EQ(reclog_work(b.l), cases[i].code);
        CHECK(reclog_work_due(b.l));
        store_disk = &disk_system;
        if (i % 2) /* opened again at once, or after it went on */
            run_keeper(&b);
        box_close(&b);
        box_must_open(&b);
        CHECK_EQ(reclog_last(b.l), 300);
        CHECK_EQ(fill_of(&b, 250), 'a' + 249 % 26);
        box_finish(&b);
    }
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

static int count_blank(int fd, uint64_t at, size_t n)
{
    blanks++;
    return blank_code ? blank_code : disk_system.blank(fd, at, n);
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

static void the_next_segment_grows_as_the_log_does(void **state)
{
    const uint64_t mib = 1 << 20;
    struct box b;

    (void)state;
    box_start(&b);
    b.segment_bytes = 8 * mib;
    box_must_open(&b);
    faulty = disk_system;
    faulty.blank = count_blank;
    store_disk = &faulty;
    blank_code = 0;
    blanks = 0;
    put_many(&b, 39, 100 << 10); /* less than half of the segment */
    CHECK(!reclog_work_due(b.l));
    for (int n = 39; n < 72; n++) { /* to 7 MiB */
        put_many(&b, 1, 100 << 10);
        while (reclog_work(b.l) > 0)
            ;
        int due = (int)(((n + 1) * (100 << 10) - 4 * (int64_t)mib) * 8 / 3 / (int64_t)mib) + 1;
        CHECK(blanks >= due - 1 && blanks <= due + 1);
    }
    CHECK_EQ(blanks, 8);
    CHECK(!reclog_work_due(b.l));
    CHECK_EQ(spare_files(&b), 1);
    put_many(&b, 20, 100 << 10); /* on into it */
    CHECK_EQ(spare_files(&b), 0);
    store_disk = &disk_system;
    box_finish(&b);
}

static void an_old_segment_is_followed_by_the_next_though_it_is_not_full(void **state)
{
    const int64_t age_ms = 30;
    struct reclog_stats st;
    struct box b;

    (void)state;
    box_start(&b);
    box_must_open(&b);
    put_many(&b, 2, 100);
    uint64_t began = clock_mono_ms();
    while (clock_mono_ms() <= began + 2 * (uint64_t)age_ms)
        ;
    put_many(&b, 1, 100);
    reclog_stats(b.l, &st);
    CHECK_EQ(st.segments, 1); /* no age is set */
    box_close(&b);
    b.segment_ms = age_ms;
    box_must_open(&b); /* how old it is stands in the file */
    put_many(&b, 1, 100);
    reclog_stats(b.l, &st);
    CHECK_EQ(st.segments, 2);
    put_many(&b, 1, 100); /* on a slow disk that one is old already */
    CHECK_EQ(reclog_last(b.l), 5);
    CHECK_EQ(fill_of(&b, 1), 'a');
    CHECK_EQ(fill_of(&b, 5), 'e');
    box_finish(&b);
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

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_next_segment_is_written_through_or_goes_without),
        cmocka_unit_test(the_next_segment_grows_as_the_log_does),
        cmocka_unit_test(an_old_segment_is_followed_by_the_next_though_it_is_not_full),
        cmocka_unit_test(what_the_index_has_behind_it_is_forgotten_and_can_be_read),
        cmocka_unit_test(the_log_goes_on_in_the_next_segment_and_is_read_across),
        cmocka_unit_test(a_group_larger_than_a_segment_has_one_for_itself),
        cmocka_unit_test(keys_of_sealed_segments_are_known_without_their_files),
        cmocka_unit_test(a_retired_segment_is_used_again_and_its_records_are_gone),
        cmocka_unit_test(a_segment_that_cannot_go_is_first_the_next_time),
        cmocka_unit_test(stale_records_of_a_recycled_file_are_not_taken_up),
        cmocka_unit_test(damage_before_a_later_group_is_no_torn_tail),
        cmocka_unit_test(damage_in_a_sealed_segment_costs_its_own_records_alone),
        cmocka_unit_test(a_missing_segment_or_head_is_named),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
