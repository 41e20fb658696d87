/*
 * settings.c - the option table, what it cannot check, and reading it.
 */
#include "supplier.h"

#include <string.h>
#include <strings.h>

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
    { 0 },
};

/* ---- status sets --------------------------------------------------------------------------- */

int status_in(const struct status_set *set, uint32_t status)
{
    return status < 640 && (set->bits[status / 64] >> (status % 64) & 1);
}

static int overlap(const struct status_set *a, const struct status_set *b)
{
    for (int status = 100; status < 600; status++)
        if (status_in(a, (uint32_t)status) && status_in(b, (uint32_t)status))
            return status;
    return 0;
}

/* Not given: stays empty. */
static sl_status read_statuses(const sl_values *values, const sl_values_api *api, const char *name,
                               struct status_set *ret, sl_fail *fail)
{
    sl_str text;
    json_t *list, *one;
    size_t i;

    *ret = (struct status_set){ { 0 } };
    if (api->json(values, name, &text) < 0)
        return SL_OK;
    list = json_loadb(text.ptr, text.len, 0, NULL);
    json_array_foreach(list, i, one)
    {
        json_int_t status = json_integer_value(one);

        if (status < 100 || status > 599) {
            json_decref(list);
            return supplier_fail(fail, SL_E_INVALID, "%s: not an HTTP status", name);
        }
        ret->bits[status / 64] |= UINT64_C(1) << (status % 64);
    }
    json_decref(list);
    return SL_OK;
}

/* ---- checks -------------------------------------------------------------------------------- */

static int token_char(char c)
{
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
           (c && strchr("!#$%&'*+-.^_`|~", c));
}

static int is_token(const char *s, size_t len)
{
    for (size_t i = 0; i < len; i++)
        if (!token_char(s[i]))
            return 0;
    return len > 0;
}

/* Those that the host writes, and must not be written twice. */
static int is_hosts(const char *name)
{
    static const char *const names[] = { "Host", "Connection", "Content-Length",
                                         "Transfer-Encoding" };

    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
        if (strcasecmp(name, names[i]) == 0)
            return 1;
    return 0;
}

static sl_status check_path(const char *name, sl_str path, sl_fail *fail)
{
    if (path.len == 0 || *path.ptr != '/')
        return supplier_fail(fail, SL_E_INVALID,
                             "%s must begin with '/', as in /orders; it is appended to base_url",
                             name);
    for (size_t i = 0; i < path.len; i++) {
        char c = path.ptr[i];

        if (c == '{' && path.len - i >= 5 && memcmp(path.ptr + i, "{key}", 5) == 0)
            i += 4;
        else if (c == '{' || c == '}')
            return supplier_fail(fail, SL_E_INVALID,
                                 "%s: unknown placeholder at column %zu; {key} is the only one",
                                 name, i + 1);
        else if (c <= ' ' || c > '~' || c == '#')
            return supplier_fail(fail, SL_E_INVALID,
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
    if (!is_token(name.ptr, name.len))
        return supplier_fail(fail, SL_E_INVALID,
                             "submit.idempotency_header is not a header's name, such as "
                             "Idempotency-Key");
    return SL_OK;
}

static sl_status check_headers(const sl_values *values, const sl_values_api *api, sl_fail *fail)
{
    sl_status r = SL_OK;
    sl_str text;
    json_t *map, *value;
    const char *name;

    if (api->json(values, "headers", &text) < 0)
        return SL_OK; /* none, or secrets that are not read now */
    map = json_loadb(text.ptr, text.len, 0, NULL);
    if (json_object_size(map) > MAX_HEADERS - 2)
        r = supplier_fail(fail, SL_E_LIMIT, "headers: more than %d", MAX_HEADERS - 2);
    json_object_foreach(map, name, value)
    {
        const char *v = json_string_value(value);

        if (!is_token(name, strlen(name)))
            r = supplier_fail(fail, SL_E_INVALID, "headers: \"%.80s\" is not a header's name",
                              name);
        else if (is_hosts(name))
            r = supplier_fail(fail, SL_E_INVALID, "headers: %s is written by the gateway", name);
        else if (!v || strlen(v) != json_string_length(value) || strpbrk(v, "\r\n"))
            r = supplier_fail(fail, SL_E_INVALID, "headers: the value of %s is not one line", name);
    }
    json_decref(map);
    return r;
}

static sl_status check_statuses(const sl_values *values, const sl_values_api *api, int can_confirm,
                                sl_fail *fail)
{
    struct status_set accepted, rejected, duplicate, found, missing, none = { { 0 } };
    sl_status r;
    int twice;

    if ((r = read_statuses(values, api, "submit.accepted.status", &accepted, fail)) < 0 ||
        (r = read_statuses(values, api, "submit.rejected.status", &rejected, fail)) < 0 ||
        (r = read_statuses(values, api, "submit.duplicate.status", &duplicate, fail)) < 0 ||
        (r = read_statuses(values, api, "confirm.found.status", &found, fail)) < 0 ||
        (r = read_statuses(values, api, "confirm.missing.status", &missing, fail)) < 0)
        return r;
    if ((twice = overlap(&accepted, &rejected)) || (twice = overlap(&accepted, &duplicate)))
        return supplier_fail(fail, SL_E_INVALID,
                             "submit.accepted.status: %d is among the rejected or duplicate ones "
                             "too",
                             twice);
    if ((twice = overlap(&found, &missing)))
        return supplier_fail(fail, SL_E_INVALID,
                             "confirm.found.status: %d is in confirm.missing.status too", twice);
    if (memcmp(&accepted, &none, sizeof(none)) == 0)
        return supplier_fail(fail, SL_E_INVALID,
                             "submit.accepted.status is empty: no order could ever be delivered");
    if (!can_confirm && memcmp(&duplicate, &none, sizeof(none)) != 0)
        return supplier_fail(fail, SL_E_INVALID,
                             "submit.duplicate.status needs confirm.path: an order that exists "
                             "already is looked up there");
    return SL_OK;
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
        return supplier_fail(fail, SL_E_INVALID,
                             "confirm.path must hold {key}, as in /orders/@{key}: without it every "
                             "look-up asks for the same thing");
    if ((r = check_idempotency(values, api, fail)) < 0 ||
        (r = check_headers(values, api, fail)) < 0)
        return r;
    return check_statuses(values, api, can_confirm, fail);
}

/* ---- reading ------------------------------------------------------------------------------- */

static sl_status load_headers(struct supplier *s)
{
    const sl_host *h = s->host;
    sl_str text;
    json_t *value;
    const char *name;

    if (h->values->json(h->settings, "headers", &text) < 0)
        return SL_OK;
    s->headers_json = json_loadb(text.ptr, text.len, 0, NULL);
    if (!s->headers_json)
        return SL_E_INTERNAL;
    json_object_foreach(s->headers_json, name, value)
    {
        sl_header *to = &s->headers[s->n_headers++];

        to->name = (sl_str){ name, strlen(name) };
        to->value = (sl_str){ json_string_value(value), json_string_length(value) };
        s->has_content_type |= strcasecmp(name, "Content-Type") == 0;
    }
    return SL_OK;
}

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
        if ((r = read_statuses(v, api, sets[i].name, sets[i].to, fail)) < 0)
            return r;
    s->confirm.has_list = api->str(v, "confirm.list", &s->confirm.list) == SL_OK;
    r = api->num(v, "confirm.settle", &s->confirm.settle_ms);
    return r < 0 ? r : load_headers(s);
}
