/*
 * routes.c - the `routes:` list.
 */
#include "config/load.h"

#include <stdlib.h>
#include "base/mem.h"

const char *const priority_names[PRIORITY__COUNT] = { "critical", "high", "normal", "low" };

uint8_t priority_parse(const char *name, uint8_t otherwise)
{
    for (uint8_t p = 0; name && p < PRIORITY__COUNT; p++)
        if (strcmp(priority_names[p], name) == 0)
            return p;
    return otherwise;
}

/* ---- where from ---- */

const char *const alert_topics[] = {
    CONFIG_ALERT "dead-letter",
    CONFIG_ALERT "breaker-open",
    CONFIG_ALERT "endpoint-parked",
    CONFIG_ALERT "held",
    CONFIG_ALERT "route-paused",
    CONFIG_ALERT "intake-refusing",
    CONFIG_ALERT "store-failed",
    CONFIG_ALERT "store-damaged",
    CONFIG_ALERT "disk-low",
    CONFIG_ALERT "backlog",
    CONFIG_ALERT "lag",
    CONFIG_ALERT "hold-unattended",
    CONFIG_ALERT "feed-failing",
    CONFIG_ALERT "feed-finding",
    CONFIG_ALERT "quota-forecast",
    CONFIG_ALERT "endpoint-stopped",
    CONFIG_ALERT "privacy",
    CONFIG_ALERT "bad-signatures",
    CONFIG_ALERT "deadline",
    NULL,
};

/* A topic that never comes would be an alert that nobody gets. */
static void check_alert_topics(struct load *l, const struct conf_from *f,
                               const struct value *topics)
{
    for (size_t i = 0; i < f->n_topics; i++) {
        struct nearest near = { .given = str_of(f->topics[i]) };
        char quoted[96];
        bool known = false;

        for (size_t k = 0; alert_topics[k] && !known; k++) {
            known = conf_topic_matches(&f->topics[i], 1, str_of(alert_topics[k]));
            nearest_offer(&near, str_of(alert_topics[k]));
        }
        if (known)
            continue;
        report_quote(str_of(f->topics[i]), quoted);
        if (near.name.len)
            report_at(&l->rd.report, topics->line, topics->column,
                      "no alert has the topic %s; did you mean \"" STR_FMT "\"?", quoted,
                      STR_ARG(near.name));
        else
            report_at(&l->rd.report, topics->line, topics->column,
                      "no alert has the topic %s; from \"" CONFIG_SELF "\" come " CONFIG_ALERT
                      "dead-letter, " CONFIG_ALERT "breaker-open ... : see the operator's guide",
                      quoted);
    }
}

static void check_from(struct load *l, const struct conf_from *f, const struct value *from,
                       const struct value *topics)
{
    struct config *c = l->config;
    struct nearest near = { .given = str_of(f->endpoint) };
    char quoted[96];

    for (size_t i = 0; i < f->n_topics; i++) {
        const char *star = strchr(f->topics[i], '*');

        if ((star && star[1]) || strlen(f->topics[i]) > TOPIC_MAX)
            report_at(&l->rd.report, topics->line, topics->column,
                      "\"from.topic\" is %s; a \"*\" stands only at the end of a topic",
                      report_quote(str_of(f->topics[i]), quoted));
    }
    if (!f->endpoint || config_endpoint(c, near.given))
        return;
    if (str_eq(near.given, STR(CONFIG_SELF))) {
        check_alert_topics(l, f, topics);
        return;
    }
    for (size_t i = 0; i < c->n_endpoints; i++)
        nearest_offer(&near, str_of(c->endpoints[i].name));
    report_quote(near.given, quoted);
    if (template_is_used(c, near.given))
        report_at(&l->rd.report, from->line, from->column,
                  "%s is a template; { template: %s } takes the events of all its endpoints",
                  quoted, f->endpoint);
    else if (near.name.len > 0)
        report_at(&l->rd.report, from->line, from->column,
                  "unknown endpoint %s; did you mean \"" STR_FMT "\"?", quoted, STR_ARG(near.name));
    else
        report_at(&l->rd.report, from->line, from->column,
                  "unknown endpoint %s; it stands nowhere under \"endpoints\"", quoted);
}

static const sl_option options_from[] = {
    { "endpoint", SL_OPT_STRING, SL_OPT_REQUIRED, NULL, 0, 0, NULL,
      "the endpoint whose events it takes" },
    { "topic", OPT_TEXTS, SL_OPT_REQUIRED, NULL, 0, 0, NULL,
      "a topic such as orders/create, a beginning such as orders/*, or a list" },
    { 0 },
};

