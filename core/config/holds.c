/*
 * holds.c - what a delivery waits for: a route's or a choice's `hold`, `wait_for`, `deadline`.
 */
#include "config/load.h"

#include <regex.h>
#include <stdio.h>
#include <stdlib.h>
#include "base/mem.h"

#define CHOICES_MAX 16
#define FIELDS_MAX  16 /* of a choice */

#define SEC  INT64_C(1000)
#define DAY  (86400 * SEC)
#define YEAR (365 * DAY)

/* clang-format off */
static const sl_option hold_options[] = {
    { .name = "type", .type = SL_OPT_STRING, .flags = SL_OPT_REQUIRED,
      .help = "a name such as fraud or unmapped-sku" },
    { .name = "until", .type = OPT_TEXTS, .help = "a later topic of the same subject" },
    { .name = "when", .type = SL_OPT_JQ, .help = "over that event: true releases" },
    { .name = "reject_when", .type = SL_OPT_JQ, .help = "over that event: true rejects" },
    { .name = "for", .type = SL_OPT_DURATION, .min = 1, .max = YEAR, .help = "its clock" },
    { .name = "then", .type = SL_OPT_ENUM, .choices = "release|reject|escalate",
      .help = "what happens when the clock runs out" },
    { .name = "owner", .type = SL_OPT_STRING, .help = "who decides" },
    { .name = "escalate_to", .type = SL_OPT_STRING, .help = "who decides after that" },
    { .name = "evidence", .type = SL_OPT_JQ, .help = "over the event: what a person sees" },
    { .name = "to", .type = SL_OPT_STRING, .help = "where a release sends it" },
    { 0 },
};
static const sl_option choice_options[] = {
    { .name = "name", .type = SL_OPT_STRING, .flags = SL_OPT_REQUIRED, .help = "its name" },
    { .name = "do", .type = SL_OPT_ENUM, .flags = SL_OPT_REQUIRED, .choices = "release|reject",
      .help = "release or reject" },
    { .name = "to", .type = SL_OPT_STRING, .help = "where a release sends it" },
    { .name = "text", .type = SL_OPT_STRING, .help = "what it means" },
    { 0 },
};
static const sl_option field_options[] = {
    { .name = "name", .type = SL_OPT_STRING, .flags = SL_OPT_REQUIRED, .help = "its name" },
    { .name = "path", .type = SL_OPT_POINTER, .flags = SL_OPT_REQUIRED,
      .help = "where it goes in the payload" },
    { .name = "label", .type = SL_OPT_STRING, .help = "what it is, for people" },
    { .name = "as", .type = SL_OPT_ENUM, .deflt = "text", .choices = "text|number|boolean",
      .help = "as what it stands there" },
    { .name = "pattern", .type = SL_OPT_STRING,
      .help = "a POSIX extended regular expression that the whole value fits" },
    { .name = "optional", .type = SL_OPT_BOOL, .deflt = "false", .help = "it may be left out" },
    { 0 },
};
/* clang-format on */

/* ---- help ---- */

static char *text_of(const sl_values *v, const char *name)
{
    const struct value *value = values_get(v, name);

    if (!value || value->from == VALUE_NONE)
        return NULL;
    return mem_dup((sl_str){ .ptr = value->text.data, .len = value->text.len });
}

static void check_topics(struct load *l, const struct value *v, const char *key)
{
    char quoted[96];

    for (size_t i = 0; i < v->n_items; i++) {
        const char *star = strchr(v->items[i].data, '*');

        if ((star && star[1]) || v->items[i].len > TOPIC_MAX)
            report_at(&l->rd.report, v->line, v->column,
                      "\"%s\" is %s; a \"*\" stands only at the end of a topic", key,
                      report_quote(str_of(v->items[i].data), quoted));
    }
}

static struct conf_hold *hold_new(struct load *l, const char *type)
{
    struct conf_hold *h = mem_zero(sizeof(*h));

    h->type = type ? mem_str(type) : NULL;
    h->index = l->config->n_holds++;
    return h;
}

void hold_destroy(struct conf_hold *h)
{
    if (!h)
        return;
    for (size_t i = 0; i < h->n_until; i++)
        free(h->until[i]);
    for (size_t i = 0; i < h->n_choices; i++) {
        free(h->choices[i].name);
        free(h->choices[i].to);
        free(h->choices[i].text);
        for (size_t k = 0; k < h->choices[i].n_fields; k++) {
            free(h->choices[i].fields[k].name);
            free(h->choices[i].fields[k].path);
            free(h->choices[i].fields[k].label);
            free(h->choices[i].fields[k].pattern);
        }
        free(h->choices[i].fields);
    }
    free(h->until);
    free(h->choices);
    free(h->type);
    free(h->when);
    free(h->reject_when);
    free(h->evidence);
    free(h->owner);
    free(h->escalate_to);
    free(h->to);
    free(h);
}

