/*
 * settings.c - the option table, what it cannot check, and reading it.
 */
#include "supplier.h"

#include <string.h>

const sl_option supplier_settings[] = {
    { "base_url", SL_OPT_URL, SL_OPT_REQUIRED, NULL, 0, 0, NULL,
      "where the supplier's API begins; paths are appended" },
    { "headers", SL_OPT_MAP, 0, NULL, 0, 0, NULL,
      "headers of every request, such as Authorization; values may be secrets" },

    { "submit.method", SL_OPT_ENUM, 0, "POST", 0, 0, "POST|PUT|PATCH",
      "how an order is submitted" },
    { "submit.path", SL_OPT_STRING, 0, "/orders", 0, 0, NULL,
      "path, and query, of the submission; {key} is the idempotency key" },
    { "submit.body", SL_OPT_JQ, 0, ".", 0, 0, NULL,
      "makes the request's JSON; $delivery holds key, subject, piece and topic" },
    { "submit.idempotency_header", SL_OPT_STRING, 0, NULL, 0, 0, NULL,
      "header that carries the key, if the supplier honours one: a lost answer is then resent" },
    { "submit.accepted.status", SL_OPT_INTS, 0, "[200, 201, 202]", 200, 599, NULL,
      "statuses that mean accepted" },
    { "submit.accepted.reference", SL_OPT_POINTER, 0, "/id", 0, 0, NULL,
      "where the answer holds the supplier's order id" },
    { "submit.rejected.status", SL_OPT_INTS, 0, "[400, 404, 409, 410, 413, 415, 422]", 200, 599,
      NULL, "statuses that mean refused for good" },
    { "submit.rejected.reason", SL_OPT_POINTER, 0, "/error/message", 0, 0, NULL,
      "where the answer says why" },
    { "submit.duplicate.status", SL_OPT_INTS, 0, NULL, 200, 599, NULL,
      "statuses that mean the order exists already; it is then looked up by confirm" },

    { "confirm.method", SL_OPT_ENUM, 0, "GET", 0, 0, "GET|POST", "how an order is looked up" },
    { "confirm.path", SL_OPT_STRING, 0, NULL, 0, 0, NULL,
      "path, and query, of the look-up, such as /orders/@{key}; without it a person decides on a "
      "lost answer" },
    { "confirm.found.status", SL_OPT_INTS, 0, "[200]", 200, 599, NULL, "statuses that mean found" },
    { "confirm.found.reference", SL_OPT_POINTER, 0, "/id", 0, 0, NULL,
      "where the answer - or the element of confirm.list - holds the supplier's order id" },
    { "confirm.missing.status", SL_OPT_INTS, 0, "[404]", 200, 599, NULL,
      "statuses that mean there is no such order" },
    { "confirm.list", SL_OPT_POINTER, 0, NULL, 0, 0, NULL,
      "for look-ups that answer a list: where the array is; empty means missing" },
    { "confirm.settle", SL_OPT_DURATION, 0, "2s", 0, INT64_C(86400000), NULL,
      "a \"no\" this soon after the order was first sent is too early to be believed" },

    { "cancel.method", SL_OPT_ENUM, 0, "POST", 0, 0, "POST|PUT|DELETE",
      "how an order is cancelled, for a group's interlock" },
    { "cancel.path", SL_OPT_STRING, 0, NULL, 0, 0, NULL,
      "path, and query, such as /orders/@{key}/cancel; without it no order is cancelled" },
    { "cancel.done.status", SL_OPT_INTS, 0, "[200, 204]", 200, 599, NULL,
      "statuses that mean it is cancelled, for good and already" },
    { "cancel.missing.status", SL_OPT_INTS, 0, "[404]", 200, 599, NULL,
      "statuses that mean there is no such order; too early within confirm.settle" },
    { "cancel.refused.status", SL_OPT_INTS, 0, "[409, 422]", 200, 599, NULL,
      "statuses that mean it is there and stays" },
    { 0 },
};

/* ---- checks -------------------------------------------------------------------------------- */

static sl_status check_path(const char *name, sl_str path, sl_fail *fail)
{
    if (path.len == 0 || *path.ptr != '/')
        return rest_fail(fail, SL_E_INVALID,
                         "%s must begin with '/', as in /orders; it is appended to base_url", name);
    for (size_t i = 0; i < path.len; i++) {
        char c = path.ptr[i];

        if (c == '{' && path.len - i >= 5 && memcmp(path.ptr + i, "{key}", 5) == 0)
            i += 4;
        else if (c == '{' || c == '}')
            return rest_fail(fail, SL_E_INVALID,
                             "%s: unknown placeholder at column %zu; {key} is the only one", name,
                             i + 1);
        else if (c <= ' ' || c > '~' || c == '#')
            return rest_fail(fail, SL_E_INVALID,
                             "%s: a character at column %zu cannot stand in a URL; "
                             "percent-encode it",
                             name, i + 1);
    }
    return SL_OK;
}

static sl_status check_idempotency(const sl_values *values, const sl_values_api *api, sl_fail *fail)
{
    sl_str name;

    if (api->str(values, "submit.idempotency_header", &name) < 0)
        return SL_OK;
    if (!header_is_token(name.ptr, name.len))
        return rest_fail(fail, SL_E_INVALID,
                         "submit.idempotency_header is not a header's name, such as "
                         "Idempotency-Key");
    return SL_OK;
}

static sl_status check_headers(const sl_values *values, const sl_values_api *api, sl_fail *fail)
{
    struct rest_headers h;
    sl_status r = headers_read(values, api, "headers", &h, fail);

    headers_finish(&h);
    return r;
}

