/*
 * reference.c - the option tables as a commented YAML file that loads again.
 *
 * Only required keys stand there, with an example; the others are commented out, with their default
 * or an example.
 */
#include "config/config.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include "base/units.h"
#include "config/options.h"

/* What one block is printed from; `skip` are names that the caller prints itself. */
struct page {
    struct buf *out;
    struct table tables[2];
    const char *const *skip; /* NULL-terminated, may be NULL */
};

static void indent(struct buf *out, unsigned depth)
{
    for (unsigned i = 0; i < depth; i++)
        buf_cstr(out, "  ");
}

/* ---- values ---- */

static bool is_plain(const char *s)
{
    if (!*s || strchr("-.:", *s))
        return false;
    for (; *s; s++)
        if (!((*s >= 'a' && *s <= 'z') || (*s >= 'A' && *s <= 'Z') || (*s >= '0' && *s <= '9') ||
              strchr("/._-", *s) || (*s == ':' && s[1] && s[1] != ' ')))
            return false;
    return true;
}

static void print_default(struct buf *out, const sl_option *o)
{
    bool text = o->type == SL_OPT_STRING || o->type == SL_OPT_URL || o->type == SL_OPT_JQ ||
                o->type == SL_OPT_POINTER || o->type == SL_OPT_ENUM;

    if (o->type == SL_OPT_STRING && (o->deflt[0] == '"' || o->deflt[0] == '\''))
        text = false; /* it is YAML already */
    if (text && !is_plain(o->deflt))
        buf_json_str(out, str_of(o->deflt));
    else
        buf_cstr(out, o->deflt);
}

/* A number that is allowed, near what people would write. */
static int64_t example_number(const sl_option *o, int64_t usual)
{
    if (o->min == 0 && o->max == 0)
        return usual;
    if (usual < o->min)
        return o->min;
    return o->max >= o->min && usual > o->max ? o->max : usual;
}

/** What the help offers: "an API name, such as Contact or ..." gives Contact; of lists and maps
 * what stands in brackets. */
static bool print_helped(struct buf *out, const sl_option *o)
{
    static const char such[] = "such as ";
    const char *at = o->help ? strstr(o->help, such) : NULL;
    const char *brackets = o->type == SL_OPT_STRINGS ? "[]" : o->type == SL_OPT_MAP ? "{}" : NULL;

    if (at && brackets && at[sizeof(such) - 1] == brackets[0]) {
        at += sizeof(such) - 1;
        buf_append(out, at, strcspn(at, brackets + 1) + 1);
        return true;
    }
    if (!at || (o->type != SL_OPT_STRING && o->type != SL_OPT_URL && o->type != OPT_TEXTS &&
                o->type != OPT_ACTION))
        return false;
    at += sizeof(such) - 1;
    buf_append(out, at, strcspn(at, " ,;"));
    return true;
}

static void print_example(struct buf *out, const sl_option *o)
{
    char text[24];

    if (print_helped(out, o))
        return;

    switch (o->type) {
    case SL_OPT_INT:
        buf_printf(out, "%" PRId64, example_number(o, 1));
        return;
    case SL_OPT_INTS:
        buf_printf(out, "[%" PRId64 "]", example_number(o, 409));
        return;
    case SL_OPT_BOOL:
        buf_cstr(out, "true");
        return;
    case SL_OPT_DURATION:
        units_format_duration(example_number(o, 30000), text);
        buf_cstr(out, text);
        return;
    case SL_OPT_SIZE:
        units_format_size(example_number(o, 1 << 20), text);
        buf_cstr(out, text);
        return;
    case SL_OPT_ENUM:
        buf_append(out, o->choices, strcspn(o->choices, "|"));
        return;
    case SL_OPT_URL:
        buf_cstr(out, "https://api.example.com");
        return;
    case SL_OPT_SECRET:
        buf_cstr(out, "{ env: NAME }");
        return;
    case SL_OPT_SECRETS:
        buf_cstr(out, "[{ env: NAME }]");
        return;
    case SL_OPT_STRINGS:
    case OPT_PATHS:
        buf_cstr(out, "[a, b]");
        return;
    case SL_OPT_MAP:
        buf_cstr(out, "{ name: value }");
        return;
    case SL_OPT_JQ:
        buf_cstr(out, "\".\"");
        return;
    case SL_OPT_POINTER:
        buf_cstr(out, "/order/id");
        return;
    case OPT_MILLI:
        buf_cstr(out, "5");
        return;
    case OPT_LISTEN:
        buf_cstr(out, "127.0.0.1:8080");
        return;
    case OPT_PATH:
        buf_cstr(out, "/path/to/file");
        return;
    }
    buf_cstr(out, "text");
}

