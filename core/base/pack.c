/*
 * pack.c - the byte form of records.
 */
#include "base/pack.h"

/* Room for so many bytes behind the buffer's end, which is moved behind them; NULL: none. */
static char *extend(struct buf *b, size_t n)
{
    char *p;

    if (b->failed || buf_reserve(b, n) < 0)
        return NULL;
    p = b->data + b->len;
    b->len += n;
    b->data[b->len] = '\0';
    return p;
}

static void put_int(char *p, uint64_t v, size_t bytes)
{
    for (size_t i = 0; i < bytes; i++)
        p[i] = (char)(uint8_t)(v >> (8 * i));
}

void pack_u8(struct buf *b, uint8_t v)
{
    char *p = extend(b, 1);

    if (p)
        put_int(p, v, 1);
}

void pack_u32(struct buf *b, uint32_t v)
{
    char *p = extend(b, 4);

    if (p)
        put_int(p, v, 4);
}

void pack_u64(struct buf *b, uint64_t v)
{
    char *p = extend(b, 8);

    if (p)
        put_int(p, v, 8);
}

void pack_i64(struct buf *b, int64_t v)
{
    pack_u64(b, (uint64_t)v);
}

void pack_str(struct buf *b, sl_str s)
{
    char *p;

    if (s.len > UINT32_MAX) {
        b->failed = true;
        return;
    }
    p = extend(b, 4 + s.len);
    if (!p)
        return;
    put_int(p, s.len, 4);
    if (s.len > 0)
        memcpy(p + 4, s.ptr, s.len);
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

    return p ? (sl_str){ .ptr = (const char *)p, .len = n } : STR("");
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
