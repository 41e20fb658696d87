/*
 * template.c - placeholders in a path or a header: {key}, {subject}, {piece}, {topic}, and
 * {/pointer}, a value of the delivery's body. That is all; what needs more is the map's work.
 */
#include "http.h"

#include <stdlib.h>
#include <string.h>

#define KNOWN                                                                                      \
    "there are {key}, {subject}, {piece}, {topic} and {/...}, a JSON Pointer into the body, such " \
    "as {/order/id}"

int template_is(sl_str text)
{
    return text.len > 0 && memchr(text.ptr, '{', text.len) != NULL;
}

static int name_is(sl_str s, const char *name)
{
    return s.len == strlen(name) && memcmp(s.ptr, name, s.len) == 0;
}

/* The field of the record that a placeholder names; NULL: none of that name. */
static const sl_str *field_of(const sl_record *r, sl_str name)
{
    const struct {
        const char *name;
        const sl_str *value;
    } fields[] = { { "key", &r->key },
                   { "subject", &r->subject },
                   { "piece", &r->piece },
                   { "topic", &r->topic } };

    for (size_t i = 0; i < sizeof(fields) / sizeof(fields[0]); i++)
        if (name_is(name, fields[i].name))
            return fields[i].value;
    return NULL;
}

/* ---- checking ------------------------------------------------------------------------------ */

static int is_pointer(sl_str s)
{
    if (s.len < 2 || *s.ptr != '/')
        return 0;
    for (size_t i = 0; i < s.len; i++) {
        if ((unsigned char)s.ptr[i] < ' ' || s.ptr[i] == '{')
            return 0;
        if (s.ptr[i] == '~' && (i + 1 == s.len || (s.ptr[i + 1] != '0' && s.ptr[i + 1] != '1')))
            return 0;
    }
    return 1;
}

static int hex(char c)
{
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F');
}

/* May this byte, outside a placeholder, stand where the template goes? */
static int plain_fits(sl_str text, size_t i, int kind)
{
    unsigned char c = (unsigned char)text.ptr[i];

    if (kind == TEMPLATE_HEADER)
        return c >= ' ' && c != 0x7f;
    if (c == '%')
        return i + 2 < text.len && hex(text.ptr[i + 1]) && hex(text.ptr[i + 2]);
    return c > ' ' && c < 0x7f && !strchr("\"#<>\\^`|}", c);
}

sl_status template_check(const char *setting, sl_str text, int kind, sl_fail *fail)
{
    const sl_record none = { 0 };

    for (size_t i = 0; i < text.len; i++) {
        const char *at = text.ptr + i, *end;
        sl_str name;

        if (*at != '{') {
            if (!plain_fits(text, i, kind))
                return rest_fail(fail, SL_E_INVALID,
                                 kind == TEMPLATE_PATH
                                     ? "%s: the character at column %zu cannot stand in a URL; "
                                       "percent-encode it"
                                     : "%s: a control character at column %zu",
                                 setting, i + 1);
            continue;
        }
        if (kind == TEMPLATE_HEADER && i + 1 < text.len && at[1] == '{') {
            i++;
            continue;
        }
        end = memchr(at, '}', text.len - i);
        name = (sl_str){ at + 1, end ? (size_t)(end - at - 1) : 0 };
        if (!end || (!field_of(&none, name) && !is_pointer(name)))
            return rest_fail(fail, SL_E_INVALID,
                             "%s: unknown placeholder at column %zu; " KNOWN "%s", setting, i + 1,
                             kind == TEMPLATE_HEADER ? "; \"{{\" stands for a '{'" : "");
        i += name.len + 1;
    }
    return SL_OK;
}

/* ---- writing ------------------------------------------------------------------------------- */

static void say_why(char why[WHY_SIZE], const char *text, sl_str name)
{
    snprintf(why, WHY_SIZE, "{%.*s}: %s", (int)(name.len < 200 ? name.len : 200), name.ptr, text);
}

/* The text of a value of the body; `room` holds the digits of a number. NULL: none, see `why`. */
static const char *body_value(struct fields *f, sl_str pointer, char room[32], size_t *ret_len,
                              char why[WHY_SIZE])
{
    const json_t *value;

    if (!f->body)
        f->body = json_loadb(f->record->body.ptr, f->record->body.len,
                             JSON_REJECT_DUPLICATES | JSON_DECODE_ANY, NULL);
    if (!f->body) {
        say_why(why, "the body cannot be read as JSON", pointer);
        return NULL;
    }
    value = answer_at(f->body, pointer);
    *ret_len = json_string_length(value);
    if (json_is_string(value))
        return json_string_value(value);
    if (json_is_integer(value))
        snprintf(room, 32, "%" JSON_INTEGER_FORMAT, json_integer_value(value));
    else if (json_is_boolean(value))
        snprintf(room, 32, "%s", json_is_true(value) ? "true" : "false");
    else {
        say_why(why,
                !value ? "the body has nothing there"
                       : "neither a text, nor a whole number, nor true or false",
                pointer);
        return NULL;
    }
    *ret_len = strlen(room);
    return room;
}

static sl_status write_in_path(FILE *out, sl_str value, sl_str name, char why[WHY_SIZE])
{
    char *encoded;

    /* such a segment would name another path than the one that is configured */
    if (value.len == 0 || name_is(value, ".") || name_is(value, "..")) {
        say_why(why, "an empty text, \".\" or \"..\" cannot stand in a path", name);
        return SL_E_INVALID;
    }
    if (value.len > MAX_PATH) {
        say_why(why, "too long for a path", name);
        return SL_E_INVALID;
    }
    encoded = malloc(value.len * 3);
    if (!encoded)
        return SL_E_NO_MEMORY;
    fwrite(encoded, 1, percent_encode(value, encoded), out);
    free(encoded);
    return SL_OK;
}

static sl_status write_in_header(FILE *out, sl_str value, sl_str name, char why[WHY_SIZE])
{
    for (size_t i = 0; i < value.len; i++)
        if ((unsigned char)value.ptr[i] < ' ' || value.ptr[i] == 0x7f) {
            say_why(why, "a control character cannot stand in a header", name);
            return SL_E_INVALID;
        }
    fwrite(value.ptr, 1, value.len, out);
    return SL_OK;
}

static sl_status write_value(FILE *out, sl_str name, int kind, struct fields *f, char why[WHY_SIZE])
{
    const sl_str *field = field_of(f->record, name);
    char room[32];
    sl_str value;

    if (field)
        value = *field;
    else if (!(value.ptr = body_value(f, name, room, &value.len, why)))
        return SL_E_INVALID;
    return kind == TEMPLATE_PATH ? write_in_path(out, value, name, why)
                                 : write_in_header(out, value, name, why);
}

sl_status template_write(FILE *out, sl_str text, int kind, struct fields *f, char why[WHY_SIZE])
{
    for (size_t i = 0; i < text.len; i++) {
        const char *at = text.ptr + i, *end;
        sl_status r;
        sl_str name;

        if (*at != '{') {
            fputc(*at, out);
            continue;
        }
        if (i + 1 < text.len && at[1] == '{') {
            fputc('{', out);
            i++;
            continue;
        }
        end = memchr(at, '}', text.len - i);
        name = (sl_str){ at + 1, (size_t)(end - at - 1) };
        if ((r = write_value(out, name, kind, f, why)) < 0)
            return r;
        i += name.len + 1;
    }
    return SL_OK;
}
