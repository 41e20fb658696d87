/*
 * api_reload.c - the configuration is read anew; and how many deliveries stand where, which says
 * what another configuration would have no place for.
 */
#include <jansson.h>
#include "admin/api.h"
#include "base/log.h"

static const struct logger log_ = { .room = "admin" };

static void on_places(void *ctx, int status, sl_str json)
{
    if (status < 0)
        call_failed(ctx, status);
    else
        call_json(ctx, 200, json);
}

void api_places(struct call *c)
{
    struct store_filter all = { .limit = 1 };
    int r = store_report(c->admin->conf.store, REPORT_PLACES, &all, on_places, c);

    if (r < 0)
        call_failed(c, r);
}

static void on_reloaded(void *ctx, int code, sl_str json)
{
    struct call *c = ctx;

    if (code == 0)
        call_json(c, 200, json);
    else if (code == UV_EINVAL)
        call_text(c, 422, "application/problem+json", json);
    else
        call_failed(c, code);
}

/** An empty body, or {"dry_run": true}. 0 or UV_EINVAL with `fail`. */
static int read_body(sl_str body, bool *ret_dry_run, struct fail *fail)
{
    json_t *o = body.len ? json_loadb(body.ptr, body.len, JSON_REJECT_DUPLICATES, NULL)
                         : json_object();
    json_t *dry = json_object_get(o, "dry_run");
    bool good = json_is_object(o) && json_object_size(o) == (dry ? 1u : 0u) &&
                (!dry || json_is_boolean(dry));

    *ret_dry_run = json_is_true(dry);
    json_decref(o);
    return good ? 0
                : fail_set(fail, UV_EINVAL,
                           "wanted no body, or a JSON object with \"dry_run\": true or false");
}

void api_reload(struct call *c)
{
    struct fail fail = { 0 };
    bool dry_run;

    if (read_body(http_body(c->request), &dry_run, &fail) < 0) {
        call_problem(c, 400, "%s", fail.text);
        return;
    }
    if (!c->admin->conf.reload) {
        call_problem(c, 409, "this daemon cannot read its configuration anew");
        return;
    }
    if (!dry_run)
        log_info(&log_, "the configuration is read again: who=%s", c->who);
    c->admin->conf.reload(c->admin->conf.reload_ctx, dry_run, on_reloaded, c);
}