void deadline_destroy(struct conf_deadline *d)
{
    if (!d)
        return;
    for (size_t i = 0; i < d->n_expect; i++)
        free(d->expect[i]);
    free(d->expect);
    free(d->topic);
    free(d);
}

/* ---- choices ---- */

/** Nothing that looks back at what it found: that can take any time. */
static void check_pattern(struct load *l, const sl_values *v, const char *pattern)
{
    const struct value *at = values_get(v, "pattern");
    char why[120] = "";
    regex_t re;
    int r;

    for (const char *p = pattern; p && *p; p++)
        if (*p == '\\' && p[1] && *++p >= '1' && *p <= '9')
            snprintf(why, sizeof(why), "it looks back with \\%c", *p);
    if (pattern && !why[0]) {
        r = regcomp(&re, pattern, REG_EXTENDED | REG_NOSUB);
        if (r == 0)
            regfree(&re);
        else
            regerror(r, &re, why, sizeof(why));
    }
    if (why[0])
        report_at(&l->rd.report, at->line, at->column,
                  "\"pattern\" wants a POSIX extended regular expression such as [0-9]{5}: %s",
                  why);
}

static void load_field(struct load *l, struct conf_choice *c, const struct yaml_item *item)
{
    struct table table = table_of(field_options);
    struct keys keys = { .tables = &table, .n_tables = 1 };
    struct source source = { .map = item->value };
    struct conf_field *f = &c->fields[c->n_fields];
    char found[96];
    sl_values *v;

    if (item->value->kind != YAML_MAP) {
        yaml_describe(item->value, found);
        report_node(&l->rd, item->value,
                    "what a choice sets is { name: NAME, path: /A/POINTER }, found %s", found);
        return;
    }
    keys_check(&l->rd, item->value, &keys);
    v = values_read(&l->rd, table, &source, 1, item);
    if (!v->bad) {
        *f = (struct conf_field){ .name = text_of(v, "name"),
                                  .path = text_of(v, "path"),
                                  .label = text_of(v, "label"),
                                  .pattern = text_of(v, "pattern"),
                                  .as = (enum field_as)values_get(v, "as")->num,
                                  .optional = values_get(v, "optional")->num };
        c->n_fields++;
        if (!name_is_valid(str_of(f->name)))
            report_node(&l->rd, item, "the name of what is set: wanted " NAME_WANTED);
        if (f->path[0] != '/')
            report_node(&l->rd, item, "\"path\" wants a place inside the payload, such as /zip");
        check_pattern(l, v, f->pattern);
        for (size_t i = 0; i + 1 < c->n_fields; i++)
            if (strcmp(c->fields[i].name, f->name) == 0 || strcmp(c->fields[i].path, f->path) == 0)
                report_node(&l->rd, item, "\"%s\" is set twice", c->fields[i].name);
    }
    values_destroy(v);
}

/** What it lets a person fill in. */
static void load_fields(struct load *l, struct conf_choice *c, const struct yaml_item *item)
{
    const struct yaml_node *list = item->value;
    char found[96];

    if (!c->release)
        report_node(&l->rd, item, "\"set\" is for a choice that releases");
    if (list->kind != YAML_LIST || list->n == 0 || list->n > FIELDS_MAX) {
        yaml_describe(list, found);
        report_node(&l->rd, list,
                    "\"set\" wants a list of 1 to %d, each { name: NAME, path: /A/POINTER }; found "
                    "%s",
                    FIELDS_MAX, found);
        return;
    }
    c->fields = mem_array(list->n, sizeof(*c->fields));
    for (size_t i = 0; i < list->n; i++)
        load_field(l, c, &list->items[i]);
}

/** What follows `sluice held`: a choice of that name could not be made, or would be taken for it.
 */
static const char *const verbs[] = { "list",    "show",       "release", "reject",
                                     "arrived", "send-again", NULL };

/** Types under which the gateway itself holds, and which it lets go by its own rules. */
static const char *const own_types[] = { "unknown-outcome", "interlock",  "fallback",
                                         "route-paused",    HOLD_LOOK_UP, "orphaned",
                                         "restored",        "poison",     NULL };

static bool stands_in(const char *const *list, const char *name)
{
    while (*list && strcmp(*list, name) != 0)
        list++;
    return *list;
}

