/*
 * description.c - reading it in pieces, finding fields, checking records against it.
 */
#include "description.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define TURN_BYTES 65536 /* read in one turn: parsing them takes less than a millisecond */

void description_finish(struct description *d)
{
    for (size_t i = 0; i < d->n; i++) {
        free(d->fields[i].name);
        free(d->fields[i].relationship);
    }
    free(d->fields);
    *d = (struct description){ 0 };
}

/* ---- fields -------------------------------------------------------------------------------- */

static int compare_fields(const void *a, const void *b)
{
    return strcasecmp(((const struct field_info *)a)->name, ((const struct field_info *)b)->name);
}

static int compare_name(sl_str name, const char *with)
{
    size_t n = strlen(with);
    int r = strncasecmp(name.ptr, with, name.len < n ? name.len : n);

    return r ? r : name.len < n ? -1 : name.len > n;
}

const struct field_info *description_field(const struct description *d, sl_str name)
{
    size_t low = 0, high = name.len > 0 ? d->n : 0;

    while (low < high) {
        size_t middle = low + (high - low) / 2;
        int r = compare_name(name, d->fields[middle].name);

        if (r == 0)
            return &d->fields[middle];
        if (r < 0)
            high = middle;
        else
            low = middle + 1;
    }
    return NULL;
}

const struct field_info *description_parent(const struct description *d, sl_str relationship)
{
    const char *colon = relationship.len ? memchr(relationship.ptr, ':', relationship.len) : NULL;
    sl_str name = relationship;

    if (colon)
        name = (sl_str){ colon + 1, relationship.len - (size_t)(colon + 1 - relationship.ptr) };
    for (size_t i = 0; i < d->n; i++)
        if (d->fields[i].relationship && str_is_nocase(name, d->fields[i].relationship))
            return &d->fields[i];
    return NULL;
}

static bool is_true(const json_t *o, const char *name)
{
    return json_is_true(json_object_get(o, name));
}

/* Bounded by characters are texts; a lookup's 18, a number's digits and what a date needs are not
 * what `length` says of them. */
static uint32_t length_of(const json_t *o)
{
    static const char *const texts[] = { "string", "textarea", "email",          "phone",
                                         "url",    "combobox", "encryptedstring" };
    const char *type = json_string_value(json_object_get(o, "type"));
    json_int_t length = json_integer_value(json_object_get(o, "length"));

    for (size_t i = 0; type && i < sizeof(texts) / sizeof(texts[0]); i++)
        if (strcmp(type, texts[i]) == 0)
            return length > 0 && length < INT32_MAX ? (uint32_t)length : 0;
    return 0;
}

static uint32_t flags_of(const json_t *o)
{
    bool createable = is_true(o, "createable");
    bool required = createable && json_is_false(json_object_get(o, "nillable")) &&
                    !is_true(o, "defaultedOnCreate");
    const char *type = json_string_value(json_object_get(o, "type"));

    if (type && strcmp(type, "boolean") == 0)
        required = false; /* never null, and false if it is not given */
    return (createable ? FIELD_CREATEABLE : 0) | (is_true(o, "updateable") ? FIELD_UPDATEABLE : 0) |
           (is_true(o, "externalId") ? FIELD_EXTERNAL_ID : 0) |
           (is_true(o, "idLookup") ? FIELD_ID_LOOKUP : 0) |
           (is_true(o, "unique") ? FIELD_UNIQUE : 0) | (required ? FIELD_REQUIRED : 0);
}

static char *own(const char *s)
{
    return s ? strdup(s) : NULL;
}

static bool add_field(struct description *d, const json_t *o)
{
    const char *name = json_string_value(json_object_get(o, "name"));
    const char *relationship = json_string_value(json_object_get(o, "relationshipName"));
    struct field_info *f;

    if (!name)
        return true; /* nothing that could be named */
    if (d->n == d->cap) {
        size_t cap = d->cap ? d->cap * 2 : 64;
        struct field_info *fields = realloc(d->fields, cap * sizeof(*fields));

        if (!fields)
            return false;
        d->fields = fields;
        d->cap = cap;
    }
    f = &d->fields[d->n];
    *f = (struct field_info){ .name = own(name),
                              .relationship = own(relationship),
                              .length = length_of(o),
                              .flags = flags_of(o),
                              .polymorphic = json_array_size(json_object_get(o, "referenceTo")) >
                                             1 };
    if (!f->name || (relationship && !f->relationship)) {
        free(f->name);
        free(f->relationship);
        return false;
    }
    d->n++;
    return true;
}

/* ---- reading ------------------------------------------------------------------------------- */

enum step { AT_START, AT_KEY, AT_VALUE, IN_VALUE, AT_FIELD, IN_FIELD, AT_END };

