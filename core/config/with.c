/*
 * with.c - a route's `with`: rows of another system that its programs see as $with.
 */
#include "config/load.h"

#include <stdlib.h>
#include "base/digest.h"
#include "base/mem.h"

#define WITH_FORM  "{ endpoint: NAME, keys: JQ, ... }"
#define WITH_MOST  8
#define NAME_BYTES 64

const sl_option options_with[] = {
    { "endpoint", SL_OPT_STRING, SL_OPT_REQUIRED, NULL, 0, 0, NULL, "which endpoint is asked" },
    { "keys", SL_OPT_JQ, SL_OPT_REQUIRED, NULL, 0, 0, NULL,
      "over the event: a list of what is asked for, such as [.line_items[].sku]" },
    { "for", SL_OPT_DURATION, 0, "10m", 1000, INT64_C(7) * 86400000, NULL,
      "how long a row that was found is believed" },
    { "purge_on", OPT_TEXTS, 0, "[]", 0, 0, NULL,
      "topics of any endpoint whose events end that, such as products/update" },
    { 0 },
};

/* ---- names ---- */

/** A member of $with: `$with.prices` */
static bool is_member(sl_str s)
{
    for (size_t i = 0; i < s.len; i++)
        if (!(s.ptr[i] == '_' || (s.ptr[i] >= 'a' && s.ptr[i] <= 'z') ||
              (i > 0 && s.ptr[i] >= '0' && s.ptr[i] <= '9')))
            return false;
    return s.len > 0 && s.len < NAME_BYTES;
}

/** Does the program speak of $with? In a text or a comment it may, too: nobody has that there. */
bool with_is_used(const char *program)
{
    static const char name[] = "$with";

    for (const char *p = program; p && (p = strstr(p, name)); p += sizeof(name) - 1) {
        char next = p[sizeof(name) - 1];
        if (!(next == '_' || (next >= 'a' && next <= 'z') || (next >= 'A' && next <= 'Z') ||
              (next >= '0' && next <= '9')))
            return true;
    }
    return false;
}

void with_check_used(struct load *l, const struct conf_route *r)
{
    static const char *const names[] = { "when", "split", "map", "choose", "coalesce.by" };
    const char *programs[] = { r->when, r->split, r->map, r->choose, r->coalesce_by };

    for (size_t i = 0; !r->n_with && i < sizeof(names) / sizeof(names[0]); i++)
        if (with_is_used(programs[i]))
            report_at(&l->rd.report, r->line, r->column,
                      "\"%s\" speaks of $with, and the route has no \"with\": { NAME: " WITH_FORM
                      " }",
                      names[i]);
}

/* ---- one of them ---- */

static void add_text(sl_str *parts, size_t *n, const struct text *t)
{
    parts[(*n)++] = (sl_str){ t->data, t->data ? t->len : 0 };
}

/** What is asked, of whom: two that ask the same share what was found. */
static void name_it(struct conf_with *w)
{
    const sl_values *v = w->params;
    size_t n = 0, most = 1;
    uint8_t full[DIGEST_SHA256];
    sl_str *parts;

    for (size_t i = 0; i < v->n; i++)
        most += 4 + v->list[i].n_items;
    parts = mem_array(most, sizeof(*parts));
    parts[n++] = str_of(w->endpoint->name);
    for (size_t i = 0; i < v->n; i++) {
        const struct value *one = &v->list[i];
        parts[n++] = str_of(one->option->name);
        parts[n++] = (sl_str){ (const char *)&one->num, sizeof(one->num) };
        add_text(parts, &n, &one->text);
        for (size_t k = 0; k < one->n_items; k++)
            add_text(parts, &n, &one->items[k]);
        parts[n++] = STR("|");
    }
    digest_parts(parts, n, full);
    memcpy(w->id, full, sizeof(w->id));
    free(parts);
}

static void bind(struct load *l, struct conf_with *w, const struct yaml_item *item)
{
    const sl_find *find = w->endpoint->plugin->find;
    sl_fail fail = { .size = sizeof(fail) };
    sl_bind_in in = { .size = sizeof(in), .params = w->params, .values = config_values_api() };
    void *handle = NULL;

    if (!find->bind) {
        w->handle = w->params;
        return;
    }
    if (find->bind(&in, &handle, &fail) >= 0) {
        w->handle = handle;
        w->bound = true;
        return;
    }
    fail.text[sizeof(fail.text) - 1] = '\0';
    report_node(&l->rd, item, "\"with." STR_FMT "\": %s", STR_ARG(item->key),
                fail.text[0] ? fail.text : "its adapter refuses the parameters");
}

