/*
 * alert_tell.c - an alert is told: in the log, by a POST to `alerts.url`, and as an event that is
 * routed like all others.
 *
 * The two ways differ. The POST needs nothing but the network, so it says that the store failed;
 * it is tried a few times and not kept. The event is durable and waits, is retried and ordered by
 * its lane; it is made only where a route takes it. An alert about the delivery of an alert makes
 * no event, or one would follow the other without end.
 */
#include <stdlib.h>
#include <string.h>
#include "base/clock.h"
#include "base/mem.h"
#include "watch/watch_int.h"

#define TRIES    3
#define AGAIN_MS 2000

const char *const alert_saying_names[ALERT_SAYING__COUNT] = { "open", "again", "over" };

/* ---- the POST ---- */

static void alert_post(struct alert *a);

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
        if (a->urgent)
            post_again(a, 0);
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

    if (!w->client || !w->conf->url) {
        a->news = a->urgent = false;
        return;
    }
    if (a->posting || w->closing)
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

/* ---- the event ---- */

/** What stays the same while the alert stands: a receiver's key for it. */
static void put_id(struct buf *b, const struct alert *a)
{
    buf_printf(b, "%s/%s/%s", notice_names[a->kind], a->endpoint, a->route);
}

static void put_body(struct buf *b, const struct alert *a, enum alert_saying what)
{
    struct buf id = { 0 };

    put_id(&id, a);
    buf_printf(b, "{\"id\":");
    buf_json_str(b, buf_view(&id));
    buf_printf(b, ",\"state\":\"%s\",", alert_saying_names[what]);
    buf_finish(&id);

    struct buf rest = { 0 };
    alert_json(&rest, a);
    if (rest.failed)
        b->failed = true;
    else
        buf_append(b, rest.data + 1, rest.len - 1); /* without its brace */
    buf_finish(&rest);
}

static void on_emitted(void *ctx, int status)
{
    const struct logger log = { .room = "watch" };

    (void)ctx; /* the watch may be gone by then */
    if (status < 0 && status != UV_ECANCELED)
        log_error(&log, "an alert could not be made an event: err=%s", uv_strerror(status));
}

/** As an event where a route takes it; and the fact that it stands, or no longer does. */
static void alert_emit(struct alert *a, enum alert_saying what)
{
    struct watch *w = a->watch;
    struct buf topic = { 0 }, subject = { 0 }, body = { 0 }, key = { 0 };
    bool wanted;

    if (!w->flow || w->draining || a->of_alert)
        return;
    buf_printf(&topic, CONFIG_ALERT "%s", notice_names[a->kind]);
    wanted = !topic.failed && flow_wants(w->flow, buf_view(&topic));
    if (!wanted && (!a->kept || what == ALERT_AGAIN)) {
        buf_finish(&topic);
        return;
    }
    put_id(&key, a);
    buf_cstr(&subject, "alert:");
    put_id(&subject, a);
    put_body(&body, a, what);
    struct flow_event event = { buf_view(&topic), buf_view(&subject), buf_view(&body) };
    struct rec_state_item fact = { STR("alert"), buf_view(&key),
                                   what == ALERT_OVER ? STR("") : event.body };
    if (topic.failed || subject.failed || body.failed || key.failed)
        log_error(&w->log, "an alert could not be made an event: no memory");
    else
        flow_emit(w->flow, wanted ? &event : NULL, what == ALERT_AGAIN ? NULL : &fact, on_emitted,
                  NULL);
    a->kept = what != ALERT_OVER;
    buf_finish(&topic);
    buf_finish(&subject);
    buf_finish(&body);
    buf_finish(&key);
}

/* ---- both ---- */

void alert_tell(struct alert *a, enum alert_saying what)
{
    struct watch *w = a->watch;

    a->said_ms = clock_wall_ms();
    a->news = true;
    a->more = false;
    a->urgent |= what != ALERT_AGAIN;
    a->open = what != ALERT_OVER;
    if (what != ALERT_OVER)
        log_warn(&w->log, "alert: %s endpoint=%s route=%s count=%" PRIu64 ": %s",
                 notice_names[a->kind], a->endpoint, a->route, a->count, a->text);
    else
        log_info(&w->log, "alert is over: %s endpoint=%s route=%s", notice_names[a->kind],
                 a->endpoint, a->route);
    alert_emit(a, what);
    alert_post(a);
}
