/*
 * keys.c - which keys a mapping may hold, and what a wrong one was probably meant to be.
 */
#include "config/values.h"

#include "base/mem.h"

#define ALLOWED_SHOWN 14 /* names listed when nothing is near */

/* An option's name below a block: "" or "auth." as prefix. NULL: it is not below it. */
static const char *below(const sl_option *o, sl_str prefix)
{
    return str_starts(str_of(o->name), prefix) ? o->name + prefix.len : NULL;
}

static sl_str component_of(const char *rest)
{
    return (sl_str){ .ptr = rest, .len = strcspn(rest, ".") };
}

bool table_owns(struct table t, sl_str component)
{
    for (size_t i = 0; table_at(t, i); i++)
        if (str_eq(component_of(table_at(t, i)->name), component))
            return true;
    return false;
}

/* "rate" and "rate.burst", or twice the same. */
static bool same_or_block(const char *a, const char *b)
{
    size_t n = strlen(a);

    return strncmp(a, b, n) == 0 && (b[n] == '\0' || b[n] == '.');
}

const char *tables_collide(struct table a, struct table b)
{
    const sl_option *x, *y;

    for (size_t i = 0; (x = table_at(a, i)); i++)
        for (size_t j = 0; (y = table_at(b, j)); j++)
            if (same_or_block(x->name, y->name) || same_or_block(y->name, x->name))
                return y->name;
    return NULL;
}

static bool in_list(const char *const *list, sl_str name)
{
    for (; list && *list; list++)
        if (str_eq(str_of(*list), name))
            return true;
    return false;
}

/* Walk every option of every table: for (o = first; o; o = next). */
struct walk {
    const struct keys *keys;
    size_t table, i;
};

static const sl_option *walk_next(struct walk *w)
{
    while (w->table < w->keys->n_tables) {
        const sl_option *o = table_at(w->keys->tables[w->table], w->i++);

        if (o)
            return o;
        w->table++;
        w->i = 0;
    }
    return NULL;
}

enum known { KEY_UNKNOWN, KEY_LEAF, KEY_BLOCK };

static enum known key_known(const struct keys *keys, sl_str prefix, sl_str key)
{
    struct walk w = { .keys = keys };
    const sl_option *o;

    while ((o = walk_next(&w))) {
        const char *rest = below(o, prefix);

        if (rest && str_eq(component_of(rest), key))
            return rest[key.len] == '\0' ? KEY_LEAF : KEY_BLOCK;
    }
    return KEY_UNKNOWN;
}

/* A value that was meant to be a secret, or may have been: not to be shown. */
static void hide_value(struct reader *rd, const struct yaml_item *item, const sl_option *meant)
{
    static const char *const words[] = { "secret", "token", "pass", "key", "auth", "cred" };
    bool hide = meant && (meant->type == SL_OPT_SECRET || meant->type == SL_OPT_SECRETS);

    for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++)
        hide = hide || strcasestr(item->key.ptr, words[i]);
    if (hide && item->value->kind != YAML_NOTHING)
        report_hide(&rd->report, item->value->start, item->value->end);
}

/* The nearest allowed key of this block. *ret_option: when it is a leaf of a table. */
static sl_str nearest_key(const struct keys *keys, sl_str prefix, sl_str key,
                          const sl_option **ret_option)
{
    struct nearest near = { .given = key };
    struct walk w = { .keys = keys };
    const sl_option *o;

    while ((o = walk_next(&w))) {
        const char *rest = below(o, prefix);

        if (rest && nearest_offer(&near, component_of(rest)))
            *ret_option = rest[near.name.len] == '\0' ? o : NULL;
    }
    for (size_t i = 0; prefix.len == 0 && keys->others && keys->others[i]; i++)
        if (nearest_offer(&near, str_of(keys->others[i])))
            *ret_option = NULL;
    return near.name;
}

/* An option elsewhere whose last component, or whole name, is the key. */
static const sl_option *same_elsewhere(const struct keys *keys, sl_str key)
{
    struct walk w = { .keys = keys };
    const sl_option *o;

    while ((o = walk_next(&w))) {
        const char *dot = strrchr(o->name, '.');

        if (str_eq(str_of(dot ? dot + 1 : o->name), key) || str_eq(str_of(o->name), key))
            return o;
    }
    return NULL;
}

