/*
 * skim.c - one pass over a body that keeps the few members describe() reads.
 *
 * A whole parse of an order takes ten times as long and of a large product catalogue longer than a
 * callback may, so what is not asked for is stepped over: strings by their quotes, the rest by its
 * brackets. That is a check of structure, not of grammar; the mapping parses the whole.
 */
#include "shopify.h"

#include <stdlib.h>
#include <string.h>

struct cursor {
    const char *p, *end;
};

static int skim_space(struct cursor *c)
{
    while (c->p < c->end && (*c->p == ' ' || *c->p == '\n' || *c->p == '\r' || *c->p == '\t'))
        c->p++;
    return c->p < c->end ? *c->p : -1; /* what comes next */
}

/* At an opening quote. 0: past the closing one; -1: there is none. */
static int skim_string(struct cursor *c)
{
    for (const char *from = ++c->p;;) {
        const char *quote = memchr(from, '"', (size_t)(c->end - from)), *back = quote;

        if (!quote)
            return -1;
        while (back > c->p && back[-1] == '\\')
            back--;
        from = quote + 1;
        if ((quote - back) % 2 == 0) {
            c->p = from;
            return 0;
        }
    }
}

enum { PLAIN, QUOTE, OPENS, CLOSES };

static const unsigned char kinds[256] = {
    ['"'] = QUOTE, ['{'] = OPENS, ['['] = OPENS, ['}'] = CLOSES, [']'] = CLOSES,
};

/* At an opening bracket of the second level or deeper. */
static sl_status skim_nested(struct cursor *c)
{
    char open[SKIM_MAX_DEPTH];
    size_t depth = 1; /* the body's own brace */

    do {
        while (c->p < c->end && kinds[(unsigned char)*c->p] == PLAIN)
            c->p++;
        if (c->p == c->end)
            return SL_E_INVALID;
        switch (kinds[(unsigned char)*c->p]) {
        case QUOTE:
            if (skim_string(c) < 0)
                return SL_E_INVALID;
            continue;
        case OPENS:
            if (depth == SKIM_MAX_DEPTH)
                return SL_E_LIMIT;
            open[depth++] = *c->p;
            break;
        default:
            if (open[--depth] != (*c->p == '}' ? '{' : '['))
                return SL_E_INVALID;
            break;
        }
        c->p++;
    } while (depth > 1);
    return SL_OK;
}

static sl_status skim_value(struct cursor *c)
{
    int next = skim_space(c);
    const char *start = c->p;

    if (next == '"')
        return skim_string(c) < 0 ? SL_E_INVALID : SL_OK;
    if (next == '{' || next == '[')
        return skim_nested(c);
    for (; c->p < c->end; c->p++) {
        char b = *c->p;

        if (!(b >= '0' && b <= '9') && !(b >= 'a' && b <= 'z') && b != '-' && b != '+' &&
            b != '.' && b != 'E')
            break;
    }
    return c->p > start ? SL_OK : SL_E_INVALID;
}

/* `"name": value`; kept if wanted. A name with an escape in it is kept to be looked at by jansson.
 */
static sl_status skim_member(struct cursor *c, const struct topic_names *names, char **to)
{
    int next = skim_space(c);
    const char *start = c->p;
    sl_str name;
    sl_status r;

    if (next != '"' || skim_string(c) < 0)
        return SL_E_INVALID;
    name = (sl_str){ start + 1, (size_t)(c->p - start) - 2 };
    if (skim_space(c) != ':')
        return SL_E_INVALID;
    c->p++;
    if ((r = skim_value(c)) < 0)
        return r;
    if (!topic_reads(names, name) && !memchr(name.ptr, '\\', name.len))
        return SL_OK;
    if ((*to)[-1] != '{')
        *(*to)++ = ',';
    memcpy(*to, start, (size_t)(c->p - start));
    *to += c->p - start;
    return SL_OK;
}

static sl_status skim_members(struct cursor *c, const struct topic_names *names, char **to)
{
    sl_status r;

    if (skim_space(c) != '{')
        return SL_E_INVALID;
    c->p++;
    if (skim_space(c) == '}') {
        c->p++;
    } else {
        for (int next = ','; next == ',';) {
            if ((r = skim_member(c, names, to)) < 0)
                return r;
            next = skim_space(c);
            if (next != ',' && next != '}')
                return SL_E_INVALID;
            c->p++;
        }
    }
    return skim_space(c) < 0 ? SL_OK : SL_E_INVALID;
}

sl_status skim(sl_str body, sl_str topic, sl_str *ret, size_t *ret_at)
{
    struct cursor c = { body.ptr, body.ptr + body.len };
    struct topic_names names;
    char *kept, *to;
    sl_status r;

    *ret_at = 0;
    if (body.len == 0)
        return SL_E_INVALID;
    kept = malloc(body.len + 2); /* what is kept is never longer than the body */
    if (!kept)
        return SL_E_NO_MEMORY;
    to = kept;
    *to++ = '{';
    topic_names(topic, &names);
    r = skim_members(&c, &names, &to);
    *to++ = '}';
    if (r < 0) {
        *ret_at = (size_t)(c.p - body.ptr);
        free(kept);
        return r;
    }
    *ret = (sl_str){ kept, (size_t)(to - kept) };
    return SL_OK;
}
