/*
 * api_reconcile.c - what was delivered, compared with what is there: begun, and how it stands.
 */
#include <jansson.h>
#include <string.h>
#include "admin/api.h"
#include "base/clock.h"
#include "base/log.h"

#define NAMED     50 /* findings, unless told */
#define NAMED_MAX 1000

static const struct logger log_ = { .room = "admin" };

static void answer(struct call *c, int status)
{
    struct buf b = { 0 };

    if (flow_reconcile_show(c->admin->conf.flow, &b))
        call_json(c, status, buf_view(&b));
    else
        call_problem(c, 404, "nothing was reconciled since the start");
    buf_finish(&b);
}

void api_reconcile_show(struct call *c)
{
    answer(c, 200);
}

static void begin(struct call *c, const struct reconcile_ask *ask)
{
    struct fail fail = { 0 };
    int r = flow_reconcile(c->admin->conf.flow, ask, &fail);

    if (r < 0) {
        call_problem(c, r == UV_ENOENT ? 404 : 409, "%s", fail.text);
        return;
    }
    log_info(&log_, "reconciliation begun: endpoint=%s route=%s who=%s", ask->endpoint, ask->route,
             c->who);
    answer(c, 202);
}

void api_reconcile(struct call *c)
{
    sl_str body = http_body(c->request);
    json_t *o = json_loadb(body.ptr ? body.ptr : "", body.len, JSON_REJECT_DUPLICATES, NULL);
    json_t *named = json_object_get(o, "named");
    struct reconcile_ask ask = {
        .endpoint = json_string_value(json_object_get(o, "endpoint")),
        .route = json_string_value(json_object_get(o, "route")),
        .named = named ? (uint32_t)json_integer_value(named) : NAMED,
    };

    if (!ask.endpoint || !ask.route || ask.named < 1 || ask.named > NAMED_MAX)
        call_problem(c, 400,
                     "wanted {\"endpoint\",\"route\",\"since\",\"until\",\"named\"}: the first two "
                     "are names, the last is a number from 1 to %d",
                     NAMED_MAX);
    else if (call_time(c, o, "since", &ask.since_ms) && call_time(c, o, "until", &ask.until_ms))
        begin(c, &ask);
    json_decref(o);
}
