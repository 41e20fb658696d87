/*
 * templates.c - the `templates:` block: what several endpoints have in common. It is taken apart in
 * the tree, before anything is read: an endpoint of a template has the template's keys as if they
 * stood with it, and a route's `from: { template: NAME }` is a list of all its endpoints.
 */
#include "config/load.h"

#include <stdlib.h>
#include <string.h>
#include "base/mem.h"

#define PLACE "${name}" /* in a template's text: the endpoint's name */

/* ---- copies ---- */

static char *filled_in(sl_str text, sl_str name)
{
    const char *p = text.ptr, *at;
    struct buf b = { 0 };

    while ((at = strstr(p, PLACE))) {
        buf_str(&b, (sl_str){ p, (size_t)(at - p) });
        buf_str(&b, name);
        p = at + strlen(PLACE);
    }
    buf_cstr(&b, p);
    return buf_steal(&b, NULL);
}

/** Deep; places in the file stay the original's. `name` fills in the text; empty: nothing does. */
static struct yaml_node *copy_node(const struct yaml_node *n, sl_str name)
{
    struct yaml_node *c = mem_zero(sizeof(*c));

    *c = *n;
    if (n->kind == YAML_TEXT) {
        c->own = name.len ? filled_in(n->text, name) : mem_dup(n->text);
        c->text = str_of(c->own);
    }
    c->items = n->n ? mem_array(n->n, sizeof(*c->items)) : NULL;
    for (size_t i = 0; i < n->n; i++) {
        c->items[i] = n->items[i];
        c->items[i].own = mem_dup(n->items[i].key);
        c->items[i].key = str_of(c->items[i].own);
        c->items[i].value = copy_node(n->items[i].value, name);
    }
    return c;
}

static void append(struct yaml_node *to, const struct yaml_item *item, struct yaml_node *value)
{
    struct yaml_item *added;

    to->items = mem_grow(to->items, (to->n + 1) * sizeof(*to->items));
    added = &to->items[to->n++];
    *added = *item;
    added->own = mem_dup(item->key);
    added->key = str_of(added->own);
    added->value = value;
}

/** A reference to a secret or a file is one value, however it is written. */
static bool is_reference(const struct yaml_node *n)
{
    return yaml_get(n, STR("env")) || yaml_get(n, STR("file")) || yaml_get(n, STR("credential"));
}

/** What `to` does not say itself. */
static void merge(struct yaml_node *to, const struct yaml_node *from, sl_str name)
{
    for (size_t i = 0; i < from->n; i++) {
        const struct yaml_item *item = &from->items[i], *own = yaml_get(to, item->key);

        if (!own)
            append(to, item, copy_node(item->value, name));
        else if (own->value->kind == YAML_MAP && item->value->kind == YAML_MAP &&
                 !is_reference(own->value) && !is_reference(item->value))
            merge(own->value, item->value, name);
    }
}

/* ---- templates ---- */

static void check_template(struct load *l, const struct yaml_item *item)
{
    const struct yaml_item *nested = yaml_get(item->value, STR("template"));
    char found[96];

    if (!name_is_valid(item->key))
        report_node(&l->rd, item, "template name %s: wanted " NAME_WANTED,
                    report_quote(item->key, found));
    yaml_describe(item->value, found);
    if (item->value->kind != YAML_MAP)
        report_node(&l->rd, item->value,
                    "a template is a mapping of keys that an endpoint may have, found %s", found);
    if (nested)
        report_node(&l->rd, nested, "a template is not made of another one");
}

/** Its value; NULL with a mistake. */
static const struct yaml_node *template_named(struct load *l, const struct yaml_node *templates,
                                              const struct yaml_node *name)
{
    const struct yaml_item *item = name->kind == YAML_TEXT ? yaml_get(templates, name->text) : NULL;
    struct nearest near = { .given = name->text };
    char found[96];

    if (item)
        return item->value->kind == YAML_MAP && !yaml_get(item->value, STR("template"))
                   ? item->value
                   : NULL; /* reported there */
    yaml_describe(name, found);
    for (size_t i = 0; templates && i < templates->n; i++)
        nearest_offer(&near, templates->items[i].key);
    if (name->kind != YAML_TEXT)
        report_node(&l->rd, name, "\"template\" wants the name of a template, found %s", found);
    else if (near.name.len > 0)
        report_node(&l->rd, name, "unknown template %s; did you mean \"" STR_FMT "\"?", found,
                    STR_ARG(near.name));
    else
        report_node(&l->rd, name, "unknown template %s; it stands nowhere under \"templates\"",
                    found);
    return NULL;
}

