/*
 * deed_help.c - what actions ask of a deed that has no course of its own. See deed.h.
 */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "orders/deed.h"
#include "shopify.h"

#define CLOCKS_MS 120000 /* by which the shop's clock and ours may differ */

void deed_say(struct deed *d, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    vsnprintf(d->why, sizeof(d->why), format, args);
    va_end(args);
    for (char *p = d->why; *p; p++)
        if ((unsigned char)*p < ' ')
            *p = ' ';
}

sl_status deed_wrong(struct deed *d, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    vsnprintf(d->why, sizeof(d->why), format, args);
    va_end(args);
    return SL_E_INVALID;
}

void deed_refers(struct deed *d, const char *id)
{
    char *copy = id && *id ? strdup(id) : NULL;

    if (!copy)
        return;
    free(d->reference);
    d->reference = copy;
}

int deed_take(struct deed *d, json_t *to, const char *name, const char *as)
{
    json_t *value = json_object_get(d->body, name);

    return value ? json_object_set(to, as, value) : 0;
}

void deed_link(struct deed *d, const char *kind, const char *id)
{
    json_t *link;

    if (!d->links)
        d->links = json_array();
    for (size_t i = 0; i < json_array_size(d->links); i++)
        if (strcmp(json_string_value(json_array_get(json_array_get(d->links, i), 1)), id) == 0)
            return;
    link = *id && json_array_size(d->links) < DEED_LINKS ? json_pack("[ss]", kind, id) : NULL;
    if (link)
        json_array_append_new(d->links, link);
}

void deed_emit(struct deed *d, const char *topic, const json_t *body)
{
    char *name = strdup(topic), *text = json_dumps(body, JSON_COMPACT);

    if (!name || !text) {
        free(name);
        free(text);
        return;
    }
    free(d->emit_topic);
    free(d->emit_body);
    d->emit_topic = name;
    d->emit_body = text;
}

static sl_str text_view(const json_t *text)
{
    return (sl_str){ json_string_value(text), json_string_length(text) };
}

size_t deed_links(const struct deed *d, sl_link *to)
{
    size_t n = json_array_size(d->links);

    for (size_t i = 0; i < n; i++) {
        const json_t *one = json_array_get(d->links, i);

        to[i] = (sl_link){ text_view(json_array_get(one, 0)), text_view(json_array_get(one, 1)) };
    }
    return n;
}

int deed_order(const struct deed *d, char ret[DEED_GID])
{
    const char *id = json_string_value(json_object_get(d->body, "order_id"));
    char prefix[128];
    int n = snprintf(prefix, sizeof(prefix), "order:%.*s/", (int)d->s->shop.len, d->s->shop.ptr);

    if (id)
        return snprintf(ret, DEED_GID, "%s", id) < DEED_GID;
    if (!d->subject || strncmp(d->subject, prefix, (size_t)n) != 0 || !d->subject[n] ||
        d->subject[n + (int)strspn(d->subject + n, "0123456789")])
        return 0;
    return snprintf(ret, DEED_GID, "gid://shopify/Order/%s", d->subject + n) < DEED_GID;
}

sl_status deed_take_order(struct deed *d)
{
    char order[DEED_GID];

    if (json_object_get(d->body, "order_id"))
        return SL_OK;
    if (!deed_order(d, order))
        return deed_wrong(
            d, "order_id: it is not given, and the event is about no order of this shop");
    return json_object_set_new(d->body, "order_id", json_string(order)) < 0 ? SL_E_NO_MEMORY
                                                                            : SL_OK;
}

sl_str deed_parent_key(void *self, void *handle, sl_str body)
{
    struct shopify *s = self;
    json_t *read = json_loadb(body.len ? body.ptr : "", body.len, 0, NULL);
    const json_t *id = json_object_get(read, "order_id");
    const char *text = json_string_value(id), *digits = text ? strrchr(text, '/') : NULL;
    int n = 0;

    (void)handle;
    if (json_is_integer(id))
        n = snprintf(s->parent, sizeof(s->parent), "order/%" JSON_INTEGER_FORMAT,
                     json_integer_value(id));
    else if (text)
        n = snprintf(s->parent, sizeof(s->parent), "order/%.40s", digits ? digits + 1 : text);
    json_decref(read);
    return (sl_str){ s->parent, n > 0 ? (size_t)n : 0 };
}

int deed_next_page(struct deed *d, const json_t *page_info)
{
    const char *cursor = json_string_value(json_object_get(page_info, "endCursor"));
    int more = json_is_true(json_object_get(page_info, "hasNextPage")) && cursor;

    free(d->cursor);
    d->cursor = more ? strdup(cursor) : NULL;
    return more && d->cursor;
}

int deed_sent_before(const struct deed *d)
{
    return d->first_ms != 0;
}

/* "": never, or no such time. */
static const char *time_text(int64_t ms, char ret[TIME_TEXT_SIZE])
{
    time_t seconds = (time_t)((ms - CLOCKS_MS) / 1000);
    struct tm utc;

    if (!ms || !gmtime_r(&seconds, &utc) ||
        strftime(ret, TIME_TEXT_SIZE, "%Y-%m-%dT%H:%M:%S.000Z", &utc) == 0)
        return "";
    return ret;
}

const char *deed_first(const struct deed *d, char ret[TIME_TEXT_SIZE])
{
    return time_text(d->first_ms, ret);
}

int deed_since(const struct deed *d, const char *when)
{
    char at[TIME_TEXT_SIZE], buffer[TIME_TEXT_SIZE];
    const char *from = time_text(d->first_ms ? d->first_ms : d->began_ms, buffer);

    return *from && when && time_normalise((sl_str){ when, strlen(when) }, at) == SL_OK &&
           strcmp(at, from) >= 0;
}
