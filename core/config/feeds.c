/*
 * feeds.c - the `feeds:` of an endpoint: what is asked for there again and again.
 */
#include "config/load.h"

#include <stdlib.h>
#include <string.h>
#include "base/mem.h"

/** Of "HH:MM"; -1: it is none. */
static int minute_of_day(sl_str s)
{
    const char *t = s.ptr;
    int hour, minute;

    if (s.len != 5 || t[2] != ':')
        return -1;
    for (size_t i = 0; i < 5; i++)
        if (i != 2 && (t[i] < '0' || t[i] > '9'))
            return -1;
    hour = (t[0] - '0') * 10 + t[1] - '0';
    minute = (t[3] - '0') * 10 + t[4] - '0';
    return hour < 24 && minute < 60 ? hour * 60 + minute : -1;
}

static void read_times(struct load *l, struct conf_feed *f, const sl_values *v,
                       const struct yaml_item *item)
{
    const struct value *every = values_get(v, "every"), *at = values_get(v, "at");

    f->at_minute = -1;
    if (every->from == VALUE_GIVEN && at->from == VALUE_GIVEN)
        report_at(&l->rd.report, at->line, at->column,
                  "feed \"%s\" has \"every\" and \"at\"; it wants one of them", f->name);
    else if (every->from != VALUE_GIVEN && at->from != VALUE_GIVEN &&
             !reader_meant(&l->rd, every->option) && !reader_meant(&l->rd, at->option))
        report_node(&l->rd, item,
                    "feed \"%s\" does not say when: it wants \"every\", such as 5m, or \"at\", "
                    "such as \"02:00\"",
                    f->name);
    if (at->from != VALUE_GIVEN)
        return;
    f->at_minute = minute_of_day((sl_str){ at->text.data, at->text.len });
    if (f->at_minute < 0)
        report_at(&l->rd.report, at->line, at->column,
                  "\"at\" wants a time of day in UTC, such as \"02:00\"");
}

static void read_on(struct conf_feed *f, const sl_values *v)
{
    const struct value *on = values_get(v, "on");

    if (!on || !on->n_items)
        return;
    f->on = mem_array(on->n_items, sizeof(*f->on));
    for (; f->n_on < on->n_items; f->n_on++)
        f->on[f->n_on] = mem_str(on->items[f->n_on].data);
}

/* ---- the kind ---- */

static const sl_feed *feeds_of(const sl_plugin *p)
{
    return p->poll ? p->feeds : NULL;
}

static void report_kind(struct load *l, const struct conf_endpoint *e, const char *feed,
                        const struct yaml_item *kind, const struct yaml_item *item)
{
    const sl_feed *feeds = feeds_of(e->plugin);
    struct nearest near = { .given = kind ? kind->value->text : STR("") };
    struct buf names = { 0 };
    char found[96];

    for (size_t i = 0; feeds && feeds[i].name; i++) {
        nearest_offer(&near, str_of(feeds[i].name));
        buf_printf(&names, "%s%s", i ? ", " : "", feeds[i].name);
    }
    if (!kind) {
        report_node(&l->rd, item, "feed \"%s\" wants a \"kind\"; there are: %s", feed, names.data);
    } else if (yaml_describe(kind->value, found), near.name.len) {
        report_node(&l->rd, kind->value, "unknown kind %s; did you mean \"" STR_FMT "\"?", found,
                    STR_ARG(near.name));
    } else {
        report_node(&l->rd, kind->value, "unknown kind %s; adapter %s has: %s", found, e->adapter,
                    names.data);
    }
    buf_finish(&names);
}

/** Index into the adapter's kinds; -1 with a mistake. */
static int find_kind(struct load *l, const struct conf_endpoint *e, const char *name,
                     const struct yaml_item *item)
{
    const struct yaml_item *kind = yaml_get(item->value, STR("kind"));
    const sl_feed *feeds = feeds_of(e->plugin);

    for (int i = 0; kind && kind->value->kind == YAML_TEXT && feeds[i].name; i++)
        if (str_eq(kind->value->text, str_of(feeds[i].name)))
            return i;
    report_kind(l, e, name, kind, item);
    return -1;
}

