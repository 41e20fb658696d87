/*
 * targets.c - a route's `to`: where its deliveries go, by which action, with which parameters.
 */
#include "config/load.h"

#include <stdio.h>
#include <stdlib.h>
#include "base/mem.h"

/* ---- endpoint and action ---- */

struct conf_endpoint *load_endpoint_named(struct load *l, const struct yaml_node *node)
{
    struct config *c = l->config;
    struct conf_endpoint *e = node->kind == YAML_TEXT ? config_endpoint(c, node->text) : NULL;
    struct nearest near = { .given = node->text };
    struct buf names = { 0 };
    char found[96];

    if (e)
        return e;
    yaml_describe(node, found);
    for (size_t i = 0; i < c->n_endpoints; i++) {
        nearest_offer(&near, str_of(c->endpoints[i].name));
        if (i < 10)
            buf_printf(&names, "%s%s", i ? ", " : "; there are: ", c->endpoints[i].name);
    }
    if (node->kind != YAML_TEXT)
        report_node(&l->rd, node, "\"endpoint\" wants the name of an endpoint, found %s", found);
    else if (template_is_used(c, node->text))
        report_node(&l->rd, node,
                    "%s is a template; name one of its endpoints, or { origin: " STR_FMT
                    " }: the one that an event is from",
                    found, STR_ARG(node->text));
    else if (near.name.len > 0)
        report_node(&l->rd, node, "unknown endpoint %s; did you mean \"" STR_FMT "\"?", found,
                    STR_ARG(near.name));
    else
        report_node(&l->rd, node, "unknown endpoint %s%s", found,
                    names.data ? names.data : "; none is configured");
    buf_finish(&names);
    return NULL;
}

static void list_actions(const sl_plugin *p, struct buf *out)
{
    for (size_t i = 0; p->actions && p->actions[i].name; i++)
        if (!(p->actions[i].flags & SL_ACTION_CANCEL))
            buf_printf(out, "%s%s", out->len ? ", " : "", p->actions[i].name);
}

const struct yaml_item *target_action(const struct targets *t, const struct draft *d)
{
    const struct yaml_node *maps[] = { d->item->value, t->to->value, t->item->value };

    for (size_t i = 0; i < (d->alone ? 1 : sizeof(maps) / sizeof(maps[0])); i++) {
        const struct yaml_item *action = yaml_get(maps[i], STR("action"));

        if (action)
            return action;
    }
    return NULL;
}

/** Adapter "x", or of a member of a group: "member \"m\" of adapter \"x\"". */
static void name_adapter(const struct conf_endpoint *e, const struct conf_group *g, char out[200])
{
    if (g)
        snprintf(out, 200, "member \"%s\" of group \"%s\": adapter \"%s\"", e->name, g->name,
                 e->adapter);
    else
        snprintf(out, 200, "adapter \"%s\"", e->adapter);
}

static void report_action(struct targets *t, const struct draft *d, const struct conf_endpoint *e,
                          const struct conf_group *g, const struct yaml_item *given)
{
    char adapter[200];
    struct reader *rd = &t->load->rd;
    struct nearest near = { .given = given ? given->value->text : STR("") };
    struct buf names = { 0 };
    char found[96];

    name_adapter(e, g, adapter);
    list_actions(e->plugin, &names);
    for (size_t i = 0; given && e->plugin->actions[i].name; i++)
        nearest_offer(&near, str_of(e->plugin->actions[i].name));
    if (!given)
        report_node(rd, d->item, "\"action\" is missing; %s has: %s", adapter, names.data);
    else if (given->value->kind != YAML_TEXT)
        report_node(rd, given->value, "\"action\" wants one of: %s", names.data);
    else if (near.name.len > 0)
        report_node(rd, given->value, "%s has no action %s; did you mean \"" STR_FMT "\"?", adapter,
                    report_quote(given->value->text, found), STR_ARG(near.name));
    else
        report_node(rd, given->value, "%s has no action %s; it has: %s", adapter,
                    report_quote(given->value->text, found), names.data);
    buf_finish(&names);
}

