/*
 * graphql.c - graphql: a document of the operator's own, whose variables are the body. For what no
 * other action does; so what is to follow a lost answer must be said with it.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "body_table.h"
#include "orders/deed.h"
#include "orders/graphql_document.h"
#include "orders/orders.h"
#include "shopify.h"

#define MAX_DONE_WHEN 16

const sl_option graphql_params[] = {
    { "document", SL_OPT_STRING, SL_OPT_REQUIRED, NULL, 0, 0, NULL,
      "one query or one mutation, such as query{shop{name}}; the body's members are its variables, "
      "and that of @idempotent(key: $key) is filled by the delivery" },
    { "repeatable", SL_OPT_BOOL, 0, NULL, 0, 0, NULL,
      "of a mutation: the same again does no harm, so a lost answer is asked for again; false: a "
      "person decides then" },
    { "done_when", SL_OPT_STRINGS, 0, NULL, 0, 0, NULL,
      "parts of messages of userErrors that mean: it is done already" },
    { "reference", SL_OPT_POINTER, 0, NULL, 0, 0, NULL,
      "where in the mutation's payload the id of what was done is, such as /order/id" },
    { "emit", SL_OPT_STRING, 0, NULL, 0, 0, NULL,
      "topic of an event with the answer's data, such as shop/answer" },
    { 0 },
};

/** A route's parameters. */
struct graphql {
    struct deed_handle handle; /* first: the engine's view of it */
    struct deed_kind kind;
    struct document document;
    char *text;                                  /* own: the document */
    char *emit;                                  /* own, or NULL */
    char *reference;                             /* own, or NULL */
    struct refusal_rule done[MAX_DONE_WHEN + 1]; /* texts own */
};

static const struct graphql *of(const struct deed *d)
{
    return (const struct graphql *)(const void *)d->handle;
}

/* ---- the variables ------------------------------------------------------------------------- */

static int is_variable(const struct document_variable *v, const char *name)
{
    return v->name.len == strlen(name) && memcmp(v->name.ptr, name, v->name.len) == 0;
}

static sl_status check_declared(struct deed *d, const struct document *document)
{
    const char *name;
    json_t *value;

    json_object_foreach(d->body, name, value)
    {
        size_t i = 0;

        while (i < document->n_variables && !is_variable(&document->variables[i], name))
            i++;
        if (i == document->n_variables)
            return deed_wrong(d, "%.60s: the document declares no $%.60s", name, name);
    }
    return SL_OK;
}

static sl_status read(struct deed *d)
{
    const struct graphql *g = of(d);

    if (check_declared(d, &g->document) < 0)
        return SL_E_INVALID;
    if (g->document.key[0] && json_object_get(d->body, g->document.key))
        return deed_wrong(d, "%s: the delivery's own key fills it: leave it out", g->document.key);
    for (size_t i = 0; i < g->document.n_variables; i++) {
        const struct document_variable *v = &g->document.variables[i];
        const json_t *value = json_object_getn(d->body, v->name.ptr, v->name.len);

        if (v->required && (!value || json_is_null(value)) && !is_variable(v, g->document.key))
            return deed_wrong(d, "%.*s: it is not given, and the document wants it",
                              (int)(v->name.len < 60 ? v->name.len : 60), v->name.ptr);
    }
    d->variables = json_incref(d->body);
    return SL_OK;
}

/* ---- the answer ---------------------------------------------------------------------------- */

/* What a JSON Pointer without escapes leads to. */
static const json_t *at_pointer(const json_t *o, const char *pointer)
{
    while (o && *pointer == '/') {
        size_t n = strcspn(++pointer, "/");

        o = json_is_array(o) ? json_array_get(o, strtoul(pointer, NULL, 10))
                             : json_object_getn(o, pointer, n);
        pointer += n;
    }
    return o;
}

