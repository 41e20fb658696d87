/*
 * sobject.c - a row as JSON, an array as elements.
 */
#include "sobject.h"

#include <string.h>

#define MAX_PARENTS                                                              \
    64 /* that are compared with all other fields: no object has as many lookups \
        */

/* ---- writing ------------------------------------------------------------------------------- */

/* Text as it was decoded, as JSON. What a bulk job makes of a line break is made of it here, too:
 * a field must not depend on the way it went. */
static void add_text(struct text *to, sl_str s)
{
    const char *p = s.ptr, *end = p + s.len, *from = p;

    text_char(to, '"');
    for (; p < end; p++) {
        uint8_t c = (uint8_t)*p;

        if (c >= 0x20 && c != '"' && c != '\\')
            continue;
        text_add(to, from, (size_t)(p - from));
        from = p + 1;
        if (c == '"' || c == '\\')
            text_printf(to, "\\%c", c);
        else if (c == '\n' || (c == '\r' && (p + 1 == end || p[1] != '\n')))
            text_str(to, "\\n");
        else if (c != '\r')
            text_printf(to, "\\u%04x", c);
    }
    text_add(to, from, (size_t)(end - from));
    text_char(to, '"');
}

/* Is it a text field? An order number without quotes goes into one by CSV, and must by JSON. */
static bool is_text_field(const struct description *d, const struct cell *c)
{
    const struct field_info *f = d ? description_field(d, c->name) : NULL;

    return f && f->length > 0;
}

static void add_value(struct text *to, const struct cell *c, bool in_text, struct text *scratch)
{
    if (c->kind == CELL_NULL || c->raw.len == 0) {
        text_str(to, "null");
    } else if (c->kind != CELL_TEXT) {
        text_str(to, in_text ? "\"" : "");
        text_add(to, c->raw.ptr, c->raw.len);
        text_str(to, in_text ? "\"" : "");
    } else if (!memchr(c->raw.ptr, '\\', c->raw.len)) { /* strict JSON: nothing else to escape */
        text_char(to, '"');
        text_add(to, c->raw.ptr, c->raw.len);
        text_char(to, '"');
    } else {
        text_clear(scratch);
        cell_decode(c, scratch);
        add_text(to, text_view(scratch));
        to->failed |= scratch->failed;
    }
}

static void add_name(struct text *to, sl_str name)
{
    text_char(to, '"');
    text_add(to, name.ptr, name.len); /* an API name: nothing to escape */
    text_str(to, "\":");
}

static void add_type(struct text *to, sl_str type)
{
    text_str(to, "\"attributes\":{\"type\":\"");
    text_add(to, type.ptr, type.len);
    text_str(to, "\"}");
}

/* No parent: the lookup behind the relationship is cleared. Account is that of AccountId, Shop__r
 * that of Shop__c. */
static void add_no_parent(struct text *to, sl_str relationship)
{
    bool custom = relationship.len > 3 &&
                  memcmp(relationship.ptr + relationship.len - 3, "__r", 3) == 0;

    text_char(to, '"');
    text_add(to, relationship.ptr, relationship.len - (custom ? 3 : 0));
    text_str(to, custom ? "__c\":null" : "Id\":null");
}

/* "Account": {"Ext__c": "A"}; a lookup that can point at several objects, "Lead:Who", says which
 * one it means as a record does. */
static void add_parent(struct text *to, const struct cell *c, struct text *scratch)
{
    const char *colon = memchr(c->name.ptr, ':', c->name.len);
    sl_str name = c->name, type = { 0 };

    if (colon) {
        type = (sl_str){ name.ptr, (size_t)(colon - name.ptr) };
        name = (sl_str){ colon + 1, name.len - type.len - 1 };
    }
    if (c->kind == CELL_NULL || c->raw.len == 0) {
        add_no_parent(to, name);
        return;
    }
    add_name(to, name);
    text_char(to, '{');
    if (type.len > 0) {
        add_type(to, type);
        text_char(to, ',');
    }
    add_name(to, c->sub);
    add_value(to, c, false, scratch);
    text_char(to, '}');
}

