#include "flow/hold_fill.h"

#include <regex.h>
#include <string.h>
#include <uv.h>
#include "base/mem.h"
#include "flow/json_place.h"

static const char *const as_names[] = { "text", "number", "boolean" };

/* ---- in the detail ---- */

static void put_member(struct buf *b, const char *name, const char *value)
{
    if (!value)
        return;
    buf_printf(b, ",\"%s\":", name);
    buf_json_str(b, str_of(value));
}

void hold_fill_put(struct buf *b, const struct conf_choice *c)
{
    for (size_t i = 0; i < c->n_fields; i++) {
        const struct conf_field *f = &c->fields[i];
        buf_cstr(b, i ? ",{\"name\":" : ",\"set\":[{\"name\":");
        buf_json_str(b, str_of(f->name));
        put_member(b, "path", f->path);
        put_member(b, "as", as_names[f->as]);
        put_member(b, "label", f->label);
        put_member(b, "pattern", f->pattern);
        buf_cstr(b, f->optional ? ",\"optional\":true}" : "}");
    }
    if (c->n_fields)
        buf_char(b, ']');
}

/* ---- what was filled in ---- */

static const char *text_in(const json_t *o, const char *name)
{
    const char *text = json_string_value(json_object_get(o, name));

    return text ? text : "";
}

/** "zip (postcode)" */
static void say_field(const json_t *field, char out[80])
{
    const char *label = text_in(field, "label");

    snprintf(out, 80, *label ? "%.40s (%.34s)" : "%.40s", text_in(field, "name"), label);
}

static int bad(char text[160], const json_t *field, const char *what, const char *value)
{
    char name[80];

    say_field(field, name);
    snprintf(text, 160, "%s: %.40s, found \"%.24s%s\"", name, what, value,
             strlen(value) > 24 ? "..." : "");
    return UV_EINVAL;
}

/** Whole values alone: what fits somewhere inside is not enough. */
static bool fits(const char *pattern, const char *value)
{
    struct buf whole = { 0 };
    regex_t re;
    bool is = false;

    buf_printf(&whole, "^(%s)$", pattern);
    buf_char(&whole, '\0');
    if (!whole.failed && regcomp(&re, whole.data, REG_EXTENDED | REG_NOSUB) == 0) {
        is = regexec(&re, value, 0, NULL, 0) == 0;
        regfree(&re);
    }
    buf_finish(&whole);
    return is;
}

/** The value as it will stand in the payload. */
static int as_json(const json_t *field, const char *value, struct buf *out, char text[160])
{
    const char *as = text_in(field, "as"), *pattern = text_in(field, "pattern");
    json_t *j;
    bool good;

    if (*pattern && !fits(pattern, value)) {
        char what[120];
        snprintf(what, sizeof(what), "wanted %s", pattern);
        return bad(text, field, what, value);
    }
    if (!strcmp(as, as_names[FIELD_TEXT])) {
        buf_json_str(out, str_of(value));
        return 0;
    }
    j = json_loads(value, JSON_DECODE_ANY, NULL);
    good = !strcmp(as, as_names[FIELD_NUMBER]) ? json_is_number(j) : json_is_boolean(j);
    json_decref(j);
    if (!good)
        return bad(text, field,
                   !strcmp(as, as_names[FIELD_NUMBER]) ? "wanted a number" : "wanted true or false",
                   value);
    buf_cstr(out, value);
    return 0;
}

static const json_t *field_named(const json_t *fields, const char *name)
{
    for (size_t i = 0; i < json_array_size(fields); i++)
        if (strcmp(text_in(json_array_get(fields, i), "name"), name) == 0)
            return json_array_get(fields, i);
    return NULL;
}

/** Nothing that nobody asked for, and all that is needed. */
static int check_names(const json_t *fields, json_t *set, char text[160])
{
    const char *name;
    char said[80];
    json_t *value;

    json_object_foreach(set, name, value)
    {
        if (!field_named(fields, name)) {
            int n = snprintf(text, 160, "it has no field \"%.40s\" to fill in", name);
            for (size_t i = 0; i < json_array_size(fields) && n < 150; i++)
                n += snprintf(text + n, 160 - (size_t)n, "%s%s", i ? ", " : "; there are: ",
                              text_in(json_array_get(fields, i), "name"));
            return UV_EINVAL;
        }
        if (!json_is_string(value) || json_string_length(value) > HOLD_VALUE_MAX) {
            snprintf(text, 160, "%.40s: wanted a text of at most %d bytes", name, HOLD_VALUE_MAX);
            return UV_EINVAL;
        }
    }
    for (size_t i = 0; i < json_array_size(fields); i++) {
        const json_t *field = json_array_get(fields, i);
        if (json_is_true(json_object_get(field, "optional")) ||
            json_object_get(set, text_in(field, "name")))
            continue;
        say_field(field, said);
        snprintf(text, 160, "%s is to be filled in: --set %.40s=VALUE", said,
                 text_in(field, "name"));
        return UV_EINVAL;
    }
    return 0;
}

static bool is_payload(sl_str body)
{
    json_t *j = json_loadb(body.ptr ? body.ptr : "", body.len,
                           JSON_REJECT_DUPLICATES | JSON_DECODE_INT_AS_REAL, NULL);

    json_decref(j);
    return j != NULL;
}

static int set_one(const json_t *field, const char *value, struct buf *body, struct buf *names,
                   char text[160])
{
    struct buf json = { 0 }, next = { 0 };
    char said[80];
    int r = as_json(field, value, &json, text);

    if (r == 0 && json_place_set(buf_view(body), str_of(text_in(field, "path")), buf_view(&json),
                                 &next) < 0) {
        say_field(field, said);
        snprintf(text, 160, "%s: the payload has no place %.50s", said, text_in(field, "path"));
        r = UV_EINVAL;
    }
    if (r == 0) {
        buf_printf(names, "%s%s", names->len ? ", " : "", text_in(field, "name"));
        buf_clear(body);
        buf_str(body, buf_view(&next));
    }
    buf_finish(&json);
    buf_finish(&next);
    return r;
}

int hold_fill(const json_t *choice, const struct hold_fill *fill, struct buf *body,
              struct buf *names, char text[160])
{
    const json_t *fields = json_object_get(choice, "set");
    json_t *set = fill->set.len ? json_loadb(fill->set.ptr, fill->set.len, 0, NULL) : NULL;
    const char *name;
    json_t *value;
    int r = 0;

    if (json_object_size(set) && !json_array_size(fields)) {
        snprintf(text, 160,
                 choice ? "this choice lets nothing be filled in"
                        : "what is filled in belongs to a choice: name it");
        r = UV_EINVAL;
    } else if (json_array_size(fields)) {
        r = check_names(fields, set, text);
    }
    if (r == 0 && json_object_size(set)) {
        if (!is_payload(fill->body)) {
            snprintf(text, 160, "its payload is not JSON: nothing can be filled in");
            r = UV_EINVAL;
        }
        buf_str(body, fill->body);
        json_object_foreach(set, name, value) if (r == 0)
            r = set_one(field_named(fields, name), json_string_value(value), body, names, text);
    }
    json_decref(set);
    return r;
}
