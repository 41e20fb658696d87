/*
 * test_segment.c - the bytes of a segment: what is written is read, what is not whole is not taken.
 */
#include "../check.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <uv.h>
#include "store/segment.h"

static const uint8_t log_id[16] = "the log's own id";
static const struct segment_expect any = { 1, UINT64_MAX - 1, 0 };

static struct segment_head a_head(void)
{
    struct segment_head h = { .number = 12, .epoch = 3, .first = 41, .begun_ms = 1700000000000 };

    memcpy(h.log_id, log_id, sizeof(h.log_id));
    return h;
}

/* Put a record with one key at p; how long it is. */
static size_t put(uint8_t *p, uint64_t seq, uint32_t epoch, const char *payload)
{
    struct segment_record rec = { .seq = seq,
                                  .epoch = epoch,
                                  .back = 0,
                                  .type = 1,
                                  .last = true,
                                  .n_keys = 1,
                                  .payload = { payload, strlen(payload) } };
    size_t n = SEGMENT_FRAME + SEGMENT_KEY;

    memset(p, 0, segment_record_bytes(&rec));
    segment_key_write(p, 0, (const uint8_t *)"0123456789abcdef", seq * 10);
    segment_frame_write(p, segment_seed(log_id), &rec);
    memcpy(p + n, payload, rec.payload.len);
    return segment_record_bytes(&rec);
}

static int read_at(const uint8_t *p, size_t n, uint64_t off, const struct segment_expect *x,
                   struct segment_record *ret)
{
    struct window w;

    window_init_bytes(&w, p, n);
    return segment_read(&w, segment_seed(log_id), off, x, ret);
}

static void a_head_is_read_as_it_was_written(void **state)
{
    struct segment_head h = a_head(), got;
    uint8_t block[SEGMENT_HEAD];

    (void)state;
    segment_head_write(&h, block);
    CHECK_EQ(segment_head_read(block, &got), 0);
    CHECK_EQ(got.number, 12);
    CHECK_EQ(got.epoch, 3);
    CHECK_EQ(got.first, 41);
    CHECK_EQ(got.begun_ms, 1700000000000);
    CHECK(memcmp(got.log_id, log_id, 16) == 0);
}

static void any_changed_bit_of_a_head_is_noticed(void **state)
{
    struct segment_head h = a_head(), got;
    uint8_t block[SEGMENT_HEAD];

    (void)state;
    segment_head_write(&h, block);
    for (size_t i = 0; i < SEGMENT_HEAD * 8; i++) {
        block[i / 8] ^= (uint8_t)(1 << i % 8);
        CHECK_EQ(segment_head_read(block, &got), UV_EILSEQ);
        block[i / 8] ^= (uint8_t)(1 << i % 8);
    }
    CHECK_EQ(segment_head_read(block, &got), 0);
}

static void a_record_is_read_as_it_was_written(void **state)
{
    uint8_t p[256];
    struct segment_record rec;
    uint64_t value;
    size_t n = put(p, 41, 3, "payload");

    (void)state;
    CHECK_EQ(n, 64); /* 32, 24, 7, and one of padding */
    CHECK_EQ(read_at(p, n, 0, &any, &rec), 0);
    CHECK_EQ(rec.seq, 41);
    CHECK_EQ(rec.epoch, 3);
    CHECK_EQ(rec.n_keys, 1);
    CHECK(rec.last);
    CHECK(memcmp(segment_key(&rec, 0, &value), "0123456789abcdef", 16) == 0);
    CHECK_EQ(value, 410);
    CHECK_EQ(rec.payload.len, 7);
    CHECK(memcmp(rec.payload.ptr, "payload", 7) == 0);
    CHECK_EQ(segment_record_bytes(&rec), n);
}

static void any_changed_bit_of_a_record_is_noticed(void **state)
{
    uint8_t p[256];
    struct segment_record rec;
    size_t n = put(p, 41, 3, "payload!"); /* no padding, which nothing covers */

    (void)state;
    for (size_t i = 0; i < n * 8; i++) {
        p[i / 8] ^= (uint8_t)(1 << i % 8);
        CHECK(read_at(p, n, 0, &any, &rec) < 0);
        p[i / 8] ^= (uint8_t)(1 << i % 8);
    }
    for (size_t len = 0; len < n; len++)
        CHECK(read_at(p, len, 0, &any, &rec) < 0);
    CHECK_EQ(read_at(p, n, 0, &any, &rec), 0);
}

