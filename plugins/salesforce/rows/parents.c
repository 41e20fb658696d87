/*
 * parents.c - which column names the parent, and the parent's key.
 */
#include "parents.h"

#include <string.h>

#include "keys.h"
#include "record_id.h"

/* ---- which column -------------------------------------------------------------------------- */

/* Where several columns name a parent: the one whose lock hurts. NULL: the record is itself what
 * others hang from. */
static const struct {
    const char *object, *column, *parent;
} known[] = {
    { "Account", NULL, NULL },
    { "Contact", "Account", "Account" },
    { "Opportunity", "Account", "Account" },
    { "Order", "Account", "Account" },
    { "Case", "Account", "Account" },
    { "Contract", "Account", "Account" },
    { "Asset", "Account", "Account" },
    { "AccountContactRelation", "Account", "Account" },
    { "OrderItem", "Order", "Order" },
    { "OpportunityLineItem", "Opportunity", "Opportunity" },
    { "OpportunityContactRole", "Opportunity", "Opportunity" },
    { "Quote", "Opportunity", "Opportunity" },
    { "QuoteLineItem", "Quote", "Quote" },
};

/* Named by all records, locked by none of them. */
static const char *const shared[] = { "Owner",          "RecordType", "Pricebook2",    "Product2",
                                      "PricebookEntry", "CreatedBy",  "LastModifiedBy" };

static bool ends_with(sl_str s, const char *tail)
{
    size_t n = strlen(tail);

    return s.len > n && str_is_nocase((sl_str){ s.ptr + s.len - n, n }, tail);
}

static sl_str cut(sl_str s, size_t n)
{
    return (sl_str){ s.ptr, s.len - n };
}

/* "Who" of "Lead:Who" */
static sl_str relation_of(sl_str name)
{
    const char *colon = memchr(name.ptr, ':', name.len);

    return colon ? (sl_str){ colon + 1, name.len - (size_t)(colon + 1 - name.ptr) } : name;
}

/* Is it the column "Account", be it spelt AccountId or Account.ERP_No__c? With a key field only
 * that one. */
static bool is_column(const struct cell *c, sl_str column, sl_str key)
{
    sl_str name = relation_of(c->name);

    if (key.len > 0)
        return str_same_nocase(name, column) && str_same_nocase(c->sub, key);
    if (str_same_nocase(name, column))
        return true;
    return c->sub.len == 0 && ends_with(name, "Id") && str_same_nocase(cut(name, 2), column);
}

static bool has_value(const struct cell *c)
{
    return c->kind != CELL_NULL && c->raw.len > 0;
}

static const struct cell *find(const struct row *row, sl_str column, sl_str key)
{
    for (size_t i = 0; i < row->n; i++)
        if (has_value(&row->cells[i]) && is_column(&row->cells[i], column, key))
            return &row->cells[i];
    return NULL;
}

/* As the route says: "Account", "AccountId", "Account.ERP_No__c" */
static const struct cell *find_named(const struct row *row, const char *name)
{
    const char *dot = strchr(name, '.');

    return dot ? find(row, (sl_str){ name, (size_t)(dot - name) }, str_of(dot + 1))
               : find(row, str_of(name), (sl_str){ 0 });
}

static bool is_shared(const struct cell *c)
{
    for (size_t i = 0; i < sizeof(shared) / sizeof(shared[0]); i++)
        if (is_column(c, str_of(shared[i]), (sl_str){ 0 }))
            return true;
    return false;
}

/* A parent by its key, or a standard look-up by an id: a custom one (Site__c) looks like any other
 * field. */
static bool is_relationship(const struct cell *c)
{
    char id[RECORD_ID_SIZE];

    if (!has_value(c))
        return false;
    if (c->sub.len > 0)
        return true;
    return c->kind == CELL_TEXT && ends_with(c->name, "Id") && record_id(c->raw, id);
}

