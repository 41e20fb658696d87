/*
 * settings.c - the option tables of endpoint and action, what they cannot check, and reading them.
 */
#include "http.h"

#include <openssl/crypto.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

const sl_option http_settings[] = {
    { "base_url", SL_OPT_URL, SL_OPT_REQUIRED, NULL, 0, 0, NULL,
      "where requests go; a route's path is appended" },
    { "secret_path", SL_OPT_SECRET, 0, NULL, 0, 0, NULL,
      "what follows base_url and must not be seen: an incoming webhook's path" },
    { "headers", SL_OPT_MAP, 0, NULL, 0, 0, NULL,
      "headers of every request, such as Authorization; values may be secrets" },
    { "idempotency_header", SL_OPT_STRING, 0, NULL, 0, 0, NULL,
      "header that carries the delivery's key, if the remote honours one: a lost answer is then "
      "resent" },
    { "idempotent", SL_OPT_BOOL, 0, "false", 0, 0, NULL,
      "the same request twice does no harm: a lost answer is then resent" },
    { "signing.secret", SL_OPT_SECRETS, 0, NULL, 0, 0, NULL,
      "whsec_...: requests carry Standard Webhooks signatures; several while one is being rotated" },
    { "accepted.status", SL_OPT_INTS, 0, "[200, 201, 202, 204]", 200, 599, NULL,
      "statuses that mean done" },
    { "accepted.ok", SL_OPT_POINTER, 0, NULL, 0, 0, NULL,
      "where an accepted answer must hold true, for a remote that answers 200 to mistakes as well" },
    { "accepted.reference", SL_OPT_POINTER, 0, NULL, 0, 0, NULL,
      "where an accepted answer holds the remote's id; then it must be there" },
    { "duplicate.status", SL_OPT_INTS, 0, NULL, 200, 599, NULL,
      "statuses that mean it was done before: delivered" },
    { "rejected.status", SL_OPT_INTS, 0, NULL, 200, 599, NULL,
      "statuses that mean refused for good, beside 3xx and 4xx" },
    { "rejected.reason", SL_OPT_POINTER, 0, "/error/message", 0, 0, NULL,
      "where a refusal says why" },
    { "points", SL_OPT_POINTER, 0, NULL, 0, 0, NULL,
      "where an answer says what is left of a GraphQL API's points, such as "
      "/extensions/cost/throttleStatus; with rate.kind: points" },
    { 0 },
};

const sl_option http_params[] = {
    { "method", SL_OPT_ENUM, 0, "POST", 0, 0, "POST|PUT|PATCH|DELETE", "how it is sent" },
    { "path", SL_OPT_STRING, 0, NULL, 0, 0, NULL,
      "path, and query, such as /orders/{/order/id}; {key}, {subject}, {piece}, {topic} and values "
      "of the body are filled in" },
    { "headers", SL_OPT_MAP, 0, NULL, 0, 0, NULL,
      "headers beside the endpoint's, with the same placeholders; values without may be secrets" },
    { "cost", SL_OPT_INT, 0, "1", 1, SL_COST_MAX, NULL,
      "how much of the endpoint's rate it takes: the points of a query" },
    { "body", SL_OPT_JQ, 0, NULL, 0, 0, NULL,
      "makes the request's JSON; $delivery holds key, subject, piece and topic; without it the "
      "body goes as it is" },
    { "confirm.path", SL_OPT_STRING, 0, NULL, 0, 0, NULL,
      "how to ask whether it arrived, with the same placeholders, such as /orders?key={key}" },
    { "confirm.method", SL_OPT_ENUM, 0, "GET", 0, 0, "GET|POST|HEAD", "how it is asked" },
    { "confirm.status", SL_OPT_INTS, 0, "[200]", 200, 599, NULL,
      "statuses that mean it is there, if confirm.found says so too" },
    { "confirm.found", SL_OPT_JQ, 0, NULL, 0, 0, NULL,
      "over that answer: the remote's id or true: it is there; false or null: it is not" },
    { "confirm.missing", SL_OPT_INTS, 0, "[404]", 200, 599, NULL,
      "statuses that mean it is not there" },
    { "confirm.settle", SL_OPT_DURATION, 0, "2s", 0, 3600000, NULL,
      "a no this soon after it was sent is too early to be believed" },
    { 0 },
};

