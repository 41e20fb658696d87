/*
 * fake_values.c - values of an option table, from text. Reading a setting that the table does not
 * have, or by the accessor of another type, fails the test.
 */
#include "fake_values.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

struct sl_values {
    const sl_option *table;
    const struct fake_setting *settings;
};

static const sl_option *option_of(const sl_values *v, const char *name)
{
    for (const sl_option *o = v->table; o && o->name; o++)
        if (strcmp(o->name, name) == 0)
            return o;
    fail_msg("no such option: %s", name);
    return NULL;
}

static const char *text_of(const sl_values *v, const sl_option *o)
{
    for (const struct fake_setting *s = v->settings; s && s->name; s++)
        if (strcmp(s->name, o->name) == 0)
            return s->value;
    return o->deflt;
}

static bool is_secret(const sl_option *o)
{
    return o->type == SL_OPT_SECRET || o->type == SL_OPT_SECRETS;
}

sl_values *fake_values_create(const sl_option *table, const struct fake_setting *settings)
{
    sl_values *v = calloc(1, sizeof(*v));

    assert_non_null(v);
    v->table = table;
    v->settings = settings;
    for (const struct fake_setting *s = settings; s && s->name; s++)
        option_of(v, s->name);
    for (const sl_option *o = table; o && o->name; o++)
        if ((o->flags & SL_OPT_REQUIRED) && !text_of(v, o))
            fail_msg("required setting not given: %s", o->name);
    return v;
}

void fake_values_destroy(sl_values *v)
{
    free(v);
}

void fake_values_check_no_secret(const sl_values *v, sl_str text, const char *where)
{
    for (const struct fake_setting *s = v->settings; s && s->name; s++)
        if (is_secret(option_of(v, s->name)) && *s->value && text.len > 0 &&
            memmem(text.ptr, text.len, s->value, strlen(s->value)))
            fail_msg("the secret %s stands in %s", s->name, where);
}

static sl_status get_str(const sl_values *v, const char *name, sl_str *ret)
{
    const sl_option *o = option_of(v, name);
    const char *text = text_of(v, o);
    sl_str s;

    CHECK(o->type == SL_OPT_STRING || o->type == SL_OPT_ENUM || o->type == SL_OPT_URL ||
          o->type == SL_OPT_JQ || o->type == SL_OPT_POINTER);
    if (!text)
        return SL_E_NOT_FOUND;
    s = fake_str(text);
    if (o->type == SL_OPT_URL && s.len > 0 && s.ptr[s.len - 1] == '/')
        s.len--;
    *ret = s;
    return SL_OK;
}

static int64_t unit_of(const sl_option *o, const char *unit)
{
    static const struct {
        uint32_t type;
        const char *unit;
        int64_t factor;
    } units[] = {
        { SL_OPT_INT, "", 1 },
        { SL_OPT_DURATION, "ms", 1 },
        { SL_OPT_DURATION, "s", 1000 },
        { SL_OPT_DURATION, "m", 60000 },
        { SL_OPT_DURATION, "h", 3600000 },
        { SL_OPT_DURATION, "d", 86400000 },
        { SL_OPT_SIZE, "B", 1 },
        { SL_OPT_SIZE, "KiB", 1024 },
        { SL_OPT_SIZE, "MiB", 1048576 },
        { SL_OPT_SIZE, "GiB", 1073741824 },
    };

    for (size_t i = 0; i < sizeof(units) / sizeof(units[0]); i++)
        if (units[i].type == o->type && strcmp(units[i].unit, unit) == 0)
            return units[i].factor;
    fail_msg("%s: unit \"%s\"", o->name, unit);
    return 0;
}

static sl_status get_num(const sl_values *v, const char *name, int64_t *ret)
{
    const sl_option *o = option_of(v, name);
    const char *text = text_of(v, o);
    char *end;
    int64_t n;

    CHECK(o->type == SL_OPT_INT || o->type == SL_OPT_BOOL || o->type == SL_OPT_DURATION ||
          o->type == SL_OPT_SIZE);
    if (!text)
        return SL_E_NOT_FOUND;
    if (o->type == SL_OPT_BOOL) {
        CHECK(strcmp(text, "true") == 0 || strcmp(text, "false") == 0);
        *ret = strcmp(text, "true") == 0;
        return SL_OK;
    }
    n = strtoll(text, &end, 10);
    CHECK(end != text);
    n *= unit_of(o, end);
    if ((o->min != 0 || o->max != 0) && (n < o->min || n > o->max))
        fail_msg("%s: %s is out of range", name, text);
    *ret = n;
    return SL_OK;
}

static sl_status get_json(const sl_values *v, const char *name, sl_str *ret)
{
    const sl_option *o = option_of(v, name);
    const char *text = text_of(v, o);

    CHECK(o->type == SL_OPT_STRINGS || o->type == SL_OPT_INTS || o->type == SL_OPT_MAP);
    if (!text)
        return SL_E_NOT_FOUND;
    *ret = fake_str(text);
    return SL_OK;
}

static sl_status get_secret(const sl_values *v, const char *name, uint32_t index, sl_str *ret)
{
    const sl_option *o = option_of(v, name);

    CHECK(is_secret(o));
    CHECK(o->type == SL_OPT_SECRETS || index == 0);
    for (const struct fake_setting *s = v->settings; s && s->name; s++) {
        if (strcmp(s->name, name) != 0 || index-- > 0)
            continue;
        *ret = fake_str(s->value);
        return SL_OK;
    }
    return SL_E_NOT_FOUND;
}

static uint32_t get_given(const sl_values *v, const char *name)
{
    option_of(v, name);
    for (const struct fake_setting *s = v->settings; s && s->name; s++)
        if (strcmp(s->name, name) == 0)
            return 1;
    return 0;
}

const sl_values_api fake_values_api = {
    .size = sizeof(sl_values_api),
    .str = get_str,
    .num = get_num,
    .json = get_json,
    .secret = get_secret,
    .given = get_given,
};
