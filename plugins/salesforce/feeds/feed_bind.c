/*
 * feed_bind.c - the kinds of feeds, and their parameters when a configuration is checked.
 */
#include "feed.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "rows/row.h"

#define MAX_COLUMNS 100
#define OVERLAP     "5m"
#define MAX_OVERLAP (INT64_C(86400000))

enum { KIND_QUERY, KIND_STOCK };

static const sl_option query_params[] = {
    { "object", SL_OPT_STRING, SL_OPT_REQUIRED, NULL, 0, 0, NULL,
      "API name of the object, such as Contact or My_Object__c" },
    { "fields", SL_OPT_STRINGS, SL_OPT_REQUIRED, NULL, 0, 0, NULL,
      "what to read of it, such as [Name, Account.Name]; Id and SystemModstamp come by themselves" },
    { "where", SL_OPT_STRING, 0, NULL, 0, 0, NULL, "a condition in SOQL: IsActive = true" },
    { "topic", SL_OPT_STRING, 0, "record/changed", 0, 0, NULL, "topic of the events" },
    { "begin", SL_OPT_ENUM, 0, "all", 0, 0, "all|now",
      "what the first poll takes: all that is there, or only what changes from then on" },
    { "overlap", SL_OPT_DURATION, 0, OVERLAP, 1000, MAX_OVERLAP, NULL,
      "read so far back again: a long transaction shows what it wrote long ago" },
    { "deleted", SL_OPT_BOOL, 0, "false", 0, 0, NULL, "deleted rows, too: then IsDeleted is read" },
    { 0 },
};

static const sl_option stock_params[] = {
    { "object", SL_OPT_STRING, 0, "Product2", 0, 0, NULL, "API name of the object with the stock" },
    { "sku", SL_OPT_STRING, 0, "StockKeepingUnit", 0, 0, NULL, "field with the article's number" },
    { "available", SL_OPT_STRING, SL_OPT_REQUIRED, NULL, 0, 0, NULL,
      "field with the quantity, such as Available__c" },
    { "location", SL_OPT_STRING, 0, NULL, 0, 0, NULL,
      "field with the place, such as Warehouse__r.Code__c; without it there is one place" },
    { "where", SL_OPT_STRING, 0, NULL, 0, 0, NULL, "a condition in SOQL: IsActive = true" },
    { "topic", SL_OPT_STRING, 0, "stock/changed", 0, 0, NULL, "topic of the events" },
    { "begin", SL_OPT_ENUM, 0, "all", 0, 0, "all|now",
      "what the first poll takes: all that is there, or only what changes from then on" },
    { "overlap", SL_OPT_DURATION, 0, OVERLAP, 1000, MAX_OVERLAP, NULL,
      "read so far back again: a long transaction shows what it wrote long ago" },
    { 0 },
};

const sl_feed feed_kinds[] = {
    [KIND_QUERY] = { "query", query_params, "rows of an object that have changed", 0, 0 },
    [KIND_STOCK] = { "stock", stock_params,
                     "stock kept in Salesforce: { sku, location, available, changed_at }", 0, 0 },
    { 0 },
};

void feed_unbind(void *handle)
{
    struct feed *f = handle;

    if (!f)
        return;
    for (size_t i = 0; f->columns && i < f->n_columns; i++)
        free(f->columns[i]);
    free(f->columns);
    free(f->object);
    free(f->topic);
    free(f->where);
    free(f);
}

static sl_status take(const sl_bind_in *in, const char *name, char **ret, sl_fail *fail)
{
    sl_str s = { 0 };

    if (in->values->str(in->params, name, &s) < 0)
        return SL_OK; /* optional: the table says so */
    if (s.len == 0)
        return sf_fail(fail, SL_E_INVALID, "%s is empty; leave it out", name);
    *ret = strndup(s.ptr, s.len);
    return *ret ? SL_OK : sf_fail(fail, SL_E_NO_MEMORY, "out of memory");
}

/* "Name", "Account.Owner.Name" */
static bool is_path(sl_str s)
{
    const char *end = s.ptr + s.len;

    for (const char *p = s.ptr; s.len > 0; p++) {
        const char *dot = memchr(p, '.', (size_t)(end - p));

        if (!is_api_name((sl_str){ p, (size_t)((dot ? dot : end) - p) }))
            return false;
        if (!dot)
            return true;
        p = dot;
    }
    return false;
}