static void load_choice(struct load *l, struct conf_hold *h, const struct yaml_item *item)
{
    static const char *const others[] = { "set", NULL };
    struct table table = table_of(choice_options);
    struct keys keys = { .tables = &table, .n_tables = 1, .others = others };
    struct source source = { .map = item->value };
    const struct yaml_item *set = yaml_get(item->value, STR("set"));
    struct conf_choice *c = &h->choices[h->n_choices];
    char found[96];
    sl_values *v;

    if (item->value->kind != YAML_MAP) {
        yaml_describe(item->value, found);
        report_node(&l->rd, item->value,
                    "a choice is { name: NAME, do: release } or { name: NAME, do: reject }, found "
                    "%s",
                    found);
        return;
    }
    keys_check(&l->rd, item->value, &keys);
    v = values_read(&l->rd, table, &source, 1, item);
    if (!v->bad) {
        *c = (struct conf_choice){ .name = text_of(v, "name"),
                                   .release = values_get(v, "do")->num == 0,
                                   .to = text_of(v, "to"),
                                   .text = text_of(v, "text") };
        h->n_choices++;
        c->line = item->value->line;
        c->column = item->value->column;
        if (!name_is_valid(str_of(c->name)))
            report_node(&l->rd, item, "the name of a choice: wanted " NAME_WANTED);
        if (stands_in(verbs, c->name))
            report_node(&l->rd, item,
                        "a choice cannot be named \"%s\", which is a verb of sluice held; release "
                        "and reject can always be chosen, without standing here",
                        c->name);
        if (c->to && !c->release)
            report_node(&l->rd, item, "\"to\" is for a choice that releases");
        for (size_t i = 0; i + 1 < h->n_choices; i++)
            if (strcmp(h->choices[i].name, c->name) == 0)
                report_node(&l->rd, item, "a second choice named \"%s\"", c->name);
        if (set)
            load_fields(l, c, set);
    }
    values_destroy(v);
}

static void load_choices(struct load *l, struct conf_hold *h, const struct yaml_item *item)
{
    const struct yaml_node *list = item->value;
    char found[96];

    if (list->kind != YAML_LIST || list->n == 0 || list->n > CHOICES_MAX) {
        yaml_describe(list, found);
        report_node(&l->rd, list,
                    "\"choices\" wants a list of 1 to %d, each { name: NAME, do: release } or "
                    "{ name: NAME, do: reject }; found %s",
                    CHOICES_MAX, found);
        return;
    }
    h->choices = mem_array(list->n, sizeof(*h->choices));
    for (size_t i = 0; i < list->n; i++)
        load_choice(l, h, &list->items[i]);
}

/* ---- hold ---- */

static bool given(const sl_values *v, const char *name)
{
    return values_get(v, name)->from == VALUE_GIVEN;
}

/** What needs something else beside it. */
static void check_hold(struct load *l, const struct conf_hold *h, const sl_values *v,
                       const struct yaml_item *at, bool in_target)
{
    struct reader *rd = &l->rd;

    check_topics(l, values_get(v, "until"), "until");
    if (!h->n_until && (h->when || h->reject_when))
        report_node(rd, at, "\"%s\" looks at an event: it needs \"until\": TOPIC beside it",
                    h->when ? "when" : "reject_when");
    if (given(v, "then") && !h->for_ms)
        report_node(rd, at, "\"then\" needs \"for\": how long it is held before that");
    if (given(v, "escalate_to") && h->then != HOLD_ESCALATE)
        report_node(rd, at, "\"escalate_to\" needs \"for\", and \"then\": escalate");
    if (!in_target && h->to)
        report_node(rd, at,
                    "\"to\" belongs into the \"hold\" of a choice; what a route holds has its "
                    "endpoint already");
    if (in_target && !h->to && h->then == HOLD_RELEASE)
        report_node(rd, at, "\"then\": release needs \"to\": where to send it");
    if (in_target && !h->to && h->n_until)
        report_node(rd, at, "\"until\" releases it, so it needs \"to\": where to send it");
}

static void fill_hold(struct conf_hold *h, const sl_values *v)
{
    const struct value *until = values_get(v, "until");

    h->type = text_of(v, "type");
    if (until->from == VALUE_GIVEN)
        h->until = value_list(until, &h->n_until);
    h->when = text_of(v, "when");
    h->reject_when = text_of(v, "reject_when");
    h->for_ms = given(v, "for") ? values_get(v, "for")->num : 0;
    if (h->for_ms)
        h->then = given(v, "then") ? (enum hold_then)(HOLD_RELEASE + values_get(v, "then")->num)
                                   : HOLD_ESCALATE;
    h->owner = text_of(v, "owner");
    h->escalate_to = text_of(v, "escalate_to");
    h->evidence = text_of(v, "evidence");
    h->to = text_of(v, "to");
}