const sl_option cancel_params[] = {
    { "path", SL_OPT_STRING, SL_OPT_REQUIRED, NULL, 0, 0, NULL,
      "path, and query, such as /orders/{key}; {key}, {subject}, {piece}, {topic} and values of the "
      "body are filled in" },
    { "method", SL_OPT_ENUM, 0, "DELETE", 0, 0, "DELETE|POST|PUT|PATCH", "how it is sent" },
    { "headers", SL_OPT_MAP, 0, NULL, 0, 0, NULL,
      "headers beside the endpoint's, with the same placeholders; values without may be secrets" },
    { "body", SL_OPT_JQ, 0, NULL, 0, 0, NULL,
      "makes the request's JSON of what was to be sent; $delivery holds key, subject, piece and "
      "topic; without it there is none" },
    { "done", SL_OPT_INTS, 0, "[200, 204]", 200, 599, NULL,
      "statuses that mean nothing of it is there any more, for good and already" },
    { "missing", SL_OPT_INTS, 0, "[404, 410]", 200, 599, NULL, "statuses that mean it never came" },
    { "refused", SL_OPT_INTS, 0, "[409, 422]", 200, 599, NULL,
      "statuses that mean it is there and stays" },
    { "settle", SL_OPT_DURATION, 0, "2s", 0, 3600000, NULL,
      "a missing one may still come in for so long after it was sent" },
    { 0 },
};

/* ---- checks -------------------------------------------------------------------------------- */

static sl_status check_base_url(const sl_values *values, const sl_values_api *api, sl_fail *fail)
{
    sl_str url;
    sl_status r = api->str(values, "base_url", &url);

    if (r < 0)
        return r;
    if (url.len > 0 && memchr(url.ptr, '?', url.len))
        return rest_fail(fail, SL_E_INVALID,
                         "base_url: a query belongs into the path of a route, or into secret_path");
    return SL_OK;
}

static sl_status check_path(const char *name, sl_str path, sl_fail *fail)
{
    if (path.len == 0 || *path.ptr != '/')
        return rest_fail(fail, SL_E_INVALID, "%s: must begin with '/'; it is appended to base_url",
                         name);
    if (path.len > MAX_PATH)
        return rest_fail(fail, SL_E_INVALID, "%s: longer than %d bytes", name, MAX_PATH);
    return template_check(name, path, TEMPLATE_PATH, fail);
}

static sl_status check_secret_path(const sl_values *values, const sl_values_api *api, sl_fail *fail)
{
    sl_str path;

    if (api->secret(values, "secret_path", 0, &path) < 0)
        return SL_OK; /* none, or secrets are not read now */
    if (template_is(path))
        return rest_fail(fail, SL_E_INVALID,
                         "secret_path: has no placeholders; percent-encode '{' as %%7B");
    return check_path("secret_path", path, fail);
}

/* Those that signing writes; a receiver must never see others. */
static sl_status check_signings(const char *setting, const struct rest_headers *h, sl_fail *fail)
{
    static const char *const names[] = { "webhook-id", "webhook-timestamp", "webhook-signature" };

    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
        if (headers_have(h, names[i]))
            return rest_fail(fail, SL_E_INVALID, "%s: %s is written by signing.secret alone",
                             setting, names[i]);
    return SL_OK;
}

static sl_status check_headers(const sl_values *values, const sl_values_api *api, sl_fail *fail)
{
    struct rest_headers h;
    sl_status r = headers_read(values, api, "headers", &h, fail);
    char name[128];
    sl_str idempotency;

    if (r < 0)
        return r;
    r = check_signings("headers", &h, fail);
    if (r < 0 || api->str(values, "idempotency_header", &idempotency) < 0)
        goto out;
    r = SL_E_INVALID;
    snprintf(name, sizeof(name), "%.*s", (int)(idempotency.len < 127 ? idempotency.len : 127),
             idempotency.ptr);
    if (idempotency.len >= sizeof(name) || !header_is_token(idempotency.ptr, idempotency.len))
        rest_fail(fail, r, "idempotency_header: not a header's name, such as Idempotency-Key");
    else if (header_is_hosts(name))
        rest_fail(fail, r, "idempotency_header: %s is written by the gateway", name);
    else if (headers_have(&h, name))
        rest_fail(fail, r, "idempotency_header: %s stands in headers too", name);
    else
        r = SL_OK;
out:
    headers_finish(&h);
    return r;
}

