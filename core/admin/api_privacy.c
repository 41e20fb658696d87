/*
 * api_privacy.c - what was asked about persons: the record of it, what a request is about, and that
 * an operator has handed out what was asked for.
 */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include "admin/api.h"
#include "base/clock.h"
#include "base/log.h"

static const struct logger log_ = { .room = "admin" };

#define PAGE 1000

/* ---- as JSON ---- */

static void put_time(struct buf *b, const char *name, int64_t ms)
{
    char text[32];

    clock_format(ms, text);
    buf_printf(b, ",\"%s\":", name);
    if (ms)
        buf_json_str(b, str_of(text));
    else
        buf_cstr(b, "null");
}

static void put_text(struct buf *b, const char *name, sl_str text)
{
    buf_printf(b, ",\"%s\":", name);
    buf_json_str(b, text);
}

/* How it stands at this moment, as the flow sees it. */
struct standing {
    uint64_t id;
    bool found;
    struct privacy_status s;
};

static void see(void *ctx, const struct privacy_status *s)
{
    struct standing *st = ctx;

    if (s->id != st->id)
        return;
    st->found = true;
    st->s = *s;
}

static const char *state_of(const struct store_privacy *p, const struct standing *st)
{
    if (p->kind == PRIVACY_HAND_OUT)
        return p->state == PRIVACY_ASKED ? "open" : "done";
    if (p->state == PRIVACY_ASKED)
        return st->found && st->s.under_way ? "waits" : "erasing";
    return p->state == PRIVACY_DONE ? "in-log" : "done";
}

static void put_request(struct buf *b, const struct flow *f, const struct store_privacy *p)
{
    struct standing st = { .id = p->event };

    flow_privacy_each(f, see, &st);
    buf_printf(b, "{\"id\":%" PRIu64 ",\"kind\":\"%s\",\"state\":\"%s\"", p->event,
               p->kind == PRIVACY_ERASE ? "erase" : "hand-out", state_of(p, &st));
    put_text(b, "endpoint", p->endpoint);
    put_text(b, "topic", p->topic);
    put_time(b, "asked_at", p->asked_ms);
    put_time(b, "due_at", p->due_ms);
    put_time(b, "done_at", p->done_ms);
    put_time(b, "log_due_at", p->log_due_ms);
    put_time(b, "ended_at", p->ended_ms);
    buf_printf(b,
               ",\"events\":%" PRIu64 ",\"deliveries\":%" PRIu64 ",\"under_way\":%" PRIu64
               ",\"late\":%s",
               p->events, p->deliveries, st.found ? st.s.under_way : 0,
               st.found && st.s.late ? "true" : "false");
    put_text(b, "note", str_of(st.found && (st.s.late || st.s.under_way) ? st.s.text : ""));
    put_text(b, "who", p->who);
    put_text(b, "why", p->why);
    buf_cstr(b, ",\"asked\":");
    buf_str(b, p->asked.len ? p->asked : STR("null"));
    buf_char(b, '}');
}

/* ---- all, and one ---- */

static void on_list(void *ctx, int status, const struct store_privacy *p, size_t n)
{
    struct call *c = ctx;
    struct buf b = { 0 };

    if (status < 0) {
        call_failed(c, status);
        return;
    }
    buf_char(&b, '[');
    for (size_t i = 0; i < n; i++) {
        buf_cstr(&b, i ? "," : "");
        put_request(&b, c->admin->conf.flow, &p[i]);
    }
    buf_char(&b, ']');
    call_json(c, 200, buf_view(&b));
    buf_finish(&b);
}

void api_privacy(struct call *c)
{
    struct store_filter filter;
    struct fail fail = { 0 };
    int r;

    if (ask_query(&filter, ASK_AFTER_EVENT, http_query(c->request), &fail) < 0) {
        call_problem(c, 400, "%s", fail.text);
        return;
    }
    r = store_privacy_list(c->admin->conf.store, filter.after, false, PAGE, on_list, c);
    ask_finish(&filter);
    if (r < 0)
        call_failed(c, r);
}