static void list_allowed(struct buf *out, const struct keys *keys, sl_str prefix)
{
    struct walk w = { .keys = keys };
    const sl_option *o;
    sl_str seen[ALLOWED_SHOWN + 1];
    size_t n = 0;

    for (size_t i = 0; prefix.len == 0 && keys->others && keys->others[i]; i++)
        if (n <= ALLOWED_SHOWN)
            seen[n++] = str_of(keys->others[i]);
    while ((o = walk_next(&w)) && n <= ALLOWED_SHOWN) {
        const char *rest = below(o, prefix);
        bool again = !rest;

        for (size_t i = 0; rest && i < n; i++)
            again = again || str_eq(seen[i], component_of(rest));
        if (!again)
            seen[n++] = component_of(rest);
    }
    for (size_t i = 0; i < n && i < ALLOWED_SHOWN; i++)
        buf_printf(out, "%s" STR_FMT, i ? ", " : "; allowed here: ", STR_ARG(seen[i]));
    if (n > ALLOWED_SHOWN)
        buf_cstr(out, " ...");
}

static void report_unknown(struct reader *rd, const struct yaml_item *item, const struct keys *keys,
                           sl_str prefix)
{
    const sl_option *meant = NULL, *elsewhere;
    sl_str near = nearest_key(keys, prefix, item->key, &meant);
    struct buf text = { 0 };
    char quoted[96];

    hide_value(rd, item, meant);
    elsewhere = near.len == 0 ? same_elsewhere(keys, item->key) : NULL;
    if (keys->open && near.len == 0)
        return;
    buf_printf(&text, "unknown key %s", report_quote(item->key, quoted));
    if (near.len > 0) {
        buf_printf(&text, "; did you mean \"" STR_FMT "\"?", STR_ARG(near));
        if (meant && rd->n_meant < READER_MEANT_MAX)
            rd->meant[rd->n_meant++] = meant;
    } else if (elsewhere && strchr(elsewhere->name, '.')) {
        const char *leaf = strrchr(elsewhere->name, '.');

        buf_printf(&text, "; it goes inside \"%.*s\": { %s: ... }", (int)(leaf - elsewhere->name),
                   elsewhere->name, leaf + 1);
    } else if (elsewhere) {
        buf_printf(&text, "; it does not belong inside \"%.*s\" but beside it",
                   (int)(prefix.len ? prefix.len - 1 : 0), prefix.ptr);
    } else {
        list_allowed(&text, keys, prefix);
    }
    report_node(rd, item, "%s", text.data ? text.data : "unknown key");
    buf_finish(&text);
}

/* A single value or a list where a block belongs. Its text is not told: it may be a secret. */
static void report_no_block(struct reader *rd, const struct yaml_item *item,
                            const struct keys *keys, struct buf *path)
{
    const char *found = item->value->kind == YAML_LIST ? "a list" : "a single value";
    struct buf text = { 0 };

    buf_printf(&text, "\"%s\" wants a mapping, found %s", path->data, found);
    buf_char(path, '.');
    list_allowed(&text, keys, buf_view(path));
    hide_value(rd, item, NULL);
    report_node(rd, item->value, "%s", text.data);
    buf_finish(&text);
}

static void check_block(struct reader *rd, const struct yaml_node *map, const struct keys *keys,
                        sl_str prefix);

static void check_item(struct reader *rd, const struct yaml_item *item, const struct keys *keys,
                       sl_str prefix)
{
    enum known known = key_known(keys, prefix, item->key);
    struct buf path = { 0 };

    if (known == KEY_LEAF)
        return;
    if (known == KEY_UNKNOWN) {
        if (prefix.len == 0 && in_list(keys->others, item->key))
            return;
        if (prefix.len == 0 && in_list(keys->later, item->key))
            report_node(rd, item, "\"%s\" is not in this version of Sluice yet; leave it out",
                        item->key.ptr);
        else
            report_unknown(rd, item, keys, prefix);
        return;
    }
    buf_str(&path, prefix);
    buf_str(&path, item->key);
    if (item->value->kind == YAML_MAP) {
        buf_char(&path, '.');
        check_block(rd, item->value, keys, buf_view(&path));
    } else if (item->value->kind != YAML_NOTHING) { /* all of a block may be commented out */
        report_no_block(rd, item, keys, &path);
    }
    buf_finish(&path);
}

static void check_block(struct reader *rd, const struct yaml_node *map, const struct keys *keys,
                        sl_str prefix)
{
    for (size_t i = 0; i < map->n; i++)
        check_item(rd, &map->items[i], keys, prefix);
}

void keys_check(struct reader *rd, const struct yaml_node *map, const struct keys *keys)
{
    if (map && map->kind == YAML_MAP)
        check_block(rd, map, keys, STR(""));
}