static sl_status check_keys(const sl_values *values, const sl_values_api *api, sl_fail *fail)
{
    struct signing_key key;
    sl_status r = SL_OK;
    sl_str secret;

    for (uint32_t i = 0; r == SL_OK && api->secret(values, "signing.secret", i, &secret) == SL_OK;
         i++)
        r = signing_key_parse(secret, &key);
    OPENSSL_cleanse(&key, sizeof(key));
    if (r < 0)
        rest_fail(fail, r, "signing.secret: must be whsec_ and base64 of %d to %d bytes", KEY_MIN,
                  KEY_MAX);
    return r;
}

static sl_status check_statuses(const sl_values *values, const sl_values_api *api, sl_fail *fail)
{
    struct status_set accepted, duplicate, rejected;
    sl_status r;
    int twice;

    if ((r = statuses_read(values, api, "accepted.status", &accepted, fail)) < 0 ||
        (r = statuses_read(values, api, "duplicate.status", &duplicate, fail)) < 0 ||
        (r = statuses_read(values, api, "rejected.status", &rejected, fail)) < 0)
        return r;
    if ((twice = statuses_overlap(&accepted, &rejected)) ||
        (twice = statuses_overlap(&accepted, &duplicate)))
        return rest_fail(fail, SL_E_INVALID,
                         "accepted.status: %d is among the rejected or duplicate ones too", twice);
    if (statuses_empty(&accepted))
        return rest_fail(fail, SL_E_INVALID,
                         "accepted.status: empty, so nothing could ever be delivered");
    return SL_OK;
}

sl_status http_check(const sl_values *values, const sl_values_api *api, sl_fail *fail)
{
    sl_status r;

    if ((r = check_base_url(values, api, fail)) < 0 ||
        (r = check_secret_path(values, api, fail)) < 0 ||
        (r = check_headers(values, api, fail)) < 0 || (r = check_keys(values, api, fail)) < 0)
        return r;
    return check_statuses(values, api, fail);
}

/* ---- a route's parameters ------------------------------------------------------------------ */

static sl_status read_action(struct action *a, const sl_bind_in *in, sl_fail *fail)
{
    const sl_values_api *api = in->values;
    sl_status r = api->str(in->params, "method", &a->method);
    char setting[160];
    int64_t cost = 1;

    if (r < 0)
        return r;
    if (a->kind == ACTION_SEND && (r = api->num(in->params, "cost", &cost)) < 0)
        return r;
    a->cost = (uint32_t)cost;
    if (api->str(in->params, "path", &a->path) == SL_OK &&
        (r = check_path("path", a->path, fail)) < 0)
        return r;
    (void)api->str(in->params, "body", &a->body); /* not given: empty */
    if ((r = headers_read(in->params, api, "headers", &a->headers, fail)) < 0 ||
        (r = check_signings("headers", &a->headers, fail)) < 0)
        return r;
    for (size_t i = 0; r == SL_OK && i < a->headers.n; i++) {
        snprintf(setting, sizeof(setting), "headers: %.*s", (int)a->headers.list[i].name.len,
                 a->headers.list[i].name.ptr);
        r = template_check(setting, a->headers.list[i].value, TEMPLATE_HEADER, fail);
    }
    return r;
}

static sl_status read_confirm(struct action *a, const sl_bind_in *in, sl_fail *fail)
{
    const sl_values_api *api = in->values;
    sl_status r;
    int twice;

    if (api->str(in->params, "confirm.path", &a->confirm.path) == SL_OK &&
        (r = check_path("confirm.path", a->confirm.path, fail)) < 0)
        return r;
    (void)api->str(in->params, "confirm.found", &a->confirm.found); /* not given: empty */
    if ((r = api->str(in->params, "confirm.method", &a->confirm.method)) < 0 ||
        (r = api->num(in->params, "confirm.settle", &a->confirm.settle_ms)) < 0 ||
        (r = statuses_read(in->params, api, "confirm.status", &a->confirm.ok, fail)) < 0 ||
        (r = statuses_read(in->params, api, "confirm.missing", &a->confirm.missing, fail)) < 0)
        return r;
    if (a->confirm.path.len == 0 && a->confirm.found.len > 0)
        return rest_fail(fail, SL_E_INVALID, "confirm.found: needs confirm.path beside it");
    if ((twice = statuses_overlap(&a->confirm.ok, &a->confirm.missing)))
        return rest_fail(fail, SL_E_INVALID, "confirm.missing: %d means that it is there as well",
                         twice);
    return SL_OK;
}

