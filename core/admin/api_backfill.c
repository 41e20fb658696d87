/*
 * api_backfill.c - what happened before, brought from an endpoint: begun, shown, cancelled.
 */
#include <inttypes.h>
#include <jansson.h>
#include "admin/api.h"
#include "base/clock.h"
#include "base/log.h"

static const struct logger log_ = { .room = "admin" };

static void answer(struct call *c, int status)
{
    struct buf b = { 0 };

    flow_backfills_json(c->admin->conf.flow, &b);
    call_json(c, status, buf_view(&b));
    buf_finish(&b);
}

void api_backfills(struct call *c)
{
    answer(c, 200);
}

static void begin(struct call *c, const struct backfill_ask *ask)
{
    struct fail fail = { 0 };

    switch (flow_backfill(c->admin->conf.flow, ask, &fail)) {
    case 0:
        log_info(&log_, "back-fill begun: endpoint=%s topics=\"%s\" who=" STR_FMT, ask->endpoint,
                 ask->topics, STR_ARG(ask->who));
        answer(c, 202);
        return;
    case UV_ENOENT:
        call_problem(c, 404, "%s", fail.text);
        return;
    case UV_EALREADY:
        call_problem(c, 409, "%s", fail.text);
        return;
    default:
        call_problem(c, 400, "%s", fail.text);
    }
}

void api_backfill(struct call *c)
{
    sl_str body = http_body(c->request);
    json_t *o = json_loadb(body.ptr ? body.ptr : "", body.len, JSON_REJECT_DUPLICATES, NULL);
    struct backfill_ask ask = { .endpoint = json_string_value(json_object_get(o, "endpoint")),
                                .topics = json_string_value(json_object_get(o, "topics")),
                                .until_ms = clock_wall_ms(),
                                .who = str_of(c->who) };

    if (!ask.endpoint || !ask.topics || !json_is_string(json_object_get(o, "since")))
        call_problem(c, 400,
                     "wanted {\"endpoint\",\"topics\",\"since\",\"until\"}: all but the last are "
                     "needed, as texts");
    else if (call_time(c, o, "since", &ask.since_ms) && call_time(c, o, "until", &ask.until_ms))
        begin(c, &ask);
    json_decref(o);
}

void api_backfill_cancel(struct call *c)
{
    if (flow_backfill_cancel(c->admin->conf.flow, c->name) == 0)
        answer(c, 200);
    else
        call_problem(c, 404, "no back-fill of \"%.80s\" is running", c->name);
}
