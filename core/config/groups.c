/*
 * groups.c - the `groups:` block: endpoints that can do the same job.
 */
#include "config/load.h"

#include <stdlib.h>
#include <string.h>
#include "base/mem.h"

#define WEIGHT_MAX 1000

const char *const group_policy_names[GROUP_POLICY__COUNT] = { "failover", "weighted", "round-robin",
                                                              "least-pending", "hash" };

#define MEMBERS_WANTED "a list such as [byron, crest] or [{ endpoint: byron, weight: 3 }, crest]"

static const sl_option options_member[] = {
    { .name = "endpoint",
      .type = SL_OPT_STRING,
      .flags = SL_OPT_REQUIRED,
      .help = "the name of an endpoint" },
    { .name = "weight",
      .type = SL_OPT_INT,
      .deflt = "1",
      .min = 1,
      .max = WEIGHT_MAX,
      .help = "how often it has its turn; for policy weighted" },
    { 0 },
};

/* ---- members ---- */

static void add_member(struct load *l, struct conf_group *g, const struct yaml_node *at,
                       struct conf_endpoint *e, uint32_t weight)
{
    if (!e)
        return;
    for (size_t i = 0; i < g->n_members; i++)
        if (g->members[i].endpoint == e) {
            report_node(&l->rd, at, "\"%s\" is a member of group \"%s\" already", e->name, g->name);
            return;
        }
    g->members[g->n_members++] = (struct conf_member){ .endpoint = e, .weight = weight };
}

static void read_member(struct load *l, struct conf_group *g, const struct yaml_item *item)
{
    const struct yaml_node *node = item->value, *name;
    struct table table = table_of(options_member);
    struct keys keys = { .tables = &table, .n_tables = 1 };
    struct source source = { .map = node };
    const struct value *weight;
    char found[96];
    sl_values *v;

    if (node->kind == YAML_TEXT) {
        add_member(l, g, node, load_endpoint_named(l, node), 1);
        return;
    }
    if (node->kind != YAML_MAP) {
        yaml_describe(node, found);
        report_node(&l->rd, node,
                    "a member is the name of an endpoint, or { endpoint: NAME, weight: N }; "
                    "found %s",
                    found);
        return;
    }
    l->rd.n_meant = 0;
    keys_check(&l->rd, node, &keys);
    v = values_read(&l->rd, table, &source, 1, item);
    weight = values_get(v, "weight");
    name = yaml_find(node, "endpoint");
    if (weight->from == VALUE_GIVEN && g->policy != GROUP_WEIGHTED)
        report_at(
            &l->rd.report, weight->line, weight->column,
            "\"weight\" counts only with policy weighted, and this is policy %s; leave it out",
            group_policy_names[g->policy]);
    if (name)
        add_member(l, g, name, load_endpoint_named(l, name), (uint32_t)weight->num);
    values_destroy(v);
}

static void read_members(struct load *l, struct conf_group *g, const struct yaml_item *item)
{
    const struct yaml_item *members = yaml_get(item->value, STR("members"));
    const struct yaml_node *list = members ? members->value : NULL;
    char found[96];

    if (!list) {
        report_node(&l->rd, item, "group \"%s\": \"members\" is missing: " MEMBERS_WANTED, g->name);
        return;
    }
    if (list->kind != YAML_LIST) {
        yaml_describe(list, found);
        report_node(&l->rd, list, "\"members\" wants " MEMBERS_WANTED ", found %s", found);
        return;
    }
    if (list->n == 0)
        report_node(&l->rd, list, "group \"%s\" has no members; wanted " MEMBERS_WANTED, g->name);
    if (list->n > GROUP_MEMBERS_MAX) {
        report_node(&l->rd, list, "group \"%s\" has %zu members; %d is the most", g->name, list->n,
                    GROUP_MEMBERS_MAX);
        return;
    }
    g->members = mem_array(list->n + 1, sizeof(*g->members));
    for (size_t i = 0; i < list->n; i++)
        read_member(l, g, &list->items[i]);
}

