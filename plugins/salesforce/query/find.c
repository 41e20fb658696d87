/*
 * find.c - see find.h.
 */
#include "find.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "rows/records.h"
#include "salesforce.h"

#define KEYS       200   /* of one question of the host's */
#define URI_BYTES  15000 /* Salesforce takes 16,384, and the instance's address goes before */
#define PAGE_ROWS  500   /* keeps the reading of a page below 5 ms */
#define PAGES_MOST 200   /* of one list: a `many` that is no look-up any more */
#define PATH_BYTES 255

static const sl_option params[] = {
    { "find", SL_OPT_STRING, SL_OPT_REQUIRED, NULL, 0, 0, NULL,
      "API name of the object, such as PricebookEntry" },
    { "by", SL_OPT_STRING, SL_OPT_REQUIRED, NULL, 0, 0, NULL,
      "the text field that has the key, such as Product2.StockKeepingUnit" },
    { "fields", SL_OPT_STRINGS, SL_OPT_REQUIRED, NULL, 0, 0, NULL,
      "what a row is to have, besides Id and the key's field" },
    { "where", SL_OPT_MAP, 0, NULL, 0, 0, NULL,
      "field to value: only rows that have it; true, false, null and numbers stand as they are, "
      "\"'5'\" is a text" },
    { "many", SL_OPT_BOOL, 0, "false", 0, 0, NULL,
      "several rows may have a key: a list of them; without it that is an error" },
    { 0 },
};

/** A `with` of a route. */
struct finder {
    char *by;
    char *head; /* "SELECT ... FROM ... WHERE by IN (" */
    char *tail; /* ") AND ..." */
    bool many;
};

struct asked {
    sl_str key;
    struct text rows, ids; /* what was found: JSON, and the records' names */
    uint32_t n;
    bool too_long;
};

/** One question. */
struct find {
    struct find *next, **before; /* sf->finds */
    const struct finder *what;
    struct asked *asked;
    size_t n, at, from; /* keys; the next to ask for; the first of this call */
    struct text url;
    struct call call;
    unsigned pages;
    sl_find_cb cb;
    void *ctx;
};

/* ---- SOQL ---------------------------------------------------------------------------------- */

/** Between quotes, as SOQL reads it. */
static void put_escaped(struct text *to, sl_str s)
{
    for (size_t i = 0; i < s.len; i++) {
        char c = s.ptr[i];

        if (c == '\'' || c == '\\')
            text_char(to, '\\');
        if (c == '\n')
            text_str(to, "\\n");
        else if (c == '\r')
            text_str(to, "\\r");
        else if (c == '\t')
            text_str(to, "\\t");
        else
            text_char(to, c);
    }
}

static void put_text(struct text *to, sl_str s)
{
    text_char(to, '\'');
    put_escaped(to, s);
    text_char(to, '\'');
}

static bool is_number(const char *s)
{
    const char *p = s + (*s == '-');
    size_t whole = strspn(p, "0123456789");

    p += whole;
    if (*p == '.') {
        size_t part = strspn(++p, "0123456789");
        whole = part ? whole : 0;
        p += part;
    }
    return whole && !*p;
}

/** A value of `where`. */
static void put_value(struct text *to, const char *v)
{
    size_t n = strlen(v);

    if (!strcmp(v, "true") || !strcmp(v, "false") || !strcmp(v, "null") || is_number(v))
        text_str(to, v);
    else if (n >= 2 && v[0] == '\'' && v[n - 1] == '\'')
        put_text(to, (sl_str){ v + 1, n - 2 });
    else
        put_text(to, str_of(v));
}

/** A field, also of a parent: "Product2.StockKeepingUnit". */
static bool is_path(sl_str s)
{
    const char *p = s.ptr, *end = s.ptr + s.len;

    if (!s.len || s.len > PATH_BYTES)
        return false;
    while (p < end) {
        const char *dot = memchr(p, '.', (size_t)(end - p));
        if (!is_api_name((sl_str){ p, (size_t)((dot ? dot : end) - p) }) || (dot && dot + 1 == end))
            return false;
        p = dot ? dot + 1 : end;
    }
    return true;
}

