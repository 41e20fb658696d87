/*
 * body_table.c - see body_table.h: the reader. The schema is body_schema.c.
 */
#include "body_table.h"

#include <inttypes.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "iso_time.h"

#define PATH_SIZE   160
#define MAX_DIGITS  19 /* of an id */
#define MAX_URL     2000
#define MAX_DECIMAL 12 /* digits before the point, and after it */

struct reading {
    char path[PATH_SIZE]; /* of what is being read; "" for the body */
    char *why;
    size_t why_size;
};

/* ---- saying what is wrong ------------------------------------------------------------------ */

__attribute__((format(printf, 2, 3))) static sl_status wrong(struct reading *r, const char *format,
                                                             ...)
{
    int n = snprintf(r->why, r->why_size, "%s%s", r->path[0] ? r->path : "the body", ": ");
    va_list args;

    if (n > 0 && (size_t)n < r->why_size) {
        va_start(args, format);
        vsnprintf(r->why + n, r->why_size - (size_t)n, format, args);
        va_end(args);
    }
    return SL_E_INVALID;
}

/* Go down to a member, or to an element of a list; returns how long the path was. */
static size_t down(struct reading *r, const char *name)
{
    size_t len = strlen(r->path);

    snprintf(r->path + len, sizeof(r->path) - len, "%s%.60s", len ? "." : "", name);
    return len;
}

static size_t down_at(struct reading *r, size_t index)
{
    size_t len = strlen(r->path);

    snprintf(r->path + len, sizeof(r->path) - len, "[%zu]", index);
    return len;
}

/* ---- texts --------------------------------------------------------------------------------- */

static int64_t characters(const char *s)
{
    int64_t n = 0;

    for (; *s; s++)
        n += ((unsigned char)*s & 0xC0) != 0x80;
    return n;
}

static sl_status take_text(struct reading *r, const struct body_member *m, const json_t *v,
                           json_t **ret)
{
    const char *s = json_string_value(v);
    int64_t n;

    if (!s)
        return wrong(r, "it wants a text");
    if (strlen(s) != json_string_length(v))
        return wrong(r, "it holds a NUL");
    for (const char *c = s; *c; c++)
        if ((unsigned char)*c < ' ' && !strchr("\t\n\r", *c))
            return wrong(r, "it holds a control character (0x%02x)", (unsigned char)*c);
    n = characters(s);
    if (n < m->min || (m->max && n > m->max))
        return m->max ? wrong(r, "it wants %" PRId64 " to %" PRId64 " characters, and has %" PRId64,
                              m->min, m->max, n)
                      : wrong(r, "it wants %" PRId64 " characters or more", m->min);
    *ret = json_string(s);
    return SL_OK;
}

static sl_status take_enum(struct reading *r, const struct body_member *m, const json_t *v,
                           json_t **ret)
{
    const char *s = json_string_value(v);
    size_t len = s ? strlen(s) : 0;

    for (const char *c = m->of; len; c += strcspn(c, "|") + 1) {
        size_t n = strcspn(c, "|");
        if (n == len && memcmp(c, s, len) == 0) {
            *ret = json_string(s);
            return SL_OK;
        }
        if (!c[n])
            break;
    }
    return wrong(r, "it wants one of %s", m->of);
}

static sl_status take_id(struct reading *r, const struct body_member *m, const json_t *v,
                         json_t **ret)
{
    const char *s = json_string_value(v);
    char prefix[80], number[24];
    int n = snprintf(prefix, sizeof(prefix), "gid://shopify/%s/", m->of);

    if (json_is_integer(v)) {
        snprintf(number, sizeof(number), "%" JSON_INTEGER_FORMAT, json_integer_value(v));
        s = number;
    } else if (s && strncmp(s, prefix, (size_t)n) == 0) {
        s += n;
    }
    if (s && *s == '#')
        return wrong(r,
                     "\"%.40s\" is the name that people read; it wants the id behind it, which "
                     "webhooks have as \"id\": digits, or %s...",
                     s, prefix);
    if (!s || !*s || *s == '0' || strlen(s) > MAX_DIGITS || s[strspn(s, "0123456789")])
        return wrong(r, "it wants an id: digits, or %s...", prefix);
    *ret = json_sprintf("%s%s", prefix, s);
    return SL_OK;
}

