/*
 * skus.c - see skus.h.
 */
#include "admin/skus.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "shopify.h"

static const struct {
    const char *document;
    size_t at_once; /* SKUs of a question */
} questions[] = {
    [SKU_VARIANT] = { "query VariantsBySku($query: String!, $after: String) {"
                      " productVariants(first: 100, after: $after, query: $query) {"
                      " nodes { id sku } pageInfo { hasNextPage endCursor } } }",
                      25 },
    /* others begin like these: a second page costs more than room for them */
    [SKU_INVENTORY_ITEM] = { "query ItemsBySku($query: String!, $after: String) {"
                             " productVariants(first: 250, after: $after, query: $query) {"
                             " nodes { sku inventoryItem { id } }"
                             " pageInfo { hasNextPage endCursor } } }",
                             50 },
};

struct search {
    struct shopify *s;
    json_t *skus; /* borrowed */
    json_t *page; /* own: the SKUs of this question, and whether one was found: {"SKU": true} */
    enum sku_names what;
    uint32_t priority;
    char *cursor;     /* own: of the question's further pages */
    const char *next; /* the first SKU of the next question ... */
    int all;          /* ... of which there is none */
    skus_cb cb;
    void *ctx;
};

static void end(struct search *x, const struct admin_answer *failed)
{
    skus_cb cb = x->cb;
    void *ctx = x->ctx;

    json_decref(x->page);
    free(x->cursor);
    free(x);
    cb(ctx, failed);
}

static void give_up(struct search *x, const char *why)
{
    struct admin_answer a = { .verdict = ADMIN_NOT_DONE };

    snprintf(a.why, sizeof(a.why), "%s", why);
    end(x, &a);
}

static const char *text_at(const json_t *o, const char *name)
{
    const char *s = json_string_value(json_object_get(o, name));

    return s ? s : "";
}

/* The next SKUs that are not known; none: it is over. -1: no memory. */
static int turn_page(struct search *x)
{
    void *at = x->next ? json_object_iter_at(x->skus, x->next) : json_object_iter(x->skus);

    json_object_clear(x->page);
    if (x->all)
        return 0;
    for (; at && json_object_size(x->page) < questions[x->what].at_once;
         at = json_object_iter_next(x->skus, at))
        if (json_is_null(json_object_iter_value(at)) &&
            json_object_set_new(x->page, json_object_iter_key(at), json_null()) < 0)
            return -1;
    x->all = !at;
    x->next = at ? json_object_iter_key(at) : NULL;
    return 0;
}

/* `sku:"A-1" OR sku:"B"`: own. NULL: no memory. */
static char *query_of(json_t *page)
{
    size_t n = 0, room = 1;
    const char *sku;
    json_t *value;
    char *text, *p;

    json_object_foreach(page, sku, value) room += 2 * strlen(sku) + 12;
    p = text = malloc(room);
    if (!text)
        return NULL;
    *p = '\0';
    json_object_foreach(page, sku, value)
    {
        p += sprintf(p, "%ssku:\"", n++ ? " OR " : "");
        for (const char *c = sku; *c; c++) { /* the loop goes on from `sku` */
            if (*c == '"' || *c == '\\')
                *p++ = '\\';
            *p++ = *c;
        }
        p = stpcpy(p, "\"");
    }
    return text;
}

static int take(struct search *x, const json_t *nodes)
{
    for (size_t i = 0; i < json_array_size(nodes); i++) {
        const json_t *node = json_array_get(nodes, i);
        const json_t *named = x->what == SKU_INVENTORY_ITEM ? json_object_get(node, "inventoryItem")
                                                            : node;
        const char *sku = text_at(node, "sku"), *id = text_at(named, "id");
        const json_t *known = json_object_get(x->skus, sku);

        if (!*id || !json_object_get(x->page, sku) ||
            (json_is_string(known) && strcmp(json_string_value(known), id) == 0))
            continue;
        if (json_object_set_new(x->skus, sku,
                                json_is_null(known) ? json_string(id) : json_false()) < 0)
            return -1;
    }
    return 0;
}

static void ask(struct search *x);

static void on_answer(void *ctx, const struct admin_answer *a)
{
    struct search *x = ctx;
    const json_t *found = json_object_get(a->data, "productVariants");
    const json_t *page = json_object_get(found, "pageInfo");

    if (a->verdict != ADMIN_OK) {
        end(x, a);
        return;
    }
    if (take(x, json_object_get(found, "nodes")) < 0) {
        give_up(x, "out of memory");
        return;
    }
    free(x->cursor);
    x->cursor = NULL;
    if (json_is_true(json_object_get(page, "hasNextPage")) && *text_at(page, "endCursor"))
        x->cursor = strdup(text_at(page, "endCursor"));
    ask(x);
}

static void ask(struct search *x)
{
    json_t *variables;
    char *query;
    int r;

    if (!x->cursor && turn_page(x) < 0) {
        give_up(x, "out of memory");
        return;
    }
    if (json_object_size(x->page) == 0) {
        end(x, NULL);
        return;
    }
    query = query_of(x->page);
    variables = query ? json_pack("{s:s,s:s?}", "query", query, "after", x->cursor) : NULL;
    free(query);
    r = admin_ask_as(x->s, x->priority, questions[x->what].document, variables, on_answer, x);
    if (r < 0)
        give_up(x, "the shop could not be asked for its SKUs");
}

void skus_find(struct shopify *s, uint32_t priority, json_t *skus, enum sku_names what, skus_cb cb,
               void *ctx)
{
    struct search *x = calloc(1, sizeof(*x));
    struct admin_answer none = { .verdict = ADMIN_NOT_DONE, .why = "out of memory" };

    if (!x || !(x->page = json_object())) {
        free(x);
        cb(ctx, &none);
        return;
    }
    x->s = s;
    x->skus = skus;
    x->what = what;
    x->priority = priority;
    x->cb = cb;
    x->ctx = ctx;
    ask(x);
}