/* ---- bind ---------------------------------------------------------------------------------- */

static void find_unbind(void *handle)
{
    struct finder *x = handle;

    if (!x)
        return;
    free(x->by);
    free(x->head);
    free(x->tail);
    free(x);
}

static sl_status refuse_name(const char *where, sl_str s, const char *example, sl_fail *fail)
{
    return sf_fail(fail, SL_E_INVALID, "%s: \"%.*s\" is not an API name; it reads %s", where,
                   (int)(s.len < 120 ? s.len : 120), s.len ? s.ptr : "", example);
}

/** Is it among those before it, as Salesforce compares names? */
static bool is_said(const json_t *fields, size_t n, const char *by, const char *name)
{
    if (str_same_nocase(str_of(name), str_of("Id")) || str_same_nocase(str_of(name), str_of(by)))
        return true;
    for (size_t i = 0; i < n; i++)
        if (str_same_nocase(str_of(json_string_value(json_array_get(fields, i))), str_of(name)))
            return true;
    return false;
}

static sl_status bind_head(const sl_bind_in *in, struct finder *x, struct text *to, sl_fail *fail)
{
    sl_str object = { 0 }, by = { 0 }, list = { 0 };
    json_t *fields = NULL, *one;
    sl_status r = SL_OK;
    size_t i;

    in->values->str(in->params, "find", &object);
    in->values->str(in->params, "by", &by);
    in->values->json(in->params, "fields", &list);
    if (!is_api_name(object))
        return refuse_name("find", object, "PricebookEntry or My_Object__c", fail);
    if (!is_path(by))
        return refuse_name("by", by, "ERP_No__c or Product2.StockKeepingUnit", fail);
    x->by = strndup(by.ptr, by.len);
    fields = json_loadb(list.ptr ? list.ptr : "", list.len, 0, NULL);
    if (!x->by || !fields) {
        json_decref(fields);
        return sf_fail(fail, SL_E_NO_MEMORY, "out of memory");
    }
    text_str(to, "SELECT Id");
    if (!str_same_nocase(by, str_of("Id")))
        text_printf(to, ",%s", x->by);
    json_array_foreach(fields, i, one)
    {
        sl_str name = { json_string_value(one), json_string_length(one) };
        if (r == SL_OK && !is_path(name))
            r = refuse_name("fields", name, "Id, UnitPrice or Product2.Name", fail);
        if (r == SL_OK && !is_said(fields, i, x->by, name.ptr))
            text_printf(to, ",%s", name.ptr);
    }
    text_printf(to, " FROM %.*s WHERE %s IN (", (int)object.len, object.ptr, x->by);
    json_decref(fields);
    return r;
}

static sl_status bind_tail(const sl_bind_in *in, struct text *to, sl_fail *fail)
{
    sl_str map = { 0 };
    json_t *where = NULL, *value;
    const char *name;
    sl_status r = SL_OK;

    text_char(to, ')');
    if (in->values->json(in->params, "where", &map) < 0 || !map.len)
        return SL_OK;
    where = json_loadb(map.ptr, map.len, 0, NULL);
    json_object_foreach(where, name, value)
    {
        if (r == SL_OK && !is_path(str_of(name)))
            r = refuse_name("where", str_of(name), "Pricebook2Id or Pricebook2.IsStandard", fail);
        text_printf(to, " AND %s = ", name);
        put_value(to, json_string_value(value) ? json_string_value(value) : "");
    }
    json_decref(where);
    return r;
}

static sl_status find_bind(const sl_bind_in *in, void **ret_handle, sl_fail *fail)
{
    struct finder *x = calloc(1, sizeof(*x));
    struct text head = { 0 }, tail = { 0 };
    int64_t many = 0;
    sl_status r = SL_E_NO_MEMORY;

    if (!x || (r = bind_head(in, x, &head, fail)) < 0 || (r = bind_tail(in, &tail, fail)) < 0)
        goto out;
    in->values->num(in->params, "many", &many);
    x->many = many;
    if (head.failed || tail.failed) {
        r = sf_fail(fail, SL_E_NO_MEMORY, "out of memory");
        goto out;
    }
    if (3 * (head.len + tail.len) > URI_BYTES / 2) {
        r = sf_fail(fail, SL_E_INVALID,
                    "fields and where are too long: no room is left for keys in a query");
        goto out;
    }
    x->head = head.ptr;
    x->tail = tail.ptr;
    *ret_handle = x;
    return SL_OK;
out:
    text_finish(&head);
    text_finish(&tail);
    find_unbind(x);
    return r;
}

