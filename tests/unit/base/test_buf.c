/*
 * test_buf.c - views and buffers.
 */
#include "../check.h"

#include <stdlib.h>
#include <uv.h>
#include "base/buf.h"

static void views_compare_by_their_bytes(void **state)
{
    (void)state;
    CHECK(str_eq(STR("abc"), str_of("abc")));
    CHECK(!str_eq(STR("abc"), STR("abd")));
    CHECK(!str_eq(STR("abc"), STR("ab")));
    CHECK(str_eq((sl_str){ 0 }, STR("")));
    CHECK(str_eq(str_of(NULL), STR("")));
    CHECK(str_eq_nocase(STR("Content-TYPE"), STR("content-type")));
    CHECK(!str_eq_nocase(STR("[a"), STR("{a"))); /* 0x5b and 0x7b differ by the case bit only */
    CHECK(str_starts(STR("orders/paid"), STR("orders/")));
    CHECK(!str_starts(STR("ord"), STR("orders/")));
    CHECK(str_starts(STR("x"), (sl_str){ 0 }));
}

static void trim_takes_spaces_and_tabs_from_both_ends(void **state)
{
    (void)state;
    CHECK_VIEW(str_trim(STR(" \t a b\t ")), "a b");
    CHECK_VIEW(str_trim(STR(" \t ")), "");
    CHECK_VIEW(str_trim(STR("\na\n")), "\na\n");
    CHECK_VIEW(str_trim(STR("")), "");
}

static void dup_ends_with_a_nul(void **state)
{
    sl_str part = { .ptr = "orders/paid", .len = 6 };
    char *copy = str_dup(part), *empty = str_dup((sl_str){ 0 });

    (void)state;
    CHECK_STR(copy, "orders");
    CHECK_STR(empty, "");
    free(copy);
    free(empty);
}

static void utf8_accepts_exactly_what_unicode_calls_well_formed(void **state)
{
    (void)state;
    CHECK_EQ(str_utf8(STR("")), 0);
    CHECK_EQ(str_utf8(STR("a")), 1);
    CHECK_EQ(str_utf8(STR("\xc3\xa9x")), 2);
    CHECK_EQ(str_utf8(STR("\xe2\x82\xac")), 3);
    CHECK_EQ(str_utf8(STR("\xf0\x9f\x98\x80")), 4);
    CHECK_EQ(str_utf8(STR("\xed\x9f\xbf")), 3);     /* last before the surrogates */
    CHECK_EQ(str_utf8(STR("\xf4\x8f\xbf\xbf")), 4); /* U+10FFFF */
    CHECK_EQ(str_utf8(STR("\x80")), 0);             /* continuation alone */
    CHECK_EQ(str_utf8(STR("\xc3")), 0);             /* cut short */
    CHECK_EQ(str_utf8(STR("\xe2\x82")), 0);
    CHECK_EQ(str_utf8(STR("\xc0\xaf")), 0); /* overlong */
    CHECK_EQ(str_utf8(STR("\xe0\x9f\xbf")), 0);
    CHECK_EQ(str_utf8(STR("\xf0\x8f\xbf\xbf")), 0);
    CHECK_EQ(str_utf8(STR("\xed\xa0\x80")), 0);     /* surrogate */
    CHECK_EQ(str_utf8(STR("\xf4\x90\x80\x80")), 0); /* past the end */
    CHECK_EQ(str_utf8(STR("\xe2\x28\xa1")), 0);
}

static void appends_add_up_and_stay_terminated(void **state)
{
    struct buf b = { 0 };

    (void)state;
    CHECK_VIEW(buf_view(&b), "");
    buf_cstr(&b, "a");
    buf_char(&b, 'b');
    buf_str(&b, STR("cd"));
    buf_append(&b, "e\0f", 3);
    CHECK_EQ(b.len, 7);
    assert_memory_equal(b.data, "abcde\0f", 8);
    buf_clear(&b);
    CHECK_EQ(b.len, 0);
    CHECK_STR(b.data, "");
    for (int i = 0; i < 10000; i++)
        buf_char(&b, (char)('0' + i % 10));
    CHECK_EQ(b.len, 10000);
    CHECK_EQ(b.data[9999], '9');
    CHECK_EQ(b.data[10000], 0);
    CHECK(!b.failed);
    buf_finish(&b);
    buf_finish(&b);
    buf_cstr(&b, "again");
    CHECK_VIEW(buf_view(&b), "again");
    buf_finish(&b);
}

