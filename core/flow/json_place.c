#include "flow/json_place.h"

#include <jansson.h>
#include <string.h>
#include <uv.h>
#include "base/mem.h"

/** The text, and how far it was read. It is known to be JSON, so nothing is checked twice. */
struct scan {
    sl_str s;
    size_t at;
};

static char look(const struct scan *c)
{
    return c->at < c->s.len ? c->s.ptr[c->at] : '\0';
}

static void skip_space(struct scan *c)
{
    while (c->at < c->s.len && strchr(" \t\r\n", c->s.ptr[c->at]))
        c->at++;
}

/** Behind a text whose first quote is here. */
static void skip_text(struct scan *c)
{
    for (c->at++; c->at < c->s.len && look(c) != '"'; c->at++)
        c->at += look(c) == '\\';
    c->at++;
}

static void skip_value(struct scan *c)
{
    size_t depth = 0;

    do {
        if (look(c) == '"') {
            skip_text(c);
            continue;
        }
        if (look(c) == '{' || look(c) == '[')
            depth++;
        else if (look(c) == '}' || look(c) == ']')
            depth--;
        c->at++;
    } while (c->at < c->s.len &&
             (depth || (c->s.ptr[c->at - 1] != '}' && c->s.ptr[c->at - 1] != ']' &&
                        c->s.ptr[c->at - 1] != '"' && !strchr(",]} \t\r\n", look(c)))));
}

/** Is the name between these quotes the one? */
static bool is_name(sl_str quoted, const char *name)
{
    json_t *j;
    bool is;

    if (!memchr(quoted.ptr, '\\', quoted.len))
        return str_eq((sl_str){ quoted.ptr + 1, quoted.len - 2 }, str_of(name));
    j = json_loadb(quoted.ptr, quoted.len, JSON_DECODE_ANY, NULL);
    is = j && strcmp(json_string_value(j), name) == 0;
    json_decref(j);
    return is;
}

/** To the member's value; false: it has none, and stands at its closing bracket; `empty`: it has
 *  no member at all. */
static bool to_member(struct scan *c, const char *name, bool *empty)
{
    *empty = true;
    c->at++;
    for (skip_space(c); look(c) != '}'; skip_space(c)) {
        sl_str quoted = { c->s.ptr + c->at, c->at };
        *empty = false;
        skip_text(c);
        quoted.len = c->at - quoted.len;
        skip_space(c);
        c->at++; /* the colon */
        skip_space(c);
        if (is_name(quoted, name))
            return true;
        skip_value(c);
        skip_space(c);
        c->at += look(c) == ',';
    }
    return false;
}

/** To the element of this number; false: there is none. */
static bool to_element(struct scan *c, const char *token)
{
    size_t n = 0;

    if (!token[0] || strlen(token) > 9 || (token[0] == '0' && token[1]))
        return false;
    for (; *token >= '0' && *token <= '9'; token++)
        n = n * 10 + (size_t)(*token - '0');
    if (*token)
        return false;
    c->at++;
    for (skip_space(c); look(c) != ']'; skip_space(c)) {
        if (n-- == 0)
            return true;
        skip_value(c);
        skip_space(c);
        c->at += look(c) == ',';
        skip_space(c);
    }
    return false;
}

/** The next token of a pointer, "~1" and "~0" undone; own. */
static char *take_token(sl_str *pointer)
{
    const char *end = memchr(pointer->ptr + 1, '/', pointer->len - 1);
    size_t len = end ? (size_t)(end - pointer->ptr) : pointer->len, n = 0;
    char *token = mem_array(len, 1);

    for (size_t i = 1; i < len; i++) {
        bool escaped = pointer->ptr[i] == '~' && i + 1 < len;
        token[n++] = !escaped ? pointer->ptr[i] : pointer->ptr[i + 1] == '1' ? '/' : '~';
        i += escaped;
    }
    token[n] = '\0';
    pointer->ptr += len;
    pointer->len -= len;
    return token;
}

static int put(struct buf *out, sl_str json, size_t from, size_t to, const char *before,
               sl_str value)
{
    buf_append(out, json.ptr, from);
    buf_cstr(out, before);
    buf_str(out, value);
    buf_append(out, json.ptr + to, json.len - to);
    return 0;
}

/** A new member, where the scan stands: at the closing bracket. */
static int add_member(struct scan *c, const char *name, bool empty, sl_str value, struct buf *out)
{
    struct buf before = { 0 };
    int r;

    buf_cstr(&before, empty ? "" : ",");
    buf_json_str(&before, str_of(name));
    buf_char(&before, ':');
    buf_char(&before, '\0');
    r = put(out, c->s, c->at, c->at, before.data, value);
    buf_finish(&before);
    return r;
}

int json_place_set(sl_str json, sl_str pointer, sl_str value, struct buf *out)
{
    struct scan c = { .s = json };

    while (pointer.len) {
        char *token;
        bool found = false, empty = false;
        int r = UV_ENOENT;

        skip_space(&c);
        if (pointer.ptr[0] != '/' || (look(&c) != '{' && look(&c) != '['))
            return UV_ENOENT;
        token = take_token(&pointer);
        if (look(&c) == '[')
            found = to_element(&c, token);
        else if (!(found = to_member(&c, token, &empty)) && !pointer.len)
            r = add_member(&c, token, empty, value, out);
        free(token);
        if (!found)
            return r;
    }
    size_t from = c.at;
    skip_value(&c);
    return put(out, json, from, c.at, "", value);
}
