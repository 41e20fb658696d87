/*
 * config.c - a checked configuration: the whole load, and the end of it.
 */
#include "config/config.h"

#include <stdlib.h>
#include <string.h>
#include <uv.h>
#include "base/mem.h"
#include "config/load.h"

/* ---- the file ---- */

static char *folder_of(const char *file)
{
    const char *slash = strrchr(file, '/');

    return mem_dup((sl_str){ .ptr = file, .len = slash ? (size_t)(slash - file) + 1 : 0 });
}

/* 0 with the text (own) and its tree (own, maybe NULL with a mistake); or UV_ENOENT, UV_EINVAL. */
static int read_file(struct reader *rd, const char *file, struct text *ret_text,
                     struct yaml_node **ret_root)
{
    struct fail fail = { 0 };
    int r = file_read(file, YAML_MAX_BYTES, ret_text, &fail);

    rd->report.file = file;
    rd->dir = folder_of(file);
    if (r < 0) {
        report_at(&rd->report, 0, 0, "%s", fail.text);
        return r == UV_ENOENT ? UV_ENOENT : UV_EINVAL;
    }
    rd->report.source = (sl_str){ .ptr = ret_text->data, .len = ret_text->len };
    *ret_root = yaml_parse(rd->report.source, &rd->report);
    return *ret_root ? 0 : UV_EINVAL;
}

/* ---- the top level ---- */

static void settle_top(struct config *c, const sl_values *v)
{
    const struct value *plugins = values_get(v, "plugins");
    struct buf socket = { 0 };

    if (plugins->from != VALUE_NONE)
        c->plugin_dirs = value_list(plugins, &c->n_plugin_dirs);
    if (c->admin_listen && strcmp(c->admin_listen, "none") == 0) {
        free(c->admin_listen);
        c->admin_listen = NULL;
    }
    if (c->admin_socket || !c->store_path)
        return;
    buf_printf(&socket, "%s/admin.sock", c->store_path);
    c->admin_socket = buf_steal(&socket, NULL);
}

static void check_listen(struct load *l, const struct config *c, const sl_values *v)
{
    const struct value *listen = values_get(v, "listen"), *admin = values_get(v, "admin.listen");

    if (c->listen && strcmp(c->listen, "none") == 0)
        report_at(&l->rd.report, listen->line, listen->column,
                  "\"listen\" must be an address: without it no webhook comes in");
    if (c->admin_listen && str_starts(str_of(c->admin_listen), STR("unix:")))
        report_at(&l->rd.report, admin->line, admin->column,
                  "\"admin.listen\" is for TCP; the socket is \"admin.socket\"");
    if (c->listen && c->admin_listen && strcmp(c->listen, c->admin_listen) == 0 &&
        !str_starts(str_of(c->listen), STR("unix:")) && admin->from == VALUE_GIVEN)
        report_at(&l->rd.report, admin->line, admin->column,
                  "\"admin.listen\" is the same as \"listen\"; give it another port");
}

/* ---- intake ---- */

static void read_trusted(struct load *l, const struct value *v)
{
    struct config *c = l->config;

    c->trusted = mem_array(v->n_items ? v->n_items : 1, sizeof(*c->trusted));
    for (size_t i = 0; i < v->n_items; i++) {
        sl_str item = { .ptr = v->items[i].data, .len = v->items[i].len };

        if (str_eq(item, STR("unix")))
            c->trust_unix = true;
        else if (ipnet_parse(item, &c->trusted[c->n_trusted]) == 0)
            c->n_trusted++;
        else
            report_at(&l->rd.report, v->line, v->column,
                      "\"intake.trusted_proxies\": \"%.80s\" is none; wanted an address, a network "
                      "such as 10.0.0.0/8 (no bits beyond its prefix), or unix",
                      item.ptr);
    }
}

static void read_mode(struct load *l, const struct value *v)
{
    const char *text = v->text.data ? v->text.data : "";
    size_t n = strspn(text, "01234567");

    l->config->unix_mode = (unsigned)strtoul(text, NULL, 8);
    if (n < 3 || n > 4 || text[n] || l->config->unix_mode > 0777)
        report_at(&l->rd.report, v->line, v->column,
                  "\"intake.mode\" wants permissions such as 0660, found \"%.40s\"", text);
}