/* ---- keys ---- */

static void print_range(struct buf *out, const sl_option *o)
{
    char low[24], high[24];

    if (o->type == SL_OPT_ENUM && o->choices) {
        buf_cstr(out, " (");
        for (const char *c = o->choices; *c; c++)
            buf_cstr(out, *c == '|' ? ", " : (char[]){ *c, '\0' });
        buf_char(out, ')');
        return;
    }
    if ((o->min == 0 && o->max == 0) || o->max < o->min)
        return;
    snprintf(low, sizeof(low), "%" PRId64, o->min);
    snprintf(high, sizeof(high), "%" PRId64, o->max);
    if (o->type == SL_OPT_DURATION) {
        units_format_duration(o->min, low);
        units_format_duration(o->max, high);
    } else if (o->type == SL_OPT_SIZE) {
        units_format_size(o->min, low);
        units_format_size(o->max, high);
    } else if (o->type == OPT_MILLI) {
        snprintf(low, sizeof(low), "%g", (double)o->min / 1000);
        snprintf(high, sizeof(high), "%" PRId64, o->max / 1000);
    }
    buf_printf(out, " (%s to %s)", low, high);
}

static void print_option(struct buf *out, const sl_option *o, const char *key, unsigned depth)
{
    bool active = o->flags & SL_OPT_REQUIRED; /* a default that is written out may mean more */

    indent(out, depth);
    buf_printf(out, "# %s%s", o->help ? o->help : key,
               o->flags & SL_OPT_REQUIRED ? "; required" : "");
    print_range(out, o);
    buf_char(out, '\n');
    indent(out, depth);
    buf_printf(out, "%s%s: ", active ? "" : "#", key);
    if (o->deflt)
        print_default(out, o);
    else
        print_example(out, o);
    buf_char(out, '\n');
}

/* The i-th option of a page's tables, one after the other; NULL past the last. */
static const sl_option *page_at(const struct page *p, size_t i)
{
    for (size_t t = 0; t < 2; t++) {
        size_t n = 0;

        while (table_at(p->tables[t], n))
            n++;
        if (i < n)
            return table_at(p->tables[t], i);
        i -= n;
    }
    return NULL;
}

static bool skipped(const struct page *p, sl_str component)
{
    for (size_t i = 0; p->skip && p->skip[i]; i++)
        if (str_eq(str_of(p->skip[i]), component))
            return true;
    return false;
}

/* Does an option before the i-th begin with the same `len` bytes and a dot? */
static bool begun_before(const struct page *p, size_t i, size_t len)
{
    const char *name = page_at(p, i)->name;

    for (size_t j = 0; j < i; j++)
        if (strncmp(page_at(p, j)->name, name, len) == 0 && page_at(p, j)->name[len] == '.')
            return true;
    return false;
}

static void print_block(const struct page *p, sl_str prefix, unsigned depth)
{
    const sl_option *o;

    for (size_t i = 0; (o = page_at(p, i)); i++) {
        const char *key = o->name + prefix.len;
        size_t len;

        if (!str_starts(str_of(o->name), prefix))
            continue;
        len = strcspn(key, ".");
        if (prefix.len == 0 && skipped(p, (sl_str){ .ptr = key, .len = len }))
            continue;
        if (key[len] == '\0') {
            print_option(p->out, o, key, depth);
        } else if (!begun_before(p, i, prefix.len + len)) {
            indent(p->out, depth);
            buf_printf(p->out, "%.*s:\n", (int)len, key);
            print_block(p, (sl_str){ .ptr = o->name, .len = prefix.len + len + 1 }, depth + 1);
        }
    }
}

