/*
 * replay_diff.c - see replay_diff.h.
 */
#include "flow/replay_diff.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define PATH_MOST  500
#define SHOWN_MOST 300 /* bytes of a value */

struct diff {
    struct buf *out;
    size_t n;
    char path[PATH_MOST];
};

static void put_value(struct buf *out, const char *name, json_t *j)
{
    char *text = j ? json_dumps(j, JSON_COMPACT | JSON_ENCODE_ANY) : NULL;

    if (!text)
        return;
    buf_printf(out, ",\"%s\":", name);
    if (strlen(text) <= SHOWN_MOST)
        buf_cstr(out, text);
    else {
        struct buf cut = { 0 };
        buf_append(&cut, text, SHOWN_MOST);
        buf_cstr(&cut, "...");
        buf_json_str(out, buf_view(&cut));
        buf_finish(&cut);
    }
    free(text);
}

static void put(struct diff *d, json_t *before, json_t *after)
{
    if (++d->n > REPLAY_DIFF_MOST)
        return;
    buf_cstr(d->out, d->n > 1 ? ",{\"path\":" : "{\"path\":");
    buf_json_str(d->out, str_of(d->path));
    put_value(d->out, "before", before);
    put_value(d->out, "after", after);
    buf_char(d->out, '}');
}

static void compare(struct diff *d, json_t *a, json_t *b);

/* One level down, and back. */
static void below(struct diff *d, const char *name, json_t *a, json_t *b)
{
    size_t was = strlen(d->path);

    snprintf(d->path + was, sizeof(d->path) - was, "/%s", name);
    compare(d, a, b);
    d->path[was] = '\0';
}

static void compare_objects(struct diff *d, json_t *a, json_t *b)
{
    const char *name;
    json_t *value;

    json_object_foreach(a, name, value) below(d, name, value, json_object_get(b, name));
    json_object_foreach(b, name, value) if (!json_object_get(a, name)) below(d, name, NULL, value);
}

static void compare_arrays(struct diff *d, json_t *a, json_t *b)
{
    size_t n = json_array_size(a), m = json_array_size(b);
    char name[24];

    for (size_t i = 0; i < n || i < m; i++) {
        snprintf(name, sizeof(name), "%zu", i);
        below(d, name, json_array_get(a, i), json_array_get(b, i));
    }
}

static void compare(struct diff *d, json_t *a, json_t *b)
{
    if (json_is_object(a) && json_is_object(b))
        compare_objects(d, a, b);
    else if (json_is_array(a) && json_is_array(b))
        compare_arrays(d, a, b);
    else if (!a || !b || !json_equal(a, b))
        put(d, a, b);
}

static json_t *parse(sl_str s)
{
    json_t *j;

    if (!s.len)
        return NULL;
    j = json_loadb(s.ptr, s.len, JSON_DECODE_ANY, NULL);
    return j ? j : json_stringn(s.ptr, s.len);
}

void replay_diff(struct buf *out, sl_str before, sl_str after)
{
    struct diff d = { .out = out };
    json_t *a = parse(before), *b = parse(after);

    buf_char(out, '[');
    if (a || b)
        compare(&d, a, b);
    buf_char(out, ']');
    json_decref(a);
    json_decref(b);
}
