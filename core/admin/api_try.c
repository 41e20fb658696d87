/*
 * api_try.c - a dry run of a payload; nothing is stored or sent.
 */
#include <jansson.h>
#include <stdlib.h>
#include <string.h>
#include "admin/api.h"
#include "base/mem.h"

static void on_tried(void *ctx, int status, sl_str json)
{
    if (status < 0)
        call_failed(ctx, status);
    else
        call_json(ctx, 200, json);
}

/** All members are known; headers are texts. 0 or UV_EINVAL with `fail`. */
static int check(json_t *o, struct fail *fail)
{
    static const char *const known = "endpoint, topic, headers, body";
    const char *name;
    json_t *value;

    if (!json_is_object(o))
        return fail_set(fail, UV_EINVAL, "wanted a JSON object with %s", known);
    json_object_foreach(o, name, value)
    {
        if (strcmp(name, "headers") == 0) {
            if (!json_is_object(value))
                return fail_set(fail, UV_EINVAL, "\"headers\" must be an object of texts");
        } else if (strcmp(name, "endpoint") && strcmp(name, "topic") && strcmp(name, "body")) {
            return fail_set(fail, UV_EINVAL, "unknown member \"%.40s\"; there are: %s", name,
                            known);
        } else if (!json_is_string(value)) {
            return fail_set(fail, UV_EINVAL, "\"%s\" must be a text", name);
        }
    }
    if (!json_object_get(o, "endpoint") || !json_object_get(o, "topic"))
        return fail_set(fail, UV_EINVAL, "\"endpoint\" and \"topic\" are wanted");
    json_object_foreach(json_object_get(o, "headers"), name, value)
    {
        if (!json_is_string(value))
            return fail_set(fail, UV_EINVAL, "header \"%.40s\" must be a text", name);
    }
    return 0;
}

static sl_str text(json_t *o, const char *name)
{
    json_t *j = json_object_get(o, name);

    return (sl_str){ j ? json_string_value(j) : "", j ? json_string_length(j) : 0 };
}

static void run(struct call *c, json_t *o)
{
    json_t *all = json_object_get(o, "headers"), *value;
    sl_header *headers = mem_array(json_object_size(all) + 1, sizeof(*headers));
    sl_str endpoint = text(o, "endpoint");
    size_t n = 0;
    const char *name;
    int r;

    json_object_foreach(all, name, value)
        headers[n++] = (sl_header){ str_of(name), str_of(json_string_value(value)) };
    r = flow_try(c->admin->conf.flow, endpoint, text(o, "topic"), headers, n, text(o, "body"),
                 on_tried, c);
    free(headers);
    if (r == UV_ENOENT)
        call_problem(c, 404, "there is no endpoint \"%.80s\"", endpoint.ptr);
    else if (r < 0)
        call_failed(c, r);
}

void api_try(struct call *c)
{
    sl_str body = http_body(c->request);
    struct fail fail = { 0 };
    json_error_t error;
    json_t *o = json_loadb(body.ptr, body.len, JSON_REJECT_DUPLICATES | JSON_ALLOW_NUL, &error);

    if (!o)
        call_problem(c, 400, "the body is not JSON: %s, line %d", error.text, error.line);
    else if (check(o, &fail) < 0)
        call_problem(c, 400, "%s", fail.text);
    else
        run(c, o);
    json_decref(o);
}
