/*
 * csv.c - columns, writer, reader.
 */
#include "csv.h"

#include <stdlib.h>
#include <string.h>

#define CLEAR "#N/A" /* how the Bulk API spells null */

/* ---- columns ------------------------------------------------------------------------------- */

void columns_finish(struct columns *c)
{
    for (size_t i = 0; i < c->n; i++)
        free(c->items[i].name);
    free(c->items);
    free(c->slots);
    *c = (struct columns){ 0 };
}

static uint32_t hash_add(uint32_t h, sl_str s)
{
    for (size_t i = 0; i < s.len; i++)
        h = (h ^ (uint8_t)ascii_lower(s.ptr[i])) * 16777619u;
    return h;
}

static uint32_t hash_name(sl_str name, sl_str sub)
{
    uint32_t h = hash_add(2166136261u, name);

    return sub.len > 0 ? hash_add((h ^ '.') * 16777619u, sub) : h;
}

static bool is_column(const struct column *c, sl_str name, sl_str sub)
{
    size_t len = name.len + (sub.len > 0 ? sub.len + 1 : 0);

    return c->name_len == len && str_same_nocase((sl_str){ c->name, name.len }, name) &&
           (sub.len == 0 || (c->name[name.len] == '.' &&
                             str_same_nocase((sl_str){ c->name + name.len + 1, sub.len }, sub)));
}

sl_status columns_find(const struct columns *c, sl_str name, sl_str sub, size_t *ret)
{
    size_t i;

    if (c->n_slots == 0)
        return SL_E_NOT_FOUND;
    for (i = hash_name(name, sub) % c->n_slots; c->slots[i]; i = (i + 1) % c->n_slots) {
        if (is_column(&c->items[c->slots[i] - 1], name, sub)) {
            *ret = c->slots[i] - 1;
            return SL_OK;
        }
    }
    return SL_E_NOT_FOUND;
}

static void put_slot(uint32_t *slots, size_t n_slots, const struct column *col, size_t index)
{
    size_t i = hash_name((sl_str){ col->name, col->name_len }, (sl_str){ 0 }) % n_slots;

    while (slots[i])
        i = (i + 1) % n_slots;
    slots[i] = (uint32_t)index + 1;
}

/* Room for one more; never more than half full. */
static bool grow(struct columns *c)
{
    size_t cap = c->cap ? c->cap * 2 : 32;
    struct column *items;
    uint32_t *slots;

    if (c->n < c->cap)
        return true;
    items = realloc(c->items, cap * sizeof(*items));
    if (!items)
        return false;
    c->items = items;
    slots = calloc(cap * 2, sizeof(*slots));
    if (!slots)
        return false;
    for (size_t i = 0; i < c->n; i++)
        put_slot(slots, cap * 2, &items[i], i);
    free(c->slots);
    c->slots = slots;
    c->n_slots = cap * 2;
    c->cap = cap;
    return true;
}

sl_status columns_add(struct columns *c, sl_str name, sl_str sub, size_t *ret)
{
    struct column *col;
    size_t len = name.len + (sub.len > 0 ? sub.len + 1 : 0);

    if (columns_find(c, name, sub, ret) == SL_OK)
        return SL_OK;
    if (!grow(c))
        return SL_E_NO_MEMORY;
    col = &c->items[c->n];
    *col = (struct column){ .name = malloc(len + 1), .name_len = len };
    if (!col->name)
        return SL_E_NO_MEMORY;
    memcpy(col->name, name.ptr, name.len);
    if (sub.len > 0) {
        col->name[name.len] = '.';
        memcpy(col->name + name.len + 1, sub.ptr, sub.len);
    }
    col->name[len] = '\0';
    put_slot(c->slots, c->n_slots, col, c->n);
    c->header_len += len + 1;
    *ret = c->n++;
    return SL_OK;
}

/* Forget the columns from index n on. */
static void drop_from(struct columns *c, size_t n)
{
    if (n == c->n)
        return;
    for (size_t i = n; i < c->n; i++) {
        c->header_len -= c->items[i].name_len + 1;
        free(c->items[i].name);
    }
    c->n = n;
    memset(c->slots, 0, c->n_slots * sizeof(*c->slots));
    for (size_t i = 0; i < n; i++)
        put_slot(c->slots, c->n_slots, &c->items[i], i);
}

sl_status columns_take(struct columns *c, const struct row *row, uint64_t serial, char *why,
                       size_t why_size)
{
    size_t more = 0, index, before = c->n;

    for (size_t i = 0; i < row->n; i++) {
        const struct cell *cell = &row->cells[i];

        if (columns_find(c, cell->name, cell->sub, &index) < 0)
            more += cell->name.len + cell->sub.len + 2;
    }
    if (c->header_len + more > CSV_MAX_HEADER) {
        say(why, why_size, "the header would pass Salesforce's limit of %d characters",
            CSV_MAX_HEADER);
        return SL_E_LIMIT;
    }
    for (size_t i = 0; i < row->n; i++) {
        const struct cell *cell = &row->cells[i];
        sl_status r = columns_add(c, cell->name, cell->sub, &index);

        if (r < 0) {
            say(why, why_size, "out of memory");
            drop_from(c, before);
            return r;
        }
        if (c->items[index].seen == serial) {
            say(why, why_size, "field %s is there twice (names are compared without case)",
                c->items[index].name);
            drop_from(c, before);
            return SL_E_INVALID;
        }
        c->items[index].seen = serial;
    }
    return SL_OK;
}

/* ---- writing ------------------------------------------------------------------------------- */

