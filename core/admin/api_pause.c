/*
 * api_pause.c - endpoints and routes paused, drained and resumed by hand; the routes as they are.
 */
#include <inttypes.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>
#include "admin/api.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"

static const struct logger log_ = { .room = "admin" };

void api_pause_json(struct buf *b, const struct pause_status *p)
{
    char since[32];

    if (!p->paused) {
        buf_cstr(b, "null");
        return;
    }
    clock_format(p->since_ms, since);
    buf_printf(b, "{\"drain\":%s,\"since\":\"%s\",\"who\":", p->drain ? "true" : "false", since);
    buf_json_str(b, str_of(p->who));
    buf_cstr(b, ",\"why\":");
    buf_json_str(b, str_of(p->why));
    buf_char(b, '}');
}

/* ---- routes ---- */

static void put_route(struct buf *b, const struct route_stats *s)
{
    buf_cstr(b, "{\"route\":");
    buf_json_str(b, str_of(s->route));
    buf_cstr(b, ",\"from\":");
    buf_json_str(b, str_of(s->from));
    buf_cstr(b, ",\"owner\":");
    buf_json_str(b, str_of(s->owner));
    buf_printf(b, ",\"inflight\":%" PRIu64 ",\"paused\":", s->inflight);
    api_pause_json(b, &s->pause);
    buf_cstr(b, ",\"failing\":");
    if (s->failing)
        buf_json_str(b, str_of(s->error));
    else
        buf_cstr(b, "null");
    buf_char(b, '}');
}

void api_routes_json(struct buf *b, const struct flow *f)
{
    struct route_stats s;

    buf_char(b, '[');
    for (size_t i = 0; i < flow_routes(f); i++) {
        flow_route_stats(f, i, &s);
        buf_cstr(b, i ? "," : "");
        put_route(b, &s);
    }
    buf_char(b, ']');
}

void api_route_list(struct call *c)
{
    struct buf b = { 0 };

    api_routes_json(&b, c->admin->conf.flow);
    call_json(c, 200, buf_view(&b));
    buf_finish(&b);
}

/* ---- by hand ---- */

static bool is_route(const struct call *c)
{
    return strstr(c->route->path, "/routes/") != NULL;
}

/** How it stands now. */
static void answer(struct call *c, bool was_failing)
{
    struct flow *f = c->admin->conf.flow;
    struct pause_status p;
    struct buf b = { 0 };
    uint64_t inflight = 0;

    flow_pause_status(f, is_route(c), str_of(c->name), &p);
    for (size_t i = 0; is_route(c) && i < flow_routes(f); i++) {
        struct route_stats s;
        flow_route_stats(f, i, &s);
        if (strcmp(s.route, c->name) == 0)
            inflight = s.inflight;
    }
    for (size_t i = 0; !is_route(c) && i < flow_lanes(f); i++) {
        struct lane_stats s;
        flow_lane_stats(f, i, &s);
        if (strcmp(s.endpoint, c->name) == 0)
            inflight = s.inflight;
    }
    buf_printf(&b, "{\"%s\":", is_route(c) ? "route" : "endpoint");
    buf_json_str(&b, str_of(c->name));
    buf_printf(&b, ",\"inflight\":%" PRIu64 ",\"was_failing\":%s,\"paused\":", inflight,
               was_failing ? "true" : "false");
    api_pause_json(&b, &p);
    buf_char(&b, '}');
    call_json(c, 200, buf_view(&b));
    buf_finish(&b);
}

static void on_done(void *ctx, int status)
{
    if (status < 0)
        call_failed(ctx, status);
    else
        answer(ctx, false);
}

int call_why(struct call *c, char **ret)
{
    sl_str body = http_body(c->request);
    json_t *o = body.len ? json_loadb(body.ptr, body.len, JSON_REJECT_DUPLICATES, NULL)
                         : json_object();
    json_t *why = json_object_get(o, "why");
    bool good = json_is_object(o) && json_object_size(o) == (why ? 1u : 0u) &&
                (!why || (json_is_string(why) && json_string_length(why) <= 1024));

    *ret = good && why ? mem_str(json_string_value(why)) : NULL;
    json_decref(o);
    if (!good)
        call_problem(c, 400, "wanted no body, or a JSON object with \"why\", at most 1024 bytes");
    return good ? 0 : UV_EINVAL;
}

static void pause_it(struct call *c, enum pause_what what)
{
    struct flow_pause p = {
        .what = what, .route = is_route(c), .name = str_of(c->name), .who = str_of(c->who)
    };
    char *why = NULL;
    int r;

    if (call_why(c, &why) < 0)
        return;
    p.why = str_of(why);
    r = flow_pause(c->admin->conf.flow, &p, on_done, c);
    free(why);
    if (r == UV_ENOENT)
        call_problem(c, 404, "there is no %s \"%.80s\"", is_route(c) ? "route" : "endpoint",
                     c->name);
    else if (r < 0)
        call_failed(c, r);
}

void api_pause(struct call *c)
{
    pause_it(c, PAUSE_BEGINS);
}

void api_drain(struct call *c)
{
    pause_it(c, PAUSE_DRAINS);
}

/** A person's pause ends, and so does the one that a route's errors made. */
void api_resume(struct call *c)
{
    struct flow *f = c->admin->conf.flow;
    struct pause_status p;

    flow_pause_status(f, is_route(c), str_of(c->name), &p);
    bool failing = is_route(c) && flow_route_fails(f, str_of(c->name));
    if (failing) {
        flow_resume_route(f, str_of(c->name));
        log_info(&log_, "resumed after its errors: route=%s who=%s", c->name, c->who);
    }
    if (failing && !p.paused)
        answer(c, true);
    else
        pause_it(c, PAUSE_ENDS);
}