/* The request that the path names; 0: told that it is none. */
static uint64_t named(struct call *c)
{
    char *end = NULL;
    uint64_t id = c->name[0] >= '1' && c->name[0] <= '9' ? strtoull(c->name, &end, 10) : 0;

    if (!id || *end)
        call_problem(c, 400, "a request's id is a number: see sluice privacy; not \"%.60s\"",
                     c->name);
    return id && !*end ? id : 0;
}

static void on_one(void *ctx, int status, const struct store_privacy *p, size_t n)
{
    struct call *c = ctx;
    struct buf b = { 0 };

    if (status < 0) {
        call_failed(c, status);
    } else if (!n || p[0].event != strtoull(c->name, NULL, 10)) {
        call_problem(c, 404, "event %.30s asks for nothing about a person; see sluice privacy",
                     c->name);
    } else {
        put_request(&b, c->admin->conf.flow, p);
        call_json(c, 200, buf_view(&b));
    }
    buf_finish(&b);
}

static void show(struct call *c, uint64_t id)
{
    int r = store_privacy_list(c->admin->conf.store, id - 1, false, 1, on_one, c);

    if (r < 0)
        call_failed(c, r);
}

void api_privacy_show(struct call *c)
{
    uint64_t id = named(c);

    if (id)
        show(c, id);
}

/* ---- what it is about ---- */

static void on_events(void *ctx, int status, const uint64_t *events, size_t n, uint64_t next)
{
    struct call *c = ctx;
    struct buf b = { 0 };

    if (status == UV_ENOENT) {
        call_problem(c, 404,
                     "event %.30s asks for nothing to be handed out, or it has been erased since",
                     c->name);
        return;
    }
    if (status < 0) {
        call_failed(c, status);
        return;
    }
    buf_cstr(&b, "{\"events\":[");
    for (size_t i = 0; i < n; i++)
        buf_printf(&b, "%s%" PRIu64, i ? "," : "", events[i]);
    buf_cstr(&b, "],\"next\":");
    if (next)
        buf_printf(&b, "%" PRIu64 "}", next);
    else
        buf_cstr(&b, "null}");
    call_json(c, 200, buf_view(&b));
    buf_finish(&b);
}

void api_privacy_events(struct call *c)
{
    struct store_filter filter;
    struct fail fail = { 0 };
    uint64_t id = named(c);
    int r;

    if (!id)
        return;
    if (ask_query(&filter, ASK_AFTER_EVENT, http_query(c->request), &fail) < 0) {
        call_problem(c, 400, "%s", fail.text);
        return;
    }
    r = flow_privacy_events(c->admin->conf.flow, id, SL_ASK_HAND_OUT, filter.after, on_events, c);
    ask_finish(&filter);
    if (r < 0)
        call_failed(c, r);
}

/* ---- done ---- */

static void on_done(void *ctx, int status)
{
    struct call *c = ctx;

    if (status < 0) {
        call_failed(c, status);
        return;
    }
    log_info(&log_, "handed out: request=%s who=%s", c->name, c->who);
    show(c, strtoull(c->name, NULL, 10));
}

void api_privacy_done(struct call *c)
{
    uint64_t id = named(c);
    char *why = NULL;
    int r;

    if (!id || call_why(c, &why) < 0)
        return;
    r = flow_privacy_done(c->admin->conf.flow, id, str_of(c->who), str_of(why), on_done, c);
    free(why);
    if (r == UV_ENOENT)
        call_problem(c, 404, "event %.30s asks for nothing that is still open; see sluice privacy",
                     c->name);
    else if (r == UV_EINVAL)
        call_problem(c, 409,
                     "event %.30s asks to erase: that is done by itself, and nobody can say it is",
                     c->name);
    else if (r < 0)
        call_failed(c, r);
}