static void bind(struct load *l, const struct conf_endpoint *e, struct conf_feed *f,
                 const struct yaml_item *item)
{
    const sl_plugin *p = e->plugin;
    sl_fail fail = { .size = sizeof(fail) };
    sl_bind_in in = {
        .size = sizeof(in), .action = f->kind, .params = f->params, .values = config_values_api()
    };

    f->handle = f->params;
    if (!p->bind_feed)
        return;
    if (p->bind_feed(&in, &f->handle, &fail) >= 0) {
        f->bound = true;
        return;
    }
    f->handle = NULL;
    fail.text[sizeof(fail.text) - 1] = '\0';
    report_node(&l->rd, item, "feed \"%s\": %s", f->name,
                fail.text[0] ? fail.text : "its adapter refuses the parameters");
}

/* ---- one feed ---- */

static void load_feed(struct load *l, struct conf_endpoint *e, struct conf_feed *f,
                      const struct yaml_item *item)
{
    struct table tables[] = { table_of_fields(options_feed), { 0 } };
    struct keys keys = { .tables = tables, .n_tables = 2, .others = keys_feed };
    struct source source = { .map = item->value };
    size_t before = l->rd.report.n;
    char quoted[96];
    int kind;
    sl_values *v;

    f->name = mem_dup(item->key);
    if (!name_is_valid(item->key))
        report_node(&l->rd, item, "feed name %s: wanted " NAME_WANTED,
                    report_quote(item->key, quoted));
    if (item->value->kind != YAML_MAP) {
        yaml_describe(item->value, quoted);
        report_node(&l->rd, item->value,
                    "feed \"%s\" wants a mapping with \"kind\" and \"every\" or \"at\", found %s",
                    f->name, quoted);
        return;
    }
    kind = find_kind(l, e, f->name, item);
    f->kind = kind < 0 ? 0 : (uint32_t)kind;
    keys.open = kind < 0;
    if (kind >= 0)
        tables[1] = table_of(e->plugin->feeds[kind].params);
    const char *taken = tables_collide(tables[0], tables[1]);
    if (taken || table_owns(tables[1], STR("kind"))) {
        report_node(&l->rd, item,
                    "kind \"%s\" has a parameter \"%s\", which is a key of Sluice's own; the "
                    "adapter must name it otherwise",
                    e->plugin->feeds[kind].name, taken ? taken : "kind");
        return;
    }
    l->rd.n_meant = 0;
    keys_check(&l->rd, item->value, &keys);
    v = values_read(&l->rd, tables[0], &source, 1, item);
    fields_store(v, f);
    if (!v->bad)
        read_times(l, f, v, item);
    read_on(f, v);
    values_destroy(v);
    if (kind < 0)
        return;
    f->params = values_read(&l->rd, tables[1], &source, 1, item);
    if (!f->params->bad && l->rd.report.n == before)
        bind(l, e, f, item);
}

void load_feeds(struct load *l, struct conf_endpoint *e, const struct yaml_item *feeds)
{
    const struct yaml_node *map = feeds ? feeds->value : NULL;
    char found[96];

    if (!map || map->kind == YAML_NOTHING)
        return;
    if (!feeds_of(e->plugin)) {
        report_node(&l->rd, feeds, "adapter %s has no feeds; leave \"feeds\" out", e->adapter);
        return;
    }
    if (map->kind != YAML_MAP) {
        yaml_describe(map, found);
        report_node(&l->rd, map, "\"feeds\" wants a mapping of names to feeds, found %s", found);
        return;
    }
    e->feeds = mem_array(map->n + 1, sizeof(*e->feeds));
    for (size_t i = 0; i < map->n; i++)
        load_feed(l, e, &e->feeds[e->n_feeds++], &map->items[i]);
}

void feeds_finish(struct conf_endpoint *e)
{
    for (size_t i = 0; i < e->n_feeds; i++) {
        struct conf_feed *f = &e->feeds[i];

        if (f->bound && e->plugin->unbind_feed)
            e->plugin->unbind_feed(f->handle);
        values_destroy(f->params);
        for (size_t k = 0; k < f->n_on; k++)
            free(f->on[k]);
        free(f->on);
        free(f->name);
        free(f->owner);
    }
    free(e->feeds);
}
