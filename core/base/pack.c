/*
 * pack.c - the byte form of records.
 */
#include "base/pack.h"

static void pack_int(struct buf *b, uint64_t v, size_t bytes)
{
    uint8_t raw[8];

    for (size_t i = 0; i < bytes; i++)
        raw[i] = (uint8_t)(v >> (8 * i));
    buf_append(b, raw, bytes);
}

void pack_u8(struct buf *b, uint8_t v)
{
    pack_int(b, v, 1);
}

void pack_u32(struct buf *b, uint32_t v)
{
    pack_int(b, v, 4);
}

void pack_u64(struct buf *b, uint64_t v)
{
    pack_int(b, v, 8);
}

void pack_i64(struct buf *b, int64_t v)
{
    pack_int(b, (uint64_t)v, 8);
}

void pack_str(struct buf *b, sl_str s)
{
    if (s.len > UINT32_MAX) {
        b->failed = true;
        return;
    }
    pack_u32(b, (uint32_t)s.len);
    buf_str(b, s);
}

void pack_raw(struct buf *b, const void *p, size_t n)
{
    buf_append(b, p, n);
}

/* ---- reading ---- */

struct unpack unpack_of(sl_str s)
{
    const uint8_t *p = (const uint8_t *)(s.ptr ? s.ptr : "");

    return (struct unpack){ .p = p, .end = p + s.len };
}

/* The next n bytes, or NULL, and then nothing is left to read. */
static const uint8_t *take(struct unpack *u, size_t n)
{
    const uint8_t *p = u->p;

    if (u->bad || (size_t)(u->end - u->p) < n) {
        u->bad = true;
        return NULL;
    }
    u->p += n;
    return p;
}

static uint64_t unpack_int(struct unpack *u, size_t bytes)
{
    const uint8_t *p = take(u, bytes);
    uint64_t v = 0;

    for (size_t i = 0; p && i < bytes; i++)
        v |= (uint64_t)p[i] << (8 * i);
    return v;
}

uint8_t unpack_u8(struct unpack *u)
{
    return (uint8_t)unpack_int(u, 1);
}

uint32_t unpack_u32(struct unpack *u)
{
    return (uint32_t)unpack_int(u, 4);
}

uint64_t unpack_u64(struct unpack *u)
{
    return unpack_int(u, 8);
}

int64_t unpack_i64(struct unpack *u)
{
    return (int64_t)unpack_int(u, 8);
}

sl_str unpack_str(struct unpack *u)
{
    size_t n = unpack_u32(u);
    const uint8_t *p = take(u, n);

    return p ? (sl_str){ .ptr = (const char *)p, .len = n } : str_of(NULL);
}

void unpack_raw(struct unpack *u, void *out, size_t n)
{
    const uint8_t *p = take(u, n);

    if (p && n > 0)
        memcpy(out, p, n);
    else if (n > 0)
        memset(out, 0, n);
}

bool unpack_done(const struct unpack *u)
{
    return !u->bad && u->p == u->end;
}