void sobject_write(struct text *to, const struct action *a, const struct description *d,
                   const struct row *row, struct text *scratch)
{
    text_char(to, '{');
    add_type(to, str_of(a->object));
    for (size_t i = 0; i < row->n; i++) {
        const struct cell *c = &row->cells[i];

        text_char(to, ',');
        if (c->sub.len > 0) {
            add_parent(to, c, scratch);
            continue;
        }
        if (a->op == OP_UPDATE && str_is_nocase(c->name, "Id"))
            add_name(to, str_of("id")); /* what names the record is spelt so */
        else
            add_name(to, c->name);
        add_value(to, c, c->kind != CELL_TEXT && is_text_field(d, c), scratch);
    }
    text_char(to, '}');
}

/* "Who" of "Lead:Who"; else the name. */
static sl_str member_of(const struct cell *c)
{
    const char *colon = c->sub.len > 0 ? memchr(c->name.ptr, ':', c->name.len) : NULL;

    return colon ? (sl_str){ colon + 1, (size_t)(c->name.ptr + c->name.len - colon - 1) } : c->name;
}

bool sobject_is_twofold(const struct row *row, char *why, size_t why_size)
{
    size_t parents = 0;

    for (size_t i = 0; i < row->n && parents < MAX_PARENTS; i++) {
        const struct cell *c = &row->cells[i];

        if (c->sub.len == 0)
            continue;
        parents++;
        for (size_t k = 0; k < row->n; k++) {
            if (k == i || !str_same_nocase(member_of(&row->cells[k]), member_of(c)))
                continue;
            say(why, why_size, "field %.*s: a parent is named by exactly one key field",
                (int)c->name.len, c->name.ptr);
            return true;
        }
    }
    return false;
}

/* ---- reading ------------------------------------------------------------------------------- */

static const char *skip_blanks(const char *p, const char *end)
{
    while (p < end && (*p == ' ' || *p == '\t' || *p == '\n' || *p == '\r'))
        p++;
    return p;
}

/* Behind the string that begins at p. */
static const char *skip_string(const char *p, const char *end)
{
    for (p++; p < end && *p != '"'; p++)
        if (*p == '\\')
            p++;
    return p < end ? p + 1 : NULL;
}

/* Behind the value at p, whatever it is: to the next comma or bracket that is not inside it. NULL:
 * it is torn, or there is none. */
static const char *skip_value(const char *p, const char *end)
{
    const char *start = p;
    size_t depth = 0;

    while (p && p < end) {
        if (*p == '"') {
            p = skip_string(p, end);
            continue;
        }
        if (depth == 0 && (*p == ',' || *p == ']' || *p == '}'))
            return p > start ? p : NULL;
        depth += *p == '{' || *p == '[';
        depth -= *p == '}' || *p == ']';
        p++;
    }
    return NULL;
}

long elements_open(struct elements *e, sl_str array)
{
    const char *p, *end = array.ptr + array.len;
    long n = 0;

    *e = (struct elements){ 0 };
    p = array.len > 0 ? skip_blanks(array.ptr, end) : end;
    if (p == end || *p != '[')
        return -1;
    *e = (struct elements){ p + 1, end };
    p = skip_blanks(p + 1, end);
    while (p < end && *p != ']') {
        p = skip_value(p, end);
        if (!p || *p == '}')
            return -1;
        n++;
        if (*p == ',') {
            p = skip_blanks(p + 1, end);
            if (p < end && *p == ']')
                return -1;
        }
    }
    if (p == end || skip_blanks(p + 1, end) != end)
        return -1;
    e->end = p;
    return n;
}

bool elements_next(struct elements *e, sl_str *ret)
{
    const char *p = skip_blanks(e->p, e->end), *to;

    if (p == e->end)
        return false;
    to = skip_value(p, e->end);
    if (!to) /* the last one: nothing stands behind it */
        to = e->end;
    *ret = (sl_str){ p, (size_t)(to - p) };
    e->p = to < e->end ? to + 1 : to;
    return true;
}