/* The index of the draft's action, or -1 with a mistake. */
static int find_action(struct targets *t, const struct draft *d, const struct conf_endpoint *e,
                       const struct conf_group *g)
{
    const struct yaml_item *given = target_action(t, d);
    const sl_action *actions = e->plugin->actions;
    int only = -1; /* of those a route may have */

    for (int i = 0, n = 0; actions && actions[i].name; i++)
        if (!(actions[i].flags & SL_ACTION_CANCEL))
            only = n++ ? -1 : i;
    if (!e->plugin->deliver || !actions || !actions[0].name) {
        report_node(&t->load->rd, d->item,
                    "endpoint \"%s\" cannot be sent to: adapter \"%s\" only receives", e->name,
                    e->adapter);
        return -1;
    }
    if (!given && only >= 0)
        return only;
    for (int i = 0; given && given->value->kind == YAML_TEXT && actions[i].name; i++)
        if (str_eq(given->value->text, str_of(actions[i].name)))
            return i;
    report_action(t, d, e, g, given);
    return -1;
}

/* ---- kinds of target ---- */

static void add_table(struct targets *t, struct table table)
{
    for (size_t i = 0; i < t->n_tables; i++)
        if (t->tables[i].first == table.first)
            return;
    t->tables = mem_grow(t->tables, (t->n_tables + 1) * sizeof(*t->tables));
    t->tables[t->n_tables++] = table;
}

bool target_send(struct targets *t, struct conf_target *target, struct draft *d,
                 struct conf_endpoint *e, struct conf_group *g)
{
    int action = e->plugin ? find_action(t, d, e, g) : -1;
    struct table params;

    if (action < 0)
        return false;
    if (e->plugin->actions[action].flags & SL_ACTION_CANCEL)
        report_node(&t->load->rd, d->item,
                    "action \"%s\" takes back what another delivery sent: it is for a group's "
                    "\"interlock\": { cancel: %s }, not for a route",
                    e->plugin->actions[action].name, e->plugin->actions[action].name);
    *target = (struct conf_target){ .kind = TARGET_SEND,
                                    .when = target->when,
                                    .endpoint = e,
                                    .action = (uint32_t)action,
                                    .group = g };
    params = table_of(e->plugin->actions[action].params);
    for (size_t i = 0; keys_to[i]; i++)
        if (table_owns(params, str_of(keys_to[i]))) {
            report_node(&t->load->rd, d->item,
                        "action \"%s\" has a parameter \"%s\", which is a key of Sluice's own; the "
                        "adapter must name it otherwise",
                        e->plugin->actions[action].name, keys_to[i]);
            return true;
        }
    d->params = mem_grow(d->params, (d->n_params + 1) * sizeof(*d->params));
    d->params[d->n_params++] = params;
    if (!d->alone)
        add_table(t, params);
    return true;
}

static void find_send(struct targets *t, struct conf_target *target, struct draft *d,
                      const struct yaml_item *endpoint)
{
    struct conf_endpoint *e = load_endpoint_named(t->load, endpoint->value);

    if (!e || !target_send(t, target, d, e, NULL))
        t->open = true;
}

static struct conf_group *find_group(struct load *l, const struct yaml_node *node)
{
    struct config *c = l->config;
    struct conf_group *g = node->kind == YAML_TEXT ? config_group(c, node->text) : NULL;
    struct nearest near = { .given = node->text };
    char found[96];

    if (g)
        return g;
    yaml_describe(node, found);
    for (size_t i = 0; i < c->n_groups; i++)
        nearest_offer(&near, str_of(c->groups[i].name));
    if (node->kind != YAML_TEXT)
        report_node(&l->rd, node, "\"group\" wants the name of a group, found %s", found);
    else if (config_endpoint(c, node->text))
        report_node(&l->rd, node, "%s is an endpoint, not a group: { endpoint: " STR_FMT " }",
                    found, STR_ARG(node->text));
    else if (near.name.len > 0)
        report_node(&l->rd, node, "unknown group %s; did you mean \"" STR_FMT "\"?", found,
                    STR_ARG(near.name));
    else
        report_node(&l->rd, node, "unknown group %s; it stands nowhere under \"groups\"", found);
    return NULL;
}

