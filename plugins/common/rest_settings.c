/*
 * rest_settings.c - settings that more than one adapter reads the same way.
 */
#include "rest.h"

#include <stdarg.h>
#include <string.h>
#include <strings.h>

sl_status rest_fail(sl_fail *fail, sl_status status, const char *format, ...)
{
    va_list args;

    if (!fail)
        return status;
    va_start(args, format);
    vsnprintf(fail->text, sizeof(fail->text), format, args);
    va_end(args);
    return status;
}

/* ---- statuses ------------------------------------------------------------------------------ */

int status_in(const struct status_set *set, uint32_t status)
{
    return status < 640 && (set->bits[status / 64] >> (status % 64) & 1);
}

int statuses_empty(const struct status_set *set)
{
    const struct status_set none = { { 0 } };

    return memcmp(set, &none, sizeof(none)) == 0;
}

int statuses_overlap(const struct status_set *a, const struct status_set *b)
{
    for (int status = 100; status < 600; status++)
        if (status_in(a, (uint32_t)status) && status_in(b, (uint32_t)status))
            return status;
    return 0;
}

sl_status statuses_read(const sl_values *values, const sl_values_api *api, const char *name,
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
            return rest_fail(fail, SL_E_INVALID, "%s: not an HTTP status", name);
        }
        ret->bits[status / 64] |= UINT64_C(1) << (status % 64);
    }
    json_decref(list);
    return SL_OK;
}

/* ---- headers ------------------------------------------------------------------------------- */

static int token_char(char c)
{
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
           (c && strchr("!#$%&'*+-.^_`|~", c));
}

int header_is_token(const char *s, size_t len)
{
    for (size_t i = 0; i < len; i++)
        if (!token_char(s[i]))
            return 0;
    return len > 0;
}

/* Those that the host writes, and must not be written twice. */
int header_is_hosts(const char *name)
{
    static const char *const names[] = { "Host", "Connection", "Content-Length",
                                         "Transfer-Encoding" };

    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
        if (strcasecmp(name, names[i]) == 0)
            return 1;
    return 0;
}

static sl_status add_header(struct rest_headers *h, const char *setting, const char *name,
                            const json_t *value, sl_fail *fail)
{
    const char *v = json_string_value(value);

    if (!header_is_token(name, strlen(name)))
        return rest_fail(fail, SL_E_INVALID, "%s: \"%.80s\" is not a header's name", setting, name);
    if (header_is_hosts(name))
        return rest_fail(fail, SL_E_INVALID, "%s: %s is written by the gateway", setting, name);
    if (headers_have(h, name))
        return rest_fail(fail, SL_E_INVALID, "%s: %s stands there twice", setting, name);
    if (!v || strlen(v) != json_string_length(value) || strpbrk(v, "\r\n"))
        return rest_fail(fail, SL_E_INVALID, "%s: the value of %s is not one line", setting, name);
    if (h->n == REST_MAX_HEADERS)
        return rest_fail(fail, SL_E_LIMIT, "%s: more than %d", setting, REST_MAX_HEADERS);
    h->list[h->n++] = (sl_header){ { name, strlen(name) }, { v, strlen(v) } };
    return SL_OK;
}

sl_status headers_read(const sl_values *values, const sl_values_api *api, const char *name,
                       struct rest_headers *ret, sl_fail *fail)
{
    struct rest_headers h = { 0 };
    sl_status r = SL_OK;
    json_t *value;
    const char *key;
    sl_str text;

    *ret = h;
    if (api->json(values, name, &text) < 0)
        return SL_OK;
    h.json = json_loadb(text.ptr, text.len, 0, NULL);
    if (!h.json)
        return rest_fail(fail, SL_E_INVALID, "%s: not a mapping of texts", name);
    json_object_foreach(h.json, key, value)
    {
        r = add_header(&h, name, key, value, fail);
        if (r < 0)
            break;
    }
    if (r < 0)
        headers_finish(&h);
    *ret = h;
    return r;
}

void headers_finish(struct rest_headers *h)
{
    json_decref(h->json);
    *h = (struct rest_headers){ 0 };
}

int headers_have(const struct rest_headers *h, const char *name)
{
    for (size_t i = 0; i < h->n; i++)
        if (h->list[i].name.len == strlen(name) &&
            strncasecmp(h->list[i].name.ptr, name, h->list[i].name.len) == 0)
            return 1;
    return 0;
}

/* ---- URLs ---------------------------------------------------------------------------------- */

size_t percent_encode(sl_str s, char *to)
{
    static const char hex[] = "0123456789ABCDEF";
    size_t n = 0;

    for (size_t i = 0; i < s.len; i++) {
        unsigned char c = (unsigned char)s.ptr[i];

        if ((c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
            (c && strchr("-._~", c))) {
            to[n++] = (char)c;
            continue;
        }
        to[n++] = '%';
        to[n++] = hex[c >> 4];
        to[n++] = hex[c & 15];
    }
    return n;
}
