/*
 * test_pack.c - the byte form of records.
 */
#include "../check.h"

#include <stdlib.h>
#include "base/pack.h"

static void what_is_packed_comes_out_again(void **state)
{
    struct buf b = { 0 };
    struct unpack u;
    char raw[3];

    (void)state;
    pack_u8(&b, 200);
    pack_u32(&b, 0xfedcba98);
    pack_u64(&b, UINT64_MAX - 1);
    pack_i64(&b, INT64_MIN);
    pack_str(&b, STR("order"));
    pack_str(&b, STR(""));
    pack_raw(&b, "xyz", 3);
    u = unpack_of(buf_view(&b));
    CHECK_EQ(unpack_u8(&u), 200);
    CHECK_EQ(unpack_u32(&u), 0xfedcba98);
    CHECK(unpack_u64(&u) == UINT64_MAX - 1);
    CHECK(unpack_i64(&u) == INT64_MIN);
    CHECK_VIEW(unpack_str(&u), "order");
    CHECK_VIEW(unpack_str(&u), "");
    CHECK(!unpack_done(&u));
    unpack_raw(&u, raw, 3);
    assert_memory_equal(raw, "xyz", 3);
    CHECK(unpack_done(&u));
    buf_finish(&b);
}

static void integers_are_little_endian_whatever_the_machine(void **state)
{
    struct buf b = { 0 };

    (void)state;
    pack_u32(&b, 0x01020304);
    pack_u64(&b, UINT64_C(0x0102030405060708));
    pack_str(&b, STR("a"));
    CHECK_EQ(b.len, 17);
    assert_memory_equal(b.data, "\4\3\2\1\10\7\6\5\4\3\2\1\1\0\0\0a", 17);
    buf_finish(&b);
}

static void a_record_cut_anywhere_is_bad_and_never_read_past(void **state)
{
    struct buf b = { 0 };

    (void)state;
    pack_u32(&b, 7);
    pack_str(&b, STR("hello"));
    pack_u64(&b, 9);
    for (size_t n = 0; n < b.len; n++) {
        char *copy = n > 0 ? str_dup((sl_str){ .ptr = b.data, .len = n }) : NULL;
        struct unpack u = unpack_of((sl_str){ .ptr = copy, .len = n });

        unpack_u32(&u);
        unpack_str(&u);
        unpack_u64(&u);
        CHECK(u.bad);
        CHECK(!unpack_done(&u));
        free(copy);
    }
    buf_finish(&b);
}

static void after_a_bad_read_everything_is_empty(void **state)
{
    struct unpack u = unpack_of(STR("\xff\xff\xff\xffrest of it"));
    uint8_t raw[4] = { 1, 2, 3, 4 };

    (void)state;
    CHECK_VIEW(unpack_str(&u), ""); /* says it is 4 GiB long */
    CHECK(u.bad);
    CHECK_EQ(unpack_u8(&u), 0);
    CHECK_EQ(unpack_u32(&u), 0);
    CHECK_VIEW(unpack_str(&u), "");
    unpack_raw(&u, raw, 4);
    assert_memory_equal(raw, "\0\0\0\0", 4);
    CHECK(!unpack_done(&u));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_packed_comes_out_again),
        cmocka_unit_test(integers_are_little_endian_whatever_the_machine),
        cmocka_unit_test(a_record_cut_anywhere_is_bad_and_never_read_past),
        cmocka_unit_test(after_a_bad_read_everything_is_empty),
    };

    return cmocka_run_group_tests_name("base/pack", tests, NULL, NULL);
}