/* ---- told ---------------------------------------------------------------------------------- */

static void find_free(struct find *q)
{
    *q->before = q->next;
    if (q->next)
        q->next->before = q->before;
    for (size_t i = 0; i < q->n; i++) {
        text_finish(&q->asked[i].rows);
        text_finish(&q->asked[i].ids);
    }
    free(q->asked);
    text_finish(&q->url);
    free(q);
}

static void tell_not(struct find *q, uint32_t verdict, int64_t after_ms, const char *why)
{
    sl_found a = {
        .size = sizeof(a), .verdict = verdict, .after_ms = after_ms, .why = str_of(why)
    };

    q->cb(q->ctx, &a);
    find_free(q);
}

/** What stands against one key; empty: nothing. */
static void say_wrong(const struct find *q, const struct asked *k, struct text *to)
{
    if (k->too_long)
        text_str(to, "the key is too long to be looked up");
    else if (k->n > 1 && !q->what->many)
        text_printf(to,
                    "%u records have it in %s: %s; one must go, or \"where\" must tell them "
                    "apart",
                    k->n, q->what->by, k->ids.ptr);
}

static void tell_all(struct find *q)
{
    sl_found_row *rows = calloc(q->n + 1, sizeof(*rows));
    struct text *errors = calloc(q->n + 1, sizeof(*errors));
    sl_found a = { .size = sizeof(a), .verdict = SL_FIND_DONE, .rows = rows, .n_rows = q->n };
    bool failed = !rows || !errors;

    for (size_t i = 0; !failed && i < q->n; i++) {
        struct asked *k = &q->asked[i];
        say_wrong(q, k, &errors[i]);
        if (q->what->many && k->n)
            text_char(&k->rows, ']');
        rows[i] = (sl_found_row){ k->key, text_view(&k->rows), text_view(&errors[i]) };
        failed = k->rows.failed || k->ids.failed || errors[i].failed;
    }
    if (!failed)
        q->cb(q->ctx, &a);
    for (size_t i = 0; errors && i < q->n; i++)
        text_finish(&errors[i]);
    free(errors);
    free(rows);
    if (failed)
        tell_not(q, SL_FIND_AGAIN, 0, "out of memory");
    else
        find_free(q);
}

/* ---- asking -------------------------------------------------------------------------------- */

static void on_page(void *ctx, const struct answer *a);

static void send_page(struct find *q, sl_str url)
{
    struct salesforce *sf = q->call.sf;

    q->call = (struct call){ .sf = sf,
                             .method = str_of("GET"),
                             .long_path = url.ptr,
                             .accept = "application/json",
                             .page_rows = PAGE_ROWS,
                             .cb = on_page,
                             .ctx = q };
    call_start(&q->call);
}

/** The next keys, as many as the address holds. */
static void send_next(struct find *q)
{
    struct text soql = { 0 };
    const struct finder *x = q->what;

    text_clear(&q->url);
    text_printf(&q->url, "/services/data/v%.*s/query?q=", (int)q->call.sf->api_version.len,
                q->call.sf->api_version.ptr);
    text_str(&soql, x->head);
    put_query(&q->url, text_view(&soql));
    for (q->from = q->at; q->at < q->n; q->at++) {
        size_t before = q->url.len;
        text_clear(&soql);
        if (q->at > q->from)
            text_char(&soql, ',');
        put_text(&soql, q->asked[q->at].key);
        put_query(&q->url, text_view(&soql));
        if (q->url.len + 3 * strlen(x->tail) <= URI_BYTES)
            continue;
        q->url.len = before;
        q->url.ptr[before] = '\0';
        break;
    }
    if (q->at == q->from) { /* alone it does not fit */
        text_finish(&soql);
        q->asked[q->at++].too_long = true;
        if (q->at < q->n)
            send_next(q);
        else
            tell_all(q);
        return;
    }
    text_clear(&soql);
    text_str(&soql, x->tail);
    put_query(&q->url, text_view(&soql));
    q->url.failed |= soql.failed;
    text_finish(&soql);
    q->pages = 0;
    if (q->url.failed)
        tell_not(q, SL_FIND_AGAIN, 0, "out of memory");
    else
        send_page(q, text_view(&q->url));
}