struct conf_hold *load_hold(struct load *l, const struct yaml_item *hold, bool in_target)
{
    static const char *const others[] = { "choices", NULL };
    struct table table = table_of(hold_options);
    struct keys keys = { .tables = &table, .n_tables = 1, .others = others };
    const struct yaml_node *type = hold->value;
    struct source source = { .map = hold->value };
    struct conf_hold *h = hold_new(l, NULL);
    const struct yaml_item *choices = yaml_get(hold->value, STR("choices"));
    char found[96];
    sl_values *v;

    keys_check(&l->rd, hold->value, &keys);
    if (type->kind == YAML_MAP && yaml_find(type, "type"))
        type = yaml_find(type, "type");
    if (type->kind == YAML_MAP) {
        report_node(&l->rd, type, "\"hold.type\" is missing: a name such as fraud or unmapped-sku");
        return h;
    }
    if (type->kind != YAML_TEXT || !name_is_valid(type->text)) {
        yaml_describe(type, found);
        report_node(&l->rd, type,
                    "\"hold\" wants the type of the hold, a name such as fraud or unmapped-sku, "
                    "found %s",
                    found);
        return h;
    }
    if (str_eq(type->text, STR(HOLD_WAIT_FOR)))
        report_node(&l->rd, type,
                    "the type \"" HOLD_WAIT_FOR
                    "\" is what the key \"wait_for\" is "
                    "for");
    if (stands_in(own_types, type->text.ptr))
        report_node(&l->rd, type,
                    "the type \"%s\" is the gateway's own; name the hold otherwise, such as fraud "
                    "or approval",
                    type->text.ptr);
    if (hold->value->kind == YAML_TEXT) {
        h->type = mem_dup(type->text);
        return h;
    }
    v = values_read(&l->rd, table, &source, 1, hold);
    fill_hold(h, v);
    if (choices)
        load_choices(l, h, choices);
    if (!v->bad)
        check_hold(l, h, v, hold, in_target);
    values_destroy(v);
    return h;
}

/** Where a hold sends is known when all endpoints are: the route must send there in some case. */
void check_hold_targets(struct load *l, const struct conf_route *r, const struct conf_hold *h)
{
    const struct conf_target *t;

    for (size_t k = 0; h && k <= h->n_choices; k++) {
        const char *to = k < h->n_choices ? h->choices[k].to : h->to;
        bool found = !to;

        for (size_t i = 0; !found && (t = conf_route_send(r, i)); i++)
            found = !t->endpoint || strcmp(t->endpoint->name, to) == 0; /* none: that was told */
        if (!found && k < h->n_choices)
            report_at(&l->rd.report, h->choices[k].line, h->choices[k].column,
                      "choice \"%s\" sends to \"%s\", and no case of route %s does; name an "
                      "endpoint of its \"to\"",
                      h->choices[k].name, to, r->name ? r->name : "?");
        else if (!found)
            report_at(&l->rd.report, r->line, r->column,
                      "hold %s sends to \"%s\", and no case of route %s does; name an endpoint of "
                      "its \"to\"",
                      h->type, to, r->name ? r->name : "?");
    }
}

/* ---- wait_for ---- */

enum { WAIT_GO, WAIT_DEAD, WAIT_LOOKUP }; /* as the option table says */

/** One topic, and an endpoint whose adapter can say what became of it. */
static void check_lookup(struct load *l, const struct conf_route *r, const struct value *topics,
                         const struct value *otherwise)
{
    const struct conf_endpoint *e = r->from_endpoint
                                        ? config_endpoint(l->config, str_of(r->from_endpoint))
                                        : NULL;
    sl_fail fail = { .size = sizeof(fail) };
    sl_str topic;

    if (topics->n_items != 1 || strchr(topics->items[0].data, '*')) {
        report_at(&l->rd.report, otherwise->line, otherwise->column,
                  "\"wait_for.else\" is lookup, which asks for one event: \"wait_for.topic\" wants "
                  "one topic, without \"*\"");
        return;
    }
    if (r->n_also) {
        report_at(&l->rd.report, otherwise->line, otherwise->column,
                  "\"wait_for.else\" is lookup, and \"from\" names several endpoints, of which "
                  "none is the one to be asked; give each a route, or say go or dead");
        return;
    }
    if (!e)
        return;
    topic = str_of(topics->items[0].data);
    if (!e->plugin->lookup)
        report_at(&l->rd.report, otherwise->line, otherwise->column,
                  "\"wait_for.else\" is lookup, and adapter \"%s\" of endpoint \"%s\" cannot look "
                  "anything up; say go or dead",
                  e->adapter, e->name);
    else if (e->plugin->can_look_up &&
             e->plugin->can_look_up(e->settings, config_values_api(), topic, &fail) < 0)
        report_at(&l->rd.report, otherwise->line, otherwise->column,
                  "\"wait_for.else\" is lookup, and endpoint \"%s\" cannot look up " STR_FMT
                  ": %.400s",
                  e->name, STR_ARG(topic), fail.text);
}

