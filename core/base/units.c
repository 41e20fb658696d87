/*
 * units.c - durations and sizes as people write them, and how alike two names are.
 */
#include "base/units.h"

#include <inttypes.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <uv.h>
#include "base/buf.h"

#define NAME_MAX_BYTES 128

struct unit {
    const char *name;
    int64_t factor;
};

/* From small to large: formatting takes the largest that fits exactly. */
static const struct unit durations[] = {
    { "ms", 1 }, { "s", 1000 }, { "m", 60000 }, { "h", 3600000 }, { "d", 86400000 }, { 0 },
};

static const struct unit sizes[] = {
    { "", 1 }, { "KiB", 1024 }, { "MiB", 1024 * 1024 }, { "GiB", 1024 * 1024 * 1024 }, { 0 },
};

static const struct unit short_sizes[] = {
    { "K", 1024 },
    { "M", 1024 * 1024 },
    { "G", 1024 * 1024 * 1024 },
    { 0 },
};

static const struct unit *unit_named(const struct unit *units, sl_str name)
{
    for (; units->name; units++)
        if (str_eq(str_of(units->name), name))
            return units;
    return NULL;
}

/* Split "30s" into 30 and "s". A number too large to hold is told apart from a wrong one. */
static int split(sl_str s, int64_t *ret_number, sl_str *ret_unit)
{
    int64_t number = 0;
    bool too_large = false;
    size_t i;

    for (i = 0; i < s.len && s.ptr[i] >= '0' && s.ptr[i] <= '9'; i++)
        if (__builtin_mul_overflow(number, 10, &number) ||
            __builtin_add_overflow(number, s.ptr[i] - '0', &number))
            too_large = true;
    if (i == 0)
        return UV_EINVAL;
    *ret_number = number;
    *ret_unit = (sl_str){ .ptr = s.ptr + i, .len = s.len - i };
    return too_large ? UV_ERANGE : 0;
}

static int parse(sl_str s, const struct unit *units, const struct unit *more, int64_t *ret)
{
    const struct unit *unit;
    int64_t number, result;
    sl_str name;
    int r = split(s, &number, &name);

    if (r == UV_EINVAL)
        return r;
    unit = unit_named(units, name);
    if (!unit && more)
        unit = unit_named(more, name);
    if (!unit)
        return UV_EINVAL;
    if (r < 0 || __builtin_mul_overflow(number, unit->factor, &result))
        return UV_ERANGE;
    *ret = result;
    return 0;
}

int units_duration(sl_str s, int64_t *ret_ms)
{
    return parse(s, durations, NULL, ret_ms);
}

int units_size(sl_str s, int64_t *ret_bytes)
{
    return parse(s, sizes, short_sizes, ret_bytes);
}

static void format(int64_t value, const struct unit *units, char out[24])
{
    const struct unit *best = units;

    for (const struct unit *u = units; u->name; u++)
        if (value % u->factor == 0)
            best = u;
    snprintf(out, 24, "%" PRId64 "%s", value / best->factor, best->name);
}

void units_format_duration(int64_t ms, char out[24])
{
    if (ms == 0)
        snprintf(out, 24, "0s"); /* every unit fits zero */
    else
        format(ms, durations, out);
}

void units_format_size(int64_t bytes, char out[24])
{
    if (bytes == 0)
        snprintf(out, 24, "0");
    else
        format(bytes, sizes, out);
}

/* ---- how alike ---- */

static unsigned least(unsigned a, unsigned b)
{
    return a < b ? a : b;
}

unsigned units_edit_distance(sl_str a, sl_str b, unsigned limit)
{
    unsigned over = limit < UINT_MAX ? limit + 1 : limit;
    size_t apart = a.len > b.len ? a.len - b.len : b.len - a.len;
    unsigned rows[3][NAME_MAX_BYTES + 1]; /* the row before the last, the last, this one */
    unsigned *older = rows[0], *old = rows[1], *row = rows[2];

    if (str_eq(a, b))
        return 0;
    if (apart > limit || a.len > NAME_MAX_BYTES || b.len > NAME_MAX_BYTES)
        return over;
    for (size_t j = 0; j <= b.len; j++)
        old[j] = (unsigned)j;
    for (size_t i = 1; i <= a.len; i++) {
        unsigned *reuse = older;
        unsigned best = row[0] = (unsigned)i;

        for (size_t j = 1; j <= b.len; j++) {
            row[j] = old[j - 1] + (a.ptr[i - 1] != b.ptr[j - 1]);
            row[j] = least(row[j], least(old[j], row[j - 1]) + 1);
            if (i > 1 && j > 1 && a.ptr[i - 1] == b.ptr[j - 2] && a.ptr[i - 2] == b.ptr[j - 1])
                row[j] = least(row[j], older[j - 2] + 1);
            best = least(best, row[j]);
        }
        /* a swap reaches back two rows, so one bad row is not yet the end: it costs one more */
        if (best > limit && best - 1 > limit)
            return over;
        older = old;
        old = row;
        row = reuse;
    }
    return old[b.len] > limit ? over : old[b.len];
}
