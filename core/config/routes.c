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
    CONFIG_ALERT "quota-forecast",
    CONFIG_ALERT "bad-signatures",
    CONFIG_ALERT "deadline",
    NULL,
};

/* A topic that never comes would be an alert that nobody gets. */
static void check_alert_topics(struct load *l, const struct conf_route *r,
                               const struct value *topics)
{
    for (size_t i = 0; i < r->n_topics; i++) {
        struct nearest near = { .given = str_of(r->topics[i]) };
        char quoted[96];
        bool known = false;

        for (size_t k = 0; alert_topics[k] && !known; k++) {
            known = conf_topic_matches(&r->topics[i], 1, str_of(alert_topics[k]));
            nearest_offer(&near, str_of(alert_topics[k]));
        }
        if (known)
            continue;
        report_quote(str_of(r->topics[i]), quoted);
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

static void check_from(struct load *l, const struct conf_route *r, const sl_values *v)
{
    const struct value *from = values_get(v, "from.endpoint");
    const struct value *topics = values_get(v, "from.topic");
    struct config *c = l->config;
    struct nearest near = { .given = str_of(r->from_endpoint) };
    char quoted[96];

    for (size_t i = 0; i < r->n_topics; i++) {
        const char *star = strchr(r->topics[i], '*');

        if ((star && star[1]) || strlen(r->topics[i]) > TOPIC_MAX)
            report_at(&l->rd.report, topics->line, topics->column,
                      "\"from.topic\" is %s; a \"*\" stands only at the end of a topic",
                      report_quote(str_of(r->topics[i]), quoted));
    }
    if (!r->from_endpoint || config_endpoint(c, near.given))
        return;
    if (str_eq(near.given, STR(CONFIG_SELF))) {
        check_alert_topics(l, r, topics);
        return;
    }
    for (size_t i = 0; i < c->n_endpoints; i++)
        nearest_offer(&near, str_of(c->endpoints[i].name));
    report_quote(near.given, quoted);
    if (near.name.len > 0)
        report_at(&l->rd.report, from->line, from->column,
                  "unknown endpoint %s; did you mean \"" STR_FMT "\"?", quoted, STR_ARG(near.name));
    else
        report_at(&l->rd.report, from->line, from->column,
                  "unknown endpoint %s; it stands nowhere under \"endpoints\"", quoted);
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
    check_from(l, r, v);
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
