/*
 * skim.c - one pass over a body that finds the few members describe() reads.
 *
 * A whole parse of an order takes ten times as long and of a large product catalogue longer than a
 * callback may, so what is not asked for is stepped over: strings by their quotes, the rest by its
 * brackets. That is a check of structure, not of grammar; the mapping parses the whole.
 */
#include "shopify.h"

#include <string.h>

struct cursor {
    const char *p, *end;
    const struct topic_names *names;
    struct skimmed *ret;
    char *to; /* all that is kept goes here as text, when it is not NULL */
};

/* ---- sixteen bytes at a time ---- */

typedef unsigned char lanes __attribute__((vector_size(16)));
typedef uint64_t halves __attribute__((vector_size(16)));

static lanes load(const char *p)
{
    lanes x;

    memcpy(&x, p, sizeof(x));
    return x;
}

/* Which of eight is the first that is not 0; one is. */
static size_t first_of(uint64_t hits)
{
#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
    return (size_t)__builtin_ctzll(hits) / 8;
#else
    return (size_t)__builtin_clzll(hits) / 8;
#endif
}

/* Where the first hit is; NULL: none of the sixteen. */
static const char *hit_at(const char *p, lanes hits)
{
    halves h = (halves)hits;

    if (h[0])
        return p + first_of(h[0]);
    return h[1] ? p + 8 + first_of(h[1]) : NULL;
}

/* The first quote or backslash, or the end. */
static const char *find_quote(const char *p, const char *end)
{
    for (; end - p >= 16; p += 16) {
        lanes x = load(p);
        const char *hit = hit_at(p, (lanes)((x == '"') | (x == '\\')));

        if (hit)
            return hit;
    }
    while (p < end && *p != '"' && *p != '\\')
        p++;
    return p;
}

/* The first quote or bracket, or the end. Brackets and braces differ from their pair in one bit. */
static const char *find_mark(const char *p, const char *end)
{
    for (; end - p >= 16; p += 16) {
        lanes x = load(p), low = x | 0x20;
        const char *hit = hit_at(p, (lanes)((x == '"') | (low == '{') | (low == '}')));

        if (hit)
            return hit;
    }
    while (p < end && *p != '"' && (*p | 0x20) != '{' && (*p | 0x20) != '}')
        p++;
    return p;
}

/* ---- values ---- */

static int is_space(char c)
{
    return c == ' ' || c == '\n' || c == '\r' || c == '\t';
}

static int skim_space(struct cursor *c)
{
    while (c->p < c->end && (unsigned char)*c->p <= ' ' && is_space(*c->p))
        c->p++;
    return c->p < c->end ? *c->p : -1; /* what comes next */
}

/* At an opening quote. Past the closing one: 0, or 1 with an escape between; -1: there is none. */
static int skim_string(struct cursor *c)
{
    const char *p = ++c->p;
    int escaped = 0;

    while ((p = find_quote(p, c->end)) < c->end && *p == '\\') {
        if (c->end - p < 2)
            return -1;
        p += 2;
        escaped = 1;
    }
    if (p == c->end)
        return -1;
    c->p = p + 1;
    return escaped;
}

/* At an opening bracket of the second level or deeper. */
static sl_status skim_nested(struct cursor *c)
{
    char open[SKIM_MAX_DEPTH];
    size_t depth = 1; /* the body's own brace */

    do {
        c->p = find_mark(c->p, c->end);
        if (c->p == c->end)
            return SL_E_INVALID;
        switch (*c->p) {
        case '"':
            if (skim_string(c) < 0)
                return SL_E_INVALID;
            continue;
        case '{':
        case '[':
            if (depth == SKIM_MAX_DEPTH)
                return SL_E_LIMIT;
            open[depth++] = *c->p;
            break;
        default:
            if (open[--depth] != *c->p - 2) /* '[' and ']', '{' and '}' */
                return SL_E_INVALID;
            break;
        }
        c->p++;
    } while (depth > 1);
    return SL_OK;
}

/* What words and numbers are made of. */
static const unsigned char in_word[256] = {
    ['0' ... '9'] = 1, ['a' ... 'z'] = 1, ['-'] = 1, ['+'] = 1, ['.'] = 1, ['E'] = 1,
};

static sl_status skim_value(struct cursor *c)
{
    int next = skim_space(c);
    const char *start = c->p;

    if (next == '"')
        return skim_string(c) < 0 ? SL_E_INVALID : SL_OK;
    if (next == '{' || next == '[')
        return skim_nested(c);
    while (c->p < c->end && in_word[(unsigned char)*c->p])
        c->p++;
    return c->p > start ? SL_OK : SL_E_INVALID;
}

/* ---- members ---- */

/* A member that is kept; its text runs from `start` to where the cursor is. */
static void keep(struct cursor *c, const char *start, sl_str name, const char *value)
{
    struct skimmed *s = c->ret;
    size_t len = (size_t)(c->p - start);

    if (c->to) {
        if (c->to[-1] != '{')
            *c->to++ = ',';
        memcpy(c->to, start, len);
        c->to += len;
    }
    if (s->n < SKIM_MAX_KEPT)
        s->at[s->n] = (struct skimmed_member){ name, { value, (size_t)(c->p - value) } };
    s->n++;
}

/* `"name": value`; kept if wanted. A name with an escape in it is kept to be looked at by jansson.
 */
static sl_status skim_member(struct cursor *c)
{
    int next = skim_space(c), escaped;
    const char *start = c->p, *value;
    sl_str name;
    sl_status r;

    if (next != '"' || (escaped = skim_string(c)) < 0)
        return SL_E_INVALID;
    name = (sl_str){ start + 1, (size_t)(c->p - start) - 2 };
    if (skim_space(c) != ':')
        return SL_E_INVALID;
    c->p++;
    skim_space(c);
    value = c->p;
    if ((r = skim_value(c)) < 0)
        return r;
    if (escaped || topic_reads(c->names, name))
        keep(c, start, name, value);
    c->ret->escaped |= escaped;
    return SL_OK;
}

static sl_status skim_members(struct cursor *c)
{
    sl_status r;

    if (skim_space(c) != '{')
        return SL_E_INVALID;
    c->p++;
    if (skim_space(c) == '}') {
        c->p++;
    } else {
        for (int next = ','; next == ',';) {
            if ((r = skim_member(c)) < 0)
                return r;
            next = skim_space(c);
            if (next != ',' && next != '}')
                return SL_E_INVALID;
            c->p++;
        }
    }
    return skim_space(c) < 0 ? SL_OK : SL_E_INVALID;
}

sl_status skim(sl_str body, const struct topic_names *names, struct skimmed *ret, size_t *ret_at)
{
    struct cursor c = { body.ptr, body.ptr + body.len, names, ret, NULL };
    sl_status r;

    ret->n = 0;
    ret->escaped = 0;
    *ret_at = 0;
    if (body.len == 0)
        return SL_E_INVALID;
    if ((r = skim_members(&c)) < 0)
        *ret_at = (size_t)(c.p - body.ptr);
    return r;
}

size_t skim_text(sl_str body, const struct topic_names *names, char *to)
{
    struct skimmed again = { .n = 0 };
    struct cursor c = { body.ptr, body.ptr + body.len, names, &again, to };

    *c.to++ = '{';
    skim_members(&c);
    *c.to++ = '}';
    return (size_t)(c.to - to);
}
