/*
 * order.c - what a route says of the order of deliveries: those of other routes that go first, and
 * what holds back what.
 */
#include "config/load.h"

#include <stdlib.h>
#include "base/mem.h"

/** The first action that is an upsert decides, if the route says nothing. */
static void load_latest(struct conf_route *r, const sl_values *v)
{
    const struct value *latest = values_get(v, "latest_by");

    r->latest = latest->from == VALUE_GIVEN && latest->num == 0;
    for (size_t i = 0; latest->from != VALUE_GIVEN && i < r->n_targets; i++) {
        const struct conf_target *t = &r->targets[i];
        if (t->endpoint && (t->endpoint->plugin->actions[t->action].flags & SL_ACTION_UPSERT))
            r->latest = true;
    }
}

#define OVERTAKES "held, { route: NAME, held: close } or { route: NAME, held: amend }"

static const sl_option overtakes_options[] = {
    { .name = "route", .type = SL_OPT_STRING },
    { .name = "held", .type = SL_OPT_ENUM, .flags = SL_OPT_REQUIRED, .choices = "close|amend" },
    { 0 },
};

/** The name is resolved when all routes are there. */
static void load_overtakes(struct load *l, struct conf_route *r, const struct yaml_item *item)
{
    struct table table = table_of(overtakes_options);
    struct keys keys = { .tables = &table, .n_tables = 1 };
    struct source source = { .map = item->value };
    const struct value *route;
    char found[96];
    sl_values *v;

    r->overtakes_line = item->value->line;
    r->overtakes_column = item->value->column;
    if (item->value->kind == YAML_TEXT && str_eq(item->value->text, STR("held"))) {
        r->overtakes_given = true;
        return;
    }
    if (item->value->kind != YAML_MAP) {
        yaml_describe(item->value, found);
        report_node(&l->rd, item->value, "\"overtakes\" wants " OVERTAKES ", found %s", found);
        return;
    }
    keys_check(&l->rd, item->value, &keys);
    v = values_read(&l->rd, table, &source, 1, item);
    route = values_get(v, "route");
    if (route->from == VALUE_GIVEN) {
        r->overtakes_line = route->line;
        r->overtakes_column = route->column;
    }
    r->overtakes_given = !v->bad;
    r->overtakes_amends = !v->bad && values_get(v, "held")->num == 1;
    if (!v->bad && route->from == VALUE_GIVEN)
        r->overtakes_name = mem_str(route->text.data);
    if (r->overtakes_amends && (r->hold || r->wait))
        report_node(&l->rd, item->value,
                    "\"held: amend\" and \"%s\" cannot stand in one route: a change that waited "
                    "would undo a newer one",
                    r->hold ? "hold" : "wait_for");
    values_destroy(v);
}

static void load_coalesce(struct load *l, struct conf_route *r, const sl_values *v)
{
    const struct value *on = values_get(v, "coalesce.on"), *by = values_get(v, "coalesce.by");
    const struct value *at = r->coalesce_by ? by : on;
    struct report *report = &l->rd.report;

    if (r->coalesce_by && r->split)
        report_at(report, by->line, by->column,
                  "\"coalesce.by\" names the one piece of an event, and \"split\" names its own; "
                  "\"coalesce: subject\" is about each of them");
    if (r->coalesce_by)
        r->coalesce = COALESCE_SUBJECT;
    if (r->coalesce && !r->ordered)
        report_at(report, at->line, at->column,
                  "\"coalesce\" needs \"ordered: true\": without order nothing is newer");
    if (r->coalesce && r->once)
        report_at(report, at->line, at->column,
                  "\"coalesce\" sends the newest and \"once\" the first; with \"once: never\" the "
                  "route may have it");
}

void order_load(struct load *l, struct conf_route *r, const sl_values *v,
                const struct yaml_item *item)
{
    const struct yaml_item *overtakes = yaml_get(item->value, STR("overtakes"));
    const struct value *after = values_get(v, "after"), *dead = values_get(v, "on_dead");

    load_latest(r, v);
    if (overtakes)
        load_overtakes(l, r, overtakes);
    load_coalesce(l, r, v);
    if (after->from == VALUE_GIVEN) {
        r->after_names = value_list(after, &r->n_after);
        r->after = mem_array(r->n_after + 1, sizeof(*r->after));
        r->after_line = after->line;
        r->after_column = after->column;
    }
    if (r->dead_event &&
        (!r->dead_event[0] || strlen(r->dead_event) > TOPIC_MAX || strchr(r->dead_event, '*')))
        report_at(&l->rd.report, values_get(v, "dead_event")->line,
                  values_get(v, "dead_event")->column,
                  "\"dead_event\" wants a topic of at most %d bytes without \"*\"", TOPIC_MAX);
    if (r->on_dead == ON_DEAD_BLOCK && !r->ordered)
        report_at(&l->rd.report, dead->line, dead->column,
                  "\"on_dead: block\" needs \"ordered: true\": without order nothing comes after "
                  "a dead letter");
}

