/*
 * tell.c - what an audit has found, for routes, for people and for the next audit.
 *
 * The cursor: {"v": 1, "at": TIME, "ids": {topic: subscription}, "wrong": {topic: true}}. An event
 * tells what has become wrong since the audit before, so one that stays so is told once; the
 * finding is for as long as it is so.
 */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "audit/audit_int.h"
#include "feeds/render.h"
#include "feeds/shift_time.h"
#include "shopify.h"

#define SOON_MS 1000

/* ---- a line for people ---- */

struct line {
    char *text;
    size_t size, len;
};

__attribute__((format(printf, 2, 3))) static void add(struct line *l, const char *format, ...)
{
    va_list args;
    int n;

    if (l->len + 1 >= l->size)
        return;
    va_start(args, format);
    n = vsnprintf(l->text + l->len, l->size - l->len, format, args);
    va_end(args);
    l->len += n < 0 ? 0 : (size_t)n;
    if (l->len >= l->size)
        l->len = l->size - 1;
}

/* The topics that `is` says so of, behind a word: "missing: orders/create, orders/paid; ". */
static void add_topics(struct line *l, const struct audit *a, const char *word,
                       int (*is)(const struct audit *a, size_t i, const char **ret_what))
{
    const char *what;
    int any = 0;

    for (size_t i = 0; i < a->wanted->n; i++) {
        what = "";
        if (!is(a, i, &what))
            continue;
        add(l, "%s%s", any ? ", " : word, a->wanted->topics[i].topic);
        if (*what)
            add(l, " (%s)", what);
        any = 1;
    }
    if (any)
        add(l, "; ");
}

static int is_missing(const struct audit *a, size_t i, const char **ret_what)
{
    *ret_what = *a->deeds[i].refused ? a->deeds[i].refused : a->topics[i].what;
    return a->topics[i].state == AUDIT_MISSING;
}

static int is_altered(const struct audit *a, size_t i, const char **ret_what)
{
    *ret_what = *a->deeds[i].refused ? a->deeds[i].refused : a->topics[i].what;
    return a->topics[i].state == AUDIT_ALTERED;
}

static int is_doubled(const struct audit *a, size_t i, const char **ret_what)
{
    (void)ret_what;
    return a->topics[i].more > 0;
}

/* One that the shop had is gone, and there again; at the set-up none was there. */
static int was_lost(const struct audit *a, size_t i, const char **ret_what)
{
    const json_t *ids = json_object_get(a->before, "ids");

    (void)ret_what;
    return a->deeds[i].mended && json_object_get(ids, a->wanted->topics[i].topic) != NULL;
}

static void add_left_over(struct line *l, const struct audit *a)
{
    const json_t *one;
    size_t i;

    json_array_foreach(a->left_over, i, one)
        add(l, "%s%s", i ? ", " : "left over: ", json_string_value(one));
    if (json_array_size(a->left_over) > 0)
        add(l, "; ");
}

void audit_say(const struct audit *a, char *text, size_t size)
{
    struct line l = { .text = text, .size = size };
    const char *none;
    int wrong = 0, lost = 0, much = json_array_size(a->left_over) > 0;

    *text = '\0';
    for (size_t i = 0; i < a->wanted->n; i++) {
        wrong |= a->topics[i].state != AUDIT_RIGHT;
        lost |= was_lost(a, i, &none);
        much |= a->topics[i].more > 0;
    }
    if (!wrong && !lost && !much)
        return;
    add(&l, "webhook subscriptions of the shop: ");
    add_topics(&l, a, "missing: ", is_missing);
    add_topics(&l, a, "altered: ", is_altered);
    add_topics(&l, a, "made again: ", was_lost);
    add_topics(&l, a, "several: ", is_doubled);
    add_left_over(&l, a);
    if (wrong && !a->wanted->recreate)
        add(&l, "make them again for %.200s, or have it done by recreate: true", a->url);
    else if (wrong)
        add(&l, "they could not be made again for %.200s", a->url);
    else if (lost)
        add(&l, "what came meanwhile is found by a feed of kind orders");
    else
        add(&l, "delete what nobody wants; each sends its own webhooks");
    for (char *c = text; *c; c++) /* the shop's texts may have lines */
        if ((unsigned char)*c < ' ')
            *c = ' ';
}

/* ---- events ---- */

