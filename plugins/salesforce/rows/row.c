/*
 * row.c - the scanner. The functions stand in the order of the grammar, smallest first.
 */
#include "row.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#define MAX_FIELD_CHARS  131072 /* Salesforce counts UTF-16 units, as here */
#define MAX_RECORD_CHARS 400000
#define MAX_FIELDS       5000
#define MAX_NAME         80

struct scanner {
    const char *p, *end;
    char *why;
    size_t why_size;
    struct row *row;
    size_t chars; /* of the record so far */
};

void row_finish(struct row *r)
{
    free(r->cells);
    *r = (struct row){ 0 };
}

#define refuse(s, ...) (say((s)->why, (s)->why_size, __VA_ARGS__), SL_E_INVALID)

static void skip_blanks(struct scanner *s)
{
    while (s->p < s->end && (*s->p == ' ' || *s->p == '\t' || *s->p == '\n' || *s->p == '\r'))
        s->p++;
}

static bool at(struct scanner *s, char c)
{
    skip_blanks(s);
    return s->p < s->end && *s->p == c;
}

static bool take(struct scanner *s, char c)
{
    if (!at(s, c))
        return false;
    s->p++;
    return true;
}

static int hex4(const char *p, const char *end)
{
    int n = 0;

    if (end - p < 4)
        return -1;
    for (int i = 0; i < 4; i++) {
        char c = ascii_lower(p[i]);

        if (c >= '0' && c <= '9')
            n = n * 16 + (c - '0');
        else if (c >= 'a' && c <= 'f')
            n = n * 16 + (c - 'a' + 10);
        else
            return -1;
    }
    return n;
}

/* Length of the escape at p, which points at the backslash; 0: not one. Surrogates come in pairs.
 */
static size_t escape_length(const char *p, const char *end, uint32_t *ret_char)
{
    static const char names[] = "\"\\/bfnrt", values[] = "\"\\/\b\f\n\r\t";
    const char *at_name;
    int high, low;

    if (end - p < 2)
        return 0;
    if (p[1] != 'u') {
        at_name = p[1] ? strchr(names, p[1]) : NULL;
        if (!at_name)
            return 0;
        *ret_char = (uint8_t)values[at_name - names];
        return 2;
    }
    high = hex4(p + 2, end);
    if (high < 0 || (high >= 0xdc00 && high <= 0xdfff))
        return 0;
    *ret_char = (uint32_t)high;
    if (high < 0xd800 || high > 0xdbff)
        return 6;
    if (end - p < 12 || p[6] != '\\' || p[7] != 'u')
        return 0;
    low = hex4(p + 8, end);
    if (low < 0xdc00 || low > 0xdfff)
        return 0;
    *ret_char = 0x10000 + ((uint32_t)(high - 0xd800) << 10) + (uint32_t)(low - 0xdc00);
    return 12;
}

/* The string at p. NULL: fine; else what is wrong with it. */
static const char *scan_string(struct scanner *s, sl_str *ret, size_t *ret_chars)
{
    const char *start = ++s->p;
    size_t chars = 0, n;
    uint32_t c;

    for (; s->p < s->end && *s->p != '"'; s->p += n) {
        if (*s->p == '\\') {
            n = escape_length(s->p, s->end, &c);
            if (n == 0)
                return "holds an escape that is not JSON";
            if (c == 0)
                return "holds a NUL character";
            chars += n == 12 ? 2 : 1;
        } else {
            n = utf8_length(s->p, s->end);
            if (n == 0)
                return "is not UTF-8";
            if ((uint8_t)*s->p < 0x20)
                return "holds a control character that JSON wants escaped";
            chars += n == 4 ? 2 : 1;
        }
    }
    if (s->p == s->end)
        return "is cut off: the closing quote is missing";
    *ret = (sl_str){ start, (size_t)(s->p - start) };
    *ret_chars = chars;
    s->p++;
    return NULL;
}

static size_t digits(struct scanner *s)
{
    const char *start = s->p;

    while (s->p < s->end && *s->p >= '0' && *s->p <= '9')
        s->p++;
    return (size_t)(s->p - start);
}

/* JSON's grammar: no leading zeros, no bare point. */
static bool scan_number(struct scanner *s)
{
    const char *first;

    if (*s->p == '-')
        s->p++;
    first = s->p;
    if (digits(s) == 0 || (*first == '0' && s->p - first > 1))
        return false;
    if (s->p < s->end && *s->p == '.') {
        s->p++;
        if (digits(s) == 0)
            return false;
    }
    if (s->p < s->end && (*s->p == 'e' || *s->p == 'E')) {
        s->p++;
        if (s->p < s->end && (*s->p == '+' || *s->p == '-'))
            s->p++;
        if (digits(s) == 0)
            return false;
    }
    return true;
}