sl_status reading_open(struct reading *r, sl_str body)
{
    *r = (struct reading){ .len = body.len };
    r->text = malloc(body.len + 1);
    if (!r->text)
        return SL_E_NO_MEMORY;
    if (body.len > 0)
        memcpy(r->text, body.ptr, body.len);
    return SL_OK;
}

void reading_finish(struct reading *r)
{
    free(r->text);
    description_finish(&r->out);
    *r = (struct reading){ 0 };
}

static void skip_blanks(struct reading *r)
{
    while (r->at < r->len && strchr(" \t\r\n", r->text[r->at]) && r->text[r->at])
        r->at++;
}

static bool take(struct reading *r, char c)
{
    skip_blanks(r);
    if (r->at == r->len || r->text[r->at] != c)
        return false;
    r->at++;
    return true;
}

/* One more character of a value, which may be any. True: the value ended before it. */
static bool value_ends(struct reading *r, char c)
{
    if (r->in_string) {
        if (r->escaped)
            r->escaped = false;
        else if (c == '\\')
            r->escaped = true;
        else if (c == '"')
            r->in_string = false;
        return false;
    }
    if (r->depth == 0 && (c == ',' || c == '}' || c == ']'))
        return true;
    if (c == '"')
        r->in_string = true;
    else if (c == '{' || c == '[')
        r->depth++;
    else if (c == '}' || c == ']')
        r->depth--;
    return false;
}

/* To the end of the value under way, or of this turn's share. True: it is whole, and `text` from
 * `begins` to `at` is it. */
static bool walk(struct reading *r, size_t until)
{
    for (; r->at < until; r->at++)
        if (value_ends(r, r->text[r->at]))
            return true;
    return false;
}

static void begin_value(struct reading *r, int step)
{
    skip_blanks(r);
    r->begins = r->at;
    r->depth = 0;
    r->in_string = r->escaped = false;
    r->step = step;
}

/* "name": names of members have no escapes; one that is longer than any of ours is none of them */
static bool take_key(struct reading *r)
{
    size_t from;

    if (!take(r, '"'))
        return false;
    from = r->at;
    while (r->at < r->len && r->text[r->at] != '"')
        r->at++;
    say(r->key, sizeof(r->key), "%.*s", (int)(r->at - from < 31 ? r->at - from : 31),
        r->text + from);
    return take(r, '"') && take(r, ':');
}

static bool value_is(const struct reading *r, const char *word)
{
    return r->at - r->begins >= strlen(word) &&
           memcmp(r->text + r->begins, word, strlen(word)) == 0;
}

static void take_member(struct reading *r)
{
    if (strcmp(r->key, "createable") == 0)
        r->out.createable = value_is(r, "true");
    else if (strcmp(r->key, "updateable") == 0)
        r->out.updateable = value_is(r, "true");
    else if (strcmp(r->key, "deletable") == 0)
        r->out.deletable = value_is(r, "true");
}

static sl_status take_one_field(struct reading *r)
{
    json_t *o = json_loadb(r->text + r->begins, r->at - r->begins, 0, NULL);
    bool ok = json_is_object(o);
    bool kept = ok && add_field(&r->out, o);

    json_decref(o);
    return !ok ? SL_E_INVALID : kept ? SL_OK : SL_E_NO_MEMORY;
}

/* After a value: the next member, or the end. */
static bool next_member(struct reading *r)
{
    if (take(r, ','))
        r->step = AT_KEY;
    else if (take(r, '}'))
        r->step = AT_END;
    else
        return false;
    return true;
}

static bool next_field(struct reading *r)
{
    if (take(r, ',')) {
        begin_value(r, IN_FIELD);
        return true;
    }
    return take(r, ']') && next_member(r);
}

/* 1: go on; SL_OK: this turn's share is used up, or the end is there; negative: an error */
static int step(struct reading *r, size_t until)
{
    sl_status s;

    switch (r->step) {
    case AT_START:
        r->step = AT_KEY;
        return take(r, '{') ? 1 : SL_E_INVALID;
    case AT_KEY:
        r->step = AT_VALUE;
        return take_key(r) ? 1 : SL_E_INVALID;
    case AT_VALUE:
        if (strcmp(r->key, "fields") == 0 && take(r, '[')) {
            r->saw_fields = true;
            r->step = AT_FIELD;
        } else {
            begin_value(r, IN_VALUE);
        }
        return 1;
    case IN_VALUE:
        if (!walk(r, until))
            return r->at == r->len ? SL_E_INVALID : SL_OK;
        take_member(r);
        return next_member(r) ? 1 : SL_E_INVALID;
    case AT_FIELD:
        if (take(r, ']'))
            return next_member(r) ? 1 : SL_E_INVALID;
        begin_value(r, IN_FIELD);
        return 1;
    case IN_FIELD:
        if (!walk(r, until))
            return r->at == r->len ? SL_E_INVALID : SL_OK;
        s = take_one_field(r);
        if (s < 0)
            return s;
        return next_field(r) ? 1 : SL_E_INVALID;
    default:
        return SL_OK;
    }
}