static sl_status read_cancel(struct action *a, const sl_bind_in *in, sl_fail *fail)
{
    static const char *const names[] = { "done", "missing", "refused" };
    sl_status r = in->values->num(in->params, "settle", &a->cancel.settle_ms);

    if (r < 0)
        return r;
    if (!template_is(a->path) && a->body.len == 0)
        return rest_fail(fail, SL_E_INVALID,
                         "path: it must hold {key} or a value of the body, as in /orders/{key}, or "
                         "\"body\" must name it: it is one delivery that is taken back");
    return rest_cancel_read(in->params, in->values, names, &a->cancel.by, fail);
}

sl_status http_bind(const sl_bind_in *in, void **ret_handle, sl_fail *fail)
{
    struct action *a = calloc(1, sizeof(*a));
    sl_status r;

    if (!a)
        return rest_fail(fail, SL_E_NO_MEMORY, "no memory");
    a->kind = in->action;
    r = read_action(a, in, fail);
    if (r == SL_OK)
        r = a->kind == ACTION_CANCEL ? read_cancel(a, in, fail) : read_confirm(a, in, fail);
    if (r < 0)
        http_unbind(a);
    else
        *ret_handle = a;
    return r;
}

void http_unbind(void *handle)
{
    struct action *a = handle;

    if (!a)
        return;
    headers_finish(&a->headers);
    free(a);
}

/* ---- reading ------------------------------------------------------------------------------- */

static sl_status load_texts(struct http *h)
{
    const sl_values *v = h->host->settings;
    const sl_values_api *api = h->host->values;
    const struct {
        const char *name;
        sl_str *to;
        int *given;
    } texts[] = {
        { "base_url", &h->base_url, NULL },
        { "idempotency_header", &h->idempotency_header, NULL },
        { "accepted.ok", &h->ok, &h->has_ok },
        { "accepted.reference", &h->reference, &h->has_reference },
        { "rejected.reason", &h->reason, &h->has_reason },
        { "points", &h->points, &h->has_points },
    };

    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        sl_status r = api->str(v, texts[i].name, texts[i].to);

        if (r < 0 && r != SL_E_NOT_FOUND)
            return r;
        if (texts[i].given)
            *texts[i].given = r == SL_OK;
    }
    (void)api->secret(v, "secret_path", 0, &h->secret_path); /* not given: empty */
    return SL_OK;
}

sl_status http_load(struct http *h, sl_fail *fail)
{
    const sl_values *v = h->host->settings;
    const sl_values_api *api = h->host->values;
    int64_t idempotent = 0;
    sl_str secret;
    sl_status r;

    if ((r = load_texts(h)) < 0 || (r = api->num(v, "idempotent", &idempotent)) < 0 ||
        (r = statuses_read(v, api, "accepted.status", &h->accepted, fail)) < 0 ||
        (r = statuses_read(v, api, "duplicate.status", &h->duplicate, fail)) < 0 ||
        (r = statuses_read(v, api, "rejected.status", &h->rejected, fail)) < 0)
        return r;
    h->idempotent = idempotent || h->idempotency_header.len > 0;
    while (h->n_keys < MAX_KEYS &&
           api->secret(v, "signing.secret", (uint32_t)h->n_keys, &secret) == SL_OK) {
        if ((r = signing_key_parse(secret, &h->keys[h->n_keys])) < 0)
            return r;
        h->n_keys++;
    }
    return headers_read(v, api, "headers", &h->headers, fail);
}

void http_finish(struct http *h)
{
    headers_finish(&h->headers);
    OPENSSL_cleanse(h->keys, sizeof(h->keys));
}
