/*
 * compare.c - see compare.h.
 */
#include "audit/compare.h"

#include <stdio.h>
#include <string.h>

static const char *text_at(const json_t *o, const char *name)
{
    const char *text = json_string_value(json_object_get(o, name));

    return text ? text : "";
}

static int is(const json_t *o, const char *name, const char *text)
{
    return strcmp(text_at(o, name), text) == 0;
}

static int same_fields(const json_t *sorted, const json_t *listed)
{
    json_t *theirs = wanted_fields(listed);
    int same = theirs && json_equal(sorted, theirs);

    json_decref(theirs);
    return same;
}

int audit_is_right(const struct wanted_topic *t, const char *url, const json_t *subscription,
                   char *what, size_t size)
{
    if (!is(subscription, "uri", url))
        snprintf(what, size, "it leads to %.160s", text_at(subscription, "uri"));
    else if (!is(subscription, "format", "JSON"))
        snprintf(what, size, "its format is %.20s, not JSON", text_at(subscription, "format"));
    else if (!is(subscription, "filter", t->filter))
        snprintf(what, size, "its filter is \"%.80s\", not \"%.80s\"",
                 text_at(subscription, "filter"), t->filter);
    else if (!same_fields(t->fields, json_object_get(subscription, "includeFields")))
        snprintf(what, size, "its bodies have other fields than include_fields says");
    else
        return 1;
    return 0;
}

/* "http://..." of what is "https://...": the shop took these once. */
static int is_plain_http(const char *uri, const char *url)
{
    return strncmp(uri, "http://", 7) == 0 && strcmp(uri + 7, url + strlen("https://")) == 0;
}

/* The shop may have several at our address, told apart by their filter: the right one is ours, else
 * the one that was ours, else the first. */
static const json_t *find_ours(const struct wanted_topic *t, const char *url, const json_t *listed,
                               const char *known, unsigned *ret_more)
{
    const json_t *ours = NULL, *right = NULL, *before = NULL, *http = NULL, *one;
    char what[240];
    size_t i;

    *ret_more = 0;
    json_array_foreach(listed, i, one)
    {
        if (!is(one, "topic", t->name))
            continue;
        if (*known && is(one, "id", known))
            before = one;
        if (is_plain_http(text_at(one, "uri"), url))
            http = one;
        if (!is(one, "uri", url))
            continue;
        if (ours)
            ++*ret_more;
        else
            ours = one;
        if (!right && audit_is_right(t, url, one, what, sizeof(what)))
            right = one;
    }
    if (right)
        return right;
    if (ours)
        return before && is(before, "uri", url) ? before : ours;
    return before ? before : http;
}

/* That one leads elsewhere may be what happened to ours, or another system's. */
static void say_elsewhere(const struct wanted_topic *t, const json_t *listed, char *what,
                          size_t size)
{
    const json_t *one;
    size_t i;

    json_array_foreach(listed, i, one)
    {
        if (!is(one, "topic", t->name))
            continue;
        snprintf(what, size, "one leads to %.160s", text_at(one, "uri"));
        return;
    }
}

void audit_compare(const struct wanted *w, const char *url, const json_t *listed,
                   const json_t *known, struct audit_topic *ret)
{
    for (size_t i = 0; i < w->n; i++) {
        const struct wanted_topic *t = &w->topics[i];
        struct audit_topic *a = &ret[i];
        const json_t *ours;

        *a = (struct audit_topic){ 0 };
        ours = find_ours(t, url, listed, text_at(known, t->topic), &a->more);
        if (!ours) {
            a->state = AUDIT_MISSING;
            say_elsewhere(t, listed, a->what, sizeof(a->what));
            continue;
        }
        snprintf(a->id, sizeof(a->id), "%s", text_at(ours, "id"));
        if (!audit_is_right(t, url, ours, a->what, sizeof(a->what)))
            a->state = AUDIT_ALTERED;
    }
}

json_t *audit_left_over(const struct wanted *w, const char *url, const json_t *listed)
{
    json_t *names = json_array();
    const json_t *one;
    size_t i;

    json_array_foreach(listed, i, one)
    {
        int declared = 0;

        for (size_t k = 0; k < w->n; k++)
            declared |= is(one, "topic", w->topics[k].name);
        if (!declared && is(one, "uri", url))
            json_array_append_new(names, json_string(text_at(one, "topic")));
    }
    return names;
}