static void a_stale_record_is_none(void **state)
{
    uint8_t p[256];
    struct segment_record rec;
    size_t n = put(p, 41, 3, "payload");

    (void)state;
    CHECK_EQ(read_at(p, n, 0, &(struct segment_expect){ 41, 41, 3 }, &rec), 0);
    CHECK_EQ(read_at(p, n, 0, &(struct segment_expect){ 41, 41, 4 }, &rec), UV_EILSEQ);
    CHECK_EQ(read_at(p, n, 0, &(struct segment_expect){ 42, 50, 3 }, &rec), UV_EILSEQ);
    CHECK_EQ(read_at(p, n, 0, &(struct segment_expect){ 1, 40, 3 }, &rec), UV_EILSEQ);
}

static void a_record_of_another_log_is_none(void **state)
{
    uint8_t p[256];
    struct segment_record rec;
    struct window w;
    size_t n = put(p, 41, 3, "payload");

    (void)state;
    window_init_bytes(&w, p, n);
    CHECK_EQ(segment_read(&w, segment_seed((const uint8_t *)"another log's id"), 0, &any, &rec),
             UV_EILSEQ);
}

static void the_next_record_is_found_behind_what_is_none(void **state)
{
    uint8_t p[1024];
    struct segment_record rec;
    struct window w;

    (void)state;
    for (size_t gap = 0; gap <= 512; gap += 8) {
        uint64_t off = 0;
        size_t n;

        memset(p, 0xff, sizeof(p));
        n = gap + put(p + gap, 44, 3, "behind it");
        window_init_bytes(&w, p, n);
        CHECK_EQ(segment_seek(&w, segment_seed(log_id), &off, &any, &rec), 0);
        CHECK_EQ(off, gap);
        CHECK_EQ(rec.seq, 44);
        off += segment_record_bytes(&rec);
        CHECK_EQ(segment_seek(&w, segment_seed(log_id), &off, &any, &rec), UV_EOF);
    }
}

/* A window moves over a file: the smallest step must do as well as any. */
static void a_small_window_reads_the_same(void **state)
{
    char path[] = "/tmp/sluice-segment-XXXXXX", text[400];
    uint8_t p[8192];
    size_t n = 0;
    int fd = mkstemp(path);

    (void)state;
    CHECK(fd >= 0);
    for (unsigned i = 0; i < 20; i++) {
        memset(text, 'x', sizeof(text));
        text[i * 19 % sizeof(text)] = '\0';
        if (i == 10) { /* damaged bytes */
            memset(p + n, 0xee, 104);
            n += 104;
        }
        n += put(p + n, 41 + i, 3, text);
    }
    CHECK_EQ(write(fd, p, n), n);
    for (size_t step = 32; step <= 8192; step *= 2) {
        struct segment_record rec;
        uint64_t off = 0;
        struct window w;
        int found = 0;

        window_init(&w, step, fd, n);
        while (segment_seek(&w, segment_seed(log_id), &off, &any, &rec) == 0) {
            CHECK_EQ(rec.seq, 41 + found++);
            off += segment_record_bytes(&rec);
        }
        CHECK_EQ(found, 20);
        window_finish(&w);
    }
    close(fd);
    unlink(path);
}

static void count_keys(void *ctx, const struct segment_record *rec)
{
    *(int *)ctx += rec->n_keys;
}

static void a_walk_counts_records_and_passes_damage(void **state)
{
    struct segment_head h = a_head();
    uint8_t p[SEGMENT_HEAD + 256];
    size_t n = SEGMENT_HEAD;
    int keys = 0;

    (void)state;
    segment_head_write(&h, p);
    for (unsigned i = 0; i < 4; i++)
        n += put(p + n, 41 + i, 3, "payload");
    CHECK_EQ(segment_walk(p, n, count_keys, &keys), 4);
    CHECK_EQ(keys, 4);
    p[SEGMENT_HEAD + 64 + 60] ^= 1;
    CHECK_EQ(segment_walk(p, n, NULL, NULL), 3);
    CHECK_EQ(segment_walk(p, SEGMENT_HEAD - 1, NULL, NULL), UV_EILSEQ);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_head_is_read_as_it_was_written),
        cmocka_unit_test(any_changed_bit_of_a_head_is_noticed),
        cmocka_unit_test(a_record_is_read_as_it_was_written),
        cmocka_unit_test(any_changed_bit_of_a_record_is_noticed),
        cmocka_unit_test(a_stale_record_is_none),
        cmocka_unit_test(a_record_of_another_log_is_none),
        cmocka_unit_test(the_next_record_is_found_behind_what_is_none),
        cmocka_unit_test(a_small_window_reads_the_same),
        cmocka_unit_test(a_walk_counts_records_and_passes_damage),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