static sl_status take_amount(struct reading *r, const json_t *v, json_t **ret)
{
    const char *s = json_string_value(v);
    size_t digits = s ? strspn(s, "0123456789") : 0, more = 0;

    if (digits && s[digits] == '.') {
        more = strspn(s + digits + 1, "0123456789");
        if (!more)
            digits = 0;
    }
    if (!digits || digits > MAX_DECIMAL || more > MAX_DECIMAL || s[digits + (more ? more + 1 : 0)])
        return wrong(r, "it wants a decimal as text, such as \"19.90\"");
    *ret = json_string(s);
    return SL_OK;
}

static sl_status take_time(struct reading *r, const json_t *v, json_t **ret)
{
    sl_str text = { json_string_value(v), json_string_length(v) };
    char utc[TIME_TEXT_SIZE];

    if (!text.ptr || time_normalise(text, utc) < 0)
        return wrong(r, "it wants a time with its offset, such as 2026-11-20T10:15:32+01:00");
    *ret = json_string(utc);
    return SL_OK;
}

static sl_status take_url(struct reading *r, const json_t *v, json_t **ret)
{
    const char *s = json_string_value(v);
    size_t scheme = s && strncmp(s, "https://", 8) == 0  ? 8
                    : s && strncmp(s, "http://", 7) == 0 ? 7
                                                         : 0;

    if (scheme)
        for (const char *c = s; *c; c++)
            if ((unsigned char)*c <= ' ' || strchr("\"<>\\^`{|}", *c))
                scheme = 0;
    if (!scheme || !s[scheme] || strlen(s) > MAX_URL)
        return wrong(r, "it wants a URL that begins with https:// or http://");
    *ret = json_string(s);
    return SL_OK;
}

/* ---- numbers ------------------------------------------------------------------------------- */

/* Some sources have decimals alone: 2.0 is two. */
static sl_status take_whole(struct reading *r, const struct body_member *m, const json_t *v,
                            json_t **ret)
{
    double d = json_is_real(v) ? json_real_value(v) : 0.5;
    int whole = json_is_integer(v) || (floor(d) == d && fabs(d) < 1e15);
    json_int_t n = json_is_integer(v) ? json_integer_value(v) : whole ? (json_int_t)d : 0;

    if (!whole)
        return wrong(r, "it wants a whole number");
    if ((m->min || m->max) && (n < m->min || n > m->max))
        return wrong(r, "it wants a whole number from %" PRId64 " to %" PRId64, m->min, m->max);
    *ret = json_integer(n);
    return SL_OK;
}

/* ---- objects ------------------------------------------------------------------------------- */

static sl_status take_object(struct reading *r, const struct body_shape *shape, const json_t *v,
                             json_t **ret);

static sl_status take_any(struct reading *r, const struct body_member *m, const json_t *v,
                          json_t **ret)
{
    (void)r, (void)m;
    *ret = json_deep_copy(v);
    return SL_OK;
}

static sl_status take_one(struct reading *r, const struct body_member *m, const json_t *v,
                          json_t **ret)
{
    switch (m->type) {
    case BODY_TEXT:
        return take_text(r, m, v, ret);
    case BODY_WHOLE:
        return take_whole(r, m, v, ret);
    case BODY_BOOL:
        if (!json_is_boolean(v))
            return wrong(r, "it wants true or false");
        return take_any(r, m, v, ret);
    case BODY_ENUM:
        return take_enum(r, m, v, ret);
    case BODY_ID:
        return take_id(r, m, v, ret);
    case BODY_AMOUNT:
        return take_amount(r, v, ret);
    case BODY_TIME:
        return take_time(r, v, ret);
    case BODY_URL:
        return take_url(r, v, ret);
    case BODY_OBJECT:
        if (m->shape)
            return take_object(r, m->shape, v, ret);
        if (!json_is_object(v))
            return wrong(r, "it wants an object");
        return take_any(r, m, v, ret);
    default:
        return take_any(r, m, v, ret);
    }
}