static void fill_endpoints(struct load *l, const struct yaml_node *templates,
                           const struct yaml_node *endpoints)
{
    for (size_t i = 0; endpoints && endpoints->kind == YAML_MAP && i < endpoints->n; i++) {
        const struct yaml_item *item = &endpoints->items[i];
        const struct yaml_item *name = yaml_get(item->value, STR("template"));
        const struct yaml_node *of = name ? template_named(l, templates, name->value) : NULL;

        if (of)
            merge(item->value, of, item->key);
    }
}

/* ---- routes ---- */

/** A copy of `from`, which has `template`, with `endpoint: NAME` instead. */
static void add_from(struct yaml_node *list, const struct yaml_item *from, sl_str endpoint)
{
    struct yaml_node *one = copy_node(from->value, STR(""));
    struct yaml_item *key = (struct yaml_item *)yaml_get(one, STR("template"));

    yaml_destroy(key->value);
    free(key->own);
    key->own = mem_str("endpoint");
    key->key = str_of(key->own);
    key->value = mem_zero(sizeof(*key->value));
    *key->value = (struct yaml_node){
        .kind = YAML_TEXT, .line = key->line, .column = key->column, .own = mem_dup(endpoint)
    };
    key->value->text = str_of(key->value->own);
    append(list, &(struct yaml_item){ .line = from->line, .column = from->column }, one);
}

/** One for each endpoint of its template. With a mistake one of any endpoint, for the rest of the
 *  route to be checked. */
static void spread(struct load *l, const struct yaml_node *root, const struct yaml_item *from,
                   struct yaml_node *list)
{
    const struct yaml_node *endpoints = yaml_find(root, "endpoints");
    const struct yaml_node *name = yaml_get(from->value, STR("template"))->value;
    bool known = template_named(l, yaml_find(root, "templates"), name);
    size_t before = list->n;

    if (yaml_get(from->value, STR("endpoint")))
        report_node(&l->rd, name, "\"from\" has an endpoint or a template, not both");
    for (size_t i = 0; known && endpoints && i < endpoints->n; i++) {
        const struct yaml_item *of = yaml_get(endpoints->items[i].value, STR("template"));

        if (of && of->value->kind == YAML_TEXT && str_eq(of->value->text, name->text))
            add_from(list, from, endpoints->items[i].key);
    }
    if (known && list->n == before)
        report_node(&l->rd, name, "no endpoint is of template \"" STR_FMT "\"",
                    STR_ARG(name->text));
    if (list->n == before && endpoints && endpoints->n)
        add_from(list, from, endpoints->items[0].key);
}

static void spread_from(struct load *l, const struct yaml_node *root, struct yaml_item *from)
{
    struct yaml_node *old = from->value, *list = mem_zero(sizeof(*list));
    bool of_list = old->kind == YAML_LIST;

    *list = (struct yaml_node){ .kind = YAML_LIST,
                                .line = old->line,
                                .column = old->column,
                                .start = old->start,
                                .end = old->end };
    for (size_t i = 0; i < (of_list ? old->n : 1); i++) {
        const struct yaml_item *one = of_list ? &old->items[i] : from;

        if (yaml_get(one->value, STR("template")))
            spread(l, root, one, list);
        else
            append(list, one, copy_node(one->value, STR("")));
    }
    from->value = list;
    yaml_destroy(old);
}

static bool names_template(const struct yaml_node *from)
{
    if (yaml_get(from, STR("template")))
        return true;
    for (size_t i = 0; from->kind == YAML_LIST && i < from->n; i++)
        if (yaml_get(from->items[i].value, STR("template")))
            return true;
    return false;
}

bool template_is_used(const struct config *c, sl_str name)
{
    for (size_t i = 0; i < c->n_endpoints; i++)
        if (c->endpoints[i].template && str_eq(str_of(c->endpoints[i].template), name))
            return true;
    return false;
}

void templates_expand(struct load *l, const struct yaml_node *root)
{
    const struct yaml_node *templates = yaml_find(root, "templates");
    const struct yaml_node *routes = yaml_find(root, "routes");
    char found[96];

    if (templates && templates->kind != YAML_MAP && templates->kind != YAML_NOTHING) {
        yaml_describe(templates, found);
        report_node(&l->rd, templates,
                    "\"templates\" wants a mapping of names to keys of endpoints, found %s", found);
        return;
    }
    for (size_t i = 0; templates && i < templates->n; i++)
        check_template(l, &templates->items[i]);
    fill_endpoints(l, templates, yaml_find(root, "endpoints"));
    for (size_t i = 0; routes && routes->kind == YAML_LIST && i < routes->n; i++) {
        struct yaml_item *from = (struct yaml_item *)yaml_get(routes->items[i].value, STR("from"));

        if (from && names_template(from->value))
            spread_from(l, root, from);
    }
}
