/*
 * alerts.c - notices become alerts: one for each (kind, endpoint, route), told when it appears,
 * again at most every `repeat` with a count of what came meanwhile, and when it is over.
 *
 * An alert stands from its first notice until what it is about is gone: by a notice that says so,
 * or because the look at how things are (alert_look.c) no longer finds it. What was told and still
 * stands is a fact in the store, so that a process that was killed leaves no alert open for ever.
 */
#include <jansson.h>
#include <stdlib.h>
#include <string.h>
#include "base/clock.h"
#include "base/mem.h"
#include "watch/watch_int.h"

#define MAX_ALERTS 1000

/* ---- the list ---- */

static void alert_free(struct alert *a)
{
    free(a->endpoint);
    free(a->route);
    free(a->owner);
    free(a->subject);
    free(a->text);
    free(a);
}

static void on_alert_closed(uv_handle_t *h)
{
    struct alert *a = container_of((uv_timer_t *)h, struct alert, timer);
    struct watch *w = a->watch;

    alert_free(a);
    if (--w->n_alerts == 0)
        watch_check_closed(w);
}

static void alert_close(struct alert *a)
{
    list_remove(&a->node);
    uv_close((uv_handle_t *)&a->timer, on_alert_closed);
}

void alerts_close(struct watch *w)
{
    list_each_safe (i, tmp, &w->alerts)
        alert_close(list_entry(i, struct alert, node));
}

struct alert *alert_find(struct watch *w, enum notice_kind kind, sl_str endpoint, sl_str route)
{
    list_each (i, &w->alerts) {
        struct alert *a = list_entry(i, struct alert, node);
        if (a->kind == kind && str_eq(str_of(a->endpoint), endpoint) &&
            str_eq(str_of(a->route), route))
            return a;
    }
    return NULL;
}

/** The oldest that no longer stands makes room. */
static bool make_room(struct watch *w)
{
    if (w->n_alerts < MAX_ALERTS)
        return true;
    list_each (i, &w->alerts) {
        struct alert *a = list_entry(i, struct alert, node);
        if (a->stands || a->posting)
            continue;
        alert_close(a);
        return true;
    }
    return false;
}

static struct alert *alert_new(struct watch *w, enum notice_kind kind, sl_str endpoint,
                               sl_str route)
{
    if (!make_room(w))
        return NULL;
    struct alert *a = mem_zero(sizeof(*a));
    a->watch = w;
    a->kind = kind;
    a->endpoint = mem_dup(endpoint);
    a->route = mem_dup(route);
    a->owner = mem_str("");
    uv_timer_init(w->loop, &a->timer);
    uv_unref((uv_handle_t *)&a->timer);
    list_append(&w->alerts, &a->node);
    w->n_alerts++;
    return a;
}

static void set(char **to, sl_str text)
{
    free(*to);
    *to = mem_dup(text);
}

/* ---- as JSON ---- */

static void put_text(struct buf *b, const char *name, const char *value)
{
    if (!value || !value[0])
        return;
    buf_printf(b, ",\"%s\":", name);
    buf_json_str(b, str_of(value));
}

static const char *severity(const struct alert *a)
{
    switch (a->kind) {
    case NOTICE_REFUSING:
    case NOTICE_STORE_FAILED:
    case NOTICE_STORE_DAMAGED:
    case NOTICE_DISK_LOW:
    case NOTICE_ROUTE_PAUSED:
    case NOTICE_PARKED:
        return "critical";
    default:
        return a->critical ? "critical" : "warning";
    }
}

void alert_json(struct buf *b, const struct alert *a)
{
    char since[32], last[32];

    clock_format(a->since_ms, since);
    clock_format(a->last_ms, last);
    buf_printf(b, "{\"alert\":\"%s\",\"severity\":\"%s\"", notice_names[a->kind], severity(a));
    put_text(b, "endpoint", a->endpoint);
    put_text(b, "route", a->route);
    put_text(b, "owner", a->owner);
    put_text(b, "subject", a->subject);
    if (a->num) {
        char name[32];
        delivery_name(a->num, name);
        put_text(b, "delivery", name);
    }
    put_text(b, "text", a->text);
    buf_printf(b, ",\"count\":%" PRIu64 ",\"stands\":%s,\"since\":\"%s\",\"last\":\"%s\"}",
               a->count, a->stands ? "true" : "false", since, last);
}

/* ---- notices ---- */

static void ends(struct watch *w, enum notice_kind kind, const struct notice *n)
{
    struct alert *a = alert_find(w, kind, n->endpoint, n->route);

    if (a)
        alert_over(a, n->text.len ? "over, by hand" : "over");
}

void alert_over(struct alert *a, const char *text)
{
    if (!a->stands)
        return;
    a->stands = false;
    a->due_ms = 0;
    a->last_ms = clock_wall_ms();
    set(&a->text, str_of(text));
    if (a->open)
        alert_tell(a, ALERT_OVER);
}

