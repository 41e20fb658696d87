/*
 * values.c - the values of an option table, and how plugins read them.
 */
#include "config/values.h"

#include <stdlib.h>
#include "base/mem.h"

const sl_option *table_at(struct table t, size_t i)
{
    const sl_option *o;

    if (!t.first)
        return NULL;
    o = (const sl_option *)(const void *)((const char *)t.first + i * t.stride);
    return o->name ? o : NULL;
}

char *reader_path(const struct reader *rd, sl_str path)
{
    struct buf b = { 0 };

    if (path.len == 0 || path.ptr[0] != '/')
        buf_cstr(&b, rd->dir);
    buf_str(&b, path);
    if (b.failed)
        abort(); /* as mem.h does: start-up without memory */
    return buf_steal(&b, NULL);
}

/* ---- reading a table ---- */

static bool source_excludes(const struct source *s, const char *name)
{
    sl_str component = { .ptr = name, .len = strcspn(name, ".") };

    if (s->not_from && table_owns(*s->not_from, component))
        return true;
    for (size_t i = 0; s->not_names && s->not_names[i]; i++)
        if (str_eq(str_of(s->not_names[i]), component))
            return true;
    return false;
}

static const struct yaml_node *find_given(const struct source *sources, size_t n, const char *name)
{
    for (size_t i = 0; i < n; i++) {
        const struct yaml_node *node = source_excludes(&sources[i], name)
                                           ? NULL
                                           : yaml_find(sources[i].map, name);

        if (node)
            return node;
    }
    return NULL;
}

bool reader_meant(const struct reader *rd, const sl_option *o)
{
    for (size_t i = 0; i < rd->n_meant; i++)
        if (rd->meant[i] == o)
            return true;
    return false;
}

static bool read_one(struct reader *rd, const struct yaml_node *node, const struct yaml_item *at,
                     struct value *v)
{
    const sl_option *o = v->option;

    if (node) {
        v->line = node->line;
        v->column = node->column;
        if (!value_read(rd, node, v))
            return false;
        v->from = VALUE_GIVEN;
    } else if (o->flags & SL_OPT_REQUIRED) {
        if (!reader_meant(rd, o))
            report_node(rd, at, "\"%s\" is missing: %s", o->name, o->help ? o->help : "required");
        return false;
    } else if (o->deflt) {
        if (!value_read_default(rd, at, v))
            return false;
        v->from = VALUE_DEFAULT;
    }
    return true;
}

sl_values *values_read(struct reader *rd, struct table t, const struct source *sources,
                       size_t n_sources, const struct yaml_item *at)
{
    size_t n = 0;
    sl_values *v;

    while (table_at(t, n))
        n++;
    v = mem_zero(sizeof(*v) + n * sizeof(v->list[0]));
    v->n = n;
    for (size_t i = 0; i < n; i++) {
        v->list[i].option = table_at(t, i);
        if (!read_one(rd, find_given(sources, n_sources, v->list[i].option->name), at, &v->list[i]))
            v->bad = true;
    }
    return v;
}

void text_wipe(struct text *t)
{
    if (t->data) {
        explicit_bzero(t->data, t->len);
        free(t->data);
    }
    *t = (struct text){ 0 };
}

void value_clear(struct value *v)
{
    for (size_t i = 0; i < v->n_items; i++)
        text_wipe(&v->items[i]);
    free(v->items);
    text_wipe(&v->text);
    v->items = NULL;
    v->n_items = 0;
    v->from = VALUE_NONE;
}

const sl_values *config_values_ref(const sl_values *v)
{
    if (v)
        ((sl_values *)v)->refs++;
    return v;
}

void config_values_unref(const sl_values *v)
{
    sl_values *held = (sl_values *)v;

    if (held && --held->refs == 0 && held->left)
        values_destroy(held);
}

static bool same_text(const struct text *a, const struct text *b)
{
    return str_eq((sl_str){ a->data, a->len }, (sl_str){ b->data, b->len });
}