/* ---- interlock.cancel ---- */

/** An action's name, or { action: NAME, and its parameters }. */
struct cancel {
    const struct value *name;     /* with the place of what names it */
    const struct yaml_item *item; /* `cancel` */
    unsigned line, column;        /* of the name */
};

static const char *const keys_cancel[] = { "action", NULL };

static void report_cancels(struct load *l, const struct cancel *c, const struct conf_group *g,
                           const struct conf_endpoint *e)
{
    struct buf names = { 0 };
    char quoted[96];

    for (size_t i = 0; e->plugin->actions && e->plugin->actions[i].name; i++)
        if (e->plugin->actions[i].flags & SL_ACTION_CANCEL)
            buf_printf(&names, "%s%s", names.len ? ", " : "", e->plugin->actions[i].name);
    report_at(&l->rd.report, c->line, c->column,
              "\"interlock.cancel\": member \"%s\" of group \"%s\": adapter \"%s\" has no action "
              "%s that takes back what was sent; %s%s",
              e->name, g->name, e->adapter, report_quote(str_of(c->name->text.data), quoted),
              names.len ? "it has: " : "it has none at all", names.len ? names.data : "");
    buf_finish(&names);
}

/** How this member does it, its parameters aside; false with a mistake. */
static bool find_cancel(struct load *l, const struct conf_group *g, struct conf_endpoint *e,
                        const struct cancel *c, struct conf_target *ret)
{
    const sl_action *actions = e->plugin ? e->plugin->actions : NULL;
    uint32_t i = 0;

    while (actions && actions[i].name &&
           !(actions[i].flags & SL_ACTION_CANCEL && !strcmp(actions[i].name, c->name->text.data)))
        i++;
    if (!actions || !actions[i].name) {
        if (e->plugin)
            report_cancels(l, c, g, e);
        return false;
    }
    *ret = (struct conf_target){ .kind = TARGET_SEND, .endpoint = e, .action = i };
    return true;
}

static const sl_action *action_of(const struct conf_target *t)
{
    return &t->endpoint->plugin->actions[t->action];
}

/** What may stand beside `action`: the parameters of all members. False with a mistake. */
static bool check_cancel_keys(struct load *l, const struct conf_group *g, const struct cancel *c)
{
    struct table tables[GROUP_MEMBERS_MAX];
    struct keys keys = { .tables = tables, .others = keys_cancel };
    size_t before = l->rd.report.n;

    for (size_t i = 0; i < g->n_members; i++) {
        struct table t = table_of(action_of(&g->cancels[i])->params);
        bool known = !t.first;

        for (size_t k = 0; k < keys.n_tables; k++)
            known |= tables[k].first == t.first;
        if (!known)
            tables[keys.n_tables++] = t;
    }
    l->rd.n_meant = 0;
    keys_check(&l->rd, c->item->value, &keys);
    return l->rd.report.n == before;
}

/** Read the parameters and bind it; false with a mistake. */
static bool bind_cancel(struct load *l, const struct cancel *c, struct conf_target *t)
{
    struct source source = { .map = c->item->value, .not_names = keys_cancel };
    const sl_plugin *p = t->endpoint->plugin;
    sl_fail fail = { .size = sizeof(fail) };

    t->params = values_read(&l->rd, table_of(action_of(t)->params), &source, 1, c->item);
    t->handle = t->params;
    if (t->params->bad || !load_check_action(l, t->endpoint, t->action, c->line, c->column))
        return false;
    if (!p->bind)
        return true;
    sl_bind_in in = {
        .size = sizeof(in), .action = t->action, .params = t->params, .values = config_values_api()
    };
    t->bound = p->bind(&in, &t->handle, &fail) >= 0;
    if (t->bound)
        return true;
    fail.text[sizeof(fail.text) - 1] = '\0';
    report_at(&l->rd.report, c->line, c->column, "\"interlock.cancel\": action \"%s\": %s",
              action_of(t)->name, fail.text[0] ? fail.text : "its adapter refuses the parameters");
    return false;
}