static bool take_word(struct scanner *s, const char *word)
{
    size_t n = strlen(word);

    if ((size_t)(s->end - s->p) < n || memcmp(s->p, word, n) != 0)
        return false;
    s->p += n;
    return true;
}

/* A value that is not an object, at p, into `c`. */
static sl_status scan_value(struct scanner *s, struct cell *c)
{
    int name_len = (int)c->name.len;
    const char *wrong = NULL, *start;
    size_t chars = 0;

    skip_blanks(s);
    start = s->p;
    if (s->p == s->end)
        return refuse(s, "field %.*s has no value", name_len, c->name.ptr);
    c->raw = (sl_str){ 0 };
    if (*s->p == '"') {
        c->kind = CELL_TEXT;
        wrong = scan_string(s, &c->raw, &chars);
    } else if (*s->p == '-' || (*s->p >= '0' && *s->p <= '9')) {
        c->kind = CELL_NUMBER;
        if (!scan_number(s))
            wrong = "is not a JSON number";
        chars = (size_t)(s->p - start);
        c->raw = (sl_str){ start, chars };
    } else if (take_word(s, "true") || take_word(s, "false")) {
        c->kind = CELL_BOOL;
        c->raw = (sl_str){ start, (size_t)(s->p - start) };
    } else if (take_word(s, "null")) {
        c->kind = CELL_NULL;
    } else if (*s->p == '[') {
        wrong = "is an array; a field holds text, a number, true, false or null";
    } else if (*s->p == '{') {
        wrong =
            "is an object inside an object; a parent is named by one key: "
            "{\"Account\": {\"Ext__c\": \"A-1\"}}";
    } else {
        wrong = "has a value that is not JSON";
    }
    if (wrong)
        return refuse(s, "field %.*s %s", name_len, c->name.ptr, wrong);
    if (chars > MAX_FIELD_CHARS)
        return refuse(s, "field %.*s has %zu characters, Salesforce takes %d", name_len,
                      c->name.ptr, chars, MAX_FIELD_CHARS);
    s->chars += chars;
    return SL_OK;
}

/* ---- names --------------------------------------------------------------------------------- */

bool is_api_name(sl_str name)
{
    if (name.len == 0 || name.len > MAX_NAME)
        return false;
    for (size_t i = 0; i < name.len; i++) {
        char c = ascii_lower(name.ptr[i]);

        if (!(c >= 'a' && c <= 'z') && (i == 0 || (!(c >= '0' && c <= '9') && c != '_')))
            return false;
    }
    return true;
}

/* "Account", or "Lead:Who" for a lookup that can point at several objects */
static bool is_relationship(sl_str name)
{
    const char *colon = name.len > 0 ? memchr(name.ptr, ':', name.len) : NULL;
    sl_str type, rest = name;

    if (colon) {
        type = (sl_str){ name.ptr, (size_t)(colon - name.ptr) };
        rest = (sl_str){ colon + 1, name.len - type.len - 1 };
        if (!is_api_name(type))
            return false;
    }
    return is_api_name(rest);
}

/* A key of the object: "LastName", or "Account.Ext__c" spelt as in a CSV header. */
static sl_status scan_name(struct scanner *s, struct cell *c)
{
    const char *wrong, *dot;
    sl_str key;
    size_t chars;

    if (!at(s, '"'))
        return refuse(s, "not a JSON object: a field's name in quotes is missing");
    wrong = scan_string(s, &key, &chars);
    if (wrong)
        return refuse(s, "not a JSON object: a field's name %s", wrong);
    if (!take(s, ':'))
        return refuse(s, "not a JSON object: no ':' after \"%.*s\"", (int)key.len, key.ptr);
    *c = (struct cell){ .name = key };
    dot = key.len > 0 ? memchr(key.ptr, '.', key.len) : NULL;
    if (dot) {
        c->name.len = (size_t)(dot - key.ptr);
        c->sub = (sl_str){ dot + 1, key.len - c->name.len - 1 };
    }
    if (str_is_nocase(key, "attributes"))
        return refuse(s, "attributes is no field: leave it out, the route names the object");
    if ((dot ? !is_relationship(c->name) || !is_api_name(c->sub) : !is_relationship(key)) ||
        (key.len > 4 && memcmp(key.ptr, "sf__", 4) == 0))
        return refuse(s, "\"%.*s\" is not a field's API name", (int)(key.len < 200 ? key.len : 200),
                      key.ptr);
    return SL_OK;
}

