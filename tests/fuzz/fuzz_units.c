/*
 * fuzz_units.c - small texts: durations, sizes, times, base64, hexadecimal. What is read and
 * written again is read as the same value; strict forms are written again byte for byte.
 */
#include "fuzz.h"

#include <string.h>
#include "base/buf.h"
#include "base/clock.h"
#include "base/digest.h"
#include "base/units.h"

#define YEAR_0_MS    INT64_C(-62167219200000)
#define YEAR_9999_MS INT64_C(253402300799999)

static void units(sl_str s)
{
    int64_t n, again;
    char text[24];

    if (units_duration(s, &n) == 0) {
        PROMISE(n >= 0, "%lld ms", (long long)n);
        units_format_duration(n, text);
        PROMISE(units_duration(str_of(text), &again) == 0 && again == n, "%s", text);
    }
    if (units_size(s, &n) == 0) {
        PROMISE(n >= 0, "%lld bytes", (long long)n);
        units_format_size(n, text);
        PROMISE(units_size(str_of(text), &again) == 0 && again == n, "%s", text);
    }
}

static void times(sl_str s)
{
    int64_t ms, again;
    char text[32];

    if (clock_parse(s.ptr, s.len, &ms) < 0 || ms < YEAR_0_MS || ms > YEAR_9999_MS)
        return;
    clock_format(ms, text);
    PROMISE(clock_parse(text, strlen(text), &again) == 0 && again == ms, "%s", text);
}

static void base64(sl_str s)
{
    size_t cap = s.len; /* more than enough */
    uint8_t *bytes = malloc(cap + 1);
    char *text = malloc(4 * ((cap + 2) / 3) + 1);
    int n = base64_decode(s, bytes, cap);

    if (n >= 0) {
        PROMISE((size_t)n <= cap, "%d bytes", n);
        PROMISE(base64_encode(bytes, (size_t)n, text) == s.len && memcmp(text, s.ptr, s.len) == 0,
                "base64");
        if (n > 0)
            PROMISE(base64_decode(s, bytes, (size_t)n - 1) < 0, "room for one byte less");
    }
    free(bytes);
    free(text);
}

static void base64_of(sl_str s)
{
    char *text = malloc(4 * ((s.len + 2) / 3) + 1);
    uint8_t *bytes = malloc(s.len + 1);
    size_t n = base64_encode(s.ptr, s.len, text);

    PROMISE(base64_decode((sl_str){ text, n }, bytes, s.len) == (int)s.len &&
                memcmp(bytes, s.ptr, s.len) == 0,
            "%s", text);
    base64url_encode(s.ptr, s.len, text);
    free(text);
    free(bytes);
}

static void hex(sl_str s)
{
    uint8_t *bytes = malloc(s.len / 2 + 1);
    char *text = malloc(s.len + 2);

    if (hex_decode(s, bytes, s.len / 2) == 0) {
        hex_encode(bytes, s.len / 2, text);
        PROMISE(str_eq_nocase(str_of(text), s), "%s", text);
    }
    free(bytes);
    free(text);
}

/* The text cut in two: how alike are the halves? The same from either side. */
static void distance(sl_str s)
{
    sl_str a = { s.ptr, s.len / 2 }, b = { s.ptr + s.len / 2, s.len - s.len / 2 };
    unsigned d = units_edit_distance(a, b, 3);

    PROMISE(d <= 4 && d == units_edit_distance(b, a, 3), "%u", d);
    PROMISE((d == 0) == str_eq(a, b), "%u", d);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    sl_str s = whole(data, size);

    units(s);
    times(s);
    base64(s);
    base64_of(s);
    hex(s);
    distance(s);
    return 0;
}