void order_finish(struct conf_route *r)
{
    for (size_t i = 0; r->after_names && i < r->n_after; i++)
        free(r->after_names[i]);
    free(r->after_names);
    free(r->after);
    free(r->overtakes_name);
}

/* ---- after ---- */

/** "orders/create" and "orders/\*": can one topic be both? */
static bool topics_meet(const char *a, const char *b)
{
    size_t n = strcspn(a, "*"), m = strcspn(b, "*");

    if (a[n] && b[m])
        return strncmp(a, b, n < m ? n : m) == 0;
    if (a[n])
        return strncmp(a, b, n) == 0;
    if (b[m])
        return strncmp(a, b, m) == 0;
    return strcmp(a, b) == 0;
}

static bool same_endpoint(const struct conf_from *a, const struct conf_from *b)
{
    return a->endpoint && b->endpoint && strcmp(a->endpoint, b->endpoint) == 0;
}

static bool sources_meet(const struct conf_from *a, const struct conf_from *b)
{
    if (!same_endpoint(a, b))
        return false;
    for (size_t i = 0; i < a->n_topics; i++)
        for (size_t k = 0; k < b->n_topics; k++)
            if (topics_meet(a->topics[i], b->topics[k]))
                return true;
    return false;
}

/** Does a source of one and a source of the other meet so? */
static bool any_two(const struct conf_route *a, const struct conf_route *b,
                    bool (*meet)(const struct conf_from *, const struct conf_from *))
{
    struct conf_from one, other;

    for (size_t i = 0; conf_route_from(a, i, &one); i++)
        for (size_t k = 0; conf_route_from(b, k, &other); k++)
            if (meet(&one, &other))
                return true;
    return false;
}

/** Is there an event that both take? */
static bool routes_meet(const struct conf_route *a, const struct conf_route *b)
{
    return any_two(a, b, sources_meet);
}

void report_no_route(struct load *l, const struct conf_route *r, const char *name, const char *key,
                     unsigned line, unsigned column)
{
    struct nearest near = { .given = str_of(name) };
    const struct config *c = l->config;
    char quoted[96];

    for (size_t i = 0; i < c->n_routes; i++)
        if (c->routes[i].name && &c->routes[i] != r)
            nearest_offer(&near, str_of(c->routes[i].name));
    report_quote(near.given, quoted);
    if (near.name.len > 0)
        report_at(&l->rd.report, line, column,
                  "\"%s\": unknown route %s; did you mean \"" STR_FMT "\"?", key, quoted,
                  STR_ARG(near.name));
    else
        report_at(&l->rd.report, line, column,
                  "\"%s\": unknown route %s; it stands nowhere under \"routes\"", key, quoted);
}

/** NULL with a mistake reported. */
static struct conf_route *after_one(struct load *l, const struct conf_route *r, const char *name)
{
    struct report *report = &l->rd.report;
    struct conf_route *other = config_route(l->config, str_of(name));

    if (!other)
        report_no_route(l, r, name, "after", r->after_line, r->after_column);
    else if (other == r)
        report_at(report, r->after_line, r->after_column,
                  "\"after\": a route cannot wait for itself; name another one");
    else if (r->from_endpoint && other->from_endpoint && r->n_topics && other->n_topics &&
             !routes_meet(r, other))
        report_at(
            report, r->after_line, r->after_column,
            "\"after\": route \"%s\" takes none of this route's events, so nothing of it ever "
            "goes before; both must take the same endpoint and topic",
            name);
    else
        return other;
    return NULL;
}

static void resolve_after(struct load *l, struct conf_route *r)
{
    size_t n = 0;

    for (size_t i = 0; i < r->n_after; i++) {
        struct conf_route *other = after_one(l, r, r->after_names[i]);

        free(r->after_names[i]);
        if (other)
            r->after[n++] = other;
    }
    r->n_after = n;
    free(r->after_names);
    r->after_names = NULL;
}

/* ---- overtakes ---- */

static bool holds_something(const struct conf_route *r)
{
    bool holds = r->hold != NULL;

    for (size_t i = 0; i < r->n_targets; i++)
        holds |= r->targets[i].kind == TARGET_HOLD;
    return holds;
}

static bool send_alike(const struct conf_route *a, const struct conf_route *b)
{
    const struct conf_target *s, *t;

    for (size_t i = 0; (s = conf_route_send(a, i)); i++)
        for (size_t k = 0; (t = conf_route_send(b, k)); k++)
            if (s->endpoint == t->endpoint)
                return true;
    return false;
}

/** Those whose held deliveries the short form may mean, those that send to the same endpoints
 * before others. Returns how many; *ret: the first. */
static size_t find_held(const struct config *c, struct conf_route *r, struct conf_route **ret)
{
    size_t n = 0, n_alike = 0;

    for (size_t i = 0; i < c->n_routes; i++) {
        struct conf_route *o = &c->routes[i];
        if (o == r || !o->name || o->overtakes_given || !holds_something(o) ||
            !any_two(r, o, same_endpoint) || routes_meet(r, o))
            continue;
        bool alike = send_alike(r, o);
        if (n == 0 || (alike && !n_alike))
            *ret = o;
        n++;
        n_alike += alike;
    }
    return n_alike ? n_alike : n;
}