/* ---- the parts of the file ---- */

#define TEMPLATES_HEAD                                                                              \
    "\n# What several endpoints have in common: any key of an endpoint, and in its texts ${name}, " \
    "which\n# is the endpoint's name.\n#templates: { my-template: { timeout: { total: 30s } } }\n"
#define ENDPOINTS_HEAD "\n# One entry for each system that sends or receives.\nendpoints:\n"
#define GROUPS_HEAD \
    "\n# Endpoints that can do the same job: one of them gets each delivery.\ngroups:\n"
#define ROUTES_HEAD "\n# What goes where.\nroutes:\n"

/** Each kind of feed that the adapter has, commented out: none is needed. */
static void print_feeds(struct buf *out, const sl_plugin *plugin)
{
    static const char *const skip[] = { "every", "at", NULL };
    struct buf text = { 0 };
    struct page page = { .out = &text, .skip = skip };

    buf_cstr(out,
             "    # what is asked for again and again: feeds by their names\n"
             "    #feeds:\n");
    for (const sl_feed *f = plugin->feeds; f->name; f++) {
        buf_printf(&text, "      my-%s:\n", f->name);
        if (f->help)
            buf_printf(&text, "        # %s\n", f->help);
        buf_printf(&text,
                   "        kind: %s\n"
                   "        # from one beginning to the next; or once a day, UTC: at: \"02:00\"\n"
                   "        every: 5m\n",
                   f->name);
        page.tables[0] = table_of(f->params);
        page.tables[1] = f == plugin->feeds ? table_of_fields(options_feed) : (struct table){ 0 };
        print_block(&page, STR(""), 4);
    }
    for (const char *line = text.data; line && *line;) {
        size_t n = strcspn(line, "\n"), blanks = strspn(line, " ");

        buf_printf(out, "%.*s%s%.*s\n", (int)blanks, line, line[blanks] == '#' ? "" : "#",
                   (int)(n - blanks), line + blanks);
        line += n + (line[n] == '\n');
    }
    buf_finish(&text);
}

static void print_endpoint(struct buf *out, const sl_plugin *plugin, bool all)
{
    static const char *const skip[] = { "template", NULL };
    const char *name = plugin ? plugin->name : "adapter";
    struct page page = { .out = out, .skip = skip };

    page.tables[0] = table_of(plugin ? plugin->settings : NULL);
    if (all)
        page.tables[1] = table_of_fields(options_endpoint);
    buf_printf(out, "  my-%s:\n", name);
    if (plugin && plugin->help)
        buf_printf(out, "    # %s\n", plugin->help);
    buf_printf(out, "    adapter: %s\n", name);
    if (all)
        buf_cstr(out,
                 "    # a template, whose keys it has beside its own\n"
                 "    #template: my-template\n");
    print_block(&page, STR(""), 2);
    if (!all)
        buf_cstr(out, "    # and every key that the first endpoint has beside its adapter's own\n");
    if (plugin && plugin->poll && plugin->feeds)
        print_feeds(out, plugin);
}

static void print_target(struct buf *out, const char *endpoint, const sl_action *action)
{
    struct page page = { .out = out };

    page.tables[0] = table_of(action ? action->params : NULL);
    buf_cstr(out,
             "    # where to: an endpoint and its action; or { group: NAME, action: ... };\n"
             "    # or origin, with an action: the endpoint that the event's subject is from;\n"
             "    # or { choose: JQ, cases: { VALUE: { endpoint: NAME } }, else: ... };\n"
             "    # or { hold: TYPE }, { dead: REASON }, { drop: true }\n"
             "    to:\n");
    buf_printf(out, "      endpoint: my-%s\n", endpoint);
    if (action && action->help)
        buf_printf(out, "      # %s\n", action->help);
    buf_printf(out, "      action: %s\n", action ? action->name : "action");
    print_block(&page, STR(""), 3);
}

