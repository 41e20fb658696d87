/*
 * api_feeds.c - feeds as they stand, and one of them polled now.
 */
#include <inttypes.h>
#include <jansson.h>
#include <string.h>
#include "admin/api.h"
#include "base/clock.h"
#include "base/log.h"

static const struct logger log_ = { .room = "admin" };

struct listing {
    struct buf *b;
    const char *endpoint, *feed; /* only these; NULL: any */
    bool any;
};

static void put_text(struct buf *b, const char *name, const char *value)
{
    buf_printf(b, ",\"%s\":", name);
    if (value)
        buf_json_str(b, str_of(value));
    else
        buf_cstr(b, "null");
}

static void put_time(struct buf *b, const char *name, int64_t ms)
{
    char text[32];

    clock_format(ms, text);
    put_text(b, name, ms ? text : NULL);
}

static void put_feed(void *ctx, const struct feed_stats *s)
{
    struct listing *l = ctx;
    struct buf *b = l->b;

    if ((l->endpoint && strcmp(l->endpoint, s->endpoint)) || (l->feed && strcmp(l->feed, s->feed)))
        return;
    buf_cstr(b, l->any ? ",{\"endpoint\":" : "{\"endpoint\":");
    l->any = true;
    buf_json_str(b, str_of(s->endpoint));
    put_text(b, "feed", s->feed);
    put_text(b, "kind", s->kind);
    put_text(b, "owner", s->owner);
    buf_printf(b, ",\"running\":%s", s->running ? "true" : "false");
    put_text(b, "waits", s->waits);
    put_text(b, "error", s->error);
    put_text(b, "finding", s->finding);
    buf_printf(b,
               ",\"failures\":%" PRIu32 ",\"runs\":%" PRIu64 ",\"rows\":%" PRIu64
               ",\"known\":%" PRIu64 ",\"last_rows\":%" PRIu64 ",\"last_known\":%" PRIu64,
               s->failures, s->runs, s->rows, s->known, s->last_rows, s->last_known);
    put_time(b, "last_began_at", s->began_ms);
    put_time(b, "last_ended_at", s->ended_ms);
    put_time(b, "last_good_at", s->good_ms);
    put_time(b, "next_at", s->next_ms);
    put_time(b, "cursor_at", s->cursor_ms);
    put_text(b, "cursor", s->cursor);
    buf_char(b, '}');
}

void api_feeds_json(struct buf *b, const struct flow *f, const char *endpoint)
{
    struct listing l = { .b = b, .endpoint = endpoint };

    buf_char(b, '[');
    flow_feed_each(f, put_feed, &l);
    buf_char(b, ']');
}

void api_feeds(struct call *c)
{
    struct buf b = { 0 };

    api_feeds_json(&b, c->admin->conf.flow, NULL);
    call_json(c, 200, buf_view(&b));
    buf_finish(&b);
}

static void poll_now(struct call *c, const char *feed)
{
    struct flow *f = c->admin->conf.flow;
    struct buf b = { 0 };
    struct listing l = { .b = &b, .endpoint = c->name, .feed = feed };
    const char *waits = NULL;
    int r = flow_poll(f, str_of(c->name), str_of(feed), &waits);

    if (r == UV_ENOENT) {
        call_problem(c, 404, "endpoint \"%.80s\" has no feed \"%.80s\"; there are: sluice feeds",
                     c->name, feed);
    } else if (r == UV_EALREADY) {
        call_problem(c, 409, "feed %.80s of %.80s is being polled at this moment", feed, c->name);
    } else if (r == UV_EAGAIN) {
        call_problem(c, 409, "feed %.80s cannot be polled now: %s", feed, waits);
    } else {
        log_info(&log_, "polled by hand: endpoint=%s feed=%s who=%s", c->name, feed, c->who);
        flow_feed_each(f, put_feed, &l);
        call_json(c, 202, buf_view(&b));
    }
    buf_finish(&b);
}

void api_poll(struct call *c)
{
    sl_str body = http_body(c->request);
    json_t *o = json_loadb(body.ptr ? body.ptr : "", body.len, JSON_REJECT_DUPLICATES, NULL);
    const char *feed = json_string_value(json_object_get(o, "feed"));

    if (feed && json_object_size(o) == 1)
        poll_now(c, feed);
    else
        call_problem(c, 400, "wanted a JSON object with \"feed\": the name of a feed");
    json_decref(o);
}