static sl_status check_statuses(const sl_values *values, const sl_values_api *api, int can_confirm,
                                sl_fail *fail)
{
    struct status_set accepted, rejected, duplicate, found, missing;
    sl_status r;
    int twice;

    if ((r = statuses_read(values, api, "submit.accepted.status", &accepted, fail)) < 0 ||
        (r = statuses_read(values, api, "submit.rejected.status", &rejected, fail)) < 0 ||
        (r = statuses_read(values, api, "submit.duplicate.status", &duplicate, fail)) < 0 ||
        (r = statuses_read(values, api, "confirm.found.status", &found, fail)) < 0 ||
        (r = statuses_read(values, api, "confirm.missing.status", &missing, fail)) < 0)
        return r;
    if ((twice = statuses_overlap(&accepted, &rejected)) ||
        (twice = statuses_overlap(&accepted, &duplicate)))
        return rest_fail(fail, SL_E_INVALID,
                         "submit.accepted.status: %d is among the rejected or duplicate ones "
                         "too",
                         twice);
    if ((twice = statuses_overlap(&found, &missing)))
        return rest_fail(fail, SL_E_INVALID,
                         "confirm.found.status: %d is in confirm.missing.status too", twice);
    if (statuses_empty(&accepted))
        return rest_fail(fail, SL_E_INVALID,
                         "submit.accepted.status is empty: no order could ever be delivered");
    if (!can_confirm && !statuses_empty(&duplicate))
        return rest_fail(fail, SL_E_INVALID,
                         "submit.duplicate.status needs confirm.path: an order that exists "
                         "already is looked up there");
    return SL_OK;
}

static const char *const cancel_names[] = { "cancel.done.status", "cancel.missing.status",
                                            "cancel.refused.status" };

static sl_status check_cancel(const sl_values *values, const sl_values_api *api, sl_fail *fail)
{
    struct rest_cancel by;
    sl_str path;
    sl_status r;

    if (api->str(values, "cancel.path", &path) < 0)
        return SL_OK;
    if ((r = check_path("cancel.path", path, fail)) < 0)
        return r;
    if (!memmem(path.ptr, path.len, "{key}", 5))
        return rest_fail(fail, SL_E_INVALID,
                         "cancel.path: it must hold {key}, as in /orders/@{key}/cancel: it is one "
                         "order that is cancelled");
    return rest_cancel_read(values, api, cancel_names, &by, fail);
}

sl_status supplier_check(const sl_values *values, const sl_values_api *api, sl_fail *fail)
{
    sl_str path;
    sl_status r;
    int can_confirm;

    r = api->str(values, "submit.path", &path);
    if (r < 0 || (r = check_path("submit.path", path, fail)) < 0)
        return r;
    can_confirm = api->str(values, "confirm.path", &path) == SL_OK;
    if (can_confirm && (r = check_path("confirm.path", path, fail)) < 0)
        return r;
    if (can_confirm && !memmem(path.ptr, path.len, "{key}", 5))
        return rest_fail(fail, SL_E_INVALID,
                         "confirm.path must hold {key}, as in /orders/@{key}: without it every "
                         "look-up asks for the same thing");
    if ((r = check_idempotency(values, api, fail)) < 0 ||
        (r = check_headers(values, api, fail)) < 0 || (r = check_cancel(values, api, fail)) < 0)
        return r;
    return check_statuses(values, api, can_confirm, fail);
}

/* ---- reading ------------------------------------------------------------------------------- */

sl_status supplier_load(struct supplier *s, sl_fail *fail)
{
    const sl_values *v = s->host->settings;
    const sl_values_api *api = s->host->values;
    const struct {
        const char *name;
        sl_str *to;
    } texts[] = {
        { "base_url", &s->base_url },
        { "submit.method", &s->submit.method },
        { "submit.path", &s->submit.path },
        { "submit.body", &s->submit.body },
        { "submit.idempotency_header", &s->submit.idempotency_header },
        { "submit.accepted.reference", &s->submit.reference },
        { "submit.rejected.reason", &s->submit.reason },
        { "confirm.method", &s->confirm.method },
        { "confirm.path", &s->confirm.path },
        { "confirm.found.reference", &s->confirm.reference },
        { "cancel.method", &s->cancel.method },
        { "cancel.path", &s->cancel.path },
    };
    const struct {
        const char *name;
        struct status_set *to;
    } sets[] = {
        { "submit.accepted.status", &s->submit.accepted },
        { "submit.rejected.status", &s->submit.rejected },
        { "submit.duplicate.status", &s->submit.duplicate },
        { "confirm.found.status", &s->confirm.found },
        { "confirm.missing.status", &s->confirm.missing },
    };
    sl_status r;

    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        r = api->str(v, texts[i].name, texts[i].to);
        if (r < 0 && r != SL_E_NOT_FOUND)
            return r;
    }
    for (size_t i = 0; i < sizeof(sets) / sizeof(sets[0]); i++)
        if ((r = statuses_read(v, api, sets[i].name, sets[i].to, fail)) < 0)
            return r;
    if (s->cancel.path.len && (r = rest_cancel_read(v, api, cancel_names, &s->cancel.by, fail)) < 0)
        return r;
    s->confirm.has_list = api->str(v, "confirm.list", &s->confirm.list) == SL_OK;
    r = api->num(v, "confirm.settle", &s->confirm.settle_ms);
    return r < 0 ? r : headers_read(v, api, "headers", &s->headers, fail);
}