/* Its place among the columns, where it is put if it is not there yet. */
static sl_status add_column(struct feed *f, const char *param, sl_str name, size_t *ret_place,
                            sl_fail *fail)
{
    if (!is_path(name))
        return sf_fail(fail, SL_E_INVALID,
                       "%s: \"%.*s\" is not the name of a field; it reads Name, My_Field__c or "
                       "Account.Name",
                       param, (int)(name.len < 80 ? name.len : 80), name.len ? name.ptr : "");
    for (size_t i = 0; i < f->n_columns; i++)
        if (str_same_nocase(str_of(f->columns[i]), name)) {
            *ret_place = i;
            return SL_OK;
        }
    if (f->n_columns == MAX_COLUMNS)
        return sf_fail(fail, SL_E_INVALID, "%s: more than %d fields", param, MAX_COLUMNS);
    f->columns[f->n_columns] = strndup(name.ptr, name.len);
    if (!f->columns[f->n_columns])
        return sf_fail(fail, SL_E_NO_MEMORY, "out of memory");
    *ret_place = f->n_columns++;
    return SL_OK;
}

static sl_status add_fields(const sl_bind_in *in, struct feed *f, sl_fail *fail)
{
    sl_str text = { 0 };
    size_t place, i;
    json_t *list, *one;
    sl_status r = SL_OK;

    in->values->json(in->params, "fields", &text);
    list = json_loadb(text.ptr ? text.ptr : "[]", text.ptr ? text.len : 2, 0, NULL);
    if (json_array_size(list) == 0)
        r = sf_fail(fail, SL_E_INVALID, "fields: name at least one, such as [Name]");
    json_array_foreach(list, i, one) if (r == SL_OK)
        r = add_column(f, "fields", str_of(json_string_value(one)), &place, fail);
    json_decref(list);
    if (r == SL_OK && f->deleted)
        r = add_column(f, "deleted", str_of("IsDeleted"), &place, fail);
    return r;
}

static sl_status add_stock(const sl_bind_in *in, struct feed *f, sl_fail *fail)
{
    static const char *const names[] = { "sku", "available", "location" };
    size_t *places[] = { &f->sku, &f->available, &f->location };

    for (size_t i = 0; i < 3; i++) {
        sl_str name;
        sl_status r;

        if (in->values->str(in->params, names[i], &name) < 0)
            continue;
        if ((r = add_column(f, names[i], name, places[i], fail)) < 0)
            return r;
    }
    return SL_OK;
}

static sl_status fill(const sl_bind_in *in, struct feed *f, sl_fail *fail)
{
    sl_str begin = { 0 };
    int64_t deleted = 0;
    size_t place;
    sl_status r;

    f->columns = calloc(MAX_COLUMNS + 1, sizeof(*f->columns));
    if (!f->columns)
        return sf_fail(fail, SL_E_NO_MEMORY, "out of memory");
    if ((r = take(in, "object", &f->object, fail)) < 0 ||
        (r = take(in, "topic", &f->topic, fail)) < 0 ||
        (r = take(in, "where", &f->where, fail)) < 0)
        return r;
    if (!is_api_name(str_of(f->object)))
        return sf_fail(fail, SL_E_INVALID,
                       "object: \"%.80s\" is not an API name; it reads Contact or My_Object__c",
                       f->object);
    if (strncmp(f->topic, "outbound/", 9) == 0 || strncmp(f->topic, "callout/", 8) == 0)
        return sf_fail(fail, SL_E_INVALID,
                       "topic: \"%.80s\" is what Salesforce itself sends; take another beginning",
                       f->topic);
    in->values->str(in->params, "begin", &begin);
    f->from_now = str_is(begin, "now");
    in->values->num(in->params, "overlap", &f->overlap_ms);
    if (!f->stock)
        in->values->num(in->params, "deleted", &deleted);
    f->deleted = deleted;
    if ((r = add_column(f, "fields", str_of("Id"), &place, fail)) < 0 ||
        (r = add_column(f, "fields", str_of("SystemModstamp"), &place, fail)) < 0)
        return r;
    return f->stock ? add_stock(in, f, fail) : add_fields(in, f, fail);
}

sl_status feed_bind(const sl_bind_in *in, void **ret_handle, sl_fail *fail)
{
    struct feed *f = calloc(1, sizeof(*f));
    sl_status r;

    if (!f)
        return sf_fail(fail, SL_E_NO_MEMORY, "out of memory");
    f->stock = in->action == KIND_STOCK;
    r = fill(in, f, fail);
    if (r == SL_OK)
        *ret_handle = f;
    else
        feed_unbind(f);
    return r;
}