/** Every member must be able to do the action; each gets its own parameters. */
static void find_members(struct targets *t, struct conf_target *target, struct draft *d,
                         const struct yaml_item *group)
{
    struct conf_group *g = find_group(t->load, group->value);

    target->kind = TARGET_GROUP;
    target->group = g;
    t->open = t->open || !g || g->n_members == 0;
    if (!g)
        return;
    target->members = mem_array(g->n_members + 1, sizeof(*target->members));
    for (size_t i = 0; i < g->n_members; i++) {
        struct conf_target *m = &target->members[target->n_members];

        if (target_send(t, m, d, g->members[i].endpoint, g))
            target->n_members++;
        else
            t->open = true;
    }
}

static void find_dead(struct targets *t, struct conf_target *target, const struct yaml_item *dead)
{
    char found[96];

    target->kind = TARGET_DEAD;
    if (dead->value->kind == YAML_TEXT && dead->value->text.len > 0) {
        target->text = mem_dup(dead->value->text);
        return;
    }
    yaml_describe(dead->value, found);
    report_node(&t->load->rd, dead->value, "\"dead\" wants the reason as text, found %s", found);
}

static void find_drop(struct targets *t, struct conf_target *target, const struct yaml_item *drop)
{
    char found[96];

    target->kind = TARGET_DROP;
    if (drop->value->kind == YAML_TEXT && !drop->value->quoted &&
        str_eq(drop->value->text, STR("true")))
        return;
    yaml_describe(drop->value, found);
    report_node(&t->load->rd, drop->value, "\"drop\" wants true, found %s", found);
}

#define FORMS                                                                           \
    "{ endpoint: NAME }, { group: NAME }, origin, { hold: TYPE }, { dead: REASON } or " \
    "{ drop: true }"

static void find_target(struct targets *t, struct conf_target *target, struct draft *d)
{
    static const char *const forms[] = { "endpoint", "hold", "dead", "drop", "group", "origin" };
    const struct yaml_item *items[6], *found = NULL;
    size_t n = 0;
    char what[96];

    if (d->item->value->kind != YAML_MAP) {
        yaml_describe(d->item->value, what);
        report_node(&t->load->rd, d->item->value, "a target is " FORMS ", found %s", what);
        t->open = true;
        return;
    }
    for (size_t i = 0; i < 6; i++) {
        items[i] = yaml_get(d->item->value, str_of(forms[i]));
        found = items[i] ? items[i] : found;
        n += items[i] != NULL;
    }
    if (n > 1)
        report_node(&t->load->rd, found, "a target is one of " FORMS ", not two at once");
    else if (n == 0)
        report_node(&t->load->rd, d->item, "the target is missing: " FORMS);
    if (n != 1)
        t->open = true;
    else if (items[0])
        find_send(t, target, d, items[0]);
    else if (items[2])
        find_dead(t, target, items[2]);
    else if (items[3])
        find_drop(t, target, items[3]);
    else if (items[4])
        find_members(t, target, d, items[4]);
    else if (items[5])
        target_origin(t, target, d, items[5]);
    if (n == 1 && items[1]) {
        target->kind = TARGET_HOLD;
        target->hold = load_hold(t->load, items[1], true);
        target->text = target->hold->type ? mem_str(target->hold->type) : NULL;
    }
}

/* ---- choose ---- */

static void read_choose(struct targets *t, const struct yaml_item *choose)
{
    static const sl_option option = { .name = "choose", .type = SL_OPT_JQ };
    struct value v = { .option = &option };

    if (value_read(&t->load->rd, choose->value, &v))
        t->route->choose = mem_str(v.text.data);
    value_clear(&v);
}

/* Beside `choose` stand cases and else, not a target. */
static void refuse_beside(struct targets *t)
{
    static const char *const names[] = { "endpoint", "group", "origin", "hold", "dead", "drop" };

    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        const struct yaml_item *item = yaml_get(t->to->value, str_of(names[i]));

        if (item)
            report_node(&t->load->rd, item,
                        "\"%s\" cannot stand beside \"choose\"; put it into \"cases\" or \"else\"",
                        names[i]);
    }
}

static void add_target(struct targets *t, const struct yaml_item *item, const char *when)
{
    struct conf_route *r = t->route;

    r->targets[r->n_targets].when = mem_str(when);
    t->drafts[r->n_targets++].item = item;
}

/** `to: origin` is short for { origin: true }. */
static void write_origin_out(const struct yaml_node *map, sl_str key)
{
    const struct yaml_item *item = yaml_get(map, key);

    if (item && item->value->kind == YAML_TEXT && str_eq(item->value->text, STR("origin")))
        yaml_wrap(map, item->key.ptr, "origin");
}

