/*
 * fingerprint.c - see fingerprint.h.
 */
#include "store/fingerprint.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <uv.h>
#include "base/digest.h"

#define FINGERPRINT_BYTES 6

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static bool is_hex(char c)
{
    return is_digit(c) || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F');
}

/* Beyond ASCII all is taken for letters. */
static bool is_word(char c)
{
    return is_digit(c) || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_' || c < 0;
}

/* ---- words and numbers ---- */

struct word {
    size_t end;
    bool digit, hex;
};

static struct word word_at(sl_str s, size_t at)
{
    struct word w = { .end = at, .hex = true };

    for (; w.end < s.len && is_word(s.ptr[w.end]); w.end++) {
        w.digit |= is_digit(s.ptr[w.end]);
        w.hex &= is_hex(s.ptr[w.end]);
    }
    return w;
}

/* "2026-11-20T09:15:32.1Z", "10.0.0.1:80", a UUID: what goes on after a sign within them. */
static size_t number_end(sl_str s, struct word w)
{
    while (w.end + 1 < s.len && memchr("-.:/+,", s.ptr[w.end], 6)) {
        struct word next = word_at(s, w.end + 1);
        if (!next.digit && !(next.hex && next.end - w.end > 4))
            break;
        w = next;
    }
    return w.end;
}

static size_t put_word(struct buf *out, sl_str s, size_t at)
{
    struct word w = word_at(s, at);

    if (w.digit || (w.hex && w.end - at >= 8)) {
        buf_char(out, '#');
        return number_end(s, w);
    }
    buf_append(out, s.ptr + at, w.end - at);
    return w.end;
}

/* ---- quoted strings, and what jq shows of a document ---- */

/* Past the closing quote; 0: it is none. One that was cut goes to the next bracket, or the end. */
static size_t quote_end(sl_str s, size_t at)
{
    char quote = s.ptr[at];

    for (size_t i = at + 1; i < s.len; i++) {
        if (s.ptr[i] == '\\')
            i++;
        else if (s.ptr[i] == quote && (quote != '\'' || i + 1 == s.len || !is_word(s.ptr[i + 1])))
            return i + 1;
    }
    if (quote == '\'')
        return 0;
    const char *end = memchr(s.ptr + at, ')', s.len - at);
    return end ? (size_t)(end - s.ptr) : s.len;
}

static bool begins_quote(sl_str s, size_t at)
{
    char c = s.ptr[at];

    return c == '"' || c == '`' || (c == '\'' && (at == 0 || !is_word(s.ptr[at - 1])));
}

/* Past the bracket that ends "({...})" or "(\"...)"; `at` is at the one that opens it. */
static size_t shown_end(sl_str s, size_t at)
{
    const char *cut = memmem(s.ptr + at, s.len - at, "...)", 4);

    if (cut)
        return (size_t)(cut - s.ptr) + 4;
    for (size_t i = at + 1; i < s.len; i++) {
        if (s.ptr[i] == '"' && (i = quote_end(s, i)) >= s.len)
            break;
        if (s.ptr[i] == ')')
            return i + 1;
    }
    return s.len;
}

void fingerprint_reason(struct buf *out, sl_str s)
{
    const size_t start = out->len;
    size_t i = 0, end;

    while (i < s.len && out->len - start < FINGERPRINT_REASON && !out->failed) {
        char c = s.ptr[i];
        if (c == '(' && i + 1 < s.len && memchr("{[\"", s.ptr[i + 1], 3)) {
            buf_cstr(out, "(*)");
            i = shown_end(s, i);
        } else if (begins_quote(s, i) && (end = quote_end(s, i))) {
            buf_char(out, '*');
            i = end;
        } else if (is_word(c)) {
            i = put_word(out, s, i);
        } else {
            bool blank = (unsigned char)c <= ' ';
            if (!blank || (out->len > start && out->data[out->len - 1] != ' '))
                buf_char(out, blank ? ' ' : c);
            i++;
        }
    }
    if (out->failed)
        return;
    if (out->len - start > FINGERPRINT_REASON) /* whole characters: what is after the cut goes */
        for (out->len = start + FINGERPRINT_REASON;
             out->len > start && (out->data[out->len] & 0xc0) == 0x80; out->len--)
            ;
    while (out->len > start && out->data[out->len - 1] == ' ')
        out->len--;
    if (out->data)
        out->data[out->len] = '\0';
}

/* ---- the name ---- */

uint64_t fingerprint_of(sl_str route, sl_str endpoint, sl_str class_, sl_str reason)
{
    sl_str parts[] = { STR("issue"), route, endpoint, class_, reason };
    uint8_t full[DIGEST_SHA256];
    uint64_t id = 0;

    digest_parts(parts, 5, full);
    for (int i = 0; i < FINGERPRINT_BYTES; i++)
        id = id << 8 | full[i];
    return id ? id : 1;
}

void fingerprint_name(uint64_t id, char out[FINGERPRINT_HEX])
{
    snprintf(out, FINGERPRINT_HEX, "%012" PRIx64, id & 0xffffffffffff);
}

int fingerprint_parse(sl_str name, uint64_t *ret)
{
    uint8_t raw[FINGERPRINT_BYTES];
    uint64_t id = 0;

    if (name.len != FINGERPRINT_HEX - 1 || hex_decode(name, raw, sizeof(raw)) < 0)
        return UV_EINVAL;
    for (int i = 0; i < FINGERPRINT_BYTES; i++)
        id = id << 8 | raw[i];
    if (!id)
        return UV_EINVAL;
    *ret = id;
    return 0;
}
