/*
 * skim.c - one pass over a body that finds the few members describe() reads.
 *
 * A whole parse of an order takes ten times as long and of a large product catalogue longer than a
 * callback may, so what is not asked for is stepped over: strings by their quotes, the rest by its
 * brackets. That is a check of structure, not of grammar; the mapping parses the whole.
 */
#include "shopify.h"

#include <string.h>
#ifdef __SSE2__
#include <emmintrin.h>
#endif

/* Where the pass is stands in local variables, which is a good part of its speed. A function takes
 * where it begins and returns where it came to, or NULL: then `at` is where it could not go on. */
struct cursor {
    const char *end;
    const char *last_16; /* where sixteen bytes can be read at last; NULL: nowhere */
    const struct topic_names *names;
    struct skimmed *ret;
    char *to;    /* all that is kept goes here as text, when it is not NULL */
    int escaped; /* a string had an escape in it; set, never cleared, by skim_string() */
    const char *at;
    sl_status status; /* of NULL */
};

static const char *stop(struct cursor *c, const char *at, sl_status status)
{
    c->at = at;
    c->status = status;
    return NULL;
}

/* ---- sixteen bytes at a time ---- */

typedef unsigned char lanes __attribute__((vector_size(16)));

static inline lanes load(const char *p)
{
    lanes x;

    memcpy(&x, p, sizeof(x));
    return x;
}

/* A bit for each of sixteen that is hit, the first one lowest. */
static inline unsigned hit_bits(lanes hits)
{
#ifdef __SSE2__
    return (unsigned)_mm_movemask_epi8((__m128i)hits);
#else
    unsigned bits = 0;

    for (unsigned i = 0; i < 16; i++)
        bits |= (hits[i] & 1u) << i;
    return bits;
#endif
}

/* The first quote or backslash, or the end. */
static inline const char *find_quote(const struct cursor *c, const char *p)
{
    for (; p <= c->last_16; p += 16) {
        lanes x = load(p);
        unsigned bits = hit_bits((lanes)((x == '"') | (x == '\\')));

        if (bits)
            return p + __builtin_ctz(bits);
    }
    while (p < c->end && *p != '"' && *p != '\\')
        p++;
    return p;
}

/* The first quote or bracket, or the end. Brackets and braces differ in one bit. */
static inline const char *find_mark(const struct cursor *c, const char *p)
{
    for (; p <= c->last_16; p += 16) {
        lanes x = load(p), low = x | 0x20;
        unsigned bits = hit_bits((lanes)((x == '"') | (low == '{') | (low == '}')));

        if (bits)
            return p + __builtin_ctz(bits);
    }
    while (p < c->end && *p != '"' && (*p | 0x20) != '{' && (*p | 0x20) != '}')
        p++;
    return p;
}

/* ---- values ---- */

static inline int is_space(char c)
{
    return c == ' ' || c == '\n' || c == '\r' || c == '\t';
}

static inline const char *skim_space(const char *p, const char *end)
{
    while (p < end && (unsigned char)*p <= ' ' && is_space(*p))
        p++;
    return p;
}

/* Behind an opening quote. */
static inline const char *skim_string(struct cursor *c, const char *p)
{
    const char *start = p;

    while ((p = find_quote(c, p)) < c->end && *p == '\\') {
        if (c->end - p < 2)
            return stop(c, start, SL_E_INVALID);
        p += 2;
        c->escaped = 1;
    }
    return p < c->end ? p + 1 : stop(c, start, SL_E_INVALID);
}

/* The brackets that are open, the body's own brace apart. */
struct nest {
    char open[SKIM_MAX_DEPTH - 1];
    size_t depth;
};

/* At a bracket that is not in a string. NULL: it does not fit. */
static inline const char *skim_bracket(struct cursor *c, struct nest *n, const char *p)
{
    if (*p == '{' || *p == '[') {
        if (n->depth == sizeof(n->open))
            return stop(c, p, SL_E_LIMIT);
        n->open[n->depth++] = *p;
    } else if (n->open[--n->depth] != *p - 2) { /* '[' and ']', '{' and '}' */
        return stop(c, p, SL_E_INVALID);
    }
    return p + 1;
}

/* The 64 bytes from here, which begin outside of a string: where the pass goes on, behind them or
 * the string that leaves them. It stops behind the bracket that closes the last one. */
static inline const char *skim_block(struct cursor *c, struct nest *n, const char *p)
{
    uint64_t quotes = 0, escapes = 0, brackets = 0, inside;
    unsigned taken = 64;

    for (int i = 0; i < 64; i += 16) {
        lanes x = load(p + i), low = x | 0x20;

        quotes |= (uint64_t)hit_bits((lanes)(x == '"')) << i;
        escapes |= (uint64_t)hit_bits((lanes)(x == '\\')) << i;
        brackets |= (uint64_t)hit_bits((lanes)((low == '{') | (low == '}'))) << i;
    }
    if (escapes) { /* it is left to skim_string(); outside of one it is stepped over */
        uint64_t before = (escapes & -escapes) - 1;

        taken = (unsigned)__builtin_ctzll(escapes) + 1;
        quotes &= before;
        brackets &= before;
    }
    inside = quotes;
    for (int i = 1; i < 64; i *= 2)
        inside ^= inside << i; /* now: from a quote that opens up to the one that closes */
    for (brackets &= ~inside; brackets; brackets &= brackets - 1) {
        const char *next = skim_bracket(c, n, p + __builtin_ctzll(brackets));

        if (!next || n->depth == 0)
            return next;
    }
    if (inside >> 63)
        return skim_string(c, p + 64 - __builtin_clzll(quotes));
    return p + taken;
}