/* {"Ext__c": "A-1"} at p: the one key of a parent. */
static sl_status scan_parent(struct scanner *s, struct cell *c)
{
    struct cell inner;
    sl_status r;

    s->p++;
    if (c->sub.len > 0 || at(s, '}'))
        return refuse(s, "field %.*s: a parent is named by exactly one key field", (int)c->name.len,
                      c->name.ptr);
    r = scan_name(s, &inner);
    if (r < 0)
        return r;
    if (inner.sub.len > 0 || !is_api_name(inner.name))
        return refuse(s, "field %.*s: \"%.*s\" is not one field of the parent", (int)c->name.len,
                      c->name.ptr, (int)inner.name.len, inner.name.ptr);
    c->sub = inner.name;
    r = scan_value(s, c);
    if (r < 0)
        return r;
    if (!take(s, '}'))
        return refuse(s, "field %.*s: a parent is named by exactly one key field", (int)c->name.len,
                      c->name.ptr);
    return SL_OK;
}

/* ---- the object ---------------------------------------------------------------------------- */

static struct cell *add_cell(struct row *r)
{
    if (r->n == r->cap) {
        size_t cap = r->cap ? r->cap * 2 : 32;
        struct cell *cells = realloc(r->cells, cap * sizeof(*cells));

        if (!cells)
            return NULL;
        r->cells = cells;
        r->cap = cap;
    }
    return &r->cells[r->n++];
}

static sl_status scan_field(struct scanner *s)
{
    struct cell *c = add_cell(s->row);
    sl_status r;

    if (!c) {
        say(s->why, s->why_size, "out of memory");
        return SL_E_NO_MEMORY;
    }
    r = scan_name(s, c);
    if (r < 0)
        return r;
    r = at(s, '{') ? scan_parent(s, c) : scan_value(s, c);
    if (r < 0)
        return r;
    if (c->sub.len == 0 && !is_api_name(c->name)) /* "Lead:Who" without a key */
        return refuse(s, "\"%.*s\" names a parent without its key field", (int)c->name.len,
                      c->name.ptr);
    return SL_OK;
}

sl_status row_scan(struct row *row, sl_str body, char *why, size_t why_size)
{
    const char *start = body.len > 0 ? body.ptr : "";
    struct scanner s = { start, start + body.len, why, why_size, row, 0 };
    sl_status r;

    row->n = 0;
    if (!take(&s, '{'))
        return refuse(&s, "the record is not a JSON object");
    if (!at(&s, '}')) {
        do {
            if (row->n == MAX_FIELDS)
                return refuse(&s, "more than %d fields, which is Salesforce's limit", MAX_FIELDS);
            if ((r = scan_field(&s)) < 0)
                return r;
        } while (take(&s, ','));
    }
    if (!take(&s, '}'))
        return refuse(&s, "not a JSON object: ',' or '}' is missing after %zu fields", row->n);
    skip_blanks(&s);
    if (s.p != s.end)
        return refuse(&s, "something follows the JSON object");
    if (s.chars > MAX_RECORD_CHARS)
        return refuse(&s, "the record has %zu characters, Salesforce takes %d", s.chars,
                      MAX_RECORD_CHARS);
    return SL_OK;
}

/* ---- values -------------------------------------------------------------------------------- */

static void add_utf8(struct text *to, uint32_t c)
{
    if (c < 0x80) {
        text_char(to, (char)c);
        return;
    }
    if (c >= 0x10000) {
        text_char(to, (char)(0xf0 | c >> 18));
        text_char(to, (char)(0x80 | (c >> 12 & 0x3f)));
    } else if (c >= 0x800) {
        text_char(to, (char)(0xe0 | c >> 12));
    } else {
        text_char(to, (char)(0xc0 | c >> 6));
    }
    if (c >= 0x800)
        text_char(to, (char)(0x80 | (c >> 6 & 0x3f)));
    text_char(to, (char)(0x80 | (c & 0x3f)));
}

void cell_decode(const struct cell *c, struct text *to)
{
    const char *p = c->raw.ptr, *end, *slash;
    uint32_t u;

    if (c->kind != CELL_TEXT) {
        text_add(to, c->raw.ptr, c->raw.len);
        return;
    }
    end = p + c->raw.len;
    while (p < end) {
        slash = memchr(p, '\\', (size_t)(end - p));
        text_add(to, p, (size_t)((slash ? slash : end) - p));
        if (!slash)
            return;
        p = slash + escape_length(slash, end, &u); /* row_scan() has seen that it is one */
        add_utf8(to, u);
    }
}