/** A look-up, commented out: it needs an adapter that has rows. */
static void print_with(struct buf *out, const char *endpoint, const sl_find *find)
{
    static const char *const skip[] = { "endpoint", NULL };
    struct buf text = { 0 };
    struct page page = { .out = &text, .skip = skip };

    page.tables[0] = table_of(options_with);
    page.tables[1] = table_of(find->params);
    buf_printf(&text,
               "    with:\n"
               "      prices:\n"
               "        endpoint: my-%s\n",
               endpoint);
    print_block(&page, STR(""), 4);
    buf_cstr(out,
             "    # rows of another endpoint, which the programs see as $with.prices: an object of "
             "key to row\n");
    for (const char *line = text.data; line && *line;) {
        size_t n = strcspn(line, "\n"), blanks = strspn(line, " ");
        buf_append(out, line, blanks);
        buf_cstr(out, line[blanks] == '#' ? "" : "#");
        buf_append(out, line + blanks, n - blanks);
        buf_char(out, '\n');
        line += n + (line[n] == '\n');
    }
    buf_finish(&text);
}

static void print_route(struct buf *out, const char *from, const char *endpoint,
                        const sl_action *action, const sl_find *find, bool all)
{
    static const char *const skip[] = { "name", "from", "coalesce", NULL };
    struct page page = { .out = out, .skip = skip };

    page.tables[0] = table_of_fields(options_route);
    buf_cstr(out, "  - name: ");
    for (const char *c = action ? action->name : "my-route"; *c; c++)
        buf_char(out, (*c >= 'a' && *c <= 'z') || (*c >= '0' && *c <= '9') ? *c : '-');
    buf_cstr(out, "\n    # whose events: a topic, a beginning such as orders/*, or a list\n");
    if (all)
        buf_cstr(out,
                 "    # of several endpoints, in one order for each subject: a list of these\n");
    buf_printf(out, "    from: { endpoint: my-%s, topic: orders/create }\n", from);
    print_target(out, endpoint, action);
    if (find)
        print_with(out, endpoint, find);
    if (!all) {
        buf_cstr(out, "    # and every other key of the first route\n");
        return;
    }
    buf_cstr(
        out,
        "    # keep every delivery back until a person releases it; names the reason. Or a\n"
        "    # mapping: { type, owner, evidence: JQ, until: TOPIC, when: JQ, reject_when: JQ,\n"
        "    # for: DURATION, then: release, reject or escalate, escalate_to,\n"
        "    # choices: [{ name, do: release or reject, to: ENDPOINT, text,\n"
        "    # set: [{ name, path: /A/POINTER, label, pattern, as: text, number or boolean, optional }] }] }\n"
        "    #hold: fraud\n"
        "    # a cancel closes what is held of that route and its subject, and was never sent; with\n"
        "    # amend what is held goes out with the newer body: overtakes: { route: NAME, held: close }\n"
        "    # the only route that holds something closes: overtakes: held\n"
        "    # another endpoint for what is given up at its own, or a group; only what has definitely\n"
        "    # not arrived goes there: fallback: { endpoint: NAME, action: ACTION,\n"
        "    # on: [exhausted, rejected], and its parameters }; on: [exhausted] without it. Or its\n"
        "    # event by another route, which may have \"topic: []\" to take nothing else:\n"
        "    # fallback: { route: NAME, on: [exhausted, rejected] }\n"
        "    # only the newest of a subject, and of a piece of it, goes out; older ones that were never\n"
        "    # sent are superseded (none, subject). By a key over the event, which names the piece:\n"
        "    # coalesce: { by: JQ }\n"
        "    #coalesce: none\n");
    print_block(&page, STR(""), 2);
}

