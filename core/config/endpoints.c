/*
 * endpoints.c - the `endpoints:` block: core's keys, the adapter's own, and what must fit together.
 */
#include "config/load.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <uv.h>
#include "base/mem.h"
#include "base/units.h"

bool name_is_valid(sl_str name)
{
    if (name.len < 1 || name.len > 63 || name.ptr[0] == '-')
        return false;
    for (size_t i = 0; i < name.len; i++) {
        char c = name.ptr[i];

        if (!((c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-'))
            return false;
    }
    return true;
}

/* ---- the adapter ---- */

static void report_adapter(struct load *l, const struct yaml_node *node, const struct fail *fail)
{
    const struct config_env *env = l->rd.env;
    struct nearest near = { .given = node->text };
    struct buf names = { 0 };
    const char *name;
    char quoted[96];

    for (size_t i = 0; env->adapter_name && (name = env->adapter_name(env->ctx, i)); i++) {
        nearest_offer(&near, str_of(name));
        buf_printf(&names, "%s%s", i ? ", " : "", name);
    }
    report_quote(node->text, quoted);
    if (fail->code != 0 && fail->code != UV_ENOENT)
        report_node(&l->rd, node, "adapter %s: %s", quoted, fail->text);
    else if (near.name.len > 0)
        report_node(&l->rd, node, "unknown adapter %s; did you mean \"" STR_FMT "\"?", quoted,
                    STR_ARG(near.name));
    else if (names.len > 0)
        report_node(&l->rd, node, "unknown adapter %s; there are: %s", quoted, names.data);
    else
        report_node(&l->rd, node, "unknown adapter %s: %s", quoted,
                    fail->text[0] ? fail->text : "no adapter was found in the plugins' folders");
    buf_finish(&names);
}

/* Fills e->adapter and e->plugin as far as they can be known. */
static void find_adapter(struct load *l, struct conf_endpoint *e, const struct yaml_item *item)
{
    const struct yaml_item *adapter = yaml_get(item->value, STR("adapter"));
    struct fail fail = { 0 };
    const char *taken;

    if (!adapter || adapter->value->kind != YAML_TEXT) {
        char found[96] = "nothing";

        if (adapter)
            yaml_describe(adapter->value, found);
        if (adapter)
            report_node(&l->rd, adapter->value,
                        "\"adapter\" wants the name of an adapter, found %s", found);
        else
            report_node(&l->rd, item, "\"adapter\" is missing: which type of system this is");
        return;
    }
    e->adapter = mem_dup(adapter->value->text);
    e->plugin = l->rd.env->adapter(l->rd.env->ctx, e->adapter, &fail);
    if (!e->plugin) {
        report_adapter(l, adapter->value, &fail);
        return;
    }
    taken = tables_collide(table_of_fields(options_endpoint), table_of(e->plugin->settings));
    for (size_t i = 0; !taken && keys_endpoint[i]; i++)
        if (table_owns(table_of(e->plugin->settings), str_of(keys_endpoint[i])))
            taken = keys_endpoint[i];
    if (taken) {
        report_node(&l->rd, adapter->value,
                    "adapter \"%s\" has a setting \"%s\", which is a key of Sluice's own; the "
                    "adapter must name it otherwise",
                    e->adapter, taken);
        e->plugin = NULL;
    }
}

/* ---- what must fit together ---- */

/* A part may not be longer than the whole: one that was given is refused, a default gives way. */
static void fit_duration(struct load *l, const sl_values *v, const char *part, uint32_t *part_ms,
                         const char *whole, uint32_t whole_ms)
{
    const struct value *value = values_get(v, part);
    char a[24], b[24];

    if (*part_ms <= whole_ms)
        return;
    units_format_duration(*part_ms, a);
    units_format_duration(whole_ms, b);
    if (value->from == VALUE_GIVEN)
        report_at(&l->rd.report, value->line, value->column,
                  "\"%s\" (%s) is longer than \"%s\" (%s)", part, a, whole, b);
    *part_ms = whole_ms;
}

static void fit_breaker(struct load *l, struct conf_endpoint *e, const sl_values *v)
{
    const struct value *max = values_get(v, "breaker.open_max");

    if (values_get(v, "breaker.slow")->from == VALUE_NONE)
        e->breaker.slow_ms = e->total_ms > 1 ? e->total_ms / 2 : 1;
    if (e->breaker.open_max_ms >= e->breaker.open_ms)
        return;
    if (max->from == VALUE_GIVEN)
        report_at(&l->rd.report, max->line, max->column,
                  "\"breaker.open_max\" is shorter than \"breaker.open\"");
    e->breaker.open_max_ms = e->breaker.open_ms;
}

/** What the file does not say is the adapter's to say. */
static void fit_batch(struct conf_endpoint *e, const sl_values *v)
{
    if (values_get(v, "batch.age")->from == VALUE_NONE)
        e->batch_age_ms = -1;
    if (values_get(v, "batch.quick")->from == VALUE_NONE)
        e->batch_quick_ms = -1;
}

static void fit_rate(struct load *l, struct conf_endpoint *e, const sl_values *v)
{
    const struct value *rate = values_get(v, "rate.per_second");
    const struct value *burst = values_get(v, "rate.burst");

    if (burst->from == VALUE_GIVEN && rate->from == VALUE_NONE &&
        !reader_meant(&l->rd, rate->option))
        report_at(&l->rd.report, burst->line, burst->column,
                  "\"rate.burst\" needs \"rate.per_second\" beside it");
    if (burst->from == VALUE_NONE)
        e->burst = e->rate_milli_per_s > 1000 ? (uint32_t)((e->rate_milli_per_s + 999) / 1000) : 1;
}

static void fit_tls(struct load *l, struct conf_endpoint *e, const sl_values *v)
{
    const struct value *file = values_get(v, "tls.ca_file");

    if (e->ca_file && !l->rd.env->skip_secrets && access(e->ca_file, R_OK) != 0)
        report_at(&l->rd.report, file->line, file->column, "\"tls.ca_file\": cannot read \"%s\"",
                  e->ca_file);
}

/* One without the other: addresses that nobody can make, or that lead nowhere. */
static void fit_status(struct load *l, struct conf_endpoint *e, const sl_values *v)
{
    const struct value *url = values_get(v, "status.url"), *secret = values_get(v, "status.secret");
    const struct value *given = url->from == VALUE_GIVEN ? url : secret;

    if ((url->from == VALUE_GIVEN) != (secret->from == VALUE_GIVEN) &&
        !reader_meant(&l->rd, url->option) && !reader_meant(&l->rd, secret->option))
        report_at(&l->rd.report, given->line, given->column,
                  "\"status.url\" and \"status.secret\" stand together: the address, and what "
                  "keeps it from being guessed");
    if (e->status_secret && strlen(e->status_secret) < 16)
        report_at(&l->rd.report, secret->line, secret->column,
                  "\"status.secret\" has fewer than 16 characters");
}

static void fit(struct load *l, struct conf_endpoint *e, const sl_values *v)
{
    fit_duration(l, v, "timeout.connect", &e->connect_ms, "timeout.total", e->total_ms);
    fit_duration(l, v, "timeout.first_byte", &e->first_byte_ms, "timeout.total", e->total_ms);
    fit_batch(e, v);
    fit_breaker(l, e, v);
    fit_rate(l, e, v);
    load_endpoint_retry(l, e, v);
    fit_tls(l, e, v);
    fit_status(l, e, v);
}

/* ---- one endpoint ---- */

static void read_core(struct load *l, struct conf_endpoint *e, const struct yaml_item *item)
{
    struct source source = { .map = item->value };
    sl_values *v = values_read(&l->rd, table_of_fields(options_endpoint), &source, 1, item);

    fields_store(v, e);
    if (!v->bad)
        fit(l, e, v);
    values_destroy(v);
}

/** The setting that an adapter's message begins with, as in "confirm.path: ..."; NULL: none of the
 *  file. */
static const struct value *setting_named(const sl_values *settings, const char *text)
{
    size_t len = strcspn(text, ":");
    char name[64];

    if (!text[len] || len >= sizeof(name))
        return NULL;
    memcpy(name, text, len);
    name[len] = '\0';
    const struct value *v = values_get(settings, name);
    return v && v->from == VALUE_GIVEN ? v : NULL;
}

static void read_settings(struct load *l, struct conf_endpoint *e, const struct yaml_item *item,
                          size_t errors_before)
{
    struct source source = { .map = item->value };
    sl_fail fail = { .size = sizeof(fail) };

    e->settings = values_read(&l->rd, table_of(e->plugin->settings), &source, 1, item);
    if (l->rd.report.n > errors_before || !e->plugin->check)
        return;
    if (e->plugin->check(e->settings, config_values_api(), &fail) < 0) {
        fail.text[sizeof(fail.text) - 1] = '\0';
        const struct value *v = setting_named(e->settings, fail.text);
        report_at(&l->rd.report, v ? v->line : item->line, v ? v->column : item->column,
                  "endpoint \"%s\": %s", e->name,
                  fail.text[0] ? fail.text : "its adapter refuses the settings");
    }
}

bool load_check_action(struct load *l, const struct conf_endpoint *e, uint32_t action,
                       unsigned line, unsigned column)
{
    sl_fail fail = { .size = sizeof(fail) };
    const sl_plugin *p = e->plugin;

    if (!SL_HAS(sl_plugin, p, check_action) || !p->check_action || !e->settings ||
        e->settings->bad || l->rd.report.n ||
        p->check_action(e->settings, config_values_api(), action, &fail) >= 0)
        return true;
    fail.text[sizeof(fail.text) - 1] = '\0';
    report_at(&l->rd.report, line, column, "endpoint \"%s\" cannot do \"%s\": %s", e->name,
              p->actions[action].name, fail.text[0] ? fail.text : "its settings do not allow it");
    return false;
}

static void load_endpoint(struct load *l, struct conf_endpoint *e, const struct yaml_item *item)
{
    struct table tables[] = { table_of_fields(options_endpoint), { 0 } };
    struct keys keys = { .tables = tables, .n_tables = 2, .others = keys_endpoint };
    size_t errors_before = l->rd.report.n;
    char quoted[96];

    e->name = mem_dup(item->key);
    e->line = item->line;
    e->column = item->column;
    if (!name_is_valid(item->key))
        report_node(&l->rd, item, "endpoint name %s: wanted " NAME_WANTED,
                    report_quote(item->key, quoted));
    if (str_eq(item->key, STR(CONFIG_SELF)))
        report_node(&l->rd, item,
                    "an endpoint cannot be named \"" CONFIG_SELF
                    "\": that is where alerts come "
                    "from");
    if (item->value->kind != YAML_MAP) {
        yaml_describe(item->value, quoted);
        report_node(&l->rd, item,
                    "endpoint \"%s\" wants a mapping with at least \"adapter\", found %s", e->name,
                    quoted);
        return;
    }
    find_adapter(l, e, item);
    if (e->plugin)
        tables[1] = table_of(e->plugin->settings);
    keys.open = !e->plugin;
    l->rd.n_meant = 0;
    yaml_wrap(item->value, "retry", "preset");
    keys_check(&l->rd, item->value, &keys);
    read_core(l, e, item);
    if (e->plugin) {
        read_settings(l, e, item, errors_before);
        load_feeds(l, e, yaml_get(item->value, STR("feeds")));
    }
}

void load_endpoints(struct load *l, const struct yaml_item *endpoints)
{
    struct config *c = l->config;
    const struct yaml_node *map = endpoints ? endpoints->value : NULL;

    l->retry_given = mem_array((map ? map->n : 0) + 1, sizeof(*l->retry_given));
    if (!map || map->kind == YAML_NOTHING)
        return;
    if (map->kind != YAML_MAP) {
        char found[96];

        yaml_describe(map, found);
        report_node(&l->rd, map, "\"endpoints\" wants a mapping of names to endpoints, found %s",
                    found);
        return;
    }
    c->endpoints = mem_array(map->n + 1, sizeof(*c->endpoints));
    c->n_endpoints = map->n;
    for (size_t i = 0; i < map->n; i++) {
        c->endpoints[i].index = i;
        load_endpoint(l, &c->endpoints[i], &map->items[i]);
    }
}

void endpoint_finish(struct conf_endpoint *e)
{
    free(e->name);
    free(e->adapter);
    free(e->template);
    free(e->ca_file);
    free(e->status_url);
    if (e->status_secret)
        explicit_bzero(e->status_secret, strlen(e->status_secret));
    free(e->status_secret);
    if (e->plugin)
        feeds_finish(e);
    values_destroy(e->settings);
}