static const char *str_at(const json_t *o, const char *name)
{
    const char *text = json_string_value(json_object_get(o, name));

    return text ? text : "";
}

enum telling { TELL_MISSING, TELL_ALTERED, TELL_RECREATED };

static const char *const topics_of_events[] = { "subscriptions/missing", "subscriptions/altered",
                                                "subscriptions/recreated" };

static int is_told(const struct audit *a, size_t i, enum telling telling)
{
    const struct audit_deed *d = &a->deeds[i];
    int was = d->mended ? d->was : (int)a->topics[i].state;

    if (telling == TELL_RECREATED)
        return d->mended;
    return d->newly && was == (telling == TELL_MISSING ? AUDIT_MISSING : AUDIT_ALTERED);
}

/* NULL: there is nothing to tell, or no memory. */
static char *event_body(const struct audit *a, enum telling telling)
{
    const char *right_until = str_at(a->before, "at");
    json_t *topics = json_array(), *what = json_object(), *body;
    char found_at[32], *text = NULL;

    for (size_t i = 0; i < a->wanted->n; i++) {
        const char *topic = a->wanted->topics[i].topic;

        if (!is_told(a, i, telling))
            continue;
        json_array_append_new(topics, json_string(topic));
        if (*a->topics[i].what)
            json_object_set_new(what, topic, json_string(a->topics[i].what));
    }
    time_text(a->s->host->wall_ms(a->s->host->ctx), found_at);
    if (json_array_size(topics) > 0) {
        body = json_pack("{s:s,s:s?,s:s%,s:s,s:O,s:O}", "found_at", found_at, "right_until",
                         *right_until ? right_until : NULL, "shop", a->s->shop.ptr, a->s->shop.len,
                         "url", a->url, "topics", topics, "what", what);
        text = body ? json_dumps(body, JSON_COMPACT) : NULL;
        json_decref(body);
    }
    json_decref(topics);
    json_decref(what);
    return text;
}

static void log_it(const struct audit *a, const char *topic, const char *body)
{
    char text[600];

    snprintf(text, sizeof(text), "%s: %.560s", topic, body);
    a->s->host->log(a->s->host->ctx, SL_LOG_WARN, (sl_str){ text, strlen(text) });
}

sl_status audit_tell(struct audit *a)
{
    const sl_host *h = a->s->host;
    sl_status r = SL_OK;
    int newly = 0;

    for (enum telling k = TELL_MISSING; k <= TELL_RECREATED && r == SL_OK; k++) {
        char *body = event_body(a, k);

        if (!body)
            continue;
        log_it(a, topics_of_events[k], body);
        r = a->out->emit(a->out->ctx, (sl_str){ topics_of_events[k], strlen(topics_of_events[k]) },
                         (sl_str){ body, strlen(body) });
        free(body);
    }
    for (size_t i = 0; i < a->wanted->n; i++)
        newly |= a->deeds[i].newly;
    /* webhooks have been missing since nobody knows when; at the set-up they were never there */
    if (newly && *str_at(a->before, "at") && SL_HAS(sl_host, h, poll_soon))
        h->poll_soon(h->ctx, SOON_MS);
    return r;
}

/* ---- the cursor ---- */

char *audit_cursor(const struct audit *a)
{
    json_t *ids = json_object(), *wrong = json_object(), *o;
    char at[32], *text;

    for (size_t i = 0; i < a->wanted->n; i++) {
        const char *topic = a->wanted->topics[i].topic;

        if (a->topics[i].state != AUDIT_RIGHT)
            json_object_set_new(wrong, topic, json_true());
        if (*a->topics[i].id)
            json_object_set_new(ids, topic, json_string(a->topics[i].id));
    }
    time_text(a->s->host->wall_ms(a->s->host->ctx), at);
    o = json_pack("{s:i,s:s,s:o,s:o}", "v", 1, "at", at, "ids", ids, "wrong", wrong);
    text = o ? json_dumps(o, JSON_COMPACT) : NULL;
    json_decref(o);
    return text;
}

json_t *audit_read_cursor(sl_str cursor)
{
    json_t *o = json_loadb(cursor.ptr ? cursor.ptr : "", cursor.len, 0, NULL);

    if (json_integer_value(json_object_get(o, "v")) == 1)
        return o;
    json_decref(o);
    return json_object();
}