/** A breaker opens often and closes by itself: it is told when it stays open. */
static int64_t due(const struct watch *w, enum notice_kind kind, int64_t now)
{
    return kind == NOTICE_BREAKER_OPEN ? now + w->conf->breaker_open_ms : now;
}

static void notice_more(struct alert *a, const struct notice *n)
{
    sl_str owner = n->owner.len ? n->owner : str_of(a->watch->conf->owner);
    int64_t now = clock_wall_ms();

    if (!a->stands) { /* it begins, perhaps anew */
        a->since_ms = now;
        a->count = 0;
        a->said_ms = 0;
        a->due_ms = due(a->watch, a->kind, now);
    }
    a->stands = true;
    a->more = true;
    a->count++;
    a->num = n->num;
    a->last_ms = now;
    a->critical = n->critical;
    a->of_alert = n->of_alert;
    set(&a->owner, owner);
    set(&a->subject, n->subject);
    set(&a->text, n->text);
}

void alerts_notice(void *ctx, const struct notice *n)
{
    struct watch *w = ctx;

    if (n->kind == NOTICE_BREAKER_CLOSED) {
        ends(w, NOTICE_BREAKER_OPEN, n);
        return;
    }
    if (n->kind == NOTICE_UNPARKED) {
        ends(w, NOTICE_PARKED, n);
        return;
    }
    if (n->kind == NOTICE_ROUTE_RESUMED) {
        ends(w, NOTICE_ROUTE_PAUSED, n);
        return;
    }
    struct alert *a = alert_find(w, n->kind, n->endpoint, n->route);
    if (!a && !(a = alert_new(w, n->kind, n->endpoint, n->route))) {
        log_error(&w->log, "too many alerts at once; this one is only logged: %s " STR_FMT,
                  notice_names[n->kind], STR_ARG(n->text));
        return;
    }
    notice_more(a, n);
    if (a->due_ms > a->last_ms)
        return;
    a->due_ms = 0;
    if (a->said_ms && a->last_ms - a->said_ms < w->conf->repeat_ms)
        return; /* told lately: alerts_due() tells the rest */
    alert_tell(a, a->open ? ALERT_AGAIN : ALERT_OPEN);
}

void alerts_due(struct watch *w)
{
    int64_t now = clock_wall_ms();

    list_each (i, &w->alerts) {
        struct alert *a = list_entry(i, struct alert, node);
        if (!a->stands || !a->more)
            continue;
        if (a->due_ms ? now >= a->due_ms : now - a->said_ms >= w->conf->repeat_ms) {
            a->due_ms = 0;
            alert_tell(a, a->open ? ALERT_AGAIN : ALERT_OPEN);
        }
    }
}

/* ---- what an earlier process told ---- */

static sl_str text_of(json_t *o, const char *name)
{
    return str_of(json_string_value(json_object_get(o, name)));
}

void alert_remember(struct watch *w, const struct store_state *fact)
{
    json_t *o = json_loadb(fact->value.ptr, fact->value.len, 0, NULL);
    sl_str name = text_of(o, "alert"), endpoint = text_of(o, "endpoint"),
           route = text_of(o, "route");
    struct alert *a = NULL;

    for (int k = 0; k < NOTICE__COUNT; k++) {
        if (!str_eq(name, str_of(notice_names[k])))
            continue;
        a = alert_find(w, (enum notice_kind)k, endpoint, route);
        if (!a && (a = alert_new(w, (enum notice_kind)k, endpoint, route))) {
            a->stands = true;
            a->since_ms = fact->at_ms;
            a->last_ms = a->said_ms = clock_wall_ms();
            a->count = (uint64_t)json_integer_value(json_object_get(o, "count"));
            a->critical = str_eq(text_of(o, "severity"), STR("critical"));
            set(&a->owner, text_of(o, "owner"));
            set(&a->subject, text_of(o, "subject"));
            set(&a->text, text_of(o, "text"));
        }
        if (a) {
            a->open = a->stands; /* who was told then need not be told again */
            a->kept = true;
        }
        break;
    }
    json_decref(o);
}

void watch_alerts(struct watch *w, struct buf *out)
{
    int64_t lately_ms = clock_wall_ms() - w->conf->repeat_ms;
    bool first = true;

    buf_char(out, '[');
    list_each (i, &w->alerts) {
        const struct alert *a = list_entry(i, struct alert, node);
        if (a->due_ms)
            continue; /* nobody was told yet */
        if (!a->stands && !a->news && a->last_ms < lately_ms)
            continue;
        if (!first)
            buf_char(out, ',');
        first = false;
        alert_json(out, a);
    }
    buf_char(out, ']');
}