/** NULL with a mistake reported. */
static struct conf_route *held_route(struct load *l, struct conf_route *r)
{
    struct conf_route *other = NULL;
    size_t n = find_held(l->config, r, &other);

    if (n == 1)
        return other;
    if (n)
        report_at(&l->rd.report, r->overtakes_line, r->overtakes_column,
                  "\"overtakes\": %zu routes hold deliveries of these subjects, \"%s\" among them; "
                  "say which: { route: NAME, held: %s }",
                  n, other->name, r->overtakes_amends ? "amend" : "close");
    else
        report_at(&l->rd.report, r->overtakes_line, r->overtakes_column,
                  "\"overtakes\": no other route from \"%s\" holds anything; { route: NAME, "
                  "held: %s } names one whose deliveries are held otherwise",
                  r->from_endpoint ? r->from_endpoint : "?",
                  r->overtakes_amends ? "amend" : "close");
    return NULL;
}

static bool names_pieces(const struct conf_route *r)
{
    return r->split || r->coalesce_by;
}

static void resolve_overtakes(struct load *l, struct conf_route *r)
{
    struct report *report = &l->rd.report;
    struct conf_route *other;

    if (!r->overtakes_given)
        return;
    other = r->overtakes_name ? config_route(l->config, str_of(r->overtakes_name))
                              : held_route(l, r);
    if (!other && r->overtakes_name)
        report_no_route(l, r, r->overtakes_name, "overtakes", r->overtakes_line,
                        r->overtakes_column);
    if (!other)
        return;
    if (other == r)
        report_at(report, r->overtakes_line, r->overtakes_column,
                  "\"overtakes\": a route cannot overtake itself; name the one whose held "
                  "deliveries it closes");
    else if (other->overtakes_given)
        report_at(report, r->overtakes_line, r->overtakes_column,
                  "\"overtakes\": route \"%s\" overtakes another one itself; name that one",
                  other->name);
    else if (routes_meet(r, other))
        report_at(
            report, r->overtakes_line, r->overtakes_column,
            "\"overtakes\": route \"%s\" takes the same events, so that each would close what "
            "was just made; one of them needs other topics",
            other->name);
    else if (r->overtakes_amends && names_pieces(r) != names_pieces(other))
        report_at(
            report, r->overtakes_line, r->overtakes_column,
            "\"held: amend\": both routes name pieces (\"split\"), or neither: the body of a piece "
            "takes the place of that piece's; route \"%s\" has %s",
            other->name, names_pieces(other) ? "pieces" : "none");
    else
        r->overtakes = other;
    if (r->overtakes)
        other->overtaken = true;
}

/* ---- ranks, and circles ---- */

#define RANK_OPEN UINT32_MAX /* its line is being followed */

struct line {
    const struct conf_route **at;
    size_t n;
    bool *done;
};

static void report_circle(struct load *l, const struct line *line, const struct conf_route *r)
{
    struct buf text = { 0 };
    size_t from = 0;

    while (line->at[from] != r)
        from++;
    for (size_t i = from; i < line->n; i++)
        buf_printf(&text, "%s -> ", line->at[i]->name ? line->at[i]->name : "?");
    buf_cstr(&text, r->name ? r->name : "?");
    report_at(&l->rd.report, r->after_line, r->after_column,
              "\"after\" goes in a circle, so that none of them would ever go: %s; take one out",
              text.data ? text.data : "");
    buf_finish(&text);
}

static void rank(struct load *l, struct conf_route *r, struct line *line)
{
    uint32_t most = 0;

    line->done[r->index] = true;
    r->rank = RANK_OPEN;
    line->at[line->n++] = r;
    for (size_t i = 0; i < r->n_after; i++) { /* and what stands in for it */
        for (struct conf_route *other = r->after[i]; other; other = other->fallback_route) {
            if (!line->done[other->index])
                rank(l, other, line);
            if (other->rank == RANK_OPEN)
                report_circle(l, line, other);
            else if (other->rank + 1 > most)
                most = other->rank + 1;
        }
    }
    line->n--;
    r->rank = most;
}

void order_resolve(struct load *l)
{
    struct config *c = l->config;
    struct line line = { .at = mem_array(c->n_routes + 1, sizeof(*line.at)),
                         .done = mem_array(c->n_routes + 1, sizeof(bool)) };

    for (size_t i = 0; i < c->n_routes; i++)
        resolve_after(l, &c->routes[i]);
    for (size_t i = 0; i < c->n_routes; i++)
        resolve_overtakes(l, &c->routes[i]);
    for (size_t i = 0; i < c->n_routes; i++)
        if (!line.done[i])
            rank(l, &c->routes[i], &line);
    free(line.at);
    free(line.done);
}