static void find_choice(struct targets *t, const struct yaml_item *choose)
{
    const struct yaml_item *cases = yaml_get(t->to->value, STR("cases"));
    const struct yaml_item *other = yaml_get(t->to->value, STR("else"));
    size_t n = cases && cases->value->kind == YAML_MAP ? cases->value->n : 0;

    read_choose(t, choose);
    refuse_beside(t);
    if (n == 0)
        report_node(&t->load->rd, cases ? cases : choose,
                    "\"choose\" needs \"cases\": { VALUE: { endpoint: NAME }, ... }");
    if (!other)
        report_node(&t->load->rd, choose,
                    "\"choose\" needs \"else\", for a value that no case has: %s", FORMS);
    t->open = t->open || n == 0 || !other;
    t->route->targets = mem_array(n + 1, sizeof(*t->route->targets));
    t->drafts = mem_array(n + 1, sizeof(*t->drafts));
    for (size_t i = 0; i < n; i++) {
        write_origin_out(cases->value, cases->value->items[i].key);
        add_target(t, &cases->value->items[i], cases->value->items[i].key.ptr);
    }
    write_origin_out(t->to->value, STR("else"));
    if (other)
        add_target(t, other, NULL);
}

static void find_single(struct targets *t)
{
    static const char *const names[] = { "cases", "else" };

    for (size_t i = 0; i < 2; i++)
        if (yaml_get(t->to->value, str_of(names[i])))
            report_node(&t->load->rd, yaml_get(t->to->value, str_of(names[i])),
                        "\"%s\" needs \"choose\" beside it, the jq program that chooses", names[i]);
    t->route->targets = mem_array(1, sizeof(*t->route->targets));
    t->drafts = mem_array(1, sizeof(*t->drafts));
    add_target(t, t->to, NULL);
}

/* ---- fallback ---- */

static const char *const keys_fallback[] = { "endpoint", "group", "action", "on", NULL };
static const char *const keys_fallback_route[] = { "route", "on", NULL };

/** `on: [exhausted, rejected]`, or one of them. */
static unsigned read_on(struct targets *t, const struct yaml_node *node)
{
    static const sl_option option = { .name = "fallback.on", .type = OPT_TEXTS };
    static const char *const names[] = { "exhausted", "rejected" };
    struct value v = { .option = &option };
    unsigned on = 0;
    char found[96];

    if (!node)
        return FALLBACK_EXHAUSTED;
    if (!value_read(&t->load->rd, node, &v))
        return 0;
    for (size_t i = 0; i < v.n_items; i++) {
        struct nearest near = { .given = str_of(v.items[i].data) };
        unsigned bit = 0;

        for (unsigned k = 0; k < 2; k++) {
            nearest_offer(&near, str_of(names[k]));
            bit |= str_eq(near.given, str_of(names[k])) ? 1u << k : 0;
        }
        if (!bit)
            report_node(&t->load->rd, node,
                        "\"fallback.on\" knows exhausted and rejected, not %s%s" STR_FMT "%s",
                        report_quote(near.given, found), near.name.len ? "; did you mean \"" : "",
                        STR_ARG(near.name), near.name.len ? "\"?" : "");
        on |= bit;
    }
    value_clear(&v);
    return on;
}

#define FALLBACK_FORMS \
    "{ endpoint: NAME }, { group: NAME } or { route: NAME }, and on: [exhausted, rejected]"

/** Nothing that the route sends may lead where it sends anyway. */
static void check_elsewhere(struct targets *t, const struct yaml_node *at)
{
    const struct conf_target *own = &t->route->targets[0];
    const struct conf_target *f = t->route->fallback;

    if (t->route->n_targets != 1)
        return; /* it depends on the choice: one that is there already goes nowhere else */
    for (size_t i = 0; i < (own->n_members ? own->n_members : 1); i++) {
        const struct conf_endpoint *e = own->n_members ? own->members[i].endpoint : own->endpoint;

        if (e && conf_fallback_at(t->route, e) && f->group)
            report_node(&t->load->rd, at,
                        "\"fallback\" leads to group \"%s\", which has \"%s\", where the route "
                        "sends already",
                        f->group->name, e->name);
        else if (e && conf_fallback_at(t->route, e))
            report_node(&t->load->rd, at,
                        "\"fallback\" leads to \"%s\", where the route sends already", e->name);
    }
}

