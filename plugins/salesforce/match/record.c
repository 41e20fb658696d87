/*
 * record.c - a body taken apart.
 */
#include "record.h"

#include <jansson.h>
#include <string.h>

#define MAX_VALUES 14

void record_finish(struct contact_record *r)
{
    text_finish(&r->fields);
    text_finish(&r->values);
    row_finish(&r->row);
    *r = (struct contact_record){ 0 };
}

/* ---- members that are not fields ----------------------------------------------------------- */

static const char *skip_blanks(const char *p, const char *end)
{
    while (p < end && strchr(" \t\r\n", *p))
        p++;
    return p;
}

/* Behind the string at p, or NULL. */
static const char *skip_string(const char *p, const char *end)
{
    for (p++; p < end; p++) {
        if (*p == '\\')
            p++;
        else if (*p == '"')
            return p + 1;
    }
    return NULL;
}

/* At the comma or brace behind the value at p, or NULL. */
static const char *skip_value(const char *p, const char *end)
{
    int depth = 0;

    while (p && p < end) {
        if (*p == '"') {
            p = skip_string(p, end);
            continue;
        }
        if (depth == 0 && (*p == ',' || *p == '}'))
            return p;
        depth += (*p == '{' || *p == '[') - (*p == '}' || *p == ']');
        p++;
    }
    return NULL;
}

struct extra {
    sl_str company, guest; /* values, with blanks around them */
};

static bool is_name(const char *p, const char *end, const char *name)
{
    return (size_t)(end - p) == strlen(name) + 2 && memcmp(p + 1, name, strlen(name)) == 0;
}

/* Copy all members but ours. What is no JSON object is copied whole: row_scan() says what is wrong
 * with it. */
static void split(struct text *fields, sl_str body, struct extra *ret)
{
    const char *p = body.ptr, *end = body.ptr + body.len, *name, *value, *behind;
    bool first = true;

    *ret = (struct extra){ 0 };
    p = body.len > 0 ? skip_blanks(p, end) : end;
    if (p == end || *p != '{')
        goto whole;
    text_char(fields, '{');
    for (p = skip_blanks(p + 1, end); p < end && *p == '"'; p = skip_blanks(behind + 1, end)) {
        name = p;
        p = skip_string(p, end);
        value = p ? skip_blanks(p, end) : end;
        if (value == end || *value != ':' || !(behind = skip_value(value + 1, end)))
            goto whole;
        if (is_name(name, p, "company")) {
            ret->company = (sl_str){ value + 1, (size_t)(behind - value - 1) };
        } else if (is_name(name, p, "guest")) {
            ret->guest = (sl_str){ value + 1, (size_t)(behind - value - 1) };
        } else {
            if (!first)
                text_char(fields, ',');
            first = false;
            text_add(fields, name, (size_t)(behind - name));
        }
        if (*behind == '}') {
            text_add(fields, behind, (size_t)(end - behind));
            return;
        }
    }
    if (first && p < end && *p == '}') {
        text_add(fields, p, (size_t)(end - p));
        return;
    }
whole:
    text_clear(fields);
    text_add(fields, body.ptr ? body.ptr : "", body.len);
    *ret = (struct extra){ 0 };
}

/* ---- values -------------------------------------------------------------------------------- */

struct value {
    sl_str *to;
    size_t at, len; /* in `values` */
};

static void take(struct contact_record *r, struct value *v, sl_str *to, const char *text, size_t n)
{
    *v = (struct value){ to, r->values.len, n };
    text_add(&r->values, text, n);
}

static bool read_company(struct contact_record *r, sl_str text, struct value *v, size_t *n,
                         char *why, size_t why_size)
{
    static const char *const names[] = { "name", "tax_id", "domain" };
    sl_str *to[] = { &r->raw.company, &r->raw.tax_id, &r->raw.domain };
    json_t *root = json_loadb(text.ptr, text.len, JSON_REJECT_DUPLICATES | JSON_DECODE_ANY, NULL);
    bool ok = json_is_object(root) || json_is_null(root);

    for (size_t i = 0; ok && i < 3; i++) {
        json_t *one = json_object_get(root, names[i]);

        if (json_is_string(one))
            take(r, &v[(*n)++], to[i], json_string_value(one), json_string_length(one));
        else
            ok = !one || json_is_null(one);
    }
    json_decref(root);
    if (!ok)
        say(why, why_size,
            "company is not {\"name\": TEXT, \"tax_id\": TEXT, \"domain\": TEXT}, each if known");
    return ok;
}

static void read_fields(struct contact_record *r, const char *external_id, struct value *v,
                        size_t *n)
{
    const struct {
        const char *field;
        sl_str *to;
    } known[] = {
        { external_id, &r->raw.external_id }, { "FirstName", &r->raw.first },
        { "LastName", &r->raw.last },         { "Email", &r->raw.email },
        { "Phone", &r->raw.phone[0] },        { "MobilePhone", &r->raw.phone[1] },
        { "AccountId", &r->raw.account },     { "MailingCountry", &r->raw.country },
    };

    for (size_t i = 0; i < r->row.n; i++) {
        const struct cell *c = &r->row.cells[i];

        r->has_account |= str_is_nocase(c->name, "Account") || str_is_nocase(c->name, "AccountId");
        for (size_t k = 0; c->sub.len == 0 && k < sizeof(known) / sizeof(known[0]); k++) {
            size_t at = r->values.len;

            if (!str_is_nocase(c->name, known[k].field) || *n == MAX_VALUES)
                continue;
            cell_decode(c, &r->values);
            v[(*n)++] = (struct value){ known[k].to, at, r->values.len - at };
        }
    }
}

sl_status record_read(struct contact_record *r, sl_str body, const char *external_id, char *why,
                      size_t why_size)
{
    struct value v[MAX_VALUES];
    struct extra extra;
    size_t n = 0;
    sl_status s;

    text_clear(&r->fields);
    text_clear(&r->values);
    r->raw = (struct raw_person){ 0 };
    r->has_account = false;
    split(&r->fields, body, &extra);
    if (r->fields.failed)
        return SL_E_NO_MEMORY;
    if ((s = row_scan(&r->row, text_view(&r->fields), why, why_size)) < 0)
        return s;
    r->guest = str_has_nocase(extra.guest, "true");
    if (extra.company.len > 0 && !read_company(r, extra.company, v, &n, why, why_size))
        return SL_E_INVALID;
    read_fields(r, external_id, v, &n);
    if (r->values.failed)
        return SL_E_NO_MEMORY;
    for (size_t i = 0; i < n; i++) /* now the text stays where it is */
        *v[i].to = v[i].len > 0 ? (sl_str){ r->values.ptr + v[i].at, v[i].len } : (sl_str){ 0 };
    if (r->raw.external_id.len > 0)
        return SL_OK;
    say(why, why_size,
        "%s is not in the record; map one, of a guest what names his order, such as \"guest-1042\"",
        external_id);
    return SL_E_INVALID;
}