static const struct cell *find_first(const struct row *row)
{
    for (size_t i = 0; i < row->n; i++)
        if (is_relationship(&row->cells[i]) && !is_shared(&row->cells[i]))
            return &row->cells[i];
    return NULL;
}

/* ---- its key ------------------------------------------------------------------------------- */

static void add_lower(struct text *to, sl_str s)
{
    for (size_t i = 0; i < s.len; i++)
        text_char(to, ascii_lower(s.ptr[i]));
}

/* What the column points at, as far as its name says: "Site__r" is a Site__c, "Lead:Who" a Lead,
 * "Parent" of a case is a case. */
static void add_object(struct text *to, const struct action *a, const struct cell *c)
{
    const char *colon = memchr(c->name.ptr, ':', c->name.len);
    sl_str name = c->name;

    if (colon) {
        add_lower(to, (sl_str){ name.ptr, (size_t)(colon - name.ptr) });
        return;
    }
    if (c->sub.len == 0 && ends_with(name, "Id"))
        name = cut(name, 2);
    if (str_is_nocase(name, "Parent")) {
        add_lower(to, str_of(a->object));
    } else if (ends_with(name, "__r")) {
        add_lower(to, cut(name, 1));
        text_char(to, 'c');
    } else {
        add_lower(to, name);
    }
}

static void add_value(struct text *to, const struct cell *c)
{
    size_t start = to->len;
    char id[RECORD_ID_SIZE];

    cell_decode(c, to);
    if (to->failed)
        return;
    if ((c->sub.len == 0 || str_is_nocase(c->sub, "Id")) &&
        record_id((sl_str){ to->ptr + start, to->len - start }, id)) {
        to->len = start;
        text_str(to, id);
    }
    for (size_t i = start; i < to->len; i++)
        to->ptr[i] = ascii_lower(to->ptr[i]);
}

static void add_parent(struct text *to, const struct action *a, const struct cell *c,
                       const char *object)
{
    if (object)
        add_lower(to, str_of(object));
    else
        add_object(to, a, c);
    text_char(to, '.');
    add_lower(to, c->sub.len > 0 ? c->sub : str_of("Id"));
    text_char(to, '=');
    add_value(to, c);
}

/* The record itself, as its children name it. */
static void add_own(struct text *to, const struct action *a, const struct row *row)
{
    size_t start = to->len;
    char why[64];

    add_lower(to, str_of(a->object));
    text_char(to, '.');
    add_lower(to, str_of(a->external_id));
    text_char(to, '=');
    if (key_of(row, a->external_id, to, why, sizeof(why)) < 0)
        to->len = start; /* it is rejected by itself: in nobody's way */
}

/* The column that names the parent; NULL: the record is its own. */
static const struct cell *find_parent(const struct action *a, const struct row *row,
                                      const char **ret_object)
{
    *ret_object = NULL;
    if (a->parent)
        return find_named(row, a->parent);
    for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++) {
        const struct cell *c;

        if (!str_is_nocase(str_of(a->object), known[i].object))
            continue;
        if (!known[i].column)
            return NULL;
        c = find(row, str_of(known[i].column), (sl_str){ 0 });
        if (c) {
            *ret_object = known[i].parent;
            return c;
        }
    }
    return find_first(row);
}

void parent_key_of(const struct action *a, const struct row *row, struct text *to)
{
    const char *object;
    const struct cell *c;

    if (a->parent && str_is(str_of(a->parent), "none"))
        return;
    c = find_parent(a, row, &object);
    if (c)
        add_parent(to, a, c, object);
    else
        add_own(to, a, row);
}

bool is_parent_column(sl_str name)
{
    const char *dot = name.len > 0 ? memchr(name.ptr, '.', name.len) : NULL;

    if (!dot)
        return is_api_name(name);
    return is_api_name((sl_str){ name.ptr, (size_t)(dot - name.ptr) }) &&
           is_api_name((sl_str){ dot + 1, name.len - (size_t)(dot + 1 - name.ptr) });
}