static bool same_value(const struct value *a, const struct value *b)
{
    if (a->option != b->option || (a->from == VALUE_NONE) != (b->from == VALUE_NONE) ||
        a->num != b->num || a->n_items != b->n_items || !same_text(&a->text, &b->text))
        return false;
    for (size_t i = 0; i < a->n_items; i++)
        if (!same_text(&a->items[i], &b->items[i]))
            return false;
    return true;
}

bool config_values_equal(const sl_values *a, const sl_values *b)
{
    if (!a || !b || a->n != b->n)
        return a == b;
    for (size_t i = 0; i < a->n; i++)
        if (!same_value(&a->list[i], &b->list[i]))
            return false;
    return true;
}

void values_destroy(sl_values *v)
{
    if (!v)
        return;
    v->left = true;
    if (v->refs)
        return;
    for (size_t i = 0; i < v->n; i++)
        value_clear(&v->list[i]);
    free(v);
}

const struct value *values_get(const sl_values *v, const char *name)
{
    for (size_t i = 0; v && name && i < v->n; i++)
        if (strcmp(v->list[i].option->name, name) == 0)
            return &v->list[i];
    return NULL;
}

/* ---- the API for plugins ---- */

#define BIT(type) (1u << (type))
#define TEXT_TYPES \
    (BIT(SL_OPT_STRING) | BIT(SL_OPT_ENUM) | BIT(SL_OPT_URL) | BIT(SL_OPT_JQ) | BIT(SL_OPT_POINTER))
#define NUM_TYPES    (BIT(SL_OPT_INT) | BIT(SL_OPT_BOOL) | BIT(SL_OPT_DURATION) | BIT(SL_OPT_SIZE))
#define JSON_TYPES   (BIT(SL_OPT_STRINGS) | BIT(SL_OPT_INTS) | BIT(SL_OPT_MAP))
#define SECRET_TYPES (BIT(SL_OPT_SECRET) | BIT(SL_OPT_SECRETS))

/* The value of `name`, which must have one of `types`. */
static sl_status look_up(const sl_values *v, const char *name, uint32_t types,
                         const struct value **ret)
{
    const struct value *value = values_get(v, name);

    if (!value || value->option->type > SL_OPT_POINTER || !(BIT(value->option->type) & types))
        return SL_E_INVALID;
    if (value->from == VALUE_NONE)
        return SL_E_NOT_FOUND;
    *ret = value;
    return SL_OK;
}

static sl_status get_text(const sl_values *v, const char *name, uint32_t types, sl_str *ret)
{
    const struct value *value;
    sl_status status = look_up(v, name, types, &value);

    if (status == SL_OK)
        *ret = (sl_str){ .ptr = value->text.data, .len = value->text.len };
    return status;
}

static sl_status api_str(const sl_values *v, const char *name, sl_str *ret)
{
    return get_text(v, name, TEXT_TYPES, ret);
}

static sl_status api_json(const sl_values *v, const char *name, sl_str *ret)
{
    return get_text(v, name, JSON_TYPES, ret);
}

static sl_status api_num(const sl_values *v, const char *name, int64_t *ret)
{
    const struct value *value;
    sl_status status = look_up(v, name, NUM_TYPES, &value);

    if (status == SL_OK)
        *ret = value->num;
    return status;
}

static sl_status api_secret(const sl_values *v, const char *name, uint32_t index, sl_str *ret)
{
    const struct value *value;
    sl_status status = look_up(v, name, SECRET_TYPES, &value);

    if (status != SL_OK)
        return status;
    if (index >= value->n_items || !value->items[index].data)
        return SL_E_NOT_FOUND;
    *ret = (sl_str){ .ptr = value->items[index].data, .len = value->items[index].len };
    return SL_OK;
}

static uint32_t api_given(const sl_values *v, const char *name)
{
    const struct value *value = values_get(v, name);

    return value && value->from == VALUE_GIVEN;
}

static const sl_values_api values_api = {
    .size = sizeof(sl_values_api),
    .str = api_str,
    .num = api_num,
    .json = api_json,
    .secret = api_secret,
    .given = api_given,
};

const sl_values_api *config_values_api(void)
{
    return &values_api;
}
