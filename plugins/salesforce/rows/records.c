/*
 * records.c - see records.h. jansson says whether a body is JSON at all, and what stands in it; the
 * texts of records are taken from the body, since a number that is read and written is another.
 */
#include "records.h"

#include <string.h>
#include <strings.h>

/* ---- addresses ----------------------------------------------------------------------------- */

void put_query(struct text *to, sl_str s)
{
    for (size_t i = 0; i < s.len; i++) {
        char c = s.ptr[i];

        if ((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
            (c && strchr("-._~", c)))
            text_char(to, c);
        else if (c == ' ')
            text_char(to, '+');
        else
            text_printf(to, "%%%02X", (unsigned)(unsigned char)c);
    }
}

/* ---- walking JSON that is known to be good -------------------------------------------------- */

static const char *blanks(const char *p)
{
    return p + strspn(p, " \t\r\n");
}

/** Behind a text that begins at `p`. */
static const char *behind_text(const char *p)
{
    for (p++; *p != '"'; p++)
        p += *p == '\\';
    return p + 1;
}

/** Behind any value. */
static const char *behind(const char *p)
{
    int depth = 0;

    do {
        if (*p == '"') {
            p = behind_text(p);
            continue;
        }
        depth += (*p == '{' || *p == '[') - (*p == '}' || *p == ']');
        p++;
        if (depth == 0 && p[-1] != '}' && p[-1] != ']')
            p += strcspn(p, ",}] \t\r\n"); /* a number or a word */
    } while (depth > 0);
    return p;
}

/** Copy an object or an array without members of the name "attributes". `p` at its bracket. */
static const char *copy(const char *p, struct text *to)
{
    char close = *p == '{' ? '}' : ']';
    bool object = *p == '{', any = false;

    text_char(to, *p);
    for (p = blanks(p + 1); *p != close;) {
        const char *name = p, *value = p, *end;
        if (object) {
            const char *colon = blanks(behind_text(p));
            value = blanks(colon + 1);
        }
        end = behind(value);
        if (!object || strncmp(name, "\"attributes\"", 12) != 0) {
            if (any)
                text_char(to, ',');
            any = true;
            if (object) {
                text_add(to, name, (size_t)(behind_text(name) - name));
                text_char(to, ':');
            }
            if (*value == '{' || *value == '[')
                copy(value, to);
            else
                text_add(to, value, (size_t)(end - value));
        }
        p = blanks(end);
        if (*p == ',')
            p = blanks(p + 1);
    }
    text_char(to, close);
    return p + 1;
}

void record_copy(sl_str raw, struct text *to)
{
    copy(raw.ptr, to);
}

/** The value of the object's member; NULL: none. */
static const char *member(const char *p, const char *name)
{
    size_t n = strlen(name);

    for (p = blanks(p + 1); *p != '}';) {
        const char *key = p + 1, *end = behind_text(p), *value = blanks(blanks(end) + 1);
        if ((size_t)(end - 1 - key) == n && memcmp(key, name, n) == 0)
            return value;
        p = blanks(behind(value));
        if (*p == ',')
            p = blanks(p + 1);
    }
    return NULL;
}

/* ---- pages --------------------------------------------------------------------------------- */

static bool take_next(const json_t *root, struct page *ret)
{
    const char *next = json_string_value(json_object_get(root, "nextRecordsUrl"));

    ret->next[0] = '\0';
    if (json_is_true(json_object_get(root, "done")) || !next)
        return json_is_true(json_object_get(root, "done"));
    if (next[0] != '/' || strlen(next) >= sizeof(ret->next) || strpbrk(next, " \r\n"))
        return false;
    strcpy(ret->next, next);
    return true;
}

bool page_read(sl_str body, void (*record)(void *ctx, const json_t *record, sl_str raw), void *ctx,
               struct page *ret, char *why, size_t why_size)
{
    struct text own = { 0 }; /* ends with a NUL */
    json_t *root = NULL, *records, *one;
    const char *list = NULL;
    bool good = false;
    size_t i;

    text_add(&own, body.ptr, body.len);
    /* a name twice could be one for jansson and the other one here; a NUL ends the text here, and
     * not always for jansson */
    if (own.ptr && strlen(own.ptr) == own.len)
        root = json_loadb(own.ptr, own.len, JSON_REJECT_DUPLICATES, NULL);
    records = json_object_get(root, "records");
    if (json_is_array(records))
        list = member(blanks(own.ptr), "records"); /* NULL: its name is written with escapes */
    if (own.failed) {
        say(why, why_size, "out of memory");
    } else if (!list || !take_next(root, ret)) {
        say(why, why_size, "the answer to a query is not one: %.*s",
            (int)(body.len < 80 ? body.len : 80), body.len ? body.ptr : "");
    } else {
        const char *p = blanks(list + 1);

        json_array_foreach(records, i, one)
        {
            const char *end = behind(p);
            if (json_is_object(one))
                record(ctx, one, (sl_str){ p, (size_t)(end - p) });
            p = blanks(end);
            p = *p == ',' ? blanks(p + 1) : p;
        }
        good = true;
    }
    json_decref(root);
    text_finish(&own);
    return good;
}

static const json_t *get_nocase(const json_t *object, sl_str name)
{
    const char *key;
    json_t *value;

    json_object_foreach((json_t *)object, key,
                        value) if (str_same_nocase(str_of(key), name)) return value;
    return NULL;
}

sl_str record_text(const json_t *record, const char *path)
{
    while (record && *path) {
        size_t n = strcspn(path, ".");
        record = json_is_object(record) ? get_nocase(record, (sl_str){ path, n }) : NULL;
        path += n + (path[n] == '.');
    }
    return record && json_is_string(record)
               ? (sl_str){ json_string_value(record), json_string_length(record) }
               : (sl_str){ 0 };
}