static sl_status take_list(struct reading *r, const struct body_member *m, const json_t *v,
                           json_t **ret)
{
    size_t n = json_array_size(v);
    json_t *to;

    if (!json_is_array(v) || n > m->items || (n == 0 && !(m->flags & BODY_EMPTY)))
        return wrong(r, "it wants a list of %d to %zu", m->flags & BODY_EMPTY ? 0 : 1, m->items);
    to = json_array();
    for (size_t i = 0; i < n && to; i++) {
        size_t path = down_at(r, i);
        json_t *one = NULL;
        sl_status status = take_one(r, m, json_array_get(v, i), &one);

        if (status == SL_OK && json_array_append_new(to, one) < 0)
            status = SL_E_NO_MEMORY;
        if (status < 0) {
            json_decref(to);
            return status;
        }
        r->path[path] = '\0';
    }
    *ret = to;
    return SL_OK;
}

/* "a|b c|d": in each group as many of these must be there. */
static sl_status check_groups(struct reading *r, const char *groups, int only_one,
                              const json_t *object)
{
    while (groups && *groups) {
        size_t len = strcspn(groups, " ");
        size_t there = 0;

        for (const char *c = groups; c < groups + len; c += strcspn(c, "| "), c += *c == '|')
            there += json_object_getn(object, c, strcspn(c, "| ")) != NULL;
        if (there == 0)
            return wrong(r, "it wants %s%.*s", memchr(groups, '|', len) ? "one of " : "", (int)len,
                         groups);
        if (there > 1 && only_one)
            return wrong(r, "it wants only one of %.*s", (int)len, groups);
        groups += len + strspn(groups + len, " ");
    }
    return SL_OK;
}

static const struct body_member *member_of(const struct body_shape *shape, const char *name)
{
    for (const struct body_member *m = shape->members; m->name; m++)
        if (strcmp(m->name, name) == 0)
            return m;
    return NULL;
}

/* A name that is written wrongly would be a tracking number that nobody got. */
static sl_status check_names(struct reading *r, const struct body_shape *shape, json_t *object)
{
    const char *name;
    json_t *value;

    json_object_foreach(object, name, value) if (!member_of(shape, name))
    {
        char known[200] = "";

        for (const struct body_member *m = shape->members; m->name; m++)
            snprintf(known + strlen(known), sizeof(known) - strlen(known), "%s%s",
                     known[0] ? ", " : "", m->name);
        return wrong(r, "there is no \"%.60s\" in it; it may have %s", name, known);
    }
    return SL_OK;
}

static sl_status take_members(struct reading *r, const struct body_shape *shape, const json_t *v,
                              json_t *to)
{
    for (const struct body_member *m = shape->members; m->name; m++) {
        const json_t *found = json_object_get(v, m->name);
        size_t path = down(r, m->name);
        json_t *one = NULL;
        sl_status status = SL_OK;

        if (!found || json_is_null(found)) {
            if (m->flags & BODY_REQUIRED)
                return wrong(r, "it is not given");
        } else {
            status = m->items ? take_list(r, m, found, &one) : take_one(r, m, found, &one);
            if (status == SL_OK && json_object_set_new_nocheck(to, m->name, one) < 0)
                status = SL_E_NO_MEMORY;
        }
        if (status < 0)
            return status;
        r->path[path] = '\0';
    }
    return SL_OK;
}

static sl_status take_object(struct reading *r, const struct body_shape *shape, const json_t *v,
                             json_t **ret)
{
    json_t *to;
    sl_status status;

    if (!json_is_object(v))
        return wrong(r, "it wants a JSON object");
    if ((status = check_names(r, shape, (json_t *)v)) < 0) /* iterating wants it so */
        return status;
    to = json_object();
    status = to ? take_members(r, shape, v, to) : SL_E_NO_MEMORY;
    if (status == SL_OK)
        status = check_groups(r, shape->one_of, 1, to);
    if (status == SL_OK)
        status = check_groups(r, shape->any_of, 0, to);
    if (status < 0)
        json_decref(to);
    else
        *ret = to;
    return status;
}

sl_status body_take(sl_str body, const struct body_shape *shape, json_t **ret, char *why,
                    size_t why_size)
{
    struct reading r = { .why = why, .why_size = why_size };
    json_error_t error;
    json_t *read = json_loadb(body.len ? body.ptr : "", body.len, JSON_REJECT_DUPLICATES, &error),
           *taken = NULL;
    sl_status status;

    if (!read)
        return json_error_code(&error) == json_error_out_of_memory
                   ? SL_E_NO_MEMORY
                   : wrong(&r, "it is no JSON (line %d: %s)", error.line, error.text);
    status = take_object(&r, shape, read, &taken);
    json_decref(read);
    if (status == SL_OK)
        *ret = taken;
    return status;
}
