#include "cli/table.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "base/mem.h"

#define CELL_WIDTH_MAX 60 /* of all columns but the last */

/* ---- texts ---- */

static void clean(struct buf *out, sl_str s, const char *kept)
{
    while (s.len) {
        size_t n = str_utf8(s);
        unsigned char c = (unsigned char)s.ptr[0];
        bool c1 = n == 2 && c == 0xc2 && (unsigned char)s.ptr[1] < 0xa0;
        if (n == 0)
            buf_char(out, '?');
        else if (c1 || ((c < 0x20 || c == 0x7f) && !(c && strchr(kept, c))))
            buf_char(out, ' ');
        else
            buf_append(out, s.ptr, n);
        n += n == 0;
        s.ptr += n;
        s.len -= n;
    }
}

void clean_text(struct buf *out, sl_str s)
{
    clean(out, s, "");
}

void clean_lines(struct buf *out, sl_str s)
{
    clean(out, s, "\n\t");
}

size_t text_width(sl_str s)
{
    size_t width = 0;

    for (size_t i = 0; i < s.len; i++)
        width += ((unsigned char)s.ptr[i] & 0xc0) != 0x80;
    return width;
}

const char *short_time(const char *rfc3339, char out[32])
{
    if (!rfc3339 || strlen(rfc3339) < 19)
        return "-";
    memcpy(out, rfc3339, 19);
    out[10] = ' ';
    out[19] = '\0';
    return out;
}

const char *json_text(json_t *o, const char *name)
{
    const char *s = json_string_value(json_object_get(o, name));

    return s ? s : "";
}

void counts_text(struct buf *out, json_t *counts)
{
    const char *name;
    json_t *n;
    bool first = true;

    json_object_foreach(counts, name, n)
    {
        buf_printf(out, "%s%s %" PRId64, first ? "" : ", ", name, (int64_t)json_integer_value(n));
        first = false;
    }
}

/* ---- tables ---- */

static void add(struct table *t, char *own)
{
    t->cells = mem_grow(t->cells, (t->n + 1) * sizeof(*t->cells));
    t->cells[t->n++] = own;
}

void table_init(struct table *t, const char *heads)
{
    *t = (struct table){ .heads = heads };
    for (const char *at = heads; at; t->columns++) {
        const char *bar = strchr(at, '|');
        const char *from = at + (*at == '>');
        add(t, mem_dup((sl_str){ from, bar ? (size_t)(bar - from) : strlen(from) }));
        at = bar ? bar + 1 : NULL;
    }
}

/** Cut to the widest that a column may be, with three dots. */
static void cut(struct buf *b)
{
    size_t width = 0, i = 0;

    if (text_width(buf_view(b)) <= CELL_WIDTH_MAX)
        return;
    for (; i < b->len; i++) {
        width += ((unsigned char)b->data[i] & 0xc0) != 0x80;
        if (width > CELL_WIDTH_MAX - 3)
            break;
    }
    b->len = i;
    buf_cstr(b, "...");
}

void table_cell(struct table *t, const char *text)
{
    struct buf b = { 0 };

    clean_text(&b, str_of(text));
    if ((t->n + 1) % t->columns)
        cut(&b);
    buf_cstr(&b, "");
    char *own = buf_steal(&b, NULL);
    add(t, own ? own : mem_str(""));
}

void table_number(struct table *t, json_t *number)
{
    char text[32];

    snprintf(text, sizeof(text), "%" PRId64, (int64_t)json_integer_value(number));
    table_cell(t, json_is_integer(number) ? text : "-");
}

static bool to_the_right(const struct table *t, size_t column)
{
    const char *at = t->heads;

    while (column-- && (at = strchr(at, '|')))
        at++;
    return at && *at == '>';
}

static void put_cell(const struct table *t, struct buf *out, size_t column, const char *cell,
                     size_t width)
{
    size_t pad = width - text_width(str_of(cell));
    bool right = to_the_right(t, column);

    for (size_t i = 0; right && i < pad; i++)
        buf_char(out, ' ');
    buf_cstr(out, cell);
    for (size_t i = 0; !right && i < pad; i++)
        buf_char(out, ' ');
}

