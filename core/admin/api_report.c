/*
 * api_report.c - a report of an endpoint's adapter.
 */
#include <jansson.h>
#include <stdlib.h>
#include <string.h>
#include "admin/api.h"

static void on_report(void *ctx, sl_status status, sl_str text)
{
    struct call *c = ctx;
    int len = (int)(text.len < 600 ? text.len : 600);
    const char *p = text.len ? text.ptr : "the endpoint could not make it";

    if (status == SL_OK)
        call_json(c, 200, text);
    else if (status == SL_E_NOT_FOUND)
        call_problem(c, 404, "%.*s", text.len ? len : 30, p);
    else if (status == SL_E_UNSUPPORTED || status == SL_E_LIMIT)
        call_problem(c, 409, "%.*s", text.len ? len : 30, p);
    else
        call_problem(c, 503, "%.*s", text.len ? len : 30, p);
}

void api_report(struct call *c)
{
    sl_str body = http_body(c->request);
    json_t *o = json_loadb(body.ptr ? body.ptr : "", body.len, JSON_REJECT_DUPLICATES, NULL);
    const char *name = json_string_value(json_object_get(o, "name"));
    int r;

    if (!name || json_object_size(o) != 1) {
        call_problem(c, 400, "wanted a JSON object with \"name\": the name of a report");
        json_decref(o);
        return;
    }
    r = flow_report(c->admin->conf.flow, str_of(c->name), str_of(name), on_report, c);
    if (r == UV_ENOENT)
        call_problem(c, 404, "there is no endpoint \"%.80s\"", c->name);
    else if (r == UV_ENOTSUP)
        call_problem(c, 404, "the adapter of \"%.80s\" makes no reports", c->name);
    else if (r == UV_EAGAIN)
        call_problem(c, 503, "endpoint \"%.80s\" is being closed", c->name);
    json_decref(o);
}
