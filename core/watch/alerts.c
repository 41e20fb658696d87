/*
 * alerts.c - notices become alerts: one for each (kind, endpoint, route), told when it appears and
 * again at most every `repeat`, with a count of what came meanwhile.
 */
#include <jansson.h>
#include <stdlib.h>
#include <string.h>
#include "base/clock.h"
#include "base/mem.h"
#include "watch/watch_int.h"

#define MAX_ALERTS 1000
#define TRIES      3
#define AGAIN_MS   2000

struct alert {
    struct list node;
    struct watch *watch;
    enum notice_kind kind;
    char *endpoint, *route, *owner, *subject, *text;
    uint64_t num;
    uint64_t count;                     /* notices since it appeared */
    int64_t since_ms, last_ms, said_ms; /* said: in the log, and posted if there is where to */
    bool stands; /* not over: a breaker that is open, an endpoint that is parked */
    bool news;   /* something that the receiver does not know */
    bool urgent; /* and should at once: it began or ended while a POST was under way */
    bool posting;
    unsigned tries;
    uv_timer_t timer; /* repeat or try again; its closing frees the alert */
};

static void alert_post(struct alert *a);

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

static struct alert *find(struct watch *w, enum notice_kind kind, sl_str endpoint, sl_str route)
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

static struct alert *alert_new(struct watch *w, const struct notice *n)
{
    if (!make_room(w))
        return NULL;
    struct alert *a = mem_zero(sizeof(*a));
    a->watch = w;
    a->kind = n->kind;
    a->endpoint = mem_dup(n->endpoint);
    a->route = mem_dup(n->route);
    a->owner = mem_dup(n->owner);
    a->since_ms = clock_wall_ms();
    uv_timer_init(w->loop, &a->timer);
    uv_unref((uv_handle_t *)&a->timer);
    list_append(&w->alerts, &a->node);
    w->n_alerts++;
    return a;
}

/* ---- the POST ---- */

static void put_text(struct buf *b, const char *name, const char *value)
{
    if (!value || !value[0])
        return;
    buf_printf(b, ",\"%s\":", name);
    buf_json_str(b, str_of(value));
}

static void alert_json(struct buf *b, const struct alert *a)
{
    char since[32], last[32];

    clock_format(a->since_ms, since);
    clock_format(a->last_ms, last);
    buf_printf(b, "{\"alert\":\"%s\"", notice_names[a->kind]);
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

static void on_timer(uv_timer_t *t)
{
    struct alert *a = container_of(t, struct alert, timer);

    if (a->news)
        alert_post(a);
}

static void post_again(struct alert *a, uint64_t ms)
{
    uv_timer_start(&a->timer, on_timer, ms, 0);
}

static void on_posted(void *ctx, const struct http_result *r)
{
    struct alert *a = ctx;
    struct watch *w = a->watch;

    a->posting = false;
    w->sending--;
    if (!r->error && r->status >= 200 && r->status < 300) {
        a->tries = 0;
        post_again(a, a->urgent ? 0 : (uint64_t)w->conf->repeat_ms);
    } else {
        log_warn(&w->log, "alert could not be sent: %s", r->error ? r->why : "not a 2xx answer");
        a->news = true;
        bool more = ++a->tries < TRIES;
        if (!more)
            a->tries = 0;
        post_again(a, more ? AGAIN_MS : (uint64_t)w->conf->repeat_ms);
    }
    watch_check_closed(w);
}

static void alert_post(struct alert *a)
{
    struct watch *w = a->watch;
    struct buf body = { 0 };
    struct fail fail = { 0 };

    if (!w->client || a->posting || w->closing)
        return;
    alert_json(&body, a);
    struct http_call_conf call = {
        .method = STR("POST"),
        .url = str_of(w->conf->url),
        .headers = w->headers,
        .n_headers = w->n_headers,
        .body = buf_view(&body),
    };
    int r = http_client_call(w->client, &call, on_posted, a, &fail);
    buf_finish(&body);
    if (r < 0) {
        log_error(&w->log, "alert could not be sent: %s", fail.text);
        post_again(a, (uint64_t)w->conf->repeat_ms);
        return;
    }
    a->posting = true;
    a->news = a->urgent = false;
    w->sending++;
}

/* ---- notices ---- */

static void set(char **to, sl_str text)
{
    free(*to);
    *to = mem_dup(text);
}

/** It is over: the alert that stood is told so, once. */
static void over(struct watch *w, enum notice_kind kind, const struct notice *n)
{
    struct alert *a = find(w, kind, n->endpoint, n->route);

    if (!a || !a->stands)
        return;
    a->stands = false;
    a->last_ms = clock_wall_ms();
    set(&a->text, STR("over"));
    a->news = a->urgent = true;
    alert_post(a);
}

static bool is_standing(enum notice_kind kind)
{
    return kind == NOTICE_BREAKER_OPEN || kind == NOTICE_PARKED || kind == NOTICE_ROUTE_PAUSED;
}

void alerts_notice(void *ctx, const struct notice *n)
{
    struct watch *w = ctx;

    if (n->kind == NOTICE_BREAKER_CLOSED) {
        over(w, NOTICE_BREAKER_OPEN, n);
        return;
    }
    if (n->kind == NOTICE_UNPARKED) {
        over(w, NOTICE_PARKED, n);
        return;
    }
    if (n->kind == NOTICE_ROUTE_RESUMED) {
        over(w, NOTICE_ROUTE_PAUSED, n);
        return;
    }
    struct alert *a = find(w, n->kind, n->endpoint, n->route);
    if (!a && !(a = alert_new(w, n))) {
        log_error(&w->log, "too many alerts at once; this one is only logged: %s " STR_FMT,
                  notice_names[n->kind], STR_ARG(n->text));
        return;
    }
    bool fresh = is_standing(n->kind) && !a->stands;
    a->count++;
    a->num = n->num;
    a->last_ms = clock_wall_ms();
    a->stands = is_standing(n->kind);
    a->news = true;
    a->urgent |= fresh;
    set(&a->subject, n->subject);
    set(&a->text, n->text);
    if (!fresh && a->said_ms && a->last_ms - a->said_ms < w->conf->repeat_ms)
        return; /* told lately: the timer tells the rest */
    a->said_ms = a->last_ms;
    log_warn(&w->log, "alert: %s endpoint=%s route=%s count=%" PRIu64 ": %s", notice_names[a->kind],
             a->endpoint, a->route, a->count, a->text);
    alert_post(a);
}

void watch_alerts(struct watch *w, struct buf *out)
{
    int64_t lately_ms = clock_wall_ms() - w->conf->repeat_ms;
    bool first = true;

    buf_char(out, '[');
    list_each (i, &w->alerts) {
        const struct alert *a = list_entry(i, struct alert, node);
        if (!a->stands && !(a->news && w->client) && a->last_ms < lately_ms)
            continue;
        if (!first)
            buf_char(out, ',');
        first = false;
        alert_json(out, a);
    }
    buf_char(out, ']');
}