/** A group of one; a real one has more members. */
static void print_groups(struct buf *out, const char *endpoint)
{
    static const char *const skip[] = { "key", NULL };
    struct page page = { .out = out, .skip = skip };

    page.tables[0] = table_of_fields(options_group);
    buf_printf(out,
               GROUPS_HEAD
               "  my-group:\n"
               "    # names of endpoints; with policy weighted also { endpoint: NAME, "
               "weight: 3 }; required\n"
               "    members: [my-%s]\n",
               endpoint);
    print_block(&page, STR(""), 2);
    buf_cstr(out,
             "    # with policy hash: what is always sent to the same one, key: subject or "
             "key: piece; without it the subject\n");
}

static void comment_out(struct buf *out, const struct buf *text)
{
    const char *line = text->data;

    while (line && *line) {
        size_t n = strcspn(line, "\n");

        buf_cstr(out, n ? "#" : "");
        buf_append(out, line, n);
        buf_char(out, '\n');
        line += n + (line[n] == '\n');
    }
}

static void print_sketch(struct buf *out)
{
    struct buf sketch = { 0 };

    buf_cstr(&sketch, ENDPOINTS_HEAD);
    print_endpoint(&sketch, NULL, true);
    print_groups(&sketch, "adapter");
    buf_cstr(&sketch, ROUTES_HEAD);
    print_route(&sketch, "adapter", "adapter", NULL, NULL, true);
    comment_out(out, &sketch);
    buf_finish(&sketch);
}

/** Where the routes come from: the first that takes webhooks, or the destination itself. */
static const char *source_of(const sl_plugin *const *plugins, size_t n, const char *otherwise)
{
    for (size_t i = 0; i < n; i++)
        if (plugins[i]->verify)
            return plugins[i]->name;
    return otherwise;
}

/** Who can stand in a group: best one that can take back what it was sent, so that every key of a
 *  group means something. NULL: none has an action. */
static const sl_plugin *group_member(const sl_plugin *const *plugins, size_t n)
{
    const sl_plugin *found = NULL;

    for (size_t i = 0; i < n; i++) {
        const sl_action *a = plugins[i]->deliver ? plugins[i]->actions : NULL;
        if (!found && a && a->name)
            found = plugins[i];
        for (; a && a->name; a++)
            if (a->flags & SL_ACTION_CANCEL)
                return plugins[i];
    }
    return found;
}

static void print_routes(struct buf *out, const sl_plugin *const *plugins, size_t n)
{
    bool first = true;

    for (size_t i = 0; i < n; i++) {
        const sl_plugin *p = plugins[i];
        const sl_find *find = p->find; /* with the first of its routes */

        for (const sl_action *a = p->deliver ? p->actions : NULL; a && a->name; a++) {
            if (a->flags & SL_ACTION_CANCEL)
                continue; /* for groups alone */
            buf_cstr(out, first ? ROUTES_HEAD : "\n");
            print_route(out, source_of(plugins, n, p->name), p->name, a, find, first);
            first = false;
            find = NULL;
        }
    }
}

void config_print_references(struct buf *out, const sl_plugin *const *plugins, size_t n)
{
    struct page page = { .out = out };

    page.tables[0] = table_of_fields(options_top);
    buf_cstr(
        out,
        "# Every key. What is commented out shows the default, or an example where there is none.\n\n");
    print_block(&page, STR(""), 0);
    if (n == 0) {
        print_sketch(out);
        return;
    }
    buf_cstr(out, TEMPLATES_HEAD ENDPOINTS_HEAD);
    for (size_t i = 0; i < n; i++) {
        buf_cstr(out, i ? "\n" : "");
        print_endpoint(out, plugins[i], i == 0);
    }
    const sl_plugin *member = group_member(plugins, n);
    if (member)
        print_groups(out, member->name);
    print_routes(out, plugins, n);
}

void config_print_reference(struct buf *out, const sl_plugin *plugin)
{
    config_print_references(out, &plugin, plugin ? 1 : 0);
}