/* ---- answered ------------------------------------------------------------------------------ */

/** One record, for all keys that it has: two that differ in case alone are the same to
 *  Salesforce. */
static void take_record(void *ctx, const json_t *record, sl_str raw)
{
    struct find *q = ctx;
    sl_str value = record_text(record, q->what->by), id = record_text(record, "Id");

    for (size_t i = q->from; i < q->at; i++) {
        struct asked *k = &q->asked[i];
        if (!str_same_nocase(k->key, value))
            continue;
        if (k->n++) {
            text_str(&k->ids, ", ");
            if (!q->what->many)
                text_clear(&k->rows);
        }
        if (k->n <= 10)
            text_add(&k->ids, id.ptr, id.len);
        if (q->what->many)
            text_char(&k->rows, k->n == 1 ? '[' : ',');
        if (q->what->many || k->n == 1)
            record_copy(raw, &k->rows);
    }
}

static void take_page(struct find *q, const struct answer *a)
{
    struct page page;
    char why[200];

    if (!page_read(a->body, take_record, q, &page, why, sizeof(why))) {
        tell_not(q, SL_FIND_AGAIN, 0, why);
        return;
    }
    if (page.next[0] && ++q->pages >= PAGES_MOST) {
        tell_not(
            q, SL_FIND_REFUSED, 0,
            "the query gives more than 100,000 rows: it is no look-up; narrow it by \"where\"");
        return;
    }
    if (page.next[0]) {
        text_clear(&q->url);
        text_str(&q->url, page.next);
        if (q->url.failed)
            tell_not(q, SL_FIND_AGAIN, 0, "out of memory");
        else
            send_page(q, text_view(&q->url));
    } else if (q->at < q->n) {
        send_next(q);
    } else {
        tell_all(q);
    }
}

static void on_page(void *ctx, const struct answer *a)
{
    struct find *q = ctx;
    /* a cursor that is gone is begun anew; of a query 404 says that the object is not there */
    bool wrong = a->verdict == ANSWER_REFUSED || (a->verdict == ANSWER_NOT_FOUND && !q->pages);

    if (a->verdict == ANSWER_OK)
        take_page(q, a);
    else
        tell_not(q, wrong ? SL_FIND_REFUSED : SL_FIND_AGAIN, a->after_ms,
                 a->verdict == ANSWER_CANCELLED ? "the gateway is closing" : a->why);
}

static void find_ask(void *self, void *handle, const sl_str *keys, size_t n_keys, sl_find_cb cb,
                     void *cb_ctx)
{
    struct salesforce *sf = self;
    struct find *q = calloc(1, sizeof(*q));
    struct asked *asked = calloc(n_keys + 1, sizeof(*asked));

    if (!q || !asked) {
        free(q);
        free(asked);
        cb(cb_ctx, &(sl_found){ .size = sizeof(sl_found),
                                .verdict = SL_FIND_AGAIN,
                                .why = str_of("out of memory") });
        return;
    }
    q->next = sf->finds;
    q->before = &sf->finds;
    if (q->next)
        q->next->before = &q->next;
    sf->finds = q;
    q->what = handle;
    q->asked = asked;
    q->n = n_keys;
    q->cb = cb;
    q->ctx = cb_ctx;
    q->call.sf = sf;
    for (size_t i = 0; i < n_keys; i++)
        asked[i].key = keys[i];
    send_next(q);
}

void find_close(struct salesforce *sf)
{
    while (sf->finds)
        find_free(sf->finds);
}

const sl_find salesforce_find = {
    .size = sizeof(salesforce_find),
    .keys = KEYS,
    .params = params,
    .bind = find_bind,
    .unbind = find_unbind,
    .ask = find_ask,
};