/* At an opening bracket of the second level or deeper. */
static const char *skim_nested(struct cursor *c, const char *p)
{
    struct nest n = { .depth = 0 };

    do {
        if (c->end - p >= 64) {
            p = skim_block(c, &n, p);
            continue;
        }
        p = find_mark(c, p);
        if (p == c->end)
            return stop(c, p, SL_E_INVALID);
        p = *p == '"' ? skim_string(c, p + 1) : skim_bracket(c, &n, p);
    } while (p && n.depth > 0);
    return p;
}

/* What words and numbers are made of. */
static const unsigned char in_word[256] = {
    ['0' ... '9'] = 1, ['a' ... 'z'] = 1, ['-'] = 1, ['+'] = 1, ['.'] = 1, ['E'] = 1,
};

/* Where it begins. */
static inline const char *skim_value(struct cursor *c, const char *p)
{
    const char *start = p;

    if (p < c->end && *p == '"')
        return skim_string(c, p + 1);
    if (p < c->end && (*p == '{' || *p == '['))
        return skim_nested(c, p);
    while (p < c->end && in_word[(unsigned char)*p])
        p++;
    return p > start ? p : stop(c, p, SL_E_INVALID);
}

/* ---- members ---- */

/* A member that is kept; its text runs from `start` to `end`. */
static void keep(struct cursor *c, const char *start, sl_str name, const char *value,
                 const char *end)
{
    struct skimmed *s = c->ret;

    if (c->to) {
        if (c->to[-1] != '{')
            *c->to++ = ',';
        memcpy(c->to, start, (size_t)(end - start));
        c->to += end - start;
    }
    if (s->n < SKIM_MAX_KEPT)
        s->at[s->n] = (struct skimmed_member){ name, { value, (size_t)(end - value) } };
    s->n++;
}

/* `"name": value`; kept if wanted. A name with an escape in it is kept to be looked at by jansson.
 */
static const char *skim_member(struct cursor *c, const char *p)
{
    const char *start = p = skim_space(p, c->end), *value;
    sl_str name;
    int escaped;

    if (p == c->end || *p != '"')
        return stop(c, p, SL_E_INVALID);
    c->escaped = 0;
    if (!(p = skim_string(c, p + 1)))
        return NULL;
    escaped = c->escaped;
    name = (sl_str){ start + 1, (size_t)(p - start) - 2 };
    p = skim_space(p, c->end);
    if (p == c->end || *p != ':')
        return stop(c, p, SL_E_INVALID);
    value = skim_space(p + 1, c->end);
    if (!(p = skim_value(c, value)))
        return NULL;
    if (escaped || topic_reads(c->names, name))
        keep(c, start, name, value, p);
    c->ret->escaped |= escaped;
    return p;
}

static const char *skim_members(struct cursor *c, const char *p)
{
    p = skim_space(p, c->end);
    if (p == c->end || *p != '{')
        return stop(c, p, SL_E_INVALID);
    p = skim_space(p + 1, c->end);
    if (p < c->end && *p == '}') {
        p++;
    } else {
        for (char next = ','; next == ',';) {
            if (!(p = skim_member(c, p)))
                return NULL;
            p = skim_space(p, c->end);
            if (p == c->end || (*p != ',' && *p != '}'))
                return stop(c, p, SL_E_INVALID);
            next = *p++;
        }
    }
    p = skim_space(p, c->end);
    return p == c->end ? p : stop(c, p, SL_E_INVALID);
}

static struct cursor begin(sl_str body, const struct topic_names *names, struct skimmed *ret,
                           char *to)
{
    struct cursor c = { .names = names, .ret = ret, .to = to };

    c.end = body.ptr + body.len;
    c.last_16 = body.len < 16 ? NULL : c.end - 16;
    ret->n = 0;
    ret->escaped = 0;
    return c;
}

sl_status skim(sl_str body, const struct topic_names *names, struct skimmed *ret, size_t *ret_at)
{
    struct cursor c;

    *ret_at = 0;
    if (body.len == 0)
        return SL_E_INVALID;
    c = begin(body, names, ret, NULL);
    if (skim_members(&c, body.ptr))
        return SL_OK;
    *ret_at = (size_t)(c.at - body.ptr);
    return c.status;
}

size_t skim_text(sl_str body, const struct topic_names *names, char *to)
{
    struct skimmed again;
    struct cursor c = begin(body, names, &again, to);

    *c.to++ = '{';
    skim_members(&c, body.ptr);
    *c.to++ = '}';
    return (size_t)(c.to - to);
}