static bool block_given(const sl_values *v, const char *const *names)
{
    for (; *names; names++)
        if (given(v, *names))
            return true;
    return false;
}

/** True when both stand there. */
static bool wants_both(struct load *l, const sl_values *v, const struct yaml_item *at,
                       const char *a, const char *b)
{
    if (!given(v, a))
        report_node(&l->rd, at, "\"%s\" is missing", a);
    if (!given(v, b))
        report_node(&l->rd, at, "\"%s\" is missing", b);
    return given(v, a) && given(v, b);
}

struct conf_hold *load_wait_for(struct load *l, const struct conf_route *r, const sl_values *v,
                                const struct yaml_item *at)
{
    static const char *const names[] = { "wait_for.topic", "wait_for.within", "wait_for.else",
                                         NULL };
    const struct value *otherwise = values_get(v, "wait_for.else");
    struct conf_hold *h;

    if (!block_given(v, names) || !wants_both(l, v, at, names[0], names[1]))
        return NULL;
    if (otherwise->num == WAIT_LOOKUP)
        check_lookup(l, r, values_get(v, names[0]), otherwise);
    if (r->hold && r->hold->n_until)
        report_node(&l->rd, at,
                    "\"wait_for\" and a \"hold\" with \"until\" cannot stand in one route: let the "
                    "hold alone wait");
    check_topics(l, values_get(v, names[0]), names[0]);
    h = hold_new(l, HOLD_WAIT_FOR);
    h->until = value_list(values_get(v, names[0]), &h->n_until);
    h->for_ms = values_get(v, names[1])->num;
    h->then = otherwise->num == WAIT_DEAD     ? HOLD_REJECT
              : otherwise->num == WAIT_LOOKUP ? HOLD_LOOKUP
                                              : HOLD_RELEASE;
    return h;
}

/* ---- deadline ---- */

/** "80%" */
static unsigned read_percent(struct load *l, const struct value *v)
{
    unsigned n = 0;
    size_t i = 0;

    if (v->from != VALUE_GIVEN)
        return 0;
    while (i < v->text.len && i < 2 && v->text.data[i] >= '0' && v->text.data[i] <= '9')
        n = n * 10 + (unsigned)(v->text.data[i++] - '0');
    if (n && i + 1 == v->text.len && v->text.data[i] == '%')
        return n;
    report_at(&l->rd.report, v->line, v->column,
              "\"deadline.warn\" wants a share of the time from 1%% to 99%%, such as 80%%");
    return 0;
}

struct conf_deadline *load_deadline(struct load *l, const sl_values *v, const struct yaml_item *at)
{
    static const char *const names[] = { "deadline.expect", "deadline.within", "deadline.else",
                                         "deadline.warn", NULL };
    const struct value *topic = values_get(v, names[2]);
    struct conf_deadline *d;

    if (!block_given(v, names) || !wants_both(l, v, at, names[0], names[1]))
        return NULL;
    check_topics(l, values_get(v, names[0]), names[0]);
    if (topic->from != VALUE_GIVEN)
        report_node(&l->rd, at, "\"%s\" is missing: the topic of the event that says so", names[2]);
    else if (topic->text.len == 0 || topic->text.len > TOPIC_MAX || strchr(topic->text.data, '*'))
        report_at(&l->rd.report, topic->line, topic->column,
                  "\"%s\" wants a topic of at most %d bytes without \"*\"", names[2], TOPIC_MAX);
    d = mem_zero(sizeof(*d));
    d->expect = value_list(values_get(v, names[0]), &d->n_expect);
    d->within_ms = values_get(v, names[1])->num;
    d->topic = text_of(v, names[2]);
    d->warn_percent = read_percent(l, values_get(v, names[3]));
    return d;
}
