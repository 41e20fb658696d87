/*
 * check.h - cmocka with the headers it wants before it, and the few checks that read well.
 */
#pragma once

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h> /* needs what stands above */

/** Integers of any width and sign, compared as signed 64 bits. */
#define CHECK_EQ(got, want)  assert_int_equal((int64_t)(got), (int64_t)(want))
#define CHECK_STR(got, want) assert_string_equal((got), (want))
#define CHECK(condition)     assert_true(condition)

/** A view against a C string. */
#define CHECK_VIEW(got, want)                                          \
    do {                                                               \
        sl_str check_got = (got);                                      \
        const char *check_want = (want);                               \
        assert_int_equal(check_got.len, strlen(check_want));           \
        assert_memory_equal(check_got.ptr, check_want, check_got.len); \
    } while (0)

/** A text that has another one in it. */
#define CHECK_HAS(got, part)                                                                  \
    do {                                                                                      \
        const char *check_got = (got), *check_part = (part);                                  \
        if (!check_got || !strstr(check_got, check_part))                                     \
            fail_msg("\"%s\" lacks \"%s\"", check_got ? check_got : "(nothing)", check_part); \
    } while (0)
