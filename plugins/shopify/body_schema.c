/*
 * body_schema.c - a table of members as JSON Schema. See body_table.h.
 */
#include <string.h>

#include "body_table.h"

/* Each of these takes `to` over and gives it back; NULL: no memory, and it is gone. */
static json_t *with(json_t *to, const char *name, json_t *value)
{
    if (to && json_object_set_new(to, name, value) == 0)
        return to;
    json_decref(to);
    return NULL;
}

static json_t *texts(const char *list, const char *between)
{
    json_t *to = json_array();

    for (const char *c = list; to && *c; c += strcspn(c, between), c += *c != '\0')
        if (json_array_append_new(to, json_stringn(c, strcspn(c, between))) < 0) {
            json_decref(to);
            return NULL;
        }
    return to;
}

static json_t *of_text(const struct body_member *m)
{
    json_t *to = json_pack("{s:s}", "type", "string");

    if (m->min)
        to = with(to, "minLength", json_integer(m->min));
    return m->max ? with(to, "maxLength", json_integer(m->max)) : to;
}

static json_t *of_whole(const struct body_member *m)
{
    json_t *to = json_pack("{s:s}", "type", "integer");

    if (m->min || m->max)
        to = with(with(to, "minimum", json_integer(m->min)), "maximum", json_integer(m->max));
    return to;
}

static json_t *of_id(const struct body_member *m)
{
    return json_pack("{s:[ss],s:o,s:i}", "type", "string", "integer", "pattern",
                     json_sprintf("^(gid://shopify/%s/)?[1-9][0-9]{0,18}$", m->of), "minimum", 1);
}

static json_t *of_one(const struct body_member *m)
{
    switch (m->type) {
    case BODY_TEXT:
        return of_text(m);
    case BODY_WHOLE:
        return of_whole(m);
    case BODY_BOOL:
        return json_pack("{s:s}", "type", "boolean");
    case BODY_ENUM:
        return json_pack("{s:o}", "enum", texts(m->of, "|"));
    case BODY_ID:
        return of_id(m);
    case BODY_AMOUNT:
        return json_pack("{s:s,s:s}", "type", "string", "pattern",
                         "^[0-9]{1,12}(\\.[0-9]{1,12})?$");
    case BODY_TIME:
        return json_pack("{s:s,s:s}", "type", "string", "format", "date-time");
    case BODY_URL:
        return json_pack("{s:s,s:s,s:s,s:i}", "type", "string", "format", "uri", "pattern",
                         "^https?://", "maxLength", 2000);
    case BODY_OBJECT:
        return m->shape ? body_schema(m->shape) : json_pack("{s:s}", "type", "object");
    default:
        return json_object();
    }
}

/* What need not be there may be null as well: that is what a map makes of what it does not find. */
static json_t *or_null(json_t *to)
{
    json_t *type = json_object_get(to, "type"), *choices = json_object_get(to, "enum");

    if (json_is_string(type))
        return with(to, "type", json_pack("[Os]", type, "null"));
    if ((json_is_array(type) && json_array_append_new(type, json_string("null")) < 0) ||
        (choices && json_array_append_new(choices, json_null()) < 0)) {
        json_decref(to);
        return NULL;
    }
    return to;
}

static json_t *of_member(const struct body_member *m)
{
    json_t *to = of_one(m);

    if (m->items)
        to = json_pack("{s:s,s:o,s:i,s:I}", "type", "array", "items", to, "minItems",
                       m->flags & BODY_EMPTY ? 0 : 1, "maxItems", (json_int_t)m->items);
    if (!(m->flags & BODY_REQUIRED))
        to = or_null(to);
    return m->help ? with(to, "description", json_string(m->help)) : to;
}

/* Null is not there. */
static json_t *of_given(const char *name, size_t len)
{
    json_t *properties = json_object();

    if (properties && json_object_setn_new(properties, name, len,
                                           json_pack("{s:{s:s}}", "not", "type", "null")) < 0) {
        json_decref(properties);
        properties = NULL;
    }
    return json_pack("{s:[o],s:o}", "required", json_stringn(name, len), "properties", properties);
}

/* "a|b c|d" under allOf: [{oneOf: [a is given, b is given]}, ...] */
static json_t *with_groups(json_t *all, const char *groups, const char *kind)
{
    while (groups && *groups && all) {
        const char *end = groups + strcspn(groups, " ");
        json_t *names = json_array();

        for (const char *c = groups; names && c < end; c += strcspn(c, "| "), c += *c == '|')
            if (json_array_append_new(names, of_given(c, strcspn(c, "| "))) < 0) {
                json_decref(names);
                names = NULL;
            }
        if (json_array_append_new(all, json_pack("{s:o}", kind, names)) < 0) {
            json_decref(all);
            return NULL;
        }
        groups = end + strspn(end, " ");
    }
    return all;
}

json_t *body_schema(const struct body_shape *shape)
{
    json_t *properties = json_object(), *required = json_array(), *all = json_array(), *to;

    for (const struct body_member *m = shape->members; m->name; m++) {
        properties = with(properties, m->name, of_member(m));
        if (m->flags & BODY_REQUIRED)
            json_array_append_new(required, json_string(m->name));
    }
    all = with_groups(with_groups(all, shape->one_of, "oneOf"), shape->any_of, "anyOf");
    to = json_pack("{s:s,s:o,s:b}", "type", "object", "properties", properties,
                   "additionalProperties", 0);
    to = json_array_size(required) ? with(to, "required", json_incref(required)) : to;
    to = json_array_size(all) ? with(to, "allOf", json_incref(all)) : to;
    json_decref(required);
    json_decref(all);
    return to;
}