static void after(struct deed *d, const json_t *payload)
{
    const struct graphql *g = of(d);

    if (g->reference)
        deed_refers(d, json_string_value(at_pointer(payload, g->reference)));
    if (g->emit)
        deed_emit(d, g->emit, payload);
    deed_done(d);
}

/* ---- bind ---------------------------------------------------------------------------------- */

static void graphql_unbind(void *handle)
{
    struct graphql *g = handle;

    if (!g)
        return;
    for (size_t i = 0; i < MAX_DONE_WHEN; i++)
        free((char *)g->done[i].text);
    free(g->text);
    free(g->emit);
    free(g->reference);
    free(g);
}

/* Own; NULL: not given. */
static char *param(const sl_bind_in *in, const char *name)
{
    sl_str s;

    return in->values->str(in->params, name, &s) == SL_OK ? strndup(s.ptr, s.len) : NULL;
}

static sl_status take_done_when(struct graphql *g, const sl_bind_in *in, sl_fail *fail)
{
    sl_str text;
    json_t *list;
    sl_status r = SL_OK;

    if (in->values->json(in->params, "done_when", &text) < 0)
        return SL_OK;
    list = json_loadb(text.ptr, text.len, 0, NULL);
    if (json_array_size(list) > MAX_DONE_WHEN)
        r = shopify_fail(fail, SL_E_INVALID, "done_when: at most %d texts", MAX_DONE_WHEN);
    for (size_t i = 0; i < json_array_size(list) && r == SL_OK; i++) {
        const char *one = json_string_value(json_array_get(list, i));

        if (!one || !*one)
            r = shopify_fail(fail, SL_E_INVALID,
                             "done_when: an empty text would be part of every message");
        else if (!(g->done[i] = (struct refusal_rule){ .text = strdup(one),
                                                       .meaning = REFUSAL_DONE })
                      .text)
            r = shopify_fail(fail, SL_E_NO_MEMORY, "out of memory");
    }
    json_decref(list);
    return r;
}

static void make_kind(struct graphql *g, int repeatable)
{
    const struct document *d = &g->document;

    g->kind = (struct deed_kind){
        .flags = repeatable || d->key[0] || !d->mutation ? DEED_REPEATABLE : 0,
        .document = g->text,
        .root = d->mutation ? d->root : NULL,
        .errors = d->mutation ? d->errors : NULL,
        .step = d->key[0] ? "graphql" : NULL,
        .key = d->key,
        .refusals = g->done,
        .read = read,
        .after = after,
    };
    g->handle.kind = &g->kind;
}

static sl_status graphql_bind(const sl_bind_in *in, void **ret_handle, sl_fail *fail)
{
    struct graphql *g = calloc(1, sizeof(*g));
    int64_t repeatable = -1;
    char why[300];
    sl_status r;

    if (!g || !(g->text = param(in, "document"))) {
        graphql_unbind(g);
        return shopify_fail(fail, SL_E_NO_MEMORY, "out of memory");
    }
    g->emit = param(in, "emit");
    g->reference = param(in, "reference");
    in->values->num(in->params, "repeatable", &repeatable);
    r = document_read((sl_str){ g->text, strlen(g->text) }, &g->document, why, sizeof(why));
    if (r < 0)
        shopify_fail(fail, r, "%s", why);
    else
        r = take_done_when(g, in, fail);
    if (r == SL_OK && g->document.mutation && repeatable < 0 && !g->document.key[0])
        r = shopify_fail(fail, SL_E_INVALID,
                         "repeatable: what is to follow a lost answer must be said of a mutation: "
                         "true if the same again does no harm, else false");
    if (r < 0) {
        graphql_unbind(g);
        return r;
    }
    make_kind(g, repeatable == 1);
    *ret_handle = g;
    return SL_OK;
}

const struct shopify_action graphql_action = {
    .bind = graphql_bind, .unbind = graphql_unbind, .deliver = deed_deliver, .confirm = deed_confirm
};