static void load_cancels(struct load *l, struct conf_group *g, const sl_values *values,
                         const struct yaml_item *group)
{
    struct cancel c = { .name = values_get(values, "interlock.cancel") };
    const struct yaml_node *name;
    bool good = true;

    if (c.name->from != VALUE_GIVEN || !g->n_members)
        return;
    c.item = yaml_get(yaml_find(group->value, "interlock"), STR("cancel"));
    name = yaml_find(c.item->value, "action");
    name = name ? name : c.item->value;
    c.line = name->line;
    c.column = name->column;
    g->cancels = mem_array(g->n_members, sizeof(*g->cancels));
    for (size_t i = 0; i < g->n_members && good; i++)
        good = find_cancel(l, g, g->members[i].endpoint, &c, &g->cancels[i]);
    good = good && check_cancel_keys(l, g, &c);
    for (size_t i = 0; i < g->n_members && good; i++)
        good = bind_cancel(l, &c, &g->cancels[i]);
}

/* ---- one group ---- */

static void check_key(struct load *l, const struct conf_group *g, const sl_values *v)
{
    const struct value *key = values_get(v, "key");

    if (key->from == VALUE_GIVEN && g->policy != GROUP_HASH)
        report_at(&l->rd.report, key->line, key->column,
                  "\"key\" counts only with policy hash, and this is policy %s; leave it out",
                  group_policy_names[g->policy]);
}

static void check_name(struct load *l, const struct conf_group *g, const struct yaml_item *item)
{
    const struct conf_endpoint *e = config_endpoint(l->config, item->key);
    char quoted[96];

    if (!name_is_valid(item->key))
        report_node(&l->rd, item, "group name %s: wanted " NAME_WANTED,
                    report_quote(item->key, quoted));
    else if (e)
        report_node(&l->rd, item,
                    "group \"%s\" is named like the endpoint on line %u; give it another name",
                    g->name, e->line);
}

static void load_group(struct load *l, struct conf_group *g, const struct yaml_item *item)
{
    struct table table = table_of_fields(options_group);
    struct keys keys = { .tables = &table, .n_tables = 1, .others = keys_group };
    struct source source = { .map = item->value };
    char found[96];
    sl_values *v;

    g->name = mem_dup(item->key);
    g->line = item->line;
    g->column = item->column;
    check_name(l, g, item);
    if (item->value->kind != YAML_MAP) {
        yaml_describe(item->value, found);
        report_node(&l->rd, item->value,
                    "group \"%s\" wants a mapping with at least \"members\", found %s", g->name,
                    found);
        return;
    }
    l->rd.n_meant = 0;
    keys_check(&l->rd, item->value, &keys);
    v = values_read(&l->rd, table, &source, 1, item);
    fields_store(v, g);
    check_key(l, g, v);
    read_members(l, g, item);
    load_cancels(l, g, v, item);
    values_destroy(v);
}

void load_groups(struct load *l, const struct yaml_item *groups)
{
    struct config *c = l->config;
    const struct yaml_node *map = groups ? groups->value : NULL;
    char found[96];

    if (!map || map->kind == YAML_NOTHING)
        return;
    if (map->kind != YAML_MAP) {
        yaml_describe(map, found);
        report_node(&l->rd, map, "\"groups\" wants a mapping of names to groups, found %s", found);
        return;
    }
    c->groups = mem_array(map->n + 1, sizeof(*c->groups));
    for (size_t i = 0; i < map->n; i++) {
        struct conf_group *g = &c->groups[i];

        g->index = c->n_groups++;
        load_group(l, g, &map->items[i]);
    }
}

void group_finish(struct conf_group *g)
{
    free(g->name);
    for (size_t i = 0; g->cancels && i < g->n_members; i++)
        target_finish(&g->cancels[i]);
    free(g->cancels);
    free(g->members);
}