/** One more element of a `from` that is a list. */
static void load_from(struct load *l, struct conf_from *f, const struct yaml_item *item)
{
    struct table table = table_of(options_from);
    struct keys keys = { .tables = &table, .n_tables = 1 };
    struct source source = { .map = item->value };
    const struct value *endpoint, *topics;
    char found[96];
    sl_values *v;

    if (item->value->kind != YAML_MAP) {
        yaml_describe(item->value, found);
        report_node(&l->rd, item->value,
                    "an element of \"from\" is { endpoint: NAME, topic: TOPIC }, found %s", found);
        return;
    }
    l->rd.n_meant = 0;
    keys_check(&l->rd, item->value, &keys);
    v = values_read(&l->rd, table, &source, 1, item);
    endpoint = values_get(v, "endpoint");
    topics = values_get(v, "topic");
    if (endpoint->from == VALUE_GIVEN)
        f->endpoint = mem_str(endpoint->text.data);
    if (topics->from == VALUE_GIVEN)
        f->topics = value_list(topics, &f->n_topics);
    check_from(l, f, endpoint, topics);
    values_destroy(v);
}

/** The names of all, each once; an alert is told by a route of its own, since what dies of it is
 *  told to nobody. */
static void name_froms(struct load *l, struct conf_route *r, const struct yaml_node *at)
{
    struct buf names = { 0 };
    struct conf_from from, before;

    for (size_t i = 0; conf_route_from(r, i, &from); i++) {
        bool again = !from.endpoint;

        for (size_t k = 0; k < i && !again && conf_route_from(r, k, &before); k++)
            again = before.endpoint && strcmp(before.endpoint, from.endpoint) == 0;
        if (!again)
            buf_printf(&names, "%s%s", names.len ? ", " : "", from.endpoint);
        if (!again && i > 0 &&
            (strcmp(from.endpoint, CONFIG_SELF) == 0 || strcmp(r->from_endpoint, CONFIG_SELF) == 0))
            report_node(&l->rd, at->items[i - 1].value,
                        "alerts, from \"" CONFIG_SELF
                        "\", have a route of their own: take them "
                        "out of this list of endpoints");
    }
    r->from_names = names.len ? buf_steal(&names, NULL) : NULL;
    buf_finish(&names);
}

static void load_froms(struct load *l, struct conf_route *r, const struct yaml_node *list)
{
    if (!list || !list->n)
        return;
    r->also = mem_array(list->n, sizeof(*r->also));
    for (size_t i = 0; i < list->n; i++)
        load_from(l, &r->also[r->n_also++], &list->items[i]);
    if (r->from_endpoint)
        name_froms(l, r, list);
}

/* ---- policy ---- */

static void settle_once(struct conf_route *r, const sl_values *v)
{
    const struct value *once = values_get(v, "once");
    const struct conf_target *t;

    if (once->from == VALUE_GIVEN) {
        r->once = once->num == 0; /* subject|never */
        return;
    }
    for (size_t i = 0; (t = conf_route_send(r, i)); i++)
        if (t->endpoint && (t->endpoint->plugin->actions[t->action].flags & SL_ACTION_ONCE))
            r->once = true;
}

static void check_name(struct load *l, const struct conf_route *r, const sl_values *v)
{
    const struct value *name = values_get(v, "name");
    char quoted[96];

    if (name->from != VALUE_GIVEN)
        return;
    if (!name_is_valid(str_of(r->name)))
        report_at(&l->rd.report, name->line, name->column, "route name %s: wanted " NAME_WANTED,
                  report_quote(str_of(r->name), quoted));
    for (const struct conf_route *o = l->config->routes; o < r; o++)
        if (o->name && strcmp(o->name, r->name) == 0) {
            report_at(&l->rd.report, name->line, name->column,
                      "a second route named \"%s\"; the first is on line %u", r->name, o->line);
            return;
        }
}

/* ---- one route ---- */