void table_write(const struct table *t, struct buf *out)
{
    size_t *width = mem_array(t->columns, sizeof(*width));

    for (size_t i = 0; i < t->n; i++) {
        size_t w = text_width(str_of(t->cells[i]));
        if (w > width[i % t->columns])
            width[i % t->columns] = w;
    }
    for (size_t i = 0; i < t->n; i++) {
        put_cell(t, out, i % t->columns, t->cells[i], width[i % t->columns]);
        if ((i + 1) % t->columns) {
            buf_cstr(out, "  ");
            continue;
        }
        while (out->len && out->data[out->len - 1] == ' ')
            out->len--;
        buf_char(out, '\n');
    }
    free(width);
}

void table_print(const struct table *t)
{
    struct buf out = { 0 };

    table_write(t, &out);
    fwrite(out.data, 1, out.len, stdout);
    buf_finish(&out);
}

void table_finish(struct table *t)
{
    for (size_t i = 0; i < t->n; i++)
        free(t->cells[i]);
    free(t->cells);
    *t = (struct table){ 0 };
}

/* ---- lists of objects ---- */

static void member_cell(struct table *t, json_t *o, const char *name)
{
    json_t *value = json_object_get(o, name + (strchr("@?#", *name) != NULL));
    const char *text = json_string_value(value) ? json_string_value(value) : "";
    char when[32];

    if (*name == '#')
        table_number(t, value);
    else if (*name == '@')
        table_cell(t, short_time(text, when));
    else
        table_cell(t, *name == '?' && !*text ? "-" : text);
}

void table_rows(const char *columns, json_t *list)
{
    struct buf heads = { 0 };
    struct table t;
    size_t i;
    json_t *o;

    for (const char *c = columns; *c; c += strcspn(c, "|")) {
        if (*c == '|')
            buf_char(&heads, *c++);
        buf_append(&heads, c, strcspn(c, "="));
    }
    table_init(&t, heads.data);
    json_array_foreach(list, i, o)
    {
        for (const char *c = columns; (c = strchr(c, '=')); c += strcspn(c, "|")) {
            char name[32];
            snprintf(name, sizeof(name), "%.*s", (int)strcspn(c + 1, "|"), c + 1);
            member_cell(&t, o, name);
        }
    }
    table_print(&t);
    table_finish(&t);
    buf_finish(&heads);
}

void table_section(const char *heading, const char *columns, json_t *list)
{
    if (!json_array_size(list))
        return;
    printf("\n%s\n", heading);
    table_rows(columns, list);
}

/* ---- raw JSON ---- */

static bool is_blank(char c)
{
    return c == ' ' || c == '\t' || c == '\n' || c == '\r';
}

static size_t skip_blank(sl_str s, size_t at)
{
    while (at < s.len && is_blank(s.ptr[at]))
        at++;
    return at;
}

/** Past the string that begins at `at`. */
static size_t skip_string(sl_str s, size_t at)
{
    for (at++; at < s.len && s.ptr[at] != '"'; at++)
        at += s.ptr[at] == '\\';
    return at < s.len ? at + 1 : s.len;
}

/** Past the value that begins at `at`. */
static size_t skip_value(sl_str s, size_t at)
{
    int depth = 0;

    while (at < s.len) {
        char c = s.ptr[at];
        if (depth == 0 && (c == ',' || c == '}' || c == ']' || is_blank(c)))
            return at;
        if (c == '"') {
            at = skip_string(s, at);
        } else {
            depth += c == '{' || c == '[';
            depth -= c == '}' || c == ']';
            at++;
        }
    }
    return at;
}

sl_str raw_member(sl_str object, const char *name)
{
    size_t at = skip_blank(object, 0) + 1;

    for (;;) {
        at = skip_blank(object, at);
        if (at >= object.len || object.ptr[at] != '"')
            return STR("");
        size_t end = skip_string(object, at);
        bool found = str_eq((sl_str){ object.ptr + at + 1, end - at - 2 }, str_of(name));
        at = skip_blank(object, skip_blank(object, end) + 1); /* past the colon */
        end = skip_value(object, at);
        if (found)
            return (sl_str){ object.ptr + at, end - at };
        at = skip_blank(object, end) + 1; /* past the comma */
    }
}

sl_str raw_element(sl_str array, size_t i)
{
    size_t at = skip_blank(array, 0) + 1;

    for (;; i--) {
        at = skip_blank(array, at);
        if (at >= array.len || array.ptr[at] == ']')
            return STR("");
        size_t end = skip_value(array, at);
        if (i == 0)
            return (sl_str){ array.ptr + at, end - at };
        at = skip_blank(array, end) + 1;
    }
}