int reading_turn(struct reading *r, struct description *ret)
{
    size_t until = r->at + TURN_BYTES < r->len ? r->at + TURN_BYTES : r->len;
    int s = 1;

    while (s > 0 && r->step != AT_END && r->at <= until)
        s = r->at == until && until < r->len ? SL_OK : step(r, until);
    if (s < 0)
        return s;
    if (r->step != AT_END)
        return 1;
    if (!r->saw_fields || r->out.n == 0)
        return SL_E_INVALID;
    qsort(r->out.fields, r->out.n, sizeof(*r->out.fields), compare_fields);
    *ret = r->out;
    r->out = (struct description){ 0 };
    return SL_OK;
}

/* ---- checking a record --------------------------------------------------------------------- */

size_t cell_units(const struct cell *c)
{
    const char *p = c->raw.ptr, *end = p + c->raw.len;
    size_t units = 0;

    while (p < end) {
        if (*p == '\\') { /* a surrogate pair is two of them; CR LF goes out as one LF */
            bool crlf = end - p >= 4 && memcmp(p, "\\r\\n", 4) == 0;

            p += p[1] == 'u' ? 6 : crlf ? 4 : 2;
            units++;
        } else {
            size_t n = utf8_length(p, end);

            units += n == 4 ? 2 : 1;
            p += n > 0 ? n : 1;
        }
    }
    return units;
}

/* "Account.Ext__c" */
static sl_status check_parent(const struct description *d, const struct action *a,
                              const struct cell *c, char *why, size_t why_size)
{
    const struct field_info *f = description_parent(d, c->name);

    if (f && !f->polymorphic && memchr(c->name.ptr, ':', c->name.len)) {
        say(why, why_size,
            "%s of %s always is the same object: write {\"%s\": {...}} in the route's map, without "
            "its type (the whole job would fail)",
            f->relationship, a->object, f->relationship);
        return SL_E_INVALID;
    }
    if (f)
        return SL_OK;
    say(why, why_size,
        "%s has no parent called %.*s: correct it in the route's map (a custom lookup Foo__c is "
        "called Foo__r), or give the integration user access to it",
        a->object, (int)c->name.len, c->name.ptr);
    return SL_E_INVALID;
}

static bool is_written(const struct action *a, const struct field_info *f)
{
    switch (a->op) {
    case OP_INSERT:
        return f->flags & FIELD_CREATEABLE;
    case OP_UPDATE:
        return f->flags & FIELD_UPDATEABLE;
    default: /* an upsert does either: some fields are only for the first */
        return f->flags & (FIELD_CREATEABLE | FIELD_UPDATEABLE);
    }
}

static sl_status check_cell(const struct description *d, const struct action *a,
                            const struct cell *c, char *why, size_t why_size)
{
    const struct field_info *f = description_field(d, c->name);
    bool is_key = str_is_nocase(c->name, a->external_id) || str_is_nocase(c->name, "Id");

    if (!f) {
        say(why, why_size,
            "%s has no field %.*s, or the integration user has no access to it: correct it in the "
            "route's map, or give access (the whole job would fail)",
            a->object, (int)c->name.len, c->name.ptr);
        return SL_E_INVALID;
    }
    if (!is_key && !is_written(a, f)) {
        say(why, why_size,
            "%s.%s cannot be written by the integration user: leave it out in the route's map, or "
            "give access to it",
            a->object, f->name);
        return SL_E_INVALID;
    }
    if (f->length > 0 && c->kind == CELL_TEXT && c->raw.len > f->length &&
        cell_units(c) > f->length) {
        say(why, why_size,
            "%s.%s is %zu characters long and takes at most %u: shorten it in the route's map, such "
            "as .[0:%u]",
            a->object, f->name, cell_units(c), (unsigned)f->length, (unsigned)f->length);
        return SL_E_INVALID;
    }
    return SL_OK;
}

sl_status description_check(const struct description *d, const struct action *a,
                            const struct row *row, char *why, size_t why_size)
{
    sl_status r = SL_OK;

    if (a->op == OP_DELETE)
        return SL_OK; /* an Id, and nothing else */
    for (size_t i = 0; r == SL_OK && i < row->n; i++)
        r = row->cells[i].sub.len > 0 ? check_parent(d, a, &row->cells[i], why, why_size)
                                      : check_cell(d, a, &row->cells[i], why, why_size);
    return r;
}