/* The Bulk API takes a CR inside a value for a wrong line ending: CRLF and CR become LF. */
static void add_quoted(struct text *to, sl_str value)
{
    const char *p = value.ptr, *end = p + value.len, *from = p;

    text_char(to, '"');
    for (; p < end; p++) {
        if (*p != '"' && *p != '\r')
            continue;
        text_add(to, from, (size_t)(p - from));
        from = p + 1;
        if (*p == '"')
            text_add(to, "\"\"", 2);
        else if (p + 1 == end || p[1] != '\n')
            text_char(to, '\n');
    }
    text_add(to, from, (size_t)(end - from));
    text_char(to, '"');
}

void csv_value(struct text *to, sl_str value)
{
    for (size_t i = 0; i < value.len; i++) {
        char c = value.ptr[i];

        if (c == ',' || c == '"' || c == '\n' || c == '\r') {
            add_quoted(to, value);
            return;
        }
    }
    text_add(to, value.ptr, value.len);
}

void csv_header(struct text *to, const struct columns *columns)
{
    for (size_t i = 0; i < columns->n; i++) {
        if (i > 0)
            text_char(to, ',');
        text_add(to, columns->items[i].name, columns->items[i].name_len);
    }
    text_char(to, '\n');
}

/* However it is escaped: #N\/A, \u0023N/A */
static bool is_clear(const struct cell *c)
{
    struct text value = { 0 };
    bool is;

    if (c->kind != CELL_TEXT || c->raw.len < strlen(CLEAR) || c->raw.len > 6 * strlen(CLEAR) ||
        (c->raw.ptr[0] != '#' && c->raw.ptr[0] != '\\'))
        return false;
    cell_decode(c, &value);
    is = str_is(text_view(&value), CLEAR);
    text_finish(&value);
    return is;
}

sl_status csv_check(const struct row *row, char *why, size_t why_size)
{
    for (size_t i = 0; i < row->n; i++) {
        const struct cell *c = &row->cells[i];

        if (!is_clear(c))
            continue;
        say(why, why_size,
            "field %.*s is the text " CLEAR
            ", by which the Bulk API clears a field: leave it out in "
            "the route's map, or send null to clear it",
            (int)c->name.len, c->name.ptr);
        return SL_E_INVALID;
    }
    return SL_OK;
}

void csv_row(struct text *to, struct columns *columns, const struct row *row, uint64_t serial,
             struct text *scratch)
{
    size_t index;

    for (size_t i = 0; i < row->n; i++) {
        const struct cell *cell = &row->cells[i];

        if (columns_find(columns, cell->name, cell->sub, &index) < 0)
            continue;
        columns->items[index].seen = serial;
        columns->items[index].cell = cell;
    }
    for (size_t i = 0; i < columns->n; i++) {
        const struct column *col = &columns->items[i];

        if (i > 0)
            text_char(to, ',');
        if (col->seen != serial)
            continue;
        text_clear(scratch);
        cell_decode(col->cell, scratch);
        if (scratch->len == 0)
            text_str(to, CLEAR);
        else
            csv_value(to, text_view(scratch));
        to->failed |= scratch->failed;
    }
    text_char(to, '\n');
}

/* ---- reading ------------------------------------------------------------------------------- */

void csv_open(struct csv_reader *r, char *text, size_t len)
{
    *r = (struct csv_reader){ .p = text, .end = text + len };
    if (len >= 3 && memcmp(text, "\xef\xbb\xbf", 3) == 0)
        r->p += 3;
}

void csv_finish(struct csv_reader *r)
{
    free(r->fields);
    *r = (struct csv_reader){ 0 };
}

static bool add_field(struct csv_reader *r, char *start, char *end)
{
    if (r->n == r->cap) {
        size_t cap = r->cap ? r->cap * 2 : 32;
        sl_str *fields = realloc(r->fields, cap * sizeof(*fields));

        if (!fields)
            return false;
        r->fields = fields;
        r->cap = cap;
    }
    r->fields[r->n++] = (sl_str){ start, (size_t)(end - start) };
    return true;
}

/* The field at p, whose opening quote is read, moved together in place. NULL: never closed. */
static char *unquote(struct csv_reader *r, char *start)
{
    char *to = start;

    for (char *from = start; from < r->end; from++) {
        if (*from != '"') {
            *to++ = *from;
        } else if (from + 1 < r->end && from[1] == '"') {
            *to++ = '"';
            from++;
        } else {
            r->p = from + 1;
            return to;
        }
    }
    return NULL;
}

static bool at_break(const struct csv_reader *r)
{
    return r->p < r->end &&
           (*r->p == '\n' || (*r->p == '\r' && (r->p + 1 == r->end || r->p[1] == '\n')));
}

static void skip_break(struct csv_reader *r)
{
    if (r->p < r->end && *r->p == '\r')
        r->p++;
    if (r->p < r->end && *r->p == '\n')
        r->p++;
}

int csv_next(struct csv_reader *r)
{
    r->n = 0;
    while (at_break(r))
        skip_break(r);
    if (r->p == r->end)
        return 0;
    for (;;) {
        char *start = r->p, *end;

        if (r->p < r->end && *r->p == '"') {
            start++;
            end = unquote(r, start);
            if (!end)
                return SL_E_INVALID;
        } else {
            while (r->p < r->end && *r->p != ',' && !at_break(r))
                r->p++;
            end = r->p;
        }
        if (!add_field(r, start, end))
            return SL_E_NO_MEMORY;
        if (r->p < r->end && *r->p == ',') {
            r->p++;
            continue;
        }
        if (r->p < r->end && !at_break(r))
            return SL_E_INVALID;
        skip_break(r);
        return 1;
    }
}
