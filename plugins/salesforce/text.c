/*
 * text.c - growing and bounded texts.
 */
#include "text.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

void text_finish(struct text *t)
{
    free(t->ptr);
    *t = (struct text){ 0 };
}

void text_clear(struct text *t)
{
    t->len = 0;
    t->failed = false;
}

static bool reserve(struct text *t, size_t more)
{
    size_t cap = t->cap > 0 ? t->cap : 128;
    char *p;

    if (t->failed)
        return false;
    if (more < t->cap - t->len) /* room for the NUL too */
        return true;
    while (cap - t->len <= more && cap <= SIZE_MAX / 4)
        cap *= 2;
    p = cap - t->len > more ? realloc(t->ptr, cap) : NULL;
    if (!p) {
        t->failed = true;
        return false;
    }
    t->ptr = p;
    t->cap = cap;
    return true;
}

void text_add(struct text *t, const char *p, size_t n)
{
    if (!reserve(t, n))
        return;
    if (n > 0)
        memcpy(t->ptr + t->len, p, n);
    t->len += n;
    t->ptr[t->len] = '\0';
}

void text_str(struct text *t, const char *s)
{
    text_add(t, s, strlen(s));
}

void text_char(struct text *t, char c)
{
    text_add(t, &c, 1);
}

void text_printf(struct text *t, const char *format, ...)
{
    char line[1024];
    va_list args;
    int n;

    va_start(args, format);
    n = vsnprintf(line, sizeof(line), format, args);
    va_end(args);
    if (n < 0 || (size_t)n >= sizeof(line))
        t->failed = true; /* longer texts are added in pieces */
    else
        text_add(t, line, (size_t)n);
}

sl_str str_of(const char *s)
{
    return (sl_str){ s, s ? strlen(s) : 0 };
}

void text_escaped(struct text *t, sl_str s)
{
    for (size_t i = 0; i < s.len; i++) {
        char c = s.ptr[i], low = ascii_lower(c);

        if ((low >= 'a' && low <= 'z') || (c >= '0' && c <= '9') || (c && strchr("-._~", c)))
            text_char(t, c);
        else
            text_printf(t, "%%%02X", (unsigned char)c);
    }
}

bool str_is(sl_str s, const char *literal)
{
    return s.len == strlen(literal) && (s.len == 0 || memcmp(s.ptr, literal, s.len) == 0);
}

bool str_same_nocase(sl_str a, sl_str b)
{
    return a.len == b.len && (a.len == 0 || strncasecmp(a.ptr, b.ptr, a.len) == 0);
}

bool str_is_nocase(sl_str s, const char *literal)
{
    return str_same_nocase(s, str_of(literal));
}

bool str_has_nocase(sl_str s, const char *literal)
{
    size_t n = strlen(literal);

    for (size_t i = 0; i + n <= s.len; i++)
        if (strncasecmp(s.ptr + i, literal, n) == 0)
            return true;
    return false;
}

char ascii_lower(char c)
{
    return c >= 'A' && c <= 'Z' ? (char)(c + ('a' - 'A')) : c;
}

/* ---- UTF-8 --------------------------------------------------------------------------------- */

size_t utf8_length(const char *p, const char *end)
{
    const uint8_t *u = (const uint8_t *)p;
    size_t room = (size_t)(end - p), n;
    uint32_t c;

    if (room == 0)
        return 0;
    if (u[0] < 0x80)
        return 1;
    n = u[0] >= 0xf0 ? 4 : u[0] >= 0xe0 ? 3 : 2;
    if (u[0] < 0xc2 || u[0] > 0xf4 || room < n)
        return 0;
    c = u[0] & (0xffu >> (n + 1));
    for (size_t i = 1; i < n; i++) {
        if ((u[i] & 0xc0) != 0x80)
            return 0;
        c = c << 6 | (u[i] & 0x3f);
    }
    if ((n == 3 && (c < 0x800 || (c >= 0xd800 && c <= 0xdfff))) ||
        (n == 4 && (c < 0x10000 || c > 0x10ffff)))
        return 0;
    return n;
}

void say(char *to, size_t size, const char *format, ...)
{
    va_list args;
    char *end;

    va_start(args, format);
    vsnprintf(to, size, format, args);
    va_end(args);
    end = to + strlen(to);
    for (char *p = to; p < end;) {
        size_t n = utf8_length(p, end);

        if (n == 0 && end - p < 4 && end == to + size - 1) { /* cut in the middle of a character */
            *p = '\0';
            return;
        }
        if (n <= 1 && ((uint8_t)*p < 0x20 || *p == 0x7f || n == 0))
            *p = n == 0 ? '?' : ' ';
        p += n > 0 ? n : 1;
    }
}
