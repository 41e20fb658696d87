/*
 * client_rig.c - see client_rig.h.
 */
#include "../check.h"

#include "client_rig.h"

#include <signal.h>
#include <stdio.h>

void rig_open(struct rig *r, SSL_CTX *tls)
{
    memset(r, 0, sizeof(*r));
    signal(SIGPIPE, SIG_IGN);
    assert_int_equal(uv_loop_init(&r->loop), 0);
    peer_open(&r->peer, &r->loop, tls, NULL);
    http_client_defaults(&r->conf);
    r->conf.connect_ms = r->conf.first_byte_ms = 2000;
    r->conf.total_ms = 3000;
    snprintf(r->base, sizeof(r->base), "%s://127.0.0.1:%u", tls ? "https" : "http", r->peer.port);
}

void rig_client(struct rig *r)
{
    struct fail fail = { 0 };

    if (http_client_open(&r->client, &r->loop, &r->conf, &fail) < 0)
        fail_msg("%s", fail.text);
}

static void on_result(void *ctx, const struct http_result *result)
{
    struct outcome *o = ctx;

    o->calls++;
    o->order = ++o->rig->done;
    o->error = result->error;
    o->status = result->status;
    o->sent = result->sent;
    o->reused = result->reused;
    o->phase = result->phase;
    o->n_headers = result->n_headers;
    o->body_len = result->body.len;
    snprintf(o->why, sizeof(o->why), "%s", result->why);
    snprintf(o->body, sizeof(o->body), STR_FMT, STR_ARG(result->body));
    snprintf(o->x_test, sizeof(o->x_test), STR_FMT, STR_ARG(http_result_header(result, "x-test")));
    if (o->rig->on_done)
        o->rig->on_done(o);
}

struct outcome *rig_call(struct rig *r, const char *method, const char *path, sl_str body)
{
    struct outcome *o = &r->out[r->n];
    struct fail fail = { 0 };
    char url[4096];
    struct http_call_conf conf = { .method = str_of(method), .body = body };

    assert_true(r->n < RIG_CALLS);
    if (!r->client)
        rig_client(r);
    snprintf(url, sizeof(url), "%s%s", path[0] == '/' ? r->base : "", path);
    conf.url = str_of(url);
    o->rig = r;
    if (http_client_call(r->client, &conf, on_result, o, &fail) < 0)
        fail_msg("%s: %s", url, fail.text);
    r->n++;
    assert_int_equal(o->calls, 0);
    return o;
}

struct outcome *rig_get(struct rig *r, const char *path)
{
    return rig_call(r, "GET", path, (sl_str){ 0 });
}

static void on_time(uv_timer_t *timer)
{
    *(bool *)timer->data = true;
}

/* Until `n` calls are done, or the time is over. */
static bool run_for(struct rig *r, unsigned n, unsigned ms)
{
    bool over = false;
    uv_timer_t timer;

    uv_update_time(&r->loop);
    uv_timer_init(&r->loop, &timer);
    timer.data = &over;
    uv_timer_start(&timer, on_time, ms, 0);
    while (r->done < n && !over)
        uv_run(&r->loop, UV_RUN_ONCE);
    uv_close((uv_handle_t *)&timer, NULL);
    uv_run(&r->loop, UV_RUN_NOWAIT);
    return !over;
}

void rig_run(struct rig *r)
{
    if (!run_for(r, r->n, 60000))
        fail_msg("only %u of %u calls are done", r->done, r->n);
}

struct outcome *rig_fetch(struct rig *r, const char *path)
{
    struct outcome *o = rig_get(r, path);

    rig_run(r);
    return o;
}

void rig_pass(struct rig *r, unsigned ms)
{
    run_for(r, UINT_MAX, ms);
}

static void on_client_closed(void *ctx)
{
    struct rig *r = ctx;

    r->closed = true;
    assert_int_equal(r->done, r->n);
}

void rig_close(struct rig *r)
{
    if (r->client)
        http_client_close(r->client, on_client_closed, r);
    peer_close(&r->peer);
    uv_run(&r->loop, UV_RUN_DEFAULT);
    assert_true(r->closed || !r->client);
    for (unsigned i = 0; i < r->n; i++)
        assert_int_equal(r->out[i].calls, 1);
    assert_int_equal(uv_loop_close(&r->loop), 0);
    peer_finish(&r->peer);
}