static void load_route(struct load *l, struct conf_route *r, const struct yaml_item *item)
{
    const struct yaml_item *hold = yaml_get(item->value, STR("hold"));
    const struct yaml_item *with = yaml_get(item->value, STR("with"));
    struct source source = { .map = item->value };
    struct keys keys = { .others = keys_route, .later = keys_route_later };
    struct yaml_node *froms = yaml_take_first(item->value, "from");
    struct conf_from first;
    const struct value *topics;
    struct targets t;
    sl_values *v;

    r->line = item->line;
    r->column = item->column;
    yaml_wrap(item->value, "retry", "preset");
    yaml_wrap(item->value, "coalesce", "on");
    targets_find(&t, l, r, item);
    keys.tables = t.tables;
    keys.n_tables = t.n_tables;
    keys.open = t.open;
    l->rd.n_meant = 0;
    keys_check(&l->rd, item->value, &keys);
    targets_check_keys(&t);
    v = values_read(&l->rd, table_of_fields(options_route), &source, 1, item);
    fields_store(v, r);
    r->reconciled = (uint8_t)(1 + values_get(v, "reconciliation.priority")->num);
    topics = values_get(v, "from.topic");
    if (topics->from == VALUE_GIVEN)
        r->topics = value_list(topics, &r->n_topics);
    conf_route_from(r, 0, &first);
    check_from(l, &first, values_get(v, "from.endpoint"), topics);
    load_froms(l, r, froms);
    yaml_destroy(froms);
    if (with)
        load_with(l, r, with);
    else
        with_check_used(l, r);
    if (hold)
        r->hold = load_hold(l, hold, false);
    r->wait = load_wait_for(l, r, v, item);
    r->deadline = load_deadline(l, v, item);
    check_hold_targets(l, r, r->hold);
    for (size_t i = 0; i < r->n_targets; i++)
        check_hold_targets(l, r, r->targets[i].hold);
    check_name(l, r, v);
    targets_bind(&t);
    load_route_retry(l, r, v);
    settle_once(r, v);
    order_load(l, r, v, item);
    values_destroy(v);
    targets_finish(&t);
}

void load_routes(struct load *l, const struct yaml_item *routes)
{
    struct config *c = l->config;
    const struct yaml_node *list = routes ? routes->value : NULL;
    char found[96];

    if (!list || list->kind == YAML_NOTHING)
        return;
    if (list->kind != YAML_LIST) {
        yaml_describe(list, found);
        report_node(&l->rd, list,
                    "\"routes\" wants a list, each route with \"- name: ...\"; found %s", found);
        return;
    }
    c->routes = mem_array(list->n + 1, sizeof(*c->routes));
    for (size_t i = 0; i < list->n; i++) {
        struct conf_route *r = &c->routes[c->n_routes];

        if (list->items[i].value->kind != YAML_MAP) {
            yaml_describe(list->items[i].value, found);
            report_node(&l->rd, &list->items[i], "a route is a mapping, found %s", found);
            continue;
        }
        r->index = c->n_routes++;
        load_route(l, r, &list->items[i]);
    }
    fallback_resolve(l);
    order_resolve(l);
}

/* ---- the end ---- */

void target_finish(struct conf_target *t)
{
    if (t->bound && t->endpoint->plugin->unbind)
        t->endpoint->plugin->unbind(t->handle);
    for (size_t i = 0; i < t->n_members; i++)
        target_finish(&t->members[i]);
    free(t->members);
    values_destroy(t->params);
    free(t->when);
    free(t->text);
    hold_destroy(t->hold);
}

void route_finish(struct conf_route *r)
{
    for (size_t i = 0; i < r->n_targets; i++)
        target_finish(&r->targets[i]);
    if (r->fallback)
        target_finish(r->fallback);
    free(r->fallback);
    free(r->fallback_name);
    free(r->targets);
    for (size_t i = 0; i < r->n_topics; i++)
        free(r->topics[i]);
    free(r->topics);
    for (size_t i = 0; i < r->n_also; i++) {
        for (size_t k = 0; k < r->also[i].n_topics; k++)
            free(r->also[i].topics[k]);
        free(r->also[i].topics);
        free(r->also[i].endpoint);
    }
    free(r->also);
    free(r->from_names);
    order_finish(r);
    for (size_t i = 0; i < r->n_with; i++)
        with_finish(&r->with[i]);
    free(r->with);
    free(r->name);
    free(r->from_endpoint);
    free(r->when);
    free(r->split);
    free(r->map);
    free(r->choose);
    free(r->coalesce_by);
    free(r->dead_event);
    free(r->owner);
    hold_destroy(r->hold);
    hold_destroy(r->wait);
    deadline_destroy(r->deadline);
}