/** NULL with a mistake: it is no endpoint, or has no rows to look up. */
static struct conf_endpoint *find_endpoint(struct load *l, const struct yaml_item *item)
{
    const struct yaml_item *at = yaml_get(item->value, STR("endpoint"));
    struct conf_endpoint *e = at ? load_endpoint_named(l, at->value) : NULL;
    const char *taken;

    if (!at)
        report_node(&l->rd, item, "\"endpoint\" is missing: which endpoint is asked");
    if (!e || !e->plugin)
        return NULL;
    if (!e->plugin->find) {
        report_node(&l->rd, at->value,
                    "nothing can be looked up at \"%s\": adapter \"%s\" does not offer it", e->name,
                    e->adapter);
        return NULL;
    }
    taken = tables_collide(table_of(options_with), table_of(e->plugin->find->params));
    if (!taken)
        return e;
    report_node(
        &l->rd, at->value,
        "adapter \"%s\" has a parameter \"%s\", which is a key of Sluice's own; the adapter "
        "must name it otherwise",
        e->adapter, taken);
    return NULL;
}

static void load_one(struct load *l, struct conf_with *w, const struct yaml_item *item)
{
    struct table tables[] = { table_of(options_with), { 0 } };
    struct keys keys = { .tables = tables, .n_tables = 2 };
    struct source source = { .map = item->value };
    const struct value *purge;
    sl_values *own;

    w->name = mem_dup(item->key);
    w->endpoint = find_endpoint(l, item);
    if (w->endpoint)
        tables[1] = table_of(w->endpoint->plugin->find->params);
    keys.open = !w->endpoint;
    l->rd.n_meant = 0;
    keys_check(&l->rd, item->value, &keys);
    own = values_read(&l->rd, tables[0], &source, 1, item);
    if (!own->bad) {
        w->keys = mem_str(values_get(own, "keys")->text.data);
        w->for_ms = values_get(own, "for")->num;
        purge = values_get(own, "purge_on");
        if (purge->from == VALUE_GIVEN)
            w->purge_on = value_list(purge, &w->n_purge_on);
        if (with_is_used(w->keys))
            report_node(&l->rd, item, "\"keys\" says what $with is to hold: it has none itself");
    }
    values_destroy(own);
    if (!w->endpoint)
        return;
    w->params = values_read(&l->rd, tables[1], &source, 1, item);
    if (w->params->bad)
        return;
    name_it(w);
    bind(l, w, item);
}

void load_with(struct load *l, struct conf_route *r, const struct yaml_item *item)
{
    const struct yaml_node *map = item->value;
    char found[96];

    if (map->kind != YAML_MAP || map->n == 0 || map->n > WITH_MOST) {
        yaml_describe(map, found);
        report_node(&l->rd, map,
                    "\"with\" wants 1 to %d look-ups by their names: { NAME: " WITH_FORM
                    " }; found %s",
                    WITH_MOST, found);
        return;
    }
    r->with = mem_array(map->n, sizeof(*r->with));
    for (size_t i = 0; i < map->n; i++) {
        const struct yaml_item *one = &map->items[i];
        if (!is_member(one->key))
            report_node(&l->rd, one,
                        "\"with\": the name %s is to be a member of $with: a-z, 0-9 and _, and no "
                        "digit first",
                        report_quote(one->key, found));
        if (one->value->kind != YAML_MAP) {
            yaml_describe(one->value, found);
            report_node(&l->rd, one->value, "a look-up is " WITH_FORM ", found %s", found);
            continue;
        }
        load_one(l, &r->with[r->n_with++], one);
    }
}

void with_finish(struct conf_with *w)
{
    if (w->bound && w->endpoint->plugin->find->unbind)
        w->endpoint->plugin->find->unbind(w->handle);
    values_destroy(w->params);
    free(w->name);
    free(w->keys);
    for (size_t i = 0; i < w->n_purge_on; i++)
        free(w->purge_on[i]);
    free(w->purge_on);
}