static void load_top(struct load *l, const struct yaml_node *root)
{
    struct table table = table_of_fields(options_top);
    struct keys keys = { .tables = &table, .n_tables = 1, .others = keys_top };
    struct source source = { .map = root };
    struct yaml_item at = { .line = root->line, .column = root->column };
    sl_values *v;

    keys_check(&l->rd, root, &keys);
    v = values_read(&l->rd, table, &source, 1, &at);
    fields_store(v, l->config);
    check_listen(l, l->config, v);
    read_trusted(l, values_get(v, "intake.trusted_proxies"));
    read_mode(l, values_get(v, "intake.mode"));
    settle_top(l->config, v);
    values_destroy(v);
}

static void load_document(struct load *l, const struct yaml_node *root)
{
    if (root->kind == YAML_NOTHING) {
        report_at(&l->rd.report, 1, 1, "the file is empty; wanted \"endpoints\" and \"routes\"");
        return;
    }
    if (root->kind != YAML_MAP) {
        report_node(&l->rd, root, "wanted a mapping with \"endpoints\" and \"routes\", found %s",
                    root->kind == YAML_LIST ? "a list" : "a single value");
        return;
    }
    load_top(l, root);
    templates_expand(l, root);
    load_endpoints(l, yaml_get(root, STR("endpoints")));
    load_groups(l, yaml_get(root, STR("groups")));
    load_routes(l, yaml_get(root, STR("routes")));
}

int config_load(const char *file, const struct config_env *env, struct config **ret,
                struct config_errors *errors)
{
    struct load l = { .rd = { .env = env }, .config = mem_zero(sizeof(struct config)) };
    struct yaml_node *root = NULL;
    struct text text = { 0 };
    bool good;

    l.config->file = mem_str(file);
    if (read_file(&l.rd, file, &text, &root) == 0)
        load_document(&l, root);
    good = l.rd.report.n == 0;
    report_finish(&l.rd.report, errors);
    if (good)
        *ret = l.config;
    else
        config_destroy(l.config);
    yaml_destroy(root);
    text_wipe(&text);
    free(l.rd.dir);
    free(l.retry_given);
    return good ? 0 : UV_EINVAL;
}

static void wipe(char *secret)
{
    if (secret)
        explicit_bzero(secret, strlen(secret));
    free(secret);
}

const struct config *config_ref(const struct config *c)
{
    ((struct config *)c)->refs++; /* what it says stays constant, who holds it does not */
    return c;
}

void config_unref(const struct config *c)
{
    struct config *held = (struct config *)c;

    if (held && --held->refs == 0 && held->left)
        config_destroy(held);
}

void config_destroy(struct config *c)
{
    if (!c)
        return;
    c->left = true;
    if (c->refs)
        return;
    for (size_t i = 0; i < c->n_routes; i++)
        route_finish(&c->routes[i]); /* before the endpoints: it looks at their plugins */
    free(c->routes);
    for (size_t i = 0; i < c->n_groups; i++)
        group_finish(&c->groups[i]);
    free(c->groups);
    for (size_t i = 0; i < c->n_endpoints; i++)
        endpoint_finish(&c->endpoints[i]);
    free(c->endpoints);
    for (size_t i = 0; i < c->n_plugin_dirs; i++)
        free(c->plugin_dirs[i]);
    free(c->plugin_dirs);
    free(c->trusted);
    wipe(c->admin_token);
    wipe(c->alerts.headers_json);
    free(c->alerts.url);
    free(c->alerts.owner);
    free(c->file);
    free(c->listen);
    free(c->admin_listen);
    free(c->admin_socket);
    free(c->store_path);
    free(c->log_level);
    free(c->log_format);
    free(c);
}

/* ---- one value alone, leniently: the rest of the file may be wrong ---- */

struct peek {
    struct reader rd;
    struct text text;
    struct yaml_node *root;
};

static int peek_open(struct peek *p, const char *file)
{
    static const struct config_env none = { .skip_secrets = true };

    *p = (struct peek){ .rd = { .env = &none } };
    return read_file(&p->rd, file, &p->text, &p->root);
}

/* 0 with *ret filled (VALUE_NONE: not given, no default); or UV_EINVAL with the mistake reported.
 */
static int peek_value(struct peek *p, const char *name, struct value *ret)
{
    struct yaml_item at = { .line = 1, .column = 1 };
    const struct yaml_node *node = yaml_find(p->root, name);

    for (size_t i = 0; options_top[i].option.name; i++)
        if (strcmp(options_top[i].option.name, name) == 0)
            ret->option = &options_top[i].option;
    if (!node && !ret->option->deflt)
        return 0;
    if (!(node ? value_read(&p->rd, node, ret) : value_read_default(&p->rd, &at, ret)))
        return UV_EINVAL;
    ret->from = node ? VALUE_GIVEN : VALUE_DEFAULT;
    return 0;
}

