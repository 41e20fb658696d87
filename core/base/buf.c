/*
 * buf.c - views and growing byte buffers.
 */
#include "base/buf.h"

#include <stdio.h>
#include <stdlib.h>
#include <uv.h>

static char lower(char c)
{
    return c >= 'A' && c <= 'Z' ? (char)(c + ('a' - 'A')) : c;
}

bool str_eq(sl_str a, sl_str b)
{
    return a.len == b.len && (a.len == 0 || memcmp(a.ptr, b.ptr, a.len) == 0);
}

bool str_eq_nocase(sl_str a, sl_str b)
{
    if (a.len != b.len)
        return false;
    for (size_t i = 0; i < a.len; i++)
        if (a.ptr[i] != b.ptr[i] && lower(a.ptr[i]) != lower(b.ptr[i]))
            return false;
    return true;
}

bool str_starts(sl_str s, sl_str prefix)
{
    return s.len >= prefix.len && (prefix.len == 0 || memcmp(s.ptr, prefix.ptr, prefix.len) == 0);
}

sl_str str_trim(sl_str s)
{
    while (s.len > 0 && (s.ptr[0] == ' ' || s.ptr[0] == '\t')) {
        s.ptr++;
        s.len--;
    }
    while (s.len > 0 && (s.ptr[s.len - 1] == ' ' || s.ptr[s.len - 1] == '\t'))
        s.len--;
    return s;
}

char *str_dup(sl_str s)
{
    char *copy = s.len < SIZE_MAX ? malloc(s.len + 1) : NULL;

    if (!copy)
        return NULL;
    if (s.len > 0)
        memcpy(copy, s.ptr, s.len);
    copy[s.len] = '\0';
    return copy;
}

size_t str_utf8(sl_str s)
{
    const unsigned char *p = (const unsigned char *)s.ptr;
    unsigned char low = 0x80, high = 0xbf; /* the range of the second byte (Unicode, table 3-7) */
    size_t n;

    if (s.len == 0)
        return 0;
    if (p[0] < 0x80)
        return 1;
    if (p[0] < 0xc2 || p[0] > 0xf4)
        return 0;
    n = p[0] < 0xe0 ? 2 : p[0] < 0xf0 ? 3 : 4;
    if (s.len < n)
        return 0;
    if (p[0] == 0xe0)
        low = 0xa0; /* no overlong forms */
    else if (p[0] == 0xed)
        high = 0x9f; /* no surrogates */
    else if (p[0] == 0xf0)
        low = 0x90;
    else if (p[0] == 0xf4)
        high = 0x8f; /* nothing past U+10FFFF */
    if (p[1] < low || p[1] > high)
        return 0;
    for (size_t i = 2; i < n; i++)
        if ((p[i] & 0xc0) != 0x80)
            return 0;
    return n;
}

/* ---- buffer ---- */

void buf_finish(struct buf *b)
{
    if (!b)
        return;
    free(b->data);
    *b = (struct buf){ 0 };
}

void buf_clear(struct buf *b)
{
    b->len = 0;
    b->failed = false;
    if (b->data)
        b->data[0] = '\0';
}

int buf_reserve(struct buf *b, size_t more)
{
    size_t need, cap;
    char *data;

    if (more > SIZE_MAX / 2 - 1 || b->len > SIZE_MAX / 2 - 1 - more) {
        b->failed = true;
        return UV_ENOMEM;
    }
    need = b->len + more + 1; /* the NUL */
    if (need <= b->cap)
        return 0;
    cap = b->cap < 64 ? 64 : b->cap;
    while (cap < need)
        cap += cap / 2;
    data = realloc(b->data, cap);
    if (!data) {
        b->failed = true;
        return UV_ENOMEM;
    }
    b->data = data;
    b->cap = cap;
    b->data[b->len] = '\0';
    return 0;
}

int buf_alloc(struct buf *b, size_t n)
{
    if (b->data)
        return buf_reserve(b, n);
    b->data = n < SIZE_MAX / 2 ? malloc(n + 1) : NULL; /* the NUL */
    if (!b->data) {
        b->failed = true;
        return UV_ENOMEM;
    }
    b->data[0] = '\0';
    b->cap = n + 1;
    return 0;
}

void buf_append(struct buf *b, const void *p, size_t n)
{
    if (b->failed || buf_reserve(b, n) < 0)
        return;
    if (n > 0)
        memcpy(b->data + b->len, p, n);
    b->len += n;
    b->data[b->len] = '\0';
}

void buf_str(struct buf *b, sl_str s)
{
    buf_append(b, s.ptr, s.len);
}

void buf_cstr(struct buf *b, const char *s)
{
    buf_str(b, str_of(s));
}

void buf_char(struct buf *b, char c)
{
    buf_append(b, &c, 1);
}

void buf_printf(struct buf *b, const char *fmt, ...)
{
    va_list ap;

    va_start(ap, fmt);
    buf_vprintf(b, fmt, ap);
    va_end(ap);
}

void buf_vprintf(struct buf *b, const char *fmt, va_list ap)
{
    va_list again;
    size_t room;
    int n;

    if (b->failed || buf_reserve(b, 64) < 0)
        return;
    va_copy(again, ap);
    room = b->cap - b->len;
    n = vsnprintf(b->data + b->len, room, fmt, ap);
    if (n >= 0 && (size_t)n >= room && buf_reserve(b, (size_t)n) == 0)
        vsnprintf(b->data + b->len, (size_t)n + 1, fmt, again);
    va_end(again);
    if (n < 0)
        b->failed = true;
    if (b->failed)
        b->data[b->len] = '\0'; /* a half-printed text is no text */
    else
        b->len += (size_t)n;
}

/* The escape of one byte inside a JSON string, or NULL when it stands for itself. */
static const char *json_escape(unsigned char c, char scratch[8])
{
    switch (c) {
    case '"':
        return "\\\"";
    case '\\':
        return "\\\\";
    case '\b':
        return "\\b";
    case '\f':
        return "\\f";
    case '\n':
        return "\\n";
    case '\r':
        return "\\r";
    case '\t':
        return "\\t";
    }
    if (c >= 0x20)
        return NULL;
    snprintf(scratch, 8, "\\u%04x", c);
    return scratch;
}

void buf_json_str(struct buf *b, sl_str s)
{
    size_t plain = 0; /* where the run of bytes that need no change began */
    size_t at = 0, n;
    const char *escape;
    char scratch[8];

    buf_char(b, '"');
    while (at < s.len) {
        n = str_utf8((sl_str){ .ptr = s.ptr + at, .len = s.len - at });
        escape = n == 0 ? "\xef\xbf\xbd" : json_escape((unsigned char)s.ptr[at], scratch);
        if (escape) {
            buf_append(b, s.ptr + plain, at - plain);
            buf_cstr(b, escape);
            plain = at + 1;
        }
        at += n > 0 ? n : 1;
    }
    if (at > plain)
        buf_append(b, s.ptr + plain, at - plain);
    buf_char(b, '"');
}

void buf_consume(struct buf *b, size_t n)
{
    if (n == 0 || b->len == 0)
        return;
    if (n > b->len)
        n = b->len;
    memmove(b->data, b->data + n, b->len - n + 1);
    b->len -= n;
}

char *buf_steal(struct buf *b, size_t *ret_len)
{
    char *data = b->data;

    if (ret_len)
        *ret_len = b->len;
    *b = (struct buf){ 0 };
    return data;
}
