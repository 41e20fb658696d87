/*
 * schema.c - the option tables as JSON Schema: what an endpoint, an action, a feed or a look-up of
 * an adapter may say, and what the body of an action's record must be.
 *
 * A value that people write as text with a unit keeps that form: a schema for what stands in the
 * file, not for what is made of it.
 */
#include "config/config.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#define SCHEMA_URI "https://json-schema.org/draft/2020-12/schema"

/* ---- one option ---- */

static json_t *of_pattern(const char *pattern)
{
    return json_pack("{s:[ss],s:s}", "type", "string", "integer", "pattern", pattern);
}

static json_t *of_secret(void)
{
    return json_pack("{s:s,s:{s:{s:s},s:{s:s},s:{s:s}},s:b,s:i,s:i}", "type", "object",
                     "properties", "env", "type", "string", "file", "type", "string", "credential",
                     "type", "string", "additionalProperties", 0, "minProperties", 1,
                     "maxProperties", 1);
}

static json_t *of_number(const sl_option *o)
{
    json_t *to = json_pack("{s:s}", "type", "integer");

    if (o->min || o->max)
        json_object_set_new(to, "minimum", json_integer(o->min));
    if (o->max > o->min) /* else: at least */
        json_object_set_new(to, "maximum", json_integer(o->max));
    return to;
}

static json_t *of_choices(const char *choices)
{
    json_t *all = json_array();

    for (const char *c = choices ? choices : ""; *c; c += strcspn(c, "|"), c += *c == '|')
        json_array_append_new(all, json_stringn(c, strcspn(c, "|")));
    return json_pack("{s:o}", "enum", all);
}

static json_t *list_of(json_t *items)
{
    return json_pack("{s:s,s:o}", "type", "array", "items", items);
}

static json_t *of_type(const sl_option *o)
{
    switch (o->type) {
    case SL_OPT_INT:
        return of_number(o);
    case SL_OPT_BOOL:
        return json_pack("{s:s}", "type", "boolean");
    case SL_OPT_DURATION:
        return of_pattern("^[0-9]+(ms|s|m|h|d)$");
    case SL_OPT_SIZE:
        return of_pattern("^[0-9]+([KMG](iB)?)?$");
    case SL_OPT_ENUM:
        return of_choices(o->choices);
    case SL_OPT_URL:
        return json_pack("{s:s,s:s,s:s}", "type", "string", "format", "uri", "pattern",
                         "^https?://");
    case SL_OPT_SECRET:
        return of_secret();
    case SL_OPT_SECRETS:
        return json_pack("{s:[o,{s:s,s:o,s:i,s:i}]}", "anyOf", of_secret(), "type", "array",
                         "items", of_secret(), "minItems", 1, "maxItems", 8);
    case SL_OPT_STRINGS:
        return list_of(json_pack("{s:s}", "type", "string"));
    case SL_OPT_INTS:
        return list_of(of_number(o));
    case SL_OPT_MAP:
        return json_pack("{s:s}", "type", "object");
    case SL_OPT_JQ:
        return json_pack("{s:[{s:s},{s:s,s:{s:{s:s}},s:[s],s:b}]}", "anyOf", "type", "string",
                         "type", "object", "properties", "file", "type", "string", "required",
                         "file", "additionalProperties", 0);
    case SL_OPT_POINTER:
        return json_pack("{s:s,s:s}", "type", "string", "pattern", "^(/.*)?$");
    }
    return json_pack("{s:s}", "type", "string");
}

/* ---- tables ---- */

/* The object that holds the option's last component; "auth.flow" is `auth: { flow: ... }`. */
static json_t *level_of(json_t *root, const char **name, int required)
{
    json_t *at = root;

    for (size_t n; (*name)[n = strcspn(*name, ".")]; *name += n + 1) {
        json_t *all = json_object_get(at, "properties"), *next = json_object_getn(all, *name, n);

        if (!next) {
            next = json_pack("{s:s,s:{}}", "type", "object", "properties");
            json_object_setn_new(all, *name, n, next);
        }
        at = next;
    }
    if (required) {
        if (!json_object_get(at, "required"))
            json_object_set_new(at, "required", json_array());
        json_array_append_new(json_object_get(at, "required"), json_string(*name));
    }
    return json_object_get(at, "properties");
}

/** Own. Other keys are allowed: the host's own stand beside them. */
static json_t *of_table(const sl_option *table)
{
    json_t *root = json_pack("{s:s,s:{}}", "type", "object", "properties");

    for (const sl_option *o = table; o && o->name; o++) {
        const char *name = o->name;
        json_t *level = level_of(root, &name, (o->flags & SL_OPT_REQUIRED) != 0);
        json_t *one = of_type(o);

        if (o->help)
            json_object_set_new(one, "description", json_string(o->help));
        if (o->deflt)
            json_object_set_new(one, "default", json_string(o->deflt));
        json_object_set_new(level, name, one);
    }
    return root;
}

/* ---- an adapter ---- */

static void keep_schema(void *ctx, sl_str text)
{
    json_t **keep = ctx;

    json_decref(*keep);
    *keep = json_loadb(text.len ? text.ptr : "", text.len, 0, NULL);
}

/* What a route's `to` may hold for it, and what the body must be that the route makes. */
static json_t *of_action(const sl_plugin *plugin, uint32_t index)
{
    const sl_action *a = &plugin->actions[index];
    json_t *params = of_table(a->params), *body = NULL;

    if (plugin->body_schema)
        plugin->body_schema(index, keep_schema, &body);
    return json_pack("{s:s*,s:o,s:o*}", "description", a->help, "to", params, "body", body);
}

static json_t *of_plugin(const sl_plugin *plugin)
{
    json_t *actions = json_object(), *feeds = json_object();
    json_t *to = json_pack("{s:s*,s:o}", "description", plugin->help, "settings",
                           of_table(plugin->settings));

    for (uint32_t i = 0; plugin->actions && plugin->actions[i].name; i++)
        json_object_set_new(actions, plugin->actions[i].name, of_action(plugin, i));
    for (const sl_feed *f = plugin->feeds; f && f->name; f++)
        json_object_set_new(feeds, f->name, of_table(f->params));
    json_object_set_new(to, "actions", actions);
    json_object_set_new(to, "feeds", feeds);
    if (plugin->find)
        json_object_set_new(to, "with", of_table(plugin->find->params));
    return to;
}

void config_print_schema(struct buf *out, const sl_plugin *const *plugins, size_t n)
{
    json_t *all = json_object(),
           *root = json_pack("{s:s,s:O}", "$schema", SCHEMA_URI, "$defs", all);
    char *text;

    for (size_t i = 0; i < n; i++)
        json_object_set_new(all, plugins[i]->name, of_plugin(plugins[i]));
    text = json_dumps(root, JSON_INDENT(2));
    buf_cstr(out, text ? text : "");
    buf_char(out, '\n');
    free(text);
    json_decref(root);
    json_decref(all);
}