/* On success what was reported on the way (duplicate keys) is left to the full check. */
static int peek_close(struct peek *p, int r, struct config_errors *errors)
{
    report_finish(&p->rd.report, errors);
    if (r == 0)
        config_errors_finish(errors);
    yaml_destroy(p->root);
    text_wipe(&p->text);
    free(p->rd.dir);
    return r;
}

int config_plugin_dirs(const char *file, char ***ret, struct config_errors *errors)
{
    struct value v = { 0 };
    struct peek p;
    size_t n;
    int r = peek_open(&p, file);

    if (r == 0 && (r = peek_value(&p, "plugins", &v)) == 0)
        *ret = value_list(&v, &n);
    value_clear(&v);
    return peek_close(&p, r, errors);
}

int config_admin_socket(const char *file, char **ret, struct config_errors *errors)
{
    struct value socket = { 0 }, store = { 0 };
    struct buf path = { 0 };
    struct peek p;
    int r = peek_open(&p, file);

    if (r == 0 && (r = peek_value(&p, "admin.socket", &socket)) == 0 && socket.from == VALUE_NONE)
        r = peek_value(&p, "store.path", &store);
    if (r == 0) {
        buf_cstr(&path, socket.from == VALUE_NONE ? store.text.data : socket.text.data);
        buf_cstr(&path, socket.from == VALUE_NONE ? "/admin.sock" : "");
        *ret = buf_steal(&path, NULL);
    }
    value_clear(&socket);
    value_clear(&store);
    return peek_close(&p, r, errors);
}

/* ---- look-ups ---- */

struct conf_endpoint *config_endpoint(const struct config *c, sl_str name)
{
    for (size_t i = 0; i < c->n_endpoints; i++)
        if (str_eq(str_of(c->endpoints[i].name), name))
            return &c->endpoints[i];
    return NULL;
}

struct conf_route *config_route(const struct config *c, sl_str name)
{
    for (size_t i = 0; i < c->n_routes; i++)
        if (str_eq(str_of(c->routes[i].name), name))
            return &c->routes[i];
    return NULL;
}

struct conf_group *config_group(const struct config *c, sl_str name)
{
    for (size_t i = 0; i < c->n_groups; i++)
        if (str_eq(str_of(c->groups[i].name), name))
            return &c->groups[i];
    return NULL;
}

const struct conf_target *conf_route_send(const struct conf_route *r, size_t i)
{
    for (size_t k = 0; k < r->n_targets; k++)
        if (r->targets[k].kind == TARGET_SEND && i-- == 0)
            return &r->targets[k];
    for (size_t k = 0; k < r->n_targets; k++) {
        if (i < r->targets[k].n_members)
            return &r->targets[k].members[i];
        i -= r->targets[k].n_members;
    }
    if (r->fallback && i < r->fallback->n_members)
        return &r->fallback->members[i];
    return i == 0 && r->fallback && r->fallback->endpoint ? r->fallback : NULL;
}

const struct conf_target *conf_fallback_at(const struct conf_route *r,
                                           const struct conf_endpoint *e)
{
    const struct conf_target *t = r->fallback;

    for (size_t i = 0; t && i < t->n_members; i++)
        if (t->members[i].endpoint == e)
            return &t->members[i];
    return t && t->endpoint && t->endpoint == e ? t : NULL;
}

bool conf_topic_matches(char *const *topics, size_t n, sl_str topic)
{
    for (size_t i = 0; i < n; i++) {
        sl_str want = str_of(topics[i]);

        if (want.len > 0 && want.ptr[want.len - 1] == '*') {
            want.len--;
            if (str_starts(topic, want))
                return true;
        } else if (str_eq(topic, want)) {
            return true;
        }
    }
    return false;
}

bool conf_route_from(const struct conf_route *r, size_t i, struct conf_from *ret)
{
    if (i > r->n_also)
        return false;
    *ret = i ? r->also[i - 1] : (struct conf_from){ r->from_endpoint, r->topics, r->n_topics };
    return true;
}

bool conf_route_matches(const struct conf_route *r, sl_str endpoint, sl_str topic)
{
    struct conf_from from;

    for (size_t i = 0; conf_route_from(r, i, &from); i++)
        if (str_eq(str_of(from.endpoint), endpoint) &&
            conf_topic_matches(from.topics, from.n_topics, topic))
            return true;
    return false;
}
