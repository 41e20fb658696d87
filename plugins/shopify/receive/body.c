/*
 * body.c - the values at the paths of a body.
 *
 * Nearly always what describe() reads are whole numbers and strings as they stand, and these are
 * read where they are. When one of them is anything else, jansson reads them all.
 */
#include "shopify.h"

#include <stdlib.h>
#include <string.h>

#define MAX_DIGITS 18 /* fewer than any int64 can need */

/* ---- plain values ---- */

/* "-12" and "0"; not "-0", "012" or what might not fit in 64 bits. */
static int is_plain_integer(sl_str s)
{
    size_t sign = s.len > 0 && s.ptr[0] == '-', digits = s.len - sign;

    if (digits == 0 || digits > MAX_DIGITS || (s.ptr[sign] == '0' && s.len > 1))
        return 0;
    for (size_t i = sign; i < s.len; i++)
        if (s.ptr[i] < '0' || s.ptr[i] > '9')
            return 0;
    return 1;
}

/* Between its quotes: ASCII and no escape. */
static int is_plain_text(sl_str s)
{
    for (size_t i = 0; i < s.len; i++)
        if ((unsigned char)s.ptr[i] < ' ' || (unsigned char)s.ptr[i] > '~' || s.ptr[i] == '\\')
            return 0;
    return 1;
}

static int is_word(sl_str s, const char *word, size_t len)
{
    return s.len == len && memcmp(s.ptr, word, len) == 0;
}

/* 0: not plain, or no JSON at all. */
static int read_plain(sl_str s, struct value *ret)
{
    struct value v = { .text = s };

    if (s.ptr[0] == '"') {
        v.kind = VALUE_STRING;
        v.text = (sl_str){ s.ptr + 1, s.len - 2 };
        if (!is_plain_text(v.text))
            return 0;
    } else if (is_plain_integer(s)) {
        v.kind = VALUE_INTEGER;
    } else if (is_word(s, "null", 4)) {
        v.kind = VALUE_NONE;
    } else if (is_word(s, "true", 4)) {
        v.kind = VALUE_TRUE;
    } else if (is_word(s, "false", 5)) {
        v.kind = VALUE_OTHER;
    } else {
        return 0;
    }
    *ret = v;
    return 1;
}

static int all_plain(struct body *b)
{
    const struct skimmed *s = &b->skimmed;

    if (s->escaped || s->n > SKIM_MAX_KEPT)
        return 0;
    for (size_t i = 0; i < s->n; i++)
        if (!read_plain(s->at[i].value, &b->plain[i]))
            return 0;
    return 1;
}

/* ---- reading ---- */

/* The members that are not plain, by jansson. */
static sl_status parse(json_t **ret, sl_str body, const struct topic_names *names, sl_fail *fail)
{
    char *text = malloc(body.len + 2); /* what is kept is never longer than the body */
    json_error_t error;

    if (!text)
        return shopify_fail(fail, SL_E_NO_MEMORY, "no memory to read the body");
    *ret = json_loadb(text, skim_text(body, names, text), JSON_ALLOW_NUL, &error);
    free(text);
    if (*ret)
        return SL_OK;
    if (!error.text[0] || json_error_code(&error) == json_error_out_of_memory)
        return shopify_fail(fail, SL_E_NO_MEMORY, "no memory to read the body");
    return shopify_fail(fail, SL_E_INVALID, "the body is not JSON where its ids or times stand");
}

sl_status body_read(struct body *b, sl_str body, const struct topic_names *names, sl_fail *fail)
{
    size_t at = 0;
    sl_status r;

    b->root = NULL;
    r = skim(body, names, &b->skimmed, &at);
    if (r == SL_E_LIMIT)
        shopify_fail(fail, r, "the body is JSON nested deeper than %d levels", SKIM_MAX_DEPTH);
    else if (r < 0)
        shopify_fail(fail, r, "the body is not a JSON object: at byte %zu", at);
    if (r < 0)
        return SL_E_INVALID;
    return all_plain(b) ? SL_OK : parse(&b->root, body, names, fail);
}

void body_finish(struct body *b)
{
    json_decref(b->root);
}

/* ---- paths --------------------------------------------------------------------------------- */

static struct value value_of(const json_t *json)
{
    struct value v = { .kind = VALUE_OTHER };

    if (json_is_string(json)) {
        v.kind = VALUE_STRING;
        v.text = (sl_str){ json_string_value(json), json_string_length(json) };
    } else if (json_is_integer(json)) {
        v.kind = VALUE_INTEGER;
        v.integer = json_integer_value(json);
    } else if (json_is_true(json)) {
        v.kind = VALUE_TRUE;
    }
    return v;
}

/* The values at a path without alternatives; absent and null give none. Returns how many. */
static size_t walk(json_t *at, sl_str path, struct value *ret, size_t room)
{
    const char *dot = memchr(path.ptr, '.', path.len);
    sl_str name = { path.ptr, dot ? (size_t)(dot - path.ptr) : path.len };
    sl_str rest = { dot ? dot + 1 : path.ptr + path.len, dot ? path.len - name.len - 1 : 0 };
    size_t n = 0, i;
    json_t *next;

    if (!at || json_is_null(at) || room == 0)
        return 0;
    if (path.len == 0) {
        ret[0] = value_of(at);
        return 1;
    }
    if (name.len != 1 || *name.ptr != '*')
        return walk(json_object_getn(at, name.ptr, name.len), rest, ret, room);
    json_array_foreach(at, i, next) n += walk(next, rest, ret + n, room - n);
    return n;
}

/* The same where nothing has an inside: a path of several names finds nothing. A member that is
 * there twice is what it is the last time. */
static size_t look_up(const struct body *b, sl_str name, struct value *ret)
{
    for (size_t i = b->skimmed.n; i-- > 0;) {
        sl_str known = b->skimmed.at[i].name;

        if (known.len != name.len || memcmp(known.ptr, name.ptr, name.len) != 0)
            continue;
        *ret = b->plain[i];
        return ret->kind != VALUE_NONE;
    }
    return 0;
}

size_t body_find(const struct body *b, sl_str path, struct value *ret, size_t room)
{
    const char *end = path.ptr + path.len;
    size_t n = 0;

    for (const char *p = path.ptr; n == 0 && p < end;) {
        const char *bar = memchr(p, '|', (size_t)(end - p));
        const char *stop = bar ? bar : end;
        sl_str one = { p, (size_t)(stop - p) };

        n = b->root ? walk(b->root, one, ret, room) : look_up(b, one, ret);
        p = stop + 1;
    }
    return n;
}