static void find_fallback_target(struct targets *t, const struct yaml_item *endpoint,
                                 const struct yaml_item *group)
{
    const struct conf_target *first = conf_route_send(t->route, 0);
    struct conf_target *target = mem_zero(sizeof(*target));
    struct conf_endpoint *e = endpoint ? load_endpoint_named(t->load, endpoint->value) : NULL;
    struct conf_group *g = group ? find_group(t->load, group->value) : NULL;
    bool good = false, open = t->open;

    if (g && g->n_members)
        e = g->members[0].endpoint;
    if (e && first) {
        /* of another adapter, nothing of `to` is meant for it as well */
        t->fallback.alone = first->endpoint->plugin != e->plugin;
        if (g)
            find_members(t, target, &t->fallback, group);
        good = g ? target->n_members == g->n_members
                 : target_send(t, target, &t->fallback, e, NULL);
    }
    t->open = open; /* its own keys alone are not known */
    if (good) {
        t->route->fallback = target;
        check_elsewhere(t, (endpoint ? endpoint : group)->value);
    } else {
        free(target->members);
        free(target);
        free(t->fallback.params);
        t->fallback.params = NULL;
        t->fallback.n_params = 0;
    }
}

static void find_fallback_route(struct targets *t, const struct yaml_item *route)
{
    char found[96];

    t->route->fallback_line = route->value->line;
    t->route->fallback_column = route->value->column;
    if (route->value->kind == YAML_TEXT && route->value->text.len) {
        t->route->fallback_name = mem_dup(route->value->text);
        return;
    }
    yaml_describe(route->value, found);
    report_node(&t->load->rd, route->value, "\"route\" wants the name of a route, found %s", found);
}

/** Where a delivery goes when its endpoint has done with it. */
static void find_fallback(struct targets *t)
{
    static const char *const forms[] = { "endpoint", "group", "route" };
    const struct yaml_item *item = yaml_get(t->item->value, STR("fallback")), *of[3];
    size_t n = 0;
    char found[96];

    for (size_t i = 0; item && i < 3; i++) {
        of[i] = yaml_get(item->value, str_of(forms[i]));
        n += of[i] != NULL;
    }
    if (!item)
        return;
    if (n > 1)
        report_node(&t->load->rd, item->value, "\"fallback\" wants only one of " FALLBACK_FORMS);
    if (n == 0) {
        yaml_describe(item->value, found);
        report_node(&t->load->rd, item->value, "\"fallback\" wants " FALLBACK_FORMS ", found %s",
                    found);
    }
    if (n != 1)
        return;
    t->fallback.item = item;
    t->route->fallback_on = read_on(t, yaml_find(item->value, "on"));
    if (of[2])
        find_fallback_route(t, of[2]);
    else
        find_fallback_target(t, of[0], of[1]);
}

void targets_find(struct targets *t, struct load *l, struct conf_route *r,
                  const struct yaml_item *route)
{
    const struct yaml_item *choose;
    char found[96];

    *t = (struct targets){ .load = l, .route = r, .item = route };
    add_table(t, table_of_fields(options_route));
    write_origin_out(route->value, STR("to"));
    t->to = yaml_get(route->value, STR("to"));
    if (!t->to || t->to->value->kind != YAML_MAP) {
        if (t->to)
            yaml_describe(t->to->value, found);
        if (t->to)
            report_node(&l->rd, t->to->value, "\"to\" wants " FORMS ", found %s", found);
        else
            report_node(&l->rd, route, "\"to\" is missing: " FORMS);
        t->to = NULL;
        t->open = true;
        return;
    }
    choose = yaml_get(t->to->value, STR("choose"));
    if (choose)
        find_choice(t, choose);
    else
        find_single(t);
    for (size_t i = 0; i < r->n_targets; i++)
        find_target(t, &r->targets[i], &t->drafts[i]);
    find_fallback(t);
}

/* ---- keys ---- */

static const char *const keys_case[] = { "endpoint", "group", "origin", "action",
                                         "hold",     "dead",  "drop",   NULL };

