#include "watch/watch.h"

#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "base/clock.h"
#include "base/mem.h"
#include "watch/watch_int.h"

static void forget_headers(struct watch *w)
{
    for (size_t i = 0; i < w->n_headers; i++) {
        free((char *)w->headers[i].name.ptr);
        free((char *)w->headers[i].value.ptr);
    }
    free(w->headers);
    w->headers = NULL;
    w->n_headers = 0;
}

/** Content-Type, and what `alerts: { headers }` says. */
static void read_headers(struct watch *w)
{
    json_t *all = w->conf->headers_json ? json_loads(w->conf->headers_json, 0, NULL) : NULL;
    const char *name;
    json_t *value;

    w->headers = mem_array(json_object_size(all) + 1, sizeof(*w->headers));
    w->headers[w->n_headers++] = (sl_header){ str_of(mem_str("Content-Type")),
                                              str_of(mem_str("application/json")) };
    json_object_foreach(all, name, value) w->headers[w->n_headers++] =
        (sl_header){ str_of(mem_str(name)), str_of(mem_str(json_string_value(value))) };
    json_decref(all);
}

int watch_open(struct watch **ret, uv_loop_t *loop, const struct config *config, struct fail *fail)
{
    struct watch *w = mem_zero(sizeof(*w));
    int r;

    w->loop = loop;
    w->conf = &config->alerts;
    w->reloaded_ms = clock_wall_ms();
    w->log = (struct logger){ .room = "watch" };
    list_init(&w->alerts);
    uv_timer_init(loop, &w->timer);
    uv_timer_init(loop, &w->look);
    w->timers = 2;
    if ((r = watch_prepare(w, config, fail)) < 0)
        return r; /* the process ends: see daemon_run */
    read_headers(w);
    *ret = w;
    return 0;
}

int watch_prepare(struct watch *w, const struct config *config, struct fail *fail)
{
    struct http_client_conf conf;
    int r;

    if (!config->alerts.url || w->client)
        return 0;
    http_client_defaults(&conf);
    conf.total_ms = 10000;
    conf.max_answer = 64 << 10;
    conf.max_connections = 2;
    r = http_client_open(&w->client, w->loop, &conf, fail);
    if (r < 0)
        fail_prefix(fail, "alerts: ");
    return r;
}

void watch_change(struct watch *w, const struct config *config)
{
    w->conf = &config->alerts;
    forget_headers(w);
    read_headers(w);
    list_each (i, &w->alerts) {
        struct alert *a = list_entry(i, struct alert, node);
        if (a->stands && ((a->endpoint[0] && !config_endpoint(config, str_of(a->endpoint))) ||
                          (a->route[0] && !config_route(config, str_of(a->route)))))
            alert_over(a, "over: it is no longer in the configuration");
    }
}

void watch_reloaded(struct watch *w, bool done)
{
    w->reloads += done;
    w->reloads_refused += !done;
    if (done)
        w->reloaded_ms = clock_wall_ms();
}

/* ---- looking ---- */

static void on_look(uv_timer_t *t)
{
    alert_look(container_of(t, struct watch, look));
}

void watch_attach(struct watch *w, struct flow *flow, struct store *store, struct mapper *mapper)
{
    w->flow = flow;
    w->store = store;
    w->mapper = mapper;
    uv_timer_start(&w->look, on_look, LOOK_MS, LOOK_MS);
    uv_unref((uv_handle_t *)&w->look);
}

void watch_attach_intake(struct watch *w, const struct http_server *intake)
{
    w->intake = intake;
}

struct flow_watch watch_notices(struct watch *w)
{
    return (struct flow_watch){ .ctx = w, .notice = alerts_notice };
}

/* ---- readiness ---- */

bool watch_ready(struct watch *w, struct buf *why)
{
    struct store_stats s;

    if (w->draining)
        buf_cstr(why, "shutting down\n");
    if (!w->flow || !flow_recovered(w->flow)) {
        buf_cstr(why, "still reading what was left from before\n");
        return false;
    }
    store_stats(w->store, &s);
    if (s.failed)
        buf_cstr(why, "the store failed to write; mend the disk and restart\n");
    if (s.disk_low)
        buf_cstr(why, "the disk is nearly full\n");
    return !w->draining && !s.failed && !s.disk_low;
}

void watch_draining(struct watch *w)
{
    w->draining = true;
}

/* ---- closing ---- */

static void on_client_closed(void *ctx)
{
    struct watch *w = ctx;

    w->client_gone = true;
    watch_check_closed(w);
}

static void on_timer_closed(uv_handle_t *h)
{
    struct watch *w = uv_handle_get_data(h);

    w->timers--;
    watch_check_closed(w);
}

static void close_all(struct watch *w)
{
    if (w->closing)
        return;
    w->closing = true;
    if (w->client)
        http_client_close(w->client, on_client_closed, w);
    else
        w->client_gone = true;
    uv_handle_set_data((uv_handle_t *)&w->timer, w);
    uv_handle_set_data((uv_handle_t *)&w->look, w);
    uv_close((uv_handle_t *)&w->timer, on_timer_closed);
    uv_close((uv_handle_t *)&w->look, on_timer_closed);
}

void watch_check_closed(struct watch *w)
{
    if (!w->closed)
        return;
    if (!w->closing && w->sending == 0)
        close_all(w);
    if (!w->client_gone)
        return;
    if (!list_empty(&w->alerts)) {
        alerts_close(w); /* only now: cancelled calls have told their alerts */
        return;
    }
    if (w->timers || w->n_alerts)
        return;
    void (*closed)(void *) = w->closed;
    void *ctx = w->ctx;
    forget_headers(w);
    alert_look_finish(w);
    free(w);
    closed(ctx);
}

static void on_time_over(uv_timer_t *t)
{
    close_all(container_of(t, struct watch, timer));
}

void watch_close(struct watch *w, uint64_t ms, void (*cb)(void *ctx), void *ctx)
{
    w->closed = cb;
    w->ctx = ctx;
    w->flow = NULL;
    uv_timer_start(&w->timer, on_time_over, w->sending ? ms : 0, 0);
}