static void printf_grows_as_far_as_the_text_needs(void **state)
{
    struct buf b = { 0 };
    char text[5000];

    (void)state;
    memset(text, 'y', sizeof(text));
    for (size_t n = 60; n < 70; n++) { /* around the room it takes at first */
        buf_clear(&b);
        buf_printf(&b, "<%.*s>", (int)n, text);
        CHECK_EQ(b.len, n + 2);
        CHECK_EQ(b.data[n + 1], '>');
    }
    buf_printf(&b, "%.*s", (int)sizeof(text), text);
    CHECK_EQ(b.len, 71 + sizeof(text));
    CHECK_EQ(b.data[b.len], 0);
    buf_finish(&b);
}

static void an_append_without_memory_sets_failed_and_changes_nothing(void **state)
{
    struct buf b = { 0 };

    (void)state;
    buf_cstr(&b, "kept");
    CHECK_EQ(buf_reserve(&b, SIZE_MAX / 2), UV_ENOMEM);
    CHECK(b.failed);
    CHECK_EQ(buf_reserve(&b, SIZE_MAX), UV_ENOMEM);
    buf_cstr(&b, "lost");
    buf_printf(&b, "lost");
    CHECK_VIEW(buf_view(&b), "kept");
    CHECK(b.failed);
    buf_clear(&b);
    buf_cstr(&b, "good");
    CHECK(!b.failed);
    CHECK_VIEW(buf_view(&b), "good");
    buf_finish(&b);
}

static void json_strings_are_escaped_and_always_utf8(void **state)
{
    struct buf b = { 0 };

    (void)state;
    buf_json_str(&b, STR(""));
    CHECK_VIEW(buf_view(&b), "\"\"");
    buf_clear(&b);
    buf_json_str(&b, STR("a\"b\\c\n\r\t\b\f\x01/\x7f"));
    CHECK_VIEW(buf_view(&b), "\"a\\\"b\\\\c\\n\\r\\t\\b\\f\\u0001/\x7f\"");
    buf_clear(&b);
    buf_json_str(&b, STR("M\xc3\xbcller \xf0\x9f\x98\x80"));
    CHECK_VIEW(buf_view(&b), "\"M\xc3\xbcller \xf0\x9f\x98\x80\"");
    buf_clear(&b);
    buf_json_str(&b, STR("x\xff\xc3y\xed\xa0\x80"));
    CHECK_VIEW(buf_view(&b), "\"x\xef\xbf\xbd\xef\xbf\xbdy\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\"");
    buf_clear(&b);
    buf_json_str(&b, (sl_str){ .ptr = "a\0b", .len = 3 });
    CHECK_VIEW(buf_view(&b), "\"a\\u0000b\"");
    buf_finish(&b);
}

static void consume_drops_from_the_front(void **state)
{
    struct buf b = { 0 };

    (void)state;
    buf_consume(&b, 3);
    buf_cstr(&b, "abcdef");
    buf_consume(&b, 2);
    CHECK_VIEW(buf_view(&b), "cdef");
    CHECK_EQ(b.data[4], 0);
    buf_consume(&b, 100);
    CHECK_EQ(b.len, 0);
    buf_finish(&b);
}

static void steal_hands_the_memory_over(void **state)
{
    struct buf b = { 0 };
    size_t len = 99;
    char *data;

    (void)state;
    assert_null(buf_steal(&b, &len));
    CHECK_EQ(len, 0);
    buf_cstr(&b, "mine");
    data = buf_steal(&b, &len);
    CHECK_STR(data, "mine");
    CHECK_EQ(len, 4);
    assert_null(b.data);
    CHECK_EQ(b.cap, 0);
    free(data);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(views_compare_by_their_bytes),
        cmocka_unit_test(trim_takes_spaces_and_tabs_from_both_ends),
        cmocka_unit_test(dup_ends_with_a_nul),
        cmocka_unit_test(utf8_accepts_exactly_what_unicode_calls_well_formed),
        cmocka_unit_test(appends_add_up_and_stay_terminated),
        cmocka_unit_test(printf_grows_as_far_as_the_text_needs),
        cmocka_unit_test(an_append_without_memory_sets_failed_and_changes_nothing),
        cmocka_unit_test(json_strings_are_escaped_and_always_utf8),
        cmocka_unit_test(consume_drops_from_the_front),
        cmocka_unit_test(steal_hands_the_memory_over),
    };

    return cmocka_run_group_tests_name("base/buf", tests, NULL, NULL);
}