static void check_fallback_keys(struct targets *t)
{
    struct keys keys = { .tables = t->fallback.params,
                         .n_tables = t->fallback.n_params,
                         .others = t->route->fallback_name ? keys_fallback_route : keys_fallback,
                         .open = !t->route->fallback && !t->route->fallback_name };

    if (t->fallback.item)
        keys_check(&t->load->rd, t->fallback.item->value, &keys);
}

void targets_check_keys(struct targets *t)
{
    struct keys keys = { .tables = t->tables + 1, /* not the route's own */
                         .n_tables = t->n_tables - 1,
                         .others = keys_to,
                         .open = t->open };

    if (!t->to)
        return;
    keys_check(&t->load->rd, t->to->value, &keys);
    check_fallback_keys(t);
    for (size_t i = 0; i < t->route->n_targets; i++) {
        struct draft *d = &t->drafts[i];
        enum target_kind kind = t->route->targets[i].kind;
        bool sends = kind == TARGET_SEND || kind == TARGET_GROUP || kind == TARGET_ORIGIN;
        struct keys own = { .tables = d->params,
                            .n_tables = d->n_params,
                            .others = keys_case,
                            .open = sends && !d->n_params };

        if (d->item != t->to)
            keys_check(&t->load->rd, d->item->value, &own);
    }
}

/* ---- parameters ---- */

static void bind(struct targets *t, struct conf_target *target, const struct draft *d)
{
    const sl_plugin *plugin = target->endpoint->plugin;
    sl_fail fail = { .size = sizeof(fail) };
    sl_bind_in in = { .size = sizeof(in),
                      .action = target->action,
                      .params = target->params,
                      .values = config_values_api() };
    void *handle = NULL;

    if (!plugin->bind) {
        target->handle = target->params;
        return;
    }
    if (plugin->bind(&in, &handle, &fail) >= 0) {
        target->handle = handle;
        target->bound = true;
        return;
    }
    fail.text[sizeof(fail.text) - 1] = '\0';
    report_node(&t->load->rd, d->item, "action \"%s\": %s", plugin->actions[target->action].name,
                fail.text[0] ? fail.text : "its adapter refuses the parameters");
}

/** False with a mistake. */
static bool bind_one(struct targets *t, struct conf_target *target, const struct draft *d)
{
    struct table route = table_of_fields(options_route);
    struct table params = table_of(target->endpoint->plugin->actions[target->action].params);
    size_t before = t->load->rd.report.n;
    struct source sources[] = {
        { .map = d->item->value, .not_names = keys_to },
        { .map = t->to->value, .not_names = keys_to },
        { .map = t->item->value, .not_from = &route, .not_names = keys_route }
    };

    target->params = values_read(&t->load->rd, params, sources, d->alone ? 1 : 3, d->item);
    if (!target->params->bad)
        bind(t, target, d);
    load_check_action(t->load, target->endpoint, target->action, d->item->line, d->item->column);
    return t->load->rd.report.n == before;
}

/** The same mistake in the same adapter's parameters is told once. */
static void bind_members(struct targets *t, struct conf_target *target, const struct draft *d)
{
    const sl_plugin *bad = NULL;

    for (size_t i = 0; i < target->n_members; i++)
        if (target->members[i].endpoint->plugin != bad && !bind_one(t, &target->members[i], d))
            bad = target->members[i].endpoint->plugin;
}

void targets_bind(struct targets *t)
{
    for (size_t i = 0; i < t->route->n_targets; i++) {
        struct conf_target *target = &t->route->targets[i];

        if (target->kind == TARGET_GROUP || target->kind == TARGET_ORIGIN)
            bind_members(t, target, &t->drafts[i]);
        else if (t->drafts[i].n_params)
            bind_one(t, target, &t->drafts[i]);
    }
    if (t->route->fallback && t->route->fallback->kind == TARGET_GROUP)
        bind_members(t, t->route->fallback, &t->fallback);
    else if (t->fallback.n_params)
        bind_one(t, t->route->fallback, &t->fallback);
}

void targets_finish(struct targets *t)
{
    for (size_t i = 0; t->drafts && i < t->route->n_targets; i++)
        free(t->drafts[i].params);
    free(t->drafts);
    free(t->fallback.params);
    free(t->tables);
}
